"""Systems of table rows beside twins in plain numpy."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from skembed.kernels.row_systems import add_outer_products, add_squares, add_vectors, step_rows

shapes = {
    "seed": st.integers(0, 1000),
    "n_rows": st.integers(1, 12),
    "dim": st.integers(1, 9),
    "n_samples": st.integers(0, 30),
    "n_columns": st.integers(1, 3),
}


def draw(seed, n_rows, dim, n_samples, n_columns):
    generator = np.random.default_rng(seed)
    ids = generator.integers(n_rows, size=(n_samples, n_columns))
    vectors = generator.normal(size=(n_samples, n_columns, dim)).astype(np.float32)
    return generator, ids, vectors, generator.random(n_samples).astype(np.float32)


@settings(deadline=None)
@given(**shapes)
def test_sums_over_the_samples_of_each_row(**shape):
    generator, ids, vectors, scale = draw(**shape)
    n_rows, dim = shape["n_rows"], shape["dim"]
    total = generator.normal(size=(n_rows, dim)).astype(np.float32)
    matrices = generator.normal(size=(n_rows, dim, dim)).astype(np.float32)
    diagonals = np.diagonal(matrices, axis1=1, axis2=2).copy()
    expected_total, expected_matrices = total.astype(np.float64), matrices.astype(np.float64)
    np.add.at(expected_total, ids, scale[:, None, None] * vectors)
    np.add.at(expected_matrices, ids, np.einsum("n,ncd,nce->ncde", scale, vectors, vectors))

    add_vectors(total, ids, vectors, scale)
    add_outer_products(matrices, ids, vectors, scale)
    add_squares(diagonals, ids, vectors, scale)
    np.testing.assert_allclose(total, expected_total, atol=1e-5, rtol=1e-4)
    np.testing.assert_allclose(matrices, expected_matrices, atol=1e-5, rtol=1e-4)
    np.testing.assert_allclose(diagonals, np.diagonal(expected_matrices, axis1=1, axis2=2), atol=1e-5, rtol=1e-4)


@settings(deadline=None)
@given(**shapes, damping=st.sampled_from([0.5, 1.0]))
def test_steps_solve_the_system_of_each_row(damping, **shape):
    generator, ids, vectors, scale = draw(**shape)
    n_rows, dim = shape["n_rows"], shape["dim"]
    start = generator.normal(size=(n_rows, dim)).astype(np.float32)
    weight = start.copy()
    moved = generator.random(n_rows) < 0.5
    weight[moved] += generator.normal(size=(moved.sum(), dim)).astype(np.float32)
    penalty = generator.uniform(0.5, 20, size=n_rows).astype(np.float32)
    force, matrices = np.zeros((n_rows, dim), np.float32), np.zeros((n_rows, dim, dim), np.float32)
    add_vectors(force, ids, vectors, scale)
    add_outer_products(matrices, ids, vectors, scale)
    system = matrices.astype(np.float64) + penalty[:, None, None] * np.eye(dim)
    right = force - penalty[:, None] * (weight - start)
    expected = weight + damping * np.linalg.solve(system, right[:, :, None])[:, :, 0]

    before = weight.copy()
    step_rows(weight, start, matrices, force, penalty, damping)
    np.testing.assert_allclose(weight, expected, atol=1e-5, rtol=1e-4)
    untouched = np.setdiff1d(np.flatnonzero(~moved), ids)
    assert weight[untouched].tobytes() == before[untouched].tobytes()


def test_numbers_that_are_not_finite_stay_in_their_rows():
    weight, start = np.zeros((2, 3), np.float32), np.zeros((2, 3), np.float32)
    matrices, force = np.zeros((2, 3, 3), np.float32), np.ones((2, 3), np.float32)
    force[0, 1] = np.nan
    step_rows(weight, start, matrices, force, np.full(2, 2, np.float32), 1.0)
    assert np.isnan(weight[0]).any()
    np.testing.assert_allclose(weight[1], 0.5)
