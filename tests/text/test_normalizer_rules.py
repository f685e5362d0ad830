"""Rules by which a normalizer is told from keys, each at its bound; and the forms of tokens and of whole cells."""

import re
import string

import numpy as np
import pytest

from skembed import EmbeddingTable, PretrainedVectorizer
from skembed.text._normalizer import TextNormalizer, find_normalizer

LETTERS = [a + b for a in string.ascii_lowercase for b in string.ascii_lowercase]  # 676 plain words
NAMES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]


def told(*keys, n=99):
    """What is told of some keys among n plain ones."""
    keys = [*LETTERS[:n], *keys]
    found = find_normalizer(keys, set(keys))
    return found.lowercase, found.digits, found.punctuation


QUOTE = "\N{RIGHT SINGLE QUOTATION MARK}"
HEART, PICTURE, JOINER, TONE = "\u2764", "\ufe0f", "\u200d", "\U0001f3fd"
THUMB, GRIN, FLAG = "\U0001f44d", "\U0001f600", "\U0001f1e9\U0001f1ea"
WOMAN, CHILD = "\U0001f469", "\U0001f467"
PLAIN = (True, "keep", "drop")


@pytest.mark.parametrize(
    ("keys", "n", "expected"),
    [
        ([], 99, PLAIN),
        (["Ulm"], 99, PLAIN),  # one in a hundred slips through
        (["Ulm", "Bern"], 99, (False, "keep", "drop")),
        (["Ulm"], 98, (False, "keep", "drop")),
        (["12", "Ulm"], 99, PLAIN),  # digits are no letters
        (["##"], 99, (True, "#", "drop")),
        (["##", "12"], 99, PLAIN),
        (["##", "###", "12"], 99, (True, "#", "drop")),
        (["#", "1"], 99, PLAIN),
        (["00", "1"], 99, PLAIN),
        (["00", *(f"0{x}" for x in LETTERS[:99])], 99, (True, "0", "drop")),
        (["00", "07", *(f"0{x}" for x in LETTERS[:98])], 99, (True, "0", "drop")),
        (["00", "07", *(f"0{x}" for x in LETTERS[:97])], 99, (True, "keep", "drop")),
        ([f"0{x}" for x in LETTERS[:100]], 99, PLAIN),  # no two digits in a row
        (NAMES, 99, (True, "spelled", "drop")),
        (NAMES[:9], 99, PLAIN),
        ([*NAMES, "7"], 99, (True, "keep", "drop")),
        ([*NAMES, "7"], 676, (True, "keep", "drop")),
        ([","], 99, PLAIN),
        ([",", "."], 99, (True, "keep", "keep")),
        ([",", "_"], 99, PLAIN),  # no mark
        ([",", "_", "-_", "/", "#", "%", "&"], 99, PLAIN),
        *(([",", mark], 99, (True, "keep", "keep")) for mark in ".;:!?()\"'-"),
        (["well-known"], 99, PLAIN),
        (["well-known", "don't"], 99, (True, "keep", "keep")),
        (["a#b", "c#d"], 99, PLAIN),
        (["a_b", "c d"], 99, PLAIN),
        (["-ab", "cd-"], 99, PLAIN),
    ],
)  # fmt: skip
def test_the_rules_at_their_bounds(keys, n, expected):
    assert told(*keys, n=n) == expected


def test_spelled_digits_may_be_beside_one_number_in_ten_thousand():
    many = [a + b + c for a in string.ascii_lowercase for b in string.ascii_lowercase for c in string.ascii_lowercase]
    keys = [*NAMES, *many[:9989], "7"]
    assert find_normalizer(keys, set(keys)).digits == "spelled"
    assert find_normalizer([*keys[:-2], "7"], set(keys)).digits == "keep"


@pytest.mark.parametrize(
    ("normalizer", "token", "forms"),
    [
        (("keep", "drop"), "Ulm", [("ulm",)]),
        (("keep", "drop"), "well-known", [("well-known",), ("well", "known")]),
        (("keep", "drop"), "a_b", [("a_b",), ("a", "b")]),
        (("keep", "drop"), "...", [("...",), ()]),
        (("#", "drop"), "1984", [("1984",), ("####",), ("####",)]),
        (("0", "drop"), "ab12", [("ab12",), ("ab00",), ("ab00",)]),
        (("spelled", "drop"), "a19", [("a19",), ("a", "one", "nine"), ("a", "one", "nine")]),
        (("keep", "keep"), f"Don{QUOTE}t", [(f"don{QUOTE}t",), ("don't",), ("do", "n't"), ("don", "t")]),
        (("keep", "keep"), "we'll", [("we'll",), ("we", "'ll"), ("we", "ll")]),
        (("keep", "drop"), "we'll", [("we'll",), ("we", "ll")]),
        (("#", "keep"), "3-D", [("3-d",), ("#-d",), ("#", "d")]),
    ],
)
def test_forms_of_a_token_are_the_plainest_first(normalizer, token, forms):
    found = list(TextNormalizer(True, *normalizer).normalized_forms(token))
    assert list(dict.fromkeys(found)) == list(dict.fromkeys(forms))


