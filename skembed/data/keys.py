"""Keys in an order, with the row of each, packed into three arrays where they are stored."""

import zlib
from collections.abc import Iterable
from typing import Any

import numpy as np

from skembed.data.keycodes import decode_keys, encode_keys
from skembed.state import check_state, stored

__all__ = ["Keys", "deflated", "inflated", "smallest"]


@stored
class Keys:
    """Unique keys in canonical form; several tables and vocabularies may share one.

    Parameters
    ----------
    array : ndarray of shape (n_keys,), object
        Made read-only.
    index : dict, optional
        The row of each key, where it is known.

    Examples
    --------
    >>> keys = Keys(np.array(["Ulm", None], dtype=object))
    >>> len(keys), keys.index
    (2, {'Ulm': 0, None: 1})
    """

    __slots__ = ("_index", "array")
    _state = {
        "types": np.ndarray,
        "lengths": np.ndarray,
        "text": np.ndarray,
        "ids": np.ndarray,
        "numbers": np.ndarray,
        "objects": list,
    }

    def __init__(self, array: np.ndarray, index: dict[Any, int] | None = None) -> None:
        array.flags.writeable = False
        self.array = array.view()  # of a read-only owner no view can be made writable again
        self._index = index

    @classmethod
    def of(cls, keys: Iterable[Any]) -> "Keys":
        """The keys of any iterable, which are unique and in canonical form."""
        return cls(np.array([*keys, None], dtype=object)[:-1].copy())

    def __len__(self) -> int:
        return len(self.array)

    @property
    def index(self) -> dict[Any, int]:
        """The row of each key."""
        if self._index is None:  # two threads may both build it: they build the same
            self._index = dict(zip(self.array.tolist(), range(len(self.array))))
        return self._index

    def __copy__(self) -> "Keys":
        return self  # never changes, and what shares it, as a column and its table, goes on doing so

    def __deepcopy__(self, memo: dict) -> "Keys":
        return self

    def __getstate__(self) -> dict[str, Any]:
        """The type of each key, or the one that all have, how many bytes each takes, and the bytes.

        Of keys that are all ints, or all ids in decimal digits, the numbers are enough. Keys of types that files cannot
        hold travel as objects.
        """
        kinds = set(map(type, self.array))
        if kinds == {int} and min(self.array) >= -(2**63) and max(self.array) < 2**63:
            return {"numbers": smallest(self.array.astype(np.int64))}
        ids = decimal_ids(self.array) if kinds == {str} else None
        if ids is not None:
            return {"ids": ids}
        try:
            types, offsets, text = encode_keys(self.array)
        except TypeError:
            return {"objects": self.array.tolist()}
        if len(types) and (types == types[0]).all():
            types = types[:1]
        return {"types": types, "lengths": smallest(np.diff(offsets)), "text": np.frombuffer(text, dtype=np.uint8)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        check_state(Keys, state)
        if "objects" in state:
            keys = state["objects"]
        elif "ids" in state or "numbers" in state:
            numbers = state["ids"] if "ids" in state else state["numbers"]
            if len(state) > 1 or numbers.ndim != 1 or numbers.dtype.kind not in ("u" if "ids" in state else "iu"):
                raise ValueError("expected ids or numbers as a one-dimensional array of integers")
            keys = list(map(str, numbers.tolist())) if "ids" in state else numbers.tolist()
        else:
            if not {"types", "lengths", "text"} <= state.keys():
                raise ValueError(f"expected the types, lengths and text of keys, got {sorted(state)}")
            types, lengths, text = state["types"], state["lengths"], state["text"]
            fits = all(part.ndim == 1 and part.dtype.kind == "u" for part in (types, lengths, text))
            if not fits or len(types) not in (1, len(lengths)):
                raise ValueError("expected the types, lengths and bytes of keys as one-dimensional unsigned arrays")
            offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
            if len(lengths) and int(lengths.max()) > len(text):
                raise ValueError(f"a key of {lengths.max()} bytes among {len(text)}")
            np.cumsum(lengths, out=offsets[1:])
            keys = decode_keys(np.broadcast_to(types, lengths.shape), offsets, text.tobytes())
        try:
            index = dict(zip(keys, range(len(keys))))
        except TypeError as error:
            raise ValueError(f"expected keys that can be hashed: {error}") from None
        if len(index) < len(keys):
            raise ValueError("expected unique keys, one occurs twice")
        self.__init__(np.fromiter(keys, dtype=object, count=len(keys)), index)  # type: ignore[misc]


def decimal_ids(texts: np.ndarray) -> np.ndarray | None:
    """Return the numbers that strings spell as Python does, if all do and none is negative or beyond 32 bits."""
    if max(map(len, texts)) > 10 or not all(map(str.isdecimal, texts)) or not all(map(str.isascii, texts)):
        return None
    numbers = list(map(int, texts))
    if max(numbers) >= 2**32 or list(map(str, numbers)) != texts.tolist():  # as of "007"
        return None
    return smallest(np.array(numbers, dtype=np.int64))


def deflated(numbers: np.ndarray) -> np.ndarray:
    """Return whole numbers from 0 to 2**63, most of them small as counts are, in few bytes; uint8.

    Examples
    --------
    >>> inflated(deflated(np.array([3, 1, 1])), 3)
    array([3, 1, 1])
    """
    return np.frombuffer(zlib.compress(smallest(numbers).tobytes()), dtype=np.uint8)


def inflated(packed: np.ndarray, n_numbers: int) -> np.ndarray:
    """Return the numbers, int64 (n_numbers,); ValueError if it is not so many that were packed."""
    inflater = zlib.decompressobj()
    try:
        raw = inflater.decompress(packed.tobytes(), 8 * n_numbers + 1)
    except zlib.error as error:
        raise ValueError(f"expected {n_numbers} numbers: {error}") from None
    n_bytes = len(raw) // max(n_numbers, 1)
    if len(raw) != n_numbers * n_bytes or (n_numbers and n_bytes not in (1, 2, 4, 8)) or not inflater.eof:
        raise ValueError(f"expected {n_numbers} numbers, got {len(raw)} bytes")
    numbers = np.frombuffer(raw, dtype=f"u{n_bytes}" if n_numbers else "u1").astype(np.int64)
    if (numbers < 0).any():
        raise ValueError(f"expected {n_numbers} numbers of less than 2**63")
    return numbers


def smallest(numbers: np.ndarray) -> np.ndarray:
    """Return whole numbers of at least 0 in the smallest type that holds them, and others as they are.

    Examples
    --------
    >>> smallest(np.array([3.0, 255.0])).dtype, smallest(np.array([0.5, 3.0])).dtype
    (dtype('uint8'), dtype('float64'))
    """
    if not numbers.size:
        return numbers.astype(np.uint8)
    low, high = numbers.min(), numbers.max()
    if not (low >= 0 and high < 2**32) or (numbers.dtype.kind == "f" and (numbers != np.floor(numbers)).any()):
        return numbers
    return numbers.astype(np.min_scalar_type(int(high)))
