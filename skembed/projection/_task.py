"""The task of one fit of a linear method, and the parameters of scikit-learn's classes that it takes."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from numbers import Integral
from typing import Any

from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.neighbors import NeighborhoodComponentsAnalysis
from sklearn.random_projection import GaussianRandomProjection, SparseRandomProjection

from skembed.projection._linear import LinearMap
from skembed.projection._memory import Cache

__all__ = ["AUTO_LIMIT", "AUTO_SHARE", "NEEDS_Y", "Task", "check_params"]

AUTO_SHARE = 0.95  # of the variance, for embedding_dim="auto"
AUTO_LIMIT = 512  # dimensions that "auto" takes at most where all of them are too many to compute
NEEDS_Y = frozenset({"lda", "nca"})

CLASSES: dict[str, tuple[type, ...]] = {
    "pca": (PCA,),
    "lda": (LinearDiscriminantAnalysis,),
    "random": (GaussianRandomProjection, SparseRandomProjection),
    "nca": (NeighborhoodComponentsAnalysis,),
    "svd": (TruncatedSVD,),
    "autoencoder": (),
}
OURS = {"n_components", "random_state", "whiten", "copy", "max_iter", "compute_inverse_components", "warm_start"}


@dataclass(frozen=True)
class Task:
    """One fit of a linear method.

    Attributes
    ----------
    method : str
    embedding_dim : int, float or "auto"
    whiten : bool
    params : mapping
        For scikit-learn's class.
    max_iter : int
    random_state : RandomState
    cache : Cache or None
        Where what was learned is kept; None to learn anew.
    """

    method: str
    embedding_dim: Any
    whiten: bool
    params: Mapping[str, Any]
    max_iter: int
    random_state: Any
    cache: Cache | None = None

    @property
    def share(self) -> float | None:
        """The share of the variance that decides how many dimensions; None where their number is given."""
        if isinstance(self.embedding_dim, Integral):
            return None
        return AUTO_SHARE if self.embedding_dim == "auto" else float(self.embedding_dim)

    def learned(self, learn: Callable[..., LinearMap], *arguments: Any) -> LinearMap:
        """Return ``learn(*arguments, random_state=...)``, from the cache if there is one."""
        if self.cache is None:
            return learn(*arguments, random_state=self.random_state)
        return self.cache.learned(learn, *arguments)

    def without_cache(self) -> "Task":
        """Return it as something that a cache can compare."""
        return replace(self, params=dict(self.params), random_state=None, cache=None)


def check_params(method: str, params: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Return `method_params` as a mapping, or say which of them the method does not have.

    Raises
    ------
    ValueError
    """
    params = {} if params is None else params
    if not params:
        return {}
    known: set[str] = set()
    for cls in CLASSES[method]:
        known |= set(inspect.signature(cls).parameters) - OURS
    for name in params:
        if name not in known:
            takes = f"it takes {', '.join(map(repr, sorted(known)))}" if known else "it takes none"
            raise ValueError(
                f"method_params names {name!r}, which method={method!r} does not take; {takes}. The number of "
                "dimensions, whitening, iterations and the random state are parameters of ProjectionEmbedder itself."
            )
    return params
