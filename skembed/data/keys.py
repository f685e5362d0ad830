"""Keys in an order, with the row of each, packed into three arrays where they are stored."""

from typing import Any

import numpy as np

from skembed.data.keycodes import decode_keys, encode_keys
from skembed.state import stored

__all__ = ["Keys", "smallest"]


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
    _state = {"types": np.ndarray, "lengths": np.ndarray, "text": np.ndarray, "objects": list}

    def __init__(self, array: np.ndarray, index: dict[Any, int] | None = None) -> None:
        array.flags.writeable = False
        self.array = array.view()  # of a read-only owner no view can be made writable again
        self._index = index

    def __len__(self) -> int:
        return len(self.array)

    @property
    def index(self) -> dict[Any, int]:
        """The row of each key."""
        if self._index is None:  # two threads may both build it: they build the same
            self._index = dict(zip(self.array.tolist(), range(len(self.array))))
        return self._index

    def __getstate__(self) -> dict[str, Any]:
        """The type of each key, or the one that all have, how many bytes each takes, and the bytes.

        Keys of types that files cannot hold travel as objects.
        """
        try:
            types, offsets, text = encode_keys(self.array)
        except TypeError:
            return {"objects": self.array.tolist()}
        if len(types) and (types == types[0]).all():
            types = types[:1]
        return {"types": types, "lengths": smallest(np.diff(offsets)), "text": np.frombuffer(text, dtype=np.uint8)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        if "objects" in state:
            keys = state["objects"]
        else:
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
