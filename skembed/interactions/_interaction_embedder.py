"""Users and items in one space, learned from baskets; a user who comes later gets a vector, too."""

import math
from numbers import Integral, Real
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import ClassNamePrefixFeaturesOutMixin
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from skembed.apply.baskets import KINDS, FoldIn, rank_items
from skembed.base import EmbeddingTransformer
from skembed.data.canonical import canonical_key
from skembed.data.interactions import read_baskets
from skembed.interactions._scorer import recommendation_scorer
from skembed.state import stored
from skembed.table import EmbeddingTable
from skembed.training.callbacks import CallbackSupportMixin, PassCallbacks, with_callbacks
from skembed.training.ease import raised
from skembed.training.interactions import METHODS, InteractionSettings, ItemTables, learn_items, method_for, passes_for
from skembed.training.run import Run, draw_seed, settings_of
from skembed.warning import warn

__all__ = ["InteractionEmbedder"]

FOLDS = {"ials": "least-squares", "item2vec": "mean", "popularity": "constant"}  # the others: "sum"
_ROWS = 1 << 15  # users whose vectors are looked at in one go
MAX_WEIGHT = 1e30  # float32 ends at 3e38, and sums of products are to be within it
N_SOLVED = 1000  # users that tell the mean well enough where each is a system to be solved


