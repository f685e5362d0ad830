"""Principal axes of tables over the rows of data."""

import numpy as np

from skembed.apply.axes import PrincipalAxes


def test_rows_are_centered_ordered_by_spread_and_as_far_apart_as_one_hot_columns():
    rng = np.random.default_rng(0)
    table = rng.standard_normal((40, 5)) * [1, 4, 0.1, 2, 0] + 3
    counts = rng.integers(1, 9, size=40)
    turned = PrincipalAxes.of(table, counts).apply(table)
    repeated = np.repeat(turned, counts, axis=0)
    assert turned.dtype == np.float32
    assert turned.shape == (40, 4)  # one direction has no spread
    np.testing.assert_allclose(repeated.mean(axis=0), 0, atol=1e-5)
    one_hot = np.repeat(np.eye(40), counts, axis=0)
    np.testing.assert_allclose(repeated.var(axis=0).sum(), one_hot.var(axis=0).sum(), rtol=1e-4)
    assert (np.diff(repeated.var(axis=0)) < 0).all()
    np.testing.assert_allclose(np.cov(repeated.T) - np.diag(np.var(repeated, axis=0, ddof=1)), 0, atol=1e-5)


def test_distances_keep_their_ratios():
    rng = np.random.default_rng(1)
    table = rng.standard_normal((10, 3))
    turned = PrincipalAxes.of(table, np.ones(10)).apply(table)
    before = np.linalg.norm(table[:, None] - table, axis=2)
    after = np.linalg.norm(turned[:, None] - turned, axis=2)
    ratios = after[np.triu_indices(10, 1)] / before[np.triu_indices(10, 1)]
    np.testing.assert_allclose(ratios, ratios[0], rtol=1e-4)


def test_a_table_of_equal_rows_becomes_zeros():
    turned = PrincipalAxes.of(np.ones((3, 4)), np.array([5, 1, 1])).apply(np.ones((3, 4)))
    np.testing.assert_array_equal(turned, np.zeros((3, 1)))
