"""Roles of the columns of X: categories, and numbers beside them."""

import decimal
import numbers
import sys
from typing import Any

import numpy as np

from skembed.data.columns import Columns, to_float

__all__ = [
    "categorical_positions",
    "is_number_column",
    "is_time_column",
    "numeric_columns",
    "some_categorical_positions",
]


def categorical_positions(categorical_features: Any, columns: Columns) -> list[int]:
    """Return the positions of the categorical columns, in their order in X; there may be none.

    Parameters
    ----------
    categorical_features : "all", "from_dtype", or array-like of names, positions or bool
    columns : Columns

    Returns
    -------
    list of int

    Raises
    ------
    ValueError
        If a name or position is not in X, or a mask has the wrong length.
    """
    n = len(columns.values)
    if isinstance(categorical_features, str):
        if categorical_features == "all":
            return list(range(n))
        if categorical_features == "from_dtype":
            return [i for i, column in enumerate(columns.values) if not is_number_column(column)]
    try:
        chosen = [categorical_features] if isinstance(categorical_features, str) else list(categorical_features)
    except TypeError:  # an array without a dimension
        raise ValueError(
            f"categorical_features is {categorical_features!r}; expected names, positions or a mask of columns."
        ) from None
    if chosen and all(isinstance(c, (bool, np.bool_)) for c in chosen):
        if len(chosen) != n:
            raise ValueError(
                f"categorical_features is a mask of {len(chosen)} values; expected {n}, one for each column."
            )
        return [i for i, c in enumerate(chosen) if c]
    names = list(columns.names) if columns.names is not None else []
    positions = set()
    for c in chosen:
        if isinstance(c, str):
            if c not in names:
                known = f"the columns are {names!r}" if names else "X has no column names: use positions"
                raise ValueError(f"categorical_features names {c!r}, which is not in X; {known}.")
            positions.add(names.index(c))
        elif isinstance(c, (int, np.integer)) and -n <= c < n:
            positions.add(int(c) % n)
        else:
            expected = f"a column name or a position below {n}"
            if columns.names is None:
                expected = f"a position below {n}, as X has no column names that are strings"
            raise ValueError(f"categorical_features holds {c!r}; expected {expected}.")
    return sorted(positions)


def some_categorical_positions(categorical_features: Any, columns: Columns) -> list[int]:
    """Return the positions of the categorical columns; ValueError if columns were named and there is none.

    With "from_dtype" there may be none: nothing is embedded then, as ColumnTransformer does nothing with no columns.
    See `categorical_positions`.
    """
    positions = categorical_positions(categorical_features, columns)
    if not positions and not (isinstance(categorical_features, str) and categorical_features == "from_dtype"):
        raise ValueError(
            f"categorical_features={categorical_features!r} leaves no categorical column in X; "
            "name at least one, or use 'all'."
        )
    return positions


def numeric_columns(columns: Columns, positions: list[int]) -> list[np.ndarray]:
    """Return the numeric columns as float64, or say which one is not numeric."""
    return [to_float(columns.values[i], columns.label(i)) for i in positions]


def is_number_column(column: Any) -> bool:
    """Return whether a column of any container holds numbers, or objects that all are."""
    if not hasattr(column, "dtype"):  # pyarrow
        return _is_arrow_number(column.type)
    dtype = column.dtype
    if hasattr(dtype, "is_numeric"):  # polars
        return bool(dtype.is_numeric())
    if hasattr(dtype, "pyarrow_dtype"):  # pandas over pyarrow, to which decimals are objects
        return _is_arrow_number(dtype.pyarrow_dtype)
    kind = getattr(dtype, "kind", "O")  # numpy and pandas, extension types too
    if kind == "O" and isinstance(column, np.ndarray):
        pandas = sys.modules.get("pandas")
        missing = None if pandas is None else pandas.NA  # a nullable array with missing values is one of objects
        return all(v is None or v is missing or _is_number(v) for v in column)
    return kind in "iuf"


def is_time_column(column: Any) -> bool:
    """Return whether the type of a column of any container says dates, times or durations."""
    dtype = column.dtype if hasattr(column, "dtype") else column.type  # of pyarrow
    if hasattr(dtype, "is_temporal"):  # polars
        return bool(dtype.is_temporal())
    if hasattr(dtype, "kind"):  # numpy and pandas
        return dtype.kind in "mM" or _is_arrow_time(getattr(dtype, "pyarrow_dtype", None))
    return _is_arrow_time(dtype)


def _is_arrow_time(kind: Any) -> bool:
    if kind is None:
        return False
    import pyarrow as pa  # whoever passes its columns has it

    return bool(pa.types.is_temporal(kind))


def _is_number(value: Any) -> bool:
    # numpy's durations are a kind of its integers
    return isinstance(value, numbers.Real | decimal.Decimal) and not isinstance(value, (bool, np.timedelta64))


def _is_arrow_number(kind: Any) -> bool:
    import pyarrow as pa  # whoever passes its columns has it

    return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
