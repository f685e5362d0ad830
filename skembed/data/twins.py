"""Numbers whose texts are keys, too, as 1 beside "1": two keys, where often one was meant.

pandas.read_csv makes columns of both where it reads a large file in pieces, and files disagree where they are joined.
"""

from collections.abc import Iterable
from typing import Any

from skembed.data.factor import Factor
from skembed.warning import warn

__all__ = ["twin_levels", "twins_among", "warn_of_twin_levels", "warn_of_twins"]


def twins_among(keys: Iterable[Any], things: str, where: str, place: str = "") -> str | None:
    """Return what there is to say of numbers that are among the keys as text, too; None where there is none.

    Parameters
    ----------
    keys : iterable of hashables
        In canonical form.
    things : str
        What keys are: "nodes".
    where : str
        What is to be converted.
    place : str
        Where they were met: " of column 'a'".

    Examples
    --------
    >>> twins_among([1, 2, "2", "x"], "nodes", "the columns of edges")[:70]
    "1 nodes are there as a number and as text, as 2 and '2': they are two "
    """
    keys = list(keys)
    kinds = set(map(type, keys))
    if str not in kinds or kinds.isdisjoint({int, float}):
        return None
    known = set(keys)
    # a whole number that was a float in its column, as beside missing ones, is "1.0" as text
    spellings = ((key, text) for key in keys if type(key) in (int, float) for text in (str(key), f"{key}.0"))
    twins = {key: text for key, text in spellings if text in known}
    if not twins:
        return None
    number, text = next(iter(twins.items()))
    return (
        f"{len(twins)} {things}{place} are there as a number and as text, as {number!r} and {text!r}: they are two "
        f"{things} each. Convert {where} to one type before, if they are the same."
    )


def twin_levels(names: list[str], factors: list[Factor]) -> list[str]:
    """Return what there is to say of the levels of each column."""
    found = (twins_among(f.keys, "levels", "the column", f" of column {n!r}") for n, f in zip(names, factors))
    return [text for text in found if text is not None]


def warn_of_twin_levels(names: list[str], factors: list[Factor]) -> None:
    """Warn of what `twin_levels` has found."""
    for text in twin_levels(names, factors):
        warn(text)


def warn_of_twins(keys: Iterable[Any], things: str, where: str, place: str = "") -> None:
    """Warn of what `twins_among` has found."""
    text = twins_among(keys, things, where, place)
    if text is not None:
        warn(text)
