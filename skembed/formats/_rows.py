"""Tables made of keys as bytes and rows of numbers: encodings, duplicates, what is not finite."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial

import numpy as np

from skembed.data.keys import Keys
from skembed.formats._errors import FormatError
from skembed.formats._options import ReadOptions
from skembed.table.counts import frozen_array
from skembed.table.embedding_table import EmbeddingTable, object_array
from skembed.warning import warn

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_BLOCK_ROWS = 16_384


class RowBuffer:
    """Rows of float32 that grow in place: the allocator moves pages, not bytes, so there is never a second copy."""

    def __init__(self, dim: int, n_expected: int = 0):
        self.dim, self.n_expected, self.n_rows = dim, n_expected, 0
        self.array = np.empty((0, dim), dtype=np.float32)  # nothing is taken before a first row is there

    def extend(self, n_rows: int) -> np.ndarray:
        """Rows appended to the array, so many, to be filled."""
        needed = self.n_rows + n_rows
        if not len(self.array):
            # by a new array numpy asks for large pages, by growing an old one it does not
            self.array = np.empty((max(needed, self.n_expected), self.dim), dtype=np.float32)
        elif needed > len(self.array):
            # the last eighth at most is not used: what the whole may take beside the table is a fifth
            self.array.resize((max(needed, len(self.array) * 9 // 8), self.dim), refcheck=False)
        new = self.array[self.n_rows : needed]
        self.n_rows = needed
        return new

    def finished(self) -> np.ndarray:
        if self.n_rows < len(self.array):
            self.array.resize((self.n_rows, self.dim), refcheck=False)
        return self.array


class Selection:
    """Which rows of a file are kept, decided key by key in the order of the file."""

    def __init__(self, options: ReadOptions):
        self.left, self.wanted = options.limit, options.wanted
        self.missing = None if options.wanted is None else set(options.wanted)

    @property
    def complete(self) -> bool:
        """Whether nothing that follows can be kept."""
        return self.left == 0 or self.missing == set()

    def cut(self, n_rows: int) -> int:
        """How many of the next `n_rows` rows are looked at."""
        if self.left is None:
            return n_rows
        taken = min(n_rows, self.left)
        self.left -= taken
        return taken

    def rows(self, keys: Sequence) -> list[int] | None:
        """Positions of the keys that are kept; None for all."""
        if self.missing is None:
            return None
        kept = [row for row, key in enumerate(keys) if key in self.wanted]  # type: ignore[operator]
        self.missing.difference_update(keys[row] for row in kept)
        return kept

    def keep(self, keys: list, rows: np.ndarray) -> tuple[list, np.ndarray]:
        """Those of the keys that are kept, and those of the rows of an array beside them."""
        kept = self.rows(keys)
        return (keys, rows) if kept is None else ([keys[row] for row in kept], rows[kept])


def decode_keys(raw: Sequence[bytes], errors: str, where: Callable[[int, str], FormatError]) -> list[str]:
    """Keys of UTF-8 bytes; `where(row, message)` makes the error for one that is not."""
    try:
        joined = b"\n".join(raw).decode("utf-8")
    except UnicodeDecodeError:
        return [decode_key(key, errors, partial(where, row)) for row, key in enumerate(raw)]
    keys = joined.split("\n") if raw else []
    return keys if len(keys) == len(raw) else [key.decode("utf-8") for key in raw]  # a key with a newline in it


def decode_key(raw: bytes, errors: str, where: Callable[[str], FormatError]) -> str:
    try:
        return raw.decode("utf-8", errors)
    except UnicodeError as error:
        reason = getattr(error, "reason", error)
        raise where(
            f"expected a key in UTF-8, got {raw[:40]!r} ({reason}); pass errors='replace' or another error handler"
        ) from None


def not_finite_message(value: object, what: str) -> str:
    return (
        f"expected finite numbers that fit float32, got {value} {what}; pass allow_nonfinite=True to take it as it is"
    )


def table_of(
    name: str, keys: list, vectors: np.ndarray, options: ReadOptions, counts: np.ndarray | None = None
) -> EmbeddingTable:
    """A table of what was read; of keys that occur twice the first is kept, with a warning."""
    index = dict(zip(keys, range(len(keys))))
    if len(index) < len(keys):
        kept = _first_rows(name, keys)
        keys = [keys[row] for row in kept.tolist()]
        index = dict(zip(keys, range(len(keys))))
        vectors = _packed(vectors, kept)
        counts = None if counts is None else counts[kept]
    if options.half:
        vectors = rounded_to_half(name, vectors, options)
    counts = None if counts is None else frozen_array(counts.astype(np.int64, copy=False))
    return EmbeddingTable._of(Keys(object_array(keys), index), vectors, counts=counts)


def _first_rows(name: str, keys: Iterable) -> np.ndarray:
    first: dict = {}
    repeated: dict = {}
    for row, key in enumerate(keys):
        if first.setdefault(key, row) != row:
            repeated[key] = repeated.get(key, 0) + 1
    shown = ", ".join(map(repr, list(repeated)[:5]))
    warn(
        f"{name}: {sum(repeated.values())} rows repeat the key of an earlier one and are left out; the first wins: "
        f"{shown}{', ...' if len(repeated) > 5 else ''}."
    )
    return np.fromiter(first.values(), dtype=np.int64, count=len(first))


def _packed(vectors: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """These rows, rising, moved to the front of the array they stand in; of a memory map, copied."""
    if not vectors.flags.writeable or not vectors.flags.owndata:
        return vectors[kept]
    for start in range(0, len(kept), _BLOCK_ROWS):
        rows = kept[start : start + _BLOCK_ROWS]
        vectors[start : start + len(rows)] = vectors[rows]  # kept[i] >= i: none is overwritten before it is read
    vectors.resize((len(kept), vectors.shape[1]), refcheck=False)
    return vectors


def rounded_to_half(name: str, vectors: np.ndarray, options: ReadOptions) -> np.ndarray:
    if not vectors.flags.writeable:
        vectors = np.array(vectors)
    for start in range(0, len(vectors), _BLOCK_ROWS):
        block = vectors[start : start + _BLOCK_ROWS]
        with np.errstate(over="ignore"):
            halves = block.astype(np.float16)
        if not options.allow_nonfinite and not np.isfinite(halves).all():
            row = start + int(np.argwhere(~np.isfinite(halves))[0, 0])
            raise FormatError(f"{name}: row {row}: expected numbers that fit float16, got one beyond 65504.")
        block[:] = halves
    return vectors
