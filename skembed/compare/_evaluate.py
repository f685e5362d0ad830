"""Cross-validation of encoders of categories: rows, folds and learner are the same, only the encoder differs."""

from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter

import numpy as np
import sklearn
from scipy import sparse
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.metrics import r2_score, roc_auc_score
from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler, TargetEncoder
from sklearn.utils.fixes import parse_version
from threadpoolctl import threadpool_limits

from skembed.compare._read import InputError

ENCODERS = ("onehot", "target", "entity", "ordinal")
LEARNERS = ("linear", "knn", "hgb")
METRICS = {"regression": "R2", "binary": "ROC AUC", "multiclass": "ROC AUC (one vs rest)"}
_TARGET_TYPES = {"regression": "continuous", "binary": "binary", "multiclass": "multiclass"}
_KNN_MAX_ROWS = 50_000  # its time grows with the square of the rows
_KNN_MEGABYTES = 128  # of distances at a time: as fast as scikit-learn's 1024, which take two gigabytes
_HGB_SMALL = 200_000  # values: two free processors are no faster than one, and fifty times slower where one is taken
_HGB_MAX_ONEHOT = 255  # one-hot columns beyond this are made dense for nothing: trees gain little and take minutes


@dataclass
class Encoding:
    """What one encoder costs, one value per fold; `n_columns` and `n_bytes` are those of the largest fold."""

    fit_seconds: list = field(default_factory=list)
    transform_seconds: list = field(default_factory=list)
    n_columns: int = 0
    n_bytes: int = 0


@dataclass
class Row:
    """One pipeline: an encoder with a learner."""

    encoder: str
    learner: str
    encoding: Encoding
    scores: list = field(default_factory=list)
    learn_seconds: list = field(default_factory=list)
    skipped: str = ""  # why there are no scores

    @property
    def mean(self):
        return float(np.mean(self.scores)) if self.scores else float("nan")

    @property
    def spread(self):
        """Standard deviation of the scores over folds."""
        return float(np.std(self.scores, ddof=1)) if len(self.scores) > 1 else 0.0

    @property
    def fit_seconds(self):
        """Seconds to fit the pipeline on one fold's training rows."""
        return float(np.mean(self.encoding.fit_seconds) + np.mean(self.learn_seconds)) if self.scores else float("nan")

    @property
    def transform_seconds(self):
        """Seconds to encode one fold's test rows."""
        return float(np.mean(self.encoding.transform_seconds)) if self.scores else float("nan")


def pipeline(encoder, learner, problem, *, random_state=0):
    """An ordinary scikit-learn Pipeline: encode the categories, scale the numbers, then learn.

    Parameters
    ----------
    encoder : {"onehot", "target", "entity", "ordinal"} or transformer
    learner : {"linear", "knn", "hgb"}
        Ridge or logistic regression, 15 nearest neighbours, or histogram gradient boosting.
    problem : ComparisonProblem
        Says which columns are categories and what the task is.
    random_state : int, default=0

    Returns
    -------
    pipeline : sklearn.pipeline.Pipeline
        Not fitted, with the steps ``"columns"`` and ``"learner"``. Where the problem has groups, it is fitted with
        ``groups=problem.groups``, and scikit-learn's metadata routing enabled.

    Raises
    ------
    ValueError
        If the encoder or learner is not known.

    Examples
    --------
    >>> from skembed.compare import pipeline, unicode_problem
    >>> problem = unicode_problem(max_rows=500)
    >>> model = pipeline("target", "linear", problem).fit(problem.X, problem.y)
    >>> str(model.predict(problem.X)[0]) in set(problem.y)
    True
    """
    if isinstance(encoder, str):
        encoder_name, encoder = encoder, _make_encoder(encoder, problem, dense=learner == "hgb", seed=random_state)
    else:
        encoder_name = type(encoder).__name__
    # the entity encoder sees the numbers too: an effect of a level that knows them does not claim their share
    seen = [*problem.categorical, *problem.numeric] if encoder_name == "entity" else problem.categorical
    steps = [("categorical", encoder, seen)]
    if problem.numeric:
        # a value that is missing often says something itself
        impute = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
        steps.append(("numeric", make_pipeline(impute, StandardScaler()), problem.numeric))
    return Pipeline(
        [
            ("columns", ColumnTransformer(steps)),
            ("learner", _make_learner(learner, encoder_name, problem, random_state)),
        ]
    )


def _make_encoder(name, problem, *, dense, seed):
    target_type = _TARGET_TYPES[problem.task]
    if name == "onehot":
        return OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=2, sparse_output=not dense)
    if name == "ordinal":
        return OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2)
    if name == "target":
        return _make_target_encoder(problem, target_type, seed)
    if name == "entity":
        from skembed.categorical import EntityEmbeddingEncoder

        by_name = all(isinstance(column, str) for column in problem.categorical)
        # an array's columns are counted anew in the part that the encoder is given, which begins with the categories
        categories = list(problem.categorical) if by_name else list(range(len(problem.categorical)))
        made = EntityEmbeddingEncoder(categorical_features=categories, target_type=target_type, cv=5, random_state=seed)
        if problem.groups is None:
            return made
        with sklearn.config_context(enable_metadata_routing=True):
            return made.set_params(cv=_inner_splitter(problem, 5, seed)).set_fit_request(groups=True)
    raise ValueError(f'encoder="{name}": expected one of {", ".join(ENCODERS)}.')


