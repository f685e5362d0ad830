"""fastText's binary models, .bin and .ftz: settings, dictionary, input matrix, output matrix (little-endian).

Three versions are about: the oldest begins with the settings, 11 and 12 with a magic number and the version. Layout:

1. (not the oldest) magic int32, version int32
2. dim, ws, epoch, min_count, neg, word_ngrams, loss, model, bucket, minn, maxn, lr_update_rate int32, t float64
3. dictionary: size, n_words, n_labels int32, n_tokens int64, (not the oldest) pruned int64; of each entry its UTF-8
   bytes, NUL, count int64, type int8 (0 word, 1 label); of each n-gram left by pruning bucket int32, row int32
4. (not the oldest) quantised uint8; the input matrix: rows of the words, then of the buckets
5. (not the oldest) output quantised uint8; the output matrix

A matrix is rows int64, columns int64, float32; a quantised one is in `_quantised`.
"""

import struct
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from skembed.formats._open import FREE_BYTES, Seekable, Source
from skembed.formats._options import ReadOptions
from skembed.formats._quantised import QuantisedMatrix
from skembed.formats._rows import (
    Selection,
    decode_keys,
    first_not_finite,
    not_finite_message,
    rounded_to_half,
    unique_table,
)
from skembed.subword_table import SubwordTable, _frozen
from skembed.subwords import _MAX_N, Subwords
from skembed.table import EmbeddingTable

MAGIC = 793_712_314
VERSIONS = (11, 12)
SETTINGS = (
    "dim", "ws", "epoch", "min_count", "neg", "word_ngrams", "loss", "model", "bucket", "minn", "maxn",
    "lr_update_rate",
)  # fmt: skip
_SETTINGS_BYTES = 4 * len(SETTINGS) + 8
SUPERVISED = 3  # of "model"; 1 is cbow, 2 skip-gram
_MAX_KEY = 1 << 16
_BLOCK = 1 << 20
_BLOCK_ROWS = 2048


class DenseMatrix(NamedTuple):
    """A matrix of float32 in a file."""

    file: Seekable
    start: int
    shape: tuple[int, int]

    def block(self, start: int, stop: int) -> np.ndarray:
        """Some rows, as a new array."""
        offset = self.start + 4 * start * self.shape[1]
        return self.file.array(offset, "<f4", (stop - start, self.shape[1]), "a matrix")

    def rows(self, start: int, stop: int, mapped: bool) -> np.ndarray:
        offset = self.start + 4 * start * self.shape[1]
        return self.file.array(offset, "<f4", (stop - start, self.shape[1]), "a matrix", mapped)

    def place(self, row: int, column: int) -> int:
        return self.start + 4 * (row * self.shape[1] + column)


@dataclass
class FastTextFile:
    """What a model file says, its matrices left in the file.

    Attributes
    ----------
    settings : dict
        By the names of `SETTINGS`, and "t".
    words, labels : list of bytes
    counts, label_counts : ndarray of int64
    word_places : ndarray of int64
        Offset of each word in the file.
    pruned : ndarray of shape (n, 2), int64, or None
        Bucket and row, from the first row after the words, of each n-gram that pruning left.
    input, output : DenseMatrix or QuantisedMatrix
    """

    settings: dict[str, Any]
    words: list[bytes] = field(default_factory=list)
    labels: list[bytes] = field(default_factory=list)
    counts: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    label_counts: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    word_places: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    pruned: np.ndarray | None = None
    input: Any = None
    output: Any = None


def plausible_without_magic(start: bytes) -> bool:
    """Whether a file may be of the oldest version: settings that a person may have chosen, and their dictionary."""
    if len(start) < _SETTINGS_BYTES + 20:
        return False
    settings = dict(zip(SETTINGS, struct.unpack_from(f"<{len(SETTINGS)}i", start)))
    size, n_words, n_labels = struct.unpack_from("<3i", start, _SETTINGS_BYTES)
    return (
        0 < settings["dim"] <= 100_000
        and all(0 <= settings[name] < 1 << 24 for name in ("ws", "epoch", "min_count", "neg", "word_ngrams"))
        and settings["loss"] in (1, 2, 3, 4)
        and settings["model"] in (1, 2, 3)
        and 0 <= settings["minn"] <= _MAX_N
        and 0 <= settings["maxn"] <= _MAX_N
        and size == n_words + n_labels
    )


