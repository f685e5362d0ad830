"""Columns of pandas, polars, pyarrow and numpy containers as integer codes beside their distinct values.

This is the one module that knows these containers; estimators see a `Columns`, a `Factor` or an array of float64.
Neither pandas, polars nor pyarrow is imported here: whoever passes such a container has imported it already.
"""

import decimal
import numbers
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils.validation import check_array

from skembed.data.canonical import canonical_key, canonical_times
from skembed.data.factor import (
    Factor,
    factorize_array,
    factorize_integers,
    factorize_objects,
    factorize_times,
    merge_canonical,
    merge_equal_keys,
    scatter,
)

__all__ = [
    "Columns",
    "Factor",
    "as_given",
    "as_table",
    "check_labels",
    "check_order",
    "check_same_order",
    "column_labels",
    "factorize",
    "filled",
    "indexed_values",
    "read_columns",
    "row_labels",
    "series_values",
    "to_float",
]


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """The columns of one two-dimensional input, each in its own container.

    Attributes
    ----------
    names : list of str or None
        Column names where the container has them and all are strings, as for scikit-learn's `feature_names_in_`.
    n_rows : int
        Number of rows, at least 1.
    values : list
        One raw column each: a pandas or polars Series, a pyarrow ChunkedArray or a 1-D array, never copied.
    """

    names: list[str] | None
    n_rows: int
    values: list[Any]

    def label(self, position: int) -> str:
        """Return the column's name, or ``x{position}`` where there are no names."""
        return f"x{position}" if self.names is None else self.names[position]

    def take(self, rows: np.ndarray) -> "Columns":
        """Return some of the rows, by their numbers."""
        values = [v.gather(rows) if _is(v, "polars", "Series") else v.take(rows) for v in self.values]
        return Columns(self.names, len(rows), values)


# --------------------------------------------------------------------------------------------------- reading


def read_columns(X: Any, *, estimator: Any = None) -> Columns:
    """Split a two-dimensional input into columns that keep their own types.

    Parameters
    ----------
    X : DataFrame of pandas or polars, pyarrow Table or RecordBatch, array-like of shape (n_rows, n_columns)
        Lists and tuples keep their Python objects: ``[["a", 1]]`` holds a string and an integer.
    estimator : estimator instance or str, default=None
        Named in error messages.

    Returns
    -------
    Columns

    Raises
    ------
    ValueError
        If `X` is not two-dimensional, has no row or no column, holds complex numbers or records, or repeats a name.
    TypeError
        If `X` is sparse, a lazy frame or a dict.

    Examples
    --------
    >>> columns = read_columns([["Paris", 1], ["Oslo", None]])
    >>> columns.n_rows, [list(column) for column in columns.values]
    (2, [['Paris', 'Oslo'], [1, None]])
    """
    X = as_table(X)
    if _is(X, "pandas", "DataFrame"):
        values = [X.iloc[:, position] for position in range(X.shape[1])]
        labels = list(X.columns)
    elif _is(X, "polars", "DataFrame"):
        values, labels = X.get_columns(), list(X.columns)
    elif _is(X, "pyarrow", "Table"):
        values, labels = list(X.columns), list(X.column_names)
    else:
        array = _as_array(X, estimator)
        return Columns(names=None, n_rows=array.shape[0], values=list(array.T))

    # An empty array of the same shape: scikit-learn words the complaints about sizes.
    if 0 in X.shape:
        check_array(np.empty(X.shape, dtype=bool), dtype=None, estimator=estimator, input_name="X")
    repeated = [label for label, times in Counter(labels).items() if times > 1]
    if repeated:
        raise ValueError(
            f"X has more than one column named {', '.join(map(repr, repeated))}; expected unique column names. "
            "Rename or drop the repeated columns."
        )
    for label, column in zip(labels, values):
        if getattr(column.dtype if hasattr(column, "dtype") else None, "kind", "") == "c":
            raise ValueError(f"Complex data not supported: column {label!r} has dtype {column.dtype}.")
    names = labels if all(isinstance(label, str) for label in labels) else None
    return Columns(names=names, n_rows=X.shape[0], values=values)


