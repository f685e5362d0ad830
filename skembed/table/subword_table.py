"""SubwordTable: an EmbeddingTable whose unknown words get a vector from their character n-grams, as in fastText."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from skembed.data.canonical import canonical_key
from skembed.data.keys import Keys
from skembed.state import check_state, stored
from skembed.table.embedding_table import RAISE, EmbeddingTable
from skembed.table.keys import find_rows, hashable, key_list, row_keys, unseen_message
from skembed.table.neighbors import Metric
from skembed.table.subwords import Subwords
from skembed.table.vectors import as_float32

__all__ = ["SubwordTable"]

_KEYS_AT_ONCE = 16_384  # a whole pass in float64 would take twice the table


@stored
class SubwordTable(EmbeddingTable):
    """Words beside vectors, and vectors of character n-grams for the words that are not there.

    All that an `EmbeddingTable` does; `table[word]`, `lookup`, `nearest`, `kneighbors` and `similarity` also take
    strings that are not keys, and give them the mean of the vectors of their n-grams. A string without an n-gram that
    has a vector, and anything that is not a string, is unknown as in any table.

    Parameters
    ----------
    keys : sequence of hashables, of length n_keys
    vectors : array-like of shape (n_keys, embedding_dim)
        Whole vectors of the keys, in which their n-grams have their part already; see `from_rows`.
    subwords : Subwords
    counts : array-like of shape (n_keys,), int64, default=None
        How often each key was seen; see `EmbeddingTable`.
    unknown : array-like of shape (embedding_dim,), default=None
        What `lookup` gives to keys without an n-gram.
    metric : {"cosine", "euclidean", "dot"}, default="cosine"
        By which the vectors are to be read; see `EmbeddingTable`.

    Examples
    --------
    >>> from skembed.table.subwords import Subwords
    >>> subwords = Subwords(np.arange(100.0).reshape(50, 2), min_n=3, max_n=6, n_buckets=50)
    >>> table = SubwordTable.from_rows(["Ulm", "Bern"], [[1.0, 0.0], [0.0, 1.0]], subwords)
    >>> "Ulmer" in table, table["Ulmer"].shape
    (False, (2,))
    """

    __slots__ = ("_subwords",)
    _state = {"subwords": Subwords}

    _subwords: Subwords

    def __init__(
        self,
        keys: Iterable,
        vectors: Any,
        subwords: Subwords,
        *,
        counts: Any = None,
        unknown: Any = None,
        metric: Metric = "cosine",
    ):
        super().__init__(keys, vectors, unknown=unknown, metric=metric, counts=counts)
        if subwords.embedding_dim != self.embedding_dim:
            raise ValueError(
                f"subwords must have the embedding_dim of vectors, got {subwords.embedding_dim} "
                f"beside {self.embedding_dim}."
            )
        self._subwords = subwords

    @classmethod
    def from_rows(
        cls,
        keys: Iterable,
        rows: Any,
        subwords: Subwords,
        *,
        counts: Any = None,
        unknown: Any = None,
        metric: Metric = "cosine",
    ) -> "SubwordTable":
        """A table of words whose own rows, without their n-grams, are given, as a fastText model learns them.

        Parameters
        ----------
        keys : sequence of str
        rows : array-like of shape (n_keys, embedding_dim)
        subwords, counts, unknown, metric : see SubwordTable

        Returns
        -------
        SubwordTable
            The vector of each key is the mean of its row and those of its n-grams.
        """
        keys = row_keys(keys, rows)
        for key in keys:
            if not isinstance(key, str):
                raise TypeError(f"keys must be strings to have n-grams, got {key!r} of type {type(key).__name__}.")
        own = as_float32(rows, "rows")
        if own.shape != (len(keys), subwords.embedding_dim):
            raise ValueError(f"rows must have shape ({len(keys)}, {subwords.embedding_dim}), got {own.shape}.")
        return cls(keys, subwords.compose(keys, own)[0], subwords, counts=counts, unknown=unknown, metric=metric)

    @classmethod
    def _from(cls, table: EmbeddingTable, subwords: Subwords) -> "SubwordTable":
        """The parts of a table and the n-grams that it lacks, all known to be sound."""
        made = cls.__new__(cls)
        made._set_parts(table._keys, table._vectors, table._unknown, table._metric, table._counts)
        made._subwords = subwords
        return made

    @property
    def subwords(self) -> Subwords:
        """The vectors of the character n-grams, and the rule that finds them."""
        return self._subwords

    def own_rows(self) -> np.ndarray:
        """The rows of the keys without the part of their n-grams, float32 (n_keys, embedding_dim).

        What `from_rows` takes: composed again, they give the vectors of this table up to rounding.
        """
        words = self._words()
        rows = np.empty(self.shape, dtype=np.float32)
        for start in range(0, len(words), _KEYS_AT_ONCE):
            block = slice(start, start + _KEYS_AT_ONCE)
            sums, counted, _ = self._subwords.sums(words[block])
            rows[block] = self._vectors[block].astype(np.float64) * (1.0 + counted[:, None]) - sums
        return rows

    def _words(self) -> list[str]:
        words = self.keys.tolist()
        for word in words:
            if not isinstance(word, str):
                raise TypeError(f"only strings have n-grams, got the key {word!r} of type {type(word).__name__}.")
        return words

    def __repr__(self) -> str:
        return f"{super().__repr__().replace('EmbeddingTable', 'SubwordTable', 1)[:-1]}, {self._subwords!r})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SubwordTable):
            return False if isinstance(other, EmbeddingTable) else NotImplemented
        return super().__eq__(other) is True and self._subwords == other._subwords

    __hash__ = None

    def __getstate__(self) -> dict[str, Any]:
        return super().__getstate__() | {"subwords": self._subwords}

    def __setstate__(self, state: dict[str, Any]) -> None:
        check_state(type(self), state, ("subwords",))
        super().__setstate__({name: state[name] for name in state if name != "subwords"})
        if state["subwords"].embedding_dim != self.embedding_dim:
            raise ValueError("SubwordTable: the vectors of n-grams have another embedding_dim than those of keys")
        self._subwords = state["subwords"]

    def __getitem__(self, key: Any) -> np.ndarray:
        """The vector of one key or unknown word, or the matrix of a list of them; see `EmbeddingTable`."""
        if not hashable(key):
            return self.lookup(key)
        if isinstance(key, str) and key not in self._index:
            vectors, n_ngrams = self._subwords.compose([key])
            if n_ngrams[0]:
                vectors.flags.writeable = False
                return vectors[0]
        return super().__getitem__(key)

    def lookup(self, keys: Iterable, default: Any = RAISE) -> np.ndarray:
        """Vectors of many keys and unknown words.

        Parameters
        ----------
        keys : sequence of n hashables
            May repeat. Each unknown word is composed once, all of them in one pass.
        default : array-like of shape (embedding_dim,), number or "mean", optional
            What those get that are neither keys nor have an n-gram with a vector; see `EmbeddingTable.lookup`.

        Returns
        -------
        ndarray of shape (n, embedding_dim), float32
            A new array.
        """
        keys = key_list(keys)
        rows = find_rows(keys, self._index)
        unseen = np.flatnonzero(rows < 0)
        if not len(unseen):
            return self._taken(rows)
        words: dict[str, int] = {}
        places = np.array([self._place(keys[at], words) for at in unseen.tolist()], dtype=np.int64)
        vectors, n_ngrams = self._subwords.compose(list(words))
        composed = places >= 0
        composed[composed] = n_ngrams[places[composed]] > 0
        found = self._taken(np.where(rows < 0, 0, rows)) if len(self) else self._empty(len(rows))
        found[unseen[composed]] = vectors[places[composed]]
        if not composed.all():
            fallback = self._fallback(default)
            if fallback is None:
                rows[unseen[composed]] = 0
                raise KeyError(f"{unseen_message(keys, rows)}. Pass default= a vector, a number or 'mean'.")
            found[unseen[~composed]] = fallback
        return found

    @staticmethod
    def _place(key: Any, words: dict[str, int]) -> int:
        return words.setdefault(key, len(words)) if isinstance(key, str) else -1

    def _queries(self, query: Any) -> tuple[np.ndarray, np.ndarray | None]:
        # keys are struck from their own answers; composed words stand in no row
        if isinstance(query, str) and canonical_key(query) not in self._index:
            return self[query], None
        return super()._queries(query)

    def _vectors_of(self, keys: list) -> tuple[np.ndarray, np.ndarray]:
        if all(isinstance(key, str) for key in keys):
            return self.lookup(keys), find_rows(key_list(keys), self._index)
        return super()._vectors_of(keys)

    def subset(self, keys: Iterable) -> "SubwordTable":
        """A table of these keys in this order; the vectors of the n-grams stay, so other words are still composed."""
        return SubwordTable._from(super().subset(keys), self._subwords)

    def merge(self, other: EmbeddingTable, *, prefer: str = "self") -> "SubwordTable":
        """A table of the keys of both, with the n-grams of this one; see `EmbeddingTable.merge`."""
        return SubwordTable._from(super().merge(other, prefer=prefer), self._subwords)

    def normalize(self) -> EmbeddingTable:
        """A plain table of the keys' vectors at unit length; zero vectors stay zero.

        The n-grams are left out: the length of a word that is composed of them is not known before it is.
        """
        return EmbeddingTable._of(self._keys, self._vectors, self._unknown, self._metric, self._counts).normalize()

    def _mapped(self, function: Callable[[np.ndarray], np.ndarray], embedding_dim: int | None = None) -> "SubwordTable":
        # of linear maps only (align_to, truncate): then the image of a mean is the mean of the images
        no_keys = Keys(np.empty(len(self._subwords.vectors), dtype=object))
        ngrams = EmbeddingTable._of(no_keys, self._subwords.vectors)
        images = ngrams._mapped(function, embedding_dim).vectors
        turned = Subwords(images, buckets=self._subwords.buckets, **self._subwords.settings)
        return SubwordTable._from(super()._mapped(function, embedding_dim), turned)
