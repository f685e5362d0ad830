"""Which dimensions a column is given: what is judged by its spread, and how far that may be chance."""

import numpy as np
import pytest
from sklearn.model_selection import GroupKFold

from skembed import EntityEmbeddingEncoder
from skembed.categorical import _layout
from skembed.categorical._layout import agreements, gains, kept_dimensions, spread_error, spreads


def test_the_error_of_a_spread_is_how_far_it_strays_where_levels_explain_nothing():
    rng = np.random.default_rng(0)
    counts = np.array([0, 300, 200, 0, 0, 100])  # levels of no row have nothing that could stray
    means = rng.normal(size=(20_000, len(counts))) / np.sqrt(np.maximum(counts, 1))
    found = spreads(means.T, counts)
    np.testing.assert_allclose(spread_error(counts), found.std(), rtol=0.03)


@pytest.mark.parametrize("n_targets", [1, 2])
def test_gains_are_squared_errors_without_the_column_less_those_with_it(monkeypatch, n_targets):
    """Of held-out rows, as shares of the target's variance; alone, and beside all other columns."""
    compared = []

    def beside_its_twin(problem, beside_numbers, residual, fold_effects, column, variance):
        ids, weight = problem.ids[:, column], problem.weight
        crossed, marginal = np.empty_like(residual), np.empty_like(residual)
        for (_, test), effects in zip(problem.folds, fold_effects):
            for row in test:
                crossed[row] = effects.crossed[column][ids[row]]
                marginal[row] = effects.marginal[column][ids[row]]

        def share(own, without):
            own = own - np.average(own, axis=0, weights=weight)
            gained = (without(own) ** 2).sum(axis=1) - ((without(own) - own) ** 2).sum(axis=1)
            return np.average(gained, weights=weight) / variance

        expected = share(crossed, lambda own: residual + own), share(marginal, lambda own: beside_numbers)
        found = gains(problem, beside_numbers, residual, fold_effects, column, variance)
        compared.append((expected, tuple(gain.share for gain in found)))
        return found

    monkeypatch.setattr(_layout, "gains", beside_its_twin)
    rng = np.random.default_rng(0)
    X = np.stack([rng.integers(6, size=200), rng.integers(4, size=200)], axis=1).astype(str)
    y = X.astype(float) @ rng.normal(size=(2, n_targets)) + rng.normal(size=(200, n_targets))
    EntityEmbeddingEncoder(random_state=0).fit(
        X, y if n_targets > 1 else y.ravel(), sample_weight=rng.uniform(0.5, 2, size=200)
    )
    assert len(compared) == 2
    for expected, found in compared:
        np.testing.assert_allclose(found, expected, rtol=1e-6)
        assert min(found) > 0.01


def test_agreement_is_what_effects_of_the_best_length_explain():
    rng = np.random.default_rng(0)
    own, weight = rng.normal(size=(400, 2)), rng.uniform(0.5, 2, size=400)
    target = 0.1 * own + rng.normal(size=(400, 2))
    target -= np.average(target, axis=0, weights=weight)
    variances = np.average(target**2, axis=0, weights=weight)

    def explained(targets):
        left = [
            np.average(((target - b * own)[:, targets] ** 2).sum(axis=1), weights=weight)
            for b in np.linspace(-1, 1, 20_001)
        ]
        return 1 - min(left) / variances[targets].sum()

    found = agreements(own, target, weight, variances)
    assert [one.share for one in found] == pytest.approx([explained(t) for t in ([0, 1], [0], [1])], rel=1e-3)
    assert agreements(own[:, :1], target[:, :1], weight, variances[:1]) == [pytest.approx(found[1])]
    np.testing.assert_allclose(agreements(30 * own, target, weight, variances), found)
    np.testing.assert_allclose(agreements(-own, target, weight, variances), np.array(found) * [1, -1])


def test_the_error_of_agreement_is_how_far_it_strays_where_effects_say_nothing():
    rng = np.random.default_rng(0)
    own, weight = rng.normal(size=(300, 2)), rng.uniform(0.5, 2, size=300)
    targets = (rng.random((3000, 300, 2)) < 0.1) - 0.1  # few rows say much
    errors = np.array([[one.errors for one in agreements(own, t, weight, np.full(2, 0.09))] for t in targets])
    np.testing.assert_allclose(errors.mean(axis=0), 0, atol=0.1)
    np.testing.assert_allclose(errors.std(axis=0), 1, rtol=0.05)