def as_table(X: Any) -> Any:
    """Return a RecordBatch of pyarrow as a Table, whose names scikit-learn knows; anything else as it is.

    Raises
    ------
    TypeError
        If `X` is a lazy frame.
    """
    if _is(X, "polars", "LazyFrame"):
        raise TypeError("X is a polars LazyFrame, expected rows that are in memory: pass X.collect().")
    return sys.modules["pyarrow"].Table.from_batches([X]) if _is(X, "pyarrow", "RecordBatch") else X


def _as_array(X: Any, estimator: Any) -> np.ndarray:
    if isinstance(X, Mapping) and not hasattr(X, "shape"):  # as some sparse matrices are
        raise TypeError(
            f"X is a {type(X).__name__} of {len(X)} keys, expected a table; where these are its columns pass a frame: "
            "pandas.DataFrame(X)."
        )
    if getattr(getattr(X, "dtype", None), "kind", "") == "V":
        raise ValueError(
            f"X is an array of records (dtype {X.dtype}), expected one value in each cell. "
            "Pass a DataFrame with one column for each field."
        )
    # numpy would turn [["a", 1]] into strings and [[2**60 + 1, 0.5]] into floats.
    dtype = object if isinstance(X, (list, tuple)) else None
    return check_array(filled(X), dtype=dtype, ensure_all_finite=False, estimator=estimator, input_name="X")


def filled(X: Any) -> Any:
    """Return masked arrays as arrays in which masked values are missing, anything else as it is.

    numpy and scikit-learn take what lies below a mask for values.

    Examples
    --------
    >>> filled(np.ma.array([1.5, 2.5], mask=[True, False])), filled(np.ma.array([1, 2], mask=[True, False]))
    (array([nan, 2.5]), array([None, 2], dtype=object))
    """
    if not isinstance(X, np.ma.MaskedArray):
        return X
    mask = np.ma.getmaskarray(X)
    if not mask.any():
        return X.data
    values = X.data.astype(X.dtype if X.dtype.kind == "f" else object)
    values[mask] = np.nan if X.dtype.kind == "f" else None
    return values


def _is(value: Any, package: str, name: str) -> bool:
    """Whether `value` is an instance of a class of a package that may not be imported."""
    cls = getattr(sys.modules.get(package), name, None)
    return cls is not None and isinstance(value, cls)


# ----------------------------------------------------------------------------------------------- factorizing


def factorize(column: Any, name: Any = None) -> Factor:
    """Number the distinct values of a column in order of first appearance.

    Two values are the same key where Python says they are equal: ``1``, ``1.0`` and ``True`` are one key, ``"1"`` is
    another. The first one seen stands for the key, in its plainest form:

    * strings, booleans and integers are the built-in ones; floats with an integral value below 2**53 become integers,
      and a float32 is the float64 of the same value: that of 0.1 is 0.10000000149011612, not 0.1;
    * dates and times are `datetime.datetime` (a date is its midnight, a time with a zone is moved to UTC), durations
      `datetime.timedelta`. What these cannot hold, such as nanoseconds and the year 10000, is `numpy.datetime64`
      (without its zone) or `numpy.timedelta64`: what differs by a nanosecond is not one key;
    * other hashable values are kept.

    None, NaN, NaT and ``pandas.NA`` are missing. The result depends on the values only, not on the container:
    categories that do not occur, or their order, change nothing.

    Parameters
    ----------
    column : Series of pandas or polars, pyarrow array, ndarray of shape (n_rows,) or sequence
        Not modified.
    name : object, default=None
        The column's name in error messages; by default the container's own.

    Returns
    -------
    Factor

    Raises
    ------
    TypeError
        If a cell holds a value that cannot be hashed, such as a list.

    Examples
    --------
    >>> factor = factorize(["b", "a", None, "b"])
    >>> factor.codes, factor.keys
    (array([ 0,  1, -1,  0]), ['b', 'a'])
    >>> factorize(np.array([2.0, np.nan, 0.5])).keys
    [2, 0.5]
    """
    name = getattr(column, "name", None) or None if name is None else name
    if _is(column, "pandas", "Series"):
        return _factorize_pandas(column, name)
    if _is(column, "polars", "Series"):
        return _factorize_polars(column, name)
    if _is(column, "pyarrow", "ChunkedArray") or _is(column, "pyarrow", "Array"):
        return _factorize_arrow(column, name)
    if isinstance(column, np.ndarray):
        return factorize_array(column, name)
    return factorize_objects(list(column), name)


