"""An approximate index behind the same calls: what it finds is scored and ordered as exact search does."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from skembed import EmbeddingTable
from skembed.table.neighbors import METRICS


@pytest.fixture(scope="module")
def table():
    pytest.importorskip("usearch")
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((5_000, 4)) @ rng.standard_normal((4, 20)) + rng.standard_normal((5_000, 20)) / 10
    return EmbeddingTable([f"k{i}" for i in range(5_000)], vectors)


@pytest.fixture(scope="module")
def index(table):
    return table.build_index()


@pytest.mark.parametrize("metric", METRICS)
def test_it_finds_nearly_all_neighbours_with_exact_scores(table, metric):
    index = table.build_index(metric)
    queries = np.random.default_rng(1).standard_normal((300, 20)).astype(np.float32)
    exact, found = (
        table.kneighbors(queries, 10, metric=metric),
        table.kneighbors(queries, 10, metric=metric, index=index),
    )
    shares = [len(set(a) & set(b)) / 10 for a, b in zip(exact.rows, found.rows)]
    assert index.recall(queries) == pytest.approx(np.mean(shares))
    assert np.mean(shares) > 0.6
    assert index.recall_ > (0.6 if metric == "dot" else 0.95)
    assert f"{index.recall_:.3f}" in repr(index)
    for query in range(300):
        scores = dict(zip(exact.rows[query], exact.scores[query]))
        order = found.rows[query].tolist()
        assert all(scores[row] == score for row, score in zip(order, found.scores[query]) if row in scores)
        both = [row for row in order if row in scores]
        assert both == [row for row in exact.rows[query].tolist() if row in order]


def test_nearest_takes_it_with_all_its_options(table, index):
    exact, found = table.nearest("k7", 8), table.nearest("k7", 8, index=index)
    assert len(set(exact) & set(found)) >= 7
    assert "k7" not in dict(found)
    assert len(found) == 8
    without = table.nearest("k7", 8, exclude=[found[0][0], found[3][0], "nobody"], index=index)
    assert len(without) == 8
    assert not {found[0][0], found[3][0], "k7"} & set(dict(without))
    some = table.keys[:50]
    assert table.nearest("k7", 8, restrict_to=some, index=index) == table.nearest("k7", 8, restrict_to=some)
    many = table.nearest(["k7", "k9"], 8, index=index)
    assert many[0] == found
    assert table.nearest(table["k7"] * 2, 1, index=index)[0][0] == "k7"


def test_two_indexes_of_one_thread_are_alike_and_more_threads_find_as_much(table, index):
    queries = table.vectors[:200] + np.float32(0.1)
    again = table.build_index()
    assert (table.kneighbors(queries, index=again).rows == table.kneighbors(queries, index=index).rows).all()
    assert table.build_index(n_jobs=2).recall_ > 0.95


@pytest.mark.parametrize(("n_jobs", "n_threads"), [(None, 1), (3, 3)])
def test_as_many_threads_build_and_search_as_are_asked_for(table, n_jobs, n_threads, monkeypatch):
    usearch = pytest.importorskip("usearch.index")
    seen = []

    class Index(usearch.Index):
        def add(self, *args, threads, **options):
            seen.append(threads)
            return super().add(*args, threads=threads, **options)

        def search(self, *args, threads, **options):
            seen.append(threads)
            return super().search(*args, threads=threads, **options)

    monkeypatch.setattr(usearch, "Index", Index)
    table.kneighbors(table.vectors[:3], index=table.build_index(n_jobs=n_jobs))
    assert len(seen) > 2
    assert set(seen) == {n_threads}


def test_eight_threads_find_what_one_does(table, index):
    queries = table.vectors[:64] + np.float32(0.1)
    expected = table.kneighbors(queries, index=index).rows
    with ThreadPoolExecutor(8) as pool:
        found = list(
            pool.map(lambda query: table.kneighbors(query[None], index=index).rows[0], np.tile(queries, (4, 1)))
        )
    assert (np.array(found) == np.tile(expected, (4, 1))).all()


def test_more_candidates_find_more(table):
    few = table.build_index(connectivity=2, expansion_add=2, expansion_search=1)
    assert few.recall_ < table.build_index(expansion_search=200).recall_


def test_tables_of_few_keys_zeros_and_copies():
    pytest.importorskip("usearch")
    for vectors in (np.eye(3), np.zeros((3, 2)), np.ones((30, 2)), np.ones((1, 2))):
        table = EmbeddingTable(range(len(vectors)), vectors)
        index = table.build_index()
        found = table.nearest(0, 100, index=index)
        assert {key for key, _ in found} == set(range(1, len(vectors)))
    assert np.isnan(index.recall_)
    empty = EmbeddingTable([], np.empty((0, 2)))
    assert empty.nearest(np.ones(2), index=empty.build_index()) == []


@pytest.mark.parametrize("metric", ["cosine", "euclidean", "dot"])
def test_of_equal_vectors_any_will_do(metric):
    vectors = np.repeat(np.random.default_rng(0).standard_normal((3, 8)), 400, axis=0)
    index = EmbeddingTable(range(len(vectors)), vectors).build_index(metric)
    assert index.recall_ > 0.95
    assert index.recall(k=500) <= 1


def test_an_index_that_does_not_fit_is_named(table, index):
    other = EmbeddingTable(table.keys, table.vectors * 2)
    with pytest.raises(ValueError, match="index must be of this table"):
        other.nearest("k1", index=index)
    with pytest.raises(ValueError, match="metric must be that of the index, 'cosine', got 'dot'"):
        table.nearest("k1", metric="dot", index=index)
    with pytest.raises(TypeError, match="index must be what build_index returned, got str"):
        table.kneighbors(table.vectors[:1], index="usearch")
    with pytest.raises(ValueError, match="connectivity must be a positive int, got 0"):
        table.build_index(connectivity=0)
    with pytest.raises(ValueError, match="metric must be one of"):
        table.build_index("l1")


def test_without_usearch_the_error_names_the_extra():
    code = (
        "import sys; sys.modules['usearch'] = None; sys.modules['usearch.index'] = None\n"
        "from skembed import EmbeddingTable\n"
        "table = EmbeddingTable(['a'], [[1.0]])\n"
        "try:\n    table.build_index()\nexcept ImportError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 'pip install "skembed[index]"' in done.stdout
