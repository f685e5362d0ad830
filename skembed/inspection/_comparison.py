"""Similarity of two tables: whether keys keep their neighbours, and how far a rotation brings one onto the other."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from skembed.inspection._neighborhood import mean_overlap, sampled_rows
from skembed.inspection._result import Result
from skembed.inspection._words import check_table, one_of, positive_int
from skembed.table import EmbeddingTable
from skembed.table.keys import build_index, find_rows
from skembed.table.neighbors import METRICS, ExactIndex, Metric
from skembed.table.vectors import check_finite_vectors

__all__ = ["TableComparison", "compare_tables"]

_ROWS_AT_ONCE = 65_536


@dataclass(frozen=True, repr=False)
class TableComparison(Result):
    """What `compare_tables` found.

    Attributes
    ----------
    neighbor_overlap : float
        Mean share of a key's nearest neighbours in one table that are among its nearest in the other.
    chance_overlap : float
        What it would be if neighbours were drawn by lot.
    procrustes_residual : float
        Share of the spread of one table that is left when the other is shifted, turned, reflected and scaled onto it:
        0 for the same shape, `chance_residual` for nothing in common.
    chance_residual : float
        What it is when keys are dealt anew to the vectors of one table: near 1 of many keys; of no more keys than
        dimensions a rotation is found that brings any two tables near each other.
    n_shared, n_only_left, n_only_right : int
        Keys in both tables, and in one alone.
    n_neighbors : int
    n_sampled : int
        Keys whose neighbours were compared. A key whose vector is zero in a table has none by "cosine" and "dot", by
        which all others are as near.
    """

    neighbor_overlap: float
    chance_overlap: float
    procrustes_residual: float
    chance_residual: float
    n_shared: int
    n_only_left: int
    n_only_right: int
    n_neighbors: int
    n_sampled: int


def compare_tables(
    left: EmbeddingTable,
    right: EmbeddingTable,
    *,
    n_neighbors: int = 10,
    metric: Metric = "cosine",
    sample_size: int | None = 1_000,
    random_state: Any = None,
) -> TableComparison:
    """Compare two tables by the keys in both.

    Parameters
    ----------
    left, right : EmbeddingTable
        Their embedding_dim may differ, and so may the order of their keys.
    n_neighbors : int, default=10
        Less than the number of shared keys. Neighbours are found among the shared keys.
    metric : {"cosine", "euclidean", "dot"}, default="cosine"
        Of the neighbours.
    sample_size : int or None, default=1_000
        So many shared keys, drawn at random, have their neighbours compared. None: all. The Procrustes residual always
        takes all shared keys.
    random_state : int, RandomState instance or None, default=None
        Draws the sample, and the order for `chance_residual`.

    Returns
    -------
    TableComparison

    Raises
    ------
    ValueError
        If too few keys are shared.

    Notes
    -----
    The residual is the disparity of ``scipy.spatial.procrustes`` (Gower 1975), of tables of any two dimensions.

    Examples
    --------
    >>> import numpy as np
    >>> from skembed import EmbeddingTable
    >>> from skembed.inspection import compare_tables
    >>> vectors = np.random.default_rng(0).standard_normal((50, 2))
    >>> turned = vectors @ [[0.0, 2.0], [-2.0, 0.0]]
    >>> compare_tables(EmbeddingTable(range(50), vectors), EmbeddingTable(range(5, 50), turned[5:])).neighbor_overlap
    1.0
    """
    check_table(left, "left")
    check_table(right, "right")
    n_neighbors = positive_int(n_neighbors, "n_neighbors")
    one_of(metric, METRICS, "metric")
    there = find_rows(left.keys.tolist(), build_index(right.keys.tolist()))
    left_rows, right_rows = np.flatnonzero(there >= 0), there[there >= 0]
    n_shared = len(left_rows)
    if n_shared <= n_neighbors:
        raise ValueError(
            f"n_neighbors must be less than the number of keys in both tables, got {n_neighbors} beside {n_shared} "
            "shared keys."
        )
    for table, shared in ((left, left_rows), (right, right_rows)):
        check_finite_vectors(table.vectors, table.keys, shared)
    random = check_random_state(random_state)
    judged = np.arange(n_shared)
    if metric != "euclidean":
        judged = np.flatnonzero(_is_set(left.vectors, left_rows) & _is_set(right.vectors, right_rows))
        judged = judged if len(judged) else np.arange(n_shared)
    rows = judged[sampled_rows(len(judged), sample_size, random)]
    # neighbours by the number of the shared key, the same in both
    overlap = mean_overlap(
        _neighbors(left, left_rows, rows, n_neighbors, metric), _neighbors(right, right_rows, rows, n_neighbors, metric)
    )
    return TableComparison(
        neighbor_overlap=overlap,
        chance_overlap=n_neighbors / (n_shared - 1),
        procrustes_residual=_residual(left.vectors, left_rows, right.vectors, right_rows),
        chance_residual=_residual(left.vectors, left_rows, right.vectors, random.permutation(right_rows)),
        n_shared=n_shared,
        n_only_left=len(left) - n_shared,
        n_only_right=len(right) - n_shared,
        n_neighbors=n_neighbors,
        n_sampled=len(rows),
    )


def _neighbors(table: EmbeddingTable, shared: np.ndarray, rows: np.ndarray, k: int, metric: Metric) -> np.ndarray:
    """The k nearest shared keys of some shared keys, by their place among the shared ones, int64 (n_rows, k)."""
    vectors = table.vectors if len(shared) == len(table) and (np.diff(shared) == 1).all() else table.vectors[shared]
    return ExactIndex(vectors).search(vectors[rows], k, metric, own_rows=rows).rows


def _is_set(vectors: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Whether vectors of some rows are anything but zero, bool (n_rows,)."""
    parts = [vectors[rows[start : start + _ROWS_AT_ONCE]].any(axis=1) for start in range(0, len(rows), _ROWS_AT_ONCE)]
    return np.concatenate(parts)


def _residual(left: np.ndarray, left_rows: np.ndarray, right: np.ndarray, right_rows: np.ndarray) -> float:
    left_mean = _mean(left, left_rows)
    right_mean = _mean(right, right_rows)
    covariance = np.zeros((left.shape[1], right.shape[1]))
    left_square = right_square = 0.0
    for start in range(0, len(left_rows), _ROWS_AT_ONCE):
        chunk = slice(start, start + _ROWS_AT_ONCE)
        a, b = left[left_rows[chunk]] - left_mean, right[right_rows[chunk]] - right_mean
        covariance += a.T @ b
        left_square += float((a * a).sum())
        right_square += float((b * b).sum())
    if not left_square or not right_square:  # one table holds a single point
        return 0.0 if left_square == right_square else 1.0
    common = np.linalg.svd(covariance, compute_uv=False).sum() ** 2 / (left_square * right_square)
    return float(max(0.0, 1.0 - common))


def _mean(vectors: np.ndarray, rows: np.ndarray) -> np.ndarray:
    total = np.zeros(vectors.shape[1])
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        total += vectors[rows[start : start + _ROWS_AT_ONCE]].sum(axis=0, dtype=np.float64)
    return total / len(rows)
