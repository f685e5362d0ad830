"""Mixed columns as an autoencoder reads them: standardised numbers, and rows of a table for each categorical column."""

from typing import Any

import numpy as np
from sklearn.utils.validation import check_array

from skembed.data.columns import Columns, factorize, filled, to_float
from skembed.data.levels import warn_identifiers
from skembed.data.roles import categorical_positions
from skembed.data.twins import warn_of_twin_levels
from skembed.data.vocabulary import Vocabulary
from skembed.state import check_state, stored

__all__ = ["MixedColumns", "MixedRows"]

LEAST_REACH = 30.0  # standard deviations, and twice those seen in fit: beyond, a number is only "very large"
# of the largest number: a spread below it is rounding
CONSTANT = {np.dtype(np.float32): 1e-6, np.dtype(np.float64): 1e-12}


class MixedRows:
    """Rows as the net reads them.

    Attributes
    ----------
    numbers : ndarray of shape (n_samples, n_numeric), float32 or float64
        Standardised, missing as 0.
    missing : ndarray of shape (n_samples, n_numeric), bool, or None where nothing is missing
    ids : ndarray of shape (n_samples, n_categorical), int64
        Row 0 of a column's table is its unknown level.
    """

    def __init__(self, values: np.ndarray, missing: np.ndarray | None, ids: np.ndarray) -> None:
        self.numbers, self.missing, self.ids = values, missing, ids


