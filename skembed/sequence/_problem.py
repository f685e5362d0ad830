"""Targets of a recurrent net: the next event of every beginning of a case, or y of the whole case."""

from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from sklearn.utils import check_consistent_length
from sklearn.utils.validation import _num_samples

from skembed.base import check_weights, class_weights
from skembed.data.cases import CaseReader, Cases
from skembed.data.columns import Columns
from skembed.data.prefixes import overlay
from skembed.data.target import Target, as_columns
from skembed.memory import check_memory
from skembed.training.passes import PassSettings
from skembed.training.recurrent import CELLS, CaseProblem, RecurrentSettings
from skembed.warning import warn

__all__ = [
    "Reads",
    "from_next_events",
    "from_next_numbers",
    "from_target",
    "predict_memory",
    "problem_of",
    "weighted_rows",
]

LEAST_HELD_OUT = 5  # cases that tell anything of when to stop
LEAST_HELD_OUT_READS = 10  # and reads
MOST_HELD_OUT = 0.25  # of the cases, to come to so many
_VALUES_PER_EVENT = 12  # of a gate, in one batch, that torch holds at a time


class Reads(NamedTuple):
    """Where the loss is taken and of what, as `CaseProblem` has it."""

    cases: Cases
    read_case: np.ndarray
    read_length: np.ndarray
    target: np.ndarray
    weight: np.ndarray
    parts: list[tuple[str, int, int]]
    n_targets: int


def from_next_events(cases: Cases, place: int, n_levels: int, *, has_end: bool, weight: np.ndarray) -> Reads:
    """Return a read before each event, whose level is the target, and where asked for one at the end of each case.

    What a case that was cut goes on with is no beginning: before the first event that is left of it nothing is read.

    Parameters
    ----------
    cases : Cases
    place : int
        Which column of categories is predicted.
    n_levels : int
        Level i of the table, whose row is i + 1, is class i; the end is the class behind them.
    has_end : bool
    weight : ndarray of shape (n_cases,)
    """
    lengths, n_events = cases.lengths, len(cases.ids)
    case = np.repeat(np.arange(len(cases)), lengths)
    length = np.arange(n_events) - np.repeat(cases.indptr[:-1], lengths)
    target = cases.ids[:, place].astype(np.int64) - 1
    known = target >= 0  # which rare level it was cannot be predicted
    if cases.is_cut is not None:
        known &= (length > 0) | ~cases.is_cut[case]
    case, length, target = case[known], length[known], target[known]
    if has_end:
        case = np.concatenate([case, np.arange(len(cases))])
        length = np.concatenate([length, lengths])
        target = np.concatenate([target, np.full(len(cases), n_levels)])
    return Reads(cases, case, length, target, weight[case].astype(np.float32), [], n_levels + has_end)


def from_next_numbers(cases: Cases, n_knots: list[int], weight: np.ndarray) -> Reads:
    """Return a read before each event but the first, whose numbers, by their ranks, are the targets."""
    lengths, n_events, n_numbers = cases.lengths, len(cases.ids), cases.places.shape[1]
    case = np.repeat(np.arange(len(cases)), lengths)
    length = np.arange(n_events) - np.repeat(cases.indptr[:-1], lengths)
    last = np.maximum(np.array(n_knots, dtype=np.float32) - 1, 1)
    target = np.where(cases.places < 0, 0.0, 2 * cases.places / last - 1).astype(np.float32)
    later = length > 0
    parts = [("continuous", j, j + 1) for j in range(n_numbers)]
    case = case[later]
    return Reads(cases, case, length[later], target[later], weight[case].astype(np.float32), parts, n_numbers)


def from_target(cases: Cases, coded: np.ndarray, parts: list[tuple[str, int, int]], weight: np.ndarray) -> Reads:
    """Return a read at the end of each case; beginnings of others lie on them."""
    over = overlay(cases, merge_equal=False)
    return Reads(
        cases.take(over.longest), over.which, cases.lengths, coded.astype(np.float32), weight.astype(np.float32),
        parts, coded.shape[1],
    )  # fmt: skip


