"""Log-linear mixtures: the weights that held-out classes ask for."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import log_softmax

from skembed.training.log_linear import log_linear_gain, log_linear_weights


def opinions(n=200, n_classes=4, seed=0):
    """Two models, each of which knows half of what decides; and the classes."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(2, n, n_classes))
    p = np.exp(log_softmax(scores.sum(axis=0), axis=1))
    return scores, np.array([rng.choice(n_classes, p=row) for row in p])


def test_weights_are_those_of_the_most_probable_classes_with_a_prior():
    scores, target = opinions()
    weight = np.random.default_rng(1).uniform(0, 2, len(target))
    rows = np.arange(len(target))

    def loss(w):
        logs = log_softmax(w[0] * scores[0] + w[1] * scores[1], axis=1)[rows, target]
        return -(weight * logs).sum() + ((w - [1, 0]) ** 2).sum() / 2

    expected = minimize(loss, [0.3, 0.3], method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-9}).x
    np.testing.assert_allclose(log_linear_weights(scores, target, weight), expected, atol=1e-3)


def test_models_that_know_different_things_add_up():
    scores, target = opinions(5000)
    weights = log_linear_weights(scores, target, np.ones(len(target)))
    np.testing.assert_allclose(weights, 1, atol=0.1)
    assert log_linear_gain(scores, weights, target).mean() > 0.2


def test_what_misleads_has_no_weight():
    scores, target = opinions()
    assert log_linear_weights(np.stack([scores[0], -scores[1]]), target, np.ones(len(target)))[1] == 0


def test_few_classes_say_little():
    scores, target = opinions(1)
    np.testing.assert_allclose(log_linear_weights(scores, target, np.full(1, 1e-9)), [1, 0], atol=1e-6)


def test_gain_is_that_of_the_logarithm():
    scores, target = opinions(50)
    rows = np.arange(50)
    np.testing.assert_allclose(log_linear_gain(scores, np.array([1.0, 0.0]), target), 0, atol=1e-12)
    found = log_linear_gain(scores, np.array([0.5, 0.7]), target)
    mixed, first = (
        np.exp(s) / np.exp(s).sum(axis=1, keepdims=True) for s in (0.5 * scores[0] + 0.7 * scores[1], scores[0])
    )
    np.testing.assert_allclose(found, np.log(mixed[rows, target] / first[rows, target]), atol=1e-12)


def test_numbers_of_rows_do_not_matter():
    """A constant for each row changes nothing: scores need not be logarithms of probabilities."""
    scores, target = opinions()
    shifted = scores + np.random.default_rng(2).normal(size=(2, len(target), 1)) * 50
    weights = [log_linear_weights(s, target, np.ones(len(target))) for s in (scores, shifted)]
    assert weights[0] == pytest.approx(weights[1], abs=1e-3)
