"""EmbeddingTable: construction, lookup, immutability, questions about vectors, and tables made of tables."""

import copy
import datetime
import pickle
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skembed import EmbeddingTable, SubwordTable
from skembed.table.neighbors import METRICS
from skembed.table.subwords import Subwords


def cities(**kwargs):
    return EmbeddingTable(["Ulm", "Graz", "Bern"], [[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]], **kwargs)


def random_table(n=200, dim=7, seed=0, **kwargs):
    vectors = np.random.default_rng(seed).standard_normal((n, dim)).astype(np.float32)
    return EmbeddingTable([f"key{i}" for i in range(n)], vectors, **kwargs)


def subword_table(**kwargs):
    ngrams = np.random.default_rng(1).standard_normal((50, 2)).astype(np.float32)
    subwords = Subwords(ngrams, min_n=3, max_n=6, n_buckets=50)
    return SubwordTable.from_rows(["Ulm", "Graz", "Bern"], cities().vectors, subwords, counts=[3, 2, 1], **kwargs)


class TestConstruction:
    @pytest.mark.parametrize(
        ("keys", "vectors", "unknown", "message"),
        [
            (["a", "b", "a", "a"], np.ones((4, 1)), None, "2 of 4 repeat.*'a' and 'a' at 0 and 2"),
            ([1, True], np.ones((2, 1)), None, "1 and True at 0 and 1"),
            ([None, float("nan")], np.ones((2, 1)), None, "None and None"),
            (["a"], np.ones((2, 1)), None, "1 keys and 2 vectors"),
            (np.array([["a", "b"]]), np.ones((1, 2)), None, r"keys must be one-dimensional, got .* shape \(1, 2\)"),
            (["a"], np.ones(1), None, "shape"),
            (["a"], np.ones((1, 0)), None, "shape"),
            (["a", "b"], [[1, 2], [3, np.nan]], None, "got nan for the key 'b' .row 1, component 1"),
            (["a"], [[1e300]], None, "got inf for the key 'a'"),
            (["a"], [[1, 2]], [1], r"unknown must have shape \(2,\)"),
            (["a"], [[1, 2]], [1, np.inf], "unknown must be finite"),
        ],
    )
    def test_values_refused(self, keys, vectors, unknown, message):
        with pytest.raises(ValueError, match=message):
            EmbeddingTable(keys, vectors, unknown=unknown)

    @pytest.mark.parametrize(
        ("keys", "vectors", "message"),
        [
            ("ab", np.ones((2, 1)), "list of keys"),
            ([["a"], "b"], np.ones((2, 1)), r"\['a'\] of type list at position 0"),
            (["a"], [["x"]], "real numbers"),
            (["a"], [[1j]], "real numbers"),
            (3, np.ones((1, 1)), "list of hashable keys, got int"),
            ([np.ones(2)], np.ones((1, 1)), "hashable"),
        ],
    )
    def test_types_refused(self, keys, vectors, message):
        with pytest.raises(TypeError, match=message):
            EmbeddingTable(keys, vectors)

    def test_keys_of_any_kind(self):
        when = datetime.datetime(2024, 2, 29, 12)
        keys = [("a", "b"), None, 1, "1", 2.5, False, when, frozenset([1]), "\ud800", 10**30]
        table = EmbeddingTable(keys, np.arange(20.0).reshape(10, 2))
        assert table.keys.shape == (10,)
        assert list(table) == keys
        for row, key in enumerate(keys):
            assert key in table
            assert table[key].tolist() == [2 * row, 2 * row + 1]

    def test_keys_of_arrays_are_python_values(self):
        assert type(EmbeddingTable(np.array([3, 4]), np.ones((2, 1))).keys[0]) is int
        assert type(EmbeddingTable(np.array(["a", "b"]), np.ones((2, 1))).keys[0]) is str
        assert type(EmbeddingTable([np.float32(0.5)], np.ones((1, 1))).keys[0]) is float
        days = np.array(["2024-01-01", "NaT"], dtype="datetime64[ns]")
        assert list(EmbeddingTable(days, np.ones((2, 1)))) == [datetime.datetime(2024, 1, 1), None]

    def test_every_missing_value_is_the_key_none(self):
        pd = pytest.importorskip("pandas")
        table = EmbeddingTable(["a", float("nan")], [[1], [2]])
        assert list(table) == ["a", None]
        for missing in (None, np.nan, np.float32("nan"), pd.NA, pd.NaT, np.datetime64("NaT")):
            assert missing in table
            assert table[missing] == 2
            assert table.lookup([missing, "a"]).tolist() == [[2], [1]]
        assert table.lookup(pd.Series(["a", None, np.nan])).tolist() == [[1], [2], [2]]

    @pytest.mark.parametrize(
        "vectors",
        [
            np.asfortranarray(np.arange(6.0).reshape(3, 2)),
            np.arange(6, dtype=">f4").reshape(3, 2),
            np.arange(12, dtype=np.float32).reshape(3, 4)[:, ::2] / 2,
            np.arange(6, dtype=np.float32)[::-1].reshape(3, 2)[::-1, ::-1],
            np.arange(6).reshape(3, 2).tolist(),
        ],
    )
    def test_layouts(self, vectors):
        table = EmbeddingTable("abc"[:0] or list("abc"), vectors)
        assert table.vectors.dtype == np.dtype("=f4")
        assert table.vectors.flags.c_contiguous
        assert table.vectors.tolist() == [[0, 1], [2, 3], [4, 5]]

    def test_arrays_are_copied_unless_read_only_or_mapped(self, tmp_path):
        own = np.ones((2, 2), dtype=np.float32)
        table = EmbeddingTable(["a", "b"], own)
        own[:] = 5
        assert table["a"].tolist() == [1, 1]
        own.flags.writeable = False
        assert np.shares_memory(EmbeddingTable(["a", "b"], own).vectors, own)
        mapped = np.memmap(tmp_path / "vectors", dtype=np.float32, mode="w+", shape=(2, 2))
        held = EmbeddingTable(["a", "b"], mapped).vectors
        assert np.shares_memory(held, mapped)
        assert not held.flags.writeable
        taken = mapped.take([1, 0], axis=0)  # of the type of memory maps, and in memory
        table = EmbeddingTable(["a", "b"], taken)
        taken[:] = 5
        assert not table.vectors.any()

    def test_what_is_looked_up_of_a_memory_map_is_an_array(self, tmp_path):
        mapped = EmbeddingTable(["a", "b"], np.memmap(tmp_path / "v", np.float32, "w+", shape=(2, 2)), unknown=[1, 1])
        assert isinstance(mapped.vectors, np.memmap)
        for found in (mapped.lookup(["a"]), mapped.lookup(["a", "z"]), mapped[["b"]], mapped.subset(["b"]).vectors):
            assert type(found) is np.ndarray

    @pytest.mark.parametrize("dtype", [">f4", "=f4", "f8"])
    @pytest.mark.parametrize("order", ["C", "F"])
    def test_what_is_read_only_is_copied_where_it_must_become_another_array(self, dtype, order):
        own = np.ones((2, 2), dtype=dtype, order=order)
        own.flags.writeable = False
        vectors = EmbeddingTable(["a", "b"], own).vectors
        assert vectors.flags.c_contiguous
        assert vectors.dtype == np.dtype("=f4")
        assert np.shares_memory(vectors, own) == (dtype == "=f4" and order == "C")


