"""X and y as linear methods take them: one float matrix, validated once, and classes."""

from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils import check_array
from sklearn.utils.validation import _check_y, check_consistent_length, validate_data

from skembed.projection._solvers import NEEDS_Y

__all__ = ["FLOATS", "TAKES_SPARSE", "read_matrix", "read_training"]

FLOATS = [np.float64, np.float32]
TAKES_SPARSE = frozenset({"pca", "svd", "random"})


def read_training(estimator: Any, X: Any, y: Any) -> tuple[Any, np.ndarray | None]:
    """Return X, and y where the method learns from it.

    Raises
    ------
    TypeError
        If X is sparse and the method needs dense rows.
    ValueError
        If X or y is not valid, or y is missing where it is needed.
    """
    method = estimator.method
    if sparse.issparse(X) and method not in TAKES_SPARSE:
        raise TypeError(
            f"X is a sparse matrix, but method={method!r} needs dense rows: pass X.toarray(), or reduce X by "
            "method='svd' first."
        )
    read = read_matrix(estimator, X, reset=True, ensure_min_samples=1 if method == "random" else 2)
    if method not in NEEDS_Y:
        return read, None
    if y is None:
        raise ValueError(
            f"This ProjectionEmbedder estimator requires y to be passed, but the target y is None: method={method!r} "
            "learns from classes."
        )
    y = _check_y(y, multi_output=False, y_numeric=False, estimator=estimator)
    check_consistent_length(read, y)
    return read, y


def read_matrix(estimator: Any, X: Any, *, reset: bool, **checks: Any) -> Any:
    """Return X as a float matrix, dense or CSR or CSC, its columns' number and names checked or with `reset` kept."""
    checks |= {"accept_sparse": ("csr", "csc"), "dtype": FLOATS}
    try:
        if isinstance(X, (np.ndarray, list, tuple)) or sparse.issparse(X):
            return validate_data(estimator, X, reset=reset, **checks)
        estimator._read_columns(X, reset=reset)
        return check_array(X, estimator=estimator, input_name="X", **checks)
    except ValueError as error:
        if "could not convert string to float" not in str(error):
            raise
        raise ValueError(
            f"X holds text ({error}), but method={estimator.method!r} takes numbers only; use method='autoencoder', or "
            "encode the column before, for instance by EntityEmbeddingEncoder."
        ) from error
