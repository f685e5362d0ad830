"""Pairwise interactions of columns as random effects, found by a score test, and the profiles that levels have in them.

What a pair of levels adds beyond the effects of both is one more random effect (Henderson 1975), with a variance of its
own for each pair of columns. Which pairs of columns have such effects is asked before anything is learned: residuals of
rows that share both levels are then correlated (the score test of a variance component; Lin 1997, "Variance component
testing in generalised linear models with random effects"). A level's profile is what it adds with each level of its
partners; the principal axes of a column's profiles are its dimensions. Partners count by how frequent they are, so the
squared distance of two levels is the mean squared change of the prediction when one takes the other's place.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import combinations
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import svds

from skembed.data.keys import deflated, inflated, smallest
from skembed.state import check_state, stored
from skembed.training.passes import History, PassSettings, repeat_passes
from skembed.training.run import Run

__all__ = ["Backfitting", "Interactions", "learn_interactions", "numeric_bins", "screen_pairs"]

MAX_PAIRS = 64  # the most significant ones; each costs a sort of the rows
MAX_DIM = 16
CELL_BITS = 18  # cells of the hash table that the score test counts in: a few for each row that it looks at
MAX_TESTED = 2 * 10**8  # rows times pairs: a second or two
MIN_TESTED_ROWS = 2_000
MIN_GAIN = 0.01  # share of what the effects leave that interactions have to explain, to be worth their columns
MIN_GAIN_ERRORS = 2.0  # and how many standard errors that has to be away from nothing
N_BINS = 8  # levels that a numeric side input is cut into, as a partner of columns
N_BIN_SWEEPS = 5
MIN_VARIANCE = 1e-8
MAX_DENSE_SIDE = 400  # the smaller side of a matrix whose singular vectors are found by its Gram matrix


@stored
@dataclass(frozen=True)
class Cells:
    """Combinations of levels of two columns that occur.

    Attributes
    ----------
    columns : (int, int)
    levels : ndarray of shape (2, n_cells), int64
        Table rows in both columns, by the first column's and then the second's.
    """

    columns: tuple[int, int]
    levels: np.ndarray

    _state = {"columns": tuple[int, int], "n_levels": int, "per_level": np.ndarray, "second": np.ndarray}

    def __getstate__(self) -> dict[str, Any]:
        """As the rows of a CSR matrix lie: the cells of a level of the first column one after the other."""
        first, second = self.levels
        per_level = np.bincount(first)
        return {
            "columns": self.columns,
            "n_levels": len(per_level),
            "per_level": deflated(per_level),
            "second": smallest(second),
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        check_state(Cells, state, self._state)
        second, n_levels = state["second"], state["n_levels"]
        if second.ndim != 1 or second.dtype.kind != "u" or not 0 <= n_levels <= len(second) + 1:  # all but row 0 occur
            raise ValueError("Cells: expected the second level of each cell, and as many first levels at most")
        per_level = inflated(state["per_level"], n_levels)
        if per_level.sum() != len(second):
            raise ValueError("Cells: expected how many cells each level has, and the other level of each cell")
        first = np.repeat(np.arange(len(per_level)), per_level)
        object.__setattr__(self, "columns", state["columns"])
        object.__setattr__(self, "levels", np.stack([first, second.astype(np.int64)]))


@stored
@dataclass
class Interactions:
    """What was learned of the interactions, without the rows.

    Attributes
    ----------
    cells : list of Cells
        One for each pair of columns that has a say in the vectors.
    effects : list of ndarray of shape (n_cells, n_targets)
    counts : list of ndarray of shape (n_cells,)
        Weighted rows of each cell.
    ratios : list of float
        Noise variance over the variance of each pair's effects.
    masses : dict of int to ndarray of shape (n_levels,)
        Weighted rows of a column's levels, where it is a partner, when the axes were found.
    axes : dict of int to ndarray of shape (profile length, dim)
        Principal axes of a column's profiles.
    combinations : dict of int to ndarray of shape (n_levels, dim)
        The axes as combinations of profiles, which are shorter where a column has fewer levels than its partners; none
        once the profiles are no longer those whose axes they are.
    bin_edges : list of ndarray
        Of each side input.
    history : History
    pairs : list of (int, int)
        All pairs of columns that interact, the most significant first; numbers from `n_categorical` on are binned side
        inputs.
    """

    cells: list[Cells] = field(default_factory=list)
    effects: list[np.ndarray] = field(default_factory=list)
    counts: list[np.ndarray] = field(default_factory=list)
    ratios: list[float] = field(default_factory=list)
    masses: dict[int, np.ndarray] = field(default_factory=dict)
    axes: dict[int, np.ndarray] = field(default_factory=dict)
    combinations: dict[int, np.ndarray] = field(default_factory=dict)
    bin_edges: list[np.ndarray] = field(default_factory=list)
    history: History = field(default_factory=History)
    pairs: list[tuple[int, int]] = field(default_factory=list)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {
            "counts": [packed(c) for c in self.counts],
            "n_levels": {c: len(mass) for c, mass in self.masses.items()},
            "masses": {c: packed(mass) for c, mass in self.masses.items()},
            "axes": {c: axes for c, axes in self.axes.items() if c not in self.combinations},
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        n_levels = state.pop("n_levels", {})
        check_state(Interactions, state, [f.name for f in fields(Interactions)])
        n_cells = [cells.levels.shape[1] for cells in state["cells"]]
        counts = [unpacked(c, n) for c, n in zip(state["counts"], n_cells)]
        lengths = [[len(part) for part in parts] for parts in (state["effects"], counts)]
        if lengths != [n_cells, n_cells] or len(state["ratios"]) != len(n_cells):
            raise ValueError("Interactions: expected an effect and a count for each cell, a ratio for each pair")
        # the levels of a column have rows, and so cells; of the bins of a side input some may have none
        if n_levels.keys() != state["masses"].keys() or max(n_levels.values(), default=0) > sum(n_cells) + N_BINS + 2:
            raise ValueError("Interactions: expected the masses of columns that have cells")
        masses = {c: unpacked(mass, n_levels[c]) for c, mass in state["masses"].items()}
        self.__dict__.update(state, counts=counts, masses=masses, axes=dict(state["axes"]))
        for c in self.combinations:
            self.axes[c] = self.combined_axes(c)

    def share(self, column: int) -> np.ndarray:
        """Return the share of each of a partner's levels among the rows, (n_levels,)."""
        return self.masses[column] / self.masses[column].sum()

    def combined_axes(self, column: int) -> np.ndarray:
        """Return the axes that are combinations of profiles, (profile length, dim), float32."""
        combination = self.combinations[column]
        profile = profiles(self, column, len(combination), self.effects)
        return (profile.T @ combination.astype(np.float64)).astype(np.float32)

    def rounded(self) -> "Interactions":
        """Return the interactions with effects as float32, which is what the tables that are made of them hold."""
        return replace(self, effects=[effects.astype(np.float32) for effects in self.effects])

    def only_axes(self, kept: dict[int, np.ndarray]) -> "Interactions":
        """Return what the vectors need, further rows counted in or not: some axes, and the pairs that they read.

        Parameters
        ----------
        kept : dict of int to ndarray of int
            Axes of each column that its vectors hold.
        """
        axes = {c: self.axes[c][:, k].astype(np.float32) for c, k in kept.items() if len(k)}
        read = [i for i, cells in enumerate(self.cells) if axes.keys() & set(cells.columns)]
        columns = {c for i in read for c in self.cells[i].columns}
        found = replace(
            self,
            cells=[self.cells[i] for i in read],
            effects=[self.effects[i] for i in read],
            counts=[self.counts[i] for i in read],
            ratios=[self.ratios[i] for i in read],
            masses={c: mass for c, mass in self.masses.items() if c in columns},
            axes=axes,
        ).rounded()
        for c, own in axes.items():
            n_levels = len(self.masses[c])
            if n_levels < len(own):
                found.combinations[c] = combinations_of(profiles(found, c, n_levels, found.effects), own, self.share(c))
                found.axes[c] = found.combined_axes(c)
        return found

    def dim(self, column: int) -> int:
        """Return the dimensions of a column's vectors, 0 where it has no partner."""
        return self.axes[column].shape[1] if column in self.axes else 0

    def rows(self, column: int, n_levels: int, effects: Sequence[np.ndarray] | None = None) -> np.ndarray:
        """Return the coordinates of a column's profiles on its axes, (n_levels, dim).

        Parameters
        ----------
        column : int
        n_levels : int
            Table rows; those without a cell have the profile zero.
        effects : sequence of ndarray, optional
            Of the cells, where not those of all rows.
        """
        if column not in self.axes:
            return np.empty((n_levels, 0))
        return profiles(self, column, n_levels, self.effects if effects is None else effects) @ self.axes[column]

    def extended(self, ids: np.ndarray, residual: np.ndarray, weight: np.ndarray) -> "Interactions":
        """Return the interactions with further rows counted in: what was learned is a prior with the rows seen.

        Parameters
        ----------
        ids : ndarray of shape (n_samples, n_columns)
            Table rows, those of binned side inputs behind them.
        residual : ndarray of shape (n_samples, n_targets)
            What the effects leave.
        weight : ndarray of shape (n_samples,)
        """
        all_cells, all_effects, all_counts = [], [], []
        for cells, effects, counts, ratio in zip(self.cells, self.effects, self.counts, self.ratios):
            first, second = cells.columns
            levels = np.concatenate([cells.levels, ids[:, [first, second]].T], axis=1)
            known, of = np.unique(levels, axis=1, return_inverse=True)
            old, new = np.split(of.ravel(), [cells.levels.shape[1]])
            count = np.bincount(new, weight, known.shape[1]).astype(np.float64)
            total = np.stack([np.bincount(new, weight * column, known.shape[1]) for column in residual.T], axis=1)
            np.add.at(total, old, effects.astype(np.float64) * (counts + ratio)[:, None])
            np.add.at(count, old, counts)
            all_cells.append(Cells(cells.columns, known))
            all_effects.append(total / (count + ratio)[:, None])
            all_counts.append(count)
        return replace(self, cells=all_cells, effects=all_effects, counts=all_counts, combinations={})

    def predict(self, ids: np.ndarray) -> np.ndarray | float:
        """Return the sum of the interactions of some rows, (n_samples, n_targets)."""
        out: np.ndarray | float = 0.0
        for cells, effects in zip(self.cells, self.effects):
            first, second = cells.columns
            width = int(max(cells.levels[1].max(), ids[:, second].max())) + 1
            keys, wanted = cells.levels[0] * width + cells.levels[1], ids[:, first] * width + ids[:, second]
            order = np.argsort(keys)
            place = order[np.minimum(np.searchsorted(keys[order], wanted), len(keys) - 1)]
            out = out + np.where((keys[place] == wanted)[:, None], effects[place], 0.0)
        return out


