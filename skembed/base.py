"""The base of every estimator: where its documentation is, and how weights and seeds are read."""

from collections.abc import Mapping, Set
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import compute_sample_weight
from sklearn.utils._param_validation import Interval, InvalidParameterError, make_constraint
from sklearn.utils.validation import _check_sample_weight, _get_feature_names, validate_data

from skembed.data.columns import Columns, as_table, filled, read_columns

__all__ = ["EmbeddingEstimator", "EmbeddingTransformer", "check_layers", "check_weights", "class_weights"]

MAX_COUNT = 2.0**31  # a row that stands for more equal rows than this is a number of another kind


class EmbeddingEstimator(BaseEstimator):
    """A scikit-learn estimator that reads frames by column, and knows its page in skembed's documentation.

    Subclasses that are registered with `skembed.state.stored` describe their fitted attributes in `_state`.
    """

    _state: dict[str, Any] = {"n_features_in_": int, "feature_names_in_": np.ndarray}

    _doc_link_module = "skembed"
    _doc_link_template = "https://skembed.readthedocs.io/en/latest/api/{estimator_module}.{estimator_name}.html"

    def _validate_params(self) -> None:
        """Check the parameters by `_parameter_constraints`; True is no number, though it is one in Python."""
        super()._validate_params()
        for name, constraints in self._parameter_constraints.items():
            value = getattr(self, name)
            if isinstance(value, bool) and "boolean" not in constraints and any(map(_is_interval, constraints)):
                expected = " or ".join(str(make_constraint(constraint)) for constraint in constraints)
                raise InvalidParameterError(
                    f"The {name!r} parameter of {type(self).__name__} must be {expected}. Got {value!r} instead."
                )

    def _check_fitted(self) -> None:
        """Raise ValueError if the parts of a fitted state that was read do not fit together; for subclasses."""

    def _read_columns(self, X: Any, *, reset: bool, **y: Any) -> Columns:
        """Read the columns of X and let scikit-learn check, or with `reset` keep, their number and names."""
        X = as_table(X)
        columns = read_columns(X, estimator=self)
        known = columns.names is None or _get_feature_names(X) is not None
        validate_data(self, X if known else _Named(columns), skip_check_array=True, reset=reset, **y)
        return columns


def _is_interval(constraint: Any) -> bool:
    return isinstance(constraint, Interval)


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
    try:
        weight = _check_sample_weight(filled(sample_weight), np.empty((n_samples, 1)), dtype=np.float64, copy=True)
    except (TypeError, ValueError) as error:
        if "ample" in str(error):  # it names the weights
            raise
        raise type(error)(f"sample_weight holds what is no number: {error}.") from error
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


def class_weights(class_weight: Any, y: np.ndarray, classes: np.ndarray | None = None) -> np.ndarray:
    """Return the weight of each row's class.

    Parameters
    ----------
    class_weight : dict or "balanced"
    y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
    classes : ndarray of shape (n_classes,), default=None
        Of one output, where they are known: a dict may name any of them, and `y`, a part of all rows, lack some.

    Returns
    -------
    ndarray of shape (n_samples,), float64

    Raises
    ------
    ValueError
        If a weight is no finite number of at least 0, or that of a class which y lacks.
    """
    if isinstance(class_weight, Mapping):
        for label, weight in class_weight.items():
            if not isinstance(weight, Real) or isinstance(weight, bool) or not 0 <= float(weight) < np.inf:
                raise ValueError(
                    f"class_weight is {weight!r} for the class {label!r}; expected a number of at least 0."
                )
    try:
        if classes is None or not isinstance(class_weight, Mapping):
            return compute_sample_weight(class_weight, y)
        return compute_sample_weight(class_weight, np.concatenate([y, classes.reshape(-1, *y.shape[1:])]))[: len(y)]
    except ValueError as error:
        if not isinstance(class_weight, Mapping) or y[0].size > 1:
            raise
        shown = ", ".join(map(repr, np.unique(y)[:5].tolist()))
        raise ValueError(
            f"class_weight is {class_weight!r:.200} and weighs classes that y lacks; y holds {shown}"
            f"{', ...' if len(np.unique(y)) > 5 else ''}."
        ) from error


def check_layers(hidden_layer_sizes: Any) -> tuple[int, ...]:
    """Return the sizes of hidden layers as a tuple of int.

    Parameters
    ----------
    hidden_layer_sizes : sequence of int

    Raises
    ------
    ValueError
        If it is no sequence, or a size is no whole number of at least 1.
    """
    if isinstance(hidden_layer_sizes, Set | Mapping) or getattr(hidden_layer_sizes, "ndim", 1) == 0:
        raise ValueError(f"hidden_layer_sizes is {hidden_layer_sizes!r}; expected a tuple of int, one for each layer.")
    sizes = list(hidden_layer_sizes)
    for size in sizes:
        if isinstance(size, bool) or not isinstance(size, Integral) or size < 1:
            raise ValueError(
                f"hidden_layer_sizes is {hidden_layer_sizes!r} and holds {size!r}; expected integers of at least 1, "
                "one for each hidden layer."
            )
    return tuple(map(int, sizes))
