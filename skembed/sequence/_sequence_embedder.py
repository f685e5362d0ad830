"""Cases of events become vectors: the states of an LSTM or GRU, trained against y or to predict the next event."""

from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, RealNotInt, StrOptions
from sklearn.utils.validation import check_is_fitted

from skembed.apply.init_tables import read_init, vectors_from_init
from skembed.base import EmbeddingTransformer
from skembed.data.case_table import CaseTable
from skembed.data.cases import CaseReader, Cases
from skembed.data.columns import Columns
from skembed.data.roles import categorical_positions
from skembed.data.sequences import as_cells
from skembed.data.target import Target
from skembed.ranking import best_k
from skembed.sequence._mixture import NextEventMixture
from skembed.sequence._prediction import next_events, reads_of_y
from skembed.sequence._problem import predict_memory, problem_of, warn_of_no_sequences, weighted_rows
from skembed.sequence._states import product, states_after
from skembed.state import stored
from skembed.table import EmbeddingTable
from skembed.training.callbacks import CallbackSupportMixin, PassCallbacks, with_callbacks
from skembed.training.passes import MAX_LEARNING_RATE, History
from skembed.training.recurrent import CELLS, POOLINGS, RecurrentSettings, RecurrentWeights
from skembed.training.run import Run, draw_seed, settings_of

__all__ = ["SequenceEmbedder"]

_LEAST_LEVEL_DIM, _MOST_LEVEL_DIM = 8, 64
_COMMON = 100  # occurrences of a level whose vector begins at half of the variance of the most frequent ones


