"""Test sets of words: read from files or given as rows, and found in a table as the field's evaluators find them."""

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from skembed.data.canonical import canonical_key
from skembed.data.compression import text_lines
from skembed.table import EmbeddingTable
from skembed.table.queries import one_of, positive_int

__all__ = ["Words", "check_table", "is_path", "one_of", "positive_int", "read_lines", "rows_given"]


class Words:
    """The words of a table that a test set may ask for.

    Parameters
    ----------
    table : EmbeddingTable
    restrict_vocab : int or None
        How many keys, from the first, take part; None: all.
    case_insensitive : bool
        Whether words are compared in upper case. Of several keys that are then one word, the first is meant: in a
        table sorted by frequency the most frequent.

    Attributes
    ----------
    vectors : ndarray of shape (n_words, embedding_dim), float32
        Of the keys that take part: a view of the table's.
    """

    def __init__(self, table: Any, restrict_vocab: int | None, case_insensitive: bool):
        check_table(table)
        if restrict_vocab is not None:
            positive_int(restrict_vocab, "restrict_vocab", "or None for all keys")
        self.keys = table.keys[:restrict_vocab]
        self.vectors = table.vectors[:restrict_vocab]
        self._case_insensitive = case_insensitive
        self.folded = [self.fold(key) for key in self.keys]
        self._rows = dict(zip(reversed(self.folded), range(len(self.folded) - 1, -1, -1)))

    def fold(self, word: Any) -> Any:
        """A word as it is compared: a key of a table, a string in upper case if asked."""
        if isinstance(word, str):
            return word.upper() if self._case_insensitive else word
        return canonical_key(word)

    def row(self, word: Any) -> int:
        """Row of a word, -1 if it is not there."""
        return self._rows.get(self.fold(word), -1)

    def rows(self, words: Iterable) -> np.ndarray:
        """Row of each word, int64 (n,); -1 for words that are not there."""
        return np.fromiter((self.row(word) for word in words), dtype=np.int64)

    def variants(self) -> dict[Any, list[int]]:
        """Rows of all keys that are one word, by the word as it is compared."""
        found: dict[Any, list[int]] = {}
        for row, word in enumerate(self.folded):
            found.setdefault(word, []).append(row)
        return found


def is_path(source: Any) -> bool:
    """Whether a test set was given as the path of a file."""
    return isinstance(source, str | os.PathLike)


def is_by_key(values: Any) -> bool:
    """Whether values are given by key: in a mapping, or in a Series of pandas, by its index."""
    return isinstance(values, Mapping) or (hasattr(values, "items") and hasattr(values, "to_frame"))


def read_lines(path: str | os.PathLike, encoding: str) -> Iterator[tuple[int, str]]:
    """Number, from 1, and text of each line that is not blank; the file may be compressed by gzip, bzip2 or xz."""
    try:
        for number, line in enumerate(text_lines(path, encoding=encoding), start=1):
            if line.strip():
                yield number, line.rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{os.fspath(path)!r} is no {encoding} text: {error}. Pass the encoding it was written in."
        ) from error


def rows_given(rows: Any, n_fields: int, name: str) -> list[tuple]:
    """Rows of a test set given as a frame, an array or any iterable, each of `n_fields` values."""
    if hasattr(rows, "to_numpy"):
        rows = rows.to_numpy()
    if isinstance(rows, np.ndarray) and rows.ndim == 3:  # what numpy makes of rows of tuples
        rows = [map(tuple, row) for row in rows.tolist()]
    elif hasattr(rows, "column_names"):  # a table of pyarrow, which is iterated over by columns
        rows = zip(*(column.to_pylist() for column in rows.columns))
    listed = []
    for position, row in enumerate(rows):
        if isinstance(row, str) or not isinstance(row, Iterable):
            raise TypeError(f"{name} must hold rows of {n_fields} values, got {row!r} at position {position}.")
        values = tuple(row)
        if len(values) != n_fields:
            raise ValueError(f"{name} must hold rows of {n_fields} values, got {values!r} at position {position}.")
        listed.append(values)
    return listed


def check_table(table: Any, name: str = "table") -> None:
    """Raise TypeError, with the way out, for what is no EmbeddingTable."""
    if isinstance(table, EmbeddingTable):
        return
    way_out = ""
    if hasattr(table, "embedding_"):
        way_out = "; pass its embedding_"
    elif hasattr(table, "embeddings_"):
        way_out = "; pass one of its embeddings_"
    raise TypeError(f"{name} must be an EmbeddingTable, got {type(table).__name__}{way_out}.")
