"""X and y as linear methods take them: one float matrix, validated once, and classes."""

from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils import check_consistent_length, column_or_1d

from skembed.data.matrix import read_finite_matrix
from skembed.data.target import as_columns
from skembed.projection._task import NEEDS_Y

__all__ = ["TAKES_SPARSE", "read_rows", "read_training"]

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
    read = read_rows(estimator, X, reset=True, ensure_min_samples=1 if method == "random" else 2)
    if method not in NEEDS_Y:
        return read, None
    if y is None:
        raise ValueError(
            f"This ProjectionEmbedder estimator requires y to be passed, but the target y is None: method={method!r} "
            "learns from classes."
        )
    classes = column_or_1d(as_columns(y), warn=getattr(y, "ndim", 1) == 2)
    check_consistent_length(read, classes)
    return read, classes


def read_rows(estimator: Any, X: Any, *, reset: bool, **checks: Any) -> Any:
    """Return X as `read_finite_matrix` does, with the way out that methods which take numbers only have."""
    advice = f"but method={estimator.method!r} takes numbers only; use method='autoencoder', or "
    return read_finite_matrix(estimator, X, reset=reset, for_text=advice, **checks)
