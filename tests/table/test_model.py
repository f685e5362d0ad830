"""Tables beside a model of them: a dict of lists, and loops over all keys, whatever is read or compared at a time."""

import contextlib
import copy
import pickle

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import skembed.table.csls
import skembed.table.neighbors
from skembed import EmbeddingTable, SubwordTable
from skembed.table import embedding_table, queries, subword_table, subwords
from skembed.table.csls import CSLSIndex
from skembed.table.keys import UnseenKeyError, build_index, find_rows, key_list, near_misses, unseen_message
from skembed.table.neighbors import METRICS, ExactIndex, row_norms
from skembed.table.subwords import Subwords, encode_word, hash_ngrams, word_ngrams

KEYS = ["Ulm", "Graz", "Bern", None, 7, 2.5, ("a", 1), b"x", "ulm", "Köln"]
OTHERS = ["Oslo", 8, frozenset("a"), "graz"]
BLOCKS = [
    (embedding_table, "_BLOCK_ROWS", 3), (subwords, "_BLOCK_WORDS", 2),
    (subword_table, "_KEYS_AT_ONCE", 3), (skembed.table.csls, "COPIED_AT_ONCE", 7),
    (skembed.table.neighbors, "COPIED_AT_ONCE", 5), (skembed.table.neighbors, "_WIDENED_AT_ONCE", 6),
    (skembed.table.neighbors, "_QUERIES_AT_ONCE", 3), (skembed.table.neighbors, "_SCORES_AT_ONCE", 20),
    (skembed.table.neighbors, "_GROUP", 2), (skembed.table.neighbors, "_CANDIDATES", 1),
]  # fmt: skip


@contextlib.contextmanager
def blocks(which):
    """A few rows at a time, as of tables that are large; "queries": restricted rows are gathered, too."""
    with pytest.MonkeyPatch.context() as patch:
        for module, name, size in BLOCKS if which else []:
            patch.setattr(module, name, size)
        patch.setattr(skembed.table.neighbors, "_CACHED", 0 if which == "large" else skembed.table.neighbors._CACHED)
        if which == "gathered":
            patch.setattr(queries, "COPIED_AT_ONCE", 0)
        yield


WHICH = st.sampled_from([None, "small", "large", "gathered"])
SEEDS = st.integers(0, 2**32 - 1)


def made(rng, keys, *, dim=3, unknown=True, counts=True, metric="cosine"):
    vectors = rng.integers(-4, 5, (len(keys), dim)) / 2
    extra = {"unknown": rng.integers(-4, 5, dim) / 2 if unknown else None, "metric": metric}
    return EmbeddingTable(keys, vectors, counts=rng.integers(0, 99, len(keys)) if counts else None, **extra)


def some(rng, keys, least=0):
    return [keys[i] for i in rng.permutation(len(keys))[: int(rng.integers(least, len(keys) + 1))]]


def assert_sound(table, keys, vectors, *, unknown, metric, counts):
    """All that a table has, and that nothing of it can be changed."""
    assert table.keys.tolist() == list(table) == keys
    assert table.keys.dtype == object
    assert table.shape == (len(keys), np.shape(vectors)[1])
    assert len(table) == len(keys)
    assert table.embedding_dim == np.shape(vectors)[1]
    np.testing.assert_allclose(table.vectors, vectors, rtol=1e-6, atol=1e-6)
    assert table.vectors.dtype == np.float32
    assert table.vectors.flags.c_contiguous
    assert table.metric == metric
    if unknown is None:
        assert table.unknown is None
    else:
        np.testing.assert_allclose(table.unknown, unknown, rtol=1e-6, atol=1e-6)
        assert table.unknown.dtype == np.float32
    assert (table.counts is None) == (counts is None)
    if counts is not None:
        assert table.counts.tolist() == list(counts)
        assert table.counts.dtype == np.int64
    for array in (table.keys, table.vectors, table.unknown, table.counts):
        assert array is None or not array.flags.writeable
    assert table.index_of(keys).tolist() == list(range(len(keys)))
    assert all(key in table for key in keys)
    assert table.shared_keys.array is table.keys


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=SEEDS, which=WHICH, unknown=st.booleans(), counts=st.booleans(), metric=st.sampled_from(METRICS))
def test_tables_made_of_tables(seed, which, unknown, counts, metric):
    rng = np.random.default_rng(seed)
    keys = some(rng, KEYS, 1)
    table = made(rng, keys, unknown=unknown, counts=counts, metric=metric)
    rows = dict(zip(keys, table.vectors.tolist()))
    seen = dict(zip(keys, table.counts.tolist())) if counts else None
    empty = None if not unknown else table.unknown.tolist()
    parts = {"metric": metric, "unknown": empty}
    whole = None if seen is None else list(seen.values())
    with blocks(which):
        assert_sound(table, keys, list(rows.values()), counts=whole, **parts)
        chosen = some(rng, keys)
        assert_sound(
            table.subset(chosen),
            chosen,
            np.reshape([rows[k] for k in chosen], (-1, 3)),
            counts=None if seen is None else [seen[k] for k in chosen],
            **parts,
        )
        for made_again in (copy.copy(table), copy.deepcopy(table), pickle.loads(pickle.dumps(table))):
            assert made_again == table
            assert_sound(made_again, keys, list(rows.values()), counts=whole, **parts)
        units = [np.array(v) / (np.linalg.norm(v) or 1) for v in rows.values()]
        unit = None if empty is None else np.array(empty) / (np.linalg.norm(empty) or 1)
        assert_sound(table.normalize(), keys, units, counts=whole, metric=metric, unknown=unit)
        for dim in (1, 2, 3):
            cut = None if empty is None else empty[:dim]
            assert_sound(
                table.truncate(dim), keys, [v[:dim] for v in rows.values()], counts=whole, metric=metric, unknown=cut
            )
        other_keys = some(rng, [*KEYS, *OTHERS], 1)
        other = made(rng, other_keys, unknown=rng.random() < 0.5, counts=rng.random() < 0.5, metric=metric)
        both = [*keys, *(k for k in other_keys if k not in rows)]
        theirs = dict(zip(other_keys, other.vectors.tolist()))
        for prefer in ("self", "other"):
            first, second = (rows, theirs) if prefer == "self" else (theirs, rows)
            vectors = [first.get(k, second.get(k)) for k in both]
            unknowns = [
                t.unknown for t in ((table, other) if prefer == "self" else (other, table)) if t.unknown is not None
            ]
            sums = None
            if seen is not None and other.counts is not None:
                their_counts = dict(zip(other_keys, other.counts.tolist()))
                sums = [seen.get(k, 0) + their_counts.get(k, 0) for k in both]
            found = table.merge(other, prefer=prefer)
            assert_sound(found, both, vectors, counts=sums, metric=metric, unknown=unknowns[0] if unknowns else None)
        assert table.merge(other) == table.merge(other, prefer="self")
        assert_sound(table, keys, list(rows.values()), counts=whole, **parts)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=SEEDS, which=WHICH)
