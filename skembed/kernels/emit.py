"""Emission of LLVM's instructions: loops, memory and SIMD vectors, of which intrinsics are made.

What is emitted here costs the compiler a hundredth of what the same statements of Python cost numba, which has to find
their types. And loops over the rows of a tile are unrolled by Python's own, whose names stay those of the formulas.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils

__all__ = [
    "FAST",
    "INT",
    "SIMD",
    "SIMD_WIDTH",
    "clamped",
    "constant",
    "everywhere",
    "fields_of",
    "fused",
    "get",
    "get_simd",
    "loop",
    "put",
    "put_simd",
    "sum_of",
    "variable",
]

SIMD_WIDTH = 16  # float32 in a cache line
FAST = ("reassoc", "nsz", "arcp", "contract")  # flags of arithmetic: NaN and inf keep their meaning
INT = ir.IntType(64)
SIMD = ir.VectorType(ir.FloatType(), SIMD_WIDTH)


def fields_of(builder: Any, kind: Any, value: Any) -> Any:
    """Return the named tuple of a kernel as one of Python, whose fields are LLVM's values."""
    names = kind.instance_class
    return names(*(builder.extract_value(value, i) for i in range(len(names._fields))))


@contextmanager
def loop(builder: Any, stop: Any, step: int = 1, start: Any = None) -> Iterator[Any]:
    """Emit a loop; yields the index, as ``range(start, stop, step)`` has it; from 0 without `start`."""
    with cgutils.for_range_slice(builder, INT(0) if start is None else start, stop, INT(step)) as (index, _):
        yield index


def variable(builder: Any, value: Any) -> Any:
    """Return where a variable lies that is set to `value` here; LLVM keeps it in a register."""
    return cgutils.alloca_once_value(builder, value)


def get(builder: Any, start: Any, offset: Any) -> Any:
    """``start[offset]``."""
    return builder.load(builder.gep(start, [offset]))


def put(builder: Any, value: Any, start: Any, offset: Any) -> None:
    """``start[offset] = value``."""
    builder.store(value, builder.gep(start, [offset]))


def _simd_at(builder: Any, start: Any, offset: Any) -> Any:
    return builder.bitcast(builder.gep(start, [offset]), SIMD.as_pointer())


def get_simd(builder: Any, start: Any, offset: Any) -> Any:
    """``start[offset : offset + 16]`` of a pointer to float32."""
    return builder.load(_simd_at(builder, start, offset), align=4)


def put_simd(builder: Any, vector: Any, start: Any, offset: Any) -> None:
    """``start[offset : offset + 16] = vector``."""
    builder.store(vector, _simd_at(builder, start, offset), align=4)


def constant(number: float) -> ir.Constant:
    """The same float32 sixteen times, a number that is known."""
    return ir.Constant(SIMD, [float(np.float32(number))] * SIMD_WIDTH)


def everywhere(builder: Any, number: Any) -> Any:
    """The same float32 sixteen times."""
    undefined = ir.Constant(SIMD, ir.Undefined)
    one = builder.insert_element(undefined, number, ir.Constant(ir.IntType(32), 0))
    first = ir.Constant(ir.VectorType(ir.IntType(32), SIMD_WIDTH), [0] * SIMD_WIDTH)
    return builder.shuffle_vector(one, undefined, first)


def fused(builder: Any, a: Any, b: Any, c: Any) -> Any:
    """``a * b + c`` of vectors, rounded once where the processor can."""
    kind = ir.FunctionType(SIMD, [SIMD] * 3)
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.fmuladd.v16f32"), [a, b, c])


def clamped(builder: Any, value: Any, low: Any, high: Any) -> Any:
    """``min(max(value, low), high)`` of vectors or numbers; NaN stays NaN."""
    value = builder.select(builder.fcmp_ordered("<", value, low), low, value)
    return builder.select(builder.fcmp_ordered(">", value, high), high, value)


def sum_of(builder: Any, vector: Any) -> Any:
    """Return the sum of the sixteen numbers."""
    kind = ir.FunctionType(ir.FloatType(), [ir.FloatType(), SIMD])
    function = cgutils.get_or_insert_function(builder.module, kind, "llvm.vector.reduce.fadd.v16f32")
    return builder.call(function, [ir.Constant(ir.FloatType(), 0.0), vector], fastmath=("reassoc", "nsz"))
