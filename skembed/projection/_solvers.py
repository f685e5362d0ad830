"""The linear methods behind one door: from X, y and a number of dimensions to a `LinearMap`."""

import warnings
from collections.abc import Callable
from dataclasses import replace
from numbers import Integral
from typing import Any

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import ArpackError
from sklearn import config_context
from sklearn.exceptions import DataDimensionalityWarning
from sklearn.metrics.pairwise import euclidean_distances
from sklearn.neighbors import NeighborhoodComponentsAnalysis
from sklearn.random_projection import (
    GaussianRandomProjection,
    SparseRandomProjection,
    johnson_lindenstrauss_min_dim,
)
from sklearn.utils.multiclass import check_classification_targets

from skembed.data.target import as_python
from skembed.memory import check_memory
from skembed.projection._discriminants import discriminants
from skembed.projection._linear import LinearMap, whitened, with_fixed_signs
from skembed.projection._spectral import principal_map, singular_map
from skembed.projection._task import AUTO_LIMIT, NEEDS_Y, Task
from skembed.threads import blas_threads_for
from skembed.training.whitening import slices

__all__ = ["solve"]

EQUAL_SPREADS = 0.01  # relative, up to which columns count as being in one unit
ORDERED = frozenset({"pca", "lda", "svd"})  # methods whose first dimensions are what a fit of fewer finds


def solve(X: Any, y: np.ndarray | None, task: Task) -> LinearMap:
    """Learn a linear map of X, which has been validated.

    Numbers whose squares a float cannot hold are no harm: X is then learned from in a unit of its own.

    Parameters
    ----------
    X : ndarray or sparse matrix of shape (n_samples, n_features), float32 or float64
    y : ndarray of shape (n_samples,) or None
    task : Task

    Returns
    -------
    LinearMap

    Raises
    ------
    ValueError
        If the method cannot give that many dimensions, or y does not suit it.
    MemoryError
        If what is needed is more than the machine has.
    """
    if task.method in NEEDS_Y:
        check_classes(y, task.method)
    check_dim(X, y, task)
    found, failure = _tried(X, y, task)
    exponent = _exponent(X) if found is None or not found.is_sound() else None
    if exponent is not None:
        found, failure = _tried(_divided(X, exponent), y, task)
        found = None if found is None else found.rescaled(exponent)
    if failure is not None:
        if isinstance(failure, ValueError):
            raise failure
        raise ValueError(
            f"method={task.method!r} finds nothing in X: its solver fails ({failure}), as where rows do not differ. "
            "Use another method, or leave it out."
        ) from failure
    with np.errstate(over="ignore"):
        found = None if found is None else found.cast(X.dtype)
    if found is None or not found.is_finite():
        raise ValueError(
            f"method={task.method!r} found no finite projection of X, whose numbers reach {_largest(X):.3g}; "
            "scale X first, for instance by StandardScaler."
        )
    return found


def _tried(X: Any, y: np.ndarray | None, task: Task) -> tuple[LinearMap | None, Exception | None]:
    """Return the map, or why there is none."""
    try:
        return _solve_once(X, y, task), None
    except (ValueError, np.linalg.LinAlgError, ArpackError, IndexError) as error:  # the last one of NCA's start
        return None, error


def _solve_once(X: Any, y: np.ndarray | None, task: Task) -> LinearMap:
    # X was validated once; frames are made at the door; and scikit-learn warns of 0/0 where X does not vary
    with (
        config_context(assume_finite=True, transform_output="default"),
        np.errstate(all="ignore"),
        blas_threads_for(X.shape[0] * X.shape[1] * min(X.shape)),
    ):
        if task.cache is None or task.method in ORDERED:
            found = SOLVERS[task.method](X, y, task)
        else:
            found = task.cache.learned(_solve_unordered, X, y, replace(task.without_cache(), whiten=False))
        if task.whiten and found.is_finite():
            found = whitened(found, X, is_principal=task.method == "pca")
        return found


