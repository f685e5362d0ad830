"""The public side of the anomaly checks: all of them on one estimator, or as the cases of a pytest test."""

from collections.abc import Callable
from typing import Any

from skembed.testing._anomaly_checks import checks_for
from skembed.testing._parametrize import parametrized

__all__ = ["check_anomaly_estimator", "parametrize_with_anomaly_checks"]


def parametrize_with_anomaly_checks(
    estimators: list[Any], *, expected_failed_checks: Callable[[Any], dict[str, str]] | None = None
) -> Any:
    """Return a pytest decorator that runs a test once for every check of every detector of anomalies.

    For outlier detectors with `predict` and `score_samples` for new rows; a parameter `novelty` is set to True.
    They ask what `sklearn.utils.estimator_checks.parametrize_with_checks` does not: sparse, equal and few rows, and how
    many new rows like those of `fit` are called outliers.

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
    >>> from skembed import NeighborAnomalyDetector
    >>> @parametrize_with_anomaly_checks([NeighborAnomalyDetector(3)])
    ... def test_detectors(estimator, check):
    ...     check(estimator)
    """
    return parametrized(estimators, checks_for, expected_failed_checks)


def check_anomaly_estimator(estimator: Any) -> None:
    """Run all checks of one detector of anomalies; raises the error of the first that fails.

    Examples
    --------
    >>> from skembed import NeighborAnomalyDetector
    >>> check_anomaly_estimator(NeighborAnomalyDetector(3))
    """
    for check in checks_for(estimator):
        check(estimator)
