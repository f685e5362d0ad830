"""Steps of `EntityEmbeddingEncoder.fit`, each beside a loop over rows and levels, or worked out by hand."""

import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    LeaveOneGroupOut,
    LeaveOneOut,
    StratifiedGroupKFold,
    StratifiedKFold,
    TimeSeriesSplit,
)

from skembed import CooccurrenceEncoder, EntityEmbeddingEncoder
from skembed.categorical import _effects, _interaction_screening, _partial
from skembed.categorical._dims import RULES, cut, hidden_dim, resolve_dims
from skembed.categorical._effects import Effects, Prior, VarianceRatios, crossed_ratios, sampled_rows, solve_effects
from skembed.categorical._folds import are_random, last_folds, make_folds, n_folds_at_least
from skembed.categorical._interaction_learning import cells_of, is_worth_it
from skembed.categorical._interaction_screening import numeric_bins, screen_pairs, without_bins
from skembed.categorical._interactions import Cells, Interactions, combinations_of, packed, principal_axes, unpacked
from skembed.categorical._layout import (
    Gain,
    _Dimension,
    contrast_gain,
    differ,
    directions,
    faint_columns,
    gain_of,
    is_gain,
    least_dimensions,
    spreads,
)
from skembed.categorical._learn import (
    as_read,
    assemble,
    columns_of_few_levels,
    hold_out,
    own_shares,
    unit_scale,
    within,
)
from skembed.categorical._numeric import NumericScaler
from skembed.categorical._parameters import check_settings
from skembed.categorical._problem import Layout, Problem, RowVectors
from skembed.categorical._recent import _is_settled
from skembed.categorical._samples import Samples
from skembed.categorical._setup import Schema, carry_over, initial_vectors, learnable_rows, predict_memory, stacked
from skembed.training.level_net import NetPart

RNG = np.random.default_rng(0)


def layout(n_targets=1, crossed=1, marginal=0, net=0, width=None):
    width = crossed + marginal + net if width is None else width
    axes = np.eye(n_targets, max(crossed, marginal))
    return Layout(
        axes[:, :crossed],
        axes[:, :marginal],
        np.arange(net),
        np.arange(width),
        np.full(width, -1.0),
        np.full(width, 1.0),
    )


