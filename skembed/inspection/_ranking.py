"""Lists of recommendations against what was relevant: recall and normalized discounted cumulative gain."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Set
from typing import Any

import numpy as np
from scipy import sparse

from skembed.data.columns import filled
from skembed.data.matrix import summable
from skembed.inspection._words import positive_int
from skembed.table.keys import key_list

__all__ = ["ndcg_at_k", "recall_at_k"]

_SCORES_AT_ONCE = 1 << 21  # float64 scores looked at in one go, 16 MiB


def recall_at_k(y_true: Any, y_score: Any, *, k: int = 10, ranked: bool = False) -> float:
    """Share of a query's relevant items that are among its k best, mean over queries.

    Parameters
    ----------
    y_true : array-like or sparse matrix of shape (n_queries, n_items), or with ranked=True n_queries collections
        Relevance: what is above 0 is relevant. With ``ranked=True`` for each query its relevant keys (a set, a list,
        an array), or a mapping from them to their relevance.
    y_score : array-like of shape (n_queries, n_items), or with ranked=True n_queries sequences
        Scores; minus infinity for items that are not to be recommended. With ``ranked=True`` for each query the keys
        recommended, best first, none twice; of any length, and None at the end is no key.
    k : int, default=10
    ranked : bool, default=False
        Whether `y_score` holds ranked keys in place of scores.

    Returns
    -------
    float
        Queries with nothing relevant are left out.

    Raises
    ------
    ValueError
        If shapes do not fit, a score is nan, a key is recommended twice, keys are of other types than relevant ones, or
        no query has anything relevant.

    Notes
    -----
    Of equal scores each order is equally likely, and the result is the mean over them.

    Examples
    --------
    >>> from skembed.inspection import recall_at_k
    >>> recall_at_k([[1, 0, 1, 0], [0, 1, 0, 0]], [[0.9, 0.8, 0.1, 0.2], [0.1, 0.9, 0.2, 0.3]], k=2)
    0.75
    >>> recall_at_k([{"tea", "milk"}, {"rye"}], [["tea", "jam"], ["rye", "jam"]], k=2, ranked=True)
    0.75

    In a grid search, for an estimator that predicts lists of keys:

    >>> from sklearn.metrics import make_scorer
    >>> scorer = make_scorer(recall_at_k, k=5, ranked=True)
    """
    k = positive_int(k, "k")
    recalls = [hits.sum(axis=1) / n_relevant for hits, n_relevant in _hits(y_true, y_score, k, ranked)]
    return _mean(recalls)


def ndcg_at_k(y_true: Any, y_score: Any, *, k: int = 10, ranked: bool = False) -> float:
    """Discounted gain of a query's k best as a share of the best possible, mean over queries.

    Järvelin & Kekäläinen (2002). The item at rank i adds its relevance divided by log2(i + 1).

    Parameters
    ----------
    y_true : array-like or sparse matrix of shape (n_queries, n_items), or with ranked=True n_queries collections
        Relevance, not negative. With ``ranked=True`` for each query its relevant keys (a set, a list, an array), or
        a mapping from them to their relevance.
    y_score : array-like of shape (n_queries, n_items), or with ranked=True n_queries sequences
        Scores; minus infinity for items that are not to be recommended. With ``ranked=True`` for each query the keys
        recommended, best first, none twice; of any length, and None at the end is no key.
    k : int, default=10
    ranked : bool, default=False
        Whether `y_score` holds ranked keys in place of scores.

    Returns
    -------
    float
        Queries with nothing relevant are left out.

    Raises
    ------
    ValueError
        If shapes do not fit, a score is nan, relevance is negative, a key is recommended twice, keys are of other types
        than relevant ones, or no query has anything relevant.

    Notes
    -----
    Equals ``sklearn.metrics.ndcg_score``, which however counts a query with nothing relevant as 0. Of equal scores
    each order is equally likely, and the result is the mean over them.

    Examples
    --------
    >>> from skembed.inspection import ndcg_at_k
    >>> round(ndcg_at_k([[3, 0, 1]], [[0.2, 0.7, 0.1]], k=2), 3)
    0.521
    >>> round(ndcg_at_k([{"tea": 3, "rye": 1}], [["jam", "tea", "rye"]], k=2, ranked=True), 3)
    0.521
    """
    k = positive_int(k, "k")
    discounts = 1 / np.log2(np.arange(k) + 2)
    shares = []
    for gains, ideal in _gains(y_true, y_score, k, ranked):
        best = ideal @ discounts[: ideal.shape[1]]
        shares.append((gains @ discounts[: gains.shape[1]])[best > 0] / best[best > 0])
    return _mean(shares)


def _mean(values: list[np.ndarray]) -> float:
    joined = np.concatenate(values) if values else np.empty(0)
    if not len(joined):
        raise ValueError("y_true must hold a query with something relevant, got none.")
    return float(joined.mean())


def _hits(y_true: Any, y_score: Any, k: int, ranked: bool) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Expected hits by rank, (n, <=k), and the number of relevant items, (n,), of blocks of queries that have any."""
    if ranked:
        for truth, keys in _ranked_queries(y_true, y_score):
            relevant = {key for key, gain in truth.items() if gain > 0}
            if relevant:
                yield np.array([[float(key in relevant) for key in keys[:k]]]), np.array([len(relevant)])
        return
    for relevance, scores in _blocks(y_true, y_score):
        n_relevant = (relevance > 0).sum(axis=1)
        asked = n_relevant > 0
        yield _by_rank((relevance[asked] > 0).astype(np.float64), scores[asked], k), n_relevant[asked]


