"""Skip-gram and CBOW over windows, with negative samples or along the paths of a Huffman tree.

Mikolov et al. 2013 (arXiv:1301.3781, arXiv:1310.4546). The loss decides which output rows are the targets of a center
and what labels they have, and nothing else, so each architecture is one kernel: skip-gram predicts the labels from each
context row, CBOW from the mean of the context rows.

A window is one small minibatch: all its logits are taken before any row changes. The contexts of a window share one
draw of negatives (Ji et al. 2016, arXiv:1604.04661, section III), so that each row that is read serves many products
while it is in registers.
"""

import numpy as np

from skembed.kernels.arguments import unpacked
from skembed.kernels.compile import compiled
from skembed.kernels.hidden import logits_of_one, mean_of_rows, move_rows, update_one
from skembed.kernels.logistic import logistic_loss, logistic_steps, repeat_labels
from skembed.kernels.random import draw_below
from skembed.kernels.shard import (
    NO_DOCUMENT,
    TILE,
    ShardPointers,
    TargetPointers,
    WorkspacePointers,
    choose_contexts,
    choose_targets,
    document_of,
    packed_shard,
    packed_targets,
)
from skembed.kernels.simd import (
    SIMD_WIDTH,
    add,
    broadcast,
    horizontal_sum,
    larger,
    load,
    multiply_add,
    pointer,
    smaller,
    store,
)

__all__ = ["train_cbow", "train_skip_gram"]

LOSS_EVERY = 16  # the loss is read at every 16th center


def train_skip_gram(shard, targets, window, shrink, learning_rate, state, workspace):
    """Learn from every window of a shard, in place: from each context row the targets of the center.

    Parameters
    ----------
    shard : Shard
        Its inputs and outputs change.
    targets : Targets
    window : int
        Contexts are the `window` tokens on either side, within the sequence, and the document, if sequences have one;
        0, where they have one: the document alone. Then CBOW is what to take: the mean of one row is that row.
    shrink : bool
        for each center only a number of them drawn evenly from 1 to `window`.
    learning_rate : float
    state : ndarray of shape (1,), uint64
        See `skembed.kernels.random`.
    workspace : Workspace

    Returns
    -------
    loss : float
        Sum of the losses of those pairs of context and center where it was read.
    n_losses : int
        How many these were.
    """
    packed = packed_shard(shard), packed_targets(targets), workspace.packed
    return _train_skip_gram(*packed, window, shrink, learning_rate, state)


@compiled()
def _train_skip_gram(shard, targets, workspace, window, shrink, learning_rate, state):
    loss = 0.0
    n_losses = 0
    rate = np.float32(learning_rate)
    rows, choices = unpacked(shard, ShardPointers), unpacked(targets, TargetPointers)
    work, random = unpacked(workspace, WorkspacePointers), pointer(state)
    begin = 0
    for sequence in range(rows.n_sequences):
        end, document = rows.ends[sequence], document_of(rows, sequence)
        for position in range(begin, end):
            reach = draw_below(random, window) + 1 if shrink else window
            left, right = larger(begin, position - reach), smaller(end, position + reach + 1)
            n_pairs = right - left - 1 + (document != NO_DOCUMENT)
            n_targets = choose_targets(rows, choices, rows.tokens[position], n_pairs, random, work)
            n_contexts = choose_contexts(rows, left, position, right, document, n_targets, work)
            _logits(rows, work, n_contexts, n_targets)
            if position % LOSS_EVERY == 0:
                loss += logistic_loss(work, n_contexts, n_targets)
                n_losses += n_contexts
            repeat_labels(work, n_contexts, n_targets, rate)
            logistic_steps(work, n_contexts * n_targets)
            _update(rows, work, n_contexts, n_targets)
        begin = end
    return loss, n_losses


def train_cbow(shard, targets, window, shrink, learning_rate, state, workspace):
    """Learn from every window of a shard, in place: from the mean of the context rows the targets of the center.

    Parameters and returns are those of `train_skip_gram`, but that a loss is that of a center. Each context row moves
    by the whole step of the mean, as in the word2vec program, not by its share of it.
    """
    packed = packed_shard(shard), packed_targets(targets), workspace.packed
    return _train_cbow(*packed, window, shrink, learning_rate, state)


