"""A safetensors file with a manifest and a hash of the whole, as the library's own files of tables and estimators are.

Layout: 8 bytes with the length of the header (little-endian), the header (JSON, padded with spaces so that the tensors
start at a multiple of 64), and the tensors without gaps. The header's ``__metadata__`` holds the manifest under
``skembed``: a JSON object of `format`, `version`, `sha256`, the hash of the whole file with its own 64 digits taken as
zeros, and whatever else belongs to the format.
"""

import hashlib
import json
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from skembed.atomic import replacing
from skembed.formats._errors import FormatError, foreign_hint

__all__ = ["HashedFile", "open_regular", "write_hashed"]

_UNHASHED = "0" * 64
_ALIGNMENT = 64
_HASHED_AT_ONCE = 1 << 22


def write_hashed(
    path: str | os.PathLike, tensors: dict[str, np.ndarray], dtypes: dict[str, str], manifest: dict[str, Any]
) -> None:
    """Write a file, whole or not at all.

    Parameters
    ----------
    path : path-like
        Of a file; one that exists is replaced when all bytes are on the disk.
    tensors : dict of str to ndarray
        C-ordered and little-endian.
    dtypes : dict of str to str
        What safetensors calls the dtype of each.
    manifest : dict
        Without its hash.

    Raises
    ------
    OSError
        If the file cannot be written; nothing is left behind.
    """
    with replacing(Path(os.path.realpath(path))) as file:
        digest = hashlib.sha256()
        for chunk in _chunks(_header(tensors, dtypes, manifest, _UNHASHED), tensors):
            digest.update(chunk)
            file.write(chunk)
        file.seek(0)
        file.write(_header(tensors, dtypes, manifest, digest.hexdigest()))


def _header(tensors: dict[str, np.ndarray], dtypes: dict[str, str], manifest: dict[str, Any], digest: str) -> bytes:
    manifest = manifest | {"sha256": digest}
    entries: dict[str, Any] = {"__metadata__": {"skembed": json.dumps(manifest)}}
    start = 0
    for name, tensor in tensors.items():
        entries[name] = {"dtype": dtypes[name], "shape": tensor.shape, "data_offsets": [start, start + tensor.nbytes]}
        start += tensor.nbytes
    header = json.dumps(entries, separators=(",", ":")).encode()
    header += b" " * (-(len(header) + 8) % _ALIGNMENT)
    return len(header).to_bytes(8, "little") + header


def _chunks(header: bytes, tensors: dict[str, np.ndarray]) -> Iterator[bytes | memoryview]:
    yield header
    for tensor in tensors.values():
        yield from _as_bytes(tensor)


def _as_bytes(tensor: np.ndarray) -> Iterator[memoryview]:
    """The bytes of a C-ordered array, a few megabytes at a time, so that a memory map is never read as a whole."""
    if tensor.size:
        view = tensor.data.cast("B")
        yield from (view[start : start + _HASHED_AT_ONCE] for start in range(0, len(view), _HASHED_AT_ONCE))


def open_regular(path: str | os.PathLike) -> BinaryIO:
    """Open a file for reading; FormatError if the path names something else, as a pipe, which would be waited for."""
    if not isinstance(path, str | bytes | os.PathLike):  # a number would be a file that somebody has opened
        raise TypeError(f"path must be a str or os.PathLike, got {path!r:.60}.")
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise FormatError(f"{os.fspath(path)}: expected a file, found a folder, a pipe or a device.")
    return open(path, "rb")


