"""Products of a sparse matrix and tables, and eigenvectors of a symmetric one; threads own rows and change no bit."""

from itertools import pairwise

import numpy as np
from scipy import sparse

from skembed.kernels.ppmi import multiply
from skembed.kernels.simd import SIMD_WIDTH, aligned_zeros
from skembed.parallel import Workers

__all__ = ["RowMatrix", "eigenvectors", "even_parts", "gram", "rotated"]

N_PARTS = 64  # of the rows, dealt to threads; fixed, so that nothing depends on how many these are
CHUNK = 1 << 13  # rows whose products are added as float32


class RowMatrix:
    """A sparse matrix in rows.

    Parameters
    ----------
    matrix : csr_matrix of shape (n_rows, n_columns)
    workers : Workers
    """

    def __init__(self, matrix: sparse.csr_matrix, workers: Workers) -> None:
        self.shape, self.workers = matrix.shape, workers
        self._starts = matrix.indptr[:-1].astype(np.int64)
        self._lengths = np.diff(matrix.indptr).astype(np.int64)
        self._columns = matrix.indices.astype(np.int32, copy=False)
        self._values = matrix.data.astype(np.float32, copy=False)
        self._parts = even_parts(self._lengths)

    def product(self, table: np.ndarray) -> np.ndarray:
        """Return the product with a table (n_columns, width), float32."""
        width = table.shape[1]
        padded = aligned_zeros(len(table), -(-width // SIMD_WIDTH) * SIMD_WIDTH)
        padded[:, :width] = table
        out = aligned_zeros(self.shape[0], padded.shape[1])
        places = self._starts, self._lengths, self._columns, self._values
        self.workers.map(multiply, [(*places, padded, *part, out) for part in self._parts])
        return out[:, :width]


def even_parts(costs: np.ndarray) -> list[tuple[int, int]]:
    """Cut rows into parts of about equal cost."""
    mass = np.cumsum(costs + 1)
    inner = np.searchsorted(mass, mass[-1] * np.arange(1, N_PARTS) / N_PARTS)
    cuts = np.unique(np.concatenate([[0], inner, [len(costs)]]))
    return [(int(begin), int(end)) for begin, end in pairwise(cuts)]


def gram(left: np.ndarray, right: np.ndarray, workers: Workers) -> np.ndarray:
    """Return ``left.T @ right`` as float64; chunks are multiplied as float32 and added in their order."""
    parts = workers.map(_gram_of_chunk, ((left[rows], right[rows]) for rows in _chunks(len(left))))
    return sum(parts, np.zeros((left.shape[1], right.shape[1])))


def _gram_of_chunk(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return (left.T @ right).astype(np.float64)


def rotated(table: np.ndarray, matrix: np.ndarray, workers: Workers) -> np.ndarray:
    """Return ``table @ matrix``, float32."""
    matrix = matrix.astype(np.float32)
    parts = workers.map(np.matmul, ((table[rows], matrix) for rows in _chunks(len(table))))
    return np.concatenate(parts) if parts else np.empty((0, matrix.shape[1]), np.float32)


def _chunks(n_rows: int) -> list[slice]:
    return [slice(begin, begin + CHUNK) for begin in range(0, n_rows, CHUNK)]


def _orthonormal(table: np.ndarray, workers: Workers, times: int = 1) -> np.ndarray:
    """Return a basis of the columns, float32; directions that are lost to rounding are left out.

    Once makes it orthonormal enough to go on from, twice to rounding.
    """
    for _ in range(times):
        if table.shape[1] == 0:
            return table
        values, vectors = np.linalg.eigh(gram(table, table, workers))
        kept = values > 1e-10 * max(values[-1], 1e-300)
        table = rotated(table, vectors[:, kept] / np.sqrt(values[kept]), workers)
    return table


def eigenvectors(matrix: RowMatrix, n_wanted: int, seed: int, n_products: int) -> tuple[np.ndarray, np.ndarray]:
    """Return eigenvectors of a symmetric matrix of greatest absolute eigenvalue, by randomized subspace iteration.

    Halko, Martinsson & Tropp 2011, algorithms 4.4 and 5.3.

    Parameters
    ----------
    matrix : RowMatrix of shape (n, n)
    n_wanted : int
    seed : int
    n_products : int
        Products with the matrix, at least 2; more are nearer to the exact ones.

    Returns
    -------
    vectors : ndarray of shape (n, n_found), float32
    values : ndarray of shape (n_found,), float64
        By falling absolute value; fewer than `n_wanted` where the matrix has not so many.
    """
    n_rows = matrix.shape[0]
    width = min(n_wanted + 16, n_rows)
    basis = np.random.default_rng(seed).standard_normal((n_rows, width), dtype=np.float32)
    for i in range(1, n_products):
        basis = _orthonormal(matrix.product(basis), matrix.workers, times=2 if i == n_products - 1 else 1)
    if basis.shape[1] == 0:
        return basis, np.zeros(0)
    small = gram(basis, matrix.product(basis), matrix.workers)
    values, vectors = np.linalg.eigh((small + small.T) / 2)
    order = np.argsort(-np.abs(values), kind="stable")[:n_wanted]
    order = order[np.abs(values[order]) > 1e-6 * max(np.abs(values).max(), 1e-300)]
    return rotated(basis, vectors[:, order], matrix.workers), values[order]
