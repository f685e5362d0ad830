"""Nodes as vectors: one transformer over factorizations, spectral propagation and random walks."""

from collections.abc import Sequence
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse
from sklearn.base import ClassNamePrefixFeaturesOutMixin
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from skembed.apply.neighbors import mean_over_neighbors
from skembed.base import EmbeddingTransformer
from skembed.data.graph import read_adjacency, read_links, undirected
from skembed.data.keys import Keys
from skembed.state import stored
from skembed.table import EmbeddingTable
from skembed.training.callbacks import CallbackSupportMixin, PassCallbacks, with_callbacks
from skembed.training.run import Run, draw_seed, settings_of

if TYPE_CHECKING:
    from skembed.training.nodes import NodeTables

__all__ = ["NodeEmbedder"]

LENGTH = 1.25  # of vectors, root mean square: what a penalty of C=1 leaves of a linear model's coefficients
METHODS = {"prone", "netmf", "node2vec", "deepwalk", "spectral", "random-projection"}


@stored
class NodeEmbedder(CallbackSupportMixin, ClassNamePrefixFeaturesOutMixin, EmbeddingTransformer):
    """Embed the nodes of a graph by how they are linked; nodes that come later by those they are linked to.

    Parameters
    ----------
    embedding_dim : int, default=128
        Dimensions of the vectors; fewer where the graph has not so many directions, at most one for each node.
    method : {"prone", "netmf", "node2vec", "deepwalk", "spectral", "random-projection"}, default="prone"
        - "prone": a sparse factorization, then propagation over the graph [1]_; see Notes. Fast, and good untuned.
        - "netmf": the matrix that "deepwalk" factorizes implicitly, factorized at once [2]_.
        - "node2vec": skip-gram over walks that `p` and `q` keep near or send away [3]_.
        - "deepwalk": skip-gram over plain random walks [4]_.
        - "spectral": eigenvectors of the random walk, as in spectral clustering [5]_.
        - "random-projection": random directions carried over the graph [6]_; the fastest.
    nodes : sequence of hashables of length n_nodes, default=None
        Ids of the rows of X. None: the nodes of a networkx graph, the columns of a frame, else positions.
    window : int, default=None
        How many steps apart two nodes of a walk are each other's context; for "netmf" and "prone" the steps of the
        longest paths. None: 10, and for "prone" as many of 2 to 5 as are affordable. 1 takes single edges alone, which
        is better where nodes are linked to what is unlike them; see Notes.
    negative : int, default=5
        Negatives for each window of "node2vec" and "deepwalk".
    n_walks, walk_length : int, default=(10, 80)
        Walks from each node and nodes of each, of "node2vec" and "deepwalk".
    p, q : float, default=(1.0, 1.0)
        Of "node2vec": a step back weighs 1 / p, a step to a node that is not linked to the one before weighs 1 / q.
    learning_rate : float, default=0.025
        Of "node2vec" and "deepwalk".
    max_iter : int, default=1
        Passes of "node2vec" and "deepwalk" over the walks.
    n_jobs : int or None, default=None
        Threads; the result does not depend on it.
    random_state : int, RandomState instance or None, default=None
    verbose : int, default=0
        A bar on stderr when positive, of methods that take passes.

    Attributes
    ----------
    embedding_ : EmbeddingTable
        Ids of the nodes beside their vectors. Isolated nodes have zeros.
    loss_curve_ : list of float
        Mean loss of each pass; empty for methods without.
    n_iter_ : int
        Passes that were finished, 1 for methods without.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in_,)

    See Also
    --------
    skembed.graph.read_edges : Makes X of a list or a frame of edges.
    skembed.inspection.link_prediction_auc : How well vectors tell edges; use ``score="dot"``.

    Notes
    -----
    Edges lead both ways: of an X that is not symmetric, beyond rounding, the sum with its transpose is taken. Weights
    count by their ratios alone. Self-loops and nodes without edges are legal.

    "prone" factorizes the logarithms of transitions of up to `window` steps, where ProNE takes single edges; all paths
    are summed, or on large graphs drawn. What is found is smoothed by some random steps, and
    singular values are raised to a power: both are chosen on edges that are held out inside `fit`. A sum of steps makes
    nodes alike that are near each other, and loses what links them to others of another kind: words that follow each
    other, roles; with ``window=1`` nodes are alike that are linked to the same. Vectors have a root
    mean square length of 1.25; those of nodes with few neighbours are shorter. Dimensions come by falling spread, as
    they do for "netmf" and "spectral", so that the first ones are an embedding, too; so are those of
    "random-projection".

    `transform` is the mean of the vectors of neighbours, after a linear map. For "prone", "spectral" and
    "random-projection" it gives known nodes what `fit_transform` gave, where X is symmetric. For "netmf", "node2vec"
    and "deepwalk" it does not: their vectors are free parameters of each node, and the map is the one by which
    neighbours come nearest to them.

    References
    ----------
    .. [1] Zhang et al. (2019), "ProNE: Fast and Scalable Network Representation Learning".
    .. [2] Qiu et al. (2018), "Network Embedding as Matrix Factorization".
    .. [3] Grover & Leskovec (2016), "node2vec: Scalable Feature Learning for Networks".
    .. [4] Perozzi et al. (2014), "DeepWalk: Online Learning of Social Representations".
    .. [5] Belkin & Niyogi (2003), "Laplacian Eigenmaps for Dimensionality Reduction and Data Representation".
    .. [6] Chen et al. (2019), "Fast and Accurate Network Embeddings via Very Sparse Random Projection".

    Examples
    --------
    >>> from skembed import NodeEmbedder
    >>> from skembed.graph import read_edges
    >>> edges = [("a", "b"), ("b", "c"), ("a", "c"), ("c", "d"), ("d", "e"), ("d", "f"), ("e", "f")]
    >>> adjacency, nodes = read_edges(edges)
    >>> embedder = NodeEmbedder(4, nodes=nodes, random_state=0).fit(adjacency)
    >>> embedder.embedding_.nearest("e", k=1)[0][0]
    'f'
    >>> embedder.transform([[0, 0, 0, 1.0, 1.0, 0]]).shape
    (1, 4)
    """

    _state = {
        "embedding_": EmbeddingTable, "loss_curve_": list[float], "n_iter_": int, "_context": np.ndarray,
        "_length": float,
    }  # fmt: skip
    _parameter_constraints: dict = {
        "embedding_dim": [Interval(Integral, 1, None, closed="left")],
        "method": [StrOptions(METHODS)],
        "nodes": ["array-like", None],
        "window": [Interval(Integral, 1, None, closed="left"), None],
        "negative": [Interval(Integral, 1, None, closed="left")],
        "n_walks": [Interval(Integral, 1, None, closed="left")],
        "walk_length": [Interval(Integral, 2, None, closed="left")],
        "p": [Interval(Real, 0, None, closed="neither")],
        "q": [Interval(Real, 0, None, closed="neither")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }
    _context: np.ndarray
    _length: float

    def __init__(
        self,
        embedding_dim: int = 128,
        *,
        method: str = "prone",
        nodes: Sequence | None = None,
        window: int | None = None,
        negative: int = 5,
        n_walks: int = 10,
        walk_length: int = 80,
        p: float = 1.0,
        q: float = 1.0,
        learning_rate: float = 0.025,
        max_iter: int = 1,
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.embedding_dim = embedding_dim
        self.method = method
        self.nodes = nodes
        self.window = window
        self.negative = negative
        self.n_walks = n_walks
        self.walk_length = walk_length
        self.p = p
        self.q = q
        self.learning_rate = learning_rate
        self.max_iter = max_iter
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    @with_callbacks
    def fit(self, X: Any, y: Any = None) -> "NodeEmbedder":
        """Learn a vector for each node.

        Parameters
        ----------
        X : array-like, sparse matrix or dataframe of shape (n_nodes, n_nodes), or networkx graph
            The adjacency matrix: weights of edges, 0 where there is none.
        y : object, default=None
            Not used.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If X is not square, or has a weight that is negative or not finite, or `nodes` does not fit.
        """
        from skembed.training.nodes import NodeSettings, learn_nodes  # here, so that transform does not take numba

        self._validate_params()
        adjacency, keys = read_adjacency(self, X, self.nodes)
        if adjacency.nnz:
            adjacency.data /= adjacency.data.max()  # sums of huge weights may be beyond float64
            adjacency.data[adjacency.data < np.finfo(np.float64).tiny] = 0.0  # and so would be what is divided by these
            adjacency.eliminate_zeros()
        adjacency = undirected(adjacency)
        callbacks = PassCallbacks(self, self.max_iter, X, y)
        run = Run(draw_seed(self.random_state), self.n_jobs, self.verbose, callbacks, "nodes of walks")
        learned = learn_nodes(adjacency, settings_of(NodeSettings, self), run)
        callbacks.end()
        self._expose(learned, adjacency, keys)
        return self

    @with_callbacks
    def fit_transform(self, X: Any, y: Any = None) -> np.ndarray:
        """Learn a vector for each node, and return them.

        Parameters
        ----------
        X, y
            As in `fit`.

        Returns
        -------
        ndarray of shape (n_nodes, dim), float32
        """
        return self.fit(X, y).embedding_.vectors.copy()

    def transform(self, X: Any) -> np.ndarray:
        """Return vectors of nodes, known or new, by those that they are linked to.

        Parameters
        ----------
        X : array-like, sparse matrix or dataframe of shape (n_samples, n_nodes), or networkx graph
            For each node the weights of its edges to the nodes of `fit`. Of a networkx graph, nodes are found by their
            ids: a row for each of its nodes, in its order.

        Returns
        -------
        ndarray of shape (n_samples, dim), float32
            Zeros for nodes that are linked to none.
        """
        check_is_fitted(self)
        return mean_over_neighbors(read_links(self, X, self.embedding_.keys.tolist()), self._context, self._length)

    def _expose(self, learned: "NodeTables", adjacency: sparse.csr_matrix, keys: list[Any]) -> None:
        self._context, self._length = learned.context, 0.0
        if learned.unit:
            neighbors = np.diff(adjacency.indptr)
            self._length = LENGTH / max(float(np.sqrt(np.mean(neighbors / (neighbors + 1.0)))), 1e-300)
        vectors = learned.vectors
        if vectors is None:
            vectors = mean_over_neighbors(adjacency, self._context, self._length)
        self.embedding_ = EmbeddingTable.of_keys(Keys.of(keys), vectors)  # they are canonical
        self.loss_curve_ = learned.loss_curve
        self.n_iter_ = max(len(learned.loss_curve), 1)

    def _check_fitted(self) -> None:
        shape = self.n_features_in_, self.embedding_.embedding_dim
        if self._context.shape != shape or self.embedding_.shape != shape or self._context.dtype != np.float32:
            raise ValueError(f"expected a float32 context of shape {shape}, got {self._context.shape}")
        if not np.isfinite(self._context).all() or not np.isfinite(self._length) or self._length < 0:
            raise ValueError("expected a finite context, and a length of at least 0")

    @property
    def _n_features_out(self) -> int:
        return self.embedding_.embedding_dim

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.pairwise = True
        tags.input_tags.sparse = True
        tags.input_tags.positive_only = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags
