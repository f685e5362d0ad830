"""Given word vectors beside a corpus: the words that have one, those that have none, and those that stay."""

import itertools
from collections.abc import Container, Iterable, Sequence

import numpy as np

from skembed.apply.postprocessing import postprocess_table
from skembed.data.ragged import NO_ROW, Ragged
from skembed.data.vocabulary import Vocabulary
from skembed.table import EmbeddingTable, SubwordTable
from skembed.text._inputs import Inputs
from skembed.text._normalizer import TextNormalizer
from skembed.warning import warn

__all__ = [
    "KnownWords",
    "document_shares",
    "given_vectors",
    "held_table",
    "postprocessed",
    "unknown_words",
    "vocabulary_of",
    "warn_unknown",
]

_SHOWN = 10  # unknown words that a message names
_UNKNOWN_SHARE = 1 / 3  # of the running words: more of them unknown, and something is wrong


class KnownWords:
    """What tokens are normalized to: the words of a table, and stop words, which are left out as they stand."""

    def __init__(self, table: EmbeddingTable, stop_words: frozenset[str]) -> None:
        self._row_of, self._stop_words = table.shared_keys.index, stop_words

    def __contains__(self, word: object) -> bool:
        return word in self._row_of or word in self._stop_words


def given_vectors(words: list[str], table: EmbeddingTable) -> EmbeddingTable:
    """Return a table of those of these words that have a vector in another table, or from its subwords."""
    row_of = table.shared_keys.index  # of strings, which are keys as they stand: several times as fast as the table
    known = [word for word in words if word in row_of]
    if not isinstance(table, SubwordTable):
        return EmbeddingTable(known, table.lookup(known), metric=table.metric, counts=counts_of(known, table))
    others = [word for word in words if word not in row_of]
    vectors, n_ngrams = table.subwords.compose(others)
    composed = n_ngrams > 0
    keys = [*known, *itertools.compress(others, composed.tolist())]
    vectors = np.concatenate([table.lookup(known), vectors[composed]])
    return EmbeddingTable(keys, vectors, metric=table.metric, counts=counts_of(keys, table))


def counts_of(words: Sequence[str], table: EmbeddingTable) -> np.ndarray | None:
    """Return how often words were seen where a table was learned, 0 of those without a row; None if it does not say."""
    if table.counts is None:
        return None
    row_of = table.shared_keys.index
    return np.array([table.counts[row_of[word]] if word in row_of else 0 for word in words], dtype=np.int64)


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
    warn(
        f"{share:.0%} of the running words of X have no vector in source, most often {shown}. Texts were read with "
        f"lowercase={normalizer.lowercase}, digits={normalizer.digits!r}, punctuation={normalizer.punctuation!r}; if "
        "the vectors are of words written otherwise, pass these parameters or a tokenizer."
    )


def vocabulary_of(
    inputs: Inputs, given: EmbeddingTable, stop_words: frozenset[str], min_count: int | None
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
        With the source's vector for unknown keys, and its counts. The source itself where that is the same.
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
    counts = counts_of(keys.tolist(), table)
    if isinstance(table, SubwordTable) and with_subwords:
        return SubwordTable(keys, vectors, table.subwords, unknown=table.unknown, counts=counts)
    return EmbeddingTable(keys, vectors, unknown=table.unknown, metric=table.metric, counts=counts)


def postprocessed(
    held: EmbeddingTable, missing: np.ndarray, vocabulary: Vocabulary, inputs: Inputs, method: str | None
) -> tuple[EmbeddingTable, np.ndarray]:
    """Postprocess what `transform` is to use by the words of a corpus, their counts and shares of documents.

    Parameters
    ----------
    held : EmbeddingTable
        Holds the words of `vocabulary`.
    missing : ndarray of shape (embedding_dim,), float32
        The vector of missing cells; zeros stay zeros.
    vocabulary : Vocabulary
    inputs : Inputs
        The corpus.
    method : {"pca", "all-but-the-top"} or None

    Returns
    -------
    held : EmbeddingTable
    missing : ndarray of shape (embedding_dim,), float32
    """
    if method is None:
        return held, missing
    row_of = held.shared_keys.index
    counts = np.zeros(len(held), dtype=np.int64)
    counts[[row_of[word] for word in vocabulary.keys.tolist()]] = vocabulary.counts
    rows = np.array([row_of[word] if word in vocabulary else NO_ROW for word in inputs.words], dtype=np.int32)
    shares = document_shares(itertools.chain.from_iterable(inputs.documents(rows)), len(held))
    table, learned = postprocess_table(held, counts, shares, method)
    return table, learned(missing[None])[0] if missing.any() else missing


def document_shares(documents: Iterable[Ragged], n_words: int) -> np.ndarray:
    """Return the share that each word has of a document, (n_words,): the mean over those that have any word."""
    shares, n_documents = np.zeros(n_words), 0
    for chunk in documents:
        lengths = chunk.lengths[chunk.lengths > 0]
        shares += np.bincount(chunk.indices, np.repeat(1 / lengths, lengths), minlength=n_words)
        n_documents += len(lengths)
    return shares / max(n_documents, 1)
