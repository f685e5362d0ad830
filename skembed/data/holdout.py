"""Hidden parts of baskets: the labels of whoever predicts items."""

import zlib
from collections import Counter
from itertools import pairwise
from numbers import Integral, Real
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils import check_array, check_random_state

from skembed.data.columns import column_labels, filled
from skembed.data.interactions import FOR_TEXT, as_lists, holds_baskets
from skembed.data.lists import distinct_keys
from skembed.data.matrix import naming_no_numbers, summable

__all__ = ["basket_split", "hide_share"]


def basket_split(
    X: Any, *, hidden: float = 0.2, order: str = "random", times: Any = None, random_state: Any = 0
) -> tuple[Any, Any]:
    """Split each basket into what is shown and what is hidden.

    Parameters
    ----------
    X : sparse matrix or array-like of shape (n_users, n_items), or list or column of lists of keys
    hidden : float or int, default=0.2
        A share of each basket, rounded, but at least one item; or a number of items. At least one item stays, so that
        of a basket of one item nothing is hidden.
    order : {"random", "last"}, default="random"
        Whether items are hidden at random, or the last ones: of lists those at their end, where an item that occurs
        more than once stands at its first place; of a matrix by `times`.
    times : sparse matrix or array-like of shape (n_users, n_items), default=None
        When each user met each item, as `read_interactions` returns it, for ``order="last"`` of a matrix. Of a pair
        that occurs more than once the latest counts; of equal times some are hidden at random, since the order of
        columns may tell how often items occur.
    random_state : int, RandomState instance or None, default=0
        What is hidden of a basket depends on it and on the basket alone, not on the other users or their order.

    Returns
    -------
    shown, hidden : csr_matrix of the same shape, or lists of lists

    Raises
    ------
    ValueError
        If `hidden` or `order` is no such value, or `times` is missing, would not be looked at, lacks a pair of X or
        has NaN for it.

    Examples
    --------
    >>> from skembed.interactions import basket_split
    >>> basket_split([["tea", "milk", "rye"], ["beer"]], hidden=1, order="last")
    ([['tea', 'milk'], ['beer']], [['rye'], []])
    """
    whole = isinstance(hidden, Integral) and not isinstance(hidden, bool)
    if not (hidden >= 1 if whole else isinstance(hidden, Real) and 0 < hidden < 1):
        raise ValueError(f"hidden={hidden!r}, expected a share between 0 and 1, or a number of items from 1 on.")
    if order not in ("random", "last"):
        raise ValueError(f"order={order!r}, expected 'random' or 'last'.")
    seed = _seed(random_state)
    if times is not None and order == "random":
        raise ValueError("times is given, and order='random' does not look at it; pass order='last', or no times.")
    if holds_baskets(X):
        if times is not None:
            raise ValueError(
                "times is given, and X holds lists of items, of which order='last' hides those at the end."
            )
        return _split_lists(X if isinstance(X, str | bytes) else as_lists(X), hidden, order, seed)
    with naming_no_numbers(X, "X", FOR_TEXT):
        read = check_array(summable(filled(X)), accept_sparse="csr", ensure_min_samples=0, input_name="X")
        matrix = sparse.csr_matrix(read, copy=True)  # refuses text that an older scikit-learn lets pass
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    ranks = basket_hashes(matrix.indices.astype(np.uint64), matrix.indptr, seed)
    if order == "last":
        if times is None:
            raise ValueError("order='last' of a matrix needs times, as read_interactions returns them.")
        labels, others = column_labels(X) or [], column_labels(times) or []
        if labels != others and Counter(labels) == Counter(others):
            raise ValueError("times has the columns of X in another order; pass times[X.columns].")
        by_time = np.lexsort((ranks, _times_of(matrix, times)))
        ranks = np.empty(len(by_time), dtype=np.int64)
        ranks[by_time] = np.arange(len(by_time))
    return _parts(matrix, hidden_places(matrix.indptr, _n_hidden(np.diff(matrix.indptr), hidden), ranks))


def _seed(random_state: Any) -> int:
    if isinstance(random_state, Integral):
        return int(random_state)
    if random_state is None:
        return int(np.random.SeedSequence().generate_state(1)[0])
    return check_random_state(random_state).randint(2**31)


def _n_hidden(counts: np.ndarray, hidden: float) -> np.ndarray:
    wanted = np.full(len(counts), hidden) if isinstance(hidden, Integral) else np.maximum(np.round(hidden * counts), 1)
    return np.minimum(wanted, counts - 1).clip(0).astype(np.int64)


