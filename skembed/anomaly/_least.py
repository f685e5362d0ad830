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
    kept = _keep(values, k)
    return np.partition(values if kept is None else kept.values, k - 1, axis=1)[:, :k]


def least_columns(values: np.ndarray, k: int) -> np.ndarray:
    """Return the columns of the k least values of each row, (n_rows, k), in any order."""
    kept = _keep(values, k)
    if kept is None:
        return np.argpartition(values, k - 1, axis=1)[:, :k]
    columns = np.zeros(kept.values.shape, dtype=np.int64)
    columns[kept.rows, kept.places] = kept.columns
    return np.take_along_axis(columns, np.argpartition(kept.values, k - 1, axis=1)[:, :k], axis=1)


class _Kept(NamedTuple):
    """What may be among the k least values of each row: their rows, their columns, and their places in `values`."""

    values: np.ndarray  # (n_rows, n_places), infinite where a row keeps fewer
    rows: np.ndarray
    columns: np.ndarray
    places: np.ndarray


def _keep(values: np.ndarray, k: int) -> _Kept | None:
    """Return what keeps to the bound, None where that would be most."""
    n_rows, n_columns = values.shape
    width = n_columns // N_PARTS
    if width <= 2 * k:
        return None
    minima = np.minimum(values[:, :width], values[:, width : 2 * width])
    for start in range(2 * width, N_PARTS * width, width):
        np.minimum(minima, values[:, start : start + width], out=minima)
    minima.partition(k - 1, axis=1)
    rows, columns = np.divmod(np.flatnonzero(values <= minima[:, k - 1, None]), n_columns)
    counts = np.bincount(rows, minlength=n_rows)
    places = np.arange(len(rows)) - (counts.cumsum() - counts)[rows]
    kept = np.full((n_rows, counts.max()), np.inf)
    kept[rows, places] = values[rows, columns]
    return _Kept(kept, rows, columns, places)
