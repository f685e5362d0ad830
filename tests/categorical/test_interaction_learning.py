"""Interactions learned by backfitting, beside loops over rows and levels, and when they are found worth it."""

import numpy as np
import pytest

from skembed.categorical import _interaction_learning
from skembed.categorical._backfitting import Backfitting
from skembed.categorical._interaction_learning import (
    cells_of,
    held_out_errors,
    learn_interactions,
    may_be_worth_it,
)
from skembed.categorical._interactions import MIN_VARIANCE
from skembed.categorical._samples import Samples
from skembed.training.passes import PassSettings
from skembed.training.run import Run

SIZES = [5, 6]


def rows(n=240, n_targets=2, seed=0, strength=1.5):
    rng = np.random.default_rng(seed)
    ids = np.stack([rng.integers(1, size, n) for size in SIZES], axis=1).astype(np.int32)
    target = strength * rng.standard_normal((5, 6, n_targets))[ids[:, 0], ids[:, 1]] + rng.standard_normal(
        (n, n_targets)
    )
    return Samples(ids, SIZES, np.empty((n, 0)), target, rng.uniform(0.5, 2, n))


class Slow:
    """One set of rows, one row and one level at a time."""

    def __init__(self, terms, sizes, target, weight, include, ratios=None, within=None):
        self.within = within or {}
        self.terms, self.weight, self.include, self.sizes = terms, weight, include.astype(bool), sizes
        mine = self.include
        self.residual = target - np.average(target[mine], axis=0, weights=weight[mine])
        self.effects = [np.zeros((size, target.shape[1])) for size in sizes]
        self.ratios = [2.0 * len(terms)] * len(terms) if ratios is None else list(ratios)
        self.learns, self.noise = ratios is None, 1.0

    def one_pass(self):
        mass = self.weight[self.include].sum()
        uncertainty, variances, posteriors = 0.0, [], self.posterior_variances()
        for t, (term, effects) in enumerate(zip(self.terms, self.effects)):
            squares = []
            for level in range(self.sizes[t]):
                here = (term == level) & self.include
                count = self.weight[here].sum()
                new = self.weight[here] @ (self.residual[here] + effects[level]) / (count + self.ratios[t])
                self.residual[term == level] += effects[level] - new
                effects[level] = new
                uncertainty += self.noise / (count + self.ratios[t]) * count / mass
                if count > 0:
                    squares.append((new**2).mean() + posteriors[t][level])
            variances.append(max(np.mean(squares), MIN_VARIANCE))
        loss = self.weight[self.include] @ (self.residual[self.include] ** 2).sum(axis=1) / mass
        if self.learns:
            self.noise = loss / self.residual.shape[1] + uncertainty
            self.ratios = [self.noise / variance for variance in variances]
        return 0.5 * loss

    def posterior_variances(self):
        weight, out = self.weight * self.include, []
        rows_of = [
            [np.flatnonzero((term == k) & self.include) for k in range(n)] for term, n in zip(self.terms, self.sizes)
        ]
        for rows_of_levels, ratio in zip(rows_of, self.ratios):
            out.append([self.noise / (weight[rows].sum() + ratio) for rows in rows_of_levels])
        for t, inners in self.within.items():
            for level, rows in enumerate(rows_of[t]):
                counted = 0.0  # each row by its share of noise in what the levels within leave
                for row in rows:
                    shares = [
                        self.ratios[k] / (self.ratios[k] + weight[rows_of[k][self.terms[k][row]]].sum()) for k in inners
                    ]
                    counted += weight[row] * np.prod(shares)
                out[t][level] = self.noise / (counted + self.ratios[t])
            for k in inners:
                for level, rows in enumerate(rows_of[k]):
                    if len(rows):
                        count = weight[rows].sum()
                        out[k][level] += (count / (count + self.ratios[k])) ** 2 * out[t][self.terms[t][rows[0]]]
        return out


def terms_of(samples):
    columns = [np.ascontiguousarray(column) for column in samples.ids.T]
    cells, of_rows = cells_of(columns, SIZES, (0, 1))
    return cells, [*columns, of_rows], [*SIZES, cells.levels.shape[1]]


