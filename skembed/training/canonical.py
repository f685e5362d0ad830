"""Regularized canonical correlations in closed form, their shrinkage chosen by pairs that are held out.

Both sides are whitened by C = (1 - s) S + s mu I, and the singular vectors of their cross-covariance are the canonical
directions (Hotelling 1936, Vinod 1976). s = 0 is canonical correlation analysis, s = 1 partial least squares by one
singular value decomposition. A side is decomposed once for all s, among columns or rows, whichever are fewer.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from scipy import linalg, sparse
from scipy.sparse.csgraph import connected_components

from skembed.memory import check_memory
from skembed.threads import blas_threads_for
from skembed.training.whitening import centered_products, column_means, columns_of_rows, dense, ledoit_wolf, slices

__all__ = ["CanonicalMaps", "CanonicalSettings", "Trial", "learn_canonical"]

SHRINKAGES = (0.0, 0.001, 0.01, 0.1, 0.3, 0.6, 0.8, 0.9, 0.95, 1.0)  # small ones for columns of unlike scales
POWERS = (0.5, 1.0, 2.0, 4.0)  # of canonical correlations, as weights: high ones leave out dimensions of wide noise
N_FOLDS = 5
FEW_ROWS, REPEATS = 300, 3  # up to so many rows, folds are drawn again: one draw says little, and each takes no time
MIN_ROWS = 20  # with fewer, too few are held out to tell anything: the mean of both sides' Ledoit-Wolf shrinkage
TIE = 1e-9  # of cosines: less is rounding
ALIKE = 1e-6  # of the widest spread: rows that differ by less are one and the same
PENALTIES = np.geomspace(1e-4, 1e4, 65)  # of a ridge regression, from the least variance on and up to the largest
TOLERANCE = 0.01  # of the best score
HELD_OUT = 1_000  # rows of a fold that are sought, each among all of these
RANK_TOLERANCE = 1e-10  # of the largest variance: below, a direction is rounding
TINY = 1e-20  # of the squared mean: a variance below it is the rounding of float64
LEAST_VALUE = 1e-30  # of a canonical correlation, which is rounding: its powers are still numbers
EDGE = 1e-8  # of the largest canonical correlation: below, a dimension is rounding


@dataclass(frozen=True)
class CanonicalSettings:
    """What `learn_canonical` is told.

    Attributes
    ----------
    embedding_dim : int or None
        Dimensions, at most; None takes all there are.
    shrinkage : float or "auto"
    """

    embedding_dim: int | None = None
    shrinkage: float | str = "auto"


class Trial(NamedTuple):
    """A setting that was tried: mean reciprocal rank of the partners of held-out rows, by cosine, both ways."""

    shrinkage: float
    power: float
    score: float


@dataclass(frozen=True)
class CanonicalMaps:
    """Linear maps of both sides into one space.

    Attributes
    ----------
    x_mean, y_mean : ndarray of shape (n_features,) and (n_targets,)
    x_rotations, y_rotations : ndarray of shape (n_features, dim) and (n_targets, dim)
    y_loadings : ndarray of shape (n_targets, dim)
        ``(x - x_mean) @ x_rotations @ y_loadings.T + y_mean`` is the expected y, by ridge regression.
    correlations : ndarray of shape (dim,)
        Of the two sides' columns on the rows that were learned from.
    shrinkage : float
    trials : list of Trial
        Empty where nothing was chosen.
    """

    x_mean: np.ndarray
    y_mean: np.ndarray
    x_rotations: np.ndarray
    y_rotations: np.ndarray
    y_loadings: np.ndarray
    correlations: np.ndarray
    shrinkage: float
    trials: list[Trial]


def learn_canonical(X: Any, Y: Any, settings: CanonicalSettings) -> CanonicalMaps:
    """Learn the maps.

    Parameters
    ----------
    X : ndarray, CSR or CSC matrix of shape (n_samples, n_features)
    Y : ndarray, CSR or CSC matrix of shape (n_samples, n_targets)
        Its rows belong to those of X.
    settings : CanonicalSettings

    Returns
    -------
    CanonicalMaps

    Raises
    ------
    ValueError
        If a side is constant, or so large that its squares are beyond float64.
    MemoryError
        If the decompositions need more than the machine has.
    """
    n = X.shape[0]
    sides = [min(n, part.shape[1]) for part in (X, Y)]
    check_memory(
        8 * (3 * max(sides) ** 2 + sum(side * (n + part.shape[1]) for side, part in zip(sides, (X, Y)))),
        f"canonical correlations of {n} rows of {X.shape[1]} and {Y.shape[1]} columns",
        "lower the number of columns, for instance by ProjectionEmbedder",
    )
    wider = max(X.shape[1], Y.shape[1])
    with blas_threads_for(n * wider * min(n, wider)):
        return _learn_canonical(X, Y, settings)


def _learn_canonical(X: Any, Y: Any, settings: CanonicalSettings) -> CanonicalMaps:
    n = X.shape[0]
    x, y = _Side.of(X, "X"), _Side.of(Y, "y")
    cross = _cross_covariance(x, y, X, Y)
    trials: list[Trial] = []
    if not isinstance(settings.shrinkage, str):
        shrinkage, power = float(settings.shrinkage), 1.0
    elif min(cross.shape) == 1:  # cosines of one dimension are 1 or -1 and find nothing: it is a regression
        wider, narrower, covariance = (x, y, cross) if len(cross) > 1 else (y, x, cross.T)
        penalty = _ridge_penalty(wider, narrower, covariance, n)
        shrinkage, power = penalty / (penalty + wider.target), 1.0
    elif n < MIN_ROWS:
        shrinkage, power = (x.shrinkage + y.shrinkage) / 2, 1.0
    else:
        trials, (shrinkage, power) = _tried(X, Y, settings.embedding_dim)
    found = _Directions.of(x, y, cross, shrinkage)
    dim = found.dim(settings.embedding_dim)
    scales = found.scales(power)[:dim]
    x_rotations = found.x[:, :dim] * scales
    penalty = _ridge_penalty(x, y, cross, n) if shrinkage else 0.0
    return CanonicalMaps(
        x_mean=x.mean,
        y_mean=y.mean,
        x_rotations=x.basis @ x_rotations,
        y_rotations=y.basis @ (found.y[:, :dim] * scales),
        y_loadings=y.basis @ _loadings(x_rotations, x.variances + penalty, cross),
        correlations=found.correlations(x, y)[:dim],
        shrinkage=shrinkage,
        trials=trials,
    )


class _Side(NamedTuple):
    """The principal axes of one side: its mean, axes (n_features, rank), and variances along them."""

    mean: np.ndarray
    basis: np.ndarray
    variances: np.ndarray
    target: float  # the mean variance of a column, mu
    shrinkage: float  # that of Ledoit and Wolf

    @classmethod
    def of(cls, X: Any, name: str) -> "_Side":
        n, p = X.shape
        mean = column_means(X)
        with np.errstate(over="ignore", invalid="ignore"):
            squares, products = centered_products(X, mean)
            frobenius = float(np.vdot(products, products)) / n**2
        if not np.isfinite(frobenius):
            raise ValueError(f"{name} holds numbers whose squares are beyond float64; scale {name} first.")
        values, vectors = np.linalg.eigh(products / n)
        largest = float(values[-1])
        if largest <= TINY * float(np.vdot(mean, mean)):
            raise ValueError(f"{name} is constant: all of its {n} rows are equal, and nothing goes together with it.")
        kept = np.flatnonzero(values > RANK_TOLERANCE * largest)[::-1]
        values, vectors = values[kept], vectors[:, kept]
        if n <= p:
            vectors = columns_of_rows(X, mean, np.arange(n), vectors / np.sqrt(n * values))
        shrinkage, target = ledoit_wolf(squares, frobenius, p)
        return cls(mean, vectors, values, target, shrinkage)

    def along(self, X: Any) -> np.ndarray:
        """Return rows in the axes, (n_rows, rank)."""
        return (dense(X) - self.mean) @ self.basis

    def spreads(self, shrinkage: float) -> np.ndarray:
        variances = (1 - shrinkage) * self.variances + shrinkage * self.target
        return np.sqrt(np.maximum(variances, RANK_TOLERANCE * variances[0]))


def _cross_covariance(x: _Side, y: _Side, X: Any, Y: Any) -> np.ndarray:
    """Return the covariance of both sides' axes, (x_rank, y_rank)."""
    cross = np.zeros((len(x.variances), len(y.variances)))
    for rows in slices(X.shape[0], X.shape[1] + Y.shape[1]):
        cross += x.along(X[rows]).T @ y.along(Y[rows])
    return cross / X.shape[0]


