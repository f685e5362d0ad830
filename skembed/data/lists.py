"""Lists of keys, such as baskets and palettes, as sequences of ids."""

from collections.abc import Iterable, Iterator, Mapping, Set
from typing import Any

import numpy as np

from skembed.data.canonical import canonical_key
from skembed.data.ragged import NO_ROW, Ragged

__all__ = ["distinct_keys", "encode_lists", "in_order", "read_lists"]


def read_lists(X: Any) -> tuple[Ragged, list[Any]]:
    """Number the keys of lists in order of first appearance; a key counts once in each list.

    Parameters
    ----------
    X : iterable of lists, tuples, sets or arrays of hashable keys

    Returns
    -------
    ragged : Ragged
    keys : list
        Number i is ``keys[i]``.

    Raises
    ------
    TypeError
        If X is a string, or an entry is no list but a key or a dict, or a key cannot be hashed.

    Examples
    --------
    >>> ragged, keys = read_lists([["red", "blue", "red"], [], ["blue"]])
    >>> ragged.indptr, ragged.indices, keys
    (array([0, 2, 2, 3]), array([0, 1, 1], dtype=int32), ['red', 'blue'])
    """
    numbers: dict[Any, int] = {}
    ragged = _numbered(X, lambda key: numbers.setdefault(key, len(numbers)))
    return ragged, list(numbers)


def encode_lists(X: Any, keys: Iterable[Any]) -> Ragged:
    """Return lists as ids of known keys, those that are not among them left out; otherwise as `read_lists`."""
    numbers = {key: i for i, key in enumerate(keys)}
    return _numbered(X, lambda key: numbers.get(key, NO_ROW))


def _numbered(X: Any, number: Any) -> Ragged:
    ids: list[int] = []
    ends = [0]
    for keys in distinct_keys(X):
        ids += [i for i in map(number, keys) if i != NO_ROW]
        ends.append(len(ids))
    return Ragged(np.array(ends, dtype=np.int64), np.array(ids, dtype=np.int32))


def distinct_keys(X: Any) -> Iterator[list[Any]]:
    """Yield the keys of each list in canonical form, each once; errors as of `read_lists`.

    Those of a set come in an order of their own: as sets have them, texts lie otherwise in each process, and numbers as
    they came into the set.
    """
    if isinstance(X, (str, bytes)):
        raise TypeError(f"X must be a list of lists of keys, got the single {type(X).__name__} {X[:40]!r}; pass [[X]].")
    for row, entry in enumerate(X):
        if isinstance(entry, (str, bytes)) or not isinstance(entry, Iterable):
            way_out = "[] for a list of none" if canonical_key(entry) is None else f"[{entry!r}] for a list of one key"
            raise TypeError(
                f"entry {row} of X must be a list of keys, got {entry!r} of type {type(entry).__name__}; "
                f"pass {way_out}."
            )
        if isinstance(entry, Mapping):
            raise TypeError(
                f"entry {row} of X must be a list of keys, got the {type(entry).__name__} {entry!r:.60}, whose values "
                "would be left out; pass [list(entry) for entry in X], or where they count, a matrix, as "
                "sklearn.feature_extraction.DictVectorizer makes it of dicts."
            )
        try:
            keys = list(dict.fromkeys(map(canonical_key, in_order(entry))))
        except (TypeError, ValueError) as error:  # of an array, which has no single truth value
            raise TypeError(f"entry {row} of X holds a key that cannot be hashed: {error}.") from error
        yield keys


def in_order(entry: Iterable[Any]) -> Iterable[Any]:
    """Return what a set holds in an order that does not depend on how it was made, or on the process; others as is."""
    if not isinstance(entry, Set):
        return entry
    if all(isinstance(key, int) for key in entry):
        return sorted(entry)
    return sorted(entry, key=lambda key: (type(key).__name__, repr(key)))
