"""Long tables, a row an event, made a row a case whose cells hold sequences."""

import datetime
import itertools
import re
import sys
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np

from skembed.data.columns import Columns, as_table, column_labels, factorize, read_columns, series_values
from skembed.data.ragged import Ragged
from skembed.data.sequences import check_zones, holds_times
from skembed.data.twins import warn_of_twins
from skembed.memory import check_memory
from skembed.warning import warn

__all__ = ["CaseTable", "to_sequences"]

_MONTHS = (
    "jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|"
    "nov(?:ember)?|dec(?:ember)?"
)
_NOT_IN_ORDER_AS_TEXT = re.compile(  # dates and times that sorting as text puts elsewhere, unlike those of ISO 8601
    rf"""\s*(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*[,.]?\s+)?(?:
      \d{{1,2}}[./]\d{{1,2}}[./]\d{{2,4}}(?!\d) | \d{{1,2}}-\d{{1,2}}-\d{{4}}(?!\d)  # the day or the month first
    | (?:\d{{1,2}}[ .-]+)?(?:{_MONTHS})[ .-]+\d  # a month by its name
    | \d{{4}}[-/.](?:\d|\d\d[-/.]\d)(?!\d) | (?:\d{{4}}-\d\d-\d\d[ T])?\d:\d  # one digit where others have two
    | [-0-9 T]*\d{{1,2}}:\d\d[:.0-9]*\s?[ap]\.?m\b
    )""",
    re.IGNORECASE | re.VERBOSE,
)
_ISO_DATE = re.compile(r"\s*\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d.*)?\s*")


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
        Events of a case are sorted by it, equal ones stay as they are; None: as they stand. Ordered categories stand in
        their order, text that holds numbers in that of the numbers. A column of dates is then a column of X, too;
        numbers that only say the order are not.
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
        If there is no such column, an id or an order is missing, a case column has two values in a case, or an order
        holds times of which some have a zone and some none, or dates as text that stand in another order as text, such
        as "31/1/2024", or those of several offsets.

    MemoryError
        If the events of all prefixes are more than the machine holds; their number grows with the square of a length.

    Warns
    -----
    UserWarning
        If a number and its text, as 1 and "1", are two cases, or dates of `order` are text, which are no column of X.

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
    labels = column_labels(frame)
    names = list(range(len(columns.values))) if labels is None else labels
    by_place = _place("by", by, names)
    orders = [] if order is None else order if isinstance(order, (list, tuple)) else [order]
    order_places = [_place("order", name, names) for name in orders]
    case_places = [_place("case_columns", name, names) for name in case_columns]
    factor = factorize(columns.values[by_place], by)
    _require("by", by, factor.codes >= 0)
    warn_of_twins(factor.keys, "cases", "the column", f" of column {by!r}")
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
    if first is not None:
        n_events = int(kept.sum())
        check_memory(
            8 * n_events * len(sequences),
            f"a row for each beginning of {len(lengths)} cases of up to {lengths.max()} events holds {n_events} events "
            f"in {len(sequences)} columns, which",
            "keep the last events of long cases only, raise prefixes, or take fewer cases",
        )
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
    """Return a column as an array, where numpy has its values as they are, else as it is; times with a zone in UTC."""
    pl, pa = sys.modules.get("polars"), sys.modules.get("pyarrow")
    if type(column).__name__ == "Series" and hasattr(column, "iloc"):
        return series_values(column)
    if pl is not None and isinstance(column, pl.Series) and not column.null_count():
        kind = column.dtype
        wide = getattr(pl, "Int128", None), getattr(pl, "UInt128", None)  # of newer versions; numpy has none so wide
        is_number = kind.is_float() or (kind.is_integer() and kind not in wide)
        return column.to_numpy() if is_number or kind in (pl.Date, pl.Datetime, pl.Duration) else column
    if pa is not None and isinstance(column, pa.ChunkedArray) and not column.null_count:
        kind, types = column.type, pa.types
        is_time = types.is_timestamp(kind) or types.is_date(kind) or types.is_duration(kind)
        return column.to_numpy() if is_time or types.is_integer(kind) or types.is_floating(kind) else column
    return column


def _rank(column: Any, name: Any) -> np.ndarray:
    """Return numbers that sort a column: its own, or the places of its sorted values."""
    codes = _ordered_codes(column)
    if codes is not None:
        _require("order", name, codes >= 0)
        return codes
    flat = _flat(column)
    kind = flat.dtype.kind if isinstance(flat, np.ndarray) else "O"
    if kind in "iufb":
        _require("order", name, ~np.isnan(flat))
        return flat
    if kind in "mM":
        _require("order", name, ~np.isnat(flat))
        return flat.astype(np.int64)  # in seconds as floats, what differs by nanoseconds would be equal
    factor = factorize(column, name)
    _require("order", name, factor.codes >= 0)
    keys = factor.keys
    check_zones(keys, f"order={name!r}")
    ranks = _numbers_of(keys) if any(isinstance(key, str) for key in keys) else None
    if ranks is not None:
        _require("order", name, np.array([rank == rank for rank in ranks])[factor.codes])
    elif all(isinstance(key, str) for key in keys):
        _refuse_dates(keys, name)
        _look_at_iso_dates(keys, name)
        ranks = keys
    else:
        ranks = [_sortable(key) for key in keys]
    by_rank = sorted(range(len(keys)), key=ranks.__getitem__)
    differs = [ranks[i] != ranks[j] for i, j in itertools.pairwise(by_rank)]  # "1" and "1.0" are at one place
    places = np.empty(len(keys), dtype=np.int64)
    places[by_rank] = np.cumsum([0, *differs])[: len(keys)]
    return places[factor.codes]


