"""word2vec's binary file: a header line "count dim", then of each word its bytes, a space, and dim float32.

Numbers are little-endian. Some writers put a newline after each vector, some do not. Words and numbers alternate, so
rows have no common stride and cannot be memory-mapped.
"""

from functools import partial

import numpy as np

from skembed.formats._errors import FormatError
from skembed.formats._open import Source
from skembed.formats._options import ReadOptions
from skembed.formats._records import MAX_WORD, Words, find_records
from skembed.formats._rows import RowBuffer, Selection, not_finite_message, table_of
from skembed.formats._text import parse_header
from skembed.table import EmbeddingTable
from skembed.table.vectors import first_not_finite

_BLOCK = 1 << 20
_MAX_HEADER = 64
_SPACE, _NEWLINE = b" \n"


def read_word2vec(source: Source, options: ReadOptions) -> EmbeddingTable:
    """Read a table from a binary file of word2vec."""
    if options.mmap:
        raise ValueError(
            f"mmap=True cannot be had of {source.name}: word2vec's binary format puts each word before its vector, so "
            "the vectors are no array. Load it once and save it: table.save(path)."
        )
    line = source.peek(_MAX_HEADER).split(b"\n")[0]
    count, dim = parse_header(source, line, 0)
    source.read(len(line) + 1)
    least = count * (4 * dim + 1)  # an empty word and its space
    if source.n_bytes is not None and source.n_bytes - source.offset < least:
        raise source.error(
            0,
            f"expected at least {least} bytes for the {count} rows of {dim} numbers of the header, "
            f"{source.n_bytes - source.offset} follow: the header is wrong or the file is cut short",
        )
    return _BinaryReader(source, options, count, dim).table()


class _BinaryReader:
    def __init__(self, source: Source, options: ReadOptions, count: int, dim: int):
        self.source, self.options, self.count, self.dim = source, options, count, dim
        self.selection, self.keys = Selection(options), []  # type: ignore[var-annotated]
        known = count if source.n_bytes is not None and options.wanted is None else 0
        self.rows = RowBuffer(dim, min(known, options.limit or known))

    def table(self) -> EmbeddingTable:
        left, buffer, base = self.selection.cut(self.count), b"", self.source.offset
        whole = left == self.count
        while left and self.selection.missing != set():
            chunk = self.source.read(max(_BLOCK, len(buffer)))  # a record may be longer than a block
            buffer += chunk
            begins, spaces = find_records(buffer, _SPACE, 4 * self.dim, left, partial(self.too_long, base))
            if not len(spaces) and not chunk:
                raise self.source.error(
                    base,
                    f"expected {left} more rows of a word, a space and {4 * self.dim} bytes: the file is cut short",
                )
            if len(spaces):
                self.take(buffer, begins, spaces, base)
                left -= len(spaces)
                used = int(spaces[-1]) + 1 + 4 * self.dim
                buffer, base = buffer[used:], base + used
        if whole and not left:
            rest = buffer + self.source.read(_BLOCK)
            if rest not in (b"", b"\n"):
                raise self.source.error(base, f"expected the end of the file after {self.count} rows, bytes follow")
        return table_of(self.source.name, self.keys, self.rows.finished(), self.options)

    def too_long(self, base: int, begin: int) -> FormatError:
        return self.source.error(base + begin, f"expected a word of at most {MAX_WORD} bytes and a space")

    def take(self, buffer: bytes, begins: np.ndarray, spaces: np.ndarray, base: int) -> None:
        # behind the vector before there may be a newline
        words = begins + (np.frombuffer(buffer, np.uint8)[begins] == _NEWLINE)
        keys = Words.cut(buffer, words, spaces).decode(
            self.options.errors, lambda row, message: self.source.error(base + int(begins[row]), message)
        )
        keys, places = self.selection.keep(keys, spaces + 1)
        self.keys += keys
        if not len(places):
            return
        # every place of the buffer as the start of a row: a gather of whole rows, whatever the length of the words
        rows = np.ndarray((len(buffer) - 4 * self.dim + 1,), dtype=f"V{4 * self.dim}", buffer=buffer, strides=(1,))
        out = self.rows.extend(len(places))
        out.view(f"V{4 * self.dim}")[:, 0] = rows[places]
        if not np.little_endian:
            out.byteswap(inplace=True)
        bad = None if self.options.allow_nonfinite else first_not_finite(out)
        if bad is not None:
            at = base + int(places[bad[0]]) + 4 * bad[1]
            raise self.source.error(
                at, not_finite_message(out[bad], f"(word {keys[bad[0]][:40]!r}, number {bad[1] + 1})")
            )
