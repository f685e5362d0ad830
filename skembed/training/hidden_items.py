"""Choices by hidden items: how well they are found, and which setting finds them best."""

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

import numpy as np
from scipy import sparse

from skembed.ranking import best_k, discounted_gain

__all__ = ["HIDDEN_SHARE", "Trials", "choose_penalty", "climb", "gains_of_hidden", "rows_of"]

HIDDEN_SHARE = 0.2  # of a basket
SCORES_AT_ONCE = 1 << 22
RANKS = 100  # that the discounted gain looks at
STEP, FINE_STEP, MOST_STEPS = 4.0, 2.0, 8
Setting = TypeVar("Setting", bound=Hashable)


def rows_of(X: sparse.csr_matrix) -> np.ndarray:
    """Return the row of each entry."""
    return np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))


def gains_of_hidden(
    rows: np.ndarray, output: np.ndarray, shown: sparse.csr_matrix, hidden: sparse.csr_matrix
) -> np.ndarray:
    """Return the normalized discounted gain at 100 of each user, all of whom have something hidden.

    Parameters
    ----------
    rows : ndarray of shape (n_users, dim)
    output : ndarray of shape (n_items, dim)
        Products of both are the scores.
    shown, hidden : csr_matrix of shape (n_users, n_items)
    """
    n_items = len(output)
    gains = []
    for begin in range(0, len(rows), step := max(1, SCORES_AT_ONCE // n_items)):
        part = slice(begin, begin + step)
        scores = rows[part] @ output.T
        scores[rows_of(shown[part]), shown[part].indices] = -np.inf
        best = best_k(scores, min(RANKS, n_items))
        relevant = np.zeros(scores.shape, dtype=bool)
        relevant[rows_of(hidden[part]), hidden[part].indices] = True
        gains.append(discounted_gain(np.take_along_axis(relevant, best, axis=1), np.diff(hidden[part].indptr)))
    return np.concatenate(gains)


class Trials(Generic[Setting]):
    """Gains of hidden items, user by user, for each setting that was tried.

    Parameters
    ----------
    measure : callable
        Returns the gains of all users, (n_users,), for a setting.
    """

    def __init__(self, measure: Callable[[Setting], np.ndarray]) -> None:
        self.measure = measure
        self.gains: dict[Setting, np.ndarray] = {}

    def gain(self, setting: Setting) -> float:
        """Return the mean gain."""
        if setting not in self.gains:
            self.gains[setting] = self.measure(setting)
        return float(self.gains[setting].mean())

    def as_good(self, setting: Setting, best: Setting) -> bool:
        """Whether what the best is better by is within one standard error of the difference (Breiman et al. 1984)."""
        less = self.gains[best] - self.gains[setting]
        return float(less.mean()) <= float(less.std()) / np.sqrt(len(less))


def choose_penalty(trials: Trials[float], start: float) -> float:
    """Return a penalty under which hidden items are found best, from `start` on by factors of 4 and then 2.

    Of those that are as good within a standard error it is the largest, up to four times the best: beyond, few users
    cannot tell a vector that says little from one that says nothing.
    """
    found = climb(trials.gain, start, STEP)
    best = climb(trials.gain, found, FINE_STEP)
    return max(tried for tried in list(trials.gains) if tried <= STEP * best and trials.as_good(tried, best))


def climb(gain: Callable[[float], float], best: float, step: float) -> float:
    """Return where a function of a positive number is largest, by factors of `step` from `best` on.

    Examples
    --------
    >>> climb(lambda x: -abs(x - 40.0), 1.0, 4.0)
    16.0
    """
    for direction in (step, 1.0 / step):
        start = best
        for _ in range(MOST_STEPS):
            if gain(best * direction) <= gain(best):
                break
            best *= direction
        if best != start:
            break
    return best
