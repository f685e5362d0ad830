"""Checks of embedders of pairs, each a function of an embedder that raises where it fails."""

import pickle
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from scipy import sparse

from skembed.testing._assertions import assert_equal, assert_raises, assert_same, seeded

__all__ = ["checks_for", "pairs"]

_assert_same = partial(assert_same, rtol=1e-3, atol=1e-4)


def checks_for(estimator: Any) -> Iterator[Callable]:
    """Yield the checks that apply to an embedder."""
    yield from _CHECKS
    if "embedding_dim" in estimator.get_params():
        yield check_first_dimensions


def pairs(n: int = 240, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Made-up pairs of 12 and 9 columns with 6 things in common, columns of equal scale, and noise of their own."""
    fixed, rng = np.random.default_rng(99), np.random.default_rng(seed)
    both = rng.normal(size=(n, 6))
    sides = [
        both @ fixed.normal(size=(6, width)) + 0.3 * rng.normal(size=(n, width)) + fixed.normal(size=width)
        for width in (12, 9)
    ]
    return sides[0], sides[1]


def _both(fitted: Any, X: Any, Y: Any) -> tuple[np.ndarray, np.ndarray]:
    found = fitted.transform(X, Y)
    if not isinstance(found, tuple) or len(found) != 2:
        raise AssertionError("transform(X, Y) does not return the vectors of both sides.")
    return np.asarray(found[0]), np.asarray(found[1])


def _share_found(left: np.ndarray, right: np.ndarray) -> float:
    """How many rows have their partner as the nearest one by cosine."""
    left, right = (side / np.maximum(np.linalg.norm(side, axis=1, keepdims=True), 1e-30) for side in (left, right))
    return float(((left @ right.T).argmax(axis=1) == np.arange(len(left))).mean())


def check_partners_are_found(estimator: Any) -> None:
    """Of new pairs most rows have their partner as the nearest one, and shuffled pairs teach nothing."""
    X, Y = pairs()
    new = pairs(60, seed=1)
    share = _share_found(*_both(seeded(estimator).fit(X, Y), *new))
    if share < 0.5:
        raise AssertionError(f"{share:.0%} of new rows find their partner among 60; expected half of them and more.")
    shuffled = seeded(estimator).fit(X, Y[np.random.default_rng(3).permutation(len(Y))])
    share = _share_found(*_both(shuffled, *new))
    if share > 0.3:
        raise AssertionError(f"{share:.0%} of new rows find their partner after fit on shuffled pairs.")


def check_one_side_at_a_time(estimator: Any) -> None:
    """The vectors of a side do not depend on the other, nor on the rows beside, and sides may differ in length."""
    X, Y = pairs()
    fitted = seeded(estimator).fit(X, Y)
    left, right = _both(fitted, X[:9], Y[:5])
    if len(left) != 9 or len(right) != 5 or left.shape[1] != right.shape[1]:
        raise AssertionError(f"9 and 5 rows give vectors of shape {left.shape} and {right.shape}.")
    _assert_same(fitted.transform(X[:9]), left, "the vectors of X depend on whether y is given")
    one_by_one = np.concatenate([np.asarray(fitted.transform(X[i : i + 1])) for i in range(9)])
    _assert_same(one_by_one, left, "the vector of a row depends on the rows beside it")


def check_too_few(estimator: Any) -> None:
    """A single pair is an error; three are enough, also where columns are more."""
    X, Y = pairs()
    assert_raises(ValueError, seeded(estimator).fit, X[:1], Y[:1], message="fit takes a single pair.")
    left, right = _both(seeded(estimator).fit(X[:3], Y[:3]), X, Y)
    if not np.isfinite(left).all() or not np.isfinite(right).all():
        raise AssertionError("three pairs give vectors that are not finite.")


def check_constant(estimator: Any) -> None:
    """A side that is constant is an error; a column that is changes nothing, and has no say in new rows."""
    X, Y = pairs()
    assert_raises(
        ValueError, seeded(estimator).fit, np.ones_like(X), Y, message="fit takes an X whose rows are all equal."
    )
    assert_raises(
        ValueError, seeded(estimator).fit, X, np.ones_like(Y), message="fit takes a y whose rows are all equal."
    )
    X[:, 3], Y[:, 2] = 5.0, 0.0
    left, right = _both(seeded(estimator).fit(X, Y), X, Y)
    if not np.isfinite(left).all() or not np.isfinite(right).all():
        raise AssertionError("constant columns give vectors that are not finite.")


def check_rows_that_do_not_match(estimator: Any) -> None:
    """Sides of different lengths, of other columns than in fit, and no y at all are errors."""
    X, Y = pairs()
    assert_raises(ValueError, seeded(estimator).fit, X[:-1], Y, message="fit takes sides of different lengths.")
    assert_raises((ValueError, TypeError), seeded(estimator).fit, X, None, message="fit takes no y.")
    fitted = seeded(estimator).fit(X, Y)
    assert_raises(
        ValueError, fitted.transform, X, Y[:, :-1], message="transform takes a y of fewer columns than in fit."
    )


def check_missing_values(estimator: Any) -> None:
    """NaN and infinite values of either side are errors that say so."""
    X, Y = pairs()
    for name, value in (("NaN", np.nan), ("infinit", np.inf)):
        for side in range(2):
            sides = [X.copy(), Y.copy()]
            sides[side][4, 1] = value
            for method in (seeded(estimator).fit, seeded(estimator).fit(X, Y).transform):
                message = assert_raises(ValueError, method, *sides, message=f"{method.__name__} takes {name}.")
                if name not in message:
                    raise AssertionError(f"the error of {method.__name__} does not say {name}: {message}")


def check_sparse(estimator: Any) -> None:
    """Sparse sides are as dense ones."""
    X, Y = (np.where(side > 0, side, 0.0) for side in pairs())
    expected = _both(seeded(estimator).fit(X, Y), X[:9], Y[:9])
    for container in (sparse.csr_matrix, sparse.csc_array):
        fitted = seeded(estimator).fit(container(X), container(Y))
        found = _both(fitted, sparse.csr_matrix(X[:9]), container(Y[:9]))
        for side, other in zip(found, expected):
            _assert_same(side, other, f"a {container.__name__} differs from an array")


def check_first_dimensions(estimator: Any) -> None:
    """The first dimensions are the embedding of as many."""
    X, Y = pairs()
    whole = _both(seeded(estimator).set_params(embedding_dim=6).fit(X, Y), X, Y)
    few = _both(seeded(estimator).set_params(embedding_dim=2).fit(X, Y), X, Y)
    for side, other in zip(few, whole):
        cosines = np.abs((side * other[:, :2]).sum(axis=0))
        if not (cosines > 0.99 * np.linalg.norm(side, axis=0) * np.linalg.norm(other[:, :2], axis=0)).all():
            raise AssertionError("the first two of six dimensions are not those of an embedding of two.")


def check_pickle(estimator: Any) -> None:
    """A fitted embedder that was pickled gives the same vectors."""
    X, Y = pairs()
    fitted = seeded(estimator).fit(X, Y)
    again = pickle.loads(pickle.dumps(fitted))
    for sides in zip(_both(again, X, Y), _both(fitted, X, Y)):
        assert_equal(sides, "the pickled embedder differs")


_CHECKS = [
    check_partners_are_found,
    check_one_side_at_a_time,
    check_too_few,
    check_constant,
    check_rows_that_do_not_match,
    check_missing_values,
    check_sparse,
    check_pickle,
]
