"""Estimator checks for what scikit-learn's own skip: vectorizers of text, and users and items.

`parametrize_with_text_checks` and `parametrize_with_interaction_checks` make a pytest test of every check,
`check_text_estimator` and `check_interaction_estimator` run them all.
"""

from skembed.testing._interactions import check_interaction_estimator, parametrize_with_interaction_checks
from skembed.testing._text import check_text_estimator, parametrize_with_text_checks

__all__ = [
    "check_interaction_estimator",
    "check_text_estimator",
    "parametrize_with_interaction_checks",
    "parametrize_with_text_checks",
]
