"""Long tables made cases, beside a slow twin; which order events have, and cells of every container."""

import datetime as dt
import re
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skembed.data.case_table import to_sequences
from skembed.data.interactions import read_interactions

pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")
pa = pytest.importorskip("pyarrow")

MAKERS = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "pyarrow": pa.table,
          "pyarrow batch": pa.RecordBatch.from_pydict}  # fmt: skip


def slow_cases(columns, order, first, next_of, end):
    """The twin: a dict of lists of rows, sorted one by one."""
    cases = {}
    for row, case in enumerate(columns["case"]):
        cases.setdefault(case, []).append(row)
    ids, steps, y = [], [], []
    for case, rows in cases.items():
        rows = sorted(rows, key=lambda row: tuple(columns[name][row] for name in order))
        for length in [len(rows)] if first is None else range(first, len(rows) + 1):
            if next_of and length == len(rows) and end is None:
                continue
            ids.append(case)
            steps.append([columns["step"][row] for row in rows[:length]])
            y.append(columns[next_of][rows[length]] if next_of and length < len(rows) else end)
    return ids, steps, y if next_of else None


rows = st.tuples(st.sampled_from("bca"), st.integers(0, 3), st.integers(-2, 2), st.text("uv", min_size=1, max_size=2))


@pytest.mark.parametrize("kind", MAKERS)
@given(
    st.lists(rows, min_size=1, max_size=12),
    st.sampled_from([(), ("n",), ("n", "m"), ("m", "n")]),
    st.sampled_from([(None, None, None), (2, None, None), (1, "step", None), (2, "step", "end"), (3, "m", "end")]),
)
def test_cases_are_those_of_a_loop(kind, events, order, asked):
    columns = dict(zip(("case", "n", "m", "step"), map(list, zip(*events))))
    columns["m"] = [f"{m:+d}" for m in columns["m"]]  # texts that sort otherwise than numbers
    first, next_of, end = asked
    given_order = {} if not order else {"order": order[0] if len(order) == 1 else list(order)}
    found = to_sequences(MAKERS[kind](columns), by="case", prefixes=first, next_of=next_of, end=end, **given_order)
    as_numbers = {**columns, "m": [float(m) for m in columns["m"]]}  # by which texts that are numbers are sorted
    ids, steps, y = slow_cases({**columns, "m": as_numbers["m"]}, order, first, next_of, end)
    if y is not None and next_of == "m":
        y = [value if isinstance(value, str) else f"{int(value):+d}" for value in y]
    assert found.ids.tolist() == ids
    assert found.lengths.tolist() == [len(step) for step in steps]
    assert found.ids.dtype == object
    X = found.X.to_pydict() if "pyarrow" in kind else found.X
    assert [list(cell) for cell in X["step"]] == steps
    assert (None if found.y is None else found.y.tolist()) == y


def test_texts_are_in_their_own_order_and_several_types_by_type():
    def order_of(values):
        frame = np.array([["c", value, i] for i, value in enumerate(values)], dtype=object)
        return [values[i] for i in to_sequences(frame, by=0, order=1).X[0, 0]]

    assert order_of(["pear", "apple", "fig"]) == ["apple", "fig", "pear"]
    assert order_of(["10", "9", "-1"]) == ["-1", "9", "10"]
    assert order_of(["b", 2, "a", 10, 1]) == [1, 2, 10, "a", "b"]
    assert order_of([10, "9", 8.5, "11"]) == [8.5, "9", 10, "11"]
    assert order_of(["2", "1.0", "1", "1.0"]) == ["1.0", "1", "1.0", "2"]
    assert order_of([2.5, 1, True]) == [1, True, 2.5]  # equal ones as they stand
    days = [dt.datetime(2024, 1, 3), dt.datetime(2024, 1, 1), dt.datetime(2023, 1, 2)]
    frame = np.array([["c", day] for day in days], dtype=object)
    assert to_sequences(frame, by=0, order=1).X[0, 0].tolist() == sorted(days)


@pytest.mark.parametrize(
    "kind",
    ["integers", "objects", "texts", "decimals", "times", "zone", "time objects", "durations", "duration objects"],
)
def test_values_that_are_one_float_are_in_their_order(kind):
    """Numbers beyond 2**53, as ids that rise, and times that differ by nanoseconds."""
    numbers = [1_700_000_000_000_000_003, 1_700_000_000_000_000_000, 1_700_000_000_000_000_001]
    times = pd.Series(pd.to_datetime(numbers))
    order = {
        "integers": numbers,
        "objects": np.array(numbers, dtype=object),
        "texts": [str(number) for number in numbers],
        "decimals": [Decimal(number) for number in numbers],
        "times": times,
        "zone": times.dt.tz_localize("Europe/Vienna"),
        "time objects": times.astype(object),
        "durations": pd.to_timedelta(numbers),
        "duration objects": np.array(pd.to_timedelta(numbers).astype(object)),
    }[kind]
    log = pd.DataFrame({"case": [1, 1, 1], "order": order, "step": ["c", "a", "b"]})
    assert to_sequences(log, by="case", order="order").X["step"][1].tolist() == ["a", "b", "c"]
    if "objects" not in kind:
        assert to_sequences(pl.from_pandas(log), by="case", order="order").X["step"].to_list() == [["a", "b", "c"]]
        found = to_sequences(pa.Table.from_pandas(log), by="case", order="order").X
        assert found["step"].to_pylist() == [["a", "b", "c"]]


