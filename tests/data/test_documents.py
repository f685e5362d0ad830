"""Documents from every container and file, and what is said of those that are none."""

import bz2
import gzip
import lzma
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from skembed.data.documents import read_documents
from skembed.text import LineCorpus

pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")
pa = pytest.importorskip("pyarrow")

TEXTS = ["the cat", "", "sat on", "the mat"]
CONTAINERS = {
    "list": list,
    "tuple": tuple,
    "generator": lambda texts: (text for text in texts),
    "array": np.array,
    "object array": lambda texts: np.array(texts, dtype=object),
    "one column": lambda texts: np.array(texts, dtype=object)[:, None],
    "numpy matrix": lambda texts: np.array(texts, dtype=object)[:, None].view(np.matrix),
    "pandas": pd.Series,
    "pandas object": lambda texts: pd.Series(texts, dtype=object),
    "pandas categories": lambda texts: pd.Series(texts, dtype="category"),
    "pandas arrow": lambda texts: pd.Series(texts, dtype="string[pyarrow]"),
    "pandas odd index": lambda texts: pd.Series(texts, index=[3, 3, 1, 0]),
    "pandas frame": lambda texts: pd.DataFrame({"text": texts}),
    "polars": pl.Series,
    "polars frame": lambda texts: pl.DataFrame({"text": texts}),
    "arrow": pa.array,
    "arrow chunks": lambda texts: pa.chunked_array([texts[:1], texts[1:]]),
    "arrow table": lambda texts: pa.table({"text": texts}),
}
OPENERS = {"plain": open, "gzip": gzip.open, "bz2": bz2.open, "xz": lzma.open}


def test_who_has_no_parameter_is_told_of_none():
    for missing, end in (("error", ", or pass missing='empty'."), (None, r"\(an empty document\)\.")):
        with pytest.raises(TypeError, match=f"{end}$"):
            list(read_documents(["a", None], missing=missing))


@pytest.mark.parametrize("container", CONTAINERS)
def test_every_container_holds_the_same_documents(container):
    assert list(read_documents(CONTAINERS[container](TEXTS))) == TEXTS


def test_token_lists_may_be_any_sequence():
    documents = [["a", "b"], ("c",), np.array(["d", "e"]), []]
    assert list(read_documents(documents)) == [["a", "b"], ["c"], ["d", "e"], []]
    nested = pl.Series([["a", "b"], [], ["c"]], dtype=pl.List(pl.String))
    assert list(read_documents(nested)) == [["a", "b"], [], ["c"]]
    assert list(read_documents(pa.array([["a"], []], pa.list_(pa.string())))) == [["a"], []]


@pytest.mark.parametrize(
    "X",
    [
        ["a", None, "b"],
        ["a", float("nan"), "b"],
        [np.str_("a"), np.float32("nan"), "b"],
        ["a", pd.NA, "b"],
        ["a", pd.NaT, "b"],
        np.array(["a", None, "b"], dtype=object),
        pd.Series(["a", None, "b"]),
        pd.Series(["a", None, "b"], dtype="string"),
        pd.Series(["a", None, "b"], dtype="category"),
        pd.DataFrame({"text": ["a", None, "b"]}),
        pl.Series(["a", None, "b"]),
        pl.DataFrame({"text": ["a", None, "b"]}),
        pa.array(["a", None, "b"]),
    ],
    ids=lambda texts: f"{type(texts).__module__.split('.')[0]} {type(texts).__name__}",
)
def test_missing_documents_are_empty_where_that_is_asked_for(X):
    assert list(read_documents(X, missing="empty")) == ["a", "", "b"]
    with pytest.raises(TypeError, match=r"document 1 .*missing='empty'"):
        list(read_documents(X))
    with pytest.raises(TypeError, match=r"document 0 .*1\.5"):  # a number is no missing document
        list(read_documents([1.5], missing="empty"))


