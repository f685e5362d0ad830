"""An autoencoder of numbers and categories that begins as principal components and learns what is not linear.

Encoder and decoder are a linear map plus a small MLP each. The linear maps are given, the MLPs begin at zero, so the
first state reconstructs as well as principal components do, and only what validation rows confirm moves it away.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from skembed.training.autoencoder import AutoencoderRows, AutoencoderSettings
from skembed.training.nets.adam import FlatAdamW
from skembed.training.nets.device import resolve_device, seeded_generator
from skembed.training.nets.loop import run_passes
from skembed.training.nets.threads import one_thread_in_forks
from skembed.training.passes import History
from skembed.training.run import Run

__all__ = ["AutoencoderNet", "train_autoencoder"]

WEIGHT_DECAY = 1e-4
EVALUATION_ROWS = 16_384
LEAST_HELD_OUT = 10  # rows, to tell whether the net is better than its start
N_ERRORS = 1.5  # standard errors of the mean gain that it has to be better by
SLOWER = 0.5  # times the learning rate, when the validation score has not risen for half the patience


class AutoencoderNet(torch.nn.Module):
    """z = skip(x) + encoder(x) and x' = skip(z) + decoder(z), each with an MLP of ReLU layers.

    Parameters
    ----------
    n_inputs : int
        Numbers of a row, flags of missing ones among them.
    n_levels : sequence of int
        Table rows of every categorical column.
    n_targets : int
        Numbers that are reconstructed: the first ones of the inputs.
    level_weights : sequence of float
        What the cross-entropy of every categorical column is multiplied by.
    hidden_layer_sizes : sequence of int
        Of the encoder; the decoder has them in reverse.
    start : dict of str to ndarray
        The linear start: "encode" (n_inputs + levels, dim), "encode_bias" (dim,), "decode" (dim, n_targets + levels)
        and "decode_bias"; levels are those of all columns, one after another.
    generator : torch.Generator
    """

    def __init__(
        self,
        n_inputs: int,
        n_levels: Sequence[int],
        n_targets: int,
        level_weights: Sequence[float],
        hidden_layer_sizes: Sequence[int],
        start: dict[str, np.ndarray],
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.n_inputs, self.n_targets, self.n_levels = n_inputs, n_targets, list(n_levels)
        self.level_weights = list(level_weights)
        sizes = list(hidden_layer_sizes)
        self.width = sizes[0] if sizes else 0
        dim = start["encode"].shape[1]
        n_read = n_inputs + len(self.n_levels)  # of a one-hot column one input is not 0
        first = [_uniform((len(start["encode"]), self.width), n_read, generator), _tensor(start["encode"])]
        self.encode_in = torch.nn.Parameter(torch.cat(first, dim=1))
        self.encode_bias = torch.nn.Parameter(
            torch.cat([_uniform((self.width,), n_read, generator), _tensor(start["encode_bias"])])
        )
        self.encoder = _layers([*sizes, dim] if sizes else [], generator, last_zero=True)
        self.decoder = _layers([dim, *sizes[::-1]] if sizes else [], generator, last_zero=False)
        out = _tensor(start["decode"])
        self.decode_out = torch.nn.Parameter(torch.cat([out.new_zeros((self.width, out.shape[1])), out]))
        self.decode_bias = torch.nn.Parameter(_tensor(start["decode_bias"]))

    def encode(self, inputs: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        """Return the code, (batch_size, dim), of inputs (batch_size, n_inputs) and ids (batch_size, n_columns).

        Ids are those of the levels of all columns, one after another.
        """
        read = inputs @ self.encode_in[: self.n_inputs] + self.encode_bias
        if ids.shape[1]:
            read = read + functional.embedding(ids, self.encode_in[self.n_inputs :]).sum(dim=1)
        hidden, code = read[:, : self.width], read[:, self.width :]
        for layer in self.encoder:
            hidden = layer(torch.relu(hidden))
        return code + hidden if len(self.encoder) else code

    def decode(self, code: torch.Tensor) -> torch.Tensor:
        """Return numbers and, behind them, logits of the levels of every column: (batch_size, n_targets + levels)."""
        hidden = code
        for layer in self.decoder:
            hidden = torch.relu(layer(hidden))
        both = torch.cat([hidden, code], dim=1) if len(self.decoder) else code
        return both @ self.decode_out + self.decode_bias

    def losses(self, out: torch.Tensor, target: torch.Tensor, present: torch.Tensor | None, ids: torch.Tensor):
        """Return each row's squared error / 2 plus weighted cross-entropy, a column's mean of both: (batch_size,)."""
        error = out[:, : self.n_targets] - target
        if present is not None:
            error = error * present
        total = 0.5 * error.square().sum(dim=1)
        start = self.n_targets
        offset = 0
        for c, n in enumerate(self.n_levels):
            surprise = functional.cross_entropy(out[:, start : start + n], ids[:, c] - offset, reduction="none")
            total = total + self.level_weights[c] * surprise
            start, offset = start + n, offset + n
        return total / (self.n_targets + len(self.n_levels))


def _tensor(array: np.ndarray) -> torch.Tensor:
    return torch.tensor(array, dtype=torch.float32, device="cpu")


def _uniform(shape: tuple[int, ...], n_read: int, generator: torch.Generator) -> torch.Tensor:
    bound = max(n_read, 1) ** -0.5
    return torch.empty(shape, dtype=torch.float32, device="cpu").uniform_(-bound, bound, generator=generator)


def _layers(sizes: list[int], generator: torch.Generator, *, last_zero: bool) -> torch.nn.ModuleList:
    layers = []
    for i, (fan_in, fan_out) in enumerate(pairwise(sizes)):
        layer = torch.nn.utils.skip_init(torch.nn.Linear, fan_in, fan_out, device="cpu", dtype=torch.float32)
        with torch.no_grad():
            for parameter in layer.parameters():
                parameter.copy_(_uniform(tuple(parameter.shape), fan_in, generator))
                if last_zero and i == len(sizes) - 2:
                    parameter.zero_()
        layers.append(layer)
    return torch.nn.ModuleList(layers)


class _Trainer:
    """A `Trainable` of the loop over rows in memory; slows down when the validation score no longer rises."""

    def __init__(
        self,
        net: AutoencoderNet,
        rows: AutoencoderRows,
        validation: np.ndarray,
        settings: AutoencoderSettings,
        device: torch.device,
    ) -> None:
        self.net = net.to(device)
        self.device, self.patience, self.tol = device, settings.n_iter_no_change, settings.tol
        present = rows.present
        self.inputs = torch.as_tensor(rows.inputs, dtype=torch.float32, device=device)
        self.present = None if present is None else torch.as_tensor(present, dtype=torch.float32, device=device)
        self.ids = torch.as_tensor(rows.ids, dtype=torch.int64, device=device)
        self.validation = torch.as_tensor(validation, dtype=torch.int64, device=device)
        self.optimizer = FlatAdamW(self.net, settings.learning_rate, WEIGHT_DECAY)
        self.n_products = float(len(self.optimizer.weight))
        self.null_loss = self._null_loss() if len(validation) else 1.0
        self.stale, self.best_score = 0, -float("inf")
        self.first_losses = self.validation_losses()

    def step(self, rows: torch.Tensor) -> torch.Tensor:
        losses = self._losses(rows.to(self.device))
        self.optimizer.zero_grad()
        losses.mean().backward()
        self.optimizer.step()
        return losses.detach().sum()

    def _losses(self, rows: torch.Tensor) -> torch.Tensor:
        inputs, ids = self.inputs[rows], self.ids[rows]
        present = None if self.present is None else self.present[rows]
        return self.net.losses(self.net.decode(self.net.encode(inputs, ids)), *self._target(inputs), present, ids)

    def _target(self, inputs: torch.Tensor) -> tuple[torch.Tensor]:
        return (inputs[:, : self.net.n_targets],)

    def _null_loss(self) -> float:
        """Return the loss on the validation rows of means and shares of levels, whatever the row."""
        n = self.net.n_targets
        out = torch.zeros((1, n + sum(self.net.n_levels)), dtype=torch.float32, device=self.device)
        out[0, n:] = self.net.decode_bias.detach()[n:]
        losses = [
            self.net.losses(
                out.expand(len(rows), -1),
                *self._target(self.inputs[rows]),
                None if self.present is None else self.present[rows],
                self.ids[rows],
            )
            for rows in torch.split(self.validation, EVALUATION_ROWS)
        ]
        return max(float(torch.cat(losses).mean()), 1e-12)

    @torch.no_grad()
    def validation_score(self) -> float:
        """Return the share of the null model's loss that the net explains, 1 is perfect; take note of it."""
        score = 1.0 - float(self.validation_losses().mean()) / self.null_loss
        self._slow_down(score)
        return score

    @torch.no_grad()
    def validation_losses(self) -> torch.Tensor:
        """Return the loss of each row held out."""
        return torch.cat([self._losses(rows) for rows in torch.split(self.validation, EVALUATION_ROWS)])

    def is_better_than_start(self) -> bool:
        """Whether the rows held out gain by more than chance: the best of many states on few rows always gains."""
        gain = (self.first_losses - self.validation_losses()).double()
        return len(gain) >= LEAST_HELD_OUT and bool(gain.mean() > N_ERRORS * gain.std() / len(gain) ** 0.5)

    def _slow_down(self, score: float) -> None:
        self.stale = 0 if score > self.best_score + self.tol else self.stale + 1
        self.best_score = max(self.best_score, score)
        if self.stale and self.stale % max(self.patience // 2, 1) == 0:
            self.optimizer.learning_rate *= SLOWER

    def snapshot(self) -> Any:
        return self.optimizer.weight.clone()

    def restore(self, state: Any) -> None:
        self.optimizer.weight.copy_(state)


@one_thread_in_forks()
@torch.inference_mode(False)
@torch.enable_grad()
def train_autoencoder(
    rows: AutoencoderRows,
    start: dict[str, np.ndarray],
    validation: np.ndarray,
    settings: AutoencoderSettings,
    run: Run,
) -> tuple[dict[str, Any], History]:
    """Train an autoencoder from a linear start, and keep the start unless the validation rows clearly gain.

    Parameters
    ----------
    rows : AutoencoderRows
    start : dict of str to ndarray
        As in `AutoencoderNet`.
    validation : ndarray of int
        Rows held out; empty for none, and no early stopping.
    settings : AutoencoderSettings
    run : Run

    Returns
    -------
    weights : dict
        numpy arrays: "encode_in", "encode_bias", "decode_out", "decode_bias", and "encoder" and "decoder", lists of
        (weight of shape (n_in, n_out), bias) pairs.
    history : History
        `validation_scores` hold the share of the null model's loss that is explained; `best_iter` is 0 where the
        start was kept.
    """
    device, generator = resolve_device(settings.device), seeded_generator(run.seed)
    n_inputs, sizes = rows.inputs.shape[1], settings.hidden_layer_sizes
    net = AutoencoderNet(n_inputs, rows.n_levels, rows.n_targets, rows.level_weights, sizes, start, generator)
    trainer = _Trainer(net, rows, validation, settings, device)
    first = trainer.snapshot()
    training = np.setdiff1d(np.arange(len(rows.inputs)), validation)
    settings = replace(settings, early_stopping=len(validation) > 0)
    learned_from = torch.as_tensor(training, device="cpu")
    history = run_passes(trainer, learned_from, float(len(training)), generator, settings, run)
    if len(validation) and not trainer.is_better_than_start():
        trainer.restore(first)
        history.best_iter = 0
    return _weights(net), history


def _weights(net: AutoencoderNet) -> dict[str, Any]:
    def array(parameter: torch.Tensor) -> np.ndarray:
        return parameter.detach().cpu().numpy().copy()

    found: dict[str, Any] = {
        name: array(getattr(net, name)) for name in ("encode_in", "encode_bias", "decode_out", "decode_bias")
    }
    for part in ("encoder", "decoder"):
        found[part] = [(array(layer.weight).T.copy(), array(layer.bias)) for layer in getattr(net, part)]
    return found
