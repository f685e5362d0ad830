"""Writers of each format: the very bytes of a small table, and what the end of a file's name says."""

import bz2
import datetime
import gzip
import itertools
import lzma
import re

import numpy as np
import pytest
import samples

from skembed import EmbeddingTable
from skembed.formats import FormatError, load_table

KEYS, VECTORS = ["the", "Köln", "日本"], np.float32([[0.5, -2.25], [1e-5, 3.0], [0.1, -0.0]])
TABLE = EmbeddingTable(KEYS, VECTORS, counts=[7, 0, 30])
TEXT = "the 0.5 -2.25\nKöln 9.99999975e-06 3\n日本 0.100000001 -0\n"
BYTES = {
    "word2vec-text": f"3 2\n{TEXT}".encode(),
    "fasttext-vec": f"3 2\n{TEXT}".replace("25\n", "25 \n")
    .replace("3\n日", "3 \n日")
    .replace("-0\n", "-0 \n")
    .encode(),
    "glove": TEXT.encode(),
    "word2vec-binary": b"3 2\n"
    + b"".join(k.encode() + b" " + v.astype("<f4").tobytes() for k, v in zip(KEYS, VECTORS)),
    "csv": "key,count,0,1\nthe,7,0.5,-2.25\nKöln,0,9.99999975e-06,3\n日本,30,0.100000001,-0\n".encode(),
}
SUFFIXES = {
    ".txt": ("word2vec-text", "glove", "fasttext-vec"),
    ".vec": ("fasttext-vec", "word2vec-text"),
    ".bin": ("word2vec-binary", "fasttext-bin"),
    ".npz": ("numpy",),
    ".parquet": ("parquet",),
    ".csv": ("csv",),
    ".safetensors": ("safetensors",),
    ".skembed": ("safetensors",),
    "": None,
    ".other": None,
}
PACKED = {"": None, ".gz": "gzip", ".bz2": "bz2", ".xz": "xz"}
UNPACK = {None: bytes, "gzip": gzip.decompress, "bz2": bz2.decompress, "xz": lzma.decompress}
FORMATS = [
    "safetensors",
    "word2vec-text",
    "word2vec-binary",
    "glove",
    "fasttext-vec",
    "fasttext-bin",
    "numpy",
    "parquet",
    "csv",
]


@pytest.mark.parametrize("format", BYTES)
@pytest.mark.parametrize("compression", [None, "gzip", "bz2", "xz"])
def test_each_byte(tmp_path, format, compression):
    TABLE.save(tmp_path / "t", format, compression=compression)
    raw = (tmp_path / "t").read_bytes()
    assert UNPACK[compression](raw) == BYTES[format]
    assert (raw == BYTES[format]) == (compression is None)
    TABLE.save(tmp_path / "again", format, compression=compression)
    assert (tmp_path / "again").read_bytes() == raw  # no time and no name in it


def test_each_array_of_an_npz(tmp_path):
    for dtype in ("float32", "float16"):
        TABLE.save(tmp_path / "t.npz", dtype=dtype)
        with np.load(tmp_path / "t.npz") as arrays:
            assert set(arrays) == {"keys", "vectors", "counts"}
            assert arrays["keys"].tolist() == KEYS
            assert arrays["vectors"].dtype == dtype
            assert arrays["vectors"].tolist() == VECTORS.astype(dtype).tolist()
            assert arrays["counts"].tolist() == [7, 0, 30]
    EmbeddingTable(KEYS, VECTORS).save(tmp_path / "t.npz")
    with np.load(tmp_path / "t.npz") as arrays:
        assert set(arrays) == {"keys", "vectors"}
        assert arrays["vectors"].dtype == np.float32


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("counts", [None, [7, 0, 30]])
def test_each_column_of_a_parquet(tmp_path, dtype, counts):
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    EmbeddingTable(KEYS, VECTORS, counts=counts).save(tmp_path / "t.parquet", dtype=dtype)
    found = parquet.read_table(tmp_path / "t.parquet")
    assert found.column_names == ["key", "vector", *([] if counts is None else ["count"])]
    assert found.schema.field("vector").type == pa.list_(pa.float32() if dtype == "float32" else pa.float16(), 2)
    assert found.column("key").to_pylist() == KEYS
    assert found.column("vector").to_pylist() == VECTORS.astype(dtype).tolist()
    if counts is not None:
        assert found.schema.field("count").type == pa.int64()
        assert found.column("count").to_pylist() == counts


