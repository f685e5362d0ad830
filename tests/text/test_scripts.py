"""Words in other scripts: what a pattern of words cuts, does not cut or leaves out is told of; the I of Turkish."""
# ruff: noqa: RUF001

import re
import unicodedata
import warnings

import numpy as np
import pytest

from skembed import EmbeddingTable, FastTextClassifier, PretrainedVectorizer, Word2VecVectorizer
from skembed.text._scripts import warned_of_scripts
from skembed.text._tokens import TOKEN_PATTERN, Tokenizer, word_pattern, words_with_marks

HINDI = ["आधुनिक मानक हिन्दी", "नमस्ते दुनिया", "यह अच्छी किताब है"]
CHINESE = ["今天下午三点我们在公司开会。", "昨天晚上下了一场大雨，路上都是水。", "好的，谢谢。"]
CHINESE_WORDS = [
    "今天 下午 三点 我们 在 公司 开会 。",
    "昨天 晚上 下 了 一场 大雨 ， 路上 都 是 水 。",
    "好的 ， 谢谢 。",
]
JAPANESE = ["今日の午後三時から会議室で打ち合わせがあります。", "この本はとても面白いです。", "コンピューターが壊れた"]
JAPANESE_WORDS = ["今日 の 午後 三 時 から 会議室 で 打ち合わせ が あり ます 。", "この 本 は とても 面白い です 。"]
THAI = ["วันนี้ตอนบ่ายเราจะประชุมกัน", "เมื่อคืนฝนตกหนักมาก", "ร้านอาหารนี้บริการดีมาก"]
THAI_WORDS = ["วันนี้ ตอนบ่าย เรา จะ ประชุม กัน", "เมื่อคืน ฝน ตก หนัก มาก", "ร้านอาหาร นี้ บริการ ดี มาก"]
KOREAN = ["오늘 오후 세 시에 회의가 있습니다.", "그 책은 참 재미있어서 꼭 권하고 싶다."]
RUSSIAN = ["Я был в доме и в саду, а он с ней у реки.", "Я и ты"]
ENGLISH = [
    "the cat sat on the mat",
    "a naïve café and a piñata",
    "x = y + i",
    "Tokyo is 東京都渋谷区 in the script of Japan",
]