class _Directions(NamedTuple):
    """Canonical directions at one shrinkage, by falling values."""

    x: np.ndarray  # (x_rank, n): weights of the axes
    y: np.ndarray
    values: np.ndarray  # (n,): covariances of whitened rows, without shrinkage their correlations
    x_patterns: np.ndarray  # (x_rank, n): how the side varies with each
    y_patterns: np.ndarray

    @classmethod
    def of(cls, x: _Side, y: _Side, cross: np.ndarray, shrinkage: float) -> "_Directions":
        dx, dy = x.spreads(shrinkage)[:, None], y.spreads(shrinkage)[:, None]
        left, values, right = _svd(cross / dx / dy.T)
        left, right = left * _signs(left), right.T * _signs(left)
        return cls(left / dx, right / dy, values, left * dx, right * dy)

    def dim(self, asked: int | None) -> int:
        """Return how many dimensions there are, at most as many as were asked for, at least one."""
        there = max(int((self.values > EDGE * self.values[0]).sum()), 1)
        return there if asked is None else min(asked, there)

    def scales(self, power: float) -> np.ndarray:
        """Return what each dimension is multiplied by: the spread along it, a mean of both sides, times its value."""
        spreads = np.linalg.norm(self.x_patterns, axis=0) * np.linalg.norm(self.y_patterns, axis=0)
        return np.sqrt(spreads) * np.maximum(self.values, EDGE * max(float(self.values[0]), LEAST_VALUE)) ** power

    def correlations(self, x: _Side, y: _Side) -> np.ndarray:
        dx, dy = (side.spreads(0.0)[:, None] for side in (x, y))
        spreads = np.linalg.norm(self.x * dx, axis=0) * np.linalg.norm(self.y * dy, axis=0)
        return np.minimum(self.values / spreads, 1.0)


