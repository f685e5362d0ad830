"""Kinds of columns: numbers and dates written as text, row numbers, codes, levels."""

import datetime
import decimal

import numpy as np
import pytest

pd = pytest.importorskip("pandas")

from skembed.compare import _columns  # noqa: E402
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
        ["2 1", "0 0", "10 3"],  # goals of both sides
        ["6'2", "5'11", "6'0"],  # feet and inches
        ["555 123 4567", "555 987 6543"],
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


@pytest.mark.parametrize(
    "mark",
    ["", "-", "--", "\u2013", "\u2014", ".", "?", "N.A.", "n.d.", "NA", "nan", "None", "null"],
)
def test_marks_of_what_is_missing(mark):
    numbers, how = numbers_of([str(i) for i in range(10)] + [mark] * 5)
    assert how == "numbers"
    np.testing.assert_array_equal(numbers, [*range(10), *[np.nan] * 5])


@pytest.mark.parametrize("text", ["{})", "({}"])
def test_one_bracket_makes_no_loss(text):
    assert numbers_of([text.format(i) for i in range(10, 40)])[0] is None
    assert numbers_of([f"({i})" for i in range(1, 30)])[0].tolist() == [-i for i in range(1, 30)]


def test_reading_dates_leaves_the_random_state_alone():
    many = pd.Series(pd.date_range("2001-01-01", periods=900).strftime("%d/%m/%Y"))
    before = np.random.get_state()[1].copy(), np.random.get_state()[2]  # noqa: NPY002
    assert to_numbers(many)[1] == "days since 1970"
    after = np.random.get_state()  # noqa: NPY002
    assert (after[1] == before[0]).all()
    assert after[2] == before[1]


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
    assert type(mixed.iloc[2]) is float  # nan, as encoders know it, whatever it was
    assert as_levels(pd.Series(["b", "a"], dtype="category")).tolist() == ["b", "a"]


@pytest.mark.parametrize(
    ("n_numbers", "rows_of_each", "n_words", "rows_of_words", "is_numbers"),
    [
        (100, 10, 9, 1, True),  # nearly every row, and most distinct values
        (100, 10, 9, 3, False),  # 2.6 percent of the rows are words
        (20, 100, 2, 1, True),
        (10, 100, 2, 1, False),  # a sixth of the distinct values are words
        (49, 2, 1, 2, True),  # as many as there have to be
        (18, 50, 2, 9, True),
    ],
)
def test_nearly_all_rows_and_most_levels_have_to_be_numbers(
    n_numbers, rows_of_each, n_words, rows_of_words, is_numbers
):
    texts = [str(n + 0.5) for n in range(n_numbers)] * rows_of_each + [f"w{n}" for n in range(n_words)] * rows_of_words
    found, how = numbers_of(texts)
    assert (found is not None) == is_numbers
    if is_numbers:
        assert how == "numbers"
        assert np.isnan(found).sum() == n_words * rows_of_words
        np.testing.assert_array_equal(found[:n_numbers], np.arange(n_numbers) + 0.5)


@pytest.mark.parametrize(
    ("texts", "numbers"),
    [
        (["1,5", "2,25", "-3"], [1.5, 2.25, -3]),
        (["1.5", "2,000", "-3"], [1.5, 2000, -3]),
        (["1,234.5", "2"], [1234.5, 2]),
        (["7.", ".25", "+1e-2"], [7, 0.25, 0.01]),
        (["12 USD", "$12", "USD12"], [12, 12, 12]),
        (["0", "10", "05"], [0, 10, 5]),  # one code alone is a number
        (["1,5", "2.5"], [np.nan, 2.5]),  # a point, where as many have a comma
        (["1'000.5", "2\u2009000"], [1000.5, 2000]),
        (["(5)", "(2.5)", "1"], [-5, -2.5, 1]),
        (["-$5", "+5%", "5"], [-5, 5, 5]),
    ],
)
def test_parsed_numbers(texts, numbers):
    np.testing.assert_array_equal(_columns._parse_numbers(texts), numbers)


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ([5, 3, 1], True),
        ([1, 3, 5], True),
        ([1, 2, 4, 3], True),  # no gap worth the name
        ([0, 23, *range(1, 20)], False),  # 21 numbers, which lie within 23
        ([0, 22, *range(1, 20)], True),
        ([*range(1, 50), np.nan], True),
        ([*range(1, 40), np.nan], False),  # one of forty is missing
        ([3, 1, 2, 9], False),
        ([1, 2, 2], False),
        ([1, 2, 2.5], False),
    ],
)
def test_what_only_counts_rows(numbers, expected):
    assert is_row_number(np.array(numbers, dtype=float)) == expected


