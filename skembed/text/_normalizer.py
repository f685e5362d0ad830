"""Normalization of words as the makers of word vectors wrote them: case, digits, punctuation, told by the keys."""

import re
import unicodedata
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from skembed.state import stored
from skembed.text._tokens import INVISIBLE, combining_marks, word_pattern

__all__ = ["DIGITS", "PUNCTUATION", "TextNormalizer", "find_normalizer"]

DIGITS = ("keep", "#", "0", "spelled")
PUNCTUATION = ("drop", "keep")

_NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_SPELLED = {str(digit): f" {name} " for digit, name in enumerate(_NAMES)}
_DIGIT = re.compile(r"[0-9]")
_CONTRACTION = re.compile(r"(?i)(.*\w)(n't|'(?:s|m|d|re|ve|ll))")  # as the Penn Treebank splits them
_MARKS = frozenset(".,;:!?()\"'-")
_ENDINGS = ".+#"
_SOFT_HYPHEN = "\xad"
_JOINERS = re.compile("[\u200c\u200d]")
# what texts may have and words are spelled without: points and vowels of Hebrew and Arabic, the stroke that makes an
# Arabic word longer, and the dot that is left of a capital I with a dot in small letters
_OPTIONAL = re.compile(
    "[\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed]|(?<=i)\u0307"
)
# marks behind words of up to four letters, or two, that may be part of a key: "u.s.", "mr.", "c++"; first whether there
# is one, since most words have none
_BEHIND_SHORT_WORDS = r"(?:(?=[.+#])(?:\.(?<!\w{5}\.)|\+\+(?<!\w{3}\+\+)|#(?<!\w{3}#))(?!\w))?"
_SELECTOR = re.compile("[\ufe0e\ufe0f]")  # whether a symbol is shown as text or as a picture
_SKIN_TONE = re.compile("[\U0001f3fb-\U0001f3ff]")
_BEHIND_EMOJI = "[\ufe0e\ufe0f\u20e3\U0001f3fb-\U0001f3ff]*"
# a mark of ASCII, found soonest; a flag, two letters of its country; another mark, or symbols that are joined
_MARK_OR_EMOJI = (
    r"[!-/:-@\[-`{-~]|[\U0001f1e6-\U0001f1ff]{2}"
    rf"|[^\w\s]{_BEHIND_EMOJI}(?:\u200d[^\w\s]{_BEHIND_EMOJI})*"
)

_FEW = 0.01  # a share of keys below this is what slips through any cleaning, and no rule
_LEAST_MARKS = 2  # one mark alone among the keys may be a stray


@stored
@dataclass(frozen=True)
class TextNormalizer:
    """The normalization of texts before vectors were learned from them.

    Attributes
    ----------
    lowercase : bool
    digits : {"keep", "#", "0", "spelled"}
        "#" and "0" stand for every digit ("1984" is "####" or "0000"); "spelled": each digit is a word of its own,
        as in text8 ("one nine eight four").
    punctuation : {"drop", "keep"}
        "drop": it stands between words and is no word. "keep": it may be within words ("don't", "well-known"), and
        marks may be words.

    Examples
    --------
    >>> normalizer = TextNormalizer(lowercase=True, digits="spelled", punctuation="drop")
    >>> normalizer.normalize("1984", {"one", "nine", "eight", "four"})
    ('one', 'nine', 'eight', 'four')
    """

    lowercase: bool = True
    digits: str = "keep"
    punctuation: str = "drop"

    @property
    def token_pattern(self) -> str:
        """A regular expression that finds the tokens of a text that `normalize` takes."""
        word = word_pattern(INVISIBLE)
        if self.punctuation == "drop":
            return word
        # Inner marks stay, so that what the vectors hold as one word is found as one; `normalize` splits the others.
        inner = word.removeprefix("(?u)")
        return rf"{word}(?:[^\w\s]+{inner})*{_BEHIND_SHORT_WORDS}|{_MARK_OR_EMOJI}"

    def normalize(self, token: str, known: Container[str]) -> tuple[str, ...]:
        """Return the words that a token is: the first of its normalized forms that is known, or else the last one.

        Parameters
        ----------
        token : str
        known : container of str
            The words that have vectors.

        Returns
        -------
        tuple of str
            Empty for marks that are no words.
        """
        form: tuple[str, ...] = ()
        if (ending := self._ending(token)) and (token.lower() if self.lowercase else token) not in known:
            return *self.normalize(token.removesuffix(ending), known), *(mark for mark in ending if mark in known)
        for form in self.normalized_forms(token):
            if form and all(word in known for word in form):
                return form
        if _is_emoji(token):  # of a family that is no key, those who are
            return tuple(character for character in token if character in known)
        return form

    def normalized_forms(self, token: str) -> Iterator[tuple[str, ...]]:
        """Yield the forms of a token as words, the plainest first: as it is, and then in more parts."""
        word = token.lower() if self.lowercase else token
        yield (word,)
        if _SOFT_HYPHEN in word:
            word = word.replace(_SOFT_HYPHEN, "")
            yield (word,)
        if not word.isascii() and not _is_emoji(word) and (joined := _JOINERS.sub("", word)) != word:
            yield (joined,)
        if (composed := _composed(word)) != word:
            word = composed
            yield (word,)
        if (plain := _compatible(word)) != word:
            yield (plain.lower() if self.lowercase else plain,)
        spelled = word if word.isascii() else _OPTIONAL.sub("", word)
        if spelled not in ("", word):
            yield (spelled,)
        if word.isalpha():
            return
        if ending := self._ending(word):  # what is no abbreviation is a word, and the marks behind it
            yield from self.normalized_forms(word.removesuffix(ending))
            yield from zip(ending)
            return
        if _is_emoji(word):
            yield from _emoji_forms(word)
        if (recoded := self._recoded(word)) != (word,):
            yield recoded
        if self.punctuation == "keep" and not word.replace("_", "").isalnum():
            plain = word.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
            if plain != word:
                yield (plain,)
            if contraction := _CONTRACTION.fullmatch(plain):
                yield contraction.groups()
        for written in dict.fromkeys((word, spelled)):
            parts = tuple(_parts().findall(written))
            if parts != (written,):
                yield tuple(code for part in parts for code in self._recoded(part))

    def _ending(self, token: str) -> str:
        """Return the marks that a token ends in, as abbreviations do; "" if they are no words, or it has no others."""
        if self.punctuation == "drop" or token.isalpha():
            return ""
        core = token.rstrip(_ENDINGS)
        return token.removeprefix(core) if core else ""

    def whole_forms(self, level: str) -> list[str]:
        """Return the keys under which a category, of one word or several, may stand as a whole."""
        forms = [level, level.lower()] if self.lowercase else [level]
        forms += [written(form) for written in (_composed, _compatible) for form in forms]
        return list(dict.fromkeys([*forms, *(form.strip().replace(" ", "_") for form in forms)]))

    def _recoded(self, word: str) -> tuple[str, ...]:
        if self.digits == "keep":
            return (word,)
        if self.digits == "spelled":
            return tuple(_DIGIT.sub(lambda digit: _SPELLED[digit.group()], word).split())
        return (_DIGIT.sub(self.digits, word),)


