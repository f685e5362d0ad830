"""The anomaly checks: pass on sound detectors, fail on broken ones."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.neighbors import LocalOutlierFactor

from skembed import NeighborAnomalyDetector
from skembed.testing import check_anomaly_estimator, parametrize_with_anomaly_checks
from skembed.testing._anomaly_checks import checks_for


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


class NotFiniteBeside(NeighborAnomalyDetector):
    """Divides by spreads that may be none."""

    def fit(self, X, y=None):
        self.spreads = np.ptp(X.toarray() if sparse.issparse(X) else X, axis=0)
        return super().fit(X, y)

    def score_samples(self, X):
        return super().score_samples(X) if self.spreads.all() else np.full(X.shape[0], np.nan)


class NotFiniteOfFew(NeighborAnomalyDetector):
    def score_samples(self, X):
        return super().score_samples(X) * (1 if len(self.embedding_) > 3 else np.nan)


class TakingOneRow(NeighborAnomalyDetector):
    def fit(self, X, y=None):
        return super().fit(X, y) if X.shape[0] > 1 else self


class Vague(NeighborAnomalyDetector):
    def fit(self, X, y=None):
        try:
            return super().fit(X, y)
        except ValueError as error:
            raise ValueError("there is something wrong") from error


class NothingIsUnusual(NeighborAnomalyDetector):
    def predict(self, X):
        return np.abs(super().predict(X))


class LosingInPickle(NeighborAnomalyDetector):
    scale = 2.0

    def __setstate__(self, state):
        super().__setstate__(state)
        self.scale = 1.0

    def score_samples(self, X):
        return super().score_samples(X) * self.scale


class FarthestFirst(NeighborAnomalyDetector):
    def explain(self, X, n_rows=3):
        return [pairs[::-1] for pairs in super().explain(X, n_rows)]


@pytest.mark.filterwarnings("ignore:n_neighbors")
@pytest.mark.parametrize(
    ("broken", "check", "message"),
    [
        (NothingIsUnusual, "check_far_rows", "are not predicted to be outliers"),
        (DistancesForScores, "check_far_rows", "do not score below usual ones|not predicted to be outliers"),
        (SeenRowsAreUsual, "check_false_alarms", "of new usual rows are outliers after fit on"),
        (ScoringByRank, "check_rows_beside", "a score depends on the rows beside"),
        (ForgettingTheMean, "check_sparse", "differs from an array"),
        (NotFiniteBeside, "check_equal_rows", "constant columns or equal rows give scores that are not finite"),
        (EqualRowsAreOutliers, "check_equal_rows", "of equal rows one is an outlier"),
        (NotFiniteOfFew, "check_few_rows", "2 rows give scores that are not finite"),
        (TakingOneRow, "check_few_rows", "fit takes a single row"),
        (FillingIn, "check_missing_values", "fit takes NaN"),
        (Vague, "check_missing_values", "does not say NaN: there is something wrong"),
        (LosingInPickle, "check_pickle", "the pickled detector differs"),
        (FarthestFirst, "check_explanations", "row 0 of fit is explained by"),
    ],
)
def test_each_check_says_what_is_broken(broken, check, message):
    (one,) = (one for one in checks_for(broken()) if one.__name__ == check)
    with pytest.raises(AssertionError, match=message):
        one(broken())
