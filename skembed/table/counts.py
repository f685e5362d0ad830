"""Counts of keys: how often each was seen where its vector was learned."""

from typing import Any

import numpy as np

from skembed.table.vectors import is_frozen

__all__ = ["checked_counts", "frozen_array", "same_counts"]


def checked_counts(counts: Any, n_keys: int) -> np.ndarray | None:
    """Counts as a read-only int64 array, one that is so already as it is; ValueError if they are none of `n_keys`."""
    if counts is None:
        return None
    counts = np.asarray(counts)
    if counts.shape != (n_keys,) or counts.dtype.kind not in "iu" or (counts < 0).any():
        raise ValueError(f"counts must be {n_keys} integers of 0 or more, got {counts.dtype} of shape {counts.shape}.")
    if counts.size and counts.dtype.kind == "u" and counts.max() > np.iinfo(np.int64).max:
        raise ValueError(f"counts must be less than 2**63, got {counts.max()}.")
    return frozen_array(counts.astype(np.int64, copy=not is_frozen(counts)))


def frozen_array(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


def same_counts(left: np.ndarray | None, right: np.ndarray | None) -> bool:
    return left is right or (left is not None and right is not None and np.array_equal(left, right))
