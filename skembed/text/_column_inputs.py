"""Columns of short texts: what a `PretrainedVectorizer` is fitted on, and how it makes vectors of their cells."""

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from skembed.data.columns import Columns, factorize
from skembed.data.factor import Factor
from skembed.data.ragged import NO_ROW, Ragged
from skembed.table import EmbeddingTable
from skembed.text._inputs import Chunks
from skembed.text._lookup import TextPooler
from skembed.text._normalizer import TextNormalizer
from skembed.text._tokens import Tokenizer

__all__ = ["ColumnInputs", "missing_vector", "pool_columns"]

_ROWS = 2**16  # rows of columns in a chunk


class ColumnInputs:
    """Columns of short texts: each different cell of a column is read once, however many rows hold it.

    Parameters
    ----------
    columns : Columns
    tokenizer : Tokenizer

    Attributes
    ----------
    tokens, words, counts, column_counts
        As of `Inputs`; a word counts in every row that holds it.
    factors : list of Factor
        One a column.
    """

    def __init__(self, columns: Columns, tokenizer: Tokenizer) -> None:
        self.factors = [_levels_of(columns, position) for position in range(len(columns.values))]
        levels = [level for factor in self.factors for level in factor.keys]
        self._levels = levels
        self._tokens = [list(itertools.chain.from_iterable(tokenizer.token_chunks(level))) for level in levels]
        self.tokens = list(dict.fromkeys(itertools.chain.from_iterable(self._tokens)))
        self.size = f"{columns.n_rows} rows with {len(levels)} different cells"

    def candidates(self, normalizer: TextNormalizer) -> set[str]:
        words = {word for token in self.tokens for form in normalizer.normalized_forms(token) for word in form}
        return words.union(*(normalizer.whole_forms(level) for level in self._levels))

    def normalize(self, normalizer: TextNormalizer, known: Any) -> None:
        number: dict[str, int] = {}
        ids: list[int] = []
        ends: list[int] = []
        for level, tokens in zip(self._levels, self._tokens):
            whole = next((key for key in normalizer.whole_forms(level) if key in known), None)
            words = (
                [whole] if whole is not None else [w for token in tokens for w in normalizer.normalize(token, known)]
            )
            ids += [number.setdefault(word, len(number)) for word in words]
            ends.append(len(ids))
        self.words = list(number)
        # -1 finds the last one: missing, and empty
        self._words = Ragged.from_ends(np.array(ids, dtype=np.int32), np.array([*ends, len(ids)], dtype=np.int64))
        firsts = np.cumsum([0, *(len(factor.keys) for factor in self.factors)])
        self.column_counts = [
            self._counts_of(factor, self._words.take(np.arange(first, last)))
            for factor, first, last in zip(self.factors, firsts[:-1], firsts[1:])
        ]
        self.counts = np.sum(self.column_counts, axis=0)

    def _counts_of(self, factor: Factor, levels: Ragged) -> np.ndarray:
        """How often each word occurs in a column of these levels."""
        n_rows = np.bincount(factor.codes + 1, minlength=1 + len(levels))[1:]
        weights = np.repeat(n_rows, levels.lengths)
        return np.bincount(levels.indices, weights, minlength=len(self.words)).astype(np.int64)

    def sequences(self, row_of: np.ndarray) -> Chunks:
        """Return the rows, the cells of each one after the other."""
        return _RowSequences(self, row_of)

    def documents(self, row_of: np.ndarray) -> list[Chunks]:
        return [self._column(row_of, position) for position in range(len(self.factors))]

    def _column(self, row_of: np.ndarray, position: int) -> Iterator[Ragged]:
        levels = self._level_rows(row_of)
        which = self._places()[position]
        for start in range(0, len(which), _ROWS):
            yield levels.take(which[start : start + _ROWS])

    def _level_rows(self, row_of: np.ndarray) -> Ragged:
        rows = row_of[self._words.indices]
        return Ragged(self._words.indptr, rows).keep(rows != NO_ROW)

    def _places(self) -> np.ndarray:
        """The number of each cell among all levels, -1 where it is missing, (n_columns, n_rows)."""
        firsts = np.cumsum([0, *(len(factor.keys) for factor in self.factors[:-1])])
        return np.stack([np.where(f.codes < 0, -1, f.codes + first) for f, first in zip(self.factors, firsts)])

    def __enter__(self) -> "ColumnInputs":
        return self

    def __exit__(self, *error: object) -> None:
        pass


class _RowSequences:
    """The rows of some columns as sequences, over and over again."""

    def __init__(self, inputs: ColumnInputs, row_of: np.ndarray) -> None:
        self._inputs, self._row_of = inputs, row_of

    def __iter__(self) -> Iterator[Ragged]:
        levels = self._inputs._level_rows(self._row_of)
        places = self._inputs._places()
        for start in range(0, places.shape[1], _ROWS):
            which = places[:, start : start + _ROWS]
            repeated = levels.take(which.ravel(order="F"))
            yield Ragged(repeated.indptr[:: len(which)], repeated.indices)


def _levels_of(columns: Columns, position: int) -> Factor:
    """Return the different cells of a column; TypeError if one is no string."""
    factor = factorize(columns.values[position], columns.label(position))
    stranger = next((key for key in factor.keys if not isinstance(key, str)), None)
    if stranger is not None:
        raise TypeError(
            f"column {columns.label(position)!r} of X holds {stranger!r} of type {type(stranger).__name__}, expected "
            "strings; leave the column out, or turn it into strings first."
        )
    return factor


def _level_documents(levels: list[str], normalizer: TextNormalizer, known: Any) -> Iterator[str | list]:
    """Yield each level as a document: a list of one key where it stands as a whole, else its text."""
    for level in levels:
        whole = next((key for key in normalizer.whole_forms(level) if key in known), None)
        yield level if whole is None else [whole]


def missing_vector(table: EmbeddingTable) -> np.ndarray:
    """Return what missing cells get: the vector of the key None, zeros if there is none."""
    return table.lookup([None])[0] if None in table else np.zeros(table.embedding_dim, np.float32)


def pool_columns(columns: Columns, poolers: list[TextPooler], missing: np.ndarray) -> np.ndarray:
    """Pool the cells of columns, side by side.

    Parameters
    ----------
    columns : Columns
    poolers : list of TextPooler
        One a column.
    missing : ndarray of shape (embedding_dim,), float32
        What missing cells get.

    Returns
    -------
    ndarray of shape (n_rows, n_columns * n_poolings * embedding_dim), float32
    """
    factors = [_levels_of(columns, position) for position in range(len(columns.values))]
    return np.hstack([_pool_column(factor, pooler, missing) for factor, pooler in zip(factors, poolers)])


def _pool_column(factor: Factor, pooler: TextPooler, missing: np.ndarray) -> np.ndarray:
    parts = list(pooler.pooled_chunks(_level_documents(factor.keys, pooler.encoder.normalizer, pooler.encoder.known)))
    n_poolings = len(pooler.poolings)
    levels = np.concatenate([*(pooled for pooled, _ in parts), np.tile(missing, n_poolings)[None]])
    if pooler.table.unknown is not None:
        wordless = np.concatenate([*(is_empty for _, is_empty in parts), [False]])
        levels[wordless] = np.tile(pooler.table.unknown, n_poolings)
    return levels[factor.codes]  # -1 is missing, and the last one
