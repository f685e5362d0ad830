"""The graph checks: pass on sound embedders, fail on broken ones."""

import numpy as np
import pytest
from scipy import sparse

from skembed import NodeEmbedder
from skembed.testing import check_graph_estimator, parametrize_with_graph_checks


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
