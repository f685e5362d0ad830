"""The public side of the checks of interactions: all of them on one estimator, or as the cases of a pytest test."""

from collections.abc import Callable
from typing import Any

from skembed.testing._interaction_checks import checks_for
from skembed.testing._parametrize import parametrized

__all__ = ["check_interaction_estimator", "parametrize_with_interaction_checks"]


def parametrize_with_interaction_checks(
    estimators: list[Any], *, expected_failed_checks: Callable[[Any], dict[str, str]] | None = None
) -> Any:
    """Return a pytest decorator that runs a test once for every check of every estimator of users and items.

    The counterpart of `sklearn.utils.estimator_checks.parametrize_with_checks` for estimators that take baskets: lists
    of keys, or a sparse matrix of users and items. `transform` gives a row a user; checks of `recommend` are left out
    where there is none.

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
    >>> from skembed import InteractionEmbedder
    >>> @parametrize_with_interaction_checks([InteractionEmbedder(8)])
    ... def test_estimators(estimator, check):
    ...     check(estimator)
    """
    return parametrized(estimators, checks_for, expected_failed_checks)


def check_interaction_estimator(estimator: Any) -> None:
    """Run all checks of one estimator of users and items; raises the error of the first that fails.

    Examples
    --------
    >>> from skembed import InteractionEmbedder
    >>> check_interaction_estimator(InteractionEmbedder(4, method="svd"))
    """
    for check in checks_for(estimator):
        check(estimator)
