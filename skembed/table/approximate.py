"""Approximate nearest neighbours by an index: it finds candidates alone, scored and ordered as by exact search."""

from threading import Lock

import numpy as np

from skembed.table.neighbors import ExactIndex, Metric, Neighbors, row_norms

__all__ = ["ApproximateIndex"]

_ADDED_AT_ONCE = 100_000  # vectors added between two looks for Ctrl-C
_QUERIES_AT_ONCE = 1_024
_USEARCH_METRICS = {"cosine": "cos", "euclidean": "l2sq", "dot": "ip"}


class ApproximateIndex:
    """Approximate search by a graph of near neighbours (HNSW, Malkov & Yashunin 2020), that of usearch.

    Made by `EmbeddingTable.build_index` and passed to `EmbeddingTable.nearest` or `kneighbors`.

    Parameters
    ----------
    exact : ExactIndex
        Of the vectors; the index refers to them and holds no copy.
    metric : {"cosine", "euclidean", "dot"}
    connectivity, expansion_add, expansion_search : int
        Links of a vector, and candidates looked at when a vector is added and when one is searched. More find more of
        the neighbours and take longer.
    n_jobs : int or None
        Threads; a graph built by one is always the same.

    Attributes
    ----------
    recall_ : float
        Share of the 10 nearest of (up to) 1,000 of the vectors that it finds, or others just as near.
    """

    def __init__(
        self,
        exact: ExactIndex,
        metric: Metric = "cosine",
        *,
        connectivity: int = 16,
        expansion_add: int = 128,
        expansion_search: int = 64,
        n_jobs: int | None = None,
    ):
        try:
            from usearch.index import Index
        except ImportError as error:
            raise ImportError('an approximate index needs usearch: pip install "skembed[index]".') from error
        from joblib import effective_n_jobs

        self.exact, self.metric = exact, metric
        self._n_threads = effective_n_jobs(n_jobs)
        self._graph = Index(
            ndim=exact.vectors.shape[1],
            metric=_USEARCH_METRICS[metric],
            dtype="f32",
            connectivity=connectivity,
            expansion_add=expansion_add,
            expansion_search=expansion_search,
        )
        self._lock = Lock()  # usearch has a fixed number of places for threads that search at a time
        for start in range(0, len(exact.vectors), _ADDED_AT_ONCE):
            block = np.ascontiguousarray(exact.vectors[start : start + _ADDED_AT_ONCE])
            rows = np.arange(start, start + len(block), dtype=np.uint64)
            self._graph.add(rows, block, copy=False, threads=self._n_threads)
        self.recall_ = self.recall()

    def search(
        self, queries: np.ndarray, k: int, *, excluded: np.ndarray | None = None, own_rows: np.ndarray | None = None
    ) -> Neighbors:
        """The k best rows that the index finds for each query; as of `ExactIndex.search`, but some may be missed."""
        n_struck = (0 if excluded is None else len(excluded)) + (own_rows is not None)
        k = min(k, len(self.exact.vectors))
        found = Neighbors(np.full((len(queries), k), np.nan, np.float32), np.full((len(queries), k), -1, np.int64))
        for start in range(0, len(queries) if k else 0, _QUERIES_AT_ONCE):
            chunk = slice(start, start + _QUERIES_AT_ONCE)
            own = None if own_rows is None else own_rows[chunk]
            self._search(queries[chunk], k, k + n_struck, excluded, own, Neighbors(*(part[chunk] for part in found)))
        return found

    def _search(
        self,
        queries: np.ndarray,
        k: int,
        n_candidates: int,
        excluded: np.ndarray | None,
        own_rows: np.ndarray | None,
        out: Neighbors,
    ) -> None:
        wanted = min(n_candidates, len(self.exact.vectors))
        with self._lock:
            matches = self._graph.search(np.array(queries, np.float32, ndmin=2), wanted, threads=self._n_threads)
        rows = matches.keys.reshape(len(queries), -1).astype(np.int64)
        good = np.arange(rows.shape[1]) < np.reshape(getattr(matches, "counts", rows.shape[1]), (-1, 1))
        if excluded is not None:
            good &= ~np.isin(rows, excluded)
        if own_rows is not None:
            good &= rows != own_rows[:, None]
        which, place = np.nonzero(good)
        rows = rows[which, place]
        wide = queries.astype(np.float64)
        scores = self.exact.exact_scores(rows, wide, row_norms(wide), which, self.metric)
        order = np.lexsort((rows, -scores, which))
        rows, scores, which = rows[order], scores[order], which[order]
        rank = np.arange(len(which)) - np.searchsorted(which, which)
        kept = rank < k
        out.rows[which[kept], rank[kept]] = rows[kept]
        with np.errstate(over="ignore"):
            out.scores[which[kept], rank[kept]] = -scores[kept] if self.metric == "euclidean" else scores[kept]

    def recall(
        self, queries: np.ndarray | None = None, k: int = 10, *, sample_size: int = 1_000, seed: int = 0
    ) -> float:
        """Share of the k best rows of exact search that the index finds; nan for a table without a second vector.

        Rows that score as the last of the best does count as well: of equal vectors any will do.

        Parameters
        ----------
        queries : ndarray of shape (n_queries, embedding_dim), default=None
            None: `sample_size` of the vectors themselves, drawn by `seed`, each without itself.
        k : int, default=10
        """
        own_rows = None
        if queries is None:
            n_rows = len(self.exact.vectors)
            own_rows = np.random.default_rng(seed).permutation(n_rows)[:sample_size]
            queries = self.exact.vectors[own_rows]
        best = self.exact.search(queries, k, self.metric, own_rows=own_rows)
        found = self.search(queries, k, own_rows=own_rows)
        n_best = (best.rows >= 0).sum(axis=1)
        if not n_best.any():
            return float("nan")
        worst = best.scores[np.arange(len(n_best)), n_best - 1][:, None]  # equal vectors are as good as one another
        hits = found.scores <= worst if self.metric == "euclidean" else found.scores >= worst
        return float(np.minimum(hits.sum(axis=1), n_best).sum() / n_best.sum())

    def __repr__(self) -> str:
        n, dim = self.exact.vectors.shape
        return f"ApproximateIndex({n} x {dim}, metric={self.metric!r}, recall at 10 = {self.recall_:.3f})"
