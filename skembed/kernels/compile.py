"""Compilation of kernels by numba: kept on disk where there is a place for it, done anew in each process where not.

The one module that takes `njit` from numba, so that what holds for one kernel holds for all.
"""

import threading
import warnings
from collections.abc import Callable
from typing import Any

from numba import njit

__all__ = ["compiled"]

_warned = threading.Event()


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

    Examples
    --------
    >>> @compiled()
    ... def double(x):
    ...     return 2 * x
    >>> double(21)
    42
    """

    def decorate(function: Callable) -> Any:
        try:
            kernel = njit(cache=True, nogil=True, **options)(function)
        except (RuntimeError, OSError) as error:  # RuntimeError: no folder can be written to
            _warn_of_no_cache(error)
            return njit(nogil=True, **options)(function)
        if hasattr(kernel, "_cache"):  # not where NUMBA_DISABLE_JIT leaves functions as they are
            kernel._cache = _OptionalCache(kernel._cache)
        return kernel

    return decorate


class _OptionalCache:
    """A cache of numba whose faults cost a compilation, where numba itself would pass them on to who calls a kernel."""

    def __init__(self, cache: Any) -> None:
        self._cache = cache

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


def _warn_of_no_cache(error: Exception) -> None:
    if _warned.is_set():
        return
    _warned.set()
    warnings.warn(
        "skembed compiles its kernels anew in each process, which takes seconds to a minute, since they cannot be kept "
        f"({error}). Set the environment variable NUMBA_CACHE_DIR to a folder that can be written to before Python "
        "starts.",
        UserWarning,
        stacklevel=3,
    )
