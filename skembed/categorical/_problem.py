"""What `fit` is to learn, the settings of the net, and what comes out: shared by the numpy and the torch side."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from skembed.categorical._dims import Allocation
from skembed.categorical._effects import Effects, VarianceRatios
from skembed.categorical._target import Target

__all__ = ["Learned", "NetPart", "NetSettings", "Problem", "unseen_as_unknown"]

DEFAULT_SHRINKAGE = 50.0  # where there are no validation rows to choose it on
CODE_FLOOR = 0.35  # what a start code is scaled by where the net finds no use for it


@dataclass
class Problem:
    """What is to be learned.

    Attributes
    ----------
    ids : ndarray of shape (n_samples, n_columns), int64
        Table rows; 0 is unknown.
    counts : list of ndarray of shape (n_table_rows,)
        Weighted rows of each level.
    side : ndarray of shape (n_samples, n_side)
    coded : ndarray of shape (n_samples, n_targets)
        As `Target.code` gives it.
    weight : ndarray of shape (n_samples,)
    target : Target
    allocations : list of Allocation
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
    """

    ids: np.ndarray
    counts: list[np.ndarray]
    side: np.ndarray
    coded: np.ndarray
    weight: np.ndarray
    target: Target
    allocations: list[Allocation]
    codes: list[np.ndarray]
    begin: list[np.ndarray]
    given: set[int]
    frozen: set[int]
    folds: list[tuple[np.ndarray, np.ndarray]]


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
        if chosen["batch_size"] == "auto":
            chosen["batch_size"] = int(np.clip(n_rows // 400, 64, 1024))
        return cls(**chosen, observer=observer)


@dataclass
class Learned:
    """What was learned.

    Attributes
    ----------
    matrices : list of ndarray of shape (n_table_rows, embedding_dim), float32
        Row 0 is the unknown level.
    fold_matrices : list of such lists
        One for each fold, learned without its test rows; empty if not asked for.
    codes : list of ndarray of shape (n_table_rows, net), float32
        The start codes.
    raw : list of ndarray of shape (n_table_rows, net), float32
        The net's own rows, before they are scaled.
    scalings : list of ndarray of shape (net, net)
    head : list of ndarray
        Weights and biases of the head, none if no net was trained.
    effects : Effects
    ratios : VarianceRatios
    directions : list of (crossed, marginal) pairs of ndarray of shape (n_targets, n_directions)
    shrinkage : float
    loss_curve, validation_scores : list of float
    n_iter : int
    """

    matrices: list[np.ndarray]
    fold_matrices: list[list[np.ndarray]]
    codes: list[np.ndarray]
    raw: list[np.ndarray]
    scalings: list[np.ndarray]
    head: list[np.ndarray]
    effects: Effects
    ratios: VarianceRatios
    directions: list[tuple[np.ndarray, np.ndarray]]
    shrinkage: float
    loss_curve: list[float] = field(default_factory=list)
    validation_scores: list[float] = field(default_factory=list)
    n_iter: int = 0


@dataclass
class NetPart:
    """The net's share of what is learned; fields as in `Learned`."""

    raw: list[np.ndarray]
    fold_raw: list[list[np.ndarray]]
    scalings: list[np.ndarray]
    head: list[np.ndarray] = field(default_factory=list)
    shrinkage: float = float("inf")
    loss_curve: list[float] = field(default_factory=list)
    validation_scores: list[float] = field(default_factory=list)
    n_iter: int = 0


def unseen_as_unknown(problem: Problem, raw: list[np.ndarray], rows: np.ndarray) -> list[np.ndarray]:
    """Give levels that `rows` never show the vector of the unknown level."""
    out = []
    for c, table in enumerate(raw):
        if c in problem.given:  # a given vector was learned elsewhere
            out.append(table)
            continue
        seen = np.bincount(problem.ids[rows, c], problem.weight[rows], len(table)) > 0
        out.append(np.where(seen[:, None], table, table[0]))
    return out
