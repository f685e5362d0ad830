"""Counts of keys: checked, kept by what is made of a table, and by the files that have a place for them."""

import pickle

import numpy as np
import pytest

from skembed import CooccurrenceEncoder, EmbeddingTable, SubwordTable
from skembed.formats import FormatError
from skembed.table.subwords import Subwords
from skembed.text import FastTextClassifier, FastTextVectorizer, GloVeVectorizer, NNLMVectorizer, Word2VecVectorizer

KEYS, COUNTS = ["the", "of", "Ulm", "a"], [70_000, 300, 0, 2]
VECTORS = np.arange(12, dtype=np.float32).reshape(4, 3) + 1
TEXTS = ["the king rules the land", "the queen rules the land", "a cat eats fish"] * 10


def plain(**parts):
    return EmbeddingTable(KEYS, VECTORS, counts=COUNTS, **parts)


def with_ngrams():
    subwords = Subwords(np.ones((20, 3)), min_n=3, max_n=4, n_buckets=20)
    return SubwordTable.from_rows(KEYS, VECTORS, subwords, counts=COUNTS)


@pytest.mark.parametrize("table", [plain(), with_ngrams()])
def test_what_is_made_of_a_table_keeps_them(table):
    assert table.counts.dtype == np.int64
    assert not table.counts.flags.writeable
    assert table.counts.tolist() == COUNTS
    assert table.subset(["a", "the"]).counts.tolist() == [2, 70_000]
    for made in (table.normalize(), table.truncate(2), table.align_to(table), pickle.loads(pickle.dumps(table))):
        assert made.counts.tolist() == COUNTS
    assert pickle.loads(pickle.dumps(table)) == table
    assert EmbeddingTable.of_keys(table.shared_keys, VECTORS, counts=table.counts).counts is table.counts


def test_they_are_part_of_equality_and_may_be_absent():
    assert plain() == plain()
    assert plain() != EmbeddingTable(KEYS, VECTORS)
    assert EmbeddingTable(KEYS, VECTORS).counts is None
    assert EmbeddingTable(KEYS, VECTORS).subset(["a"]).counts is None


def test_a_pickle_from_before_counts_is_read():
    state = EmbeddingTable(KEYS, VECTORS).__getstate__()
    assert set(state) == {"keys", "vectors", "unknown", "metric"}
    table = EmbeddingTable.__new__(EmbeddingTable)
    table.__setstate__(state)
    assert table == EmbeddingTable(KEYS, VECTORS)


@pytest.mark.parametrize("counts", [[1, 2, 3], [1, 2, 3, -1], [1.0, 2, 3, 4], [[1, 2, 3, 4]], np.full(4, 2**64 - 1)])
def test_what_are_no_counts(counts):
    with pytest.raises(ValueError, match="counts must be"):
        EmbeddingTable(KEYS, VECTORS, counts=counts)


@pytest.mark.parametrize("name", ["t.safetensors", "t.npz", "t.parquet", "t.csv"])
def test_files_that_have_a_place_for_them(tmp_path, name):
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    table = plain()
    table.save(tmp_path / name)
    assert EmbeddingTable.load(tmp_path / name) == table
    assert EmbeddingTable.load(tmp_path / name, keys=["a", "of"]) == table.subset(["of", "a"])
    assert EmbeddingTable.load(tmp_path / name, limit=2, dtype="float16") == table.subset(["the", "of"])


def test_fasttexts_model_has_them_without_ngrams_too(tmp_path):
    plain().save(tmp_path / "t.bin", "fasttext-bin")
    assert EmbeddingTable.load(tmp_path / "t.bin") == plain()
    with_ngrams().save(tmp_path / "n.bin", "fasttext-bin")
    assert EmbeddingTable.load(tmp_path / "n.bin", subwords=False).counts.tolist() == COUNTS


@pytest.mark.parametrize("format", ["word2vec-text", "word2vec-binary", "glove", "fasttext-vec"])
def test_files_without_a_place_for_them(tmp_path, format):
    plain().save(tmp_path / "t", format)
    assert EmbeddingTable.load(tmp_path / "t") == EmbeddingTable(KEYS, VECTORS)


@pytest.mark.parametrize("counts", [[1, 2, 3], [1, 2, 3, -4], [0.5, 1, 2, 3]])
def test_an_npz_of_no_counts_is_refused(tmp_path, counts):
    np.savez(tmp_path / "t.npz", keys=KEYS, vectors=VECTORS, counts=counts)
    with pytest.raises(FormatError, match=r"counts|integers"):
        EmbeddingTable.load(tmp_path / "t.npz")


def test_a_parquet_of_no_counts_is_refused(tmp_path):
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    pq.write_table(pa.table({"key": KEYS, "count": [1, 2, 3, -4], "x": [0.0] * 4}), tmp_path / "t.parquet")
    with pytest.raises(FormatError, match="counts of 0 or more"):
        EmbeddingTable.load(tmp_path / "t.parquet")
    pq.write_table(pa.table({"key": KEYS, "count": [0.5] * 4, "x": [0.0] * 4}), tmp_path / "t.parquet")
    assert EmbeddingTable.load(tmp_path / "t.parquet").shape == (4, 2)  # what are no integers is a component