class TestImmutability:
    def test_nothing_can_be_set(self):
        table = cities(unknown=[1, 2])
        for array in (table.vectors, table.keys, table.unknown, table["Ulm"]):
            with pytest.raises(ValueError, match="read-only"):
                array[0] = 0
            with pytest.raises(ValueError, match="WRITEABLE"):
                array.flags.writeable = True
        for name in ("keys", "vectors", "unknown", "metric", "shape", "other"):
            with pytest.raises(AttributeError):
                setattr(table, name, None)

    def test_pickle_and_copy(self):
        table = cities(unknown=[7, 8])
        table.nearest("Ulm")
        for twin in (pickle.loads(pickle.dumps(table)), copy.copy(table), copy.deepcopy(table)):
            assert twin == table
            assert twin.nearest("Ulm") == table.nearest("Ulm")
            assert not twin.vectors.flags.writeable
            assert not twin.keys.flags.writeable

    def test_caches_do_not_travel(self):
        table = random_table()
        before = len(pickle.dumps(table))
        table.nearest("key3")
        assert len(pickle.dumps(table)) == before
        assert before < table.vectors.nbytes + 200 * 30

    def test_equality_is_of_keys_and_bits(self):
        assert cities() == cities()
        assert cities() != cities(unknown=[0, 0])
        assert cities().subset(["Graz", "Ulm"]) != cities().subset(["Ulm", "Graz"])
        assert EmbeddingTable(["a"], [[0.0]]) != EmbeddingTable(["a"], [[-0.0]])
        assert cities() != "cities"
        with pytest.raises(TypeError, match="unhashable"):
            hash(cities())

    def test_repr(self):
        assert repr(cities()) == "EmbeddingTable(3 keys, embedding_dim=2)"
        assert repr(cities(metric="cosine")) == repr(cities())
        assert repr(cities(unknown=[0, 0], metric="dot")) == (
            "EmbeddingTable(3 keys, embedding_dim=2, unknown=True, metric='dot')"
        )
        assert "metric='dot', Subwords(" in repr(subword_table(metric="dot"))


