"""Postprocessing of given vectors: what it does, that all that is mapped lies in one space, and few words."""

import subprocess
import sys

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skembed.table import EmbeddingTable, SubwordTable
from skembed.table.subwords import Subwords
from skembed.text import PretrainedVectorizer

METHODS = ["pca", "all-but-the-top"]
WORDS = [f"w{row}" for row in range(40)]
GENERATOR = np.random.default_rng(0)
COMMON = GENERATOR.standard_normal(8) * 3
VECTORS = GENERATOR.standard_normal((40, 8)) + COMMON
TEXTS = [
    " ".join(GENERATOR.choice(WORDS[:30], 7, p=1 / np.arange(1, 31) / (1 / np.arange(1, 31)).sum())) for _ in range(90)
]
TABLE = EmbeddingTable(WORDS, VECTORS)


def running_mean(vectorizer, texts):
    return vectorizer.transform([" ".join(texts)])[0]


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_all_but_the_top_takes_out_the_mean_and_what_is_common():
    vectorizer = PretrainedVectorizer(TABLE, postprocess="all-but-the-top").fit(TEXTS)
    np.testing.assert_allclose(running_mean(vectorizer, TEXTS), 0, atol=1e-5)
    words = vectorizer.vocabulary_.keys.tolist()
    p = vectorizer.vocabulary_.counts / vectorizer.vocabulary_.counts.sum()
    given = TABLE.lookup(words) - p @ TABLE.lookup(words)
    _, _, axes = np.linalg.svd(given * np.sqrt(p)[:, None])
    expected = given - np.outer(given @ axes[0], axes[0])
    np.testing.assert_allclose(vectorizer.embedding_.lookup(words), expected, atol=1e-4)


