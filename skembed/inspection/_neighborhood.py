"""Neighbourhoods of a space, and how much of them another space of the same points keeps (Venna & Kaski 2001)."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.metrics import pairwise_distances
from sklearn.neighbors import NearestNeighbors
from sklearn.utils import check_array, check_random_state

from skembed.data.columns import filled
from skembed.inspection._words import positive_int
from skembed.table import EmbeddingTable

__all__ = ["neighborhood_preservation", "sampled_rows", "trustworthiness"]

_DISTANCES_AT_ONCE = 1 << 23  # float64 distances held at a time, 64 MiB
_SQUARES_FIT = 1e-12, 1e12  # largest numbers of which float32 holds the squares, and sums of many of them


def trustworthiness(
    X: Any,
    X_embedded: Any,
    *,
    n_neighbors: int = 5,
    metric: Any = "euclidean",
    sample_size: int | None = None,
    random_state: Any = None,
) -> float:
    """Whether points that are neighbours in the embedding were neighbours before.

    One minus the mean of by how many ranks each of the `n_neighbors` nearest in `X_embedded` misses the `n_neighbors`
    nearest in `X`, scaled so that the worst is 0 (Venna & Kaski 2001, equation 2).

    Parameters
    ----------
    X : array-like or sparse matrix of shape (n_samples, n_features), or EmbeddingTable
        The points before. With ``metric="precomputed"`` all their distances, (n_samples, n_samples).
    X_embedded : array-like of shape (n_samples, embedding_dim), or EmbeddingTable
        The same points after, row by row; of two tables, by their keys. Here neighbours are those of the Euclidean
        distance.
    n_neighbors : int, default=5
        Less than half of n_samples.
    metric : str or callable, default="euclidean"
        Of `X`: any of scikit-learn's ``pairwise_distances``.
    sample_size : int or None, default=None
        So many points, drawn at random, are judged, against all points. None: every point.
    random_state : int, RandomState instance or None, default=None
        Draws the sample.

    Returns
    -------
    float
        1 if every neighbour after was one before.

    Raises
    ------
    ValueError
        If the two do not hold the same number of points, finite, or are tables of other keys, or `n_neighbors` does
        not fit.

    Notes
    -----
    Equals ``sklearn.manifold.trustworthiness`` on all points, but for points equally far from one: they share the best
    of their ranks, so that an embedding is not blamed for what `X` does not tell apart, where scikit-learn ranks them
    in no particular order. It holds all n x n distances and ranks, and this 64 MiB of them at a time.

    Examples
    --------
    >>> import numpy as np
    >>> from skembed.inspection import trustworthiness
    >>> X = np.arange(20.0).reshape(-1, 1)
    >>> trustworthiness(X, 3 * X)
    1.0
    >>> round(trustworthiness(X, X % 7), 2)
    0.47
    """
    X, X_embedded = _same_points(X, X_embedded)
    n_neighbors = _check(X, X_embedded, n_neighbors, metric)
    n_samples = X.shape[0]
    if n_neighbors >= n_samples / 2:
        raise ValueError(
            f"n_neighbors must be less than half of the {n_samples} points, got {n_neighbors}; ask for fewer."
        )
    rows = sampled_rows(n_samples, sample_size, random_state)
    found = _neighbors(X_embedded, rows, n_neighbors, "euclidean")
    penalty = 0.0
    for chunk in _chunks(len(rows), n_samples):
        ranks = _ranks(_distances(X, rows[chunk], metric), found[chunk])
        penalty += float(np.maximum(ranks - n_neighbors, 0).sum())
    worst = len(rows) * n_neighbors * (2.0 * n_samples - 3.0 * n_neighbors - 1.0) / 2
    return 1.0 - penalty / worst


def neighborhood_preservation(
    X: Any,
    X_embedded: Any,
    *,
    n_neighbors: int = 10,
    metric: Any = "euclidean",
    embedded_metric: Any = "euclidean",
    sample_size: int | None = None,
    random_state: Any = None,
) -> float:
    """Share of the nearest neighbours that are neighbours in the embedding too.

    Parameters
    ----------
    X : array-like or sparse matrix of shape (n_samples, n_features), or EmbeddingTable
        The points before. With ``metric="precomputed"`` all their distances, (n_samples, n_samples).
    X_embedded : array-like of shape (n_samples, embedding_dim), or EmbeddingTable
        The same points after, row by row; of two tables, by their keys.
    n_neighbors : int, default=10
        Less than n_samples.
    metric, embedded_metric : str or callable, default="euclidean"
        Of `X` and of `X_embedded`: any of scikit-learn's ``NearestNeighbors``.
    sample_size : int or None, default=None
        So many points, drawn at random, are judged, against all points. None: every point.
    random_state : int, RandomState instance or None, default=None
        Draws the sample.

    Returns
    -------
    float
        0 to 1; by chance about n_neighbors / (n_samples - 1).

    Raises
    ------
    ValueError
        If the two do not hold the same number of points, finite, or are tables of other keys, or `n_neighbors` does
        not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from skembed.inspection import neighborhood_preservation
    >>> X = np.arange(40.0).reshape(-1, 2)
    >>> neighborhood_preservation(X, X[:, :1], n_neighbors=4)
    1.0
    """
    X, X_embedded = _same_points(X, X_embedded)
    n_neighbors = _check(X, X_embedded, n_neighbors, metric)
    rows = sampled_rows(X.shape[0], sample_size, random_state)
    before = _neighbors(X, rows, n_neighbors, metric)
    after = _neighbors(X_embedded, rows, n_neighbors, embedded_metric)
    return mean_overlap(before, after)


def mean_overlap(left: np.ndarray, right: np.ndarray) -> float:
    """Mean share of the rows of `left`, (n, k), that are in the same row of `right`; in a row nothing repeats."""
    both = np.sort(np.concatenate([left, right], axis=1), axis=1)
    return float((both[:, 1:] == both[:, :-1]).sum() / left.size)


def sampled_rows(n_samples: int, sample_size: int | None, random_state: Any) -> np.ndarray:
    """Sorted rows to judge: all of them, or as many as asked."""
    if sample_size is None or positive_int(sample_size, "sample_size", "or None for all points") >= n_samples:
        return np.arange(n_samples)
    return np.sort(check_random_state(random_state).choice(n_samples, sample_size, replace=False))


def _same_points(X: Any, X_embedded: Any) -> tuple[Any, np.ndarray]:
    """Points before and after, row by row; of two tables, those of each key."""
    if isinstance(X, EmbeddingTable) and isinstance(X_embedded, EmbeddingTable):
        keys, others = X.keys.tolist(), X_embedded.keys.tolist()
        if len(keys) == len(others) and keys != others:
            stranger = next((key for key in others if key not in X), None)
            if stranger is not None:
                raise ValueError(
                    f"X and X_embedded must be tables of the same keys, got {stranger!r:.60} in X_embedded alone; "
                    "compare_tables compares two tables by their shared keys."
                )
            X_embedded = X_embedded.subset(keys)
    return _points(X, "X", sparse_too=True), _points(X_embedded, "X_embedded")


def _points(points: Any, name: str, *, sparse_too: bool = False) -> Any:
    if isinstance(points, EmbeddingTable):
        points = points.vectors
    else:
        kinds = ("csr",) if sparse_too else False
        points = check_array(filled(points), accept_sparse=kinds, dtype=[np.float64, np.float32], input_name=name)
    if points.dtype == np.float32:
        values = points.data if sparse.issparse(points) else points
        largest = max(float(values.max(initial=0)), -float(values.min(initial=0)))
        if largest and not _SQUARES_FIT[0] < largest < _SQUARES_FIT[1]:  # else all distances are 0, or infinite
            return points.astype(np.float64)
    return points


def _check(X: Any, X_embedded: np.ndarray, n_neighbors: Any, metric: Any) -> int:
    positive_int(n_neighbors, "n_neighbors")
    n_samples = X.shape[0]
    if n_samples != len(X_embedded):
        raise ValueError(
            f"X and X_embedded must hold the same points row by row, got {n_samples} and {len(X_embedded)} rows; "
            "compare_tables compares two tables by their shared keys."
        )
    if isinstance(metric, str) and metric == "precomputed" and X.shape[1] != n_samples:
        raise ValueError(f"metric='precomputed' needs X of shape (n_samples, n_samples), got {X.shape}.")
    if n_neighbors >= n_samples:
        raise ValueError(f"n_neighbors must be less than the {n_samples} points, got {n_neighbors}.")
    return int(n_neighbors)


def _chunks(n_rows: int, n_samples: int) -> Iterator[slice]:
    step = max(1, _DISTANCES_AT_ONCE // n_samples)
    return (slice(start, start + step) for start in range(0, n_rows, step))


def _distances(X: Any, rows: np.ndarray, metric: Any) -> np.ndarray:
    """Distances of some points to all, (n_rows, n_samples), a new array; to itself each is infinitely far."""
    if isinstance(metric, str) and metric == "precomputed":
        distances = X[rows].toarray() if sparse.issparse(X) else X[rows]
    else:
        distances = pairwise_distances(X[rows], X, metric=metric)
    distances[np.arange(len(rows)), rows] = np.inf
    return distances


def _ranks(distances: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Rank, from 1, of each of the points `found`, (n_rows, k), by its distance; equal distances, equal ranks."""
    ranks = np.empty(found.shape)
    for i in range(found.shape[1]):
        there = np.take_along_axis(distances, found[:, i : i + 1], axis=1)
        ranks[:, i] = np.count_nonzero(distances < there, axis=1) + 1
    return ranks


def _neighbors(points: Any, rows: np.ndarray, k: int, metric: Any) -> np.ndarray:
    """The k nearest other points of some points, int64 (n_rows, k)."""
    searched = NearestNeighbors(n_neighbors=k + 1, metric=metric).fit(points)
    found = searched.kneighbors(points[rows], return_distance=False)
    # a point finds itself, but not always first, and among more than k copies of it perhaps not at all
    own = found == rows[:, None]
    own[~own.any(axis=1), -1] = True
    return found[~own].reshape(len(rows), k)