class TestDimensions:
    @pytest.mark.parametrize(
        ("rule", "n_levels", "expected"),
        [
            ("auto", 10, None),
            ("fourth_root", 1, 1),
            ("fourth_root", 16, 2),
            ("fourth_root", 17, 3),
            ("fourth_root", 0, 1),
            ("fastai", 0, 1),
            ("fastai", 1, 2),
            ("fastai", 10, 6),
            ("fastai", 10**6, 600),
            (7, 3, 7),
            (np.int32(2), 3, 2),
            (lambda n: n + 1, 4, 5),
            (lambda n: min(50, (n + 1) // 2), 0, 1),
        ],
    )
    def test_rules(self, rule, n_levels, expected):
        assert resolve_dims(rule, ["a", "b"], [n_levels, n_levels]) == [expected, expected]
        assert resolve_dims({"b": rule}, ["a", "b"], [n_levels, n_levels]) == [None, expected]
        assert type(resolve_dims(rule, ["a"], [n_levels])[0]) in (int, type(None))

    @pytest.mark.parametrize(
        ("rule", "message"),
        [
            (
                "third_root",
                r"embedding_dim for column 'a' is 'third_root'; expected an int or one of \['auto', 'fastai'",
            ),
            (0, "embedding_dim for column 'a' is 0; expected an int of at least 1, one of "),
            (True, "embedding_dim for column 'a' is True; expected an int of at least 1"),
            (2.0, "embedding_dim for column 'a' is 2.0; expected"),
            (lambda n: 0, "embedding_dim for column 'a' is 0; ex"),
            (lambda n: "auto", "for column 'a' is 'auto'; expected an int of at least 1"),
            ({"c": 3}, r"names columns that are not categorical columns of X: \['c'\]; they are \['a', 'b'\]"),
            ({"b": -1}, "embedding_dim for column 'b' is -1; expected"),
        ],
    )
    def test_rules_that_are_none(self, rule, message):
        with pytest.raises(ValueError, match=message):
            resolve_dims(rule, ["a", "b"], [5, 5])

    def test_cut(self):
        rows = np.arange(6, dtype=np.float32).reshape(2, 3)
        assert cut(rows, None) is rows
        assert cut(rows, 3) is rows
        assert cut(rows, 2).tolist() == [[0, 1], [3, 4]]
        assert cut(rows, 2).flags.c_contiguous
        assert cut(rows, 5).tolist() == [[0, 1, 2, 0, 0], [3, 4, 5, 0, 0]]
        assert cut(rows, 5).dtype == np.float32

    def test_of_a_net(self):
        assert [hidden_dim(n) for n in (0, 1, 2, 3, 4, 5, 8, 9, 16, 17, 1000)] == [1, 1, 1, 2, 2, 4, 4, 8, 8, 8, 8]
        assert set(RULES) == {"auto", "fourth_root", "fastai"}


class TestFolds:
    Y = np.repeat([0, 1], [12, 8])[:, None]

    def folds(self, cv, rows=None, groups=None, y=None, stratify=False, seed=0):
        y = self.Y if y is None else y
        rows = np.arange(len(y)) if rows is None else rows
        return make_folds(cv, y, rows, groups, stratify=stratify, rng=np.random.RandomState(seed))

    @pytest.mark.parametrize(("cv", "n_folds"), [(None, 5), (3, 3), (np.int64(4), 4), (100, 20), (KFold(2), 2)])
    @pytest.mark.parametrize("left_out", [[], [3, 19]])
    def test_each_row_is_held_out_once(self, cv, n_folds, left_out):
        rows = np.setdiff1d(np.arange(20), left_out)
        folds = self.folds(cv, rows)
        assert len(folds) == min(n_folds, len(rows))
        assert sorted(np.concatenate([test for _, test in folds]).tolist()) == list(range(len(rows)))
        for train, test in folds:
            assert sorted([*train, *test]) == list(range(len(rows)))

    @pytest.mark.parametrize(
        ("cv", "n_folds"),
        [(None, 5), (3, 3), (np.int64(4), 4), (100, 18), (KFold(7), 7), (LeaveOneOut(), 20), (LeaveOneGroupOut(), 4),
         ([(np.arange(10), np.arange(10, 20)), (np.arange(10, 20), np.arange(10))], 2)],
    )  # fmt: skip
    def test_how_many_there_will_be_is_known_before(self, cv, n_folds):
        rows, groups = np.arange(2, 20), np.arange(20) // 5 if isinstance(cv, LeaveOneGroupOut) else None
        assert n_folds_at_least(cv, rows, 20, groups) == len(self.folds(cv, rows, groups)) == n_folds

    def test_at_least_so_many(self):
        assert n_folds_at_least(TimeSeriesSplit(3), np.arange(20), 20, None) == len(self.folds(TimeSeriesSplit(3))) - 5
        assert n_folds_at_least(iter([]), np.arange(20), 20, None) == 1

    def test_classes_are_stratified_where_they_are_large_enough(self):
        for _, test in self.folds(4, stratify=True):
            assert self.Y[test, 0].tolist().count(1) == 2
        assert any({self.Y[test, 0].sum() for _, test in self.folds(4, seed=seed)} != {2} for seed in range(3))
        assert len(self.folds(9, stratify=True)) == 9  # more than rows of a class
        assert {self.Y[test, 0].sum() for _, test in self.folds(8, stratify=True)} == {1}

    def test_the_seed_shuffles(self):
        one, same, other = (self.folds(4, seed=seed)[0][1].tolist() for seed in (0, 0, 1))
        assert one == same != other
        assert one != list(range(5))
        rng = np.random.RandomState(0)
        make_folds(4, self.Y, np.arange(20), None, stratify=False, rng=rng)
        expected = np.random.RandomState(0)
        expected.randint(2**31 - 1)
        assert rng.randint(100) == expected.randint(100)  # one number is drawn

    def test_a_splitter_speaks_of_all_rows(self):
        groups = np.arange(20) // 5
        folds = self.folds(GroupKFold(4), np.arange(2, 20), groups)
        assert sorted(len(test) for _, test in folds) == [3, 5, 5, 5]
        for train, test in folds:
            assert not set(groups[2:][train]) & set(groups[2:][test])
        with pytest.raises(ValueError, match="inconsistent numbers of samples"):
            self.folds(3, groups=groups[:-1])

    @pytest.mark.parametrize(("n_splits", "n_rows", "n_first"), [(3, 20, 5), (2, 6, 2), (2, 3, 0)])
    def test_rows_before_the_first_test_of_a_series_are_held_out_among_themselves(self, n_splits, n_rows, n_first):
        y = np.zeros((n_rows, 1))
        if n_rows == 3:  # a single row before: nothing could be held out of it
            with pytest.raises(ValueError, match=r"TimeSeriesSplit\(.*holds row 0 out 0 times; expected a splitter"):
                self.folds(TimeSeriesSplit(n_splits), y=y)
            return
        folds = self.folds(TimeSeriesSplit(n_splits), y=y)
        first = n_rows - n_splits * (n_rows // (n_splits + 1))
        assert len(folds) == min(5, first) + n_splits
        for train, test in folds[: min(5, first)]:
            assert sorted([*train, *test]) == list(range(first))
        assert all(max(train) < min(test) for train, test in folds[min(5, first) :])
        shuffled = [test.tolist() for _, test in self.folds(TimeSeriesSplit(3), seed=0)[:5]]
        assert shuffled != [[row] for row in range(5)]

    @pytest.mark.parametrize(
        ("cv", "message"),
        [
            (
                [(np.arange(10), np.arange(10, 19))],
                r"cv=\[.* holds row 0 out 0 times; expected a splitter that holds every",
            ),
            ([(np.arange(20), np.arange(20))] * 2, r"\.\.\. holds row 0 out 2 times; .*TimeSeriesSplit"),
            ([(np.arange(20), np.arange(21))], r"does not give splits of 20 rows \(index 20 is out of bounds"),
            ([3, 4], r"cv=\[3, 4\] does not give splits of 20 rows \("),
            (
                [(np.arange(0), np.arange(20))],
                "leaves no rows to learn from in one of its folds; use fewer folds or more",
            ),
            (1, "k-fold cross-validation requires at least one train/test split|at least"),
        ],
    )
    def test_splits_that_are_none(self, cv, message):
        with pytest.raises(ValueError, match=message) as caught:
            self.folds(cv)
        assert len(str(caught.value)) < 400
        assert len(self.folds(LeaveOneOut())) == 20


class TestNumbers:
    def test_scaled_by_quartiles_centered_by_the_median(self):
        values = np.array([1.0, 2, 3, 4, 100, np.nan])
        other = np.array([5.0, 5, 5, 5, 5, 8])
        scaler = NumericScaler([values, other, np.full(6, np.nan), np.full(6, 2.0)])
        low, middle, high = np.quantile([1, 2, 3, 4, 100], [0.25, 0.5, 0.75]) / 2
        assert scaler.center == [middle, 2.5, 0.0, 1.0]
        assert scaler.width == [high - low, np.std(other / 2), 1.0, 1.0]
        assert scaler.flagged == [True, False, True, False]
        assert scaler.names(["a", "b", "c", "d"]) == ["a", "a", "b", "c", "c", "d"]
        rows = scaler.apply(
            [np.array([3.0, 4, 1e9, np.nan]), np.full(4, 5.0), np.array([0, 1, -1e9, 2.0]), np.full(4, 3.0)], 4
        )
        assert rows.tolist() == [
            [0, 0, 0, 0, 0, 0.5],
            [0.5 / (high - low), 0, 0, 0.5, 0, 0.5],
            [10, 0, 0, -10, 0, 0.5],
            [0, 1, 0, 1, 0, 0.5],
        ]
        assert NumericScaler([]).apply([], 3).shape == (3, 0)

    @given(st.lists(st.tuples(st.sampled_from([-3.1, 0.0, 0.1, 0.7, 2.3, np.nan]), st.integers(1, 4)), min_size=1))
    @settings(max_examples=60, deadline=None)
    def test_whole_weights_count_as_repeated_rows(self, rows):
        values, weight = np.array(rows).T
        one, other = NumericScaler([values], weight), NumericScaler([np.repeat(values, weight.astype(int))])
        assert one.center == pytest.approx(other.center, abs=1e-14)
        assert one.width == pytest.approx(other.width, abs=1e-14)
        assert one.flagged == other.flagged

    @pytest.mark.filterwarnings("error")
    def test_numbers_of_any_size_stay_finite(self):
        huge = np.array([-1.7e308, 1.7e308, np.inf, -np.inf, 0.0])
        scaler = NumericScaler([huge, np.full(5, 1e308), np.array([-1.7e308] * 2 + [1.7e308] * 3)])
        assert np.isfinite(scaler.center + scaler.width).all()
        weighted = NumericScaler([huge, np.full(5, 1e308), np.full(5, np.inf)], np.array([1.0, 2, 3, 4, 5]))
        assert np.isfinite(weighted.width).all()
        rows = scaler.apply([huge, huge, huge], 5)
        assert np.isfinite(rows).all()
        assert np.abs(rows).max() <= 10

    @given(st.lists(st.floats(-5, 5) | st.sampled_from([0.0, 1.0]), min_size=1, max_size=60))
    @settings(max_examples=60, deadline=None)
    def test_bins_hold_about_as_many_rows_each(self, values):
        column = np.array(values)
        bins, edges = numeric_bins(column[:, None])
        assert bins.dtype == np.int32
        expected = [1 + sum(value >= edge for edge in edges[0]) for value in values]
        assert bins[:, 0].tolist() == expected
        assert edges[0].tolist() == sorted(set(np.quantile(column, np.arange(1, 8) / 8).tolist()))
        again, same = numeric_bins(column[:, None] + 1, edges)
        assert same is edges
        assert (again >= bins).all()
        assert numeric_bins(np.empty((4, 0)))[0].shape == (4, 0)


class TestEffects:
    SIZES = (5, 4)

    def samples(self, n=60, n_numeric=2, n_targets=2, seed=0):
        rng = np.random.default_rng(seed)
        ids = np.stack([rng.integers(size, size=n) for size in self.SIZES], axis=1).astype(np.int32)
        weight = rng.uniform(0.5, 2, n)
        return Samples(
            ids, list(self.SIZES), rng.standard_normal((n, n_numeric)), rng.standard_normal((n, n_targets)), weight
        )

    @pytest.mark.parametrize("n_numeric", [0, 2])
    def test_variances_are_those_of_loops(self, n_numeric):
        samples = self.samples(n_numeric=n_numeric)
        found, residual = crossed_ratios(samples)
        weight, total = samples.weight, samples.weight.sum()
        rest = samples.target - weight @ samples.target / total
        effects = [np.zeros((size, 2)) for size in self.SIZES]
        noise, variance, slope = 1.0, [0.5, 0.5], np.zeros((n_numeric, 2))
        gram = sum((w * np.outer(x, x) for w, x in zip(weight, samples.numeric)), np.zeros((n_numeric, n_numeric)))
        for _ in range(_effects.N_VARIANCE_ITER):
            uncertainty = 0.0
            if n_numeric:
                right = sum(w * np.outer(x, r) for w, x, r in zip(weight, samples.numeric, rest)) - 1e-6 * total * slope
                change = np.linalg.solve(gram + 1e-6 * total * np.eye(n_numeric), right)
                slope, rest = slope + change, rest - samples.numeric @ change
            for c, size in enumerate(self.SIZES):
                ratio, squares, n_seen = noise / variance[c], 0.0, 0
                for level in range(size):
                    mine = samples.ids[:, c] == level
                    count = weight[mine].sum()
                    rest[mine] += effects[c][level]
                    effects[c][level] = weight[mine] @ rest[mine] / (count + ratio)
                    rest[mine] -= effects[c][level]
                    posterior = noise / (count + ratio)
                    if count > 0:
                        squares += (effects[c][level] ** 2).mean() + posterior
                        n_seen += 1
                    uncertainty += posterior * count / total
                variance[c] = max(squares / n_seen, _effects.MIN_VARIANCE)
            noise = weight @ (rest**2).mean(axis=1) / total + uncertainty
        np.testing.assert_allclose(found, noise / np.array(variance), rtol=1e-6)
        np.testing.assert_allclose(residual, rest, atol=1e-8)

    def test_what_earlier_rows_have_told_is_a_prior_of_as_many_rows(self, monkeypatch):
        monkeypatch.setattr(_effects, "SOLVE_TOL", 1e-12)
        monkeypatch.setattr(_effects, "MAX_SOLVE_ITER", 2000)
        samples = self.samples()
        ratios = VarianceRatios(np.array([3.0, 7.0]), np.array([2.0, 5.0]))
        rng = np.random.default_rng(7)
        old = Effects(
            [rng.normal(size=(s, 2)) for s in self.SIZES],
            [rng.normal(size=(s, 2)) for s in self.SIZES],
            rng.normal(size=(2, 2)),
        )
        counts = [rng.integers(1, 30, size).astype(float) for size in self.SIZES]
        (found,) = solve_effects(samples, ratios, prior=Prior(old, counts))
        Z = np.hstack([np.eye(5)[samples.ids[:, 0]], np.eye(4)[samples.ids[:, 1]], samples.numeric])
        n_earlier = sum(c.sum() for c in counts) / 2
        numeric = np.full(2, 1e-6 * samples.weight.sum() + n_earlier)
        penalty = np.concatenate([np.repeat(ratios.crossed, self.SIZES) + np.concatenate(counts), numeric])
        before = np.concatenate([*old.crossed, old.numeric])
        W = samples.weight[:, None]
        change = np.linalg.solve(Z.T @ (W * Z) + np.diag(penalty), Z.T @ (W * (samples.target - Z @ before)))
        expected = before + change
        np.testing.assert_allclose(found.crossed[0], expected[:5], atol=1e-7)
        np.testing.assert_allclose(found.crossed[1], expected[5:9], atol=1e-7)
        np.testing.assert_allclose(found.numeric, expected[9:], atol=1e-7)
        for c, size in enumerate(self.SIZES):
            for level in range(size):
                mine = samples.ids[:, c] == level
                sums = (
                    old.marginal[c][level] * (counts[c][level] + ratios.marginal[c])
                    + samples.weight[mine] @ samples.target[mine]
                )
                mean = sums / (samples.weight[mine].sum() + counts[c][level] + ratios.marginal[c])
                np.testing.assert_allclose(found.marginal[c][level], mean, atol=1e-9)

    def test_a_few_numbers_are_learned_from_some_of_very_many_rows(self, monkeypatch):
        monkeypatch.setattr(_effects, "MAX_VARIANCE_ROWS", 30)
        assert sampled_rows(30, np.random.RandomState(0)).tolist() == list(range(30))
        rows = sampled_rows(31, np.random.RandomState(0))
        assert len(set(rows.tolist())) == 30
        assert rows.tolist() == sorted(rows.tolist())
        assert rows.tolist() != sampled_rows(31, np.random.RandomState(3)).tolist()
        samples = self.samples()
        model = _effects.EffectsModel(samples, np.random.RandomState(0))
        assert model.residual.shape == (30, 2)
        some = samples.take(model.sampled)
        np.testing.assert_array_equal(model.ratios.crossed, crossed_ratios(some)[0])

    @pytest.mark.parametrize("n_iter", [1, 2, 3])
    def test_the_variance_of_one_column_is_that_of_loops(self, monkeypatch, n_iter):
        monkeypatch.setattr(_effects, "N_VARIANCE_ITER", n_iter)
        samples = self.samples()
        ids, weight, total = samples.ids[:, 0] % 3 + 1, samples.weight, samples.weight.sum()  # levels 0 and 4 of no row
        centered = samples.target - weight @ samples.target / total
        noise = variance = 1.0
        for _ in range(n_iter):
            squares, explained, uncertainty = [], 0.0, 0.0
            for level in (1, 2, 3):
                mine = ids == level
                count, sums = weight[mine].sum(), weight[mine] @ centered[mine]
                posterior = noise / (count + noise / variance)
                effect = sums / (count + noise / variance)
                squares.append((effect**2).mean() + posterior)
                explained += (2 * effect * sums - count * effect**2).sum() / (2 * total)
                uncertainty += posterior * count / total
            variance = np.mean(squares)
            noise = weight @ (centered**2).mean(axis=1) / total - explained + uncertainty
        assert _effects.marginal_ratio(ids, 5, samples.target, weight) == pytest.approx(noise / variance)

    @pytest.mark.parametrize("numeric", [np.zeros((2, 2)), np.zeros(1), np.zeros((1, 1, 1))])
    def test_states_of_another_shape_are_refused(self, numeric):
        state = {"crossed": [np.zeros((3, 1))], "marginal": [np.zeros((3, 1))], "numeric": np.zeros((0, 1))}
        Effects.__new__(Effects).__setstate__(state)
        with pytest.raises(
            ValueError, match=r"expected effects of shape \(n, n_targets\), got \[\(3, 1\), \(3, 1\), \("
        ):
            Effects.__new__(Effects).__setstate__(state | {"numeric": numeric})

    def test_rounded_keeps_the_coefficients_of_numbers(self):
        made = Effects([np.full((2, 1), 0.1)], [np.full((2, 1), 0.2)], np.full((1, 1), 0.3))
        rounded = made.rounded()
        assert rounded.crossed[0].dtype == rounded.marginal[0].dtype == np.float32
        assert rounded.marginal[0][0] == np.float32(0.2)
        assert rounded.numeric is made.numeric


class TestLayout:
    def test_a_gain_is_a_share_and_standard_errors(self):
        values, weight = np.array([[1.0, 2], [0, 4], [-1, 0]]), np.array([1.0, 2, 1])
        rows = [3.0, 4, -1]
        mean = (3 + 8 - 1) / 4
        error = np.sqrt(sum(w**2 * (row - mean) ** 2 for w, row in zip(weight, rows))) / 4
        assert gain_of(values, weight, 5.0) == pytest.approx(Gain(mean / 5, mean / error))
        assert gain_of(np.zeros((3, 1)), weight, 5.0) == Gain(0.0, 0.0)
        together = np.sqrt(((3 - mean) + (-1 - mean)) ** 2 + (2 * (4 - mean)) ** 2) / 4  # of the first row and the last
        groups = np.array([0, 1, 0])
        assert gain_of(values, weight, 5.0, groups) == pytest.approx(Gain(mean / 5, mean / together))
        assert gain_of(values, weight, 5.0, np.zeros(3, dtype=np.int64)) == gain_of(values, weight, 5.0)

    @pytest.mark.parametrize(
        ("share", "errors", "expected"), [(1e-4, 3, False), (2e-4, 3, True), (0.5, 0.0, False), (0.5, 1e-9, True)]
    )
    def test_what_held_out_rows_bear_out(self, share, errors, expected):
        assert is_gain(Gain(share, errors)) == expected

    @pytest.mark.parametrize("n_targets", [1, 2])
    def test_two_levels_are_compared_by_a_t_statistic(self, n_targets):
        ids, weight = np.array([1, 2, 1, 2, 2, 1])[:, None], np.array([1.0, 2, 1, 1, 1, 2])
        target = RNG.normal(size=(6, n_targets))
        masses = weight[ids[:, 0] == 1].sum(), weight[ids[:, 0] == 2].sum()
        means = [np.average(target[ids[:, 0] == level], axis=0, weights=weight[ids[:, 0] == level]) for level in (1, 2)]
        t = ((means[0] - means[1]) ** 2).sum() / 2.5 / (1 / masses[0] + 1 / masses[1])
        problem = SimpleNamespace(ids=ids, weight=weight, groups=None)
        assert contrast_gain(problem, target, 0, 2.5) == pytest.approx(Gain((t - 1) / 8, (t - 1) / (2 * np.sqrt(t))))
        assert contrast_gain(problem, 0 * target, 0, 2.5).errors < 0
        problem.groups = np.array([0, 0, 1, 1, 2, 2])
        of_groups = np.zeros((3, n_targets))
        for row in range(6):
            level = ids[row, 0] - 1
            share = weight[row] / masses[level] * (-1) ** level
            of_groups[problem.groups[row]] += share * (target[row] - means[level])
        error = (of_groups**2).sum()
        squared = ((means[0] - means[1]) ** 2).sum()
        explained = (squared - error) * masses[0] * masses[1] / 8**2 / 2.5  # of the variance between the levels
        t = squared / error
        assert contrast_gain(problem, target, 0, 2.5) == pytest.approx(Gain(explained, (t - 1) / (2 * np.sqrt(t))))
        assert contrast_gain(problem, 0 * target, 0, 2.5).errors < 0

    def test_effects_differ_unless_they_are_much_the_same(self):
        counts, one = np.array([4.0, 1, 2]), np.array([[1.0], [2], [-1]])
        assert not differ(one, 3 * one, counts)
        assert not differ(one, -one, counts)
        assert differ(one, np.array([[1.0], [-2], [-1]]), counts)
        assert differ(np.zeros((3, 1)), one, counts)
        a, b = np.array([1.0, 0]), np.array([3.0, 1.0])  # a squared correlation of 0.9, but for the digits
        for factor, expected in ((0.99, False), (1.01, True)):
            assert differ(a[:, None], (b * [1, factor])[:, None], np.ones(2)) == expected

    def test_spreads_are_variances_over_rows(self):
        rows, counts = np.array([[1.0, 0], [3, 5], [2, -1]]), np.array([2, 1, 1])
        repeated = np.repeat(rows, counts, axis=0)
        np.testing.assert_allclose(spreads(rows, counts), repeated.var(axis=0))
        assert spreads(rows, np.zeros(3)).tolist() == [0, 0]

    @pytest.mark.parametrize("n_directions", [1, 2, 5])
    def test_directions_are_principal_axes_with_a_sign(self, n_directions):
        table, counts = RNG.normal(size=(7, 3)) * [3, 1, 0.2], np.array([3.0, 1, 4, 1, 5, 0, 2])
        found = directions(table, counts, n_directions)
        assert found.shape == (3, min(n_directions, 3))
        repeated = np.repeat(table, counts.astype(int), axis=0)
        _, vectors = np.linalg.eigh(np.cov(repeated.T, bias=True))
        np.testing.assert_allclose(np.abs(found), np.abs(vectors[:, ::-1][:, :n_directions]), atol=1e-9)
        assert (found[np.abs(found).argmax(axis=0), np.arange(found.shape[1])] > 0).all()
        assert directions(table, np.zeros(7), 1).shape == (3, 1)

    def test_as_many_marginal_directions_as_crossed_ones_or_one(self):
        rng = np.random.default_rng(0)
        first = rng.integers(1, 7, 900)
        second = np.where(rng.random(900) < 0.6, (first + 1) % 6 + 1, rng.integers(1, 7, 900))  # says much of the same
        effects = [rng.normal(size=(7, 3)) * [3, 2, 1] for _ in range(2)]
        y = effects[0][first] + effects[1][second] + 0.3 * rng.normal(size=(900, 3))
        X = np.stack([first, second], axis=1).astype(str)
        layouts = EntityEmbeddingEncoder(random_state=0, max_iter=0).fit(X, y)._learned.layouts
        widths = [(one.crossed.shape[1], one.marginal.shape[1]) for one in layouts]
        assert all(1 < marginal <= crossed for crossed, marginal in widths)
        assert all(len(one.order) == crossed + marginal for one, (crossed, marginal) in zip(layouts, widths))

    def test_the_least_dimensions_are_left_out(self):
        def dropped(*dimensions):
            return least_dimensions([_Dimension(*one, is_sure=False) for one in dimensions])

        assert dropped((0, False, 0, 1.0, 1.0), (0, False, 1, 0.5, 0.5)) == set()
        # of all, what together may hold a two hundredth
        assert dropped((0, False, 0, 100.0, 100.0), (1, False, 0, 0.3, 0.3), (2, True, 0, 0.15, 0.15)) == {
            (1, False, 0),
            (2, True, 0),
        }
        assert dropped((0, False, 0, 100.0, 100.0), (1, False, 0, 0.3, 0.3), (2, True, 0, 0.25, 0.25)) == {(2, True, 0)}
        # judged by what it may hold
        assert dropped((0, False, 0, 100.0, 100.0), (1, False, 0, 0.1, 0.6)) == set()
        assert least_dimensions([]) == set()

    def test_what_is_sure_is_not_left_out_and_does_not_stand_for_the_others(self):
        def dropped(is_sure):
            sizes = [100.0, 0.3, 0.25]
            return least_dimensions([_Dimension(c, False, 0, s, s, is_sure and c == 2) for c, s in enumerate(sizes)])

        assert dropped(False) == {(2, False, 0)}
        assert dropped(True) == {(1, False, 0)}

    def test_columns_that_are_sure_and_faint(self):
        def faint(*spreads):
            return faint_columns([_Dimension(c, False, 0, s, s, is_sure=c > 0) for c, s in enumerate(spreads)])

        assert faint(100.0, 0.3, 0.25) == {2}
        assert faint(100.0, 0.3, 0.9) == {1}
        assert faint(0.0, 2e-4, 0.9e-4) == {2}  # of the target's variance
        assert faint(0.0, 0.4, 0.25) == set()


def small_problem(**changes):
    ids = np.array([[1, 0], [2, 1], [1, 1], [3, 1], [2, 2], [1, 2]], dtype=np.int32)
    counts = [np.array([0.0, 3, 2, 1]), np.array([1.0, 3, 2])]
    folds = [
        (np.array([2, 3, 4, 5]), np.array([0, 1])),
        (np.array([0, 1, 4, 5]), np.array([2, 3])),
        (np.arange(4), np.array([4, 5])),
    ]
    parts = {
        "ids": ids,
        "counts": counts,
        "numeric": np.empty((6, 0)),
        "standardised": np.zeros((6, 1)),
        "axes": None,
        "coded": np.zeros((6, 0)),
        "weight": np.ones(6),
        "target": None,
        "initial": [np.zeros((4, 0)), np.zeros((3, 0))],
        "warm_start": [],
        "from_init": set(),
        "frozen": set(),
        "folds": folds,
    }
    return Problem(**(parts | changes))


class TestLearning:
    def test_rows_of_folds(self):
        assert small_problem().include().tolist() == [[0, 1, 1], [0, 1, 1], [1, 0, 1], [1, 0, 1], [1, 1, 0], [1, 1, 0]]
        assert small_problem().include().dtype == np.uint8
        assert stacked([np.array([1, 2]), np.array([3, 4])], 2).tolist() == [[1, 3], [2, 4]]
        assert stacked([], 5).shape == (5, 0)
        assert stacked([], 5).dtype == stacked([np.arange(3)], 3).dtype == np.int32

    def test_tables_stand_side_by_side_in_their_order(self):
        effects = Effects([np.array([[1.0, 2], [3, 4]])], [np.array([[10.0, 20], [30, 40]])], np.empty((0, 2)))
        net = [np.array([[5.0, 6, 7], [8, 9, 11]])]
        one = Layout(
            np.array([[1.0], [1]]), np.array([[0.0], [1]]), np.array([2, 0]), np.array([2, 0, 3, 1]), None, None
        )
        (table,) = assemble(effects, net, [one])
        assert table.dtype == np.float32
        np.testing.assert_allclose(table, [[7, 3, 5, 6], [11, 7, 8, 12]], rtol=1e-6)

    @pytest.mark.parametrize("crossed", [0, 1])
    def test_own_shares(self, crossed):
        ratios = VarianceRatios(np.array([4.0, 0.5]), np.array([9.0, 0.25]))
        counts = np.array([0.0, 1, 10, 89])
        found = own_shares(counts, 100.0, ratios, layout(crossed=crossed, marginal=1), 0)
        ratio = 4.0 if crossed else 9.0
        expected = [(1 - n / 100) * ratio / n if n else np.inf for n in counts]
        np.testing.assert_allclose(found[1:], expected[1:])
        assert found[0] > 1e100
        assert own_shares(np.array([10.0]), 100.0, ratios, layout(crossed=crossed), 1) == pytest.approx(
            0.09
        )  # 1 at least
        assert np.isfinite(own_shares(np.array([0.0]), 0.0, ratios, layout(), 0)).all()

    def test_held_out_rows_by_a_loop(self):
        """Rows of rare levels get their fold's vector, the unknown one's where other folds do not show the level."""
        problem = small_problem(counts=[np.array([0.0, 3, 2, 1]), np.array([1.0, 3, 2])])
        tables = [np.arange(4.0)[:, None] + 100, np.arange(3.0)[:, None] + 200]
        folds = [[np.arange(4.0)[:, None] + 10 * k, np.arange(3.0)[:, None] - 10 * k] for k in (1, 2, 3)]
        ratios = VarianceRatios(np.array([0.09, 5.0]), np.array([1.0, 1.0]))
        layouts = [layout(), layout()]
        for from_init, frozen in ((set(), set()), ({0}, set()), ({0}, {0}), ({1}, {0})):
            problem = replace(problem, from_init=from_init, frozen=frozen)
            rows = [table[ids] for table, ids in zip(tables, problem.ids.T)]
            codes = hold_out(problem, rows, tables, folds, layouts, ratios)
            for c in (0, 1):
                if c in from_init and c in frozen:
                    assert rows[c].tolist() == tables[c][problem.ids[:, c]].tolist()
                    assert codes[c].tolist() == problem.ids[:, c].tolist()
                    continue
                counts = problem.counts[c]
                shares = own_shares(counts, counts.sum(), ratios, layouts[c], c)
                for k, (train, test) in enumerate(problem.folds):
                    for row in test:
                        level = problem.ids[row, c]
                        if shares[level] <= 0.05:
                            expected, code = tables[c][level, 0], level
                        else:
                            seen = level in problem.ids[train, c]
                            at = level if seen or c in from_init else 0
                            expected, code = folds[k][c][at, 0], level + (k + 1) * len(tables[c])
                        assert rows[c][row, 0] == expected
                        assert codes[c][row] == code

    def test_a_column_of_two_levels_holds_nothing_out(self):
        ids = np.array([[1], [2], [1], [2]], dtype=np.int32)
        folds = [(np.array([2, 3]), np.array([0, 1])), (np.array([0, 1]), np.array([2, 3]))]
        problem = small_problem(ids=ids, counts=[np.array([0.0, 2, 2])], folds=folds, initial=[np.zeros((3, 0))])
        table, ratios = [np.array([[0.0], [1], [2]])], VarianceRatios(np.ones(1), np.ones(1))
        of_folds = [[np.full((3, 1), 7.0)], [np.full((3, 1), 8.0)]]
        rows = [table[0][ids[:, 0]]]
        hold_out(problem, rows, table, of_folds, [layout()], ratios)
        assert rows[0].ravel().tolist() == [1, 2, 1, 2]
        rows = [table[0][ids[:, 0]]]
        hold_out(problem, rows, table, of_folds, [layout(crossed=0, net=1)], ratios)
        assert rows[0].ravel().tolist() == [1, 2, 1, 2]
        rows = [table[0][ids[:, 0]]]
        hold_out(replace(problem, from_init={0}), rows, table, of_folds, [layout(crossed=0, net=1)], ratios)
        assert rows[0].ravel().tolist() == [7, 7, 8, 8]  # a table that was given may know more

    def test_columns_of_few_levels_are_not_held_out(self):
        """The fewest first, as long as all together cost no more than a hundredth of the rows."""
        n_affected = [4, 0, 5, 40, 2, 3]
        shares = [np.where(np.arange(60) < n, 0.06, 0.04) for n in n_affected]
        counts = [np.ones(60)] * 6
        counts[4] = np.where(np.arange(60) < 2, 1.0, 0)  # two levels cost nothing
        shares[5][50:], counts[5] = 0.06, np.where(np.arange(60) < 50, 1.0, 0)  # nor do levels without rows

        def kept(n_rows, **changes):
            return columns_of_few_levels(small_problem(counts=counts, weight=np.full(4, n_rows / 4), **changes), shares)

        assert kept(100) == {1, 4}
        assert kept(300) == {1, 4, 5}
        assert kept(700) == {0, 1, 4, 5}
        assert kept(1199) == {0, 1, 4, 5}
        assert kept(1200) == {0, 1, 2, 4, 5}
        assert kept(1e6) == {0, 1, 2, 4, 5}  # of very many levels, a tree gains too much by one split
        assert kept(1e6, random_folds=False) == {1, 4}
        assert kept(1e6, from_init={0, 1}) == {2, 4, 5}

    @pytest.mark.parametrize(
        ("fraction", "expected"), [(0.01, [3, 9]), (0.2, [3, 9]), (0.26, [2, 3, 8, 9]), (0.5, [1, 2, 3, 7, 8, 9]),
                                   (0.99, [0, 1, 2, 3, 6, 7, 8, 9])],
    )  # fmt: skip
    def test_the_last_folds_hold_a_fraction_of_all_rows_and_never_all(self, fraction, expected):
        tests = [np.array([5, 4]), np.array([6, 0]), np.array([1, 7]), np.array([8, 2]), np.array([9, 3])]
        folds = [(np.setdiff1d(np.arange(10), test), test) for test in tests]
        assert last_folds(folds, fraction).tolist() == expected

    @pytest.mark.parametrize("fraction", [0.1, 0.9])
    def test_a_fold_of_most_rows_does_not_decide(self, fraction):
        groups = np.array([0] * 2 + [1] * 3 + [2] * 15)
        folds = [(np.flatnonzero(groups != g), np.flatnonzero(groups == g)) for g in range(3)]
        assert last_folds(folds, fraction).tolist() == ([2, 3, 4] if fraction == 0.1 else [0, 1, 2, 3, 4])
        assert last_folds(folds[1:], 0.5).tolist() == [2, 3, 4]

    def test_folds_are_random_but_by_groups_or_by_time(self):
        assert all(map(are_random, (None, 5, np.int64(3), KFold(3), StratifiedKFold())))
        assert not any(map(are_random, (GroupKFold(), TimeSeriesSplit(), StratifiedGroupKFold(), [([0], [1])])))

    def test_one_unknown_vector_where_many_rows_tell_it(self):
        many = [np.array([2000.0, 3, 2, 1]), np.array([1.0, 3, 2])]
        tables = [np.arange(4.0)[:, None] + 100, np.arange(3.0)[:, None] + 200]
        folds = [[np.arange(4.0)[:, None] + 10 * k, np.arange(3.0)[:, None] - 10 * k] for k in (1, 2, 3)]
        ratios = VarianceRatios(np.array([4.0, 4.0]), np.ones(2))
        for counts, expected in ((many, 100.0), (small_problem().counts, 20.0)):
            problem = small_problem(counts=counts)
            rows = [table[ids] for table, ids in zip(tables, problem.ids.T)]
            hold_out(problem, rows, tables, folds, [layout(), layout()], ratios)
            assert rows[0][3, 0] == expected  # of level 3, which the other folds do not show

    def test_the_unit_is_that_of_the_mean_total_spread(self):
        problem = small_problem(weight=np.array([1.0, 2, 1, 1, 1, 1]))
        rows = [RNG.normal(size=(6, 2)), RNG.normal(size=(6, 1))]
        weight = problem.weight / 7

        def total(values):
            mean = weight @ values
            return sum(w * ((row - mean) ** 2).sum() for w, row in zip(weight, values))

        assert unit_scale(problem, rows, [True, True]) == pytest.approx(((total(rows[0]) + total(rows[1])) / 2) ** -0.5)
        assert unit_scale(problem, rows, [True, False]) == pytest.approx(total(rows[0]) ** -0.5)
        assert unit_scale(replace(problem, from_init={0}), rows, [True, True]) == pytest.approx(total(rows[1]) ** -0.5)
        assert unit_scale(problem, rows, [False, False]) == 1.0
        assert unit_scale(problem, [np.ones((6, 1))] * 2, [True, True]) == 1.0

    def test_vectors_stay_within_limits_and_are_scaled(self):
        rows = np.array([[-3.0, 0.5], [0.25, 4]], dtype=np.float32)
        found = within(rows, layout(crossed=1, net=1), 2.0)
        assert found.tolist() == [[-2, 1], [0.5, 2]]
        assert found.dtype == np.float32
        empty = within(rows[:, :0], layout(crossed=0), 2.0)
        assert empty.tolist() == [[0], [0]]
        assert empty.dtype == np.float32

    def test_layouts_read_the_axes_that_are_kept(self):
        cells = [Cells((0, 1), np.array([[1, 2, 3], [1, 2, 2]]))]
        found = Interactions(cells, [RNG.normal(size=(3, 2))], [np.ones(3)], [1.0], {0: np.ones(4), 1: np.ones(3)})
        found.find_axes(2)
        last = 2 + found.dim(0) - 1
        assert last > 2
        net = NetPart(initial=[], raw=[], fold_raw=[], scalings=[np.eye(2), np.eye(2)])
        given = [replace(layout(width=3), net=np.array([last, 1, 2])), replace(layout(width=1), net=np.array([0]))]
        interactions, layouts = as_read(found, net, given)
        assert layouts[0].net.tolist() == [2, 1, 3]
        assert given[0].net.tolist() == [last, 1, 2]
        assert layouts[1].net.tolist() == [0]
        assert interactions.axes.keys() == {0}
        np.testing.assert_allclose(interactions.axes[0], found.axes[0][:, [last - 2, 0]], atol=1e-6)

    @pytest.mark.parametrize("codes", [[0, 5, 0, 5, 2], [3, 3, 3, 3, 3], [0, 1000, 0, 1000, 7]])
    def test_rows_share_vectors(self, codes):
        codes = np.array(codes)
        vectors = np.stack([codes, -codes, codes + 1], axis=1).astype(np.float32)
        rows = RowVectors(vectors, codes)
        shared = rows.shared()
        assert shared.is_shared
        assert len(shared.vectors) == len(set(codes.tolist()))
        assert shared.codes.dtype == np.uint8
        for dim in (1, 2, 3, 5):
            np.testing.assert_array_equal(rows.cut(dim), vectors[:, :dim])
            np.testing.assert_array_equal(shared.cut(dim), vectors[:, :dim])


class TestInteractions:
    def found(self, seed=0):
        rng = np.random.default_rng(seed)
        levels = np.array([[0, 1, 1, 2, 3], [2, 0, 1, 1, 2]])
        swapped = np.array([[0, 1, 2], [3, 1, 0]])
        cells = [Cells((0, 2), levels), Cells((1, 0), swapped)]
        effects = [rng.normal(size=(5, 2)), rng.normal(size=(3, 2))]
        masses = {c: rng.uniform(1, 3, n) for c, n in ((0, 4), (1, 3), (2, 3))}
        return Interactions(cells, effects, [np.arange(1.0, 6), np.arange(1.0, 4)], [2.0, 3.0], masses)

    def test_predictions_are_sums_of_the_cells_that_occur(self):
        found = self.found()
        ids = np.array([(a, b, c) for a in range(5) for b in range(4) for c in range(5)])
        expected = np.zeros((len(ids), 2))
        for cells, effects in zip(found.cells, found.effects):
            known = {tuple(levels): effect for levels, effect in zip(cells.levels.T.tolist(), effects)}
            for row, one in enumerate(ids[:, list(cells.columns)].tolist()):
                expected[row] += known.get(tuple(one), 0.0)
        np.testing.assert_allclose(found.predict(ids), expected)
        np.testing.assert_array_equal(found.predict(ids.astype(np.int32)), found.predict(ids))
        assert Interactions().predict(ids) == 0.0

    def test_predictions_of_more_combinations_than_int32_numbers(self):
        many = np.array([[1, 70_000], [70_000, 69_999]])
        found = Interactions([Cells((0, 1), many)], [np.array([[1.0], [2.0]])])
        ids = np.array([[70_000, 69_999], [70_000, 70_000], [1, 70_000]], dtype=np.int32)
        assert found.predict(ids).tolist() == [[2.0], [0.0], [1.0]]

    def test_effects_are_rounded_to_what_tables_hold(self):
        found = self.found()
        for effects, before in zip(found.rounded().effects, found.effects):
            assert effects.dtype == np.float32
            np.testing.assert_array_equal(effects, before.astype(np.float32))
        found.find_axes(2)
        kept = found.only_axes({0: np.arange(1)})
        assert {part.dtype for part in [*kept.effects, *kept.axes.values()]} == {np.dtype(np.float32)}

    def test_further_rows_are_counted_into_every_pair(self):
        found = self.found()
        ids = np.array([[0, 0, 2], [1, 2, 4], [0, 0, 2], [5, 1, 0]])
        residual, weight = RNG.normal(size=(4, 2)), np.array([1.0, 2, 0.5, 1])
        grown = found.extended(ids, residual, weight)
        assert grown.combinations == {}
        # all cells side by side, each held where it was by the rows seen
        precision, begun, places = [], [], {}
        for pair, (more, old, before, ratio) in enumerate(
            zip(found.cells, found.effects, found.counts, found.ratios, strict=True)
        ):
            known = dict(zip(map(tuple, more.levels.T.tolist()), zip(old, before)))
            for levels in sorted({*known, *map(tuple, ids[:, list(more.columns)].tolist())}):
                effect, count = known.get(levels, (np.zeros(2), 0.0))
                places[pair, levels] = len(places)
                begun.append(effect)
                precision.append(count + ratio)
        Z = np.zeros((len(ids), len(places)))
        for pair, cells in enumerate(found.cells):
            for row, levels in enumerate(map(tuple, ids[:, list(cells.columns)].tolist())):
                Z[row, places[pair, levels]] = 1.0
        normal = Z.T @ (weight[:, None] * Z) + np.diag(precision)
        expected = np.linalg.solve(normal, Z.T @ (weight[:, None] * residual) + np.array(precision)[:, None] * begun)
        assert [cells.columns for cells in grown.cells] == [cells.columns for cells in found.cells]
        for pair, cells in enumerate(grown.cells):
            here = [places[pair, levels] for levels in map(tuple, cells.levels.T.tolist())]
            assert here == sorted(place for (of, _), place in places.items() if of == pair)
            np.testing.assert_allclose(grown.effects[pair], expected[here], atol=1e-3)
            np.testing.assert_allclose(grown.counts[pair] + found.ratios[pair], np.diagonal(normal)[here])

    def test_coordinates_are_profiles_on_axes(self):
        found = self.found()
        found.find_axes(2)
        assert found.axes.keys() == {0, 1}
        for c in (0, 1):
            rows = found.rows(c, 6)
            assert rows.shape == (6, found.dim(c))
            assert not rows[len(found.masses[c]) :].any()
            other = found.rows(c, 6, [2 * effects for effects in found.effects])
            np.testing.assert_allclose(other, 2 * rows)
        assert found.dim(2) == 0
        assert found.rows(2, 5).shape == (5, 0)

    def test_axes_are_combinations_of_profiles_where_levels_are_few(self):
        profile = sp.csr_matrix(RNG.normal(size=(4, 9)))
        share = np.array([0.1, 0.4, 0.3, 0.2])
        axes = principal_axes(profile, share)
        assert axes.shape == (9, 3)
        combined = combinations_of(profile, axes, share)
        assert combined.shape == (4, 3)
        assert combined.dtype == np.float32
        np.testing.assert_allclose(profile.T @ combined, axes, atol=1e-6)
        assert (axes[np.abs(axes).argmax(axis=0), np.arange(3)] > 0).all()
        assert principal_axes(sp.csr_matrix((4, 9)), share).shape == (9, 0)
        one = principal_axes(sp.csr_matrix(np.outer([1.0, -1, 1, -1], np.arange(9.0))), share)
        assert one.shape == (9, 1)  # what varies along one direction has one axis

    @given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 300)), min_size=1, max_size=30))
    @settings(max_examples=50, deadline=None)
    def test_cells_come_back_from_their_state(self, pairs):
        columns = [np.array(part, dtype=np.int32) for part in zip(*pairs)]
        cells, of_row = cells_of(columns, [6, 301], (0, 1))
        assert [tuple(cells.levels[:, place]) for place in of_row] == pairs
        assert cells.levels.T.tolist() == sorted(dict.fromkeys(pairs, 0) and [list(p) for p in set(pairs)])
        assert of_row.dtype == np.int32
        firsts = set(range(1, max(first for first, _ in pairs) + 1)) - {first for first, _ in pairs}
        if firsts:  # of a column's levels each but row 0 occurs
            return
        again = Cells.__new__(Cells)
        again.__setstate__(cells.__getstate__())
        assert again.columns == cells.columns
        assert again.levels.dtype == np.int64
        assert again.levels.tolist() == cells.levels.tolist()

    @pytest.mark.parametrize("change", ["second", "n_levels", "per_level"])
    def test_states_of_cells_that_do_not_fit(self, change):
        state = Cells((0, 1), np.array([[0, 1, 1], [2, 0, 1]])).__getstate__()
        wrong = {
            "second": [state["second"][:, None], state["second"].astype(np.int64), state["second"][:-1]],
            "n_levels": [-1, 5], "per_level": [packed(np.array([1.0, 1, 1])), packed(np.array([3]))],
        }  # fmt: skip
        for value in wrong[change]:
            with pytest.raises(ValueError, match=r"Cells: expected|expected"):
                Cells.__new__(Cells).__setstate__(state | {change: value})

    @pytest.mark.parametrize("counts", [[1.0, 3, 2], [0.5, 3, 2], [0.0, 70_000, 1]])
    def test_counts_are_packed_where_they_are_whole(self, counts):
        counts = np.array(counts)
        found = packed(counts)
        assert (found.dtype == np.float64) == (counts != counts.round()).any()
        assert unpacked(found, 3).tolist() == counts.tolist()
        assert unpacked(found, 3).dtype == np.float64
        if found.dtype == np.float64:
            with pytest.raises(ValueError, match=r"expected 4 counts, got \(3,\)"):
                unpacked(found, 4)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"ratios": [1.0]}, "expected an effect and a count for each cell, a ratio for each pair"),
            ({"effects": [np.zeros((4, 2)), np.zeros((3, 2))]}, "expected an effect and a count for each cell"),
            ({"masses": {}}, "expected the masses of columns that have cells"),
            ({"n_levels": {0: 4, 1: 3, 2: 10**6}}, "expected the masses of columns that have cells"),
        ],
    )
    def test_states_that_do_not_fit(self, change, message):
        state = self.found().__getstate__()
        Interactions.__new__(Interactions).__setstate__(state)
        with pytest.raises(ValueError, match=f"Interactions: {message}"):
            Interactions.__new__(Interactions).__setstate__(state | change)

    def test_worth_their_columns(self):
        before = np.full(400, 1.0)
        noise = RNG.normal(size=400)
        noise -= noise.mean()
        weight = np.ones(400)
        assert is_worth_it(before, before - 0.0101, weight)
        assert not is_worth_it(before, before - 0.0099, weight)
        spread = noise / np.sqrt((noise**2).mean())  # of standard deviation 1: its mean has the error 1/20
        assert is_worth_it(before, before - 0.101 - spread, weight)
        assert not is_worth_it(before, before - 0.099 - spread, weight)
        assert not is_worth_it(before, before + 0.5, weight)


