"""Cross-domain similarity local scaling, by which hubs are no longer the nearest ones of everything.

    CSLS(x, y) = 2 cos(x, y) - r(x) - r(y)

where r is the mean cosine with the 10 nearest of the other side (Conneau et al. 2018, equation 3). For one x it is a
dot product with y at unit length beside one more component, -r(y) / 2, so exact search of dot products finds it.
"""

from typing import NamedTuple

import numpy as np

from skembed.table.neighbors import COPIED_AT_ONCE, ExactIndex, Neighbors

__all__ = ["CSLS_NEIGHBORS", "CSLSIndex"]

CSLS_NEIGHBORS = 10  # as in the paper


class CSLSIndex(NamedTuple):
    """Exact search by CSLS.

    Attributes
    ----------
    cosines : ExactIndex
        Of the rows that are searched.
    scaled : ExactIndex
        Of them at unit length, (n, embedding_dim + 1), with -r(y) / 2.
    n_neighbors : int
    """

    cosines: ExactIndex
    scaled: ExactIndex
    n_neighbors: int

    @classmethod
    def of(cls, exact: ExactIndex, sources: ExactIndex | None = None, n_neighbors: int = CSLS_NEIGHBORS) -> "CSLSIndex":
        """The index of rows.

        Parameters
        ----------
        exact : ExactIndex
        sources : ExactIndex, default=None
            What r(y) is the mean cosine with the nearest of: the side that queries come from. None: the rows
            themselves, each without itself.
        n_neighbors : int, default=10
        """
        n, dim = exact.vectors.shape
        scaled = np.zeros((n, dim + 1), dtype=np.float32)
        step = max(1, COPIED_AT_ONCE // dim)
        for start in range(0, n, step):
            rows = slice(start, start + step)
            lengths = np.where(exact.norms[rows] > 0, exact.norms[rows], 1.0)
            scaled[rows, :dim] = exact.vectors[rows] / lengths[:, None]
        if sources is None:
            means = mean_cosines(exact, exact.vectors, n_neighbors, np.arange(n))
        else:
            means = mean_cosines(sources, exact.vectors, n_neighbors)
        scaled[:, dim] = -means / 2
        return cls(exact, ExactIndex(scaled), n_neighbors)

    def search(
        self,
        queries: np.ndarray,
        k: int,
        *,
        among: np.ndarray | None = None,
        excluded: np.ndarray | None = None,
        own_rows: np.ndarray | None = None,
    ) -> Neighbors:
        """The k rows with the largest CSLS for each query; as `ExactIndex.search`.

        r(x) is of all rows, whatever is searched among.
        """
        norms = np.linalg.norm(queries.astype(np.float64), axis=1, keepdims=True)
        scaled = np.hstack([queries / np.where(norms > 0, norms, 1.0), np.ones((len(queries), 1))])
        found = self.scaled.search(scaled, k, "dot", among=among, excluded=excluded, own_rows=own_rows)
        means = mean_cosines(self.cosines, queries, self.n_neighbors, own_rows)
        return Neighbors((2 * found.scores - means[:, None]).astype(np.float32), found.rows)


def mean_cosines(index: ExactIndex, vectors: np.ndarray, k: int, own_rows: np.ndarray | None = None) -> np.ndarray:
    """Return the mean cosine of each vector with the k nearest rows of an index, float64 (n,); 0 where it has none."""
    k = min(k, len(index.vectors) - (own_rows is not None))
    if k < 1:
        return np.zeros(len(vectors))
    return index.search(vectors, k, "cosine", own_rows=own_rows).scores.mean(axis=1, dtype=np.float64)
