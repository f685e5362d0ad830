"""Adam on the rows of a table that a batch touched."""

import math

import numpy as np

from skembed.kernels.compile import compiled

__all__ = ["adam_rows"]


@compiled(fastmath={"reassoc", "nsz", "contract"})
def adam_rows(weight, first, second, ids, gradient, slots, rate, beta1, beta2, epsilon):
    """Take one step; the moments of rows that the batch does not hold stay as they are.

    Parameters
    ----------
    weight, first, second : ndarray of shape (n_rows, dim), float32
        Parameters, and the running means of their gradients and squared gradients; change in place.
    ids : ndarray of shape (n,), int64
        Rows, repeated where a batch holds them more than once.
    gradient : ndarray of shape (n, dim), float32
        For each of those occurrences; those of a row are summed.
    slots : ndarray of shape (n_rows,), int32
        Zeros, and zeros again afterwards: a workspace that tells rows apart without sorting them.
    rate, beta1, beta2, epsilon : float32
        The rate includes Adam's correction of both means.
    """
    dim = weight.shape[1]
    touched, total = np.empty(ids.size, np.int64), np.empty((ids.size, dim), np.float32)
    n_touched = 0
    for i in range(ids.size):
        row = ids[i]
        if slots[row] == 0:
            touched[n_touched] = row
            n_touched += 1
            slots[row] = n_touched
            for d in range(dim):
                total[n_touched - 1, d] = gradient[i, d]
        else:
            slot = slots[row] - 1
            for d in range(dim):
                total[slot, d] += gradient[i, d]
    one = np.float32(1.0)
    for slot in range(n_touched):
        row = touched[slot]
        slots[row] = 0
        for d in range(dim):
            g = total[slot, d]
            first[row, d] += (one - beta1) * (g - first[row, d])
            second[row, d] += (one - beta2) * (g * g - second[row, d])
            weight[row, d] -= rate * first[row, d] / (math.sqrt(second[row, d]) + epsilon)