class TestScreening:
    def test_constant_columns_and_pairs_of_numbers_are_passed_over(self):
        n = 3000
        rng = np.random.default_rng(0)
        ids = rng.integers(1, 5, (n, 4)).astype(np.int32)
        ids[:, 1] = 2
        signs = (-1.0) ** (ids[:, 2] + ids[:, 3])
        assert screen_pairs(ids, [5] * 4, 4, signs[:, None], np.ones(n)) == [(2, 3)]
        assert screen_pairs(ids, [5] * 4, 2, signs[:, None], np.ones(n)) == []  # 2 and 3 are bins of numbers
        assert screen_pairs(ids, [5] * 4, 3, signs[:, None], np.ones(n)) == [(2, 3)]
        assert screen_pairs(ids[:, 1:2], [5], 1, signs[:, None], np.ones(n)) == []
        assert screen_pairs(ids[:0], [5] * 4, 4, signs[:0, None], np.ones(0)) == []

    def test_many_cells_are_counted_in_a_table_of_hashes(self, monkeypatch):
        n = 4000
        rng = np.random.default_rng(1)
        ids = rng.integers(1, 41, (n, 2)).astype(np.int32)
        effects = rng.normal(size=(41, 41))
        residual = effects[ids[:, 0], ids[:, 1]][:, None]
        exact = screen_pairs(ids, [41, 41], 2, residual, np.ones(n))
        monkeypatch.setattr(_interaction_screening, "CELL_BITS", 10)  # fewer than 41 x 41: they share places
        assert screen_pairs(ids, [41, 41], 2, residual, np.ones(n)) == exact == [(0, 1)]
        shuffled = rng.permutation(residual)
        assert screen_pairs(ids, [41, 41], 2, shuffled, np.ones(n)) == []

    def test_rows_of_weight_zero_have_no_say(self):
        ids = np.random.default_rng(0).integers(1, 5, (800, 2)).astype(np.int32)
        residual = ((-1.0) ** ids.sum(axis=1))[:, None]
        assert screen_pairs(ids, [5, 5], 2, residual, np.ones(800)) == [(0, 1)]
        assert screen_pairs(ids, [5, 5], 2, residual, np.zeros(800)) == []

    def test_rows_count_by_their_weight(self):
        rng = np.random.default_rng(0)
        ids = rng.integers(1, 5, (1600, 2)).astype(np.int32)
        residual = np.where(np.arange(1600) % 2, (-1.0) ** ids.sum(axis=1), rng.normal(size=1600))[:, None]
        light, heavy = np.full(800, 0.001), np.ones(800)
        assert screen_pairs(ids, [5, 5], 2, residual, np.stack([light, heavy], axis=1).ravel()) == [(0, 1)]
        assert screen_pairs(ids, [5, 5], 2, residual, np.stack([heavy, light], axis=1).ravel()) == []

    def test_a_residual_without_what_bins_explain(self):
        rng = np.random.default_rng(0)
        bins = rng.integers(1, 9, (500, 2)).astype(np.int32)
        target = np.arange(10.0)[bins[:, 0]] ** 2 + rng.normal(size=500)
        residual = without_bins(bins, [10, 10], target[:, None], np.ones(500))
        means = [residual[bins[:, 0] == b].mean() for b in range(1, 9)]
        assert np.abs(means).max() < 0.3
        assert residual.shape == (500, 1)
        assert residual.std() == pytest.approx(1, rel=0.2)
        assert without_bins(bins[:, :0], [], target[:, None], np.ones(500)) is not None


