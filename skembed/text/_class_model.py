"""A fitted linear classifier of bags of rows: all that predicting reads, in numpy."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_matrix
from scipy.special import expit, log_expit, softmax

from skembed.data.ragged import NO_ROW, Ragged
from skembed.state import stored
from skembed.text._bags import END_ROW

if TYPE_CHECKING:
    from skembed.training.documents import ClassSettings, ClassTables

__all__ = ["ClassModel", "class_paths"]

_CELLS = 2**20  # scores that are in memory at a time, and what becomes of them


def class_paths(counts: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the inner nodes and turns on the way to each class in the tree of hierarchical softmax."""
    from skembed.training.documents import class_tree  # numba: not to predict

    tree = class_tree(counts)
    ways = [slice(first, last) for first, last in zip(tree.starts[:-1], tree.starts[1:])]
    return [(tree.nodes[way], tree.codes[way]) for way in ways]


@stored
@dataclass(frozen=True)
class ClassModel:
    """Tables of `skembed.training.documents`, and what makes probabilities of their scores.

    Attributes
    ----------
    input : ndarray of shape (n_rows, embedding_dim), float32
    output : ndarray of shape (n_outputs, embedding_dim), float32
        Times the factor that held-out documents ask for (`skembed.text._calibration`).
    loss : str
    frequencies : ndarray of shape (n_classes,), float64, or None
        What documents without a known word get. None: what the row that all documents have makes of them.
    offsets : ndarray of shape (n_classes,), or None
        "negative-sampling": what a logit at its optimum lacks of the log odds, given how often a class is drawn.
    paths : list of (nodes, codes), or None
        "hierarchical-softmax": inner nodes and turns on the way to each class.
    """

    input: np.ndarray
    output: np.ndarray
    loss: str
    frequencies: np.ndarray | None = None
    offsets: np.ndarray | None = None
    paths: list[tuple[np.ndarray, np.ndarray]] | None = None

    @classmethod
    def of(
        cls,
        tables: "ClassTables",
        counts: np.ndarray,
        settings: "ClassSettings",
        frequencies: np.ndarray | None = None,
    ) -> "ClassModel":
        """Return the model of tables that were learned with these counts of classes."""
        from skembed.training.documents import NOISE_EXPONENT  # numba: not to predict

        offsets = paths = None
        if settings.loss == "negative-sampling":
            noise = np.maximum(counts, 1) ** NOISE_EXPONENT
            offsets = np.log(settings.negative * (noise / noise.sum()))
        if settings.loss == "hierarchical-softmax":
            paths = class_paths(counts)
        return cls(tables.input, tables.output, settings.loss, frequencies, offsets, paths)

    def scaled(self, factor: float) -> "ClassModel":
        """Return the model whose scores are multiplied by a factor."""
        return replace(self, output=self.output * np.float32(factor))

    def check(self, n_rows: int, n_classes: int) -> None:
        """Raise ValueError if the parts do not fit together, or not so many rows and classes."""
        is_tree = self.loss == "hierarchical-softmax"
        if self.input.ndim != 2 or len(self.input) != n_rows:
            raise ValueError(f"expected input vectors of {n_rows} words and buckets, got shape {self.input.shape}")
        shape = n_classes - is_tree, self.input.shape[1]
        if self.output.shape != shape:
            raise ValueError(f"expected output vectors of shape {shape}, got {self.output.shape}")
        if self.offsets is not None and self.offsets.shape != (n_classes,):
            raise ValueError(f"expected an offset for each of {n_classes} classes, got shape {self.offsets.shape}")
        if self.frequencies is not None and self.frequencies.shape != (n_classes,):
            raise ValueError(f"expected a frequency of each of {n_classes} classes, got {self.frequencies.shape}")
        if (self.offsets is not None) != (self.loss == "negative-sampling") or (self.paths is not None) != is_tree:
            raise ValueError(f"expected offsets or paths as loss={self.loss!r} has them")
        if self.paths is not None and len(self.paths) != n_classes:
            raise ValueError(f"expected a path to each of {n_classes} classes, got {len(self.paths)}")
        for nodes, codes in self.paths or ():
            if nodes.shape != codes.shape or nodes.min(initial=0) < 0 or nodes.max(initial=0) >= len(self.output):
                raise ValueError(f"expected paths over {len(self.output)} nodes")

    def probabilities(self, bags: Ragged) -> Iterator[np.ndarray]:
        """Yield the probability of each class, float64 (n, n_classes), of some bags at a time; no bag is empty."""
        n_at_once = max(1, _CELLS // max(len(self.output), 1))
        for begin in range(0, len(bags), n_at_once):
            indptr = bags.indptr[begin : begin + n_at_once + 1]
            part = Ragged(indptr - indptr[0], bags.indices[indptr[0] : indptr[-1]])
            found = self._probabilities(self._scores(part))
            if self.frequencies is not None:
                found[np.maximum.reduceat(part.indices, part.indptr[:-1]) <= END_ROW] = self.frequencies
            yield found

    def losses(self, bags: Ragged, labels: np.ndarray, weights: np.ndarray, factors: np.ndarray) -> np.ndarray:
        """Return the weighted log-losses of documents, their scores multiplied by each factor.

        Parameters
        ----------
        bags : Ragged of n_bags sequences
        labels : ndarray of shape (n_bags,)
        weights : ndarray of shape (n_bags,)
        factors : ndarray of shape (n_factors,)

        Returns
        -------
        ndarray of shape (n_factors, n_bags), float64
        """
        scores = self._scores(bags)
        return np.array([-weights * self._log_likelihoods(factor * scores, labels) for factor in factors])

    def _scores(self, bags: Ragged) -> np.ndarray:
        """Products of the documents' vectors and the output rows, float64 (n_bags, n_outputs)."""
        ones = (bags.indices != NO_ROW).astype(np.float32)  # n-grams without a row are vectors of zeros
        sums = csr_matrix((ones, np.maximum(bags.indices, 0), bags.indptr), shape=(len(bags), len(self.input)))
        hidden = (sums @ self.input) / bags.lengths[:, None].astype(np.float32)
        return (hidden @ self.output.T).astype(np.float64)

    def _probabilities(self, scores: np.ndarray) -> np.ndarray:
        if self.loss == "softmax":
            return softmax(scores, axis=1)
        if self.paths is not None:
            reached = np.ones((len(scores), len(self.paths)))
            for position, (nodes, codes) in enumerate(self.paths):
                reached[:, position] = expit(np.where(codes == 1, -1.0, 1.0) * scores[:, nodes]).prod(axis=1)
            return reached / reached.sum(axis=1, keepdims=True)
        odds = np.maximum(expit(scores if self.offsets is None else scores + self.offsets), 1e-300)
        return odds / odds.sum(axis=1, keepdims=True)

    def _log_likelihoods(self, scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
        if self.paths is None:
            own = np.arange(len(labels)), labels
            return np.log(np.maximum(self._probabilities(scores)[own], 1e-300))
        found = np.empty(len(labels))
        for label in np.unique(labels):  # its own path alone: classes may be many
            nodes, codes = self.paths[label]
            own = labels == label
            found[own] = log_expit(np.where(codes == 1, -1.0, 1.0) * scores[np.ix_(own, nodes)]).sum(axis=1)
        return found
