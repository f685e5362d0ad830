"""word2vec's binary, numpy and parquet files, compressed files, and files that are none of these."""

import bz2
import gc
import gzip
import io
import lzma
import os
import pickle
import signal
import struct
import subprocess
import sys
import tarfile
import time
import tracemalloc
import types
import warnings
import zipfile

import numpy as np
import pytest
import samples

from skembed import EmbeddingTable
from skembed.data import compression
from skembed.formats import FormatError, load_table


@pytest.fixture
def load(tmp_path):
    """Load a table from bytes."""

    def load(content, **options):
        (tmp_path / "vectors").write_bytes(content)
        return load_table(tmp_path / "vectors", **options)

    return load


def same(table, words=samples.WORDS, vectors=samples.VECTORS):
    return list(table) == list(words) and table.vectors.tobytes() == vectors.tobytes()


class TestWord2VecBinary:
    @pytest.mark.parametrize("newline", [b"", b"\n"])
    def test_with_and_without_newlines(self, load, newline):
        assert same(load(samples.word2vec_binary(newline=newline)))

    def test_cut_at_every_byte_and_trailing_bytes(self, load):
        content = samples.word2vec_binary()
        for length in range(len(content)):
            with pytest.raises(FormatError, match=r"vectors: at byte \d+: expected"):
                load(content[:length], format="word2vec-binary")
        with pytest.raises(FormatError, match=f"at byte {len(content)}: expected the end of the file after 5 rows"):
            load(content + b"x")

    @pytest.mark.parametrize(
        "head", [b"0 4", b"-5 4", b"5 0", b"5 -4", b"5.0 4", b"5 99999999999999", b"9999999999999999999 4"]
    )
    def test_headers_that_lie(self, load, head):
        with pytest.raises(FormatError, match="at byte 0: expected"):
            load(samples.word2vec_binary().replace(b"5 4", head, 1), format="word2vec-binary")
        with pytest.raises(FormatError, match=r"at byte \d+: expected"):
            load(gzip.compress(samples.word2vec_binary().replace(b"5 4", head, 1)), format="word2vec-binary")

    def test_not_finite_duplicates_and_bad_utf8(self, load):
        vectors = samples.VECTORS.copy()
        vectors[2, 1] = np.nan
        content = samples.word2vec_binary(vectors=vectors)
        at = content.index(b"of ") + 3 + 4
        with pytest.raises(FormatError, match=rf"at byte {at}: expected finite.*nan \(word 'of', number 2\)"):
            load(content)
        assert np.isnan(load(content, allow_nonfinite=True)["of"][1])
        with pytest.warns(UserWarning, match="1 rows repeat"):
            table = load(samples.word2vec_binary(["a", "b", "a", "c", "d"]))
        assert same(table, "abcd", samples.VECTORS[[0, 1, 3, 4]])
        content = content.replace("ö".encode(), b"\xff\xfe")
        with pytest.raises(FormatError, match=r"at byte \d+: expected a key in UTF-8"):
            load(content, allow_nonfinite=True)

    def test_keys_limit_and_map(self, load):
        content = samples.word2vec_binary()
        assert same(load(content, keys=["日本", "the"]), ["the", "日本"], samples.VECTORS[[0, 4]])
        assert same(load(content, limit=2), samples.WORDS[:2], samples.VECTORS[:2])
        assert load(content, keys=["none"]).shape == (0, 4)
        with pytest.raises(ValueError, match=r"mmap=True cannot be had.*each word before its vector"):
            load(content, mmap=True)

    def test_rows_across_blocks(self, load, monkeypatch):
        monkeypatch.setattr("skembed.formats._word2vec._BLOCK", 37)
        assert same(load(samples.word2vec_binary(newline=b"\n")))