def _gains(y_true: Any, y_score: Any, k: int, ranked: bool) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Expected relevance by rank, (n, <=k), and the largest possible, (n, <=k), of blocks of queries."""
    if ranked:
        for truth, keys in _ranked_queries(y_true, y_score):
            if min(truth.values(), default=0) < 0:
                raise ValueError(f"the relevance in y_true must not be negative, got {truth}.")
            ideal = sorted(truth.values(), reverse=True)[:k]
            yield np.array([[float(truth.get(key, 0)) for key in keys[:k]]]), np.array([ideal], dtype=np.float64)
        return
    for relevance, scores in _blocks(y_true, y_score):
        if (relevance < 0).any():
            raise ValueError(f"the relevance in y_true must not be negative, got {relevance.min()}.")
        last = max(0, relevance.shape[1] - k)
        yield _by_rank(relevance, scores, k), -np.sort(-np.partition(relevance, last, axis=1)[:, last:], axis=1)


def _by_rank(relevance: np.ndarray, scores: np.ndarray, k: int) -> np.ndarray:
    """Expected relevance at the ranks 1 to k, (n_queries, min(k, n_items)); equal scores share their mean."""
    n_queries, n_items = scores.shape
    k = min(k, n_items)
    if not n_queries:
        return np.empty((0, k))
    best = np.argpartition(-scores, k - 1, axis=1)[:, :k]
    best = np.take_along_axis(best, np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1), axis=1)
    ordered = np.take_along_axis(scores, best, axis=1)
    gains = np.take_along_axis(relevance, best, axis=1)
    # of the items that tie with the last rank not all need be within it: they share the mean of all
    tied = scores == ordered[:, -1:]
    boundary = (relevance * tied).sum(axis=1) / tied.sum(axis=1)
    gains = np.where(ordered == ordered[:, -1:], boundary[:, None], gains)
    groups = _groups(ordered)
    sums, sizes = np.bincount(groups.ravel(), gains.ravel()), np.bincount(groups.ravel())
    gains = (sums / sizes)[groups]
    gains[np.isneginf(ordered)] = 0.0
    return gains


def _groups(ordered: np.ndarray) -> np.ndarray:
    """Number the runs of equal scores, the same shape; no run goes on in the next row."""
    starts = np.ones(ordered.shape, dtype=np.int64)
    starts[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    return np.cumsum(starts.ravel()).reshape(ordered.shape) - 1


def _blocks(y_true: Any, y_score: Any) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Relevance and scores of some queries at a time, float64 (n, n_items)."""
    relevance = summable(y_true).tocsr() if sparse.issparse(y_true) else _numbers(y_true, "y_true")
    scores = _numbers(y_score.toarray() if sparse.issparse(y_score) else y_score, "y_score")
    if relevance.ndim != 2 or relevance.shape != scores.shape or not scores.shape[1]:
        raise ValueError(
            f"y_true and y_score must both have shape (n_queries, n_items), got {relevance.shape} and {scores.shape}; "
            "for lists of keys pass ranked=True."
        )
    step = max(1, _SCORES_AT_ONCE // scores.shape[1])
    for start in range(0, len(scores), step):
        part: Any = relevance[start : start + step]
        block = (part.toarray() if sparse.issparse(part) else part).astype(np.float64)
        if not np.isfinite(block).all():
            raise ValueError(f"y_true must be finite, got {block[~np.isfinite(block)][0]} in it.")
        scored = scores[start : start + step].astype(np.float64)
        if np.isnan(scored).any():
            raise ValueError(
                f"y_score must not hold nan, query {start + int(np.isnan(scored).any(axis=1).argmax())} has one; "
                "for an item that is not to be recommended give minus infinity."
            )
        yield block, scored


def _numbers(values: Any, name: str) -> np.ndarray:
    try:
        array = np.asarray(filled(values))
    except ValueError:  # ragged
        array = np.empty(0, dtype=object)
    if array.dtype.kind not in "fiub":
        raise TypeError(
            f"{name} must be numbers of shape (n_queries, n_items), got {type(values).__name__} of other values; for "
            "lists of keys pass ranked=True."
        )
    return array


def _ranked_queries(y_true: Any, y_score: Any) -> Iterator[tuple[Mapping, list]]:
    """Relevance by key, and keys by rank, of each query."""
    truths, lists = list(y_true), list(y_score)
    if len(truths) != len(lists):
        raise ValueError(f"y_true and y_score must be equally many queries, got {len(truths)} and {len(lists)}.")
    true_kinds: dict[type, Any] = {}  # a key of each type
    ranked_kinds: dict[type, Any] = {}
    for query, (truth, ranking) in enumerate(zip(truths, lists)):
        keys = key_list(ranking, f"y_score[{query}]")
        while keys and keys[-1] is None:  # `recommend` fills rows with it where nothing is left
            keys.pop()
        if len(set(keys)) < len(keys):
            twice = next(key for key, count in Counter(keys).items() if count > 1)
            raise ValueError(f"y_score[{query}] recommends {twice!r} twice; name each key once.")
        relevance = _relevance(truth, query)
        true_kinds |= {_kind(key): key for key in relevance}
        ranked_kinds |= {_kind(key): key for key in keys}
        yield relevance, keys
    if true_kinds and ranked_kinds and true_kinds.keys().isdisjoint(ranked_kinds):
        true, recommended = next(iter(true_kinds.values())), next(iter(ranked_kinds.values()))
        raise ValueError(
            f"no key of y_score is of a type that those of y_true have: they are such as {recommended!r} of type "
            f"{type(recommended).__name__}, those of y_true such as {true!r} of type {type(true).__name__}; turn them "
            "into the same type."
        )


def _kind(key: Any) -> type:
    """Return the type of a key, one for all numbers, of which those of two types may be equal."""
    return float if isinstance(key, bool | int | float) else type(key)


def _relevance(truth: Any, query: int) -> Mapping:
    if isinstance(truth, Mapping):
        keys = key_list(list(truth), f"y_true[{query}]")
        return dict(zip(keys, (float(gain) for gain in truth.values())))
    if isinstance(truth, str) or not isinstance(truth, Iterable):
        raise TypeError(f"y_true[{query}] must be a collection of keys, got {truth!r}.")
    return dict.fromkeys(key_list(list(truth) if isinstance(truth, Set) else truth, f"y_true[{query}]"), 1.0)
