"""Graphs of any container: lists and frames of edges, matrices, networkx, and what is wrong with them."""

import re
import warnings
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from sklearn.base import BaseEstimator

from skembed.data.graph import read_adjacency, read_edges, read_links, undirected

pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")
pa = pytest.importorskip("pyarrow")
nx = pytest.importorskip("networkx")

COLUMNS = {"a": ["Ulm", "Bern", "Bern", "Graz"], "b": ["Bern", "Ulm", "Graz", "Graz"], "km": [1.0, 2.0, 0.5, 4.0]}
NODES = ["Ulm", "Bern", "Graz"]
DIRECTED = [[0, 1, 0], [2, 0, 0.5], [0, 0, 4]]
UNDIRECTED = [[0, 3, 0], [3, 0, 0.5], [0, 0.5, 4]]


def says(text):
    return f"^{re.escape(text)}$"


class Reader(BaseEstimator):
    """What scikit-learn keeps the number and names of columns in."""


# ------------------------------------------------------------------------------------------------------------ edges

edge_lists = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 4), st.sampled_from([0.5, 1.0, 3.0])), min_size=1, max_size=12
)


@given(edge_lists, st.booleans(), st.booleans())
def test_edges_give_what_a_dict_gives(edges, directed, weighted):
    expected, nodes = {}, {}
    for which in (0, 1):
        for edge in edges:
            nodes.setdefault(edge[which], len(nodes))
    for a, b, weight in edges:
        pairs = [(a, b)] if directed or a == b else [(a, b), (b, a)]
        for pair in pairs:
            expected[pair] = expected.get(pair, 0) + (weight if weighted else 1)
    adjacency, found = read_edges(edges if weighted else [edge[:2] for edge in edges], directed=directed)
    assert found == list(nodes)
    assert adjacency.dtype == np.float64
    there = adjacency.tocoo()
    assert {(found[i], found[j]): w for i, j, w in zip(there.row, there.col, there.data)} == expected


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame, pa.table], ids=["pandas", "polars", "pyarrow"])
@pytest.mark.parametrize("directed", [True, False])
def test_edges_of_frames(make, directed):
    expected = DIRECTED if directed else UNDIRECTED
    for names in ({}, {"weight": "km"}, {"source": "a", "target": "b", "weight": "km"}):
        adjacency, nodes = read_edges(make(COLUMNS), directed=directed, **names)
        assert (nodes, adjacency.toarray().tolist()) == (NODES, expected)
    wide = make({"km": COLUMNS["km"], "id": [9, 9, 9, 9], "b": COLUMNS["b"], "a": COLUMNS["a"]})
    adjacency, nodes = read_edges(wide, source="a", target="b", weight="km", directed=directed)
    assert (nodes, adjacency.toarray().tolist()) == (NODES, expected)
    adjacency, nodes = read_edges(wide, source="a", target="b", directed=True)  # a weight that is not named is none
    assert (nodes, adjacency.toarray().tolist()) == (NODES, (np.array(DIRECTED) > 0).tolist())
    adjacency, nodes = read_edges(make({**COLUMNS, "id": [9, 9, 9, 9]}), directed=True)  # nor is one of four columns
    assert (nodes, adjacency.toarray().tolist()) == (NODES, (np.array(DIRECTED) > 0).tolist())
    adjacency, nodes = read_edges(make({**COLUMNS, "id": [9, 9, 9, 9]}), weight="km", directed=directed)
    assert (nodes, adjacency.toarray().tolist()) == (NODES, expected)


