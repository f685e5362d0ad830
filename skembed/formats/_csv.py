"""Comma-separated values (RFC 4180): a key, perhaps its count, and a number for each component in a row.

A first row of names says which column is which: that named `key` (or `word`, `token`, `id`, ...) or, where none is, the
one that holds no numbers; `count`; all others are components in their order, whatever their names. Further numbers in a
column named as keys are, or not at all, as pandas names its index, are left out. Without names the key comes first.
Fields may be quoted, and keys hold commas and newlines; a semicolon or a tab may stand in the place of
the comma. Keys are strings, also those that look like numbers.
"""

import contextlib
import csv
import io
import itertools
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from skembed.formats._errors import FormatError
from skembed.formats._numbers import as_float32, number
from skembed.formats._open import Source
from skembed.formats._options import ReadOptions
from skembed.formats._rows import RowBuffer, Selection, not_finite_message, table_of
from skembed.formats._write_text import string_key
from skembed.table import EmbeddingTable

_DELIMITERS = ",;\t"
_KEY_NAMES = ("", "key", "keys", "word", "token", "id", "index")
_INDEX_NAMES = ("", "index")
_COUNT_NAMES = ("count", "counts")
_INTEGER = re.compile(r"[+-]?[0-9]+")
_OF_NUMBERS = frozenset("0123456789+-.eE ")
_MAX_LINE = 1 << 26
_LOOKED_AT = 1 << 16
_ROWS_AT_ONCE = 512


class _Columns(NamedTuple):
    """Where a row has its key, its count (None: nowhere) and the numbers of its vector."""

    n_fields: int
    key: int
    counts: int | None
    components: list[int]


def looks_like_csv(start: bytes) -> bool:
    """Whether the first lines of a file have two fields or more, as many in each, numbers but for the key.

    A key with a comma among numbers that spaces part, as of a text of vectors, makes no such line. Names above cells
    that are no numbers do, so that an error says which.
    """
    text = start.decode("utf-8-sig", "replace")
    delimiter = _delimiter(text)
    whole = text[: text.rfind("\n") + 1] if len(start) >= _LOOKED_AT else text
    try:
        rows = list(islice(filter(None, csv.reader(io.StringIO(whole, newline=""), delimiter=delimiter)), 6))
    except csv.Error:
        return False
    if not rows or len(rows[0]) < 2 or any(len(row) != len(rows[0]) for row in rows):
        return False
    named = not any(_is_number(field.strip()) for field in rows[0]) or _are_names(rows[0], *rows[1:2])
    body = rows[1:] or rows
    numeric = [all(_is_number(row[column].strip()) for row in body) for column in range(len(rows[0]))]
    if sum(numeric) >= len(numeric) - 1:
        return delimiter != "\t" or named  # between a key and numbers, a tab is one of a text of vectors
    return delimiter != "\t" and named and len(rows) > 1 and not any(map(_ends_in_numbers, body))


def _ends_in_numbers(row: list[str]) -> bool:
    words = row[-1].split()
    return len(words) > 1 and _is_number(words[-1])


def _delimiter(text: str) -> str:
    """The delimiter that the first line has most of, outside quotes."""
    outside = "".join(text.partition("\n")[0].split('"')[::2])
    return max(_DELIMITERS, key=outside.count)


def _is_number(field: str) -> bool:
    try:
        number(field.encode("utf-8", "replace"))
    except ValueError:
        return False
    return True


def read_csv(source: Source, options: ReadOptions) -> EmbeddingTable:
    """Read a table from comma-separated values, a few hundred rows at a time."""
    rows = _rows(source, options)
    first_line, first = next(rows, (1, []))
    if not first:
        raise FormatError(f"{source.name}: expected rows of a key and numbers, the file is empty.")
    second_line, second = next(rows, (1, []))
    columns, named = _columns(source.name, first, second)
    head = [] if named else [(first_line, first)]
    pending = itertools.chain(head, [(second_line, second)] if second else [], rows)
    reader = _Reader(source.name, options, columns)
    while not reader.selection.complete:
        batch = list(islice(pending, _ROWS_AT_ONCE))
        if not batch:
            break
        reader.take(batch)
    if not reader.n_seen:
        raise FormatError(f"{source.name}: expected a row of a key and numbers below the names, there is none.")
    counts = None if columns.counts is None else np.array(reader.counts, dtype=np.int64)
    return table_of(source.name, reader.keys, reader.rows.finished(), options, counts)


