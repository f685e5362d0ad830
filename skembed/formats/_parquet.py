"""Parquet: a column of keys beside one of vectors (fixed-size lists), or beside one column of numbers a component.

A column of integers that is named `count` holds the counts of the keys.
"""

from typing import Any, BinaryIO

import numpy as np

from skembed.data.canonical import canonical_key
from skembed.formats._errors import FormatError
from skembed.formats._open import Source
from skembed.formats._options import ReadOptions
from skembed.formats._rows import RowBuffer, Selection, decode_keys, not_finite_message, table_of
from skembed.table import EmbeddingTable
from skembed.table.keys import key_list
from skembed.table.vectors import first_not_finite

_INDEX_NAME = "__index_level_0__"  # of pandas, where the index has no name
_KEY_NAMES = ("key", "keys", "word", "token", "id", "index", _INDEX_NAME)
_COUNT_NAMES = ("count", "counts")
_GROUP_ROWS = 1 << 16
_BATCH_ROWS = 1 << 14


def _pyarrow() -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ImportError('parquet needs pyarrow: pip install "skembed[dataframe]".') from error
    return pyarrow


def read_parquet(source: Source, options: ReadOptions) -> EmbeddingTable:
    """Read a table from parquet, a batch of rows at a time."""
    pa = _pyarrow()
    if options.mmap:
        raise ValueError(
            f"mmap=True cannot be had of {source.name}: parquet is encoded in pages. Load it once and save it: "
            "table.save(path)."
        )
    broken = (pa.ArrowException, OSError, ValueError, MemoryError, OverflowError, KeyError, TypeError)
    file = source.spooled()
    try:
        parquet = pa.parquet.ParquetFile(
            pa.PythonFile(file.file, mode="r"), page_checksum_verification=True, pre_buffer=False
        )
        schema, metadata = parquet.schema_arrow, parquet.metadata
        declared = sum(metadata.row_group(group).total_byte_size for group in range(metadata.num_row_groups))
    except broken as error:
        raise FormatError(f"{source.name}: expected parquet, with its schema at the end: {str(error)[:200]}.") from None
    if declared > options.most_bytes(file.n_bytes) or metadata.num_rows < 0:
        raise FormatError(
            f"{source.name}: {declared} bytes come out of {file.n_bytes}, more than {options.max_expansion} times as "
            "many: refused as a decompression bomb. If you trust the file, pass max_expansion=."
        )
    key_name, names, count_name = _columns(source.name, pa, schema)
    selection, rows, keys, counts = Selection(options), None, [], []
    read = [key_name, *names] if count_name is None else [key_name, *names, count_name]
    batches = parquet.iter_batches(batch_size=_BATCH_ROWS, columns=read, use_threads=False)
    while not selection.complete:
        try:
            batch = next(batches, None)
            if batch is None:
                break
            batch.validate(full=True)
            found = _keys(source.name, pa, batch.column(key_name), options)
            vectors = _vectors(source.name, pa, batch, names)
            numbers = None if count_name is None else _counts(source.name, batch.column(count_name))
        except FormatError:
            raise
        except broken as error:
            raise FormatError(f"{source.name}: expected parquet, in its pages: {str(error)[:200]}.") from None
        n_taken = selection.cut(len(found))
        found, places = selection.keep(found[:n_taken], np.arange(n_taken))
        vectors = vectors[places]
        if numbers is not None:
            counts.append(numbers[places])
        if rows is None:
            rows = RowBuffer(vectors.shape[1])
        if vectors.shape[1] != rows.dim:
            raise FormatError(f"{source.name}: expected vectors of one length, got {rows.dim} and {vectors.shape[1]}.")
        keys += found
        with np.errstate(over="ignore"):
            out = rows.extend(len(vectors))
            out[:] = vectors
        bad = None if options.allow_nonfinite else first_not_finite(out)
        if bad is not None:
            raise FormatError(f"{source.name}: {not_finite_message(out[bad], f'(key {found[bad[0]]!r})')}.")
    if rows is None:
        raise FormatError(f"{source.name}: expected rows of a key and a vector, there are none.")
    return table_of(source.name, keys, rows.finished(), options, np.concatenate(counts) if counts else None)


