"""Categorical columns become vectors that are learned against the target (Guo & Berkhahn 2016, arXiv:1604.06737)."""

import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_memory

from skembed.apply.columns import gather, with_numbers
from skembed.categorical._column_encoder import ColumnEncoder
from skembed.categorical._dims import cut
from skembed.categorical._learn import learn_cached
from skembed.categorical._parameters import CONSTRAINTS, check_handle_unknown, check_settings
from skembed.categorical._partial import learn_further, read_further
from skembed.categorical._problem import Learned, RowVectors
from skembed.categorical._recent import encode_again, fit_key, known_fit, remember
from skembed.categorical._setup import Schema, Setup, row_weights, set_up, set_up_again
from skembed.data.columns import Columns
from skembed.data.levels import warn_degenerate
from skembed.data.roles import numeric_columns
from skembed.state import stored
from skembed.table import EmbeddingTable
from skembed.training.callbacks import CallbackSupportMixin, PassCallbacks, with_callbacks
from skembed.training.level_net import NetSettings
from skembed.training.run import Run, draw_seed
from skembed.warning import warn

__all__ = ["EntityEmbeddingEncoder"]

FEW_ROWS = 300  # of a first batch: in a hundred an effect is now and then missed that holds half of the variance


@stored
class EntityEmbeddingEncoder(CallbackSupportMixin, ColumnEncoder):
    """Replace each category by a vector learned against the target.

    A vector holds the level's effects on the target: the crossed one, with all other columns accounted for, and where
    it says more the marginal one, both shrunk by how much the levels of the column differ; then what a net adds that is
    given what the effects explain and learns the rest, where levels of different columns interact. All columns are
    learned together, and similar levels lie close together.

    `fit_transform` gives training rows vectors that were learned without them (`cv`), in the same space as those of
    `transform`, so that a model trained on them meets the same kind of vectors later. See Notes.

    Parameters
    ----------
    embedding_dim : int, {"auto", "fourth_root", "fastai"}, callable or dict, default="auto"
        Columns of each level's vector. Dimensions are ordered by falling spread, and are learned before they are cut,
        so that each prefix is a good embedding. "auto" takes all that say something, at most one less than there are
        levels, and one that is zero where none does; a number takes the first ones, with zeros behind them if there are
        fewer. "fourth_root" is the number of levels to the power 1/4, "fastai" ``min(600, round(1.6 n**0.56))``. A
        callable maps the number of levels to an int. A dict maps column names to any of these; columns that are not in
        it follow "auto".
    categorical_features : "all", "from_dtype" or array-like, default="all"
        The columns to embed: all; those whose dtype is not numeric; or names, positions or a mask. The others are
        numeric side inputs of effects and net, and may have missing values. If no column is embedded, as "from_dtype"
        may find, y teaches nothing and `transform` returns what `remainder` says.
    remainder : {"drop", "passthrough"}, default="drop"
        Whether the numeric side inputs are also columns of the output, behind the vectors.
    target_type : {"auto", "continuous", "binary", "multiclass"}, default="auto"
        As in TargetEncoder; "auto" asks `sklearn.utils.multiclass.type_of_target`, and takes whole numbers of very many
        values for numbers, with a warning (see `skembed.data.target_type`). Several outputs are learned together, each
        of this type.
    cv : int, splitter, iterable or None, default=5
        How `fit_transform` holds rows out. For rows in the order of time, TimeSeriesSplit holds each out from what
        comes later. For rows that belong together, as those of a customer, GroupKFold with `groups`: see Notes. With
        None `fit_transform` equals ``fit(X, y).transform(X)``.
    min_frequency : int, float or None, default=None
        Levels in fewer rows (int) or a smaller share of the rows (float) share the unknown level's vector. With None
        all levels have vectors of their own, shrunk by how rare they are; but where nine of ten rows have a level to
        themselves, the column identifies rows, and its levels that were met once share the unknown vector.
    max_categories : int or None, default=None
        At most this many vectors a column, the unknown level's among them.
    handle_unknown : {"embed", "error"}, default="embed"
        What `transform` does with a level that `fit` never met: the unknown level's vector, which is learned from rare
        levels, or a ValueError.
    class_weight : dict, "balanced" or None, default=None
        As in scikit-learn's classifiers.
    hidden_layer_sizes : tuple of int or "auto", default="auto"
        Hidden layers of the net. Without any, ``()``, the columns that interact by a score test meet in pairs, each
        pair of levels with an effect of its own, shrunk by how much there is: it needs no torch, is learned in
        a few passes, and is left out where no columns interact. With hidden layers a net of torch is trained on the
        columns' vectors side by side; it may find what more than two columns have in common. "auto" is ``()``, and
        ``(128, 64)`` where tables of `init` are to be adapted.
    max_iter : int, default=20
        Passes over the data at most. With 0 there is no net, and vectors hold effects alone.
    batch_size : int or "auto", default="auto"
        Of nets with hidden layers; "auto" is the 400th part of the rows, between 64 and 1024.
    learning_rate : float, default=0.002
        Step size of Adam, for nets with hidden layers.
    early_stopping : bool, default=True
        Hold out `validation_fraction` of the rows, stop when the score on them has not risen for `n_iter_no_change`
        passes, and keep the best state. Whether the net is worth its dimensions is decided on the same rows, and
        whether interactions are on all folds where these are too few to tell. They are drawn at random, or the last
        folds of `cv` where that is a splitter: whole groups, or later times.
    validation_fraction : float, default=0.2
    n_iter_no_change : int, default=3
    tol : float, default=1e-4
        Least rise of the validation score that counts.
    init : dict of str to EmbeddingTable or path, or None, default=None
        Tables that the named columns start from; such a column has the dimension, the space and the scale of its table.
        Levels that are not in it start from its unknown vector, or from the mean of its vectors.
    init_frozen : bool, default=False
        Whether the vectors of `init` stay as they are, and only the net around them learns.
    warm_start : bool, default=False
        Whether `fit` begins from the net and the tables of the last fit.
    memory : None, str or object with the joblib.Memory interface, default=None
        Caches what is learned, before it is cut: a grid search over `embedding_dim` then learns once for each fold.
        It takes effect with a `random_state` that is an int. See Notes.
    device : str, default="auto"
        Where a net with hidden layers trains: "auto" is CUDA where there is one. What is learned is kept as numpy
        arrays.
    random_state : int, RandomState instance or None, default=None
        Decides the folds, the net's start and the order of the rows. The same seed gives the same bits.
    verbose : int, default=0
        A bar on stderr when positive, and a line there that names columns with nothing to say.

    Attributes
    ----------
    embeddings_ : dict of str to EmbeddingTable
        A table for each categorical column: levels beside vectors, None for missing, and the unknown level's vector as
        the table's `unknown`. It is read by Euclidean distances.
    categories_ : list of ndarray
        The levels of each categorical column, most frequent first.
    infrequent_categories_ : list of ndarray
        Levels that share the unknown level's vector.
    target_type_ : str
    classes_ : ndarray, list of ndarray or None
        Classes of y, for each output if there are several; None for a continuous target.
    uninformative_features_ : list of str
        Categorical columns whose held-out effects predict nothing and that do not interact: their vectors are zero.
        What they may say beside numbers that the encoder is not given is not known to it.
    interactions_ : list of (str, str)
        Pairs of columns whose interactions are in the vectors, the most significant first; a numeric side input may be
        the second. Empty where none was found worth it, or the net has hidden layers.
    distance_unit_ : float
        How much a prediction changes, in standard deviations of the target (outliers apart, see Notes), when one level
        takes another's place at distance 1. Vectors are scaled by one factor, so that the root mean square over the
        informative columns of the total spread of the training rows' vectors is 1, as if they stood beside standardised
        numbers.
    n_iter_ : int
        Passes over the data: those of the net, or 1 where there was none.
    loss_curve_, validation_scores_ : list of float
        One value a pass: mean training loss, and the share of the null model's loss that is explained (D²).
    shrinkage_ : float
        Of a net with hidden layers: rows by which a level's vector is pulled towards its start; infinite where the net
        did not help and is left out. Infinite without hidden layers, too.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in_,)

    See Also
    --------
    sklearn.preprocessing.TargetEncoder : One number for each level and class, each column on its own.
    sklearn.preprocessing.OneHotEncoder : One column for each level.

    Notes
    -----
    Targets, which are classes where there are more than two, are learned each for itself up to 64, and up to a million
    divided by the rows. Where there are more, effects are learned along so many directions of the target: those in
    which the levels of columns, and of pairs that interact, differ most. A row of y then costs memory for these alone.

    ``fit(X, y).transform(X)`` and ``fit_transform(X, y)`` differ, as in TargetEncoder: a vector that was learned from
    a row's own target says more to the model behind it than it can say about a new row. In `fit_transform` a row's
    vector is learned from the other folds. Levels with so many rows that a row's own target hardly weighs in their
    vector have the same one in all folds, which spares the model behind the noise of folds. So have columns of few
    levels, of which a model gains next to nothing by chance: of n rows n/100 levels in all, of a column at most 32,
    unless `cv` splits by groups or by time. Copies of a row, as of an oversampled class, lie in several folds and undo
    all this: encode before you oversample.

    Where `cv` splits by groups and `groups` are given, rows of a group count as alike beyond what the columns say.
    What a column says then has to be beyond the errors of groups (Liang and Zeger 1986), and interactions have to be
    borne out by different groups: their score test adds the residuals of each group up first, and whether they stay is
    decided on whole groups. Else columns that tell the groups apart are taken for ones that say something, alone or
    with each other, and new groups have no use of what was learned from them.

    A continuous y of which rows far out hold most of the squares, and of which levels else explain nothing, is brought
    between its outer fences (Tukey 1977), three distances of the quartiles beyond them; in further batches likewise.

    What `transform` gives a level never leaves the range that each output column had over the training rows: where a
    level was met once, training rows of such levels had the unknown level's vector, and no linear model has learned
    what to make of anything else.

    Numbers belong to its input, too, with `categorical_features` and ``remainder="passthrough"``: effects are then
    those beside the numbers, and a column that only says something together with a number is not taken for noise.

    Two values are the same level if they are equal in Python: 1, 1.0 and True are one level, "1" is another. None,
    NaN, pandas' NA and NaT are the level "missing", whose key is None.

    Sample weights that are whole numbers count as repeated rows; others are relative.

    With `memory` a fit that differs from an earlier one in `embedding_dim` alone, or in what changes no vector, gives
    the bits that it would give without. Whatever else differs (a value of X or y, its type, the order of rows, a
    weight, a parameter, the version of a library) is learned anew, and so is what the cache has lost, or holds with a
    bit amiss. Of the latest fits each process also holds what it learned, 256 MB of it at most, and looks it up by the
    content of X and y without reading X: unless tables of `init`, a warm start, groups, or a splitter of one's own
    decide, too. Besides it holds how the levels of rows that were transformed are numbered, 64 MB at most.

    References
    ----------
    Cheng Guo and Felix Berkhahn, "Entity Embeddings of Categorical Variables", arXiv:1604.06737, 2016.
    Daniele Micci-Barreca, "A preprocessing scheme for high-cardinality categorical attributes", SIGKDD Explorations,
    2001.
    Charles Henderson, "Best linear unbiased estimation and prediction under a selection model", Biometrics, 1975.
    Xihong Lin, "Variance component testing in generalised linear models with random effects", Biometrika, 1997.
    Kung-Yee Liang and Scott Zeger, "Longitudinal data analysis using generalized linear models", Biometrika, 1986.

    Examples
    --------
    >>> import numpy as np
    >>> from skembed import EntityEmbeddingEncoder
    >>> rng = np.random.default_rng(0)
    >>> city = rng.choice(["Bonn", "Köln", "Rome", "Bari"], 400)
    >>> y = np.isin(city, ["Bonn", "Köln"]) * 10 + rng.standard_normal(400)
    >>> encoder = EntityEmbeddingEncoder(random_state=0).fit(city[:, None], y)
    >>> encoder.transform([["Bonn"], ["Paris"]]).shape
    (2, 1)
    >>> encoder.embeddings_["x0"].nearest("Rome", k=1)[0][0]
    'Bari'
    """

    _parameter_constraints: dict = CONSTRAINTS
    _schema: Schema
    _learned: Learned
    _state = {"_schema": Schema, "_learned": Learned, "n_iter_": int}

    def __init__(
        self,
        embedding_dim: int | str | Callable[[int], int] | Mapping[str, Any] = "auto",
        *,
        categorical_features: Any = "all",
        remainder: str = "drop",
        target_type: str = "auto",
        cv: Any = 5,
        min_frequency: int | float | None = None,
        max_categories: int | None = None,
        handle_unknown: str = "embed",
        class_weight: Any = None,
        hidden_layer_sizes: tuple[int, ...] | str = "auto",
        max_iter: int = 20,
        batch_size: int | str = "auto",
        learning_rate: float = 0.002,
        early_stopping: bool = True,
        validation_fraction: float = 0.2,
        n_iter_no_change: int = 3,
        tol: float = 1e-4,
        init: Mapping[str, Any] | None = None,
        init_frozen: bool = False,
        warm_start: bool = False,
        memory: Any = None,
        device: str = "auto",
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.embedding_dim = embedding_dim
        self.categorical_features = categorical_features
        self.remainder = remainder
        self.target_type = target_type
        self.cv = cv
        self.min_frequency = min_frequency
        self.max_categories = max_categories
        self.handle_unknown = handle_unknown
        self.class_weight = class_weight
        self.hidden_layer_sizes = hidden_layer_sizes
        self.max_iter = max_iter
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.init = init
        self.init_frozen = init_frozen
        self.warm_start = warm_start
        self.memory = memory
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    @with_callbacks
    def fit(self, X: Any, y: Any, *, sample_weight: Any = None, groups: Any = None) -> "EntityEmbeddingEncoder":
        """Learn the vectors of every categorical column.

        Parameters
        ----------
        X : array-like or dataframe of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), default=None
            Rows of weight 0 are as if they were not there.
        groups : array-like of shape (n_samples,), default=None
            For splitters of `cv` that need them. Rows of one group count as alike beyond what the columns say.

        Returns
        -------
        self
        """
        self._fit(X, y, sample_weight, groups)
        return self

    @with_callbacks
    def fit_transform(self, X: Any, y: Any, *, sample_weight: Any = None, groups: Any = None) -> np.ndarray:
        """Learn the vectors, and return for each row those that were learned without it.

        Parameters
        ----------
        X, y, sample_weight, groups
            As in `fit`.

        Returns
        -------
        ndarray of shape (n_samples, n_features_out), float32, float64 if numeric columns pass through
        """
        columns, setup, vectors = self._fit(X, y, sample_weight, groups)
        dims = self._output_dims()
        out = with_numbers(sum(dims), numeric_columns(columns, self._passed_positions()), columns.n_rows)
        learned_from = setup.rows if len(setup.others) else slice(None)
        start = 0
        for rows, dim in zip(vectors, dims):
            kept = min(dim, rows.vectors.shape[1])
            out[learned_from, start : start + kept] = rows.cut(dim)
            out[learned_from, start + kept : start + dim] = 0.0
            start += dim
        if len(setup.others):  # rows of weight 0: all was learned without them
            out[setup.others, :start] = gather(list(self.embeddings_.values()), setup.other_ids, [], len(setup.others))
        return out

    @with_callbacks
    def partial_fit(
        self, X: Any, y: Any, *, classes: Any = None, sample_weight: Any = None
    ) -> "EntityEmbeddingEncoder":
        """Go on learning from further rows: new levels get vectors, known ones move by what is new.

        The first call is a `fit`, settles dimensions and scale, and finds interactions if it has 300 rows or more. What
        it leaves out, as a column that says nothing in few rows, or a net, later calls leave out, too.
        Later ones add the rows to what was learned: marginal effects become those of all rows, crossed ones nearly so.
        In interactions each further row counts for itself, also where `fit` finds that rows are alike, as all shops are
        on one day, and counts them for fewer. A net with hidden layers takes one pass over the rows, and moves its
        tables by a step that counts the rows seen before.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`.
        classes : array-like, default=None
            In the first call: all classes of a single output, if y may not show all.

        Returns
        -------
        self
        """
        if not hasattr(self, "_learned"):
            _, setup, _ = self._fit(X, y, sample_weight, None, classes=classes)
            self._warn_of_few_rows(len(setup.rows))
            return self
        self._validate_params()
        columns = self._read_columns(X, reset=False)
        target = self._schema.target
        known = target.outputs[0].classes if target.one_column else None
        weight = row_weights(sample_weight, self.class_weight, y, columns.n_rows, known)
        callbacks = PassCallbacks(self, 1, X, y)
        settings, run = NetSettings.of(self, columns.n_rows), self._run(0, callbacks)
        rng = check_random_state(self.random_state)
        schema, problem = read_further(self._schema, columns, y, weight, hidden=bool(self._learned.net.head))
        learned = learn_further(problem, self._learned, self._schema.counts, settings, rng, run)
        callbacks.end()
        self._schema = schema
        self._expose(learned)
        return self

    def _warn_of_few_rows(self, n_rows: int) -> None:
        """Warn of columns that stay zero because the first of several calls had too few rows to tell."""
        names = self.uninformative_features_
        if names and n_rows < FEW_ROWS:
            shown = ", ".join(map(repr, names[:5])) + (", ..." if len(names) > 5 else "")
            warn(
                f"in the {n_rows} rows of the first partial_fit the columns {shown} say nothing of the target, and "
                "their vectors stay zero whatever rows follow. Begin with more rows."
            )

    def _fit(
        self, X: Any, y: Any, sample_weight: Any, groups: Any, *, classes: Any = None
    ) -> tuple[Columns, Setup, list[RowVectors]]:
        """Learn; return the columns, how they were set up, and the vectors of the training rows, not cut yet."""
        check_handle_unknown(self.handle_unknown, type(self).__name__)
        self._validate_params()
        check_settings(self.hidden_layer_sizes, self.device)
        memory = check_memory(self.memory)
        columns = self._read_columns(X, y=y, reset=True)
        weight = row_weights(sample_weight, self.class_weight, y, columns.n_rows, classes)
        previous = (self._schema, self._learned) if self.warm_start and hasattr(self, "_learned") else None
        key = fit_key(self, memory, columns, y, weight, groups, classes, previous)
        known = known_fit(key)
        callbacks = PassCallbacks(self, self.max_iter, X, y)
        if known is None:
            rng = check_random_state(self.random_state)
            settings = NetSettings.of(self, int((weight > 0).sum()))
            hidden = bool(settings.hidden_layer_sizes)
            setup, problem = set_up(
                self, columns, y, weight, groups, rng, classes=classes, previous=previous, hidden=hidden
            )
            call = learn_cached(memory, problem, settings, self._run(draw_seed(rng), callbacks))
            learned = call.result
            if key is not None and call.kept is not None:
                learned = remember(key, setup, call).own_learned()
        else:
            setup, learned = set_up_again(self, known.setup, y, weight), known.own_learned()
        warn_degenerate(setup.degenerate)
        for text in setup.twins:
            warn(text)
        callbacks.end()
        self._schema = setup.schema
        rows, learned.training_rows = learned.training_rows, []
        self._expose(learned)
        if self.verbose and self.uninformative_features_:
            names = ", ".join(map(repr, self.uninformative_features_))
            print(f"EntityEmbeddingEncoder: nothing to say of the target: {names}", file=sys.stderr)
        return columns, setup, rows

    def _encode_levels(self, columns: Columns) -> list[np.ndarray]:
        if self.memory is None or self.handle_unknown == "error":
            return super()._encode_levels(columns)
        return encode_again(columns, self._schema, super()._encode_levels)

    def _run(self, seed: int, callbacks: PassCallbacks) -> Run:
        return Run(seed, None, self.verbose, callbacks, "EntityEmbeddingEncoder")

    def _expose(self, learned: Learned) -> None:
        """Set the public attributes from what was learned; the tables are cut here."""
        schema = self._schema
        matrices = [cut(table, dim) for table, dim in zip(learned.tables, schema.dims)]
        learned.tables = []
        self._learned = learned
        self.embeddings_ = {
            name: EmbeddingTable.of_keys(vocabulary.shared_keys, matrix[1:], unknown=matrix[0], metric=metric)
            for name, vocabulary, matrix, metric in zip(schema.names, schema.vocabularies, matrices, schema.metrics)
        }
        self.n_iter_ = max(learned.history.n_iter, 1)

    @property
    def target_type_(self) -> str:
        return self._schema.target.type_

    @property
    def classes_(self) -> Any:
        target = self._schema.target
        classes = [output.classes for output in target.outputs]
        return (classes[0] if target.one_column else classes) if classes[0] is not None else None

    @property
    def uninformative_features_(self) -> list[str]:
        return [name for name, says in zip(self._schema.names, self._learned.informative) if not says]

    @property
    def interactions_(self) -> list[tuple[str, ...]]:
        names = [*self._schema.names, *self._schema.numeric_names]
        return [tuple(names[c] for c in pair) for pair in self._learned.interactions.pairs]

    @property
    def distance_unit_(self) -> float:
        return 1.0 / self._learned.scale

    @property
    def loss_curve_(self) -> list[float]:
        return self._learned.history.loss_curve

    @property
    def validation_scores_(self) -> list[float]:
        return self._learned.history.validation_scores

    @property
    def shrinkage_(self) -> float:
        return self._learned.net.shrinkage

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.target_tags.multi_output = True
        return tags
