"""fastText's .bin and .ftz: every version, pruned and quantised; what is written, gensim reads alike."""

import gzip
import struct
import tracemalloc
import warnings

import numpy as np
import pytest
import samples

from skembed import EmbeddingTable
from skembed.formats import FormatError, load_table
from skembed.formats._fasttext import open_model
from skembed.formats._open import Seekable
from skembed.table import SubwordTable
from skembed.table.subwords import Subwords, word_ngrams


@pytest.fixture
def load(tmp_path):
    """Load a table from bytes."""

    def load(content, **options):
        (tmp_path / "model").write_bytes(content)
        return load_table(tmp_path / "model", **options)

    return load


def fnv(raw):
    state = 2166136261
    for byte in raw:
        state = ((state ^ ((byte if byte < 128 else byte - 256) & 0xFFFFFFFF)) * 16777619) & 0xFFFFFFFF
    return state


def mean_of(word, own, ngrams, min_n=3, max_n=6):
    rows = [ngrams[fnv(gram.encode()) % len(ngrams)] for gram in word_ngrams(word, min_n, max_n)]
    return np.mean([*rows, *([] if own is None else [own])], axis=0, dtype=np.float64)


@pytest.mark.parametrize("version", [0, 11, 12])
@pytest.mark.parametrize("mmap", [False, True])
def test_versions(load, version, mmap):
    table = load(samples.fasttext(ngrams=samples.NGRAMS, version=version, counts=[9, 7, 5, 3, 1]), mmap=mmap)
    assert isinstance(table, SubwordTable)
    assert list(table) == samples.WORDS
    assert table.counts.tolist() == [9, 7, 5, 3, 1]
    for word, own in zip(samples.WORDS, samples.VECTORS):
        np.testing.assert_allclose(table[word], mean_of(word, own, samples.NGRAMS), atol=1e-6)
    np.testing.assert_allclose(table["unseen日"], mean_of("unseen日", None, samples.NGRAMS), atol=1e-6)
    assert isinstance(table.subwords.vectors, np.memmap) == mmap


def test_counts_below_zero_are_counts_of_nothing(load):
    table = load(samples.fasttext(ngrams=samples.NGRAMS, counts=[9, -1, 5, -(2**60), 1]))
    assert table.counts.tolist() == [9, 0, 5, 0, 1]


@pytest.mark.parametrize(("version", "composed"), [(0, False), (11, False), (12, True)])
def test_supervised_models_had_no_character_ngrams_before_version_12(load, version, composed):
    content = samples.fasttext(ngrams=samples.NGRAMS, version=version, model=3, labels=["__label__x", "__label__y"])
    table = load(content)
    assert isinstance(table, SubwordTable) == composed
    assert list(table) == samples.WORDS
    assert (table.vectors.tobytes() == samples.VECTORS.tobytes()) == (not composed)


def test_without_ngrams_the_words_are_the_rows_and_can_be_mapped(load):
    for options in ({"minn": 0, "maxn": 0}, {"minn": 3, "maxn": 2}, {}):
        table = load(samples.fasttext(**options), mmap=True)
        assert type(table) is EmbeddingTable
        assert isinstance(table.vectors, np.memmap)
        assert table.vectors.tobytes() == samples.VECTORS.tobytes()
    # word n-grams of supervised models share the buckets
    table = load(samples.fasttext(ngrams=samples.NGRAMS, model=3, minn=0, maxn=0, labels=["__label__x"]))
    assert table.vectors.tobytes() == samples.VECTORS.tobytes()