def test_a_number_as_text_that_is_none_is_missing():
    with pytest.raises(ValueError, match="row 1 has no value in column 'n', order; drop such rows before"):
        to_sequences(
            pd.DataFrame({"case": [1] * 4, "n": ["3", "nan", "1", "2"], "step": list("cxab")}), by="case", order="n"
        )


def test_times_with_and_without_a_zone_are_in_no_order():
    log = pd.DataFrame(
        {"case": [1, 1], "at": [pd.Timestamp(2024, 1, 1, 10, tz="Europe/Vienna"), pd.Timestamp(2024, 1, 1)]}
    )
    expected = (
        "holds times with a time zone, such as 2024-01-01 09:00:00\\+00:00, and without one, such as 2024-01-01 00"
    )
    with pytest.raises(ValueError, match="order='at' " + expected):
        to_sequences(log.assign(step="a"), by="case", order="at")
    with pytest.raises(ValueError, match="column 'at' " + expected):
        read_interactions(log.assign(item=["a", "b"]), user="case", item="item", time="at")


def test_all_that_is_returned_is_no_row():
    from skembed import SequenceEmbedder

    cases = to_sequences([[1, "a"], [1, "b"], [2, "a"]], by=0)
    embedder = SequenceEmbedder(2, max_iter=1).fit(cases.X)
    for use in (embedder.fit, embedder.transform):
        with pytest.raises(TypeError, match="X is all that to_sequences returns, expected its first part: pass its X"):
            use(cases)


@pytest.mark.parametrize("unit", ["s", "ns"])
def test_durations_are_the_same_keys_in_every_container(unit):
    from skembed import SequenceEmbedder

    log = pd.DataFrame({"case": [1, 1, 2, 2], "step": list("abab"), "took": pd.to_timedelta([5, 7, 5, 5], unit=unit)})
    rows = []
    for make in (pd.DataFrame, pl.from_pandas, pa.Table.from_pandas):
        X = to_sequences(make(log), by="case").X
        embedder = SequenceEmbedder(2, event="step", max_iter=1, random_state=0).fit(X)
        assert len(embedder.embeddings_["took"]) == 2
        rows.append(embedder.transform(X))
    assert np.array_equal(rows[0], rows[1])
    assert np.array_equal(rows[0], rows[2])


def test_columns_are_found_by_labels_that_are_numbers():
    log = pd.DataFrame({2: ["b", "a", "c"], 0: [7, 7, 8], 1: [2, 1, 1]})  # of a file without names, in another order
    found = to_sequences(log, by=0, order=1)
    assert found.X.columns.tolist() == [2]
    assert (found.ids.tolist(), [list(cell) for cell in found.X[2]]) == ([7, 8], [["a", "b"], ["c"]])


@pytest.mark.parametrize("kind", ["pandas", "polars", "pyarrow"])
def test_ordered_categories_stand_in_their_order(kind):
    given, sizes = ["large", "small", "medium", "small"], ["small", "medium", "large"]
    columns = {"case": [1, 1, 1, 2], "step": ["c", "a", "b", "a"]}
    if kind == "pandas":
        log = pd.DataFrame(columns).assign(size=pd.Categorical(given, sizes, ordered=True))
        unordered = log.assign(size=pd.Categorical(given, sizes))
    elif kind == "polars":
        log = pl.DataFrame(columns).with_columns(size=pl.Series(given, dtype=pl.Enum(sizes)))
        unordered = log.with_columns(size=pl.Series(given, dtype=pl.Categorical))
    else:
        halves = [pa.DictionaryArray.from_arrays(codes, sizes, ordered=True) for codes in ([2, 0], [1, 0])]
        log = pa.table({**columns, "size": pa.chunked_array(halves)})
        unordered = pa.table({**columns, "size": pa.chunked_array([pa.array(given).dictionary_encode()])})

    def steps(log):
        found = to_sequences(log, by="case", order="size").X["step"]
        return [list(cell) for cell in (found.to_pylist() if kind == "pyarrow" else found.to_list())]

    assert steps(log) == [["a", "b", "c"], ["a"]]
    assert steps(unordered) == [["c", "b", "a"], ["a"]]  # as texts
    missing = log.to_pandas() if kind != "pandas" else log
    missing = missing.assign(size=pd.Categorical(["large", None, "medium", "small"], sizes, ordered=True))
    if kind != "pandas":
        missing = (pl.from_pandas if kind == "polars" else pa.Table.from_pandas)(missing)
    with pytest.raises(ValueError, match="row 1 has no value in column 'size', order; drop such rows before"):
        to_sequences(missing, by="case", order="size")


