"""Hubs: keys that are among the nearest ones of many others."""

from typing import Any

import numpy as np

from skembed.inspection._words import check_table
from skembed.table import EmbeddingTable

__all__ = ["hubness", "k_occurrences"]


def k_occurrences(table: EmbeddingTable, queries: Any = None, k: int = 10, *, metric: str | None = None) -> np.ndarray:
    """Count how often each key is among the k nearest ones of a query.

    Parameters
    ----------
    table : EmbeddingTable
    queries : EmbeddingTable or array-like of shape (n_queries, embedding_dim), default=None
        None: the keys of the table, each without itself.
    k : int, default=10
    metric : {"cosine", "euclidean", "dot", "csls"}, default=None
        None: the table's own.

    Returns
    -------
    ndarray of shape (n_keys,), int64
        In the order of the table; their sum is k times the number of queries, where there are so many other keys. A
        query of zeros counts for no key but by "euclidean": by the others all keys are as near to it.

    Examples
    --------
    >>> from skembed import EmbeddingTable
    >>> table = EmbeddingTable("a b c d".split(), [[1, 0], [0, 1], [0, -1], [-1, 0.2]])
    >>> k_occurrences(table, k=1).tolist()
    [1, 2, 0, 1]
    """
    check_table(table)
    by_direction = (metric or table.metric) != "euclidean"
    if queries is None:
        keys = table.keys[table.vectors.any(axis=1)] if by_direction else table.keys
        found = table.nearest(keys.tolist(), k, metric=metric)  # type: ignore[arg-type]
        rows = np.array([table.index_of(key) for one in found for key, _ in one], dtype=np.int64)
    else:
        vectors = queries.vectors if isinstance(queries, EmbeddingTable) else queries
        rows = table.kneighbors(vectors, k, metric=metric).rows  # type: ignore[arg-type]
        rows = (rows[np.asarray(vectors).any(axis=1)] if by_direction else rows).ravel()
    return np.bincount(rows, minlength=len(table))


def hubness(table: EmbeddingTable, queries: Any = None, k: int = 10, *, metric: str | None = None) -> float:
    """Measure how much a few keys are the nearest ones of many: the skewness of `k_occurrences` [1]_.

    Parameters
    ----------
    table, queries, k, metric
        As of `k_occurrences`.

    Returns
    -------
    float
        About 0 where all keys are found alike often; above 2 or 3 there are hubs, and ``metric="csls"`` or another
        space may help. 0 where all counts are equal.

    References
    ----------
    .. [1] Radovanović, Nanopoulos & Ivanović (2010), "Hubs in Space: Popular Nearest Neighbors in High-Dimensional
       Data".

    Examples
    --------
    >>> import numpy as np
    >>> from skembed import EmbeddingTable
    >>> vectors = np.random.default_rng(0).normal(size=(300, 40)) + 1
    >>> table = EmbeddingTable(range(300), vectors)
    >>> hubness(table, metric="dot") > hubness(table, metric="cosine") > hubness(table, metric="csls")
    True
    """
    counts = k_occurrences(table, queries, k, metric=metric).astype(np.float64)
    deviations = counts - counts.mean()
    spread = float(np.sqrt((deviations**2).mean()))
    return float((deviations**3).mean()) / spread**3 if spread > 0 else 0.0
