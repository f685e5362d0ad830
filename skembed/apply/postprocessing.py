"""Postprocessing of word vectors by the frequencies of a corpus: principal axes, common components, lengths."""

import numpy as np

from skembed.table import EmbeddingTable, SubwordTable
from skembed.table.subwords import Subwords

__all__ = ["POSTPROCESSES", "Postprocess", "frequency_weights", "learn_postprocess", "postprocess_table"]

POSTPROCESSES = ("pca", "all-but-the-top")

# Round numbers on a plateau: their neighbours change a correlation with people's scores by a tenth of a point.
_POWER = 0.25  # of eigenvalues: half of what lies between axes as they are and axes by their standard deviation
_SMOOTHING = 0.1  # the a of a / (a + p): words of a tenth of the running text count half
_CENTERED = 0.5  # share of the mean document that is taken out
_PER_COMPONENT = 100  # dimensions for each component that is removed: Mu & Viswanath's rule
_NOTHING = 1e-12  # of an eigenvalue beside the largest: the square of float32's rounding
_BLOCK_ROWS = 2**14  # vectors mapped at a time


class Postprocess:
    """A map of word vectors that was learned from those of a corpus.

    Parameters
    ----------
    matrix : ndarray of shape (embedding_dim, embedding_dim)
    before : ndarray of shape (embedding_dim,)
        Taken out before the matrix is applied.
    after : ndarray of shape (embedding_dim,)
        Taken out at the end.
    length : float or None
        Vectors v become v / (length + |v|) behind the matrix; None: they stay.
    scale : float, default=1.0
        Of the outcome.
    """

    def __init__(
        self, matrix: np.ndarray, before: np.ndarray, after: np.ndarray, length: float | None, scale: float = 1.0
    ) -> None:
        self.matrix, self.before, self.after, self.length, self.scale = matrix, before, after, length, scale

    def __call__(self, vectors: np.ndarray, weights: np.ndarray | float = 1.0) -> np.ndarray:
        """Return the images of vectors (n, embedding_dim), float32, those behind the lengths times weights (n,)."""
        images = (vectors.astype(np.float64) - self.before) @ self.matrix
        if self.length is not None:
            images /= self.length + np.linalg.norm(images, axis=1, keepdims=True)
        return (self.scale * (images * np.reshape(weights, (-1, 1)) - self.after)).astype(np.float32)


def frequency_weights(counts: np.ndarray, smoothing: float) -> np.ndarray:
    """Return a / (a + p) for words that make up the share p of running text (Arora, Liang & Ma 2017), (n_words,)."""
    return smoothing / (smoothing + counts / max(counts.sum(), 1))


