"""The library's own file of an estimator: a safetensors file whose manifest is a tree of values, see `_tree`."""

import math
import os
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from skembed.formats import FormatError, load_table, save_table
from skembed.formats.hashed_file import HashedFile, open_regular, write_hashed
from skembed.persistence._registry import registered
from skembed.persistence._tree import DTYPES, Reader, Writer
from skembed.state import STORED
from skembed.table import EmbeddingTable

__all__ = ["load", "save"]

_FORMAT, _VERSION = "skembed.Estimator", 1
_TABLE = "skembed.EmbeddingTable"
_MAX_HEADER = 100_000_000  # as the library safetensors has it
_LEAST_MAPPED = 1 << 16  # bytes; smaller arrays are read


def save(estimator: BaseEstimator | EmbeddingTable, path: str | os.PathLike) -> None:
    """Write an estimator of skembed, fitted or not, to one file, whole or not at all.

    The file is a safetensors file: arrays, and as JSON the parameters and the fitted state. It holds no code, and
    `load` runs none. What was at `path` stays as it was until all is on the disk.

    Parameters
    ----------
    estimator : estimator of skembed, or EmbeddingTable
        A Pipeline is scikit-learn's: see the guide for skops, or save its steps.
    path : path-like
        Of a file; one that exists is replaced. Any suffix; ``.safetensors`` lets others recognise it.

    Raises
    ------
    TypeError
        If it is no estimator of skembed, or a parameter cannot be written, as a function or a splitter; the message
        names it.
    ValueError
        If attributes that were changed after `fit` no longer fit together, so that the file could not be opened.
    OSError
        If the file cannot be written; nothing is left behind.

    See Also
    --------
    load : Opens it.

    Examples
    --------
    >>> import tempfile
    >>> import skembed
    >>> encoder = skembed.EntityEmbeddingEncoder().fit([["Ulm"], ["Bern"], ["Ulm"]] * 9, [1.0, 2.5, 1.5] * 9)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     skembed.save(encoder, f"{folder}/encoder.safetensors")
    ...     again = skembed.load(f"{folder}/encoder.safetensors")
    >>> again.embeddings_ == encoder.embeddings_
    True
    """
    if isinstance(estimator, EmbeddingTable):
        save_table(estimator, path, "safetensors")
        return
    cls = type(estimator)
    if STORED.get(cls.__name__) is not cls or not isinstance(estimator, BaseEstimator):
        what = (
            f"a {cls.__module__}.{cls.__qualname__}" if not isinstance(estimator, type) else f"the class {estimator!r}"
        )
        raise TypeError(
            f"estimator must be one of skembed's, fitted or not, or an EmbeddingTable, got {what}. A Pipeline or a "
            "subclass is saved by skops: skops.io.dump(estimator, path), and "
            "skops.io.load(path, trusted=skembed.trusted_types())."
        )
    writer = Writer()
    tree = writer.encode(estimator, cls.__name__)
    by_size = sorted(writer.tensors, key=lambda name: -writer.tensors[name].itemsize)  # so that each is aligned
    manifest = {"format": _FORMAT, "version": _VERSION, "sha256": "", "estimator": tree}
    write_hashed(path, {name: writer.tensors[name] for name in by_size}, writer.dtypes, manifest)


def load(path: str | os.PathLike, *, mmap: bool = False, verify: bool = True) -> Any:
    """Open a file that `save` wrote.

    Sizes, types and how parts fit together are checked before anything is used; nothing in a file is run, and only
    classes of skembed are made.

    Parameters
    ----------
    path : path-like
    mmap : bool, default=False
        Leave large arrays in the file, to be read as they are used; processes that open the same file share them. What
        is changed, as by `partial_fit`, never reaches the file.
    verify : bool, default=True
        Compare the file with its hash. False saves reading all of a file that is mapped.

    Returns
    -------
    estimator or EmbeddingTable
        As it was saved. Neither torch nor numba is loaded.

    Raises
    ------
    FormatError
        A ValueError: the file is of another format, cut short, changed, or of a newer version; the message says which.
    OSError
        If the file cannot be opened.
    """
    with open_regular(path) as file:
        found = _EstimatorFile(file, os.fspath(path), max_header=_MAX_HEADER)
        header, entries, manifest = found.header({_FORMAT: _VERSION, _TABLE: 1 << 30})
        if manifest["format"] == _FORMAT:
            return found.estimator(header, entries, manifest, mmap, verify)
    return load_table(path, format="safetensors", mmap=mmap, verify=verify)


class _EstimatorFile(HashedFile):
    def estimator(self, header: bytes, entries: dict, manifest: dict, mmap: bool, verify: bool) -> Any:
        tensors = {}
        for name, (offset, dtype, shape) in self.layout(entries, 8 + len(header)).items():
            n_bytes = math.prod(shape) * dtype.itemsize
            tensors[name] = self.tensor(offset, dtype, shape, mmap and n_bytes >= _LEAST_MAPPED, writable=True)
        if verify:
            self.verify(header, manifest, tensors.values())
        reader = Reader(tensors)
        tree = manifest.get("estimator")
        name = str(tree.get("object") if isinstance(tree, dict) else None)
        cls = registered(name)
        if cls is None or not issubclass(cls, BaseEstimator):
            raise self.error(8, f"expected an estimator of skembed, got {name!r:.60}")
        try:
            estimator = reader.decode(tree)
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, RecursionError) as error:
            raise FormatError(f"{self.path}: {error}.") from error
        if reader.unused:
            raise self.error(8, f"no part of the estimator uses the tensors {sorted(reader.unused)!s:.80}")
        return estimator

    def layout(self, entries: dict[str, Any], start: int) -> dict[str, tuple[int, np.dtype, tuple[int, ...]]]:
        """Offset, dtype and shape of each tensor; they follow each other and fill the file to its last byte."""
        layout, offset = {}, 0
        for name, entry in entries.items():
            if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
                raise self.error(8, f"tensor {name!r:.60}: expected 'dtype', 'shape' and 'data_offsets'")
            dtype, shape = DTYPES.get(str(entry["dtype"])), entry["shape"]
            fits = isinstance(shape, list) and len(shape) <= 8
            if dtype is None or not fits or not all(type(e) is int and 0 <= e <= self.n_bytes for e in shape):
                raise self.error(
                    8, f"tensor {name!r:.60}: a file of {self.n_bytes} bytes cannot hold {str(entry)[:60]}"
                )
            n_bytes = dtype.itemsize
            for extent in shape:
                n_bytes *= extent
            if entry["data_offsets"] != [offset, offset + n_bytes]:
                raise self.error(8, f"tensor {name!r:.60}: expected data_offsets {[offset, offset + n_bytes]}")
            layout[name] = (start + offset, dtype, tuple(shape))
            offset += n_bytes
        if start + offset != self.n_bytes:
            missing = "the file is cut short" if start + offset > self.n_bytes else "bytes follow the last tensor"
            raise self.error(
                min(start + offset, self.n_bytes),
                f"expected a file of {start + offset} bytes, it has {self.n_bytes}: {missing}",
            )
        return layout
