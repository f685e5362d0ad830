"""Learning rate and temperature of a classifier of bags: what held-out documents decide.

It learns its documents by heart, those with wrong classes too, and is as sure of others as of those that it knows. A
second one that has not learned a tenth of them tells both:

* The rate. The sum of the rates until some point is that of a whole training at a lower rate, and what was learned
  until then is nearly the same: one training tells of all rates below its own (early stopping is a penalty, Bishop
  1995).
* The temperature. A factor for all scores under which the held-out documents are most likely (Guo et al. 2017,
  arXiv:1706.04599, section 4.2). It changes no ranking of classes, where each has a score of its own.

For a few classes the scores are of low rank whatever the dimension of the vectors is: the second one is narrow, and
takes a fraction of the time.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from skembed.data.ragged import NO_ROW, Ragged
from skembed.state import stored
from skembed.text._class_model import ClassModel

if TYPE_CHECKING:
    from skembed.training.documents import LabelledBags

__all__ = ["FACTORS", "HeldOutLosses", "RatePath", "enough_of", "held_out_folds", "learned_share", "without_unseen"]

FACTORS = 2.0 ** np.arange(-8, 4.25, 0.25)
SPREAD = 1.0  # standard deviation of the logarithm of a factor, or a rate, that a handful of documents cannot decide
LEAST_GAIN = 0.01  # of log-loss, in the mean of a document; documents to come differ from those at hand by more
FOLD_SHARE, FOLD_SIZE = 0.1, 2000  # documents that are held out at a time: a share of them, at most so many
ENOUGH = 1000  # documents that decide a factor; of fewer, so many folds are held out one after the other
MAX_FOLDS = 5
UNFINISHED = 5 * LEAST_GAIN  # what a rate gains over its half where its double may gain more than `LEAST_GAIN`
WORST = -np.log(1e-300)  # loss of a document, which is no more than `ClassModel` allows it to be


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
        sums = model.losses(data.bags, data.labels, data.weights.astype(np.float64), FACTORS / factor).sum(axis=1)
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


def learned_share(n_passes: Any, max_iter: int) -> Any:
    """Return the share that the first passes have in the sum of the rates of all, which fall linearly to 0."""
    return 1 - (1 - n_passes / max_iter) ** 2


@dataclass(frozen=True)
class RatePath:
    """What held-out documents lost in the course of a training, as after trainings at lower rates.

    Attributes
    ----------
    rates : ndarray of shape (n_points,)
        Of whole trainings that would have learned as much, rising; the last is that of this one.
    losses : ndarray of shape (n_points, n_factors, n_documents), float64
        Of each document, weighted, under each of `FACTORS`.
    """

    rates: np.ndarray
    losses: np.ndarray

    @staticmethod
    def passes(max_iter: int) -> np.ndarray:
        """Return after how many passes to look: at rates that differ by about a root of 2, rising; the last is all."""
        shares = 2.0 ** (-0.5 * np.arange(14))
        return np.unique(np.ceil(max_iter * (1 - np.sqrt(1 - shares))).astype(np.int64))

    def best(self) -> int:
        """Return the number of the lowest rate that is within a standard error of the best; the last if that one is.

        The last rate stands unless documents speak against it. Where they do, wrong classes are the reason, which hide
        among the held-out ones, too, how much less of them a lower rate learns.
        """
        losses, last = self._least_losses(), len(self.rates) - 1
        penalties = 0.5 * (np.log(self.rates / self.rates[-1]) / SPREAD) ** 2
        best = int(np.argmin(losses.sum(axis=1) + penalties))

        def is_as_good(point: int) -> bool:
            more = losses[point] - losses[best]
            return more.sum() + penalties[point] - penalties[best] <= np.sqrt(np.square(more).sum())

        return last if is_as_good(last) else next(filter(is_as_good, range(last + 1)))

    def is_unfinished(self) -> bool:
        """Return whether twice the highest rate may gain: half of it loses much, or nothing was learned at any."""
        losses = self._least_losses().sum(axis=1) / max(self.losses.shape[2], 1)
        half = int(np.abs(np.log(self.rates / self.rates[-1] * 2)).argmin())
        has_learned_nothing = losses[0] - losses[-1] <= UNFINISHED < losses[-1]
        is_last = self.best() == len(self.rates) - 1
        return is_last and bool(losses[half] - losses[-1] > UNFINISHED or has_learned_nothing)

    def is_better_than(self, other: "RatePath") -> bool:
        """Return whether the highest rate is better than that of another path, of the same documents."""
        gains = other._least_losses()[-1] - self._least_losses()[-1]
        penalty = 0.5 * (np.log(self.rates[-1] / other.rates[-1]) / SPREAD) ** 2
        return bool(gains.sum() - penalty > np.sqrt(np.square(gains).sum()) + LEAST_GAIN * len(gains))

    def _least_losses(self) -> np.ndarray:
        """Losses under the best factor of each rate, (n_points, n_documents)."""
        return self.losses[np.arange(len(self.rates)), self.losses.sum(axis=2).argmin(axis=1)]

    def losses_at(self, rate: float) -> HeldOutLosses:
        """Return the losses after a training at the nearest of these rates."""
        nearest = np.abs(np.log(self.rates / rate)).argmin()
        return HeldOutLosses(self.losses[nearest].sum(axis=1), float(self.losses.shape[2]))


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
