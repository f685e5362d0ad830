"""The noise distribution of negative sampling, drawn in constant time: Walker's alias method (Vose 1991).

Mikolov et al. 2013 fill a table of 10**8 entries; two numbers a key are exact and stay in the cache.
"""

from typing import NamedTuple

import numpy as np

from skembed.kernels.compile import compiled_late
from skembed.kernels.random import draw, draw_below, draws

__all__ = ["AliasTable", "alias_table", "draw_many"]

_TWO_32 = 4294967296.0
_FEW_COLUMNS = 2**17  # Python's loop over more of them takes longer than the compiler


class AliasTable(NamedTuple):
    """A discrete distribution over rows 0 .. n - 1.

    Attributes
    ----------
    threshold : ndarray of shape (n,), uint32
        Column i means its own row for a 32-bit draw below this ...
    alias : ndarray of shape (n,), int32
        ... and this row otherwise.
    """

    threshold: np.ndarray
    alias: np.ndarray


def alias_table(weights: np.ndarray) -> AliasTable:
    """Alias table that draws row i with probability ``weights[i] / weights.sum()``.

    Parameters
    ----------
    weights : array-like of shape (n,)
        Non-negative and finite, not all zero. A row of weight zero is never drawn.

    Returns
    -------
    AliasTable

    Raises
    ------
    ValueError
        If a weight is negative or not finite, or all are zero.

    Examples
    --------
    >>> alias_table([1.0, 0.0]).alias
    array([0, 0], dtype=int32)
    """
    weights = np.asarray(weights, dtype=np.float64)
    total = weights.sum()
    if weights.ndim != 1 or not np.isfinite(total) or total <= 0 or weights.min() < 0:
        raise ValueError(
            "weights of the noise distribution must be non-negative and finite numbers, not all of them zero; "
            f"got shape {weights.shape} with sum {total!r}. Check counts and ns_exponent."
        )
    weights = weights / weights.max()
    n = weights.size
    probability, alias = np.ones(n), np.arange(n, dtype=np.int32)
    fill = _fill if n <= _FEW_COLUMNS else _fill.kernel
    fill(weights * (n / weights.sum()), int(np.argmax(weights)), probability, alias, np.empty(2 * n, np.int64))
    return AliasTable(np.minimum(np.floor(probability * _TWO_32), _TWO_32 - 1).astype(np.uint32), alias)


def _pair_columns(scaled, heaviest, probability, alias, small):
    """Vose's loop: pair each column below the mean with one above it. `scaled` has mean 1 and is overwritten.

    `probability` and `alias` are those of columns that are full; `small`, int64 (2 * n,), is for both sorts of columns.
    """
    n = len(scaled)
    n_small, n_large = 0, n  # the large ones lie behind `n`
    for i in range(n):
        if scaled[i] < 1.0:
            small[n_small] = i
            n_small += 1
        else:
            small[n_large] = i
            n_large += 1
    while n_small > 0 and n_large > n:
        n_small -= 1
        low, high = small[n_small], small[n_large - 1]
        probability[low] = scaled[low]
        alias[low] = high
        scaled[high] -= 1.0 - scaled[low]
        if scaled[high] < 1.0:
            n_large -= 1
            small[n_small] = high
            n_small += 1
    for i in range(n_small):  # left over by rounding alone: full columns, or rows that must never be drawn
        if scaled[small[i]] <= 0.5:
            probability[small[i]] = 0.0
            alias[small[i]] = heaviest


def _pair_lists(scaled, heaviest, probability, alias, small):
    """The same loop, run by Python, which takes lists faster than arrays."""
    lists = probability.tolist(), alias.tolist()
    _pair_columns(scaled.tolist(), heaviest, *lists, small.tolist())
    probability[:], alias[:] = lists


_fill = compiled_late(_pair_lists)(_pair_columns)


def _draw_many(threshold, alias, out, state):
    first, second = draws(state, 2 * out.size).reshape(-1, 2).T
    column = (first * np.uint64(threshold.size)) >> np.uint64(32)
    out[:] = np.where(second < threshold[column], column, alias[column])


@compiled_late(_draw_many)
def draw_many(threshold, alias, out, state):
    """Fill `out`, int32 (m,), with draws from the alias table (threshold, alias); `state` moves on by 2 m."""
    for i in range(out.size):
        column = draw_below(state, threshold.size)
        out[i] = column if draw(state) < np.uint64(threshold[column]) else alias[column]
