"""Values in the one form under which they are keys, so that equal ones meet whatever container they came in."""

import datetime
import sys
from typing import Any

import numpy as np

__all__ = ["EXACT_INTEGERS", "canonical_float", "canonical_key", "canonical_times"]

EXACT_INTEGERS = 2.0**53  # below it float64 holds every integer


def canonical_key(value: Any) -> Any:
    """The key of one hashable value; None if it is missing."""
    if value is None or value is getattr(sys.modules.get("pandas"), "NA", None):
        return None
    if isinstance(value, np.generic):
        if isinstance(value, (np.datetime64, np.timedelta64)):
            return None if np.isnat(value) else canonical_times(np.array([value]))[0]
        if isinstance(value, np.longdouble):
            return canonical_float(float(value)) if float(value) == value else (None if value != value else value)
        value = value.item()
    if isinstance(value, str):
        return str.__str__(value)  # of a subclass, such as numpy.str_ or an enumeration, its text
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value)
    if value != value:
        return None  # NaN of any type, and NaT
    if isinstance(value, float):
        return canonical_float(float(value))
    if isinstance(value, datetime.datetime):
        if value.tzinfo is not None:
            value = value.astimezone(datetime.UTC)
        if getattr(value, "nanosecond", 0):  # a pandas.Timestamp
            return canonical_times(np.array([value.to_datetime64()]))[0]
        return value.to_pydatetime() if hasattr(value, "to_pydatetime") else value
    if isinstance(value, datetime.date):
        return datetime.datetime.combine(value, datetime.time.min)
    if isinstance(value, datetime.timedelta) and hasattr(value, "to_timedelta64"):  # a pandas.Timedelta
        return canonical_times(np.array([value.to_timedelta64()]))[0]
    if hasattr(value, "as_py"):  # a scalar of pyarrow, as one iterates over
        return canonical_key(value.as_py())
    if getattr(value, "ndim", None) == 0 and hasattr(value, "__array__"):
        # a tensor, which is equal to itself alone as a key of a dict; one on a GPU is no array of numpy
        return canonical_key(value.item() if hasattr(value, "item") else np.asarray(value).item())
    return value


def canonical_float(value: float) -> float | int:
    return int(value) if abs(value) < EXACT_INTEGERS and value.is_integer() else value


def canonical_times(values: np.ndarray, aware: bool = False) -> list[Any]:
    """The keys of datetime64 or timedelta64 values that are not NaT; `aware` if they are instants of UTC."""
    kind = values.dtype.kind
    unit = np.datetime_data(values.dtype)[0]
    if unit == "generic" or (kind == "m" and unit in "YM"):
        return list(values)  # durations without a length
    plain: Any = datetime.datetime if kind == "M" else datetime.timedelta
    microseconds = values.astype(f"{kind}8[us]")
    exact = microseconds.astype(values.dtype) == values
    keys: list[Any] = microseconds.tolist()
    if not exact.all() or set(map(type, keys)) != {plain}:
        finer = [place for place, fits in enumerate(exact.tolist()) if not fits or type(keys[place]) is not plain]
        for place, key in zip(finer, _in_coarsest_units(values[finer])):
            keys[place] = key
    if aware:
        keys = [key.replace(tzinfo=datetime.UTC) if type(key) is plain else key for key in keys]
    return keys


def _in_coarsest_units(values: np.ndarray) -> list[Any]:
    # Equal times in different units have different hashes in numpy < 2.2; one unit makes them one key.
    keys, left = list(values), np.arange(len(values))
    for unit in ("s", "ms", "us", "ns", "ps", "fs"):
        if unit == "s" and np.datetime_data(values.dtype)[0] == "as":
            continue  # numpy has no factor as large; whole seconds are whole microseconds, and not seen here
        if not len(left):
            break
        coarse = values[left].astype(f"{values.dtype.kind}8[{unit}]")
        fits = coarse.astype(values.dtype) == values[left]
        for place, key in zip(left[fits].tolist(), coarse[fits]):
            keys[place] = key
        left = left[~fits]
    return keys
