"""The keys of a table: what counts as one key, where it stands, and what to say when it is not there."""

import difflib
import itertools
import unicodedata
from collections import Counter
from collections.abc import Hashable, Iterable
from typing import Any

import numpy as np

from skembed.data.canonical import canonical_key

# Near misses are looked for among this many keys of similar spelling at most; difflib compares about 100 a millisecond.
_MAX_COMPARED = 5_000
_SHOWN = 5
_LONGEST_SHOWN = 100  # characters of a key in a message
_CANONICAL_TYPES = {str, int, bool, bytes}  # whose values are keys as they are


class UnseenKeyError(KeyError):
    """A key that a table does not hold; the message suggests keys that look like it.

    The suggestions are searched when the message is read, so that ``try: table[key] except KeyError`` stays cheap.
    """

    def __init__(self, key: Any, keys: np.ndarray, index: dict[Any, int]):
        super().__init__(key)
        self._keys = keys
        self._index = index

    def __str__(self) -> str:
        message = f"the key {_shown(self.args[0])} is not among the {len(self._keys)} keys of this table"
        similar = near_misses(self.args[0], self._keys, self._index)
        if similar:
            message += f"; did you mean {' or '.join(_told_apart(self.args[0], other) for other in similar)}?"
        else:
            message += "."
        return f"{message} Use lookup(keys, default=...) to give unseen keys a vector."

    def __reduce__(self) -> tuple:
        # the message travels to another process, the table does not
        return KeyError, (str(self),)


def _told_apart(key: Any, other: Any) -> str:
    """How to show a key beside another that may look the same, since its accents are characters of their own."""
    if isinstance(key, str) and isinstance(other, str) and _composed(key) == _composed(other):
        return f"{other!r} (as {other!a}, not {key!a})"
    return repr(other)


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _shown(key: Any) -> str:
    text = repr(key)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."


def near_misses(key: Any, keys: np.ndarray, index: dict[Any, int]) -> list:
    """Up to three keys that a person may have meant by `key`: another type, case or spelling, a typing error."""
    twins: list[Any] = [str(key)]
    if isinstance(key, str):
        twins = [key.strip(), key.lower(), key.capitalize(), key.upper(), key.replace(" ", "_"), key.replace("_", " ")]
        twins += [unicodedata.normalize(form, key) for form in ("NFC", "NFD", "NFKC")]
        for number in (int, float):
            try:
                twins.append(number(key))
            except ValueError:
                continue
    found = [keys[index[twin]] for twin in dict.fromkeys(twins) if twin in index]
    if isinstance(key, str) and not found:
        start = key[:1].lower()
        # a typing error seldom changes the first letter, and changes the length by one or two
        candidates = [
            other
            for other in keys
            if isinstance(other, str) and abs(len(other) - len(key)) <= 2 and other[:1].lower() == start
        ]
        found = difflib.get_close_matches(key, candidates[:_MAX_COMPARED], n=3)
    return found[:3]


def key_list(keys: Iterable, name: str = "keys") -> list:
    """The keys of any one-dimensional container as a list in canonical form."""
    if isinstance(keys, str | bytes):
        raise TypeError(
            f"{name} must be a list of keys, got the single {type(keys).__name__} {keys!r}; pass [{keys!r}]."
        )
    shape = getattr(keys, "shape", (0,))
    if len(shape) != 1:  # a frame would give the names of its columns
        what = "array" if isinstance(keys, np.ndarray) else type(keys).__name__
        raise ValueError(f"{name} must be one-dimensional, got an {what} of shape {tuple(shape)}.")
    if hasattr(keys, "to_pylist"):
        keys = keys.to_pylist()  # pyarrow iterates over scalars of its own, and slowly
    if isinstance(keys, np.ndarray) and keys.dtype.kind in "SUbiu":
        return keys.tolist()  # nothing can be missing: numpy's own loop
    if isinstance(keys, list | tuple) and not set(map(type, keys)) - _CANONICAL_TYPES:
        return list(keys)
    try:
        return [key if type(key) is str else canonical_key(key) for key in keys]
    except (TypeError, ValueError) as error:  # not iterable, or of arrays, which have no single truth value
        raise TypeError(f"{name} must be a list of hashable keys, got {type(keys).__name__}: {error}.") from error


