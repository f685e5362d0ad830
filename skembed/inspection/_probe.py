"""Probing: how well a simple model reads a property off the vectors (Conneau et al. 2018; Hewitt & Liang 2019)."""

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import is_regressor
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_array, check_consistent_length, check_random_state, column_or_1d
from sklearn.utils.multiclass import type_of_target

from skembed.data.canonical import canonical_key
from skembed.data.columns import filled
from skembed.inspection._result import Result
from skembed.inspection._words import is_by_key, one_of, positive_int
from skembed.table import EmbeddingTable
from skembed.table.keys import key_list

__all__ = ["ProbeResult", "probe_score"]

TASKS = ("auto", "classification", "regression")


@dataclass(frozen=True, repr=False)
class ProbeResult(Result):
    """What `probe_score` found.

    Attributes
    ----------
    score, std : float
        Mean and standard deviation over the folds.
    baseline, baseline_std : float
        Mean score with shuffled labels, and its standard deviation over the shuffles.
    selectivity : float
        `score` minus `baseline`: what the probe owes to the vectors (Hewitt & Liang 2019).
    task : str
        "classification" or "regression".
    scoring : str
        What the score is.
    n_samples : int
        Vectors that were probed.
    """

    score: float
    std: float
    baseline: float
    baseline_std: float
    selectivity: float
    task: str
    scoring: str
    n_samples: int


def probe_score(
    X: Any,
    y: Any,
    *,
    estimator: Any = None,
    task: str = "auto",
    cv: Any = 5,
    groups: Any = None,
    scoring: Any = None,
    n_shuffles: int = 5,
    n_jobs: int | None = None,
    random_state: Any = None,
) -> ProbeResult:
    """Cross-validated score of a simple model that predicts a property from vectors, beside shuffled labels.

    Parameters
    ----------
    X : EmbeddingTable, or array-like or sparse matrix of shape (n_samples, embedding_dim)
    y : mapping or pandas Series (for a table), or array-like of shape (n_samples,)
        The property. For a table either one value a row, or a mapping from key to value; then only the keys in it
        are probed, and all of them must be in the table.
    estimator : estimator, default=None
        The probe. None: standardized vectors and LogisticRegression, or RidgeCV for regression.
    task : {"auto", "classification", "regression"}, default="auto"
        "auto" is that of `estimator` if given; else regression where `y` holds floats that are not all whole.
    cv : int or cross-validation splitter, default=5
        An int makes shuffled folds, stratified for classes.
    groups : array-like of shape (n_samples,), default=None
        For splitters that want them.
    scoring : str or callable, default=None
        As in ``cross_val_score``. None: "accuracy" or "r2".
    n_shuffles : int, default=5
        How often the labels are shuffled for the baseline.
    n_jobs : int, default=None
        As in ``cross_val_score``.
    random_state : int, RandomState instance or None, default=None
        Of folds and shuffles.

    Returns
    -------
    ProbeResult

    Raises
    ------
    KeyError
        For a key of `y` that is not in a table without a vector for unknown keys.
    ValueError
        If `y` has missing values or one class only, or its length does not fit.

    Notes
    -----
    An easy property has a high baseline: judge `selectivity` beside `score`. A flexible probe can learn by heart what
    the vectors do not say, so keep it simple.

    Examples
    --------
    >>> import numpy as np
    >>> from skembed.inspection import probe_score
    >>> X = np.random.default_rng(0).standard_normal((200, 5))
    >>> result = probe_score(X, X[:, 0] > 0, random_state=0)
    >>> result.score > 0.9, result.baseline < 0.6, result.task
    (True, True, 'classification')
    """
    one_of(task, TASKS, "task")
    positive_int(n_shuffles, "n_shuffles")
    random = check_random_state(random_state)
    X, y = _pairs_of(X, y)
    _check_missing(y)
    if estimator is not None and not hasattr(estimator, "fit"):
        raise TypeError(f"estimator must be a classifier or regressor, or None, got {estimator!r:.60}.")
    task = _task(task, estimator, y)
    y = _checked_target(y, task)
    if estimator is None:
        # without centring, sparse vectors stay sparse
        model = LogisticRegression(max_iter=1_000) if task == "classification" else RidgeCV(np.logspace(-3, 5, 9))
        estimator = make_pipeline(StandardScaler(with_mean=not sparse.issparse(X)), model)
    if scoring is None:
        scoring = "accuracy" if task == "classification" else "r2"
    if isinstance(cv, Integral):
        splitter = StratifiedKFold if task == "classification" else KFold
        cv = splitter(int(cv), shuffle=True, random_state=random.randint(2**31 - 1))
    elif cv is not None and not hasattr(cv, "split"):
        cv = list(cv)  # splits that can be iterated over once are needed for each shuffle
        if not cv:
            raise ValueError("cv holds no split; expected pairs (train, test) of arrays of row numbers.")

    def scores(target: np.ndarray) -> np.ndarray:
        return cross_val_score(
            estimator, X, target, cv=cv, groups=groups, scoring=scoring, n_jobs=n_jobs, error_score="raise"
        )

    found = scores(y)
    shuffled = np.array([scores(random.permutation(y)).mean() for _ in range(n_shuffles)])
    return ProbeResult(
        score=float(found.mean()),
        std=float(found.std()),
        baseline=float(shuffled.mean()),
        baseline_std=float(shuffled.std()),
        selectivity=float(found.mean() - shuffled.mean()),
        task=task,
        scoring=scoring if isinstance(scoring, str) else getattr(scoring, "__name__", repr(scoring)),
        n_samples=X.shape[0],
    )


