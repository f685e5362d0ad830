"""Matrices: an array that needs nothing done is taken as it is, and what is asked of the others is asked of it."""

import re
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from skembed import NeighborAnomalyDetector
from skembed.data.matrix import check_finite, read_finite_matrix, read_matrix

X = np.random.default_rng(0).normal(size=(6, 3))


def read(estimator, given, **checks):
    return read_matrix(estimator, given, **({"reset": True, "ensure_all_finite": False} | checks))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_an_array_of_floats_is_not_copied(dtype):
    given = X.astype(dtype)
    estimator = NeighborAnomalyDetector()
    assert read(estimator, given) is given
    assert estimator.n_features_in_ == 3
    assert read_finite_matrix(estimator, given, reset=False) is given


@pytest.mark.parametrize(
    "given",
    [
        X.astype(int), X.astype(np.float16), X.astype(">f8"), np.asfortranarray(X), X[:, ::-1], X.astype(object),
        X.tolist(), pd.DataFrame(X),
    ],
)  # fmt: skip
def test_others_become_one(given):
    found = read(NeighborAnomalyDetector(), given)
    assert type(found) is np.ndarray
    assert found.dtype in (np.float32, np.float64)
    assert found.flags.c_contiguous
    np.testing.assert_array_equal(found, np.asarray(given).astype(float))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (X[:0], r"0 sample\(s\)"), (X[:, :0], r"0 feature\(s\)"), (X[0], "Expected 2D array"),
        (X[None], "dim 3"), (X[:1], "minimum of 2 is required"), (X + 1j, "Complex data"),
    ],
)  # fmt: skip
def test_what_is_no_matrix_is_refused(given, message):
    with pytest.raises(ValueError, match=message):
        read(NeighborAnomalyDetector(), given, ensure_min_samples=2)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.uint32])
def test_entries_that_repeat_are_added_up_beyond_their_type(dtype):
    most = np.iinfo(dtype).max
    given = sparse.coo_matrix((np.full(3, most, dtype), ([0, 0, 1], [1, 1, 2])), shape=(2, 3))
    found = read(NeighborAnomalyDetector(), given)
    assert found.toarray().tolist() == [[0, 2 * float(most), 0], [0, 0, most]]
    assert given.dtype == dtype


def test_other_columns_than_those_of_fit_are_refused_or_told():
    estimator = NeighborAnomalyDetector()
    read(estimator, X)
    with pytest.raises(ValueError, match="X has 2 features, but NeighborAnomalyDetector is expecting 3"):
        read(estimator, X[:, :2].copy(), reset=False)
    read(estimator, pd.DataFrame(X, columns=list("abc")))
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        read(estimator, X, reset=False)
    read(estimator, X)
    assert not hasattr(estimator, "feature_names_in_")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read(estimator, X, reset=False)


def test_what_is_not_finite_is_refused_unless_it_may_be_there():
    given = X.copy()
    given[4, 1] = np.nan
    assert read(NeighborAnomalyDetector(), given) is given
    with pytest.raises(ValueError, match="NaN"):
        read(NeighborAnomalyDetector(), given, ensure_all_finite=True)
    with pytest.raises(ValueError, match="NaN in row 4 of column 1"):
        read_finite_matrix(NeighborAnomalyDetector(), given, reset=True)


@pytest.mark.parametrize("make", [np.array, sparse.csr_matrix, sparse.csc_matrix, np.asfortranarray])
@pytest.mark.parametrize(("value", "word"), [(np.nan, "NaN"), (np.inf, "infinity"), (-np.inf, "infinity")])
def test_the_first_value_that_is_not_finite_is_named(make, value, word):
    rows = np.arange(1.0, 13.0).reshape(4, 3)
    check_finite(make(rows), "X", None, "Stub")
    rows[2, 1] = value
    for names, label in ((None, "column 1"), (["a", "b", "c"], "column 'b'"), (["a"], "column 1")):
        message = (
            f"Input y contains {word} in row 2 of {label}; Stub expects finite numbers. Fill them in before, for "
            "instance by SimpleImputer, or leave these rows out."
        )
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            check_finite(make(rows), "y", names, "Stub")


def test_of_several_the_first_row_counts_and_large_numbers_are_finite():
    with pytest.raises(ValueError, match="NaN in row 0 of column 2"):
        check_finite(np.array([[1, 2, np.nan], [np.inf, 1, 1]]), "X", None, "Stub")
    check_finite(np.full((3, 2), 1.7e308), "X", None, "Stub")  # whose sum is infinite
    check_finite(np.float32([[3e38, 3e38]]), "X", None, "Stub")
    check_finite(np.empty((0, 2)), "X", None, "Stub")


