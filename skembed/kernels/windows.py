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
    ShardPointers,
    TargetPointers,
    WorkspacePointers,
    choose_contexts,
    choose_negatives,
    choose_path,
    packed_shard,
    packed_targets,
    pad_targets,
)
from skembed.kernels.simd import larger, pointer, smaller
from skembed.kernels.tiles import logits_of_pairs, update_pairs

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
    arguments = _arguments(shard, targets, workspace)
    return _train_skip_gram(*arguments, window, shrink, learning_rate, state)


def _arguments(shard, targets, workspace):
    """Return what both kernels begin with. Numba compiles one kernel where an argument is None, another where not."""
    packed = packed_shard(shard), packed_targets(targets), workspace.packed
    return *packed, True if targets.hierarchical else None, shard.documents if len(shard.documents) else None


@compiled()
def _train_skip_gram(shard, targets, workspace, hierarchical, documents, window, shrink, learning_rate, state):
    loss = 0.0
    n_losses = 0
    rate = np.float32(learning_rate)
    rows, choices = unpacked(shard, ShardPointers), unpacked(targets, TargetPointers)
    work, random = unpacked(workspace, WorkspacePointers), pointer(state)
    begin = 0
    for sequence in range(rows.n_sequences):
        end = rows.ends[sequence]
        document = np.int64(NO_DOCUMENT) if documents is None else documents[sequence]
        for position in range(begin, end):
            reach = draw_below(random, window) + 1 if shrink else window
            left, right = larger(begin, position - reach), smaller(end, position + reach + 1)
            n_pairs = right - left - 1 + (document != NO_DOCUMENT)
            center = np.int64(rows.tokens[position])
            if hierarchical is None:
                n_targets = choose_negatives(rows, choices, center, n_pairs, random, work)
            else:
                n_targets = choose_path(rows, choices, center, n_pairs, work)
            n_targets = pad_targets(rows, work, n_targets)
            n_contexts = choose_contexts(rows, left, position, right, document, n_targets, work)
            logits_of_pairs(rows, work, n_contexts, n_targets)
            if position % LOSS_EVERY == 0:
                loss += logistic_loss(work, n_contexts, n_targets)
                n_losses += n_contexts
            repeat_labels(work, n_contexts, n_targets, rate)
            logistic_steps(work, n_contexts * n_targets)
            update_pairs(rows, work, n_contexts, n_targets)
        begin = end
    return loss, n_losses


def train_cbow(shard, targets, window, shrink, learning_rate, state, workspace):
    """Learn from every window of a shard, in place: from the mean of the context rows the targets of the center.

    Parameters and returns are those of `train_skip_gram`, but that a loss is that of a center. Each context row moves
    by the whole step of the mean, as in the word2vec program, not by its share of it.
    """
    return _train_cbow(*_arguments(shard, targets, workspace), window, shrink, learning_rate, state)


@compiled()
def _train_cbow(shard, targets, workspace, hierarchical, documents, window, shrink, learning_rate, state):
    loss = 0.0
    n_losses = 0
    rate = np.float32(learning_rate)
    rows, choices = unpacked(shard, ShardPointers), unpacked(targets, TargetPointers)
    work, random = unpacked(workspace, WorkspacePointers), pointer(state)
    begin = 0
    for sequence in range(rows.n_sequences):
        end = rows.ends[sequence]
        document = np.int64(NO_DOCUMENT) if documents is None else documents[sequence]
        for position in range(begin, end):
            reach = draw_below(random, window) + 1 if shrink else window
            left, right = larger(begin, position - reach), smaller(end, position + reach + 1)
            center = np.int64(rows.tokens[position])
            if hierarchical is None:
                n_targets = choose_negatives(rows, choices, center, 1, random, work)
            else:
                n_targets = choose_path(rows, choices, center, 1, work)
            n_targets = pad_targets(rows, work, n_targets)
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
