"""A standardised target without a column for each class: what it is multiplied by, and its sums over groups of rows."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

__all__ = ["StandardisedTarget"]


@dataclass(frozen=True)
class StandardisedTarget:
    """The coded columns of y, centered and scaled; those of classes as the class that each row has.

    Attributes
    ----------
    single : ndarray of shape (n_samples, n_single)
        Standardised columns of numbers and of outputs of two classes.
    single_places : ndarray of shape (n_single,), int
        Where they stand among the targets.
    codes : list of ndarray of shape (n_samples,), int
        Of each output of several classes, the class of each row.
    parts : list of slice
        Where its classes stand.
    mean, scale : ndarray of shape (n_targets,)
        Of 0 and 1 for classes.
    """

    single: np.ndarray
    single_places: np.ndarray
    codes: list[np.ndarray]
    parts: list[slice]
    mean: np.ndarray
    scale: np.ndarray

    def __len__(self) -> int:
        return len(self.single)

    @property
    def n_targets(self) -> int:
        return len(self.mean)

    def take(self, rows: np.ndarray) -> "StandardisedTarget":
        """Return some of the rows."""
        codes = [c[rows] for c in self.codes]
        return StandardisedTarget(self.single[rows], self.single_places, codes, self.parts, self.mean, self.scale)

    def toarray(self) -> np.ndarray:
        """Return all columns, (n_samples, n_targets)."""
        out = np.empty((len(self), self.n_targets))
        out[:, self.single_places] = self.single
        for codes, part in zip(self.codes, self.parts):
            mean, scale = self.mean[part], self.scale[part]
            out[:, part] = (0.0 - mean) / scale
            out[np.arange(len(self)), part.start + codes] = ((1.0 - mean) / scale)[codes]
        return out

    def along(self, directions: np.ndarray | None) -> np.ndarray:
        """Return the product with directions of shape (n_targets, n), (n_samples, n); all columns for None."""
        if directions is None:
            return self.toarray()
        out = self.single @ directions[self.single_places]
        for codes, part in zip(self.codes, self.parts):
            of_class = directions[part] / self.scale[part, None]
            out += (of_class - self.mean[part] @ of_class)[codes]
        return out

    def sums(self, cells: np.ndarray, n_cells: int, weight: np.ndarray) -> tuple[sp.csr_matrix, np.ndarray]:
        """Return the weighted sums over the rows of each cell, as a sparse matrix less a product of vectors.

        Parameters
        ----------
        cells : ndarray of shape (n_samples,), int
        n_cells : int
        weight : ndarray of shape (n_samples,)

        Returns
        -------
        found : csr_matrix of shape (n_cells, n_targets)
            Not centered where there are several classes.
        center : ndarray of shape (n_targets,)
            What to take from each row of `found` times the weight of the cell.
        """
        center = np.zeros(self.n_targets)
        rows, columns, values = [], [], []
        for place, column in zip(self.single_places, self.single.T):
            rows.append(np.arange(n_cells))
            columns.append(np.full(n_cells, place))
            values.append(np.bincount(cells, weight * column, n_cells))
        for codes, part in zip(self.codes, self.parts):
            rows.append(cells)
            columns.append(part.start + codes)
            values.append(weight / self.scale[part.start + codes])
            center[part] = self.mean[part] / self.scale[part]
        entries = np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))
        return sp.csr_matrix(entries, shape=(n_cells, self.n_targets)), center
