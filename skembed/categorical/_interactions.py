"""Pairwise interactions of columns as random effects, and the profiles that levels have in them.

What a pair of levels adds beyond the effects of both is one more random effect (Henderson 1975), with a variance of its
own for each pair of columns. A level's profile is what it adds with each level of its partners; the principal axes of a
column's profiles are its dimensions. Partners count by how frequent they are, so the squared distance of two levels is
the mean squared change of the prediction when one takes the other's place. Which pairs of columns have any is screened
in `_interaction_screening`; they are learned in `_interaction_learning`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import svds

from skembed.data.keys import deflated, inflated, smallest
from skembed.state import check_state, stored
from skembed.training.passes import History

__all__ = ["MIN_VARIANCE", "N_BINS", "Cells", "Interactions", "principal_axes", "profiles"]

MAX_DIM = 16
N_BINS = 8  # levels that a numeric side input is cut into, as a partner of columns
MIN_VARIANCE = 1e-8
N_FURTHER_SWEEPS = 5  # over all pairs, of further rows: they begin from what was learned
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

    def find_axes(self, n_columns: int) -> None:
        """Find the axes of those of the first columns that have interactions."""
        for c in sorted(c for c in self.masses if c < n_columns):
            self.axes[c] = principal_axes(profiles(self, c, len(self.masses[c]), self.effects), self.share(c))

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

        Pairs are learned by backfitting, as at first: what one of them says of a row is not left to another, whose
        columns may be nearly the same.

        Parameters
        ----------
        ids : ndarray of shape (n_samples, n_columns)
            Table rows, those of binned side inputs behind them.
        residual : ndarray of shape (n_samples, n_targets)
            What the effects leave.
        weight : ndarray of shape (n_samples,)
        """
        all_cells, all_effects, all_counts = [], [], []
        of_rows, priors = [], []  # the cell of each row; effects times the weight that they have by the rows seen
        for cells, effects, counts, ratio in zip(self.cells, self.effects, self.counts, self.ratios):
            first, second = cells.columns
            levels = np.concatenate([cells.levels, ids[:, [first, second]].T], axis=1)
            width = int(levels[1].max()) + 1
            keys, of = np.unique(levels[0] * width + levels[1], return_inverse=True)
            old, new = np.split(of, [cells.levels.shape[1]])
            count = np.bincount(new, weight, len(keys)).astype(np.float64)
            count[old] += counts
            begun = np.zeros((len(keys), residual.shape[1]))
            begun[old] = effects
            prior = np.zeros_like(begun)
            prior[old] = begun[old] * (counts + ratio)[:, None]
            all_cells.append(Cells(cells.columns, np.stack([keys // width, keys % width])))
            all_effects.append(begun)
            all_counts.append(count)
            of_rows.append(new)
            priors.append(prior)
        said = sum((effects[new] for effects, new in zip(all_effects, of_rows)), np.zeros_like(residual))
        for _ in range(N_FURTHER_SWEEPS if len(all_cells) > 1 else 1):
            for i, (new, prior, count) in enumerate(zip(of_rows, priors, all_counts)):
                said -= all_effects[i][new]
                left = residual - said
                total = np.stack([np.bincount(new, weight * column, len(count)) for column in left.T], axis=1)
                all_effects[i] = (total + prior) / (count + self.ratios[i])[:, None]
                said += all_effects[i][new]
        return replace(self, cells=all_cells, effects=all_effects, counts=all_counts, combinations={})

    def predict(self, ids: np.ndarray) -> np.ndarray | float:
        """Return the sum of the interactions of some rows, (n_samples, n_targets)."""
        out: np.ndarray | float = 0.0
        for cells, effects in zip(self.cells, self.effects):
            first, second = cells.columns
            width = int(max(cells.levels[1].max(), ids[:, second].max())) + 1
            keys = cells.levels[0] * width + cells.levels[1]
            wanted = ids[:, first].astype(np.int64) * width + ids[:, second]
            order = np.argsort(keys)
            place = order[np.minimum(np.searchsorted(keys[order], wanted), len(keys) - 1)]
            out = out + np.where((keys[place] == wanted)[:, None], effects[place], 0.0)
        return out


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
