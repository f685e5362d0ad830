"""The content of a file, plain or compressed: compression is found by the first bytes, and bombs are refused."""

import contextlib
import lzma
import os
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

import numpy as np

from skembed.data.compression import Compression, find_compression, most_bytes
from skembed.formats._errors import FormatError
from skembed.formats._options import ReadOptions

_COMPRESSED_CHUNK = 1 << 18
_BROKEN = (  # what the decompressors of the standard library raise for damaged input
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
    EOFError,
    OSError,
    ValueError,
    RuntimeError,  # encrypted; NotImplementedError, for a method or version that is not known, is one
    KeyError,
    OverflowError,
)
_OF_MACOS = "__MACOSX"  # where archives made there have a second file, of attributes, for each
ZIP = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")


class Source:
    """Bytes to be read once from the start, or in any order after `spooled`.

    Attributes
    ----------
    name : str
        For messages.
    n_bytes : int or None
        Length of the content where that is known beforehand.
    offset : int
        How much has been read.
    """

    def __init__(self, name: str, n_bytes: int | None, read: Callable[[int], bytes], file: BinaryIO | None = None):
        self.name, self.n_bytes, self.offset = name, n_bytes, 0
        self._read, self._file, self._ahead = read, file, b""
        self._temporary: Any = None

    def error(self, offset: int, message: str) -> FormatError:
        return FormatError(f"{self.name}: at byte {offset}: {message}.")

    def peek(self, size: int) -> bytes:
        """The next `size` bytes, or all that are left, without moving on."""
        while len(self._ahead) < size:
            chunk = self._read(size - len(self._ahead))
            if not chunk:
                break
            self._ahead += chunk
        return self._ahead[:size]

    def read(self, size: int) -> bytes:
        """Up to `size` bytes, none only at the end."""
        if self._ahead:
            chunk, self._ahead = self._ahead[:size], self._ahead[size:]
        else:
            chunk = self._read(size)
        self.offset += len(chunk)
        return chunk

    def spooled(self) -> "Seekable":
        """All of the content, in any order: the file itself, or a temporary one without a name."""
        if self._file is not None and self.n_bytes is not None:
            return Seekable(self.name, self._file, self.n_bytes)
        self._temporary = tempfile.SpooledTemporaryFile(max_size=most_bytes(0))  # noqa: SIM115 - `close` closes it
        while chunk := self.read(_COMPRESSED_CHUNK * 4):
            self._temporary.write(chunk)
        return Seekable(self.name, self._temporary, self.offset)

    def close(self) -> None:
        """Close the temporary file, if there is one; memory maps of it stay."""
        if self._temporary is not None:
            self._temporary.close()


class Seekable:
    """Bytes at known places; whatever is asked for is there, or a FormatError says what is missing."""

    def __init__(self, name: str, file: BinaryIO, n_bytes: int):
        self.name, self.file, self.n_bytes = name, file, n_bytes

    def error(self, offset: int, message: str) -> FormatError:
        return FormatError(f"{self.name}: at byte {offset}: {message}.")

    def check(self, offset: int, size: int, what: str) -> None:
        """FormatError unless `size` bytes from `offset` on are in the file."""
        if size < 0 or offset + size > self.n_bytes:
            raise self.error(
                offset,
                f"expected {size} bytes of {what}, {max(self.n_bytes - offset, 0)} are left: the file is cut short",
            )

    def bytes(self, offset: int, size: int, what: str) -> bytes:
        self.check(offset, size, what)
        self.file.seek(offset)
        chunk = self.file.read(size)
        if len(chunk) != size:
            raise self.error(offset, f"expected {size} bytes of {what}; the file shrank while it was read")
        return chunk

    def array(self, offset: int, dtype: str, shape: tuple[int, ...], what: str, mapped: bool = False) -> np.ndarray:
        """An array of these bytes, read-only if it is mapped."""
        kind, size = np.dtype(dtype), np.dtype(dtype).itemsize
        for extent in shape:
            size *= extent
        self.check(offset, size, what)
        if mapped and size:
            return np.memmap(self.file, dtype=kind, mode="r", offset=offset, shape=shape)
        array = np.empty(shape, dtype=kind)
        self.read_into(array, offset, what)
        return array

    def read_into(self, array: np.ndarray, offset: int, what: str) -> None:
        if array.size:
            self.file.seek(offset)
            if self.file.readinto(array.data.cast("B")) != array.nbytes:  # type: ignore[attr-defined]
                raise self.error(offset, f"expected {array.nbytes} bytes of {what}; the file shrank while it was read")


@contextlib.contextmanager
def open_source(path: str | os.PathLike, options: ReadOptions) -> Iterator[tuple[Source, zipfile.ZipFile | None]]:
    """The content of a file, and the archive itself where it is a zip of .npy arrays."""
    name = os.fsdecode(path)
    if not stat.S_ISREG(os.stat(path).st_mode):  # a pipe would be waited for
        raise FormatError(f"{name}: expected a file, found a folder, a pipe or a device.")
    with open(path, "rb") as file:
        n_bytes = os.fstat(file.fileno()).st_size
        start = file.read(8)
        file.seek(0)
        if start.startswith(ZIP):
            with _archive(name, file) as archive:
                infos = checked_members(name, archive)
                if infos and all(info.filename.endswith(".npy") for info in infos):
                    yield Source(name, n_bytes, file.read, file), archive
                else:
                    with contextlib.closing(_member(name, archive, infos, options)) as source:
                        yield _once(source), None
            return
        if options.member is not None:
            raise ValueError(
                f"member names a file in a zip archive, and {name} is none; got member={options.member!r}."
            )
        compression = find_compression(start)
        if compression is not None:
            limited = _limited(name, _decompressed(name, file, compression), file.tell, options)
            with contextlib.closing(Source(name, None, _Reader(limited).read)) as source:
                yield _once(source), None
            return
        yield Source(name, n_bytes, file.read, file), None


