"""What the checks of sequences say of an estimator that is broken in one place."""

from itertools import count

import numpy as np
import pytest
from broken import changed
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from skembed.testing import check_sequence_estimator
from skembed.testing._sequence_checks import checks_for

NUMBERS = count(1)


class Places(BaseEstimator):
    """A sound one that learns in no time: of each key the mean place of its events; what comes next is what came."""

    def __init__(self, scale=1.0, n_jobs=None):
        self.scale, self.n_jobs = scale, n_jobs

    def fit(self, X, y=None):
        self.keys_ = list(dict.fromkeys(event for row in self._rows(X) for event in row))
        return self

    def transform(self, X):
        check_is_fitted(self)
        rows = self._rows(X)
        found = np.zeros((len(rows), len(self.keys_) + 1))
        for i, row in enumerate(rows):
            for place, event in enumerate(row):
                j = self.keys_.index(event) if event in self.keys_ else len(self.keys_)
                found[i, j] += self.scale * (place + 1) / len(row)
        return found

    def predict_next(self, X, k=1):
        rows = self._rows(X)
        shares = np.array([[(1 + row.count(key)) for key in self.keys_] for row in rows], dtype=float)
        shares /= shares.sum(axis=1, keepdims=True)
        best = np.argsort(-shares, axis=1, kind="stable")[:, :k]
        keys = np.empty(best.shape, dtype=object)
        keys[:] = [[self.keys_[j] for j in row] for row in best]
        return keys, np.take_along_axis(shares, best, axis=1)

    def _rows(self, X):
        if isinstance(X, str) or any(isinstance(row, str) for row in X):
            raise TypeError("a string")
        return [list(row) for row in X]


def fit_first(then):
    return changed(Places, "fit", lambda fit, self, X, y=None: [fit(self, X), then(self, X)][0])


def scaled_fit(scale):
    return changed(Places, "fit", lambda fit, self, X, y=None: fit(self.set_params(scale=float(scale(self, X))), X))


def rows_that(change):
    return changed(Places, "transform", lambda transform, self, X: change(transform(self, X), X, self))


def predictions_that(change):
    return changed(Places, "predict_next", lambda plain, self, X, k=1: change(*plain(self, X, k), X, k))


def remembering(rows, X, self):
    self.n_ = getattr(self, "n_", 0) + (len(X) == 1)
    return rows + self.n_ * (len(X) > 1)


class ForgetsInAPickle(Places):
    def __getstate__(self):
        return super().__getstate__() | {"scale": 2.0}


