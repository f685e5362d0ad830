"""Spectral propagation: vectors of a sparse factorization, smoothed over a graph by a filter chosen on held-out edges.

The two stages of ProNE (Zhang et al. 2019, "ProNE: Fast and Scalable Network Representation Learning"). What is
factorized is the logarithm of transitions of few steps, as in LightNE (Qiu et al. 2021), instead of single edges; the
filter is a number of steps, each to the mean of a node's neighbours, brought to one length; the last of them embeds new
nodes as well as old ones.
"""

from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.stats import rankdata

from skembed.parallel import Workers
from skembed.training.sparse import RowMatrix, eigenvectors, gram, rotated
from skembed.training.transitions import Graph, log_transitions

__all__ = ["Filter", "choose_filter", "propagate"]

BUDGET = 1 << 25  # places that paths visit; see `log_transitions`
NEGATIVE = 1.0
HELD_OUT = 0.1  # of the edges
MAX_PAIRS = 20_000  # of held-out edges, enough for an AUC to a third of a percent
CHOICE_DIM = 32  # dimensions in which filters are compared on large graphs, which takes half the time
CHOICE_SIZE = 1 << 21  # numbers in vectors, up to which they are compared in all dimensions: fewer ask for more steps
MORE_FACTORS = 1.5  # times as many directions are smoothed as are kept afterwards
STEPS = (1, 2, 3)
EXPONENTS = (0.4, 0.55)  # a finer grid would be chosen from by chance
CHUNK = 1 << 14
FAR_OUT = 0.5  # of the largest coordinate of a dimension


class Filter(NamedTuple):
    """How vectors are smoothed.

    Attributes
    ----------
    n_steps : int
        At least 1.
    exponent : float
        Singular values of the smoothed vectors are raised to it: 1 leaves them, 0 makes all directions equally long.
    """

    n_steps: int
    exponent: float


def propagate(graph: Graph, dim: int, window: int | None, seed: int, workers: Workers) -> np.ndarray:
    """Return vectors whose means over neighbours, brought to unit length, embed the nodes.

    Parameters
    ----------
    graph : Graph
    dim : int
    window : int or None
        Steps of the longest paths. None: as many as are affordable, from 2 to 5.
    seed : int
    workers : Workers

    Returns
    -------
    ndarray of shape (n_nodes, dim or fewer), float32
        Means over neighbours come by falling spread.
    """
    chosen = choose_filter(graph, dim, window, seed, workers)
    steps = RowMatrix(graph.transitions(), workers)
    logs = log_transitions(graph, window, NEGATIVE, BUDGET, seed, workers)
    vectors = _factors(logs, dim, seed, workers, n_products=4)
    for _ in range(chosen.n_steps - 1):
        vectors = _shortened(steps.product(vectors), graph)
    smoothed = _shortened(steps.product(vectors), graph)
    rotation = _rotation(gram(smoothed, smoothed, workers), chosen.exponent, dim)
    return rotated(vectors, _in_order(smoothed, rotation, graph), workers)


