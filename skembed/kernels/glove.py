"""One pass of AdaGrad over cells of a table of co-occurrences: the model of GloVe.

Pennington, Socher & Manning 2014, equation 8 (https://aclanthology.org/D14-1162), with AdaGrad (Duchi, Hazan & Singer
2011) as in their program: the learning rate is part of what the squares are summed of, and the sum begins at 1.

What a component keeps is not the sum of its squares but y = 1 / sqrt(sum). A step is s = step * y; the sum grows by
step ** 2, so that y becomes y / sqrt(1 + s ** 2): no root and no division but a few terms of a series in s ** 2, since
steps are short.

Biases are two components more: a word is (vector, bias, 1), a context (vector, 1, bias), and their product is the
whole model. The ones, and the padding up to whole SIMD vectors, have y = 0 and never move.
"""

from typing import Any, NamedTuple

import numpy as np

from skembed.kernels.compile import compiled
from skembed.kernels.simd import (
    SIMD_WIDTH,
    aligned_zeros,
    broadcast,
    clamp,
    dot,
    load,
    multiply,
    pointer,
    prefetch_row,
    shrink_factor,
    store,
    subtract,
)

__all__ = ["LONGEST_STEP", "PARTS", "new_records", "train_buckets"]

PARTS = 4  # of a record: word, its rates, context, its rates
LONGEST_STEP = np.float32(0.5)  # of a component at one cell; only learning rates far too large come near it
LARGEST_GRADIENT = np.float32(100.0)
CACHE = 1 << 21  # bytes of records that need not be asked for: about a second-level cache
AHEAD = 3  # cells