def test_lookups_are_those_of_a_dict(seed, which):
    rng = np.random.default_rng(seed)
    keys = some(rng, KEYS, 1)
    table = made(rng, keys, unknown=rng.random() < 0.5)
    rows = dict(zip(keys, table.vectors.tolist()))
    asked = [[*KEYS, *OTHERS][i] for i in rng.integers(0, len(KEYS) + len(OTHERS), int(rng.integers(0, 12)))]
    missing = list(dict.fromkeys(k for k in asked if k not in rows))
    mean = table.vectors.mean(axis=0, dtype=np.float64).tolist()
    with blocks(which):
        for default, fallback in ((0, [0] * 3), (np.float64(1.5), [1.5] * 3), ([1, 2, 3], [1, 2, 3]), ("mean", mean)):
            found = table.lookup(asked, default=default)
            np.testing.assert_allclose(found, np.reshape([rows.get(k, fallback) for k in asked], (-1, 3)), rtol=1e-6)
            assert found.dtype == np.float32
            assert found.flags.writeable
            assert not np.shares_memory(found, table.vectors)
        assert table.index_of(asked, default=-5).tolist() == [keys.index(k) if k in rows else -5 for k in asked]
        assert table.index_of(asked, default=-5).dtype == np.int64
        for key in asked:
            assert (key in table) == (key in rows)
            if key in rows:
                assert table.index_of(key) == table.index_of(key, default=9) == keys.index(key)
                assert table[key].tolist() == rows[key]
                assert not table[key].flags.writeable
            else:
                assert table.index_of(key, default=9) == 9
                for ask in (table.__getitem__, table.index_of):
                    with pytest.raises(UnseenKeyError) as caught:
                        ask(key)
                    assert caught.value.args == (key,)
        if not missing:
            np.testing.assert_array_equal(table.lookup(asked), np.reshape([rows[k] for k in asked], (-1, 3)))
            np.testing.assert_array_equal(table[asked], table.lookup(asked))
        else:
            if table.unknown is None:
                with pytest.raises(
                    KeyError, match=rf"{len(missing)} keys are not in this table: .*Pass default= a vector"
                ):
                    table.lookup(asked)
            else:
                unknown = table.unknown.tolist()
                np.testing.assert_array_equal(table.lookup(asked), [rows.get(k, unknown) for k in asked])
            for ask in (table.__getitem__, table.subset, table.index_of):
                with pytest.raises(KeyError, match=rf"keys: {len(missing)} keys are not in this table: "):
                    ask(asked)


def scores_of(table, query, metric):
    """Each key's score, the slow way."""
    vectors, query = table.vectors.astype(np.float64), np.asarray(query, dtype=np.float64)
    if metric == "euclidean":
        return np.sqrt(((vectors - query) ** 2).sum(axis=1))
    products = vectors @ query
    if metric == "dot":
        return products
    lengths = np.linalg.norm(vectors, axis=1) * np.linalg.norm(query)
    return np.divide(products, lengths, out=np.zeros(len(vectors)), where=lengths > 0)


def unit(vectors):
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1)


