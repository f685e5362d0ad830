"""Levels of categorical columns: vocabularies of weighted rows, what is said of columns, unknown levels."""

import re
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skembed import CooccurrenceEncoder
from skembed.data.columns import factorize, read_columns
from skembed.data.levels import (
    degenerate_columns,
    encode_levels,
    factorize_columns,
    warn_degenerate,
    warn_strangers,
    weighted_counts,
    weighted_vocabulary,
)
from skembed.data.vocabulary import Vocabulary


def vocabulary_of(values, weight=None, min_frequency=None, max_categories=None):
    weight = np.ones(len(values)) if weight is None else np.array(weight, dtype=np.float64)
    rows = np.flatnonzero(weight > 0)
    return weighted_vocabulary(factorize(values), weight, rows, min_frequency, max_categories)


# ------------------------------------------------------------------------------------------------------- vocabularies


@given(st.data())
def test_counts_are_those_of_rows_that_are_repeated(data):
    values = data.draw(st.lists(st.sampled_from(["a", "b", "c", None]), min_size=1, max_size=20))
    weight = np.array(data.draw(st.lists(st.integers(0, 3), min_size=len(values), max_size=len(values))), dtype=float)
    rows = np.flatnonzero(weight > 0)
    expected = {}
    for row in rows:
        expected[values[row]] = expected.get(values[row], 0) + int(weight[row])
    keys, counts = weighted_counts(factorize(values), weight, rows)
    assert dict(zip(keys, counts.tolist())) == expected
    assert keys == list(expected)  # in order of first appearance
    weight[rows] /= 2.5  # which are no counts: a row is a row
    keys, counts = weighted_counts(factorize(values), weight, rows)
    if not np.array_equal(weight, np.round(weight)):
        assert dict(zip(keys, counts.tolist())) == {key: [values[r] for r in rows].count(key) for key in expected}


def test_rows_without_weight_are_not_there_and_repeated_rows_are_there_so_often():
    values = ["x", "a", "a", "b", "b", "b", None]
    plain = vocabulary_of(["a", "a", "b", "b", "b", "b", "b", "b", None])
    weighted = vocabulary_of(values, [0, 1, 1, 2, 2, 2, 1])
    assert dict(weighted) == dict(plain) == {"b": 0, "a": 1, None: 2}
    assert (weighted.counts.tolist(), weighted.n_rows) == (plain.counts.tolist(), 9) == ([6, 2, 1], 9)
    assert list(vocabulary_of(values, [0, 1, 1, 2, 2, 2, 1], 2)) == ["b", "a"]
    assert list(vocabulary_of(values, [1, 1, 1, 1, 1, 1, 1], 2)) == ["b", "a"]
    assert list(vocabulary_of(values, [0, 1, 1, 2, 2, 2, 1], None, 2)) == ["b"]


def test_a_column_that_identifies_rows_keeps_levels_that_are_met_twice():
    many = [*(f"id{i}" for i in range(56)), "twice", "twice", "often", "often", "often"]  # 56 of 61 rows are alone
    assert list(vocabulary_of(many)) == ["often", "twice"]
    assert list(vocabulary_of(many, [1.0] * 60 + [2.0])) == ["often", "twice"]
    assert len(vocabulary_of(many, min_frequency=1)) == 58  # as it is told
    few = [*(f"id{i}" for i in range(45)), *["twice", "often"] * 2, "often"]  # 45 of 50: nine of ten are not more
    assert len(vocabulary_of(few)) == 47
    assert len(vocabulary_of(many, max_categories=2)) == 1


# ------------------------------------------------------------------------------------------------------------ warnings


def test_what_is_said_of_columns_that_tell_nothing():
    columns = {
        "empty": [None, None, None],
        "same": ["a", "a", "a"],
        "own": ["a", "b", "c"],
        "good": ["a", "b", "a"],
        "half": ["a", None, "a"],
        "own too": ["a", None, "c"],
    }
    factors = [factorize(values) for values in columns.values()]
    every = np.arange(3)
    assert degenerate_columns(list(columns), factors, every) == [
        "column 'empty' holds no value",
        "column 'same' has one level only",
        "columns 'own', 'own too' have a level of their own in every row",
    ]
    assert degenerate_columns(list(columns), factors, np.array([0, 2])) == [  # two rows cannot have less
        "column 'empty' holds no value",
        "columns 'same', 'good', 'half' have one level only",
    ]
    names = [f"c{i}" for i in range(6)]
    assert degenerate_columns(names[:5], factors[:1] * 5, every) == [
        "columns 'c0', 'c1', 'c2', 'c3', 'c4' hold no value"
    ]
    assert degenerate_columns(names, factors[1:2] * 6, every) == [
        "columns 'c0', 'c1', 'c2', 'c3', 'c4', ... have one level only"
    ]
    with pytest.warns(UserWarning, match="its vectors cannot tell rows apart") as found:
        warn_degenerate(["column 'a' holds no value", "column 'b' has one level only"])
    assert [str(warning.message) for warning in found] == [
        f"column {what}: its vectors cannot tell rows apart; leave it out of X."
        for what in ("'a' holds no value", "'b' has one level only")
    ]


