"""Test sets, given or in files: what is read of them, and what is said of those that cannot be."""

import re
from types import SimpleNamespace

import numpy as np
import pytest

from skembed import EmbeddingTable
from skembed.inspection import (
    evaluate_analogies,
    evaluate_categorization,
    evaluate_sentence_similarity,
    evaluate_similarity,
    ndcg_at_k,
    probe_score,
    recall_at_k,
)
from skembed.inspection._analogies import _read_questions
from skembed.inspection._similarity import _read_pairs, _read_sentences
from skembed.inspection._words import Words, check_table, read_lines, rows_given

TABLE = EmbeddingTable(["a", "b", "A", "c"], [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [2.0, 1.0]])


def sentences(texts):
    return np.arange(2.0 * len(texts)).reshape(-1, 2) + 1


def raised(error, function, *args, **options):
    with pytest.raises(error) as caught:
        function(*args, **options)
    return str(caught.value)


# ----------------------------------------------------------------------------------------------------------- in files


@pytest.mark.parametrize(
    ("text", "delimiter", "pairs"),
    [
        ("a b 1\n\n# x\nc d 2.5\n", None, [("a", "b", 1.0), ("c", "d", 2.5)]),
        ("Word 1\tWord 2\tmean\na\tb c\t1\n", None, [("a", "b c", 1.0)]),
        ("# what\nw1 w2 score\na b -1e2\n", None, [("a", "b", -100.0)]),
        ("a;b;1\nc ; d ;2\n", ";", [("a", "b", 1.0), ("c", "d", 2.0)]),
        ("a b 1\r\nc d 2", None, [("a", "b", 1.0), ("c", "d", 2.0)]),
    ],
)
def test_pairs_of_a_file(tmp_path, text, delimiter, pairs):
    (tmp_path / "pairs").write_bytes(text.encode())
    assert list(_read_pairs(tmp_path / "pairs", delimiter, "utf-8")) == pairs


@pytest.mark.parametrize(
    ("text", "delimiter", "message"),
    [
        ("a b 1\na b\n", None, "line 2 of {} must be two words and a score, got 'a b'; is delimiter=None right?"),
        ("a b 1 2\n", None, "line 1 of {} must be two words and a score, got 'a b 1 2'; is delimiter=None right?"),
        ("a b 1\n", ";", "line 1 of {} must be two words and a score, got 'a b 1'; is delimiter=';' right?"),
        ("w1 w2 mean\nw3 w4 median\n", None, "the score in line 2 of {} must be a number, got 'median'."),
        ("a b 1\nw1 w2 mean\n", None, "the score in line 2 of {} must be a number, got 'mean'."),
        ("a b inf\n", None, "the score in line 1 of {} must be finite, got inf."),
    ],
)
def test_pairs_that_are_none(tmp_path, text, delimiter, message):
    path = tmp_path / "pairs"
    path.write_text(text)
    assert raised(ValueError, evaluate_similarity, TABLE, path, delimiter=delimiter) == message.format(repr(str(path)))


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("first\tsecond\tscore\na b\tc d\t1\n", [("a b", "c d", 1.0)]),
        ("score\tfirst\tsecond\n1\ta b\tc d\n2\t3\tx\n", [("a b", "c d", 1.0), ("3", "x", 2.0)]),
        ("a\tb\t1\n7\tc\t2\n", [("a", "b", 1.0), ("7", "c", 2.0)]),
        ("5\tb\t1\n7\tc\t2\n", [("5", "b", 1.0), ("7", "c", 2.0)]),  # where both may be scores, the last is
        ("one\ttwo\tthree\nfour\tfive\tsix\n1\ta\tb\n", [("a", "b", 1.0)]),
    ],
)
def test_sentences_of_a_file(tmp_path, text, rows):
    (tmp_path / "pairs").write_text(text)
    assert list(_read_sentences(tmp_path / "pairs", None, "utf-8")) == rows


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a b\n", "line 1 of {} must be two sentences and a score, got 'a b'; is delimiter=None right?"),
        (
            "a\tb\t1\nc\td\te\n",
            "line 2 of {} must begin or end with a score as the other lines do, got ['c', 'd', 'e'].",
        ),
        ("a\tb\tnan\n", "the score in line 1 of {} must be finite, got nan."),
    ],
)
def test_sentences_that_are_none(tmp_path, text, message):
    path = tmp_path / "pairs"
    path.write_text(text)
    assert raised(ValueError, evaluate_sentence_similarity, sentences, path) == message.format(repr(str(path)))


