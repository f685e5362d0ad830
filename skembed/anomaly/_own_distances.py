"""Distances of rows to their nearest others, each as if the covariance had been learned without it.

A row draws the covariance towards itself and so seems nearer than a new one like it: with fewer rows than columns half
of all usual new rows are farther away than 95 of 100 rows are from each other. Without row i, C becomes C - b u u' (u
the row less the mean) but for a factor, whose inverse is known in closed form (Sherman & Morrison 1950)::

    d_i(x, y)^2 = (x - y)' C^-1 (x - y) + g ((x - y)' C^-1 u)^2,  g = b / (1 - b u' C^-1 u)
"""

import math

import numpy as np

from skembed.anomaly._least import least_columns
from skembed.table.neighbors import ExactIndex, Neighbors
from skembed.training.whitening import slices

__all__ = ["best", "gains_without", "own_neighbors"]

PAIRS_AT_ONCE = 1 << 19  # float64 squares of pairs of rows, 4 MiB
CANDIDATES = 2  # times k that are looked at first: a row farther away than the farthest of them is passed over
LEAST = 1e-9  # of 1 - b u' C^-1 u, which is 0 where a row alone is all that there is along a direction
NEAR = 1e-8  # of the squared lengths of two rows: below, their squared distance by products has lost its digits


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
    without = _Without(index, shrinkage)
    found = Neighbors(np.empty((n, k), np.float32), np.empty((n, k), np.int64))
    unsettled = own_rows
    wanted = CANDIDATES * k
    if n > max(dim, wanted + 1):  # else a row changes the covariance so much that few would be settled by candidates
        near = index.search(index.vectors, wanted, "euclidean", own_rows=own_rows)
        squares = without.squared_distances(own_rows, near.rows, near.scores.astype(np.float64) ** 2)
        found.scores[:], found.rows[:] = best(squares, near.rows, k)
        # leaving a row out lets no distance fall but by the factor: what is beyond the candidates stays beyond them
        unsettled = np.flatnonzero(found.scores[:, -1] > near.scores[:, -1] * math.sqrt(without.factor))
    step = max(1, PAIRS_AT_ONCE // n)
    for start in range(0, len(unsettled), step):
        rows = unsettled[start : start + step]
        found.scores[rows], found.rows[rows] = without.nearest(rows, k)
    return found


def gains_without(squared_lengths: np.ndarray, shrinkage: float) -> tuple[np.ndarray, float]:
    """Return g of each row, (n,), and the factor of squared distances by a covariance without the row.

    S of the others is n / (n - 1) (S - u u' / (n - 1)), and so much of the total variance as a row has on average is
    gone from it. What the covariance is shrunk towards has to lose as much: it is a share of that total. So the factor
    lets C - b u u' have, on average, the total variance of the others. It is the factor of S where nothing is shrunk.

    Parameters
    ----------
    squared_lengths : ndarray of shape (n,)
        u' C^-1 u of all rows.
    shrinkage : float
    """
    n = len(squared_lengths)
    b = (1 - shrinkage) / (n - 1)
    factor = (n - 1) / n
    if n > 2:  # else the other row alone has no variance
        factor *= (n - 2 + shrinkage) / (n - 2)
    return b / np.maximum(1 - b * squared_lengths, LEAST), factor


class _Without:
    """Distances from each row by the covariance without it, of whitened rows, whose C is I."""

    def __init__(self, index: ExactIndex, shrinkage: float) -> None:
        self.rows, self.lengths = index.vectors, index.norms**2
        self.gains, self.factor = gains_without(self.lengths, shrinkage)

    def squared_distances(self, rows: np.ndarray, others: np.ndarray | slice, squares: np.ndarray) -> np.ndarray:
        """Return those from `rows` to `others`, given `squares`, the squared distances by the covariance with the row.

        Arrays of shape (n_rows, n_others); (x - y)' C^-1 u is half of |x|^2 - |y|^2 + |x - y|^2.
        """
        along = self.lengths[rows, None] - self.lengths[others]
        along += squares
        along *= along
        along *= self.gains[rows, None] / 4
        along += squares
        along *= self.factor
        return along

    def nearest(self, rows: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the k nearest of all rows but itself, distances and rows, for each of the rows."""
        own = self.rows[rows].astype(np.float64)
        squares = np.empty((len(rows), len(self.rows)))
        for part in slices(*self.rows.shape):
            np.matmul(own, self.rows[part].astype(np.float64).T, out=squares[:, part])
        squares *= -2
        squares += self.lengths
        squares += self.lengths[rows, None]
        without = self.squared_distances(rows, slice(None), squares)
        without[np.arange(len(rows)), rows] = np.inf
        others = least_columns(without, k)
        found = np.take_along_axis(squares, others, axis=1)
        for row in np.flatnonzero((found < NEAR * (self.lengths[rows, None] + self.lengths[others])).any(axis=1)):
            differences = own[row] - self.rows[others[row]]
            found[row] = np.einsum("ij,ij->i", differences, differences)
        return best(self.squared_distances(rows, others, found), others, k)


def best(squares: np.ndarray, others: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the k least of squared distances, as distances, and the rows that they are to."""
    distances = np.sqrt(squares).astype(np.float32)
    order = np.lexsort((others, distances))[:, :k]
    return np.take_along_axis(distances, order, 1), np.take_along_axis(others, order, 1)
