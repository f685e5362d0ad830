"""Graphs of scipy, numpy, networkx and lists of edges as one sparse adjacency matrix beside the ids of its nodes."""

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils import check_array
from sklearn.utils.validation import _check_feature_names, validate_data

from skembed.data.canonical import canonical_key
from skembed.data.columns import (
    as_table,
    check_labels,
    check_same_order,
    column_labels,
    factorize,
    filled,
    read_columns,
    to_float,
)
from skembed.data.lists import in_order
from skembed.data.matrix import naming_no_numbers, summable
from skembed.data.twins import warn_of_twins
from skembed.warning import warn

__all__ = ["read_adjacency", "read_edges", "read_links", "undirected"]

ROUNDING = 1e-6  # by which weights of one edge may differ, of the larger one
LEAST_SHARE = 1e-12  # of the largest weight, by which they may differ in any case


def read_edges(
    edges: Any, *, source: Any = None, target: Any = None, weight: Any = None, directed: bool = False
) -> tuple[sparse.csr_matrix, list[Any]]:
    """Make the adjacency matrix of a list or a frame of edges, and keep the ids of the nodes.

    It stands outside of a Pipeline, since it changes what a row is: a row of `edges` is an edge, of the result a node.

    Parameters
    ----------
    edges : dataframe, ndarray or list of (node, node) or (node, node, weight)
    source, target, weight : str, default=None
        Names of a frame's columns. None of them: the columns "source" and "target", and "weight" if there is one, where
        it has these names; else its first two columns. The third column is the weight where it has three. Without
        `weight`, where `source` and `target` are named or there are more columns, each edge weighs 1.
    directed : bool, default=False
        Whether (a, b) is an edge from a to b alone.

    Returns
    -------
    adjacency : csr_matrix of shape (n_nodes, n_nodes), float64
        Weights of edges that are given more than once are added up; symmetric unless `directed`.
    nodes : list
        The ids, in order of first appearance, sources first.

    Raises
    ------
    ValueError
        If an id is missing, a weight is no finite number of at least 0, the columns are not there, or `source` is named
        without `target`, or the other way.
    TypeError
        If edges is a graph, a matrix, a dict, the path of a file, or has its nodes in an index.

    Warns
    -----
    UserWarning
        If a number and its text, as 1 and "1", are both nodes.

    Examples
    --------
    >>> from skembed.graph import NodeEmbedder, read_edges
    >>> adjacency, nodes = read_edges([("Ulm", "Bern"), ("Bern", "Graz"), ("Bern", "Ulm")])
    >>> nodes, adjacency.toarray().tolist()
    (['Ulm', 'Bern', 'Graz'], [[0.0, 2.0, 0.0], [2.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
    >>> NodeEmbedder(2, nodes=nodes).fit(adjacency).embedding_["Graz"].shape
    (2,)
    """
    columns, names = _edge_columns(edges, source, target, weight)
    first, second = (factorize(column, name) for column, name in zip(columns[:2], names))
    for factor, name in ((first, names[0]), (second, names[1])):
        if (factor.codes < 0).any():
            row = int(np.argmax(factor.codes < 0))
            raise ValueError(f"edges has no {name} in row {row}; expected an id of a node. Drop such rows.")
    numbers: dict[Any, int] = {}
    rows, places = (
        np.array([numbers.setdefault(key, len(numbers)) for key in factor.keys], dtype=np.int64)[factor.codes]
        for factor in (first, second)
    )
    values = np.ones(len(rows)) if len(columns) < 3 else to_float(columns[2], names[2], expected=_WEIGHTS_EXPECTED)
    nodes = list(numbers)
    warn_of_twins(nodes, "nodes", "the columns of edges")
    _check_weights(values, lambda at: f"edges has the weight {values[at]} in row {at}")
    return _assembled(rows, places, values, len(nodes), directed), nodes


_ENDS = ["source", "target"]  # as networkx and others name them

_WEIGHTS_EXPECTED = (
    "a finite number or a missing value. Turn weights into numbers; of a frame, name another column by weight, or "
    "source and target alone."
)