def new_records(words: np.ndarray, contexts: np.ndarray) -> np.ndarray:
    """All that is learned of each key, side by side, so that a cell touches two runs of memory.

    Parameters
    ----------
    words, contexts : ndarray of shape (n_keys, embedding_dim), float32

    Returns
    -------
    ndarray of shape (n_keys, PARTS, width), float32
        Words, y of words, contexts, y of contexts; `width` is a multiple of 16 and embedding_dim + 2 at least. Column
        embedding_dim of words is the bias, column embedding_dim + 1 that of contexts.
    """
    n_keys, dim = words.shape
    records = aligned_zeros(n_keys, PARTS, -(-(dim + 2) // SIMD_WIDTH) * SIMD_WIDTH)
    records[:, 0, :dim] = words
    records[:, 0, dim + 1] = 1
    records[:, 1, : dim + 1] = 1
    records[:, 2, :dim] = contexts
    records[:, 2, dim] = 1
    records[:, 3, :dim] = 1
    records[:, 3, dim + 1] = 1
    return records


def train_buckets(records, cells, begins, ends, row_starts, column_starts, far, both, learning_rate, losses):
    """Learn from buckets of cells one after the other, in place.

    Parameters
    ----------
    records : ndarray of shape (n_keys, PARTS, width), float32
        See `new_records`.
    cells : ndarray of shape (n_cells, 3), uint32
        See `skembed.kernels.cooccurrence.bucket_cells`.
    begins, ends : ndarray of shape (n_buckets,), int64
        Where the buckets lie in `cells`.
    row_starts, column_starts : ndarray of shape (n_buckets,), int64
        The record of row 0 and of column 0 of each bucket.
    far : ndarray of shape (n_buckets,), bool
        Ask for records early: those of the bucket are more than a cache holds.
    both : bool
        A cell stands for (row, column) and for (column, row).
    learning_rate : float
    losses : ndarray of shape (n_buckets,), float64
        Output: sums of half the weighted squared errors, as they were when each cell was met.
    """
    both = True if both else None  # numba compiles one kernel where it is None, another where not
    numbers = cells.view(np.float32)
    _train_buckets(records, cells, numbers, begins, ends, row_starts, column_starts, far, both, learning_rate, losses)


@compiled()
def _train_buckets(records, cells, numbers, begins, ends, row_starts, column_starts, far, both, learning_rate, losses):
    width = records.shape[2]
    rate = np.float32(learning_rate)
    table = Table(pointer(records), pointer(cells), pointer(numbers), width, PARTS * width)
    for bucket in range(begins.size):
        at = Bucket(begins[bucket], ends[bucket], row_starts[bucket], column_starts[bucket], far[bucket])
        if both is None:
            losses[bucket] = _train_one(table, at, rate)
        else:
            losses[bucket] = _train_both(table, at, rate)


class Table(NamedTuple):
    """Records and cells as pointers; `record` is how many numbers a record has."""

    records: Any
    cells: Any
    numbers: Any
    width: int
    record: int


class Bucket(NamedTuple):
    """Cells ``begin`` to ``end - 1``, the records where its rows and columns begin, and whether to ask early."""

    begin: int
    end: int
    row: int
    column: int
    far: bool


@compiled(inline="always")
def _row_of(table, bucket, k):
    """The record of a cell's row."""
    return bucket.row + np.int64(table.cells[3 * k] & np.uint32(0xFFFF))


@compiled(inline="always")
def _column_of(table, bucket, k):
    """The record of a cell's column."""
    return bucket.column + np.int64(table.cells[3 * k] >> np.uint32(16))


@compiled(inline="always")
def _train_one(table, bucket, rate):
    loss = 0.0
    half = 2 * table.width  # of a record: a word and its rates, or a context and its rates
    for k in range(bucket.begin, bucket.end):
        if bucket.far and k + AHEAD < bucket.end:
            prefetch_row(table.records, 2 * _row_of(table, bucket, k + AHEAD), half)
            prefetch_row(table.records, 2 * _column_of(table, bucket, k + AHEAD) + 1, half)
        word, context = 2 * _row_of(table, bucket, k) * half, (2 * _column_of(table, bucket, k) + 1) * half
        error = dot(table.records, word, context, table.width) - table.numbers[3 * k + 1]
        gradient = table.numbers[3 * k + 2] * error
        loss += gradient * error
        _move(table, word, context, rate * gradient)
    return 0.5 * loss


@compiled(inline="always")
def _train_both(table, bucket, rate):
    loss = 0.0
    to_context = 2 * table.width
    for k in range(bucket.begin, bucket.end):
        if bucket.far and k + AHEAD < bucket.end:
            prefetch_row(table.records, _row_of(table, bucket, k + AHEAD), table.record)
            prefetch_row(table.records, _column_of(table, bucket, k + AHEAD), table.record)
        word, other = _row_of(table, bucket, k) * table.record, _column_of(table, bucket, k) * table.record
        log_count, weight = table.numbers[3 * k + 1], table.numbers[3 * k + 2]
        error = dot(table.records, word, other + to_context, table.width) - log_count
        gradient = weight * error
        loss += gradient * error
        if word == other:
            _move(table, word, word + to_context, rate * gradient)
            continue
        # four rows that do not overlap: the processor works on both products at once
        error_back = dot(table.records, other, word + to_context, table.width) - log_count
        gradient_back = weight * error_back
        loss += gradient_back * error_back
        _move(table, word, other + to_context, rate * gradient)
        _move(table, other, word + to_context, rate * gradient_back)
    return 0.5 * loss


@compiled(inline="always")
def _move(table, word, context, gradient):
    """One AdaGrad step of a word and a context; `gradient` is the derivative of the loss by their product."""
    by = clamp(broadcast(gradient), broadcast(-LARGEST_GRADIENT), broadcast(LARGEST_GRADIENT))
    high, low = broadcast(LONGEST_STEP), broadcast(-LONGEST_STEP)
    for d in range(0, table.width, SIMD_WIDTH):
        w, c = load(table.records, word + d), load(table.records, context + d)
        y_w, y_c = load(table.records, word + table.width + d), load(table.records, context + table.width + d)
        s_w = clamp(multiply(multiply(by, c), y_w), low, high)
        s_c = clamp(multiply(multiply(by, w), y_c), low, high)
        store(table.records, word + d, subtract(w, s_w))
        store(table.records, context + d, subtract(c, s_c))
        store(table.records, word + table.width + d, multiply(y_w, shrink_factor(s_w)))
        store(table.records, context + table.width + d, multiply(y_c, shrink_factor(s_c)))
