"""Weighted counts of how often two keys stand near each other, the rows of a table that is never dense.

Pennington, Socher & Manning 2014, section 3.1 (https://aclanthology.org/D14-1162). The reference program sorts pairs as
they come; here all occurrences of a key are visited in a row, so that the counts of its neighbours are sums in one
array that stays in the cache: nothing is sorted, and no pair is held twice.

Counts are integers in units of 1 / UNIT: integers add up to the same whatever the order, so the counts depend neither
on how the work is cut nor on who does it.
"""

import math

import numpy as np

from skembed.kernels.compile import compiled
from skembed.kernels.random import draw_below
from skembed.kernels.simd import pointer, prefetch

__all__ = ["SEPARATOR", "UNIT", "add_runs", "bucket_cells", "count_rows", "distance_weights", "index_tokens"]

UNIT = 232_792_560  # the least common multiple of 1 to 22: 1 / distance is an integer of it in windows up to 22
SEPARATOR = -1  # stands before the first sequence and after each
AHEAD = 8  # places of a key that are asked for before they are needed


def distance_weights(window: int, weighted: bool) -> np.ndarray:
    """What a neighbour adds, by its distance, in units of 1 / UNIT: int64 (window + 1,), place 0 unused.

    Examples
    --------
    >>> (UNIT / distance_weights(4, True)[1:]).tolist()
    [1.0, 2.0, 3.0, 4.0]
    """
    distances = np.maximum(np.arange(window + 1), 1)
    return np.rint(UNIT / distances).astype(np.int64) if weighted else np.full(window + 1, UNIT, np.int64)


def index_tokens(tokens, n_keys):
    """Where each key stands.

    Parameters
    ----------
    tokens : ndarray of shape (n,), int32
        Rows below `n_keys`, which is not checked; negative ones are not indexed.
    n_keys : int

    Returns
    -------
    starts : ndarray of shape (n_keys + 1,), int64
    positions : ndarray of shape (n_indexed,), int32
        Key i stands at the places ``positions[starts[i] : starts[i + 1]]``, ascending.
    """
    starts = np.zeros(n_keys + 2, np.int64)
    positions = np.empty(np.count_nonzero(tokens >= 0), np.int32)
    _index(tokens, starts, positions)
    return starts[:-1], positions


@compiled()
def _index(tokens, starts, positions):
    """Key i is counted in ``starts[i + 2]``: ``starts[i + 1]`` is where its next place goes, and at last its end."""
    for position in range(tokens.size):
        if tokens[position] >= 0:
            starts[tokens[position] + 2] += 1
    for key in range(starts.size - 1):
        starts[key + 1] += starts[key]
    for position in range(tokens.size):
        token = tokens[position]
        if token >= 0:
            positions[starts[token + 1]] = position
            starts[token + 1] += 1


@compiled()
def count_rows(
    tokens, starts, positions, first, last, both_sides, first_new, weights, sums, touched, row_ends, columns, values
):
    """Count the neighbours of the keys `first` to ``last - 1``.

    Parameters
    ----------
    tokens : ndarray of shape (n,), int32
        Sequences of keys, SEPARATOR before the first and after each.
    starts, positions
        As `index_tokens` writes them.
    first, last : int
    both_sides : bool
        Count neighbours on both sides, but, since both keys of a pair see each other, only those that are not below
        the key itself; else all neighbours before the key.
    first_new : int
        Pairs that lie wholly before this place were counted before.
    weights : ndarray of shape (window + 1,), int64
        What a neighbour adds by its distance.
    sums : ndarray of shape (n_keys,), int64
        Zeros, and so they are again at the end.
    touched : ndarray of shape (n_keys,), int32
        Workspace.
    row_ends : ndarray of shape (last - first,), int64
        Output: the neighbours of key ``first + i`` end here,
    columns, values : ndarray of shape (capacity,), int32 and int64
        Output: which these are, in no useful order, and their sums.

    Returns
    -------
    int
        How many of the columns were written.
    """
    window = weights.size - 1
    n_cells = 0
    places, stream, total = pointer(positions), pointer(tokens), pointer(sums)
    n_places = positions.size
    for row in range(first, last):
        lowest = row if both_sides else 0
        n_touched = 0
        for k in range(starts[row], starts[row + 1]):
            if k + AHEAD < n_places:
                prefetch(stream, np.int64(places[k + AHEAD]))
            position = np.int64(places[k])
            if position >= first_new:
                for distance in range(1, window + 1):
                    token = np.int64(stream[position - distance])
                    if token < 0:
                        break
                    if token >= lowest:
                        if total[token] == 0:
                            touched[n_touched] = token
                            n_touched += 1
                        total[token] += weights[distance]
            if both_sides:
                for distance in range(1, window + 1):
                    token = np.int64(stream[position + distance])
                    if token < 0:
                        break
                    if token >= lowest and position + distance >= first_new:
                        if total[token] == 0:
                            touched[n_touched] = token
                            n_touched += 1
                        total[token] += weights[distance]
        n_cells = _emit(sums, touched, n_touched, columns, values, n_cells)
        row_ends[row - first] = n_cells
    return n_cells


