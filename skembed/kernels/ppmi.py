"""Positive pointwise mutual information of keys that share sequences, as a sparse matrix, and products with it.

Levy & Goldberg 2014, "Neural Word Embedding as Implicit Matrix Factorization"; for contexts smoothed by a power Levy,
Goldberg & Dagan 2015, section 3.1. Row t of the matrix and of its transpose have their places in common, so that both
products gather, and threads that own rows never write to the same place.
"""

import math

import numpy as np

from skembed.kernels.compile import compiled
from skembed.kernels.simd import SIMD_WIDTH, broadcast, load, multiply_add, pointer, prefetch, store

__all__ = ["count_partners", "multiply", "write_ppmi"]

AHEAD = 12  # places that are fetched before they are needed


@compiled()
def count_partners(indptr, indices, key_indptr, key_rows, begin, end, least, counts, partners, histogram, n_partners):
    """Count for the keys from `begin` to `end` with how many others they share sequences, and how often.

    Parameters
    ----------
    indptr, indices : ndarray
        The sequences; a key occurs at most once in each.
    key_indptr, key_rows : ndarray
        For each key the sequences that hold it.
    begin, end : int
    least : int
    counts : ndarray of shape (n_keys,), int32
        Zeros; left as zeros.
    partners : ndarray of shape (n_keys,), int32
        Workspace.
    histogram : ndarray of shape (n,), int64
        Is added to: how many pairs share k + 1 sequences, the last entry for all that share more.
    n_partners : ndarray of shape (n_keys,), int64
        Is written: the partners of each key that share at least `least` sequences with it.
    """
    last = len(histogram) - 1
    for key in range(begin, end):
        n = _gather_partners(indptr, indices, key_indptr, key_rows, key, counts, partners)
        n_partners[key] = 0
        for place in range(n):
            other = partners[place]
            histogram[min(counts[other] - 1, last)] += 1
            n_partners[key] += counts[other] >= least
            counts[other] = 0


@compiled()
def _gather_partners(indptr, indices, key_indptr, key_rows, key, counts, partners):
    n = 0
    for at in range(key_indptr[key], key_indptr[key + 1]):
        row = key_rows[at]
        for place in range(indptr[row], indptr[row + 1]):
            other = indices[place]
            if other == key:
                continue
            if counts[other] == 0:
                partners[n] = other
                n += 1
            counts[other] += 1
    return n


@compiled()
def write_ppmi(
    indptr, indices, key_indptr, key_rows, begin, end, log_marginals, log_smoothed, log_total, least,
    counts, partners, starts, columns, values, transposed, n_written,
):  # fmt: skip
    """Write rows `begin` to `end` of the matrix and of its transpose, without places at which both are zero.

    ``value[t, u] = max(0, log(x * total / (marginals[t] * smoothed[u]))) * d`` for x sequences in common, with the
    discount ``d = x / (x + 1) * m / (m + 1)``, m the smaller number of sequences (Pantel & Lin 2002, "Discovering Word
    Senses from Text"): what was met once or twice says little.

    Parameters
    ----------
    indptr, indices, key_indptr, key_rows, begin, end, counts, partners
        As in `count_partners`.
    log_marginals, log_smoothed : ndarray of shape (n_keys,), float64
        Logarithms of the pairs of each key, and of the same as contexts, to a power.
    log_total : float
        Of the sum of the latter.
    least : int
        Pairs that share fewer sequences are left out.
    starts : ndarray of shape (n_keys,), int64
        Where each row has room for all its partners.
    columns, values, transposed : ndarray of shape (n_places,), int32, float32 and float32
        Are written.
    n_written : ndarray of shape (n_keys,), int64
        Is written: the places that each row takes.
    """
    for key in range(begin, end):
        n = _gather_partners(indptr, indices, key_indptr, key_rows, key, counts, partners)
        at = starts[key]
        own = key_indptr[key + 1] - key_indptr[key]
        for place in range(n):
            other = partners[place]
            x = float(counts[other])
            counts[other] = 0
            if x < least:
                continue
            fewer = float(min(own, key_indptr[other + 1] - key_indptr[other]))
            discount = x / (x + 1.0) * fewer / (fewer + 1.0)
            log_x = math.log(x) + log_total if x > 1.0 else log_total
            value = log_x - log_marginals[key] - log_smoothed[other]
            reverse = log_x - log_marginals[other] - log_smoothed[key]
            if value > 0.0 or reverse > 0.0:
                columns[at] = other
                values[at] = max(value, 0.0) * discount
                transposed[at] = max(reverse, 0.0) * discount
                at += 1
        n_written[key] = at - starts[key]


@compiled()
def multiply(starts, lengths, columns, values, table, begin, end, out):
    """Compute rows `begin` to `end` of the product of the sparse matrix and a dense table.

    Parameters
    ----------
    starts, lengths : ndarray of shape (n_keys,), int64
    columns, values : ndarray of shape (n_places,), int32 and float32
    table : ndarray of shape (n_keys, width), float32
        Made by `aligned_zeros`; `width` is a multiple of `SIMD_WIDTH`.
    begin, end : int
    out : ndarray of shape (n_keys, width), float32
        Rows `begin` to `end` are written.
    """
    width = table.shape[1]
    four = width - width % (4 * SIMD_WIDTH)
    source, target = pointer(table), pointer(out)
    others, factors = pointer(columns), pointer(values)
    zero = broadcast(np.float32(0.0))
    for key in range(begin, end):
        first, last = starts[key], starts[key] + lengths[key]
        for d in range(0, four, 4 * SIMD_WIDTH):
            a, b, c, e = zero, zero, zero, zero
            for at in range(first, last):
                ahead = others[min(at + AHEAD, last - 1)] * width + d
                for line in range(4):
                    prefetch(source, ahead + line * SIMD_WIDTH)
                factor, row = broadcast(factors[at]), others[at] * width + d
                a = multiply_add(factor, load(source, row), a)
                b = multiply_add(factor, load(source, row + SIMD_WIDTH), b)
                c = multiply_add(factor, load(source, row + 2 * SIMD_WIDTH), c)
                e = multiply_add(factor, load(source, row + 3 * SIMD_WIDTH), e)
            store(target, key * width + d, a)
            store(target, key * width + d + SIMD_WIDTH, b)
            store(target, key * width + d + 2 * SIMD_WIDTH, c)
            store(target, key * width + d + 3 * SIMD_WIDTH, e)
        for d in range(four, width, SIMD_WIDTH):
            a = zero
            for at in range(first, last):
                a = multiply_add(broadcast(factors[at]), load(source, others[at] * width + d), a)
            store(target, key * width + d, a)