def choose_filter(graph: Graph, dim: int, window: int | None, seed: int, workers: Workers) -> Filter:
    """Choose the filter by which held-out edges are told best from other pairs of nodes.

    Other pairs are drawn by degree first, so that only what is known beyond degrees counts. Of filters that are as good
    within a standard error of the area under the ROC curve it is the best one against pairs that are drawn evenly.

    Parameters
    ----------
    graph, dim, window, seed, workers : see `propagate`

    Returns
    -------
    Filter
    """
    rng = np.random.default_rng((seed, 1))
    train, held_out = _split(graph.adjacency, rng)
    fallback = Filter(2, 0.4)
    if len(held_out) < 10 or train.adjacency.nnz == 0:
        return fallback
    n_nodes, n_pairs = len(graph.degrees), len(held_out)
    ends = graph.indices
    pairs = [
        held_out,
        _strangers(graph.adjacency, rng.integers(n_nodes, size=(2 * n_pairs, 2))),
        _strangers(graph.adjacency, ends[rng.integers(len(ends), size=(2 * n_pairs, 2))]),
    ]
    if min(map(len, pairs)) == 0:  # each node is linked to each
        return fallback
    steps = RowMatrix(train.transitions(), workers)
    if n_nodes * dim > CHOICE_SIZE:
        dim = min(dim, CHOICE_DIM)
    logs = log_transitions(train, window, NEGATIVE, BUDGET // 4, seed, workers)
    smoothed = _factors(logs, dim, seed, workers, n_products=2)
    scores: dict[Filter, tuple[float, float]] = {}
    for n_steps in STEPS:
        smoothed = _shortened(steps.product(smoothed), train)
        square = gram(smoothed, smoothed, workers)
        for exponent in EXPONENTS:
            rotation = _rotation(square, exponent, dim)
            edges, evenly, by_degree = (_products(smoothed, rotation, train, some) for some in pairs)
            scores[Filter(n_steps, exponent)] = _auc(edges, by_degree), _auc(edges, evenly)
    best = max(area for area, _ in scores.values())
    least = best - _standard_error(best, len(pairs[0]), len(pairs[2]))
    return max((each for each in scores if scores[each][0] >= least), key=lambda each: scores[each][1])


def _factors(logs: sparse.csr_matrix, dim: int, seed: int, workers: Workers, n_products: int) -> np.ndarray:
    """Return unit vectors of the nodes, from eigenvectors of the logarithms of transitions."""
    n_factors = min(int(MORE_FACTORS * dim), logs.shape[0])
    vectors, values = eigenvectors(RowMatrix(logs, workers), n_factors, seed, n_products)
    vectors *= np.sqrt(np.abs(values)).astype(np.float32)
    return _unit(vectors)


def _unit(vectors: np.ndarray) -> np.ndarray:
    norms = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    vectors /= np.where(norms > 0, norms, np.float32(1))[:, None]
    return vectors


def _shortened(means: np.ndarray, graph: Graph) -> np.ndarray:
    """Return means over neighbours as `skembed.apply.neighbors.mean_over_neighbors` does, of that length."""
    means = _unit(means)
    means *= _shares(graph).astype(np.float32)[:, None]
    return means


def _shares(graph: Graph) -> np.ndarray:
    counts = np.diff(graph.indptr)
    return np.sqrt(counts / (counts + 1.0))


def _rotation(square: np.ndarray, exponent: float, dim: int) -> np.ndarray:
    """Return what turns vectors to their `dim` first principal axes and raises their singular values to a power."""
    if len(square) == 0:
        return np.zeros((0, 1))
    values, axes = np.linalg.eigh(square)
    kept = values > 1e-9 * max(values[-1], 1e-300)
    values, axes = values[kept][::-1][:dim], axes[:, kept][:, ::-1][:, :dim]
    if len(values) == 0 or values[0] <= 1e-30:
        return np.zeros((len(square), 1))
    return axes * (values / values[0]) ** ((exponent - 1) / 2)


def _in_order(smoothed: np.ndarray, rotation: np.ndarray, graph: Graph) -> np.ndarray:
    """Return the dimensions by falling spread of what embeds nodes, at its final length, of a sample, and a sign each.

    The first node that is far out on a dimension is on its positive side: where nodes are as far out on either side,
    rounding does not decide.
    """
    step = max(1, len(smoothed) // CHUNK)
    final = _unit(smoothed[::step] @ rotation.astype(np.float32)) * _shares(graph)[::step, None]
    sizes = np.abs(final)
    first = (sizes >= FAR_OUT * sizes.max(axis=0)).argmax(axis=0)
    signs = np.where(final[first, np.arange(final.shape[1])] < 0, -1.0, 1.0)
    return (rotation * signs)[:, np.argsort(-np.einsum("ij,ij->j", final, final), kind="stable")]


def _split(adjacency: sparse.csr_matrix, rng: np.random.Generator) -> tuple[Graph, np.ndarray]:
    """Return the graph without some of its edges, and these as pairs of nodes."""
    rows = np.repeat(np.arange(adjacency.shape[0]), np.diff(adjacency.indptr))
    columns = adjacency.indices.astype(np.int64)
    upper = np.flatnonzero(rows < columns)
    n_held_out = min(int(HELD_OUT * len(upper)), MAX_PAIRS)
    chosen = rng.choice(len(upper), n_held_out, replace=False) if n_held_out else np.empty(0, np.int64)
    held_out = np.stack([rows[upper[chosen]], columns[upper[chosen]]], axis=1)
    n_nodes = adjacency.shape[0]
    codes = np.sort(np.concatenate([held_out @ [n_nodes, 1], held_out @ [1, n_nodes]]))
    kept = ~_among(rows * n_nodes + columns, codes)
    indptr = np.append(0, np.cumsum(kept))[adjacency.indptr]
    train = sparse.csr_matrix((adjacency.data[kept], adjacency.indices[kept], indptr), adjacency.shape)
    return Graph.of(train), held_out


def _among(values: np.ndarray, ordered: np.ndarray) -> np.ndarray:
    if not len(ordered):
        return np.zeros(len(values), dtype=bool)
    return ordered[np.minimum(np.searchsorted(ordered, values), len(ordered) - 1)] == values


def _strangers(adjacency: sparse.csr_matrix, pairs: np.ndarray) -> np.ndarray:
    linked = np.asarray(adjacency[pairs[:, 0], pairs[:, 1]]).ravel() != 0
    return pairs[~linked & (pairs[:, 0] != pairs[:, 1])][: len(pairs) // 2]


def _products(smoothed: np.ndarray, rotation: np.ndarray, graph: Graph, pairs: np.ndarray) -> np.ndarray:
    shares, rotation = _shares(graph), rotation.astype(np.float32)
    scores = np.empty(len(pairs))
    for begin in range(0, len(pairs), CHUNK):
        of = pairs[begin : begin + CHUNK]
        left, right = (smoothed[of[:, side]] @ rotation for side in (0, 1))
        norms = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
        cosines = (left * right).sum(axis=1) / np.where(norms > 0, norms, 1.0)
        scores[begin : begin + CHUNK] = cosines * shares[of].prod(axis=1)
    return scores


def _standard_error(area: float, n_positive: int, n_negative: int) -> float:
    """Return that of an area under the ROC curve (Hanley & McNeil 1982, equation 1)."""
    both_positive, both_negative = area / (2 - area), 2 * area**2 / (1 + area)
    variance = area * (1 - area) + (n_positive - 1) * (both_positive - area**2)
    variance += (n_negative - 1) * (both_negative - area**2)
    return float(np.sqrt(max(variance, 0.0) / (n_positive * n_negative)))


def _auc(positive: np.ndarray, negative: np.ndarray) -> float:
    ranks = rankdata(np.concatenate([positive, negative]))[: len(positive)]
    return float((ranks.sum() / len(positive) - (len(positive) + 1) / 2) / len(negative))
