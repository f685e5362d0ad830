"""A back-off model of events: counts of what follows long contexts, backed off to shorter ones, all lengths mixed.

After the last n events, the context h, event x has the probability (Witten & Bell 1991, "The zero-frequency problem",
method C, interpolated)

    P_n(x | h) = (c(h x) + T(h) P_{n-1}(x | h')) / (c(h) + T(h))

where c counts, T is how many different events have followed h, and h' is h without its oldest event; below order 0 all
events are equally probable. The orders are mixed linearly, with weights that make held-out events most probable
(Jelinek & Mercer 1980, "Interpolated estimation of Markov source parameters from sparse data").
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from skembed.state import check_state, stored

__all__ = ["BackoffModel", "ContextCounts", "Contexts", "order_weights"]

MIN_ORDER_WEIGHT = 0.01  # what has less is left out: it tells next to nothing
MAX_ORDER_ITER = 300
ORDER_TOL = 1e-5
_BLOCK = 1 << 20  # probabilities that are held at a time


@dataclass(frozen=True, eq=False)
class Contexts:
    """Beginnings of sequences, of which the last events are looked at.

    Attributes
    ----------
    ids : ndarray of shape (n_events,), int
        Events of all sequences, from 0 on.
    ends : ndarray of shape (n_contexts,), int64
        Where in `ids` the event stands that is not known any more.
    lengths : ndarray of shape (n_contexts,), int64
        How many events before it belong to its sequence.
    has_start : ndarray of shape (n_contexts,), bool
        Whether the sequence begins with the first of these; else there were events that are not known.
    start : int
        Stands before the first event of each sequence.
    """

    ids: np.ndarray
    ends: np.ndarray
    lengths: np.ndarray
    has_start: np.ndarray
    start: int

    def __len__(self) -> int:
        return len(self.ends)

    def take(self, which: np.ndarray | slice) -> "Contexts":
        """Return some of them."""
        return Contexts(self.ids, self.ends[which], self.lengths[which], self.has_start[which], self.start)

    def reaching(self, which: np.ndarray, n_back: int) -> np.ndarray:
        """Return those of `which` that have something so far back: an event, or the start."""
        return which[self.lengths[which] + self.has_start[which] >= n_back]

    def events(self, which: np.ndarray, n_back: int) -> np.ndarray:
        """Return what stands so far back in each of `which`."""
        is_event = self.lengths[which] >= n_back
        out = np.full(len(which), self.start, dtype=np.int64)
        out[is_event] = self.ids[self.ends[which[is_event]] - n_back]
        return out


@stored
@dataclass(frozen=True, eq=False)
class ContextCounts:
    """What has followed the contexts of one order.

    Attributes
    ----------
    codes : ndarray of shape (n_contexts,), int64
        Ascending: the number of the context without its oldest event, times `n_symbols`, plus the oldest event.
    indptr : ndarray of shape (n_contexts + 1,), int64
        What has followed context i stands at ``indptr[i] : indptr[i + 1]``.
    targets : ndarray of shape (n_pairs,), int32
    shares : ndarray of shape (n_pairs,), float32
        ``c(h x) / (c(h) + T(h))``.
    backoff : ndarray of shape (n_contexts,), float32
        ``T(h) / (c(h) + T(h))``.
    """

    codes: np.ndarray
    indptr: np.ndarray
    targets: np.ndarray
    shares: np.ndarray
    backoff: np.ndarray

    @classmethod
    def count(
        cls, codes: np.ndarray, context: np.ndarray, target: np.ndarray, weight: np.ndarray, n_targets: int
    ) -> "ContextCounts":
        """Count targets by the numbers of their contexts among `codes`."""
        pairs, place = np.unique(context * n_targets + target, return_inverse=True)
        counts = np.bincount(place, weight, len(pairs))
        owner = pairs // n_targets
        n_different = np.bincount(owner, minlength=len(codes))
        total = np.bincount(owner, counts, len(codes)) + n_different  # 0 only where there is nothing at all
        indptr = np.concatenate([[0], np.cumsum(n_different)])
        shares = (counts / total[owner]).astype(np.float32)
        backoff = np.where(total > 0, n_different / np.where(total > 0, total, 1.0), 1.0).astype(np.float32)
        return cls(codes, indptr, (pairs % n_targets).astype(np.int32), shares, backoff)

    def update(self, probabilities: np.ndarray, rows: np.ndarray, context: np.ndarray) -> None:
        """Bring the probabilities of some rows from the order below to this one, in place."""
        probabilities[rows] *= self.backoff[context, None]
        begin = self.indptr[context]
        n = self.indptr[context + 1] - begin
        first = np.cumsum(n) - n
        pairs = np.arange(n.sum()) + np.repeat(begin - first, n)
        probabilities[np.repeat(rows, n), self.targets[pairs]] += self.shares[pairs]


@stored
@dataclass(frozen=True, eq=False)
class BackoffModel:
    """Probabilities of what follows the last events, for each number of them.

    Attributes
    ----------
    orders : list of ContextCounts
        After no event, after one, and so on.
    n_symbols : int
        Ids that contexts may hold, the start among them.
    n_targets : int
    """

    orders: list[ContextCounts]
    n_symbols: int
    n_targets: int

    @classmethod
    def learn(
        cls, contexts: Contexts, target: np.ndarray, weight: np.ndarray, *, n_targets: int, max_order: int
    ) -> "BackoffModel":
        """Count what follows the contexts of up to `max_order` events.

        Parameters
        ----------
        contexts : Contexts
        target : ndarray of shape (n_contexts,), int64
            What followed each.
        weight : ndarray of shape (n_contexts,)
            How many times it did.
        n_targets, max_order : int

        Returns
        -------
        BackoffModel
        """
        n_symbols = contexts.start + 1
        which, number = np.arange(len(contexts)), np.zeros(len(contexts), dtype=np.int64)
        orders = [ContextCounts.count(np.zeros(1, np.int64), number, target, weight, n_targets)]
        for n_back in range(1, max_order + 1):
            reaching = contexts.reaching(which, n_back)
            parent = number[np.searchsorted(which, reaching)]
            which = reaching
            codes, number = np.unique(parent * n_symbols + contexts.events(which, n_back), return_inverse=True)
            orders.append(ContextCounts.count(codes, number, target[which], weight[which], n_targets))
        return cls(orders, n_symbols, n_targets)

    def by_order(self, contexts: Contexts) -> Iterator[np.ndarray]:
        """Yield the probabilities of each order, (n_contexts, n_targets), float64: one array that changes.

        A context that was never met has the probabilities of the order below.
        """
        probabilities = np.full((len(contexts), self.n_targets), 1.0 / self.n_targets)
        which, number = np.arange(len(contexts)), np.zeros(len(contexts), dtype=np.int64)
        for n_back, counts in enumerate(self.orders):
            if n_back:
                reaching = contexts.reaching(which, n_back)
                code = number[np.searchsorted(which, reaching)] * self.n_symbols + contexts.events(reaching, n_back)
                place = np.minimum(np.searchsorted(counts.codes, code), max(len(counts.codes) - 1, 0))
                met = counts.codes[place] == code if len(counts.codes) else np.zeros(len(code), dtype=bool)
                which, number = reaching[met], place[met]
            counts.update(probabilities, which, number)
            yield probabilities

    def likelihoods(self, contexts: Contexts, target: np.ndarray) -> np.ndarray:
        """Return the probability of each target by each order, (n_contexts, n_orders)."""
        out = np.empty((len(contexts), len(self.orders)))
        for rows in self._blocks(len(contexts)):
            wanted = target[rows]
            for order, probabilities in enumerate(self.by_order(contexts.take(rows))):
                out[rows, order] = probabilities[np.arange(len(wanted)), wanted]
        return out

    def probabilities(self, contexts: Contexts, weights: np.ndarray) -> np.ndarray:
        """Return the mixture of all orders.

        Parameters
        ----------
        contexts : Contexts
        weights : ndarray of shape (n_orders,)

        Returns
        -------
        ndarray of shape (n_contexts, n_targets), float64
            None is 0. A row depends on nothing but its own context.
        """
        out = np.zeros((len(contexts), self.n_targets))
        for rows in self._blocks(len(contexts)):
            for weight, probabilities in zip(weights, self.by_order(contexts.take(rows))):
                out[rows] += weight * probabilities
        return out

    def _blocks(self, n: int) -> Iterator[slice]:
        n_at_once = max(1, _BLOCK // self.n_targets)
        for begin in range(0, n, n_at_once):
            yield slice(begin, min(begin + n_at_once, n))

    def __setstate__(self, state: dict[str, Any]) -> None:
        check_state(BackoffModel, state, [f.name for f in fields(BackoffModel)])
        n_before, n_symbols, n_targets = 1, state["n_symbols"], state["n_targets"]
        if not state["orders"] or n_symbols < 1 or n_targets < 1:
            raise ValueError("BackoffModel: expected an order of contexts, symbols and targets")
        for n_back, counts in enumerate(state["orders"]):
            n, highest = len(counts.codes), n_before * n_symbols if n_back else 1
            kinds = (np.int64, np.int64, np.int32, np.float32, np.float32)
            arrays = (counts.codes, counts.indptr, counts.targets, counts.shares, counts.backoff)
            if any(a.dtype != kind or a.ndim != 1 for a, kind in zip(arrays, kinds)):
                raise ValueError("BackoffModel: expected counts of contexts as one-dimensional arrays of their types")
            if (np.diff(counts.codes) <= 0).any() or (n and not 0 <= counts.codes[0] <= counts.codes[-1] < highest):
                raise ValueError(f"BackoffModel: expected ascending codes of contexts below {highest}")
            if len(counts.indptr) != n + 1 or len(counts.backoff) != n or (n_back == 0 and n != 1):
                raise ValueError(f"BackoffModel: expected counts of {n} contexts")
            if counts.indptr[0] or (np.diff(counts.indptr) < 0).any() or counts.indptr[-1] != len(counts.targets):
                raise ValueError("BackoffModel: expected ascending bounds of what has followed each context")
            if (
                len(counts.shares) != len(counts.targets)
                or ((counts.targets < 0) | (counts.targets >= n_targets)).any()
            ):
                raise ValueError(f"BackoffModel: expected shares of targets below {n_targets}")
            if not (counts.shares >= 0).all() or not (counts.backoff > 0).all():
                raise ValueError("BackoffModel: expected shares of at least 0, and some left for shorter contexts")
            if not (np.isfinite(counts.shares).all() and np.isfinite(counts.backoff).all()):
                raise ValueError("BackoffModel: expected finite shares")
            n_before = n
        for name, value in state.items():
            object.__setattr__(self, name, value)


def order_weights(likelihoods: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return the shares of orders in a mixture that makes events most probable, by expectation maximisation.

    Parameters
    ----------
    likelihoods : ndarray of shape (n_samples, n_orders)
        What each said of events that it was not learned from.
    weight : ndarray of shape (n_samples,)

    Returns
    -------
    ndarray of shape (n_orders,), float64
        Their sum is 1; what would have next to no share has none.

    Examples
    --------
    >>> order_weights(np.array([[0.9, 0.1], [0.9, 0.1], [0.1, 0.9]]), np.ones(3)).round(2)
    array([0.71, 0.29])
    """
    n_orders = likelihoods.shape[1]
    share = weight / weight.sum()
    weights = np.full(n_orders, 1.0 / n_orders)
    for _ in range(MAX_ORDER_ITER):
        posterior = np.maximum(likelihoods * weights, 1e-300)
        new = share @ (posterior / posterior.sum(axis=1, keepdims=True))
        moved = np.abs(new - weights).max()
        weights = new
        if moved < ORDER_TOL:
            break
    weights = np.where(weights < MIN_ORDER_WEIGHT, 0.0, weights)
    return weights / weights.sum()
