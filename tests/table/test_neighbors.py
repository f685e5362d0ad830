"""Exact search agrees with a full sort, however it is cut into blocks, and whatever the numbers."""

import pickle
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import skembed.table.neighbors
from skembed import EmbeddingTable
from skembed.table.neighbors import METRICS, ExactIndex


def full_sort(vectors, query, metric):
    """The slow twin: every score in float64, rounded to float32, then sorted by score and by row."""
    vectors, query = vectors.astype(np.float64), query.astype(np.float64)
    products = (vectors * query).sum(axis=1)
    if metric == "euclidean":
        scores = np.sqrt(((vectors - query) ** 2).sum(axis=1))
    elif metric == "dot":
        scores = products
    else:
        lengths = np.linalg.norm(vectors, axis=1) * np.linalg.norm(query)
        scores = np.divide(products, lengths, out=np.zeros_like(products), where=lengths > 0)
    scores = scores.astype(np.float32)
    order = np.lexsort((np.arange(len(vectors)), scores if metric == "euclidean" else -scores))
    return scores[order], order


def awkward_vectors(rng, n, dim):
    """Small integers make ties; some rows are zero, some repeat, some differ by a rounding error."""
    vectors = rng.integers(-2, 3, size=(n, dim)).astype(np.float32)
    vectors[rng.random(n) < 0.1] = 0
    copies = rng.integers(0, n, size=n // 4)
    vectors[rng.integers(0, n, size=n // 4)] = vectors[copies]
    noisy = rng.integers(0, n, size=n // 4)
    vectors[noisy] *= np.float32(1 + 2.0**-22)
    return vectors


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(
    ("n", "dim", "n_queries", "k"), [(1, 1, 1, 1), (50, 3, 7, 60), (3000, 8, 40, 10), (700, 4, 9, 300)]
)
@pytest.mark.parametrize("scores_at_once", [64, 5_000, 1 << 23])
def test_equals_a_full_sort(monkeypatch, metric, n, dim, n_queries, k, scores_at_once):
    monkeypatch.setattr(skembed.table.neighbors, "_SCORES_AT_ONCE", scores_at_once)
    rng = np.random.default_rng(n + k)
    vectors = awkward_vectors(rng, n, dim)
    queries = np.concatenate([vectors[:2], np.zeros((1, dim)), rng.standard_normal((n_queries, dim))]).astype(
        np.float32
    )
    scores, rows = ExactIndex(vectors).search(queries, k, metric)
    for query, found_scores, found_rows in zip(queries, scores, rows):
        expected_scores, expected_rows = full_sort(vectors, query, metric)
        assert found_rows.tolist() == expected_rows[:k].tolist()
        assert found_scores.tolist() == expected_scores[:k].tolist()


@pytest.mark.parametrize("metric", METRICS)
def test_ties_stand_in_the_order_of_the_rows(metric):
    vectors = np.tile(np.float32([[1, 2], [0, 0], [3, 1], [1, 2]]), (1000, 1))
    scores, rows = ExactIndex(vectors).search(np.float32([[1, 2], [0, 0], [3, 1]]), 1500, metric)
    for query, found_scores, found_rows in zip(np.float32([[1, 2], [0, 0], [3, 1]]), scores, rows):
        expected_scores, expected_rows = full_sort(vectors, query, metric)
        assert found_rows.tolist() == expected_rows[:1500].tolist()
        assert found_scores.tolist() == expected_scores[:1500].tolist()


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 200),
    k=st.integers(1, 40),
    metric=st.sampled_from(METRICS),
    scores_at_once=st.sampled_from([16, 300, 1 << 23]),
    scale=st.sampled_from([1.0, 1e-40, 1e-25, 1e18, 1e37]),
)
def test_rows_excluded_restricted_and_scaled(seed, n, k, metric, scores_at_once, scale):
    rng = np.random.default_rng(seed)
    vectors = (awkward_vectors(rng, n, 3) * np.float64(scale)).astype(np.float32)
    queries = np.concatenate([vectors[rng.integers(0, n, 2)], (rng.standard_normal((2, 3)) * scale).astype(np.float32)])
    among = np.flatnonzero(rng.random(n) < 0.7) if rng.random() < 0.5 else None
    excluded = rng.integers(0, n, 5) if rng.random() < 0.5 else None
    own_rows = rng.integers(-1, n, 4) if rng.random() < 0.5 else None
    before, skembed.table.neighbors._SCORES_AT_ONCE = skembed.table.neighbors._SCORES_AT_ONCE, scores_at_once
    try:
        scores, rows = ExactIndex(vectors).search(queries, k, metric, among=among, excluded=excluded, own_rows=own_rows)
    finally:
        skembed.table.neighbors._SCORES_AT_ONCE = before
    for i, query in enumerate(queries):
        with np.errstate(over="ignore"):
            expected_scores, expected_rows = full_sort(vectors, query, metric)
        allowed = np.ones(n, dtype=bool)
        if among is not None:
            allowed[np.setdiff1d(np.arange(n), among)] = False
        if excluded is not None:
            allowed[excluded] = False
        if own_rows is not None and own_rows[i] >= 0:
            allowed[own_rows[i]] = False
        expected_scores = expected_scores[allowed[expected_rows]][:k]
        found = rows[i][rows[i] >= 0]
        assert allowed[found].all()
        assert len(set(found.tolist())) == len(found) == len(expected_scores)
        np.testing.assert_allclose(scores[i][: len(found)], expected_scores, rtol=2e-7)
        assert np.isnan(scores[i][len(found) :]).all()


def test_a_difference_that_float32_products_cannot_see():
    # far from the origin, v.q - |v|^2 / 2 in float32 is all rounding error
    rng = np.random.default_rng(0)
    vectors = (rng.standard_normal((5000, 3)) + 3000).astype(np.float32)
    scores, rows = ExactIndex(vectors).search(vectors[:50] + np.float32(0.01), 5, "euclidean")
    for query, found_scores, found_rows in zip(vectors[:50] + np.float32(0.01), scores, rows):
        expected_scores, expected_rows = full_sort(vectors, query, "euclidean")
        assert found_rows.tolist() == expected_rows[:5].tolist()
        assert found_scores.tolist() == expected_scores[:5].tolist()


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("scores_at_once", [500, 1 << 23])
def test_any_rounding_that_float32_allows_gives_the_same_rows(monkeypatch, metric, scores_at_once):
    # a sum of dim products may be off by dim roundings: here it is, and most of the scores are closer than that
    rng = np.random.default_rng(5)
    vectors = (rng.standard_normal(40) + 1e-2 * rng.standard_normal((3000, 40))).astype(np.float32)
    queries = vectors[:5] + 1e-2 * rng.standard_normal((5, 40)).astype(np.float32)
    exact = skembed.table.neighbors._Search.block_scores

    def worst_case(search, where):
        length = {"cosine": 1.0, "dot": search.index.largest}.get(metric, search.index.largest * search.query_norms)
        return exact(search, where) + 40 * 2.0**-24 * length * rng.choice([-1, 1], size=(len(vectors[where]), 5))

    monkeypatch.setattr(skembed.table.neighbors, "_SCORES_AT_ONCE", scores_at_once)
    monkeypatch.setattr(skembed.table.neighbors._Search, "block_scores", worst_case)
    scores, rows = ExactIndex(vectors).search(queries, 10, metric)
    for query, found_scores, found_rows in zip(queries, scores, rows):
        expected_scores, expected_rows = full_sort(vectors, query, metric)
        assert found_rows.tolist() == expected_rows[:10].tolist()
        assert found_scores.tolist() == expected_scores[:10].tolist()


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("scale", [1e-40, 1e-30, 1e-20, 1e20, 1e30, 1e38])
def test_extreme_lengths(metric, scale):
    # products of these overflow, vanish or lose their digits in float32
    rng = np.random.default_rng(4)
    vectors = (awkward_vectors(rng, 300, 3) * scale).astype(np.float32)
    if metric == "cosine":
        vectors[::2] = awkward_vectors(rng, 150, 3)
    queries = vectors[:20]
    with np.errstate(over="ignore"):
        twins = [full_sort(vectors, query, metric) for query in queries]
    scores, rows = ExactIndex(vectors).search(queries, 200, metric)
    for found_scores, found_rows, (expected_scores, expected_rows) in zip(scores, rows, twins):
        assert found_scores.tolist() == expected_scores[:200].tolist()
        if np.isfinite(expected_scores).all() and expected_scores.any():
            assert found_rows.tolist() == expected_rows[:200].tolist()


@pytest.mark.parametrize("metric", METRICS)
def test_one_by_one_in_bulk_and_in_threads_bit_for_bit(metric):
    rng = np.random.default_rng(1)
    vectors = rng.standard_normal((20_000, 33)).astype(np.float32)
    vectors[100:200] = vectors[0] * (1 + rng.standard_normal((100, 33)).astype(np.float32) * 1e-7)
    queries = np.concatenate([vectors[:3], rng.standard_normal((13, 33)).astype(np.float32)])
    table = EmbeddingTable(range(20_000), vectors)
    bulk_scores, bulk_rows = table.kneighbors(queries, 20, metric=metric)
    fresh = pickle.loads(pickle.dumps(table))  # norms not yet computed: the threads race for them
    with ThreadPoolExecutor(8) as pool:
        single = list(
            pool.map(lambda query: fresh.kneighbors(query[None], 20, metric=metric), np.tile(queries, (2, 1)))
        )
    for position, (scores, rows) in enumerate(single):
        assert rows[0].tolist() == bulk_rows[position % 16].tolist()
        assert scores[0].tobytes() == bulk_scores[position % 16].tobytes()


def test_memory_stays_bounded():
    rng = np.random.default_rng(2)
    index = ExactIndex(rng.standard_normal((60_000, 8)).astype(np.float32))
    queries = rng.standard_normal((2_000, 8)).astype(np.float32)  # all scores at once: 480 MB
    queries[::2] = 0  # every row ties
    tracemalloc.start()
    index.search(queries, 10)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 120e6


def test_an_empty_table_has_no_neighbours():
    table = EmbeddingTable([], np.empty((0, 2)))
    assert table.nearest(np.ones(2)) == []
    assert table.kneighbors(np.ones((3, 2)))[1].shape == (3, 0)


@pytest.mark.parametrize("own", METRICS)
def test_a_table_is_searched_by_its_own_metric_unless_another_is_named(own):
    vectors = awkward_vectors(np.random.default_rng(0), 100, 3)
    plain, table = EmbeddingTable(range(100), vectors), EmbeddingTable(range(100), vectors, metric=own)
    queries = vectors[:5] + 1
    for metric in (None, *METRICS):
        asked = metric or own
        assert table.nearest(3, metric=metric) == plain.nearest(3, metric=asked)
        for found, expected in zip(
            table.kneighbors(queries, metric=metric), plain.kneighbors(queries, metric=asked), strict=True
        ):
            assert found.tolist() == expected.tolist()
    assert table.nearest(3) == plain.nearest(3, metric=own)
    assert table.kneighbors(queries).scores.tolist() == plain.kneighbors(queries, metric=own).scores.tolist()
    # these are of directions by their definition
    assert table.similarity(1, 2) == plain.similarity(1, 2)
    assert table.outlier([1, 2, 3, 4]) == plain.outlier([1, 2, 3, 4])
    assert table.analogy([1, 2], [3]) == plain.analogy([1, 2], [3])


@pytest.mark.parametrize("own", METRICS)
def test_an_index_is_built_by_the_metric_of_its_table(own):
    pytest.importorskip("usearch")
    table = EmbeddingTable(range(100), np.random.default_rng(0).standard_normal((100, 3)), metric=own)
    index = table.build_index()
    assert index.metric == own
    table.nearest(3, index=index)  # of one metric, so not refused
    table.kneighbors(table.vectors, index=index)
    other = METRICS[METRICS.index(own) - 1]
    assert table.build_index(other).metric == other
    with pytest.raises(ValueError, match=f"metric must be that of the index, '{other}', got '{own}'"):
        table.nearest(3, index=table.build_index(other))


def test_vectors_of_another_size_are_named():
    table = EmbeddingTable(["a", "b"], np.eye(2))
    with pytest.raises(ValueError, match=r"^vectors must"):
        table.kneighbors(np.ones((1, 3)))
    with pytest.raises(ValueError, match=r"^vectors must have shape \(n, 2\)"):
        table.kneighbors(np.ones(2))


def test_keys_restricted_to_are_looked_up_once_for_many_searches(monkeypatch):
    table = EmbeddingTable([f"k{i}" for i in range(50)], np.random.default_rng(0).standard_normal((50, 4)))
    some = [f"k{i}" for i in range(20)]
    first = table.nearest("k3", restrict_to=some)
    sought, find_rows = [], skembed.table.queries.find_rows
    monkeypatch.setattr(skembed.table.queries, "find_rows", lambda *given: sought.extend(given[0]) or find_rows(*given))
    assert table.nearest("k3", restrict_to=some) == first
    assert table.nearest("k3", restrict_to=list(some)) == first
    assert sought == []
    some.remove(first[0][0])  # a list may change in between
    assert [key for key, _ in table.nearest("k3", 9, restrict_to=some)] == [key for key, _ in first[1:]]
    assert sought == some


@pytest.mark.parametrize("metric", METRICS)
def test_a_copy_of_the_restricted_rows_gives_what_the_table_gives(monkeypatch, metric):
    rng = np.random.default_rng(1)
    vectors = awkward_vectors(rng, 90, 5)
    keys = [f"k{i}" for i in range(90)]
    some = [keys[row] for row in rng.permutation(90)[:40]]
    queries, exclude = [*keys[:30], *some[:5]], [some[3], keys[7], "unknown"]
    copied = EmbeddingTable(keys, vectors).nearest(queries, 45, metric=metric, restrict_to=some, exclude=exclude)
    monkeypatch.setattr(skembed.table.queries, "COPIED_AT_ONCE", 0)
    gathered = EmbeddingTable(keys, vectors).nearest(queries, 45, metric=metric, restrict_to=some, exclude=exclude)
    assert copied == gathered
    assert {len(found) for found in copied} == {38, 39}


def test_queries_are_keys_of_any_container_behind_all_that_is_searched_too():
    table = EmbeddingTable([f"k{i}" for i in range(6)], np.random.default_rng(0).normal(size=(6, 3)))
    (expected,) = table.nearest(["k5"], 2, restrict_to=["k0", "k1", "k3"])
    assert {key for key, _ in expected} < {"k0", "k1", "k3"}
    for query in ({"k5"}, {"k5": 1}.keys()):
        assert table.nearest(query, 2, restrict_to=["k0", "k1", "k3"]) == [expected]


class Tensor:
    """What tensors of other libraries are: hashed by what they are, compared number by number."""

    def __init__(self, values):
        self.values = np.asarray(values, dtype=np.float64)

    ndim = property(lambda self: self.values.ndim)
    __hash__ = object.__hash__

    def __array__(self, dtype=None, copy=None):
        return self.values.astype(dtype)

    def __iter__(self):
        return map(Tensor, self.values)

    def __eq__(self, other):
        return Tensor(self.values == np.asarray(other))

    def __ne__(self, other):
        return Tensor(self.values != np.asarray(other))

    def __bool__(self):
        if self.values.size != 1:
            raise RuntimeError("Boolean value of Tensor with more than one value is ambiguous")
        return bool(self.values)


def torch_tensor(values):
    return pytest.importorskip("torch").tensor(values)


@pytest.mark.parametrize("tensor", [Tensor, torch_tensor])
def test_tensors_are_vectors(tensor):
    table = EmbeddingTable(["a", "b", "c"], [[1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    one, two = tensor([1.0, 0.25]), tensor([[1.0, 0.25], [0.0, 2.0]])
    assert table.nearest(one, k=2) == table.nearest(np.asarray(one), k=2)
    assert table.nearest(two, k=2) == table.nearest(np.asarray(two), k=2)
    assert [row.tolist() for row in table.kneighbors(two, k=1)[1]] == [[0], [2]]
    assert table.similarity(one, "a") == table.similarity(np.asarray(one), "a")
    assert table.analogy([one], ["c"], k=1) == table.analogy([np.asarray(one)], ["c"], k=1)
    assert table.analogy(two, k=1) == table.analogy(np.asarray(two), k=1)
    assert one not in table
    with pytest.raises(ValueError, match=r"query must have shape \(2,\) or \(n, 2\), got \(3,\)"):
        table.nearest(tensor([1.0, 2.0, 3.0]))
    with pytest.raises(KeyError, match="2 keys are not in this table"):
        table[one]
