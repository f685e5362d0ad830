"""Queries to the vectors of a table: neighbours, analogies, similarities, outliers."""

from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np

from skembed.data.canonical import canonical_key
from skembed.data.keys import Keys
from skembed.table.approximate import ApproximateIndex
from skembed.table.csls import CSLSIndex
from skembed.table.keys import UnseenKeyError, find_rows, hashable, is_tensor, key_list, unseen_message
from skembed.table.neighbors import COPIED_AT_ONCE, METRICS, AnyMetric, ExactIndex, Metric, Neighbors, row_norms
from skembed.table.vectors import as_float32, check_finite_vectors, of_tensor


class _Terms(NamedTuple):
    """Vectors of an analogy, their weights, and the rows of those that are keys."""

    vectors: np.ndarray
    weights: np.ndarray
    rows: np.ndarray

    def sum_of_units(self) -> np.ndarray:
        units = unit_vectors(self.vectors)
        return (units if (self.weights == 1).all() else units * self.weights[:, None]).sum(axis=0)


class _Restriction(NamedTuple):
    """The keys among which to search, as they were given, their rows, sorted, and these rows ready to be searched."""

    given: Any
    rows: np.ndarray
    exact: ExactIndex | None  # None: too many to be copied

    def is_of(self, keys: Any) -> bool:
        try:  # a key that is the same object costs no comparison of its characters
            return type(keys) is type(self.given) and bool(keys == self.given)
        except (TypeError, ValueError):  # of an array in place of a key, which has no single truth value
            return False

    def search(
        self, queries: np.ndarray, k: int, metric: Metric, excluded: np.ndarray | None, own_rows: np.ndarray | None
    ) -> Neighbors:
        """As `ExactIndex.search` of the whole table, among these rows."""
        places = None if own_rows is None else self._places(own_rows)
        if excluded is not None:
            excluded = self._places(excluded)
            excluded = excluded[excluded >= 0]
        found = self.exact.search(queries, k, metric, excluded=excluded, own_rows=places)  # type: ignore[union-attr]
        if not len(self.rows):
            return found
        return Neighbors(found.scores, np.where(found.rows < 0, -1, self.rows[found.rows]))

    def _places(self, rows: np.ndarray) -> np.ndarray:
        """Where rows of the table stand among these, -1 for those that do not."""
        if not len(self.rows):
            return np.full(len(rows), -1)
        places = np.minimum(np.searchsorted(self.rows, rows), len(self.rows) - 1)
        return np.where(self.rows[places] == rows, places, -1)