def _once(source: Source) -> Source:
    start = source.peek(262)
    if find_compression(start) is not None or start.startswith(ZIP):
        raise source.error(0, "expected vectors in the compressed file, found another compressed file; unpack it first")
    if start[257:262] == b"ustar":
        raise source.error(257, "expected vectors, found a tar archive; unpack it and load the file of vectors")
    return source


def _decompressed(name: str, file: BinaryIO, compression: Compression) -> Iterator[bytes]:
    """Pieces of content; streams one after the other are one content, as the command-line tools have it."""
    pending, started = b"", False
    while True:
        pending = pending or file.read(_COMPRESSED_CHUNK)
        if started and not pending.strip(b"\0"):  # padding, of tapes and disks
            if not pending:
                return
            pending = b""
            continue
        at, stream, started = file.tell() - len(pending), compression.decompressor(), True
        while not stream.eof:
            try:
                chunk = stream.decompress(pending, _COMPRESSED_CHUNK)
            except _BROKEN as error:
                raise FormatError(
                    f"{name}: at byte {at}: expected {compression.name} data in the stream that starts there: {error}."
                ) from None
            pending = getattr(stream, "unconsumed_tail", b"")  # of zlib; the others keep it to themselves
            if chunk:
                yield chunk
            if not stream.eof and not pending and getattr(stream, "needs_input", True):
                pending = file.read(_COMPRESSED_CHUNK)
                if not pending and not chunk:
                    raise FormatError(
                        f"{name}: at byte {file.tell()}: expected more {compression.name} data: the file is cut short."
                    )
        pending = stream.unused_data


def _limited(name: str, chunks: Iterator[bytes], consumed: Callable[[], int], options: ReadOptions) -> Iterator[bytes]:
    total = 0
    for chunk in chunks:
        total += len(chunk)
        if total > options.most_bytes(consumed()):
            raise FormatError(
                f"{name}: at byte {consumed()}: {total} bytes came out of {consumed()}, more than "
                f"{options.max_expansion} times as many: refused as a decompression bomb. If you trust the file, "
                "unpack it or pass max_expansion=."
            )
        yield chunk


class _Reader:
    """`read` over chunks of bytes."""

    def __init__(self, chunks: Iterator[bytes]):
        self.chunks, self.rest = chunks, b""

    def read(self, size: int) -> bytes:
        parts, length = [self.rest], len(self.rest)
        while length < size:
            chunk = next(self.chunks, b"")
            if not chunk:
                break
            parts.append(chunk)
            length += len(chunk)
        whole = b"".join(parts) if len(parts) > 1 else self.rest
        self.rest = whole[size:]
        return whole[:size]


def _archive(name: str, file: BinaryIO) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(file)
    except _BROKEN as error:
        raise FormatError(f"{name}: at byte 0: expected a zip archive: {error}.") from None


def checked_members(name: str, archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """The files in an archive; nothing is ever unpacked to disk, yet one that tries to break out is refused."""
    infos = []
    for info in archive.infolist():
        at, parts = info.header_offset, info.filename.replace("\\", "/").split("/")
        if not info.filename or info.filename.startswith(("/", "\\")) or ".." in parts or ":" in parts[0]:
            raise FormatError(
                f"{name}: at byte {at}: expected names inside the archive, got {info.filename!r}: refused."
            )
        if stat.S_ISLNK(info.external_attr >> 16):
            raise FormatError(
                f"{name}: at byte {at}: expected files in the archive, {info.filename!r} is a link: refused."
            )
        if not info.is_dir() and parts[0] != _OF_MACOS:
            infos.append(info)
    pickled = [info.filename for info in infos if info.filename.endswith((".pkl", ".pickle"))]
    if pickled:
        raise FormatError(
            f"{name}: the archive holds the pickle {pickled[0]!r}, as .pt files do; skembed never unpickles. Open it "
            "where it was made, if you trust it, and pass its keys and vectors to EmbeddingTable(keys, vectors)."
        )
    return infos


def _member(name: str, archive: zipfile.ZipFile, infos: list[zipfile.ZipInfo], options: ReadOptions) -> Source:
    names = [info.filename for info in infos]
    if options.member is not None:
        infos = [info for info in infos if info.filename == options.member]
    if len(infos) != 1:
        asked = "" if options.member is None else f" named {options.member!r}"
        raise FormatError(
            f"{name}: expected one file{asked} in the zip archive, it holds {len(names)}: {names[:10]}. "
            "Pass member= the name of one."
        )
    return open_member(name, archive, infos[0], options)


def open_member(name: str, archive: zipfile.ZipFile, info: zipfile.ZipInfo, options: ReadOptions) -> Source:
    """The content of one file of an archive."""
    label = f"{name}:{info.filename}"
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2):
        raise FormatError(f"{label}: expected it stored, deflated or compressed with bzip2; unpack it first.")

    def chunks() -> Iterator[bytes]:
        try:
            with archive.open(info) as stream:
                while chunk := stream.read(_COMPRESSED_CHUNK):
                    yield chunk
        except _BROKEN as error:
            raise FormatError(f"{label}: at byte {info.header_offset}: expected zip data: {error}.") from None

    return Source(label, None, _Reader(_limited(label, chunks(), lambda: info.compress_size, options)).read)
