"""Baskets as vectors: of users that were in `fit` or not, from the vectors of their items; and what scores best."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from skembed.ranking import best_k
from skembed.state import stored

__all__ = ["KINDS", "FoldIn", "rank_items"]

_SCORES_AT_ONCE = 1 << 22


KINDS = ("sum", "mean", "least-squares", "constant")


@stored
@dataclass(frozen=True)
class FoldIn:
    """How the vector of a basket is made of those of its items.

    Attributes
    ----------
    kind : {"sum", "mean", "least-squares", "constant"}
        The sum or the mean of its items, weighted by its values; the solution of `skembed.training.ials`; or `empty`
        for all.
    empty : ndarray of shape (dim,), float32
        The vector of a basket without a known item: the mean of those that were learned from.
    penalty, unobserved_weight : float
        Of least squares.
    """

    kind: str
    empty: np.ndarray
    penalty: float = 0.0
    unobserved_weight: float = 0.0

    def apply(self, X: sparse.csr_matrix, vectors: np.ndarray, prior: float = 0.0) -> np.ndarray:
        """Return the vectors of baskets, float32 (n_users, dim); a row depends on nothing but its own basket.

        `empty` is added `prior` times to those that have an item.
        """
        if self.kind == "constant":
            return np.repeat(self.empty[None], X.shape[0], axis=0)
        rows = self._solve(X, vectors) if self.kind == "least-squares" else np.asarray(X @ vectors)
        if self.kind == "mean":
            rows /= np.maximum(np.asarray(X.sum(axis=1), dtype=np.float32).reshape(-1, 1), 1e-30)
        if prior:
            rows += np.float32(prior) * self.empty
        rows[np.diff(X.indptr) == 0] = self.empty
        return rows

    def _solve(self, X: sparse.csr_matrix, vectors: np.ndarray) -> np.ndarray:
        """Solve ``(w V.T V + sum x v v.T + penalty (sum x + w n_items) I) u = sum x v`` for each user."""
        wide = vectors.astype(np.float64)
        weight = self.unobserved_weight
        gram, identity = weight * (wide.T @ wide), np.eye(vectors.shape[1])
        rows = np.zeros((X.shape[0], vectors.shape[1]), np.float32)
        for user in np.flatnonzero(np.diff(X.indptr)):
            place = slice(X.indptr[user], X.indptr[user + 1])
            found, values = wide[X.indices[place]], X.data[place].astype(np.float64)
            weighted = values[:, None] * found
            own = self.penalty * (values.sum() + weight * len(vectors))
            rows[user] = np.linalg.solve(gram + found.T @ weighted + own * identity, weighted.sum(axis=0))
        return rows


def rank_items(
    rows: np.ndarray,
    output: np.ndarray,
    seen: sparse.csr_matrix,
    k: int,
    *,
    exclude_seen: bool,
    among: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the places of the k best items of each user, best first, and their scores.

    Parameters
    ----------
    rows : ndarray of shape (n_users, dim)
    output : ndarray of shape (n_items, dim)
    seen : csr_matrix of shape (n_users, n_items)
    k : int
    exclude_seen : bool
        Whether what a user has scores minus infinity.
    among : ndarray of int, optional
        Places of the items that may be recommended; without, all.

    Returns
    -------
    places : ndarray of shape (n_users, k), int64
        Of equal scores the first place comes first.
    scores : ndarray of shape (n_users, k), float32
        Minus infinity where nothing was left.
    """
    places = np.arange(len(output)) if among is None else among
    k = min(k, len(places))
    best, scores = np.empty((len(rows), k), np.int64), np.empty((len(rows), k), np.float32)
    candidates = output[places]
    for part in _parts(len(rows), len(places)):
        scored = rows[part] @ candidates.T
        if exclude_seen:
            known = seen[part][:, places].tocoo()
            scored[known.row, known.col] = -np.inf
        found = best_k(scored, k)
        best[part], scores[part] = places[found], np.take_along_axis(scored, found, axis=1)
    return best, scores


def _parts(n_rows: int, n_columns: int) -> Iterator[slice]:
    step = max(1, _SCORES_AT_ONCE // max(n_columns, 1))
    return (slice(begin, begin + step) for begin in range(0, n_rows, step))