def csls_of(table, query, row=None):
    """2 cos(x, y) - r(x) - r(y), r of the ten nearest, each without itself."""
    cosines = unit(table.vectors.astype(np.float64)) @ unit(table.vectors.astype(np.float64)).T
    np.fill_diagonal(cosines, -np.inf)
    k = min(10, len(table) - 1)
    r = np.sort(cosines, axis=1)[:, len(table) - k :].mean(axis=1) if k else np.zeros(len(table))
    own = unit(table.vectors.astype(np.float64)) @ unit(np.asarray(query, dtype=np.float64))
    beside = np.delete(own, row) if row is not None else own
    k = min(10, len(beside))
    return 2 * own - (np.sort(beside)[len(beside) - k :].mean() if k else 0.0) - r


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    seed=SEEDS, which=WHICH, metric=st.sampled_from([None, *METRICS, "csls"]), own=st.sampled_from(METRICS),
    k=st.integers(1, 14), n=st.integers(1, 30), ask=st.sampled_from(["key", "keys", "vector", "matrix"]),
    restrict=st.booleans(), exclude=st.booleans(),
)  # fmt: skip
def test_the_nearest_are_those_of_a_full_sort(seed, which, metric, own, k, n, ask, restrict, exclude):
    rng = np.random.default_rng(seed)
    keys = [f"k{i}" for i in range(n)]
    vectors = rng.standard_normal((n, 3)).astype(np.float32)
    table = EmbeddingTable(keys, vectors, metric=own)
    query = {
        "key": lambda: keys[rng.integers(n)], "keys": lambda: [keys[i] for i in rng.integers(0, n, 4)],
        "vector": lambda: rng.standard_normal(3), "matrix": lambda: rng.standard_normal((5, 3)),
    }[ask]()  # fmt: skip
    among = some(rng, keys) if restrict else None
    struck = [*some(rng, keys)[:3], "absent"] if exclude else ()
    with blocks(which):
        found = table.nearest(query, k, metric=metric, restrict_to=among, exclude=struck)
        again = table.nearest(query, k, metric=metric, restrict_to=among, exclude=struck)
    assert found == again
    single = ask in ("key", "vector")
    asked = [query] if single else list(query)
    assert len(asked) == len([found] if single else found)
    for one, answer in zip(asked, [found] if single else found):
        row = keys.index(one) if isinstance(one, str) else None
        target = vectors[row] if row is not None else np.float32(one)
        used = metric or own
        scores = csls_of(table, target, row) if used == "csls" else scores_of(table, target, used)
        allowed = [
            i for i in range(n) if i != row and keys[i] not in struck and (among is None or keys[i] in among)
        ]  # fmt: skip
        best = sorted(allowed, key=lambda i: (scores[i] if used == "euclidean" else -scores[i], i))[:k]
        assert [key for key, _ in answer] == [keys[i] for i in best]
        np.testing.assert_allclose([score for _, score in answer], scores[best], rtol=2e-5, atol=2e-6)
        assert all(type(score) is float for _, score in answer)
    if not single and ask == "matrix" and among is None and not exclude:
        scores, rows = table.kneighbors(query, k, metric=metric)
        assert scores.shape == rows.shape == (5, min(k, n))
        assert [[keys[i] for i in one] for one in rows] == [[key for key, _ in one] for one in found]
        assert (scores.dtype, rows.dtype) == (np.float32, np.int64)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=SEEDS, which=WHICH, method=st.sampled_from(["3cosadd", "3cosmul"]), k=st.integers(1, 20))
def test_analogies_are_their_formulas(seed, which, method, k):
    rng = np.random.default_rng(seed)
    keys = [f"k{i}" for i in range(12)]
    table = EmbeddingTable(keys, rng.standard_normal((12, 4)))
    units = unit(table.vectors.astype(np.float64))
    terms = [], []
    for side, least in zip(terms, (1, 0)):
        for _ in range(int(rng.integers(least, 4))):
            kind = rng.integers(3 if method == "3cosadd" else 2)
            row, weight, vector = int(rng.integers(12)), float(rng.choice([-0.5, 2, 3])), rng.standard_normal(4)
            plain = (keys[row], units[row], 1.0, row)
            given_vector = (vector, unit(np.float32(vector).astype(float)), 1.0, -1)
            weighted = ((keys[row], weight), units[row], weight, row)
            side.append([plain, given_vector, weighted][kind])
    given_rows = {row for side in terms for *_, row in side if row >= 0}
    if method == "3cosadd":
        target = sum(w * u for _, u, w, _ in terms[0]) - sum((w * u for _, u, w, _ in terms[1]), np.zeros(4))
        scores = scores_of(table, np.float64(target), "cosine")
    else:
        shifted = [[(units @ u + 1) / 2 for _, u, *_ in side] for side in terms]
        scores = np.prod(shifted[0], axis=0) / (np.prod([np.ones(12), *shifted[1]], axis=0) + 0.001)
    best = sorted(set(range(12)) - given_rows, key=lambda i: -scores[i])[:k]
    with blocks(which):
        found = table.analogy([t[0] for t in terms[0]], [t[0] for t in terms[1]], k, method=method)
    np.testing.assert_allclose([score for _, score in found], scores[best], rtol=1e-4, atol=1e-5)
    assert {key for key, _ in found} == {keys[i] for i in best}


def test_similarities_and_the_odd_one_by_loops():
    rng = np.random.default_rng(0)
    table = EmbeddingTable(list("abcdef"), [*rng.standard_normal((5, 3)), [0, 0, 0]], metric="dot")
    units = dict(zip("abcdef", unit(table.vectors.astype(np.float64))))
    for a, b in (("a", "b"), ("a", "f"), ("c", "c")):
        assert table.similarity(a, b) == pytest.approx(units[a] @ units[b])
        assert type(table.similarity(a, b)) is float
    assert table.similarity(list("abc"), "d") == pytest.approx([units[a] @ units["d"] for a in "abc"])
    assert table.similarity("d", list("abc")) == pytest.approx([units[a] @ units["d"] for a in "abc"])
    assert table.similarity(list("abc"), list("def")) == pytest.approx(
        [units[a] @ units[b] for a, b in ("ad", "be", "cf")]
    )
    assert table.similarity("a", "a") <= 1.0
    assert table.similarity(np.full(3, 1e30), np.full(3, -1e30)) == -1.0
    for keys in ("abcde", "bdea", "abc", "cde"):

        def fit(key, keys=keys):
            return units[key] @ unit(np.mean([units[o] for o in keys if o != key], axis=0))

        assert table.outlier(list(keys)) == min(keys, key=fit)
    assert table.nearest([], 3) == []


