"""Regularized canonical correlations in closed form, their shrinkage chosen by pairs that are held out.

Both sides are whitened by C = (1 - s) S + s mu I, and the singular vectors of their cross-covariance are the canonical
directions (Hotelling 1936, Vinod 1976). s = 0 is canonical correlation analysis, s = 1 partial least squares by one
singular value decomposition. A side is decomposed once for all s, among columns or rows, whichever are fewer.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from skembed.memory import check_memory
from skembed.training.whitening import centered_products, column_means, columns_of_rows, dense, ledoit_wolf, slices

__all__ = ["CanonicalMaps", "CanonicalSettings", "Trial", "learn_canonical"]

SHRINKAGES = (0.01, 0.1, 0.3, 0.6, 0.8, 0.9, 0.95, 1.0)
POWERS = (0.5, 1.0)  # of canonical correlations, as weights of their dimensions
N_FOLDS = 5
FEW_ROWS, REPEATS = 300, 3  # up to so many rows, folds are drawn again: one draw says little, and each takes no time
MIN_ROWS = 20  # with fewer, too few are held out to tell anything: the mean of both sides' Ledoit-Wolf shrinkage
TOLERANCE = 0.01  # of the best score
HELD_OUT = 1_000  # rows of a fold that are sought, each among all of these
RANK_TOLERANCE = 1e-10  # of the largest variance: below, a direction is rounding
TINY = 1e-20  # of the squared mean: a variance below it is the rounding of float64
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
        ``(x - x_mean) @ x_rotations @ y_loadings.T + y_mean`` is the expected y.
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
    x, y = _Side.of(X, "X"), _Side.of(Y, "y")
    trials: list[Trial] = []
    if not isinstance(settings.shrinkage, str):
        shrinkage, power = float(settings.shrinkage), 1.0
    elif n < MIN_ROWS:
        shrinkage, power = (x.shrinkage + y.shrinkage) / 2, 1.0
    else:
        trials, (shrinkage, power) = _tried(X, Y, settings.embedding_dim)
    found = _Directions.of(x, y, _cross_covariance(x, y, X, Y), shrinkage)
    dim = found.dim(settings.embedding_dim)
    scales = found.scales(power)[:dim]
    return CanonicalMaps(
        x_mean=x.mean,
        y_mean=y.mean,
        x_rotations=x.basis @ (found.x[:, :dim] * scales),
        y_rotations=y.basis @ (found.y[:, :dim] * scales),
        y_loadings=y.basis @ (found.y_patterns[:, :dim] * (found.values[:dim] / scales)),
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
        left, values, right = np.linalg.svd(cross / dx / dy.T, full_matrices=False)
        left, right = left * _signs(left), right.T * _signs(left)
        return cls(left / dx, right / dy, values, left * dx, right * dy)

    def dim(self, asked: int | None) -> int:
        """Return how many dimensions there are, at most as many as were asked for, at least one."""
        there = max(int((self.values > EDGE * self.values[0]).sum()), 1)
        return there if asked is None else min(asked, there)

    def scales(self, power: float) -> np.ndarray:
        """Return what each dimension is multiplied by: the spread along it, a mean of both sides, times its value."""
        spreads = np.linalg.norm(self.x_patterns, axis=0) * np.linalg.norm(self.y_patterns, axis=0)
        return np.sqrt(spreads) * np.maximum(self.values, EDGE * max(float(self.values[0]), 1e-300)) ** power

    def correlations(self, x: _Side, y: _Side) -> np.ndarray:
        dx, dy = (side.spreads(0.0)[:, None] for side in (x, y))
        spreads = np.linalg.norm(self.x * dx, axis=0) * np.linalg.norm(self.y * dy, axis=0)
        return np.minimum(self.values / spreads, 1.0)


def _signs(vectors: np.ndarray) -> np.ndarray:
    """Return the sign by which the largest entry of each column is positive."""
    largest = vectors[np.abs(vectors).argmax(axis=0), np.arange(vectors.shape[1])]
    return np.where(largest < 0, -1.0, 1.0)


# ------------------------------------------------------------------------------------------ pairs that are held out


def _tried(X: Any, Y: Any, asked: int | None) -> tuple[list[Trial], tuple[float, float]]:
    """Try all settings on pairs that are held out; return the trials, and the shrinkage and power that are chosen.

    Of the shrinkages that are as good as the best the largest: later pairs are seldom as clear as these. As good is no
    worse by more than a standard error, nor, since that is wide with few pairs, by more than a hundredth.
    """
    ranks: dict[tuple[float, float], list[np.ndarray]] = {}
    for train, held_out in _folds(X, Y):
        train_X, train_Y = X[train], Y[train]
        try:
            x, y = _Side.of(train_X, "X"), _Side.of(train_Y, "y")
        except ValueError:  # all rows that differ are held out
            continue
        cross = _cross_covariance(x, y, train_X, train_Y)
        held_X, held_Y = x.along(X[held_out]), y.along(Y[held_out])
        for shrinkage in SHRINKAGES:
            found = _Directions.of(x, y, cross, shrinkage)
            dim = found.dim(asked)
            rows, partners = held_X @ found.x[:, :dim], held_Y @ found.y[:, :dim]
            for power in POWERS:
                scales = found.scales(power)[:dim]
                ranks.setdefault((shrinkage, power), []).append(_reciprocal_ranks(rows * scales, partners * scales))
    if not ranks:
        return [], (1.0, 1.0)
    scores = {setting: np.concatenate(parts) for setting, parts in ranks.items()}
    best = max(scores, key=lambda setting: scores[setting].mean())
    choice = best
    for setting, score in scores.items():
        behind = scores[best] - score
        allowed = min(behind.std() / len(behind) ** 0.5, TOLERANCE * scores[best].mean())
        if behind.mean() <= allowed and (setting[0], score.mean()) > (choice[0], scores[choice].mean()):
            choice = setting
    return [Trial(*setting, float(score.mean())) for setting, score in scores.items()], choice


def _folds(X: Any, Y: Any) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield rows to learn from and rows to seek; rows with an equal X or an equal y are in one fold."""
    kinds = [_equal_rows(part) for part in (X, Y)]
    n = X.shape[0]
    links = sparse.csr_matrix(
        (np.ones(2 * n, dtype=bool), (np.tile(np.arange(n), 2), n + np.concatenate([kinds[0], kinds[1] + n]))),
        shape=(3 * n, 3 * n),
    )
    group = connected_components(links, directed=False)[1][:n]
    numbered = np.unique(group, return_index=True, return_inverse=True)[1:]
    order = np.empty(len(numbered[0]), dtype=np.int64)
    order[np.argsort(numbered[0])] = np.arange(len(order))  # groups by where they begin
    for repeat in range(REPEATS if n <= FEW_ROWS else 1):
        if repeat:
            order = np.random.default_rng(repeat).permutation(len(order))
        fold = order[numbered[1]] % N_FOLDS
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


def _reciprocal_ranks(rows: np.ndarray, partners: np.ndarray) -> np.ndarray:
    """Return 1 / rank of the partner among all partners by cosine, the mean of both ways, for each row."""
    scores = _unit(rows) @ _unit(partners).T
    own = scores.diagonal() + 1e-9  # partners that are equal are no worse
    return (1 / (1 + (scores > own[:, None]).sum(axis=1)) + 1 / (1 + (scores > own).sum(axis=0))) / 2


def _unit(rows: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(norms > 0, norms, 1.0)