def learn_interactions(
    ids: np.ndarray,
    sizes: list[int],
    n_categorical: int,
    target: np.ndarray,
    weight: np.ndarray,
    pairs: list[tuple[int, int]],
    include: np.ndarray | None,
    validation: np.ndarray,
    settings: PassSettings,
    run: Run,
) -> tuple[Interactions, list[list[np.ndarray]]]:
    """Learn the interactions of some pairs of columns, or find that they are not worth it.

    Parameters
    ----------
    ids : ndarray of shape (n_samples, n_columns), int32
        Table rows of the categorical columns, then of binned side inputs.
    sizes : list of int
        Table rows of each.
    n_categorical : int
    target : ndarray of shape (n_samples, n_targets)
        Standardised.
    weight : ndarray of shape (n_samples,)
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
        Without cells if they did not predict the validation rows.
    effects : list of lists of ndarray of shape (n_cells, n_targets)
        For each set of rows those of each pair.
    """
    columns = [np.ascontiguousarray(column, dtype=np.int32) for column in ids.T]
    cells, of_rows = zip(*(cells_of(columns, sizes, pair) for pair in pairs))
    terms = [*columns, *of_rows]
    term_sizes = [*sizes, *(c.levels.shape[1] for c in cells)]
    n_passes, history = settings.max_iter, History()
    if len(validation):
        seen = np.ones((len(ids), 1), dtype=np.uint8)
        seen[validation] = 0
        model = Backfitting(terms, term_sizes, target, weight, seen, validation)
        history = passes(model, replace(settings, early_stopping=True), run)
        alone = Backfitting(columns, sizes, target, weight, seen, validation)
        for _ in range(history.best_iter):
            alone.one_pass()
        if not is_worth_it(alone.errors(), model.errors(), weight[validation]):
            return Interactions(history=history), []
        n_passes = history.best_iter
    everything = Backfitting(terms, term_sizes, target, weight, np.ones((len(ids), 1), dtype=np.uint8))
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
    for c in sorted({c for pair in pairs for c in pair if c < n_categorical}):
        found.axes[c] = principal_axes(profiles(found, c, sizes[c], found.effects), found.share(c))
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