def _factorize_pandas(series: Any, name: Any) -> Factor:
    pd = sys.modules["pandas"]
    dtype = series.dtype
    if isinstance(dtype, np.dtype):
        return factorize_array(series.to_numpy(), name)
    if isinstance(dtype, pd.CategoricalDtype):
        positions = series.cat.codes.to_numpy()
        present = positions >= 0
        codes, found = factorize_integers(positions[present])
        return scatter(merge_equal_keys(codes, dtype.categories.take(found).astype(object).tolist()), present)
    if isinstance(dtype, pd.DatetimeTZDtype):
        instants = series_values(series)
        present = ~np.isnat(instants)
        return scatter(factorize_times(instants[present], aware=True), present)
    if isinstance(dtype, pd.ArrowDtype) or getattr(dtype, "storage", "").startswith("pyarrow"):
        return _factorize_arrow(series.array.__arrow_array__(), name)
    if dtype.kind in "iufb" or isinstance(dtype, pd.PeriodDtype):
        codes, uniques = series.array.factorize()
        return merge_equal_keys(codes.astype(np.int64), list(uniques))
    # Not pandas.factorize: its table of strings ends each one at the first NUL (pandas < 3).
    return factorize_objects(series.astype(object).tolist(), name)


def series_values(series: Any) -> np.ndarray:
    """Return the values of a pandas Series as an array; times with a zone in UTC, as numpy knows no zones."""
    aware = getattr(series.dtype, "tz", None) is not None
    return (series.dt.tz_convert("UTC").dt.tz_localize(None) if aware else series).to_numpy()


def _factorize_polars(series: Any, name: Any) -> Factor:
    pl = sys.modules["polars"]
    dtype = series.dtype
    wide = getattr(pl, "Int128", None), getattr(pl, "UInt128", None)  # of newer versions; numpy has none so wide
    if dtype.is_nested() or dtype in (pl.Object, pl.Time, pl.Decimal, pl.Null, *wide):
        return factorize_objects(series.to_list(), name)
    present = series.is_not_null().to_numpy()
    found = series.drop_nulls()
    if dtype in (pl.Date, pl.Datetime, pl.Duration):
        aware = getattr(dtype, "time_zone", None) is not None
        return scatter(factorize_times(found.to_numpy(), aware), present)
    if dtype in (pl.Categorical, pl.Enum):
        codes, _ = factorize_integers(found.to_physical().to_numpy())
        return scatter(Factor(codes, found.cast(pl.String).unique(maintain_order=True).to_list()), present)
    if dtype in (pl.String, pl.Binary):
        uniques = found.unique(maintain_order=True)
        numbers = pl.Series(np.arange(len(uniques)))
        codes = found.replace_strict(uniques, numbers, return_dtype=pl.Int64).to_numpy().astype(np.int64)
        return scatter(Factor(codes, uniques.to_list()), present)
    return scatter(factorize_array(found.to_numpy(), name), present)


def _factorize_arrow(column: Any, name: Any) -> Factor:
    if len(column) == 0:  # there may be no chunk to combine
        return Factor(np.empty(0, dtype=np.int64), [])
    pa = sys.modules["pyarrow"]
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    try:
        encoded = column.dictionary_encode()
    except NotImplementedError:  # nested cells
        return factorize_objects(column.to_pylist(), name)
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind) or pa.types.is_duration(kind):
        aware = getattr(kind, "tz", None) is not None
        return merge_canonical(codes, canonical_times(encoded.dictionary.to_numpy(zero_copy_only=False), aware))
    return merge_equal_keys(codes, encoded.dictionary.to_pylist())


