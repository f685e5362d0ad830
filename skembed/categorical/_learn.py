"""Learning of one table of vectors for each column from ids and a target: the steps of `EntityEmbeddingEncoder.fit`.

1. effects of the levels by shrunken least squares, for all rows and for those of each fold, within fences;
2. a net that learns what the effects leave: products of levels that interact, or hidden layers;
3. the dimensions that say something, by falling spread;
4. for each training row the vectors that were learned without it, where it has a say in them;
5. limits and one scale, so that tables never leave the range that training rows show, and distances have a unit.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from skembed.categorical._effects import Effects, EffectsModel, VarianceRatios, pooled_levels
from skembed.categorical._folds import last_folds
from skembed.categorical._interaction_learning import learn_interactions
from skembed.categorical._interaction_screening import numeric_bins, screen_pairs, without_bins
from skembed.categorical._interactions import Interactions
from skembed.categorical._layout import MARGINAL_SCALE, gain_of, gained, held_out_prediction, is_sure, lay_out
from skembed.categorical._outliers import Fences
from skembed.categorical._problem import Layout, Learned, Problem, RowVectors
from skembed.categorical._samples import Samples
from skembed.threads import one_blas_thread
from skembed.training.cache import Call, learn_once
from skembed.training.level_net import NetPart, NetSettings
from skembed.training.run import Run, draw_seed

__all__ = ["assemble", "learn", "learn_cached"]

MIN_NET_WEIGHT = 300.0  # fewer samples than this tell a net nothing that survives validation
MIN_RESIDUAL = 1e-6  # of the target's variance; with less the effects leave nothing but rounding errors
MAX_OWN_SHARE = 0.05  # of a vector's distance from the column's mean, up to which a row's own target may be in it
MAX_CHANCE_SHARE = 0.01  # of the noise, that a model behind may gain by chance from all columns not held out together
MAX_FEW_LEVELS = 32


@one_blas_thread()  # products have few columns: more threads are never faster
def learn(problem: Problem, settings: NetSettings, run: Run) -> Learned:
    """Learn the vectors of every column.

    Parameters
    ----------
    problem : Problem
    settings : NetSettings
    run : Run

    Returns
    -------
    Learned
    """
    rng = np.random.RandomState(run.seed)
    sizes = [len(c) for c in problem.counts]
    sets = np.hstack([problem.include(), np.ones((len(problem.ids), 1), dtype=np.uint8)])
    model = EffectsModel(problem.samples(), rng)
    *fold_effects, effects = model.solve_each(sets)
    fences = fences_against_outliers(problem, fold_effects)
    if fences is not None:
        problem = problem.within(fences)
        model = EffectsModel(problem.samples(), np.random.RandomState(run.seed))
        *fold_effects, effects = model.solve_each(sets)
    standardised = problem.standardised
    interactions, net = Interactions(), without_net(problem)
    fold_interactions: list[list[np.ndarray]] = []
    interacting: set[int] = set()
    if settings.max_iter > 0 and problem.weight.sum() >= MIN_NET_WEIGHT and problem.target.varies:
        if settings.hidden_layer_sizes:
            net = hidden_net(problem, fold_effects, settings, rng, run)
        else:
            beside_numbers = standardised - problem.numeric @ effects.numeric
            pairs, edges = interacting_pairs(problem, model)
            interacting = {c for pair in pairs for c in pair}
            if pairs:
                interactions, fold_interactions = pairwise_net(
                    problem, pairs, edges, beside_numbers, settings, rng, run
                )
    fold_rows = [net_rows(problem, sizes, interactions, net, k, fold_interactions) for k in range(len(problem.folds))]
    all_rows = net_rows(problem, sizes, interactions, net)
    layouts, faint = lay_out(problem, effects, fold_effects, all_rows, interacting)
    tables = assemble(effects, all_rows, layouts)
    training_rows = [table.take(ids, axis=0) for table, ids in zip(tables, problem.ids.T)]
    codes = list(problem.ids.T)
    if problem.holds_out:
        fold_tables = [assemble(e, rows, layouts) for e, rows in zip(fold_effects, fold_rows)]
        codes = hold_out(problem, training_rows, tables, fold_tables, layouts, model.ratios)
        for c, (layout, rows) in enumerate(zip(layouts, training_rows)):
            if c not in problem.from_init:
                layout.low, layout.high = rows.min(axis=0), rows.max(axis=0)
    informative = [bool(table.size) and bool((table != table[0]).any()) for table in tables]
    scale = unit_scale(problem, training_rows, [says and c not in faint for c, says in enumerate(informative)])
    history = net.history if settings.hidden_layer_sizes else interactions.history
    for c, layout in enumerate(layouts):
        if c not in problem.from_init:
            training_rows[c] = within(training_rows[c], layout, scale)
            tables[c] = within(tables[c], layout, scale)
    vectors = list(map(RowVectors, training_rows, codes))
    interactions, layouts = as_read(interactions, net, layouts)
    return Learned(
        tables=tables,
        training_rows=vectors,
        layouts=layouts,
        scale=scale,
        informative=informative,
        effects=effects.rounded(),
        ratios=model.ratios,
        interactions=interactions,
        net=net,
        history=history,
        fences=fences,
    )


def fences_against_outliers(problem: Problem, fold_effects: list[Effects]) -> Fences | None:
    """Return the fences of targets whose squares are those of outliers, and whose effects explain nothing held out."""
    if problem.axes is not None or problem.target.outputs[0].classes is not None:  # outputs are of one kind
        return None
    weight = problem.weight
    fences = Fences.find(problem.standardised, weight)
    if fences is None:
        return None
    own = held_out_prediction(problem, fold_effects)
    target = problem.standardised - np.average(problem.standardised, axis=0, weights=weight)
    variances = np.average(target**2, axis=0, weights=weight)
    values = gained(own, target)
    gains = [gain_of(values[:, [j]], weight, v, problem.groups) for j, v in enumerate(variances)]
    return fences.of(np.array([not is_sure(gain) for gain in gains]))


def learn_cached(memory: Any, problem: Problem, settings: NetSettings, run: Run) -> Call:
    """Learn, or take what a `joblib.Memory` has kept of the same problem, settings and seed."""
    if getattr(memory, "store_backend", memory) is None:
        return Call(learn(problem, settings, run), None, "")
    return learn_once(memory, _learn, problem, settings, run=run)


def _learn(problem: Problem, settings: NetSettings, run: Run) -> Learned:
    learned = learn(problem, settings, run)
    return replace(learned, training_rows=[rows.shared() for rows in learned.training_rows])


def interacting_pairs(problem: Problem, model: EffectsModel) -> tuple[list[tuple[int, int]], list[np.ndarray]]:
    """Return the pairs of columns, or of a column and a binned side input, that interact, and the edges of the bins."""
    bins, edges = numeric_bins(problem.numeric)
    if float((model.residual**2).mean()) < MIN_RESIDUAL:
        return [], edges
    rows = model.sampled
    residual = without_bins(bins[rows], [len(e) + 2 for e in edges], model.residual, problem.weight[rows])
    ids = np.hstack([problem.ids, bins])[rows]
    pairs = screen_pairs(
        ids,
        pair_sizes(problem, edges),
        len(problem.counts),
        residual,
        problem.weight[rows],
        None if problem.groups is None else problem.groups[rows],
    )
    return [(a, b) for a, b in pairs if a not in problem.from_init or b not in problem.from_init], edges


def pairwise_net(
    problem: Problem,
    pairs: list[tuple[int, int]],
    edges: list[np.ndarray],
    target: np.ndarray,
    settings: NetSettings,
    rng: np.random.RandomState,
    run: Run,
) -> tuple[Interactions, list[list[np.ndarray]]]:
    """Learn the interactions of some pairs of columns: of all rows, and for each fold.

    The target is less what the numeric side inputs explain.
    """
    bins, _ = numeric_bins(problem.numeric, edges)
    ids = np.hstack([problem.ids, bins])
    validation = validation_rows(problem, settings, rng)
    samples = Samples(ids, pair_sizes(problem, edges), problem.numeric[:, :0], target, problem.weight)
    include = problem.include() if problem.holds_out else None
    interactions, by_fold = learn_interactions(
        samples, pairs, include, validation, settings, run, problem.groups, problem.folds
    )
    interactions.find_axes(len(problem.counts))
    interactions.bin_edges = edges
    return interactions, by_fold


def validation_rows(problem: Problem, settings: NetSettings, rng: np.random.RandomState) -> np.ndarray:
    """Return the rows on which it is decided what stays: drawn from all, or the last folds of a splitter.

    Rows of one group, or of one time, are alike beyond what the columns say of them. Some of them would bear out what
    was learned from the others, whatever it is worth for other groups and later times.
    """
    if problem.validates_on_folds and settings.early_stopping:
        return last_folds(problem.folds, settings.validation_fraction)
    return settings.held_out_rows(len(problem.ids), rng)


def pair_sizes(problem: Problem, edges: list[np.ndarray]) -> list[int]:
    """Return the table rows of each column, and of each binned side input."""
    return [*(len(c) for c in problem.counts), *(len(e) + 2 for e in edges)]


def hidden_net(
    problem: Problem, fold_effects: list[Effects], settings: NetSettings, rng: np.random.RandomState, run: Run
) -> NetPart:
    """Train a net with hidden layers, each row's offset from effects that were learned without it."""
    from skembed.training.nets.level_net import learn_net

    prediction = held_out_prediction(problem, fold_effects)
    validation = validation_rows(problem, settings, rng)
    problem = replace(problem, offset=problem.target.offset(problem.of_targets(prediction)))
    return learn_net(problem, validation, settings, run.seeded(rng), draw_seed(rng))


