"""Estimators that are not fitted say so: every public method that needs a fit raises NotFittedError."""

import inspect
import warnings

import pytest
from estimators import EXAMPLES
from sklearn.exceptions import NotFittedError

FITS = ("fit", "fit_transform", "fit_predict", "partial_fit", "score")


def classes():
    """The first example of each class that needs a fit; models that have learned elsewhere do not."""
    found = {}
    for name, example in EXAMPLES.items():
        if example.estimator.__sklearn_tags__().requires_fit:
            found.setdefault(type(example.estimator).__name__, name)
    return list(found.values())


def asking(estimator):
    """Public methods of the library's own that neither fit nor set anything."""
    for name, function in inspect.getmembers(type(estimator), inspect.isfunction):
        own = function.__module__.startswith("skembed.") or inspect.unwrap(function).__module__.startswith("skembed.")
        if own and not name.startswith(("_", "set_", "get_params")) and name not in FITS and hasattr(estimator, name):
            yield name


@pytest.mark.parametrize("name", classes())
def test_what_needs_a_fit_says_so(name):
    example = EXAMPLES[name]
    estimator = example.new()
    methods = list(asking(estimator))
    assert methods
    for method in methods:
        required = [
            parameter
            for parameter in inspect.signature(getattr(estimator, method)).parameters.values()
            if parameter.default is parameter.empty and parameter.kind is parameter.POSITIONAL_OR_KEYWORD
        ]
        arguments = [example.X] * len(required)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with pytest.raises(NotFittedError, match=f"This {type(estimator).__name__} instance is not fitted yet"):
                getattr(estimator, method)(*arguments)