class TestCompressed:
    @pytest.mark.parametrize("codec", samples.COMPRESSIONS)
    @pytest.mark.parametrize("kind", ["text", "word2vec_binary", "fasttext"])
    def test_found_by_content_under_any_name(self, tmp_path, codec, kind):
        (tmp_path / "vectors.txt").write_bytes(samples.COMPRESSIONS[codec](getattr(samples, kind)()))
        assert same(load_table(tmp_path / "vectors.txt"))

    @pytest.mark.parametrize("codec", samples.COMPRESSIONS)
    def test_cut_at_every_byte(self, load, codec):
        content = samples.COMPRESSIONS[codec](samples.text())
        for length in range(0, len(content), 3):
            with pytest.raises(FormatError):
                load(content[:length])

    def test_attributes_of_macos_are_no_files_of_an_archive(self, tmp_path):
        with zipfile.ZipFile(tmp_path / "v.zip", "w") as made:
            made.writestr("glove/", "")
            made.writestr("glove/vectors.txt", samples.text())
            made.writestr("__MACOSX/glove/._vectors.txt", b"\0\5\x16\7")
        assert list(load_table(tmp_path / "v.zip")) == samples.WORDS

    @pytest.mark.parametrize("codec", ["gzip", "bz2", "xz"])
    def test_streams_one_after_the_other(self, load, codec):
        content, compress = samples.text(), samples.COMPRESSIONS[codec]
        assert same(load(compress(content[:40]) + compress(content[40:]) + b"\0" * 512))
        with pytest.raises(
            FormatError, match=f"at byte {len(compress(content))}: expected {codec.replace('bz2', 'bzip2')} data"
        ):
            load(compress(content) + b"more bytes, none of a stream")

    @pytest.mark.parametrize("codec", samples.COMPRESSIONS)
    def test_bombs_are_refused_by_ratio_and_size(self, load, codec, monkeypatch):
        monkeypatch.setattr(compression, "FREE_BYTES", 1 << 20)
        bomb = samples.COMPRESSIONS[codec](b"a " + b"0 " * (1 << 21) + b"\n")
        with pytest.raises(FormatError, match=r"100 times as many: refused as a decompression bomb.*max_expansion="):
            load(bomb)
        assert load(bomb, max_expansion=10**6).shape == (1, 1 << 21)

    @pytest.mark.parametrize("codec", samples.COMPRESSIONS)
    @pytest.mark.parametrize("mmap", [False, True])
    def test_no_temporary_file_is_left_open(self, load, codec, mmap, monkeypatch):
        monkeypatch.setattr(compression, "FREE_BYTES", 1 << 8)  # beyond which content is kept in a file
        content = samples.fasttext(ngrams=samples.NGRAMS)
        plain, compress = load(content), samples.COMPRESSIONS[codec]
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ResourceWarning)
            table = load(compress(content), mmap=mmap)
            with pytest.raises(FormatError):
                load(compress(content[:-9]), mmap=mmap)
            gc.collect()
        assert not caught
        words = [*samples.WORDS, "unseen"]
        assert np.array_equal(table.lookup(words), plain.lookup(words))

    def test_compressed_twice_and_tar(self, load):
        with pytest.raises(FormatError, match="another compressed file"):
            load(gzip.compress(bz2.compress(samples.text())))
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode="w:gz") as archive:
            archive.addfile(tarfile.TarInfo("../x"), io.BytesIO())
        with pytest.raises(FormatError, match="tar archive"):
            load(file.getvalue())

    def test_several_members(self, load):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("glove.50d.txt", samples.text(header=False))
            archive.writestr("readme.txt", "hello")
        with pytest.raises(FormatError, match=r"holds 2: \['glove.50d.txt', 'readme.txt'\]. Pass member="):
            load(file.getvalue())
        assert same(load(file.getvalue(), member="glove.50d.txt"))
        with pytest.raises(FormatError, match="named 'other'"):
            load(file.getvalue(), member="other")
        with pytest.raises(ValueError, match="member names a file in a zip"):
            load(samples.text(), member="other")

    @pytest.mark.parametrize("name", ["/etc/passwd", "../vectors.txt", "a/../../b", "C:\\vectors.txt", "..\\x"])
    def test_members_that_break_out(self, load, name):
        with pytest.raises(FormatError, match=r"expected names inside the archive, got .*refused"):
            load(samples.zipped(samples.text(), name))

    def test_links(self, load):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            link = zipfile.ZipInfo("vectors.txt")
            link.external_attr = 0o120777 << 16
            archive.writestr(link, "/etc/passwd")
        with pytest.raises(FormatError, match="is a link: refused"):
            load(file.getvalue())

    def test_a_dictionary_of_xz_larger_than_any_preset(self, load):
        filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 30}]
        with pytest.raises(FormatError, match=r"(?i)memory"):
            load(lzma.compress(samples.text(), filters=filters))


