"""Numbers beside the categories, as the effects and the net read them."""

import numpy as np

from skembed.state import stored

__all__ = ["NumericScaler"]

CLIP = 10.0  # in interquartile half-widths: beyond, a value is only "very large"


@stored
class NumericScaler:
    """Numeric columns as the net reads them: centered by the median, scaled by the quartiles, clipped, missing as 0.

    A column that had missing values in fit gets a second one that says so.

    Parameters
    ----------
    columns : list of ndarray of shape (n_samples,), float64
    weight : ndarray of shape (n_samples,), default=None
        Whole numbers count as repeated rows; none is 0.
    """

    _state = {"center": list[float], "width": list[float], "flagged": list[bool]}

    def __init__(self, columns: list[np.ndarray], weight: np.ndarray | None = None) -> None:
        self.center, self.width, self.flagged = [], [], []
        for values in columns:
            is_present = ~np.isnan(values)
            present = values[is_present]
            counts = None if weight is None or (weight == 1).all() else weight[is_present]
            # halves, so that the distance between two huge values stays finite
            with np.errstate(over="ignore", invalid="ignore"):
                low, middle, high = quartiles(present / 2, counts) if len(present) else (0.0, 0.0, 0.0)
                width = high - low
                if not np.isfinite(width) or width <= 0:
                    varies = len(present) > 0 and present.min() < present.max()  # else rounding would be a spread
                    width = spread(np.clip(present / 2, -1e150, 1e150), counts) if varies else 0.0
            self.center.append(float(middle))
            self.width.append(float(width) if np.isfinite(width) and width > 0 else 1.0)
            self.flagged.append(len(present) < len(values))

    def names(self, labels: list[str]) -> list[str]:
        """Return the name of each of the columns that `apply` returns."""
        return [name for label, flagged in zip(labels, self.flagged) for name in [label] * (1 + flagged)]

    def apply(self, columns: list[np.ndarray], n_rows: int) -> np.ndarray:
        """Return (n_rows, n_numeric) of finite numbers within ±10."""
        parts = []
        for values, center, width, flagged in zip(columns, self.center, self.width, self.flagged):
            missing = np.isnan(values)
            with np.errstate(over="ignore", invalid="ignore"):
                scaled = np.clip((values / 2 - center) / width, -CLIP, CLIP)
            parts.append(np.where(missing, 0.0, np.nan_to_num(scaled)))
            if flagged:
                parts.append(missing.astype(np.float64))
        return np.stack(parts, axis=1) if parts else np.empty((n_rows, 0))


def quartiles(values: np.ndarray, counts: np.ndarray | None) -> np.ndarray:
    """Return the quartiles of values that stand for so many equal ones each, (3,)."""
    shares = np.array([0.25, 0.5, 0.75])
    if counts is None:
        return np.quantile(values, shares)
    order = np.argsort(values, kind="stable")
    ends = np.cumsum(counts[order])
    places = shares * max(ends[-1] - 1.0, 0.0)  # as np.quantile has them: among the last and the first of all
    below = np.floor(places)
    rows = [np.minimum(np.searchsorted(ends, at, side="right"), len(order) - 1) for at in (below, below + 1.0)]
    lower, upper = (values[order[row]] for row in rows)
    part = places - below
    return np.where(part > 0, lower + part * (upper - lower), lower)  # two infinities have no difference


def spread(values: np.ndarray, counts: np.ndarray | None) -> float:
    """Return the standard deviation of values that stand for so many equal ones each."""
    if counts is None:
        return float(np.std(values))
    return float(np.sqrt(np.average((values - np.average(values, weights=counts)) ** 2, weights=counts)))
