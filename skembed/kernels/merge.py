"""Deltas that shards learned side by side, added to the rows of a table; a delta may be for several rows.

The sum of the deltas is right where shards hardly overlap: averaging instead would teach most rows a fraction of
what was learned. But a row that each shard moved all the way to its optimum would be moved that far several times
by the sum, and diverge. So each row gets the sum times the ratio of two shares of that way: what all steps together
would have covered one after the other, by what they covered side by side, where a step covers 1 - exp(-step weight).
It is 1 for small weights and makes the mean of large ones.
"""

import math

import numpy as np

from skembed.kernels.compile import compiled, compiled_late
from skembed.kernels.simd import pointer, prefetch_row

__all__ = ["add_deltas", "add_step_weights", "add_to_rows", "clear_step_weights", "find_scales"]

AHEAD = 16  # rows: a delta is soon added, so that more of them pass while a row comes from memory


@compiled(inline="always")
def is_in_part(row, part, n_parts):
    """Whether a row, int32, is of a part: an even and fixed share of them, found without a slow division."""
    mixed = (np.uint64(row) * np.uint64(2654435761)) & np.uint64(0xFFFFFFFF)  # Knuth's multiplicative hash
    return np.int64((mixed * np.uint64(n_parts)) >> np.uint64(32)) == part


@compiled()
def add_step_weights(rows, ends, step_weights, part, n_parts, total, covered):
    """Tally the step weights of one shard, before any deltas are added.

    Parameters
    ----------
    rows : ndarray of shape (m,), int32
        All the rows that deltas are for.
    ends : ndarray of shape (n,), int64
        Delta i is for each of ``rows[ends[i - 1] : ends[i]]``.
    step_weights : ndarray of shape (n,), float32
        Learning rate times curvature of the loss, summed over the updates of a row.
    part, n_parts : int
        The rows of that part are meant (`is_in_part`), so that parts can run at once.
    total, covered : ndarray of shape (n_rows,), float32
        Sums over shards of the step weights and of the shares they covered.
    """
    begin = 0
    for i in range(ends.size):
        share = np.float32(-math.expm1(-step_weights[i]))
        for j in range(begin, ends[i]):
            row = rows[j]
            if is_in_part(row, part, n_parts):
                total[row] += step_weights[i]
                covered[row] += share
        begin = ends[i]


@compiled()
def find_scales(rows, part, n_parts, total, covered):
    """Turn `covered` into what the deltas of each row are to be multiplied by; `total` is -1 where that is done."""
    for j in range(rows.size):
        row = rows[j]
        if is_in_part(row, part, n_parts) and total[row] >= 0.0:
            scale = -math.expm1(-total[row]) / covered[row] if covered[row] > 0.0 else 1.0
            covered[row], total[row] = np.float32(scale), np.float32(-1.0)


@compiled(fastmath={"reassoc", "nsz", "contract"})
def add_deltas(table, rows, ends, deltas, part, n_parts, scales):
    """Add the deltas of one shard to the rows of one part of a table.

    Parameters
    ----------
    table : ndarray of shape (n_rows, embedding_dim), float32
        Changes in place.
    rows, ends, part, n_parts
        As in `add_step_weights`.
    deltas : ndarray of shape (n, embedding_dim or more), float32
    scales : ndarray of shape (n_rows,), float32
        What `find_scales` made of the step weights of all shards.
    """
    dim = table.shape[1]
    start = pointer(table)
    begin = 0
    for i in range(ends.size):
        for j in range(begin, ends[i]):
            if j + AHEAD < rows.size and is_in_part(rows[j + AHEAD], part, n_parts):
                prefetch_row(start, np.int64(rows[j + AHEAD]), dim)
            row = rows[j]
            if is_in_part(row, part, n_parts):
                scale = scales[row]
                for d in range(dim):
                    table[row, d] += scale * deltas[i, d]
        begin = ends[i]


def _add_to_rows(table, rows, deltas):
    table[rows] += deltas[: len(rows), : table.shape[1]]


@compiled_late(_add_to_rows)
def add_to_rows(table, rows, deltas):
    """Add deltas to a table, each to its own row.

    Parameters
    ----------
    table : ndarray of shape (n_rows, embedding_dim), float32, C-contiguous
        Changes in place.
    rows : ndarray of shape (n,), int32
    deltas : ndarray of shape (n or more, embedding_dim or more), float32, C-contiguous
    """
    dim, width = table.shape[1], deltas.shape[1]
    start, delta = pointer(table), pointer(deltas)
    for i in range(rows.size):
        if i + AHEAD < rows.size:
            prefetch_row(start, np.int64(rows[i + AHEAD]), dim)
        row = np.int64(rows[i]) * dim
        for d in range(dim):
            start[row + d] += delta[i * width + d]


@compiled()
def clear_step_weights(rows, part, n_parts, total, covered):
    """Set the tallies of the rows of one part back to zero."""
    for i in range(rows.size):
        if is_in_part(rows[i], part, n_parts):
            total[rows[i]] = 0.0
            covered[rows[i]] = 0.0
