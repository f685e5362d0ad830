"""Columns of every container: the same keys and codes, whatever holds the values."""

import collections
import datetime as dt
import decimal
import os
import re
import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st

from skembed.data.canonical import canonical_key
from skembed.data.columns import factorize, read_columns, to_float
from skembed.data.content import content_hash
from skembed.data.roles import is_number_column

pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")
pa = pytest.importorskip("pyarrow")

# name -> a frame of the columns given as a dict of lists; lists and arrays have no names
FRAMES = {
    "pandas": pd.DataFrame,
    "pandas object": lambda columns: pd.DataFrame(columns, dtype=object),
    "pandas duplicate index": lambda columns: pd.DataFrame(columns).set_axis([7] * len(next(iter(columns.values())))),
    "polars": lambda columns: pl.DataFrame(columns, strict=False),
    "pyarrow": pa.table,
    "pyarrow batch": pa.RecordBatch.from_pydict,
    "array": lambda columns: np.array(list(zip(*columns.values())), dtype=object),
    "Fortran array": lambda columns: np.asfortranarray(np.array(list(zip(*columns.values())), dtype=object)),
    "list": lambda columns: [list(row) for row in zip(*columns.values())],
}
UNNAMED = {"array", "Fortran array", "list"}


@pytest.fixture(params=FRAMES)
def frame(request):
    return request.param


def slow_factorize(values):
    """The twin: one dict, one loop, one value at a time."""
    code_of, codes = {}, []
    for value in values:
        key = canonical_key(value)
        codes.append(-1 if key is None else code_of.setdefault(key, len(code_of)))
    return codes, list(code_of)


def assert_same(factor, expected):
    codes, keys = expected
    assert factor.codes.dtype == np.int64
    assert factor.codes.tolist() == codes
    assert factor.keys == keys
    assert list(map(hash, factor.keys)) == list(map(hash, keys))


# ------------------------------------------------------------------------------------------- reading frames


def test_columns_of_each_frame(frame):
    columns = read_columns(FRAMES[frame]({"city": ["Oslo", None, "Rome"], "size": [3, 1, 3]}))
    assert columns.names == (None if frame in UNNAMED else ["city", "size"])
    assert columns.n_rows == 3
    assert columns.label(1) == ("x1" if frame in UNNAMED else "size")
    assert_same(factorize(columns.values[0]), ([0, -1, 1], ["Oslo", "Rome"]))
    assert_same(factorize(columns.values[1]), ([0, 1, 0], [3, 1]))
    assert to_float(columns.values[1]).tolist() == [3.0, 1.0, 3.0]


def test_a_list_of_rows_keeps_its_objects():
    for row in (["a", 1, None], ["a", 1, True], [2**60 + 1, 0.5, -1]):
        kept = [column.tolist()[0] for column in read_columns([row]).values]
        assert kept == row
        assert list(map(type, kept)) == list(map(type, row))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([["a", "b"], ["c", "d"]]), [[None, "c"], ["b", "d"]]),
        (np.array([[1, 2], [3, 4]]), [[None, 3], [2, 4]]), (np.array([[1.0, 2.0], [3.5, 4.0]]), [[None, 3.5], [2, 4]]),
        (np.array([[1, 2], [3, 4]], dtype="m8[D]"), [[None, dt.timedelta(3)], [dt.timedelta(2), dt.timedelta(4)]]),
    ],
)  # fmt: skip
def test_what_is_masked_is_missing(values, expected):
    masked = np.ma.array(values, mask=[[True, False], [False, False]])
    found = [factorize(column) for column in read_columns(masked).values]
    assert [[None if c < 0 else f.keys[c] for c in f.codes] for f in found] == expected
    plain = read_columns(np.ma.array(values)).values
    assert [factorize(column).keys for column in plain] == [factorize(column).keys for column in values.T]


def test_names_that_are_not_all_strings_are_no_names():
    assert read_columns(pd.DataFrame([[1, 2]])).names is None
    assert read_columns(pd.DataFrame([[1, 2]], columns=["a", 0])).names is None


class NotAnArray:
    def __init__(self, values):
        self.values = values

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.values, dtype=dtype)


