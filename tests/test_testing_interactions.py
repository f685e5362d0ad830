"""The checks of users and items: pass on what is sound, fail on what is broken."""

import numpy as np
import pytest
from sklearn.base import clone

from skembed import InteractionEmbedder
from skembed.testing import check_interaction_estimator, parametrize_with_interaction_checks
from skembed.testing._interaction_checks import checks_for

METHODS = ["ease", "ials", "item2vec"]


@parametrize_with_interaction_checks([InteractionEmbedder(4, method=method) for method in METHODS])
def test_sound_estimators_pass(estimator, check):
    check(estimator)


class CentredByBatch(InteractionEmbedder):
    def transform(self, X):
        rows = super().transform(X)
        return rows - rows.mean(axis=0)


class TellingWhatTheyHave(InteractionEmbedder):
    def recommend(self, X, k=10, *, exclude_seen=True, among=None):
        return super().recommend(X, k, exclude_seen=False, among=among)


class Clipping(InteractionEmbedder):
    def fit(self, X, y=None):
        return super().fit(_clipped(X), y)

    def transform(self, X):
        return super().transform(_clipped(X))


def _clipped(X):
    if isinstance(X, list):
        return X
    if isinstance(X, np.ndarray):
        return np.nan_to_num(np.maximum(X, 0))
    X = X.copy()
    X.data = np.nan_to_num(np.maximum(X.data, 0))
    return X


class IdsAsText(InteractionEmbedder):
    def recommend(self, X, k=10, *, exclude_seen=True, among=None):
        keys, scores = super().recommend(X, k, exclude_seen=exclude_seen, among=among)
        return keys.astype(str), scores


class FirstItemsFirst(InteractionEmbedder):
    def transform(self, X):
        rows = super().transform(X)
        return rows if not isinstance(X, list) else rows + np.array([[len(str(row[:1]))] for row in X])


class CountingUnknownItems(InteractionEmbedder):
    def transform(self, X):
        rows = super().transform(X)
        return rows + self.n_unknown(X)[:, None]

    def n_unknown(self, X):
        known = set(self.embedding_.keys)
        return np.array([len(set(row) - known) for row in X]) if isinstance(X, list) else np.zeros(X.shape[0])


class RememberingUnknownItems(CountingUnknownItems):
    def transform(self, X):
        rows = InteractionEmbedder.transform(self, X) + getattr(self, "n_met", 0)
        self.n_met = getattr(self, "n_met", 0) + self.n_unknown(X).sum()
        return rows


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (CentredByBatch, "alone users have other rows"),
        (TellingWhatTheyHave, "expected other known items"),
        (Clipping, "took the value -1.0"),
        (IdsAsText, "known items|items came back as"),
        (FirstItemsFirst, "the order within a basket"),
        (CountingUnknownItems, "unknown items change rows"),
        (RememberingUnknownItems, "rows change after unknown items were met"),
    ],
)
def test_broken_estimators_fail(broken, message):
    with pytest.raises(AssertionError, match=message):
        check_interaction_estimator(broken(4, method="svd"))


class NotFinite(InteractionEmbedder):
    def transform(self, X):
        rows = super().transform(X)
        rows[2:3] *= np.nan if len(rows) == 3 else 1
        return rows


class ByPlace(InteractionEmbedder):
    def transform(self, X):
        rows = super().transform(X)
        return rows + np.linspace(0, 1, len(rows) + 1)[:-1, None]


class SortingLists(InteractionEmbedder):
    def fit(self, X, y=None):
        if isinstance(X, list):
            X[3].reverse()
        return super().fit(X, y)


class SortingMatrices(InteractionEmbedder):
    def transform(self, X):
        if not isinstance(X, list) and hasattr(X, "sort_indices"):
            X.sort_indices()
        return super().transform(X)


class CountingZeros(InteractionEmbedder):
    def fit(self, X, y=None):
        if hasattr(X, "tocoo") and X.format == "coo":
            X = X.copy()
            X.data = X.data**2
        return super().fit(X, y)


class LearningFromNothing(InteractionEmbedder):
    def fit(self, X, y=None):
        return super().fit(X, y) if not isinstance(X, list) or any(X) else self


class WithoutFit(InteractionEmbedder):
    def transform(self, X):
        return super().transform(X) if hasattr(self, "embedding_") else np.zeros((len(X), 1))


class Remembering(InteractionEmbedder):
    def fit(self, X, y=None):
        n_fits = getattr(self, "n_fits", 0)
        super().fit(X, y)
        self.n_fits = n_fits + 1
        return self

    def transform(self, X):
        return super().transform(X) * getattr(self, "n_fits", 1)


