"""Arrays and lists of values as integer codes beside their distinct values."""

import itertools
import sys
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from skembed.data.canonical import EXACT_INTEGERS, canonical_float, canonical_key, canonical_times

__all__ = [
    "Factor",
    "factorize_array",
    "factorize_integers",
    "factorize_objects",
    "factorize_times",
    "merge_canonical",
    "merge_equal_keys",
    "scatter",
]

_LOOKUP_TABLE_FLOOR = 1 << 16  # a table of this many cells is always cheaper than hashing
_SETTLED_TYPES = {str, int, bool}  # their values are keys as they stand


@dataclass(frozen=True, slots=True, eq=False)
class Factor:
    """A column as codes into its distinct values.

    Attributes
    ----------
    codes : ndarray of shape (n_rows,), int64
        Row ``i`` holds ``keys[codes[i]]``; -1 is missing.
    keys : list
        The distinct values in order of first appearance; missing is never among them.
    """

    codes: np.ndarray
    keys: list[Any]


def factorize_array(values: np.ndarray, name: Any) -> Factor:
    """Codes and keys of a 1-D array of any dtype; `name` is the column's in error messages."""
    kind = values.dtype.kind
    if kind in "iub":
        codes, keys = factorize_integers(values)
        return Factor(codes, list(map(bool, keys)) if kind == "b" else keys)
    if kind == "f" and values.dtype.itemsize <= 8:
        present = ~np.isnan(values)
        return scatter(_factorize_floats(values[present].astype(np.float64)), present)
    if kind in "mM":
        present = ~np.isnat(values)
        return scatter(factorize_times(values[present]), present)
    return factorize_objects(values.tolist(), name)


def factorize_integers(values: np.ndarray) -> tuple[np.ndarray, list[int]]:
    """Codes and distinct values of integers or booleans; a lookup table where their range is small."""
    n_rows = values.shape[0]
    if n_rows == 0:
        return np.empty(0, dtype=np.int64), []
    low, high = int(values.min()), int(values.max())
    span = high - low + 1
    if span > max(2 * n_rows, _LOOKUP_TABLE_FLOOR):
        return _factorize_wide(values)
    if high > np.iinfo(np.int64).max:
        offsets = (values - np.uint64(low)).astype(np.int64)
    else:
        offsets = values.astype(np.int64) - low
    first_row = np.full(span, n_rows)
    first_row[offsets[::-1]] = np.arange(n_rows - 1, -1, -1)  # of repeated indices the last assignment stays
    found = np.flatnonzero(first_row < n_rows)
    found = found[np.argsort(first_row[found], kind="stable")]
    rank = np.empty(span, dtype=np.int64)
    rank[found] = np.arange(found.size)
    return rank[offsets], [low + offset for offset in found.tolist()]


def _factorize_floats(values: np.ndarray) -> Factor:
    """Codes and distinct values of floats without NaN, the integral ones as integers."""
    if np.all((np.abs(values) < EXACT_INTEGERS) & (values == np.floor(values))):
        return Factor(*factorize_integers(values.astype(np.int64)))
    codes, keys = _factorize_wide(values)
    return Factor(codes, list(map(canonical_float, keys)))


def _factorize_wide(values: np.ndarray) -> tuple[np.ndarray, list[Any]]:
    """Codes and distinct values of integers or floats of any range, without NaN.

    The table of pandas, where pandas is loaded, takes half the time or less of the sort and gives the same result.
    """
    pd = sys.modules.get("pandas")
    if pd is not None:
        codes, uniques = pd.factorize(values.astype(values.dtype.newbyteorder("=")))
        return codes.astype(np.int64), uniques.tolist()
    uniques, first_row, codes = np.unique(values, return_index=True, return_inverse=True)
    order = np.argsort(first_row, kind="stable")
    rank = np.empty(order.size, dtype=np.int64)
    rank[order] = np.arange(order.size)
    return rank[codes], uniques[order].tolist()


def factorize_times(values: np.ndarray, aware: bool = False) -> Factor:
    """Codes and distinct values of datetime64 or timedelta64 without NaT."""
    dtype = values.dtype.newbyteorder("=")
    codes, ticks = factorize_integers(values.astype(dtype).view(np.int64))
    return merge_canonical(codes, canonical_times(np.array(ticks, dtype=np.int64).view(dtype), aware))


def factorize_objects(values: list[Any], name: Any) -> Factor:
    """Codes and keys of any Python objects; TypeError names the first cell that cannot be hashed."""
    try:
        codes, uniques = _number(values, len(values))
    except TypeError:
        for row, value in enumerate(values):
            try:
                hash(value)
            except TypeError as error:
                label = "the column" if name is None else f"column {name!r}"
                raise TypeError(
                    f"Row {row} of {label} holds {value!r} of type {type(value).__name__}, expected a value that can "
                    "be hashed, such as a string, a number or a date. Turn the cells into strings or tuples, or "
                    "leave the column out."
                ) from error
        raise
    return merge_equal_keys(codes, uniques)


def _number(values: Iterable[Any], n_rows: int) -> tuple[np.ndarray, list[Any]]:
    """Codes and distinct values by Python's own equality; each step of the loop runs in C."""
    code_of: defaultdict[Any, int] = defaultdict(itertools.count().__next__)
    codes = np.fromiter(map(code_of.__getitem__, values), dtype=np.int64, count=n_rows)
    return codes, list(code_of)


def merge_equal_keys(codes: np.ndarray, uniques: list[Any]) -> Factor:
    """Turn distinct raw values into keys; those that become equal share a code, those that are missing get -1."""
    if set(map(type, uniques)) <= _SETTLED_TYPES:
        return Factor(codes, uniques)
    return merge_canonical(codes, list(map(canonical_key, uniques)))


def merge_canonical(codes: np.ndarray, keys: list[Any]) -> Factor:
    """As `merge_equal_keys` of values that are in canonical form already."""
    code_of: dict[Any, int] = {}
    new_codes = np.full(len(keys) + 1, -1, dtype=np.int64)  # the last one stands for code -1
    for code, key in enumerate(keys):
        if key is not None:
            new_codes[code] = code_of.setdefault(key, len(code_of))
    if len(code_of) < len(keys):
        codes = new_codes[codes]
    return Factor(codes, list(code_of))


def scatter(factor: Factor, present: np.ndarray) -> Factor:
    """The codes of the present rows among all rows, the others missing."""
    if factor.codes.shape == present.shape:
        return factor
    codes = np.full(present.shape[0], -1, dtype=np.int64)
    codes[present] = factor.codes
    return Factor(codes, factor.keys)
