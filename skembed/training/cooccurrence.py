"""Counting co-occurrences of the keys of sequences, in bounded memory and the same to the bit however it is cut.

The result lies in buckets: keys in order make blocks, and a bucket holds the cells of one block of rows and one block
of columns, so that a trainer can give disjoint rows to several workers (Gemulla et al. 2011, KDD, section 4).

Sequences are gathered until they fill their share of the memory. If that is all of them, rows are counted from them as
they are needed; else each part is counted into a run on disk, rows in order, and a row is the sum of its runs.
"""

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import IO

import numpy as np

from skembed.data.ragged import Ragged
from skembed.kernels.cooccurrence import SEPARATOR, bucket_cells, distance_weights
from skembed.kernels.random import new_state
from skembed.parallel import open_workers
from skembed.training.counting import CELL_BYTES, CountedRows, Counter, Part, Runs, Source
from skembed.training.run import Run
from skembed.training.sequences import checked_chunks

__all__ = ["SMALLEST_MEMORY", "Cooccurrences", "CountSettings", "count_cooccurrences", "cut_blocks"]

SMALLEST_MEMORY = 1 << 20
SHUFFLE = 2  # what a stream of random numbers is for; see `skembed.training.sequences`
TOKEN_BYTES = 12  # of a token in a part: itself, waiting and joined, and its place in the index
BUCKET_SIDE = 128  # a bucket wants to have about as many cells as this squared, or fewer
MOST_BLOCKS = 1024
LARGEST_BLOCK = 1 << 16  # keys: numbers within a block have 16 bits


