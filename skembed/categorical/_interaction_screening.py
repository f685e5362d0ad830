"""Screening for interactions: which pairs of columns have any, by a score test, numeric side inputs being binned.

Residuals of rows that share both levels are then correlated (the score test of a variance component; Lin 1997,
"Variance component testing in generalised linear models with random effects").
"""

import math
from itertools import combinations

import numpy as np

from skembed.categorical._interaction_learning import Backfitting
from skembed.categorical._interactions import N_BINS

__all__ = ["MIN_TESTED_ROWS", "numeric_bins", "screen_pairs", "without_bins"]

MAX_PAIRS = 64  # the most significant ones; each costs a sort of the rows
CELL_BITS = 18  # cells of the hash table that the score test counts in: a few for each row that it looks at
MAX_TESTED = 2 * 10**8  # rows times pairs: a second or two
MIN_TESTED_ROWS = 2_000
N_BIN_SWEEPS = 5


def screen_pairs(
    ids: np.ndarray,
    sizes: list[int],
    n_categorical: int,
    residual: np.ndarray,
    weight: np.ndarray,
) -> list[tuple[int, int]]:
    """Return the pairs of columns whose levels interact beyond doubt, the most significant first.

    Parameters
    ----------
    ids : ndarray of shape (n_samples, n_columns), int32
        Table rows of the categorical columns, then of binned side inputs, which are partners of categories alone.
    sizes : list of int
        Table rows of each.
    n_categorical : int
    residual : ndarray of shape (n_samples, n_targets)
        What the effects of the columns leave.
    weight : ndarray of shape (n_samples,)

    Returns
    -------
    list of (int, int)
        The score test's statistic is above the largest that so many pairs without interaction give by chance, which
        is about the root of twice the logarithm of their number, and two more.
    """
    from skembed.kernels.level_effects import cell_statistic

    varied = [c for c, column in enumerate(ids.T) if column.size and column.min() != column.max()]
    pairs = [(a, b) for a, b in combinations(varied, 2) if a < n_categorical]
    if not pairs:
        return []
    n_rows = min(len(ids), max(MIN_TESTED_ROWS, MAX_TESTED // len(pairs)))
    rows = np.linspace(0, len(ids) - 1, n_rows).astype(np.int64)
    residual = np.ascontiguousarray(residual[rows] * np.sqrt(weight[rows])[:, None])
    columns = {c: ids[rows, c].astype(np.uint64) for c in varied}
    n_cells = 1 << CELL_BITS
    sums, squares, fourths = np.zeros((n_cells, residual.shape[1])), np.zeros(n_cells), np.zeros(n_cells)
    critical = math.sqrt(2.0 * math.log(len(pairs))) + 2.0
    found = []
    for a, b in pairs:
        size = sizes[a] * sizes[b]
        cells = columns[a] * np.uint64(sizes[b]) + columns[b]
        if size > n_cells:  # Fibonacci hashing (Knuth, The Art of Computer Programming 3, section 6.4)
            cells = (cells * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(64 - CELL_BITS)
        statistic, variance = cell_statistic(
            cells.astype(np.int64), residual, sums[:size], squares[:size], fourths[:size]
        )
        if variance > 0 and statistic > critical * math.sqrt(variance):
            found.append((statistic / math.sqrt(variance), a, b))
    found.sort(key=lambda item: (-item[0], item[1:]))
    return [(a, b) for _, a, b in found[:MAX_PAIRS]]


def without_bins(bins: np.ndarray, sizes: list[int], residual: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return a residual less the effects of binned side inputs, so that a curved one is not taken for interactions."""
    if not bins.shape[1]:
        return residual
    columns = [np.ascontiguousarray(column, dtype=np.int32) for column in bins.T]
    model = Backfitting(columns, sizes, residual, weight, np.ones((len(bins), 1), dtype=np.uint8))
    for _ in range(N_BIN_SWEEPS):
        model.one_pass()
    return model.residual


def numeric_bins(numeric: np.ndarray, edges: list[np.ndarray] | None = None) -> tuple[np.ndarray, list[np.ndarray]]:
    """Cut numeric side inputs into bins of about as many rows each.

    Parameters
    ----------
    numeric : ndarray of shape (n_samples, n_numeric)
    edges : list of ndarray, optional
        Of the bins, where they are settled.

    Returns
    -------
    bins : ndarray of shape (n_samples, n_numeric), int32
        From 1 on: 0 is unknown.
    edges : list of ndarray
    """
    if edges is None:
        cuts = np.linspace(0, 1, N_BINS + 1)[1:-1]
        edges = [np.unique(np.quantile(column, cuts)) for column in numeric.T]
    if not edges:
        return np.empty((len(numeric), 0), dtype=np.int32), []
    bins = [np.searchsorted(edge, column, side="right") + 1 for edge, column in zip(edges, numeric.T)]
    return np.stack(bins, axis=1).astype(np.int32), edges
