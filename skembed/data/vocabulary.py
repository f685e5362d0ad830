"""Keys as row numbers of a table: one fixed order, counts, and one row for all that is rare or never seen."""

import itertools
import numbers
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from skembed.data.columns import Factor, factorize
from skembed.data.keys import Keys, deflated, inflated
from skembed.data.ragged import NO_ROW
from skembed.state import check_state, stored

__all__ = ["UNKNOWN_ROW", "Vocabulary"]

UNKNOWN_ROW = 0  # what a table of levels has for every key without a row of its own


@stored
class Vocabulary:
    """The words of a corpus, or the levels of a column, in a fixed order, with their counts.

    A read-only mapping of keys to their places: 0, 1, 2, ... In a table of words these are the rows, as in
    CountVectorizer's `vocabulary_`. A table of levels has row 0 for all that is unknown, so that key i has row i + 1.

    Keys come in descending order of their counts, those that are equally frequent in the order of their first
    appearance. Missing is a level like the others, with the key None, and may be too rare like the others.

    Build it with `from_factor` or `from_counts`. It does not change; `extend` returns a longer one.

    Attributes
    ----------
    keys : ndarray of shape (n_keys,), object
        Also a method, as of any mapping: ``dict(vocabulary)`` works.
    shared_keys : Keys
        The same, for tables that share them.
    counts : ndarray of shape (n_keys,), int64
        How often each was seen.
    infrequent : ndarray of shape (n_infrequent,), object
        Keys that were seen and have row 0, because `min_frequency` or `max_categories` left them out, in order of
        first appearance.
    n_rows : int
        Rows seen, missing ones and those of infrequent keys among them.

    Examples
    --------
    >>> factor = factorize(["a", "b", "b", None, "c", "b", "a"])
    >>> vocabulary = Vocabulary.from_factor(factor, min_frequency=2)
    >>> vocabulary.keys.tolist(), vocabulary.infrequent.tolist()
    (['b', 'a'], [None, 'c'])
    >>> vocabulary.encode(factor)
    array([2, 1, 1, 0, 0, 1, 2])
    >>> dict(vocabulary)
    {'b': 0, 'a': 1}
    """

    _state = {
        "keys": Keys, "counts": np.ndarray, "infrequent": Keys, "infrequent_counts": np.ndarray, "n_rows": int,
        "min_frequency": int | float | None, "max_categories": int | None,
    }  # fmt: skip

    def __init__(
        self,
        keys: Sequence[Any],
        counts: np.ndarray,
        infrequent: dict[Any, int],
        n_rows: int,
        min_frequency: int | float | None,
        max_categories: int | None,
    ) -> None:
        self.shared_keys = Keys(np.fromiter(keys, dtype=object, count=len(keys)))
        self.counts = np.array(counts, dtype=np.int64)
        self.n_rows = n_rows
        self.min_frequency = min_frequency
        self.max_categories = max_categories
        self._infrequent = infrequent
        self.counts.flags.writeable = False

    @classmethod
    def from_factor(
        cls, factor: Factor, *, min_frequency: int | float | None = None, max_categories: int | None = None
    ) -> "Vocabulary":
        """Build the vocabulary of one column.

        Parameters
        ----------
        factor : Factor
            The column, as `skembed.data.columns.factorize` returns it.
        min_frequency, max_categories
            As in `from_counts`.

        Returns
        -------
        Vocabulary
        """
        keys, counts = _count(factor)
        return cls.from_counts(keys, counts, min_frequency=min_frequency, max_categories=max_categories)

    @classmethod
    def from_counts(
        cls,
        keys: Iterable[Any],
        counts: Iterable[int],
        *,
        min_frequency: int | float | None = None,
        max_categories: int | None = None,
    ) -> "Vocabulary":
        """Build a vocabulary of keys that were counted elsewhere.

        Parameters
        ----------
        keys : iterable
            Unique keys in order of first appearance, None among them for missing.
        counts : iterable of int
            How often each was seen.
        min_frequency : int or float, default=None
            Keys seen less often share row 0: an int is a count, a float a share of all rows.
        max_categories : int, default=None
            At most ``max_categories - 1`` keys have a row of their own, the most frequent ones, and the others share
            row 0. As in OneHotEncoder the shared row counts as one, even if nothing else would have been in it; of
            keys that are equally frequent those seen first stay.

        Returns
        -------
        Vocabulary

        Raises
        ------
        ValueError
            If a key is repeated, the lengths differ, or a limit is out of its range.

        Examples
        --------
        >>> Vocabulary.from_counts(["the", "cat", "sat"], [5, 2, 2], max_categories=3).keys.tolist()
        ['the', 'cat']
        """
        _check_limits(min_frequency, max_categories)
        keys = list(keys)
        counts = np.fromiter(counts, dtype=np.int64)
        if len(keys) != counts.size:
            raise ValueError(f"keys has {len(keys)} entries and counts has {counts.size}; expected one count per key.")
        if len(set(keys)) < len(keys):
            seen: set[Any] = set()
            repeated = next(key for key in keys if key in seen or seen.add(key))  # type: ignore[func-returns-value]
            raise ValueError(f"keys holds {repeated!r} more than once; add up the counts of equal keys first.")
        empty = cls([], np.empty(0), {}, 0, min_frequency, max_categories)
        return empty._grown(dict(zip(keys, counts.tolist())), np.empty(0, dtype=np.int64), int(counts.sum()))

    def extend(self, factor: Factor) -> "Vocabulary":
        """Return the vocabulary of all rows seen before and those of `factor`.

        Rows keep their keys, whatever the new counts. Keys that are new, or were infrequent and are so no longer,
        get the rows that follow, by descending count and then first appearance, as far as `max_categories` allows.
        A `min_frequency` that is a share applies to all rows seen so far; a key that has a row keeps it.

        Parameters
        ----------
        factor : Factor
            Further rows of the same column.

        Returns
        -------
        Vocabulary

        Examples
        --------
        >>> first = Vocabulary.from_factor(factorize(["a", "b", "b"]), min_frequency=2)
        >>> second = first.extend(factorize(["a", "a", "c"]))
        >>> second.keys.tolist(), second.counts.tolist(), second.infrequent.tolist()
        (['b', 'a'], [2, 3], ['c'])
        """
        return self.extend_counts(*_count(factor))

    def extend_counts(self, keys: Iterable[Any], counts: Iterable[int]) -> "Vocabulary":
        """Return the vocabulary of all rows seen before and of keys that were counted elsewhere.

        Parameters
        ----------
        keys : iterable
            Unique keys in order of first appearance, None among them for missing.
        counts : iterable of int
            How often each was seen.

        Returns
        -------
        Vocabulary
            As of `extend`.
        """
        row_of = self.shared_keys.index
        old_counts = self.counts.copy()
        waiting = dict(self._infrequent)
        n_rows = self.n_rows
        for key, count in zip(keys, map(int, counts)):
            n_rows += count
            row = row_of.get(key)
            if row is not None:
                old_counts[row] += count
            else:
                waiting[key] = waiting.get(key, 0) + count
        return self._grown(waiting, old_counts, n_rows)

    def _grown(self, waiting: dict[Any, int], counts: np.ndarray, n_rows: int) -> "Vocabulary":
        """Give rows to those of the waiting keys, in order of first appearance, that the limits admit."""
        candidates = list(waiting)
        candidate_counts = np.fromiter(waiting.values(), dtype=np.int64, count=len(waiting))
        by_count = np.argsort(-candidate_counts, kind="stable")
        if self.min_frequency is not None:
            share = not isinstance(self.min_frequency, numbers.Integral)
            least = self.min_frequency * n_rows if share else self.min_frequency
            by_count = by_count[candidate_counts[by_count] >= least]
        if self.max_categories is not None:
            by_count = by_count[: max(self.max_categories - 1 - len(self), 0)]
        admitted = [candidates[position] for position in by_count.tolist()]
        chosen = set(admitted)
        return Vocabulary(
            [*self.keys, *admitted],
            np.concatenate([counts, candidate_counts[by_count]]),
            {key: count for key, count in waiting.items() if key not in chosen},
            n_rows,
            self.min_frequency,
            self.max_categories,
        )

    @property
    def infrequent(self) -> np.ndarray:
        return np.fromiter(self._infrequent, dtype=object, count=len(self._infrequent))

    def encode(self, factor: Factor) -> np.ndarray:
        """Return the row of every row's key.

        Parameters
        ----------
        factor : Factor
            A column, as `skembed.data.columns.factorize` returns it.

        Returns
        -------
        ndarray of shape (n_rows,), int64
            From 0, the unknown row, to ``len(self)``.
        """
        row_of = self.shared_keys.index
        # Missing comes last, where code -1 finds it.
        keys = itertools.chain(factor.keys, [None])
        rows = np.fromiter(map(row_of.get, keys, itertools.repeat(NO_ROW)), np.int64, count=len(factor.keys) + 1)
        return rows[factor.codes] + 1  # `UNKNOWN_ROW` for those without one of their own

    def encode_keys(self, keys: Iterable[Any]) -> np.ndarray:
        """Return the row of every key, 0 for those that have none; NaN and its like are the missing key.

        Examples
        --------
        >>> Vocabulary.from_counts(["a", None], [3, 1]).encode_keys(["z", float("nan"), "a"])
        array([0, 2, 1])
        """
        return self.encode(factorize(list(keys)))

    @property
    def keys(self) -> "CallableArray":
        return self.shared_keys.array.view(CallableArray)

    def __len__(self) -> int:
        """Return the number of keys; a table of levels has one row more."""
        return self.keys.size

    def __iter__(self) -> Iterator[Any]:
        return iter(self.keys.tolist())

    def __contains__(self, key: Any) -> bool:
        return key in self.shared_keys.index

    def __getitem__(self, key: Any) -> int:
        """Return the place of a key in `keys`; KeyError if it has none."""
        return self.shared_keys.index[key]

    def get(self, key: Any, default: Any = None) -> Any:
        """Return the place of a key in `keys`, or `default`."""
        return self.shared_keys.index.get(key, default)

    def values(self) -> range:
        """Return the places of all keys: 0, 1, 2, ..."""
        return range(len(self))

    def items(self) -> list[tuple[Any, int]]:
        """Return all keys, each with its place."""
        return list(zip(self, self.values()))

    def __repr__(self) -> str:
        rarer = f", {len(self._infrequent)} too rare" if self._infrequent else ""
        return f"Vocabulary({len(self)} keys{rarer}, {self.n_rows} seen)"

    def __getstate__(self) -> dict[str, Any]:
        return {
            "keys": self.shared_keys,
            "counts": deflated(self.counts),
            "infrequent": Keys(self.infrequent),
            "infrequent_counts": deflated(np.fromiter(self._infrequent.values(), np.int64, len(self._infrequent))),
            "n_rows": self.n_rows,
            "min_frequency": self.min_frequency,
            "max_categories": self.max_categories,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        check_state(Vocabulary, state, self._state)
        _check_limits(state["min_frequency"], state["max_categories"])
        self.shared_keys = state["keys"]
        self.counts = inflated(state["counts"], len(self.shared_keys))
        self.counts.flags.writeable = False
        infrequent = state["infrequent"]
        counts = inflated(state["infrequent_counts"], len(infrequent))
        self._infrequent = dict(zip(infrequent.array.tolist(), counts.tolist()))
        self.n_rows = state["n_rows"]
        self.min_frequency, self.max_categories = state["min_frequency"], state["max_categories"]


Mapping.register(Vocabulary)


class CallableArray(np.ndarray):
    """An array that may be called as well, as `keys` of a mapping is."""

    def __call__(self) -> list[Any]:
        return self.tolist()


def _count(factor: Factor) -> tuple[list[Any], np.ndarray]:
    """Keys in order of first appearance, None among them if a row is missing, and their counts."""
    counts = np.bincount(factor.codes + 1, minlength=len(factor.keys) + 1)
    if counts[0] == 0:
        return factor.keys, counts[1:]
    first = int(np.argmax(factor.codes < 0))
    place = int(factor.codes[:first].max(initial=-1)) + 1  # codes are numbered by first appearance
    return [*factor.keys[:place], None, *factor.keys[place:]], np.insert(counts[1:], place, counts[0])


def _check_limits(min_frequency: int | float | None, max_categories: int | None) -> None:
    if isinstance(min_frequency, numbers.Integral):
        fits = min_frequency >= 1
    else:
        fits = min_frequency is None or 0.0 < min_frequency < 1.0
    if not fits:
        raise ValueError(
            f"min_frequency={min_frequency!r}, expected an int of at least 1 (a count), a float between 0 and 1 "
            "(a share of the rows), or None for no limit."
        )
    if max_categories is not None and max_categories < 1:
        raise ValueError(f"max_categories={max_categories!r}, expected an int of at least 1, or None for no limit.")