def test_texts_in_lists_of_one_are_told_of():
    """As a column of a frame is turned into lists: each text would be one word, which no table has."""
    nested = [["the cat sat"], ["on mats"], ["cat"], ["a mat"]]
    message = r"^all 4 documents of X are lists of one text, such as \['a mat'\]; .* \[text for \(text,\) in X\]\.$"
    with pytest.warns(UserWarning, match=message):
        assert list(read_documents(nested)) == nested
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for X in (
            [],
            [["cat"], ["mat"]],
            [*nested, ["a", "cat"]],
            [*nested, "a cat"],
            [*nested, []],
            ["a cat", "mats"],
        ):
            list(read_documents(X))
        list(read_documents([["New York"], ["Ulm"], ["Bern"]]))
        list(read_documents(text for (text,) in nested))


def test_token_lists_are_put_in_lower_case_where_that_is_asked_for():
    assert list(read_documents([["A", "Straße"], "As It Is"], lowercase=True)) == [["a", "straße"], "As It Is"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16", "utf-8-sig"])
def test_a_byte_order_mark_is_no_part_of_a_text(tmp_path, encoding):
    mark = "\ufeff" if encoding in ("utf-8", "utf-16-le") else ""  # Python writes that of the others
    (tmp_path / "corpus").write_bytes(f"{mark}the cat\n\ufeffsat\n".encode(encoding))
    assert list(LineCorpus(tmp_path / "corpus", encoding=encoding)) == ["the cat", "\ufeffsat"]


@pytest.mark.parametrize("compression", OPENERS)
@pytest.mark.parametrize("suffix", ["", ".txt", ".gz", ".xz"])
def test_files_are_read_by_what_they_hold_not_by_their_suffix(tmp_path, compression, suffix):
    path = tmp_path / f"corpus{suffix}"
    with OPENERS[compression](path, "wt", encoding="utf-8", newline="") as file:
        file.write("the cat\r\n\nzoë 猫 \x00 a\rb\u2028c\nno end of line")
    corpus = LineCorpus(path)
    for _ in range(2):
        assert list(corpus) == ["the cat", "", "zoë 猫 \x00 a\rb\u2028c", "no end of line"]


def test_a_file_that_is_empty_or_missing(tmp_path):
    empty = tmp_path / "empty"
    empty.touch()
    assert list(LineCorpus(empty)) == []
    with pytest.raises(FileNotFoundError, match="nowhere"):
        list(LineCorpus(tmp_path / "nowhere"))


def test_bytes_that_are_no_text_are_refused_and_the_way_out_works(tmp_path):
    path = tmp_path / "latin"
    path.write_bytes("caf\xe9 noir\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"latin.*utf-8.*errors='replace'"):
        list(LineCorpus(path))
    assert list(LineCorpus(path, encoding="latin-1")) == ["café noir"]
    assert list(LineCorpus(path, errors="replace")) == ["caf\ufffd noir"]
    assert list(LineCorpus(path, errors="surrogateescape")) == ["caf\udce9 noir"]


@pytest.mark.parametrize("compression", ["gzip", "bz2", "xz"])
def test_a_file_cut_short_is_an_error(tmp_path, compression):
    path = tmp_path / "cut"
    with OPENERS[compression](path, "wb") as file:
        file.write(np.random.default_rng(0).integers(97, 122, 200_000, dtype=np.uint8).tobytes())
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(OSError, match="damaged or not complete"):
        list(LineCorpus(path))


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        ("one text", TypeError, r"single str 'one text'; pass \[X\]"),
        (b"bytes", TypeError, "single bytes"),
        ({"a", "b"}, TypeError, r"X is a set, which has no order: .* Pass a list, sorted\(X\) for instance\."),
        ({"a": 1}, TypeError, "got {'a': 1}"),
        (3, TypeError, "got 3"),
        (None, TypeError, "got None"),
        (["a", None], TypeError, "document 1 .*None.*fill them with ''"),
        (["a", "b", float("nan")], TypeError, "document 2 .*nan.*fill them with ''"),
        (pd.Series(["a", None]), TypeError, "document 1 .*fill them with ''"),
        (pd.Series(["a", None], dtype="string"), TypeError, "document 1 .*fill them with ''"),
        (pl.Series(["a", None]), TypeError, "document 1 .*fill them with ''"),
        (["a", b"b"], TypeError, "document 1 .*bytes; decode it first"),
        ([1, 2], TypeError, "document 0 .*1 of type int"),
        (np.zeros((2, 3)), ValueError, r"shape \(2, 3\).*ColumnTransformer"),
        (pd.DataFrame({"a": ["x"], "b": ["y"]}), ValueError, "columns 'a', 'b'.*ColumnTransformer"),
        (pl.DataFrame({"a": ["x"], "b": ["y"]}), ValueError, "columns 'a', 'b'.*ColumnTransformer"),
        (pa.table({"a": ["x"], "b": ["y"]}), ValueError, "columns 'a', 'b'.*ColumnTransformer"),
        (np.array("a"), TypeError, r"got array\('a'"),
    ],
)
def test_what_is_no_list_of_documents_is_named(X, error, message):
    with pytest.raises(error, match=message):
        list(read_documents(X))


