"""X as rows and columns of cells: every way that sequences are given, and what their cells hold."""

import datetime as dt
import re
import warnings

import numpy as np
import pytest
from scipy import sparse

from skembed.data.columns import Columns, indexed_values, read_columns, row_labels
from skembed.data.sequences import as_cells, holds_times, split_cells, to_seconds

pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")
pa = pytest.importorskip("pyarrow")

WORDS = [["a", "b"], [], ["c"]]
TALL = [np.arange(6.0).reshape(3, 2), np.arange(2.0).reshape(1, 2)]


def cells_of(X):
    return [[None if cell is None else list(cell) for cell in row] for row in as_cells(X)]


@pytest.mark.parametrize(
    "X",
    [
        WORDS, tuple(WORDS), iter(WORDS), [tuple(row) for row in WORDS], [np.array(row) for row in WORDS],
        np.array([*WORDS, None], dtype=object)[:-1], pd.Series(WORDS, index=[7, 7, 8]), pl.Series(WORDS),
        pa.array(WORDS), pa.chunked_array([WORDS[:1], WORDS[1:]]), [np.array(row, dtype=object) for row in WORDS],
    ],
)  # fmt: skip
def test_a_sequence_of_sequences_is_one_column(X):
    assert cells_of(X) == [[row] for row in WORDS]


def test_missing_rows_stay_missing():
    for missing in (None, np.nan, pd.NA):
        cells = as_cells([["a"], missing, ["b"]])
        assert cells.shape == (3, 1)
        assert split_cells(cells[:, 0], "x").indptr.tolist() == [0, 1, 1, 2]
    assert as_cells([None, ["a"]]).shape == (2, 1)


def test_arrays_of_two_dimensions_have_a_column_for_each_of_theirs():
    expected = [[[0, 2, 4], [1, 3, 5]], [[0], [1]]]
    assert cells_of(TALL) == expected
    assert cells_of(np.stack([TALL[0], TALL[0]])) == [expected[0]] * 2
    assert as_cells([TALL[0], np.empty((0, 2))]).shape == (2, 2)


def test_a_tensor_of_three_dimensions_is_an_array():
    torch = pytest.importorskip("torch")
    assert cells_of(torch.tensor(np.stack([TALL[0]] * 2))) == [[[0, 2, 4], [1, 3, 5]]] * 2


@pytest.mark.parametrize("dtype", ["int64", "float32", "bool"])
def test_tensors_in_cells_hold_values(dtype):
    torch = pytest.importorskip("torch")
    tensors = [torch.tensor([3, 1]).to(getattr(torch, dtype)), torch.tensor([1]).to(getattr(torch, dtype))]
    for X in (tensors, [list(tensor) for tensor in tensors], [*tensors, None]):
        cells = split_cells(as_cells(X)[:, 0], "x")
        assert cells.values.tolist() == [value for tensor in tensors for value in tensor.tolist()]
        assert {type(value) for value in cells.values.tolist()} == {type(tensors[0].tolist()[0])}
        assert cells.indptr.tolist()[:3] == [0, 2, 3]


def test_series_that_are_filled_up_with_nan_are_told_of():
    X = np.arange(24.0).reshape(3, 4, 2)
    X[0, 1], X[1, 3, 0] = np.nan, np.nan  # a gap, and an event of which a value is there
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for given in (X, X[:, :3], np.nan_to_num(X).astype(int), list(X), X[:, :0]):
            as_cells(given)
    X[0, 2:], X[2, 3] = np.nan, np.nan
    with pytest.warns(
        UserWarning, match=r"^2 of 3 rows of X end in events whose values are all NaN: they are read as eve"
    ):
        assert as_cells(X).shape == (3, 2)


def test_rows_of_lists_have_a_column_for_each_entry():
    X = [[["a", "b"], 7, [1.5, 2.5]], [[], 8, []]]
    cells = as_cells(X)
    assert cells.shape == (2, 3)
    assert cells.dtype == object
    assert cells.tolist() == X
    events = [[("a", 1), ("b", 2)], [("c", 3)]]  # tuples are events
    assert as_cells(events).shape == (2, 1)
    assert as_cells([[1, [2]], [3, [4]]]).shape == (2, 2)


@pytest.mark.parametrize(
    "X",
    [
        sparse.eye(2, format="csr"), pd.DataFrame({"a": WORDS}), pl.DataFrame({"a": WORDS}), pa.table({"a": WORDS}),
        np.zeros((2, 2)), np.array(["a", "b"]), [], [None, None], ["a", "b"], [1, 2], 5, {"a": WORDS},
    ],
)  # fmt: skip
def test_what_is_read_as_it_stands(X):
    assert as_cells(X) is X


