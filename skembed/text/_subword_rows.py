"""Subword rows: the rows that each word is the mean of, its own and those of its n-grams, and their initial vectors."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from skembed.data.ragged import Ragged
from skembed.table import EmbeddingTable, SubwordTable
from skembed.table.subwords import Subwords, hash_ngrams

__all__ = ["NgramRule", "WordRows", "buckets_of", "ngram_rule", "rows_of_words", "starting_rows"]


class NgramRule(NamedTuple):
    """Lengths of n-grams in characters, and the number of buckets that they are hashed to."""

    min_n: int
    max_n: int
    n_buckets: int


DEFAULT_RULE = NgramRule(3, 6, 2_000_000)  # that of fastText, and the defaults of the parameters


class WordRows(NamedTuple):
    """The rows that words are the mean of: row i is that of word i, and behind them come the n-grams'.

    Attributes
    ----------
    rows : Ragged of n_words sequences
        The rows of each word, its own first.
    buckets : ndarray of shape (n_used,), int64
        The buckets that have a row, rising.
    """

    rows: Ragged
    buckets: np.ndarray


def rows_of_words(words: list[str], rule: NgramRule, held: np.ndarray | None = None) -> WordRows:
    """Give rows to words and to the buckets of their n-grams, and to those that are `held` already.

    Examples
    --------
    >>> rows, buckets = rows_of_words(["Ulm", "Bern"], NgramRule(3, 3, n_buckets=50))
    >>> rows.indptr.tolist(), rows.indices.tolist(), buckets.tolist()
    ([0, 4, 9], [0, 3, 5, 2, 1, 7, 3, 4, 6], [16, 22, 28, 29, 31, 32])
    """
    n_words = len(words)
    starts, hashes = hash_ngrams(words, rule.min_n, rule.max_n)
    used = hashes.astype(np.int64) % rule.n_buckets
    buckets, places = np.unique(used if held is None else np.append(used, held), return_inverse=True)
    starts = starts + np.arange(n_words + 1)
    rows = np.empty(starts[-1], dtype=np.int32)
    of_ngrams = np.ones(len(rows), dtype=bool)
    of_ngrams[starts[:-1]] = False
    rows[starts[:-1]] = np.arange(n_words)
    rows[of_ngrams] = n_words + places[: len(used)]
    return WordRows(Ragged(starts, rows), buckets)


def buckets_of(subwords: Subwords) -> np.ndarray:
    """The buckets that have a vector, rising."""
    return np.arange(subwords.n_buckets) if subwords.buckets is None else subwords.buckets


def ngram_rule(given: NgramRule, table: EmbeddingTable | None, name: str) -> NgramRule:
    """The rule of n-grams to learn by: that of `table` where it has n-grams and no parameter says otherwise.

    Parameters
    ----------
    given : NgramRule
        The parameters of an estimator.
    table : EmbeddingTable or None
        What training goes on from.
    name : str
        Of the table, for the message.

    Raises
    ------
    ValueError
        If a parameter that has not its default value is another than that of the table.
    """
    if not isinstance(table, SubwordTable):
        return given
    theirs = NgramRule(table.subwords.min_n, table.subwords.max_n, table.subwords.n_buckets)
    if given.max_n == theirs.max_n == 0:
        return given
    unlike = [
        field
        for field in NgramRule._fields
        if getattr(given, field) not in (getattr(theirs, field), getattr(DEFAULT_RULE, field))
    ]
    if unlike:
        raise ValueError(
            f"the n-grams of {name} were made with {_spelled(theirs)}, but this has {_spelled(given, unlike)}; pass "
            "the same, or leave these parameters out to take those of the table."
        )
    return theirs


def _spelled(rule: NgramRule, names: Iterable[str] = NgramRule._fields) -> str:
    return ", ".join(f"{name}={getattr(rule, name)}" for name in names)


def starting_rows(vectors: np.ndarray, words: list[str], buckets: np.ndarray, table: EmbeddingTable) -> np.ndarray:
    """Put the rows that `table` has of these words and buckets into `vectors`, the words' first; returns it.

    A table without n-grams gives the words their own rows, as vectors that the fastText program is given.
    """
    known = [row for row, word in enumerate(words) if word in table]
    if not isinstance(table, SubwordTable):
        vectors[known] = table.lookup([words[row] for row in known])
        return vectors
    if known:
        vectors[known] = table.subset([words[row] for row in known]).own_rows()
    vectors[len(words) + np.searchsorted(buckets, buckets_of(table.subwords))] = table.subwords.vectors
    return vectors
