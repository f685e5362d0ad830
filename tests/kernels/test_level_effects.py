"""Kernels of level effects beside plain numpy."""

import numpy as np
import pytest

from skembed.kernels.level_effects import cell_statistic, level_sums, normal_product, sweep_effects


def problem(n_systems, n_targets, n_numeric=2, n=150, seed=0):
    rng = np.random.default_rng(seed)
    sizes = [5, 9, 3]
    ids = np.stack([rng.integers(size, size=n) for size in sizes], axis=1).astype(np.int32)
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    numeric = rng.standard_normal((n, n_numeric))
    weight = rng.uniform(0, 2, n)
    include = (rng.random((n, n_systems)) < 0.7).astype(np.uint8)
    dense = np.hstack([np.eye(size)[ids[:, c]] for c, size in enumerate(sizes)])
    return rng, ids, starts, numeric, weight, include, dense


@pytest.mark.parametrize("n_systems", [1, 5, 6, 7, 12])
@pytest.mark.parametrize("n_targets", [1, 3])
@pytest.mark.parametrize("n_numeric", [0, 2])
def test_normal_product(n_systems, n_targets, n_numeric):
    rng, ids, starts, numeric, weight, include, dense = problem(n_systems, n_targets, n_numeric)
    Z = np.hstack([dense, numeric])
    v = rng.standard_normal((Z.shape[1], n_systems * n_targets))
    out = np.full_like(v, np.nan)
    normal_product(ids, starts, numeric, weight, include, v, out)
    for s in range(n_systems):
        part = slice(s * n_targets, (s + 1) * n_targets)
        expected = Z.T @ ((weight * include[:, s])[:, None] * (Z @ v[:, part]))
        np.testing.assert_allclose(out[:, part], expected, atol=1e-10)


@pytest.mark.parametrize("shared", [True, False])
def test_level_sums(shared):
    rng, ids, starts, _, weight, include, dense = problem(4, 3)
    values = rng.standard_normal((len(ids), 3 if shared else 12))
    out = np.ones((starts[-1], 12))
    level_sums(ids, starts, weight, include, values, 3, out)
    for s in range(4):
        own = values if shared else values[:, 3 * s : 3 * s + 3]
        expected = 1 + dense.T @ ((weight * include[:, s])[:, None] * own)
        np.testing.assert_allclose(out[:, 3 * s : 3 * s + 3], expected, atol=1e-10)


def test_sweep_effects():
    rng, ids, _, _, weight, include, _ = problem(3, 2)
    column, ratio = np.ascontiguousarray(ids[:, 1]), 2.5
    one_hot = np.eye(9)[column]
    residual, effects = rng.standard_normal((len(ids), 6)), rng.standard_normal((9, 6))
    counts = one_hot.T @ (weight[:, None] * include)
    new_residual, new_effects = residual.copy(), effects.copy()
    sweep_effects(column, weight, include, counts, ratio, new_residual, new_effects, np.empty_like(effects))
    for s in range(3):
        part = slice(2 * s, 2 * s + 2)
        W = (weight * include[:, s])[:, None]
        old = residual[:, part] + effects[column][:, part]  # what the column may explain
        expected = one_hot.T @ (W * old) / (counts[:, s] + ratio)[:, None]
        np.testing.assert_allclose(new_effects[:, part], expected, atol=1e-10)
        np.testing.assert_allclose(new_residual[:, part], old - expected[column], atol=1e-10)


def test_cell_statistic():
    rng = np.random.default_rng(1)
    cells, residual = rng.integers(20, size=200), rng.standard_normal((200, 3))
    workspace = np.zeros((32, 3)), np.zeros(32), np.zeros(32)
    found = cell_statistic(cells, residual, *workspace)
    same = (cells[:, None] == cells) & ~np.eye(200, dtype=bool)
    squares = (residual**2).sum(axis=1)
    expected = (same * (residual @ residual.T)).sum(), 2 * (same * np.outer(squares, squares)).sum()
    np.testing.assert_allclose(found, expected, rtol=1e-10)
    assert not any(array.any() for array in workspace)
