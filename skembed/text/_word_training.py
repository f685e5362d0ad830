"""Tables that a training of words starts from, and warnings of what it cannot learn."""

import warnings
from typing import TYPE_CHECKING

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from skembed.table import EmbeddingTable

if TYPE_CHECKING:
    pass

__all__ = ["check_init", "starting_tables", "warn_of_no_pairs"]


def warn_of_no_pairs(loss_curve: list[float], subsample: float) -> None:
    """Warn with ConvergenceWarning if a pass found no two words to learn from."""
    if 0.0 in loss_curve:
        warnings.warn(
            f"there was nothing to learn from in pass {loss_curve.index(0.0) + 1}: subsample={subsample} leaves out "
            "frequent words, and in a small corpus all words are frequent, or no document has two known words. Raise "
            "subsample, 0 keeps all words.",
            ConvergenceWarning,
            stacklevel=3,
        )


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