def test_questions_of_a_file(tmp_path):
    path = tmp_path / "questions"
    path.write_text("a b c d\n: capitals of the world \nb a d c\n\n:gram1\n: gram2\nd c b a\n")
    questions = list(_read_questions(path, "utf-8"))
    assert questions == [
        ("", ("a", "b", "c", "d")), ("capitals of the world", ("b", "a", "d", "c")), ("gram2", ("d", "c", "b", "a"))
    ]  # fmt: skip
    path.write_text(": x\na b c\n")
    message = f"line 2 of {str(path)!r} must be four words, got 'a b c'."
    assert raised(ValueError, evaluate_analogies, TABLE, path) == message


def test_lines_have_their_numbers_and_no_ends(tmp_path):
    path = tmp_path / "lines"
    path.write_bytes(b"a \n\n  \nb\r\nc")
    assert list(read_lines(path, "utf-8")) == [(1, "a "), (4, "b"), (5, "c")]
    path.write_bytes(b"\xff")
    message = raised(ValueError, evaluate_similarity, TABLE, path)
    assert message.startswith(f"{str(path)!r} is no utf-8 text: 'utf-8' codec can't decode byte 0xff")
    assert message.endswith(". Pass the encoding it was written in.")
    path.write_bytes("ä b 1\nb ä 2\n".encode("latin-1"))
    assert raised(ValueError, evaluate_similarity, TABLE, path, encoding="latin-1").startswith(
        "a correlation needs two pairs or more, got 0: of 2 pairs 2 have a word that is not in this table ('ä')."
    )


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_byte_order_mark_is_part_of_no_word(tmp_path, encoding):
    path = tmp_path / "set"

    def written(text):
        path.write_bytes(("\ufeff" * (encoding == "utf-8") + text).encode(encoding))
        return path

    pairs = _read_pairs(written("a b 1\nb c 2\n"), None, encoding)
    assert list(pairs) == [("a", "b", 1.0), ("b", "c", 2.0)]
    assert [number for number, *_ in read_lines(written("\n# x\na b 1\n"), encoding)] == [2, 3]
    assert list(_read_questions(written(": x\na b A c\n"), encoding)) == [("x", ("a", "b", "A", "c"))]
    assert next(_read_sentences(written("1\ta b\tc\n2\tc\ta\n"), None, encoding)) == ("a b", "c", 1.0)


