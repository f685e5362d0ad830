"""X as one matrix of floats, dense or sparse, from any container."""

from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data

__all__ = ["FLOATS", "read_matrix"]

FLOATS = [np.float64, np.float32]


def read_matrix(estimator: Any, X: Any, *, reset: bool, for_text: str = "expected numbers; ", **checks: Any) -> Any:
    """Return X as a float matrix, dense or CSR or CSC, its columns' number and names checked or with `reset` kept.

    `for_text` says in the error what to do where X holds text; `checks` are those of `check_array`.
    """
    # sums are taken in the order in which numbers lie, and frames lie by columns: one order, or last bits differ
    checks |= {"accept_sparse": ("csr", "csc"), "dtype": FLOATS, "order": "C"}
    try:
        if isinstance(X, (np.ndarray, list, tuple)) or sparse.issparse(X):
            return validate_data(estimator, X, reset=reset, **checks)
        estimator._read_columns(X, reset=reset)
        return check_array(X, estimator=estimator, input_name="X", **checks)
    except ValueError as error:
        if "could not convert string to float" not in str(error):
            raise
        raise ValueError(
            f"X holds text ({error}), {for_text}encode the column before, for instance by EntityEmbeddingEncoder."
        ) from error
