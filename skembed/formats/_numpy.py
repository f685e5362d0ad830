"""numpy's files, never a pickle: an .npz of `keys`, `vectors`, perhaps `counts`, or an .npy beside a text of keys."""

import ast
import os
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from skembed.data.compression import most_bytes
from skembed.formats._errors import FormatError
from skembed.formats._open import Source, checked_members, open_member
from skembed.formats._options import ReadOptions
from skembed.formats._rows import (
    BYTE_ORDER_MARK,
    Selection,
    decode_keys,
    not_finite_message,
    table_of,
)
from skembed.table import EmbeddingTable
from skembed.table.keys import key_list
from skembed.table.vectors import first_not_finite

_MAX_HEADER = 10_000
_KEY_DTYPES = re.compile(r"[<>=|]?(?:U[0-9]{1,7}|S[0-9]{1,7}|[iu][1248]|f[248]|b1)")
_COUNT_DTYPES = re.compile(r"[<>=|]?(?:i[1248]|u[124])")
_VECTOR_DTYPES = re.compile(r"[<>=|]?f[248]")
_BYTES_OF_CHARACTER = 4
_MAX_WIDTH = 10_000  # characters of a key: all keys of a numpy array take as much as the longest


def read_npz(name: str, archive: zipfile.ZipFile, options: ReadOptions) -> EmbeddingTable:
    """Read `keys`, `vectors` and, if there, `counts` of an archive, as `numpy.savez` writes it."""
    infos = {info.filename: info for info in checked_members(name, archive)}
    if not {"keys.npy", "vectors.npy"} <= set(infos):
        raise FormatError(
            f"{name}: expected the arrays 'keys' and 'vectors' in the .npz, it holds {sorted(infos)[:10]}."
        )
    if options.mmap:
        raise ValueError(
            f"mmap=True cannot be had of {name}: an .npz is an archive. Load it once and save it: table.save(path)."
        )
    arrays: dict[str, np.ndarray] = {}
    for array, allowed in (("keys", _KEY_DTYPES), ("vectors", _VECTOR_DTYPES), ("counts", _COUNT_DTYPES)):
        if info := infos.get(f"{array}.npy"):
            source = open_member(name, archive, info, options)
            most = options.most_bytes(info.compress_size)
            arrays[array] = _array(source, allowed, min(most, info.file_size))
    keys, counts = _keys_of(name, arrays["keys"], options), arrays.get("counts")
    if counts is not None and (len(counts) != len(keys) or (counts < 0).any()):
        raise FormatError(f"{name}: expected {len(keys)} counts of 0 or more, as many as keys, got {len(counts)}.")
    return _table(name, keys, arrays["vectors"], options, lambda row, column: 0, counts)


def read_npy(source: Source, path: str | os.PathLike, options: ReadOptions) -> EmbeddingTable:
    """Read vectors from an .npy, and their keys, one a line, from the file of the same name that ends in .keys.txt."""
    keys_path = Path(os.fsdecode(path)).with_suffix(".keys.txt")
    if not keys_path.is_file():
        raise FormatError(
            f"{source.name}: an .npy holds vectors without keys; expected the keys, one a line, in {keys_path}. "
            "Or pass them yourself: EmbeddingTable(keys, numpy.load(path))."
        )
    file = source.spooled()
    shape, dtype, fortran, start = npy_header(file.error, lambda size: file.bytes(0, size, "an .npy header"))
    _check_vectors(file.error, shape, dtype, _VECTOR_DTYPES)
    if start + dtype.itemsize * shape[0] * shape[1] != file.n_bytes:
        raise file.error(
            start, f"expected {dtype.itemsize * shape[0] * shape[1]} bytes of {shape}, {file.n_bytes - start} are there"
        )
    mapped = options.mmap and dtype == np.dtype("<f4") and not fortran
    if options.mmap and not mapped:
        raise ValueError(f"mmap=True needs C-ordered float32, {source.name} holds {dtype}; load it once and save it.")
    vectors = file.array(start, dtype.str, shape[::-1] if fortran else shape, "vectors", mapped)
    keys = _lines(keys_path, options)
    return _table(
        source.name,
        keys,
        vectors.T if fortran else vectors,
        options,
        lambda row, column: start + dtype.itemsize * (row * shape[1] + column),
    )


