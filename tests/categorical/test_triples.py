"""Triples of columns whose rows are alike: which are found, beside loops, and what it is good for to learn them."""

from itertools import combinations

import numpy as np
import pytest

from skembed.categorical import _interaction_learning, _interaction_screening
from skembed.categorical._backfitting import Backfitting
from skembed.categorical._interaction_learning import cells_of, learn_interactions, triple_of_rows
from skembed.categorical._interaction_screening import (
    critical_value,
    hashed_cells,
    screen_triples,
    triples_of,
    without_cells,
)
from skembed.categorical._samples import Samples
from skembed.training.passes import PassSettings
from skembed.training.run import Run

ALL_PAIRS = list(combinations(range(4), 2))


def columns(n=4000, levels=6, n_columns=4, seed=0):
    return list(np.random.default_rng(seed).integers(1, levels + 1, (n_columns, n)).astype(np.int32))


def of_three(found, spread):
    """Effects of three columns together, and next to none of two of them."""
    return spread * (-1.0) ** sum(found)


def shocks(found, spread, seed=1):
    """An effect of each combination of levels of some columns."""
    _, cell = np.unique(np.stack(found), axis=1, return_inverse=True)
    return spread * np.random.default_rng(seed).normal(size=cell.max() + 1)[cell.ravel()]


def noise(n, seed=2):
    return np.random.default_rng(seed).normal(size=n)


def screened(given, residual, pairs=ALL_PAIRS, weight=None):
    residual = residual[:, None] if residual.ndim == 1 else residual
    return screen_triples(
        given, [7] * len(given), pairs, residual, np.ones(len(residual)) if weight is None else weight
    )


def test_a_triple_whose_rows_are_alike_is_found():
    given = columns()
    for triple in combinations(range(4), 3):
        residual = noise(4000) + of_three([given[c] for c in triple], 0.5)
        assert screened(given, residual) == [triple]
    assert screened(given, noise(4000)) == []


@pytest.mark.parametrize(("spread", "found"), [(0.2, []), (0.3, [(1, 2, 3)])])
def test_one_that_misleads_less_than_by_a_fifth_is_left(spread, found):
    """A row shares its cell with four others: sums vary 1 + 4 v / (1 + v) times as much with effects of variance v."""
    given = columns(32_000, 20)
    residual = noise(32_000) + of_three(given[1:], spread)
    _, cell = np.unique(np.stack(given[1:]), axis=1, return_inverse=True)
    sums = np.bincount(cell.ravel(), residual)
    design_effect = sums @ sums / (residual @ residual)
    assert design_effect == pytest.approx(1 + 4 * spread**2 / (1 + spread**2), abs=0.05)
    assert (design_effect - 1) / np.sqrt(2 / len(sums)) > 1.5 * critical_value(4)  # beyond chance either way
    assert screen_triples(given, [21] * 4, ALL_PAIRS, residual[:, None], np.ones(32_000)) == found


def test_it_has_to_be_beyond_chance():
    """The sums of six cells of noise vary one and a half times as much as they should in one of seven tables."""
    given = [np.repeat([1, 2], 30).astype(np.int32), np.tile([1, 2, 3], 20).astype(np.int32), np.ones(60, np.int32)]
    misleading = false = 0
    for seed in range(200):
        residual = noise(60, seed)
        sums = np.bincount(given[0] * 4 + given[1], residual)
        misleading += sums @ sums > 1.5 * residual @ residual
        false += bool(screened(given, residual, [(0, 1), (0, 2), (1, 2)]))
    assert misleading > 20
    assert false <= misleading / 2


def test_hardly_a_table_of_noise_has_one():
    false = 0
    for seed in range(100):
        given = columns(400, 4, 6, seed)
        residual = np.random.default_rng(1000 + seed).standard_t(5, size=400)
        false += bool(screened(given, residual, list(combinations(range(6), 2))))
    assert false <= 5


