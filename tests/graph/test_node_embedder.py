"""NodeEmbedder: what vectors are good for, nodes that come later, containers, and what is wrong with graphs."""

import pickle
import signal
import warnings
from pathlib import Path

import joblib
import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from unchecked import save_unchecked

import skembed
from skembed import NodeEmbedder
from skembed.formats import FormatError
from skembed.graph import read_edges
from skembed.graph._node_embedder import METHODS
from skembed.inspection import link_prediction_auc
from skembed.training import nodes

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "graph"
each_method = pytest.mark.parametrize("method", sorted(METHODS))
N = 90


def blocks(n_blocks=3, inside=0.3, across=0.02, seed=0):
    """A graph whose nodes are linked mostly within their block, and the block of each."""
    rng = np.random.default_rng(seed)
    block = np.arange(N) % n_blocks
    chance = np.where(block[:, None] == block, inside, across)
    upper = np.triu(rng.random((N, N)) < chance, 1)
    return (upper | upper.T).astype(float), block


def embedder(method="prone", **options):
    return NodeEmbedder(8, method=method, random_state=0, walk_length=20).set_params(**options)


# ------------------------------------------------------------------------------------------------------ what it finds


@each_method
def test_blocks_are_told_apart_with_an_estimator_of_scikit_learn(method):
    X, block = blocks()
    Z = embedder(method).fit_transform(X)
    assert Z.dtype == np.float32
    assert cross_val_score(LogisticRegression(C=100), Z, block, cv=3).mean() > 0.9


@each_method
def test_new_nodes_are_embedded_among_those_they_are_linked_to(method):
    X, block = blocks()
    known = np.arange(N) < 75
    fitted = embedder(method).fit(X[known][:, known])
    model = LogisticRegression(C=100).fit(fitted.embedding_.vectors, block[known])
    assert model.score(fitted.transform(X[~known][:, known]), block[~known]) > 0.85


@pytest.mark.parametrize("seed", [0, 1])
def test_single_edges_tell_kinds_that_are_linked_to_other_kinds(seed):
    """Words of a kind follow some other kinds, as in a text; a sum of steps makes all alike that are near."""
    rng = np.random.default_rng(seed)
    kind, said = rng.integers(6, size=400), 1 / (np.arange(400) + 2)
    follows = rng.dirichlet(np.full(6, 0.4), size=6)
    expected = np.outer(said, said) * follows[kind][:, kind]
    X = rng.poisson(20_000 * expected / expected.sum()).astype(float)
    edges, paths = (
        cross_val_score(LogisticRegression(), embedder(embedding_dim=16, window=window).fit_transform(X), kind).mean()
        for window in (1, None)
    )
    assert edges > paths + 0.03


@pytest.mark.parametrize("method", ["prone", "spectral", "random-projection"])
def test_transform_of_known_nodes_is_fit_transform(method):
    X, _ = blocks()
    model = embedder(method)
    Z = model.fit_transform(X)
    np.testing.assert_array_equal(model.transform(X), Z)
    np.testing.assert_array_equal(model.transform(sparse.csr_array(X[[3, 4]] * 8)), Z[[3, 4]])


@pytest.mark.parametrize("method", ["prone", "netmf"])
def test_dimensions_come_by_falling_spread(method):
    spreads = (embedder(method).fit_transform(blocks()[0]) ** 2).sum(axis=0)
    assert (np.diff(spreads) < 1e-3 * spreads[0]).all()


def test_first_dimensions_are_those_of_a_smaller_fit():
    X, _ = blocks()
    wide, narrow = (embedder("spectral", embedding_dim=dim).fit(X).embedding_.vectors for dim in (8, 4))
    np.testing.assert_allclose(wide[:, :4], narrow, atol=1e-5)