@compiled()
def _train_cbow(shard, targets, workspace, window, shrink, learning_rate, state):
    loss = 0.0
    n_losses = 0
    rate = np.float32(learning_rate)
    rows, choices = unpacked(shard, ShardPointers), unpacked(targets, TargetPointers)
    work, random = unpacked(workspace, WorkspacePointers), pointer(state)
    begin = 0
    for sequence in range(rows.n_sequences):
        end, document = rows.ends[sequence], document_of(rows, sequence)
        for position in range(begin, end):
            reach = draw_below(random, window) + 1 if shrink else window
            left, right = larger(begin, position - reach), smaller(end, position + reach + 1)
            n_targets = choose_targets(rows, choices, rows.tokens[position], 1, random, work)
            n_contexts = choose_contexts(rows, left, position, right, document, n_targets, work)
            mean_of_rows(rows.inputs, rows.width, work.contexts, 0, n_contexts, work.hidden)
            logits_of_one(rows, work, n_targets)
            if position % LOSS_EVERY == 0:
                loss += logistic_loss(work, 1, n_targets)
                n_losses += 1
            repeat_labels(work, 1, n_targets, rate)
            logistic_steps(work, n_targets)
            update_one(rows, work, n_targets)
            move_rows(rows.inputs, rows.width, work.contexts, work.write_offsets, 0, n_contexts, work.hidden)
        begin = end
    return loss, n_losses


@compiled(inline="always")
def _logits(rows, work, n_contexts, n_targets):
    """``logits[i * n_targets + k]`` is context i times target k: two contexts and three targets at once."""
    inputs, outputs, logits = rows.inputs, rows.outputs, work.logits
    zero = broadcast(np.float32(0.0))
    for i in range(0, n_contexts, 2):
        context0, context1 = work.contexts[i], work.contexts[i + 1]
        for k in range(0, n_targets, TILE):
            target0, target1, target2 = work.targets[k], work.targets[k + 1], work.targets[k + 2]
            a00 = a01 = a02 = a10 = a11 = a12 = zero
            for d in range(0, rows.width, SIMD_WIDTH):
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
            logits[at] = horizontal_sum(a00)
            logits[at + 1] = horizontal_sum(a01)
            logits[at + 2] = horizontal_sum(a02)
            at += n_targets
            logits[at] = horizontal_sum(a10)
            logits[at + 1] = horizontal_sum(a11)
            logits[at + 2] = horizontal_sum(a12)


@compiled(inline="always")
def _update(rows, work, n_contexts, n_targets):
    """Add ``steps`` times the targets to the contexts, and ``steps`` times the contexts to the targets."""
    inputs, outputs, steps = rows.inputs, rows.outputs, work.logits
    zero = broadcast(np.float32(0.0))
    for k in range(0, n_targets, TILE):
        target0, target1, target2 = work.targets[k], work.targets[k + 1], work.targets[k + 2]
        for d in range(0, rows.width, SIMD_WIDTH):
            u0 = load(outputs, target0 + d)
            u1 = load(outputs, target1 + d)
            u2 = load(outputs, target2 + d)
            a0 = a1 = a2 = zero
            at = k
            for i in range(n_contexts):
                v = load(inputs, work.contexts[i] + d)
                g0, g1, g2 = broadcast(steps[at]), broadcast(steps[at + 1]), broadcast(steps[at + 2])
                a0 = multiply_add(g0, v, a0)
                a1 = multiply_add(g1, v, a1)
                a2 = multiply_add(g2, v, a2)
                v = multiply_add(g0, u0, v)
                v = multiply_add(g1, u1, v)
                store(inputs, work.write_offsets[i] + d, multiply_add(g2, u2, v))
                at += n_targets
            # a row may be there twice among the negatives: each adds to what the one before left
            store(outputs, target0 + d, add(load(outputs, target0 + d), a0))
            store(outputs, target1 + d, add(load(outputs, target1 + d), a1))
            store(outputs, target2 + d, add(load(outputs, target2 + d), a2))
