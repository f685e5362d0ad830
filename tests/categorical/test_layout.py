"""Which dimensions a column is given: what is judged by its spread, and how far that may be chance."""

import numpy as np
import pytest

from skembed import EntityEmbeddingEncoder
from skembed.categorical import _layout
from skembed.categorical._layout import gains, spread_error, spreads


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
