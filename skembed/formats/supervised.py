"""Supervised models of fastText, .bin and .ftz: words, labels and matrices, read whole and written as version 12."""

import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from skembed.atomic import replacing
from skembed.formats._errors import FormatError
from skembed.formats._fasttext import SUPERVISED, FastTextFile, check_expansion, check_finite, open_model
from skembed.formats._fasttext_write import write_buckets, write_head, write_rows
from skembed.formats._open import Seekable, open_source
from skembed.formats._options import ReadOptions

__all__ = ["FormatError", "SupervisedModel", "read_supervised", "write_supervised"]


@dataclass(frozen=True)
class SupervisedModel:
    """What a model file says.

    Attributes
    ----------
    settings : dict
        By fastText's names: "dim", "epoch", "min_count", "neg", "word_ngrams", "loss", "bucket", "minn", "maxn".
    words : list of str
    counts : ndarray of shape (n_words,), int64
    labels : list of str
        With their prefix.
    label_counts : ndarray of shape (n_labels,), int64
    input : ndarray of shape (n_words + n_rows, dim), float32
        Rows of the words, then of n-grams.
    output : ndarray of shape (n_labels, dim), float32
        With hierarchical softmax the inner nodes of the tree, and a row that is not used.
    buckets : ndarray of shape (n_rows,), int64, or None
        Bucket of each row of n-grams, rising. None: there is one for each bucket.
    pruned : bool
        Whether n-grams without a row are passed over; else they are zeros.
    """

    settings: dict[str, Any]
    words: list[str]
    counts: np.ndarray
    labels: list[str]
    label_counts: np.ndarray
    input: np.ndarray
    output: np.ndarray
    buckets: np.ndarray | None = None
    pruned: bool = False


def read_supervised(path: str | os.PathLike, errors: str = "strict") -> SupervisedModel:
    """Read a model, plain or compressed; no size in the file is trusted.

    Parameters
    ----------
    path : path-like
    errors : str, default="strict"
        What to do with words that are not UTF-8, as in ``bytes.decode``.

    Returns
    -------
    SupervisedModel

    Raises
    ------
    FormatError
        If the file is no supervised model; the message names the offset, and what was expected there.
    OSError
        If it cannot be opened.
    """
    options = ReadOptions()
    with open_source(path, options) as (source, archive):
        if archive is not None:
            raise FormatError(f"{source.name}: expected a model of fastText, the file is an .npz of numpy.")
        file = source.spooled()
        model = open_model(file)
        dictionary = model.dictionary
        if model.settings["model"] != SUPERVISED:
            raise FormatError(
                f"{source.name}: expected a supervised model of fastText, this one learned vectors without labels; "
                "EmbeddingTable.load reads it."
            )
        if model.settings["loss"] not in (1, 2, 3, 4):
            raise file.error(0, f"expected a loss from 1 to 4, got {model.settings['loss']}")
        n_labels = len(dictionary.labels)
        if n_labels < 2 or model.output.shape[0] != n_labels:
            raise file.error(
                model.output.start,
                f"expected two labels or more and as many output rows, got {n_labels} and {model.output.shape[0]}",
            )
        words = dictionary.words.decode(errors, lambda i, message: file.error(int(dictionary.places[i]), message))
        labels = dictionary.labels.decode(
            errors, lambda i, message: file.error(int(dictionary.label_places[i]), message)
        )
        for names, places in ((words, dictionary.places), (labels, dictionary.label_places)):
            if (twice := _first_repeated(names)) is not None:
                raise file.error(int(places[twice]), f"expected each entry once, got {names[twice][:40]!r} again")
        input_, buckets = _input(file, model, options)
        output = model.output.rows(0, n_labels, False)
        check_finite(file, model.output, output, 0, options)
        return SupervisedModel(
            model.settings, words, np.maximum(dictionary.counts, 0), labels, np.maximum(dictionary.label_counts, 0),
            input_, output, buckets, dictionary.pruned is not None,
        )  # fmt: skip


def _input(file: Seekable, model: FastTextFile, options: ReadOptions) -> tuple[np.ndarray, np.ndarray | None]:
    """The rows of words and n-grams, n-grams by rising buckets, and these."""
    check_expansion(file, model.input, options)
    check_expansion(file, model.output, options)
    rows = model.input.rows(0, model.input.shape[0], False)
    check_finite(file, model.input, rows, 0, options)
    n_words, pruned = len(model.dictionary.words), model.dictionary.pruned
    if pruned is None:
        return rows, None
    order = np.argsort(pruned[:, 0])
    return np.concatenate([rows[:n_words], rows[n_words:][pruned[order, 1]]]), pruned[order, 0]


def _first_repeated(names: list[str]) -> int | None:
    """Return the place of the first name that stood before, None where all differ."""
    first: dict[str, int] = {}
    return next((place for place, name in enumerate(names) if first.setdefault(name, place) != place), None)


def write_supervised(model: SupervisedModel, path: str | os.PathLike) -> None:
    """Write a model, whole or not at all.

    Parameters
    ----------
    model : SupervisedModel
        Labels come in the order of falling counts, for fastText makes its tree so.
    path : path-like

    Raises
    ------
    ValueError
        If a word or label is empty, holds white space or NUL, or n-grams are pruned.
    OSError
        If the file cannot be written; nothing is left behind.
    """
    entries = [*model.words, *model.labels]
    for name in entries:
        if not name or any(space in name for space in " \n\r\t\v\f\0"):
            raise ValueError(
                f"fastText splits texts at white space, and cannot know the word or label {name[:40]!r}; keep the "
                "classifier by skembed.save."
            )
    if (twice := _first_repeated(entries)) is not None:
        raise ValueError(f"fastText needs different words and labels, got {entries[twice][:40]!r} twice.")
    if model.pruned:
        raise ValueError(
            "fastText's .bin has a row for each bucket, and this model passes over n-grams that have none; keep it by "
            "skembed.save."
        )
    with replacing(Path(os.path.realpath(path))) as file:
        _write(model, file)


def _write(model: SupervisedModel, file: BinaryIO) -> None:
    n_words, n_labels, dim = len(model.words), len(model.labels), model.input.shape[1]
    n_buckets = model.settings["bucket"]
    defaults = {"ws": 5, "lr_update_rate": 100, "t": 1e-4}
    write_head(file, defaults | model.settings | {"model": SUPERVISED, "dim": dim})
    file.write(struct.pack("<3i2q", n_words + n_labels, n_words, n_labels, int(model.counts.sum()), -1))
    for kind, names, counts in ((0, model.words, model.counts), (1, model.labels, model.label_counts)):
        for name, count in zip(names, counts.tolist()):
            file.write(name.encode(errors="surrogateescape") + b"\0" + struct.pack("<qb", count, kind))
    file.write(struct.pack("<B2q", 0, n_words + n_buckets, dim))
    write_rows(file, model.input[:n_words])
    write_buckets(file, model.input[n_words:], model.buckets, n_buckets)
    file.write(struct.pack("<B2q", 0, n_labels, dim))
    write_rows(file, model.output)