def test_the_first_form_of_which_all_words_are_known_is_taken_else_the_last():
    normalizer = TextNormalizer(True, "keep", "drop")
    assert normalizer.normalize("well-known", {"well-known"}) == ("well-known",)
    assert normalizer.normalize("well-known", {"well", "known"}) == ("well", "known")
    assert normalizer.normalize("well-known", {"well"}) == ("well", "known")
    assert normalizer.normalize("Ulm", set()) == ("ulm",)
    assert TextNormalizer(False, "keep", "drop").normalize("Ulm", set()) == ("Ulm",)
    assert normalizer.normalize("...", {"."}) == ()


@pytest.mark.parametrize(
    ("lowercase", "level", "forms"),
    [
        (True, "New York", ["New York", "new york", "New_York", "new_york"]),
        (False, "New York", ["New York", "New_York"]),
        (True, " ulm ", [" ulm ", "ulm"]),
        (True, "ulm", ["ulm"]),
    ],
)
def test_cells_may_stand_as_a_whole(lowercase, level, forms):
    assert TextNormalizer(lowercase, "keep", "drop").whole_forms(level) == forms


def test_emoji_are_tokens_as_a_whole():
    text = f"I {HEART}{PICTURE}{HEART} {THUMB}{TONE}{GRIN}!{FLAG}{FLAG} {WOMAN}{JOINER}{CHILD}, a(b)"
    tokens = re.findall(TextNormalizer(True, "keep", "keep").token_pattern, text)
    family = f"{WOMAN}{JOINER}{CHILD}"
    assert tokens == ["I", HEART + PICTURE, HEART, THUMB + TONE, GRIN, "!", FLAG, FLAG, family, ",", "a(b", ")"]


@pytest.mark.parametrize(
    ("token", "known", "words"),
    [
        (GRIN, {GRIN}, (GRIN,)),
        (GRIN, set(), ()),
        (HEART + PICTURE, {HEART}, (HEART,)),
        (HEART, {HEART + PICTURE}, (HEART + PICTURE,)),
        (THUMB + TONE, {THUMB, THUMB + TONE}, (THUMB + TONE,)),
        (THUMB + TONE, {THUMB}, (THUMB,)),
        (WOMAN + JOINER + CHILD, {WOMAN, CHILD}, (WOMAN, CHILD)),
        (WOMAN + JOINER + CHILD, {CHILD}, (CHILD,)),
        ("...", {"."}, ()),
    ],
)
def test_emoji_are_found_as_the_keys_are_written(token, known, words):
    assert TextNormalizer(True, "keep", "keep").normalize(token, known) == words


def test_two_emoji_among_the_keys_say_that_marks_are_words():
    assert told(GRIN)[2] == "drop"
    assert told(GRIN, HEART)[2] == "keep"
    assert told("\u2192", "\u00bd")[2] == "drop"  # no symbols of pictures


def test_documents_of_emoji_have_vectors():
    table = EmbeddingTable([GRIN, HEART + PICTURE, FLAG], np.eye(3))
    vectors = PretrainedVectorizer(table).fit([f"{GRIN} {HEART} {FLAG}"]).transform([f"I {HEART} you", FLAG, "no"])
    np.testing.assert_array_equal(vectors, [[0, 1, 0], [0, 0, 1], [0, 0, 0]])


def test_marks_behind_short_words_are_of_the_token():
    text = "The U.S. economy, Mr. Lee, etc.: it ends. C++, C# and F#9 are 3.14. It's... a.b words. Ph.D.s Nr.5 co+++"
    tokens = re.findall(TextNormalizer(True, "keep", "keep").token_pattern, text)
    assert tokens == [
        "The", "U.S.", "economy", ",", "Mr.", "Lee", ",", "etc.", ":", "it", "ends.", "C++", ",", "C#", "and", "F#9",
        "are", "3.14.", "It's.", ".", ".", "a.b", "words", ".", "Ph.D.s", "Nr.5", "co++", "+",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("token", "known", "words"),
    [
        ("U.S.", {"u.s.", "u", "s", "."}, ("u.s.",)),
        ("U.S.", {"u.s", "."}, ("u.s", ".")),
        ("U.S.", {"u", "s"}, ("u", "s")),
        ("Mr.", {"mr.", "mr"}, ("mr.",)),
        ("end.", {"end"}, ("end",)),
        ("end.", {"end", "."}, ("end", ".")),
        ("end.", {"."}, ("end", ".")),
        ("C++", {"c", "+"}, ("c", "+", "+")),
        ("don't.", {"do", "n't", "."}, ("do", "n't", ".")),
        ("...", {"."}, ()),
    ],
)
def test_abbreviations_are_keys_or_a_word_and_its_marks(token, known, words):
    normalizer = TextNormalizer(True, "keep", "keep")
    assert normalizer.normalize(token, known) == words
    asked = {word for form in normalizer.normalized_forms(token) for word in form}
    assert set(words) <= asked | {word for word in words if word not in known}


