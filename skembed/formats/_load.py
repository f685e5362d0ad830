"""Reading a table from a file of any format that skembed knows, told by the content."""

import os
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from skembed.data.compression import MAX_EXPANSION
from skembed.formats._csv import read_csv
from skembed.formats._errors import FormatError
from skembed.formats._fasttext import read_fasttext
from skembed.formats._native import load_native
from skembed.formats._numpy import read_npy, read_npz
from skembed.formats._open import Source, open_source
from skembed.formats._options import ReadOptions, read_options
from skembed.formats._parquet import read_parquet
from skembed.formats._rows import Selection, rounded_to_half
from skembed.formats._sniff import sniffed
from skembed.formats._text import read_text
from skembed.formats._word2vec import read_word2vec
from skembed.table import EmbeddingTable, SubwordTable
from skembed.table.queries import one_of
from skembed.warning import warn

READERS: dict[str, Callable[[Source, ReadOptions], EmbeddingTable]] = {
    "text": read_text,
    "word2vec-text": lambda source, options: read_text(source, options, header=True),
    "fasttext-vec": lambda source, options: read_text(source, options, header=True),
    "glove": lambda source, options: read_text(source, options, header=False),
    "word2vec-binary": read_word2vec,
    "fasttext-bin": read_fasttext,
    "parquet": read_parquet,
    "csv": read_csv,
}
READ_FORMATS = ("auto", *READERS, "numpy", "safetensors")
_TEXTS = ("text", "word2vec-text", "fasttext-vec", "glove", "csv")


def load_table(
    path: str | os.PathLike,
    *,
    format: str = "auto",
    limit: int | None = None,
    keys: Iterable | None = None,
    mmap: bool = False,
    dtype: Any = "float32",
    errors: str = "strict",
    allow_nonfinite: bool = False,
    subwords: bool | None = None,
    member: str | None = None,
    verify: bool = True,
    max_expansion: int = MAX_EXPANSION,
) -> EmbeddingTable:
    """Read a table from a file of any format that skembed knows.

    The format, and whether the file is compressed with gzip, bzip2, xz or zip, is told by its content, never by its
    name. Every size is checked against the bytes that are there before anything is allocated, nothing in a file is run,
    and no pickle is read.

    Parameters
    ----------
    path : path-like
    format : {"auto", "text", "word2vec-text", "fasttext-vec", "glove", "word2vec-binary", "fasttext-bin", "numpy", \
"parquet", "csv", "safetensors"}, default="auto"
        "text" is any of the three texts; "glove" has no header, the other two have; "csv" may.
    limit : int, default=None
        Look at this many rows, from the start of the file, at most.
    keys : iterable of keys, default=None
        Keep only these, those of them that the file has: memory is theirs alone. Reading ends when all are found.
    mmap : bool, default=False
        Leave the vectors in the file, to be read as they are used: of "safetensors", an .npy, and of "fasttext-bin"
        the n-grams and, in models without n-grams, the words. An error where a format has no array to map.
    dtype : {"float32", "float16"}, default="float32"
        "float16": round each number to half precision, as a file of half the size would hold it. A table holds float32
        in either case.
    errors : str, default="strict"
        What to do with keys that are not UTF-8: as in ``bytes.decode``. "surrogateescape" keeps every byte.
    allow_nonfinite : bool, default=False
        Take NaN and infinity in vectors as they are.
    subwords : bool, default=None
        Keep the n-grams of fastText models, so that unknown words get a vector: the table is a `SubwordTable`. None:
        yes, unless `keys` are given.
    member : str, default=None
        The file to read of a zip archive that holds several.
    verify : bool, default=True
        Compare files of the library's own format with their hash, and check that mapped vectors are finite. False
        saves reading all of a file that is mapped; sizes and keys are checked even so.
    max_expansion : int, default=100
        Refuse compressed files that come out more than this many times as large, beyond 64 MB.

    Returns
    -------
    EmbeddingTable

    Raises
    ------
    FormatError
        If the file is not what its format says; the message names the file, the offset (in the unpacked content), and
        what was expected there.
    ValueError
        If a parameter does not fit.
    ImportError
        For parquet without pyarrow.
    OSError
        If the file cannot be opened.

    Warns
    -----
    UserWarning
        If keys occur twice: the first wins. If the file has none of `keys`.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with open(f"{folder}/vectors", "w") as file:
    ...         _ = file.write("the 0.4 0.2\\nof 0.7 0.5\\n")
    ...     EmbeddingTable.load(f"{folder}/vectors", keys=["of", "Ulm"])
    EmbeddingTable(1 keys, embedding_dim=2)
    """
    options = read_options(limit, keys, mmap, dtype, errors, allow_nonfinite, subwords, member, verify, max_expansion)
    table = load_as(path, format, options)
    if options.wanted is not None and not len(table):
        warn(
            f"{os.fsdecode(path)}: none of the {len(options.wanted)} keys asked for is in it, such as "
            f"{min(options.wanted, key=repr)!r}; the table is empty. Keys of texts are strings."
        )
    return table


def load_as(path: str | os.PathLike, format: str, options: ReadOptions) -> EmbeddingTable:
    """Read a table with options that were checked."""
    one_of(format, READ_FORMATS, "format")
    with open_source(path, options) as (source, archive):
        if archive is not None:
            if format not in ("auto", "numpy"):
                raise FormatError(f"{source.name}: expected format {format!r}, the file is an .npz of numpy.")
            return read_npz(source.name, archive, options)
        found = sniffed(source) if format == "auto" else format
        if found in _TEXTS and options.mmap:
            raise ValueError(
                f"mmap=True cannot be had of {source.name}: numbers in text are no array. Load it once and save it: "
                "table.save(path)."
            )
        if found == "numpy":
            return read_npy(source, path, options)
        if found != "safetensors":
            return READERS[found](source, options)
        if source.n_bytes is None:
            raise source.error(0, "expected a safetensors file that is not compressed; unpack it first")
    return _native(path, options)


def _native(path: str | os.PathLike, options: ReadOptions) -> EmbeddingTable:
    how: dict[str, bool] = {"verify": options.verify, "allow_nonfinite": options.allow_nonfinite}
    if options.takes_all and options.subwords:
        return load_native(path, mmap=options.mmap, **how)
    # mapped, only what is kept is copied
    table = load_native(path, mmap=True, **how)
    if not options.subwords:
        table = EmbeddingTable._of(table.shared_keys, table.vectors, table.unknown, table.metric, table.counts)
    selection = Selection(options)
    n_taken = selection.cut(len(table))
    rows = selection.rows(table.keys[:n_taken].tolist())
    table = table.subset(table.keys[:n_taken] if rows is None else table.keys[rows])
    if not options.half:
        return table
    vectors = rounded_to_half(os.fsdecode(path), np.array(table.vectors), options)
    halved = EmbeddingTable._of(table.shared_keys, vectors, table.unknown, table.metric, table.counts)
    return SubwordTable._from(halved, table.subwords) if isinstance(table, SubwordTable) else halved
