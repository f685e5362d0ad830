"""Random steps on a graph, one after the other: walks of first and second order, reproducible each on its own.

A walk draws from a generator that is seeded by its number, so that who makes it, and beside which others, changes
nothing. Steps of second order (Grover & Leskovec 2016, "node2vec") are drawn by rejection: no table of pairs of edges
is made, as in PecanPy (Liu & Krishnan 2021), and no sum over neighbours either.
"""

import numpy as np

from skembed.kernels.compile import compiled
from skembed.kernels.random import draw, draw_below

__all__ = ["fill_walks", "next_node", "seed_state"]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # of splitmix64 (Steele, Lea & Flood 2014), as the two factors
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_S27, _S30, _S31 = np.uint64(27), np.uint64(30), np.uint64(31)
_TWO_32 = 4294967296.0
MAX_TRIES = 10_000  # of extreme p and q; the last proposal is then taken


@compiled()
def seed_state(state, seed, number):
    """Set `state`, uint64 (1,), to the beginning of the stream of this seed and number (splitmix64)."""
    x = np.uint64(seed) * _GOLDEN + np.uint64(number) + np.uint64(1)
    for _ in range(2):
        x += _GOLDEN
        x = (x ^ (x >> _S30)) * _FIRST
        x = (x ^ (x >> _S27)) * _SECOND
        x ^= x >> _S31
    state[0] = x | np.uint64(1)


@compiled()
def next_node(indptr, indices, cumulative, node, state):
    """Draw a neighbour of a node that has one, by its weight.

    `cumulative` are sums of weights up to each edge, over all rows, float64; empty where all weights are equal.
    """
    begin, end = indptr[node], indptr[node + 1]
    if len(cumulative) == 0:
        return indices[begin + draw_below(state, end - begin)]
    before = cumulative[begin - 1] if begin > 0 else 0.0
    wanted = before + (cumulative[end - 1] - before) * (draw(state) / _TWO_32)
    low, high = begin, end - 1
    while low < high:
        middle = (low + high) // 2
        if cumulative[middle] > wanted:
            high = middle
        else:
            low = middle + 1
    return indices[low]


@compiled()
def _is_neighbour(indptr, indices, node, other):
    low, high = indptr[node], indptr[node + 1] - 1
    while low <= high:
        middle = (low + high) // 2
        if indices[middle] == other:
            return True
        if indices[middle] < other:
            low = middle + 1
        else:
            high = middle - 1
    return False


@compiled()
def fill_walks(indptr, indices, cumulative, starts, first_number, seed, p, q, walks):
    """Write one walk from each start.

    Parameters
    ----------
    indptr, indices : ndarray
        The graph as CSR, int64 and int32, neighbours of a node in ascending order.
    cumulative : ndarray of float64
        As in `next_node`.
    starts : ndarray of shape (n,), int32
        Nodes with neighbours.
    first_number : int
        Of the first walk.
    seed : int
    p, q : float
        Return and in-out parameters of node2vec: a step back weighs 1 / p, one to a common neighbour 1, one further
        away 1 / q. With 1 and 1 walks are of first order.
    walks : ndarray of shape (n, length), int32
        Is written.
    """
    state = np.empty(1, np.uint64)
    back, away = 1.0 / p, 1.0 / q
    largest = max(1.0, back, away)
    second_order = p != 1.0 or q != 1.0
    for i in range(len(starts)):
        seed_state(state, seed, first_number + i)
        walks[i, 0] = starts[i]
        for step in range(1, walks.shape[1]):
            node = walks[i, step - 1]
            found = next_node(indptr, indices, cumulative, node, state)
            if second_order and step > 1:
                previous = walks[i, step - 2]
                for _ in range(MAX_TRIES):
                    threshold = largest * (draw(state) / _TWO_32)
                    if found == previous:
                        accepted = threshold < back
                    elif threshold < min(1.0, away):  # whether it is a common neighbour does not matter
                        accepted = True
                    elif threshold >= max(1.0, away):
                        accepted = False
                    else:
                        accepted = threshold < (1.0 if _is_neighbour(indptr, indices, previous, found) else away)
                    if accepted:
                        break
                    found = next_node(indptr, indices, cumulative, node, state)
            walks[i, step] = found
