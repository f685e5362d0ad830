"""Readers of baskets, matrices and long tables: containers, ids that are kept, and faults that are named."""

import datetime
import warnings

import numpy as np
import pytest
from scipy import sparse

from skembed import InteractionEmbedder
from skembed.data.interactions import holds_baskets, read_baskets
from skembed.interactions import basket_split, read_interactions

pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")
pa = pytest.importorskip("pyarrow")

BASKETS = [["tea", "rye", "tea"], [], ["milk"]]
LONG = {"user": ["u", "v", "u", "u"], "item": [7, 7, 8, 7], "value": [1.0, 2.0, 0.5, 4.0], "time": [5, 1, 2, 9]}


class TestBaskets:
    @pytest.mark.parametrize(
        "column",
        [
            BASKETS,
            tuple(map(tuple, BASKETS)),
            iter(BASKETS),
            np.array([*BASKETS, None], dtype=object)[:3],
            pd.Series(BASKETS, index=[5, 5, 7]),
            pd.DataFrame({"basket": BASKETS})[["basket"]].to_numpy(),
            pl.Series(BASKETS),
            pa.chunked_array([BASKETS]),
            pd.DataFrame({"basket": BASKETS}),
            pl.DataFrame({"basket": BASKETS}),
            pa.table({"basket": BASKETS}),
        ],
    )
    def test_containers(self, column):
        X, keys = read_baskets(InteractionEmbedder(), column)
        assert keys == ["tea", "rye", "milk"]
        assert X.toarray().tolist() == [[1, 1, 0], [0, 0, 0], [0, 0, 1]]

    def test_a_list_with_floats_is_a_matrix_and_a_list_of_whole_numbers_is_not(self):
        assert not holds_baskets([[1.0, 0.0], [0.0, 1.0]])
        assert holds_baskets([[17, 4], [4, 9]])
        assert not holds_baskets(np.ones(3))  # complains as a matrix

    def test_names_of_columns_of_an_earlier_fit_are_forgotten(self):
        frame = pd.DataFrame(np.eye(3), columns=["tea", "rye", "soap"])
        embedder = InteractionEmbedder(1, method="svd").fit(frame)
        assert embedder.feature_names_in_.tolist() == ["tea", "rye", "soap"]
        embedder.fit(BASKETS)
        assert not hasattr(embedder, "feature_names_in_")
        assert len(embedder.transform(pd.DataFrame(np.eye(3), columns=["tea", "rye", "milk"]))) == 3

    def test_unknown_items_are_left_out(self):
        X, _ = read_baskets(InteractionEmbedder(), [["soap", "rye"]], known=np.array(["tea", "rye"], dtype=object))
        assert X.toarray().tolist() == [[0, 1]]

    def test_items_of_another_type_than_in_fit_are_a_warning(self, recwarn):
        """As numbers that became strings are; an item that is new is none."""
        embedder = InteractionEmbedder(1, method="svd").fit([[10, 20], [10, 30]])
        embedder.transform([["10", 20]])
        embedder.transform([[40], []])
        embedder.transform([[], []])
        assert not recwarn
        message = "none of the 2 items in X .* such as '10' of type str, those of fit such as 10 of type int; turn them"
        with pytest.warns(UserWarning, match=message):
            embedder.recommend([["10"], ["20"]])

    def test_lists_of_zeros_and_ones_are_baskets_with_a_warning(self):
        message = r"^X is a list of lists that hold nothing but \[1, 0\], and is read as baskets of 2 items .* numpy"
        with pytest.warns(UserWarning, match=message):
            assert InteractionEmbedder(method="popularity").fit([[1, 0, 1], [0, 1, 1]]).embedding_.keys.tolist() == [
                1,
                0,
            ]
        with pytest.warns(UserWarning, match=r"hold nothing but \[True, False\]"):
            InteractionEmbedder(method="popularity").fit([[True, False], [False, True]])
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for X in (
                [[1, 0], [1]],
                [[1, 0], [2, 1]],
                [["a", "b"]] * 2,
                [{1, 0}] * 2,
                [[1.0, 0.0], [0.0, 1.0]],
                np.eye(2, dtype=int),
            ):
                InteractionEmbedder(method="popularity").fit(X)

    def test_tensors_are_baskets_of_their_values(self):
        torch = pytest.importorskip("torch")
        baskets = [torch.tensor([7, 8]), torch.tensor([8])]
        for X in (baskets, [list(basket) for basket in baskets]):
            matrix, keys = read_baskets(InteractionEmbedder(), X)
            assert (keys, matrix.toarray().tolist()) == ([7, 8], [[1, 1], [0, 1]])
            assert basket_split(X, hidden=1, order="last") == ([[7], [8]], [[8], []])

    def test_keys_that_are_equal_meet(self):
        _, keys = read_baskets(InteractionEmbedder(), [[1, np.int64(1), True, "1"], [None, float("nan")]])
        assert keys == [1, "1", None]

    @pytest.mark.parametrize(
        ("X", "error", "message"),
        [
            ("tea", TypeError, "got the single str 'tea'"),
            ([["tea"], "rye"], TypeError, "entry 1 of X must be a list of keys, got 'rye'"),
            ([["tea"], None], TypeError, "entry 1 of X must be a list of keys, got None"),
            ([[["tea"]]], TypeError, "cannot be hashed"),
            ([], ValueError, "0 sample"),
            (np.array([[1.0, -2.0]]), ValueError, r"X holds -2.0 for row 0 and item 1, expected counts"),
            (np.array([[1.0, np.nan]]), ValueError, "NaN"),
            (np.array([[1.0, np.inf]]), ValueError, "infinity"),
            (sparse.csr_matrix([[1.0, np.inf]]), ValueError, "infinity"),
            (np.zeros((3, 2)), ValueError, "X holds 3 users and none has an item"),
            ([[], []], ValueError, "X holds 2 users and none has an item"),
        ],
    )
    def test_faults(self, X, error, message):
        with pytest.raises(error, match=message):
            InteractionEmbedder().fit(X)

    def test_names_of_columns(self):
        embedder = InteractionEmbedder(1, method="svd", items=["a", "b"]).fit(np.eye(2))
        assert embedder.embedding_.keys.tolist() == ["a", "b"]
        frame = pd.DataFrame(np.eye(2), columns=["c", "d"])
        assert InteractionEmbedder(1, method="svd").fit(frame).embedding_.keys.tolist() == ["c", "d"]
        with pytest.raises(ValueError, match="items has 3 names, but X has 2 columns"):
            InteractionEmbedder(items=list("abc")).fit(np.eye(2))
        with pytest.raises(
            ValueError, match="items has 'd' at position 0, where X has the column 'c'; leave items=None"
        ):
            InteractionEmbedder(items=["d", "c"]).fit(frame)
        unnamed = InteractionEmbedder(1, method="svd", items=[1, 0]).fit(pd.DataFrame(np.eye(2)))
        assert unnamed.embedding_.keys.tolist() == [1, 0]
        for items in (["c", "d"], ["d", "e"]):
            assert InteractionEmbedder(1, method="svd", items=items).fit(frame).embedding_.keys.tolist() == items
        with pytest.raises(TypeError, match="items is a set, which has no order"):
            InteractionEmbedder(items={"a", "b"}).fit(np.eye(2))
        with pytest.raises(ValueError, match="items names 'a' twice"):
            InteractionEmbedder(items=["a", "a"]).fit(np.eye(2))
        with pytest.raises(ValueError, match="leave items=None"):
            InteractionEmbedder(items=["a", "b"]).fit(BASKETS)

    def test_long_tables_in_place_of_a_matrix_are_sent_to_their_reader(self):
        long = pd.DataFrame({"user": ["eva", "eva", "max"], "item": ["tea", "rye", "tea"]})
        with pytest.raises(
            ValueError, match=r"a row an interaction is read by skembed\.interactions\.read_interactions"
        ):
            InteractionEmbedder().fit(long)
        with pytest.raises(TypeError, match="X is all that read_interactions returns, expected its matrix: pass its X"):
            InteractionEmbedder().fit(read_interactions(long))

    def test_gaps_of_a_pivoted_table_are_named(self):
        frame = pd.DataFrame({"tea": [1.0, 2.0], "rye": [3.0, np.nan]})
        message = r"Input X contains NaN for row 1 and item 'rye', expected .*: X\.fillna\(0\) of a pivoted frame\."
        with pytest.raises(ValueError, match=message):
            InteractionEmbedder().fit(frame)
        embedder = InteractionEmbedder(1, method="svd").fit(frame.fillna(0))
        with pytest.raises(ValueError, match=message):
            embedder.transform(frame)
        with pytest.raises(ValueError, match="Input X contains infinity for row 1 and item 'rye'"):
            InteractionEmbedder().fit(frame.fillna(np.inf))

    @pytest.mark.parametrize("container", [np.asarray, sparse.csr_matrix, sparse.csc_matrix, sparse.coo_array])
    def test_numbers_beyond_float32_are_told_from_infinite_ones(self, container):
        X = container([[1.0, 0.0, 2.0], [0.0, 1.5e40, 1.0]])
        message = r"^X holds 1\.5e\+40 for row 1 and item 1, which is beyond float32; divide X by a number\.$"
        with pytest.raises(ValueError, match=message):
            InteractionEmbedder().fit(X)

    def test_labels_of_columns_that_are_numbers_are_the_items(self):
        """As a table has that was pivoted by the ids of items."""
        long = pd.DataFrame({"user": list("aabbccdd"), "item": [50, 60, 50, 60, 70, 80, 70, 80], "value": 1.0})
        frame = long.pivot_table(index="user", columns="item", values="value", fill_value=0.0)
        embedder = InteractionEmbedder(2, method="svd", random_state=0).fit(frame)
        assert embedder.embedding_.keys.tolist() == [50, 60, 70, 80]
        assert embedder.recommend([[50], [80]], k=1)[0].tolist() == [[60], [70]]
        assert embedder.recommend(frame.iloc[:1] * [1, 0, 0, 0], k=1)[0].tolist() == [[60]]
        rows = embedder.transform(frame)
        assert np.array_equal(embedder.transform(frame.to_numpy()), rows)
        assert np.array_equal(embedder.transform(pd.DataFrame(frame.to_numpy())), rows)
        with pytest.raises(ValueError, match="column 0 of X is 80, and 50 in `fit`; expected the same columns"):
            embedder.transform(frame[[80, 70, 60, 50]])
        with pytest.raises(ValueError, match="column 3 of X is 90, and 80 in `fit`; expected the same columns"):
            embedder.transform(frame.rename(columns={80: 90}))
        named = InteractionEmbedder(2, method="svd", items=list("abcd"), random_state=0).fit(frame)
        assert named.embedding_.keys.tolist() == list("abcd")
        assert np.array_equal(named.transform(frame), rows)

    def test_the_matrix_that_was_given_stays_as_it_is(self):
        X = sparse.csr_matrix((np.array([1.0, 0.0, 2.0]), [1, 0, 1], [0, 2, 3]), shape=(2, 2))
        before = X.copy()
        InteractionEmbedder(1, binary=True).fit(X).transform(X)
        assert all(np.array_equal(getattr(X, name), getattr(before, name)) for name in ("data", "indices", "indptr"))