def _lines(path: Path, options: ReadOptions) -> list[str]:
    content = path.read_bytes().removeprefix(BYTE_ORDER_MARK)
    raw = content.removesuffix(b"\n").split(b"\n") if content else []
    return decode_keys(
        [line.removesuffix(b"\r") for line in raw],
        options.errors,
        lambda row, message: FormatError(f"{path}: in line {row + 1}: {message}."),
    )


def npy_header(
    error: Callable[[int, str], FormatError], read: Callable[[int], bytes]
) -> tuple[tuple[int, ...], np.dtype, bool, int]:
    """Shape, dtype, whether in Fortran order, and where the numbers start; `read(n)` gives the first n bytes."""
    start = read(10)
    if start[:6] != b"\x93NUMPY" or start[6] not in (1, 2, 3):
        raise error(0, f"expected an .npy array of version 1 to 3, got {start[:8]!r}")
    before = 10 if start[6] == 1 else 12
    length = int.from_bytes(read(before)[8:], "little")
    if length > _MAX_HEADER:
        raise error(8, f"expected a header of at most {_MAX_HEADER} bytes, got {length}")
    text = read(before + length)[before:]
    try:
        header = ast.literal_eval(text.decode("latin-1").strip())
        descr, fortran, shape = header["descr"], header["fortran_order"], header["shape"]
        if set(header) != {"descr", "fortran_order", "shape"} or not isinstance(descr, str):
            raise ValueError("expected 'descr', 'fortran_order' and 'shape'")
        if not (isinstance(shape, tuple) and all(type(n) is int and 0 <= n < 1 << 62 for n in shape)):
            raise ValueError(f"shape {shape!r}"[:80])
        if not (_KEY_DTYPES.fullmatch(descr) and isinstance(fortran, bool)):
            pickled = "; arrays of objects are pickles, which are never read" if "O" in descr else ""
            raise ValueError(f"dtype {descr!r}"[:60] + pickled)
        dtype = np.dtype(descr)
    except (ValueError, SyntaxError, TypeError, KeyError, RecursionError, MemoryError) as problem:
        raise error(
            before, f"expected the header of an .npy array of plain numbers or strings, got {problem}"
        ) from None
    return shape, dtype, fortran, before + length


def _check_vectors(
    error: Callable[[int, str], FormatError], shape: tuple[int, ...], dtype: np.dtype, allowed: re.Pattern
) -> None:
    n_dimensions = 2 if allowed is _VECTOR_DTYPES else 1
    if len(shape) != n_dimensions or not allowed.fullmatch(dtype.str) or 0 in shape[1:]:
        what = "(n, embedding_dim) of float" if n_dimensions == 2 else "(n,) of strings or numbers"
        if allowed is _COUNT_DTYPES:
            what = "(n,) of integers"
        raise error(10, f"expected an array {what}, got {shape} of {dtype}")


def _array(source: Source, allowed: re.Pattern, n_bytes: int) -> np.ndarray:
    """An array that streams out of an archive, into memory that its declared and limited size allows."""
    shape, dtype, fortran, start = npy_header(source.error, lambda size: _first(source, size))
    _check_vectors(source.error, shape, dtype, allowed)
    size = dtype.itemsize
    for extent in shape:
        size *= extent
    if start + size > n_bytes:
        raise source.error(start, f"expected {size} bytes of {shape} {dtype}, the archive says {n_bytes} in all")
    source.read(start)
    array = np.empty(shape[::-1] if fortran else shape, dtype=dtype)
    view, filled = array.reshape(-1).view(np.uint8) if array.size else np.empty(0, np.uint8), 0
    while chunk := source.read(1 << 20):
        if filled + len(chunk) > len(view):
            raise source.error(start + len(view), "expected the end of the array, bytes follow")
        view[filled : filled + len(chunk)] = np.frombuffer(chunk, dtype=np.uint8)
        filled += len(chunk)
    if filled < len(view):
        raise source.error(start + filled, f"expected {len(view)} bytes of an array, {filled} are there")
    return array.T if fortran else array


def _first(source: Source, size: int) -> bytes:
    start = source.peek(size)
    if len(start) < size:
        raise source.error(len(start), f"expected the {size} bytes of an .npy header: the file is cut short")
    return start


