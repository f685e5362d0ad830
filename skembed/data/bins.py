"""Numbers as bins of about equally many rows, so that they can stand beside levels."""

import numpy as np

from skembed.state import stored

__all__ = ["QuantileBins"]


@stored
class QuantileBins:
    """The bins of one numeric column.

    Parameters
    ----------
    values : ndarray of shape (n_rows,), float64
        NaN is missing.
    n_bins : int
        At most; equal values are never parted.

    Attributes
    ----------
    edges : ndarray of shape (n_edges,)
    n_rows : int
        Ids that there are.

    Examples
    --------
    >>> bins = QuantileBins(np.array([1.0, 2.0, 3.0, 4.0]), 2)
    >>> bins.encode(np.array([0.0, 2.6, np.nan]))
    array([ 0,  1, -1])
    """

    _state = {"edges": np.ndarray, "n_rows": int}

    def __init__(self, values: np.ndarray, n_bins: int) -> None:
        present = values[np.isfinite(values)]
        inner = np.arange(1, n_bins) / n_bins
        self.edges = np.unique(np.quantile(present, inner)) if present.size else np.empty(0)
        self.n_rows = len(self.edges) + 1

    def encode(self, values: np.ndarray) -> np.ndarray:
        """Return the bin of each value, -1 where it is missing, (n_rows,)."""
        return np.where(np.isnan(values), -1, np.searchsorted(self.edges, values, side="right"))
