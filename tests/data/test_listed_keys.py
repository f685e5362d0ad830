"""Lists of keys beside a slow twin, and what is no list of lists."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from skembed import InteractionEmbedder
from skembed.data.canonical import canonical_key
from skembed.data.interactions import as_lists, holds_baskets, read_baskets, read_interactions
from skembed.data.lists import encode_lists, read_lists
from skembed.interactions import basket_split

pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")
pa = pytest.importorskip("pyarrow")

keys = st.one_of(st.sampled_from(["a", "b", 1, 1.0, True, 2.5, None]), st.just(float("nan")))


@given(st.lists(st.lists(keys, max_size=5), max_size=5), st.lists(keys, max_size=4))
def test_lists_beside_a_loop(lists, known):
    numbers, rows = {}, []
    for entry in lists:
        row = []
        for key in map(canonical_key, entry):
            number = numbers.setdefault(key, len(numbers))
            if number not in row:
                row.append(number)
        rows.append(row)
    ragged, found = read_lists(lists)
    assert found == list(numbers)
    assert list(map(type, found)) == list(map(type, numbers))
    assert [ragged.indices[a:b].tolist() for a, b in zip(ragged.indptr, ragged.indptr[1:])] == rows
    assert (ragged.indptr.dtype, ragged.indices.dtype) == (np.int64, np.int32)
    known = list(dict.fromkeys(map(canonical_key, known)))
    encoded = encode_lists(lists, known)
    place = {key: i for i, key in enumerate(known)}
    expected = [[place[found[number]] for number in row if found[number] in place] for row in rows]
    assert [encoded.indices[a:b].tolist() for a, b in zip(encoded.indptr, encoded.indptr[1:])] == expected


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ("tea", "X must be a list of lists of keys, got the single str 'tea'; pass [[X]]."),
        (b"t" * 50, f"X must be a list of lists of keys, got the single bytes {b't' * 40!r}; pass [[X]]."),
        (
            [["tea"], "rye"],
            "entry 1 of X must be a list of keys, got 'rye' of type str; pass ['rye'] for a list of one key.",
        ),
        ([7], "entry 0 of X must be a list of keys, got 7 of type int; pass [7] for a list of one key."),
        (
            [["tea"], None],
            "entry 1 of X must be a list of keys, got None of type NoneType; pass [] for a list of none.",
        ),
        (
            pd.Series([["tea"], np.nan]),
            "entry 1 of X must be a list of keys, got nan of type float; pass [] for a list of none.",
        ),
        ([["tea"], [["rye"]]], "entry 1 of X holds a key that cannot be hashed: unhashable type: 'list'."),
        (
            [[np.array([1, 2])]],
            "entry 0 of X holds a key that cannot be hashed: The truth value of an array with more than one element is "
            "ambiguous. Use a.any() or a.all().",
        ),
        (
            [["tea"], {"rye": 2}],
            "entry 1 of X must be a list of keys, got the dict {'rye': 2}, whose values would be left out; pass "
            "[list(entry) for entry in X], or where they count, a matrix, as sklearn.feature_extraction.DictVectorizer "
            "makes it of dicts.",
        ),
    ],
)
def test_what_is_no_list_of_lists(X, message):
    with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
        read_lists(X)


@pytest.mark.parametrize(
    ("X", "holds"),
    [
        (sparse.eye(2), False), ("tea", True), (b"tea", True), ([["a"], ["b"]], True), ([], True),
        (iter([["a"]]), True),
        ([[1, 2], [3, 4]], True), ([[1.0, 2.0], [3, 4]], False), ([[1.0, 2.0], [3.0]], True), ([[1.0, "a"]], True),
        ([1, 2], True), ([1.0, 2.0], False), (np.ones((2, 2)), False), (np.ones(2), False), (np.array(["a"]), True),
        (np.array([["a"], None], dtype=object)[:1], True), (np.array([[1, 2]]), False), (pd.Series([["a"]]), True),
        (pd.Series([1.5]), False), (pd.DataFrame({"a": [["x"]]}), True), (pd.DataFrame({"a": [1]}), False),
        (pd.DataFrame({"a": [1], "b": [2]}), False), (pl.Series([["a"]]), True), (pl.DataFrame({"a": [1]}), False),
        (pa.array([["a"]]), True), (pa.table({"a": [1], "b": [2]}), False), (pa.table({"a": [["x"]]}), True),
        (pd.DataFrame({"a": []}), False), (7, False), ({"a": 1}, True),
    ],
)  # fmt: skip
def test_what_holds_baskets(X, holds):
    assert holds_baskets(X) is holds


def test_only_the_first_hundred_rows_are_looked_at():
    late = [None] * 100 + [["a"]]
    assert not holds_baskets(pd.DataFrame({"a": late}))
    assert holds_baskets(pd.DataFrame({"a": late[1:]}))
    assert not holds_baskets([[1.0, 2.0]] * 100 + [["a"]])
    assert holds_baskets([[1.0, 2.0]] * 99 + [["a"]])


def test_columns_of_one_frame_are_lists():
    baskets = [["a", "b"], ["c"]]
    for X in (
        baskets, tuple(baskets), iter(baskets), pd.Series(baskets), pl.Series(baskets), pa.array(baskets),
        pd.DataFrame({"x": baskets}), pl.DataFrame({"x": baskets}), pa.table({"x": baskets}),
        np.array([*baskets, None], dtype=object)[:2], pd.DataFrame({"x": baskets}).to_numpy(),
    ):  # fmt: skip
        assert [list(row) for row in as_lists(X)] == baskets


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"user": "client"}, "user='client' is no column of the table, which has ['u', 'i', 'v', 't']."),
        ({"item": "thing"}, "item='thing' is no column of the table, which has ['u', 'i', 'v', 't']."),
        ({"value": "w"}, "value='w' is no column of the table, which has ['u', 'i', 'v', 't']."),
        ({"time": "w"}, "time='w' is no column of the table, which has ['u', 'i', 'v', 't']."),
        ({"user": "t"}, "row 2 has no user: column 't' is missing there; drop such rows before."),
        ({"item": "t"}, "row 2 has no item: column 't' is missing there; drop such rows before."),
        ({"value": "v"}, "row 1 has the value -2.0 in column 'v', expected a finite one of at least 0."),
        ({"time": "t"}, "row 2 has no time in column 't'; drop such rows before."),
        (
            {"time": "u"},
            "Row 0 of column 'u' holds 'x' of type str, expected a number, or a date or time with a date. "
            "Turn the column into dates, for instance by pandas.to_datetime.",
        ),
        (
            {"value": "u"},
            "Row 0 of column 'u' holds 'x' of type str, expected a number of at least 0. Turn the column into numbers.",
        ),
        (
            {"value": "h"},
            "the values in column 'h' of user 'x' and item 1 add up to 4e+38, which is beyond float32; "
            "divide the column.",
        ),
    ],
)
def test_what_is_wrong_with_a_long_table(options, message):
    frame = pd.DataFrame({"u": ["x", "y", "x"], "i": [1, 2, 3], "v": [1.0, -2.0, 1.0]})
    frame["t"] = pd.to_datetime(["2024-01-01", "2024-01-02", None])
    if "h" in options.values():
        frame = pd.concat([frame.assign(h=2e38)] * 2)
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        read_interactions(frame, **({"user": "u", "item": "i"} | options))


def test_pairs_that_occur_again_are_summed_and_the_last_time_counts():
    rows = [("v", "b", 1.0, 5), ("u", "b", 2.0, 9), ("v", "a", 0.0, 1), ("u", "b", 0.5, 7), ("v", "b", 4.0, 6)]
    X, users, items, times = read_interactions(rows, user=0, item=1, value=2, time=3)
    assert (users.tolist(), items.tolist()) == (["v", "u"], ["b", "a"])
    assert (X.toarray().tolist(), X.dtype) == ([[5.0, 0.0], [2.5, 0.0]], np.float32)
    assert times.toarray().tolist() == [[6.0, 1.0], [9.0, 0.0]]
    assert times.indices.tolist() == X.indices.tolist()
    assert (users.dtype, items.dtype, times.dtype) == (object, object, np.float64)
    plain = read_interactions(rows, user=0, item=1)
    assert plain.X.toarray().tolist() == [[2.0, 1.0], [2.0, 0.0]]
    assert plain.times is None
    when = np.array(["1970-01-02", "1969-12-31T23:59:59.5"], dtype="M8[ms]")
    moments = pd.DataFrame({"user": [1, 1], "item": [1, 2], "when": when})
    assert read_interactions(moments, time="when").times.toarray().tolist() == [[86400.0, -0.5]]


@pytest.mark.parametrize("X", [{"eva": ["tea"]}, {("eva", "tea"): 3}])
def test_a_dict_is_no_list_of_baskets(X):
    with pytest.raises(TypeError, match=r"^X is a dict, of which the keys alone would be read; pass its baskets, list"):
        read_baskets(InteractionEmbedder(), X)
    with pytest.raises(TypeError, match="X is a dict, of which the keys alone would be read"):
        basket_split(X)


def test_baskets_as_a_matrix():
    X, keys = read_baskets(embedder := InteractionEmbedder(), [["b", "a", "b"], [], ["a"]])
    assert (X.toarray().tolist(), keys, embedder.n_features_in_) == ([[1, 1], [0, 0], [0, 1]], ["b", "a"], 2)
    assert X.dtype == np.float32
    assert X.has_sorted_indices
    with pytest.raises(ValueError, match=re.escape(
        "items names the columns of a matrix, but X is a list of baskets: leave items=None."
    )):  # fmt: skip
        read_baskets(InteractionEmbedder(), [["a"]], items=["a"])
    with pytest.raises(ValueError, match=re.escape(
        "Found array with 0 sample(s): X holds no basket, expected at least one."
    )):  # fmt: skip
        read_baskets(InteractionEmbedder(), [])
    with pytest.raises(ValueError, match=re.escape(
        "Negative values in data: X holds -3.0 for row 1 and item 'q', expected counts, weights or ratings of at least "
            "0."
    )):  # fmt: skip
        read_baskets(InteractionEmbedder(), np.array([[1.0, 2.0], [0.0, -3.0]]), items=["p", "q"])
    for items, message in (
        (["p"], "items has 1 names, but X has 2 columns; name each column once."),
        ([1, True], "items names True twice; expected a name of its own for each column."),
    ):
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            read_baskets(InteractionEmbedder(), np.eye(2), items=items)
    given_ = sparse.csr_matrix(([1.0, 2.0, 0.0], [1, 1, 0], [0, 2, 3]), shape=(2, 2))
    X, keys = read_baskets(InteractionEmbedder(), given_)
    assert (X.toarray().tolist(), X.nnz, keys) == ([[0, 3], [0, 0]], 1, [0, 1])
    assert given_.nnz == 3


def test_sets_have_one_order_in_every_process():
    code = (
        "from skembed.data.lists import read_lists\n"
        "ragged, keys = read_lists([{f'i{i}' for i in range(9)}, frozenset({'b', 2, 'a'}), {'i3', 'c'}])\n"
        "print(ragged.indices.tolist(), keys)"
    )
    runs = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2", "3")
    }  # fmt: skip
    assert len(runs) == 1
    assert read_lists([{"b", "a"}])[1] == ["a", "b"]
    assert read_lists([{5, 3, 2**40, 1}])[1] == [1, 3, 5, 2**40]
    assert list({8, 0}) != list({0, 8})  # equal sets, which have the order in which they were made
    assert read_lists([{8, 0}])[1] == read_lists([{0, 8}])[1] == [0, 8]
