"""States of a recurrent net after cases, in numpy alone: beginnings of a case are read off one pass over it.

Products with weights add up one dimension after the other, where BLAS would choose an order by how many rows there are:
a row has the same bits whatever rows are beside it.
"""

from typing import NamedTuple

import numpy as np

from skembed.data.cases import MISSING_PLACE, Cases
from skembed.data.prefixes import overlay
from skembed.data.ragged import Ragged
from skembed.data.vocabulary import UNKNOWN_ROW
from skembed.table import EmbeddingTable
from skembed.training.recurrent import InputWeights, RecurrentWeights

__all__ = ["product", "run_cell", "states_after"]

_CACHED = 1 << 15  # numbers that are worked on at a time
_EVENTS_AT_ONCE = 1 << 14
_LSTM = "lstm"


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
    longest_first = np.argsort(-cases.lengths[over.longest], kind="stable")
    longest = cases.take(over.longest[longest_first])
    rank = np.empty_like(longest_first)
    rank[longest_first] = np.arange(len(rank))
    which, lengths = rank[over.which], longest.lengths
    reads = Ragged.from_ends(np.argsort(which, kind="stable"), np.cumsum(np.bincount(which, minlength=len(longest))))
    k, n_gates = cases.ids.shape[1], weights.recurrent.shape[1]
    start = np.concatenate([weights.bias, weights.start])
    of_case = _sums(longest.case_ids, longest.case_places, weights.cases, tables[k:], start)
    no_gates = np.zeros(n_gates, dtype=np.float32)
    out = np.empty((len(cases), weights.dim), dtype=np.float32)
    n_at_once = max(1, _CACHED // n_gates)
    first = 0
    while first < len(longest):
        n = max(1, min(n_at_once, _EVENTS_AT_ONCE // max(int(lengths[first]), 1)))
        block = slice(first, min(first + n, len(longest)))
        events = _by_position(longest.indptr[block], lengths[block])
        gates = _sums(longest.ids[events.order], longest.places[events.order], weights.events, tables[:k], no_gates)
        gates += of_case[block, :n_gates][events.owner]
        states = run_cell(gates, events.sizes, of_case[block, n_gates:], weights, pooling)
        found = reads.indices[reads.indptr[block.start] : reads.indptr[block.stop]]
        place = which[found] - block.start
        later = cases.lengths[found] > 0
        place[later] += (block.stop - block.start) + events.firsts[cases.lengths[found[later]] - 1]
        out[found] = states[place]
        first = block.stop
    return out


class _Positions(NamedTuple):
    """Events of cases of falling lengths: all first ones, then all second ones."""

    order: np.ndarray  # (n_events,) numbers of events
    owner: np.ndarray  # (n_events,) places of their cases
    sizes: np.ndarray  # (longest,) cases that have an event there
    firsts: np.ndarray  # (longest,) where the events of a position begin


def _by_position(begins: np.ndarray, lengths: np.ndarray) -> _Positions:
    sizes = len(lengths) - np.cumsum(np.bincount(lengths))[:-1]
    firsts = np.cumsum(sizes) - sizes
    position = np.repeat(np.arange(len(sizes)), sizes)
    owner = np.arange(len(position)) - firsts[position]
    return _Positions(begins[owner] + position, owner, sizes, firsts)


def run_cell(
    gates: np.ndarray, sizes: np.ndarray, start: np.ndarray, weights: RecurrentWeights, pooling: str
) -> np.ndarray:
    """Run the cell over sequences of falling lengths.

    Parameters
    ----------
    gates : ndarray of shape (n_events, n_gates), float32
        What each event adds to the gates, all first events before all second ones.
    sizes : ndarray of shape (longest,), int64
        Sequences that have an event at each position.
    start : ndarray of shape (n, n_states), float32
        The state that each sequence begins in, before its tanh.
    weights : RecurrentWeights
    pooling : {"last", "mean", "max"}

    Returns
    -------
    ndarray of shape (n + n_events, dim), float32
        The states that sequences begin in, then their pooled states after each event.
    """
    n, dim = len(start), weights.dim
    out = np.empty((n + len(gates), dim), dtype=np.float32)
    hidden, memory = np.tanh(start[:, :dim]), np.array(start[:, dim:])
    out[:n] = hidden
    pooled = np.zeros((n, dim), dtype=np.float32)
    place = 0
    for position, size in enumerate(sizes.tolist()):
        hidden, memory, pooled = hidden[:size], memory[:size], pooled[:size]
        arriving = gates[place : place + size]
        recurrent = product(hidden, weights.recurrent)
        with np.errstate(over="ignore"):  # a gate that is shut
            if weights.cell == _LSTM:
                hidden, memory = _lstm_step(arriving + recurrent, memory)
            else:
                hidden = _gru_step(arriving, recurrent + weights.recurrent_bias, hidden)
        if pooling == "mean":
            pooled = pooled + hidden
        else:
            pooled = np.maximum(pooled, hidden) if pooling == "max" and position else hidden
        out[n + place : n + place + size] = pooled / np.float32(position + 1) if pooling == "mean" else pooled
        place += size
    return out


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def _lstm_step(gates: np.ndarray, memory: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    dim = memory.shape[1]
    add, keep, new, show = (gates[:, i * dim : (i + 1) * dim] for i in range(4))
    memory = _sigmoid(keep) * memory + _sigmoid(add) * np.tanh(new)
    return _sigmoid(show) * np.tanh(memory), memory


def _gru_step(arriving: np.ndarray, recurrent: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    dim = hidden.shape[1]
    reset, update = (_sigmoid(arriving[:, part] + recurrent[:, part]) for part in (slice(0, dim), slice(dim, 2 * dim)))
    new = np.tanh(arriving[:, 2 * dim :] + reset * recurrent[:, 2 * dim :])
    return new + update * (hidden - new)


def product(vectors: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return ``vectors @ weights``, float32, each row by itself in one order of sums, whatever rows are beside it.

    Examples
    --------
    >>> product(np.ones((2, 3), np.float32), np.full((3, 1), 2, np.float32)).ravel()
    array([6., 6.], dtype=float32)
    """
    out = np.zeros((len(vectors), weights.shape[1]), dtype=np.float32)
    n_at_once = max(1, _CACHED // max(weights.shape[1], 1))
    for begin in range(0, len(vectors), n_at_once):
        total, rows = out[begin : begin + n_at_once], vectors[begin : begin + n_at_once]
        term = np.empty_like(total)
        for d in range(len(weights)):
            np.multiply(rows[:, d, None], weights[d], out=term)
            total += term
    return out


def _sums(
    ids: np.ndarray, places: np.ndarray, inputs: InputWeights, tables: list[EmbeddingTable], start: np.ndarray
) -> np.ndarray:
    """Return what all columns add to `start`, (n, n_outputs), float32."""
    out = np.repeat(start[None], len(ids), axis=0)
    for c, (table, weight) in enumerate(zip(tables, inputs.categories)):
        found, place = np.unique(ids[:, c], return_inverse=True)  # only levels that are there are multiplied
        out += product(_vectors(table, found), weight)[place.reshape(-1)]
    for j, knots in enumerate(inputs.numbers):
        place = places[:, j]
        last = len(knots) - 2
        below = np.clip(np.floor(place), 0, last).astype(np.int64)
        share = (place - below).astype(np.float32)[:, None]
        between = knots[1 + below] * (1 - share) + knots[1 + np.minimum(below + 1, last)] * share
        out += np.where((place == MISSING_PLACE)[:, None], knots[0], between)
    return out


def _vectors(table: EmbeddingTable, rows: np.ndarray) -> np.ndarray:
    """Return vectors by rows of levels, of which the first is the unknown one."""
    vectors = np.repeat(np.asarray(table.unknown, dtype=np.float32)[None], len(rows), axis=0)
    known = rows != UNKNOWN_ROW
    vectors[known] = table.vectors[rows[known] - 1]
    return vectors