def test_analogies_of_all_keys_leave_nothing():
    table = EmbeddingTable(list("abc"), np.eye(3))
    for method in ("3cosadd", "3cosmul"):
        assert table.analogy(["a", "b"], ["c"], method=method) == []
        assert [key for key, _ in table.analogy(["a", "a"], ["b"], method=method)] == ["c"]


def test_what_is_restricted_to_is_compared_with_what_was():
    table = EmbeddingTable([*"abcd", ("a", "b")], np.random.default_rng(0).standard_normal((5, 3)))
    first = table.nearest("a", restrict_to=["b", "c"])
    with pytest.raises(TypeError, match=r"restrict_to must be a list of hashable keys|hashable"):
        table.nearest("a", restrict_to=[np.ones(2), "c"])
    assert table.nearest("a", restrict_to=("b", "c")) == table.nearest("a", restrict_to=["b", "c"]) == first
    assert {key for key, _ in table.nearest("a", restrict_to={"d", "c"})} == {"d", "c"}
    assert table.nearest("a", restrict_to=np.array(["b", "c"])) == first
    whole = table.nearest("a")
    assert table.nearest("a", restrict_to=["c", "b"]) == [pair for pair in whole if pair[0] in ("b", "c")]
    assert table.nearest("a", restrict_to=list("abcd"), k=9) == [pair for pair in whole if pair[0] != ("a", "b")]


def test_what_usearch_needs(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "usearch", None)
    monkeypatch.setitem(sys.modules, "usearch.index", None)
    with pytest.raises(ImportError, match=r'an approximate index needs usearch: pip install "skembed\[index\]"'):
        EmbeddingTable(["a"], [[1.0]]).build_index()


class TestTurning:
    @pytest.mark.parametrize("which", [None, "small"])
    def test_the_best_rotation_of_shared_keys(self, which):
        rng = np.random.default_rng(0)
        here = EmbeddingTable([f"k{i}" for i in range(20)], rng.standard_normal((20, 3)), unknown=[1, 2, 3])
        there = EmbeddingTable([f"k{i}" for i in range(30, 8, -1)], rng.standard_normal((22, 3)))
        shared = [f"k{i}" for i in range(9, 20)]
        left, _, right = np.linalg.svd(here[shared].astype(np.float64).T @ there[shared].astype(np.float64))
        with blocks(which):
            turned = here.align_to(there)
        assert_sound(
            turned,
            list(here),
            here.vectors @ (left @ right),
            unknown=here.unknown @ (left @ right),
            metric="cosine",
            counts=None,
        )
        with pytest.warns(UserWarning, match="only 2 keys are shared for 3 components: many rotations fit") as caught:
            here.align_to(there.subset(["k9", "k10"]))
        assert caught[0].filename == __file__
        import warnings

        with warnings.catch_warnings():
            warnings.simplefilter("error")
            here.align_to(there.subset(["k9", "k10", "k11"]))
        with pytest.raises(ValueError, match="no key in common with this table"):
            here.align_to(there.subset(["k30"]))
        with pytest.raises(ValueError, match="same embedding_dim, got 2 beside 3"):
            here.align_to(there.truncate(2))

    def test_a_frame_is_a_copy_of_keys_and_vectors(self):
        pd = pytest.importorskip("pandas")
        table = EmbeddingTable([("a", 1), None, "b"], [[1, 2], [3, 4], [5, 6]])
        frame = table.to_frame()
        assert frame.index.name == "key"
        assert frame.index.dtype == object
        assert type(frame.index) is pd.Index
        assert frame.index.tolist() == [("a", 1), None, "b"]
        assert frame.columns.tolist() == [0, 1]
        assert (frame.dtypes == np.float32).all()
        frame.iloc[0, 0] = 9
        assert table[("a", 1)].tolist() == [1, 2]

    @pytest.mark.parametrize("which", [None, "small"])
    def test_numbers_that_are_not_finite_are_found_in_any_row(self, which):
        with blocks(which):
            for row in range(8):
                vectors = np.ones((8, 2))
                vectors[row, 1] = np.inf
                with pytest.raises(
                    ValueError, match=rf"got inf for the key 'k{row}' \(row {row}, component 1\); drop the"
                ):
                    EmbeddingTable([f"k{i}" for i in range(8)], vectors)
            large = EmbeddingTable(range(8), np.full((8, 2), 3e38))  # whose sum is beyond float32
            assert large == EmbeddingTable(range(8), np.full((8, 2), 3e38))
            for row in range(8):
                changed = large.vectors.copy()
                changed[row, 0] = 1
                assert large != EmbeddingTable(range(8), changed)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda t: t.truncate(0),
            ValueError,
            "embedding_dim must be an int between 1 and that of this table, 2, got 0",
        ),
        (lambda t: t.truncate(3), ValueError, "between 1 and that of this table, 2, got 3"),
        (lambda t: t.truncate(True), ValueError, "got True"),
        (lambda t: t.truncate(1.0), ValueError, "got 1.0"),
        (lambda t: t.index_of("a", default=True), ValueError, "default must be an int or None, got True"),
        (lambda t: t.lookup(["x"], default=[1]), ValueError, r"default must have shape \(2,\), got \(1,\)"),
        (lambda t: t.lookup(["x"], default=np.inf), ValueError, "default must be finite float32, got inf in it"),
        (
            lambda t: t.subset([]).lookup(["x"], default="mean"),
            ValueError,
            "default='mean' needs a table with keys; this one",
        ),
        (lambda t: t.lookup([["x"]]), TypeError, r"keys must be hashable, got \['x'\] of type list"),
        (
            lambda t: t.lookup(b"ab"),
            TypeError,
            r"keys must be a list of keys, got the single bytes b'ab'; pass \[b'ab'\]",
        ),
        (lambda t: t.nearest("a", exclude="b"), TypeError, "exclude must be a list of keys, got the single str 'b'"),
        (
            lambda t: t.nearest("a", restrict_to="b"),
            TypeError,
            "restrict_to must be a list of keys, got the single str",
        ),
        (lambda t: t.nearest(["a", "x"]), KeyError, r"query: 1 keys are not in this table: 'x'\.\"$"),
        (
            lambda t: t.nearest([1, 2.0]),
            KeyError,
            r"query: 2 keys .* A list is a list of keys; np.array\(query\) is a vec",
        ),
        (lambda t: t.nearest([1, "x"]), KeyError, r"query: 2 keys are not in this table: 1, 'x'\.\"$"),
        (lambda t: t.nearest(np.ones((2, 3))), ValueError, r"query must have shape \(2,\) or \(n, 2\), got \(2, 3\)"),
        (
            lambda t: t.nearest(np.ones((1, 1, 2))),
            ValueError,
            r"query must have shape \(2,\) or \(n, 2\), got \(1, 1, 2\)",
        ),
        (lambda t: t.kneighbors([[1, np.nan]]), ValueError, "vectors must be finite float32, got nan in it"),
        (lambda t: t.kneighbors([["x", "y"]]), TypeError, "vectors must hold real numbers, got dtype <U1"),
        (lambda t: t.kneighbors([[1, 2]], k=True), ValueError, "k must be a positive int, got True"),
        (lambda t: t.outlier(["a", "b"]), ValueError, "keys must name at least three keys, got 2: of two, neither is"),
        (
            lambda t: t.similarity(["a"], ["a", "b"]),
            ValueError,
            "compared pair by pair and must be equally long, got 1, 2",
        ),
        (
            lambda t: t.analogy(["a"], [("b", np.inf)]),
            ValueError,
            "negative holds the weight inf of 'b'; expected a finite",
        ),
        (
            lambda t: t.analogy([("a", 2)], method="3cosmul"),
            ValueError,
            "method='3cosmul' has no weights; pass keys alone",
        ),
        (lambda t: t.analogy(["a"], [("b", 2)], method="3cosmul"), ValueError, "method='3cosmul' has no weights"),
        (lambda t: t.merge(t, prefer="both"), ValueError, "prefer must be one of 'self', 'other', got 'both'"),
        (lambda t: t.build_index(expansion_add=0), ValueError, "expansion_add must be a positive int, got 0"),
        (lambda t: t.build_index(expansion_search=1.5), ValueError, "expansion_search must be a positive int, got 1.5"),
    ],
)
def test_what_is_asked_wrongly(call, error, message):
    table = EmbeddingTable(["a", "b"], [[1, 2], [3, 4]])
    with pytest.raises(error, match=message):
        call(table)