class TestSetup:
    def test_a_warm_start_hands_on_the_head_of_the_net(self, monkeypatch):
        from skembed.categorical import _entity

        problems, learn = [], _entity.learn_cached

        def noting(memory, problem, *rest):
            problems.append(problem)
            return learn(memory, problem, *rest)

        monkeypatch.setattr(_entity, "learn_cached", noting)
        X = np.stack([RNG.integers(6, size=320), RNG.integers(4, size=320)], axis=1).astype(str)
        y = X.astype(float).sum(axis=1)
        encoder = EntityEmbeddingEncoder(hidden_layer_sizes=(3,), max_iter=1, warm_start=True, random_state=0).fit(X, y)
        before = encoder._learned.net
        encoder.fit(X, y)
        encoder.set_params(warm_start=False).fit(X, y)
        assert [len(problem.head) for problem in problems] == [0, len(before.head), 0]
        assert all(np.array_equal(one, other) for one, other in zip(problems[1].head, before.head))
        assert [len(problem.warm_start) for problem in problems] == [0, 2, 0]
        for table, raw in zip(problems[1].warm_start, before.raw):
            np.testing.assert_array_equal(table, raw)

    def test_codes_are_shorter_for_rarer_levels(self):
        counts = np.array([1e9, 0.0, 100, 1e12])
        rows = np.concatenate([initial_vectors(counts, 8, np.random.RandomState(seed))[None] for seed in range(300)])
        assert rows.dtype == np.float32
        assert not rows[:, :2].any()
        np.testing.assert_allclose(rows[:, 2].std(), 0.1 * np.sqrt(0.5), rtol=0.05)
        np.testing.assert_allclose(rows[:, 3].std(), 0.1, rtol=0.05)
        assert initial_vectors(counts, 0, np.random.RandomState(0)).shape == (4, 0)

    @pytest.mark.parametrize("weight", [[1.0, 0, 0], [0.0, 0, 0]])
    def test_two_rows_are_needed(self, weight):
        estimator = EntityEmbeddingEncoder()
        with pytest.raises(
            ValueError, match=rf"{int(sum(weight))} sample\(s\) of positive weight while a minimum of 2 is req"
        ):
            learnable_rows(estimator, np.array(weight))
        assert learnable_rows(estimator, np.array([0, 2.0, 0, 0.5])).tolist() == [1, 3]

    def test_memory_is_predicted(self, monkeypatch):
        asked = []
        monkeypatch.setattr(
            "skembed.categorical._setup.check_memory",
            lambda n_bytes, what, way_out: asked.append((n_bytes, what, way_out)),
        )
        predict_memory(1000, [np.empty(10), np.empty(6)], [3, None], 2, 7, 50)
        rows, effects = 8 * 1000 * (10 * 2 + 2 * 7 + 2), 8 * 16 * 2 * 51 * 6
        tables = 4 * ((10 + 1000) * 3 + (6 + 1000) * 1)
        ((n_bytes, what, way_out),) = asked
        assert n_bytes == rows + effects + tables
        assert what == "learning 16 levels of 2 columns from 1000 rows for 2 classes, outputs or directions of y"
        assert "lower embedding_dim, max_categories or the folds of cv" in way_out

    def test_memory_of_as_many_folds_as_there_are(self, monkeypatch):
        asked = []
        monkeypatch.setattr("skembed.categorical._setup.check_memory", lambda n_bytes, *told: asked.append(n_bytes))
        for cv in (10, 20, KFold(30)):
            EntityEmbeddingEncoder(cv=cv, max_iter=0).fit([["a"], ["b"], ["c"]] * 20, np.arange(60) / 2)
        assert asked[2] - asked[1] == asked[1] - asked[0] > 0

    def test_a_warm_start_keeps_levels_by_name(self):
        def vocabulary(*keys):
            return SimpleNamespace(
                keys=list(keys),
                encode_keys=lambda wanted: np.array([keys.index(k) + 1 if k in keys else 0 for k in wanted]),
            )

        rng = np.random.default_rng(0)
        old_initial = [
            rng.normal(size=(3, 2)).astype(np.float32),
            np.zeros((3, 2), np.float32),
            rng.normal(size=(2, 1)).astype(np.float32),
        ]
        raw = [rng.normal(size=(3, 2)).astype(np.float32) for _ in range(2)] + [
            rng.normal(size=(2, 1)).astype(np.float32)
        ]
        schema = SimpleNamespace(
            names=["a", "zero", "narrow"], vocabularies=[vocabulary("x", "y"), vocabulary("x", "y"), vocabulary("x")]
        )
        learned = SimpleNamespace(net=SimpleNamespace(raw=raw, initial=old_initial))
        names = ["new", "narrow", "a", "zero"]
        initial = [rng.normal(size=(3, 2)).astype(np.float32) for _ in names]
        before = [table.copy() for table in initial]
        now = [vocabulary("z", "y")] * 4
        started = carry_over(initial, names, now, {}, schema, learned)
        for c in (0, 1, 3):  # another column, another width, a column without codes
            np.testing.assert_array_equal(initial[c], before[c])
            np.testing.assert_array_equal(started[c], before[c])
        np.testing.assert_array_equal(initial[2], [before[2][0], before[2][1], old_initial[0][2]])
        np.testing.assert_array_equal(started[2], [raw[0][0], before[2][1], raw[0][2]])
        initial = [table.copy() for table in before]
        np.testing.assert_array_equal(carry_over(initial, names, now, {2: None}, schema, learned)[2], before[2])

    def test_settings_of_hidden_layers(self):
        for sizes, wrong in (((3, 0), 0), ((True,), True), ((2.5,), 2.5), ((-1,), -1)):
            message = f"hidden_layer_sizes is {sizes!r} and holds {wrong!r}; expected integers of at least 1"
            with pytest.raises(ValueError, match=re.escape(message)):
                check_settings(sizes, "cpu")
        check_settings("auto", "auto")
        check_settings((np.int64(3), 1), "cpu")
        with pytest.raises((ValueError, RuntimeError), match="nowhere"):
            check_settings((), "nowhere")

    @pytest.mark.parametrize(
        ("cv", "settled"),
        [
            (None, True),
            (5, True),
            (KFold(3), True),
            (KFold(3, shuffle=True, random_state=0), True),
            (KFold(3, shuffle=True), False),
            (TimeSeriesSplit(3), True),
            ([(np.arange(2), np.arange(2))], False),
            (KFold(3, shuffle=True, random_state=np.random.RandomState(0)), False),
        ],
    )
    def test_splits_that_are_the_same_again(self, cv, settled):
        assert _is_settled(cv) == settled


