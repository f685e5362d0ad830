"""Sequences in the cells of containers: lists, arrays, columns of lists; and long tables of events made such cells.

A column of X is one of sequences where its cells are lists or arrays, else it is plain and holds for the whole row.
"""

import datetime
import sys
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from skembed.data.canonical import canonical_key
from skembed.data.columns import Columns, factorize, read_columns
from skembed.data.ragged import Ragged

__all__ = ["CaseTable", "Cells", "as_cells", "holds_times", "split_cells", "to_seconds", "to_sequences"]

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
    if isinstance(X, np.ndarray):
        if X.ndim == 3:
            return _from_arrays(list(X))
        if X.ndim != 1 or X.dtype.kind != "O":
            return X
        rows = X.tolist()
    elif hasattr(X, "columns") or hasattr(X, "column_names") or (hasattr(X, "__array__") and not _is_column(X)):
        return X  # a frame, or what scikit-learn says more about
    elif _is_column(X):
        rows = X.to_pylist() if hasattr(X, "to_pylist") else X.to_list()
    elif isinstance(X, Iterable) and not isinstance(X, dict):
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


def _is_column(X: Any) -> bool:
    return type(X).__name__ in ("Series", "ChunkedArray") or (hasattr(X, "to_pylist") and not hasattr(X, "columns"))


def _one_column(rows: list[Any]) -> np.ndarray:
    cells = np.empty((len(rows), 1), dtype=object)
    for i, row in enumerate(rows):
        cells[i, 0] = row
    return cells


def _from_rows(rows: list[Any]) -> np.ndarray:
    n_columns = len(rows[0])
    cells = np.empty((len(rows), n_columns), dtype=object)
    for i, row in enumerate(rows):
        if len(row) != n_columns:
            raise ValueError(f"row {i} of X has {len(row)} cells, expected {n_columns} as in row 0.")
        for j, cell in enumerate(row):
            cells[i, j] = cell
    return cells


def _from_arrays(rows: list[Any]) -> np.ndarray:
    arrays = [np.asarray(row) for row in rows]
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
            parts.append(cell)
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
    return _cells(np.array([*flat, None], dtype=object)[:-1] if _is_flat(flat, name, lengths) else None, lengths)


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


def to_seconds(values: Any, name: Any) -> np.ndarray:
    """Return dates and times as seconds since 1970, float64, NaN where they are missing; zones are moved to UTC.

    Raises
    ------
    ValueError
        If a value is no date.
    """
    array = np.asarray(values) if getattr(getattr(values, "dtype", None), "kind", "") == "M" else None
    if array is not None and array.dtype.kind == "M":
        seconds = array.astype("datetime64[us]").astype(np.int64) / 1e6
        seconds[np.isnat(array)] = np.nan
        return seconds
    factor = factorize(values, name)
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


# ------------------------------------------------------------------------------------------------------- long tables


class CaseTable(NamedTuple):
    """What `to_sequences` returns.

    Attributes
    ----------
    X : frame of the kind that was given, or ndarray of object of shape (n_rows, n_columns)
        One row a case, or a prefix of one; cells of sequences are lists or arrays.
    ids : ndarray of shape (n_rows,), object
        The case of each row, in the order of their first appearance.
    lengths : ndarray of shape (n_rows,), int64
        Events of each row.
    y : ndarray of shape (n_rows,) or None
        The next value of `next_of`.
    """

    X: Any
    ids: np.ndarray
    lengths: np.ndarray
    y: np.ndarray | None = None


