"""Propagation over a graph: directions that are smoothed, and those that are kept."""

import numpy as np
import pytest
from scipy import sparse

from skembed.parallel import open_workers
from skembed.training.propagation import BUDGET, NEGATIVE, _factors, propagate
from skembed.training.transitions import Graph, log_transitions

N = 40


@pytest.fixture(scope="module")
def graph():
    block = np.arange(N) % 4
    rng = np.random.default_rng(0)
    upper = np.triu(rng.random((N, N)) < np.where(block[:, None] == block, 0.6, 0.05), 1).astype(float)
    return Graph.of(sparse.csr_matrix(upper + upper.T))


@pytest.mark.parametrize(("dim", "n_factors"), [(4, 6), (10, 15), (30, N)])
def test_half_as_many_directions_again_are_smoothed_as_are_kept(graph, dim, n_factors):
    with open_workers(1) as workers:
        logs = log_transitions(graph, None, NEGATIVE, BUDGET, 0, workers)
        vectors = _factors(logs, dim, 0, workers, n_products=4)
        kept = propagate(graph, dim, None, 0, workers)
    assert vectors.shape == (N, n_factors)
    assert kept.shape[1] <= dim
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
