"""Matrices: an array that needs nothing done is taken as it is, and what is asked of the others is asked of it."""

import warnings

import numpy as np
import pandas as pd
import pytest

from skembed import NeighborAnomalyDetector
from skembed.data.matrix import read_finite_matrix, read_matrix

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
