"""Whitening beside scikit-learn's shrinkage and an inverse of the covariance, written out; and states that are none."""

import re
from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse
from sklearn.covariance import ledoit_wolf as reference

from skembed.training import whitening
from skembed.training.whitening import (
    Centering,
    DualWhitening,
    Whitening,
    centered_products,
    column_means,
    columns_of_rows,
    learn_whitening,
    ledoit_wolf,
)

SHAPES = [(60, 4), (9, 8), (8, 8), (8, 9), (12, 70), (3, 4), (70, 90)]


def rows_of(shape, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=shape) @ rng.normal(size=(shape[1], shape[1])) + rng.normal(size=shape[1])


def squared_distances(rows):
    return ((rows[:, None].astype(float) - rows[None]) ** 2).sum(axis=2)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix, sparse.csc_matrix])
@pytest.mark.parametrize("at_once", [7, 1 << 20])
def test_distances_are_those_of_the_shrunk_covariance(shape, form, at_once, monkeypatch):
    monkeypatch.setattr(whitening, "VALUES_AT_ONCE", at_once)
    X = rows_of(shape)
    found = learn_whitening(form(X))
    found.check()
    covariance, shrinkage = reference(X)
    assert found.shrinkage == pytest.approx(shrinkage, rel=1e-9)
    mean = X.mean(axis=0)
    np.testing.assert_allclose(found.mean, mean, rtol=1e-10)
    if shrinkage > 0:
        assert found.floor == pytest.approx(shrinkage * np.trace(np.cov(X.T, bias=True)) / shape[1], rel=1e-9)
    new = rows_of((5, shape[1]), seed=1) if shape[1] < 80 else X[:5] * 2
    inverse = np.linalg.inv(covariance)
    expected = np.einsum("ij,jk,ik->i", new - mean, inverse, new - mean)
    if isinstance(found, Whitening):
        assert shape[0] > shape[1]
        white = found.apply(form(new))
        assert white.dtype == np.float32
        assert white.shape == (len(new), found.dim) == (len(new), shape[1])
        np.testing.assert_allclose((white.astype(float) ** 2).sum(axis=1), expected, rtol=1e-4)
        return
    assert shape[0] <= shape[1]
    centered = found.center(form(new))
    np.testing.assert_allclose(centered, new - mean)
    lengths, products = found.products(centered)
    np.testing.assert_allclose(lengths, expected, rtol=1e-6)
    np.testing.assert_allclose(products, (new - mean) @ inverse @ (X - mean).T, rtol=1e-5, atol=1e-8)
    own = (X - mean) @ inverse @ (X - mean).T
    np.testing.assert_allclose(found.squared_lengths, own.diagonal(), rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(found.own_products(slice(0, shape[0])), own, atol=1e-7 * own.diagonal().max())
    np.testing.assert_allclose(found.own_products(slice(1, 2)), own[1:2], atol=1e-7 * own.diagonal().max())
    points = found.coordinates()
    assert points.dtype == np.float32
    distances = own.diagonal()[:, None] + own.diagonal() - 2 * own
    np.testing.assert_allclose(squared_distances(points), distances, atol=1e-5 * distances.max())


def test_rows_whose_covariance_says_nothing_are_shrunk_wholly():
    """Distances are then Euclidean ones, in units of the mean variance."""
    X = np.eye(6)  # rows that are as far from each other
    found = learn_whitening(X)
    assert found.shrinkage == reference(X)[1] == 1.0
    centered = X - X.mean(axis=0)
    np.testing.assert_allclose(found.squared_lengths, (centered**2).sum(axis=1) / found.floor, rtol=1e-9)
    np.testing.assert_allclose(found.own_products(slice(0, 6)), centered @ centered.T / found.floor, atol=1e-9)
    np.testing.assert_allclose(found.own_products(slice(2, 5)), (centered @ centered.T)[2:5] / found.floor, atol=1e-9)
    assert found.floor == pytest.approx((centered**2).mean())


@pytest.mark.parametrize("shape", [(5, 2), (2, 5)])
def test_equal_rows_are_left_as_far_as_they_are(shape):
    found = learn_whitening(np.full(shape, 3.0))
    assert (found.shrinkage, found.floor) == (0.0, 1.0)
    if isinstance(found, Whitening):
        np.testing.assert_allclose(found.apply(np.array([[3.0, 4.0], [5.0, 3.0]])), [[0, 1], [2, 0]])
    else:
        assert (found.squared_lengths == 0).all()
        np.testing.assert_array_equal(found.coordinates(), np.zeros((2, 1)))
        lengths, _ = found.products(found.center(np.full((1, 5), 5.0)))
        np.testing.assert_allclose(lengths, 20)


def test_a_covariance_that_is_not_shrunk_has_a_floor_of_rounding():
    """Rows of two values each, over and over: their fourth moments say that S is exact."""
    X = np.array([[1.0, 1.0], [-1.0, -1.0]] * 50)
    found = learn_whitening(X)
    assert found.shrinkage == 0.0
    assert found.floor == pytest.approx(whitening.RANK_TOLERANCE * 1.0)


@pytest.mark.parametrize("n", [2, 7, 30])
def test_the_shrinkage_is_that_of_ledoit_and_wolf(n):
    X = rows_of((n, 6), seed=n)
    centered = X - X.mean(axis=0)
    squares, products = centered_products(X, X.mean(axis=0))
    np.testing.assert_allclose(squares, (centered**2).sum(axis=1))
    np.testing.assert_allclose(products, centered.T @ centered if n > 6 else centered @ centered.T, atol=1e-12)
    shrinkage, target = ledoit_wolf(squares, float((products**2).sum()) / n**2, 6)
    assert shrinkage == pytest.approx(reference(X)[1])
    assert target == pytest.approx(np.trace(np.cov(X.T, bias=True)) / 6)


@pytest.mark.parametrize("p", [1, 5])
def test_what_no_shrinkage_changes_is_not_shrunk_by_rounding(p):
    """A single column, and rows that are white: S is mu I but for rounding, which has either sign."""
    for seed in range(20):
        X = np.random.default_rng(seed).normal(size=(40, p))
        X = np.linalg.qr(X - X.mean(axis=0))[0] * 3 + 0.1
        assert learn_whitening(X).shrinkage == 0.0


@pytest.mark.parametrize("rank", [1, 3])
@pytest.mark.parametrize("repeated", [False, True])
def test_coordinates_of_dependent_rows_have_their_rank(rank, repeated):
    rng = np.random.default_rng(rank)
    rows = rng.normal(size=(9, rank))
    if repeated:
        rows[5:] = rows[:4]
    rows -= rows.mean(axis=0)
    found = whitening._coordinates(rows @ rows.T)
    assert found.shape == (9, rank)
    np.testing.assert_allclose(found @ found.T, rows @ rows.T, atol=1e-8)


def test_coordinates_of_rows_that_span_all_but_one_dimension_are_a_triangle():
    rows = np.random.default_rng(0).normal(size=(6, 20))
    rows -= rows.mean(axis=0)
    found = whitening._coordinates(rows @ rows.T)
    assert found.shape == (6, 5)
    np.testing.assert_array_equal(np.triu(found[:5], 1), 0)
    np.testing.assert_allclose(found @ found.T, rows @ rows.T, atol=1e-9)
    free = np.random.default_rng(0).normal(size=(6, 20))  # that do not add up to zero
    found = whitening._coordinates(free @ free.T)
    assert found.shape == (6, 6)
    np.testing.assert_allclose(found @ found.T, free @ free.T, atol=1e-9)


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix])
@pytest.mark.parametrize("at_once", [1, 1 << 20])
def test_directions_are_sums_of_centred_rows(form, at_once, monkeypatch):
    monkeypatch.setattr(whitening, "VALUES_AT_ONCE", at_once)
    X, factors = rows_of((7, 5)), np.random.default_rng(1).normal(size=(3, 2))
    mean, pivots = X.mean(axis=0), np.array([4, 0, 2])
    found = columns_of_rows(form(X), mean, pivots, factors)
    np.testing.assert_allclose(found, (X[pivots] - mean).T @ factors)


