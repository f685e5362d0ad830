"""Cases as arrays: every kind of column beside the others, knots and places beside a slow twin, and states."""

import datetime as dt
import decimal
import pickle
import re

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from skembed.data.cases import MISSING_PLACE, CaseReader
from skembed.data.columns import read_columns
from skembed.data.mixed import MixedColumns
from skembed.data.ragged import Ragged
from skembed.data.sequences import as_cells

pd = pytest.importorskip("pandas")
pa = pytest.importorskip("pyarrow")
pl = pytest.importorskip("polars")

MONDAY = dt.datetime(2024, 3, 4)


def at(day, hour):
    return MONDAY + dt.timedelta(days=day, hours=hour)


FRAME = pd.DataFrame(
    {
        "p": ["u", "v", "u"],
        "x": [[1.5, 0.5], [0.5, 2.5, None], []],
        "a": [["k", "l"], ["k", None, "k"], []],
        "q": [10.5, None, 20.5],
        "t": [[at(0, 1), at(1, 2)], [at(6, 0), at(6, 12), at(7, 12)], []],
        "d": [at(0, 6), at(5, 18), None],
    }
)


def fit(X, **options):
    settings = {"categorical_features": "auto", "max_length": None, "min_frequency": None, "max_categories": None}
    return CaseReader.fit(read_columns(as_cells(X)), **(settings | {"wants_category": True} | options))


def test_every_kind_of_column():
    reader, cases = fit(FRAME)
    assert reader.names == ["p", "x", "a", "q", "t", "d"]
    assert reader.are_sequences == [False, True, True, False, True, False]
    assert reader.roles == ["category", "number", "category", "number", "time", "time"]
    assert reader.category_names == ["a", "p"]
    assert (reader.n_sequence_categories, reader.n_sequence_numbers) == (1, 5)
    parts = ["gap", "elapsed", "time of day", "day of week"]
    assert reader.inputs == [
        "x", *(f"{part} of t" for part in parts), "q", *(f"{part} of d" for part in ("date", *parts[2:]))
    ]  # fmt: skip
    assert reader.used == list(range(9))
    assert reader.flagged == [True, True, False, False, False, True, True, True, True]
    assert [list(vocabulary) for vocabulary in reader.vocabularies] == [["k", "l", None], ["u", "v"]]
    hour = 3600.0
    knots = [
        [0.5, 2.5], np.log1p([12 * hour, 25 * hour]), np.log1p([0, 36 * hour]), [0, 12 * hour], [0, 6],
        [10.5, 20.5], [(at(0, 6) - dt.datetime(1970, 1, 1)).total_seconds(),
                       (at(5, 18) - dt.datetime(1970, 1, 1)).total_seconds()],
        [6 * hour, 18 * hour], [0, 5],
    ]  # fmt: skip
    for found, expected in zip(reader.knots, knots):
        assert found.dtype == np.float64
        np.testing.assert_allclose(found, expected)

    assert len(cases) == 3
    assert cases.indptr.tolist() == [0, 2, 5, 5]
    assert cases.lengths.tolist() == [2, 3, 0]
    assert cases.ids.tolist() == [[1], [2], [1], [3], [1]]
    assert cases.case_ids.tolist() == [[1], [2], [1]]
    for array, dtype in ((cases.ids, np.int32), (cases.places, np.float32), (cases.case_places, np.float32)):
        assert array.dtype == dtype
    np.testing.assert_allclose(cases.places[:, 0], [0.5, 0, 0, 1, -1], rtol=1e-6)
    np.testing.assert_allclose(cases.places[:, 3], [1 / 12, 2 / 12, 0, 1, 1], rtol=1e-6)
    np.testing.assert_allclose(cases.places[:, 4], [0, 1 / 6, 1, 1, 0], rtol=1e-6)
    np.testing.assert_allclose(cases.places[:, 1], [-1, 1, -1, 0, 1 - np.log(25 / 24) / np.log(25 / 12)], atol=1e-4)
    np.testing.assert_allclose(cases.places[0::2, 2], [0, 0, 1])
    np.testing.assert_allclose(cases.case_places[:, 0], [0, -1, 1])
    np.testing.assert_allclose(cases.case_places[:, 1:], [[0, 0, 0], [1, 1, 1], [-1, -1, -1]])

    taken = cases.take(np.array([1, 0]))
    assert taken.indptr.tolist() == [0, 3, 5]
    np.testing.assert_array_equal(taken.ids, cases.ids[[2, 3, 4, 0, 1]])
    np.testing.assert_array_equal(taken.places, cases.places[[2, 3, 4, 0, 1]])
    np.testing.assert_array_equal(taken.case_ids, cases.case_ids[[1, 0]])
    np.testing.assert_array_equal(taken.case_places, cases.case_places[[1, 0]])

    again = pickle.loads(pickle.dumps(reader)).read(read_columns(FRAME))
    for name in ("indptr", "ids", "places", "case_ids", "case_places"):
        np.testing.assert_array_equal(getattr(again, name), getattr(cases, name))


