"""method="nca": columns in unlike units, from which scikit-learn's start leads nowhere."""

import numpy as np
import pytest
from sklearn.datasets import load_wine, make_circles
from sklearn.neighbors import NeighborhoodComponentsAnalysis

from skembed import ProjectionEmbedder
from skembed.projection import _solvers
from skembed.projection._solvers import neighbors_of_own_class


def neighbors(Z, y):
    distances = np.square(Z[:, None] - Z).sum(axis=2)
    np.fill_diagonal(distances, np.inf)
    return y[distances.argmin(axis=1)] == y


@pytest.mark.parametrize("dim", [4, "auto"])
def test_columns_of_unlike_units(dim):
    """Of several halves, since from the plain start it is a version's rounding that decides how far a fit gets."""
    X, y = load_wine(return_X_y=True)
    found = []
    for seed in range(10):
        known, new = np.random.default_rng(seed).permutation(len(X)).reshape(2, -1)
        Z = ProjectionEmbedder("nca", dim, random_state=0).fit(X[known], y[known]).transform(X)
        nearest = np.square(Z[new, None] - Z[known]).sum(axis=2).argmin(axis=1)
        found.append((y[known][nearest] == y[new]).mean())
    assert np.mean(found) > 0.93


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_large_columns_that_tell_classes_apart_stay_large(dtype):
    X, y = make_circles(300, noise=0.08, factor=0.5, random_state=0)
    X = np.c_[X, 0.5 * np.random.default_rng(0).standard_normal((300, 8))].astype(dtype)
    found = ProjectionEmbedder("nca", 2, random_state=0).fit(X, y)
    assert found.projection_.dtype == dtype
    assert neighbors(found.transform(X), y).mean() > 0.97


def test_equal_spreads_a_start_that_is_given_and_constants_start_once(monkeypatch):
    X, y = load_wine(return_X_y=True)
    X = np.c_[(X - X.mean(axis=0)) / X.std(axis=0), np.ones(len(X))]
    calls = []
    original = _solvers._nca_from
    monkeypatch.setattr(_solvers, "_nca_from", lambda *a: calls.append(1) or original(*a))
    expected = NeighborhoodComponentsAnalysis(3, max_iter=100, random_state=0).fit(X, y).components_
    found = ProjectionEmbedder("nca", 3, random_state=0).fit(X, y).projection_
    np.testing.assert_allclose(np.abs(found.T), np.abs(expected), atol=1e-8)
    assert len(calls) == 1
    params = {"init": np.eye(2, 14)}
    ProjectionEmbedder("nca", 2, random_state=0, method_params=params).fit(X * np.arange(1, 15), y)
    assert len(calls) == 2
    ProjectionEmbedder("nca", 2, random_state=0).fit(X * np.arange(1, 15), y)
    assert len(calls) == 4


@pytest.mark.parametrize("at_once", [1, 70, 1 << 20])
def test_rows_that_find_their_class_are_counted(monkeypatch, at_once):
    monkeypatch.setattr("skembed.training.whitening.VALUES_AT_ONCE", at_once)
    rng = np.random.default_rng(0)
    Z, y = rng.standard_normal((30, 2)), rng.integers(0, 3, 30)
    expected = 0.0
    for i in range(30):
        weights = np.exp(-np.square(Z[i] - Z).sum(axis=1))
        weights[i] = 0
        expected += weights[y == y[i]].sum() / weights.sum()
    assert neighbors_of_own_class(Z, y) == pytest.approx(expected)
    assert neighbors_of_own_class(Z * 1e6, y) == pytest.approx(neighbors(Z, y).sum())
