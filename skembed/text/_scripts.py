"""Scripts in which a regular expression finds other words than there are: told of while texts are read."""

import re
from collections.abc import Iterable, Iterator

from skembed.text._tokens import Tokenizer, words_with_marks
from skembed.warning import warn

__all__ = ["warned_of_scripts"]

_LOOKED_AT_WORDS, _LOOKED_AT_CHARACTERS = 20_000, 10_000  # of a corpus, and of a text, that tell how words are written
_OFTEN = 0.1  # a share of the words; below it they are names and quotations in texts of other words
_TURKISH = 0.001  # a share of words with a dotted capital I, of which texts of Turkish have ten times as many
# Characters of scripts that have no spaces between words, and a number of them that is more than half of the words
# have: kana and ideographs; and those of Thai, Lao, Burmese and Khmer, among them vowels and signs.
_IDEOGRAPH = "[\u3005\u3041-\u3096\u30a1-\u30fa\u30fc-\u30ff\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff]"
_UNSPACED = [
    (re.compile(f"{_IDEOGRAPH}+"), 5),
    (re.compile("[\u0e01-\u0e3a\u0e40-\u0e4e\u0e81-\u0ece\u1000-\u103f\u1050-\u109d\u1780-\u17d3]+"), 10),
]
_ALONE = re.compile(rf"(?<!\w){_IDEOGRAPH}(?!\w)")
_DOTTED = re.compile(r"\u0130\w*")
_PAIR = "ab\u093ecd"  # letters on both sides of a vowel sign


def warned_of_scripts(
    documents: Iterable[str | list], tokenizer: Tokenizer, *, name: str = "X"
) -> Iterator[str | list]:
    """Yield documents, and at their end warn if a tenth of the words of their texts are not found as they are.

    That is, if a script has no spaces between words, so that parts of sentences are found; if words are cut at their
    vowel signs or accents; or if words of one ideograph are left out, a third of the words of Chinese. Of Turkish it
    warns of words that are cut at the dot which `str.lower` leaves of a capital I that has one.

    Parameters
    ----------
    documents : iterable of str or list
    tokenizer : Tokenizer
        With a function in place of a pattern it is believed.
    name : str, default="X"
        Of the documents, for messages; "X" are those of whoever has a parameter `tokenizer`.
    """
    if tokenizer.tokenizer is not None:
        yield from documents
        return
    seen = _Seen()
    for document in documents:
        if isinstance(document, str) and seen.n_words < _LOOKED_AT_WORDS:
            seen.add(document[:_LOOKED_AT_CHARACTERS])
        yield document
    message = seen.message(tokenizer, name)
    if message is not None:
        warn(message)


class _Seen:
    """How the words of texts are written."""

    def __init__(self) -> None:
        self.n_words = 0
        self._runs: list[list[str]] = [[] for _ in _UNSPACED]
        self._marked: list[str] = []
        self._alone: list[str] = []
        self._dotted: list[str] = []

    def add(self, text: str) -> None:
        n_words = len(text.split())
        if not text.isascii():
            n_runs = 0
            for runs, (script, _) in zip(self._runs, _UNSPACED):
                found = script.findall(text)
                n_runs += len(found)
                runs += found
            n_words = max(n_words, n_runs)
            self._marked += words_with_marks().findall(text)
            self._alone += _ALONE.findall(text)
            self._dotted += _DOTTED.findall(text) if "\u0130" in text else []
        self.n_words += n_words

    def message(self, tokenizer: Tokenizer, name: str) -> str | None:
        """What is to be said of a tokenizer, if anything."""
        way_out = "Pass a tokenizer for this language, or lists of words" if name == "X" else "Pass lists of words"
        for runs, (_, many) in zip(self._runs, _UNSPACED):
            long = [run for run in runs if len(run) >= many]
            if self._often(runs) and 2 * len(long) > len(runs) and _is_one_word(long[0][:1] * many, tokenizer):
                return (
                    f"words of {name}, such as {long[0]!r:.60}, are parts of sentences, since their script has no "
                    f"spaces between words, and token_pattern cuts nowhere else. {way_out} as documents."
                )
        if self._often(self._marked) and len(tokenizer.words(_PAIR)) > 1:
            tokenizers = " or a tokenizer" if name == "X" else ""
            return (
                f"words of {name}, such as {self._marked[0]!r:.60}, have vowel signs or accents that are characters of "
                "their own, and token_pattern cuts words there, as CountVectorizer's does. Pass "
                rf"token_pattern=r'[^\s.,;:!?()\u0964\u060c\u061b\u061f]+'{tokenizers}; accents become one character "
                "with their letters by unicodedata.normalize('NFC', text)."
            )
        if self._often(self._alone) and not tokenizer.words(self._alone[0]) and _is_one_word("\u4e00\u4e00", tokenizer):
            return (
                f"{len(self._alone) / self.n_words:.0%} of the words of {name}, such as {self._alone[0]!r}, have one "
                "character, and token_pattern leaves them out, as CountVectorizer's does. Pass "
                r"token_pattern=r'(?u)\b\w+\b' to keep them."
            )
        if len(self._dotted) > _TURKISH * self.n_words and tokenizer.lowercase and len(tokenizer.words(_PAIR)) > 1:
            dotted = self._dotted[0]
            return (
                f"words of {name}, such as {dotted!r:.60}, are cut in lower case, which has i and a dot of its own "
                f"for \u0130: {dotted.lower()!r:.60} becomes {tokenizer.words(dotted)!r:.60}. Pass lowercase=False "
                "and texts in the lower case of Turkish: text.replace('I', '\u0131').replace('\u0130', 'i').lower()."
            )
        return None

    def _often(self, words: list[str]) -> bool:
        return len(words) > _OFTEN * self.n_words


def _is_one_word(letters: str, tokenizer: Tokenizer) -> bool:
    return tokenizer.words(letters) == [letters]
