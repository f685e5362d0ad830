"""Arguments of kernels packed into one array, and taken apart again inside."""

from typing import NamedTuple

import numpy as np
import pytest

from skembed.kernels.arguments import Float32s, Int32s, Int64s, UInt8s, packed, unpacked
from skembed.kernels.compile import compiled


class Fields(NamedTuple):
    bytes_: UInt8s
    n: int
    small: Int32s
    flag: bool
    large: Int64s
    reals: Float32s


FIELDS = Fields(
    np.array([1, 255], np.uint8), -(2**40), np.array([-3, 4], np.int32), True,
    np.array([5, 2**50]), np.array([0.5, -0.25], np.float32),
)  # fmt: skip


@compiled()
def second_values(numbers):
    fields = unpacked(numbers, Fields)
    fields.reals[0] = np.float32(fields.n)
    return fields.bytes_[1], fields.n, fields.small[1], not fields.flag, fields.large[1], fields.reals[1]


def test_a_kernel_has_the_numbers_and_the_memory_of_the_arrays():
    numbers = packed(FIELDS)
    assert (numbers.dtype, numbers.shape) == (np.int64, (6,))
    assert second_values(numbers) == (255, -(2**40), 4, False, 2**50, -0.25)
    assert FIELDS.reals[0] == -(2.0**40)
    assert second_values(packed(FIELDS._replace(flag=False)))[3] is True


@pytest.mark.parametrize(
    "fields",
    [
        FIELDS._replace(reals=np.zeros(2)),
        FIELDS._replace(small=np.zeros(2, np.uint32)),
        FIELDS._replace(large=np.zeros(4, np.int64)[::2]),
        FIELDS._replace(reals=np.zeros((2, 2), np.float32).T),
    ],
)
def test_arrays_that_a_kernel_would_misread_are_refused(fields):
    with pytest.raises(TypeError, match=r"C-contiguous arrays of (float32|int32|int64)"):
        packed(fields)
