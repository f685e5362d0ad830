"""Source of given word vectors: a table, or a file of which a part may do; and how its words are written."""

import os
from collections.abc import Callable, Collection
from typing import Any

from skembed.formats.for_words import load_for_words
from skembed.memory import memory_of_machine
from skembed.table import EmbeddingTable
from skembed.text._normalizer import TextNormalizer, find_normalizer

__all__ = ["VectorSource", "normalizer_of"]

_INSPECTED = 50_000  # keys that tell the normalization
_EXPANSION = 4  # a table is hardly ever more bytes than so many times its file: half precision, compressed
_SHARE_OF_MEMORY = 0.25  # that a table of a file may take without being asked for


class VectorSource:
    """The table or file of a `PretrainedVectorizer`.

    Parameters
    ----------
    source : EmbeddingTable, str or os.PathLike
    format : str
    limit : int or None
        As for `EmbeddingTable.load`.
    keep : {"auto", "all", "corpus"}
        As in `PretrainedVectorizer`.

    Attributes
    ----------
    keeps_all : bool
        Whether words stay that are not in the corpus.
    with_subwords : bool
        Whether subwords stay, if there are any.
    """

    def __init__(
        self, source: EmbeddingTable | str | os.PathLike, *, format: str, limit: int | None, keep: str
    ) -> None:
        self._path: Any = source
        self._format, self._limit = format, limit
        self.keeps_all = keep == "all" or (keep == "auto" and (isinstance(source, EmbeddingTable) or _fits(source)))
        self.with_subwords = keep != "corpus"
        self._whole: EmbeddingTable | None = None
        if isinstance(source, EmbeddingTable):
            self._whole = source
        elif self.keeps_all:
            self._whole = self._load(limit=limit)

    def head(self) -> EmbeddingTable:
        """Return the words that tell how all are written: the first ones of a file that is not read as a whole."""
        if self._whole is not None:
            return self._whole
        return self._load(limit=min(self._limit or _INSPECTED, _INSPECTED), subwords=False)

    def table(self, words: Callable[[], Collection[str]]) -> EmbeddingTable:
        """Return the source, or of a file the rows of the words that are asked for then, and of None."""
        if self._whole is not None:
            return self._whole
        wanted = {*words(), None}
        if not self.with_subwords:  # those are read nevertheless, for words of the corpus that have no row
            return load_for_words(self._path, wanted, format=self._format, limit=self._limit)
        return self._load(limit=self._limit, keys=wanted, subwords=True)

    def _load(self, **options: Any) -> EmbeddingTable:
        return EmbeddingTable.load(self._path, format=self._format, **options)


def _fits(path: str | os.PathLike) -> bool:
    """Whether the table of a file is sure to take a small part of the machine's memory."""
    try:
        size = os.path.getsize(path)
    except (OSError, ValueError):
        return False  # reading it will say what is wrong
    memory = memory_of_machine()
    return memory is not None and size * _EXPANSION <= memory * _SHARE_OF_MEMORY


def normalizer_of(table: EmbeddingTable, **given: Any) -> TextNormalizer:
    """Return how the words of a table are written.

    Parameters
    ----------
    table : EmbeddingTable
    **given
        `lowercase`, `digits` and `punctuation`, "auto" where the keys are to tell.
    """
    step = -(-len(table) // _INSPECTED) or 1
    found = find_normalizer([key for key in table.keys[::step].tolist() if isinstance(key, str)], table)
    return TextNormalizer(**{name: getattr(found, name) if value == "auto" else value for name, value in given.items()})