def _ridge_penalty(x: _Side, y: _Side, cross: np.ndarray, n: int) -> float:
    """Return the penalty of a ridge regression of y on x by generalized cross-validation (Golub, Heath & Wahba 1979).

    What finds partners best is no measure of it: cosines do not ask how long a row is.
    """
    penalties = np.geomspace(PENALTIES[0] * x.variances[-1], PENALTIES[-1] * x.variances[0], len(PENALTIES))
    # of the variance of y, by each axis, without a penalty
    explained = ((cross / np.sqrt(x.variances)[:, None]) ** 2).sum(axis=1)
    left = penalties[:, None] / (x.variances + penalties[:, None])
    residual = max(float(y.variances.sum() - explained.sum()), 0.0) + left**2 @ explained
    freedom = n - 1 - len(x.variances) + left.sum(axis=1)
    return float(penalties[np.argmin(residual / freedom**2)])


def _loadings(rotations: np.ndarray, variances: np.ndarray, cross: np.ndarray) -> np.ndarray:
    """Return the ridge regression of the axes of y on the dimensions, (y_rank, dim), the penalty being one of x."""
    spreads = np.sqrt(variances)[:, None]
    rows = spreads * rotations
    lengths = np.linalg.norm(rows, axis=0)  # dimensions of a high power may be 1e-32 of others
    return np.linalg.lstsq(rows / lengths, cross / spreads, rcond=None)[0].T / lengths