class Pickled3:
    """What pickles of tables held before tables had a metric."""

    def __init__(self, table):
        self.parts = table.keys, table.vectors, table.unknown

    def __reduce__(self):
        return EmbeddingTable._of, self.parts


class TestMetric:
    @pytest.mark.parametrize("make", [cities, subword_table])
    @pytest.mark.parametrize("metric", METRICS)
    def test_tables_made_of_a_table_keep_it(self, make, metric):
        table = make(unknown=[1, 2], metric=metric)
        assert table.metric == metric
        for made in (
            table.subset(["Bern", "Ulm"]),
            table.normalize(),
            table.truncate(1),
            table.align_to(make()),
            copy.copy(table),
            copy.deepcopy(table),
            pickle.loads(pickle.dumps(table)),
        ):
            assert made.metric == metric

    def test_it_is_the_cosine_unless_named(self):
        assert cities().metric == subword_table().metric == "cosine"
        assert pickle.loads(pickle.dumps(Pickled3(cities(unknown=[1, 2])))) == cities(unknown=[1, 2])

    def test_tables_of_two_metrics_differ(self):
        for make in (cities, subword_table):
            assert make(metric="dot") == make(metric="dot")
            assert make(metric="dot") != make()

    @pytest.mark.parametrize("metric", ["manhattan", None, 2, ["dot"]])
    def test_another_is_refused(self, metric):
        for make in (cities, subword_table):
            with pytest.raises(ValueError, match="metric must be one of 'cosine', 'euclidean', 'dot', got") as caught:
                make(metric=metric)
            assert repr(metric) in str(caught.value)


