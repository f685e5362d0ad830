"""Parameters of NodeEmbedder, each seen in what is learned, and what is told of a fit."""

import numpy as np
import pytest
from constraints import check_taken_and_refused
from scipy import sparse

from skembed import NodeEmbedder

RNG = np.random.default_rng(0)
WEIGHTS = np.triu(np.where(RNG.random((40, 40)) < 0.15, RNG.integers(1, 4, (40, 40)), 0), 1).astype(float)
GRAPH = WEIGHTS + WEIGHTS.T
FAST = {"embedding_dim": 4, "random_state": 0, "n_walks": 2, "walk_length": 6}


def fit(**parameters):
    return NodeEmbedder(**(FAST | parameters)).fit(GRAPH)


@pytest.mark.parametrize(
    ("method", "changes"),
    [
        ("prone", {"embedding_dim": 3}),
        ("prone", {"window": 3}),
        ("netmf", {"window": 2}),
        ("spectral", {"embedding_dim": 3}),
        ("node2vec", {"p": 0.25}),
        ("node2vec", {"q": 4.0}),
        ("node2vec", {"n_walks": 3}),
        ("node2vec", {"walk_length": 9}),
        ("node2vec", {"window": 1}),
        ("node2vec", {"negative": 2}),
        ("node2vec", {"learning_rate": 0.2}),
        ("node2vec", {"max_iter": 2}),
        ("node2vec", {"random_state": 1}),
        ("deepwalk", {"random_state": 1}),
        ("deepwalk", {"max_iter": 2}),
    ],
)
def test_each_parameter_changes_what_is_learned(method, changes):
    one = fit(method=method)
    other = fit(method=method, **changes)
    same = one.embedding_.shape == other.embedding_.shape and np.allclose(
        one.embedding_.vectors, other.embedding_.vectors
    )
    assert not same
    np.testing.assert_array_equal(fit(method=method, **changes).embedding_.vectors, other.embedding_.vectors)


@pytest.mark.parametrize(("method", "passes"), [("prone", 0), ("deepwalk", 3), ("node2vec", 3)])
def test_what_is_told_of_passes(method, passes):
    embedder = fit(method=method, max_iter=3)
    assert len(embedder.loss_curve_) == passes
    assert embedder.n_iter_ == max(passes, 1)
    assert embedder.embedding_.keys.tolist() == list(range(40))
    assert embedder.embedding_.vectors.dtype == np.float32
    assert embedder.get_feature_names_out().tolist() == [f"nodeembedder{i}" for i in range(4)]


def test_fit_transform_gives_rows_of_its_own_and_links_beyond_float64_are_scaled():
    embedder = NodeEmbedder(**FAST)
    rows = embedder.fit_transform(GRAPH)
    np.testing.assert_array_equal(rows, embedder.embedding_.vectors)
    rows[:] = 0  # it may be written to
    assert embedder.embedding_.vectors.any()
    huge = fit_of(GRAPH * 1e307)
    np.testing.assert_allclose(huge.embedding_.vectors, embedder.embedding_.vectors, atol=1e-4)
    assert not embedder.transform(np.zeros((2, 40))).any()
    with np.errstate(over="ignore"):
        assert np.isfinite(huge.transform(GRAPH)).all()


def fit_of(graph):
    return NodeEmbedder(**FAST).fit(sparse.csr_matrix(graph))


def test_tags():
    tags = NodeEmbedder().__sklearn_tags__()
    assert tags.input_tags.pairwise
    assert tags.input_tags.sparse
    assert tags.input_tags.positive_only
    assert tags.transformer_tags.preserves_dtype == ["float32"]


TAKEN = {
    "embedding_dim": ([1, 5, np.int32(2)], [0, -1, 1.5, None]),
    "random_state": ([None, 0, 7, np.random.RandomState(0)], [-1, "a", 1.5]),
    "method": (["prone", "netmf", "node2vec", "deepwalk", "spectral", "random-projection"], ["line", None]),
    "nodes": ([None, ["a", "b"], np.array([1, 2])], [3, "a"]),
    "window": ([None, 1, 9], [0, -1, 1.5]),
    "negative": ([1, 5, np.int32(2)], [0, -1, 1.5, None]),
    "n_walks": ([1, 5, np.int32(2)], [0, -1, 1.5, None]),
    "walk_length": ([2, 80], [1, 0, 2.5, None]),
    "max_iter": ([1, 5, np.int32(2)], [0, -1, 1.5, None]),
    "p": ([1e-9, 1, 4.0], [0, 0.0, -1, None]),
    "q": ([1e-9, 1, 4.0], [0, 0.0, -1, None]),
    "learning_rate": ([1e-9, 0.5, 1], [0, 0.0, -1, None]),
    "n_jobs": ([None, 1, -1], [1.5, "all"]),
    "verbose": ([0, 1, True], ["yes", -1]),
}


@pytest.mark.parametrize("name", TAKEN)
def test_values_that_are_taken_and_that_are_refused(name):
    check_taken_and_refused(NodeEmbedder, name, *TAKEN[name])


def test_each_parameter_is_in_the_table():
    assert set(TAKEN) == set(NodeEmbedder().get_params())
