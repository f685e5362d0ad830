"""How a target is coded: numbers and classes, what least squares works on, and where a net begins."""

import numpy as np
import pytest

from skembed.data.target import Target, as_columns

Y = np.array([[1.0, 3.0], [2.0, 5.0], [4.0, 9.0], [4.0, 3.0]])
WEIGHT = np.array([1.0, 2.0, 1.0, 4.0])


def learn(y, kind, **options):
    return Target.learn(y, kind, np.ones(len(y)), **options)


def test_numbers_are_coded_by_their_weighted_mean_and_spread():
    target = Target.learn(Y, "continuous", WEIGHT)
    mean = np.average(Y, axis=0, weights=WEIGHT)
    spread = np.sqrt(np.average((Y - mean) ** 2, axis=0, weights=WEIGHT))
    np.testing.assert_allclose(target.code(Y), (Y - mean) / spread)
    assert (target.type_, target.n_targets, target.varies) == ("continuous-multioutput", 2, True)
    np.testing.assert_allclose(target.standardise(Y).toarray(), target.code(Y))
    np.testing.assert_array_equal(target.offset(Y), Y)  # a number begins where least squares has it
    with pytest.raises(ValueError, match=r"y has 1 columns; expected 2 as in the first fit\."):
        target.code(Y[:, 0])


def test_a_target_that_does_not_vary():
    target = learn(np.full(5, 7.0), "continuous")
    assert not target.varies
    np.testing.assert_array_equal(target.code(np.array([7.0, 9.0])), [[0.0], [2.0]])


@pytest.mark.parametrize("n_rare", [1, 5, 25])
def test_two_classes_begin_at_logits_that_are_kept_from_both_ends(n_rare):
    y = np.arange(50) < n_rare
    target = learn(y, "binary")
    share = n_rare / 50
    spread = np.sqrt(share * (1 - share))
    np.testing.assert_array_equal(target.code(y)[:, 0], y)
    np.testing.assert_allclose(target.standardise(y).toarray()[:, 0], (y - share) / spread)
    floor = min(0.02, share / 3)
    for effect in (-9.0, -0.1, 0.0, 0.3, 9.0):
        p = np.clip(share + spread * effect, floor, 1 - floor)
        np.testing.assert_allclose(target.offset(np.array([[effect]])), [[np.log(p / (1 - p))]])


def test_more_classes_begin_at_logarithms_of_probabilities_that_sum_to_one():
    y = np.repeat(["a", "b", "c"], [30, 15, 5])
    target = learn(y, "multiclass")
    shares = np.array([0.6, 0.3, 0.1])
    scale = np.sqrt(np.mean(shares * (1 - shares)))
    np.testing.assert_array_equal(target.code(y), y[:, None] == np.unique(y))
    np.testing.assert_allclose(target.standardise(y).toarray(), (target.code(y) - shares) / scale)
    floor = np.minimum(0.02, np.minimum(shares, 1 - shares) / 3)
    for effects in ([0.1, -0.2, 0.1], [5.0, -5.0, 0.0], [0.0, 0.0, 0.0]):
        p = np.clip(shares + scale * np.array(effects), floor, 1 - floor)
        np.testing.assert_allclose(target.offset(np.array([effects])), [np.log(p / p.sum())])


@pytest.mark.parametrize("kind", ["continuous", "binary", "multiclass"])
def test_losses_are_those_of_scores(kind):
    rng = np.random.default_rng(0)
    y = rng.integers(2 if kind == "binary" else 3, size=(20, 2))
    target = learn(y, kind)
    coded, scores = target.code(y), rng.normal(size=(20, target.n_targets))
    expected = np.zeros(20)
    for j, scores_of in enumerate(np.split(scores, 2, axis=1)):
        if kind == "continuous":
            expected += 0.5 * (scores_of[:, 0] - coded[:, j]) ** 2
        else:
            logits = np.hstack([np.zeros((20, 1)), scores_of]) if kind == "binary" else scores_of
            shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
            expected -= np.log(shares[np.arange(20), y[:, j]])
    np.testing.assert_allclose(target.losses(scores, coded), expected)


def test_classes_that_y_does_not_show():
    target = learn(np.array([1, 2, 2]), "auto", classes=[1, 2, 3])
    assert (target.type_, target.n_targets) == ("multiclass", 3)
    np.testing.assert_array_equal(target.code(np.array([3])), [[0, 0, 1]])


@pytest.mark.parametrize("kind", ["f8", "i4"])
def test_numbers_of_another_byte_order_are_the_same_numbers(kind):
    found = as_columns(np.array([3, 1, 2], dtype=f">{kind}"))
    assert found.dtype == np.dtype(f"={kind}")
    assert found.tolist() == [[3], [1], [2]]
