"""The dimensions of each column's vectors: which of the effects and of the net's say something, and in which order."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from skembed.categorical._chance import mean_and_error
from skembed.categorical._effects import Effects
from skembed.categorical._problem import Layout, Problem

__all__ = ["MARGINAL_SCALE", "lay_out"]

MARGINAL_SCALE = 0.3  # marginal effects repeat the crossed ones in part: they count less in distances
MIN_SHARE = 1e-4  # of the target's variance; less is not worth a dimension, which would be blown up beside others
MIN_ERRORS = 0.0  # held-out effects of a column have to help by as many standard errors
SURE_ERRORS = 1.0  # and by as many where there is reason to doubt: see `is_sure`
AGREEMENT_LEVEL = 0.1  # or go with the target more than they do by chance in this share of cases: see `agreements`
MIN_AGREEMENT = 0.03  # and then explain this share of what all columns do: less costs trees what it tells linear models
LEFT_OUT = 0.005  # share of all spread that the dimensions left out may hold together
SPREAD_ERRORS = 1.0  # standard errors by which a column's spread may be more than what was found
MIN_MARGINAL_GAIN = 0.05  # share of what the model explains, from which on a marginal effect is worth a dimension
MAX_SIMILARITY = 0.9  # squared correlation of marginal and crossed effects, above which one of them is enough
MAX_DIRECTIONS = 16


class Gain(NamedTuple):
    """How much of the target's variance held-out effects explain, and by how many standard errors."""

    share: float
    errors: float


@dataclass
class _Dimension:
    column: int
    is_net: bool
    number: int
    spread: float  # variance over the rows, in units of the target's
    limit: float  # what it may be in truth
    is_sure: bool  # to say something, however little that is


def lay_out(
    problem: Problem,
    effects: Effects,
    fold_effects: list[Effects],
    net_rows: list[np.ndarray],
    interacting: set[int],
) -> tuple[list[Layout], set[int]]:
    """Choose the dimensions of every column's vectors.

    Held-out effects decide: a column's effects are kept if those that a row's fold learned without it predict the row,
    alone or beside the other columns, and of several targets those directions of them that do; they need not be of the
    right length. Of all dimensions, those of the least spread are left out that together hold next to none of it.

    The one dimension of a column of two levels tells them apart and is learned from all rows, so that it brings next to
    no noise. It is not left out where it surely says something beside the others, and it also stays if the column
    interacts: trees find what its levels mean for those of the others.

    Parameters
    ----------
    problem : Problem
    effects : Effects
        Of all rows.
    fold_effects : list of Effects
    net_rows : list of ndarray of shape (n_table_rows, dim)
        Of the net; tables of `init` as they are.
    interacting : set of int
        Columns that interact with others beyond doubt, whether or not the net has learned how.

    Returns
    -------
    layouts : list of Layout
        Without limits yet.
    faint : set of int
        Columns that stay although their spread is next to none of all.
    """
    weight, standardised = problem.weight, problem.standardised
    numeric = problem.numeric
    prediction = held_out_prediction(problem, fold_effects)
    residual = standardised - prediction
    center = np.average(standardised, axis=0, weights=weight)
    beside_numbers = standardised - center - held_out(problem, fold_effects, lambda e, rows: numeric[rows] @ e.numeric)
    variances = np.average((standardised - center) ** 2, axis=0, weights=weight)
    variance = float(variances.sum())
    prediction = prediction - np.average(prediction, axis=0, weights=weight)
    least = MIN_AGREEMENT * agreements(prediction, standardised - center, weight, variances)[0].share
    explained = max(1.0 - float(np.average((residual**2).sum(axis=1), weights=weight)) / max(variance, 1e-300), 0.0)
    kept, dimensions = [], []
    for c, counts in enumerate(problem.counts):
        crossed, marginal = np.empty((standardised.shape[1], 0)), np.empty((standardised.shape[1], 0))
        sure = False
        if c not in problem.from_init and variance > 0:
            n_levels = int((counts > 0).sum())
            crossed_gain, marginal_gain = gains(problem, beside_numbers, residual, fold_effects, c, variance)
            says_something = is_gain(crossed_gain) or is_gain(marginal_gain)
            if n_levels > 2 and not says_something and problem.random_folds:
                says_something = agrees(problem, beside_numbers, residual, fold_effects, c, variances, least)
            if n_levels == 2:  # a vector can only say which level a row has: alone there is nothing to hold out
                marginal_gain = contrast_gain(problem, beside_numbers, c, variance)
                sure = c in interacting or is_sure(crossed_gain)
                says_something = sure or is_gain(marginal_gain)
            max_directions = min(max(n_levels - 1, 1), MAX_DIRECTIONS)
            if n_levels > 1 and says_something:
                crossed = directions(effects.crossed[c], counts, max_directions)
                if crossed.shape[1] > 1:
                    own = held_out_effects(problem, [e.crossed[c] for e in fold_effects], c)
                    crossed = borne_out(crossed, own, residual + own, weight, problem.groups)
                worth_it = is_gain(marginal_gain) and marginal_gain.share > MIN_MARGINAL_GAIN * explained
                if n_levels > 2 and worth_it and differ(effects.crossed[c], effects.marginal[c], counts):
                    marginal = directions(effects.marginal[c], counts, max_directions)
                    if marginal.shape[1] > 1:
                        own = held_out_effects(problem, [e.marginal[c] for e in fold_effects], c)
                        marginal = borne_out(marginal, own, beside_numbers, weight, problem.groups)
        kept.append((crossed, marginal))
        for i, s in enumerate(spreads(effects.crossed[c] @ crossed, counts)):
            error = SPREAD_ERRORS * spread_error(counts) if i == 0 else 0.0  # whether the column says anything
            dimensions.append(_Dimension(c, False, i, s, s + error, sure))
        if c not in problem.from_init:  # validation has borne out the net's
            dimensions += [_Dimension(c, True, i, s, s, False) for i, s in enumerate(spreads(net_rows[c], counts))]
    dropped = least_dimensions(dimensions)
    layouts = []
    for c, (crossed, marginal) in enumerate(kept):
        crossed = crossed[:, [i for i in range(crossed.shape[1]) if (c, False, i) not in dropped]]
        marginal = marginal[:, : max(crossed.shape[1], 1)]
        net = np.array([i for i in range(net_rows[c].shape[1]) if (c, True, i) not in dropped], dtype=np.int64)
        parts = [effects.crossed[c] @ crossed, MARGINAL_SCALE * (effects.marginal[c] @ marginal), net_rows[c][:, net]]
        order = np.arange(sum(part.shape[1] for part in parts))
        if c not in problem.from_init:
            order = np.argsort(-spreads(np.hstack(parts), problem.counts[c]), kind="stable")
            order = order[: max(int((problem.counts[c] > 0).sum()) - 1, 1)]
            crossed, marginal, net, order = kept_dimensions(order, crossed, marginal, net)
        limits = np.full(len(order), np.inf)
        layouts.append(Layout(crossed, marginal, net, order, -limits, limits))
    return layouts, faint_columns(dimensions)