EACH = {
    "one_row_a_sequence": [
        (rows_that(lambda rows, X, self: rows[1:]), r"80 sequences gave \(79, 6\), expected a finite row for each"),
        (rows_that(lambda rows, X, self: rows[:, 0]), r"80 sequences gave \(80,\), expected a finite row"),
        (rows_that(lambda rows, X, self: rows + (np.inf if len(X) == 1 else 0)), "transform of 1 sequences gave"),
    ],
    "padding": [
        (rows_that(lambda rows, X, self: rows + max(map(len, X)) // 100), "a long sequence beside them changes rows"),
        (rows_that(lambda rows, X, self: rows + (len(X) == 1)), "alone sequences have other rows"),
    ],
    "order_of_rows": [
        (rows_that(lambda rows, X, self: rows + np.arange(len(X))[:, None]), "in another order .* have other rows"),
        (rows_that(lambda rows, X, self: rows[bool(X[0]) :]), r"other rows: shape \(79, 6\), expected \(80, 6\)"),
    ],
    "order_of_events": [(rows_that(lambda rows, X, self: rows > 0), "in another order give the same row")],
    "empty_sequences": [
        (rows_that(lambda rows, X, self: rows[[bool(row) for row in X]]), r"rows \(1, 6\), expected three finite ones"),
        (rows_that(lambda rows, X, self: rows / rows.any(axis=1, keepdims=True)), "expected three finite ones"),
        (rows_that(lambda rows, X, self: rows + np.arange(len(X))[:, None]), "two empty sequences have different"),
        (rows_that(lambda rows, X, self: rows + (len(X) == 1)), "an empty sequence alone has another row"),
    ],
    "unseen_events": [
        (rows_that(lambda rows, X, self: np.where(rows[:, -1:] > 0, np.inf, rows)), "a row that is not finite"),
        (rows_that(lambda rows, X, self: rows + ("never met" in X[0])), "events that fit did not meet give different"),
        (rows_that(remembering), "rows change after unseen events were met"),
    ],
    "containers_of_sequences": [
        (scaled_fit(lambda self, X: 1 + isinstance(X, tuple)), "tuples are learned differently from lists"),
        (scaled_fit(lambda self, X: 1 + isinstance(X, np.ndarray)), "an array of arrays are learned differently"),
        (rows_that(lambda rows, X, self: rows * (1 + isinstance(X, tuple))), "tuples give other rows than lists"),
        (rows_that(lambda rows, X, self: rows * (1 + isinstance(X, np.ndarray))), "arrays give other rows than lists"),
    ],
    "wrong_sequences": [
        (changed(Places, "fit", lambda fit, self, X, y=None: self if X == "open" else fit(self, X)),
         "fit takes 'open' for sequences; expected TypeError or ValueError"),
        (changed(Places, "transform", lambda plain, self, X: self if X is None else plain(self, X)),
         "transform takes None for sequences"),
        (changed(Places, "transform", lambda plain, self, X: None if list is type(X) and 3 in X else plain(self, X)),
         r"transform takes \[\[.* for sequences"),
    ],
    "input_is_left_alone": [
        (fit_first(lambda self, X: X.sort(key=len)), "changed the sequences that it was given"),
        (rows_that(lambda rows, X, self: [rows, X[1].clear()][0]), "changed the sequences that it was given"),
    ],
    "reproducible": [(scaled_fit(lambda self, X: next(NUMBERS)), "the same seed gives other rows")],
    "pickle": [(ForgetsInAPickle, "the pickled estimator differs")],
    "not_fitted": [(changed(Places, "transform", lambda plain, self, X: None), "transform works before fit")],
    "n_jobs": [(rows_that(lambda rows, X, self: rows * (self.n_jobs or 1)), "n_jobs=1 and n_jobs=2 differ")],
    "predictions": [
        (predictions_that(lambda keys, p, X, k: (keys[1:], p[1:])), r"gave shapes \(79, 5\) and \(79, 5\)"),
        (predictions_that(lambda keys, p, X, k: (keys, p[:, 1:])), r"gave shapes \(80, 5\) and \(80, 4\)"),
        (predictions_that(lambda keys, p, X, k: (keys[:, ::-1], p[:, ::-1])), "gives probabilities that rise"),
        (predictions_that(lambda keys, p, X, k: (keys, p / 2)), "the probabilities of all keys do not sum to 1"),
        (predictions_that(lambda keys, p, X, k: (keys[:, [0, 1, 2, 3, 3]], p)), "gives a key more than once"),
        (predictions_that(lambda keys, p, X, k: (keys[:, ::-1] if k == 2 else keys, p)), "not the first two of all"),
        (predictions_that(lambda keys, p, X, k: (keys, p * (1 + (k == 2)))), "the best two keys differ"),
    ],
    "predictions_alone": [
        (predictions_that(lambda keys, p, X, k: (keys, p + np.arange(len(X))[:, None])), "in another order sequences"),
        (predictions_that(lambda keys, p, X, k: (keys, p + (len(X) == 1))), "alone sequences have other predictions"),
    ],
}  # fmt: skip


def test_the_one_that_the_broken_ones_break_is_sound():
    check_sequence_estimator(Places())


@pytest.mark.parametrize(
    ("check", "broken", "message"), [(check, *case) for check, cases in EACH.items() for case in cases]
)
def test_each_check_says_what_is_broken(check, broken, message):
    (one,) = (one for one in checks_for(Places()) if one.__name__ == f"check_{check}")
    with np.errstate(all="ignore"), pytest.raises(AssertionError, match=message):
        one(broken())


def test_there_is_a_broken_one_for_each_check():
    assert {one.__name__ for one in checks_for(Places())} == {f"check_{check}" for check in EACH}