def _keys_of(name: str, array: np.ndarray, options: ReadOptions) -> list:
    try:
        keys = array.tolist()  # UnicodeDecodeError or ValueError: code points beyond Unicode
    except (ValueError, SystemError) as problem:
        raise FormatError(f"{name}: expected keys of Unicode characters: {problem}.") from None
    if array.dtype.kind == "S":
        return decode_keys(keys, options.errors, lambda row, message: FormatError(f"{name}: key {row}: {message}."))
    return key_list(keys)


def _table(
    name: str,
    keys: list,
    vectors: np.ndarray,
    options: ReadOptions,
    place: Callable[[int, int], int],
    counts: np.ndarray | None = None,
) -> EmbeddingTable:
    if len(keys) != len(vectors):
        raise FormatError(f"{name}: expected as many keys as vectors, got {len(keys)} and {len(vectors)}.")
    if options.verify or not options.mmap:
        with np.errstate(over="ignore"):
            bad = None if options.allow_nonfinite else first_not_finite(vectors)
        if bad is not None:
            raise FormatError(
                f"{name}: at byte {place(*bad)}: {not_finite_message(vectors[bad], f'(key {keys[bad[0]]!r})')}."
            )
    selection = Selection(options)
    n_taken = selection.cut(len(keys))
    kept = selection.rows(keys[:n_taken])
    rows = vectors[:n_taken] if kept is None else vectors[kept]
    with np.errstate(over="ignore"):
        whole = kept is None and n_taken == len(keys)
        if whole and rows.dtype == np.float32 and rows.dtype.isnative and rows.flags.c_contiguous:
            held = rows if isinstance(vectors, np.memmap) else np.asarray(vectors)
        else:
            held = np.array(rows, dtype=np.float32, order="C")
    if held is not rows and not options.allow_nonfinite and (bad := first_not_finite(held)):
        raise FormatError(f"{name}: {not_finite_message(rows[bad], f'in row {bad[0]}')}.")
    if counts is not None:
        counts = counts[:n_taken] if kept is None else counts[kept]
    return table_of(name, keys[:n_taken] if kept is None else [keys[row] for row in kept], held, options, counts)


def write_npz(table: EmbeddingTable, file: BinaryIO, dtype: Any = "float32") -> None:
    """Write `keys`, `vectors` and `counts`, not compressed, so that they load fast; `numpy.load` needs no pickle."""
    counts: dict[str, Any] = {} if table.counts is None else {"counts": table.counts}
    np.savez(file, keys=_key_array(table), vectors=table.vectors.astype(dtype, copy=False), **counts)


def _key_array(table: EmbeddingTable) -> np.ndarray:
    keys = table.keys.tolist()
    kinds = {type(key) for key in keys}
    if kinds - {str} and kinds not in ({int}, {float}, {bool}):
        names = sorted(kind.__name__ for kind in kinds)
        raise TypeError(
            f"keys in a numpy file must be all strings, integers, floats or booleans, got {names}; "
            "save the table as 'safetensors', or with other keys: "
            "EmbeddingTable([str(key) for key in table], table.vectors)."
        )
    if kinds == {str}:
        longest = max(keys, key=len)
        ends = [key for key in keys if key.endswith("\0")]
        n_bytes = _BYTES_OF_CHARACTER * len(longest) * len(keys)
        if n_bytes > most_bytes(_BYTES_OF_CHARACTER * sum(map(len, keys))):
            raise ValueError(
                f"a numpy array of strings has as many characters for each key as for the longest: {n_bytes:,} bytes "
                f"for {len(keys)} keys beside {longest[:40]!r}, of {len(longest)} characters; save the table as "
                "'safetensors', or without such keys."
            )
        if len(longest) > _MAX_WIDTH or ends:
            raise ValueError(
                f"a numpy array of strings cannot hold the key {(ends or [longest])[0][:40]!r}: one of more than "
                f"{_MAX_WIDTH} characters, or that ends with NUL; save the table as 'safetensors'."
            )
    beyond = kinds == {int} and max(keys) > np.iinfo(np.int64).max  # beside smaller ones numpy would make them floats
    try:
        array = np.array(keys, dtype=np.uint64 if beyond else None)
    except OverflowError:
        array = np.array(keys, dtype=object)
    if array.dtype.kind not in "Uiufb":
        raise TypeError("keys in a numpy file must fit 64 bits; save the table as 'safetensors'.")
    return array
