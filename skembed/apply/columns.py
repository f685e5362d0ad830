"""Vectors of columns side by side, their names, and the way back to keys."""

from collections import Counter
from typing import Any

import numpy as np
from sklearn.utils import check_array

from skembed.table import EmbeddingTable

__all__ = ["gather", "invert", "output_names", "with_numbers"]


def output_names(embedded: list[str], dims: list[int], passed: list[str]) -> np.ndarray:
    """Return ``{column}_{i}`` for each dimension, then the columns that pass through.

    Raises
    ------
    ValueError
        If two of them are equal, as those of columns named ``c`` and ``c_0`` may be.
    """
    out = [f"{n}_{i:0{len(str(dim - 1))}d}" for n, dim in zip(embedded, dims) for i in range(dim)] + passed
    repeated = sorted({name for name, times in Counter(out).items() if times > 1})
    if repeated:
        raise ValueError(
            f"output features are not unique: {', '.join(map(repr, repeated[:5]))}; two columns of X lead to the same "
            "name. Rename one of them."
        )
    return np.asarray(out, dtype=object)


def gather(tables: list[EmbeddingTable], ids: list[np.ndarray], side: list[np.ndarray], n_rows: int) -> np.ndarray:
    """Return the vectors of every column side by side, and the numeric columns behind them.

    Id 0 is the table's unknown vector, i is row i - 1. float32, or float64 where numeric columns pass through, which
    keep their values.
    """
    out = with_numbers(sum(table.embedding_dim for table in tables), side, n_rows)
    start = 0
    for table, rows in zip(tables, ids):
        part = out[:, start : start + table.embedding_dim]
        known = rows > 0
        if known.all():
            part[:] = table.vectors.take(rows - 1, axis=0)
        else:
            part[known] = table.vectors.take(rows[known] - 1, axis=0)
            part[~known] = table.unknown
        start += table.embedding_dim
    return out


def with_numbers(width: int, side: list[np.ndarray], n_rows: int) -> np.ndarray:
    """Return rows of `width` columns that are yet to be filled, and the numeric columns behind them."""
    out = np.empty((n_rows, width + len(side)), dtype=np.float64 if side else np.float32)
    for k, values in enumerate(side):
        out[:, width + k] = values
    return out


def invert(
    Z: Any, tables: list[EmbeddingTable], positions: list[int], passed: list[int], n_features: int
) -> np.ndarray:
    """Return the key of the nearest vector for each column's part of Z, and passed columns as they are."""
    width = sum(t.embedding_dim for t in tables)
    Z = check_array(Z, dtype=np.float64, ensure_all_finite=False, ensure_min_features=0)
    if Z.shape[1] != width + len(passed):
        raise ValueError(f"X has {Z.shape[1]} features, but inverse_transform expects {width + len(passed)}.")
    out = np.full((len(Z), n_features), None, dtype=object)
    start = 0
    for table, position in zip(tables, positions):
        part = np.ascontiguousarray(Z[:, start : start + table.embedding_dim], dtype=np.float32)
        if not np.isfinite(part).all():
            raise ValueError("X contains NaN or infinity among the vectors; inverse_transform needs finite ones.")
        if len(table):
            out[:, position] = table.keys[table.kneighbors(part, k=1, metric="euclidean").rows[:, 0]]
        start += table.embedding_dim
    for k, position in enumerate(passed):
        out[:, position] = Z[:, width + k]
    return out
