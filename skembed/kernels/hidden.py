"""Hidden vectors, means of rows, and what their targets teach: steps that CBOW, subwords and bags of words share."""

import numpy as np
from llvmlite import ir
from numba import types

from skembed.kernels.compile import compiled, intrinsic
from skembed.kernels.emit import (
    FAST,
    INT,
    SIMD_WIDTH,
    constant,
    everywhere,
    fields_of,
    fused,
    get,
    get_simd,
    loop,
    put,
    put_simd,
    variable,
)
from skembed.kernels.logistic import logistic_loss, logistic_steps, repeat_labels, softmax_loss, softmax_steps
from skembed.kernels.random import draw_below
from skembed.kernels.shard import pad_targets
from skembed.kernels.tiles import TILE, emit_logits

__all__ = [
    "add_label",
    "add_negatives",
    "add_path",
    "choose_all",
    "learn_logistic",
    "learn_softmax",
    "logits_of_one",
    "mean_of_rows",
    "move_rows",
    "move_rows_by",
    "update_one",
]


@intrinsic
def mean_of_rows(typing_context, table, width, begins, first, n, hidden):
    """Write the mean of the rows that begin at ``begins[first : first + n]`` of `table` to the beginning of `hidden`.

    All arrays are pointers, see `skembed.kernels.simd.pointer`; rows are `width` wide, a multiple of 16.
    """

    def generate(context, builder, signature, arguments):
        table, width, begins, first, n, hidden = arguments
        single = ir.FloatType()
        share = everywhere(builder, builder.fdiv(single(1.0), builder.sitofp(n, single)))
        start, stop = builder.add(first, INT(1)), builder.add(first, n)
        with loop(builder, width, SIMD_WIDTH) as d:
            begin = get(builder, begins, first)
            total = variable(builder, get_simd(builder, table, builder.add(begin, d)))
            with loop(builder, stop, start=start) as i:
                row = get_simd(builder, table, builder.add(get(builder, begins, i), d))
                builder.store(builder.fadd(builder.load(total), row, flags=FAST), total)
            put_simd(builder, builder.fmul(share, builder.load(total), flags=FAST), hidden, d)
        return context.get_dummy_value()

    return types.void(table, types.int64, begins, types.int64, types.int64, hidden), generate


@intrinsic
def move_rows(typing_context, table, width, begins, write_offsets, first, n, hidden):
    """Add the second half of `hidden` to the rows that `mean_of_rows` read, and write them to ``write_offsets``."""

    def generate(context, builder, signature, arguments):
        table, width, begins, write_offsets, first, n, hidden = arguments
        stop = builder.add(first, n)
        with loop(builder, width, SIMD_WIDTH) as d:
            move = get_simd(builder, hidden, builder.add(width, d))
            with loop(builder, stop, start=first) as i:
                row = get_simd(builder, table, builder.add(get(builder, begins, i), d))
                moved = builder.fadd(row, move, flags=FAST)
                put_simd(builder, moved, table, builder.add(get(builder, write_offsets, i), d))
        return context.get_dummy_value()

    return types.void(table, types.int64, begins, write_offsets, types.int64, types.int64, hidden), generate


@intrinsic
def move_rows_by(typing_context, table, width, begins, factors, first, n, hidden):
    """Add the second half of `hidden` to the rows that `mean_of_rows` read, times the factor of each."""

    def generate(context, builder, signature, arguments):
        table, width, begins, factors, first, n, hidden = arguments
        with loop(builder, builder.add(first, n), start=first) as i:
            factor = everywhere(builder, get(builder, factors, i))
            begin = get(builder, begins, i)
            with loop(builder, width, SIMD_WIDTH) as d:
                move = get_simd(builder, hidden, builder.add(width, d))
                place = builder.add(begin, d)
                put_simd(builder, fused(builder, factor, move, get_simd(builder, table, place)), table, place)
        return context.get_dummy_value()

    return types.void(table, types.int64, begins, factors, types.int64, types.int64, hidden), generate


@intrinsic
def logits_of_one(typing_context, rows, work, n_targets):
    """``logits[k]`` is the row at the beginning of `hidden` times target k; a multiple of TILE of them."""

    def generate(context, builder, signature, arguments):
        rows, work = (fields_of(builder, *pair) for pair in zip(signature.args[:2], arguments[:2]))
        with loop(builder, arguments[2], TILE) as k:
            places = [builder.add(k, INT(j)) for j in range(TILE)]
            targets = [get(builder, work.targets, place) for place in places]
            [logits] = emit_logits(builder, [(work.hidden, INT(0))], rows.outputs, targets, rows.width)
            for place, logit in zip(places, logits):
                put(builder, logit, work.logits, place)
        return context.get_dummy_value()

    return types.void(rows, work, types.int64), generate


@intrinsic
def update_one(typing_context, rows, work, n_targets):
    """Add steps, which are in `logits`, times the row at the beginning of `hidden` to the targets.

    What the targets, as they were, add to that row is written behind it.
    """

    def generate(context, builder, signature, arguments):
        rows, work = (fields_of(builder, *pair) for pair in zip(signature.args[:2], arguments[:2]))
        with loop(builder, rows.width, SIMD_WIDTH) as d:
            vector = get_simd(builder, work.hidden, d)
            move = variable(builder, constant(0.0))
            with loop(builder, arguments[2]) as k:
                size = everywhere(builder, get(builder, work.logits, k))
                place = builder.add(get(builder, work.targets, k), d)
                target = get_simd(builder, rows.outputs, place)
                builder.store(fused(builder, size, target, builder.load(move)), move)
                put_simd(builder, fused(builder, size, vector, target), rows.outputs, place)
            put_simd(builder, builder.load(move), work.hidden, builder.add(rows.width, d))
        return context.get_dummy_value()

    return types.void(rows, work, types.int64), generate


@compiled(inline="always")
def add_path(rows, choices, key, n_targets, work):
    """Append the path of a key to `n_targets` targets; returns how many there are now."""
    for k in range(choices.path_starts[key], choices.path_starts[key + 1]):
        node = np.int64(choices.path_nodes[k])
        work.targets[n_targets] = node * rows.width
        work.labels[n_targets] = np.float32(1 - choices.path_codes[k])
        work.weights[n_targets] = np.float32(1.0)
        rows.output_pairs[node] += 1
        n_targets += 1
    return n_targets


@compiled(inline="always")
def add_negatives(rows, choices, key, n_targets, random, work):
    """Append a key and its negatives to `n_targets` targets; returns how many there are now.

    A negative that is the key has weight 0.
    """
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
