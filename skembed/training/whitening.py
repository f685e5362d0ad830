"""Whitening by the shrunk covariance of rows, C = (1 - s) S + s mu I (Ledoit & Wolf 2004).

The covariance is factorized among columns or among rows, whichever are fewer. Where rows are no more than columns, a
new row x is known by its products X x with them. With f = s mu, w = (1 - s) / n and the inverse B = (f I + w X X')^-1,
which has a row and a column for each row (Woodbury 1950)::

    C^-1 = (I - w X' B X) / f,   X C^-1 x = B X x,   x' C^-1 x = (x' x - w (X x)' B (X x)) / f

so that distances to the rows that it was learned from need no coordinates.
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
    "DualWhitening",
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
DUAL_TOLERANCE = 1e-6  # of the total variance, where products with rows lose digits with the square of what is below
LEAST_WEIGHT = 1e-6  # of the rows' own covariance, 1 - s: below, a difference that is divided by it would lose digits
_OUT_OF_RANGE = "X holds numbers whose squares are beyond float64, or so small that they vanish; scale X first."
SMALL = 64  # rows of a triangle that scipy's LAPACK inverts, in one thread


@stored
@dataclass(frozen=True)
class Whitening:
    """What was learned of the covariance of rows that are more than columns.

    Attributes
    ----------
    mean : ndarray of shape (n_features,), float64
    directions : ndarray of shape (rank, n_features), float64
        ``(x - mean) @ directions.T`` is a whitened row.
    to_span, to_white : ndarray of shape (rank, rank), float64, or None
        None, but in files of fewer rows than columns, which were written before there was `DualWhitening`. In these
        `directions` are centred rows that span all, ``(x - mean) @ directions.T @ to_span.T`` are Euclidean coordinates
        of the space they span, and ``coordinates @ to_white.T`` are whitened.
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
class DualWhitening:
    """What was learned of the covariance of rows that are no more than columns: products with them.

    Attributes
    ----------
    mean : ndarray of shape (n_features,), float64
    rows : ndarray of shape (n_samples, n_features), float64
        Less their mean.
    inverse : ndarray of shape (n_samples, n_samples), float64
        Of ``floor * I + weight * rows @ rows.T``.
    squared_lengths : ndarray of shape (n_samples,), float64
        Of the rows, whitened.
    shrinkage : float
        s, from 0 to 1.
    floor : float
        Variance of the directions that no row has, s mu.
    """

    mean: np.ndarray
    rows: np.ndarray
    inverse: np.ndarray
    squared_lengths: np.ndarray
    shrinkage: float
    floor: float

    @property
    def weight(self) -> float:
        """Of each row's square in the covariance."""
        return (1 - self.shrinkage) / len(self.rows)

    @property
    def rounding(self) -> float:
        """Of squared lengths by products, relative; more where the covariance is hardly shrunk."""
        condition = 1 + self.weight * float(np.vdot(self.rows, self.rows)) / self.floor
        return float(np.finfo(np.float64).eps) * condition**2

    def check(self) -> None:
        """Raise ValueError if the parts do not fit together."""
        n, n_features = self.rows.shape if self.rows.ndim == 2 else (-1, -1)
        if self.mean.shape != (n_features,) or not 2 <= n <= n_features:
            raise ValueError(f"DualWhitening: expected a mean and rows of one space, got {self.rows.shape}")
        if self.inverse.shape != (n, n) or self.squared_lengths.shape != (n,):
            raise ValueError(f"DualWhitening: expected products and a length for each of {n} rows")
        parts = [self.mean, self.rows, self.inverse, self.squared_lengths]
        if not all(part.dtype == np.float64 and np.isfinite(part).all() for part in parts):
            raise ValueError("DualWhitening: expected finite float64 numbers")
        if not 0 <= self.shrinkage <= 1 or not 0 < self.floor < np.inf:
            raise ValueError("DualWhitening: expected a shrinkage from 0 to 1 and a variance above 0")

    def center(self, X: Any) -> np.ndarray:
        """Return rows less the mean, dense, (n_rows, n_features), float64."""
        return np.subtract(dense(X), self.mean, dtype=np.float64)

    def products(self, centered: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return what whitened rows would be multiplied to.

        Parameters
        ----------
        centered : ndarray of shape (n_rows, n_features), float64
            Rows less the mean, or differences of rows.

        Returns
        -------
        squared_lengths : ndarray of shape (n_rows,), float64
        products : ndarray of shape (n_rows, n_samples), float64
            With the rows that it was learned from.

        Raises
        ------
        ValueError
            If squares are beyond float64, or numbers are not finite.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            along = centered @ self.rows.T
            products = along @ self.inverse
            lengths = _squared_lengths(centered)
            lengths -= self.weight * np.einsum("ij,ij->i", along, products)
            lengths /= self.floor
        if not np.isfinite(lengths).all():
            raise ValueError(_OUT_OF_RANGE)
        return np.maximum(lengths, 0, out=lengths), products

    def own_products(self, place: slice) -> np.ndarray:
        """Return the products of some of the rows that it was learned from with all of them, (n_rows, n_samples)."""
        if 1 - self.shrinkage < LEAST_WEIGHT:
            return self.products(self.rows[place])[1]
        # X C^-1 X' = X X' B = (I - f B) / w
        products = self.inverse[place] * (-self.floor / self.weight)
        products.flat[place.start :: products.shape[1] + 1] += 1 / self.weight
        return products

    def coordinates(self) -> np.ndarray:
        """Return points as far from each other as the rows that it was learned from, (n_samples, dim), float32.

        `dim` is their rank, and at least 1.
        """
        return _coordinates(self.own_products(slice(0, len(self.rows)))).astype(np.float32)


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
            out[rows] = dense(X[rows]) - self.mean  # infinite where beyond float32, which is for the caller to refuse
        return out


def learn_whitening(X: Any) -> Whitening | DualWhitening:
    """Learn the mean and the shrunk covariance of rows.

    The shrinkage is the one with the least expected squared error of the covariance, in closed form; it is that of
    `sklearn.covariance.ledoit_wolf`. All is in float64.

    Parameters
    ----------
    X : ndarray, CSR or CSC matrix of shape (n_samples, n_features), float32 or float64

    Returns
    -------
    Whitening or DualWhitening
        The latter where rows are no more than columns.

    Raises
    ------
    ValueError
        If numbers are so large that their squares are beyond float64, or not finite.
    MemoryError
        If the factorization needs more than the machine has.
    """
    n, p = X.shape
    side = min(n, p)
    check_memory(
        8 * side * (3 * side + p),
        f"the covariance of {n} rows and {p} columns",
        "lower the number of columns, for instance by ProjectionEmbedder, or pass whiten=False",
    )
    mean = column_means(X)
    with np.errstate(over="ignore", invalid="ignore"):
        if n > p:
            squares, products = centered_products(X, mean)
        else:
            centered = _centered(X, mean)
            products = centered @ centered.T
            squares = products.diagonal().copy()
        frobenius = float(np.vdot(products, products)) / n**2
    if not np.isfinite(frobenius):
        raise ValueError(_OUT_OF_RANGE)
    shrinkage, target = ledoit_wolf(squares, frobenius, p)
    least = RANK_TOLERANCE * float(products.diagonal().max()) if n > p else DUAL_TOLERANCE * float(squares.sum())
    floor = max(shrinkage * target, least / n)
    floor = floor if floor > 0 else 1.0  # of equal rows, whose distances are left as they are
    products *= (1 - shrinkage) / n
    products.flat[:: side + 1] += floor
    if n > p:
        return Whitening(mean, _inverse_root(products), None, None, shrinkage, floor)
    inverse = _inverse(products)
    if 1 - shrinkage < LEAST_WEIGHT:
        lengths = np.einsum("ij,ij->i", centered @ centered.T, inverse)
    else:
        lengths = (1 - floor * inverse.diagonal()) * (n / (1 - shrinkage))
    return DualWhitening(mean, centered, inverse, np.maximum(lengths, 0, out=lengths), shrinkage, floor)


def ledoit_wolf(squares: np.ndarray, frobenius: float, p: int) -> tuple[float, float]:
    """Return s and mu from the squared lengths of centred rows and the sum of squares of their covariance.

    Where S is mu I, as that of a single column and of whitened rows, no s changes the covariance: s is 0, and does not
    hang on rounding.
    """
    n, target = len(squares), float(squares.mean()) / p
    error = (float(squares @ squares) / n - frobenius) / n  # expected, of S
    distance = frobenius - p * target**2  # of S from mu I
    if error <= 0 or distance <= RANK_TOLERANCE * frobenius:
        return 0.0, target
    return min(error / distance, 1.0), target


def _inverse(matrix: np.ndarray) -> np.ndarray:
    """Return the inverse of a positive definite matrix, by halves.

    More of it is products of matrices than where a root of the whole is inverted: three quarters of the time.
    """
    n, half = len(matrix), len(matrix) // 2
    root = _inverse_root(matrix if n <= SMALL else matrix[:half, :half])
    if n <= SMALL:
        return root.T @ root
    below = matrix[half:, :half] @ root.T
    out = np.empty_like(matrix)
    out[half:, half:] = complement = _inverse(matrix[half:, half:] - below @ below.T)
    below = below @ root
    across = complement @ below
    np.add(root.T @ root, below.T @ across, out=out[:half, :half])
    np.negative(across, out=out[half:, :half])
    out[:half, half:] = out[half:, :half].T
    return out


def _inverse_root(matrix: np.ndarray) -> np.ndarray:
    """Return the inverse of the lower triangular root of a positive definite matrix."""
    return _inverse_triangle(np.linalg.cholesky(matrix))


def _inverse_triangle(factor: np.ndarray) -> np.ndarray:
    """Return the inverse of a lower triangular matrix, by halves.

    scipy's LAPACK alone would wake threads of a second BLAS, which wait busily in the way of numpy's.
    """
    n, half = len(factor), len(factor) // 2
    if n <= SMALL:
        return lapack.dtrtri(factor.T)[0].T
    out = np.zeros_like(factor)
    first = out[:half, :half] = _inverse_triangle(factor[:half, :half])
    second = out[half:, half:] = _inverse_triangle(factor[half:, half:])
    out[half:, :half] = -(second @ factor[half:, :half]) @ first
    return out


def _coordinates(products: np.ndarray) -> np.ndarray:
    """Return rows of these products, (n, rank), as a triangular root of them; a column of zeros if there is none.

    Centred rows add up to zero: all but the last one span them, and where nothing else makes them dependent their
    products have a triangular root. Else it is one by pivots (LAPACK's pstrf), so that of equal rows one is taken.
    """
    largest, last = float(products.diagonal().max()), len(products) - 1
    if largest <= 0:
        return np.zeros((len(products), 1))
    try:
        root = np.linalg.cholesky(products[:last, :last])
    except np.linalg.LinAlgError:
        root = None
    if root is not None and root.diagonal().min() ** 2 > RANK_TOLERANCE * largest:
        coordinates = np.concatenate([root, -root.sum(axis=0, keepdims=True)])
        if abs(coordinates[last] @ coordinates[last] - products[last, last]) <= RANK_TOLERANCE * largest:
            return coordinates
    root, order, rank, _ = lapack.dpstrf(products, tol=RANK_TOLERANCE * largest, lower=1)
    coordinates = np.empty((len(products), rank))
    coordinates[order.astype(np.int64) - 1] = np.tril(root)[:, :rank]
    return coordinates


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
    """Return the mean of each column of a dense or sparse matrix, summed in float64."""
    if sparse.issparse(X):
        return (np.ones(X.shape[0]) @ X) / X.shape[0]  # scipy's mean sums float32 in float32, whatever its dtype
    with np.errstate(over="ignore", invalid="ignore"):  # both infinities in one sum
        return X.mean(axis=0, dtype=np.float64)


def slices(n: int, width: int) -> Iterator[slice]:
    """Yield slices of `n` rows or columns of `width` values each, such that those of one are not too many."""
    step = max(1, VALUES_AT_ONCE // max(width, 1))
    return (slice(start, min(start + step, n)) for start in range(0, n, step))


def dense(part: Any) -> np.ndarray:
    """Return an array of a part of a dense or sparse matrix."""
    return part.toarray() if sparse.issparse(part) else part
