"""The Gram matrix of a sparse matrix, dense: how often each two items stand in the same basket."""

from skembed.kernels.compile import compiled

__all__ = ["add_gram_rows"]


@compiled()
def add_gram_rows(indptr, indices, values, item_indptr, item_rows, item_values, begin, end, gram):
    """Add rows `begin` to `end` of ``X.T @ X``, X of n_rows baskets.

    Parameters
    ----------
    indptr, indices, values : ndarray
        X by baskets, as CSR.
    item_indptr, item_rows, item_values : ndarray
        X by items, as CSC.
    begin, end : int
        Items whose rows are added to: one row lies in the cache while it is.
    gram : ndarray of shape (n_items, n_items), float32
    """
    for item in range(begin, end):
        for at in range(item_indptr[item], item_indptr[item + 1]):
            row, value = item_rows[at], item_values[at]
            for place in range(indptr[row], indptr[row + 1]):
                gram[item, indices[place]] += value * values[place]
