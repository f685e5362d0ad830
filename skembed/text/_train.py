"""One training of word vectors: what it starts from, its progress, and what is left of it after Ctrl-C."""

import warnings
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from tqdm.auto import tqdm

from skembed.table import EmbeddingTable
from skembed.training.callbacks import PassCallbacks
from skembed.vocabulary import Vocabulary

if TYPE_CHECKING:
    from skembed.training.sequences import SequenceTables

__all__ = ["draw_seed", "grown_output", "starting_vectors", "train_words"]

_DIVERGED = 1e6  # no component of a vector that means something is so large


def train_words(
    sequences: Iterable,
    vocabulary: Vocabulary,
    *,
    max_iter: int,
    start: tuple[np.ndarray, np.ndarray | None] | None,
    verbose: int,
    callbacks: PassCallbacks,
    **options: Any,
) -> "SequenceTables":
    """Train the tables of the words of a vocabulary.

    Parameters
    ----------
    sequences : re-iterable of (ids, ends)
        As `train_sequences` takes them.
    vocabulary : Vocabulary
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
        If a pass found no two words to learn from, or diverged, which ends training before it.

    Raises
    ------
    ValueError
        If the first pass diverged.
    """
    from skembed.training.sequences import SequenceTables, train_sequences  # numba: to fit, not to transform

    n_words = int(vocabulary.counts.sum()) * max_iter
    with tqdm(total=n_words, desc="words", unit="", unit_scale=True, disable=verbose <= 0, leave=verbose > 1) as bar:
        passes = _Passes(max_iter, callbacks, bar)
        try:
            train_sequences(
                sequences,
                vocabulary.counts,
                max_iter=max_iter,
                start=None if start is None else SequenceTables(*start, []),  # type: ignore[arg-type]
                on_pass=passes.end,
                progress=bar.update,
                **options,
            )
        except KeyboardInterrupt:
            if passes.finished is None:
                raise
            warnings.warn(
                f"interrupted in pass {passes.n_finished + 1} of {max_iter}; kept what was learned before it.",
                stacklevel=2,
            )
        except _Stop:
            pass
    if passes.diverged:
        message = f"training diverged in pass {passes.n_finished + 1}: vectors are not finite or beyond all measure. "
        message += f"Lower learning_rate (it was {options['learning_rate']})"
        if passes.finished is None:
            raise ValueError(f"{message}.")
        warnings.warn(f"{message}; kept what was learned before it.", ConvergenceWarning, stacklevel=2)
    tables = passes.finished
    if 0.0 in tables.loss_curve:
        warnings.warn(
            f"there was nothing to learn from in pass {tables.loss_curve.index(0.0) + 1}: subsample="
            f"{options['subsample']} leaves out frequent words, and in a small corpus all words are frequent, or no "
            "document has two known words. Raise subsample, 0 keeps all words.",
            ConvergenceWarning,
            stacklevel=2,
        )
    return tables


class _Stop(Exception):
    """Ends training after a pass."""


class _Passes:
    """Follows training pass by pass, and keeps the tables of the last one that was finished and is sound."""

    def __init__(self, max_iter: int, callbacks: PassCallbacks, bar: tqdm) -> None:
        self.max_iter = max_iter
        self.callbacks = callbacks
        self.bar = bar
        self.finished: Any = None
        self.n_finished = 0
        self.diverged = False
        callbacks.begin_pass()

    def end(self, _: int, tables: "SequenceTables") -> None:
        if not np.abs(tables.input).max() < _DIVERGED:  # NaN is not smaller
            self.diverged = True
            raise _Stop
        loss = tables.loss_curve[-1]
        self.n_finished += 1
        self.bar.set_postfix(loss=f"{loss:.4g}")
        is_last = self.n_finished == self.max_iter
        # The next pass goes on in the same arrays.
        self.finished = tables if is_last else tables._replace(input=tables.input.copy(), output=tables.output.copy())
        if self.callbacks.end_pass(loss) and not is_last:
            raise _Stop
        if not is_last:
            self.callbacks.begin_pass()


def starting_vectors(
    words: np.ndarray, embedding_dim: int, known: EmbeddingTable | None, init: EmbeddingTable | None, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the vectors that training begins with.

    Parameters
    ----------
    words : ndarray of shape (n_words,), object
    embedding_dim : int
    known : EmbeddingTable or None
        Learned before, of the first of these words in the same order.
    init : EmbeddingTable or None
        Begins the words that `known` does not hold.
    seed : int
        Decides where the others begin.

    Returns
    -------
    vectors : ndarray of shape (n_words, embedding_dim), float32
    given : ndarray of shape (n_words,), bool
        Whether `init` holds the word.
    """
    n_known = 0 if known is None else len(known)
    generator = np.random.default_rng(seed)
    vectors = (generator.random((len(words), embedding_dim), dtype=np.float32) - np.float32(0.5)) / embedding_dim
    given = np.zeros(len(words), dtype=bool)
    if init is not None:
        given[:] = [word in init for word in words]
        vectors[given] = init.lookup(words[given])
    if known is not None:
        vectors[:n_known] = known.vectors
    return vectors, given


def grown_output(output: np.ndarray, n_known: int, n_words: int, loss: str) -> Any:
    """The vectors of contexts so far, with zeros for new words; None for the nodes of a tree, which begin anew.

    Parameters
    ----------
    output : ndarray of shape (n_known, embedding_dim), or another first dimension if they are nodes of a tree
    n_known, n_words : int
        How many words there were, and are.
    loss : str
    """
    if loss != "negative-sampling" or len(output) != n_known:
        return None
    return np.pad(output, [(0, n_words - n_known), (0, 0)])


def draw_seed(random_state: int | np.random.RandomState | None) -> int:
    """Return a seed below 2**31; None gives a fresh one, and leaves numpy's global state as it is."""
    if random_state is None:
        return int(np.random.SeedSequence().generate_state(1)[0] >> 1)
    return int(check_random_state(random_state).randint(2**31 - 1))
