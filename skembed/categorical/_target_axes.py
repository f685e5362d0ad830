"""Directions of a target of very many classes or outputs, along which its effects are learned.

Effects of levels are linear in the sums of the target over the rows of each level, so there are none in a direction in
which these do not differ. The leading directions of the sums take the place of the targets: two thousand classes then
take as long as `MIN_AXES`. They are sought among the noise of all rows, held-out ones too, so that with few rows noise
would be found: there all targets are learned, which takes no time.
"""

import math
from collections.abc import Sequence

import numpy as np

from skembed.categorical._effects import crossed_ratios, sampled_rows
from skembed.categorical._interaction_screening import (
    cell_workspace,
    critical_value,
    hashed_cells,
    moment_ratio,
    screen_pairs,
)
from skembed.categorical._samples import Samples
from skembed.data.standardised import StandardisedTarget
from skembed.training.block_krylov import leading_eigenvectors

__all__ = ["max_axes", "target_axes"]

MIN_AXES = 64  # vectors hold 16 directions of a column's effects at most
MAX_ENTRIES = 10**6  # rows times axes, where these are more: a second or two
N_PROBES = 64  # random directions of the target that stand for all of it
MAX_PAIRS = 16  # each takes as long as a column


def max_axes(n_samples: int) -> int:
    """Return how many directions of the target, or targets, so many rows are learned along."""
    return max(MIN_AXES, MAX_ENTRIES // max(n_samples, 1))


def target_axes(
    ids: np.ndarray,
    sizes: list[int],
    numeric: np.ndarray,
    standardised: StandardisedTarget,
    weight: np.ndarray,
    rng: np.random.RandomState,
) -> np.ndarray:
    """Return the directions of the target in which levels differ most, at right angles, the leading one first.

    Which columns differ beyond chance at all, and which pairs of them interact, the score test tells from random
    directions of the target: in the mean of these, squares are those of all targets.

    Parameters
    ----------
    ids, sizes, numeric, weight
        As in `Samples`.
    standardised : StandardisedTarget
    rng : numpy.random.RandomState

    Returns
    -------
    ndarray of shape (n_targets, n_axes)
        At most `max_axes`.
    """
    n_axes = max_axes(len(ids))
    rows = sampled_rows(len(ids), rng)
    ids, weight, standardised = ids[rows], weight[rows], standardised.take(rows)
    n_targets = standardised.n_targets
    probes = np.linalg.qr(rng.standard_normal((n_targets, min(N_PROBES, n_targets))))[0]
    blocks = []
    for cells, n_cells, ratio in telling_cells(Samples(ids, sizes, numeric[rows], standardised.along(probes), weight)):
        sums, center = standardised.sums(cells, n_cells, weight)
        mass = np.bincount(cells, weight, n_cells)
        blocks.append((sums, center, mass, mass / (mass + ratio) ** 2))

    def scatter(directions: np.ndarray) -> np.ndarray:
        """Return the product with the sum over cells of their rows times their effects' outer products."""
        total = np.zeros_like(directions)
        for sums, center, mass, shrunk in blocks:
            effects = shrunk[:, None] * (sums @ directions - np.outer(mass, center @ directions))
            total += sums.T @ effects - np.outer(center, mass @ effects)
        return total

    generator = np.random.default_rng(rng.randint(2**31))
    return leading_eigenvectors(scatter, n_targets, n_axes, np.dtype(np.float64), generator)


def telling_cells(samples: Samples) -> list[tuple[np.ndarray, int, float]]:
    """Return the columns, and the pairs of columns, whose levels differ beyond chance.

    Returns
    -------
    list of (cells, n_cells, ratio)
        The level or pair of levels of each row, how many there are, and noise variance over effect variance.
    """
    columns = {c: column.astype(np.uint64) for c, column in enumerate(samples.ids.T)}
    root = np.sqrt(samples.weight)
    residual = samples.target - np.average(samples.target, axis=0, weights=samples.weight)
    found = tested(columns, samples.sizes, [(c,) for c in columns], residual, root)
    _, residual = crossed_ratios(samples)
    pairs = screen_pairs(samples.ids, samples.sizes, len(columns), residual, samples.weight)
    return found + tested(columns, samples.sizes, pairs[:MAX_PAIRS], residual, root)


def tested(
    columns: dict[int, np.ndarray],
    sizes: list[int],
    terms: Sequence[tuple[int, ...]],
    residual: np.ndarray,
    root: np.ndarray,
) -> list[tuple[np.ndarray, int, float]]:
    """Return the columns, or combinations of them, in the cells of which residuals are alike beyond chance."""
    from skembed.kernels.level_effects import cell_statistic

    residual = np.ascontiguousarray(residual * root[:, None])
    workspace, found = cell_workspace(residual), []
    critical = critical_value(max(len(terms), 1))
    for term in terms:
        cells, size = hashed_cells(columns, sizes, term)
        statistic, variance = cell_statistic(cells, residual, *(part[:size] for part in workspace))
        if statistic > critical * math.sqrt(variance) > 0:
            found.append((cells, size, moment_ratio(cells, size, root, residual, statistic)))
    return found
