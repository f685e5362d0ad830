"""Tables of numbers and categories: how numbers are scaled, what is too large, and what is constant."""

import numpy as np
import pytest

from skembed.data.columns import read_columns
from skembed.data.mixed import MixedColumns


def fitted(X):
    mixed = MixedColumns([], None, None)
    return mixed, mixed.fit(read_columns(X), X)


@pytest.mark.parametrize("scale", [1e-300, 1.0, 1e300])
def test_numbers_are_standardised_and_come_back(scale):
    X = np.random.default_rng(0).normal(3, 2, (50, 2)) * scale
    mixed, rows = fitted(X)
    np.testing.assert_allclose(rows.numbers, (X / scale - X.mean(0) / scale) / (X / scale).std(0), rtol=1e-9)
    np.testing.assert_allclose(mixed.unscaled(rows.numbers), X, rtol=1e-9)


@pytest.mark.parametrize(
    ("dtype", "difference", "varies"),
    [
        (np.float32, 1.5e-6, True),
        (np.float32, 0.7e-6, False),
        (np.float32, 0.0, False),
        (np.float64, 1.5e-12, True),
        (np.float64, 0.7e-12, False),
        (np.float64, 0.0, False),
    ],
)
def test_a_spread_of_a_few_roundings_is_none(dtype, difference, varies):
    X = (2.0**17 * np.array([[1 - difference], [1 + difference]] * 5)).astype(dtype)
    _, rows = fitted(X)
    np.testing.assert_allclose(np.abs(rows.numbers), 1.0 if varies else difference, rtol=0.1, atol=1e-15)


def test_numbers_far_beyond_those_of_fit_are_cut():
    X = np.repeat([-1.0, 1.0], 50)[:, None]
    mixed, _ = fitted(X)
    far = np.array([[29.0], [31.0], [-1e30], [1e300]])
    np.testing.assert_allclose(mixed.read(read_columns(far), far).numbers[:, 0], [29, 30, -30, 30])
    X = np.r_[np.zeros(2000), 1.0][:, None]  # what fit has seen is never cut
    mixed, rows = fitted(X)
    assert rows.numbers.max() == pytest.approx((1 - X.mean()) / X.std())
    assert mixed.reach[0] == pytest.approx(2 * rows.numbers.max())


def test_single_precision_stays_so_in_every_container():
    pd, pl, pa = map(pytest.importorskip, ("pandas", "polars", "pyarrow"))
    numbers = np.array([1.5, 2.5, -1.0], dtype=np.float32)
    frame = pd.DataFrame({"a": numbers})
    for single in (frame, frame.convert_dtypes(), frame.astype("float[pyarrow]"), pl.DataFrame(frame), pa.table(frame)):
        mixed, rows = fitted(single)
        np.testing.assert_array_equal(rows.numbers, fitted(numbers[:, None])[1].numbers)
        assert (mixed.dtype, rows.numbers.dtype) == (np.float32, np.float32)
    for double in (frame.astype("double[pyarrow]"), pl.DataFrame(frame).cast(pl.Float64)):
        assert fitted(double)[1].numbers.dtype == np.float64
