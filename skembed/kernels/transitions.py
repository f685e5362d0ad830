"""Transitions of few steps on a graph, as rows of a sparse matrix: summed over all paths, or over paths that are drawn.

The matrix whose logarithm DeepWalk factorizes implicitly (Qiu et al. 2018, "Network Embedding as Matrix
Factorization"), times the degree of its row, which makes it symmetric.
"""

import numpy as np

from skembed.kernels.compile import compiled
from skembed.kernels.random import draw
from skembed.kernels.steps import next_node, seed_state

__all__ = ["sum_transitions"]

_TWO_32 = 4294967296.0


@compiled()
def sum_transitions(
    indptr, indices, weights, cumulative, degrees, begin, end, n_steps, n_paths, seed, columns, values, lengths
):
    """Write rows `begin` to `end` of ``diag(degrees) @ (P + ... + P**n_steps) / n_steps``, P the transition matrix.

    Parameters
    ----------
    indptr, indices : ndarray
        A graph as CSR, int64 and int32.
    weights, cumulative : ndarray of float64
        Of its edges, and as in `skembed.kernels.steps.next_node`.
    degrees : ndarray of shape (n_nodes,), float64
        Sums of weights.
    begin, end : int
    n_steps : int
    n_paths : ndarray of shape (n_nodes,), int64
        Paths drawn from each node; 0 sums over all there are. The first step of the sum is never drawn, and the first
        ones of paths are spread evenly over the weights of the neighbours (systematic sampling): less noise, and paths
        that share a neighbour read its row one after the other.
    seed : int
    columns, values : ndarray, int32 and float32
        Are written, one row after the other; columns of a row are in no order.
    lengths : ndarray of shape (n_nodes,), int64
        Are written.
    """
    n_nodes = len(degrees)
    now, then, total = np.zeros(n_nodes), np.zeros(n_nodes), np.zeros(n_nodes)
    at_now, at_then, at_total = np.empty(n_nodes, np.int32), np.empty(n_nodes, np.int32), np.empty(n_nodes, np.int32)
    state = np.empty(1, np.uint64)
    place = 0
    for node in range(begin, end):
        if indptr[node] == indptr[node + 1]:
            lengths[node] = 0
            continue
        now[node], at_now[0] = 1.0, node
        n_now, n_total = 1, 0
        for _ in range(n_steps if n_paths[node] == 0 else 1):
            n_then = 0
            for i in range(n_now):
                here = at_now[i]
                share, now[here] = now[here] / degrees[here], 0.0
                for edge in range(indptr[here], indptr[here + 1]):
                    there, amount = indices[edge], share * weights[edge]
                    if amount == 0.0:  # too small for float64: what is not 0 later would be listed again and again
                        continue
                    if then[there] == 0.0:
                        at_then[n_then] = there
                        n_then += 1
                    then[there] += amount
            now, then = then, now
            at_now, at_then = at_then, at_now
            n_now = n_then
            for i in range(n_now):
                here = at_now[i]
                if total[here] == 0.0:
                    at_total[n_total] = here
                    n_total += 1
                total[here] += now[here]
        for i in range(n_now):
            now[at_now[i]] = 0.0
        if n_paths[node] > 0:
            seed_state(state, seed, node)
            share = 1.0 / n_paths[node]
            stride = degrees[node] / n_paths[node]
            offset = draw(state) / _TWO_32
            edge = indptr[node]
            reached = weights[edge]
            for path in range(n_paths[node]):
                while reached <= (path + offset) * stride and edge + 1 < indptr[node + 1]:
                    edge += 1
                    reached += weights[edge]
                here = indices[edge]
                for _step in range(1, n_steps):
                    here = next_node(indptr, indices, cumulative, here, state)
                    if total[here] == 0.0:
                        at_total[n_total] = here
                        n_total += 1
                    total[here] += share
        scale = degrees[node] / n_steps
        for i in range(n_total):
            here = at_total[i]
            columns[place], values[place] = here, total[here] * scale
            total[here] = 0.0
            place += 1
        lengths[node] = n_total
