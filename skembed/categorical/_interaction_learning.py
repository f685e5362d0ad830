"""Learning of interactions: random effects of pairs of levels by backfitting, kept where they predict held-out rows.

These are validation rows. Where they are too few to tell, the rows of every fold are asked what was learned without
them: a fifth of a thousand rows hardly ever shows that interactions explain a twentieth.

Rows that share a pair's levels and the level of a third column may be alike beyond what the pairs say: all shops on one
day. They are then fewer witnesses of the pairs than they are rows. Random effects of such triples are learned beside
those of the pairs, as the errors that these are measured against (the error strata of an analysis of variance); no
vector holds them.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from skembed.categorical._backfitting import Backfitting
from skembed.categorical._chance import mean_and_error
from skembed.categorical._folds import training_rows
from skembed.categorical._interaction_screening import screen_triples
from skembed.categorical._interactions import Cells, Interactions
from skembed.categorical._samples import Samples
from skembed.training.passes import History, PassSettings, repeat_passes
from skembed.training.run import Run

__all__ = ["is_worth_it", "learn_interactions"]

MIN_GAIN = 0.01  # share of what the effects leave that interactions have to explain, to be worth their columns
MIN_GAIN_ERRORS = 2.0  # and how many standard errors that has to be away from nothing
MAX_ASKED_ROWS = 100_000  # by folds; of more rows the validation rows tell as nearly as matters


def learn_interactions(
    samples: Samples,
    pairs: list[tuple[int, int]],
    include: np.ndarray | None,
    validation: np.ndarray,
    settings: PassSettings,
    run: Run,
    groups: np.ndarray | None = None,
    folds: Sequence[tuple[np.ndarray, np.ndarray]] = (),
) -> tuple[Interactions, list[list[np.ndarray]]]:
    """Learn the interactions of some pairs of columns, or find that they are not worth it.

    Parameters
    ----------
    samples : Samples
        Numeric inputs are not looked at: they come as bins, columns like the others.
    pairs : list of (int, int)
    include : ndarray of shape (n_samples, n_sets), uint8, or None
        Sets of rows whose interactions are asked for, too.
    validation : ndarray of int
        Rows on which it is decided how many passes to take, and whether the interactions stay.
    settings : PassSettings
    run : Run
    groups : ndarray of shape (n_samples,), int64, optional
        Which rows belong together.
    folds : sequence of (train, test)
        On which it is decided whether the interactions stay where the validation rows do not tell.

    Returns
    -------
    interactions : Interactions
        Without cells if they did not predict the validation rows; axes are to be found still.
    effects : list of lists of ndarray of shape (n_cells, n_targets)
        For each set of rows those of each pair.
    """
    sizes, target, weight = samples.sizes, samples.target, samples.weight
    columns = [np.ascontiguousarray(column, dtype=np.int32) for column in samples.ids.T]
    cells, of_rows = zip(*(cells_of(columns, sizes, pair) for pair in pairs))
    terms = [*columns, *of_rows]
    term_sizes = [*sizes, *(c.levels.shape[1] for c in cells)]
    within: dict[int, list[int]] = {}  # of each pair, the triples that hold it

    def backfitting(include: np.ndarray, held_out: np.ndarray | None = None) -> Backfitting:
        return Backfitting(terms, term_sizes, target, weight, include, held_out, within=within)

    everyone = np.ones((len(samples), 1), dtype=np.uint8)
    if len(validation):
        seen = everyone.copy()
        seen[validation] = 0
        settings = replace(settings, early_stopping=True)
        model = backfitting(seen, validation)
        history = passes(model, settings, run)
        alone = Backfitting(columns, sizes, target, weight, seen, validation)
        for _ in range(history.best_iter):
            alone.one_pass()
        together = None if groups is None else groups[validation]
        before, after = alone.errors(), model.errors()
        if not is_worth_it(before, after, weight[validation], together):
            asks = len(folds) > 0 and len(samples) <= MAX_ASKED_ROWS
            if not asks or not may_be_worth_it(before, after, weight[validation], together):
                return Interactions(history=history), []
            before, after = (held_out_errors(m, target, folds, history.best_iter, settings.tol) for m in (alone, model))
            if not is_worth_it(before, after, weight, groups):
                return Interactions(history=history), []
        n_passes = history.best_iter
    else:
        model = backfitting(everyone)
        history = passes(model, replace(settings, early_stopping=False), run)
        n_passes = history.n_iter
    rows = np.flatnonzero(model.include[:, 0])
    triples = screen_triples([c[rows] for c in columns], sizes, pairs, model.residual[rows], weight[rows])
    for triple in triples:
        for t, pair in enumerate(pairs, start=len(columns)):
            if set(pair) <= set(triple):
                within.setdefault(t, []).append(len(terms))
        size, of_row = triple_of_rows(columns, sizes, triple)
        terms.append(of_row)
        term_sizes.append(size)
    if triples and len(validation):
        # callbacks and a progress bar were told of the passes that led here: what is learned beside is not theirs
        again = replace(settings, max_iter=history.n_iter)
        n_passes = passes(backfitting(seen, validation), again, Run(run.seed)).best_iter
    if triples or len(validation):
        model = backfitting(everyone)
        for _ in range(n_passes):
            model.one_pass()
    of_pairs = slice(len(columns), len(columns) + len(pairs))
    found = Interactions(
        pairs=pairs,
        cells=list(cells),
        effects=model.effects[of_pairs],
        counts=[c[:, 0] for c in model.counts[of_pairs]],
        ratios=[float(r) for r in model.ratios[of_pairs]],
        masses={c: np.bincount(columns[c], weight, sizes[c]) for pair in pairs for c in pair},
        history=history,
    )
    if include is None or not include.shape[1]:
        return found, []
    held_out = Backfitting(terms, term_sizes, target, weight, include, ratios=model.ratios)
    for _ in range(n_passes):
        held_out.one_pass()
    n_targets = target.shape[1]
    parts = [slice(s * n_targets, (s + 1) * n_targets) for s in range(include.shape[1])]
    return found, [[e[:, part] for e in held_out.effects[of_pairs]] for part in parts]


def passes(model: Backfitting, settings: PassSettings, run: Run) -> History:
    return repeat_passes(model, model.one_pass, settings, run, advice="Look for extreme values in y.")


def cells_of(columns: list[np.ndarray], sizes: list[int], pair: tuple[int, int]) -> tuple[Cells, np.ndarray]:
    """Return the cells of two columns and the cell of each row."""
    first, second = pair
    keys, of_row = np.unique(columns[first].astype(np.int64) * sizes[second] + columns[second], return_inverse=True)
    return Cells(pair, np.stack([keys // sizes[second], keys % sizes[second]])), of_row.astype(np.int32)


def triple_of_rows(columns: list[np.ndarray], sizes: list[int], triple: tuple[int, ...]) -> tuple[int, np.ndarray]:
    """Return how many combinations of three columns' levels occur, and which one each row has, (n_samples,), int32."""
    first, second, third = triple
    _, of_pair = cells_of(columns, sizes, (first, second))
    keys, of_row = np.unique(of_pair.astype(np.int64) * sizes[third] + columns[third], return_inverse=True)
    return len(keys), of_row.astype(np.int32)


