"""Files and tables that do not fit a format, one by one: what the error says of the file and the place."""

import csv
import io
import re
import struct
import zipfile

import numpy as np
import pytest
import samples

from skembed import EmbeddingTable
from skembed.formats import FormatError, _csv, _errors, _text, load_table
from skembed.formats._open import Seekable
from skembed.formats.hashed_file import HashedFile

RAW = samples.VECTORS.tobytes()
LONG = b"a" * (1 << 16)


def npy(header, body=RAW, version=1):
    raw = header if isinstance(header, bytes) else repr(header).encode()
    return b"\x93NUMPY" + bytes([version, 0]) + len(raw).to_bytes(2 if version == 1 else 4, "little") + raw + body


def array(values):
    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()


def archive(**members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        for name, content in members.items():
            made.writestr(f"{name}.npy", content if isinstance(content, bytes) else array(content))
    return file.getvalue()


def head(**changes):
    return {"descr": "<f4", "fortran_order": False, "shape": (5, 4)} | changes


def vectors_of(header, **more):
    return archive(keys=np.array(samples.WORDS), vectors=npy(header, **more))


def quantised(at, kind, value):
    """A quantised model with another number at an offset of its input matrix."""
    content = bytearray(samples.ftz())
    start = content.index(struct.pack("<B2qi", 1, 8, 4, 16))
    struct.pack_into(kind, content, start + at, value)
    return bytes(content)


def pruned(*pairs):
    own = np.concatenate([samples.VECTORS, samples.NGRAMS[: len(pairs)]])
    return samples.fasttext(own=own, bucket=50, pruned=list(pairs))


PRUNED = "expected 3 pruned n-grams with a bucket and a row each, they have not"
NPZ_KEYS = "expected the arrays 'keys' and 'vectors' in the .npz, it holds"
HEADER = "expected the header of an .npy array of plain numbers or strings, got "
FILES = {
    "fasttext, a word without an end": (
        samples.fasttext([LONG, "b", "c", "d", "e"]),
        "at byte 92: expected a word of at most 65536 bytes and a NUL",
    ),
    "fasttext, cut within its dictionary": (
        samples.fasttext(version=11)[:130],
        r"at byte \d+: expected \d+ bytes of a dictionary|expected entry \d of the dictionary: the file is cut short",
    ),
    "fasttext, a label among the words": (
        samples.fasttext(["a", "b", "c", "d", "e"]).replace(
            b"b\0" + struct.pack("<qb", 1, 0), b"b\0" + struct.pack("<qb", 1, 1)
        ),
        r"at byte 103: expected 5 words \(type 0\) and then labels \(1\), got type 1",
    ),
    "fasttext, more behind": (samples.fasttext() + b"xy", r"at byte \d+: expected the end of the file, 2 bytes follow"),
    "fasttext, an output of other columns": (
        samples.fasttext(output=samples.matrix(np.zeros((5, 3)))),
        r"expected an output matrix of 4 columns, got \(5, 3\)",
    ),
    "fasttext, a flag that is none": (
        samples.fasttext().replace(b"\0" + struct.pack("<2q", 5, 4), b"\2" + struct.pack("<2q", 5, 4), 1),
        r"expected 0 or 1, whether the input matrix is quantised, got 2",
    ),
    "pruned, a row that is not there": (pruned((7, 3), (3, 0), (31, 1)), PRUNED),
    "pruned, a row below zero": (pruned((7, 2), (3, -1), (31, 1)), PRUNED),
    "pruned, a bucket that is not there": (pruned((7, 2), (3, 0), (50, 1)), PRUNED),
    "pruned, a bucket below zero": (pruned((-1, 2), (3, 0), (31, 1)), PRUNED),
    "pruned, a bucket twice": (pruned((7, 2), (3, 0), (7, 1)), PRUNED),
    "quantised, norms that are no flag": (
        quantised(0, "<B", 2),
        "expected whether|expected the head of a quantised matrix, got 2, 8 x 4, 16",
    ),
    "quantised, rows below zero": (
        quantised(1, "<q", -1),
        "expected the head of a quantised matrix, got 1, -1 x 4, 16",
    ),
    "quantised, no columns": (quantised(9, "<q", 0), "expected the head of a quantised matrix, got 1, 8 x 0, 16"),
    "quantised, codes below zero": (
        quantised(17, "<i", -1),
        "expected the head of a quantised matrix, got 1, 8 x 4, -1",
    ),
    "quantised, other rows": (quantised(1, "<q", 7), "expected 7 x 2 codes of a quantised matrix, got 16"),
    "quantiser, other columns": (
        quantised(37, "<i", 5),
        "expected a quantiser of 4 columns, got 2 parts of 3, the last of 1",
    ),
    "quantiser, no parts": (
        quantised(41, "<i", 0),
        "expected a quantiser of 4 columns, got 0 parts of 3, the last of 1",
    ),
    "quantiser, wide last part": (
        quantised(49, "<i", 4),
        "expected a quantiser of 4 columns, got 2 parts of 3, the last of 4",
    ),
    "quantiser, no last part": (
        quantised(49, "<i", 0),
        "expected a quantiser of 4 columns, got 2 parts of 3, the last of 0",
    ),
    "quantiser, wide parts": (
        quantised(45, "<i", 4),
        "expected a quantiser of 4 columns, got 2 parts of 4, the last of 1",
    ),
    "npz, vectors alone": (archive(vectors=samples.VECTORS), NPZ_KEYS + r" \['vectors.npy'\]"),
    "npz, other names": (archive(a=samples.VECTORS, b=samples.VECTORS), NPZ_KEYS + r" \['a.npy', 'b.npy'\]"),
    "npz, more keys": (
        archive(keys=np.array(samples.WORDS[:4]), vectors=samples.VECTORS),
        "as many keys as vectors, got 4 and 5",
    ),
    "npz, fewer counts": (
        archive(keys=np.array(["a", "b"]), vectors=samples.VECTORS[:2], counts=np.array([1])),
        "expected 2 counts of 0 or more, as many as keys, got 1",
    ),
    "npz, counts below zero": (
        archive(keys=np.array(["a", "b"]), vectors=samples.VECTORS[:2], counts=np.array([1, -1])),
        "expected 2 counts of 0 or more, as many as keys, got 2",
    ),
    "npz, counts that are no integers": (
        archive(keys=np.array(["a", "b"]), vectors=samples.VECTORS[:2], counts=np.array([1.0, 2.0])),
        r"counts.npy: at byte 10: expected an array \(n,\) of integers, got \(2,\) of float64",
    ),
    "npz, counts beyond int64": (
        archive(keys=np.array(["a", "b"]), vectors=samples.VECTORS[:2], counts=np.array([1, 2], "<u8")),
        r"expected an array \(n,\) of integers, got \(2,\) of uint64",
    ),
    "npz, keys in rows": (
        archive(keys=np.array([["a"], ["b"]]), vectors=samples.VECTORS[:2]),
        r"keys.npy: at byte 10: expected an array \(n,\) of strings or numbers, got \(2, 1\) of <U1",
    ),
    "npz, vectors of integers": (
        archive(keys=np.array(["a"]), vectors=np.ones((1, 2), int)),
        r"expected an array \(n, embedding_dim\) of float, got \(1, 2\) of int64",
    ),
    "npz, keys that are not UTF-8": (
        archive(keys=np.array([b"a", b"\xff"]), vectors=samples.VECTORS[:2]),
        r"key 1: expected a key in UTF-8, got b'\\xff' .*pass errors='replace'",
    ),
    "npz, beyond float32": (
        archive(keys=np.array(["a", "b"]), vectors=np.array([[1.0], [1e300]])),
        "expected finite numbers that fit float32, got 1e.300 in row 1",
    ),
    "npz, an array that ends early": (
        vectors_of(head(), body=samples.VECTORS.tobytes()[:-1]),
        r"at byte \d+: expected 80 bytes of \(5, 4\) float32, the archive says \d+ in all",
    ),
    "npz, more behind an array": (
        vectors_of(head(), body=samples.VECTORS.tobytes() + b"x"),
        "expected the end of the array, bytes follow",
    ),
    "npz, a cut header": (
        archive(keys=np.array(["a"]), vectors=npy(head())[:30]),
        r"expected the \d+ bytes of an .npy header: the file is cut short",
    ),
    "npz, no array": (
        archive(keys=np.array(["a"]), vectors=b"no array at all"),
        r"at byte 0: expected an .npy array of version 1 to 3, got b'no array'",
    ),
    "npz, version 4": (vectors_of(head(), version=4), "expected an .npy array of version 1 to 3, got b'.x93NUMPY.x04"),
    "npz, a long header": (vectors_of(b" " * 10_001), "at byte 8: expected a header of at most 10000 bytes, got 10001"),
    "npz, a name more in the header": (
        vectors_of(head(more=1)),
        HEADER + "expected 'descr', 'fortran_order' and 'shape'",
    ),
    "npz, a name less in the header": (vectors_of(b"{'descr': '<f4', 'shape': (5, 4)}"), HEADER + "'fortran_order'"),
    "npz, a dtype of fields": (
        vectors_of(head(descr=[("x", "<f4")])),
        HEADER + "expected 'descr', 'fortran_order' and 'shape'",
    ),
    "npz, a dtype of dates": (vectors_of(head(descr="<M8[ns]")), HEADER + "dtype '<M8.ns.'"),
    "npz, an order that is none": (vectors_of(head(fortran_order=1)), HEADER + "dtype '<f4'"),
    "npz, a shape below zero": (vectors_of(head(shape=(5, -4))), HEADER + r"shape \(5, -4\)"),
    "npz, a shape that is a list": (vectors_of(head(shape=[5, 4])), HEADER + r"shape \[5, 4\]"),
    "npz, no columns": (
        vectors_of(head(shape=(5, 0)), body=b""),
        r"expected an array \(n, embedding_dim\) of float, got \(5, 0\)",
    ),
    "zip, compressed otherwise": (
        samples.zipped(samples.text(), method=zipfile.ZIP_LZMA),
        "vectors.txt: expected it stored, deflated or compressed with bzip2; unpack it first",
    ),
    "zip, damaged": (
        samples.zipped(samples.text()).replace(samples.zipped(samples.text())[60:70], b"0123456789"),
        "vectors.txt: at byte 0: expected zip data: ",
    ),
    "tar": (
        b"v.txt" + b"\0" * 252 + b"ustar" + b"\0" * 300,
        "expected vectors in a format that skembed reads, got bytes of none",
    ),
    "UTF-16": (
        "the 1 2\n".encode("utf-16"),
        "at byte 0: expected text in UTF-8, the file looks like UTF-16; convert it first",
    ),
    "HDF5": (
        b"\x89HDF\r\n\x1a\n" + b"\0" * 100,
        r"at byte 0: expected vectors in a format that skembed reads\. The file looks like an HDF5 file",
    ),
    "text, names and no rows": (
        b"2 3\n",
        r"expected at least 13 bytes for the 2 rows of 3 numbers of the header, 0 follow",
    ),
    "text of spaces": (b" \n \n", "at byte 0: expected lines of a key and numbers, got b' .n .n'"),
}


@pytest.mark.parametrize("name", FILES)
def test_files(tmp_path, name):
    content, message = FILES[name]
    (tmp_path / "model").write_bytes(content)
    with pytest.raises(FormatError, match=message) as caught:
        load_table(tmp_path / "model")
    assert str(caught.value).startswith(f"{tmp_path}/model:")
    assert str(caught.value).endswith(".") or "keys and vectors to EmbeddingTable" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (samples.npz(), {"format": "text"}, "expected format 'text', the file is an .npz of numpy"),
        (
            samples.npz(),
            {"mmap": True},
            r"mmap=True cannot be had of .*model: an .npz is an archive.*table\.save\(path\)",
        ),
        (
            b"2 1\na " + bytes(4) + LONG + b" " + bytes(4),
            {"format": "word2vec-binary"},
            "at byte 10: expected a word of at most 65536 bytes and a space",
        ),
        (samples.text(), {"format": "fasttext-bin"}, "expected 25649 bytes of a dictionary|at byte"),
        (
            samples.text(),
            {"format": "numpy"},
            r"model: an .npy holds vectors without keys; expected .* in .*model\.keys\.txt",
        ),
        (samples.text(), {"format": "safetensors"}, "expected the length of a header of at most 65536 bytes"),
        (samples.text(), {"format": "parquet"}, "expected parquet, with its schema at the end: "),
        (samples.parquet()[:4] + b"x" * 50, {}, "expected parquet, with its schema at the end: "),
        (b"\n\n", {"format": "glove"}, "expected lines of a key and numbers, got b'.n.n'"),
        (b"", {"format": "word2vec-binary"}, "expected a header of two integers, the count and the dimension, got b''"),
    ],
)
def test_files_of_other_formats_than_is_said(tmp_path, content, options, message):
    (tmp_path / "model").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        load_table(tmp_path / "model", **options)


