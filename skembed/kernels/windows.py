"""Skip-gram and CBOW over windows, with negative samples or along the paths of a Huffman tree.

Mikolov et al. 2013 (arXiv:1301.3781, arXiv:1310.4546). The loss decides which output rows are the targets of a center
and what labels they have, and nothing else, so each architecture is one kernel: skip-gram predicts the labels from each
context row, CBOW from the mean of the context rows.

A window is one small minibatch: all its logits are taken before any row changes. The contexts of a window share one
draw of negatives (Ji et al. 2016, arXiv:1604.04661, section III), so that each row that is read serves many products
while it is in registers.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from skembed.kernels.lanes import (
    LANES,
    add,
    broadcast,
    clamp,
    divide,
    load,
    multiply,
    multiply_add,
    peek,
    store,
    sum_lanes,
)
from skembed.kernels.random import draw_below

__all__ = ["Scratch", "Stretch", "Targets", "new_scratch", "train_cbow", "train_skip_gram"]

MAX_LOGIT = np.float32(8.0)  # the sigmoid is within 4e-4 of 0 or 1 there
LOSS_EVERY = 16  # the loss is read at every 16th center
TILE = 3  # targets worked on at once: 2 x 3 products fill the registers of AVX2; lists are padded to a multiple
NO_LABEL = -1


class Stretch(NamedTuple):
    """A stretch of sequences in local numbers, and the rows it touches, as `skembed.kernels.localise` makes them.

    Attributes
    ----------
    tokens : ndarray of shape (n_tokens,), int32
        Local number of each token.
    ends : ndarray of shape (n_sequences,), int64
        Ends of the sequences in `tokens`.
    inputs : ndarray of shape ((n_rows + 1) * width,), float32
        Local input rows, one after the other, padded with zeros; the last is spare: frozen rows are written there.
    outputs : ndarray of shape ((n_output_rows + 1) * width,), float32
        Local output rows; the last is spare and zero.
    width : int
        Columns of a local row, a multiple of 16.
    frozen : ndarray of shape (n_rows,), bool
        Input rows that stay as they are.
    input_pairs, output_pairs : ndarray of shape (n_rows + 1,) and (n_output_rows + 1,), int32
        Outputs: how many products with rows of the other table moved each row.
    """

    tokens: np.ndarray
    ends: np.ndarray
    inputs: np.ndarray
    outputs: np.ndarray
    width: int
    frozen: np.ndarray
    input_pairs: np.ndarray
    output_pairs: np.ndarray


class Targets(NamedTuple):
    """What a center is: one word among negatives, or a path through a tree. The arrays of the other loss are empty.

    Attributes
    ----------
    hierarchical : bool
    negative : int
        Negatives a window.
    pool : ndarray of shape (n_pool,), int32
        Local output rows, drawn from the noise distribution; negatives are picked from them evenly.
    path_starts, path_nodes, path_codes
        The paths of the local tokens in local numbers of the nodes, as in `HuffmanTree`.
    """

    hierarchical: bool
    negative: int
    pool: np.ndarray
    path_starts: np.ndarray
    path_nodes: np.ndarray
    path_codes: np.ndarray


class Scratch(NamedTuple):
    """Room for one window; see `new_scratch`."""

    contexts: np.ndarray
    sinks: np.ndarray
    targets: np.ndarray
    labels: np.ndarray
    logits: np.ndarray
    hidden: np.ndarray


def new_scratch(window: int, max_targets: int, width: int) -> Scratch:
    """Room for windows of up to ``2 * window`` contexts and `max_targets` targets."""
    n_contexts = 2 * window + 2  # one to make the last pair whole
    n_targets = max_targets + TILE
    return Scratch(
        contexts=np.zeros(n_contexts, np.int64),
        sinks=np.zeros(n_contexts, np.int64),
        targets=np.zeros(n_targets, np.int64),
        labels=np.zeros(n_targets, np.int64),
        logits=np.zeros(n_contexts * n_targets + LANES, np.float32),
        hidden=np.zeros(2 * width, np.float32),
    )


@njit(cache=True, nogil=True)
def train_skip_gram(stretch, targets, window, shrink, learning_rate, state, scratch):
    """Learn from every window of a stretch, in place: from each context row the targets of the center.

    Parameters
    ----------
    stretch : Stretch
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
    begin = 0
    for sequence in range(stretch.ends.size):
        end = stretch.ends[sequence]
        for position in range(begin, end):
            reach = draw_below(state, window) + 1 if shrink else window
            left, right = max(begin, position - reach), min(end, position + reach + 1)
            n_targets = _choose_targets(stretch, targets, stretch.tokens[position], right - left - 1, state, scratch)
            n_contexts = _choose_contexts(stretch, left, position, right, n_targets, scratch)
            _logits(stretch.inputs, scratch.contexts, n_contexts, stretch, scratch, n_targets)
            _sigmoids(scratch.logits, n_contexts * n_targets)
            if position % LOSS_EVERY == 0:
                loss += _loss(scratch, n_contexts, n_targets)
                n_losses += n_contexts
            _steps(scratch, n_contexts, n_targets, rate)
            _update(stretch.inputs, scratch.contexts, scratch.sinks, n_contexts, stretch, scratch, n_targets)
        begin = end
    return loss, n_losses