def test_plain_columns_alone_have_cases_without_events():
    reader, cases = fit(pd.DataFrame({"p": ["u", "v"], "q": [1.5, 2.5]}))
    assert (reader.n_sequence_categories, reader.n_sequence_numbers) == (0, 0)
    assert cases.indptr.tolist() == [0, 0, 0]
    assert (cases.ids.shape, cases.places.shape) == ((0, 0), (0, 0))
    assert cases.case_places.tolist() == [[0.0], [1.0]]


def test_numbers_that_never_vary_are_not_used_unless_some_are_missing():
    frame = pd.DataFrame({"a": [["k"], ["l"]], "x": [[1.5], [1.5]], "y": [[1.5], [None]], "z": [[None], [None]]})
    frame = frame.astype({"z": pd.ArrowDtype(pa.list_(pa.float64()))})
    reader, cases = fit(frame, categorical_features=[0])
    assert reader.inputs == ["y"]
    assert (reader.used, reader.flagged) == ([1], [True])
    assert [knots.tolist() for knots in reader.knots] == [[1.5]]
    assert cases.places.tolist() == [[0.0], [MISSING_PLACE]]


def test_settings_reach_the_vocabularies():
    words = pd.DataFrame({"a": [list("kkkllm")], "p": ["u"]})
    assert [list(v) for v in fit(words, min_frequency=2)[0].vocabularies] == [["k", "l"], []]
    assert [list(v) for v in fit(words, max_categories=2)[0].vocabularies] == [["k"], ["u"]]


