"""Means over neighbours: rows of weights times vectors, as nodes are embedded by those that they are linked to."""

import numpy as np
from scipy import sparse

__all__ = ["mean_over_neighbors"]


def mean_over_neighbors(rows: sparse.csr_matrix, context: np.ndarray, length: float) -> np.ndarray:
    """Return the weighted mean of the vectors of each row's neighbours.

    Parameters
    ----------
    rows : csr_matrix of shape (n_rows, n_nodes), float64
        Weights of at least 0.
    context : ndarray of shape (n_nodes, embedding_dim), float32
    length : float
        0 leaves means as they are. Else they are given this length, times sqrt(n / (n + 1)) for n neighbours: what few
        say is less certain. A mean of n vectors, of which each has as much noise as signal, has a square of 1 + 1 / n
        times that of the signal, and its expectation is n / (n + 1) of it; at unit length that is the root.

    Returns
    -------
    ndarray of shape (n_rows, embedding_dim), float32
        Rows without neighbours are zero.

    Examples
    --------
    >>> rows = sparse.csr_matrix([[1.0, 3.0], [0.0, 0.0]])
    >>> mean_over_neighbors(rows, np.array([[4.0], [8.0]], dtype=np.float32), 0.0)
    array([[7.],
           [0.]], dtype=float32)
    """
    rows = rows.copy()
    rows.eliminate_zeros()
    counts = np.diff(rows.indptr)
    largest = np.repeat(rows.max(axis=1).toarray().ravel(), counts)
    rows.data = rows.data / largest  # of huge weights the sum may be beyond float64
    totals = np.asarray(rows.sum(axis=1)).ravel()
    rows.data = (rows.data / np.repeat(totals, counts)).astype(np.float32)
    means = np.asarray(rows @ context)
    if length > 0:
        norms = np.linalg.norm(means, axis=1)
        scales = length * np.sqrt(counts / (counts + 1.0)) / np.where(norms > 0, norms, 1.0)
        means *= scales[:, None].astype(np.float32)
    return means