@stored
class InteractionEmbedder(CallbackSupportMixin, ClassNamePrefixFeaturesOutMixin, EmbeddingTransformer):
    """Embed users and items by what users have: baskets, ratings, clicks.

    A row of X is a user, or a basket, and its vector is made of the vectors of its items, so that users who were not
    there in `fit` have one, too. ``transform(X) @ embedding_.vectors.T`` scores all items.

    Parameters
    ----------
    embedding_dim : int, default=64
        Columns of the output; fewer where there are not so many directions. Those of "ease" and "svd" are ordered:
        the first k are what a fit with k of them gives, at the same penalty, but for the one factor that scales "ease";
        of "svd" roughly, since its solver is a randomized one, which settles directions the less the closer their
        singular values are.
    method : {"auto", "ease", "ials", "svd", "item2vec", "popularity"}, default="auto"
        * "ease": each item is predicted from the others of the basket, by one linear map in closed form [1]_ [2]_,
          which is cut to its leading directions. Needs the matrix of all pairs of items.
        * "ials": implicit alternating least squares [3]_ [4]_.
        * "svd": singular vectors of X [5]_.
        * "item2vec": skip-gram with negative sampling on baskets [6]_; their order does not matter. The last dimension
          has how often items occur.
        * "popularity": how often items occur, as one column; what the others have to beat.
        * "auto": "ease" up to 20,000 items, then "ials".
    items : array-like of shape (n_items,), default=None
        Names of the columns of a matrix. None: those of the frame, or numbers from 0 on.
    binary : bool, default=False
        Take all values above 0 as 1, as ratings where only what was rated is to count.
    penalty : float or "auto", default="auto"
        Of "ease": what is added to the diagonal of the Gram matrix. Of "ials": of a vector, times how often it is met.
        "auto" chooses it within `fit` by hidden items of users who are held out; of penalties that are as good within a
        standard error it is the largest.
    dropout : float or "auto", default="auto"
        Of "ease": the share of a basket that is dropped in learning; "auto" chooses it likewise.
    user_exponent : float, default=0.5
        Of "ease": a user of n items has the weight ``n ** -user_exponent`` in learning. 0 is the loss of the papers, in
        which few users with many items outweigh the others; with 1 a user counts in proportion to the items it has.
    unobserved_weight : float, default=0.1
        Of "ials": the weight of a pair that did not meet, times the mean of the values of those that did.
    value_exponent : float or "auto", default="auto"
        Of "ease" and "ials": values are raised to this power, 1 to take them as they are, 0 as `binary` does. "auto"
        chooses among 1, a half, a quarter and 0 by hidden items; counts of plays, purchases or words say little by
        their size, and squares see nothing but the largest.
    prior : float or "auto", default="auto"
        Of "ease": how many mean baskets are added to each, so that popular items are recommended where a basket says
        little. "auto" chooses among 0, 0.1, 0.3, 1 and 3 by hidden items.
    max_iter : int or "auto", default="auto"
        Passes of "ials" and "item2vec"; "auto" is 10 and 20, and up to 320 of "item2vec" where pairs of a user and an
        item are fewer than a hundred thousand.
    n_jobs : int, default=None
        Threads; the result does not depend on it.
    random_state : int, RandomState instance or None, default=None
        Draws what is hidden, starts and negatives.
    verbose : int, default=0
        A progress bar of methods with passes when positive.

    Attributes
    ----------
    embedding_ : EmbeddingTable
        Items as what is scored.
    input_embedding_ : EmbeddingTable
        Items as what a basket is made of; of "svd" and "ials" the same vectors.
    method_ : str
        The method that "auto" stood for.
    penalty_, dropout_ : float or None
        As they were chosen; None where the method has none.
    value_exponent_, prior_ : float
        As they were chosen; 1 and 0 where the method has none.
    trials_ : list of (float, float or None, float)
        Penalty, dropout and normalized discounted gain at 100 on hidden items of what was tried; empty where nothing
        was chosen.
    loss_curve_ : list of float
        One value a pass.
    n_iter_ : int
        Passes that were finished, 1 of methods that have none.
    n_features_in_ : int
        Items.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Where X was a frame.

    See Also
    --------
    skembed.interactions.read_interactions : Makes X, and keeps the ids, of a table of users, items, values and times.
    skembed.interactions.basket_split : Hides a part of each basket, as labels.

    Notes
    -----
    A user without a known item has the mean vector of the users of `fit`, of "ials" that of a thousand of them. Vectors
    of "ease" are scaled so that the spread of the users of `fit` is 1 in total, as that of a standardised number.

    A grid search over users whose items are partly hidden, strong generalisation in the sense of Liang et al. 2018, is
    ``GridSearchCV(InteractionEmbedder(), {"embedding_dim": [16, 64]}).fit(X)``, since `score` hides items itself.

    References
    ----------
    .. [1] Steck (2019), "Embarrassingly Shallow Autoencoders for Sparse Data".
    .. [2] Steck (2020), "Autoencoders that don't overfit towards the Identity".
    .. [3] Hu, Koren & Volinsky (2008), "Collaborative Filtering for Implicit Feedback Datasets".
    .. [4] Rendle, Krichene, Zhang & Koren (2021), "Revisiting the Performance of iALS on Item Recommendation
       Benchmarks".
    .. [5] Cremonesi, Koren & Turrin (2010), "Performance of Recommender Algorithms on Top-N Recommendation Tasks".
    .. [6] Barkan & Koenigstein (2016), "Item2vec: Neural Item Embedding for Collaborative Filtering".

    Examples
    --------
    >>> from skembed import InteractionEmbedder
    >>> X = [["tea", "milk"], ["tea", "milk", "rye"], ["beer", "crisps"], ["beer", "crisps", "rye"]] * 10
    >>> embedder = InteractionEmbedder(embedding_dim=2, random_state=0).fit(X)
    >>> embedder.recommend([["tea"], ["crisps"]], k=1)[0].tolist()
    [['milk'], ['beer']]
    >>> embedder.transform([["tea"]]).shape
    (1, 2)
    """

    embedding_: EmbeddingTable
    input_embedding_: EmbeddingTable
    _state = {
        "embedding_": EmbeddingTable, "input_embedding_": EmbeddingTable, "method_": str, "penalty_": float | None,
        "dropout_": float | None, "trials_": list[tuple[float, float | None, float]], "loss_curve_": list[float],
        "n_iter_": int, "_fold_in": FoldIn, "_value_exponent": float, "_prior": float,
    }  # fmt: skip
    _value_exponent: float = 1.0  # files of before have neither
    _prior: float = 0.0
    _parameter_constraints: dict = {
        "embedding_dim": [Interval(Integral, 1, None, closed="left")],
        "method": [StrOptions({"auto", *METHODS})],
        "items": ["array-like", None],
        "binary": ["boolean"],
        "penalty": [Interval(Real, 0, MAX_WEIGHT, closed="right"), StrOptions({"auto"})],
        "dropout": [Interval(Real, 0, 1, closed="left"), StrOptions({"auto"})],
        "user_exponent": [Interval(Real, 0, 2, closed="both")],
        "unobserved_weight": [Interval(Real, 0, MAX_WEIGHT, closed="right")],
        "value_exponent": [Interval(Real, 0, 2, closed="both"), StrOptions({"auto"})],
        "prior": [Interval(Real, 0, MAX_WEIGHT, closed="both"), StrOptions({"auto"})],
        "max_iter": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        embedding_dim=64,
        *,
        method="auto",
        items=None,
        binary=False,
        penalty="auto",
        dropout="auto",
        user_exponent=0.5,
        unobserved_weight=0.1,
        value_exponent="auto",
        prior="auto",
        max_iter="auto",
        n_jobs=None,
        random_state=None,
        verbose=0,
    ):
        self.embedding_dim = embedding_dim
        self.method = method
        self.items = items
        self.binary = binary
        self.penalty = penalty
        self.dropout = dropout
        self.user_exponent = user_exponent
        self.unobserved_weight = unobserved_weight
        self.value_exponent = value_exponent
        self.prior = prior
        self.max_iter = max_iter
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    @with_callbacks
    def fit(self, X: Any, y: Any = None) -> "InteractionEmbedder":
        """Learn the vectors of items.

        Parameters
        ----------
        X : sparse matrix, array-like or frame of shape (n_users, n_items), or list or column of lists of keys
            Values of at least 0: counts, weights, ratings. A list of lists is a list of baskets unless it holds floats;
            an item counts once in a basket.
        y : object, default=None
            Not used.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a value is negative, NaN, infinite or beyond float32, or nobody has an item.

        Warns
        -----
        UserWarning
            If nobody has two items, which is where there is nothing to learn but popularity.
        """
        self._validate_params()
        matrix, keys = read_baskets(self, X, items=self.items)
        if not matrix.nnz:
            raise ValueError(f"X holds {matrix.shape[0]} users and none has an item; nothing can be learned.")
        if self.binary:
            matrix.data[:] = 1.0
        method = method_for(len(keys)) if self.method == "auto" else self.method
        if method != "popularity" and np.diff(matrix.indptr).max() == 1:
            warn(
                f"no user of X has two items, of {matrix.shape[0]} users and {len(keys)} items, so that nothing tells "
                f"which items go together, and method={method!r} cannot learn it. If a row of X is an interaction, "
                "skembed.interactions.read_interactions makes a row of each user; else use method='popularity'."
            )
        chosen = {
            name: None if getattr(self, name) == "auto" else getattr(self, name)
            for name in ("penalty", "dropout", "value_exponent", "prior", "max_iter")
        }
        if chosen["max_iter"] is None:
            chosen["max_iter"] = passes_for(method, matrix.nnz)
        settings = settings_of(InteractionSettings, self, method=method, **chosen)
        callbacks = PassCallbacks(self, settings.n_passes, X, y)
        run = Run(draw_seed(self.random_state), self.n_jobs, self.verbose, callbacks, "passes")
        learned = learn_items(matrix, settings, run)
        callbacks.end()
        if not (np.isfinite(learned.output).all() and np.isfinite(learned.input).all()):
            raise ValueError(
                f"method={method!r} left float32 with penalty={self.penalty!r}, unobserved_weight="
                f"{self.unobserved_weight!r} and values of X up to {matrix.data.max():g}; lower what is large of them."
            )
        self.method_, self.penalty_, self.dropout_ = method, learned.penalty, learned.dropout
        self._value_exponent = float(learned.value_exponent)
        self.trials_, self.loss_curve_ = list(learned.trials), list(learned.loss_curve)
        self.n_iter_ = max(len(self.loss_curve_), 1)
        self._set_tables(raised(matrix, self._value_exponent), keys, learned)
        return self

    def _set_tables(self, matrix: sparse.csr_matrix, keys: list[Any], learned: ItemTables) -> None:
        """Set both tables and how baskets are folded in, and with them the scale of vectors."""
        kind = FOLDS.get(self.method_, "sum")
        dim = learned.input.shape[1]
        empty = np.ones(dim, np.float32) if kind == "constant" else np.zeros(dim, np.float32)
        ials = (learned.penalty, learned.unobserved_weight) if kind == "least-squares" else ()
        fold_in = FoldIn(kind, empty, *ials)
        inputs, outputs = learned.input, learned.output
        mean, spread = _moments(fold_in, matrix, inputs) if kind != "constant" else (empty, 1.0)
        if self.method_ == "ease" and spread > 0:
            inputs, outputs, mean = inputs / spread, outputs * spread, mean / spread
        # with the mean added `prior` times to each it is 1 + `prior` of what it was
        self._fold_in = FoldIn(kind, ((1.0 + learned.prior) * mean).astype(np.float32), *ials)
        self._prior = float(learned.prior)
        self.embedding_ = EmbeddingTable(keys, outputs.astype(np.float32))
        self.input_embedding_ = (
            self.embedding_
            if inputs is outputs
            else EmbeddingTable.of_keys(self.embedding_.shared_keys, inputs.astype(np.float32))
        )

    def transform(self, X: Any) -> np.ndarray:
        """Return the vectors of users, or baskets, whether they were there in `fit` or not.

        Parameters
        ----------
        X : sparse matrix, array-like or frame of shape (n_users, n_items), or list or column of lists of keys
            As in `fit`, or the other way; keys that `fit` did not meet are left out.

        Returns
        -------
        ndarray of shape (n_users, n_features_out), float32
            A row depends on nothing but its own basket.
        """
        check_is_fitted(self)
        return self._rows(self._read(X))

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return ``interactionembedder{i}`` for each dimension.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the items, or of the one column that holds baskets, as ColumnTransformer gives it. Not used.

        Returns
        -------
        ndarray of shape (n_features_out,), object
        """
        is_column = input_features is not None and len(input_features) == 1
        return super().get_feature_names_out(None if is_column else input_features)

    def recommend(
        self, X: Any, k: int = 10, *, exclude_seen: bool = True, among: Any = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the items that score best for each user.

        Parameters
        ----------
        X : as in `transform`
        k : int, default=10
        exclude_seen : bool, default=True
            Leave out what the user has.
        among : sequence of keys, default=None
            Recommend nothing but these.

        Returns
        -------
        keys : ndarray of shape (n_users, min(k, n_items)), object
            Best first, of equal scores the item that comes first; None where nothing is left.
        scores : ndarray of the same shape, float32
            Minus infinity where nothing is left.

        Raises
        ------
        KeyError
            For a key in `among` that `fit` did not meet.
        """
        check_is_fitted(self)
        if not isinstance(k, Integral) or isinstance(k, bool) or k < 1:
            raise ValueError(f"k={k!r}, expected a whole number of at least 1.")
        return self._recommend(self._read(X), int(k), exclude_seen=exclude_seen, among=among)

    def _recommend(
        self, seen: sparse.csr_matrix, k: int, *, exclude_seen: bool = True, among: Any = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Recommend to users who have been read."""
        places = None if among is None else self._places(among)
        rows = self._rows(seen)
        best, scores = rank_items(rows, self.embedding_.vectors, seen, k, exclude_seen=exclude_seen, among=places)
        keys = self.embedding_.keys[best]
        keys[np.isneginf(scores)] = None
        return keys, scores

    def score(self, X: Any, y: Any = None) -> float:
        """Return how well hidden items of users are found: normalized discounted gain at 100.

        A fifth of each basket is hidden, at least one item, always the same ones; users with fewer than two items are
        left out. `skembed.interactions.recommendation_scorer` has other measures and shares.

        Parameters
        ----------
        X : as in `transform`
        y : object, default=None
            Not used.

        Returns
        -------
        float
        """
        return recommendation_scorer()(self, X, y)

    def _read(self, X: Any) -> sparse.csr_matrix:
        matrix, _ = read_baskets(self, X, known=self.embedding_.keys)
        if self.binary:
            matrix.data[:] = 1.0
        return matrix

    def _rows(self, baskets: sparse.csr_matrix) -> np.ndarray:
        """Return the vectors of baskets that have been read."""
        prior = self._prior / (1.0 + self._prior)  # of the vector of an empty basket, which has the prior itself
        return self._fold_in.apply(raised(baskets, self._value_exponent), self.input_embedding_.vectors, prior)

    @property
    def value_exponent_(self) -> float:
        """The power that values are raised to."""
        check_is_fitted(self)
        return self._value_exponent

    @property
    def prior_(self) -> float:
        """How many mean baskets are added to each."""
        check_is_fitted(self)
        return self._prior

    def _places(self, among: Any) -> np.ndarray:
        row_of = self.embedding_.shared_keys.index
        keys = [canonical_key(key) for key in among]
        unseen = [key for key in keys if key not in row_of]
        if unseen:
            raise KeyError(f"among names {unseen[0]!r}, which `fit` did not meet, one of {len(unseen)} such items.")
        return np.array(sorted({row_of[key] for key in keys}), dtype=np.int64)

    @property
    def _n_features_out(self) -> int:
        return self.embedding_.embedding_dim

    def _check_fitted(self) -> None:
        input_, output = self.input_embedding_, self.embedding_
        if input_.shared_keys is not output.shared_keys or input_.vectors.shape != output.vectors.shape:
            raise ValueError("expected both tables to have the same items and dimensions")
        if self._fold_in.kind not in KINDS or self._fold_in.empty.shape != (output.embedding_dim,):
            raise ValueError(f"expected a fold-in of one of the kinds {KINDS} and {output.embedding_dim} dimensions")
        if len(output) != self.n_features_in_:
            raise ValueError(f"expected a vector for each of {self.n_features_in_} items")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.positive_only = True
        tags.transformer_tags.preserves_dtype = []
        return tags


def _moments(fold_in: FoldIn, matrix: sparse.csr_matrix, vectors: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the mean vector of the users who have an item, and the root of their total spread about it."""
    filled = np.flatnonzero(np.diff(matrix.indptr))
    if fold_in.kind == "least-squares" and len(filled) > N_SOLVED:
        filled = filled[np.linspace(0, len(filled) - 1, N_SOLVED).astype(np.int64)]
    total, squares = np.zeros(vectors.shape[1]), 0.0
    for begin in range(0, len(filled), _ROWS):
        rows = fold_in.apply(matrix[filled[begin : begin + _ROWS]], vectors).astype(np.float64)
        total, squares = total + rows.sum(axis=0), squares + float((rows**2).sum())
    mean = total / len(filled)
    variance = squares / len(filled) - float(mean @ mean)
    return mean, math.sqrt(max(variance, 0.0))