def test_columns_that_nearly_identify_rows_are_told_of():
    levels = np.array([f"id {i}" for i in range(100)])
    said = "column 'a' has a level of its own in nearly every row"
    for n_twice, n_rows, expected in ((1, 100, [said]), (4, 100, [said]), (5, 100, []), (1, 49, []), (1, 50, [said])):
        values = levels[:n_rows].copy()
        values[:n_twice] = values[n_twice : 2 * n_twice]
        assert degenerate_columns(["a"], [factorize(values)], np.arange(n_rows)) == expected
        # those that are said to be none are those that share the unknown row
        vocabulary = vocabulary_of(values)
        assert (len(vocabulary) == n_twice) == (n_rows - 2 * n_twice > 0.9 * n_rows)


LEARNED = Vocabulary.from_counts(["a", "b", "rare", None], [5, 4, 1, 2], min_frequency=2)


def test_levels_become_rows():
    columns = read_columns([["a", 1], ["new", 1], [None, 1], ["rare", 1]])
    factors = factorize_columns(columns, [1, 0])
    assert [factor.keys for factor in factors] == [[1], ["a", "new", "rare"]]
    assert [ids.tolist() for ids in encode_levels(columns, [0], [LEARNED], check_unknown=False)] == [[1, 0, 3, 0]]
    assert encode_levels(columns, [], [], check_unknown=True) == []


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        (["a", "new"], "'new' (1 levels"),
        (["u", "v", "w", "x", "y"], "'u', 'v', 'w', 'x', 'y' (5 levels"),
        (["u", "v", "w", "x", "y", "z"], "'u', 'v', 'w', 'x', 'y', ... (6 levels"),
    ],
)
def test_unknown_levels_are_named(values, shown):
    columns = read_columns([[value] for value in values])
    message = (
        f"Found unknown categories in column 'x0' during transform: {shown} that fit never met). Use "
        "handle_unknown='embed' to give them the unknown vector."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        encode_levels(columns, [0], [LEARNED], check_unknown=True)


def test_levels_that_were_met_are_known_also_if_they_are_rare_or_missing():
    columns = read_columns([["rare"], [None]])
    assert encode_levels(columns, [0], [LEARNED], check_unknown=True)[0].tolist() == [0, 3]
    without = Vocabulary.from_counts(["a"], [5])
    with pytest.raises(ValueError, match=r"in column 'x0' during transform: None \(1 levels"):
        encode_levels(columns, [0], [Vocabulary.from_counts(["rare"], [5])], check_unknown=True)
    with pytest.raises(ValueError, match=r"during transform: 'rare', None \(2 levels"):
        encode_levels(columns, [0], [without], check_unknown=True)


def strangers(rows, *vocabularies):
    columns = read_columns(rows)
    positions = list(range(len(vocabularies)))
    ids = encode_levels(columns, positions, vocabularies, check_unknown=False)
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        warn_strangers(columns, positions, vocabularies, ids)
    return [str(warning.message) for warning in found]


def test_columns_of_another_type_than_in_fit_are_told_of():
    numbers = Vocabulary.from_counts([None, 1, 2], [9, 5, 4])
    assert strangers([["1", "x"], ["2", "y"]], numbers, LEARNED) == [
        "no value is known: column 'x0' holds values such as '1' (str), fit met such as 1 (int); column 'x1' holds "
        "values such as 'x' (str), fit met such as 'a' (str). All rows get the unknown vector; convert the column to "
        "the type that it had in fit."
    ]
    assert strangers([["x", "a"], ["y", "b"]], LEARNED, LEARNED) == [
        "no value is known: column 'x0' holds values such as 'x' (str), fit met such as 'a' (str). All rows get the "
        "unknown vector."
    ]


def test_strangers_are_told_of_where_transform_was_called():
    encoder = CooccurrenceEncoder(2, random_state=0).fit([["a", "k"], ["b", "l"]] * 9)
    with pytest.warns(UserWarning, match="no value is known: column 'x0' holds") as caught:
        encoder.transform([["x", "y"], ["y", "x"]])
    assert [warning.filename for warning in caught] == [__file__]


@pytest.mark.parametrize(
    ("values", "vocabulary"),
    [
        (["x"], LEARNED),  # one row may well be new
        (["x", "a"], LEARNED),
        (["x", "rare"], LEARNED),
        (["x", "y"], Vocabulary.from_counts([], [])),
        ([None, None], Vocabulary.from_counts(["a"], [1])),
    ],
)
def test_columns_that_are_no_strangers(values, vocabulary):
    assert strangers([[value] for value in values], vocabulary) == []