def test_quantised_and_pruned(load):
    rng = np.random.default_rng(5)
    codes, norm_codes = rng.integers(0, 256, (8, 2)), rng.integers(0, 256, 8)
    centroids, norms = rng.standard_normal(256 * 4).astype("<f4"), rng.random(256).astype("<f4")
    first, last = centroids[: 256 * 3].reshape(256, 3), centroids[256 * 3 :].reshape(256, 1)
    for with_norms in (False, True):
        packed = samples.quantised(codes, 4, 3, centroids, norm_codes, norms if with_norms else None)
        packed = packed if with_norms else b"\0" + packed[1:]
        pruned = [(7, 2), (3, 0), (31, 1)]
        table = load(samples.fasttext(
            model=3, labels=["__label__a"], bucket=50, minn=2, maxn=3, pruned=pruned, quantised_input=packed,
        ))  # fmt: skip
        rows = np.concatenate([first[codes[:, 0]], last[codes[:, 1]]], axis=1)
        rows = rows * norms[norm_codes][:, None] if with_norms else rows
        held = dict(pruned)
        for index, word in enumerate(samples.WORDS):
            buckets = [fnv(gram.encode()) % 50 for gram in word_ngrams(word, 2, 3)]
            parts = [rows[index], *(rows[5 + held[bucket]] for bucket in buckets if bucket in held)]
            np.testing.assert_allclose(table[word], np.mean(parts, axis=0), atol=1e-6)
        assert table.subwords.buckets.tolist() == [3, 7, 31]


def test_pruned_to_nothing(load):
    packed = samples.quantised(np.zeros((5, 2)), 4, 2, np.ones(256 * 4))
    packed = packed[:1] + packed[1:]
    table = load(samples.fasttext(model=3, labels=["a"], bucket=50, minn=2, maxn=3, pruned=[], quantised_input=packed))
    assert type(table) is EmbeddingTable
    assert table["the"].tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_keys_and_limit_take_their_own_memory_only(load, compress):
    whole = load(samples.fasttext(ngrams=samples.NGRAMS))
    content = compress(samples.fasttext(ngrams=samples.NGRAMS))
    for mmap in (False, True):
        part = load(content, keys=["of", "absent"], mmap=mmap)
        assert type(part) is EmbeddingTable
        assert list(part) == ["of"]
        np.testing.assert_allclose(part["of"], whole["of"], rtol=1e-6)
        carrying = load(content, keys=["of"], subwords=True, mmap=mmap)
        np.testing.assert_allclose(carrying["unseen"], whole["unseen"], rtol=1e-6)
    first = load(content, limit=2)
    assert list(first) == samples.WORDS[:2]
    assert first["unseen"].tolist() == whole["unseen"].tolist()
    assert type(load(content, subwords=False)) is EmbeddingTable
    assert load(content, keys=["absent"]).shape == (0, 4)


def test_cut_at_every_byte_and_trailing_bytes(load):
    for content in (
        samples.fasttext(ngrams=samples.NGRAMS[:3]),
        samples.ftz(),
        samples.fasttext(version=0, ngrams=samples.NGRAMS[:3]),
    ):
        lengths = range(0, len(content), 1 if len(content) < 2000 else 37)
        for length in lengths:
            with pytest.raises(FormatError, match=r"model: at byte \d+: "):
                load(content[:length], format="fasttext-bin")
        with pytest.raises(FormatError, match=f"at byte {len(content)}: expected the end of the file, 1 bytes follow"):
            load(content + b"\0")


def test_norms_that_are_not_finite_are_refused_without_a_warning_of_numpy(load):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(FormatError, match="expected finite numbers"):
            load(samples.ftz(norms=np.full(256, np.inf)))


@pytest.mark.parametrize(("offset", "kind", "value", "message"), [
    (4, "<i", 13, "at byte 4: expected version 11 or 12.*got 13; it may be of a newer"),
    (4, "<i", 10, "version 11 or 12"),
    (8, "<i", 0, "dimension of at least 1"), (8, "<i", -5, "dimension"), (8, "<i", 5, "input matrix"),
    (40, "<i", -1, "bucket from 0"),
    (40, "<i", 21, "input matrix of 26 x 4"), (48, "<i", 101, "maxn from 0 to 100"),
    (64, "<i", 6, "number of words and labels"),
    (64, "<i", -1, "words and labels"), (68, "<i", 4, "words and labels"), (84, "<q", 2**60, "pruning left"),
    (84, "<q", -2, "expected -1"),
])  # fmt: skip
def test_headers_that_lie(load, offset, kind, value, message):
    content = bytearray(samples.fasttext(ngrams=samples.NGRAMS))
    struct.pack_into(kind, content, offset, value)
    with pytest.raises(FormatError, match=message):
        load(bytes(content))


