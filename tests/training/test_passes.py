"""Passes and their settings: rows that are held out, what a bar and a warning say, and seeds that are drawn."""

import warnings
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from skembed.training import cache, callbacks, run
from skembed.training.cache import call_key, learn_once
from skembed.training.callbacks import with_callbacks
from skembed.training.passes import BatchSettings, History, PassSettings, repeat_passes
from skembed.training.run import Run, draw_seed, settings_of


class Counting:
    """A model whose state is how many passes it has seen."""

    def __init__(self, losses, scores=()):
        self.losses, self.scores, self.state = losses, scores, 0

    def one_pass(self):
        self.state += 1
        loss = self.losses[self.state - 1]
        if loss is KeyboardInterrupt:
            self.state = 99  # in between
            raise loss
        return loss

    def validation_score(self):
        return self.scores[self.state - 1]

    def snapshot(self):
        return self.state

    def restore(self, state):
        self.state = state


@pytest.fixture
def bars(monkeypatch):
    """What progress bars are made with and told."""
    made = []

    class Bar:
        def __init__(self, **look):
            self.look, self.told, self.done = look, [], 0
            made.append(self)

        def __enter__(self):
            return self

        def __exit__(self, *error):
            self.closed = True

        def set_postfix(self, **told):
            self.told.append(told)

        def update(self, n=1):
            self.done += n

    monkeypatch.setattr(run, "tqdm", Bar)
    return made


@pytest.mark.parametrize(
    ("n_rows", "fraction", "expected"),
    [(100, 0.1, 10), (25, 0.1, 2), (3, 0.1, 1), (10, 0.25, 2), (20, 0.99, 19), (1, 0.1, 0)],
)
def test_a_share_of_rows_is_held_out_drawn_and_sorted(n_rows, fraction, expected):
    settings = PassSettings(max_iter=1, early_stopping=True, validation_fraction=fraction)
    rows = settings.held_out_rows(n_rows, np.random.RandomState(0))
    np.testing.assert_array_equal(rows, np.sort(np.random.RandomState(0).permutation(n_rows)[:expected]))
    rng = np.random.RandomState(0)
    none = PassSettings(max_iter=1).held_out_rows(n_rows, rng)
    assert (none.shape, none.dtype) == ((0,), np.int64)
    assert rng.randint(1000) == np.random.RandomState(0).randint(1000)  # nothing was drawn


def test_settings_of_passes_have_the_defaults_that_are_documented():
    assert PassSettings(max_iter=3) == PassSettings(
        max_iter=3, early_stopping=False, validation_fraction=0.1, n_iter_no_change=3, tol=1e-4
    )  # fmt: skip
    batches = BatchSettings(max_iter=3, batch_size=8)
    assert (batches.learning_rate, batches.device) == (1e-3, "auto")


@pytest.mark.parametrize(("verbose", "hidden", "stays"), [(0, True, False), (1, False, False), (2, False, True)])
def test_a_bar_tells_of_passes(verbose, hidden, stays, bars):
    model = Counting([2.0, 1.23456], [0.1, 0.98765])
    settings = PassSettings(max_iter=2, early_stopping=True)
    repeat_passes(model, model.one_pass, settings, Run(0, verbose=verbose, label="rows"))
    (bar,) = bars
    assert bar.look == {"total": 2, "desc": "rows", "disable": hidden, "leave": stays, "unit": "pass"}
    assert bar.told == [{"loss": "2", "score": "0.1"}, {"loss": "1.235", "score": "0.9877"}]
    assert bar.done == 2
    assert bar.closed
    model = Counting([2.0])
    repeat_passes(model, model.one_pass, PassSettings(max_iter=1), Run(0))
    assert bars[1].told == [{"loss": "2"}]


def test_a_bar_tells_of_what_trainers_do(bars):
    def train(on_pass, progress):
        progress(7)
        on_pass(0, SimpleNamespace(loss_curve=[0.5]))
        progress(4)
        return "tables"

    assert Run(0).passes(train, 3, total=33) == "tables"
    (bar,) = bars
    assert bar.look == {
        "total": 33, "desc": "tokens", "disable": True, "leave": False, "unit": "", "unit_scale": True
    }  # fmt: skip
    assert bar.done == 11
    assert bar.told == [{"loss": "0.5"}]