@pytest.mark.parametrize("learns", [True, False])
@pytest.mark.parametrize("n_targets", [1, 2])
def test_passes_are_those_of_loops(learns, n_targets):
    samples = rows(n_targets=n_targets)
    _, terms, sizes = terms_of(samples)
    held_out = np.arange(0, 240, 7)
    include = np.ones((240, 1 if learns else 3), dtype=np.uint8)
    include[held_out] = 0
    include[::5, 1:] = 0
    given = None if learns else np.array([3.0, 4.0, 9.0])
    model = Backfitting(terms, sizes, samples.target, samples.weight, include, held_out, ratios=given)
    twins = [Slow(terms, sizes, samples.target, samples.weight, chosen, given) for chosen in include.T]
    weight = samples.weight[held_out]
    null = np.average((twins[0].residual[held_out] ** 2).sum(axis=1), weights=weight) if learns else None
    state = None
    for number in range(6):
        losses = [twin.one_pass() for twin in twins]
        assert model.one_pass() == pytest.approx(losses[0])
        for s, twin in enumerate(twins):
            part = slice(s * n_targets, (s + 1) * n_targets)
            np.testing.assert_allclose(model.residual[:, part], twin.residual, atol=1e-9)
            for found, expected in zip(model.effects, twin.effects):
                np.testing.assert_allclose(found[:, part], expected, atol=1e-9)
        np.testing.assert_allclose(model.ratios, twins[0].ratios, rtol=1e-8)
        assert model.noise == pytest.approx(twins[0].noise)
        if learns:
            errors = (twins[0].residual[held_out] ** 2).sum(axis=1)
            np.testing.assert_allclose(model.errors(), errors, atol=1e-9)
            assert model.validation_score() == pytest.approx(1 - np.average(errors, weights=weight) / null)
        if number == 3:
            state, then = (
                model.snapshot(),
                [model.residual.copy(), *[e.copy() for e in model.effects], model.ratios, model.noise],
            )
    model.restore(state)
    for found, expected in zip([model.residual, *model.effects, model.ratios, model.noise], then):
        np.testing.assert_array_equal(found, expected)


def test_rows_that_share_an_inner_level_count_as_fewer():
    """Cells of two columns, in each of which there are three inner ones of two more terms."""
    samples = rows()
    _, terms, sizes = terms_of(samples)
    inner = np.random.default_rng(3).integers(0, 3, (2, 240))
    terms += [(terms[2] * 3 + part).astype(np.int32) for part in inner]
    sizes += [3 * sizes[2], 3 * sizes[2]]
    within = {2: [3, 4]}
    include = np.ones((240, 1), dtype=np.uint8)
    include[::9] = 0
    model = Backfitting(terms, sizes, samples.target, samples.weight, include, within=within)
    alone = Backfitting(terms, sizes, samples.target, samples.weight, include)
    twin = Slow(terms, sizes, samples.target, samples.weight, include[:, 0], within=within)
    twin.sizes = sizes
    for _ in range(5):
        assert model.one_pass() == pytest.approx(twin.one_pass())
        np.testing.assert_allclose(model.ratios, twin.ratios, rtol=1e-8)
        assert model.noise == pytest.approx(twin.noise)
        for found, expected in zip(model.posterior_variances(), twin.posterior_variances()):
            np.testing.assert_allclose(found, expected, rtol=1e-8)
        alone.one_pass()
    assert model.ratios[2] < alone.ratios[2]  # as independent, what the inner ones explain is lost to the outer


def test_what_is_learned_of_pairs_without_validation():
    samples = rows()
    cells, terms, sizes = terms_of(samples)
    include = np.ones((240, 2), dtype=np.uint8)
    include[::3, 0] = 0
    settings = PassSettings(max_iter=4)
    found, of_folds = learn_interactions(samples, [(0, 1)], include, np.empty(0, np.int64), settings, Run(0))
    twin = Slow(terms, sizes, samples.target, samples.weight, np.ones(240))
    losses = [twin.one_pass() for _ in range(4)]
    np.testing.assert_allclose(found.history.loss_curve, losses)
    assert found.history.validation_scores == []
    assert found.pairs == [(0, 1)]
    assert found.cells[0].levels.tolist() == cells.levels.tolist()
    np.testing.assert_allclose(found.effects[0], twin.effects[2], atol=1e-9)
    np.testing.assert_allclose(found.counts[0], [samples.weight[terms[2] == cell].sum() for cell in range(sizes[2])])
    assert found.ratios == pytest.approx([twin.ratios[2]])
    assert type(found.ratios[0]) is float
    assert found.masses.keys() == {0, 1}
    for c, size in enumerate(SIZES):
        np.testing.assert_allclose(
            found.masses[c], [samples.weight[samples.ids[:, c] == level].sum() for level in range(size)]
        )
    assert len(of_folds) == 2
    for fold, chosen in zip(of_folds, include.T):
        held_out = Slow(terms, sizes, samples.target, samples.weight, chosen, twin.ratios)
        for _ in range(4):
            held_out.one_pass()
        np.testing.assert_allclose(fold[0], held_out.effects[2], atol=1e-9)
    for none in (None, include[:, :0]):
        again, of_none = learn_interactions(samples, [(0, 1)], none, np.empty(0, np.int64), settings, Run(0))
        assert of_none == []
        np.testing.assert_array_equal(again.effects[0], found.effects[0])


