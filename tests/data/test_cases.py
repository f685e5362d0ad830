"""Sequences in cells, long tables made of them, and what a net reads of them."""

import datetime
import warnings

import numpy as np
import pandas as pd
import pytest
from frames import FRAMES, make_frame

from skembed.data.case_table import to_sequences
from skembed.data.cases import MISSING_PLACE, CaseReader, Cases
from skembed.data.columns import read_columns
from skembed.data.prefixes import overlay
from skembed.data.sequences import as_cells, split_cells, to_seconds

DAY = datetime.datetime(2024, 3, 4, 6, 0)  # a Monday


def reader_of(X, **options):
    settings = {"categorical_features": "auto", "max_length": None, "min_frequency": None, "max_categories": None}
    return CaseReader.fit(read_columns(as_cells(X)), **(settings | {"wants_category": True} | options))


@pytest.mark.parametrize("kind", FRAMES)
def test_cells_of_any_container(kind):
    X = make_frame(kind, {"a": [["x", "y"], None, [], ["z"]], "b": [[1.5, None], [], None, [2.0]], "c": [1, 2, 3, 4]})
    columns = read_columns(as_cells(X))
    a, b, c = (split_cells(column, "it") for column in columns.values)
    assert c is None
    assert a.indptr.tolist() == b.indptr.tolist() == [0, 2, 2, 2, 3]
    assert list(a.values.to_pylist() if kind == "pyarrow" else a.values) == ["x", "y", "z"]
    reader, cases = reader_of(X)
    assert reader.roles == ["category", "number", "number"]
    assert cases.ids[:, 0].tolist() == [1, 2, 3]
    assert (cases.places[:, 0] == MISSING_PLACE).tolist() == [False, True, False]


def test_times_become_gaps_and_the_calendar():
    hours = [0, 5, 30]
    times = [DAY + datetime.timedelta(hours=h) for h in hours]
    reader, cases = reader_of(pd.DataFrame({"t": [times, times[:2]] * 30}))
    assert reader.inputs == [f"{part} of t" for part in ("gap", "elapsed", "time of day", "day of week")]
    assert reader.flagged == [True, False, False, False]
    np.testing.assert_allclose(reader.knots[0], np.log1p([5 * 3600, 25 * 3600]))
    np.testing.assert_allclose(reader.knots[2], [6 * 3600, 11 * 3600, 12 * 3600])
    assert reader.knots[3].tolist() == [0, 1]
    assert cases.places[:3].tolist() == [[-1, 0, 0, 0], [0, 1, 1, 0], [1, 2, 2, 1]]


@pytest.mark.parametrize("unit", ["s", "ns"])
def test_seconds_of_dates(unit):
    expected = [DAY.replace(tzinfo=datetime.UTC).timestamp(), np.nan]
    aware = DAY.replace(tzinfo=datetime.timezone(datetime.timedelta(hours=2)))
    np.testing.assert_array_equal(to_seconds(np.array([DAY, None], dtype=f"datetime64[{unit}]"), "t"), expected)
    np.testing.assert_array_equal(to_seconds(np.array([DAY, None], dtype=object), "t"), expected)
    np.testing.assert_array_equal(to_seconds(np.array([aware], dtype=object), "t"), [expected[0] - 7200])
    with pytest.raises(ValueError, match="column 't' holds 'soon' of type str"):
        to_seconds(np.array([DAY, "soon"], dtype=object), "t")


def test_only_the_last_events_are_kept_and_time_goes_on():
    times = [[DAY + datetime.timedelta(hours=h) for h in range(n)] for n in (3, 1)] * 30
    whole, short = (reader_of(pd.DataFrame({"t": times}), max_length=n)[1] for n in (None, 2))
    assert short.lengths[:2].tolist() == [2, 1]
    np.testing.assert_array_equal(short.places[:2], whole.places[1:3])


@pytest.mark.parametrize("kind", FRAMES)
def test_events_before_the_last_ones_decide_nothing(kind):
    first = [["rare", 0.5], ["rare", "none"]]  # a number that is a text would make all of them texts
    last = [["x", 1.0], ["y", 2.0], ["x", 3.0], ["y", None]] * 20
    cases = [first[i % 2 : i % 2 + 1] * 2 + last[i : i + 2] for i in range(60)]
    if kind in ("polars", "pyarrow"):
        cases = [[[step, -9.0 if isinstance(value, str) else value] for step, value in case] for case in cases]

    def read(cases):
        columns = {name: [[event[j] for event in case] for case in cases] for j, name in enumerate("ab")}
        return reader_of(make_frame(kind, columns), max_length=2)

    (whole, read_whole), (short, read_short) = read(cases), read([case[-2:] for case in cases])
    assert whole.roles == short.roles == ["category", "number"]
    assert whole.vocabularies[0].keys.tolist() == ["x", "y"]
    np.testing.assert_array_equal(whole.knots[0], short.knots[0])
    for name in ("indptr", "ids", "places"):
        np.testing.assert_array_equal(getattr(read_whole, name), getattr(read_short, name))