@pytest.mark.parametrize(
    "make",
    [
        NotAnArray,
        lambda X: X.astype(">i8"),
        lambda X: np.asfortranarray(X),
        lambda X: X[::-1, ::-1][::-1, ::-1],
        lambda X: np.repeat(X, 2, axis=1)[:, ::2],
        lambda X: X.astype(np.float32),
        lambda X: X.astype(np.uint64),
        lambda X: X.astype(object),
    ],
)
def test_layout_of_arrays_changes_nothing(make):
    X = np.array([[5, 1], [2, 1], [5, 3]])
    X.flags.writeable = False
    factors = [factorize(column) for column in read_columns(make(X)).values]
    assert_same(factors[0], ([0, 1, 0], [5, 2]))
    assert_same(factors[1], ([0, 0, 1], [1, 3]))


def test_memory_map(tmp_path):
    np.save(tmp_path / "X.npy", np.array([["b", "a"], ["b", "c"]]))
    columns = read_columns(np.load(tmp_path / "X.npy", mmap_mode="r"))
    assert_same(factorize(columns.values[1]), ([0, 1], ["a", "c"]))


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        (np.ones(3), ValueError, "Expected 2D array, got 1D array.*Reshape your data"),
        (["a", "b"], ValueError, "Expected 2D array"),
        (pl.Series(["a"]), ValueError, "Expected 2D array"),
        (pd.Series(["a"]), ValueError, "2-dimensional"),
        ("abc", ValueError, "Expected 2D array"),
        (np.ones((2, 2, 2)), ValueError, "dim 3"),
        (np.ones((2, 2)) * 1j, ValueError, "Complex data not supported"),
        (pd.DataFrame({"a": [1j]}), ValueError, "Complex data not supported: column 'a'"),
        (scipy.sparse.eye(2, format="csr"), TypeError, "toarray"),
        (scipy.sparse.eye(2, format="dok"), TypeError, "toarray"),
        (np.zeros((2, 1), dtype="i4,i4"), ValueError, "records.*DataFrame"),
        (np.zeros(2, dtype=[("a", "i4"), ("b", "f4")]), ValueError, "^X is an array of records .*one column for each"),
        (pd.DataFrame({"a": [1]}).to_records(index=False), ValueError, "^X is an array of records .*DataFrame"),
        ({"a": ["x", "y"]}, TypeError, r"^X is a dict of 1 keys, expected a table; .* pandas.DataFrame\(X\)\.$"),
        (np.ones((0, 3)), ValueError, r"0 sample\(s\) \(shape=\(0, 3\)\) while a minimum of 1 is required by Stub"),
        (pl.DataFrame({"a": []}), ValueError, r"0 sample\(s\) \(shape=\(0, 1\)\) while a minimum of 1 is required"),
        (np.ones((12, 0)), ValueError, r"0 feature\(s\) \(shape=\(12, 0\)\) while a minimum of 1 is required"),
        (pd.DataFrame(index=range(12)), ValueError, r"0 feature\(s\) \(shape=\(12, 0\)\) while a minimum of 1 is"),
        (pl.LazyFrame({"a": [1]}), TypeError, "collect"),
        (pd.DataFrame([[1, 2, 3]], columns=["a", "b", "a"]), ValueError, "more than one column named 'a'"),
        (pa.table([[1], [2]], names=["a", "a"]), ValueError, "more than one column named 'a'"),
    ],
)
def test_what_is_no_table_is_refused(X, error, message):
    with pytest.raises(error, match=f"(?s){message}"):
        read_columns(X, estimator="Stub")


# ----------------------------------------------------------------------------------- factorizing: containers

