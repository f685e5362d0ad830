"""A table with subwords as a model file of fastText, version 12, that fastText and gensim read."""

import struct
from collections.abc import Mapping
from typing import Any, BinaryIO

import numpy as np

from skembed.formats._fasttext import MAGIC, SETTINGS, VERSIONS
from skembed.formats._write_text import check_lengths, string_key
from skembed.table import EmbeddingTable
from skembed.table.counts import checked_counts
from skembed.table.subword_table import SubwordTable

# what a model needs to be read, where the table does not say: skip-gram with negative sampling, never trained
_DEFAULTS = {
    "ws": 5, "epoch": 5, "min_count": 1, "neg": 5, "word_ngrams": 1, "loss": 2, "model": 2, "lr_update_rate": 100,
    "t": 1e-4,
}  # fmt: skip
_BLOCK_ROWS = 16_384


def write_fasttext(
    table: EmbeddingTable,
    file: BinaryIO,
    *,
    counts: Any = None,
    output: Any = None,
    settings: Mapping[str, Any] | None = None,
) -> None:
    """Write an unsupervised model.

    Parameters
    ----------
    table : EmbeddingTable
        Of strings. A SubwordTable brings its n-grams; any other is written without, ``maxn=0``.
    file : binary file
    counts : array-like of shape (n_keys,), int64, default=None
        Frequencies of the words; None: those of the table, or else 1.
    output : array-like of shape (n_keys, embedding_dim), default=None
        The output matrix, for those who go on training; None: zeros.
    settings : mapping, default=None
        Of "ws", "epoch", "min_count", "neg", "word_ngrams", "loss" (1 hierarchical softmax, 2 negative sampling,
        3 softmax), "model" (1 cbow, 2 skip-gram), "lr_update_rate", "t".
    """
    unfit = set(settings or {}) - set(_DEFAULTS)
    if unfit:
        raise ValueError(f"settings must be of {sorted(_DEFAULTS)}, got {sorted(unfit)}.")
    words = [string_key(key, row) for row, key in enumerate(table.keys.tolist())]
    for row, word in enumerate(words):
        if not word or b"\0" in word:
            raise ValueError(
                f"fastText's format needs keys without NUL, and not empty, got {word[:40]!r} (row {row}). "
                "Save the table as 'safetensors'."
            )
    check_lengths(words)
    subwords = table.subwords if isinstance(table, SubwordTable) else None
    if subwords is not None and subwords.buckets is not None and subwords.absent == "skip":
        raise ValueError(
            "fastText's .bin has a row for each bucket, and this table passes over n-grams that have none, as pruned "
            "models do: its words would get other vectors there. Save it as 'safetensors', or as 'fasttext-vec'."
        )
    frequencies = checked_counts(table.counts if counts is None else counts, len(table))
    if frequencies is None:
        frequencies = np.ones(len(table), dtype=np.int64)
    values: dict[str, Any] = _DEFAULTS | dict(settings or {}) | {"dim": table.embedding_dim}
    values |= {"bucket": 0, "minn": 0, "maxn": 0}
    if subwords is not None:
        values |= {"bucket": subwords.n_buckets, "minn": subwords.min_n, "maxn": subwords.max_n}
    if output is not None:
        output = np.asarray(output, dtype="<f4")
        if output.shape != table.shape:
            raise ValueError(f"output must have shape {table.shape}, got {output.shape}.")

    write_head(file, values)
    file.write(struct.pack("<3i2q", len(words), len(words), 0, int(frequencies.sum()), -1))
    for word, count in zip(words, frequencies.tolist()):
        file.write(b"%b\0%b\0" % (word, struct.pack("<q", count)))  # the last byte: type 0, a word
    n_ngrams = values["bucket"]
    file.write(struct.pack("<B2q", 0, len(words) + n_ngrams, table.embedding_dim))
    write_rows(file, table.own_rows() if isinstance(table, SubwordTable) else table.vectors)
    if subwords is not None:
        write_buckets(file, subwords.vectors, subwords.buckets, n_ngrams)
    file.write(struct.pack("<B2q", 0, len(words), table.embedding_dim))
    if output is not None:
        write_rows(file, output)
    else:
        _write_zeros(file, table.shape[0] * table.shape[1])


def write_head(file: BinaryIO, settings: Mapping[str, Any]) -> None:
    """What a model begins with: magic number, version and settings."""
    file.write(struct.pack("<2i", MAGIC, VERSIONS[-1]))
    file.write(struct.pack(f"<{len(SETTINGS)}id", *(settings[name] for name in SETTINGS), settings["t"]))


def write_rows(file: BinaryIO, rows: np.ndarray) -> None:
    """Rows as float32, a block at a time."""
    for start in range(0, len(rows), _BLOCK_ROWS):
        file.write(np.ascontiguousarray(rows[start : start + _BLOCK_ROWS], dtype="<f4").tobytes())


def write_buckets(file: BinaryIO, vectors: np.ndarray, buckets: np.ndarray | None, n_buckets: int) -> None:
    """A row for each bucket; zeros where a pruned or sparse table has none."""
    if buckets is None:
        write_rows(file, vectors)
        return
    for start in range(0, n_buckets, _BLOCK_ROWS):
        stop = min(start + _BLOCK_ROWS, n_buckets)
        first, last = np.searchsorted(buckets, [start, stop])
        block = np.zeros((stop - start, vectors.shape[1]), dtype="<f4")
        block[buckets[first:last] - start] = vectors[first:last]
        file.write(block.tobytes())


def _write_zeros(file: BinaryIO, count: int) -> None:
    zeros = np.zeros(1 << 18, dtype="<f4")
    for start in range(0, count, len(zeros)):
        file.write(zeros[: count - start].tobytes())
