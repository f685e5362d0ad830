"""Sequences of ids in one form."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skembed.data.lists import encode_lists, read_lists
from skembed.data.ragged import NO_ROW, Ragged

LISTS = st.lists(st.lists(st.integers(0, 5), max_size=5), min_size=1, max_size=6)


def ragged(lists):
    ids = np.array([i for each in lists for i in each], dtype=np.int32)
    return Ragged.from_ends(ids, np.cumsum([len(each) for each in lists]))


def lists_of(found):
    return [part.tolist() for part in np.split(found.indices, found.ends)[:-1]]


@given(LISTS, st.data())
def test_keep_and_take_are_those_of_lists(lists, data):
    found = ragged(lists)
    assert lists_of(found) == lists
    assert found.indptr[0] == 0
    assert len(found) == len(lists)
    assert found.lengths.tolist() == [len(each) for each in lists]
    assert lists_of(found.keep(found.indices % 2 == 0)) == [[i for i in each if i % 2 == 0] for each in lists]
    which = data.draw(st.lists(st.integers(-1, len(lists) - 1), max_size=8))
    assert lists_of(found.take(np.array(which, dtype=np.int64))) == [lists[i] for i in which]


@given(st.lists(st.sets(st.integers(0, 5), max_size=5), min_size=1, max_size=6))
def test_transposed_lists_who_holds_each_id(sets):
    turned = ragged([sorted(each) for each in sets]).transposed(6)
    assert lists_of(turned) == [[row for row, each in enumerate(sets) if key in each] for key in range(6)]


def test_columns_are_numbered_through_and_missing_ones_left_out():
    found = Ragged.from_columns([np.array([0, 1]), np.array([NO_ROW, 2])], [0, 10])
    assert lists_of(found) == [[0], [1, 12]]


def test_lists_of_keys():
    found, keys = read_lists([["a", 1.0, "a"], (), {"b"}, np.array([1])])
    assert keys == ["a", 1, "b"]
    assert lists_of(found) == [[0, 1], [], [2], [1]]
    assert lists_of(encode_lists([["b", "new"], ["new"]], keys)) == [[2], []]


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ("red", "X must be a list of lists of keys, got the single str 'red'"),
        (["red"], r"entry 0 of X must be a list of keys, got 'red'.*pass \['red'\]"),
        ([["red"], None], "entry 1 of X must be a list of keys, got None"),
        ([[["red"]]], "entry 0 of X holds a key that cannot be hashed"),
    ],
)
def test_what_is_no_list_of_lists(X, message):
    with pytest.raises(TypeError, match=message):
        read_lists(X)
