"""Sequences in the cells of containers: lists, arrays, columns of lists.

A column of X is one of sequences where its cells are lists or arrays, else it is plain and holds for the whole row.
"""

import datetime
import sys
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from skembed.data.canonical import canonical_key
from skembed.data.columns import factorize, filled, series_values
from skembed.warning import warn

__all__ = ["Cells", "as_cells", "check_zones", "holds_times", "split_cells", "to_seconds"]

_LOOKED_AT = 100  # rows that tell what X is
_EPOCH = datetime.datetime(1970, 1, 1)


class Cells(NamedTuple):
    """The sequences of a column, one after the other.

    Attributes
    ----------
    values : Series of polars, pyarrow array, or ndarray of shape (n_events,)
    indptr : ndarray of shape (n_rows + 1,), int64
        Row i holds ``values[indptr[i] : indptr[i + 1]]``.
    """

    values: Any
    indptr: np.ndarray


def as_cells(X: Any) -> Any:
    """Return X as rows and columns: a sequence of sequences becomes one column, arrays of two dimensions several.

    Parameters
    ----------
    X : frame, array, Series, or list of lists or of arrays of shape (n_events,) or (n_events, n_columns)
        A list of rows some of whose entries are lists or arrays has as many columns as a row has entries; tuples may be
        events.

    Returns
    -------
    frame, or ndarray of shape (n_rows, n_columns)

    Raises
    ------
    TypeError
        If X is a string, or an entry of a list is no sequence.
    ValueError
        If arrays have different numbers of columns.

    Warns
    -----
    UserWarning
        If rows of an array of three dimensions end in events of NaN alone, as what fills them up to one length.

    Examples
    --------
    >>> as_cells([["a", "b"], [], ["a"]]).shape
    (3, 1)
    >>> as_cells([np.zeros((4, 2)), np.zeros((3, 2))]).shape
    (2, 2)
    """
    if isinstance(X, (str, bytes)):
        raise TypeError(f"X must hold sequences, got the single {type(X).__name__} {X[:40]!r}; pass [list(X)].")
    if sparse.issparse(X):
        return X  # `read_columns` refuses it
    X = filled(np.asarray(X) if isinstance(X, memoryview) else X)
    if getattr(X, "ndim", 0) == 3 and hasattr(X, "__array__"):
        X = np.asarray(X)  # tensors
    if isinstance(X, np.ndarray):
        if X.ndim == 3:
            _warn_of_padding(X)
            return _from_arrays(list(X))
        if X.ndim != 1 or X.dtype.kind != "O":
            return X
        rows = X.tolist()
    elif hasattr(X, "columns") or hasattr(X, "column_names") or (hasattr(X, "__array__") and not _is_column(X)):
        return X  # a frame, or what scikit-learn says more about
    elif _is_column(X):
        rows = X.to_pylist() if hasattr(X, "to_pylist") else X.to_list()
    elif isinstance(X, Iterable) and not isinstance(X, dict):
        X = X if isinstance(X, list | tuple) else list(X)  # of a generator nothing would be left to say more about
        rows = list(X)
    else:
        return X
    found = [row for row in rows if not _is_missing(row)][:_LOOKED_AT]
    if any(getattr(row, "ndim", 1) == 2 for row in found):
        return _from_arrays(rows)
    nested = (cell for row in found if isinstance(row, (list, tuple)) for cell in row)
    if any(_is_sequence(cell) and not isinstance(cell, tuple) for cell in nested):  # a tuple may be an event
        return _from_rows(rows)
    if not found or not _is_sequence(found[0]):
        return X
    return _one_column(rows)


def _warn_of_padding(X: np.ndarray) -> None:
    """Warn of NaN at the ends of series, by which other libraries tell that they are shorter; here it is missing."""
    if X.dtype.kind != "f" or 0 in X.shape:
        return
    n_ended = int(np.isnan(X[:, -1]).all(axis=1).sum())
    if n_ended:
        warn(
            f"{n_ended} of {len(X)} rows of X end in events whose values are all NaN: they are read as events with "
            "missing values. If they fill rows up to one length, cut them off: pass a list of arrays of shape "
            "(n_events, n_columns)."
        )


def _is_column(X: Any) -> bool:
    return type(X).__name__ in ("Series", "ChunkedArray") or (hasattr(X, "to_pylist") and not hasattr(X, "columns"))


def _one_column(rows: list[Any]) -> np.ndarray:
    cells = np.empty((len(rows), 1), dtype=object)
    for i, row in enumerate(rows):
        cells[i, 0] = row
    return cells


