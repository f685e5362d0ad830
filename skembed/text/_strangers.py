"""Words that look known and are not: documents without a known word, and stop words that texts never hold."""

from collections.abc import Callable, Collection, Iterable, Iterator

import numpy as np

from skembed.data.corpus import EncodedCorpus
from skembed.data.ragged import NO_ROW, Ragged
from skembed.warning import warn

__all__ = ["warn_cut_stop_words", "warn_rare_documents", "warn_unknown_documents", "warned_of_unknown"]

_MANY = 0.1  # a share of words and of documents: a few without a vector there are in most corpora


def warned_of_unknown(documents: Iterable[Ragged]) -> Iterator[Ragged]:
    """Yield chunks of documents of known words; at their end warn if there was no word in any of several documents."""
    n_documents = n_words = 0
    for chunk in documents:
        n_documents += len(chunk)
        n_words += len(chunk.indices)
        yield chunk
    warn_unknown_documents(n_documents, n_words)


def warn_unknown_documents(n_documents: int, n_words: int, outcome: str = "all rows are zeros") -> None:
    """Warn if several documents have no known word among them; of a single one that is nothing strange."""
    if n_documents > 1 and not n_words:
        warn(
            f"none of the {n_documents} documents of X has a word that has a vector, and {outcome}. Pass texts or "
            "token lists that are written as those of fit were: in the same language, the same case, cut in the same "
            "way."
        )


def warn_rare_documents(
    corpus: EncodedCorpus, row_of: np.ndarray, stop_words: Collection[str], limits: dict[str, object]
) -> None:
    """Warn if a tenth of the documents that have words have none that occurs often enough for a row.

    Parameters
    ----------
    corpus : EncodedCorpus
    row_of : ndarray of shape (n_words,), int32
        The row of each word, or `NO_ROW`.
    stop_words : collection of str
        Are no words here.
    limits : dict
        The parameters by which words get no row, for the message.
    """
    if corpus.counts[row_of == NO_ROW].sum() <= _MANY * corpus.counts.sum():
        return
    n_documents = n_without = 0
    chunks = zip(corpus.documents(corpus.numbers(stop_words)), corpus.documents(row_of))  # of the same documents
    for words, rows in chunks:
        n_documents += int((words.lengths > 0).sum())
        n_without += int(((words.lengths > 0) & (rows.lengths == 0)).sum())
    if n_without > _MANY * n_documents:
        given = " and ".join(f"{name}={value!r}" for name, value in limits.items() if value is not None)
        warn(
            f"{n_without} of {n_documents} documents of X have no word that is frequent enough for a vector, by "
            f"{given}; their rows are zeros. Lower min_count, or pass more documents."
        )


def warn_cut_stop_words(
    stop_words: Collection[str], words_of: Callable[[str], Iterable[str]], corpus_words: Iterable[str]
) -> None:
    """Warn of stop words that texts never hold, since the tokenizer makes other words of them, which stay.

    Parameters
    ----------
    stop_words : collection of str
    words_of : callable
        Text -> its words, as of the corpus.
    corpus_words : iterable of str
        Where a stop word is among them, as of token lists, it is left out; where its parts are not, nothing stays.
    """
    if not stop_words:
        return
    known = set(corpus_words)
    stay: dict[str, None] = {}
    cut = []
    for stop_word in sorted(stop_words):
        if stop_word not in known:
            parts = [part for part in words_of(stop_word) if part not in stop_words and part in known]
            stay.update(dict.fromkeys(parts))
            cut += [stop_word] if parts else []
    if cut:
        warn(
            f"stop_words holds words that no text has, such as {cut[0]!r:.60}: they are cut as texts are, and of their "
            f"parts {', '.join(stay)!r:.200} stay. Add these to stop_words, or pass a tokenizer that keeps them whole."
        )