class TestLookup:
    def test_one_and_many(self):
        table = cities(unknown=[7, 8])
        assert table["Bern"].tolist() == [0, 1]
        assert table[["Bern", "Ulm", "Bern"]].tolist() == [[0, 1], [1, 0], [0, 1]]
        assert table.lookup(np.array(["Oslo", "Ulm"])).tolist() == [[7, 8], [1, 0]]
        assert table.lookup([]).shape == (0, 2)
        assert table.lookup(["Ulm"]).flags.writeable

    @pytest.mark.parametrize(
        ("default", "expected"), [([3, 4], [3, 4]), (0, [0, 0]), (1.5, [1.5, 1.5]), ("mean", [0.6, 1.6 / 3])]
    )
    def test_defaults(self, default, expected):
        for table in (cities(), cities(unknown=[7, 8])):
            found = table.lookup(["Oslo", "Ulm"], default=default)
            assert found.dtype == np.float32
            np.testing.assert_allclose(found, [expected, [1, 0]], rtol=1e-6)

    @pytest.mark.parametrize("default", ["median", None, [1, 2, 3], np.nan, [[1, 2]]])
    def test_defaults_refused(self, default):
        with pytest.raises(ValueError, match="default must"):
            cities().lookup(["Oslo"], default=default)

    def test_unseen_keys_are_counted_and_named(self):
        with pytest.raises(KeyError, match=r"7 keys are not in this table: 0, 1, 2, 3, 4, \.\.\..*default="):
            cities().lookup([*range(7), "Ulm", 0])
        with pytest.raises(KeyError, match="1 keys are not in this table: 'Oslo'"):
            cities(unknown=[0, 0])[["Ulm", "Oslo"]]

    @pytest.mark.parametrize(
        ("key", "meant"),
        [("ulm", "'Ulm'"), ("Ulm ", "'Ulm'"), ("Brn", "'Bern'"), ("7", "7"), (8, "'8'"), ("2.5", "2.5")],
    )
    def test_near_misses(self, key, meant):
        table = EmbeddingTable(["Ulm", "Graz", "Bern", 7, "8", 2.5], np.ones((6, 1)))
        with pytest.raises(KeyError) as caught:
            table[key]
        assert f"did you mean {meant}?" in str(caught.value)
        assert "\\" not in str(caught.value)
        assert str(pickle.loads(pickle.dumps(caught.value)).args[0]) == str(caught.value)

    def test_a_string_is_not_a_list_of_keys(self):
        with pytest.raises(TypeError, match=r"pass \['Ulm'\]"):
            cities().lookup("Ulm")

    def test_membership_of_what_cannot_be_a_key(self):
        assert ["Ulm"] not in cities()
        assert np.ones(2) not in cities()
        assert ("a", ["b"]) not in cities()

    @given(st.lists(st.one_of(st.none(), st.booleans(), st.integers(), st.text(), st.floats(allow_nan=False))))
    def test_as_a_dict_would(self, keys):
        rows = {key: row for row, key in reversed(list(enumerate(keys)))}
        table = EmbeddingTable(list(rows), np.array([[row] for row in rows.values()]).reshape(-1, 1))
        assert table.lookup(keys).ravel().tolist() == [rows[key] for key in keys]


