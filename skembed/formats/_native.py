"""The library's own file of a table: one safetensors file, opened by any safetensors reader.

Layout: 8 bytes with the length of the header (little-endian), the header (JSON, padded with spaces so that the tensors
start at a multiple of 64), and the tensors without gaps:

============= ===== ================== ==========================================================
key_offsets   I64   (n_keys + 1,)      where the spelling of each key starts in key_bytes
counts        I64   (n_keys,)          of a SubwordTable that has them
buckets       I64   (n_ngrams,)        of a SubwordTable with a row for some buckets only
vectors       F32   (n_keys, dim)
ngrams        F32   (n_ngrams, dim)    of a SubwordTable
unknown       F32   (dim,)             only if the table has a vector for unknown keys
key_types     U8    (n_keys,)          what each key is; see `skembed.formats._keycodes`
key_bytes     U8    (n_bytes,)         the spellings of the keys, UTF-8, one after the other
============= ===== ================== ==========================================================

The header's ``__metadata__`` holds the manifest under ``skembed``: a JSON object of `format`, `version` and `sha256`,
the hash of the whole file with its own 64 digits taken as zeros; of a table that is not to be read by the cosine also
`metric`; of a SubwordTable also `subwords`, the parameters of its `Subwords`. Files with `subwords` are of version 2,
all others of version 1.
"""

import hashlib
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from skembed.atomic import replacing
from skembed.formats._errors import FormatError, foreign_hint
from skembed.formats._keycodes import decode_keys, encode_keys
from skembed.table import EmbeddingTable
from skembed.table.neighbors import METRICS, Metric
from skembed.table.subword_table import SubwordTable, checked_counts
from skembed.table.subwords import Subwords

_FORMAT = "skembed.EmbeddingTable"
_VERSION = 2
_DTYPES = {
    "key_offsets": "I64", "counts": "I64", "buckets": "I64", "vectors": "F32", "ngrams": "F32", "unknown": "F32",
    "key_types": "U8", "key_bytes": "U8",
}  # fmt: skip
_OPTIONAL = {"counts", "buckets", "ngrams", "unknown"}
_MATRICES = {"vectors", "ngrams"}
_SUBWORD_SETTINGS = {"min_n": int, "max_n": int, "n_buckets": int, "absent": str}
_NUMPY_DTYPES: dict[str, np.dtype] = {"I64": np.dtype("<i8"), "F32": np.dtype("<f4"), "U8": np.dtype("u1")}
_UNNAMED_METRIC: Metric = "cosine"  # of files without `metric`, as all were before tables had one
_UNHASHED = "0" * 64
_MAX_HEADER = 1 << 16  # ours take under 1 kB
_ALIGNMENT = 64
_HASHED_AT_ONCE = 1 << 22


def save_native(table: EmbeddingTable, path: str | os.PathLike) -> None:
    """Write a table to `path`, whole or not at all.

    The bytes go to a new file beside it, which takes the name `path` only when all of them are on the disk: whatever
    happens on the way, a file that was there before stays as it was.

    Parameters
    ----------
    table : EmbeddingTable
    path : path-like
        Of a file; one that exists is replaced.

    Raises
    ------
    TypeError
        For a key that is not str, int, float, bool, bytes, date, duration or None.
    OSError
        If the file cannot be written; nothing is left behind.

    Examples
    --------
    >>> import tempfile
    >>> from skembed import EmbeddingTable
    >>> table = EmbeddingTable(["Ulm", None], [[1.0, 2.0], [0.0, 0.0]])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     table.save(f"{folder}/cities.safetensors")
    ...     EmbeddingTable.load(f"{folder}/cities.safetensors") == table
    True
    """
    codes, offsets, blob = encode_keys(table.keys)
    subwords = table.subwords if isinstance(table, SubwordTable) else None
    parts = {
        "key_offsets": offsets,
        "counts": table.counts if isinstance(table, SubwordTable) else None,
        "buckets": None if subwords is None else subwords.buckets,
        "vectors": table.vectors,
        "ngrams": None if subwords is None else subwords.vectors,
        "unknown": table.unknown,
        "key_types": codes,
        "key_bytes": np.frombuffer(blob, dtype=np.uint8),
    }
    tensors = {
        name: part.astype(_NUMPY_DTYPES[_DTYPES[name]], copy=False) for name, part in parts.items() if part is not None
    }
    manifest: dict[str, Any] = {"format": _FORMAT, "version": 1}
    if table.metric != _UNNAMED_METRIC:
        manifest["metric"] = table.metric
    if subwords is not None:
        manifest |= {"version": 2, "subwords": subwords.settings}
    with replacing(Path(os.path.realpath(path))) as file:
        digest = hashlib.sha256()
        for chunk in _chunks(_header(tensors, manifest, _UNHASHED), tensors):
            digest.update(chunk)
            file.write(chunk)
        file.seek(0)
        file.write(_header(tensors, manifest, digest.hexdigest()))