def without_net(problem: Problem) -> NetPart:
    """Return no dimensions for any column but those of tables that were given, which stay as they are."""
    initial = [table if c in problem.from_init else table[:, :0] for c, table in enumerate(problem.initial)]
    return NetPart(initial=initial, raw=initial, fold_raw=[], scalings=[np.eye(table.shape[1]) for table in initial])


def net_rows(
    problem: Problem,
    sizes: list[int],
    interactions: Interactions,
    net: NetPart,
    fold: int | None = None,
    fold_interactions: list[list[np.ndarray]] | None = None,
) -> list[np.ndarray]:
    """Return what the net says of every level of every column, learned from all rows or from those of a fold."""
    raw = net.raw if fold is None or not net.fold_raw else net.fold_raw[fold]
    effects = None if fold is None or not fold_interactions else fold_interactions[fold]
    out = []
    for c, size in enumerate(sizes):
        rows = raw[c] @ net.scalings[c]
        out.append(rows if c in problem.from_init else np.hstack([rows, interactions.rows(c, size, effects)]))
    return out


def as_read(interactions: Interactions, net: NetPart, layouts: list[Layout]) -> tuple[Interactions, list[Layout]]:
    """Return the interactions without the axes that no vector holds, and the layouts that read the others."""
    kept, numbered = {}, []
    for c, layout in enumerate(layouts):
        first = net.scalings[c].shape[1]  # the interactions' dimensions stand behind those of hidden layers
        from_axes = layout.net >= first
        if interactions.dim(c):
            kept[c] = layout.net[from_axes] - first
            layout = replace(layout, net=layout.net.copy())
            layout.net[from_axes] = first + np.arange(len(kept[c]))
        numbered.append(layout)
    return interactions.only_axes(kept), numbered


