"""PCA and truncated SVD: directions by falling variance, so many as are asked for or as keep a share of it."""

from collections.abc import Callable
from numbers import Integral
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.decomposition import PCA, TruncatedSVD

from skembed.projection._linear import LinearMap
from skembed.projection._task import AUTO_LIMIT, Task

__all__ = ["principal_map", "singular_map"]

EXACT_SIZE = 1_000  # rows or columns up to which all components are computed at once
SMALL_SIZE = 500  # rows and columns up to which scikit-learn's PCA computes all components of dense X
FIRST_GUESS = 64  # components to begin with where a share of the variance is asked of a larger matrix
LOST_SHARE = 1e-4  # of the greatest variance, from which on digits that a covariance has lost are worth a second one
LEAST_CACHED = 64  # dimensions of what is kept for later cuts, at least; above, powers of two


def principal_map(X: Any, task: Task) -> LinearMap:
    """PCA, of sparse X without making it dense."""
    smaller, share = min(X.shape), task.share
    solver = task.params.get("svd_solver", "auto")

    def learned(n_components: int | float) -> LinearMap:
        return task.learned(_principal_components, X, n_components, dict(task.params))

    if share is None:
        dim = int(task.embedding_dim)
        return learned(dim if task.cache is None else _cached_size(dim, *_limit_of_pca(X, solver))).cut(dim)
    exact = _is_tall(X) or smaller <= EXACT_SIZE or solver in ("full", "covariance_eigh")
    if exact and solver not in ("arpack", "randomized"):
        if task.cache is None:
            return learned(share)
        found = learned(smaller)
        kept = np.cumsum(np.asarray(found.share))
        # as PCA counts: more than the share, and one where nothing varies
        return found.cut(int(np.searchsorted(kept, share, side="right")) + 1 if kept[-1] > 0 else 1)
    limit = smaller - (solver == "arpack")
    return _grow(learned, share, min(limit, AUTO_LIMIT) if task.embedding_dim == "auto" else limit)


def _principal_components(X: Any, n_components: int | float, params: dict, *, random_state: Any) -> LinearMap:
    whole = not isinstance(n_components, Integral) or n_components >= min(X.shape)
    if sparse.issparse(X) and params.get("svd_solver", "auto") == "auto" and (_is_tall(X) or whole):
        # the other solver for sparse X cannot find all components
        params = params | {"svd_solver": "covariance_eigh"}
    solver = PCA(n_components, random_state=random_state, **params).fit(X)
    mean = solver.mean_
    if _is_of_covariance(X, params) and _lost_in_means(solver):
        solver = PCA(n_components, random_state=random_state, **params).fit(X - mean)
        mean = mean + solver.mean_
    return LinearMap(
        projection=solver.components_.T,
        mean=mean,
        inverse=solver.components_,
        variance=solver.explained_variance_,
        share=np.nan_to_num(solver.explained_variance_ratio_),
        is_unit=True,
    )


def _is_of_covariance(X: Any, params: dict) -> bool:
    """Whether PCA forms the covariance of dense X without having centered it."""
    solver = params.get("svd_solver", "auto")
    return not sparse.issparse(X) and (solver == "covariance_eigh" or (solver == "auto" and _is_tall(X)))


def _lost_in_means(solver: PCA) -> bool:
    """Whether digits of variances were lost: a covariance is a difference of squares, here much larger than it."""
    eps = float(np.finfo(solver.mean_.dtype).eps)
    lost = eps * float(np.square(solver.mean_, dtype=np.float64).max(initial=0.0))
    return bool(np.isfinite(lost)) and lost > LOST_SHARE * float(solver.explained_variance_.max(initial=0.0))


def _is_tall(X: Any) -> bool:
    """Whether X is what PCA learns from by its covariance."""
    return X.shape[1] <= EXACT_SIZE and X.shape[0] >= 10 * X.shape[1]


def _limit_of_pca(X: Any, solver: str) -> tuple[int, bool]:
    """Return how many components PCA's solver finds at most, and whether it computes all of them whatever is asked."""
    smaller = min(X.shape)
    if solver in ("full", "covariance_eigh"):
        return smaller, True
    if solver == "auto" and (_is_tall(X) or (not sparse.issparse(X) and max(X.shape) <= SMALL_SIZE)):
        return smaller, True
    return smaller - (solver == "arpack" or sparse.issparse(X)), False


def _cached_size(dim: int, limit: int, computes_all: bool) -> int:
    """Return how many dimensions are learned where some may be cut away later: the same for all usual `dim`."""
    return max(dim, limit if computes_all else min(limit, max(LEAST_CACHED, 1 << (dim - 1).bit_length())))


def _grow(learned: Callable[[int], LinearMap], share: float, limit: int) -> LinearMap:
    """Compute twice as many components until they keep the share; return those that keep it."""
    k = min(FIRST_GUESS, limit)
    while True:
        found = learned(k)
        kept = np.cumsum(np.asarray(found.share))
        if kept[-1] >= share or k >= limit:
            return found.cut(int(np.searchsorted(kept, share)) + 1)
        del found  # its output may be large
        k = min(2 * k, limit)


def singular_map(X: Any, task: Task) -> LinearMap:
    """Truncated SVD, which does not center."""
    if X.shape[1] == 1:  # the solver wants two columns; of one there is nothing to choose
        one = np.ones((1, 1), dtype=X.dtype)
        variance = np.asarray((X.toarray() if sparse.issparse(X) else X).var(axis=0))
        share = (variance > 0).astype(X.dtype)
        return LinearMap(one, np.zeros(1, dtype=X.dtype), inverse=one, variance=variance, share=share, is_unit=True)
    limit = min(X.shape) - (task.params.get("algorithm") == "arpack")

    def learned(n_components: int) -> LinearMap:
        return task.learned(_singular_vectors, X, n_components, dict(task.params), task.cache is None)

    if task.share is None:
        dim = int(task.embedding_dim)
        return learned(dim if task.cache is None else _cached_size(dim, limit, computes_all=False)).cut(dim)
    return _grow(
        learned,
        task.share,
        min(limit, AUTO_LIMIT) if task.embedding_dim == "auto" and min(X.shape) > EXACT_SIZE else limit,
    )


def _singular_vectors(X: Any, n_components: int, params: dict, keep_output: bool, *, random_state: Any) -> LinearMap:
    solver = TruncatedSVD(n_components, random_state=random_state, **params)
    output = solver.fit_transform(X)  # computed anyway
    return LinearMap(
        projection=solver.components_.T,
        mean=np.zeros(X.shape[1], dtype=X.dtype),
        inverse=solver.components_,
        variance=solver.explained_variance_,
        share=np.nan_to_num(solver.explained_variance_ratio_),
        is_unit=True,
        output=output if keep_output else None,
    )
