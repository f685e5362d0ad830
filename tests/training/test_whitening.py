"""Whitening: what is worked on at a time; what it whitens is told in tests/anomaly."""

import numpy as np
import pytest

from skembed.training import whitening
from skembed.training.whitening import slices


@pytest.mark.parametrize(("width", "n_at_once"), [(0, 12), (1, 12), (3, 4), (5, 2), (100, 1)])
def test_slices_hold_as_many_values_as_they_may(width, n_at_once, monkeypatch):
    monkeypatch.setattr(whitening, "VALUES_AT_ONCE", 12)
    found = list(slices(30, width))
    np.testing.assert_array_equal(np.concatenate([np.arange(30)[one] for one in found]), np.arange(30))
    assert {one.stop - one.start for one in found[:-1]} == {n_at_once}


@pytest.mark.parametrize("n", [1, 2, 63, 64, 65, 128, 129, 130, 200])
def test_an_inverse_by_halves_is_the_inverse(n):
    rng = np.random.default_rng(n)
    root = rng.normal(size=(n, n))
    matrix = root @ root.T + np.eye(n)
    before = matrix.copy()
    found, triangle = whitening._inverse(matrix), whitening._inverse_root(matrix)
    np.testing.assert_allclose(found @ matrix, np.eye(n), atol=1e-10)
    np.testing.assert_allclose(triangle @ matrix @ triangle.T, np.eye(n), atol=1e-10)
    np.testing.assert_array_equal(np.triu(triangle, 1), 0)
    np.testing.assert_array_equal(matrix, before)


@pytest.mark.parametrize("condition", [1e4, 1e8])
def test_an_inverse_by_halves_loses_no_more_digits_than_any(condition):
    """By halves whose inverses are multiplied in place of their roots it would lose twice as many."""
    n = 200
    basis = np.linalg.qr(np.random.default_rng(0).normal(size=(n, n)))[0]
    variances = np.ones(n)
    variances[:3] = condition
    exact = (basis / variances) @ basis.T
    found = whitening._inverse((basis * variances) @ basis.T)
    assert abs(found - exact).max() < 1e-14 * condition


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("shape", [(9, 3), (3, 9), (5, 5)])
@pytest.mark.parametrize("scale", [1e160, 1e200, 1e308])
def test_numbers_beyond_float64_are_an_error_and_no_warning(shape, scale):
    X = scale * np.random.default_rng(0).uniform(-1, 1, shape)
    with pytest.raises(ValueError, match=r"X holds numbers whose squares are beyond float64, or so small .*; scale"):
        whitening.learn_whitening(X)
    both = np.asfortranarray(np.full((32, 3), scale) * np.resize([1.7, -1.7], (32, 1)))  # infinities of either sign
    with pytest.raises(ValueError, match=r"X holds numbers whose squares are beyond float64, or so small .*; scale"):
        whitening.learn_whitening(both)
