"""Vectors of keys from the sequences they share, by one of three methods: of baskets, walks and rows alike."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from skembed.data.ragged import Ragged
from skembed.memory import check_memory
from skembed.state import stored
from skembed.training.run import Run

__all__ = ["KeySettings", "KeyTables", "LearnedColumns", "learn_keys"]

SKIP_GRAM_RATE = 0.05


@dataclass(frozen=True)
class KeySettings:
    """Settings of `learn_keys`.

    Attributes
    ----------
    method : {"ppmi-svd", "skip-gram", "glove"}
    embedding_dim : int
    max_iter : int
        Passes; "ppmi-svd" needs none.
    """

    method: str
    embedding_dim: int
    max_iter: int


@stored
class KeyTables(NamedTuple):
    """What was learned.

    Attributes
    ----------
    vectors : ndarray of shape (n_keys, dim), float32
    contexts : ndarray of shape (n_keys, dim), float32, or None
        The keys as contexts, of "skip-gram".
    loss_curve : sequence of float
        One value a pass.
    """

    vectors: np.ndarray
    contexts: np.ndarray | None = None
    loss_curve: Sequence[float] = ()


@stored
class LearnedColumns(NamedTuple):
    """Tables of several columns, one below the other, and how many rows each column has."""

    tables: KeyTables
    sizes: list[int]

    def grown(self, sizes: list[int]) -> KeyTables:
        """Return the tables with rows of NaN for levels that are new, which are the last ones of their column."""
        cuts = np.cumsum(self.sizes)[:-1]
        new = [size - before for size, before in zip(sizes, self.sizes)]

        def grow(table: np.ndarray) -> np.ndarray:
            parts = [np.pad(p, ((0, n), (0, 0)), constant_values=np.nan) for p, n in zip(np.split(table, cuts), new)]
            return np.concatenate(parts)

        contexts = self.tables.contexts
        return KeyTables(grow(self.tables.vectors), None if contexts is None else grow(contexts))


def learn_keys(rows: Ragged, n_keys: int, settings: KeySettings, run: Run, start: KeyTables | None = None) -> KeyTables:
    """Learn a vector for each key; all keys of a sequence are each other's context, whatever their order.

    Parameters
    ----------
    rows : Ragged
        A key occurs at most once in a sequence.
    n_keys : int
    settings : KeySettings
    run : Run
    start : KeyTables, optional
        What "skip-gram" goes on from; rows of NaN are keys that are new.

    Returns
    -------
    KeyTables
    """
    # numba: to learn, not to hold what was learned
    from skembed.training.cooccurrence import CountSettings, count_cooccurrences
    from skembed.training.factorization import PPMISettings, factorize_ppmi
    from skembed.training.glove import GloVeSettings, train_glove
    from skembed.training.sequences import SequenceSettings, SequenceTables, train_sequences

    dim, n_iter = settings.embedding_dim, settings.max_iter
    advice = "lower embedding_dim or max_categories, or raise min_frequency"
    if settings.method == "ppmi-svd":
        n_bytes = n_keys * dim * np.dtype(np.float32).itemsize  # zeros behind the dimensions that there are
        check_memory(n_bytes, f"PPMI and SVD of {n_keys} keys with embedding_dim={dim}", advice)
        return KeyTables(factorize_ppmi(rows, n_keys, PPMISettings(dim), run))
    chunks, counts = [rows], np.bincount(rows.indices, minlength=n_keys)
    window = max(int(rows.lengths.max()) - 1, 1)
    if settings.method == "skip-gram":
        check_memory(
            2 * n_keys * dim * np.dtype(np.float32).itemsize,
            f"skip-gram of {n_keys} keys with embedding_dim={dim}",
            advice,
        )
        begin = None if start is None else SequenceTables(*_grown(start, n_keys, dim, run.seed), [])
        options = SequenceSettings(
            dim, window=window, shrink_window=False, subsample=0.0, learning_rate=SKIP_GRAM_RATE, max_iter=n_iter
        )
        return KeyTables(*train_sequences(chunks, counts, options, run, start=begin))
    counting = CountSettings(window, distance_weighting=False, x_max=10.0)
    with count_cooccurrences(chunks, counts, counting, run) as cells:
        tables = train_glove(cells, GloVeSettings(dim, max_iter=n_iter), run)
    return KeyTables(tables.words + tables.contexts, loss_curve=tables.loss_curve)


def _grown(start: KeyTables, n_keys: int, dim: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return both tables, those of new keys begun afresh."""
    from skembed.training.sequences import uniform_vectors

    new = np.isnan(start.vectors).any(axis=1)
    vectors = np.where(new[:, None], uniform_vectors(n_keys, dim, seed), start.vectors)
    return vectors, np.nan_to_num(start.contexts)  # type: ignore[arg-type]
