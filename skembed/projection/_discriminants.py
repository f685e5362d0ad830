"""Linear discriminants whose covariance within classes is shrunk as far as rows held out are told apart best.

Where columns are many beside the rows of a class, the spread within classes is underestimated most in the directions in
which it is smallest, and plain LDA looks there. How far the covariance is shrunk towards equal variances (Friedman
1989, "Regularized discriminant analysis") no property of the covariance alone can say: small variances may be chance,
or what tells classes apart. So classes of rows held out are predicted with several shrinkages. Columns are divided by
their spread within classes, pooled over all classes, so that one which does not vary in a class is no matter.
"""

from typing import Any

import numpy as np
from scipy import sparse
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from skembed.projection._linear import LinearMap
from skembed.training.whitening import slices

__all__ = ["NO_SPREAD", "discriminants"]

OWN_PARAMS = frozenset({"priors"})  # further ones ask for scikit-learn's solvers
N_FOLDS = 5
SHRINKAGES = (0.0, 0.0001, 0.001, 0.01, 0.03, 0.1, 0.2, 0.4, 0.6, 0.8, 0.95, 1.0)  # at 1 columns count each for itself
FLATTENINGS = (1.0, 0.3, 0.1, 0.03)
MANY_COLUMNS = 1_000  # from which on one fold is held out only
ROWS_SCORED = 1_000  # of a fold at most
SPAN_TOLERANCE = 1e-10  # of the largest singular value, below which a direction of the rows is rounding
VARIANCE_TOLERANCE = 1e-8  # of the largest variance within classes, as scikit-learn's 1e-4 of spreads
ROUNDING = 4 * float(np.finfo(np.float64).eps)  # of the largest number of a column: what sums of equal ones differ by
MEANS_TOLERANCE = 1e-4  # of the largest difference of class means, as scikit-learn's
NO_SPREAD = (
    "X does not vary within the classes of y, so that method='lda' has no spread to compare them with; use "
    "method='pca'."
)


def discriminants(X: np.ndarray, y: np.ndarray, limit: int, params: dict, *, random_state: Any) -> LinearMap:
    """Return all directions, `limit` at most, in which class means differ most beside the spread within classes.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features), float32 or float64
    y : ndarray of shape (n_samples,)
    limit : int
    params : dict
        Of `LinearDiscriminantAnalysis`, which learns where they name more than priors.
    random_state : Ignored
        No number is drawn.

    Returns
    -------
    LinearMap
        Of float64. The covariance of the output within classes is the identity, but for what was shrunk.

    Raises
    ------
    ValueError
        If nothing varies within the classes.
    """
    if set(params) <= OWN_PARAMS:
        return _shrunk(X, y, limit, params.get("priors"))
    try:
        fitted = LinearDiscriminantAnalysis(**params).fit(X, y)
    except IndexError as error:  # of an empty list of directions
        raise ValueError(NO_SPREAD) from error
    mean = fitted.xbar_ if params.get("solver", "svd") == "svd" else np.zeros(X.shape[1])
    share = np.nan_to_num(fitted.explained_variance_ratio_)
    return LinearMap(fitted.scalings_[:, :limit], np.asarray(mean), share=share)


def _shrunk(X: np.ndarray, y: np.ndarray, limit: int, priors: Any) -> LinearMap:
    classes, of_row = np.unique(y, return_inverse=True)
    counts = np.bincount(of_row)
    weights = counts / len(y) if priors is None else _checked(priors, len(classes))
    means = _class_means(X, of_row, counts)
    spread = _spread_within(X, of_row, means)
    if not (spread > 0).any() or len(y) <= len(classes):
        raise ValueError(NO_SPREAD)
    scale = np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > 0)
    mean = weights @ means
    rows = _Rows(X, mean, scale)
    centers = rows.coordinates(means)
    n_columns = int((scale > 0).sum())
    scatter = _scatter(rows, of_row, centers, np.arange(len(y)))
    shrinkage = _chosen_shrinkage(rows, of_row, centers, scatter, weights, n_columns)
    covariance = scatter / (len(y) - len(classes))
    variances, axes = np.linalg.eigh(covariance)
    precisions = _precisions(variances, shrinkage, n_columns)
    to_white = axes * np.sqrt(precisions)
    _, sizes, turn = np.linalg.svd(np.sqrt(weights)[:, None] * centers @ to_white, full_matrices=False)
    rank = int((sizes > MEANS_TOLERANCE * sizes[0]).sum()) if sizes.size and sizes[0] > 0 else 0
    rank = min(limit, rank)
    share = sizes[:rank] ** 2 / max(float(sizes @ sizes), float(np.finfo(np.float64).tiny))
    return LinearMap(rows.directions(to_white @ turn[:rank].T), mean, share=share)


class _Rows:
    """Rows less their mean, columns divided by their spread; coordinates in the space they span where that is smaller.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
    mean, scale : ndarray of shape (n_features,)
    """

    def __init__(self, X: np.ndarray, mean: np.ndarray, scale: np.ndarray) -> None:
        self.n_columns = X.shape[1]
        self._X, self._mean, self._scale, self._span = X, mean, scale, None
        if len(X) < X.shape[1]:
            _, sizes, span = np.linalg.svd((X - mean) * scale, full_matrices=False)
            self._span = span[sizes > SPAN_TOLERANCE * sizes[0]].T

    def coordinates(self, X: np.ndarray) -> np.ndarray:
        """Return rows of the space of X as (n_rows, dim), float64."""
        found = (X - self._mean) * self._scale
        return found if self._span is None else found @ self._span

    def __getitem__(self, places: Any) -> np.ndarray:
        return self.coordinates(self._X[places])

    def directions(self, found: np.ndarray) -> np.ndarray:
        """Return directions of the coordinates as those of the space of X, (n_features, n_directions)."""
        return (found if self._span is None else self._span @ found) * self._scale[:, None]


