"""The problem that `fit` is to solve, the settings of the net, and what comes out of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from skembed.categorical._effects import Effects, VarianceRatios
from skembed.categorical._interactions import Interactions
from skembed.categorical._target import Target
from skembed.training.passes import History

__all__ = ["Layout", "Learned", "NetPart", "NetSettings", "Problem"]

DEFAULT_SHRINKAGE = 50.0  # where there are no validation rows to choose it on
ADAPTING_LAYERS = (128, 64)
CODE_FLOOR = 0.35  # a direction of the net's rows along which the prediction changes less than this is not read


@dataclass
class Problem:
    """What is to be learned.

    Attributes
    ----------
    ids : ndarray of shape (n_samples, n_columns), int32
        Table rows; 0 is unknown.
    counts : list of ndarray of shape (n_table_rows,)
        Weighted rows of each level.
    side : ndarray of shape (n_samples, n_side)
    coded : ndarray of shape (n_samples, n_targets)
        As `Target.code` gives it.
    weight : ndarray of shape (n_samples,)
    target : Target
    codes : list of ndarray of shape (n_table_rows, net), float32
        What the net's tables begin from, and are pulled towards.
    begin : list of ndarray of shape (n_table_rows, net), float32
        Where the joint training begins instead; empty without a warm start.
    given : set of int
        Columns whose start is a table learned elsewhere; they keep its space.
    frozen : set of int
        Those of them that stay as they are.
    folds : list of (train, test)
        Disjoint test rows; together all of them.
    holds_out : bool
        Whether training rows get the vectors of their folds.
    """

    ids: np.ndarray
    counts: list[np.ndarray]
    side: np.ndarray
    coded: np.ndarray
    weight: np.ndarray
    target: Target
    codes: list[np.ndarray]
    begin: list[np.ndarray]
    given: set[int]
    frozen: set[int]
    folds: list[tuple[np.ndarray, np.ndarray]]
    holds_out: bool = True

    def include(self) -> np.ndarray:
        """Return which rows each fold learns from, (n_samples, n_folds), uint8."""
        include = np.zeros((len(self.ids), len(self.folds)), dtype=np.uint8)
        for k, (train, _) in enumerate(self.folds):
            include[train, k] = 1
        return include


@dataclass
class NetSettings:
    """Parameters of the estimator that the net needs, under their own names."""

    hidden_layer_sizes: Sequence[int]
    max_iter: int
    batch_size: int
    learning_rate: float
    early_stopping: bool
    validation_fraction: float
    n_iter_no_change: int
    tol: float
    device: str
    verbose: int
    head: list[np.ndarray] | None = None
    observer: Any = None

    @classmethod
    def of(cls, estimator: Any, n_rows: int, observer: Any = None) -> "NetSettings":
        """Read the settings off an estimator, and choose the batch size for `n_rows` where it is "auto"."""
        chosen = {f.name: getattr(estimator, f.name) for f in fields(cls) if hasattr(estimator, f.name)}
        if isinstance(chosen["hidden_layer_sizes"], str):  # "auto": tables from elsewhere need a net to be adapted by
            chosen["hidden_layer_sizes"] = ADAPTING_LAYERS if estimator.init and not estimator.init_frozen else ()
        chosen["hidden_layer_sizes"] = tuple(chosen["hidden_layer_sizes"])
        if chosen["batch_size"] == "auto":
            chosen["batch_size"] = int(np.clip(n_rows // 400, 64, 1024))
        return cls(**chosen, observer=observer)


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


@dataclass
class Learned:
    """What was learned.

    Attributes
    ----------
    tables : list of ndarray of shape (n_table_rows, dim), float32
        Of all dimensions that say something, by falling spread; row 0 is the unknown level.
    training_rows : list of ndarray of shape (n_samples, dim), float32
        The vectors of the training rows; empty once they are handed out.
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
    """

    tables: list[np.ndarray]
    training_rows: list[np.ndarray]
    layouts: list[Layout]
    scale: float
    informative: list[bool]
    effects: Effects
    ratios: VarianceRatios
    interactions: Interactions
    net: "NetPart"
    history: History


@dataclass
class NetPart:
    """A net with hidden layers: what was learned by it.

    Attributes
    ----------
    codes : list of ndarray of shape (n_table_rows, dim), float32
        The start codes.
    raw : list of ndarray of shape (n_table_rows, dim), float32
        The net's own rows, before they are scaled.
    fold_raw : list of such lists
        One for each fold, learned without its test rows; empty if not asked for.
    scalings : list of ndarray of shape (dim, n_read)
        From a row to the directions that the net reads, in units of the prediction.
    head : list of ndarray
        Weights and biases of the head, none if no net was trained.
    shrinkage : float
    history : History
    """

    codes: list[np.ndarray]
    raw: list[np.ndarray]
    fold_raw: list[list[np.ndarray]]
    scalings: list[np.ndarray]
    head: list[np.ndarray] = field(default_factory=list)
    shrinkage: float = float("inf")
    history: History = field(default_factory=History)