@compiled()
def add_runs(begins, ends, run_columns, run_values, sums, touched, row_ends, columns, values):
    """Add up rows that were counted in several runs.

    Parameters
    ----------
    begins, ends : ndarray of shape (n_runs, n_rows), int64
        Row i of run r is ``run_columns[begins[r, i] : ends[r, i]]`` with the sums in `run_values`.
    run_columns, run_values : ndarray of shape (n,), int32 and int64
    sums, touched, row_ends, columns, values
        As for `count_rows`.

    Returns
    -------
    int
        How many of the columns were written.
    """
    n_cells = 0
    for row in range(row_ends.size):
        n_touched = 0
        for run in range(len(begins)):
            for k in range(begins[run, row], ends[run, row]):
                token = run_columns[k]
                if sums[token] == 0:
                    touched[n_touched] = token
                    n_touched += 1
                sums[token] += run_values[k]
        n_cells = _emit(sums, touched, n_touched, columns, values, n_cells)
        row_ends[row] = n_cells
    return n_cells


@compiled(inline="always")
def _emit(sums, touched, n_touched, columns, values, n_cells):
    for i in range(n_touched):
        token = touched[i]
        columns[n_cells] = token
        values[n_cells] = sums[token]
        sums[token] = 0
        n_cells += 1
    return n_cells


def bucket_cells(row_ends, columns, values, block_starts, x_max, alpha, state, cells, bucket_ends):
    """Sort the cells of a block of rows into buckets, one for each block of columns, and shuffle each bucket.

    Parameters
    ----------
    row_ends, columns, values
        Rows as `count_rows` writes them. How the cells of a row are ordered changes nothing.
    block_starts : ndarray of shape (n_blocks + 1,), int64
        Block b are the keys ``block_starts[b]`` to ``block_starts[b + 1] - 1``, at most 65,536.
    x_max, alpha : float
        A count x weighs ``min(1, (x / x_max) ** alpha)``.
    state : ndarray of shape (1,), uint64
        Decides the order; see `skembed.kernels.random`.
    cells : ndarray of shape (n_cells, 3), uint32
        Output: row and column within their blocks, 16 bits each, the row in the lower ones, then the bits of two
        float32: the logarithm of the count, and its weight.
    bucket_ends : ndarray of shape (n_blocks,), int64
        Output: where the buckets end in `cells`.
    """
    next_ = np.zeros(block_starts[-1] + 1, np.int64)
    numbers = cells.view(np.float32)
    _bucket(row_ends, columns, values, block_starts, x_max, alpha, state, cells, numbers, bucket_ends, next_)


@compiled()
def _bucket(row_ends, columns, values, block_starts, x_max, alpha, state, cells, numbers, bucket_ends, next_):
    n_blocks = block_starts.size - 1
    for k in range(columns.size):
        next_[columns[k] + 1] += 1
    for column in range(next_.size - 1):
        next_[column + 1] += next_[column]
    for block in range(n_blocks):
        bucket_ends[block] = next_[block_starts[block + 1]]
    begin = 0
    for row in range(row_ends.size):
        for k in range(begin, row_ends[row]):
            column = columns[k]
            to = next_[column]
            next_[column] += 1
            x = values[k] / UNIT
            cells[to, 0] = np.uint32(row)
            cells[to, 1] = np.uint32(column)
            numbers[to, 2] = x
        begin = row_ends[row]
    first = 0
    for block in range(n_blocks):
        for k in range(first, bucket_ends[block]):
            x = np.float64(numbers[k, 2])
            column = cells[k, 1] - block_starts[block]
            cells[k, 0] |= np.uint32(column << 16)
            numbers[k, 1] = math.log(x)
            numbers[k, 2] = 1.0 if x >= x_max else (x / x_max) ** alpha
        _shuffle(cells, first, bucket_ends[block], state)
        first = bucket_ends[block]


@compiled(inline="always")
def _shuffle(cells, first, last, state):
    """Shuffle ``cells[first:last]`` (Durstenfeld 1964)."""
    for k in range(last - first - 1, 0, -1):
        a, b = first + k, first + draw_below(state, k + 1)
        for part in range(3):
            kept = cells[a, part]
            cells[a, part] = cells[b, part]
            cells[b, part] = kept