def _from_rows(rows: list[Any]) -> np.ndarray:
    n_columns = next(len(row) for row in rows if _is_sequence(row))
    cells = np.empty((len(rows), n_columns), dtype=object)
    for i, row in enumerate(rows):
        if not _is_sequence(row):
            raise TypeError(
                f"row {i} of X is {row!r:.60} of type {type(row).__name__}, expected its {n_columns} cells; "
                f"{[None] * n_columns} is a case without events."
            )
        if len(row) != n_columns:
            raise ValueError(f"row {i} of X has {len(row)} cells, expected {n_columns} as in row 0.")
        for j, cell in enumerate(row):
            cells[i, j] = cell
    return cells


def _from_arrays(rows: list[Any]) -> np.ndarray:
    arrays = [np.asarray(filled(row)) for row in rows]
    widths = [a.shape[1] if a.ndim == 2 else -1 for a in arrays]
    if len(set(widths)) > 1 or widths[0] < 0:
        row = next((i for i, width in enumerate(widths) if width != widths[0]), 0)
        raise ValueError(
            f"entry {row} of X is an array of shape {arrays[row].shape}, entry 0 of shape {arrays[0].shape}; expected "
            "arrays of shape (n_events, n_columns) that have equally many columns."
        )
    cells = np.empty((len(rows), widths[0]), dtype=object)
    for i, array in enumerate(arrays):
        for j in range(widths[0]):
            cells[i, j] = array[:, j]
    return cells


def _is_sequence(cell: Any) -> bool:
    if isinstance(cell, (list, tuple)):
        return True
    return hasattr(cell, "__array__") and getattr(cell, "ndim", 1) == 1 and hasattr(cell, "__len__")


def _is_missing(cell: Any) -> bool:
    if cell is None or _is_sequence(cell):
        return cell is None
    try:
        return canonical_key(cell) is None
    except (TypeError, ValueError):
        return False


def split_cells(column: Any, name: Any, *, expected: bool = False) -> Cells | None:
    """Return the sequences of a column one after the other; None where its cells hold no sequences.

    Parameters
    ----------
    column : Series of pandas or polars, pyarrow array or ndarray of shape (n_rows,)
    name : object
        The column's in errors.
    expected : bool
        Whether cells must be sequences; a column without any is then one of empty ones if all are missing.

    Returns
    -------
    Cells or None
        Missing cells are empty sequences.

    Raises
    ------
    TypeError
        If some cells hold sequences and others do not, or `expected` is true and one does not.
    """
    pl, pa = sys.modules.get("polars"), sys.modules.get("pyarrow")
    if pl is not None and isinstance(column, pl.Series):
        if isinstance(column.dtype, (pl.List, pl.Array)):
            column = column.cast(pl.List(column.dtype.inner))
            lengths = column.list.len().fill_null(0)
            return _cells(column.filter(lengths > 0).explode(), lengths.to_numpy())
        column = column.to_list()
    elif pa is not None:
        if hasattr(column, "dtype") and type(column.dtype).__name__ == "ArrowDtype":
            column = column.array.__arrow_array__()
        if isinstance(column, (pa.ChunkedArray, pa.Array)):
            kind = column.type
            if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
                import pyarrow.compute as pc

                lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)
                return _cells(pc.list_flatten(column), lengths)
            column = column.to_pylist()
    cells = column if isinstance(column, list) else column.tolist() if hasattr(column, "tolist") else list(column)
    if not expected and not any(map(_is_sequence, cells)):
        return None
    return _split_objects(cells, name)


def _cells(values: Any, lengths: np.ndarray) -> Cells:
    return Cells(values, np.concatenate([[0], np.cumsum(lengths.astype(np.int64))]).astype(np.int64))


