"""Principal components from batch after batch (Ross et al. 2008), going on from a whole fit or from earlier batches."""

from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from sklearn import config_context
from sklearn.decomposition import IncrementalPCA

from skembed.memory import check_memory
from skembed.projection._linear import LinearMap
from skembed.projection._task import AUTO_SHARE
from skembed.state import stored

__all__ = ["Increments", "incremental_map", "partial_pca"]

LARGEST_NUMBER = 1e150  # of numbers whose squares, and sums of many of them, are within float64


@stored
@dataclass(frozen=True)
class Increments:
    """What an IncrementalPCA has learned so far.

    Attributes
    ----------
    n_components : int
    learned : dict of str to ndarray, number or None
        Its attributes, by their names.
    """

    n_components: int
    learned: dict[str, np.ndarray | np.integer | float | None]  # scikit-learn below 1.9 counts rows in int64

    @classmethod
    def of(cls, solver: IncrementalPCA) -> "Increments":
        parameters = solver.get_params()
        learned = {n: v for n, v in vars(solver).items() if n not in parameters}
        copied = {n: np.array(v, order="K") if isinstance(v, np.ndarray) else v for n, v in learned.items()}
        return cls(solver.n_components, copied)

    def solver(self) -> IncrementalPCA:
        """Return one that goes on from here; arrays are replaced by further batches, not changed."""
        solver = IncrementalPCA(self.n_components)
        vars(solver).update(self.learned)
        return solver


def partial_pca(X: np.ndarray, known: tuple[LinearMap, int] | Increments | None, embedding_dim: Any) -> IncrementalPCA:
    """Learn principal components from one more batch (Ross et al. 2008, as scikit-learn's IncrementalPCA).

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
    known : Increments, (LinearMap, int) or None
        What earlier batches left; or a whole fit's map, and how many rows it saw.
    embedding_dim : int, float or "auto"
        Settled by the first batch where it is no number.

    Returns
    -------
    IncrementalPCA
        A new one.
    """
    n_samples, n_features = X.shape
    first = known is None
    if known is None:
        if isinstance(embedding_dim, Integral) and embedding_dim > min(n_samples, n_features):
            raise ValueError(
                f"embedding_dim is {embedding_dim}, but the first batch of partial_fit has shape {X.shape} and gives "
                f"at most {min(n_samples, n_features)} dimensions; lower embedding_dim or give a larger first batch."
            )
        solver = IncrementalPCA(int(embedding_dim) if isinstance(embedding_dim, Integral) else None)
    else:
        solver = known.solver() if isinstance(known, Increments) else _resumed(*known)
    dim = solver.n_components or min(n_samples, n_features)
    check_memory(
        np.dtype(np.float64).itemsize * n_features * (n_samples + 2 * dim),
        f"a batch of shape {X.shape} beside {dim} components",
        "give smaller batches or lower embedding_dim",
    )
    _check_reach(solver, X)
    with config_context(assume_finite=True), np.errstate(all="ignore"):
        solver.partial_fit(X)
    if first and solver.n_components is None:
        share = AUTO_SHARE if embedding_dim == "auto" else embedding_dim
        kept = np.cumsum(np.nan_to_num(solver.explained_variance_ratio_))
        dim = min(int(np.searchsorted(kept, share)) + 1, len(kept))
        solver.n_components = dim
        for name in ("components_", "singular_values_", "explained_variance_", "explained_variance_ratio_"):
            setattr(solver, name, getattr(solver, name)[:dim])
    if not np.isfinite(solver.components_).all() or not np.isfinite(solver.explained_variance_).all():
        raise ValueError(
            f"principal components of this batch are not finite; its numbers reach {np.abs(X).max():.3g}. "
            "Scale X first."
        )
    return solver


def _check_reach(solver: IncrementalPCA, X: np.ndarray) -> None:
    """Raise ValueError where squares would be beyond float64: LAPACK need not come back from a matrix with infinity."""
    reached = {"its numbers reach": X}
    if hasattr(solver, "components_"):
        with np.errstate(all="ignore"):
            learned = solver.singular_values_[:, None] * solver.components_
        reached |= {"earlier batches had a mean of": np.asarray(solver.mean_), "earlier batches reach": learned}
    for what, numbers in reached.items():
        largest = float(np.abs(numbers).max(initial=0.0))
        if not largest <= LARGEST_NUMBER:
            raise ValueError(
                f"principal components of this batch are not finite; {what} {largest:.3g}, expected at most "
                f"{LARGEST_NUMBER:.0e}. Scale X first."
            )


def incremental_map(solver: IncrementalPCA) -> LinearMap:
    """Return what an IncrementalPCA has learned so far."""
    return LinearMap(
        projection=solver.components_.T,
        mean=np.asarray(solver.mean_),
        inverse=solver.components_,
        variance=solver.explained_variance_,
        share=np.nan_to_num(solver.explained_variance_ratio_),
        is_unit=True,
    )


def _resumed(found: LinearMap, n_rows: int) -> IncrementalPCA:
    """Return an IncrementalPCA in the state that a whole fit's components amount to."""
    variance, share, inverse = np.asarray(found.variance), np.asarray(found.share), np.asarray(found.inverse)
    n_features = len(found.mean)
    solver = IncrementalPCA(len(variance))
    total = variance.sum() / share.sum() if share.any() else 0.0
    length = np.linalg.norm(inverse, axis=1, keepdims=True)  # of whitened ones, not 1
    solver.components_ = inverse / np.where(length > 0, length, 1)
    solver.mean_ = found.mean
    solver.singular_values_ = np.sqrt(variance * (n_rows - 1))
    solver.n_samples_seen_, solver.n_components_ = n_rows, solver.n_components
    # only the sum over columns is used
    solver.var_ = np.full(n_features, total * (n_rows - 1) / n_rows / n_features, dtype=np.float64)
    solver.n_features_in_ = n_features
    return solver
