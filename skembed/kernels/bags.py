"""Skip-gram and CBOW whose input vectors are means of rows that keys have in common: fastText's words and n-grams.

Bojanowski et al. 2017 (arXiv:1607.04606). Skip-gram goes from the center to its contexts, CBOW from the mean of the
rows of all contexts to the center. As in the fastText program, each row moves by the whole step of the mean.

A shard reads the rows of each key once, and works on the mean as if it were a row of the key's own. What a key was
taught is added to each of its rows afterwards, when shards are merged. So the rows of a window are a few that stay
in the cache, not hundreds; and what one word of a shard teaches an n-gram, others see when the shard is over.

A window is one small minibatch: all its logits are taken before any row changes.
"""

import numpy as np

from skembed.kernels.arguments import unpacked
from skembed.kernels.compile import compiled
from skembed.kernels.hidden import (
    add_label,
    add_negatives,
    add_path,
    choose_all,
    learn_logistic,
    learn_softmax,
    mean_of_rows,
    move_rows,
)
from skembed.kernels.random import draw_below
from skembed.kernels.shard import (
    TILE,
    ShardPointers,
    TargetPointers,
    Workspace,
    WorkspacePointers,
    packed_shard,
    packed_targets,
)
from skembed.kernels.simd import (
    SIMD_WIDTH,
    aligned_zeros,
    broadcast,
    clear_row,
    larger,
    load,
    multiply,
    multiply_add,
    pointer,
    prefetch_row,
    smaller,
    store,
)
from skembed.kernels.windows import LOSS_EVERY

__all__ = [
    "compose",
    "new_hidden_workspace",
    "train_cbow_of_means",
    "train_skip_gram_of_means",
]

AHEAD = 8  # rows


def new_hidden_workspace(window: int, n_targets: int, width: int) -> Workspace:
    """A workspace for one hidden vector, the mean of rows of up to ``2 * window`` contexts, and its targets."""
    n_padded = n_targets + TILE + SIMD_WIDTH  # whole SIMD vectors are written
    return Workspace(
        contexts=np.zeros(2 * window + 1, np.int64),
        write_offsets=np.zeros(0, np.int64),
        targets=np.zeros(n_padded, np.int64),
        labels=aligned_zeros(n_padded),
        weights=aligned_zeros(n_padded),
        scaled_labels=aligned_zeros(n_padded),
        rates=aligned_zeros(n_padded),
        logits=aligned_zeros(n_padded),
        hidden=aligned_zeros(2 * width),
    )


@compiled(fastmath={"reassoc", "nsz", "contract"})
def compose(table, keys, starts, rows, local, local_starts, local_rows):
    """Write the means of the rows of `keys` to the first rows of `local`, and list these rows.

    Parameters
    ----------
    table : ndarray of shape (n_rows, dim), float32
    keys : ndarray of shape (n,), int32
    starts : ndarray of shape (n_keys + 1,), int64
        The rows of key i are ``rows[starts[i] : starts[i + 1]]``, at least one; a row that is there twice counts twice.
    rows : ndarray of shape (n_subword_rows,), int32
    local : ndarray of shape (n + 1 or more, width), float32
        Output; its padding and the row after the means are 0.
    local_starts, local_rows
        Outputs: the same of the local keys.
    """
    dim, width = table.shape[1], local.shape[1]
    start, means = pointer(table), pointer(local)
    firsts, of_key, listed = pointer(starts), pointer(rows), pointer(local_rows)
    ends = pointer(local_starts)
    ends[0] = n_listed = 0
    for i in range(keys.size):
        for j in range(firsts[keys[i]], firsts[keys[i] + 1]):
            listed[n_listed] = of_key[j]
            n_listed += 1
        ends[i + 1] = n_listed
    for i in range(keys.size):
        first, end, mean = ends[i], ends[i + 1], i * width
        clear_row(means, mean, width)
        for j in range(first, end):
            if j + AHEAD < n_listed:
                prefetch_row(start, np.int64(listed[j + AHEAD]), dim)
            row = np.int64(listed[j]) * dim
            for d in range(dim):
                means[mean + d] += start[row + d]
        share = np.float32(1.0) / np.float32(end - first)
        for d in range(dim):
            means[mean + d] *= share
    clear_row(means, keys.size * width, width)


def train_skip_gram_of_means(shard, lengths, labels, targets, window, shrink, learning_rate, state, workspace):
    """Learn from every window of a shard, in place: from the mean of the center's rows each of its contexts.

    Parameters
    ----------
    shard : Shard
        Its inputs, the means of the rows of the keys, and its outputs change; none is frozen.
    lengths : ndarray of shape (n_keys,), int32
        How many rows each mean is of.
    labels : ndarray of shape (n_keys,), int32
        The output row of each key where all output rows are targets (softmax); else empty.
    targets, window, shrink, learning_rate, state
        As in `skembed.kernels.windows.train_skip_gram`; `negative` of them are drawn for each context.
    workspace : Workspace
        See `new_hidden_workspace`; for as many targets as all contexts of a window have.

    Returns
    -------
    loss : float
        Sum of the losses of those pairs of context and center where it was read.
    n_losses : int
        How many these were.
    """
    packed = packed_shard(shard), packed_targets(targets), workspace.packed
    kind = _kind(targets, labels)
    return _train_skip_gram_of_means(*packed, *kind, window, shrink, learning_rate, state)


def _kind(targets, labels):
    """Return which targets there are. Numba compiles one kernel where an argument is None, another where not."""
    return True if targets.hierarchical else None, labels if len(labels) else None


