"""Documents -> rows of a table of words: all that a fitted vectorizer knows of its words."""

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from skembed.data.corpus import END_TOKEN, as_sequences, encode_documents, whole_documents
from skembed.data.keys import Keys
from skembed.data.ragged import END_OF_DOCUMENT, NO_ROW, Ragged
from skembed.state import check_state, state_types, stored
from skembed.text._phrases import PhraseRounds, Phrases, phrase_of
from skembed.text._tokens import Tokenizer

__all__ = ["WordEncoder"]


@stored
class WordEncoder:
    """Numbers the words of documents by a vocabulary, phrases joined; may be used by several threads.

    Parameters
    ----------
    keys : Keys
        The words; row i is that of the i-th.
    rounds : list of list of (str, str)
        Phrases, as `learn_phrases` returns them.
    tokenizer : Tokenizer
    """

    _state = {"keys": Keys, "rounds": list[list[tuple[str, str]]], "tokenizer": Tokenizer}

    def __init__(self, keys: Keys, rounds: PhraseRounds, tokenizer: Tokenizer) -> None:
        self.keys = keys
        self.rounds = rounds
        self.tokenizer = tokenizer
        self._build_index()

    def _build_index(self) -> None:
        number: dict[Any, int] = dict(self.keys.index)
        n_rows = len(number)
        for first, second in itertools.chain.from_iterable(self.rounds):
            for word in (first, second, phrase_of(first, second)):  # parts need numbers, but have no row
                number.setdefault(word, len(number))
        self._phrases = Phrases(self.rounds, number)
        self._row_of = np.full(len(number) + 2, NO_ROW, dtype=np.int32)
        self._row_of[:n_rows] = np.arange(n_rows)
        self._row_of[END_OF_DOCUMENT] = END_OF_DOCUMENT  # it and NO_ROW find the last two entries, themselves
        self._index = {**number, END_TOKEN: END_OF_DOCUMENT}

    def encode(self, documents: Iterable[str | list], *, keep_unknown: bool = False) -> Iterator[Ragged]:
        """Yield chunks of documents.

        Parameters
        ----------
        documents : iterable of str or list
        keep_unknown : bool
            Whether words without a row stay, as `NO_ROW`, or are left out.

        Yields
        ------
        Ragged
            Documents may be empty.
        """
        blocks = encode_documents(documents, self.tokenizer, self._numbers)
        for stream in whole_documents(blocks):
            rows = self._row_of[self._phrases.join(stream)] if self.rounds else stream
            yield as_sequences(rows, keep_unknown=keep_unknown)

    def _numbers(self, tokens: list) -> Iterator[int]:
        return map(self._index.get, tokens, itertools.repeat(NO_ROW))

    def __getstate__(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in state_types(type(self))}

    def __setstate__(self, state: dict[str, Any]) -> None:
        check_state(type(self), state, state_types(type(self)))
        self.__init__(**state)  # type: ignore[misc]