def test_the_mean_beside_leaves_a_level_out():
    sums, counts = np.array([[1.0], [10.0], [100.0], [1000.0]]), np.array([1, 2, 3, 4])
    prior = _columns._PRIOR_ROWS
    found = _columns._mean_beside(sums, counts, 1)[:, 0]
    expected = [10 / (2 + prior), 101 / (4 + prior), 1010 / (6 + prior), 100 / (3 + prior)]
    np.testing.assert_allclose(found, expected)
    assert _columns._mean_beside(sums, counts, 2)[0, 0] == pytest.approx(110 / (5 + prior))


def test_codes_need_levels_that_are_met_again():
    rng = np.random.default_rng(0)
    effects = 9 * rng.normal(size=200)
    for n_levels, n_rows, expected in [(2, 600, False), (3, 600, True), (30, 91, True), (31, 91, False)]:
        numbers = np.arange(n_rows) % n_levels
        assert is_code(numbers.astype(float), effects[numbers][:, None]) == expected


def test_levels_of_whole_numbers():
    assert as_levels(pd.Series([2.0**53, 1.0])).dtype == np.int64
    assert as_levels(pd.Series([2.0**54, 1.0])).tolist() == [str(2.0**54), "1.0"]
    assert as_levels(pd.Series([1.0, np.inf])).tolist()[0] == "1"
    assert as_levels(pd.Series([np.nan, np.nan])).isna().all()
    named = as_levels(pd.Series([1.0, None], index=[7, 9], name="shop"))
    assert (named.name, named.index.tolist(), named.dtype) == ("shop", [7, 9], object)


def test_days_of_dates_that_have_a_zone_or_are_objects():
    assert numbers_of([datetime.date(2017, 1, 1), datetime.date(1970, 1, 2)])[0].tolist() == [17167, 1]
    stamps = pd.to_datetime(pd.Series(["2017-01-01T01:00"])).dt.tz_localize("Europe/Berlin")
    assert to_numbers(stamps) == (pytest.approx([17167.0]), "days since 1970")
    many = [f"{day:02}/{month:02}/20{year:02}" for year in range(50) for month in range(1, 13) for day in (3, 13)]
    assert numbers_of(many)[0][:2].tolist() == [10959, 10969]  # 3 and 13 January 2000, as the whole column says


def test_objects_that_are_numbers_or_nothing():
    read, how = numbers_of([decimal.Decimal("1.5"), None, decimal.Decimal(2)], dtype=object)
    np.testing.assert_array_equal(read, [1.5, np.nan, 2])
    assert how == ""
    for values, expected in (([1, 2], [1, 2]), ([1.5, None], [1.5, np.nan]), ([1, 2.5], [1, 2.5])):
        np.testing.assert_array_equal(numbers_of(values, dtype=object)[0], expected)
    assert numbers_of([None, None], dtype=object) == (None, "")
    np.testing.assert_array_equal(numbers_of([datetime.datetime(1970, 1, 2, 12), None], dtype=object)[0], [1.5, np.nan])


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("2017-01-01", 17167), ("2017-01-01T06:00", 17167.25), ("01/31/2017", 17197), ("31/01/2017", 17197),
        ("31.01.2017", 17197), ("01-31-2017", 17197), ("31-01-2017", 17197), ("2017/01/31", 17197), ("01/31/17", 17197),
        ("31/01/17", 17197), ("31.01.17", 17197), ("31-Jan-2017", 17197), ("31-Jan-17", 17197), ("31 Jan 2017", 17197),
        ("31 January 2017", 17197), ("Jan 31, 2017", 17197), ("January 31, 2017", 17197), ("Jan 31 2017", 17197),
        ("January 31 2017", 17197), ("01/31/2017 18:00", 17197.75), ("31.01.2017 18:00:36", 17197 + 64836 / 86400),
        ("01/31/2017 06:00 PM", 17197.75), ("Jan 31, 2017 06:00:36 AM", 17197 + 21636 / 86400),
    ],
)  # fmt: skip
def test_every_format_of_dates(text, days):
    assert numbers_of([text]) == (pytest.approx([days]), "days since 1970")