@pytest.mark.parametrize(
    "estimator",
    [
        Word2VecVectorizer(4, min_count=1, max_iter=1, subsample=0, random_state=0),
        GloVeVectorizer(4, min_count=1, max_iter=1, random_state=0),
        FastTextVectorizer(4, min_count=1, max_iter=1, n_buckets=50, subsample=0, random_state=0),
        NNLMVectorizer(4, min_count=1, max_iter=1, random_state=0),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
@pytest.mark.filterwarnings("ignore")
def test_tables_of_estimators_have_those_of_their_vocabulary(estimator):
    estimator.fit(TEXTS)
    counts = dict(zip(estimator.embedding_, estimator.embedding_.counts.tolist()))
    assert counts["the"] == 40
    assert estimator.embedding_.counts.tolist() == estimator.vocabulary_.counts.tolist()


def test_tables_of_other_estimators():
    classifier = FastTextClassifier(4, min_count=1, max_iter=1, random_state=0).fit(TEXTS, [0, 1, 2] * 10)
    assert dict(zip(classifier.embedding_, classifier.embedding_.counts.tolist()))["the"] == 40
    X = np.array([["a", "x"], ["b", "y"], ["a", "y"]] * 5, dtype=object)
    encoder = CooccurrenceEncoder(embedding_dim=1, random_state=0).fit(X)
    assert [table.counts.tolist() for table in encoder.embeddings_.values()] == [[10, 5], [10, 5]]


class TestMerge:
    THERE = EmbeddingTable(["Bern", "of"], [[1, 1, 1], [2, 2, 2]], counts=[5, 6], unknown=[7, 7, 7])

    def test_vectors_counts_and_the_unknown_vector(self):
        mine, theirs = plain().merge(self.THERE), plain(unknown=[8, 8, 8]).merge(self.THERE, prefer="other")
        assert mine.keys.tolist() == theirs.keys.tolist() == [*KEYS, "Bern"]
        assert mine.counts.tolist() == theirs.counts.tolist() == [70_000, 306, 0, 2, 5]
        assert mine["of"].tolist() == VECTORS[1].tolist()
        assert theirs["of"].tolist() == [2, 2, 2]
        assert mine["Bern"].tolist() == theirs["Bern"].tolist() == [1, 1, 1]
        assert mine.unknown.tolist() == theirs.unknown.tolist() == [7, 7, 7]
        assert plain(unknown=[8, 8, 8]).merge(self.THERE).unknown.tolist() == [8, 8, 8]
        assert plain().counts.tolist() == COUNTS

    def test_counts_of_one_alone_say_nothing_of_both(self):
        assert plain().merge(EmbeddingTable(["Bern"], [[1, 1, 1]])).counts is None

    def test_ngrams_stay(self):
        merged = with_ngrams().merge(self.THERE)
        assert isinstance(merged, SubwordTable)
        assert merged.subwords is not None
        assert merged["Bern"].tolist() == [1, 1, 1]
        assert not isinstance(self.THERE.merge(with_ngrams()), SubwordTable)

    @pytest.mark.parametrize(
        ("other", "options", "message"),
        [
            (EmbeddingTable(["a"], [[1, 2]]), {}, "same embedding_dim, got 2 beside 3"),
            (EmbeddingTable(["a"], [[1, 2, 3]], metric="dot"), {}, "same metric, got 'dot' beside 'cosine'"),
            (THERE, {"prefer": "mean"}, "prefer must be one of"),
        ],
    )
    def test_what_does_not_fit(self, other, options, message):
        with pytest.raises(ValueError, match=message):
            plain().merge(other, **options)
        with pytest.raises(TypeError, match="other must be an EmbeddingTable, got dict"):
            plain().merge({})


def test_index_of():
    table = EmbeddingTable(["Ulm", None, 7], VECTORS[:3])
    assert table.index_of("Ulm") == 0
    assert table.index_of(float("nan")) == 1
    assert table.index_of([7.0, "Ulm", 7]).tolist() == [2, 0, 2]
    assert table.index_of("Bern", default=-1) == -1
    assert table.index_of(["Bern", None], default=3).tolist() == [3, 1]
    with pytest.raises(KeyError, match="did you mean 'Ulm'"):
        table.index_of("ulm")
    with pytest.raises(KeyError, match="1 keys are not in this table"):
        table.index_of(["Ulm", "Bern"])
    with pytest.raises(ValueError, match=r"default must be an int or None, got 0\.5"):
        table.index_of("Ulm", default=0.5)


class TestToTorch:
    def test_frozen_without_an_unknown_row(self):
        made = plain().to_torch()
        assert made.module.weight.detach().numpy().tolist() == [*VECTORS.tolist(), [0, 0, 0]]
        assert not made.module.weight.requires_grad
        assert made.module.padding_idx == made.padding_row == 4
        assert made.unknown_row is None
        rows = made.encode([["a", "of"], ["Ulm"], []])
        assert rows.tolist() == [[3, 1], [2, 4], [4, 4]]
        assert (made.module(rows)[1].numpy() == [VECTORS[2], np.zeros(3)]).all()
        with pytest.raises(KeyError, match="Pass default= a vector, a number or 'mean' to to_torch"):
            made.encode([["Bern"]])

    def test_an_unknown_row_learns_and_padding_does_not(self):
        table = plain(unknown=[9, 9, 9])
        made = table.to_torch(freeze=False)
        assert (made.unknown_row, made.padding_row) == (4, 5)
        made.module(made.encode([["the", "Bern"], ["of"]])).sum().backward()
        assert made.module.weight.grad.sum(dim=1).tolist() == [3, 3, 0, 0, 3, 0]
        assert table.vectors.tolist() == VECTORS.tolist()
        assert table.to_torch(default="mean").module.weight[4].tolist() == VECTORS.mean(axis=0).tolist()
        assert made.index == {key: row for row, key in enumerate(KEYS)}
