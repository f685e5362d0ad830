"""Keys: the rows they have, and what is left of them in a state."""

import copy
import datetime
import pickle
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skembed import EmbeddingTable
from skembed.data.keys import Keys, decimal_ids, deflated, inflated, smallest
from skembed.data.vocabulary import Vocabulary

OTHERS = st.one_of(st.none(), st.booleans(), st.floats(allow_nan=False), st.text(), st.binary(), st.datetimes())


@given(
    st.one_of(
        st.lists(st.integers(), unique=True),
        st.lists(st.text(), unique=True),
        st.lists(st.from_regex(r"\A[0-9]{1,12}\Z"), unique=True),
        st.lists(OTHERS, unique=True),
        st.lists(st.tuples(st.integers(), st.text()), unique=True),  # of a type that files cannot hold
    )
)
def test_a_state_gives_the_same_keys_and_types(keys):
    keys = EmbeddingTable(keys, np.zeros((len(keys), 1))).keys.tolist()  # in canonical form
    again = pickle.loads(pickle.dumps(Keys.of(keys)))
    assert again.array.tolist() == keys
    assert list(map(type, again.array)) == list(map(type, keys))
    assert again.index == dict(zip(keys, range(len(keys))))


def test_what_they_share_is_one_object_also_after_a_pickle():
    vocabulary = Vocabulary.from_counts(["a", "b"], [2, 1])
    table = EmbeddingTable.of_keys(vocabulary.shared_keys, np.eye(2))
    again, table = pickle.loads(pickle.dumps((vocabulary, table)))
    assert again.shared_keys is table.shared_keys
    assert table["b"].tolist() == [0.0, 1.0]


def test_ids_and_counts_take_few_bytes():
    ids = Keys.of(map(str, range(50_000)))
    assert len(pickle.dumps(ids)) < 50_000 * 2 + 300
    assert len(pickle.dumps(Keys.of(range(50_000)))) < 50_000 * 2 + 300
    assert deflated(np.ones(10_000)).nbytes < 100


@pytest.mark.parametrize("texts", [["7", "07"], ["-1"], ["4294967296"], ["1", "x"], ["²"], ["٣"], [" 1"], ["1_0"]])
def test_what_is_no_id_in_decimal_digits(texts):
    assert decimal_ids(np.array(texts, dtype=object)) is None


@pytest.mark.parametrize(
    ("numbers", "dtype"),
    [
        ([0, 255], "u1"), ([0, 256], "u2"), ([2**16], "u4"), ([2**32], "i8"), ([-1], "i8"), ([1.0, 2.0], "u1"),
        ([1.5], "f8"), ([np.inf], "f8"), ([np.nan], "f8"), ([], "u1"),
    ],
)  # fmt: skip
def test_the_smallest_type_that_loses_nothing(numbers, dtype):
    numbers = np.array(numbers, dtype=None if numbers else float)
    found = smallest(numbers)
    assert found.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(found, numbers)


@given(st.lists(st.integers(0, 2**32 - 1) | st.integers(0, 2**63 - 1)))
def test_deflated_and_inflated(numbers):
    assert inflated(deflated(np.array(numbers, dtype=np.int64)), len(numbers)).tolist() == numbers


def test_counts_beyond_64_bits_are_refused():
    packed = np.frombuffer(zlib.compress(np.array([3, 2**63], dtype=np.uint64).tobytes()), dtype=np.uint8)
    with pytest.raises(ValueError, match=r"less than 2\*\*63"):
        inflated(packed, 2)


@pytest.mark.parametrize("n_numbers", [0, 1, 2, 4, 1000, 10**9])
def test_another_number_of_counts_is_refused_before_it_takes_memory(n_numbers):
    with pytest.raises(ValueError, match=f"expected {n_numbers} numbers"):
        inflated(deflated(np.array([1, 2, 300])), n_numbers)
    with pytest.raises(ValueError, match=f"expected {n_numbers} numbers"):
        inflated(np.zeros(20, dtype=np.uint8), n_numbers)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({}, "expected the types, lengths and text"),
        ({"ids": np.array([1, 1], dtype=np.uint8)}, "unique"),
        ({"ids": np.array([-1])}, "array of integers"),
        ({"numbers": np.array([1.0])}, "array of integers"),
        ({"numbers": np.array([[1]])}, "array of integers"),
        ({"objects": [1, 1.0]}, "unique"),
        ({"objects": [[]]}, "can be hashed"),
        ({"objects": (1,)}, "Keys: expected 'objects' to be list"),
        ({"types": np.uint8([4]), "lengths": np.uint8([1, 9]), "text": np.uint8([65, 66])}, "a key of 9 bytes among 2"),
        ({"types": np.uint8([4, 4, 4]), "lengths": np.uint8([1]), "text": np.uint8([65])}, "types, lengths and bytes"),
        ({"types": np.uint8([99]), "lengths": np.uint8([1]), "text": np.uint8([65])}, "no key of type code 99"),
    ],
)
def test_a_state_that_is_none(state, message):
    with pytest.raises(ValueError, match=message):
        object.__new__(Keys).__setstate__(state)


def test_dates_come_back_as_they_are():
    moment = datetime.datetime(2020, 2, 29, 12, 30, 1, 5, tzinfo=datetime.UTC)
    assert pickle.loads(pickle.dumps(Keys.of([moment, datetime.timedelta(-1, 5)]))).array[0] == moment


def test_copies_share_what_never_changes():
    keys = Keys.of(["a", "b"])
    assert copy.copy(keys) is keys
    assert copy.deepcopy([keys, keys])[0] is keys
    with pytest.raises(ValueError, match="read-only"):
        keys.array[0] = "c"
    with pytest.raises(ValueError, match=r"cannot set WRITEABLE|writeable"):
        keys.array.flags.writeable = True
