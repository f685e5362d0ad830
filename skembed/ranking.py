"""Ranked lists: the best k of many scores, ties by position, and the gain that relevant items have at their ranks."""

import numpy as np

__all__ = ["best_k", "discounted_gain"]


def best_k(scores: np.ndarray, k: int) -> np.ndarray:
    """Return the places of the k best scores of each row, best first; of equal scores the first place.

    Parameters
    ----------
    scores : ndarray of shape (n_rows, n_items)
        Without NaN.
    k : int
        At most n_items.

    Returns
    -------
    ndarray of shape (n_rows, k), int64

    Examples
    --------
    >>> best_k(np.array([[0.5, 2.0, 0.5, 0.5]]), 3)
    array([[1, 0, 2]])
    """
    n_rows, n_items = scores.shape
    if k >= n_items:
        return np.argsort(-scores, axis=1, kind="stable")[:, :k]
    worst = np.partition(scores, n_items - k, axis=1)[:, n_items - k, None]  # the k-th best
    above, tied = scores > worst, scores == worst
    room = k - above.sum(axis=1, keepdims=True)
    kept = above | (tied & (np.cumsum(tied, axis=1) <= room))
    places = np.nonzero(kept)[1].reshape(n_rows, k)
    order = np.argsort(-np.take_along_axis(scores, places, axis=1), axis=1, kind="stable")
    return np.take_along_axis(places, order, axis=1)


def discounted_gain(relevant: np.ndarray, n_relevant: np.ndarray) -> np.ndarray:
    """Return the normalized discounted cumulative gain of each row of a ranking (Järvelin & Kekäläinen 2002).

    Parameters
    ----------
    relevant : ndarray of shape (n_rows, k), bool
        Whether the item at each rank is relevant.
    n_relevant : ndarray of shape (n_rows,), int
        How many items are, at least 1.

    Returns
    -------
    ndarray of shape (n_rows,), float64

    Examples
    --------
    >>> discounted_gain(np.array([[True, False], [False, True]]), np.array([1, 1])).round(3)
    array([1.   , 0.631])
    """
    discounts = 1.0 / np.log2(np.arange(relevant.shape[1]) + 2.0)
    ideal = np.cumsum(discounts)[np.minimum(n_relevant, relevant.shape[1]) - 1]
    return (relevant @ discounts) / ideal