def promised(name, format, compression):
    """Format and compression that a name and what is asked for lead to; None where they do not fit."""
    base, end = (name, "") if not name.endswith(tuple(filter(None, PACKED))) else name.rsplit(".", 1)
    packed = PACKED["." + end if end else ""]
    if compression == "auto":
        compression = packed
    suffix = "." + base.rsplit(".", 1)[1] if "." in base else ""
    fitting = SUFFIXES[suffix]
    if format is None:
        if fitting and len(fitting) == 1 and (fitting != ("safetensors",) or not packed):
            format = fitting[0]
        elif suffix or packed:
            return None
        else:
            format = "safetensors"
    if (packed and packed != compression) or (fitting and format not in fitting):
        return None
    whole = format in ("safetensors", "numpy", "parquet")
    return None if whole and compression else (format, compression)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_names_formats_and_compressions(tmp_path, suffix):
    for end, format, compression in itertools.product(PACKED, [None, *FORMATS], ["auto", None, "gzip", "bz2", "xz"]):
        path = tmp_path / f"a table{suffix}{end}"
        expected = promised(path.name, format, compression)
        what = f"{path.name} {format} {compression}: {expected}"
        if expected is None:
            with pytest.raises((ValueError, TypeError)):
                TABLE.save(path, format, compression=compression)
            assert not path.exists(), what
            continue
        TABLE.save(path, format, compression=compression)
        raw = UNPACK[expected[1]](path.read_bytes())
        path.write_bytes(raw)
        assert load_table(path, format=expected[0]) == (
            TABLE
            if expected[0] in ("safetensors", "numpy", "parquet", "csv", "fasttext-bin")
            else EmbeddingTable(KEYS, VECTORS)
        ), what
        path.unlink()


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        (
            "v.1.pkl",
            {},
            "format must be named for a file that ends in '.pkl': pass format='safetensors' or 'word2vec-t",
        ),
        (
            "a.b.vec.gz",
            {},
            "ends in '.vec.gz': pass format='fasttext-vec' or 'word2vec-text', or let the name end in '.sa",
        ),
        ("v.gz", {}, "format must be named for a file that ends in '.gz'"),
        ("a.V.XZ", {}, "format must be named for a file that ends in '.V.XZ'"),
        (
            "v.csv.gz",
            {"format": "glove"},
            "path ends in '.csv.gz', as files of format 'csv' do, and format='glove' would",
        ),
        (
            "x.csv",
            {"format": "numpy"},
            "path ends in '.csv', as files of format 'csv' do, .* pass another name, got 'x.csv'",
        ),
        (
            "v.txt.GZ",
            {"format": "glove", "compression": "xz"},
            "ends in '.GZ', and compression='xz' would write something e",
        ),
        ("v", {"format": "numpy", "compression": "xz"}, "format='numpy' is not compressed as a whole"),
        (
            "v",
            {"format": "pickle"},
            "format must be one of 'safetensors', 'word2vec-text', .*'csv' or None, got 'pickle'",
        ),
        (
            "v",
            {"format": "csv", "compression": "zip"},
            "compression must be one of 'auto', 'gzip', 'bz2', 'xz' or None, got",
        ),
    ],
)
def test_names_that_are_refused(tmp_path, name, arguments, message):
    with pytest.raises(ValueError, match=message):
        TABLE.save(tmp_path / name, **arguments)
    assert list(tmp_path.iterdir()) == []


def test_a_table_is_written_through_a_link_and_over_what_is_there(tmp_path):
    (tmp_path / "link.csv").symlink_to(tmp_path / "real.csv")
    (tmp_path / "real.csv").write_text("old")
    TABLE.save(tmp_path / "link.csv")
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "real.csv").read_bytes() == BYTES["csv"]


@pytest.mark.parametrize("format", FORMATS[1:])
def test_the_vector_of_unknown_keys_is_kept_by_one_format_alone(tmp_path, format):
    table = EmbeddingTable(KEYS, VECTORS, unknown=[1, 2], metric="dot")
    with pytest.warns(
        UserWarning, match=re.escape(f"format={format!r} has no place for the vector of unknown keys")
    ) as w:
        table.save(tmp_path / "t", format)
    assert w[0].filename == __file__ or w[0].filename.endswith("embedding_table.py")
    loaded = load_table(tmp_path / "t", format=format)
    assert loaded.unknown is None
    assert loaded.metric == "cosine"
    assert loaded.vectors.tolist() == VECTORS.tolist()


