"""Checks of embedders of sequences, each a function of an estimator that raises where it fails."""

import copy
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from sklearn.exceptions import NotFittedError

from skembed.testing._assertions import assert_equal, assert_raises, assert_same, seeded

__all__ = ["checks_for", "sequences"]


def checks_for(estimator: Any) -> Iterator[Callable]:
    """Yield the checks that apply to an estimator."""
    yield from _CHECKS
    if hasattr(estimator, "predict_next"):
        yield from _OF_PREDICTIONS
    if "n_jobs" in estimator.get_params():
        yield check_n_jobs


def sequences(n: int = 80) -> list[list[Any]]:
    """Made-up sequences of two to nine events, each of which is often followed by the same one, and an empty one."""
    rng = np.random.default_rng(0)
    events = ["open", "call", "check", 7, None]
    found: list[list[Any]] = [[]]
    for _ in range(n - 1):
        place, sequence = int(rng.integers(2)), []
        for _ in range(int(rng.integers(2, 10))):
            sequence.append(events[place])
            place = (place + 1) % len(events) if rng.random() < 0.8 else int(rng.integers(len(events)))
        found.append(sequence)
    return found


def _fitted(estimator: Any) -> tuple[Any, list[list[Any]]]:
    X = sequences()
    return seeded(estimator).fit(X), X


def check_one_row_a_sequence(estimator: Any) -> None:
    """`transform` gives finite rows, one a sequence, of `fit`'s sequences and of others."""
    fitted, X = _fitted(estimator)
    for rows in (X, X[:1], [["open"]], [["call", "no such event", None]]):
        Z = np.asarray(fitted.transform(rows))
        if Z.ndim != 2 or len(Z) != len(rows) or not np.isfinite(Z).all():
            raise AssertionError(f"transform of {len(rows)} sequences gave {Z.shape}, expected a finite row for each.")


def check_padding(estimator: Any) -> None:
    """A row does not depend on how long the sequences beside it are, or on whether there are any."""
    fitted, X = _fitted(estimator)
    Z = np.asarray(fitted.transform(X))
    assert_same(fitted.transform([*X, ["open", "call"] * 60])[: len(X)], Z, "a long sequence beside them changes rows")
    alone = np.concatenate([np.asarray(fitted.transform([row])) for row in X[:12]])
    assert_same(alone, Z[:12], "alone sequences have other rows")


def check_order_of_rows(estimator: Any) -> None:
    """Rows come in the order of the sequences, whatever their lengths."""
    fitted, X = _fitted(estimator)
    assert_same(
        fitted.transform(X[::-1]), np.asarray(fitted.transform(X))[::-1], "in another order sequences have other rows"
    )


def check_order_of_events(estimator: Any) -> None:
    """Events have an order: another one gives another row."""
    fitted, _ = _fitted(estimator)
    Z = np.asarray(fitted.transform([["open", "call", "check"], ["check", "call", "open"]]), dtype=np.float64)
    if np.allclose(Z[0], Z[1], rtol=1e-6, atol=1e-9):
        raise AssertionError("the events of a sequence in another order give the same row.")


def check_empty_sequences(estimator: Any) -> None:
    """Empty sequences are legal, in `fit` and in `transform`, and all have the same finite row."""
    fitted, _ = _fitted(estimator)
    Z = np.asarray(fitted.transform([[], ["open"], []]))
    if len(Z) != 3 or not np.isfinite(Z).all():
        raise AssertionError(f"two empty sequences and another one gave rows {Z.shape}, expected three finite ones.")
    assert_same(Z[2], Z[0], "two empty sequences have different rows")
    assert_same(fitted.transform([[]])[0], Z[0], "an empty sequence alone has another row")


def check_unseen_events(estimator: Any) -> None:
    """Events that `fit` did not meet are legal, are all one, and are not remembered."""
    fitted, X = _fitted(estimator)
    before = np.asarray(fitted.transform(X))
    one, other = (np.asarray(fitted.transform([["open", event, "call"]])) for event in ("never met", ("new", 3)))
    if not np.isfinite(one).all():
        raise AssertionError("an event that fit did not meet gives a row that is not finite.")
    assert_same(other, one, "two events that fit did not meet give different rows")
    assert_same(fitted.transform(X), before, "rows change after unseen events were met")