@njit(cache=True, nogil=True)
def train_cbow(stretch, targets, window, shrink, learning_rate, state, scratch):
    """Learn from every window of a stretch, in place: from the mean of the context rows the targets of the center.

    Parameters and returns are those of `train_skip_gram`, but that a loss is that of a center. Each context row moves
    by the whole step of the mean, as in the word2vec program, not by its share of it.
    """
    loss = 0.0
    n_losses = 0
    rate = np.float32(learning_rate)
    width = stretch.width
    hidden = scratch.hidden
    begin = 0
    for sequence in range(stretch.ends.size):
        end = stretch.ends[sequence]
        for position in range(begin, end):
            reach = draw_below(state, window) + 1 if shrink else window
            left, right = max(begin, position - reach), min(end, position + reach + 1)
            n_targets = _choose_targets(stretch, targets, stretch.tokens[position], 1, state, scratch)
            n_contexts = _choose_contexts(stretch, left, position, right, n_targets, scratch)
            share = broadcast(np.float32(1.0) / np.float32(n_contexts))
            for d in range(0, width, LANES):
                total = load(stretch.inputs, scratch.contexts[0] + d)
                for i in range(1, n_contexts):
                    total = add(total, load(stretch.inputs, scratch.contexts[i] + d))
                store(hidden, d, multiply(share, total))
            _logits_of_one(hidden, stretch, scratch, n_targets)
            _sigmoids(scratch.logits, n_targets)
            if position % LOSS_EVERY == 0:
                loss += _loss(scratch, 1, n_targets)
                n_losses += 1
            _steps(scratch, 1, n_targets, rate)
            _update_one(hidden, stretch, scratch, n_targets)
            for i in range(n_contexts):
                for d in range(0, width, LANES):
                    moved = add(load(stretch.inputs, scratch.contexts[i] + d), load(hidden, width + d))
                    store(stretch.inputs, scratch.sinks[i] + d, moved)
        begin = end
    return loss, n_losses


@njit(cache=True, nogil=True, inline="always")
def _choose_contexts(stretch, left, position, right, n_targets, scratch):
    """Write where the context rows begin and where they are written to; returns how many there are, at least one."""
    spare = stretch.inputs.size - stretch.width
    n_contexts = 0
    for other in range(left, right):
        if other != position:
            token = stretch.tokens[other]
            scratch.contexts[n_contexts] = token * stretch.width
            scratch.sinks[n_contexts] = spare if stretch.frozen[token] else token * stretch.width
            stretch.input_pairs[token] += n_targets
            n_contexts += 1
    scratch.contexts[n_contexts] = scratch.contexts[0]  # makes the last pair whole
    return n_contexts


