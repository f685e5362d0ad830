"""Files as other programs wrote them, beside gensim: equal keys, equal vectors, equal vectors of unknown words."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from skembed import EmbeddingTable
from skembed.formats import FormatError
from skembed.table.subwords import hash_ngrams, word_ngrams

FOLDER = Path(__file__).parents[3] / "shared" / "data" / "vectors"
UNSEEN = ["unseen", "Преступление", "наказан", "straße", "日本語テキスト", "x" * 50, "rejections", "a"]
pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(not FOLDER.exists(), reason="the real vector files are not beside the checkout"),
]


@pytest.fixture
def real(tmp_path):
    """A real file, unpacked, by name."""

    def unpacked(name):
        if (FOLDER / name).exists():
            return FOLDER / name
        (tmp_path / name).write_bytes(gzip.decompress((FOLDER / f"{name}.gz").read_bytes()))
        return tmp_path / name

    return unpacked


@pytest.mark.parametrize("name", ["toy-model.bin", "crime-and-punishment.bin", "lee_fasttext_new.bin"])
@pytest.mark.parametrize("mmap", [False, True])
def test_fasttext_models_as_gensim_reads_them(real, name, mmap):
    fasttext = pytest.importorskip("gensim.models.fasttext")
    expected = fasttext.load_facebook_vectors(str(real(name)))
    table = EmbeddingTable.load(real(name), mmap=mmap)
    assert list(table) == expected.index_to_key
    words = [word for word in table if word != "</s>"]  # gensim gives it n-grams, fastText does not
    np.testing.assert_allclose(table[words], np.stack([expected[word] for word in words]), atol=1e-6)
    np.testing.assert_allclose(table.lookup(UNSEEN), np.stack([expected[word] for word in UNSEEN]), atol=1e-6)


@pytest.mark.parametrize(("name", "vec"), [
    ("toy-model.bin", "toy-model.vec"), ("crime-and-punishment.bin", "crime-and-punishment.vec"),
    ("pang_lee_polarity_fasttext.bin", "pang_lee_polarity_fasttext.vec"),
])  # fmt: skip
def test_fasttext_models_beside_the_vectors_that_fasttext_wrote(real, name, vec):
    # one word of the films is not UTF-8
    table, written = (EmbeddingTable.load(real(file), errors="surrogateescape") for file in (name, vec))
    assert list(table) == list(written)
    np.testing.assert_allclose(table.vectors, written.vectors, rtol=1e-4, atol=1e-5)  # five digits in text


@pytest.mark.parametrize(("name", "binary", "header"), [
    ("euclidean_vectors.bin", True, True), ("high_precision.kv.bin", True, True),
    ("high_precision.kv.txt", False, True), ("test_glove.txt", False, False),
    ("en.wiki.bpe.vs1000.d25.w2v.bin", True, True), ("glove.6B.100d.sample.txt", False, False),
    ("glove.6B.300d.sample.txt", False, False), ("lee_fasttext.vec", False, True), ("toy-model.vec", False, True),
    ("crime-and-punishment.vec", False, True), ("fake_embeddings.5d.txt", False, False),
])  # fmt: skip
def test_words_and_vectors_as_gensim_reads_them(real, name, binary, header):
    keyedvectors = pytest.importorskip("gensim.models").KeyedVectors
    expected = keyedvectors.load_word2vec_format(str(real(name)), binary=binary, no_header=not header)
    table = EmbeddingTable.load(real(name))
    assert list(table) == expected.index_to_key
    assert table.vectors.tobytes() == expected.vectors.astype(np.float32).tobytes()
    few = EmbeddingTable.load(real(name), keys=list(table)[:3])
    assert few == table.subset(list(table)[:3])


@pytest.mark.parametrize("name", ["fake_embeddings.5d.txt.gz", "fake_embeddings.5d.txt.zip"])
def test_compressed_as_it_stands(name):
    assert EmbeddingTable.load(FOLDER / name) == EmbeddingTable.load(FOLDER / "fake_embeddings.5d.txt")


def test_ngrams_and_hashes_of_the_reference(real):
    blocks = real("fb-ngrams.txt").read_text(encoding="utf-8").split("<start>\n")[1:]
    pairs = set()
    for block in blocks:
        word, *lines = block.removesuffix("<end>\n").split("\n")
        ngrams = [line.rsplit(" ", 6) for line in lines if line][1:]  # the first is the word itself
        assert [ngram for ngram, *_ in ngrams] == word_ngrams(word, 3, 6)
        buckets = hash_ngrams([word], 3, 6)[1] % 100
        pairs |= {(bucket, tuple(vector)) for bucket, (_, *vector) in zip(buckets.tolist(), ngrams)}
    # one vector a bucket, one bucket a vector
    assert len(pairs) == len({bucket for bucket, _ in pairs}) == len({vector for _, vector in pairs}) > 40


@pytest.mark.parametrize("name", ["toy-model.bin", "euclidean_vectors.bin", "toy-model.vec"])
def test_cut_files_end_in_an_error_and_never_hang(real, tmp_path, name):
    content = real(name).read_bytes()
    for length in np.linspace(0, len(content) - 40, 60).astype(int).tolist():
        (tmp_path / "cut").write_bytes(content[:length])
        with pytest.raises(FormatError, match=r"cut: at byte \d+"):
            EmbeddingTable.load(tmp_path / "cut")