def open_model(file: Seekable) -> FastTextFile:
    """Read settings and dictionary, find the matrices, and see that all of it is in the file and nothing else."""
    magic, version = struct.unpack("<2i", file.bytes(0, 8, "the magic number and the version"))
    versioned = magic == MAGIC
    if versioned and version not in VERSIONS:
        newer = "; it may be of a newer fastText" if version > VERSIONS[-1] else ""
        raise file.error(4, f"expected version 11 or 12 of fastText's format, got {version}{newer}")
    model, at = _settings(file, 8 if versioned else 0)
    if model.settings["model"] == SUPERVISED and (not versioned or version == 11):
        model.settings["maxn"] = 0  # supervised models had no character n-grams yet, whatever their settings say
    at = _dictionary(file, model, at, versioned)
    quantised = False
    if versioned:
        quantised, at = _flag(file, at, "whether the input matrix is quantised")
    model.input, at = _matrix(file, at, quantised)
    _check_input(file, model)
    if versioned:
        quantised_output, at = _flag(file, at, "whether the output matrix is quantised")
        model.output, at = _matrix(file, at, quantised and quantised_output)
    else:
        model.output, at = _matrix(file, at, False)
    if model.output.shape[1] != model.settings["dim"]:
        raise file.error(at, f"expected an output matrix of {model.settings['dim']} columns, got {model.output.shape}")
    if at != file.n_bytes:
        raise file.error(at, f"expected the end of the file, {file.n_bytes - at} bytes follow")
    return model


def _settings(file: Seekable, at: int) -> tuple[FastTextFile, int]:
    values = struct.unpack(f"<{len(SETTINGS)}id", file.bytes(at, _SETTINGS_BYTES, "settings"))
    settings = dict(zip((*SETTINGS, "t"), values))
    if settings["dim"] < 1:
        raise file.error(at, f"expected a dimension of at least 1, got {settings['dim']}")
    for index, name in enumerate(SETTINGS):
        most = _MAX_N if name in ("minn", "maxn") else 2**31
        if name in ("minn", "maxn", "bucket") and not 0 <= settings[name] <= most:
            raise file.error(at + 4 * index, f"expected {name} from 0 to {most}, got {settings[name]}")
    return FastTextFile(settings), at + _SETTINGS_BYTES


def _dictionary(file: Seekable, model: FastTextFile, at: int, versioned: bool) -> int:
    n_bytes = 28 if versioned else 20
    size, n_words, n_labels, _, *pruned = struct.unpack(
        "<3i2q" if versioned else "<3iq", file.bytes(at, n_bytes, "the sizes of the dictionary")
    )
    if min(n_words, n_labels) < 0 or size != n_words + n_labels:
        raise file.error(
            at, f"expected a size that is the number of words and labels, got {size}, {n_words}, {n_labels}"
        )
    n_pruned = pruned[0] if pruned else -1
    if n_pruned < -1:
        raise file.error(at + 20, f"expected -1 or the number of n-grams that pruning left, got {n_pruned}")
    file.check(at + n_bytes, 10 * size, "a dictionary")  # an empty word takes ten bytes
    at = _entries(file, model, at + n_bytes, n_words, n_labels)
    if n_pruned >= 0:
        model.pruned = file.array(at, "<i4", (n_pruned, 2), "the n-grams that pruning left").astype(np.int64)
        at += 8 * n_pruned
    return at


