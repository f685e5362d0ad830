"""SIMD vectors: sixteen float32 as one value inside numba functions, so that kernels decide what stays in registers.

LLVM maps a value to what the processor has: one AVX-512 register, two AVX ones, four of NEON or SSE. The automatic
vectoriser sees one loop at a time; kernels written in these values keep several dot products in registers at once,
which made skip-gram four times faster here.
"""

import math
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import models, register_model

from skembed.kernels.compile import intrinsic
from skembed.kernels.emit import (
    FAST,
    INT,
    SIMD,
    SIMD_WIDTH,
    clamped,
    constant,
    everywhere,
    fused,
    get_simd,
    loop,
    put_simd,
    sum_of,
    variable,
)

__all__ = [
    "MAX_LOGIT",
    "SIMD_WIDTH",
    "add",
    "aligned_zeros",
    "broadcast",
    "clamp",
    "clear_row",
    "copy_row",
    "divide",
    "dot",
    "emit_sigmoid",
    "horizontal_sum",
    "larger",
    "load",
    "multiply",
    "multiply_add",
    "pointer",
    "prefetch",
    "prefetch_row",
    "shrink_factor",
    "sigmoid",
    "smaller",
    "store",
    "subtract",
]

CACHE_LINE = 64  # bytes
FLOAT_BYTES = 4
MAX_LOGIT = 8.0  # the sigmoid is within 4e-4 of 0 or 1 there


def aligned_zeros(*shape: int) -> np.ndarray:
    """C-contiguous float32 zeros that begin at a cache line: vectors that straddle two lines cost nearly double."""
    n = math.prod(shape)
    values = np.zeros(n + CACHE_LINE // FLOAT_BYTES, np.float32)
    first = -values.ctypes.data % CACHE_LINE // FLOAT_BYTES
    return values[first : first + n].reshape(shape)


class _SimdType(types.Type):
    def __init__(self) -> None:
        super().__init__(name="Simd16")


_simd = _SimdType()


@register_model(_SimdType)
class _SimdModel(models.PrimitiveModel):
    def __init__(self, dmm, fe_type):
        super().__init__(dmm, fe_type, SIMD)


@intrinsic
def pointer(typing_context, array):
    """Where a C-contiguous array begins, to be indexed like an array of one dimension; bounds are not checked.

    An array is counted each time it is passed to a function, with a locked instruction; twelve arrays in an inner loop
    cost more than all its arithmetic. A pointer is a number. The caller keeps the array alive.
    """
    if not (isinstance(array, types.Array) and array.layout == "C"):
        return None

    def generate(context, builder, signature, arguments):
        return cgutils.create_struct_proxy(signature.args[0])(context, builder, arguments[0]).data

    return types.CPointer(array.dtype)(array), generate


def _is_float32(start) -> bool:
    return isinstance(start, types.CPointer) and start.dtype == types.float32


@intrinsic
def load(typing_context, start, offset):
    """``start[offset : offset + 16]`` of a pointer to float32."""
    if not _is_float32(start):
        return None

    def generate(context, builder, signature, arguments):
        return get_simd(builder, *arguments)

    return _simd(start, types.intp), generate


@intrinsic
def store(typing_context, start, offset, vector):
    """``start[offset : offset + 16] = vector``."""
    if not _is_float32(start):
        return None

    def generate(context, builder, signature, arguments):
        start, offset, vector = arguments
        put_simd(builder, vector, start, offset)
        return context.get_dummy_value()

    return types.void(start, types.intp, _simd), generate


@intrinsic
def copy_row(typing_context, start, offset, n, to, to_offset):
    """``to[to_offset : to_offset + n] = start[offset : offset + n]`` of pointers to float32."""
    if not (_is_float32(start) and _is_float32(to)):
        return None

    def generate(context, builder, signature, arguments):
        start, offset, n, to, to_offset = arguments
        cgutils.raw_memcpy(builder, builder.gep(to, [to_offset]), builder.gep(start, [offset]), n, FLOAT_BYTES)
        return context.get_dummy_value()

    return types.void(start, types.intp, types.intp, to, types.intp), generate


@intrinsic
def clear_row(typing_context, start, offset, n):
    """``start[offset : offset + n] = 0`` of a pointer to float32."""
    if not _is_float32(start):
        return None

    def generate(context, builder, signature, arguments):
        start, offset, n = arguments
        n_bytes = builder.mul(n, n.type(FLOAT_BYTES))
        cgutils.memset(builder, builder.gep(start, [offset]), n_bytes, 0)
        return context.get_dummy_value()

    return types.void(start, types.intp, types.intp), generate


def _prefetch(builder, address):
    byte = ir.IntType(8).as_pointer()
    i32 = ir.IntType(32)
    function = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(ir.VoidType(), [byte, i32, i32, i32]), "llvm.prefetch.p0i8"
    )
    for_reading, keep, data = i32(0), i32(3), i32(1)
    builder.call(function, [builder.bitcast(address, byte), for_reading, keep, data])


@intrinsic
def prefetch(typing_context, start, offset):
    """Ask for the cache line of ``start[offset]``, which need not be there, and go on."""
    if not isinstance(start, types.CPointer):
        return None

    def generate(context, builder, signature, arguments):
        _prefetch(builder, builder.gep(arguments[0], [arguments[1]]))
        return context.get_dummy_value()

    return types.void(start, types.intp), generate


