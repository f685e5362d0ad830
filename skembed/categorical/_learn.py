"""From ids and a target to one matrix of vectors for each column: the named steps of `EntityEmbeddingEncoder.fit`.

1. effects of the levels by shrunken least squares, for all rows and for the rows outside each fold;
2. a net over start codes that learns what the effects leave, each row's offset taken from its own fold;
3. the head frozen, tables learned again by one fixed procedure from any set of rows: all, or those outside a fold;
4. the net's dimensions turned and scaled so that distances say how much a change of level changes the prediction.
"""

import numpy as np

from skembed.categorical._effects import Effects, EffectsModel
from skembed.categorical._problem import CODE_FLOOR, Learned, NetPart, NetSettings, Problem, unseen_as_unknown

__all__ = ["assemble", "learn", "start_codes"]

CODE_SCALE = 0.1  # spread of a frequent level's start code: small beside effects, which are in units of the target
CODE_PRIOR = 100.0  # rows of a level at which its start code has 70 % of that spread
MARGINAL_SCALE = 0.3  # marginal effects repeat the crossed ones in part: they count less in distances
MIN_NET_WEIGHT = 300.0  # fewer samples than this tell a net nothing that survives validation


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
