"""Cases that are beginnings of others, laid on one another, so that a net goes over each event once."""

from typing import NamedTuple

import numpy as np

from skembed.data.cases import Cases

__all__ = ["Overlaid", "overlay"]


class Overlaid(NamedTuple):
    """Cases laid on the longest of them.

    Attributes
    ----------
    longest : ndarray of shape (n_longest,), int64
        Cases that no other goes on from.
    which : ndarray of shape (n_cases,), int64
        The place in `longest` that each case lies on; its events are the first ones there.
    """

    longest: np.ndarray
    which: np.ndarray


def overlay(cases: Cases, *, merge_equal: bool) -> Overlaid:
    """Lay cases on longer ones that begin alike, in events and plain columns.

    Parameters
    ----------
    cases : Cases
    merge_equal : bool
        Whether equal cases lie on one another. For learning they do not: each is then an example of its own.

    Returns
    -------
    Overlaid

    Examples
    --------
    >>> ids = np.array([[1], [1], [2], [2]], dtype=np.int32)
    >>> nothing = np.empty((3, 0), dtype=np.int32)
    >>> cases = Cases(np.array([0, 1, 3, 4]), ids, np.empty((4, 0), np.float32), nothing, nothing.astype(np.float32))
    >>> overlay(cases, merge_equal=True)
    Overlaid(longest=array([1, 2]), which=array([0, 0, 1]))
    """
    events = _codes(cases.ids, cases.places)
    starts = _codes(cases.case_ids, cases.case_places)
    width = events.itemsize
    everything, bounds = events.tobytes(), (cases.indptr * width).tolist()
    keys = [start + everything[begin:stop] for start, begin, stop in zip(_split(starts), bounds, bounds[1:])]
    which = np.empty(len(keys), dtype=np.int64)
    longest: list[int] = []
    # what a case may go on from: keys, each a beginning of the next, and the places in `longest` of their cases
    open_: list[tuple[bytes, list[int]]] = []
    for case in sorted(range(len(keys)), key=keys.__getitem__):
        key = keys[case]
        while open_ and not key.startswith(open_[-1][0]):
            open_.pop()
        if not open_ or open_[-1][0] != key:
            open_.append((key, []))
        equal = open_[-1][1]
        if merge_equal and equal:
            place = equal.pop()
        elif len(open_) > 1:
            place = open_[-2][1].pop()
            if not open_[-2][1]:
                del open_[-2]
        else:
            place = len(longest)
            longest.append(case)
        longest[place] = case
        which[case] = place
        equal.append(place)
    return Overlaid(np.array(longest, dtype=np.int64), which)


def _codes(ids: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return a number for each distinct row, big-endian, so that bytes sort as rows would."""
    rows = np.hstack([ids.astype(np.int32), np.ascontiguousarray(places, dtype=np.float32).view(np.int32)])
    if not rows.shape[1]:
        return np.zeros(len(rows), dtype=">u4")
    packed = np.ascontiguousarray(rows).view(np.dtype((np.void, 4 * rows.shape[1]))).ravel()
    return np.unique(packed, return_inverse=True)[1].reshape(-1).astype(">u4")


def _split(codes: np.ndarray) -> list[bytes]:
    packed, width = codes.tobytes(), codes.itemsize
    return [packed[i : i + width] for i in range(0, len(packed), width)]
