"""Leading eigenvectors of a positive semidefinite operator, by a block Krylov subspace.

Musco & Musco 2015, "Randomized Block Krylov Methods for Stronger and Faster Approximate Singular Value Decomposition"
(arXiv:1504.05477), algorithm 2. For what four steps of subspace iteration cost, it finds what sixteen of them do: the
earlier blocks are kept, so that all polynomials of the operator compete in place of one power.
"""

from collections.abc import Callable

import numpy as np
from scipy import linalg

__all__ = ["leading_eigenvectors"]

N_STEPS = 7  # blocks of half as many vectors as are sought: the last of them agree to five digits on real spectra
LEAST_SHARE = 1e-6  # of the largest new direction, below which a direction is rounding


def leading_eigenvectors(
    multiply: Callable[[np.ndarray], np.ndarray], n: int, dim: int, dtype: np.dtype, rng: np.random.Generator
) -> np.ndarray:
    """Return the leading eigenvectors of a symmetric positive semidefinite operator.

    Parameters
    ----------
    multiply : callable
        Returns the operator's product with an (n, any) array.
    n : int
        Rows of the operator. Where they are few, its eigenvectors are found without approximation.
    dim : int
        How many are sought.
    dtype : dtype
    rng : Generator

    Returns
    -------
    ndarray of shape (n, <= dim)
        Orthonormal, that of the largest eigenvalue first; fewer than `dim` where the operator has a lower rank.
    """
    block = (dim + 1) // 2
    if n <= N_STEPS * block:
        basis = np.eye(n, dtype=dtype)
        images = multiply(basis)
        return basis @ _leading(images.T.astype(np.float64), dim, dtype)
    basis = _directions(rng.standard_normal((n, block)).astype(dtype), 0.0)
    found, image = [], multiply(basis)
    scale = float(np.linalg.norm(image, axis=0).max())
    for _ in range(N_STEPS - 1):
        found.append(image)
        new = _directions(_without(image, basis), LEAST_SHARE * scale)
        if not new.shape[1]:  # nothing is left that the operator reaches
            return basis @ _leading(basis.T.astype(np.float64) @ np.hstack(found), dim, dtype)
        new = _directions(_without(new, basis), 0.0)
        basis = np.hstack([basis, new])
        image = multiply(new)
    found.append(image)
    return basis @ _leading(basis.T.astype(np.float64) @ np.hstack(found), dim, dtype)


def _leading(small: np.ndarray, dim: int, dtype: np.dtype) -> np.ndarray:
    """Return the eigenvectors of the largest eigenvalues of a small matrix, the largest first."""
    _, vectors = linalg.eigh((small + small.T) / 2)
    return np.ascontiguousarray(vectors[:, ::-1][:, :dim]).astype(dtype)


def _without(vectors: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """Return what is orthogonal to a basis; twice, since once leaves rounding in the way."""
    for _ in range(2):
        vectors = vectors - basis @ (basis.T @ vectors)
    return vectors


def _directions(vectors: np.ndarray, least: float) -> np.ndarray:
    """Return an orthonormal basis of the columns, of those directions that are longer than `least`."""
    wide = vectors.astype(np.float64)
    values, turn = linalg.eigh(wide.T @ wide)
    kept = values > max(least**2, np.finfo(np.float64).eps * max(values[-1], 0.0), np.finfo(np.float64).tiny)
    return (wide @ (turn[:, kept] / np.sqrt(values[kept]))).astype(vectors.dtype)
