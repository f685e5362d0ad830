"""Compressed text files: what comes out of them is bounded, and damage is told from text."""

import bz2
import gzip
import io
import lzma
import re
import zipfile

import numpy as np
import pytest

from skembed.compare._read import InputError, read_table
from skembed.data.compression import find_compression, most_bytes, text_lines
from skembed.inspection import evaluate_similarity
from skembed.table import EmbeddingTable
from skembed.text import LineCorpus

COMPRESS = {"gzip": gzip.compress, "bzip2": bz2.compress, "xz": lzma.compress}
each_codec = pytest.mark.parametrize("codec", COMPRESS)


@pytest.fixture
def small_limit(monkeypatch):
    """A thousand bytes may come out of any file, as 64 MB may otherwise."""
    monkeypatch.setattr("skembed.data.compression.FREE_BYTES", 1000)


@pytest.fixture
def compressed(tmp_path):
    def compressed(codec, content):
        path = tmp_path / "compressed"
        path.write_bytes(COMPRESS[codec](content))
        return path

    return compressed


def test_bytes_that_are_no_text_are_an_error_unless_another_way_is_asked_for(tmp_path):
    path = tmp_path / "latin"
    path.write_bytes("né\n".encode("latin-1"))
    with pytest.raises(UnicodeDecodeError):
        list(text_lines(path, encoding="utf-8"))
    assert list(text_lines(path, encoding="utf-8", errors="replace")) == ["n\ufffd\n"]


@each_codec
class TestBombs:
    def test_a_line_that_never_ends_is_refused(self, codec, compressed, small_limit):
        path = compressed(codec, b"cat dog 1\n" + b"a" * (1 << 20))
        lines = iter(LineCorpus(path))
        assert next(lines) == "cat dog 1"
        with pytest.raises(ValueError, match=f"line of more than .* of {codec}.*decompression bomb.*unpack it"):
            next(lines)
        with pytest.raises(ValueError, match="decompression bomb"):
            evaluate_similarity(EmbeddingTable(["a"], [[1.0]]), path)

    def test_lines_are_counted_one_by_one(self, codec, compressed, small_limit):
        content = b"the same words\n" * (1 << 16)  # far more than comes out of honest text, and no line of it is long
        assert sum(1 for _ in LineCorpus(compressed(codec, content))) == 1 << 16

    def test_a_long_line_of_honest_text_is_whole(self, codec, compressed, small_limit):
        text = "".join(np.random.default_rng(0).choice(list("abcdefgh é"), 100_000))
        assert list(LineCorpus(compressed(codec, f"{text}\n\n{text}".encode()))) == [text, "", text]

    def test_a_table_of_far_more_bytes_is_refused(self, codec, compressed, small_limit):
        path = compressed(codec, b"a,b\n" + b"1,1\n" * (1 << 18))
        with pytest.raises(InputError, match=r"100 times .* refused as a decompression bomb.*unpack it") as caught:
            read_table(path)
        assert "\n" not in str(caught.value)
        assert read_table(compressed(codec, b"a,b\n" + b"1,1\n" * 200)).shape == (200, 2)


def test_a_zip_archive_of_far_more_bytes_is_refused(tmp_path, small_limit):
    path = tmp_path / "table.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("table.csv", b"a,b\n" + b"1,1\n" * (1 << 18))
    with pytest.raises(InputError, match="refused as a decompression bomb"):
        read_table(path)


@each_codec
def test_damage_anywhere_is_an_error_that_names_the_file(codec, compressed):
    words = np.random.default_rng(0).integers(97, 122, 2000, dtype=np.uint8).tobytes()
    content = COMPRESS[codec](words)
    for place in range(20, len(content) - 40, 97):  # beyond the time stamp of gzip
        path = compressed(codec, b"")
        path.write_bytes(content[:place] + bytes(8) + content[place + 8 :])
        with pytest.raises(OSError, match=r"compressed' is damaged or not complete"):
            list(LineCorpus(path))


@each_codec
def test_compressions_are_told_by_their_first_bytes(codec):
    written = COMPRESS[codec](b"the cat")
    found = find_compression(written[:8])
    assert found.name == codec
    assert found.open(io.BytesIO(written)).read() == b"the cat"
    decompressor = found.decompressor()
    assert b"".join(decompressor.decompress(bytes([byte])) for byte in written) == b"the cat"
    assert find_compression(written[1:9]) is None
    assert find_compression(found.magic[:-1]) is None
    assert find_compression(found.magic) is found


def test_how_many_bytes_may_come_out():
    assert most_bytes(0) == most_bytes(1) == 1 << 26
    assert most_bytes(1 << 20) == 100 << 20
    assert most_bytes(1 << 26, 3) == 3 << 26
    assert find_compression(b"") is None


@each_codec
def test_lines_of_compressed_files_are_those_of_plain_ones(codec, compressed, tmp_path):
    content = "a\r\nb\rc\n\nd é".encode()
    path, plain = compressed(codec, content), tmp_path / "plain"
    plain.write_bytes(content)
    for newline in (None, "\n", ""):
        expected = list(text_lines(plain, encoding="utf-8", newline=newline))
        assert list(text_lines(path, encoding="utf-8", newline=newline)) == expected
    assert list(text_lines(path, encoding="utf-8", newline="\n")) == ["a\r\n", "b\rc\n", "\n", "d é"]
    assert list(text_lines(path, encoding="ascii", errors="ignore"))[-1] == "d "
    with pytest.raises(UnicodeDecodeError):
        list(text_lines(path, encoding="ascii"))
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(OSError, match=re.escape(f"{str(path)!r} is damaged or not complete: ")):
        list(text_lines(path, encoding="utf-8"))


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"PK\x03\x04\x14\0", "a zip archive; unpack it before"),
        (b"\x28\xb5\x2f\xfd\0", "compressed by zstd; unpack it before"),
        (b"PAR1\x15", "a table of parquet; read it by pandas or polars, and pass the column"),
    ],
)
def test_archives_and_tables_are_no_text(tmp_path, content, what):
    """Some of which may be decoded, and all of which decode errors would ask for another encoding."""
    path = tmp_path / "corpus"
    path.write_bytes(content + b" some text\n")
    for errors in ("strict", "replace"):
        with pytest.raises(ValueError, match=re.escape(f"{str(path)!r} is no text, but {what}.")):
            list(LineCorpus(path, errors=errors))


@each_codec
def test_a_byte_order_mark_is_no_text(codec, compressed):
    assert list(text_lines(compressed(codec, b"\xef\xbb\xbfa\n\xef\xbb\xbfb"), encoding="utf-8")) == ["a\n", "\ufeffb"]
    assert list(text_lines(compressed(codec, b"\xef\xbb\xbf"), encoding="utf-8")) == [""]
    assert list(text_lines(compressed(codec, b""), encoding="utf-8")) == []


@pytest.mark.parametrize("length", [998, 999, 1000, 1001, 2500])
def test_lines_as_long_as_what_is_read_at_once(length, compressed, small_limit):
    content = b"x" * length + b"\n" + b"y\n"
    path = compressed("gzip", content + bytes(np.random.default_rng(0).integers(33, 127, 9000).astype(np.uint8)))
    lines = list(text_lines(path, encoding="latin-1"))
    assert (len(lines[0]), lines[1]) == (length + 1, "y\n")
    assert len(lines) == 3