def test_numbers_have_places_among_their_quantiles():
    reader, _ = reader_of([np.arange(100.0), np.arange(100.0, 200.0)])
    cases = reader.read(read_columns(as_cells([np.array([-1e300, 99.5, 1e300, np.nan])])))
    assert cases.places[:, 0].tolist() == [0, pytest.approx(4.5, abs=0.1), 9, 4.5]
    with pytest.raises(ValueError, match="infinity in column 'x0'"):
        reader.read(read_columns(as_cells([np.array([np.inf])])))


@pytest.mark.parametrize("scale", [5e-324, 1e-310, 1e-300, 1e307])
def test_places_of_numbers_of_any_size_are_finite(scale):
    values = scale * (np.arange(120) ** 2 % 97 / 10)
    for X in ([values], [np.append(values, 1.0)], pd.DataFrame({"p": values, "s": [["a"]] * 120})):
        reader, cases = reader_of(X)
        new = reader.read(read_columns(as_cells(X)))
        for found in (cases.places, cases.case_places, new.places, new.case_places):
            assert np.isfinite(found).all()


def test_nullable_arrays_in_cells_are_numbers():
    values = [[1.5, None, 2.5, 0.5]] * 30
    nullable = pd.DataFrame({"a": [pd.array(row, dtype="Float64") for row in values]})
    found, expected = reader_of(nullable), reader_of(pd.DataFrame({"a": values}))
    assert found[0].roles == expected[0].roles == ["number"]
    np.testing.assert_array_equal(found[1].places, expected[1].places)


def test_levels_that_nearly_every_event_has_of_its_own_are_told_of():
    times = [[f"2024-01-{d:02}T{h:02}:00" for h in (3, 5)] for d in range(1, 31)]
    frame = pd.DataFrame({"step": [["a", "b"]] * 30, "time": times})
    with pytest.warns(UserWarning, match="column 'time' has a level of its own in nearly every event, such as '2024"):
        reader_of(frame)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        reader_of(frame, min_frequency=2)
        reader_of(frame[:20])  # of a few, all may happen to differ
        reader_of(frame.assign(time=frame["time"].map(pd.to_datetime)))
    with pytest.warns(UserWarning, match="column 'case' has a level of its own in nearly every row, such as 'case "):
        reader_of(pd.DataFrame({"step": [["a", "b"]] * 60, "case": [f"case {i}" for i in range(60)]}))


def test_whole_numbers_are_categories_where_they_are_few_or_alone():
    few, many = [[1, 2, 1]] * 40, np.arange(120).reshape(40, 3).tolist()
    assert reader_of(pd.DataFrame({"a": few, "b": many}))[0].roles == ["category", "number"]
    words = [["a", "b", "a"]] * 40
    assert reader_of(pd.DataFrame({"a": words, "b": many}))[0].roles == ["category", "number"]
    assert reader_of(many)[0].roles == ["category"]
    assert reader_of(many, wants_category=False)[0].roles == ["number"]
    assert reader_of(pd.DataFrame({"a": few, "b": many}), categorical_features=[1])[0].roles == ["number", "category"]


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        ("abc", TypeError, "single str 'abc'"),
        ([["a"], "b"], TypeError, r"Row 1 of column 'x0' holds 'b' of type str"),
        ([["a"], [{"b": 1}]], TypeError, r"Row 1 of column 'x0' .* an event is \{'b': 1\}"),
        (pd.DataFrame({"a": [[1], [1, 2]], "b": [[1], [1]]}), ValueError, "row 1 has 2 events in column 'a' and 1 in"),
        ([np.zeros((2, 2)), np.zeros((2, 3))], ValueError, r"entry 1 of X is an array of shape \(2, 3\)"),
        ([[["a"], 1], [["a"]]], ValueError, "row 1 of X has 1 cells, expected 2"),
    ],
)
def test_wrong_cells_are_named(X, error, message):
    with pytest.raises(error, match=message):
        reader_of(X)


