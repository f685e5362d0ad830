"""Methods behind one door, of items, keys and nodes: what each trainer is told, and what becomes of what it learned."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from skembed.data.ragged import Ragged
from skembed.parallel import open_workers
from skembed.training import cooccurrence, factorization, glove, interactions, nodes, sequences
from skembed.training.ease import EaseTables
from skembed.training.interactions import InteractionSettings, ItemTables, learn_items, method_for, passes_for
from skembed.training.keys import KeySettings, KeyTables, LearnedColumns, learn_keys
from skembed.training.nodes import NodeSettings, learn_nodes
from skembed.training.run import Run
from skembed.training.sequences import SequenceSettings, SequenceTables, uniform_vectors
from skembed.training.sparse import RowMatrix, eigenvectors
from skembed.training.transitions import Graph, log_transitions
from skembed.training.walks import Walks


@pytest.fixture
def X():
    dense = np.random.default_rng(0).random((50, 9)) < 0.4
    dense[:, 8] = False  # an item that nobody has
    return sparse.csr_matrix(dense * np.arange(1, 10), dtype=np.float32)


@pytest.fixture
def told(monkeypatch):
    """What `train_sequences` is called with; it returns numbers of its own."""
    calls = []

    def train(chunks, counts, settings, run, **others):
        calls.append((chunks, counts, settings, run, others))
        n, dim = len(counts), settings.embedding_dim
        tables = np.random.default_rng(5).normal(size=(2, n, dim)).astype(np.float32)
        return SequenceTables(*tables, [0.5, 0.25])

    for module in (sequences, nodes):
        monkeypatch.setattr(module, "train_sequences", train)
    return calls


# ------------------------------------------------------------------------------------------------------------ items


def test_item2vec_is_skip_gram_on_shuffled_baskets_beside_the_logarithm_of_the_noise(X, told):
    tables = learn_items(X, InteractionSettings("item2vec", 5, max_iter=7), Run(3))
    ((_chunks, counts, settings, run, others),) = told
    assert settings == SequenceSettings(
        4, window=5, shrink_window=False, subsample=0.0, learning_rate=0.05, max_iter=7
    )  # fmt: skip
    assert (run.seed, others) == (3, {})
    expected = np.asarray((X > 0).sum(axis=0)).ravel()
    np.testing.assert_array_equal(counts, expected)
    inputs, outputs = np.random.default_rng(5).normal(size=(2, 9, 4)).astype(np.float32)
    noise = 0.75 * np.log(np.maximum(expected, 0.5))
    np.testing.assert_array_equal(tables.input, np.column_stack([inputs, np.ones(9)]))
    np.testing.assert_allclose(tables.output, np.column_stack([outputs, noise - noise.mean()]), rtol=1e-5)
    assert tables.input.dtype == tables.output.dtype == np.float32
    assert tables.loss_curve == [0.5, 0.25]


def test_one_dimension_of_item2vec_has_no_place_for_the_noise(X, told):
    tables = learn_items(X, InteractionSettings("item2vec", 1), Run(3))
    assert told[0][2].embedding_dim == 1
    assert told[0][2].max_iter == 20
    assert tables.input.shape == tables.output.shape == (9, 1)
    assert tables.loss_curve == [0.5, 0.25]
    learn_items(X, InteractionSettings("item2vec", 2), Run(3))
    assert told[1][2].embedding_dim == 1


def test_baskets_are_shuffled_anew_in_each_pass(X):
    baskets = interactions._ShuffledBaskets(X, 4)
    (first,), (second,) = baskets, baskets
    again = next(iter(interactions._ShuffledBaskets(X, 4)))
    other = next(iter(interactions._ShuffledBaskets(X, 5)))
    for chunk in (first, second, other):
        np.testing.assert_array_equal(chunk.indptr, X.indptr)
        assert (chunk.indptr.dtype, chunk.indices.dtype) == (np.int64, np.int32)
        for row in range(50):
            part = slice(X.indptr[row], X.indptr[row + 1])
            assert sorted(chunk.indices[part]) == X.indices[part].tolist()
    np.testing.assert_array_equal(first.indices, again.indices)
    assert (first.indices != second.indices).any()
    assert (first.indices != other.indices).any()


def test_popularity_is_the_share_of_the_most_popular(X):
    tables = learn_items(X, InteractionSettings("popularity", 5), Run(0))
    sums = np.asarray(X.sum(axis=0)).ravel()
    np.testing.assert_allclose(tables.output.ravel(), sums / sums.max(), rtol=1e-6)
    assert not tables.input.any()
    assert tables.input.shape == tables.output.shape == (9, 1)
    assert tables.output.dtype == np.float32
    assert not learn_items(X * 0, InteractionSettings("popularity", 5), Run(0)).output.any()


@pytest.mark.parametrize("dim", [3, 20])
def test_svd_has_the_right_singular_vectors_largest_entries_positive(X, dim):
    tables = learn_items(X, InteractionSettings("svd", dim), Run(0))
    _, values, vectors = np.linalg.svd(X.toarray().astype(float))
    rank = min(dim, int((values > 1e-5).sum()))
    assert tables.input is tables.output
    assert tables.input.dtype == np.float32
    assert tables.input.flags.c_contiguous
    assert tables.input.shape == (9, rank)
    expected = vectors[:rank].T
    expected = expected * np.sign(expected[np.abs(expected).argmax(axis=0), np.arange(rank)])
    np.testing.assert_allclose(tables.input, expected, atol=1e-3)
    assert learn_items(X * 0, InteractionSettings("svd", dim), Run(0)).input.shape == (9, 1)


def test_closed_form_and_alternating_least_squares_are_told_their_settings(X, monkeypatch):
    calls = []
    tables = interactions.ItemTables(1, 2, 3.0, 0.5, [(1, 2, 3)], (), 0.5, 0.3)
    learned = EaseTables(1, 2, 3.0, 0.5, [(1, 2, 3)], 0.3)
    monkeypatch.setattr(interactions, "learn_ease", lambda *told: calls.append(told) or learned)
    settings = InteractionSettings("ease", 5, 7.0, 0.25, 0.5, 0.1, value_exponent=0.5, prior=None)
    assert learn_items(X, settings, Run(3)) == tables
    assert calls[0][1:] == (interactions.EaseSettings(5, 7.0, 0.25, 0.5, None), Run(3))
    np.testing.assert_allclose(calls[0][0].toarray(), X.toarray() ** 0.5, rtol=1e-6)
    assert calls[0][0].dtype == np.float32

    class Fitted:
        items, penalty, trials, loss_curve = "vectors", 0.5, [(0.5, 0.1), (1.0, 0.2)], [3.0]

    monkeypatch.setattr(interactions, "learn_ials", lambda *told: calls.append(told) or Fitted)
    found = learn_items(X, InteractionSettings("ials", 5, 7.0, unobserved_weight=0.3, max_iter=4), Run(3))
    weight = 0.3 * X.data.mean(dtype=np.float64)
    trials = [(0.5, None, 0.1), (1.0, None, 0.2)]
    assert found == ItemTables("vectors", "vectors", 0.5, None, trials, [3.0], unobserved_weight=weight)
    assert calls[1][1:] == (interactions.IALSSettings(5, 7.0, weight, 4), Run(3))
    assert calls[1][0] is X
    learn_items(X, InteractionSettings("ials", 5, value_exponent=0.0), Run(3))
    assert calls[2][1] == interactions.IALSSettings(5, None, 0.1, 10)
    assert (calls[2][0].data == 1.0).all()


def test_few_pairs_are_met_more_often_by_item2vec():
    passes = {n: passes_for("item2vec", n) for n in (0, 1, 6_553, 6_600, 21_000, 104_857, 200_000)}
    assert passes == {0: 320, 1: 320, 6_553: 320, 6_600: 317, 21_000: 99, 104_857: 20, 200_000: 20}
    assert [passes_for(method, 100) for method in ("ials", "ease", "svd", "popularity")] == [10, 1, 1, 1]


@pytest.mark.parametrize(
    ("method", "given", "expected"),
    [("ials", None, 10), ("ials", 3, 3), ("item2vec", None, 20), ("ease", 3, 1), ("svd", None, 1)],
)
def test_passes_are_those_of_methods_that_have_some(method, given, expected):
    assert InteractionSettings(method, 2, max_iter=given).n_passes == expected


def test_the_map_of_all_pairs_is_for_up_to_twenty_thousand_items():
    assert [method_for(n) for n in (1, 20_000, 20_001)] == ["ease", "ease", "ials"]


@pytest.mark.parametrize("learn", [
    lambda: learn_items(sparse.csr_matrix((2, 700), dtype=np.float32), InteractionSettings("svd", 8), Run(0)),
    lambda: learn_keys(Ragged.from_ends(np.zeros(1, np.int32), [1]), 700, KeySettings("skip-gram", 8, 1), Run(0)),
])  # fmt: skip
def test_memory_is_predicted(learn, monkeypatch):
    monkeypatch.setattr("skembed.memory.memory_of_machine", lambda: 10**4)
    with pytest.raises(MemoryError, match="embedding_dim=8 needs at least 44800 bytes"):
        learn()


# ------------------------------------------------------------------------------------------------------------- keys


ROWS = Ragged.from_ends(np.array([0, 3, 1, 0, 2, 3, 1], np.int32), np.array([3, 3, 7]))


def test_skip_gram_of_keys_has_a_window_over_the_longest_sequence(told):
    tables = learn_keys(ROWS, 6, KeySettings("skip-gram", 4, 9), Run(3))
    ((chunks, counts, settings, run, others),) = told
    assert chunks == [ROWS]
    np.testing.assert_array_equal(counts, [2, 2, 1, 2, 0, 0])
    assert settings == SequenceSettings(
        4, window=3, shrink_window=False, subsample=0.0, learning_rate=0.05, max_iter=9
    )  # fmt: skip
    assert (run.seed, others) == (3, {"start": None})
    assert tables.vectors.shape == tables.contexts.shape == (6, 4)
    assert tables.loss_curve == [0.5, 0.25]
    learn_keys(Ragged.from_ends(np.array([0, 1], np.int32), [1, 2]), 6, KeySettings("skip-gram", 4, 9), Run(3))
    assert told[1][2].window == 1


def test_skip_gram_goes_on_from_what_it_knows_and_begins_afresh_where_keys_are_new(told):
    vectors, contexts = np.arange(24.0).reshape(6, 4).astype(np.float32), np.ones((6, 4), np.float32)
    vectors[[2, 5]] = contexts[[2, 5]] = np.nan
    learn_keys(ROWS, 6, KeySettings("skip-gram", 4, 9), Run(3), KeyTables(vectors, contexts))
    begin = told[0][4]["start"]
    fresh = uniform_vectors(6, 4, 3)
    np.testing.assert_array_equal(begin.input[[0, 1, 3, 4]], vectors[[0, 1, 3, 4]])
    np.testing.assert_array_equal(begin.input[[2, 5]], fresh[[2, 5]])
    np.testing.assert_array_equal(begin.output, np.where(np.isnan(contexts), 0, contexts))


def test_glove_of_keys_counts_all_pairs_alike_and_adds_both_vectors(monkeypatch):
    counted, trained = [], []
    count, train = cooccurrence.count_cooccurrences, glove.train_glove
    monkeypatch.setattr(cooccurrence, "count_cooccurrences", lambda *told: counted.append(told) or count(*told))
    monkeypatch.setattr(glove, "train_glove", lambda *told: trained.append((told, train(*told))) or trained[-1][1])
    tables = learn_keys(ROWS, 6, KeySettings("glove", 4, 2), Run(3))
    assert counted[0][0] == [ROWS]
    np.testing.assert_array_equal(counted[0][1], [2, 2, 1, 2, 0, 0])
    assert counted[0][2] == cooccurrence.CountSettings(3, distance_weighting=False, x_max=10.0)
    assert trained[0][0][1:] == (glove.GloVeSettings(4, max_iter=2), Run(3))
    of_glove = trained[0][1]
    np.testing.assert_array_equal(tables.vectors, of_glove.words + of_glove.contexts)
    assert tables.loss_curve == of_glove.loss_curve
    assert tables.contexts is None


def test_factors_of_keys_are_those_of_all_pairs(monkeypatch):
    calls = []
    monkeypatch.setattr(factorization, "factorize_ppmi", lambda *told: calls.append(told) or "vectors")
    assert learn_keys(ROWS, 6, KeySettings("ppmi-svd", 4, 9), Run(3)) == KeyTables("vectors", None, ())
    assert calls == [(ROWS, 6, factorization.PPMISettings(4), Run(3))]


def test_columns_grow_by_rows_of_nan_at_their_ends():
    vectors = np.arange(10.0).reshape(5, 2)
    learned = LearnedColumns(KeyTables(vectors, -vectors), [2, 3])
    grown = learned.grown([3, 5])
    places = [0, 1, 3, 4, 5]
    for table, sign in ((grown.vectors, 1), (grown.contexts, -1)):
        assert table.shape == (8, 2)
        np.testing.assert_array_equal(table[places], sign * vectors)
        assert np.isnan(table[[2, 6, 7]]).all()
    assert LearnedColumns(KeyTables(vectors), [2, 3]).grown([2, 3]).contexts is None


# ------------------------------------------------------------------------------------------------------------ nodes


@pytest.fixture(scope="module")
def graph():
    rng = np.random.default_rng(0)
    upper = np.triu(rng.random((30, 30)) < 0.2, 1) * rng.uniform(0.5, 2, (30, 30))
    upper[:, 7] = upper[7] = 0.0  # a node without neighbours
    return sparse.csr_matrix(upper + upper.T)


def transitions_of(adjacency):
    dense = adjacency.toarray()
    return dense / np.maximum(dense.sum(axis=1, keepdims=True), 1e-300)


@pytest.mark.parametrize(("method", "bias"), [("node2vec", (4.0, 0.25)), ("deepwalk", (1.0, 1.0))])
def test_walks_are_learned_as_sequences(graph, method, bias, told, monkeypatch):
    made = []
    monkeypatch.setattr(nodes, "Walks", lambda *given: made.append(given) or Walks(*given))
    settings = NodeSettings(method, 6, None, 3, 2, 7, p=4.0, q=0.25, learning_rate=0.2, max_iter=4)
    found = learn_nodes(graph, settings, Run(3))
    assert made[0][1:6] == (2, 7, *bias, 3)
    ((walks, counts, of_sequences, run, others),) = told
    np.testing.assert_array_equal(counts, walks.counts(30))
    assert of_sequences == SequenceSettings(6, window=10, subsample=0.0, negative=3, learning_rate=0.2, max_iter=4)
    assert (run.seed, others) == (3, {})
    expected = np.random.default_rng(5).normal(size=(2, 30, 6)).astype(np.float32)[0]
    expected[7] = 0.0
    np.testing.assert_array_equal(found.vectors, expected)
    assert found.loss_curve == [0.5, 0.25]
    assert not found.unit
    means = transitions_of(graph) @ expected
    square = means.T @ means
    context = expected @ np.linalg.solve(square + 1e-6 * np.trace(square) / 6 * np.eye(6), means.T @ expected)
    np.testing.assert_allclose(found.context, context, rtol=1e-3, atol=1e-4)
    learn_nodes(graph, replace(settings, window=4), Run(3))
    assert told[1][2].window == 4


def test_a_graph_without_edges_has_no_walks():
    found = learn_nodes(sparse.csr_matrix((4, 4)), NodeSettings("deepwalk", 3), Run(0))
    np.testing.assert_array_equal(found.vectors, np.zeros((4, 3)))
    np.testing.assert_array_equal(found.context, np.zeros((4, 3)))
    assert found.vectors.dtype == np.float32
    assert found.loss_curve == [0.0]


def test_netmf_is_the_factors_of_transitions_within_a_window(graph):
    found = learn_nodes(graph, NodeSettings("netmf", 4, 3), Run(2))
    P = transitions_of(graph)
    degrees = np.asarray(graph.sum(axis=1)).ravel()
    mean = sum(np.linalg.matrix_power(P, r) for r in (1, 2, 3)) / 3
    logs = np.log(np.maximum(degrees.sum() * mean / np.where(degrees > 0, degrees, np.inf), 1.0))
    values, vectors = np.linalg.eigh((logs + logs.T) / 2)
    order = np.argsort(-np.abs(values))[:4]
    expected = vectors[:, order] * np.sqrt(np.abs(values[order]))
    expected *= np.sign(expected[np.abs(expected).argmax(axis=0), np.arange(4)])
    np.testing.assert_allclose(found.vectors, expected, atol=0.02)
    assert not found.unit
    assert not found.vectors[7].any()
    with open_workers(1) as workers:
        wide = learn_nodes(graph, NodeSettings("netmf", 4), Run(2))
        logs = log_transitions(Graph.of(graph), 10, 1.0, nodes.NETMF_BUDGET, 2, workers)
        of_ten, values = eigenvectors(RowMatrix(logs, workers), 4, 2, n_products=4)
    np.testing.assert_allclose(np.abs(wide.vectors), np.abs(of_ten) * np.sqrt(np.abs(values)), rtol=1e-4, atol=1e-5)


def test_random_projection_is_a_weighted_sum_of_steps_from_noise(graph):
    found = learn_nodes(graph, NodeSettings("random-projection", 40), Run(2))
    P, degrees = transitions_of(graph), np.asarray(graph.sum(axis=1)).ravel()
    noise = np.random.default_rng(2).standard_normal((30, 40))[:, :30]
    noise /= np.sqrt(np.where(degrees > 0, degrees, 1.0))[:, None]
    expected = P @ noise + P @ P @ noise + 4 * P @ P @ P @ noise
    np.testing.assert_allclose(found.context, expected, rtol=1e-3, atol=1e-4)
    assert found.vectors is None
    assert found.unit


@pytest.mark.parametrize("dense_nodes", [512, 0])
def test_spectral_vectors_become_eigenvectors_by_a_mean_over_neighbours(graph, dense_nodes, monkeypatch):
    monkeypatch.setattr(nodes, "DENSE_NODES", dense_nodes)
    dim = 3 if dense_nodes == 0 else 12
    found = learn_nodes(graph, NodeSettings("spectral", dim), Run(2))
    P, degrees = transitions_of(graph), np.asarray(graph.sum(axis=1)).ravel()
    values, vectors = np.linalg.eig(P)
    order = np.argsort(-values.real)
    kept = [i for i in order if 1e-3 < values[i].real < 1 - 1e-9][:dim]
    assert found.context.shape == (30, len(kept))
    embedded = P @ found.context
    for column, i in zip(embedded.T, kept):
        expected = vectors[:, i].real
        expected = expected * np.sqrt(degrees.sum() / (degrees * expected**2).sum())
        np.testing.assert_allclose(np.abs(column), np.abs(expected) * (degrees > 0), atol=0.02)
    largest = found.context[np.abs(found.context).argmax(axis=0), np.arange(len(kept))]
    assert (largest > 0).all()
    assert found.vectors is None
    assert not found.unit


def path_of(n_nodes):
    return sparse.diags([np.ones(n_nodes - 1)] * 2, [1, -1]).tocsr()


def test_spectral_vectors_of_a_long_path_are_its_cosines():
    """Eigenvalues 1e-6 apart, which products with the matrix do not tell apart."""
    n_nodes, dim = 3000, 16
    graph = path_of(n_nodes)
    embedded = transitions_of(graph) @ learn_nodes(graph, NodeSettings("spectral", dim), Run(2)).context
    places = np.arange(n_nodes) / (n_nodes - 1)
    for k in range(dim):
        cosine = np.cos(np.pi * (k + 1) * places)
        assert abs(np.corrcoef(embedded[:, k], cosine)[0, 1]) > 1 - 1e-6
        assert np.abs(embedded[:, k]).max() == pytest.approx(np.sqrt(2), abs=0.01)


@pytest.mark.parametrize("kind", ["no band", "two paths", "a path as wide as it is long", "large"])
def test_matrices_are_factorized_of_long_and_narrow_graphs_alone(kind, monkeypatch):
    rng = np.random.default_rng(0)
    graph = {
        "no band": lambda: sparse.random(600, 600, density=0.02, random_state=rng) + path_of(600),
        "two paths": lambda: sparse.block_diag([path_of(400), path_of(400)]),
        "a path as wide as it is long": lambda: sparse.kronsum(path_of(24), path_of(24)),
        "large": lambda: path_of(600),
    }[kind]().tocsr()
    monkeypatch.setattr(nodes, "MOST_FACTORS", 599 if kind == "large" else nodes.MOST_FACTORS)
    monkeypatch.setattr(nodes.scipy.sparse.linalg, "splu", None)
    assert learn_nodes((graph + graph.T).tocsr(), NodeSettings("spectral", 3), Run(2)).context.shape == (
        len(graph.indptr) - 1,
        3,
    )


def test_where_no_direction_is_left_there_is_a_column_of_zeros():
    for method in ("spectral", "netmf"):
        found = learn_nodes(sparse.csr_matrix((3, 3)), NodeSettings(method, 2), Run(0))
        np.testing.assert_array_equal(found.context, np.zeros((3, 1)))


def test_memory_of_nodes_is_predicted(graph, monkeypatch):
    monkeypatch.setattr("skembed.memory.memory_of_machine", lambda: 10**3)
    with pytest.raises(MemoryError, match=r"30 vectors of 5 dimensions needs at least 2400 bytes.*lower embedding_dim"):
        learn_nodes(graph, NodeSettings("prone", 5), Run(0))
