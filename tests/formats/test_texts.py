"""Text files of vectors: headers or none, keys of all kinds, and numbers rounded as Python rounds them."""

import itertools
import re
import warnings

import numpy as np
import pytest
import samples

from skembed import EmbeddingDisplay, EmbeddingTable
from skembed.formats import FormatError, _numbers, _text, load_table


@pytest.fixture(params=["python", "compiled"])
def parser(request, monkeypatch):
    """Run a test with each of the two parsers of numbers."""
    monkeypatch.setattr(_text, "_COMPILED_FROM", 0 if request.param == "compiled" else 1 << 60)
    return request.param


@pytest.fixture
def load(tmp_path):
    """Load a table from bytes."""

    def load(content, **options):
        (tmp_path / "vectors").write_bytes(content)
        return load_table(tmp_path / "vectors", **options)

    return load


@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("end", ["\n", "\r\n", " \n", " \r\n"])
@pytest.mark.parametrize("separator", [" ", "\t", "  "])
def test_layouts(parser, load, header, end, separator):
    table = load(samples.text(header=header, end=end, separator=separator))
    assert list(table) == samples.WORDS
    assert table.vectors.tobytes() == samples.VECTORS.tobytes()
    assert not table.vectors.flags.writeable


def test_without_a_newline_at_the_end_with_blank_lines_and_a_mark(parser, load):
    content = b"\xef\xbb\xbf" + samples.text().replace(b"\n", b"\n\n \t\n")[:-5].rstrip()
    assert load(content).vectors.tobytes() == samples.VECTORS.tobytes()


def test_keys_with_spaces_like_numbers_and_odd_characters(parser, load):
    words = [". . .", "at name@domain.com", "1999", "3.14", "\u00a0", "\u2028x\u0085", "nan", "1 2", "a"]
    vectors = np.arange(27, dtype=np.float32).reshape(9, 3)
    for header in (True, False):
        assert list(load(samples.text(words, vectors, header=header))) == words


def test_a_key_that_is_empty(parser, load):
    assert list(load(b"2 2\n 1 2\nb 3 4\n")) == ["", "b"]


@pytest.mark.parametrize(("content", "keys", "dim"), [
    (b"7 3.5\n8 4\n", ["7", "8"], 1), (b"2 1\na 3\nb 4\n", ["a", "b"], 1), (b"a 1\n", ["a"], 1),
    (b"a b 1 2\nc 1 2\n", ["a b", "c"], 2),
])  # fmt: skip
def test_is_the_first_line_a_header(parser, load, content, keys, dim):
    table = load(content)
    assert (list(table), table.embedding_dim) == (keys, dim)


def test_two_integers_are_a_header_unless_the_format_has_none(parser, load):
    with pytest.raises(FormatError, match="of the header"):
        load(b"7 3\n8 4\n")
    assert list(load(b"7 3\n8 4\n", format="glove")) == ["7", "8"]


HARD = [
    "0.1", "-0.0", "1e-45", "7.006492321624085e-46", "7.0064923216240862e-46", "1.17549435e-38", "3.4028235e38",
    "3.4028235677e38", "16777217", "16777217.0000001", "9007199791611905", "123456789012345678901234567890",
    "0.000000000000000000000000000000000000000000001", "1.00000005960464477540", "1.000000059604644775390625",
    "1.00000005960464477539062500000000000000001", "00000000000000000000000001.5",
    "1e-400", "0e999999999999", ".5", "5.", "+1.5E+2", "1" + "0" * 30, "0." + "0" * 40 + "1", "8388608.5", "8388609.5",
]  # fmt: skip


def test_hard_numbers_are_rounded_as_python_does(parser, load):
    rng = np.random.default_rng(0)
    floats = rng.integers(0, 0x7F7FFFFF, 3000, dtype=np.uint32).view(np.float32)
    halfway = (floats.astype(np.float64) + np.nextafter(floats, np.float32(0)).astype(np.float64)) / 2
    numbers = HARD + [repr(x) for x in halfway.tolist()] + [f"{x:.9g}" for x in floats.tolist()]
    numbers += [f"{x:.20e}" for x in halfway.tolist()] + [repr(x) for x in np.nextafter(halfway, 1).tolist()]
    table = load("".join(f"k{i} {number}\n" for i, number in enumerate(numbers)).encode(), format="glove")
    expected = np.array([float(number) for number in numbers]).astype(np.float32)
    assert table.vectors[:, 0].view(np.uint32).tolist() == expected.view(np.uint32).tolist()


