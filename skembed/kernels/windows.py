"""Skip-gram and CBOW over windows, with negative samples or along the paths of a Huffman tree.

Mikolov et al. 2013 (arXiv:1301.3781, arXiv:1310.4546). The loss decides which output rows are the targets of a center
and what labels they have, and nothing else, so each architecture is one kernel: skip-gram predicts the labels from each
context row, CBOW from the mean of the context rows.

A window is one small minibatch: all its logits are taken before any row changes. The contexts of a window share one
draw of negatives (Ji et al. 2016, arXiv:1604.04661, section III), so that each row that is read serves many products
while it is in registers.
"""

import numpy as np
from numba import njit

from skembed.kernels.hidden import logits_of_one, mean_of_rows, move_rows, update_one
from skembed.kernels.lanes import LANES, add, broadcast, load, multiply_add, pointer, store, sum_lanes
from skembed.kernels.logistic import logistic_loss, logistic_steps, repeat_labels
from skembed.kernels.random import draw_below
from skembed.kernels.shard import TILE, choices_of, choose_contexts, choose_targets, room_of, rows_of

__all__ = ["train_cbow", "train_skip_gram"]

LOSS_EVERY = 16  # the loss is read at every 16th center


@njit(cache=True, nogil=True)
def train_skip_gram(shard, targets, window, shrink, learning_rate, state, scratch):
    """Learn from every window of a shard, in place: from each context row the targets of the center.

    Parameters
    ----------
    shard : Shard
        Its inputs and outputs change.
    targets : Targets
    window : int
        Contexts are the `window` tokens on either side, within the sequence;
    shrink : bool
        for each center only a number of them drawn evenly from 1 to `window`.
    learning_rate : float
    state : ndarray of shape (1,), uint64
        See `skembed.kernels.random`.
    scratch : Scratch

    Returns
    -------
    loss : float
        Sum of the losses of those pairs of context and center where it was read.
    n_losses : int
        How many these were.
    """
    loss = 0.0
    n_losses = 0
    rate = np.float32(learning_rate)
    rows, choices, room, random = rows_of(shard), choices_of(targets), room_of(scratch), pointer(state)
    begin = 0
    for sequence in range(shard.ends.size):
        end = shard.ends[sequence]
        for position in range(begin, end):
            reach = draw_below(random, window) + 1 if shrink else window
            left, right = max(begin, position - reach), min(end, position + reach + 1)
            n_targets = choose_targets(rows, choices, rows.tokens[position], right - left - 1, random, room)
            n_contexts = choose_contexts(rows, left, position, right, n_targets, room)
            _logits(rows, room, n_contexts, n_targets)
            if position % LOSS_EVERY == 0:
                loss += logistic_loss(room, n_contexts, n_targets)
                n_losses += n_contexts
            repeat_labels(room, n_contexts, n_targets, rate)
            logistic_steps(room, n_contexts * n_targets)
            _update(rows, room, n_contexts, n_targets)
        begin = end
    return loss, n_losses


@njit(cache=True, nogil=True)
def train_cbow(shard, targets, window, shrink, learning_rate, state, scratch):
    """Learn from every window of a shard, in place: from the mean of the context rows the targets of the center.

    Parameters and returns are those of `train_skip_gram`, but that a loss is that of a center. Each context row moves
    by the whole step of the mean, as in the word2vec program, not by its share of it.
    """
    loss = 0.0
    n_losses = 0
    rate = np.float32(learning_rate)
    rows, choices, room, random = rows_of(shard), choices_of(targets), room_of(scratch), pointer(state)
    begin = 0
    for sequence in range(shard.ends.size):
        end = shard.ends[sequence]
        for position in range(begin, end):
            reach = draw_below(random, window) + 1 if shrink else window
            left, right = max(begin, position - reach), min(end, position + reach + 1)
            n_targets = choose_targets(rows, choices, rows.tokens[position], 1, random, room)
            n_contexts = choose_contexts(rows, left, position, right, n_targets, room)
            mean_of_rows(rows.inputs, rows.width, room.contexts, 0, n_contexts, room.hidden)
            logits_of_one(rows, room, n_targets)
            if position % LOSS_EVERY == 0:
                loss += logistic_loss(room, 1, n_targets)
                n_losses += 1
            repeat_labels(room, 1, n_targets, rate)
            logistic_steps(room, n_targets)
            update_one(rows, room, n_targets)
            move_rows(rows.inputs, rows.width, room.contexts, room.sinks, 0, n_contexts, room.hidden)
        begin = end
    return loss, n_losses


@njit(cache=True, nogil=True)
def _logits(rows, room, n_contexts, n_targets):
    """``logits[i * n_targets + k]`` is context i times target k: two contexts and three targets at once."""
    inputs, outputs, logits = rows.inputs, rows.outputs, room.logits
    zero = broadcast(np.float32(0.0))
    for i in range(0, n_contexts, 2):
        context0, context1 = room.contexts[i], room.contexts[i + 1]
        for k in range(0, n_targets, TILE):
            target0, target1, target2 = room.targets[k], room.targets[k + 1], room.targets[k + 2]
            a00 = a01 = a02 = a10 = a11 = a12 = zero
            for d in range(0, rows.width, LANES):
                v0 = load(inputs, context0 + d)
                v1 = load(inputs, context1 + d)
                u = load(outputs, target0 + d)
                a00 = multiply_add(v0, u, a00)
                a10 = multiply_add(v1, u, a10)
                u = load(outputs, target1 + d)
                a01 = multiply_add(v0, u, a01)
                a11 = multiply_add(v1, u, a11)
                u = load(outputs, target2 + d)
                a02 = multiply_add(v0, u, a02)
                a12 = multiply_add(v1, u, a12)
            at = i * n_targets + k
            logits[at] = sum_lanes(a00)
            logits[at + 1] = sum_lanes(a01)
            logits[at + 2] = sum_lanes(a02)
            at += n_targets
            logits[at] = sum_lanes(a10)
            logits[at + 1] = sum_lanes(a11)
            logits[at + 2] = sum_lanes(a12)


@njit(cache=True, nogil=True)
def _update(rows, room, n_contexts, n_targets):
    """Add ``steps`` times the targets to the contexts, and ``steps`` times the contexts to the targets."""
    inputs, outputs, steps = rows.inputs, rows.outputs, room.logits
    zero = broadcast(np.float32(0.0))
    for k in range(0, n_targets, TILE):
        target0, target1, target2 = room.targets[k], room.targets[k + 1], room.targets[k + 2]
        for d in range(0, rows.width, LANES):
            u0 = load(outputs, target0 + d)
            u1 = load(outputs, target1 + d)
            u2 = load(outputs, target2 + d)
            a0 = a1 = a2 = zero
            at = k
            for i in range(n_contexts):
                v = load(inputs, room.contexts[i] + d)
                g0, g1, g2 = broadcast(steps[at]), broadcast(steps[at + 1]), broadcast(steps[at + 2])
                a0 = multiply_add(g0, v, a0)
                a1 = multiply_add(g1, v, a1)
                a2 = multiply_add(g2, v, a2)
                v = multiply_add(g0, u0, v)
                v = multiply_add(g1, u1, v)
                store(inputs, room.sinks[i] + d, multiply_add(g2, u2, v))
                at += n_targets
            # a row may be there twice among the negatives: each adds to what the one before left
            store(outputs, target0 + d, add(load(outputs, target0 + d), a0))
            store(outputs, target1 + d, add(load(outputs, target1 + d), a1))
            store(outputs, target2 + d, add(load(outputs, target2 + d), a2))
