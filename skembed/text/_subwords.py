"""Documents of words that may have no row of their own: numbered all the same, and their vectors composed."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from skembed.apply.pooling import Pooling
from skembed.data.corpus import EncodedCorpus, as_sequences, encode_documents, whole_documents
from skembed.data.keys import Keys
from skembed.data.ragged import NO_ROW, Ragged
from skembed.state import stored
from skembed.table import SubwordTable
from skembed.text._encoder import WordEncoder
from skembed.text._phrases import PhraseRounds
from skembed.text._tokens import Tokenizer

__all__ = ["Chunk", "SubwordEncoder", "read_chunks", "with_composed"]


class Chunk(NamedTuple):
    """Documents as numbers of words.

    Attributes
    ----------
    documents : Ragged
        Ids below the number of rows: the row of a word; from there on: ``others[id - n_rows]``. Documents may be empty.
    others : list of str
        Words without a row.
    """

    documents: Ragged
    others: list[str]


@stored
class SubwordEncoder(WordEncoder):
    """Numbers all words of documents, phrases joined; may be used by several threads.

    Parameters
    ----------
    keys, rounds, tokenizer
        As for `WordEncoder`.
    stop_words : collection of str
        Are left out.
    """

    _state = {"stop_words": list[str]}

    def __init__(
        self,
        keys: Keys,
        rounds: PhraseRounds,
        tokenizer: Tokenizer,
        stop_words: Collection[str] = frozenset(),
    ) -> None:
        self.stop_words = frozenset(stop_words)
        super().__init__(keys, rounds, tokenizer)

    def __getstate__(self) -> dict[str, Any]:
        return super().__getstate__() | {"stop_words": sorted(self.stop_words)}

    def encode_all(self, documents: Iterable[str | list]) -> Iterator[Chunk]:
        """Yield chunks of documents; what is no word, or a stop word, is left out."""
        first = len(self._row_of) - 2  # behind the words that have numbers: rows, and the parts of phrases
        fresh: dict[str, int] = {}

        def number(tokens: list) -> np.ndarray:
            numbers = np.fromiter(self._numbers(tokens), dtype=np.int64, count=len(tokens))
            for place in np.flatnonzero(numbers == NO_ROW).tolist():
                token = tokens[place]
                if isinstance(token, str) and token not in self.stop_words:
                    numbers[place] = fresh.setdefault(token, first + len(fresh))
            return numbers

        for stream in whole_documents(encode_documents(documents, self.tokenizer, number)):
            yield self._chunk(self._phrases.join(stream), list(fresh))

    def _chunk(self, stream: np.ndarray, fresh: list[str]) -> Chunk:
        """Rows for numbers, and numbers behind the rows for words that have none."""
        n_rows = len(self.keys)
        numbers, places = np.unique(stream, return_inverse=True)
        ids = np.empty(len(numbers), dtype=np.int32)
        known = numbers < n_rows  # END_OF_DOCUMENT and NO_ROW among them
        ids[known] = numbers[known]
        names = [self._name(number, fresh) for number in numbers[~known].tolist()]
        kept = sorted(name for name in names if name not in self.stop_words)
        place = {name: n_rows + position for position, name in enumerate(kept)}
        ids[~known] = [place.get(name, NO_ROW) for name in names]
        return Chunk(as_sequences(ids[places]), kept)

    def _name(self, number: int, fresh: list[str]) -> str:
        first = len(self._row_of) - 2
        return self._parts[number - len(self.keys)] if number < first else fresh[number - first]

    def _build_index(self) -> None:
        super()._build_index()
        n_rows = len(self.keys)
        self._parts = [word for word, at in self._index.items() if at >= n_rows and isinstance(word, str)]


def read_chunks(corpus: EncodedCorpus, row_of: np.ndarray, n_rows: int, stop_words: Collection[str]) -> Iterator[Chunk]:
    """Yield the documents of a corpus; `row_of[i]` is the row of its word i, or `NO_ROW`."""
    for chunk in corpus.documents(corpus.numbers(stop_words)):
        present, places = np.unique(chunk.indices, return_inverse=True)
        ids = np.asarray(row_of, dtype=np.int32)[present]
        fresh = present[ids == NO_ROW].tolist()
        fresh.sort(key=corpus.words.__getitem__)
        ids[np.searchsorted(present, fresh)] = n_rows + np.arange(len(fresh), dtype=np.int32)
        yield Chunk(Ragged(chunk.indptr, ids[places]), [corpus.words[number] for number in fresh])


def with_composed(
    chunk: Chunk, table: SubwordTable, poolings: list[Pooling], n_documents: int
) -> tuple[Ragged, np.ndarray, list[Pooling]]:
    """Return documents, vectors and poolings of a chunk's own words only, those without a row composed.

    Words that have neither a row nor an n-gram with a vector are left out. Of the poolings' weights, words without a
    row get those of words that none of `n_documents` holds. In which order words without a row are numbered, and
    which others the chunk names, changes no bit: they are sorted.
    """
    n_rows, ids = len(table), chunk.documents.indices
    present = np.unique(ids)
    rows = present[present < n_rows]
    words = sorted((chunk.others[number], number) for number in (present[len(rows) :] - n_rows).tolist())
    composed, n_ngrams = table.subwords.compose([word for word, _ in words])
    has_vector = n_ngrams > 0
    numbers = np.array([number for _, number in words], dtype=np.int64)[has_vector]
    place_of = np.full(len(chunk.others) + 1, NO_ROW, dtype=np.int32)
    place_of[numbers] = len(rows) + np.arange(len(numbers))
    places = np.where(ids < n_rows, np.searchsorted(rows, ids), place_of[np.maximum(ids - n_rows, -1)])
    vectors = np.concatenate([table.vectors[rows], composed[has_vector]])
    weighted = []
    for pooling in poolings:
        weights = pooling.weights
        if weights is not None:
            unseen = np.log(1 + n_documents) + 1 if pooling.name == "tfidf" else pooling.unseen
            weights = np.append(weights[rows], np.full(len(numbers), unseen, dtype=np.float32))
        weighted.append(replace(pooling, weights=weights))
    return Ragged(chunk.documents.indptr, places.astype(np.int32)).keep(places != NO_ROW), vectors, weighted