def test_what_a_generator_held_is_still_there_where_it_is_no_sequences():
    assert as_cells(word for word in ["ab", "c"]) == ["ab", "c"]
    assert as_cells(iter([None, None])) == [None, None]


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        ("abc", TypeError, "X must hold sequences, got the single str 'abc'; pass [list(X)]."),
        (b"abc", TypeError, "X must hold sequences, got the single bytes b'abc'; pass [list(X)]."),
        ("x" * 50, TypeError, f"X must hold sequences, got the single str '{'x' * 40}'; pass [list(X)]."),
        ([[["a"], 1], [["b"], 2], [["c"]]], ValueError, "row 2 of X has 1 cells, expected 2 as in row 0."),
        ([None, [["a"], 1]], TypeError,
         "row 0 of X is None of type NoneType, expected its 2 cells; [None, None] is a case without events."),
        ([[["a"], 1], 7.5], TypeError,
         "row 1 of X is 7.5 of type float, expected its 2 cells; [None, None] is a case without events."),
        ([np.zeros((2, 2)), np.zeros((1, 2)), np.zeros((2, 3))], ValueError,
         "entry 2 of X is an array of shape (2, 3), entry 0 of shape (2, 2); expected arrays of shape (n_events, "
         "n_columns) that have equally many columns."),
        ([np.zeros((2, 2)), np.zeros(2)], ValueError,
         "entry 1 of X is an array of shape (2,), entry 0 of shape (2, 2); expected arrays of shape (n_events, "
         "n_columns) that have equally many columns."),
    ],
)  # fmt: skip
def test_what_is_no_sequence_of_sequences(X, error, message):
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        as_cells(X)


ARROW_LIST = pd.ArrowDtype(pa.list_(pa.int64()))


@pytest.mark.parametrize(
    "column",
    [
        pd.Series([[1, 2], None, []], dtype=object),
        pd.Series([[1, 2], None, []], dtype=ARROW_LIST),
        pl.Series([[1, 2], None, []]),
        pa.array([[1, 2], None, []]),
        pa.array([[1, 2], None, []], pa.large_list(pa.int64())),
        pa.chunked_array([[[1, 2]], [None, []]]),
        np.array([[1, 2], None, [], None], dtype=object)[:3],
        np.array([np.array([1, 2]), None, np.array([]), None], dtype=object)[:3],
    ],
)
@pytest.mark.parametrize("expected", [True, False])
def test_sequences_one_after_the_other(column, expected):
    values, indptr = split_cells(column, "x", expected=expected)
    assert indptr.tolist() == [0, 2, 2, 2]
    assert indptr.dtype == np.int64
    assert (values.to_pylist() if hasattr(values, "to_pylist") else list(values)) == [1, 2]
    if isinstance(column, pd.Series) and column.dtype == ARROW_LIST:
        assert isinstance(values, pa.ChunkedArray)  # no event becomes a Python object


def test_sequences_of_one_length():
    for column in (
        pl.Series([[1, 2], [3, 4]], dtype=pl.Array(pl.Int64, 2)),
        pa.array([[1, 2], [3, 4]], pa.list_(pa.int64(), 2)),
    ):
        values, indptr = split_cells(column, "x")
        assert indptr.tolist() == [0, 2, 4]
        assert (values.to_pylist() if hasattr(values, "to_pylist") else values.to_list()) == [1, 2, 3, 4]


def test_plain_columns_hold_no_sequences():
    for column in (np.array([1, 2]), pd.Series(["ab", "c"]), pl.Series(["ab"]), pa.array([1, None]), pl.Series([None])):
        assert split_cells(column, "x") is None
    for column in (pl.Series([None, None]), pa.array([None, None]), pd.Series([None, np.nan])):
        assert split_cells(column, "x", expected=True).indptr.tolist() == [0, 0, 0]
    for column in (pl.Series(["ab", "c"]), pa.array(["ab", "c"])):
        with pytest.raises(TypeError, match=re.escape(
            "Row 0 of column 'x' holds 'ab' of type str, other rows or those of `fit` hold sequences; expected a list, "
            "as ['ab'], an array, or a missing value."
        )):  # fmt: skip
            split_cells(column, "x", expected=True)


def test_arrays_in_cells_keep_their_dtype_if_all_have_one_kind():
    def values_of(*cells):
        column = np.empty(len(cells), dtype=object)
        for i, cell in enumerate(cells):
            column[i] = cell
        return split_cells(column, "x").values

    assert values_of(np.array([1, 2], np.int8), np.array([3], np.int16), None).dtype == np.int16
    assert values_of(np.array([1.5]), np.array([], dtype=object)).dtype == np.float64
    assert values_of(np.array(["2024"], "M8[D]")).dtype.kind == "M"
    assert values_of(np.array([1]), np.array([1.5])).tolist() == [1, 1.5]
    assert values_of(np.array([1]), [2]).dtype == object
    assert values_of(np.array(["a"]), ["b"]).tolist() == ["a", "b"]
    assert values_of(pd.array([1, 2]), []).tolist() == [1, 2]
    with pytest.raises(
        TypeError, match=r"Row 1 of column 'x' holds a sequence in which an event is \[2\] of type list"
    ):
        values_of([1], [[2], 3])
    with pytest.raises(
        TypeError, match=r"Row 2 of column 'x' holds a sequence in which an event is \{'b'\} of type set"
    ):
        values_of(["a"], [], ["c", {"b"}])