def kept_dimensions(
    order: np.ndarray, crossed: np.ndarray, marginal: np.ndarray, net: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return those of the dimensions, crossed ones first, then marginal, then the net's, that are in an order.

    Returns
    -------
    crossed, marginal : ndarray of shape (n_targets, n_kept)
    net : ndarray of int
    order : ndarray of int
        Of those kept.
    """
    kept = np.sort(order)
    first, second = crossed.shape[1], crossed.shape[1] + marginal.shape[1]
    of_marginal = kept[(kept >= first) & (kept < second)] - first
    return (
        crossed[:, kept[kept < first]],
        marginal[:, of_marginal],
        net[kept[kept >= second] - second],
        np.searchsorted(kept, order),
    )


def held_out(
    problem: Problem, fold_effects: list[Effects], value_of: Callable[[Effects, np.ndarray], np.ndarray]
) -> np.ndarray:
    """Return for each row what the effects that were learned without it say of it, (n_samples, n_targets)."""
    out = np.empty((len(problem.ids), problem.standardised.shape[1]))
    for (_, test), effects in zip(problem.folds, fold_effects):
        out[test] = value_of(effects, test)
    return out


def held_out_prediction(problem: Problem, fold_effects: list[Effects]) -> np.ndarray:
    """Return each row's prediction by the crossed effects that were learned without it, (n_samples, n_targets)."""
    return held_out(problem, fold_effects, lambda e, rows: e.predict(problem.ids[rows], problem.numeric[rows]))


def held_out_effects(problem: Problem, fold_tables: list[np.ndarray], column: int) -> np.ndarray:
    """Return each row's effect of a column as learned without it, (n_samples, n_targets), less the mean of all rows.

    A shift of all levels tells no rows apart.
    """
    own = np.empty((len(problem.ids), problem.standardised.shape[1]))
    for (_, test), table in zip(problem.folds, fold_tables):
        own[test] = table[problem.ids[test, column]]
    return own - np.average(own, axis=0, weights=problem.weight)


def gained(own: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return by how much effects lower the squared error of each row and target, (n_samples, n_targets)."""
    return own * (2.0 * target - own)


def gain_of(values: np.ndarray, weight: np.ndarray, variance: float, groups: np.ndarray | None = None) -> Gain:
    """Return the mean over rows of what is gained in squared error, as a share of the variance of the target.

    Its standard error is that of independent rows, or of groups.
    """
    mean, error = mean_and_error(values.sum(axis=1), weight, groups)
    return Gain(mean / variance, mean / max(error, 1e-300))


def is_gain(gain: Gain) -> bool:
    """Whether effects explain anything that held-out rows bear out."""
    return gain.errors > MIN_ERRORS and gain.share > MIN_SHARE


def is_sure(gain: Gain) -> bool:
    """Whether they do beyond a standard error: where what they explain is next to nothing of all, or one of many looks.

    Further directions of several targets were sought for their spread, and columns of two levels were looked at before.
    """
    return is_gain(gain) and gain.errors > SURE_ERRORS


def gains(
    problem: Problem,
    beside_numbers: np.ndarray,
    residual: np.ndarray,
    fold_effects: list[Effects],
    column: int,
    variance: float,
) -> tuple[Gain, Gain]:
    """Return what a column's held-out effects explain: the crossed ones beside all others, the marginal ones alone.

    Of columns that say the same, each explains next to nothing beside the others, and all of it alone. What the numeric
    side inputs explain is left to them in both.
    """
    own = held_out_effects(problem, [e.crossed[column] for e in fold_effects], column)
    crossed = gain_of(gained(own, residual + own), problem.weight, variance, problem.groups)
    own = held_out_effects(problem, [e.marginal[column] for e in fold_effects], column)
    return crossed, gain_of(gained(own, beside_numbers), problem.weight, variance, problem.groups)


def agreements(own: np.ndarray, target: np.ndarray, weight: np.ndarray, variances: np.ndarray) -> list[Gain]:
    """Return what effects would explain if they had the best length, and by how many standard errors they do.

    A squared error judges effects at the length they have. Where little of the target can be told at all, as of one
    positive row in two hundred, or of sums with a long tail, they come out too long for rows held out: what they lose
    by that is more than what they explain, though they put rows in the right order. A model behind finds the length.
    The error is that of independent rows.

    Parameters
    ----------
    own, target : ndarray of shape (n_samples, n_targets)
    weight : ndarray of shape (n_samples,)
    variances : ndarray of shape (n_targets,)
        Of the targets.

    Returns
    -------
    list of Gain
        Of all targets together, and if there are several, of each.
    """
    together = np.einsum("ij,ij->i", own, target)
    means, errors = [weight @ together], [weight**2 @ together**2]
    squares, explainable = [np.einsum("i,ij,ij->", weight, own, own)], [variances.sum()]
    if own.shape[1] > 1:  # no copies: of a thousand classes they would be large
        means.extend(np.einsum("i,ij,ij->j", weight, own, target))
        errors.extend(np.einsum("i,ij,ij,ij,ij->j", weight**2, own, own, target, target))
        squares.extend(np.einsum("i,ij,ij->j", weight, own, own))
        explainable.extend(variances)
    mass = weight.sum()
    return [
        Gain(float(mean**2 / max(square * variance * mass, 1e-300)), float(mean / max(np.sqrt(error), 1e-300)))
        for mean, error, square, variance in zip(means, errors, squares, explainable)
    ]


def agrees(
    problem: Problem,
    beside_numbers: np.ndarray,
    residual: np.ndarray,
    fold_effects: list[Effects],
    column: int,
    variances: np.ndarray,
    least: float,
) -> bool:
    """Whether a column's held-out effects, crossed or marginal, surely go with the target, whatever their length.

    With several targets, or with one of them: a rare class may be all that a column tells of. At the best length they
    have to explain more than `least`, a share of the variance. Of two rows of a level each has a say in the effect that
    the other is given: what they agree in is counted twice, and strays by the root of 2 more than its error says.
    """
    crossed = held_out_effects(problem, [e.crossed[column] for e in fold_effects], column)
    marginal = held_out_effects(problem, [e.marginal[column] for e in fold_effects], column)
    for own, target in ((crossed, residual + crossed), (marginal, beside_numbers)):
        found = agreements(own, target, problem.weight, variances)
        errors = np.sqrt(2) * NormalDist().inv_cdf(1 - AGREEMENT_LEVEL / len(found))
        if any(one.errors > errors and one.share > max(MIN_SHARE, least) for one in found):
            return True
    return False


def borne_out(
    axes: np.ndarray, own: np.ndarray, target: np.ndarray, weight: np.ndarray, groups: np.ndarray | None = None
) -> np.ndarray:
    """Return the directions along which held-out effects help, the first of all in any case.

    With few rows most directions of many targets are noise, and a linear model pays for each of them.

    Parameters
    ----------
    axes : ndarray of shape (n_targets, n_directions)
        By falling spread, at right angles.
    own : ndarray of shape (n_samples, n_targets)
        Held-out effects of the column.
    target : ndarray of shape (n_samples, n_targets)
        What they are to explain.
    weight : ndarray of shape (n_samples,)
    groups : ndarray of shape (n_samples,), int64, optional

    Returns
    -------
    ndarray of shape (n_targets, n_kept)
    """
    values = gained(own @ axes, target @ axes)
    kept = [d == 0 or gain_of(values[:, [d]], weight, 1.0, groups).errors > SURE_ERRORS for d in range(axes.shape[1])]
    return axes[:, kept]


def contrast_gain(problem: Problem, beside_numbers: np.ndarray, column: int, variance: float) -> Gain:
    """Return what the difference of a column's two levels explains, less what chance would explain.

    As of an adjusted R²: the squared t statistic of the difference less 1, the errors being those of the target, or
    where rows belong together, of the sums of groups. The standard error of the square of t is 2 t.
    """
    ids, weight = problem.ids[:, column], problem.weight
    mass = np.bincount(ids, weight)
    sums = np.stack([np.bincount(ids, weight * values) for values in beside_numbers.T], axis=1)
    first, second = np.flatnonzero(mass > 0)
    difference = sums[first] / mass[first] - sums[second] / mass[second]
    error = variance * (1.0 / mass[first] + 1.0 / mass[second])  # squared
    if problem.groups is not None:
        stray = beside_numbers - (sums / np.maximum(mass, 1e-300)[:, None])[ids]
        stray *= (weight / np.where(ids == first, mass[first], -mass[second]))[:, None]
        of_groups = np.stack([np.bincount(problem.groups, values) for values in stray.T])
        error = max(float((of_groups**2).sum()), 1e-300)
    squared_t = float((difference**2).sum()) / error
    explained = (squared_t - 1.0) * error * mass[first] * mass[second] / (mass.sum() ** 2 * variance)
    return Gain(explained, (squared_t - 1.0) / max(2.0 * np.sqrt(squared_t), 1e-300))


def differ(crossed: np.ndarray, marginal: np.ndarray, counts: np.ndarray) -> bool:
    """Whether a column's marginal effects are not much the same as its crossed ones."""
    root = np.sqrt(counts)[:, None]
    a, b = (root * crossed).ravel(), (root * marginal).ravel()
    return bool((a @ b) ** 2 < MAX_SIMILARITY * (a @ a) * (b @ b) or not a.any())


def spreads(rows: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the variance of each dimension over the rows of the data, (dim,)."""
    share = counts / max(counts.sum(), 1e-300)
    return share @ (rows - share @ rows) ** 2


def spread_error(counts: np.ndarray) -> float:
    """Return the standard error of the variance that levels explain, where they explain next to nothing.

    Each of k levels adds the square of a mean of noise, of relative variance 2; a row has a share of 1/n.
    """
    n_levels = int((counts > 0).sum())
    return float(np.sqrt(2.0 * max(n_levels - 1, 1)) / max(counts.sum(), 1.0))


def least_dimensions(dimensions: list[_Dimension]) -> set[tuple[int, bool, int]]:
    """Return the dimensions to leave out: the least ones, which together hold next to nothing.

    That is judged by what each may hold, not by what was found: with few rows nothing is known to be small, and leaving
    out would be a gamble.
    """
    dropped = set()
    rest = sorted((d for d in dimensions if not d.is_sure), key=lambda d: d.limit)
    of_all = sum(d.spread for d in dimensions)
    for d, so_far in zip(rest, np.cumsum([d.limit for d in rest])):
        if so_far <= LEFT_OUT * of_all:
            dropped.add((d.column, d.is_net, d.number))
    return dropped


def faint_columns(dimensions: list[_Dimension]) -> set[int]:
    """Return the columns that surely say something, but hold next to nothing of all spread, or of the target's."""
    least = least_dimensions([replace(d, is_sure=False) for d in dimensions])
    sure = [d for d in dimensions if d.is_sure]
    return {d.column for d in sure if d.spread < MIN_SHARE or (d.column, d.is_net, d.number) in least}


def directions(table: np.ndarray, counts: np.ndarray, n_directions: int) -> np.ndarray:
    """Return the directions of the target in which the levels differ most, (n_targets, n_directions): principal axes.

    At most as many as there are targets.
    """
    share = counts / max(counts.sum(), 1e-300)
    weighted = np.sqrt(share)[:, None] * (table - share @ table)
    _, vectors = np.linalg.eigh(weighted.T @ weighted)
    leading = vectors[:, ::-1][:, :n_directions]
    # a sign of its own for each direction: its largest entry is positive
    largest = leading[np.abs(leading).argmax(axis=0), np.arange(leading.shape[1])]
    return leading * np.where(largest < 0, -1.0, 1.0)