@pytest.mark.parametrize("method", ["prone", "random-projection"])
def test_vectors_have_the_length_that_the_page_says_and_those_of_few_neighbours_are_shorter(method):
    X, _ = blocks()
    X[:4] = X[:, :4] = 0
    lengths = np.linalg.norm(embedder(method).fit_transform(X), axis=1)
    assert np.sqrt(np.mean(lengths**2)) == pytest.approx(1.25, rel=1e-5)
    n_neighbors = (X > 0).sum(axis=1)
    shares = lengths[4:] / np.sqrt(n_neighbors[4:] / (n_neighbors[4:] + 1))
    np.testing.assert_allclose(shares, shares[0], rtol=1e-5)


def test_spectral_vectors_are_eigenvectors_of_the_random_walk():
    X, _ = blocks()
    Z = embedder("spectral").fit_transform(X).astype(float)
    walked = X @ Z / X.sum(axis=1)[:, None]
    values = (walked * Z).sum(axis=0) / (Z**2).sum(axis=0)
    np.testing.assert_allclose(walked, Z * values, atol=1e-4)
    assert (np.diff(values) < 0).all()


def test_spectral_vectors_of_many_nodes_are_those_of_all_eigenvectors(monkeypatch):
    """Blocks of a graph with nearly two sides, so that as many eigenvalues lie far below zero as above it."""
    rng = np.random.default_rng(0)
    side, block = np.arange(160) % 2, np.arange(160) // 2 % 4
    upper = np.triu(rng.random((160, 160)) < 0.6 * ((side[:, None] != side) & (block[:, None] == block)), 1)
    upper |= np.triu(rng.random((160, 160)) < 0.02, 1)
    X = (upper | upper.T).astype(float)
    every = embedder("spectral").set_params(embedding_dim=3).fit_transform(X)
    monkeypatch.setattr(nodes, "DENSE_NODES", 0)
    some = embedder("spectral").set_params(embedding_dim=3).fit_transform(X)
    np.testing.assert_allclose(some, every, atol=5e-3)


def test_the_method_is_a_value_of_a_grid():
    X, block = blocks()
    pipeline = make_pipeline(embedder(), LogisticRegression(C=100))
    grid = {"nodeembedder__method": ["prone", "spectral"], "nodeembedder__embedding_dim": [2, 4]}
    search = GridSearchCV(pipeline, grid, cv=3).fit(X, block)  # pairwise: folds cut rows and columns
    assert search.best_score_ > 0.85


def test_links_that_were_held_out_are_told_from_pairs_without():
    X, _ = blocks()
    edges = np.argwhere(np.triu(X))
    held_out = np.random.default_rng(0).permutation(len(edges))[:60]
    for a, b in edges[held_out]:
        X[a, b] = X[b, a] = 0
    table = embedder().fit(X).embedding_
    known = np.delete(edges, held_out, axis=0).tolist()
    auc = link_prediction_auc(table, edges[held_out].tolist(), known_edges=known, score="dot", random_state=0)
    assert auc > 0.65


@pytest.mark.skipif(not (DATA / "ppi.npz").exists(), reason="no data")
def test_ppi():
    data = np.load(DATA / "ppi.npz")
    n = int(data["n_nodes"])
    edges = data["edges"][data["edges"][:, 0] != data["edges"][:, 1]]
    X = sparse.coo_array((np.ones(len(edges)), edges.T), shape=(n, n)).tocsr()
    labels = np.zeros((n, int(data["n_labels"])), dtype=bool)
    labels[data["label_rows"], data["label_cols"]] = True
    table = NodeEmbedder(random_state=0).fit(X).embedding_
    assert table.shape == (n, 128)
    most = labels[:, labels.sum(axis=0).argmax()]
    rows = np.flatnonzero(labels.any(axis=1))
    scores = cross_val_score(LogisticRegression(), table.vectors[rows], most[rows], cv=3, scoring="roc_auc")
    assert scores.mean() > 0.6


# ------------------------------------------------------------------------------------------------- graphs of all kinds