@intrinsic
def prefetch_row(typing_context, start, row, dim):
    """Ask for the cache lines of a row of a table of `dim` columns that begins at the pointer `start`."""
    if not isinstance(start, types.CPointer):
        return None

    def generate(context, builder, signature, arguments):
        start, row, dim = arguments
        first, last = builder.mul(row, dim), builder.sub(dim, dim.type(1))
        stop = builder.add(last, dim.type(SIMD_WIDTH))
        with cgutils.for_range_slice(builder, dim.type(0), stop, dim.type(SIMD_WIDTH)) as (d, _):
            d = builder.select(builder.icmp_signed("<", d, last), d, last)
            _prefetch(builder, builder.gep(start, [builder.add(first, d)]))
        return context.get_dummy_value()

    return types.void(start, types.intp, types.intp), generate


@intrinsic
def broadcast(typing_context, number):
    """The same float32 sixteen times."""

    def generate(context, builder, signature, arguments):
        return everywhere(builder, arguments[0])

    return _simd(types.float32), generate


@intrinsic
def multiply_add(typing_context, a, b, c):
    """``a * b + c``, rounded once where the processor can."""

    def generate(context, builder, signature, arguments):
        return fused(builder, *arguments)

    return _simd(_simd, _simd, _simd), generate


@intrinsic
def multiply(typing_context, a, b):
    """``a * b``."""

    def generate(context, builder, signature, arguments):
        return builder.fmul(*arguments, flags=FAST)

    return _simd(_simd, _simd), generate


@intrinsic
def add(typing_context, a, b):
    """``a + b``."""

    def generate(context, builder, signature, arguments):
        return builder.fadd(*arguments, flags=FAST)

    return _simd(_simd, _simd), generate


@intrinsic
def subtract(typing_context, a, b):
    """``a - b``."""

    def generate(context, builder, signature, arguments):
        return builder.fsub(*arguments, flags=FAST)

    return _simd(_simd, _simd), generate


@intrinsic
def divide(typing_context, a, b):
    """``a / b``."""

    def generate(context, builder, signature, arguments):
        return builder.fdiv(*arguments, flags=FAST)

    return _simd(_simd, _simd), generate


@intrinsic
def clamp(typing_context, a, low, high):
    """``min(max(a, low), high)``; NaN stays NaN."""

    def generate(context, builder, signature, arguments):
        return clamped(builder, *arguments)

    return _simd(_simd, _simd, _simd), generate


def emit_sigmoid(builder: Any, x: Any) -> Any:
    """1 / (1 + exp(-x)) within 1e-5, of x between -MAX_LOGIT and MAX_LOGIT, or the nearer of these; see `emit`.

    exp(-x) is (1 - y + y * y / 2) ** 256 with y = x / 256.
    """
    x = clamped(builder, x, constant(-MAX_LOGIT), constant(MAX_LOGIT))
    y = builder.fmul(x, constant(1.0 / 256.0), flags=FAST)
    e = fused(builder, fused(builder, y, constant(0.5), constant(-1.0)), y, constant(1.0))
    for _ in range(8):
        e = builder.fmul(e, e, flags=FAST)
    return builder.fdiv(constant(1.0), builder.fadd(constant(1.0), e, flags=FAST), flags=FAST)


@intrinsic
def sigmoid(typing_context, x):
    """See `emit_sigmoid`."""

    def generate(context, builder, signature, arguments):
        return emit_sigmoid(builder, arguments[0])

    return _simd(_simd), generate


@intrinsic
def horizontal_sum(typing_context, vector):
    """The sum of the sixteen numbers, a float32."""

    def generate(context, builder, signature, arguments):
        return sum_of(builder, arguments[0])

    return types.float32(_simd), generate


@intrinsic
def dot(typing_context, start, a, b, width):
    """The product of ``start[a : a + width]`` and ``start[b : b + width]``; `width` is a multiple of 16, not 0."""
    if not _is_float32(start):
        return None

    def generate(context, builder, signature, arguments):
        start, a, b, width = arguments

        def pair(d):
            return tuple(get_simd(builder, start, builder.add(begin, d)) for begin in (a, b))

        total = variable(builder, builder.fmul(*pair(INT(0)), flags=FAST))
        with loop(builder, width, SIMD_WIDTH, INT(SIMD_WIDTH)) as d:
            one, other = pair(d)
            builder.store(fused(builder, one, other, builder.load(total)), total)
        return sum_of(builder, builder.load(total))

    return types.float32(start, types.intp, types.intp, types.intp), generate


@intrinsic
def shrink_factor(typing_context, step):
    """1 / sqrt(1 + step ** 2), within 3e-5 up to steps of .5; what it is short of 1 within 2 in 10,000.

    A cubic in step ** 2 that is 1 at 0 and, of all such, the least wrong up to .5 ** 2 in what a step adds.
    """

    def generate(context, builder, signature, arguments):
        square = builder.fmul(*arguments, *arguments, flags=FAST)
        series = constant(-0.23211775)
        for coefficient in (0.36815499, -0.49991131, 1.0):
            series = fused(builder, square, series, constant(coefficient))
        return series

    return _simd(_simd), generate


def _chosen(comparison):
    def generate(context, builder, signature, arguments):
        return builder.select(builder.icmp_signed(comparison, *arguments), *arguments)

    return types.int64(types.int64, types.int64), generate


@intrinsic
def smaller(typing_context, a, b):
    """The smaller of two int64; `min` means two more functions to the compiler, the same to the processor."""
    return _chosen("<")


@intrinsic
def larger(typing_context, a, b):
    """The larger of two int64."""
    return _chosen(">")