def said(texts, pattern=TOKEN_PATTERN, *, name="X", tokenizer=None):
    """The warnings of reading texts."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert list(warned_of_scripts(texts, Tokenizer(True, tokenizer, pattern), name=name)) == texts
    return [str(warning.message) for warning in caught]


@pytest.mark.parametrize("pattern", [TOKEN_PATTERN, r"(?u)\b\w+\b", r"\w+", r"\S+", word_pattern()])
@pytest.mark.parametrize("texts", [CHINESE, JAPANESE, THAI])
def test_texts_without_spaces_between_words(texts, pattern):
    (message,) = said(texts, pattern)
    assert re.match(
        r"words of X, such as '\w[^ ]{4,}', are parts of sentences, since their script has no spaces between words, "
        r"and token_pattern cuts nowhere else. Pass a tokenizer for this language, or lists of words as documents.$",
        message,
    )
    (message,) = said(texts, pattern, name="texts")
    assert message.startswith("words of texts, such as")
    assert message.endswith("cuts nowhere else. Pass lists of words as documents.")
    assert said(texts, tokenizer=list) == said([list(text) for text in texts], pattern) == []
    assert not any("parts of sentences" in one for one in said(texts, r"\w"))
    assert said(["the cat sat on the mat"] * 40 + texts, pattern) == []


@pytest.mark.parametrize("texts", [CHINESE_WORDS, JAPANESE_WORDS])
def test_words_of_one_ideograph(texts):
    (message,) = said(texts)
    found = re.match(
        r"(\d+)% of the words of X, such as '\w', have one character, and token_pattern leaves them out, as "
        r"CountVectorizer's does. Pass token_pattern=r'(.*)' to keep them.$",
        message,
    )
    words = [word for text in texts for word in text.split()]
    share = sum(len(word) == 1 and word.isalpha() for word in words) / len(words)
    assert int(found[1]) == round(100 * share)
    assert said(texts, found[2]) == said(texts, r"\S+") == said(texts, r"[一-龥]") == []


def test_words_that_are_cut_at_their_marks():
    for texts in (HINDI, THAI_WORDS, [unicodedata.normalize("NFD", text) for text in ENGLISH[1:2]]):
        for pattern in (TOKEN_PATTERN, r"\w+"):
            (message,) = said(texts, pattern)
            pattern = re.search(r"token_pattern=r'(.*)' or a tokenizer;", message)[1]
            assert said(texts, pattern) == said(texts, word_pattern()) == []
            assert "or a tokenizer" not in said(texts, name="texts")[0]
    assert re.findall(pattern, "يَكْتُبُ؟ نعم، हिन्दी।") == ["يَكْتُبُ", "نعم", "हिन्दी"]
    assert said(HINDI, "[0-9]+") == []  # looks for something else


@pytest.mark.parametrize("texts", [KOREAN, RUSSIAN, ENGLISH, [], [""]])
def test_of_other_texts_nothing_is_said(texts):
    assert said(texts) == []


def test_what_is_looked_at_is_bounded(monkeypatch):
    from skembed.text import _scripts

    looked = []
    monkeypatch.setattr(_scripts._Seen, "add", lambda seen, text: looked.append(text))
    said(["a" * 10_001])
    assert looked == ["a" * 10_000]
    monkeypatch.undo()
    seen = _scripts._Seen()
    for _ in range(9_999):
        seen.add("一。二。")
    assert seen.n_words == 19_998  # whatever a text without spaces holds counts
    assert words_with_marks().findall(f"{'a' * 9_999}é {'字' * 10_000} e\u0301te\u0301") == [
        "e\u0301te\u0301"
    ]  # at once


@pytest.mark.filterwarnings("ignore:there was nothing to learn from")
@pytest.mark.parametrize("estimator", [Word2VecVectorizer, FastTextClassifier])
def test_whoever_learns_from_texts_tells(estimator):
    made = estimator(4, min_count=1, max_iter=1, random_state=0)
    for texts, begin in (
        (HINDI, "words of X, such as 'आधुनिक', have vowel signs"),
        (CHINESE, "words of X, such as '今天"),
    ):
        with pytest.warns(UserWarning, match=begin):
            made.set_params(token_pattern=TOKEN_PATTERN).fit(texts * 4, [0, 1, 0] * 4)
    learned = made.set_params(token_pattern=r"[^\s.,;:!?()\u0964]+").fit(HINDI * 4, [0, 1, 0] * 4)
    assert {"आधुनिक", "हिन्दी", "नमस्ते"} <= set(learned.vocabulary_)


def test_turkish_that_is_cut_in_lower_case():
    texts = ["İstanbul ve İZMİR uzak", "Işık ile istanbul"] + ["bir iki üç"] * 300
    (message,) = said(texts)
    assert message == (
        "words of X, such as 'İstanbul', are cut in lower case, which has i and a dot of its own for İ: 'i̇stanbul' "
        "becomes ['stanbul']. Pass lowercase=False and texts in the lower case of Turkish: "
        "text.replace('I', 'ı').replace('İ', 'i').lower()."
    )
    lowered = [text.replace("I", "ı").replace("İ", "i").lower() for text in texts]
    assert lowered[:2] == ["istanbul ve izmir uzak", "ışık ile istanbul"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        learned = FastTextClassifier(2, lowercase=False, max_iter=1, calibrate=False).fit(lowered, [0, 1] * 151)
    assert {"istanbul", "izmir", "ışık"} <= set(learned.vocabulary_)
    assert said(texts, r"\S+") == said(texts, word_pattern()) == []
    assert said([*texts, *["bir iki üç"] * 1000]) == []  # a name in other texts


@pytest.mark.parametrize("key", ["istanbul", "i̇stanbul"])
@pytest.mark.parametrize("marks", [[], [".", ","]])
def test_a_table_may_have_it_with_and_without_the_dot(key, marks):
    table = EmbeddingTable([key, "da", *marks], np.eye(2 + len(marks)))
    vectorizer = PretrainedVectorizer(table).fit(["da"])
    expected = np.vstack([table[key], (table[key] + table["da"]) / 2, table[key]])
    np.testing.assert_allclose(vectorizer.transform(["İSTANBUL", "İstanbul'da", ["İstanbul"]]), expected)
