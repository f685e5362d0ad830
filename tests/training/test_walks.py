"""Walks on a graph: the same ones whenever they are gone over, however they are cut, and kept where they fit."""

import numpy as np
import pytest
from scipy import sparse

from skembed.parallel import Workers, open_workers
from skembed.training import walks as module
from skembed.training.transitions import Graph
from skembed.training.walks import Walks

N_WALKS, LENGTH = 3, 8
SERIAL = Workers(lambda function, tasks: [function(*task) for task in tasks], 1, True)


@pytest.fixture
def graph():
    rng = np.random.default_rng(0)
    upper = np.triu(rng.random((12, 12)) < 0.4, 1)
    upper[:, 5] = upper[5] = False  # a node without neighbours
    return Graph.of(sparse.csr_matrix((upper | upper.T).astype(float)))


@pytest.fixture
def calls(graph):
    """Walks, and how many nodes were asked for in each call that makes some."""
    made = []

    def noted(function, tasks):
        made.append(sum(task[-1].size for task in tasks))
        return [function(*task) for task in tasks]

    return Walks(graph, N_WALKS, LENGTH, 1.0, 1.0, 0, Workers(noted, 1, True)), made


def nodes_of(walks):
    return np.concatenate([chunk.indices for chunk in walks]).reshape(-1, LENGTH)


def test_each_linked_node_begins_as_many_walks_and_edges_are_followed(graph, calls):
    walks, _ = calls
    nodes = nodes_of(walks)
    assert nodes.size == walks.n_tokens
    n_linked = len(set(nodes[:, 0]))
    assert 5 not in nodes
    assert sorted(nodes[:, 0]) == sorted(N_WALKS * sorted(set(nodes[:, 0])))
    assert n_linked * N_WALKS == len(nodes)
    edges = graph.adjacency.toarray() > 0
    assert edges[nodes[:, :-1], nodes[:, 1:]].all()
    np.testing.assert_array_equal(walks.counts(12), np.bincount(nodes.ravel(), minlength=12))


@pytest.mark.parametrize("scale", [1.0, 1e-9, 1e-10, 1e-20, 1e-300])
def test_weights_count_beside_those_of_their_node_alone(scale):
    weights = np.zeros((5, 5))
    weights[0, 1] = 1.0
    weights[2, 3], weights[2, 4] = scale, 3 * scale
    graph = Graph.of(sparse.csr_matrix(weights + weights.T))
    (drawn,) = [chunk.indices.reshape(-1, 2) for chunk in Walks(graph, 4000, 2, 1.0, 1.0, 0, SERIAL)]
    to = np.bincount(drawn[drawn[:, 0] == 2, 1], minlength=5) / 4000
    np.testing.assert_allclose(to, [0, 0, 0, 0.25, 0.75], atol=0.03)


def test_sums_of_weights_are_of_all_edges_unless_some_would_vanish():
    weights = np.zeros((4, 4))
    weights[0, 1], weights[2, 3] = 1.0, 2.0**-30
    graph = Graph.of(sparse.csr_matrix(weights + weights.T))
    np.testing.assert_array_equal(graph.cumulative(), np.cumsum(graph.adjacency.data))
    weights[2, 3] = 2.0**-33
    graph = Graph.of(sparse.csr_matrix(weights + weights.T))
    np.testing.assert_array_equal(graph.cumulative(), [1, 2, 3, 4])


def test_walks_that_fit_are_made_once(calls):
    walks, made = calls
    first = nodes_of(walks)
    np.testing.assert_array_equal(nodes_of(walks), first)
    assert made == [walks.n_tokens]


@pytest.mark.parametrize("kept", [10**6, 1])
def test_cuts_and_what_is_kept_change_no_walk(graph, calls, kept, monkeypatch):
    walks, made = calls
    expected = nodes_of(walks)
    monkeypatch.setattr(module, "NODES_PER_CHUNK", 5 * LENGTH)
    monkeypatch.setattr(module, "KEPT", kept)
    with open_workers(2) as workers:
        other = Walks(graph, N_WALKS, LENGTH, 1.0, 1.0, 0, workers)
        assert max(len(chunk) for chunk in other) == 5
        np.testing.assert_array_equal(nodes_of(other), expected)
        np.testing.assert_array_equal(nodes_of(other), expected)
    made.clear()
    again = Walks(graph, N_WALKS, LENGTH, 1.0, 1.0, 0, walks._workers)
    nodes_of(again), nodes_of(again)
    assert sum(made) == again.n_tokens * (1 if kept > 1 else 2)
