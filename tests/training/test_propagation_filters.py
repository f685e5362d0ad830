"""Propagation written out on dense matrices: which filter is chosen by held-out edges, and what it makes of vectors."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.metrics import roc_auc_score

from skembed.apply.neighbors import mean_over_neighbors
from skembed.parallel import open_workers
from skembed.training import propagation
from skembed.training.propagation import BUDGET, EXPONENTS, STEPS, Filter, choose_filter, propagate
from skembed.training.sparse import RowMatrix, even_parts, gram, rotated
from skembed.training.sparse import eigenvectors as found_eigenvectors
from skembed.training.transitions import Graph, log_transitions

N = 60


@pytest.fixture(scope="module")
def graph():
    block, rng = np.arange(N) % 3, np.random.default_rng(0)
    upper = np.triu(rng.random((N, N)) < np.where(block[:, None] == block, 0.35, 0.05), 1).astype(float)
    upper[:, 50] = upper[50] = 0.0  # a node without neighbours
    upper *= rng.uniform(0.5, 2, (N, N))
    return Graph.of(sparse.csr_matrix(upper + upper.T))


def slow_step(graph, vectors):
    """To the mean of neighbours, at a length that says how many they are."""
    return mean_over_neighbors(graph.adjacency, vectors.astype(np.float32), 1.0).astype(float)


def slow_factors(graph, dim, budget, seed, n_products):
    with open_workers(1) as workers:
        logs = log_transitions(graph, None, 1.0, budget, seed, workers)
        vectors, values = found_eigenvectors(RowMatrix(logs, workers), min(int(1.5 * dim), N), seed, n_products)
    scaled = vectors * np.sqrt(np.abs(values))
    norms = np.linalg.norm(scaled, axis=1, keepdims=True)
    return scaled / np.where(norms > 0, norms, 1)


def slow_turn(smoothed, exponent, dim):
    """Singular values raised to a power, the largest of them one."""
    _, values, axes = np.linalg.svd(smoothed, full_matrices=False)
    kept = values**2 > 1e-9 * values[0] ** 2
    values, axes = values[kept][:dim], axes[kept][:dim].T
    return axes * (values / values[0]) ** (exponent - 1)


def test_the_filter_tells_held_out_edges_from_other_pairs(graph):
    seed, dim = 4, 5
    rng = np.random.default_rng((seed, 1))
    dense = graph.adjacency.toarray()
    edges = np.argwhere(np.triu(dense, 1))
    chosen = rng.choice(len(edges), int(0.1 * len(edges)), replace=False)
    held_out = edges[chosen]
    left = dense.copy()
    left[held_out[:, 0], held_out[:, 1]] = left[held_out[:, 1], held_out[:, 0]] = 0.0
    train = Graph.of(sparse.csr_matrix(left))
    n = len(held_out)
    assert n >= 10

    def strangers(pairs):
        return np.array([(a, b) for a, b in pairs if a != b and dense[a, b] == 0][:n])

    evenly = strangers(rng.integers(N, size=(2 * n, 2)))
    ends = graph.indices
    by_degree = strangers(ends[rng.integers(len(ends), size=(2 * n, 2))])
    vectors = slow_factors(train, dim, BUDGET // 4, seed, 2)
    counts = np.diff(train.indptr)
    shares = np.sqrt(counts / (counts + 1.0))
    scores = {}
    for n_steps in STEPS:
        vectors = slow_step(train, vectors)
        for exponent in EXPONENTS:
            turned = vectors @ slow_turn(vectors, exponent, dim)
            norms = np.linalg.norm(turned, axis=1, keepdims=True)
            unit = turned / np.where(norms > 0, norms, 1) * shares[:, None]

            def area(others, unit=unit):
                both = np.concatenate([held_out, others])
                is_edge = np.arange(len(both)) < n
                return roc_auc_score(is_edge, (unit[both[:, 0]] * unit[both[:, 1]]).sum(axis=1))

            scores[n_steps, exponent] = area(by_degree), area(evenly)
    best = max(area for area, _ in scores.values())
    least = best - propagation._standard_error(best, n, len(by_degree))
    expected = max((f for f in scores if scores[f][0] >= least), key=lambda f: scores[f][1])
    with open_workers(1) as workers:
        assert choose_filter(graph, dim, None, seed, workers) == Filter(*expected)


@pytest.mark.parametrize("chosen", [Filter(1, 0.4), Filter(3, 0.55)])
def test_vectors_are_smoothed_turned_and_put_in_order(graph, chosen, monkeypatch):
    monkeypatch.setattr(propagation, "choose_filter", lambda *told: chosen)
    dim = 6
    with open_workers(1) as workers:
        found = propagate(graph, dim, None, 4, workers)
    vectors = slow_factors(graph, dim, BUDGET, 4, 4)
    for _ in range(chosen.n_steps - 1):
        vectors = slow_step(graph, vectors)
    smoothed = slow_step(graph, vectors)
    expected = vectors @ slow_turn(smoothed, chosen.exponent, dim)
    assert found.dtype == np.float32
    assert found.shape == expected.shape == (N, dim)
    # the same dimensions in any order and of either sign
    alike = np.abs(found.T @ expected) / np.linalg.norm(found, axis=0)[:, None] / np.linalg.norm(expected, axis=0)
    order = alike.argmax(axis=1)
    assert sorted(order) == list(range(dim))
    np.testing.assert_allclose(np.abs(found), np.abs(expected[:, order]), rtol=1e-2, atol=1e-3)
    means = slow_step(graph, found)
    spreads = (means**2).sum(axis=0)
    assert (np.diff(spreads) < 0).all()
    for column in means.T:
        far_out = column[np.abs(column) >= 0.5 * np.abs(column).max()]
        assert far_out[0] > 0


def test_a_window_and_steps_are_passed_on(graph, monkeypatch):
    asked, logs = [], propagation.log_transitions
    monkeypatch.setattr(propagation, "log_transitions", lambda *told: asked.append(told[1:5]) or logs(*told))
    with open_workers(1) as workers:
        propagate(graph, 4, 3, 7, workers)
    assert asked == [(3, 1.0, BUDGET // 4, 7), (3, 1.0, BUDGET, 7)]


@pytest.mark.parametrize(("size", "expected"), [(N * 9, 9), (N * 9 - 1, 2)])
def test_filters_of_large_graphs_are_compared_in_few_dimensions(graph, size, expected, monkeypatch):
    asked, factors = [], propagation._factors
    monkeypatch.setattr(propagation, "CHOICE_SIZE", size)
    monkeypatch.setattr(propagation, "CHOICE_DIM", 2)
    monkeypatch.setattr(
        propagation,
        "_factors",
        lambda *told, n_products: asked.append((told[1], n_products)) or factors(*told, n_products=n_products),
    )
    with open_workers(1) as workers:
        choose_filter(graph, 9, None, 4, workers)
    assert asked == [(expected, 2)]


def test_where_nothing_can_be_held_out_the_filter_is_two_steps(graph):
    full = sparse.csr_matrix(1.0 - np.eye(25))
    path = sparse.diags([np.ones(40)] * 2, [1, -1], shape=(41, 41), format="csr")
    with open_workers(1) as workers:
        for adjacency in (full, path, sparse.csr_matrix((5, 5))):
            assert choose_filter(Graph.of(adjacency), 4, None, 0, workers) == Filter(2, 0.4)


def test_a_split_takes_whole_edges_and_leaves_the_others(graph, monkeypatch):
    dense = graph.adjacency.toarray()
    n_edges = np.count_nonzero(np.triu(dense))
    for most in (propagation.MAX_PAIRS, 7):
        monkeypatch.setattr(propagation, "MAX_PAIRS", most)
        train, held_out = propagation._split(graph.adjacency, np.random.default_rng(0))
        assert len(held_out) == min(int(0.1 * n_edges), most)
        left = train.adjacency.toarray()
        assert (held_out[:, 0] < held_out[:, 1]).all()
        assert (dense[held_out[:, 0], held_out[:, 1]] > 0).all()
        assert (left[held_out[:, 0], held_out[:, 1]] == 0).all()
        np.testing.assert_array_equal(left, left.T)
        assert np.count_nonzero(left) == np.count_nonzero(dense) - 2 * len(held_out)
        np.testing.assert_array_equal(left[left > 0], dense[left > 0])
    few = sparse.csr_matrix(np.diag([1.0, 2.0], 1) + np.diag([1.0, 2.0], -1))
    train, held_out = propagation._split(few, np.random.default_rng(0))
    assert held_out.shape == (0, 2)
    assert (train.adjacency != few).nnz == 0


def test_values_among_others():
    found = propagation._among(np.array([0, 3, 9, 12, 5]), np.array([3, 5, 9]))
    assert found.tolist() == [False, True, True, False, True]
    assert propagation._among(np.array([1, 2]), np.empty(0, int)).tolist() == [False, False]


@pytest.mark.parametrize("chunk", [3, 1 << 14])
def test_products_of_pairs_are_cosines_of_nodes_with_many_neighbours(graph, chunk, monkeypatch):
    monkeypatch.setattr(propagation, "CHUNK", chunk)
    rng = np.random.default_rng(0)
    smoothed, rotation = rng.normal(size=(N, 4)).astype(np.float32), rng.normal(size=(4, 3))
    smoothed[5] = 0.0
    pairs = np.array([[0, 1], [2, 3], [5, 6], [7, 7], [50, 1], [8, 9], [10, 11]])
    turned = smoothed @ rotation
    expected, counts = [], np.diff(graph.indptr)
    for a, b in pairs:
        norms = np.linalg.norm(turned[a]) * np.linalg.norm(turned[b])
        cosine = turned[a] @ turned[b] / norms if norms else 0.0
        expected.append(cosine * np.sqrt(counts[a] / (counts[a] + 1) * counts[b] / (counts[b] + 1)))
    np.testing.assert_allclose(propagation._products(smoothed, rotation, graph, pairs), expected, rtol=1e-4, atol=1e-6)


def test_rotations_of_nothing_are_a_column_of_zeros():
    assert propagation._rotation(np.zeros((0, 0)), 0.5, 3).shape == (0, 1)
    np.testing.assert_array_equal(propagation._rotation(np.zeros((4, 4)), 0.5, 3), np.zeros((4, 1)))
    kept = propagation._rotation(np.diag([4.0, 1e-12, 1.0]), 0.5, 3)
    np.testing.assert_allclose(np.abs(kept), [[1, 0], [0, 0], [0, 0.25 ** (-0.25)]])
    assert propagation._rotation(np.diag([4.0, 2.0, 1.0]), 1.0, 2).shape == (3, 2)


def test_areas_count_ties_as_half():
    positive, negative = np.array([3.0, 1.0, 2.0]), np.array([1.0, 0.0])
    assert propagation._auc(positive, negative) == pytest.approx((2 + 1.5 + 2) / 6)


# ------------------------------------------------------------------------------------------- sparse products


@pytest.mark.parametrize("costs", [[5], [0, 0, 0], [1] * 200, [10**6, *[1] * 100], [*[1] * 100, 1000]])
def test_parts_hold_each_row_once_at_about_equal_cost(costs):
    parts = even_parts(np.array(costs))
    assert [row for begin, end in parts for row in range(begin, end)] == list(range(len(costs)))
    assert len(parts) <= 64
    if len(costs) == 200:
        assert {end - begin for begin, end in parts} <= {3, 4}


@pytest.mark.parametrize("chunk", [4, 1 << 13])
def test_tables_are_multiplied_in_chunks(chunk, monkeypatch):
    from skembed.training import sparse as module

    monkeypatch.setattr(module, "CHUNK", chunk)
    rng = np.random.default_rng(0)
    left, right = (rng.normal(size=(30, width)).astype(np.float32) for width in (3, 2))
    with open_workers(2) as workers:
        products = gram(left, right, workers)
        assert products.dtype == np.float64
        np.testing.assert_allclose(products, left.T.astype(float) @ right, rtol=1e-4, atol=1e-5)
        turned = rotated(left, rng.normal(size=(3, 5)), workers)
        assert (turned.shape, turned.dtype) == ((30, 5), np.float32)
        assert rotated(left[:0], np.ones((3, 5)), workers).shape == (0, 5)
        assert gram(left[:0], right[:0], workers).shape == (3, 2)


@pytest.mark.parametrize("rank", [2, 40])
def test_eigenvectors_of_greatest_absolute_value(rank):
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.normal(size=(50, rank)))[0]
    values = np.array([(-0.7) ** k for k in range(rank)])
    matrix = sparse.csr_matrix((basis * values) @ basis.T)
    with open_workers(1) as workers:
        vectors, found = found_eigenvectors(RowMatrix(matrix, workers), 4, 0, n_products=5)
        k = min(4, rank)
        np.testing.assert_allclose(found, values[:k], rtol=1e-3)
        np.testing.assert_allclose(np.abs((vectors * basis[:, :k]).sum(axis=0)), 1.0, atol=1e-3)
        none, nothing = found_eigenvectors(RowMatrix(sparse.csr_matrix((9, 9)), workers), 4, 0, n_products=3)
        assert none.shape == (9, 0)
        assert nothing.shape == (0,)
