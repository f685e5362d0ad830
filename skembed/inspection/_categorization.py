"""Categorization: purity of clusters of a table's vectors, measured by categories that people made."""

import csv
import io
import os
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.cluster import AgglomerativeClustering, KMeans
from sklearn.metrics import adjusted_rand_score
from sklearn.metrics.cluster import contingency_matrix

from skembed.data.target_type import is_missing
from skembed.inspection._result import Result
from skembed.inspection._words import Words, is_by_key, is_path, one_of, read_lines, rows_given
from skembed.table import EmbeddingTable
from skembed.table.keys import hashable
from skembed.table.queries import unit_vectors

__all__ = ["CategorizationResult", "evaluate_categorization"]

METHODS = ("kmeans", "agglomerative")
_MOST_AGGLOMERATED = 30_000  # of so many vectors all distances take 3.6 GB


@dataclass(frozen=True, repr=False)
class CategorizationResult(Result):
    """What `evaluate_categorization` found.

    Attributes
    ----------
    purity : float
        Share of the words that are in the most frequent category of their cluster. Grows with the number of clusters:
        compare it only for one test set and the same words.
    adjusted_rand : float
        Agreement of clusters and categories in pairs of words, 0 by chance.
    n_categories : int
        With a word in the table; so many clusters are made.
    n_words : int
        Words of the test set, a word in two categories twice.
    oov_share : float
        Share, 0 to 1, of the words that are not in the table.
    oov_words : tuple
        Those words; not part of `to_dict`.
    """

    purity: float
    adjusted_rand: float
    n_categories: int
    n_words: int
    oov_share: float
    oov_words: tuple = field(repr=False, compare=False)


def evaluate_categorization(
    table: EmbeddingTable,
    categories: Any,
    *,
    method: str = "kmeans",
    restrict_vocab: int | None = 300_000,
    case_insensitive: bool = True,
    random_state: Any = None,
    encoding: str = "utf-8",
) -> CategorizationResult:
    """Purity of as many clusters of unit vectors as there are categories.

    Parameters
    ----------
    table : EmbeddingTable
    categories : str, os.PathLike, mapping, or rows (key, category)
        A CSV file, plain or compressed, with columns named ``word`` and ``category``, as of Battig's norms. Or a
        mapping or pandas Series from a key to its category. Or rows. Words that are not in the table are left out; the
        same word and category count once.
    method : {"kmeans", "agglomerative"}, default="kmeans"
        k-means, the best of 10 starts, or Ward's linkage, which has no randomness and holds all distances of the words.
    restrict_vocab : int or None, default=300_000
        Only the first so many keys take part.
    case_insensitive : bool, default=True
        Compare words in upper case; of several keys that are then one word the first counts.
    random_state : int, RandomState instance or None, default=None
        Of k-means.
    encoding : str, default="utf-8"

    Returns
    -------
    CategorizationResult

    Raises
    ------
    ValueError
        If fewer than two categories have a word in the table, a category is missing, a row of the file has no two cells
        of these columns or more than the heading, or for too many words for ``method="agglomerative"``.

    Examples
    --------
    >>> from skembed import EmbeddingTable
    >>> from skembed.inspection import evaluate_categorization
    >>> table = EmbeddingTable(["ruby", "opal", "oak", "elm"], [[1.0, 0.1], [1.0, 0.0], [0.1, 1.0], [0.0, 1.0]])
    >>> categories = {"ruby": "stone", "opal": "stone", "oak": "tree", "elm": "tree", "ash": "tree"}
    >>> evaluate_categorization(table, categories, random_state=0)
    CategorizationResult(purity=1, adjusted_rand=1, n_categories=2, n_words=5, oov_share=0.2)
    """
    one_of(method, METHODS, "method")
    words = Words(table, restrict_vocab, case_insensitive)
    listed = _read_categories(categories, encoding) if is_path(categories) else _given_categories(categories)
    missing = [word for word, category in listed if is_missing(category)]
    if missing:
        raise ValueError(
            f"categories has {len(missing)} words without a category, the first {missing[0]!r:.60}; leave them out."
        )
    strange = next((category for _, category in listed if not hashable(category)), None)
    if strange is not None:
        raise TypeError(
            f"categories must map each word to its category, got {strange!r:.60} of type {type(strange).__name__}; of "
            "lists of words make {word: category for category, words in categories.items() for word in words}."
        )
    once: dict[Any, tuple] = {}
    for word, category in listed:
        once.setdefault((words.fold(word), category), (word, category))
    listed = list(once.values())
    rows = words.rows(word for word, _ in listed)
    known = rows >= 0
    numbers: dict[Any, int] = {}
    labels = [numbers.setdefault(category, len(numbers)) for (_, category), there in zip(listed, known) if there]
    if len(numbers) < 2:
        raise ValueError(
            f"categories must hold two categories or more with a word of the table, got {len(numbers)}: "
            f"{known.sum()} of {len(listed)} words are in it."
        )
    if method == "agglomerative" and known.sum() > _MOST_AGGLOMERATED:
        raise ValueError(
            f"method='agglomerative' holds all distances of {known.sum()} words, {4 * known.sum() ** 2} bytes; it is "
            f"meant for up to {_MOST_AGGLOMERATED}. Use method='kmeans'."
        )
    clusters = _cluster(unit_vectors(words.vectors[rows[known]]), len(numbers), method, random_state)
    return CategorizationResult(
        purity=float(contingency_matrix(labels, clusters).max(axis=0).sum() / known.sum()),
        adjusted_rand=float(adjusted_rand_score(labels, clusters)),
        n_categories=len(numbers),
        n_words=len(listed),
        oov_share=float((~known).mean()),
        oov_words=tuple(dict.fromkeys(word for (word, _), there in zip(listed, known) if not there)),
    )


def _cluster(units: np.ndarray, n_clusters: int, method: str, random_state: Any) -> np.ndarray:
    if method == "agglomerative":
        return AgglomerativeClustering(n_clusters, linkage="ward").fit_predict(units)
    return KMeans(n_clusters, n_init=10, random_state=random_state).fit_predict(units)


def _read_categories(path: Any, encoding: str) -> list[tuple[Any, Any]]:
    text = io.StringIO("\n".join(line for _, line in read_lines(path, encoding)))
    reader = csv.DictReader(text)
    missing = {"word", "category"} - set(reader.fieldnames or ())
    if missing:
        raise ValueError(
            f"{os.fspath(path)!r} must have columns named 'word' and 'category', got {reader.fieldnames}; "
            "pass rows (word, category) in its place."
        )
    found = []
    for row in reader:
        if None in row or None in row.values():
            n_cells = sum(value is not None for key, value in row.items() if key is not None) + len(row.get(None, ()))
            raise ValueError(
                f"{os.fspath(path)!r} has {n_cells} cells in the row of {row['word']!r:.60}, expected "
                f"{len(reader.fieldnames or ())} as in its heading."
            )
        found.append((row["word"], row["category"]))
    return found


def _given_categories(categories: Any) -> list[tuple]:
    return list(categories.items()) if is_by_key(categories) else rows_given(categories, 2, "categories")
