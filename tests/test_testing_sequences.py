"""The checks of sequences: pass on what is sound, fail on what is broken."""

import numpy as np
import pytest
from sklearn.base import clone

from skembed import SequenceEmbedder
from skembed.data.sequences import as_cells
from skembed.testing import check_sequence_estimator, parametrize_with_sequence_checks
from skembed.testing._sequence_checks import check_containers_of_sequences, checks_for

pytest.importorskip("torch")

QUICK = {"max_iter": 2, "early_stopping": False}


@parametrize_with_sequence_checks(
    [SequenceEmbedder(4, **QUICK), SequenceEmbedder(4, cell="gru", pooling="max", **QUICK)]
)
def test_sound_estimators_pass(estimator, check):
    check(estimator)


def lists(X):
    return [list(row) for row in as_cells(X)[:, 0]]


class Padding(SequenceEmbedder):
    """Pads to the longest sequence of a batch, and goes over what it has padded with."""

    def transform(self, X):
        X = lists(X)
        longest = max(map(len, X))
        return super().transform([row + ["<pad>"] * (longest - len(row)) for row in X])


class CentredByBatch(SequenceEmbedder):
    def transform(self, X):
        rows = super().transform(X)
        return rows - rows.mean(axis=0)


class ScaledByTheLongest(SequenceEmbedder):
    def transform(self, X):
        return super().transform(X) / max(map(len, lists(X)))


class ByLength(SequenceEmbedder):
    """Sorts by length for its batches, and does not sort back."""

    def transform(self, X):
        return super().transform(sorted(lists(X), key=len))


class WithPlaces(SequenceEmbedder):
    def transform(self, X):
        rows = super().transform(X)
        return rows + np.linspace(0, 1, len(rows) + 1)[:-1, None].astype(np.float32)


class FirstRowTwice(SequenceEmbedder):
    def transform(self, X):
        rows = super().transform(X)
        rows[1:2] = rows[0]
        return rows


class Bag(SequenceEmbedder):
    """A bag of events."""

    def transform(self, X):
        return super().transform([sorted(row, key=repr) for row in lists(X)])


class OnlyLengths(SequenceEmbedder):
    def transform(self, X):
        return np.array([[len(row)] for row in lists(X)], dtype=float)


class FirstEventOnly(SequenceEmbedder):
    def transform(self, X):
        return super().transform([row[1:2] for row in lists(X)])


class NoneForEmpty(SequenceEmbedder):
    def transform(self, X):
        rows = super().transform(X)
        rows[[not row for row in lists(X)]] = np.nan
        return rows


class DroppingEmpty(SequenceEmbedder):
    def transform(self, X):
        rows = super().transform(X)
        return rows[[bool(row) for row in lists(X)]]


class RefusingEmpty(SequenceEmbedder):
    def transform(self, X):
        if any(not row for row in lists(X)):
            raise ValueError("an empty sequence")
        return super().transform(X)


class RefusingUnseen(SequenceEmbedder):
    def transform(self, X):
        for row in lists(X):
            for event in row:
                if event not in self.embeddings_["x0"]:
                    raise ValueError(f"{event!r} is not known")
        return super().transform(X)


class HashingUnseen(SequenceEmbedder):
    def transform(self, X):
        rows = super().transform(X)
        known = self.embeddings_["x0"]
        shifts = [sum(len(str(event)) for event in row if event not in known) for row in lists(X)]
        return rows + np.array(shifts, dtype=np.float32)[:, None]


class RememberingUnseen(SequenceEmbedder):
    n_met = 0

    def transform(self, X):
        self.n_met += sum(event not in self.embeddings_["x0"] for row in lists(X) for event in row)
        return super().transform(X) + np.float32(self.n_met)


class MeetingTuples(SequenceEmbedder):
    """Takes what stands in a tuple for another sequence than what stands in a list."""

    def transform(self, X):
        return super().transform([row[::-1] if isinstance(row, tuple) else row for row in X])


class LearningFromArrays(SequenceEmbedder):
    def fit(self, X, y=None):
        return super().fit([row[::-1] if isinstance(row, np.ndarray) else row for row in X], y)


class TakingStrings(SequenceEmbedder):
    def fit(self, X, y=None):
        return super().fit(characters(X), y)

    def transform(self, X):
        return super().transform(characters(X))


def characters(X):
    return [list(row) if isinstance(row, str) else row for row in (X if isinstance(X, (list, tuple)) else lists(X))]


class Unnormalised(SequenceEmbedder):
    def predict_next(self, X, k=1, *, end=True):
        keys, probabilities = super().predict_next(X, k, end=end)
        return keys, probabilities / probabilities.sum(axis=1, keepdims=True) * (1 + (k < 5))


class WorstFirst(SequenceEmbedder):
    def predict_next(self, X, k=1, *, end=True):
        keys, probabilities = super().predict_next(X, k, end=end)
        return keys[:, ::-1], probabilities[:, ::-1]


class OneKey(SequenceEmbedder):
    def predict_next(self, X, k=1, *, end=True):
        keys, probabilities = super().predict_next(X, k, end=end)
        keys[:] = "open"
        return keys, probabilities


BROKEN = {
    Padding: "check_padding", CentredByBatch: "check_padding", ScaledByTheLongest: "check_padding",
    ByLength: "check_order_of_rows", WithPlaces: "check_order_of_rows", FirstRowTwice: "check_order_of_rows",
    Bag: "check_order_of_events", OnlyLengths: "check_order_of_events", FirstEventOnly: "check_order_of_events",
    NoneForEmpty: "check_empty_sequences", DroppingEmpty: "check_empty_sequences",
    RefusingEmpty: "check_empty_sequences", RefusingUnseen: "check_unseen_events",
    HashingUnseen: "check_unseen_events", RememberingUnseen: "check_unseen_events",
    TakingStrings: "check_wrong_sequences", Unnormalised: "check_predictions", WorstFirst: "check_predictions",
    OneKey: "check_predictions",
}  # fmt: skip


@pytest.mark.parametrize("broken", BROKEN)
def test_broken_estimators_fail(broken):
    estimator = broken(4, **QUICK)
    (check,) = (check for check in checks_for(estimator) if check.__name__ == BROKEN[broken])
    with pytest.raises((AssertionError, ValueError)):
        check(estimator)


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (MeetingTuples, "tuples give other rows than lists"),
        (LearningFromArrays, "an array of arrays are learned differently from lists"),
    ],
)
def test_the_message_says_which_container_and_where(broken, message):
    with pytest.raises(AssertionError, match=message):
        check_containers_of_sequences(broken(4, **QUICK))


def test_the_first_check_that_fails_is_raised():
    with pytest.raises(AssertionError, match="long sequence beside them"):
        check_sequence_estimator(clone(Padding(4, **QUICK)))


def test_expected_failures_are_marked_and_classes_refused():
    decorator = parametrize_with_sequence_checks(
        [SequenceEmbedder(4)], expected_failed_checks=lambda _: {"check_padding": "x"}
    )
    assert [case.id for case in decorator.args[1] if case.marks] == ["SequenceEmbedder(embedding_dim=4)-check_padding"]
    with pytest.raises(TypeError, match="SequenceEmbedder"):
        parametrize_with_sequence_checks([SequenceEmbedder])
