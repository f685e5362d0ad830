"""Neighbourhoods, rankings, links and comparisons agree with scikit-learn, scipy and slow twins."""

import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scipy import sparse, spatial
from sklearn import manifold
from sklearn.decomposition import PCA
from sklearn.metrics import ndcg_score, pairwise_distances, roc_auc_score

import skembed.inspection._links as links_module
import skembed.inspection._neighborhood as neighborhood_module
import skembed.inspection._ranking as ranking_module
from skembed import EmbeddingTable
from skembed.inspection import (
    compare_tables,
    link_prediction_auc,
    ndcg_at_k,
    neighborhood_preservation,
    recall_at_k,
    trustworthiness,
)


@pytest.fixture(scope="module")
def points():
    return np.random.default_rng(0).standard_normal((300, 20)) * np.linspace(2, 0.1, 20)


@pytest.fixture(scope="module")
def plane(points):
    return PCA(2).fit_transform(points)


# Neighbourhoods


@pytest.mark.parametrize("metric", ["euclidean", "cosine", "manhattan", "chebyshev"])
@pytest.mark.parametrize("n_neighbors", [1, 5, 30, 149])
@pytest.mark.parametrize("distances_at_once", [1, 5_000, 1 << 23])
def test_trustworthiness_equals_that_of_scikit_learn(
    monkeypatch, points, plane, metric, n_neighbors, distances_at_once
):
    monkeypatch.setattr(neighborhood_module, "_DISTANCES_AT_ONCE", distances_at_once)
    expected = manifold.trustworthiness(points, plane, n_neighbors=n_neighbors, metric=metric)
    found = trustworthiness(points, plane, n_neighbors=n_neighbors, metric=metric)
    assert found == pytest.approx(expected, abs=1e-9)
    assert found < 1


def test_trustworthiness_of_other_containers(points, plane):
    expected = manifold.trustworthiness(points, plane)
    distances = pairwise_distances(points)
    assert trustworthiness(distances, plane, metric="precomputed") == pytest.approx(expected, abs=1e-9)
    assert (np.diag(distances) == 0).all()  # what was given is as it was
    assert trustworthiness(sparse.csr_matrix(points), plane) == pytest.approx(expected, abs=1e-9)
    for awkward in (np.asfortranarray(points), points.astype(">f8"), points[::-1].copy()[::-1], points.tolist()):
        assert trustworthiness(awkward, plane) == pytest.approx(expected, abs=1e-9)
    tables = (EmbeddingTable(range(300), array) for array in (points, plane))
    assert trustworthiness(*tables) == pytest.approx(expected, abs=1e-4)
    read_only = points.copy()
    read_only.flags.writeable = False
    assert trustworthiness(read_only, plane) == pytest.approx(expected, abs=1e-9)


def test_what_is_the_same_keeps_every_neighbour_also_among_copies(points):
    same = np.repeat(points[:40], 5, axis=0)
    assert trustworthiness(same, same) == 1.0
    grid = np.stack(np.divmod(np.arange(100.0), 10), axis=1)  # nearly all distances tie
    assert trustworthiness(grid, 2 * grid) == 1.0
    assert neighborhood_preservation(points, 3 * points) == 1.0
    assert neighborhood_preservation(points, 3 * points, metric="cosine", embedded_metric="cosine") == 1.0
    # of copies no point finds itself, and none may count as its own neighbour
    found = neighborhood_module._neighbors(same, np.arange(200), 3, "euclidean")
    assert (found != np.arange(200)[:, None]).all()
    assert (found // 5 == np.arange(200)[:, None] // 5).all()


def test_preservation_equals_its_twin(points, plane):
    expected = []
    before, after = pairwise_distances(points, metric="cosine"), pairwise_distances(plane)
    for i in range(300):
        before[i, i] = after[i, i] = np.inf
        expected.append(len(set(np.argsort(before[i])[:7]) & set(np.argsort(after[i])[:7])) / 7)
    found = neighborhood_preservation(points, plane, n_neighbors=7, metric="cosine")
    assert found == pytest.approx(np.mean(expected), abs=1e-12)


def test_a_sample_is_near_the_whole_and_decided_by_its_seed(points, plane):
    for measure in (trustworthiness, neighborhood_preservation):
        whole = measure(points, plane)
        assert measure(points, plane, sample_size=300) == whole
        assert measure(points, plane, sample_size=10_000) == whole
        part = measure(points, plane, sample_size=100, random_state=0)
        assert part == measure(points, plane, sample_size=100, random_state=0)
        assert part == pytest.approx(whole, abs=0.05)
        others = {measure(points, plane, sample_size=100, random_state=seed) for seed in range(5)}
        assert len(others) > 1


def test_memory_of_a_sample_of_many_points_is_bounded():
    X = np.random.default_rng(0).standard_normal((40_000, 4)).astype(np.float32)  # all distances: 6 GB
    tracemalloc.start()
    found = trustworthiness(X, X[:, :2], sample_size=500, random_state=0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 250e6
    assert 0.7 < found < 0.9


def test_threads_and_random_states(points, plane):
    before = np.random.get_state()[1].tolist()  # noqa: NPY002

    def run(_):
        return (
            trustworthiness(points, plane, sample_size=90, random_state=1),
            neighborhood_preservation(points, plane, sample_size=90, random_state=1),
        )

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(run, range(16)))) == 1
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002


