"""Vectors as text: word2vec's and gensim's, fastText's .vec, and GloVe's, which has no header.

One line a key: the key, and embedding_dim numbers, apart by spaces or tabs. What stands before the last embedding_dim
fields is the key, so keys may hold spaces, as some of GloVe's do, and may look like numbers. A first line of two
integers, the count and embedding_dim, is the header of word2vec.
"""

import re
from collections import Counter
from typing import NamedTuple

import numpy as np

from skembed.formats import _numbers
from skembed.formats._errors import FormatError
from skembed.formats._open import Source
from skembed.formats._options import ReadOptions
from skembed.formats._rows import BYTE_ORDER_MARK, RowBuffer, Selection, decode_keys, not_finite_message, table_of
from skembed.table import EmbeddingTable

_BLOCK = 1 << 20
_MAX_LINE = 1 << 26
_COMPILED_FROM = 1 << 23  # bytes of a file for which loading the compiler pays
_LEAST_COUNTS = 3  # lines that tell counts from vectors of one component
_LOOKED_AT = 1_000  # lines from which the number of components is told where no header says it
_INTEGER = re.compile(rb"[+-]?[0-9]+")


class Layout(NamedTuple):
    """Where the rows of a file start, how many there are (None if nothing says so), and of how many components."""

    start: int
    n_rows: int | None
    dim: int


def read_text(source: Source, options: ReadOptions, header: bool | None = None) -> EmbeddingTable:
    """Read a table from text.

    Parameters
    ----------
    source : Source
    options : ReadOptions
    header : bool, default=None
        Whether the first line is one of word2vec; None: told from the first lines.

    Returns
    -------
    EmbeddingTable
    """
    layout = text_layout(source, header)
    source.read(layout.start)
    return _TextReader(source, options, layout).table()


def text_layout(source: Source, header: bool | None) -> Layout:
    """What the first lines say; FormatError if they are none of vectors."""
    size, start = _BLOCK, source.peek(_BLOCK)
    while len(start) == size < _MAX_LINE and b"\n" not in start:
        size *= 2
        start = source.peek(size)
    mark = len(BYTE_ORDER_MARK) if start.startswith(BYTE_ORDER_MARK) else 0
    lines = start[mark:].split(b"\n")
    if len(start) == size:
        lines.pop()  # cut by the end of the block
    first = _fields(lines[0]) if lines else []
    rest = [len(fields) for line in lines[1 : _LOOKED_AT + 1] if (fields := _fields(line))]
    told = header is None
    if told:
        header = len(first) == 2 and not _is_row_of_one(first, rest)
    if header:
        count, dim = parse_header(source, lines[0] if lines else b"", mark)
        if told:
            check_header(source, dim, lines[1 : _LOOKED_AT + 1], mark)
        return Layout(mark + len(lines[0]) + 1, count, dim)
    if len(start) < size and not start.endswith(b"\n"):
        check_last_line(source, lines, mark)
    counts = Counter(n_fields for n_fields in [len(first), *rest] if n_fields)
    most = max(counts.values(), default=0)
    n_fields = min((n for n, times in counts.items() if times == most), default=0)
    if n_fields < 2:
        raise source.error(mark, f"expected lines of a key and numbers, got {start[mark : mark + 40]!r}")
    if told and n_fields == 2:
        check_no_counts(source, lines[:_LOOKED_AT], mark)
    return Layout(mark, None, n_fields - 1)


def check_header(source: Source, dim: int, lines: list[bytes], mark: int) -> None:
    """Refuse a header of fewer numbers than each row has, which would make the first of them words of the keys."""
    rows = [fields for line in lines if (fields := _fields(line))]
    n_numbers = {len(fields) - 1 for fields in rows}
    if len(rows) < 2 or len(n_numbers) > 1 or not min(n_numbers) > dim:
        return
    if all(_is_number(field) for fields in rows for field in fields[1:]):
        raise source.error(
            mark,
            f"expected a key and {dim} numbers in each row, as the header says, found {min(n_numbers)}. If the keys "
            "are words and numbers, name the format: format='word2vec-text'",
        )


