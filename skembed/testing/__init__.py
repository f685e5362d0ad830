"""Estimator checks for what scikit-learn's own skip: vectorizers of text, users and items, nodes of graphs, sequences.

`parametrize_with_text_checks`, `parametrize_with_interaction_checks`, `parametrize_with_graph_checks` and
`parametrize_with_sequence_checks` make a pytest test of every check; `check_text_estimator`,
`check_interaction_estimator`, `check_graph_estimator` and `check_sequence_estimator` run them all.
"""

from skembed.testing._graph import check_graph_estimator, parametrize_with_graph_checks
from skembed.testing._interactions import check_interaction_estimator, parametrize_with_interaction_checks
from skembed.testing._sequences import check_sequence_estimator, parametrize_with_sequence_checks
from skembed.testing._text import check_text_estimator, parametrize_with_text_checks

__all__ = [
    "check_graph_estimator",
    "check_interaction_estimator",
    "check_sequence_estimator",
    "check_text_estimator",
    "parametrize_with_graph_checks",
    "parametrize_with_interaction_checks",
    "parametrize_with_sequence_checks",
    "parametrize_with_text_checks",
]
