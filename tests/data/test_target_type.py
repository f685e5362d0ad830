"""Types of targets: strings and few whole numbers are classes, many are amounts, dates are neither."""

import datetime
import warnings
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.utils.multiclass import type_of_target

from skembed.data import target_type
from skembed.data.target_type import infer_target_type

WHOLE = st.lists(st.integers(-40, 40) | st.integers(-(10**6), 10**6), min_size=1, max_size=120)


def repeated(n_values, n_rows):
    return np.arange(n_rows) % n_values


@pytest.mark.parametrize(
    ("n_values", "n_rows", "kind"),
    [
        (2, 2, "binary"),
        (2, 1000, "binary"),
        (3, 3, "multiclass"),  # a tiny table, whatever the share of its rows
        (3, 20, "multiclass"),
        (20, 20, "multiclass"),
        (21, 21, "continuous"),
        (21, 209, "continuous"),  # more than a tenth of the rows
        (21, 210, "multiclass"),
        (50, 500, "multiclass"),
        (50, 499, "continuous"),
        (50, 10_000, "multiclass"),
        (51, 51, "continuous"),
        (51, 10_000, "continuous"),
    ],
)
def test_how_many_whole_numbers_are_amounts(n_values, n_rows, kind):
    found = infer_target_type(repeated(n_values, n_rows))
    assert found.kind == kind
    assert found.n_amounts == ((n_values,) if kind == "continuous" else ())


@given(WHOLE)
def test_the_rule_and_that_neither_order_nor_dtype_matters(values):
    n = len(set(values))
    expected = "binary" if n <= 2 else "continuous" if n > 50 or n > max(20, len(values) / 10) else "multiclass"
    found = infer_target_type(values)
    assert found.kind == expected
    assert bool(found.n_amounts) == (expected == "continuous")
    array = np.array(values)
    same = [array[::-1], array.astype(float), array.astype(object), array[:, None], [Fraction(v) for v in values]]
    for y in [*same, [float(v) for v in values], [Decimal(v) for v in values]]:
        assert infer_target_type(y) == found


@given(WHOLE)
def test_strings_and_booleans_are_classes(values):
    for y in ([str(v) for v in values], np.array([f"shop {v}" for v in values], dtype=object)):
        assert infer_target_type(y).kind == ("multiclass" if len(set(values)) > 2 else "binary")
    assert infer_target_type([v > 0 for v in values]).kind == "binary"
    assert infer_target_type(np.array([v > 0 for v in values], dtype=object)).kind == "binary"


@given(WHOLE, st.integers(1, 20))
def test_a_weight_is_as_many_rows(values, weight):
    assert infer_target_type(values, n_rows=weight * len(values)) == infer_target_type(values * weight)


def test_numbers_with_fractions_need_no_guess():
    for y in ([0.5, 1.5], repeated(200, 400) + 0.5, np.r_[repeated(200, 400), 0.5], repeated(60, 100) * 1e200):
        found = infer_target_type(y)
        assert (found.kind, found.n_amounts) == ("continuous", ())


@pytest.mark.parametrize("dtype", ["int8", "uint16", "int32", "uint64", "float16", "float32", "float64"])
def test_every_dtype_of_numbers(dtype):
    assert infer_target_type(repeated(60, 90).astype(dtype)).n_amounts == (60,)
    assert infer_target_type(repeated(5, 90).astype(dtype)).kind == "multiclass"


def test_integers_beyond_64_bits():
    assert infer_target_type([10**30 * v for v in range(60)]).kind == "continuous"


def test_several_outputs_are_of_one_type():
    many, few = repeated(60, 600), repeated(3, 600)
    found = infer_target_type(np.c_[many, many * 1.0])
    assert (found.kind, found.n_amounts) == ("continuous", (60, 60))
    assert infer_target_type(np.c_[many, few]).kind == "multiclass"
    assert infer_target_type(np.c_[few, few]).kind == "multiclass"
    assert infer_target_type(np.c_[few, few + 0.5]).kind == "continuous"
    assert infer_target_type(np.c_[few > 1, few > 0]).kind == "binary"


def test_scikit_learn_does_not_warn_too(monkeypatch):
    def older(y, **options):  # as 1.6 to 1.8
        warnings.warn("The number of unique classes is greater than 50% of the number of samples.", stacklevel=2)
        return type_of_target(y, **options)

    monkeypatch.setattr(target_type, "type_of_target", older)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for y in (range(60), range(15), [f"name {i}" for i in range(60)], np.array([1e300, 2.0, 3.0])):
            infer_target_type(y)


DAY = np.datetime64("2020-01-01")
TIMES = {
    "days": ([DAY] * 3, "dates, such as 2020-01-01 of type datetime64"),
    "date": ([datetime.date(2020, 1, 1)], "dates, such as 2020-01-01 of type date"),
    "datetime": ([datetime.datetime(2020, 1, 1)], "dates, such as 2020-01-01 00:00:00 of type datetime"),
    "objects": (np.array([DAY, None], dtype=object), "dates, such as 2020-01-01 of type datetime64"),
    "later": (np.array([None, "a", datetime.date(2020, 1, 1)], dtype=object), "dates, such as 2020-01-01 of type date"),
    "NaT first": (np.array(["NaT", "2020-01-01"], "M8[D]"), "dates, such as 2020-01-01 "),
    "NaT": (np.array(["NaT"], "M8[D]"), "dates, such as NaT"),
    "time": ([datetime.time(1, 2)], "times of day, such as 01:02:00 of type time.*seconds since midnight"),
    "timedelta": ([datetime.timedelta(1)], "durations, such as 1 day, 0:00:00 of type timedelta.*such as seconds"),
    "timedelta64": ([DAY - DAY], "durations, such as 0 days of type timedelta64"),
    "table": ([[DAY, DAY]], "dates, such as 2020-01-01"),
}


@pytest.mark.filterwarnings("error")  # numpy 2.5 deprecates durations without a unit, also NaT
@pytest.mark.parametrize("name", TIMES)
def test_dates_times_and_durations_are_refused(name):
    y, message = TIMES[name]
    with pytest.raises(ValueError, match=f"^y holds {message}") as caught:
        infer_target_type(y)
    assert "Turn them into numbers" in str(caught.value)
    assert "or into strings" in str(caught.value)


def test_pandas_and_polars():
    pd, pl = pytest.importorskip("pandas"), pytest.importorskip("polars")
    numbers = repeated(60, 90)
    for y in (pd.Series(numbers), pd.Series(numbers, dtype="Int64"), pl.Series(numbers), pl.Series(numbers * 1.0)):
        assert infer_target_type(y).n_amounts == (60,)
    days = pd.Series(pd.date_range("2020-01-01", periods=5))
    dates = [days, days.dt.tz_localize("UTC"), days.dt.to_period("M"), days.tolist(), pl.Series(days.dt.date.tolist())]
    for y in dates:
        with pytest.raises(ValueError, match="y holds dates, such as 2020-01"):
            infer_target_type(y)
    for y in (days - days[0], pl.Series([datetime.timedelta(1)]), [pd.Timedelta(1)]):
        with pytest.raises(ValueError, match="y holds durations"):
            infer_target_type(y)


@pytest.mark.parametrize("y", [[{1}, {2}], [object(), object()], np.zeros((2, 2, 2))])
def test_what_is_neither_number_nor_string(y):
    with pytest.raises(ValueError, match="Unknown label type"):
        infer_target_type(y)