@njit(cache=True, nogil=True, inline="always")
def _choose_targets(stretch, targets, center, n_pairs, state, scratch):
    """Write where the target rows begin, and their labels; returns how many there are, padded to a multiple of TILE."""
    if targets.hierarchical:
        first = targets.path_starts[center]
        n_targets = targets.path_starts[center + 1] - first
        for k in range(n_targets):
            scratch.targets[k] = targets.path_nodes[first + k] * stretch.width
            scratch.labels[k] = 1 - targets.path_codes[first + k]
            stretch.output_pairs[targets.path_nodes[first + k]] += n_pairs
    else:
        n_targets = targets.negative + 1
        scratch.targets[0] = center * stretch.width
        scratch.labels[0] = 1
        stretch.output_pairs[center] += n_pairs
        for k in range(1, n_targets):
            sample = targets.pool[draw_below(state, targets.pool.size)]
            scratch.targets[k] = sample * stretch.width
            scratch.labels[k] = 0 if sample != center else NO_LABEL
            stretch.output_pairs[sample] += n_pairs
    while n_targets % TILE:
        scratch.targets[n_targets] = stretch.outputs.size - stretch.width
        scratch.labels[n_targets] = NO_LABEL
        n_targets += 1
    return n_targets


@njit(cache=True, nogil=True)
def _logits(inputs, contexts, n_contexts, stretch, scratch, n_targets):
    """``logits[i * n_targets + k]`` is context i times target k: two contexts and three targets at once."""
    outputs, targets, logits = stretch.outputs, scratch.targets, scratch.logits
    zero = broadcast(np.float32(0.0))
    for i in range(0, n_contexts, 2):
        for k in range(0, n_targets, TILE):
            a00 = a01 = a02 = a10 = a11 = a12 = zero
            for d in range(0, stretch.width, LANES):
                v0 = load(inputs, peek(contexts, i) + d)
                v1 = load(inputs, peek(contexts, i + 1) + d)
                u = load(outputs, peek(targets, k) + d)
                a00 = multiply_add(v0, u, a00)
                a10 = multiply_add(v1, u, a10)
                u = load(outputs, peek(targets, k + 1) + d)
                a01 = multiply_add(v0, u, a01)
                a11 = multiply_add(v1, u, a11)
                u = load(outputs, peek(targets, k + 2) + d)
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
def _logits_of_one(hidden, stretch, scratch, n_targets):
    """`_logits` of the one row at the beginning of `hidden`."""
    outputs, targets, logits = stretch.outputs, scratch.targets, scratch.logits
    zero = broadcast(np.float32(0.0))
    for k in range(0, n_targets, TILE):
        a0 = a1 = a2 = zero
        for d in range(0, stretch.width, LANES):
            v = load(hidden, d)
            a0 = multiply_add(v, load(outputs, peek(targets, k) + d), a0)
            a1 = multiply_add(v, load(outputs, peek(targets, k + 1) + d), a1)
            a2 = multiply_add(v, load(outputs, peek(targets, k + 2) + d), a2)
        logits[k] = sum_lanes(a0)
        logits[k + 1] = sum_lanes(a1)
        logits[k + 2] = sum_lanes(a2)


@njit(cache=True, nogil=True)
def _sigmoids(logits, n):
    """Replace x by 1 / (1 + exp(-x)), |x| <= 8, within 1e-5: exp(-x) is (1 - y + y * y / 2) ** 256 with y = x / 256."""
    one = broadcast(np.float32(1.0))
    high = broadcast(MAX_LOGIT)
    low = broadcast(-MAX_LOGIT)
    part = broadcast(np.float32(1.0 / 256.0))
    half = broadcast(np.float32(0.5))
    minus_one = broadcast(np.float32(-1.0))
    for at in range(0, n, LANES):
        y = multiply(clamp(load(logits, at), low, high), part)
        e = multiply_add(multiply_add(y, half, minus_one), y, one)
        for _ in range(8):
            e = multiply(e, e)
        store(logits, at, divide(one, add(one, e)))