class TestFastText:
    def test_the_output_matrix_is_written(self, tmp_path):
        from skembed.formats._fasttext import open_model
        from skembed.formats._open import Seekable

        output = np.arange(6, dtype=np.float64).reshape(3, 2)
        for given, expected in (({"output": output}, output), ({}, np.zeros((3, 2)))):
            TABLE.save(tmp_path / "t", "fasttext-bin", **given)
            with open(tmp_path / "t", "rb") as file:
                model = open_model(Seekable("t", file, (tmp_path / "t").stat().st_size))
                assert model.output.shape == (3, 2)
                assert model.output.rows(0, 3, False).tolist() == expected.tolist()
                assert model.output.rows(1, 3, False).tolist() == expected[1:].tolist()
                assert model.input.rows(0, 3, True).tolist() == VECTORS.tolist()
                assert model.dictionary.counts.tolist() == [7, 0, 30]

    def test_counts_are_those_given_those_of_the_table_or_one(self, tmp_path):
        for table, given, expected in (
            (TABLE, {"counts": [4, 5, 6]}, [4, 5, 6]),
            (TABLE, {}, [7, 0, 30]),
            (EmbeddingTable(KEYS, VECTORS), {}, [1, 1, 1]),
        ):
            table.save(tmp_path / "t", "fasttext-bin", **given)
            assert load_table(tmp_path / "t").counts.tolist() == expected
            raw = (tmp_path / "t").read_bytes()
            assert int.from_bytes(raw[76:84], "little") == sum(expected)  # of all tokens


def test_binaries_that_look_like_text_are_told_apart(tmp_path):
    number = np.frombuffer(b"abcd" * 3, "<f4")  # of letters alone
    for words, vectors in ((["x"], number[None]), (["x", "y"], np.stack([number, number]))):
        (tmp_path / "t").write_bytes(samples.word2vec_binary(words, vectors))
        table = load_table(tmp_path / "t")
        assert table.keys.tolist() == words
        assert table.vectors.tolist() == vectors.tolist()
    (tmp_path / "t").write_bytes(b"2 3\nx 1 2\ny 1 2 3\n")  # one number is missing: it is text
    with pytest.raises(FormatError, match="at byte 4: expected a key and 3 numbers, found 3 fields: b'x 1 2'"):
        load_table(tmp_path / "t")


@pytest.mark.parametrize(
    ("format", "keys", "vectors"),
    [
        ("glove", ["\ufeffUlm", "Bern"], VECTORS[:2]),  # a byte order mark is no part of a key
        ("glove", ["Route 66", "Area 51", "Ulm"], VECTORS),  # most keys end in a number
        ("glove", ["BZh", "Ulm"], VECTORS[:2]),  # as files of bzip2 begin
    ],
)
def test_what_would_be_read_as_other_keys_is_refused(tmp_path, format, keys, vectors):
    path = tmp_path / "t.txt"
    TABLE.save(path, format)
    with pytest.raises(ValueError, match=rf"format='{format}' cannot hold this table: its first rows, with keys such"):
        EmbeddingTable(keys, vectors).save(path, format)
    assert load_table(path).keys.tolist() == KEYS


@pytest.mark.parametrize(
    ("format", "keys", "vectors"),
    [
        ("glove", ["2", "x", "y"], [[1], [5], [6]]),  # two keys of one number, by the look of it
        ("glove", ["PAR1", "Ulm"], VECTORS[:2]),
        ("glove", ["\x1b", "Ulm"], VECTORS[:2]),
        ("csv", ["\x1b", "Ulm"], VECTORS[:2]),
    ],
)
@pytest.mark.parametrize("compression", [None, "gzip"])
def test_what_looks_like_another_format_is_told_of(tmp_path, format, keys, vectors, compression):
    table = EmbeddingTable(keys, vectors)
    with pytest.warns(UserWarning, match=rf"look like those of another format.*load\(path, format='{format}'\)"):
        table.save(tmp_path / "t", format, compression=compression)
    assert load_table(tmp_path / "t", format=format) == table