@stored
class SequenceEmbedder(CallbackSupportMixin, ClassNamePrefixFeaturesOutMixin, EmbeddingTransformer):
    """Embed sequences of events by a recurrent net.

    A row of X is a case: a patient, a customer, a process instance. Cells hold sequences, one value an event, columns
    in parallel; columns of single values hold for the whole case. With y the net learns what tells of y, and a
    classifier is a Pipeline with a linear model behind. Without y it learns to predict the next event, and
    `predict_next` does.

    Parameters
    ----------
    embedding_dim : int, default=32
        Columns of the output, the state of the net.
    cell : {"lstm", "gru"}, default="lstm"
        Long short-term memory [1]_ or gated recurrent units [2]_.
    pooling : {"last", "mean", "max"}, default="last"
        Which vector a case has: the state after its last event, or the mean or the maximum of all its states.
    categorical_features : "auto" or array-like, default="auto"
        The columns of categories: names, positions or a mask. "auto" takes strings, booleans and other objects, and of
        sequences also whole numbers of at most 50 distinct values; the rest are numbers, and dates are times.
    event : column name or position, default=None
        Without y: the column of sequences whose next value is predicted. None: the first of categories; where there is
        none, the next values of all numbers are.
    end : object, default="<end>"
        Without y: the key that stands for the end of a case in what is predicted. None: ends are not predicted.
    n_previous : int, default=5
        Without y: what the net says is mixed with counts of what has followed the last events, up to so many of them,
        where held-out cases bear that out, see `mixture_weights_`. 0: the net alone.
    max_length : int, default=None
        Only the last `max_length` events of a case are looked at; how long ago it began is known all the same. Without
        y, what comes earlier in longer cases is not learned either: make rows of their beginnings by
        ``to_sequences(prefixes=...)`` where it is to be predicted.
    target_type : {"auto", "continuous", "binary", "multiclass"}, default="auto"
        What y is; "auto" takes whole numbers of very many values for amounts.
    level_dim : int, "auto" or dict, default="auto"
        Dimensions of the vectors of levels, of all columns or by their names. "auto" is ``1.6 * n_levels ** 0.56``,
        between 8 and 64.
    min_frequency, max_categories : as in OneHotEncoder, default=None
        Levels that are rarer share the unknown row.
    init : dict of str to EmbeddingTable or path, default=None
        Tables that the vectors of the named columns begin from, and whose dimension they have.
    class_weight : dict, "balanced" or None, default=None
        With classes as y.
    dropout : float, default=0.2
        Of states before the output; of inputs half of it.
    weight_decay : float, default=0.01
    max_iter : int, default=60
        Passes over the cases at most.
    batch_size : int, default=64
        Cases of a step, all of about one length; fewer where they are very long, or where a pass would take less than
        32 steps.
    learning_rate : float, default=0.005
        Of Adam; halved when the score on held-out cases has not risen for half of `n_iter_no_change` passes. What is
        kept is a running mean of the weights.
    early_stopping : bool, default=True
        Hold out `validation_fraction` of the cases, stop when the score on them has not risen for `n_iter_no_change`
        passes, and keep the best state. Rows that are beginnings of one another are held out together. At least
        5 cases are, where those tell of 10 events or more and are a quarter at most; else nothing is held out. With y
        a net that is too sure of itself is scored as if it were not: a model behind scales what vectors say.
    validation_fraction : float, default=0.1
    n_iter_no_change : int, default=8
    tol : float, default=1e-4
    device : str, default="auto"
        Where the net trains; "auto" is CUDA where there is one. What is learned is kept as numpy arrays, and used
        without torch.
    random_state : int, RandomState instance or None, default=None
        Decides starts, held-out cases, batches and dropout. The same seed gives the same bits.
    verbose : int, default=0
        A progress bar when positive.

    Attributes
    ----------
    embeddings_ : dict of str to EmbeddingTable
        A table for each column of categories: levels beside vectors, None for missing ones, and the unknown level's
        vector as the table's `unknown`.
    event_ : str or None
        Without y: the column that is predicted.
    mixture_weights_ : ndarray of shape (2,) or None
        Weights of the net and of the counts in what `predict_next` says; 1 and 0: the net alone. None with y, and where
        next numbers were learned.
    classes_ : ndarray, list of ndarray or None
        Classes of y.
    target_type_ : str or None
        What y was taken for; None without y.
    n_iter_ : int
        Passes that were finished.
    loss_curve_, validation_scores_ : list of float
        One value a pass: mean loss on the cases learned from, and minus the mean loss on those held out; with y, of
        predictions that are drawn towards the average as far as does that loss good.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in_,)

    See Also
    --------
    skembed.sequence.to_sequences : Makes X of a long table, one row an event.

    Notes
    -----
    Of dates in a sequence the inputs are the logarithms of the gap since the event before and of the time since the
    first one, the time of day and the day of the week; of a plain date, the date, time of day and day of the week.
    Zones are moved to UTC. Numbers are told by their place among 33 quantiles, so that their scale does not matter and
    extreme ones stay finite.

    A case without events has the state that a case with its plain columns would begin in. A level that `fit` did not
    meet has the unknown vector, which is learned: a hundredth of the levels are made unknown in each pass.

    What has followed the last n events is counted and backed off to shorter contexts [4]_; the beginning of a case is
    an event, too. Such counts are hard to beat where the last events say it all, above all with few cases; the net sees
    times, other columns and what was long ago. `predict_next` takes a log-linear mixture of both [5]_, whose
    weights make the events of held-out cases most probable; where none are held out, both weigh the same. `transform`
    has nothing to do with counts.

    Rows that are beginnings of other rows, as prefixes are, cost nothing beside the longest of them, in `fit` with y
    and in `transform`. Without y give whole cases: the next event of every beginning is learned anyway.

    References
    ----------
    .. [1] Hochreiter & Schmidhuber (1997), "Long Short-Term Memory", Neural Computation 9.
    .. [2] Cho et al. (2014), "Learning Phrase Representations using RNN Encoder-Decoder", EMNLP.
    .. [3] Tax, Verenich, La Rosa & Dumas (2017), "Predictive Business Process Monitoring with LSTM Neural Networks",
       CAiSE.
    .. [4] Witten & Bell (1991), "The Zero-Frequency Problem", IEEE Transactions on Information Theory 37 (method C,
       interpolated), orders mixed as by Jelinek & Mercer (1980).
    .. [5] Klakow (1998), "Log-Linear Interpolation of Language Models", ICSLP.

    Examples
    --------
    >>> from skembed import SequenceEmbedder
    >>> X = [["open", "check", "close"], ["open", "call", "check", "close"], ["open", "call", "call", "close"]] * 20
    >>> embedder = SequenceEmbedder(8, max_iter=40, random_state=0).fit(X)
    >>> keys, probabilities = embedder.predict_next([["open", "check"], ["open", "call", "call"]], k=1)
    >>> keys.tolist()
    [['close'], ['close']]
    >>> embedder.transform([["open"], []]).shape
    (2, 8)
    """

    embeddings_: dict[str, EmbeddingTable]
    _mixture: NextEventMixture | None = None  # the net alone, as in files from before there were counts
    _state = {
        "embeddings_": dict[str, EmbeddingTable], "event_": str | None, "n_iter_": int, "_reader": CaseReader,
        "_weights": RecurrentWeights, "_target": Target | None, "_history": History, "_pooling": str, "_end": Any,
        "_has_end": bool, "_mixture": NextEventMixture | None,
    }  # fmt: skip
    _parameter_constraints: dict = {
        "embedding_dim": [Interval(Integral, 1, None, closed="left")],
        "cell": [StrOptions(set(CELLS))],
        "pooling": [StrOptions(set(POOLINGS))],
        "categorical_features": [StrOptions({"auto"}), "array-like"],
        "event": "no_validation",
        "end": "no_validation",
        "n_previous": [Interval(Integral, 0, None, closed="left")],
        "max_length": [Interval(Integral, 1, None, closed="left"), None],
        "target_type": [StrOptions({"auto", "continuous", "binary", "multiclass"})],
        "level_dim": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"}), Mapping],
        "min_frequency": [
            Interval(Integral, 1, None, closed="left"), Interval(RealNotInt, 0, 1, closed="neither"), None
        ],
        "max_categories": [Interval(Integral, 1, None, closed="left"), None],
        "init": [Mapping, None],
        "class_weight": [Mapping, StrOptions({"balanced"}), None],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "learning_rate": [Interval(Real, 0, MAX_LEARNING_RATE, closed="right")],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "device": [str],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }  # fmt: skip

    def __init__(
        self,
        embedding_dim=32,
        *,
        cell="lstm",
        pooling="last",
        categorical_features="auto",
        event=None,
        end="<end>",
        n_previous=5,
        max_length=None,
        target_type="auto",
        level_dim="auto",
        min_frequency=None,
        max_categories=None,
        init=None,
        class_weight=None,
        dropout=0.2,
        weight_decay=0.01,
        max_iter=60,
        batch_size=64,
        learning_rate=0.005,
        early_stopping=True,
        validation_fraction=0.1,
        n_iter_no_change=8,
        tol=1e-4,
        device="auto",
        random_state=None,
        verbose=0,
    ):
        self.embedding_dim = embedding_dim
        self.cell = cell
        self.pooling = pooling
        self.categorical_features = categorical_features
        self.event = event
        self.end = end
        self.n_previous = n_previous
        self.max_length = max_length
        self.target_type = target_type
        self.level_dim = level_dim
        self.min_frequency = min_frequency
        self.max_categories = max_categories
        self.init = init
        self.class_weight = class_weight
        self.dropout = dropout
        self.weight_decay = weight_decay
        self.max_iter = max_iter
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    @with_callbacks
    def fit(self, X: Any, y: Any = None, *, sample_weight: Any = None) -> "SequenceEmbedder":
        """Learn the net, against y or to predict the next event.

        Parameters
        ----------
        X : frame, array of cells, or list of sequences
            One row a case. Cells are lists, tuples or 1-D arrays with one value an event, or single values. A list of
            sequences is one column; a list of arrays of shape (n_events, n_columns), or a 3-D array, one of numbers for
            each of theirs. Missing cells of sequences are empty ones.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), or sparse matrix, default=None
            Classes or numbers. None: learn to predict the next event.
        sample_weight : array-like of shape (n_samples,), default=None
            Rows of weight 0 are as if they were not there.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If the sequences of a row differ in length, there is nothing to predict, or a parameter does not fit.
        TypeError
            If a column holds sequences in some rows and other values in others.
        """
        from skembed.training.nets.recurrent_net import learn_recurrent  # here, so that transform does not take torch

        self._validate_params()
        columns = self._read_columns(_cells(X), reset=True)
        rng = check_random_state(self.random_state)
        columns, kept_y, weight = weighted_rows(columns, y, sample_weight)
        reader, cases = self._fit_reader(columns, kept_y)
        if y is None:
            if self.class_weight is not None:
                raise ValueError(f"class_weight={self.class_weight!r} needs y, which is None; leave it at None.")
            target, (reads, event) = None, next_events(reader, cases, weight, self.event, self.end)
        else:
            reads, target = reads_of_y(reader, cases, kept_y, weight, self.target_type, self.class_weight)
            event = None
        settings = settings_of(RecurrentSettings, self)
        metrics, tables = self._starts(reader, rng)
        predict_memory(reads.cases, tables, reads.n_targets, settings)
        problem = problem_of(reads, tables, reader, settings, rng)
        callbacks = PassCallbacks(self, self.max_iter, X, y)
        run = Run(draw_seed(rng), None, self.verbose, callbacks, type(self).__name__)
        weights, tables, history, held_out = learn_recurrent(problem, settings, run)
        mixture = None
        if event is not None and self.n_previous:
            place = reader.category_names.index(event)
            mixture = NextEventMixture.learn(problem, held_out, place, len(reader.vocabularies[place]), self.n_previous)
        callbacks.end()
        self._reader, self._weights, self._history, self._target = reader, weights, history, target
        self._mixture = mixture
        self._pooling, self._end, self._has_end = self.pooling, self.end, event is not None and self.end is not None
        self.event_, self.n_iter_ = event, history.n_iter
        self.embeddings_ = {
            name: EmbeddingTable.of_keys(vocabulary.shared_keys, table[1:], unknown=table[0], metric=metric)
            for name, vocabulary, table, metric in zip(reader.category_names, reader.vocabularies, tables, metrics)
        }
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Return the vectors of cases.

        Parameters
        ----------
        X : as in `fit`

        Returns
        -------
        ndarray of shape (n_samples, embedding_dim), float32
            A row depends on nothing but its own case.
        """
        check_is_fitted(self)
        return self._states(self._read_cases(X), self._pooling)

    def predict_next(self, X: Any, k: int = 1, *, end: bool = True) -> tuple[np.ndarray, np.ndarray]:
        """Return the most probable next events of cases, after a `fit` without y.

        Parameters
        ----------
        X : as in `fit`
            Cases as far as they are known.
        k : int, default=1
        end : bool, default=True
            Whether the end of the case is among them. False: given that it goes on.

        Returns
        -------
        keys : ndarray of shape (n_samples, min(k, n_keys)), object
            Most probable first; the parameter `end` of the estimator stands for the end.
        probabilities : ndarray of the same shape, float32
            With k as large as there are keys they sum to 1.

        Raises
        ------
        ValueError
            If `fit` had y, or numbers alone, so that no event is predicted.
        """
        check_is_fitted(self)
        if not isinstance(k, Integral) or isinstance(k, bool) or k < 1:
            raise ValueError(f"k={k!r}, expected a whole number of at least 1.")
        if self.event_ is None:
            learned = "the next numbers" if self._target is None else "y"
            raise ValueError(
                f"predict_next needs a fit that learned to predict events, and this one learned {learned}; fit without "
                "y on a column of categories, or put a classifier behind."
            )
        cases, output, keys = self._read_cases(X), self._weights.output, self._next_keys()
        scores = product(self._states(cases, "last"), output[:-1]) + output[-1]
        if self._mixture is not None:
            scores = self._mixture.scores(scores, cases)
        if self._has_end and not end:
            scores, keys = np.ascontiguousarray(scores[:, :-1]), keys[:-1]
        scores = np.exp(scores - scores.max(axis=1, keepdims=True))
        scores /= scores.sum(axis=1, keepdims=True)
        best = best_k(scores, min(int(k), len(keys)))
        return keys[best], np.take_along_axis(scores, best, axis=1)

    # --------------------------------------------------------------------------------------------------- steps of fit

    def _fit_reader(self, columns: Columns, y: Any) -> tuple[CaseReader, Cases]:
        chosen: Any = self.categorical_features
        if not isinstance(chosen, str):
            chosen = categorical_positions(chosen, columns)
        limits = {name: getattr(self, name) for name in ("max_length", "min_frequency", "max_categories")}
        reader, cases = CaseReader.fit(columns, categorical_features=chosen, wants_category=y is None, **limits)
        if not any(reader.are_sequences):
            if y is None:
                raise ValueError(
                    f"no column of X holds sequences ({reader.names!r:.80}), so no next event can be predicted; "
                    "expected cells that are lists or arrays. If each row is a sequence, pass list(X); if each is an "
                    "event, skembed.sequence.to_sequences makes cases of them."
                )
            warn_of_no_sequences(reader.names)
        return reader, cases

    def _starts(self, reader: CaseReader, rng: np.random.RandomState) -> tuple[list[Any], list[np.ndarray]]:
        """Return how the table of each column of categories is read, and the vectors that it begins from."""
        names = reader.category_names
        if isinstance(self.level_dim, Mapping):
            strangers = [name for name in self.level_dim if name not in names]
            if strangers:
                raise ValueError(f"level_dim names {strangers!r}; the columns of categories are {names!r}.")
        init = read_init(self.init, names)
        from_init = vectors_from_init(init, names, reader.vocabularies)
        tables = []
        for c, (name, vocabulary) in enumerate(zip(names, reader.vocabularies)):
            if c in from_init:
                tables.append(from_init[c])
                continue
            dim = self.level_dim.get(name, "auto") if isinstance(self.level_dim, Mapping) else self.level_dim
            if dim == "auto":
                dim = int(np.clip(round(1.6 * len(vocabulary) ** 0.56), _LEAST_LEVEL_DIM, _MOST_LEVEL_DIM))
            if not isinstance(dim, Integral) or isinstance(dim, bool) or dim < 1:
                raise ValueError(f"level_dim is {dim!r} for column {name!r}; expected an int of at least 1, or 'auto'.")
            table = rng.standard_normal((len(vocabulary) + 1, dim))
            table[0] = 0.0
            # a rare level begins near the unknown one: from far away what few events tell would not move it noticeably
            table[1:] *= np.sqrt(vocabulary.counts / (vocabulary.counts + _COMMON))[:, None]
            tables.append(table.astype(np.float32))
        return [init[name].metric if name in init else "euclidean" for name in names], tables

    # -------------------------------------------------------------------------------------------------------- applying

    def _read_cases(self, X: Any) -> Cases:
        return self._reader.read(self._read_columns(_cells(X), reset=False))

    def _states(self, cases: Cases, pooling: str) -> np.ndarray:
        tables = [self.embeddings_[name] for name in self._reader.category_names]
        return states_after(cases, self._weights, tables, pooling)

    def _next_keys(self) -> np.ndarray:
        found = self.embeddings_[str(self.event_)].keys.tolist() + ([self._end] if self._has_end else [])
        keys = np.empty(len(found), dtype=object)
        keys[:] = found
        return keys

    @property
    def mixture_weights_(self) -> np.ndarray | None:
        """Weights of the net and of the counts in what comes next; None where no event is predicted."""
        if self.event_ is None:
            return None
        return np.array([1.0, 0.0]) if self._mixture is None else self._mixture.weights

    @property
    def classes_(self) -> Any:
        if self._target is None:
            return None
        classes = [output.classes for output in self._target.outputs]
        return (classes[0] if self._target.one_column else classes) if classes[0] is not None else None

    @property
    def target_type_(self) -> str | None:
        return None if self._target is None else self._target.type_

    @property
    def loss_curve_(self) -> list[float]:
        return self._history.loss_curve

    @property
    def validation_scores_(self) -> list[float]:
        return self._history.validation_scores

    @property
    def _n_features_out(self) -> int:
        return self._weights.dim

    def _check_fitted(self) -> None:
        reader, weights = self._reader, self._weights
        names = reader.category_names
        if len(reader.names) != self.n_features_in_ or self._pooling not in POOLINGS:
            raise ValueError(f"expected a reader of {self.n_features_in_} columns and a pooling that is known")
        if sorted(self.embeddings_) != sorted(names) or len(set(names)) < len(names):
            raise ValueError(f"expected tables of the columns {names!r}")
        tables = [self.embeddings_[name] for name in names]
        for table, vocabulary in zip(tables, reader.vocabularies):
            unknown = table.unknown
            if len(table) != len(vocabulary) or unknown is None or unknown.shape != (table.embedding_dim,):
                raise ValueError("expected a vector for each level, and an unknown one")
            if not np.isfinite(table.vectors).all() or not np.isfinite(unknown).all():
                raise ValueError("expected finite vectors of levels")
        dims, knots = [table.embedding_dim for table in tables], [len(k) for k in reader.knots]
        k, m = reader.n_sequence_categories, reader.n_sequence_numbers
        n_gates = weights.recurrent.shape[1]
        n_of_case = n_gates + len(weights.start)
        if not weights.events.fit_together(dims[:k], knots[:m], n_gates):
            raise ValueError("expected weights of the columns of events")
        if not weights.cases.fit_together(dims[k:], knots[m:], n_of_case):
            raise ValueError("expected weights of the plain columns")
        if self.event_ is not None:
            if self.event_ not in names[:k]:
                raise ValueError(f"expected an event among {names[:k]!r}, got {self.event_!r:.40}")
            n_keys = len(self.embeddings_[self.event_]) + self._has_end
            if weights.output.shape[1] != n_keys or not n_keys - self._has_end:
                raise ValueError(f"expected output weights of {n_keys} keys")
            if self._mixture is not None:
                self._mixture.check(names.index(self.event_), n_keys - self._has_end, n_keys)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        tags.target_tags.multi_output = True
        tags.transformer_tags.preserves_dtype = []
        return tags


def _cells(X: Any) -> Any:
    if isinstance(X, CaseTable):
        raise TypeError("X is all that to_sequences returns, expected its first part: pass its X.")
    return as_cells(X)
