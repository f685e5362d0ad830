"""Records of a word, one byte that ends it and never stands in it, and numbers of so many bytes: found as arrays."""

from collections.abc import Callable
from functools import partial

import numpy as np

from skembed.formats._errors import FormatError
from skembed.formats._rows import decode_key

MAX_WORD = 1 << 16  # bytes; longer than any word, and short enough to be looked for in a file of anything else


def find_records(
    buffer: bytes, terminator: int, size: int, most: int, too_long: Callable[[int], FormatError]
) -> tuple[np.ndarray, np.ndarray]:
    """Where the words of the whole records in a buffer begin and end.

    Numbers may have bytes like the terminator, too. So for every such byte it is found out at once where the next word
    would end if this one ended a word; from the first word on that is a chain to be followed.

    Parameters
    ----------
    buffer : bytes
        Begins with a record.
    terminator : int
        The byte behind a word.
    size : int
        Of the numbers that follow it, in bytes.
    most : int
        No more records than these are looked for.
    too_long : callable
        Makes the error for a word of MAX_WORD bytes or more, from where it begins; whether or not it has ended.

    Returns
    -------
    begins, ends : ndarray of shape (n_records,), int64
        ``buffer[begins[i]:ends[i]]`` is a word; the next record begins at ``ends[i] + 1 + size``.

    Examples
    --------
    >>> begins, ends = find_records(b"Ulm:1234Graz:56:8Be", ord(":"), 4, 9, too_long=FormatError)
    >>> begins.tolist(), ends.tolist()
    ([0, 8], [3, 12])
    """
    places = np.flatnonzero(np.frombuffer(buffer, np.uint8) == terminator)
    stops = places + (1 + size)
    following = np.searchsorted(places, stops)
    n_whole = int(np.searchsorted(stops, len(buffer), side="right"))
    jump = np.append(np.minimum(following[:n_whole], n_whole), n_whole)  # from one link to the next, then 2, 4, 8
    chain = np.zeros(1, np.int64)
    while chain[-1] < n_whole:
        chain, jump = np.concatenate([chain, jump[chain]]), jump[jump]
    chain = chain[: min(most, int(np.searchsorted(chain, n_whole)))]
    begins, ends = np.append(0, stops[chain]), places[chain]
    if len(chain) < most:  # one more has begun
        at = int(following[chain[-1]]) if len(chain) else 0
        ends = np.append(ends, places[at] if at < len(places) else len(buffer))
    wrong = np.flatnonzero(ends - begins[: len(ends)] >= MAX_WORD)
    if len(wrong):
        raise too_long(int(begins[wrong[0]]))
    return begins[: len(chain)], ends[: len(chain)]


class Words:
    """Words as one run of bytes, which takes far less memory than an object for each.

    Parameters
    ----------
    blob : bytes
        The words, each with the terminator behind it.
    bounds : ndarray of shape (n_words + 1,), int64
        Word i and its terminator are ``blob[bounds[i]:bounds[i + 1]]``.
    """

    def __init__(self, blob: bytes, bounds: np.ndarray):
        self.blob, self.bounds = blob, bounds

    @classmethod
    def cut(cls, buffer: bytes, begins: np.ndarray, ends: np.ndarray) -> "Words":
        """The words that `find_records` found."""
        bounds = np.append(0, np.cumsum(ends + 1 - begins))
        places = np.arange(bounds[-1])
        places += np.repeat(begins - bounds[:-1], np.diff(bounds))
        return cls(np.frombuffer(buffer, np.uint8)[places].tobytes(), bounds)

    @classmethod
    def join(cls, parts: list["Words"]) -> "Words":
        lengths = np.concatenate([np.zeros(1, np.int64), *(np.diff(part.bounds) for part in parts)])
        return cls(b"".join(part.blob for part in parts), np.cumsum(lengths))

    def __len__(self) -> int:
        return len(self.bounds) - 1

    def __getitem__(self, i: int) -> bytes:
        return self.blob[self.bounds[i] : self.bounds[i + 1] - 1]

    def part(self, start: int, stop: int) -> "Words":
        return Words(
            self.blob[self.bounds[start] : self.bounds[stop]], self.bounds[start : stop + 1] - self.bounds[start]
        )

    def take(self, rows: np.ndarray) -> list[bytes]:
        return [self[row] for row in rows.tolist()]

    def decode(self, errors: str, where: Callable[[int, str], FormatError]) -> list[str]:
        """As strings, of UTF-8; `where(i, message)` makes the error for one that is not."""
        if not len(self):
            return []
        try:
            # the terminator is one byte of ASCII, which is no part of any other character
            return self.blob[:-1].decode("utf-8").split(chr(self.blob[-1]))
        except UnicodeDecodeError:
            return [decode_key(self[i], errors, partial(where, i)) for i in range(len(self))]
