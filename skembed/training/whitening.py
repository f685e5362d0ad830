"""Whitening by the shrunk covariance of rows, C = (1 - s) S + s mu I (Ledoit & Wolf 2004).

The covariance is factorized among columns or among rows, whichever are fewer. Where rows are fewer, a new row is known
by its products with them: the triangular root of their own products makes of these its coordinates in the space that
they span. All directions that no row has share one variance, s mu: the length of a row along them is one more
coordinate, so that distances to the rows it was learned from are exact.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse
from scipy.linalg import lapack

from skembed.memory import check_memory
from skembed.state import stored

__all__ = [
    "Centering",
    "Whitening",
    "centered_products",
    "column_means",
    "columns_of_rows",
    "dense",
    "learn_whitening",
    "ledoit_wolf",
    "slices",
]

VALUES_AT_ONCE = 1 << 20  # of rows or columns that are centred, and made dense, in one go
RANK_TOLERANCE = 1e-10  # of the largest variance: below, a direction is rounding
SMALL = 64  # rows of a triangle that LAPACK inverts as any matrix


@stored
@dataclass(frozen=True)
class Whitening:
    """What was learned of the covariance of rows.

    Attributes
    ----------
    mean : ndarray of shape (n_features,), float64
    directions : ndarray of shape (rank, n_features), float64
        ``(x - mean) @ directions.T`` is a whitened row; where rows were no more than columns, `directions` are centred
        rows that span them all.
    to_span : ndarray of shape (rank, rank), float64, or None
        Where rows were no more than columns: ``(x - mean) @ directions.T @ to_span.T`` are Euclidean coordinates of the
        space they span, and
    to_white : ndarray of shape (rank, rank), float64, or None
        ``coordinates @ to_white.T`` are whitened.
    shrinkage : float
        s, from 0 to 1.
    floor : float
        Variance of the directions beside these, s mu.
    """

    mean: np.ndarray
    directions: np.ndarray
    to_span: np.ndarray | None
    to_white: np.ndarray | None
    shrinkage: float
    floor: float

    @property
    def dim(self) -> int:
        """Columns of a whitened row."""
        return len(self.directions) + (self.to_span is not None)

    def check(self) -> None:
        """Raise ValueError if the parts do not fit together."""
        rank, n_features = self.directions.shape if self.directions.ndim == 2 else (-1, -1)
        if self.mean.shape != (n_features,) or self.dim < 1:
            raise ValueError(f"Whitening: expected a mean and directions of one space, got {self.directions.shape}")
        maps = [one for one in (self.to_span, self.to_white) if one is not None]
        if len(maps) == 1 or any(one.shape != (rank, rank) for one in maps):
            raise ValueError(f"Whitening: expected both maps of shape {(rank, rank)}, or none")
        parts = [self.mean, self.directions, *maps]
        if not all(part.dtype == np.float64 and np.isfinite(part).all() for part in parts):
            raise ValueError("Whitening: expected finite float64 numbers")
        if not 0 <= self.shrinkage <= 1 or not 0 < self.floor < np.inf:
            raise ValueError("Whitening: expected a shrinkage from 0 to 1 and a variance above 0")

    def apply(self, X: Any) -> np.ndarray:
        """Return whitened rows, (n_samples, dim), float32: Euclidean distances among them are Mahalanobis distances."""
        rank = len(self.directions)
        out = np.empty((X.shape[0], self.dim), dtype=np.float32)
        for rows in slices(*X.shape):
            centered = dense(X[rows]) - self.mean
            along = centered @ self.directions.T
            if self.to_span is None or self.to_white is None:
                out[rows] = along
                continue
            coordinates = along @ self.to_span.T
            out[rows, :rank] = coordinates @ self.to_white.T
            squares = _squared_lengths(centered) - _squared_lengths(coordinates)
            out[rows, rank] = np.sqrt(np.maximum(squares, 0) / self.floor)
        return out


@stored
@dataclass(frozen=True)
class Centering:
    """The same without a covariance: rows less their mean, so that float32 keeps the digits of their differences.

    Attributes
    ----------
    mean : ndarray of shape (n_features,), float64
    """

    mean: np.ndarray

    @classmethod
    def of(cls, X: Any) -> "Centering":
        """The one that `X`, dense or sparse, has."""
        return cls(column_means(X))

    @property
    def dim(self) -> int:
        """Columns of a centred row."""
        return len(self.mean)

    def check(self) -> None:
        """Raise ValueError if the mean is none."""
        if self.mean.ndim != 1 or self.mean.dtype != np.float64 or not np.isfinite(self.mean).all():
            raise ValueError("Centering: expected a finite float64 mean")

    def apply(self, X: Any) -> np.ndarray:
        """Return centred rows, (n_samples, n_features), float32."""
        out = np.empty(X.shape, dtype=np.float32)
        for rows in slices(*X.shape):
            with np.errstate(over="ignore"):  # infinite where beyond float32, which is for the caller to refuse
                out[rows] = dense(X[rows]) - self.mean
        return out


def learn_whitening(X: Any) -> tuple[Whitening, np.ndarray]:
    """Learn the mean and the shrunk covariance of rows.

    The shrinkage is the one with the least expected squared error of the covariance, in closed form; it is that of
    `sklearn.covariance.ledoit_wolf`. All is in float64.

    Parameters
    ----------
    X : ndarray, CSR or CSC matrix of shape (n_samples, n_features), float32 or float64

    Returns
    -------
    whitening : Whitening
    rows : ndarray of shape (n_samples, dim), float32
        X, whitened.

    Raises
    ------
    ValueError
        If numbers are so large that their squares are beyond float64.
    MemoryError
        If the factorization needs more than the machine has.
    """
    n, p = X.shape
    side = min(n, p)
    check_memory(
        8 * side * (2 * side + p),
        f"the covariance of {n} rows and {p} columns",
        "lower the number of columns, for instance by ProjectionEmbedder, or pass whiten=False",
    )
    mean = column_means(X)
    with np.errstate(over="ignore", invalid="ignore"):
        squares, products = centered_products(X, mean)
        frobenius = float(np.vdot(products, products)) / n**2
    if not np.isfinite(frobenius):
        raise ValueError("X holds numbers whose squares are beyond float64; scale X first.")
    shrinkage, target = ledoit_wolf(squares, frobenius, p)
    floor = max(shrinkage * target, RANK_TOLERANCE * float(products.diagonal().max()) / n)
    floor = floor if floor > 0 else 1.0  # of equal rows, whose distances are left as they are
    if n > p:
        directions = _inverse(_factor((1 - shrinkage) / n * products, floor))
        whitening = Whitening(mean, directions, None, None, shrinkage, floor)
        return whitening, whitening.apply(X)
    coordinates, spanning = _coordinates(products)
    to_white = _inverse(_factor((1 - shrinkage) / n * (coordinates.T @ coordinates), floor))
    directions = _centered(X[spanning], mean)
    rows = np.zeros((n, len(to_white) + 1), dtype=np.float32)
    rows[:, :-1] = coordinates @ to_white.T
    return Whitening(mean, directions, _inverse(coordinates[spanning]), to_white, shrinkage, floor), rows


def ledoit_wolf(squares: np.ndarray, frobenius: float, p: int) -> tuple[float, float]:
    """Return s and mu from the squared lengths of centred rows and the sum of squares of their covariance."""
    n, target = len(squares), float(squares.mean()) / p
    error = (float(squares @ squares) / n - frobenius) / n  # expected, of S
    distance = frobenius - p * target**2  # of S from mu I
    if error <= 0 or distance <= 0:
        return 0.0, target
    return min(error / distance, 1.0), target


def _factor(matrix: np.ndarray, floor: float) -> np.ndarray:
    """Return the lower triangular root of a matrix and `floor` on its diagonal; the matrix is overwritten."""
    matrix.flat[:: len(matrix) + 1] += floor
    return np.linalg.cholesky(matrix)


def _inverse(factor: np.ndarray) -> np.ndarray:
    """Return the inverse of a lower triangular matrix, by halves.

    scipy's would wake threads of a second BLAS, which wait busily in the way of numpy's.
    """
    n, half = len(factor), len(factor) // 2
    if n <= SMALL:
        return np.tril(np.linalg.inv(factor))
    out = np.zeros_like(factor)
    out[:half, :half], out[half:, half:] = _inverse(factor[:half, :half]), _inverse(factor[half:, half:])
    out[half:, :half] = -(out[half:, half:] @ factor[half:, :half]) @ out[:half, :half]
    return out


def _coordinates(products: np.ndarray) -> tuple[np.ndarray, np.ndarray | slice]:
    """Return rows in an orthonormal basis of what they span, (n, rank), from their products, and rows that span it.

    Centred rows add up to zero: all but the last one span them, and where nothing else makes them dependent their
    products have a triangular root. Else it is one by pivots (LAPACK's pstrf), so that of equal rows one is taken.
    """
    largest, last = float(products.diagonal().max()), len(products) - 1
    if largest == 0:
        return np.zeros((len(products), 0)), slice(0)
    try:
        root = np.linalg.cholesky(products[:last, :last])
    except np.linalg.LinAlgError:
        root = None
    if root is not None and root.diagonal().min() ** 2 > RANK_TOLERANCE * largest:
        coordinates = np.concatenate([root, -root.sum(axis=0, keepdims=True)])
        if abs(coordinates[last] @ coordinates[last] - products[last, last]) <= RANK_TOLERANCE * largest:
            return coordinates, slice(last)
    root, order, rank, _ = lapack.dpstrf(products, tol=RANK_TOLERANCE * largest, lower=1)
    order = order.astype(np.int64) - 1
    coordinates = np.empty((len(products), rank))
    coordinates[order] = np.tril(root)[:, :rank]
    return coordinates, order[:rank]


def centered_products(X: Any, mean: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return squared lengths of centred rows, and their products among columns or, where they are fewer, rows."""
    n, p = X.shape
    if n > p:
        squares, products = np.empty(n), np.zeros((p, p))
        for rows in slices(n, p):
            block = np.subtract(dense(X[rows]), mean, dtype=np.float64)
            squares[rows] = _squared_lengths(block)
            products += block.T @ block
        return squares, products
    products = np.zeros((n, n))
    by_columns = X.tocsc() if sparse.issparse(X) else X
    for columns in slices(p, n):
        block = np.subtract(dense(by_columns[:, columns]), mean[columns], dtype=np.float64)
        products += block @ block.T
    return products.diagonal().copy(), products


def _centered(X: Any, mean: np.ndarray) -> np.ndarray:
    out = np.empty(X.shape)
    for rows in slices(*X.shape):
        np.subtract(dense(X[rows]), mean, out=out[rows])
    return out


def columns_of_rows(X: Any, mean: np.ndarray, pivots: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Return directions, (n_features, rank), as sums of the centred rows `pivots`, weighed by `factors`."""
    out = np.empty((X.shape[1], factors.shape[1]))
    by_columns = X[pivots].tocsc() if sparse.issparse(X) else X[pivots]
    for columns in slices(X.shape[1], len(pivots)):
        out[columns] = (dense(by_columns[:, columns]).astype(np.float64) - mean[columns]).T @ factors
    return out


def _squared_lengths(rows: np.ndarray) -> np.ndarray:
    return np.einsum("ij,ij->i", rows, rows)


def column_means(X: Any) -> np.ndarray:
    if sparse.issparse(X):
        return np.asarray(X.mean(axis=0, dtype=np.float64)).ravel()
    with np.errstate(over="ignore", invalid="ignore"):  # both infinities in one sum
        return X.mean(axis=0, dtype=np.float64)


def slices(n: int, width: int) -> Iterator[slice]:
    """Yield slices of `n` rows or columns of `width` values each, such that those of one are not too many."""
    step = max(1, VALUES_AT_ONCE // max(width, 1))
    return (slice(start, min(start + step, n)) for start in range(0, n, step))


def dense(part: Any) -> np.ndarray:
    """Return an array of a part of a dense or sparse matrix."""
    return part.toarray() if sparse.issparse(part) else part