def test_points_that_do_not_fit_are_named(points, plane):
    with pytest.raises(ValueError, match="X and X_embedded must hold the same points row by row, got 300 and 299"):
        trustworthiness(points, plane[:-1])
    with pytest.raises(ValueError, match="n_neighbors must be less than half of the 300 points, got 150"):
        trustworthiness(points, plane, n_neighbors=150)
    with pytest.raises(ValueError, match="n_neighbors must be less than the 300 points, got 300"):
        neighborhood_preservation(points, plane, n_neighbors=300)
    with pytest.raises(ValueError, match=r"n_neighbors must be a positive int, got 2\.5"):
        neighborhood_preservation(points, plane, n_neighbors=2.5)
    with pytest.raises(ValueError, match="sample_size must be a positive int or None for all points, got 0"):
        trustworthiness(points, plane, sample_size=0)
    with pytest.raises(ValueError, match=r"metric='precomputed' needs X of shape \(n_samples, n_samples\)"):
        trustworthiness(points, plane, metric="precomputed")
    with pytest.raises(ValueError, match="X_embedded contains NaN"):
        trustworthiness(points, plane * np.nan)
    with pytest.raises(ValueError, match="X_embedded contains NaN"):
        trustworthiness(points, np.ma.array(plane, mask=plane == plane[3, 0]))


# Rankings


@pytest.mark.parametrize("k", [1, 3, 10, 40, 100])
@pytest.mark.parametrize("scores_at_once", [1, 200, 1 << 21])
@pytest.mark.parametrize("ties", [True, False])
def test_ndcg_equals_that_of_scikit_learn(monkeypatch, k, scores_at_once, ties):
    monkeypatch.setattr(ranking_module, "_SCORES_AT_ONCE", scores_at_once)
    rng = np.random.default_rng(k)
    y_true = rng.integers(0, 4, (50, 40)) * (rng.random((50, 40)) < 0.3)
    y_true[:, 0] = 1  # nothing relevant: left out here, 0 there
    y_score = rng.integers(0, 5, (50, 40)).astype(float) if ties else rng.standard_normal((50, 40))
    expected = ndcg_score(y_true, y_score, k=k)
    assert ndcg_at_k(y_true, y_score, k=k) == pytest.approx(expected, abs=1e-9)
    assert ndcg_at_k(sparse.csr_matrix(y_true), y_score, k=k) == pytest.approx(expected, abs=1e-9)
    y_true[7] = 0
    rest = np.arange(50) != 7
    expected = ndcg_score(y_true[rest], y_score[rest], k=k)
    assert ndcg_at_k(y_true, y_score, k=k) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("k", [1, 4, 20, 30])
def test_recall_equals_its_twin_and_ties_are_a_mean_over_orders(k):
    rng = np.random.default_rng(k)
    y_true, y_score = rng.random((30, 20)) < 0.2, rng.standard_normal((30, 20))
    y_true[4] = False
    expected = [
        len(set(np.argsort(-score)[:k]) & set(np.flatnonzero(true))) / true.sum()
        for true, score in zip(y_true, y_score)
        if true.any()
    ]
    assert recall_at_k(y_true, y_score, k=k) == pytest.approx(np.mean(expected))
    coarse = np.round(y_score)
    orders = [recall_at_k(y_true, coarse + 1e-6 * rng.standard_normal(coarse.shape), k=k) for _ in range(400)]
    assert recall_at_k(y_true, coarse, k=k) == pytest.approx(np.mean(orders), abs=0.01)


