"""The public side of the graph checks: all of them on one estimator, or as the cases of a pytest test."""

from collections.abc import Callable
from typing import Any

from skembed.testing._graph_checks import checks_for
from skembed.testing._parametrize import parametrized

__all__ = ["check_graph_estimator", "parametrize_with_graph_checks"]


def parametrize_with_graph_checks(
    estimators: list[Any], *, expected_failed_checks: Callable[[Any], dict[str, str]] | None = None
) -> Any:
    """Return a pytest decorator that runs a test once for every check of every embedder of graphs.

    For estimators whose `fit` takes a square adjacency matrix, dense or sparse, and whose `transform` takes rows of
    links to the nodes of `fit`: what `sklearn.utils.estimator_checks.parametrize_with_checks` does not ask.

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
    >>> from skembed import NodeEmbedder
    >>> @parametrize_with_graph_checks([NodeEmbedder(4)])
    ... def test_embedders(estimator, check):
    ...     check(estimator)
    """
    return parametrized(estimators, checks_for, expected_failed_checks)


def check_graph_estimator(estimator: Any) -> None:
    """Run all checks of one embedder of graphs; raises the error of the first that fails.

    Examples
    --------
    >>> from skembed import NodeEmbedder
    >>> check_graph_estimator(NodeEmbedder(4))
    """
    for check in checks_for(estimator):
        check(estimator)