def _pairs_of(X: Any, y: Any) -> tuple[Any, Any]:
    """Vectors and values, row by row."""
    by_key = isinstance(y, Mapping) or (isinstance(X, EmbeddingTable) and is_by_key(y))
    if by_key and not isinstance(X, EmbeddingTable):
        raise TypeError("y maps keys to values, so X must be an EmbeddingTable; give y as one value a row.")
    if by_key:
        if not len(y):
            raise ValueError("y must hold a value for one key or more, got none.")
        keys, values = zip(*y.items())
        return X.lookup(key_list(keys, "y")), _of_own_types(values)
    if isinstance(X, EmbeddingTable):
        X = X.vectors
    X = check_array(filled(X), accept_sparse="csr", dtype=[np.float64, np.float32], input_name="X")
    y = column_or_1d(_of_own_types(y) if isinstance(y, list | tuple) else filled(y), warn=True)
    check_consistent_length(X, y)
    return X, y


def _of_own_types(values: Any) -> np.ndarray:
    """A list as an array in which numbers beside strings stay numbers."""
    array = np.asarray(values)
    if array.dtype.kind in "SU" and array.ndim == 1:
        array = array.astype(object)
        array[:] = values
    return array


def _task(task: str, estimator: Any, y: np.ndarray) -> str:
    if task != "auto":
        return task
    if estimator is not None:
        return "regression" if is_regressor(estimator) else "classification"
    if y.dtype == object and all(isinstance(value, Real) and not isinstance(value, bool) for value in y):
        y = y.astype(np.float64)
    if y.dtype.kind not in "fiu":
        return "classification"
    return "regression" if type_of_target(y, input_name="y") == "continuous" else "classification"


def _check_missing(y: np.ndarray) -> None:
    missing = np.array([canonical_key(value) is None for value in y.tolist()], dtype=bool)
    if missing.any():
        raise ValueError(
            f"y must not have missing values, got {missing.sum()} among {len(y)}, the first at position "
            f"{int(missing.argmax())}; leave those rows out."
        )


def _checked_target(y: np.ndarray, task: str) -> np.ndarray:
    """The target as numbers: float64, or a number for each class, in sorted order."""
    if task == "regression":
        return check_array(y, ensure_2d=False, dtype=np.float64, input_name="y")
    classes = list(dict.fromkeys(y.tolist()))
    if len(classes) < 2:
        raise ValueError(f"y must have two classes or more, got the single class {classes[0]!r}.")
    try:
        classes.sort()
    except TypeError:  # 1 and "1" are two classes
        classes.sort(key=lambda label: (type(label).__name__, repr(label)))
    number = {label: code for code, label in enumerate(classes)}
    codes = np.array([number[label] for label in y.tolist()])
    counts = np.bincount(codes)
    if (counts > 1).sum() < 2:
        raise ValueError(
            f"y must have two classes of two members or more, so that some are left where one is held out; of its "
            f"{len(classes)} classes {(counts == 1).sum()} have one member. Give more of them, or leave them out."
        )
    return codes
