"""Adding what partitions learned side by side to the rows of a table.

The sum of the deltas is right where partitions hardly overlap: averaging instead would teach most rows a fraction of
what was learned. But a row that each partition pulled all the way to its optimum would be moved that far several times
by the sum, and diverge. So each row gets the sum times the ratio of two shares of that way: what all pulls together
would have covered one after the other, by what they covered side by side, where a pull covers 1 - exp(-pull). It is 1
for small pulls and makes the mean of large ones.
"""

import math

import numpy as np
from numba import njit

from skembed.kernels.lanes import pointer
from skembed.kernels.localise import AHEAD, prefetch_row

__all__ = ["add_deltas", "add_pulls", "clear_pulls"]


@njit(cache=True, nogil=True)
def add_pulls(rows, pulls, part, n_parts, total, covered):
    """Tally the pulls of one partition, before any deltas are added.

    Parameters
    ----------
    rows : ndarray of shape (n,), int32
        Each once.
    pulls : ndarray of shape (n,), float32
        Learning rate times curvature of the loss, summed over the updates of the row.
    part, n_parts : int
        Rows r with ``r % n_parts == part`` are meant, so that parts can run at once.
    total, covered : ndarray of shape (n_rows,), float32
        Sums over partitions of the pulls and of the shares they covered.
    """
    for i in range(rows.size):
        row = rows[i]
        if row % n_parts == part:
            total[row] += pulls[i]
            covered[row] -= np.float32(math.expm1(-pulls[i]))


@njit(cache=True, nogil=True, fastmath={"reassoc", "nsz", "contract"})
def add_deltas(table, rows, deltas, part, n_parts, total, covered):
    """Add the deltas of one partition to the rows of one part of a table, scaled by the pulls of all partitions.

    Parameters
    ----------
    table : ndarray of shape (n_rows, embedding_dim), float32
        Changes in place.
    rows, part, n_parts, total, covered
        As in `add_pulls`.
    deltas : ndarray of shape (n, embedding_dim or more), float32
    """
    dim = table.shape[1]
    start = pointer(table)
    for i in range(rows.size):
        if i + AHEAD < rows.size:
            prefetch_row(start, np.int64(rows[i + AHEAD]), dim)
        row = rows[i]
        if row % n_parts == part:
            scale = np.float32(1.0)
            if covered[row] > 0.0:
                scale = np.float32(-math.expm1(-total[row]) / covered[row])
            for d in range(dim):
                table[row, d] += scale * deltas[i, d]


@njit(cache=True, nogil=True)
def clear_pulls(rows, part, n_parts, total, covered):
    """Set the tallies of the rows of one part back to zero."""
    for i in range(rows.size):
        if rows[i] % n_parts == part:
            total[rows[i]] = 0.0
            covered[rows[i]] = 0.0
