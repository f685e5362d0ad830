"""The type of a target, told from its values: numbers, two classes or several; dates and durations are neither."""

import datetime
import warnings
from dataclasses import dataclass
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
from sklearn.utils.multiclass import type_of_target

__all__ = ["TargetType", "as_own_dtype", "check_not_dates", "infer_target_type", "is_missing"]

MAX_CLASSES = 50  # more whole numbers than this are amounts, however many rows there are
MAX_FEW_CLASSES, MAX_SHARE = 20, 0.1  # so are more than 20 where they are more than a tenth of the rows

_KIND_OF = {
    "continuous": "continuous",
    "continuous-multioutput": "continuous",
    "binary": "binary",
    "multiclass": "multiclass",
    "multiclass-multioutput": "multiclass",
    "multilabel-indicator": "binary",
}


@dataclass(frozen=True)
class TargetType:
    """What a target is taken for.

    Attributes
    ----------
    kind : {"continuous", "binary", "multiclass"}
        Of every output, where there are several.
    n_amounts : tuple of int
        Where whole numbers are taken for amounts, how many distinct ones each output has; empty where `kind` is plain
        from the values, so that nobody need be told.
    """

    kind: str
    n_amounts: tuple[int, ...] = ()


def infer_target_type(y: Any, *, n_rows: float | None = None) -> TargetType:
    """Tell whether y is numbers or classes: what "auto" means wherever a target is given.

    Strings and booleans are classes, numbers with fractions are continuous, and two whole numbers are binary, as in
    `sklearn.utils.multiclass.type_of_target`. Whole numbers, be they int or float, are amounts such as prices, ages
    and counts, hence continuous, if there are more than 50 distinct ones; or more than 20, and more than a tenth as
    many as rows. Fewer are classes: in a small table three classes are soon a tenth of the rows.

    Parameters
    ----------
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Without missing values. All of several outputs are of one type: whole numbers are amounts if they are in every
        output.
    n_rows : float, optional
        The rows that y stands for, if they are weighted; the rows of y by default.

    Returns
    -------
    TargetType

    Raises
    ------
    ValueError
        If y holds dates, times or durations, infinite values, or what is neither number nor string.

    Examples
    --------
    >>> infer_target_type([3, 1, 2, 1])
    TargetType(kind='multiclass', n_amounts=())
    >>> infer_target_type(range(1000, 1060))
    TargetType(kind='continuous', n_amounts=(60,))
    >>> infer_target_type([f"shop {i}" for i in range(60)])
    TargetType(kind='multiclass', n_amounts=())
    """
    y = np.asarray(y)
    check_not_dates(y)
    y = as_own_dtype(y)
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    with warnings.catch_warnings(), np.errstate(invalid="ignore"):  # it casts to integers, also what is beyond them
        warnings.filterwarnings("ignore", message="The number of unique classes")  # of which the rule below decides
        found = type_of_target(y, input_name="y")
    if found not in _KIND_OF:
        raise ValueError(
            f"Unknown label type: y is {found!r}, of dtype {y.dtype}; expected numbers, strings or booleans, one a row "
            "and output. Convert it."
        )
    kind = _KIND_OF[found]
    if kind == "multiclass" and y.dtype.kind in "iuf":  # its floats are whole numbers, or they would be continuous
        counts = tuple(len(np.unique(column)) for column in (y.T if y.ndim == 2 else [y]))
        if all(_are_amounts(count, len(y) if n_rows is None else n_rows) for count in counts):
            return TargetType("continuous", counts)
    return TargetType(kind)


def _are_amounts(n_values: int, n_rows: float) -> bool:
    return n_values > MAX_CLASSES or (n_values > MAX_FEW_CLASSES and n_values > MAX_SHARE * n_rows)


def check_not_dates(y: np.ndarray) -> None:
    """Raise ValueError if an array holds dates, times of day or durations: they have no one reading as numbers."""
    if y.dtype.kind in "mM":
        value = next(iter(y[~np.isnat(y)]), np.array("NaT", dtype=y.dtype)[()])
    elif y.dtype.kind == "O":
        value = next((v for v in y.flat if _kind_of_time(v) and not is_missing(v)), None)
    else:
        return
    what = _kind_of_time(value)
    if what:
        raise ValueError(
            f"y holds {what}, such as {value} of type {type(value).__name__}; expected numbers or classes. Turn them "
            f"into numbers, such as {_NUMBERS_OF[what]}, or into strings if each is a class."
        )


_NUMBERS_OF = {
    "dates": "days since the first of them",
    "times of day": "seconds since midnight",
    "durations": "seconds",
}


def _kind_of_time(value: Any) -> str:
    """Return what a value measures, a key of `_NUMBERS_OF`, or the empty string if it is not about time."""
    if isinstance(value, (datetime.date, np.datetime64)) or _is_period(value):  # a datetime is a date
        return "dates"
    if isinstance(value, datetime.time):
        return "times of day"
    return "durations" if isinstance(value, (datetime.timedelta, np.timedelta64)) else ""


def _is_period(value: Any) -> bool:
    kind = type(value)
    return kind.__name__ == "Period" and kind.__module__.partition(".")[0] == "pandas"


def as_own_dtype(y: np.ndarray) -> np.ndarray:
    """Return an array of objects that are all bool, all str or all numbers as one of that dtype; others as they are."""
    if y.dtype.kind != "O":
        return y
    values = y.ravel()
    if all(isinstance(v, (bool, np.bool_)) for v in values):
        return y.astype(bool)
    if all(isinstance(v, str) for v in values):
        return y.astype(str)
    if all(isinstance(v, (Real, Decimal)) and not isinstance(v, (bool, np.bool_)) for v in values):
        numbers = np.array(y.tolist())
        try:
            return numbers if numbers.dtype.kind != "O" else y.astype(np.float64)  # fractions, integers beyond 64 bits
        except OverflowError:
            raise ValueError("y holds whole numbers beyond float64, which ends at 1.8e308; scale y first.") from None
    return y


def is_missing(value: Any) -> bool:
    """Whether a value of y is None, NaN, NaT or pandas' NA."""
    equal = value == value
    return value is None or not isinstance(equal, (bool, np.bool_)) or not equal
