"""Document vectors of paragraph vector models (Le & Mikolov 2014, arXiv:1405.4053), inferred from frozen words.

Training draws negatives, and stops after some passes. What it aims at for one document is a convex problem, ridge
logistic regression: words of the document are positives, the noise words negatives. It is solved here by steps that
are fixed, so that a document has one vector, whoever asks for it, and the words alone decide it.

* The expectation over the noise distribution is taken over a fixed sample, its quantiles.
* The penalty is the inverse of the variance of the vectors that training gave to documents, their prior, times
  `PRIOR_WEIGHT`.
* Steps are conjugate gradients, preconditioned by the curvature that is expected of so many words; how far one goes is
  what the quadratic bound of the logistic loss says (Jaakkola & Jordan 2000), so that the loss never rises.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from skembed.data.ragged import Ragged
from skembed.state import stored

__all__ = ["DocumentInference", "infer_documents", "learn_inference"]

N_NOISE = 512  # quantiles of the noise; a power of two, see `_STRIDE`
N_STEPS = 10
# What is said once is said again, so that a document holds fewer observations than words. Chosen on a part of the
# training messages of 20 newsgroups held out: of 1, 4, 8, 16, classes were told apart best by 4 after 10 and 20 passes.
PRIOR_WEIGHT = 4.0
_SLOPE = 0.2  # of the logistic function, at logits as they are: 0.25 at most
_TINY = 1e-20
_BLOCK_TOKENS = 2**13  # of documents that are solved at once, and whose words' vectors fit a processor's cache
_BLOCK_DOCUMENTS = 2**8


@stored
@dataclass(frozen=True)
class DocumentInference:
    """What the vector of a document is inferred with, beside the vectors of words.

    Attributes
    ----------
    window : int
        Words before and after a word that predict it together with the document; 0: the document alone.
    negative : int
        Negatives of a word.
    penalty : float
        Of half the squared length of a vector.
    keep : ndarray of shape (n_words,), float32
        What an occurrence of each word weighs, because training skips frequent ones.
    noise : ndarray of shape (N_NOISE,), int32
        Words in ascending order, each as often as the noise distribution has it.
    directions : ndarray of shape (dim, dim), float32
        Orthonormal columns: along each the loss of a word has the curvature of the same place in
    curvatures : ndarray of shape (dim,), float32
    """

    window: int
    negative: int
    penalty: float
    keep: np.ndarray
    noise: np.ndarray
    directions: np.ndarray
    curvatures: np.ndarray

    def check(self, n_words: int, dim: int) -> None:
        """Raise ValueError if this does not fit a table of (n_words, dim)."""
        shapes = [(self.keep, (n_words,)), (self.directions, (dim, dim)), (self.curvatures, (dim,))]
        if any(array.shape != shape or array.dtype != np.float32 for array, shape in shapes):
            raise ValueError(f"expected weights of {n_words} words and {dim} directions")
        noise = self.noise
        if (
            noise.shape != (N_NOISE,)
            or noise.dtype != np.int32
            or noise.min() < 0
            or noise.max() >= n_words
            or (np.diff(noise) < 0).any()
        ):
            raise ValueError(f"expected {N_NOISE} noise words among {n_words}, in ascending order")
        if self.window < 0 or self.negative < 1 or not self.penalty > 0:
            raise ValueError("expected a window of at least 0, negatives and a positive penalty")


def learn_inference(
    outputs: np.ndarray,
    counts: np.ndarray,
    keep: np.ndarray,
    documents: np.ndarray,
    *,
    window: int,
    negative: int,
    ns_exponent: float,
) -> DocumentInference:
    """Return what vectors of documents are inferred with, from what training has learned.

    Parameters
    ----------
    outputs : ndarray of shape (n_words, dim), float32
        Vectors of words as targets.
    counts : ndarray of shape (n_words,)
    keep : ndarray of shape (n_words,)
        Share of the occurrences of each word that training does not skip.
    documents : ndarray of shape (n_documents, dim), float32
        The vectors that training gave to documents.
    window, negative, ns_exponent
        Those of training.
    """
    noise_weights = np.power(counts, ns_exponent, where=counts > 0, out=np.zeros(len(counts)))
    noise_weights /= noise_weights.sum()
    quantiles = (np.arange(N_NOISE) + 0.5) / N_NOISE
    noise = np.searchsorted(np.cumsum(noise_weights)[:-1], quantiles).astype(np.int32)
    shares = counts * keep / (counts * keep).sum()
    weights = (_SLOPE * (shares + negative * noise_weights)).astype(np.float32)
    curvatures, directions = np.linalg.eigh((outputs * weights[:, None]).T @ outputs)
    variance = float(np.mean(np.square(documents), dtype=np.float64)) if documents.size else 0.0
    return DocumentInference(
        window=window,
        negative=negative,
        penalty=PRIOR_WEIGHT / max(variance, 1e-6),
        keep=keep.astype(np.float32),
        noise=noise,
        directions=directions.astype(np.float32),
        curvatures=np.maximum(curvatures, 0.0).astype(np.float32),
    )


def infer_documents(
    chunks: Iterable[Ragged], inputs: np.ndarray, outputs: np.ndarray, inference: DocumentInference
) -> np.ndarray:
    """Return the vectors of documents.

    Parameters
    ----------
    chunks : iterable of Ragged
        Documents of rows of words.
    inputs : ndarray of shape (n_words, dim), float32
        Vectors of words as contexts; not read where the window is 0.
    outputs : ndarray of shape (n_words, dim), float32
        Vectors of words as targets.
    inference : DocumentInference

    Returns
    -------
    ndarray of shape (n_documents, dim), float32
        Zeros for a document without words.
    """
    parts = [np.empty((0, outputs.shape[1]), np.float32)]
    for documents in chunks:
        parts.append(np.zeros((len(documents), outputs.shape[1]), np.float32))
        for which in _blocks(documents):
            block = documents.take(which)
            if inference.window:
                parts[-1][which] = _solve(_Windows(block, inputs, outputs, inference), inference)
            else:
                parts[-1][which] = _solve(_Bags(block, outputs, inference), inference)
    return parts[-1] if len(parts) == 2 else np.concatenate(parts)


def _blocks(documents: Ragged) -> Iterator[np.ndarray]:
    """Yield numbers of documents that are not empty, so many that their words fit a block, but at least one."""
    filled = np.flatnonzero(documents.lengths)
    n_before = np.append(0, np.cumsum(documents.lengths[filled]))
    first = 0
    while first < filled.size:
        last = int(np.searchsorted(n_before, n_before[first] + _BLOCK_TOKENS, side="right")) - 1
        last = min(max(last, first + 1), first + _BLOCK_DOCUMENTS)
        yield filled[first:last]
        first = last


class _Bags:
    """Documents that predict their words, in any order: each distinct word weighs what its occurrences do.

    Logits are of a distinct word of a document, one array for all of them, `n_distinct` long, and of noise words,
    (n_documents, N_NOISE).
    """

    def __init__(self, documents: Ragged, outputs: np.ndarray, inference: DocumentInference) -> None:
        n_words, self.n_documents = len(outputs), len(documents)
        self.document = np.repeat(np.arange(self.n_documents), documents.lengths)
        codes, self.place, counts = np.unique(
            self.document * n_words + documents.indices, return_inverse=True, return_counts=True
        )
        words = codes % n_words
        self.bounds = np.searchsorted(codes, np.arange(self.n_documents + 1) * n_words)
        self.vectors = outputs[words]
        self.noise_vectors = outputs[inference.noise]
        self.weights = counts.astype(np.float32) * inference.keep[words]
        self.amounts = np.add.reduceat(self.weights, self.bounds[:-1])  # of words, as far as they weigh
        # a word is no negative of itself: what noise words hold of it is taken off; what is left is convex still
        places = (np.searchsorted(inference.noise, words, side) for side in ("right", "left"))
        self.own = self.weights * (np.subtract(*places) * (inference.negative / N_NOISE)).astype(np.float32)
        self.noise_weights = (inference.negative / N_NOISE * self.amounts[:, None]).astype(np.float32)

    def logits(self, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the logits that vectors of the documents give to their words and to noise words."""
        of_words = np.empty(len(self.vectors), np.float32)
        for i, (begin, end) in enumerate(zip(self.bounds[:-1], self.bounds[1:])):
            np.dot(self.vectors[begin:end], vectors[i], out=of_words[begin:end])
        return of_words, vectors @ self.noise_vectors.T

    def combine(self, of_words: np.ndarray, of_noise: np.ndarray) -> np.ndarray:
        """Return the sum of the vectors of the words of each document, each times a factor, and of noise words."""
        total = of_noise @ self.noise_vectors
        for i, (begin, end) in enumerate(zip(self.bounds[:-1], self.bounds[1:])):
            total[i] += of_words[begin:end] @ self.vectors[begin:end]
        return total

    def slopes(self, of_words: np.ndarray, of_noise: np.ndarray) -> tuple[tuple[np.ndarray, ...], ...]:
        """Return the first derivatives of the loss by the logits, and bounds of the second ones."""
        p_words, p_noise = _logistic(of_words), _logistic(of_noise)
        first = self.weights * (p_words - 1) - self.own * p_words, self.noise_weights * p_noise
        return first, (self.weights * _bound(of_words, p_words), self.noise_weights * _bound(of_noise, p_noise))

    def curvature(self, second: tuple[np.ndarray, ...], of_words: np.ndarray, of_noise: np.ndarray) -> np.ndarray:
        """Return the second derivative of each document's bound along a line, by the logits of its direction."""
        along = np.add.reduceat(second[0] * np.square(of_words), self.bounds[:-1])
        return along + np.einsum("ij,ij->i", second[1], np.square(of_noise))