def _split_objects(cells: list[Any], name: Any) -> Cells:
    parts: list[Any] = []
    for row, cell in enumerate(cells):
        if _is_sequence(cell):
            parts.append(np.asarray(cell) if _is_tensor(cell) else filled(cell))
        elif _is_missing(cell):
            parts.append([])
        else:
            raise TypeError(
                f"Row {row} of column {name!r} holds {cell!r:.60} of type {type(cell).__name__}, other rows or those "
                f"of `fit` hold sequences; expected a list, as [{cell!r:.60}], an array, or a missing value."
            )
    lengths = np.array([len(part) for part in parts], dtype=np.int64)
    kinds = {part.dtype.kind for part in parts if isinstance(part, np.ndarray) and len(part)}
    if len(kinds) == 1 and kinds <= set("iufbM") and all(isinstance(p, np.ndarray) for p in parts if len(p)):
        return _cells(np.concatenate([part for part in parts if len(part)]), lengths)
    flat = [value for part in parts for value in (part.tolist() if _keeps(part) else part)]
    if any(hasattr(kind, "__array__") and not issubclass(kind, np.generic) for kind in set(map(type, flat))):
        flat = [value.item() if _is_scalar_tensor(value) else value for value in flat]
    return _cells(np.array([*flat, None], dtype=object)[:-1] if _is_flat(flat, name, lengths) else None, lengths)


def _is_tensor(cell: Any) -> bool:
    """Whether a cell is an array of another library than those whose values are of Python's types, or of numpy's."""
    if isinstance(cell, (list, tuple, np.ndarray)):
        return False
    return type(cell).__module__.partition(".")[0] not in ("pandas", "polars", "pyarrow")


def _is_scalar_tensor(value: Any) -> bool:
    return getattr(value, "ndim", None) == 0 and hasattr(value, "__array__") and not isinstance(value, np.generic)


def _keeps(part: Any) -> bool:
    """Whether `tolist` of an array gives values that mean the same; it makes integers of nanoseconds."""
    return isinstance(part, np.ndarray) and part.dtype.kind not in "mM"


def _is_flat(flat: list[Any], name: Any, lengths: np.ndarray) -> bool:
    for place, value in enumerate(flat):
        if isinstance(value, (list, dict, set, np.ndarray)):
            row = int(np.searchsorted(np.cumsum(lengths), place, side="right"))
            raise TypeError(
                f"Row {row} of column {name!r} holds a sequence in which an event is {value!r:.60} of type "
                f"{type(value).__name__}; expected one value for each event. Give each part of an event a column."
            )
    return True


def holds_times(values: Any) -> bool:
    """Whether a flat column holds dates or times with dates."""
    pl, pa = sys.modules.get("polars"), sys.modules.get("pyarrow")
    if pl is not None and isinstance(values, pl.Series):
        return values.dtype in (pl.Date, pl.Datetime)
    if pa is not None and isinstance(values, (pa.ChunkedArray, pa.Array)):
        return bool(pa.types.is_timestamp(values.type) or pa.types.is_date(values.type))
    kind = getattr(getattr(values, "dtype", None), "kind", "O")
    if kind in "MO":
        first = values if kind == "M" else next((v for v in values if not _is_missing(v)), None)
        return kind == "M" or isinstance(first, (datetime.date, np.datetime64))
    return False


def check_zones(keys: list[Any], what: str) -> None:
    """Refuse times of which some have a zone and some none: by how much these are earlier cannot be told."""
    aware, naive = (
        next((key for key in keys if isinstance(key, datetime.datetime) and (key.tzinfo is None) == is_naive), None)
        for is_naive in (False, True)
    )
    if aware is not None and naive is not None:
        raise ValueError(
            f"{what} holds times with a time zone, such as {aware}, and without one, such as {naive}; expected a zone "
            "for all of them or for none."
        )


def to_seconds(values: Any, name: Any) -> np.ndarray:
    """Return dates and times as seconds since 1970, float64, NaN where they are missing; zones are moved to UTC.

    Raises
    ------
    ValueError
        If a value is no date, or some have a time zone and some none.
    """
    array = None
    if getattr(getattr(values, "dtype", None), "kind", "") == "M":
        array = series_values(values) if hasattr(values, "dt") else np.asarray(values)
    if array is not None and array.dtype.kind == "M":
        seconds = array.astype("datetime64[us]").astype(np.int64) / 1e6
        seconds[np.isnat(array)] = np.nan
        return seconds
    factor = factorize(values, name)
    check_zones(factor.keys, f"column {name!r}")
    seconds = np.full(len(factor.keys) + 1, np.nan)
    for i, key in enumerate(factor.keys):
        if isinstance(key, np.datetime64):
            seconds[i] = key.astype("datetime64[us]").astype(np.int64) / 1e6
        elif isinstance(key, datetime.datetime):
            seconds[i] = (key.replace(tzinfo=None) - _EPOCH).total_seconds()
        else:
            raise ValueError(
                f"column {name!r} holds {key!r} of type {type(key).__name__} beside dates; expected dates and times, "
                "or missing values."
            )
    return seconds[factor.codes]
