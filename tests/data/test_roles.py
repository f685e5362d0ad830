"""Roles of columns: which are categories, by name, position, mask or type."""

import decimal
import re

import numpy as np
import pytest

from skembed.data.columns import read_columns
from skembed.data.roles import (
    categorical_positions,
    is_number_column,
    is_time_column,
    numeric_columns,
    some_categorical_positions,
)

pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")
pa = pytest.importorskip("pyarrow")

NAMED = read_columns(pd.DataFrame({"a": ["x"], "b": [1], "c": [2.5], "d": [True]}))
PLAIN = read_columns([["x", 1, 2.5, True]])


@pytest.mark.parametrize(
    ("features", "positions"),
    [
        ("all", [0, 1, 2, 3]),
        ("from_dtype", [0, 3]),
        ("c", [2]),
        (["c", "a", "c"], [0, 2]),
        ([2, 0, -1], [0, 2, 3]),
        ([-4, 3], [0, 3]),
        (["b", 0], [0, 1]),
        (np.array([False, True, False, True]), [1, 3]),
        ([True, False, False, False], [0]),
        ([False] * 4, []),
        ([], []),
        (("d",), [3]),
        (np.array([1]), [1]),
        (pd.Index(["b", "d"]), [1, 3]),
    ],
)
def test_positions(features, positions):
    assert categorical_positions(features, NAMED) == positions
    if positions:
        assert some_categorical_positions(features, NAMED) == positions


@pytest.mark.parametrize(
    ("columns", "features", "message"),
    [
        (NAMED, ["e"], "categorical_features names 'e', which is not in X; the columns are ['a', 'b', 'c', 'd']."),
        (PLAIN, ["a"], "categorical_features names 'a', which is not in X; X has no column names: use positions."),
        (NAMED, "some",
         "categorical_features names 'some', which is not in X; the columns are ['a', 'b', 'c', 'd']."),
        (NAMED, [4], "categorical_features holds 4; expected a column name or a position below 4."),
        (NAMED, [-5], "categorical_features holds -5; expected a column name or a position below 4."),
        (PLAIN, [5], "categorical_features holds 5; expected a position below 4, as X has no column names that are "
         "strings."),
        (PLAIN, [("a", "b")], "categorical_features holds ('a', 'b'); expected a position below 4, as X has no column "
         "names that are strings."),
        (NAMED, [1.0], "categorical_features holds 1.0; expected a column name or a position below 4."),
        (NAMED, [None], "categorical_features holds None; expected a column name or a position below 4."),
        (NAMED, [True], "categorical_features is a mask of 1 values; expected 4, one for each column."),
        (NAMED, [True] * 5, "categorical_features is a mask of 5 values; expected 4, one for each column."),
    ],
)  # fmt: skip
def test_what_names_no_column(columns, features, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        categorical_positions(features, columns)


def test_some_column_must_be_left_unless_types_decide():
    numbers = read_columns(pd.DataFrame({"b": [1]}))
    assert some_categorical_positions("from_dtype", numbers) == []
    for features in ([], [False]):
        with pytest.raises(ValueError, match=re.escape(
            f"categorical_features={features!r} leaves no categorical column in X; name at least one, or use 'all'."
        )):  # fmt: skip
            some_categorical_positions(features, numbers)


NUMBERS = [
    np.array([1]), np.array([1], np.uint8), np.array([1.5]), np.array([1, None, 2.5], dtype=object),
    np.array([np.float32(1), decimal.Decimal(2), None], dtype=object), pd.Series([1]), pd.Series([1.5]),
    pd.Series([1, None], dtype="Int64"), pd.Series([1.5], dtype="Float32"), pd.Series([1], dtype="uint8"),
    pl.Series([1]), pl.Series([1.5]), pl.Series([decimal.Decimal("1.5")]), pa.array([1]), pa.array([1.5]),
    pa.array([decimal.Decimal("1.5")]), pa.chunked_array([[1], [2]]), np.array([None, None], dtype=object),
    np.array([1.5, pd.NA], dtype=object), pd.Series([1], dtype=pd.ArrowDtype(pa.int8())),
    pd.Series([decimal.Decimal("1.5"), None], dtype=pd.ArrowDtype(pa.decimal128(5, 2))),
]  # fmt: skip
OTHERS = [
    np.array(["1"]), np.array([True]), np.array([True, False], dtype=object), np.array([1, "a"], dtype=object),
    np.array(["2020"], "M8[D]"), np.array([1], "m8[s]"), pd.Series(["1"]), pd.Series([True]),
    pd.Series([1, 2], dtype=object), pd.Series([1], dtype="category"), pd.Series([True], dtype="boolean"),
    pd.Series(["2020"], dtype="M8[ns]"), pl.Series(["1"]), pl.Series([True]), pa.array(["1"]), pa.array([True]),
    pa.array([None]), pl.Series([1], dtype=pl.Date), np.array([np.timedelta64(1, "s"), None], dtype=object),
    pd.Series([True], dtype=pd.ArrowDtype(pa.bool_())), pd.Series(["1"], dtype=pd.ArrowDtype(pa.string())),
    pd.Series([1], dtype=pd.ArrowDtype(pa.duration("s"))),
]  # fmt: skip


@pytest.mark.parametrize(("column", "holds"), [(c, True) for c in NUMBERS] + [(c, False) for c in OTHERS])
def test_columns_of_numbers(column, holds):
    assert is_number_column(column) is holds


TIMES = [
    np.array(["2020"], "M8[D]"), np.array([1], "m8[s]"), pd.Series(["2020"], dtype="M8[ns]"),
    pd.Series(pd.to_datetime(["2020-01-01"]).tz_localize("UTC")), pd.Series([1], dtype="m8[s]"),
    pd.Series([1], dtype=pd.ArrowDtype(pa.date32())), pd.Series([1], dtype=pd.ArrowDtype(pa.duration("s"))),
    pl.Series([1], dtype=pl.Date), pl.Series([1], dtype=pl.Time), pl.Series([1], dtype=pl.Duration),
    pa.array([1], pa.timestamp("s")), pa.array([1], pa.time32("s")),
    pa.chunked_array([pa.array([1], pa.duration("s"))]),
]  # fmt: skip


@pytest.mark.parametrize(("column", "holds"), [(c, True) for c in TIMES] + [(c, False) for c in NUMBERS])
def test_columns_of_times(column, holds):
    assert is_time_column(column) is holds


def test_numbers_beside_categories():
    b, c = numeric_columns(NAMED, [1, 2])
    assert (b.tolist(), c.tolist(), b.dtype) == ([1.0], [2.5], np.float64)
    with pytest.raises(ValueError, match="Row 0 of column 'a' holds 'x' of type str"):
        numeric_columns(NAMED, [0])
