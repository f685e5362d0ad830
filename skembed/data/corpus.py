"""Documents as a stream of word numbers, and a corpus held as such a stream."""

import itertools
import tempfile
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any, Protocol

import numpy as np

from skembed.data.ragged import END_OF_DOCUMENT, NO_ROW, Ragged

__all__ = ["END_TOKEN", "EncodedCorpus", "as_sequences", "encode_documents", "whole_documents"]

END_TOKEN = object()  # the token whose number is END_OF_DOCUMENT: no document can hold it

_BLOCK_TOKENS = 2**18  # tokens held as strings at a time: about 20 MB
_CHUNK_TOKENS = 2**20  # ids of a chunk
_HELD_BYTES = 2**28  # ids beyond these go to a temporary file


class Tokenizer(Protocol):
    """What cuts a text into words, a bounded number at a time."""

    def token_chunks(self, text: str) -> Iterable[list[str]]: ...


def encode_documents(
    documents: Iterable[str | list], tokenizer: Tokenizer, number: Callable[[list], Iterable[int] | np.ndarray]
) -> Iterator[np.ndarray]:
    """Yield the documents as one stream of ids in blocks, `END_OF_DOCUMENT` after each.

    Parameters
    ----------
    documents : iterable of str or list
        Texts are tokenized, lists are tokens already.
    tokenizer : Tokenizer
    number : callable
        Tokens -> their ids: an iterable of one each, or an array of any number.

    Yields
    ------
    ndarray of shape (n,), int32
        A block may end within a document.
    """
    block: list = []
    for document in documents:
        for words in tokenizer.token_chunks(document) if isinstance(document, str) else (document,):
            block += words
            if len(block) >= _BLOCK_TOKENS:
                yield _numbers(block, number)
                block = []
        block.append(END_TOKEN)
    yield _numbers(block, number)


def _numbers(block: list, number: Callable[[list], Iterable[int] | np.ndarray]) -> np.ndarray:
    try:
        ids = number(block)
        if isinstance(ids, np.ndarray):
            return ids.astype(np.int32, copy=False)
        return np.fromiter(ids, dtype=np.int32, count=len(block))
    except TypeError:
        for token in block:
            try:
                hash(token)
            except TypeError:
                raise TypeError(
                    f"a token list holds {token!r} of type {type(token).__name__}, expected strings."
                ) from None
        raise


def whole_documents(blocks: Iterable[np.ndarray], *, longest: int | None = None) -> Iterator[np.ndarray]:
    """Cut a stream of ids between documents.

    Parameters
    ----------
    blocks : iterable of int32 arrays
        As of `encode_documents`.
    longest : int, optional
        Documents longer than this may be cut, so that what is yielded is bounded by it and a block.

    Yields
    ------
    ndarray of shape (n,), int32
        Ends with `END_OF_DOCUMENT`.
    """
    waiting: list[np.ndarray] = []
    n_waiting = 0
    for block in blocks:
        ends = np.flatnonzero(block == END_OF_DOCUMENT)
        if ends.size:
            yield np.concatenate([*waiting, block[: ends[-1] + 1]])
            waiting, n_waiting = [], 0
            block = block[ends[-1] + 1 :]
        waiting.append(block)
        n_waiting += block.size
        if longest is not None and n_waiting >= longest:
            yield np.append(np.concatenate(waiting), np.int32(END_OF_DOCUMENT))
            waiting, n_waiting = [], 0


def as_sequences(stream: np.ndarray, *, keep_unknown: bool = False) -> Ragged:
    """Return whole documents as sequences, which may be empty; `NO_ROW` is left out unless it is to be kept."""
    if not keep_unknown:
        stream = stream[stream != NO_ROW]
    ends = np.flatnonzero(stream == END_OF_DOCUMENT)
    return Ragged.from_ends(stream[stream != END_OF_DOCUMENT], ends - np.arange(ends.size))


