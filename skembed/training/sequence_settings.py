"""Settings of the trainer of sequences, and the rounds and shards that a corpus is cut into."""

from dataclasses import dataclass

import numpy as np

__all__ = ["SequenceSettings", "plan_rounds"]

N_SHARDS = 4
FEW_TOKENS = 1 << 19
SHORTEST_SHARD = 1024


@dataclass(frozen=True)
class SequenceSettings:
    """Settings of `skembed.training.sequences.train_sequences`.

    Attributes
    ----------
    embedding_dim : int
    architecture : {"skip-gram", "cbow"}
    loss : {"negative-sampling", "hierarchical-softmax", "softmax"}
        "softmax", over all keys, with `subword_rows` only.
    window : int
        Contexts are at most so many tokens away. 0: none but the vector of the document, see `train_sequences`.
    shrink_window : bool
        Draw the reach of each window evenly from 1 to `window`.
    subsample : float
        A key whose share of all tokens is above it loses occurrences; 0 keeps all.
    negative : int
        Negatives for each window, drawn in proportion to ``counts ** ns_exponent``.
    ns_exponent : float
    learning_rate, min_learning_rate : float
        It falls linearly from the one towards zero, and stays at the other; where that is more, at the first.
    max_iter : int
        Passes.
    n_shards : int or None
        Shards of a round. None: 4; 1, one after the other, for corpora of less than half a million tokens, in which
        rounds would be a large part of a pass.
    tokens_per_shard : int or None
        None: what is fast for the model, less for small corpora. Windows do not cross the ends of a shard.
    """

    embedding_dim: int
    architecture: str = "skip-gram"
    loss: str = "negative-sampling"
    window: int = 5
    shrink_window: bool = True
    subsample: float = 1e-4
    negative: int = 5
    ns_exponent: float = 0.75
    learning_rate: float = 0.025
    min_learning_rate: float = 1e-4
    max_iter: int = 5
    n_shards: int | None = None
    tokens_per_shard: int | None = None


def plan_rounds(n_tokens: int, settings: SequenceSettings, longest: int) -> tuple[int, int]:
    """Return how many shards a round has and how many tokens a shard; workers have no say in it.

    Parameters
    ----------
    n_tokens : int
        Of the corpus.
    settings : SequenceSettings
    longest : int
        Tokens of a shard of a large corpus.

    Examples
    --------
    >>> plan_rounds(10_000_000, SequenceSettings(100), 8192), plan_rounds(100_000, SequenceSettings(100), 8192)
    ((4, 8192), (1, 1562))
    """
    is_small = n_tokens < FEW_TOKENS
    size = int(np.clip(n_tokens // 64, min(SHORTEST_SHARD, longest), longest)) if is_small else longest
    return settings.n_shards or (1 if is_small else N_SHARDS), settings.tokens_per_shard or size