class KeyedVectors:
    """Keys, vectors and their rows, and the questions about them: the half of EmbeddingTable that searches."""

    __slots__ = ("_csls_index", "_exact_index", "_keys", "_metric", "_restriction", "_vectors")

    _keys: Keys
    _vectors: np.ndarray
    _metric: Metric
    _exact_index: ExactIndex | None
    _csls_index: CSLSIndex | None  # of the first search by CSLS
    _restriction: _Restriction | None  # of the last search, so that many among the same keys look for them once

    @property
    def embedding_dim(self) -> int:
        """Number of components of a vector."""
        return self._vectors.shape[1]

    def nearest(
        self,
        query: Any,
        k: int = 10,
        *,
        metric: AnyMetric | None = None,
        exclude: Iterable = (),
        restrict_to: Iterable | None = None,
        index: ApproximateIndex | None = None,
    ) -> list:
        """The k keys nearest to a key or a vector, found exactly unless an index is given.

        Parameters
        ----------
        query : key, list of n keys, array of shape (embedding_dim,) or (n, embedding_dim)
            Anything hashable is a key; an array or a tensor of numbers is a vector or a matrix. A key is not its own
            neighbour.
        k : int, default=10
        metric : {"cosine", "euclidean", "dot", "csls"}, default=None
            The score: cosine (0 where a vector is zero), distance, or dot product. None: that of the table's own
            `metric`. "csls" is 2 cos(x, y) - r(x) - r(y) with r the mean cosine of a vector with its 10 nearest keys
            (Conneau et al. 2018), by which hubs are found less often; the first search by it compares all keys with
            each other. Between two tables use `skembed.pairs.translate`.
        exclude : sequence of keys, default=()
            Not to be returned. Keys that are not in the table are passed over.
        restrict_to : sequence of keys, default=None
            Search only among these, exactly. For many searches pass an equal list or tuple each time: the keys of the
            last one are not looked up again.
        index : ApproximateIndex, default=None
            Of `build_index`, to search approximately; of this table and of this metric.

        Returns
        -------
        list of (key, float)
            Best first, equal scores in the order of the table; shorter than k where there are not so many keys. For
            several queries, a list of such lists.

        Raises
        ------
        KeyError
            For keys in `query` or `restrict_to` that are not in the table.
        ValueError
            If k, the metric, or the shape of an array does not fit.

        Examples
        --------
        >>> from skembed import EmbeddingTable
        >>> table = EmbeddingTable(["Ulm", "Graz", "Bern"], [[3.0, 0.0], [4.0, 3.0], [0.0, 1.0]])
        >>> [(key, round(score, 3)) for key, score in table.nearest("Ulm", k=2)]
        [('Graz', 0.8), ('Bern', 0.0)]
        >>> table.nearest(["Ulm", "Bern"], k=1, metric="euclidean", exclude=["Graz"])
        [[('Bern', 3.1622776985168457)], [('Ulm', 3.1622776985168457)]]
        >>> table.nearest(np.array([0.0, 2.0]), k=1)
        [('Bern', 1.0)]
        """
        vectors, own_rows = self._queries(query)
        excluded = find_rows(key_list(exclude, "exclude"), self._index)
        among = None if restrict_to is None else self._restricted(restrict_to)
        if own_rows is not None and not np.isfinite(vectors).all():
            check_finite_vectors(self._vectors, self._keys.array, own_rows[own_rows >= 0])
        k, vectors_2d = positive_int(k, "k"), np.atleast_2d(vectors)
        struck = excluded[excluded >= 0] if len(excluded) else None
        if metric == "csls":
            rows = None if among is None else among.rows
            found = self._csls(index).search(vectors_2d, k, among=rows, excluded=struck, own_rows=own_rows)
            return self._pairs(found)[0] if vectors.ndim == 1 else self._pairs(found)
        metric = self._metric_or_own(metric)
        if self._fits(index, metric) and among is None:
            found = index.search(vectors_2d, k, excluded=struck, own_rows=own_rows)  # type: ignore[union-attr]
        elif among is not None and among.exact is not None:
            found = among.search(vectors_2d, k, metric, struck, own_rows)
        else:
            rows = None if among is None else among.rows
            found = self._exact.search(vectors_2d, k, metric, among=rows, excluded=struck, own_rows=own_rows)
        return self._pairs(found)[0] if vectors.ndim == 1 else self._pairs(found)

    def kneighbors(
        self, vectors: Any, k: int = 10, *, metric: AnyMetric | None = None, index: ApproximateIndex | None = None
    ) -> Neighbors:
        """Scores and row numbers of the k nearest vectors, for queries by the thousand.

        Parameters
        ----------
        vectors : array-like of shape (n, embedding_dim)
        k : int, default=10
        metric : {"cosine", "euclidean", "dot", "csls"}, default=None
            As of `nearest`. None: the table's own.
        index : ApproximateIndex, default=None
            Of `build_index`, to search approximately; of this table and of this metric.

        Returns
        -------
        scores : ndarray of shape (n, min(k, n_keys)), float32
            Best first.
        rows : ndarray of shape (n, min(k, n_keys)), int64
            ``table.keys[rows]`` are the keys. A vector of the table finds itself. With an index -1, and a score of
            nan, where it found fewer.

        Examples
        --------
        >>> from skembed import EmbeddingTable
        >>> table = EmbeddingTable(["Ulm", "Graz", "Bern"], [[3.0, 0.0], [4.0, 3.0], [0.0, 1.0]])
        >>> scores, rows = table.kneighbors([[0.0, 5.0], [1.0, 0.0]], k=2)
        >>> table.keys[rows].tolist()
        [['Bern', 'Graz'], ['Ulm', 'Graz']]
        """
        queries = self._matrix(vectors, "vectors")
        if queries.ndim != 2:
            raise ValueError(f"vectors must have shape (n, {self.embedding_dim}), got {queries.shape}.")
        k = positive_int(k, "k")
        if metric == "csls":
            return self._csls(index).search(queries, k)
        metric = self._metric_or_own(metric)
        if self._fits(index, metric):
            return index.search(queries, k)  # type: ignore[union-attr]
        return self._exact.search(queries, k, metric)

    def build_index(
        self,
        metric: Metric | None = None,
        *,
        connectivity: int = 16,
        expansion_add: int = 128,
        expansion_search: int = 64,
        n_jobs: int | None = None,
    ) -> ApproximateIndex:
        """An index for approximate search by `nearest` and `kneighbors`: usearch's graph of near neighbours.

        For tables of millions of keys that are searched often, one query at a time. Its attribute `recall_` says what
        share of the 10 nearest it finds; scores are exact whatever it finds. It stays in memory and is not saved.

        Parameters
        ----------
        metric : {"cosine", "euclidean", "dot"}, default=None
            None: the table's own.
        connectivity : int, default=16
            Links of each vector.
        expansion_add, expansion_search : int, default=128, 64
            Candidates looked at when a vector is added, and when one is searched.
        n_jobs : int, default=None
            Threads of building and searching. None is one, and only then two indexes are alike.

        Returns
        -------
        ApproximateIndex

        Raises
        ------
        ImportError
            Naming the extra to install if usearch is absent.
        """
        sizes = {"connectivity": connectivity, "expansion_add": expansion_add, "expansion_search": expansion_search}
        sizes = {name: positive_int(value, name) for name, value in sizes.items()}
        if n_jobs is not None and (not isinstance(n_jobs, Integral) or isinstance(n_jobs, bool) or n_jobs == 0):
            raise ValueError(f"n_jobs must be an int other than 0 or None, got {n_jobs!r}.")
        if metric == "csls":
            raise ValueError(
                "metric='csls' is searched exactly alone; build an index of 'cosine', or pass metric='csls' to nearest "
                "without one."
            )
        return ApproximateIndex(
            self._exact,
            self._metric_or_own(metric),
            **sizes,
            n_jobs=None if n_jobs is None else int(n_jobs),
        )

    def _restricted(self, keys: Iterable) -> _Restriction:
        """The rows of keys to search among; those of the last search again where the keys are equal."""
        last = self._restriction
        if last is not None and last.is_of(keys):
            return last
        given = keys.copy() if type(keys) is list else keys if type(keys) is tuple else None
        rows = np.unique(self._seen_rows(keys, "restrict_to"))
        exact = None
        if len(rows) * self.embedding_dim <= COPIED_AT_ONCE:  # else a copy would be held that is too large
            vectors = self._vectors[rows]
            norms = row_norms(vectors) if self._exact_index is None else self._exact_index.norms[rows]
            if not np.isfinite(norms).all():
                check_finite_vectors(self._vectors, self._keys.array, rows)
            exact = ExactIndex(vectors, norms)
        restriction = _Restriction(given, rows, exact)
        if given is not None:
            self._restriction = restriction
        return restriction

    def _metric_or_own(self, metric: AnyMetric | None) -> Metric:
        return self._metric if metric is None else one_of(metric, METRICS, "metric")

    def _csls(self, index: ApproximateIndex | None) -> CSLSIndex:
        if index is not None:
            raise ValueError("metric='csls' is searched exactly alone; leave index out, or pass its metric.")
        if self._csls_index is None:
            self._csls_index = CSLSIndex.of(self._exact)
        return self._csls_index

    def _fits(self, index: ApproximateIndex | None, metric: Metric) -> bool:
        """Whether to search by an index; ValueError if it is not one for this search."""
        if index is None:
            return False
        if not isinstance(index, ApproximateIndex):
            raise TypeError(f"index must be what build_index returned, got {type(index).__name__}.")
        if index.exact.vectors is not self._vectors:
            raise ValueError(
                f"index must be of this table, got one of other vectors: {index!r}; build it from this table."
            )
        if index.metric != metric:
            raise ValueError(f"metric must be that of the index, {index.metric!r}, got {metric!r}.")
        return True

    def analogy(self, positive: Iterable, negative: Iterable = (), k: int = 10, *, method: str = "3cosadd") -> list:
        """Keys that are to the positive ones as the negative ones are not: king - man + woman gives queen.

        Parameters
        ----------
        positive, negative : sequence of keys, of (key, weight) pairs, or of vectors of shape (embedding_dim,)
            Also mixed. Keys among them are not returned. A pair that is itself a key of the table is a key.
        k : int, default=10
        method : {"3cosadd", "3cosmul"}, default="3cosadd"
            Cosine with the sum of the unit vectors, those of `negative` subtracted (Mikolov, Yih & Zweig 2013), or
            the product of the cosines, shifted to 0..1, over that of `negative` (Levy & Goldberg 2014, equation 4).

        Returns
        -------
        list of (key, float)
            Best first.

        Examples
        --------
        >>> from skembed import EmbeddingTable
        >>> table = EmbeddingTable(["man", "woman", "king", "queen"], [[1, 0, 1], [1, 1, 1], [3, 0, 1], [3, 1, 1]])
        >>> table.analogy(positive=["king", "woman"], negative=["man"], k=1)[0][0]
        'queen'
        >>> table.analogy([("king", 2.0), np.array([0.0, 1.0, 0.0])], k=1)[0][0]
        'queen'
        """
        plus, minus = self._terms(positive, "positive"), self._terms(negative, "negative")
        if not len(plus.vectors):
            raise ValueError("positive must name at least one key, got none.")
        k, given = positive_int(k, "k"), np.concatenate([plus.rows, minus.rows])
        if one_of(method, ("3cosadd", "3cosmul"), "method") == "3cosmul":
            if (plus.weights != 1).any() or (minus.weights != 1).any():
                raise ValueError("method='3cosmul' has no weights; pass keys alone, or method='3cosadd'.")
            found = self._exact.search_products(plus.vectors, minus.vectors, k, given)
        else:
            target = plus.sum_of_units() - minus.sum_of_units()
            found = self._exact.search(target[None], k, excluded=given)
        return self._pairs(found)[0]

    def _terms(self, given: Iterable, name: str) -> "_Terms":
        """What `analogy` adds up: the vectors of keys, weighted or not, and vectors as they are."""
        given = np.asarray(of_tensor(given)) if is_tensor(given) else given
        if not isinstance(given, np.ndarray) or given.ndim == 1:
            given = list(given) if isinstance(given, list | tuple) else key_list(given, name)
        keys: list[Any] = []
        vectors: list[Any] = []
        weights: list[float] = []
        for entry in given:
            weight = 1.0
            if isinstance(entry, tuple) and len(entry) == 2 and isinstance(entry[1], Real) and not self._holds(entry):
                entry, weight = entry[0], float(entry[1])
                if not np.isfinite(weight):
                    raise ValueError(f"{name} holds the weight {weight} of {entry!r}; expected a finite number.")
            if (isinstance(entry, np.ndarray) and entry.ndim) or is_tensor(entry):
                vector = as_float32(entry, name)
                if vector.shape != (self.embedding_dim,) or not np.isfinite(vector).all():
                    raise ValueError(
                        f"{name} holds a vector of shape {vector.shape}; expected finite numbers of shape "
                        f"({self.embedding_dim},)."
                    )
                vectors.append(vector)
            else:
                keys.append(entry)
                vectors.append(None)
            weights.append(weight)
        rows = self._seen_rows(keys, name)
        found = iter(self._vectors[rows])
        matrix = [next(found) if vector is None else vector for vector in vectors]
        return _Terms(np.array(matrix, dtype=np.float32).reshape(-1, self.embedding_dim), np.array(weights), rows)

    def _holds(self, key: Any) -> bool:
        return hashable(key) and canonical_key(key) in self._index

    def similarity(self, a: Any, b: Any) -> Any:
        """Cosine of two keys or vectors, whatever the table's metric; 0 where one is zero.

        Parameters
        ----------
        a, b : key, list of n keys, array of shape (embedding_dim,) or (n, embedding_dim)
            Lists are compared pair by pair; one key or vector against a list, with each of the list.

        Returns
        -------
        float, or ndarray of shape (n,), float64

        Examples
        --------
        >>> from skembed import EmbeddingTable
        >>> table = EmbeddingTable(["Ulm", "Graz", "Bern"], [[3.0, 0.0], [4.0, 3.0], [0.0, 1.0]])
        >>> round(table.similarity("Ulm", "Graz"), 3)
        0.8
        >>> table.similarity("Ulm", ["Ulm", "Bern"])
        array([1., 0.])
        """
        left, right = unit_vectors(self._queries(a)[0]), unit_vectors(self._queries(b)[0])
        if left.ndim == right.ndim == 2 and len(left) != len(right):
            raise ValueError(
                f"a and b are compared pair by pair and must be equally long, got {len(left)}, {len(right)}."
            )
        cosines = np.clip((left * right).sum(axis=-1), -1.0, 1.0)
        return float(cosines) if cosines.ndim == 0 else cosines

    def outlier(self, keys: Iterable) -> Any:
        """The key that fits the others least: the smallest cosine with the mean of the others' unit vectors.

        Parameters
        ----------
        keys : sequence of three keys or more

        Examples
        --------
        >>> from skembed import EmbeddingTable
        >>> table = EmbeddingTable(["Ulm", "Bern", "Graz", "tea"], [[3, 1], [4, 1], [5, 0], [0, 1]])
        >>> table.outlier(["Ulm", "tea", "Bern", "Graz"])
        'tea'
        """
        rows = self._seen_rows(keys)
        if len(rows) < 3:
            raise ValueError(f"keys must name at least three keys, got {len(rows)}: of two, neither is the odd one.")
        units = unit_vectors(self._vectors[rows])
        means = unit_vectors((units.sum(axis=0) - units) / (len(rows) - 1))
        return self._keys.array[rows[np.argmin((units * means).sum(axis=1))]]

    @property
    def _index(self) -> dict[Any, int]:
        return self._keys.index

    @property
    def _exact(self) -> ExactIndex:
        if self._exact_index is None:
            self._exact_index = ExactIndex(self._vectors, keys=self._keys.array)
        return self._exact_index

    def _seen_rows(self, keys: Iterable, name: str = "keys") -> np.ndarray:
        """Rows of keys that must all be there, int64 (n,)."""
        listed = key_list(keys, name)
        rows = find_rows(listed, self._index)
        if (rows < 0).any():
            raise KeyError(f"{name}: {unseen_message(listed, rows)}.")
        return rows

    def _row(self, key: Any) -> int:
        row = self._index.get(canonical_key(key))
        if row is None:
            raise UnseenKeyError(key, self._keys.array, self._index)
        return row

    def _queries(self, query: Any) -> tuple[np.ndarray, np.ndarray | None]:
        """Vectors, (embedding_dim,) or (n, embedding_dim), and where they came from keys, the rows of those."""
        query = np.asarray(of_tensor(query)) if is_tensor(query) else query
        if len(getattr(query, "shape", ())) == 2 or (isinstance(query, np.ndarray) and query.dtype.kind in "fiub"):
            return self._matrix(query, "query"), None
        if hashable(query):
            row = self._row(query)
            return self._vectors[row], np.array([row])
        query = key_list(query, "query") if hasattr(query, "to_pylist") else list(query)
        if query and not hashable(query[0]):
            return self._matrix(query, "query"), None
        return self._vectors_of(query)

    def _vectors_of(self, keys: list) -> tuple[np.ndarray, np.ndarray]:
        """Vectors of several keys that are queries, (n, embedding_dim), and their rows."""
        try:
            rows = self._seen_rows(keys, "query")
        except KeyError as error:
            if all(isinstance(number, Real) for number in keys):
                raise KeyError(f"{error.args[0]} A list is a list of keys; np.array(query) is a vector.") from None
            raise
        return self._taken(rows), rows

    def _taken(self, rows: np.ndarray) -> np.ndarray:
        """Copies of some vectors; of a memory map, too, an array of numpy's plain type."""
        return np.take(np.asarray(self._vectors), rows, axis=0)

    def _matrix(self, vectors: Any, name: str) -> np.ndarray:
        array = as_float32(vectors, name)
        if array.ndim not in (1, 2) or array.shape[-1] != self.embedding_dim:
            raise ValueError(
                f"{name} must have shape ({self.embedding_dim},) or (n, {self.embedding_dim}), got {array.shape}."
            )
        if not np.isfinite(array).all():
            raise ValueError(f"{name} must be finite float32, got {array[~np.isfinite(array)][0]} in it.")
        return array

    def _pairs(self, found: Neighbors) -> list[list[tuple[Any, float]]]:
        return [
            [(self._keys.array[row], score) for row, score in zip(rows, scores) if row >= 0]
            for rows, scores in zip(found.rows.tolist(), found.scores.tolist())
        ]


def unit_vectors(vectors: np.ndarray) -> np.ndarray:
    """Vectors at unit length along the last axis, float64; zero stays zero."""
    norms = row_norms(np.atleast_2d(vectors)).reshape(vectors.shape[:-1])[..., None]
    return vectors / np.where(norms > 0, norms, 1.0)


def positive_int(value: Any, name: str, otherwise: str = "") -> int:
    """`value` as an int; ValueError where it is none, or less than 1."""
    if not isinstance(value, Integral) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name} must be a positive int{otherwise and ' ' + otherwise}, got {value!r}.")
    return int(value)


def one_of(value: Any, allowed: tuple, name: str) -> Any:
    """`value`; ValueError where it is not among those allowed."""
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}, got {value!r}.")
    return value