@each_method
def test_isolated_nodes_loops_components_and_repeated_edges(method):
    X, _ = blocks()
    X[:10] = X[:, :10] = 0
    X[10, 10] = 2
    X[20:, :20] = X[:20, 20:] = 0
    rows, columns = np.nonzero(X)
    halves = sparse.coo_array(
        (np.tile(X[rows, columns] / 2, 2), (np.tile(rows, 2), np.tile(columns, 2))), shape=X.shape
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Z = embedder(method).fit_transform(X)
        repeated = embedder(method).fit_transform(halves)
    assert np.isfinite(Z).all()
    assert not Z[:10].any()
    assert Z[10:].any(axis=1).all() or method == "spectral"
    np.testing.assert_array_equal(Z, repeated)


@each_method
@pytest.mark.parametrize("scale", [1e-300, 1e300])
def test_weights_count_by_their_ratios(method, scale):
    X, _ = blocks()
    X[:30] *= 2
    X[:, :30] *= 2
    np.testing.assert_allclose(
        embedder(method).fit_transform(X * scale), embedder(method).fit_transform(X), rtol=1e-3, atol=1e-3
    )


@each_method
@pytest.mark.parametrize("far", [27.0, 38.0])
def test_affinities_of_points_far_away(method, far):
    """Weights of radial basis functions fall below all that float32 and float64 hold; no vector may."""
    points = np.concatenate([np.random.default_rng(0).normal(size=(60, 2)), [[far, 0], [0, -far], [0, -far - 0.1]]])
    X = np.exp(-0.5 * ((points[:, None] - points) ** 2).sum(axis=2))
    np.fill_diagonal(X, 0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = embedder(method)
        Z = model.fit_transform(X)
    assert np.isfinite(Z).all()
    assert np.isfinite(model.transform(X)).all()


@each_method
def test_weights_of_all_that_float64_holds(method):
    rng = np.random.default_rng(0)
    pairs, weights = rng.integers(0, 200, size=(600, 2)), 10.0 ** rng.uniform(-300, 300, 600)
    X = np.zeros((200, 200))
    X[pairs[:, 0], pairs[:, 1]] = weights
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isfinite(embedder(method).fit_transform(X)).all()


@pytest.mark.parametrize("n_nodes", [5, 2_000])
def test_eigenvectors_of_a_graph_without_edges(n_nodes):
    Z = embedder("spectral").fit_transform(sparse.csr_matrix((n_nodes, n_nodes)))
    assert (Z.shape, Z.any()) == ((n_nodes, 1), False)


@each_method
def test_graphs_with_next_to_nothing(method):
    for X in (np.zeros((5, 5)), np.eye(4), np.ones((2, 2)), np.array([[0.0, 1], [1, 0]])):
        model = embedder(method)
        Z = model.fit_transform(X)
        assert len(Z) == len(X)
        assert np.isfinite(Z).all()
        assert model.transform(X).shape == Z.shape


def test_edges_lead_both_ways():
    X, _ = blocks()
    np.testing.assert_array_equal(embedder().fit_transform(np.triu(X)), embedder().fit_transform(X))


def test_kernels_whose_halves_differ_by_rounding_are_no_directed_graphs():
    points = np.random.default_rng(0).normal(size=(60, 5))
    X = np.exp(-((points[:, None] - points) ** 2).sum(axis=2) / 5)
    rounded = X.copy()
    rounded[3, 4] *= 1 + 2**-50
    assert np.array_equal(X, X.T)
    vectors = embedder("spectral").fit(X).embedding_.vectors
    np.testing.assert_allclose(embedder("spectral").fit(rounded).embedding_.vectors, vectors, atol=1e-4)


def test_ids_are_kept():
    X, _ = blocks()
    names = [f"n{i}" for i in range(N - 2)] + [1, "1"]  # of mixed types
    model = embedder(nodes=names).fit(X)
    assert model.embedding_.keys.tolist() == names
    pd = pytest.importorskip("pandas")
    labels = [f"n{i}" for i in range(N)]
    frame = pd.DataFrame(X, index=labels, columns=labels)
    assert embedder().fit(frame).embedding_.keys.tolist() == labels
    with pytest.raises(ValueError, match=r"another order as rows.*X\.loc\[X\.columns\]"):
        embedder().fit(frame.iloc[::-1])


def test_networkx_graphs():
    networkx = pytest.importorskip("networkx")
    X, _ = blocks()
    graph = networkx.Graph()
    graph.add_nodes_from(f"n{i}" for i in range(N))
    graph.add_edges_from((f"n{a}", f"n{b}") for a, b in np.argwhere(np.triu(X)))
    model = embedder()
    np.testing.assert_array_equal(model.fit_transform(graph), embedder().fit_transform(X))
    assert model.embedding_.keys.tolist() == list(graph)
    new = networkx.Graph([("new", "n3"), ("new", "n5"), ("new", "stranger")])
    row = np.zeros((1, N))
    row[0, [3, 5]] = 1
    np.testing.assert_array_equal(model.transform(new)[:1], model.transform(row))
    many = networkx.MultiDiGraph([(0, 1), (0, 1), (1, 2)])
    many.add_edge(2, 0, weight=-1)
    with pytest.raises(ValueError, match=r"weight -1\.0 from node 2 to 0"):
        embedder().fit(many)
    with pytest.raises(ValueError, match="leave nodes=None"):
        embedder(nodes=list(range(N))).fit(graph)


def test_edges_of_frames_and_lists():
    edges = [("a", "b"), ("b", "c"), ("a", "b"), ("c", "c")]
    adjacency, nodes = read_edges(edges)
    assert nodes == ["a", "b", "c"]
    np.testing.assert_array_equal(adjacency.toarray(), [[0, 2, 0], [2, 0, 1], [0, 1, 1]])
    np.testing.assert_array_equal(read_edges(edges, directed=True)[0].toarray(), [[0, 2, 0], [0, 0, 1], [0, 0, 1]])
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"when": 1, "to": ["b", "c"], "from": ["a", "b"], "share": [0.5, 2.0]})
    adjacency, nodes = read_edges(frame, source="from", target="to", weight="share")
    assert nodes == ["a", "b", "c"]
    np.testing.assert_array_equal(adjacency.toarray(), [[0, 0.5, 0], [0.5, 0, 2], [0, 2, 0]])
    assert read_edges(np.array([[5, 7], [7, 9]]))[1] == [5, 7, 9]