class LosingInPickle(InteractionEmbedder):
    scale = 2.0

    def __setstate__(self, state):
        super().__setstate__(state)
        self.scale = 1.0

    def transform(self, X):
        return super().transform(X) * self.scale


class ByJobs(InteractionEmbedder):
    def transform(self, X):
        return super().transform(X) * (self.n_jobs or 1)


class WorstFirst(InteractionEmbedder):
    def recommend(self, X, k=10, *, exclude_seen=True, among=None):
        keys, scores = super().recommend(X, k, exclude_seen=exclude_seen, among=among)
        return keys[:, ::-1], scores[:, ::-1]


class ScoresByUser(InteractionEmbedder):
    def recommend(self, X, k=10, *, exclude_seen=True, among=None):
        keys, scores = super().recommend(X, k, exclude_seen=exclude_seen, among=among)
        return keys, scores + len(X)


class KeysByUser(InteractionEmbedder):
    def recommend(self, X, k=10, *, exclude_seen=True, among=None):
        keys, scores = super().recommend(X, k, exclude_seen=exclude_seen, among=among)
        return keys[:, ::-1] if len(X) > 1 else keys, scores


class FirstItemOnly(InteractionEmbedder):
    def recommend(self, X, k=10, *, exclude_seen=True, among=None):
        keys, scores = super().recommend(X, k, exclude_seen=exclude_seen, among=among)
        keys[:, 1:] = keys[:, :1]
        return keys, scores


class LosingItems(InteractionEmbedder):
    def recommend(self, X, k=10, *, exclude_seen=True, among=None):
        keys, scores = super().recommend(X, k, exclude_seen=exclude_seen, among=among)
        return keys[:, :9], scores[:, :9]


class FloatIds(InteractionEmbedder):
    def recommend(self, X, k=10, *, exclude_seen=True, among=None):
        keys, scores = super().recommend(X, k, exclude_seen=exclude_seen, among=among)
        for row in keys:
            row[:] = [float(key) if isinstance(key, int) else key for key in row]
        return keys, scores


class TwoRows(InteractionEmbedder):
    def transform(self, X):
        return super().transform(X)[:, : 2 if len(X) == 1 else None]


@pytest.mark.parametrize(
    ("broken", "check", "message"),
    [
        (NotFinite, "check_one_row_a_user", "transform of 3 users gave .* expected a finite row for each"),
        (ByPlace, "check_rows_alone", "in another order users have other rows"),
        (TwoRows, "check_rows_alone", "alone users have other rows: shape"),
        (SortingLists, "check_input_is_left_alone", "changed the lists"),
        (SortingMatrices, "check_input_is_left_alone", "changed the matrix"),
        (CountingZeros, "check_containers_of_matrices", "coo_matrix gives other rows"),
        (LearningFromNothing, "check_nothing_to_learn_from", "fit took baskets without an item"),
        (WithoutFit, "check_not_fitted", "transform before fit did not raise NotFittedError"),
        (Remembering, "check_fit_again", "an earlier fit is remembered"),
        (LosingInPickle, "check_pickle_of_users", "a pickle gives other rows"),
        (ByJobs, "check_n_jobs", "n_jobs=2 gives other rows"),
        (WorstFirst, "check_recommendations", "rise; expected the best first"),
        (FirstItemOnly, "check_recommendations", "expected other known items, once"),
        (ScoresByUser, "check_recommendations_alone", "alone a user gets other scores"),
        (LosingItems, "check_ids_are_kept", r"items came back as \[.*\], expected those of the baskets\."),
        (FloatIds, "check_ids_are_kept", r"items came back as .*'102\.0', .*, expected those of the baskets\."),
        (KeysByUser, "check_recommendations_alone", "alone a user gets .* among others"),
    ],
)
def test_each_check_says_what_is_broken(broken, check, message):
    estimator = broken(4, method="svd")
    (one,) = (one for one in checks_for(estimator) if one.__name__ == check)
    one(InteractionEmbedder(4, method="svd"))
    with pytest.raises(AssertionError, match=message):
        one(estimator)


def test_a_class_is_no_instance():
    with pytest.raises(TypeError, match="pass an instance"):
        parametrize_with_interaction_checks([InteractionEmbedder])


def test_known_failures_are_marked():
    mark = parametrize_with_interaction_checks(
        [clone(InteractionEmbedder())], expected_failed_checks=lambda _: {"check_rows_alone": "a reason"}
    )
    marked = [case for case in mark.args[1] if case.marks]
    assert [case.marks[0].kwargs["reason"] for case in marked] == ["a reason"]