def _solve_unordered(X: Any, y: Any, task: Task, *, random_state: Any) -> LinearMap:
    return SOLVERS[task.method](X, y, replace(task, random_state=random_state))


# ------------------------------------------------------------------------------------------------ what is asked


def check_classes(y: Any, method: str) -> None:
    """Raise ValueError where y is not classes, or has one only."""
    try:
        check_classification_targets(y)
    except ValueError as error:
        raise ValueError(
            f"{error} method={method!r} needs classes in y; bin a continuous target, or use a method without y."
        ) from error
    classes = np.unique(y)
    if len(classes) < 2:
        raise ValueError(f"y has one class only, {as_python(classes[0])!r}; method={method!r} needs at least 2.")


def check_dim(X: Any, y: Any, task: Task) -> None:
    """Raise where the method cannot give as many dimensions as are asked for, or the machine cannot hold them."""
    n_samples, n_features = X.shape
    method, dim = task.method, task.embedding_dim
    if task.share is not None and dim != "auto" and method in ("lda", "random"):
        raise ValueError(
            f"embedding_dim={dim!r} asks for a share of the variance, which method={method!r} does not go by; give a "
            "number of dimensions or 'auto'."
        )
    limit, rule = n_features, "n_features"
    if method == "lda":
        n_classes = len(np.unique(y))
        limit, rule = min(n_classes - 1, n_features), f"min(n_classes - 1, n_features) for {n_classes} classes"
    elif method in ("pca", "svd"):
        limit, rule = min(n_samples, n_features), "min(n_samples, n_features)"
    if method != "random" and isinstance(dim, Integral) and dim > limit:
        more = "method='nca' for more dimensions than that" if method == "lda" else "method='random' or 'autoencoder'"
        raise ValueError(
            f"embedding_dim is {dim}, but method={method!r} gives at most {rule} = {limit} dimensions for X of shape "
            f"{X.shape}; lower embedding_dim, set it to 'auto', or use {more}."
        )
    size = np.dtype(X.dtype).itemsize
    width = int(dim) if isinstance(dim, Integral) else min(limit, AUTO_LIMIT)
    needed = size * width * (n_features + n_samples)
    advice = "lower embedding_dim"
    if method == "nca":  # softmax and its weights between all pairs of rows
        needed += 17 * n_samples * n_samples
        advice = "fit on fewer rows, or use method='lda'"
    elif method == "random" and "density" not in task.params:
        needed += 8 * width * n_features  # drawn in float64
    check_memory(needed, f"method={method!r} with {width} dimensions for X of shape {X.shape}", advice)


# --------------------------------------------------------------------------------------------------- the methods


def _lda(X: Any, y: Any, task: Task) -> LinearMap:
    solver = task.params.get("solver", "svd")
    if solver == "lsqr":
        raise ValueError("method_params has solver='lsqr', which finds no projection; use 'svd' or 'eigen'.")
    limit = min(len(np.unique(y)) - 1, X.shape[1])
    dim = limit if task.embedding_dim == "auto" else task.embedding_dim
    found = task.learned(discriminants, X, y, limit, dict(task.params))
    scalings = found.projection[:, :dim]
    rank = scalings.shape[1]
    if rank == 0 or (rank < dim and task.embedding_dim != "auto"):
        raise ValueError(
            f"embedding_dim is {dim}, but the class means of X differ in {rank} dimensions only; set embedding_dim to "
            "'auto' for as many as there are, or look for classes without a difference."
        )
    return replace(found, projection=with_fixed_signs(scalings), share=np.asarray(found.share)[:rank])


def _random(X: Any, y: Any, task: Task) -> LinearMap:
    params = dict(task.params)
    eps = params.pop("eps", 0.1)
    dim = task.embedding_dim
    if dim == "auto":
        dim = max(min(int(johnson_lindenstrauss_min_dim(X.shape[0], eps=eps)), X.shape[1]), 1)
    cls = SparseRandomProjection if set(params) & {"density", "dense_output"} else GaussianRandomProjection
    with warnings.catch_warnings():  # more dimensions than before are what was asked for
        warnings.simplefilter("ignore", DataDimensionalityWarning)
        components = cls(dim, random_state=task.random_state, **params).fit(X).components_
    # sparse where few of its entries are not 0
    return LinearMap(components.T, np.zeros(X.shape[1], dtype=X.dtype))