class TestFurtherRows:
    def test_tables_grow_by_rows_of_the_unknown_level(self):
        table = np.array([[7.0, 8], [1, 2]])
        assert _partial.grow(table, 4).tolist() == [[7, 8], [1, 2], [7, 8], [7, 8]]
        assert _partial.grow(table, 2).tolist() == table.tolist()
        assert [c.tolist() for c in _partial.counts_before([np.array([3.0]), np.array([1.0, 2])], [3, 2])] == [
            [3, 0, 0],
            [1, 2],
        ]

    def test_limits_widen(self):
        one = layout(crossed=1, net=1)
        wide = _partial.widened(one, np.array([[-3.0, 0.5], [0.5, 0.25]]))
        assert (wide.low.tolist(), wide.high.tolist()) == ([-3, -1], [1, 1])
        wide = _partial.widened(one, np.array([[0.0, 5.0]]))
        assert (wide.low.tolist(), wide.high.tolist()) == ([-1, -1], [1, 5])
        assert _partial.widened(one, np.empty((0, 2))) is one
        assert _partial.widened(one, np.empty((3, 0))) is one

    def test_nets_grow_by_codes_of_their_own(self):
        raw = [np.full((2, 3), 5.0), np.full((2, 2), 6.0), np.ones((2, 0))]
        net = NetPart([np.ones((2, 3)), np.ones((2, 2)), np.ones((2, 0))], raw, fold_raw=[[1]], scalings=[])
        problem = small_problem(
            counts=[np.array([0, 1, 1e12]), np.array([0, 1, 2.0]), np.array([0.0, 1, 2])], from_init={1}
        )
        grown = _partial.grown_net(net, problem, np.random.RandomState(0))
        assert [table.shape for table in grown.raw] == [(3, 3), (3, 2), (3, 0)]
        assert grown.raw[0][:2].tolist() == [[5] * 3] * 2
        assert grown.initial[0][:2].tolist() == [[1] * 3] * 2
        assert grown.raw[0][2].tolist() == grown.initial[0][2].tolist()
        assert 0 < np.abs(grown.raw[0][2]).max() < 1
        assert grown.raw[1].tolist() == [[6, 6]] * 3  # of a table that was given: the unknown one's
        assert grown.fold_raw == []
        assert net.fold_raw == [[1]]