any_list = [
    list,
    lambda values: np.array([*values, None], dtype=object)[:-1],
    lambda values: pd.Series(values, dtype=object),
    lambda values: pd.Series(values, dtype="category"),
]
# kind -> (a strategy of values, containers that can hold them)
KINDS = {
    "text": (
        st.text(max_size=3).filter(lambda text: "\0" not in text),  # older pandas categories end at NUL
        [
            *any_list,
            lambda values: pd.Series(values, dtype="string[pyarrow]"),
            lambda values: pd.Series(values, dtype="string[python]"),
            lambda values: pd.Series(values, dtype=pd.ArrowDtype(pa.large_string())),
            lambda values: pl.Series(values, dtype=pl.String),
            lambda values: pl.Series(values, dtype=pl.Categorical),
            lambda values: pl.Series(values, dtype=pl.Enum(sorted({"", *values} - {None}))),
            lambda values: pa.array(values, type=pa.string()),
            lambda values: pa.array(values, type=pa.string()).dictionary_encode(),
            lambda values: pa.chunked_array([values[:2], values[2:]], type=pa.string()),
        ],
    ),
    "integers": (
        st.one_of(st.integers(-3, 3), st.integers(-(2**63), 2**63 - 1)),
        [
            *any_list[:-1],
            lambda values: pd.Series(values, dtype="Int64"),
            lambda values: pd.Series(values, dtype=pd.ArrowDtype(pa.int64())),
            lambda values: pl.Series(values, dtype=pl.Int64),
            lambda values: pa.array(values, type=pa.int64()),
        ],
    ),
    "floats": (
        st.one_of(st.floats(), st.sampled_from([0.0, -0.0, 1.0, 0.5, 2.0**53, -(2.0**60)])),
        [
            *any_list[:-1],
            lambda values: np.array(values, dtype=np.float64),
            lambda values: np.array(values, dtype=">f8"),
            lambda values: np.array(values, dtype=np.longdouble),
            lambda values: pd.Series(values, dtype=np.float64),
            lambda values: pd.Series(values, dtype="Float64"),
            lambda values: pl.Series(values, dtype=pl.Float64),
            lambda values: pa.array(values, type=pa.float64()),
        ],
    ),
    "booleans": (
        st.booleans(),
        [
            *any_list,
            lambda values: pd.Series(values, dtype="boolean"),
            lambda values: pl.Series(values, dtype=pl.Boolean),
            lambda values: pa.array(values, type=pa.bool_()),
        ],
    ),
    "times": (
        st.one_of(
            st.sampled_from([dt.datetime(2020, 1, 1), dt.datetime(2020, 1, 1, 0, 0, 0, 1)]),
            st.datetimes(dt.datetime(1700, 1, 1), dt.datetime(2200, 1, 1)),
        ),
        [
            *any_list[:-1],
            lambda values: np.array(values, dtype="M8[us]"),
            lambda values: np.array(values, dtype=">M8[ns]"),
            lambda values: pd.Series(np.array(values, dtype="M8[ns]")),
            lambda values: pl.Series(values, dtype=pl.Datetime("ns")),
            lambda values: pa.array(values, type=pa.timestamp("us")),
            lambda values: pd.Series([pd.Timestamp(value) for value in values], dtype=object),
        ],
    ),
    "dates": (
        st.dates(),
        [
            *any_list[:-1],
            lambda values: np.array(values, dtype="M8[D]"),
            lambda values: pl.Series(values, dtype=pl.Date),
            lambda values: pa.array(values, type=pa.date32()),
        ],
    ),
    "durations": (
        st.timedeltas(dt.timedelta(-1000), dt.timedelta(1000)),
        [
            *any_list[:-1],
            lambda values: np.array(values, dtype="m8[us]"),
            lambda values: pd.Series(np.array(values, dtype="m8[ns]")),
            lambda values: pl.Series(values, dtype=pl.Duration("us")),
            lambda values: pa.array(values, type=pa.duration("us")),
        ],
    ),
}


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_every_container_gives_what_a_dict_gives(kind, data):
    values, containers = KINDS[kind]
    column = data.draw(st.lists(st.one_of(st.none(), values), max_size=20))
    expected = slow_factorize(column)
    for container in containers:
        assert_same(factorize(container(column)), expected)


@given(st.lists(st.one_of(st.text(), st.integers(), st.floats(), st.booleans(), st.none(), st.dates(), st.binary())))
def test_mixed_objects_give_what_a_dict_gives(column):
    array = np.empty(len(column), dtype=object)
    array[:] = column
    for values in (column, array, pd.Series(array)):
        assert_same(factorize(values), slow_factorize(column))


@pytest.mark.parametrize("with_pandas", [True, False])
@pytest.mark.parametrize("spread", [10, 10**12])
@pytest.mark.parametrize("dtype", ["i1", "u2", "i4", ">i4", "i8", "u8", "f2", "f4", "f8"])
def test_numbers_of_every_width(dtype, spread, with_pandas, monkeypatch):
    if not with_pandas:
        monkeypatch.delitem(sys.modules, "pandas")
    values = np.random.default_rng(0).integers(0, spread, 500)
    values = np.clip(values, 0, 60_000).astype(dtype) if dtype in {"i1", "u2", "f2"} else values.astype(dtype)
    assert_same(factorize(values), slow_factorize(values.tolist()))
    assert_same(factorize(values[::-2]), slow_factorize(values[::-2].tolist()))


