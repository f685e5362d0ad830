"""Callbacks of scikit-learn: every estimator that learns by passes tells them of each, and of the whole fit."""

import warnings

import pytest
from estimators import EXAMPLES
from sklearn.base import clone

from skembed.training.callbacks import HAS_CALLBACKS

pytestmark = pytest.mark.skipif(not HAS_CALLBACKS, reason="scikit-learn has callbacks from version 1.9 on")


class Recorder:
    """Notes what it is told, in order."""

    def __init__(self):
        self.calls, self.losses = [], []

    def setup(self, estimator, context):
        self.calls.append("setup")

    def teardown(self, estimator, context):
        self.calls.append("teardown")

    def on_fit_task_begin(self, estimator, context, **told):
        self.calls.append(f"begin {context.task_name}")

    def on_fit_task_end(self, estimator, context, *, metadata=None, **told):
        self.calls.append(f"end {context.task_name}")
        if context.task_name == "pass":
            self.losses.append(metadata["loss"])
        return False


def one_of_each():
    """The first example of each class that takes callbacks."""
    found = {}
    for name, example in EXAMPLES.items():
        if hasattr(example.estimator, "set_callbacks") and not example.runs_model:
            found.setdefault(type(example.estimator).__name__, name)
    return list(found.values())


@pytest.mark.parametrize("name", one_of_each())
@pytest.mark.parametrize("method", ["fit", "fit_transform", "partial_fit"])
def test_they_are_told_of_each_pass_and_of_the_end(name, method):
    example = EXAMPLES[name]
    estimator, callback = clone(example.estimator), Recorder()
    own = [cls for cls in type(estimator).__mro__ if cls.__module__.startswith("skembed.") and method in vars(cls)]
    if not own or not hasattr(estimator, method):
        pytest.skip(f"{name} has no {method} of its own")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        getattr(estimator.set_callbacks(callback), method)(*example.data)
    passes = callback.calls[2:-2]
    assert callback.calls[:2] == ["setup", "begin fit"]
    assert callback.calls[-2:] == ["end fit", "teardown"]
    assert passes == ["begin pass", "end pass"] * (len(passes) // 2)
    assert callback.losses == list(getattr(estimator, "loss_curve_", callback.losses))
