"""CSLS: exact search, beside every pair written out."""

import numpy as np
import pytest

from skembed import EmbeddingTable
from skembed.inspection import hubness, k_occurrences
from skembed.pairs import translate


def vectors(n, seed, dim=6):
    return np.random.default_rng(seed).normal(size=(n, dim)).astype(np.float32) + 0.5


def cosines(A, B):
    A, B = (part.astype(np.float64) / np.linalg.norm(part, axis=1, keepdims=True) for part in (A, B))
    return A @ B.T


def best_mean(scores, k):
    return np.sort(scores, axis=1)[:, -k:].mean(axis=1)


def test_between_two_tables():
    A, B = vectors(90, 0), vectors(70, 1)
    scores = cosines(A, B)
    expected = 2 * scores - best_mean(scores, 10)[:, None] - best_mean(scores.T, 10)
    source, target = EmbeddingTable([f"a{i}" for i in range(90)], A), EmbeddingTable([f"b{i}" for i in range(70)], B)
    found = translate(source, target, k=3)
    order = np.argsort(-expected, axis=1)[:, :3]
    assert [[key for key, _ in one] for one in found] == [[f"b{j}" for j in row] for row in order]
    np.testing.assert_allclose(
        [[score for _, score in one] for one in found], np.take_along_axis(expected, order, 1), atol=1e-5
    )
    assert translate(source, target, ["a7", "a3"], k=3) == [found[7], found[3]]  # those beside change nothing
    near = translate(source, target, n_neighbors=3)
    three = 2 * scores - best_mean(scores.T, 3)
    assert [one[0][0] for one in near] == [f"b{j}" for j in three.argmax(axis=1)]
    assert [one[0][0] for one in translate(source, target, metric="cosine")] == [f"b{j}" for j in scores.argmax(axis=1)]


def test_within_a_table():
    A = vectors(60, 2)
    A[5] = 0
    table = EmbeddingTable([f"a{i}" for i in range(60)], A)
    unit = A / np.maximum(np.linalg.norm(A, axis=1, keepdims=True), 1e-30)
    scores = (unit @ unit.T).astype(np.float64)
    own = scores.copy()
    np.fill_diagonal(own, -np.inf)
    r = best_mean(own, 10)
    np.fill_diagonal(scores, -np.inf)
    expected = 2 * scores - r[:, None] - r
    found = table.nearest(["a3", "a9"], 4, metric="csls")
    for row, one in zip((3, 9), found):
        order = np.argsort(-expected[row])[:4]
        assert [key for key, _ in one] == [f"a{j}" for j in order]
        np.testing.assert_allclose([score for _, score in one], expected[row, order], atol=1e-5)
    among = ["a1", "a2", "a5", "a50"]
    (best,) = table.nearest(["a3"], 1, metric="csls", restrict_to=among, exclude=["a1"])
    assert best[0][0] == f"a{max((2, 5, 50), key=lambda j: expected[3, j])}"
    query = vectors(1, 3)[0]
    scores, rows = table.kneighbors(query[None], 4, metric="csls")
    assert table.nearest(query, 4, metric="csls") == [
        (f"a{j}", s) for j, s in zip(rows[0].tolist(), scores[0].tolist())
    ]
    assert table.nearest("a3", 4) == table.nearest("a3", 4, metric="cosine")


def test_small_tables():
    assert EmbeddingTable(["a"], [[1.0]]).nearest("a", metric="csls") == []
    one, two = EmbeddingTable(["a"], [[1.0, 0.0]]), EmbeddingTable(["b"], [[2.0, 0.0]])
    assert translate(one, two) == [[("b", 0.0)]]  # 2 - 1 - 1
    assert len(translate(one, two, k=5)[0]) == 1


def test_what_does_not_fit_is_named():
    table = EmbeddingTable(range(40), vectors(40, 0))
    with pytest.raises(ValueError, match=r"'csls' is searched exactly alone.*without one"):
        table.build_index("csls")
    with pytest.raises(ValueError, match="'csls' is searched exactly alone; leave index out"):
        table.nearest(3, metric="csls", index=object())
    with pytest.raises(ValueError, match="metric must be one of"):
        EmbeddingTable(["a"], [[1.0]], metric="csls")
    with pytest.raises(ValueError, match="6 dimensions and target 1"):
        translate(table, EmbeddingTable(["a"], [[1.0]]))
    for name in ("k", "n_neighbors"):
        with pytest.raises(ValueError, match=f"{name} must be a positive int, got 0"):
            translate(table, table, **{name: 0})
    with pytest.raises(KeyError, match="99"):
        translate(table, table, [99])
    letters = EmbeddingTable(["a", "b"], [[1.0, 0.0], [0.0, 1.0]])
    with pytest.raises(TypeError, match=r"keys must be a list of keys, got the single str 'ab'; pass \['ab'\]\."):
        translate(letters, letters, "ab")
    with pytest.raises(ValueError, match="metric must be one of"):
        translate(table, table, metric="cos")


def test_an_index_refuses_csls():
    pytest.importorskip("usearch")
    table = EmbeddingTable(range(40), vectors(40, 0))
    with pytest.raises(ValueError, match="leave index out"):
        table.kneighbors(vectors(2, 1), metric="csls", index=table.build_index())


def test_hubs_are_measured_and_csls_has_fewer():
    rng = np.random.default_rng(0)
    table = EmbeddingTable(range(400), rng.normal(size=(400, 30)) + 0.5)
    counts = k_occurrences(table, k=5)
    assert counts.sum() == 5 * 400
    nearest = [key for found in table.nearest(list(range(400)), 5) for key, _ in found]
    np.testing.assert_array_equal(counts, np.bincount(nearest, minlength=400))
    z = (counts - counts.mean()) / counts.std()
    assert hubness(table, k=5) == pytest.approx((z**3).mean())
    assert hubness(table, metric="csls") < hubness(table) - 0.3
    queries = EmbeddingTable(range(7), rng.normal(size=(7, 30)))
    assert k_occurrences(table, queries, k=3).sum() == k_occurrences(table, queries.vectors, k=3).sum() == 21
    assert hubness(EmbeddingTable(["a", "b"], [[1.0], [2.0]])) == 0.0
