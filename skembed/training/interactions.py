"""Vectors of items from the baskets they share, by one of five methods."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import sparse

from skembed.data.ragged import Ragged
from skembed.memory import check_memory
from skembed.training.ease import EaseSettings, choose_value_exponent, learn_ease, raised
from skembed.training.ials import IALSSettings, learn_ials
from skembed.training.run import Run

__all__ = ["METHODS", "InteractionSettings", "ItemTables", "learn_items", "method_for", "passes_for"]

METHODS = ("ease", "ials", "svd", "item2vec", "popularity")
VALUE_METHODS = ("ease", "ials")  # whose value exponent is chosen; "svd" is of X as it is
EASE_ITEMS = 20_000  # up to so many "auto" takes "ease": the matrices of all pairs of items are 3 GB there
PASSES = {"ials": 10, "item2vec": 20}
LEARNED_PAIRS, MOST_PASSES = 1 << 21, 320  # of "item2vec" with few baskets: passes of a few seconds in all
WINDOW = 5  # of item2vec, in a basket that is shuffled in each pass
ORDER = 3  # what a stream of random numbers is for; see `skembed.training.sequences`


@dataclass(frozen=True)
class InteractionSettings:
    """Settings of `learn_items`.

    Attributes
    ----------
    method : {"ease", "ials", "svd", "item2vec", "popularity"}
    embedding_dim : int
    penalty : float or None
        Of "ease" and "ials"; None chooses it by hidden items.
    dropout : float or None
        Of "ease"; None chooses it.
    user_exponent : float
        Of "ease": a user of n items has the weight ``n ** -user_exponent``.
    unobserved_weight : float
        Of "ials", over the mean of the values.
    max_iter : int or None
        Passes of "ials" and "item2vec"; None: 10 and 20.
    value_exponent : float or None
        Of "ease" and "ials": values are raised to it; None chooses it by hidden items.
    prior : float or None
        Of "ease": how many mean baskets are added to each; None chooses it.
    """

    method: str
    embedding_dim: int
    penalty: float | None = None
    dropout: float | None = None
    user_exponent: float = 0.0
    unobserved_weight: float = 0.1
    max_iter: int | None = None
    value_exponent: float | None = 1.0
    prior: float | None = 0.0

    @property
    def n_passes(self) -> int:
        """Passes at most; 1 of methods that have none."""
        return self.max_iter or PASSES[self.method] if self.method in PASSES else 1


class ItemTables(NamedTuple):
    """What was learned.

    Attributes
    ----------
    input : ndarray of shape (n_items, dim), float32
        What a basket is made of.
    output : ndarray of shape (n_items, dim), float32
        What is multiplied with it to score an item.
    penalty, dropout : float or None
        As they were chosen.
    trials : list of (float, float or None, float)
        Penalty, dropout and gain on hidden items of each trial.
    loss_curve : sequence of float
        One value a pass.
    value_exponent, prior : float
        As they were chosen or given.
    unobserved_weight : float
        Of "ials", beside the values as they were raised.
    """

    input: np.ndarray
    output: np.ndarray
    penalty: float | None = None
    dropout: float | None = None
    trials: Sequence[tuple[float, float | None, float]] = ()
    loss_curve: Sequence[float] = ()
    value_exponent: float = 1.0
    prior: float = 0.0
    unobserved_weight: float = 0.0


def method_for(n_items: int) -> str:
    """Return the method that "auto" means for so many items."""
    return "ease" if n_items <= EASE_ITEMS else "ials"


def passes_for(method: str, n_pairs: int) -> int:
    """Return the passes that "auto" means for so many pairs of a user and an item.

    A step moves a vector by little, so that few baskets have to be met more often.
    """
    if method != "item2vec":
        return PASSES.get(method, 1)
    return max(PASSES[method], min(LEARNED_PAIRS // max(n_pairs, 1), MOST_PASSES))


def learn_items(X: sparse.csr_matrix, settings: InteractionSettings, run: Run) -> ItemTables:
    """Learn input and output vectors of items.

    Parameters
    ----------
    X : csr_matrix of shape (n_users, n_items), float32
        Without explicit zeros, sorted.
    settings : InteractionSettings
    run : Run

    Returns
    -------
    ItemTables
        Their dimensions may be fewer than `embedding_dim` where there are not so many directions.
    """
    dim = settings.embedding_dim
    check_memory(2 * 4 * X.shape[1] * dim, f"{X.shape[1]} items with embedding_dim={dim}", "lower embedding_dim")
    exponent = 1.0 if settings.value_exponent is None else settings.value_exponent
    if settings.value_exponent is None and settings.method in VALUE_METHODS:
        exponent = choose_value_exponent(X, dim, settings.user_exponent, run.seed)
    if settings.method == "ease":
        of_ease = EaseSettings(dim, settings.penalty, settings.dropout, settings.user_exponent, settings.prior)
        found = learn_ease(raised(X, exponent), of_ease, run)
        return ItemTables(*found[:5], value_exponent=exponent, prior=found.prior)
    if settings.method == "ials":
        X = raised(X, exponent)
        weight = settings.unobserved_weight * float(X.data.mean(dtype=np.float64))
        options = IALSSettings(dim, settings.penalty, weight, settings.n_passes)
        fitted = learn_ials(X, options, run)
        trials = [(penalty, None, gain) for penalty, gain in fitted.trials]
        tables = ItemTables(fitted.items, fitted.items, fitted.penalty, None, trials, fitted.loss_curve)
        return tables._replace(value_exponent=exponent, unobserved_weight=weight)
    if settings.method == "svd":
        vectors = _right_singular_vectors(X, dim, run)
        return ItemTables(vectors, vectors)
    if settings.method == "item2vec":
        return _learn_item2vec(X, settings, run)
    counts = np.asarray(X.sum(axis=0), dtype=np.float64).ravel()
    shares = (counts / max(counts.max(), 1e-30)).astype(np.float32)[:, None]
    return ItemTables(np.zeros_like(shares), shares)


def _right_singular_vectors(X: sparse.csr_matrix, dim: int, run: Run) -> np.ndarray:
    """Return what PureSVD projects baskets on (Cremonesi, Koren & Turrin 2010)."""
    from sklearn.utils.extmath import randomized_svd

    _, values, vectors = randomized_svd(X, min(dim, min(X.shape)), n_iter=6, random_state=run.seed)
    kept = max(int((values > 1e-6 * max(values[0], 1e-30)).sum()), 1)
    vectors = vectors[:kept].T
    signs = np.where(vectors[np.abs(vectors).argmax(axis=0), np.arange(kept)] < 0, -1.0, 1.0)
    return np.ascontiguousarray(vectors * signs, dtype=np.float32)


class _ShuffledBaskets:
    """Baskets in an order of their own in each pass: items have none, and windows should reach all (item2vec)."""

    def __init__(self, X: sparse.csr_matrix, seed: int) -> None:
        self.X, self.seed, self.pass_ = X, seed, 0

    def __iter__(self) -> Iterator[Ragged]:
        rng = np.random.default_rng((self.seed, ORDER, self.pass_))
        self.pass_ += 1
        rows = np.repeat(np.arange(self.X.shape[0]), np.diff(self.X.indptr))
        order = np.lexsort((rng.random(self.X.nnz), rows))
        yield Ragged(self.X.indptr.astype(np.int64), self.X.indices[order].astype(np.int32))


def _learn_item2vec(X: sparse.csr_matrix, settings: InteractionSettings, run: Run) -> ItemTables:
    """Skip-gram with negative sampling on baskets (Barkan & Koenigstein 2016, arXiv:1603.04259)."""
    from skembed.training.sequences import SequenceSettings, train_sequences

    counts = np.bincount(X.indices, minlength=X.shape[1])
    options = SequenceSettings(
        max(settings.embedding_dim - 1, 1),
        window=WINDOW,
        shrink_window=False,
        subsample=0.0,
        learning_rate=0.05,
        max_iter=settings.n_passes,
    )
    tables = train_sequences(_ShuffledBaskets(X, run.seed), counts, options, run)
    if settings.embedding_dim == 1:
        return ItemTables(tables.input, tables.output, loss_curve=tables.loss_curve)
    # what is learned is how much more often items meet than the noise has them (Levy & Goldberg 2014): to say how
    # often, one dimension has the logarithm of the noise, which all baskets have alike
    noise = options.ns_exponent * np.log(np.maximum(counts, 0.5))[:, None]
    prior = (noise - noise.mean()).astype(np.float32)
    inputs = np.hstack([tables.input, np.ones_like(prior)])
    return ItemTables(inputs, np.hstack([tables.output, prior]), loss_curve=tables.loss_curve)