def check_no_counts(source: Source, lines: list[bytes], mark: int) -> None:
    """Refuse words beside how often they occur, the most frequent first, as GloVe writes them beside its vectors."""
    numbers = [fields[-1] for line in lines if (fields := _fields(line))]
    if len(numbers) < _LEAST_COUNTS or not all(number.isdigit() and len(number) < 20 for number in numbers):
        return
    counts = list(map(int, numbers))
    if counts == sorted(counts, reverse=True) and counts[-1] >= 1 and counts[0] > counts[-1]:
        raise source.error(
            mark,
            f"expected vectors, found words with numbers that are whole and fall, from {counts[0]} on, as the counts "
            "of a vocabulary do. If these are vectors of one component, name the format: format='glove'",
        )


def check_last_line(source: Source, lines: list[bytes], mark: int) -> None:
    """Refuse a file that is cut within its last line, which would make the numbers of the others words of their keys.

    Nothing else tells in a file without a header: where all other lines are a word and numbers, of which the last one
    has fewer, it is cut rather than that their keys are of several words.
    """
    last, others = _fields(lines[-1]), [_fields(line) for line in lines[:-1] if line.strip()]
    lengths = {len(fields) for fields in others}
    if len(lengths) != 1 or not 0 < len(last) < min(lengths):
        return
    if all(_is_number(field) for fields in others for field in fields[1:]):
        raise source.error(
            mark + sum(len(line) + 1 for line in lines[:-1]),
            f"expected a key and {min(lengths) - 1} numbers as in the lines before, found {len(last)} fields and the "
            "end: the file is cut short",
        )


def _is_number(field: bytes) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def _fields(line: bytes) -> list[bytes]:
    return [field for field in line.rstrip(b"\r").replace(b"\t", b" ").split(b" ") if field]


def _is_row_of_one(first: list[bytes], rest: list[int]) -> bool:
    """Whether a first line of two fields is a key and its only component; two integers are always a header."""
    return not all(_INTEGER.fullmatch(field) for field in first) and set(rest) <= {2}


def parse_header(source: Source, line: bytes, at: int) -> tuple[int, int]:
    """Count and embedding_dim of a first line, both at least 1, and no larger than the file can hold."""
    fields = _fields(line)
    if len(fields) != 2 or not all(_INTEGER.fullmatch(field) and len(field) < 20 for field in fields):
        raise source.error(at, f"expected a header of two integers, the count and the dimension, got {line[:60]!r}")
    count, dim = map(int, fields)
    if count < 1 or dim < 1:
        raise source.error(at, f"expected a header with a count and a dimension of at least 1, got {count} and {dim}")
    return count, dim