def _rows(source: Source, options: ReadOptions) -> Iterator[tuple[int, list[str]]]:
    """The number of the last line of each row, from 1, and its fields; rows without any are passed over."""
    delimiter = _delimiter(source.peek(_LOOKED_AT).decode("utf-8-sig", "replace"))
    reader = csv.reader(_lines(source, options), delimiter=delimiter, strict=True)
    try:
        for row in reader:
            if row:
                yield reader.line_num, row
    except csv.Error as error:
        raise FormatError(
            f"{source.name}: in line {reader.line_num}: expected comma-separated values: {error}."
        ) from None
    except UnicodeDecodeError as error:
        raise FormatError(
            f"{source.name}: after line {reader.line_num}: expected UTF-8, got {error.object[error.start :][:20]!r} "
            f"({error.reason}); pass errors='replace' or another error handler."
        ) from None


def _lines(source: Source, options: ReadOptions) -> Iterator[str]:
    with io.TextIOWrapper(
        io.BufferedReader(_Raw(source), 1 << 18), encoding="utf-8-sig", errors=options.errors, newline=""
    ) as text:
        while line := text.readline(_MAX_LINE):
            if len(line) == _MAX_LINE and not line.endswith("\n"):
                raise FormatError(f"{source.name}: expected lines of at most {_MAX_LINE} characters.")
            yield line


class _Raw(io.RawIOBase):
    """A source as Python's text layer reads it."""

    def __init__(self, source: Source):
        self._source = source

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        chunk = self._source.read(len(buffer))
        buffer[: len(chunk)] = chunk
        return len(chunk)


def _columns(name: str, first: list[str], second: list[str]) -> tuple[_Columns, bool]:
    """Which column is which, and whether the first row is one of names."""
    names, places = [field.strip().lower() for field in first], range(len(first))
    if not _are_names(first, second):
        return _checked(name, _Columns(len(first), 0, None, list(places)[1:])), False
    word = _word_beside_numbers(names)
    named = [place for place in places if names[place] in _KEY_NAMES or place == word]
    texts = [place for place in places if not _is_number(second[place].strip())] if len(second) == len(first) else []
    # pandas' index of numbers is no key beside a column named so, and no component
    keys = sorted(named, key=lambda place: (place not in texts, names[place] in _INDEX_NAMES)) or texts
    if not keys:
        raise FormatError(f"{name}: expected a column of keys, named 'key', got the columns {first[:10]}.")
    left_out = {keys[0], *(place for place in named if place not in texts)}
    count = next((place for place in places if names[place] in _COUNT_NAMES and place != keys[0]), None)
    components = [place for place in places if place != count and place not in left_out]
    return _checked(name, _Columns(len(first), keys[0], count, components)), True


def _checked(name: str, columns: _Columns) -> _Columns:
    if not columns.components:
        raise FormatError(f"{name}: expected a key and at least one number in a row, got {columns.n_fields} fields.")
    return columns


def _are_names(first: list[str], second: Sequence[str] = ()) -> bool:
    """Whether a row is one of names: words where numbers would be, or a word beside the numbers of components.

    pandas names components by their numbers, 0, 1, 2, or 1, 2, 3. A key may have these for its vector, one that is
    "word", too: so where the word is no name of keys, there have to be two numbers or more, and none of the row below
    may be written as a whole one, as these are.
    """
    names = [field.strip().lower() for field in first]
    if sum(not _is_number(name) for name in names) > 1:
        return True
    word = _word_beside_numbers(names)
    if word is None or names[word] in _KEY_NAMES:
        return word is not None
    numbers = [field.strip() for place, field in enumerate(second) if place != word]
    return len(numbers) > 1 and not any(map(_INTEGER.fullmatch, numbers))