def test_sequences_where_there_were_none_are_an_error():
    reader, _ = reader_of(pd.DataFrame({"a": [["x"]], "b": [1]}))
    with pytest.raises(TypeError, match="column 'b' holds sequences, and plain values in `fit`"):
        reader.read(read_columns(pd.DataFrame({"a": [["x"]], "b": [[1]]})))
    with pytest.raises(TypeError, match="Row 0 of column 'a' holds 'x'"):
        reader.read(read_columns(pd.DataFrame({"a": ["x"], "b": [1]})))
    assert len(reader.read(read_columns(pd.DataFrame({"a": [None], "b": [1]}))).ids) == 0


# ------------------------------------------------------------------------------------------------------- prefixes


@pytest.mark.parametrize("merge_equal", [True, False])
def test_beginnings_lie_on_longer_cases(merge_equal):
    words = ["ab", "abc", "b", "ab", "", "abcd", "abd", "bc"]
    _, cases = reader_of([list(word) for word in words])
    over = overlay(cases, merge_equal=merge_equal)
    longest = [words[i] for i in over.longest]
    for word, place in zip(words, over.which):
        assert longest[place].startswith(word)
    lying = sorted((place, len(word)) for word, place in zip(words, over.which))
    assert (len(set(lying)) == len(lying)) is not merge_equal
    assert sorted(longest) == ["abcd", "abd", "bc"] if merge_equal else ["ab", "abcd", "abd", "bc"]


