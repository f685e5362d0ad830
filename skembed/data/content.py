"""Content of columns as a hash: the same for the same values in the same order and types, whatever holds them.

Hashed are the bytes that a container has its values in, so that no value becomes a Python object for it; where values
are Python objects already, their pickles, if they are of types that a pickle says all about.
"""

import datetime
import decimal
import hashlib
import io
import pickle
import sys
import uuid
from typing import Any

import numpy as np

from skembed.data.columns import _is, factorize
from skembed.data.keys import smallest

__all__ = ["content_hash"]

# A pickle tells their values apart as == does. That of an object of any other class may hold less: two of a class
# without __eq__ are two levels, and have one pickle.
PLAIN = {
    *(str, int, float, bool, bytes, type(None), decimal.Decimal, uuid.UUID),
    *(datetime.date, datetime.datetime, datetime.time, datetime.timedelta),
}
BUFFERS = "biufcmMSU"  # kinds of dtypes whose bytes are the values


def content_hash(column: Any) -> bytes | None:
    """Return a hash, of 256 bits, of a column's values, their order and their type.

    Parameters
    ----------
    column : Series of pandas or polars, pyarrow array or ndarray
        Not modified.

    Returns
    -------
    bytes or None
        None where a value is an object of a type that is not known to be told apart by its pickle.

    Examples
    --------
    >>> content_hash(np.array([1, 2])) == content_hash(np.array([1, 2, 3])[:2])
    True
    >>> content_hash(np.array([1, 2])) == content_hash(np.array([1.0, 2.0]))
    False
    """
    hasher = hashlib.sha256(usedforsecurity=False)
    return hasher.digest() if _feed(hasher, column) else None


def _feed(hasher: Any, column: Any) -> bool:
    """Give a hasher the type of a column, its length and its values; return False where it cannot be told."""
    if isinstance(column, np.ndarray):
        return _feed_array(hasher, column)
    if _is(column, "pandas", "Series"):
        return _feed_pandas(hasher, column)
    if _is(column, "pyarrow", "ChunkedArray") or _is(column, "pyarrow", "Array"):
        return _feed_arrow(hasher, column)
    return _feed_factor(hasher, column)


def _feed_array(hasher: Any, values: np.ndarray) -> bool:
    hasher.update(f"array {values.dtype.str} {values.shape} ".encode())
    if values.dtype.kind in BUFFERS:
        hasher.update(np.ascontiguousarray(values).view(np.uint8) if values.size else b"")
        return True
    return values.dtype.kind == "O" and _feed_objects(hasher, values.ravel().tolist())


def _feed_objects(hasher: Any, values: list[Any]) -> bool:
    if not all(map(_is_plain, set(map(type, values)))):
        return False
    written = io.BytesIO()
    pickler = pickle.Pickler(written, protocol=5)
    pickler.fast = True  # each value in full: which of them are one object in memory is no part of the content
    pickler.dump(values)
    hasher.update(f"objects {written.tell()} ".encode())
    hasher.update(written.getbuffer())
    return True


def _is_plain(kind: type) -> bool:
    of_pandas = kind.__module__.partition(".")[0] == "pandas"  # NA, Timestamp, Interval
    return kind in PLAIN or issubclass(kind, np.generic) or of_pandas


def _feed_pandas(hasher: Any, series: Any) -> bool:
    pd, dtype = sys.modules["pandas"], series.dtype
    if isinstance(dtype, np.dtype):
        return _feed_array(hasher, series.to_numpy())
    if isinstance(dtype, pd.CategoricalDtype):
        hasher.update(b"categories ")
        return _feed_array(hasher, series.cat.codes.to_numpy()) and _feed(hasher, dtype.categories.to_series())
    if isinstance(dtype, pd.ArrowDtype) or getattr(dtype, "storage", "").startswith("pyarrow"):
        return _feed_arrow(hasher, series.array.__arrow_array__())
    return _feed_factor(hasher, series)


def _feed_arrow(hasher: Any, column: Any) -> bool:
    """Texts as their lengths and bytes, without what a slice left beside them; others by their distinct values."""
    types, kind = sys.modules["pyarrow"].types, column.type
    if not (types.is_string(kind) or types.is_large_string(kind)):
        return _feed_factor(hasher, column)
    parts = [part for part in getattr(column, "chunks", [column]) if len(part)]
    offset = np.dtype(np.int64 if types.is_large_string(kind) else np.int32)
    bounds = [np.frombuffer(part.buffers()[1], offset, len(part) + 1, part.offset * offset.itemsize) for part in parts]
    lengths = np.concatenate([np.empty(0, offset), *map(np.diff, bounds)])
    missing = [part.is_null().to_numpy(zero_copy_only=False) for part in parts] if column.null_count else []
    hasher.update(f"arrow {kind} {len(lengths)} {bool(missing)} ".encode())
    for array in (smallest(lengths), *missing):
        _feed_array(hasher, array)
    for part, bound in zip(parts, bounds):
        if bound[-1] > bound[0]:
            hasher.update(memoryview(part.buffers()[2])[bound[0] : bound[-1]])
    return True


def _feed_factor(hasher: Any, column: Any) -> bool:
    """Number the distinct values, as whoever reads levels does."""
    try:
        factor = factorize(column)
    except TypeError:  # of a value that is no level, which whoever reads the column says with its name
        return False
    kind = f"{type(column).__module__} {getattr(column, 'dtype', None) or column.type}"
    hasher.update(f"factor {kind} {len(factor.keys)} ".encode())
    return _feed_array(hasher, smallest(factor.codes)) and _feed_objects(hasher, factor.keys)
