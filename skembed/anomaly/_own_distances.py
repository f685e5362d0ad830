"""Distances of rows to their nearest others, each as if the covariance had been learned without it.

A row draws the covariance towards itself and so seems nearer than a new one like it: with fewer rows than columns half
of all usual new rows are farther away than 95 of 100 rows are from each other. Without row i, C becomes C - b u u' (u
the row less the mean) but for a factor, whose inverse is known in closed form (Sherman & Morrison 1950)::

    d_i(x, y)^2 = (x - y)' C^-1 (x - y) + g ((x - y)' C^-1 u)^2,  g = b / (1 - b u' C^-1 u)
"""

import math

import numpy as np

from skembed.table.neighbors import ExactIndex, Neighbors, row_norms
from skembed.training.whitening import slices

__all__ = ["own_neighbors"]

PAIRS_AT_ONCE = 1 << 19  # float64 squares of pairs of rows, 4 MiB
CANDIDATES = 2  # times k that are looked at first: a row farther away than the farthest of them is passed over
LEAST = 1e-9  # of 1 - b u' C^-1 u, which is 0 where a row alone is all that there is along a direction


def own_neighbors(index: ExactIndex, k: int, shrinkage: float | None) -> Neighbors:
    """Return the k nearest others of each row of an index.

    Parameters
    ----------
    index : ExactIndex
        Of the rows, whitened if they are.
    k : int
        Less than the number of rows.
    shrinkage : float or None
        Of the covariance of these rows, by which they were whitened; None leaves distances as they are.

    Returns
    -------
    Neighbors
        Nearest first.
    """
    n, dim = index.vectors.shape
    own_rows = np.arange(n)
    if shrinkage is None:
        return index.search(index.vectors, k, "euclidean", own_rows=own_rows)
    without = _Without(index.vectors, shrinkage)
    found = Neighbors(np.empty((n, k), np.float32), np.empty((n, k), np.int64))
    unsettled = own_rows
    wanted = CANDIDATES * k
    if n > max(dim, wanted + 1):  # else a row changes the covariance so much that few would be settled by candidates
        near = index.search(index.vectors, wanted, "euclidean", own_rows=own_rows)
        for part in slices(n, wanted * dim):
            found.scores[part], found.rows[part] = without.best(own_rows[part], near.rows[part], k)
        # leaving a row out lets no distance fall but by the factor: what is beyond the candidates stays beyond them
        unsettled = np.flatnonzero(found.scores[:, -1] > near.scores[:, -1] * math.sqrt(without.factor))
    step = max(1, PAIRS_AT_ONCE // n)
    for start in range(0, len(unsettled), step):
        rows = unsettled[start : start + step]
        nearest = np.argpartition(without.all_squares(rows), k - 1, axis=1)[:, :k]
        found.scores[rows], found.rows[rows] = without.best(rows, nearest, k)
    return found


class _Without:
    """Distances from each row by the covariance without it.

    That of the others is n / (n - 1) (S - u u' / (n - 1)). The shrinkage stays, and its target grows by n / (n - 1)
    with S, so that of whitened rows, whose C is I, no more is needed than a factor and u.
    """

    def __init__(self, vectors: np.ndarray, shrinkage: float) -> None:
        n = len(vectors)
        b = (1 - shrinkage) / (n - 1)
        self.rows, self.squares = vectors, row_norms(vectors) ** 2
        self.gains = b / np.maximum(1 - b * self.squares, LEAST)
        self.factor = (n - 1) / n

    def best(self, rows: np.ndarray, others: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the k nearest, distances and rows, among the `others` of each of the rows, (n_rows, n_others)."""
        own = self.rows[rows].astype(np.float64)
        squares, along = np.empty(others.shape), np.empty(others.shape)
        for place, column in enumerate(others.T):
            differences = own - self.rows[column]
            squares[:, place] = np.einsum("ij,ij->i", differences, differences)
            along[:, place] = np.einsum("ij,ij->i", differences, own)
        distances = np.sqrt(self.factor * (squares + self.gains[rows, None] * along**2)).astype(np.float32)
        order = np.lexsort((others, distances))[:, :k]
        return np.take_along_axis(distances, order, 1), np.take_along_axis(others, order, 1)

    def all_squares(self, rows: np.ndarray) -> np.ndarray:
        """Return squared distances to all rows, (n_rows, n), in order, to some digits less; to itself infinity."""
        products = (self.rows[rows] @ self.rows.T).astype(np.float64)
        own = self.squares[rows, None]
        squares = products * -2
        squares += own + self.squares
        np.subtract(own, products, out=products)
        np.square(products, out=products)
        products *= self.gains[rows, None]
        squares += products
        squares[np.arange(len(rows)), rows] = np.inf
        return squares