# -------------------------------------------------------------------------------------------------------------- times

DAY = dt.datetime(2024, 3, 4, 6)
SECONDS = (DAY - dt.datetime(1970, 1, 1)).total_seconds()


@pytest.mark.parametrize(
    "values",
    [
        np.array([DAY, None], "M8[us]"), np.array([DAY, None], "M8[ns]"), np.array([DAY, None], dtype=object),
        pd.Series([DAY, None]), pd.Series([DAY, None]).dt.tz_localize("UTC").to_numpy(), pl.Series([DAY, None]),
        pa.array([DAY, None]), pa.chunked_array([[DAY, None]]), pa.array([DAY, None], pa.timestamp("s")),
        np.array([np.datetime64(DAY), None], dtype=object), np.array([pd.NaT, pd.Timestamp(DAY)], dtype=object)[::-1],
    ],
)  # fmt: skip
def test_times_of_every_container(values):
    assert holds_times(values)
    seconds = to_seconds(values, "t")
    assert seconds.dtype == np.float64
    np.testing.assert_array_equal(seconds, [SECONDS, np.nan])


def test_dates_and_times_that_are_finer_than_python_s():
    for dates in (pl.Series([DAY.date()]), pa.array([DAY.date()]), np.array([DAY.date()], dtype=object)):
        assert holds_times(dates)
        assert to_seconds(dates, "t").tolist() == [SECONDS - 6 * 3600]
    fine = np.array([np.datetime64("2024-03-04T06:00:00.000001500", "ns"), None], dtype=object)
    assert to_seconds(fine, "t")[0] == SECONDS + 1e-6
    assert to_seconds(np.array(["1969-12-31T23:59:58.5"], "M8[ms]"), "t").tolist() == [-1.5]


@pytest.mark.parametrize(
    "values",
    [
        np.array([1.5]), np.array(["a"], dtype=object), np.array([None, None], dtype=object), np.array([1], "m8[s]"),
        pl.Series([dt.time(1)]), pl.Series([1]), pa.array([1]), pd.Series(["a"]),
        np.array([None, dt.time(1)], dtype=object),
    ],
)  # fmt: skip
def test_what_holds_no_times(values):
    assert not holds_times(values)


# ---------------------------------------------------------------------------------------------------- rows of columns


def test_some_rows_of_columns_of_every_container():
    data = {"a": ["x", "y", "z"], "b": [1, 2, 3]}
    for frame in (pd.DataFrame(data, index=[5, 5, 6]), pl.DataFrame(data), pa.table(data)):
        taken = read_columns(frame).take(np.array([2, 0, 2]))
        assert isinstance(taken, Columns)
        assert (taken.names, taken.n_rows) == (["a", "b"], 3)
        assert [[str(value) for value in column] for column in taken.values] == [["z", "x", "z"], ["3", "1", "3"]]
    assert read_columns([["x", 1], ["y", 2]]).take(np.array([1])).values[0].tolist() == ["y"]


def test_values_by_an_index_that_somebody_gave():
    assert indexed_values(pd.Series([5, 6], index=["a", "b"])) == [("a", 5), ("b", 6)]
    assert indexed_values(pd.Series([5, 6], index=[1, 2])) == [(1, 5), (2, 6)]
    assert indexed_values(pd.Series([5, 6], index=pd.RangeIndex(1, 3))) == [(1, 5), (2, 6)]
    assert indexed_values(pd.Series([5, 6], index=pd.RangeIndex(0, 4, 2))) == [(0, 5), (2, 6)]
    for values in (pd.Series([5, 6]), [5, 6], pl.Series([5, 6]), {"a": 5}):
        assert indexed_values(values) is None
    with pytest.raises(ValueError, match=r"^a Series of values must have an index of unique keys\.$"):
        indexed_values(pd.Series([5, 6], index=["a", "a"]))


def test_labels_that_tell_rows_apart():
    assert row_labels(pd.DataFrame({"a": [1, 2]}, index=[1.0, 2.5])) == [1, 2.5]
    assert row_labels(pd.DataFrame({"a": [1, 2]})) == [0, 1]
    assert row_labels(pd.DataFrame({"a": [1, 2]}, index=["x", "x"])) is None
    assert row_labels(pd.DataFrame({"a": [1, 2]}, index=[1, True])) is None
    for X in (pl.DataFrame({"a": [1]}), np.zeros((1, 1)), [["a"]], pd.Series([1])):
        assert row_labels(X) is None
