"""Chance: by how much weighted means stray, of independent rows or of groups of rows."""

import numpy as np

__all__ = ["mean_and_error"]


def mean_and_error(values: np.ndarray, weight: np.ndarray, groups: np.ndarray | None = None) -> tuple[float, float]:
    """Return a weighted mean and its standard error.

    Rows of one group are not independent: what they stray is added up first (Liang and Zeger 1986, "Longitudinal data
    analysis using generalized linear models"). A single group tells nothing of that; its rows are then taken as they
    are.

    Parameters
    ----------
    values, weight : ndarray of shape (n_samples,)
    groups : ndarray of shape (n_samples,), int64, optional
    """
    mean = np.average(values, weights=weight)
    stray = weight * (values - mean)
    if groups is not None and groups.min() != groups.max():
        stray = np.bincount(groups, stray)
    return float(mean), float(np.sqrt((stray**2).sum()) / weight.sum())
