"""Vocabularies: one fixed order, the limits of OneHotEncoder, missing and unknown, growing."""

import collections
import pickle
import re
import threading
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.preprocessing import OneHotEncoder

from skembed.data.columns import factorize
from skembed.data.vocabulary import UNKNOWN_ROW, Vocabulary

columns = st.lists(st.sampled_from(["a", "b", "c", "d", None, 1, 2.5]), max_size=30)
limits = st.fixed_dictionaries(
    {
        "min_frequency": st.one_of(st.none(), st.integers(1, 4), st.floats(0.01, 0.5)),
        "max_categories": st.one_of(st.none(), st.integers(1, 6)),
    }
)


def slow_levels(column, min_frequency, max_categories):
    """The twin: count, sort, cut."""
    counts = collections.Counter(column)  # keeps the order of first appearance
    levels = sorted(counts, key=lambda key: -counts[key])
    if isinstance(min_frequency, int):
        levels = [key for key in levels if counts[key] >= min_frequency]
    elif min_frequency is not None:
        levels = [key for key in levels if counts[key] >= min_frequency * len(column)]
    if max_categories is not None:
        levels = levels[: max_categories - 1]
    return levels, [counts[key] for key in levels], [key for key in counts if key not in levels]


def assert_frozen(vocabulary):
    for array in (vocabulary.keys, vocabulary.counts):
        with pytest.raises(ValueError, match="read-only"):
            array[:1] = 0


@given(columns, limits)
def test_levels_are_those_of_the_slow_twin(column, limits):
    factor = factorize(column)
    vocabulary = Vocabulary.from_factor(factor, **limits)
    levels, counts, infrequent = slow_levels(column, **limits)
    assert vocabulary.keys.tolist() == levels == list(vocabulary)
    assert vocabulary.counts.tolist() == counts
    assert vocabulary.infrequent.tolist() == infrequent
    assert vocabulary.n_rows == len(column)
    assert len(vocabulary) == len(levels)

    rows = vocabulary.encode(factor)
    assert rows.dtype == np.int64
    assert rows.tolist() == [levels.index(key) + 1 if key in levels else UNKNOWN_ROW for key in column]


@given(columns, columns, limits, st.integers(1, 7))
def test_chunks_encode_as_the_whole(column, other, limits, size):
    vocabulary = Vocabulary.from_factor(factorize(column), **limits)
    whole = vocabulary.encode(factorize(other))
    chunks = [vocabulary.encode(factorize(other[start : start + size])) for start in range(0, len(other), size)]
    assert np.concatenate([np.empty(0, np.int64), *chunks]).tolist() == whole.tolist()
    assert vocabulary.encode_keys(other).tolist() == whole.tolist()


@pytest.mark.parametrize("min_frequency", [None, 1, 3, 0.11])
@pytest.mark.parametrize("max_categories", [None, 1, 2, 3, 4, 9])
def test_limits_are_those_of_one_hot_encoder(min_frequency, max_categories):
    column = np.repeat(np.array(["a", "b", "c", "d"], dtype=object), [4, 3, 2, 1])
    encoder = OneHotEncoder(min_frequency=min_frequency, max_categories=max_categories, sparse_output=False)
    encoder.fit(column.reshape(-1, 1))
    theirs = encoder.infrequent_categories_[0] if hasattr(encoder, "infrequent_categories_") else None
    vocabulary = Vocabulary.from_factor(factorize(column), min_frequency=min_frequency, max_categories=max_categories)
    assert sorted(vocabulary.infrequent) == ([] if theirs is None else sorted(theirs))


def test_ties_stay_in_order_of_first_appearance_with_missing_among_them():
    for column in (["b", None, "a"], [None, "b", "a"], ["b", "a", None]):
        assert Vocabulary.from_factor(factorize(column)).keys.tolist() == column


def test_missing_is_a_level_and_unknown_is_not_missing():
    vocabulary = Vocabulary.from_factor(factorize(["a", None, None]))
    assert vocabulary.keys.tolist() == [None, "a"]
    assert vocabulary.encode_keys(["a", np.nan, "new", None]).tolist() == [2, 1, 0, 1]
    assert None in vocabulary
    assert "new" not in vocabulary
    without = Vocabulary.from_factor(factorize(["a"]))
    assert without.encode_keys([None, "a"]).tolist() == [0, 1]


