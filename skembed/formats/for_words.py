"""Files read for the words of a corpus: the rows that they have, and n-grams for those that have none."""

import os
from collections.abc import Iterable
from dataclasses import replace

from skembed.formats._load import load_as
from skembed.formats._options import read_options
from skembed.table import EmbeddingTable

__all__ = ["load_for_words"]


def load_for_words(
    path: str | os.PathLike, words: Iterable, *, format: str = "auto", limit: int | None = None
) -> EmbeddingTable:
    """Read what words need to have vectors: memory is that of their rows, as n-grams stay in the file.

    Parameters
    ----------
    path : path-like
    words : iterable of keys
    format, limit
        As in `load_table`.

    Returns
    -------
    EmbeddingTable
        A `SubwordTable` where the file has n-grams, which are mapped if they are neither pruned nor quantised.
    """
    options = read_options(limit=limit, keys=words, subwords=True)
    return load_as(path, format, replace(options, ngrams_mapped=True))
