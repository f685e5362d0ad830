"""Reads of cases: where the loss is taken and of what, small enough to be written out; and which cases are held out."""

import dataclasses
import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from skembed.data.cases import Cases
from skembed.data.columns import read_columns
from skembed.memory import check_memory
from skembed.sequence import _problem
from skembed.sequence._problem import (
    from_next_events,
    from_next_numbers,
    from_target,
    predict_memory,
    problem_of,
    target_and_weight,
    warn_of_no_sequences,
    weighted_rows,
)
from skembed.training.passes import PassSettings

WEIGHT = np.array([1.0, 2.0, 5.0])


def cases_of(levels, places=None):
    """Cases of one column of levels, and numbers."""
    events = [level for case in levels for level in case]
    nothing = np.empty((len(levels), 0), np.int32)
    places = np.empty((len(events), 0)) if places is None else np.array(places)
    return Cases(
        np.cumsum([0, *map(len, levels)]), np.array(events, np.int32)[:, None], places.astype(np.float32), nothing,
        nothing.astype(np.float32),
    )  # fmt: skip


CASES = cases_of([[1, 0, 2], [], [2, 1]], [[0.0, -1], [2, 1], [1, 0], [4, 3], [3, -1]])


def test_next_events():
    reads = from_next_events(CASES, 0, 2, has_end=False, weight=WEIGHT)
    assert reads.cases is CASES
    assert reads.read_case.tolist() == [0, 0, 2, 2]  # what a rare level was is not asked
    assert reads.read_length.tolist() == [0, 2, 0, 1]
    assert reads.target.tolist() == [0, 1, 1, 0]
    assert reads.weight.tolist() == [1, 1, 5, 5]
    assert (reads.weight.dtype, reads.target.dtype) == (np.float32, np.int64)
    assert (reads.parts, reads.n_targets) == ([], 2)
    ended = from_next_events(CASES, 0, 2, has_end=True, weight=WEIGHT)
    assert ended.read_case.tolist() == [0, 0, 2, 2, 0, 1, 2]
    assert ended.read_length.tolist() == [0, 2, 0, 1, 3, 0, 2]
    assert ended.target.tolist() == [0, 1, 1, 0, 2, 2, 2]
    assert ended.weight.tolist() == [1, 1, 5, 5, 1, 2, 5]
    assert ended.n_targets == 3


def test_nothing_is_read_before_the_first_event_that_is_left_of_a_case():
    cut = dataclasses.replace(CASES, is_cut=np.array([True, False, False]))
    reads = from_next_events(cut, 0, 2, has_end=True, weight=WEIGHT)
    assert reads.read_case.tolist() == [0, 2, 2, 0, 1, 2]
    assert reads.read_length.tolist() == [2, 0, 1, 3, 0, 2]
    assert cut.take(np.array([2, 0])).is_cut.tolist() == [False, True]


def test_next_numbers():
    reads = from_next_numbers(CASES, [5, 1], WEIGHT)
    assert reads.read_case.tolist() == [0, 0, 2]
    assert reads.read_length.tolist() == [1, 2, 1]
    assert reads.target.tolist() == [[0.0, 1.0], [-0.5, -1.0], [0.5, 0.0]]  # from -1 to 1 by ranks, 0 where missing
    assert reads.target.dtype == reads.weight.dtype == np.float32
    assert reads.weight.tolist() == [1, 1, 5]
    assert (reads.parts, reads.n_targets) == ([("continuous", 0, 1), ("continuous", 1, 2)], 2)


def test_targets_of_whole_cases():
    cases = cases_of([[1], [1, 2], [2], [1]])
    reads = from_target(cases, np.array([[0.5], [1.5], [2.5], [3.5]]), [("continuous", 0, 1)], np.array([1.0, 2, 3, 4]))
    assert [reads.cases.ids[a:b, 0].tolist() for a, b in zip(reads.cases.indptr, reads.cases.indptr[1:])] in (
        [[1, 2], [1], [2]], [[1], [1, 2], [2]]
    )  # fmt: skip
    for case, (which, length) in enumerate(zip(reads.read_case, reads.read_length)):
        first = reads.cases.indptr[which]
        assert reads.cases.ids[first : first + length, 0].tolist() == [[1], [1, 2], [2], [1]][case]
    assert reads.read_case[0] != reads.read_case[3]  # equal cases are examples of their own
    assert reads.target.tolist() == [[0.5], [1.5], [2.5], [3.5]]
    assert (reads.weight.tolist(), reads.n_targets) == ([1, 2, 3, 4], 1)
    assert reads.target.dtype == reads.weight.dtype == np.float32


def problem(n, held_out, weight=None):
    cases = cases_of([[1, 2]] * n)
    reads = from_next_events(cases, 0, 2, has_end=False, weight=np.ones(n) if weight is None else np.array(weight))
    settings = SimpleNamespace(held_out_rows=lambda n_cases, rng, at_least: np.array(held_out, dtype=np.int64))
    reader = SimpleNamespace(knots=[np.zeros(3), np.zeros(1)], flagged=[True, False])
    return problem_of(reads, ["table"], reader, settings, None)


