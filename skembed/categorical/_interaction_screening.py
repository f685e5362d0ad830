"""Screening for interactions: which pairs and triples of columns have any, by a score test, side inputs being binned.

Residuals of rows that share both levels are then correlated (the score test of a variance component; Lin 1997,
"Variance component testing in generalised linear models with random effects"). By how much the sum of a cell's
residuals varies more than that of as many independent ones is the design effect (Kish 1965, "Survey sampling").
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np

from skembed.categorical._backfitting import Backfitting
from skembed.categorical._interactions import N_BINS

__all__ = ["MIN_TESTED_ROWS", "numeric_bins", "screen_pairs", "screen_triples", "without_bins"]

MAX_PAIRS = 64  # the most significant ones; each costs a sort of the rows
CELL_BITS = 18  # cells of the hash table that the score test counts in: a few for each row that it looks at
MAX_TESTED = 2 * 10**8  # rows times pairs: a second or two
MIN_TESTED_ROWS = 2_000
MAX_TRIPLES = 64  # that are tested, those of the most significant pairs; by all rows, and again for each one found
MAX_FOUND_TRIPLES = 16  # each takes as long to learn as a pair
MIN_DESIGN_EFFECT = 1.2  # of a triple's cells: where it is less, their rows hardly mislead about the pairs
N_BIN_SWEEPS = 5


def screen_pairs(
    ids: np.ndarray,
    sizes: list[int],
    n_categorical: int,
    residual: np.ndarray,
    weight: np.ndarray,
    groups: np.ndarray | None = None,
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
    groups : ndarray of shape (n_samples,), int64, optional
        Which rows belong together. What rows of one group have in common is then no witness of their cell: it may be
        the group's own. Correlated have to be the residuals of different groups.

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
    workspace, critical = cell_workspace(residual), critical_value(len(pairs))
    found = []
    for a, b in pairs:
        cells, size = hashed_cells(columns, sizes, (a, b))
        sums = residual
        if groups is not None:
            cells, sums = sums_of_groups(cells, groups[rows], residual)
        statistic, variance = cell_statistic(cells, sums, *(part[:size] for part in workspace))
        if variance > 0 and statistic > critical * math.sqrt(variance):
            found.append((statistic / math.sqrt(variance), a, b))
    found.sort(key=lambda item: (-item[0], item[1:]))
    return [(a, b) for _, a, b in found[:MAX_PAIRS]]


def screen_triples(
    columns: list[np.ndarray],
    sizes: list[int],
    pairs: list[tuple[int, int]],
    residual: np.ndarray,
    weight: np.ndarray,
) -> list[tuple[int, ...]]:
    """Return the triples of columns whose rows are so alike that they mislead about the pairs, the surest first.

    What cells have in common, larger ones that hold them have, too, with a greater error. So the effects of the surest
    triple are taken out before the others are tested again.

    Parameters
    ----------
    columns : list of ndarray of shape (n_samples,), int32
        Table rows of each column.
    sizes : list of int
        Table rows of each.
    pairs : list of (int, int)
        That interact, the most significant first. A triple holds three of them.
    residual : ndarray of shape (n_samples, n_targets)
        What the effects of the columns and of the pairs leave.
    weight : ndarray of shape (n_samples,)

    Returns
    -------
    list of (int, int, int)
        Those of a design effect of at least `MIN_DESIGN_EFFECT`, beyond chance as in `screen_pairs`.
    """
    triples = triples_of(pairs)[:MAX_TRIPLES]
    if not triples:
        return []
    from skembed.kernels.level_effects import cell_statistic

    root = np.sqrt(weight)
    residual = np.ascontiguousarray(residual * root[:, None])
    unsigned = {c: columns[c].astype(np.uint64) for triple in triples for c in triple}
    workspace, critical = cell_workspace(residual), critical_value(len(triples))
    found: list[tuple[int, ...]] = []
    while triples and len(found) < MAX_FOUND_TRIPLES:
        least = (MIN_DESIGN_EFFECT - 1.0) * float(np.vdot(residual, residual))
        statistics = {}
        for triple in triples:
            cells, size = hashed_cells(unsigned, sizes, triple)
            statistic, variance = cell_statistic(cells, residual, *(part[:size] for part in workspace))
            if statistic > least and statistic > critical * math.sqrt(variance) > 0:
                statistics[triple] = statistic, statistic / math.sqrt(variance)
        if not statistics:
            break
        surest = max(statistics, key=lambda triple: statistics[triple][1])
        found.append(surest)
        cells, size = hashed_cells(unsigned, sizes, surest)
        residual = without_cells(cells, size, root, residual, statistics[surest][0])
        triples = [triple for triple in statistics if triple != surest]  # less is left of the others in any case
    return found


def triples_of(pairs: list[tuple[int, int]]) -> list[tuple[int, ...]]:
    """Return the triples of columns all of whose pairs are among these, by the last of their pairs."""
    found: list[tuple[int, ...]] = []
    partners: defaultdict[int, set[int]] = defaultdict(set)
    for a, b in pairs:
        found += sorted(tuple(sorted((a, b, c))) for c in partners[a] & partners[b])
        partners[a].add(b)
        partners[b].add(a)
    return found


def without_cells(cells: np.ndarray, size: int, root: np.ndarray, residual: np.ndarray, statistic: float) -> np.ndarray:
    """Return a residual, times the roots of weights, less the random effects of some cells."""
    mass = np.bincount(cells, root**2, size)
    ratio = moment_ratio(cells, size, root, residual, statistic)
    effects = [np.bincount(cells, root * values, size) / np.maximum(mass + ratio, 1e-300) for values in residual.T]
    return residual - root[:, None] * np.stack([e[cells] for e in effects], axis=1)


def moment_ratio(cells: np.ndarray, size: int, root: np.ndarray, residual: np.ndarray, statistic: float) -> float:
    """Return noise variance over effect variance of some cells by the method of moments.

    The statistic, above 0, is what the effects' variance times the pairs of rows is expected to be.
    """
    n_pairs = float((np.bincount(cells, root, size) ** 2 - np.bincount(cells, root**2, size)).sum())
    noise = float(np.vdot(residual, residual)) / len(residual)
    return noise * n_pairs / statistic


def hashed_cells(columns: Mapping[int, np.ndarray], sizes: list[int], which: Sequence[int]) -> tuple[np.ndarray, int]:
    """Return a number of the levels that each row has in some columns, (n_samples,), int64, and how many there are.

    Where levels combine in too many ways they share numbers, as in a hash table.
    """
    cells, size = columns[which[0]], sizes[which[0]]
    for c in which[1:]:
        cells, size = cells * np.uint64(sizes[c]) + columns[c], size * sizes[c]
    if size <= 1 << CELL_BITS:
        return cells.astype(np.int64), size
    # Fibonacci hashing (Knuth, The Art of Computer Programming 3, section 6.4)
    cells = (cells * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(64 - CELL_BITS)
    return cells.astype(np.int64), 1 << CELL_BITS


def sums_of_groups(cells: np.ndarray, groups: np.ndarray, residual: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the residuals of each group in each cell added up, and the cell of each sum, as if they were rows.

    The score test's variance is then that of groups, whatever the rows of one have in common (Liang and Zeger 1986,
    "Longitudinal data analysis using generalized linear models").
    """
    n_groups = int(groups.max()) + 1
    keys, of_row = np.unique(cells * n_groups + groups, return_inverse=True)
    return keys // n_groups, np.stack([np.bincount(of_row, values, len(keys)) for values in residual.T], axis=1)


def cell_workspace(residual: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the zeros that `cell_statistic` works in."""
    n_cells = 1 << CELL_BITS
    return np.zeros((n_cells, residual.shape[1])), np.zeros(n_cells), np.zeros(n_cells)


def critical_value(n_tests: int) -> float:
    """Return how many standard errors so many tests without interaction do not reach by chance, and two more."""
    return math.sqrt(2.0 * math.log(n_tests)) + 2.0


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