def to_sequences(
    frame: Any,
    *,
    by: Any,
    order: Any = None,
    case_columns: Sequence[Any] = (),
    prefixes: int | None = None,
    next_of: Any = None,
    end: Any = None,
) -> CaseTable:
    """Make one row a case of a long table with one row an event.

    It stands outside a Pipeline, since it changes what a row is.

    Parameters
    ----------
    frame : DataFrame of pandas or polars, pyarrow Table, or array-like of shape (n_events, n_columns)
    by : column name, of an array position
        Which case an event belongs to; it may not be missing.
    order : column name or position, or list of them, default=None
        Events of a case are sorted by it, equal ones stay as they are; None: as they stand. A column of dates is then a
        column of X, too; numbers that only say the order are not.
    case_columns : sequence of column names or positions, default=()
        Columns that hold one value for the whole case. All others become sequences.
    prefixes : int, default=None
        Make a row of the first `prefixes` events of each case, of one more, and so on up to the whole case.
    next_of : column name or position, default=None
        Also return y, the value of this column that follows each prefix (`prefixes` is then 1 if it is None).
    end : object, default=None
        What follows the whole case in y. None: whole cases are left out, since nothing follows.

    Returns
    -------
    CaseTable
        Of a pandas frame X has the ids as its index.

    Raises
    ------
    ValueError
        If there is no such column, an id or an order is missing, or a case column has two values in a case.

    Examples
    --------
    >>> import pandas as pd
    >>> from skembed.sequence import to_sequences
    >>> log = pd.DataFrame({"case": [7, 7, 8, 7], "step": ["open", "check", "open", "close"], "n": [1, 2, 1, 3]})
    >>> to_sequences(log, by="case", order="n").X["step"].map(list).to_dict()
    {7: ['open', 'check', 'close'], 8: ['open']}
    >>> cases = to_sequences(log, by="case", order="n", prefixes=1, next_of="step", end="end")
    >>> cases.ids.tolist(), cases.lengths.tolist(), cases.y.tolist()
    ([7, 7, 7, 8], [1, 2, 3, 1], ['check', 'close', 'end', 'end'])
    """
    columns = read_columns(frame, estimator="to_sequences")
    names = list(range(len(columns.values))) if columns.names is None else columns.names
    by_place = _place("by", by, names)
    orders = [] if order is None else order if isinstance(order, (list, tuple)) else [order]
    order_places = [_place("order", name, names) for name in orders]
    case_places = [_place("case_columns", name, names) for name in case_columns]
    factor = factorize(columns.values[by_place], by)
    _require("by", by, factor.codes >= 0)
    ranks = [_rank(columns.values[place], names[place]) for place in order_places]
    rows = np.lexsort([*ranks[::-1], factor.codes])
    ends = np.cumsum(np.bincount(factor.codes, minlength=len(factor.keys)))
    cases = Ragged.from_ends(rows, ends)
    lengths = cases.lengths
    first = None if prefixes is None and next_of is None else 1 if prefixes is None else prefixes
    which, kept = _prefixes(lengths, first, last=next_of is None or end is not None)
    sequences = [
        place
        for place in range(len(names))
        if place != by_place
        and place not in case_places
        and (place not in order_places or holds_times(_flat(columns.values[place])))
    ]
    if not sequences:
        raise ValueError(f"no column is left for sequences beside by={by!r}, order and case_columns of {names}.")
    for place in case_places:
        _check_constant(columns.values[place], names[place], cases, factor.keys)
    ids = np.array([*factor.keys, None], dtype=object)[:-1][which]
    values = {}
    for place in range(len(names)):
        if place in case_places:
            values[names[place]] = _take(columns.values[place], rows[cases.indptr[:-1]][which])
        elif place in sequences:
            values[names[place]] = _nested(columns.values[place], cases, which, kept)
    X = _in_kind(frame, columns, values, ids, by)
    y = None
    if next_of is not None:
        y = _next_values(columns.values[_place("next_of", next_of, names)], next_of, cases, which, kept, end)
    return CaseTable(X, ids, kept, y)


def _place(parameter: str, name: Any, names: list[Any]) -> int:
    if name not in names:
        raise ValueError(f"{parameter}={name!r} is no column of the table, which has {names}.")
    return names.index(name)


def _require(parameter: str, name: Any, present: np.ndarray) -> None:
    if not present.all():
        row = int(np.argmin(present))
        raise ValueError(f"row {row} has no value in column {name!r}, {parameter}; drop such rows before.")


def _flat(column: Any) -> Any:
    return column.to_numpy() if type(column).__name__ == "Series" and hasattr(column, "iloc") else column


def _rank(column: Any, name: Any) -> np.ndarray:
    """Return numbers that sort a column: seconds, numbers, or the places of its sorted values."""
    flat = _flat(column)
    if holds_times(flat):
        seconds = to_seconds(flat, name)
        _require("order", name, ~np.isnan(seconds))
        return seconds
    factor = factorize(column, name)
    _require("order", name, factor.codes >= 0)
    try:
        places = np.argsort(np.argsort(np.array([*map(float, factor.keys)]), kind="stable"), kind="stable")
    except (TypeError, ValueError):
        sorted_keys = {key: i for i, key in enumerate(sorted(factor.keys, key=lambda key: (str(type(key)), key)))}
        places = np.array([sorted_keys[key] for key in factor.keys])
    return places[factor.codes] if len(places) else factor.codes