class TestNumpy:
    def test_round_trip_of_keys_of_one_type(self, tmp_path):
        for keys in (samples.WORDS, [3, 1, 2, 5, 4], [0.5, 1.5, 2.5, 3.5, 4.5]):
            table = EmbeddingTable(keys, samples.VECTORS)
            table.save(tmp_path / "t.npz", "numpy")
            assert EmbeddingTable.load(tmp_path / "t.npz") == table
            with np.load(tmp_path / "t.npz") as arrays:
                assert arrays["keys"].tolist() == keys
        table.save(tmp_path / "half.npz", "numpy", dtype="float16")
        assert np.array_equal(EmbeddingTable.load(tmp_path / "half.npz").vectors, samples.VECTORS.astype(np.float16))
        assert (tmp_path / "half.npz").stat().st_size < (tmp_path / "t.npz").stat().st_size
        assert list(EmbeddingTable.load(tmp_path / "t.npz", keys=[4.5, 9], limit=5)) == [4.5]

    def test_keys_that_numpy_would_change(self, tmp_path):
        for keys, kind in (
            (["a", 1], TypeError),
            (["a", "b\0"], ValueError),
            ([None, "a"], TypeError),
            ([2**70, 1], TypeError),
        ):
            with pytest.raises(kind, match="safetensors"):
                EmbeddingTable(keys, np.ones((2, 2))).save(tmp_path / "t", "numpy")
        assert list(tmp_path.iterdir()) == []

    def test_a_long_key_does_not_make_all_keys_as_long(self, tmp_path):
        table = EmbeddingTable([*map(str, range(5_000)), "u" * 9_000], np.ones((5_001, 1)))
        with pytest.raises(
            ValueError, match=r"180,036,000 bytes for 5001 keys beside 'uu.*save the table as 'safetensor"
        ):
            table.save(tmp_path / "t.npz")
        table.subset(table.keys[-500:]).save(tmp_path / "t.npz")
        assert EmbeddingTable.load(tmp_path / "t.npz") == table.subset(table.keys[-500:])

    @pytest.mark.parametrize("order", "CF")
    @pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", "<f2"])
    def test_npy_beside_its_keys(self, tmp_path, order, dtype):
        vectors = np.asarray(samples.VECTORS, dtype=dtype, order=order)
        np.save(tmp_path / "v.npy", vectors)
        with pytest.raises(FormatError, match=r"vectors without keys; expected .*v\.keys\.txt"):
            load_table(tmp_path / "v.npy")
        (tmp_path / "v.keys.txt").write_text("\n".join(samples.WORDS) + "\n", encoding="utf-8")
        assert same(load_table(tmp_path / "v.npy"), vectors=np.ascontiguousarray(vectors.astype("<f4")))
        if (order, dtype) == ("C", "<f4"):
            assert isinstance(load_table(tmp_path / "v.npy", mmap=True).vectors, np.memmap)
        else:
            with pytest.raises(ValueError, match="mmap=True needs C-ordered float32"):
                load_table(tmp_path / "v.npy", mmap=True)

    def test_vectors_of_one_component_and_of_none(self, tmp_path):
        table = EmbeddingTable(["a", "b", "c"], [[1.0], [2.0], [4.0]])
        table.save(tmp_path / "one.npz", "numpy")
        assert EmbeddingTable.load(tmp_path / "one.npz") == table
        np.savez(tmp_path / "none.npz", keys=np.array(["a", "b"]), vectors=np.empty((2, 0), np.float32))
        with pytest.raises(FormatError, match=r"expected an array \(n, embedding_dim\) of float, got \(2, 0\)"):
            load_table(tmp_path / "none.npz")

    def test_pickles_inside_are_refused(self, load, tmp_path):
        file = io.BytesIO()
        np.savez(file, keys=np.array(samples.WORDS, dtype=object), vectors=samples.VECTORS)
        with pytest.raises(FormatError, match="arrays of objects are pickles, which are never read"):
            load(file.getvalue())

    @pytest.mark.parametrize("shape", ["(5, 99999999999)", "(5,)", "(-5, 4)", "(5.0, 4)", "5", "(" * 900, "(6, 4)"])
    def test_headers_that_lie(self, load, shape):
        for compressed in (True, False):
            file = io.BytesIO()
            header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}}}".encode()
            raw = b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header + samples.VECTORS.tobytes()
            keys = io.BytesIO()
            np.save(keys, np.array(samples.WORDS))
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED) as archive:
                archive.writestr("keys.npy", keys.getvalue())
                archive.writestr("vectors.npy", raw)
            with pytest.raises(FormatError, match=r"vectors.npy: at byte"):
                load(file.getvalue())


