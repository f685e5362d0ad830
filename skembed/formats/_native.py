"""The library's own file of a table: one safetensors file, opened by any safetensors reader.

Its layout is that of `skembed.formats.hashed_file`, with these tensors:

============= ===== ================== ==========================================================
key_offsets   I64   (n_keys + 1,)      where the spelling of each key starts in key_bytes
counts        I64   (n_keys,)          of a table that has them
buckets       I64   (n_ngrams,)        of a SubwordTable with a row for some buckets only
vectors       F32   (n_keys, dim)
ngrams        F32   (n_ngrams, dim)    of a SubwordTable
unknown       F32   (dim,)             only if the table has a vector for unknown keys
key_types     U8    (n_keys,)          what each key is; see `skembed.data.keycodes`
key_bytes     U8    (n_bytes,)         the spellings of the keys, UTF-8, one after the other
============= ===== ================== ==========================================================

The manifest of a table that is not to be read by the cosine also holds `metric`; that of a SubwordTable `subwords`, the
parameters of its `Subwords`. Files with `subwords` or `counts` are of version 2, all others of version 1.
"""

import os
from typing import Any

import numpy as np

from skembed.data.keycodes import decode_keys, encode_keys
from skembed.formats._errors import FormatError
from skembed.formats._rows import not_finite_message
from skembed.formats.hashed_file import HashedFile, open_regular, write_hashed
from skembed.table import EmbeddingTable
from skembed.table.counts import checked_counts
from skembed.table.neighbors import METRICS, Metric
from skembed.table.subword_table import SubwordTable
from skembed.table.subwords import Subwords
from skembed.table.vectors import first_not_finite

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
_MAX_HEADER = 1 << 16  # ours take under 1 kB


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
        For a key that is no str, int, float, Decimal, bool, bytes, UUID, time, duration or None.
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
        "counts": table.counts,
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
    manifest: dict[str, Any] = {"format": _FORMAT, "version": 1 if table.counts is None else 2}
    if table.metric != _UNNAMED_METRIC:
        manifest["metric"] = table.metric
    if subwords is not None:
        manifest |= {"version": 2, "subwords": subwords.settings}
    write_hashed(path, tensors, _DTYPES, manifest)


def load_native(
    path: str | os.PathLike, *, mmap: bool = False, verify: bool = True, allow_nonfinite: bool = False
) -> EmbeddingTable:
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
    allow_nonfinite : bool, default=False
        Take NaN and infinity in vectors as they are.

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
    with open_regular(path) as file:
        return _Reader(file, os.fspath(path), max_header=_MAX_HEADER).table(mmap, verify, allow_nonfinite)


class _Reader(HashedFile):
    def table(self, mmap: bool, verify: bool, allow_nonfinite: bool) -> EmbeddingTable:
        header, entries, manifest = self.header({_FORMAT: _VERSION})
        metric = manifest.get("metric", _UNNAMED_METRIC)
        if metric not in METRICS:
            raise self.error(
                8, f"expected 'metric' to be one of {', '.join(map(repr, METRICS))}, got {repr(metric)[:60]}"
            )
        layout = self.layout(entries, 8 + len(header))
        settings = self.subword_settings(manifest, layout)
        tensors = {
            name: self.tensor(offset, dtype, shape, mmap and name in _MATRICES)
            for name, (offset, dtype, shape) in layout.items()
        }
        if verify:
            self.verify(header, manifest, tensors.values())
        return self.assemble(tensors, settings, metric, verify and not allow_nonfinite)

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

    def subword_settings(self, manifest: dict[str, Any], layout: dict) -> dict[str, Any] | None:
        """The parameters of the n-grams, there if and only if their vectors are."""
        settings = manifest.get("subwords")
        if (settings is None) != ("ngrams" not in layout) or (settings is None and "buckets" in layout):
            raise self.error(8, "expected 'subwords' in the manifest and the tensor 'ngrams', or none of both")
        if settings is None:
            return None
        fits = isinstance(settings, dict) and set(settings) == set(_SUBWORD_SETTINGS)
        if not fits or any(type(settings[name]) is not kind for name, kind in _SUBWORD_SETTINGS.items()):
            raise self.error(8, f"expected 'subwords' to be {sorted(_SUBWORD_SETTINGS)}, got {str(settings)[:80]}")
        return settings

    def assemble(
        self, tensors: dict[str, np.ndarray], settings: dict[str, Any] | None, metric: Metric, finite: bool
    ) -> EmbeddingTable:
        vectors, unknown = tensors["vectors"], tensors.get("unknown")
        try:
            keys = decode_keys(tensors["key_types"], tensors["key_offsets"], tensors["key_bytes"].tobytes())
            counts = checked_counts(tensors.get("counts"), len(keys))
            bad = first_not_finite(vectors) if finite else None
            if bad is not None:
                raise ValueError(not_finite_message(vectors[bad], f"(key {keys[bad[0]]!r})"))
            table = EmbeddingTable._validated(keys, vectors, unknown, metric, counts, finite=False)
            if settings is None:
                return table
            subwords = Subwords(tensors["ngrams"], buckets=tensors.get("buckets"), **settings)
            if finite and first_not_finite(subwords.vectors) is not None:
                raise ValueError("ngrams must be finite float32, they are not")
            return SubwordTable._from(table, subwords)
        except ValueError as error:
            raise FormatError(f"{self.path}: {str(error).removesuffix('.')}.") from None