def test_very_many_cases_that_begin_alike_take_no_time():  # minutes, where each is compared with all others
    n = 60_000
    indptr = np.append(0, np.cumsum(np.tile([1, 2], n // 2)))
    nothing = np.empty((len(indptr) - 1, 0), dtype=np.int32)
    events = np.ones((indptr[-1], 1), dtype=np.int32), np.empty((indptr[-1], 0), dtype=np.float32)
    over = overlay(Cases(indptr, *events, nothing, nothing.astype(np.float32)), merge_equal=False)
    assert over.longest.tolist() == list(range(1, n, 2))[::-1]
    assert sorted(over.which[::2]) == sorted(over.which[1::2]) == list(range(n // 2))


def test_plain_columns_keep_cases_apart():
    _, cases = reader_of(pd.DataFrame({"a": [["x"], ["x", "y"], ["x"]], "b": ["u", "v", "v"]}))
    assert overlay(cases, merge_equal=True).which.tolist() in ([0, 1, 1], [1, 0, 0])


# ---------------------------------------------------------------------------------------------------- long tables


LOG = {
    "case": ["b", "a", "b", "b", "a"],
    "step": ["2", "1", "1", "3", "2"],
    "n": [2, 1, 1, 3, 2],
    "kind": ["v", None, "v", "v", None],
}


def listed(X, j):
    if isinstance(X, np.ndarray):
        return [list(cell) if np.ndim(cell) else cell for cell in X[:, j]]
    column = X[X.columns[j]] if hasattr(X, "iloc") else X[["step", "kind"][j]]
    return [list(c) if np.ndim(c) else c for c in (column.to_pylist() if hasattr(column, "to_pylist") else column)]


@pytest.mark.parametrize("kind", FRAMES)
def test_long_tables_become_cases(kind):
    log = make_frame(kind, LOG)
    names = {"by": "case", "order": "n", "case_columns": ["kind"]}
    if kind in ("numpy", "list"):
        names = {"by": 0, "order": 2, "case_columns": [3]}
    whole = to_sequences(log, **names)
    assert whole.ids.tolist() == ["b", "a"]
    assert listed(whole.X, 0) == [["1", "2", "3"], ["1", "2"]]
    assert [None if pd.isna(value) else value for value in listed(whole.X, 1)] == ["v", None]
    assert whole.y is None
    step = "step" if isinstance(names["by"], str) else 1
    ended = to_sequences(log, prefixes=2, next_of=step, end="end", **names)
    assert listed(ended.X, 0) == [["1", "2"], ["1", "2", "3"], ["1", "2"]]
    assert ended.ids.tolist() == ["b", "b", "a"]
    assert ended.lengths.tolist() == [2, 3, 2]
    assert ended.y.tolist() == ["3", "end", "end"]
    assert to_sequences(log, prefixes=2, next_of=step, **names).y.tolist() == ["3"]


@pytest.mark.parametrize("kind", FRAMES[:3])
def test_dates_order_events_and_are_a_column(kind):
    times = [DAY + datetime.timedelta(hours=h) for h in (3, 1, 2)]
    cases = to_sequences(make_frame(kind, {"case": [1, 1, 1], "t": times}), by="case", order="t")
    reader, _ = reader_of(cases.X)
    assert (reader.names, reader.roles) == (["t"], ["time"])
    assert split_cells(read_columns(cases.X).values[0], "t").indptr.tolist() == [0, 3]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"by": "id"}, "by='id' is no column of the table"),
        ({"by": "case", "order": "id"}, "order='id' is no column of the table"),
        ({"by": "case", "next_of": "id"}, "next_of='id' is no column of the table"),
        ({"by": "kind"}, "row 1 has no value in column 'kind', by"),
        ({"by": "case", "order": "kind"}, "row 1 has no value in column 'kind', order"),
        (
            {"by": "case", "case_columns": ["step"]},
            "case_columns names 'step', which has more than one value in case 'b'",
        ),
        ({"by": "case", "prefixes": 0}, "prefixes=0, expected a whole number of at least 1"),
        ({"by": "case", "prefixes": 1.5}, "prefixes=1.5, expected a whole number of at least 1"),
        ({"by": "case", "case_columns": ["kind"], "order": ["step", "n"]}, "no column is left for sequences"),
    ],
)
def test_what_is_wrong_with_a_long_table_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        to_sequences(pd.DataFrame(LOG), **options)


def test_cases_may_be_called_by_tuples():
    log = pd.DataFrame({"case": [("b", 1), ("a", 2), ("b", 1)], "step": ["open", "check", "close"]})
    cases = to_sequences(log, by="case")
    assert cases.ids.tolist() == cases.X.index.tolist() == [("b", 1), ("a", 2)]
    assert cases.X.index.name == "case"
    assert list(map(list, cases.X["step"])) == [["open", "close"], ["check"]]


@pytest.mark.parametrize("as_given", [lambda X: X, list, lambda X: [row[:, 0] for row in X]])
def test_what_is_masked_in_arrays_is_missing(as_given):
    X = np.ma.array(np.arange(6.5, 12).reshape(2, 3, 1), mask=np.arange(6).reshape(2, 3, 1) == 4)
    reader, cases = reader_of(as_given(X))
    assert reader.knots[0].tolist() == [6.5, 11.5]
    assert cases.places[:, 0].tolist() == [0, pytest.approx(0.2), pytest.approx(0.4), pytest.approx(0.6), -1, 1]


@pytest.mark.parametrize("X", [5, None, {"a": ["x"]}, np.zeros((2, 3)), np.array([1.0, 2.0])])
def test_what_holds_no_sequences_is_left_to_those_who_read_columns(X):
    assert as_cells(X) is X
    if isinstance(X, dict):
        with pytest.raises(TypeError, match="X is a dict of 1 keys, expected a table"):
            read_columns(as_cells(X))
    elif not isinstance(X, np.ndarray) or X.ndim == 1:
        with pytest.raises(ValueError, match="2D array") as caught:
            read_columns(as_cells(X))
        assert repr(X)[:5] in str(caught.value)


@pytest.mark.parametrize("kind", ["pandas", "polars", "pyarrow"])
def test_events_none_of_which_is_known_are_told_of(kind):
    X = {"step": [[1, 2, 3], [2], [3, 1]], "n": [[0.5, 0.25, 0.125], [0.5], [0.25, 0.5]], "region": ["n", "s", "n"]}
    reader, _ = reader_of(make_frame(kind, X), categorical_features=[0, 2])

    def read(**changed):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            cases = reader.read(read_columns(make_frame(kind, X | changed)))
        return cases.ids[:, 0].tolist(), [str(warning.message) for warning in caught]

    assert read() == ([1, 2, 3, 2, 3, 1], [])
    texts = [["1", "2", "3"], ["2"], ["3", "1"]]
    assert read(step=texts) == ([0] * 6, [
        "no value is known: column 'step' holds values such as '1' (str), fit met such as 1 (int). All rows get the "
        "unknown vector; convert the column to the type that it had in fit."
    ])  # fmt: skip
    assert read(step=[[7, 8, 3], [9], [7, 7]]) == ([0, 0, 3, 0, 0, 0], [])
    assert "column 'region' holds values such as 'x' (str), fit met such as 'n'" in read(region=["x", "y", "x"])[1][0]
