"""Checks of embedders of graphs, each a function of an estimator that raises where it fails."""

import pickle
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from scipy import sparse

from skembed.testing._assertions import assert_equal, assert_raises, assert_same, seeded

__all__ = ["checks_for", "graph"]

_assert_same = partial(assert_same, rtol=1e-4, atol=1e-5)


def checks_for(estimator: Any) -> Iterator[Callable]:
    yield from _CHECKS
    if "n_jobs" in estimator.get_params():
        yield check_n_jobs


def graph(n_nodes: int = 48) -> np.ndarray:
    """A made-up symmetric graph of three blocks, with weights, and no isolated node."""
    rng = np.random.default_rng(0)
    block = np.arange(n_nodes) % 3
    chance = np.where(block[:, None] == block, 0.5, 0.05)
    upper = np.triu(rng.random((n_nodes, n_nodes)) < chance, 1) * rng.integers(1, 4, (n_nodes, n_nodes))
    ring = np.roll(np.eye(n_nodes), 3, axis=1)  # within the block
    return (upper + upper.T + ring + ring.T).astype(np.float64)


# ------------------------------------------------------------------------------------------------------- the checks


def check_containers(estimator: Any) -> None:
    """A dense, a CSR and a COO matrix of the same graph are the same."""
    X = graph()
    expected = seeded(estimator).fit_transform(X)
    for container in (sparse.csr_matrix, sparse.csr_array, sparse.coo_matrix):
        found = seeded(estimator).fit_transform(container(X))
        _assert_same(found, expected, f"a {container.__name__} differs from an array")


def check_repeated_edges(estimator: Any) -> None:
    """Entries of a sparse matrix that repeat add up."""
    X = graph()
    rows, columns = np.nonzero(X)
    halves = X[rows, columns] / 2
    twice = sparse.coo_matrix((np.tile(halves, 2), (np.tile(rows, 2), np.tile(columns, 2))), shape=X.shape)
    _assert_same(
        seeded(estimator).fit_transform(twice), seeded(estimator).fit_transform(X), "repeated edges do not add up"
    )


def check_isolated_nodes(estimator: Any) -> None:
    """Nodes without edges, self-loops and components give finite rows, a row for each node."""
    X = graph()
    X[:2] = X[:, :2] = 0
    X[2, 2] = 1
    X[10:, :10] = X[:10, 10:] = 0
    Z = np.asarray(seeded(estimator).fit_transform(X))
    if len(Z) != len(X):
        raise AssertionError(f"{len(X)} nodes give {len(Z)} rows.")
    if not np.isfinite(Z).all():
        raise AssertionError("isolated nodes, self-loops or components give rows that are not finite.")


def check_wrong_weights(estimator: Any) -> None:
    """Negative, NaN and infinite weights, and matrices that are not square, are errors."""
    for name, value in (("negative", -1.0), ("NaN", np.nan), ("infinite", np.inf)):
        X = graph()
        X[3, 6] = X[6, 3] = value
        for container in (np.asarray, sparse.csr_matrix):
            assert_raises(
                ValueError, seeded(estimator).fit, container(X), message=f"fit takes a graph with a {name} weight."
            )
        fitted = seeded(estimator).fit(graph())
        assert_raises(ValueError, fitted.transform, X[:9], message=f"transform takes a {name} weight.")
    assert_raises(ValueError, seeded(estimator).fit, graph()[:, :-1], message="fit takes a matrix that is not square.")


def check_new_nodes(estimator: Any) -> None:
    """New nodes have finite rows of the same width, and each depends on its own links alone."""
    X = graph()
    fitted = seeded(estimator).fit(X[:40, :40])
    width = np.asarray(seeded(estimator).fit_transform(X[:40, :40])).shape[1]
    rows = np.asarray(fitted.transform(X[40:, :40]))
    if rows.shape != (len(X) - 40, width):
        raise AssertionError(f"transform of {len(X) - 40} nodes has shape {rows.shape}, fit_transform {width} columns.")
    if not np.isfinite(rows).all():
        raise AssertionError("a new node has a row that is not finite.")
    one_by_one = np.concatenate([np.asarray(fitted.transform(X[i : i + 1, :40])) for i in range(40, len(X))])
    _assert_same(one_by_one, rows, "the row of a node depends on the nodes beside it")
    if not np.isfinite(np.asarray(fitted.transform(np.zeros((1, 40))))).all():
        raise AssertionError("a new node without links has a row that is not finite.")


def check_blocks(estimator: Any) -> None:
    """Nodes of one block are nearer to each other than to those of others."""
    X = graph()
    Z = np.asarray(seeded(estimator).fit_transform(X), dtype=np.float64)
    Z = Z - Z.mean(axis=0)
    norms = np.linalg.norm(Z, axis=1, keepdims=True)
    cosines = (Z @ Z.T) / np.maximum(norms * norms.T, 1e-30)
    block = np.arange(len(X)) % 3
    same, other = block[:, None] == block, block[:, None] != block
    np.fill_diagonal(same, False)
    if not cosines[same].mean() > cosines[other].mean() + 0.2:
        raise AssertionError("nodes of one block are no nearer to each other than to those of other blocks.")


def check_input_unchanged(estimator: Any) -> None:
    """`fit` and `transform` leave the matrix that they are given as it is."""
    X = sparse.csr_matrix(np.triu(graph()))
    before = pickle.dumps(X)
    seeded(estimator).fit(X).transform(X)
    if pickle.dumps(X) != before:
        raise AssertionError("fit or transform changes the matrix that it is given.")


def check_pickle(estimator: Any) -> None:
    """A fitted estimator that was pickled transforms alike."""
    X = graph()
    fitted = seeded(estimator).fit(X)
    _assert_same(pickle.loads(pickle.dumps(fitted)).transform(X), fitted.transform(X), "the pickled estimator differs")


def check_reproducible(estimator: Any) -> None:
    """The same graph and seed give the same bits."""
    assert_equal((seeded(estimator).fit_transform(graph()) for _ in range(2)), "the same seed gives other vectors")


def check_n_jobs(estimator: Any) -> None:
    """The number of jobs changes no bit."""
    outputs = (seeded(estimator).set_params(n_jobs=n).fit_transform(graph()) for n in (1, 2))
    assert_equal(outputs, "n_jobs=1 and n_jobs=2 differ")


_CHECKS = [
    check_containers,
    check_repeated_edges,
    check_isolated_nodes,
    check_wrong_weights,
    check_new_nodes,
    check_blocks,
    check_input_unchanged,
    check_pickle,
    check_reproducible,
]