def test_unsigned_integers_beyond_the_signed_ones():
    near = np.array([2**64 - 1, 2**64 - 3, 2**64 - 1], dtype=np.uint64)
    assert_same(factorize(near), ([0, 1, 0], [2**64 - 1, 2**64 - 3]))
    far = np.array([2**64 - 1, 0, 2**63], dtype=np.uint64)
    assert_same(factorize(far), ([0, 1, 2], [2**64 - 1, 0, 2**63]))


def test_full_range_of_integers_does_not_overflow():
    assert factorize(np.array([-(2**63), 2**63 - 1])).keys == [-(2**63), 2**63 - 1]
    assert factorize(np.array([-100, 100], dtype=np.int8)).keys == [-100, 100]


def test_categories_that_do_not_occur_or_their_order_change_nothing():
    column = ["b", "a", None, "b"]
    expected = slow_factorize(column)
    for categories in (["a", "b"], ["z", "b", "a"]):
        for ordered in (False, True):
            dtype = pd.CategoricalDtype(categories, ordered=ordered)
            assert_same(factorize(pd.Series(column, dtype=dtype)), expected)
        assert_same(factorize(pl.Series(column, dtype=pl.Enum(categories))), expected)
    assert factorize(pd.Series([2.0, 1.5], dtype="category")).keys == [2, 1.5]
    assert factorize(pd.cut(pd.Series([1, 9]), [0, 5, 10])).keys == [pd.Interval(0, 5), pd.Interval(5, 10)]


@pytest.mark.parametrize(
    ("column", "keys"),
    [
        (pd.Series([0, 3], dtype="Sparse[int]"), [0, 3]),
        (pd.Series(pd.period_range("2020", periods=2, freq="D")), list(pd.period_range("2020", periods=2, freq="D"))),
        (pl.Series([decimal.Decimal("1.5")]), [decimal.Decimal("1.5")]),
        (pl.Series([dt.time(1)]), [dt.time(1)]),
        (pl.Series([b"a", None]), [b"a"]),
        (pl.Series([None, None]), []),
        (pa.array([None, None]), []),
        (pa.array([dt.date(2020, 1, 2), None], type=pa.date32()), [dt.datetime(2020, 1, 2)]),
        (pa.array([dt.date(2020, 1, 2), None], type=pa.date64()), [dt.datetime(2020, 1, 2)]),
        (np.array([b"a", b"b"]), [b"a", b"b"]),
        (np.array(["a", "b"]), ["a", "b"]),
        (pa.DictionaryArray.from_arrays([2, 0, 2], ["b", "unused", "a"]), ["a", "b"]),
        (pa.chunked_array([], type=pa.string()), []),
        (pa.chunked_array([pa.array(["a"]).dictionary_encode(), pa.array(["b"]).dictionary_encode()]), ["a", "b"]),
    ],
)
def test_rarer_types(column, keys):
    assert factorize(column).keys == keys


@pytest.mark.parametrize("kind", ["Int128", "UInt128", "Float16"])
def test_numbers_of_polars_that_numpy_has_none_for(kind):
    dtype = getattr(pl, kind, None)
    if dtype is None:
        pytest.skip(f"this version of polars has no {kind}")
    column = pl.Series([3, None, 1, 3]).cast(dtype)
    assert_same(factorize(column), slow_factorize([3, None, 1, 3]))
    np.testing.assert_array_equal(to_float(column), [3, np.nan, 1, 3])
    assert is_number_column(column)
    assert content_hash(column) == content_hash(pl.Series([3, None, 1, 3]).cast(dtype)) is not None


@pytest.mark.parametrize(
    "empty", [[], np.array([]), np.array([], "M8[ns]"), pd.Series([], dtype="category"), pl.Series([], dtype=pl.String)]
)
def test_no_rows(empty):
    assert_same(factorize(empty), ([], []))


@pytest.mark.parametrize(
    "column",
    [
        pd.Series([None, ["x"]], name="tags"),
        pd.Series([None, ["x"]], name="tags", dtype=pd.ArrowDtype(pa.list_(pa.string()))),
        pl.Series("tags", [None, ["x"]]),
        np.array([None, {"x"}], dtype=object),
    ],
)
def test_cells_that_cannot_be_hashed_are_named(column):
    with pytest.raises(TypeError, match=r"Row 1 of column 'tags' holds .*'x'.* of type (list|set|ndarray).*tuples"):
        factorize(column, None if hasattr(column, "name") else "tags")


