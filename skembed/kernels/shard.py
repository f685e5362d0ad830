"""The arguments of a kernel over windows: a shard of sequences, the targets of its centers, a workspace.

The rows of one window are chosen here, contexts and targets, for skip-gram and CBOW and both losses alike.
"""

from dataclasses import dataclass, fields
from functools import cached_property
from typing import NamedTuple

import numpy as np
from llvmlite import ir
from numba import types

from skembed.kernels.arguments import Float32s, Int32s, Int64s, UInt8s, packed
from skembed.kernels.compile import compiled, intrinsic
from skembed.kernels.emit import INT, fields_of, get, loop, put, variable
from skembed.kernels.random import emit_draw_below
from skembed.kernels.simd import SIMD_WIDTH, aligned_zeros
from skembed.kernels.tiles import TILE

__all__ = [
    "NO_DOCUMENT",
    "TILE",
    "Shard",
    "ShardPointers",
    "TargetPointers",
    "Targets",
    "Workspace",
    "WorkspacePointers",
    "choose_contexts",
    "choose_negatives",
    "choose_path",
    "new_workspace",
    "packed_shard",
    "packed_targets",
    "pad_targets",
]

NO_DOCUMENT = -1


class Shard(NamedTuple):
    """A shard of sequences in local ids, and the rows it touches, as `skembed.kernels.local_ids` makes them.

    Attributes
    ----------
    tokens : ndarray of shape (n_tokens,), int32
        Local id of each token.
    ends : ndarray of shape (n_sequences,), int64
        Ends of the sequences in `tokens`.
    documents : ndarray of shape (n_sequences,) or (0,), int64
        Local input row that is one more context of each window of a sequence, the vector of the document; empty: none.
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
    documents: np.ndarray
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
        The paths of the local tokens in local ids of the nodes, as in `HuffmanTree`.
    """

    hierarchical: bool
    negative: int
    pool: np.ndarray
    path_starts: np.ndarray
    path_nodes: np.ndarray
    path_codes: np.ndarray


@dataclass(frozen=True, eq=False)
class Workspace:
    """The arrays that hold one window; see `new_workspace`."""

    contexts: np.ndarray
    write_offsets: np.ndarray
    targets: np.ndarray
    labels: np.ndarray
    weights: np.ndarray
    scaled_labels: np.ndarray
    rates: np.ndarray
    logits: np.ndarray
    hidden: np.ndarray

    @cached_property
    def packed(self) -> np.ndarray:
        """`WorkspacePointers`, packed, once: a workspace is there for many shards."""
        return packed(WorkspacePointers(*(getattr(self, field.name) for field in fields(self))))


def new_workspace(window: int, max_targets: int, width: int) -> Workspace:
    """A workspace for windows of up to ``2 * window + 1`` contexts and `max_targets` targets."""
    n_contexts = 2 * window + 2  # one for the document, and one to make the last pair whole
    n_targets = max_targets + TILE
    n_logits = n_contexts * n_targets + 2 * SIMD_WIDTH  # whole SIMD vectors are written
    return Workspace(
        contexts=np.zeros(n_contexts, np.int64),
        write_offsets=np.zeros(n_contexts, np.int64),
        targets=np.zeros(n_targets, np.int64),
        labels=aligned_zeros(n_targets + SIMD_WIDTH),
        weights=aligned_zeros(n_targets + SIMD_WIDTH),
        scaled_labels=aligned_zeros(n_logits),
        rates=aligned_zeros(n_logits),
        logits=aligned_zeros(n_logits),
        hidden=aligned_zeros(2 * width),
    )


class ShardPointers(NamedTuple):
    """A shard as kernels have it (`skembed.kernels.arguments`); `spare`, `blank`: where the spare rows begin."""

    tokens: Int32s
    ends: Int64s
    n_sequences: int
    inputs: Float32s
    outputs: Float32s
    n_outputs: int
    width: int
    spare: int
    blank: int
    frozen: UInt8s
    input_pairs: Int32s
    output_pairs: Int32s


class TargetPointers(NamedTuple):
    """`Targets` as kernels have them."""

    negative: int
    pool: Int32s
    pool_size: int
    path_starts: Int64s
    path_nodes: Int32s
    path_codes: UInt8s


class WorkspacePointers(NamedTuple):
    """`Workspace` as kernels have it, which call it `work`."""

    contexts: Int64s
    write_offsets: Int64s
    targets: Int64s
    labels: Float32s
    weights: Float32s
    scaled_labels: Float32s
    rates: Float32s
    logits: Float32s
    hidden: Float32s


def packed_shard(shard: Shard) -> np.ndarray:
    """Return `ShardPointers`, packed."""
    width = shard.width
    return packed(
        ShardPointers(
            tokens=shard.tokens,
            ends=shard.ends,
            n_sequences=len(shard.ends),
            inputs=shard.inputs,
            outputs=shard.outputs,
            n_outputs=len(shard.outputs) // width - 1,
            width=width,
            spare=len(shard.inputs) - width,
            blank=len(shard.outputs) - width,
            frozen=shard.frozen.view(np.uint8),
            input_pairs=shard.input_pairs,
            output_pairs=shard.output_pairs,
        )
    )