def _svd(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the singular value decomposition, also where LAPACK's faster algorithm does not converge.

    It does not of some orthogonal matrices, such as the covariances of whitened sides with more columns than rows are.
    """
    try:
        return np.linalg.svd(matrix, full_matrices=False)
    except np.linalg.LinAlgError:
        return linalg.svd(matrix, full_matrices=False, lapack_driver="gesvd", check_finite=False)


def _signs(vectors: np.ndarray) -> np.ndarray:
    """Return the sign by which the largest entry of each column is positive."""
    largest = vectors[np.abs(vectors).argmax(axis=0), np.arange(vectors.shape[1])]
    return np.where(largest < 0, -1.0, 1.0)


# ------------------------------------------------------------------------------------------ pairs that are held out


def _tried(X: Any, Y: Any, asked: int | None) -> tuple[list[Trial], tuple[float, float]]:
    """Try all settings on pairs that are held out; return the trials, and the shrinkage and power that are chosen.

    Of the shrinkages that are as good as the best the largest: later pairs are seldom as clear as these. As good is no
    worse by more than a standard error, nor, since that is wide with few pairs, by more than a hundredth. For one
    dimension, whose cosines find nothing, partners are sought in all.
    """
    asked = None if asked == 1 else asked
    scores = _held_out_ranks(X, Y, asked)
    if not scores:
        return [], (1.0, 1.0)
    best = max(scores, key=lambda setting: scores[setting].mean())
    choice = best
    for setting, score in scores.items():
        behind = scores[best] - score
        allowed = min(behind.std() / len(behind) ** 0.5, TOLERANCE * scores[best].mean())
        if behind.mean() <= allowed and (setting[0], score.mean()) > (choice[0], scores[choice].mean()):
            choice = setting
    return [Trial(*setting, float(score.mean())) for setting, score in scores.items()], choice


def _held_out_ranks(X: Any, Y: Any, asked: int | None) -> dict[tuple[float, float], np.ndarray]:
    """Return reciprocal ranks of held-out rows for each shrinkage and power; empty where nothing could be told.

    Rows with an equal X or an equal y are held out together, so that later rows may be of kinds that were never seen,
    and are no rivals of each other. Of a class, whose row is one-hot, other classes say nothing: where kinds are few,
    or partners that are held out cannot be told from each other, rows are held out one by one.
    """
    kinds = [_equal_rows(side) for side in (X, Y)]
    for group in (_linked(*kinds), np.arange(X.shape[0])):
        if len(np.unique(group)) < MIN_ROWS:
            continue
        ranks: dict[tuple[float, float], list[np.ndarray]] = {}
        for train, held_out in _folds(group):
            train_X, train_Y = X[train], Y[train]
            try:
                x, y = _Side.of(train_X, "X"), _Side.of(train_Y, "y")
            except ValueError:  # all rows that differ are held out
                continue
            held_X, held_Y = x.along(X[held_out]), y.along(Y[held_out])
            if _alike(held_X, x) or _alike(held_Y, y):
                continue
            rivals = np.logical_and(*(kind[held_out, None] != kind[held_out] for kind in kinds))
            cross = _cross_covariance(x, y, train_X, train_Y)
            for shrinkage in SHRINKAGES:
                found = _Directions.of(x, y, cross, shrinkage)
                dim = found.dim(asked)
                rows, partners = held_X @ found.x[:, :dim], held_Y @ found.y[:, :dim]
                for power in POWERS:
                    scales = found.scales(power)[:dim]
                    found_at = _reciprocal_ranks(rows * scales, partners * scales, rivals)
                    ranks.setdefault((shrinkage, power), []).append(found_at)
        if ranks:
            return {setting: np.concatenate(parts) for setting, parts in ranks.items()}
    return {}


def _alike(rows: np.ndarray, side: _Side) -> bool:
    """Whether rows along the axes of a side are all the same."""
    return bool(np.ptp(rows, axis=0).max() <= ALIKE * np.sqrt(side.variances[0]))


def _linked(x_kinds: np.ndarray, y_kinds: np.ndarray) -> np.ndarray:
    """Return a number for each row, the same for those that are linked by an equal X or an equal y, from 0 on."""
    n = len(x_kinds)
    links = sparse.csr_matrix(
        (np.ones(2 * n, dtype=bool), (np.tile(np.arange(n), 2), n + np.concatenate([x_kinds, y_kinds + n]))),
        shape=(3 * n, 3 * n),
    )
    group = connected_components(links, directed=False)[1][:n]
    numbered = np.unique(group, return_index=True, return_inverse=True)[1:]
    order = np.empty(len(numbered[0]), dtype=np.int64)
    order[np.argsort(numbered[0])] = np.arange(len(order))  # groups by where they begin
    return order[numbered[1]]


def _folds(group: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield rows to learn from and rows to seek, those of a group in one fold."""
    n, n_groups = len(group), int(group.max()) + 1
    for repeat in range(REPEATS if n <= FEW_ROWS else 1):
        order = np.random.default_rng(repeat).permutation(n_groups) if repeat else np.arange(n_groups)
        fold = order[group] % N_FOLDS
        for number in range(N_FOLDS):
            held_out = np.flatnonzero(fold == number)
            if 1 < len(held_out) < n - 1:
                chosen = np.linspace(0, len(held_out) - 1, min(len(held_out), HELD_OUT)).astype(np.int64)
                yield np.flatnonzero(fold != number), held_out[chosen]


def _equal_rows(X: Any) -> np.ndarray:
    """Return a number for each row, the same for equal ones."""
    rows = X
    if sparse.issparse(X):
        rows = X.tocsr(copy=True)
        rows.sum_duplicates()  # and in order
        rows.eliminate_zeros()
    numbers: dict[Any, int] = {}
    out = np.empty(X.shape[0], dtype=np.int64)
    for i in range(X.shape[0]):
        if sparse.issparse(X):
            part = slice(rows.indptr[i], rows.indptr[i + 1])
            key: Any = rows.indices[part].tobytes(), rows.data[part].tobytes()
        else:
            key = (rows[i] + 0.0).tobytes()  # of -0.0 these are others
        out[i] = numbers.setdefault(key, len(numbers))
    return out


def _reciprocal_ranks(rows: np.ndarray, partners: np.ndarray, rivals: np.ndarray) -> np.ndarray:
    """Return 1 / rank of the partner among its rivals by cosine, the mean of both ways, for each row.

    A rival that is as near stands before it: else vectors in which all are alike would be the best.
    """
    scores = _unit(rows) @ _unit(partners).T
    own = scores.diagonal() - TIE
    forth = ((scores >= own[:, None]) & rivals).sum(axis=1)
    back = ((scores >= own) & rivals).sum(axis=0)
    return (1 / (1 + forth) + 1 / (1 + back)) / 2


def _unit(rows: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(norms > 0, norms, 1.0)
