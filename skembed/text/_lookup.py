"""Pooling of texts by given word vectors, those of words without a row composed of subwords."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from skembed.apply.pooling import Pooling, learn_poolings, pool_chunks, pool_documents
from skembed.data.ragged import NO_ROW, Ragged
from skembed.state import stored
from skembed.table import EmbeddingTable, SubwordTable
from skembed.text._inputs import Inputs
from skembed.text._normalized_encoder import NormalizedEncoder
from skembed.text._strangers import warn_unknown_documents

__all__ = ["TextPooler", "learn_poolers"]


@stored
@dataclass(frozen=True)
class TextPooler:
    """Pools texts by the vectors of their words; may be used by several threads.

    Attributes
    ----------
    encoder : NormalizedEncoder
        Over the rows of `table`.
    table : EmbeddingTable
    poolings : list of Pooling
    n_documents : int
        That `poolings` have counted: "tfidf" weighs words without a row as those that none of these documents holds.
    """

    encoder: NormalizedEncoder
    table: EmbeddingTable
    poolings: list[Pooling]
    n_documents: int

    @property
    def n_columns(self) -> int:
        return len(self.poolings) * self.table.embedding_dim

    def pool(self, texts: Iterable[str | list]) -> np.ndarray:
        """Return the vectors of texts; zeros where no word has one."""
        parts, n_documents, n_with_words = [np.empty((0, self.n_columns), np.float32)], 0, 0
        for part, is_empty in self.pooled_chunks(texts):
            parts.append(part)
            n_documents, n_with_words = n_documents + len(part), n_with_words + int((~is_empty).sum())
        warn_unknown_documents(n_documents, n_with_words)
        return np.concatenate(parts)

    def pooled_chunks(self, texts: Iterable[str | list]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Pool the words of texts, unknown ones composed where the table has subwords.

        Yields
        ------
        pooled : ndarray of shape (n_texts, n_poolings * embedding_dim), float32
        is_empty : ndarray of shape (n_texts,), bool
            Whether no word of a text has a vector; its row is zeros.
        """
        table, poolings = self.table, self.poolings
        further: dict[str, int] | None = {} if isinstance(table, SubwordTable) else None
        new_weight = {"tfidf": np.log(1 + self.n_documents) + 1}
        for documents in self.encoder.encode(texts, further):
            vectors, used = table.vectors, poolings
            if isinstance(table, SubwordTable) and further:
                compact = compose_unknown(documents, table, list(further))
                documents, vectors = compact.documents, compact.vectors
                used = [replace(p, weights=compact.weights(p.weights, new_weight.get(p.name, 1.0))) for p in poolings]
            out = np.zeros((len(documents), self.n_columns), dtype=np.float32)
            pool_documents(documents, vectors, used, out=out)
            yield out, documents.lengths == 0

    def pool_encoded(self, documents: Iterable[Ragged]) -> np.ndarray:
        """Return the vectors of documents whose words are rows."""
        shared = self.table.vectors, self.poolings
        return pool_chunks(((chunk, *shared) for chunk in documents), self.n_columns)


def learn_poolers(
    names: list[str], inputs: Inputs, encoder: NormalizedEncoder, table: EmbeddingTable, sif_smoothing: float
) -> list[TextPooler]:
    """Learn what the named poolings need, for each column by itself.

    Parameters
    ----------
    names : list of str
    inputs : Inputs
        Normalized.
    encoder : NormalizedEncoder
        Over the rows of `table`.
    table : EmbeddingTable
    sif_smoothing : float

    Returns
    -------
    list of TextPooler
        One a column.
    """
    row_of = encoder.encode_words(inputs.words)
    has_row = row_of != NO_ROW
    poolers = []
    for documents, word_counts in zip(inputs.documents(row_of), inputs.column_counts):
        counts = np.zeros(len(table), dtype=np.int64)
        counts[row_of[has_row]] = word_counts[has_row]
        poolings, counted = learn_poolings(names, documents, table.vectors, counts, sif_smoothing=sif_smoothing)
        poolers.append(TextPooler(encoder, table, poolings, counted.n_documents))
    return poolers


class Compact(NamedTuple):
    """A chunk of documents over a small table of its own, in which words without a row have one."""

    documents: Ragged
    rows: np.ndarray  # of the large table, ascending; words without one come behind, in the order of their letters
    vectors: np.ndarray

    def weights(self, weights: np.ndarray | None, new: float) -> np.ndarray | None:
        """Return the weight of each row; `new` is that of words without one in the large table."""
        if weights is None:
            return None
        return np.append(weights[self.rows], np.full(len(self.vectors) - len(self.rows), new, dtype=np.float32))


def compose_unknown(documents: Ragged, table: SubwordTable, further: list[str]) -> Compact:
    """Give vectors to the words of a chunk that have no row, from their n-grams; those without one are left out.

    Parameters
    ----------
    documents : Ragged
        As `NormalizedEncoder.encode` yields them.
    table : SubwordTable
    further : list of str
        The word of each number from ``len(table)`` on.

    Returns
    -------
    Compact
        A document's order of words does not depend on the documents around it.
    """
    n_rows, ids = len(table), documents.indices
    present = np.unique(ids)
    rows, new = present[present < n_rows], present[present >= n_rows] - n_rows
    words = sorted((further[number], number) for number in new.tolist())
    vectors, n_ngrams = table.subwords.compose([word for word, _ in words])
    composed = np.array(n_ngrams) > 0
    numbers = np.array([number for _, number in words], dtype=np.int64)[composed]
    place_of_new = np.full(len(further) + 1, NO_ROW, dtype=np.int64)
    place_of_new[numbers] = len(rows) + np.arange(len(numbers))
    places = np.where(ids < n_rows, np.searchsorted(rows, ids), place_of_new[np.maximum(ids - n_rows, -1)])
    return Compact(
        Ragged(documents.indptr, places.astype(np.int32)).keep(places != NO_ROW),
        rows,
        np.concatenate([table.vectors[rows], vectors[composed]]).astype(np.float32, copy=False),
    )
