"""Language model of both directions over a net that reads characters: Peters et al. 2018 (arXiv:1802.05365), section 3.

The next word is predicted from the states of left to right, the one before from those of right to left, by one sampled
softmax for both.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
import torch

from skembed.training.language_model import LanguageModelSettings, Sentences, cut_sentences
from skembed.training.nets.adam import FlatAdamW
from skembed.training.nets.device import resolve_device, seeded_generator
from skembed.training.nets.loop import run_passes
from skembed.training.nets.row_tables import RowTable
from skembed.training.nets.sampled_softmax import SampledSoftmax, initial_output
from skembed.training.nets.threads import one_thread_in_forks
from skembed.training.passes import History
from skembed.training.run import Run

__all__ = ["BidirectionalNet", "learn_language_model", "log_likelihoods"]

_LAST_RATE = 0.05  # of the learning rate, to which it falls in a straight line
_SCORED_TOKENS = 2**12  # whose states are in memory at a time
_SCORES = 2**22  # probabilities over all words that are
_INITIAL_REACH = 0.05  # of the uniform start of the softmax
Drop = Callable[[torch.Tensor], torch.Tensor]


class BidirectionalNet(Protocol):
    """The net that is learned, a torch.nn.Module beside."""

    def tokens(self, characters: torch.Tensor) -> torch.Tensor:
        """Return vectors (n_words, dim) of the characters (n_words, max_characters) of words."""

    def layers(self, x: torch.Tensor, lengths: torch.Tensor, *, drop: Drop | None = None) -> tuple[list, Any]:
        """Return for tokens (n_rows, n_steps, dim) the states of layers, the top one last, (n_rows, n_steps, 2 * dim).

        Lengths fall. Left to right lies beside right to left.
        """


class _Reader:
    """States of pieces of sentences beside what is to be predicted from them."""

    def __init__(self, net: Any, sentences: Sentences, device: torch.device) -> None:
        self.net, self.device = net, device
        self.ids = torch.as_tensor(sentences.ids, dtype=torch.int64, device=device)
        self.characters = torch.as_tensor(sentences.characters, device=device)
        self.targets = torch.as_tensor(sentences.targets, dtype=torch.int64, device=device)

    def read(
        self, starts: torch.Tensor, stops: torch.Tensor, drop: Drop | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return features (2 * n_events, dim) and targets (2 * n_events,), those of left to right first."""
        lengths, order = torch.sort(stops - starts, descending=True, stable=True)
        steps = torch.arange(int(lengths[0]), device=self.device)[None]
        known = steps < lengths[:, None]
        ids = self.ids[torch.where(known, starts[order][:, None] + steps, starts[order][:, None])]
        words, place = torch.unique(ids, return_inverse=True)
        x = self.net.tokens(self.characters[words].long())[place]
        states, _ = self.net.layers(x, lengths, drop=drop)
        left, right = states[-1].chunk(2, dim=2)
        # each state but the last of a piece predicts the next word, each but the first the one before
        events = known[:, 1:]
        features = torch.cat([left[:, :-1][events], right[:, 1:][events]])
        targets = self.targets[torch.cat([ids[:, 1:][events], ids[:, :-1][events]])]
        return features if drop is None else drop(features), targets


