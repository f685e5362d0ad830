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
    """

    _state = {"center": list[float], "width": list[float], "flagged": list[bool]}

    def __init__(self, columns: list[np.ndarray]) -> None:
        self.center, self.width, self.flagged = [], [], []
        for values in columns:
            present = values[~np.isnan(values)]
            # halves, so that the distance between two huge values stays finite
            with np.errstate(over="ignore", invalid="ignore"):
                low, middle, high = np.quantile(present / 2, [0.25, 0.5, 0.75]) if len(present) else (0.0, 0.0, 0.0)
                width = high - low
                if not np.isfinite(width) or width <= 0:
                    width = np.std(np.clip(present / 2, -1e150, 1e150)) if len(present) else 0.0
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