class TestParquet:
    def test_round_trip(self, tmp_path):
        pytest.importorskip("pyarrow")
        for keys in (samples.WORDS, [3, 1, 2, 5, 4], ["a", None, "b", "c", "d"]):
            table = EmbeddingTable(keys, samples.VECTORS)
            table.save(tmp_path / "t", "parquet")
            assert EmbeddingTable.load(tmp_path / "t") == table
        table.save(tmp_path / "t", "parquet", dtype="float16")
        assert np.array_equal(EmbeddingTable.load(tmp_path / "t").vectors, samples.VECTORS.astype(np.float16))

    def test_groups_of_rows(self, tmp_path, monkeypatch):
        parquet = pytest.importorskip("pyarrow.parquet")
        table = EmbeddingTable(samples.WORDS, samples.VECTORS, counts=range(5, 0, -1))
        monkeypatch.setattr("skembed.formats._parquet._GROUP_ROWS", 2)
        table.save(tmp_path / "t", "parquet")
        assert parquet.ParquetFile(tmp_path / "t").num_row_groups == 3
        assert EmbeddingTable.load(tmp_path / "t") == table

    def test_what_pandas_and_pyarrow_write(self, tmp_path):
        pytest.importorskip("pyarrow")
        pytest.importorskip("pandas")
        table = EmbeddingTable(samples.WORDS, samples.VECTORS)
        frame = table.to_frame()
        frame.columns = frame.columns.map(str)
        frame.to_parquet(tmp_path / "wide")
        assert EmbeddingTable.load(tmp_path / "wide") == table
        (tmp_path / "lists").write_bytes(samples.parquet())
        assert EmbeddingTable.load(tmp_path / "lists") == table
        assert list(EmbeddingTable.load(tmp_path / "lists", keys=["of"])) == ["of"]

    def test_limit(self, tmp_path):
        pytest.importorskip("pyarrow")
        (tmp_path / "t").write_bytes(samples.parquet())
        assert same(load_table(tmp_path / "t", limit=2), samples.WORDS[:2], samples.VECTORS[:2])
        table = load_table(tmp_path / "t", limit=2, keys=samples.WORDS[1:])
        assert same(table, samples.WORDS[1:2], samples.VECTORS[1:2])

    def test_it_cannot_be_mapped(self, tmp_path):
        pytest.importorskip("pyarrow")
        (tmp_path / "t").write_bytes(samples.parquet())
        with pytest.raises(ValueError, match="mmap=True cannot be had"):
            load_table(tmp_path / "t", mmap=True)

    @pytest.mark.parametrize("name", ["key", "Keys", "word", "token", "id", "index", "__index_level_0__"])
    def test_keys_are_found_by_the_name_of_their_column(self, name, tmp_path):
        pa = pytest.importorskip("pyarrow")
        import pyarrow.parquet

        columns = {"note": ["x", "y"], "vector": [[1.0], [2.0]], name: ["a", "b"]}
        pyarrow.parquet.write_table(pa.table(columns), tmp_path / "t")
        assert list(load_table(tmp_path / "t")) == ["a", "b"]

    def test_an_index_of_pandas_is_no_key_beside_one_and_no_component(self, tmp_path):
        pd = pytest.importorskip("pandas")
        frame = pd.DataFrame({"word": ["a", "b", "c"], "x": [0.5, 1.5, 2.5], "y": [1.0, 2.0, 3.0]}).iloc[[1, 2, 0]]
        frame.to_parquet(tmp_path / "t")
        expected = EmbeddingTable(["b", "c", "a"], [[1.5, 2.0], [2.5, 3.0], [0.5, 1.0]])
        assert load_table(tmp_path / "t") == expected
        for columns in (["word"], ["word", "id"]):
            lists = (
                frame[["word"]].assign(id=[70, 80, 90])[columns].assign(vector=frame[["x", "y"]].to_numpy().tolist())
            )
            lists.to_parquet(tmp_path / "t")
            assert load_table(tmp_path / "t") == expected
        lists.rename(columns={"word": "city"})[["city", "vector"]].to_parquet(tmp_path / "t")
        with pytest.raises(
            FormatError, match=r"beside one of keys, named 'key'; got .*'city: .*'__index_level_0__: int64'"
        ):
            load_table(tmp_path / "t")
        lists[["vector"]].to_parquet(tmp_path / "t")  # the index alone
        assert load_table(tmp_path / "t").keys.tolist() == [1, 2, 0]

    def test_other_columns(self, tmp_path):
        pa = pytest.importorskip("pyarrow")
        import pyarrow.parquet

        for columns in ({"a": [1]}, {"a": ["x"], "b": ["y"]}, {"k": ["x"], "v": [[1.0]], "w": [[2.0]]}):
            pyarrow.parquet.write_table(pa.table(columns), tmp_path / "t")
            with pytest.raises(FormatError, match="expected a column of keys and one of vectors"):
                load_table(tmp_path / "t")
        for vectors in ([[1.0], None], [[1.0], [2.0, 3.0]], [[1.0], [None]], [[1.0], [float("nan")]]):
            pyarrow.parquet.write_table(pa.table({"key": ["a", "b"], "v": vectors}), tmp_path / "t")
            with pytest.raises(FormatError, match=r"missing|one length|finite"):
                load_table(tmp_path / "t")

    def test_columns_of_one_name_are_refused(self, tmp_path):
        pa = pytest.importorskip("pyarrow")
        columns = [pa.array(["a", "b"]), pa.array([1.0, 2.0]), pa.array([3.0, 4.0])]
        pytest.importorskip("pyarrow.parquet").write_table(
            pa.Table.from_arrays(columns, names=["key", "x", "x"]), tmp_path / "twice"
        )
        with pytest.raises(FormatError, match=r"expected columns of different names, got \['key', 'x', 'x'\]"):
            load_table(tmp_path / "twice")

    def test_without_pyarrow_the_extra_is_named(self, tmp_path, monkeypatch):
        content = samples.parquet()
        monkeypatch.setitem(sys.modules, "pyarrow", None)
        (tmp_path / "t").write_bytes(content)
        with pytest.raises(ImportError, match=r'pip install "skembed\[dataframe\]"'):
            load_table(tmp_path / "t")