class TestState:
    X = np.array([["a", "x"], ["b", "y"], ["a", "y"], ["c", "x"]] * 8, dtype=object)

    def fitted(self):
        return EntityEmbeddingEncoder(random_state=0).fit(self.X, np.arange(32.0) % 5)

    def test_parts_that_do_not_fit_together_are_named(self):
        encoder = self.fitted()
        encoder._check_fitted()
        tables = encoder.embeddings_
        for wrong, message in (
            (dict(reversed(tables.items())), "expected a table for each categorical column"),
            ({"x0": tables["x0"]}, "expected a table for each categorical column"),
            (
                tables | {"x1": tables["x1"].subset(["x", "y"])},
                "expected the table of 'x1' to have the levels of its column",
            ),
        ):
            encoder.embeddings_ = wrong
            with pytest.raises(ValueError, match=message):
                encoder._check_fitted()
        encoder.embeddings_ = tables
        for positions in ([0, 2], [1, 1], [0]):
            encoder._schema.positions = positions
            with pytest.raises(ValueError, match="expected a position for each of 2 columns"):
                encoder._check_fitted()

    @pytest.mark.parametrize("weights", [None, np.linspace(0.5, 2, 32)])
    def test_the_counts_of_levels_come_back(self, weights):
        schema = EntityEmbeddingEncoder(random_state=0).fit(self.X, np.arange(32.0) % 5, sample_weight=weights)._schema
        state = schema.__getstate__()
        assert all(
            len(c) == (1 if weights is None else len(v) + 1) for c, v in zip(state["counts"], schema.vocabularies)
        )
        again = Schema.__new__(Schema)
        again.__setstate__(state)
        for one, other in zip(again.counts, schema.counts):
            assert one.dtype == np.float64
            assert one.tolist() == other.tolist()
        for change, message in (
            ({"dims": [1]}, "Schema: expected names, vocabularies, metrics, counts and dims of 2 columns"),
            ({"metrics": ["euclidean"] * 3}, "of 2 columns"),
            ({"names": ["x0"]}, "of 2 columns"),
            ({"counts": [np.ones(2), np.ones(1)]}, r"Schema: expected counts of 4 table rows, got \(2,\)"),
            ({"counts": [np.ones((1, 1)), np.ones(1)]}, r"Schema: expected counts of 4 table rows, got \(1, 1\)"),
        ):
            with pytest.raises(ValueError, match=message):
                Schema.__new__(Schema).__setstate__(state | change)

    @pytest.mark.parametrize(
        "make",
        [
            lambda: EntityEmbeddingEncoder(random_state=0, handle_unknown="error"),
            lambda: CooccurrenceEncoder(random_state=0, handle_unknown="error"),
        ],
    )
    def test_levels_that_fit_never_met_are_refused_where_asked_for(self, make):
        encoder = make().fit(self.X, np.arange(32.0) % 5)
        encoder.transform(self.X)
        with pytest.raises(ValueError, match="'new'"):
            encoder.transform([["new", "x"]])
