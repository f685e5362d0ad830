"""Translation of sentences: its settings, and pairs of sentences as ids. Needs no torch."""

from dataclasses import dataclass

import numpy as np

from skembed.data.ragged import Ragged
from skembed.training.passes import BatchSettings

__all__ = ["BEGIN_ROW", "END_ROW", "N_MARKS", "UNKNOWN_ROW", "SentencePairs", "TranslationSettings"]

# rows of the target's vocabulary before those of words
BEGIN_ROW, END_ROW, UNKNOWN_ROW, N_MARKS = range(4)


@dataclass(frozen=True, kw_only=True)
class TranslationSettings(BatchSettings):
    """Settings of `skembed.training.nets.translator.learn_translation`; a batch holds pairs of sentences.

    Attributes
    ----------
    hidden_size : int
        Of each direction of the encoder; the decoder has twice as many.
    n_layers : int
        Of the encoder.
    n_samples : int or None
        Words drawn for the softmax of a batch; None: all.
    ns_exponent : float
    dropout : float
    weight_decay : float
    max_norm : float
        Longer gradients of the net are scaled down to it.
    """

    hidden_size: int
    n_layers: int
    n_samples: int | None
    ns_exponent: float
    dropout: float
    weight_decay: float
    max_norm: float


@dataclass(frozen=True)
class SentencePairs:
    """Sentences and their translations.

    Attributes
    ----------
    source : Ragged
        Rows of `vectors`; no sentence is empty.
    target : Ragged
        Rows of the vocabulary of the target, each sentence between `BEGIN_ROW` and `END_ROW`.
    vectors : ndarray of shape (n_source_words, dim), float32
        Given word vectors, which stay as they are.
    """

    source: Ragged
    target: Ragged
    vectors: np.ndarray
