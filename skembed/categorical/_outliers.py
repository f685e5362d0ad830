"""Targets with outliers: rows so far out that least squares learn of little else.

One price with three zeros too many among thousands of others: the effects of levels are then the noise of a few rows,
and held out they explain nothing. Where rows far out hold most of the squares of the target, and its effects explain
nothing, its values are brought to the fences of Tukey (1977, "Exploratory data analysis") and the effects are learned
again. Where they do explain something, the rows far out are what is to be learned, as those of a level that is far out.
"""

from dataclasses import dataclass

import numpy as np

from skembed.state import stored

__all__ = ["Fences", "fences_of"]

REACH = 3.0  # distances of the quartiles from them, beyond which values are "far out"
MAX_SHARE = 0.5  # of the squares, which rows far out may hold


@stored
@dataclass
class Fences:
    """Between what values of the standardised target are brought, and their unit then.

    Attributes
    ----------
    low, high : ndarray of shape (n_targets,)
        Infinite where a target has no fences.
    center, scale : ndarray of shape (n_targets,)
        Of the values between them: all rows but outliers would else differ by next to nothing.
    """

    low: np.ndarray
    high: np.ndarray
    center: np.ndarray
    scale: np.ndarray

    @classmethod
    def find(cls, standardised: np.ndarray, weight: np.ndarray) -> "Fences | None":
        """Return the fences of the targets of which rows far out hold most of the squares; None if of none.

        Parameters
        ----------
        standardised : ndarray of shape (n_samples, n_targets)
        weight : ndarray of shape (n_samples,)
        """
        low, high = np.array([fences_of(values, weight) for values in standardised.T]).T
        if np.isinf(low).all():
            return None
        within = np.clip(standardised, low, high)
        center = np.average(within, axis=0, weights=weight)
        scale = np.sqrt(np.average((within - center) ** 2, axis=0, weights=weight))
        return cls(low, high, center, scale).of(np.isfinite(low))

    @property
    def are_there(self) -> np.ndarray:
        """Which targets have any, (n_targets,)."""
        return np.isfinite(self.low)

    def of(self, targets: np.ndarray) -> "Fences | None":
        """Return those of some of the targets, by a mask, and none for the others; None if there are none at all."""
        there = targets & self.are_there
        none = (-np.inf, np.inf, 0.0, 1.0)
        parts = (self.low, self.high, self.center, self.scale)
        return Fences(*(np.where(there, part, value) for part, value in zip(parts, none))) if there.any() else None

    def bring(self, values: np.ndarray) -> np.ndarray:
        """Return values of shape (n_samples, n_targets) between the fences, in their unit."""
        return (np.clip(values, self.low, self.high) - self.center) / self.scale


def fences_of(values: np.ndarray, weight: np.ndarray) -> tuple[float, float]:
    """Return the fences of one target.

    Where half of the rows have one value there are none: of amounts that mostly are zero the others are what is to be
    learned.
    """
    first, third = quartiles(values, weight)
    reach = REACH * (third - first)
    low, high = first - reach, third + reach
    center = 0.5 * (first + third)
    within = weight @ (np.clip(values, low, high) - center) ** 2
    if reach == 0.0 or within >= (1.0 - MAX_SHARE) * (weight @ (values - center) ** 2):
        return -np.inf, np.inf
    return low, high


def quartiles(values: np.ndarray, weight: np.ndarray) -> tuple[float, float]:
    """Return the quartiles of weighted values: the least with a quarter, or three, of the weight up to them."""
    order = np.argsort(values)
    so_far = np.cumsum(weight[order])
    first, third = np.searchsorted(so_far, np.array([0.25, 0.75]) * so_far[-1])
    return float(values[order[first]]), float(values[order[third]])
