"""Colours that people with any colour vision tell apart, and which of them a value gets.

Categories: Okabe & Ito (2008), "Color Universal Design", without black, which a dark page would swallow. Numbers: the
perceptually uniform map viridis.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from skembed.data.canonical import canonical_key

# Okabe and Ito's, yellow last because it is the faintest on white
CATEGORY_COLORS = ("#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#f0e442")
OTHER_COLOR = "#9a9a9a"
# nine even steps of viridis, dark to bright
NUMBER_COLORS = (
    "#440154", "#472d7b", "#3b528b", "#2c728e", "#21918c", "#28ae80", "#5ec962", "#addc30", "#fde725",
)  # fmt: skip
_MAX_INTEGER_CATEGORIES = 14
N_SHAPES = 2  # circles, then triangles


@dataclass(frozen=True)
class Field:
    """One value for each point: numbers, or categories.

    Attributes
    ----------
    name : str
        Empty where the values came without one.
    numbers : float64 array of shape (n_points,) or None
        nan where missing.
    codes : int64 array of shape (n_points,) or None
        Place in `categories`; -1 where missing.
    categories : list of str
        In their own order.
    """

    name: str
    numbers: Any = None
    codes: Any = None
    categories: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, name: str, values: Any, *, as_numbers: bool = False) -> "Field":
        """Numbers stay numbers; integers of at most 14 kinds, strings and truth values are categories.

        With `as_numbers` integers of any kinds stay numbers, and what is no number is a TypeError.
        """
        keys = [canonical_key(value) if _is_hashable(value) else str(value) for value in values]
        present = [key for key in keys if key is not None]
        numeric = present and all(isinstance(key, int | float) and not isinstance(key, bool) for key in present)
        if numeric and (as_numbers or any(map(_is_float, values)) or len(set(present)) > _MAX_INTEGER_CATEGORIES):
            numbers = np.array([np.nan if key is None else _as_float(key) for key in keys])
            return cls(name, numbers=np.where(np.isfinite(numbers), numbers, np.nan))
        if as_numbers:
            raise TypeError(f"{name} must hold numbers, got {next(iter(present), None)!r}.")
        texts = {key: str(key) for key in dict.fromkeys(present)}
        try:
            ordered = sorted(texts)
        except TypeError:  # of several types
            ordered = sorted(texts, key=texts.__getitem__)
        categories = list(dict.fromkeys(texts[key] for key in ordered))
        place = {category: code for code, category in enumerate(categories)}
        codes = np.array([-1 if key is None else place[texts[key]] for key in keys], dtype=np.int64)
        return cls(name, codes=codes, categories=categories)

    def limits(self) -> tuple[float, float]:
        """Ends of the scale of numbers: the 2nd and the 98th percentile, so that no outlier takes it all."""
        present = self.numbers[~np.isnan(self.numbers)] if self.numbers is not None else np.empty(0)
        if not len(present):
            return 0.0, 1.0
        low, high = (float(q) for q in np.percentile(present, [2, 98], method="nearest"))
        if low == high:
            low, high = float(present.min()), float(present.max())
        return (low, high) if low < high else (low - 0.5, high + 0.5)

    def groups(self) -> tuple[list["Group"], np.ndarray]:
        """What the categories look like, in the order of a legend, and the group of each point, (n_points,).

        As many as there are colours and shapes for have their own; of more, the seven with the most points.
        """
        if self.codes is None:
            raise TypeError(f"the field {self.name!r} holds numbers; groups are of categories.")
        counts = np.bincount(self.codes[self.codes >= 0], minlength=len(self.categories))
        n_own = len(CATEGORY_COLORS)
        shown = list(range(len(self.categories)))
        if len(self.categories) > n_own * N_SHAPES:
            shown = sorted(np.argsort(-counts, kind="stable")[:n_own].tolist())
        groups = [
            Group(self.categories[code], CATEGORY_COLORS[j % n_own], j // n_own, int(counts[code]))
            for j, code in enumerate(shown)
        ]
        place = np.full(len(self.categories) + 1, len(groups))
        place[shown] = np.arange(len(groups))
        n_others, n_missing = len(self.categories) - len(groups), int((self.codes < 0).sum())
        if n_others:
            n_points = int(counts.sum()) - sum(group.n_points for group in groups)
            groups.append(Group(f"{n_others:,} others", OTHER_COLOR, 0, n_points))
        if n_missing:
            place[-1] = len(groups)
            groups.append(Group("missing", OTHER_COLOR, 0, n_missing))
        return groups, place[self.codes]


@dataclass(frozen=True)
class Group:
    """A line of the legend: its name, colour, shape (0 circle, 1 triangle) and number of points."""

    name: str
    color: str
    shape: int
    n_points: int


def _is_hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


def _is_float(value: Any) -> bool:
    return isinstance(value, float | np.floating) and value == value


def _as_float(number: Any) -> float:
    try:
        return float(number)
    except OverflowError:
        return np.nan