def _header(tensors: dict[str, np.ndarray], manifest: dict[str, Any], digest: str) -> bytes:
    manifest = manifest | {"sha256": digest}
    entries: dict[str, Any] = {"__metadata__": {"skembed": json.dumps(manifest)}}
    start = 0
    for name, tensor in tensors.items():
        entries[name] = {"dtype": _DTYPES[name], "shape": tensor.shape, "data_offsets": [start, start + tensor.nbytes]}
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


def load_native(path: str | os.PathLike, *, mmap: bool = False, verify: bool = True) -> EmbeddingTable:
    """Read a table that `save_native` wrote.

    Every size is checked against the bytes that are there before anything is allocated, and nothing in a file is run.

    Parameters
    ----------
    path : path-like
    mmap : bool, default=False
        Leave the vectors in the file, to be read as they are used; processes that open the same file share them.
    verify : bool, default=True
        Compare the file with its hash, and check that its vectors are finite. False saves reading all of a file that
        is mapped; sizes and keys are checked even so.

    Returns
    -------
    EmbeddingTable

    Raises
    ------
    FormatError
        If the file is of another format, cut short, changed, or of a newer version; the message says which.
    OSError
        If the file cannot be opened.
    """
    if not stat.S_ISREG(os.stat(path).st_mode):  # a pipe would be waited for
        raise FormatError(f"{os.fspath(path)}: expected a file, found a folder, a pipe or a device.")
    with open(path, "rb") as file:
        return _Reader(file, os.fspath(path)).table(mmap, verify)