class TestRefused:
    @pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
    def test_pickles(self, load, protocol):
        with pytest.raises(
            FormatError, match=r"looks like a pickle; skembed never unpickles.*EmbeddingTable\(keys, vectors\)"
        ):
            load(pickle.dumps({"a": [1.0] * 100}, protocol=protocol))

    def test_the_recipe_for_vectors_of_gensim_works_as_it_stands(self, load, monkeypatch, tmp_path):
        with pytest.raises(FormatError) as raised:
            load(pickle.dumps({"a": [1.0] * 100}))
        recipe = [line.strip() for line in str(raised.value).splitlines() if line.startswith("    ")]
        assert len(recipe) == 2
        vectors = types.SimpleNamespace(index_to_key=["a", "b"], vectors=np.eye(2, dtype=np.float32))  # of gensim 4
        loader = types.SimpleNamespace(load={"words.kv": vectors}.__getitem__)
        gensim = types.SimpleNamespace(models=types.SimpleNamespace(KeyedVectors=loader))
        monkeypatch.chdir(tmp_path)
        exec("\n".join(recipe), {"gensim": gensim, "path": "words.kv", "EmbeddingTable": EmbeddingTable})
        assert load_table("vectors.safetensors") == EmbeddingTable(["a", "b"], [[1, 0], [0, 1]])

    def test_torch_and_joblib(self, load, tmp_path):
        with pytest.raises(
            FormatError, match=r"the pickle 'archive/data.pkl', as .pt files do; skembed never unpickles"
        ):
            load(samples.zipped(b"x" * 100, "archive/data.pkl"))
        joblib = pytest.importorskip("joblib")
        joblib.dump(np.ones(1000), tmp_path / "j", compress=3)
        with pytest.raises(FormatError, match="zlib, as joblib files may be"):
            load_table(tmp_path / "j")

    def test_pipes_and_folders(self, tmp_path):
        os.mkfifo(tmp_path / "pipe")
        for path in (tmp_path, tmp_path / "pipe"):
            with pytest.raises(FormatError, match="folder, a pipe or a device"):
                load_table(path)