def packed_targets(targets: Targets) -> np.ndarray:
    """Return `TargetPointers`, packed."""
    _, negative, pool, *paths = targets
    return packed(TargetPointers(negative, pool, len(pool), *paths))


@intrinsic
def choose_contexts(typing_context, rows, left, position, right, document, n_targets, work):
    """Write where the context rows begin and where they are written to; returns how many there are, at least one."""

    def generate(context, builder, signature, arguments):
        rows, left, position, right, document, n_targets, work = arguments
        rows, work = fields_of(builder, signature.args[0], rows), fields_of(builder, signature.args[-1], work)
        count = variable(builder, INT(0))
        has_document = builder.icmp_signed("!=", document, INT(NO_DOCUMENT))
        stop = builder.add(right, builder.zext(has_document, INT))
        with loop(builder, stop, start=left) as other, builder.if_then(builder.icmp_signed("!=", other, position)):
            is_token = builder.icmp_signed("<", other, right)
            token = get(builder, rows.tokens, builder.select(is_token, other, position))
            row = builder.select(is_token, builder.sext(token, INT), document)
            begin, n_contexts = builder.mul(row, rows.width), builder.load(count)
            frozen = get(builder, rows.frozen, row)
            written = builder.select(builder.icmp_signed("!=", frozen, frozen.type(0)), rows.spare, begin)
            put(builder, begin, work.contexts, n_contexts)
            put(builder, written, work.write_offsets, n_contexts)
            _count(builder, rows.input_pairs, row, n_targets)
            builder.store(builder.add(n_contexts, INT(1)), count)
        n_contexts = builder.load(count)
        put(builder, get(builder, work.contexts, INT(0)), work.contexts, n_contexts)  # makes the last pair whole
        return n_contexts

    return types.int64(rows, *[types.int64] * 5, work), generate


def _count(builder, pairs, row, n):
    before = get(builder, pairs, row)
    put(builder, builder.add(before, builder.trunc(n, before.type)), pairs, row)


@compiled(inline="always")
def choose_path(rows, choices, center, n_pairs, work):
    """Write where the nodes on the path of a center begin, and their labels; returns how many there are."""
    first = choices.path_starts[center]
    n_targets = choices.path_starts[center + 1] - first
    for k in range(n_targets):
        node = np.int64(choices.path_nodes[first + k])
        work.targets[k] = node * rows.width
        work.labels[k] = np.float32(1 - choices.path_codes[first + k])
        work.weights[k] = np.float32(1.0)
        rows.output_pairs[node] += n_pairs
    return n_targets


@intrinsic
def choose_negatives(typing_context, rows, choices, center, n_pairs, random, work):
    """Write where the rows of a center and its negatives begin, their labels, and weight 0 where a negative is the
    center; returns how many there are.
    """

    def generate(context, builder, signature, arguments):
        rows, choices, center, n_pairs, random, work = arguments
        kinds = signature.args
        rows, choices = fields_of(builder, kinds[0], rows), fields_of(builder, kinds[1], choices)
        work, n_targets = fields_of(builder, kinds[-1], work), builder.add(choices.negative, INT(1))
        one, none = ir.FloatType()(1.0), ir.FloatType()(0.0)

        def choose(k, row, label, weight):
            put(builder, builder.mul(row, rows.width), work.targets, k)
            put(builder, label, work.labels, k)
            put(builder, weight, work.weights, k)
            _count(builder, rows.output_pairs, row, n_pairs)

        choose(INT(0), center, one, one)
        with loop(builder, n_targets, start=INT(1)) as k:
            place = emit_draw_below(context, builder, kinds[4], random, choices.pool_size)
            sample = builder.sext(get(builder, choices.pool, place), INT)
            choose(k, sample, none, builder.select(builder.icmp_signed("!=", sample, center), one, none))
        return n_targets

    return types.int64(rows, choices, types.int64, types.int64, random, work), generate


@intrinsic
def pad_targets(typing_context, rows, work, n_targets):
    """Pad the targets to a multiple of TILE with rows of weight 0; returns how many there are then."""

    def generate(context, builder, signature, arguments):
        rows, work = (fields_of(builder, *pair) for pair in zip(signature.args[:2], arguments[:2]))
        n_targets, none = arguments[2], ir.FloatType()(0.0)
        for k in range(TILE - 1):  # those that are too many are read by nobody
            place = builder.add(n_targets, INT(k))
            put(builder, rows.blank, work.targets, place)
            put(builder, none, work.labels, place)
            put(builder, none, work.weights, place)
        n_tiles = builder.udiv(builder.add(n_targets, INT(TILE - 1)), INT(TILE))
        return builder.mul(n_tiles, INT(TILE))

    return types.int64(rows, work, types.int64), generate