def test_marks_are_cut_off_where_they_are_no_words():
    assert TextNormalizer(True, "keep", "drop").normalize("U.S.", {"."}) == ("u", "s")


def test_abbreviations_have_the_vectors_of_their_keys(tmp_path):
    table = EmbeddingTable(["u.s.", "mr.", "u", "s", ".", ",", "end"], np.eye(7))
    expected = [[0.5, 0.5, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0.5, 0, 0.5]]
    table.save(tmp_path / "words.npz")
    for source, keep in ((table, "all"), (tmp_path / "words.npz", "corpus")):
        vectorizer = PretrainedVectorizer(source, keep=keep).fit(["Mr. U.S.", "end. ,"])
        words = vectorizer.embedding_.lookup(table.keys, default=0)
        np.testing.assert_array_equal(vectorizer.transform(["Mr. U.S.", "The END."]), np.array(expected) @ words)


@pytest.mark.parametrize(
    ("token", "known", "words"),
    [
        ("\ufb01lm", {"film"}, ("film",)),
        ("\ufb01lm", {"\ufb01lm", "film"}, ("\ufb01lm",)),
        ("\uff33\uff35\uff2e", {"sun"}, ("sun",)),
        ("\u2026", {"..."}, ("...",)),
        ("\u2026", {"."}, ()),
        ("\ufb01lm", set(), ("film",)),
    ],
)
def test_ligatures_and_wide_letters_are_found_as_plain_ones(token, known, words):
    assert TextNormalizer(True, "keep", "keep").normalize(token, known) == words


def test_cells_with_spaces_that_do_not_break():
    assert {"New York", "new_york"} < set(TextNormalizer(True, "keep", "drop").whole_forms("New\xa0York"))


@pytest.mark.parametrize("punctuation", ["drop", "keep"])
def test_words_are_not_cut_at_what_is_not_seen(punctuation):
    text = "co\xadop\xaderate, \u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645 a\xad b"
    tokens = re.findall(TextNormalizer(True, "keep", punctuation).token_pattern, text)
    assert [token for token in tokens if token != ","] == ["co\xadop\xaderate", text.split()[1], "a\xad", "b"]


@pytest.mark.parametrize(
    ("token", "known", "words"),
    [
        ("Co\xadop\xaderate", {"cooperate", "co", "op", "erate"}, ("cooperate",)),
        ("Co\xadop\xaderate", set(), ("cooperate",)),
        ("Co\xadop\xaderate", {"co\xadop\xaderate"}, ("co\xadop\xaderate",)),
        ("a\u200cb", {"a\u200cb", "ab"}, ("a\u200cb",)),
        ("a\u200cb", {"ab", "a", "b"}, ("ab",)),
        ("a\u200cb", {"a", "b"}, ("a", "b")),
    ],
)
def test_words_without_what_is_not_seen(token, known, words):
    assert TextNormalizer(True, "keep", "drop").normalize(token, known) == words


@pytest.mark.parametrize(
    ("token", "known", "words"),
    [
        ("\u0643\u0650\u062a\u064e\u0627\u0628", {"\u0643\u062a\u0627\u0628"}, ("\u0643\u062a\u0627\u0628",)),
        (
            "\u0643\u0650\u062a\u064e\u0627\u0628",
            {"\u0643\u062a\u0627\u0628", "\u0643\u0650\u062a\u064e\u0627\u0628"},
            ("\u0643\u0650\u062a\u064e\u0627\u0628",),
        ),
        ("\u0643\u062a\u0640\u0640\u0627\u0628", {"\u0643\u062a\u0627\u0628"}, ("\u0643\u062a\u0627\u0628",)),
        ("\u0643\u0650\u062a\u064e\u0627\u0628", set(), ("\u0643\u062a\u0627\u0628",)),
        ("\u05e9\u05b8\u05c1\u05dc\u05d5\u05b9\u05dd", {"\u05e9\u05dc\u05d5\u05dd"}, ("\u05e9\u05dc\u05d5\u05dd",)),
        (
            "\u05d1\u05b5\u05bc\u05d9\u05ea\u05be\u05e9\u05c1\u05b6\u05dd",
            {"\u05d1\u05d9\u05ea", "\u05e9\u05dd"},
            ("\u05d1\u05d9\u05ea", "\u05e9\u05dd"),
        ),
        ("\u0640\u0640", set(), ("\u0640\u0640",)),
        ("\u0130zmir", {"izmir"}, ("izmir",)),
        ("\u0130zmir", {"i\u0307zmir", "izmir"}, ("i\u0307zmir",)),
        ("e\u0307", {"e"}, ("\u0117",)),
        ("\u0939\u093f\u0928\u094d\u0926\u0940", {"\u0939\u0928\u0926"}, ("\u0939\u093f\u0928\u094d\u0926\u0940",)),
    ],
)
def test_points_that_words_are_spelled_without(token, known, words):
    for punctuation in ("drop", "keep"):
        assert TextNormalizer(True, "keep", punctuation).normalize(token, known) == words
