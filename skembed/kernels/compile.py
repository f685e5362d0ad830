"""Compilation of kernels by numba: kept on disk where there is a place for it, done anew in each process where not.

The one module that takes `njit` from numba, so that what holds for one kernel holds for all. Where numpy does the
same a few times slower, it does until the compiler would have been quicker. Where compilation takes
long, one line says so to the logger "skembed", which is on stderr unless a program has set up `logging` itself.
"""

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba.extending
from numba import njit
from numba.core import event
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import PassManager
from numba.core.typed_passes import InlineOverloads, NopythonRewrites, PreLowerStripPhis
from numba.core.untyped_passes import InlineClosureLikes, ReconstructSSA

from skembed.warning import warn

__all__ = ["compiled", "compiled_late", "intrinsic"]

intrinsic: Any = numba.extending.intrinsic  # its calls inside kernels lack the typing context, which confuses checkers

QUIET_SECONDS = 1.0  # that a process may spend on compilation before it is said
PATIENCE_SECONDS = 0.25  # that numpy may take in place of a kernel, of one thread; what numba takes for a small one
_may_warn = threading.Lock()  # whoever takes it warns; it is never given back
_functions: set[Callable] = set()  # the kernels, as Python has them
# Most of the time of compilation is that of numba's passes, in Python. Kernels have no closures and no expressions of
# whole arrays, and a variable of theirs has one type throughout: what these passes find is nothing.
_NEEDLESS_PASSES = {InlineClosureLikes, ReconstructSSA, PreLowerStripPhis, InlineOverloads, NopythonRewrites}


def compiled(**options: Any) -> Callable[[Callable], Any]:
    """Compile a function on its first call, for each set of types, with the GIL released.

    Machine code is kept beside the module or, where that cannot be written to, in the user's cache or the folder that
    the environment variable NUMBA_CACHE_DIR names. A cache that is missing, read-only or damaged costs time, never a
    result: the function is compiled anew.

    Parameters
    ----------
    **options
        Of `numba.njit`, as ``fastmath`` and ``inline``.

    Returns
    -------
    callable
        The decorator.

    Warns
    -----
    UserWarning
        Once in a process, if there is no place to keep machine code.
    """

    def decorate(function: Callable) -> Any:
        _functions.add(function)
        given = options | {"nogil": True, "pipeline_class": _KernelCompiler, "no_cfunc_wrapper": True}  # C calls none
        try:
            kernel = njit(cache=True, **given)(function)
        except (RuntimeError, OSError) as error:  # RuntimeError: no folder can be written to
            _warn_of_no_cache(error)
            return njit(**given)(function)
        if hasattr(kernel, "_cache"):  # not where NUMBA_DISABLE_JIT leaves functions as they are
            kernel._cache = _OptionalCache(kernel._cache)
        return kernel

    return decorate


def compiled_late(twin: Callable, **options: Any) -> Callable[[Callable], Any]:
    """Compile a function as `compiled` does, but leave its work to numpy first: small fits wait for no compiler.

    The kernel takes over when its twin has taken `PATIENCE_SECONDS` of this process, and at once where it lies compiled
    on disk. So no process loses much more than it would by knowing how much work is to come; of a kernel whose single
    calls may be long, the caller of a long one takes `kernel`.

    Parameters
    ----------
    twin : callable
        Takes the same arguments and gives the same bits.
    **options
        As for `compiled`.

    Returns
    -------
    callable
        The decorator. What it makes is called by Python alone, not by kernels.
    """

    def decorate(function: Callable) -> LateKernel:
        return LateKernel(compiled(**options)(function), twin)

    return decorate


class LateKernel:
    """A kernel and its twin in numpy; see `compiled_late`."""

    def __init__(self, kernel: Any, twin: Callable) -> None:
        self.kernel, self.twin = kernel, twin
        self.__doc__ = kernel.__doc__
        self._patience: float | None = None  # seconds; None before the first call

    def __call__(self, *arguments: Any) -> Any:
        if self._patience is None:
            self._patience = 0.0 if _is_kept(self.kernel) else PATIENCE_SECONDS
        if self._patience <= 0.0:
            return self.kernel(*arguments)
        started = time.thread_time()
        result = self.twin(*arguments)
        self._patience -= time.thread_time() - started  # a call of another thread may be lost: it is no account
        return result


