"""A feed-forward language model over the previous words: Bengio, Ducharme, Vincent & Jauvin (2003), JMLR 3:1137-1155.

Trained with a sampled softmax.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import torch

from skembed.training.nets.adam import FlatAdamW
from skembed.training.nets.device import resolve_device, seeded_generator
from skembed.training.nets.loop import run_passes
from skembed.training.nets.row_tables import RowTable
from skembed.training.nets.sampled_softmax import SampledSoftmax, initial_output
from skembed.training.nets.threads import one_thread_in_forks
from skembed.training.next_words import NextWordSettings, NextWordWeights
from skembed.training.passes import History
from skembed.training.run import Run

__all__ = ["NextWordNet", "build_hidden", "learn_next_words"]

_CONTEXT_ROWS = 1024  # contexts whose probabilities over all words are in memory at a time
_INITIAL_REACH = 0.1  # of the uniform start of both tables
_RATE_DECAY = 0.5  # where a pass has hardly raised the validation score
_LEAST_GAIN = 0.03  # of the mean log-probability: a pass at half the rate gains more than a further one that gains less


class NextWordNet:
    """Scores of the next word = b + U tanh(d + H x) + W x, x the vectors of the previous words; a `Trainable`.

    Parameters
    ----------
    tokens : ndarray of shape (n,), int32
        The corpus as numbers; those from `n_targets` on stand in contexts only.
    counts : ndarray of shape (n_targets,)
        How often each token is next: the proposal draws words in proportion to ``counts ** ns_exponent``.
    n_tokens : int
    settings : NextWordSettings
    generator : torch.Generator
        On the CPU; decides the start, dropout and samples.
    validation : LongTensor of shape (n_validation,)
        Positions in `tokens` that are held out.
    device : torch.device
    """

    def __init__(
        self,
        tokens: np.ndarray,
        counts: np.ndarray,
        n_tokens: int,
        settings: NextWordSettings,
        generator: torch.Generator,
        validation: torch.Tensor,
        device: torch.device,
    ) -> None:
        self.settings, self.generator, self.device = settings, generator, device
        self.tokens = torch.as_tensor(tokens, dtype=torch.int32, device=device)
        self.validation = validation.to(device)
        self.offsets = torch.arange(settings.n_previous, 0, -1, device=device)
        n_inputs = settings.n_previous * settings.embedding_dim
        width = settings.hidden_layer_sizes[-1] if settings.hidden_layer_sizes else 0
        width += n_inputs if settings.direct else 0
        rates = settings.learning_rate, settings.weight_decay
        start = torch.empty((n_tokens, settings.embedding_dim), dtype=torch.float32, device="cpu")
        start.uniform_(-_INITIAL_REACH, _INITIAL_REACH, generator=generator)
        self.embedding = RowTable(start.to(device), *rates)
        # The bias begins at the words' own frequencies, so that the net learns what contexts add.
        start = initial_output(counts, width, _INITIAL_REACH, generator)
        self.output = RowTable(start.to(device), *rates)
        self.softmax = SampledSoftmax(self.output, counts, settings.n_samples, settings.ns_exponent, generator)
        self.hidden = build_hidden(n_inputs, settings.hidden_layer_sizes, generator).to(device)
        has_hidden = len(settings.hidden_layer_sizes) > 0
        self.optimizer = FlatAdamW(self.hidden, settings.learning_rate, settings.weight_decay) if has_hidden else None
        n_weights = 0 if self.optimizer is None else len(self.optimizer.weight)
        self.n_products = float(self.softmax.n_products + n_weights)
        self.best_score, self.has_gained = -np.inf, False

    def step(self, rows: torch.Tensor) -> torch.Tensor:
        rows = rows.to(self.device)
        contexts = self.contexts(rows)
        vectors = self.embedding.weight.index_select(0, contexts.flatten()).requires_grad_(True)
        features = self.features(vectors.view(len(rows), -1), training=True)
        targets = self.tokens.index_select(0, rows).long()
        chosen = self.softmax.choose(targets)
        loss = self.softmax.loss(features, targets, chosen)
        if self.optimizer is not None:
            self.optimizer.zero_grad()
        (loss / len(rows)).backward()
        if self.optimizer is not None:
            self.optimizer.step()
        with torch.no_grad():
            self.embedding.update(contexts.flatten(), vectors.grad)  # type: ignore[arg-type]
            self.softmax.update(chosen)
        return loss.detach()

    def contexts(self, rows: torch.Tensor) -> torch.Tensor:
        """Return the numbers of the words before some positions, (n_rows, n_previous)."""
        return self.tokens[rows[:, None] - self.offsets].long()

    def features(self, x: torch.Tensor, *, training: bool = False) -> torch.Tensor:
        """Return what the output's weights are multiplied with, (n_rows, width).

        Parameters
        ----------
        x : Tensor of shape (n_rows, n_previous * embedding_dim)
        training : bool
            Whether to drop out.
        """
        x = self._drop(x) if training else x
        parts = []
        if self.settings.hidden_layer_sizes:
            hidden = self.hidden(x)
            parts.append(self._drop(hidden) if training else hidden)
        if self.settings.direct:
            parts.append(x)
        return torch.cat(parts, dim=1)

    def _drop(self, values: torch.Tensor) -> torch.Tensor:
        rate = self.settings.dropout
        if not rate:
            return values
        kept = torch.rand(values.shape, generator=self.generator, dtype=torch.float32, device="cpu") >= rate
        return values * kept.to(self.device) / (1 - rate)

    @torch.no_grad()
    def validation_score(self) -> float:
        """Return the mean log-probability of the held-out words among all words; its exponential is 1 / perplexity."""
        total = 0.0
        for rows in torch.split(self.validation, _CONTEXT_ROWS):
            x = self.embedding.weight[self.contexts(rows)].flatten(1)
            total -= float(self.softmax.full_loss(self.features(x), self.tokens[rows].long()))
        score = total / len(self.validation)
        gain = score - self.best_score
        # what gains little at the very start has not begun to learn
        if gain <= 0 or (gain < _LEAST_GAIN and self.has_gained):
            self._slow_down()
        self.has_gained |= _LEAST_GAIN <= gain < np.inf
        self.best_score = max(score, self.best_score)
        return score

    def _slow_down(self) -> None:
        for part in (self.embedding, self.output, self.optimizer):
            if part is not None:
                part.learning_rate *= _RATE_DECAY

    def snapshot(self) -> Any:
        parameters = [parameter.detach().clone() for parameter in self.hidden.parameters()]
        return self.embedding.weight.clone(), self.output.weight.clone(), parameters

    def restore(self, state: Any) -> None:
        embedding, output, parameters = state
        with torch.no_grad():
            self.embedding.weight.copy_(embedding)
            self.output.weight.copy_(output)
            for parameter, value in zip(self.hidden.parameters(), parameters):
                parameter.copy_(value)

    def weights(self) -> NextWordWeights:
        """Return the model as arrays."""
        arrays = [parameter.detach().cpu().numpy().copy() for parameter in self.hidden.parameters()]
        return NextWordWeights(
            self.embedding.weight.cpu().numpy().copy(),
            list(zip(arrays[::2], arrays[1::2])),
            self.output.weight.cpu().numpy().copy(),
            self.settings.direct,
        )


def build_hidden(n_inputs: int, sizes: Sequence[int], generator: torch.Generator) -> torch.nn.Sequential:
    """Build tanh layers whose weights and biases are uniform in ±1/sqrt(inputs), drawn from `generator` alone."""
    layers: list[torch.nn.Module] = []
    for fan_in, fan_out in pairwise([n_inputs, *sizes]):
        layer = torch.nn.utils.skip_init(torch.nn.Linear, fan_in, fan_out, device="cpu", dtype=torch.float32)
        with torch.no_grad():
            for parameter in layer.parameters():
                parameter.uniform_(-(fan_in**-0.5), fan_in**-0.5, generator=generator)
        layers += [layer, torch.nn.Tanh()]
    return torch.nn.Sequential(*layers)


@one_thread_in_forks()
@torch.inference_mode(False)
@torch.enable_grad()
def learn_next_words(
    tokens: np.ndarray,
    positions: np.ndarray,
    held_out: np.ndarray,
    n_targets: int,
    settings: NextWordSettings,
    run: Run,
) -> tuple[NextWordWeights, History]:
    """Train a language model.

    Parameters
    ----------
    tokens : ndarray of shape (n,), int32
        Up to `n_targets`, the token that stands in contexts only. `n_previous` or more stand before each position.
    positions, held_out : ndarray of int64
        Where the words stand that are learned from, and those that early stopping looks at; without any it is off.
    n_targets : int
        Tokens that may be next.
    settings : NextWordSettings
    run : Run

    Returns
    -------
    NextWordWeights
    History
    """
    device, generator = resolve_device(settings.device), seeded_generator(run.seed)
    counts = np.bincount(tokens[positions], minlength=n_targets)
    validation = torch.as_tensor(held_out, device="cpu")
    net = NextWordNet(tokens, counts, n_targets + 1, settings, generator, validation, device)
    settings = replace(settings, early_stopping=len(held_out) > 0)
    rows = torch.as_tensor(positions, device="cpu")
    history = run_passes(net, rows, float(len(positions)), generator, settings, run)
    return net.weights(), history