def test_no_rows_and_only_missing_rows():
    assert len(Vocabulary.from_factor(factorize([]))) == 0
    assert Vocabulary.from_factor(factorize([])).encode_keys(["a"]).tolist() == [0]
    assert Vocabulary.from_factor(factorize([None, None])).keys.tolist() == [None]


def test_keys_of_equal_length_stay_tuples():
    assert Vocabulary.from_counts([(1, 2), (3, 4)], [1, 1]).keys.tolist() == [(1, 2), (3, 4)]


# ------------------------------------------------------------------------------------------------- from_counts


@given(columns, limits)
def test_counts_give_what_the_column_gives(column, limits):
    counts = collections.Counter(column)
    ours = Vocabulary.from_counts(counts.keys(), counts.values(), **limits)
    assert ours.keys.tolist() == Vocabulary.from_factor(factorize(column), **limits).keys.tolist()


@pytest.mark.parametrize(
    ("keys", "counts", "limits", "message"),
    [
        (["a", "b", "a"], [1, 2, 3], {}, "'a' more than once"),
        (["a"], [1, 2], {}, "1 entries and counts has 2"),
        (["a"], [1], {"min_frequency": 0}, "min_frequency=0, expected"),
        (["a"], [1], {"min_frequency": 1.5}, "min_frequency=1.5, expected"),
        (["a"], [1], {"max_categories": 0}, "max_categories=0, expected"),
    ],
)
def test_what_makes_no_vocabulary_is_refused(keys, counts, limits, message):
    with pytest.raises(ValueError, match=message):
        Vocabulary.from_counts(keys, counts, **limits)


# ------------------------------------------------------------------------------------------------------ extend


@given(columns, columns, limits)
def test_extending_keeps_rows_and_counts_everything(first, second, limits):
    before = Vocabulary.from_factor(factorize(first), **limits)
    kept = before.keys.tolist(), before.counts.tolist(), before.infrequent.tolist()
    after = before.extend(factorize(second))
    assert (before.keys.tolist(), before.counts.tolist(), before.infrequent.tolist()) == kept
    assert after.keys.tolist()[: len(before)] == before.keys.tolist()
    assert after.n_rows == len(first) + len(second)

    everything = collections.Counter(first + second)
    assert dict(zip(after.keys, after.counts)) == {key: everything[key] for key in after}
    assert set(after.keys) | set(after.infrequent) == set(everything)
    assert not set(after.keys) & set(after.infrequent)
    # a level of all rows together that had to wait found its row, unless the older ones left none free
    if limits["max_categories"] is None:
        assert set(slow_levels(first + second, **limits)[0]) <= set(after.keys)
    else:
        assert len(after) <= max(limits["max_categories"] - 1, 0)
    rows = after.encode(factorize(second))
    assert rows.tolist() == [after.keys.tolist().index(key) + 1 if key in after else 0 for key in second]


def test_a_key_that_was_too_rare_is_appended_when_it_is_not():
    first = Vocabulary.from_factor(factorize(["a", "a", "b", "c"]), min_frequency=2, max_categories=3)
    second = first.extend(factorize(["c", "b", "b"]))
    assert second.keys.tolist() == ["a", "b"]  # one row was left, and b is the more frequent
    assert second.counts.tolist() == [2, 3]
    assert second.infrequent.tolist() == ["c"]
    assert second.extend(factorize(["c"] * 9)).keys.tolist() == ["a", "b"]


# --------------------------------------------------------------------------------------------- travel and threads


def test_counts_beyond_32_bits_come_back():
    vocabulary = Vocabulary.from_counts(["a", "b", "c"], [2**32, 2**40, 3], min_frequency=2**33)
    again = pickle.loads(pickle.dumps(vocabulary))
    assert again.counts.tolist() == [2**40]
    assert again.extend(factorize(["a"])).n_rows == 2**40 + 2**32 + 4
    assert again.__getstate__()["infrequent_counts"].tolist() == vocabulary.__getstate__()["infrequent_counts"].tolist()