@pytest.mark.parametrize(("number", "message"), [
    ("1_0", "expected a number, got b'1_0'"), ("0x1p3", "expected a number"), ("1e", "expected a number"),
    ("--1", "number"), ("1.2.3", "number"), (".", "number"), ("1\x0b", "number"), ("٣", "number"),
    ("nan", "allow_nonfinite"), ("-Infinity", "allow_nonfinite"), ("1e39", "fit float32"),
])  # fmt: skip
def test_what_is_no_number_is_named_with_its_place(parser, load, number, message):
    content = f"a 1 2\nb 3 {number}\n".encode()
    with pytest.raises(
        FormatError, match=rf"vectors: at byte {content.index(b'3 ') + 2}: .*key 'b', number 2"
    ) as caught:
        load(content, format="glove")
    assert message in str(caught.value)


def test_not_finite_numbers_are_taken_where_they_are_allowed(parser, load):
    table = load(b"a nan 1\nb -inf 1e39\n", allow_nonfinite=True)
    assert np.array_equal(table.vectors, np.float32([[np.nan, 1], [-np.inf, np.inf]]), equal_nan=True)


@pytest.mark.parametrize(
    "head",
    [b"0 3", b"-5 3", b"5 0", b"5 -4", b"1e3 4", b"5.0 4", b"99999999999999999999 4", b"5 4 4", b"5", b"5 99999999999"],
)
def test_headers_that_lie(parser, load, head):
    with pytest.raises(FormatError, match=r"vectors: at byte \d+: expected"):
        load(samples.text().replace(b"5 4", head, 1), format="word2vec-text")


def test_a_header_of_fewer_numbers_than_the_rows_have(parser, load):
    content = b"2 1\na 1 2\nb 3 4\n"
    with pytest.raises(
        FormatError, match="at byte 0: expected a key and 1 numbers in each row, as the header says, found"
    ):
        load(content)
    assert load(content, format="word2vec-text").keys.tolist() == ["a 1", "b 3"]
    assert load(b"2 1\nroute 66 2\nb 4\n").keys.tolist() == ["route 66", "b"]
    assert load(b"2 1\nnew york 2\nold town 4\n").keys.tolist() == ["new york", "old town"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n", "a pointer of Git LFS"),
        (b"<!DOCTYPE html>\n<html><head><title>404</title></head></html>\n", "a web page"),
        (b'{"a": [1, 2], "b": [3, 4]}', r"JSON; read it by json.load.*content.keys\(\), content.values\(\)"),
        (b"2 9\na 0:0.5 1:0.2\nb 9:0.02 3:1\n", "at byte 4: .* found pairs such as b'0:0.5', as of sparse vectors"),
    ],
)
def test_texts_of_something_else_are_named(load, content, message):
    with pytest.raises(FormatError, match=message):
        load(content)


def test_a_vocabulary_with_counts_is_no_table(load):
    content = b"the 100\ncat 50\nsat 50\nmat 20\n"
    with pytest.raises(
        FormatError, match="found words with numbers that are whole and fall, from 100 on, as the counts of"
    ):
        load(content)
    assert load(content, format="glove").vectors.ravel().tolist() == [100, 50, 50, 20]
    for other in (b"a 3\nb 2\n", b"a 3\nb 1\nc 2\n", b"a 3\nb 2\nc 1.5\n", b"a 2\nb 1\nc 0\n", b"a 3\nb 3\nc 3\n"):
        assert load(other).embedding_dim == 1


def test_keys_that_begin_as_something_else_are_keys(load):
    assert load(b"<html> 1 2\n{ 3 4\n0:0.5 1 2\n").keys.tolist() == ["<html>", "{", "0:0.5"]
    assert load(b"{ 3 4\n<html> 1 2\n").keys.tolist() == ["{", "<html>"]


def test_a_header_larger_than_the_file_is_refused_before_anything_is_allocated(load):
    with pytest.raises(FormatError, match=r"at byte 0: expected at least \d{18,} bytes for the 10000000000000 rows"):
        load(samples.text().replace(b"5 4", b"10000000000000 99999999", 1))


def test_more_and_fewer_rows_than_the_header_says(parser, load):
    content = samples.text()
    with pytest.raises(FormatError, match=f"at byte {len(content)}: expected no more than the 5 rows"):
        load(content + b"more 1 2 3 4\n")
    with pytest.raises(FormatError, match=r"expected 5 rows as the header says, the file ends after 4|cut short"):
        load(content[: content.index("日".encode())])


def test_cut_at_every_byte(parser, load):
    content, whole = samples.text(), 0
    for length in range(len(content)):
        try:
            table = load(content[:length], format="word2vec-text")
        except FormatError as error:
            assert "at byte" in str(error)  # noqa: PT017 (some lengths are whole)
        else:  # cut inside the last number
            assert list(table) == samples.WORDS
            whole += 1
    assert whole <= 20


