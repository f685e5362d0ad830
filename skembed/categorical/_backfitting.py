"""Random effects of several terms by backfitting, for several sets of rows side by side."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from skembed.categorical._interactions import MIN_VARIANCE

__all__ = ["Backfitting"]


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
    within : dict of int to list of int, optional
        Of a term, the terms each of whose levels lies within one of its levels.
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
        within: Mapping[int, Sequence[int]] | None = None,
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
        self.within = {
            t: {inner: level_around(terms[t], terms[inner], sizes[inner]) for inner in inners}
            for t, inners in (within or {}).items()
        }
        self.null_error = 1.0 if validation is None else float(np.average(self.errors(), weights=weight[validation]))

    def one_pass(self) -> float:
        """Visit each term once; return half the mean squared residual of a row of the first set."""
        from skembed.kernels.level_effects import sweep_effects  # numba comes with the first fit

        for term, counts, effects, ratio in zip(self.terms, self.counts, self.effects, self.ratios.tolist()):
            sweep_effects(
                term, self.weight, self.include, counts, ratio, self.residual, effects, np.empty_like(effects)
            )
        n_targets = self.residual.shape[1] // self.include.shape[1]
        squares = (self.residual[:, :n_targets] ** 2).sum(axis=1)
        loss = float((self.weight * self.include[:, 0]) @ squares) / self.mass
        if self.learns_ratios:
            self.learn_ratios(loss / n_targets)
        return 0.5 * loss

    def learn_ratios(self, loss: float) -> None:
        """Take a step of expectation and maximisation: the variances of the noise and of each term's effects.

        Parameters
        ----------
        loss : float
            Mean squared residual of a row and target.
        """
        uncertainty, variances = 0.0, np.empty(len(self.terms))
        for t, (counts, effects, posterior) in enumerate(zip(self.counts, self.effects, self.posterior_variances())):
            seen = counts[:, 0] > 0
            variances[t] = max(float(np.mean((effects[seen] ** 2).mean(axis=1) + posterior[seen])), MIN_VARIANCE)
            alone = self.noise / (counts[:, 0] + self.ratios[t])
            uncertainty += float(alone @ counts[:, 0]) / self.mass
        self.noise = max(loss + uncertainty, MIN_VARIANCE)
        self.ratios = self.noise / variances

    def posterior_variances(self) -> list[np.ndarray]:
        """Return the variance of the effect of each level of each term, (n_levels,), given the rows.

        Terms are taken for independent (mean-field), but where levels of one lie within those of another: what the
        inner ones can explain as well, the rows do not tell the outer one. A row then counts by the share of noise in
        what its inner level leaves, and the inner effects are as uncertain as what they are measured from.
        """
        counts = [count[:, 0] for count in self.counts]
        out = [self.noise / (count + ratio) for count, ratio in zip(counts, self.ratios)]
        for t, inners in self.within.items():
            weight = self.weight * self.include[:, 0]
            for inner in inners:
                weight = weight * (self.ratios[inner] / (self.ratios[inner] + counts[inner]))[self.terms[inner]]
            out[t] = self.noise / (np.bincount(self.terms[t], weight, len(counts[t])) + self.ratios[t])
            for inner, around in inners.items():
                share = counts[inner] / (counts[inner] + self.ratios[inner])
                out[inner] = out[inner] + share**2 * out[t][around]
        return out

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


def level_around(term: np.ndarray, inner: np.ndarray, n_inner: int) -> np.ndarray:
    """Return the level of a term around each level of an inner one, (n_inner,), from the levels of the rows."""
    around = np.zeros(n_inner, dtype=term.dtype)
    around[inner] = term
    return around
