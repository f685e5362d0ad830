"""Documents -> bags of rows, as fastText's classifier has them: words, character n-grams, hashed word n-grams."""

import itertools
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from skembed.data.keys import Keys
from skembed.data.ragged import NO_ROW, Ragged
from skembed.state import stored
from skembed.table.subwords import encode_word, hash_ngrams

__all__ = ["END_ROW", "END_WORD", "BagReader", "hash_word_ngrams", "hash_words"]

END_ROW = 0  # in every bag once, as the end of a line in fastText: no bag is empty, and it learns what is frequent
END_WORD = "</s>"  # what fastText calls it; it is the last word of n-grams of words
_LEFT_OUT = -2  # a word without a row
_WORD_NGRAM_PRIME = np.uint64(116_049_371)  # the fastText program's
_MARKED_BUCKETS = 2**24  # of so many there is an array in memory; more are searched for
_ROWS_AT_ONCE = 2**20  # of bags that are read; n-grams of characters are many times as many as words
_ROWS_OF_WORD = 32  # and its n-grams of words, where these may be longer than any document
_FEW = 16  # words that are hashed one by one
_FNV_OFFSET, _FNV_PRIME = np.uint32(2166136261), np.uint32(16777619)


@stored
class BagReader:
    """Finds the rows of words and n-grams; never changes.

    Row 0 is in every bag, words follow, and behind them come the buckets in use.

    Parameters
    ----------
    keys : Keys
        The words with a row of their own.
    word_ngrams : int
        Longest n-gram of words; 1 for none.
    min_n, max_n : int
        Shortest and longest n-gram of characters; ``max_n=0`` for none.
    n_buckets : int
        What hashes of n-grams are taken modulo of.
    buckets : ndarray of shape (n_used,), int64
        Those with a row, rising.
    absent : {"zeros", "skip"}, default="zeros"
        Whether n-grams without a row count in the mean of a document, or are left out, as in pruned models.
    """

    _state = {
        "keys": Keys, "word_ngrams": int, "min_n": int, "max_n": int, "n_buckets": int, "buckets": np.ndarray,
        "absent": str,
    }  # fmt: skip

    def __init__(
        self,
        keys: Keys,
        *,
        word_ngrams: int,
        min_n: int,
        max_n: int,
        n_buckets: int,
        buckets: np.ndarray,
        absent: str = "zeros",
    ) -> None:
        self.keys = keys
        self.word_ngrams, self.min_n, self.max_n, self.n_buckets = word_ngrams, min_n, max_n, n_buckets
        self.buckets, self.absent = buckets, absent

    @property
    def n_rows(self) -> int:
        return 1 + len(self.keys) + len(self.buckets)

    def grown(self, keys: Keys, words: Sequence[str], chunks: Iterator[Ragged]) -> "BagReader":
        """Return a reader of other words, with buckets of the n-grams of documents, too; ids count in `words`."""
        found = self.buckets
        if self.max_n or self.word_ngrams > 1:
            found = np.union1d(self.buckets, self.buckets_of(words, chunks))
        return BagReader(
            keys, word_ngrams=self.word_ngrams, min_n=self.min_n, max_n=self.max_n, n_buckets=self.n_buckets,
            buckets=found, absent=self.absent,
        )  # fmt: skip

    def word_buckets(self, words: Sequence[str]) -> Ragged:
        """Return the buckets of the n-grams of characters of each word."""
        indptr, hashes = hash_ngrams(words, self.min_n, self.max_n)
        return Ragged(indptr, hashes.astype(np.int64) % self.n_buckets)

    def buckets_of(self, words: Sequence[str], chunks: Iterator[Ragged]) -> np.ndarray:
        """The buckets that occur in documents, rising; ids count in `words`."""
        found = [self._distinct(self.word_buckets(words).indices)]
        hashes = hash_words(words)
        for chunk in chunks:
            for numbers, _ in hash_word_ngrams(*_with_ends(hashes[chunk.indices], chunk.ends), self.word_ngrams):
                found.append(self._distinct((numbers % np.uint64(self.n_buckets)).astype(np.int64)))
        return np.unique(np.concatenate(found))

    def _distinct(self, buckets: np.ndarray) -> np.ndarray:
        """Distinct buckets, rising."""
        if self.n_buckets > _MARKED_BUCKETS:
            return np.unique(buckets)
        is_there = np.zeros(self.n_buckets, dtype=bool)
        is_there[buckets] = True
        return np.flatnonzero(is_there)

    def read(self, words: Sequence[str], chunks: Iterator[Ragged]) -> Iterator[Ragged]:
        """Yield chunks of documents as rows; ids count in `words`.

        Words without a row are left out. N-grams whose bucket has none are `NO_ROW`, unless they are to be skipped:
        they count in the mean of a document, as vectors of zeros.
        """
        row_of = self.keys.index
        own = np.fromiter(
            (1 + row_of[word] if word in row_of else _LEFT_OUT for word in words), dtype=np.int32, count=len(words)
        )
        buckets = self.word_buckets(words)
        bucket_rows = self._bucket_rows()
        of_characters = Ragged(buckets.indptr, bucket_rows(buckets.indices))
        hashes, n_codes = hash_words(words), 1 + self.n_rows  # `NO_ROW` is 0
        sizes = min(self.word_ngrams, _ROWS_OF_WORD) + buckets.lengths  # about the rows of each word in a bag
        for chunk in itertools.chain.from_iterable(_parts(chunk, sizes) for chunk in chunks):
            ids, ends = chunk.indices, chunk.ends
            document = np.repeat(np.arange(len(ends)), chunk.lengths)
            ngrams = of_characters.take(ids)
            rows = [np.full(len(ends), END_ROW, dtype=np.int32), own[ids], ngrams.indices]
            documents = [np.arange(len(ends)), document, np.repeat(document, ngrams.lengths)]
            document = np.repeat(np.arange(len(ends)), chunk.lengths + 1)
            for numbers, firsts in hash_word_ngrams(*_with_ends(hashes[ids], ends), self.word_ngrams):
                rows.append(bucket_rows((numbers % np.uint64(self.n_buckets)).astype(np.int64)))
                documents.append(document[firsts])
            all_rows, all_documents = np.concatenate(rows), np.concatenate(documents)
            known = all_rows != _LEFT_OUT
            all_rows, all_documents = all_rows[known], all_documents[known]
            # by row within a document: the order of words, where it does not count, changes no bit
            counts = np.bincount(all_documents, minlength=len(ends))
            codes = all_documents * n_codes + (all_rows - NO_ROW)
            codes.sort()
            codes += np.repeat(NO_ROW - np.arange(len(ends)) * n_codes, counts)
            yield Ragged.from_ends(codes.astype(np.int32), np.cumsum(counts))

    def _bucket_rows(self) -> Callable[[np.ndarray], np.ndarray]:
        """Return a function of buckets that gives their rows; those that have none are `NO_ROW`, or left out."""
        none = NO_ROW if self.absent == "zeros" else _LEFT_OUT
        first, n_held = 1 + len(self.keys), len(self.buckets)
        if not n_held:
            return lambda buckets: np.full(len(buckets), none, dtype=np.int32)
        if self.n_buckets <= _MARKED_BUCKETS:
            row_of = np.full(self.n_buckets, none, dtype=np.int32)
            row_of[self.buckets] = np.arange(first, first + n_held)
            return row_of.__getitem__

        def search(buckets: np.ndarray) -> np.ndarray:
            places = np.minimum(np.searchsorted(self.buckets, buckets), n_held - 1)
            return np.where(self.buckets[places] == buckets, first + places, none).astype(np.int32)

        return search