def read_target(y: Any, target_type: str, weight: np.ndarray) -> tuple[Target, np.ndarray]:
    """Return how y is coded, and the codes."""
    target = Target.learn(y, target_type, weight)
    return target, target.code(y)


def weighted_rows(columns: Columns, y: Any, sample_weight: Any) -> tuple[Columns, Any, np.ndarray]:
    """Return the rows of positive weight, y of them (as columns, or None) and their weights."""
    weight = check_weights(sample_weight, columns.n_rows)
    if y is not None:
        y = as_columns(y.toarray() if sparse.issparse(y) else y)
        check_consistent_length(np.empty(columns.n_rows), np.empty(_num_samples(y)))
    rows = np.flatnonzero(weight > 0)
    if len(rows) == columns.n_rows:
        return columns, y, weight
    return columns.take(rows), y if y is None else y[rows], weight[rows]


def target_and_weight(
    y: np.ndarray, target_type: str, class_weight: Any, weight: np.ndarray
) -> tuple[Target, np.ndarray, np.ndarray]:
    """Return the target, its codes and the weight of each row, its class's included."""
    target, coded = read_target(y, target_type, weight)
    if class_weight is not None:
        if target.outputs[0].classes is None:
            raise ValueError(
                f"class_weight is {class_weight!r} and the target is continuous; expected classes. Use sample_weight "
                "in fit instead."
            )
        weight = weight * class_weights(class_weight, y)
    return target, coded, weight


def problem_of(
    reads: Reads, tables: list[np.ndarray], reader: CaseReader, settings: PassSettings, rng: np.random.RandomState
) -> CaseProblem:
    """Return the problem, some of its cases held out."""
    n_cases, n_reads = len(reads.cases), len(reads.read_case)
    tell_much = n_reads >= LEAST_HELD_OUT_READS / LEAST_HELD_OUT * n_cases
    few_are_enough = tell_much and n_cases * MOST_HELD_OUT >= LEAST_HELD_OUT
    held_out = settings.held_out_rows(n_cases, rng, at_least=LEAST_HELD_OUT if few_are_enough else 1)
    n_held_out_reads = int(np.isin(reads.read_case, held_out).sum())
    if len(held_out) < LEAST_HELD_OUT or n_held_out_reads < LEAST_HELD_OUT_READS:
        held_out = held_out[:0]
    is_held_out = np.zeros(len(reads.cases), dtype=bool)
    is_held_out[held_out] = True
    weight_of = np.bincount(is_held_out[reads.read_case], reads.weight, 2)
    if len(held_out) and not (weight_of > 0).all():
        held_out = held_out[:0]
    if not (reads.weight > 0).any():
        raise ValueError("there is nothing to learn from: no event has another one before it.")
    n_knots = [len(knots) for knots in reader.knots]
    return CaseProblem(
        reads.cases, tables, n_knots, reader.flagged, reads.read_case, reads.read_length, reads.target, reads.weight,
        reads.parts, reads.n_targets, held_out,
    )  # fmt: skip


def predict_memory(cases: Cases, tables: list[np.ndarray], n_targets: int, settings: RecurrentSettings) -> None:
    """Raise MemoryError if what is surely held at one time is more than the machine has."""
    n_gates = CELLS[settings.cell] * settings.embedding_dim
    longest = int(cases.lengths.max(initial=1))
    batch = 4 * longest * (n_gates + _VALUES_PER_EVENT)
    events = cases.ids.nbytes + cases.places.nbytes
    net = 5 * (sum(table.nbytes for table in tables) + 4 * n_gates * settings.embedding_dim)
    net += 5 * 4 * n_targets * settings.embedding_dim
    check_memory(
        batch + 2 * events + net,
        f"learning {sum(map(len, tables))} levels from {len(cases)} cases of up to {longest} events",
        "lower embedding_dim or max_length, raise min_frequency, or give fewer rows",
    )


def warn_of_no_sequences(names: list[str]) -> None:
    """Warn that X is a plain table."""
    shown = ", ".join(map(repr, names[:3])) + (", ..." if len(names) > 3 else "")
    warn(
        f"no column of X holds sequences ({shown}): all are taken as plain columns that hold for the whole row. If "
        "each row is a sequence, pass list(X)."
    )
