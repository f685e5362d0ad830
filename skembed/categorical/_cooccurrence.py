"""Categories embedded without a target, by the techniques of words: a row is a sentence of its levels."""

import math
from collections.abc import Mapping
from dataclasses import replace
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils._param_validation import Interval, RealNotInt, StrOptions
from sklearn.utils.metaestimators import available_if

from skembed.apply.axes import PrincipalAxes
from skembed.categorical._column_encoder import ColumnEncoder, ColumnSchema
from skembed.categorical._dims import RULES, cut, resolve_dims
from skembed.categorical._parameters import check_handle_unknown
from skembed.data.bins import QuantileBins
from skembed.data.columns import Columns, Factor
from skembed.data.levels import degenerate_columns, factorize_columns, warn_degenerate, weighted_vocabulary
from skembed.data.ragged import Ragged
from skembed.data.roles import numeric_columns, some_categorical_positions
from skembed.data.twins import warn_of_twin_levels
from skembed.state import stored
from skembed.table import EmbeddingTable
from skembed.training.callbacks import CallbackSupportMixin, PassCallbacks, with_callbacks
from skembed.training.keys import KeySettings, KeyTables, LearnedColumns, learn_keys
from skembed.training.run import Run, draw_seed

__all__ = ["CooccurrenceEncoder"]

MAX_DIM = 24  # "auto" takes no more: what the second dozen adds to a model is little
PASSES, MEETINGS = 15, 200  # "auto": a step moves a vector by little, so that rare levels are met more often
JOINT_DIMS = 16  # more of them are learned for all columns together; each column keeps the directions it varies along
_SKIP_GRAM = available_if(lambda self: self.method == "skip-gram" or _refuse(self.method))


def _refuse(method: str) -> bool:
    raise AttributeError(f"partial_fit needs method='skip-gram'; method={method!r} counts all rows at once, use fit.")