class _Windows(_Bags):
    """Documents that predict each word together with the words around it: the mean of them all has the logit.

    How far a window reaches, and which noise words a word has as negatives, goes by its place in the document.
    """

    def __init__(
        self, documents: Ragged, inputs: np.ndarray, outputs: np.ndarray, inference: DocumentInference
    ) -> None:
        super().__init__(documents, outputs, inference)
        ids, keep = documents.indices, inference.keep
        begins, ends = documents.indptr[:-1][self.document], documents.ends[self.document]
        position = np.arange(len(ids))
        reach = 1 + (position - begins) % inference.window
        left, right = np.maximum(position - reach, begins), np.minimum(position + reach + 1, ends)
        steps = np.arange(inference.negative) + inference.negative * (position - begins)[:, None]
        negatives = (steps * _STRIDE) % N_NOISE
        self.cell = (self.document[:, None] * N_NOISE + negatives).astype(np.int32)
        offsets = np.empty((len(ids), 1 + inference.negative), np.float32)
        n_contexts = np.empty(len(ids), np.float32)
        for begin in range(0, len(ids), _BLOCK_TOKENS):
            part = slice(begin, begin + _BLOCK_TOKENS)
            first, last = left[part][0], right[part].max()
            weights = keep[ids[first:last]].astype(np.float64)
            sums = np.zeros((last - first + 1, inputs.shape[1] + 1))
            np.cumsum(weights[:, None] * inputs[ids[first:last]], axis=0, out=sums[1:, :-1])
            np.cumsum(weights, out=sums[1:, -1])
            around = (sums[right[part] - first] - sums[left[part] - first]).astype(np.float32)
            own = keep[ids[part]]
            n_contexts[part] = around[:, -1] - own
            contexts = around[:, :-1] - own[:, None] * inputs[ids[part]]
            offsets[part, 0] = np.einsum("ij,ij->i", contexts, outputs[ids[part]])
            for k in range(inference.negative):
                offsets[part, 1 + k] = np.einsum("ij,ij->i", contexts, self.noise_vectors[negatives[part, k]])
        self.shares = 1 / (1 + np.maximum(n_contexts, 0.0))  # of the document in the mean
        self.offsets = offsets * self.shares[:, None]
        self.target_weights = np.repeat(keep[ids][:, None], 1 + inference.negative, axis=1)
        self.target_weights[:, 1:][inference.noise[negatives] == ids[:, None]] = 0.0  # the word itself
        self.amounts = np.bincount(self.document, keep[ids] * np.square(self.shares), self.n_documents).astype(
            np.float32
        )

    def slopes(self, of_words: np.ndarray, of_noise: np.ndarray) -> tuple[tuple[np.ndarray, ...], ...]:
        logits = self.offsets + self._of_targets(of_words, of_noise)
        p = _logistic(logits)
        first = self.target_weights * self.shares[:, None] * p
        first[:, 0] -= self.target_weights[:, 0] * self.shares
        words = np.bincount(self.place, first[:, 0], len(self.vectors)).astype(np.float32)
        noise = np.bincount(self.cell.ravel(), first[:, 1:].ravel(), self.n_documents * N_NOISE).astype(np.float32)
        return (words, noise.reshape(self.n_documents, N_NOISE)), (self.target_weights * _bound(logits, p),)

    def curvature(self, second: tuple[np.ndarray, ...], of_words: np.ndarray, of_noise: np.ndarray) -> np.ndarray:
        along = (second[0] * np.square(self._of_targets(of_words, of_noise))).sum(axis=1)
        return np.bincount(self.document, along, self.n_documents).astype(np.float32)

    def _of_targets(self, of_words: np.ndarray, of_noise: np.ndarray) -> np.ndarray:
        targets = np.concatenate([of_words[self.place][:, None], of_noise.ravel()[self.cell]], axis=1)
        return self.shares[:, None] * targets