def _edge_columns(edges: Any, source: Any, target: Any, weight: Any) -> tuple[list[Any], list[Any]]:
    """Return the columns of sources, targets and perhaps weights, and what errors call them."""
    _refuse_no_edges(edges)
    if hasattr(edges, "columns") or hasattr(edges, "column_names"):
        frame = read_columns(edges)
        labels = column_labels(edges) or [frame.label(i) for i in range(len(frame.values))]
        if (source is None) != (target is None):
            end, name, other = ("source", source, "target") if target is None else ("target", target, "source")
            raise ValueError(
                f"{end}={name!r} names one end of an edge; expected {other}= beside it, one of the columns {labels}."
            )
        wanted = [name for name in (source, target, weight) if name is not None]
        if source is None and target is None:
            ends = _ENDS if set(_ENDS) <= set(labels) else labels[:2]
            further = ["weight"] if ends is _ENDS and "weight" in labels else labels[2:3] if len(labels) == 3 else []
            further = [weight] if weight is not None else [name for name in further if name not in ends]
            wanted = [*ends, *further]
        for name in wanted:
            if name not in labels:
                raise ValueError(f"edges has no column {name!r}; its columns are {labels}.")
        if len(wanted) < 2:
            raise ValueError(f"edges has the columns {labels}; expected two or three, nodes and perhaps a weight.")
        return [frame.values[labels.index(name)] for name in wanted], wanted
    given = [f"{name}={value!r}" for name, value in (("source", source), ("target", target), ("weight", weight))
             if value is not None]  # fmt: skip
    if given:
        raise ValueError(
            f"{given[0]} names a column of a frame, and edges is of type {type(edges).__name__}; pass a DataFrame, or "
            "the columns as they are read: source, target and perhaps weight."
        )
    if hasattr(edges, "__array__") and len(getattr(edges, "shape", ())) == 2:
        edges = np.asarray(edges)  # tensors
    if isinstance(edges, np.ndarray) and (edges.ndim != 2 or edges.shape[1] not in (2, 3)):
        turned = edges.ndim == 2 and edges.shape[0] in (2, 3)
        raise ValueError(
            f"edges has shape {edges.shape}; expected (n_edges, 2) or (n_edges, 3)."
            + (" Pass edges.T, if sources are a row and targets another." if turned else "")
        )
    edges = in_order(edges) if isinstance(edges, set | frozenset) else edges  # not views of dicts
    rows = [tuple(edge) if _is_row(edge) else edge for edge in edges]
    if not rows:
        raise ValueError("edges must hold at least one edge, got none.")
    width = len(rows[0]) if isinstance(rows[0], tuple) else 0
    for at, row in enumerate(rows):
        if not isinstance(row, tuple) or len(row) != width or width not in (2, 3):
            raise ValueError(f"edges has {row!r} in row {at}; expected (node, node) or (node, node, weight) in each.")
    if width == 3 and any(issubclass(kind, Mapping) for kind in {type(row[2]) for row in rows}):
        at = next(at for at, row in enumerate(rows) if isinstance(row[2], Mapping))
        raise ValueError(
            f"edges has attributes in row {at}, {rows[at]!r:.80}; expected a weight in their place, as "
            "graph.edges(data='weight', default=1) of networkx gives it."
        )
    columns: list[Any] = []
    for values in zip(*rows):
        column = np.empty(len(rows), dtype=object)
        column[:] = values
        columns.append(column)
    return columns, ["source", "target", "weight"][:width]


def _is_row(edge: Any) -> bool:
    """Whether an edge of a list holds nodes, as sequences, arrays and tensors do."""
    if isinstance(edge, str):
        return False
    return isinstance(edge, Sequence | np.ndarray) or (getattr(edge, "ndim", None) == 1 and hasattr(edge, "__array__"))


def _refuse_no_edges(edges: Any) -> None:
    """TypeError with the way out for what holds edges, but not as rows."""
    kind = type(edges).__name__
    if _is_networkx(edges) or sparse.issparse(edges):
        raise TypeError(f"edges is a {kind}, which NodeEmbedder takes as it is: NodeEmbedder().fit(edges).")
    if isinstance(edges, str | bytes | os.PathLike):
        raise TypeError(
            f"edges is the {kind} {edges!r:.60}, expected a frame or a list; read a file before: "
            "read_edges(pandas.read_csv(path))."
        )
    if getattr(getattr(edges, "index", None), "nlevels", 1) > 1 and len(getattr(edges, "columns", ())) < 2:
        raise TypeError(f"edges is a {kind} with its nodes in the index; pass edges.reset_index().")
    if isinstance(edges, Mapping):
        raise TypeError(
            f"edges is a {kind}, of which the keys alone would be read; pass rows: [(*pair, weight) for pair, weight "
            "in edges.items()] where keys are pairs, [(a, b) for a, others in edges.items() for b in others] where "
            "they are nodes."
        )


