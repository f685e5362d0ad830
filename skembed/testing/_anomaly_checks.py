"""Checks of detectors of anomalies, each a function of a detector that raises where it fails."""

import pickle
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from scipy import sparse

from skembed.testing._assertions import assert_equal, assert_raises, seeded

__all__ = ["checks_for", "usual_rows"]

_new = partial(seeded, novelty=True)

FALSE_ALARMS = 0.2  # of new rows like those of fit: four times as many as are expected at most


def checks_for(estimator: Any) -> Iterator[Callable]:
    """Yield the checks that apply to a detector."""
    yield from _CHECKS
    if hasattr(estimator, "explain"):
        yield check_explanations


def usual_rows(n: int = 150, width: int = 6, seed: int = 0) -> np.ndarray:
    """Made-up rows around 3, whose columns go together."""
    mixing = np.random.default_rng(99).normal(size=(width, width)) / width**0.5
    return 3 + np.random.default_rng(seed).normal(size=(n, width)) @ (mixing + np.eye(width))


def check_far_rows(estimator: Any) -> None:
    """Rows far from all usual ones are outliers, and score below usual ones."""
    X = usual_rows()
    detector = _new(estimator).fit(X)
    far = usual_rows(10, seed=1) + 40 * np.random.default_rng(2).choice([-1.0, 1.0], (10, X.shape[1]))
    if not (detector.predict(far) == -1).all():
        raise AssertionError("rows that are far from all usual ones are not predicted to be outliers.")
    if not detector.score_samples(far).max() < detector.score_samples(usual_rows(50, seed=1)).min():
        raise AssertionError("rows that are far away do not score below usual ones; score_samples is to be higher.")


def check_false_alarms(estimator: Any) -> None:
    """Of new rows like those of fit few are outliers, also where rows are fewer than columns."""
    for n, width in ((150, 6), (40, 120)):
        detector = _new(estimator, contamination=0.05).fit(usual_rows(n, width))
        alarms = (detector.predict(usual_rows(200, width, seed=1)) == -1).mean()
        if alarms > FALSE_ALARMS:
            raise AssertionError(f"{alarms:.0%} of new usual rows are outliers after fit on {n} rows of {width}.")


def check_rows_beside(estimator: Any) -> None:
    """The score of a row does not depend on the rows beside it."""
    detector = _new(estimator).fit(usual_rows())
    rows = usual_rows(9, seed=1)
    one_by_one = np.concatenate([detector.score_samples(rows[i : i + 1]) for i in range(len(rows))])
    np.testing.assert_allclose(
        one_by_one, detector.score_samples(rows), rtol=1e-5, err_msg="a score depends on the rows beside"
    )


def check_sparse(estimator: Any) -> None:
    """Sparse rows score as dense ones do."""
    X, rows = usual_rows(), usual_rows(9, seed=1)
    X[X < 3] = 0
    expected = _new(estimator).fit(X).score_samples(rows)
    for container in (sparse.csr_matrix, sparse.csc_array):
        found = _new(estimator).fit(container(X)).score_samples(container(rows))
        np.testing.assert_allclose(found, expected, rtol=1e-4, err_msg=f"a {container.__name__} differs from an array")


def check_equal_rows(estimator: Any) -> None:
    """Equal rows and constant columns give finite scores, and of equal rows none is an outlier."""
    X = usual_rows()
    X[:, 2] = 7.0
    X[20:60] = X[20]
    detector = _new(estimator).fit(X)
    if not np.isfinite(detector.score_samples(usual_rows(9, seed=1))).all():
        raise AssertionError("constant columns or equal rows give scores that are not finite.")
    same = _new(estimator).fit(np.tile(X[:1], (12, 1)))
    if not (same.predict(X[:1]) == 1).all():
        raise AssertionError("of equal rows one is an outlier.")


def check_few_rows(estimator: Any) -> None:
    """Two rows and more are enough, and a single one is an error."""
    for n in (2, 3, 5):
        if not np.isfinite(_new(estimator).fit(usual_rows(n)).score_samples(usual_rows(4, seed=1))).all():
            raise AssertionError(f"{n} rows give scores that are not finite.")
    assert_raises(
        ValueError, _new(estimator).fit, usual_rows(1), message="fit takes a single row, which has no others."
    )


def check_missing_values(estimator: Any) -> None:
    """NaN and infinite values are errors that say so, in fit and in new rows."""
    for name, value in (("NaN", np.nan), ("infinit", np.inf)):
        X = usual_rows()
        X[3, 1] = value
        for container in (np.asarray, sparse.csr_matrix):
            for method in (_new(estimator).fit, _new(estimator).fit(usual_rows()).predict):
                message = assert_raises(ValueError, method, container(X), message=f"{method.__name__} takes {name}.")
                if name not in message:
                    raise AssertionError(f"the error of {method.__name__} does not say {name}: {message}")


def check_pickle(estimator: Any) -> None:
    """A fitted detector that was pickled says the same."""
    detector, rows = _new(estimator).fit(usual_rows()), usual_rows(9, seed=1)
    again = pickle.loads(pickle.dumps(detector))
    assert_equal((one.score_samples(rows) for one in (again, detector)), "the pickled detector differs")


def check_explanations(estimator: Any) -> None:
    """`explain` names usual rows, nearest first; a row of `fit` is explained by itself."""
    X = usual_rows()
    detector = _new(estimator).fit(X)
    found = detector.explain(X[:5])
    for row, pairs in enumerate(found):
        distances = [distance for _, distance in pairs]
        if distances != sorted(distances) or pairs[0][0] != row:
            raise AssertionError(f"row {row} of fit is explained by {pairs}; expected itself first, then others.")


_CHECKS = [
    check_far_rows,
    check_false_alarms,
    check_rows_beside,
    check_sparse,
    check_equal_rows,
    check_few_rows,
    check_missing_values,
    check_pickle,
]