def test_lists_of_keys_equal_the_matrix():
    rng = np.random.default_rng(0)
    items = np.array([f"item{i}" for i in range(25)], dtype=object)
    y_true, y_score = rng.integers(0, 3, (40, 25)) * (rng.random((40, 25)) < 0.2), rng.standard_normal((40, 25))
    ranked = [items[np.argsort(-score)] for score in y_score]
    gains = [{items[i]: row[i] for i in np.flatnonzero(row)} for row in y_true]
    for k in (1, 5, 30):
        assert recall_at_k(gains, ranked, k=k, ranked=True) == pytest.approx(recall_at_k(y_true, y_score, k=k))
        assert ndcg_at_k(gains, ranked, k=k, ranked=True) == pytest.approx(ndcg_at_k(y_true, y_score, k=k))
    for kind in (set, list, np.array):
        relevant = [kind(list(gain)) for gain in gains]
        assert recall_at_k(relevant, ranked, k=5, ranked=True) == recall_at_k(gains, ranked, k=5, ranked=True)
    assert recall_at_k([{"a", "b"}, set(), {"c"}], [["a"], ["b"], []], k=3, ranked=True) == 0.25


def test_an_item_that_is_not_to_be_recommended_gains_nothing():
    y_true, y_score = [[1, 1, 0]], [[-np.inf, 2.0, 1.0]]
    assert recall_at_k(y_true, y_score, k=3) == 0.5
    assert ndcg_at_k(y_true, y_score, k=3) == pytest.approx(1 / (1 + 1 / np.log2(3)))


@pytest.mark.parametrize("measure", [recall_at_k, ndcg_at_k])
def test_rankings_of_keys_of_another_type_are_refused(measure):
    message = (
        r"^no key of y_score is of a type .* such as '[12]' of type str, .* such as \d of type int; turn them into"
    )
    for truth in ([[1, 2], [7]], [{1: 2.0}, {}], [set(), {7}]):
        with pytest.raises(ValueError, match=message):
            measure(truth, [["1", "2"], ["2"]], ranked=True)
    for keys in ([[3, "2"], []], [[2.5], [True]], [["2"], [9]]):
        assert measure([[1, 2], [7]], keys, ranked=True) == 0.0
    assert measure([[1, "a"], [7]], [["b"], ["c"]], ranked=True) == 0.0
    assert measure([[1, 2], [7]], [[], [None]], ranked=True) == 0.0
    assert measure([[True]], [[1.0]], ranked=True) == 1.0


def test_relevance_that_repeats_in_a_sparse_matrix_is_added_up():
    relevance = sparse.coo_matrix((np.full(3, 100, np.uint8), ([0, 0, 0], [1, 1, 1])), shape=(1, 3))
    relevance.data[:] = 128, 64, 64
    for measure in (recall_at_k, ndcg_at_k):
        assert measure(relevance, [[0.1, 0.9, 0.2]], k=1) == 1.0


def test_rankings_that_do_not_fit_are_named():
    for measure in (recall_at_k, ndcg_at_k):
        with pytest.raises(ValueError, match=r"both have shape .* got \(1, 2\) and \(1, 3\)"):
            measure([[1, 0]], [[1.0, 2.0, 3.0]])
        with pytest.raises(ValueError, match="y_score must not hold nan, query 1 has one"):
            measure(np.ones((2, 2)), [[1.0, 2.0], [np.nan, 2.0]])
        with pytest.raises(ValueError, match="y_true must be finite, got nan"):
            measure([[np.nan, 1.0]], [[1.0, 2.0]])
        with pytest.raises(ValueError, match="y_score must not hold nan, query 0 has one"):
            measure([[0, 1.0]], np.ma.array([[1.0, 2.0]], mask=[[True, False]]))
        with pytest.raises(ValueError, match="query with something relevant, got none"):
            measure(np.zeros((2, 2)), np.ones((2, 2)))
        with pytest.raises(TypeError, match="pass ranked=True"):
            measure([["a"], ["b", "c"]], [["a"], ["b"]])
        with pytest.raises(ValueError, match=r"y_score\[0\] recommends 'a' twice"):
            measure([{"a"}], [["a", "b", "a"]], ranked=True)
        with pytest.raises(ValueError, match="equally many queries, got 2 and 1"):
            measure([{"a"}, {"b"}], [["a"]], ranked=True)
        with pytest.raises(TypeError, match=r"y_true\[0\] must be a collection of keys, got 'a'"):
            measure(["a"], [["a"]], ranked=True)
        with pytest.raises(ValueError, match="k must be a positive int, got 0"):
            measure([[1]], [[1]], k=0)
    with pytest.raises(ValueError, match="must not be negative, got -1"):
        ndcg_at_k([[-1, 2]], [[1, 2]])
    with pytest.raises(ValueError, match="must not be negative"):
        ndcg_at_k([{"a": -1}], [["a"]], ranked=True)