class TestQuestions:
    def test_a_key_is_not_its_own_neighbour(self):
        table = cities()
        assert [key for key, _ in table.nearest("Ulm")] == ["Graz", "Bern"]
        assert [[key for key, _ in found] for found in table.nearest(["Ulm", "Bern"], k=1)] == [["Graz"], ["Graz"]]
        assert [key for key, _ in table.nearest(table["Ulm"])] == ["Ulm", "Graz", "Bern"]
        assert [key for key, _ in table.nearest(table.vectors, k=1)[2]] == ["Bern"]
        assert [key for key, _ in table.nearest([[0.0, 1.0], [1.0, 0.0]], k=1)[1]] == ["Ulm"]

    def test_scores(self):
        table = cities()
        assert table.nearest("Ulm", 1)[0][1] == pytest.approx(0.8)
        assert table.nearest("Ulm", 1, metric="euclidean")[0][1] == pytest.approx(0.4**0.5)
        assert table.nearest(np.array([2, 0]), 1, metric="dot") == [("Ulm", 2.0)]
        assert type(table.nearest("Ulm", 1)[0][1]) is float

    def test_exclude_and_restrict(self):
        table = cities()
        assert [key for key, _ in table.nearest("Ulm", exclude=["Graz", "Oslo"])] == ["Bern"]
        assert [key for key, _ in table.nearest("Ulm", restrict_to=["Bern", "Ulm"])] == ["Bern"]
        assert table.nearest("Ulm", restrict_to=[]) == []
        assert table.nearest([], k=3) == []
        with pytest.raises(KeyError, match="restrict_to: 1 keys"):
            table.nearest("Ulm", restrict_to=["Oslo"])

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"query": "Ulm", "k": 0}, "k must be a positive int, got 0"),
            ({"query": "Ulm", "k": 2.5}, "k must be"),
            ({"query": "Ulm", "metric": "cos"}, "metric must be one of 'cosine'.*got 'cos'"),
            ({"query": np.ones(3)}, r"query must have shape \(2,\)"),
            ({"query": np.array([np.nan, 1])}, "query must be finite"),
        ],
    )
    def test_nearest_refuses(self, arguments, message):
        with pytest.raises(ValueError, match=message):
            cities().nearest(**arguments)

    def test_a_list_of_numbers_is_explained(self):
        with pytest.raises(KeyError, match=r"np.array\(query\) is a vector"):
            cities().nearest([0.5, 0.5])

    def test_integer_keys_and_integer_vectors_are_told_apart_by_type(self):
        table = EmbeddingTable([0, 1], [[1, 0], [0, 1]])
        assert table.nearest(1) == [(0, 0.0)]
        assert len(table.nearest([0, 1])) == 2
        assert table.nearest(np.array([0, 1]), 1) == [(1, 1.0)]

    @pytest.mark.parametrize("method", ["3cosadd", "3cosmul"])
    def test_analogy(self, method):
        rng = np.random.default_rng(0)
        royal, female = rng.standard_normal((2, 30))
        words = {"man": 0 * royal, "woman": female, "king": royal, "queen": royal + female}
        noise = rng.standard_normal((500, 30))
        base = 2 * rng.standard_normal(30)
        vectors = np.concatenate([[base + vector for vector in words.values()], noise])
        table = EmbeddingTable([*words, *range(500)], vectors)
        found = table.analogy(["king", "woman"], ["man"], k=5, method=method)
        assert found[0][0] == "queen"
        assert not {"man", "woman", "king"} & {key for key, _ in found}
        assert [score for _, score in found] == sorted((score for _, score in found), reverse=True)
        assert len(table.analogy(["king"], k=1000, method=method)) == 503

    def test_3cosmul_is_its_formula(self):
        table = random_table(50)
        units = table.vectors / np.linalg.norm(table.vectors, axis=1, keepdims=True)
        shifted = (units @ units[:3].T + 1) / 2
        expected = shifted[:, 0] * shifted[:, 1] / (shifted[:, 2] + 0.001)
        expected[:3] = -1
        found = table.analogy(["key0", "key1"], ["key2"], 4, method="3cosmul")
        assert [key for key, _ in found] == [f"key{row}" for row in np.argsort(-expected)[:4]]
        assert [score for _, score in found] == pytest.approx(np.sort(expected)[:-5:-1])

    def test_analogies_of_vectors_and_of_weighted_keys(self):
        table = random_table()
        units = table.normalize()
        plain = table.analogy(["key0", "key1"], ["key2"])
        assert table.analogy([("key0", 1.0), "key1"], [("key2", 1)]) == plain
        target = 2 * units["key0"] - 0.5 * units["key2"]
        found = table.analogy([("key0", 2.0)], [("key2", 0.5)], k=5)
        expected = [pair for pair in table.nearest(target, k=7) if pair[0] not in ("key0", "key2")][:5]
        assert [key for key, _ in found] == [key for key, _ in expected]
        vectors = table.analogy([table["key0"], table["key1"]], table[["key2"]], k=13)
        assert [key for key, _ in vectors if key not in ("key0", "key1", "key2")][:10] == [key for key, _ in plain]

    def test_a_pair_that_is_a_key_is_a_key(self):
        table = EmbeddingTable([("a", 2), "a", "b"], [[1.0, 0.0], [0.0, 1.0], [1.0, 0.1]])
        assert table.analogy([("a", 2)], k=1)[0][0] == "b"
        assert table.analogy([("a", 3)], k=1)[0][0] == "b"

    @pytest.mark.parametrize(
        ("positive", "message"),
        [
            ([("Ulm", float("nan"))], "holds the weight nan of 'Ulm'"),
            ([np.ones(3)], r"positive holds a vector of shape \(3,\); expected finite numbers of shape \(2,\)"),
            ([np.array([np.inf, 0.0])], "positive holds a vector"),
        ],
    )
    def test_analogy_of_what_is_no_term(self, positive, message):
        with pytest.raises(ValueError, match=message):
            cities().analogy(positive)

    def test_analogy_by_products_has_no_weights(self):
        with pytest.raises(ValueError, match="method='3cosmul' has no weights"):
            cities().analogy([("Ulm", 2.0)], method="3cosmul")

    def test_what_is_said_of_a_key_that_is_not_there_are_sentences(self):
        with pytest.raises(KeyError, match=r"keys of this table\. Use lookup"):
            cities()["xyz"]

    def test_analogy_refuses(self):
        with pytest.raises(KeyError, match="negative: 1 keys are not in this table: 'Oslo'"):
            cities().analogy(["Ulm"], ["Oslo"])
        with pytest.raises(ValueError, match="at least one"):
            cities().analogy([])
        with pytest.raises(ValueError, match="method must be one of"):
            cities().analogy(["Ulm"], method="add")
        with pytest.raises(TypeError, match=r"pass \['Ulm'\]"):
            cities().analogy("Ulm")

    def test_similarity(self):
        table = cities()
        assert table.similarity("Ulm", "Graz") == pytest.approx(0.8)
        assert table.similarity(["Ulm", "Ulm"], ["Graz", "Bern"]) == pytest.approx([0.8, 0.0])
        assert table.similarity("Ulm", np.array([[2, 0], [0, 0]])) == pytest.approx([1, 0])
        with pytest.raises(ValueError, match="equally long, got 2, 3"):
            table.similarity(["Ulm", "Bern"], ["Ulm", "Bern", "Graz"])

    def test_outlier(self):
        table = EmbeddingTable(["breakfast", "cereal", "dinner", "lunch"], [[9, 1], [1, 2], [2, 0], [5, 1]])
        assert table.outlier(["breakfast", "cereal", "dinner", "lunch"]) == "cereal"
        with pytest.raises(ValueError, match="at least three keys, got 2"):
            table.outlier(["dinner", "lunch"])


