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

_UNSEEN = -9  # of tokens, before they are normalized


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
    added : ndarray of shape (n_added,), int32, default=None
        Rows of words that had no vector in the source, which `fit` did not look for when it normalized tokens.

    Attributes
    ----------
    known : dict
        What tokens are normalized to first: words of the source, and stop words, with `NO_ROW` in place of a row.
    """

    _state = {
        "keys": Keys, "normalizer": TextNormalizer, "tokenizer": Tokenizer, "stop_words": list[str],
        "added": np.ndarray,
    }  # fmt: skip

    def __init__(
        self,
        keys: Keys,
        normalizer: TextNormalizer,
        tokenizer: Tokenizer,
        stop_words: Iterable[str],
        added: np.ndarray | None = None,
    ) -> None:
        self.keys, self.normalizer, self.tokenizer = keys, normalizer, tokenizer
        self.stop_words = frozenset(stop_words)
        self.added = np.empty(0, dtype=np.int32) if added is None else added
        self.known: dict[Any, int] = {**keys.index, END_TOKEN: END_OF_DOCUMENT, **dict.fromkeys(stop_words, NO_ROW)}
        self._added = {word: self.known.pop(word) for word in keys.array[np.unique(self.added)].tolist()}
        self._as_they_are = {
            word: row
            for word, row in self._added.items()
            if word.isalnum() and normalizer.normalize(word, self.known) == (word,)
        }

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
        blocks = encode_documents(documents, self.tokenizer, lambda tokens: self._rows(tokens, further))
        return map(as_sequences, whole_documents(blocks))

    def encode_words(self, words: list[str]) -> np.ndarray:
        """Return the row of each word, int32 (n_words,); `NO_ROW` for stop words and those without one."""
        return np.fromiter(map(self._row, words, itertools.repeat(NO_ROW)), np.int32, count=len(words))

    def _row(self, word: Any, default: int | None = None) -> int | None:
        """Return the number of a word of a normalized form."""
        row = self.known.get(word)
        return self._added.get(word, default) if row is None else row

    def _rows(self, tokens: list, further: dict[str, int] | None) -> np.ndarray:
        """Return the rows of tokens; a token that is no word of the table has those of its normalized form."""
        rows = np.fromiter(map(self.known.get, tokens, itertools.repeat(_UNSEEN)), np.int32, count=len(tokens))
        unseen = np.flatnonzero(rows == _UNSEEN)
        if self._as_they_are and unseen.size:
            others = map(self._as_they_are.get, [tokens[place] for place in unseen.tolist()], itertools.repeat(_UNSEEN))
            rows[unseen] = np.fromiter(others, np.int32, count=len(unseen))
            unseen = unseen[rows[unseen] == _UNSEEN]
        if not unseen.size:
            return rows
        rows_of: dict[str, list[int]] = {}
        parts = []
        for place in unseen.tolist():
            token = tokens[place]
            if token not in rows_of:
                rows_of[token] = self._rows_of_form(token, further)
            parts.append(rows_of[token])
        lengths = np.ones(len(rows), dtype=np.int64)
        lengths[unseen] = [len(part) for part in parts]
        seen = np.repeat(rows != _UNSEEN, lengths)
        found = np.empty(len(seen), dtype=np.int32)
        found[seen] = rows[rows != _UNSEEN]
        found[~seen] = [row for part in parts for row in part]
        return found

    def _rows_of_form(self, token: Any, further: dict[str, int] | None) -> list[int]:
        form = self.normalizer.normalize(token, self.known) if isinstance(token, str) else (token,)
        rows = [self._row(word) for word in form]
        if further is None:
            return [NO_ROW if row is None else row for row in rows]
        n_rows = len(self.keys)
        return [
            n_rows + further.setdefault(word, len(further)) if row is None else row for word, row in zip(form, rows)
        ]

    def __getstate__(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self._state} | {"stop_words": sorted(self.stop_words)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        check_state(NormalizedEncoder, state, self._state.keys() - {"added"})  # older ones lack it
        added, n_words = state.get("added", np.empty(0, dtype=np.int32)), len(state["keys"])
        if added.dtype != np.int32 or added.ndim != 1 or not ((added >= 0) & (added < n_words)).all():
            raise ValueError(f"NormalizedEncoder: expected 'added' to be rows of {n_words} words, got {added!r:.60}")
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
