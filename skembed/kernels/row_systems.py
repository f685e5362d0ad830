"""A small symmetric system for each row of a table: sums over the samples that touch the row, and its solution."""

import math

from skembed.kernels.compile import compiled

__all__ = ["add_outer_products", "add_squares", "add_vectors", "step_rows"]

_SUMS = {"reassoc", "nsz", "contract"}  # NaN and inf keep their meaning


@compiled(fastmath=_SUMS)
def add_vectors(total, ids, vectors, scale):
    """Add ``scale[i] * vectors[i, c]`` to row ``ids[i, c]``.

    Parameters
    ----------
    total : ndarray of shape (n_rows, dim), float32
        Changes in place.
    ids : ndarray of shape (n_samples, n_columns), int64
    vectors : ndarray of shape (n_samples, n_columns, dim), float32
    scale : ndarray of shape (n_samples,), float32
    """
    dim = total.shape[1]
    for i in range(ids.shape[0]):
        for c in range(ids.shape[1]):
            row = ids[i, c]
            for d in range(dim):
                total[row, d] += scale[i] * vectors[i, c, d]


@compiled(fastmath=_SUMS)
def add_outer_products(matrices, ids, vectors, scale):
    """Add ``scale[i] * outer(vectors[i, c], vectors[i, c])`` to matrix ``ids[i, c]``.

    Parameters
    ----------
    matrices : ndarray of shape (n_rows, dim, dim), float32
        Change in place. Both halves are written: whole rows fill a register, which is faster than half the work.
    ids, vectors, scale
        As in `add_vectors`.
    """
    dim = matrices.shape[1]
    for i in range(ids.shape[0]):
        for c in range(ids.shape[1]):
            row = ids[i, c]
            for d in range(dim):
                scaled = scale[i] * vectors[i, c, d]
                for e in range(dim):
                    matrices[row, d, e] += scaled * vectors[i, c, e]


@compiled(fastmath=_SUMS)
def add_squares(diagonals, ids, vectors, scale):
    """Add ``scale[i] * vectors[i, c] ** 2`` to row ``ids[i, c]``: the diagonals of what `add_outer_products` adds.

    Parameters
    ----------
    diagonals : ndarray of shape (n_rows, dim), float32
        Changes in place.
    ids, vectors, scale
        As in `add_vectors`.
    """
    dim = diagonals.shape[1]
    for i in range(ids.shape[0]):
        for c in range(ids.shape[1]):
            row = ids[i, c]
            for d in range(dim):
                diagonals[row, d] += scale[i] * vectors[i, c, d] * vectors[i, c, d]


@compiled(fastmath=_SUMS)
def step_rows(weight, start, matrices, force, penalty, damping):
    """Add ``damping * solve(matrix + penalty I, force - penalty (weight - start))`` to each row, by Cholesky's factors.

    Parameters
    ----------
    weight : ndarray of shape (n_rows, dim), float32
        Changes in place.
    start : ndarray of shape (n_rows, dim), float32
    matrices : ndarray of shape (n_rows, dim, dim), float32
        Positive semi-definite, read on and below the diagonal; holds the factors afterwards.
    force : ndarray of shape (n_rows, dim), float32
        Holds the solution afterwards.
    penalty : ndarray of shape (n_rows,), float32
        Positive.
    damping : float
    """
    dim = weight.shape[1]
    for row in range(weight.shape[0]):
        matrix, x = matrices[row], force[row]
        still = True
        for d in range(dim):
            x[d] -= penalty[row] * (weight[row, d] - start[row, d])
            still &= x[d] == 0.0
        if still:  # a row that no sample touched
            continue
        for d in range(dim):
            diagonal = matrix[d, d] + penalty[row]
            for e in range(d):
                diagonal -= matrix[d, e] * matrix[d, e]
            root = math.sqrt(diagonal)
            matrix[d, d] = root
            for lower in range(d + 1, dim):
                entry = matrix[lower, d]
                for e in range(d):
                    entry -= matrix[lower, e] * matrix[d, e]
                matrix[lower, d] = entry / root
            entry = x[d]
            for e in range(d):
                entry -= matrix[d, e] * x[e]
            x[d] = entry / root
        for d in range(dim - 1, -1, -1):
            entry = x[d]
            for lower in range(d + 1, dim):
                entry -= matrix[lower, d] * x[lower]
            x[d] = entry / matrix[d, d]
            weight[row, d] += damping * x[d]
