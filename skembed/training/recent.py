"""Recent results of one process, held in memory up to a number of bytes: the one that was used last goes last."""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import fields, is_dataclass
from threading import Lock
from typing import Any

import numpy as np

__all__ = ["Recent", "size_in_bytes"]

OBJECT_BYTES = 200  # of a string among keys and its place in their index, roughly


class Recent:
    """A mapping that forgets what was not asked for longest once its values are too large together.

    Threads may share one. In a forked process it is a copy, in a spawned one it is empty.

    Parameters
    ----------
    limit : int
        Bytes of all values. A larger value is not kept.

    Examples
    --------
    >>> recent = Recent(limit=100)
    >>> for key in "abc":
    ...     recent.put(key, np.zeros(5), 40)
    >>> [key for key in "abc" if recent.get(key) is not None]
    ['b', 'c']
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._values: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._lock = Lock()

    def get(self, key: Hashable) -> Any:
        """Return the value of a key, None if there is none; whoever gets it is not to change it."""
        with self._lock:
            if key not in self._values:
                return None
            self._values.move_to_end(key)
            return self._values[key][0]

    def put(self, key: Hashable, value: Any, size: int) -> None:
        """Keep a value of so many bytes, and forget others if need be."""
        with self._lock:
            self._values.pop(key, None)
            if size <= self.limit:
                self._values[key] = value, size
            while sum(size for _, size in self._values.values()) > self.limit:
                self._values.popitem(last=False)

    def drop(self, key: Hashable) -> None:
        """Forget a value, if it is there."""
        with self._lock:
            self._values.pop(key, None)

    def __len__(self) -> int:
        return len(self._values)


def size_in_bytes(value: Any) -> int:
    """Return about how many bytes the arrays of a value take, those within its parts too."""
    if isinstance(value, np.ndarray):
        return value.nbytes + (OBJECT_BYTES * value.size if value.dtype.kind == "O" else 0)
    if is_dataclass(value):
        return sum(size_in_bytes(getattr(value, field.name)) for field in fields(value))
    if isinstance(value, dict):
        return sum(map(size_in_bytes, value.values()))
    if isinstance(value, (list, tuple, set)):
        return sum(map(size_in_bytes, value))
    parts = getattr(value, "__dict__", {})
    parts = parts | {name: getattr(value, name) for name in getattr(value, "__slots__", ()) if name[0] != "_"}
    return size_in_bytes(parts) if parts else OBJECT_BYTES