def _assembled(
    rows: np.ndarray, columns: np.ndarray, values: np.ndarray, n_nodes: int, directed: bool
) -> sparse.csr_matrix:
    if not directed:
        other = rows != columns  # a loop is one entry
        rows, columns = np.concatenate([rows, columns[other]]), np.concatenate([columns, rows[other]])
        values = np.concatenate([values, values[other]])
    return sparse.csr_matrix((values.astype(np.float64), (rows, columns)), shape=(n_nodes, n_nodes))


def read_adjacency(estimator: Any, X: Any, nodes: Any) -> tuple[sparse.csr_matrix, list[Any]]:
    """Read a graph to learn from; scikit-learn keeps the number and names of columns.

    Parameters
    ----------
    estimator : estimator
    X : array-like, sparse matrix or dataframe of shape (n_nodes, n_nodes), or networkx graph
    nodes : sequence of hashables of length n_nodes, or None
        None: the nodes of a networkx graph, the column names of a frame, else positions.

    Returns
    -------
    adjacency : csr_matrix of shape (n_nodes, n_nodes), float64
        As it was given, repeated entries added up.
    keys : list

    Raises
    ------
    ValueError
        If X is not square, holds a weight that is negative or not finite, or `nodes` does not fit.
    TypeError
        If X is all that `read_edges` returns.
    """
    if isinstance(X, tuple) and len(X) == 2 and sparse.issparse(X[0]):
        raise TypeError(
            "X is all that read_edges returns, expected its first part: adjacency, nodes = read_edges(edges), then "
            f"{type(estimator).__name__}(nodes=nodes).fit(adjacency)."
        )
    if _is_networkx(X):
        adjacency, keys = _of_networkx(X)
        if nodes is not None:
            raise ValueError("nodes is given, and so are the nodes of X, a networkx graph; leave nodes=None.")
        _checked(adjacency, keys, keys)
        return _checked_sizes(estimator, adjacency), keys
    names = column_labels(X)
    matrix = _checked_sizes(estimator, X)
    if matrix.shape[0] != matrix.shape[1]:
        raise ValueError(
            f"X is the adjacency matrix of a graph and must be square, a row and a column for each node; got shape "
            f"{matrix.shape}. Edges in a list or frame are read by skembed.graph.read_edges."
        )
    index = getattr(X, "index", None)
    if names is not None and index is not None and set(index) == set(names) and list(index) != list(names):
        raise ValueError("X has its nodes in another order as rows than as columns; use X.loc[X.columns].")
    if nodes is not None:
        keys = _node_keys(nodes, matrix.shape[0])
        check_same_order("nodes", keys, names)
        return matrix, keys
    return matrix, list(range(matrix.shape[0])) if names is None else _node_keys(names, matrix.shape[0])


def read_links(estimator: Any, X: Any, keys: Sequence[Any]) -> sparse.csr_matrix:
    """Read rows of weights of links to known nodes; those of a networkx graph to nodes that are not known are left out.

    Returns
    -------
    csr_matrix of shape (n_rows, len(keys)), float64

    Warns
    -----
    UserWarning
        If no node of a networkx graph is known, as where numbers became strings.
    """
    if _is_networkx(X):
        adjacency, new = _of_networkx(X)
        place_of = {key: place for place, key in enumerate(new)}
        places = np.array([place_of.get(key, -1) for key in keys])
        known = np.flatnonzero(places >= 0)
        if new and not len(known):
            warn(
                f"X has no node of fit: its nodes are such as {new[0]!r}, those of fit such as {keys[0]!r}. All rows "
                "are zeros; give nodes the ids that they had in fit."
            )
        chosen = sparse.csr_matrix(
            (np.ones(len(known)), (places[known], known)), shape=(len(new), len(keys))
        )  # columns to where they were
        return _checked((undirected(adjacency) @ chosen).tocsr(), new, keys)
    matrix = _checked_sizes(estimator, X, reset=False)
    check_labels(estimator, X, list(keys))
    return matrix


def undirected(adjacency: sparse.csr_matrix) -> sparse.csr_matrix:
    """Return a graph in which each edge leads both ways: the matrix itself where it is symmetric, else its sum with its
    transpose; where rounding alone keeps it from being symmetric, as kernels are, the mean of both.
    """
    turned = adjacency.T.tocsr()
    turned.sort_indices()
    same = (
        np.array_equal(turned.indptr, adjacency.indptr)
        and np.array_equal(turned.indices, adjacency.indices)
        and np.array_equal(turned.data, adjacency.data)
    )
    if same:
        return adjacency
    loops = sparse.diags(adjacency.diagonal(), format="csr")  # they lead back both ways already
    both = ((adjacency - loops) + (turned - loops)).tocsr()
    beyond = abs(adjacency - turned) - ROUNDING * adjacency.maximum(turned)
    if beyond.max() <= LEAST_SHARE * adjacency.max():
        both *= 0.5
    both = (both + loops).tocsr()
    both.eliminate_zeros()
    both.sort_indices()
    return both


