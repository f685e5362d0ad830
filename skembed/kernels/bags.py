"""Skip-gram and CBOW whose input vectors are means of rows that keys have in common: fastText's words and n-grams.

Bojanowski et al. 2017 (arXiv:1607.04606). Skip-gram goes from the center to its contexts, so that the rows of a center
are read and moved once a window, whatever the number of its contexts; CBOW from the rows of all contexts to the center.
A window is one small minibatch: all its logits are taken before any row changes. As in the fastText program, each row
moves by the whole step of the mean.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from skembed.kernels.hidden import logits_of_one, mean_of_rows, move_rows, prefetch_rows, update_one
from skembed.kernels.lanes import LANES, aligned_zeros, pointer
from skembed.kernels.logistic import logistic_loss, logistic_steps, repeat_labels, softmax_loss, softmax_steps
from skembed.kernels.random import draw_below
from skembed.kernels.stretch import TILE, Scratch, choices_of, room_of, rows_of
from skembed.kernels.windows import LOSS_EVERY

__all__ = [
    "Bags",
    "Members",
    "list_members",
    "most_members",
    "new_room",
    "train_cbow_of_members",
    "train_skip_gram_of_members",
]


class Members(NamedTuple):
    """The rows that keys are the mean of, as one ragged array.

    Attributes
    ----------
    starts : ndarray of shape (n_keys + 1,), int64
        The rows of key i are ``rows[starts[i]:starts[i + 1]]``, at least one.
    rows : ndarray of shape (n_members,), int32
        A row may stand there twice, and counts twice.
    """

    starts: np.ndarray
    rows: np.ndarray


class Bags(NamedTuple):
    """`Members` in local numbers, as `list_members` makes them.

    Attributes
    ----------
    starts : ndarray of shape (n_keys + 1,), int64
    begins : ndarray of shape (n_members,), int64
        Where the local rows begin: their numbers times their width.
    labels : ndarray of shape (n_keys,), int32
        The output row of each key where all output rows are targets (softmax); else empty.
    """

    starts: np.ndarray
    begins: np.ndarray
    labels: np.ndarray


def most_members(members: Members, n_keys: int) -> int:
    """How many members `n_keys` different keys have at most.

    Examples
    --------
    >>> most_members(Members(np.array([0, 1, 4, 6]), np.zeros(6, np.int32)), 2)
    5
    """
    lengths = np.sort(np.diff(members.starts))
    return int(lengths[max(len(lengths) - n_keys, 0) :].sum())


def new_room(n_members: int, n_targets: int, width: int) -> Scratch:
    """Room for one hidden vector, the mean of up to `n_members` rows, and its targets."""
    n_padded = n_targets + TILE + LANES  # whole lanes are written
    return Scratch(
        contexts=np.zeros(n_members, np.int64),
        sinks=np.zeros(0, np.int64),
        targets=np.zeros(n_padded, np.int64),
        labels=aligned_zeros(n_padded),
        weights=aligned_zeros(n_padded),
        wanted=aligned_zeros(n_padded),
        rates=aligned_zeros(n_padded),
        logits=aligned_zeros(n_padded),
        hidden=aligned_zeros(2 * width),
    )


@njit(cache=True, nogil=True)
def list_members(keys, starts, members, width, slot, rows, local_starts, local_begins):
    """Number the rows that `keys`, int32 (n,), are the mean of, in order of appearance.

    Parameters
    ----------
    keys : ndarray of shape (n,), int32
    starts, members
        See `Members`.
    width : int
        Of a local row.
    slot : ndarray of shape (n_rows,), int32
        -1 everywhere; afterwards the local number of each row seen. `localise.release` cleans it.
    rows, local_starts, local_begins
        Outputs: the global row of each local number; `starts` and `begins` of `Bags`.

    Returns
    -------
    n_rows : int
    """
    n_rows = np.int32(0)
    n = 0
    local_starts[0] = 0
    for i in range(keys.size):
        for j in range(starts[keys[i]], starts[keys[i] + 1]):
            row = members[j]
            if slot[row] < 0:
                slot[row] = n_rows
                rows[n_rows] = row
                n_rows += np.int32(1)
            local_begins[n] = np.int64(slot[row]) * width
            n += 1
        local_starts[i + 1] = n
    return n_rows


@njit(cache=True, nogil=True)
def train_skip_gram_of_members(stretch, bags, targets, window, shrink, learning_rate, state, scratch):
    """Learn from every window of a stretch, in place: from the rows of the center each of its contexts.

    Parameters
    ----------
    stretch : Stretch
        Its inputs and outputs change; none is frozen.
    bags : Bags
        The input rows of each token.
    targets, window, shrink, learning_rate, state
        As in `skembed.kernels.windows.train_skip_gram`; `negative` of them are drawn for each context.
    scratch : Scratch
        For as many contexts as a key has members, and as many targets as all contexts of a window have.

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
    rows, choices, room, random = rows_of(stretch), choices_of(targets), room_of(scratch), pointer(state)
    starts, begins, labels = pointer(bags.starts), pointer(bags.begins), pointer(bags.labels)
    n_outputs = stretch.outputs.size // stretch.width - 1
    softmax = bags.labels.size > 0
    if softmax:
        choose_all(rows, room, n_outputs)
    begin = 0
    for sequence in range(stretch.ends.size):
        end = stretch.ends[sequence]
        for position in range(begin, end):
            center = np.int64(rows.tokens[position])
            first, n_members = starts[center], starts[center + 1] - starts[center]
            if position + 1 < end:
                following = np.int64(rows.tokens[position + 1])
                n_following = starts[following + 1] - starts[following]
                prefetch_rows(rows.inputs, rows.width, begins, starts[following], n_following)
            mean_of_rows(rows.inputs, rows.width, begins, first, n_members, room.hidden)
            reach = draw_below(random, window) + 1 if shrink else window
            left, right = max(begin, position - reach), min(end, position + reach + 1)
            n_contexts = right - left - 1
            read = position % LOSS_EVERY == 0
            n_losses += n_contexts if read else 0
            if softmax:
                for other in range(left, right):
                    if other != position:
                        add_label(rows, room, labels[rows.tokens[other]], np.float32(1.0))
                n_targets = n_outputs
                loss += learn_softmax(rows, room, n_targets, np.float32(n_contexts), rate, read)
                for other in range(left, right):
                    room.labels[labels[rows.tokens[other]]] = np.float32(0.0)
            else:
                n_targets = 0
                for other in range(left, right):
                    if other != position:
                        n_targets = add_targets(rows, choices, np.int64(rows.tokens[other]), n_targets, random, room)
                loss += learn_logistic(rows, room, n_targets, rate, read)
            pairs = share_of_pairs(n_contexts if softmax else n_targets, n_members)
            for i in range(first, first + n_members):
                rows.input_pairs[begins[i] // rows.width] += pairs
            move_rows(rows.inputs, rows.width, begins, begins, first, n_members, room.hidden)
        begin = end
    return loss, n_losses


@njit(cache=True, nogil=True)
def train_cbow_of_members(stretch, bags, targets, window, shrink, learning_rate, state, scratch):
    """Learn from every window of a stretch, in place: from the mean of all rows of the contexts the center.

    Parameters and returns are those of `train_skip_gram_of_members`, but that a loss is that of a center, `negative`
    words are drawn for it, and scratch has room for the members of all contexts of a window.
    """
    loss = 0.0
    n_losses = 0
    rate = np.float32(learning_rate)
    rows, choices, room, random = rows_of(stretch), choices_of(targets), room_of(scratch), pointer(state)
    starts, begins, labels = pointer(bags.starts), pointer(bags.begins), pointer(bags.labels)
    n_outputs = stretch.outputs.size // stretch.width - 1
    softmax = bags.labels.size > 0
    if softmax:
        choose_all(rows, room, n_outputs)
    begin = 0
    for sequence in range(stretch.ends.size):
        end = stretch.ends[sequence]
        for position in range(begin, end):
            reach = draw_below(random, window) + 1 if shrink else window
            left, right = max(begin, position - reach), min(end, position + reach + 1)
            n_members = 0
            for other in range(left, right):
                token = np.int64(rows.tokens[other])
                if other != position:
                    for i in range(starts[token], starts[token + 1]):
                        room.contexts[n_members] = begins[i]
                        n_members += 1
            if position + window + 1 < end:
                far = np.int64(rows.tokens[position + window + 1])
                prefetch_rows(rows.inputs, rows.width, begins, starts[far], starts[far + 1] - starts[far])
            mean_of_rows(rows.inputs, rows.width, room.contexts, 0, n_members, room.hidden)
            read = position % LOSS_EVERY == 0
            n_losses += 1 if read else 0
            center = np.int64(rows.tokens[position])
            if softmax:
                n_targets = 1
                add_label(rows, room, labels[center], np.float32(1.0))
                loss += learn_softmax(rows, room, n_outputs, np.float32(1.0), rate, read)
                room.labels[labels[center]] = np.float32(0.0)
            else:
                n_targets = add_targets(rows, choices, center, 0, random, room)
                loss += learn_logistic(rows, room, n_targets, rate, read)
            pairs = share_of_pairs(n_targets, n_members)
            for i in range(n_members):
                rows.input_pairs[room.contexts[i] // rows.width] += pairs
            move_rows(rows.inputs, rows.width, room.contexts, room.contexts, 0, n_members, room.hidden)
        begin = end
    return loss, n_losses


@njit(cache=True, nogil=True, inline="always")
def share_of_pairs(n_pairs, n_members):
    """How many products moved each of the rows of a mean, rounded up: the loss is curved along a row by its share."""
    return (n_pairs + n_members - 1) // n_members


@njit(cache=True, nogil=True, inline="always")
def add_targets(rows, choices, key, n_targets, random, room):
    """Append a key and its negatives, or its path, to `n_targets` targets; returns how many there are now.

    A negative that is the key has weight 0.
    """
    if choices.hierarchical:
        for k in range(choices.path_starts[key], choices.path_starts[key + 1]):
            node = np.int64(choices.path_nodes[k])
            room.targets[n_targets] = node * rows.width
            room.labels[n_targets] = np.float32(1 - choices.path_codes[k])
            room.weights[n_targets] = np.float32(1.0)
            rows.output_pairs[node] += 1
            n_targets += 1
    else:
        room.targets[n_targets] = key * rows.width
        room.labels[n_targets] = np.float32(1.0)
        room.weights[n_targets] = np.float32(1.0)
        rows.output_pairs[key] += 1
        n_targets += 1
        for _ in range(choices.negative):
            sample = np.int64(choices.pool[draw_below(random, choices.pool_size)])
            room.targets[n_targets] = sample * rows.width
            room.labels[n_targets] = np.float32(0.0)
            room.weights[n_targets] = np.float32(1.0) if sample != key else np.float32(0.0)
            rows.output_pairs[sample] += 1
            n_targets += 1
    return n_targets


@njit(cache=True, nogil=True, inline="always")
def choose_all(rows, room, n_outputs):
    """Make all output rows targets, with label 0 and weight 1, as the softmax and one-vs-all need it."""
    for k in range(n_outputs):
        room.targets[k] = k * rows.width
        room.labels[k] = np.float32(0.0)
        room.weights[k] = np.float32(1.0)
    pad_targets(rows, room, n_outputs)


@njit(cache=True, nogil=True, inline="always")
def add_label(rows, room, row, label):
    """Add `label` to that of an output row, where all of them are targets."""
    room.labels[row] += label
    rows.output_pairs[row] += 1


@njit(cache=True, nogil=True, inline="always")
def pad_targets(rows, room, n_targets):
    """Pad the targets to a multiple of TILE with rows of weight 0; returns how many there are then."""
    while n_targets % TILE:
        room.targets[n_targets] = rows.blank
        room.labels[n_targets] = np.float32(0.0)
        room.weights[n_targets] = np.float32(0.0)
        n_targets += 1
    return n_targets


@njit(cache=True, nogil=True)
def learn_logistic(rows, room, n_targets, rate, read):
    """Move the targets of the hidden vector, each a logistic regression; its own step is written behind it.

    Returns
    -------
    loss : float
        0 unless it is to be read.
    """
    n_targets = pad_targets(rows, room, n_targets)
    logits_of_one(rows, room, n_targets)
    loss = logistic_loss(room, 1, n_targets) if read else 0.0
    repeat_labels(room, 1, n_targets, rate)
    logistic_steps(room, n_targets)
    update_one(rows, room, n_targets)
    return loss


@njit(cache=True, nogil=True)
def learn_softmax(rows, room, n_targets, total, rate, read):
    """The same with one softmax over all targets, whose labels sum to `total`."""
    logits_of_one(rows, room, n_targets + (-n_targets) % TILE)
    loss = softmax_loss(room.logits, room.labels, n_targets) if read else 0.0
    softmax_steps(room.logits, room.labels, n_targets, total, rate)
    update_one(rows, room, n_targets)
    return loss
