"""Effects of levels on the target by least squares with shrinkage: the leading dimensions of every vector.

Two effects for each level. The *crossed* effect is its coefficient in one joint model of all columns, a random effect
for each column with a variance of its own (Henderson 1975, "Best linear unbiased estimation and prediction under a
selection model"). The *marginal* effect is the same with the column alone, the shrunken mean of the target.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

__all__ = ["Effects", "EffectsModel", "VarianceRatios", "solve_effects"]

N_VARIANCE_ITER = 20  # the ratios move by less than a few per cent after ten
MAX_VARIANCE_ROWS = 200_000  # a ratio of variances needs no more
SOLVE_TOL = 1e-4  # relative, far below the sampling error of any level
MAX_SOLVE_ITER = 200
MAX_RARE_COUNT = 2.0
MIN_VARIANCE = 1e-8


@dataclass
class Effects:
    """Effects of one set of rows.

    Attributes
    ----------
    crossed, marginal : list of ndarray of shape (n_rows_of_table, n_targets)
        One table a column; row 0 is the unknown level.
    side : ndarray of shape (n_side, n_targets)
        Coefficients of the numeric side inputs in the crossed model.
    """

    crossed: list[np.ndarray]
    marginal: list[np.ndarray]
    side: np.ndarray

    def predict(self, ids: np.ndarray, side: np.ndarray) -> np.ndarray:
        """Sum of the crossed effects of shape (n_samples, n_targets)."""
        total = side @ self.side
        for c, table in enumerate(self.crossed):
            total += table[ids[:, c]]
        return total


class VarianceRatios(NamedTuple):
    """Noise variance over effect variance of each column, (n_columns,): rows at which an effect is shrunk by half."""

    crossed: np.ndarray
    marginal: np.ndarray


class EffectsModel:
    """Crossed and marginal random effects of the levels of several columns.

    Parameters
    ----------
    ids : ndarray of shape (n_samples, n_columns), int64
        Table rows, 0 for unknown.
    sizes : list of int
        Table rows of each column.
    side : ndarray of shape (n_samples, n_side)
        Standardised numeric inputs.
    target : ndarray of shape (n_samples, n_targets)
        Standardised.
    weight : ndarray of shape (n_samples,)
    rng : numpy.random.RandomState
        Draws the rows that the variances are learned from, where there are very many.
    """

    def __init__(self, ids, sizes, side, target, weight, rng) -> None:
        self.ids, self.sizes, self.side, self.target, self.weight = ids, list(sizes), side, target, weight
        n, n_columns = ids.shape
        self.one_hot = one_hot_matrix(ids, self.sizes)
        rows = np.arange(n)
        if n > MAX_VARIANCE_ROWS:
            rows = np.sort(rng.choice(n, MAX_VARIANCE_ROWS, replace=False))
        no_side = np.empty((n, 0))
        self.ratios = VarianceRatios(
            crossed=self._variance_ratios(rows, list(range(n_columns)), self.side),
            marginal=np.array([self._variance_ratios(rows, [c], no_side)[0] for c in range(n_columns)]),
        )

    def _variance_ratios(self, rows: np.ndarray, columns: list[int], side: np.ndarray) -> np.ndarray:
        """Noise variance over effect variance of each column, by mean-field variational Bayes.

        One variance a column serves all targets. Each update is closed: an effect's mean is its weighted residual sum
        over ``n + ratio``, its variance ``noise / (n + ratio)``.
        """
        weight, side = self.weight[rows], side[rows]
        total = weight.sum()
        residual = self.target[rows] - np.average(self.target[rows], axis=0, weights=weight)
        sums = [
            sp.csr_matrix((weight, (self.ids[rows, c], np.arange(len(rows)))), shape=(self.sizes[c], len(rows)))
            for c in columns
        ]
        counts = [np.bincount(self.ids[rows, c], weight, self.sizes[c]) for c in columns]
        effects = [np.zeros((self.sizes[c], residual.shape[1])) for c in columns]
        noise, variance = 1.0, np.full(len(columns), 1.0 / max(len(columns), 1))
        gram = side.T @ (weight[:, None] * side) + 1e-6 * total * np.eye(side.shape[1])
        slope = np.zeros((side.shape[1], residual.shape[1]))
        for _ in range(N_VARIANCE_ITER):
            uncertainty = 0.0
            if side.shape[1]:
                change = np.linalg.solve(gram, side.T @ (weight[:, None] * residual) - 1e-6 * total * slope)
                slope += change
                residual -= side @ change
            for k, c in enumerate(columns):
                denominator = counts[k] + noise / variance[k]
                new = (sums[k] @ residual + counts[k][:, None] * effects[k]) / denominator[:, None]
                residual -= (new - effects[k])[self.ids[rows, c]]
                effects[k] = new
                posterior = noise / denominator
                seen = counts[k] > 0
                variance[k] = max(float(np.mean((new[seen] ** 2).mean(axis=1) + posterior[seen])), MIN_VARIANCE)
                uncertainty += float(posterior @ counts[k]) / total
            noise = max(float(np.average((residual**2).mean(axis=1), weights=weight)) + uncertainty, MIN_VARIANCE)
        return noise / variance

    def solve(self, rows: np.ndarray | None = None) -> Effects:
        """Learn the effects from some of the rows, all by default, with the variances of all."""
        weight = self.weight
        if rows is not None:
            weight = np.zeros_like(self.weight)
            weight[rows] = self.weight[rows]
        return solve_effects(self.ids, self.sizes, self.side, self.target, weight, self.ratios, one_hot=self.one_hot)


def one_hot_matrix(ids: np.ndarray, sizes: list[int]) -> sp.csr_matrix:
    """Return the one-hot columns of all levels of all columns, (n_samples, sum of sizes)."""
    n, n_columns = ids.shape
    starts = np.concatenate([[0], np.cumsum(sizes)])
    indptr = np.arange(0, n * n_columns + 1, n_columns)
    return sp.csr_matrix((np.ones(ids.size), (ids + starts[:-1]).ravel(), indptr), shape=(n, starts[-1]))


def solve_effects(
    ids: np.ndarray,
    sizes: list[int],
    side: np.ndarray,
    target: np.ndarray,
    weight: np.ndarray,
    ratios: VarianceRatios,
    *,
    one_hot: sp.csr_matrix | None = None,
    prior: Effects | None = None,
    prior_counts: list[np.ndarray] | None = None,
) -> Effects:
    """Learn the effects with given variances.

    Parameters
    ----------
    ids, sizes, side, target
        As in `EffectsModel`.
    weight : ndarray of shape (n_samples,)
        Rows of weight 0 have no influence.
    ratios : VarianceRatios
    one_hot : csr_matrix, optional
        Of `ids`, where it is at hand.
    prior : Effects, optional
        What was learned from earlier rows; zero effects by default.
    prior_counts : list of ndarray of shape (n_table_rows,), optional
        Rows that `prior` has seen.

    Returns
    -------
    Effects
    """
    one_hot = one_hot_matrix(ids, sizes) if one_hot is None else one_hot
    starts = np.concatenate([[0], np.cumsum(sizes)])
    counts = one_hot.T @ weight
    if prior is None or prior_counts is None:
        # with a prior the level of the target is settled; without, it is the mean of these rows
        center = np.average(target, axis=0, weights=weight)
        old = Effects([], [], np.zeros((side.shape[1], target.shape[1])))
        before = np.zeros(starts[-1])
        crossed_residual = target - center
    else:
        center = np.zeros(target.shape[1])
        old = prior
        before = np.concatenate(prior_counts)
        crossed_residual = target - prior.predict(ids, side)
    side_mass = weight.sum() * 1e-6 + (0.0 if prior is None else float(before.sum()) / len(sizes))
    penalty = np.concatenate([np.repeat(ratios.crossed, sizes) + before, np.full(side.shape[1], side_mass)])
    change = conjugate_gradient(one_hot, side, weight, crossed_residual, penalty)
    response = weight[:, None] * (target - center)
    crossed, marginal = [], []
    for c, size in enumerate(sizes):
        part = slice(starts[c], starts[c + 1])
        sums = np.stack([np.bincount(ids[:, c], response[:, k], size) for k in range(target.shape[1])], 1)
        table = change[part]
        denominator = (counts[part] + before[part] + ratios.marginal[c])[:, None]
        if old.crossed:
            table = table + old.crossed[c]
            sums += old.marginal[c] * (before[part] + ratios.marginal[c])[:, None]
        mean = sums / denominator
        total = counts[part] + before[part]
        share_unknown(table, total, ratios.crossed[c])
        share_unknown(mean, total, ratios.marginal[c])
        crossed.append(table)
        marginal.append(mean)
    return Effects(crossed, marginal, old.side + change[starts[-1] :])


def conjugate_gradient(
    one_hot: sp.csr_matrix, side: np.ndarray, weight: np.ndarray, target: np.ndarray, penalty: np.ndarray
) -> np.ndarray:
    """Solve (Z'WZ + penalty) effects = Z'W target, Z being one-hot columns beside side inputs.

    Preconditioned by the diagonal; all targets in step, each with a step length of its own.

    Parameters
    ----------
    one_hot : csr_matrix of shape (n_samples, n_levels)
    side : ndarray of shape (n_samples, n_side)
    weight : ndarray of shape (n_samples,)
    target : ndarray of shape (n_samples, n_targets)
    penalty : ndarray of shape (n_levels + n_side,)

    Returns
    -------
    ndarray of shape (n_levels + n_side, n_targets)
    """
    n_levels = one_hot.shape[1]
    diagonal = penalty + np.concatenate([one_hot.T @ weight, (weight[:, None] * side**2).sum(axis=0)])

    def multiply(v: np.ndarray) -> np.ndarray:
        fitted = weight[:, None] * (one_hot @ v[:n_levels] + side @ v[n_levels:])
        return np.concatenate([one_hot.T @ fitted, side.T @ fitted]) + penalty[:, None] * v

    response = weight[:, None] * target
    residual = np.concatenate([one_hot.T @ response, side.T @ response])
    solution = np.zeros_like(residual)
    scaled = residual / diagonal[:, None]
    direction = scaled.copy()
    energy = (residual * scaled).sum(axis=0)
    goal = SOLVE_TOL**2 * energy
    for _ in range(MAX_SOLVE_ITER):
        if np.all(energy <= goal):
            break
        image = multiply(direction)
        step = energy / np.maximum((direction * image).sum(axis=0), 1e-300)
        solution += step * direction
        residual -= step * image
        scaled = residual / diagonal[:, None]
        new_energy = (residual * scaled).sum(axis=0)
        direction = scaled + (new_energy / np.maximum(energy, 1e-300)) * direction
        energy = new_energy
    return solution


def share_unknown(table: np.ndarray, counts: np.ndarray, ratio: float) -> None:
    """Learn the unknown level's effect, and give it to every level without data, in place.

    Row 0 has data of its own where rare levels were sent there. Where it has none, it is learned from the rarest
    levels: their rows taken together as one level, since a level that was never met is most like one that was met once
    or twice.

    Parameters
    ----------
    table : ndarray of shape (n_table_rows, n_targets)
        Effects, each its rows' residual sum over ``count + ratio``.
    counts : ndarray of shape (n_table_rows,)
    ratio : float
    """
    seen = counts > 0
    if not seen[0] and seen.any():
        rare = seen & (counts <= MAX_RARE_COUNT)
        pooled = rare if rare.any() else seen
        table[0] = table[pooled].T @ (counts[pooled] + ratio) / (counts[pooled].sum() + ratio)
    table[~seen] = table[0]
