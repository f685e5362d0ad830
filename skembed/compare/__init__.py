"""Comparison of encoders of categories on a person's own data, as ``python -m skembed compare`` makes it."""

from skembed.compare._evaluate import Encoding, Row, evaluate, pipeline
from skembed.compare._problem import ComparisonProblem, make_problem, read_problem, unicode_problem
from skembed.compare._read import InputError, read_table

__all__ = [
    "ComparisonProblem",
    "Encoding",
    "InputError",
    "Row",
    "evaluate",
    "make_problem",
    "pipeline",
    "read_problem",
    "read_table",
    "unicode_problem",
]