def _is_emoji(token: str) -> bool:
    """Whether a token begins with a symbol such as emoji are."""
    return bool(token) and not token.isascii() and unicodedata.category(token[0]) == "So"


def _emoji_forms(emoji: str) -> Iterator[tuple[str, ...]]:
    """Yield an emoji without and with the selector of its variant, which texts and tables leave out, and in parts."""
    plain = _SELECTOR.sub("", emoji)
    yield (plain,)
    yield (f"{plain}\N{VARIATION SELECTOR-16}",)
    yield (_SKIN_TONE.sub("", plain),)
    yield tuple(_SKIN_TONE.sub("", plain).replace("\N{ZERO WIDTH JOINER}", ""))


@cache
def _parts() -> re.Pattern[str]:
    return re.compile(rf"[^\W_](?:[^\W_]|[{combining_marks()}])*")


def _composed(word: str) -> str:
    """A word in the form that nearly all texts have, letters and their accents one character (NFC)."""
    return word if word.isascii() else unicodedata.normalize("NFC", word)


def _compatible(word: str) -> str:
    """A word without ligatures, wide letters and the like (NFKC), as PDFs and typesetters leave them in texts."""
    return word if word.isascii() else unicodedata.normalize("NFKC", word)


def find_normalizer(keys: Sequence[str], known: Container[str]) -> TextNormalizer:
    """Tell the normalization of a vocabulary from its keys.

    Lower case, unless more than one key in a hundred has a capital. "#" for digits, where more keys hold "##" than two
    digits in a row; "0", where hardly any digit is another; spelled, where no key has a digit and all of "zero" to
    "nine" are there. Punctuation is kept,
    where two marks or emoji are keys or more than one key in a hundred has a mark within.

    Parameters
    ----------
    keys : sequence of str
        The vocabulary, or a part of it.
    known : container of str
        The vocabulary, or the same part.

    Returns
    -------
    TextNormalizer
    """
    return TextNormalizer(_is_lowercase(keys), _digits_of(keys, known), _punctuation_of(keys, known))


def _is_lowercase(keys: Iterable[str]) -> bool:
    n_letters = n_capital = 0
    for key in keys:
        lower = key.lower()
        n_letters += lower != key.upper()
        n_capital += lower != key
    return n_capital <= _FEW * n_letters


def _digits_of(keys: Sequence[str], known: Container[str]) -> str:
    with_digit = [key for key in keys if _DIGIT.search(key)]
    n_numbers = sum(re.search("[0-9]{2}", key) is not None for key in with_digit)
    if sum("##" in key for key in keys) > n_numbers:
        return "#"
    if n_numbers and sum(re.search("[1-9]", key) is not None for key in with_digit) <= _FEW * len(with_digit):
        return "0"
    if len(with_digit) <= _FEW * _FEW * len(keys) and all(name in known for name in _NAMES):
        return "spelled"
    return "keep"


def _punctuation_of(keys: Sequence[str], known: Container[str]) -> str:
    if sum(mark in known for mark in _MARKS) >= _LEAST_MARKS or sum(map(_is_emoji, keys)) >= _LEAST_MARKS:
        return "keep"
    within = re.compile(rf"\w[^\w\s#{combining_marks()}]+\w")  # '#' may stand for a digit
    return "keep" if sum(within.search(key) is not None for key in keys) > _FEW * len(keys) else "drop"
