"""The public side of the text checks: all of them on one estimator, or as the cases of a pytest test."""

from collections.abc import Callable
from typing import Any

from skembed.testing._parametrize import parametrized
from skembed.testing._text_checks import checks_for

__all__ = ["check_text_estimator", "parametrize_with_text_checks"]


def parametrize_with_text_checks(
    estimators: list[Any], *, expected_failed_checks: Callable[[Any], dict[str, str]] | None = None
) -> Any:
    """Return a pytest decorator that runs a test once for every check of every vectorizer.

    The counterpart of `sklearn.utils.estimator_checks.parametrize_with_checks` for estimators that take raw documents:
    strings in, one row a document out, dense or sparse.

    Parameters
    ----------
    estimators : list of estimator instances
    expected_failed_checks : callable, default=None
        Takes an estimator and returns a dict from the names of checks that it is known to fail to the reasons; they
        are marked as expected failures.

    Returns
    -------
    pytest.MarkDecorator
        Of a test with the arguments ``estimator`` and ``check``.

    Raises
    ------
    TypeError
        If a class is passed in place of an instance.

    Examples
    --------
    >>> from sklearn.feature_extraction.text import CountVectorizer
    >>> @parametrize_with_text_checks([CountVectorizer()])
    ... def test_vectorizers(estimator, check):
    ...     check(estimator)
    """
    return parametrized(estimators, checks_for, expected_failed_checks)


def check_text_estimator(estimator: Any) -> None:
    """Run all checks of one vectorizer; raises the error of the first that fails.

    Examples
    --------
    >>> from sklearn.feature_extraction.text import TfidfVectorizer
    >>> check_text_estimator(TfidfVectorizer())
    """
    for check in checks_for(estimator):
        check(estimator)
