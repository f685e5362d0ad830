"""Arguments of a kernel packed into one array: where arrays begin, and numbers.

An array that Python passes costs numba ten milliseconds of compilation; a kernel that takes a shard, its targets and a
workspace has thirty of them. Packed, they are one array of integers, which the kernel takes apart again: a named tuple
whose annotations say what each integer is.
"""

from collections.abc import Iterable
from functools import cache
from typing import Annotated, Any, get_type_hints

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.np.numpy_support import from_dtype

from skembed.kernels.compile import intrinsic

__all__ = ["Float32s", "Int32s", "Int64s", "UInt8s", "packed", "unpacked"]

# Annotations: where a C-contiguous array of that dtype begins, as `skembed.kernels.simd.pointer` has it.
UInt8s = Annotated[Any, "uint8"]
Int32s = Annotated[Any, "int32"]
Int64s = Annotated[Any, "int64"]
Float32s = Annotated[Any, "float32"]


@cache
def _kinds(named_tuple: type) -> tuple[Any, ...]:
    """What its fields are: int, bool, or the dtype of an array."""
    hints = get_type_hints(named_tuple, include_extras=True).values()
    return tuple(np.dtype(hint.__metadata__[0]) if hasattr(hint, "__metadata__") else hint for hint in hints)


def packed(arguments: Iterable) -> np.ndarray:
    """Return a named tuple as int64s, one a field, for `unpacked` in a kernel. The caller keeps the arrays alive.

    Parameters
    ----------
    arguments : named tuple
        Integers, booleans and arrays, as its annotations say.

    Returns
    -------
    ndarray of shape (n_fields,), int64

    Raises
    ------
    TypeError
        If an array is not C-contiguous or of another dtype: a kernel would take its bytes for something else.
    """
    numbers = []
    for value, kind in zip(arguments, _kinds(type(arguments))):
        if isinstance(kind, np.dtype):
            if value.dtype != kind or not value.flags.c_contiguous:
                layout = f"{value.dtype} with strides {value.strides}"
                raise TypeError(f"this kernel takes C-contiguous arrays of {kind}, got {layout}. Convert it first.")
            numbers.append(value.ctypes.data)
        else:
            numbers.append(int(value))
    return np.array(numbers, np.int64)


@intrinsic
def unpacked(typing_context, numbers, named_tuple):
    """Inside a kernel: the named tuple of which `packed` made `numbers`, with pointers in the place of arrays."""
    named = named_tuple.instance_class
    fields = [
        types.CPointer(from_dtype(kind))
        if isinstance(kind, np.dtype)
        else {int: types.int64, bool: types.boolean}[kind]
        for kind in _kinds(named)
    ]
    result = types.NamedTuple(fields, named)

    def generate(context, builder, signature, arguments):
        start = cgutils.create_struct_proxy(signature.args[0])(context, builder, arguments[0]).data
        values = []
        for i, field in enumerate(fields):
            value = builder.load(builder.gep(start, [ir.Constant(ir.IntType(64), i)]))
            if isinstance(field, types.CPointer):
                value = builder.inttoptr(value, context.get_value_type(field))
            elif field == types.boolean:
                value = builder.icmp_signed("!=", value, ir.Constant(value.type, 0))
            values.append(value)
        return context.make_tuple(builder, result, values)

    return result(numbers, named_tuple), generate
