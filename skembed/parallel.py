"""Work in rounds over a fixed number of logical partitions: the result never depends on how many workers there are.

A round is ``fit_partition(state, partition, seed) -> (rows, deltas)`` for every partition, which is pure, and then a
merge in the order of the partitions. How many partitions there are is a matter of the data; `n_jobs` only says how many
of them are worked on at once.

Threads are the default and come from a pool of our own, because the kernels release the GIL and a round takes
milliseconds: joblib's threading backend looks for results every 10 ms. Any other backend chosen with
``joblib.parallel_config`` (loky, dask, ray) is used as it is.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import joblib
from joblib.parallel import get_active_backend

__all__ = ["count_workers", "workers"]

Map = Callable[[Callable[..., Any], Iterable[tuple]], list]

_OUR_OWN = ("SequentialBackend", "ThreadingBackend")


def count_workers(n_jobs: int | None) -> int:
    """How many workers `n_jobs` means here: None is what ``joblib.parallel_config`` says, 1 without it; -1 all cores.

    Raises
    ------
    ValueError
        If `n_jobs` is 0.

    Examples
    --------
    >>> count_workers(None), count_workers(2)
    (1, 2)
    """
    if n_jobs == 0:
        raise ValueError("n_jobs=0 means no worker at all; use None or 1 for one, -1 for one a core.")
    backend, configured = get_active_backend(prefer="threads")
    chosen = configured if n_jobs is None else n_jobs
    return 1 if chosen is None else max(1, backend.effective_n_jobs(chosen))


@contextmanager
def workers(n_jobs: int | None = None) -> Iterator[tuple[Map, int]]:
    """Open workers for many short rounds.

    Parameters
    ----------
    n_jobs : int or None
        As in scikit-learn.

    Yields
    ------
    map_ : callable
        ``map_(function, tasks)`` calls ``function(*task)`` for each task and returns the results in the order of the
        tasks. An exception, Ctrl-C among them, reaches the caller when no worker is running any more.
    shared_memory : bool
        Whether `function` may write to arrays that the caller sees (threads), or works on copies (processes, clusters).

    Examples
    --------
    >>> with workers(2) as (map_, shared_memory):
    ...     map_(pow, [(2, 3), (3, 2)]), shared_memory
    ([8, 9], True)
    """
    backend, _ = get_active_backend(prefer="threads")
    n_workers = count_workers(n_jobs)
    if type(backend).__name__ not in _OUR_OWN:
        with joblib.Parallel(n_jobs=n_jobs) as parallel:
            yield lambda function, tasks: parallel(joblib.delayed(function)(*task) for task in tasks), False
    elif n_workers == 1:
        yield lambda function, tasks: [function(*task) for task in tasks], True
    else:
        yield from _threads(n_workers)


def _threads(n_workers: int) -> Iterator[tuple[Map, bool]]:
    with ThreadPoolExecutor(n_workers, thread_name_prefix="skembed") as pool:

        def map_(function: Callable[..., Any], tasks: Iterable[tuple]) -> list:
            futures = [pool.submit(function, *task) for task in tasks]
            try:
                return [future.result() for future in futures]
            except BaseException:
                for future in futures:
                    future.cancel()
                raise  # leaving the pool waits for those already running

        yield map_, True