@pytest.mark.parametrize("format", ["word2vec-text", "word2vec-binary", "numpy", "safetensors"])
def test_peak_memory_is_little_more_than_the_table(tmp_path, format):
    words = [f"word{i}" for i in range(40_000)]
    EmbeddingTable(words, np.random.default_rng(0).standard_normal((40_000, 100))).save(tmp_path / "t", format)
    load_table(tmp_path / "t", limit=10)  # what is imported is no part of the table
    for options in ({}, {"keys": words[::400]}):
        tracemalloc.start()
        loaded = load_table(tmp_path / "t", **options)
        size, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        if format in ("word2vec-text", "word2vec-binary"):
            assert peak < 1.2 * size + 8e6
            assert size < 1.2 * loaded.vectors.nbytes + 7e6 * len(loaded) / len(words) + 1e6
        else:
            assert peak < 1.2 * size + 24e6


def test_killed_while_saving_text(tmp_path):
    path = tmp_path / "vectors"
    program = (
        "import sys, numpy as np\nfrom skembed import EmbeddingTable\n"
        "tables = [EmbeddingTable([f'w{j}' for j in range(5000)], np.full((5000, 20), i)) for i in range(2)]\n"
        "tables[0].save(sys.argv[1], 'word2vec-text'); print('saving', flush=True)\n"
        "while True:\n    for table in tables: table.save(sys.argv[1], 'word2vec-text')\n"
    )
    random = np.random.default_rng(0)
    for _ in range(3):
        process = subprocess.Popen([sys.executable, "-c", program, path], stdout=subprocess.PIPE)
        assert process.stdout.readline() == b"saving\n"
        time.sleep(random.uniform(0.001, 0.15))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert load_table(path).shape == (5000, 20)