# -------------------------------------------------------------------------------------------------------------- given


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: rows_given(["ab"], 2, "pairs"), TypeError,
         "pairs must hold rows of 2 values, got 'ab' at position 0."),
        (lambda: rows_given([(1, 2), 3], 2, "pairs"), TypeError,
         "pairs must hold rows of 2 values, got 3 at position 1."),
        (lambda: rows_given([(1, 2), (3,)], 2, "edges"), ValueError,
         "edges must hold rows of 2 values, got (3,) at position 1."),
        (lambda: evaluate_similarity(TABLE, [("a", "b", 1), ("a", "c", "x")]), ValueError,
         "the score of pairs[1] must be a number, got 'x'."),
        (lambda: evaluate_similarity(TABLE, [("a", "b", 1), ("a", "c", None)]), ValueError,
         "the score of pairs[1] must be a number, got None."),
        (lambda: evaluate_similarity(TABLE, [("a", "b", np.inf)]), ValueError,
         "the score in pairs[0] must be finite, got inf."),
        (lambda: evaluate_similarity(TABLE, [("a", "b", 1), ("x", "y", 2), ("z", "u", 2)]), ValueError,
         "a correlation needs two pairs or more, got 1: of 3 pairs 2 have a word that is not in this table ('x', 'y', "
         "'z')."),
        (lambda: evaluate_analogies(TABLE, {"x": [("a", "b", "c")]}), ValueError,
         "questions['x'] must hold rows of 4 values, got ('a', 'b', 'c') at position 0."),
        (lambda: evaluate_analogies(TABLE, [("a", "b", "c")]), ValueError,
         "questions must hold rows of 4 values, got ('a', 'b', 'c') at position 0."),
        (lambda: evaluate_analogies(TABLE, {"x": []}), ValueError,
         "questions must hold at least one question, got none."),
        (lambda: evaluate_categorization(TABLE, [("a", 1, 2)]), ValueError,
         "categories must hold rows of 2 values, got ('a', 1, 2) at position 0."),
        (lambda: evaluate_categorization(TABLE, {"a": 1, "x": 2}), ValueError,
         "categories must hold two categories or more with a word of the table, got 1: 1 of 2 words are in it."),
        (lambda: evaluate_sentence_similarity(sentences, [("a", "b", 1)]), ValueError,
         "a correlation needs two pairs or more, got 1."),
        (lambda: evaluate_sentence_similarity(sentences, [("a", "b", 1), ("a", 7, 1)]), TypeError,
         "pairs[1] must hold sentences, got 7 of int."),
        (lambda: evaluate_sentence_similarity(7, [("a", "b", 1), ("a", "c", 1)]), TypeError,
         "vectorizer must have a transform, or be a function of a list of sentences, got int."),
        (lambda: evaluate_sentence_similarity(lambda t: np.zeros((2, 2)), [("a", "b", 1), ("a", "c", 1)]), ValueError,
         "vectorizer must make an array of 3 rows of numbers, one a sentence, got shape (2, 2) of float64."),
        (lambda: evaluate_sentence_similarity(lambda t: np.array([["x"]] * 3), [("a", "b", 1), ("a", "c", 1)]),
         ValueError, "vectorizer must make an array of 3 rows of numbers, one a sentence, got shape (3, 1) of <U1."),
        (lambda: evaluate_sentence_similarity(lambda t: np.full((3, 1), np.inf), [("a", "b", 1), ("a", "c", 1)]),
         ValueError, "vectorizer has made NaN or infinity of a sentence; a cosine needs finite vectors."),
        (lambda: check_table(SimpleNamespace(embedding_=1)), TypeError,
         "table must be an EmbeddingTable, got SimpleNamespace; pass its embedding_."),
        (lambda: check_table(SimpleNamespace(embeddings_=1), "left"), TypeError,
         "left must be an EmbeddingTable, got SimpleNamespace; pass one of its embeddings_."),
        (lambda: check_table([]), TypeError, "table must be an EmbeddingTable, got list."),
        (lambda: recall_at_k([[1, 0]], [[1, 2, 3]]), ValueError,
         "y_true and y_score must both have shape (n_queries, n_items), got (1, 2) and (1, 3); for lists of keys pass "
         "ranked=True."),
        (lambda: recall_at_k([["a"]], [["b"]]), TypeError,
         "y_true must be numbers of shape (n_queries, n_items), got list of other values; for lists of keys pass "
         "ranked=True."),
        (lambda: recall_at_k([[1, 0], [0, 1]], [[1, 2], [1, np.nan]]), ValueError,
         "y_score must not hold nan, query 1 has one; for an item that is not to be recommended give minus infinity."),
        (lambda: recall_at_k([[np.inf, 0]], [[1, 2]]), ValueError, "y_true must be finite, got inf in it."),
        (lambda: ndcg_at_k([[-1.0, 2]], [[1, 2]]), ValueError,
         "the relevance in y_true must not be negative, got -1.0."),
        (lambda: ndcg_at_k([{"a": -1}], [["a"]], ranked=True), ValueError,
         "the relevance in y_true must not be negative, got {'a': -1.0}."),
        (lambda: recall_at_k([{"a"}], [["a"], ["b"]], ranked=True), ValueError,
         "y_true and y_score must be equally many queries, got 1 and 2."),
        (lambda: recall_at_k([{"a"}, {"b"}], [["a"], ["b", 1, "b"]], ranked=True), ValueError,
         "y_score[1] recommends 'b' twice; name each key once."),
        (lambda: recall_at_k(["a"], [["a"]], ranked=True), TypeError,
         "y_true[0] must be a collection of keys, got 'a'."),
        (lambda: recall_at_k([7], [["a"]], ranked=True), TypeError, "y_true[0] must be a collection of keys, got 7."),
        (lambda: probe_score(np.eye(3), [1, None, 2]), ValueError,
         "y must not have missing values, got 1 among 3, the first at position 1; leave those rows out."),
        (lambda: probe_score(np.eye(3), ["a", "a", "a"]), ValueError,
         "y must have two classes or more, got the single class 'a'."),
        (lambda: probe_score(np.eye(3), {"a": 1}), TypeError,
         "y maps keys to values, so X must be an EmbeddingTable; give y as one value a row."),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(call, error, message):
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        call()


