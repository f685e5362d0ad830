"""Estimator checks for what scikit-learn's own skip: vectorizers of text.

`parametrize_with_text_checks` makes a pytest test of every check, `check_text_estimator` runs them all.
"""

from skembed.testing._text import check_text_estimator, parametrize_with_text_checks

__all__ = ["check_text_estimator", "parametrize_with_text_checks"]