def row_keys(keys: Iterable, rows: Any) -> list:
    """As `key_list`, of keys beside rows of vectors.

    Raises
    ------
    TypeError
        If they are a set, which has no order.
    ValueError
        If the rows are those of a pandas frame whose index holds the same texts in another order.
    """
    if isinstance(keys, set | frozenset):
        raise TypeError(
            f"keys is a {type(keys).__name__}, which has no order; expected a sequence in the order of the vectors."
        )
    listed = key_list(keys)
    named = hasattr(rows, "iloc") and len(rows) and isinstance(rows.index[0], str)  # not numbers, which count rows
    labels = key_list(rows.index) if named else listed
    place = next((place for place, (key, label) in enumerate(zip(listed, labels)) if key != label), None)
    if place is not None and Counter(labels) == Counter(listed):
        raise ValueError(
            f"keys has {listed[place]!r} at position {place}, where the index of vectors has {labels[place]!r}; pass "
            "vectors.index as the keys, or vectors.loc[keys]."
        )
    return listed


def build_index(keys: list) -> dict[Any, int]:
    """Row of each key; ValueError names the first keys that occur twice, TypeError a key that cannot be hashed."""
    try:
        index = dict(zip(keys, range(len(keys))))
    except TypeError:
        row, key = next((row, key) for row, key in enumerate(keys) if not hashable(key))
        raise TypeError(
            f"keys must be hashable, got {key!r} of type {type(key).__name__} at position {row}; "
            "use a string or a tuple in its place."
        ) from None
    if len(index) < len(keys):
        raise ValueError(_duplicates_message(keys))
    return index


def _duplicates_message(keys: list) -> str:
    first_row: dict[Any, int] = {}
    repeated = []
    for row, key in enumerate(keys):
        if first_row.setdefault(key, row) != row:
            repeated.append((key, first_row[key], row))
    shown = ", ".join(f"{keys[first]!r} and {key!r} at {first} and {row}" for key, first, row in repeated[:3])
    return (
        f"keys must be unique, {len(repeated)} of {len(keys)} repeat an earlier one ({shown}"
        f"{', ...' if len(repeated) > 3 else ''}); keys that are equal in Python, as 1, 1.0 and True, are one key."
    )


def hashable(key: Any) -> bool:
    """Whether `key` can be a key at all; a list, an array, a tensor and a Series are several keys instead."""
    if not isinstance(key, Hashable) or is_tensor(key):
        return False
    try:
        hash(key)
    except TypeError:  # a tuple with a list in it
        return False
    return True


def is_tensor(value: Any) -> bool:
    """Whether a value is an array of a library whose arrays can be hashed, by what they are and not what they hold."""
    return isinstance(value, Hashable) and bool(getattr(value, "ndim", 0)) and hasattr(value, "__array__")


def find_rows(keys: list, index: dict[Any, int]) -> np.ndarray:
    """Row of each key, int64 (n,); -1 for keys that the index does not hold."""
    try:
        return np.fromiter(map(index.get, keys, itertools.repeat(-1)), dtype=np.int64, count=len(keys))
    except TypeError:
        key = next(key for key in keys if not hashable(key))
        raise TypeError(f"keys must be hashable, got {key!r} of type {type(key).__name__}.") from None


def unseen_message(keys: list, rows: np.ndarray) -> str:
    """What lookup says of keys that are not there: how many, and the first few."""
    unseen = list(dict.fromkeys(keys[row] for row in np.flatnonzero(rows < 0)))
    shown = ", ".join(map(_shown, unseen[:_SHOWN]))
    return f"{len(unseen)} keys are not in this table: {shown}{', ...' if len(unseen) > _SHOWN else ''}"
