"""Sixteen float32 side by side as one value inside numba functions, so that kernels decide what stays in registers.

LLVM maps a value to what the processor has: one AVX-512 register, two AVX ones, four of NEON or SSE. The automatic
vectoriser sees one loop at a time; kernels written in lanes keep several dot products in registers at once, which made
skip-gram four times faster here.
"""

from typing import Any

import numba.extending
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import models, register_model

__all__ = [
    "LANES",
    "add",
    "broadcast",
    "clamp",
    "divide",
    "load",
    "multiply",
    "multiply_add",
    "peek",
    "store",
    "sum_lanes",
]

intrinsic: Any = numba.extending.intrinsic  # its calls inside kernels lack the typing context, which confuses checkers

LANES = 16  # float32 in a cache line
_VECTOR = ir.VectorType(ir.FloatType(), LANES)
_FAST = ("reassoc", "nsz", "arcp", "contract")  # NaN and inf keep their meaning


class _Lanes(types.Type):
    def __init__(self) -> None:
        super().__init__(name="Lanes16")


_lanes = _Lanes()


@register_model(_Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, dmm, fe_type):
        super().__init__(dmm, fe_type, _VECTOR)


def _pointer(context, builder, array_type, array, offset):
    data = cgutils.create_struct_proxy(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [offset]), _VECTOR.as_pointer())


def _is_flat(array) -> bool:
    return isinstance(array, types.Array) and array.ndim == 1 and array.layout == "C" and array.dtype == types.float32


@intrinsic
def load(typing_context, array, offset):
    """``array[offset : offset + 16]`` of a C-contiguous float32 array of one dimension; bounds are not checked."""
    if not _is_flat(array):
        return None

    def generate(context, builder, signature, arguments):
        return builder.load(_pointer(context, builder, signature.args[0], *arguments), align=4)

    return _lanes(array, types.intp), generate


@intrinsic
def store(typing_context, array, offset, lanes):
    """``array[offset : offset + 16] = lanes``; bounds are not checked."""
    if not _is_flat(array):
        return None

    def generate(context, builder, signature, arguments):
        pointer = _pointer(context, builder, signature.args[0], *arguments[:2])
        builder.store(arguments[2], pointer, align=4)
        return context.get_dummy_value()

    return types.void(array, types.intp, _lanes), generate


@intrinsic
def peek(typing_context, array, index):
    """``array[index]`` of a C-contiguous array of one dimension, with no look at whether the index is negative."""
    if not (isinstance(array, types.Array) and array.ndim == 1 and array.layout == "C"):
        return None

    def generate(context, builder, signature, arguments):
        data = cgutils.create_struct_proxy(signature.args[0])(context, builder, arguments[0]).data
        return context.unpack_value(builder, signature.args[0].dtype, builder.gep(data, [arguments[1]]))

    return array.dtype(array, types.intp), generate


@intrinsic
def broadcast(typing_context, number):
    """The same float32 sixteen times."""

    def generate(context, builder, signature, arguments):
        one = builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), arguments[0], ir.Constant(ir.IntType(32), 0))
        everywhere = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
        return builder.shuffle_vector(one, ir.Constant(_VECTOR, ir.Undefined), everywhere)

    return _lanes(types.float32), generate


@intrinsic
def multiply_add(typing_context, a, b, c):
    """``a * b + c``, rounded once where the processor can."""

    def generate(context, builder, signature, arguments):
        function = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(_VECTOR, [_VECTOR] * 3), "llvm.fmuladd.v16f32"
        )
        return builder.call(function, arguments)

    return _lanes(_lanes, _lanes, _lanes), generate


@intrinsic
def multiply(typing_context, a, b):
    """``a * b``."""

    def generate(context, builder, signature, arguments):
        return builder.fmul(*arguments, flags=_FAST)

    return _lanes(_lanes, _lanes), generate


@intrinsic
def add(typing_context, a, b):
    """``a + b``."""

    def generate(context, builder, signature, arguments):
        return builder.fadd(*arguments, flags=_FAST)

    return _lanes(_lanes, _lanes), generate


@intrinsic
def divide(typing_context, a, b):
    """``a / b``."""

    def generate(context, builder, signature, arguments):
        return builder.fdiv(*arguments, flags=_FAST)

    return _lanes(_lanes, _lanes), generate


@intrinsic
def clamp(typing_context, a, low, high):
    """``min(max(a, low), high)``; NaN stays NaN."""

    def generate(context, builder, signature, arguments):
        value, low, high = arguments
        value = builder.select(builder.fcmp_ordered("<", value, low), low, value)
        return builder.select(builder.fcmp_ordered(">", value, high), high, value)

    return _lanes(_lanes, _lanes, _lanes), generate


@intrinsic
def sum_lanes(typing_context, lanes):
    """The sum of the sixteen numbers, a float32."""

    def generate(context, builder, signature, arguments):
        function = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(ir.FloatType(), [ir.FloatType(), _VECTOR]), "llvm.vector.reduce.fadd.v16f32"
        )
        return builder.call(function, [ir.Constant(ir.FloatType(), 0.0), arguments[0]], fastmath=("reassoc", "nsz"))

    return types.float32(_lanes), generate
