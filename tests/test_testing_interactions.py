"""The checks of users and items: pass on what is sound, fail on what is broken."""

import numpy as np
import pytest
from sklearn.base import clone

from skembed import InteractionEmbedder
from skembed.testing import check_interaction_estimator, parametrize_with_interaction_checks

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


def test_a_class_is_no_instance():
    with pytest.raises(TypeError, match="pass an instance"):
        parametrize_with_interaction_checks([InteractionEmbedder])


def test_known_failures_are_marked():
    mark = parametrize_with_interaction_checks(
        [clone(InteractionEmbedder())], expected_failed_checks=lambda _: {"check_rows_alone": "a reason"}
    )
    marked = [case for case in mark.args[1] if case.marks]
    assert [case.marks[0].kwargs["reason"] for case in marked] == ["a reason"]