@njit(cache=True, nogil=True)
def _loss(scratch, n_contexts, n_targets):
    """Sum of minus the log of what the sigmoids give to their labels, one logarithm a context."""
    loss = 0.0
    for i in range(n_contexts):
        likelihood = 1.0  # far from underflow: 60 steps of at least exp(-8)
        for k in range(n_targets):
            p = scratch.logits[i * n_targets + k]
            if scratch.labels[k] == 1:
                likelihood *= p
            elif scratch.labels[k] == 0:
                likelihood *= 1.0 - p
        loss -= math.log(likelihood)
    return loss


@njit(cache=True, nogil=True)
def _steps(scratch, n_contexts, n_targets, rate):
    """Replace sigmoids by ``rate * (label - sigmoid)``, 0 without a label."""
    steps = scratch.logits
    n = n_contexts * n_targets
    minus_rate = broadcast(-rate)
    for at in range(0, n, LANES):
        store(steps, at, multiply(minus_rate, load(steps, at)))
    for k in range(n_targets):
        if scratch.labels[k] == 1:
            for at in range(k, n, n_targets):
                steps[at] += rate
        elif scratch.labels[k] == NO_LABEL:
            for at in range(k, n, n_targets):
                steps[at] = 0.0


@njit(cache=True, nogil=True)
def _update(inputs, contexts, sinks, n_contexts, stretch, scratch, n_targets):
    """Add ``steps`` times the targets to the contexts, and ``steps`` times the contexts to the targets."""
    outputs, targets, steps = stretch.outputs, scratch.targets, scratch.logits
    zero = broadcast(np.float32(0.0))
    for k in range(0, n_targets, TILE):
        for d in range(0, stretch.width, LANES):
            u0 = load(outputs, peek(targets, k) + d)
            u1 = load(outputs, peek(targets, k + 1) + d)
            u2 = load(outputs, peek(targets, k + 2) + d)
            a0 = a1 = a2 = zero
            at = k
            for i in range(n_contexts):
                v = load(inputs, peek(contexts, i) + d)
                g0 = broadcast(peek(steps, at))
                g1 = broadcast(peek(steps, at + 1))
                g2 = broadcast(peek(steps, at + 2))
                a0 = multiply_add(g0, v, a0)
                a1 = multiply_add(g1, v, a1)
                a2 = multiply_add(g2, v, a2)
                v = multiply_add(g0, u0, v)
                v = multiply_add(g1, u1, v)
                store(inputs, peek(sinks, i) + d, multiply_add(g2, u2, v))
                at += n_targets
            # a row may be there twice among the negatives: each adds to what the one before left
            store(outputs, peek(targets, k) + d, add(load(outputs, peek(targets, k) + d), a0))
            store(outputs, peek(targets, k + 1) + d, add(load(outputs, peek(targets, k + 1) + d), a1))
            store(outputs, peek(targets, k + 2) + d, add(load(outputs, peek(targets, k + 2) + d), a2))


@njit(cache=True, nogil=True)
def _update_one(hidden, stretch, scratch, n_targets):
    """`_update` of the one row at the beginning of `hidden`; the step of that row is written behind it."""
    outputs, targets, steps = stretch.outputs, scratch.targets, scratch.logits
    for d in range(0, stretch.width, LANES):
        v = load(hidden, d)
        move = broadcast(np.float32(0.0))
        for k in range(n_targets):
            g = broadcast(peek(steps, k))
            u = load(outputs, peek(targets, k) + d)
            move = multiply_add(g, u, move)
            store(outputs, peek(targets, k) + d, multiply_add(g, v, u))
        store(hidden, stretch.width + d, move)