_STRIDE = 317  # odd, near N_NOISE over the golden ratio: neighbours have noise words from the whole distribution


def _solve(terms: _Bags, inference: DocumentInference) -> np.ndarray:
    """Return the vectors of the documents of a block: so many steps of conjugate gradients from zero."""
    penalty, directions = np.float32(inference.penalty), inference.directions
    scales = 1 / (terms.amounts[:, None] * inference.curvatures + penalty)
    vectors = np.zeros((terms.n_documents, len(directions)), np.float32)
    logits = terms.logits(vectors)
    direction, before = np.zeros_like(vectors), None
    for _ in range(N_STEPS):
        first, second = terms.slopes(*logits)
        gradient = terms.combine(*first) + penalty * vectors
        scaled = ((gradient @ directions) * scales) @ directions.T
        squared = (gradient * scaled).sum(axis=1)
        if before is not None:  # Polak & Ribière, from anew where that is negative
            change = ((gradient - before[0]) * scaled).sum(axis=1)
            direction *= np.maximum(0, change / np.maximum(before[1], _TINY))[:, None]
        direction -= scaled
        before = gradient, squared
        along = terms.logits(direction)
        bend = terms.curvature(second, *along) + penalty * np.square(direction).sum(axis=1)
        length = -(gradient * direction).sum(axis=1) / np.maximum(bend, _TINY)
        vectors += length[:, None] * direction
        logits = logits[0] + np.repeat(length, np.diff(terms.bounds)) * along[0], logits[1] + length[:, None] * along[1]
    return vectors


def _logistic(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(x, -50, 50)))


def _bound(x: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Return the second derivative of the quadratic that touches the logistic loss at x and is nowhere below it."""
    small = np.abs(x) < 1e-2
    return np.where(small, np.float32(0.25), (p - np.float32(0.5)) / np.where(small, 1, 2 * x) * 2)
