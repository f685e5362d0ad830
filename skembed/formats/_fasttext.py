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
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from skembed.formats._errors import FormatError
from skembed.formats._open import Seekable, Source
from skembed.formats._options import ReadOptions
from skembed.formats._quantised import QuantisedMatrix
from skembed.formats._records import MAX_WORD, Words, find_records
from skembed.formats._rows import (
    Selection,
    not_finite_message,
    rounded_to_half,
    table_of,
)
from skembed.table import EmbeddingTable
from skembed.table.subword_table import SubwordTable
from skembed.table.subwords import MAX_N, Subwords
from skembed.table.vectors import first_not_finite

MAGIC = 793_712_314
VERSIONS = (11, 12)
SETTINGS = (
    "dim", "ws", "epoch", "min_count", "neg", "word_ngrams", "loss", "model", "bucket", "minn", "maxn",
    "lr_update_rate",
)  # fmt: skip
_SETTINGS_BYTES = 4 * len(SETTINGS) + 8
SUPERVISED = 3  # of "model"; 1 is cbow, 2 skip-gram
_ENTRY = np.dtype([("count", "<i8"), ("type", "i1")])  # of the dictionary, behind the NUL of its word
_BLOCK = 1 << 17  # bytes of a dictionary looked at in one go; every count has NULs, so that lists of places are long
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


class Dictionary(NamedTuple):
    """The words and labels of a model, and the n-grams that are left of it.

    Attributes
    ----------
    words : Words
    counts : ndarray of shape (n_words,), int64
        How often each word occurred.
    places : ndarray of shape (n_words,), int64
        Offset of each word in the file.
    pruned : ndarray of shape (n, 2), int64, or None
        Bucket and row, from the first row after the words, of each n-gram that pruning left.
    labels : Words
        Of a supervised model.
    label_counts : ndarray of shape (n_labels,), int64
    label_places : ndarray of shape (n_labels,), int64
    """

    words: Words
    counts: np.ndarray
    places: np.ndarray
    pruned: np.ndarray | None
    labels: Words
    label_counts: np.ndarray
    label_places: np.ndarray


class FastTextFile(NamedTuple):
    """What a model file says, its matrices left in the file.

    Attributes
    ----------
    settings : dict
        By the names of `SETTINGS`, and "t".
    dictionary : Dictionary
    input, output : DenseMatrix or QuantisedMatrix
    """

    settings: dict[str, Any]
    dictionary: Dictionary
    input: Any
    output: Any


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
        and 0 <= settings["minn"] <= MAX_N
        and 0 <= settings["maxn"] <= MAX_N
        and size == n_words + n_labels
    )


def open_model(file: Seekable) -> FastTextFile:
    """Read settings and dictionary, find the matrices, and see that all of it is in the file and nothing else."""
    magic, version = struct.unpack("<2i", file.bytes(0, 8, "the magic number and the version"))
    versioned = magic == MAGIC
    if versioned and version not in VERSIONS:
        newer = "; it may be of a newer fastText" if version > VERSIONS[-1] else ""
        raise file.error(4, f"expected version 11 or 12 of fastText's format, got {version}{newer}")
    settings, at = _settings(file, 8 if versioned else 0)
    if settings["model"] == SUPERVISED and (not versioned or version == 11):
        settings["maxn"] = 0  # supervised models had no character n-grams yet, whatever their settings say
    dictionary, at = _dictionary(file, at, versioned)
    quantised = quantised_output = False
    if versioned:
        quantised, at = _flag(file, at, "whether the input matrix is quantised")
    input_, at = _matrix(file, at, quantised)
    _check_input(file, settings, dictionary, input_)
    if versioned:
        quantised_output, at = _flag(file, at, "whether the output matrix is quantised")
    output, at = _matrix(file, at, quantised and quantised_output)
    if output.shape[1] != settings["dim"]:
        raise file.error(at, f"expected an output matrix of {settings['dim']} columns, got {output.shape}")
    if at != file.n_bytes:
        raise file.error(at, f"expected the end of the file, {file.n_bytes - at} bytes follow")
    return FastTextFile(settings, dictionary, input_, output)


def _settings(file: Seekable, at: int) -> tuple[dict[str, Any], int]:
    values = struct.unpack(f"<{len(SETTINGS)}id", file.bytes(at, _SETTINGS_BYTES, "settings"))
    settings = dict(zip((*SETTINGS, "t"), values))
    if settings["dim"] < 1:
        raise file.error(at, f"expected a dimension of at least 1, got {settings['dim']}")
    for index, name in enumerate(SETTINGS):
        most = MAX_N if name in ("minn", "maxn") else 2**31
        if name in ("minn", "maxn", "bucket") and not 0 <= settings[name] <= most:
            raise file.error(at + 4 * index, f"expected {name} from 0 to {most}, got {settings[name]}")
    return settings, at + _SETTINGS_BYTES


