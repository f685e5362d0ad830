"""From ids and a target to one matrix of vectors for each column: the named steps of `EntityEmbeddingEncoder.fit`.

1. effects of the levels by shrunken least squares, for all rows and for the rows outside each fold;
2. a net over start codes that learns what the effects leave, each row's offset taken from its own fold;
3. the head frozen, tables learned again by one fixed procedure from any set of rows: all, or those outside a fold;
4. the net's dimensions turned and scaled so that distances say how much a change of level changes the prediction.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from skembed.categorical._dims import Allocation
from skembed.categorical._effects import Effects, EffectsModel, VarianceRatios
from skembed.categorical._target import Target

__all__ = ["Learned", "NetSettings", "Problem", "assemble", "learn", "start_codes"]

CODE_SCALE = 0.1  # spread of a frequent level's start code: small beside effects, which are in units of the target
CODE_PRIOR = 100.0  # rows of a level at which its start code has 70 % of that spread
CODE_FLOOR = 0.35  # what a start code is scaled by where the net finds no use for it
MARGINAL_SCALE = 0.3  # marginal effects repeat the crossed ones in part: they count less in distances
MIN_NET_WEIGHT = 300.0  # fewer samples than this tell a net nothing that survives validation
SHRINKAGES = (10.0, 50.0, 250.0, float("inf"))  # tried on the validation rows
DEFAULT_SHRINKAGE = 50.0
N_RELEARN_ITER = 6
UNKNOWN_RATE = 0.02


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


def learn(problem: Problem, settings: NetSettings, rng: np.random.RandomState, *, with_folds: bool) -> Learned:
    """Learn the vectors of every column.

    Parameters
    ----------
    problem : Problem
    settings : NetSettings
    rng : numpy.random.RandomState
    with_folds : bool
        Whether the vectors of the folds' test rows are asked for.

    Returns
    -------
    Learned
    """
    standardised = problem.target.standardised(problem.coded)
    sizes = [len(c) for c in problem.counts]
    model = EffectsModel(problem.ids, sizes, problem.side, standardised, problem.weight, rng)
    effects = model.solve()
    fold_effects = [model.solve(train) for train, _ in problem.folds]
    prediction = np.empty_like(standardised)
    for (_, test), part in zip(problem.folds, fold_effects):
        prediction[test] = part.predict(problem.ids[test], problem.side[test])
    directions = [
        (
            _directions(effects.crossed[c], problem.counts[c], allocation.crossed),
            _directions(effects.marginal[c], problem.counts[c], allocation.marginal),
        )
        for c, allocation in enumerate(problem.allocations)
    ]
    if problem.weight.sum() < MIN_NET_WEIGHT:  # too few rows of any level for its code to matter, or to train a net
        problem.codes = [c if k in problem.given else np.zeros_like(c) for k, c in enumerate(problem.codes)]
    needs_net = any(allocation.net for allocation in problem.allocations) and settings.max_iter > 0
    if needs_net and problem.weight.sum() >= MIN_NET_WEIGHT and problem.target.varies:
        from skembed.categorical._net import learn_net

        net = learn_net(problem, problem.target.offset(prediction), settings, rng, with_folds=with_folds)
    else:
        net = untrained(problem, with_folds)

    fold_matrices = []
    if with_folds:
        fold_matrices = [assemble(e, raw, directions, net.scalings) for e, raw in zip(fold_effects, net.fold_raw)]
    return Learned(
        matrices=assemble(effects, net.raw, directions, net.scalings),
        fold_matrices=fold_matrices,
        codes=problem.codes,
        raw=net.raw,
        scalings=net.scalings,
        head=net.head,
        effects=effects,
        ratios=model.ratios,
        directions=directions,
        shrinkage=net.shrinkage,
        loss_curve=net.loss_curve,
        validation_scores=net.validation_scores,
        n_iter=net.n_iter,
    )


def assemble(
    effects: Effects,
    raw: list[np.ndarray],
    directions: list[tuple[np.ndarray, np.ndarray]],
    scalings: list[np.ndarray],
) -> list[np.ndarray]:
    """Put crossed effects, marginal effects and the net's dimensions side by side, one float32 matrix a column."""
    return [
        np.hstack([crossed @ axes[0], MARGINAL_SCALE * (marginal @ axes[1]), rows @ scaling]).astype(np.float32)
        for crossed, marginal, axes, rows, scaling in zip(effects.crossed, effects.marginal, directions, raw, scalings)
    ]


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


def untrained(problem: Problem, with_folds: bool) -> NetPart:
    """Return the start codes as they are, scaled as where a net found no use for them."""
    codes = problem.codes
    scalings = [np.eye(code.shape[1]) * (1.0 if c in problem.given else CODE_FLOOR) for c, code in enumerate(codes)]
    folds = [unseen_as_unknown(problem, codes, train) for train, _ in problem.folds] if with_folds else []
    return NetPart(raw=codes, fold_raw=folds, scalings=scalings)


def start_codes(counts: np.ndarray, dim: int, rng: np.random.RandomState) -> np.ndarray:
    """Draw a code for each level, about orthogonal to the others, shorter for rarer ones; the unknown level's is zero.

    A code says which level it is and nothing of the target, so it is the same in all folds: frequent levels stay apart
    for trees and neighbours even where their effects differ by no more than chance.
    """
    length = CODE_SCALE * np.sqrt(counts / (counts + CODE_PRIOR))
    codes = rng.standard_normal((len(counts), dim)) * length[:, None]
    codes[0] = 0.0
    return codes.astype(np.float32)


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


def _directions(table: np.ndarray, counts: np.ndarray, n_directions: int) -> np.ndarray:
    """Return the directions of the target in which the levels differ most, (n_targets, n_directions).

    The axes themselves while there is room for all of them, else the leading right singular vectors.
    """
    n_targets = table.shape[1]
    if n_directions >= n_targets:
        return np.eye(n_targets)
    if n_directions == 0:
        return np.empty((n_targets, 0))
    weighted = np.sqrt(counts)[:, None] * table
    _, vectors = np.linalg.eigh(weighted.T @ weighted)
    leading = vectors[:, ::-1][:, :n_directions]
    # a sign of its own for each direction: its largest entry is positive
    largest = leading[np.abs(leading).argmax(axis=0), np.arange(n_directions)]
    return leading * np.where(largest < 0, -1.0, 1.0)
