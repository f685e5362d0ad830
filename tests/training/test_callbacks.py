"""Callbacks of scikit-learn, as `PassCallbacks` tells them of a fit; a stand-in takes their place in older versions."""

import pytest

from skembed.training import callbacks
from skembed.training.callbacks import PassCallbacks


class Context:
    """Notes what it is told of."""

    def __init__(self, told, name="fit", stops=False):
        self.told, self.name, self.stops = told, name, stops

    def subcontext(self, task_name):
        return Context(self.told, task_name, stops=True)

    def call_on_fit_task_begin(self, **told):
        self.told.append((self.name, "begins", told))

    def call_on_fit_task_end(self, **told):
        self.told.append((self.name, "ends", told))
        return self.stops


class Estimator:
    def __init__(self):
        self.told = []

    def _init_callback_context(self, max_subtasks):
        self.told.append(max_subtasks)
        return Context(self.told)


@pytest.mark.parametrize(
    ("score", "metadata"), [(None, {"loss": 0.5}), (0.25, {"loss": 0.5, "validation_score": 0.25})]
)
def test_each_task_is_told_with_the_estimator_and_its_data(score, metadata, monkeypatch):
    monkeypatch.setattr(callbacks, "HAS_CALLBACKS", True)
    estimator = Estimator()
    given = {"estimator": estimator, "X": "rows", "y": "target"}
    observer = PassCallbacks(estimator, 7, "rows", "target")
    observer.begin_pass()
    assert observer.end_pass(0.5, score) is True
    observer.end()
    assert estimator.told == [
        7,
        ("fit", "begins", given),
        ("pass", "begins", given),
        ("pass", "ends", given | {"metadata": metadata}),
        ("fit", "ends", given),
    ]


def test_nobody_is_told_where_there_are_none(monkeypatch):
    monkeypatch.setattr(callbacks, "HAS_CALLBACKS", False)
    estimator = Estimator()
    observer = PassCallbacks(estimator, 7, "rows")
    observer.begin_pass()
    assert observer.end_pass(0.5) is False
    observer.end()
    assert not estimator.told
