"""Fixtures shared by all tests."""

import importlib.util
import os
import signal

if "PYTEST_XDIST_WORKER" in os.environ:  # tests in several processes: their pools of threads would wait for each other
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # read once, as numpy and torch are imported

import pytest
from frames import FRAMES, make_frame
from hypothesis import settings

settings.register_profile("skembed", deadline=None)  # timing decides no test
settings.load_profile("skembed")

TORCH = importlib.util.find_spec("torch") is not None


@pytest.fixture(params=FRAMES)
def frame(request):
    """Run a test on each kind of frame: a function from a dict of columns to the frame, its `kind` beside it."""

    def make(columns: dict):
        return make_frame(request.param, columns)

    make.kind = request.param
    make.named = request.param not in ("numpy", "list")
    return make


@pytest.fixture(scope="session")
def make_objects():
    """Put a dict of columns into one array of objects."""
    return lambda columns: make_frame("numpy", columns)


@pytest.fixture(scope="session", autouse=True)
def interrupts():
    """Let Ctrl-C be heard also where the tests run as a background job, which a shell starts with it ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def needs_torch(error: BaseException | None) -> bool:
    """Whether an error comes of torch not being there: what it was raised from, and while, are looked at, too."""
    while error is not None:
        if isinstance(error, ModuleNotFoundError) and error.name == "torch":
            return True
        error = error.__cause__ or error.__context__
    return False


def skip_without_torch():
    """Where torch is not installed, skip what would have needed it; where it is, let every error be one."""
    try:
        return (yield)
    except BaseException as error:
        if TORCH or not needs_torch(error):
            raise
    pytest.skip("torch is not installed")


pytest_runtest_setup = pytest.hookimpl(wrapper=True)(lambda item: (yield from skip_without_torch()))
pytest_runtest_call = pytest.hookimpl(wrapper=True)(lambda item: (yield from skip_without_torch()))
