"""Effects of levels on the target by least squares with shrinkage: the leading dimensions of every vector.

Two effects for each level. The *crossed* effect is its coefficient in one joint model of all columns, a random effect
for each column with a variance of its own (Henderson 1975, "Best linear unbiased estimation and prediction under a
selection model"). The *marginal* effect is the same with the column alone, the shrunken mean of the target.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from skembed.categorical._samples import Samples
from skembed.state import check_state, stored

__all__ = ["Effects", "EffectsModel", "Prior", "VarianceRatios", "pooled_levels", "sampled_rows", "solve_effects"]

N_VARIANCE_ITER = 20  # the ratios move by less than a few per cent after ten
MAX_VARIANCE_ROWS = 200_000  # a ratio of variances needs no more
SOLVE_TOL = 1e-3  # relative, far below the sampling error of any level
MAX_SOLVE_ITER = 200
MAX_RARE_COUNT = 2.0
MIN_VARIANCE = 1e-8


@stored
@dataclass
class Effects:
    """Effects of one set of rows.

    Attributes
    ----------
    crossed, marginal : list of ndarray of shape (n_rows_of_table, n_targets)
        One table a column; row 0 is the unknown level.
    numeric : ndarray of shape (n_numeric, n_targets)
        Coefficients of the numeric side inputs in the crossed model.
    """

    crossed: list[np.ndarray]
    marginal: list[np.ndarray]
    numeric: np.ndarray

    def __setstate__(self, state: dict[str, Any]) -> None:
        check_state(Effects, state, required=("crossed", "marginal", "numeric"))
        tables = [*state["crossed"], *state["marginal"], state["numeric"]]
        if any(table.ndim != 2 for table in tables) or len({table.shape[1] for table in tables}) != 1:
            raise ValueError(f"expected effects of shape (n, n_targets), got {[table.shape for table in tables]}")
        vars(self).update(state)

    def rounded(self) -> "Effects":
        """Return the effects of levels as float32, which is what the tables that are made of them hold."""
        crossed, marginal = ([table.astype(np.float32) for table in tables] for tables in (self.crossed, self.marginal))
        return Effects(crossed, marginal, self.numeric)

    def predict(self, ids: np.ndarray, numeric: np.ndarray) -> np.ndarray:
        """Sum of the crossed effects of shape (n_samples, n_targets)."""
        total = numeric @ self.numeric
        for c, table in enumerate(self.crossed):
            total += table[ids[:, c]]
        return total


@stored
class VarianceRatios(NamedTuple):
    """Noise variance over effect variance of each column, (n_columns,): rows at which an effect is shrunk by half."""

    crossed: np.ndarray
    marginal: np.ndarray


class Prior(NamedTuple):
    """What earlier rows have told: effects, and the weighted rows of each level that they were learned from."""

    effects: Effects
    counts: list[np.ndarray]


class EffectsModel:
    """Crossed and marginal random effects of the levels of several columns.

    Parameters
    ----------
    samples : Samples
    rng : numpy.random.RandomState
        Draws the rows that the variances are learned from, where there are very many.

    Attributes
    ----------
    ratios : VarianceRatios
    sampled : ndarray of int
        The rows that the variances were learned from.
    residual : ndarray of shape (n_sampled, n_targets)
        What the crossed effects leave of them.
    """

    def __init__(self, samples: Samples, rng: np.random.RandomState) -> None:
        self.samples = samples
        self.sampled = sampled_rows(len(samples), rng)
        some = samples.take(self.sampled)
        crossed, self.residual = crossed_ratios(some)
        marginal = [marginal_ratio(some.ids[:, c], size, some.target, some.weight) for c, size in enumerate(some.sizes)]
        self.ratios = VarianceRatios(crossed=crossed, marginal=np.array(marginal))

    def solve_each(self, include: np.ndarray) -> list[Effects]:
        """Learn the effects from several sets of rows side by side, with the variances of all.

        Parameters
        ----------
        include : ndarray of shape (n_samples, n_sets), uint8
            Which rows belong to which set.

        Returns
        -------
        list of Effects
            One for each set.
        """
        return solve_effects(self.samples, self.ratios, include=include)


def sampled_rows(n_samples: int, rng: np.random.RandomState) -> np.ndarray:
    """Return the rows from which a few numbers are learned: all, or as many as tell them well enough."""
    if n_samples <= MAX_VARIANCE_ROWS:
        return np.arange(n_samples)
    return np.sort(rng.choice(n_samples, MAX_VARIANCE_ROWS, replace=False))


def crossed_ratios(samples: Samples) -> tuple[np.ndarray, np.ndarray]:
    """Return noise variance over effect variance of each column, (n_columns,), and the residual, by variational Bayes.

    One variance a column serves all targets. Each update is closed: an effect's mean is its weighted residual sum over
    ``n + ratio``, its variance ``noise / (n + ratio)``.
    """
    from skembed.kernels.level_effects import sweep_effects  # numba comes with the first fit

    ids, sizes, numeric = samples.ids, samples.sizes, samples.numeric
    target, weight = samples.target, samples.weight
    total, n_columns = weight.sum(), len(sizes)
    residual = np.ascontiguousarray(target - np.average(target, axis=0, weights=weight))
    columns = [np.ascontiguousarray(ids[:, c]) for c in range(n_columns)]
    counts = [np.bincount(column, weight, size) for column, size in zip(columns, sizes)]
    effects = [np.zeros((size, residual.shape[1])) for size in sizes]
    include = np.ones((len(ids), 1), dtype=np.uint8)
    noise, variance = 1.0, np.full(n_columns, 1.0 / max(n_columns, 1))
    gram = numeric.T @ (weight[:, None] * numeric) + 1e-6 * total * np.eye(numeric.shape[1])
    slope = np.zeros((numeric.shape[1], residual.shape[1]))
    for _ in range(N_VARIANCE_ITER):
        uncertainty = 0.0
        if numeric.shape[1]:
            change = np.linalg.solve(gram, numeric.T @ (weight[:, None] * residual) - 1e-6 * total * slope)
            slope += change
            residual -= numeric @ change
        for c, column in enumerate(columns):
            ratio = noise / variance[c]
            sweep_effects(
                column, weight, include, counts[c][:, None], ratio, residual, effects[c], np.empty_like(effects[c])
            )
            posterior = noise / (counts[c] + ratio)
            seen = counts[c] > 0
            variance[c] = max(float(np.mean((effects[c][seen] ** 2).mean(axis=1) + posterior[seen])), MIN_VARIANCE)
            uncertainty += float(posterior @ counts[c]) / total
        noise = max(float(np.average((residual**2).mean(axis=1), weights=weight)) + uncertainty, MIN_VARIANCE)
    return noise / variance, residual


def marginal_ratio(ids: np.ndarray, size: int, target: np.ndarray, weight: np.ndarray) -> float:
    """Return the same ratio for one column on its own: a few sums tell all that the iteration needs of the rows."""
    total = weight.sum()
    centered = target - np.average(target, axis=0, weights=weight)
    counts = np.bincount(ids, weight, size)
    sums = np.stack([np.bincount(ids, weight * column, size) for column in centered.T], axis=1)
    squares = float(np.average((centered**2).mean(axis=1), weights=weight))
    seen = counts > 0
    counts, sums = counts[seen], sums[seen]
    noise, variance = 1.0, 1.0
    for _ in range(N_VARIANCE_ITER):
        posterior = noise / (counts + noise / variance)
        effects = sums * (posterior / noise)[:, None]
        variance = max(float(np.mean((effects**2).mean(axis=1) + posterior)), MIN_VARIANCE)
        explained = (2.0 * effects * sums - counts[:, None] * effects**2).sum() / (total * target.shape[1])
        noise = max(squares - float(explained) + float(posterior @ counts) / total, MIN_VARIANCE)
    return noise / variance


def solve_effects(
    samples: Samples, ratios: VarianceRatios, *, include: np.ndarray | None = None, prior: Prior | None = None
) -> list[Effects]:
    """Learn the effects with given variances, from several sets of rows side by side.

    Parameters
    ----------
    samples : Samples
    ratios : VarianceRatios
    include : ndarray of shape (n_samples, n_sets), uint8, optional
        Which rows belong to which set; one set of all rows by default.
    prior : Prior, optional
        Zero effects of no rows by default.

    Returns
    -------
    list of Effects
        One for each set.
    """
    from skembed.kernels.level_effects import level_sums, normal_product

    if include is None:
        include = np.ones((len(samples), 1), dtype=np.uint8)
    sizes, target, weight = samples.sizes, samples.target, samples.weight
    ids = np.ascontiguousarray(samples.ids, dtype=np.int32)
    numeric = np.ascontiguousarray(samples.numeric, dtype=np.float64)
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    n_levels, n_numeric, n_sets, n_targets = starts[-1], numeric.shape[1], include.shape[1], target.shape[1]
    masses = include.T @ weight
    counts = np.zeros((n_levels, n_sets))
    level_sums(ids, starts, weight, include, np.ones((len(ids), 1)), 1, counts)
    if prior is None:
        # with a prior the level of the target is settled; without, it is the mean of these rows
        centers = (include * weight[:, None]).T @ target / np.maximum(masses, 1e-300)[:, None]
        before = np.zeros(n_levels)
        crossed_target = np.ascontiguousarray(target, dtype=np.float64)
    else:
        centers = np.zeros((n_sets, n_targets))
        old = prior.effects
        before = np.concatenate([np.empty(0), *prior.counts])
        crossed_target = np.ascontiguousarray(target - old.predict(ids, numeric))
    numeric_mass = masses * 1e-6 + (0.0 if prior is None else float(before.sum()) / max(len(sizes), 1))
    penalty = np.concatenate(
        [
            np.repeat((np.repeat(ratios.crossed, sizes) + before)[:, None], n_sets, axis=1),
            np.tile(numeric_mass, (n_numeric, 1)),
        ]
    )
    response = response_sums(ids, starts, numeric, weight, include, crossed_target)
    level_only = np.concatenate([counts, numeric_sums(numeric, weight, include, np.ones((len(ids), 1)))])
    response -= np.repeat(level_only, n_targets, axis=1) * centers.ravel()
    diagonal = penalty + np.concatenate([counts, ((numeric**2).T * weight) @ include])

    def multiply(v: np.ndarray) -> np.ndarray:
        out = np.empty_like(v)
        normal_product(ids, starts, numeric, weight, include, v, out)
        return out + np.repeat(penalty, n_targets, axis=1) * v

    change = conjugate_gradient(multiply, response, np.repeat(diagonal, n_targets, axis=1))
    if prior is None:
        marginal_sums = response[:n_levels]
    else:
        marginal_sums = np.zeros((n_levels, n_sets * n_targets))
        level_sums(ids, starts, weight, include, np.ascontiguousarray(target, np.float64), n_targets, marginal_sums)
    parts = [slice(s * n_targets, (s + 1) * n_targets) for s in range(n_sets)]
    return [
        _effects_of_set(change[:, part], marginal_sums[:, part], counts[:, s], starts, ratios, prior)
        for s, part in enumerate(parts)
    ]


def _effects_of_set(
    change: np.ndarray,
    marginal_sums: np.ndarray,
    counts: np.ndarray,
    starts: np.ndarray,
    ratios: VarianceRatios,
    prior: Prior | None,
) -> Effects:
    """Cut the tables of one set of rows out of what was solved, and give levels without rows the unknown's."""
    crossed, marginal = [], []
    for c in range(len(starts) - 1):
        part = slice(starts[c], starts[c + 1])
        table, sums, total = change[part].copy(), marginal_sums[part].copy(), counts[part]
        if prior is not None:
            table += prior.effects.crossed[c]
            sums += prior.effects.marginal[c] * (prior.counts[c] + ratios.marginal[c])[:, None]
            total = total + prior.counts[c]
        mean = sums / (total + ratios.marginal[c])[:, None]
        share_unknown(table, total, ratios.crossed[c])
        share_unknown(mean, total, ratios.marginal[c])
        crossed.append(table)
        marginal.append(mean)
    numeric = change[starts[-1] :].copy()
    return Effects(crossed, marginal, numeric if prior is None else prior.effects.numeric + numeric)


