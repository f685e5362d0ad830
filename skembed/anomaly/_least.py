"""The k least values of each row of a matrix, in less time than a partition takes.

Columns are dealt into parts of one width. The k-th least of the minima over the parts is a bound that k values keep to,
and few more: only what keeps to it is partitioned.
"""

from typing import NamedTuple

import numpy as np

__all__ = ["least_columns", "least_values"]

N_PARTS = 8


def least_values(values: np.ndarray, k: int) -> np.ndarray:
    """Return the k least values of each row, (n_rows, k), in any order.

    Examples
    --------
    >>> least_values(np.array([[3.0, 1.0, 2.0]]), 1)
    array([[1.]])
    """
    return np.partition(_kept(values, k).values, k - 1, axis=1)[:, :k]


def least_columns(values: np.ndarray, k: int) -> np.ndarray:
    """Return the columns of the k least values of each row, (n_rows, k), in any order."""
    kept = _kept(values, k)
    places = np.argpartition(kept.values, k - 1, axis=1)[:, :k]
    return places if kept.columns is None else np.take_along_axis(kept.columns, places, axis=1)


class _Kept(NamedTuple):
    values: np.ndarray  # (n_rows, n_kept), infinite where a row keeps fewer
    columns: np.ndarray | None  # of these; None: all columns


def _kept(values: np.ndarray, k: int) -> _Kept:
    """Return what may be among the k least values of each row."""
    n_rows, n_columns = values.shape
    width = n_columns // N_PARTS
    if width <= 2 * k:  # the bound would keep most
        return _Kept(values, None)
    minima = np.minimum(values[:, :width], values[:, width : 2 * width])
    for start in range(2 * width, N_PARTS * width, width):
        np.minimum(minima, values[:, start : start + width], out=minima)
    bounds = np.partition(minima, k - 1, axis=1)[:, k - 1, None]
    rows, columns = np.divmod(np.flatnonzero(values <= bounds), n_columns)
    counts = np.bincount(rows, minlength=n_rows)
    places = np.arange(len(rows)) - (counts.cumsum() - counts)[rows]
    kept = np.full((n_rows, counts.max()), np.inf), np.zeros((n_rows, counts.max()), dtype=np.int64)
    kept[0][rows, places], kept[1][rows, places] = values[rows, columns], columns
    return _Kept(*kept)
