"""Logarithms of transitions of few steps on a graph: the matrix that DeepWalk factorizes implicitly, and its vectors.

Qiu et al. 2018, "Network Embedding as Matrix Factorization as ... DeepWalk, LINE, PTE, and node2vec", equation 3. All
paths are summed where that is affordable; else paths are drawn, as many as make the matrix no larger than the budget.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from skembed.kernels.transitions import sum_transitions
from skembed.memory import check_memory
from skembed.parallel import Workers
from skembed.training.sparse import even_parts

__all__ = ["Graph", "log_transitions"]

MAX_STEPS = 5  # of "auto"; more change little, and fill the matrix
LEAST_DEGREE = 2.0**-32  # of all degrees together: sums of float64 still hold a weight to 20 bits
SUMMED = 16  # places of sums that take the time of one that is drawn
PLACE_BYTES = 8  # of an entry: its column and its value


@dataclass(frozen=True)
class Graph:
    """An undirected graph.

    Attributes
    ----------
    adjacency : csr_matrix of shape (n_nodes, n_nodes), float64
        Symmetric; neighbours in ascending order, none twice, weights positive.
    degrees : ndarray of shape (n_nodes,), float64
        Sums of weights; 0 for isolated nodes.
    """

    adjacency: sparse.csr_matrix
    degrees: np.ndarray

    @classmethod
    def of(cls, adjacency: sparse.csr_matrix) -> "Graph":
        return cls(adjacency, np.asarray(adjacency.sum(axis=1)).ravel())

    @property
    def indptr(self) -> np.ndarray:
        return self.adjacency.indptr.astype(np.int64)

    @property
    def indices(self) -> np.ndarray:
        return self.adjacency.indices.astype(np.int32, copy=False)

    def cumulative(self) -> np.ndarray:
        """Sums of weights up to each edge, for kernels that draw neighbours; empty where all are equal.

        Where the weights of a node would vanish beside those of all others, they are shares of its degree.
        """
        weights = self.adjacency.data
        if len(weights) == 0 or (weights == weights[0]).all():
            return np.empty(0)
        sums = np.cumsum(weights)
        linked = np.diff(self.adjacency.indptr) > 0
        return sums if sums[-1] * LEAST_DEGREE <= self.degrees[linked].min() else np.cumsum(self.transitions().data)

    def transitions(self) -> sparse.csr_matrix:
        """Return the matrix of probabilities of one random step; rows of isolated nodes are zero."""
        scale = 1.0 / np.where(self.degrees > 0, self.degrees, 1.0)
        return sparse.csr_matrix(
            (self.adjacency.data * np.repeat(scale, np.diff(self.adjacency.indptr)),
             self.adjacency.indices, self.adjacency.indptr),
            shape=self.adjacency.shape,
        )  # fmt: skip


def log_transitions(
    graph: Graph, n_steps: int | None, negative: float, budget: int, seed: int, workers: Workers
) -> sparse.csr_matrix:
    """Return the truncated logarithms, symmetric: ``log(max(1, vol / negative * mean_r P**r / degrees))``.

    Parameters
    ----------
    graph : Graph
    n_steps : int or None
        Steps of paths. None: as many as the budget allows, from 2 to 5.
    negative : float
        How many negatives DeepWalk would have; fewer keep more of the matrix.
    budget : int
        Places of paths that are drawn, in all. All paths are summed where they take no more, or no more time while the
        matrix stays as small.
    seed : int
    workers : Workers

    Returns
    -------
    csr_matrix of shape (n_nodes, n_nodes), float32
    """
    lengths = np.diff(graph.indptr)
    n_nodes, n_edges = len(lengths), int(lengths.sum())
    ones = sparse.csr_matrix((np.ones(n_edges), graph.adjacency.indices, graph.adjacency.indptr), graph.adjacency.shape)
    costs = [np.minimum(lengths, n_edges).astype(np.float64)]  # places that paths of 1, 2, ... steps visit
    paths = costs[0]
    while len(costs) < (n_steps or MAX_STEPS):
        paths = np.minimum(ones @ paths, n_edges)
        if n_steps is None and len(costs) > 1 and (np.sum(costs, axis=0) + paths).sum() > budget:
            break
        costs.append(paths)
    n_steps, cost = len(costs), np.sum(costs, axis=0)
    share = max(budget // max(n_nodes, 1), 2)
    affordable = budget * (SUMMED if np.minimum(cost, n_nodes).sum() <= budget else 1)
    n_paths = np.where((cost > share) & (cost.sum() > affordable), share // max(n_steps - 1, 1), 0).astype(np.int64)
    most = np.minimum(np.where(n_paths > 0, lengths + n_paths * (n_steps - 1), cost), n_nodes).astype(np.int64)
    check_memory(int(most.sum()) * PLACE_BYTES, f"transitions between {n_nodes} nodes", "lower window")
    columns, values = np.empty(most.sum(), np.int32), np.empty(most.sum(), np.float32)
    starts = np.concatenate([[0], np.cumsum(most)])
    found = np.zeros(n_nodes, np.int64)
    of_graph = graph.indptr, graph.indices, graph.adjacency.data, graph.cumulative(), graph.degrees
    parts = even_parts(np.where(n_paths > 0, share, cost).astype(np.int64))
    workers.map(
        sum_transitions,
        [
            (*of_graph, begin, end, n_steps, n_paths, seed,
             columns[starts[begin]:starts[end]], values[starts[begin]:starts[end]], found)
            for begin, end in parts
        ],
    )  # fmt: skip
    # rows of a part lie one after the other, from where the part begins
    used = [(starts[begin], int(found[begin:end].sum())) for begin, end in parts]
    columns = np.concatenate([columns[at : at + n] for at, n in used])
    values = np.concatenate([values[at : at + n] for at, n in used])
    matrix = sparse.csr_matrix((values, columns, np.append(0, np.cumsum(found))), shape=(n_nodes, n_nodes))
    if (n_paths > 0).any():
        matrix = ((matrix + matrix.T) * np.float32(0.5)).tocsr()
    return _truncated_log(matrix, graph.degrees, negative)


def _truncated_log(matrix: sparse.csr_matrix, degrees: np.ndarray, negative: float) -> sparse.csr_matrix:
    log_degrees = np.log(np.where(degrees > 0, degrees, 1.0)).astype(np.float32)
    with np.errstate(divide="ignore"):  # what is too small for float32 is left out as what is below the noise
        logs = np.log(matrix.data)
    logs += np.float32(np.log(max(degrees.sum(), 1e-300) / negative))
    logs -= log_degrees[matrix.indices]
    logs -= np.repeat(log_degrees, np.diff(matrix.indptr))
    kept = logs > 0
    indptr = np.append(0, np.cumsum(kept))[matrix.indptr]
    return sparse.csr_matrix((logs[kept], matrix.indices[kept], indptr), shape=matrix.shape)
