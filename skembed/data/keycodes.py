"""Keys as bytes: one type code and one run of bytes a key, with exactly one spelling for each key."""

import datetime
import decimal
import uuid
from collections.abc import Callable
from typing import Any

import numpy as np

from skembed.data.canonical import canonical_key

KEYS_AT_ONCE = 1 << 16
_UNITS = ("ns", "ps", "fs", "as", "us", "ms", "s", "m", "h", "D", "W", "M", "Y")
_FINE_UNITS = _UNITS[:4]  # each a thousandth of the one before, of which Python's times hold none
_MICROSECOND = datetime.timedelta(microseconds=1)


def _only(value: Any, spelling: str) -> Callable[[str], Any]:
    def decode(text: str) -> Any:
        if text != spelling:
            raise ValueError(f"expected {spelling!r}")
        return value

    return decode


def _bool(text: str) -> bool:
    return {"False": False, "True": True}[text]


def _decimal(text: str) -> decimal.Decimal:
    try:
        key = decimal.Decimal(text)
    except decimal.InvalidOperation as error:
        raise ValueError("no decimal number") from error
    if key.is_nan():
        raise ValueError("expected a number")
    return key


def _of_numpy(key: Any) -> str:
    """Spell a time that is finer than Python's by its unit and number."""
    return f"{np.datetime_data(key.dtype)[0]} {key.astype(np.int64)}"


def _to_numpy(make: Any) -> Callable[[str], Any]:
    def decode(text: str) -> Any:
        unit, _, number = text.partition(" ")
        if unit not in _UNITS:
            raise ValueError(f"expected one of the units {', '.join(_UNITS)}")
        return make(int(number), unit)

    return decode


def _canonical(key: Any, text: str) -> Any:
    """Return the canonical form of a key that is spelled so; ValueError where a time of numpy has another spelling."""
    if not isinstance(key, np.datetime64 | np.timedelta64):
        return canonical_key(key)
    unit, _, number = text.partition(" ")
    if unit in _FINE_UNITS and int(number) % 1000 and not np.isnat(key):
        return key  # no coarser unit holds it, which numpy takes 40 microseconds to tell
    found = canonical_key(key)
    if not isinstance(found, np.generic) or _of_numpy(found) != text:
        raise ValueError("another spelling of the same key")
    return found


