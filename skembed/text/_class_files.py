"""FastTextClassifier <-> supervised model files of fastText: which row, label and sign is which."""

from typing import NamedTuple

import numpy as np

from skembed.data.vocabulary import Vocabulary
from skembed.formats.supervised import SupervisedModel
from skembed.text._bags import END_WORD, BagReader
from skembed.text._calibration import HeldOutLosses
from skembed.text._class_learning import ClassesSeen
from skembed.text._class_model import ClassModel, class_paths

__all__ = ["ClassifierParts", "parts_of", "supervised_model"]

_LOSSES = {"hierarchical-softmax": 1, "negative-sampling": 2, "softmax": 3, "one-vs-all": 4}


class ClassifierParts(NamedTuple):
    """What a fitted classifier is made of.

    Attributes
    ----------
    classes : ndarray of shape (n_classes,), rising
    vocabulary : Vocabulary
    reader : BagReader
    model : ClassModel
    seen : ClassesSeen
    """

    classes: np.ndarray
    vocabulary: Vocabulary
    reader: BagReader
    model: ClassModel
    seen: ClassesSeen


def supervised_model(parts: ClassifierParts, settings: dict[str, int], label_prefix: str) -> SupervisedModel:
    """Return the model of a classifier.

    Parameters
    ----------
    parts : ClassifierParts
    settings : dict
        "epoch", "min_count" and "neg", which no prediction depends on.
    label_prefix : str

    Raises
    ------
    ValueError
        If the loss is negative sampling with unequal frequencies of classes, for which there is no place.
    """
    vocabulary, reader, model = parts.vocabulary, parts.reader, parts.model
    if model.offsets is not None and model.offsets.any():
        raise ValueError(
            "loss='negative-sampling' corrects scores by how often classes are drawn, which fastText does not; keep "
            "the classifier by skembed.save, or learn it with another loss."
        )
    counts = np.maximum(parts.seen.tree_counts, 1)
    order = np.argsort(-counts, kind="stable")
    output = model.output[order] if model.paths is None else np.pad(-model.output, [(0, 1), (0, 0)])
    with_ngrams = reader.max_n > 0 or reader.word_ngrams > 1
    ngrams = {"word_ngrams": reader.word_ngrams, "bucket": reader.n_buckets if with_ngrams else 0}
    n_documents = int(parts.seen.counts.sum())
    return SupervisedModel(
        settings | ngrams | {"loss": _LOSSES[model.loss], "minn": reader.min_n, "maxn": reader.max_n},
        [END_WORD, *vocabulary.keys.tolist()],
        np.concatenate([[n_documents], vocabulary.counts]),
        [f"{label_prefix}{label}" for label in parts.classes[order].tolist()],
        counts[order],
        model.input,
        output,
        reader.buckets,
        with_ngrams and reader.absent == "skip",
    )


def parts_of(model: SupervisedModel, label_prefix: str) -> ClassifierParts:
    """Return what a classifier is made of that predicts as the model does.

    Raises
    ------
    ValueError
        If its dictionary does not know the end of a line, or two labels are one without their prefix.
    """
    if END_WORD not in model.words:
        raise ValueError(f"the model has no row for {END_WORD!r}, the end of a line, which every document has.")
    settings, n_words = model.settings, len(model.words)
    end = model.words.index(END_WORD)
    words = [*model.words[:end], *model.words[end + 1 :]]
    with_ngrams = settings["maxn"] > 0 or settings["word_ngrams"] > 1
    n_rows = len(model.input) if with_ngrams else n_words
    order = np.r_[end, :end, end + 1 : n_rows]
    buckets = np.arange(len(model.input) - n_words) if model.buckets is None else model.buckets
    counts = np.delete(model.counts, end)
    vocabulary = Vocabulary(words, counts, {}, int(counts.sum()), max(settings["min_count"], 1), None)
    reader = BagReader(
        vocabulary.shared_keys,
        word_ngrams=max(settings["word_ngrams"], 1),
        min_n=settings["minn"],
        max_n=settings["maxn"],
        n_buckets=max(settings["bucket"], 1),
        buckets=buckets[: n_rows - n_words].astype(np.int64),
        absent="skip" if model.pruned else "zeros",
    )
    labels = np.array([label.removeprefix(label_prefix) for label in model.labels])
    if len(np.unique(labels)) < len(labels):
        raise ValueError(f"two labels of the model are one without label_prefix={label_prefix!r}; pass another, or ''.")
    rising = np.argsort(labels, kind="stable")
    seen = ClassesSeen(
        model.label_counts[rising], model.label_counts[rising], model.label_counts[rising].astype(np.float64),
        HeldOutLosses.none(),
    )  # fmt: skip
    loss = next(name for name, number in _LOSSES.items() if number == settings["loss"])
    paths = None
    output = model.output[rising]
    if loss == "hierarchical-softmax":
        found = class_paths(model.label_counts)
        paths, output = [found[i] for i in rising], -model.output[:-1]  # fastText calls the right turn the likely one
    offsets = np.zeros(len(labels)) if loss == "negative-sampling" else None
    return ClassifierParts(
        labels[rising], vocabulary, reader, ClassModel(model.input[order], output, loss, None, offsets, paths), seen
    )
