"""Word mover's distance of documents (Kusner, Sun, Kolkin & Weinberger 2015), exact, with its lower bounds.

A document is the distribution of its words, and the distance the least cost of moving one distribution into the other,
where moving a unit of mass between two words costs the Euclidean distance of their vectors (equation 1).
"""

from collections.abc import Iterable
from math import gcd, inf, lcm
from typing import Any, NamedTuple

import numpy as np

from skembed.inspection._words import check_table, positive_int
from skembed.memory import check_memory
from skembed.table import EmbeddingTable
from skembed.table.keys import key_list

__all__ = [
    "DocumentNeighbors",
    "nearest_documents",
    "pairwise_word_movers_distances",
    "word_movers_distance",
]

# Up to so many units of mass, assigning them one by one is faster than a linear program: beyond, the units of one word,
# which cost the same, take it long.
_ASSIGNED_UNITS = 128
_COST_BYTES, _PROGRAM_BYTES = 8, 700  # of a pair of words, the latter while the linear program is solved


class DocumentNeighbors(NamedTuple):
    """What `nearest_documents` returns.

    Attributes
    ----------
    distances : ndarray of shape (n_queries, k), float64
        Smallest first.
    rows : ndarray of shape (n_queries, k), int64
        Which of the documents; of equal distances the first.
    n_solved : int
        For how many pairs of a query and a document the exact distance was needed.
    """

    distances: np.ndarray
    rows: np.ndarray
    n_solved: int


def word_movers_distance(
    table: EmbeddingTable, a: Iterable, b: Iterable, *, empty_distance: float | None = None
) -> float:
    """Word mover's distance of two documents.

    Parameters
    ----------
    table : EmbeddingTable
        Vectors of words. Words that it has not are left out; a SubwordTable composes them.
    a, b : list of words
        Tokenised, and with capitals and punctuation as the keys of the table have them.
    empty_distance : float, default=None
        Between a document without a known word and one that has some; None: infinity. Two without are 0 apart.

    Returns
    -------
    float
        Exact up to the rounding of float64.

    Raises
    ------
    MemoryError
        If the costs of moving every word of `a` to every one of `b` would not fit into memory; with thousands of
        different words in each, it takes minutes, too.

    References
    ----------
    Kusner, Sun, Kolkin & Weinberger (2015), "From Word Embeddings To Document Distances", ICML.

    Examples
    --------
    >>> from skembed import EmbeddingTable
    >>> from skembed.inspection import word_movers_distance
    >>> table = EmbeddingTable(["king", "queen", "rules", "cat"], [[0, 0], [0, 1], [4, 0], [3, 4]])
    >>> word_movers_distance(table, ["the", "king", "rules"], ["the", "queen", "rules"])
    0.5
    >>> word_movers_distance(table, ["king"], ["cat"])
    5.0
    """
    corpus = _Corpus(table, empty_distance)
    return corpus.distance(corpus.read(a, "a"), corpus.read(b, "b"))


def pairwise_word_movers_distances(
    table: EmbeddingTable, X: Iterable, Y: Iterable | None = None, *, empty_distance: float | None = None
) -> np.ndarray:
    """Word mover's distances of all pairs of documents, as scikit-learn's ``metric="precomputed"`` takes them.

    Parameters
    ----------
    table : EmbeddingTable
    X : iterable of n documents, lists of words
    Y : iterable of m documents, default=None
        None: those of `X`.
    empty_distance : float, default=None
        See `word_movers_distance`; scikit-learn takes finite numbers alone.

    Returns
    -------
    ndarray of shape (n, m), float64
        Of X alone symmetric, with zeros on its diagonal.

    See Also
    --------
    nearest_documents : finds the nearest without most of these distances.

    Examples
    --------
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from skembed import EmbeddingTable
    >>> from skembed.inspection import pairwise_word_movers_distances
    >>> table = EmbeddingTable(["king", "queen", "cat", "dog"], [[0, 0], [0, 1], [5, 0], [5, 1]])
    >>> train, labels = [["king"], ["cat"]], ["person", "animal"]
    >>> model = KNeighborsClassifier(n_neighbors=1, metric="precomputed")
    >>> _ = model.fit(pairwise_word_movers_distances(table, train), labels)
    >>> model.predict(pairwise_word_movers_distances(table, [["dog", "queen", "dog"]], train)).tolist()
    ['animal']
    """
    corpus = _Corpus(table, empty_distance)
    rows = corpus.read_all(X, "X")
    columns = rows if Y is None else corpus.read_all(Y, "Y")
    distances = np.zeros((len(rows), len(columns)))
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            if Y is not None or j > i:
                distances[i, j] = corpus.distance(row, column)
    return distances if Y is not None else distances + distances.T


