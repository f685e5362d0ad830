"""Principal axes of a table over the rows of data: vectors centered, turned and scaled, their dimensions by spread."""

from typing import NamedTuple

import numpy as np

from skembed.state import stored
from skembed.threads import blas_threads_for

__all__ = ["PrincipalAxes"]

LEAST_SHARE = 1e-9  # of the spread: less is rounding


@stored
class PrincipalAxes(NamedTuple):
    """How a table is turned.

    Attributes
    ----------
    center : ndarray of shape (dim,)
    axes : ndarray of shape (dim, n_axes)
        Along which rows differ most, by falling spread, scaled to the total spread of one-hot columns: the share of
        pairs of rows that differ, 1 less the sum of squared shares (Gini 1912).
    """

    center: np.ndarray
    axes: np.ndarray

    @classmethod
    def of(cls, table: np.ndarray, counts: np.ndarray) -> "PrincipalAxes":
        """Return those of a table (n_rows, dim) whose row i occurs ``counts[i]`` times."""
        share = counts / max(counts.sum(), 1)
        table = table.astype(np.float64)
        center = share @ table
        with blas_threads_for(table.size * table.shape[1]):
            spread, axes = np.linalg.eigh((table - center).T @ ((table - center) * share[:, None]))
        spread, axes = np.maximum(spread[::-1], 0.0), axes[:, ::-1]
        total = spread.sum()
        n_axes = max(int((spread > LEAST_SHARE * total).sum()), 1)
        axes = axes[:, :n_axes]
        axes = axes * np.where(axes[np.abs(axes).argmax(axis=0), np.arange(n_axes)] < 0, -1.0, 1.0)
        one_hot = 1.0 - share @ share
        return cls(center, axes * np.sqrt(one_hot / total) if total > 0 else 0.0 * axes)

    def apply(self, table: np.ndarray) -> np.ndarray:
        """Return the rows along the axes, float32 (n_rows, n_axes)."""
        return ((table - self.center) @ self.axes).astype(np.float32)