def profiles(found: Interactions, column: int, n_levels: int, effects: Sequence[np.ndarray]) -> sp.csr_matrix:
    """Return what each level of a column adds with each level of its partners, times the root of the partner's share.

    Returns
    -------
    csr_matrix of shape (n_levels, sum over partners of levels times targets)
    """
    blocks = []
    for cells, values in zip(found.cells, effects):
        if column not in cells.columns:
            continue
        here = cells.columns.index(column)
        partner = cells.columns[1 - here]
        own, other = cells.levels[here], cells.levels[1 - here]
        share, n_targets = found.share(partner), values.shape[1]
        known = other < len(share)  # a partner's level that came later is on no axis
        scaled = values[known] * np.sqrt(share[other[known]])[:, None]
        place = other[known, None] * n_targets + np.arange(n_targets)
        shape = (n_levels, len(share) * n_targets)
        blocks.append(sp.csr_matrix((scaled.ravel(), (np.repeat(own[known], n_targets), place.ravel())), shape=shape))
    return sp.hstack(blocks).tocsr()


def principal_axes(profile: sp.csr_matrix, share: np.ndarray) -> np.ndarray:
    """Return the leading principal axes of the rows of a matrix, each row counted by its share, (n_columns, dim)."""
    root = np.sqrt(share)
    mean = profile.T @ share
    weighted = sp.diags(root) @ profile
    if min(weighted.shape) <= MAX_DENSE_SIDE:
        centered = weighted.toarray() - root[:, None] * mean
        if centered.shape[1] <= centered.shape[0]:
            values, vectors = np.linalg.eigh(centered.T @ centered)
        else:
            values, left = np.linalg.eigh(centered @ centered.T)
            vectors = centered.T @ left / np.sqrt(np.maximum(values, 1e-300))
        values, vectors = values[::-1], vectors[:, ::-1]
    else:  # the mean is small beside the rows: it takes one of the axes, at most
        start = np.ones(min(weighted.shape))
        _, singular, right = svds(weighted, k=MAX_DIM, v0=start)
        order = np.argsort(-singular)
        values, vectors = singular[order] ** 2, right[order].T
    kept = (values[:MAX_DIM] > 1e-6 * max(float(values[0]), 0.0)) & (values[:MAX_DIM] > MIN_VARIANCE)
    axes = vectors[:, :MAX_DIM][:, kept]
    if not axes.shape[1]:
        return axes
    # a sign of its own for each axis: its largest entry is positive
    largest = axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])]
    return axes * np.where(largest < 0, -1.0, 1.0)


