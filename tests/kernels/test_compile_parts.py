"""Compilation of kernels in this process: faults of the cache, one warning, and one line about the time it takes."""

import logging
import threading
import warnings
from types import SimpleNamespace

import pytest

from skembed.kernels import compile
from skembed.kernels.compile import _Announcement, _OptionalCache, compiled


class Cache:
    """A cache of numba as far as it is looked at; `faults` are raised by its methods."""

    cache_path = "somewhere"

    def __init__(self, **faults):
        self.faults, self.done = faults, []

    def _do(self, what, *arguments):
        self.done.append((what, *arguments))
        if what in self.faults:
            raise self.faults[what]
        return "code"

    def load_overload(self, sig, target_context):
        return self._do("load", sig, target_context)

    def save_overload(self, sig, data):
        self._do("save", sig, data)

    def flush(self):
        self._do("flush")

    def enable(self):
        self._do("enable")

    def disable(self):
        self._do("disable")


@pytest.fixture
def may_warn(monkeypatch):
    """Nothing was warned of in this process."""
    monkeypatch.setattr(compile, "_may_warn", threading.Lock())


@pytest.mark.filterwarnings("error")
def test_a_cache_without_faults_does_what_numbas_does():
    cache = Cache()
    optional = _OptionalCache(cache)
    assert optional.cache_path == "somewhere"
    assert optional.load_overload("signature", "context") == "code"
    optional.save_overload("signature", "data")
    optional.enable()
    assert cache.done == [("load", "signature", "context"), ("save", "signature", "data"), ("enable",)]


@pytest.mark.filterwarnings("error")
def test_a_cache_that_cannot_be_read_is_flushed_and_compiled_anew():
    cache = Cache(load=EOFError("damaged"))
    assert _OptionalCache(cache).load_overload("signature", "context") is None
    assert cache.done == [("load", "signature", "context"), ("flush",)]


@pytest.mark.parametrize("fault", ["flush", "save"])
def test_a_cache_that_cannot_be_written_is_given_up_with_one_warning(fault, may_warn):
    cache = Cache(load=EOFError("damaged"), **{fault: OSError("the disk is full")})
    optional = _OptionalCache(cache)
    with pytest.warns(
        UserWarning, match=r"anew in each process.*\(the disk is full\).*Set .* NUMBA_CACHE_DIR"
    ) as caught:
        optional.load_overload("signature", "context") if fault == "flush" else optional.save_overload("a", "b")
    assert len(caught) == 1
    assert cache.done[-1] == ("disable",)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        optional.save_overload("signature", "data")


def test_what_a_cache_holds_is_for_all_kernels_as_they_are():
    cache = Cache()
    cache._cache_file = SimpleNamespace(_source_stamp=("time", "size"))
    _OptionalCache(cache)
    assert cache._cache_file._source_stamp == (("time", "size"), compile._STAMPS)
    names = [name for name, _, _ in compile._STAMPS]
    assert names == sorted(names)
    assert {"compile.py", "simd.py", "windows.py"} <= set(names)
    assert all(size > 0 and time > 0 for _, time, size in compile._STAMPS)


@pytest.mark.parametrize("error", [RuntimeError("no locator"), OSError("read-only")])
def test_kernels_are_compiled_without_a_cache_where_there_is_no_place_for_one(error, may_warn, monkeypatch):
    made = []

    def njit(**options):
        def decorate(function):
            if options.get("cache"):
                raise error
            made.append(options)
            return function

        return decorate

    monkeypatch.setattr(compile, "njit", njit)
    with pytest.warns(UserWarning, match=str(error)):
        kernel = compiled(fastmath=True)(len)
    assert kernel is len
    compile._functions.discard(len)
    assert made == [
        {"fastmath": True, "nogil": True, "pipeline_class": compile._KernelCompiler, "no_cfunc_wrapper": True}
    ]


def test_a_kernel_that_numba_keeps_has_a_cache_whose_faults_cost_a_compilation(monkeypatch):
    kernel, cache = SimpleNamespace(), Cache()
    kernel._cache = cache
    monkeypatch.setattr(compile, "njit", lambda **options: lambda function: kernel)
    assert compiled()(len) is kernel
    compile._functions.discard(len)
    assert isinstance(kernel._cache, _OptionalCache)
    assert kernel._cache.load_overload("signature", "context") == "code"