@given(
    st.lists(st.one_of(st.integers(-5, 5).map(float), st.floats(-1e3, 1e3), st.none()), min_size=2, max_size=60),
    st.lists(st.one_of(st.floats(-1e3, 1e3), st.none()), min_size=1, max_size=5),
)
@example([0.0, 2e-313, 1e-291], [1e-313])
def test_places_are_those_of_a_loop(values, later):
    def read(value):
        return 0.0 if abs(value) < 1e-290 else value

    present = sorted({read(value) for value in values if value is not None})
    reader, _ = fit(pd.DataFrame({"x": [values]}, dtype=object), categorical_features=[])
    if not reader.knots:
        assert len(present) < 2
        return
    n_present = sum(value is not None for value in values)
    n = min(max(n_present // 20, 2), 33)
    knots = reader.knots[0].tolist()
    if len(present) <= n:
        assert knots == (present or [0.0])
    else:
        assert (knots[0], knots[-1]) == (present[0], present[-1])
        assert set(knots) <= set(present)
        assert len(knots) <= n
    cases = reader.read(read_columns(pd.DataFrame({"x": [later]}, dtype=object)))
    for value, place in zip(later, cases.places[:, 0].tolist()):
        if value is None:
            assert place == (MISSING_PLACE if reader.flagged[0] else (len(knots) - 1) / 2)
            continue
        value = read(value)
        below = sum(knot <= value for knot in knots) - 1
        if below < 0 or below == len(knots) - 1:
            expected = max(below, 0)
        else:
            expected = below + (value - knots[below]) / (knots[below + 1] - knots[below])
        assert place == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(("n", "n_knots"), [(39, 2), (60, 3), (660, 33), (2000, 33)])
def test_there_is_a_knot_for_twenty_events_up_to_a_limit(n, n_knots):
    reader, _ = fit([np.arange(n) + 0.5])
    np.testing.assert_allclose(reader.knots[0], np.linspace(0.5, n - 0.5, n_knots), atol=0.51)
    assert len(reader.knots[0]) == n_knots


@pytest.mark.parametrize(
    ("values", "role"),
    [
        ([[1, 2, 3]], "category"),
        ([[1.0, 2.0]], "number"),
        ([[1, 2.5]], "number"),
        ([[1, 2.0]], "number"),
        ([[1, None, float("nan")]], "category"),
        ([list(range(50))], "category"),
        ([list(range(51))], "number"),
        ([[True, False]], "category"),
        ([[decimal.Decimal("1.5"), None]], "number"),
        ([["1", "2"]], "category"),
    ],
)
def test_roles_of_sequences(values, role):
    frame = pd.DataFrame({"a": [["x"] * len(values[0])], "b": values})
    assert fit(frame)[0].roles == ["category", role]


def test_roles_of_arrow_and_polars():
    for make in (pl.DataFrame, pa.table):
        frame = make({"a": [["x", "y"]], "b": [[1, 2]], "c": [[1.0, 2.0]], "d": [5], "e": [MONDAY]})
        assert fit(frame)[0].roles == ["category", "category", "number", "number", "time"]


def test_of_longer_cases_the_last_events_are_read():
    reader, cases = fit(pd.DataFrame({"a": [list("abc"), list("d"), [], list("efgh")]}), max_length=2)
    assert cases.lengths.tolist() == [2, 1, 0, 2]
    assert reader.vocabularies[0].keys.tolist() == list("bcdgh")
    assert cases.ids[:, 0].tolist() == [1, 2, 3, 4, 5]
    assert cases.indptr.dtype == np.int64
    assert fit(pd.DataFrame({"a": [list("abc"), list("d")]}), max_length=3)[1].lengths.tolist() == [3, 1]


def test_sequences_of_two_lengths_are_named():
    X = pd.DataFrame({"p": [1, 2], "a": [["k"], ["k"]], "b": [["k"], ["k"]], "c": [["k"], ["k", "l"]]})
    message = (
        "row 1 has 1 events in column 'a' and 2 in column 'c'; expected sequences of one length in each row. A column "
        "that holds one value for the whole row is given as that value, not as a list."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        fit(X)


# ------------------------------------------------------------------------------------------------------------- states


def changed(reader, **values):
    state = dict(reader.__getstate__() if isinstance(reader, MixedColumns) else reader.__dict__) | values
    type(reader).__new__(type(reader)).__setstate__(state)


def knots_of(reader, first):
    return [np.array(first, dtype=np.float64), *reader.knots[1:]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: {"roles": r.roles[1:]}, "CaseReader: expected kinds and roles of 6 columns"),
        (lambda r: {"are_sequences": r.are_sequences[1:]}, "CaseReader: expected kinds and roles of 6 columns"),
        (lambda r: {"names": r.names[1:]}, "CaseReader: expected kinds and roles of 5 columns"),
        (lambda r: {"roles": ["word", *r.roles[1:]]},
         "CaseReader: expected roles 'category', 'number' or 'time', got ['word', 'number', 'category', 'number', "
         "'time', 'time']"),
        (lambda r: {"vocabularies": r.vocabularies[1:]},
         "CaseReader: expected a vocabulary for each column of categories"),
        (lambda r: {"knots": r.knots[1:]}, "CaseReader: expected knots and flags of 9 numbers"),
        (lambda r: {"flagged": r.flagged[1:]}, "CaseReader: expected knots and flags of 9 numbers"),
        (lambda r: {"knots": knots_of(r, [1.0, 1.0])}, "CaseReader: expected knots that ascend"),
        (lambda r: {"knots": knots_of(r, [2.0, 1.0])}, "CaseReader: expected knots that ascend"),
        (lambda r: {"knots": knots_of(r, [])}, "CaseReader: expected knots that ascend"),
        (lambda r: {"knots": knots_of(r, [[0.0, 1.0]])}, "CaseReader: expected knots that ascend"),
        (lambda r: {"knots": [np.array([0, 1]), *r.knots[1:]]}, "CaseReader: expected knots that ascend"),
        (lambda r: {"used": r.used[::-1]}, "CaseReader: expected the places of numbers"),
        (lambda r: {"used": [0, *r.used[:-1]]}, "CaseReader: expected the places of numbers"),
        (lambda r: {"used": [-1, *r.used[1:]]}, "CaseReader: expected the places of numbers"),
        (lambda r: {"used": [*r.used[1:], 9]}, "CaseReader: expected the places of numbers"),
        (lambda r: {"used": r.used[1:]}, "CaseReader: expected 9 numbers in use, got 8"),
        (lambda r: {"used": []}, "CaseReader: expected 9 numbers in use, got 0"),
    ],
)  # fmt: skip
def test_states_of_readers_of_cases_that_do_not_fit(change, message):
    reader, _ = fit(FRAME)
    changed(reader)
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        changed(reader, **change(reader))


def test_a_state_that_lacks_a_name_is_refused():
    reader, _ = fit(FRAME)
    for name in reader.__dict__:
        state = {other: value for other, value in reader.__dict__.items() if other != name}
        with pytest.raises(ValueError, match=f"CaseReader: '{name}' is missing"):
            CaseReader.__new__(CaseReader).__setstate__(state)


def mixed_columns(rows, features="from_dtype", **limits):
    mixed = MixedColumns(features, limits.get("min_frequency"), limits.get("max_categories"))
    frame = rows if hasattr(rows, "columns") else pd.DataFrame(rows)
    return mixed, mixed.fit(read_columns(frame), frame), frame


def test_mixed_columns_are_read_side_by_side():
    frame = {"c": ["k", "l", "k", None], "x": [1.0, 3.0, None, 2.0], "d": ["u", "u", "v", "u"], "y": [5.0] * 4}
    mixed, rows, frame = mixed_columns(frame)
    assert (mixed.categorical, mixed.numeric, mixed.names) == ([0, 2], [1, 3], ["c", "d"])
    assert rows.ids.tolist() == [[1, 1], [2, 1], [1, 2], [3, 1]]
    assert rows.ids.dtype == np.int64
    assert [share.tolist() for share in mixed.shares] == [[0, 0.5, 0.25, 0.25], [0, 0.75, 0.25]]
    assert mixed.first_ids().tolist() == [0, 4]
    assert mixed.flagged.tolist() == [0]
    assert rows.missing.tolist() == [[False, False], [False, False], [True, False], [False, False]]
    spread = np.sqrt(2 / 3)
    np.testing.assert_allclose(rows.numbers, [[-1 / spread, 0], [1 / spread, 0], [0, 0], [0, 0]], atol=1e-15)
    np.testing.assert_allclose(mixed.unscaled(rows.numbers), [[1, 5], [3, 5], [2, 5], [2, 5]])
    again = pickle.loads(pickle.dumps(mixed))
    later = pd.DataFrame({"c": ["new", "l"], "x": [2.0, 2.0], "d": ["v", None], "y": [5.0, 6.0]})
    for one in (mixed, again):
        found = one.read(read_columns(later), later)
        assert found.ids.tolist() == [[0, 2], [2, 0]]
        assert found.missing is None
        assert found.numbers.tolist() == [[0, 0], [0, pytest.approx(0.2)]]
    assert again.dtype == np.float64


def test_without_numbers_or_without_categories():
    mixed, rows, _ = mixed_columns({"c": ["k", "l"]})
    assert (rows.numbers.shape, rows.numbers.dtype, rows.missing) == ((2, 0), np.float32, None)
    mixed, rows, _ = mixed_columns({"x": [1.0, 3.0]})
    assert rows.ids.shape == (2, 0)
    np.testing.assert_allclose(rows.numbers, [[-1.0], [1.0]])
    assert mixed.first_ids().tolist() == []
    assert mixed_columns({"c": ["k", "k", "l"]}, min_frequency=2)[1].ids.tolist() == [[1], [1], [0]]
    assert mixed_columns({"c": ["k", "k", "l"]}, max_categories=1)[1].ids.tolist() == [[0], [0], [0]]
    assert mixed_columns({"c": [1, 2]}, features=["c"])[1].ids.tolist() == [[1], [2]]


@pytest.mark.parametrize(
    ("make", "dtype"),
    [
        (lambda: pd.DataFrame({"x": np.float32([1, 2]), "c": ["k", "l"]}), "float32"),
        (lambda: pd.DataFrame({"x": np.float16([1, 2]), "c": ["k", "l"]}), "float32"),
        (lambda: pd.DataFrame({"x": pd.array([1, 2], dtype="Float32"), "c": ["k", "l"]}), "float32"),
        (lambda: pl.DataFrame({"x": pl.Series([1, 2], dtype=pl.Float32), "c": ["k", "l"]}), "float32"),
        (lambda: pa.table({"x": pa.array([1, 2], pa.float32()), "c": ["k", "l"]}), "float32"),
        (lambda: pa.table({"x": pa.array([1, 2], pa.float64()), "c": ["k", "l"]}), "float64"),
        (lambda: pd.DataFrame({"x": np.float32([1, 2]), "y": [1.0, 2.0]}), "float64"),
        (lambda: pd.DataFrame({"x": [1, 2]}), "float64"),
        (lambda: np.float32([[1], [2]]), "float32"),
        (lambda: np.array([[1], [2]]), "float64"),
    ],
)
def test_the_widest_number_decides_the_dtype(make, dtype):
    X = make()
    mixed = MixedColumns([] if isinstance(X, np.ndarray) else "from_dtype", None, None)
    rows = mixed.fit(read_columns(X), X)
    assert (mixed.dtype, rows.numbers.dtype) == (np.dtype(dtype), np.dtype(dtype))
    np.testing.assert_allclose(rows.numbers[:, 0], [-1, 1], rtol=1e-6)


def test_infinity_is_named():
    frame = pd.DataFrame({"c": ["k", "l", "m"], "x": [1.0, 2.0, np.inf]})
    with pytest.raises(ValueError, match=re.escape(
        "Input X contains infinity in column 'x', row 2; expected finite numbers or missing values."
    )):  # fmt: skip
        mixed_columns(frame)
    with pytest.raises(ValueError, match="Input X contains infinity"):
        MixedColumns([], None, None).fit(read_columns(np.array([[np.inf]])), np.array([[np.inf]]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dtype": "float16"}, "MixedColumns: expected dtype float32 or float64, got 'float16'"),
        *[({name: []}, "MixedColumns: expected names, vocabularies and shares of 1 columns")
          for name in ("names", "vocabularies", "shares")],
        ({"categorical": []}, "MixedColumns: expected names, vocabularies and shares of 0 columns"),
        *[({name: np.zeros(2)}, "MixedColumns: expected units, centers and spreads of 1 columns")
          for name in ("unit", "center", "spread", "reach")],
        ({"shares": [np.zeros(2)]}, "MixedColumns: expected a share for each level"),
        ({"flagged": [0]}, "MixedColumns: expected 'flagged' to be ndarray, got [0]"),
    ],
)  # fmt: skip
def test_states_of_mixed_columns_that_do_not_fit(change, message):
    mixed, _, _ = mixed_columns({"c": ["k", "l"], "x": [1.0, 2.0]})
    changed(mixed)
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        changed(mixed, **change)


@given(st.lists(st.lists(st.integers(0, 3), max_size=4), max_size=5), st.data())
def test_ragged_beside_lists(lists, data):
    flat = np.array([i for row in lists for i in row], dtype=np.int32)
    ragged = Ragged.from_ends(flat, np.cumsum([len(row) for row in lists], dtype=np.int64))

    def listed(found):
        return [found.indices[a:b].tolist() for a, b in zip(found.indptr, found.indptr[1:])]

    assert listed(ragged) == lists
    assert ragged.lengths.tolist() == [len(row) for row in lists]
    kept = np.array(data.draw(st.lists(st.booleans(), min_size=len(flat), max_size=len(flat))), dtype=bool)
    flags = iter(kept.tolist())
    assert listed(ragged.keep(kept)) == [[i for i in row if next(flags)] for row in lists]
    which = data.draw(st.lists(st.integers(-1, len(lists) - 1), max_size=6)) if lists else []
    assert listed(ragged.take(np.array(which, dtype=np.int64))) == [lists[i] for i in which]
    holders = [[row for row, ids in enumerate(lists) for i in ids if i == key] for key in range(4)]
    distinct = Ragged.from_ends(
        np.array([i for row in lists for i in sorted(set(row))], dtype=np.int32),
        np.cumsum([len(set(row)) for row in lists], dtype=np.int64),
    )
    assert listed(distinct.transposed(4)) == [sorted(set(rows)) for rows in holders]