class EncodedCorpus:
    """A corpus that was read once, as a stream of word numbers that can be read many times.

    Four bytes a word: in memory up to 256 MiB, in a temporary file (of the folder that `tempfile` chooses) beyond.
    Texts are tokenized once, however many passes follow, and a generator need not be read twice.

    Attributes
    ----------
    words : list of str
        Number i is the word ``words[i]``, in order of first appearance.
    counts : ndarray of shape (n_words,), int64
    n_documents : int
    """

    def __init__(self, words: list[str]) -> None:
        self.words = words
        self.counts = np.zeros(len(words), dtype=np.int64)
        self.n_documents = 0
        self._file = tempfile.SpooledTemporaryFile(max_size=_HELD_BYTES)  # noqa: SIM115 (closed in __exit__)
        self._n_ids = 0

    @classmethod
    def read(cls, documents: Iterable[str | list], tokenizer: Tokenizer) -> "EncodedCorpus":
        """Read all documents once.

        Raises
        ------
        TypeError
            If a token is not a string.
        """
        index: defaultdict[Any, int] = defaultdict(itertools.count().__next__)
        index[END_TOKEN] = END_OF_DOCUMENT
        corpus = cls([])
        try:
            for block in encode_documents(documents, tokenizer, lambda tokens: map(index.__getitem__, tokens)):
                corpus._append(block, len(index) - 1)
        except BaseException:
            corpus._file.close()
            raise
        del index[END_TOKEN]
        corpus.words = list(index)
        for word in corpus.words:
            if not isinstance(word, str):
                corpus._file.close()
                raise TypeError(
                    f"a token list holds {word!r} of type {type(word).__name__}, expected strings; "
                    "turn the tokens into strings first: [str(token) for token in document]."
                )
        return corpus

    def rewrite(self, change: Callable[[np.ndarray], np.ndarray], words: list[str]) -> None:
        """Replace the stream by what `change` makes of whole documents, and the words by `words`."""
        changed = EncodedCorpus(words)
        for stream in whole_documents(self.blocks()):
            changed._append(change(stream), len(words))
        self._file.close()
        self.__dict__.update(changed.__dict__)

    def _append(self, block: np.ndarray, n_words: int) -> None:
        words, n_new = block[block != END_OF_DOCUMENT], n_words - self.counts.size
        self.n_documents += block.size - words.size
        self.counts = np.pad(self.counts, (0, n_new)) + np.bincount(words, minlength=n_words)
        self._file.write(block.tobytes())
        self._n_ids += block.size

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield the stream in blocks of equal size, the last one shorter; `END_OF_DOCUMENT` after each document."""
        for start in range(0, self._n_ids, _CHUNK_TOKENS):
            self._file.seek(4 * start)
            yield np.frombuffer(self._file.read(4 * min(_CHUNK_TOKENS, self._n_ids - start)), dtype=np.int32)

    def numbers(self, left_out: Collection[str]) -> np.ndarray:
        """Return each word's own number for `row_of`, and `NO_ROW` for the words that are left out."""
        numbers = np.arange(len(self.words), dtype=np.int32)
        numbers[[number for number, word in enumerate(self.words) if word in left_out]] = NO_ROW
        return numbers

    def sequences(self, row_of: np.ndarray, *, whole: bool = False) -> "Sequences":
        """Return the corpus as chunks for a trainer; `row_of[i]` is the row of word i, or `NO_ROW`.

        A document of more than a million words is several sequences, unless they are to be `whole`.
        """
        return Sequences(self, row_of, None if whole else _CHUNK_TOKENS)

    def documents(self, row_of: np.ndarray, *, longest: int | None = None) -> Iterator[Ragged]:
        """Yield documents as `as_sequences` does; `row_of[i]` is the row of word i, or `NO_ROW`."""
        row_of = np.append(row_of, (END_OF_DOCUMENT, NO_ROW)).astype(np.int32)  # each finds itself
        blocks = (row_of[block] for block in self.blocks())
        return map(as_sequences, whole_documents(blocks, longest=longest))

    def __enter__(self) -> "EncodedCorpus":
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()


class Sequences:
    """The chunks of a corpus, over and over again; how many documents it has."""

    def __init__(self, corpus: EncodedCorpus, row_of: np.ndarray, longest: int | None) -> None:
        self.n_documents = corpus.n_documents
        self._corpus = corpus
        self._row_of = row_of
        self._longest = longest

    def __iter__(self) -> Iterator[Ragged]:
        return self._corpus.documents(self._row_of, longest=self._longest)
