"""The pair checks: pass on sound embedders, fail on broken ones."""

import numpy as np
import pytest
from sklearn.cross_decomposition import PLSCanonical

from skembed import CCAEmbedder
from skembed.testing import check_pair_estimator, parametrize_with_pair_checks
from skembed.testing._pair_checks import checks_for


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


class FillingInY(CCAEmbedder):
    def fit(self, X, y):
        return super().fit(X, np.nan_to_num(y) if isinstance(y, np.ndarray) else y)


class InfinityOfY(CCAEmbedder):
    def transform(self, X, y=None):
        return super().transform(X, None if y is None else np.where(np.isinf(y), 0, y))


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


class OneSide(CCAEmbedder):
    def transform(self, X, y=None):
        found = super().transform(X, y)
        return found if y is None else found[0]


class CuttingNewSides(CCAEmbedder):
    def transform(self, X, y=None):
        n = X.shape[0] if y is None else min(X.shape[0], y.shape[0])
        return super().transform(X[:n], None if y is None else y[:n])


class ByPartner(CCAEmbedder):
    def transform(self, X, y=None):
        found = super().transform(X, y)
        return found if y is None else tuple(side * 2 for side in found)


class OneColumnLess(CCAEmbedder):
    def transform(self, X, y=None):
        found = super().transform(X, y)
        return found[:, 1:] if y is None else found


class NotFiniteOfFew(CCAEmbedder):
    def fit(self, X, y):
        super().fit(X, y)
        if X.shape[0] == 3:
            self.x_rotations_ = self.x_rotations_ * np.nan
        return self


class NotFiniteOfConstants(CCAEmbedder):
    def fit(self, X, y):
        super().fit(X, y)
        if not np.ptp(np.asarray(y), axis=0).all():
            self.y_rotations_ = self.y_rotations_ * np.inf
        return self


class OneNumberNotFinite(CCAEmbedder):
    side = 0

    def transform(self, X, y=None):
        found = super().transform(X, y)
        if y is not None:
            found[self.side][0, 0] = np.nan
        return found


class OneNumberOfTheOtherSideNotFinite(OneNumberNotFinite):
    side = 1


class TakingOnePair(CCAEmbedder):
    def fit(self, X, y):
        return super().fit(X, y) if X.shape[0] > 1 else self


class TakingConstantRows(CCAEmbedder):
    def fit(self, X, y):
        return self if isinstance(X, np.ndarray) and not np.ptp(X, axis=0).any() else super().fit(X, y)


class Vague(CCAEmbedder):
    def fit(self, X, y):
        try:
            return super().fit(X, y)
        except ValueError as error:
            raise ValueError("there is something wrong") from error


class TakingNoSide(CCAEmbedder):
    def fit(self, X, y):
        return self if y is None else super().fit(X, y)


class TakingFewerColumns(CCAEmbedder):
    def transform(self, X, y=None):
        if y is not None and y.shape[1] < len(self.y_mean_):
            y = np.hstack([y, np.zeros((len(y), len(self.y_mean_) - y.shape[1]))])
        return super().transform(X, y)


class BySparsity(CCAEmbedder):
    def transform(self, X, y=None):
        found = super().transform(X, y)
        return tuple(side * 2 for side in found) if y is not None and not isinstance(y, np.ndarray) else found


class LosingInPickle(CCAEmbedder):
    scale = 2.0

    def __setstate__(self, state):
        super().__setstate__(state)
        self.scale = 1.0

    def transform(self, X, y=None):
        found = super().transform(X, y)
        return found if y is None else tuple(side * self.scale for side in found)


class KnowingTheNewPairs(CCAEmbedder):
    """Finds partners whatever it was taught."""

    def transform(self, X, y=None):
        return super().transform(X, y) if y is None or len(X) != 60 else (np.eye(60), np.eye(60))


@pytest.mark.parametrize(
    ("broken", "check", "message"),
    [
        (OneSide, "check_one_side_at_a_time", "does not return the vectors of both sides"),
        (CuttingNewSides, "check_one_side_at_a_time", "9 and 5 rows give vectors of shape"),
        (ByPartner, "check_one_side_at_a_time", "the vectors of X depend on whether y is given"),
        (OneColumnLess, "check_one_side_at_a_time", "depend on whether y is given: shape"),
        (PairsForgotten, "check_partners_are_found", "find their partner among 60"),
        (KnowingTheNewPairs, "check_partners_are_found", "100% of new rows find their partner after fit on shuffled"),
        (TakingOnePair, "check_too_few", "fit takes a single pair"),
        (NotFiniteOfFew, "check_too_few", "three pairs give vectors that are not finite"),
        (OneNumberNotFinite, "check_too_few", "three pairs give vectors that are not finite"),
        (OneNumberOfTheOtherSideNotFinite, "check_too_few", "three pairs give vectors that are not finite"),
        (TakingConstantRows, "check_constant", "fit takes an X whose rows are all equal"),
        (TakingConstants, "check_constant", "fit takes a y whose rows are all equal"),
        (NotFiniteOfConstants, "check_constant", "constant columns give vectors that are not finite"),
        (OneNumberNotFinite, "check_constant", "constant columns give vectors that are not finite"),
        (OneNumberOfTheOtherSideNotFinite, "check_constant", "constant columns give vectors that are not finite"),
        (CuttingToTheShorter, "check_rows_that_do_not_match", "fit takes sides of different lengths"),
        (TakingNoSide, "check_rows_that_do_not_match", "fit takes no y"),
        (TakingFewerColumns, "check_rows_that_do_not_match", "transform takes a y of fewer columns"),
        (FillingIn, "check_missing_values", "fit takes NaN"),
        (FillingInY, "check_missing_values", "fit takes NaN"),
        (InfinityOfY, "check_missing_values", "transform takes infinit"),
        (Vague, "check_missing_values", "does not say NaN: there is something wrong"),
        (BySparsity, "check_sparse", "differs from an array"),
        (UnorderedDimensions, "check_first_dimensions", "the first two of six dimensions are not"),
        (LosingInPickle, "check_pickle", "the pickled embedder differs"),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value")
def test_each_check_says_what_is_broken(broken, check, message):
    (one,) = (one for one in checks_for(broken()) if one.__name__ == check)
    with pytest.raises(AssertionError, match=message):
        one(broken())
