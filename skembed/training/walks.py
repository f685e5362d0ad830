"""Walks on a graph as chunks of sequences, made anew for each pass where they do not fit in memory.

Perozzi et al. 2014, "DeepWalk"; Grover & Leskovec 2016, "node2vec".
"""

from collections.abc import Iterator

import numpy as np

from skembed.data.ragged import Ragged
from skembed.kernels.steps import fill_walks
from skembed.parallel import Workers
from skembed.training.transitions import Graph

__all__ = ["Walks"]

NODES_PER_CHUNK = 1 << 20  # of walks, which each chunk holds
KEPT = 1 << 26  # nodes of walks that are kept in memory
N_PARTS = 32


class Walks:
    """Walks from every node with neighbours, as `train_sequences` takes them: the same ones each time.

    Parameters
    ----------
    graph : Graph
    n_walks, walk_length : int
        Walks from each node, and nodes of each.
    p, q : float
        See `skembed.kernels.steps.fill_walks`.
    seed : int
    workers : Workers
    """

    def __init__(
        self, graph: Graph, n_walks: int, walk_length: int, p: float, q: float, seed: int, workers: Workers
    ) -> None:
        self._of_graph = graph.indptr, graph.indices, graph.cumulative()
        self._linked = np.flatnonzero(np.diff(graph.indptr)).astype(np.int32)
        self._n_walks, self._length, self._seed, self._workers = n_walks, walk_length, seed, workers
        self._bias = float(p), float(q)
        self._kept: list[Ragged] = []

    @property
    def n_tokens(self) -> int:
        """Nodes of all walks."""
        return len(self._linked) * self._n_walks * self._length

    def counts(self, n_nodes: int) -> np.ndarray:
        """Return how often walks visit each node."""
        total = np.zeros(n_nodes, np.int64)
        for chunk in self:
            total += np.bincount(chunk.indices, minlength=n_nodes)
        return total

    def __iter__(self) -> Iterator[Ragged]:
        if self._kept:
            yield from self._kept
            return
        chunks = []
        per_chunk = max(NODES_PER_CHUNK // self._length, 1)
        n_walks = len(self._linked) * self._n_walks
        for begin in range(0, n_walks, per_chunk):
            numbers = np.arange(begin, min(begin + per_chunk, n_walks))
            chunk = self._chunk(numbers)
            if self.n_tokens <= KEPT:
                chunks.append(chunk)
            yield chunk
        self._kept = chunks

    def _chunk(self, numbers: np.ndarray) -> Ragged:
        walk_of, start = np.divmod(numbers, len(self._linked))
        starts = self._linked[start]
        for walk in np.unique(walk_of):  # nodes in another order for each walk, as DeepWalk has them
            order = np.random.default_rng((self._seed, int(walk))).permutation(len(self._linked))
            starts[walk_of == walk] = self._linked[order[start[walk_of == walk]]]
        walks = np.empty((len(numbers), self._length), np.int32)
        cuts = np.linspace(0, len(numbers), N_PARTS + 1).astype(np.int64)
        self._workers.map(
            fill_walks,
            [
                (*self._of_graph, starts[a:b], int(numbers[0]) + a, self._seed, *self._bias, walks[a:b])
                for a, b in zip(cuts[:-1].tolist(), cuts[1:].tolist())
                if b > a
            ],
        )
        return Ragged.from_ends(walks.ravel(), np.arange(1, len(numbers) + 1) * self._length)