class _LanguageModel:
    """A net and its softmax; a `Trainable` over pieces of sentences."""

    def __init__(
        self,
        reader: _Reader,
        softmax: SampledSoftmax,
        settings: LanguageModelSettings,
        pieces: tuple[np.ndarray, np.ndarray],
        held: tuple[np.ndarray, np.ndarray],
        generator: torch.Generator,
    ) -> None:
        self.reader, self.softmax, self.settings, self.generator = reader, softmax, settings, generator
        self.starts, self.stops = (torch.as_tensor(part, device=reader.device) for part in pieces)
        self.held = held
        self.optimizer = FlatAdamW(reader.net, settings.learning_rate, settings.weight_decay)
        length = float((self.stops - self.starts).double().mean())
        self.n_products = length * (len(self.optimizer.weight) + 2 * softmax.n_products)
        self._n_steps, self._total = 0, settings.max_iter * -(-len(self.starts) // settings.batch_size)

    def step(self, rows: torch.Tensor) -> torch.Tensor:
        rows = rows.to(self.reader.device)
        rate = self.settings.learning_rate * max(1 - self._n_steps / self._total, _LAST_RATE)
        self.optimizer.learning_rate = self.softmax.table.learning_rate = rate
        self._n_steps += 1
        features, targets = self.reader.read(self.starts[rows], self.stops[rows], self._drop)
        chosen = self.softmax.choose(targets)
        loss = self.softmax.loss(features, targets, chosen)
        self.optimizer.zero_grad()
        (loss / len(targets)).backward()
        norm = float(self.optimizer.gradient.norm())
        if norm > self.settings.max_norm:
            self.optimizer.gradient.mul_(self.settings.max_norm / norm)
        with torch.no_grad():
            self.optimizer.step()
            self.softmax.update(chosen)
        return loss.detach()

    def _drop(self, values: torch.Tensor) -> torch.Tensor:
        rate = self.settings.dropout
        if not rate:
            return values
        kept = torch.rand(values.shape, generator=self.generator, dtype=torch.float32, device="cpu") >= rate
        return values * kept.to(values.device) / (1 - rate)

    def validation_score(self) -> float:
        """Return the mean log-probability of a held-out word, over both directions; exp(-score) is the perplexity."""
        parts = [part.sum() for part in _log_likelihoods(self.reader, self.softmax, *self.held)]
        return float(sum(parts) / (2 * (self.held[1] - self.held[0] - 1).sum()))

    def snapshot(self) -> Any:
        return self.optimizer.weight.clone(), self.softmax.table.weight.clone()

    def restore(self, state: Any) -> None:
        self.optimizer.weight.copy_(state[0])
        self.softmax.table.weight.copy_(state[1])


@torch.no_grad()
def _log_likelihoods(
    reader: _Reader, softmax: SampledSoftmax, starts: np.ndarray, stops: np.ndarray
) -> Iterator[np.ndarray]:
    """Yield summed log-probabilities (2,) of what left to right and right to left predict, some pieces at a time."""
    n_words = len(softmax.table.weight)
    for rows in _of_like_length(stops - starts):
        begin, end = (torch.as_tensor(part[rows], device=reader.device) for part in (starts, stops))
        features, targets = reader.read(begin, end)
        total = np.zeros(2)
        for direction, (f, t) in enumerate(zip(features.chunk(2), targets.chunk(2))):
            size = max(1, _SCORES // n_words)
            total[direction] = -sum(float(softmax.full_loss(*part)) for part in zip(f.split(size), t.split(size)))
        yield total


def _of_like_length(lengths: np.ndarray) -> Iterator[np.ndarray]:
    order = np.argsort(-lengths, kind="stable")
    start = 0
    while start < len(order):
        stop = start + max(1, _SCORED_TOKENS // int(lengths[order[start]]))
        yield order[start:stop]
        start = stop


def log_likelihoods(
    net: Any, sentences: Sentences, output: tuple[np.ndarray, np.ndarray], device: torch.device
) -> tuple[np.ndarray, int]:
    """Return how likely sentences are, each read as a whole.

    Parameters
    ----------
    net : BidirectionalNet
    sentences : Sentences
    output : (ndarray of shape (n_words, dim), ndarray of shape (n_words,))
        Weights and biases of the softmax.
    device : torch.device

    Returns
    -------
    ndarray of shape (2,), float64
        Sums of the log-probabilities that left to right and right to left give to words, and to the end of a sentence
        or to its begin.
    int
        How many these are, of either direction.
    """
    reader = _Reader(net, sentences, device)
    table = RowTable(torch.as_tensor(np.column_stack(output), device=device), 0.0)
    softmax = SampledSoftmax(table, np.ones(len(output[1])), None, 1.0, seeded_generator(0))
    lengths = np.diff(sentences.indptr)
    parts = list(_log_likelihoods(reader, softmax, sentences.indptr[:-1], sentences.indptr[1:]))
    return np.sum(parts, axis=0), int((lengths - 1).sum())


@one_thread_in_forks()
@torch.inference_mode(False)
@torch.enable_grad()
def learn_language_model(
    net: Any,
    sentences: Sentences,
    held_out: np.ndarray,
    counts: np.ndarray,
    settings: LanguageModelSettings,
    run: Run,
) -> tuple[tuple[np.ndarray, np.ndarray], History]:
    """Train a net in place.

    Parameters
    ----------
    net : BidirectionalNet
        With the weights to begin from, on the CPU; it is there again with those that were learned.
    sentences : Sentences
    held_out : ndarray of bool, (n_sentences,)
        Sentences that early stopping looks at; without any it is off.
    counts : ndarray of shape (n_words,)
        How often each word of the vocabulary is predicted.
    settings : LanguageModelSettings
    run : Run

    Returns
    -------
    output : (ndarray of shape (n_words, dim), ndarray of shape (n_words,))
        Weights and biases of the softmax.
    History
    """
    device, generator = resolve_device(settings.device), seeded_generator(run.seed)
    settings = replace(settings, early_stopping=bool(held_out.any()))
    net.to(device)
    width = net.tokens(torch.as_tensor(sentences.characters[:1], device=device).long()).shape[1]
    start = initial_output(counts, width, _INITIAL_REACH, generator)
    table = RowTable(start.to(device), settings.learning_rate)
    softmax = SampledSoftmax(table, counts, settings.n_samples, settings.ns_exponent, generator)
    pieces, held = (cut_sentences(sentences.indptr, which, settings.max_length) for which in (~held_out, held_out))
    model = _LanguageModel(_Reader(net, sentences, device), softmax, settings, pieces, held, generator)
    n_events = 2 * float((pieces[1] - pieces[0] - 1).sum())
    history = run_passes(model, torch.arange(len(pieces[0]), device="cpu"), n_events, generator, settings, run)
    net.to("cpu")
    learned = table.weight.cpu().numpy()
    return (learned[:, :-1].copy(), learned[:, -1].copy()), history
