"""Columns in every kind of container."""

import numpy as np
import pytest

FRAMES = ["pandas", "polars", "pyarrow", "numpy", "list"]


def make_frame(kind: str, columns: dict):
    """Put columns, a dict from name to values, into one kind of container; skip where its package is missing.

    Arrays and lists hold objects and lose the names.
    """
    if kind in ("numpy", "list"):
        stacked = np.empty((len(next(iter(columns.values()))), len(columns)), dtype=object)
        for i, values in enumerate(columns.values()):
            stacked[:, i] = list(values)
        return stacked if kind == "numpy" else stacked.tolist()
    package = pytest.importorskip(kind)
    if kind == "pyarrow":
        return package.table({name: list(values) for name, values in columns.items()})
    return package.DataFrame({name: list(values) for name, values in columns.items()})