def test_of_triples_that_are_much_the_same_one_is_found():
    """Year, month and day are a date, and so nearly are weekday, month and day."""
    day = np.random.default_rng(0).integers(0, 730, 8000)
    year, month, of_month, of_week = day // 365, day % 365 // 31, day % 365 % 31, day % 7
    given = [part.astype(np.int32) + 1 for part in (year, month, of_month, of_week)]
    shock = shocks([day], 1.0)
    for pair in combinations(given, 2):
        cell = pair[0] * 32 + pair[1]
        shock = shock - (np.bincount(cell, shock) / np.maximum(np.bincount(cell), 1))[cell]
    found = screen_triples(given, [3, 13, 32, 8], ALL_PAIRS, (noise(8000) + shock)[:, None], np.ones(8000))
    assert len(found) == 1
    assert found[0] in [(0, 1, 2), (1, 2, 3)]


def test_of_larger_cells_that_hold_them_the_cells_themselves_are_found():
    """Whose rows are as many times as alike, with a greater error."""
    rng = np.random.default_rng(0)
    fine = rng.integers(0, 24, 4000)
    given = [part.astype(np.int32) + 1 for part in (rng.integers(0, 6, 4000), fine % 6, fine // 6, fine // 12)]
    residual = noise(4000) + of_three([given[0], given[1], given[2]], 1.0)
    assert screened(given, residual) == [(0, 1, 2)]


def test_two_triples_are_found_the_surer_one_first():
    given = columns(n_columns=5)
    pairs = list(combinations(range(5), 2))
    residual = noise(4000) + of_three([given[c] for c in (0, 1, 2)], 0.5) + of_three([given[c] for c in (2, 3, 4)], 0.9)
    assert screened(given, residual, pairs) == [(2, 3, 4), (0, 1, 2)]


def test_triples_need_all_their_pairs_and_stand_by_the_last_of_them():
    assert triples_of([(0, 1), (1, 2)]) == []
    assert triples_of([(0, 1), (1, 2), (0, 2)]) == [(0, 1, 2)]
    pairs = [(2, 3), (1, 3), (0, 1), (1, 2), (0, 2)]  # all but (0, 3)
    assert triples_of(pairs) == [(1, 2, 3), (0, 1, 2)]
    assert triples_of([(3, 2), (3, 1), (1, 0), (2, 1), (2, 0)]) == [(1, 2, 3), (0, 1, 2)]
    given = columns()
    assert screened(given, noise(4000) + of_three(given[1:], 1.0), [(0, 1), (1, 2), (0, 2)]) == []
    assert screened(given, noise(4000) + of_three(given[1:], 1.0), []) == []


def test_as_many_are_found_as_are_worth_their_time(monkeypatch):
    given = columns(n_columns=6)
    pairs = list(combinations(range(6), 2))
    residual = noise(4000) + of_three(given[:3], 0.9) + of_three(given[3:], 0.7)
    assert screened(given, residual, pairs) == [(0, 1, 2), (3, 4, 5)]
    monkeypatch.setattr(_interaction_screening, "MAX_FOUND_TRIPLES", 1)
    assert screened(given, residual, pairs) == [(0, 1, 2)]


def test_only_triples_of_the_most_significant_pairs_are_tested(monkeypatch):
    given = columns()
    residual = noise(4000) + of_three(given[1:], 1.0)
    pairs = [(0, 1), (0, 2), (1, 2), (1, 3), (2, 3), (0, 3)]
    assert screened(given, residual, pairs) == [(1, 2, 3)]
    monkeypatch.setattr(_interaction_screening, "MAX_TRIPLES", 1)
    assert triples_of(pairs)[0] == (0, 1, 2)
    assert screened(given, residual, pairs) == []


@pytest.mark.parametrize("n_targets", [1, 2])
def test_what_a_triple_explains_is_taken_out_as_by_a_loop(n_targets):
    given = columns(900)
    weight = np.random.default_rng(3).uniform(0.2, 3, 900)
    root = np.sqrt(weight)
    plain = np.stack([noise(900, k) + shocks(given[:3], 1.0, k) for k in range(n_targets)], axis=1)
    cells, size = hashed_cells({c: column.astype(np.uint64) for c, column in enumerate(given)}, [7] * 4, (0, 1, 2))
    assert size == 343
    assert len(np.unique(cells)) == len(np.unique(np.stack(given[:3]), axis=1).T)
    residual = plain * root[:, None]
    statistic = n_pairs = 0.0
    for i, one in enumerate(cells):
        for j in np.flatnonzero(cells == one):
            if i != j:
                statistic += residual[i] @ residual[j]
                n_pairs += root[i] * root[j]
    variance, of_noise = statistic / n_pairs, (residual**2).sum() / 900
    expected = residual.copy()
    for cell in np.unique(cells):
        here = cells == cell
        effect = weight[here] @ plain[here] / (weight[here].sum() + of_noise / variance)
        expected[here] -= root[here, None] * effect
    np.testing.assert_allclose(without_cells(cells, size, root, residual, statistic), expected, atol=1e-10)


def test_rows_count_by_their_weight():
    given = columns()
    half = np.arange(4000) % 2 == 0
    residual = np.where(half, noise(4000), noise(4000, 9) + of_three(given[:3], 2.0))
    assert screened(given, residual, weight=np.where(half, 1.0, 1e-4)) == []
    assert screened(given, residual, weight=np.where(half, 1e-4, 1.0)) == [(0, 1, 2)]


def test_numbers_of_cells_are_shared_where_levels_combine_in_too_many_ways(monkeypatch):
    given = columns(16_000, 20)
    residual = noise(16_000) + of_three(given[:3], 2.0)
    sizes = [21] * 4
    unsigned = {c: column.astype(np.uint64) for c, column in enumerate(given)}
    cells, size = hashed_cells(unsigned, sizes, (0, 1, 2))
    assert size == 21**3
    np.testing.assert_array_equal(cells, (given[0].astype(int) * 21 + given[1]) * 21 + given[2])
    pairs = ALL_PAIRS[:]
    weight = np.ones(16_000)
    assert screen_triples(given, sizes, pairs, residual[:, None], weight) == [(0, 1, 2)]
    monkeypatch.setattr(_interaction_screening, "CELL_BITS", 13)  # 8,192 for 9,261
    cells, size = hashed_cells(unsigned, sizes, (0, 1, 2))
    assert size == 8192
    assert cells.min() >= 0
    assert cells.max() < size
    assert screen_triples(given, sizes, pairs, residual[:, None], weight) == [(0, 1, 2)]
    # products of sizes beyond 64 bits go round
    huge = {c: np.array([1, 2**31 - 2, 5], dtype=np.uint64) for c in range(3)}
    cells, size = hashed_cells(huge, [2**31 - 1] * 3, (0, 1, 2))
    assert len(set(cells.tolist())) == 3
    assert size == 8192


def test_the_critical_value_grows_with_the_number_of_tests():
    assert critical_value(1) == 2.0
    assert critical_value(10) == pytest.approx(2 + np.sqrt(2 * np.log(10)))


def test_cells_of_a_triple():
    given = columns(500)
    size, of_row = triple_of_rows(given, [7] * 4, (0, 2, 3))
    _, expected = np.unique(np.stack([given[0], given[2], given[3]]), axis=1, return_inverse=True)
    np.testing.assert_array_equal(of_row, expected.ravel())
    assert size == expected.max() + 1
    assert of_row.dtype == np.int32


# ------------------------------------------------------------------------------------------------ beside the pairs


def dates(n=6000, seed=0, n_targets=1):
    """Rows of shops on dates, with effects of shop and weekday, and a shock of each date that no pair can know."""
    rng = np.random.default_rng(seed)
    day, shop = rng.integers(0, 3 * 365, n), rng.integers(0, 12, n)
    parts = [shop, day // 365, day % 365 // 31, day % 365 % 31]
    ids = np.stack([part + 1 for part in parts], axis=1).astype(np.int32)
    table = rng.normal(size=(12, 12, n_targets))
    table -= table.mean(axis=0)
    table -= table.mean(axis=1, keepdims=True)
    of_shop_and_month = table[shop, day % 365 // 31]
    shock = rng.normal(size=(3 * 365, n_targets))[day]
    target = of_shop_and_month + shock + 0.5 * rng.normal(size=(n, n_targets))
    return Samples(ids, [13, 4, 13, 32], np.empty((n, 0)), target, np.ones(n)), of_shop_and_month


PAIRS = [(2, 3), (0, 2), (1, 2), (1, 3)]


@pytest.mark.parametrize("n_targets", [1, 2])
@pytest.mark.parametrize("validates", [True, False])
def test_pairs_are_learned_beside_the_triple(validates, n_targets):
    samples, _ = dates(n_targets=n_targets)
    n = len(samples)
    include = np.ones((n, 2), dtype=np.uint8)
    include[::3, 0] = include[1::3, 1] = 0
    validation = np.arange(0, n, 10) if validates else np.empty(0, np.int64)
    settings = PassSettings(max_iter=8, n_iter_no_change=3, tol=1e-4)
    found, of_folds = learn_interactions(samples, PAIRS, include, validation, settings, Run(0))

    given = [np.ascontiguousarray(column) for column in samples.ids.T]
    terms, sizes = [*given], [*samples.sizes]
    for pair in PAIRS:
        cells, of_row = cells_of(given, samples.sizes, pair)
        terms.append(of_row)
        sizes.append(cells.levels.shape[1])
    size, of_row = triple_of_rows(given, samples.sizes, (1, 2, 3))
    terms, sizes = [*terms, of_row], [*sizes, size]
    n_passes = 8
    if validates:
        seen = np.ones((n, 1), dtype=np.uint8)
        seen[validation] = 0
        model = Backfitting(
            terms, sizes, samples.target, samples.weight, seen, validation, within={4: [8], 6: [8], 7: [8]}
        )
        scores = []
        for _ in range(found.history.n_iter):
            model.one_pass()
            scores.append(model.validation_score())
        n_passes = int(np.argmax(scores)) + 1
    everyone = np.ones((n, 1), dtype=np.uint8)
    model = Backfitting(terms, sizes, samples.target, samples.weight, everyone, within={4: [8], 6: [8], 7: [8]})
    for _ in range(n_passes):
        model.one_pass()
    folds = Backfitting(terms, sizes, samples.target, samples.weight, include, ratios=model.ratios)
    for _ in range(n_passes):
        folds.one_pass()
    assert found.pairs == PAIRS
    assert len(found.cells) == len(found.effects) == len(found.counts) == len(found.ratios) == 4
    for k in range(4):
        np.testing.assert_allclose(found.effects[k], model.effects[4 + k], atol=1e-12)
        np.testing.assert_allclose(found.counts[k], model.counts[4 + k][:, 0])
        assert found.ratios[k] == pytest.approx(model.ratios[4 + k])
        for s, of_fold in enumerate(of_folds):
            np.testing.assert_allclose(
                of_fold[k], folds.effects[4 + k][:, s * n_targets : (s + 1) * n_targets], atol=1e-12
            )


def test_shocks_of_dates_are_not_taken_for_what_month_and_day_add(monkeypatch):
    """Of other dates only shop and month have anything to say."""
    samples, truth = dates()
    settings, nobody = PassSettings(max_iter=10), np.empty(0, np.int64)
    beside, _ = learn_interactions(samples, PAIRS, None, nobody, settings, Run(0))
    monkeypatch.setattr(_interaction_learning, "screen_triples", lambda *_: [])
    alone, _ = learn_interactions(samples, PAIRS, None, nobody, settings, Run(0))
    spread, error = {}, {}
    for name, found in (("beside", beside), ("alone", alone)):
        spread[name] = float(np.average(found.effects[0][:, 0] ** 2, weights=found.counts[0]))
        of_row = cells_of([np.ascontiguousarray(c) for c in samples.ids.T], samples.sizes, (0, 2))[1]
        error[name] = float(((found.effects[1][of_row] - truth) ** 2).mean())
    assert spread["beside"] < 0.7 * spread["alone"]
    assert error["beside"] < 0.6 * error["alone"]