@pytest.mark.parametrize("content", [b"the 0.1 0.2 0.3\nof 0.2", b"the 1 2\nof 3 4\nand 5", b"the 1 2\nof"])
def test_a_text_without_a_header_cut_in_its_last_line(parser, load, content):
    with pytest.raises(FormatError, match=r"numbers as in the lines before, found .* the file is cut short"):
        load(content)


def test_no_end_of_the_last_line_is_no_cut(parser, load):
    assert load(b"new york 1 2\nof 3 4").keys.tolist() == ["new york", "of"]
    assert load(b"the 1 2\nof 3 4").shape == (2, 2)
    assert load(b"the 1 2").shape == (1, 2)


def test_no_keys_to_read_is_an_error_of_the_caller(load):
    with pytest.raises(ValueError, match="keys must name at least one key to read, got none"):
        load(b"the 1 2\nof 3 4\n", keys=[])


def test_duplicates_the_first_wins_with_a_warning(parser, load):
    with pytest.warns(UserWarning, match=r"2 rows repeat the key of an earlier one.*first wins: 'a', 'b'"):
        table = load(b"a 1 2\nb 3 4\na 5 6\nc 7 8\nb 9 9\n")
    assert list(table) == ["a", "b", "c"]
    assert table.vectors.tolist() == [[1, 2], [3, 4], [7, 8]]
    assert table["c"].tolist() == [7, 8]