@pytest.mark.parametrize("codec", samples.COMPRESSIONS)
def test_the_librarys_own_file_is_not_compressed(tmp_path, codec):
    (tmp_path / "t").write_bytes(samples.COMPRESSIONS[codec](samples.native(tmp_path)))
    with pytest.raises(
        FormatError, match="at byte 0: expected a safetensors file that is not compressed; unpack it fir"
    ):
        load_table(tmp_path / "t")


@pytest.mark.parametrize("size", [79, 81])
def test_an_npy_is_as_long_as_it_says(tmp_path, size):
    (tmp_path / "v.npy").write_bytes(npy(head(), body=(samples.VECTORS.tobytes() + b"x")[:size]))
    (tmp_path / "v.keys.txt").write_text("\n".join(samples.WORDS))
    with pytest.raises(FormatError, match=rf"at byte \d+: expected 80 bytes of \(5, 4\), {size} are there"):
        load_table(tmp_path / "v.npy")


@pytest.mark.parametrize(
    ("content", "keys", "message"),
    [
        (samples.VECTORS, b"the\r\nof\nK\n\xff\nx\n", r"v.keys.txt: in line 4: expected a key in UTF-8, got b'.xff'"),
        (samples.VECTORS, b"the\nof", "expected as many keys as vectors, got 2 and 5"),
        (samples.VECTORS, b"", "expected as many keys as vectors, got 0 and 5"),
        (samples.VECTORS * [1, np.nan, 1, 1], b"a\nb\nc\nd\ne", r"at byte 136: expected finite.*got nan \(key 'a'\)"),
        (np.asfortranarray(samples.VECTORS), b"a\nb\nc\nd\ne\n", None),
        (samples.VECTORS, b"a\r\nb\r\nc\r\nd\r\ne\r\n", None),
        (samples.VECTORS, b"\xef\xbb\xbfa\nb\nc\nd\ne\n", None),
        (samples.VECTORS[:0], b"", None),
    ],
)
def test_keys_beside_an_npy(tmp_path, content, keys, message):
    np.save(tmp_path / "v.npy", content)
    (tmp_path / "v.keys.txt").write_bytes(keys)
    if message is None:
        table = load_table(tmp_path / "v.npy")
        assert table.keys.tolist() == list("abcde")[: len(content)]
        assert table.vectors.tolist() == content.tolist()
    else:
        with pytest.raises(FormatError, match=message):
            load_table(tmp_path / "v.npy")