def nearest_documents(
    table: EmbeddingTable, queries: Iterable, documents: Iterable, k: int = 5, *, empty_distance: float | None = None
) -> DocumentNeighbors:
    """The k documents nearest to each query by word mover's distance, exactly.

    Documents are looked at in the order of the distance of their centroids, which is a lower bound; where that, or the
    tighter bound of the relaxed distance, exceeds the k-th smallest distance so far, no exact one is needed (section 4
    of the paper, "prefetch and prune").

    Parameters
    ----------
    table : EmbeddingTable
    queries, documents : iterable of documents, lists of words
    k : int, default=5
    empty_distance : float, default=None
        See `word_movers_distance`.

    Returns
    -------
    DocumentNeighbors

    Examples
    --------
    >>> from skembed import EmbeddingTable
    >>> from skembed.inspection import nearest_documents
    >>> table = EmbeddingTable(["king", "queen", "cat", "dog"], [[0, 0], [0, 1], [5, 0], [5, 1]])
    >>> nearest_documents(table, [["king", "cat"]], [["dog"], ["queen", "cat"], ["king"]], k=2).rows.tolist()
    [[1, 2]]
    """
    corpus = _Corpus(table, empty_distance)
    asked, held = corpus.read_all(queries, "queries"), corpus.read_all(documents, "documents")
    k = min(positive_int(k, "k"), len(held))
    distances, rows, n_solved = np.empty((len(asked), k)), np.empty((len(asked), k), dtype=np.int64), 0
    centroids = np.array([document.centroid for document in held]).reshape(len(held), table.embedding_dim)
    for place, query in enumerate(asked if k else []):
        bounds = np.array([corpus.without_words(query, document) for document in held])
        plain = np.isnan(bounds)
        bounds[plain] = np.linalg.norm(centroids[plain] - query.centroid, axis=1) * _ROUNDED_DOWN
        best: list[tuple[float, int]] = []
        for row in np.argsort(bounds, kind="stable").tolist():
            worst = best[-1][0] if len(best) == k else inf
            if len(best) == k and bounds[row] > worst:
                break
            if plain[row] and len(best) == k:
                costs = corpus.costs(query, held[row])
                if _relaxed(costs, query.weights, held[row].weights) * _ROUNDED_DOWN > worst:
                    continue
            n_solved += int(plain[row])
            best = sorted([*best, (corpus.distance(query, held[row]), row)])[:k]
        distances[place], rows[place] = zip(*best)
    return DocumentNeighbors(distances, rows, n_solved)


_ROUNDED_DOWN = 1 - 1e-9  # by more than the rounding of a bound and of a distance, so that a tie is never passed over


class _Document(NamedTuple):
    """The rows of its distinct words, rising, how often each occurs, and the mean of their vectors."""

    rows: np.ndarray
    counts: np.ndarray
    centroid: np.ndarray

    @property
    def weights(self) -> np.ndarray:
        return self.counts / self.counts.sum()