def test_bytes_that_are_not_utf8(parser, load):
    content = b"\xff 1 2\n\xfe 3 4\nok 5 6\n"
    with pytest.raises(FormatError, match=r"at byte 0: expected a key in UTF-8, got b'\\xff'.*errors='replace'"):
        load(content)
    with pytest.warns(UserWarning, match="repeat"):
        assert list(load(content, errors="replace")) == ["\ufffd", "ok"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert list(load(content, errors="surrogateescape")) == ["\udcff", "\udcfe", "ok"]
    with pytest.raises(ValueError, match="errors must be"):
        load(content, errors="never heard of")


def test_keys_and_limit(parser, load):
    content = samples.text()
    table = load(content, keys=["of", "absent", "Köln", 7])
    assert list(table) == ["Köln", "of"]
    assert table["of"].tolist() == samples.VECTORS[2].tolist()
    assert table.vectors.base is None or len(table.vectors.base) == 2
    assert list(load(content, limit=2)) == samples.WORDS[:2]
    assert list(load(content, limit=2, keys=["of", "the"])) == ["the"]
    assert len(load(content, keys=["absent"])) == 0
    for limit in (0, -1, 2.5, True):
        with pytest.raises(ValueError, match="limit must be a positive int"):
            load(content, limit=limit)


def test_reading_ends_when_all_keys_are_found(parser, load):
    assert list(load(b"a 1 2\nb 3 4\n" + b"c 0 0\n" * 10**6 + b"broken\n", keys=["b"])) == ["b"]


def test_half_precision_is_rounded_and_held_as_float32(parser, load):
    table = load(b"a 0.1 70\nb 3 4\n", dtype="float16")
    assert table.vectors.dtype == np.float32
    assert table["a"].tolist() == [np.float16(0.1), 70]
    with pytest.raises(FormatError, match="row 2: expected numbers that fit float16"):
        load(b"a 1 1\nb 2 2\nc 70000 1\n", dtype=np.float16)
    with pytest.raises(ValueError, match="dtype must be"):
        load(b"a 1 1\n", dtype="float64")


def test_a_short_line_before_the_end_of_a_block_is_not_the_end_of_the_file(tmp_path, monkeypatch):
    lines = [f"w{i} 1 2 3\n" for i in range(20)]
    lines[5] = "w5 1 2\n"
    (tmp_path / "words").write_text("".join(lines))
    monkeypatch.setattr(_text, "_BLOCK", len("".join(lines[:6])) + 4)
    with pytest.raises(FormatError, match="at byte 45: expected a key and 3 numbers, found 3 fields: b'w5 1 2'"):
        EmbeddingTable.load(tmp_path / "words")


def test_lines_across_blocks(parser, load, monkeypatch):
    monkeypatch.setattr(_text, "_BLOCK", 64)
    words = [f"w{'x' * (i % 40)}{i}" for i in range(200)]
    vectors = np.random.default_rng(1).standard_normal((200, 3)).astype(np.float32)
    for header in (True, False):
        table = load(samples.text(words, vectors, header=header), format="word2vec-text" if header else "glove")
        assert list(table) == words
        assert table.vectors.tobytes() == vectors.tobytes()
    content = samples.text(words, vectors)
    at = content.index(words[150].encode())
    with pytest.raises(FormatError, match=f"at byte {at}: expected a key and 3 numbers, found 2 fields"):
        load(content[:at] + b"short 1\n" + content[at:])


@pytest.mark.parametrize(
    "content", [b"", b"\n\n", b"hello\n", b"<html>\n<body>hello world</body>\n", b"\xff\xfea\0", b"\0\1\2\3"]
)
def test_what_is_no_file_of_vectors(load, content):
    with pytest.raises(FormatError, match=r"vectors: at byte \d+: expected"):
        load(content)


@pytest.mark.parametrize("separator", [" ", "\t", ","])
@pytest.mark.parametrize("head", ["", "0,1,2\n", "\ufeff"])
@pytest.mark.filterwarnings("ignore:.* rows repeat the key")
def test_numbers_without_keys_are_refused(load, separator, head):
    """As TensorFlow's projector, numpy.savetxt and pandas without its index write them."""
    rows = np.random.default_rng(0).normal(size=(2_000, 3))
    rows[::3, 0] = np.round(rows[::3, 0])  # not all of them have a fraction
    lines = [head.replace(",", separator), *(separator.join(map(str, row)) + "\n" for row in rows.tolist())]
    content = "".join(lines).encode()
    with pytest.raises(
        FormatError, match="at byte 0: expected a key before the numbers of each row, got numbers alone"
    ):
        load(content)
    assert load(content, format="csv" if separator == "," else "glove").embedding_dim == 2


def test_what_the_display_writes_for_tensorboard_is_no_table(tmp_path):
    EmbeddingDisplay.from_table(EmbeddingTable(["a", "b"], [[0.5, 0.25], [1.5, -1.0]])).to_tensorboard(tmp_path)
    with pytest.raises(FormatError, match="got numbers alone"):
        EmbeddingTable.load(tmp_path / "tensors.tsv")


@pytest.mark.parametrize(
    "keys", [["7", "12", "0.5"], ["1.0", "2.0"], ["1e5", "2e5"], ["0.5", "a"], ["nan", "inf", "1_0"]]
)
def test_keys_that_are_numbers_are_keys(load, keys):
    for separator in " ,":
        content = "".join(separator.join([key, "0.5", "-1.25\n"]) for key in keys).encode()
        assert load(content).keys.tolist() == keys


def test_a_table_of_keys_that_look_like_components_names_its_format(tmp_path):
    table = EmbeddingTable(["0.5", "0.25"], [[1.0, 2.0], [3.0, 4.0]])
    with pytest.warns(UserWarning, match=r"the first rows, with keys such as '0.5', look like those of another format"):
        table.save(tmp_path / "t", "glove")
    assert EmbeddingTable.load(tmp_path / "t", format="glove") == table
    table.save(tmp_path / "t.csv")
    assert EmbeddingTable.load(tmp_path / "t.csv") == table  # the column is named


def test_an_empty_file_is_said_to_be_empty(load):
    with pytest.raises(FormatError, match=r"vectors: at byte 0: expected vectors, the file is empty"):
        load(b"")


def test_text_cannot_be_mapped(load):
    with pytest.raises(ValueError, match=r"mmap=True cannot be had.*table\.save"):
        load(samples.text(), mmap=True)


def test_the_twins_agree_on_spans():
    from skembed.kernels import text_rows

    for block, dim in itertools.product(
        [b"a 1 2\n\n b  c 3\t4 \r\n1 2\n 5 6\n\t\nx\r 7 8\n9\n", b"a 1 2 \r \r\na 1 \r\n", b"a 1 2\r\r\n\r 1 2\n"],
        (1, 2, 3),
    ):
        spans = np.empty((block.count(b"\n"), 4), dtype=np.int64)
        n_lines, bad = text_rows.split_lines(np.frombuffer(block, dtype=np.uint8), dim, spans)
        slow, slow_bad = _numbers.split_lines(block, dim)
        assert spans[:n_lines].tolist() == slow.tolist()
        assert bad == slow_bad


class TestSaving:
    TABLE = EmbeddingTable(samples.WORDS, samples.VECTORS)

    @pytest.mark.parametrize("format", ["word2vec-text", "glove", "fasttext-vec", "word2vec-binary"])
    @pytest.mark.parametrize("compression", [None, "gzip", "bz2", "xz"])
    def test_every_bit_comes_back(self, tmp_path, format, compression):
        rng = np.random.default_rng(0)
        vectors = rng.integers(0, 0x7F7FFFFF, (300, 5), dtype=np.uint32).view(np.float32)
        table = EmbeddingTable([f"ключ{i}" for i in range(300)], vectors)
        table.save(tmp_path / "file", format, compression=compression)
        assert EmbeddingTable.load(tmp_path / "file") == table
        assert EmbeddingTable.load(tmp_path / "file", format=format) == table

    def test_glove_keeps_spaces_and_the_others_refuse_them(self, tmp_path):
        table = EmbeddingTable(["a b", "c"], [[1, 2], [3, 4]])
        table.save(tmp_path / "file", "glove")
        assert EmbeddingTable.load(tmp_path / "file") == table
        for format in ("word2vec-text", "fasttext-vec", "word2vec-binary"):
            with pytest.raises(ValueError, match=r"got 'a b' \(row 0\).*safetensors"):
                table.save(tmp_path / "other", format)
        assert not (tmp_path / "other").exists()

    @pytest.mark.parametrize("key", ["", "\n", "a\nb", "a\tb", " a", "a  b", "\ud800"])
    def test_keys_that_would_not_come_back(self, tmp_path, key):
        with pytest.raises(ValueError, match=re.escape(repr(key))):
            EmbeddingTable([key, "c"], [[1, 2], [3, 4]]).save(tmp_path / "file", "glove")
        with pytest.raises(TypeError, match="got 7 of type int"):
            EmbeddingTable([7], [[1, 2]]).save(tmp_path / "file", "glove")
        assert list(tmp_path.iterdir()) == []

    def test_the_format_is_named_where_the_suffix_promises_another(self, tmp_path):
        with pytest.raises(ValueError, match=r"format must be named.*'fasttext-vec'"):
            self.TABLE.save(tmp_path / "words.vec")
        with pytest.raises(ValueError, match="format must be one of"):
            self.TABLE.save(tmp_path / "words", "excel")
        with pytest.raises(ValueError, match="without keys"):
            EmbeddingTable([], np.empty((0, 3))).save(tmp_path / "words", "glove")
        with pytest.raises(TypeError, match="takes the options"):
            self.TABLE.save(tmp_path / "words", "glove", dtype="float16")
        with pytest.raises(ValueError, match="compression must be"):
            self.TABLE.save(tmp_path / "words", "glove", compression="zstd")
        for format in ("numpy", "parquet"):
            with pytest.raises(ValueError, match=f"format='{format}' is not compressed as a whole"):
                self.TABLE.save(tmp_path / "words", format, compression="gzip")
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("name", ["v.vec.gz", "v.gz", "v.pkl", "v.csvx", "v.txt.bz2", "v.npy", "V.BIN"])
    def test_a_name_that_promises_something_else_is_refused_without_a_format(self, tmp_path, name):
        with pytest.raises(ValueError, match=re.escape("format must be named for a file that ends in '.")):
            self.TABLE.save(tmp_path / name)
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize(
        ("name", "options", "message"),
        [
            ("v.npz", {"format": "glove"}, "as files of format 'numpy' do"),
            ("v.safetensors", {"format": "glove"}, "as files of format 'safetensors' do"),
            ("v.vec.gz", {"format": "numpy"}, "as files of format 'fasttext-vec' or 'word2vec-text' do"),
            ("v.txt.gz", {"format": "glove", "compression": None}, "ends in '.gz', and compression=None"),
            ("v.txt.gz", {"format": "glove", "compression": "xz"}, "ends in '.gz', and compression='xz'"),
        ],
    )
    def test_a_name_that_promises_something_else_is_refused(self, tmp_path, name, options, message):
        with pytest.raises(ValueError, match=message):
            self.TABLE.save(tmp_path / name, **options)
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize(
        ("name", "start"), [("v.txt.gz", b"\x1f\x8b"), ("v.txt.bz2", b"BZh"), ("v.txt.xz", b"\xfd7z"), ("v.txt", b"")]
    )
    def test_the_name_says_how_to_compress(self, tmp_path, name, start):
        self.TABLE.save(tmp_path / name, "word2vec-text")
        assert (tmp_path / name).read_bytes().startswith(start)
        assert EmbeddingTable.load(tmp_path / name) == self.TABLE

    def test_the_vector_of_unknown_keys_is_not_lost_in_silence(self, tmp_path):
        table = EmbeddingTable(["a"], [[1, 2]], unknown=[0, 0])
        with pytest.warns(UserWarning, match="no place for the vector of unknown keys"):
            table.save(tmp_path / "file", "glove")
