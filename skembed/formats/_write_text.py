"""Tables as text and as word2vec's binary file."""

from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from skembed.formats._records import MAX_WORD
from skembed.table import EmbeddingTable

_ROWS_AT_ONCE = 256
_ROWS_OF_BINARY = 4_096


def write_word2vec_text(table: EmbeddingTable, file: BinaryIO) -> None:
    """A header line, and one line a key; each number in nine digits, which give the same float32 back."""
    _write_lines(table, file, header=True, end="\n", spaces=False)


def write_fasttext_vec(table: EmbeddingTable, file: BinaryIO) -> None:
    """As word2vec's text, with the space at the end of the lines that fastText writes."""
    _write_lines(table, file, header=True, end=" \n", spaces=False)


def write_glove(table: EmbeddingTable, file: BinaryIO) -> None:
    """Lines without a header; keys may hold single spaces, as GloVe's do."""
    _write_lines(table, file, header=False, end="\n", spaces=True)


def _write_lines(table: EmbeddingTable, file: BinaryIO, *, header: bool, end: str, spaces: bool) -> None:
    keys = list(_encoded(table, b"\t\n\r" if spaces else b" \t\n\r", spaces))
    if header:
        file.write(f"{len(table)} {table.embedding_dim}\n".encode())
    pattern = (" ".join(["%.9g"] * table.embedding_dim) + end).encode()
    for start in range(0, len(table), _ROWS_AT_ONCE):
        rows = table.vectors[start : start + _ROWS_AT_ONCE].tolist()
        block = zip(keys[start : start + len(rows)], rows)
        file.write(b"".join(b"%b %b" % (key, pattern % tuple(row)) for key, row in block))


def write_word2vec_binary(table: EmbeddingTable, file: BinaryIO) -> None:
    """A header line, then each key, a space, and its numbers."""
    keys = list(_encoded(table, b" \n", spaces=False))
    check_lengths(keys)
    file.write(f"{len(table)} {table.embedding_dim}\n".encode())
    for start in range(0, len(table), _ROWS_OF_BINARY):
        rows = table.vectors[start : start + _ROWS_OF_BINARY].astype("<f4", copy=False)
        size = 4 * table.embedding_dim
        block = memoryview(np.ascontiguousarray(rows).tobytes())
        file.write(
            b"".join(
                part
                for row, key in enumerate(keys[start : start + len(rows)])
                for part in (key, b" ", block[row * size : (row + 1) * size])
            )
        )


def _encoded(table: EmbeddingTable, forbidden: bytes, spaces: bool) -> Iterator[bytes]:
    """Keys as UTF-8; ValueError or TypeError for the first that would not come back as it is."""
    for row, key in enumerate(table.keys.tolist()):
        raw = string_key(key, row)
        if not raw or not set(raw).isdisjoint(forbidden) or (spaces and raw != b" ".join(raw.split(b" "))):
            raise ValueError(_unfit(key, row, f"without any of {forbidden!r}, and not empty"))
        if spaces and (raw.startswith(b" ") or raw.endswith(b" ") or b"  " in raw):
            raise ValueError(_unfit(key, row, "with single spaces inside only"))
        yield raw


def check_lengths(keys: list[bytes]) -> None:
    """ValueError for the first key that is longer than readers of binary files look for its end."""
    row = next((row for row, key in enumerate(keys) if len(key) >= MAX_WORD), None)
    if row is not None:
        way_out = f"without such keys: table.subset([key for key in table if len(key.encode()) < {MAX_WORD}])"
        raise ValueError(_unfit(keys[row].decode("utf-8", "replace"), row, f"of less than {MAX_WORD} bytes", way_out))


def string_key(key: object, row: int) -> bytes:
    """A string as UTF-8, bytes that `surrogateescape` brought in as they were."""
    if not isinstance(key, str):
        raise TypeError(
            f"keys in this format must be strings, got {key!r} of type {type(key).__name__} (row {row}). Save the "
            "table as 'safetensors', or with other keys: EmbeddingTable([str(key) for key in table], table.vectors)."
        )
    try:
        return key.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        way_out = "with other keys: EmbeddingTable([ascii(key) for key in table], table.vectors)"
        raise ValueError(_unfit(key, row, "of characters that UTF-8 has", way_out)) from None


_WITHOUT_SPACES = "with other keys: EmbeddingTable(['_'.join(key.split()) for key in table], table.vectors)"


def _unfit(key: str, row: int, expected: str, way_out: str = _WITHOUT_SPACES) -> str:
    got = f"this format needs keys {expected}, got {key[:40]!r} (row {row})"
    return f"{got}. Save the table as 'safetensors', or {way_out}."