class _Reader:
    def __init__(self, file: BinaryIO, path: Any):
        self.file, self.path = file, path
        self.n_bytes = os.fstat(file.fileno()).st_size

    def error(self, offset: int, message: str) -> FormatError:
        return FormatError(f"{self.path}: at byte {offset}: {message}.")

    def table(self, mmap: bool, verify: bool) -> EmbeddingTable:
        header, entries, manifest = self.header()
        layout = self.layout(entries, 8 + len(header))
        settings = self.subword_settings(manifest, layout)
        digest = hashlib.sha256(len(header).to_bytes(8, "little"))
        digest.update(header.replace(manifest["sha256"].encode(), _UNHASHED.encode(), 1))
        tensors = {}
        for name, (offset, dtype, shape) in layout.items():
            tensors[name] = self.tensor(offset, dtype, shape, mmap and name in _MATRICES)
            if verify:
                for chunk in _as_bytes(tensors[name]):
                    digest.update(chunk)
        if verify and digest.hexdigest() != manifest["sha256"]:
            raise FormatError(
                f"{self.path}: the hash does not fit: expected {manifest['sha256']}, got {digest.hexdigest()}. "
                "The file was damaged or changed after it was saved; fetch it again."
            )
        return self.assemble(tensors, settings, manifest.get("metric", _UNNAMED_METRIC), verify)

    def header(self) -> tuple[bytes, dict[str, Any], dict[str, Any]]:
        """The header's bytes, its entries, and the manifest, of this format and a version that is known here."""
        start = self.file.read(8)
        hint = foreign_hint(start)
        if len(start) < 8:
            raise self.error(0, f"expected the 8 bytes of a safetensors header length, the file has {len(start)}")
        length = int.from_bytes(start, "little")
        if not 2 <= length <= min(_MAX_HEADER, self.n_bytes - 8):
            raise FormatError(
                f"{self.path}: at byte 0: expected the length of a header of at most {_MAX_HEADER} bytes that fits "
                f"in the {self.n_bytes} bytes of the file, got {length}.{hint}"
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
                8, "expected '__metadata__' with a 'skembed' manifest; this safetensors file was not saved by skembed"
            )
        try:
            manifest = _json_object(text)
        except (ValueError, RecursionError) as error:
            raise self.error(8, f"expected the manifest to be a JSON object, got {error}") from None
        self.check_manifest(manifest)
        return header, entries, manifest

    def check_manifest(self, manifest: dict[str, Any]) -> None:
        version = manifest.get("version")
        if manifest.get("format") != _FORMAT or type(version) is not int or version < 1:
            raise self.error(8, f"expected a manifest of format {_FORMAT!r} and version 1 or more, got {manifest!r}")
        if version > _VERSION:
            raise FormatError(
                f"{self.path}: written in version {version} of the format by a newer skembed; this one reads up to "
                f"version {_VERSION}. Upgrade skembed: pip install -U skembed."
            )
        digest = manifest.get("sha256")
        if not isinstance(digest, str) or len(digest) != 64 or not set(digest) <= set("0123456789abcdef"):
            raise self.error(8, f"expected 'sha256' to be 64 hexadecimal digits, got {digest!r}")
        metric = manifest.get("metric", _UNNAMED_METRIC)
        if metric not in METRICS:
            raise self.error(
                8, f"expected 'metric' to be one of {', '.join(map(repr, METRICS))}, got {repr(metric)[:60]}"
            )

    def layout(self, entries: dict[str, Any], start: int) -> dict[str, tuple[int, np.dtype, tuple[int, ...]]]:
        """Offset, dtype and shape of each tensor, which together must fill the file to its last byte."""
        names = [name for name in _DTYPES if name not in _OPTIONAL or name in entries]
        if set(entries) != set(names):
            raise self.error(8, f"expected the tensors {names}, got {sorted(entries)}")
        shapes, offset, layout = {}, start, {}
        for name in names:
            shapes[name] = self.shape(name, entries[name])
        n_keys, dim = shapes["vectors"] if len(shapes["vectors"]) == 2 else (-1, -1)
        n_ngrams = shapes.get("ngrams", (0,))[0] if shapes.get("ngrams") else 0
        expected = {
            "key_offsets": (n_keys + 1,), "unknown": (dim,), "key_types": (n_keys,), "vectors": (n_keys, dim),
            "counts": (n_keys,), "buckets": (n_ngrams,), "ngrams": (n_ngrams, dim),
        }  # fmt: skip
        for name in names:
            shape, dtype = shapes[name], _NUMPY_DTYPES[_DTYPES[name]]
            if dim == 0 or shape != expected.get(name, shape) or len(shape) != (2 if name in _MATRICES else 1):
                raise self.error(8, f"tensor {name!r}: the shape {shape} does not fit vectors of {shapes['vectors']}")
            n_bytes = dtype.itemsize
            for extent in shape:
                n_bytes *= extent
            bounds = [offset - start, offset - start + n_bytes]
            if entries[name]["data_offsets"] != bounds:
                raise self.error(
                    8, f"tensor {name!r}: expected data_offsets {bounds}, got {str(entries[name]['data_offsets'])[:60]}"
                )
            layout[name] = (offset, dtype, shape)
            offset += n_bytes
        if offset != self.n_bytes:
            missing = "the file is cut short" if offset > self.n_bytes else "bytes follow the last tensor"
            raise self.error(
                min(offset, self.n_bytes), f"expected a file of {offset} bytes, it has {self.n_bytes}: {missing}"
            )
        return layout

    def shape(self, name: str, entry: Any) -> tuple[int, ...]:
        shape = entry.get("shape") if isinstance(entry, dict) else None
        if not isinstance(shape, list) or set(entry) != {"dtype", "shape", "data_offsets"}:
            raise self.error(8, f"tensor {name!r}: expected 'dtype', 'shape' and 'data_offsets', got {str(entry)[:60]}")
        if entry["dtype"] != _DTYPES[name]:
            raise self.error(8, f"tensor {name!r}: expected dtype {_DTYPES[name]}, got {str(entry['dtype'])[:60]}")
        if not all(type(extent) is int and 0 <= extent <= self.n_bytes for extent in shape) or len(shape) > 2:
            raise self.error(8, f"tensor {name!r}: a file of {self.n_bytes} bytes cannot hold shape {str(shape)[:60]}")
        return tuple(shape)

    def tensor(self, offset: int, dtype: np.dtype, shape: tuple[int, ...], mapped: bool) -> np.ndarray:
        if mapped and 0 not in shape:
            return np.memmap(self.file, dtype=dtype, mode="r", offset=offset, shape=shape)
        tensor = np.empty(shape, dtype=dtype)  # no larger than the file: layout has seen to it
        self.file.seek(offset)
        if tensor.size and self.file.readinto(tensor.data.cast("B")) != tensor.nbytes:  # type: ignore[attr-defined]
            raise self.error(offset, f"expected {tensor.nbytes} bytes; the file shrank while it was read")
        tensor.flags.writeable = False
        return tensor

    def subword_settings(self, manifest: dict[str, Any], layout: dict) -> dict[str, Any] | None:
        """The parameters of the n-grams, there if and only if their vectors are."""
        settings = manifest.get("subwords")
        if (settings is None) != ("ngrams" not in layout) or (settings is None and {"counts", "buckets"} & set(layout)):
            raise self.error(8, "expected 'subwords' in the manifest and the tensor 'ngrams', or none of both")
        if settings is None:
            return None
        fits = isinstance(settings, dict) and set(settings) == set(_SUBWORD_SETTINGS)
        if not fits or any(type(settings[name]) is not kind for name, kind in _SUBWORD_SETTINGS.items()):
            raise self.error(8, f"expected 'subwords' to be {sorted(_SUBWORD_SETTINGS)}, got {str(settings)[:80]}")
        return settings

    def assemble(
        self, tensors: dict[str, np.ndarray], settings: dict[str, Any] | None, metric: Metric, verify: bool
    ) -> EmbeddingTable:
        vectors, unknown = tensors["vectors"], tensors.get("unknown")
        try:
            keys = decode_keys(tensors["key_types"], tensors["key_offsets"], tensors["key_bytes"].tobytes())
            table = EmbeddingTable._validated(keys, vectors, unknown, metric, finite=verify)
            if settings is None:
                return table
            counts = checked_counts(tensors.get("counts"), len(keys))
            subwords = Subwords(tensors["ngrams"], buckets=tensors.get("buckets"), **settings)
            if verify and not _finite(subwords.vectors):
                raise ValueError("ngrams must be finite float32, they are not")
            return SubwordTable._from(table, subwords, counts)
        except ValueError as error:
            raise FormatError(f"{self.path}: {error}.") from None


def _finite(vectors: np.ndarray) -> bool:
    return all(np.isfinite(vectors[start : start + 65_536]).all() for start in range(0, len(vectors), 65_536))


def _json_object(text: str) -> dict[str, Any]:
    value = json.loads(text, object_pairs_hook=_unique)
    if not isinstance(value, dict):
        raise ValueError(f"{type(value).__name__} in place of an object")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a name that occurs twice")
    return dict(pairs)
