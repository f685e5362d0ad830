"""Rows of words in a table of given vectors, for models that read them: unknown words among them, and subwords."""

import threading
from collections.abc import Sequence

import numpy as np

from skembed.table import EmbeddingTable, SubwordTable

__all__ = ["WordRows"]


class WordRows:
    """Rows of words in a table; words that only its subwords know are added behind them.

    A word that is not there is looked for in lower case, and else has the row -1.

    Parameters
    ----------
    table : EmbeddingTable
    """

    def __init__(self, table: EmbeddingTable) -> None:
        self._table = table
        self._index = table.shared_keys.index
        self._composed: dict[str, int] = {}
        self._vectors: list[np.ndarray] = []
        self._lock = threading.Lock()
        unknown = table.unknown
        self._unknown = np.zeros(table.embedding_dim, np.float32) if unknown is None else unknown

    def rows(self, words: Sequence[str]) -> np.ndarray:
        """Return rows (n_words,), int32."""
        return np.fromiter(map(self._row, words), dtype=np.int32, count=len(words))

    def _row(self, word: str) -> int:
        row = self._index.get(word)
        if row is None:
            row = self._index.get(word.lower())
        if row is None:
            row = self._composed_row(word) if isinstance(self._table, SubwordTable) else -1
        return row

    def _composed_row(self, word: str) -> int:
        with self._lock:
            row = self._composed.get(word)
            if row is None:
                vectors, n_ngrams = self._table.subwords.compose([word])  # type: ignore[attr-defined]
                row = self._composed[word] = len(self._table) + len(self._vectors) if n_ngrams[0] else -1
                if row >= 0:
                    self._vectors.append(vectors[0])
        return row

    def vectors(self, rows: np.ndarray) -> np.ndarray:
        """Return the vectors of rows (n,), that of -1 the table's for unknown words, or zeros: (n, embedding_dim)."""
        found = np.empty((len(rows), self._table.embedding_dim), dtype=np.float32)
        held = (rows >= 0) & (rows < len(self._table))
        found[held] = self._table.vectors[rows[held]]
        found[rows < 0] = self._unknown
        for place in np.flatnonzero(rows >= len(self._table)):
            found[place] = self._vectors[rows[place] - len(self._table)]
        return found
