"""EASE and EDLAE: items predicted from the other items of a basket by one linear map, in closed form.

Steck 2019, "Embarrassingly Shallow Autoencoders for Sparse Data" (arXiv:1905.03375), and Steck 2020, "Autoencoders
that don't overfit towards the Identity": with ``P = inv(G + diag(penalty + dropout / (1 - dropout) * diag(G)))`` of the
Gram matrix ``G = X.T @ X`` the map is ``B = I - P / diag(P)``, its diagonal zero.

In G a user of n items is met n * n times, and what is asked of the map in the end is asked once of each user: a user
may be given the weight ``n ** -user_exponent``, in which 0 is the papers' loss, 1 that in which each user counts in
proportion to its items. Rows of X are multiplied by the root of it, and by a factor that keeps the trace of G.

The map is cut to few dimensions where predictions ``X @ B`` change least, not where B does: with the eigenvectors V of
``B.T @ G @ B`` the best of rank k is ``B @ V[:, :k] @ V[:, :k].T`` (Eckart & Young), so that each prefix of the
dimensions is the best map of its size. On MovieLens it predicts hidden items better than the whole map does.

Penalty and dropout are chosen by hidden items of users who are held out. Their leaving changes P by a matrix of low
rank, so that all folds share one inverse (Woodbury's identity). So are two things that no weight of the map can say:
how a value counts, as it is, by a root, or as 1, and how many mean baskets are added to each, without which a basket of
one rare item scores all that it never met alike, and popular items not at all.
"""

from contextlib import nullcontext
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from scipy import linalg, sparse

from skembed.data.holdout import hide_share
from skembed.memory import check_memory
from skembed.parallel import open_workers
from skembed.threads import one_blas_thread
from skembed.training.block_krylov import leading_eigenvectors
from skembed.training.hidden_items import HIDDEN_SHARE, Trials, choose_penalty, gains_of_hidden, rows_of
from skembed.training.run import Run

__all__ = ["EaseSettings", "EaseTables", "gram_matrix", "learn_ease", "weigh_users"]

LEAST_SQUARES = 1e-30  # of the largest sum of squares of an item: below, products of float32 lose digits, or vanish
N_VALIDATED = 400  # users whose hidden items choose the penalty: more of them change little
FOLD_SHARE = 0.2  # of the users leave at once
TUNED_ITEMS = 750  # the most frequent ones choose the penalty: the cost of an inverse grows with their third power
CHEAP_ITEMS, EXACT_ITEMS = 500, 6000  # up to so many items float64 costs nothing, or can be afforded
CONDITION = 1e4  # from which on float32 has fewer than three digits of the inverse left
SERIAL_ITEMS = 2000
N_OVERSAMPLES = 10  # of subspace iteration, while penalties are tried
FIRST_ITER, FURTHER_ITER = 2, 1  # of it: from a random basis, and from that of another penalty
LEAST_PIVOT, LEAST_SHARE = 1e-9, 1e-6  # of the rounding that systems and singular values are kept clear of
FIRST_RATIO = 4.0  # of the penalty over the mean count of an item, to begin with
DROPOUTS = 0.25, 0.5, 0.0
VALUE_EXPONENTS = 1.0, 0.5, 0.25, 0.0
PRIORS = 0.0, 0.1, 0.3, 1.0, 3.0  # mean baskets
VALUE_USERS = 20_000  # that choose a value exponent: an inverse of few items asks for no more
VALUES = 5  # what a stream of random numbers is for; see `skembed.training.sequences`


@dataclass(frozen=True)
class EaseSettings:
    """Settings of `learn_ease`.

    Attributes
    ----------
    embedding_dim : int
    penalty : float or None
        What is added to the diagonal of the Gram matrix; None chooses it.
    dropout : float or None
        From 0 to below 1, the share of a basket that is dropped in learning; None chooses it.
    user_exponent : float
        A user of n items has the weight ``n ** -user_exponent``.
    prior : float or None
        How many mean baskets are added to each; None chooses it.
    """

    embedding_dim: int
    penalty: float | None = None
    dropout: float | None = None
    user_exponent: float = 0.0
    prior: float | None = 0.0


class EaseTables(NamedTuple):
    """What was learned: a basket x has the vector ``x @ input``, and ``x @ input @ output.T`` are its scores.

    Attributes
    ----------
    input, output : ndarray of shape (n_items, dim), float32
        `dim` is less than `embedding_dim` where there are not so many directions.
    penalty, dropout : float
        As they were chosen or given.
    trials : list of (float, float, float)
        Penalty, dropout and normalized discounted gain on hidden items of each trial; empty where nothing was chosen.
    prior : float
        As it was chosen or given.
    """

    input: np.ndarray
    output: np.ndarray
    penalty: float
    dropout: float
    trials: list[tuple[float, float, float]]
    prior: float


