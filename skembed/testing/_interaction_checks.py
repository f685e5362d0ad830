"""Checks of estimators of users and items, each a function of an estimator that raises where it fails."""

import pickle
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.exceptions import NotFittedError

from skembed.testing._assertions import assert_raises, assert_same, dense, seeded

__all__ = ["baskets", "checks_for"]


def checks_for(estimator: Any) -> Iterator[Callable]:
    """Yield the checks that apply to an estimator."""
    yield from _CHECKS
    if hasattr(estimator, "recommend"):
        yield from _OF_RECOMMENDATIONS
    if "n_jobs" in estimator.get_params():
        yield check_n_jobs


def baskets(n: int = 160) -> list[list[Any]]:
    """Made-up baskets of two to six items of two kinds; ids are strings, numbers and a missing one."""
    rng = np.random.default_rng(0)
    items = [*(f"item {i}" for i in range(8)), *range(100, 106), 2.5, None]
    kinds = np.arange(len(items)) % 2
    found = []
    for row in range(n):
        weights = np.where(kinds == row % 2, 5.0, 1.0) / (1 + np.arange(len(items)) // 4)
        chosen = rng.choice(len(items), rng.integers(2, 7), replace=False, p=weights / weights.sum())
        found.append([items[i] for i in chosen])
    return found


def _fitted(estimator: Any) -> tuple[Any, list[list[Any]]]:
    X = baskets()
    return seeded(estimator).fit(X), X


def check_one_row_a_user(estimator: Any) -> None:
    """`transform` gives finite rows, one a user, of fit's users and of others, also of those with nothing known."""
    fitted, X = _fitted(estimator)
    for users in (X, X[:1], [["item 0", "no such item"], ["no such item"], []]):
        rows = dense(fitted.transform(users))
        if rows.ndim != 2 or len(rows) != len(users) or not np.isfinite(rows).all():
            raise AssertionError(f"transform of {len(users)} users gave {rows.shape}, expected a finite row for each.")


def check_rows_alone(estimator: Any) -> None:
    """A user's row depends on nothing but their own basket: not on the other users, nor on their order."""
    fitted, X = _fitted(estimator)
    whole = dense(fitted.transform(X))
    assert_same(fitted.transform(X[::-1]), whole[::-1], "in another order users have other rows")
    assert_same(
        np.vstack([dense(fitted.transform([row])) for row in X[:10]]), whole[:10], "alone users have other rows"
    )


def check_order_in_baskets(estimator: Any) -> None:
    """Items have no order."""
    fitted, X = _fitted(estimator)
    assert_same(
        fitted.transform([row[::-1] for row in X]), fitted.transform(X), "rows depend on the order within a basket"
    )


def check_unknown_items(estimator: Any) -> None:
    """Items that `fit` did not meet are left out, and are not remembered."""
    fitted, X = _fitted(estimator)
    before = dense(fitted.transform(X))
    assert_same(fitted.transform([[*row, ("new", i)] for i, row in enumerate(X)]), before, "unknown items change rows")
    assert_same(fitted.transform(X), before, "rows change after unknown items were met")


def check_input_is_left_alone(estimator: Any) -> None:
    """Neither lists nor matrices are changed."""
    X = baskets()
    copy = [list(row) for row in X]
    seeded(estimator).fit(X).transform(X)
    if copy != X:
        raise AssertionError("fit or transform changed the lists that it was given.")
    matrix = _matrix()
    parts = [part.copy() for part in (matrix.data, matrix.indices, matrix.indptr)]
    seeded(estimator).fit(matrix).transform(matrix)
    if not all(map(np.array_equal, parts, (matrix.data, matrix.indices, matrix.indptr))):
        raise AssertionError("fit or transform changed the matrix that it was given.")


def _matrix() -> sparse.csr_matrix:
    """Return users and items, with an explicit zero and entries that are not sorted."""
    X: Any = sparse.random(60, 20, 0.3, "csr", random_state=0)
    X.data = np.ceil(5 * X.data)
    X.data[3] = 0.0
    ends = X.indptr[1], X.indptr[2]
    X.indices[slice(*ends)] = X.indices[slice(*ends)][::-1].copy()
    X.data[slice(*ends)] = X.data[slice(*ends)][::-1].copy()
    X.has_sorted_indices = False
    return X


def check_containers_of_matrices(estimator: Any) -> None:
    """Sparse matrices of any format and dense ones give the same rows."""
    X = _matrix()
    expected = seeded(estimator).fit(X).transform(X)
    for other in (X.toarray(), X.tocsc(), X.tocoo(), sparse.csr_array(X)):
        assert_same(seeded(estimator).fit(other).transform(other), expected, f"{type(other).__name__} gives other rows")


def check_wrong_values(estimator: Any) -> None:
    """Negative, infinite and missing values are refused, in `fit` and in `transform`, by ValueError."""
    fitted = seeded(estimator).fit(_matrix())
    for value in (-1.0, np.inf, np.nan):
        wrong = _matrix()
        wrong.data[5] = value
        for method in (seeded(estimator).fit, fitted.transform):
            for X in (wrong, wrong.toarray()):
                taken = f"{method.__name__} took the value {value}, expected ValueError."
                assert_raises(ValueError, method, X, message=taken)


def check_nothing_to_learn_from(estimator: Any) -> None:
    """Baskets that are all empty are refused."""
    nothing: list[Any] = [[[], []], sparse.csr_matrix((3, 4))]
    for X in nothing:
        taken = "fit took baskets without an item, expected ValueError."
        assert_raises(ValueError, seeded(estimator).fit, X, message=taken)


def check_not_fitted(estimator: Any) -> None:
    """`transform` before `fit` raises NotFittedError."""
    worked = "transform before fit did not raise NotFittedError."
    assert_raises(NotFittedError, seeded(estimator).transform, baskets(), message=worked)


def check_fit_again(estimator: Any) -> None:
    """The same seed gives the same rows, also of an estimator that was fitted to other baskets before."""
    fitted, X = _fitted(estimator)
    assert_same(seeded(estimator).fit(X[:40]).fit(X).transform(X), fitted.transform(X), "an earlier fit is remembered")


def check_pickle_of_users(estimator: Any) -> None:
    """A pickle gives the same rows."""
    fitted, X = _fitted(estimator)
    assert_same(pickle.loads(pickle.dumps(fitted)).transform(X), fitted.transform(X), "a pickle gives other rows")


def check_n_jobs(estimator: Any) -> None:
    """The number of workers changes nothing."""
    fitted, X = _fitted(estimator)
    assert_same(
        seeded(estimator).set_params(n_jobs=2).fit(X).transform(X), fitted.transform(X), "n_jobs=2 gives other rows"
    )


def check_recommendations(estimator: Any) -> None:
    """`recommend` gives known items, each once, best first, and nothing that a user has."""
    fitted, X = _fitted(estimator)
    keys, scores = fitted.recommend(X, 5)
    known = {key for row in X for key in row}
    for basket, row, values in zip(X, keys, scores):
        given = [key for key, value in zip(row, values) if np.isfinite(value)]
        if set(given) & set(basket) or len(set(given)) < len(given) or not set(given) <= known:
            raise AssertionError(f"recommended {row.tolist()} to who has {basket}: expected other known items, once.")
        if (np.diff(values[np.isfinite(values)]) > 0).any():
            raise AssertionError(f"the scores {values.tolist()} rise; expected the best first.")


def check_recommendations_alone(estimator: Any) -> None:
    """What is recommended to a user does not depend on the other users."""
    fitted, X = _fitted(estimator)
    keys, scores = fitted.recommend(X, 3)
    for user in range(5):
        own_keys, own_scores = fitted.recommend([X[user]], 3)
        assert_same(own_scores, scores[user : user + 1], "alone a user gets other scores")
        clear = np.abs(np.diff(scores[user])).min() > 1e-5 * np.abs(scores[user]).max()
        if clear and own_keys[0].tolist() != keys[user].tolist():
            raise AssertionError(f"alone a user gets {own_keys[0].tolist()}, among others {keys[user].tolist()}.")


def check_ids_are_kept(estimator: Any) -> None:
    """Ids come back as they were given: numbers as numbers, text as text, a missing one as None."""
    fitted, X = _fitted(estimator)
    keys, _ = fitted.recommend([[]], 100, exclude_seen=False)
    expected = {key for row in X for key in row}
    if set(keys[0]) != expected or {type(key) for key in keys[0]} != {type(key) for key in expected}:
        raise AssertionError(f"items came back as {sorted(map(repr, keys[0]))}, expected those of the baskets.")


_CHECKS = [
    check_one_row_a_user, check_rows_alone, check_order_in_baskets, check_unknown_items, check_input_is_left_alone,
    check_containers_of_matrices, check_wrong_values, check_nothing_to_learn_from, check_not_fitted, check_fit_again,
    check_pickle_of_users,
]  # fmt: skip
_OF_RECOMMENDATIONS = [check_recommendations, check_recommendations_alone, check_ids_are_kept]