def _nca(X: Any, y: Any, task: Task) -> LinearMap:
    """NCA from the start that scikit-learn takes, and where columns have unlike spreads from that of equal ones, too.

    What is sought does not depend on the units of the columns, but the start does: where some are large, no row but the
    nearest counts, and no step leads anywhere. The second start has to bring one more row to its class.
    """
    found, score = _nca_from(X, y, task)
    spread = X.std(axis=0, dtype=np.float64)
    spread = np.where(spread > 0, spread, 1.0)
    if "init" in task.params or not np.isfinite(spread).all() or spread.max() <= spread.min() * (1 + EQUAL_SPREADS):
        return found
    scaled, other_score = _nca_from((X / spread).astype(X.dtype, copy=False), y, task)
    if not other_score > score + 1:
        return found
    return replace(scaled, projection=with_fixed_signs(scaled.projection / spread[:, None]))


def _nca_from(X: Any, y: Any, task: Task) -> tuple[LinearMap, float]:
    """Return the map, and how many rows find a row of their class, as `neighbors_of_own_class` counts them."""
    dim = task.embedding_dim
    if task.share is not None:
        dim = principal_map(X, replace(task, params={})).projection.shape[1]
    solver = NeighborhoodComponentsAnalysis(dim, max_iter=task.max_iter, random_state=task.random_state, **task.params)
    try:
        solver.fit(X, y)
    except ValueError as error:
        _, first, class_of = np.unique(y, return_index=True, return_inverse=True)
        if np.array_equal(X, X[first[class_of]]):  # an older scipy has this error of a matrix without columns
            raise IndexError(str(error)) from error
        raise
    projection = with_fixed_signs(solver.components_.T)
    found = LinearMap(projection, np.zeros(X.shape[1]), n_iter=max(int(solver.n_iter_), 1))
    return found, neighbors_of_own_class(X @ projection, y)


def neighbors_of_own_class(Z: np.ndarray, y: np.ndarray) -> float:
    """Return what NCA makes large: how many rows are expected to choose one of their class, nearer ones rather."""
    total = 0.0
    for rows in slices(len(Z), len(Z)):
        distances = euclidean_distances(Z[rows], Z, squared=True).astype(np.float64, copy=False)
        distances[np.arange(len(distances)), np.arange(len(Z))[rows]] = np.inf
        weights = np.exp(distances.min(axis=1, keepdims=True) - distances)
        total += float(((y[rows, None] == y) * weights).sum(axis=1) @ (1 / weights.sum(axis=1)))
    return total


SOLVERS: dict[str, Callable[[Any, Any, Task], LinearMap]] = {
    "pca": lambda X, y, task: principal_map(X, task),
    "lda": _lda,
    "random": _random,
    "nca": _nca,
    "svd": lambda X, y, task: singular_map(X, task),
}


# ---------------------------------------------------------------------------------------------- extreme numbers


def _largest(X: Any) -> float:
    values = X.data if sparse.issparse(X) else X
    return float(max(values.max(), -values.min())) if values.size else 0.0


def _exponent(X: Any) -> int | None:
    """Return the power of two that brings X near 1; None where the squares of its numbers are no harm."""
    largest = _largest(X)
    low, high = (1e-12, 1e12) if X.dtype == np.float32 else (1e-100, 1e100)
    if largest == 0 or low < largest < high:
        return None
    return int(np.frexp(largest)[1])


def _divided(X: Any, exponent: int) -> Any:
    if sparse.issparse(X):
        scaled = X.copy()
        scaled.data = np.ldexp(X.data, -exponent)
        return scaled
    return np.ldexp(X, -exponent)
