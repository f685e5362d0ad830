"""Distances from products with the rows of `fit`, where these are no more than columns.

No row is whitened: `DualWhitening` says what the products of whitened ones are. A row of `fit` is compared with the
others by the covariance without it, as `_own_distances` has it.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from skembed.anomaly._least import least_columns, least_values
from skembed.anomaly._own_distances import best, gains_without
from skembed.table.neighbors import Neighbors
from skembed.training.whitening import DualWhitening, slices

__all__ = ["Block", "mean_distances", "nearest", "new_blocks", "own_blocks"]

PAIRS_AT_ONCE = 1 << 16  # float64 squares of pairs of rows of `fit`, 512 KiB: with copies they stay in a level-2 cache
NEAR = 1e-6  # of the squared lengths of two rows: below, their squared distance by products has lost its digits


class Block(NamedTuple):
    """Squared distances from consecutive rows to all rows of `fit`: ``factor * (2 * halves + squared_lengths)``.

    Attributes
    ----------
    place : slice
        Of the rows among all that distances are asked of.
    centered : ndarray of shape (n_rows, n_features)
        Less the mean of `fit`.
    squared_lengths : ndarray of shape (n_rows, 1)
        Whitened.
    halves : ndarray of shape (n_rows, n_samples)
    gains : ndarray of shape (n_rows, 1), or None
        As of `gains_without`, for rows of `fit`.
    factor : float
        The same.
    """

    place: slice
    centered: np.ndarray
    squared_lengths: np.ndarray
    halves: np.ndarray
    gains: np.ndarray | None
    factor: float


def new_blocks(placing: DualWhitening, X: Any) -> Iterator[Block]:
    """Yield blocks of new rows, dense or sparse."""
    for place in slices(*X.shape):
        centered = placing.center(X[place])
        lengths, products = placing.products(centered)
        halves = np.subtract(placing.squared_lengths / 2, products, out=products)
        yield Block(place, centered, lengths[:, None], halves, None, 1.0)


def own_blocks(placing: DualWhitening) -> Iterator[Block]:
    """Yield blocks of the rows of `fit`, each by the covariance without it and infinitely far from itself."""
    n, lengths = len(placing.rows), placing.squared_lengths
    all_gains, factor = gains_without(lengths, placing.shrinkage)
    step = max(1, PAIRS_AT_ONCE // n)
    for start in range(0, n, step):
        place = slice(start, min(start + step, n))
        own, gains, products = lengths[place, None], all_gains[place, None], placing.own_products(place)
        halves = own - products  # of |u|^2 + |y|^2 - 2 y'u + g (|u|^2 - y'u)^2, less |u|^2
        halves *= halves
        halves *= gains / 2
        halves -= products
        halves += lengths / 2
        halves.flat[start :: n + 1] = np.inf
        yield Block(place, placing.rows[place], own, halves, gains, factor)


def mean_distances(placing: DualWhitening, blocks: Iterator[Block], k: int) -> np.ndarray:
    """Return the mean distance of each row of the blocks to its k nearest, (n_rows,), float64."""
    means, longest, near_share = [], placing.squared_lengths.max(), _near_share(placing)
    for block in blocks:
        found = 2 * least_values(block.halves, k)
        found += block.squared_lengths
        near = np.flatnonzero(found.min(axis=1) < near_share * (block.squared_lengths[:, 0] + longest))
        found *= block.factor
        if len(near):
            found[near] = _nearest(placing, block, near, k, near_share)[0]
        means.append(np.sqrt(found, out=found).mean(axis=1))
    return np.concatenate(means)


def nearest(placing: DualWhitening, blocks: Iterator[Block], k: int) -> Neighbors:
    """Return the k nearest rows of `fit` of each row of the blocks, nearest first."""
    near_share = _near_share(placing)
    found = [best(*_nearest(placing, block, np.arange(len(block.halves)), k, near_share), k) for block in blocks]
    return Neighbors(*map(np.concatenate, zip(*found)))


def _near_share(placing: DualWhitening) -> float:
    return max(NEAR, placing.rounding)


def _nearest(
    placing: DualWhitening, block: Block, rows: np.ndarray, k: int, near_share: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return squared distances of some rows of a block to their k nearest, and which these are."""
    halves, lengths = block.halves[rows], block.squared_lengths[rows]
    others = least_columns(halves, k)
    found = 2 * np.take_along_axis(halves, others, axis=1) + lengths
    near = np.nonzero(found < near_share * (lengths + placing.squared_lengths[others]))
    found *= block.factor
    if len(near[0]):
        found[near] = _by_differences(placing, block, rows[near[0]], others[near])
    return found, others


def _by_differences(placing: DualWhitening, block: Block, rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return squared distances of pairs of a row of a block and a row of `fit`, which are 0 where these are equal."""
    squares = np.zeros(len(rows))
    for pairs in slices(len(rows), placing.rows.shape[1]):
        differences = block.centered[rows[pairs]] - placing.rows[others[pairs]]
        unequal = np.flatnonzero(differences.any(axis=1))
        lengths, products = placing.products(differences[unequal])
        if block.gains is not None:
            of_fit = rows[pairs][unequal]
            along = products[np.arange(len(unequal)), block.place.start + of_fit]
            lengths += block.gains[of_fit, 0] * along**2
        squares[pairs][unequal] = block.factor * lengths
    return squares