@pytest.mark.parametrize("kind", [pd.DataFrame, pl.DataFrame, pa.table])
@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"index": [0, 1], "source": [7, 8], "target": [8, 9]}, [[0, 1, 0], [0, 0, 1], [0, 0, 0]]),
        ({"weight": [2, 5], "source": [7, 8], "target": [8, 9]}, [[0, 2, 0], [0, 0, 5], [0, 0, 0]]),
        ({"target": [8, 9], "source": [7, 8], "km": [2, 5]}, [[0, 2, 0], [0, 0, 5], [0, 0, 0]]),
        ({"source": [7, 8], "target": [8, 9], "km": [3, 3], "weight": [2, 5]}, [[0, 2, 0], [0, 0, 5], [0, 0, 0]]),
        ({"source": [7, 8], "target": [8, 9], "km": [2, 5], "h": [3, 3]}, [[0, 1, 0], [0, 0, 1], [0, 0, 0]]),
        ({"from": [7, 8], "to": [8, 9], "source": [2, 5]}, [[0, 2, 0], [0, 0, 5], [0, 0, 0]]),
    ],
)
def test_columns_that_are_called_source_and_target_are_found_where_they_stand(kind, columns, expected):
    adjacency, nodes = read_edges(kind(columns), directed=True)
    assert (nodes, adjacency.toarray().tolist()) == ([7, 8, 9], expected)


def test_edges_of_arrays_and_of_tuples_that_are_nodes():
    adjacency, nodes = read_edges(np.array([[3, 1], [1, 2]]))
    assert (nodes, adjacency.toarray().tolist()) == ([3, 1, 2], [[0, 1, 0], [1, 0, 1], [0, 1, 0]])
    adjacency, nodes = read_edges(np.array([["x", "y", 2.5]], dtype=object), directed=True)
    assert (nodes, adjacency.toarray().tolist()) == (["x", "y"], [[0, 2.5], [0, 0]])
    assert read_edges([[(0, 1), (0, 2)]])[1] == [(0, 1), (0, 2)]
    assert read_edges(iter([("a", "b"), ["b", "c"]]))[1] == ["a", "b", "c"]


@pytest.mark.parametrize("make", [set, frozenset])
def test_edges_in_a_set_have_one_order_in_every_process(make):
    edges = [(f"n{i}", f"n{i * i % 7}") for i in range(9)]
    adjacency, nodes = read_edges(make(edges))
    assert nodes == read_edges(sorted(edges))[1]
    assert (adjacency != read_edges(sorted(edges))[0]).nnz == 0
    assert read_edges({("b", "a"): 1, ("a", "c"): 2}.keys())[1] == ["b", "a", "c"]