def test_shapes_that_lie_and_numbers_that_are_not_finite(load):
    content = samples.fasttext(ngrams=samples.NGRAMS)
    at = content.index(struct.pack("<2q", 25, 4))
    for rows, columns in ((2**62, 4), (-1, 4), (25, 2**62), (25, -4), (24, 4)):
        with pytest.raises(FormatError, match=rf"at byte ({at}|{at + 16}): expected"):
            load(content[:at] + struct.pack("<2q", rows, columns) + content[at + 16 :])
    for row in (3, 10):
        place = at + 16 + 4 * (4 * row + 2)
        broken = content[:place] + struct.pack("<f", np.nan) + content[place + 4 :]
        with pytest.raises(FormatError, match=rf"at byte {place}: expected finite.*\(row {row}, number 3\)"):
            load(broken)
        assert not np.isfinite(load(broken, allow_nonfinite=True).lookup([*samples.WORDS, "unseen"])).all()
        with pytest.raises(FormatError, match="finite"):
            load(broken, keys=samples.WORDS)


def test_numbers_that_are_not_finite_are_named_in_mapped_words_too(load):
    content = samples.fasttext()
    place = content.index(struct.pack("<2q", 5, 4)) + 16 + 4 * (4 * 2 + 1)
    broken = content[:place] + struct.pack("<f", np.nan) + content[place + 4 :]
    with pytest.raises(FormatError, match=rf"at byte {place}: expected finite.*\(row 2, number 2\)"):
        load(broken, mmap=True)


def test_a_model_without_words_is_refused(load):
    with pytest.raises(FormatError, match="expected words in the dictionary, there are none"):
        load(samples.fasttext([], np.zeros((0, 4)), ngrams=samples.NGRAMS))


def test_a_quantised_matrix_that_stands_for_far_more_than_its_bytes(load, monkeypatch):
    monkeypatch.setattr("skembed.data.compression.FREE_BYTES", 1 << 10)
    packed = samples.quantised(np.zeros((5, 1)), 4, 4, np.ones(256 * 4))
    content = samples.fasttext(model=3, labels=["a"], quantised_input=packed, minn=0, maxn=0)
    assert len(load(content)) == 5
    rows = [f"w{i}" for i in range(40_000)]
    packed = samples.quantised(np.zeros((40_000, 1)), 400, 400, np.ones(256 * 400))
    content = samples.fasttext(rows, np.zeros((1, 400)), model=3, labels=["a"], quantised_input=packed, minn=0, maxn=0)
    assert len(load(content)) == 40_000
    with pytest.raises(FormatError, match="decompression bomb"):
        load(content, max_expansion=10)


def test_duplicates_and_bytes_that_are_not_utf8(load):
    content = samples.fasttext(["a", "b", "a", "c", "d"], ngrams=samples.NGRAMS, counts=[5, 4, 3, 2, 1])
    with pytest.warns(UserWarning, match="1 rows repeat"):
        table = load(content)
    assert (list(table), table.counts.tolist()) == (["a", "b", "c", "d"], [5, 4, 2, 1])
    content = samples.fasttext([b"\xff\xfe", "b", "a", "c", "d"], ngrams=samples.NGRAMS)
    with pytest.raises(FormatError, match=r"at byte 92: expected a key in UTF-8"):
        load(content)
    kept = load(content, errors="surrogateescape")
    rows = [samples.NGRAMS[fnv(gram) % 20] for gram in (b"<\xff\xfe", b"<\xff\xfe>", b"\xff\xfe>")]
    np.testing.assert_allclose(kept["\udcff\udcfe"], np.mean([samples.VECTORS[0], *rows], axis=0), atol=1e-6)


def test_duplicates_in_mapped_words_are_left_out(load):
    with pytest.warns(UserWarning, match="1 rows repeat"):
        table = load(samples.fasttext(["a", "b", "a", "c", "d"]), mmap=True)
    assert list(table) == ["a", "b", "c", "d"]
    assert table.vectors.tobytes() == samples.VECTORS[[0, 1, 3, 4]].tobytes()