class TestKeys:
    @pytest.mark.parametrize(
        ("key", "expected"),
        [
            ("ulm", ["Ulm"]),
            (" Ulm", ["Ulm"]),
            ("ULM", ["Ulm"]),
            ("7", [7]),
            ("2.50", [2.5]),
            (8, ["8"]),
            ("Bnr", []),
            ("Brn", ["Bern", "Brno"]),
            ("xyz", []),
            ("Bernsteinzimmer", []),
            (2.5, []),
            ((1, 2), []),
            (b"Ulm", []),
            ("straße 1", ["straße 2", "straße 3", "straße 4"]),
            ("köln", ["KÖLN"]),
            ("7.0", [7]),
        ],
    )
    def test_near_misses(self, key, expected):
        keys = ["Ulm", 7, 2.5, "8", "Bern", "Brno", "KÖLN", *(f"straße {i}" for i in range(2, 9))]
        found = near_misses(key, np.array(keys, dtype=object), build_index(keys))
        assert len(found) <= 3
        if len(expected) == 3:
            assert set(found) <= set(keys[7:])
            assert len(found) == 3
        else:
            assert sorted(map(str, found)) == sorted(map(str, expected))

    def test_near_misses_of_several_kinds_come_in_order(self):
        keys = ["AB1", "Ab1", "ab1", "aB"]
        assert near_misses("aB1", np.array(keys, dtype=object), build_index(keys)) == ["ab1", "Ab1", "AB1"]
        many = ["1", 1, "x"]
        assert near_misses(" 1", np.array(many, dtype=object), build_index(many)) == ["1", 1]

    def test_messages(self):
        table = EmbeddingTable(["Ulm", "Ulme"], np.eye(2))
        way_out = "Use lookup(keys, default=...) to give unseen keys a vector."
        for key, said in (
            ("Ulmx", ("; did you mean 'Ulm' or 'Ulme'?", "; did you mean 'Ulme' or 'Ulm'?")),
            (3, (".",)),
        ):
            with pytest.raises(KeyError) as caught:
                table[key]
            expected = [f"the key {key!r} is not among the 2 keys of this table{one} {way_out}" for one in said]
            assert str(caught.value) in expected
            assert str(pickle.loads(pickle.dumps(caught.value)).args[0]) == str(caught.value)
        assert unseen_message(list("abcde"), np.full(5, -1)).endswith("'e'")

    def test_keys_of_any_container(self):
        for given_keys, expected in (
            (np.array(["a", "b"]), ["a", "b"]),
            (np.array([1, 2]), [1, 2]),
            (np.array([True]), [True]),
            (np.array([0.5, np.nan]), [0.5, None]),
            (("a", 1), ["a", 1]),
            ({"a": 1}.keys(), ["a"]),
            (iter("ab"), ["a", "b"]),
            ([np.str_("a"), np.int64(3)], ["a", 3]),
            ([float("nan"), "a"], [None, "a"]),
            ([2.0], [2]),
            ([], []),
        ):
            found = key_list(given_keys)
            assert type(found) is list
            assert found == expected
            assert [type(key) for key in found] == [type(key) for key in expected] or expected == [2]
        given_list = ["a", "b"]
        assert key_list(given_list) is not given_list
        for wrong, message in (
            (np.eye(2), r"some must be one-dimensional, got an array of shape \(2, 2\)"),
            (3, "some must be a list of hashable"),
            ("a", r"some must be a list of keys, got the single str 'a'; pass \['a'\]"),
            ([np.eye(2)], "some must be a list of h"),
        ):
            with pytest.raises((ValueError, TypeError), match=message):
                key_list(wrong, "some")

    def test_repeated_keys_are_shown(self):
        shown = "'a' and 'a' at 0 and 2, 'a' and 'a' at 0 and 4, 1 and True at 3 and 5"
        with pytest.raises(ValueError, match=rf"3 of 6 repeat an earlier one \({shown}\); keys"):
            build_index(["a", "b", "a", 1, "a", True])
        with pytest.raises(ValueError, match=r"4 of 5 repeat .*at 0 and 3, \.\.\.\); keys that are equal in Python"):
            build_index(["a"] * 5)
        with pytest.raises(TypeError, match=r"got \['b'\] of type list at position 1; use a string or a tuple"):
            build_index(["a", ["b"]])
        assert find_rows(["b", "x", "a"], {"a": 0, "b": 1}).tolist() == [1, -1, 0]
        assert find_rows([], {"a": 0}).dtype == np.int64