@pytest.mark.parametrize("n_classes", [2, 5])
def test_a_column_of_noise_is_kept_in_a_tenth_of_cases(n_classes):
    """Of two rows of a level each has a say in the effect of the other: taken for independent, a quarter stayed."""
    kept = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        levels, y = rng.integers(1000, size=(10_000, 1)), rng.integers(n_classes, size=10_000)
        fitted = EntityEmbeddingEncoder(max_iter=0, random_state=0).fit(levels.astype(str), y)
        kept += not fitted.uninformative_features_
    assert kept <= 6


def test_rows_that_are_not_independent_say_less_than_their_errors():
    """Folds of groups: what rows of one group share is no evidence, however many they are."""
    kept = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        groups = np.repeat(np.arange(60), 50)
        levels = rng.integers(400, size=(60, 8))[groups, rng.integers(8, size=3000)]  # each group has eight of its own
        y = rng.standard_normal(60)[groups] ** 3 + 0.1 * rng.standard_normal(3000)
        fitted = EntityEmbeddingEncoder(cv=GroupKFold(5), max_iter=0, random_state=0)
        kept += not fitted.fit(levels[:, None].astype(str), y, groups=groups).uninformative_features_
    assert kept <= 3


@pytest.mark.parametrize("told", [False, True])
def test_what_two_levels_say_of_few_groups_is_judged_by_groups(told):
    """Of ten columns of two levels that only tell groups apart, at random, next to none says something of others."""
    kept = of_rows = 0
    for seed in range(10):
        rng = np.random.default_rng(seed)
        groups = np.repeat(np.arange(60), 15)
        X = np.hstack([rng.integers(2, size=(60, 10))[groups], rng.integers(2, size=(900, 1))])
        y = 2 * rng.standard_normal(60)[groups] + X[:, 10] + rng.standard_normal(900)
        cv = GroupKFold(5) if told else 5
        fitted = EntityEmbeddingEncoder(cv=cv, max_iter=0, random_state=0)
        silent = fitted.fit(X.astype(str), y, groups=groups if told else None).uninformative_features_
        kept += 10 - len(set(silent) - {"x10"})
        of_rows += "x10" not in silent
    assert of_rows == 10  # what differs between the rows of a group is told as well as ever
    assert kept <= 35 if told else kept >= 70


def test_a_column_has_fewer_dimensions_than_levels():
    """More could tell nothing apart: they would repeat what the others say, with noise of folds where levels are rare.

    Of the columns of earnings in PSID, half had a second dimension for two levels, which cost boosting .01.
    """
    rng = np.random.default_rng(0)
    n_levels = [2, 3, 2, 40]
    X = np.stack([rng.integers(k, size=3000) for k in n_levels], axis=1)
    effects = [rng.normal(size=k) for k in n_levels]
    products = [rng.normal(size=(n_levels[a], n_levels[b])) for a, b in ((0, 1), (1, 2), (2, 3), (0, 3))]
    y = sum(effect[x] for effect, x in zip(effects, X.T))
    y += sum(product[X[:, a], X[:, b]] for product, (a, b) in zip(products, ((0, 1), (1, 2), (2, 3), (0, 3))))
    fitted = EntityEmbeddingEncoder(random_state=0)
    Z = fitted.fit_transform(X, y + rng.normal(size=3000))
    dims = [table.embedding_dim for table in fitted.embeddings_.values()]
    assert len(fitted.interactions_) == 4
    assert dims[:3] == [1, 2, 1]
    assert 2 <= dims[3] <= 39
    assert len(np.unique(Z[:, 0])) == 2


def test_the_dimensions_of_most_spread_stay():
    crossed, marginal, net = np.array([[1.0, 2, 3]]), np.array([[4.0, 5]]), np.array([0, 3, 7])
    found = kept_dimensions(np.array([6, 1, 4, 0]), crossed, marginal, net)
    expected = np.array([[1.0, 2]]), np.array([[5.0]]), np.array([3]), np.array([3, 1, 2, 0])
    for part, wanted in zip(found, expected):
        np.testing.assert_array_equal(part, wanted)
