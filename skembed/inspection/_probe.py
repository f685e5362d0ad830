"""Probing: how well does a simple model read a property off the vectors (Conneau et al. 2018; Hewitt & Liang 2019)?"""

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import is_regressor
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import LabelEncoder, StandardScaler
from sklearn.utils import check_array, check_consistent_length, check_random_state, column_or_1d
from sklearn.utils.multiclass import type_of_target

from skembed._keys import key_list
from skembed.inspection._result import Result
from skembed.inspection._words import one_of, positive_int
from skembed.table import EmbeddingTable

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

    def scores(target: np.ndarray) -> np.ndarray:
        return cross_val_score(estimator, X, target, cv=cv, groups=groups, scoring=scoring, n_jobs=n_jobs)

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
    by_key = isinstance(y, Mapping) or (isinstance(X, EmbeddingTable) and hasattr(y, "items") and hasattr(y, "index"))
    if by_key and not isinstance(X, EmbeddingTable):
        raise TypeError("y maps keys to values, so X must be an EmbeddingTable; give y as one value a row.")
    if by_key:
        keys, values = zip(*y.items()) if len(y) else ((), ())
        return X.lookup(key_list(keys, "y")), np.asarray(values)
    if isinstance(X, EmbeddingTable):
        X = X.vectors
    X = check_array(X, accept_sparse="csr", dtype=[np.float64, np.float32], input_name="X")
    y = column_or_1d(y, warn=True)
    check_consistent_length(X, y)
    return X, y


def _task(task: str, estimator: Any, y: np.ndarray) -> str:
    if task != "auto":
        return task
    if estimator is not None:
        return "regression" if is_regressor(estimator) else "classification"
    return "regression" if type_of_target(_numeric(y), input_name="y").startswith("continuous") else "classification"


def _checked_target(y: np.ndarray, task: str) -> np.ndarray:
    missing = np.array([value is None or value != value for value in y.tolist()], dtype=bool)
    if missing.any():
        raise ValueError(
            f"y must not have missing values, got {missing.sum()} among {len(y)}, the first at position "
            f"{int(missing.argmax())}; leave those rows out."
        )
    if task == "regression":
        return check_array(y, ensure_2d=False, dtype=np.float64, input_name="y")
    codes = LabelEncoder().fit_transform(_numeric(y))
    counts = np.bincount(codes)
    if len(counts) < 2:
        raise ValueError(f"y must have two classes or more, got the single class {y[0]!r}.")
    return codes


def _numeric(y: np.ndarray) -> np.ndarray:
    """Objects that are all numbers, or of mixed types, as numbers or as strings; other arrays as they are."""
    if y.dtype != object:
        return y
    try:
        return np.asarray(y.tolist(), dtype=np.float64) if not any(isinstance(v, str) for v in y) else y.astype(str)
    except (TypeError, ValueError):
        return y.astype(str)
