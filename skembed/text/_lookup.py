"""Pooling of texts by given word vectors, those of words without a row composed of subwords."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from skembed.apply.pooling import Pooling, learn_poolings, pool_chunks, pool_documents
from skembed.data.ragged import NO_ROW, Ragged
from skembed.state import stored
from skembed.table import EmbeddingTable, SubwordTable
from skembed.text._inputs import Inputs
from skembed.text._normalized_encoder import NormalizedEncoder
from skembed.text._strangers import warn_unknown_documents
from skembed.text._subwords import Chunk, with_composed

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
        table = self.table
        further: dict[str, int] | None = {} if isinstance(table, SubwordTable) else None
        for documents in self.encoder.encode(texts, further):
            vectors, used = table.vectors, self.poolings
            if isinstance(table, SubwordTable) and further:
                chunk = Chunk(documents, list(further))
                documents, vectors, used = with_composed(chunk, table, self.poolings, self.n_documents)
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