def _parts(chunk: Ragged, sizes: np.ndarray) -> Iterator[Ragged]:
    """Yield documents of about `_ROWS_AT_ONCE` rows at a time, one at least; `sizes` are the rows of each word."""
    n_before = np.append(0, np.cumsum(sizes[chunk.indices]))[chunk.indptr]
    first = 0
    while first < len(chunk):
        last = int(np.searchsorted(n_before, n_before[first] + _ROWS_AT_ONCE, side="right")) - 1
        last = max(last, first + 1)
        indptr = chunk.indptr[first : last + 1]
        yield Ragged(indptr - indptr[0], chunk.indices[indptr[0] : indptr[-1]])
        first = last


def _with_ends(hashes: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The hashes of documents with that of `END_WORD` behind each, and where each now ends."""
    return np.insert(hashes, ends, hash_words([END_WORD])), ends + np.arange(1, len(ends) + 1)


def hash_words(words: Sequence[str]) -> np.ndarray:
    """FNV-1a hashes of whole words over signed bytes, uint32 (n_words,).

    Examples
    --------
    >>> hash_words(["a", ""]).tolist()
    [3826002220, 2166136261]
    """
    encoded = [encode_word(word) for word in words]
    lengths = np.fromiter(map(len, encoded), dtype=np.int64, count=len(encoded))
    begins = np.cumsum(lengths) - lengths
    signed = np.frombuffer(b"".join(encoded), dtype=np.int8).astype(np.int32).view(np.uint32)
    state = np.full(len(encoded), _FNV_OFFSET)
    active = np.flatnonzero(lengths)
    byte = 0
    while len(active) > _FEW:
        state[active] = (state[active] ^ signed[begins[active] + byte]) * _FNV_PRIME
        byte += 1
        active = active[lengths[active] > byte]
    for place in active.tolist():
        state[place] = _hash_on(int(state[place]), encoded[place][byte:])
    return state


def _hash_on(state: int, rest: bytes) -> int:
    """Hash the rest of one word: byte by byte Python is quicker than numpy is on few words, and some are pages long."""
    for value in rest:
        state = (state ^ (value if value < 0x80 else value | 0xFFFFFF00)) * int(_FNV_PRIME) & 0xFFFFFFFF
    return state


def hash_word_ngrams(hashes: np.ndarray, ends: np.ndarray, longest: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the hashes of all n-grams of two words, of three, up to `longest`.

    Parameters
    ----------
    hashes : ndarray of shape (n,), uint32
        Of the words of documents.
    ends : ndarray of shape (n_documents,), int64
        Document i is ``hashes[ends[i - 1] : ends[i]]``; no n-gram reaches over an end.
    longest : int

    Yields
    ------
    numbers : ndarray of shape (n_ngrams,), uint64
    firsts : ndarray of shape (n_ngrams,), int64
        Where each n-gram begins.
    """
    signed = hashes.view(np.int32).astype(np.int64).view(np.uint64)
    n_left = np.repeat(ends, np.diff(ends, prepend=0)) - np.arange(len(hashes))  # words from here to the end
    firsts, numbers = np.arange(len(hashes)), signed
    for n in range(2, longest + 1):
        inside = n_left[firsts] >= n
        firsts, numbers = firsts[inside], numbers[inside]
        if not len(firsts):
            return  # no document is so long, however long n-grams may be
        numbers = numbers * _WORD_NGRAM_PRIME + signed[firsts + n - 1]
        yield numbers, firsts