def combinations_of(profile: sp.csr_matrix, axes: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Return the combinations of profiles, (n_levels, dim), float32, that are their principal axes.

    An axis is the mean of the profiles, centered and weighed by share and coordinate, over the variance along it.
    """
    coordinates = profile @ axes.astype(np.float64)
    coordinates -= share @ coordinates
    variances = np.maximum(share @ coordinates**2, 1e-300)
    weights = share[:, None] * coordinates / variances
    return (weights - share[:, None] * weights.sum(axis=0)).astype(np.float32)


def packed(counts: np.ndarray) -> np.ndarray:
    """Return counts deflated, or as they are where weights made them other than whole numbers."""
    return counts if smallest(counts).dtype == counts.dtype else deflated(counts)


def unpacked(counts: np.ndarray, n_counts: int) -> np.ndarray:
    """Return what `packed` was given, float64; ValueError if it is not so many."""
    found = counts if counts.dtype.kind == "f" else inflated(counts, n_counts).astype(np.float64)
    if found.shape != (n_counts,):
        raise ValueError(f"expected {n_counts} counts, got {found.shape}")
    return found


def screen_pairs(
    ids: np.ndarray,
    sizes: list[int],
    n_categorical: int,
    residual: np.ndarray,
    weight: np.ndarray,
) -> list[tuple[int, int]]:
    """Return the pairs of columns whose levels interact beyond doubt, the most significant first.

    Parameters
    ----------
    ids : ndarray of shape (n_samples, n_columns), int32
        Table rows of the categorical columns, then of binned side inputs, which are partners of categories alone.
    sizes : list of int
        Table rows of each.
    n_categorical : int
    residual : ndarray of shape (n_samples, n_targets)
        What the effects of the columns leave.
    weight : ndarray of shape (n_samples,)

    Returns
    -------
    list of (int, int)
        The score test's statistic is above the largest that so many pairs without interaction give by chance, which
        is about the root of twice the logarithm of their number, and two more.
    """
    from skembed.kernels.level_effects import cell_statistic

    varied = [c for c, column in enumerate(ids.T) if column.size and column.min() != column.max()]
    pairs = [(a, b) for a, b in combinations(varied, 2) if a < n_categorical]
    if not pairs:
        return []
    n_rows = min(len(ids), max(MIN_TESTED_ROWS, MAX_TESTED // len(pairs)))
    rows = np.linspace(0, len(ids) - 1, n_rows).astype(np.int64)
    residual = np.ascontiguousarray(residual[rows] * np.sqrt(weight[rows])[:, None])
    columns = {c: ids[rows, c].astype(np.uint64) for c in varied}
    n_cells = 1 << CELL_BITS
    sums, squares, fourths = np.zeros((n_cells, residual.shape[1])), np.zeros(n_cells), np.zeros(n_cells)
    critical = math.sqrt(2.0 * math.log(len(pairs))) + 2.0
    found = []
    for a, b in pairs:
        size = sizes[a] * sizes[b]
        cells = columns[a] * np.uint64(sizes[b]) + columns[b]
        if size > n_cells:  # Fibonacci hashing (Knuth, The Art of Computer Programming 3, section 6.4)
            cells = (cells * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(64 - CELL_BITS)
            size = n_cells
        statistic, variance = cell_statistic(
            cells.astype(np.int64), residual, sums[:size], squares[:size], fourths[:size]
        )
        if variance > 0 and statistic > critical * math.sqrt(variance):
            found.append((statistic / math.sqrt(variance), a, b))
    found.sort(key=lambda item: (-item[0], item[1:]))
    return [(a, b) for _, a, b in found[:MAX_PAIRS]]


def without_bins(bins: np.ndarray, sizes: list[int], residual: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return a residual less the effects of binned side inputs, so that a curved one is not taken for interactions."""
    if not bins.shape[1]:
        return residual
    columns = [np.ascontiguousarray(column, dtype=np.int32) for column in bins.T]
    model = Backfitting(columns, sizes, residual, weight, np.ones((len(bins), 1), dtype=np.uint8))
    for _ in range(N_BIN_SWEEPS):
        model.one_pass()
    return model.residual


def numeric_bins(numeric: np.ndarray, edges: list[np.ndarray] | None = None) -> tuple[np.ndarray, list[np.ndarray]]:
    """Cut numeric side inputs into bins of about as many rows each.

    Parameters
    ----------
    numeric : ndarray of shape (n_samples, n_numeric)
    edges : list of ndarray, optional
        Of the bins, where they are settled.

    Returns
    -------
    bins : ndarray of shape (n_samples, n_numeric), int32
        From 1 on: 0 is unknown.
    edges : list of ndarray
    """
    if edges is None:
        cuts = np.linspace(0, 1, N_BINS + 1)[1:-1]
        edges = [np.unique(np.quantile(column, cuts)) for column in numeric.T]
    if not edges:
        return np.empty((len(numeric), 0), dtype=np.int32), []
    bins = [np.searchsorted(edge, column, side="right") + 1 for edge, column in zip(edges, numeric.T)]
    return np.stack(bins, axis=1).astype(np.int32), edges