def _word_beside_numbers(names: list[str]) -> int | None:
    """The place of the one name beside which all others are the numbers of components, from 0 or 1 on."""
    words = [place for place, name in enumerate(names) if not _is_number(name)]
    others = [*names[: words[0]], *names[words[0] + 1 :]] if len(words) == 1 else []
    counted = any(others == list(map(str, range(first, first + len(others)))) for first in (0, 1))
    return words[0] if others and counted else None


class _Reader:
    def __init__(self, name: str, options: ReadOptions, columns: _Columns):
        self.name, self.options, self.columns = name, options, columns
        self.selection, self.rows = Selection(options), RowBuffer(len(columns.components))
        self.keys: list[str] = []
        self.counts: list[int] = []
        self.n_seen = 0

    def take(self, batch: list[tuple[int, list[str]]]) -> None:
        """Keep what is wanted of some rows."""
        batch = batch[: self.selection.cut(len(batch))]
        self.n_seen += len(batch)
        for line, row in batch:
            if len(row) != self.columns.n_fields:
                raise self.error(line, f"expected {self.columns.n_fields} fields, found {len(row)}: {str(row)[:60]}")
        keys, places = self.selection.keep([row[self.columns.key] for _, row in batch], np.arange(len(batch)))
        self.keys += keys
        out = self.rows.extend(len(keys))
        for vector, place in zip(out, places.tolist()):
            line, row = batch[place]
            vector[:] = self.vector(line, [row[column] for column in self.columns.components])
            if self.columns.counts is not None:
                self.counts.append(self.count(line, row[self.columns.counts].strip()))

    def vector(self, line: int, fields: list[str]) -> list[Any]:
        values: list[Any] = []
        if _OF_NUMBERS.issuperset("".join(fields)):
            with contextlib.suppress(ValueError):
                values = list(map(float, fields))
        if not values or not max(map(abs, values)) < 3.4e38:
            values = [self.component(line, field) for field in fields]
        return values

    def component(self, line: int, field: str) -> np.float32:
        try:
            value = as_float32(number(field.strip().encode("utf-8", "replace")))
        except ValueError:
            way_out = ""
            if field.lstrip().startswith("["):
                way_out = "; read cells of lists by pandas and json: EmbeddingTable(keys, cells.map(json.loads))"
            raise self.error(line, f"expected a number, got {field[:40]!r}{way_out}") from None
        if not (np.isfinite(value) or self.options.allow_nonfinite):
            raise self.error(line, not_finite_message(field[:40], "in it"))
        return value

    def count(self, line: int, field: str) -> int:
        if not (field.isascii() and field.isdigit() and len(field) < 19):
            raise self.error(line, f"expected a count of 0 or more, got {field[:40]!r}")
        return int(field)

    def error(self, line: int, message: str) -> FormatError:
        return FormatError(f"{self.name}: in line {line}: {message}.")


def write_csv(table: EmbeddingTable, file: BinaryIO) -> None:
    """Rows of key, count where the table has counts, and components; named as pandas names them."""
    keys = table.keys.tolist()
    for row, key in enumerate(keys):
        string_key(key, row)
    text = io.TextIOWrapper(file, encoding="utf-8", errors="surrogateescape", newline="")
    writer = csv.writer(text, lineterminator="\n")
    quoting = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)  # Python before 3.13 leaves "\r" bare
    counted = [] if table.counts is None else ["count"]
    writer.writerow(["key", *counted, *range(table.embedding_dim)])
    for start in range(0, len(table), _ROWS_AT_ONCE):
        counts = [] if table.counts is None else table.counts[start : start + _ROWS_AT_ONCE].tolist()
        vectors = table.vectors[start : start + _ROWS_AT_ONCE].tolist()
        for place, vector in enumerate(vectors):
            count = counts[place : place + 1]
            key = keys[start + place]
            fields = [key, *count, *(f"{value:.9g}" for value in vector)]
            (quoting if "\r" in key else writer).writerow(fields)
    text.detach()  # which writes what is left; the file is the caller's to close