def test_means_are_in_float64_whatever_the_form():
    X = np.full((1000, 2), 0.1, dtype=np.float32)
    for form in (np.asarray, sparse.csr_matrix, sparse.csc_matrix):
        found = column_means(form(X))
        assert found.dtype == np.float64
        np.testing.assert_allclose(found, np.float64(np.float32(0.1)), rtol=1e-12)


def test_centering_keeps_the_digits_of_differences():
    X = 1e6 + np.arange(12.0).reshape(4, 3) / 1000
    found = Centering.of(X)
    found.check()
    assert found.dim == 3
    white = found.apply(sparse.csr_matrix(X))
    assert white.dtype == np.float32
    np.testing.assert_allclose(white, X - X.mean(axis=0), rtol=1e-4)


def test_whitening_of_files_from_before_there_was_a_dual_one_is_read():
    """Few rows: coordinates of what they span, and how far a row is beside that."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(4, 7))
    mean = X.mean(axis=0)
    directions = (X - mean)[:3]
    gram = directions @ directions.T
    to_span = np.linalg.inv(np.linalg.cholesky(gram))  # orthonormal coordinates of the span
    shrinkage, floor = 0.4, 0.7
    basis = to_span @ directions
    covariance = 0.6 * (X - mean).T @ (X - mean) / 4 + floor * np.eye(7)
    within = basis @ covariance @ basis.T
    to_white = np.linalg.inv(np.linalg.cholesky(within))
    old = Whitening(mean, directions, to_span, to_white, shrinkage, floor)
    old.check()
    assert old.dim == 4
    new = rng.normal(size=(5, 7))
    white = old.apply(new)
    inverse = np.linalg.inv(covariance)
    expected = np.einsum("ij,jk,ik->i", new - mean, inverse, new - mean)
    np.testing.assert_allclose((white.astype(float) ** 2).sum(axis=1), expected, rtol=1e-4)
    np.testing.assert_allclose(old.apply(mean[None] + directions[:1])[0, 3], 0, atol=1e-3)


MANY, FEW = learn_whitening(rows_of((20, 3))), learn_whitening(rows_of((4, 6)))


@pytest.mark.parametrize(
    ("part", "changes", "message"),
    [
        (MANY, {"mean": np.zeros(4)}, "Whitening: expected a mean and directions of one space, got (3, 3)"),
        (MANY, {"directions": np.zeros(3)}, "expected a mean and directions of one space, got (3,)"),
        (MANY, {"directions": np.zeros((0, 3))}, "expected a mean and directions of one space, got (0, 3)"),
        (MANY, {"to_span": np.eye(3)}, "Whitening: expected both maps of shape (3, 3), or none"),
        (MANY, {"to_span": np.eye(3), "to_white": np.eye(2)}, "expected both maps of shape (3, 3)"),
        (MANY, {"mean": np.zeros(3, np.float32)}, "Whitening: expected finite float64 numbers"),
        (MANY, {"directions": np.full((3, 3), np.nan)}, "Whitening: expected finite float64 numbers"),
        (MANY, {"to_span": np.eye(3), "to_white": np.full((3, 3), np.inf)}, "Whitening: expected finite"),
        *[
            (part, {name: value}, "expected a shrinkage from 0 to 1 and a variance above 0")
            for part in (MANY, FEW)
            for name, value in (("shrinkage", -0.1), ("shrinkage", 1.1), ("floor", 0.0), ("floor", np.inf))
        ],
        (FEW, {"mean": np.zeros(5)}, "DualWhitening: expected a mean and rows of one space, got (4, 6)"),
        (FEW, {"rows": np.zeros(6)}, "DualWhitening: expected a mean and rows of one space, got (6,)"),
        (FEW, {"rows": np.zeros((1, 6))}, "DualWhitening: expected a mean and rows of one space, got (1, 6)"),
        (FEW, {"rows": np.zeros((7, 6))}, "DualWhitening: expected a mean and rows of one space, got (7, 6)"),
        (FEW, {"inverse": np.eye(3)}, "DualWhitening: expected products and a length for each of 4 rows"),
        (FEW, {"squared_lengths": np.ones(3)}, "DualWhitening: expected products and a length for each of 4 rows"),
        (FEW, {"squared_lengths": np.full(4, np.inf)}, "DualWhitening: expected finite float64 numbers"),
        (FEW, {"inverse": np.eye(4, dtype=np.float32)}, "DualWhitening: expected finite float64 numbers"),
        (Centering(np.zeros(3)), {"mean": np.zeros((3, 1))}, "Centering: expected a finite float64 mean"),
        (Centering(np.zeros(3)), {"mean": np.zeros(3, np.float32)}, "Centering: expected a finite float64 mean"),
        (Centering(np.zeros(3)), {"mean": np.full(3, np.inf)}, "Centering: expected a finite float64 mean"),
    ],
)  # fmt: skip
def test_states_that_are_none_are_refused(part, changes, message):
    part.check()
    with pytest.raises(ValueError, match=re.escape(message)):
        replace(part, **changes).check()


@pytest.mark.parametrize(("shrinkage", "floor"), [(0.0, 1e-300), (1.0, 1e300)])
def test_bounds_themselves_are_within(shrinkage, floor):
    replace(MANY, shrinkage=shrinkage, floor=floor).check()
    replace(FEW, shrinkage=shrinkage, floor=floor).check()
    two = learn_whitening(rows_of((2, 2)))
    two.check()
    assert isinstance(two, DualWhitening)


def test_products_beyond_float64_are_an_error():
    with pytest.raises(ValueError, match=r"X holds numbers whose squares are beyond float64, .*; scale X first"):
        FEW.products(np.full((1, 6), 1e200))


@pytest.mark.parametrize(("shape", "n_bytes"), [((50, 7), 8 * 7 * (21 + 7)), ((7, 50), 8 * 7 * (21 + 50))])
def test_memory_is_asked_for_before_it_is_taken(shape, n_bytes, monkeypatch):
    asked = []
    monkeypatch.setattr(whitening, "check_memory", lambda *what: asked.append(what))
    learn_whitening(rows_of(shape))
    ((needed, what, advice),) = asked
    assert needed == n_bytes
    assert what == f"the covariance of {shape[0]} rows and {shape[1]} columns"
    assert "whiten=False" in advice