class _Fold:
    """Users that are held out: what is hidden of their baskets is to be found by the map that the others give.

    Parameters
    ----------
    whole : csr_matrix of shape (n_held_out, n_items)
        Their baskets, weighed.
    baskets : csr_matrix of shape (n_held_out, n_items)
        The same as they are.
    mean : ndarray of shape (n_items,)
        The mean basket of the others.
    dim : int
    rng : Generator
    """

    def __init__(
        self,
        whole: sparse.csr_matrix,
        baskets: sparse.csr_matrix,
        mean: np.ndarray,
        dim: int,
        rng: np.random.Generator,
    ) -> None:
        self.whole, self.mean, self.dim = whole, mean, dim
        self.shown, self.hidden = hide_share(baskets, HIDDEN_SHARE, int(rng.integers(2**31)))
        self._basis, self._n_iter = _start(rng, whole.shape[1], dim, whole.dtype), FIRST_ITER

    def learn(self, gram: np.ndarray, inverse: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the vectors of items as what is scored, and as what a basket is made of."""
        others = _Map(gram, inverse, self.whole)
        self._basis, self._n_iter = others.leading(self._basis, self._n_iter), FURTHER_ITER
        return others.cut(self._basis, self.dim)[:2]

    def gains(self, vectors: np.ndarray, images: np.ndarray, prior: float) -> np.ndarray:
        """Return the discounted gain of each user."""
        rows = self.shown @ images
        if prior:
            rows += prior * (self.mean @ images)
        return gains_of_hidden(rows, vectors, self.shown, self.hidden)


def gram_matrix(X: sparse.csr_matrix, n_jobs: int | None = None) -> np.ndarray:
    """Return ``X.T @ X``, dense float32, the same to the bit for any number of workers."""
    from skembed.kernels.gram import add_gram_rows

    by_item = X.tocsc()
    gram = np.zeros((X.shape[1], X.shape[1]), np.float32)
    mass = np.cumsum(np.bincount(X.indices, np.diff(X.indptr)[rows_of(X)], minlength=X.shape[1]) + 1.0)
    with open_workers(n_jobs) as workers:
        n_parts = min(8 * workers.n_workers, X.shape[1])
        cuts = [0, *np.searchsorted(mass, mass[-1] * np.arange(1, n_parts) / n_parts), X.shape[1]]
        arrays = X.indptr, X.indices, X.data, by_item.indptr, by_item.indices, by_item.data
        if workers.share_memory:
            workers.map(add_gram_rows, [(*arrays, int(a), int(b), gram) for a, b in pairwise(cuts)])
        else:
            add_gram_rows(*arrays, 0, X.shape[1], gram)
    return gram


def weigh_users(X: sparse.csr_matrix, exponent: float) -> sparse.csr_matrix:
    """Return rows multiplied by the root of the weight ``n ** -exponent`` of their n items, X itself where that is 1.

    Weights have one factor in common, by which the sum of all squares stays what it was, and so what a penalty means.
    """
    if exponent == 0.0:
        return X
    n_items = np.diff(X.indptr)
    squares = X.data.astype(np.float64) ** 2
    weights = np.repeat(np.maximum(n_items, 1) ** -float(exponent), n_items)
    largest = max(float(squares.max(initial=0.0)), 1e-300)
    factor = (squares / largest).sum() / max((squares / largest * weights).sum(), 1e-300)
    data = X.data * np.sqrt(factor * weights)
    return sparse.csr_matrix((data.astype(X.dtype), X.indices, X.indptr), shape=X.shape)


def raised(X: sparse.csr_matrix, exponent: float) -> sparse.csr_matrix:
    """Return X with its values raised to a power, X itself where that changes none."""
    if exponent == 1.0:
        return X
    return sparse.csr_matrix((X.data ** X.dtype.type(exponent), X.indices, X.indptr), shape=X.shape)


def learn_ease(X: sparse.csr_matrix, settings: EaseSettings, run: Run) -> EaseTables:
    """Learn the linear map that predicts each item of a basket from the others, cut to few dimensions.

    Parameters
    ----------
    X : csr_matrix of shape (n_users, n_items), float32
    settings : EaseSettings
    run : Run

    Returns
    -------
    EaseTables

    Raises
    ------
    ValueError
        If the sum of squares of an item is beyond float32, or those of all items are so small that digits are lost.
    MemoryError
        If the matrices of all pairs of items do not fit the machine.
    """
    n_items = X.shape[1]
    check_memory(
        (20 if n_items <= EXACT_ITEMS else 12) * n_items**2,
        f"method='ease' of {n_items} items",
        "use method='ials', or leave rare items out",
    )
    baskets, X = X, weigh_users(X, settings.user_exponent)
    gram = gram_matrix(X, run.n_jobs)
    squares = np.diagonal(gram)
    if not LEAST_SQUARES <= squares.max() < np.inf:
        raise ValueError(
            f"X has values up to {X.data.max():.3g}, expected such whose sums of squares are within float32; "
            "divide X by its largest value, or pass binary=True."
        )
    penalty, dropout, prior = settings.penalty, settings.dropout, settings.prior
    trials: list[tuple[float, float, float]] = []
    rng = np.random.default_rng(run.seed)
    # numpy and scipy have a BLAS each; while the threads of one work, those of the other wait busily in their way
    with one_blas_thread():
        if penalty is None or dropout is None or prior is None:
            penalty, dropout, prior, trials = _choose(X, baskets, gram, settings, rng)
    with one_blas_thread() if n_items <= SERIAL_ITEMS else nullcontext():
        condition = float(np.abs(gram).sum(axis=1).max()) / penalty
        exact = n_items <= CHEAP_ITEMS or (condition > CONDITION and n_items <= EXACT_ITEMS)
        gram = gram.astype(np.float64 if exact else np.float32, copy=False)
        whole = _Map(gram, _inverse(gram, penalty, dropout))
        basis = leading_eigenvectors(whole.multiply, n_items, settings.embedding_dim, gram.dtype, rng)
        return EaseTables(*_shared(*whole.cut(basis, settings.embedding_dim)), penalty, dropout, trials, prior)


def _inverse(gram: np.ndarray, penalty: float, dropout: float) -> np.ndarray:
    """Return the inverse of the penalized Gram matrix, in the type of `gram`."""
    matrix = gram.copy()
    places = np.diag_indices_from(matrix)
    matrix[places] += matrix.dtype.type(penalty) + dropout / (1.0 - dropout) * np.diagonal(gram)
    factorize, invert = linalg.get_lapack_funcs(("potrf", "potri"), (matrix,))
    # LAPACK's order is by columns: of a symmetric matrix the upper triangle there is the lower one here
    factor, failed = factorize(matrix.T, lower=False, overwrite_a=True, clean=False)
    if failed:
        raise ValueError(f"the Gram matrix with penalty={penalty:.3g} is not positive definite; give a larger penalty.")
    found, _ = invert(factor, lower=False, overwrite_c=True)
    lower = found.T
    _mirror(lower)
    return lower


def _mirror(matrix: np.ndarray) -> None:
    """Copy what is below the diagonal to above it, in place, a block at a time."""
    size = 128
    for begin in range(0, len(matrix), size):
        part = slice(begin, begin + size)
        inner = np.tril(matrix[part, part])
        matrix[part, part] = inner + np.tril(inner, -1).T
        for left in range(0, begin, size):
            matrix[left : left + size, part] = matrix[part, left : left + size].T


def _start(rng: np.random.Generator, n_items: int, dim: int, dtype: np.dtype) -> np.ndarray:
    return rng.standard_normal((n_items, min(dim + N_OVERSAMPLES, n_items))).astype(dtype)


def _orthonormal(matrix: np.ndarray) -> np.ndarray:
    """Return an orthonormal basis of the columns, by Cholesky's factor of their products; of float32 it is exact."""
    wide = matrix.astype(np.float64)
    wide /= np.maximum(np.linalg.norm(wide, axis=0), 1e-300)
    try:
        factor = linalg.cholesky(wide.T @ wide, lower=False, check_finite=False)
    except linalg.LinAlgError:  # columns that are nearly the same
        return linalg.qr(wide, mode="economic", check_finite=False)[0].astype(matrix.dtype)
    return linalg.solve_triangular(factor, wide.T, trans="T", check_finite=False).T.astype(matrix.dtype)


class _Map:
    """The map B of a penalized Gram matrix, or of that which is left when some users leave.

    With ``Y = X P`` of the users that leave, P becomes ``P + Y.T inv(I - Y X.T) Y`` (Woodbury's identity), which is
    ``P + Z.T Z`` with ``Z = inv(L) Y`` of Cholesky's factor L.

    Parameters
    ----------
    gram, inverse : ndarray of shape (n_items, n_items)
        Of all users.
    leaving : csr_matrix of shape (n_leaving, n_items), optional
    """

    def __init__(self, gram: np.ndarray, inverse: np.ndarray, leaving: sparse.csr_matrix | None = None) -> None:
        self.gram, self.inverse, self.leaving = gram, inverse, leaving
        self.diagonal = np.diagonal(inverse).copy()[:, None]
        if leaving is not None:
            products = leaving @ inverse
            left = np.eye(leaving.shape[0]) - (leaving @ products.T).astype(np.float64)
            factor = linalg.cholesky((left + left.T) / 2 + LEAST_PIVOT * np.eye(len(left)), lower=True)
            factor = factor.astype(inverse.dtype)
            self.change = linalg.solve_triangular(factor, products, lower=True, overwrite_b=True, check_finite=False)
            self.diagonal += np.einsum("ui,ui->i", self.change, self.change)[:, None]

    def _invert(self, vectors: np.ndarray) -> np.ndarray:
        found = self.inverse @ vectors
        return found if self.leaving is None else found + self.change.T @ (self.change @ vectors)

    def apply(self, vectors: np.ndarray) -> np.ndarray:
        """Return ``B @ vectors``."""
        return vectors - self._invert(vectors / self.diagonal)

    def weigh(self, vectors: np.ndarray) -> np.ndarray:
        """Return the product with the Gram matrix."""
        found = self.gram @ vectors
        return found if self.leaving is None else found - self.leaving.T @ (self.leaving @ vectors)

    def multiply(self, vectors: np.ndarray) -> np.ndarray:
        """Return ``B.T @ G @ B @ vectors``."""
        weighed = self.weigh(self.apply(vectors))
        return weighed - self._invert(weighed) / self.diagonal

    def leading(self, basis: np.ndarray, n_iter: int) -> np.ndarray:
        """Return a basis of the leading eigenvectors of ``B.T @ G @ B`` by subspace iteration (Halko et al. 2011)."""
        for _ in range(n_iter):
            basis = self.multiply(_orthonormal(basis))
        return _orthonormal(basis)

    def cut(self, basis: np.ndarray, dim: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the leading eigenvectors within a basis, (n_items, <= dim), their images, and the singular values."""
        mapped = self.apply(basis)
        small = mapped.T @ self.weigh(mapped).astype(np.float64)
        values, turn = linalg.eigh((small + small.T) / 2)
        values, turn = np.sqrt(np.maximum(values[::-1], 0.0)), turn[:, ::-1]
        kept = max(int((values > LEAST_SHARE * max(values[0], 1e-300))[:dim].sum()), 1)
        turn = turn[:, :kept].astype(basis.dtype)
        return basis @ turn, mapped @ turn, values[:kept]


def _shared(vectors: np.ndarray, images: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return input and output vectors that share the singular values, each direction with a sign of its own."""
    roots = np.sqrt(np.maximum(values, 1e-300))
    largest = vectors[np.abs(vectors).argmax(axis=0), np.arange(len(values))]
    roots *= np.where(largest < 0, -1.0, 1.0)
    return (images / roots).astype(np.float32), (vectors * roots).astype(np.float32)


# ------------------------------------------------------------------------------------------- choosing the penalty


class _Trial:
    """Held-out users, and what is found of their baskets among the most frequent items.

    Parameters
    ----------
    X : csr_matrix of shape (n_users, n_items)
        Weighed.
    baskets : csr_matrix of shape (n_users, n_items)
        X before it was weighed.
    gram : ndarray of shape (n_items, n_items)
    dim : int
    rng : Generator
    """

    def __init__(
        self, X: sparse.csr_matrix, baskets: sparse.csr_matrix, gram: np.ndarray, dim: int, rng: np.random.Generator
    ) -> None:
        if X.shape[1] > TUNED_ITEMS:
            frequent = np.sort(np.argsort(-np.diagonal(gram), kind="stable")[:TUNED_ITEMS])
            X, baskets = X[:, frequent].tocsr(), baskets[:, frequent].tocsr()
            gram = gram[np.ix_(frequent, frequent)]
        self.gram = gram
        asked = np.flatnonzero(np.diff(X.indptr) >= 2)  # have something to hide
        asked = rng.permutation(asked)[:N_VALIDATED]
        n_folds = max(1, round(len(asked) / max(FOLD_SHARE * X.shape[0], 1.0)))
        total = np.asarray(baskets.sum(axis=0, dtype=np.float64)).ravel()
        self.folds = []
        for part in np.array_split(asked, n_folds):
            if len(part):
                others = total - np.asarray(baskets[part].sum(axis=0, dtype=np.float64)).ravel()
                mean = others.clip(0.0) / max(X.shape[0] - len(part), 1)
                self.folds.append(_Fold(X[part], baskets[part], mean.astype(X.dtype), dim, rng))

        self._learned: dict[tuple[float, float], list[tuple[np.ndarray, np.ndarray]]] = {}

    def gains(self, penalty: float, dropout: float, prior: float = 0.0) -> np.ndarray:
        """Return the discounted gain of each held-out user."""
        if (penalty, dropout) not in self._learned:
            inverse = _inverse(self.gram, penalty, dropout)
            self._learned[penalty, dropout] = [fold.learn(self.gram, inverse) for fold in self.folds]
        learned = self._learned[penalty, dropout]
        return np.concatenate([fold.gains(*tables, prior) for fold, tables in zip(self.folds, learned)])


def choose_value_exponent(X: sparse.csr_matrix, dim: int, user_exponent: float, seed: int) -> float:
    """Return the power of the values under which hidden items of held-out users are ranked best.

    A few values that are a thousand times the others, as of plays or words, are all that squares see. Of powers that
    are as good within a standard error it is the first one of `VALUE_EXPONENTS`; where all values are equal it is 1.

    Parameters
    ----------
    X : csr_matrix of shape (n_users, n_items), float32
    dim : int
    user_exponent : float
    seed : int

    Returns
    -------
    float
    """
    if X.shape[0] > VALUE_USERS:
        users = np.random.default_rng((seed, VALUES, 1)).choice(X.shape[0], VALUE_USERS, replace=False)
        X = X[np.sort(users)]
    if not X.nnz or X.data.min() == X.data.max():
        return 1.0
    counts = np.bincount(X.indices, minlength=X.shape[1])
    frequent = np.sort(np.argsort(-counts, kind="stable")[:TUNED_ITEMS])
    X = sparse.csr_matrix((X.data / X.data.max(), X.indices, X.indptr), shape=X.shape)  # powers have no unit

    def measure(exponent: float) -> np.ndarray:
        baskets = raised(X, exponent)
        weighed = weigh_users(baskets, user_exponent)[:, frequent].tocsr()
        gram = np.asarray((weighed.T @ weighed).toarray(), dtype=np.float64)
        trial = _Trial(weighed, baskets[:, frequent].tocsr(), gram, dim, np.random.default_rng((seed, VALUES)))
        if not trial.folds or not np.diagonal(gram).any():
            return np.zeros(1)
        return trial.gains(FIRST_RATIO * _mean_count(gram), DROPOUTS[0])

    with one_blas_thread():
        trials = Trials[float](measure)
        best = max(VALUE_EXPONENTS, key=trials.gain)
    return next(exponent for exponent in VALUE_EXPONENTS if trials.as_good(exponent, best))


def _mean_count(gram: np.ndarray) -> float:
    """Return the mean sum of squares of the items that anybody has."""
    counts = np.diagonal(gram)
    return float(counts[counts > 0].mean()) if counts.any() else 1.0


def _choose(
    X: sparse.csr_matrix, baskets: sparse.csr_matrix, gram: np.ndarray, settings: EaseSettings, rng: np.random.Generator
) -> tuple[float, float, float, list[tuple[float, float, float]]]:
    """Return the penalty, the dropout and the prior under which hidden items are ranked best, and all trials.

    Of dropouts and priors that are as good within a standard error it is the first one.
    """
    penalty = FIRST_RATIO * _mean_count(gram) if settings.penalty is None else settings.penalty
    dropout = DROPOUTS[0] if settings.dropout is None else settings.dropout
    prior = PRIORS[0] if settings.prior is None else settings.prior
    trial = _Trial(X, baskets, gram, settings.embedding_dim, rng)
    if not trial.folds:  # nobody has an item to hide
        return penalty, dropout, prior, []

    tried: list[tuple[float, float, float]] = []
    if settings.penalty is None:
        penalties = Trials[float](lambda penalty: trial.gains(penalty, dropout))
        penalty = choose_penalty(penalties, penalty)
        tried += [(each, dropout, float(gains.mean())) for each, gains in penalties.gains.items()]
    if settings.dropout is None:
        shares = Trials[float](lambda share: trial.gains(penalty, share))
        if settings.penalty is None:
            shares.gains[dropout] = penalties.gains[penalty]
        best = max(DROPOUTS, key=shares.gain)
        dropout = next(share for share in DROPOUTS if shares.as_good(share, best))
        told = [(penalty, each, float(gains.mean())) for each, gains in shares.gains.items()]
        tried += [trial for trial in told if trial not in tried]
    if settings.prior is None:
        priors = Trials[float](lambda each: trial.gains(penalty, dropout, each))
        best = max(PRIORS, key=priors.gain)
        prior = next(each for each in PRIORS if priors.as_good(each, best))
    return penalty, dropout, prior, tried