# -------------------------------------------------------------------------------------------------- numbers


_NUMBERS_EXPECTED = (
    "a finite number or a missing value. Declare the column categorical, turn it into numbers, or leave it out."
)


def to_float(column: Any, name: Any = None, *, expected: str = _NUMBERS_EXPECTED) -> np.ndarray:
    """Return a column of numbers as float64, missing values as NaN.

    Parameters
    ----------
    column : Series of pandas or polars, pyarrow array, ndarray of shape (n_rows,) or sequence
        Numbers of any type, booleans and missing values.
    name : object, default=None
        The column's name in error messages; by default the container's own.
    expected : str
        What error messages say is expected, and the way out.

    Returns
    -------
    ndarray of shape (n_rows,), float64
        A new array.

    Raises
    ------
    ValueError
        If a value is no number; text is not parsed.

    Examples
    --------
    >>> to_float([1, None, True, 2.5])
    array([1. , nan, 1. , 2.5])
    """
    name = getattr(column, "name", None) or None if name is None else name
    if _is(column, "pandas", "Series") and column.dtype.kind in "iufb":
        return np.array(column.to_numpy(dtype=np.float64, na_value=np.nan))
    if _is(column, "polars", "Series") and column.dtype.is_numeric():
        return np.array(column.cast(sys.modules["polars"].Float64).to_numpy())
    if isinstance(column, np.ndarray) and column.dtype.kind in "iufb":
        return column.astype(np.float64)
    factor = factorize(column, name)
    floats = np.full(len(factor.keys) + 1, np.nan)  # the last one stands for code -1
    for position, key in enumerate(factor.keys):
        try:
            if not isinstance(key, numbers.Real | decimal.Decimal) or isinstance(key, np.timedelta64):
                raise TypeError
            floats[position] = float(key)
        except (TypeError, OverflowError) as error:
            row = int(np.argmax(factor.codes == position))
            label = "the column" if name is None else f"column {name!r}"
            raise ValueError(
                f"Row {row} of {label} holds {key!r} of type {type(key).__name__}, expected {expected}"
            ) from error
    return floats[factor.codes]


def indexed_values(values: Any) -> list[tuple[Any, Any]] | None:
    """Return (key, value) of each row of a pandas Series, None where there is none or nobody gave it an index.

    Raises
    ------
    ValueError
        If keys repeat.
    """
    if not _is(values, "pandas", "Series"):
        return None
    index = values.index
    if _is(index, "pandas", "RangeIndex") and index.start == 0 and index.step == 1:
        return None  # what a Series has where none was given
    if not index.is_unique:
        raise ValueError("a Series of values must have an index of unique keys.")
    return list(zip(index.tolist(), values.tolist()))


def column_labels(X: Any) -> list[Any] | None:
    """Return what the columns of a frame are called, whether names or other keys, such as whole numbers; None of
    anything else.

    Examples
    --------
    >>> import pandas as pd
    >>> column_labels(pd.DataFrame([[1, 2]], columns=[20, 10]))
    [20, 10]
    """
    X = as_table(X)
    if _is(X, "pandas", "DataFrame"):
        return X.columns.tolist()
    if _is(X, "polars", "DataFrame"):
        return list(X.columns)
    return list(X.column_names) if _is(X, "pyarrow", "Table") else None