@pytest.mark.parametrize(
    ("edges", "options", "message"),
    [
        ([("a", None)], {}, "edges has no target in row 0; expected an id of a node. Drop such rows."),
        ([("a", "b"), (None, "b")], {}, "edges has no source in row 1; expected an id of a node. Drop such rows."),
        (pd.DataFrame({"u": ["a", "a"], "v": ["b", None]}), {},
         "edges has no v in row 1; expected an id of a node. Drop such rows."),
        ([("a", "b", 1.0), ("a", "c", -0.5)], {},
         "Negative values in data passed: edges has the weight -0.5 in row 1; expected finite weights of at least 0. "
         "Drop the edge or correct it."),
        ([("a", "b", float("nan"))], {},
         "NaN: edges has the weight nan in row 0; expected finite weights of at least 0. Drop the edge or correct it."),
        ([("a", "b", float("inf"))], {},
         "infinity: edges has the weight inf in row 0; expected finite weights of at least 0. Drop the edge or correct "
         "it."),
        (pd.DataFrame(COLUMNS), {"source": "c", "target": "b"},
         "edges has no column 'c'; its columns are ['a', 'b', 'km']."),
        (pd.DataFrame(COLUMNS), {"weight": "kg"}, "edges has no column 'kg'; its columns are ['a', 'b', 'km']."),
        (pd.DataFrame(COLUMNS), {"source": "a"},
         "source='a' names one end of an edge; expected target= beside it, one of the columns ['a', 'b', 'km']."),
        (pd.DataFrame(COLUMNS), {"source": "a", "weight": "km"},  # whose values would be nodes
         "source='a' names one end of an edge; expected target= beside it, one of the columns ['a', 'b', 'km']."),
        (pd.DataFrame(COLUMNS), {"target": "b", "weight": "km"},
         "target='b' names one end of an edge; expected source= beside it, one of the columns ['a', 'b', 'km']."),
        (pd.DataFrame({"a": ["x"]}), {}, "edges has the columns ['a']; expected two or three, nodes and perhaps a "
         "weight."),
        (np.zeros(3), {}, "edges has shape (3,); expected (n_edges, 2) or (n_edges, 3)."),
        (np.zeros((2, 2, 2)), {}, "edges has shape (2, 2, 2); expected (n_edges, 2) or (n_edges, 3)."),
        (np.zeros((9, 4)), {}, "edges has shape (9, 4); expected (n_edges, 2) or (n_edges, 3)."),
        (np.zeros((2, 9)), {},
         "edges has shape (2, 9); expected (n_edges, 2) or (n_edges, 3). Pass edges.T, if sources are a row and "
         "targets another."),
        ([], {}, "edges must hold at least one edge, got none."),
        ([("a", "b"), "ab"], {},
         "edges has 'ab' in row 1; expected (node, node) or (node, node, weight) in each."),
        ([("a", "b"), ("a", "b", 1.0)], {},
         "edges has ('a', 'b', 1.0) in row 1; expected (node, node) or (node, node, weight) in each."),
        ([("a",)], {}, "edges has ('a',) in row 0; expected (node, node) or (node, node, weight) in each."),
        ([("a", "b", 1, 2)], {},
         "edges has ('a', 'b', 1, 2) in row 0; expected (node, node) or (node, node, weight) in each."),
        ([7], {}, "edges has 7 in row 0; expected (node, node) or (node, node, weight) in each."),
        (np.array([[1, 2, 0.5]]), {"source": 1, "target": 0},
         "source=1 names a column of a frame, and edges is of type ndarray; pass a DataFrame, or the columns as they "
         "are read: source, target and perhaps weight."),
        ([("a", "b", 1.0)], {"weight": "km"},
         "weight='km' names a column of a frame, and edges is of type list; pass a DataFrame, or the columns as they "
         "are read: source, target and perhaps weight."),
    ],
)  # fmt: skip
def test_what_is_no_list_of_edges(edges, options, message):
    with pytest.raises(ValueError, match=says(message)):
        read_edges(edges, **options)


def test_tensors_are_arrays():
    torch = pytest.importorskip("torch")
    pairs = torch.tensor([[1, 2], [2, 5]])
    for edges in (list(pairs), [(a, b) for a, b in pairs], [(a, b, torch.tensor(1.0)) for a, b in pairs]):
        adjacency, nodes = read_edges(edges)
        assert (nodes, adjacency.toarray().tolist()) == ([1, 2, 5], [[0, 1, 0], [1, 0, 1], [0, 1, 0]])
    adjacency, nodes = read_edges(torch.tensor([[0, 1, 2], [1, 2, 5]]).T)
    assert (nodes, adjacency.nnz, type(nodes[0])) == ([0, 1, 2, 5], 6, int)
    with pytest.raises(ValueError, match=r"Pass edges\.T"):
        read_edges(torch.zeros((2, 9)))


def test_the_name_of_a_weight_is_in_its_error():
    with pytest.raises(ValueError, match="Row 1 of column 'weight' holds 'far' of type str"):
        read_edges([("a", "b", 1.0), ("b", "c", "far")])
    with pytest.raises(ValueError, match="Row 0 of column 'km' holds 'far' of type str"):
        read_edges(pd.DataFrame({"a": ["x"], "b": ["y"], "km": ["far"]}))
    for edges in ([("a", "b", "0.5")], pd.DataFrame({"a": ["x"], "b": ["y"], "kind": ["friend"]})):
        with pytest.raises(ValueError, match="Turn weights into numbers; of a frame, name another colu"):
            read_edges(edges)


