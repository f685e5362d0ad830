"""Choices of a display: fields, how many points, labels and links; and what it says of itself."""

from collections.abc import Mapping
from numbers import Integral
from typing import Any

import numpy as np

from skembed.inspection._display_points import Points
from skembed.inspection._palette import Field
from skembed.inspection.labels import label_order
from skembed.inspection.plane import MAX_POINTS, MAX_POINTS_OF_OTHERS, Layout, Trust
from skembed.table.keys import key_list

_N_LABELS = 40  # more than these make a picture of words a page of text


def choose_fields(fields: Any, **parameters: Any) -> tuple[dict[str, Any], dict[str, str | None]]:
    """All values by name, and for each of `parameters` (color, size) the name of the field that it stands for."""
    given = _named(fields)
    chosen: dict[str, str | None] = {}
    for parameter, values in parameters.items():
        if isinstance(values, str) and values not in given:
            names = f"the fields are {', '.join(map(repr, given))}" if given else "no fields were given"
            raise ValueError(f"{parameter}={values!r} names no field; {names}. Pass fields=, a dict or a sequence.")
        if values is not None and not isinstance(values, str):
            name = str(getattr(values, "name", None) or parameter)
            name = name if name not in given else f"{name} ({parameter})"
            given[name], values = values, name
        chosen[parameter] = values
    return given, chosen


def _named(fields: Any) -> dict[str, Any]:
    """A dict or a data frame of values as a dict of its columns."""
    if fields is None:
        return {}
    if hasattr(fields, "columns") and hasattr(fields, "__getitem__"):
        return {str(name): fields[name] for name in fields.columns}
    if not isinstance(fields, Mapping):
        raise TypeError(f"fields must be a dict of names to values or a data frame, got {type(fields).__name__}.")
    return {str(name): values for name, values in fields.items()}


def most_points(max_points: Any, method: Any) -> int:
    """How many points at most; "auto" as many as the method lays out in about a minute."""
    if isinstance(max_points, str) and max_points == "auto":
        return MAX_POINTS.get(method, MAX_POINTS_OF_OTHERS) if isinstance(method, str) else MAX_POINTS_OF_OTHERS
    if not isinstance(max_points, Integral) or isinstance(max_points, bool) or max_points < 1:
        raise ValueError(f"max_points must be a positive int or 'auto', got {max_points!r}.")
    return int(max_points)


def labelled(points: Points, label: Any) -> tuple[list, int]:
    """Keys that alone may be labelled (empty: any), and how many labels of points there are at most."""
    if isinstance(label, str) and label != "groups":
        raise ValueError(f"label must be a bool, an int, 'groups' or a list of keys, got {label!r}.")
    if label is None or label is False or isinstance(label, str):
        return [], 0
    if label is True:
        return [], _N_LABELS
    if isinstance(label, Integral):
        if label < 0:
            raise ValueError(f"label must not be negative, got {label!r}.")
        return [], int(label)
    keys = points.check(label, "label")
    return keys, len(keys)


def link_groups(links: Any) -> dict[str, list[tuple]]:
    """Links as a dict from the name of a group to its pairs of canonical keys; no name where none was given."""
    groups: Mapping[Any, Any] = links if isinstance(links, Mapping) else {"": () if links is None else links}
    pairs: dict[str, list[tuple]] = {}
    for name, group in groups.items():
        pairs[str(name)] = []
        for pair in group.to_numpy() if hasattr(group, "to_numpy") else group:
            if not isinstance(pair, tuple | list | np.ndarray) or len(pair) != 2:
                raise ValueError(f"links must be pairs (from, to) of keys, got {pair!r}.")
            pairs[str(name)].append(tuple(key_list(pair)))
    return pairs


def order_labels(coordinates: np.ndarray, size: Field | None, wanted: list, linked: list, place: dict) -> np.ndarray:
    """Points that may be labelled, the most important first: those of `wanted` alone, else the ends of links, then all.

    `place` is the row of each key.
    """
    if wanted:
        return np.array([place[key] for key in dict.fromkeys(wanted)], dtype=np.int64)
    first = np.array([place[key] for key in dict.fromkeys(linked)], dtype=np.int64)
    rest = label_order(coordinates, None if size is None or size.numbers is None else np.nan_to_num(size.numbers))
    return np.concatenate([first, rest[~np.isin(rest, first)]])


def describe(layout: Layout, trust: Trust | None, n_keys: int, shape: tuple[int, int], metric: str) -> str:
    """The caption: what is shown of how much, and what share of the structure the layout keeps."""
    of_all = f" of {n_keys:,}" if shape[0] < n_keys else ""
    units = " at unit length" if metric == "cosine" else ""
    parts = [f"{layout.name} of {shape[0]:,}{of_all} keys, {shape[1]:,} dimensions{units}"]
    if layout.variance_share is not None:
        parts.append(f"{100 * layout.variance_share:.0f} % of the variance is shown")
    if trust is not None:
        sample = f" of {trust.n_sampled:,} of the points" if trust.n_sampled < shape[0] else ""
        parts.append(f"trustworthiness {trust.value:.2f} ({trust.n_neighbors} neighbours{sample})")
    return "; ".join(parts)
