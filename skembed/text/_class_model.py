"""A fitted linear classifier of bags of rows: all that predicting reads, in numpy."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_matrix
from scipy.special import expit, softmax

from skembed.data.ragged import Ragged
from skembed.state import stored

if TYPE_CHECKING:
    from skembed.training.documents import ClassSettings, ClassTables

__all__ = ["ClassModel"]


@stored
@dataclass(frozen=True)
class ClassModel:
    """Tables of `skembed.training.documents`, and what makes probabilities of their scores.

    Attributes
    ----------
    input : ndarray of shape (n_rows, embedding_dim), float32
    output : ndarray of shape (n_outputs, embedding_dim), float32
    loss : str
    offsets : ndarray of shape (n_classes,), or None
        "negative-sampling": what a logit at its optimum lacks of the log odds, given how often a class is drawn.
    paths : list of (nodes, codes), or None
        "hierarchical-softmax": inner nodes and turns on the way to each class.
    """

    input: np.ndarray
    output: np.ndarray
    loss: str
    offsets: np.ndarray | None = None
    paths: list[tuple[np.ndarray, np.ndarray]] | None = None

    @classmethod
    def of(cls, tables: "ClassTables", counts: np.ndarray, settings: "ClassSettings") -> "ClassModel":
        """Return the model of tables that were learned from so many documents of each class."""
        from skembed.kernels.huffman import huffman_tree  # numba: not to predict
        from skembed.training.documents import NOISE_EXPONENT

        offsets = paths = None
        if settings.loss == "negative-sampling":
            noise = counts**NOISE_EXPONENT
            offsets = np.log(settings.negative * (noise / noise.sum()))
        if settings.loss == "hierarchical-softmax":
            tree = huffman_tree(counts)
            ways = [slice(first, last) for first, last in zip(tree.starts[:-1], tree.starts[1:])]
            paths = [(tree.nodes[way], tree.codes[way]) for way in ways]
        return cls(tables.input, tables.output, settings.loss, offsets, paths)

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
        if (self.offsets is not None) != (self.loss == "negative-sampling") or (self.paths is not None) != is_tree:
            raise ValueError(f"expected offsets or paths as loss={self.loss!r} has them")
        if self.paths is not None and len(self.paths) != n_classes:
            raise ValueError(f"expected a path to each of {n_classes} classes, got {len(self.paths)}")
        for nodes, codes in self.paths or ():
            if nodes.shape != codes.shape or nodes.min(initial=0) < 0 or nodes.max(initial=0) >= len(self.output):
                raise ValueError(f"expected paths over {len(self.output)} nodes")

    def probabilities(self, bags: Ragged) -> np.ndarray:
        """Return the probability of each class, float64 (n_bags, n_classes); no bag is empty."""
        ones = np.ones(len(bags.indices), dtype=np.float32)
        sums = csr_matrix((ones, bags.indices, bags.indptr), shape=(len(bags), len(self.input))) @ self.input
        hidden = sums / bags.lengths[:, None].astype(np.float32)
        logits = (hidden @ self.output.T).astype(np.float64)
        if self.loss == "softmax":
            return softmax(logits, axis=1)
        if self.paths is not None:
            reached = np.ones((len(logits), len(self.paths)))
            for position, (nodes, codes) in enumerate(self.paths):
                reached[:, position] = expit(np.where(codes == 1, -1.0, 1.0) * logits[:, nodes]).prod(axis=1)
            return reached / reached.sum(axis=1, keepdims=True)
        odds = np.maximum(expit(logits if self.offsets is None else logits + self.offsets), 1e-300)
        return odds / odds.sum(axis=1, keepdims=True)
