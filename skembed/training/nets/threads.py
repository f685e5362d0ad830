"""Threads for a net: as many as torch has where a step is work for them, else one."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from skembed.openmp import one_openmp_thread

__all__ = ["threads_for"]

# Multiplications of a step's forward pass. On two processors a second thread makes nets below it .8 to 1.2 times as
# fast if both are free, and a third as fast if another process has one; at three times this size it is 1.3 to 1.5.
WORTH_THREADS = 5e7


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
