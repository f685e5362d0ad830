"""Kinds of columns: numbers and dates written as text, row numbers, codes, levels."""

import datetime

import numpy as np
import pytest

pd = pytest.importorskip("pandas")

from skembed.compare._columns import as_levels, is_code, is_row_number, to_numbers  # noqa: E402


def numbers_of(values, **kwargs):
    return to_numbers(pd.Series(values, **kwargs))


@pytest.mark.parametrize(
    ("texts", "numbers"),
    [
        (["$69,222.18", "$ 7", "-$1.50"], [69222.18, 7, -1.5]),
        (["(1,234.50)", "12", "+3"], [-1234.5, 12, 3]),
        (["12.5 %", "7%", "0%"], [12.5, 7, 0]),
        (["1.234,56 €", "99,5 €", "-7 €"], [1234.56, 99.5, -7]),
        (["1 234", "1\u00a0234 567", "5"], [1234, 1234567, 5]),
        (["EUR 12", "13 CHF", "1'000"], [12, 13, 1000]),
        (["1e3", "\u22122.5", ".5"], [1000, -2.5, 0.5]),
    ],
)
def test_text_that_holds_numbers(texts, numbers):
    read, how = numbers_of(texts)
    assert how == "numbers"
    np.testing.assert_allclose(read, numbers)


def test_placeholders_and_missing_values_become_nan():
    read, _ = numbers_of(["$1", "-", None, "n.a.", "$2"])
    np.testing.assert_array_equal(read, [1, np.nan, np.nan, np.nan, 2])


@pytest.mark.parametrize(
    "texts",
    [
        ["red", "blue", "green"],
        ["00544", "94305", "01234"],  # ZIP codes
        ["0"] * 990 + ["a", "b", "c"],  # nearly every row, but not nearly every level
        ["1-2", "10+", "3"],
        ["1.2.3", "1.2.4", "2.0.0"],
        ["$", "%", "+"],
        ["May", "June", "July"],
        ["-", "?", ""],
    ],
)
def test_text_that_stays_text(texts):
    assert numbers_of(texts) == (None, "")


@pytest.mark.parametrize(
    "texts",
    [
        ["2016-12-31", "2017-01-01"],
        ["12/31/2016", "01/01/2017"],
        ["31/12/2016", "01/01/2017"],
        ["31.12.2016", "1.1.2017"],
        ["12/31/16", "1/1/17"],
        ["31-Dec-2016", "1-Jan-2017"],
        ["December 31, 2016", "January 1, 2017"],
        ["2016/12/31", "2017/01/01"],
    ],
)
def test_dates_are_days_since_1970(texts):
    read, how = numbers_of(texts)
    assert how == "days since 1970"
    assert read.tolist() == [17166, 17167]


def test_one_format_reads_all_dates_of_a_column():
    assert numbers_of(["01/02/2017", "31/12/2016", "12/11/2016"])[0].tolist() == [17198, 17166, 17117]


def test_dates_with_times_and_zones():
    for texts in (["12/31/2016 6:00 PM", "01/01/2017 12:00 AM"], ["2016-12-31T18:00:00Z", "2017-01-01T00:00:00Z"]):
        assert numbers_of(texts)[0].tolist() == [17166.75, 17167]
    stamps = pd.to_datetime(pd.Series(["2016-12-31T18:00", None])).dt.tz_localize("UTC")
    np.testing.assert_array_equal(to_numbers(stamps)[0], [17166.75, np.nan])
    assert to_numbers(pd.to_timedelta(pd.Series(["36h"])))[0].tolist() == [1.5]


def test_kinds_that_are_never_numbers():
    assert to_numbers(pd.Series([True, False])) == (None, "")
    assert to_numbers(pd.Series([1, 2], dtype="category")) == (None, "")
    assert to_numbers(pd.Series([1j, 2j])) == (None, "")


def test_nullable_integers():
    np.testing.assert_array_equal(to_numbers(pd.Series([1, None], dtype="Int64"))[0], [1, np.nan])


def test_row_numbers():
    assert is_row_number(np.arange(10.0))
    assert is_row_number(np.array([900.0, 70, 5]))  # falling identifiers
    assert is_row_number(np.random.default_rng(0).permutation(50).astype(float))
    assert not is_row_number(np.array([3.0, 100, 7]))
    assert not is_row_number(np.array([1.5, 2.5]))
    assert not is_row_number(np.array([1.0, 1, 2]))


def test_codes_are_told_from_amounts():
    rng = np.random.default_rng(0)
    amounts = rng.integers(0, 100, 4000).astype(float)
    effects = rng.normal(size=100)
    noise = rng.normal(size=4000)
    assert is_code(amounts, (effects[amounts.astype(int)] + noise)[:, None])  # each value has an effect of its own
    assert not is_code(amounts, (amounts / 30 + noise)[:, None])
    assert not is_code(amounts, (np.sin(amounts / 16) + noise)[:, None])
    assert not is_code(amounts, noise[:, None])
    assert not is_code(amounts + 0.5, effects[amounts.astype(int)][:, None])
    assert not is_code(np.full(4000, np.nan), noise[:, None])


def test_objects_that_are_neither_texts_nor_numbers_nor_dates():
    for values in ([datetime.time(1), datetime.time(2)], [("a",), ("b",)], ["a", 1, None]):
        assert numbers_of(values, dtype=object) == (None, "")


def test_levels():
    assert as_levels(pd.Series([3, 1])).tolist() == [3, 1]
    assert as_levels(pd.Series([3.0, np.nan])).iloc[0] == "3"
    assert as_levels(pd.Series([0.5, 1])).tolist() == ["0.5", "1.0"]
    assert as_levels(pd.Series([True, None], dtype=object)).iloc[0] == "True"
    mixed = as_levels(pd.Series(["a", 1, None], dtype=object))
    assert mixed.iloc[:2].tolist() == ["a", "1"]
    assert mixed.isna().tolist() == [False, False, True]
    assert as_levels(pd.Series(["b", "a"], dtype="category")).tolist() == ["b", "a"]
