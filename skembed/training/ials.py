"""Implicit alternating least squares: users and items as vectors whose products are 1 where they met and 0 elsewhere.

Hu, Koren & Volinsky 2008, "Collaborative Filtering for Implicit Feedback Datasets", with the penalties of Rendle et al.
2021, "Revisiting the Performance of iALS on Item Recommendation Benchmarks" (arXiv:2110.14037): the loss is
``sum over pairs that met of x (1 - u . v) ** 2 + unobserved_weight * sum over all pairs of (u . v) ** 2`` and a penalty
of each vector in proportion to how often it is met in this loss. Threads own rows, so their number changes no bit.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from scipy import sparse

from skembed.data.holdout import hide_share
from skembed.memory import check_memory
from skembed.parallel import Workers, open_workers
from skembed.threads import one_blas_thread
from skembed.training.hidden_items import HIDDEN_SHARE, Trials, choose_penalty, gains_of_hidden
from skembed.training.run import Run

__all__ = ["IALSSettings", "IALSTables", "learn_ials", "row_penalties"]

PENALTY = 0.01  # to begin with, where it is chosen
N_TUNED, N_HELD_OUT, TUNED_PASSES = 2000, 400, 4  # users to learn from and to choose by; passes of each trial
FOLD_STEPS = 20  # of conjugate gradients, for users who are held out
N_PARTS = 64  # of the rows, dealt to threads
CHOICE = 4  # what a stream of random numbers is for; see `skembed.training.sequences`
LARGE_VALUE = 2**24  # from which on sums of squares of conjugate gradients may be beyond float32
SMALL_VALUE = 2**-24  # below, they are taken for solved before the first step
LOSS_OF_NOTHING = 1.0 - 1e-6  # vectors of zero have a loss of 1
INITIAL_SCALE = 0.1  # of the length of a vector to begin with


@dataclass(frozen=True)
class IALSSettings:
    """Settings of `learn_ials`.

    Attributes
    ----------
    embedding_dim : int
    penalty : float or None
        Of a vector, times how often it is met: the sum of its values and `unobserved_weight` times all others. None
        chooses it by hidden items of users who are held out.
    unobserved_weight : float
        Of a pair that did not meet.
    max_iter : int
        Passes: users, then items.
    n_steps : int
        Of conjugate gradients, for each vector in each pass.
    """

    embedding_dim: int
    penalty: float | None
    unobserved_weight: float
    max_iter: int = 16
    n_steps: int = 3


class IALSTables(NamedTuple):
    """What was learned.

    Attributes
    ----------
    items : ndarray of shape (n_items, embedding_dim), float32
    loss_curve : list of float
        What is minimised, over the sum of all values; one a pass, as it was when the pass began to improve the users.
    penalty : float
        As it was chosen or given.
    trials : list of (float, float)
        Penalty, and normalized discounted gain on hidden items, of each trial.
    """

    items: np.ndarray
    loss_curve: list[float]
    penalty: float
    trials: list[tuple[float, float]]


def row_penalties(sums: np.ndarray, n_others: int, penalty: float, unobserved_weight: float) -> np.ndarray:
    """Return the penalty of each row, float32, of which the values sum to `sums`."""
    return (penalty * (sums + unobserved_weight * n_others)).astype(np.float32)


class _Side:
    """Users or items: their vectors, and how these are improved given those of the other side.

    `n_others` is how many rows the other side has for penalties, where X holds a part of them.
    """

    def __init__(
        self, X: sparse.csr_matrix, vectors: np.ndarray, settings: IALSSettings, penalty: float, n_others: int
    ) -> None:
        self.X, self.vectors, self.settings = X, vectors, settings
        sums = np.asarray(X.sum(axis=1)).ravel()
        weight = settings.unobserved_weight
        self.penalties = row_penalties(sums, n_others, penalty, weight)
        mass = np.cumsum(np.diff(X.indptr) + 1)
        cuts = np.unique(np.searchsorted(mass, mass[-1] * np.arange(1, N_PARTS) / N_PARTS))
        self.parts = [(int(a), int(b)) for a, b in pairwise([0, *cuts.tolist(), X.shape[0]]) if a < b]

    def improve(self, other: np.ndarray, workers: Workers) -> float:
        """Improve the vectors, and return the loss, without the penalty of the others, as it was before."""
        from skembed.kernels.ials import solve_least_squares
        from skembed.kernels.simd import aligned_zeros

        gram = aligned_zeros(other.shape[1], other.shape[1])
        gram[:] = self.settings.unobserved_weight * _gram(other)
        arrays = self.X.indptr, self.X.indices, self.X.data
        tasks = [
            (*arrays, *part, other, gram, self.penalties, self.settings.n_steps, self.vectors,
             aligned_zeros(3, other.shape[1]))
            for part in self.parts
        ]  # fmt: skip
        if workers.share_memory:
            return float(sum(workers.map(solve_least_squares, tasks)))
        return float(sum(solve_least_squares(*task) for task in tasks))


def _gram(vectors: np.ndarray) -> np.ndarray:
    """Return ``vectors.T @ vectors``, float64; in blocks, which bound the copies."""
    total = np.zeros((vectors.shape[1],) * 2)
    for begin in range(0, len(vectors), 1 << 14):
        block = vectors[begin : begin + (1 << 14)]
        total += block.T @ block
    return total


def learn_ials(X: sparse.csr_matrix, settings: IALSSettings, run: Run) -> IALSTables:
    """Learn vectors of users and items; those of the users are not kept, since each basket gives its own.

    Parameters
    ----------
    X : csr_matrix of shape (n_users, n_items), float32
    settings : IALSSettings
    run : Run

    Returns
    -------
    IALSTables

    Raises
    ------
    KeyboardInterrupt
        On Ctrl-C before the first pass has ended; later it warns.
    """
    n_users, n_items = X.shape
    dim = settings.embedding_dim
    check_memory(
        4 * dim * (n_users + n_items) + 16 * X.nnz,
        f"method='ials' of {n_users} users and {n_items} items with embedding_dim={dim}",
        "lower embedding_dim",
    )
    X, settings = _in_range(X, settings)
    penalty, trials = (settings.penalty, []) if settings.penalty is not None else _choose(X, settings, run)

    def train(on_pass: Callable, progress: Callable) -> IALSTables:
        return _alternate(X, X.shape[1], replace(settings, penalty=penalty), run, on_pass, progress)

    return run.passes(train, settings.max_iter, total=settings.max_iter)._replace(trials=trials)


def _in_range(X: sparse.csr_matrix, settings: IALSSettings) -> tuple[sparse.csr_matrix, IALSSettings]:
    """Return values, and the weight of pairs that did not meet, over one power of 2 where values are huge, such as sums
    of milliseconds, or both are tiny, as of shares of all: all that counts is their ratio, and no bit is lost."""
    largest = float(X.data.max(initial=0.0))
    if max(largest, settings.unobserved_weight) < SMALL_VALUE:
        largest = max(largest, settings.unobserved_weight)
    elif np.frexp(largest)[1] <= np.frexp(LARGE_VALUE)[1]:
        return X, settings
    exponent = int(np.frexp(largest)[1])
    values = np.ldexp(X.data, -exponent)
    weight = float(np.ldexp(settings.unobserved_weight, -exponent))
    return sparse.csr_matrix((values, X.indices, X.indptr), shape=X.shape), replace(settings, unobserved_weight=weight)


def _alternate(
    X: sparse.csr_matrix, n_items: int, settings: IALSSettings, run: Run, on_pass: Callable, progress: Callable
) -> IALSTables:
    """Improve users and items in turns, of the `n_items` of all; see `Run.passes` for what is called."""
    dim, penalty = settings.embedding_dim, settings.penalty or PENALTY
    rng = np.random.default_rng(run.seed)
    items, users = _initial(rng, X.shape[1], dim), _initial(rng, X.shape[0], dim)
    of_users = _Side(X, users, settings, penalty, n_items)
    of_items = _Side(X.T.tocsr(), items, settings, penalty, X.shape[0])
    scale = max(float(X.data.sum(dtype=np.float64)), 1e-30)
    loss_curve: list[float] = []
    with one_blas_thread(), open_workers(run.n_jobs) as workers:
        for pass_ in range(settings.max_iter):
            loss = of_users.improve(items, workers)
            loss += float(of_items.penalties @ np.einsum("id,id->i", items, items))
            of_items.improve(users, workers)
            loss_curve.append(loss / scale)
            progress(1)
            if on_pass(pass_, IALSTables(items[:, :dim].copy(), list(loss_curve), penalty, [])):
                break
    return IALSTables(items[:, :dim].copy(), loss_curve, penalty, [])


def _initial(rng: np.random.Generator, n_rows: int, dim: int) -> np.ndarray:
    """Return small random vectors, their rows as long as kernels want them."""
    from skembed.kernels.simd import SIMD_WIDTH, aligned_zeros

    vectors = aligned_zeros(n_rows, -(-dim // SIMD_WIDTH) * SIMD_WIDTH)
    vectors[:, :dim] = rng.standard_normal((n_rows, dim), dtype=np.float32) * INITIAL_SCALE / np.sqrt(dim)
    return vectors


def _choose(X: sparse.csr_matrix, settings: IALSSettings, run: Run) -> tuple[float, list[tuple[float, float]]]:
    """Return the penalty under which hidden items of users who are held out are found best, and all trials.

    Some users are enough, since a penalty is in proportion to how often a vector is met. Of penalties that are as good
    within a standard error it is the largest.
    """
    rng = np.random.default_rng((run.seed, CHOICE))
    order = rng.permutation(X.shape[0])
    fit = order[np.diff(X.indptr)[order] >= 2][: min(N_HELD_OUT, X.shape[0] // 5)]
    learned = X[np.setdiff1d(order[: N_TUNED + len(fit)], fit)]
    met = np.unique(learned.indices)  # others have no vector in a trial, and would cost as much as if they had
    learned, held_out = learned[:, met], X[fit][:, met]
    held_out = held_out[np.diff(held_out.indptr) >= 2]
    if not held_out.shape[0]:
        return PENALTY, []
    n_items = len(np.unique(X.indices))  # a penalty is in proportion to what a user did not meet, too
    shown, hidden = hide_share(held_out, HIDDEN_SHARE, int(rng.integers(2**31)))
    tuned = replace(settings, max_iter=TUNED_PASSES)

    def measure(penalty: float) -> np.ndarray:
        # not by `Run.passes`: Ctrl-C ends the fit, and not a trial
        options = replace(tuned, penalty=penalty)
        found = _alternate(learned, n_items, options, run, lambda *_: False, lambda _: None)
        if found.loss_curve[-1] > LOSS_OF_NOTHING:  # vectors vanish: directions that find items now are lost in the end
            return np.zeros(held_out.shape[0])
        items = found.items
        users = _initial(rng, held_out.shape[0], settings.embedding_dim)
        wide = np.zeros((len(items), users.shape[1]), np.float32)
        wide[:, : items.shape[1]] = items
        with open_workers(run.n_jobs) as workers:
            _Side(shown, users, replace(settings, n_steps=FOLD_STEPS), penalty, n_items).improve(wide, workers)
        return gains_of_hidden(users, wide, shown, hidden)

    trials = Trials(measure)
    chosen = choose_penalty(trials, PENALTY)
    return chosen, [(penalty, float(gains.mean())) for penalty, gains in trials.gains.items()]
