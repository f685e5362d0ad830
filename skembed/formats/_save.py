"""Writing a table in any format: to a new file, which takes the name when all of it is on the disk."""

import bz2
import gzip
import io
import lzma
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from skembed.atomic import replacing
from skembed.data.compression import find_compression
from skembed.data.keys import Keys
from skembed.formats._csv import write_csv
from skembed.formats._errors import FormatError
from skembed.formats._fasttext_write import write_fasttext
from skembed.formats._load import READERS
from skembed.formats._native import save_native
from skembed.formats._numpy import write_npz
from skembed.formats._open import ZIP, Source
from skembed.formats._options import ReadOptions
from skembed.formats._parquet import write_parquet
from skembed.formats._sniff import sniffed
from skembed.formats._write_text import write_fasttext_vec, write_glove, write_word2vec_binary, write_word2vec_text
from skembed.table import EmbeddingTable
from skembed.warning import warn

_WRITERS: dict[str, Callable] = {
    "word2vec-text": write_word2vec_text,
    "word2vec-binary": write_word2vec_binary,
    "glove": write_glove,
    "fasttext-vec": write_fasttext_vec,
    "fasttext-bin": write_fasttext,
    "numpy": write_npz,
    "parquet": write_parquet,
    "csv": write_csv,
}
_COMPRESSIONS: dict[str, Callable] = {
    "gzip": lambda file: gzip.GzipFile(fileobj=file, mode="wb", filename="", mtime=0),  # the same table, the same bytes
    "bz2": lambda file: bz2.BZ2File(file, "wb"),
    "xz": lambda file: lzma.LZMAFile(file, "wb"),  # noqa: SIM115 (the caller closes it)
}
WRITTEN_FORMATS = ("safetensors", *_WRITERS)
# formats that have no magic number, and how a reader tells them
_TOLD_BY_ROWS = {
    "word2vec-text": "text", "glove": "text", "fasttext-vec": "text", "csv": "csv",
    "word2vec-binary": "word2vec-binary",
}  # fmt: skip
_LOOKED_AT_ROWS, _LOOKED_AT_BYTES = 1_000, 1 << 20  # how far a reader looks before it decides
_BLOCK_ROWS = 16_384
# what the end of a name promises
_FORMATS_OF = {
    ".safetensors": ("safetensors",), ".skembed": ("safetensors",), ".txt": ("word2vec-text", "glove", "fasttext-vec"),
    ".vec": ("fasttext-vec", "word2vec-text"), ".bin": ("word2vec-binary", "fasttext-bin"), ".npz": ("numpy",),
    ".parquet": ("parquet",), ".csv": ("csv",),
}  # fmt: skip
_COMPRESSION_OF = {".gz": "gzip", ".bz2": "bz2", ".xz": "xz"}


def save_table(
    table: EmbeddingTable,
    path: str | os.PathLike,
    format: str | None = None,
    *,
    compression: str | None = "auto",
    **options: Any,
) -> None:
    """Write a table to `path`, whole or not at all.

    The bytes go to a new file beside it, which takes the name `path` only when all of them are on the disk: whatever
    happens on the way, a file that was there before stays as it was.

    Parameters
    ----------
    table : EmbeddingTable
    path : path-like
        Of a file; one that exists is replaced.
    format : {"safetensors", "word2vec-text", "word2vec-binary", "glove", "fasttext-vec", "fasttext-bin", "numpy", \
"parquet", "csv"}, default=None
        None is the format that the name ends in, if that is one alone (.csv, .npz, .parquet), or the library's own,
        "safetensors": keys of any type, the vector of unknown keys, the metric, counts and subwords come back as they
        are, bit for bit. All formats keep float32 exactly; the others leave out the metric and the vector of unknown
        keys (this with a warning), all but "fasttext-bin" the subwords, all but "fasttext-bin", "numpy", "parquet" and
        "csv" the counts, and want keys that are strings ("numpy" and "parquet": keys of one type). A name that ends as
        those of another format is refused, and without `format` also one whose end says nothing.
    compression : {"auto", "gzip", "bz2", "xz"} or None, default="auto"
        Of the text and binary formats. "auto" is what the name ends in: .gz, .bz2, .xz, or none.
    **options
        "numpy", "parquet": `dtype` "float32" or "float16", which halves the file. "fasttext-bin": `counts`, `output`,
        `settings`; see `skembed.formats._fasttext_write.write_fasttext`.

    Raises
    ------
    ValueError, TypeError
        If the format cannot hold the table, or a parameter does not fit; the message says which and the way out.
    ImportError
        For "parquet" without pyarrow.
    OSError
        If the file cannot be written; nothing is left behind.

    Examples
    --------
    >>> import tempfile
    >>> table = EmbeddingTable(["Ulm", "Bern"], [[1.0, 2.0], [0.5, 0.0]])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     table.save(f"{folder}/cities.vec.gz", format="word2vec-text")
    ...     EmbeddingTable.load(f"{folder}/cities.vec.gz") == table
    True
    """
    path = Path(os.path.realpath(path))
    if format not in (None, *WRITTEN_FORMATS):
        raise ValueError(f"format must be one of {', '.join(map(repr, WRITTEN_FORMATS))} or None, got {format!r}.")
    if compression not in (None, "auto", *_COMPRESSIONS):
        raise ValueError(
            f"compression must be one of 'auto', {', '.join(map(repr, _COMPRESSIONS))} or None, got {compression!r}."
        )
    format, compression = _checked_name(path, format, compression)
    if format in (None, "safetensors"):
        if compression is not None or options:
            raise TypeError(f"format='safetensors' takes no options, got {sorted([*options, 'compression'])}.")
        save_native(table, path)
        return
    _check_options(format, compression, options)
    if not len(table):
        raise ValueError(f"format={format!r} cannot hold a table without keys; save it as 'safetensors'.")
    if format in _TOLD_BY_ROWS:
        _check_beginning(table, format)
    if table.unknown is not None:
        warn(f"format={format!r} has no place for the vector of unknown keys; only 'safetensors' keeps it.")
    if np.dtype(options.get("dtype", np.float32)) == np.float16:
        _check_half(table)
    with replacing(path) as file:
        if compression is None:
            _WRITERS[format](table, file, **options)
        else:
            with _COMPRESSIONS[compression](file) as compressed:
                _WRITERS[format](table, compressed, **options)