def _dictionary(file: Seekable, at: int, versioned: bool) -> tuple[Dictionary, int]:
    n_bytes = 28 if versioned else 20
    size, n_words, n_labels, _, *left = struct.unpack(
        "<3i2q" if versioned else "<3iq", file.bytes(at, n_bytes, "the sizes of the dictionary")
    )
    if min(n_words, n_labels) < 0 or size != n_words + n_labels:
        raise file.error(
            at, f"expected a size that is the number of words and labels, got {size}, {n_words}, {n_labels}"
        )
    n_pruned = left[0] if left else -1
    if n_pruned < -1:
        raise file.error(at + 20, f"expected -1 or the number of n-grams that pruning left, got {n_pruned}")
    file.check(at + n_bytes, 10 * size, "a dictionary")  # an empty word takes ten bytes
    entries, counts, places, at = _entries(file, at + n_bytes, n_words, n_labels)
    pruned = None
    if n_pruned >= 0:
        pruned = file.array(at, "<i4", (n_pruned, 2), "the n-grams that pruning left").astype(np.int64)
    dictionary = Dictionary(
        entries.part(0, n_words), counts[:n_words], places[:n_words], pruned,
        entries.part(n_words, size), counts[n_words:], places[n_words:],
    )  # fmt: skip
    return dictionary, at + 8 * max(n_pruned, 0)


def _entries(file: Seekable, at: int, n_words: int, n_labels: int) -> tuple[Words, np.ndarray, np.ndarray, int]:
    """Words and labels, their counts and their places, and where the entries end."""
    parts: list[Words] = [Words(b"", np.zeros(1, np.int64))]
    numbers, places = [np.empty(0, _ENTRY)], [np.empty(0, np.int64)]
    left, buffer, size = n_words + n_labels, b"", _ENTRY.itemsize
    while left:
        begins, ends = find_records(buffer, 0, size, left, partial(_too_long, file, at))
        if len(ends):
            rows = np.ndarray((len(buffer) - size + 1,), dtype=f"V{size}", buffer=buffer, strides=(1,))  # at any byte
            parts.append(Words.cut(buffer, begins, ends))
            numbers.append(rows[ends + 1].view(_ENTRY))
            places.append(begins + at)
            left -= len(ends)
            used = int(ends[-1]) + 1 + size
            at, buffer = at + used, buffer[used:]
        elif more := min(_BLOCK, file.n_bytes - at - len(buffer)):
            buffer += file.bytes(at + len(buffer), more, "a dictionary")
        else:
            entry = n_words + n_labels - left
            raise file.error(at, f"expected entry {entry} of the dictionary: the file is cut short")
    entries, all_numbers, all_places = Words.join(parts), np.concatenate(numbers), np.concatenate(places)
    expected = np.repeat(np.array([0, 1], dtype=np.int8), [n_words, n_labels])
    wrong = np.flatnonzero(all_numbers["type"] != expected)
    if len(wrong):
        raise file.error(
            int(all_places[wrong[0]]),
            f"expected {n_words} words (type 0) and then labels (1), got type {all_numbers['type'][wrong[0]]}",
        )
    return entries, all_numbers["count"].astype(np.int64), all_places, at


def _too_long(file: Seekable, base: int, begin: int) -> FormatError:
    return file.error(base + begin, f"expected a word of at most {MAX_WORD} bytes and a NUL")


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


def _check_input(file: Seekable, settings: dict[str, Any], dictionary: Dictionary, matrix: Any) -> None:
    n_words, pruned, n_buckets = len(dictionary.words), dictionary.pruned, settings["bucket"]
    expected = (n_words + (n_buckets if pruned is None else len(pruned)), settings["dim"])
    if matrix.shape != expected:
        raise file.error(
            matrix.start,
            f"expected an input matrix of {expected[0]} x {expected[1]} ({n_words} words and "
            f"{expected[0] - n_words} n-grams), got {matrix.shape[0]} x {matrix.shape[1]}",
        )
    if pruned is not None and len(pruned):
        rows_fit = pruned[:, 1].min() >= 0 and pruned[:, 1].max() < len(pruned)
        buckets_fit = pruned[:, 0].min() >= 0 and pruned[:, 0].max() < n_buckets
        if not rows_fit or not buckets_fit or len(np.unique(pruned[:, 0])) < len(pruned):
            raise file.error(
                matrix.start, f"expected {len(pruned)} pruned n-grams with a bucket and a row each, they have not"
            )
    if not n_words:
        raise file.error(matrix.start, "expected words in the dictionary, there are none")


