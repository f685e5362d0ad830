"""Products of context rows and target rows, and steps of both: tiles of rows that stay in registers, in intrinsics."""

from numba import types

from skembed.kernels.compile import intrinsic
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
    sum_of,
    variable,
)

__all__ = ["TILE", "emit_logits", "logits_of_pairs", "update_pairs"]

TILE = 3  # targets worked on at once: 2 x 3 products fill the registers of AVX2; lists are padded to a multiple
N_CONTEXTS = 2


def emit_logits(builder, sources, outputs, targets, width):
    """Return the products of rows that begin at `sources`, pairs of table and offset, with each target row."""
    sums = [[variable(builder, constant(0.0)) for _ in targets] for _ in sources]
    with loop(builder, width, SIMD_WIDTH) as d:
        vectors = [get_simd(builder, table, builder.add(begin, d)) for table, begin in sources]
        for k, target in enumerate(targets):
            other = get_simd(builder, outputs, builder.add(target, d))
            for vector, of_source in zip(vectors, sums):
                builder.store(fused(builder, vector, other, builder.load(of_source[k])), of_source[k])
    return [[sum_of(builder, builder.load(total)) for total in of_source] for of_source in sums]


@intrinsic
def logits_of_pairs(typing_context, rows, work, n_contexts, n_targets):
    """``logits[i * n_targets + k]`` is context i times target k: two contexts and three targets at once."""

    def generate(context, builder, signature, arguments):
        rows, work = (fields_of(builder, *pair) for pair in zip(signature.args[:2], arguments[:2]))
        n_contexts, n_targets = arguments[2:]
        with loop(builder, n_contexts, N_CONTEXTS) as i:
            begins = [get(builder, work.contexts, builder.add(i, INT(j))) for j in range(N_CONTEXTS)]
            with loop(builder, n_targets, TILE) as k:
                targets = [get(builder, work.targets, builder.add(k, INT(j))) for j in range(TILE)]
                sources = [(rows.inputs, begin) for begin in begins]
                at = builder.add(builder.mul(i, n_targets), k)
                for logits in emit_logits(builder, sources, rows.outputs, targets, rows.width):
                    for j, logit in enumerate(logits):
                        put(builder, logit, work.logits, builder.add(at, INT(j)))
                    at = builder.add(at, n_targets)
        return context.get_dummy_value()

    return types.void(rows, work, types.int64, types.int64), generate


@intrinsic
def update_pairs(typing_context, rows, work, n_contexts, n_targets):
    """Add steps, which are in `logits`, times the targets to the contexts, and times the contexts to the targets."""

    def generate(context, builder, signature, arguments):
        rows, work = (fields_of(builder, *pair) for pair in zip(signature.args[:2], arguments[:2]))
        n_contexts, n_targets = arguments[2:]
        with loop(builder, n_targets, TILE) as k:
            targets = [get(builder, work.targets, builder.add(k, INT(j))) for j in range(TILE)]
            with loop(builder, rows.width, SIMD_WIDTH) as d:
                places = [builder.add(target, d) for target in targets]
                before = [get_simd(builder, rows.outputs, place) for place in places]
                moves = [variable(builder, constant(0.0)) for _ in targets]
                with loop(builder, n_contexts) as i:
                    at = builder.add(builder.mul(i, n_targets), k)
                    sizes = [get(builder, work.logits, builder.add(at, INT(j))) for j in range(TILE)]
                    sizes = [everywhere(builder, size) for size in sizes]
                    vector = get_simd(builder, rows.inputs, builder.add(get(builder, work.contexts, i), d))
                    for size, move in zip(sizes, moves):
                        builder.store(fused(builder, size, vector, builder.load(move)), move)
                    for size, target in zip(sizes, before):
                        vector = fused(builder, size, target, vector)
                    put_simd(builder, vector, rows.inputs, builder.add(get(builder, work.write_offsets, i), d))
                # a row may be there twice among the negatives: each adds to what the one before left
                for place, move in zip(places, moves):
                    moved = builder.fadd(get_simd(builder, rows.outputs, place), builder.load(move), flags=FAST)
                    put_simd(builder, moved, rows.outputs, place)
        return context.get_dummy_value()

    return types.void(rows, work, types.int64, types.int64), generate
