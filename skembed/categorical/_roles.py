"""Which columns are categories and which are numbers beside them, and how those numbers reach the net."""

import numbers
from typing import Any

import numpy as np

from skembed.columns import Columns, to_float

__all__ = ["SideScaler", "categorical_positions"]

CLIP = 10.0  # in interquartile half-widths: beyond, a value is only "very large"


def categorical_positions(categorical_features: Any, columns: Columns) -> list[int]:
    """Return the positions of the categorical columns, in their order in X.

    Parameters
    ----------
    categorical_features : "all", "from_dtype", or array-like of names, positions or bool
    columns : Columns

    Returns
    -------
    list of int

    Raises
    ------
    ValueError
        If a name or position is not in X, a mask has the wrong length, or no column is left.
    """
    n = len(columns.values)
    if isinstance(categorical_features, str):
        if categorical_features == "all":
            return list(range(n))
        if categorical_features == "from_dtype":
            found = [i for i, column in enumerate(columns.values) if not _is_number_column(column)]
            return _some(found, categorical_features)
    chosen = list(categorical_features) if not isinstance(categorical_features, str) else [categorical_features]
    if chosen and all(isinstance(c, (bool, np.bool_)) for c in chosen):
        if len(chosen) != n:
            raise ValueError(
                f"categorical_features is a mask of {len(chosen)} values; expected {n}, one for each column."
            )
        return _some([i for i, c in enumerate(chosen) if c], categorical_features)
    names = list(columns.names) if columns.names is not None else []
    positions = set()
    for c in chosen:
        if isinstance(c, str):
            if c not in names:
                known = f"the columns are {names!r}" if names else "X has no column names: use positions"
                raise ValueError(f"categorical_features names {c!r}, which is not in X; {known}.")
            positions.add(names.index(c))
        elif isinstance(c, (int, np.integer)) and -n <= c < n:
            positions.add(int(c) % n)
        else:
            raise ValueError(f"categorical_features holds {c!r}; expected a column name or a position below {n}.")
    return _some(sorted(positions), categorical_features)


def _some(positions: list[int], categorical_features: Any) -> list[int]:
    if not positions:
        raise ValueError(
            f"categorical_features={categorical_features!r} leaves no categorical column in X; "
            "name at least one, or use 'all'."
        )
    return positions


def _is_number_column(column: Any) -> bool:
    if not hasattr(column, "dtype"):  # pyarrow
        return _is_arrow_number(column.type)
    dtype = column.dtype
    if hasattr(dtype, "is_numeric"):  # polars
        return bool(dtype.is_numeric())
    kind = getattr(dtype, "kind", "O")  # numpy and pandas, extension types too
    if kind == "O" and isinstance(column, np.ndarray):
        return all(v is None or (isinstance(v, numbers.Real) and not isinstance(v, bool)) for v in column)
    return kind in "iuf"


def _is_arrow_number(kind: Any) -> bool:
    import pyarrow as pa  # whoever passes its columns has it

    return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)


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
