"""A run of a trainer: who is told of which pass, and what Ctrl-C leaves."""

from types import SimpleNamespace

import pytest

from skembed.training.run import Run


class Observer:
    """Notes passes, and asks to stop after so many."""

    def __init__(self, stop_after):
        self.told, self.stop_after = [], stop_after

    def begin_pass(self):
        self.told.append("begins")

    def end_pass(self, loss, score=None):
        self.told.append(loss)
        return len(self.told) // 2 == self.stop_after


def train_for(n_passes, interrupted_in=None):
    def train(on_pass, progress):
        tables = SimpleNamespace(loss_curve=[])
        for pass_ in range(n_passes):
            if pass_ + 1 == interrupted_in:
                raise KeyboardInterrupt
            progress(1)
            tables = SimpleNamespace(loss_curve=[*tables.loss_curve, float(pass_)])
            if on_pass(pass_, tables):
                break
        return tables

    return train


@pytest.mark.parametrize(("stop_after", "n_passes"), [(1, 1), (2, 2), (3, 3), (99, 3)])
def test_each_pass_that_begins_ends(stop_after, n_passes):
    observer = Observer(stop_after)
    tables = Run(0, callbacks=observer).passes(train_for(3), 3, total=3)
    assert tables.loss_curve == [0.0, 1.0, 2.0][:n_passes]
    assert observer.told == [one for loss in tables.loss_curve for one in ("begins", loss)]


def test_what_is_left_of_an_interrupted_run():
    with pytest.raises(KeyboardInterrupt):
        Run(0).passes(train_for(3, interrupted_in=1), 3, total=3)
    with pytest.warns(UserWarning, match="interrupted in pass 3 of 3; kept what was learned so far"):
        assert Run(0).passes(train_for(3, interrupted_in=3), 3, total=3).loss_curve == [0.0, 1.0]