@pytest.mark.parametrize("make", [list, np.array, pd.DataFrame, lambda rows: pd.DataFrame(rows, columns=["a", "b"])])
def test_text_is_told_of_with_the_way_out(make):
    with pytest.raises(ValueError, match=re.escape("X holds text ('x' in row 1 of column ")) as caught:
        read(NeighborAnomalyDetector(), make([["3", 1.0], ["x", 2.0]]))
    assert str(caught.value).endswith(
        "), expected numbers; encode the column before, for instance by EntityEmbeddingEncoder."
    )
    with pytest.raises(ValueError, match=r"\), as baskets; encode the column before"):
        read(NeighborAnomalyDetector(), make([["x", 1.0]]), for_text="as baskets; ")


@pytest.mark.parametrize("dtype", [float, np.float32, int])
def test_what_is_masked_is_missing(dtype):
    given = np.ma.array(np.arange(18).reshape(6, 3).astype(dtype), mask=np.zeros((6, 3), dtype=bool))
    np.testing.assert_array_equal(read_finite_matrix(NeighborAnomalyDetector(), given, reset=True), given.data)
    given[4, 1] = np.ma.masked
    with pytest.raises(ValueError, match="NaN in row 4 of column 1"):
        read_finite_matrix(NeighborAnomalyDetector(), given, reset=True)
    assert given.data[4, 1] == 13


def test_sparse_frames_are_filled_with_zeros():
    found = read(NeighborAnomalyDetector(), pd.DataFrame(X).astype(pd.SparseDtype(float, 0.0)))
    np.testing.assert_array_equal(found.toarray(), X)
    for fill in (np.nan, pd.NA, 1.0):
        with pytest.raises(
            ValueError, match=r"^X is a frame of sparse columns .*; pass X\.sparse\.to_dense\(\), or columns"
        ):
            read(NeighborAnomalyDetector(), pd.DataFrame(X).astype(pd.SparseDtype(float, fill)))


DAYS = pd.Series(pd.to_datetime(["2020-01-01", None]))


@pytest.mark.parametrize(
    ("given", "where"),
    [
        (pd.DataFrame({"a": [1.0, 2.0], "b": DAYS}), "column 'b' of X"),
        (pd.DataFrame({"a": DAYS.dt.tz_localize("UTC")}), "column 'a' of X"),
        (pd.DataFrame({"a": DAYS - DAYS[0]}), "column 'a' of X"),
        (pd.DataFrame({5: DAYS}), "column 0 of X"), (DAYS.to_numpy()[:, None], "X"),
    ],
)  # fmt: skip
def test_times_have_no_one_reading_as_numbers(given, where):
    with pytest.raises(ValueError, match=f"^{where} holds dates, times or durations .* expected numbers"):
        read(NeighborAnomalyDetector(), given)


@pytest.mark.parametrize(
    ("value", "type_name", "way_out"),
    [
        (DAYS[0], "Timestamp", "Turn it into a number"), ({"a": 1}, "dict", "Turn it into a number"),
        ([1.0], "list", "Turn it into a number"), (pd.NA, "NAType", "Fill in missing values before"),
    ],
)  # fmt: skip
def test_what_is_no_number_is_named(value, type_name, way_out):
    frame = pd.DataFrame({"a": ["3", "4"], "b": pd.Series([None, value], dtype=object)})
    message = f"X holds {value!r} of type {type_name} in row 1 of column 'b', expected a number ("
    with pytest.raises(TypeError, match=re.escape(message)) as caught:
        read(NeighborAnomalyDetector(), frame)
    assert f"). {way_out}" in str(caught.value)


def test_a_missing_value_of_pandas_among_objects_is_named():
    array = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, None]}, dtype="Float64").to_numpy(dtype=object)
    message = "X holds <NA> of type NAType in row 1 of column 1, expected a number"
    with pytest.raises(TypeError, match=message):
        read(NeighborAnomalyDetector(), array)


@pytest.mark.parametrize(
    ("change", "same"),
    [
        (lambda X: X, True), (lambda X: X.astype(np.float32), True), (np.asfortranarray, False),
        (lambda X: X.astype(np.float16), False), (lambda X: X.astype(">f8"), False),
        (lambda X: X.view(np.matrix), None),
    ],
)  # fmt: skip
def test_arrays_that_are_read_already_stay_the_same_object(change, same):
    given = change(np.arange(12.0).reshape(4, 3))
    if same is None:
        with pytest.raises(TypeError, match=r"np\.matrix is not supported"):
            read(NeighborAnomalyDetector(), given)
        return
    found = read(NeighborAnomalyDetector(), given)
    assert (found is given) == same
    assert found.flags.c_contiguous
    assert found.dtype == (np.float32 if given.dtype in (np.float32, np.float16) else np.float64) or not same
    np.testing.assert_array_equal(found, given)