@pytest.mark.parametrize(
    ("edges", "message"),
    [
        ([], "at least one edge"),
        (["ab"], r"'ab' in row 0"),
        ([(1, 2), (1, 2, 3)], r"\(1, 2, 3\) in row 1"),
        ([("a", "b"), ("a", None)], "no target in row 1"),
        ([("a", "b", 1), ("a", "c", -2)], r"Negative.*-2\.0 in row 1"),
        ([("a", "b", 1), ("a", "c", np.nan)], r"NaN.*row 1"),
        (np.arange(3), r"shape \(3,\)"),
    ],
)
def test_wrong_edges(edges, message):
    with pytest.raises(ValueError, match=message):
        read_edges(edges)


def test_columns_that_are_not_there():
    pd = pytest.importorskip("pandas")
    with pytest.raises(ValueError, match=r"no column 'weight'.*\['a', 'b'\]"):
        read_edges(pd.DataFrame({"a": [1], "b": [2]}), weight="weight")


def changed(row, column, value):
    X, _ = blocks()
    X[row, column] = value
    return X


@pytest.mark.parametrize(
    ("X", "options", "message"),
    [
        (changed(3, 5, -1.0), {}, r"Negative values.*-1\.0 from node 3 to 5"),
        (changed(3, 5, np.nan), {}, r"NaN: X has the weight nan from node 3 to 5"),
        (changed(3, 5, np.inf), {}, r"infinity: X has the weight inf"),
        (np.ones((4, 5)), {}, r"must be square.*\(4, 5\).*read_edges"),
        (np.ones((1, 1)), {}, "1 sample"),
        (np.ones((3, 3)), {"nodes": ["a", "b"]}, "nodes has 2 ids, but X has 3 rows"),
        (np.ones((3, 3)), {"nodes": ["a", "b", "a"]}, "holds 'a' more than once"),
        (np.ones((3, 3)), {"nodes": [1, 1.0, 2]}, "holds 1 more than once"),
        (np.ones((3, 3)), {"nodes": ["a", None, "b"]}, "missing id at position 1"),
        (np.array([["a", "b"], ["b", "c"]]), {}, r"X holds text \('a' in row 0 of column 0\)"),
        (np.ones((3, 3)), {"embedding_dim": 0}, "embedding_dim"),
        (np.ones((3, 3)), {"p": 0}, "'p'"),
    ],
)
def test_wrong_graphs(X, options, message):
    with pytest.raises(ValueError, match=message):
        embedder(**options).fit(X)


