"""X as one matrix of floats, dense or sparse, from any container."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils import check_array
from sklearn.utils.validation import _check_n_features, validate_data

from skembed.data.canonical import canonical_key
from skembed.data.columns import Columns, filled, read_columns
from skembed.data.roles import is_number_column, is_time_column

__all__ = ["FLOATS", "check_finite", "naming_no_numbers", "read_finite_matrix", "read_matrix", "summable"]

FLOATS = [np.float64, np.float32]
_CHECKED = {"accept_sparse", "dtype", "order", "ensure_min_samples", "ensure_all_finite"}


def read_matrix(estimator: Any, X: Any, *, reset: bool, for_text: str = "expected numbers; ", **checks: Any) -> Any:
    """Return X as a float matrix, dense or CSR or CSC, its columns' number and names checked or with `reset` kept.

    `for_text` says in the error what to do where X holds text; `checks` are those of `check_array`.
    """
    # sums are taken in the order in which numbers lie, and frames lie by columns: one order, or last bits differ
    checks |= {"accept_sparse": ("csr", "csc"), "dtype": FLOATS, "order": "C"}
    if _is_read(X, checks) and not hasattr(estimator, "feature_names_in_"):
        # to find that nothing else is to be done takes validate_data a tenth of the time of a small fit
        _check_n_features(estimator, X, reset=reset)
        return X
    X = summable(filled(X))
    if isinstance(X, (np.ndarray, list, tuple)) or sparse.issparse(X):
        with naming_no_numbers(X, "X", for_text):
            return validate_data(estimator, X, reset=reset, **checks)
    columns = estimator._read_columns(X, reset=reset)
    with naming_no_numbers(X, "X", for_text, columns):
        return check_array(X, estimator=estimator, input_name="X", **checks)


def summable(X: Any) -> Any:
    """Return a sparse matrix of integers as one of 64 bits, anything else as it is.

    Where an entry is given more than once scipy adds up in the type of the values, int8 and uint8 too, without a word.

    Examples
    --------
    >>> plays = sparse.coo_matrix((np.full(3, 100, np.int8), ([0, 0, 0], [1, 1, 1])), shape=(1, 2))
    >>> plays.toarray(), summable(plays).toarray()
    (array([[ 0, 44]], dtype=int8), array([[  0, 300]]))
    """
    if sparse.issparse(X) and X.dtype.kind in "iu" and X.dtype.itemsize < 8:
        return X.astype(np.int64)
    return X


@contextmanager
def naming_no_numbers(
    X: Any, what: str, for_text: str = "expected numbers; ", columns: Columns | None = None
) -> Iterator[None]:
    """Where `check_array` makes floats of X: times are refused, and an error names the first value that is no number.

    Times have no one reading as numbers: numpy takes their ticks, of whatever length, and those of NaT.

    Parameters
    ----------
    X : array-like or frame
    what : str
        What errors call it: "X".
    for_text : str
        What they say to do where it holds text: a sentence, or what comes before that columns may be encoded.
    columns : Columns, optional
        Those of a frame, where they have been read.

    Raises
    ------
    TypeError
        For a value that is neither number nor text.
    ValueError
        For text, and columns of times.
    """
    is_frame = len(getattr(X, "shape", ())) == 2 and not isinstance(X, np.ndarray) and not sparse.issparse(X)
    if columns is None and is_frame and 0 not in X.shape:
        columns = read_columns(X)
    for place, column in enumerate([X] if isinstance(X, np.ndarray) else [] if columns is None else columns.values):
        if is_time_column(column):
            where = what if columns is None else f"column {_label(columns, place)} of {what}"
            kind = getattr(column, "dtype", None) or column.type
            raise ValueError(
                f"{where} holds dates, times or durations (dtype {kind}), expected numbers. Turn them into numbers, "
                "such as days since the first of them, or leave the column out."
            )
    fills = [] if columns is None else [_fill_value(column) for column in columns.values]
    # pandas makes a sparse matrix of it, 3.0 one with 0 in place of what fills it
    if None not in fills and any(_is_missing(fill) or fill != 0 for fill in fills):
        raise ValueError(
            f"{what} is a frame of sparse columns that are filled with other than 0, as pandas fills floats with NaN; "
            f"pass {what}.sparse.to_dense(), or columns filled with 0."
        )
    try:
        yield
    except (TypeError, ValueError, OverflowError) as error:
        found = None if sparse.issparse(X) else _first_no_number(X, columns)
        if found is None:
            raise
        row, label, value = found
        cell = f"in row {row} of column {label}"
        if isinstance(value, (str, bytes)):
            way_out = for_text
            if not for_text.endswith("."):
                way_out += "encode the column before, for instance by EntityEmbeddingEncoder."
            raise ValueError(f"{what} holds text ({value!r:.60} {cell}), {way_out}") from error
        way_out = "Turn it into a number, or leave the column out."
        if _is_missing(value):
            way_out = "Fill in missing values before, for instance by SimpleImputer, or leave these rows out."
        raise TypeError(
            f"{what} holds {value!r:.60} of type {type(value).__name__} {cell}, expected a number ({error}). {way_out}"
        ) from error


def _fill_value(column: Any) -> Any:
    """What fills a sparse column of pandas, None of any other."""
    return getattr(getattr(column, "dtype", None), "fill_value", None)


def _first_no_number(X: Any, columns: Columns | None) -> tuple[int, str, Any] | None:
    """Return row, column and value of the first one that Python makes no float of."""
    if columns is None:
        try:
            is_flat = np.ndim(X) == 1 if isinstance(X, (list, tuple)) else getattr(X, "ndim", 2) == 1
            columns = read_columns(np.asarray(X, dtype=object)[:, None] if is_flat else X)
        except (TypeError, ValueError):
            return None
    for place, column in enumerate(columns.values):
        if getattr(getattr(column, "dtype", None), "kind", "O") != "O" and is_number_column(column):
            continue
        for row, value in enumerate(np.asarray(column, dtype=object)):
            try:
                float(0 if value is None else value)
            except (TypeError, ValueError, OverflowError):
                return row, _label(columns, place), value
    return None


def _label(columns: Columns, place: int) -> str:
    return str(place) if columns.names is None else repr(columns.names[place])


def _is_missing(value: Any) -> bool:
    try:
        return canonical_key(value) is None
    except (TypeError, ValueError):
        return False


def read_finite_matrix(estimator: Any, X: Any, *, reset: bool, **checks: Any) -> Any:
    """Return X as `read_matrix` does; NaN and infinite values are an error that names their row and column."""
    matrix = read_matrix(estimator, X, reset=reset, ensure_all_finite=False, **checks)
    check_finite(matrix, "X", getattr(estimator, "feature_names_in_", None), type(estimator).__name__)
    return matrix


def _is_read(X: Any, checks: dict[str, Any]) -> bool:
    """Whether X is an array as `read_matrix` returns it, of which nothing is left to check but its columns."""
    return (
        type(X) is np.ndarray
        and X.ndim == 2
        and X.dtype in FLOATS
        and X.flags.c_contiguous
        and len(X) >= checks.get("ensure_min_samples", 1)
        and X.shape[1] >= 1
        and checks.get("ensure_all_finite") is False
        and checks.keys() <= _CHECKED
    )


def check_finite(matrix: Any, what: str, names: Any, reader: str) -> None:
    """Raise ValueError naming row and column of the first NaN or infinite value of a dense or sparse matrix.

    Parameters
    ----------
    matrix : ndarray, CSR or CSC matrix of shape (n_rows, n_columns)
    what : str
        What the error calls it: "X".
    names : sequence of str or None
        Of the columns.
    reader : str
        Who expects finite numbers.
    """
    values = matrix.data if sparse.issparse(matrix) else matrix
    with np.errstate(all="ignore"):
        total = values.sum(dtype=np.float64)  # finite where all are, and in one pass
    if np.isfinite(total) or np.isfinite(values).all():
        return
    if sparse.issparse(matrix):
        coordinates = matrix.tocoo()
        first = int(np.argmax(~np.isfinite(coordinates.data)))
        row, column = int(coordinates.row[first]), int(coordinates.col[first])
    else:
        row, column = (int(place[0]) for place in np.nonzero(~np.isfinite(matrix)))
    value = "NaN" if np.isnan(matrix[row, column]) else "infinity"
    label = f"column {column}" if names is None or len(names) <= column else f"column {names[column]!r}"
    raise ValueError(
        f"Input {what} contains {value} in row {row} of {label}; {reader} expects finite numbers. "
        "Fill them in before, for instance by SimpleImputer, or leave these rows out."
    )