@pytest.mark.parametrize("content", [b"\na 1 2\n", b"\n\n \na 1 2\n\nb 3 4\n\n\n\n\n", b"\r\na 1 2\r\n"])
@pytest.mark.parametrize("format", ["auto", "glove"])
def test_blank_lines_before_and_between_rows_are_none(tmp_path, content, format):
    (tmp_path / "t").write_bytes(content)
    table = load_table(tmp_path / "t", format=format)
    assert table == EmbeddingTable(["a", "b"], [[1, 2], [3, 4]]).subset(["a", "b"][: content.count(b"b") + 1])


def test_lines_that_never_end(tmp_path, monkeypatch):
    monkeypatch.setattr(_text, "_MAX_LINE", 90)
    monkeypatch.setattr(_text, "_BLOCK", 64)
    (tmp_path / "t").write_bytes(b"a 1\n" * 30 + b"b" * 200 + b" 1\n")
    with pytest.raises(FormatError, match="at byte 120: expected lines of at most 90 bytes"):
        load_table(tmp_path / "t", format="glove")
    monkeypatch.setattr(_csv, "_MAX_LINE", 90)
    (tmp_path / "t").write_bytes(b"a,1\n" * 3 + b"b" * 89 + b"\n")
    with pytest.raises(FormatError, match="in line 4: expected 2 fields, found 1"):
        load_table(tmp_path / "t", format="csv")
    (tmp_path / "t").write_bytes(b"a,1\n" * 3 + b"b" * 90 + b",1\n")
    with pytest.raises(FormatError, match="expected lines of at most 90 characters"):
        load_table(tmp_path / "t", format="csv")


