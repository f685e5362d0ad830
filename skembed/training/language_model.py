"""A language model in both directions over sentences: its settings, and sentences cut into pieces. Needs no torch."""

from dataclasses import dataclass

import numpy as np

from skembed.training.passes import BatchSettings

__all__ = ["LanguageModelSettings", "Sentences", "cut_sentences"]


@dataclass(frozen=True, kw_only=True)
class LanguageModelSettings(BatchSettings):
    """Settings of `skembed.training.nets.language_model.learn_language_model`; a batch holds pieces of sentences.

    Attributes
    ----------
    max_length : int
        Words of a piece, the begin and the end of a sentence among them.
    n_samples : int or None
        Words drawn for the softmax of a batch; None: all.
    ns_exponent : float
    dropout : float
        Of the inputs of layers, and of what the softmax sees.
    weight_decay : float
    max_norm : float
        Longer gradients of the net are scaled down to it.
    """

    max_length: int
    n_samples: int | None
    ns_exponent: float
    dropout: float
    weight_decay: float
    max_norm: float


@dataclass(frozen=True)
class Sentences:
    """Sentences one after the other, each with its begin and its end, and the words that they are made of.

    Attributes
    ----------
    ids : ndarray of shape (n_tokens,), int32
        Rows of `characters`.
    indptr : ndarray of shape (n_sentences + 1,), int64
    characters : ndarray of shape (n_words, max_characters), int16
        Of each different word.
    targets : ndarray of shape (n_words,), int32
        The row of each different word in the vocabulary of what is predicted, in which many may share one.
    """

    ids: np.ndarray
    indptr: np.ndarray
    characters: np.ndarray
    targets: np.ndarray

    def __len__(self) -> int:
        return len(self.indptr) - 1

    @classmethod
    def of(cls, ids: np.ndarray, ends: np.ndarray, characters: np.ndarray, targets: np.ndarray) -> "Sentences":
        """Return sentences of which is known where each ends."""
        return cls(ids, np.concatenate([[0], ends]), characters, targets)


def cut_sentences(indptr: np.ndarray, which: np.ndarray, max_length: int) -> tuple[np.ndarray, np.ndarray]:
    """Cut sentences into pieces of at most `max_length` words.

    Neighbouring pieces share a word, so that each pair of words that follow each other lies within one piece: in either
    direction each word is predicted once.

    Parameters
    ----------
    indptr : ndarray of shape (n_sentences + 1,), int64
    which : ndarray of bool, (n_sentences,)
    max_length : int
        At least 2.

    Returns
    -------
    starts, stops : ndarray of shape (n_pieces,), int64

    Examples
    --------
    >>> cut_sentences(np.array([0, 5, 8]), np.array([True, True]), 4)
    (array([0, 3, 5]), array([4, 5, 8]))
    """
    begin, end = indptr[:-1][which], indptr[1:][which]
    step = max_length - 1
    n_pieces = np.maximum(-(-(end - begin - 1) // step), 0)
    offset = np.arange(n_pieces.sum()) - np.repeat(np.cumsum(n_pieces) - n_pieces, n_pieces)
    starts = np.repeat(begin, n_pieces) + offset * step
    return starts, np.minimum(starts + max_length, np.repeat(end, n_pieces))
