"""Records of a word, a terminator and numbers, beside a loop that reads them one by one."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from skembed.formats import _records
from skembed.formats._errors import FormatError
from skembed.formats._records import Words, find_records


def one_by_one(buffer, terminator, size, most):
    records, at = [], 0
    while len(records) < most:
        end = buffer.find(terminator, at)
        if end < 0 or end + 1 + size > len(buffer):
            break
        records.append((at, end))
        at = end + 1 + size
    return records


def wrong(begin):
    return FormatError(f"too long: {begin}")


@given(st.lists(st.sampled_from(b"a: "), max_size=60).map(bytes), st.integers(0, 5), st.integers(0, 12), st.booleans())
@example(b"", 4, 1, False)
@example(b":", 0, 1, False)
@example(b"a:1234b:1234", 4, 2, False)
def test_the_records_of_a_loop(buffer, size, most, newline):
    found = find_records(buffer, ord(":"), size, most, wrong)
    assert list(zip(*(places.tolist() for places in found))) == one_by_one(buffer, b":", size, most)
    words = Words.cut(buffer, *found)
    expected = [buffer[begin:end] for begin, end in one_by_one(buffer, b":", size, most)]
    assert [words[i] for i in range(len(words))] == expected
    assert words.decode("strict", None) == [word.decode() for word in expected]


@pytest.mark.parametrize("ended", [True, False])
def test_a_word_that_is_too_long_is_named_whether_it_has_ended_or_not(monkeypatch, ended):
    monkeypatch.setattr(_records, "MAX_WORD", 10)
    long = b"a" * 10 + b":1234" * ended
    with pytest.raises(FormatError, match="too long: 6"):
        find_records(b"b:1234" + long, ord(":"), 4, 9, wrong)
    # what is not looked for is not blamed
    assert len(find_records(b"b:1234" + long, ord(":"), 4, 1, wrong)[0]) == 1
    assert len(find_records(b"b:1234" + long[1:], ord(":"), 4, 9, wrong)[0]) == 1 + ended


def test_words_are_joined_cut_and_named_where_they_are_not_utf8():
    buffer = "Ulm:Köln::日本:".encode()
    words = Words.cut(buffer, *find_records(buffer, ord(":"), 0, 9, wrong))
    assert words.decode("strict", None) == ["Ulm", "Köln", "", "日本"]
    joined = Words.join([words, words.part(1, 3), words.part(0, 0)])
    assert joined.decode("strict", None) == ["Ulm", "Köln", "", "日本", "Köln", ""]
    assert joined.take(np.array([5, 3])) == [b"", "日本".encode()]
    assert Words.join([words.part(2, 2)]).decode("strict", None) == []
    # bytes that are whole characters only together
    halves = Words.cut(b"\xc3:\xb6:b:", np.array([0, 2, 4]), np.array([1, 3, 5]))
    with pytest.raises(FormatError, match=r"1: expected a key in UTF-8"):
        halves.part(1, 3).decode("strict", lambda row, message: FormatError(f"{row + 1}: {message}"))
    assert halves.decode("replace", wrong) == ["\ufffd", "\ufffd", "b"]
