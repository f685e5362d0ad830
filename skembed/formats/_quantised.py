"""Matrices of fastText's quantised models, .ftz: product quantisation (Jégou et al. 2011), norms apart or not.

Layout (little-endian): norms quantised uint8; rows, columns int64; number of codes int32; codes uint8, one for each
row and part; a quantiser; and where norms are quantised, one norm code uint8 a row and a quantiser of one dimension.
A quantiser is its dimension, number of parts, size of a part, size of the last part int32, and 256 float32 centroids
a part. A row is the centroids that its codes name, one after the other, times its norm.
"""

import struct
from dataclasses import dataclass

import numpy as np

from skembed.formats._open import Seekable

_N_CENTROIDS = 256
_BLOCK_ROWS = 16_384


@dataclass
class QuantisedMatrix:
    """A quantised matrix in a file.

    Attributes
    ----------
    start, stop : int
        Where it lies.
    shape : (int, int)
    codes : ndarray of shape (n_rows, n_parts), uint8
    centroids : list of n_parts ndarrays of shape (256, part_dim), float32
    norms : ndarray of shape (n_rows,), float32, or None
    """

    start: int
    stop: int
    shape: tuple[int, int]
    codes: np.ndarray
    centroids: list[np.ndarray]
    norms: np.ndarray | None

    @classmethod
    def at(cls, file: Seekable, start: int) -> "QuantisedMatrix":
        with_norms, n_rows, n_columns, n_codes = struct.unpack("<B2qi", file.bytes(start, 21, "a quantised matrix"))
        if with_norms > 1 or n_rows < 0 or n_columns < 1 or n_codes < 0:
            raise file.error(
                start, f"expected the head of a quantised matrix, got {with_norms}, {n_rows} x {n_columns}, {n_codes}"
            )
        file.check(start + 21, n_codes, "codes")
        centroids, stop = _quantiser(file, start + 21 + n_codes, n_columns)
        if n_codes != n_rows * len(centroids):
            raise file.error(
                start + 17, f"expected {n_rows} x {len(centroids)} codes of a quantised matrix, got {n_codes}"
            )
        codes = file.array(start + 21, "u1", (n_rows, len(centroids)), "codes")
        norms = None
        if with_norms:
            norm_codes = file.array(stop, "u1", (n_rows,), "codes of norms")
            (norm_centroids,), stop = _quantiser(file, stop + n_rows, 1)
            norms = norm_centroids[norm_codes, 0]
        return cls(start, stop, (n_rows, n_columns), codes, centroids, norms)

    def block(self, start: int, stop: int) -> np.ndarray:
        """Some rows, float32."""
        rows = np.empty((stop - start, self.shape[1]), dtype=np.float32)
        column = 0
        for part, centroids in enumerate(self.centroids):
            next_column = column + centroids.shape[1]
            rows[:, column:next_column] = centroids[self.codes[start:stop, part]]
            column = next_column
        if self.norms is not None:
            with np.errstate(invalid="ignore", over="ignore"):  # whoever reads them looks for what is not finite
                rows *= self.norms[start:stop, None]
        return rows

    def rows(self, start: int, stop: int, mapped: bool) -> np.ndarray:
        """Some rows; they have to be computed, so they are never mapped."""
        rows = np.empty((stop - start, self.shape[1]), dtype=np.float32)
        for first in range(start, stop, _BLOCK_ROWS):
            last = min(first + _BLOCK_ROWS, stop)
            rows[first - start : last - start] = self.block(first, last)
        return rows

    def place(self, row: int, column: int) -> int:
        return self.start + 21 + row * len(self.centroids)


def _quantiser(file: Seekable, at: int, n_columns: int) -> tuple[list[np.ndarray], int]:
    """Centroids of each part, and where they end."""
    dim, n_parts, part_dim, last_dim = struct.unpack("<4i", file.bytes(at, 16, "a product quantiser"))
    fits = (
        dim == n_columns and n_parts >= 1 and 1 <= last_dim <= part_dim and (n_parts - 1) * part_dim + last_dim == dim
    )
    if not fits:
        raise file.error(
            at,
            f"expected a quantiser of {n_columns} columns, got {n_parts} parts of {part_dim}, the last of {last_dim}",
        )
    centroids = file.array(at + 16, "<f4", (_N_CENTROIDS * dim,), "centroids")
    split = _N_CENTROIDS * part_dim
    parts = [centroids[part * split : (part + 1) * split].reshape(_N_CENTROIDS, -1) for part in range(n_parts - 1)]
    parts.append(centroids[(n_parts - 1) * split :].reshape(_N_CENTROIDS, last_dim))
    return parts, at + 16 + centroids.nbytes
