"""Tables of the parameter `init` as the starts of columns: read, by path too, and put in the order of the levels."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from skembed.data.vocabulary import Vocabulary
from skembed.table import EmbeddingTable

__all__ = ["read_init", "vectors_from_init"]


def read_init(init: Mapping[str, Any] | None, names: list[str]) -> dict[str, EmbeddingTable]:
    """Return the tables of `init`, those named by a path loaded.

    Raises
    ------
    ValueError
        If it names a column that is not a categorical column of X.
    TypeError
        If a value is neither a table nor a path.
    """
    tables = {}
    for name, table in (init or {}).items():
        if name not in names:
            raise ValueError(f"init names {name!r}, which is not a categorical column of X; they are {names!r}.")
        if isinstance(table, (str, os.PathLike)):
            table = EmbeddingTable.load(table)
        if not isinstance(table, EmbeddingTable):
            raise TypeError(
                f"init[{name!r}] is of type {type(table).__name__}; expected an EmbeddingTable or the path of its file."
            )
        tables[name] = table
    return tables


def vectors_from_init(
    tables: Mapping[str, EmbeddingTable], names: list[str], vocabularies: list[Vocabulary]
) -> dict[int, np.ndarray]:
    """Return the starts that tables give, by column number, row 0 for the unknown level.

    Raises
    ------
    ValueError
        If a table shares no level with its column.
    """
    starts = {}
    for name, table in tables.items():
        c = names.index(name)
        keys = list(vocabularies[c].keys)
        if keys and not any(key in table for key in keys):
            raise ValueError(
                f"init[{name!r}] shares no key with column {name!r}: the table has keys such as "
                f"{table.keys[:3].tolist()!r}, the column {keys[:3]!r}. Give a table of this column's levels."
            )
        unknown = table.vectors.mean(axis=0) if table.unknown is None else table.unknown
        starts[c] = np.vstack([unknown[None], table.lookup(keys, default=unknown)]).astype(np.float32)
    return starts