_FOR_TEXT = (
    "expected the weights of an adjacency matrix. Edges in a list or frame are read by skembed.graph.read_edges."
)


def _checked_sizes(estimator: Any, X: Any, *, reset: bool = True) -> sparse.csr_matrix:
    """Return X as a matrix of its own with sound weights, once scikit-learn has seen to its columns."""
    X = filled(as_table(X))
    is_frame = not (isinstance(X, np.ndarray | list | tuple) or sparse.issparse(X))
    columns = read_columns(X, estimator=estimator) if is_frame else None
    if not reset:
        _check_feature_names(estimator, X, reset=False)
    least = 2 if reset else 1  # a graph of one node has nothing to be learned from
    with naming_no_numbers(X, "X", _FOR_TEXT, columns):
        given = check_array(
            summable(X), accept_sparse="csr", dtype=np.float64, ensure_all_finite=False, estimator=estimator,
            input_name="X", ensure_min_samples=least, ensure_min_features=least,
        )  # fmt: skip
    matrix = sparse.csr_matrix(given, copy=sparse.issparse(given))
    matrix.sum_duplicates()
    names = column_labels(X)
    labels = range(matrix.shape[1]) if names is None else names
    _checked(matrix, range(matrix.shape[0]), labels)
    validate_data(estimator, X, reset=reset, skip_check_array=True)
    return matrix


def _checked(matrix: sparse.csr_matrix, row_keys: Iterable[Any], keys: Sequence[Any]) -> sparse.csr_matrix:
    """Return the matrix without zeros; ValueError that names the nodes of a weight that is none."""

    def place(at: int) -> str:
        row = int(np.searchsorted(matrix.indptr, at, side="right")) - 1
        return f"X has the weight {matrix.data[at]} from node {list(row_keys)[row]!r} to {keys[matrix.indices[at]]!r}"

    _check_weights(matrix.data, place)
    matrix.eliminate_zeros()
    return matrix


def _check_weights(weights: np.ndarray, place: Any) -> None:
    wrong = ~(np.isfinite(weights) & (weights >= 0))
    if wrong.any():
        at = int(np.argmax(wrong))
        if np.isfinite(weights[at]):
            kind = "Negative values in data passed"  # as scikit-learn says it
        else:
            kind = "NaN" if np.isnan(weights[at]) else "infinity"
        raise ValueError(f"{kind}: {place(at)}; expected finite weights of at least 0. Drop the edge or correct it.")


def _node_keys(nodes: Any, n_nodes: int) -> list[Any]:
    if isinstance(nodes, set | frozenset):
        raise TypeError("nodes is a set, which has no order; expected a sequence of ids in the order of the rows of X.")
    try:
        keys = [canonical_key(node) for node in nodes]
        numbers = {key: place for place, key in enumerate(keys)}
    except TypeError as error:
        raise TypeError(f"nodes must be a sequence of ids that can be hashed: {error}.") from error
    if len(keys) != n_nodes:
        raise ValueError(f"nodes has {len(keys)} ids, but X has {n_nodes} rows; expected an id for each.")
    if None in numbers:
        raise ValueError(f"nodes has a missing id at position {keys.index(None)}; expected an id for each row of X.")
    if len(numbers) < n_nodes:
        twice = next(key for place, key in enumerate(keys) if numbers[key] != place)
        raise ValueError(f"nodes holds {twice!r} more than once; expected an id of its own for each row of X.")
    return keys


def _is_networkx(X: Any) -> bool:
    networkx = sys.modules.get("networkx")
    return networkx is not None and isinstance(X, networkx.Graph)


def _of_networkx(graph: Any) -> tuple[sparse.csr_matrix, list[Any]]:
    keys = _node_keys(list(graph), len(graph))
    place = dict(zip(graph, range(len(keys))))
    rows, columns, values = [], [], []
    for source, target, weight in graph.edges(data="weight", default=1.0):
        if not isinstance(weight, Real | Decimal | np.bool_):
            raise ValueError(
                f"X has the weight {weight!r} from node {source!r} to {target!r}; expected a number. Set the attribute "
                "'weight' of this edge, or delete it from all edges."
            )
        rows.append(place[source])
        columns.append(place[target])
        values.append(float(weight))
    at = np.array(rows, dtype=np.int64), np.array(columns, dtype=np.int64)
    return _assembled(*at, np.array(values, dtype=np.float64), len(keys), graph.is_directed()), keys
