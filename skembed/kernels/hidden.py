"""Hidden vectors, means of rows, and what their targets teach: steps that CBOW, subwords and bags of words share."""

import numpy as np

from skembed.kernels.compile import compiled
from skembed.kernels.logistic import logistic_loss, logistic_steps, repeat_labels, softmax_loss, softmax_steps
from skembed.kernels.random import draw_below
from skembed.kernels.shard import TILE, pad_targets
from skembed.kernels.simd import SIMD_WIDTH, add, broadcast, horizontal_sum, load, multiply, multiply_add, store

__all__ = [
    "add_label",
    "add_targets",
    "choose_all",
    "learn_logistic",
    "learn_softmax",
    "logits_of_one",
    "mean_of_rows",
    "move_rows",
    "update_one",
]


@compiled(inline="always")
def mean_of_rows(table, width, begins, first, n, hidden):
    """Write the mean of the rows that begin at ``begins[first : first + n]`` of `table` to the beginning of `hidden`.

    All arrays are pointers, see `skembed.kernels.simd.pointer`; rows are `width` wide, a multiple of 16.
    """
    share = broadcast(np.float32(1.0) / np.float32(n))
    for d in range(0, width, SIMD_WIDTH):
        total = load(table, begins[first] + d)
        for i in range(first + 1, first + n):
            total = add(total, load(table, begins[i] + d))
        store(hidden, d, multiply(share, total))


@compiled(inline="always")
def move_rows(table, width, begins, write_offsets, first, n, hidden):
    """Add the second half of `hidden` to the rows that `mean_of_rows` read, and write them to ``write_offsets``."""
    for d in range(0, width, SIMD_WIDTH):
        move = load(hidden, width + d)
        for i in range(first, first + n):
            store(table, write_offsets[i] + d, add(load(table, begins[i] + d), move))


@compiled(inline="always")
def logits_of_one(rows, work, n_targets):
    """``logits[k]`` is the row at the beginning of `hidden` times target k; a multiple of TILE of them."""
    outputs, logits = rows.outputs, work.logits
    zero = broadcast(np.float32(0.0))
    for k in range(0, n_targets, TILE):
        target0, target1, target2 = work.targets[k], work.targets[k + 1], work.targets[k + 2]
        a0 = a1 = a2 = zero
        for d in range(0, rows.width, SIMD_WIDTH):
            v = load(work.hidden, d)
            a0 = multiply_add(v, load(outputs, target0 + d), a0)
            a1 = multiply_add(v, load(outputs, target1 + d), a1)
            a2 = multiply_add(v, load(outputs, target2 + d), a2)
        logits[k] = horizontal_sum(a0)
        logits[k + 1] = horizontal_sum(a1)
        logits[k + 2] = horizontal_sum(a2)


@compiled(inline="always")
def update_one(rows, work, n_targets):
    """Add ``steps`` times the row at the beginning of `hidden` to the targets, where `work.logits` holds the steps.

    What the targets, as they were, add to that row is written behind it.
    """
    hidden, outputs, steps = work.hidden, rows.outputs, work.logits
    for d in range(0, rows.width, SIMD_WIDTH):
        v = load(hidden, d)
        move = broadcast(np.float32(0.0))
        for k in range(n_targets):
            g = broadcast(steps[k])
            u = load(outputs, work.targets[k] + d)
            move = multiply_add(g, u, move)
            store(outputs, work.targets[k] + d, multiply_add(g, v, u))
        store(hidden, rows.width + d, move)


@compiled(inline="always")
def add_targets(rows, choices, key, n_targets, random, work):
    """Append a key and its negatives, or its path, to `n_targets` targets; returns how many there are now.

    A negative that is the key has weight 0.
    """
    if choices.hierarchical:
        for k in range(choices.path_starts[key], choices.path_starts[key + 1]):
            node = np.int64(choices.path_nodes[k])
            work.targets[n_targets] = node * rows.width
            work.labels[n_targets] = np.float32(1 - choices.path_codes[k])
            work.weights[n_targets] = np.float32(1.0)
            rows.output_pairs[node] += 1
            n_targets += 1
    else:
        work.targets[n_targets] = key * rows.width
        work.labels[n_targets] = np.float32(1.0)
        work.weights[n_targets] = np.float32(1.0)
        rows.output_pairs[key] += 1
        n_targets += 1
        for _ in range(choices.negative):
            sample = np.int64(choices.pool[draw_below(random, choices.pool_size)])
            work.targets[n_targets] = sample * rows.width
            work.labels[n_targets] = np.float32(0.0)
            work.weights[n_targets] = np.float32(sample != key)
            rows.output_pairs[sample] += 1
            n_targets += 1
    return n_targets


@compiled(inline="always")
def choose_all(rows, work, n_outputs):
    """Make all output rows targets, with label 0 and weight 1, as the softmax and one-vs-all need it."""
    for k in range(n_outputs):
        work.targets[k] = k * rows.width
        work.labels[k] = np.float32(0.0)
        work.weights[k] = np.float32(1.0)
    pad_targets(rows, work, n_outputs)


@compiled(inline="always")
def add_label(rows, work, row, label):
    """Add `label` to that of an output row, where all of them are targets."""
    work.labels[row] += label
    rows.output_pairs[row] += 1


@compiled(inline="always")
def learn_logistic(rows, work, n_targets, rate, read):
    """Move the targets of the hidden vector, each a logistic regression; its own step is written behind it.

    Returns
    -------
    loss : float
        0 unless it is to be read.
    """
    n_targets = pad_targets(rows, work, n_targets)
    logits_of_one(rows, work, n_targets)
    loss = logistic_loss(work, 1, n_targets) if read else 0.0
    repeat_labels(work, 1, n_targets, rate)
    logistic_steps(work, n_targets)
    update_one(rows, work, n_targets)
    return loss


@compiled(inline="always")
def learn_softmax(rows, work, n_targets, total, rate, read):
    """The same with one softmax over all targets, whose labels sum to `total`."""
    logits_of_one(rows, work, n_targets + (-n_targets) % TILE)
    loss = softmax_loss(work.logits, work.labels, n_targets) if read else 0.0
    softmax_steps(work.logits, work.labels, n_targets, total, rate)
    update_one(rows, work, n_targets)
    return loss