def _entries(file: Seekable, model: FastTextFile, at: int, n_words: int, n_labels: int) -> int:
    entries: list[bytes] = []
    places: list[int] = []
    counts: list[bytes] = []
    types, buffer, base, place = bytearray(), b"", at, 0
    for _ in range(n_words + n_labels):
        stop = buffer.find(b"\0", place)
        while stop < 0 or stop + 10 > len(buffer):
            if stop < 0 and len(buffer) - place > _MAX_KEY:
                raise file.error(base + place, f"expected a word of at most {_MAX_KEY} bytes and a NUL")
            base, buffer, place = base + place, buffer[place:], 0
            more = min(_BLOCK, file.n_bytes - base - len(buffer))
            if not more:
                raise file.error(base, f"expected entry {len(entries)} of the dictionary: the file is cut short")
            buffer += file.bytes(base + len(buffer), more, "a dictionary")
            stop = buffer.find(b"\0")
        entries.append(buffer[place:stop])
        places.append(base + place)
        counts.append(buffer[stop + 1 : stop + 9])
        types.append(buffer[stop + 9])
        place = stop + 10
    kinds = np.frombuffer(bytes(types), dtype=np.int8)
    expected = np.repeat(np.array([0, 1], dtype=np.int8), [n_words, n_labels])
    if not np.array_equal(kinds, expected):
        wrong = int(np.flatnonzero(kinds != expected)[0])
        raise file.error(
            places[wrong], f"expected {n_words} words (type 0) and then labels (1), got type {kinds[wrong]}"
        )
    all_counts = np.frombuffer(b"".join(counts), dtype="<i8").astype(np.int64)
    model.words, model.labels = entries[:n_words], entries[n_words:]
    model.counts, model.label_counts = all_counts[:n_words], all_counts[n_words:]
    model.word_places = np.array(places[:n_words], dtype=np.int64)
    return base + place


def _flag(file: Seekable, at: int, what: str) -> tuple[bool, int]:
    value = file.bytes(at, 1, what)[0]
    if value > 1:
        raise file.error(at, f"expected 0 or 1, {what}, got {value}")
    return bool(value), at + 1


def _matrix(file: Seekable, at: int, quantised: bool) -> tuple[Any, int]:
    if quantised:
        matrix = QuantisedMatrix.at(file, at)
        return matrix, matrix.stop
    n_rows, n_columns = struct.unpack("<2q", file.bytes(at, 16, "the shape of a matrix"))
    if n_rows < 0 or n_columns < 0:
        raise file.error(at, f"expected the shape of a matrix, got {n_rows} x {n_columns}")
    file.check(at + 16, 4 * n_rows * n_columns, f"a matrix of {n_rows} x {n_columns}")
    return DenseMatrix(file, at + 16, (n_rows, n_columns)), at + 16 + 4 * n_rows * n_columns


def _check_input(file: Seekable, model: FastTextFile) -> None:
    n_words, pruned, n_buckets = len(model.words), model.pruned, model.settings["bucket"]
    expected = (n_words + (n_buckets if pruned is None else len(pruned)), model.settings["dim"])
    if model.input.shape != expected:
        raise file.error(
            model.input.start,
            f"expected an input matrix of {expected[0]} x {expected[1]} ({n_words} words and "
            f"{expected[0] - n_words} n-grams), got {model.input.shape[0]} x {model.input.shape[1]}",
        )
    if pruned is not None and len(pruned):
        rows_fit = pruned[:, 1].min() >= 0 and pruned[:, 1].max() < len(pruned)
        buckets_fit = pruned[:, 0].min() >= 0 and pruned[:, 0].max() < n_buckets
        if not rows_fit or not buckets_fit or len(np.unique(pruned[:, 0])) < len(pruned):
            raise file.error(
                model.input.start, f"expected {len(pruned)} pruned n-grams with a bucket and a row each, they have not"
            )
    if not n_words:
        raise file.error(model.input.start, "expected words in the dictionary, there are none")