def as_given(X: Any, matrix: Any) -> Any:
    """Return the numbers of a sparse matrix as X is: in a frame of its kind, labels and index, else in an array.

    Examples
    --------
    >>> import pandas as pd
    >>> from scipy import sparse
    >>> as_given(pd.DataFrame([[1, 2]], columns=["a", "b"], index=["x"]), sparse.csr_matrix([[0, 2]]))
       a  b
    x  0  2
    """
    if _is(X, "pandas", "DataFrame"):
        pd = sys.modules["pandas"]
        if all(isinstance(dtype, pd.SparseDtype) for dtype in X.dtypes):
            return pd.DataFrame.sparse.from_spmatrix(matrix, index=X.index, columns=X.columns)
        return pd.DataFrame(matrix.toarray(), index=X.index, columns=X.columns)
    if _is(X, "polars", "DataFrame"):
        return sys.modules["polars"].DataFrame(matrix.toarray(), schema=X.columns)
    if _is(X, "pyarrow", "Table"):
        return sys.modules["pyarrow"].table(list(matrix.toarray().T), names=X.column_names)
    return matrix.toarray()


def check_labels(estimator: Any, X: Any, keys: list[Any]) -> None:
    """Raise ValueError where columns of a frame are called by keys that other columns had in `fit`.

    Where `fit` had a frame whose labels are strings, scikit-learn has looked at them. Numbers from 0 on are what a
    frame has that was given no labels, and other labels than any of the keys say nothing: keys may have been given.
    """
    labels = None if hasattr(estimator, "feature_names_in_") else column_labels(X)
    if labels is None or len(labels) != len(keys):
        return
    labels = [canonical_key(label) for label in labels]
    positions = list(range(len(keys)))
    known = set(keys)
    unlike = known != set(labels) if keys == positions else known.isdisjoint(labels)
    if labels in (keys, positions) or unlike:
        return
    place = next(i for i, (label, key) in enumerate(zip(labels, keys)) if label != key)
    raise ValueError(
        f"column {place} of X is {labels[place]!r}, and {keys[place]!r} in `fit`; expected the same columns in the "
        "same order: X[columns], with those of `fit`."
    )


def check_same_order(name: str, keys: list[Any], labels: list[Any] | None) -> None:
    """Raise ValueError where keys, given for the columns of a frame, are its own labels in another order.

    Numbers from 0 on are what a frame has that was given no labels, and say nothing.

    Examples
    --------
    >>> check_same_order("items", ["tea", "rye"], ["rye", "tea"])
    Traceback (most recent call last):
    ...
    ValueError: items has 'tea' at position 0, where X has the column 'rye'; leave items=None, for X names them.
    """
    labels = None if labels is None else [canonical_key(label) for label in labels]
    if labels is None or labels in (keys, list(range(len(keys)))) or Counter(labels) != Counter(keys):
        return
    place = next(i for i, (label, key) in enumerate(zip(labels, keys)) if label != key)
    raise ValueError(
        f"{name} has {keys[place]!r} at position {place}, where X has the column {labels[place]!r}; leave {name}=None, "
        "for X names them."
    )


def check_order(X: Any, names: Iterable[str]) -> None:
    """Raise ValueError where a frame has the columns of these names in another order; other names say nothing.

    Examples
    --------
    >>> import pandas as pd
    >>> check_order(pd.DataFrame([[1, 2]], columns=["b", "a"]), ["a", "b"])
    Traceback (most recent call last):
    ...
    ValueError: column 0 of X is 'b', expected 'a': give the columns in the order of get_feature_names_out().
    """
    labels, names = column_labels(X), list(names)
    if labels is None or labels == names or Counter(labels) != Counter(names):
        return
    place = next(i for i, (label, name) in enumerate(zip(labels, names)) if label != name)
    raise ValueError(
        f"column {place} of X is {labels[place]!r}, expected {names[place]!r}: give the columns in the order of "
        "get_feature_names_out()."
    )


def row_labels(X: Any) -> list[Any] | None:
    """Return the index of a pandas frame in canonical form, None where there is none that tells its rows apart.

    Examples
    --------
    >>> import pandas as pd
    >>> row_labels(pd.DataFrame({"a": [1, 2]}, index=["x", "y"]))
    ['x', 'y']
    """
    if not _is(X, "pandas", "DataFrame"):
        return None
    labels = [canonical_key(label) for label in X.index.tolist()]
    return labels if len(set(labels)) == len(labels) else None
