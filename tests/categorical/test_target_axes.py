"""Targets of very many classes or outputs: directions along which effects are learned, in place of all targets."""

import pickle
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from sklearn.neighbors import KNeighborsClassifier

from skembed import EntityEmbeddingEncoder
from skembed.categorical import _target_axes
from skembed.categorical._samples import Samples
from skembed.categorical._target_axes import max_axes, target_axes, telling_cells
from skembed.data.target import Target


@pytest.fixture
def few_axes(monkeypatch):
    """Sixteen axes, however few the rows."""
    monkeypatch.setattr(_target_axes, "MIN_AXES", 16)
    monkeypatch.setattr(_target_axes, "MAX_ENTRIES", 0)


def kinds(n=4000, n_classes=60, n_levels=24, seed=0):
    """Rows of two columns, the first of which has levels of six kinds with classes of their own; and the kinds."""
    rng = np.random.default_rng(seed)
    kind = np.arange(n_levels) % 6
    a, b = rng.integers(0, n_levels, n), rng.integers(0, n_levels, n)
    y = np.where(rng.random(n) < 0.6, rng.integers(0, n_classes // 6, n) * 6 + kind[a], rng.integers(0, n_classes, n))
    return pd.DataFrame({"a": a.astype(str), "b": b.astype(str)}), y, kind


def neighbours_of_kind(encoder, kind):
    table = encoder.embeddings_["a"]
    levels = [k for k in table.keys if k is not None]
    near = table.nearest(levels, k=3)
    return np.mean([kind[int(key)] == kind[int(level)] for level, found in zip(levels, near) for key, _ in found])


def test_few_rows_have_all_targets():
    assert max_axes(2000) == 500
    assert max_axes(10**6) == 64
    X, y, _ = kinds()
    assert EntityEmbeddingEncoder(target_type="multiclass").fit(X, y)._schema.axes is None


def test_levels_that_are_alike_lie_together(few_axes):
    X, y, kind = kinds()
    encoder = EntityEmbeddingEncoder(target_type="multiclass", random_state=0).fit(X, y)
    axes = encoder._schema.axes
    assert axes.shape == (60, 16)
    np.testing.assert_allclose(axes.T @ axes, np.eye(16), atol=1e-10)
    assert encoder.uninformative_features_ == ["b"]
    assert neighbours_of_kind(encoder, kind) > 0.95
    assert len(encoder.classes_) == 60


def problem(X, y, weight):
    """Return the ids, the sizes, numbers, the target and the weights of rows."""
    target = Target.learn(y, "multiclass", weight)
    ids = np.stack([X[c].astype(int) + 1 for c in X], axis=1).astype(np.int32)
    return ids, [int(column.max()) + 1 for column in ids.T], np.empty((len(y), 0)), target.standardise(y), weight


def interacting(n=6000, seed=0):
    """Rows of two columns, the sum of whose levels tells six classes of 48 apart, and of a third that tells nothing."""
    rng = np.random.default_rng(seed)
    a, b, c = rng.integers(0, [8, 8, 20], (n, 3)).T
    y = np.where(rng.random(n) < 0.7, 6 * ((a + b) % 8) + rng.integers(0, 6, n), rng.integers(0, 48, n))
    return pd.DataFrame({"a": a.astype(str), "b": b.astype(str), "c": c.astype(str)}), y


def test_columns_and_pairs_that_tell_are_told_from_others():
    def cells_of(X, y):
        ids, sizes, numeric, target, weight = problem(X, y, np.ones(len(y)))
        return telling_cells(Samples(ids, sizes, numeric, target.toarray(), weight))

    ((cells, size, ratio),) = cells_of(*kinds()[:2])
    assert (size, np.unique(cells).size) == (25, 24)
    X, y, _ = kinds(n=40_000)
    ((*_, of_more),) = cells_of(X, y)
    assert ratio == pytest.approx(of_more, rel=0.2)  # noise over effect variance has nothing to do with the rows
    ((cells, size, _),) = cells_of(*interacting())
    assert (size, np.unique(cells).size) == (81, 64)


@pytest.mark.parametrize("rows", ["kinds", "interacting"])
def test_axes_are_principal_axes_of_effects(few_axes, rows):
    X, y = kinds()[:2] if rows == "kinds" else interacting()
    weight = np.random.default_rng(1).random(len(y)) + 0.2
    weight /= 1.0 + X["a"].astype(int).to_numpy() ** 2  # levels of one row and of hundreds
    ids, sizes, numeric, target, weight = problem(X, y, weight)
    axes = target_axes(ids, sizes, numeric, target, weight, np.random.RandomState(0))
    dense = target.toarray()
    expected = np.zeros((dense.shape[1], dense.shape[1]))
    for cells, size, ratio in telling_cells(Samples(ids, sizes, numeric, dense, weight)):
        for cell in range(size):
            mass = weight[cells == cell].sum()
            effect = weight[cells == cell] @ dense[cells == cell] / (mass + ratio)
            expected += mass * np.outer(effect, effect)
    values, vectors = np.linalg.eigh(expected)  # rising
    found = axes.T @ vectors[:, ::-1][:, :5]
    np.testing.assert_allclose(np.linalg.norm(found, axis=0), 1.0, atol=1e-3)
    explained = np.sum(axes * (expected @ axes), axis=0)
    np.testing.assert_allclose(explained[:12], values[::-1][:12], rtol=0.02)


@pytest.mark.parametrize("change", ["weights", "save", "outputs", "hidden", "numbers", "some"])
def test_kinds_are_found(few_axes, tmp_path, change):
    X, y, kind = kinds()
    options = {"target_type": "multiclass", "random_state": 0}
    weight = None
    if change == "weights":
        wrong = np.random.default_rng(1).random(len(y)) < 0.5
        y = np.where(wrong, 59 - y, y)
        weight = np.where(wrong, 0.0, np.random.default_rng(2).random(len(y)) + 0.5)
    if change == "outputs":
        numbers = np.random.default_rng(1).standard_normal((6, 40))
        y = numbers[kind[X["a"].astype(int)]] + np.random.default_rng(2).standard_normal((len(y), 40))
        options["target_type"] = "continuous"
    if change == "hidden":
        options |= {"hidden_layer_sizes": (16,), "max_iter": 3}
    if change == "numbers":
        X = X.assign(number=np.random.default_rng(1).standard_normal(len(X)))
        options["categorical_features"] = ["a", "b"]
    encoder = EntityEmbeddingEncoder(**options)
    if change == "some":
        encoder.partial_fit(X[:2000], y[:2000], classes=range(60)).partial_fit(X[2000:], y[2000:])
    else:
        encoder.fit(X, y, sample_weight=weight)
    if change == "save":
        expected, encoder = encoder.transform(X), pickle.loads(pickle.dumps(encoder))
        np.testing.assert_array_equal(encoder.transform(X), expected)
        encoder.partial_fit(X, y)
    assert encoder._schema.axes.shape == (40 if change == "outputs" else 60, 16)
    assert neighbours_of_kind(encoder, kind) > 0.9


def test_pairs_that_interact_are_seen(few_axes):
    X, y = interacting()
    encoder = EntityEmbeddingEncoder(target_type="multiclass", random_state=0)
    Z = encoder.fit_transform(X[:4000], y[:4000])
    assert encoder._schema.axes is not None
    assert encoder.interactions_ == [("a", "b")]
    near = KNeighborsClassifier(30).fit(Z, y[:4000] // 6)
    assert near.score(encoder.transform(X[4000:]), y[4000:] // 6) > 0.6  # .74 at best, .12 by chance


def test_columns_without_meaning_say_nothing(few_axes):
    rng = np.random.default_rng(0)
    X = pd.DataFrame({f"x{k}": rng.integers(0, k, 3000).astype(str) for k in (3, 30, 300, 1500)})
    y = rng.integers(0, 80, 3000)
    encoder = EntityEmbeddingEncoder(target_type="multiclass", random_state=0).fit(X, y)
    assert len(encoder.uninformative_features_) >= 3


def test_no_column_for_each_class_is_made():
    rng = np.random.default_rng(0)
    X, y = rng.integers(0, 30, (20_000, 1)).astype(str), rng.integers(0, 3000, 20_000)
    encoder = EntityEmbeddingEncoder(target_type="multiclass", random_state=0)
    tracemalloc.start()
    encoder.fit(X, y)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * 20_000 * 3000 / 2