class TestSaving:
    def table(self, n_words=30, dim=6, n_buckets=200):
        rng = np.random.default_rng(2)
        words = ["</s>", *(f"wort{i}ß" for i in range(n_words - 1))]
        ngrams = Subwords(rng.standard_normal((n_buckets, dim)), min_n=2, max_n=5, n_buckets=n_buckets)
        rows = rng.standard_normal((n_words, dim))
        return SubwordTable.from_rows(words, rows, ngrams, counts=np.arange(n_words, 0, -1))

    def test_it_comes_back(self, tmp_path):
        table = self.table()
        table.save(tmp_path / "model.bin", "fasttext-bin")
        loaded = EmbeddingTable.load(tmp_path / "model.bin")
        assert list(loaded) == list(table)
        assert loaded.counts.tolist() == table.counts.tolist()
        assert loaded.subwords == table.subwords
        np.testing.assert_allclose(loaded.vectors, table.vectors, atol=1e-6)

    def test_settings_are_those_of_the_fasttext_program_where_none_are_given(self, tmp_path):
        # its help: -ws 5, -epoch 5, -minCount 1 where the words are chosen, -neg 5, -wordNgrams 1, -loss ns, skip-gram
        expected = {"dim": 6, "ws": 5, "epoch": 5, "min_count": 1, "neg": 5, "word_ngrams": 1, "loss": 2, "model": 2,
                    "bucket": 200, "minn": 2, "maxn": 5, "lr_update_rate": 100, "t": 1e-4}  # fmt: skip
        for given in ({}, {"ws": 3, "epoch": 7, "t": 1e-3, "model": 1, "loss": 1}):
            self.table().save(tmp_path / "model", "fasttext-bin", settings=given)
            with (tmp_path / "model").open("rb") as file:
                model = open_model(Seekable("model", file, (tmp_path / "model").stat().st_size))
            assert model.settings == expected | given

    @pytest.mark.parametrize("ngrams", [None, samples.NGRAMS])
    def test_each_byte_is_as_the_format_has_it(self, tmp_path, ngrams):
        words, counts = samples.WORDS, [9, 7, 5, 3, 1]
        if ngrams is None:
            table, lengths = EmbeddingTable(words, samples.VECTORS), {"minn": 0, "maxn": 0}
        else:
            subwords, lengths = Subwords(ngrams, min_n=3, max_n=6, n_buckets=len(ngrams)), {}
            table = SubwordTable.from_rows(words, samples.VECTORS, subwords)
        table.save(tmp_path / "model", "fasttext-bin", counts=counts)
        found, expected = (tmp_path / "model").read_bytes(), samples.fasttext(ngrams=ngrams, counts=counts, **lengths)
        start = expected.index(samples.VECTORS.tobytes())  # of rows that are computed from sums again
        end = start + samples.VECTORS.nbytes
        assert (found[:start], found[end:]) == (expected[:start], expected[end:])
        rows = np.frombuffer(found[start:end], "<f4").reshape(samples.VECTORS.shape)
        np.testing.assert_allclose(rows, samples.VECTORS, rtol=1e-5, atol=1e-6)

    def test_gensim_reads_it_alike(self, tmp_path):
        fasttext = pytest.importorskip("gensim.models.fasttext")
        table = self.table()
        output = np.random.default_rng(0).standard_normal(table.shape)
        table.save(tmp_path / "model.bin", "fasttext-bin", output=output, settings={"ws": 7, "model": 1})
        model = fasttext.load_facebook_model(str(tmp_path / "model.bin"))
        assert model.window == 7
        unseen = ["unseen", "wort", "Straße", "日本語テキスト"]
        for word in [*table.keys[1:].tolist(), *unseen]:
            np.testing.assert_allclose(model.wv[word], table[word], atol=1e-6)
        np.testing.assert_allclose(model.syn1neg, output, atol=1e-6)

    def test_what_gensim_writes_is_read_alike(self, tmp_path):
        fasttext = pytest.importorskip("gensim.models.fasttext")
        model = fasttext.FastText(vector_size=5, bucket=150, min_count=1, min_n=2, max_n=4, epochs=1, workers=1, seed=1)
        sentences = [["Straße", "der", "Welt"], ["der", "Weg"]] * 5
        model.build_vocab(sentences)
        model.train(sentences, total_examples=len(sentences), epochs=1)
        fasttext.save_facebook_model(model, str(tmp_path / "model.bin"))
        table = EmbeddingTable.load(tmp_path / "model.bin")
        assert list(table) == model.wv.index_to_key
        for word in [*table, "Straßen", "unseen"]:
            np.testing.assert_allclose(table[word], model.wv[word], atol=1e-6)
        assert table.counts.tolist() == [model.wv.get_vecattr(word, "count") for word in table]

    def test_sparse_buckets_that_count_as_zero(self, tmp_path):
        kept = np.arange(0, 200, 3)
        sparse = Subwords(np.ones((len(kept), 6)), min_n=2, max_n=5, n_buckets=200, buckets=kept, absent="zero")
        table = SubwordTable.from_rows(["ab", "cd"], np.eye(2, 6), sparse)
        table.save(tmp_path / "model", "fasttext-bin")
        loaded = EmbeddingTable.load(tmp_path / "model")
        np.testing.assert_allclose(loaded.lookup(["ab", "unseen"]), table.lookup(["ab", "unseen"]), atol=1e-6)
        assert loaded.counts.tolist() == [1, 1]
        pruned = Subwords(np.ones((len(kept), 6)), min_n=2, max_n=5, n_buckets=200, buckets=kept)
        with pytest.raises(ValueError, match=r"passes over n-grams that have none.*safetensors"):
            SubwordTable.from_rows(["ab"], np.eye(1, 6), pruned).save(tmp_path / "other", "fasttext-bin")

    def test_plain_tables_and_what_does_not_fit(self, tmp_path):
        table = EmbeddingTable(samples.WORDS, samples.VECTORS)
        table.save(tmp_path / "model", "fasttext-bin")
        counted = EmbeddingTable(samples.WORDS, samples.VECTORS, counts=[1] * len(samples.WORDS))
        assert EmbeddingTable.load(tmp_path / "model") == counted  # the format wants a count for each word
        for options, message in (
            ({"counts": [1]}, "counts must be 5"),
            ({"output": [[1.0]]}, "output must have shape"),
            ({"settings": {"dim": 3}}, "settings must be"),
        ):  # fmt: skip
            with pytest.raises(ValueError, match=message):
                table.save(tmp_path / "model", "fasttext-bin", **options)
        with pytest.raises(ValueError, match="without NUL"):
            EmbeddingTable(["a\0"], [[1]]).save(tmp_path / "other", "fasttext-bin")
        counted = EmbeddingTable(samples.WORDS, samples.VECTORS, counts=[1] * len(samples.WORDS))
        assert EmbeddingTable.load(tmp_path / "model") == counted  # the format wants a count for each word


def test_memory_is_that_of_the_table_and_little_of_the_dictionary(tmp_path):
    words = [f"word{i}" for i in range(40_000)]
    vectors = np.random.default_rng(0).standard_normal((40_000, 50), dtype=np.float32)
    ngrams = Subwords(vectors[:20_000], min_n=3, max_n=6, n_buckets=20_000)
    SubwordTable(words, vectors, ngrams).save(tmp_path / "model", "fasttext-bin")
    load_table(tmp_path / "model", limit=10)  # what is imported is no part of the table
    tracemalloc.start()
    with open(tmp_path / "model", "rb") as file:
        model = open_model(Seekable("model", file, (tmp_path / "model").stat().st_size))
        held, peak = tracemalloc.get_traced_memory()
    assert len(model.dictionary.words) == len(words)
    assert held < 50 * len(words)  # an object for each word, its place and its count takes three times as much
    assert peak < held + 8e6
    del model
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    table = load_table(tmp_path / "model")
    size, peak = (n_bytes - before for n_bytes in tracemalloc.get_traced_memory())
    tracemalloc.stop()
    assert peak < 1.2 * size + 4e6
    assert size < 1.2 * (table.vectors.nbytes + table.subwords.vectors.nbytes) + 7e6
