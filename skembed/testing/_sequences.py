"""The public side of the checks of sequences: all of them on one estimator, or as the cases of a pytest test."""

from collections.abc import Callable
from typing import Any

from skembed.testing._parametrize import parametrized
from skembed.testing._sequence_checks import checks_for

__all__ = ["check_sequence_estimator", "parametrize_with_sequence_checks"]


def parametrize_with_sequence_checks(
    estimators: list[Any], *, expected_failed_checks: Callable[[Any], dict[str, str]] | None = None
) -> Any:
    """Return a pytest decorator that runs a test once for every check of every embedder of sequences.

    The counterpart of `sklearn.utils.estimator_checks.parametrize_with_checks` for estimators that take a list of
    sequences of keys and `transform` each into a row; checks of `predict_next` are left out where there is none.

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
    >>> from skembed import SequenceEmbedder
    >>> @parametrize_with_sequence_checks([SequenceEmbedder(8)])
    ... def test_estimators(estimator, check):
    ...     check(estimator)
    """
    return parametrized(estimators, checks_for, expected_failed_checks)


def check_sequence_estimator(estimator: Any) -> None:
    """Run all checks of one embedder of sequences; raises the error of the first that fails.

    Examples
    --------
    >>> from skembed import SequenceEmbedder
    >>> check_sequence_estimator(SequenceEmbedder(4, max_iter=2))
    """
    for check in checks_for(estimator):
        check(estimator)
