"""Walks and transitions beside their twins in numpy."""

import numpy as np
import pytest
from scipy import sparse

from skembed.kernels.steps import fill_walks
from skembed.kernels.transitions import sum_transitions

N = 12


@pytest.fixture(params=[False, True], ids=["plain", "weighted"])
def matrix(request):
    rng = np.random.default_rng(0)
    upper = np.triu(rng.random((N, N)) < 0.4, 1).astype(float)
    if request.param:
        upper *= rng.integers(1, 5, (N, N))
    upper[0, 1:3] = 1
    X = upper + upper.T
    X[-1] = X[:, -1] = 0  # isolated
    return sparse.csr_matrix(X)


def arrays(matrix):
    equal = (matrix.data == matrix.data[0]).all()
    cumulative = np.empty(0) if equal else np.cumsum(matrix.data)
    return matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32), cumulative


def walks_of(matrix, n, length, p=1.0, q=1.0, first=0, start=0):
    walks = np.empty((n, length), np.int32)
    fill_walks(*arrays(matrix), np.full(n, start, np.int32), first, 7, p, q, walks)
    return walks


def test_walks_follow_edges_and_do_not_depend_on_those_beside(matrix):
    walks = walks_of(matrix, 50, 20, 0.5, 2.0)
    assert (matrix.toarray()[walks[:, :-1], walks[:, 1:]] > 0).all()
    np.testing.assert_array_equal(walks_of(matrix, 10, 20, 0.5, 2.0, first=30), walks[30:40])
    assert len(np.unique(walks, axis=0)) > 40


@pytest.mark.parametrize(("p", "q"), [(1.0, 1.0), (0.25, 4.0), (4.0, 0.25)])
def test_steps_are_drawn_as_node2vec_defines_them(matrix, p, q):
    walks = walks_of(matrix, 40_000, 3, p, q)
    X = matrix.toarray()
    for node in np.unique(walks[:, 1]):
        after = walks[walks[:, 1] == node, 2]
        if len(after) < 3000:
            continue
        bias = np.where(np.arange(N) == 0, 1 / p, np.where(X[0] > 0, 1.0, 1 / q))
        expected = X[node] * bias
        found = np.bincount(after, minlength=N) / len(after)
        np.testing.assert_allclose(found, expected / expected.sum(), atol=4 * np.sqrt(0.25 / len(after)))


@pytest.mark.parametrize("n_steps", [1, 2, 4])
def test_all_paths_are_powers_of_the_transition_matrix(matrix, n_steps):
    X = matrix.toarray()
    degrees = X.sum(axis=1)
    P = X / np.where(degrees > 0, degrees, 1)[:, None]
    expected = sum(degrees[:, None] * np.linalg.matrix_power(P, r) for r in range(1, n_steps + 1)) / n_steps
    np.testing.assert_allclose(summed(matrix, n_steps, 0), expected, rtol=1e-5, atol=1e-6)


def test_drawn_paths_have_them_as_their_mean(matrix):
    np.testing.assert_allclose(summed(matrix, 3, 100_000), summed(matrix, 3, 0), atol=0.1)
    exact, drawn = summed(matrix, 1, 0), summed(matrix, 1, 5)
    np.testing.assert_allclose(drawn, exact, rtol=1e-6)  # the first step is not drawn


def test_first_steps_of_drawn_paths_are_spread_over_the_weights():
    weights, n_paths = np.array([1.0, 5.0, 2.0, 8.0]), 41
    X = np.zeros((N, N))
    X[0, 1:5] = X[1:5, 0] = weights
    X[range(1, 5), range(5, 9)] = X[range(5, 9), range(1, 5)] = 1e12  # whoever comes here goes on to there
    paths = summed(sparse.csr_matrix(X), 2, n_paths)[0, 5:9] / (weights.sum() / 2) * n_paths
    np.testing.assert_allclose(paths, n_paths * weights / weights.sum(), atol=1 + 1e-4)
    np.testing.assert_allclose(paths, np.round(paths), atol=1e-4)
    assert paths.sum() == pytest.approx(n_paths)


def summed(matrix, n_steps, n_paths):
    indptr, indices, cumulative = arrays(matrix)
    columns, values, lengths = np.empty(N * N, np.int32), np.empty(N * N, np.float32), np.empty(N, np.int64)
    degrees = np.asarray(matrix.sum(axis=1)).ravel()
    paths = np.full(N, n_paths, np.int64)
    sum_transitions(
        indptr, indices, matrix.data, cumulative, degrees, 0, N, n_steps, paths, 3, columns, values, lengths
    )
    indptr = np.append(0, np.cumsum(lengths))
    found = sparse.csr_matrix((values[: indptr[-1]], columns[: indptr[-1]], indptr), shape=(N, N))
    return found.toarray()