def response_sums(
    ids: np.ndarray,
    starts: np.ndarray,
    numeric: np.ndarray,
    weight: np.ndarray,
    include: np.ndarray,
    target: np.ndarray,
) -> np.ndarray:
    """Return Z' W_s target for each set of rows, (n_levels + n_numeric, n_sets * n_targets)."""
    from skembed.kernels.level_effects import level_sums

    levels = np.zeros((starts[-1], include.shape[1] * target.shape[1]))
    level_sums(ids, starts, weight, include, target, target.shape[1], levels)
    return np.concatenate([levels, numeric_sums(numeric, weight, include, target)])


def numeric_sums(numeric: np.ndarray, weight: np.ndarray, include: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return N' W_s target for each set of rows, (n_numeric, n_sets * n_targets)."""
    parts = [numeric.T @ ((weight * include[:, s])[:, None] * target) for s in range(include.shape[1])]
    return np.concatenate(parts, axis=1)


def conjugate_gradient(
    multiply: Callable[[np.ndarray], np.ndarray], response: np.ndarray, diagonal: np.ndarray
) -> np.ndarray:
    """Solve ``multiply(solution) = response``, preconditioned by the diagonal.

    All columns go in step, each with a step length of its own.

    Parameters
    ----------
    multiply : callable
        A symmetric positive definite matrix for each column, applied to an array of the shape of `response`.
    response, diagonal : ndarray of shape (n_rows, n_columns)

    Returns
    -------
    ndarray of shape (n_rows, n_columns)
    """
    residual = response.copy()
    solution = np.zeros_like(residual)
    scaled = residual / diagonal
    direction = scaled.copy()
    energy = np.einsum("ij,ij->j", residual, scaled)
    goal = SOLVE_TOL**2 * energy
    for _ in range(MAX_SOLVE_ITER):
        if np.all(energy <= goal):
            break
        image = multiply(direction)
        step = energy / np.maximum(np.einsum("ij,ij->j", direction, image), 1e-300)
        solution += step * direction
        residual -= step * image
        scaled = residual / diagonal
        new_energy = np.einsum("ij,ij->j", residual, scaled)
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
        pooled = pooled_levels(counts)
        table[0] = table[pooled].T @ (counts[pooled] + ratio) / (counts[pooled].sum() + ratio)
    table[~seen] = table[0]


def pooled_levels(counts: np.ndarray) -> np.ndarray:
    """Return which levels the unknown level is learned from: itself, if it has rows; the rarest; or all."""
    seen = counts > 0
    if seen[0]:
        return np.arange(len(counts)) == 0
    rare = seen & (counts <= MAX_RARE_COUNT)
    return rare if rare.any() else seen