class Cooccurrences:
    """Cells of a table of co-occurrences, in buckets of a block of rows and a block of columns.

    A context manager: its file, where it has one, is gone at the end.

    Attributes
    ----------
    both : bool
        The table is symmetric, and cells lie on and above its diagonal only.
    n_cells : int
        Cells of the table that are not zero, both halves.
    block_starts : ndarray of shape (n_blocks + 1,), int64
        Block b are the keys ``block_starts[b]`` to ``block_starts[b + 1] - 1``.
    bucket_ends : ndarray of shape (n_blocks, n_blocks), int64
        Bucket (a, b) ends here in `cells`, and begins where the one before it in order ends.
    cells : ndarray of shape (n, 3), uint32
        See `skembed.kernels.cooccurrence.bucket_cells`. Memory-mapped where it was larger than allowed.
    """

    def __init__(self, both: bool, block_starts: np.ndarray, most_bytes: int) -> None:
        n_blocks = len(block_starts) - 1
        self.both = both
        self.n_cells = 0
        self.block_starts = block_starts
        self.bucket_ends = np.zeros((n_blocks, n_blocks), np.int64)
        self.cells = np.zeros((0, 3), np.uint32)
        self._most_bytes = most_bytes
        self._parts: list[np.ndarray] = []
        self._file: IO[bytes] | None = None
        self._n_stored = self._n_blocks_stored = 0

    def append(self, cells: np.ndarray, bucket_ends: np.ndarray, n_on_diagonal: int) -> None:
        """Add the buckets of the next block of rows."""
        self.bucket_ends[self._n_blocks_stored] = self._n_stored + bucket_ends
        self._n_blocks_stored += 1
        self._n_stored += len(cells)
        self.n_cells += 2 * len(cells) - n_on_diagonal if self.both else len(cells)
        self._parts.append(cells)
        if self._file is None and self._n_stored * CELL_BYTES > self._most_bytes:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 (closed in close)
        if self._file is not None:
            for part in self._parts:
                part.tofile(self._file)
            self._parts = []

    def finish(self) -> None:
        """Make `cells` of what was added."""
        if self._file is not None and self._n_stored:
            self._file.flush()
            self.cells = np.asarray(np.memmap(self._file, np.uint32, "r+", shape=(self._n_stored, 3)))
        elif self._parts:
            cells = np.empty((self._n_stored, 3), np.uint32)
            begin = 0
            for i, part in enumerate(self._parts):
                cells[begin : begin + len(part)] = part
                begin += len(part)
                self._parts[i] = part[:0]  # so that the two copies are never whole
            self.cells, self._parts = cells, []

    def bucket(self, row_block: int, column_block: int) -> tuple[int, int]:
        """Where a bucket begins and ends in `cells`."""
        at = row_block * len(self.bucket_ends) + column_block
        return int(self.bucket_ends.flat[at - 1]) if at else 0, int(self.bucket_ends.flat[at])

    def triplets(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Rows, columns and counts of all cells of the table in order of rows, then columns: int64 twice, float32."""
        n_blocks = len(self.bucket_ends)
        sizes = np.diff(self.bucket_ends.ravel(), prepend=0)
        first_row = np.repeat(np.repeat(self.block_starts[:-1], n_blocks), sizes)
        first_column = np.repeat(np.tile(self.block_starts[:-1], n_blocks), sizes)
        rows, columns = first_row + (self.cells[:, 0] & 0xFFFF), first_column + (self.cells[:, 0] >> 16)
        counts = np.exp(self.cells.view(np.float32)[:, 1])
        if self.both:
            above = rows != columns
            rows, columns = np.append(rows, columns[above]), np.append(columns, rows[above])
            counts = np.append(counts, counts[above])
        order = np.lexsort((columns, rows))
        return rows[order], columns[order], counts[order]

    def __enter__(self) -> "Cooccurrences":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the cells and remove their file."""
        self.cells = np.zeros((0, 3), np.uint32)
        if self._file is not None:
            self._file.close()


@dataclass(frozen=True)
class CountSettings:
    """Settings of `count_cooccurrences`.

    Attributes
    ----------
    window : int
        Neighbours are at most so many tokens away, in the same sequence.
    symmetric : bool
        Count the neighbours on both sides; else those before the key only.
    distance_weighting : bool
        A neighbour at distance d counts 1 / d; else 1.
    x_max, alpha : float
        A count x weighs ``min(1, (x / x_max) ** alpha)`` in training.
    memory_limit : int
        Bytes that tokens, runs and cells may take while counting, and cells while training; what is beyond lies in
        temporary files. Twelve bytes a key for each worker come on top. It changes no bit of the result.
    """

    window: int = 15
    symmetric: bool = True
    distance_weighting: bool = True
    x_max: float = 100.0
    alpha: float = 0.75
    memory_limit: int = 1 << 31


def count_cooccurrences(
    chunks: Iterable[Ragged], counts: np.ndarray, settings: CountSettings, run: Run
) -> Cooccurrences:
    """Count how often keys stand near each other, and put the counts into the order in which they will be learned.

    Parameters
    ----------
    chunks : iterable of Ragged
        As `skembed.training.sequences.train_sequences` takes them; read once.
    counts : ndarray of shape (n_keys,)
        How often each key occurs; blocks of keys are cut by it.
    settings : CountSettings
    run : Run
        Its seed decides the order within buckets.

    Returns
    -------
    Cooccurrences

    Raises
    ------
    ValueError
        If `memory_limit` is below a mebibyte or an id is not below ``len(counts)``.

    Examples
    --------
    >>> chunks = [Ragged(np.array([0, 4]), np.array([0, 1, 0, 2], np.int32))]
    >>> settings = CountSettings(window=2)
    >>> with count_cooccurrences(chunks, [2, 1, 1], settings, Run(seed=0)) as cooccurrences:
    ...     rows, columns, values = cooccurrences.triplets()
    >>> np.stack([rows, columns, values.round(3)], axis=1)[:3]
    array([[0., 0., 1.],
           [0., 1., 2.],
           [0., 2., 1.]])
    """
    if settings.memory_limit < SMALLEST_MEMORY:
        raise ValueError(f"memory_limit={settings.memory_limit} bytes; counting needs at least {SMALLEST_MEMORY}.")
    counts = np.asarray(counts)
    n_keys, share = len(counts), settings.memory_limit // 4
    weights = distance_weights(settings.window, settings.distance_weighting)
    runs = Runs(n_keys)
    result = Cooccurrences(settings.symmetric, cut_blocks(counts, settings.window), share)
    try:
        with open_workers(run.n_jobs) as workers:
            counter = Counter(workers, n_keys, share // 2)
            source: Source = runs
            for tokens, first_new, is_last in _parts(chunks, n_keys, settings.window, share // TOKEN_BYTES):
                source = Part(tokens, first_new, n_keys, weights, settings.symmetric)
                if runs or not is_last:
                    runs.append(rows for batch in counter.batches(source, result.block_starts) for rows in batch)
                    source = runs
            _fill(result, counter, source, settings.x_max, settings.alpha, run.seed)
    except BaseException:
        result.close()
        raise
    finally:
        runs.close()
    return result


def _fill(result: Cooccurrences, counter: Counter, source: Source, x_max: float, alpha: float, seed: int) -> None:
    """Count all rows and put their cells into buckets."""
    starts = result.block_starts
    block, n_rows = 0, 0
    waiting: list[CountedRows] = []  # of the block that is not yet whole
    for batch in counter.batches(source, starts):
        tasks = []
        while block < len(starts) - 1 and (starts[block] == starts[block + 1] or batch):
            if starts[block] < starts[block + 1]:
                waiting.append(batch.pop(0))
                n_rows += len(waiting[-1].ends)
            if n_rows == starts[block + 1] - starts[block]:
                tasks.append((waiting, starts, block, x_max, alpha, seed))
                block, n_rows, waiting = block + 1, 0, []
        for bucketed in counter.map(_bucket, tasks):
            result.append(*bucketed)
    result.finish()


def _bucket(
    ranges: list[CountedRows], block_starts: np.ndarray, block: int, x_max: float, alpha: float, seed: int
) -> tuple[np.ndarray, np.ndarray, int]:
    """Cells of a block of rows in buckets, where these end, and how many cells are on the diagonal."""
    bucket_ends = np.zeros(len(block_starts) - 1, np.int64)
    if not ranges:
        return np.zeros((0, 3), np.uint32), bucket_ends, 0
    shifts = np.cumsum([0, *(len(rows.columns) for rows in ranges[:-1])])
    ends = np.concatenate([rows.ends + shift for rows, shift in zip(ranges, shifts)])
    columns, values = (np.concatenate([rows[which] for rows in ranges]) for which in (1, 2))
    cells = np.empty((len(columns), 3), np.uint32)
    state = new_state(seed, SHUFFLE, block)
    bucket_cells(ends, columns, values, block_starts, x_max, alpha, state, cells, bucket_ends)
    own = cells[bucket_ends[block - 1] if block else 0 : bucket_ends[block], 0]
    return cells, bucket_ends, int(np.count_nonzero((own & 0xFFFF) == (own >> 16)))


def cut_blocks(counts: np.ndarray, window: int) -> np.ndarray:
    """Where blocks of keys begin, and the number of keys: int64 (n_blocks + 1,), from counts and window alone.

    How many different neighbours a key has grows about as the square root of its count, so blocks with equal sums of
    roots have about equally many cells. Their number is a power of two, so that all blocks can be paired.
    """
    n_keys = len(counts)
    pairs = min(int(counts.sum()) * window, n_keys * (n_keys + 1) // 2)
    n_blocks = 2 ** int(np.clip(np.round(np.log2(max(1.0, pairs**0.5 / BUCKET_SIDE))), 0, np.log2(MOST_BLOCKS)))
    mass = np.cumsum(np.sqrt(np.maximum(counts, 1), dtype=np.float64))
    while True:
        inner = np.searchsorted(mass, mass[-1:] * np.arange(1, n_blocks) / n_blocks) if n_keys else []
        starts = np.concatenate([[0], inner, [n_keys]]).astype(np.int64)
        if np.diff(starts).max() <= LARGEST_BLOCK:
            return starts
        n_blocks *= 2


def _parts(
    chunks: Iterable[Ragged], n_keys: int, window: int, most_tokens: int
) -> Iterator[tuple[np.ndarray, int, bool]]:
    """Join sequences to parts of so many tokens: separated tokens, the first that is new, whether it is the last part.

    A part begins with the last `window` tokens of the one before, so that no pair is lost at a cut.
    """
    separator = np.full(1, SEPARATOR, np.int32)
    waiting, n_waiting, first_new = [separator], 1, 1
    for ids, ends in checked_chunks(chunks, n_keys):
        tokens = _separated(ids, ends)
        for begin in range(0, len(tokens), most_tokens):
            more = tokens[begin : begin + most_tokens]
            if n_waiting + len(more) > most_tokens and n_waiting > first_new:
                part = np.concatenate([*waiting, separator])
                kept = part[max(1, len(part) - 1 - window) : -1].copy()
                waiting = [separator, kept]
                yield part, first_new, False
                del part  # before the next one is made
                n_waiting = first_new = 1 + len(kept)
            waiting.append(more)
            n_waiting += len(more)
    yield np.concatenate([*waiting, separator]), first_new, True


def _separated(ids: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Tokens of a chunk without those left out, a separator after each sequence."""
    known = ids >= 0
    if not known.all():
        ends = np.concatenate([[0], np.cumsum(known)])[ends]
        ids = ids[known]
    return np.insert(ids, ends, np.int32(SEPARATOR))