class TestNewTables:
    def test_subset(self):
        table = cities(unknown=[7, 8]).subset(["Bern", "Ulm"])
        assert list(table) == ["Bern", "Ulm"]
        assert table.lookup(["Ulm", "Graz"]).tolist() == [[1, 0], [7, 8]]
        with pytest.raises(KeyError, match="'Oslo'"):
            cities().subset(["Oslo"])
        with pytest.raises(ValueError, match="unique"):
            cities().subset(["Ulm", "Ulm"])

    def test_normalize(self):
        table = EmbeddingTable(["a", "zero", "large"], [[3, 4], [0, 0], [3e38, 0]], unknown=[0, 2]).normalize()
        np.testing.assert_allclose(table.vectors, [[0.6, 0.8], [0, 0], [1, 0]], rtol=1e-6)
        assert table.unknown.tolist() == [0, 1]

    def test_align_to_recovers_a_rotation(self):
        rng = np.random.default_rng(3)
        rotation = np.linalg.qr(rng.standard_normal((7, 7)))[0]
        table = random_table(unknown=np.arange(7))
        turned = EmbeddingTable(
            [*reversed(table.keys[:150]), "only there"], np.vstack([table.vectors[:150][::-1] @ rotation, np.ones(7)])
        )
        aligned = table.align_to(turned)
        np.testing.assert_allclose(aligned.vectors, table.vectors @ rotation, atol=1e-5)
        np.testing.assert_allclose(aligned.unknown, np.arange(7) @ rotation, atol=1e-5)
        assert list(aligned) == list(table)

    def test_align_to_refuses(self):
        with pytest.raises(ValueError, match="same embedding_dim, got 1 beside 2"):
            cities().align_to(EmbeddingTable(["Ulm"], [[1]]))
        with pytest.raises(ValueError, match="no key in common"):
            cities().align_to(EmbeddingTable(["Oslo"], [[1, 2]]))
        with pytest.warns(UserWarning, match="only 1 keys are shared for 2"):
            cities().align_to(EmbeddingTable(["Ulm"], [[1, 2]]))

    @pytest.mark.parametrize("embedding_dim", [1, 3, np.int64(7)])
    def test_truncate(self, embedding_dim):
        table = random_table(unknown=np.arange(7))
        first = table.truncate(embedding_dim)
        assert list(first) == list(table)
        assert first.vectors.tobytes() == table.vectors[:, :embedding_dim].tobytes()
        assert first.unknown.tolist() == list(range(embedding_dim))
        assert first.vectors.flags.c_contiguous
        assert not first.vectors.flags.writeable
        assert not first.unknown.flags.writeable
        assert first.nearest("key3", k=1) == first.nearest(first["key3"], k=1, exclude=["key3"])
        assert random_table().truncate(embedding_dim).unknown is None

    def test_truncate_keeps_what_composes_unknown_words(self):
        table = subword_table()
        first = table.truncate(1)
        assert isinstance(first, SubwordTable)
        assert first.counts.tolist() == [3, 2, 1]
        words = ["Ulm", "Ulmer", "Grazerin"]
        np.testing.assert_allclose(first.lookup(words), table.lookup(words)[:, :1], rtol=1e-6)

    @pytest.mark.parametrize("embedding_dim", [0, -1, 3, 1.0, True, "1", None])
    def test_truncate_refuses(self, embedding_dim):
        with pytest.raises(ValueError, match="embedding_dim must be an int between 1 and that of this table, 2, got"):
            cities().truncate(embedding_dim)

    def test_to_frame(self):
        pd = pytest.importorskip("pandas")
        frame = EmbeddingTable([("a", 1), None, 3], np.arange(6).reshape(3, 2)).to_frame()
        assert isinstance(frame, pd.DataFrame)
        assert frame.index.tolist() == [("a", 1), None, 3]
        assert frame.index.name == "key"
        frame.iloc[0, 0] = 5  # a copy: the table is not touched
        assert frame.dtypes.tolist() == [np.float32] * 2

    def test_to_frame_without_pandas(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "pandas", None)
        with pytest.raises(ImportError, match=r'pip install "skembed\[dataframe\]"'):
            cities().to_frame()


