"""Texts -> words, as CountVectorizer does it."""

import itertools
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Any

from skembed.data.documents import plain_strings, read_documents
from skembed.state import check_state, stored

__all__ = ["INVISIBLE", "TOKEN_PATTERN", "Tokenizer", "combining_marks", "word_pattern", "words_with_marks"]

TOKEN_PATTERN = r"(?u)\b\w\w+\b"  # as in CountVectorizer
# patterns of runs of letters, digits and underscores -> the shortest run that is a word
_RUNS = {TOKEN_PATTERN: 2, r"(?u)\b\w+\b": 1}
_WITH_MARKS = r"(?u)\w[\w"  # what `word_pattern` begins with
# where Unicode has marks that are combined with letters; between lie ideographs, Hangul, and selectors of variants
_PLANES_OF_MARKS = (range(0x300, 0x3100), range(0xA66F, 0xAC00), range(0xFB1E, 0xFB1F), range(0xFE20, 0xFE30),
                    range(0x101FD, 0x12000), range(0x16A00, 0x1E960))  # fmt: skip
_LONG_TEXT = 2**22  # characters; longer documents are tokenized chunk by chunk
_PIECE_TOKENS = 2**18
INVISIBLE = "\xad\u200c\u200d"  # within words: where they may be broken, and how letters beside each other are drawn
_WHITESPACE = re.compile(r"\s")


@cache
def combining_marks() -> str:
    """Vowel signs, accents and other marks of letters, as they are written in a class of a regular expression.

    To `re` they are no part of a word, which breaks those of Hindi, and accents that are characters of their own.
    """
    codes = itertools.chain.from_iterable(_PLANES_OF_MARKS)
    marks = [code for code in codes if unicodedata.category(chr(code)) in ("Mn", "Mc")]
    firsts = [code for code, before in zip(marks, [-1, *marks]) if code != before + 1]
    lasts = [code for code, after in zip(marks, [*marks[1:], -1]) if after != code + 1]
    return "".join(f"{chr(first)}-{chr(last)}" for first, last in zip(firsts, lasts))


def word_pattern(within: str = "") -> str:
    """A regular expression of a run of letters, digits and underscores, with the marks of the letters.

    Parameters
    ----------
    within : str, default=""
        Further characters that may stand within a word and at its end.

    Examples
    --------
    >>> list(map(len, re.findall(word_pattern(), "cafe\\u0301 au lait")))  # a letter, and its accent behind it
    [5, 2, 4]
    """
    return f"{_WITH_MARKS}{combining_marks()}{within}]*"


@cache
def words_with_marks() -> re.Pattern[str]:
    """Return the pattern of words that have vowel signs, accents or other marks as characters of their own."""
    return re.compile(rf"(?<!\w)\w++[{combining_marks()}][\w{combining_marks()}]*")  # looks at each letter once


@stored
class Tokenizer:
    """Turns one text into words as CountVectorizer does; several times as fast where the text is ASCII.

    Parameters
    ----------
    lowercase : bool
    tokenizer : callable or None
        Text -> iterable of words, in place of `token_pattern`.
    token_pattern : str or None
        A regular expression; with one group, the group is the word. None is for those with a `tokenizer`.
    missing : {"error", "empty"}, default="error"
        What missing documents are.

    Examples
    --------
    >>> list(Tokenizer(True, None, TOKEN_PATTERN).token_chunks("A cat, THE cat's mat"))
    [['cat', 'the', 'cat', 'mat']]
    """

    _state = {"lowercase": bool, "tokenizer": Any, "token_pattern": str | None, "missing": str}

    def __init__(
        self,
        lowercase: bool,
        tokenizer: Callable[[str], Iterable[str]] | None,
        token_pattern: str | None,
        missing: str = "error",
    ) -> None:
        self.lowercase = lowercase
        self.tokenizer = tokenizer
        self.token_pattern = token_pattern
        self.missing = missing
        if tokenizer is None and token_pattern is None:
            raise ValueError("token_pattern=None needs a tokenizer; pass one, or leave token_pattern out.")
        try:
            self._pattern = re.compile(token_pattern or "")
        except re.error as error:
            raise ValueError(f"token_pattern={token_pattern!r} is no regular expression: {error}.") from error
        if self._pattern.groups > 1:
            raise ValueError(
                f"token_pattern={token_pattern!r} has {self._pattern.groups} groups, expected at most one, which is "
                "the word; write the others as (?:...)."
            )
        self._shortest = _shortest_run(token_pattern or "") if tokenizer is None else None
        ascii_characters = map(chr, range(128))
        # For ASCII such a pattern is: everything else is a space, and words have so many characters or more.
        self._ascii_table = "".join(
            (c.lower() if lowercase else c) if c.isalnum() or c == "_" else " " for c in ascii_characters
        )

    def __getstate__(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self._state}

    def __setstate__(self, state: dict[str, Any]) -> None:
        check_state(Tokenizer, state, self._state.keys() - {"missing"})  # it was added
        self.__init__(**state)  # type: ignore[misc]

    def documents(self, X: Any) -> Iterator[str | list]:
        """Yield the documents of `X`, as `token_chunks` takes them, and token lists as it would return their words."""
        return read_documents(X, missing=self.missing, lowercase=self.lowercase)

    def token_chunks(self, text: str) -> Iterable[list[str]]:
        """Return the words of one text in lists, one list unless the text is long."""
        if len(text) <= _LONG_TEXT or self.tokenizer is not None:
            return (self._words(text),)
        return self._pieces(text)

    def words(self, text: str) -> list[str]:
        """Return the words of one text, which is not long."""
        return list(itertools.chain.from_iterable(self.token_chunks(text)))

    def _pieces(self, text: str) -> Iterator[list[str]]:
        if self._shortest is not None:  # no word contains a space, so that cutting there changes nothing
            start = 0
            while start < len(text):
                gap = _WHITESPACE.search(text, start + _LONG_TEXT)
                stop = len(text) if gap is None else gap.start()
                yield self._words(text[start:stop])
                start = stop
        else:
            text = text.lower() if self.lowercase else text
            found = (match[self._pattern.groups] for match in self._pattern.finditer(text))
            while words := list(itertools.islice(found, _PIECE_TOKENS)):
                yield words

    def _words(self, text: str) -> list[str]:
        if self._shortest is not None and text.isascii():
            words = text.translate(self._ascii_table).split()
            return words if self._shortest == 1 else [word for word in words if len(word) > 1]
        text = text.lower() if self.lowercase else text
        if self.tokenizer is None:
            return self._pattern.findall(text)
        returned: Any = self.tokenizer(text)
        if isinstance(returned, (str, bytes)) or not isinstance(returned, Iterable):
            raise TypeError(
                f"tokenizer={self.tokenizer!r:.60} returned {returned!r:.60} of type {type(returned).__name__}, "
                "expected a list of words: str.split, for instance."
            )
        return plain_strings(list(returned))


def _shortest_run(token_pattern: str) -> int | None:
    """The shortest run of letters, digits and underscores that is a word; None for patterns of other words."""
    if token_pattern.startswith(_WITH_MARKS) and token_pattern in (word_pattern(), word_pattern(INVISIBLE)):
        return 1
    return _RUNS.get(token_pattern)