def test_what_pythons_csv_does_not_read_is_no_csv():
    before = csv.field_size_limit(8)
    try:
        assert _csv.looks_like_csv(b"eightchr,1\n")
        assert not _csv.looks_like_csv(b"ninechars,1\n")
    finally:
        csv.field_size_limit(before)


class Shrinking(io.BytesIO):
    """A file of which the second half is gone when it is read."""

    def read(self, size=-1):
        return super().read(size)[: size // 2]

    def readinto(self, buffer):
        return super().readinto(buffer) // 2

    def fileno(self):
        return 0


def test_files_that_shrink_while_they_are_read():
    file = Seekable("v", Shrinking(bytes(100)), 100)
    with pytest.raises(FormatError, match="v: at byte 10: expected 8 bytes of a header; the file shrank while it was"):
        file.bytes(10, 8, "a header")
    with pytest.raises(FormatError, match="v: at byte 12: expected 16 bytes of a matrix; the file shrank while it was"):
        file.array(12, "<f4", (2, 2), "a matrix")
    held = HashedFile(Shrinking(bytes(100)), "v", max_header=100)
    with pytest.raises(FormatError, match="v: at byte 12: expected 16 bytes; the file shrank while it was read"):
        held.tensor(12, np.dtype("<f4"), (2, 2), False)


def test_what_is_left_of_a_file_is_said():
    file = Seekable("v", io.BytesIO(bytes(100)), 100)
    assert file.bytes(90, 10, "a header") == bytes(10)
    assert file.array(100, "<f4", (0, 4), "a matrix", mapped=True).shape == (0, 4)
    for offset, size, left in ((90, 11, 10), (101, 0, 0), (0, -1, 100)):
        with pytest.raises(
            FormatError, match=f"v: at byte {offset}: expected {size} bytes of a header, {left} are left"
        ):
            file.bytes(offset, size, "a header")


def test_each_kind_of_foreign_file_is_named():
    for start, kind in _errors._FOREIGN.items():
        hint = _errors.foreign_hint(start + b"more")
        assert f" The file looks like {kind}; skembed never unpickles and guesses no format." in hint
        assert hint.endswith("EmbeddingTable(keys, vectors).") or start == b"\x80"
        assert ("gensim" in hint) == (start == b"\x80")
    assert _errors.foreign_hint(b"the 1 2\n") == ""
    assert {"gzip", "bzip2", "xz"} < set(re.findall(r"compressed with (\w+)", " ".join(_errors._FOREIGN.values())))


PLAIN = EmbeddingTable(samples.WORDS, samples.VECTORS)


@pytest.mark.parametrize(
    ("table", "arguments", "error", "message"),
    [
        (
            PLAIN,
            {"format": "safetensors", "compression": "gzip"},
            TypeError,
            r"takes no options, got \['compression'\]",
        ),
        (
            PLAIN,
            {"dtype": "float16"},
            TypeError,
            r"format='safetensors' takes no options, got \['compression', 'dtype'\]|'dtype'",
        ),
        (
            PLAIN,
            {"format": "numpy", "dtype": "float64"},
            ValueError,
            "dtype must be 'float32' or 'float16', got 'float64'",
        ),
        (PLAIN, {"format": "parquet", "dtype": "f2"}, ValueError, "dtype must be 'float32' or 'float16', got 'f2'"),
        (
            PLAIN,
            {"format": "glove", "counts": []},
            TypeError,
            r"format='glove' takes the options \[\], got \['counts'\]",
        ),
        (
            PLAIN,
            {"format": "fasttext-bin", "dtype": 1},
            TypeError,
            r"takes the options \['counts', 'output', 'settings'\], got \['dtype'\]",
        ),
        (
            PLAIN,
            {"format": "fasttext-bin", "settings": {"dim": 4, "more": 1}},
            ValueError,
            r"settings must be of \['epoch', .*'ws'\], got \['dim', 'more'\]",
        ),
        (
            PLAIN,
            {"format": "fasttext-bin", "output": np.ones((5, 3))},
            ValueError,
            r"output must have shape \(5, 4\), got \(5, 3\)",
        ),
        (
            PLAIN,
            {"format": "fasttext-bin", "counts": [1, 2]},
            ValueError,
            r"counts must be 5 integers of 0 or more, got int64 of shape \(2,\)",
        ),
        (
            EmbeddingTable([""], [[1]]),
            {"format": "fasttext-bin"},
            ValueError,
            r"keys without NUL, and not empty, got b'' \(row 0\)",
        ),
        (
            EmbeddingTable(["a", 7], np.eye(2)),
            {"format": "fasttext-bin"},
            TypeError,
            r"must be strings, got 7 of type int \(row 1\)",
        ),
        (
            EmbeddingTable(["a", 7], np.eye(2)),
            {"format": "parquet"},
            TypeError,
            r"keys in parquet must be of one type .*'safetensors', or with other keys",
        ),
        (
            EmbeddingTable(["a", 7], np.eye(2)),
            {"format": "numpy"},
            TypeError,
            r"all strings, integers, floats or booleans, got \['int', 'str'\]",
        ),
        (
            EmbeddingTable([1, 2.5], np.eye(2)),
            {"format": "numpy"},
            TypeError,
            r"all strings, integers, floats or booleans, got \['float', 'int'\]",
        ),
        (
            EmbeddingTable([b"a"], [[1]]),
            {"format": "numpy"},
            TypeError,
            r"all strings, integers, floats or booleans, got \['bytes'\]",
        ),
        (
            EmbeddingTable(["a" * 10_001], [[1]]),
            {"format": "numpy"},
            ValueError,
            "cannot hold the key 'a{40}': one of more than 10000 characters",
        ),
        (
            EmbeddingTable(["a\0"], [[1]]),
            {"format": "numpy"},
            ValueError,
            r"cannot hold the key 'a\\x00': .* or that ends with NUL",
        ),
        (
            EmbeddingTable([2**70], [[1]]),
            {"format": "numpy"},
            TypeError,
            "must fit 64 bits; save the table as 'safetensors'",
        ),
        (
            EmbeddingTable([], np.empty((0, 2))),
            {"format": "csv"},
            ValueError,
            "format='csv' cannot hold a table without keys; save it as",
        ),
        (
            EmbeddingTable(["a b"], [[1]]),
            {"format": "word2vec-binary"},
            ValueError,
            r"needs keys without any of b' \\n', and not empty, got 'a b' \(row 0\)",
        ),
        (
            EmbeddingTable(["c", "a  b"], np.eye(2)),
            {"format": "glove"},
            ValueError,
            r"needs keys with single spaces inside only, got 'a  b' \(row 1\)|got 'a  b' \(row 1\)",
        ),
        (
            EmbeddingTable(["\ud800"], [[1]]),
            {"format": "fasttext-vec"},
            ValueError,
            r"needs keys of characters that UTF-8 has, got '\\ud800' \(row 0\)",
        ),
    ],
)
def test_tables_that_a_format_cannot_hold(tmp_path, table, arguments, error, message):
    with pytest.raises(error, match=message):
        table.save(tmp_path / "t", **arguments)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("format", ["numpy", "parquet"])
def test_a_key_of_the_largest_width(tmp_path, format):
    table = EmbeddingTable(["a" * 10_000, "\0b"], np.eye(2))
    table.save(tmp_path / "t", format)
    assert load_table(tmp_path / "t") == table


def test_a_member_that_is_shorter_than_its_archive_says(tmp_path):
    raw = archive(keys=np.array(["a"]), vectors=npy(head(), body=RAW[:-4]))
    directory = raw.index(b"PK\x01\x02", raw.index(b"PK\x01\x02") + 1)  # the entry of the second member
    size = int.from_bytes(raw[directory + 24 : directory + 28], "little")
    raw = raw[: directory + 24] + (size + 4).to_bytes(4, "little") + raw[directory + 28 :]
    (tmp_path / "t").write_bytes(raw)
    with pytest.raises(
        FormatError, match=r"vectors.npy: at byte \d+: expected (80 bytes of an array, 76 are there|zip data)"
    ):
        load_table(tmp_path / "t")


class TestParquet:
    def write(self, tmp_path, columns, **options):
        pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
        parquet.write_table(pa.table(columns), tmp_path / "t", **options)

    @pytest.mark.parametrize(
        ("columns", "message"),
        [
            ({"key": [], "x": []}, "expected rows of a key and a vector, there are none|expected a column of keys"),
            ({"key": ["a"], "count": [-1], "x": [1.0]}, "expected counts of 0 or more in the column 'count'"),
            (
                {"key": ["a", "b"], "count": [1, None], "x": [1.0, 2.0]},
                "expected counts of 0 or more in the column 'count'",
            ),
            (
                {"key": ["a"], "count": np.array([2**63], "u8"), "x": [1.0]},
                "expected counts of 0 or more in the column",
            ),
            ({"key": ["a", "b"], "x": [1.0, None]}, "expected a vector in each row, some are missing"),
            ({"key": ["a", "b"], "x": [[1.0], None]}, "expected a vector in each row, some are missing"),
            (
                {"key": ["a", "b"], "x": [[1.0], [1.0, 2.0]]},
                "expected vectors of one length and without missing numbers",
            ),
            ({"key": ["a", "b"], "x": [[1.0], [None]]}, "expected vectors of one length and without missing numbers"),
            ({"key": ["a"], "x": [np.array([], "f4")]}, "expected vectors of one length and without missing numbers"),
            ({"key": ["a", "b"], "x": [1.0, np.inf]}, r"expected finite numbers that fit float32, got inf \(key 'b'\)"),
        ],
    )
    def test_columns_that_do_not_fit(self, tmp_path, columns, message):
        self.write(tmp_path, columns)
        with pytest.raises(FormatError, match=message):
            load_table(tmp_path / "t")

    def test_no_rows_and_lengths_that_change_between_batches(self, tmp_path, monkeypatch):
        pa = pytest.importorskip("pyarrow")
        self.write(tmp_path, {"key": pa.array([], pa.string()), "x": pa.array([], pa.float32())})
        with pytest.raises(FormatError, match="expected rows of a key and a vector, there are none"):
            load_table(tmp_path / "t")
        monkeypatch.setattr("skembed.formats._parquet._BATCH_ROWS", 1)
        self.write(tmp_path, {"key": ["a", "b"], "x": [[1.0], [1.0, 2.0]]})
        with pytest.raises(FormatError, match="expected vectors of one length, got 1 and 2"):
            load_table(tmp_path / "t")

    @pytest.mark.parametrize(
        ("columns", "keys", "counts"),
        [
            ({"key": [3, 1], "x": [1.0, 2.0], "y": [3.0, 4.0]}, [3, 1], None),
            ({"x": [1.0, 2.0], "Word": [2.5, 1.5], "y": [3.0, 4.0]}, [2.5, 1.5], None),
            ({"x": [1.0, 2.0], "name": ["a", None], "y": [3.0, 4.0]}, ["a", None], None),
            ({"v": [[1.0, 3.0], [2.0, 4.0]], "k": [7, 8]}, [7, 8], None),
            ({"key": ["a", "b"], "Counts": [5, 0], "v": [[1.0, 3.0], [2.0, 4.0]]}, ["a", "b"], [5, 0]),
            ({"key": ["a", "b"], "count": np.array([5, 2], "u2"), "v": [[1, 3], [2, 4]]}, ["a", "b"], [5, 2]),
            ({"key": [b"a", b"b"], "v": [[1.0, 3.0], [2.0, 4.0]]}, [b"a", b"b"], None),
            ({"key": [True, False], "v": [[1.0, 3.0], [2.0, 4.0]]}, [True, False], None),
        ],
    )
    def test_columns_are_told_apart_by_name_and_type(self, tmp_path, columns, keys, counts):
        self.write(tmp_path, columns)
        expected = EmbeddingTable(keys, [[1, 3], [2, 4]], counts=counts)
        assert load_table(tmp_path / "t") == expected

    def test_categories_are_keys(self, tmp_path):
        pa = pytest.importorskip("pyarrow")
        self.write(tmp_path, {"key": pa.array(["b", "a", None]).dictionary_encode(), "x": [1.0, 2.0, 3.0]})
        assert load_table(tmp_path / "t") == EmbeddingTable(["b", "a", None], [[1], [2], [3]])

    def test_keys_that_are_not_utf8(self, tmp_path):
        pa = pytest.importorskip("pyarrow")
        broken = pa.array([b"a", None, b"\xff"]).cast(pa.binary()).view(pa.string())
        self.write(tmp_path, {"key": broken, "x": [1.0, 2.0, 3.0]})
        with pytest.raises(FormatError):
            load_table(tmp_path / "t")

    def test_damages_are_found_by_checksums(self, tmp_path):
        EmbeddingTable([f"k{i}" for i in range(200)], np.ones((200, 3))).save(tmp_path / "t", "parquet")
        raw = (tmp_path / "t").read_bytes()
        at = raw.index(np.ones(20, "<f4").tobytes()) + 10
        (tmp_path / "t").write_bytes(raw[:at] + b"\0" + raw[at + 1 :])
        with pytest.raises(FormatError, match=r"expected parquet, in its pages: .*(?i:crc|checksum)"):
            load_table(tmp_path / "t")

    def test_a_file_that_comes_out_far_larger_is_refused(self, tmp_path, monkeypatch):
        monkeypatch.setattr("skembed.data.compression.FREE_BYTES", 1 << 10)
        self.write(tmp_path, {"key": ["a"] * 100_000, "x": np.zeros(100_000)}, use_dictionary=False, compression="zstd")
        with pytest.raises(
            FormatError, match=r"\d{6,} bytes come out of \d{3,4}, more than 100 times as many: refused as a"
        ):
            load_table(tmp_path / "t")
        with pytest.warns(UserWarning, match="99999 rows repeat"):
            assert len(load_table(tmp_path / "t", max_expansion=10_000)) == 1