@pytest.mark.parametrize("sign", ["$", "€", "£", "¥", "₹", "₩", "₽", "USD", "EUR", "GBP", "CHF", "JPY"])
def test_every_sign_of_money(sign):
    assert numbers_of([f"{sign}{i}.5" for i in (1, 2)])[0].tolist() == [1.5, 2.5]
    assert numbers_of([f"{i}.5 {sign}" for i in (1, 2)])[0].tolist() == [1.5, 2.5]
    assert numbers_of([f"-{sign} {i}.5" for i in (1, 2)])[0].tolist() == [-1.5, -2.5]


def slow_is_code(numbers, target):
    """The twin: for each row the mean of its level without it, and means of the levels on either side."""
    levels = sorted(set(numbers))
    target = target - target.mean()
    rows_of = {level: [row for row, number in enumerate(numbers) if number == level] for level in levels}

    def explained(predicted):
        return 1 - sum((target - predicted) ** 2) / sum(target**2)

    own = [
        sum(target[other] for other in rows_of[number] if other != row) / (len(rows_of[number]) - 1 + 10)
        for row, number in enumerate(numbers)
    ]
    best = 0.0
    for reach in (1, 2, 4, 8, 16):
        mean_of = {}
        for place, level in enumerate(levels):
            near = [other for other in levels[max(place - reach, 0) : place + reach + 1] if other != level]
            rows = [row for other in near for row in rows_of[other]]
            mean_of[level] = sum(target[row] for row in rows) / (len(rows) + 10)
        best = max(best, explained(np.array([mean_of[number] for number in numbers])))
    return explained(np.array(own)) > 1.25 * best + 0.002


@pytest.mark.parametrize("seed", range(12))
def test_codes_beside_a_slow_twin(seed):
    rng = np.random.default_rng(seed)
    n_levels = int(rng.integers(3, 20))
    numbers = rng.integers(n_levels, size=200).astype(float)
    effect = rng.normal(size=n_levels).cumsum() if seed % 2 else rng.normal(size=n_levels)  # neighbours alike, or not
    target = effect[numbers.astype(int)] * rng.uniform(0.1, 0.5) + rng.normal(size=200)
    assert is_code(numbers, target[:, None]) == slow_is_code(numbers.tolist(), target)


def test_dates_beyond_what_nanoseconds_hold():
    days = pd.Series(np.array(["1400-01-01", "9999-12-31", "NaT"], dtype="datetime64[s]"))
    expected = [-208188, 2932896, np.nan]
    np.testing.assert_array_equal(to_numbers(days)[0], expected)
    np.testing.assert_array_equal(to_numbers(days.dt.tz_localize("UTC"))[0], expected)


@pytest.mark.skipif(int(pd.__version__.split(".")[0]) < 3, reason="to_datetime has nanoseconds alone")
def test_dates_of_texts_beyond_what_nanoseconds_hold():
    assert numbers_of(["1400-01-01", "2020-01-01", "9999-12-31"])[0].tolist() == [-208188, 18262, 2932896]
    assert numbers_of(["31/12/1650", "01/02/1651"])[0].tolist() == [-116513, -116481]
