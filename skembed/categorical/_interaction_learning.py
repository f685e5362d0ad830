"""Learning of interactions: random effects of pairs of levels by backfitting, kept where they predict held-out rows."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from skembed.categorical._interactions import MIN_VARIANCE, Cells, Interactions
from skembed.categorical._samples import Samples
from skembed.training.passes import History, PassSettings, repeat_passes
from skembed.training.run import Run

__all__ = ["Backfitting", "is_worth_it", "learn_interactions"]

MIN_GAIN = 0.01  # share of what the effects leave that interactions have to explain, to be worth their columns
MIN_GAIN_ERRORS = 2.0  # and how many standard errors that has to be away from nothing


def learn_interactions(
    samples: Samples,
    pairs: list[tuple[int, int]],
    include: np.ndarray | None,
    validation: np.ndarray,
    settings: PassSettings,
    run: Run,
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
    n_passes, history = settings.max_iter, History()
    if len(validation):
        seen = np.ones((len(samples), 1), dtype=np.uint8)
        seen[validation] = 0
        model = Backfitting(terms, term_sizes, target, weight, seen, validation)
        history = passes(model, replace(settings, early_stopping=True), run)
        alone = Backfitting(columns, sizes, target, weight, seen, validation)
        for _ in range(history.best_iter):
            alone.one_pass()
        if not is_worth_it(alone.errors(), model.errors(), weight[validation]):
            return Interactions(history=history), []
        n_passes = history.best_iter
    everything = Backfitting(terms, term_sizes, target, weight, np.ones((len(samples), 1), dtype=np.uint8))
    if len(validation):
        for _ in range(n_passes):
            everything.one_pass()
    else:
        history = passes(everything, replace(settings, early_stopping=False), run)
        n_passes = history.n_iter
    found = Interactions(
        pairs=pairs,
        cells=list(cells),
        effects=everything.effects[len(columns) :],
        counts=[c[:, 0] for c in everything.counts[len(columns) :]],
        ratios=[float(r) for r in everything.ratios[len(columns) :]],
        masses={c: np.bincount(columns[c], weight, sizes[c]) for pair in pairs for c in pair},
        history=history,
    )
    if include is None or not include.shape[1]:
        return found, []
    held_out = Backfitting(terms, term_sizes, target, weight, include, ratios=everything.ratios)
    for _ in range(n_passes):
        held_out.one_pass()
    n_targets = target.shape[1]
    parts = [slice(s * n_targets, (s + 1) * n_targets) for s in range(include.shape[1])]
    return found, [[e[:, part] for e in held_out.effects[len(columns) :]] for part in parts]


def passes(model: "Backfitting", settings: PassSettings, run: Run) -> History:
    return repeat_passes(model, model.one_pass, settings, run, advice="Look for extreme values in y.")


def cells_of(columns: list[np.ndarray], sizes: list[int], pair: tuple[int, int]) -> tuple[Cells, np.ndarray]:
    """Return the cells of two columns and the cell of each row."""
    first, second = pair
    keys, of_row = np.unique(columns[first].astype(np.int64) * sizes[second] + columns[second], return_inverse=True)
    return Cells(pair, np.stack([keys // sizes[second], keys % sizes[second]])), of_row.astype(np.int32)


def is_worth_it(before: np.ndarray, after: np.ndarray, weight: np.ndarray) -> bool:
    """Whether errors are smaller by a share of at least `MIN_GAIN`, and by more than chance, (n_samples,) each."""
    gain = before - after
    mean = np.average(gain, weights=weight)
    error = math.sqrt(float((weight**2 * (gain - mean) ** 2).sum())) / weight.sum()
    return bool(mean > MIN_GAIN * np.average(before, weights=weight) and mean > MIN_GAIN_ERRORS * error)


class Backfitting:
    """Random effects of several terms, each a level for every row, by backfitting; variances by variational Bayes.

    A term is a column, or the cells of a pair of columns. The model of `_effects.crossed_ratios`, for several sets of
    rows side by side.

    Parameters
    ----------
    terms : list of ndarray of shape (n_samples,), int32
        Levels of the rows.
    sizes : list of int
        Levels of each term.
    target : ndarray of shape (n_samples, n_targets)
    weight : ndarray of shape (n_samples,)
    include : ndarray of shape (n_samples, n_sets), uint8
        Which rows belong to which set.
    validation : ndarray of int, optional
        Rows of no set.
    ratios : ndarray of shape (n_terms,), optional
        Noise variance over effect variance of each term; learned if not given, from the one set that there then is.
    """

    def __init__(
        self,
        terms: Sequence[np.ndarray],
        sizes: Sequence[int],
        target: np.ndarray,
        weight: np.ndarray,
        include: np.ndarray,
        validation: np.ndarray | None = None,
        *,
        ratios: np.ndarray | None = None,
    ) -> None:
        self.terms, self.weight, self.include, self.validation = terms, weight, include, validation
        n_sets, n_targets = include.shape[1], target.shape[1]
        masses = include.T @ weight
        centers = (include * weight[:, None]).T @ target / np.maximum(masses, 1e-300)[:, None]
        self.residual = np.hstack([target - center for center in centers])
        self.mass = float(masses[0])
        self.counts = [
            np.stack([np.bincount(term, weight * include[:, s], size) for s in range(n_sets)], axis=1)
            for term, size in zip(terms, sizes)
        ]
        self.effects = [np.zeros((size, n_sets * n_targets)) for size in sizes]
        self.learns_ratios = ratios is None
        # to begin with, the terms have equal shares of half of the variance
        self.ratios = np.full(len(sizes), float(2 * len(sizes))) if ratios is None else ratios
        self.noise = 1.0
        self.null_error = 1.0 if validation is None else float(np.average(self.errors(), weights=weight[validation]))

    def one_pass(self) -> float:
        """Visit each term once; return half the mean squared residual of a row of the first set."""
        from skembed.kernels.level_effects import sweep_effects  # numba comes with the first fit

        uncertainty = 0.0
        ratios = self.ratios.copy()
        for t, (term, counts, effects) in enumerate(zip(self.terms, self.counts, self.effects)):
            ratio = float(self.ratios[t])
            sweep_effects(
                term, self.weight, self.include, counts, ratio, self.residual, effects, np.empty_like(effects)
            )
            if self.learns_ratios:
                posterior = self.noise / (counts[:, 0] + ratio)
                seen = counts[:, 0] > 0
                ratios[t] = max(float(np.mean((effects[seen] ** 2).mean(axis=1) + posterior[seen])), MIN_VARIANCE)
                uncertainty += float(posterior @ counts[:, 0]) / self.mass
        n_targets = self.residual.shape[1] // self.include.shape[1]
        squares = (self.residual[:, :n_targets] ** 2).sum(axis=1)
        loss = float((self.weight * self.include[:, 0]) @ squares) / self.mass
        if self.learns_ratios:
            self.noise = max(loss / n_targets + uncertainty, MIN_VARIANCE)
            self.ratios = self.noise / ratios
        return 0.5 * loss

    def errors(self) -> np.ndarray:
        """Return the squared error of each validation row, summed over targets."""
        return (self.residual[self.validation] ** 2).sum(axis=1)

    def validation_score(self) -> float:
        """Return the share of the null model's squared error that is explained."""
        weight = self.weight[self.validation]
        return 1.0 - float(np.average(self.errors(), weights=weight)) / max(self.null_error, 1e-12)

    def snapshot(self) -> Any:
        return self.residual.copy(), [e.copy() for e in self.effects], self.ratios.copy(), self.noise

    def restore(self, state: Any) -> None:
        residual, effects, self.ratios, self.noise = state
        self.residual[:] = residual
        for mine, kept in zip(self.effects, effects):
            mine[:] = kept