def test_functions_that_numba_leaves_as_they_are_have_no_cache(monkeypatch):
    monkeypatch.setattr(compile, "njit", lambda **options: lambda function: function)
    assert compiled()(len) is len
    assert len in compile._functions
    compile._functions.discard(len)


def test_kernels_have_none_of_the_passes_that_find_nothing():
    from numba.core.compiler import DefaultPassBuilder

    (pipeline,) = compile._KernelCompiler.define_pipelines(SimpleNamespace(state=state()))
    passes = [pass_ for pass_, _ in pipeline.passes]
    usual = [pass_ for pass_, _ in DefaultPassBuilder.define_nopython_pipeline(state()).passes]
    assert passes == [pass_ for pass_ in usual if pass_ not in compile._NEEDLESS_PASSES]
    assert len(usual) - len(passes) == len(compile._NEEDLESS_PASSES)
    assert pipeline.finalized


def state():
    from numba.core.compiler import Flags

    return SimpleNamespace(flags=Flags(), func_ir=None)


# ------------------------------------------------------------------------------------------------- the line of time


def kernel():
    pass


def compilation(function=kernel, path="a folder"):
    dispatcher = SimpleNamespace(py_func=function, stats=SimpleNamespace(cache_path=path))
    return SimpleNamespace(data={"dispatcher": dispatcher})


@pytest.fixture
def clock(monkeypatch, caplog):
    """A clock that tests move, timers that tests let go off, and what was said."""
    caplog.set_level(logging.WARNING, "skembed")
    monkeypatch.setattr(compile, "_functions", {kernel})
    timers = []

    class Timer:
        def __init__(self, seconds, function, arguments):
            self.seconds, self.go_off = seconds, lambda: function(*arguments)
            self.state = "made"
            timers.append(self)

        def start(self):
            assert self.daemon is True
            self.state = "started"

        def cancel(self):
            self.state = "cancelled"

    monkeypatch.setattr(compile.threading, "Timer", Timer)
    now = SimpleNamespace(seconds=100.0)
    monkeypatch.setattr(compile.time, "monotonic", lambda: now.seconds)
    return SimpleNamespace(now=now, timers=timers, said=lambda: [record.getMessage() for record in caplog.records])


def test_short_compilations_are_said_once_they_have_taken_a_second_in_all(clock):
    told = _Announcement()
    for n, taken in enumerate([0.25, 0.5, 0.25]):
        assert clock.said() == []
        told.on_start(compilation())
        assert clock.timers[n].seconds == pytest.approx([1.0, 0.75, 0.25][n])
        assert clock.timers[n].state == "started"
        clock.now.seconds += taken
        told.on_end(compilation())
        assert clock.timers[n].state == "cancelled"
    (line,) = clock.said()
    assert line == "skembed is compiling its kernels, which takes seconds to a minute; they are kept in a folder."
    told.on_start(compilation())
    assert len(clock.timers) == 3
    told.on_end(compilation())
    assert len(clock.said()) == 1


def test_a_long_compilation_is_said_while_it_lasts_and_once(clock):
    told = _Announcement()
    told.on_start(compilation(path=None))
    told.on_start(compilation())  # a kernel that the first one calls
    assert len(clock.timers) == 1
    clock.timers[0].go_off()
    (line,) = clock.said()
    assert line.endswith("there is no folder to keep them in.")
    clock.now.seconds += 9
    told.on_end(compilation())
    assert clock.timers[0].state == "started"
    told.on_end(compilation(path=None))
    assert clock.timers[0].state == "cancelled"
    assert len(clock.said()) == 1


def test_time_between_compilations_does_not_count(clock):
    told = _Announcement()
    for _ in range(3):
        told.on_start(compilation())
        clock.now.seconds += 0.25
        told.on_end(compilation())
        clock.now.seconds += 100
    assert clock.said() == []


def test_kernels_of_others_are_not_spoken_of(clock):
    told = _Announcement()
    told.on_end(compilation())  # that began before we listened
    told.on_start(compilation(len))
    clock.now.seconds += 9
    told.on_end(compilation(len))
    assert clock.timers == []
    told.on_start(compilation())
    told.on_end(compilation(len))
    assert clock.timers[0].state == "started"
    assert clock.said() == []
