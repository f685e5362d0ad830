"""The public side of the pair checks: all of them on one estimator, or as the cases of a pytest test."""

from collections.abc import Callable
from typing import Any

from skembed.testing._pair_checks import checks_for
from skembed.testing._parametrize import parametrized

__all__ = ["check_pair_estimator", "parametrize_with_pair_checks"]


def parametrize_with_pair_checks(
    estimators: list[Any], *, expected_failed_checks: Callable[[Any], dict[str, str]] | None = None
) -> Any:
    """Return a pytest decorator that runs a test once for every check of every embedder of pairs.

    For estimators of two sides, with ``fit(X, Y)`` and ``transform(X, Y)`` as in `sklearn.cross_decomposition`.

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
    >>> from skembed import CCAEmbedder
    >>> @parametrize_with_pair_checks([CCAEmbedder()])
    ... def test_embedders(estimator, check):
    ...     check(estimator)
    """
    return parametrized(estimators, checks_for, expected_failed_checks)


def check_pair_estimator(estimator: Any) -> None:
    """Run all checks of one embedder of pairs; raises the error of the first that fails.

    Examples
    --------
    >>> from skembed import CCAEmbedder
    >>> check_pair_estimator(CCAEmbedder())
    """
    for check in checks_for(estimator):
        check(estimator)