@pytest.mark.parametrize(
    ("edges", "message"),
    [
        (nx.path_graph(3), "edges is a Graph, which NodeEmbedder takes as it is: NodeEmbedder().fit(edges)."),
        (nx.MultiDiGraph([(1, 2)]), "edges is a MultiDiGraph, which NodeEmbedder takes as it is: NodeEmbedder().fit("),
        (
            sparse.eye(3, format="csr"),
            "edges is a csr_matrix, which NodeEmbedder takes as it is: NodeEmbedder().fit(ed",
        ),
        (
            sparse.coo_array(np.eye(3)),
            "edges is a coo_array, which NodeEmbedder takes as it is: NodeEmbedder().fit(edg",
        ),
        (
            "edges.csv",
            "edges is the str 'edges.csv', expected a frame or a list; read a file before: read_edges(pandas.",
        ),
        (
            {("a", "b"): 2.5},
            "edges is a dict, of which the keys alone would be read; pass rows: [(*pair, weight) for p",
        ),
        (
            pd.Series([2.0], pd.MultiIndex.from_tuples([("a", "b")])),
            "edges is a Series with its nodes in the index; pass edges.reset_index().",
        ),
        (
            pd.DataFrame({"w": [2.0]}, pd.MultiIndex.from_tuples([("a", "b")])),
            "edges is a DataFrame with its nodes in the index; pass edges.reset_index().",
        ),
        (
            {"a": ["b"]},
            "edges is a dict, of which the keys alone would be read; pass rows: [(*pair, weight) for pair, ",
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_holds_edges_but_not_as_rows(edges, message):
    with pytest.raises(TypeError, match=f"^{re.escape(message)}"):
        read_edges(edges)


def test_attributes_of_networkx_are_no_weights():
    graph = nx.Graph([("a", "b", {"weight": 2.0}), ("b", "c")])
    with pytest.raises(
        ValueError, match=re.escape("edges has attributes in row 0, ('a', 'b', {'weight': 2.0}); expect")
    ):
        read_edges(graph.edges(data=True))
    adjacency, nodes = read_edges(graph.edges(data="weight", default=1.0))
    assert (nodes, adjacency.toarray().tolist()) == (["a", "b", "c"], [[0, 2, 0], [2, 0, 1], [0, 1, 0]])


def test_a_number_and_its_text_are_two_nodes_with_a_warning():
    frame = pd.DataFrame({"a": [1, 2, 2], "b": ["2", "1", "x"]})
    with pytest.warns(UserWarning, match="2 nodes are there as a number and as text, as 1 and '1': they are two nodes"):
        assert read_edges(frame)[1] == [1, 2, "2", "1", "x"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_edges([(1, "a"), (2, "b")])
        read_edges([(1, 2.5), (2, True)])


# --------------------------------------------------------------------------------------------------------- matrices


@pytest.mark.parametrize("make", [np.array, sparse.csr_matrix, sparse.coo_matrix, np.ndarray.tolist])
def test_matrices(make):
    X = np.array(DIRECTED)
    adjacency, keys = read_adjacency(reader := Reader(), make(X), None)
    assert keys == [0, 1, 2]
    assert (adjacency.format, adjacency.dtype, adjacency.nnz) == ("csr", np.float64, 4)
    assert adjacency.toarray().tolist() == DIRECTED
    assert reader.n_features_in_ == 3
    assert read_adjacency(Reader(), make(X), ["x", 1.0, "z"])[1] == ["x", 1, "z"]


def test_a_matrix_stays_as_it_is_and_its_entries_are_added_up():
    X = sparse.csr_matrix(([1.0, 2.0, 0.0], [1, 1, 0], [0, 2, 3]), shape=(2, 2))
    adjacency, _ = read_adjacency(Reader(), X, None)
    assert adjacency.nnz == 1
    assert adjacency.toarray().tolist() == [[0, 3], [0, 0]]
    assert (X.data.tolist(), X.indices.tolist()) == ([1, 2, 0], [1, 1, 0])


def test_entries_that_repeat_are_added_up_beyond_their_type():
    X = sparse.coo_matrix((np.ones(300, np.int8), (np.zeros(300, int), np.ones(300, int))), shape=(2, 2))
    assert read_adjacency(Reader(), X, None)[0].toarray().tolist() == [[0, 300], [0, 0]]


def test_frames_name_their_nodes():
    frame = pd.DataFrame(DIRECTED, columns=NODES, index=NODES)
    _, keys = read_adjacency(reader := Reader(), frame, None)
    assert (keys, reader.feature_names_in_.tolist()) == (NODES, NODES)
    assert read_adjacency(Reader(), frame, ["p", "q", "r"])[1] == ["p", "q", "r"]
    assert read_adjacency(Reader(), frame.set_axis([5, 6, 7]), None)[1] == NODES
    with pytest.raises(ValueError, match=says(
        "X has its nodes in another order as rows than as columns; use X.loc[X.columns]."
    )):  # fmt: skip
        read_adjacency(Reader(), frame.loc[["Bern", "Ulm", "Graz"]], None)
    links = read_links(reader, frame.iloc[:1], keys)
    assert links.toarray().tolist() == DIRECTED[:1]
    with pytest.raises(ValueError, match="feature names should match"):
        read_links(reader, frame[["Bern", "Ulm", "Graz"]], keys)
    with pytest.raises(ValueError, match="X has 2 features, but Reader is expecting 3 features"):
        read_links(read_adjacency(plain := Reader(), np.array(DIRECTED), None) and plain, np.ones((1, 2)), keys)


def test_labels_that_are_numbers_name_columns_and_nodes():
    edges = pd.DataFrame({2: ["a", "b"], 0: ["b", "c"], 1: [3.0, 4.0]})
    adjacency, nodes = read_edges(edges, source=2, target=0, weight=1)
    assert (nodes, adjacency.toarray().tolist()) == (["a", "b", "c"], [[0, 3, 0], [3, 0, 4], [0, 4, 0]])
    graph = nx.Graph([(30, 10), (10, 20)])
    frame = nx.to_pandas_adjacency(graph)
    reader = Reader()
    assert read_adjacency(reader, frame, None)[1] == [30, 10, 20]
    with pytest.raises(ValueError, match="X has its nodes in another order as rows than as columns"):
        read_adjacency(Reader(), frame.loc[[10, 20, 30]], None)
    links = read_links(reader, frame, [30, 10, 20]).toarray().tolist()
    assert links == frame.to_numpy().tolist()
    assert read_links(reader, pd.DataFrame(frame.to_numpy()), [30, 10, 20]).toarray().tolist() == links
    with pytest.raises(ValueError, match=says(
        "column 0 of X is 10, and 30 in `fit`; expected the same columns in the same order: X[columns], with those of "
        "`fit`."
    )):  # fmt: skip
        read_links(reader, frame[[10, 20, 30]], [30, 10, 20])
    for named in (frame, frame.to_numpy()):  # ids that were given stand for labels of any kind
        read_adjacency(given := Reader(), named, ["p", "q", "r"])
        assert read_links(given, frame, ["p", "q", "r"]).toarray().tolist() == links
    read_adjacency(texts := Reader(), nx.Graph([("p", "q"), ("q", "r")]), None)
    with pytest.warns(UserWarning, match="X has feature names"):
        assert read_links(texts, pd.DataFrame([[1.0, 0, 2]], columns=list("pqr")), list("pqr")).toarray().tolist() == [
            [1, 0, 2]
        ]
    with (
        pytest.warns(UserWarning, match="X has feature names"),
        pytest.raises(ValueError, match="column 0 of X is 'q'"),
    ):
        read_links(texts, pd.DataFrame([[1.0, 0, 2]], columns=list("qpr")), list("pqr"))
    plain = Reader()
    read_adjacency(plain, frame.to_numpy(), None)
    assert read_links(plain, frame, [0, 1, 2]).toarray().tolist() == links  # labels that `fit` did not know
    with pytest.raises(ValueError, match="column 0 of X is 2, and 0 in `fit`"):
        read_links(plain, frame.set_axis([2, 1, 0], axis=1), [0, 1, 2])


def test_edges_in_place_of_a_matrix_are_sent_to_their_reader():
    edges = [("a", "b"), ("b", "c")]
    for X in (edges, pd.DataFrame(edges), np.array(edges)):
        with pytest.raises(ValueError, match=r"X holds text .* are read by skembed\.graph\.read_edges\."):
            read_adjacency(Reader(), X, None)
    with pytest.raises(TypeError, match=says(
        "X is all that read_edges returns, expected its first part: adjacency, nodes = read_edges(edges), then "
        "Reader(nodes=nodes).fit(adjacency)."
    )):  # fmt: skip
        read_adjacency(Reader(), read_edges(edges), None)


@pytest.mark.parametrize(
    ("X", "nodes", "error", "message"),
    [
        (np.ones((3, 2)), None, ValueError,
         "X is the adjacency matrix of a graph and must be square, a row and a column for each node; got shape (3, 2). "
         "Edges in a list or frame are read by skembed.graph.read_edges."),
        (np.eye(2), ["a"], ValueError, "nodes has 1 ids, but X has 2 rows; expected an id for each."),
        (pd.DataFrame(np.eye(2), columns=["a", "b"]), ["b", "a"], ValueError,
         "nodes has 'b' at position 0, where X has the column 'a'; leave nodes=None, for X names them."),
        (np.eye(2), {"a", "b"}, TypeError,
         "nodes is a set, which has no order; expected a sequence of ids in the order of the rows of X."),
        (np.eye(2), ["a", None], ValueError,
         "nodes has a missing id at position 1; expected an id for each row of X."),
        (np.eye(3), ["a", 1, True], ValueError,
         "nodes holds 1 more than once; expected an id of its own for each row of X."),
        (np.eye(3), ["b", "a", "a"], ValueError,
         "nodes holds 'a' more than once; expected an id of its own for each row of X."),
        (nx.Graph([("a", "b")]), ["a", "b"], ValueError,
         "nodes is given, and so are the nodes of X, a networkx graph; leave nodes=None."),
        (np.array([[0, 1], [-2.0, 0]]), None, ValueError,
         "Negative values in data passed: X has the weight -2.0 from node 1 to 0; expected finite weights of at least "
         "0. Drop the edge or correct it."),
        (pd.DataFrame([[0, np.nan], [0, 0]], columns=["p", "q"]), None, ValueError,
         "NaN: X has the weight nan from node 0 to 'q'; expected finite weights of at least 0. Drop the edge or "
         "correct it."),
        (sparse.csr_matrix([[0, 0], [0, np.inf]]), None, ValueError,
         "infinity: X has the weight inf from node 1 to 1; expected finite weights of at least 0. Drop the edge or "
         "correct it."),
        (nx.Graph([("a", "b", {"weight": -1})]), None, ValueError,
         "Negative values in data passed: X has the weight -1.0 from node 'a' to 'b'; expected finite weights of at "
         "least 0. Drop the edge or correct it."),
        (nx.Graph([("a", "b", {"weight": "far"})]), None, ValueError,
         "X has the weight 'far' from node 'a' to 'b'; expected a number. Set the attribute 'weight' of this edge, or "
         "delete it from all edges."),
    ],
)  # fmt: skip
def test_what_is_no_graph(X, nodes, error, message):
    with pytest.raises(error, match=says(message)):
        read_adjacency(Reader(), X, nodes)


def test_what_is_masked_is_missing():
    masked = np.ma.array([[0, 1.0], [1, 0]], mask=[[False, True], [False, False]])
    for X in (masked, masked.astype(int)):
        with pytest.raises(ValueError, match="NaN: X has the weight nan from node 0 to 1"):
            read_adjacency(Reader(), X, None)


DATES = np.array([[0, 1], [1, 0]], dtype="datetime64[us]")


@pytest.mark.filterwarnings("ignore:X has feature names")  # of the graph that was known
@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        (DATES, ValueError, r"X holds dates, times or durations \(dtype datetime64\[us\]\)"),
        (DATES - DATES[0, 0], ValueError, r"X holds dates, times or durations \(dtype timedelta64\[us\]\)"),
        (pd.DataFrame(DATES), ValueError, "column 0 of X holds dates"),
        (pd.DataFrame({"p": [0.0, 1.0], "q": DATES[0]}), ValueError, "column 'q' of X holds dates"),
        (pl.DataFrame({"p": [0.0, 1.0], "q": DATES[0]}), ValueError, "column 'q' of X holds dates"),
        (pa.table({"p": [0.0, 1.0], "q": DATES[0]}), ValueError, "column 'q' of X holds dates"),
        (pd.DataFrame([[0, {}], [1, 0]], columns=["p", "q"]), TypeError, "of type dict in row 0 of column 'q'"),
        (pd.DataFrame([[0, 1.0], [1, 0]], columns=["p", "p"]), ValueError, "X has more than one column named 'p'"),
        (pd.DataFrame([[np.nan, 1.0], [1.0, np.nan]], dtype="Sparse[float]"), ValueError, "filled with other than 0"),
        (pl.DataFrame(np.eye(2)).lazy(), TypeError, "X is a polars LazyFrame"),
    ],
)  # fmt: skip
def test_weights_that_are_no_numbers(X, error, message):
    with pytest.raises(error, match=message):
        read_adjacency(Reader(), X, None)
    known = Reader()
    read_adjacency(known, np.eye(2), None)
    with pytest.raises(error, match=message):
        read_links(known, X, [0, 1])


def test_ids_that_cannot_be_hashed_and_graphs_of_one_node():
    with pytest.raises(
        TypeError, match=says("nodes must be a sequence of ids that can be hashed: unhashable type: 'list'.")
    ):
        read_adjacency(Reader(), np.eye(2), [["a"], "b"])
    with pytest.raises(TypeError, match="nodes must be a sequence of ids that can be hashed: 'int' object is not iter"):
        read_adjacency(Reader(), np.eye(2), 2)
    with pytest.raises(ValueError, match="minimum of 2 is required by Reader"):
        read_adjacency(Reader(), np.ones((1, 1)), None)
    reader = Reader()
    read_adjacency(reader, np.eye(2), None)
    assert read_links(reader, np.ones((1, 2)), [0, 1]).toarray().tolist() == [[1, 1]]  # of one row there may be links


# --------------------------------------------------------------------------------------------------------- networkx


@pytest.mark.parametrize("weight", [Decimal("0.5"), np.float32(0.5), 0.5])
def test_weights_of_any_kind_of_number(weight):
    graph = nx.Graph([("a", "b", {"weight": weight}), ("b", "c", {"weight": np.True_})])
    assert read_adjacency(Reader(), graph, None)[0].toarray().tolist() == [[0, 0.5, 0], [0.5, 0, 1], [0, 1, 0]]


def test_nodes_none_of_which_is_known_are_told_of():
    read_adjacency(reader := Reader(), nx.path_graph(3), None)
    message = "^X has no node of fit: its nodes are such as '0', those of fit such as 0. All rows are zeros; give nodes"
    with pytest.warns(UserWarning, match=message):
        assert read_links(reader, nx.Graph([("0", "1")]), [0, 1, 2]).nnz == 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_links(reader, nx.Graph([("0", 1)]), [0, 1, 2]).toarray().tolist() == [[0, 1, 0], [0, 0, 0]]
        assert read_links(reader, nx.Graph(), [0, 1, 2]).shape == (0, 3)


def test_graphs_of_networkx():
    graph = nx.DiGraph()
    graph.add_nodes_from(NODES)
    graph.add_weighted_edges_from([("Ulm", "Bern", 1), ("Bern", "Ulm", 2), ("Bern", "Graz", 0.5), ("Graz", "Graz", 4)])
    adjacency, keys = read_adjacency(reader := Reader(), graph, None)
    assert (keys, adjacency.toarray().tolist(), reader.n_features_in_) == (NODES, DIRECTED, 3)
    lonely = read_adjacency(Reader(), nx.empty_graph(3), None)
    assert (lonely[0].shape, lonely[0].nnz, lonely[1]) == ((3, 3), 0, [0, 1, 2])
    plain = nx.Graph([("a", "b"), ("b", "b")])
    assert read_adjacency(Reader(), plain, None)[0].toarray().tolist() == [[0, 1], [1, 1]]
    several = nx.MultiGraph([("a", "b", {"weight": 2}), ("a", "b", {"weight": 3})])
    assert read_adjacency(Reader(), several, None)[0].toarray().tolist() == [[0, 5], [5, 0]]


def test_links_of_networkx_are_those_to_known_nodes_in_both_directions():
    new = nx.DiGraph()
    new.add_weighted_edges_from([("x", "Graz", 2), ("Ulm", "x", 3), ("x", "y", 5), ("y", "y", 7), ("y", "Graz", 0)])
    links = read_links(Reader(), new, NODES)
    rows = dict(zip(new, links.toarray().tolist()))
    assert rows == {"x": [3, 0, 2], "Graz": [0, 0, 0], "Ulm": [0, 0, 0], "y": [0, 0, 0]}
    assert links.nnz == 2
    with pytest.raises(ValueError, match=r"X has the weight -1\.0 from node 'Ulm' to 'Graz'"):
        read_links(Reader(), nx.Graph([("Ulm", "Graz", {"weight": -1})]), NODES)


@given(st.lists(st.lists(st.sampled_from([0.0, 0.0, 1.0, 2.0]), min_size=4, max_size=4), min_size=4, max_size=4))
def test_both_directions_of_each_edge(rows):
    X = sparse.csr_matrix(np.array(rows))
    both = undirected(X)
    dense = X.toarray()
    expected = dense if (dense == dense.T).all() else dense + dense.T - np.diag(np.diag(dense))
    assert both.toarray().tolist() == expected.tolist()
    assert both.has_sorted_indices
    assert both.nnz == np.count_nonzero(expected)
    assert (both is X) == (dense == dense.T).all()
    assert X.toarray().tolist() == rows


@given(
    st.lists(st.floats(0, 1) | st.sampled_from([0.0, 1e-13, 1.0]), min_size=10, max_size=10),
    st.lists(st.floats(-1e-7, 1e-7), min_size=16, max_size=16),
    st.sampled_from([1.0, 1e-200, 1e200]),
)
def test_rounding_gives_edges_no_direction(weights, errors, scale):
    symmetric = np.zeros((4, 4))
    symmetric[np.triu_indices(4)] = weights
    symmetric = scale * np.maximum(symmetric, symmetric.T)
    X = symmetric * (1 + np.reshape(errors, (4, 4)))
    X[1, 0] = X[1, 0] if X[1, 0] > 1e-13 * symmetric.max() else 0.0  # lost on one side
    both = undirected(sparse.csr_matrix(X)).toarray()
    np.testing.assert_allclose(both, symmetric, rtol=1e-6, atol=1e-12 * symmetric.max())
    assert (both == both.T).all()
