"""Documents as rows of a table of given words, their tokens normalized as those that the table was learned from."""

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from skembed.data.corpus import END_TOKEN, EncodedCorpus, as_sequences, encode_documents, whole_documents
from skembed.data.keys import Keys
from skembed.data.ragged import END_OF_DOCUMENT, NO_ROW, Ragged
from skembed.state import check_state, stored
from skembed.text._normalizer import TextNormalizer
from skembed.text._tokens import Tokenizer

__all__ = ["NormalizedEncoder", "normalize_corpus"]


@stored
class NormalizedEncoder:
    """Numbers the words of documents by the rows of a table; may be used by several threads.

    Parameters
    ----------
    keys : Keys
        Row i is that of the i-th word.
    normalizer : TextNormalizer
    tokenizer : Tokenizer
        Text -> tokens that the normalizer turns into words.
    stop_words : iterable of str
        Are left out.
    """

    _state = {"keys": Keys, "normalizer": TextNormalizer, "tokenizer": Tokenizer, "stop_words": list[str]}

    def __init__(self, keys: Keys, normalizer: TextNormalizer, tokenizer: Tokenizer, stop_words: Iterable[str]) -> None:
        self.keys, self.normalizer, self.tokenizer = keys, normalizer, tokenizer
        self.stop_words = frozenset(stop_words)
        self.row_of: dict[Any, int] = keys.index
        self._number: dict[Any, int] = {**self.row_of, END_TOKEN: END_OF_DOCUMENT, **dict.fromkeys(stop_words, NO_ROW)}

    def encode(self, documents: Iterable[str | list], further: dict[str, int] | None = None) -> Iterator[Ragged]:
        """Yield chunks of documents.

        Parameters
        ----------
        documents : iterable of str or list
            The tokens of lists are normalized too, one by one.
        further : dict, optional
            Where words without a row are numbered, from the number of rows on; not given, they are left out.

        Yields
        ------
        Ragged
            Documents may be empty.
        """
        n_rows = len(self.row_of)

        def number(words: list) -> Iterator[int]:
            if further is None:
                return map(self._number.get, words, itertools.repeat(NO_ROW))
            return (
                self._number[word] if word in self._number else n_rows + further.setdefault(word, len(further))
                for word in words
            )

        normalized = (self._normalized(document) if isinstance(document, list) else document for document in documents)
        for stream in whole_documents(encode_documents(normalized, self, number)):
            yield as_sequences(stream)

    def token_chunks(self, text: str) -> Iterator[list[str]]:
        """Yield the words of one text in lists, as a `Tokenizer` does."""
        return map(self._normalized, self.tokenizer.token_chunks(text))

    def encode_words(self, words: list[str]) -> np.ndarray:
        """Return the row of each word, int32 (n_words,); `NO_ROW` for stop words and those without one."""
        return np.fromiter(map(self._number.get, words, itertools.repeat(NO_ROW)), np.int32, count=len(words))

    def _normalized(self, tokens: list) -> list:
        known, normalize = self._number, self.normalizer.normalize
        try:
            if all(map(known.__contains__, tokens)):
                return tokens
        except TypeError:
            pass  # one cannot be hashed, see below
        words: list = []
        for token in tokens:
            try:
                words += (token,) if token in known or not isinstance(token, str) else normalize(token, known)
            except TypeError:
                words.append(token)  # cannot be hashed: who numbers it will say so
        return words

    def __getstate__(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self._state} | {"stop_words": sorted(self.stop_words)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        check_state(NormalizedEncoder, state, self._state)
        self.__init__(**state)  # type: ignore[misc]


def normalize_corpus(corpus: EncodedCorpus, forms: list[tuple[str, ...]]) -> None:
    """Replace each token in a corpus by the words of its normalized form; `forms[i]` is that of token i."""
    number: dict[str, int] = {}
    for form in forms:
        for word in form:
            number.setdefault(word, len(number))
    flat = [number[word] for form in forms for word in form]
    ids = np.array([*flat, END_OF_DOCUMENT], dtype=np.int32)
    words = Ragged.from_ends(ids, np.cumsum([*map(len, forms), 1, 0]))  # END_OF_DOCUMENT finds the last but one

    def rewrite(stream: np.ndarray) -> np.ndarray:
        return words.take(stream).indices

    corpus.rewrite(rewrite, list(number))