def _scatter(rows: _Rows, of_row: np.ndarray, centers: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Return the sum of squares and products of chosen rows less the centers of their classes."""
    total = np.zeros((centers.shape[1],) * 2)
    for part in slices(len(chosen), rows.n_columns):
        difference = rows[chosen[part]] - centers[of_row[chosen[part]]]
        total += difference.T @ difference
    return total


def _precisions(variances: np.ndarray, shrinkage: float, n_columns: int) -> np.ndarray:
    """Return what is divided by in each of the axes of a covariance that is shrunk; 0 for axes without variance."""
    shrunk = (1 - shrinkage) * variances + shrinkage * max(float(variances.sum()), 0.0) / n_columns
    kept = shrunk > VARIANCE_TOLERANCE * shrunk[-1]
    return np.divide(1.0, shrunk, out=np.zeros_like(shrunk), where=kept)


def _chosen_shrinkage(
    rows: _Rows, of_row: np.ndarray, centers: np.ndarray, scatter: np.ndarray, weights: np.ndarray, n_columns: int
) -> float:
    """Return the shrinkage with which classes of rows held out, each once, are predicted best.

    By log-loss, which few rows are enough for; after a flattening that suits the shrinkage best, since how sure
    predictions are changes the unit of the output only.
    """
    counts = np.bincount(of_row)
    fold_of_row = _folds(of_row, counts)
    n_folds = N_FOLDS if len(scatter) <= MANY_COLUMNS else 1
    losses = np.zeros((len(SHRINKAGES), len(FLATTENINGS)))
    for fold in range(n_folds):
        out = np.flatnonzero(fold_of_row == fold)
        left = counts - np.bincount(of_row[out], minlength=len(counts))
        known = left > 0
        n_left = int(left.sum())
        out = out[known[of_row[out]]]
        if not len(out) or n_left <= known.sum():
            continue
        sums = np.zeros_like(centers)
        np.add.at(sums, of_row[out], rows[out] - centers[of_row[out]])
        shift = -sums / np.maximum(left, 1)[:, None]
        part = scatter - _scatter(rows, of_row, centers, out) - (shift * left[:, None]).T @ shift
        variances, axes = np.linalg.eigh(part / (n_left - known.sum()))
        scored = out[:: max(1, -(-len(out) // ROWS_SCORED))]
        turned = rows[scored] @ axes
        turned_centers = (centers + shift)[known] @ axes
        logarithms = np.log(np.maximum(weights[known], np.finfo(np.float64).tiny))
        truth = (np.cumsum(known) - 1)[of_row[scored]]
        for i, shrinkage in enumerate(SHRINKAGES):
            precisions = _precisions(variances, shrinkage, n_columns)
            scores = (turned * precisions) @ turned_centers.T - 0.5 * (turned_centers**2 @ precisions)
            for j, flattening in enumerate(FLATTENINGS):
                losses[i, j] += (len(out) / len(scored)) * _log_loss(flattening * scores + logarithms, truth)
    return SHRINKAGES[int(losses.min(axis=1).argmin())]


def _folds(of_row: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return a fold for each row, such that rows of a class are in all of them alike."""
    order = np.argsort(of_row, kind="stable")
    within = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    folds = np.empty(len(order), dtype=np.int64)
    folds[order] = within % N_FOLDS
    return folds


def _log_loss(scores: np.ndarray, truth: np.ndarray) -> float:
    scores = scores - scores.max(axis=1, keepdims=True)
    return float(np.log(np.exp(scores).sum(axis=1)).sum() - scores[np.arange(len(scores)), truth].sum())


def _checked(priors: Any, n_classes: int) -> np.ndarray:
    weights = np.asarray(priors, dtype=np.float64)
    if weights.shape != (n_classes,) or not (weights >= 0).all() or not 0 < weights.sum() < np.inf:
        raise ValueError(
            f"method_params has priors={priors!r}; expected a share, 0 or more, for each of the {n_classes} classes "
            "of y, not all of them 0."
        )
    return weights / weights.sum()


def _class_means(X: np.ndarray, of_row: np.ndarray, counts: np.ndarray) -> np.ndarray:
    means = np.zeros((len(counts), X.shape[1]))
    shares = 1 / counts[of_row]
    for rows in slices(*X.shape):
        part = of_row[rows]
        one_hot = sparse.csr_matrix((shares[rows], part, np.arange(len(part) + 1)), (len(part), len(counts)))
        means += one_hot.T @ X[rows].astype(np.float64, copy=False)
    return means


def _spread_within(X: np.ndarray, of_row: np.ndarray, means: np.ndarray) -> np.ndarray:
    """Return the standard deviation of each column within classes, 0 where it is rounding."""
    largest = np.maximum(X.max(axis=0), -X.min(axis=0)).astype(np.float64)
    unit = np.where(largest > 0, largest, 1.0)  # in which squares are within float64
    squares = np.zeros(X.shape[1])
    for rows in slices(*X.shape):
        squares += np.square((X[rows] - means[of_row[rows]]) / unit).sum(axis=0)
    spread = np.sqrt(squares / len(X))
    if not np.isfinite(spread).all():
        raise np.linalg.LinAlgError("differences of rows are beyond float64")
    return np.where(spread > ROUNDING, spread * unit, 0.0)