def _is_kept(kernel: Any) -> bool:
    """Whether a kernel was compiled before and lies on disk, perhaps from other files; where numba knows, not we."""
    index: Any = getattr(getattr(getattr(kernel, "_cache", None), "_cache", None), "_cache_file", None)
    return Path(getattr(index, "_index_path", "")).is_file()


class _KernelCompiler(CompilerBase):
    """Numba's compiler without the passes that find nothing in kernels."""

    def define_pipelines(self) -> list[PassManager]:
        pipeline = PassManager("kernel")
        for pass_, description in DefaultPassBuilder.define_nopython_pipeline(self.state).passes:
            if pass_ not in _NEEDLESS_PASSES:
                pipeline.add_pass(pass_, description)
        pipeline.finalize()
        return [pipeline]


class _OptionalCache:
    """A cache of numba whose faults cost a compilation, where numba itself would pass them on to who calls a kernel.

    What it holds is for the kernels as they are now, all of them: numba looks at the file of a function alone, and
    would keep it where what it calls, or how its arguments are packed, has changed in another file.
    """

    def __init__(self, cache: Any) -> None:
        self._cache = cache
        index: Any = getattr(cache, "_cache_file", None)  # numba's own, which another version may have elsewhere
        if hasattr(index, "_source_stamp"):
            index._source_stamp = index._source_stamp, _STAMPS
        self.enable, self.disable, self.flush = cache.enable, cache.disable, cache.flush

    @property
    def cache_path(self) -> str:
        return self._cache.cache_path

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            return self._cache.load_overload(sig, target_context)
        except Exception:  # of a damaged file, whatever unpickling may raise
            try:
                self.flush()  # else saving would read the same damaged index
            except OSError as error:
                self._give_up(error)
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        try:
            self._cache.save_overload(sig, data)
        except Exception as error:  # a full disk, a folder that is gone or read-only by now, a damaged index
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        self.disable()
        _warn_of_no_cache(error)


def _stamps() -> list[tuple[str, float, int]]:
    """Return what tells these files from earlier ones of the same names."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    return [(file.name, file.stat().st_mtime, file.stat().st_size) for file in files]


_STAMPS = _stamps()


def _warn_of_no_cache(error: Exception) -> None:
    if not _may_warn.acquire(blocking=False):
        return
    warn(
        "skembed compiles its kernels anew in each process, which takes seconds to a minute, since they cannot be kept "
        f"({error}). Set the environment variable NUMBA_CACHE_DIR to a folder that can be written to before Python "
        "starts."
    )


class _Announcement(event.Listener):
    """One line on the first compilation of kernels in a process, once it has taken `QUIET_SECONDS` in all.

    Numba tells of starts and ends under its own lock, so that they come from one thread at a time; a kernel is compiled
    within that of another which calls it. What is loaded from a cache is told of nowhere.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._said = False
        self._depth = 0
        self._spent = self._started = 0.0  # seconds
        self._timer: threading.Timer

    def on_start(self, compilation: event.Event) -> None:
        if self._said or not _is_kernel(compilation):
            return
        self._depth += 1
        if self._depth == 1:
            self._started = time.monotonic()
            # in a thread of its own: a single kernel may take many seconds, in which nothing else is told of
            path = compilation.data["dispatcher"].stats.cache_path
            self._timer = threading.Timer(max(QUIET_SECONDS - self._spent, 0.0), self._say, [path])
            self._timer.daemon = True
            self._timer.start()

    def on_end(self, compilation: event.Event) -> None:
        if not self._depth or not _is_kernel(compilation):
            return
        self._depth -= 1
        if self._depth == 0:
            self._timer.cancel()
            self._spent += time.monotonic() - self._started
            if self._spent >= QUIET_SECONDS:  # the timer may have come too late
                self._say(compilation.data["dispatcher"].stats.cache_path)

    def _say(self, path: str | None) -> None:
        with self._lock:
            said, self._said = self._said, True
        if not said:
            kept = "there is no folder to keep them in" if path is None else f"they are kept in {path}"
            logging.getLogger("skembed").warning(
                "skembed is compiling its kernels, which takes seconds to a minute; %s.", kept
            )


def _is_kernel(compilation: event.Event) -> bool:
    return getattr(compilation.data["dispatcher"], "py_func", None) in _functions


event.register("numba:compile", _Announcement())
