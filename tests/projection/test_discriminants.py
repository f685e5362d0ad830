"""method="lda": how far the covariance within classes is shrunk, and where that is of use."""

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.neighbors import KNeighborsClassifier

from skembed import ProjectionEmbedder
from skembed.projection import _discriminants


def classes_of(n, p, *, seed=0, n_classes=3, n_telling=10, distance=1.2):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % n_classes
    X = rng.standard_normal((n, p))
    X[:, :n_telling] += distance * rng.standard_normal((n_classes, n_telling))[y]
    return X, y


def accuracy(method_params, X, y, n):
    embedder = ProjectionEmbedder("lda", method_params=method_params).fit(X[:n], y[:n])
    neighbors = KNeighborsClassifier(10).fit(embedder.transform(X[:n]), y[:n])
    return neighbors.score(embedder.transform(X[n:]), y[n:])


@pytest.mark.parametrize(("n", "p"), [(60, 500), (60, 40), (90, 89)])
def test_few_rows_beside_their_columns(n, p):
    plain, shrunk = np.mean(
        [
            [accuracy(params, *classes_of(n + 300, p, seed=seed), n) for params in ({"solver": "svd"}, None)]
            for seed in range(5)
        ],
        axis=0,
    )
    assert shrunk > plain + 0.05


def test_counts_of_few_rows():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 4, 3000)
    rates = rng.gamma(0.3, 1, 100) * np.exp(0.5 * rng.standard_normal((4, 100)))
    X = rng.poisson(rates[y] * rng.gamma(2, 0.5, (3000, 1)))
    assert accuracy(None, X, y, 500) > accuracy({"solver": "svd"}, X, y, 500) + 0.01


def test_columns_that_do_not_vary_in_a_class():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 4, 4000)
    X = (rng.random((4000, 300)) < rng.beta(0.1, 5, size=(4, 300))[y]).astype(float)
    for params in ({"solver": "svd"}, {"solver": "eigen", "shrinkage": "auto"}):
        assert accuracy(None, X, y, 400) > accuracy(params, X, y, 400) + 0.02


def test_small_variances_that_tell_classes_apart_are_not_shrunk_away():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 5, 1500)
    X = rng.standard_normal((1500, 80)) @ rng.standard_normal((80, 80)) + rng.standard_normal((5, 80))[y]
    assert accuracy(None, X, y, 500) > 0.98
    assert accuracy({"solver": "eigen", "shrinkage": "auto"}, X, y, 500) < 0.9


def test_many_rows_are_hardly_shrunk():
    rng = np.random.default_rng(0)
    X, y = classes_of(20_000, 6, n_telling=6)
    X = X @ rng.standard_normal((6, 6))
    expected = LinearDiscriminantAnalysis().fit(X, y).transform(X)
    found = ProjectionEmbedder("lda").fit_transform(X, y)
    for one, other in zip(found.T, expected.T):
        assert abs(np.corrcoef(one, other)[0, 1]) > 0.999


@pytest.mark.parametrize(("n", "p"), [(40, 70), (70, 40), (40, 40)])
@pytest.mark.parametrize("priors", [None, [0.2, 0.3, 0.5]])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shrinkage", [0.1, 1.0])
def test_equals_the_covariance_written_out(monkeypatch, n, p, priors, dtype, shrinkage):
    monkeypatch.setattr(_discriminants, "_chosen_shrinkage", lambda *_: shrinkage)
    X, y = classes_of(n, p)
    X = ((X * np.geomspace(0.01, 100, p)) + 5).astype(dtype)
    X[:, 3] = 7
    params = {} if priors is None else {"priors": priors}
    found = _discriminants.discriminants(X, y, 2, params, random_state=None)
    X = X.astype(np.float64)
    weights = np.bincount(y) / n if priors is None else np.asarray(priors)
    means = np.stack([X[y == c].mean(axis=0) for c in range(3)])
    within = np.delete(X - means[y], 3, axis=1)
    spread = within.std(axis=0)
    covariance = (within / spread).T @ (within / spread) / (n - 3)
    covariance = (1 - shrinkage) * covariance + shrinkage * np.trace(covariance) / (p - 1) * np.eye(p - 1)
    between = np.sqrt(weights)[:, None] * np.delete(means - weights @ means, 3, axis=1) / spread
    values, vectors = np.linalg.eig(np.linalg.solve(covariance, between.T @ between))
    order = np.argsort(-values.real)[:2]
    expected = vectors[:, order].real
    expected /= np.sqrt(np.einsum("ij,ik,kj->j", expected, covariance, expected))
    directions = np.delete(found.projection, 3, axis=0) * spread[:, None]
    np.testing.assert_allclose(np.abs(directions), np.abs(expected), atol=1e-6)
    np.testing.assert_array_equal(found.projection[3], 0)
    np.testing.assert_allclose(found.share, values.real[order] / values.real[order].sum(), rtol=1e-6)
    np.testing.assert_allclose(found.mean, weights @ means)


