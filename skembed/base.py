"""The base of every estimator: where its documentation is, and how weights and seeds are read."""

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import _check_sample_weight, _get_feature_names, validate_data

from skembed.data.columns import Columns, as_table, filled, read_columns

__all__ = ["EmbeddingEstimator", "EmbeddingTransformer", "check_weights"]

MAX_COUNT = 2.0**31  # a row that stands for more equal rows than this is a number of another kind


class EmbeddingEstimator(BaseEstimator):
    """A scikit-learn estimator that reads frames by column, and knows its page in skembed's documentation.

    Subclasses that are registered with `skembed.state.stored` describe their fitted attributes in `_state`.
    """

    _state: dict[str, Any] = {"n_features_in_": int, "feature_names_in_": np.ndarray}

    _doc_link_module = "skembed"
    _doc_link_template = "https://skembed.readthedocs.io/en/latest/api/{estimator_module}.{estimator_name}.html"

    def _check_fitted(self) -> None:
        """Raise ValueError if the parts of a fitted state that was read do not fit together; for subclasses."""

    def _read_columns(self, X: Any, *, reset: bool, **y: Any) -> Columns:
        """Read the columns of X and let scikit-learn check, or with `reset` keep, their number and names."""
        X = as_table(X)
        columns = read_columns(X, estimator=self)
        known = columns.names is None or _get_feature_names(X) is not None
        validate_data(self, X if known else _Named(columns), skip_check_array=True, reset=reset, **y)
        return columns


class EmbeddingTransformer(TransformerMixin, EmbeddingEstimator):
    """An `EmbeddingEstimator` that transforms."""


class _Named:
    """Tells scikit-learn the names of a frame that it does not know, as 1.6 does not know polars 2."""

    def __init__(self, columns: Columns) -> None:
        self.shape = columns.n_rows, len(columns.values)
        self.names = columns.names

    def __dataframe__(self) -> "_Named":
        return self

    def column_names(self) -> list[str] | None:
        return self.names


def check_weights(sample_weight: Any, n_samples: int) -> np.ndarray:
    """Return one weight a row.

    Weights that are whole numbers stand for that many equal rows. Others are relative: they are scaled to a mean of 1
    over the rows whose weight is not zero, so that shrinkage and `min_frequency` mean what they mean without weights.

    Parameters
    ----------
    sample_weight : array-like of shape (n_samples,) or None
    n_samples : int

    Returns
    -------
    ndarray of shape (n_samples,), float64

    Raises
    ------
    ValueError
        If a weight is negative, NaN or infinite, all are zero, or their number is wrong.
    """
    weight = _check_sample_weight(filled(sample_weight), np.empty((n_samples, 1)), dtype=np.float64, copy=True)
    if (weight < 0).any():
        row = int(np.argmax(weight < 0))
        raise ValueError(f"sample_weight is negative in row {row} ({weight[row]}); expected weights of at least 0.")
    positive = weight > 0
    if not positive.any():
        raise ValueError("sample_weight is zero in every row; expected at least one positive weight.")
    if weight.max() > MAX_COUNT:
        weight /= weight.max()  # the sum may be beyond float64
        weight /= weight[positive].mean()
    elif not np.array_equal(weight, np.round(weight)):
        weight /= weight[positive].mean()
    return weight