class _Corpus:
    """Documents as rows of the vectors of their words, which are looked up once."""

    def __init__(self, table: EmbeddingTable, empty_distance: float | None):
        check_table(table)
        if empty_distance is not None and not empty_distance >= 0:
            raise ValueError(f"empty_distance must be a number of 0 or more or None, got {empty_distance!r}.")
        self.table, self.empty_distance = table, inf if empty_distance is None else float(empty_distance)
        self.vectors: list[np.ndarray] = []
        self.matrix = np.empty((0, table.embedding_dim))
        self.row_of: dict[Any, int] = {}

    def read_all(self, documents: Iterable, name: str) -> list[_Document]:
        if isinstance(documents, str | bytes):
            raise TypeError(
                f"{name} must be a list of documents, lists of words each, got one {type(documents).__name__}."
            )
        return [self.read(document, f"document {i} of {name}") for i, document in enumerate(documents)]

    def read(self, document: Iterable, name: str) -> _Document:
        if isinstance(document, str | bytes):
            raise TypeError(
                f"{name} must be a list of words, got the {type(document).__name__} {document[:40]!r}; split it into "
                "words as the keys of the table are."
            )
        found = [row for word in key_list(document, name) if (row := self._row(word)) >= 0]
        rows, counts = np.unique(np.array(found, dtype=np.int64), return_counts=True)
        centroid = np.zeros(self.table.embedding_dim)
        if len(rows):
            centroid = counts @ np.array([self.vectors[row] for row in rows.tolist()]) / counts.sum()
        return _Document(rows, counts, centroid)

    def _row(self, word: Any) -> int:
        row = self.row_of.get(word)
        if row is None:
            vector = self._vector(word)
            row = -1 if vector is None else len(self.vectors)
            if vector is not None:
                self.vectors.append(vector)
            self.row_of[word] = row
        return row

    def _vector(self, word: Any) -> np.ndarray | None:
        try:
            return self.table[word].astype(np.float64)
        except KeyError:
            return None

    def without_words(self, a: _Document, b: _Document) -> float:
        """The distance where one of two documents has no word, else nan."""
        if len(a.rows) and len(b.rows):
            return np.nan
        return 0.0 if len(a.rows) == len(b.rows) else self.empty_distance

    def costs(self, a: _Document, b: _Document) -> np.ndarray:
        from scipy.spatial.distance import cdist

        if len(self.matrix) < len(self.vectors):  # after the last document was read, once
            self.matrix = np.array(self.vectors)
        _check_memory(len(a.rows), len(b.rows), _COST_BYTES)
        return cdist(self.matrix[a.rows], self.matrix[b.rows])

    def distance(self, a: _Document, b: _Document) -> float:
        known = self.without_words(a, b)
        if not np.isnan(known):
            return known
        # whole units of mass, of which both documents have as many
        n_units = lcm(int(a.counts.sum()), int(b.counts.sum()))
        supply, demand = (document.counts * (n_units // document.counts.sum()) for document in (a, b))
        # Costs are a metric, so what both have of a word stays where it is.
        _, in_a, in_b = np.intersect1d(a.rows, b.rows, assume_unique=True, return_indices=True)
        shared = np.minimum(supply[in_a], demand[in_b])
        supply[in_a] -= shared
        demand[in_b] -= shared
        from_, to = np.flatnonzero(supply), np.flatnonzero(demand)
        if not len(from_):
            return 0.0
        return transport_cost(self.costs(a, b)[np.ix_(from_, to)], supply[from_], demand[to]) / n_units


def _relaxed(costs: np.ndarray, supply: np.ndarray, demand: np.ndarray) -> float:
    """The lower bound of the relaxed distance: each word moves to its nearest, in the direction that costs more."""
    return max(float(costs.min(axis=1) @ supply), float(costs.min(axis=0) @ demand))


def transport_cost(costs: np.ndarray, supply: np.ndarray, demand: np.ndarray) -> float:
    """The least cost of moving whole units of mass.

    Parameters
    ----------
    costs : ndarray of shape (n, m)
        Of moving a unit.
    supply, demand : ndarray of shape (n,) and (m,), int64
        Units, at least 1 each, as many here as there.

    Returns
    -------
    float
    """
    from scipy.optimize import linear_sum_assignment, linprog
    from scipy.sparse import csr_array

    unit = gcd(*supply.tolist(), *demand.tolist())
    n_units = int(supply.sum()) // unit
    if n_units <= _ASSIGNED_UNITS or n_units == len(supply) == len(demand):
        spread = np.repeat(np.repeat(costs, supply // unit, axis=0), demand // unit, axis=1)
        return float(spread[linear_sum_assignment(spread)].sum() * unit)
    n, m = costs.shape
    _check_memory(n, m, _PROGRAM_BYTES)
    flow = np.arange(n * m)
    # each flow stands in the sum of its source and in that of its sink; the last of the sums follows from the others
    constraints = csr_array((np.ones(2 * n * m), (np.append(flow // m, n + flow % m), np.append(flow, flow))))[:-1]
    total = supply.sum()
    shares = np.append(supply, demand)[:-1] / total
    scale = _scale(costs, supply / total, demand / total)
    # by the dual simplex method as it is: in a problem without anything redundant presolving takes half of the time
    how: dict[str, Any] = {"method": "highs-ds", "options": {"presolve": False}}
    solved = linprog(np.ldexp(costs, -scale).ravel(), A_eq=constraints, b_eq=shares, bounds=(0, None), **how)
    if not solved.success:
        raise RuntimeError(f"the linear program of a word mover's distance was not solved: {solved.message}")
    return float(np.ldexp(solved.fun, scale) * total)


def _check_memory(n: int, m: int, bytes_a_pair: int) -> None:
    check_memory(
        n * m * bytes_a_pair,
        f"word mover's distance of documents of {n} and {m} different words",
        "leave stop words and rare words out, or compare parts of the documents",
    )


def _scale(costs: np.ndarray, supply: np.ndarray, demand: np.ndarray) -> int:
    """Return the power of 2 next to the cost that is looked for, or to the largest one where its bound is zero.

    The solver takes costs below 1e-7 for zero, and those from 1e20 on for infinite; by a power of 2 no bit is lost.
    """
    bound = _relaxed(costs, supply, demand) or float(costs.max())
    return int(np.frexp(bound)[1])
