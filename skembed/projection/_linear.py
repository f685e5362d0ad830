"""A linear change of space, ``(X - mean) @ projection``: applied, undone, whitened, and scaled."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import sparse

from skembed.state import stored
from skembed.training.whitening import column_means

__all__ = ["LinearMap", "reciprocal", "whitened", "with_fixed_signs"]

RANK_TOLERANCE = 1e-5  # of the largest standard deviation: below, a direction of the output is rounding


@stored
@dataclass(frozen=True)
class LinearMap:
    """What a linear method learned.

    Attributes
    ----------
    projection : ndarray or sparse array of shape (n_features, embedding_dim)
    mean : ndarray of shape (n_features,)
        Zeros where the method does not center.
    inverse : ndarray of shape (embedding_dim, n_features) or None
        ``Z @ inverse + mean`` is what `Z` stands for; None where the method has no way back.
    variance, share : ndarray of shape (embedding_dim,) or None
        Variance of each dimension before whitening, and its share of the total: of all variance, for LDA of the
        variance between classes.
    is_unit : bool
        Whether the columns of `projection` have length 1 whatever the unit of X is.
    n_iter : int
    output : ndarray of shape (n_samples, embedding_dim) or None
        The vectors of the rows it was learned from, where the solver left them.
    """

    projection: Any
    mean: np.ndarray
    inverse: np.ndarray | None = None
    variance: np.ndarray | None = None
    share: np.ndarray | None = None
    is_unit: bool = False
    n_iter: int = 1
    output: np.ndarray | None = None

    def apply(self, X: Any) -> np.ndarray:
        """Return ``(X - mean) @ projection`` in the dtype of X, without making a centered copy of X.

        Parameters
        ----------
        X : ndarray or sparse matrix of shape (n_samples, n_features), float32 or float64

        Returns
        -------
        ndarray of shape (n_samples, embedding_dim)
        """
        projection = self.projection.astype(X.dtype, copy=False)
        Z = X @ projection
        if sparse.issparse(Z):
            Z = Z.toarray()
        if self.mean.any():
            Z -= (self.mean @ self.projection).astype(X.dtype, copy=False)
        return Z

    def invert(self, Z: np.ndarray) -> np.ndarray:
        """Return the rows of the input space that `Z`, (n_samples, embedding_dim), stands for."""
        inverse = self.inverse if self.inverse is not None else np.linalg.pinv(_dense(self.projection))
        X = Z @ inverse.astype(Z.dtype, copy=False)
        X += self.mean.astype(Z.dtype, copy=False)
        return X

    def column_vectors(self) -> np.ndarray:
        """Return a vector for each column of X, (n_features, embedding_dim), dense.

        Of ordered directions of length 1 they are loadings: each dimension times the root of its share of the variance.
        The cosines of two columns are then how they vary together, so far as the dimensions tell, and dimensions of
        little variance say little; rows of `projection` alone are all at right angles where dimensions are as many as
        columns. Whitening changes nothing. Other methods have no such share, and rows of `projection`.
        """
        if self.variance is None or self.share is None or self.inverse is None:
            return _dense(self.projection)
        if not self.is_unit:  # whitened: the way back is as long as the spread, in the units of X
            back = np.asarray(self.inverse).T.astype(np.float64)
            back /= np.abs(back).max(initial=0.0) or 1.0
            return back * (np.sqrt(np.sum(self.share)) / (np.linalg.norm(back) or 1.0))
        share = np.asarray(self.share)
        return _dense(self.projection) * np.sqrt(share) if share.any() else _dense(self.projection)

    def cut(self, dim: int) -> "LinearMap":
        """Return the first dimensions of one whose dimensions are ordered and have length 1, at most all of them."""
        if dim >= self.projection.shape[1]:
            return self
        return replace(
            self,
            projection=self.projection[:, :dim],
            inverse=None if self.inverse is None else self.inverse[:dim],
            variance=None if self.variance is None else self.variance[:dim],
            share=None if self.share is None else self.share[:dim],
            output=None,
        )

    def whitened_components(self) -> "LinearMap":
        """Return it with each dimension divided by its standard deviation: uncorrelated ones are whitened by that."""
        spread = np.sqrt(self.variance)  # type: ignore[arg-type]
        return replace(
            self,
            projection=self.projection * reciprocal(spread, _rounding(self.mean, self.projection)),
            inverse=spread[:, None] * self.inverse,
            is_unit=False,
            output=None,
        )

    def is_finite(self) -> bool:
        """Whether projection and mean are."""
        projection = self.projection.data if sparse.issparse(self.projection) else self.projection
        return bool(np.isfinite(projection).all() and np.isfinite(self.mean).all())

    def is_sound(self) -> bool:
        """Whether all is finite, and not all of the variance was lost to rounding."""
        if self.variance is None or not self.is_finite():
            return self.is_finite()
        limits = np.finfo(self.variance.dtype)  # of what is smaller, digits are lost
        return bool(np.isfinite(self.variance).all() and self.variance.max(initial=0) > limits.tiny / limits.eps)

    def rescaled(self, exponent: int) -> "LinearMap":
        """Return the map for X that was learned from ``X / 2**exponent``."""
        with np.errstate(over="ignore", under="ignore"):
            variance = None if self.variance is None else np.ldexp(self.variance, 2 * exponent)
            found = replace(self, mean=np.ldexp(self.mean, exponent), variance=variance, output=None)
            if self.is_unit:
                return found
            inverse = None if self.inverse is None else np.ldexp(self.inverse, exponent)
            projection = self.projection.copy()
            values = projection.data if sparse.issparse(projection) else projection
            values[...] = np.ldexp(values, -exponent)
            return replace(found, projection=projection, inverse=inverse)

    def contiguous(self) -> "LinearMap":
        """Return it with arrays that are no parts of larger ones, so that copies of it give the same bits."""
        parts = {name: getattr(self, name) for name in ("projection", "mean", "inverse", "variance", "share")}
        copied: dict[str, Any] = {n: np.array(a, order="K") for n, a in parts.items() if isinstance(a, np.ndarray)}
        return replace(self, **copied)

    def cast(self, dtype: Any) -> "LinearMap":
        """Return it with arrays of one dtype."""

        def to(array: Any) -> Any:
            return None if array is None else array.astype(dtype, copy=False)

        return replace(
            self,
            projection=to(self.projection),
            mean=to(self.mean),
            inverse=to(self.inverse),
            variance=to(self.variance),
            share=to(self.share),
            output=to(self.output),
        )


def with_fixed_signs(projection: np.ndarray) -> np.ndarray:
    """Turn each column so that its largest entry is positive, as scikit-learn does for PCA."""
    if projection.shape[0] == 0 or projection.shape[1] == 0:
        return projection
    largest = projection[np.abs(projection).argmax(axis=0), np.arange(projection.shape[1])]
    return projection * np.where(largest < 0, -1, 1).astype(projection.dtype)


def whitened(found: LinearMap, X: Any, *, is_principal: bool) -> LinearMap:
    """Let the output have mean 0 and the identity as its covariance on X.

    Of all ways to whiten the one whose axes stay nearest to those before (Kessy, Lewin & Strimmer 2018, "ZCA"), which
    for principal components is to divide by standard deviations. Directions without variance stay at 0.

    Parameters
    ----------
    found : LinearMap
    X : ndarray or sparse matrix of shape (n_samples, n_features)
    is_principal : bool
        Whether `found.variance` belongs to components that are uncorrelated on X, so that X need not be read.

    Returns
    -------
    LinearMap
    """
    if is_principal:
        return found.whitened_components()
    mean = column_means(X).astype(X.dtype, copy=False)
    Z = replace(found, mean=mean).apply(X).astype(np.float64, copy=False)
    variances, axes = np.linalg.eigh(Z.T @ Z / max(len(Z) - 1, 1))
    spread = np.sqrt(np.maximum(variances, 0))
    projection = _dense(found.projection)
    factors = reciprocal(spread, _rounding(mean, projection @ axes))
    turn = (axes * factors) @ axes.T
    back = (axes * np.where(factors > 0, spread, 0.0)) @ axes.T
    inverse = None if found.inverse is None else back @ found.inverse
    return replace(found, projection=projection @ turn, mean=mean, inverse=inverse, is_unit=False, output=None)


def reciprocal(spread: np.ndarray, rounding: np.ndarray | float = 0.0) -> np.ndarray:
    """Return 1 / spread, and 0 where it is rounding: beside the largest, or by how the rows were made."""
    keep = spread > np.maximum(RANK_TOLERANCE * spread.max(initial=0.0), rounding)
    return np.divide(1.0, spread, out=np.zeros_like(spread), where=keep)


def _rounding(mean: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Return how far from 0 the output may come to lie of rows that are all equal to their mean.

    Parameters
    ----------
    mean : ndarray of shape (n_features,)
    directions : ndarray of shape (n_features, embedding_dim)
        In which the output is measured: those of LDA are short where the numbers of X are large.

    Returns
    -------
    ndarray of shape (embedding_dim,)
    """
    largest = float(np.abs(mean).max(initial=0.0)) or 1.0  # whose square may be no number
    length = float(np.linalg.norm(mean.astype(np.float64) / largest))
    reach = np.linalg.norm(directions.astype(np.float64, copy=False) * largest, axis=0)
    return 4 * float(np.finfo(mean.dtype).eps) * length * reach


def _dense(matrix: Any) -> np.ndarray:
    return matrix.toarray() if sparse.issparse(matrix) else matrix