class TestLongTables:
    @pytest.mark.parametrize(
        "frame",
        [
            pd.DataFrame(LONG),
            pl.DataFrame(LONG),
            pa.table(LONG),
        ],
        ids=["pandas", "polars", "pyarrow"],
    )
    def test_values_are_summed_and_times_are_the_last(self, frame):
        X, users, items, times = read_interactions(frame, value="value", time="time")
        assert users.tolist() == ["u", "v"]
        assert items.tolist() == [7, 8]
        assert X.toarray().tolist() == [[5.0, 0.5], [2.0, 0.0]]
        assert times.toarray().tolist() == [[9, 2], [1, 0]]

    def test_dates(self):
        days = [datetime.datetime(2020, 1, day) for day in (3, 1)]
        frame = pd.DataFrame({"user": [1, 1], "item": ["a", "b"], "when": days})
        times = read_interactions(frame, time="when").times
        assert times[0, 0] - times[0, 1] == 2 * 86400
        assert np.array_equal(times.toarray(), read_interactions(pl.from_pandas(frame), time="when").times.toarray())

    @pytest.mark.parametrize("kind", ["naive", "zone", "objects", "arrow", "dates", "list"])
    def test_every_kind_of_dates(self, kind):
        days = pd.Series(pd.to_datetime(["2020-01-03 12:00", "2020-01-01 00:00"]))
        column = {
            "zone": days.dt.tz_localize("UTC").dt.tz_convert("Europe/Vienna"),
            "objects": days.astype(object),
            "arrow": days.dt.tz_localize("UTC").astype(pd.ArrowDtype(pa.timestamp("us", "UTC"))),
            "dates": days.dt.date,
        }.get(kind, days)
        frame = pd.DataFrame({"user": [1, 1], "item": ["a", "b"], "when": column})
        table, names = (frame, {"time": "when"}) if kind != "list" else (
            [(1, "a", days[0].to_pydatetime()), (1, "b", days[1].to_pydatetime())], {"user": 0, "item": 1, "time": 2}
        )  # fmt: skip
        expected = [1578009600.0 if kind == "dates" else 1578052800.0, 1577836800.0]
        assert read_interactions(table, **names).times.toarray().tolist() == [expected]

    def test_columns_are_found_by_labels_that_are_numbers(self):
        frame = pd.DataFrame({1: [7, 8, 7], 0: ["u", "u", "v"]})  # columns of a file without names, in another order
        found = read_interactions(frame, user=0, item=1)
        assert (found.users.tolist(), found.items.tolist()) == (["u", "v"], [7, 8])
        with pytest.raises(ValueError, match=r"user=2 is no column of the table, which has \[1, 0\]"):
            read_interactions(frame, user=2, item=1)

    @pytest.mark.parametrize(
        ("change", "options", "message"),
        [
            ({"user": ["u", None, "u", "u"]}, {}, "row 1 has no user"),
            ({"item": [7, 7, None, 7]}, {}, "row 2 has no item"),
            ({"value": [1.0, 1.0, -1.0, 1.0]}, {"value": "value"}, "row 2 has the value -1.0"),
            ({"value": [1.0, np.nan, 1.0, 1.0]}, {"value": "value"}, "row 1 has the value nan"),
            ({"time": [1.0, np.nan, 1.0, 1.0]}, {"time": "time"}, "row 1 has no time"),
            ({}, {"user": "client"}, "user='client' is no column"),
        ],
    )
    def test_faults(self, change, options, message):
        with pytest.raises(ValueError, match=message):
            read_interactions(pd.DataFrame(LONG | change), **options)

    def test_the_function_is_named_where_there_is_no_row(self):
        with pytest.raises(ValueError, match="minimum of 1 is required by read_interactions"):
            read_interactions(np.empty((0, 2)), user=0, item=1)
