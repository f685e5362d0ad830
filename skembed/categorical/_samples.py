"""Samples that effects are learned from: levels, numbers, a target and a weight for each row."""

from dataclasses import dataclass

import numpy as np

__all__ = ["Samples"]


@dataclass(frozen=True)
class Samples:
    """Rows of one linear model.

    Attributes
    ----------
    ids : ndarray of shape (n_samples, n_columns), int32
        Table rows, 0 for unknown.
    sizes : list of int
        Table rows of each column.
    numeric : ndarray of shape (n_samples, n_numeric)
        Standardised numeric inputs.
    target : ndarray of shape (n_samples, n_targets)
        Standardised.
    weight : ndarray of shape (n_samples,)
        Rows of weight 0 have no influence.
    """

    ids: np.ndarray
    sizes: list[int]
    numeric: np.ndarray
    target: np.ndarray
    weight: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: np.ndarray) -> "Samples":
        """Return some of the rows, by position or by a mask."""
        return Samples(self.ids[rows], self.sizes, self.numeric[rows], self.target[rows], self.weight[rows])