def held_out_errors(
    model: Backfitting,
    target: np.ndarray,
    folds: Sequence[tuple[np.ndarray, np.ndarray]],
    max_iter: int,
    tol: float,
) -> np.ndarray:
    """Return the squared error of each row by effects learned without its fold, summed over targets, (n_samples,).

    Parameters
    ----------
    model : Backfitting
        With the terms and the ratios to take.
    target : ndarray of shape (n_samples, n_targets)
    folds : sequence of (train, test)
    max_iter : int
        Passes at most: with ratios that are settled few are enough.
    tol : float
        What the loss has to fall by, for another pass.
    """
    sizes, include = [len(effects) for effects in model.effects], training_rows(folds, len(target))
    held_out = Backfitting(model.terms, sizes, target, model.weight, include, ratios=model.ratios)
    last = math.inf
    for _ in range(max_iter):
        loss = held_out.one_pass()
        if last - loss < tol:
            break
        last = loss
    out, n_targets = np.zeros(len(target)), target.shape[1]
    for k, (_, test) in enumerate(folds):
        out[test] = (held_out.residual[test, k * n_targets : (k + 1) * n_targets] ** 2).sum(axis=1)
    return out


def is_worth_it(before: np.ndarray, after: np.ndarray, weight: np.ndarray, groups: np.ndarray | None = None) -> bool:
    """Whether errors are smaller by a share of at least `MIN_GAIN`, and by more than chance, (n_samples,) each.

    Chance is that of groups, where these are given.
    """
    mean, error = mean_and_error(before - after, weight, groups)
    return mean > MIN_GAIN * float(np.average(before, weights=weight)) and mean > MIN_GAIN_ERRORS * error


def may_be_worth_it(
    before: np.ndarray, after: np.ndarray, weight: np.ndarray, groups: np.ndarray | None = None
) -> bool:
    """Whether errors may be smaller by a share of `MIN_GAIN`: so few rows or groups may not show it."""
    mean, error = mean_and_error(before - after, weight, groups)
    return mean + MIN_GAIN_ERRORS * error > MIN_GAIN * float(np.average(before, weights=weight))
