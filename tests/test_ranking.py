"""The best k of scores, beside a full stable sort, and their gain, beside scikit-learn's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score

from skembed.ranking import best_k, discounted_gain


@given(st.integers(1, 6), st.integers(1, 12), st.integers(1, 12), st.integers(1, 5), st.integers(0, 1000))
def test_best_k_is_the_beginning_of_a_stable_sort(n_rows, n_items, k, n_values, seed):
    scores = np.random.default_rng(seed).integers(n_values, size=(n_rows, n_items)) * 1.0
    scores[scores == 1] = -np.inf
    k = min(k, n_items)
    assert np.array_equal(best_k(scores, k), np.argsort(-scores, axis=1, kind="stable")[:, :k])


@pytest.mark.parametrize("k", [1, 3, 8])
def test_gain_is_that_of_scikit_learn(k):
    rng = np.random.default_rng(0)
    truth, scores = rng.random((50, 8)) < 0.4, rng.random((50, 8))
    truth[:, 0] = True
    found = discounted_gain(np.take_along_axis(truth, best_k(scores, k), axis=1), truth.sum(axis=1))
    assert found.mean() == pytest.approx(ndcg_score(truth, scores, k=k))
