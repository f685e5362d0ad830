"""Anomalies by their distance to the nearest usual rows."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from numbers import Integral, Real
from typing import Any, cast

import numpy as np
from sklearn.base import OutlierMixin
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skembed.anomaly._dual_distances import mean_distances, nearest, new_blocks, own_blocks
from skembed.anomaly._own_distances import own_neighbors
from skembed.base import EmbeddingEstimator
from skembed.data.columns import row_labels
from skembed.data.keys import Keys
from skembed.data.matrix import check_finite, read_matrix
from skembed.memory import check_memory
from skembed.state import stored
from skembed.table import EmbeddingTable
from skembed.table.neighbors import ExactIndex, Neighbors, row_norms
from skembed.training.callbacks import whole_or_nothing
from skembed.training.whitening import Centering, DualWhitening, Whitening, learn_whitening
from skembed.warning import warn

__all__ = ["NeighborAnomalyDetector"]

ROUNDING = 1e-5  # of the length of a row: what float32 leaves of its digits, and a few more
WHISKER = 1.5  # interquartile ranges beyond the third quartile (Tukey 1977), of logarithms of distances


def _for_new_rows(self: Any) -> bool:
    if self.novelty:
        return True
    raise AttributeError(
        "This method is for new rows and needs novelty=True; with novelty=False, fit_predict says which of the rows "
        "of fit are outliers."
    )


def _for_own_rows(self: Any) -> bool:
    if not self.novelty:
        return True
    raise AttributeError("fit_predict needs novelty=False; with novelty=True, use fit and then predict on new rows.")


class _MadeWhenAsked(cached_property):
    """A property that gives way to an attribute of its name, but is not kept as one: other threads read attributes."""

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self if instance is None else self.func(instance)


@stored
class NeighborAnomalyDetector(OutlierMixin, EmbeddingEstimator):
    """Tell unusual rows by their distance to the nearest usual ones, whitened by the usual rows' covariance.

    The last step of a Pipeline behind anything that makes vectors: images, documents, categories.

    Parameters
    ----------
    n_neighbors : int, default=5
        The score is the mean distance to so many.
    whiten : bool, default=True
        Measure along each direction in units of what is usual there, by the Ledoit-Wolf covariance of the rows of
        `fit` [1]_. False leaves distances as they are.
    contamination : "auto" or float, default="auto"
        Which distances are unusual. A float, at most 0.5, is the share of the rows of `fit` that are, and the expected
        share of new usual rows; with n rows it cannot be less than 1 / (n + 1). "auto" compares distances with each
        other: beyond the third quartile of their logarithms by more than 1.5 interquartile ranges.
    novelty : bool, default=False
        As in `LocalOutlierFactor`: False is for outliers among the rows of `fit` themselves, by `fit_predict`; True
        is for new rows, by `predict`, `decision_function` and `score_samples`, where the rows of `fit` are usual.

    Attributes
    ----------
    embedding_ : EmbeddingTable
        The rows of `fit` as distances are measured between them, whitened or centred. Its keys are those of the
        table that `fit` was given, or the index of a frame, or row numbers. Where whitened rows are no more than
        columns it is made each time it is asked for: distances follow from products with them.
    training_scores_ : ndarray of shape (n_samples,)
        Score of each row of `fit` by the others, as if it had not been there: higher is more usual.
    offset_ : float
        Scores below are those of outliers.
    n_neighbors_ : int
        Fewer than `n_neighbors` where there are not so many rows.
    shrinkage_ : float or None
        Of the covariance, from 0 to 1; None without one.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in_,)

    See Also
    --------
    sklearn.neighbors.LocalOutlierFactor : Compares a distance with those around the neighbours.
    sklearn.covariance.EllipticEnvelope : Distance to the mean in place of neighbours.

    Notes
    -----
    Rows of `fit` draw the covariance towards themselves, all the more the fewer they are: by it they seem nearer to
    each other than a new row is to any of them. `training_scores_` and `offset_` are therefore of a covariance without
    the row in question, in closed form.

    Where usual rows are of several kinds, most of the covariance is what lies between these, and ``whiten=False`` may
    tell more.

    Columns of different units are to be scaled before: what Ledoit and Wolf shrink towards has the same variance in
    every column. Neighbours are exact. Sparse rows stay sparse while they are whitened, where those of `fit` are more
    than columns; else, and with ``whiten=False``, the rows of `fit` are made dense. Time to whiten grows with the
    third power of the number of rows or columns, whichever is less; reduce tens of thousands of both before, by
    `ProjectionEmbedder`.

    References
    ----------
    .. [1] Ledoit & Wolf (2004), "A well-conditioned estimator for large-dimensional covariance matrices".
    .. [2] Ramaswamy, Rastogi & Shim (2000), "Efficient algorithms for mining outliers from large data sets".

    Examples
    --------
    >>> import numpy as np
    >>> from skembed import NeighborAnomalyDetector
    >>> usual = np.random.default_rng(0).normal(size=(200, 3))
    >>> detector = NeighborAnomalyDetector(novelty=True).fit(usual)
    >>> detector.predict([[0.1, 0.0, 0.2], [6.0, 6.0, 6.0]])
    array([ 1, -1])
    >>> key, distance = detector.explain([[6.0, 6.0, 6.0]])[0][0]
    >>> usual[key].round(1)
    array([1.1, 0.8, 2. ])
    """

    _state = {
        "embedding_": EmbeddingTable, "training_scores_": np.ndarray, "offset_": float, "n_neighbors_": int,
        "_placing": Whitening | DualWhitening | Centering, "_keys": Keys,
    }  # fmt: skip
    _parameter_constraints: dict = {
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "whiten": ["boolean"],
        "contamination": [StrOptions({"auto"}), Interval(Real, 0, 0.5, closed="right")],
        "novelty": ["boolean"],
    }
    _placing: Whitening | DualWhitening | Centering
    _keys: Keys  # where rows are no more than columns, and a table of them is made when it is asked for

    def __init__(
        self,
        n_neighbors: int = 5,
        *,
        whiten: bool = True,
        contamination: float | str = "auto",
        novelty: bool = False,
    ) -> None:
        self.n_neighbors = n_neighbors
        self.whiten = whiten
        self.contamination = contamination
        self.novelty = novelty

    @whole_or_nothing
    def fit(self, X: Any, y: Any = None) -> "NeighborAnomalyDetector":
        """Keep the rows that others are compared with, and learn which distances are usual.

        Parameters
        ----------
        X : array-like, sparse matrix or dataframe of shape (n_samples, n_features), or EmbeddingTable
            At least two rows. Of a table the vectors are taken, and neighbours are called by its keys.
        y : object, default=None
            Not used.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If X has NaN or infinite values, text, or less than two rows.
        """
        self._validate_params()
        read = self._read(X, reset=True, ensure_min_samples=2)
        n, width = read.shape
        check_memory(
            4 * n * (min(n, width) if self.whiten else width),
            f"{n} usual rows of {width} columns",
            "lower the number of columns, for instance by ProjectionEmbedder, or take a part of the rows",
        )
        placing: Whitening | DualWhitening | Centering
        if self.whiten:
            with self._naming_what_is_not_finite(read):
                placing = learn_whitening(read)
        else:
            self._check_finite(read)
            placing = Centering.of(read)
        keys, k = _keys(X, n), min(int(self.n_neighbors), n - 1)
        if self.n_neighbors >= n:
            warn(
                f"n_neighbors is {self.n_neighbors} and there are {n} rows, each with {n - 1} others; "
                f"n_neighbors_ is {n - 1}."
            )
        if isinstance(placing, DualWhitening):
            scores = -mean_distances(placing, own_blocks(placing), k)
            length = math.sqrt(placing.squared_lengths.max())
            self.__dict__.pop("embedding_", None)
            self._keys = keys
        else:
            table = EmbeddingTable.of_keys(keys, _placed(placing, read), metric="euclidean")
            scores = -_own_neighbors(table, placing, k).scores.mean(axis=1, dtype=np.float64)
            lengths = row_norms(table.vectors)
            # by a covariance none is longer than the root of n; without one a single row may be, beyond all distances
            length = float(lengths.max() if self.whiten else np.median(lengths))
            self.__dict__.pop("_keys", None)
            self.embedding_ = table
        self._placing, self.n_neighbors_ = placing, k
        # a row that equals usual ones lies at a distance of rounding from them, placed beside other rows
        self.training_scores_, self.offset_ = scores, min(_offset(scores, self.contamination), -ROUNDING * length)
        return self

    @available_if(_for_own_rows)
    def fit_predict(self, X: Any, y: Any = None) -> np.ndarray:
        """Tell outliers among the rows of X, each compared with the others.

        Parameters
        ----------
        X, y
            As in `fit`.

        Returns
        -------
        ndarray of shape (n_samples,), int
            -1 for outliers, 1 for the others.
        """
        return _signs(self.fit(X).training_scores_ - self.offset_)

    @available_if(_for_new_rows)
    def score_samples(self, X: Any) -> np.ndarray:
        """Return minus the mean distance of new rows to their nearest usual ones: higher is more usual.

        Parameters
        ----------
        X : array-like, sparse matrix or dataframe of shape (n_samples, n_features), or EmbeddingTable

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        k = self._fitted_n_neighbors()
        if isinstance(self._placing, DualWhitening):
            read = self._read(X, reset=False)
            with self._naming_what_is_not_finite(read):
                return -mean_distances(self._placing, new_blocks(self._placing, read), k)
        return -self._neighbors(X, k).scores.mean(axis=1, dtype=np.float64)

    @available_if(_for_new_rows)
    def decision_function(self, X: Any) -> np.ndarray:
        """Return `score_samples` less `offset_`: negative for outliers.

        Parameters
        ----------
        X
            As in `score_samples`.

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        return self.score_samples(X) - self.offset_

    @available_if(_for_new_rows)
    def predict(self, X: Any) -> np.ndarray:
        """Tell outliers among new rows.

        Parameters
        ----------
        X
            As in `score_samples`.

        Returns
        -------
        ndarray of shape (n_samples,), int
            -1 for outliers, 1 for the others.
        """
        return _signs(self.decision_function(X))

    def explain(self, X: Any = None, n_neighbors: int | None = None) -> list[list[tuple[Any, float]]]:
        """Return the usual rows that each row was compared with.

        Parameters
        ----------
        X : array-like, sparse matrix or dataframe of shape (n_samples, n_features), or EmbeddingTable, default=None
            New rows; None: the rows of `fit`, each without itself.
        n_neighbors : int, default=None
            None: as many as the score is the mean of.

        Returns
        -------
        list of list of (key, float)
            For each row the nearest usual ones, nearest first, by their keys in `embedding_`, and their distances.
        """
        k = self._fitted_n_neighbors()
        if n_neighbors is not None:
            if not isinstance(n_neighbors, Integral) or isinstance(n_neighbors, bool) or n_neighbors < 1:
                raise ValueError(f"n_neighbors must be a positive int or None, got {n_neighbors!r}.")
            k = min(int(n_neighbors), len(self.training_scores_) - (X is None))
        if X is not None:
            found = self._neighbors(X, k)
        elif isinstance(self._placing, DualWhitening):
            found = nearest(self._placing, own_blocks(self._placing), k)
        else:
            found = _own_neighbors(self.embedding_, self._placing, k)
        keys = self._keys.array if isinstance(self._placing, DualWhitening) else self.embedding_.keys
        return [
            [(keys[row], distance) for row, distance in zip(rows, distances)]
            for rows, distances in zip(found.rows.tolist(), found.scores.tolist())
        ]

    @_MadeWhenAsked
    def embedding_(self) -> EmbeddingTable:
        """The rows of `fit` as distances are measured between them; where they are few, made each time."""
        check_is_fitted(self)
        coordinates = cast(DualWhitening, self._placing).coordinates()
        return EmbeddingTable.of_keys(self._keys, coordinates, metric="euclidean")

    @property
    def shrinkage_(self) -> float | None:
        """Of the covariance, from 0 to 1; None without one."""
        check_is_fitted(self)
        return _shrinkage(self._placing)

    def _fitted_n_neighbors(self) -> int:
        check_is_fitted(self)
        return self.n_neighbors_

    def _read(self, X: Any, *, reset: bool, **checks: Any) -> Any:
        X = X.vectors if isinstance(X, EmbeddingTable) else X
        return read_matrix(self, X, reset=reset, ensure_all_finite=False, **checks)

    def _check_finite(self, read: Any) -> None:
        check_finite(read, "X", getattr(self, "feature_names_in_", None), type(self).__name__)

    @contextmanager
    def _naming_what_is_not_finite(self, read: Any) -> Iterator[None]:
        """Products that are not finite show that X is not; it is looked through only then."""
        try:
            yield
        except ValueError:
            self._check_finite(read)
            raise

    def _neighbors(self, X: Any, k: int) -> Neighbors:
        """Return the nearest usual rows of new ones."""
        read = self._read(X, reset=False)
        if isinstance(self._placing, DualWhitening):
            with self._naming_what_is_not_finite(read):
                return nearest(self._placing, new_blocks(self._placing, read), k)
        self._check_finite(read)
        return self.embedding_.kneighbors(_placed(self._placing, read), k)

    def _check_fitted(self) -> None:
        placing, metric = self._placing, "euclidean"
        placing.check()
        if isinstance(placing, DualWhitening):
            n = len(placing.rows)
            if placing.rows.shape[1] != self.n_features_in_ or len(self._keys) != n:
                raise ValueError(f"expected {n} rows of {self.n_features_in_} columns and their keys")
        else:
            n, width = self.embedding_.shape
            metric = self.embedding_.metric
            if placing.mean.shape != (self.n_features_in_,) or width != placing.dim:
                raise ValueError(f"expected rows of {placing.dim} coordinates from {self.n_features_in_} columns")
        if self.training_scores_.shape != (n,) or self.training_scores_.dtype != np.float64:
            raise ValueError(f"expected a score for each of {n} rows")
        if metric != "euclidean" or not 1 <= self.n_neighbors_ < n:
            raise ValueError(f"expected Euclidean distances to 1 to {n - 1} of {n} rows")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def _keys(X: Any, n: int) -> Keys:
    if isinstance(X, EmbeddingTable):
        return X.shared_keys
    labels = row_labels(X)
    return Keys.of(range(n)) if labels is None else Keys.of(labels)


def _shrinkage(placing: Whitening | DualWhitening | Centering) -> float | None:
    return None if isinstance(placing, Centering) else placing.shrinkage


def _placed(placing: Whitening | Centering, read: Any) -> np.ndarray:
    """Return rows as distances are measured between them, float32; ValueError naming the first that float32 has not."""
    with np.errstate(over="ignore", invalid="ignore"):
        rows = placing.apply(read)
        finite = np.isfinite(rows.sum(dtype=np.float64))
    if not finite:
        row = int(np.argmin(np.isfinite(rows).all(axis=1)))
        raise ValueError(
            f"row {row} of X is so far from the mean that it is beyond float32, in which rows are compared; scale X, "
            "or leave the row out."
        )
    return rows


def _own_neighbors(table: EmbeddingTable, placing: Whitening | Centering, k: int) -> Neighbors:
    """Return the nearest others of each row of `fit`."""
    return own_neighbors(ExactIndex(table.vectors), k, _shrinkage(placing))


def _signs(decisions: np.ndarray) -> np.ndarray:
    return np.where(decisions < 0, -1, 1)


def _offset(scores: np.ndarray, contamination: float | str) -> float:
    """Return the score below which rows are outliers, from those of the rows of `fit`."""
    if not isinstance(contamination, str):
        # a new usual row falls into each of the n + 1 gaps between n scores alike; numpy's "linear" knows n - 1 gaps
        return float(np.quantile(scores, contamination, method="weibull"))
    distances = -scores[scores < 0]  # rows that have equals say nothing of how far usual ones are
    if not len(distances):
        return 0.0
    last = len(distances) - 1
    # np.quantile's linear interpolation, in a quarter of its time
    low, high = np.interp([0.25 * last, 0.75 * last], np.arange(last + 1), np.sort(distances))
    return -float(high * max((high / low) ** WHISKER, 1 + ROUNDING))  # distances that are equal differ by rounding