# Links


@pytest.fixture(scope="module")
def communities():
    """A table of 60 nodes in three groups, and most edges within a group."""
    rng = np.random.default_rng(0)
    table = EmbeddingTable(
        [f"n{i}" for i in range(60)], np.repeat(np.eye(3), 20, axis=0) * 2 + rng.standard_normal((60, 3)) / 3
    )
    pairs = [(a, b) for a in range(60) for b in range(a) if a // 20 == b // 20]
    return table, [(f"n{a}", f"n{b}") for a, b in rng.permutation(pairs)[:200].tolist()]


@pytest.mark.parametrize("score", ["cosine", "dot", "euclidean"])
def test_auc_equals_its_twin(monkeypatch, communities, score):
    table, edges = communities
    monkeypatch.setattr(links_module, "_PAIRS_AT_ONCE", 17)
    non_edges = [(f"n{i}", f"n{59 - i}") for i in range(30)]
    scores = []
    for a, b in [*edges, *non_edges]:
        a, b = table[a].astype(float), table[b].astype(float)
        lengths = np.linalg.norm(a) * np.linalg.norm(b)
        scores.append({"cosine": a @ b / lengths, "dot": a @ b, "euclidean": -np.linalg.norm(a - b)}[score])
    expected = roc_auc_score([1] * 200 + [0] * 30, scores)
    assert link_prediction_auc(table, edges, non_edges, score=score) == pytest.approx(expected, abs=1e-9)
    assert link_prediction_auc(table, np.array(edges), np.array(non_edges), score=score) == pytest.approx(expected)


@pytest.mark.parametrize("directed", [True, False])
@pytest.mark.parametrize("n_known", [0, 150, 199])
def test_pairs_drawn_are_different_and_no_edges(communities, directed, n_known):
    table, edges = communities
    for nodes in (table, table.subset(list(dict.fromkeys(n for e in edges[:199] for n in e))[:20])):
        taken = edges[: 1 + n_known]
        rows = links_module._draw_non_edges(nodes, taken, 40, directed, 0)
        drawn = [(nodes.keys[a], nodes.keys[b]) for a, b in rows]
        assert len(drawn) == 40
        ordered = drawn if directed else [tuple(sorted(pair)) for pair in drawn]
        assert len(set(ordered)) == 40
        assert not set(ordered) & {pair if directed else tuple(sorted(pair)) for pair in taken}
        assert all(a != b for a, b in drawn)
        assert (rows == links_module._draw_non_edges(nodes, taken, 40, directed, 0)).all()


def test_links_of_communities_and_of_noise(communities):
    table, edges = communities
    known, held_out = edges[:150], edges[150:]
    found = link_prediction_auc(table, held_out, known_edges=known, random_state=0)
    assert found > 0.7
    assert found == link_prediction_auc(table, held_out, known_edges=known, random_state=0)
    noise = EmbeddingTable(table.keys, np.random.default_rng(1).standard_normal((60, 3)))
    assert 0.35 < link_prediction_auc(noise, edges, random_state=0) < 0.65


def test_edges_of_a_node_to_itself_tell_nothing():
    table = EmbeddingTable([1, 2, 3], [[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
    others = [(1, 3), (2, 3)]
    for score in ("cosine", "dot", "euclidean"):
        assert link_prediction_auc(table, [(1, 2), (3, 3), (1, 1.0)], others, score=score) == 0.0
    with pytest.raises(ValueError, match=r"^edges must hold an edge between two nodes, and each l"):
        link_prediction_auc(table, [(3, 3)], others)


def test_edges_of_tuples_are_read_from_arrays_too():
    table = EmbeddingTable([("a", i) for i in range(4)], [[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.1, 0.9]])
    edges, non_edges = [(("a", 0), ("a", 1)), (("a", 2), ("a", 3))], [(("a", 0), ("a", 2))]
    for kind in (list, lambda pairs: np.array(pairs, dtype=object)):
        assert link_prediction_auc(table, kind(edges), kind(non_edges)) == 1.0
        assert link_prediction_auc(table, kind(edges), known_edges=kind(non_edges), random_state=0) == 1.0


def test_links_that_do_not_fit_are_named(communities):
    table, edges = communities
    with pytest.raises(KeyError, match="'nobody'"):
        link_prediction_auc(table, [("n0", "nobody")])
    cold = EmbeddingTable(table.keys, table.vectors, unknown=np.zeros(3))
    assert 0 <= link_prediction_auc(cold, [*edges, ("n0", "nobody")], random_state=0) <= 1
    with pytest.raises(ValueError, match="edges must hold at least one"):
        link_prediction_auc(table, [])
    with pytest.raises(ValueError, match="non_edges must hold at least one"):
        link_prediction_auc(table, edges, [])
    with pytest.raises(ValueError, match="rows of 2 values"):
        link_prediction_auc(table, [("a", "b", 1.0)])
    full = [(f"n{a}", f"n{b}") for a in range(5) for b in range(a)]
    with pytest.raises(ValueError, match="all 10 pairs of the 5 nodes are edges"):
        link_prediction_auc(table.subset([f"n{i}" for i in range(5)]), full)
    with pytest.raises(ValueError, match="score must be one of"):
        link_prediction_auc(table, edges, score="hadamard")


# Two tables


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_comparison_equals_its_twins(metric):
    rng = np.random.default_rng(0)
    left = rng.standard_normal((120, 6)) + 1
    right = np.hstack([left @ np.linalg.qr(rng.standard_normal((6, 6)))[0], np.zeros((120, 2))])
    right += rng.standard_normal((120, 8)) / 3
    order = rng.permutation(120)
    a = EmbeddingTable(range(120), left)
    b = EmbeddingTable([*order[:100].tolist(), "x"], np.vstack([right[order[:100]], np.ones(8)]))
    found = compare_tables(a, b, n_neighbors=5, metric=metric, sample_size=None)
    assert (found.n_shared, found.n_only_left, found.n_only_right, found.n_sampled) == (100, 20, 1, 100)
    shared = np.sort(order[:100])
    padded = np.hstack([left[shared], np.zeros((100, 2))])
    assert found.procrustes_residual == pytest.approx(spatial.procrustes(padded, right[shared])[2], abs=1e-6)
    overlaps = []
    before, after = (pairwise_distances(vectors[shared], metric=metric) for vectors in (left, right))
    for i in range(100):
        before[i, i] = after[i, i] = np.inf
        overlaps.append(len(set(np.argsort(before[i])[:5]) & set(np.argsort(after[i])[:5])) / 5)
    assert found.neighbor_overlap == pytest.approx(np.mean(overlaps), abs=1e-9)
    assert found.chance_overlap == 5 / 99
    other = compare_tables(b, a, n_neighbors=5, metric=metric, sample_size=None)
    assert other.procrustes_residual == pytest.approx(found.procrustes_residual, abs=1e-9)
    assert other.neighbor_overlap == pytest.approx(found.neighbor_overlap, abs=1e-9)


def test_comparison_of_equal_and_of_unrelated_tables():
    rng = np.random.default_rng(0)
    table = EmbeddingTable(range(3_000), rng.standard_normal((3_000, 10)))
    same = compare_tables(table, table, random_state=0)
    assert (same.neighbor_overlap, same.n_sampled) == (1.0, 1_000)
    assert same.procrustes_residual == pytest.approx(0.0, abs=1e-9)
    noise = EmbeddingTable(range(3_000), rng.standard_normal((3_000, 10)))
    other = compare_tables(table, noise, random_state=0)
    assert other.neighbor_overlap < 4 * other.chance_overlap
    assert other.procrustes_residual > 0.95
    assert other == compare_tables(table, noise, random_state=0)
    assert "neighbor_overlap" in other.to_dict()
    points = EmbeddingTable(range(20), np.ones((20, 2)))
    assert compare_tables(points, points).procrustes_residual == 0.0


@pytest.mark.parametrize(("n_keys", "dim"), [(20, 40), (60, 60), (300, 60), (2_000, 5)])
def test_what_unrelated_tables_have_in_common_is_said(n_keys, dim):
    """Of no more keys than dimensions a rotation brings any table onto another: the residual alone says nothing."""
    rng = np.random.default_rng(0)
    X, Y, noise = rng.normal(size=(3, n_keys, dim))
    table, other, near = (EmbeddingTable(range(n_keys), vectors) for vectors in (X, Y, X + 0.1 * noise))
    found = compare_tables(table, other, random_state=0)
    assert found.chance_residual == pytest.approx(found.procrustes_residual, abs=0.05)
    if n_keys < dim:
        assert found.procrustes_residual < 0.5
    assert compare_tables(table, near, random_state=0).procrustes_residual < 0.3 * found.chance_residual
    assert found == compare_tables(table, other, random_state=0)


def test_keys_without_a_vector_have_no_neighbours_in_common():
    """The first keys of a table are the nearest ones of a vector of zeros: in both tables the same."""
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(2, 400, 20))
    X[:200] = Y[:200] = 0
    left, right = EmbeddingTable(range(400), X), EmbeddingTable(range(400), Y)
    for metric in ("cosine", "dot"):
        found = compare_tables(left, right, metric=metric, random_state=0)
        assert found.n_sampled == 200
        assert found.neighbor_overlap < 4 * found.chance_overlap
        assert compare_tables(left, left, metric=metric, random_state=0).neighbor_overlap == 1.0
    assert compare_tables(left, right, metric="euclidean", random_state=0).n_sampled == 400


@pytest.mark.parametrize("scale", [1e-25, 1e25])
@pytest.mark.parametrize("kind", [EmbeddingTable, np.asarray, sparse.csr_matrix])
def test_neighbourhoods_do_not_depend_on_the_unit(scale, kind):
    """Squares that float32 has not made all distances equal, and any map was trustworthy."""
    rng = np.random.default_rng(0)
    X, plane = rng.normal(size=(200, 10)).astype(np.float32), rng.normal(size=(200, 2)).astype(np.float32)

    def made(vectors):
        return kind(range(200), vectors) if kind is EmbeddingTable else kind(vectors)

    for measure in (trustworthiness, neighborhood_preservation):
        assert measure(made(X * np.float32(scale)), plane) == pytest.approx(measure(made(X), plane), abs=1e-3)
        assert measure(X, plane * np.float32(scale)) == pytest.approx(measure(X, plane), abs=1e-3)
    assert trustworthiness(made(X * np.float32(scale)), plane) < 0.6


def test_tables_that_do_not_fit_are_named():
    table = EmbeddingTable(["a", "b"], np.eye(2))
    with pytest.raises(ValueError, match="keys in both tables, got 10 beside 2 shared keys"):
        compare_tables(table, table)
    with pytest.raises(ValueError, match="0 shared keys"):
        compare_tables(table, EmbeddingTable(["c"], [[1.0]]), n_neighbors=1)
    with pytest.raises(TypeError, match="right must be an EmbeddingTable, got ndarray"):
        compare_tables(table, np.eye(2))
    with pytest.raises(ValueError, match="metric must be one of 'cosine', 'euclidean', 'dot', got 'l1'"):
        compare_tables(table, table, metric="l1")


@pytest.mark.parametrize("measure", [trustworthiness, neighborhood_preservation])
def test_tables_are_compared_key_by_key(measure):
    """Rows of one table may stand in another order than those of the other."""
    vectors = np.random.default_rng(0).normal(size=(30, 5))
    keys = [f"k{i}" for i in range(30)]
    before, after = EmbeddingTable(keys, vectors), EmbeddingTable(keys, vectors[:, :3])
    expected = measure(before.vectors, after.vectors)
    order = np.random.default_rng(1).permutation(30)
    assert measure(before, after) == measure(before, after.subset([keys[i] for i in order])) == expected
    assert measure(before, after.vectors) == expected
    others = EmbeddingTable([*keys[:-1], "x"], after.vectors)
    with pytest.raises(
        ValueError, match=r"^X and X_embedded must be tables of the same keys, got 'x' in X_embedded alone"
    ):
        measure(before, others)