def _checked_name(path: Path, format: str | None, compression: str | None) -> tuple[str | None, str | None]:
    """Format and compression; ValueError if the end of the name promises others than are written."""
    suffixes = [suffix.lower() for suffix in path.suffixes[-2:]]
    promised = _COMPRESSION_OF.get(suffixes[-1]) if suffixes else None
    if promised is not None:
        suffixes.pop()
    if compression == "auto":
        compression = promised
    ending = "".join(path.suffixes[-2:] if promised else path.suffixes[-1:])
    formats = _FORMATS_OF.get(suffixes[-1] if suffixes else "")
    if format is None and formats is not None and len(formats) == 1 and formats != ("safetensors",):
        format = formats[0]
    if format is None and ((suffixes and formats != ("safetensors",)) or promised):
        named = " or ".join(map(repr, formats or WRITTEN_FORMATS))
        raise ValueError(
            f"format must be named for a file that ends in {ending!r}: pass format={named}, or let the name end in "
            "'.safetensors' for the library's own."
        )
    if promised is not None and promised != compression:
        raise ValueError(
            f"path ends in {path.suffix!r}, and compression={compression!r} would write something else; pass "
            f"compression='auto' or another name, got {path.name!r}."
        )
    if format is not None and formats is not None and format not in formats:
        raise ValueError(
            f"path ends in {ending!r}, as files of format {' or '.join(map(repr, formats))} do, and format={format!r} "
            f"would write something else; pass another name, got {path.name!r}."
        )
    return format, compression


def _check_options(format: str, compression: str | None, options: dict[str, Any]) -> None:
    allowed = {"numpy": {"dtype"}, "parquet": {"dtype"}, "fasttext-bin": {"counts", "output", "settings"}}
    unfit = set(options) - allowed.get(format, set())
    if unfit:
        raise TypeError(f"format={format!r} takes the options {sorted(allowed.get(format, ()))}, got {sorted(unfit)}.")
    if str(options.get("dtype", "float32")) not in ("float32", "float16"):
        raise ValueError(f"dtype must be 'float32' or 'float16', got {options['dtype']!r}.")
    if compression is not None and format in ("numpy", "parquet"):
        raise ValueError(f"format={format!r} is not compressed as a whole; pass compression=None.")


def _check_beginning(table: EmbeddingTable, format: str) -> None:
    """ValueError if the first rows would not be read as what they are; a warning if only `format` says how.

    By its first rows a reader tells what a file is, and which fields are numbers: a line of one number may look like a
    header, and the last words of most keys, where they are numbers, like components.
    """
    n_rows = min(_LOOKED_AT_ROWS, 2 + _LOOKED_AT_BYTES // (8 * table.embedding_dim))
    counts = None if table.counts is None else table.counts[:n_rows]
    keys, vectors = Keys(table.keys[:n_rows].copy()), np.array(table.vectors[:n_rows])
    beginning = EmbeddingTable._of(keys, vectors, counts=counts)
    file = io.BytesIO()
    _WRITERS[format](beginning, file)
    if _is_read(file.getvalue(), beginning, None, _TOLD_BY_ROWS[format]):
        return
    if not _is_read(file.getvalue(), beginning, format, format):
        raise ValueError(
            f"format={format!r} cannot hold this table: its first rows, with keys such as {table.keys[0][:40]!r}, "
            "would be read as others. Save it as 'safetensors', or with other keys."
        )
    warn(
        f"the first rows, with keys such as {table.keys[0][:40]!r}, look like those of another format; whoever reads "
        f"the file has to name this one: EmbeddingTable.load(path, format={format!r})."
    )


def _is_read(content: bytes, table: EmbeddingTable, format: str | None, expected: str) -> bool:
    """Whether a reader that is told the format, or nothing, finds the keys and the shape of a table."""
    if find_compression(content) is not None or content.startswith(ZIP):
        return False
    source = Source("the file", len(content), io.BytesIO(content).read)
    try:
        if (format or sniffed(source)) != expected:
            return False
        read = READERS[expected](source, ReadOptions(errors="surrogateescape", allow_nonfinite=True))
    except FormatError:
        return False
    return read.shape == table.shape and read.keys.tolist() == table.keys.tolist()


def _check_half(table: EmbeddingTable) -> None:
    """ValueError if a finite number would be infinite in half precision."""
    for start in range(0, len(table), _BLOCK_ROWS):
        block = table.vectors[start : start + _BLOCK_ROWS]
        with np.errstate(over="ignore"):
            lost = np.isfinite(block) & np.isinf(block.astype(np.float16))
        if lost.any():
            row, component = np.argwhere(lost)[0]
            raise ValueError(
                f"dtype='float16' ends at 65504, and the vector of {table.keys[start + row]!r} holds "
                f"{block[row, component]:g}; leave dtype out, or scale the vectors."
            )