def assemble(effects: Effects, net: list[np.ndarray], layouts: list[Layout]) -> list[np.ndarray]:
    """Put crossed effects, marginal effects and the net's dimensions side by side, one float32 table a column."""
    tables = []
    for crossed, marginal, rows, layout in zip(effects.crossed, effects.marginal, net, layouts):
        parts = [crossed @ layout.crossed, MARGINAL_SCALE * (marginal @ layout.marginal), rows[:, layout.net]]
        tables.append(np.hstack(parts)[:, layout.order].astype(np.float32))
    return tables


def hold_out(
    problem: Problem,
    training_rows: list[np.ndarray],
    tables: list[np.ndarray],
    fold_tables: list[list[np.ndarray]],
    layouts: list[Layout],
    ratios: VarianceRatios,
) -> list[np.ndarray]:
    """Give training rows the vectors of their folds, in place, where their own targets have a say in the full ones.

    A level that the other folds do not show gets the unknown level's vector: that of all rows where it was learned from
    so many that one hardly weighs. One for each fold would tell a linear model which fold a row is in. In a column of
    two levels there is nothing to hold out: a vector can only say which of the two a row has. Nor is it worth it in
    columns of few levels, see `columns_of_few_levels`.

    Returns
    -------
    list of ndarray of shape (n_samples,), int
        Of every column: rows with one code have one vector.
    """
    codes = [ids.astype(np.int64) for ids in problem.ids.T]
    shares = [own_shares(n, n.sum(), ratios, layouts[c], c) for c, n in enumerate(problem.counts)]
    in_full = columns_of_few_levels(problem, shares)
    for c, (rows, layout) in enumerate(zip(training_rows, layouts)):
        ids, counts = problem.ids[:, c], problem.counts[c]
        if c in in_full or (c in problem.from_init and c in problem.frozen):
            continue
        from_fold = (shares[c] > MAX_OWN_SHARE)[ids]
        pooled = counts[pooled_levels(counts)].sum()
        one_unknown = own_shares(pooled, counts.sum(), ratios, layout, c) <= MAX_OWN_SHARE
        for k, ((train, test), of_fold) in enumerate(zip(problem.folds, fold_tables), start=1):
            table = of_fold[c]
            if c not in problem.from_init:
                seen = np.bincount(ids[train], minlength=len(table)) > 0
                table = np.where(seen[:, None], table, tables[c][0] if one_unknown else table[0])
            affected = test[from_fold[test]]
            rows[affected] = table[ids[affected]]
            codes[c][affected] += k * len(table)
    return codes