@compiled()
def _train_skip_gram_of_means(shard, targets, workspace, hierarchical, labels, window, shrink, learning_rate, state):
    loss = 0.0
    n_losses = 0
    rate = np.float32(learning_rate)
    rows, choices = unpacked(shard, ShardPointers), unpacked(targets, TargetPointers)
    work, random = unpacked(workspace, WorkspacePointers), pointer(state)
    if labels is not None:
        label_of = pointer(labels)
        choose_all(rows, work, rows.n_outputs)
    begin = 0
    for sequence in range(rows.n_sequences):
        end = rows.ends[sequence]
        for position in range(begin, end):
            center = np.int64(rows.tokens[position])
            work.contexts[0] = center * rows.width
            mean_of_rows(rows.inputs, rows.width, work.contexts, 0, 1, work.hidden)
            reach = draw_below(random, window) + 1 if shrink else window
            left, right = larger(begin, position - reach), smaller(end, position + reach + 1)
            n_contexts = right - left - 1
            read = position % LOSS_EVERY == 0
            n_losses += n_contexts if read else 0
            if labels is not None:
                for other in range(left, right):
                    if other != position:
                        add_label(rows, work, label_of[rows.tokens[other]], np.float32(1.0))
                rows.input_pairs[center] += n_contexts
                loss += learn_softmax(rows, work, rows.n_outputs, np.float32(n_contexts), rate, read)
                for other in range(left, right):
                    work.labels[label_of[rows.tokens[other]]] = np.float32(0.0)
            else:
                n_targets = 0
                for other in range(left, right):
                    if other != position:
                        context = np.int64(rows.tokens[other])
                        if hierarchical is None:
                            n_targets = add_negatives(rows, choices, context, n_targets, random, work)
                        else:
                            n_targets = add_path(rows, choices, context, n_targets, work)
                rows.input_pairs[center] += n_targets
                loss += learn_logistic(rows, work, n_targets, rate, read)
            move_rows(rows.inputs, rows.width, work.contexts, work.contexts, 0, 1, work.hidden)
        begin = end
    return loss, n_losses


def train_cbow_of_means(shard, lengths, labels, targets, window, shrink, learning_rate, state, workspace):
    """Learn from every window of a shard, in place: from the mean of all rows of the contexts the center.

    Parameters and returns are those of `train_skip_gram_of_means`, but that a loss is that of a center, and `negative`
    words are drawn for it.
    """
    packed = packed_shard(shard), packed_targets(targets), workspace.packed
    return _train_cbow_of_means(*packed, lengths, *_kind(targets, labels), window, shrink, learning_rate, state)


@compiled()
def _train_cbow_of_means(
    shard, targets, workspace, lengths, hierarchical, labels, window, shrink, learning_rate, state
):
    loss = 0.0
    n_losses = 0
    rate = np.float32(learning_rate)
    rows, choices = unpacked(shard, ShardPointers), unpacked(targets, TargetPointers)
    work, random = unpacked(workspace, WorkspacePointers), pointer(state)
    n_rows_of = pointer(lengths)
    if labels is not None:
        label_of = pointer(labels)
        choose_all(rows, work, rows.n_outputs)
    begin = 0
    for sequence in range(rows.n_sequences):
        end = rows.ends[sequence]
        for position in range(begin, end):
            reach = draw_below(random, window) + 1 if shrink else window
            left, right = larger(begin, position - reach), smaller(end, position + reach + 1)
            n_contexts = 0
            for other in range(left, right):
                if other != position:
                    work.contexts[n_contexts] = np.int64(rows.tokens[other])
                    n_contexts += 1
            mean_of_means(rows, work, n_rows_of, n_contexts)
            read = position % LOSS_EVERY == 0
            n_losses += 1 if read else 0
            center = np.int64(rows.tokens[position])
            if labels is not None:
                n_targets = 1
                add_label(rows, work, label_of[center], np.float32(1.0))
                loss += learn_softmax(rows, work, rows.n_outputs, np.float32(1.0), rate, read)
                work.labels[label_of[center]] = np.float32(0.0)
            else:
                if hierarchical is None:
                    n_targets = add_negatives(rows, choices, center, 0, random, work)
                else:
                    n_targets = add_path(rows, choices, center, 0, work)
                loss += learn_logistic(rows, work, n_targets, rate, read)
            for i in range(n_contexts):
                rows.input_pairs[work.contexts[i]] += n_targets
                work.contexts[i] *= rows.width
            move_rows(rows.inputs, rows.width, work.contexts, work.contexts, 0, n_contexts, work.hidden)
        begin = end
    return loss, n_losses


@compiled(inline="always")
def mean_of_means(rows, work, n_rows_of, n_contexts):
    """Write the mean of all rows of the keys in `contexts` to the beginning of `hidden`."""
    n = np.int32(0)
    for d in range(0, rows.width, SIMD_WIDTH):
        store(work.hidden, d, broadcast(np.float32(0.0)))
    for i in range(n_contexts):
        key = work.contexts[i]
        n += n_rows_of[key]
        weight = broadcast(np.float32(n_rows_of[key]))
        for d in range(0, rows.width, SIMD_WIDTH):
            mean = load(rows.inputs, key * rows.width + d)
            store(work.hidden, d, multiply_add(weight, mean, load(work.hidden, d)))
    share = broadcast(np.float32(1.0) / np.float32(n))
    for d in range(0, rows.width, SIMD_WIDTH):
        store(work.hidden, d, multiply(share, load(work.hidden, d)))
