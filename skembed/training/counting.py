"""Sources that rows of a table of co-occurrences are counted from: a part of the tokens in memory, or runs on disk."""

import tempfile
from collections.abc import Iterable, Iterator
from threading import Lock
from typing import IO, Any, NamedTuple, Protocol

import numpy as np

from skembed.kernels.cooccurrence import add_runs, count_rows, index_tokens
from skembed.parallel import Workers

__all__ = ["CELL_BYTES", "CountedRows", "Counter", "Part", "Runs", "Source"]

CELL_BYTES = 12  # a column and a sum
N_RANGES = 64  # rows are counted in at least so many ranges of about equal cost
RANGES_AT_ONCE = 16  # fit in memory together


class CountedRows(NamedTuple):
    """Consecutive rows of the table.

    Attributes
    ----------
    ends : ndarray of shape (n_rows,), int64
        Where the cells of each row end.
    columns, values : ndarray of shape (n_cells,), int32 and int64
        See `skembed.kernels.cooccurrence.count_rows`.
    """

    ends: np.ndarray
    columns: np.ndarray
    values: np.ndarray


class Source(Protocol):
    """What rows are counted from; may be used by several threads.

    Attributes
    ----------
    cost : ndarray of shape (n_keys,), int64
        How long each row takes, in no unit.
    most_cells : ndarray of shape (n_keys,), int64
        How many cells each row can have.
    """

    cost: np.ndarray
    most_cells: np.ndarray

    def count(self, first: int, last: int, sums: np.ndarray, touched: np.ndarray) -> CountedRows:
        """Count the rows `first` to ``last - 1``; `sums` and `touched` as `count_rows` takes them."""


class Part:
    """Rows of a part of the tokens in memory; see `skembed.kernels.cooccurrence.count_rows`."""

    def __init__(self, tokens: np.ndarray, first_new: int, n_keys: int, weights: np.ndarray, both_sides: bool) -> None:
        self.tokens, self.first_new, self.weights, self.both_sides = tokens, first_new, weights, both_sides
        self.starts, self.positions = index_tokens(tokens, n_keys)
        self.cost = np.diff(self.starts) * ((len(weights) - 1) * (2 if both_sides else 1))
        self.most_cells = np.minimum(self.cost, n_keys - np.arange(n_keys) if both_sides else n_keys)

    def count(self, first: int, last: int, sums: np.ndarray, touched: np.ndarray) -> CountedRows:
        n = int(self.most_cells[first:last].sum())
        ends, columns, values = np.empty(last - first, np.int64), np.empty(n, np.int32), np.empty(n, np.int64)
        n = count_rows(
            self.tokens, self.starts, self.positions, first, last, self.both_sides, self.first_new, self.weights,
            sums, touched, ends, columns, values,
        )  # fmt: skip
        return CountedRows(ends, columns[:n].copy(), values[:n].copy())