def _prefixes(lengths: np.ndarray, first: int | None, *, last: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return the case and the length of each row."""
    if first is None:
        return np.arange(len(lengths)), lengths
    if first < 1:
        raise ValueError(f"prefixes={first!r}, expected a whole number of at least 1, or None for whole cases.")
    n_rows = np.maximum(lengths - first + (1 if last else 0), 0)
    which = np.repeat(np.arange(len(lengths)), n_rows)
    begins = np.repeat(np.cumsum(n_rows) - n_rows, n_rows)
    return which, np.arange(len(which)) - begins + first


def _check_constant(column: Any, name: Any, cases: Ragged, keys: list[Any]) -> None:
    codes = factorize(column, name).codes[cases.indices]
    changes = np.flatnonzero(np.diff(codes) != 0) + 1
    inside = np.setdiff1d(changes, cases.ends)
    if len(inside):
        case = int(np.searchsorted(cases.ends, inside[0], side="right"))
        raise ValueError(
            f"case_columns names {name!r}, which has more than one value in case {keys[case]!r}; expected one. Leave "
            "it out of case_columns to make it a sequence."
        )


def _take(column: Any, rows: np.ndarray) -> Any:
    if hasattr(column, "iloc"):
        return column.iloc[rows].array
    if hasattr(column, "gather"):
        return column.gather(rows)
    return column.take(rows)


def _nested(column: Any, cases: Ragged, which: np.ndarray, kept: np.ndarray) -> Any:
    """Return the cells of each row: views of one array, or a column of lists."""
    begins = cases.indptr[:-1][which]
    if hasattr(column, "gather") or hasattr(column, "combine_chunks") or hasattr(column, "to_pylist"):
        stops = np.cumsum(kept)
        total = int(stops[-1]) if len(stops) else 0
        places = np.arange(total) + np.repeat(begins - (stops - kept), kept)
        flat, offsets = cases.indices[places], np.concatenate([[0], stops])
        if hasattr(column, "gather"):
            pl = sys.modules["polars"]
            frame = pl.DataFrame({"row": np.repeat(np.arange(len(kept)), kept), "value": column.gather(flat)})
            return frame.group_by("row", maintain_order=True).agg("value")["value"]
        pa = sys.modules["pyarrow"]
        chunk = column.take(flat)
        chunk = chunk.combine_chunks() if isinstance(chunk, pa.ChunkedArray) else chunk
        return pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), chunk)
    if hasattr(column, "iloc"):
        taken = column.iloc[cases.indices]
        aware = getattr(column.dtype, "tz", None) is not None
        values = taken.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy() if aware else taken.to_numpy()
    else:
        values = column[cases.indices]
    cells = np.empty(len(which), dtype=object)
    for i, (begin, length) in enumerate(zip(begins.tolist(), kept.tolist())):
        cells[i] = values[begin : begin + length]
    return cells


def _in_kind(frame: Any, columns: Columns, values: dict[Any, Any], ids: np.ndarray, by: Any) -> Any:
    for package, name in (("pandas", "DataFrame"), ("polars", "DataFrame"), ("pyarrow", "Table")):
        cls = getattr(sys.modules.get(package), name, None)
        if cls is not None and isinstance(frame, cls):
            if package == "pyarrow":
                return cls.from_pydict(values)
            if package == "polars":
                return cls(values)
            index = sys.modules["pandas"].Index(list(ids), name=by)
            return cls(values, index=index)
    out = np.empty((len(ids), len(values)), dtype=object)
    for j, column in enumerate(values.values()):
        for i, cell in enumerate(column):
            out[i, j] = cell
    return out


def _next_values(column: Any, name: Any, cases: Ragged, which: np.ndarray, kept: np.ndarray, end: Any) -> np.ndarray:
    factor = factorize(column, name)
    codes = np.append(factor.codes[cases.indices], -1)
    places = cases.indptr[:-1][which] + kept
    is_end = places == cases.ends[which]
    keys = [*factor.keys, None]
    values = [end if stops else keys[code] for stops, code in zip(is_end.tolist(), codes[places].tolist())]
    if len({type(value) for value in values}) == 1 and isinstance(values[0], (str, int, bool, float)):
        return np.array(values)
    return np.array([*values, None], dtype=object)[:-1]