@pytest.mark.parametrize("n", [0, 1, 5])
def test_norms_and_scaled_rows_in_blocks(n):
    vectors = np.random.default_rng(0).standard_normal((n, 3)).astype(np.float32)
    if n:
        vectors[0] = 0
    with blocks("small"):
        np.testing.assert_allclose(row_norms(vectors), np.linalg.norm(vectors, axis=1), rtol=1e-7)
        index = CSLSIndex.of(ExactIndex(vectors)) if n else None
    if n:
        np.testing.assert_allclose(index.scaled.vectors[:, :3], unit(vectors.astype(np.float64)), rtol=1e-6)
        np.testing.assert_array_equal(index.scaled.vectors, CSLSIndex.of(ExactIndex(vectors)).scaled.vectors)
    given_norms = ExactIndex(vectors, np.full(n, 2.0))
    assert given_norms.norms.tolist() == [2.0] * n


class TestSubwords:
    NGRAMS = np.random.default_rng(0).standard_normal((40, 3)).astype(np.float32)

    @settings(max_examples=60, deadline=None)
    @given(
        words=st.lists(st.text("abß日</s>", max_size=5), min_size=1, max_size=7), seed=SEEDS, which=st.booleans(),
        absent=st.sampled_from([None, "skip", "zero"]), min_n=st.integers(1, 4), max_n=st.integers(1, 5),
    )  # fmt: skip
    def test_means_by_a_loop(self, words, seed, which, absent, min_n, max_n):
        rng = np.random.default_rng(seed)
        kept = np.arange(40) if absent is None else np.sort(rng.permutation(40)[: int(rng.choice([0, 1, 20, 39]))])
        parts = {} if absent is None else {"buckets": kept, "absent": absent}
        grams = Subwords(self.NGRAMS[kept], min_n=min_n, max_n=max_n, n_buckets=40, **parts)
        own = rng.standard_normal((len(words), 3)).astype(np.float32)
        with blocks("small" if which else None):
            for rows in (None, own):
                vectors, n_ngrams = grams.compose(words, rows)
                sums, counted, found = grams.sums(words)
                for i, word in enumerate(words):
                    of_word = hash_ngrams([word], min_n, max_n)[1]
                    assert len(of_word) == len(word_ngrams(word, min_n, max_n))
                    places = [int(h % 40) for h in of_word.tolist()]
                    present = [self.NGRAMS[b] for b in places if b in kept]
                    n = len(places) if absent == "zero" else len(present)
                    total = np.sum([np.zeros(3), *present], axis=0)
                    assert (n_ngrams[i], counted[i], found[i]) == (len(present), n, len(present))
                    np.testing.assert_allclose(sums[i], total, atol=1e-5)
                    expected = (total + (0 if rows is None else own[i])) / max(n + (rows is not None), 1)
                    np.testing.assert_allclose(vectors[i], expected, atol=1e-5)
                starts, flat = grams.rows(words)
                assert starts[-1] == len(flat) == found.sum()
                assert np.diff(starts).tolist() == found.tolist()
                for i, word in enumerate(words):
                    places = [int(h % 40) for h in hash_ngrams([word], min_n, max_n)[1].tolist()]
                    assert [kept[row] for row in flat[starts[i] : starts[i + 1]]] == [b for b in places if b in kept]
            unique = list(dict.fromkeys(words))
            table = SubwordTable.from_rows(unique, own[: len(unique)], grams)
            np.testing.assert_allclose(table.own_rows(), own[: len(unique)], atol=1e-4)

    def words(self, **parts):
        grams = Subwords(self.NGRAMS, min_n=2, max_n=3, n_buckets=40)
        return SubwordTable(["Ulm", "Bern", 7], np.eye(3), grams, counts=[3, 2, 1], **parts)

    def test_all_questions_take_unknown_words(self):
        table = self.words(unknown=[9, 9, 9])
        vector = table.subwords.compose(["Ulmer"])[0][0]
        assert table["Ulmer"].tolist() == vector.tolist()
        assert table.lookup(["Bern", "Ulmer", 8, "Ulmer", "</s>"], default=5).tolist() == [
            [0, 1, 0],
            vector.tolist(),
            [5] * 3,
            vector.tolist(),
            [5] * 3,
        ]
        assert table.lookup(["</s>", 8, "Ulm"]).tolist() == [[9] * 3, [9] * 3, [1, 0, 0]]
        assert table.lookup(["Ulm", 7]).tolist() == [[1, 0, 0], [0, 0, 1]]
        assert table.lookup(("Ulm",)).flags.writeable
        assert table[["Ulm", "Ulmer"]].tolist() == [[1, 0, 0], vector.tolist()]
        for query in ("Ulmer", ["Ulmer"]):
            found = table.nearest(query, 2)
            assert (found if query == "Ulmer" else found[0]) == table.nearest(vector, 2)
        assert "Ulm" not in [key for key, _ in table.nearest(["Ulm", "Ulmer"])[0]]
        plain = self.words()
        with pytest.raises(KeyError, match=r"2 keys are not in this table: 8, '</s>'\. Pass default="):
            plain.lookup(["Ulmer", 8, "Ulm", "</s>"])
        with pytest.raises(KeyError, match="the key 8 is not among the 3 keys"):
            plain[8]
        empty = SubwordTable([], np.empty((0, 3)), plain.subwords)
        assert empty.lookup(["Ulmer", 3], default=1).tolist() == [vector.tolist(), [1, 1, 1]]

    def test_equality_state_and_text(self):
        table = self.words(metric="dot", unknown=[1, 2, 3])
        grams = "Subwords(40 rows, min_n=2, max_n=3, n_buckets=40)"
        assert repr(table.subwords) == grams
        assert repr(table) == f"SubwordTable(3 keys, embedding_dim=3, unknown=True, metric='dot', {grams})"
        again = pickle.loads(pickle.dumps(table))
        assert again == table
        assert type(again) is SubwordTable
        assert again.subwords == table.subwords
        assert again.metric == "dot"
        for change in ({"min_n": 1}, {"max_n": 4}):
            other = Subwords(self.NGRAMS, **{"min_n": 2, "max_n": 3, "n_buckets": 40} | change)
            assert other != table.subwords
            assert (
                SubwordTable(["Ulm", "Bern", 7], np.eye(3), other, counts=[3, 2, 1], metric="dot", unknown=[1, 2, 3])
                != table
            )
        sparse = Subwords(self.NGRAMS, min_n=2, max_n=3, n_buckets=41, buckets=range(40))
        assert sparse != Subwords(self.NGRAMS, min_n=2, max_n=3, n_buckets=41, buckets=range(1, 41))
        assert sparse == Subwords(self.NGRAMS, min_n=2, max_n=3, n_buckets=41, buckets=range(40))
        assert sparse != Subwords(self.NGRAMS, min_n=2, max_n=3, n_buckets=41, buckets=range(40), absent="zero")
        assert pickle.loads(pickle.dumps(sparse)) == sparse
        assert sparse.buckets.tolist() == list(range(40))
        assert sparse.buckets.dtype == np.int64
        assert not sparse.buckets.flags.writeable
        assert not sparse.vectors.flags.writeable
        assert (table.subwords == "grams") is False
        assert (table == "table") is False
        assert sparse.settings == {"min_n": 2, "max_n": 3, "n_buckets": 41, "absent": "skip"}
        state = table.__getstate__()
        narrow = Subwords(self.NGRAMS[:, :2], min_n=2, max_n=3, n_buckets=40)
        with pytest.raises(
            ValueError, match="SubwordTable: the vectors of n-grams have another embedding_dim than those of"
        ):
            SubwordTable.__new__(SubwordTable).__setstate__(state | {"subwords": narrow})

    def test_tables_made_of_it(self):
        table = self.words(unknown=[1, 2, 3], metric="euclidean")
        rotation = np.linalg.qr(np.random.default_rng(1).standard_normal((3, 3)))[0]
        turned = table.align_to(EmbeddingTable(["Ulm", "Bern", 7], rotation))
        np.testing.assert_allclose(turned["Ulmer"], table["Ulmer"] @ rotation, atol=1e-5)
        assert turned.subwords.settings == table.subwords.settings
        short = table.truncate(2)
        assert short["Ulmer"].tolist() == table["Ulmer"][:2].tolist()
        assert short.subwords.embedding_dim == 2
        merged = table.merge(EmbeddingTable(["Oslo"], [[1, 1, 1]], metric="euclidean", counts=[8]))
        assert type(merged) is SubwordTable
        assert merged.subwords is table.subwords
        assert merged.counts.tolist() == [3, 2, 1, 8]
        part = table.subset([7, "Ulm"])
        assert (part.counts.tolist(), part.metric, part.subwords) == ([1, 3], "euclidean", table.subwords)
        assert type(table.normalize()) is EmbeddingTable
        assert table.normalize().metric == "euclidean"
        with pytest.raises(TypeError, match="only strings have n-grams, got the key 7 of type int"):
            table.own_rows()
        rows = SubwordTable.from_rows(["Ulm"], [[1, 0, 0]], table.subwords, counts=[4], unknown=[1, 1, 1], metric="dot")
        assert (rows.counts.tolist(), rows.unknown.tolist(), rows.metric) == ([4], [1, 1, 1], "dot")

    @pytest.mark.parametrize(
        ("parts", "message"),
        [
            ({"min_n": -1}, "got min_n=-1, max_n=3, n_buckets=40"),
            ({"max_n": -1}, "got min_n=2, max_n=-1"),
            ({"max_n": 101}, "0 <= max_n <= 100 and"),
            ({"n_buckets": -1}, "n_buckets=-1"),
            ({"n_buckets": 41}, "vectors must have a row for each of 41 buckets, got 40"),
            ({"buckets": np.arange(39)}, r"buckets must have shape \(40,\), got \(39,\)"),
            ({"buckets": np.arange(-1, 39)}, "buckets must rise from 0 or more to less than 40"),
            ({"buckets": np.arange(1, 41)}, "buckets must rise from 0 or more to less than 40"),
            ({"buckets": np.r_[0, 0:39]}, "buckets must rise"),
            ({"absent": "mean"}, "absent must be 'skip' or 'zero', got 'mean'"),
        ],
    )
    def test_parts_that_do_not_fit(self, parts, message):
        with pytest.raises(ValueError, match=message):
            Subwords(self.NGRAMS, **{"min_n": 2, "max_n": 3, "n_buckets": 40} | parts)
        Subwords(self.NGRAMS, min_n=0, max_n=100, n_buckets=40, buckets=np.arange(40))
        Subwords(self.NGRAMS[:0], min_n=0, max_n=0, n_buckets=0)

    def test_words_that_are_no_utf8(self):
        assert encode_word("a\udcffß") == b"a\xff\xc3\x9f"
        assert encode_word("\ud800") == b"\xed\xa0\x80"
        assert word_ngrams("\ud800", 1, 2) == ["<\ud800", "\ud800", "\ud800>"]
        assert len(hash_ngrams(["\ud800"], 1, 2)[1]) == 3
        assert word_ngrams("", 1, 3) == ["<>"]


