"""Exact nearest neighbours among the rows of a matrix, a block at a time.

Scores of a block come from one float32 matrix product. Only the few rows whose score is within the rounding error of
the k best are then scored again in float64, so the result does not depend on how the product was cut into blocks, on
the number of threads, or on the library that computed it.
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np

from skembed.table.vectors import check_finite_vectors

Metric = Literal["cosine", "euclidean", "dot"]
METRICS = ("cosine", "euclidean", "dot")
AnyMetric = Literal["cosine", "euclidean", "dot", "csls"]  # what a search may be asked for; no table's own is "csls"

_SCORES_AT_ONCE = 1 << 21  # float32 scores held at a time, 8 MiB: they stay in a level-3 cache
COPIED_AT_ONCE = 1 << 23  # components copied at a time where rows must be gathered or widened
_WIDENED_AT_ONCE = 1 << 15  # float64 components of row-wise work, 256 KiB: with copies they stay in a level-2 cache
_QUERIES_AT_ONCE = 1_024
_CACHED = 1 << 24  # bytes of a table that may stay in that cache beside them
_GROUP = 16  # rows that share one maximum, by which most rows are passed over unseen
_CANDIDATES = 4  # times k, that wait for a second look: as many as make it worth its while
_ROUNDING = 2.0**-24  # relative error of one float32 operation
# Outside these norms a float32 product may overflow or lose its digits, and float64 is used instead.
_SAFE_NORMS = {"cosine": (1e-30, 1e30), "dot": (1e-30, 1e30), "euclidean": (1e-15, 1e15)}
COSMUL_EPSILON = 0.001  # keeps a denominator near zero from deciding alone


class Neighbors(NamedTuple):
    """The k best rows of each query, best first; row -1 and score nan where fewer than k rows may be returned."""

    scores: np.ndarray  # float32 (n_queries, k)
    rows: np.ndarray  # int64 (n_queries, k)


class ExactIndex:
    """Exact search among the rows of `vectors`, float32 (n, embedding_dim); norms not given are computed here, once.

    A number that is not finite would hide rows beside its own: it is a ValueError, which names the row's key if `keys`
    are given.

    Examples
    --------
    >>> import numpy as np
    >>> index = ExactIndex(np.array([[1, 0], [0, 2], [3, 3]], dtype=np.float32))
    >>> index.search(np.array([[0, 1]]), k=2).rows
    array([[1, 2]])
    >>> index.search(np.array([[0, 1]]), k=2, metric="dot").rows
    array([[2, 1]])
    """

    def __init__(self, vectors: np.ndarray, norms: np.ndarray | None = None, keys: np.ndarray | None = None):
        self.vectors = vectors
        self.norms = row_norms(vectors) if norms is None else norms
        self.largest = float(self.norms.max(initial=0.0))
        if not np.isfinite(self.largest):
            check_finite_vectors(vectors, keys)
        self.smallest = float(self.norms.min(where=self.norms > 0, initial=self.largest))
        inverse = np.divide(1.0, self.norms, out=np.zeros_like(self.norms), where=self.norms > 0)
        with np.errstate(over="ignore"):  # beyond float32 only where float32 is not used
            self._inverse_norms: dict[int, np.ndarray] = {8: inverse, 4: inverse.astype(np.float32)}
            self._half_squares: dict[int, np.ndarray] = {
                8: self.norms**2 / 2,
                4: (self.norms**2 / 2).astype(np.float32),
            }

    def search(
        self,
        queries: np.ndarray,
        k: int,
        metric: Metric = "cosine",
        *,
        among: np.ndarray | None = None,
        excluded: np.ndarray | None = None,
        own_rows: np.ndarray | None = None,
    ) -> Neighbors:
        """The k rows with the best score for each query; equal float32 scores stand in the order of the rows.

        Parameters
        ----------
        queries : ndarray of shape (n_queries, embedding_dim)
        k : int
        metric : {"cosine", "euclidean", "dot"}
            Best is the largest cosine or dot product, or the smallest distance. A cosine with a zero vector is 0.
        among : ndarray of int64, default=None
            Sorted rows to search; None: all.
        excluded : ndarray of int64, default=None
            Rows that no query may return.
        own_rows : ndarray of shape (n_queries,), int64, default=None
            For each query one more row that it may not return, or -1.

        Notes
        -----
        Beside `vectors` and the result, memory is about 100 MB whatever the number of queries and rows.
        """
        n_searched = len(self.vectors) if among is None else len(among)
        k = min(k, n_searched)
        found = Neighbors(np.empty((len(queries), k), np.float32), np.empty((len(queries), k), np.int64))
        # a block has to hold several times k rows, or none of them could be passed over
        n_scores, n_queries = _at_once(self.vectors)
        step = max(1, min(n_queries, n_scores // (4 * k))) if k else len(queries) + 1
        memory: np.ndarray | None = None
        for start in range(0, len(queries) if k else 0, step):
            chunk = slice(start, start + step)
            search = _Search(self, queries[chunk], k, metric, excluded, None if own_rows is None else own_rows[chunk])
            search.memory = memory
            found.scores[chunk], found.rows[chunk] = search.run(among)
            memory = search.memory
        return found

    def search_products(
        self, positive: np.ndarray, negative: np.ndarray, k: int, excluded: np.ndarray | None = None
    ) -> Neighbors:
        """The k rows x with the largest product of cos'(x, positive) over product of cos'(x, negative) + 0.001.

        This is 3CosMul (Levy & Goldberg 2014, equation 4, with the cosine shifted to cos' = (cos + 1) / 2). `positive`
        and `negative` have shape (n, embedding_dim). Result of one query, in float32 arithmetic.
        """
        k = min(k, len(self.vectors) - (0 if excluded is None else len(np.unique(excluded))))
        if k <= 0:
            return Neighbors(np.empty((1, 0), np.float32), np.empty((1, 0), np.int64))
        search = _Search(self, np.concatenate([positive, negative]), 1, "cosine", None, None)
        products = np.empty((len(self.vectors), 1), dtype=np.float32)
        for where in search.blocks(len(self.vectors), copies=False):
            shifted = (np.clip(search.block_scores(where), -1, 1) + 1) / 2
            products[where, 0] = shifted[:, : len(positive)].prod(axis=1) / (
                shifted[:, len(positive) :].prod(axis=1) + COSMUL_EPSILON
            )
        if excluded is not None:
            products[excluded] = -np.inf
        rows, _ = _above(products, np.array([-np.inf]), k, np.zeros(1))
        rows = rows[np.lexsort((rows, -products[rows, 0]))][:k]
        return Neighbors(products[rows].T, rows[None].astype(np.int64))

    def factors(self, metric: Metric, dtype: np.dtype) -> np.ndarray:
        """What a product of each row is multiplied by (cosine) or lessened by (euclidean)."""
        return (self._inverse_norms if metric == "cosine" else self._half_squares)[dtype.itemsize]

    def exact_scores(
        self, rows: np.ndarray, queries: np.ndarray, query_norms: np.ndarray, which: np.ndarray, metric: Metric
    ) -> np.ndarray:
        """Scores of pairs of a row and a query, float64 of float32 precision; a distance is negative here."""
        scores: np.ndarray = np.empty(len(rows))
        step = max(1, _WIDENED_AT_ONCE // self.vectors.shape[1])
        for start in range(0, len(rows), step):
            pairs = slice(start, start + step)
            vectors, targets = self.vectors[rows[pairs]], queries[which[pairs]]
            if metric == "euclidean":
                targets -= vectors  # in float64
                np.einsum("ij,ij->i", targets, targets, out=scores[pairs])
            else:
                np.einsum("ij,ij->i", vectors.astype(np.float64), targets, out=scores[pairs])
        if metric == "euclidean":
            scores = -np.sqrt(scores)
        elif metric == "cosine":
            lengths = self.norms[rows] * query_norms[which]
            np.divide(scores, lengths, out=scores, where=lengths > 0)
        with np.errstate(over="ignore"):
            rounded = scores.astype(np.float32).astype(np.float64)
        # ties are ties of float32; a dot product beyond float32 keeps its rank
        return np.where(np.isfinite(rounded), rounded, scores)


def _at_once(vectors: np.ndarray) -> tuple[int, int]:
    """Return how many scores and queries to look at in one go.

    A large table comes from memory once for each block of queries. A small one stays where it is, and fewer scores are
    sooner gone through again.
    """
    if vectors.nbytes > _CACHED:
        return _SCORES_AT_ONCE, _QUERIES_AT_ONCE
    return _SCORES_AT_ONCE // 2, _QUERIES_AT_ONCE // 2


class _Search:
    """The k best rows so far for each of a chunk of queries.

    Within a block more is better: the cosine, the dot product with the query at unit length, or ``v.q - |v|^2 / 2``,
    which orders rows as the distance does.
    """

    def __init__(
        self,
        index: ExactIndex,
        queries: np.ndarray,
        k: int,
        metric: Metric,
        excluded: np.ndarray | None,
        own_rows: np.ndarray | None,
    ):
        self.index, self.k, self.metric = index, k, metric
        self.excluded, self.own_rows = excluded, own_rows
        self.queries = queries.astype(np.float64)
        self.query_norms = row_norms(self.queries)
        self.scores = np.full((len(queries), k), -np.inf)
        self.rows = np.full((len(queries), k), -1, dtype=np.int64)
        self.holds = False  # whether any of these is a row
        self.thresholds = np.full(len(queries), -np.inf)  # what a score of a block has to exceed
        self.candidates: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []  # rows, their queries, scores of a block
        self.n_candidates = 0

        low, high = _SAFE_NORMS[metric]
        # the product by a query that is zero is zero: its best rows are simply the first
        self.zero_queries = np.flatnonzero(self.query_norms == 0) if metric != "euclidean" else np.empty(0, np.int64)
        if metric == "euclidean":
            narrow = index.largest >= low and max(index.largest, self.query_norms.max()) <= high
            factors: np.ndarray = self.queries
            size: np.ndarray = (self.query_norms + index.largest) ** 2
            product_size: np.ndarray = index.largest * (self.query_norms + index.largest)
        else:
            narrow = index.largest <= high and (index.smallest if metric == "cosine" else index.largest) >= low
            factors = self.queries / np.where(self.query_norms > 0, self.query_norms, 1.0)[:, None]
            size = product_size = (1.0 if metric == "cosine" else index.largest) * (self.query_norms > 0)
        self.dtype = np.dtype(np.float32 if narrow else np.float64)
        self.memory: np.ndarray | None = None  # of the scores of a block
        self.factors = np.ascontiguousarray(factors, dtype=self.dtype).T
        # What a score of a block may be off: embedding_dim roundings of the sum and some of norms and scaling, and the
        # rounding of exact scores to float32, within which they tie.
        roundings = (self.queries.shape[1] + 8) * (_ROUNDING if narrow else _ROUNDING**2)
        self.error = roundings * product_size + 2 * _ROUNDING * size

    def run(self, among: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Visit every row, or every row of `among`, once; scores and rows of shape (n_queries, k)."""
        n_searched = len(self.index.vectors) if among is None else len(among)
        for block in self.blocks(n_searched, copies=among is not None):
            rows = np.arange(block.start, block.stop) if among is None else among[block]
            self.visit(rows, block if among is None else rows)
        self.settle()
        scores = -self.scores if self.metric == "euclidean" else self.scores
        with np.errstate(over="ignore"):
            return np.where(self.rows >= 0, scores, np.nan).astype(np.float32), self.rows

    def blocks(self, n_rows: int, *, copies: bool) -> Iterator[slice]:
        """Slices of `n_rows` rows, such that their scores, and copies of their vectors if need be, are not too many."""
        step = max(1, _at_once(self.index.vectors)[0] // len(self.queries))
        if copies or self.dtype.itemsize == 8:
            step = min(step, max(1, COPIED_AT_ONCE // self.queries.shape[1]))
        return (slice(first, min(first + step, n_rows)) for first in range(0, n_rows, step))

    def visit(self, rows: np.ndarray, where: slice | np.ndarray) -> None:
        """Put those of the block `rows` that may be among the k best to the candidates; `where` selects the same rows,
        as a slice if it can.
        """
        scores = self.block_scores(where)
        self._strike(scores, rows)
        found, which = _above(scores, self.thresholds, self.k, self.error)
        if len(found):
            self.candidates.append((rows[found], which, scores[found, which]))
            self.n_candidates += len(found)
        if self.n_candidates > _CANDIDATES * self.scores.size:
            self.settle()

    def settle(self) -> None:
        """Take the best of the candidates into the k best, which raises the thresholds."""
        if not self.candidates:
            return
        rows, which, scores = map(np.concatenate, zip(*self.candidates))
        self.candidates, self.n_candidates = [], 0
        order = _order(which, scores)
        rows, which, scores = rows[order], which[order], scores[order]
        # of k candidates or more, those that the k-th of them exceeds by the error of both need no second look
        firsts = np.searchsorted(which, np.arange(len(self.queries) + 1))
        full = np.flatnonzero(np.diff(firsts) >= self.k)
        lowest = np.full(len(self.queries), -np.inf)
        lowest[full] = scores[firsts[full] + self.k - 1] - 2 * self.error[full]
        kept = scores >= lowest[which]
        self._merge(rows[kept], which[kept])
        np.maximum(self.thresholds, self._exceeded(), out=self.thresholds)

    def block_scores(self, where: slice | np.ndarray) -> np.ndarray:
        """Scores of the selected rows with every query, (n_rows, n_queries), by one matrix product.

        The next block's scores, and the next search's, stand in the same memory: what the system gives anew it has to
        clear first.
        """
        vectors = self.index.vectors[where].astype(self.dtype, copy=False)
        n_scores = len(vectors) * len(self.queries)
        if self.memory is None or self.memory.dtype != self.dtype or len(self.memory) < n_scores:
            self.memory = np.empty(n_scores, dtype=self.dtype)
        out = self.memory[:n_scores].reshape(len(vectors), len(self.queries))
        if self.metric == "dot":
            return np.matmul(vectors, self.factors, out=out)
        factors = self.index.factors(self.metric, self.dtype)[where, None]
        if len(self.queries) <= vectors.shape[1]:
            operation = np.multiply if self.metric == "cosine" else np.subtract
            return operation(np.matmul(vectors, self.factors, out=out), factors, out=out)
        # with many queries a pass over the vectors costs less than one over the scores
        if self.metric == "cosine":
            return np.matmul(vectors * factors, self.factors, out=out)
        ones = np.ones((1, len(self.queries)), dtype=self.dtype)
        return np.matmul(np.hstack([vectors, -factors]), np.vstack([self.factors, ones]), out=out)

    def _strike(self, scores: np.ndarray, rows: np.ndarray) -> None:
        """Give minus infinity to what may not be returned."""
        n_struck = 1
        if self.excluded is not None:
            struck = _positions(self.excluded, rows)[0]
            scores[struck] = -np.inf
            n_struck += len(struck)
        if self.own_rows is not None:
            positions, which = _positions(self.own_rows, rows)
            scores[positions, which] = -np.inf
        if len(self.zero_queries):
            scores[self.k + n_struck :, self.zero_queries] = -np.inf

    def _exceeded(self) -> np.ndarray:
        """What a score of the next block has to exceed, given the k best so far; -inf while there are fewer than k."""
        worst = self.scores[:, -1]
        if self.metric == "euclidean":
            worst = (self.query_norms**2 - worst**2) / 2
        elif self.metric == "dot":
            worst = worst / np.where(self.query_norms > 0, self.query_norms, 1.0)
        return worst - self.error

    def _merge(self, rows: np.ndarray, which: np.ndarray) -> None:
        """Score the candidates in float64 and keep the k best of them and of those before, by score, then by row.

        Candidates stand by query.
        """
        scores = self.index.exact_scores(rows, self.queries, self.query_norms, which, self.metric)
        if self.holds:
            touched = which[np.flatnonzero(np.diff(which, prepend=-1))]
            held_rows, held_scores = self.rows[touched].ravel(), self.scores[touched].ravel()
            held = held_rows >= 0
            rows = np.concatenate([held_rows[held], rows])
            scores = np.concatenate([held_scores[held], scores])
            which = np.concatenate([np.repeat(touched, self.k)[held], which])
        self.holds = True
        order = _order(which, scores, rows)
        rows, scores, which = rows[order], scores[order], which[order]
        rank = np.arange(len(which)) - np.searchsorted(which, which)
        kept = rank < self.k
        self.rows[which[kept], rank[kept]] = rows[kept]
        self.scores[which[kept], rank[kept]] = scores[kept]


def _above(scores: np.ndarray, thresholds: np.ndarray, k: int, error: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions (row, query) of all scores that may be among the k best, given what a score has to exceed already.

    Thresholds that are minus infinity are raised, where they are.
    """
    n_rows, n_queries = scores.shape
    group = max(1, min(_GROUP, n_rows // (2 * k)))
    n_grouped = n_rows // group * group
    grouped, rest = scores[:n_grouped].reshape(-1, group, n_queries), scores[n_grouped:]
    peaks = grouped.max(axis=1)
    fresh = np.flatnonzero(np.isneginf(thresholds))
    if len(fresh) and len(peaks) >= k:
        # k groups reach the k-th best peak, so k rows do; twice the error, as both sides of a comparison may err
        of_fresh = peaks if len(fresh) == n_queries else peaks[:, fresh]
        kth_peaks = np.partition(of_fresh, len(peaks) - k, axis=0)[len(peaks) - k]
        thresholds[fresh] = np.nextafter(kth_peaks.astype(np.float64) - 2 * error[fresh], -np.inf)
    limits = np.nextafter(thresholds.astype(scores.dtype), -np.inf)  # rounded down: a comparison of one type is faster
    groups, which = np.divmod(np.flatnonzero(peaks > limits), n_queries)  # of one dimension: four times as fast
    hits, places = np.divmod(np.flatnonzero(grouped[groups, :, which] > limits[which, None]), group)
    others, of_others = np.nonzero(rest > limits)
    rows = np.concatenate([groups[hits] * group + places, n_grouped + others])
    return rows, np.concatenate([which[hits], of_others])


def _order(which: np.ndarray, scores: np.ndarray, rows: np.ndarray | None = None) -> np.ndarray:
    """Return the order by query, then by falling score, then, where `rows` are given, by row.

    Query and float32 score are one integer, whose order is found in a tenth of the time.
    """
    with np.errstate(over="ignore"):
        narrow = scores.astype(np.float32)
    if (narrow == scores).all():
        bits = (0.0 - narrow).view(np.int32)  # no negative zero, which equals zero
        keys = (which.astype(np.int64) << 32) + np.where(
            bits < 0, bits ^ 0x7FFFFFFF, bits
        )  # negative ones run backwards
        order = np.argsort(keys)
        if rows is None or not (np.diff(keys[order]) == 0).any():
            return order
    return np.lexsort((-scores, which) if rows is None else (rows, -scores, which))


def _positions(wanted: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions in the sorted `rows` of those of `wanted` that are there, and which of `wanted` they are."""
    positions = np.searchsorted(rows, wanted)
    there = np.flatnonzero(rows[np.minimum(positions, len(rows) - 1)] == wanted)
    return positions[there], there


def row_norms(vectors: np.ndarray) -> np.ndarray:
    """Euclidean norm of each row, float64 (n,)."""
    squares = np.empty(len(vectors))
    step = max(1, _WIDENED_AT_ONCE // vectors.shape[1])
    for start in range(0, len(vectors), step):
        block = vectors[start : start + step].astype(np.float64)
        np.einsum("ij,ij->i", block, block, out=squares[start : start + step])
    return np.sqrt(squares, out=squares)