def test_cases_are_held_out_where_they_tell_anything():
    made = problem(12, range(5))
    assert made.held_out.tolist() == [0, 1, 2, 3, 4]
    assert (made.n_knots, made.flagged, made.tables, made.n_targets) == ([3, 1], [True, False], ["table"], 2)
    assert problem(12, range(4)).held_out.tolist() == []  # four are too few
    assert problem(12, []).held_out.tolist() == []
    assert problem(12, range(5), [0.0] * 5 + [1.0] * 7).held_out.tolist() == []  # they weigh nothing
    assert problem(12, range(5), [1.0] * 5 + [0.0] * 7).held_out.tolist() == []  # nor do the others
    assert problem(12, range(5), [0.0] * 4 + [1.0] * 8).held_out.tolist() == [0, 1, 2, 3, 4]
    with pytest.raises(ValueError, match=r"^there is nothing to learn from: no event has another one before it\.$"):
        problem(12, range(5), [0.0] * 12)


@pytest.mark.parametrize(
    ("n", "with_y", "expected"),
    [(19, False, 0), (20, False, 5), (49, False, 5), (60, False, 6), (60, True, 0), (94, True, 0), (96, True, 10)],
)
def test_how_many_cases_are_held_out(n, with_y, expected):
    """Five at least of next events, if that is no more than a quarter; of values of y ten."""
    cases = cases_of([[1, 2]] * n)
    if with_y:
        reads = from_target(cases, np.zeros((n, 1)), [("continuous", 0, 1)], np.ones(n))
    else:
        reads = from_next_events(cases, 0, 2, has_end=True, weight=np.ones(n))
    reader = SimpleNamespace(knots=[np.zeros(3)], flagged=[True])
    settings = PassSettings(max_iter=3, early_stopping=True)
    assert len(problem_of(reads, ["table"], reader, settings, np.random.RandomState(0)).held_out) == expected


def test_rows_that_weigh_something():
    columns = read_columns(pd.DataFrame({"a": ["x", "y", "z"]}))
    same, y, weight = weighted_rows(columns, None, None)
    assert same is columns
    assert (y, weight.tolist()) == (None, [1, 1, 1])
    taken, y, weight = weighted_rows(columns, ["p", "q", "r"], [1.0, 0.0, 2.0])
    assert (list(taken.values[0]), y.tolist(), weight.tolist()) == (["x", "z"], [["p"], ["r"]], [1, 2])
    assert weighted_rows(columns, None, [1.0, 0.0, 2.0])[1] is None
    several = weighted_rows(columns, sparse.csr_matrix([[1, 0], [0, 1], [1, 1]]), None)[1]
    assert several.tolist() == [[1, 0], [0, 1], [1, 1]]
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        weighted_rows(columns, ["p"], None)


def test_classes_weigh_as_they_are_said_to():
    y, weight = np.array([["p"], ["p"], ["q"]]), np.array([1.0, 1.0, 2.0])
    target, coded, found = target_and_weight(y, "auto", {"p": 3.0, "q": 0.5}, weight)
    assert (target.type_, coded.tolist(), found.tolist()) == ("binary", [[0], [0], [1]], [3, 3, 1])
    assert target_and_weight(y, "auto", None, weight)[2] is weight
    assert target_and_weight(y, "auto", "balanced", weight)[2].tolist() == [0.75, 0.75, 3.0]
    message = (
        "class_weight is 'balanced' and the target is continuous; expected classes. Use sample_weight in fit instead."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        target_and_weight(np.array([[0.5], [1.5], [2.5]]), "auto", "balanced", weight)


@pytest.mark.parametrize(("cell", "gates"), [("lstm", 4), ("gru", 3)])
def test_memory_is_predicted_before_it_is_taken(cell, gates, monkeypatch):
    asked = []
    monkeypatch.setattr(_problem, "check_memory", lambda *args: asked.append(args))
    tables = [np.zeros((3, 2), np.float32), np.zeros((5, 2), np.float32)]
    predict_memory(CASES, tables, 7, SimpleNamespace(cell=cell, embedding_dim=10))
    ((n_bytes, what, way_out),) = asked
    batch = 4 * 3 * (10 * gates + 12)
    net = 5 * (8 * 2 * 4 + 4 * gates * 10 * 10) + 5 * 4 * 7 * 10
    assert n_bytes == batch + 2 * (5 * 4 + 10 * 4) + net
    assert what == "learning 8 levels from 3 cases of up to 3 events"
    assert way_out == "lower embedding_dim or max_length, raise min_frequency, or give fewer rows"
    assert check_memory(0, what, way_out) is None


@pytest.mark.parametrize(
    ("names", "shown"),
    [(["a"], "'a'"), (["a", "b", "c"], "'a', 'b', 'c'"), (["a", "b", "c", "d"], "'a', 'b', 'c', ...")],
)
def test_plain_tables_are_told_of(names, shown):
    message = (
        f"no column of X holds sequences ({shown}): all are taken as plain columns that hold for the whole row. If "
        "each row is a sequence, pass list(X)."
    )
    with pytest.warns(UserWarning, match=f"^{re.escape(message)}$"):
        warn_of_no_sequences(names)
