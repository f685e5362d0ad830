"""An autoencoder of mixed columns: its settings and the rows it learns from, as plain arrays that need no torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from skembed.training.passes import BatchSettings
from skembed.training.run import settings_of

__all__ = ["AutoencoderRows", "AutoencoderSettings", "level_weight"]

LOSS_OF_A_NUMBER = 0.5  # by squared error / 2, where its mean is all that is known


@dataclass(frozen=True, kw_only=True)
class AutoencoderSettings(BatchSettings):
    """Settings of `skembed.training.nets.autoencoder.train_autoencoder`.

    Attributes
    ----------
    max_iter, early_stopping, validation_fraction, n_iter_no_change, tol, batch_size, device
        As in `BatchSettings`.
    learning_rate : float
        Halved when the score has not risen for half of `n_iter_no_change` passes.
    hidden_layer_sizes : tuple of int
        Of the encoder; the decoder has them in reverse.
    """

    hidden_layer_sizes: tuple[int, ...]

    @classmethod
    def of(cls, estimator: Any, n_rows: int) -> "AutoencoderSettings":
        """Read the settings off an estimator, and choose the batch size for `n_rows` where it is "auto"."""
        batch_size = estimator.batch_size
        if isinstance(batch_size, str):
            batch_size = int(np.clip(n_rows // 400, 32, 1024))
        hidden_layer_sizes = tuple(map(int, estimator.hidden_layer_sizes))
        return settings_of(cls, estimator, batch_size=batch_size, hidden_layer_sizes=hidden_layer_sizes)


def level_weight(shares: np.ndarray) -> float:
    """Return the weight of a categorical column's cross-entropy, from the shares of its levels.

    A column of which nothing is known costs its entropy, a standardised number half its variance. A column of hundreds
    of levels would count as much as a dozen numbers, and the code would hold little but its levels; so it counts as a
    number does. One whose entropy is less keeps its cross-entropy.
    """
    some = shares[shares > 0]
    entropy = float(-(some * np.log(some)).sum())
    return LOSS_OF_A_NUMBER / max(entropy, LOSS_OF_A_NUMBER)


@dataclass(frozen=True, eq=False)
class AutoencoderRows:
    """Rows of numbers and levels.

    Attributes
    ----------
    inputs : ndarray of shape (n_samples, n_inputs), float32
        Standardised numbers, missing as 0, then flags.
    present : ndarray of shape (n_samples, n_targets), bool, or None
        Which numbers count in the loss; None for all.
    ids : ndarray of shape (n_samples, n_columns), int64
        Levels of all columns numbered through: those of the second column begin where the first one's end.
    n_levels : sequence of int
        Table rows of every categorical column.
    n_targets : int
        Numbers that are reconstructed: the first ones of the inputs.
    level_weights : sequence of float
        What the cross-entropy of every categorical column is multiplied by.
    """

    inputs: np.ndarray
    present: np.ndarray | None
    ids: np.ndarray
    n_levels: Sequence[int]
    n_targets: int
    level_weights: Sequence[float]
