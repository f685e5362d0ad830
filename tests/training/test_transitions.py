"""Logarithms of transitions beside powers of matrices, and what a budget leaves of them."""

import numpy as np
import pytest
from scipy import sparse

from skembed.parallel import open_workers
from skembed.training import transitions
from skembed.training.transitions import Graph, log_transitions

N = 60


@pytest.fixture(scope="module")
def graph():
    """A ring with a hub that is linked to all of it, through which most paths lead, and a ring without."""
    X = np.zeros((N, N))
    X[:40, :40], X[40:, 40:] = np.roll(np.eye(40), 1, axis=1), np.roll(np.eye(20), 1, axis=1)
    X[0, 1:40] = 1
    return Graph.of(sparse.csr_matrix(np.maximum(X, X.T)))


def logs(graph, n_steps, budget, negative=1.0):
    with open_workers(2) as workers:
        return log_transitions(graph, n_steps, negative, budget, 0, workers)


def expected(graph, n_steps, negative=1.0):
    P = graph.transitions().toarray()
    mean = sum(np.linalg.matrix_power(P, r) for r in range(1, n_steps + 1)) / n_steps
    return np.log(np.maximum(graph.degrees.sum() / negative * mean / graph.degrees, 1.0))


@pytest.mark.parametrize("n_steps", [1, 2, 4])
@pytest.mark.parametrize("negative", [1.0, 0.2])
def test_all_paths_are_powers_of_the_matrix(graph, n_steps, negative):
    found = logs(graph, n_steps, 10**9, negative).toarray()
    np.testing.assert_allclose(found, expected(graph, n_steps, negative), atol=1e-4)


@pytest.mark.parametrize(("budget", "n_steps"), [(10**9, 5), (1, 2)])
def test_as_many_steps_are_taken_as_the_budget_allows_from_two_to_five(graph, budget, n_steps, monkeypatch):
    taken = []
    monkeypatch.setattr(transitions, "sum_transitions", lambda *arguments: taken.append(arguments[7]))
    monkeypatch.setattr(transitions, "_truncated_log", lambda *_: None)
    with open_workers(1) as workers:
        log_transitions(graph, None, 1.0, budget, 0, workers)
    assert set(taken) == {n_steps}


def test_where_all_paths_are_beyond_the_budget_those_of_nodes_with_most_are_drawn(graph, monkeypatch):
    drawn = []
    original = transitions.sum_transitions

    def noted(*arguments):
        drawn.append(arguments[8])
        return original(*arguments)

    monkeypatch.setattr(transitions, "sum_transitions", noted)
    monkeypatch.setattr(transitions, "SUMMED", 1)
    budget = N * 50
    found = logs(graph, 3, budget).toarray()
    lengths = np.diff(graph.indptr)
    two_steps = np.minimum((graph.adjacency > 0) @ lengths, graph.adjacency.nnz)
    cost = lengths + two_steps + np.minimum((graph.adjacency > 0) @ two_steps, graph.adjacency.nnz)
    assert 0 < (cost > 50).sum() < N
    np.testing.assert_array_equal(drawn[0], np.where(cost > 50, 25, 0))  # two drawn steps of each path
    np.testing.assert_array_equal(found, found.T)
    assert np.corrcoef(found.ravel(), expected(graph, 3).ravel())[0, 1] > 0.9
    for summed, of_budget, draws in (
        (1, cost.sum(), False),
        (1, cost.sum() - 1, True),
        (cost.sum() / budget, budget, False),  # the matrix is as small, and it takes no longer
        (cost.sum() / budget - 1e-3, budget, True),
        (1e9, np.minimum(cost, N).sum(), False),
        (1e9, np.minimum(cost, N).sum() - 1, True),
    ):
        drawn.clear()
        monkeypatch.setattr(transitions, "SUMMED", summed)
        logs(graph, 3, int(of_budget))
        assert drawn[0].any() == draws


def test_probabilities_too_small_for_a_number_are_none():
    """They had been listed again by each path that reached them, beyond the end of the list."""
    rng = np.random.default_rng(0)
    upper = np.triu((rng.random((300, 300)) < 0.05) * 10.0 ** rng.uniform(-300, 0, (300, 300)), 1)
    graph = Graph.of(sparse.csr_matrix(upper + upper.T))
    with open_workers(1) as workers:
        logs = log_transitions(graph, 4, 1.0, 1 << 22, 0, workers)
    assert np.isfinite(logs.data).all()
    assert (np.diff(logs.indptr) <= 300).all()
    assert logs.nnz == len(set(zip(*logs.nonzero())))
