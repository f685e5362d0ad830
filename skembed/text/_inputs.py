"""Inputs that a `PretrainedVectorizer` is fitted on, texts or columns of short texts, behind one interface."""

from collections.abc import Iterable
from typing import Any, Protocol

import numpy as np

from skembed.data.ragged import Ragged
from skembed.text._normalizer import TextNormalizer

__all__ = ["Chunks", "Inputs", "has_columns"]

Chunks = Iterable[Ragged]


def has_columns(X: Any) -> bool:
    """Whether `X` is two-dimensional: a frame, even of one column, or a 2-D array."""
    return len(getattr(X, "shape", ())) == 2


class Inputs(Protocol):
    """Texts that were read once.

    Attributes
    ----------
    tokens : list of str
        The different tokens that the tokenizer found.
    words : list of str
        The words that they are after normalization.
    counts : ndarray of shape (n_words,), int64
        How often each word occurs.
    column_counts : list of ndarray of shape (n_words,), int64
        In each column; documents are one.
    size : str
        How much was read, for messages.
    """

    tokens: list[str]
    words: list[str]
    counts: np.ndarray
    column_counts: list[np.ndarray]
    size: str

    def candidates(self, normalizer: TextNormalizer) -> set[str]:
        """Return all words that a normalized form may need."""

    def normalize(self, normalizer: TextNormalizer, known: Any) -> None:
        """Normalize the tokens to words, known ones first."""

    def sequences(self, row_of: np.ndarray) -> Chunks:
        """Return what a trainer learns from, to be iterated over many times; `row_of[i]` is the row of word i."""

    def documents(self, row_of: np.ndarray) -> list[Chunks]:
        """Return the texts of each column as chunks."""

    def __enter__(self) -> "Inputs": ...

    def __exit__(self, *error: object) -> None: ...
