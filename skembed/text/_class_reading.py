"""Reading of documents that have classes: bags of rows for training, and the weight of each document."""

from collections.abc import Collection, Iterator
from typing import Any

import numpy as np

from skembed.base import class_weights
from skembed.data.columns import filled
from skembed.data.corpus import EncodedCorpus
from skembed.data.ragged import Ragged
from skembed.text._bags import BagReader
from skembed.warning import warn

__all__ = ["all_bags", "document_weights", "warn_of_marked_classes", "without_stop_words"]

_MARK_OF_CLASSES = "__label__"


def document_weights(y: np.ndarray, sample_weight: Any, class_weight: Any, classes: np.ndarray) -> np.ndarray:
    """Return the weight of each document, that of its class included, with a mean of 1; (n_documents,), float32.

    A dict of weights may name any of `classes`, those among them that `y`, a part of all documents, lacks.
    """
    weights = np.ones(len(y)) if sample_weight is None else _numbers(sample_weight)
    if weights.shape != (len(y),) or not np.isfinite(weights).all() or (weights < 0).any() or not weights.any():
        raise ValueError(
            f"sample_weight must be {len(y)} finite numbers of 0 or more, not all 0, got shape {weights.shape}."
        )
    if class_weight is not None:
        weights = weights * class_weights(class_weight, y, classes)
        if not weights.any():
            raise ValueError(f"class_weight={class_weight!r:.80} gives no document a weight; pass one above 0.")
    return (weights / weights.mean()).astype(np.float32)


def _numbers(sample_weight: Any) -> np.ndarray:
    try:
        given = np.asarray(filled(sample_weight))
        if given.dtype.kind == "c":
            raise TypeError("they are complex")
        return given.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise type(error)(f"sample_weight holds what is no number: {error}.") from error


def without_stop_words(corpus: EncodedCorpus, stop_words: Collection[str]) -> Iterator[Ragged]:
    """Yield chunks of documents as numbers of words, without stop words."""
    return corpus.documents(corpus.numbers(frozenset(stop_words)))  # a list is looked through for each word


def all_bags(reader: BagReader, corpus: EncodedCorpus, stop_words: Collection[str]) -> Ragged:
    """Return all documents as bags of rows."""
    parts = list(reader.read(corpus.words, without_stop_words(corpus, stop_words)))
    sizes = np.concatenate([part.lengths for part in parts])
    return Ragged.from_ends(np.concatenate([part.indices for part in parts]), np.cumsum(sizes))


def warn_of_marked_classes(words: list[str]) -> None:
    """Warn if texts hold their classes, as the lines of fastText's files do: all would be learned from them."""
    marked = next((word for word in words if word.startswith(_MARK_OF_CLASSES)), None)
    if marked is not None:
        warn(
            f"X holds words such as {marked!r:.60}, by which the files of fastText name classes; here they are words, "
            "from which any y is learned at once. Split lines of such a file into texts and classes."
        )
