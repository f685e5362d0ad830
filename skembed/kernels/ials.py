"""Implicit alternating least squares: the vector of each row given those of its columns, by conjugate gradients.

Hu, Koren & Volinsky 2008; conjugate gradients in place of a factorization: Takács, Pilászy & Tikk 2011, section 3.1.
"""

import numpy as np

from skembed.kernels.compile import compiled
from skembed.kernels.simd import SIMD_WIDTH, broadcast, horizontal_sum, load, multiply_add, pointer, store

__all__ = ["solve_least_squares"]


@compiled()
def _dot(a, at, b, other, width):
    total = broadcast(np.float32(0.0))
    for d in range(0, width, SIMD_WIDTH):
        total = multiply_add(load(a, at + d), load(b, other + d), total)
    return horizontal_sum(total)


@compiled()
def _add_scaled(scale, a, at, target, place, width):
    factor = broadcast(scale)
    for d in range(0, width, SIMD_WIDTH):
        store(target, place + d, multiply_add(factor, load(a, at + d), load(target, place + d)))


@compiled()
def _product(columns, values, first, last, vectors, gram, penalty, x, out, width):
    """Compute ``(gram + penalty I + V.T diag(values) V) x`` of the row's columns."""
    zero = broadcast(np.float32(0.0))
    factor = broadcast(penalty)
    for d in range(0, width, SIMD_WIDTH):
        store(out, d, multiply_add(factor, load(x, d), zero))
    for e in range(width):
        _add_scaled(x[e], gram, e * width, out, 0, width)
    for at in range(first, last):
        row = columns[at] * width
        _add_scaled(values[at] * _dot(vectors, row, x, 0, width), vectors, row, out, 0, width)


@compiled()
def solve_least_squares(indptr, indices, values, begin, end, vectors, gram, penalties, n_steps, out, work):
    """Improve rows `begin` to `end` of `out` by steps of conjugate gradients.

    Row u minimises ``sum_i values[u, i] (1 - out[u] . vectors[i]) ** 2 + out[u] . (gram + penalties[u] I) . out[u]``
    over its columns i.

    Parameters
    ----------
    indptr, indices, values : ndarray
        CSR; values are float32.
    begin, end : int
    vectors : ndarray of shape (n_columns, width), float32
        Made by `aligned_zeros`; `width` is a multiple of `SIMD_WIDTH`.
    gram : ndarray of shape (width, width), float32
    penalties : ndarray of shape (n_rows,), float32
        Positive.
    n_steps : int
    out : ndarray of shape (n_rows, width), float32
        Is improved in place; rows without columns become zero.
    work : ndarray of shape (3, width), float32
        Workspace.

    Returns
    -------
    float
        The sum of what these rows minimise, before their last step.
    """
    width = vectors.shape[1]
    columns, weights, source, square, target = (
        pointer(indices), pointer(values), pointer(vectors), pointer(gram), pointer(out),
    )  # fmt: skip
    residual, direction, product = pointer(work[0]), pointer(work[1]), pointer(work[2])
    total = 0.0
    for u in range(begin, end):
        first, last = indptr[u], indptr[u + 1]
        if first == last:
            out[u] = np.float32(0.0)
            continue
        work[0] = np.float32(0.0)
        work[1] = out[u]
        sum_of_values = 0.0
        for at in range(first, last):
            _add_scaled(weights[at], source, columns[at] * width, residual, 0, width)
            sum_of_values += weights[at]
        total += sum_of_values - _dot(residual, 0, target, u * width, width)  # - b . x, b the sum so far
        _product(columns, weights, first, last, source, square, penalties[u], direction, product, width)
        _add_scaled(np.float32(-1.0), product, 0, residual, 0, width)
        total -= _dot(residual, 0, target, u * width, width)  # - r . x
        work[1] = work[0]
        norm = _dot(residual, 0, residual, 0, width)
        for _ in range(n_steps):
            if norm < np.float32(1e-20):
                break
            _product(columns, weights, first, last, source, square, penalties[u], direction, product, width)
            step = norm / _dot(direction, 0, product, 0, width)
            _add_scaled(step, direction, 0, target, u * width, width)
            _add_scaled(-step, product, 0, residual, 0, width)
            before = norm
            norm = _dot(residual, 0, residual, 0, width)
            ratio = broadcast(norm / before)
            for d in range(0, width, SIMD_WIDTH):
                store(direction, d, multiply_add(ratio, load(direction, d), load(residual, d)))
    return total