def test_pca_is_what_its_notes_say():
    texts = [*TEXTS, "", "none of these", *(f"{word} {word} w0" for word in WORDS[:30] * 5)]  # short ones are many
    vectorizer = PretrainedVectorizer(TABLE, postprocess="pca").fit(texts)
    words, counts = vectorizer.vocabulary_.keys.tolist(), vectorizer.vocabulary_.counts
    given, weights, p = (
        TABLE.lookup(words).astype(float),
        np.sqrt(counts) / np.sqrt(counts).sum(),
        counts / counts.sum(),
    )
    values, axes = np.linalg.eigh((given.T * weights) @ given)
    values = (len(words) * values + 8 * values.mean()) / (len(words) + 8)
    # products do not depend on the signs and order of axes
    turned = given @ axes * values**0.25
    lengths = np.linalg.norm(turned, axis=1)
    turned *= (0.1 / (0.1 + p) / (lengths + np.median(lengths)))[:, None]
    known = [[words.index(word) for word in text.split() if word in words] for text in texts]
    turned -= np.mean([turned[rows].mean(axis=0) for rows in known if rows], axis=0) / 2
    turned *= np.sqrt((p @ (given**2).sum(axis=1)) / (p @ (turned**2).sum(axis=1)))  # as long as they were
    got = vectorizer.embedding_.lookup(words)
    np.testing.assert_allclose(got @ got.T, turned @ turned.T, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(
        vectorizer.transform([f"{words[0]} {words[1]}"])[0], got[:2].mean(axis=0), rtol=1e-5, atol=1e-6
    )
    assert np.square(got).sum(axis=0).argmax() == 0  # the first axis comes first


@pytest.mark.parametrize("options", [{"postprocess": "pca"}, {"pooling": "sif"}])
def test_rows_are_long_enough_for_a_penalized_model(options):
    """Rows that are ten times as short are nothing to it: of five classes it found the largest alone."""
    generator = np.random.default_rng(1)
    table = EmbeddingTable(WORDS, generator.normal(0, 0.4, (40, 30)))
    y = generator.choice(5, 400, p=[0.4, 0.15, 0.15, 0.15, 0.15])
    texts = [" ".join(WORDS[word] for word in [*range(5), *(5 + 7 * k + generator.integers(7, size=3))]) for k in y]
    rows = PretrainedVectorizer(table, **options).fit_transform(texts)
    score = LogisticRegression().fit(rows[:200], y[:200]).score(rows[200:], y[200:])
    scaled = make_pipeline(StandardScaler(), LogisticRegression()).fit(rows[:200], y[:200]).score(rows[200:], y[200:])
    assert score > scaled - 0.1


@pytest.mark.parametrize("vectors", [VECTORS[:, :1], np.outer(VECTORS[:, 0], VECTORS[1])])
def test_words_along_one_line_keep_it(vectors):
    table = EmbeddingTable(WORDS, vectors)
    rows = PretrainedVectorizer(table, postprocess="all-but-the-top", pooling="sif").fit_transform(TEXTS)
    assert np.linalg.norm(np.ptp(rows, axis=0)) > 0.5


@pytest.mark.parametrize("method", METHODS)
def test_words_that_the_corpus_lacks_are_mapped_as_the_others(method):
    twins = EmbeddingTable([*WORDS, "rare"], np.vstack([VECTORS, VECTORS[25]]))
    vectorizer = PretrainedVectorizer(twins, postprocess=method).fit(TEXTS)
    rare, frequent = vectorizer.embedding_.lookup(["rare", "w25"])
    assert "rare" not in vectorizer.vocabulary_.keys.tolist()
    assert rare @ frequent > 0.99 * np.linalg.norm(rare) * np.linalg.norm(frequent)


@pytest.mark.parametrize("method", METHODS)
def test_subwords_lie_in_the_space_of_the_words(method):
    ngrams = Subwords(GENERATOR.standard_normal((50, 8)) + COMMON, min_n=2, max_n=3, n_buckets=50)
    source = SubwordTable.from_rows(WORDS, VECTORS, ngrams)
    vectorizer = PretrainedVectorizer(source, postprocess=method).fit(TEXTS)
    np.testing.assert_allclose(vectorizer.transform(["new"])[0], vectorizer.embedding_["new"], atol=1e-5)
    # a word that is a key has the image of its vector, one that is none of the same vector the same image
    inserted = SubwordTable([*WORDS, "new"], np.vstack([source.vectors, source["new"]]), ngrams)
    known = PretrainedVectorizer(inserted, postprocess=method).fit(TEXTS)
    np.testing.assert_allclose(known.embedding_["new"], vectorizer.embedding_["new"], atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_columns_missing_cells_and_unknown_ones(method):
    table = EmbeddingTable([*WORDS, None], np.vstack([VECTORS, VECTORS[3]]), unknown=VECTORS[4])
    X = np.array([[word, other] for word, other in zip(WORDS[:30], WORDS[29::-1])], dtype=object)
    for keep in ("all", "corpus"):
        vectorizer = PretrainedVectorizer(table, postprocess=method, keep=keep).fit(X)
        rows = vectorizer.transform(np.array([[None, "w3"], ["strange", "w4"]], dtype=object)).reshape(2, 2, 8)
        cosines = (unit(rows[:, 0]) * unit(rows[:, 1])).sum(axis=1)
        assert (cosines > 0.99).all()
        assert len(vectorizer.get_feature_names_out()) == 16
    without = PretrainedVectorizer(TABLE, postprocess=method).fit(X)
    assert not without.transform(np.array([[None, "w3"]], dtype=object))[0, :8].any()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n_words", [1, 2, 5])
def test_fewer_words_than_dimensions(method, n_words):
    texts = [" ".join(WORDS[:n_words])]
    vectorizer = PretrainedVectorizer(TABLE, postprocess=method).fit(texts)
    assert np.isfinite(vectorizer.embedding_.vectors).all()
    if method == "pca":  # the other words keep what tells them apart
        kept = unit(vectorizer.embedding_.vectors[10:] - vectorizer.embedding_.vectors[10:].mean(axis=0))
        given = unit(VECTORS[10:] - VECTORS[10:].mean(axis=0))
        assert np.corrcoef((kept @ kept.T).ravel(), (given @ given.T).ravel())[0, 1] > 0.5


@pytest.mark.parametrize("method", METHODS)
def test_zero_vectors_and_training(method):
    zeros = EmbeddingTable(WORDS, np.zeros((40, 8)))
    assert not PretrainedVectorizer(zeros, postprocess=method).fit_transform(TEXTS).any()
    trained = PretrainedVectorizer(TABLE, postprocess=method, trainable=True, max_iter=1, min_count=1, random_state=0)
    assert np.isfinite(trained.fit_transform(TEXTS)).all()
    again = PretrainedVectorizer(TABLE, postprocess=method, pooling=["mean", "sif"])
    np.testing.assert_array_equal(again.fit_transform(TEXTS), again.fit(TEXTS).transform(TEXTS))


def test_a_static_table_needs_no_torch_and_no_numba(tmp_path):
    TABLE.save(tmp_path / "table.safetensors")
    code = (
        "import sys\n"
        "class Refuse:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] in ('torch', 'numba', 'transformers'):\n"
        "            raise ImportError(name)\n"
        "sys.meta_path.insert(0, Refuse())\n"
        "from skembed.text import PretrainedVectorizer\n"
        f"vectorizer = PretrainedVectorizer({str(tmp_path / 'table.safetensors')!r}, postprocess='pca')\n"
        "print(vectorizer.fit_transform(['w1 w2', 'w3', 'w1 w4']).shape)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "(3, 8)\n", done.stderr