def test_importing_the_table_imports_nothing_heavy():
    heavy = ["torch", "numba", "pandas", "sklearn", "scipy", "skembed.formats"]
    program = f"import sys, skembed.table.embedding_table; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout == "[]\n"


def test_a_table_is_no_other_thing():
    table = EmbeddingTable(["a"], [[1.0, 2.0]])
    assert (table == 3) is False
    assert (table != "a") is True
    assert table.__eq__(table.vectors) is NotImplemented  # who is on the other side may know


@pytest.mark.parametrize("asked", ["PARIS", "Paris", " paris ", "rome", "oslo"])
def test_keys_in_another_case_or_with_spaces_are_what_may_have_been_meant(asked):
    table = EmbeddingTable(["paris", "ROME", "Oslo"], np.eye(3))
    meant = {"rome": "ROME", "oslo": "Oslo"}.get(asked, "paris")
    with pytest.raises(KeyError, match=f"did you mean '{meant}'"):
        table[asked]


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ("Zu\u0308rich", r"'Zürich' (as 'Z\xfcrich', not 'Zu\u0308rich')"),
        ("\uff35\uff4c\uff4d", "'Ulm'"),
        ("New York", "'New_York'"),
        ("San_Jose", "'San Jose'"),
    ],
)
def test_keys_in_another_spelling_are_what_may_have_been_meant(asked, meant):
    table = EmbeddingTable(["Z\xfcrich", "Ulm", "New_York", "San Jose"], np.eye(4))
    with pytest.raises(KeyError) as caught:
        table[asked]
    assert f"did you mean {meant}?" in str(caught.value)


def test_long_keys_are_shown_in_part():
    table = EmbeddingTable(["a"], [[1.0]])
    for ask in (lambda: table["x" * 10_000], lambda: table.lookup(["x" * 10_000])):
        with pytest.raises(KeyError) as caught:
            ask()
        assert "'" + "x" * 99 + "..." in str(caught.value)
        assert len(str(caught.value)) < 300
