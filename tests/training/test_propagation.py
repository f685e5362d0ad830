"""Propagation over a graph: directions that are smoothed, and those that are kept."""

import itertools

import numpy as np
import pytest
from scipy import sparse

from skembed.parallel import open_workers
from skembed.training import propagation
from skembed.training.propagation import (
    BUDGET,
    EXPONENTS,
    NEGATIVE,
    STEPS,
    Filter,
    _factors,
    choose_filter,
    propagate,
)
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


def test_filters_are_told_by_pairs_of_equal_degrees_first(monkeypatch):
    """Against those drawn evenly degrees alone tell most; they decide only among what is as good beyond degrees."""
    areas = {(1, 0.4): (0.70, 0.80), (1, 0.55): (0.69, 0.85), (2, 0.4): (0.5, 0.9), (2, 0.55): (0.6, 0.99)}
    told = iter([area for each in itertools.product(STEPS, EXPONENTS) for area in areas.get(each, (0.4, 0.9))])
    monkeypatch.setattr(propagation, "_auc", lambda *_: next(told))
    upper = np.triu(np.random.default_rng(0).random((60, 60)) < 0.4, 1).astype(float)
    with open_workers(1) as workers:
        graph = Graph.of(sparse.csr_matrix(upper + upper.T))
        assert choose_filter(graph, 8, None, 0, workers) == Filter(1, 0.55)


def test_the_standard_error_of_an_area():
    assert propagation._standard_error(0.5, 100, 100) ** 2 == pytest.approx(201 / (12 * 100 * 100))  # of no signal
    rng = np.random.default_rng(0)
    areas = [propagation._auc(rng.normal(size=80) + 1, rng.normal(size=120)) for _ in range(400)]
    assert np.std(areas) == pytest.approx(propagation._standard_error(np.mean(areas), 80, 120), rel=0.1)


def test_signs_are_those_of_the_nodes_whatever_rounding_made_of_the_directions(graph, monkeypatch):
    eigenvectors, flips = propagation.eigenvectors, np.random.default_rng(0)

    def flipped(*arguments):
        vectors, values = eigenvectors(*arguments)
        return vectors * flips.choice([-1, 1], size=vectors.shape[1]).astype(np.float32), values

    with open_workers(1) as workers:
        expected = propagate(graph, 8, None, 0, workers)
        monkeypatch.setattr(propagation, "eigenvectors", flipped)
        for _ in range(3):
            np.testing.assert_allclose(propagate(graph, 8, None, 0, workers), expected, rtol=1e-3, atol=1e-5)
