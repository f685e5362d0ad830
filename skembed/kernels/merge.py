"""Adding the deltas of touched rows to a table."""

from numba import njit

__all__ = ["add_deltas"]


@njit(cache=True, nogil=True, fastmath=True)
def add_deltas(table, rows, deltas, part, n_parts):
    """``table[rows[i]] += deltas[i]`` for the rows of one part, so that parts can run at once.

    Parameters
    ----------
    table : ndarray of shape (n_rows, embedding_dim), float32
        Changes in place.
    rows : ndarray of shape (n,), int32
        Each once.
    deltas : ndarray of shape (n, embedding_dim or more), float32
    part, n_parts : int
        Rows r with ``r % n_parts == part`` are meant.
    """
    dim = table.shape[1]
    for i in range(rows.size):
        row = rows[i]
        if row % n_parts == part:
            for d in range(dim):
                table[row, d] += deltas[i, d]
