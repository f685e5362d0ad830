"""Threads of torch: one for a net that runs beside others, and one in forked processes."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import torch

from skembed.forks import is_fork
from skembed.threads import one_openmp_thread

__all__ = ["on_one_thread", "on_one_thread_in_forks"]

P = ParamSpec("P")
R = TypeVar("R")


def on_one_thread_in_forks(function: Callable[P, R]) -> Callable[P, R]:
    """Let a function that runs torch set it to one thread in a forked process, and leave it so.

    OpenMP's others are lost in the fork, and would be waited for without end. torch's DataLoader does the same in its
    workers.
    """

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        if is_fork() and torch.get_num_threads() != 1:
            torch.set_num_threads(1)
        return function(*args, **kwargs)

    return run


def on_one_thread(function: Callable[P, R]) -> Callable[P, R]:
    """Let a function run torch in the caller's thread alone; other threads keep what they have."""

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        if torch.get_num_threads() == 1:  # which is also where a new thread takes over torch's number
            return function(*args, **kwargs)
        with one_openmp_thread():
            return function(*args, **kwargs)

    return run
