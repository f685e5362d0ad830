"""The vocabulary of a corpus: words that get a row."""

import itertools
from collections.abc import Collection, Iterable

import numpy as np
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from skembed.data.corpus import EncodedCorpus
from skembed.data.ragged import NO_ROW
from skembed.data.vocabulary import Vocabulary
from skembed.memory import check_memory
from skembed.text._phrases import PhraseRounds, join_phrases, learn_phrases

__all__ = ["check_table_memory", "first_vocabulary", "grown_vocabulary", "read_stop_words", "vocabulary_rows"]

_TABLES = 3  # those of words and contexts, and what training holds of them at a time


def read_stop_words(stop_words: str | Iterable[str] | None, *, lowercase: bool) -> frozenset[str]:
    """Return the words of the parameter `stop_words`, in lower case where all words are.

    "english" means scikit-learn's list.
    """
    if stop_words is None:
        return frozenset()
    if isinstance(stop_words, str):
        return ENGLISH_STOP_WORDS
    for word in stop_words:
        if not isinstance(word, str):
            raise TypeError(f"stop_words holds {word!r:.60} of type {type(word).__name__}, expected strings alone.")
    return frozenset(word.lower() for word in stop_words) if lowercase else frozenset(stop_words)


def first_vocabulary(
    corpus: EncodedCorpus,
    stop_words: Collection[str],
    *,
    min_count: int,
    max_features: int | None,
    n_rounds: int,
    threshold: float,
) -> tuple[Vocabulary, PhraseRounds]:
    """Join the phrases of a corpus, and return the words that get a row, the most frequent first, and the phrases.

    Parameters
    ----------
    corpus : EncodedCorpus
        Phrases become words in it.
    stop_words : collection of str
        Get no row, and are in no phrase.
    min_count : int
    max_features : int or None
    n_rounds, threshold
        As in `learn_phrases`.

    Raises
    ------
    ValueError
        If there is no word: says how many documents and words there were, and how frequent.
    """
    rounds = learn_phrases(corpus, n_rounds=n_rounds, threshold=threshold, min_count=min_count, barred=stop_words)
    words, counts = _seen_words(corpus, stop_words)
    max_categories = None if max_features is None else max_features + 1  # one is for the unknown
    vocabulary = Vocabulary.from_counts(words, counts, min_frequency=min_count, max_categories=max_categories)
    return _not_empty(vocabulary, corpus, min_count), rounds


def grown_vocabulary(
    vocabulary: Vocabulary, rounds: PhraseRounds, corpus: EncodedCorpus, stop_words: Collection[str]
) -> tuple[Vocabulary, PhraseRounds]:
    """Join known phrases in a corpus, and return the vocabulary of all words counted so far; rows keep their words."""
    join_phrases(corpus, rounds)
    words, counts = _seen_words(corpus, stop_words)
    return vocabulary.extend_counts(words, counts), rounds


def _seen_words(corpus: EncodedCorpus, stop_words: Collection[str]) -> tuple[list[str], list[int]]:
    counted = zip(corpus.words, corpus.counts.tolist())
    # A word of which every occurrence became part of a phrase is no longer seen.
    seen = [(word, count) for word, count in counted if count and word not in stop_words]
    return [word for word, _ in seen], [count for _, count in seen]


def _not_empty(vocabulary: Vocabulary, corpus: EncodedCorpus, min_count: int) -> Vocabulary:
    if len(vocabulary):
        return vocabulary
    seen = f"empty vocabulary: X has {corpus.n_documents} documents with {int(corpus.counts.sum())} words"
    if not corpus.n_documents:
        raise ValueError(f"{seen}; expected at least one. A generator that was read before is empty.")
    if not corpus.words:
        raise ValueError(f"{seen}; pass documents that hold words, or a token_pattern that finds them.")
    if not len(vocabulary.infrequent):
        raise ValueError(f"{seen}, all of them in stop_words; pass fewer stop_words or more documents.")
    top = int(np.argmax(corpus.counts))
    raise ValueError(
        f"{seen}, {len(corpus.words)} of them different, and none occurs min_count={min_count} times "
        f"(the most frequent, {corpus.words[top][:40]!r}, {corpus.counts[top]} times); lower min_count or pass more "
        "documents."
    )


def vocabulary_rows(vocabulary: Vocabulary, words: list[str]) -> np.ndarray:
    """Return the row of each word in a table without a row for unknown ones, int32 (n_words,); `NO_ROW` if none."""
    row_of = dict(zip(vocabulary.keys.tolist(), itertools.count()))
    return np.fromiter(map(row_of.get, words, itertools.repeat(NO_ROW)), dtype=np.int32, count=len(words))


def check_table_memory(n_words: int, embedding_dim: int) -> None:
    """Raise MemoryError if the tables of so many words are larger than the machine's memory."""
    check_memory(
        _TABLES * n_words * int(embedding_dim) * np.dtype(np.float32).itemsize,
        f"training {n_words} words with embedding_dim={embedding_dim}",
        "lower embedding_dim or max_features, or raise min_count",
    )