@stored
class MixedColumns:
    """Reader of a table of numbers and categories: fitted once, the same ever after.

    Parameters
    ----------
    categorical_features : "all", "from_dtype" or array-like
    min_frequency, max_categories
        As in `Vocabulary`.

    Attributes
    ----------
    categorical, numeric : list of int
        Positions of the columns of either kind.
    names : list of str
        Of the categorical columns.
    vocabularies : list of Vocabulary
    shares : list of ndarray of shape (n_levels + 1,)
        How often each row of a column's table occurs.
    flagged : ndarray of int
        Which of the numeric columns had missing values, and are told of them.
    dtype : numpy.dtype
        Of the output: float32 if no number is wider.
    """

    _state = {
        "categorical_features": Any, "min_frequency": int | float | None, "max_categories": int | None,
        "categorical": list[int], "numeric": list[int], "names": list[str], "vocabularies": list[Vocabulary],
        "shares": list[np.ndarray], "flagged": np.ndarray, "unit": np.ndarray, "center": np.ndarray,
        "spread": np.ndarray, "reach": np.ndarray, "dtype": str,
    }  # fmt: skip

    def __init__(self, categorical_features: Any, min_frequency: Any, max_categories: Any) -> None:
        self.categorical_features = categorical_features
        self.min_frequency, self.max_categories = min_frequency, max_categories

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"dtype": self.dtype.name}

    def __setstate__(self, state: dict[str, Any]) -> None:
        check_state(MixedColumns, state, self._state)
        if state["dtype"] not in ("float32", "float64"):
            raise ValueError(f"MixedColumns: expected dtype float32 or float64, got {state['dtype']!r:.40}")
        n_categorical, n_numeric = len(state["categorical"]), len(state["numeric"])
        if any(len(state[name]) != n_categorical for name in ("names", "vocabularies", "shares")):
            raise ValueError(f"MixedColumns: expected names, vocabularies and shares of {n_categorical} columns")
        if any(state[name].shape != (n_numeric,) for name in ("unit", "center", "spread", "reach")):
            raise ValueError(f"MixedColumns: expected units, centers and spreads of {n_numeric} columns")
        if any(s.shape != (len(v) + 1,) for s, v in zip(state["shares"], state["vocabularies"])):
            raise ValueError("MixedColumns: expected a share for each level")
        self.__dict__.update(state, dtype=np.dtype(state["dtype"]))

    def fit(self, columns: Columns, X: Any) -> MixedRows:
        """Settle how X is read, and read it."""
        self.categorical = categorical_positions(self.categorical_features, columns)
        chosen = set(self.categorical)
        self.numeric = [i for i in range(len(columns.values)) if i not in chosen]
        self.names = [columns.label(i) for i in self.categorical]
        factors = [factorize(columns.values[i], columns.label(i)) for i in self.categorical]
        warn_of_twin_levels(self.names, factors)
        limits = {"min_frequency": self.min_frequency, "max_categories": self.max_categories}
        self.vocabularies = [Vocabulary.from_factor(factor, **limits) for factor in factors]
        warn_identifiers(self.names, self.vocabularies, ["row"] * len(self.names))
        ids = [v.encode(f) for v, f in zip(self.vocabularies, factors)]
        self.shares = [np.bincount(i, minlength=len(v) + 1) / len(i) for i, v in zip(ids, self.vocabularies)]
        values = self._numbers(columns, X)
        missing = np.isnan(values)
        self.flagged = np.flatnonzero(missing.any(axis=0))
        self._fit_scale(values, missing)
        return self._rows(values, missing if len(self.flagged) else None, ids)

    def read(self, columns: Columns, X: Any) -> MixedRows:
        """Read further rows."""
        values = self._numbers(columns, X)
        missing = np.isnan(values)
        factors = [factorize(columns.values[i], name) for i, name in zip(self.categorical, self.names)]
        ids = [v.encode(f) for v, f in zip(self.vocabularies, factors)]
        return self._rows(values, missing if missing.any() else None, ids)

    def first_ids(self) -> np.ndarray:
        """Return where each categorical column begins when the rows of all tables are numbered through."""
        return np.cumsum([0, *map(len, self.shares)])[:-1]

    def unscaled(self, values: np.ndarray) -> np.ndarray:
        """Return standardised numbers in their own units, float64."""
        values = np.clip(values, -self.reach, self.reach)
        with np.errstate(over="ignore"):
            return np.nan_to_num((values * self.spread + self.center) * self.unit)

    def _numbers(self, columns: Columns, X: Any) -> np.ndarray:
        """Return the numeric columns side by side, missing ones as NaN; refuse infinity."""
        if isinstance(X, np.ndarray) and not self.categorical and X.dtype.kind in "fiu":
            return check_array(filled(X), dtype=[np.float64, np.float32], ensure_all_finite="allow-nan", input_name="X")
        parts = [columns.values[i] for i in self.numeric]
        single = bool(parts) and all(_is_float32(part) for part in parts)
        out = np.empty((columns.n_rows, len(parts)), dtype=np.float32 if single or not parts else np.float64)
        for k, (position, part) in enumerate(zip(self.numeric, parts)):
            out[:, k] = to_float(part, columns.label(position))
            if np.isinf(out[:, k]).any():
                raise ValueError(
                    f"Input X contains infinity in column {columns.label(position)!r}, row "
                    f"{int(np.argmax(np.isinf(out[:, k])))}; expected finite numbers or missing values."
                )
        return out

    def _fit_scale(self, values: np.ndarray, missing: np.ndarray) -> None:
        """Take mean and spread of every column in units of its largest number, which no square can overflow."""
        n = values.shape[1]
        self.unit, self.center, self.spread = np.ones(n), np.zeros(n), np.ones(n)
        self.reach = np.full(n, LEAST_REACH)
        for k in range(n):
            present = values[~missing[:, k], k].astype(np.float64)
            largest = np.abs(present).max(initial=0.0)
            if largest > 0:
                present /= largest
                spread = present.std()
                self.unit[k], self.center[k] = largest, present.mean()
                self.spread[k] = spread if spread > CONSTANT[values.dtype] else 1.0
                farthest = np.abs(present - self.center[k]).max() / self.spread[k]
                self.reach[k] = max(LEAST_REACH, 2 * farthest)
        self.dtype = values.dtype

    def _rows(self, values: np.ndarray, missing: np.ndarray | None, ids: list[np.ndarray]) -> MixedRows:
        with np.errstate(over="ignore"):
            scaled = (values / self.unit - self.center) / self.spread
        if missing is not None:
            scaled[missing] = 0.0
        np.clip(scaled, -self.reach, self.reach, out=scaled)
        stacked = np.stack(ids, axis=1) if ids else np.empty((len(values), 0), dtype=np.int64)
        return MixedRows(scaled.astype(values.dtype, copy=False), missing, stacked)


def _is_float32(column: Any) -> bool:
    kind = getattr(column, "dtype", None) if hasattr(column, "dtype") else getattr(column, "type", None)
    name = str(kind).lower().removesuffix("[pyarrow]")  # of pandas over pyarrow
    return name in ("float32", "float16", "float", "halffloat")  # pyarrow calls them the last two