class TestIndex:
    def table(self):
        pytest.importorskip("usearch")
        return EmbeddingTable([f"k{i}" for i in range(60)], np.random.default_rng(0).standard_normal((60, 4)))

    @pytest.mark.parametrize("metric", METRICS)
    def test_of_few_keys_it_finds_what_exact_search_does(self, metric, monkeypatch):
        monkeypatch.setattr("skembed.table.approximate._QUERIES_AT_ONCE", 3)
        monkeypatch.setattr("skembed.table.approximate._ADDED_AT_ONCE", 7)
        table = self.table()
        index = table.build_index(metric, connectivity=32, expansion_search=200)
        assert index.recall_ == 1.0
        assert repr(index) == f"ApproximateIndex(60 x 4, metric={metric!r}, recall at 10 = 1.000)"
        for query in ("k3", ["k1", "k2", "k59", "k7"], np.ones(4), table.vectors[:5]):
            for exclude in ((), ["k1", "k5", "absent"]):
                found = table.nearest(query, 8, metric=metric, exclude=exclude, index=index)
                assert found == table.nearest(query, 8, metric=metric, exclude=exclude)
        for k in (1, 59, 60, 99):
            scores, rows = table.kneighbors(table.vectors[:4], k, metric=metric, index=index)
            exact = table.kneighbors(table.vectors[:4], k, metric=metric)
            assert rows.shape == (4, min(k, 60))
            assert rows.tolist() == exact.rows.tolist()
            assert scores.tolist() == exact.scores.tolist()
        assert table.nearest("k3", 4, metric=metric, restrict_to=["k5", "k9"], index=index) == table.nearest(
            "k3", 4, metric=metric, restrict_to=["k5", "k9"]
        )

    def test_the_graph_is_built_as_asked(self):
        table = self.table()
        for asked in ({}, {"connectivity": 7}, {"expansion_add": 40}, {"expansion_search": 30}):
            graph = table.build_index(**asked)._graph
            expected = {"connectivity": 16, "expansion_add": 128, "expansion_search": 64} | asked
            assert {name: getattr(graph, name) for name in expected} == expected
        assert table.build_index()._n_threads == 1
        assert table.build_index(n_jobs=2)._n_threads == 2
        one, same = (table.build_index(connectivity=3, expansion_add=4, expansion_search=3) for _ in range(2))
        np.testing.assert_array_equal(one.search(table.vectors, 5).rows, same.search(table.vectors, 5).rows)

    def test_recall_is_the_share_of_the_best_that_is_found(self):
        table = self.table()
        index = table.build_index(connectivity=2, expansion_add=1, expansion_search=1)
        queries = np.random.default_rng(1).standard_normal((40, 4)).astype(np.float32)
        exact, found = (table.kneighbors(queries, 3, index=one).rows for one in (None, index))
        share = np.mean([len(set(a) & set(b)) / 3 for a, b in zip(exact.tolist(), found.tolist())])
        assert index.recall(queries, 3) == pytest.approx(share)
        own = [table.nearest(f"k{i}", 5, index=index) for i in range(60)]
        best = [table.nearest(f"k{i}", 5) for i in range(60)]
        share = np.mean([len({k for k, _ in a} & {k for k, _ in b}) / 5 for a, b in zip(own, best)])
        assert index.recall(k=5) == pytest.approx(share)
        assert index.recall(k=5, sample_size=7, seed=3) == index.recall(k=5, sample_size=7, seed=3)
        assert np.isnan(EmbeddingTable(["a"], [[1.0]]).build_index().recall_)