def columns_of_few_levels(problem: Problem, shares: list[np.ndarray]) -> set[int]:
    """Return the columns whose training rows keep the vectors of all rows, though own targets have a say in some.

    From the effects of k levels a model behind gains k/n of the variance of the noise by chance (n: rows), as it does
    from k indicator columns. Where that is next to nothing, vectors that differ between folds do more harm: trees find
    out which fold a row is in, and new rows have none. Columns of the fewest such levels come first, as many as cost
    `MAX_CHANCE_SHARE` together; those of two levels cost nothing. Of many levels in the order of their noise a tree
    takes two thirds of that gain by a single split, which indicator columns do not let it do: more than
    `MAX_FEW_LEVELS` are held out in any case. So are all where the folds are not drawn from all rows alike: rows are
    not independent then, and n says little.

    Parameters
    ----------
    problem : Problem
    shares : list of ndarray of shape (n_table_rows,)
        The `own_shares` of each column's levels.
    """
    n_affected = {}
    for c, (counts, share) in enumerate(zip(problem.counts, shares)):
        seen = counts > 0
        affected = 0 if seen.sum() <= 2 else int((seen & (share > MAX_OWN_SHARE)).sum())
        if c not in problem.from_init and affected <= MAX_FEW_LEVELS:
            n_affected[c] = affected
    allowed = MAX_CHANCE_SHARE * problem.weight.sum() if problem.random_folds else 0.0
    by_cost = sorted(n_affected, key=lambda c: (n_affected[c], c))
    so_far = np.cumsum([n_affected[c] for c in by_cost])
    return {c for c, cost in zip(by_cost, so_far) if cost <= allowed}


def own_shares(counts: np.ndarray, total: float, ratios: VarianceRatios, layout: Layout, column: int) -> np.ndarray:
    """Return how much of each level's vector, as far as it tells rows apart, is the own noise of the level's rows.

    In the rows of a level its effect is larger than for new rows by the factor 1 + ratio/n, its own noise being in it
    (n: the level's rows; ratio: noise over effect variance, taken as 1 at least). A level that most rows share is where
    the column's mean is, so the part of it that can tell rows apart is smaller by the share of the others.
    """
    ratio = (ratios.crossed if layout.crossed.shape[1] else ratios.marginal)[column]
    return (1.0 - counts / max(total, 1e-300)) * max(ratio, 1.0) / np.maximum(counts, 1e-300)


def unit_scale(problem: Problem, training_rows: list[np.ndarray], informative: list[bool]) -> float:
    """Return the factor that brings the root mean square of the columns' total spread over the training rows to 1.

    Columns that say nothing or are faint, and those whose tables were given, have no say in it.
    """
    share = problem.weight / problem.weight.sum()
    totals = []
    for c, rows in enumerate(training_rows):
        if informative[c] and c not in problem.from_init:
            mean = share @ rows
            totals.append(float(share @ ((rows - mean) ** 2).sum(axis=1, dtype=np.float64)))
    spread = float(np.mean(totals)) if totals else 0.0
    return 1.0 / np.sqrt(spread) if spread > 1e-12 else 1.0


def within(rows: np.ndarray, layout: Layout, scale: float) -> np.ndarray:
    """Return vectors within the limits of their column, scaled; one zero where a column has nothing to say."""
    if not rows.shape[1]:
        return np.zeros((len(rows), 1), dtype=np.float32)
    return np.clip(rows, layout.low, layout.high).astype(np.float32) * np.float32(scale)
