"""Vectors of the nodes of a graph, by one of several methods, and what a node's neighbours say of its vector.

Whatever the method, a node is embedded by the mean of `context` vectors of its neighbours. For "prone", "spectral" and
"random-projection" that is how vectors are defined: their last step is one step on the graph.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.sparse.linalg
from scipy import sparse
from scipy.sparse import csgraph

from skembed.memory import check_memory
from skembed.parallel import Workers, open_workers
from skembed.threads import one_blas_thread
from skembed.training.propagation import propagate
from skembed.training.run import Run
from skembed.training.sequences import SequenceSettings, train_sequences
from skembed.training.sparse import RowMatrix, eigenvectors, gram
from skembed.training.transitions import Graph, log_transitions
from skembed.training.walks import Walks

__all__ = ["NodeSettings", "NodeTables", "learn_nodes"]

NETMF_BUDGET = 1 << 28
WINDOW = 10  # of walks
PROJECTION_WEIGHTS = (0.0, 1.0, 1.0, 4.0)  # of powers of the transition matrix; the first ones are nearly the noise
LEAST_ROOT = 1e-15  # of the largest root of a degree: what is divided by less may be beyond float32
NARROW = 64  # times the width of a band, that a graph is long for its eigenvalues to lie near each other
MOST_FACTORS = 1 << 25  # numbers within the band, which factors have at most
DENSE_NODES = 512  # below it all eigenvectors are faster than some


@dataclass(frozen=True)
class NodeSettings:
    """Settings of `learn_nodes`.

    Attributes
    ----------
    method : {"prone", "netmf", "node2vec", "deepwalk", "spectral", "random-projection"}
    embedding_dim : int
    window : int or None
        Greatest distance of nodes on walks that are each other's context; for "netmf" and "prone" steps of paths. None
        is 10, and for "prone" what is affordable.
    negative : int
    n_walks, walk_length : int
    p, q : float
        Of "node2vec".
    learning_rate : float
    max_iter : int
        Passes over the walks.
    """

    method: str
    embedding_dim: int
    window: int | None = None
    negative: int = 5
    n_walks: int = 10
    walk_length: int = 80
    p: float = 1.0
    q: float = 1.0
    learning_rate: float = 0.025
    max_iter: int = 1


@dataclass(frozen=True)
class NodeTables:
    """What was learned.

    Attributes
    ----------
    vectors : ndarray of shape (n_nodes, dim), float32, or None
        None where vectors are the means of `context` over neighbours.
    context : ndarray of shape (n_nodes, dim), float32
    unit : bool
        Whether means over neighbours are brought to one length.
    loss_curve : list of float
        Of walks, one value a pass.
    """

    vectors: np.ndarray | None
    context: np.ndarray
    unit: bool = False
    loss_curve: list[float] = field(default_factory=list)


def learn_nodes(adjacency: sparse.csr_matrix, settings: NodeSettings, run: Run) -> NodeTables:
    """Learn a vector for each node.

    Parameters
    ----------
    adjacency : csr_matrix of shape (n_nodes, n_nodes), float64
        Symmetric, weights positive.
    settings : NodeSettings
    run : Run

    Returns
    -------
    NodeTables
        `dim` is less than `embedding_dim` where there are not so many directions.
    """
    graph = Graph.of(adjacency)
    n_nodes = adjacency.shape[0]
    dim = min(settings.embedding_dim, n_nodes)
    check_memory(16 * n_nodes * dim, f"{n_nodes} vectors of {dim} dimensions", "lower embedding_dim")
    with one_blas_thread(), open_workers(run.n_jobs, threads=True) as workers:
        learn: dict[str, Callable[[Graph, NodeSettings, int, Run, Workers], NodeTables]] = {
            "prone": _prone,
            "netmf": _netmf,
            "spectral": _spectral,
            "random-projection": _random_projection,
        }
        return learn.get(settings.method, _from_walks)(graph, settings, dim, run, workers)


def _prone(graph: Graph, settings: NodeSettings, dim: int, run: Run, workers: Workers) -> NodeTables:
    return NodeTables(None, propagate(graph, dim, settings.window, run.seed, workers), unit=True)


def _netmf(graph: Graph, settings: NodeSettings, dim: int, run: Run, workers: Workers) -> NodeTables:
    logs = log_transitions(graph, settings.window or WINDOW, 1.0, NETMF_BUDGET, run.seed, workers)
    vectors, values = eigenvectors(RowMatrix(logs, workers), dim, run.seed, n_products=4)
    vectors = _signed(vectors * np.sqrt(np.abs(values)).astype(np.float32))
    return NodeTables(vectors, _context_of(graph, vectors, workers))


def _from_walks(graph: Graph, settings: NodeSettings, dim: int, run: Run, workers: Workers) -> NodeTables:
    bias = (settings.p, settings.q) if settings.method == "node2vec" else (1.0, 1.0)
    walks = Walks(graph, settings.n_walks, settings.walk_length, *bias, run.seed, workers)
    of_sequences = SequenceSettings(
        dim, window=settings.window or WINDOW, subsample=0.0, negative=settings.negative,
        learning_rate=settings.learning_rate, max_iter=settings.max_iter,
    )  # fmt: skip
    n_nodes = len(graph.degrees)
    if not walks.n_tokens:  # no edge at all
        nothing = np.zeros((n_nodes, dim), np.float32)
        return NodeTables(nothing, nothing, loss_curve=[0.0])
    tables = train_sequences(walks, walks.counts(n_nodes), of_sequences, run)
    vectors = np.where(graph.degrees[:, None] > 0, tables.input, np.float32(0))
    return NodeTables(vectors, _context_of(graph, vectors, workers), loss_curve=tables.loss_curve)


def _spectral(graph: Graph, settings: NodeSettings, dim: int, run: Run, workers: Workers) -> NodeTables:
    """Eigenvectors of the random walk (Shi & Malik 2000; Belkin & Niyogi 2003) of positive eigenvalue.

    The one that is constant is left out.
    """
    degrees = graph.degrees
    roots = np.sqrt(degrees)
    inverse = 1.0 / np.where(roots > 0, roots, 1.0)
    normal = (sparse.diags(inverse) @ graph.adjacency @ sparse.diags(inverse)).tocsr()
    trivial = roots / max(np.linalg.norm(roots), 1e-300)
    n_nodes = len(degrees)
    if not normal.nnz:  # ARPACK finds no direction to begin with
        values, vectors = np.empty(0), np.empty((n_nodes, 0))
    elif n_nodes <= max(DENSE_NODES, 3 * dim):
        values, vectors = np.linalg.eigh(normal.toarray() - np.outer(trivial, trivial))
    else:
        start = np.random.default_rng(run.seed).standard_normal(n_nodes)
        operator = scipy.sparse.linalg.LinearOperator(
            normal.shape, lambda x: normal @ x.ravel() - trivial * (trivial @ x.ravel()), dtype=np.float64
        )
        inverted = _inverted(normal, trivial, dim) or {"which": "LA"}
        values, vectors = scipy.sparse.linalg.eigsh(operator, dim, v0=start, tol=1e-4, **inverted)
    order = np.argsort(-values, kind="stable")[:dim]
    order = order[values[order] > 1e-3]
    bounded = np.minimum(inverse, 1.0 / (LEAST_ROOT * max(roots.max(initial=0.0), 1e-300)))
    found = vectors[:, order] * bounded[:, None] * np.sqrt(max(degrees.sum(), 1e-300))
    return NodeTables(None, _signed((found / values[order]).astype(np.float32)))


def _inverted(normal: sparse.csr_matrix, trivial: np.ndarray, dim: int) -> dict[str, Any]:
    """Return how ARPACK is to look at the inverse around a number above 1, of a graph that is long and narrow; else {}.

    Of a path or a grid the greatest eigenvalues lie so near each other that thousands of products with the matrix
    hardly tell them apart. Such a graph has a narrow band, and factors that are small.
    """
    n_nodes = len(trivial)
    if csgraph.connected_components(normal, directed=False, return_labels=False) > 1:
        return {}
    order = csgraph.reverse_cuthill_mckee(normal, symmetric_mode=True)
    place = np.empty(n_nodes, np.int64)
    place[order] = np.arange(n_nodes)
    entries = normal.tocoo()
    band = int(np.abs(place[entries.row] - place[entries.col]).max())
    if band * NARROW > n_nodes or band * n_nodes > MOST_FACTORS:
        return {}
    shift = 1.0 + min(1e-3, (dim * band / n_nodes) ** 2)  # as far from 1 as the eigenvalues of a strip are
    factors = scipy.sparse.linalg.splu(
        (shift * sparse.identity(n_nodes) - normal).tocsc(), permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0,
        options={"SymmetricMode": True},
    )  # fmt: skip

    def solve(x: np.ndarray) -> np.ndarray:
        x = x.ravel()
        y = factors.solve(trivial * (trivial @ x) - x)
        return y - trivial * (trivial @ y)

    inverse = scipy.sparse.linalg.LinearOperator(normal.shape, solve, dtype=np.float64)
    return {"sigma": shift, "which": "LM", "OPinv": inverse}


def _random_projection(graph: Graph, settings: NodeSettings, dim: int, run: Run, workers: Workers) -> NodeTables:
    """Random directions, carried over the graph (Chen et al. 2019, "FastRP"); hubs carry less."""
    steps = RowMatrix(graph.transitions(), workers)
    noise = np.random.default_rng(run.seed).standard_normal((len(graph.degrees), settings.embedding_dim))
    roots = np.sqrt(np.where(graph.degrees > 0, graph.degrees, 1.0))
    noise = noise[:, :dim] / np.maximum(roots, LEAST_ROOT * roots.max(initial=0.0))[:, None]
    at = noise.astype(np.float32)
    total = np.zeros_like(at)
    for weight in PROJECTION_WEIGHTS:
        total += np.float32(weight) * at
        at = steps.product(at)
    return NodeTables(None, total, unit=True)


def _context_of(graph: Graph, vectors: np.ndarray, workers: Workers) -> np.ndarray:
    """Return vectors whose means over neighbours are nearest to those of the nodes, by least squares."""
    means = RowMatrix(graph.transitions(), workers).product(vectors)
    square = gram(means, means, workers)
    ridge = 1e-6 * max(float(np.trace(square)), 1e-300) / max(len(square), 1)
    return vectors @ np.linalg.solve(square + ridge * np.eye(len(square)), gram(means, vectors, workers)).astype(
        np.float32
    )


def _signed(vectors: np.ndarray) -> np.ndarray:
    """Return columns whose entry of greatest size is positive; a column of zeros where there is none."""
    if vectors.shape[1] == 0:
        return np.zeros((len(vectors), 1), np.float32)
    largest = vectors[np.abs(vectors).argmax(axis=0), np.arange(vectors.shape[1])]
    return vectors * np.where(largest < 0, np.float32(-1), np.float32(1))
