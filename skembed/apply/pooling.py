"""Word vectors -> one vector a document: what each pooling learns from a corpus, and how it is applied."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from skembed.data.ragged import Ragged
from skembed.state import check_state, stored

__all__ = [
    "POOLINGS",
    "DocumentCounts",
    "Pooling",
    "check_poolings",
    "learn_poolings",
    "pool_chunks",
    "pool_documents",
    "pooling_names",
]

POOLINGS = ("mean", "tfidf", "sif", "max", "min")

_NOTHING = 1e-12  # of an eigenvalue beside the largest: the square of float32's rounding
_LEAST_SHARE = 1e-30  # so that factors stay finite in float32, however small the a of "sif"
_BLOCK_ROWS = 2**13  # words pooled at a time: the vectors of so many fit a processor's cache


@stored
@dataclass(frozen=True)
class Pooling:
    """One way to pool, with what it has learned.

    Attributes
    ----------
    name : str
        One of `POOLINGS`.
    weights : ndarray of shape (n_words,), float32, or None
        A factor for each word; "tfidf": inverse document frequency, "sif": ``a / (a + p)``, over its mean.
    component : ndarray of shape (embedding_dim,), float32, or None
        "sif": the unit vector along which documents are alike, and which is taken out of each.
    unseen : float
        "sif": the factor of a word with the share 0.
    """

    name: str
    weights: np.ndarray | None = None
    component: np.ndarray | None = None
    unseen: float = 1.0

    def __setstate__(self, state: dict[str, Any]) -> None:
        check_state(Pooling, state, required=("name", "weights", "component"))  # older ones lack `unseen`
        for name, value in {**state, "unseen": state.get("unseen", 1.0)}.items():
            object.__setattr__(self, name, value)


@stored
class DocumentCounts(NamedTuple):
    """How many documents there were, and in how many of them each word occurs: int64 (n_words,)."""

    n_documents: int
    frequency: np.ndarray


class _Bags(NamedTuple):
    """Documents as their different words, each with its count; no document is empty."""

    words: np.ndarray  # (n,) int64, sorted within a document
    counts: np.ndarray  # (n,) float32
    starts: np.ndarray  # (n_documents,) int64


def pooling_names(pooling: str | Sequence[str]) -> list[str]:
    """Return the parameter `pooling` as a list of names; ValueError if one is none of `POOLINGS`, or there is none."""
    names = [pooling] if isinstance(pooling, str) else list(pooling)
    if not names or any(name not in POOLINGS for name in names):
        raise ValueError(f"pooling={pooling!r}, expected one of {', '.join(map(repr, POOLINGS))}, or a list of them.")
    return names


def check_poolings(poolings: list[Pooling], n_words: int, dim: int) -> None:
    """Raise ValueError if poolings that were read from a file do not fit a table of (n_words, dim)."""
    pooling_names([pooling.name for pooling in poolings])
    for pooling in poolings:
        expected = [(pooling.weights, (n_words,)), (pooling.component, (dim,))]
        if any(part is not None and (part.shape != shape or part.dtype.kind != "f") for part, shape in expected):
            raise ValueError(f"pooling {pooling.name!r}: expected weights of {n_words} words and {dim} components")


def pool_documents(documents: Ragged, vectors: np.ndarray, poolings: list[Pooling], out: np.ndarray) -> None:
    """Write the vectors of documents, poolings side by side.

    A document's result depends on its words and their counts only: neither on their order nor on the other documents.

    Parameters
    ----------
    documents : Ragged
        Of rows of `vectors`.
    vectors : ndarray of shape (n_words, embedding_dim), float32
    poolings : list of Pooling
    out : ndarray of shape (n_documents, len(poolings) * embedding_dim), float32
        A document without words gets zeros.
    """
    dim = vectors.shape[1]
    for which, bags in _blocks_of_bags(documents, len(vectors)):
        for position, pooling in enumerate(poolings):
            out[which, position * dim : (position + 1) * dim] = _pool(vectors, bags, pooling)


def pool_chunks(chunks: Iterable[tuple[Ragged, np.ndarray, list[Pooling]]], n_columns: int) -> np.ndarray:
    """Return the vectors of documents in chunks, each with the vectors and poolings that `pool_documents` takes."""
    pooled = [np.empty((0, n_columns), dtype=np.float32)]
    for documents, vectors, poolings in chunks:
        pooled.append(np.zeros((len(documents), n_columns), dtype=np.float32))
        pool_documents(documents, vectors, poolings, out=pooled[-1])
    return pooled[-1] if len(pooled) == 2 else np.concatenate(pooled)


def _pool(vectors: np.ndarray, bags: _Bags, pooling: Pooling) -> np.ndarray:
    if pooling.name in ("max", "min"):
        reduce = np.maximum.reduceat if pooling.name == "max" else np.minimum.reduceat
        return reduce(vectors[bags.words], bags.starts, axis=0)
    factors = bags.counts if pooling.weights is None else bags.counts * pooling.weights[bags.words]
    # One word after the other is added to its document: what else is in the matrix changes no bit. Several times as
    # fast as np.add.reduceat of the gathered vectors.
    indptr = np.append(bags.starts, len(bags.words))
    total = sparse.csr_matrix((factors, bags.words, indptr), shape=(len(bags.starts), len(vectors))) @ vectors
    divisor = bags.counts if pooling.name == "sif" else factors  # SIF divides by the number of words
    pooled = total / np.add.reduceat(divisor, bags.starts)[:, None]
    if pooling.component is not None:
        # Not a matrix product: its last bits would depend on how many documents there are.
        along = (pooled * pooling.component).sum(axis=1, keepdims=True)
        pooled -= along * pooling.component
    return pooled


def _blocks_of_bags(documents: Ragged, n_words: int) -> Iterator[tuple[np.ndarray, _Bags]]:
    """Yield (positions of documents that are not empty, their bags), about `_BLOCK_ROWS` words at a time."""
    ids, ends, lengths = documents.indices, documents.ends, documents.lengths
    filled = np.flatnonzero(lengths)
    first = 0
    while first < filled.size:
        start = int(ends[filled[first]] - lengths[filled[first]])
        last = max(int(np.searchsorted(ends[filled], start + _BLOCK_ROWS, side="right")), first + 1)
        which = filled[first:last]
        document_of = np.repeat(np.arange(which.size), lengths[which])
        codes, counts = np.unique(document_of * n_words + ids[start : ends[which[-1]]], return_counts=True)
        starts = np.searchsorted(codes, np.arange(which.size) * n_words)
        yield which, _Bags(codes % n_words, counts.astype(np.float32), starts)
        first = last


def learn_poolings(
    names: list[str],
    documents: Iterable[Ragged],
    vectors: np.ndarray,
    counts: np.ndarray,
    *,
    sif_smoothing: float,
    seen: DocumentCounts | None = None,
) -> tuple[list[Pooling], DocumentCounts]:
    """Learn what the named poolings need, in one pass over the corpus or none.

    Parameters
    ----------
    names : list of str
        Of `POOLINGS`.
    documents : iterable of Ragged
        The corpus in chunks of whole documents; not read if no pooling needs it.
    vectors : ndarray of shape (n_words, embedding_dim), float32
    counts : ndarray of shape (n_words,), int64
        How often each word occurs, in earlier documents, too.
    sif_smoothing : float
        The `a` of Arora, Liang & Ma, "A Simple but Tough-to-Beat Baseline for Sentence Embeddings" (2017).
    seen : DocumentCounts, optional
        Of earlier documents, about the first words of `vectors`.

    Returns
    -------
    list of Pooling
        In the order of `names`.
    DocumentCounts
        Of the earlier documents and these; of none where "tfidf" or "sif" was not always among the names.
    """
    n_words, dim = vectors.shape
    counted = not {"tfidf", "sif"}.isdisjoint(names)
    nothing = DocumentCounts(0, np.zeros(0, dtype=np.int64))
    n_documents, frequency = seen if seen is not None and counted else nothing
    n_seen, occurrences = frequency.size, np.zeros(n_words, dtype=np.int64)
    frequency = np.concatenate([frequency, np.zeros(n_words - frequency.size, dtype=np.int64)])
    second_moment = np.zeros((dim, dim))
    # A running word weighs 1 in the mean: else rows would be the shorter the fewer words a corpus has, and a penalized
    # model behind them would learn nothing.
    shares = counts / max(counts.sum(), 1)
    sif_weights = sif_smoothing / (sif_smoothing + shares)
    unseen = 1 / max(float(shares @ sif_weights), _LEAST_SHARE) if counts.any() else 1.0
    sif_weights = (unseen * sif_weights).astype(np.float32)
    for chunk in documents if counted else ():
        n_documents += len(chunk)
        for _, bags in _blocks_of_bags(chunk, n_words):
            frequency += np.bincount(bags.words, minlength=n_words)
            occurrences += np.bincount(bags.words, bags.counts, minlength=n_words).astype(np.int64)
            if "sif" in names:
                pooled = _pool(vectors, bags, Pooling("sif", sif_weights)).astype(np.float64)
                second_moment += pooled.T @ pooled
    if counted and seen is not None:
        # words that had no row were rare: each occurrence was in a document of its own, or nearly so
        frequency[n_seen:] += np.maximum(counts - occurrences, 0)[n_seen:].astype(np.int64)
    learned = {name: Pooling(name) for name in names}
    if "tfidf" in names:
        inverse = np.log((1 + n_documents) / (1 + frequency)) + 1  # smooth, as in TfidfTransformer
        learned["tfidf"] = Pooling("tfidf", inverse.astype(np.float32))
    if "sif" in names:
        learned["sif"] = Pooling("sif", sif_weights, _common_component(second_moment), unseen)
    if not counted or (seen is not None and not seen.n_documents):
        n_documents, frequency = 0, np.zeros(n_words, dtype=np.int64)
    return [learned[name] for name in names], DocumentCounts(n_documents, frequency)


def _common_component(second_moment: np.ndarray) -> np.ndarray | None:
    """Return the unit vector along which documents are longest; None where there is nothing beside it.

    A single document, or documents of a single direction, would be left with nothing.
    """
    eigenvalues, axes = np.linalg.eigh(second_moment)
    if not eigenvalues[:-1].max(initial=0.0) > _NOTHING * eigenvalues[-1]:
        return None
    component = axes[:, -1]
    component *= np.sign(component[np.argmax(np.abs(component))])  # an eigenvector has no sign of its own
    return component.astype(np.float32)