def _split_lists(lists: Any, hidden: float, order: str, seed: int) -> tuple[list, list]:
    rows = list(distinct_keys(lists))
    indptr = np.cumsum([0, *map(len, rows)])
    if order == "last":
        ranks = np.arange(indptr[-1], dtype=np.uint64)
    else:
        items = np.array([zlib.crc32(repr(key).encode()) for row in rows for key in row], dtype=np.uint64)
        ranks = basket_hashes(items, indptr, seed)
    where = hidden_places(indptr, _n_hidden(np.diff(indptr), hidden), ranks)
    parts = [where[a:b] for a, b in pairwise(indptr)]
    return tuple(  # type: ignore[return-value]
        [[key for key, there in zip(row, part) if there == wanted] for row, part in zip(rows, parts)]
        for wanted in (False, True)
    )


def _times_of(X: sparse.csr_matrix, times: Any) -> np.ndarray:
    """Return the time of each entry of X: the latest of several."""
    times = sparse.coo_matrix(times) if sparse.issparse(times) else np.asarray(filled(times))
    if times.shape != X.shape:
        raise ValueError(f"times has shape {times.shape}, expected that of X, {X.shape}.")
    values = times.data if sparse.issparse(times) else times
    if values.dtype.kind not in "iuf":
        raise TypeError(f"times holds {values.dtype}, expected numbers, as read_interactions returns them.")
    rows = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))
    if sparse.issparse(times):
        in_order = np.lexsort((values, times.col, times.row))
        pairs = times.row[in_order].astype(np.int64) * X.shape[1] + times.col[in_order]
        wanted = rows * X.shape[1] + X.indices
        last = np.searchsorted(pairs, wanted, side="right") - 1
        lacking = (last < 0) | (pairs[last] != wanted) if len(pairs) else np.ones(len(wanted), dtype=bool)
        if lacking.any():
            at = int(np.argmax(lacking))
            raise ValueError(f"times has no entry for row {rows[at]} and column {X.indices[at]}, which X has.")
        when = values[in_order[last]]
    else:
        when = values[rows, X.indices]
    if np.isnan(when).any():
        at = int(np.argmax(np.isnan(when)))
        raise ValueError(f"times is NaN in row {rows[at]} and column {X.indices[at]}, which X has; expected a time.")
    return when


def hide_share(X: sparse.csr_matrix, share: float, seed: int) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    """Return what is shown of each basket, and what is hidden: a share of its items, at least one of two or more."""
    hashes = basket_hashes(X.indices.astype(np.uint64), X.indptr, seed)
    return _parts(X, hidden_places(X.indptr, _n_hidden(np.diff(X.indptr), share), hashes))


def hidden_places(indptr: np.ndarray, n_hidden: np.ndarray, ranks: np.ndarray) -> np.ndarray:
    """Return which entries are hidden, bool (nnz,): of each basket the `n_hidden` that rank last."""
    counts = np.diff(indptr)
    by_rank = np.lexsort((ranks, np.repeat(np.arange(len(counts)), counts)))
    from_end = np.repeat(indptr[1:], counts) - np.arange(indptr[-1])  # 1 for the last one of its basket
    hidden = np.zeros(int(indptr[-1]), dtype=bool)
    hidden[by_rank] = from_end <= np.repeat(n_hidden, counts)
    return hidden


def basket_hashes(items: np.ndarray, indptr: np.ndarray, seed: int) -> np.ndarray:
    """Return a random number for each entry, uint64, that depends on the seed, its item and its basket alone.

    So what is hidden of a user does not depend on who else is there, nor on their order.
    """
    with np.errstate(over="ignore"):
        mixed = _mixed(items + np.uint64(1) + np.uint64(seed % 2**32) * np.uint64(0x9E3779B97F4A7C15))
        totals = np.append(np.uint64(0), np.cumsum(mixed, dtype=np.uint64))
        baskets = totals[indptr[1:]] - totals[indptr[:-1]]
        return _mixed(mixed ^ np.repeat(_mixed(baskets), np.diff(indptr)))


def _mixed(values: np.ndarray) -> np.ndarray:
    """Return the finalizer of SplitMix64 (Steele, Lea & Flood 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _parts(X: sparse.csr_matrix, hidden: np.ndarray) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    return _kept(X, ~hidden), _kept(X, hidden)


def _kept(X: sparse.csr_matrix, kept: np.ndarray) -> sparse.csr_matrix:
    indptr = np.append(0, np.cumsum(kept))[X.indptr]
    return sparse.csr_matrix((X.data[kept], X.indices[kept], indptr), shape=X.shape)