def test_wrong_rows():
    X, _ = blocks()
    model = embedder().fit(X)
    with pytest.raises(ValueError, match="expecting 90 features"):
        model.transform(X[:, :50])
    with pytest.raises(ValueError, match="Negative"):
        model.transform(-X)
    assert not model.transform(np.zeros((1, N))).any()


def test_the_input_is_left_as_it_is():
    X, _ = blocks()
    graph = sparse.csr_matrix(np.triu(X))
    graph.data[::5] = 0  # explicit zeros
    before = pickle.dumps(graph)
    embedder().fit(graph).transform(graph)
    assert pickle.dumps(graph) == before


# ------------------------------------------------------------------------------------------------------ while it runs


@each_method
def test_bits_do_not_depend_on_jobs_or_containers(method):
    X, _ = blocks()
    expected = embedder(method).fit_transform(X)
    for other in (sparse.csr_array(X), sparse.coo_matrix(X), np.asfortranarray(X), X.tolist()):
        np.testing.assert_array_equal(embedder(method, n_jobs=3).fit_transform(other), expected)
    with joblib.parallel_config(backend="loky", n_jobs=2):  # processes see no array that is to be written to
        np.testing.assert_array_equal(embedder(method).fit_transform(X), expected)


def test_ctrl_c_keeps_whole_passes(monkeypatch):
    from skembed.training.run import Run

    end_pass = Run.end_pass

    def interrupted(self, loss, score=None):
        signal.raise_signal(signal.SIGINT)
        return end_pass(self, loss, score)

    monkeypatch.setattr(Run, "end_pass", interrupted)
    X, _ = blocks()
    with pytest.warns(UserWarning, match="interrupted in pass"):
        model = embedder("deepwalk", max_iter=3).fit(X)
    monkeypatch.undo()
    assert model.n_iter_ == len(model.loss_curve_) == 1
    assert model.loss_curve_ == embedder("deepwalk", max_iter=3).fit(X).loss_curve_[:1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (lambda fitted: {"_context": fitted._context[:, :3]}, "context of shape"),
        (lambda fitted: {"_context": fitted._context.astype(float)}, "float32 context"),
        (lambda fitted: {"_context": fitted._context * np.float32(np.nan)}, "finite context"),
        (lambda fitted: {"_length": -1.0}, "length of at least 0"),
        (lambda fitted: {"_length": float("inf")}, "length of at least 0"),
        (lambda fitted: {"n_features_in_": 3}, "shape"),
    ],
)
def test_a_file_whose_parts_do_not_fit_is_refused(changes, message, tmp_path):
    model = embedder().fit(blocks()[0])
    vars(model).update(changes(model))
    save_unchecked(model, tmp_path / "kept")
    with pytest.raises(FormatError, match=message):
        skembed.load(tmp_path / "kept")
