"""Layers of a recurrent net over sequences: vectors of levels and codes of numbers, an LSTM or GRU, the output."""

import warnings
from typing import Any

import numpy as np
import torch

from skembed.training.recurrent import CaseProblem, InputWeights, RecurrentSettings

__all__ = ["Inputs", "RecurrentLayers", "contiguous"]

_FORGET_BIAS = 1.0  # Jozefowicz, Zaremba & Sutskever 2015


class Inputs(torch.nn.Module):
    """Vectors of levels and thermometer codes of numbers, side by side.

    A number at place p among K knots is the K - 1 numbers ``clip(p - k, 0, 1)``, and a flag where it may be missing.
    """

    def __init__(self, tables: list[np.ndarray], n_knots: list[int], flagged: list[bool]) -> None:
        super().__init__()
        self.tables = torch.nn.ParameterList(
            [torch.nn.Parameter(torch.tensor(table, device="cpu")) for table in tables]
        )
        self.n_knots, self.flagged = n_knots, flagged
        self.which = [j for j, n in enumerate(n_knots) for _ in range(n - 1)]
        self.knots = [float(k) for n in n_knots for k in range(n - 1)]
        self.flags = [j for j, flag in enumerate(flagged) if flag]

    @property
    def width(self) -> int:
        return sum(table.shape[1] for table in self.tables) + len(self.which) + len(self.flags)

    def forward(self, ids: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
        """Return (n, width)."""
        parts = [table.index_select(0, ids[:, c]) for c, table in enumerate(self.tables)]
        if self.which:
            parts.append((places[:, self.which] - places.new_tensor(self.knots)).clamp_(0.0, 1.0))
        if self.flags:
            parts.append((places[:, self.flags] < 0).to(places.dtype))
        return torch.cat(parts, dim=1) if parts else places.new_zeros((len(ids), 0))

    def weights(self, weight: np.ndarray) -> InputWeights:
        """Return a linear map of the inputs, (n_outputs, width), as what each column adds."""
        categories, numbers, start = [], [], 0
        for table in self.tables:
            categories.append(contiguous(weight[:, start : start + table.shape[1]].T))
            start += table.shape[1]
        flag = start + len(self.which)
        for n, flagged in zip(self.n_knots, self.flagged):
            steps = weight[:, start : start + n - 1].T.astype(np.float64)
            rows = np.zeros((1 + n, weight.shape[0]))
            np.cumsum(steps, axis=0, out=rows[2:])
            if flagged:
                rows[0] = weight[:, flag]
                flag += 1
            numbers.append(contiguous(rows))
            start += n - 1
        return InputWeights(categories, numbers)


def contiguous(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values, dtype=np.float32)


class RecurrentLayers(torch.nn.Module):
    """Inputs, cell and output; parameters are drawn from `generator` alone."""

    def __init__(self, problem: CaseProblem, settings: RecurrentSettings, generator: torch.Generator) -> None:
        super().__init__()
        k, m = problem.cases.ids.shape[1], problem.cases.places.shape[1]
        self.events = Inputs(problem.tables[:k], problem.n_knots[:m], problem.flagged[:m])
        self.of_cases = Inputs(problem.tables[k:], problem.n_knots[m:], problem.flagged[m:])
        dim, width = settings.embedding_dim, self.of_cases.width
        cell = torch.nn.LSTM if settings.cell == "lstm" else torch.nn.GRU
        n_states = 2 if settings.cell == "lstm" else 1
        self.cell = _unset(cell, self.events.width + width, dim)
        self.start = _unset(torch.nn.Linear, width, n_states * dim)
        self.output = _unset(torch.nn.Linear, dim, problem.n_targets)
        self.dim = dim
        with torch.no_grad():
            for part in (self.cell, self.start, self.output):
                for parameter in part.parameters():
                    parameter.uniform_(-(dim**-0.5), dim**-0.5, generator=generator)
            if settings.cell == "lstm":
                self.cell.bias_ih_l0[dim : 2 * dim] = _FORGET_BIAS
                self.cell.bias_hh_l0[dim : 2 * dim] = 0.0
            self.output.bias.copy_(torch.as_tensor(_mean_scores(problem), dtype=torch.float32, device="cpu"))


def _unset(kind: Any, *sizes: int) -> Any:
    """Return a module whose parameters hold anything: torch's own start draws from what the process shares."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Initializing zero-element")
        return kind(*sizes, device="meta", dtype=torch.float32).to_empty(device="cpu")


def _mean_scores(problem: CaseProblem) -> np.ndarray:
    """Return the scores that say of every case what is true on average."""
    weight = problem.weight.astype(np.float64)
    if problem.target.ndim == 1:
        counts = np.bincount(problem.target, weight, problem.n_targets) + 1.0
        return np.log(counts / counts.sum())
    mean = np.average(problem.target, axis=0, weights=weight)
    scores = mean.copy()
    for kind, start, stop in problem.parts:
        p = np.clip(mean[start:stop], 1e-6, 1 - 1e-6)
        if kind != "continuous":
            scores[start:stop] = np.log(p / (1 - p)) if kind == "binary" else np.log(p)
    return scores
