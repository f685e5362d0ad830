"""Of several targets, a column's vectors keep the directions along which held-out effects help."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from skembed import EntityEmbeddingEncoder
from skembed.categorical._layout import borne_out


def twin(axes, own, target, weight):
    """Direction by direction: the error of each row with and without its effect, and the error of their mean."""
    kept = []
    for d, axis in enumerate(axes.T):
        gain = np.array([(t @ axis) ** 2 - (t @ axis - o @ axis) ** 2 for t, o in zip(target, own)])
        mean = (weight * gain).sum() / weight.sum()
        error = np.sqrt((weight**2 * (gain - mean) ** 2).sum()) / weight.sum()
        if d == 0 or mean > error:
            kept.append(axis)
    return np.array(kept).T


@pytest.mark.parametrize("seed", range(5))
def test_directions_that_held_out_rows_do_not_bear_out_are_left_out(seed):
    rng = np.random.default_rng(seed)
    axes = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    own = rng.normal(size=(60, 6))
    shares = np.array([0.0, 1.0, -0.5, 0.9, 0.1, 0.0])  # of what the effects say, along each axis
    target = (own @ axes * shares + 0.5 * rng.normal(size=(60, 6))) @ axes.T
    weight = rng.uniform(0.5, 2.0, size=60)
    found = borne_out(axes, own, target, weight)
    np.testing.assert_array_equal(found, twin(axes, own, target, weight))
    kept = {int(np.flatnonzero((axis == axes.T).all(axis=1))[0]) for axis in found.T}
    assert {0, 1, 3} <= kept  # the first stays: the column was borne out as a whole
    assert 2 not in kept


def rare_and_frequent(n, rng):
    """Eight classes: a column tells the first from all others, and nothing of these."""
    level = rng.integers(6, size=n)
    is_first = rng.random(n) < np.where(level < 3, 0.8, 0.2)
    return level.astype(str)[:, None], np.where(is_first, 0, rng.integers(1, 8, size=n))


def test_a_column_that_tells_one_class_from_the_others_has_few_directions_and_loses_nothing_by_them():
    widths, scores = [], {1: [], "auto": []}
    for seed in range(12):
        rng = np.random.default_rng(seed)
        X, y = rare_and_frequent(40, rng)
        X_test, y_test = rare_and_frequent(2_000, rng)
        for dim, found in scores.items():
            encoder = EntityEmbeddingEncoder(dim, target_type="multiclass", max_iter=0, random_state=seed)
            rows = encoder.fit_transform(X, y)
            model = LogisticRegression(C=10.0, max_iter=1000).fit(rows, y)
            first = model.predict_proba(encoder.transform(X_test))[:, list(model.classes_).index(0)]
            found.append(roc_auc_score(y_test == 0, first))
        widths.append(rows.shape[1])
    assert np.median(widths) <= 2
    assert np.mean(scores["auto"]) > np.mean(scores[1]) - 0.01


def test_classes_that_a_column_does_tell_apart_keep_their_directions():
    rng = np.random.default_rng(0)
    level = rng.integers(5, size=400)
    y = np.where(rng.random(400) < 0.7, level, rng.integers(5, size=400))
    encoder = EntityEmbeddingEncoder(target_type="multiclass", max_iter=0, random_state=0)
    assert encoder.fit_transform(level[:, None], y).shape[1] >= 4