def test_passes_are_as_many_as_predict_held_out_rows_best():
    samples = rows()
    _, terms, sizes = terms_of(samples)
    validation = np.arange(1, 240, 4)
    settings = PassSettings(max_iter=9, early_stopping=False, n_iter_no_change=2)  # the rows decide, whatever it says
    found, _ = learn_interactions(samples, [(0, 1)], None, validation, settings, Run(0))
    history = found.history
    assert len(history.validation_scores) == len(history.loss_curve) == history.n_iter
    seen = np.ones(240)
    seen[validation] = 0
    held_out = Slow(terms, sizes, samples.target, samples.weight, seen)
    np.testing.assert_allclose(history.loss_curve, [held_out.one_pass() for _ in range(history.n_iter)])
    everything = Slow(terms, sizes, samples.target, samples.weight, np.ones(240))
    for _ in range(history.best_iter):
        everything.one_pass()
    np.testing.assert_allclose(found.effects[0], everything.effects[2], atol=1e-9)


def test_pairs_that_do_not_predict_held_out_rows_are_left_out():
    for strength, kept in ((0.0, False), (1.5, True)):
        samples = rows(strength=strength)
        include = np.ones((240, 1), dtype=np.uint8)
        settings = PassSettings(max_iter=9, early_stopping=True)
        found, of_folds = learn_interactions(samples, [(0, 1)], include, np.arange(1, 240, 4), settings, Run(0))
        assert bool(found.cells) == bool(found.pairs) == bool(of_folds) == kept
        assert found.history.n_iter > 0


def test_errors_of_rows_by_what_was_learned_without_their_fold():
    samples = rows()
    _, terms, sizes = terms_of(samples)
    everyone = np.ones((240, 1), dtype=np.uint8)
    model = Backfitting(terms, sizes, samples.target, samples.weight, everyone, ratios=np.array([3.0, 4.0, 5.0]))
    tests = [np.arange(0, 90), np.arange(90, 200), np.arange(200, 240)]
    folds = [(np.setdiff1d(np.arange(240), t), t) for t in tests]
    found = held_out_errors(model, samples.target, folds, 4, 0.0)
    for test in tests:
        slow = Slow(terms, sizes, samples.target, samples.weight, ~np.isin(np.arange(240), test), model.ratios)
        for _ in range(4):
            slow.one_pass()
        np.testing.assert_allclose(found[test], (slow.residual[test] ** 2).sum(axis=1), atol=1e-9)
    settled = held_out_errors(model, samples.target, folds, 1_000, 0.0)
    sooner = held_out_errors(model, samples.target, folds, 1_000, 1e-4)
    assert 0 < abs(sooner.mean() - settled.mean()) < 0.01 * settled.mean()


@pytest.mark.parametrize(("strength", "kept"), [(0.0, False), (0.45, True)])
def test_folds_decide_where_validation_rows_do_not_tell(strength, kept):
    """Fifty rows are too few, five hundred are not; of nothing, no folds make something."""
    samples = rows(n=500, n_targets=1, strength=strength, seed=2)
    validation, settings = np.arange(4, 500, 10), PassSettings(max_iter=9, early_stopping=True)
    folds = [(np.flatnonzero(np.arange(500) % 5 != k), np.arange(k, 500, 5)) for k in range(5)]
    alone, _ = learn_interactions(samples, [(0, 1)], None, validation, settings, Run(0))
    asked, _ = learn_interactions(samples, [(0, 1)], None, validation, settings, Run(0), None, folds)
    assert not alone.cells
    assert bool(asked.cells) == kept


def test_folds_of_many_rows_are_not_asked(monkeypatch):
    monkeypatch.setattr(_interaction_learning, "MAX_ASKED_ROWS", 499)
    test_folds_decide_where_validation_rows_do_not_tell(0.45, False)


def test_what_may_be_worth_it():
    before, weight = np.ones(400), np.ones(400)
    spread = np.where(np.arange(400) % 2, 1.0, -1.0)  # its mean has the error 1/20
    assert may_be_worth_it(before, before + 0.089 - spread, weight)
    assert not may_be_worth_it(before, before + 0.091 - spread, weight)
    assert not may_be_worth_it(before, before - 0.0099, weight)  # sure enough, and too little
    of_groups = np.arange(400) // 4 * 2  # pairs of opposite signs add up to nothing
    assert not may_be_worth_it(before, before + 0.01 - spread, weight, of_groups)


def test_held_out_rows_of_few_groups_bear_out_little():
    """Rows of a group gain or lose together: of two held-out groups one may gain by chance."""
    samples = rows(n=2400, n_targets=1)
    groups = np.arange(2400) // 600
    target = np.where(groups[:, None] == 3, 0.5, 1.0) * samples.target  # the last group gains nothing
    validation = np.flatnonzero(groups >= 2)
    samples = Samples(samples.ids, SIZES, samples.numeric, target, samples.weight)
    settings = PassSettings(max_iter=9, early_stopping=True)
    for together, kept in ((None, True), (groups, False)):
        found, _ = learn_interactions(samples, [(0, 1)], None, validation, settings, Run(0), together)
        assert bool(found.cells) == kept
