"""The problem that `fit` is to solve, the settings of the net, and what comes out of it."""

from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np

from skembed.categorical._effects import Effects, VarianceRatios
from skembed.categorical._folds import training_rows
from skembed.categorical._interactions import Interactions
from skembed.categorical._outliers import Fences
from skembed.categorical._samples import Samples
from skembed.data.keys import smallest
from skembed.data.target import Target
from skembed.state import check_state, stored
from skembed.training.level_net import NetPart
from skembed.training.passes import History

__all__ = ["Layout", "Learned", "Problem", "RowVectors"]

MAX_CODES_PER_ROW = 8  # of which a table takes no longer than sorting them


@dataclass
class Problem:
    """What is to be learned.

    Attributes
    ----------
    ids : ndarray of shape (n_samples, n_columns), int32
        Table rows; 0 is unknown.
    counts : list of ndarray of shape (n_table_rows,)
        Weighted rows of each level.
    numeric : ndarray of shape (n_samples, n_numeric)
    standardised : ndarray of shape (n_samples, n_targets), or (n_samples, n_axes)
        What least squares works on: centered and scaled targets, or where they are very many, what these are along
        `axes`, which effects then have in place of targets.
    axes : ndarray of shape (n_targets, n_axes) or None
        Orthonormal.
    coded : ndarray of shape (n_samples, n_targets)
        As `Target.code` gives it, for a net with hidden layers; of no columns without.
    weight : ndarray of shape (n_samples,)
    target : Target
    initial : list of ndarray of shape (n_table_rows, net), float32
        What the net's tables begin from, and are pulled towards.
    warm_start : list of ndarray of shape (n_table_rows, net), float32
        Where the joint training begins instead; empty without a warm start.
    from_init : set of int
        Columns whose start is a table learned elsewhere; they keep its space.
    frozen : set of int
        Those of them that stay as they are.
    folds : list of (train, test)
        Disjoint test rows; together all of them.
    holds_out : bool
        Whether training rows get the vectors of their folds.
    random_folds : bool
        Whether the folds are drawn from all rows alike, not by groups or by time.
    validates_on_folds : bool
        Whether what stays is decided on the last folds: those of a splitter know how rows are to be held out.
    groups : ndarray of shape (n_samples,), int64, or None
        Which rows belong together, where the folds are not random.
    head : list of ndarray
        Weights and biases that the net's hidden layers begin from; empty without a warm start.
    offset : ndarray of shape (n_samples, n_targets) or None
        What the net's scores begin from, as `Target.offset` gives it; None until effects are learned.
    """

    ids: np.ndarray
    counts: list[np.ndarray]
    numeric: np.ndarray
    standardised: np.ndarray
    axes: np.ndarray | None
    coded: np.ndarray
    weight: np.ndarray
    target: Target
    initial: list[np.ndarray]
    warm_start: list[np.ndarray]
    from_init: set[int]
    frozen: set[int]
    folds: list[tuple[np.ndarray, np.ndarray]]
    holds_out: bool = True
    random_folds: bool = True
    validates_on_folds: bool = False
    groups: np.ndarray | None = None
    head: list[np.ndarray] = field(default_factory=list)
    offset: np.ndarray | None = None

    def of_targets(self, values: np.ndarray) -> np.ndarray:
        """Return values of `standardised` as those of all targets, (n_samples, n_targets)."""
        return values if self.axes is None else values @ self.axes.T

    def samples(self) -> Samples:
        """Return all rows with the standardised target, for effects."""
        return Samples(self.ids, [len(c) for c in self.counts], self.numeric, self.standardised, self.weight)

    def within(self, fences: Fences | None) -> "Problem":
        """Return the problem with the values of numbers between fences, in their unit; those that nets learn, too."""
        if fences is None:
            return self
        coded = fences.bring(self.coded) if self.coded.size else self.coded
        return replace(self, standardised=fences.bring(self.standardised), coded=coded)

    def include(self) -> np.ndarray:
        """Return which rows each fold learns from, (n_samples, n_folds), uint8."""
        return training_rows(self.folds, len(self.ids))


@stored
@dataclass
class Layout:
    """What the columns of a level's vector hold, and how far they may reach.

    Attributes
    ----------
    crossed, marginal : ndarray of shape (n_targets, n_directions)
        Directions of the target along which effects are read.
    net : ndarray of int
        Dimensions of the net that are kept.
    order : ndarray of int
        Where each dimension, crossed ones first, then marginal, then the net's, comes from: by falling spread.
    low, high : ndarray of shape (embedding_dim,)
        The range that training rows show, before scaling.
    """

    crossed: np.ndarray
    marginal: np.ndarray
    net: np.ndarray
    order: np.ndarray
    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True)
class RowVectors:
    """The vectors of rows, of which many are equal.

    Attributes
    ----------
    vectors : ndarray of shape (n_vectors, dim), float32
    codes : ndarray of shape (n_samples,), int
        Which of the vectors each row has, once they are `shared`. Before, each row has its own, and those of rows with
        one code are equal.
    is_shared : bool
    """

    vectors: np.ndarray
    codes: np.ndarray
    is_shared: bool = False

    def shared(self) -> "RowVectors":
        """Return the same with one vector for all rows that have one code."""
        n_rows, n_codes = len(self.codes), int(self.codes.max()) + 1
        if n_codes > MAX_CODES_PER_ROW * n_rows:
            _, row, of = np.unique(self.codes, return_index=True, return_inverse=True)
            return RowVectors(self.vectors[row], smallest(of), is_shared=True)
        row_of = np.full(n_codes, -1, dtype=np.int32)
        row_of[self.codes] = np.arange(n_rows, dtype=np.int32)
        found = np.flatnonzero(row_of >= 0)
        place = np.empty(n_codes, dtype=np.min_scalar_type(len(found) - 1))
        place[found] = np.arange(len(found))
        return RowVectors(self.vectors[row_of[found]], place[self.codes], is_shared=True)

    def cut(self, dim: int) -> np.ndarray:
        """Return the first `dim` dimensions of all rows, or as many as there are, (n_samples, n_dimensions)."""
        first = self.vectors[:, :dim]
        return np.ascontiguousarray(first).take(self.codes, axis=0) if self.is_shared else first


@stored
@dataclass
class Learned:
    """What was learned, as far as vectors and further rows need it.

    Attributes
    ----------
    tables : list of ndarray of shape (n_table_rows, dim), float32
        Of all dimensions that say something, by falling spread; row 0 is the unknown level.
    training_rows : list of RowVectors
        The vectors of the training rows; empty once they are returned.
    layouts : list of Layout
    scale : float
        What vectors are multiplied by.
    informative : list of bool
        Whether a column's vectors differ at all.
    effects : Effects
    ratios : VarianceRatios
    interactions : Interactions
    net : NetPart
    history : History
        Of the passes.
    fences : Fences or None
        Between which values of the standardised target are brought, where that has outliers.
    """

    tables: list[np.ndarray]
    training_rows: list[RowVectors]
    layouts: list[Layout]
    scale: float
    informative: list[bool]
    effects: Effects
    ratios: VarianceRatios
    interactions: Interactions
    net: NetPart
    history: History
    fences: Fences | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "fences" or value is not None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        names = [field.name for field in fields(self) if field.name != "fences"]
        check_state(Learned, state, required=names)
        vars(self).update({"fences": None} | state)
