"""Training of models that are written to files: what is held out, vocabularies as lines, and a report."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

__all__ = ["TrainingReport", "hold_out", "is_line", "read_vocabulary", "write_vocabulary"]


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
