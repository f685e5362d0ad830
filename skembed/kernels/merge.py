"""Merging what partitions learned side by side: deltas of touched rows, added in one fixed order.

Each partition starts from the same table and returns the rows it touched with what it would add to them. Adding all
deltas keeps what rare rows learn, whereas averaging loses a seventh of the quality of word vectors. But a row that
every partition moved many times has gone most of its way in each of them, and the sum would overshoot. `merge_rows`
therefore sums where updates were few and averages where they were many.
"""

import numpy as np
from numba import njit

__all__ = ["merge_rows", "subtract_rows"]


@njit(cache=True, nogil=True, fastmath=True)
def subtract_rows(table, rows, n_rows, local):
    """Turn local copies of rows into deltas, in place: ``local[i] -= table[rows[i]]``."""
    dim = table.shape[1]
    for i in range(n_rows):
        row = rows[i]
        for d in range(dim):
            local[i, d] -= table[row, d]


@njit(cache=True, nogil=True)
def tally(rows, counts, part, n_parts, rate, total, progress):
    """Count the updates of each row of this part over partitions, and the progress they made side by side."""
    for i in range(rows.size):
        row = rows[i]
        if row % n_parts == part:
            total[row] += counts[i]
            progress[row] += 1.0 - np.exp(-rate * counts[i])


@njit(cache=True, nogil=True, fastmath=True)
def add_deltas(table, rows, deltas, part, n_parts, rate, total, progress):
    """Add deltas of one partition to the rows of this part, scaled down where partitions overlap a lot."""
    dim = table.shape[1]
    for i in range(rows.size):
        row = rows[i]
        if row % n_parts == part:
            scale = np.float32(1.0)
            if progress[row] > 0.0:
                scale = np.float32((1.0 - np.exp(-rate * total[row])) / progress[row])
            for d in range(dim):
                table[row, d] += scale * deltas[i, d]
