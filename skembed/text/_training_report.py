"""What training a model that is written to files tells of itself."""

from pathlib import Path
from typing import NamedTuple

__all__ = ["TrainingReport"]


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
