"""Lookup in given word vectors: those of a corpus, those that stay, and those composed of subwords."""

import itertools
import warnings
from collections.abc import Container, Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from skembed.apply.pooling import Pooling, pool_documents
from skembed.data.factor import Factor
from skembed.data.ragged import NO_ROW, Ragged
from skembed.data.vocabulary import Vocabulary
from skembed.table import EmbeddingTable, SubwordTable
from skembed.text._inputs import ColumnInputs, TextInputs, level_documents
from skembed.text._normalized_encoder import NormalizedEncoder
from skembed.text._normalizer import TextNormalizer

__all__ = [
    "given_vectors",
    "held_table",
    "pooled_chunks",
    "pooled_column",
    "unknown_words",
    "vocabulary_of",
    "warn_unknown",
]

_SHOWN = 10  # unknown words that a message names
_UNKNOWN_SHARE = 1 / 3  # of the running words: more of them unknown, and something is wrong


def given_vectors(words: list[str], table: EmbeddingTable) -> EmbeddingTable:
    """Return a table of those of these words that have a vector in another table, or from its subwords."""
    known = [word for word in words if word in table]
    if not isinstance(table, SubwordTable):
        return EmbeddingTable(known, table.lookup(known), metric=table.metric)
    others = [word for word in words if word not in table]
    vectors, n_ngrams = table.subwords.compose(others)
    composed = n_ngrams > 0
    keys = [*known, *itertools.compress(others, composed.tolist())]
    return EmbeddingTable(keys, np.concatenate([table.lookup(known), vectors[composed]]), metric=table.metric)


def unknown_words(
    words: list[str], counts: np.ndarray, known: Container[str], stop_words: frozenset[str]
) -> tuple[dict[str, int], float]:
    """Return the words that are not known with their counts, the most frequent first, and their share of all words."""
    counted = [(count, word) for word, count in zip(words, counts.tolist()) if word not in stop_words]
    unknown = sorted((-count, word) for count, word in counted if word not in known)
    total = sum(count for count, _ in counted)
    return {word: -count for count, word in unknown}, -sum(count for count, _ in unknown) / max(total, 1)


def warn_unknown(unknown: dict[str, int], share: float, normalizer: TextNormalizer) -> None:
    """Warn, if more than a third of the running words is unknown, and name the most frequent ones."""
    if share <= _UNKNOWN_SHARE:
        return
    shown = ", ".join(f"{word[:40]!r} ({count} times)" for word, count in itertools.islice(unknown.items(), _SHOWN))
    warnings.warn(
        f"{share:.0%} of the running words of X have no vector in source, most often {shown}. Texts were read with "
        f"lowercase={normalizer.lowercase}, digits={normalizer.digits!r}, punctuation={normalizer.punctuation!r}; if "
        "the vectors are of words written otherwise, pass these parameters or a tokenizer.",
        UserWarning,
        stacklevel=6,
    )


def vocabulary_of(
    inputs: TextInputs | ColumnInputs, given: EmbeddingTable, stop_words: frozenset[str], min_count: int | None
) -> Vocabulary:
    """Return the words that are given, and others that occur `min_count` times; ValueError if there is none."""
    least = np.inf if min_count is None else min_count
    counted = zip(inputs.words, inputs.counts.tolist())
    kept = {w: c for w, c in counted if (w in given or c >= least) and w not in stop_words}
    if kept:
        return Vocabulary.from_counts(kept.keys(), kept.values())
    shown = ", ".join(repr(word[:40]) for word in inputs.words[:_SHOWN]) or "none at all"
    raise ValueError(
        f"empty vocabulary: X has {inputs.size}, and none of these words has a vector in source: {shown}. "
        "A generator that was read before is empty."
    )


def held_table(
    learned: EmbeddingTable, table: EmbeddingTable, *, keep_all: bool, with_subwords: bool
) -> EmbeddingTable:
    """Return what `transform` is to use: the words of a corpus, and behind or among them what is kept of a table.

    Parameters
    ----------
    learned : EmbeddingTable
        The words of the corpus.
    table : EmbeddingTable
        The source.
    keep_all : bool
        Whether its other words stay, in its order.
    with_subwords : bool
        Whether its subwords stay, if it has any.

    Returns
    -------
    EmbeddingTable
        With the source's vector for unknown keys. The source itself where that is the same.
    """
    keys, vectors = learned.keys, learned.vectors
    if keep_all:
        new = [word for word in learned if word not in table]
        if not new and np.array_equal(learned.vectors, table.lookup(learned.keys)) and with_subwords:
            return table
        keys = np.array([*table.keys.tolist(), *new, None], dtype=object)[:-1]  # None keeps it an array of objects
        vectors = np.concatenate([table.vectors, learned.lookup(new)])
        row_of = dict(zip(keys.tolist(), itertools.count()))
        vectors[[row_of[word] for word in learned]] = learned.vectors
    if isinstance(table, SubwordTable) and with_subwords:
        return SubwordTable(keys, vectors, table.subwords, unknown=table.unknown)
    return EmbeddingTable(keys, vectors, unknown=table.unknown, metric=table.metric)


def pooled_chunks(
    texts: Iterable[str | list],
    encoder: NormalizedEncoder,
    table: EmbeddingTable,
    poolings: list[Pooling],
    n_documents: int,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pool the words of texts, unknown ones composed where the table has subwords.

    Parameters
    ----------
    texts : iterable of str or list
    encoder : NormalizedEncoder
        Over the rows of `table`.
    table : EmbeddingTable
    poolings : list of Pooling
    n_documents : int
        That `poolings` have counted: "tfidf" weighs words without a row as those that none of these documents holds.

    Yields
    ------
    pooled : ndarray of shape (n_texts, n_poolings * embedding_dim), float32
    is_empty : ndarray of shape (n_texts,), bool
        Whether no word of a text has a vector; its row is zeros.
    """
    further: dict[str, int] | None = {} if isinstance(table, SubwordTable) else None
    new_weight = {"tfidf": np.log(1 + n_documents) + 1}
    for documents in encoder.encode(texts, further):
        vectors, used = table.vectors, poolings
        if isinstance(table, SubwordTable) and further:
            compact = compose_unknown(documents, table, list(further))
            documents, vectors = compact.documents, compact.vectors
            used = [replace(p, weights=compact.weights(p.weights, new_weight.get(p.name, 1.0))) for p in poolings]
        out = np.zeros((len(documents), len(poolings) * table.embedding_dim), dtype=np.float32)
        pool_documents(documents, vectors, used, out=out)
        yield out, documents.lengths == 0


def pooled_column(
    factor: Factor,
    missing: np.ndarray,
    encoder: NormalizedEncoder,
    table: EmbeddingTable,
    poolings: list[Pooling],
    n_documents: int,
) -> np.ndarray:
    """Pool the cells of a column: float32 (n_rows, n_poolings * embedding_dim).

    Parameters
    ----------
    factor : Factor
        Of strings.
    missing : ndarray of shape (embedding_dim,), float32
        What missing cells get.
    encoder, table, poolings, n_documents
        As in `pooled_chunks`.
    """
    texts = level_documents(factor.keys, encoder.normalizer, encoder.row_of)
    parts = list(pooled_chunks(texts, encoder, table, poolings, n_documents))
    levels = np.concatenate([*(pooled for pooled, _ in parts), np.tile(missing, len(poolings))[None]])
    if table.unknown is not None:
        wordless = np.concatenate([*(is_empty for _, is_empty in parts), [False]])
        levels[wordless] = np.tile(table.unknown, len(poolings))
    return levels[factor.codes]  # -1 is missing, and the last one


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
