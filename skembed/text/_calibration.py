"""Temperature scaling: one factor for all scores of a classifier, chosen on held-out documents (Guo et al. 2017).

arXiv:1706.04599, section 4.2. A classifier of bags of rows learns its documents by heart, and is as sure of others as
of those that it knows. How much too sure, a second one tells that has not learned a tenth of them: the factor of its
scores under which these are most likely. It changes no ranking of classes, where each has a score of its own.

For a few classes the scores are of low rank whatever the dimension of the vectors is: the second one is narrow, and
takes a fraction of the time.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from skembed.data.ragged import NO_ROW, Ragged
from skembed.state import stored
from skembed.text._class_model import ClassModel

if TYPE_CHECKING:
    from skembed.training.documents import LabelledBags

__all__ = ["FACTORS", "HeldOutLosses", "enough_of", "held_out_folds", "without_unseen"]

FACTORS = 2.0 ** np.arange(-8, 4.25, 0.25)
SPREAD = 1.0  # standard deviation of the logarithm of a factor that a handful of documents cannot decide
LEAST_GAIN = 0.01  # of log-loss, in the mean of a document; documents to come differ from those at hand by more
FOLD_SHARE, FOLD_SIZE = 0.1, 2000  # documents that are held out at a time: a share of them, at most so many
ENOUGH = 1000  # documents that decide a factor; of fewer, so many folds are held out one after the other
MAX_FOLDS = 5


@stored
@dataclass(frozen=True)
class HeldOutLosses:
    """What held-out documents lost under each of some factors.

    Attributes
    ----------
    sums : ndarray of shape (n_factors,), float64
        Of their weighted log-losses.
    n_documents : float
        How many they were; older ones count less where there were more than `FOLD_SIZE`.
    """

    sums: np.ndarray
    n_documents: float

    @classmethod
    def none(cls) -> "HeldOutLosses":
        return cls(np.zeros(len(FACTORS)), 0.0)

    def add(self, model: ClassModel, data: "LabelledBags", factor: float = 1.0) -> "HeldOutLosses":
        """Return the losses of all these documents.

        Parameters
        ----------
        model : ClassModel
            Has not learned the documents.
        data : LabelledBags
        factor : float
            What the model's output is multiplied by already.
        """
        sums = model.losses(data.bags, data.labels, data.weights.astype(np.float64), FACTORS / factor)
        kept = min(1.0, max(FOLD_SIZE - len(data.labels), 0) / max(self.n_documents, 1.0))
        return HeldOutLosses(kept * self.sums + sums, kept * self.n_documents + len(data.labels))

    def best_factor(self) -> float:
        """Return the factor of the least loss; 1 where it gains next to nothing.

        Where few documents, all right or all wrong, say little, it stays near 1.
        """
        logarithms = np.log(FACTORS)
        totals = self.sums + 0.5 * (logarithms / SPREAD) ** 2
        best = int(np.argmin(totals))
        if totals[FACTORS == 1.0][0] - totals[best] < LEAST_GAIN * self.n_documents:
            return 1.0
        if 0 < best < len(FACTORS) - 1:  # the lowest point of the parabola through three
            before, here, after = totals[best - 1 : best + 2]
            shift = 0.5 * (before - after) / (before - 2 * here + after)
            return float(np.exp(logarithms[best] + shift * (logarithms[1] - logarithms[0])))
        return float(FACTORS[best])

    def check(self) -> None:
        """Raise ValueError if there is not a finite loss for each factor."""
        if self.sums.shape != FACTORS.shape or not np.isfinite(self.sums).all() or not self.n_documents >= 0:
            raise ValueError(f"expected finite losses of {len(FACTORS)} factors, got shape {self.sums.shape}")


def held_out_folds(labels: np.ndarray, seed: int) -> Iterator[np.ndarray]:
    """Yield which documents to hold out, bool (n_documents,); of each class one document at least is never held out.

    Parameters
    ----------
    labels : ndarray of shape (n_documents,)
    seed : int or sequence of int
    """
    order = np.random.default_rng(seed).permutation(len(labels))
    _, firsts = np.unique(labels[order], return_index=True)
    order = np.delete(order, firsts)
    size = max(min(round(FOLD_SHARE * len(labels)), FOLD_SIZE), 1)
    for fold in range(min(-(-ENOUGH // size), MAX_FOLDS)):
        chosen = order[fold * size : (fold + 1) * size]
        if len(chosen):
            held = np.zeros(len(labels), dtype=bool)
            held[chosen] = True
            yield held


def enough_of(data: "LabelledBags") -> "LabelledBags":
    """Return `FOLD_SIZE` of these documents, evenly spread, or all of fewer: more of them decide no factor better."""
    n_documents = len(data.labels)
    if n_documents <= FOLD_SIZE:
        return data
    return data.take(np.arange(FOLD_SIZE) * n_documents // FOLD_SIZE)


def without_unseen(bags: Ragged, seen: np.ndarray, n_words: int) -> Ragged:
    """Return bags as one reads them who has not seen some rows: without those words, and with n-grams of no row.

    Parameters
    ----------
    bags : Ragged
    seen : ndarray of shape (n_rows,), bool
        The row of all documents comes first, words follow, then n-grams.
    n_words : int
    """
    is_seen = seen[bags.indices]
    is_kept = is_seen | (bags.indices > n_words)
    known = Ragged(bags.indptr, np.where(is_seen, bags.indices, NO_ROW).astype(np.int32))
    return known.keep(is_kept)
