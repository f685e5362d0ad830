"""States of a recurrent net after cases, by compiled kernels: beginnings of a case are read off one pass over it."""

import numpy as np

from skembed.data.cases import MISSING_PLACE, Cases
from skembed.data.prefixes import overlay
from skembed.data.ragged import Ragged
from skembed.data.vocabulary import UNKNOWN_ROW
from skembed.kernels.recurrent import fold_rows, recurrent_states, sum_rows
from skembed.table import EmbeddingTable
from skembed.training.recurrent import POOLINGS, InputWeights, RecurrentWeights

__all__ = ["states_after"]

_EVENTS_AT_ONCE = 1 << 16


def states_after(cases: Cases, weights: RecurrentWeights, tables: list[EmbeddingTable], pooling: str) -> np.ndarray:
    """Return the pooled states of cases.

    Parameters
    ----------
    cases : Cases
    weights : RecurrentWeights
    tables : list of EmbeddingTable
        Of each column of categories, those of sequences first; each with an unknown vector.
    pooling : {"last", "mean", "max"}

    Returns
    -------
    ndarray of shape (n_cases, dim), float32
        Of a case without events the state that it would begin in. A row depends on nothing but its own case.
    """
    over = overlay(cases, merge_equal=True)
    n_categories = cases.ids.shape[1]
    longest = cases.take(over.longest)
    order = np.lexsort((cases.lengths, over.which))  # reads of a case by their lengths
    reads = Ragged.from_ends(order, np.cumsum(np.bincount(over.which, minlength=len(longest))))
    read_length = cases.lengths[order]
    n_gates = weights.recurrent.shape[1]
    start = np.concatenate([weights.bias, weights.start])
    of_case = np.repeat(start[None], len(longest), axis=0)
    rows, shares, table = _pairs(
        longest.case_ids, longest.case_places, weights.cases, tables[n_categories:], len(start)
    )
    sum_rows(rows, shares, table, of_case)
    base = np.ascontiguousarray(of_case[:, :n_gates])
    begin = np.ascontiguousarray(of_case[:, n_gates:])
    out = np.empty((len(cases), weights.dim), dtype=np.float32)
    first = 0
    while first < len(longest):
        stop = int(np.searchsorted(longest.indptr, longest.indptr[first] + _EVENTS_AT_ONCE, side="right")) - 1
        stop = min(max(stop, first + 1), len(longest))
        events = slice(longest.indptr[first], longest.indptr[stop])
        found = slice(reads.indptr[first], reads.indptr[stop])
        rows, shares, table = _pairs(
            longest.ids[events], longest.places[events], weights.events, tables[:n_categories], n_gates
        )
        block = np.empty((found.stop - found.start, weights.dim), dtype=np.float32)
        recurrent_states(
            weights.cell == "lstm", POOLINGS.index(pooling), longest.indptr[first : stop + 1] - events.start,
            rows, shares, table, base[first:stop], begin[first:stop], weights.recurrent, weights.recurrent_bias,
            reads.indptr[first : stop + 1] - found.start, read_length[found], block,
        )  # fmt: skip
        out[order[found]] = block
        first = stop
    return out


def _pairs(
    ids: np.ndarray, places: np.ndarray, inputs: InputWeights, tables: list[EmbeddingTable], n_outputs: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a table of what levels and knots add, and the rows of it that each event adds, with their shares."""
    parts: list[np.ndarray] = []
    rows, shares = [], []
    first = 0
    for c, (table, weight) in enumerate(zip(tables, inputs.categories)):
        found, place = np.unique(ids[:, c], return_inverse=True)  # only levels that are there are multiplied
        part = np.empty((len(found), n_outputs), dtype=np.float32)
        fold_rows(_vectors(table, found), weight, part)
        parts.append(part)
        rows.append(place.reshape(-1) + first)
        shares.append(np.ones(len(ids), dtype=np.float32))
        first += len(part)
    for j, knots in enumerate(inputs.numbers):
        place = places[:, j]
        below = np.clip(np.floor(place), 0, len(knots) - 2).astype(np.int64)
        above = np.minimum(below + 1, len(knots) - 2)
        share = (place - below).astype(np.float32)
        missing = place == MISSING_PLACE
        share[missing] = 0.0
        parts.append(knots)
        rows += [np.where(missing, 0, below + 1) + first, above + 1 + first]
        shares += [1 - share, share]
        first += len(knots)
    if not rows:
        nothing = np.empty((len(ids), 0))
        return nothing.astype(np.int64), nothing.astype(np.float32), np.empty((0, n_outputs), dtype=np.float32)
    return np.stack(rows, axis=1), np.stack(shares, axis=1), np.concatenate(parts)


def _vectors(table: EmbeddingTable, rows: np.ndarray) -> np.ndarray:
    """Return vectors by rows of levels, of which the first is the unknown one."""
    vectors = np.repeat(np.asarray(table.unknown, dtype=np.float32)[None], len(rows), axis=0)
    known = rows != UNKNOWN_ROW
    vectors[known] = table.vectors[rows[known] - 1]
    return vectors