def _make_target_encoder(problem, target_type, seed):
    if parse_version(sklearn.__version__) < parse_version("1.9"):  # it knows no groups
        return TargetEncoder(target_type=target_type, random_state=seed)
    return TargetEncoder(target_type=target_type, cv=_inner_splitter(problem, 5, seed))


def _make_learner(name, encoder_name, problem, seed):
    regression = problem.task == "regression"
    if name == "linear":
        if regression:
            # inner folds instead of leave-one-out, whose exact solution needs a square matrix of all one-hot columns
            model = RidgeCV(np.logspace(-1, 4, 6), cv=_inner_splitter(problem, 3, seed))
        else:
            model = LogisticRegression(max_iter=300, C=0.1)
        return make_pipeline(StandardScaler(with_mean=False), model)
    if name == "knn":
        n_neighbors = min(15, max(1, len(problem.y) // 4))
        model = KNeighborsRegressor(n_neighbors) if regression else KNeighborsClassifier(n_neighbors)
        # one-hot and entity columns share one scale by construction: scaling them would inflate rare levels
        return model if encoder_name in ("onehot", "entity") else make_pipeline(StandardScaler(), model)
    if name == "hgb":
        if regression:
            return HistGradientBoostingRegressor(random_state=seed)
        # without a penalty the leaves of a rare class grow without bound: AUC 0.82 instead of 0.99 on Unicode
        stops = _has_rows_for_stopping(problem.y)
        return HistGradientBoostingClassifier(early_stopping=stops, l2_regularization=1.0, random_state=seed)
    raise ValueError(f'learner="{name}": expected one of {", ".join(LEARNERS)}.')


def _has_rows_for_stopping(y):
    """Whether each class can be in the tenth of training rows, half of all or more, that early stopping holds out."""
    counts = np.unique(y, return_counts=True)[1]
    return bool(counts.min() >= 4 and np.ceil(len(y) // 2 / 10) >= len(counts))


def evaluate(problem, *, encoders=("onehot", "target", "entity"), learners="auto", cv=5, random_state=0, progress=None):
    """Cross-validate every encoder with every learner on the same folds.

    Parameters
    ----------
    problem : ComparisonProblem
    encoders : sequence of {"onehot", "target", "entity", "ordinal"}
    learners : "auto" or sequence of {"linear", "knn", "hgb"}, default="auto"
        "auto": all three, but no nearest neighbours above 50,000 rows.
    cv : int, default=5
        Number of shuffled folds, stratified by class. Where the problem has groups, each lies in one fold.
    random_state : int, default=0
        Of the folds, encoders and learners.
    progress : callable, default=None
        Called as ``progress(what)`` before each step, of which there are ``cv * n_encoders * (1 + n_learners)``.

    Returns
    -------
    rows : list of Row
        Ordered by learner, then as `encoders`. What could not run has no scores, and says why in ``skipped``.

    Raises
    ------
    InputError
        If there are too few rows, groups, or rows of a class, for the folds, or nothing could run.

    Notes
    -----
    A fold's matrix is made once per encoder and given to each learner, which yields the scores of the Pipeline.
    """
    n_rows, is_auto = len(problem.y), learners == "auto"
    learners = LEARNERS if is_auto else tuple(learners)
    if n_rows < 4 * cv:
        raise InputError(f"{n_rows} rows are too few for {cv} folds: at least {4 * cv} are needed, or a smaller --cv.")
    if problem.task != "regression":
        classes, counts = np.unique(problem.y, return_counts=True)
        if counts.min() < cv:  # a score of one against the rest needs rows of both in each fold
            raise InputError(
                f'class "{classes[counts.argmin()]}" has {counts.min()} rows, too few for {cv} folds: read the problem '
                f"with cv={cv}, which leaves such classes out, or give a smaller cv."
            )
    encodings = {encoder: Encoding() for encoder in encoders}
    rows = {(e, n): Row(e, n, encodings[e]) for n in learners for e in encoders}
    if is_auto and n_rows > _KNN_MAX_ROWS:
        for (_, learner), row in rows.items():
            if learner == "knn":
                row.skipped = f"nearest neighbours are slow above {_KNN_MAX_ROWS:,} rows"
    tick = progress or (lambda what: None)
    # within the training rows of each fold there are folds again, which need two groups
    if problem.groups is not None and _count_groups(problem) < max(cv, 4):
        raise InputError(
            f"{_count_groups(problem)} groups are too few for {cv} folds: at least {max(cv, 4)} are needed. Name "
            "another --group, or give a smaller --cv."
        )
    for train, test in _folds(problem, cv, random_state):
        for encoder in encoders:
            tick(encoder)
            pending = [row for (e, _), row in rows.items() if e == encoder and not row.skipped]
            try:
                matrices = _encode(encoder, problem, train, test, encodings[encoder], random_state)
            except (ValueError, TypeError, MemoryError, RuntimeError, ImportError) as error:
                for row in pending:
                    _give_up(row, f"{encoder} failed: {_one_line(error)}")
                matrices = None
            for learner in learners:
                tick(f"{encoder}, {learner}")
                row = rows[encoder, learner]
                if matrices is not None and not row.skipped:
                    _learn(row, matrices, train, test, problem, random_state)
    if not any(row.scores for row in rows.values()):
        raise InputError(f"nothing could run: {next(iter(rows.values())).skipped}")
    return list(rows.values())


def _folds(problem, cv, seed):
    return _splitter(problem, cv, seed).split(problem.X, problem.y, problem.groups)


def _splitter(problem, cv, seed):
    if problem.groups is None:
        splitter = KFold if problem.task == "regression" else StratifiedKFold
    else:
        splitter = GroupKFold if problem.task == "regression" else StratifiedGroupKFold
    return splitter(cv, shuffle=True, random_state=seed)


def _inner_splitter(problem, cv, seed):
    """Folds within training rows, which have at least half of the groups."""
    if problem.groups is not None:
        cv = min(cv, max(2, _count_groups(problem) // 2))
    return _splitter(problem, cv, seed)


def _count_groups(problem):
    return len(np.unique(problem.groups))


def takes_groups(problem, *, encoder=None, learner=None):
    """Whether an encoder or a learner splits training rows by the groups of a problem: others are not told of them."""
    if problem.groups is None:
        return False
    splits = encoder == "entity" or (encoder == "target" and parse_version(sklearn.__version__) >= parse_version("1.9"))
    return splits or (learner == "linear" and problem.task == "regression")


@contextmanager
def routed_groups(problem, rows, *, encoder=None, learner=None):
    """Keyword arguments of `fit` that tell the groups of some rows to what takes them, and the routing they need."""
    if not takes_groups(problem, encoder=encoder, learner=learner):
        yield {}
        return
    with sklearn.config_context(enable_metadata_routing=True):
        yield {"groups": problem.groups[rows]}


def _take(X, rows):
    return X.iloc[rows] if hasattr(X, "iloc") else X[rows]


def _encode(encoder, problem, train, test, encoding, seed):
    columns = pipeline(encoder, "linear", problem, random_state=seed).named_steps["columns"]
    with routed_groups(problem, train, encoder=encoder) as groups:
        start = perf_counter()
        A = columns.fit_transform(_take(problem.X, train), problem.y[train], **groups)
        encoding.fit_seconds.append(perf_counter() - start)
    start = perf_counter()
    B = columns.transform(_take(problem.X, test))
    encoding.transform_seconds.append(perf_counter() - start)
    encoding.n_columns = max(encoding.n_columns, A.shape[1])
    encoding.n_bytes = max(encoding.n_bytes, _n_bytes(A))
    return A, B


def _learn(row, matrices, train, test, problem, seed):
    A, B = matrices
    if row.learner == "hgb" and sparse.issparse(A):
        if A.shape[1] > _HGB_MAX_ONEHOT:
            return _give_up(row, f"more than {_HGB_MAX_ONEHOT} one-hot columns are too many for trees")
        A, B = A.toarray(), B.toarray()
    learner = clone(pipeline(row.encoder, row.learner, problem, random_state=seed).named_steps["learner"])
    is_small = row.learner == "hgb" and A.size <= _HGB_SMALL
    start = perf_counter()
    try:
        with (
            threadpool_limits(1 if is_small else None, user_api="openmp"),
            sklearn.config_context(working_memory=_KNN_MEGABYTES),
            routed_groups(problem, train, learner=row.learner) as groups,
        ):
            learner.fit(A, problem.y[train], **groups)
            seconds = perf_counter() - start
            score = _score(learner, B, problem.y[test], problem.task)
    except (ValueError, MemoryError, RuntimeError) as error:
        return _give_up(row, f"{row.learner} failed: {_one_line(error)}")
    if not np.isfinite(score):
        return _give_up(row, f"{row.learner} failed: the score of a fold is {score}")
    row.scores.append(score)
    row.learn_seconds.append(seconds)


def _give_up(row, why):
    """A mean over some of the folds is not comparable: keep none."""
    row.skipped = why
    row.scores.clear()
    row.learn_seconds.clear()


def _score(learner, B, y, task):
    if task == "regression":
        return float(r2_score(y, learner.predict(B)))
    probability = learner.predict_proba(B)
    if task == "binary":
        return float(roc_auc_score(y == learner.classes_[1], probability[:, 1]))
    probability = probability / probability.sum(axis=1, keepdims=True)
    return float(roc_auc_score(y, probability, multi_class="ovr", labels=learner.classes_))


def _n_bytes(A):
    if sparse.issparse(A):
        return A.data.nbytes + A.indices.nbytes + A.indptr.nbytes
    return A.nbytes


def _one_line(error):
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
