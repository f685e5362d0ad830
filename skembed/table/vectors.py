"""Vectors as float32, from any container that holds real numbers."""

import contextlib
import mmap
from collections.abc import Iterator, ValuesView
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np

from skembed.data.canonical import canonical_key

__all__ = ["as_float32", "check_finite_vectors", "first_not_finite", "is_frozen", "of_tensor"]

_BLOCK_ROWS = 65_536  # rows looked at in one go


def as_float32(values: Any, name: str) -> np.ndarray:
    """`values` as C-ordered float32 of native byte order, copied unless it is a read-only array or a memory map.

    Parameters
    ----------
    values : array-like
        Rows may stand in one column of lists or arrays, and numbers be Python objects; missing ones are NaN.
    name : str
        What errors call it.

    Raises
    ------
    TypeError
        If it holds anything but real numbers, or is a sparse matrix.
    ValueError
        If its rows are not of one length, or numbers are masked.
    """
    array = values if _is_mapped(values) else _as_array(values, name)
    if array.dtype == object:
        array = _of_objects(array, name)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name} must hold real numbers, got dtype {array.dtype}.")
    kept = _is_mapped(array) or is_frozen(array)
    with np.errstate(over="ignore"):  # what overflows is inf, and named by the check for finite values
        return array.astype(np.float32, order="C", copy=not kept)


def of_tensor(values: Any) -> Any:
    """A tensor of torch as numpy takes it, without its gradient and from any device; anything else as it is."""
    if not hasattr(values, "detach"):
        return values
    values = values.detach().cpu()
    return values.float() if str(values.dtype) == "torch.bfloat16" else values


def first_not_finite(vectors: np.ndarray, rows: np.ndarray | None = None) -> tuple[int, int] | None:
    """Row and component of the first number that is not finite, of all rows or of these; None where all are."""
    for start in range(0, len(vectors) if rows is None else len(rows), _BLOCK_ROWS):
        places = slice(start, start + _BLOCK_ROWS)
        block = vectors[places if rows is None else rows[places]]
        with np.errstate(invalid="ignore", over="ignore"):
            total = block.sum(dtype=np.float64)  # one pass without a mask: a sum of finite float32 is finite
        if np.isfinite(total):
            continue
        bad = np.argwhere(~np.isfinite(block))
        if len(bad):
            place, component = start + int(bad[0, 0]), int(bad[0, 1])
            return place if rows is None else int(rows[place]), component
    return None


def check_finite_vectors(vectors: np.ndarray, keys: np.ndarray | None = None, rows: np.ndarray | None = None) -> None:
    """ValueError for the first row, of all or of these, with a number that is not finite, naming its key if known."""
    bad = first_not_finite(vectors, rows)
    if bad is not None:
        row, component = bad
        whose = "" if keys is None else f" for the key {keys[row]!r}"
        raise ValueError(
            f"vectors must be finite float32, got {vectors[bad]}{whose} "
            f"(row {row}, component {component}); drop the key or mend its vector."
        )


def _is_mapped(array: Any) -> bool:
    """Whether an array is a memory map; what numpy makes of one, as rows that it takes, may be in memory."""
    if not isinstance(array, np.memmap):
        return False
    while isinstance(array, np.ndarray):
        array = array.base
    return isinstance(array, mmap.mmap)


def is_frozen(array: Any) -> bool:
    """Whether nobody can write to an array: a read-only view of one that can be written to may change."""
    while isinstance(array, np.ndarray):
        if array.flags.writeable:
            return False
        array = array.base
    return True


def _as_array(values: Any, name: str) -> np.ndarray:
    if hasattr(values, "toarray"):
        raise TypeError(f"{name} must be dense, got a {type(values).__name__}; pass {name}.toarray().")
    if np.ma.is_masked(values):
        raise ValueError(
            f"{name} holds {np.ma.count_masked(values)} masked numbers, of which nothing is known; fill them, or leave "
            "these rows out."
        )
    if isinstance(values, ValuesView | Iterator):
        values = list(values)
    values = of_tensor(values)
    try:
        return np.asarray(values)
    except ValueError:
        if not isinstance(values, list | tuple):
            raise
        return np.fromiter(values, dtype=object, count=len(values))  # rows of several lengths, which are told apart


def _of_objects(array: np.ndarray, name: str) -> np.ndarray:
    """An array of objects as float64: of numbers, or of rows of numbers."""
    if array.ndim == 1 and any(np.ndim(row) == 1 for row in array):
        with contextlib.suppress(ValueError, TypeError):  # what does not go as a whole is told row by row
            whole = np.array(array.tolist())
            if whole.ndim == 2 and whole.dtype.kind in "fiub":
                return whole
        absent = next((place for place, row in enumerate(array) if np.ndim(row) == 0 and _is_missing(row)), None)
        if absent is not None:
            raise ValueError(f"{name} has no vector in row {absent}, got {array[absent]!r}; leave such rows out.")
        rows = [np.atleast_1d(as_float32(row, name)) for row in array]
        other = next((place for place, row in enumerate(rows) if row.shape != rows[0].shape), None)
        if other is not None:
            raise ValueError(
                f"{name} must have rows of one length, got {rows[other].shape} in row {other} beside "
                f"{rows[0].shape} in row 0."
            )
        return np.stack(rows)
    values = array.ravel().tolist()
    for kind in set(map(type, values)):
        if not issubclass(kind, Real | Decimal):
            strange = next(value for value in values if type(value) is kind)
            if not _is_missing(strange):
                way_out = ""
                if isinstance(strange, str) and strange.lstrip().startswith("["):
                    way_out = "; lists in text are read by json: map(json.loads)"
                raise TypeError(
                    f"{name} must hold real numbers, got {strange!r:.60} of type {kind.__name__} in an array of dtype "
                    f"object{way_out}."
                )
            values = [np.nan if type(value) is kind else value for value in values]
    try:
        return np.array(values, dtype=np.float64).reshape(array.shape)
    except OverflowError as error:
        raise ValueError(f"{name} must be finite float32: {error}.") from None


def _is_missing(value: Any) -> bool:
    try:
        return canonical_key(value) is None
    except (TypeError, ValueError):
        return False