@pytest.mark.parametrize(
    "late",
    [
        "31/1/2024", "1/31/24", "31.01.2024 09:00", "1-2-2024", "05 Jan 2024", "5-Jan-24", "January 5, 2024",
        "Mon, 02 Jan 2024 10:00", "2024-1-5", "2024/01/5 3:00", "2024-01-05 9:30", "9:30", "2024-01-05 01:05 PM",
    ],
)  # fmt: skip
def test_dates_as_text_that_text_does_not_sort_are_refused(late):
    log = pd.DataFrame({"case": [1, 1], "when": ["1", late], "step": ["a", "b"]})
    message = (
        f"^order='when' holds dates or times as text, such as {re.escape(repr(late))}, and as text they stand in an"
    )
    with pytest.raises(ValueError, match=message):
        to_sequences(log, by="case", order="when")


@pytest.mark.parametrize(
    "texts",
    [
        ["2024-01", "2024-02"], ["09:30", "10:30"], ["24-01-31", "24-02-01"], ["2024-01-05", "none"],
        ["2024-W05", "2024-W10"],
        ["1.2.3", "1.2.4"], ["mayor 3", "mayor 4"], ["march", "may"], ["20240105", "20240131"],
    ],
)  # fmt: skip
def test_texts_that_are_in_order_as_text(texts):
    log = pd.DataFrame({"case": [1, 1], "when": texts[::-1], "step": ["b", "a"]})
    assert to_sequences(log, by="case", order="when").X["step"][1].tolist() == ["a", "b"]


