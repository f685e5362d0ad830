"""Character n-grams: the hashes and vectors of fastText, and the tables that carry them."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skembed import EmbeddingTable
from skembed.table import SubwordTable
from skembed.table.subwords import Subwords, hash_ngrams, word_ngrams

RNG = np.random.default_rng(0)
NGRAMS = RNG.standard_normal((50, 3)).astype(np.float32)
ROWS = RNG.standard_normal((3, 3)).astype(np.float32)
KEYS = ["Ulm", "naïve", "</s>"]


def fnv(raw):
    """FNV-1a over signed bytes, one at a time."""
    state = 2166136261
    for byte in raw:
        signed = byte if byte < 128 else byte - 256
        state = ((state ^ (signed & 0xFFFFFFFF)) * 16777619) & 0xFFFFFFFF
    return state


def mean_of(word, own=None, subwords=NGRAMS, min_n=3, max_n=6):
    rows = [subwords[fnv(gram.encode()) % len(subwords)] for gram in word_ngrams(word, min_n, max_n)]
    return np.mean([*rows, *([] if own is None else [own])], axis=0, dtype=np.float64)


@pytest.fixture
def table():
    return SubwordTable.from_rows(KEYS, ROWS, Subwords(NGRAMS, min_n=3, max_n=6, n_buckets=50), counts=[5, 3, 1])


@settings(max_examples=200, deadline=None)
@given(words=st.lists(st.text(max_size=12), max_size=6), min_n=st.integers(0, 4), max_n=st.integers(0, 7))
def test_hashes_of_any_words(words, min_n, max_n):
    starts, hashes = hash_ngrams(words := [word.encode("utf-8", "replace").decode() for word in words], min_n, max_n)
    for i, word in enumerate(words):
        grams = word_ngrams(word, min_n, max_n)
        assert hashes[starts[i] : starts[i + 1]].tolist() == [fnv(gram.encode()) for gram in grams]


def test_ngrams_are_of_characters_between_marks():
    assert word_ngrams("ab", 1, 3) == ["<a", "<ab", "a", "ab", "ab>", "b", "b>"]
    assert word_ngrams("日本", 3, 6) == ["<日本", "<日本>", "日本>"]
    assert word_ngrams("</s>", 3, 6) == []
    assert hash_ngrams(["</s>", ""], 3, 6)[0].tolist() == [0, 0, 0]


def test_bytes_that_are_not_utf8_are_hashed_as_they_are():
    raw = b"\xe4\xff\x80a"
    assert (
        hash_ngrams([raw], 2, 3)[1].tolist() == hash_ngrams([raw.decode("utf-8", "surrogateescape")], 2, 3)[1].tolist()
    )


def test_words_are_the_mean_of_their_row_and_their_ngrams(table):
    for key, row in zip(KEYS, ROWS):
        np.testing.assert_allclose(table[key], mean_of(key, row), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(table.own_rows(), ROWS, rtol=1e-4, atol=1e-5)


def test_unknown_words_are_composed_in_every_question(table):
    expected = mean_of("Ulmer")
    np.testing.assert_allclose(table["Ulmer"], expected, rtol=1e-5, atol=1e-6)
    assert not table["Ulmer"].flags.writeable
    found = table.lookup(["Ulmer", "Ulm", "Ulmer"])
    np.testing.assert_allclose(found, [expected, table["Ulm"], expected], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(table[["Ulm", "Ulmer"]], found[1:], rtol=0)
    assert "Ulmer" not in table
    assert table.nearest("Ulmer", k=3) == table.nearest(table["Ulmer"], k=3)
    assert table.nearest(["Ulmer", "Ulm"], k=1)[1][0][0] != "Ulm"
    assert table.similarity("Ulmer", "Ulm") == pytest.approx(table.similarity(table["Ulmer"], table["Ulm"]))
    words = ["Ulmer", "Ulm"]
    assert table.nearest(np.array(words), k=3) == table.nearest(np.array(words, dtype=object), k=3)
    assert table.nearest(np.array(words), k=3) == table.nearest(words, k=3)
    assert table.similarity("Ulm", np.array(words)).tolist() == table.similarity("Ulm", words).tolist()


@pytest.mark.parametrize("kind", ["pandas", "polars", "pyarrow"])
def test_unknown_words_in_columns_are_composed(table, kind):
    package = pytest.importorskip(kind)
    column = (package.array if kind == "pyarrow" else package.Series)(["Ulmer", "Ulm"])
    assert table.nearest(column, k=3) == table.nearest(["Ulmer", "Ulm"], k=3)


def test_what_has_no_ngram_is_unknown(table):
    for key in ("", 7, None, ("a", "b")):
        with pytest.raises(KeyError):
            table[key]
        with pytest.raises(KeyError, match="1 keys are not in this table"):
            table.lookup(["Ulmer", key])
    assert table.lookup(["", "Ulm", None], default=0)[[0, 2]].tolist() == [[0, 0, 0]] * 2
    with_unknown = SubwordTable(KEYS, ROWS, table.subwords, unknown=[1, 2, 3])
    assert with_unknown.lookup([None]).tolist() == [[1, 2, 3]]


@pytest.mark.parametrize("absent", ["skip", "zero"])
def test_buckets_without_a_row(absent):
    kept = np.sort(RNG.choice(50, 20, replace=False))
    sparse = Subwords(NGRAMS[kept], min_n=3, max_n=6, n_buckets=50, buckets=kept, absent=absent)
    buckets = [fnv(gram.encode()) % 50 for gram in word_ngrams("unseen", 3, 6)]
    present = [bucket for bucket in buckets if bucket in kept]
    divisor = len(present) if absent == "skip" else len(buckets)
    vectors, n_ngrams = sparse.compose(["unseen"])
    assert n_ngrams.tolist() == [len(present)]
    np.testing.assert_allclose(vectors[0], NGRAMS[present].sum(axis=0) / divisor, rtol=1e-5, atol=1e-6)
    table = SubwordTable.from_rows(KEYS, ROWS, sparse)
    np.testing.assert_allclose(table.own_rows(), ROWS, rtol=1e-4, atol=1e-5)
    none = Subwords(np.empty((0, 3)), min_n=3, max_n=6, n_buckets=50, buckets=[], absent=absent)
    assert none.compose(["unseen"])[1].tolist() == [0]


def test_pickle_copies_equality_and_files(table, tmp_path):
    again = pickle.loads(pickle.dumps(table))
    assert again == table
    assert again.subwords == table.subwords
    assert again.counts.tolist() == [5, 3, 1]
    plain = EmbeddingTable(table.keys, table.vectors)
    assert plain != table
    assert table != plain
    for mmap in (False, True):
        table.save(tmp_path / "table")
        loaded = EmbeddingTable.load(tmp_path / "table", mmap=mmap)
        assert loaded == table
        assert loaded["Ulmer"].tolist() == table["Ulmer"].tolist()
        assert isinstance(loaded.subwords.vectors, np.memmap) == mmap
    assert type(EmbeddingTable.load(tmp_path / "table", subwords=False)) is EmbeddingTable
    chosen = EmbeddingTable.load(tmp_path / "table", keys=["naïve"], subwords=True)
    assert list(chosen) == ["naïve"]
    assert chosen["Ulmer"].tolist() == table["Ulmer"].tolist()


def test_tables_made_of_it(table):
    part = table.subset(["</s>", "Ulm"])
    assert part.counts.tolist() == [1, 5]
    assert part["Ulmer"].tolist() == table["Ulmer"].tolist()
    assert type(table.normalize()) is EmbeddingTable
    rotation = np.linalg.qr(RNG.standard_normal((3, 3)))[0]
    turned = EmbeddingTable(KEYS, table.vectors @ rotation)
    np.testing.assert_allclose(table.align_to(turned)["Ulmer"], table["Ulmer"] @ rotation, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("wrong", "message"), [
    ({"max_n": 101}, "max_n=101"), ({"min_n": -1}, "min_n=-1"), ({"n_buckets": 0}, "n_buckets=0"),
    ({"n_buckets": 49}, "a row for each of 49 buckets, got 50"), ({"buckets": [1]}, "buckets must"),
    ({"buckets": range(49, -1, -1)}, "buckets must"), ({"absent": "mean"}, "absent must be 'skip' or 'zero'"),
    ({"buckets": range(1, 51)}, "buckets must"), ({"vectors": [1.0]}, r"vectors must have shape .*, got \(1,\)"),
    ({"vectors": np.empty((50, 0))}, r"vectors must have shape .*, got \(50, 0\)"),
])  # fmt: skip
def test_parts_that_do_not_fit(wrong, message):
    with pytest.raises(ValueError, match=message):
        Subwords(**({"vectors": NGRAMS, "min_n": 3, "max_n": 6, "n_buckets": 50} | wrong))


def test_tables_of_parts_that_do_not_fit(table):
    with pytest.raises(ValueError, match="subwords must have the embedding_dim"):
        SubwordTable(["a"], [[1, 2]], table.subwords)
    with pytest.raises(ValueError, match="rows must have shape"):
        SubwordTable.from_rows(["a"], [[1, 2]], table.subwords)
    with pytest.raises(ValueError, match="counts must be"):
        SubwordTable(["a"], [[1, 2, 3]], table.subwords, counts=[-1])
    with pytest.raises(TypeError, match="keys must be strings"):
        SubwordTable.from_rows([1], [[1, 2, 3]], table.subwords)
