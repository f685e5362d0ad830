"""Threads of OpenMP, on which torch runs its nets: one where a net is small."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from threadpoolctl import ThreadpoolController

__all__ = ["one_openmp_thread"]


@contextmanager
def one_openmp_thread() -> Iterator[None]:
    """Let OpenMP have the caller's thread alone within the block; other threads of the process keep what they have.

    After each layer of a net on several threads all of them are waited for, actively. Where another process is at work
    on one of the processors, that takes many times as long as a small layer.

    To be called where torch is imported already. Who has set the number by `torch.set_num_threads` has set that of
    MKL's products, too, which then keep it.
    """
    with _controller().limit(limits=1, user_api="openmp"):  # of each thread its own number, as OpenMP has it
        yield


@cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()  # looks through all libraries: once, and behind torch's import