def test_warnings_point_to_whoever_asked_for_passes():
    for losses, category in (([1.0, KeyboardInterrupt], UserWarning), ([1.0, np.nan], ConvergenceWarning)):
        model = Counting(losses)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            history = repeat_passes(model, model.one_pass, PassSettings(max_iter=5), Run(0), advice="Do better.")
        ((warning),) = caught
        assert warning.category is category
        assert warning.filename == __file__
        assert model.state == history.n_iter == history.best_iter == 1
        assert history.loss_curve == [1.0]
    assert str(warning.message) == "the loss of pass 2 is not finite (nan); kept the state of pass 1. Do better."


@pytest.mark.parametrize(
    ("scores", "tol", "n_no_change", "n_iter", "best"),
    [
        ([0.5, 0.4, 0.3, 0.6, 0.7], 0.0, 2, 3, 1),
        ([0.5, 0.5, 0.5, 0.9, 0.9], 0.0, 3, 5, 4),
        ([0.5, 0.5, 0.5, 0.5, 0.9], 0.0, 3, 4, 1),  # as good is no rise
        ([0.5, 0.75, 1.0, 1.25, 1.5], 0.25, 2, 3, 3),  # nor is as much as is asked
        ([0.5, 0.76, 1.02, 1.28, 1.54], 0.25, 2, 5, 5),
        ([0.5, 0.6, 0.4, 0.7, 0.65], 0.15, 3, 4, 4),  # a rise is above the best so far, whether it counted or not
        ([0.5, 0.4, 0.7, 0.6, 0.5], 0.0, 2, 5, 3),
    ],
)
def test_early_stopping_counts_passes_since_the_best_rose(scores, tol, n_no_change, n_iter, best):
    model = Counting([1.0] * 5, scores)
    settings = PassSettings(max_iter=5, early_stopping=True, n_iter_no_change=n_no_change, tol=tol)
    history = repeat_passes(model, model.one_pass, settings, Run(0))
    assert (history.n_iter, history.best_iter, model.state) == (n_iter, best, best)
    assert history.validation_scores == scores[:n_iter]


def test_a_history_begins_empty():
    assert History() == History([], [], 0, 0)
    assert History().loss_curve is not History().loss_curve


# --------------------------------------------------------------------------------------------------------- seeds


def test_seeds_are_drawn_from_what_is_given_and_leave_the_shared_state():
    state = np.random.get_state()[1].tolist()  # noqa: NPY002 - it must stay as it is
    seeds = {draw_seed(None) for _ in range(50)}
    assert len(seeds) == 50
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert max(seeds) > 2**29
    assert draw_seed(3) == np.random.RandomState(3).randint(2**31 - 1)
    rng = np.random.RandomState(3)
    assert [draw_seed(rng), draw_seed(rng)] == np.random.RandomState(3).randint(2**31 - 1, size=2).tolist()
    assert np.random.get_state()[1].tolist() == state  # noqa: NPY002
    one = Run(5, n_jobs=2, verbose=1, label="x").seeded(np.random.RandomState(3))
    assert one == Run(draw_seed(3), 2, 1, None, "x")
    assert isinstance(draw_seed(None), int)


def test_settings_are_read_off_an_estimator_by_their_names():
    @dataclass(frozen=True)
    class Settings:
        max_iter: int
        tol: float = 0.5
        width: int = 3

    class Estimator:
        def get_params(self, deep):
            assert deep is False
            return {"max_iter": 7, "width": "auto", "other": 1}

    assert settings_of(Settings, Estimator(), width=9) == Settings(7, 0.5, 9)
    with pytest.raises(TypeError):
        settings_of(Settings, Estimator(), nothing=1)


# ----------------------------------------------------------------------------------------------------- callbacks