def test_a_class_of_one_row_says_nothing_of_spreads():
    X, y = classes_of(300, 5, n_telling=3)
    y[0] = 9
    assert ProjectionEmbedder("lda").fit_transform(X, y).shape == (300, 3)
    with pytest.raises(ValueError, match=r"X does not vary within the classes of y.*use method='pca'"):
        ProjectionEmbedder("lda").fit(X[:4], [0, 1, 2, 3])


@pytest.mark.parametrize("priors", [[0.5, 0.5], [1, -1, 1], [0, 0, 0], [np.nan, 1, 1]])
def test_priors_that_are_none(priors):
    X, y = classes_of(30, 4, n_telling=2)
    with pytest.raises(ValueError, match=r"method_params has priors=.*expected a share, 0 or more, for each of the 3"):
        ProjectionEmbedder("lda", method_params={"priors": priors}).fit(X, y)


@pytest.mark.parametrize(("n", "p"), [(60, 5), (24, 40)])
def test_losses_of_rows_held_out_are_those_of_fits_without_them(monkeypatch, n, p):
    X, y = classes_of(n, p, n_telling=4)
    y[0] = 9  # a class of its own, which is not predicted where it was held out
    losses = np.zeros((3, 2))
    monkeypatch.setattr(_discriminants, "SHRINKAGES", (0.05, 0.5, 1.0))
    monkeypatch.setattr(_discriminants, "FLATTENINGS", (1.0, 0.1))
    kept = []
    original = _discriminants._log_loss
    monkeypatch.setattr(_discriminants, "_log_loss", lambda *a: kept.append(original(*a)) or kept[-1])
    _discriminants.discriminants(X, y, 3, {}, random_state=None)
    classes, of_row, counts = np.unique(y, return_inverse=True, return_counts=True)
    means = np.stack([X[y == c].mean(axis=0) for c in classes])
    scaled = X / (X - means[of_row]).std(axis=0)
    folds = np.empty(n, dtype=int)
    for c in classes:
        folds[y == c] = np.arange((y == c).sum()) % 5
    for fold in range(5):
        known = np.unique(y[folds != fold])
        centers = np.stack([scaled[(folds != fold) & (y == c)].mean(axis=0) for c in known])
        left = np.isin(y, known) & (folds != fold)
        within = scaled[left] - centers[np.searchsorted(known, y[left])]
        covariance = within.T @ within / (left.sum() - len(known))
        out = np.isin(y, known) & (folds == fold)
        for i, s in enumerate((0.05, 0.5, 1.0)):
            shrunk = (1 - s) * covariance + s * np.trace(covariance) / p * np.eye(p)
            solved = np.linalg.solve(shrunk, centers.T)
            scores = scaled[out] @ solved - 0.5 * (centers.T * solved).sum(axis=0)
            for j, f in enumerate((1.0, 0.1)):
                log_odds = f * scores + np.log(counts[np.isin(classes, known)] / n)
                p_true = np.exp(log_odds)[np.arange(out.sum()), np.searchsorted(known, y[out])]
                losses[i, j] += -np.log(p_true / np.exp(log_odds).sum(axis=1)).sum()
    np.testing.assert_allclose(np.reshape(kept, (5, 3, 2)).sum(axis=0), losses, rtol=1e-6)
