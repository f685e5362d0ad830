"""The target of a comparison: its values, amounts or classes, and which classes there are rows enough of."""

import numpy as np

from skembed.compare._columns import LARGEST, as_levels, is_huge, to_numbers
from skembed.compare._read import InputError
from skembed.data.target_type import infer_target_type

_MAX_CLASSES = 100  # above it a target of text is a name, and one-vs-rest scores take hours


def read_target(column, name, task, notes):
    """The target with missing values as nan or None, and "regression" or "classification"; a guess is noted."""
    import pandas as pd

    if column.notna().sum() == 0:
        raise InputError(f'target "{name}" has no values.')
    numbers, _ = to_numbers(column)
    if numbers is not None:
        numbers = np.where(np.isfinite(numbers), numbers, np.nan)
        if task != "classification" and is_huge(numbers):
            raise InputError(
                f'target "{name}" holds numbers beyond {LARGEST:g}, of which no score can be computed: leave these '
                "rows out or scale it."
            )
    if task == "auto":
        task = "classification"
        if numbers is not None:
            inferred = infer_target_type(numbers[~np.isnan(numbers)])
            task = "regression" if inferred.kind == "continuous" else task
            notes.extend(
                f'"{name}" read as amounts: {n:,} distinct whole numbers (--task classification makes them classes)'
                for n in inferred.n_amounts
            )
    if task == "regression":
        if numbers is None:
            example = column.dropna().iloc[0]
            raise InputError(
                f'target "{name}" does not hold numbers (such as "{example}"): give --task classification.'
            )
        return numbers, task
    labels = as_levels(column)
    if labels.dtype == object:
        labels = labels.map(lambda label: label.strip(), na_action="ignore")
        labels = labels.where(labels != "")
        return labels.to_numpy(dtype=object, na_value=None), task
    return pd.Series(labels).to_numpy(), task


def drop_rare_classes(y, target, notes, n_min, groups=None):
    """Which rows belong to classes of at least `n_min` members, rows or groups of rows: others would miss in folds."""
    classes, codes, counts = np.unique(y, return_inverse=True, return_counts=True)
    members, one, many = (counts, "row", "rows") if groups is None else (count_groups(codes, groups), "group", "groups")
    rare = members < n_min
    if len(y) < n_min:
        raise InputError(
            f'target "{target}" has {counted(len(y), "row")}, fewer than the {n_min} that each class needs: give more '
            "rows, or a smaller --cv."
        )
    if rare.all() and groups is not None:
        raise InputError(
            f'target "{target}" has {counted(len(classes), "class", "classes")}, none in {n_min} groups, one for each '
            "fold: name another --group, or give a smaller --cv."
        )
    if rare.all():
        raise InputError(
            f'target "{target}" has {len(classes):,} classes, none with {n_min} rows: it looks like a name of the row. '
            "Give another --target, or --task regression if it holds numbers."
        )
    if rare.any():
        shown = ", ".join(f'"{c}"' for c in classes[rare][:5]) + (" ..." if rare.sum() > 5 else "")
        notes.append(
            f"{counted(rare.sum(), 'class', 'classes')} of fewer than {n_min} {many} left out "
            f"({counted(counts[rare].sum(), 'row')}): {shown}"
        )
    if rare.any() and rare.sum() == len(classes) - 1:
        raise InputError(
            f'target "{target}" has one class of {n_min} {many} or more ("{classes[~rare][0]}"), and {shown} of fewer: '
            f"a class needs a {one} for each fold. Give more rows, or a smaller --cv."
        )
    return ~rare[codes]


def count_groups(codes, groups):
    """The groups that each class is met in, (n_classes,), from the class and the group of each row."""
    met = np.unique(np.stack([codes.ravel(), groups]), axis=1)
    return np.bincount(met[0])


def binary_or_multiclass(y, target):
    classes = np.unique(y)
    if len(classes) == 1:
        raise InputError(f'target "{target}" has one class only ("{classes[0]}"): nothing to predict.')
    if len(classes) > _MAX_CLASSES:
        raise InputError(
            f'target "{target}" has {len(classes):,} classes, at most {_MAX_CLASSES} are compared: '
            "give another --target, or --task regression if it holds numbers."
        )
    return "binary" if len(classes) == 2 else "multiclass"


def as_targets(y, task):
    if task == "regression":
        return y[:, None]
    return (y[:, None] == np.unique(y)).astype(float)


def counted(n, one, many=None):
    return f"{n:,} {one if n == 1 else many or one + 's'}"
