"""BLAS on one thread while somebody needs it so; how many it has is, mostly, one number of the whole process."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

__all__ = ["one_blas_thread"]


class _Limit:
    """The limit that all threads of the process share which are in a block."""

    def __init__(self) -> None:
        self.lock, self.n_blocks = Lock(), 0
        self.limits: Any = None


_LIMIT = _Limit()


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Let BLAS have one thread within the block, also where other threads of the process are in such blocks.

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
    from threadpoolctl import threadpool_info, threadpool_limits

    if any(pool["user_api"] == "blas" and pool.get("threading_layer") == "openmp" for pool in threadpool_info()):
        with threadpool_limits(1, user_api="blas"):  # such a one has a number for each thread
            yield
        return
    with _LIMIT.lock:
        if not _LIMIT.n_blocks:
            _LIMIT.limits = threadpool_limits(1, user_api="blas")
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


def _let_others_set_it() -> None:
    """Of the threads that live, threadpoolctl 3.8 lets the first that set the number alone change it."""
    import threadpoolctl

    release = getattr(getattr(threadpoolctl, "OpenBLASController", None), "clear_controlling_thread", None)
    if release is not None:
        release()
