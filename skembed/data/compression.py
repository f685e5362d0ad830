"""Compression by gzip, bzip2 and xz: told by the first bytes of a file, since a suffix may lie; bombs are refused."""

import bz2
import gzip
import io
import itertools
import lzma
import os
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, BinaryIO, NamedTuple

from skembed.data.pointers import POINTER, WAY_OUT

__all__ = ["COMPRESSIONS", "MAX_EXPANSION", "Compression", "find_compression", "most_bytes", "text_lines"]

FREE_BYTES = 1 << 26  # what any file may expand to: less than a small table
MAX_EXPANSION = 100  # text compresses by 2 to 10, the worst of deflate is 1,000
_XZ_MEMORY = 1 << 28  # what the largest preset of xz needs is 65 MB
_DAMAGE = (OSError, EOFError, zlib.error, lzma.LZMAError)
_BYTE_ORDER_MARK = "\ufeff"
_NO_TEXT = {
    b"PK\x03\x04": "a zip archive; unpack it before",
    b"\x28\xb5\x2f\xfd": "compressed by zstd; unpack it before",
    b"PAR1": "a table of parquet; read it by pandas or polars, and pass the column",
    POINTER: WAY_OUT,
}


class Compression(NamedTuple):
    """One way of compressing files.

    Attributes
    ----------
    name : str
        For messages.
    magic : bytes
        What each file begins with.
    open : callable
        Makes of an open file the file of its content.
    decompressor : callable
        Makes an object that decompresses one stream piece by piece.
    """

    name: str
    magic: bytes
    open: Callable[[BinaryIO], Any]
    decompressor: Callable[[], Any]


COMPRESSIONS = (
    Compression("gzip", b"\x1f\x8b\x08", lambda file: gzip.GzipFile(fileobj=file), lambda: zlib.decompressobj(31)),
    Compression("bzip2", b"BZh", bz2.BZ2File, bz2.BZ2Decompressor),
    Compression("xz", b"\xfd7zXZ\0", lzma.LZMAFile, lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)),
)


def find_compression(start: bytes) -> Compression | None:
    """How a file that begins with these bytes is compressed, None if it is not.

    Examples
    --------
    >>> find_compression(gzip.compress(b"the")).name
    'gzip'
    """
    return next((each for each in COMPRESSIONS if start.startswith(each.magic)), None)


def most_bytes(n_compressed: int, max_expansion: int = MAX_EXPANSION) -> int:
    """How many bytes may come out of so many: more is taken for a decompression bomb."""
    return max(FREE_BYTES, max_expansion * n_compressed)


def text_lines(
    path: str | os.PathLike, *, encoding: str, errors: str = "strict", newline: str | None = None
) -> Iterator[str]:
    """The lines of a text file, compressed or not, with what ends them; a byte order mark is no part of the first.

    Parameters
    ----------
    path : path-like
    encoding, errors, newline : str
        As in `open`.

    Yields
    ------
    str

    Raises
    ------
    OSError
        If the file is not there or its compressed data are damaged.
    ValueError
        If one line of a compressed file is longer than `most_bytes` of what was read, since a line is in memory as a
        whole; the file itself may be of any length. If the file is an archive or a table. As UnicodeDecodeError for
        bytes that are no text.
    """
    lines = _marked_lines(path, encoding=encoding, errors=errors, newline=newline)
    for first in itertools.islice(lines, 1):
        yield first.removeprefix(_BYTE_ORDER_MARK)
    yield from lines


def _marked_lines(path: str | os.PathLike, *, encoding: str, errors: str, newline: str | None) -> Iterator[str]:
    """The lines as they are, the first with a byte order mark if there is one."""
    with open(path, "rb") as file:
        start = file.peek(8)
        other = next((what for magic, what in _NO_TEXT.items() if start.startswith(magic)), None)
        if other is not None:
            raise ValueError(f"{os.fspath(path)!r} is no text, but {other}.")
        compression = find_compression(start)
        content: Any = file if compression is None else compression.open(file)
        with io.TextIOWrapper(content, encoding=encoding, errors=errors, newline=newline) as text:
            if compression is None:
                yield from text
                return
            try:
                for line in iter(partial(text.readline, FREE_BYTES), ""):
                    if len(line) == FREE_BYTES and not line.endswith("\n"):
                        line += _rest_of_line(text, file, path, compression)
                    yield line
            except _DAMAGE as error:
                raise OSError(f"{os.fspath(path)!r} is damaged or not complete: {error}") from error


def _rest_of_line(text: io.TextIOWrapper, file: BinaryIO, path: str | os.PathLike, compression: Compression) -> str:
    """The rest of a line of which `FREE_BYTES` characters are read."""
    pieces, length = [""], FREE_BYTES
    while piece := text.readline(FREE_BYTES):
        length += len(piece)
        if length > most_bytes(file.tell()):
            raise ValueError(
                f"{os.fspath(path)!r}: a line of more than {length} characters came out of {file.tell()} bytes of "
                f"{compression.name}, more than {MAX_EXPANSION} times as many: refused as a decompression bomb. If you "
                "trust the file, unpack it and pass what comes out."
            )
        pieces.append(piece)
        if piece.endswith("\n"):
            break
    return "".join(pieces)
