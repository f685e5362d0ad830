"""Incremental fits of an encoder: what was learned is the prior, and counts as many rows as it has seen.

`read_further` makes a `Problem` of further rows, `learn_further` learns from it.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from skembed.categorical._effects import Effects, Prior, solve_effects
from skembed.categorical._interaction_screening import numeric_bins
from skembed.categorical._learn import MAX_OWN_SHARE, assemble, net_rows, own_shares, within
from skembed.categorical._problem import Layout, Learned, Problem
from skembed.categorical._samples import Samples
from skembed.categorical._setup import Schema, initial_vectors, stacked
from skembed.data.columns import Columns
from skembed.data.levels import factorize_columns, weighted_counts
from skembed.data.roles import numeric_columns
from skembed.data.target import as_columns
from skembed.threads import one_blas_thread
from skembed.training.level_net import NetPart, NetSettings
from skembed.training.run import Run, draw_seed

__all__ = ["learn_further", "read_further"]

MAX_STANDARDISED = 1e30  # effects of it, and their differences, are numbers of float32


def read_further(
    schema: Schema, columns: Columns, y: Any, weight: np.ndarray, *, hidden: bool
) -> tuple[Schema, Problem]:
    """Read further rows.

    Parameters
    ----------
    schema : Schema
        Of the rows seen before; it is left as it was.
    columns : Columns
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
    weight : ndarray of shape (n_samples,)
    hidden : bool
        Whether there is a net with hidden layers.

    Returns
    -------
    schema : Schema
        With the new levels, and the counts of all rows.
    problem : Problem
        Of the further rows alone, but for its counts; no net yet, and no folds.
    """
    rows = np.flatnonzero(weight > 0)
    factors = factorize_columns(columns, schema.positions)
    vocabularies = [v.extend_counts(*weighted_counts(f, weight, rows)) for v, f in zip(schema.vocabularies, factors)]
    ids = stacked([v.encode(f)[rows] for v, f in zip(vocabularies, factors)], len(rows))
    sizes = [len(v) + 1 for v in vocabularies]
    counts = [
        before + np.bincount(ids[:, c], weight[rows], sizes[c])
        for c, before in enumerate(counts_before(schema.counts, sizes))
    ]
    y = as_columns(y)[rows]
    standardised = schema.target.standardise(y).along(schema.axes)
    largest = np.abs(standardised).max()
    if largest > MAX_STANDARDISED:
        raise ValueError(
            f"y holds a number {largest:.3g} standard deviations of the first rows from their mean; expected numbers "
            "of the same unit. Scale y, or begin again by fit."
        )
    problem = Problem(
        ids=ids,
        counts=counts,
        numeric=schema.scaler.apply([s[rows] for s in numeric_columns(columns, schema.numeric_positions)], len(rows)),
        standardised=standardised,
        axes=schema.axes,
        coded=schema.target.code(y) if hidden else np.empty((len(y), 0)),
        weight=weight[rows],
        target=schema.target,
        initial=[],
        warm_start=[],
        from_init=schema.from_init,
        frozen=schema.frozen,
        folds=[],
    )
    return replace(schema, vocabularies=vocabularies, counts=counts), problem


@one_blas_thread()  # as in `learn`
def learn_further(
    problem: Problem,
    learned: Learned,
    seen: list[np.ndarray],
    settings: NetSettings,
    rng: np.random.RandomState,
    run: Run,
) -> Learned:
    """Learn from further rows.

    The effects are those of a least-squares model whose prior is what was learned, with the precision of the rows
    seen: the marginal ones come out as if all rows had been there from the start, the crossed ones nearly so. A net
    that was not left out takes one pass, its offset being what the old effects predict of the new rows, and its tables
    then move by Gauss-Newton steps that weigh the rows seen before.

    Parameters
    ----------
    problem : Problem
    learned : Learned
        It is left as it was.
    seen : list of ndarray of shape (n_table_rows_before,)
        Weighted rows of each level that `learned` comes from.
    settings : NetSettings
    rng : numpy.random.RandomState
        Decides all that is random, the seed of `run` nothing.
    run : Run

    Returns
    -------
    Learned
    """
    counts, ids, numeric, weight = problem.counts, problem.ids, problem.numeric, problem.weight
    sizes = [len(c) for c in counts]
    seen = counts_before(seen, sizes)
    old = Effects(
        [grow(table.astype(np.float64), size) for table, size in zip(learned.effects.crossed, sizes)],
        [grow(table.astype(np.float64), size) for table, size in zip(learned.effects.marginal, sizes)],
        learned.effects.numeric,
    )
    # levels without rows have the unknown level's effect, which is a guess and no prior: their own begins from zero
    prior = Effects(
        [table * (before > 0)[:, None] for table, before in zip(old.crossed, seen)],
        [table * (before > 0)[:, None] for table, before in zip(old.marginal, seen)],
        old.numeric,
    )
    problem = problem.within(learned.fences)
    expected, standardised = old.predict(ids, numeric), problem.standardised
    samples = Samples(ids, sizes, numeric, standardised, weight)
    (effects,) = solve_effects(samples, learned.ratios, prior=Prior(prior, seen))
    residual = standardised - expected
    run.begin_pass()
    interactions = learned.interactions
    binned = np.hstack([ids, numeric_bins(numeric, interactions.bin_edges)[0]])
    left = residual - interactions.predict(binned)
    if interactions.cells:
        interactions = interactions.extended(binned, residual, weight).rounded()
    loss = 0.5 * float(np.average((left**2).sum(axis=1), weights=weight))
    net = grown_net(learned.net, problem, rng)
    if net.head:
        offset = problem.target.offset(problem.of_targets(expected))
        if np.isfinite(net.shrinkage):
            from skembed.training.nets.level_net import continue_net

            of_net = replace(problem, initial=net.raw, head=net.head, offset=offset)
            untold = replace(run, callbacks=None).seeded(rng)  # callbacks are told of the whole pass, here
            net.raw, net.head, (loss,) = continue_net(of_net, seen, net.shrinkage, settings, untold, draw_seed(rng))
        else:  # it was left out: effects are all there is, and only the unit of its loss stays
            loss = float(np.average(problem.target.losses(offset, problem.coded), weights=weight))
    run.end_pass(loss)
    history = learned.history
    history = replace(history, n_iter=max(history.n_iter, 1) + 1, loss_curve=[*history.loss_curve, loss])
    layouts = list(learned.layouts)
    tables = assemble(effects, net_rows(problem, sizes, interactions, net), layouts)
    for c, table in enumerate(tables):
        if c not in problem.from_init:
            shares = own_shares(counts[c], counts[c].sum(), learned.ratios, layouts[c], c)
            layouts[c] = widened(layouts[c], table[shares <= MAX_OWN_SHARE])
            tables[c] = within(table, layouts[c], learned.scale)
    return replace(
        learned,
        tables=tables,
        layouts=layouts,
        effects=effects.rounded(),
        interactions=interactions,
        net=net,
        history=history,
    )


def counts_before(counts: list[np.ndarray], sizes: list[int]) -> list[np.ndarray]:
    """Return counts of earlier rows with zeros for the levels that are new."""
    return [np.concatenate([c, np.zeros(size - len(c))]) for c, size in zip(counts, sizes)]


def grown_net(net: NetPart, problem: Problem, rng: np.random.RandomState) -> NetPart:
    """Return the net with a row for every level that is new."""
    initial, raw = [], []
    for c, (start, table) in enumerate(zip(net.initial, net.raw)):
        counts = problem.counts[c]
        initial.append(grow(start, len(counts)))
        raw.append(grow(table, len(counts)))
        if c not in problem.from_init and start.shape[1]:
            new = initial_vectors(counts, table.shape[1], rng)[len(table) :]
            initial[c][len(table) :] = raw[c][len(table) :] = new
    return replace(net, initial=initial, raw=raw, fold_raw=[])


def widened(layout: Layout, rows: np.ndarray) -> Layout:
    """Return limits that also hold the vectors of levels with rows enough to be trusted."""
    if not len(rows) or not rows.shape[1]:
        return layout
    return replace(layout, low=np.minimum(layout.low, rows.min(axis=0)), high=np.maximum(layout.high, rows.max(axis=0)))


def grow(table: np.ndarray, n_rows: int) -> np.ndarray:
    """Return the table with rows like the unknown level's added at its end."""
    return np.concatenate([table, np.repeat(table[:1], n_rows - len(table), axis=0)])