def learn_postprocess(
    method: str, vectors: np.ndarray, counts: np.ndarray, shares: np.ndarray, *, saturate: bool = True
) -> Postprocess:
    """Learn a map from the vectors of the words of a corpus and their frequencies.

    Parameters
    ----------
    method : {"pca", "all-but-the-top"}
        "pca": v is turned to the principal axes of the words, each counted by the square root of its frequency, and
        axis i is multiplied by the fourth root of its eigenvalue: axes along which the words of the corpus differ count
        more. Lengths are then saturated, so that no word drowns the others, words weighted by `frequency_weights`,
        and half of the mean document is taken out: documents are what will be compared, and a short one is one, too.
        Running words keep the length that they have in the root mean square: penalties and steps depend on it.
        "all-but-the-top": the mean of running text is taken out, and the principal components with the largest
        variance in it, one for each 100 dimensions (Mu & Viswanath 2018, "All-but-the-Top", arXiv:1702.01417, where
        each word counts once).
    vectors : ndarray of shape (n_words, embedding_dim)
    counts : ndarray of shape (n_words,)
        At least 1 each.
    shares : ndarray of shape (n_words,)
        Of each word in a document, its count by that of all words there, the mean over documents.
    saturate : bool, default=True
        Whether "pca" may change lengths; without, the map is affine, and goes together with means of vectors.

    Returns
    -------
    Postprocess
    """
    vectors, p = vectors.astype(np.float64), counts / counts.sum()
    dim = vectors.shape[1]
    if method == "all-but-the-top":
        mean = p @ vectors
        eigenvalues, axes = _principal_axes(vectors - mean, p)
        n_top = max(dim // _PER_COMPONENT, 1)
        if not eigenvalues[n_top:].max(initial=0.0) > _NOTHING * eigenvalues[0]:
            n_top = 0  # nothing would be left
        top = axes[:, :n_top]
        return Postprocess(np.eye(dim) - top @ top.T, mean, np.zeros(dim), None)
    importance = np.sqrt(counts) / np.sqrt(counts).sum()
    eigenvalues, axes = _principal_axes(vectors, importance)
    # few words beside dimensions say little of most axes, which then count as the mean one does
    eigenvalues = (len(vectors) * eigenvalues + dim * eigenvalues.mean()) / (len(vectors) + dim)
    matrix = axes * np.maximum(eigenvalues, np.finfo(np.float64).tiny) ** _POWER
    lengths = np.linalg.norm(vectors @ matrix, axis=1)
    length = float(np.median(lengths)) or 1.0
    if not saturate:
        matrix, length = matrix / length, None  # type: ignore[assignment]
    affine = Postprocess(matrix, np.zeros(dim), np.zeros(dim), length)
    weights = frequency_weights(counts, _SMOOTHING)
    after = _CENTERED * (shares @ affine(vectors, weights))
    mapped = Postprocess(matrix, np.zeros(dim), after, length)
    scale = _mean_length(vectors, p) / (_mean_length(mapped(vectors, weights), p) or 1.0)
    return Postprocess(matrix, np.zeros(dim), after, length, scale)


def _mean_length(vectors: np.ndarray, weights: np.ndarray) -> float:
    return float(np.sqrt(weights @ np.square(vectors, dtype=np.float64).sum(axis=1)))


def _principal_axes(vectors: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the eigenvalues of the second moment, the largest first, and the axes as columns of fixed signs."""
    eigenvalues, axes = np.linalg.eigh(vectors.T @ (vectors * weights[:, None]))
    axes = axes[:, ::-1]
    return np.maximum(eigenvalues[::-1], 0), axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])


def postprocess_table(
    table: EmbeddingTable, counts: np.ndarray, shares: np.ndarray, method: str
) -> tuple[EmbeddingTable, Postprocess]:
    """Postprocess a table by the words of a corpus.

    Parameters
    ----------
    table : EmbeddingTable
        Where it has subwords, these are mapped too, and lengths are not saturated.
    counts : ndarray of shape (n_keys,)
        How often each key occurs in the corpus; at least one does.
    shares : ndarray of shape (n_keys,)
        As in `learn_postprocess`.
    method : {"pca", "all-but-the-top"}

    Returns
    -------
    table : EmbeddingTable
        With the same keys and counts, and the image of its vector for unknown ones.
    postprocess : Postprocess
    """
    seen = counts > 0
    subwords = table.subwords if isinstance(table, SubwordTable) else None
    learned = learn_postprocess(method, table.vectors[seen], counts[seen], shares[seen], saturate=subwords is None)
    weights = frequency_weights(counts, _SMOOTHING) if method == "pca" else np.ones(len(counts))
    images = np.empty_like(table.vectors)
    for start in range(0, len(images), _BLOCK_ROWS):
        block = slice(start, start + _BLOCK_ROWS)
        images[block] = learned(table.vectors[block], weights[block])
    unknown = None if table.unknown is None else learned(table.unknown[None])[0]
    if subwords is None:
        return EmbeddingTable(table.keys, images, unknown=unknown, metric=table.metric, counts=table.counts), learned
    ngrams = Subwords(learned(subwords.vectors), buckets=subwords.buckets, **subwords.settings)
    return SubwordTable(table.keys, images, ngrams, unknown=unknown, metric=table.metric, counts=table.counts), learned