def test_pickle_is_small_and_whole():
    column = [f"level {i % 1000}" for i in range(5000)] + [None]
    vocabulary = Vocabulary.from_factor(factorize(column), min_frequency=2)
    unused = len(pickle.dumps(vocabulary))
    vocabulary.encode(factorize(column))
    data = pickle.dumps(vocabulary)
    assert len(data) == unused < 1.2 * len(pickle.dumps((vocabulary.keys, vocabulary.counts)))
    copy = pickle.loads(data)
    assert copy.encode(factorize(column)).tolist() == vocabulary.encode(factorize(column)).tolist()
    assert copy.infrequent.tolist() == [None]
    assert_frozen(copy)
    assert_frozen(vocabulary)


def test_threads_agree():
    factor = factorize([f"{i % 977}" for i in range(5000)])
    vocabulary = Vocabulary.from_factor(factor)
    results = []
    threads = [threading.Thread(target=lambda: results.append(vocabulary.encode(factor))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = vocabulary.encode(factor)
    assert len(results) == 8
    assert all(np.array_equal(result, expected) for result in results)


def test_repr_counts():
    vocabulary = Vocabulary.from_factor(factorize(["a", "a", "b"]), min_frequency=2)
    assert repr(vocabulary) == "Vocabulary(1 keys, 1 too rare, 3 seen)"


def test_a_vocabulary_is_a_mapping_of_keys_to_places():
    vocabulary = Vocabulary.from_counts(["a", None, "b", "c"], [2, 5, 2, 1], min_frequency=2)
    assert isinstance(vocabulary, Mapping)
    assert list(vocabulary) == vocabulary.keys() == vocabulary.keys.tolist() == [None, "a", "b"]
    assert vocabulary.items() == [(None, 0), ("a", 1), ("b", 2)]
    assert vocabulary.values() == range(3)
    assert (len(vocabulary), "a" in vocabulary, "c" in vocabulary, None in vocabulary) == (3, True, False, True)
    assert (vocabulary["b"], vocabulary.get("c"), vocabulary.get("c", -1), vocabulary.get("a")) == (2, None, -1, 1)
    with pytest.raises(KeyError):
        vocabulary["c"]
    assert vocabulary.encode_keys(["b", "c", float("nan"), "a"]).tolist() == [3, 0, 1, 2]
    assert repr(vocabulary) == "Vocabulary(3 keys, 1 too rare, 10 seen)"
    assert repr(Vocabulary.from_counts(["a"], [1])) == "Vocabulary(1 keys, 1 seen)"
    with pytest.raises(ValueError, match="read-only"):
        vocabulary.counts[0] = 9
    again = pickle.loads(pickle.dumps(vocabulary))
    assert dict(again) == dict(vocabulary)
    assert (again.counts.tolist(), again.infrequent.tolist(), again.n_rows) == ([5, 2, 2], ["c"], 10)
    assert (again.min_frequency, again.max_categories) == (2, None)
    assert again.extend_counts(["c"], [1]).keys() == [None, "a", "b", "c"]
    with pytest.raises(ValueError, match="read-only"):
        again.counts[0] = 9


@pytest.mark.parametrize(
    ("keys", "counts", "limits", "message"),
    [
        (["a"], [1, 2], {}, "keys has 1 entries and counts has 2; expected one count per key."),
        (["a", "b", "a", "b"], [1] * 4, {}, "keys holds 'a' more than once; add up the counts of equal keys first."),
        *[(["a"], [1], {"min_frequency": limit},
           f"min_frequency={limit!r}, expected an int of at least 1 (a count), a float between 0 and 1 (a share of the "
           "rows), or None for no limit.") for limit in (0, -1, 0.0, 1.0, 2.5)],
        (["a"], [1], {"max_categories": 0}, "max_categories=0, expected an int of at least 1, or None for no limit."),
    ],
)  # fmt: skip
def test_what_is_wrong_in_full(keys, counts, limits, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Vocabulary.from_counts(keys, counts, **limits)