def check_containers_of_sequences(estimator: Any) -> None:
    """Lists, tuples and arrays in a list, a tuple or an array are the same sequences."""
    fitted, X = _fitted(estimator)
    expected = fitted.transform(X)
    column = np.empty(len(X), dtype=object)
    column[:] = [np.array([*row, None], dtype=object)[:-1] for row in X]
    for name, rows in (("tuples", tuple(map(tuple, X))), ("an array of arrays", column)):
        assert_same(fitted.transform(rows), expected, f"{name} give other rows than lists")
        assert_same(seeded(estimator).fit(rows).transform(rows), expected, f"{name} are learned differently from lists")


def check_wrong_sequences(estimator: Any) -> None:
    """A string, a number or None in place of all sequences, or a string in place of one, is an error."""
    fitted, _ = _fitted(estimator)
    for wrong in ("open", 3, None, [["open"], "open"], [["open"], 3]):
        for method in (seeded(estimator).fit, fitted.transform):
            taken = f"{method.__name__} takes {wrong!r:.60} for sequences; expected TypeError or ValueError."
            assert_raises((TypeError, ValueError), method, wrong, message=taken)


def check_input_is_left_alone(estimator: Any) -> None:
    """Neither `fit` nor `transform` changes the sequences."""
    X = sequences()
    before = copy.deepcopy(X)
    seeded(estimator).fit(X).transform(X)
    if before != X:
        raise AssertionError("fit or transform changed the sequences that it was given.")


def check_reproducible(estimator: Any) -> None:
    """The same sequences and seed give the same bits."""
    outputs = (_fitted(estimator)[0].transform(sequences()) for _ in range(2))
    assert_equal(outputs, "the same seed gives other rows")


def check_pickle(estimator: Any) -> None:
    """A fitted estimator that was pickled gives the same rows."""
    fitted, X = _fitted(estimator)
    assert_same(pickle.loads(pickle.dumps(fitted)).transform(X), fitted.transform(X), "the pickled estimator differs")


def check_not_fitted(estimator: Any) -> None:
    """`transform` before `fit` raises NotFittedError."""
    assert_raises(NotFittedError, seeded(estimator).transform, sequences(), message="transform works before fit.")


def check_n_jobs(estimator: Any) -> None:
    """The number of jobs changes no bit."""
    X = sequences()
    outputs = (seeded(estimator).set_params(n_jobs=n).fit(X).transform(X) for n in (1, 2))
    assert_equal(outputs, "n_jobs=1 and n_jobs=2 differ")


def check_predictions(estimator: Any) -> None:
    """`predict_next` gives keys and falling probabilities for each sequence, which sum to 1 with all keys."""
    fitted, X = _fitted(estimator)
    keys, probabilities = map(np.asarray, fitted.predict_next(X, 1000))
    if keys.shape != probabilities.shape or len(keys) != len(X):
        raise AssertionError(f"predict_next of {len(X)} sequences gave shapes {keys.shape} and {probabilities.shape}.")
    if (np.diff(probabilities, axis=1) > 0).any():
        raise AssertionError("predict_next gives probabilities that rise; expected the most probable key first.")
    assert_same(probabilities.sum(axis=1), np.ones(len(X)), "the probabilities of all keys do not sum to 1")
    if any(len(set(row)) < len(row) for row in keys.tolist()):
        raise AssertionError("predict_next gives a key more than once.")
    best, their = fitted.predict_next(X, 2)
    if np.asarray(best).tolist() != keys[:, :2].tolist():
        raise AssertionError("the two most probable keys are not the first two of all.")
    assert_same(their, probabilities[:, :2], "the probabilities of the best two keys differ from those among all")


def check_predictions_alone(estimator: Any) -> None:
    """What is predicted for a sequence depends on no other one."""
    fitted, X = _fitted(estimator)
    _, whole = fitted.predict_next(X, 1000)
    _, turned = fitted.predict_next(X[::-1], 1000)
    assert_same(np.asarray(turned)[::-1], whole, "in another order sequences have other predictions")
    alone = np.concatenate([np.asarray(fitted.predict_next([row], 1000)[1]) for row in X[:8]])
    assert_same(alone, np.asarray(whole)[:8], "alone sequences have other predictions")


_CHECKS = [
    check_one_row_a_sequence,
    check_padding,
    check_order_of_rows,
    check_order_of_events,
    check_empty_sequences,
    check_unseen_events,
    check_containers_of_sequences,
    check_wrong_sequences,
    check_input_is_left_alone,
    check_reproducible,
    check_pickle,
    check_not_fitted,
]
_OF_PREDICTIONS = [check_predictions, check_predictions_alone]