def test_words_are_found_as_they_are_compared():
    words = Words(TABLE, None, True)
    assert words.rows(["a", "A", "B", "x", 7]).tolist() == [0, 0, 1, -1, -1]  # of two that are one word, the first
    assert words.variants() == {"A": [0, 2], "B": [1], "C": [3]}
    exact = Words(TABLE, None, False)
    assert exact.rows(["a", "A", "B"]).tolist() == [0, 2, -1]
    few = Words(TABLE, 2, True)
    assert few.rows(["a", "b", "c"]).tolist() == [0, 1, -1]
    assert few.vectors.shape == (2, 2)
    for limit in (0, -1, 2.5):
        with pytest.raises(ValueError, match="restrict_vocab must be a positive int or None for all keys"):
            Words(TABLE, limit, True)


@pytest.mark.parametrize("method", ["3cosadd", "3cosmul"])
def test_answers_are_those_of_a_loop(method, monkeypatch):
    from skembed.inspection import _analogies

    rng = np.random.default_rng(0)
    keys = [f"w{i}" for i in range(30)] + ["W3", "W5"]
    table = EmbeddingTable(keys, rng.normal(size=(32, 4)))
    questions = [tuple(f"w{i}" for i in rng.integers(0, 30, 4)) for _ in range(40)]
    units = table.vectors.astype(float) / np.linalg.norm(table.vectors.astype(float), axis=1, keepdims=True)
    cosines = units @ units.T
    for at_once in ((1024, 1 << 22), (7, 300)):
        monkeypatch.setattr(_analogies, "_QUESTIONS_AT_ONCE", at_once[0])
        monkeypatch.setattr(_analogies, "_SCORES_AT_ONCE", at_once[1])
        found = evaluate_analogies(table, questions, method=method).sections[0].answers
        for question, answer in zip(questions, found, strict=True):
            a, b, c = (keys.index(word) for word in question[:3])
            if method == "3cosadd":
                scores = units @ (units[b] - units[a] + units[c])
            else:
                scores = (1 + cosines[b]) / 2 * (1 + cosines[c]) / 2 / ((1 + cosines[a]) / 2 + 0.001)
            banned = {word.upper() for word in question[:3]}
            allowed = [row for row, key in enumerate(keys) if key.upper() not in banned]
            assert answer.answer == keys[max(allowed, key=lambda row: scores[row])]


def test_a_table_of_the_words_that_are_asked_about_alone_has_no_answer():
    table = EmbeddingTable(["a", "b", "c"], np.eye(3))
    for method in ("3cosadd", "3cosmul"):
        result = evaluate_analogies(table, [("a", "b", "c", "a"), ("a", "a", "b", "c")], method=method)
        assert [answer.answer for answer in result.sections[0].answers] == [None, "c"]
        assert result.accuracy == 0.5