def test_numbers_that_are_not_finite_look_like_what_they_are(tmp_path):
    (tmp_path / "t").write_text("Ulm inf 1\nBern 2 nan\n")
    table = load_table(tmp_path / "t", allow_nonfinite=True)
    for format in ("glove", "csv", "word2vec-text", "word2vec-binary"):
        table.save(tmp_path / "again", format)
        assert load_table(tmp_path / "again", allow_nonfinite=True) == table


def test_only_as_many_rows_decide_as_a_reader_looks_at(tmp_path):
    keys = [f"city{i}" for i in range(1_000)] + [f"Route {i}" for i in range(5_000)]
    table = EmbeddingTable(keys, np.arange(12_000.0).reshape(6_000, 2))
    table.save(tmp_path / "t", "glove")
    assert load_table(tmp_path / "t") == table


def test_any_line_end_in_a_key_of_csv(tmp_path):
    keys = ["a\rb", "\r", "c\r\nd", "e\nf", 'g"\r,']
    table = EmbeddingTable(keys, np.arange(10.0).reshape(5, 2), counts=range(5))
    table.save(tmp_path / "t.csv")
    assert load_table(tmp_path / "t.csv") == table


@pytest.mark.parametrize("format", ["word2vec-binary", "fasttext-bin"])
def test_keys_of_binary_files_are_no_longer_than_readers_look(tmp_path, format):
    EmbeddingTable(["Ulm", "x" * 65_535], VECTORS[:2]).save(tmp_path / "t", format)
    assert load_table(tmp_path / "t").keys.tolist() == ["Ulm", "x" * 65_535]
    table = EmbeddingTable(["Ulm", "x" * 65_536], VECTORS[:2])
    with pytest.raises(ValueError, match=r"keys of less than 65536 bytes, got 'xxxx.*\(row 1\)") as caught:
        table.save(tmp_path / "t", format)
    assert "or without such keys: table.subset([key for key in table if len(key.encode()) < 65536])" in str(
        caught.value
    )
    table.subset([key for key in table if len(key.encode()) < 65536]).save(tmp_path / "t", format)
    assert load_table(tmp_path / "t").keys.tolist() == ["Ulm"]


@pytest.mark.parametrize("suffix", ["npz", "parquet"])
def test_numbers_beyond_half_precision_are_refused(tmp_path, suffix):
    table = EmbeddingTable(KEYS, np.float32([[65_519, 1], [0, -1e-9], [2, 65_520]]))
    table.subset(KEYS[:2]).save(tmp_path / f"t.{suffix}", dtype="float16")
    with pytest.raises(ValueError, match=r"float16' ends at 65504, and the vector of '日本' holds 65520; leave dtype"):
        table.save(tmp_path / f"t.{suffix}", dtype="float16")
    assert len(load_table(tmp_path / f"t.{suffix}")) == 2


@pytest.mark.parametrize("keys", [[2**63 + 5, 1], [2**64 - 1, 0, 2**53 + 1], [2**53 + 1, -(2**62)], [2**63, 2**63 + 1]])
def test_whole_numbers_of_64_bits_stay_what_they_are(tmp_path, keys):
    table = EmbeddingTable(keys, np.eye(len(keys)))
    table.save(tmp_path / "t.npz")
    assert load_table(tmp_path / "t.npz") == table


@pytest.mark.parametrize(
    ("format", "keys", "message"),
    [
        ("numpy", [2**63 + 5, -1], "keys in a numpy file must fit 64 bits"),
        ("numpy", [2**64, 1], "keys in a numpy file must fit 64 bits"),
        ("parquet", ["a", b"b"], r"keys in parquet must be of one type that it has: 'a' would be read as b'a'; save"),
        (
            "parquet",
            [datetime.datetime(2024, 1, 1), datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)],
            "would be read as",
        ),
        ("parquet", [(1, 2), (3, 4)], r"\(1, 2\) would be read as \[1, 2\]; save the table as 'safetensors'"),
    ],
)
def test_keys_that_would_be_others_are_refused(tmp_path, format, keys, message):
    if format == "parquet":
        pytest.importorskip("pyarrow")
    with pytest.raises(TypeError, match=message):
        EmbeddingTable(keys, np.eye(len(keys))).save(tmp_path / "t", format)
    assert list(tmp_path.iterdir()) == []