def _numbers_of(keys: list[Any]) -> list[Any] | None:
    """Return the numbers that texts hold, to the last digit, beside those that are numbers; None if one is none."""
    numbers = []
    for key in keys:
        if isinstance(key, str):
            try:
                key = Decimal(key)
            except InvalidOperation:
                return None
            key = float("nan") if key.is_nan() else key
        elif not isinstance(key, int | float | Decimal):
            return None
        numbers.append(key)
    return numbers


def _ordered_codes(column: Any) -> np.ndarray | None:
    """Return the places of the values of a column among its ordered categories, -1 for missing ones; None without."""
    pl, pa = sys.modules.get("polars"), sys.modules.get("pyarrow")
    if pl is not None and isinstance(column, pl.Series):
        is_ordered = isinstance(column.dtype, pl.Enum)
        return column.to_physical().cast(pl.Int64).fill_null(-1).to_numpy() if is_ordered else None
    if pa is not None and isinstance(column, pa.ChunkedArray):
        if not (pa.types.is_dictionary(column.type) and column.type.ordered):
            return None
        chunks = column.unify_dictionaries().chunks
        return np.concatenate([chunk.indices.cast(pa.int64()).fill_null(-1).to_numpy() for chunk in chunks])
    is_ordered = hasattr(column, "cat") and getattr(column.dtype, "ordered", False)
    return column.cat.codes.to_numpy() if is_ordered else None


def _refuse_dates(keys: list[str], name: Any) -> None:
    found = next((key for key in keys if _NOT_IN_ORDER_AS_TEXT.match(key)), None)
    if found is not None:
        raise ValueError(
            f"order={name!r} holds dates or times as text, such as {found!r:.60}, and as text they stand in another "
            f"order; turn them into dates before, with their format: pandas.to_datetime(frame[{name!r}], format=...)."
        )


def _look_at_iso_dates(keys: list[str], name: Any) -> None:
    """Refuse dates of ISO 8601 that text puts elsewhere, as those of several offsets; warn of others."""
    if not keys or not all(map(_ISO_DATE.fullmatch, keys)):
        return
    try:
        times = {key: datetime.datetime.fromisoformat(key.strip()) for key in keys}
    except ValueError:
        return
    check_zones(list(times.values()), f"order={name!r}")
    zone = ", utc=True" if times[keys[0]].tzinfo is not None else ""
    way_out = f"turn them into dates before: pandas.to_datetime(frame[{name!r}]{zone}), str.to_datetime of polars."
    for earlier, later in itertools.pairwise(sorted(keys)):
        if times[earlier] > times[later]:
            raise ValueError(
                f"order={name!r} holds dates as text, of which {earlier!r:.60} is later than {later!r:.60}, but stands "
                f"before it as text; {way_out}"
            )
    warn(
        f"order={name!r} holds dates as text, such as {keys[0]!r:.60}: they put events in order, but are no column of "
        f"X, of which times would be learned. If these may tell something, {way_out}"
    )


def _sortable(key: Any) -> tuple:
    """Return what sorts values of several types: numbers as they are, never as floats, times to what they hold."""
    if isinstance(key, datetime.datetime):
        key = np.datetime64(key.replace(tzinfo=None))  # keys with a zone are in UTC
    elif isinstance(key, datetime.timedelta):
        key = np.timedelta64(key)
    if isinstance(key, np.datetime64 | np.timedelta64):  # before numbers, of which durations are a kind in numpy
        microseconds = key.astype(f"{key.dtype.kind}8[us]")
        return key.dtype.kind, int(microseconds.astype(np.int64)), float((key - microseconds) / np.timedelta64(1, "us"))
    if isinstance(key, Real | Decimal):
        return "", key
    return str(type(key)), key


def _prefixes(lengths: np.ndarray, first: int | None, *, last: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return the case and the length of each row."""
    if first is None:
        return np.arange(len(lengths)), lengths
    if not isinstance(first, Integral) or isinstance(first, bool) or first < 1:
        raise ValueError(f"prefixes={first!r}, expected a whole number of at least 1, or None for whole cases.")
    first = min(int(first), int(lengths.max(initial=0)) + 1)  # longer ones are in no case
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
        values = _flat(column.iloc[cases.indices])
    else:
        values = column[cases.indices]
    cells = np.empty(len(which), dtype=object)
    for i, (begin, length) in enumerate(zip(begins.tolist(), kept.tolist())):
        cells[i] = values[begin : begin + length]
    return cells


def _in_kind(frame: Any, columns: Columns, values: dict[Any, Any], ids: np.ndarray, by: Any) -> Any:
    frame = as_table(frame)
    for package, name in (("pandas", "DataFrame"), ("polars", "DataFrame"), ("pyarrow", "Table")):
        cls = getattr(sys.modules.get(package), name, None)
        if cls is not None and isinstance(frame, cls):
            if package == "pyarrow":
                return cls.from_pydict(values)
            if package == "polars":
                return cls(values)
            index = sys.modules["pandas"].Index(list(ids), name=by, tupleize_cols=False)
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
    kinds = {type(value) for value in values}
    if kinds == {int, float} or (len(kinds) == 1 and kinds <= {str, int, bool, float}):
        return np.array(values)
    return np.array([*values, None], dtype=object)[:-1]