def _columns(name: str, pa: Any, schema: Any) -> tuple[str, list[str], str | None]:
    """The column of keys, the one of vectors or those of their components, and that of counts."""
    if len(set(schema.names)) < len(schema.names):
        raise FormatError(f"{name}: expected columns of different names, got {schema.names[:10]}.")
    listed = [field.name for field in schema if _is_list(pa, field.type) and _is_number(pa, field.type.value_type)]
    counted = [field.name for field in schema if field.name.lower() in _COUNT_NAMES and pa.types.is_integer(field.type)]
    others = [field for field in schema if field.name not in listed and field.name not in counted[:1]]
    texts = [field.name for field in others if not _is_number(pa, field.type)]
    named = [field.name for field in others if field.name.lower() in _KEY_NAMES]
    # pandas' index of numbers is no key beside a column named so, and no component
    named.sort(key=lambda column: column == _INDEX_NAME and column not in texts)
    unsure = named[:1] == [_INDEX_NAME] and texts and _INDEX_NAME not in texts
    key_names = named or texts or [field.name for field in others if listed]
    left_out = {*key_names[:1], *(column for column in named if column not in texts)}
    components = listed or [field.name for field in others if field.name not in left_out]
    numeric = listed or all(_is_number(pa, schema.field(component).type) for component in components)
    unsure = unsure or (not named and len(key_names) > 1)
    if not key_names or len(listed) > 1 or not components or not numeric or unsure:
        raise FormatError(
            f"{name}: expected a column of keys and one of vectors (lists of numbers), or columns of numbers beside "
            f"one of keys, named 'key'; got {[f'{field.name}: {field.type}' for field in schema][:10]}."
        )
    return key_names[0], components, counted[0] if counted else None


def _counts(name: str, column: Any) -> np.ndarray:
    numbers = np.asarray(column.to_numpy(zero_copy_only=False))
    if column.null_count or (numbers < 0).any() or (numbers.dtype.kind == "u" and (numbers >= 2**63).any()):
        raise FormatError(f"{name}: expected counts of 0 or more in the column 'count', there are others.")
    return numbers.astype(np.int64)


def _is_list(pa: Any, kind: Any) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)


def _is_number(pa: Any, kind: Any) -> bool:
    return pa.types.is_floating(kind) or pa.types.is_integer(kind)


def _keys(name: str, pa: Any, column: Any, options: ReadOptions) -> list:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        raw = column.cast(pa.large_binary()).to_pylist()
        present = [key for key in raw if key is not None]
        keys = iter(decode_keys(present, options.errors, lambda row, text: FormatError(f"{name}: key {row}: {text}.")))
        return [None if key is None else next(keys) for key in raw]
    return key_list(column.to_pylist())


def _vectors(name: str, pa: Any, batch: Any, names: list[str]) -> np.ndarray:
    columns = [batch.column(column) for column in names]
    if any(column.null_count for column in columns):
        raise FormatError(f"{name}: expected a vector in each row, some are missing.")
    if not _is_list(pa, columns[0].type):
        return np.stack([np.asarray(column.to_numpy(zero_copy_only=False)) for column in columns], axis=1)
    lengths = np.unique(columns[0].value_lengths().to_numpy(zero_copy_only=False))
    values = columns[0].flatten()
    if values.null_count or len(lengths) > 1 or not lengths.all():
        raise FormatError(f"{name}: expected vectors of one length and without missing numbers, they are not.")
    dim = int(lengths[0]) if len(lengths) else 1
    return values.to_numpy(zero_copy_only=False).reshape(-1, dim)


def _check_keys(keys: np.ndarray, column: Any) -> None:
    """ValueError for the first key that pyarrow made another of, to have all of one type."""
    for key, found in zip(keys.tolist(), column.to_pylist()):
        if found != key and (isinstance(found, list) or canonical_key(found) != key):
            raise ValueError(f"{key!r:.60} would be read as {found!r:.60}")


def write_parquet(table: EmbeddingTable, file: BinaryIO, dtype: Any = "float32") -> None:
    """Write the columns `key`, `vector` and, where there are counts, `count`, with checksums of the pages."""
    pa = _pyarrow()
    kind = pa.float16() if np.dtype(dtype) == np.float16 else pa.float32()
    vectors = pa.list_(kind, table.embedding_dim)
    try:
        keys = pa.array(table.keys.tolist())
        if not pa.types.is_string(keys.type):
            _check_keys(table.keys, keys)
    except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
        raise TypeError(
            f"keys in parquet must be of one type that it has: {error}; save the table as 'safetensors', or with other "
            "keys: EmbeddingTable([str(key) for key in table], table.vectors)."
        ) from None
    counted = [] if table.counts is None else [("count", pa.int64())]
    schema = pa.schema([("key", keys.type), ("vector", vectors), *counted])
    compression = {name: "none" if name == "vector" else "zstd" for name in schema.names}
    with pa.parquet.ParquetWriter(
        file, schema, compression=compression, use_dictionary=False, write_page_checksum=True
    ) as writer:
        for start in range(0, len(table), _GROUP_ROWS):
            block = table.vectors[start : start + _GROUP_ROWS].astype(dtype, copy=False)
            column = pa.FixedSizeListArray.from_arrays(pa.array(block.reshape(-1), type=kind), table.embedding_dim)
            columns = [keys[start : start + _GROUP_ROWS], column]
            if table.counts is not None:
                columns.append(pa.array(table.counts[start : start + _GROUP_ROWS]))
            writer.write_table(pa.table(columns, schema=schema))
