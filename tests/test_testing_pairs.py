"""The pair checks: pass on sound embedders, fail on broken ones."""

import numpy as np
import pytest
from sklearn.cross_decomposition import PLSCanonical

from skembed import CCAEmbedder
from skembed.testing import check_pair_estimator, parametrize_with_pair_checks


@parametrize_with_pair_checks([CCAEmbedder(), CCAEmbedder(6, shrinkage=0.1)])
def test_sound_embedders_pass(estimator, check):
    check(estimator)


@pytest.mark.filterwarnings("ignore")
def test_of_scikit_learns_own_some_are_sound():
    """What a peer does not promise, its checks say: sparse sides, sides of different lengths, constant ones."""
    failed = set()
    for case in parametrize_with_pair_checks([PLSCanonical(6)]).args[1]:
        estimator, check = case.values
        try:
            check(estimator)
        except Exception:
            failed.add(check.__name__)
    assert "check_sparse" in failed
    assert not failed & {"check_partners_are_found", "check_missing_values", "check_pickle"}


class NeedingBoth(CCAEmbedder):
    def fit(self, X, y=None):
        if y is None:
            raise TypeError("fit needs y")
        return super().fit(X, y)


def test_no_y_may_be_an_error_of_the_type():
    check_pair_estimator(NeedingBoth())


class CentredByBatch(CCAEmbedder):
    def transform(self, X, y=None):
        found = super().transform(X, y)
        return tuple(side - side.mean(axis=0) for side in found) if y is not None else found - found.mean(axis=0)


class FillingIn(CCAEmbedder):
    def fit(self, X, y):
        return super().fit(np.nan_to_num(X) if isinstance(X, np.ndarray) else X, y)


class CuttingToTheShorter(CCAEmbedder):
    def fit(self, X, y):
        n = min(X.shape[0], y.shape[0])
        return super().fit(X[:n], y[:n])


class TakingConstants(CCAEmbedder):
    def fit(self, X, y):
        if isinstance(y, np.ndarray) and np.ptp(y, axis=0).max() == 0:
            y = y + np.random.default_rng(0).normal(size=y.shape)
        return super().fit(X, y)


class PairsForgotten(CCAEmbedder):
    def fit(self, X, y):
        return super().fit(X, y[::-1])


class UnorderedDimensions(CCAEmbedder):
    def fit(self, X, y):
        super().fit(X, y)
        self.x_rotations_, self.y_rotations_ = self.x_rotations_[:, ::-1], self.y_rotations_[:, ::-1]
        return self


BROKEN = {
    CentredByBatch: "check_one_side_at_a_time",
    FillingIn: "check_missing_values",
    CuttingToTheShorter: "check_rows_that_do_not_match",
    TakingConstants: "check_constant",
    PairsForgotten: "check_partners_are_found",
    UnorderedDimensions: "check_first_dimensions",
}


@pytest.mark.parametrize("broken", BROKEN)
def test_broken_embedders_fail(broken):
    failed = set()
    for case in parametrize_with_pair_checks([broken()]).args[1]:
        estimator, check = case.values
        try:
            check(estimator)
        except Exception:
            failed.add(check.__name__)
    assert BROKEN[broken] in failed
    with pytest.raises((AssertionError, ValueError)):
        check_pair_estimator(broken())
