"""Scorer of recommendations: parts of baskets are hidden, and looked for among the best items."""

from itertools import pairwise
from numbers import Integral
from typing import Any

import numpy as np
from scipy import sparse

from skembed.data.columns import as_given
from skembed.data.holdout import basket_split
from skembed.ranking import discounted_gain

__all__ = ["recommendation_scorer"]

MEASURES = ("ndcg", "recall", "hit-rate")


class recommendation_scorer:
    """A scorer: how well the best k items of each user hold those that were hidden.

    Parameters
    ----------
    measure : {"ndcg", "recall", "hit-rate"}, default="ndcg"
        Normalized discounted cumulative gain; the hidden items among the k, over the smaller of k and their number
        (Liang et al. 2018); or whether there is any.
    k : int, default=100
    hidden : float or int, default=0.2
        What is hidden of each basket: a share, at least one item, or a number of items.
    random_state : int, default=0
        Chooses what is hidden; the same for all candidates of a search.

    Notes
    -----
    Called as ``scorer(estimator, X, y=None)``, for an estimator with `recommend`, or a Pipeline that ends in one. Items
    that `fit` did not meet are left out, and users with fewer than two others.

    Examples
    --------
    >>> from sklearn.model_selection import cross_val_score
    >>> from skembed import InteractionEmbedder
    >>> from skembed.interactions import recommendation_scorer
    >>> X = [["tea", "milk"], ["tea", "milk", "rye"], ["beer", "crisps"], ["beer", "crisps", "rye"]] * 10
    >>> scorer = recommendation_scorer("recall", k=1, hidden=1)
    >>> scores = cross_val_score(InteractionEmbedder(2, random_state=0), X, scoring=scorer)
    >>> len(scores)
    5
    """

    def __init__(self, measure: str = "ndcg", k: Any = 100, *, hidden: float = 0.2, random_state: int = 0) -> None:
        if measure not in MEASURES:
            raise ValueError(f"measure={measure!r}, expected one of {', '.join(map(repr, MEASURES))}.")
        if not isinstance(k, Integral) or isinstance(k, bool) or k < 1:
            raise ValueError(f"k={k!r}, expected a whole number of items from 1 on.")
        self.measure, self.k, self.hidden, self.random_state = measure, int(k), hidden, random_state

    def __repr__(self) -> str:
        return (
            f"recommendation_scorer({self.measure!r}, k={self.k}, hidden={self.hidden}, "
            f"random_state={self.random_state})"
        )

    def __call__(self, estimator: Any, X: Any, y: Any = None) -> float:
        step = estimator.steps[-1][1] if hasattr(estimator, "steps") else estimator
        read = getattr(estimator, "_read", None)
        # an embedder reads X itself: parts of a frame would be matrices without its names
        recommend = step.recommend if read is None else step._recommend
        shown, hidden = basket_split(X if read is None else read(X), hidden=self.hidden, random_state=self.random_state)
        if hasattr(estimator, "steps"):
            if sparse.issparse(shown) and not sparse.issparse(X):  # transformers may need names, or dense rows
                shown, hidden = (as_given(X, part) for part in (shown, hidden))
            for _, transformer in estimator.steps[:-1]:
                if transformer not in (None, "passthrough"):
                    shown, hidden = transformer.transform(shown), transformer.transform(hidden)
        keys, scores = recommend(shown, self.k)
        truth = _rows_of_keys(step, hidden)
        found = np.array(
            [[key in relevant for key in row] for relevant, row in zip(truth, keys)], dtype=bool
        ) & np.isfinite(scores)
        n_hidden = np.array([len(relevant) for relevant in truth])
        asked = n_hidden > 0
        if not asked.any():
            raise ValueError("no user of X has two items, so that nothing could be hidden of a basket.")
        found, n_hidden = found[asked], n_hidden[asked]
        if self.measure == "ndcg":
            return float(discounted_gain(found, n_hidden).mean())
        if self.measure == "recall":
            return float((found.sum(axis=1) / np.minimum(n_hidden, self.k)).mean())
        return float(found.any(axis=1).mean())


def _rows_of_keys(estimator: Any, baskets: Any) -> list[set[Any]]:
    """Return the keys that each basket holds, of those that may be recommended."""
    if isinstance(baskets, list):
        met = getattr(estimator, "embedding_", None)
        return [{key for key in basket if met is None or key in met} for basket in baskets]
    matrix = sparse.csr_matrix(baskets if sparse.issparse(baskets) else np.asarray(baskets))
    keys = estimator.embedding_.keys
    return [set(keys[matrix.indices[a:b]]) for a, b in pairwise(matrix.indptr)]
