"""Evaluations as scorers, callables (estimator, X, y), for cross-validation and grid search."""

from collections.abc import Callable
from typing import Any

from skembed.inspection._analogies import evaluate_analogies
from skembed.inspection._categorization import evaluate_categorization
from skembed.inspection._neighborhood import neighborhood_preservation, trustworthiness
from skembed.inspection._similarity import evaluate_similarity
from skembed.table import EmbeddingTable

__all__ = [
    "analogy_scorer",
    "categorization_scorer",
    "neighborhood_scorer",
    "similarity_scorer",
    "trustworthiness_scorer",
]


def similarity_scorer(pairs: Any, *, column: Any = None, **options: Any) -> "TableScorer":
    """A scorer: the Spearman correlation of `evaluate_similarity` for the table that an estimator learned.

    Parameters
    ----------
    pairs : str, os.PathLike, or rows (key, key, score)
    column : default=None
        Of an estimator that learned a table per column, the one to score.
    **options
        As in `evaluate_similarity`.

    Returns
    -------
    callable (estimator, X, y=None) -> float
        Reads ``estimator.embedding_``, of a Pipeline that of the last step that has one. `X` and `y` are not looked at.

    Notes
    -----
    The score does not depend on the rows held out, so one split that fits on all rows will do:
    ``cv=[(rows, rows)]`` with ``rows = np.arange(len(X))``.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.model_selection import GridSearchCV
    >>> from skembed import Word2VecVectorizer
    >>> from skembed.inspection import similarity_scorer
    >>> X = ["the cat sat with the kitten", "the car and the truck drove"] * 20
    >>> scorer = similarity_scorer([("cat", "kitten", 9), ("car", "truck", 8), ("cat", "truck", 1)])
    >>> rows = np.arange(len(X))
    >>> model = Word2VecVectorizer(min_count=1, max_iter=1, random_state=0)
    >>> search = GridSearchCV(model, {"embedding_dim": [2, 4]}, scoring=scorer, cv=[(rows, rows)]).fit(X)
    >>> search.best_params_["embedding_dim"] in (2, 4)
    True
    """
    return TableScorer(evaluate_similarity, "spearman", pairs, column, options)


def analogy_scorer(questions: Any, *, column: Any = None, **options: Any) -> "TableScorer":
    """A scorer: the accuracy of `evaluate_analogies` for the table that an estimator learned.

    Parameters
    ----------
    questions : str, os.PathLike, mapping or iterable
    column : default=None
        Of an estimator that learned a table per column, the one to score.
    **options
        As in `evaluate_analogies`.

    Returns
    -------
    callable (estimator, X, y=None) -> float
        See `similarity_scorer`.
    """
    return TableScorer(evaluate_analogies, "accuracy", questions, column, options)


def categorization_scorer(categories: Any, *, column: Any = None, **options: Any) -> "TableScorer":
    """A scorer: the purity of `evaluate_categorization` for the table that an estimator learned.

    Parameters
    ----------
    categories : str, os.PathLike, mapping, or rows (key, category)
    column : default=None
        Of an estimator that learned a table per column, the one to score.
    **options
        As in `evaluate_categorization`; without `random_state` the scores of two candidates differ by chance too.

    Returns
    -------
    callable (estimator, X, y=None) -> float
        See `similarity_scorer`.
    """
    return TableScorer(evaluate_categorization, "purity", categories, column, options)


def trustworthiness_scorer(**options: Any) -> "TransformScorer":
    """A scorer: `trustworthiness` of what a transformer, or a Pipeline of transformers, makes of the rows held out.

    Parameters
    ----------
    **options
        As in `trustworthiness`.

    Returns
    -------
    callable (estimator, X, y=None) -> float

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.decomposition import PCA
    >>> from sklearn.model_selection import cross_val_score
    >>> from skembed.inspection import trustworthiness_scorer
    >>> X = load_iris().data
    >>> bool(cross_val_score(PCA(n_components=2), X, scoring=trustworthiness_scorer()).min() > 0.85)
    True
    """
    return TransformScorer(trustworthiness, options)


def neighborhood_scorer(**options: Any) -> "TransformScorer":
    """A scorer: `neighborhood_preservation` of what a transformer makes of the rows held out.

    Parameters
    ----------
    **options
        As in `neighborhood_preservation`.

    Returns
    -------
    callable (estimator, X, y=None) -> float
        See `trustworthiness_scorer`.
    """
    return TransformScorer(neighborhood_preservation, options)


class TableScorer:
    """Scores the table of a fitted estimator by one number of an evaluation; can be pickled where its test set can."""

    def __init__(self, evaluate: Callable, number: str, test_set: Any, column: Any, options: dict[str, Any]):
        self._evaluate, self._number = evaluate, number
        # what can be read only once would be empty for the second candidate
        self._test_set = list(test_set) if hasattr(test_set, "__next__") else test_set
        self._column, self._options = column, options

    def __call__(self, estimator: Any, X: Any = None, y: Any = None) -> float:
        return getattr(self._evaluate(table_of(estimator, self._column), self._test_set, **self._options), self._number)

    def __repr__(self) -> str:
        return f"<scorer: {self._number} of {self._evaluate.__name__}>"


class TransformScorer:
    """Scores a fitted transformer by a measure of the rows before and after."""

    def __init__(self, measure: Callable, options: dict[str, Any]):
        self._measure, self._options = measure, options

    def __call__(self, estimator: Any, X: Any, y: Any = None) -> float:
        if not hasattr(estimator, "transform"):
            raise TypeError(
                f"this scorer compares X with transform(X), and {type(estimator).__name__} has no transform."
            )
        return self._measure(X, estimator.transform(X), **self._options)

    def __repr__(self) -> str:
        return f"<scorer: {self._measure.__name__} of transform>"


def table_of(estimator: Any, column: Any = None) -> EmbeddingTable:
    """The table that a fitted estimator learned; of a Pipeline or a search, that of its last step that has one."""
    estimator = getattr(estimator, "best_estimator_", estimator)
    for _, step in reversed(getattr(estimator, "steps", ())):
        try:
            return table_of(step, column)
        except TypeError:  # a step without a table, as a classifier
            continue
    tables = getattr(estimator, "embeddings_", None)
    if column is not None and tables is not None:
        if column not in tables:
            raise ValueError(f"column must be one of {', '.join(map(repr, tables))}, got {column!r}.")
        return tables[column]
    if hasattr(estimator, "embedding_"):
        return estimator.embedding_
    if tables is not None:
        raise ValueError(
            f"the estimator learned a table per column: pass column= one of {', '.join(map(repr, tables))}."
        )
    raise TypeError(
        f"this scorer needs an estimator that learned a table, embedding_, and {type(estimator).__name__} has none."
    )
