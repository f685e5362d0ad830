"""One hidden vector, the mean of rows, and what its targets teach: what CBOW, subwords and bags of words share."""

import numpy as np
from numba import njit

from skembed.kernels.lanes import LANES, add, broadcast, load, multiply, multiply_add, prefetch, store, sum_lanes
from skembed.kernels.stretch import TILE

__all__ = ["logits_of_one", "mean_of_rows", "move_rows", "prefetch_rows", "update_one"]


@njit(cache=True, nogil=True)
def mean_of_rows(table, width, begins, first, n, hidden):
    """Write the mean of the rows that begin at ``begins[first : first + n]`` of `table` to the beginning of `hidden`.

    All arrays are pointers, see `skembed.kernels.lanes.pointer`; rows are `width` wide, a multiple of 16.
    """
    share = broadcast(np.float32(1.0) / np.float32(n))
    for d in range(0, width, LANES):
        total = load(table, begins[first] + d)
        for i in range(first + 1, first + n):
            total = add(total, load(table, begins[i] + d))
        store(hidden, d, multiply(share, total))


@njit(cache=True, nogil=True)
def move_rows(table, width, begins, sinks, first, n, hidden):
    """Add the second half of `hidden` to the rows that `mean_of_rows` read, and write them to ``sinks``."""
    for d in range(0, width, LANES):
        move = load(hidden, width + d)
        for i in range(first, first + n):
            store(table, sinks[i] + d, add(load(table, begins[i] + d), move))


@njit(cache=True, nogil=True)
def prefetch_rows(table, width, begins, first, n):
    """Ask for rows that will soon be read."""
    for i in range(first, first + n):
        for d in range(0, width, LANES):
            prefetch(table, begins[i] + d)


@njit(cache=True, nogil=True)
def logits_of_one(rows, room, n_targets):
    """``logits[k]`` is the row at the beginning of `hidden` times target k; a multiple of TILE of them."""
    outputs, logits = rows.outputs, room.logits
    zero = broadcast(np.float32(0.0))
    for k in range(0, n_targets, TILE):
        target0, target1, target2 = room.targets[k], room.targets[k + 1], room.targets[k + 2]
        a0 = a1 = a2 = zero
        for d in range(0, rows.width, LANES):
            v = load(room.hidden, d)
            a0 = multiply_add(v, load(outputs, target0 + d), a0)
            a1 = multiply_add(v, load(outputs, target1 + d), a1)
            a2 = multiply_add(v, load(outputs, target2 + d), a2)
        logits[k] = sum_lanes(a0)
        logits[k + 1] = sum_lanes(a1)
        logits[k + 2] = sum_lanes(a2)


@njit(cache=True, nogil=True)
def update_one(rows, room, n_targets):
    """Add ``steps`` times the row at the beginning of `hidden` to the targets, where `room.logits` holds the steps.

    What the targets, as they were, add to that row is written behind it.
    """
    hidden, outputs, steps = room.hidden, rows.outputs, room.logits
    for d in range(0, rows.width, LANES):
        v = load(hidden, d)
        move = broadcast(np.float32(0.0))
        for k in range(n_targets):
            g = broadcast(steps[k])
            u = load(outputs, room.targets[k] + d)
            move = multiply_add(g, u, move)
            store(outputs, room.targets[k] + d, multiply_add(g, v, u))
        store(hidden, rows.width + d, move)