def test_arguments_are_left_as_they_are():
    for column in (np.array([3.0, np.nan, 1.0]), np.array(["b", None], dtype=object)):
        before = column.copy()
        column.flags.writeable = False
        factorize(column)
        assert collections.Counter(map(str, before)) == collections.Counter(map(str, column))


# --------------------------------------------------------------------------------------------------- numbers


def test_numbers_of_each_frame(frame):
    columns = read_columns(FRAMES[frame]({"a": [1, None, 3], "b": [0.5, None, 1e300], "c": [True, False, None]}))
    expected = [[1, np.nan, 3], [0.5, np.nan, 1e300], [1, 0, np.nan]]
    for column, numbers in zip(columns.values, expected):
        floats = to_float(column)
        assert floats.dtype == np.float64
        assert floats.flags.writeable
        np.testing.assert_array_equal(floats, numbers)


@pytest.mark.parametrize(
    "column",
    [
        pd.Series([1, None], dtype="Int64"),
        pd.Series([1, None], dtype="category"),
        pd.Series([1, None], dtype=pd.ArrowDtype(pa.int8())),
        pl.Series([1, None], dtype=pl.UInt8),
        [decimal.Decimal(1), decimal.Decimal("nan")],
        pl.Series([decimal.Decimal(1), None]),
        pa.array([1.0, None]),
        np.array([1, np.nan], dtype=">f4"),
    ],
)
def test_numbers_of_every_type(column):
    np.testing.assert_array_equal(to_float(column), [1, np.nan])


def test_numbers_are_a_copy():
    column = np.array([1.0, 2.0])
    to_float(column)[0] = 9
    to_float(pd.Series(column, copy=False))[0] = 9
    assert column.tolist() == [1, 2]


@pytest.mark.parametrize(
    "value", ["1.5", dt.datetime(2020, 1, 1), 10**400, b"1", dt.timedelta(1), np.timedelta64(7, "ns")]
)
def test_what_is_no_number_is_named(value):
    with pytest.raises(ValueError, match=r"Row 1 of column 'size' holds .* categorical"):
        to_float([1, value], "size")


# -------------------------------------------------------------------------------------------------- whatever


def test_works_without_pandas_polars_and_pyarrow():
    code = (
        "import sys\n"
        "class Absent:\n"
        "    def find_spec(name, path=None, target=None):\n"
        "        if name in ('pandas', 'polars', 'pyarrow'): raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Absent)\n"
        "from skembed.data.columns import factorize, read_columns, to_float; import numpy as np;"
        "c = read_columns([['a', 1.5], [None, 2]]).values;"
        "print(factorize(c[0]).keys, to_float(c[1]), factorize(np.array([0.5, 9e9])).keys)"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "['a'] [1.5 2. ] [0.5, 9000000000]"


def test_hash_seed_changes_nothing():
    code = (
        "from skembed.data.columns import factorize\n"
        "f = factorize([x for i in range(99) for x in (f'k{i * i % 31}', i)]);"
        "print(f.codes.tolist(), f.keys)"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    ]
    assert runs[0] == runs[1] != ""


def test_an_error_of_comparing_is_not_taken_for_one_of_hashing():
    class Odd:
        def __hash__(self):
            return 1

        def __eq__(self, other):
            raise TypeError("not comparable")

    with pytest.raises(TypeError, match=r"^not comparable$"):
        factorize([Odd(), Odd()], "x")
    for name, label in (("x", "column 'x'"), (None, "the column")):
        with pytest.raises(TypeError, match=re.escape(
            f"Row 1 of {label} holds ['b'] of type list, expected a value that can be hashed, such as a string, a "
            "number or a date. Turn the cells into strings or tuples, or leave the column out."
        )):  # fmt: skip
            factorize(["a", ["b"]], name)
        with pytest.raises(ValueError, match=re.escape(
            f"Row 1 of {label} holds 'b' of type str, expected a finite number or a missing value. Declare the column "
            "categorical, turn it into numbers, or leave it out."
        )):  # fmt: skip
            to_float([1, "b"], name)
