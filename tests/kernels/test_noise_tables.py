"""Alias tables at their edges: weights that are none, columns that rounding leaves over, and what columns say."""

import numpy as np
import pytest

from skembed.kernels import noise
from skembed.kernels.noise import alias_table, draw_many
from skembed.kernels.random import new_state


@pytest.mark.filterwarnings("ignore:overflow")
@pytest.mark.parametrize(
    "weights",
    [[1.0, -0.5], [-1e-300, 1.0], [0.0, 0.0], [1.0, np.nan], [1.0, np.inf], [[1.0, 1.0]], [1e308, 1e308], []],
    ids=str,
)
def test_weights_that_are_none_are_refused(weights):
    with pytest.raises(
        ValueError, match=r"non-negative and finite.*got shape .* with sum .*Check counts and ns_exponent"
    ):
        alias_table(weights)


def shares_of(table):
    """How likely each row is drawn, from the table itself."""
    n = len(table.threshold)
    own = table.threshold / 2.0**32
    shares = np.bincount(np.arange(n), own, n) + np.bincount(table.alias, 1 - own, n)
    return shares / n


@pytest.mark.parametrize("n", [1, 2, 3, 50, 1000])
@pytest.mark.parametrize("compiled", [False, True])
def test_columns_say_the_shares_of_all_rows(n, compiled, monkeypatch):
    if compiled:
        monkeypatch.setattr(noise, "_FEW_COLUMNS", 0)
    rng = np.random.default_rng(n)
    weights = rng.random(n) ** 4 * (rng.random(n) < 0.7) + 1e-12 * (np.arange(n) == 0)
    table = alias_table(weights * 1e-200)
    assert (table.threshold.dtype, table.alias.dtype) == (np.uint32, np.int32)
    np.testing.assert_allclose(shares_of(table), weights / weights.sum(), atol=2e-9)
    drawn = np.empty(3000, np.int32)
    draw_many(table.threshold, table.alias, drawn, new_state(1))
    assert weights[drawn].min() > 0


@pytest.mark.parametrize("pair", [noise._pair_columns, noise._pair_lists, noise._fill.kernel])
def test_columns_that_rounding_leaves_over_are_full_or_the_heaviest_rows(pair):
    probability, alias = np.ones(4), np.arange(4, dtype=np.int32)
    pair(np.array([0.0, 0.5, 0.75, 0.999]), 3, probability, alias, np.empty(8, np.int64))  # their mean is below 1
    np.testing.assert_array_equal(probability, [0, 0, 1, 1])
    np.testing.assert_array_equal(alias, [3, 3, 2, 3])


def test_each_small_column_is_filled_by_a_large_one():
    probability, alias = np.ones(3), np.arange(3, dtype=np.int32)
    noise._pair_columns(np.array([0.25, 2.0, 0.75]), 1, probability, alias, np.empty(6, np.int64))
    np.testing.assert_array_equal(probability, [0.25, 1, 0.75])
    np.testing.assert_array_equal(alias, [1, 1, 1])
