"""Work in rounds over a fixed number of logical shards: the result never depends on how many workers there are.

A round is ``fit_shard(tables, shard, seed)`` for every shard, which reads the tables as they are when the
round begins and returns which rows it would change by how much (`Workers.map`), and then a merge in the order of the
shards (`Merger`). How many shards there are is a matter of the data; `n_jobs` only says how many of them are worked on
at once.

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

from skembed.data.ragged import Ragged

__all__ = ["Merger", "RowDeltas", "ShardFunction", "Workers", "count_workers", "open_workers"]

_OF_THREADS = ("SequentialBackend", "ThreadingBackend")


class RowDeltas(NamedTuple):
    """The changes that a shard would make to a table.

    Attributes
    ----------
    rows : ndarray of shape (n,), int32, or Ragged of n sequences
        The row of each delta, each row once; or the rows that each delta is for, in any number.
    deltas : ndarray of shape (n or more, embedding_dim or more), float32, C-contiguous
        Rows behind the first n and columns beyond those of the table are padding.
    step_weights : ndarray of shape (n,), float32
        How far the steps of each row went towards its optimum: learning rate times curvature, summed over its updates.
        Deltas of small weights are summed, those of weights above 1 tend to be averaged; zeros ask for the plain sum.
        See `skembed.kernels.merge`.
    """

    rows: np.ndarray | Ragged
    deltas: np.ndarray
    step_weights: np.ndarray

    def ragged_rows(self) -> Ragged:
        """Return the rows that each delta is for."""
        return self.rows if isinstance(self.rows, Ragged) else Ragged(np.arange(len(self.rows) + 1), self.rows)


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
def open_workers(n_jobs: int | None = None, *, threads: bool = False) -> Iterator[Workers]:
    """Workers for many short rounds, closed at the end of the block.

    Parameters
    ----------
    n_jobs : int or None
        As in scikit-learn; see `count_workers`.
    threads : bool, default=False
        Whether workers are threads whatever backend is chosen: for functions that write to arrays of their caller.

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
    if not threads and type(backend).__name__ not in _OF_THREADS:
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


class Merger:
    """Adds what the shards of a round have learned to the tables, the same bits for any number of workers.

    Parameters
    ----------
    workers : Workers
    tables : sequence of ndarray of shape (n_rows, embedding_dim), float32, C-contiguous
        Each round changes them.

    Examples
    --------
    >>> def add_one(tables, row, seed):
    ...     return [RowDeltas(np.array([row], np.int32), np.ones((1, 2), np.float32), np.zeros(1, np.float32))], "done"
    >>> table = np.zeros((2, 2), np.float32)
    >>> with open_workers(1) as workers:
    ...     learned, reports = zip(*workers.map(add_one, [([table], 1, (0,)), ([table], 1, (1,))]))
    ...     Merger(workers, [table]).merge(learned)
    >>> table, reports
    (array([[0., 0.],
           [2., 2.]], dtype=float32), ('done', 'done'))
    """

    def __init__(self, workers: Workers, tables: Sequence[np.ndarray]) -> None:
        self.workers = workers
        self.tables = tables
        self._total = [np.zeros(len(table), np.float32) for table in tables]
        self._covered = [np.zeros(len(table), np.float32) for table in tables]

    def merge(self, learned: Sequence[Sequence[RowDeltas]]) -> None:
        """Add the deltas of a round.

        Parameters
        ----------
        learned : sequence of sequence of RowDeltas
            For each shard the deltas of each table.
        """
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
        if len(learned) == 1 and not isinstance(learned[0].rows, Ragged):  # no row has two deltas
            if part == 0:
                merge.add_to_rows(table, learned[0].rows, learned[0].deltas)
            return
        rows_of = [deltas.ragged_rows() for deltas in learned]
        for rows, (_, _, step_weights) in zip(rows_of, learned):
            merge.add_step_weights(rows.indices, rows.ends, step_weights, part, n_parts, total, covered)
        for rows in rows_of:
            merge.find_scales(rows.indices, part, n_parts, total, covered)
        for rows, (_, deltas, _) in zip(rows_of, learned):
            merge.add_deltas(table, rows.indices, rows.ends, deltas, part, n_parts, covered)
        for rows in rows_of:
            merge.clear_step_weights(rows.indices, part, n_parts, total, covered)
