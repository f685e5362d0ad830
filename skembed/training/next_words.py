"""A language model of the next word: its settings and its weights, as plain arrays that need no torch."""

from dataclasses import dataclass

import numpy as np

from skembed.state import stored
from skembed.training.passes import BatchSettings

__all__ = ["NextWordSettings", "NextWordWeights"]


@dataclass(frozen=True, kw_only=True)
class NextWordSettings(BatchSettings):
    """Settings of `skembed.training.nets.nnlm.learn_next_words`, parameters of `NNLMVectorizer` by their names."""

    embedding_dim: int
    n_previous: int
    hidden_layer_sizes: tuple[int, ...]
    direct: bool
    n_samples: int | None
    ns_exponent: float
    dropout: float
    weight_decay: float


@stored
@dataclass(frozen=True)
class NextWordWeights:
    """A language model as plain arrays, float32.

    Attributes
    ----------
    embedding : ndarray of shape (n_tokens, embedding_dim)
        Vectors of the tokens that may stand in a context.
    hidden : list of (ndarray of shape (n_outputs, n_inputs), ndarray of shape (n_outputs,))
        Weights and biases of the tanh layers, over the vectors of the context side by side, the oldest word first.
    output : ndarray of shape (n_targets, width + 1)
        For each word that may be next the weights of the last hidden layer, then, with direct connections, those of
        the context's vectors, then the bias.
    direct : bool
    """

    embedding: np.ndarray
    hidden: list[tuple[np.ndarray, np.ndarray]]
    output: np.ndarray
    direct: bool