def read_fasttext(source: Source, options: ReadOptions) -> EmbeddingTable:
    """Read the words of a model, composed with their n-grams, and the n-grams for the words that are not there."""
    file = source.spooled()
    model = open_model(file)
    if isinstance(model.input, QuantisedMatrix):
        n_bytes = 4 * model.input.shape[0] * model.input.shape[1]
        if n_bytes > max(FREE_BYTES, options.max_expansion * file.n_bytes):
            raise file.error(
                model.input.start,
                f"a quantised matrix of {file.n_bytes} bytes stands for {n_bytes}, more than {options.max_expansion} "
                "times as many: refused as a decompression bomb. If you trust the file, pass max_expansion=",
            )
    selection = Selection(options)
    n_taken = selection.cut(len(model.words))
    raw = model.words[:n_taken]
    keys = decode_keys(raw, options.errors, lambda row, message: file.error(int(model.word_places[row]), message))
    kept = selection.rows(keys)
    chosen = np.arange(n_taken) if kept is None else np.array(kept, dtype=np.int64)
    if kept is not None:
        keys, raw = [keys[row] for row in kept], [raw[row] for row in kept]
    subwords = _subwords(file, model, options)
    plain = subwords is None or not len(subwords.vectors)
    if plain and kept is None and options.mmap and isinstance(model.input, DenseMatrix) and not options.half:
        vectors = model.input.rows(0, n_taken, mapped=True)
        if options.verify:
            _check_finite(file, model.input, vectors, 0, options)
    else:
        vectors = _composed(file, model, chosen, raw, subwords, options)
    table, first = unique_table(source.name, keys, vectors, options)
    if subwords is None or not options.subwords:
        return table
    counts = model.counts[chosen] if first is None else model.counts[chosen][first]
    return SubwordTable._from(table, subwords, _frozen(np.maximum(counts, 0)))


def _subwords(file: Seekable, model: FastTextFile, options: ReadOptions) -> Subwords | None:
    """The n-grams of a model in memory, or mapped where they are asked for so or not kept; None if it has none."""
    settings, n_words, pruned = model.settings, len(model.words), model.pruned
    if not settings["maxn"] or settings["maxn"] < settings["minn"]:
        return None
    if not settings["bucket"] or model.input.shape[0] == n_words:
        return None
    n_rows = model.input.shape[0]
    mapped = (options.mmap or not options.subwords) and not options.half
    vectors = model.input.rows(n_words, n_rows, mapped)
    if options.subwords and (options.verify or not mapped):
        _check_finite(file, model.input, vectors, n_words, options)
    buckets = None
    if pruned is not None:
        order = np.argsort(pruned[:, 0])
        buckets = pruned[order, 0]
        vectors = vectors[pruned[order, 1]]
    if options.half:
        vectors = rounded_to_half(file.name, vectors, options)
    vectors.flags.writeable = False
    return Subwords(
        vectors, min_n=settings["minn"], max_n=settings["maxn"], n_buckets=settings["bucket"], buckets=buckets
    )


def _composed(
    file: Seekable,
    model: FastTextFile,
    chosen: np.ndarray,
    raw: list[bytes],
    subwords: Subwords | None,
    options: ReadOptions,
) -> np.ndarray:
    """Vectors of the chosen words, (n, dim), from rows that are read a block at a time."""
    vectors, filled = np.empty((len(chosen), model.settings["dim"]), dtype=np.float32), 0
    for start in range(0, len(model.words) if len(chosen) else 0, _BLOCK_ROWS):
        stop = min(start + _BLOCK_ROWS, len(model.words))
        last = int(np.searchsorted(chosen, stop))
        if last == filled:
            continue
        block = model.input.block(start, stop)
        rows = block[chosen[filled:last] - start]
        _check_finite(file, model.input, rows, chosen[filled:last], options)
        words = slice(filled, last)
        vectors[words] = rows if subwords is None else subwords.compose(raw[words], rows)[0]
        bad = None if options.allow_nonfinite else first_not_finite(vectors[words])
        if bad is not None:
            what = f"in the mean of the word {raw[filled + bad[0]][:40]!r} and its n-grams"
            place = model.word_places[chosen[filled + bad[0]]]
            raise file.error(int(place), not_finite_message(vectors[filled + bad[0], bad[1]], what))
        filled = last
    return vectors


def _check_finite(file: Seekable, matrix: Any, rows: np.ndarray, numbers: Any, options: ReadOptions) -> None:
    """FormatError for the first number of `rows` that is not finite; `numbers` are those of the rows, or the first."""
    bad = None if options.allow_nonfinite else first_not_finite(rows)
    if bad is not None:
        row = int(numbers[bad[0]]) if isinstance(numbers, np.ndarray) else numbers + bad[0]
        raise file.error(matrix.place(row, bad[1]), not_finite_message(rows[bad], f"(row {row}, number {bad[1] + 1})"))
