"""Crossed and marginal effects against dense solves, written the slow way."""

import numpy as np
import pytest

from skembed.categorical import _effects as effects_module
from skembed.categorical._effects import (
    Effects,
    EffectsModel,
    Prior,
    VarianceRatios,
    share_unknown,
    solve_effects,
)
from skembed.categorical._samples import Samples

SIZES = [6, 4]
DEFAULT_TOL = effects_module.SOLVE_TOL


@pytest.fixture(autouse=True)
def tight_solver(monkeypatch):
    monkeypatch.setattr(effects_module, "SOLVE_TOL", 1e-12)
    monkeypatch.setattr(effects_module, "MAX_SOLVE_ITER", 2000)


def problem(n=80, n_numeric=2, n_targets=3, seed=0):
    rng = np.random.default_rng(seed)
    ids = np.stack([rng.integers(1, size, n) for size in SIZES], axis=1)
    numeric = rng.standard_normal((n, n_numeric))
    target = rng.standard_normal((n, n_targets))
    weight = rng.uniform(0.5, 2.0, n)
    weight[::7] = 0.0
    return ids, numeric, target, weight


RATIOS = VarianceRatios(crossed=np.array([3.0, 7.0]), marginal=np.array([2.0, 5.0]))


def dense_crossed(ids, numeric, target, weight, ratios):
    """Ridge on dense one-hot columns and side inputs, the target centered."""
    Z = np.hstack([np.eye(size)[ids[:, c]] for c, size in enumerate(SIZES)] + [numeric])
    penalty = np.concatenate([np.repeat(ratios.crossed, SIZES), np.full(numeric.shape[1], weight.sum() * 1e-6)])
    centered = target - np.average(target, axis=0, weights=weight)
    return np.linalg.solve(Z.T @ (weight[:, None] * Z) + np.diag(penalty), Z.T @ (weight[:, None] * centered))


@pytest.mark.parametrize("n_numeric", [0, 2])
@pytest.mark.parametrize("n_targets", [1, 3])
def test_crossed_effects_are_a_ridge(n_numeric, n_targets):
    ids, numeric, target, weight = problem(n_numeric=n_numeric, n_targets=n_targets)
    (found,) = solve_effects(Samples(ids, SIZES, numeric, target, weight), RATIOS)
    expected = dense_crossed(ids, numeric, target, weight, RATIOS)
    np.testing.assert_allclose(found.crossed[0][1:], expected[1:6], atol=1e-8)
    np.testing.assert_allclose(found.crossed[1][1:], expected[7:10], atol=1e-8)
    np.testing.assert_allclose(found.numeric, expected[10:], atol=1e-8)


def test_the_default_tolerance_is_far_below_sampling_error(monkeypatch):
    monkeypatch.setattr(effects_module, "SOLVE_TOL", DEFAULT_TOL)
    ids, numeric, target, weight = problem()
    (found,) = solve_effects(Samples(ids, SIZES, numeric, target, weight), RATIOS)
    expected = dense_crossed(ids, numeric, target, weight, RATIOS)
    np.testing.assert_allclose(found.crossed[0][1:], expected[1:6], atol=1e-3)


def test_marginal_effects_are_shrunken_means():
    ids, numeric, target, weight = problem()
    (found,) = solve_effects(Samples(ids, SIZES, numeric, target, weight), RATIOS)
    centered = target - np.average(target, axis=0, weights=weight)
    for c, size in enumerate(SIZES):
        for level in range(1, size):
            mine = ids[:, c] == level
            expected = weight[mine] @ centered[mine] / (weight[mine].sum() + RATIOS.marginal[c])
            np.testing.assert_allclose(found.marginal[c][level], expected, atol=1e-12)


def test_rows_of_weight_zero_have_no_influence():
    ids, numeric, target, weight = problem()
    kept = weight > 0
    (everything,) = solve_effects(Samples(ids, SIZES, numeric, target, weight), RATIOS)
    (without,) = solve_effects(Samples(ids, SIZES, numeric, target, weight).take(kept), RATIOS)
    for a, b in zip(everything.crossed + everything.marginal, without.crossed + without.marginal):
        np.testing.assert_allclose(a, b, atol=1e-9)


def test_predict_adds_the_effects_up():
    effects = Effects([np.array([[0.0], [1.0]]), np.array([[0.0], [10.0]])], [], np.array([[100.0]]))
    ids, numeric = np.array([[1, 1], [0, 1]]), np.array([[2.0], [0.0]])
    np.testing.assert_array_equal(effects.predict(ids, numeric), [[211.0], [10.0]])


def test_variances_are_recovered():
    rng = np.random.default_rng(0)
    n, sizes = 20_000, [401, 101]
    ids = np.stack([rng.integers(1, size, n) for size in sizes], axis=1)
    true = [rng.standard_normal((sizes[0], 1)) * 1.0, rng.standard_normal((sizes[1], 1)) * 0.3]
    target = true[0][ids[:, 0]] + true[1][ids[:, 1]] + rng.standard_normal((n, 1))
    model = EffectsModel(Samples(ids, sizes, np.empty((n, 0)), target, np.ones(n)), rng)
    expected = [1 / t.var() for t in true]
    np.testing.assert_allclose(model.ratios.crossed, expected, rtol=0.15)
    assert model.ratios.marginal[1] > 0.8 * model.ratios.crossed[1]


