"""Hashes of columns: equal where values, order and types are, whatever holds them or lies beside them in memory."""

import datetime as dt
import decimal
import subprocess
import sys
import uuid

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skembed.data.content import content_hash

pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")
pa = pytest.importorskip("pyarrow")

WORDS = ["Ulm", "Graz", "", "Ulm", "a\0b", "Köln", "Graz"]
COLUMNS = {  # each with a copy of its own
    "objects": lambda values: np.array([*values, None], dtype=object)[:-1],
    "str array": lambda values: np.array(values),
    "pandas objects": lambda values: pd.Series(values, dtype=object),
    "pandas str": lambda values: pd.Series(values, dtype="str" if pd.__version__ >= "3" else "string[pyarrow]"),
    "pandas python str": lambda values: pd.Series(values, dtype="string[python]"),
    "pandas arrow": lambda values: pd.Series(values, dtype=pd.ArrowDtype(pa.string())),
    "categories": lambda values: pd.Series(values, dtype="category"),
    "pyarrow": lambda values: pa.chunked_array([pa.array(values)]),
    "pyarrow dictionary": lambda values: pa.chunked_array([pa.array(values).dictionary_encode()]),
    "pyarrow large": lambda values: pa.array(values, type=pa.large_string()),
    "polars": lambda values: pl.Series(values),
    "polars categories": lambda values: pl.Series(values, dtype=pl.Categorical),
}
NUMBERS = {
    "int array": np.array,
    "float array": lambda values: np.array(values, dtype=float),
    "pandas Int64": lambda values: pd.Series(values, dtype="Int64"),
    "pandas float32": lambda values: pd.Series(values, dtype="float32"),
    "pyarrow ints": lambda values: pa.chunked_array([pa.array(values)]),
    "polars ints": pl.Series,
    "times": lambda values: pd.Series(pd.to_datetime(values, unit="D")),
    "times with a zone": lambda values: pd.Series(pd.to_datetime(values, unit="D", utc=True)),
    "periods": lambda values: pd.Series(pd.PeriodIndex([pd.Period(ordinal=value, freq="D") for value in values])),
    "intervals": lambda values: pd.Series(pd.arrays.IntervalArray.from_breaks([-1, *np.cumsum(values)])),
}


def reordered(values):
    return [*values[1:], values[0]]


@pytest.mark.parametrize(
    ("make", "values", "other"),
    [
        *(pytest.param(make, WORDS, "Bonn", id=name) for name, make in COLUMNS.items()),
        *(pytest.param(make, [3, 1, 4, 1, 5], 9, id=name) for name, make in NUMBERS.items()),
    ],
)
def test_values_and_order_decide(make, values, other):
    first = content_hash(make(values))
    assert isinstance(first, bytes)
    assert content_hash(make(list(values))) == first
    changed = [
        values,
        reordered(values),
        values[:-1],
        [*values, values[0]],
        [*values[:-1], other],
        [other, *values[1:]],
    ]
    assert len({content_hash(make(of)) for of in changed}) == len(changed)


def test_types_decide():
    kinds = ["i4", "i8", ">i8", "f4", "f8", "?", "U1", "S1", "c16", "m8[s]", "m8[D]"]
    of_ones = [
        *(np.ones(3, dtype=dtype) for dtype in kinds),
        *(np.array([one] * 3, dtype=object) for one in (1, 1.0, True, "1", b"1", np.int64(1), decimal.Decimal(1))),
        *(pd.Series([1, 1, 1], dtype=dtype) for dtype in ("Int64", "Float64", "boolean", "string[python]")),
        pd.Series([1, 1, 1], dtype="category"),
        *(pa.array([1, 1, 1], type=kind) for kind in (pa.int64(), pa.int32(), pa.float64())),
        *(pl.Series([1, 1, 1], dtype=kind) for kind in (pl.Int64, pl.Int32, pl.Float64)),
        np.array([dt.date(1, 1, 1)] * 3, dtype=object),
        np.array([dt.datetime(1, 1, 1)] * 3, dtype=object),
        np.array([uuid.UUID(int=1)] * 3, dtype=object),
        np.array([None] * 3, dtype=object),
        np.array([np.nan] * 3, dtype=object),
        np.array([pd.NA] * 3, dtype=object),
        np.ones((3, 1)),
        np.ones((1, 3)),
    ]
    found = [content_hash(column) for column in of_ones]
    assert None not in found
    assert len(set(found)) == len(found)


def test_what_lies_beside_the_values_does_not():
    words = np.array(WORDS, dtype=object)
    table = np.array([WORDS, WORDS[::-1]], dtype=object)
    same = "".join(["U", "lm"])  # an equal string that is another object
    for column in (table[0], table.T[:, 0], np.array([*WORDS[:3], same, *WORDS[4:]], dtype=object)):
        assert content_hash(column) == content_hash(words)
    for make in (pa.array, lambda values: pa.array(values).dictionary_encode()):
        whole = make(WORDS)
        pieces = pa.chunked_array([make(["x", *WORDS[:3]]).slice(1), make([*WORDS[3:], "y"]).slice(0, 4)])
        assert content_hash(pieces) == content_hash(pa.chunked_array([whole]))
    frame = pd.DataFrame({"a": ["x", *WORDS, "y"]})
    part = frame.iloc[1:-1]["a"]
    assert content_hash(part) == content_hash(frame.iloc[np.arange(1, 8)]["a"]) == content_hash(pd.Series(WORDS))
    grid = np.arange(12).reshape(3, 4)
    assert content_hash(grid[:, 1]) == content_hash(grid[:, 1].copy()) == content_hash(np.asfortranarray(grid)[:, 1])


def test_missing_values_are_told_from_others():
    for make in (pa.array, pl.Series, pd.Series, lambda v: pd.Series(v, dtype="Int64"), lambda v: np.array(v, object)):
        columns = [make([1, None, 0]), make([1, 0, None]), make([1, 0, 0]), make([1, None, None])]
        assert len({content_hash(column) for column in columns}) == 4


class Label:
    """Equal to itself alone; all have one pickle."""


class Name(str):
    """Equal to any other string of its length."""

    __slots__ = ()

    def __eq__(self, other):
        return len(self) == len(other)

    __hash__ = None


def test_objects_that_a_pickle_does_not_tell_apart_have_no_hash():
    for value in (Label(), Name("a"), ("a", 1), ["a"], {"a"}, np.ma.masked, lambda: 0):
        column = np.empty(2, dtype=object)
        column[:] = ["a", value]
        assert content_hash(column) is None
        assert content_hash(pd.Series(column, dtype=object)) is None
    assert content_hash(pl.Series([Label()], dtype=pl.Object)) is None
    assert content_hash(pl.Series([["a"]])) is None


CELLS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(),
    st.binary(),
    st.decimals(allow_nan=False),
)


@given(st.lists(CELLS, max_size=4), st.lists(CELLS, max_size=4))
def test_equal_hashes_are_of_equal_cells(first, second):
    one, two = (np.array([*cells, None], dtype=object)[:-1] for cells in (first, second))
    same = [(type(v), repr(v)) for v in first] == [(type(v), repr(v)) for v in second]
    assert (content_hash(one) == content_hash(two)) == same


def test_another_process_finds_the_same():
    code = (
        "import numpy as np; from skembed.data.content import content_hash; "
        "print(content_hash(np.array(['Ulm', None, 2, 0.5], dtype=object)).hex())"
    )
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip()
    assert found == content_hash(np.array(["Ulm", None, 2, 0.5], dtype=object)).hex()
