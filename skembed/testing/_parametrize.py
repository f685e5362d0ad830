"""Checks of estimators as the cases of a pytest test."""

from collections.abc import Callable, Iterable
from typing import Any

__all__ = ["parametrized"]


def parametrized(
    estimators: list[Any],
    checks_for: Callable[[Any], Iterable[Callable]],
    expected_failed_checks: Callable[[Any], dict[str, str]] | None,
) -> Any:
    """Return a pytest decorator that runs a test once for every check of every estimator.

    Parameters
    ----------
    estimators : list of estimator instances
    checks_for : callable
        The checks of an estimator.
    expected_failed_checks : callable or None
        Takes an estimator and returns a dict from the names of checks that it is known to fail to the reasons.

    Raises
    ------
    TypeError
        If a class is passed in place of an instance.
    """
    import pytest  # of the test extra

    cases = []
    for estimator in estimators:
        if isinstance(estimator, type):
            raise TypeError(f"estimators must hold instances, got the class {estimator.__name__}; pass an instance.")
        failing = {} if expected_failed_checks is None else expected_failed_checks(estimator)
        for check in checks_for(estimator):
            marks = [pytest.mark.xfail(reason=failing[check.__name__])] if check.__name__ in failing else []
            cases.append(pytest.param(estimator, check, marks=marks, id=f"{_label(estimator)}-{check.__name__}"))
    return pytest.mark.parametrize(("estimator", "check"), cases)


def _label(estimator: Any) -> str:
    return str(estimator).replace("\n", "").replace(" ", "")
