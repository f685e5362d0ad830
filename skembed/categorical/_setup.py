"""Setup of a fit: the `Problem` that is learned, made of X and y, and the `Schema` that later calls read X by."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from sklearn.utils import check_consistent_length, column_or_1d
from sklearn.utils.validation import _num_samples

from skembed.apply.init_tables import read_init, vectors_from_init
from skembed.base import check_weights, class_weights
from skembed.categorical._dims import hidden_dim, resolve_dims
from skembed.categorical._folds import are_random, is_number_of_folds, make_folds, n_folds_at_least
from skembed.categorical._numeric import NumericScaler
from skembed.categorical._problem import Learned, Problem
from skembed.categorical._target_axes import max_axes, target_axes
from skembed.data.columns import Columns
from skembed.data.factor import Factor
from skembed.data.keys import smallest
from skembed.data.levels import degenerate_columns, factorize_columns, weighted_vocabulary
from skembed.data.roles import numeric_columns, some_categorical_positions
from skembed.data.target import Target, as_columns
from skembed.data.twins import twin_levels
from skembed.data.vocabulary import Vocabulary
from skembed.memory import check_memory
from skembed.state import check_state, stored

__all__ = ["Schema", "Setup", "initial_vectors", "row_weights", "set_up", "set_up_again", "stacked"]

SOLVER_COPIES = 6  # solution, residual, direction, its image and two more, of all levels for all folds
CODE_SCALE = 0.1  # spread of a frequent level's start code: small beside effects, which are in units of the target
CODE_PRIOR = 100.0  # rows of a level at which its start code has 70 % of that spread


@stored
@dataclass
class Schema:
    """How X and y are read, as `fit` settled it.

    Attributes
    ----------
    names : list of str
        Of the categorical columns; ``x0``, ``x1``, ... where X has no names.
    numeric_names : list of str
        Of the numeric side inputs as the net has them.
    positions, numeric_positions : list of int
        The categorical and the numeric columns of X.
    vocabularies : list of Vocabulary
    target : Target
    axes : ndarray of shape (n_targets, n_axes) or None
        Directions of very many targets along which effects are learned, see `target_axes`.
    scaler : NumericScaler
    from_init, frozen : set of int
        Columns that began from a table of `init`, and those that stay as it is.
    metrics : list of str
        By which each column's table is read: its table's of `init`, else the Euclidean.
    counts : list of ndarray of shape (n_table_rows,)
        Weighted rows of each level so far.
    dims : list of int or None
        Columns of the output for each categorical column, None for as many as say something.
    """

    names: list[str]
    numeric_names: list[str]
    positions: list[int]
    numeric_positions: list[int]
    vocabularies: list[Vocabulary]
    target: Target
    axes: np.ndarray | None
    scaler: NumericScaler
    from_init: set[int]
    frozen: set[int]
    metrics: list[Any]
    counts: list[np.ndarray]
    dims: list[int | None]

    def __getstate__(self) -> dict[str, Any]:
        # without weights the vocabularies have the counts of all rows but the unknown one
        counted = [c[:1] if np.array_equal(c[1:], v.counts) else c for c, v in zip(self.counts, self.vocabularies)]
        return self.__dict__ | {"counts": [smallest(c) for c in counted]}

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = state if "axes" in state else state | {"axes": None}  # the first files of version 1 have none
        check_state(Schema, state, [f.name for f in fields(Schema)])
        n = len(state["positions"])
        if any(len(state[name]) != n for name in ("names", "vocabularies", "metrics", "counts", "dims")):
            raise ValueError(f"Schema: expected names, vocabularies, metrics, counts and dims of {n} columns")
        counts = []
        for vocabulary, counted in zip(state["vocabularies"], state["counts"]):
            if counted.shape not in ((1,), (len(vocabulary) + 1,)):
                raise ValueError(f"Schema: expected counts of {len(vocabulary) + 1} table rows, got {counted.shape}")
            further = vocabulary.counts if len(counted) == 1 else counted[1:]
            counts.append(np.concatenate([counted[:1], further]).astype(np.float64))
        self.__dict__.update(state, counts=counts)


@dataclass
class Setup:
    """One `fit`.

    Attributes
    ----------
    schema : Schema
    rows : ndarray of int
        Rows of X with positive weight, which are learned from.
    others : ndarray of int
        The other ones.
    other_ids : list of ndarray of shape (n_others,), int64
        Their table rows, of every column.
    degenerate : list of str
        What there is to warn of columns that cannot tell rows apart.
    twins : list of str
        What there is to warn of levels that are there as a number and as text.
    """

    schema: Schema
    rows: np.ndarray
    others: np.ndarray
    other_ids: list[np.ndarray]
    degenerate: list[str]
    twins: list[str]


def set_up(
    estimator: Any,
    columns: Columns,
    y: Any,
    weight: np.ndarray,
    groups: Any,
    rng: np.random.RandomState,
    *,
    classes: Any,
    previous: tuple[Schema, Learned] | None,
    hidden: bool,
) -> tuple[Setup, Problem]:
    """Settle roles, levels, target, dimensions, starts and folds.

    Parameters
    ----------
    estimator : EntityEmbeddingEncoder
        Its parameters are read.
    columns : Columns
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
    weight : ndarray of shape (n_samples,)
    groups : array-like of shape (n_samples,) or None
    rng : numpy.random.RandomState
    classes : array-like or None
    previous : (Schema, Learned) or None
        What a warm start begins from.
    hidden : bool
        Whether the net has hidden layers, whose tables begin from random vectors.

    Returns
    -------
    Setup
    Problem
    """
    rows = learnable_rows(estimator, weight)
    all_y = as_columns(y)
    y, kept_weight = all_y[rows], weight[rows]
    positions = some_categorical_positions(estimator.categorical_features, columns)
    numeric_positions = [i for i in range(len(columns.values)) if i not in positions]
    names = [columns.label(i) for i in positions]
    numeric = [values[rows] for values in numeric_columns(columns, numeric_positions)]
    factors = factorize_columns(columns, positions)
    vocabularies, ids = read_levels(estimator, factors, weight, rows)
    counts = [np.bincount(i[rows], kept_weight, len(v) + 1) for i, v in zip(ids, vocabularies)]
    target = read_target(estimator, y, kept_weight, classes)
    init = read_init(estimator.init, names)
    from_init = vectors_from_init(init, names, vocabularies)
    n_levels = [len(v) for v in vocabularies]
    dims = [
        from_init[c].shape[1] if c in from_init else d
        for c, d in enumerate(resolve_dims(estimator.embedding_dim, names, n_levels))
    ]
    n_folds = n_folds_at_least(estimator.cv, rows, len(all_y), groups)
    n_coded = target.n_targets if hidden else 0
    predict_memory(len(rows), counts, dims, min(target.n_targets, max_axes(len(rows))), n_coded, n_folds)
    initial = [
        from_init[c] if c in from_init else initial_vectors(counts[c], hidden_dim(n) if hidden else 0, rng)
        for c, n in enumerate(n_levels)
    ]
    warm_start = (
        [] if previous is None or not hidden else carry_over(initial, names, vocabularies, from_init, *previous)
    )
    scaler = NumericScaler(numeric, kept_weight)
    stacked_ids, scaled = stacked([i[rows] for i in ids], len(rows)), scaler.apply(numeric, len(rows))
    standardised = target.standardise(y)
    axes = None
    if target.n_targets > max_axes(len(rows)):
        sizes = [len(c) for c in counts]
        axes = target_axes(stacked_ids, sizes, scaled, standardised, kept_weight, rng)
    schema = Schema(
        names=names,
        numeric_names=scaler.names([columns.label(i) for i in numeric_positions]),
        positions=positions,
        numeric_positions=numeric_positions,
        vocabularies=vocabularies,
        target=target,
        axes=axes,
        scaler=scaler,
        from_init=set(from_init),
        frozen=set(from_init) if estimator.init_frozen else set(),
        metrics=[init[name].metric if name in init else "euclidean" for name in names],
        counts=counts,
        dims=dims,
    )
    problem = Problem(
        ids=stacked_ids,
        counts=counts,
        numeric=scaled,
        standardised=standardised.along(axes),
        axes=axes,
        coded=target.code(y) if hidden else np.empty((len(y), 0)),
        weight=kept_weight,
        target=target,
        initial=initial,
        warm_start=warm_start,
        from_init=schema.from_init,
        frozen=schema.frozen,
        folds=make_folds(
            estimator.cv,
            all_y,
            rows,
            groups,
            stratify=target.one_column and target.outputs[0].classes is not None,
            rng=rng,
        ),
        holds_out=estimator.cv is not None,
        random_folds=are_random(estimator.cv),
        validates_on_folds=not is_number_of_folds(estimator.cv),
        groups=None if groups is None or are_random(estimator.cv) else group_numbers(groups, rows),
        head=[] if previous is None or not hidden else previous[1].net.head,
    )
    others = np.flatnonzero(weight <= 0)
    degenerate, twins = degenerate_columns(names, factors, rows), twin_levels(names, factors)
    setup = Setup(schema, rows, others, [i[others] for i in ids], degenerate, twins)
    return setup, problem


def group_numbers(groups: Any, rows: np.ndarray) -> np.ndarray | None:
    """Return the group of each of some rows as a number from 0 on, int64; None if all are of one."""
    names, of_row = np.unique(column_or_1d(groups)[rows], return_inverse=True)
    return of_row.astype(np.int64) if len(names) > 1 else None


def set_up_again(estimator: Any, setup: Setup, y: Any, weight: np.ndarray) -> Setup:
    """Return the setup of a fit of the same rows, by an estimator that differs in `embedding_dim` alone.

    What `set_up` warns of y, it warns of again.
    """
    schema, target = setup.schema, deepcopy(setup.schema.target)  # its classes are shown
    if estimator.target_type == "auto" and target.outputs[0].classes is None:
        read_target(estimator, as_columns(y)[setup.rows], weight[setup.rows], None)
    dims = resolve_dims(estimator.embedding_dim, schema.names, [len(v) for v in schema.vocabularies])
    return replace(setup, schema=replace(schema, target=target, dims=dims))


def stacked(ids: list[np.ndarray], n_rows: int) -> np.ndarray:
    """Return the table rows of all columns side by side, (n_rows, n_columns), int32."""
    return np.stack(ids, axis=1).astype(np.int32) if ids else np.empty((n_rows, 0), dtype=np.int32)


def learnable_rows(estimator: Any, weight: np.ndarray) -> np.ndarray:
    """Return the rows of positive weight; ValueError if there are not two."""
    rows = np.flatnonzero(weight > 0)
    if len(rows) < 2:
        raise ValueError(
            f"Found array with {len(rows)} sample(s) of positive weight while a minimum of 2 is required by "
            f"{type(estimator).__name__}."
        )
    return rows


def read_levels(
    estimator: Any, factors: list[Factor], weight: np.ndarray, rows: np.ndarray
) -> tuple[list[Vocabulary], list[np.ndarray]]:
    """Return the vocabulary of each categorical column, and its table row for every row of X."""
    limits = {"min_frequency": estimator.min_frequency, "max_categories": estimator.max_categories}
    vocabularies = [weighted_vocabulary(f, weight, rows, **limits) for f in factors]
    return vocabularies, [v.encode(f) for v, f in zip(vocabularies, factors)]


def read_target(estimator: Any, y: np.ndarray, weight: np.ndarray, classes: Any) -> Target:
    """Return the target; ValueError where classes are weighted and there are none."""
    target = Target.learn(y, estimator.target_type, weight, classes)
    if estimator.class_weight is not None and target.outputs[0].classes is None:
        raise ValueError(
            f"class_weight is {estimator.class_weight!r} and the target is continuous; expected classes. "
            "Use sample_weight in fit instead."
        )
    return target


def row_weights(sample_weight: Any, class_weight: Any, y: Any, n_samples: int, classes: Any = None) -> np.ndarray:
    """Return the weight of each row, its class's included, (n_samples,).

    A dict of weights may name any of `classes`, if they are known: rows may be a part that lacks some.
    """
    check_consistent_length(np.empty(n_samples), np.empty(_num_samples(y)))
    weight = check_weights(sample_weight, n_samples)
    if class_weight is not None:
        rows = np.flatnonzero(weight)  # what "balanced" counts
        y = as_columns(y)[rows]
        known = None if classes is None or y.shape[1] > 1 else as_columns(list(classes), "classes")[:, 0]
        weight[rows] *= class_weights(class_weight, y, known)
    return weight


def predict_memory(
    n_samples: int, counts: list[np.ndarray], dims: list[int | None], n_targets: int, n_coded: int, n_folds: int
) -> None:
    """Raise MemoryError if what is surely held at one time is more than the machine has."""
    n_columns = len(counts)
    # targets, residuals and held-out effects; what a net with hidden layers is told; ids and fold of each row
    rows = 8 * n_samples * (10 * n_targets + 2 * n_coded + n_columns)
    effects = 8 * sum(map(len, counts)) * n_targets * (n_folds + 1) * SOLVER_COPIES
    tables = 4 * sum((len(c) + n_samples) * (dim or 1) for c, dim in zip(counts, dims))
    several = n_targets > 1
    check_memory(
        rows + effects + tables,
        f"learning {sum(map(len, counts))} levels of {n_columns} columns from {n_samples} rows"
        + (f" for {n_targets} classes, outputs or directions of y" if several else ""),
        "lower embedding_dim, max_categories or the folds of cv, raise min_frequency, or give fewer rows"
        + (", join rare classes, or set target_type='continuous' if y is a number" if several else ""),
    )


def initial_vectors(counts: np.ndarray, dim: int, rng: np.random.RandomState) -> np.ndarray:
    """Draw a code for each level, about orthogonal to the others, shorter for rarer ones; the unknown level's is zero.

    A code says which level it is and nothing of the target, so it is the same in all folds.
    """
    if not dim:
        return np.empty((len(counts), 0), dtype=np.float32)
    length = CODE_SCALE * np.sqrt(counts / (counts + CODE_PRIOR))
    initial = rng.standard_normal((len(counts), dim)) * length[:, None]
    initial[0] = 0.0
    return initial.astype(np.float32)


def carry_over(
    initial: list[np.ndarray],
    names: list[str],
    vocabularies: list[Vocabulary],
    from_init: Mapping[int, np.ndarray],
    schema: Schema,
    learned: Learned,
) -> list[np.ndarray]:
    """Let the levels that an earlier fit knew keep their initial vectors, in place, and begin where it left them.

    These stay what shrinkage pulls towards and what the folds begin from: the rows that the earlier fit learned
    may be among those held out now.

    Returns
    -------
    list of ndarray of shape (n_table_rows, net), float32
        What the net begins from.
    """
    warm_start = [table.copy() for table in initial]
    for c, name in enumerate(names):
        if name not in schema.names or c in from_init:
            continue
        old = schema.names.index(name)
        raw = learned.net.raw[old]
        if raw.shape[1] != initial[c].shape[1] or not learned.net.initial[old].any():
            continue
        rows = schema.vocabularies[old].encode_keys(list(vocabularies[c].keys))
        known = np.flatnonzero(rows > 0)
        initial[c][known + 1] = learned.net.initial[old][rows[known]]
        warm_start[c][known + 1] = raw[rows[known]]
        warm_start[c][0] = raw[0]
    return warm_start