def test_a_corpus_of_lines_names_its_file(tmp_path):
    assert repr(LineCorpus("a.txt")) == "LineCorpus('a.txt')"
    assert repr(LineCorpus(tmp_path / "b")) == f"LineCorpus({str(tmp_path / 'b')!r})"


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        ("the cat", TypeError, "X must be a list of documents, got the single str 'the cat'; pass [X] if it is one "
         "document."),
        (b"x" * 50, TypeError, f"X must be a list of documents, got the single bytes {b'x' * 40!r}; pass [X] if it is "
         "one document."),
        (np.array([["a", "b"]]), ValueError,
         "X must be one column of documents, got shape (1, 2). Select the column of text, or name it in a "
         "ColumnTransformer: (vectorizer, 'column')."),
        (pd.DataFrame({"a": ["x"], "b": ["y"]}), ValueError,
         "X must be one column of documents, got shape (1, 2) with the columns 'a', 'b'. Select the column of text, or "
         "name it in a ColumnTransformer: (vectorizer, 'column')."),
        (pd.DataFrame({f"c{i}": ["x"] for i in range(7)}), ValueError,
         "X must be one column of documents, got shape (1, 7) with the columns 'c0', 'c1', 'c2', 'c3', 'c4'. Select "
         "the column of text, or name it in a ColumnTransformer: (vectorizer, 'column')."),
        (7, TypeError, "X must be an iterable of documents (strings or token lists), got 7."),
        ({"a": "b"}, TypeError, "X must be an iterable of documents (strings or token lists), got {'a': 'b'}."),
        (sparse.csr_array(np.ones((2, 1))), TypeError,
         "X must be an iterable of documents (strings or token lists), got a csr_array."),
        (Path("corpus.txt"), TypeError,
         "X must be documents, got the path 'corpus.txt'; pass LineCorpus(X), a document a line."),
        (np.zeros((1, 1, 1)), TypeError,
         "X must be an iterable of documents (strings or token lists), got array([[[0.]]])."),
        (["a", None], TypeError,
         "document 1 of X must be a string or a list of tokens, got None of type NoneType; drop missing documents or "
         "fill them with '' (an empty document), or pass missing='empty'."),
        (["a", float("nan")], TypeError,
         "document 1 of X must be a string or a list of tokens, got nan of type float; drop missing documents or fill "
         "them with '' (an empty document), or pass missing='empty'."),
        ([b"a"], TypeError,
         "document 0 of X must be a string or a list of tokens, got b'a' of type bytes; decode it first: "
         "document.decode('utf-8')."),
        ([7], TypeError, "document 0 of X must be a string or a list of tokens, got 7 of type int."),
        ([list(range(99)), {"x" * 99}], TypeError,
         "document 0 of X is a token list that holds 0 of type int at position 0, expected strings; turn the tokens "
         "into strings first: [str(token) for token in document]."),
        ([["a", "b", None]], TypeError,
         "document 0 of X is a token list that holds None of type NoneType at position 2, expected strings; turn the "
         "tokens into strings first: [str(token) for token in document]."),
        ([{"x" * 99}], TypeError,
         "document 0 of X must be a string or a list of tokens, got {'" + "x" * 55 + "... of type set."),
    ],
)  # fmt: skip
def test_whole_messages(X, error, message):
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        list(read_documents(X))
