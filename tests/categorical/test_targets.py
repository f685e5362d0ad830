"""EntityEmbeddingEncoder: many whole numbers in y are amounts, fewer are classes, and dates are refused."""

import datetime
import warnings

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.model_selection import train_test_split

from skembed import EntityEmbeddingEncoder

N = 400


def encoder(**parameters):
    return EntityEmbeddingEncoder(**({"max_iter": 1, "random_state": 0} | parameters))


@pytest.fixture(scope="module")
def table():
    """Forty levels, and prices of 200 and more distinct values that depend on them."""
    rng = np.random.default_rng(0)
    level = rng.integers(40, size=N)
    X = np.array([[f"level {i}"] for i in level], dtype=object)
    return X, np.round(rng.normal(size=40)[level] * 100 + rng.normal(size=N) * 20).astype(np.int64)


@pytest.mark.parametrize("convert", [np.asarray, list, lambda y: y.astype(float), lambda y: y.astype(object)])
def test_prices_are_learned_as_numbers(table, convert):
    X, prices = table
    n_values = len(np.unique(prices))
    with pytest.warns(UserWarning, match=f"{n_values} distinct whole numbers.*target_type='multiclass'") as caught:
        fitted = encoder().fit(X, convert(prices))
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert "target_type='auto'" in str(caught[0].message)
    assert (fitted.target_type_, fitted.classes_) == ("continuous", None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        asked = encoder(target_type="continuous").fit(X, prices.astype(float))
    np.testing.assert_array_equal(fitted.transform(X), asked.transform(X))


def test_prices_in_frames(table):
    pd, pl, pa = map(pytest.importorskip, ("pandas", "polars", "pyarrow"))
    X, prices = table
    for y in (pd.Series(prices), pd.Series(prices, dtype="Int64"), pl.Series(prices), pa.array(prices)):
        with pytest.warns(UserWarning, match="target_type"):
            assert encoder().fit(X, y).target_type_ == "continuous"
    high = np.where(prices > 0, "high", "low").tolist()
    for y in (pd.Series(high, dtype="category"), pl.Series(high), pa.array(high)):
        assert encoder().fit(X, y).classes_.tolist() == ["high", "low"]


@pytest.mark.filterwarnings("ignore:target_type='auto'")
def test_whole_numbers_are_learned_as_well_as_floats(table):
    X, prices = table
    train, test = train_test_split(np.arange(N), random_state=0)

    def score(y):
        fitted = encoder(max_iter=5)
        head = Ridge().fit(fitted.fit_transform(X[train], y[train]), y[train])
        return head.score(fitted.transform(X[test]), y[test])

    assert score(prices) == pytest.approx(score(prices + 0.25), abs=1e-3)
    assert score(prices) > 0.8


def test_classes_stay_classes_without_a_warning(table):
    X, prices = table
    targets = [prices.astype(str), np.arange(N) % 20, np.arange(N) % 40, np.where(prices > 0, 10, 1000)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        types = [encoder().fit(X, y).target_type_ for y in targets]
        types.append(encoder(target_type="multiclass").fit(X, prices // 5).target_type_)
        types.append(encoder().fit(X[:20], np.arange(20) % 3).target_type_)
    assert types == ["multiclass"] * 3 + ["binary"] + ["multiclass"] * 2


def test_whole_weights_count_as_repeated_rows(table):
    X, _ = table
    y = np.arange(N) % 41  # more than a tenth of 400 rows, less than a tenth of 800
    with pytest.warns(UserWarning, match="41 distinct whole numbers"):
        assert encoder().fit(X, y).target_type_ == "continuous"
    assert encoder().fit(X, y, sample_weight=np.full(N, 2.0)).target_type_ == "multiclass"
    assert encoder().fit(np.r_[X, X], np.r_[y, y]).target_type_ == "multiclass"


def test_several_outputs(table):
    X, prices = table
    with pytest.warns(UserWarning, match=r"it holds \d+, \d+ distinct whole numbers") as caught:
        fitted = encoder().fit(X, np.c_[prices, prices // 2])
    assert len(caught) == 1
    assert fitted.target_type_ == "continuous-multioutput"


class TestPartialFit:
    def test_the_first_batch_decides(self, table):
        X, prices = table
        with pytest.warns(UserWarning, match="target_type") as caught:
            fitted = encoder().partial_fit(X[:300], prices[:300])
        assert len(caught) == 1
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            fitted.partial_fit(X[300:], prices[300:] % 3)
        assert fitted.target_type_ == "continuous"

    def test_a_small_first_batch_shows_classes_and_a_later_one_says_so(self, table):
        X, prices = table
        fitted = encoder().partial_fit(X[:15], prices[:15])
        assert fitted.target_type_ == "multiclass"
        with pytest.raises(ValueError, match=r"expected one of the classes .* target_type='continuous'"):
            fitted.partial_fit(X[15:], prices[15:])

    def test_classes_that_are_given_are_classes(self, table):
        X, _ = table
        y = np.arange(N) % 60
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            fitted = encoder().partial_fit(X, y, classes=np.arange(70))
        assert fitted.target_type_ == "multiclass"
        assert fitted.classes_.tolist() == list(range(70))


class TestDates:
    @pytest.mark.parametrize("target_type", ["auto", "continuous", "multiclass"])
    def test_are_refused(self, table, target_type):
        days = np.datetime64("2020-01-01") + np.arange(N)
        for y in (days, list(days), days.astype(datetime.date), np.c_[days, days], days.astype("M8[ns]")):
            with pytest.raises(ValueError, match=r"y holds dates, such as 2020-01-01.*Turn them into numbers"):
                encoder(target_type=target_type).fit(table[0], y)
        with pytest.raises(ValueError, match="y holds durations, such as 0 days"):
            encoder(target_type=target_type).fit(table[0], days - days[0])

    def test_of_frames(self, table):
        pd, pl, pa = map(pytest.importorskip, ("pandas", "polars", "pyarrow"))
        days = pd.Series(pd.date_range("2020-01-01", periods=N))
        dates = [days, days.dt.tz_localize("UTC"), days.dt.to_period("D"), days.astype("category"), days.to_frame()]
        dates += [pl.Series(days), pl.DataFrame({"y": days}), pl.Series(days.dt.date.tolist()), pa.array(days)]
        dates += [pd.Series([pd.NaT, *days[1:]])]
        for y in dates:
            with pytest.raises(ValueError, match="y holds dates, such as 2020-01-0"):
                encoder().fit(table[0], y)
        for y in (days - days[0], pl.Series(days - days[0])):
            with pytest.raises(ValueError, match="y holds durations"):
                encoder().fit(table[0], y)

    def test_in_a_later_batch(self, table):
        X, prices = table
        fitted = encoder().partial_fit(X, prices + 0.5)
        with pytest.raises(ValueError, match="y holds dates"):
            fitted.partial_fit(X[:5], [datetime.date(2020, 1, 1)] * 5)


@pytest.mark.parametrize("scale", [1e28, 1e40, 1e200])
def test_numbers_of_a_later_batch_that_are_of_another_unit(table, scale):
    X, prices = table
    fitted = encoder().partial_fit(X, prices + 0.5)
    before = fitted.transform(X)
    batch = X[:20], scale * (prices[:20] + 0.5)
    if scale < 1e30:
        assert np.isfinite(fitted.partial_fit(*batch).transform(X)).all()
        return
    with pytest.raises(
        ValueError, match="standard deviations of the first rows from their mean; expected numbers of the"
    ):
        fitted.partial_fit(*batch)
    np.testing.assert_array_equal(fitted.transform(X), before)


def test_missing_and_infinite_objects_are_still_told(table):
    X, _ = table
    for bad, message in ((None, "NaN or None in row 1"), (np.inf, "NaN or infinity: .*in row 1")):
        y = np.array([1.5, bad] + [2.5] * (N - 2), dtype=object)
        with pytest.raises(ValueError, match=message):
            encoder(target_type="continuous").fit(X, y)
    pd = pytest.importorskip("pandas")
    with pytest.raises(ValueError, match="NaN or None in row 0"):  # NaT is a datetime, but no date
        encoder().fit(X, np.array([pd.NaT, *["a", "b"] * (N // 2)][:N], dtype=object))
