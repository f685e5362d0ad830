"""Work in rounds over a fixed number of logical shards: the result never depends on how many workers there are.

A round is ``fit_shard(tables, shard, seed)`` for every shard, which reads the tables as they are when the
round begins and returns which rows it would change by how much, and then a merge in the order of the shards. How
many shards there are is a matter of the data; `n_jobs` only says how many of them are worked on at once.

Threads are the default and come from a pool of our own, because kernels release the GIL and a round takes milliseconds,
while joblib's threading backend looks for results every 10 ms. Any other backend chosen with ``joblib.parallel_config``
(loky, dask, ray) is used as it is, and gives the same bits; it has to send the tables with every round, so it pays only
where a round takes long.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

import joblib
import numpy as np
from joblib.parallel import get_active_backend

__all__ = ["Rounds", "RowDeltas", "ShardFunction", "Workers", "count_workers", "open_workers"]

_OF_THREADS = ("SequentialBackend", "ThreadingBackend")


class RowDeltas(NamedTuple):
    """The changes that a shard would make to a table.

    Attributes
    ----------
    rows : ndarray of shape (n,), int32
        The row of each delta, each row once; with `ends`, the rows of all deltas, in any number.
    deltas : ndarray of shape (n, embedding_dim or more), float32
        Columns beyond those of the table are padding.
    step_weights : ndarray of shape (n,), float32
        How far the steps of each row went towards its optimum: learning rate times curvature, summed over its updates.
        Deltas of small weights are summed, those of weights above 1 tend to be averaged; zeros ask for the plain sum.
        See `skembed.kernels.merge`.
    ends : ndarray of shape (n,), int64, or None
        Delta i is for each of ``rows[ends[i - 1] : ends[i]]``; None: for row i.
    """

    rows: np.ndarray
    deltas: np.ndarray
    step_weights: np.ndarray
    ends: np.ndarray | None = None


class ShardFunction(Protocol):
    """Learn from one shard without changing anything: deltas, one for each table, and whatever else is of use."""

    def __call__(
        self, tables: Sequence[np.ndarray], shard: Any, seed: tuple[int, ...]
    ) -> tuple[Sequence[RowDeltas], Any]: ...


class Workers(NamedTuple):
    """Workers that are there for many rounds; see `open_workers`.

    Attributes
    ----------
    map : callable
        ``map(function, tasks)`` calls ``function(*task)`` for each task and returns the results in the order of the
        tasks. An exception, Ctrl-C among them, reaches the caller when no thread is running any more.
    n_workers : int
    share_memory : bool
        Whether a function may write to arrays that the caller sees (threads), or works on copies (processes, clusters).
    """

    map: Callable[[Callable[..., Any], Iterable[tuple]], list]
    n_workers: int
    share_memory: bool


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
        raise ValueError("n_jobs=0 asks for no worker at all. Use None or 1 for one, 2 for two, -1 for one a core.")
    _, configured = get_active_backend(prefer="threads")
    chosen = configured if n_jobs is None else n_jobs
    if chosen is None:
        return 1
    return max(1, joblib.cpu_count() + 1 + chosen) if chosen < 0 else int(chosen)


@contextmanager
def open_workers(n_jobs: int | None = None) -> Iterator[Workers]:
    """Workers for many short rounds, closed at the end of the block.

    Parameters
    ----------
    n_jobs : int or None
        As in scikit-learn; see `count_workers`.

    Yields
    ------
    Workers

    Examples
    --------
    >>> with open_workers(2) as workers:
    ...     workers.map(pow, [(2, 3), (3, 2)])
    [8, 9]
    """
    n_workers = count_workers(n_jobs)
    backend, _ = get_active_backend(prefer="threads")
    if type(backend).__name__ not in _OF_THREADS:
        # tables change from round to round, and joblib would map to memory what it saw first
        with joblib.Parallel(n_jobs=n_jobs, max_nbytes=None) as parallel:
            yield Workers(
                lambda function, tasks: parallel(joblib.delayed(function)(*task) for task in tasks), n_workers, False
            )
    elif n_workers == 1:
        yield Workers(_map_here, 1, True)
    else:
        with ThreadPoolExecutor(n_workers, thread_name_prefix="skembed") as pool:
            yield Workers(lambda function, tasks: _map_threads(pool, function, tasks), n_workers, True)


def _map_here(function: Callable[..., Any], tasks: Iterable[tuple]) -> list:
    results = []
    for task in tasks:
        results.append(function(*task))  # a comprehension would be one more frame in every traceback
    return results


def _map_threads(pool: ThreadPoolExecutor, function: Callable[..., Any], tasks: Iterable[tuple]) -> list:
    futures = [pool.submit(function, *task) for task in tasks]
    try:
        return [future.result() for future in futures]
    except BaseException:
        for future in futures:
            future.cancel()
        for future in futures:
            if not future.cancelled():
                future.exception()  # waits
        raise


class Rounds:
    """Rounds over the same tables; see the module.

    Parameters
    ----------
    workers : Workers
    fit_shard : ShardFunction
    tables : sequence of ndarray of shape (n_rows, embedding_dim), float32, C-contiguous
        Each round changes them.

    Examples
    --------
    >>> def add_one(tables, row, seed):
    ...     return [RowDeltas(np.array([row], np.int32), np.ones((1, 2), np.float32), np.zeros(1, np.float32))], "done"
    >>> table = np.zeros((2, 2), np.float32)
    >>> with open_workers(1) as workers:
    ...     Rounds(workers, add_one, [table]).run([1, 1], [(0,), (1,)])
    ['done', 'done']
    >>> table
    array([[0., 0.],
           [2., 2.]], dtype=float32)
    """

    def __init__(self, workers: Workers, fit_shard: ShardFunction, tables: Sequence[np.ndarray]) -> None:
        self.workers = workers
        self.fit_shard = fit_shard
        self.tables = tables
        self._total = [np.zeros(len(table), np.float32) for table in tables]
        self._covered = [np.zeros(len(table), np.float32) for table in tables]

    def run(
        self,
        shards: Sequence[Any],
        seeds: Sequence[tuple[int, ...]],
        accept: Callable[[list], bool] | None = None,
    ) -> list:
        """Let every shard learn from the tables as they are, then merge in the order of the shards.

        Parameters
        ----------
        shards : sequence
        seeds : sequence of tuple of int
            One for each shard.
        accept : callable or None
            Is given the reports of the shards; if it says no, the tables stay as they are.

        Returns
        -------
        list
            The reports: what `fit_shard` returned beside the deltas, in the order of the shards.
        """
        tasks = [(self.tables, shard, seed) for shard, seed in zip(shards, seeds, strict=True)]
        results = self.workers.map(self.fit_shard, tasks)
        reports = [report for _, report in results]
        if accept is None or accept(reports):
            self._merge([deltas for deltas, _ in results])
        return reports

    def _merge(self, learned: list[Sequence[RowDeltas]]) -> None:
        # a row is changed by one worker and in the order of the shards, so the number of parts changes no bit
        n_parts = max(1, -(-self.workers.n_workers // len(self.tables)))
        tasks = [
            ([deltas[which] for deltas in learned], which, part, n_parts)
            for which in range(len(self.tables))
            for part in range(n_parts)
        ]
        if self.workers.share_memory:
            self.workers.map(self._merge_part, tasks)
        else:
            for task in tasks:
                self._merge_part(*task)

    def _merge_part(self, learned: list[RowDeltas], which: int, part: int, n_parts: int) -> None:
        from skembed.kernels import merge  # here, so that opening workers does not take numba

        table, total, covered = self.tables[which], self._total[which], self._covered[which]
        with_ends = [
            (rows, np.arange(1, len(rows) + 1) if ends is None else ends, deltas, step_weights)
            for rows, deltas, step_weights, ends in learned
        ]
        if len(learned) > 1 or learned[0].ends is not None:  # else no row has two deltas
            for rows, ends, _, step_weights in with_ends:
                merge.add_step_weights(rows, ends, step_weights, part, n_parts, total, covered)
        for rows, _, _, _ in with_ends:
            merge.find_scales(rows, part, n_parts, total, covered)
        for rows, ends, deltas, _ in with_ends:
            merge.add_deltas(table, rows, ends, deltas, part, n_parts, covered)
        for rows, _, _, _ in with_ends:
            merge.clear_step_weights(rows, part, n_parts, total, covered)
