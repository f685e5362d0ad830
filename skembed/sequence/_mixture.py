"""A mixture of a recurrent net and of counts of what has followed the last events, for the next event."""

from dataclasses import dataclass

import numpy as np

from skembed.data.cases import Cases
from skembed.state import stored
from skembed.training.backoff import BackoffModel, Contexts, order_weights
from skembed.training.log_linear import log_linear_gain, log_linear_weights
from skembed.training.recurrent import CaseProblem

__all__ = ["NextEventMixture"]

N_FOLDS = 5  # of cases, where none were held out
UNKNOWN_WEIGHTS = (0.5, 0.5)  # of net and counts, where nothing tells how good either is
MIN_ERRORS = 1.0  # standard errors by which cases held out must be more probable with counts than without


@stored
@dataclass(frozen=True, eq=False)
class NextEventMixture:
    """A log-linear mixture of what a recurrent net and counted contexts say.

    Counts are hard to beat where the last events say it all, above all with few cases; the net sees times, other
    columns and what was long ago.

    Attributes
    ----------
    place : int
        The column of events among those of categories.
    weights : ndarray of shape (2,), float64
        Of the net and of the counts.
    counts : BackoffModel
    of_orders : ndarray of shape (n_orders,), float64
        Weights of what follows no event, one, and so on, in what the counts say.
    """

    place: int
    weights: np.ndarray
    counts: BackoffModel
    of_orders: np.ndarray

    @classmethod
    def learn(
        cls, problem: CaseProblem, held_out: tuple[np.ndarray, np.ndarray], place: int, n_levels: int, max_order: int
    ) -> "NextEventMixture | None":
        """Learn the weights from the cases held out, and count the contexts of all.

        Parameters
        ----------
        problem : CaseProblem
            Of next events.
        held_out : (ndarray of shape (n,), ndarray of shape (n, n_targets))
            Reads of cases held out, and what the net says of each event there before softmax. Where there are none,
            orders are weighed by cases that their counts were learned without, and net and counts weigh the same.
        place, n_levels : int
            The column of events, and how many levels it has.
        max_order : int
            Events of the longest contexts.

        Returns
        -------
        NextEventMixture or None
            None where counts do not make the cases held out more probable: the net alone.
        """
        counting = _Counting(problem, place, n_levels)
        reads, scores = held_out
        if len(reads):
            model = counting.count(~np.isin(problem.read_case, problem.held_out), max_order)
            target, weight, contexts = counting.target[reads], counting.weight[reads], counting.contexts.take(reads)
            of_orders = order_weights(model.likelihoods(contexts, target), weight)
            opinions = np.stack([scores.astype(np.float64), np.log(model.probabilities(contexts, of_orders))])
            weights = log_linear_weights(opinions, target, weight)
            alone = np.append(log_linear_weights(opinions[:1], target, weight), 0.0)  # no less sure of itself
            gain = log_linear_gain(opinions, weights, target) - log_linear_gain(opinions, alone, target)
            of_cases = np.bincount(np.unique(problem.read_case[reads], return_inverse=True)[1], gain * weight)
            if of_cases.sum() <= MIN_ERRORS * np.sqrt((of_cases**2).sum()):
                return None
        else:
            weights, of_orders = np.array(UNKNOWN_WEIGHTS), counting.order_weights_by_folds(max_order)
        of_orders = of_orders[: np.flatnonzero(of_orders)[-1] + 1]
        everything = np.ones(len(counting.target), dtype=bool)
        return cls(place, weights, counting.count(everything, len(of_orders) - 1), of_orders)

    def scores(self, by_net: np.ndarray, cases: Cases) -> np.ndarray:
        """Return the logarithms of the probabilities of what comes next, up to a number of each row.

        Parameters
        ----------
        by_net : ndarray of shape (n_cases, n_targets), float32
            The same by the net alone.
        cases : Cases
            As far as they are known.

        Returns
        -------
        ndarray of shape (n_cases, n_targets), float32
            A row depends on nothing but its own case.
        """
        start = self.counts.n_symbols - 1
        contexts = Contexts(cases.ids[:, self.place], cases.indptr[1:], cases.lengths, has_start(cases), start)
        by_counts = np.log(self.counts.probabilities(contexts, self.of_orders))
        return (self.weights[0] * by_net + self.weights[1] * by_counts).astype(np.float32)

    def check(self, place: int, n_levels: int, n_targets: int) -> None:
        """Raise ValueError where this does not fit a table of events."""
        weights, counts, of_orders = self.weights, self.counts, self.of_orders
        if self.place != place:
            raise ValueError(f"expected counts of column {place}, got {self.place}")
        if weights.shape != (2,) or weights.dtype != np.float64 or not (np.isfinite(weights) & (weights >= 0)).all():
            raise ValueError("expected weights of the net and of counts")
        is_mixture = of_orders.shape == (len(counts.orders),) and (of_orders >= 0).all()
        if not is_mixture or not np.isclose(of_orders.sum(), 1):
            raise ValueError(f"expected weights of {len(counts.orders)} orders, whose sum is 1")
        if (counts.n_symbols, counts.n_targets) != (n_levels + 2, n_targets):
            raise ValueError(f"expected counts of contexts of {n_levels} levels and {n_targets} targets")


def has_start(cases: Cases) -> np.ndarray:
    """Return whether the first event of each case that is there is where it began, (n_cases,)."""
    return np.ones(len(cases), dtype=bool) if cases.is_cut is None else ~cases.is_cut


class _Counting:
    """The reads of a problem as contexts and what follows them."""

    def __init__(self, problem: CaseProblem, place: int, n_levels: int) -> None:
        cases, self.read_case, self.target = problem.cases, problem.read_case, problem.target
        ends = cases.indptr[:-1][problem.read_case] + problem.read_length
        begun = has_start(cases)[problem.read_case]
        self.contexts = Contexts(cases.ids[:, place], ends, problem.read_length, begun, n_levels + 1)
        self.weight = problem.weight.astype(np.float64)
        self.n_targets = problem.n_targets

    def count(self, which: np.ndarray, max_order: int) -> BackoffModel:
        """Count some of the reads."""
        target, weight = self.target[which], self.weight[which]
        return BackoffModel.learn(
            self.contexts.take(which), target, weight, n_targets=self.n_targets, max_order=max_order
        )

    def order_weights_by_folds(self, max_order: int) -> np.ndarray:
        """Weigh orders by cases that their counts were learned without; all the same where there is one case."""
        fold = np.unique(self.read_case, return_inverse=True)[1] % N_FOLDS
        if not fold.any():
            return np.full(max_order + 1, 1.0 / (max_order + 1))
        likelihoods = np.empty((len(fold), max_order + 1))
        for k in range(fold.max() + 1):
            rows = fold == k
            likelihoods[rows] = self.count(~rows, max_order).likelihoods(self.contexts.take(rows), self.target[rows])
        return order_weights(likelihoods, self.weight)