# type -> (code, key to text, text to key). The codes are part of the file format: add, never change.
_CODES: dict[type, tuple[int, Callable[[Any], str], Callable[[str], Any]]] = {
    type(None): (0, lambda key: "", _only(None, "")),
    bool: (1, str, _bool),
    int: (2, str, int),
    float: (3, float.hex, float.fromhex),
    str: (4, str, str),
    bytes: (5, lambda key: key.decode("latin-1"), lambda text: text.encode("latin-1")),
    datetime.datetime: (6, datetime.datetime.isoformat, datetime.datetime.fromisoformat),
    datetime.timedelta: (7, lambda key: str(key // _MICROSECOND), lambda text: int(text) * _MICROSECOND),
    decimal.Decimal: (8, str, _decimal),
    uuid.UUID: (9, str, uuid.UUID),
    np.datetime64: (10, _of_numpy, _to_numpy(np.datetime64)),
    np.timedelta64: (11, _of_numpy, _to_numpy(np.timedelta64)),
}
_STR = _CODES[str][0]
_DECODERS = {code: (encode, decode) for code, encode, decode in _CODES.values()}


def encode_keys(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray, bytes]:
    """Type codes uint8 (n,), offsets int64 (n + 1,) and the bytes of all keys; TypeError names a key of another type.

    Examples
    --------
    >>> codes, offsets, blob = encode_keys(np.array(["Köln", None, 7], dtype=object))
    >>> codes.tolist(), offsets.tolist(), blob.decode()
    ([4, 0, 2], [0, 5, 5, 6], 'Köln7')
    """
    if len(keys) and set(map(type, keys)) == {str}:
        return _encode_texts(keys.tolist())
    codes = np.empty(len(keys), dtype=np.uint8)
    spelled = []
    for row, key in enumerate(keys):
        if type(key) not in _CODES:
            raise TypeError(
                f"keys in a file must be str, int, float, Decimal, bool, bytes, UUID, times or None, got {key!r} "
                f"of type {type(key).__name__} (row {row}). Build the table with other keys to save it: "
                "EmbeddingTable([str(key) for key in table], table.vectors)."
            )
        codes[row], encode, _ = _CODES[type(key)]
        spelled.append(encode(key).encode("utf-8", "surrogatepass"))
    return codes, _offsets(spelled), b"".join(spelled)


def _encode_texts(texts: list[str]) -> tuple[np.ndarray, np.ndarray, bytes]:
    """The same of keys that are all strings: at once where they are ASCII, whose characters are bytes."""
    codes, joined = np.full(len(texts), _STR, dtype=np.uint8), "".join(texts)
    if joined.isascii():
        return codes, _offsets(texts), joined.encode()
    spelled = [text.encode("utf-8", "surrogatepass") for text in texts]
    return codes, _offsets(spelled), b"".join(spelled)


def _offsets(spelled: list) -> np.ndarray:
    offsets = np.zeros(len(spelled) + 1, dtype="<i8")
    np.cumsum(np.fromiter(map(len, spelled), np.int64, len(spelled)), out=offsets[1:])
    return offsets


def decode_keys(codes: np.ndarray, offsets: np.ndarray, blob: bytes, *, canonical: bool = True) -> list[Any]:
    """The keys in canonical form, or values as they were encoded; ValueError says what is wrong with which.

    Examples
    --------
    >>> decode_keys(np.uint8([4, 2]), np.int64([0, 5, 6]), "Köln7".encode())
    ['Köln', 7]
    """
    if offsets[0] != 0 or offsets[-1] != len(blob) or (np.diff(offsets) < 0).any():
        raise ValueError(f"key_offsets: expected to rise from 0 to the {len(blob)} bytes of key_bytes, they do not")
    if (codes == _STR).all() and (texts := _decode_texts(offsets, blob)) is not None:
        return texts
    keys: list[Any] = []
    bounds = offsets.tolist()
    for row, code in enumerate(codes.tolist()):
        spelling = blob[bounds[row] : bounds[row + 1]]
        try:
            text = spelling.decode("utf-8", "surrogatepass")
            if code == _STR:
                keys.append(text)
                continue
            encode, decode = _DECODERS[code]
            key = decode(text)
            if encode(key) != text:
                raise ValueError("another spelling of the same key")
            keys.append(_canonical(key, text) if canonical else key)
        except (ValueError, KeyError, OverflowError, UnicodeError) as error:
            raise ValueError(
                f"key_bytes: no key of type code {code} in {spelling[:40]!r} (row {row}): {error!r}"
            ) from None
    return keys


def _decode_texts(offsets: np.ndarray, blob: bytes) -> list[str] | None:
    """Keys that are all strings, decoded at once; None if one is not UTF-8, or there is no byte to part them by."""
    separator = next((byte for byte in range(128) if byte not in blob), None)
    n_keys = len(offsets) - 1
    if separator is None or not n_keys:
        return None
    texts: list[str] = []
    for first in range(0, n_keys, KEYS_AT_ONCE):
        bounds = offsets[first : first + KEYS_AT_ONCE + 1]
        lengths, chunk = np.diff(bounds), np.frombuffer(blob, np.uint8)[bounds[0] : bounds[-1]]
        # behind each key a byte that no key has; within a character it makes that, too, something that is not UTF-8
        spread = np.full(len(chunk) + len(lengths), separator, np.uint8)
        spread[np.arange(len(chunk)) + np.repeat(np.arange(len(lengths)), lengths)] = chunk
        try:
            texts += spread[:-1].tobytes().decode("utf-8", "surrogatepass").split(chr(separator))
        except UnicodeDecodeError:
            return None
    return texts