@stored
class CooccurrenceEncoder(CallbackSupportMixin, ColumnEncoder):
    """Embed categories by the categories they occur with in other columns; no target is needed.

    A row is taken for a sentence of its levels: levels that occur beside the same levels of other columns get similar
    vectors. Rows without a target help, and a level that is met only in them gets a meaning. Stands where OneHotEncoder
    would stand.

    Parameters
    ----------
    embedding_dim : int, {"auto", "fourth_root", "fastai"}, callable or dict, default="auto"
        Columns of the output for each categorical column; a callable is given the number of levels, a dict has a rule
        for each column. "auto" is 24, or one less than there are levels. Dimensions are ordered by falling spread.
    method : {"ppmi-svd", "skip-gram", "glove"}, default="ppmi-svd"
        "ppmi-svd" factorizes the positive pointwise mutual information of levels [1]_ [2]_: fast, no passes.
        "skip-gram" (negative sampling) can go on by `partial_fit`; "glove" learns logarithms of counts.
    categorical_features : "all", "from_dtype" or array-like of names, positions or bool, default="all"
        As in `EntityEmbeddingEncoder`; the others are numeric.
    n_bins : int or None, default=10
        Numeric columns take part as so many bins of about equally many rows; None leaves them out of learning.
    remainder : {"drop", "passthrough"}, default="drop"
        Whether numeric columns follow the vectors in the output.
    min_frequency : int or float, default=None
        Levels that are rarer share the unknown vector: an int is a count, a float a share of the rows.
    max_categories : int, default=None
        As in OneHotEncoder.
    handle_unknown : {"embed", "error"}, default="embed"
        A level that `fit` never met gets the unknown vector, or is refused.
    max_iter : int or "auto", default="auto"
        Passes of "skip-gram" and "glove". "auto" is 15, and for `fit` of "skip-gram" more where levels are rare, until
        a level was met 200 times in the mean.
    n_jobs : int, default=None
        Threads; the result does not depend on it.
    random_state : int, RandomState instance or None, default=None
    verbose : int, default=0
        A progress bar when positive.

    Attributes
    ----------
    embeddings_ : dict of str to EmbeddingTable
        A table for each categorical column; its `unknown` vector is that of rare levels where `min_frequency` made
        some, else the mean of the column.
    categories_, infrequent_categories_ : list of ndarray
        The levels with a vector, and those that share the unknown one.
    loss_curve_ : list of float
        Mean loss of each pass, those of `partial_fit` included; "ppmi-svd" has none.
    n_iter_ : int
        Passes that were finished, 1 for "ppmi-svd".
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in_,)

    See Also
    --------
    EntityEmbeddingEncoder : Learns from a target; takes these tables as `init`, so that rows without a target help:
        ``EntityEmbeddingEncoder(init=CooccurrenceEncoder().fit(X_all).embeddings_, init_frozen=True)``. A column that
        has a table in `init` keeps its dimensions and gets none of effects on the target; a FeatureUnion of both
        encoders has both.

    Notes
    -----
    Vectors are centered, turned to the principal axes of their column, and scaled so that the spread of each column
    over the rows is in total that of its one-hot columns, the share of pairs of rows that differ: at most 1, as of a
    standardised number, and little where nearly all rows have one level. `partial_fit` keeps the center, the axes and
    the scale of the first call, which a model behind has learned to read, whatever rows follow. None, NaN, pandas' NA
    and NaT are the level "missing", whose key is None. A column alone has nothing to occur with and is refused.

    References
    ----------
    .. [1] Levy & Goldberg (2014), "Neural Word Embedding as Implicit Matrix Factorization".
    .. [2] Levy, Goldberg & Dagan (2015), "Improving Distributional Similarity with Lessons Learned from Word
       Embeddings".

    Examples
    --------
    >>> from skembed import CooccurrenceEncoder
    >>> X = [["beech", "leaf"], ["oak", "leaf"], ["pine", "needle"], ["fir", "needle"]] * 20
    >>> encoder = CooccurrenceEncoder(random_state=0).fit(X)
    >>> encoder.embeddings_["x0"].nearest("oak", k=1)[0][0]
    'beech'
    """

    loss_curve_: list[float]
    n_iter_: int
    _schema: ColumnSchema
    _state = {
        "_schema": ColumnSchema, "_bins": list[QuantileBins], "_dims": list[int], "_axes": list[PrincipalAxes],
        "_learned": LearnedColumns | None, "loss_curve_": list[float], "n_iter_": int,
    }  # fmt: skip
    _parameter_constraints: dict = {
        "embedding_dim": [Interval(Integral, 1, None, closed="left"), StrOptions(set(RULES)), callable, Mapping],
        "method": [StrOptions({"ppmi-svd", "skip-gram", "glove"})],
        "categorical_features": [StrOptions({"all", "from_dtype"}), "array-like"],
        "n_bins": [Interval(Integral, 2, None, closed="left"), None],
        "remainder": [StrOptions({"drop", "passthrough"})],
        "min_frequency": [
            Interval(Integral, 1, None, closed="left"),
            Interval(RealNotInt, 0, 1, closed="neither"),
            None,
        ],
        "max_categories": [Interval(Integral, 1, None, closed="left"), None],
        "handle_unknown": [StrOptions({"embed", "error"})],
        "max_iter": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        embedding_dim="auto",
        *,
        method="ppmi-svd",
        categorical_features="all",
        n_bins=10,
        remainder="drop",
        min_frequency=None,
        max_categories=None,
        handle_unknown="embed",
        max_iter="auto",
        n_jobs=None,
        random_state=None,
        verbose=0,
    ):
        self.embedding_dim = embedding_dim
        self.method = method
        self.categorical_features = categorical_features
        self.n_bins = n_bins
        self.remainder = remainder
        self.min_frequency = min_frequency
        self.max_categories = max_categories
        self.handle_unknown = handle_unknown
        self.max_iter = max_iter
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    @with_callbacks
    def fit(self, X: Any, y: Any = None) -> "CooccurrenceEncoder":
        """Learn the vectors of every categorical column.

        Parameters
        ----------
        X : array-like or dataframe of shape (n_samples, n_features)
        y : object, default=None
            Not used.

        Returns
        -------
        self
        """
        check_handle_unknown(self.handle_unknown, type(self).__name__)
        self._validate_params()
        columns = self._read_columns(X, reset=True)
        self._learned: LearnedColumns | None = None
        positions = some_categorical_positions(self.categorical_features, columns)
        numeric = [i for i in range(len(columns.values)) if i not in positions]
        names = [columns.label(i) for i in positions]
        factors = factorize_columns(columns, positions)
        everyone, ones = np.arange(columns.n_rows), np.ones(columns.n_rows)
        warn_degenerate(degenerate_columns(names, factors, everyone))
        warn_of_twin_levels(names, factors)
        limits = {"min_frequency": self.min_frequency, "max_categories": self.max_categories}
        vocabularies = [weighted_vocabulary(f, ones, everyone, **limits) for f in factors]
        self._schema = ColumnSchema(names, positions, numeric, vocabularies)
        self._bins = [QuantileBins(v, self.n_bins) for v in numeric_columns(columns, self._context_positions())]
        n_levels = [len(v) for v in vocabularies]
        dims = resolve_dims(self.embedding_dim, names, n_levels)
        self._dims = [dim or min(MAX_DIM, max(n - 1, 1)) for dim, n in zip(dims, n_levels)]
        self._learn(columns, factors, X, y)
        return self

    @_SKIP_GRAM
    @with_callbacks
    def partial_fit(self, X: Any, y: Any = None) -> "CooccurrenceEncoder":
        """Go on learning from further rows: new levels get vectors, known ones move, and with them the unknown vector.

        Parameters
        ----------
        X : array-like or dataframe of shape (n_samples, n_features)
        y : object, default=None
            Not used.

        Returns
        -------
        self
        """
        if not hasattr(self, "embeddings_"):
            return self.fit(X, y)
        self._validate_params()
        if self._learned is None:
            raise ValueError(
                "partial_fit goes on from what method='skip-gram' has learned, and the tables are of another method: "
                "call fit with all rows."
            )
        columns = self._read_columns(X, reset=False)
        factors = factorize_columns(columns, self._schema.positions)
        vocabularies = [v.extend(f) for v, f in zip(self._schema.vocabularies, factors)]
        self._schema = replace(self._schema, vocabularies=vocabularies)  # the old one stays, in case of Ctrl-C
        self._learn(columns, factors, X, y)
        return self

    def _learn(self, columns: Columns, factors: list[Factor], X: Any, y: Any) -> None:
        """Learn from the rows, going on from the tables of earlier calls where there are any, and set the tables."""
        names, vocabularies = self._schema.names, self._schema.vocabularies
        ids = [v.encode(f) for v, f in zip(vocabularies, factors)]
        numbers = numeric_columns(columns, self._context_positions())
        terms = [*ids, *(bins.encode(values) for bins, values in zip(self._bins, numbers))]
        sizes = [*(len(v) + 1 for v in vocabularies), *(bins.n_rows for bins in self._bins)]
        first, start = np.cumsum([0, *sizes]), self._learned.grown(sizes) if ids and self._learned is not None else None
        nothing = Ragged(np.zeros(1, np.int64), np.empty(0, np.int32))
        rows = Ragged.from_columns(terms, first[:-1].tolist()) if ids else nothing
        n_passes = self._n_passes(rows, going_on=start is not None)
        callbacks = PassCallbacks(self, n_passes, X, y)
        learned = KeyTables(np.empty((0, 1), dtype=np.float32))  # of no column, where "from_dtype" finds no categories
        if ids:
            if start is None and sum((term >= 0).any() for term in terms) < 2:  # a numeric column may hold no value
                raise ValueError(
                    f"1 feature(s) of X take part, {', '.join(map(repr, names))}; levels are learned from those beside "
                    "them in other columns. Give at least two columns, or n_bins for numeric ones, with values."
                )
            further = JOINT_DIMS if self.method == "ppmi-svd" else 0
            settings = KeySettings(self.method, max(self._dims) + further, n_passes)
            seed = draw_seed(self.random_state)
            # a further call must not repeat the draws of earlier ones
            seed = seed if start is None else (seed + self.n_iter_) % 2**31
            run = Run(seed, self.n_jobs, self.verbose, callbacks, "levels")
            learned = learn_keys(rows, int(first[-1]), settings, run, start)
        callbacks.end()
        parts = [learned.vectors[begin : begin + size] for begin, size in zip(first, sizes)][: len(ids)]
        counts = [np.bincount(i, minlength=len(part)) for i, part in zip(ids, parts)]
        if start is None:
            self._axes = [PrincipalAxes.of(part, count) for part, count in zip(parts, counts)]
        if self.method == "skip-gram":
            self._learned = LearnedColumns(learned, sizes)
        self.embeddings_ = {}
        for name, vocabulary, axes, part, dim in zip(names, vocabularies, self._axes, parts, self._dims):
            matrix = cut(axes.apply(part), dim)
            if len(vocabulary.infrequent):
                unknown = matrix[0]
            elif start is None:
                unknown = np.zeros(dim, dtype=np.float32)  # where axes have their center
            else:
                unknown = np.average(matrix[1:], axis=0, weights=vocabulary.counts).astype(np.float32)
            self.embeddings_[name] = EmbeddingTable.of_keys(
                vocabulary.shared_keys, matrix[1:], unknown=unknown, metric="euclidean", counts=vocabulary.counts
            )
        self.loss_curve_ = [*([] if start is None else self.loss_curve_), *learned.loss_curve]
        self.n_iter_ = max(len(self.loss_curve_), 1)

    def _n_passes(self, rows: Ragged, *, going_on: bool) -> int:
        """Return `max_iter`, or what "auto" stands for."""
        if self.max_iter != "auto":
            return int(self.max_iter)
        if not len(rows.indices) or self.method != "skip-gram" or going_on:
            return PASSES
        per_level = len(rows.indices) / len(np.unique(rows.indices))
        return max(PASSES, math.ceil(MEETINGS / per_level))

    def _context_positions(self) -> list[int]:
        return self._schema.numeric_positions if self.n_bins is not None else []