def test_a_fit_that_fails_leaves_the_estimator_as_it_was(monkeypatch):
    class Estimator:
        def __init__(self):
            self.kept = 1

        @with_callbacks
        def fit(self, error=None, *, more=0):
            """Learn."""
            self.kept, self.new = 2, more
            if error is not None:
                raise error
            return self

    estimator = Estimator()
    for error in (ValueError("x"), KeyboardInterrupt()):
        with pytest.raises(type(error)):
            estimator.fit(error)
        assert vars(estimator) == {"kept": 1}
    assert estimator.fit(more=5) is estimator
    assert vars(estimator) == {"kept": 2, "new": 5}
    assert Estimator.fit.__doc__ == "Learn."


def test_without_callbacks_of_scikit_learn_methods_are_called_as_they_are(monkeypatch):
    import builtins
    import importlib.util

    real = builtins.__import__

    def without(name, *rest):
        if name == "sklearn.callback":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    spec = importlib.util.spec_from_file_location("old_callbacks", callbacks.__file__)
    old = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(old)
    assert old.HAS_CALLBACKS is False

    class Estimator(old.CallbackSupportMixin):
        @old.with_callbacks
        def fit(self, X, *, y=None):
            self.seen = X, y
            return self

    assert Estimator().fit(3, y=4).seen == (3, 4)
    assert Estimator.fit.__name__ == "fit"


# --------------------------------------------------------------------------------------------------------- caches


class Kept:
    """A cache that keeps what it is asked for under its key."""

    def __init__(self):
        self.values, self.asked = {}, []

    def cache(self, function, ignore):
        self.asked.append(tuple(ignore))

        def kept(key, *arguments):
            if key not in self.values:
                self.values[key] = function(key, *arguments)
            return self.values[key]

        return kept


def learn(value, run=None):
    if run is not None:
        for loss, score in value:
            run.begin_pass()
            if loss is not None:
                run.end_pass(loss, score)
    return ["learned", value]


@pytest.mark.parametrize(
    ("passes", "is_kept"),
    [
        ([(1.0, None), (0.5, 0.25)], True),
        ([], True),
        ([(1.0, None), (np.nan, None)], False),
        ([(1.0, np.inf)], False),
        ([(1.0, None), (None, None)], False),  # cut short
    ],
)
def test_what_was_cut_short_is_returned_and_not_kept(passes, is_kept):
    memory = Kept()
    call = learn_once(memory, learn, passes, run=Run(3))
    assert call.result == ["learned", passes]
    assert (call.kept is not None) == is_kept
    assert len(memory.values) == is_kept
    assert memory.asked == [("learn", "arguments", "run")]
    assert call.key == call_key(learn, (passes,), 3)
    assert not call.is_kept()  # this cache cannot say


@pytest.mark.parametrize(("stops", "is_kept"), [(False, True), (True, False)])
def test_a_callback_hears_of_each_pass_and_what_it_stops_is_not_kept(stops, is_kept):
    heard = []

    class Observer:
        def begin_pass(self):
            heard.append("begin")

        def end_pass(self, loss, score=None):
            heard.append((loss, score))
            return stops

    memory = Kept()
    call = learn_once(memory, learn, [(0.5, 0.25)], run=Run(3, callbacks=Observer()))
    assert heard == ["begin", (0.5, 0.25)]
    assert (call.kept is not None) == is_kept


def test_keys_are_of_content_types_and_seeds():
    keys = [call_key(learn, (value,), seed) for value, seed in ((1, 0), (1, 1), (1.0, 0), (True, 0), ("1", 0))]
    assert len(set(keys)) == len(keys)
    assert all(len(key) == 40 for key in keys)
    assert call_key(learn, (np.arange(3),), None) == call_key(learn, (np.arange(3),), None)
    with pytest.raises(Exception, match="pickle"):
        call_key(lambda: 0)


def test_a_library_that_is_not_there_has_no_version(monkeypatch):
    monkeypatch.setattr(cache, "LIBRARIES", ("numpy", "no-library-of-this-name"))
    cache.versions.cache_clear()
    assert cache.versions() == (np.__version__, None)
    cache.versions.cache_clear()


def test_what_is_sealed_is_opened_and_what_is_amiss_refused():
    function, (content, digest) = cache.Sealed({"a": np.arange(3)}).__reduce__()
    np.testing.assert_array_equal(function(content, digest).value["a"], np.arange(3))
    with pytest.raises(ValueError, match="what the cache holds is damaged"):
        function(content[:-1] + b"x", digest)
