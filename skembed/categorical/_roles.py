"""The columns that are categories, and how the numbers beside them reach the net."""

from typing import Any

import numpy as np

from skembed.columns import Columns, to_float
from skembed.roles import categorical_positions

__all__ = ["SideScaler", "side_columns", "some_categorical_positions"]

CLIP = 10.0  # in interquartile half-widths: beyond, a value is only "very large"


def some_categorical_positions(categorical_features: Any, columns: Columns) -> list[int]:
    """Return the positions of the categorical columns; ValueError if columns were named and there is none.

    With "from_dtype" there may be none: nothing is embedded then, as ColumnTransformer does nothing with no columns.
    See `skembed.roles.categorical_positions`.
    """
    positions = categorical_positions(categorical_features, columns)
    if not positions and not (isinstance(categorical_features, str) and categorical_features == "from_dtype"):
        raise ValueError(
            f"categorical_features={categorical_features!r} leaves no categorical column in X; "
            "name at least one, or use 'all'."
        )
    return positions


class SideScaler:
    """Numeric columns as the net reads them: centered by the median, scaled by the quartiles, clipped, missing as 0.

    A column that had missing values in fit gets a second one that says so.

    Parameters
    ----------
    columns : list of ndarray of shape (n_samples,), float64
    """

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
        """Return (n_rows, n_side) of finite numbers within ±10."""
        parts = []
        for values, center, width, flagged in zip(columns, self.center, self.width, self.flagged):
            missing = np.isnan(values)
            with np.errstate(over="ignore", invalid="ignore"):
                scaled = np.clip((values / 2 - center) / width, -CLIP, CLIP)
            parts.append(np.where(missing, 0.0, np.nan_to_num(scaled)))
            if flagged:
                parts.append(missing.astype(np.float64))
        return np.stack(parts, axis=1) if parts else np.empty((n_rows, 0))


def side_columns(columns: Columns, positions: list[int]) -> list[np.ndarray]:
    """Return the numeric columns as float64, or say which one is not numeric."""
    return [to_float(columns.values[i], columns.label(i)) for i in positions]
