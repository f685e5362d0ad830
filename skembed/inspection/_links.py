"""Link prediction: how well vectors of nodes tell edges that were held out from pairs that are none."""

from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score
from sklearn.utils import check_random_state

from skembed.data.canonical import canonical_key
from skembed.inspection._words import check_table, one_of, rows_given
from skembed.table import EmbeddingTable
from skembed.table.keys import build_index, find_rows
from skembed.table.queries import unit_vectors

__all__ = ["link_prediction_auc"]

SCORES = ("cosine", "dot", "euclidean")
_PAIRS_AT_ONCE = 1 << 15


def link_prediction_auc(
    table: EmbeddingTable,
    edges: Any,
    non_edges: Any = None,
    *,
    known_edges: Any = (),
    directed: bool = False,
    score: str = "cosine",
    random_state: Any = None,
) -> float:
    """Area under the ROC curve of telling held-out edges from pairs of nodes without an edge.

    Parameters
    ----------
    table : EmbeddingTable
        Of the nodes, learned without `edges`.
    edges : array-like of shape (n_edges, 2), or rows (node, node)
        Held-out edges. Those from a node to itself are left out: any vectors tell them.
    non_edges : array-like of shape (n_non_edges, 2), or rows (node, node), default=None
        Pairs without an edge. None: as many pairs of different nodes of the table as there are edges, drawn at random
        among those that are neither in `edges` nor in `known_edges`.
    known_edges : array-like of shape (n, 2), or rows (node, node), default=()
        The other edges of the graph, those that `table` was learned from: not to be drawn as pairs without an edge.
    directed : bool, default=False
        Whether (a, b) may be an edge where (b, a) is none; matters for the draw alone.
    score : {"cosine", "dot", "euclidean"}, default="cosine"
        How likely an edge is: the cosine, the dot product, or the nearness.
    random_state : int, RandomState instance or None, default=None
        Draws the pairs without an edge.

    Returns
    -------
    float
        1 if every edge scores higher than every other pair, .5 by chance.

    Raises
    ------
    KeyError
        For a node of an edge that is not in a table without a vector for unknown keys.
    ValueError
        If there are no edges, or no pair is left to be drawn, or no node of `known_edges` is in the table.

    Examples
    --------
    >>> from skembed import EmbeddingTable
    >>> from skembed.inspection import link_prediction_auc
    >>> table = EmbeddingTable(list("abcd"), [[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.1, 0.9]])
    >>> link_prediction_auc(table, [("a", "b"), ("c", "d")], [("a", "c"), ("b", "d")])
    1.0
    """
    check_table(table)
    one_of(score, SCORES, "score")
    edges = rows_given(edges, 2, "edges")
    if not edges:
        raise ValueError("edges must hold at least one edge, got none.")
    edges = [(a, b) for a, b in edges if canonical_key(a) != canonical_key(b)]
    if not edges:
        raise ValueError("edges must hold an edge between two nodes, and each leads from a node to itself.")
    positive = _pair_scores(table, edges, score)
    if non_edges is None:
        known = rows_given(known_edges, 2, "known_edges")
        if known and not any(node in table for edge in known for node in edge):
            raise ValueError(
                f"known_edges has no node of the table: its nodes are such as {known[0][0]!r}, the table's such as "
                f"{table.keys[0]!r}; convert them to the type of the table's keys."
            )
        rows = _draw_non_edges(table, [*edges, *known], len(edges), directed, random_state)
        negative = _scores(table.vectors, table.vectors, rows, score)
    else:
        non_edges = rows_given(non_edges, 2, "non_edges")
        if not non_edges:
            raise ValueError("non_edges must hold at least one pair, got none; pass None to draw them.")
        negative = _pair_scores(table, non_edges, score)
    truth = np.repeat([1, 0], [len(positive), len(negative)])
    # what differs by rounding alone is a tie, as vectors of float32 have it; of the largest, since units may be any
    scores = np.concatenate([positive, negative])
    largest = float(np.abs(scores).max())
    return float(roc_auc_score(truth, (scores / largest if largest > 0 else scores).astype(np.float32)))


def _pair_scores(table: EmbeddingTable, pairs: list[tuple], score: str) -> np.ndarray:
    left, right = table.lookup([a for a, _ in pairs]), table.lookup([b for _, b in pairs])
    rows = np.arange(len(pairs))
    return _scores(left, right, np.stack([rows, rows], axis=1), score)


def _scores(left: np.ndarray, right: np.ndarray, rows: np.ndarray, score: str) -> np.ndarray:
    """Scores of pairs of rows, (n, 2), float64 (n,)."""
    scores = np.empty(len(rows))
    for start in range(0, len(rows), _PAIRS_AT_ONCE):
        chunk = slice(start, start + _PAIRS_AT_ONCE)
        a, b = left[rows[chunk, 0]].astype(np.float64), right[rows[chunk, 1]].astype(np.float64)
        if score == "euclidean":
            scores[chunk] = -np.linalg.norm(a - b, axis=1)
        else:
            if score == "cosine":
                a, b = unit_vectors(a), unit_vectors(b)
            scores[chunk] = (a * b).sum(axis=1)
    return scores


def _draw_non_edges(
    table: EmbeddingTable, edges: list[tuple], n_wanted: int, directed: bool, random_state: Any
) -> np.ndarray:
    """Rows of pairs of different nodes that are no edge, int64 (n_wanted or fewer, 2); none twice."""
    n_nodes = len(table)
    index = build_index(table.keys.tolist())
    rows = np.stack([find_rows([canonical_key(edge[i]) for edge in edges], index) for i in range(2)], axis=1)
    taken = np.unique(_codes(rows[(rows >= 0).all(axis=1) & (rows[:, 0] != rows[:, 1])], n_nodes, directed))
    n_pairs = n_nodes * (n_nodes - 1) // (1 if directed else 2)
    n_wanted = min(n_wanted, n_pairs - len(taken))
    if n_wanted <= 0:
        raise ValueError(
            f"all {n_pairs} pairs of the {n_nodes} nodes are edges: none is left to be drawn; pass non_edges."
        )
    random = check_random_state(random_state)
    drawn = np.empty(0, dtype=np.int64)
    if n_pairs <= 4 * (len(taken) + n_wanted):  # a draw would too often meet an edge: choose among all that are left
        every = np.stack(np.divmod(np.arange(n_nodes * n_nodes), n_nodes), axis=1)
        left = np.setdiff1d(_codes(every[every[:, 0] != every[:, 1]], n_nodes, directed), taken)
        drawn = random.permutation(left)
    while len(drawn) < n_wanted:
        pairs = random.randint(0, n_nodes, size=(2 * n_wanted, 2), dtype=np.int64)
        fresh = _codes(pairs[pairs[:, 0] != pairs[:, 1]], n_nodes, directed)
        both = np.concatenate([drawn, fresh[~np.isin(fresh, taken)]])
        drawn = both[np.sort(np.unique(both, return_index=True)[1])]
    return np.stack(np.divmod(drawn[:n_wanted], n_nodes), axis=1)


def _codes(rows: np.ndarray, n_nodes: int, directed: bool) -> np.ndarray:
    """One number for a pair of rows, the same for both directions of an undirected one."""
    first, second = rows.T if directed else np.sort(rows, axis=1).T
    return first * n_nodes + second
