"""A net over the rows of several tables: gathered rows and numeric side inputs, side by side, into one small MLP."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch

from skembed.training.nets.adam import FlatAdamW
from skembed.training.nets.losses import MultiLoss
from skembed.training.nets.row_tables import RowTable

__all__ = ["Block", "TableNet", "build_head"]

WEIGHT_DECAY = 1e-4
LAST_LAYER_SCALE = 0.1  # the net begins near its offset, so that it learns what is left


@dataclass
class Block:
    """Columns whose vectors have one length, their tables stacked.

    Attributes
    ----------
    columns : list of int
    starts : LongTensor of shape (n_columns,)
        Each column's first row in the stack, which is its unknown level.
    ids : LongTensor of shape (n_samples, n_columns)
        Rows of the stack.
    start : Tensor of shape (n_rows, dim), float32
        The rows that learning begins from.
    trainable : bool
    """

    columns: list[int]
    starts: torch.Tensor
    ids: torch.Tensor
    start: torch.Tensor
    trainable: bool = True

    @property
    def dim(self) -> int:
        return self.start.shape[1]


def build_head(
    n_inputs: int, hidden_layer_sizes: Sequence[int], n_targets: int, generator: torch.Generator
) -> torch.nn.Sequential:
    """Build an MLP with ReLU between its layers, drawn from `generator` alone.

    Weights and biases are uniform in ±1/sqrt(inputs of the layer), the last layer's a tenth of that.
    """
    sizes = [n_inputs, *hidden_layer_sizes, n_targets]
    layers: list[torch.nn.Module] = []
    for i, (fan_in, fan_out) in enumerate(pairwise(sizes)):
        layer = torch.nn.utils.skip_init(torch.nn.Linear, fan_in, fan_out, device="cpu", dtype=torch.float32)
        bound = (LAST_LAYER_SCALE if i == len(sizes) - 2 else 1.0) / max(fan_in, 1) ** 0.5
        with torch.no_grad():
            for parameter in layer.parameters():
                parameter.uniform_(-bound, bound, generator=generator)
        layers += [layer, torch.nn.ReLU()]
    return torch.nn.Sequential(*layers[:-1])


class TableNet:
    """Scores = offset + head([rows of every column, numeric]); a `Trainable` of the loop.

    Parameters
    ----------
    blocks : list of Block
    numeric, offset, target, weight : ndarray of shape (n_samples, ...)
        Numeric inputs, what is added to the scores, the coded target, and sample weights.
    loss : MultiLoss
    head : torch.nn.Sequential
    learning_rate : float
    unknown_rate : float
        Share of the occurrences of levels that training replaces by the unknown level, so that its row is learned.
    generator : torch.Generator
        On the CPU.
    validation : ndarray of int
        Rows held out.
    device : torch.device
    """

    def __init__(
        self,
        blocks: list[Block],
        numeric: np.ndarray,
        offset: np.ndarray,
        target: np.ndarray,
        weight: np.ndarray,
        loss: MultiLoss,
        head: torch.nn.Sequential,
        *,
        learning_rate: float,
        unknown_rate: float,
        generator: torch.Generator,
        validation: np.ndarray,
        device: torch.device,
    ) -> None:
        self.device = device
        self.blocks = [
            Block(b.columns, b.starts.to(device), b.ids.to(device), b.start.to(device), b.trainable) for b in blocks
        ]
        self.numeric, self.offset, self.target, self.weight = (
            torch.as_tensor(a, dtype=torch.float32, device=device) for a in (numeric, offset, target, weight)
        )
        self.loss, self.head = loss, head.to(device)
        self.generator, self.unknown_rate = generator, unknown_rate
        self.validation = torch.as_tensor(validation, dtype=torch.int64, device=device)
        self.tables = [RowTable(b.start, learning_rate) for b in self.blocks]
        self.optimizer = FlatAdamW(self.head, learning_rate, WEIGHT_DECAY)
        self.n_products = float(len(self.optimizer.weight))
        self.null_loss = self._null_loss() if len(validation) else 1.0

    def step(self, rows: torch.Tensor) -> torch.Tensor:
        rows = rows.to(self.device)
        ids = self.ids(rows, self.generator)
        gathered = self.gather(ids, [table.weight for table in self.tables])
        for part in gathered:
            part.requires_grad_(True)
        weight = self.weight[rows]
        losses = self.loss(self.scores(gathered, rows), self.target[rows]) * weight
        self.optimizer.zero_grad()
        (losses.sum() / weight.sum().clamp(min=1e-12)).backward()
        self.optimizer.step()
        for block, table, block_ids, part in zip(self.blocks, self.tables, ids, gathered):
            if block.trainable:
                gradient: Any = part.grad
                table.update(block_ids.reshape(-1), gradient.reshape(-1, block.dim))
        return losses.detach().sum()

    def ids(self, rows: torch.Tensor, generator: torch.Generator | None = None) -> list[torch.Tensor]:
        """Return the stacked ids of some rows, a share of them made unknown where a generator is given."""
        found = [block.ids.index_select(0, rows) for block in self.blocks]
        if generator is None or self.unknown_rate <= 0:
            return found
        shape = (len(rows), sum(i.shape[1] for i in found))
        draws = torch.rand(shape, generator=generator, dtype=torch.float32, device="cpu").to(self.device)
        unknown = torch.split(draws < self.unknown_rate, [i.shape[1] for i in found], dim=1)
        return [torch.where(mask, block.starts, i) for mask, block, i in zip(unknown, self.blocks, found)]

    def gather(self, ids: list[torch.Tensor], weights: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Return (n_rows, n_columns, dim) of each block."""
        # whole rows are copied; `weight[i]` would look up number by number
        return [w.index_select(0, i.flatten()).view(*i.shape, -1) for w, i in zip(weights, ids)]

    def scores(self, gathered: list[torch.Tensor], rows: torch.Tensor) -> torch.Tensor:
        inputs = torch.cat([*(part.flatten(1) for part in gathered), self.numeric[rows]], dim=1)
        return self.head(inputs) + self.offset[rows]

    @torch.no_grad()
    def row_losses(self, rows: torch.Tensor, weights: Sequence[torch.Tensor], batch_size: int = 65_536) -> torch.Tensor:
        """Return the loss of each of `rows` with the given table weights, (n_rows,)."""
        parts = torch.split(rows, batch_size)
        losses = [self.loss(self.scores(self.gather(self.ids(p), weights), p), self.target[p]) for p in parts]
        return torch.cat(losses)

    def mean_loss(self, rows: torch.Tensor, weights: Sequence[torch.Tensor]) -> float:
        """Return the weighted mean loss of `rows` with the given table weights."""
        weight = self.weight[rows]
        return float((self.row_losses(rows, weights) * weight).sum() / weight.sum().clamp(min=1e-12))

    def _null_loss(self) -> float:
        rows, target = self.validation, self.target
        mean = (target * self.weight[:, None]).sum(0) / self.weight.sum()
        scores = mean.clone()
        for kind, start, stop in self.loss.parts:
            p = mean[start:stop].clamp(1e-6, 1 - 1e-6)
            if kind != "continuous":
                scores[start:stop] = (p / (1 - p)).log() if kind == "binary" else p.log()
        losses = self.loss(scores.expand(len(rows), -1), target[rows]) * self.weight[rows]
        return max(float(losses.sum() / self.weight[rows].sum().clamp(min=1e-12)), 1e-12)

    def validation_score(self) -> float:
        """Return the share of the null model's loss that the net explains: D², 1 is perfect."""
        return 1.0 - self.mean_loss(self.validation, [t.weight for t in self.tables]) / self.null_loss

    def snapshot(self) -> Any:
        return [t.weight.clone() for t in self.tables], [p.detach().clone() for p in self.head.parameters()]

    def restore(self, state: Any) -> None:
        weights, parameters = state
        with torch.no_grad():
            for table, weight in zip(self.tables, weights):
                table.weight.copy_(weight)
            for parameter, value in zip(self.head.parameters(), parameters):
                parameter.copy_(value)
