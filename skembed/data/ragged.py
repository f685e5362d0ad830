"""Sequences of ids of any length in one form: documents, baskets, walks, rows of categories, sparse matrices."""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

__all__ = ["END_OF_DOCUMENT", "NO_ROW", "Ragged"]

# What ids that are no rows mean, everywhere. As indices of an array they find its last two entries.
NO_ROW = -1  # a key that has no row, unknown or missing; left out, unless a table has a row for all such keys
END_OF_DOCUMENT = -2  # in a stream of documents, after each of them


@dataclass(frozen=True, slots=True, eq=False)
class Ragged:
    """Sequences one after the other, as the rows of a CSR matrix lie.

    Attributes
    ----------
    indptr : ndarray of shape (n_sequences + 1,), int64
        Sequence i is ``indices[indptr[i] : indptr[i + 1]]``; the first entry is 0.
    indices : ndarray of shape (n_tokens,), int32
        Ids, `NO_ROW` for keys that have none.
    weights : ndarray of shape (n_tokens,), float32, or None
        None: 1 each.

    Examples
    --------
    >>> basket = Ragged.from_columns([np.array([0, 1]), np.array([-1, 1])], [0, 2])
    >>> basket.indptr, basket.indices
    (array([0, 1, 3]), array([0, 1, 3], dtype=int32))
    """

    indptr: np.ndarray
    indices: np.ndarray
    weights: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.indptr) - 1

    @classmethod
    def from_ends(cls, indices: np.ndarray, ends: np.ndarray) -> "Ragged":
        """Return sequences of which is known where each ends."""
        return cls(np.concatenate([[0], ends]).astype(np.int64), indices)

    @property
    def ends(self) -> np.ndarray:
        """Where each sequence ends in `indices`, (n_sequences,)."""
        return self.indptr[1:]

    @property
    def lengths(self) -> np.ndarray:
        """How many ids each sequence has, (n_sequences,)."""
        return np.diff(self.indptr)

    def keep(self, kept: np.ndarray) -> "Ragged":
        """Return the ids for which `kept`, bool of shape (n_tokens,), is true; sequences may become empty."""
        return Ragged(np.append(0, np.cumsum(kept))[self.indptr], self.indices[kept])

    def take(self, which: np.ndarray) -> "Ragged":
        """Return these sequences one after the other; they may repeat, and -1 is the last one."""
        lengths = self.lengths[which]
        stops = np.cumsum(lengths)
        shifts = self.indptr[:-1][which] - (stops - lengths)
        places = np.arange(stops[-1] if stops.size else 0) + np.repeat(shifts, lengths)
        return Ragged.from_ends(self.indices[places], stops)

    @classmethod
    def from_columns(cls, ids: list[np.ndarray], first_ids: list[int]) -> "Ragged":
        """Return the rows of columns as sequences, the ids of each column numbered from its own first one on."""
        stacked = np.stack([np.where(i < 0, NO_ROW, i + first) for i, first in zip(ids, first_ids)], axis=1)
        known = stacked != NO_ROW
        indptr = np.concatenate([[0], np.cumsum(known.sum(axis=1))]).astype(np.int64)
        return cls(indptr, stacked[known].astype(np.int32))

    def transposed(self, n_keys: int) -> "Ragged":
        """Return for each id the sequences that hold it, in order; there must be no `NO_ROW`."""
        ones = np.ones(len(self.indices), dtype=np.int8)
        matrix = sparse.csr_matrix((ones, self.indices, self.indptr), shape=(len(self), n_keys))
        turned = matrix.tocsc()
        return Ragged(turned.indptr.astype(np.int64), turned.indices.astype(np.int32))
