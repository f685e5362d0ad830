"""The training loop: early stopping, losses that are not finite, Ctrl-C, observers."""

import math

import pytest
from sklearn.exceptions import ConvergenceWarning

torch = pytest.importorskip("torch")

from skembed.training.nets.loop import run_passes  # noqa: E402
from skembed.training.passes import BatchSettings  # noqa: E402
from skembed.training.run import Run  # noqa: E402


class Script:
    """A model whose state is the number of finished passes, and whose losses and scores are given."""

    n_products = 1.0

    def __init__(self, losses, scores=None, interrupt_in_pass=None):
        self.losses, self.scores, self.interrupt_in_pass = losses, scores, interrupt_in_pass
        self.state = self.n_steps = 0
        self.batches = []

    def step(self, rows):
        self.batches.append(rows)
        n_pass = len(self.losses) if self.n_steps >= len(self.losses) else self.n_steps + 1
        if self.interrupt_in_pass == self.state + 1:
            raise KeyboardInterrupt
        self.n_steps += 1
        self.state += 1
        return torch.tensor(float(self.losses[n_pass - 1]))

    def validation_score(self):
        return self.scores[self.state - 1]

    def snapshot(self):
        return self.state

    def restore(self, state):
        self.state = state


class Recorder:
    def __init__(self, stop_after=None):
        self.calls, self.stop_after = [], stop_after

    def begin_pass(self):
        self.calls.append("begin")

    def end_pass(self, loss, score):
        self.calls.append((loss, score))
        return self.stop_after is not None and len(self.calls) == 2 * self.stop_after


def run(model, *, total_weight=1.0, observer=None, **settings):
    generator = torch.Generator().manual_seed(0)
    settings = BatchSettings(**{"max_iter": 10, "batch_size": 100} | settings)
    return run_passes(model, torch.arange(8), total_weight, generator, settings, Run(0, callbacks=observer))


def test_every_row_once_a_pass_in_batches():
    model = Script([1.0] * 9)
    run(model, max_iter=1, batch_size=3)
    assert [len(b) for b in model.batches] == [3, 3, 2]
    assert sorted(torch.cat(model.batches).tolist()) == list(range(8))


def test_the_loss_is_for_a_unit_of_weight():
    assert run(Script([6.0]), max_iter=1, total_weight=3.0).loss_curve == [2.0]


def test_early_stopping_restores_the_best_state():
    model = Script([5, 4, 3, 2, 1, 1, 1], scores=[0.1, 0.5, 0.4, 0.3, 0.2, 0.9, 0.9])
    history = run(model, early_stopping=True, n_iter_no_change=3)
    assert model.state == history.best_iter == 2
    assert history.n_iter == len(history.loss_curve) == len(history.validation_scores) == 5


def test_rises_below_tol_do_not_count_but_the_best_state_is_kept():
    model = Script([1] * 9, scores=[0.1, 0.1001, 0.1002, 0.1003, 0.1004])
    history = run(model, early_stopping=True, n_iter_no_change=2, tol=0.01)
    assert history.n_iter == 3
    assert model.state == 3


def test_without_early_stopping_the_last_state_stays():
    model = Script([3, 2, 1])
    history = run(model, max_iter=3)
    assert model.state == history.best_iter == 3
    assert history.validation_scores == []


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_goes_back_to_the_last_finite_state(bad):
    model = Script([3, 2, bad, 1])
    with pytest.warns(ConvergenceWarning, match="pass 3 is not finite.*learning_rate"):
        history = run(model)
    assert model.state == 2
    assert history.loss_curve == [3, 2]


def test_a_score_that_is_not_finite_goes_back_too():
    model = Script([3, 2, 1], scores=[0.1, math.nan, 0.3])
    with pytest.warns(ConvergenceWarning, match="learning_rate"):
        history = run(model, early_stopping=True)
    assert model.state == 1
    assert history.validation_scores == [0.1]


def test_a_first_loss_that_is_not_finite_leaves_the_start():
    model = Script([math.nan])
    with pytest.warns(ConvergenceWarning, match="kept the state of pass 0"):
        history = run(model)
    assert model.state == 0
    assert history.n_iter == 0


def test_ctrl_c_before_the_first_pass_has_ended_goes_on():
    with pytest.raises(KeyboardInterrupt):
        run(Script([1] * 5, interrupt_in_pass=1))


def test_ctrl_c_later_keeps_the_finished_passes():
    model = Script([1] * 5, interrupt_in_pass=3)
    with pytest.warns(UserWarning, match="interrupted in pass 3"):
        history = run(model)
    assert model.state == history.n_iter == 2


def test_ctrl_c_keeps_the_best_of_the_finished_passes():
    model = Script([1] * 5, scores=[0.5, 0.4, 0.3, 0.2], interrupt_in_pass=3)
    with pytest.warns(UserWarning, match="interrupted"):
        run(model, early_stopping=True)
    assert model.state == 1


def test_an_observer_sees_every_pass_and_may_stop():
    observer = Recorder(stop_after=2)
    history = run(Script([3, 2, 1]), observer=observer)
    assert observer.calls == ["begin", (3.0, None), "begin", (2.0, None)]
    assert history.n_iter == 2


def test_every_pass_that_an_observer_saw_begin_ends():
    observer = Recorder()
    with pytest.warns(ConvergenceWarning):
        run(Script([3, math.nan]), observer=observer)
    assert observer.calls.count("begin") == 2
    assert len(observer.calls) == 4


def test_the_order_of_rows_is_the_generators():
    first, second = Script([1]), Script([1])
    torch.manual_seed(0)
    run(first, max_iter=1)
    torch.manual_seed(1)
    run(second, max_iter=1)
    assert torch.equal(first.batches[0], second.batches[0])
