"""Threads for a net: as many as torch has where a step is work for them, else one."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from skembed.forks import is_fork
from skembed.threads import WORTH_THREADS, one_openmp_thread

__all__ = ["one_thread_in_forks", "threads_for"]


@contextmanager
def threads_for(n_products: float) -> Iterator[None]:
    """Let torch have one thread within the block unless a step is long.

    Parameters
    ----------
    n_products : float
        Multiplications of a step's forward pass.
    """
    if n_products >= WORTH_THREADS or torch.get_num_threads() == 1:
        yield
        return
    with one_openmp_thread():
        yield


@contextmanager
def one_thread_in_forks() -> Iterator[None]:
    """Set torch to one thread in a forked process, and leave it so: it would wait for lost ones without end."""
    if is_fork():
        torch.set_num_threads(1)  # MKL, too
    yield
