"""Positive pointwise mutual information of keys that share sequences, as a sparse matrix, and products with it.

Levy & Goldberg 2014, "Neural Word Embedding as Implicit Matrix Factorization"; for contexts smoothed by a power Levy,
Goldberg & Dagan 2015, section 3.1. Row t of the matrix and of its transpose have their places in common, so that both
products gather, and threads that own rows never write to the same place.
"""

import math

from skembed.kernels.compile import compiled

__all__ = ["count_partners", "multiply", "write_ppmi"]


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
    indptr, indices, key_indptr, key_rows, begin, end, marginals, smoothed, total, least,
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
    marginals : ndarray of shape (n_keys,), float64
        Pairs of each key.
    smoothed : ndarray of shape (n_keys,), float64
        The same as contexts, to a power.
    total : float
        The sum of `smoothed`.
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
            value = math.log(x * total / (marginals[key] * smoothed[other]))
            reverse = math.log(x * total / (marginals[other] * smoothed[key]))
            if value > 0.0 or reverse > 0.0:
                columns[at] = other
                values[at] = max(value, 0.0) * discount
                transposed[at] = max(reverse, 0.0) * discount
                at += 1
        n_written[key] = at - starts[key]


@compiled(fastmath={"contract"})
def multiply(starts, lengths, columns, values, table, begin, end, out):
    """Compute rows `begin` to `end` of the product of the sparse matrix and a dense table.

    Parameters
    ----------
    starts, lengths : ndarray of shape (n_keys,), int64
    columns, values : ndarray of shape (n_places,)
    table : ndarray of shape (n_keys, width), float32
    begin, end : int
    out : ndarray of shape (n_keys, width), float32
        Rows `begin` to `end` are written.
    """
    width = table.shape[1]
    for key in range(begin, end):
        row = out[key]
        row[:] = 0
        for at in range(starts[key], starts[key] + lengths[key]):
            value = values[at]
            other = table[columns[at]]
            for d in range(width):
                row[d] += value * other[d]
