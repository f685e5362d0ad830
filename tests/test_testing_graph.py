"""The graph checks: pass on sound embedders, fail on broken ones."""

import numpy as np
import pytest
from scipy import sparse

from skembed import NodeEmbedder
from skembed.testing import check_graph_estimator, parametrize_with_graph_checks
from skembed.testing._graph_checks import checks_for


@parametrize_with_graph_checks([NodeEmbedder(4, method=method, walk_length=20) for method in ("prone", "node2vec")])
def test_sound_embedders_pass(estimator, check):
    check(estimator)


class CentredByBatch(NodeEmbedder):
    def transform(self, X):
        rows = super().transform(X)
        return rows - rows.mean(axis=0)


class TakingAnyWeight(NodeEmbedder):
    def fit(self, X, y=None):
        return super().fit(_clipped(X), y)


class LastOfRepeated(NodeEmbedder):
    def fit(self, X, y=None):
        if sparse.issparse(X) and X.format == "coo":
            dense = np.zeros(X.shape)
            dense[X.row, X.col] = X.data
            dense[:5, :5] *= 3
            X = dense
        return super().fit(X, y)


class DroppingIsolatedNodes(NodeEmbedder):
    def fit_transform(self, X, y=None):
        rows = super().fit_transform(X, y)
        return rows[rows.any(axis=1)]


class Shuffled(NodeEmbedder):
    def fit_transform(self, X, y=None):
        rows = super().fit_transform(X, y)
        return np.random.default_rng(0).permutation(rows)


class Unseeded(NodeEmbedder):
    def fit(self, X, y=None):
        super().fit(X, y)
        return self

    def fit_transform(self, X, y=None):
        return super().fit_transform(X, y) + np.random.default_rng().normal(size=(X.shape[0], 1)) * 1e-3


def _clipped(X):
    X = (X.toarray() if sparse.issparse(X) else X).copy()
    X[~np.isfinite(X)] = 0
    return np.abs(X)


BROKEN = {
    CentredByBatch: "check_new_nodes",
    TakingAnyWeight: "check_wrong_weights",
    LastOfRepeated: "check_repeated_edges",
    DroppingIsolatedNodes: "check_isolated_nodes",
    Shuffled: "check_blocks",
    Unseeded: "check_reproducible",
}


@pytest.mark.parametrize("broken", BROKEN)
def test_broken_embedders_fail(broken):
    failed = set()
    for case in parametrize_with_graph_checks([broken(4)]).args[1]:
        estimator, check = case.values
        try:
            check(estimator)
        except Exception:
            failed.add(check.__name__)
    assert BROKEN[broken] in failed
    with pytest.raises((AssertionError, ValueError)):
        check_graph_estimator(broken(4))


def test_expected_failures_are_marked_and_classes_refused():
    decorator = parametrize_with_graph_checks([NodeEmbedder(4)], expected_failed_checks=lambda _: {"check_blocks": "x"})
    assert [case.id for case in decorator.args[1] if case.marks] == ["NodeEmbedder(embedding_dim=4)-check_blocks"]
    with pytest.raises(TypeError, match="NodeEmbedder"):
        parametrize_with_graph_checks([NodeEmbedder])


class ByContainer(NodeEmbedder):
    def fit_transform(self, X, y=None):
        return super().fit_transform(X, y) * (2 if sparse.issparse(X) and X.format == "coo" else 1)


class OneColumnLess(NodeEmbedder):
    def fit_transform(self, X, y=None):
        return super().fit_transform(X, y)[:, : -1 if sparse.issparse(X) else None]


class NotFinite(NodeEmbedder):
    def fit_transform(self, X, y=None):
        rows = super().fit_transform(X, y)
        rows[~rows.any(axis=1)] = np.nan
        return rows


class TakingAnyShape(NodeEmbedder):
    def fit(self, X, y=None):
        return super().fit(X[:, : X.shape[0]] if X.shape[1] >= X.shape[0] else X[: X.shape[1]], y)


class TakingAnyNewWeight(NodeEmbedder):
    def transform(self, X):
        return super().transform(_clipped(X))


class Narrow(NodeEmbedder):
    def transform(self, X):
        return super().transform(X)[:, 1:]


class NotFiniteAlone(NodeEmbedder):
    def transform(self, X):
        rows = super().transform(X)
        rows[~rows.any(axis=1)] = np.inf
        return rows


class NotFiniteWithLinks(NodeEmbedder):
    def transform(self, X):
        rows = super().transform(X)
        rows[rows.any(axis=1)] = np.inf
        return rows


class Changing(NodeEmbedder):
    def fit(self, X, y=None):
        super().fit(X, y)
        if sparse.issparse(X):
            X.data[0] += 1
        return self


class LosingInPickle(NodeEmbedder):
    scale = 2.0

    def __setstate__(self, state):
        super().__setstate__(state)
        self.scale = 1.0

    def transform(self, X):
        return super().transform(X) * self.scale


class ByJobs(NodeEmbedder):
    def fit_transform(self, X, y=None):
        return super().fit_transform(X, y) * (self.n_jobs or 1)


@pytest.mark.parametrize(
    ("broken", "check", "message"),
    [
        (ByContainer, "check_containers", "a coo_matrix differs from an array"),
        (OneColumnLess, "check_containers", "a csr_matrix differs from an array: shape"),
        (LastOfRepeated, "check_repeated_edges", "repeated edges do not add up"),
        (DroppingIsolatedNodes, "check_isolated_nodes", "48 nodes give 46 rows"),
        (NotFinite, "check_isolated_nodes", "give rows that are not finite"),
        (TakingAnyWeight, "check_wrong_weights", "fit takes a graph with a negative weight"),
        (TakingAnyNewWeight, "check_wrong_weights", "transform takes a negative weight"),
        (TakingAnyShape, "check_wrong_weights", "fit takes a matrix that is not square"),
        (Narrow, "check_new_nodes", r"transform of 8 nodes has shape \(8, 3\), fit_transform 4 columns"),
        (CentredByBatch, "check_new_nodes", "depends on the nodes beside it"),
        (NotFiniteWithLinks, "check_new_nodes", "a new node has a row that is not finite"),
        (NotFiniteAlone, "check_new_nodes", "a new node without links has a row that is not finite"),
        (Shuffled, "check_blocks", "nodes of one block are no nearer"),
        (Changing, "check_input_unchanged", "changes the matrix that it is given"),
        (LosingInPickle, "check_pickle", "the pickled estimator differs"),
        (Unseeded, "check_reproducible", "the same seed gives other vectors"),
        (ByJobs, "check_n_jobs", "n_jobs=1 and n_jobs=2 differ"),
    ],
)
def test_each_check_says_what_is_broken(broken, check, message):
    (one,) = (one for one in checks_for(broken(4)) if one.__name__ == check)
    with pytest.raises(AssertionError, match=message):
        one(broken(4))
