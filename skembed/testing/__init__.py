"""Estimator checks for what scikit-learn's own skip: text, users and items, graphs, images, pairs, sequences, outliers.

`parametrize_with_text_checks` and its like make a pytest test of every check; `check_text_estimator` and its like run
them all.
"""

from skembed.testing._anomaly import check_anomaly_estimator, parametrize_with_anomaly_checks
from skembed.testing._graph import check_graph_estimator, parametrize_with_graph_checks
from skembed.testing._images import check_image_estimator, parametrize_with_image_checks
from skembed.testing._interactions import check_interaction_estimator, parametrize_with_interaction_checks
from skembed.testing._pairs import check_pair_estimator, parametrize_with_pair_checks
from skembed.testing._sequences import check_sequence_estimator, parametrize_with_sequence_checks
from skembed.testing._text import check_text_estimator, parametrize_with_text_checks

__all__ = [
    "check_anomaly_estimator",
    "check_graph_estimator",
    "check_image_estimator",
    "check_interaction_estimator",
    "check_pair_estimator",
    "check_sequence_estimator",
    "check_text_estimator",
    "parametrize_with_anomaly_checks",
    "parametrize_with_graph_checks",
    "parametrize_with_image_checks",
    "parametrize_with_interaction_checks",
    "parametrize_with_pair_checks",
    "parametrize_with_sequence_checks",
    "parametrize_with_text_checks",
]