def test_noise_is_shrunk_to_nothing():
    rng = np.random.default_rng(1)
    n = 3000
    ids = rng.integers(1, 301, (n, 1))
    model = EffectsModel(Samples(ids, [301], np.empty((n, 0)), rng.standard_normal((n, 1)), np.ones(n)), rng)
    (found,) = model.solve_each(np.ones((n, 1), dtype=np.uint8))
    assert np.abs(found.marginal[0]).max() < 0.35  # means of ten rows alone reach 1


def test_solving_some_rows_does_not_see_the_others():
    ids, numeric, target, weight = problem()
    include = (np.arange(len(ids))[:, None] % 2 == 0).astype(np.uint8)
    changed = target.copy()
    changed[1::2] = 1e3
    ratios_of = EffectsModel(Samples(ids, SIZES, numeric, target, weight), np.random.RandomState(0))
    other = EffectsModel(Samples(ids, SIZES, numeric, changed, weight), np.random.RandomState(0))
    other.ratios = ratios_of.ratios
    for a, b in zip(ratios_of.solve_each(include)[0].crossed, other.solve_each(include)[0].crossed):
        np.testing.assert_allclose(a, b, atol=1e-9)


def test_sets_of_rows_side_by_side_are_as_each_on_its_own():
    ids, numeric, target, weight = problem()
    include = (np.random.default_rng(3).random((len(ids), 4)) < 0.7).astype(np.uint8)
    include[:, 3] = 1
    together = solve_effects(Samples(ids, SIZES, numeric, target, weight), RATIOS, include=include)
    for s, found in enumerate(together):
        rows = include[:, s] > 0
        (alone,) = solve_effects(Samples(ids, SIZES, numeric, target, weight).take(rows), RATIOS)
        for a, b in zip(
            [*found.crossed, *found.marginal, found.numeric], [*alone.crossed, *alone.marginal, alone.numeric]
        ):
            np.testing.assert_allclose(a, b, atol=1e-8)


def test_marginal_ratio_is_that_of_the_joint_model_with_one_column():
    rng = np.random.default_rng(0)
    ids = rng.integers(1, 40, 3000)
    target = rng.standard_normal((40, 2))[ids] + rng.standard_normal((3000, 2))
    weight = rng.uniform(0.5, 2, 3000)
    one = effects_module.marginal_ratio(ids, 40, target, weight)
    joint, _ = effects_module.crossed_ratios(
        Samples(ids[:, None].astype(np.int32), [40], np.empty((3000, 0)), target, weight)
    )
    np.testing.assert_allclose(one, joint[0], rtol=1e-9)


def test_share_unknown_takes_rare_levels_as_one():
    counts = np.array([0.0, 50.0, 2.0, 1.0, 0.0])
    ratio = 4.0
    sums = np.array([[0.0], [10.0], [3.0], [2.0], [0.0]])
    table = sums / (counts + ratio)[:, None]
    share_unknown(table, counts, ratio)
    expected = (3.0 + 2.0) / (2.0 + 1.0 + ratio)
    np.testing.assert_allclose(table[[0, 4], 0], expected)
    np.testing.assert_allclose(table[1:4], (sums / (counts + ratio)[:, None])[1:4])


def test_share_unknown_takes_all_levels_where_none_is_rare():
    counts = np.array([0.0, 50.0, 20.0])
    table = np.array([[0.0], [1.0], [2.0]])
    share_unknown(table, counts, 10.0)
    np.testing.assert_allclose(table[0, 0], (60.0 + 2.0 * 30.0) / 80.0)


def test_share_unknown_keeps_data_of_its_own():
    table = np.array([[7.0], [1.0], [0.0]])
    share_unknown(table, np.array([3.0, 5.0, 0.0]), 2.0)
    np.testing.assert_array_equal(table[:, 0], [7.0, 1.0, 7.0])


def test_share_unknown_without_any_data():
    table = np.zeros((3, 1))
    share_unknown(table, np.zeros(3), 2.0)
    np.testing.assert_array_equal(table, 0.0)


def test_marginal_effects_with_a_prior_are_those_of_all_rows():
    ids, numeric, target, weight = problem(n=120)
    weight[:] = 1.0
    target -= target.mean(axis=0)
    first, second = np.arange(60), np.arange(60, 120)
    target[first] -= target[first].mean(axis=0)  # the level of the target is settled by the first rows
    target[second] -= target[second].mean(axis=0)
    (old,) = solve_effects(Samples(ids, SIZES, numeric, target, weight).take(first), RATIOS)
    seen = [np.bincount(ids[first, c], minlength=size).astype(float) for c, size in enumerate(SIZES)]
    prior = Effects(
        [t * (n > 0)[:, None] for t, n in zip(old.crossed, seen)],
        [t * (n > 0)[:, None] for t, n in zip(old.marginal, seen)],
        old.numeric,
    )
    (found,) = solve_effects(
        Samples(ids, SIZES, numeric, target, weight).take(second), RATIOS, prior=Prior(prior, seen)
    )
    (everything,) = solve_effects(Samples(ids, SIZES, numeric, target, weight), RATIOS)
    for a, b in zip(found.marginal, everything.marginal):
        np.testing.assert_allclose(a, b, atol=1e-9)
    for a, b in zip(
        found.crossed, everything.crossed
    ):  # nearly so: the prior holds its precision, not its correlations
        np.testing.assert_allclose(a[1:], b[1:], atol=0.25)
