"""Points of a display: the keys of a table that it shows, and values that people give for them, in any container."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from skembed.data.canonical import canonical_key
from skembed.data.columns import indexed_values
from skembed.inspection._palette import Field
from skembed.inspection._words import check_table
from skembed.table import EmbeddingTable
from skembed.table.keys import hashable, key_list


class Points:
    """Rows of a table that are shown, and how values given for the table become values of these rows.

    Parameters
    ----------
    table : EmbeddingTable
    keys : sequence of keys or None
        What to show, in this order; None: chosen by `limit`.
    """

    def __init__(self, table: EmbeddingTable, keys: Any = None):
        check_table(table)
        if not len(table):
            raise ValueError("table must have keys to show, got an empty one.")
        self.table = table
        self.given = None if keys is None else key_list(keys, "keys")
        if self.given is not None and not self.given:
            raise ValueError("keys must name at least one key to show, got none.")
        self.place = {key: row for row, key in enumerate(table.keys.tolist())}
        self.rows = np.arange(len(table))
        if self.given is not None:
            table.subset(self.given)  # names keys that are not there or repeat
            self.rows = np.array([self.place[key] for key in self.given])

    def limit(self, max_points: int, size: Any, wanted: list) -> None:
        """Keep the largest by the values `size`, else the first, and in any case the keys of `wanted`."""
        if len(self.rows) <= max_points:
            return
        order = np.arange(len(self.rows))
        if size is not None:
            numbers = self.field(size, "size", {"size": "size"}).numbers
            order = np.argsort(-np.nan_to_num(numbers, nan=-np.inf), kind="stable")
        wanted_rows = {self.place[key] for key in wanted}
        first = [i for i, row in enumerate(self.rows.tolist()) if row in wanted_rows] if wanted_rows else []
        kept = list(dict.fromkeys([*first, *order[:max_points].tolist()]))[: max(max_points, len(first))]
        self.rows = self.rows[np.sort(np.array(kept))]

    def check(self, keys: Any, name: str) -> list:
        """The canonical keys of a list that must all be in the table."""
        keys = key_list(keys, name)
        unseen = [key for key in keys if key not in self.place]
        if unseen:
            raise KeyError(f"{name}: {', '.join(map(repr, unseen[:5]))} not among the {len(self.place)} keys of table.")
        return keys

    def field(self, values: Any, name: str, chosen: dict[str, str | None]) -> Field:
        """Values for the rows shown: by key from a mapping or an indexed Series, by position from a sequence.

        `chosen` holds the names of the fields that give "color" and "size"; the latter is of numbers, none negative.
        """
        parameter = next((parameter for parameter, field in chosen.items() if field == name), f"fields[{name!r}]")
        field = Field.of(name, self._of_rows(values, parameter), as_numbers=chosen.get("size") == name)
        if chosen.get("size") == name and (field.numbers < 0).any():
            raise ValueError(f"size must not be negative, got {field.numbers[field.numbers < 0][0]}.")
        return field

    def _of_rows(self, values: Any, parameter: str) -> list:
        by_key = _mapping(values)
        if by_key is not None:
            found = [by_key.get(key) for key in self.table.keys[self.rows].tolist()]
            if by_key and all(value is None for value in found):
                raise ValueError(
                    f"{parameter} has a value for none of the {len(found)} keys shown; its keys are like "
                    f"{next(iter(by_key))!r}, the table's like {self.table.keys[self.rows[0]]!r}."
                )
            return found
        if isinstance(values, str | bytes) or not hasattr(values, "__len__"):
            raise TypeError(f"{parameter} must be a sequence, a dict or a Series, got {type(values).__name__}.")
        array = values.to_numpy() if hasattr(values, "to_numpy") else values
        if getattr(array, "ndim", 1) != 1:
            raise ValueError(f"{parameter} must be one-dimensional, got an array of shape {array.shape}.")
        if self.given is not None and len(array) == len(self.given):
            at: Any = {key: i for i, key in enumerate(self.given)}
            positions = [at[key] for key in self.table.keys[self.rows].tolist()]
        elif len(array) == len(self.table):
            positions = self.rows.tolist()
        else:
            lengths = {len(self.table)} | ({len(self.given)} if self.given is not None else set())
            raise ValueError(
                f"{parameter} must have a value for each key, {' or '.join(map(str, sorted(lengths)))} in all, "
                f"got {len(array)}; a dict from key to value may leave keys out."
            )
        return [array[i] for i in positions]


def _mapping(values: Any) -> dict | None:
    """The values by key, where they come by key."""
    if isinstance(values, Mapping):
        return {canonical_key(key) if hashable(key) else key: value for key, value in values.items()}
    pairs = indexed_values(values)
    return None if pairs is None else {canonical_key(key): value for key, value in pairs}
