"""Training of models that are written to files: what is held out, vocabularies as lines, and a report."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

__all__ = ["TrainingReport", "hold_out", "is_line", "read_vocabulary", "steps_of", "write_vocabulary"]

_AUTO_BATCH = 4, 32  # texts or pairs: a step of fewer takes as long
_SMALL = 25  # steps of a pass that batches are made smaller for
_STEPS = 100  # of a pass over many texts: of fewer, more passes make up for it
_MOST_PASSES = 50


class TrainingReport(NamedTuple):
    """What happened while a model was learned.

    Attributes
    ----------
    directory : Path
        Where the model lies.
    loss_curve : list of float
        Mean loss of each pass.
    validation_scores : list of float
        Mean log-probability of a held-out word after each pass, ``exp(-score)`` is its perplexity; empty where nothing
        was held out.
    n_iter : int
        Passes that were finished.
    """

    directory: Path
    loss_curve: list[float]
    validation_scores: list[float]
    n_iter: int


def hold_out(n: int, fraction: float, rng: np.random.RandomState) -> np.ndarray:
    """Return which of n texts to hold out, drawn at random, (n,) bool; none of a single one."""
    held = np.zeros(n, dtype=bool)
    if n > 1:
        held[rng.permutation(n)[: min(max(1, round(fraction * n)), n - 1)]] = True
    return held


def steps_of(n_texts: int, batch_size: int | str, max_iter: int | str, passes: int) -> tuple[int, int]:
    """Return batch size and passes, where "auto" is what gives few texts the steps that a net needs.

    Parameters
    ----------
    n_texts : int
        To learn from.
    batch_size, max_iter : int or "auto"
    passes : int
        "auto" of many texts. Of few there are more, until steps are as many as those of `passes` of 100 steps each.

    Returns
    -------
    batch_size, max_iter : int
    """
    if isinstance(batch_size, str):
        batch_size = int(np.clip(n_texts // _SMALL, *_AUTO_BATCH))
    if isinstance(max_iter, str):
        steps = max(math.ceil(n_texts / batch_size), 1)
        max_iter = min(max(math.ceil(passes * _STEPS / steps), passes), _MOST_PASSES)
    return batch_size, max_iter


def is_line(word: str) -> bool:
    """Return whether a word can be a line of a file, as it is read again."""
    return word.isprintable() and word == word.strip() != ""


def write_vocabulary(path: Path, words: Sequence[str]) -> None:
    """Write a word a line."""
    path.write_bytes("".join(f"{word}\n" for word in words).encode("utf-8"))


def read_vocabulary(path: Path, marks: Sequence[str]) -> list[str]:
    """Read what `write_vocabulary` wrote.

    Raises
    ------
    FileNotFoundError, ValueError
        If the file is not there, or does not begin with these marks: the message names it.
    """
    if not path.exists():
        raise FileNotFoundError(
            f"{path} is missing; expected a directory as it was written when the model was trained."
        )
    try:
        words = path.read_bytes().decode("utf-8").split("\n")[:-1]
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no text in UTF-8: {error}.") from error
    if words[: len(marks)] != list(marks):
        raise ValueError(f"{path} begins with {words[: len(marks)]!r:.80}, expected {list(marks)}.")
    return words