def read_fasttext(source: Source, options: ReadOptions) -> EmbeddingTable:
    """Read the words of a model, composed with their n-grams, and the n-grams for the words that are not there."""
    file = source.spooled()
    model = open_model(file)
    words = model.dictionary.words
    check_expansion(file, model.input, options)
    selection = Selection(options)
    n_taken = selection.cut(len(words))
    keys = words.part(0, n_taken).decode(
        options.errors, lambda row, message: file.error(int(model.dictionary.places[row]), message)
    )
    keys, chosen = selection.keep(keys, np.arange(n_taken))
    subwords = _subwords(file, model, options)
    plain = subwords is None or not len(subwords.vectors)
    if plain and len(chosen) == n_taken and options.mmap and isinstance(model.input, DenseMatrix) and not options.half:
        vectors = model.input.rows(0, n_taken, mapped=True)
        if options.verify:
            check_finite(file, model.input, vectors, 0, options)
    else:
        vectors = _composed(file, model, chosen, subwords, options)
    counts = np.maximum(model.dictionary.counts[chosen], 0)
    table = table_of(source.name, keys, vectors, options, counts)
    return table if subwords is None or not options.subwords else SubwordTable._from(table, subwords)


def check_expansion(file: Seekable, matrix: Any, options: ReadOptions) -> None:
    """FormatError if a matrix is quantised and stands for far more bytes than the file has."""
    n_bytes = 4 * matrix.shape[0] * matrix.shape[1]
    if isinstance(matrix, QuantisedMatrix) and n_bytes > options.most_bytes(file.n_bytes):
        raise file.error(
            matrix.start,
            f"a quantised matrix of {file.n_bytes} bytes stands for {n_bytes}, more than {options.max_expansion} "
            "times as many: refused as a decompression bomb. If you trust the file, pass max_expansion=",
        )


def _subwords(file: Seekable, model: FastTextFile, options: ReadOptions) -> Subwords | None:
    """The n-grams of a model in memory, or mapped where they are asked for so or not kept; None if it has none."""
    settings, n_words, pruned = model.settings, len(model.dictionary.words), model.dictionary.pruned
    if not settings["maxn"] or settings["maxn"] < settings["minn"]:
        return None
    if not settings["bucket"] or model.input.shape[0] == n_words:
        return None
    n_rows = model.input.shape[0]
    mapped = (options.mmap or options.ngrams_mapped or not options.subwords) and not options.half
    vectors = model.input.rows(n_words, n_rows, mapped)
    if options.subwords and (options.verify or not mapped):
        check_finite(file, model.input, vectors, n_words, options)
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
    subwords: Subwords | None,
    options: ReadOptions,
) -> np.ndarray:
    """Vectors of the chosen words, (n, dim), from rows that are read a block at a time."""
    dictionary = model.dictionary
    n_words = len(dictionary.words)
    vectors, filled = np.empty((len(chosen), model.settings["dim"]), dtype=np.float32), 0
    for start in range(0, n_words if len(chosen) else 0, _BLOCK_ROWS):
        stop = min(start + _BLOCK_ROWS, n_words)
        last = int(np.searchsorted(chosen, stop))
        if last == filled:
            continue
        block = model.input.block(start, stop)
        rows = block[chosen[filled:last] - start]
        check_finite(file, model.input, rows, chosen[filled:last], options)
        words = chosen[filled:last]
        if subwords is not None:
            rows = subwords.compose(dictionary.words.take(words), rows)[0]
        vectors[filled:last] = rows
        bad = None if options.allow_nonfinite else first_not_finite(rows)
        if bad is not None:
            word = int(words[bad[0]])
            what = f"in the mean of the word {dictionary.words[word][:40]!r} and its n-grams"
            raise file.error(int(dictionary.places[word]), not_finite_message(rows[bad], what))
        filled = last
    return vectors


def check_finite(file: Seekable, matrix: Any, rows: np.ndarray, numbers: Any, options: ReadOptions) -> None:
    """FormatError for the first number of `rows` that is not finite; `numbers` are those of the rows, or the first."""
    bad = None if options.allow_nonfinite else first_not_finite(rows)
    if bad is not None:
        row = int(numbers[bad[0]]) if isinstance(numbers, np.ndarray) else numbers + bad[0]
        raise file.error(matrix.place(row, bad[1]), not_finite_message(rows[bad], f"(row {row}, number {bad[1] + 1})"))
