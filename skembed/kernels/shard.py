"""What a kernel over windows is given: a shard of sequences, what its centers are to be told from, room to work.

The rows of one window are chosen here, contexts and targets, for skip-gram and CBOW and both losses alike.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from skembed.kernels.lanes import LANES, aligned_zeros, pointer
from skembed.kernels.random import draw_below

__all__ = [
    "TILE",
    "Scratch",
    "Shard",
    "Targets",
    "choices_of",
    "choose_contexts",
    "choose_targets",
    "new_scratch",
    "pad_targets",
    "room_of",
    "rows_of",
]

TILE = 3  # targets worked on at once: 2 x 3 products fill the registers of AVX2; lists are padded to a multiple


class Shard(NamedTuple):
    """A shard of sequences in local numbers, and the rows it touches, as `skembed.kernels.localise` makes them.

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
    weights: np.ndarray
    wanted: np.ndarray
    rates: np.ndarray
    logits: np.ndarray
    hidden: np.ndarray


def new_scratch(window: int, max_targets: int, width: int) -> Scratch:
    """Room for windows of up to ``2 * window`` contexts and `max_targets` targets."""
    n_contexts = 2 * window + 2  # one to make the last pair whole
    n_targets = max_targets + TILE
    n_logits = n_contexts * n_targets + 2 * LANES  # whole lanes are written
    return Scratch(
        contexts=np.zeros(n_contexts, np.int64),
        sinks=np.zeros(n_contexts, np.int64),
        targets=np.zeros(n_targets, np.int64),
        labels=aligned_zeros(n_targets + LANES),
        weights=aligned_zeros(n_targets + LANES),
        wanted=aligned_zeros(n_logits),
        rates=aligned_zeros(n_logits),
        logits=aligned_zeros(n_logits),
        hidden=aligned_zeros(2 * width),
    )


class Rows(NamedTuple):
    """A shard as pointers, see `skembed.kernels.lanes.pointer`; `spare` and `blank`: where the spare rows begin."""

    tokens: Any
    inputs: Any
    outputs: Any
    width: int
    spare: int
    blank: int
    frozen: Any
    input_pairs: Any
    output_pairs: Any


class Choices(NamedTuple):
    """`Targets` as pointers."""

    hierarchical: bool
    negative: int
    pool: Any
    pool_size: int
    path_starts: Any
    path_nodes: Any
    path_codes: Any


class Room(NamedTuple):
    """`Scratch` as pointers."""

    contexts: Any
    sinks: Any
    targets: Any
    labels: Any
    weights: Any
    wanted: Any
    rates: Any
    logits: Any
    hidden: Any


@njit(cache=True, nogil=True, inline="always")
def rows_of(shard):
    return Rows(
        pointer(shard.tokens),
        pointer(shard.inputs),
        pointer(shard.outputs),
        shard.width,
        shard.inputs.size - shard.width,
        shard.outputs.size - shard.width,
        pointer(shard.frozen.view(np.uint8)),
        pointer(shard.input_pairs),
        pointer(shard.output_pairs),
    )


@njit(cache=True, nogil=True, inline="always")
def choices_of(targets):
    return Choices(
        targets.hierarchical,
        targets.negative,
        pointer(targets.pool),
        targets.pool.size,
        pointer(targets.path_starts),
        pointer(targets.path_nodes),
        pointer(targets.path_codes),
    )


@njit(cache=True, nogil=True, inline="always")
def room_of(scratch):
    return Room(
        pointer(scratch.contexts),
        pointer(scratch.sinks),
        pointer(scratch.targets),
        pointer(scratch.labels),
        pointer(scratch.weights),
        pointer(scratch.wanted),
        pointer(scratch.rates),
        pointer(scratch.logits),
        pointer(scratch.hidden),
    )


@njit(cache=True, nogil=True, inline="always")
def choose_contexts(rows, left, position, right, n_targets, room):
    """Write where the context rows begin and where they are written to; returns how many there are, at least one."""
    n_contexts = 0
    for other in range(left, right):
        if other != position:
            token = np.int64(rows.tokens[other])
            room.contexts[n_contexts] = token * rows.width
            room.sinks[n_contexts] = rows.spare if rows.frozen[token] != 0 else token * rows.width
            rows.input_pairs[token] += n_targets
            n_contexts += 1
    room.contexts[n_contexts] = room.contexts[0]  # makes the last pair whole
    return n_contexts


@njit(cache=True, nogil=True, inline="always")
def choose_targets(rows, choices, center, n_pairs, random, room):
    """Write where the target rows begin, their labels, and weight 0 where a negative is the center; returns
    how many there are, padded to a multiple of TILE with rows of weight 0.
    """
    if choices.hierarchical:
        first = choices.path_starts[center]
        n_targets = choices.path_starts[center + 1] - first
        for k in range(n_targets):
            node = np.int64(choices.path_nodes[first + k])
            room.targets[k] = node * rows.width
            room.labels[k] = np.float32(1 - choices.path_codes[first + k])
            room.weights[k] = np.float32(1.0)
            rows.output_pairs[node] += n_pairs
    else:
        n_targets = choices.negative + 1
        room.targets[0] = center * rows.width
        room.labels[0] = np.float32(1.0)
        room.weights[0] = np.float32(1.0)
        rows.output_pairs[center] += n_pairs
        for k in range(1, n_targets):
            sample = np.int64(choices.pool[draw_below(random, choices.pool_size)])
            room.targets[k] = sample * rows.width
            room.labels[k] = np.float32(0.0)
            room.weights[k] = np.float32(1.0) if sample != center else np.float32(0.0)
            rows.output_pairs[sample] += n_pairs
    return pad_targets(rows, room, n_targets)


@njit(cache=True, nogil=True, inline="always")
def pad_targets(rows, room, n_targets):
    """Pad the targets to a multiple of TILE with rows of weight 0; returns how many there are then."""
    while n_targets % TILE:
        room.targets[n_targets] = rows.blank
        room.labels[n_targets] = np.float32(0.0)
        room.weights[n_targets] = np.float32(0.0)
        n_targets += 1
    return n_targets
