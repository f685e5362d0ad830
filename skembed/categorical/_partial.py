"""Further rows for an encoder that is fitted: what was learned is the prior, and counts as many rows as it has seen."""

from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from skembed.categorical import _columnwise as columnwise
from skembed.categorical._effects import Effects, solve_effects
from skembed.categorical._learn import assemble, start_codes
from skembed.categorical._problem import DEFAULT_SHRINKAGE, Learned, NetSettings, Problem
from skembed.categorical._roles import side_columns
from skembed.categorical._setup import Schema
from skembed.categorical._target import as_columns
from skembed.columns import Columns

__all__ = ["update"]


def update(
    schema: Schema,
    learned: Learned,
    columns: Columns,
    y: Any,
    weight: np.ndarray,
    settings: NetSettings,
    random_state: Any,
) -> tuple[Schema, Learned]:
    """Learn from further rows.

    The effects are those of a least-squares model whose prior is what was learned, with the precision of the rows
    seen: the marginal ones come out as if all rows had been there from the start, the crossed ones nearly so. The net
    takes one pass, its offset being what the old effects predict of the new rows, and its tables then move by
    Gauss-Newton steps that weigh the rows seen before.

    Parameters
    ----------
    schema : Schema
    learned : Learned
    columns : Columns
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
    weight : ndarray of shape (n_samples,)
    settings : NetSettings
    random_state : int, RandomState instance or None

    Returns
    -------
    (Schema, Learned)
        New ones; what was given is left as it was.
    """
    rng = check_random_state(random_state)
    rows = np.flatnonzero(weight > 0)
    all_weight, weight = weight, weight[rows]
    factors = columnwise.factorize_columns(columns, schema.positions)
    vocabularies = [
        v.extend_counts(*columnwise.weighted_counts(f, all_weight, rows)) for v, f in zip(schema.vocabularies, factors)
    ]
    ids = np.stack([v.encode(f)[rows] for v, f in zip(vocabularies, factors)], axis=1)
    sizes = [len(v) + 1 for v in vocabularies]
    seen = [np.concatenate([c, np.zeros(size - len(c))]) for c, size in zip(schema.counts, sizes)]
    counts = [before + np.bincount(ids[:, c], weight, sizes[c]) for c, before in enumerate(seen)]
    old = Effects(
        [grow(table, size) for table, size in zip(learned.effects.crossed, sizes)],
        [grow(table, size) for table, size in zip(learned.effects.marginal, sizes)],
        learned.effects.side,
    )
    # levels without rows have the unknown level's effect, which is a guess and no prior: their own begins from zero
    prior = Effects(
        [table * (before > 0)[:, None] for table, before in zip(old.crossed, seen)],
        [table * (before > 0)[:, None] for table, before in zip(old.marginal, seen)],
        old.side,
    )
    codes, raw = [], []
    for c, (code, table, size) in enumerate(zip(learned.codes, learned.raw, sizes)):
        codes.append(grow(code, size))
        raw.append(grow(table, size))
        if c not in schema.given and code.any():  # without a net's worth of rows no level has a code
            new = start_codes(counts[c], table.shape[1], rng)[len(table) :]
            codes[c][len(table) :] = raw[c][len(table) :] = new
    side = schema.scaler.apply([s[rows] for s in side_columns(columns, schema.side_positions)], len(rows))
    coded = schema.target.code(as_columns(y)[rows])
    expected = old.predict(ids, side)
    effects = solve_effects(
        ids,
        sizes,
        side,
        schema.target.standardised(coded),
        weight,
        learned.ratios,
        prior=prior,
        prior_counts=seen,
    )
    problem = Problem(
        ids=ids,
        counts=counts,
        side=side,
        coded=coded,
        weight=weight,
        target=schema.target,
        allocations=[],
        codes=raw,
        begin=[],
        given=schema.given,
        frozen=schema.frozen,
        folds=[],
    )
    result = replace(learned, effects=effects, codes=codes, raw=raw, n_iter=learned.n_iter + 1)
    if learned.head:
        from skembed.categorical._net import continue_net

        shrinkage = learned.shrinkage if np.isfinite(learned.shrinkage) else DEFAULT_SHRINKAGE
        one_pass = replace(settings, max_iter=1, early_stopping=False, head=learned.head)
        result.raw, result.head, losses = continue_net(
            problem, schema.target.offset(expected), one_pass, seen, shrinkage, rng
        )
        result.loss_curve = learned.loss_curve + losses
    result.matrices = assemble(effects, result.raw, learned.directions, learned.scalings)
    return replace(schema, vocabularies=vocabularies, counts=counts), result


def grow(table: np.ndarray, n_rows: int) -> np.ndarray:
    """Return the table with rows like the unknown level's added at its end."""
    return np.concatenate([table, np.repeat(table[:1], n_rows - len(table), axis=0)])
