"""EmbeddingTable: keys beside vectors, and what people do with them."""

import os
from collections.abc import Callable, Iterable, Iterator
from numbers import Integral
from typing import Any

import numpy as np

from skembed.data.canonical import canonical_key
from skembed.data.keys import Keys, smallest
from skembed.state import check_state, stored
from skembed.table.counts import checked_counts, frozen_array, same_counts
from skembed.table.keys import build_index, find_rows, hashable, key_list, row_keys, unseen_message
from skembed.table.neighbors import METRICS, Metric
from skembed.table.queries import KeyedVectors, one_of, unit_vectors
from skembed.table.torch_module import TorchEmbedding, torch_embedding
from skembed.table.vectors import as_float32, check_finite_vectors
from skembed.warning import warn

RAISE: Any = type("_Raise", (), {"__repr__": lambda self: "<unknown, else KeyError>"})()
_BLOCK_ROWS = 65_536  # rows looked at in one go where a whole pass would need a copy of the table


@stored
class EmbeddingTable(KeyedVectors):
    """Keys beside vectors: what every estimator of skembed learns, and every reader of files returns.

    A table never changes: what would change it returns a new one.

    Parameters
    ----------
    keys : sequence of hashables, of length n_keys
        What the rows stand for: strings, numbers, booleans, dates, or any other hashable. Two keys are the same when
        they are equal in Python (so 1, 1.0 and True are one key and "1" is another). Missing values of any kind
        (None, nan, NaT, NA) are one key, None; numpy scalars are held as Python values.
    vectors : array-like of shape (n_keys, embedding_dim)
        Held as C-ordered, read-only float32. Read-only arrays and memory maps that are already so are kept as they
        are; everything else is copied.
    unknown : array-like of shape (embedding_dim,), default=None
        The vector that `lookup` gives to keys that are not in the table.
    metric : {"cosine", "euclidean", "dot"}, default="cosine"
        By which the vectors are to be read: the metric of `nearest`, `kneighbors` and `build_index` where they are
        given none. Tables made of this one keep it, and so does the library's own file.
    counts : array-like of shape (n_keys,), int64, default=None
        How often each key was seen. Tables made of this one keep them, and so do the formats that have a place for
        them.

    Raises
    ------
    ValueError
        If keys repeat, a vector is not finite, the shapes do not fit, counts are negative, or there is no such metric;
        or if vectors are a frame whose index has the keys in another order.
    TypeError
        If a key is not hashable, or `keys` is a set, which has no order.

    Examples
    --------
    >>> from skembed import EmbeddingTable
    >>> table = EmbeddingTable(["Ulm", "Graz", "Bern"], [[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]], unknown=[0.5, 0.5])
    >>> table
    EmbeddingTable(3 keys, embedding_dim=2, unknown=True)
    >>> table["Graz"]
    array([0.8, 0.6], dtype=float32)
    >>> table.lookup(["Bern", "Oslo"])
    array([[0. , 1. ],
           [0.5, 0.5]], dtype=float32)
    >>> EmbeddingTable(["Ulm", "Graz"], [[3.0, 0.0], [0.0, 4.0]], metric="euclidean").nearest("Ulm")
    [('Graz', 5.0)]
    """

    __slots__ = ("__weakref__", "_counts", "_unknown")
    _state: dict[str, Any] = {
        "keys": Keys, "vectors": np.ndarray, "unknown": np.ndarray | None, "metric": str, "counts": np.ndarray | None,
    }  # fmt: skip

    _counts: np.ndarray | None

    def __init__(
        self, keys: Iterable, vectors: Any, *, unknown: Any = None, metric: Metric = "cosine", counts: Any = None
    ):
        self._validate_and_set(row_keys(keys, vectors), vectors, unknown, metric, counts, finite=True)

    @classmethod
    def _validated(
        cls,
        keys: list,
        vectors: np.ndarray,
        unknown: np.ndarray | None,
        metric: Metric,
        counts: np.ndarray | None = None,
        *,
        finite: bool,
    ) -> "EmbeddingTable":
        """A table of canonical keys and parts read from a file.

        `finite=False` leaves the components unread, as of a large memory map.
        """
        table = cls.__new__(cls)
        table._validate_and_set(keys, vectors, unknown, metric, counts, finite=finite)
        return table

    def _validate_and_set(
        self, keys: list, vectors: Any, unknown: Any, metric: Metric, counts: Any, *, finite: bool
    ) -> None:
        indexed = Keys(object_array(keys), build_index(keys))
        self._set_checked(indexed, vectors, unknown, metric, counts, finite=finite)

    def _set_checked(
        self, keys: Keys, vectors: Any, unknown: Any, metric: Metric, counts: Any, *, finite: bool
    ) -> None:
        vectors = as_float32(vectors, "vectors")
        if vectors.ndim != 2 or vectors.shape[1] == 0:
            raise ValueError(f"vectors must have shape (n_keys, embedding_dim), got {vectors.shape}.")
        if len(vectors) != len(keys):
            raise ValueError(
                f"keys and vectors must have the same length, got {len(keys)} keys and {len(vectors)} vectors."
            )
        if unknown is not None:
            unknown = _vector(unknown, vectors.shape[1], "unknown")
        metric = one_of(metric, METRICS, "metric")
        if finite:
            check_finite_vectors(vectors, keys.array)
        self._set_parts(keys, vectors, unknown, metric, checked_counts(counts, len(keys)))

    @classmethod
    def _of(
        cls,
        keys: Keys,
        vectors: np.ndarray,
        unknown: np.ndarray | None = None,
        metric: Metric = "cosine",
        counts: np.ndarray | None = None,
    ) -> "EmbeddingTable":
        """A table of parts that are known to be sound: canonical unique keys, finite float32 vectors in C order."""
        table = cls.__new__(cls)
        table._set_parts(
            keys if isinstance(keys, Keys) else Keys(keys), vectors, unknown, metric, counts
        )  # arrays of old pickles
        return table

    @classmethod
    def of_keys(
        cls, keys: Keys, vectors: Any, *, unknown: Any = None, metric: Metric = "cosine", counts: Any = None
    ) -> "EmbeddingTable":
        """A table that shares its keys, and their rows, with a vocabulary or another table.

        Parameters
        ----------
        keys : Keys
        vectors, unknown, metric, counts : see EmbeddingTable
        """
        table = cls.__new__(cls)
        table._set_checked(keys, vectors, unknown, metric, counts, finite=True)
        return table

    def _set_parts(
        self,
        keys: Keys,
        vectors: np.ndarray,
        unknown: np.ndarray | None,
        metric: Metric,
        counts: np.ndarray | None = None,
    ) -> None:
        self._keys, self._vectors = keys, _read_only(vectors)
        self._unknown = None if unknown is None else _read_only(unknown)
        self._metric, self._counts = metric, counts
        self._exact_index = self._csls_index = self._restriction = None

    @property
    def keys(self) -> np.ndarray:
        """Read-only object array of shape (n_keys,)."""
        return self._keys.array

    @property
    def shared_keys(self) -> Keys:
        """The keys, for another table that shares them; see `of_keys`."""
        return self._keys

    @property
    def vectors(self) -> np.ndarray:
        """Read-only float32 array of shape (n_keys, embedding_dim)."""
        return self._vectors

    @property
    def unknown(self) -> np.ndarray | None:
        """Read-only float32 array of shape (embedding_dim,), the vector of keys not in the table; or None."""
        return self._unknown

    @property
    def metric(self) -> Metric:
        """By which the vectors are to be read: "cosine", "euclidean" or "dot"."""
        return self._metric

    @property
    def counts(self) -> np.ndarray | None:
        """How often each key was seen, read-only int64 (n_keys,); or None where that is not known."""
        return self._counts

    @property
    def shape(self) -> tuple[int, int]:
        """(n_keys, embedding_dim)."""
        return self._vectors.shape

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator:
        return iter(self.keys)

    def __contains__(self, key: Any) -> bool:
        return hashable(key) and canonical_key(key) in self._index

    def __repr__(self) -> str:
        unknown = ", unknown=True" if self._unknown is not None else ""
        metric = f", metric={self._metric!r}" if self._metric != "cosine" else ""
        return f"EmbeddingTable({len(self)} keys, embedding_dim={self.embedding_dim}{unknown}{metric})"

    def __eq__(self, other: object) -> bool:
        """Whether both hold equal keys and counts in the same order and the same bits, read by the same metric."""
        if not isinstance(other, EmbeddingTable):
            return NotImplemented
        return self is other or (
            self.shape == other.shape
            and self._metric == other._metric
            and same_counts(self._counts, other._counts)
            and self.keys.tolist() == other.keys.tolist()
            and _bits(self._unknown) == _bits(other._unknown)
            and all(np.array_equal(a.view(np.uint32), b.view(np.uint32)) for a, b in zip(_blocks(self), _blocks(other)))
        )

    __hash__ = None  # type: ignore[assignment]

    def __copy__(self) -> "EmbeddingTable":
        return self  # never changes, so one is as good as two

    def __deepcopy__(self, memo: dict) -> "EmbeddingTable":
        return self

    def __getstate__(self) -> dict[str, Any]:
        vectors = np.asarray(self._vectors)  # what is mapped is no longer so elsewhere
        state = {"keys": self._keys, "vectors": vectors, "unknown": self._unknown, "metric": self._metric}
        return state if self._counts is None else state | {"counts": smallest(self._counts)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        check_state(type(self), state, ("keys", "vectors", "unknown", "metric"))
        vectors = _read_only(state["vectors"])  # nobody else has it, so there is no need of a copy
        finite = not isinstance(vectors, np.memmap)  # which is not read before it is used
        self._set_checked(state["keys"], vectors, state["unknown"], state["metric"], state.get("counts"), finite=finite)

    def __getitem__(self, key: Any) -> np.ndarray:
        """The vector of one key, (embedding_dim,) read-only, or the matrix (n, embedding_dim) of a list of keys.

        Raises
        ------
        KeyError
            Naming the key and keys that look like it; for a list, naming how many and which are not there.
        """
        if not hashable(key):
            return self._taken(self._seen_rows(key))
        return self._vectors[self._row(key)]

    def lookup(self, keys: Iterable, default: Any = RAISE) -> np.ndarray:
        """Vectors of many keys.

        Parameters
        ----------
        keys : sequence of n hashables
            May repeat.
        default : array-like of shape (embedding_dim,), number or "mean", optional
            What keys that are not in the table get: this vector, this number in every component, or the mean of the
            table's vectors. Not given: the vector `unknown` where the table has one, else a KeyError.

        Returns
        -------
        ndarray of shape (n, embedding_dim), float32
            A new array.

        Examples
        --------
        >>> table = EmbeddingTable(["Ulm", "Bern"], [[1.0, 0.0], [0.0, 1.0]])
        >>> table.lookup(["Ulm", "Oslo"], default=0)
        array([[1., 0.],
               [0., 0.]], dtype=float32)
        >>> table.lookup(["Oslo"], default="mean")
        array([[0.5, 0.5]], dtype=float32)
        """
        keys = key_list(keys)
        rows = find_rows(keys, self._index)
        unseen = rows < 0
        if not unseen.any():
            return self._taken(rows)
        fallback = self._fallback(default)
        if fallback is None:
            raise KeyError(f"{unseen_message(keys, rows)}. Pass default= a vector, a number or 'mean'.")
        found = self._taken(np.where(unseen, 0, rows)) if len(self) else self._empty(len(rows))
        found[unseen] = fallback
        return found

    def _fallback(self, default: Any) -> np.ndarray | None:
        if default is RAISE:
            return self._unknown
        if isinstance(default, str) and default == "mean":
            if not len(self):
                raise ValueError("default='mean' needs a table with keys; this one is empty.")
            return np.asarray(self._vectors.mean(axis=0, dtype=np.float64), dtype=np.float32)
        if isinstance(default, str) or default is None:
            raise ValueError(f"default must be a vector, a number or 'mean', got {default!r}.")
        if np.ndim(default) == 0:
            default = np.full(self.embedding_dim, default)
        return _vector(default, self.embedding_dim, "default")

    def _empty(self, n_rows: int) -> np.ndarray:
        return np.empty((n_rows, self.embedding_dim), dtype=np.float32)

    def index_of(self, keys: Any, default: int | None = None) -> Any:
        """The row of a key, or the rows of many.

        Parameters
        ----------
        keys : key or list of n keys
        default : int, default=None
            The row of keys that are not in the table. None: a KeyError.

        Returns
        -------
        int, or ndarray of shape (n,), int64
            ``table.vectors[table.index_of(keys)]`` are the vectors.

        Examples
        --------
        >>> table = EmbeddingTable(["Ulm", "Bern"], [[1.0, 0.0], [0.0, 1.0]])
        >>> table.index_of("Bern"), table.index_of(["Bern", "Oslo"], default=-1)
        (1, array([ 1, -1]))
        """
        if default is not None and (not isinstance(default, Integral) or isinstance(default, bool)):
            raise ValueError(f"default must be an int or None, got {default!r}.")
        if hashable(keys):
            return self._row(keys) if default is None else self._index.get(canonical_key(keys), int(default))
        if default is None:
            return self._seen_rows(keys)
        rows = find_rows(key_list(keys), self._index)
        return np.where(rows < 0, default, rows)

    def merge(self, other: "EmbeddingTable", *, prefer: str = "self") -> "EmbeddingTable":
        """A table of the keys of both: those of this table in their order, and then those that only `other` has.

        Their vectors should be of one space; see `align_to`.

        Parameters
        ----------
        other : EmbeddingTable
            Of the same embedding_dim and metric.
        prefer : {"self", "other"}, default="self"
            Whose vectors the keys in both have. The vector for unknown keys is that of the same table, or of the one
            that has one.

        Returns
        -------
        EmbeddingTable
            With the sum of the counts where both tables have counts, else without. Of a SubwordTable, one with the same
            n-grams.

        Raises
        ------
        ValueError
            If the two have another embedding_dim or metric.

        Examples
        --------
        >>> here = EmbeddingTable(["Ulm", "Bern"], [[1.0, 0.0], [0.0, 1.0]], counts=[3, 1])
        >>> there = EmbeddingTable(["Bern", "Oslo"], [[2.0, 2.0], [0.5, 0.0]], counts=[4, 2])
        >>> both = here.merge(there, prefer="other")
        >>> both.keys.tolist(), both["Bern"].tolist(), both.counts.tolist()
        (['Ulm', 'Bern', 'Oslo'], [2.0, 2.0], [3, 5, 2])
        """
        _check_other(other)
        for name in ("embedding_dim", "metric"):
            if getattr(self, name) != getattr(other, name):
                raise ValueError(
                    f"other must have the same {name}, got {getattr(other, name)!r} beside {getattr(self, name)!r}."
                )
        one_of(prefer, ("self", "other"), "prefer")
        rows = find_rows(other.keys.tolist(), self._index)
        new, shared = np.flatnonzero(rows < 0), np.flatnonzero(rows >= 0)
        keys = [*self.keys.tolist(), *other.keys[new].tolist()]
        vectors = np.concatenate([self._vectors, other._vectors[new]])
        if prefer == "other":
            vectors[rows[shared]] = other._vectors[shared]
        counts = None
        if self._counts is not None and other._counts is not None:
            counts = np.concatenate([self._counts, other._counts[new]])
            counts[rows[shared]] += other._counts[shared]
            frozen_array(counts)
        first, second = (self, other) if prefer == "self" else (other, self)
        unknown = second._unknown if first._unknown is None else first._unknown
        return EmbeddingTable._of(Keys(object_array(keys), build_index(keys)), vectors, unknown, self._metric, counts)

    def subset(self, keys: Iterable) -> "EmbeddingTable":
        """A table of these keys in this order, with the same vector for unknown keys.

        Raises KeyError if one is not there, ValueError if one is named twice.

        Examples
        --------
        >>> EmbeddingTable(["Ulm", "Graz", "Bern"], [[3], [4], [0]]).subset(["Bern", "Ulm"]).vectors.tolist()
        [[0.0], [3.0]]
        """
        rows = self._seen_rows(keys)
        kept = self.keys[rows]
        shared = Keys(kept, build_index(kept.tolist()))
        counts = None if self._counts is None else frozen_array(self._counts[rows])
        return EmbeddingTable._of(shared, self._taken(rows), self._unknown, self._metric, counts)

    def normalize(self) -> "EmbeddingTable":
        """A table of the vectors at unit length; zero vectors stay zero.

        Examples
        --------
        >>> EmbeddingTable(["Graz"], [[4.0, 3.0]]).normalize()["Graz"]
        array([0.8, 0.6], dtype=float32)
        """
        return self._mapped(unit_vectors)

    def truncate(self, embedding_dim: int) -> "EmbeddingTable":
        """A table of the first components of the vectors, also of the one for unknown keys.

        For tables whose components stand in an order, those that carry most first, as of a principal component
        analysis: there the first few are the best table of that size. Vectors are not brought to unit length again.

        Parameters
        ----------
        embedding_dim : int
            How many components to keep, from 1 to the `embedding_dim` of this table.

        Returns
        -------
        EmbeddingTable
            All keys of this table.

        Raises
        ------
        ValueError
            If `embedding_dim` is no such int.

        Examples
        --------
        >>> table = EmbeddingTable(["Ulm", "Graz"], [[3.0, 0.5, 0.0], [4.0, 0.0, 0.25]], unknown=[1.0, 2.0, 3.0])
        >>> table.truncate(2)["Ulm"]
        array([3. , 0.5], dtype=float32)
        >>> table.truncate(1).unknown
        array([1.], dtype=float32)
        """
        whole = isinstance(embedding_dim, Integral) and not isinstance(embedding_dim, bool)
        if not whole or not 1 <= embedding_dim <= self.embedding_dim:
            raise ValueError(
                f"embedding_dim must be an int between 1 and that of this table, {self.embedding_dim}, "
                f"got {embedding_dim!r}."
            )
        return self._mapped(lambda vectors: vectors[:, :embedding_dim], int(embedding_dim))

    def align_to(self, other: "EmbeddingTable") -> "EmbeddingTable":
        """This table turned into the space of another: the rotation that brings the shared keys closest.

        Orthogonal Procrustes (Schönemann 1966): the orthogonal matrix R that minimises ``|A R - B|`` over the vectors
        A here and B there of the keys in both, without centring or scaling. Lengths and angles within this table stay
        what they are; the vector for unknown keys turns along.

        Parameters
        ----------
        other : EmbeddingTable
            Of the same embedding_dim, with keys in common.

        Returns
        -------
        EmbeddingTable
            All keys of this table.

        Warns
        -----
        UserWarning
            If fewer keys are shared than there are components: then many rotations fit equally well.

        Examples
        --------
        >>> here = EmbeddingTable(["Ulm", "Graz", "Bern"], [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
        >>> there = EmbeddingTable(["Graz", "Ulm"], [[-1.0, 0.0], [0.0, 1.0]])
        >>> here.align_to(there)["Bern"].round(6).tolist()
        [-1.0, 1.0]
        """
        _check_other(other)
        if other.embedding_dim != self.embedding_dim:
            raise ValueError(
                f"other must have the same embedding_dim, got {other.embedding_dim} beside {self.embedding_dim}."
            )
        rows = find_rows(self.keys.tolist(), other._index)
        n_shared = int((rows >= 0).sum())
        if not n_shared:
            raise ValueError("other has no key in common with this table, so nothing says how to turn it.")
        if n_shared < self.embedding_dim:
            warn(f"only {n_shared} keys are shared for {self.embedding_dim} components: many rotations fit.")
        covariance = np.zeros((self.embedding_dim, self.embedding_dim))
        for start in range(0, len(rows), _BLOCK_ROWS):
            there = rows[start : start + _BLOCK_ROWS]
            here = self._vectors[start : start + _BLOCK_ROWS][there >= 0].astype(np.float64)
            covariance += here.T @ other._vectors[there[there >= 0]].astype(np.float64)
        if not np.isfinite(covariance).all():
            check_finite_vectors(self._vectors, self.keys)
            check_finite_vectors(other._vectors, other.keys)
        left, _, right = np.linalg.svd(covariance)
        rotation = left @ right
        return self._mapped(lambda vectors: vectors.astype(np.float64) @ rotation)

    def to_frame(self) -> Any:
        """A pandas DataFrame: keys as the index, one column a component, float32.

        Raises ImportError naming the extra to install if pandas is absent.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise ImportError('to_frame needs pandas: pip install "skembed[dataframe]".') from error
        index = pd.Index(self.keys, dtype=object, name="key", tupleize_cols=False)
        return pd.DataFrame(self._vectors, index=index, copy=True)

    def to_torch(self, *, freeze: bool = True, default: Any = RAISE) -> TorchEmbedding:
        """A torch.nn.Embedding of the vectors, and which row each key has in it.

        Parameters
        ----------
        freeze : bool, default=True
            Whether training leaves the vectors as they are.
        default : array-like of shape (embedding_dim,), number or "mean", optional
            The vector of unknown keys, as in `lookup`. Not given: that of the table, or none, so that unknown keys are
            errors.

        Returns
        -------
        TorchEmbedding
            `module`, the torch.nn.Embedding: the keys in the order of the table, a row for unknown keys if they have a
            vector, and one of zeros for padding; `index`, `unknown_row` and `padding_row`; and `encode`, which makes a
            tensor of rows of sequences of keys.

        Notes
        -----
        A SubwordTable brings its keys; composing other words of their n-grams is left to `lookup`.
        """
        return torch_embedding(self._vectors, self._index, self._fallback(default), bool(freeze))

    def save(self, path: str | os.PathLike, format: str | None = None, **options: Any) -> None:
        """Write the table to one file, whole or not at all.

        Parameters
        ----------
        path : path-like
        format : str, default=None
            None: what the name ends in, else the library's own; or "word2vec-text", "word2vec-binary", "glove",
            "fasttext-vec", "fasttext-bin", "numpy", "parquet", "csv".
        **options
            See `skembed.formats.save_table`.
        """
        from skembed.formats import save_table  # formats know tables, not the other way round

        save_table(self, path, format, **options)

    @classmethod
    def load(cls, path: str | os.PathLike, *, format: str = "auto", **options: Any) -> "EmbeddingTable":
        """Read a table from a file of any format that skembed knows, plain or compressed, told by its content.

        Parameters
        ----------
        path : path-like
        format : str, default="auto"
        **options
            `limit`, `keys`, `mmap`, `dtype`, `errors`, `allow_nonfinite`, `subwords`, `member`, `verify`,
            `max_expansion`; see `skembed.formats.load_table`.

        Raises
        ------
        FormatError
            A ValueError that names the file, the offset, and what was expected there.
        """
        from skembed.formats import load_table

        return load_table(path, format=format, **options)

    def _mapped(
        self, function: Callable[[np.ndarray], np.ndarray], embedding_dim: int | None = None
    ) -> "EmbeddingTable":
        """The same keys, with every vector, also the unknown one, replaced by its image.

        `embedding_dim` is that of the images where it is not the same.
        """
        images = np.empty((len(self), embedding_dim or self.embedding_dim), dtype=np.float32)
        for start in range(0, len(self), _BLOCK_ROWS):
            images[start : start + _BLOCK_ROWS] = function(self._vectors[start : start + _BLOCK_ROWS])
        unknown = None if self._unknown is None else function(self._unknown[None])[0].astype(np.float32)
        return EmbeddingTable._of(self._keys, images, unknown, self._metric, self._counts)


def _vector(values: Any, embedding_dim: int, name: str) -> np.ndarray:
    vector = as_float32(values, name)
    if vector.shape != (embedding_dim,):
        raise ValueError(f"{name} must have shape ({embedding_dim},), got {vector.shape}.")
    if not np.isfinite(vector).all():
        raise ValueError(f"{name} must be finite float32, got {vector[~np.isfinite(vector)][0]} in it.")
    return vector


def _bits(vector: np.ndarray | None) -> bytes | None:
    return None if vector is None else vector.tobytes()


def _blocks(table: EmbeddingTable) -> Iterator[np.ndarray]:
    return (table.vectors[start : start + _BLOCK_ROWS] for start in range(0, len(table), _BLOCK_ROWS))


def object_array(keys: list) -> np.ndarray:
    return np.fromiter(keys, dtype=object, count=len(keys))  # np.array would make a matrix of a list of tuples


def _check_other(other: Any) -> None:
    if not isinstance(other, EmbeddingTable):
        raise TypeError(f"other must be an EmbeddingTable, got {type(other).__name__}.")


def _read_only(array: np.ndarray) -> np.ndarray:
    # of a read-only owner no view can be made writable again; a memory map may be another's to write
    if not isinstance(array, np.memmap):
        array.flags.writeable = False
    view = array.view()
    view.flags.writeable = False
    return view
