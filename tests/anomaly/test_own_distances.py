"""Distances of rows to their others by the covariance without them, beside one matrix inverse a row."""

import numpy as np
import pytest

from skembed.anomaly import _own_distances
from skembed.anomaly._own_distances import best, gains_without, own_neighbors
from skembed.table.neighbors import ExactIndex


def slow_distances(rows, shrinkage):
    """The twin: of rows whose covariance is I, the distances from each by the inverse of that of the others."""
    n, dim = rows.shape
    rows = rows.astype(np.float64)
    distances = np.full((n, n), np.inf)
    for i, u in enumerate(rows):
        covariance = n / (n - 1) * (np.eye(dim) - (1 - shrinkage) / (n - 1) * np.outer(u, u))
        covariance *= (n - 2) / (n - 2 + shrinkage)  # what it is shrunk towards loses a row, too
        differences = rows - u
        squares = np.einsum("ij,jk,ik->i", differences, np.linalg.inv(covariance), differences)
        distances[i] = np.sqrt(squares.clip(0))
    np.fill_diagonal(distances, np.inf)
    return distances


def whitened(n, dim, seed=0):
    X = np.random.default_rng(seed).normal(size=(n, dim))
    X -= X.mean(axis=0)
    X[n // 2 : n // 2 + 3] = X[n // 2] + 1e-6 * np.random.default_rng(1).normal(size=(3, dim))  # nearly equal ones
    X[-1] = X[0]
    X[1] *= 3  # one that draws the covariance towards itself
    return (X if n > dim else 0.2 * X).astype(np.float32)  # of few rows none is longer than it may be


@pytest.mark.parametrize("shrinkage", [0.05, 0.5, 1.0])
@pytest.mark.parametrize(("n", "dim", "k"), [(60, 4, 3), (60, 4, 1), (12, 20, 3), (14, 3, 6), (15, 3, 7), (60, 4, 40)])
@pytest.mark.parametrize("pairs_at_once", [1, 150, 1 << 19])
def test_each_row_is_compared_by_the_covariance_of_the_others(n, dim, k, shrinkage, pairs_at_once, monkeypatch):
    monkeypatch.setattr(_own_distances, "PAIRS_AT_ONCE", pairs_at_once)
    rows = whitened(n, dim)
    found = own_neighbors(ExactIndex(rows), k, shrinkage)
    distances = slow_distances(rows, shrinkage)
    expected = np.sort(distances, axis=1)[:, :k]
    np.testing.assert_allclose(found.scores, expected, rtol=2e-3, atol=2e-6)
    np.testing.assert_allclose(np.take_along_axis(distances, found.rows, axis=1), expected, rtol=2e-3, atol=2e-6)
    assert (np.diff(found.scores, axis=1) >= 0).all()
    assert (found.rows != np.arange(n)[:, None]).all()
    assert found.scores[0, 0] == found.scores[-1, 0] == 0  # of two that are equal
    assert (found.scores.dtype, found.rows.dtype) == (np.float32, np.int64)


def test_without_a_covariance_distances_are_as_they_are():
    rows = whitened(20, 3)
    found = own_neighbors(ExactIndex(rows), 4, None)
    distances = np.linalg.norm(rows[:, None].astype(float) - rows[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    np.testing.assert_allclose(found.scores, np.sort(distances, axis=1)[:, :4], rtol=1e-4, atol=1e-5)


def test_what_leaving_a_row_out_gains():
    gains, factor = gains_without(np.array([0.0, 2.0, 11.0]), 0.5)
    assert factor == pytest.approx(2 / 3 * 1.5)
    np.testing.assert_allclose(gains, [0.25, 0.25 / 0.5, 0.25 / 1e-9])  # a row that alone is a direction: bounded
    assert gains_without(np.array([5.0, 5.0]), 1.0)[0].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("shrinkage", [0.0, 0.3, 1.0])
def test_the_covariance_without_a_row_has_the_total_variance_of_the_others(shrinkage):
    X = np.random.default_rng(0).normal(size=(8, 5))
    X -= X.mean(axis=0)
    C = (1 - shrinkage) * np.cov(X.T, bias=True) + shrinkage * X.var(axis=0).mean() * np.eye(5)
    factor = gains_without(np.einsum("ij,jk,ik->i", X, np.linalg.inv(C), X), shrinkage)[1]
    b = (1 - shrinkage) / (len(X) - 1)
    without = [np.trace(C - b * np.outer(u, u)) / factor for u in X]
    others = [np.delete(X, i, axis=0).var(axis=0).sum() for i in range(len(X))]
    assert np.mean(without) == pytest.approx(np.mean(others))


def test_the_nearest_of_equal_distances_come_by_their_rows():
    squares = np.array([[4.0, 1.0, 4.0, 0.0]])
    distances, rows = best(squares, np.array([[9, 3, 2, 7]]), 3)
    assert distances.tolist() == [[0.0, 1.0, 2.0]]
    assert rows.tolist() == [[7, 3, 2]]
    assert distances.dtype == np.float32
