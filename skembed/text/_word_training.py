"""One training of word vectors: what it starts from, its progress, and what is left of it after Ctrl-C."""

import warnings
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from tqdm.auto import tqdm

from skembed.table import EmbeddingTable
from skembed.training.callbacks import PassCallbacks

if TYPE_CHECKING:
    from skembed.training.sequences import SequenceTables

__all__ = ["check_init", "draw_seed", "starting_tables", "train_words", "watch_passes"]


def train_words(
    sequences: Iterable,
    counts: np.ndarray,
    *,
    max_iter: int,
    start: tuple[np.ndarray, np.ndarray | None] | None,
    verbose: int,
    callbacks: PassCallbacks,
    **options: Any,
) -> "SequenceTables":
    """Train the tables of words and contexts.

    Parameters
    ----------
    sequences : re-iterable of (ids, ends)
        As `train_sequences` takes them.
    counts : ndarray of shape (n_words,), int64
        How often each word has occurred.
    max_iter : int
    start : (vectors, output) or None
        Tables of words and contexts to begin with; `output` may be None.
    verbose : int
        A progress bar when positive.
    callbacks : PassCallbacks
        Are told of each pass, and may ask to stop after it.
    **options
        As for `train_sequences`.

    Returns
    -------
    SequenceTables

    Warns
    -----
    UserWarning
        On Ctrl-C after the first pass; before, KeyboardInterrupt goes on.
    ConvergenceWarning
        If a pass found no two words to learn from, or vectors were no longer finite: then training ends with the last
        finite ones.
    """
    from skembed.training.sequences import SequenceTables, train_sequences  # numba: to fit, not to transform

    def train(on_pass: Callable, progress: Callable) -> SequenceTables:
        return train_sequences(
            sequences,
            counts,
            max_iter=max_iter,
            start=None if start is None else SequenceTables(*start, []),  # type: ignore[arg-type]
            on_pass=on_pass,
            progress=progress,
            **options,
        )

    total = int(counts.sum()) * max_iter
    tables = watch_passes(train, max_iter, total=total, what="words", verbose=verbose, callbacks=callbacks)
    if 0.0 in tables.loss_curve:
        warnings.warn(
            f"there was nothing to learn from in pass {tables.loss_curve.index(0.0) + 1}: subsample="
            f"{options['subsample']} leaves out frequent words, and in a small corpus all words are frequent, or no "
            "document has two known words. Raise subsample, 0 keeps all words.",
            ConvergenceWarning,
            stacklevel=2,
        )
    return tables


def watch_passes(
    train: Callable[[Callable, Callable], Any],
    max_iter: int,
    *,
    total: int,
    what: str,
    verbose: int,
    callbacks: PassCallbacks,
) -> Any:
    """Train with a progress bar and callbacks; Ctrl-C after the first pass keeps what was learned, with a warning.

    Parameters
    ----------
    train : callable
        ``train(on_pass, progress)`` returns tables with a `loss_curve`. It calls ``on_pass(pass, tables)`` after each
        pass and ends where that returns something true, and ``progress(n)`` when n more of `total` are done.
    max_iter : int
        Passes at most.
    total : int
        Of what is done in all of them.
    what : str
        Is done, for the bar.
    verbose : int
        A progress bar when positive.
    callbacks : PassCallbacks

    Returns
    -------
    object
        What `train` returns, or the tables after the last whole pass.
    """
    finished: Any = None  # after the last whole pass; the next one goes on in the same arrays

    def end_pass(pass_: int, tables: Any) -> bool:
        nonlocal finished
        finished = tables
        bar.set_postfix(loss=f"{tables.loss_curve[-1]:.4g}")
        stop = callbacks.end_pass(tables.loss_curve[-1])
        if not stop and pass_ + 1 < max_iter:
            callbacks.begin_pass()
        return stop

    with tqdm(total=total, desc=what, unit="", unit_scale=True, disable=verbose <= 0, leave=verbose > 1) as bar:
        callbacks.begin_pass()
        try:
            return train(end_pass, bar.update)
        except KeyboardInterrupt:
            if finished is None:
                raise
            n_passes = len(finished.loss_curve)
            warnings.warn(
                f"interrupted in pass {n_passes + 1} of {max_iter}; kept what was learned so far.", stacklevel=2
            )
            return finished


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


def draw_seed(random_state: int | np.random.RandomState | None) -> int:
    """Return a seed below 2**31; None gives a fresh one, and leaves numpy's global state as it is."""
    if random_state is None:
        return int(np.random.SeedSequence().generate_state(1)[0] >> 1)
    return int(check_random_state(random_state).randint(2**31 - 1))