@pytest.mark.parametrize(
    "texts",
    [
        ["2024-01-05", "2024-01-31"], ["2024-01-05 09:30", "2024-01-05 10:00"],
        ["2024-01-05T09:30:00Z", "2024-01-05T10:30:00Z"], ["2024-01-05", "2024-01-05 09:30:00.25"],
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["pandas", "polars", "pyarrow"])
def test_dates_as_text_order_events_and_are_said_to_be_no_column(kind, texts):
    log = MAKERS[kind]({"case": [1, 1], "when": texts[::-1], "step": ["b", "a"]})
    message = f"^order='when' holds dates as text, such as {re.escape(repr(texts[1]))}: .* no column of X"
    with pytest.warns(UserWarning, match=message):
        X = to_sequences(log, by="case", order="when").X
    steps, names = (X["step"].to_pylist(), X.column_names) if kind == "pyarrow" else (X["step"].to_list(), X.columns)
    assert list(steps[0]) == ["a", "b"]
    assert "when" not in names


def test_dates_as_text_of_several_offsets_are_refused_where_text_puts_them_elsewhere():
    """As at the end of summer time."""
    texts = ["2024-10-27T02:40:00+02:00", "2024-10-27T02:10:00+01:00"]
    log = pd.DataFrame({"case": [1, 1], "when": texts, "step": ["a", "b"]})
    message = f"^order='when' holds dates as text, of which {re.escape(repr(texts[1]))} is later than .* utc=True"
    with pytest.raises(ValueError, match=message):
        to_sequences(log, by="case", order="when")
    X = to_sequences(log.assign(when=pd.to_datetime(log["when"], utc=True)), by="case", order="when").X
    assert X["step"][1].tolist() == ["a", "b"]
    with pytest.raises(ValueError, match="order='when' holds times with a time zone, such as "):
        to_sequences(log.assign(when=[texts[0], "2024-10-27"]), by="case", order="when")


def test_what_an_order_column_is():
    """Numbers that only say the order are gone; dates are a column, too, in the place that they had."""
    log = pd.DataFrame(
        {"t": pd.to_datetime(["2024-01-02", "2024-01-01"]), "n": [2, 1], "case": [7, 7], "s": ["b", "a"]}
    )
    found = to_sequences(log, by="case", order=["t", "n"])
    assert list(found.X.columns) == ["t", "s"]
    assert found.X.index.tolist() == [7]
    assert found.X.index.name == "case"
    assert found.X["s"][7].tolist() == ["a", "b"]
    assert found.X["t"][7].dtype.kind == "M"
    log["t"] = log["t"].dt.tz_localize("Europe/Vienna")
    assert to_sequences(log, by="case", order="t").X["t"][7][0] == np.datetime64("2023-12-31T23:00")


def test_prefixes_of_pandas_repeat_the_id_and_case_columns_keep_their_type():
    log = pd.DataFrame({"case": [7, 8, 7, 7], "s": list("abcd"), "kind": pd.Categorical(["x", "y", "x", "x"])})
    found = to_sequences(log, by="case", prefixes=2, case_columns=["kind"])
    assert found.X.index.tolist() == found.ids.tolist() == [7, 7]
    assert isinstance(found.X["kind"].dtype, pd.CategoricalDtype)
    assert found.X["kind"].tolist() == ["x", "x"]
    assert [cell.tolist() for cell in found.X["s"]] == [["a", "c"], ["a", "c", "d"]]
    assert to_sequences(log, by="case", case_columns=["kind"]).X["kind"].tolist() == ["x", "y"]
    frame = pl.from_pandas(log)
    assert to_sequences(frame, by="case", case_columns=["kind"]).X["kind"].to_list() == ["x", "y"]


@pytest.mark.parametrize("kind", MAKERS)
def test_prefixes_that_the_machine_does_not_hold_are_told_of_before(kind, monkeypatch):
    log = MAKERS[kind]({"case": [7] * 40 + [8] * 2, "s": ["a"] * 42, "n": list(range(42))})
    n_events = 40 * 41 // 2 + 3
    monkeypatch.setattr("skembed.memory.memory_of_machine", lambda: 8 * 2 * n_events)
    assert to_sequences(log, by="case", prefixes=1).lengths.sum() == n_events
    monkeypatch.setattr("skembed.memory.memory_of_machine", lambda: 8 * 2 * n_events - 1)
    message = rf"^a row for each beginning of 2 cases of up to 40 events holds {n_events} events in 2 columns, whi"
    with pytest.raises(MemoryError, match=message):
        to_sequences(log, by="case", prefixes=1)
    with pytest.raises(MemoryError, match="raise prefixes"):
        to_sequences(log, by="case", next_of="s", end="end")
    assert to_sequences(log, by="case").lengths.tolist() == [40, 2]


@pytest.mark.parametrize(
    ("values", "end", "expected"),
    [
        ([1, 2, 3], None, np.array([2, 3])),
        ([1.5, 2.5, 3.5], None, np.array([2.5, 3.5])),
        ([1.5, 2.0, 3.5], None, np.array([2.0, 3.5])),
        ([True, False, True], None, np.array([False, True])),
        (["a", "b", "c"], "end", np.array(["b", "c", "end"])),
        ([1, 2, 3], "end", np.array([2, 3, "end"], dtype=object)),
        (["a", None, "c"], None, np.array([None, "c"], dtype=object)),
        ([(1, 2), (3, 4), (5, 6)], None, None),
    ],
)
def test_types_of_what_follows(values, end, expected):
    frame = np.empty((3, 2), dtype=object)
    frame[:, 0] = 7
    frame[:, 1] = values
    y = to_sequences(frame, by=0, next_of=1, end=end).y
    if expected is None:
        assert y.shape == (2,)
        assert y.tolist() == [(3, 4), (5, 6)]
    else:
        assert y.dtype.kind == expected.dtype.kind
        assert y.tolist() == expected.tolist()


def test_nothing_that_follows_is_no_row():
    for make in MAKERS.values():
        found = to_sequences(make({"case": [1, 2], "s": ["a", "b"]}), by="case", next_of="s")
        assert (len(found.ids), len(found.X), len(found.y)) == (0, 0, 0)
    found = to_sequences([[1, "a"], [2, "b"]], by=0, prefixes=3)
    assert found.X.shape == (0, 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"by": "id"}, "by='id' is no column of the table, which has ['case', 's', 'n']."),
        ({"by": "case", "case_columns": ["id"]},
         "case_columns='id' is no column of the table, which has ['case', 's', 'n']."),
        ({"by": "n"}, "row 2 has no value in column 'n', by; drop such rows before."),
        ({"by": "case", "order": "n"}, "row 2 has no value in column 'n', order; drop such rows before."),
        ({"by": "case", "order": "t"}, "row 1 has no value in column 't', order; drop such rows before."),
        ({"by": "case", "prefixes": -1},
         "prefixes=-1, expected a whole number of at least 1, or None for whole cases."),
        ({"by": "case", "case_columns": ["s"]},
         "case_columns names 's', which has more than one value in case 'y'; expected one. Leave it out of "
         "case_columns to make it a sequence."),
        ({"by": "case", "order": "s", "case_columns": ["n"]},
         "no column is left for sequences beside by='case', order and case_columns of ['case', 's', 'n']."),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(options, message):
    log = pd.DataFrame({"case": ["x", "y", "z", "y"], "s": ["a", "b", "c", "d"], "n": [1.0, 2.0, None, 2.0]})
    if options.get("order") == "t":
        log["t"] = pd.to_datetime(["2024-01-01", None, "2024-01-01", "2024-01-01"])
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        to_sequences(log, **options)
