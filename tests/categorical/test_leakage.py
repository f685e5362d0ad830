"""Leakage: what must not predict, does not, since rows get vectors that were learned without them."""

import os

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import Ridge

from skembed import EntityEmbeddingEncoder

N = 600
COLUMNS = {
    "unique per row": lambda rng: np.arange(N),
    "nearly unique": lambda rng: rng.integers(3 * N, size=N),
    "three rows a level": lambda rng: rng.permutation(N) // 3,
    "fifteen rows a level": lambda rng: rng.integers(N // 15, size=N),
}
LEARNERS = {
    "linear": lambda: Ridge(alpha=1e-3),
    "hgb": lambda: HistGradientBoostingRegressor(max_iter=40, random_state=0),
}


def scores(column, learner, cv, n_seeds=3, **options):
    """Mean R² on new rows, and on the training rows held out from the learner, of a target that is noise."""
    new, held_out = [], []
    for seed in range(n_seeds):
        rng = np.random.default_rng(seed)
        X = COLUMNS[column](rng).astype(str)[:, None]
        y = rng.standard_normal(N)
        encoder = EntityEmbeddingEncoder(cv=cv, random_state=seed, **options)
        Z = encoder.fit_transform(X, y)
        # the learner is trained on one half of the training rows' vectors and scored on the other
        half = rng.permutation(N) < N // 2
        held_out.append(LEARNERS[learner]().fit(Z[half], y[half]).score(Z[~half], y[~half]))
        fresh = rng.standard_normal(N)
        new.append(LEARNERS[learner]().fit(Z, y).score(encoder.transform(X), fresh))
    return np.mean(new), np.mean(held_out)


@pytest.mark.filterwarnings("ignore:column 'x0' has a level of its own")
@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("learner", LEARNERS)
def test_noise_does_not_predict(column, learner):
    _, held_out = scores(column, learner, cv=5, max_iter=5)
    assert held_out < 0.05


@pytest.mark.parametrize("learner", LEARNERS)
def test_noise_does_not_predict_with_a_net_that_overfits(learner):
    options = {"hidden_layer_sizes": (128, 64), "max_iter": 20, "learning_rate": 0.02, "early_stopping": False}
    _, held_out = scores("fifteen rows a level", learner, cv=5, **options)
    assert held_out < 0.05


@pytest.mark.skipif("SKEMBED_LONG_TESTS" not in os.environ, reason="a test of the tests; SKEMBED_LONG_TESTS=1 runs it")
def test_the_test_sees_leakage_where_there_is_some():
    options = {"hidden_layer_sizes": (128, 64), "max_iter": 20, "learning_rate": 0.02, "early_stopping": False}
    _, held_out = scores("three rows a level", "linear", cv=None, **options)
    assert held_out > 0.15


@pytest.mark.parametrize("learner", LEARNERS)
def test_noise_beside_a_telling_column_does_no_harm(learner):
    rng = np.random.default_rng(0)
    telling, noise = rng.integers(5, size=N), rng.integers(N, size=N)
    y = telling + rng.standard_normal(N)
    X = np.stack([telling, noise], axis=1).astype(str)
    encoder = EntityEmbeddingEncoder(random_state=0, max_iter=5)
    train, test = np.arange(N) < 400, np.arange(N) >= 400
    learned = LEARNERS[learner]().fit(encoder.fit_transform(X[train], y[train]), y[train])
    best = 1 - 1.0 / y.var()
    assert learned.score(encoder.transform(X[test]), y[test]) > best - 0.15


def test_the_first_dimension_of_a_row_never_holds_its_own_target():
    rng = np.random.default_rng(0)
    X = rng.integers(100, size=N).astype(str)[:, None]
    y = rng.standard_normal(N) + np.asarray(X[:, 0], dtype=int) / 50
    encoder = EntityEmbeddingEncoder(random_state=0, max_iter=2)
    held_out = encoder.fit_transform(X, y)
    for row in (3, 77, 500):  # within a fold all of a level's rows have one vector, whatever their targets
        changed = y.copy()
        changed[row] += 1.0
        other = EntityEmbeddingEncoder(random_state=0, max_iter=2).fit_transform(X, changed)
        moved = np.abs(other[:, :2] - held_out[:, :2]).max(axis=1)
        level = X[:, 0] == X[row, 0]
        assert moved[row] < 0.3 * max(moved[level].max(), 1e-9) or level.sum() == 1
