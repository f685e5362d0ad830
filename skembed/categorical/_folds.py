"""Folds that hold out every row once."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.model_selection import KFold, StratifiedKFold, TimeSeriesSplit, check_cv
from sklearn.utils import check_consistent_length, column_or_1d

__all__ = ["are_random", "is_number_of_folds", "last_folds", "make_folds", "n_folds_at_least", "training_rows"]

DEFAULT_FOLDS = 5


def make_folds(
    cv: Any, y: np.ndarray, rows: np.ndarray, groups: Any, *, stratify: bool, rng: np.random.RandomState
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return (train, test) among the rows that count, the tests disjoint and together all of them.

    Parameters
    ----------
    cv : int, splitter or iterable of splits, or None for 5 folds
        A number of folds is shuffled, and stratified by class where `stratify` and the classes are large enough.
        TimeSeriesSplit holds rows out from what comes later; the rows before its first test are held out among
        themselves, in 5 folds.
    y : ndarray of shape (n_samples, n_outputs)
    rows : ndarray of int
        The rows that count. A number of folds is laid over them; a splitter or an iterable speaks of all rows.
    groups : array-like of shape (n_samples,) or None
    stratify : bool
    rng : numpy.random.RandomState

    Returns
    -------
    list of (ndarray, ndarray)
        Positions in `rows`.

    Raises
    ------
    ValueError
        If the splitter leaves out a row or holds one out twice, or a fold would leave nothing to learn from.
    """
    cv = DEFAULT_FOLDS if cv is None else cv
    check_consistent_length(y, groups)
    seed = int(rng.randint(2**31 - 1))
    if is_number_of_folds(cv):
        n_folds = min(int(cv), len(rows))
        splitter: Any = KFold(n_folds, shuffle=True, random_state=seed)
        if stratify:
            _, sizes = np.unique(y[rows, 0], return_counts=True)
            if sizes.min() >= n_folds:
                splitter = StratifiedKFold(n_folds, shuffle=True, random_state=seed)
        # groups have no say here, and scikit-learn warns of it
        kept_groups = None if groups is None else column_or_1d(groups)[rows]
        folds = list(splitter.split(np.zeros((len(rows), 1)), y[rows, 0], kept_groups))
    else:
        splits = _splits(cv, y, groups)
        if isinstance(cv, TimeSeriesSplit):
            splits = _with_beginning(splits, seed)
        folds = _among(splits, rows, len(y), cv)
    if any(len(train) == 0 for train, _ in folds):
        raise ValueError(
            f"cv={_short(cv)} leaves no rows to learn from in one of its folds; use fewer folds or more rows."
        )
    return folds


def n_folds_at_least(cv: Any, rows: np.ndarray, n_samples: int, groups: Any) -> int:
    """Return how many folds `make_folds` will return at least; parameters are as there."""
    if is_number_of_folds(cv):
        return min(DEFAULT_FOLDS if cv is None else int(cv), len(rows))
    if hasattr(cv, "get_n_splits"):
        return cv.get_n_splits(np.empty((n_samples, 0)), None, groups)
    return len(cv) if hasattr(cv, "__len__") and getattr(cv, "shape", None) != () else 1


def is_number_of_folds(cv: Any) -> bool:
    """Whether `cv` says how many folds there are, at most, and not which: None stands for `DEFAULT_FOLDS`."""
    return cv is None or isinstance(cv, (int, np.integer))


def are_random(cv: Any) -> bool:
    """Whether `cv` holds out rows without regard to groups or to their order in time."""
    return is_number_of_folds(cv) or isinstance(cv, (KFold, StratifiedKFold))


def training_rows(folds: Sequence[tuple[np.ndarray, np.ndarray]], n_rows: int) -> np.ndarray:
    """Return which rows each fold learns from, (n_rows, n_folds), uint8."""
    include = np.zeros((n_rows, len(folds)), dtype=np.uint8)
    for k, (train, _) in enumerate(folds):
        include[train, k] = 1
    return include


def last_folds(folds: list[tuple[np.ndarray, np.ndarray]], fraction: float) -> np.ndarray:
    """Return the test rows of the last folds, sorted: as many folds as hold a fraction of all rows, but never all.

    A fold of more than half of the rows, as of one large group, is passed over: little would be left to learn from.
    """
    n_rows = sum(len(test) for _, test in folds)
    tests = [test for _, test in folds if 2 * len(test) <= n_rows]
    most = min(len(tests), len(folds) - 1)
    n_folds = 1
    while n_folds < most and sum(map(len, tests[-n_folds:])) < round(fraction * n_rows):
        n_folds += 1
    return np.sort(np.concatenate(tests[-n_folds:]))


def _splits(cv: Any, y: np.ndarray, groups: Any) -> list[tuple[Any, Any]]:
    """Return what a splitter or an iterable gives; ValueError that names `cv` where it gives no pairs."""
    # what a splitter finds amiss in y or in groups is its own to say
    no_pairs = (TypeError,) if hasattr(cv, "split") else (TypeError, ValueError)
    try:
        return list(check_cv(cv).split(np.zeros((len(y), 1)), y[:, 0], groups))
    except no_pairs as error:
        raise ValueError(_no_splits(cv, len(y), error)) from error


def _no_splits(cv: Any, n_samples: int, error: Exception) -> str:
    return (
        f"cv={_short(cv)} does not give splits of {n_samples} rows ({error}); expected pairs "
        "(train, test) of arrays of row numbers, a splitter, a number of folds, or None."
    )


def _with_beginning(splits: list[tuple[np.ndarray, np.ndarray]], seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Add folds for the rows before the first test, among themselves."""
    first = np.arange(splits[0][1][0])
    n_folds = min(DEFAULT_FOLDS, len(first))
    if n_folds < 2:
        return splits
    return [*KFold(n_folds, shuffle=True, random_state=seed).split(first), *splits]


def _among(splits: Any, rows: np.ndarray, n_samples: int, cv: Any) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return splits of all rows as splits of `rows`, having checked that each row is held out once."""
    times = np.zeros(n_samples, dtype=int)
    try:
        splits = [(np.asarray(train), np.asarray(test)) for train, test in splits]
        for _, test in splits:
            np.add.at(times, test, 1)
    except (TypeError, IndexError) as error:
        raise ValueError(_no_splits(cv, n_samples, error)) from error
    if (times != 1).any():
        row = int(np.flatnonzero(times != 1)[0])
        raise ValueError(
            f"cv={_short(cv)} holds row {row} out {times[row]} times; expected a splitter that holds every row out "
            "exactly once, such as KFold or GroupKFold, or for rows in the order of time TimeSeriesSplit."
        )
    position = np.full(n_samples, -1)
    position[rows] = np.arange(len(rows))
    mapped = [(position[train], position[test]) for train, test in splits]
    return [(train[train >= 0], test[test >= 0]) for train, test in mapped]


def _short(cv: Any) -> str:
    """Return the beginning of what `cv` looks like: a list of splits holds every row number."""
    text = repr(cv)
    return text if len(text) <= 100 else f"{text[:100]}..."