class HashedFile:
    """An open file of this layout.

    Parameters
    ----------
    file : binary file
    path : path-like
        For messages.
    max_header : int
        Bytes of a header that are looked at.
    """

    def __init__(self, file: BinaryIO, path: Any, *, max_header: int):
        self.file, self.path, self.max_header = file, path, max_header
        self.n_bytes = os.fstat(file.fileno()).st_size

    def error(self, offset: int, message: str) -> FormatError:
        return FormatError(f"{self.path}: at byte {offset}: {message}.")

    def header(self, versions: dict[str, int]) -> tuple[bytes, dict[str, Any], dict[str, Any]]:
        """The header's bytes, the entries of the tensors, and the manifest.

        Parameters
        ----------
        versions : dict of str to int
            The formats that are expected, and the newest version of each that is known here.
        """
        start = self.file.read(8)
        hint = foreign_hint(start)
        if len(start) < 8:
            raise self.error(0, f"expected the 8 bytes of a safetensors header length, the file has {len(start)}")
        length = int.from_bytes(start, "little")
        if not 2 <= length <= min(self.max_header, self.n_bytes - 8):
            raise FormatError(
                f"{self.path}: at byte 0: expected the length of a header of at most {self.max_header} bytes that fits "
                f"in the {self.n_bytes} bytes of the file, got {length}."
                f"{hint or ' This is no file of skembed; EmbeddingTable.load reads other formats of vectors.'}"
            )
        header = self.file.read(length)
        try:
            entries = _json_object(header.decode("utf-8"))
        except (ValueError, RecursionError) as error:
            raise FormatError(f"{self.path}: at byte 8: expected a JSON header, got {error}.{hint}") from None
        metadata = entries.pop("__metadata__", None)
        text = metadata.get("skembed") if isinstance(metadata, dict) else None
        if not isinstance(text, str):
            raise self.error(
                8,
                "expected '__metadata__' with a 'skembed' manifest; this safetensors file was not saved by skembed. "
                "Put the keys of its vectors beside them: EmbeddingTable(keys, "
                "safetensors.numpy.load_file(path)[name])",
            )
        try:
            manifest = _json_object(text)
        except (ValueError, RecursionError) as error:
            raise self.error(8, f"expected the manifest to be a JSON object, got {error}") from None
        self.check_manifest(manifest, versions)
        return header, entries, manifest

    def check_manifest(self, manifest: dict[str, Any], versions: dict[str, int]) -> None:
        format_, version = str(manifest.get("format")), manifest.get("version")
        if format_ not in versions or type(version) is not int or version < 1:
            expected = " or ".join(map(repr, versions))
            raise self.error(
                8, f"expected a manifest of format {expected} and version 1 or more, got {str(manifest)[:200]}"
            )
        if version > versions[format_]:
            raise FormatError(
                f"{self.path}: written in version {version} of the format by a newer skembed; this one reads up to "
                f"version {versions[format_]}. Upgrade skembed: pip install -U skembed."
            )
        digest = manifest.get("sha256")
        if not isinstance(digest, str) or len(digest) != 64 or not set(digest) <= set("0123456789abcdef"):
            raise self.error(8, f"expected 'sha256' to be 64 hexadecimal digits, got {digest!r}")

    def tensor(
        self, offset: int, dtype: np.dtype, shape: tuple[int, ...], mapped: bool, *, writable: bool = False
    ) -> np.ndarray:
        """Read or map an array whose bytes are known to be there; what is written to it never reaches the file."""
        if mapped and 0 not in shape:
            return np.memmap(self.file, dtype=dtype, mode="c" if writable else "r", offset=offset, shape=shape)
        tensor = np.empty(shape, dtype=dtype)  # no larger than the file: the layout has been checked
        self.file.seek(offset)
        if tensor.size and self.file.readinto(tensor.data.cast("B")) != tensor.nbytes:  # type: ignore[attr-defined]
            raise self.error(offset, f"expected {tensor.nbytes} bytes; the file shrank while it was read")
        tensor.flags.writeable = writable
        return tensor

    def verify(self, header: bytes, manifest: dict[str, Any], tensors: Iterable[np.ndarray]) -> None:
        """Compare the hash with that of the bytes: the header's, and those of all tensors in their order."""
        digest = hashlib.sha256(len(header).to_bytes(8, "little"))
        digest.update(header.replace(manifest["sha256"].encode(), _UNHASHED.encode(), 1))
        for tensor in tensors:
            for chunk in _as_bytes(tensor):
                digest.update(chunk)
        if digest.hexdigest() != manifest["sha256"]:
            raise FormatError(
                f"{self.path}: the hash does not fit: expected {manifest['sha256']}, got {digest.hexdigest()}. "
                "The file was damaged or changed after it was saved; fetch it again."
            )


def _json_object(text: str) -> dict[str, Any]:
    value = json.loads(text, object_pairs_hook=_unique)
    if not isinstance(value, dict):
        raise ValueError(f"{type(value).__name__} in place of an object")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a name that occurs twice")
    return dict(pairs)
