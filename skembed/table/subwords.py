"""Character n-grams of words and their vectors, as in fastText (Bojanowski et al. 2017, arXiv:1607.04606, section 3.2).

A word is written between ``<`` and ``>``; each run of min_n to max_n characters of that is an n-gram, and its FNV-1a
hash, modulo the number of buckets, says which vector it has. The vector of a word is the mean of its own and those of
its n-grams; of a word that has none of its own, the mean of those of its n-grams.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from skembed.data.keys import smallest
from skembed.state import check_state, stored
from skembed.table.vectors import as_float32

__all__ = ["Subwords", "encode_word", "hash_ngrams", "word_ngrams"]

_FNV_OFFSET = np.uint32(2166136261)
_FNV_PRIME = np.uint32(16777619)
_END_OF_SENTENCE = b"</s>"  # the one token that has no n-grams
MAX_N = 100  # more characters than any real model has in an n-gram; bounds what a forged file can ask for
_BLOCK_WORDS = 16_384  # words whose n-grams are listed at once: about 20 each


@stored
class Subwords:
    """Vectors of character n-grams, and the rule that finds them; never changes.

    Parameters
    ----------
    vectors : array-like of shape (n_rows, embedding_dim)
        Held as C-ordered, read-only float32; a memory map is kept as it is.
    min_n, max_n : int
        Shortest and longest n-gram in characters; ``max_n=0`` for none.
    n_buckets : int
        What hashes are taken modulo of.
    buckets : array-like of shape (n_rows,), int64, default=None
        The bucket of each row, rising, where only some buckets have a vector. None: row i is bucket i.
    absent : {"skip", "zero"}, default="skip"
        What n-grams of the other buckets are: passed over, as in pruned fastText models, or zero vectors that count in
        the mean, as in a model whose buckets were never trained.

    Raises
    ------
    ValueError
        If the parts do not fit together.

    Examples
    --------
    >>> subwords = Subwords([[1.0], [2.0], [3.0]], min_n=3, max_n=3, n_buckets=3)
    >>> subwords.rows(["Ulm"])[1].tolist()  # of <Ul, Ulm, lm>
    [2, 0, 2]
    >>> vectors, n_ngrams = subwords.compose(["Ulm"])
    >>> n_ngrams.tolist(), vectors.shape
    ([3], (1, 1))
    """

    __slots__ = ("_buckets", "_vectors", "absent", "max_n", "min_n", "n_buckets")
    _state = {
        "vectors": np.ndarray, "buckets": np.ndarray | None,
        "min_n": int, "max_n": int, "n_buckets": int, "absent": str,
    }  # fmt: skip

    def __init__(
        self, vectors: Any, *, min_n: int, max_n: int, n_buckets: int, buckets: Any = None, absent: str = "skip"
    ):
        if absent not in ("skip", "zero"):
            raise ValueError(f"absent must be 'skip' or 'zero', got {absent!r}.")
        vectors = as_float32(vectors, "vectors")
        if vectors.ndim != 2 or not vectors.shape[1]:
            raise ValueError(f"vectors must have shape (n_rows, embedding_dim), got {vectors.shape}.")
        if not 0 <= max_n <= MAX_N or min_n < 0 or n_buckets < 0 or (max_n and not n_buckets):
            raise ValueError(
                f"expected 0 <= min_n, 0 <= max_n <= {MAX_N} and n_buckets of at least 1 (0 without n-grams), "
                f"got min_n={min_n}, max_n={max_n}, n_buckets={n_buckets}."
            )
        if buckets is None:
            if len(vectors) != n_buckets:
                raise ValueError(f"vectors must have a row for each of {n_buckets} buckets, got {len(vectors)}.")
        else:
            buckets = np.array(buckets, dtype=np.int64)
            if buckets.shape != (len(vectors),):
                raise ValueError(f"buckets must have shape ({len(vectors)},), got {buckets.shape}.")
            if len(buckets) and (buckets[0] < 0 or buckets[-1] >= n_buckets or (np.diff(buckets) <= 0).any()):
                raise ValueError(f"buckets must rise from 0 or more to less than {n_buckets}, they do not.")
            buckets.flags.writeable = False
        if not isinstance(vectors, np.memmap):
            vectors.flags.writeable = False
        view = vectors.view()
        view.flags.writeable = False
        self._vectors, self._buckets = view, buckets
        self.min_n, self.max_n, self.n_buckets, self.absent = int(min_n), int(max_n), int(n_buckets), absent

    @property
    def vectors(self) -> np.ndarray:
        """Read-only float32 array of shape (n_rows, embedding_dim)."""
        return self._vectors

    @property
    def buckets(self) -> np.ndarray | None:
        """Read-only int64 array of shape (n_rows,), rising; None if each bucket has its row."""
        return self._buckets

    @property
    def embedding_dim(self) -> int:
        """Number of components of a vector."""
        return self._vectors.shape[1]

    @property
    def settings(self) -> dict[str, Any]:
        """min_n, max_n, n_buckets and absent, as the constructor takes them."""
        return {"min_n": self.min_n, "max_n": self.max_n, "n_buckets": self.n_buckets, "absent": self.absent}

    def __repr__(self) -> str:
        return (
            f"Subwords({len(self._vectors)} rows, min_n={self.min_n}, max_n={self.max_n}, n_buckets={self.n_buckets})"
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Subwords):
            return NotImplemented
        return self is other or (
            self.settings == other.settings
            and self._vectors.shape == other._vectors.shape
            and _equal_or_both_none(self._buckets, other._buckets)
            and np.array_equal(self._vectors.view(np.uint32), other._vectors.view(np.uint32))
        )

    __hash__ = None  # type: ignore[assignment]

    def __getstate__(self) -> dict[str, Any]:
        buckets = None if self._buckets is None else smallest(self._buckets)
        return {"vectors": np.asarray(self._vectors), "buckets": buckets, **self.settings}

    def __setstate__(self, state: dict[str, Any]) -> None:
        check_state(Subwords, state, self._state)
        state["vectors"].flags.writeable = False  # nobody else has it, so there is no need of a copy
        self.__init__(**state)  # type: ignore[misc]

    def rows(self, words: Sequence[str | bytes]) -> tuple[np.ndarray, np.ndarray]:
        """Rows of the n-grams of words, one word after the other.

        Parameters
        ----------
        words : sequence of n str or bytes
            Bytes are taken as UTF-8, and need not be well formed.

        Returns
        -------
        starts : ndarray of shape (n + 1,), int64
            The rows of word i are ``rows[starts[i]:starts[i + 1]]``.
        rows : ndarray of shape (n_ngrams,), int64
            A row stands there as often as n-grams of the word have it.
        """
        starts, rows, _ = self._rows(words)
        return starts, rows

    def _rows(self, words: Sequence[str | bytes]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The same, and how many n-grams of each word count in its mean."""
        starts, hashes = hash_ngrams(words, self.min_n, self.max_n)
        buckets = hashes % np.uint32(self.n_buckets) if 0 < self.n_buckets < 2**32 else hashes
        if self._buckets is None:
            return starts, buckets.astype(np.int64), np.diff(starts)
        if not len(self._buckets):
            none = np.zeros_like(starts)
            return none, none[:0], np.diff(none if self.absent == "skip" else starts)
        places = np.minimum(np.searchsorted(self._buckets, buckets), len(self._buckets) - 1)
        found = self._buckets[places] == buckets
        kept = np.concatenate([[0], np.cumsum(found)])[starts]
        return kept, places[found], np.diff(kept if self.absent == "skip" else starts)

    def compose(self, words: Sequence[str | bytes], own: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Vectors of words: the mean of those of their n-grams and, where given, their own.

        Parameters
        ----------
        words : sequence of n str or bytes
        own : ndarray of shape (n, embedding_dim), float32, default=None
            One vector more for each word.

        Returns
        -------
        vectors : ndarray of shape (n, embedding_dim), float32
            Zero for words with nothing to take the mean of.
        n_ngrams : ndarray of shape (n,), int64
            How many n-grams with a vector each word has.
        """
        vectors = np.empty((len(words), self.embedding_dim), dtype=np.float32)
        n_ngrams = np.empty(len(words), dtype=np.int64)
        for start in range(0, len(words), _BLOCK_WORDS):
            block = slice(start, start + _BLOCK_WORDS)
            sums, counted, n_ngrams[block] = self.sums(words[block])
            counts = counted[:, None].astype(np.float32)
            if own is not None:
                with np.errstate(invalid="ignore", over="ignore"):  # readers say where; infinity is theirs to allow
                    sums += own[block]
                counts += 1
            np.divide(sums, np.maximum(counts, 1), out=vectors[block])
        return vectors, n_ngrams

    def sums(self, words: Sequence[str | bytes]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Sums of n-gram vectors, float32 (n, embedding_dim); how many n-grams count, and how many have a vector."""
        from scipy.sparse import csr_matrix  # a product in place of a gather: no row is copied before it is added

        starts, rows, counted = self._rows(words)
        if not len(rows):
            return np.zeros((len(words), self.embedding_dim), dtype=np.float32), counted, np.diff(starts)
        ones = np.ones(len(rows), dtype=np.float32)
        incidence = csr_matrix((ones, rows, starts), shape=(len(words), len(self._vectors)))
        return incidence @ np.asarray(self._vectors), counted, np.diff(starts)


def _equal_or_both_none(left: np.ndarray | None, right: np.ndarray | None) -> bool:
    return left is right or (left is not None and right is not None and np.array_equal(left, right))


def encode_word(word: str) -> bytes:
    """A word as UTF-8; bytes that `surrogateescape` brought in go back to what they were."""
    try:
        return word.encode("utf-8")
    except UnicodeEncodeError:
        try:
            return word.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            return word.encode("utf-8", "surrogatepass")


def hash_ngrams(words: Iterable[str | bytes], min_n: int, max_n: int) -> tuple[np.ndarray, np.ndarray]:
    """FNV-1a hashes of the character n-grams of words, over signed bytes as fastText takes them.

    Parameters
    ----------
    words : iterable of n str or bytes
    min_n, max_n : int

    Returns
    -------
    starts : ndarray of shape (n + 1,), int64
        The hashes of word i are ``hashes[starts[i]:starts[i + 1]]``.
    hashes : ndarray of shape (n_ngrams,), uint32
        In the order of `word_ngrams`.

    Examples
    --------
    >>> starts, hashes = hash_ngrams(["Ulm"], 3, 4)
    >>> len(hashes), hashes[0]
    (5, np.uint32(1053684722))
    """
    encoded = [encode_word(word) if isinstance(word, str) else word for word in words]
    # without a first character no n-gram begins: so the end-of-sentence mark has none
    marked = [b"" if word == _END_OF_SENTENCE else b"<%b>" % word for word in encoded]
    data = np.frombuffer(b"".join(marked), dtype=np.uint8)
    word_ends = np.cumsum(np.fromiter(map(len, marked), dtype=np.int64, count=len(marked)))
    begins = np.flatnonzero((data & 0xC0) != 0x80)  # of characters
    lengths = np.diff(np.append(begins, len(data)))
    signed = data.view(np.int8).astype(np.int32).view(np.uint32)

    last_character = np.searchsorted(begins, word_ends)  # of each word, its end in `begins`
    of_word = np.repeat(np.arange(len(marked)), np.diff(last_character, prepend=0))
    character_end = last_character[of_word]
    first_character = np.append(0, last_character[:-1])[of_word] if len(marked) else last_character[of_word]

    active = np.arange(len(begins))  # first characters of n-grams that can still grow
    state = np.full(len(begins), _FNV_OFFSET)
    found_at, found_n, found = [], [], []
    for n in range(1, max_n + 1):
        inside = active + (n - 1) < character_end[active]
        if not inside.all():
            active, state = active[inside], state[inside]
        if not len(active):
            break
        state = _extended(state, signed, begins[active + (n - 1)], lengths[active + (n - 1)])
        if n < min_n:
            continue
        taken = slice(None)
        if n == 1:  # the marks alone are no n-grams
            taken = (active != first_character[active]) & (active != character_end[active] - 1)
        found_at.append(active[taken])
        found_n.append(np.full(len(found_at[-1]), n, dtype=np.int64))
        found.append(state[taken])
    if not found:
        return np.zeros(len(marked) + 1, dtype=np.int64), np.empty(0, dtype=np.uint32)
    at, hashes = np.concatenate(found_at), np.concatenate(found)
    if len(found) > 1:
        order = np.argsort(at, kind="stable")  # by first character, then, as they were found, by length
        at, hashes = at[order], hashes[order]
    counts = np.bincount(of_word[at], minlength=len(marked))
    return np.append(0, np.cumsum(counts)), hashes


def _extended(state: np.ndarray, signed: np.ndarray, places: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The hashes `state` after one more character each, of `lengths` bytes from `places` on."""
    state = (state ^ signed[places]) * _FNV_PRIME
    rest = np.flatnonzero(lengths > 1)
    byte = 1
    while len(rest):
        state[rest] = (state[rest] ^ signed[places[rest] + byte]) * _FNV_PRIME
        byte += 1
        rest = rest[lengths[rest] > byte]
    return state


def word_ngrams(word: str, min_n: int, max_n: int) -> list[str]:
    """The character n-grams of one word, as fastText lists them: by first character, then by length.

    Examples
    --------
    >>> word_ngrams("Ulm", 3, 4)
    ['<Ul', '<Ulm', 'Ulm', 'Ulm>', 'lm>']
    """
    if word.encode("utf-8", "surrogatepass") == _END_OF_SENTENCE:
        return []
    marked = f"<{word}>"
    return [
        marked[start : start + n]
        for start in range(len(marked))
        for n in range(max(min_n, 1), min(max_n, len(marked) - start) + 1)
        if not (n == 1 and start in (0, len(marked) - 1))
    ]
