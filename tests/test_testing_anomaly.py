"""The anomaly checks: pass on sound detectors, fail on broken ones."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.neighbors import LocalOutlierFactor

from skembed import NeighborAnomalyDetector
from skembed.testing import check_anomaly_estimator, parametrize_with_anomaly_checks


@pytest.mark.filterwarnings("ignore:n_neighbors")
@parametrize_with_anomaly_checks([NeighborAnomalyDetector(), NeighborAnomalyDetector(whiten=False)])
def test_sound_detectors_pass(estimator, check):
    check(estimator)


@pytest.mark.filterwarnings("ignore:n_neighbors|Duplicate values")
@parametrize_with_anomaly_checks([LocalOutlierFactor(novelty=True)])
def test_scikit_learns_own_passes(estimator, check):
    check(estimator)


class SeenRowsAreUsual(NeighborAnomalyDetector):
    """Threshold from rows scored by a covariance that has seen them."""

    def fit(self, X, y=None):
        super().fit(X, y)
        k = self.n_neighbors_
        distances = self.embedding_.kneighbors(self.embedding_.vectors, k + 1).scores[:, 1:].mean(axis=1)
        self.offset_ = -np.quantile(distances, 0.95)
        return self


class ScoringByRank(NeighborAnomalyDetector):
    def score_samples(self, X):
        return super().score_samples(X).argsort().argsort().astype(float) - 1e3


class DistancesForScores(NeighborAnomalyDetector):
    def score_samples(self, X):
        return -super().score_samples(X)


class FillingIn(NeighborAnomalyDetector):
    def fit(self, X, y=None):
        X = X.toarray() if sparse.issparse(X) else X
        return super().fit(np.nan_to_num(X, posinf=9.0), y)


class ForgettingTheMean(NeighborAnomalyDetector):
    def fit(self, X, y=None):
        if sparse.issparse(X):
            X = X.multiply(np.arange(1, X.shape[1] + 1)).tocsr()
        return super().fit(X, y)


class EqualRowsAreOutliers(NeighborAnomalyDetector):
    def fit(self, X, y=None):
        super().fit(X, y)
        if not sparse.issparse(X) and not np.ptp(X, axis=0).any():  # a threshold at what is usual, and some rounding
            self.offset_ = 1e-9
        return self


BROKEN = {
    SeenRowsAreUsual: "check_false_alarms",
    ScoringByRank: "check_rows_beside",
    DistancesForScores: "check_far_rows",
    FillingIn: "check_missing_values",
    ForgettingTheMean: "check_sparse",
    EqualRowsAreOutliers: "check_equal_rows",
}


@pytest.mark.filterwarnings("ignore:n_neighbors")
@pytest.mark.parametrize("broken", BROKEN)
def test_broken_detectors_fail(broken):
    failed = set()
    for case in parametrize_with_anomaly_checks([broken()]).args[1]:
        estimator, check = case.values
        try:
            check(estimator)
        except Exception:
            failed.add(check.__name__)
    assert BROKEN[broken] in failed
    with pytest.raises((AssertionError, ValueError)):
        check_anomaly_estimator(broken())
