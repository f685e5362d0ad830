"""Threads of BLAS, by which numpy and scipy compute, and of OpenMP, by which torch does: one where work is small.

Several wait for each other actively. On free processors small work gains nothing by them, and where another process
has one of the processors it takes several times as long, up to fifty times.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from threading import Lock
from typing import Any

__all__ = ["WORTH_THREADS", "blas_threads_for", "one_blas_thread", "one_openmp_thread"]

# Multiplications of a product or decomposition, or of a forward pass of a net. On two free processors two threads take
# .8 to 1.25 times as long as one below it; at three times this size they take .7 times as long.
WORTH_THREADS = 5e7


class _Limit:
    """The limit that all threads of the process share which are in a block."""

    def __init__(self) -> None:
        self.lock, self.n_blocks = Lock(), 0
        self.limits: Any = None


_LIMIT = _Limit()


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Let BLAS have one thread within the block, also where other threads of the process are in such blocks.

    How many it has is, mostly, one number of the whole process.
    The last to leave brings back the number that was there before the first. Were each to bring back what it had found,
    the first to leave would give more to the others, and the last would leave one thread to the process for good.

    Examples
    --------
    >>> import numpy as np
    >>> from threadpoolctl import threadpool_info
    >>> with one_blas_thread():
    ...     {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}
    {1}
    """
    controller = _blas_controller()
    if any(getattr(pool, "threading_layer", None) == "openmp" for pool in controller.lib_controllers):
        with controller.limit(limits=1, user_api="blas"):  # such a one has a number for each thread
            yield
        return
    with _LIMIT.lock:
        if not _LIMIT.n_blocks:
            _LIMIT.limits = controller.limit(limits=1, user_api="blas")
            _let_others_set_it()
        _LIMIT.n_blocks += 1
    try:
        yield
    finally:
        with _LIMIT.lock:
            _LIMIT.n_blocks -= 1
            if not _LIMIT.n_blocks:
                _LIMIT.limits.restore_original_limits()
                _let_others_set_it()


def blas_threads_for(n_products: float) -> AbstractContextManager[None]:
    """Let BLAS have one thread within the block unless its calls are long.

    Parameters
    ----------
    n_products : float
        Multiplications of a product or decomposition, those of the longest.
    """
    return nullcontext() if n_products >= WORTH_THREADS else one_blas_thread()


@contextmanager
def one_openmp_thread() -> Iterator[None]:
    """Let OpenMP have the caller's thread alone within the block; other threads of the process keep what they have.

    To be called where torch is imported already. Who has set the number by `torch.set_num_threads` has set that of
    MKL's products, too, which then keep it.
    """
    with _openmp_controller().limit(limits=1, user_api="openmp"):  # of each thread its own number, as OpenMP has it
        yield


# To look through all libraries takes longer than many a block: once for each.


@cache
def _blas_controller() -> Any:
    import scipy.linalg  # noqa: F401 (which has a BLAS of its own)
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


@cache
def _openmp_controller() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()  # torch brings its own


def _let_others_set_it() -> None:
    """Of the threads that live, threadpoolctl 3.8 lets the first that set the number alone change it."""
    import threadpoolctl

    release = getattr(getattr(threadpoolctl, "OpenBLASController", None), "clear_controlling_thread", None)
    if release is not None:
        release()
