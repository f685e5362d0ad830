"""Columns that are left out of a comparison: they say nothing, or name the row."""

from skembed.compare._columns import is_row_number, to_numbers

_NAME_SHARE = 0.95  # of distinct values among rows, from which on text is a name of the row
_FREE_TEXT_LENGTH, _FREE_TEXT_SHARE = 60, 0.5  # mean characters and share of distinct values of free text


def leave_out(table, keep):
    """Drop columns that say nothing, or that name the row; return the rest and the reasons."""
    reasons = {}
    for name in table.columns:
        reason = None if name in keep else _reason_to_leave_out(table[name])
        if reason:
            reasons[name] = reason
    return table.drop(columns=list(reasons)), reasons


def _reason_to_leave_out(column):
    values = column.dropna()
    if values.empty:
        return "empty"
    held = held_type(values, _is_level)
    if held:
        return f"holds values of type {held}"
    n_levels = values.nunique()
    if n_levels == 1 and len(values) == len(column):
        return f"always {_shorten(values.iloc[0])}"
    numbers, how = to_numbers(column)
    if numbers is not None:
        return "different in every row, like a row number" if not how and is_row_number(numbers) else None
    if len(values) < 20:
        return None  # too few rows to tell a name from a category
    if n_levels == len(column):
        return "different in every row"
    if n_levels > _NAME_SHARE * len(values):
        return "different in nearly every row"
    if n_levels > _FREE_TEXT_SHARE * len(values) and values.astype(str).str.len().mean() > _FREE_TEXT_LENGTH:
        return "free text"
    return None


def held_type(values, fits):
    """The type of the first value among objects that does not fit; None if there is none."""
    import pandas as pd

    if values.dtype == object or isinstance(values.dtype, getattr(pd, "ArrowDtype", ())):
        return next((type(value).__name__ for value in values.iloc[:1000] if not fits(value)), None)
    return None


def is_hashable(value):
    try:
        hash(value)
    except TypeError:
        return False
    return True


def _is_level(value):
    return is_hashable(value) and not isinstance(value, bytes)


def _shorten(value, n_max=30):
    text = str(value)
    return text if len(text) <= n_max else text[: n_max - 1] + "\u2026"