class Runs:
    """Runs in temporary files, each with all rows in order; a row is the sum of those of the runs."""

    def __init__(self, n_keys: int) -> None:
        self.cost = self.most_cells = np.zeros(n_keys, np.int64)
        self._runs: list[tuple[np.ndarray, IO[bytes], IO[bytes]]] = []
        self._reading = Lock()  # a file has one position

    def __len__(self) -> int:
        return len(self._runs)

    def append(self, ranges: Iterable[CountedRows]) -> None:
        """Add a run: all rows, range after range."""
        starts = np.zeros(len(self.cost) + 1, np.int64)
        columns, values = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115 (closed in close)
        self._runs.append((starts, columns, values))
        row = 0
        for rows in ranges:
            starts[row + 1 : row + 1 + len(rows.ends)] = starts[row] + rows.ends
            row += len(rows.ends)
            rows.columns.tofile(columns)
            rows.values.tofile(values)
        for file in (columns, values):
            file.flush()
        self.cost = self.most_cells = self.most_cells + np.diff(starts)

    def count(self, first: int, last: int, sums: np.ndarray, touched: np.ndarray) -> CountedRows:
        sizes = [int(starts[last] - starts[first]) for starts, _, _ in self._runs]
        columns, values = np.empty(sum(sizes), np.int32), np.empty(sum(sizes), np.int64)
        begins, ends = (np.empty((len(sizes), last - first), np.int64) for _ in range(2))
        at = 0
        with self._reading:
            for run, (starts, file_of_columns, file_of_values) in enumerate(self._runs):
                _read_into(file_of_columns, columns[at : at + sizes[run]], int(starts[first]))
                _read_into(file_of_values, values[at : at + sizes[run]], int(starts[first]))
                begins[run] = starts[first:last] - starts[first] + at
                ends[run] = starts[first + 1 : last + 1] - starts[first] + at
                at += sizes[run]
        row_ends, merged_columns, merged_values = np.empty(last - first, np.int64), columns.copy(), values.copy()
        n = add_runs(begins, ends, columns, values, sums, touched, row_ends, merged_columns, merged_values)
        return CountedRows(row_ends, merged_columns[:n].copy(), merged_values[:n].copy())

    def close(self) -> None:
        """Remove the files."""
        for _, columns, values in self._runs:
            columns.close()
            values.close()
        self._runs = []


def _read_into(file: IO[bytes], numbers: np.ndarray, first: int) -> None:
    file.seek(first * numbers.itemsize)
    n_read = file.readinto(numbers.data.cast("B")) if numbers.size else 0  # type: ignore[attr-defined]
    if n_read != numbers.nbytes:
        raise OSError(f"a temporary file of counts ends after {n_read} of {numbers.nbytes} bytes.")


class Counter:
    """Counts rows with workers, one range after another, so that those at work fit in memory together.

    Parameters
    ----------
    workers : Workers
    n_keys : int
    most_bytes : int
        Of the rows that are counted at a time; a row is counted as a whole, whatever it takes.
    """

    def __init__(self, workers: Workers, n_keys: int, most_bytes: int) -> None:
        # arrays as large as the tokens are not sent to other processes for work as short as this
        self.map: Any = workers.map if workers.share_memory else lambda function, tasks: [function(*t) for t in tasks]
        self.n_keys = n_keys
        self.most_cells = max(1, most_bytes // CELL_BYTES // 2)  # each is copied once
        self._workspaces: list[tuple[np.ndarray, np.ndarray]] = []

    def batches(self, source: Source, cuts: np.ndarray) -> Iterator[list[CountedRows]]:
        """Count all rows, in order, a few ranges at a time; no range crosses one of `cuts`, ascending row numbers."""
        bounds = self._cut(source, cuts)
        cells = np.concatenate([[0], np.cumsum(source.most_cells)])[bounds]
        begin = 0
        while begin < len(bounds) - 1:
            end = max(begin + 1, int(np.searchsorted(cells, cells[begin] + self.most_cells, side="right")) - 1)
            end = min(end, len(bounds) - 1)
            yield self.map(self._count, [(source, bounds[i], bounds[i + 1]) for i in range(begin, end)])
            begin = end

    def _cut(self, source: Source, cuts: np.ndarray) -> np.ndarray:
        """Cut rows where a share of the cost or of the memory is full."""
        by_cost = np.cumsum(source.cost) // max(1, int(source.cost.sum()) // N_RANGES)
        by_memory = np.cumsum(source.most_cells) // max(1, self.most_cells // RANGES_AT_ONCE)
        full = np.flatnonzero((np.diff(by_cost) > 0) | (np.diff(by_memory) > 0)) + 1
        return np.unique(np.concatenate([[0], full, cuts, [self.n_keys]])).astype(np.int64)

    def _count(self, source: Source, first: int, last: int) -> CountedRows:
        free = self._workspaces
        workspace = free.pop() if free else (np.zeros(self.n_keys, np.int64), np.empty(self.n_keys, np.int32))
        rows = source.count(int(first), int(last), *workspace)
        free.append(workspace)
        return rows