class _TextReader:
    def __init__(self, source: Source, options: ReadOptions, layout: Layout):
        self.source, self.options, self.layout = source, options, layout
        self.selection, self.keys = Selection(options), []  # type: ignore[var-annotated]
        self.n_seen, self.base = 0, layout.start  # rows so far, and where the block in hand starts
        if source.n_bytes is not None:
            self.check_size(source.n_bytes)
        known = layout.n_rows if source.n_bytes is not None and options.wanted is None else None
        self.rows = RowBuffer(layout.dim, min(known or 0, options.limit or known or 0))

    def check_size(self, n_bytes: int) -> None:
        count, dim = self.layout.n_rows, self.layout.dim
        if count is None:
            return
        # a row takes a key of one byte, and a space and a digit a number, and a newline but for the last
        least = count * (2 * dim + 1) - 1
        if self.layout.start + least > n_bytes:
            raise self.source.error(
                0,
                f"expected at least {least} bytes for the {count} rows of {dim} numbers of the header, "
                f"{max(n_bytes - self.layout.start, 0)} follow: the header is wrong or the file is cut short",
            )

    def table(self) -> EmbeddingTable:
        tail = b""
        while not self.selection.complete:
            chunk = self.source.read(_BLOCK)
            block = tail + chunk
            if not chunk:
                if block:
                    self.take(block + b"\n")
                break
            cut = block.rfind(b"\n") + 1
            tail = block[cut:]
            if len(tail) > _MAX_LINE:
                raise self.source.error(self.base, f"expected lines of at most {_MAX_LINE} bytes")
            if cut:
                self.take(block[:cut])
                self.base += cut
        if not self.selection.complete and self.layout.n_rows not in (None, self.n_seen):
            raise self.source.error(
                self.source.offset,
                f"expected {self.layout.n_rows} rows as the header says, the file ends after {self.n_seen}",
            )
        return table_of(self.source.name, self.keys, self.rows.finished(), self.options)

    @property
    def compiled(self) -> bool:
        """Whether there is enough to read for the compiled parser; what a compressed file holds shows as it is read."""
        return (self.source.n_bytes or self.source.offset) >= _COMPILED_FROM

    def take(self, block: bytes) -> None:
        """Keep what is wanted of whole lines."""
        dim, spans, raw, bad = self.layout.dim, *self.split(block)
        taken = self.selection.cut(len(spans))
        if bad >= 0 and taken == len(spans) and self.selection.left != 0:
            line = block[bad : block.index(b"\n", bad)]
            raise self.error(
                block, bad, f"expected a key and {dim} numbers, found {len(_fields(line))} fields: {line[:60]!r}"
            )
        if self.layout.n_rows is not None and self.n_seen + taken > self.layout.n_rows:
            at = int(spans[self.layout.n_rows - self.n_seen, 0])
            raise self.error(block, at, f"expected no more than the {self.layout.n_rows} rows of the header")
        spans, raw = spans[:taken], raw[:taken]
        keys = decode_keys(
            raw, self.options.errors, lambda row, message: self.error(block, int(spans[row, 0]), message)
        )
        self.n_seen += taken
        keys, spans = self.selection.keep(keys, spans)
        self.keys += keys
        self.parse(block, spans, keys)

    def split(self, block: bytes) -> tuple[np.ndarray, list[bytes], int]:
        """The spans of lines, their keys as bytes, and where the first bad line starts, or -1."""
        if not self.compiled:
            spans, bad = _numbers.split_lines(block, self.layout.dim)
            return spans, [block[start:stop] for start, stop in spans[:, :2].tolist()], bad
        from skembed.kernels import text_rows

        data = np.frombuffer(block, dtype=np.uint8)
        spans = np.empty((block.count(b"\n"), 4), dtype=np.int64)
        n_lines, bad = text_rows.split_lines(data, self.layout.dim, spans)
        spans = spans[:n_lines]
        joined = np.empty(int((spans[:, 1] - spans[:, 0] + 1).sum()), dtype=np.uint8)
        text_rows.join_keys(data, spans, joined)
        return spans, joined.tobytes().split(b"\n")[:-1], bad

    def parse(self, block: bytes, spans: np.ndarray, keys: list[str]) -> None:
        out = self.rows.extend(len(spans))
        starts, stops = np.ascontiguousarray(spans[:, 2]), np.ascontiguousarray(spans[:, 3])
        if self.compiled:
            from skembed.kernels.text_rows import parse_rows

            data = np.frombuffer(block, dtype=np.uint8)
        else:
            parse_rows, data = _numbers.parse_rows, block  # type: ignore[assignment]
        row, column, place = 0, 0, 0
        while True:
            row, column, start, place = parse_rows(data, starts, stops, out, row, column, place)
            if row == len(out):
                return
            token = block[start:place]
            try:
                value = _numbers.as_float32(_numbers.number(token))
            except ValueError:
                raise self.error(
                    block, start, f"expected a number, got {token[:40]!r} (key {keys[row][:40]!r}, number {column + 1})"
                ) from None
            if not (np.isfinite(value) or self.options.allow_nonfinite):
                what = f"(key {keys[row][:40]!r}, number {column + 1})"
                raise self.error(block, start, not_finite_message(token[:40].decode("latin-1"), what))
            out[row, column] = value
            column += 1
            if column == self.layout.dim:
                row, column = row + 1, 0

    def error(self, block: bytes, at: int, message: str) -> FormatError:
        return self.source.error(self.base + at, message)
