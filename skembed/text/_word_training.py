"""A training of words: what it is given, what it starts from, what it returns, and warnings of what it cannot learn."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from skembed.apply.pooling import DocumentCounts
from skembed.data.ragged import Ragged
from skembed.data.vocabulary import Vocabulary
from skembed.table import EmbeddingTable
from skembed.text._phrases import PhraseRounds
from skembed.training.callbacks import PassCallbacks
from skembed.warning import warn

__all__ = [
    "EarlierFit",
    "LearnedWords",
    "WordTraining",
    "check_init",
    "check_shares_words",
    "known_output",
    "next_seed",
    "passes_to_learn",
    "starting_tables",
    "subsample_of",
    "warn_of_no_pairs",
]

# of "auto" where words or documents are met rarely: a few sentences hold no more, and of millions it takes minutes
MOST_PASSES, MOST_WORDS = 1000, 300_000_000
SUBSAMPLE, SUBSAMPLE_OF_SHORT = 1e-4, 1e-3  # of "auto": of documents that fill a window with rarer words, and of others


@dataclass(frozen=True)
class LearnedWords:
    """What a training of words returns.

    Attributes
    ----------
    table : EmbeddingTable
        Of the words of the vocabulary, in its order.
    output : ndarray
        Vectors of words as targets, or of what the model has in their place.
    loss_curve : list of float
        One value a pass.
    documents : ndarray of shape (n_documents, embedding_dim), or None
        Vectors of the documents, where training learns them.
    """

    table: EmbeddingTable
    output: np.ndarray
    loss_curve: list[float]
    documents: np.ndarray | None = None

    @classmethod
    def of_rows(
        cls,
        vocabulary: Vocabulary,
        rows: np.ndarray,
        output: np.ndarray,
        loss_curve: list[float],
        unknown: np.ndarray | None = None,
        documents: np.ndarray | None = None,
    ) -> "LearnedWords":
        """Return words each with its row and count; the rows are taken over, not copied, and no longer written to."""
        rows.flags.writeable = False
        table = EmbeddingTable.of_keys(vocabulary.shared_keys, rows, unknown=unknown, counts=vocabulary.counts)
        return cls(table, output, loss_curve, documents)


@dataclass(frozen=True)
class EarlierFit:
    """What earlier calls have learned, for a call that goes on from it.

    Attributes
    ----------
    vocabulary : Vocabulary
    rounds : list of list of (str, str)
        Phrases.
    words : LearnedWords
        `loss_curve` is that of all calls.
    document_counts : DocumentCounts
    """

    vocabulary: Vocabulary
    rounds: PhraseRounds
    words: LearnedWords
    document_counts: DocumentCounts


@dataclass(frozen=True)
class WordTraining:
    """What a training of words is given beside the parameters of its estimator.

    Attributes
    ----------
    sequences : iterable of Ragged
        Documents as rows of the vocabulary, to be iterated over once a pass.
    n_words : int
        Of a pass; the counts of the vocabulary are those of earlier calls, too.
    n_documents : int
    vocabulary : Vocabulary
    max_iter : int
        Passes.
    callbacks : PassCallbacks
    earlier : EarlierFit or None
        What to go on from.
    """

    sequences: Iterable[Ragged]
    n_words: int
    n_documents: int
    vocabulary: Vocabulary
    max_iter: int
    callbacks: PassCallbacks
    earlier: EarlierFit | None


def subsample_of(subsample: float | str, counts: np.ndarray, words_per_document: float, window: int) -> float:
    """Return the share of the corpus beyond which words are skipped: `subsample`, or what "auto" stands for.

    Windows are full of frequent words, which tell of nothing. Where they are skipped, rarer ones that are farther away
    take their places, as long as a document has them: a window on both sides, in the mean. In short documents nothing
    would be left to learn from.

    Parameters
    ----------
    subsample : float or "auto"
    counts : ndarray of shape (n_words,)
    words_per_document : float
    window : int
    """
    from skembed.kernels.local_ids import keep_thresholds  # numba: to fit only

    if not isinstance(subsample, str):
        return subsample
    kept = float(counts @ (keep_thresholds(counts, SUBSAMPLE) / 2.0**32)) / counts.sum()
    return SUBSAMPLE if kept * words_per_document >= 2 * window + 1 else SUBSAMPLE_OF_SHORT


def passes_to_learn(
    counts: np.ndarray,
    n_documents: int,
    *,
    growth: float,
    learning_rate: float,
    subsample: float,
    window: int = 0,
    shrink_window: bool = True,
) -> float:
    """Return how many passes it takes to learn vectors that begin next to nothing, as those of words and contexts do.

    Each grows in proportion to the other: in the mean by the learning rate times the pairs of a row and a word, which
    are few where there are few or short documents. Passes that add up to less leave vectors near where they began.
    There are never more than `MOST_PASSES`, or than make `MOST_WORDS` words.

    Parameters
    ----------
    counts : ndarray of shape (n_words,)
    n_documents : int
    growth : float
        The product of learning rate, passes and pairs to be reached, of one pair of row and word in the mean.
    learning_rate, subsample : float
    window : int
        0: pairs are those of documents and words; else of words and those around them.
    shrink_window : bool
    """
    from skembed.kernels.local_ids import keep_thresholds  # numba: to fit only

    n_words, n_kept = len(counts), float(counts @ (keep_thresholds(counts, subsample) / 2.0**32))
    reach = window + 1 if shrink_window else 2 * window
    n_pairs = n_kept * min(reach, n_kept / n_documents) if window else n_kept
    n_rows = n_words if window else n_documents
    passes = growth * np.sqrt(n_rows * n_words) / max(learning_rate * n_pairs, 1e-30)
    return float(min(passes, MOST_PASSES, MOST_WORDS / counts.sum()))


def warn_of_no_pairs(loss_curve: list[float], subsample: float) -> None:
    """Warn with ConvergenceWarning if a pass found no two words to learn from."""
    if 0.0 in loss_curve:
        reason = (
            f"subsample={subsample} leaves out frequent words, and in a small corpus all words are frequent, or no "
            "document has two known words. Raise subsample, 0 keeps all words."
        )
        if not subsample:
            reason = "no document has two known words. Pass longer documents, or lower min_count."
        warn(f"there was nothing to learn from in pass {loss_curve.index(0.0) + 1}: {reason}", ConvergenceWarning)


def check_init(init: EmbeddingTable | None, embedding_dim: int, learned: EmbeddingTable | None = None) -> None:
    """Raise ValueError if the vectors of `init`, or those learned in earlier calls, are not of this dimension."""
    if init is not None and init.embedding_dim != embedding_dim:
        raise ValueError(
            f"embedding_dim={embedding_dim}, but the vectors of init have {init.embedding_dim} "
            f"components; pass embedding_dim={init.embedding_dim}."
        )
    if learned is not None and learned.embedding_dim != embedding_dim:
        raise ValueError(
            f"embedding_dim={embedding_dim}, but the vectors learned so far have {learned.embedding_dim} components; "
            "partial_fit cannot change it, fit can."
        )


def check_shares_words(init: EmbeddingTable | None, words: np.ndarray) -> None:
    """Raise ValueError if the table `init` has none of the words that are to begin with its vectors."""
    if init is None or any(word in init for word in words):
        return
    raise ValueError(
        f"init has none of the {len(words)} words of X: its keys are such as {init.keys[:3].tolist()!r:.100}, the "
        f"words such as {words[:3].tolist()!r:.100}. Give a table whose keys are written as the words are; "
        "lowercase=False keeps the case of the texts."
    )


def next_seed(seed: int, earlier: EarlierFit | None) -> int:
    """Return a seed by which a further call does not repeat the draws of those before it."""
    return seed if earlier is None else (seed + len(earlier.words.loss_curve)) % 2**31


def known_output(words: LearnedWords, n_words: int, loss: str) -> np.ndarray | None:
    """Return the output table of earlier calls with zeros for new words; None: begin at zero."""
    # The nodes of a Huffman tree begin anew: another tree has other nodes.
    if loss == "hierarchical-softmax" or len(words.output) != len(words.table):
        return None
    return np.pad(words.output, [(0, n_words - len(words.output)), (0, 0)])


def starting_tables(
    words: np.ndarray,
    embedding_dim: int,
    known: tuple[EmbeddingTable, np.ndarray | None] | None,
    init: EmbeddingTable | None,
    seed: int,
) -> tuple[tuple[np.ndarray, np.ndarray | None], np.ndarray]:
    """Return the tables that training begins with.

    Parameters
    ----------
    words : ndarray of shape (n_words,), object
    embedding_dim : int
    known : (table, output) or None
        Learned before: `table` of the first of these words in the same order, `output` as it is to be.
    init : EmbeddingTable or None
        Begins the words that are not known.
    seed : int
        Decides where the others begin.

    Returns
    -------
    start : (vectors, output)
        `vectors` is float32 of shape (n_words, embedding_dim), and so is `output`, or None: begin at zero.
    given : ndarray of shape (n_words,), bool
        Whether `init` holds the word.
    """
    from skembed.training.sequences import uniform_vectors

    vectors = uniform_vectors(len(words), embedding_dim, seed)
    output = None
    given = np.zeros(len(words), dtype=bool)
    if init is not None:
        given[:] = [word in init for word in words]
        vectors[given] = init.lookup(words[given])
    if known is not None:
        table, output = known
        vectors[: len(table)] = table.vectors
    return (vectors, output), given
