"""Cases as a recurrent net reads them: rows of tables for categories, places between knots for numbers and times.

A number is told by its place among knots, quantiles of the training values: 2.25 is a quarter of the way from knot 2 to
knot 3. A linear map of such a place is piecewise linear in the number (Gorishniy, Rubachev & Babenko 2022, "On
Embeddings for Numerical Features in Tabular Deep Learning"), whatever its scale, and bounded beyond the last knot.
"""

from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np

from skembed.data.columns import Columns, factorize, to_float
from skembed.data.factor import Factor
from skembed.data.levels import warn_identifiers, warn_strangers
from skembed.data.ragged import Ragged
from skembed.data.roles import is_number_column
from skembed.data.sequences import Cells, holds_times, split_cells, to_seconds
from skembed.data.twins import warn_of_twin_levels
from skembed.data.vocabulary import Vocabulary
from skembed.state import check_state, stored

__all__ = ["MISSING_PLACE", "CaseReader", "Cases"]

MISSING_PLACE = -1.0  # of a missing number
MAX_KNOTS = 33
_EVENTS_PER_KNOT = 20
_MAX_INTEGER_LEVELS = 50  # more distinct whole numbers than this are amounts, as everywhere in skembed
_LEAST_NUMBER = 1e-290  # what is nearer to 0 is 0, so that places, quotients of differences, are finite
_DAY, _WEEK = 86_400.0, 7
_THURSDAY = 3  # the first of January 1970, Monday being 0
_CATEGORY, _NUMBER, _TIME = "category", "number", "time"
_PARTS_OF_EVENT_TIMES = ("gap", "elapsed", "time of day", "day of week")
_PARTS_OF_CASE_TIMES = ("date", "time of day", "day of week")


@dataclass(frozen=True, eq=False)
class Cases:
    """Cases as arrays.

    Attributes
    ----------
    indptr : ndarray of shape (n_cases + 1,), int64
        Case i has the events ``indptr[i] : indptr[i + 1]``; the last `max_length` of those that it had.
    ids : ndarray of shape (n_events, n_categories), int32
        Row 0 of a column's table is its unknown level.
    places : ndarray of shape (n_events, n_numbers), float32
        Among the knots of each number; `MISSING_PLACE` where it is missing.
    case_ids, case_places : ndarray of shape (n_cases, ...)
        The same of plain columns.
    is_cut : ndarray of shape (n_cases,), bool, or None
        Whether a case had events before those that are kept; None: none had.
    """

    indptr: np.ndarray
    ids: np.ndarray
    places: np.ndarray
    case_ids: np.ndarray
    case_places: np.ndarray
    is_cut: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.indptr) - 1

    @property
    def lengths(self) -> np.ndarray:
        """Events of each case, (n_cases,)."""
        return np.diff(self.indptr)

    def take(self, which: np.ndarray) -> "Cases":
        """Return some cases, in this order."""
        n_events = len(self.ids)
        events = Ragged(self.indptr, np.arange(n_events)).take(which)
        return Cases(
            events.indptr,
            self.ids[events.indices],
            self.places[events.indices],
            self.case_ids[which],
            self.case_places[which],
            None if self.is_cut is None else self.is_cut[which],
        )


@stored
@dataclass
class CaseReader:
    """How X is read, as `fit` settled it.

    Attributes
    ----------
    names : list of str
        Of the columns of X.
    are_sequences : list of bool
        Whether a column holds sequences; the others are plain.
    roles : list of {"category", "number", "time"}
    max_length : int or None
    vocabularies : list of Vocabulary
        Of the columns of categories, those of sequences first.
    inputs : list of str
        Names of the numbers: columns, and of times their parts; those of sequences first.
    knots : list of ndarray, float64
        Of each number, ascending.
    flagged : list of bool
        Whether a number had missing values, and the net is told of them.
    used : list of int
        Which of the parts of times are numbers of the net; the others never vary.
    """

    names: list[str]
    are_sequences: list[bool]
    roles: list[str]
    max_length: int | None
    vocabularies: list[Vocabulary]
    inputs: list[str]
    knots: list[np.ndarray]
    flagged: list[bool]
    used: list[int]

    def __setstate__(self, state: dict[str, Any]) -> None:
        check_state(CaseReader, state, [f.name for f in fields(CaseReader)])
        n = len(state["names"])
        if len(state["are_sequences"]) != n or len(state["roles"]) != n:
            raise ValueError(f"CaseReader: expected kinds and roles of {n} columns")
        if not set(state["roles"]) <= {_CATEGORY, _NUMBER, _TIME}:
            raise ValueError(f"CaseReader: expected roles 'category', 'number' or 'time', got {state['roles']!r:.80}")
        if len(state["vocabularies"]) != state["roles"].count(_CATEGORY):
            raise ValueError("CaseReader: expected a vocabulary for each column of categories")
        n_inputs = len(state["inputs"])
        if len(state["knots"]) != n_inputs or len(state["flagged"]) != n_inputs:
            raise ValueError(f"CaseReader: expected knots and flags of {n_inputs} numbers")
        if any(k.ndim != 1 or not len(k) or k.dtype != np.float64 or (np.diff(k) <= 0).any() for k in state["knots"]):
            raise ValueError("CaseReader: expected knots that ascend")
        self.__dict__.update(state)
        n_used, n_found = len(self.used), len(self._input_names())
        if self.used != sorted(set(self.used)) or (n_used and not 0 <= self.used[0] <= self.used[-1] < n_found):
            raise ValueError("CaseReader: expected the places of numbers")
        if n_used != n_inputs:
            raise ValueError(f"CaseReader: expected {n_inputs} numbers in use, got {n_used}")

    # ------------------------------------------------------------------------------------------------------ fitting

    @classmethod
    def fit(
        cls,
        columns: Columns,
        *,
        categorical_features: Any,
        max_length: int | None,
        min_frequency: Any,
        max_categories: int | None,
        wants_category: bool,
    ) -> tuple["CaseReader", Cases]:
        """Settle how X is read, and read it.

        Parameters
        ----------
        columns : Columns
        categorical_features : "auto" or list of int
            Positions of the columns of categories.
        max_length, min_frequency, max_categories
            As of the estimator.
        wants_category : bool
            Whether a column of whole numbers is one of categories where there would be no other.

        Returns
        -------
        CaseReader
        Cases
        """
        names = [columns.label(i) for i in range(len(columns.values))]
        cells = [split_cells(column, name) for column, name in zip(columns.values, names)]
        flat = _Flat.of(cells, columns, names, max_length)
        roles = _roles(flat.last, [c is not None for c in cells], categorical_features, wants_category)
        reader = cls(names, [c is not None for c in cells], roles, max_length, [], [], [], [], [])
        factors = reader._factors(flat)
        warn_of_twin_levels(reader.category_names, factors)
        limits = {"min_frequency": min_frequency, "max_categories": max_categories}
        reader.vocabularies = [Vocabulary.from_factor(factor, **limits) for factor in factors]
        units = ["event" if reader.are_sequences[i] else "row" for i in reader._positions(_CATEGORY)]
        warn_identifiers(reader.category_names, reader.vocabularies, units)
        numbers = reader._numbers(flat)
        labels = reader._input_names()
        for place, values in enumerate(numbers):
            missing = np.isnan(values)
            knots = _knots(labels[place], values[~missing])
            if len(knots) > 1 or (missing.any() and not missing.all()):
                reader.used.append(place)
                reader.inputs.append(labels[place])
                reader.knots.append(knots)
                reader.flagged.append(bool(missing.any()))
        return reader, reader._cases(flat, reader._ids(factors), numbers)

    def read(self, columns: Columns) -> Cases:
        """Read further rows.

        Raises
        ------
        TypeError
            If a column holds sequences where it did not in `fit`, or the other way.

        Warns
        -----
        UserWarning
            If no value of a column of categories is known, as when numbers became strings.
        """
        cells: list[Cells | None] = []
        for name, column, is_sequence in zip(self.names, columns.values, self.are_sequences):
            found = split_cells(column, name, expected=is_sequence)
            if found is not None and not is_sequence:
                raise TypeError(f"column {name!r} holds sequences, and plain values in `fit`; expected plain values.")
            cells.append(found)
        flat = _Flat.of(cells, columns, self.names, self.max_length)
        ids = self._ids(self._factors(flat))
        last = Columns(self.names, columns.n_rows, flat.last)
        warn_strangers(last, self._positions(_CATEGORY), self.vocabularies, ids)
        return self._cases(flat, ids, self._numbers(flat))

    # ------------------------------------------------------------------------------------------------------- layout

    @property
    def n_sequence_categories(self) -> int:
        """How many of the vocabularies belong to sequences."""
        return sum(s and role == _CATEGORY for s, role in zip(self.are_sequences, self.roles))

    @property
    def n_sequence_numbers(self) -> int:
        """How many of the numbers belong to sequences."""
        n_parts = sum(len(self._parts(i)) for i, is_sequence in enumerate(self.are_sequences) if is_sequence)
        return sum(place < n_parts for place in self.used)

    @property
    def category_names(self) -> list[str]:
        """Names of the columns of categories, those of sequences first."""
        return [self.names[i] for i in self._positions(_CATEGORY)]

    def _positions(self, *roles: str) -> list[int]:
        found = [i for i, role in enumerate(self.roles) if role in roles]
        return sorted(found, key=lambda i: not self.are_sequences[i])

    def _input_names(self) -> list[str]:
        labels: list[str] = []
        for i in self._positions(_NUMBER, _TIME):
            labels += [f"{part} of {self.names[i]}" if part else self.names[i] for part in self._parts(i)]
        return labels

    def _parts(self, i: int) -> tuple[str, ...]:
        """Return the parts that a column has as numbers, a plain number one without a name."""
        times = _PARTS_OF_EVENT_TIMES if self.are_sequences[i] else _PARTS_OF_CASE_TIMES
        return {_CATEGORY: (), _NUMBER: ("",), _TIME: times}[self.roles[i]]

    def _factors(self, flat: "_Flat") -> list[Factor]:
        return [factorize(flat.last[i], self.names[i]) for i in self._positions(_CATEGORY)]

    def _ids(self, factors: list[Factor]) -> list[np.ndarray]:
        return [vocabulary.encode(factor) for vocabulary, factor in zip(self.vocabularies, factors)]

    def _numbers(self, flat: "_Flat") -> list[np.ndarray]:
        """Return all numbers, parts of times among them, whether in use or not."""
        found = []
        for i in self._positions(_NUMBER, _TIME):
            name = self.names[i]
            if self.roles[i] == _NUMBER:
                values = to_float(flat.last[i], name)
                if np.isinf(values).any():
                    raise ValueError(
                        f"Input X contains infinity in column {name!r}; expected finite numbers or missing values."
                    )
                found.append(np.where(np.abs(values) < _LEAST_NUMBER, 0.0, values))
            else:
                seconds = to_seconds(flat.whole[i], name)
                if self.are_sequences[i]:
                    found += [part[flat.kept] for part in _event_times(seconds, flat.whole_indptr)]
                else:
                    found += _case_times(seconds)
        return found

    def _cases(self, flat: "_Flat", ids: list[np.ndarray], numbers: list[np.ndarray]) -> Cases:
        """Return rows and places."""
        places = [
            _places(numbers[place], knots, flagged)
            for place, knots, flagged in zip(self.used, self.knots, self.flagged)
        ]
        k, m = self.n_sequence_categories, self.n_sequence_numbers
        n_events, n_cases = int(flat.indptr[-1]), len(flat.indptr) - 1
        return Cases(
            flat.indptr,
            _beside(ids[:k], n_events, np.int32),
            _beside(places[:m], n_events, np.float32),
            _beside(ids[k:], n_cases, np.int32),
            _beside(places[m:], n_cases, np.float32),
            None if flat.indptr is flat.whole_indptr else np.diff(flat.whole_indptr) > np.diff(flat.indptr),
        )


class _Flat(NamedTuple):
    """The columns of X, those of sequences event by event.

    Attributes
    ----------
    whole : list
        With all events: of the first ones, times tell how long ago they were.
    last : list
        With the last `max_length` events of each case, which are all that is looked at else.
    whole_indptr, indptr : ndarray of shape (n_cases + 1,), int64
        Where the cases are among either.
    kept : slice or ndarray of bool
        Which events are among the last.
    """

    whole: list[Any]
    last: list[Any]
    whole_indptr: np.ndarray
    indptr: np.ndarray
    kept: Any

    @classmethod
    def of(cls, cells: list[Cells | None], columns: Columns, names: list[str], max_length: int | None) -> "_Flat":
        whole = [column if c is None else c.values for column, c in zip(columns.values, cells)]
        whole_indptr = _common_indptr(cells, names, columns.n_rows)
        kept, indptr = _last_events(whole_indptr, max_length)
        last = whole
        if isinstance(kept, np.ndarray):
            events = Columns(None, int(whole_indptr[-1]), [v for v, c in zip(whole, cells) if c is not None])
            taken = iter(events.take(np.flatnonzero(kept)).values)
            last = [v if c is None else next(taken) for v, c in zip(whole, cells)]
        return cls(whole, last, whole_indptr, indptr, kept)


def _roles(flat: list[Any], are_sequences: list[bool], categorical_features: Any, wants_category: bool) -> list[str]:
    if not isinstance(categorical_features, str):
        chosen = set(categorical_features)
        return [_CATEGORY if i in chosen else _TIME if holds_times(v) else _NUMBER for i, v in enumerate(flat)]
    roles = []
    whole = []  # sequences of whole numbers that may be amounts
    for i, values in enumerate(flat):
        if holds_times(values):
            roles.append(_TIME)
        elif not is_number_column(values):
            roles.append(_CATEGORY)
        elif are_sequences[i] and (n_levels := _n_whole_numbers(values)):
            roles.append(_CATEGORY if n_levels <= _MAX_INTEGER_LEVELS else _NUMBER)
            whole.append(i)
        else:
            roles.append(_NUMBER)
    has_category = any(s and role == _CATEGORY for s, role in zip(are_sequences, roles))
    if wants_category and whole and not has_category:
        roles[whole[0]] = _CATEGORY
    return roles


def _n_whole_numbers(values: Any) -> int:
    """Return how many distinct whole numbers a flat column holds; 0 if its type, or a value, is no integer."""
    kind = str(getattr(values, "dtype", getattr(values, "type", ""))).lower()
    if kind.startswith(("float", "double", "halffloat", "decimal")):
        return 0
    keys = factorize(values).keys
    is_object = kind == "object"
    if is_object and any(isinstance(v, (float, np.floating)) and v == v for v in values):
        return 0
    return len(keys) if all(isinstance(key, int) for key in keys) else 0


def _common_indptr(cells: list[Cells | None], names: list[str], n_rows: int) -> np.ndarray:
    """Return where the sequences of all columns begin and end; ValueError where they differ in a row."""
    found = [(name, c.indptr) for name, c in zip(names, cells) if c is not None]
    if not found:
        return np.zeros(n_rows + 1, dtype=np.int64)
    first_name, indptr = found[0]
    lengths = np.diff(indptr)
    for name, other in found[1:]:
        differ = np.diff(other) != lengths
        if differ.any():
            row = int(np.argmax(differ))
            raise ValueError(
                f"row {row} has {lengths[row]} events in column {first_name!r} and {np.diff(other)[row]} in column "
                f"{name!r}; expected sequences of one length in each row. A column that holds one value for the whole "
                "row is given as that value, not as a list."
            )
    return indptr


def _last_events(indptr: np.ndarray, max_length: int | None) -> tuple[Any, np.ndarray]:
    """Return which events are kept, and where the cases are among them."""
    lengths = np.diff(indptr)
    if max_length is None or not len(lengths) or lengths.max() <= max_length:
        return slice(None), indptr
    position = np.arange(indptr[-1]) - np.repeat(indptr[:-1], lengths)
    kept = position >= np.repeat(lengths, lengths) - max_length
    return kept, np.concatenate([[0], np.cumsum(np.minimum(lengths, max_length))]).astype(np.int64)


def _event_times(seconds: np.ndarray, indptr: np.ndarray) -> list[np.ndarray]:
    """Return the logarithms of gaps and of the time since the first event, the time of day and the day of the week."""
    starts = indptr[:-1][np.diff(indptr) > 0]
    gaps = np.diff(seconds, prepend=np.nan)
    gaps[starts] = np.nan  # there is none before the first event
    elapsed = seconds - np.repeat(seconds[starts], np.diff(np.append(starts, len(seconds))))
    return [_log_seconds(gaps), _log_seconds(elapsed), *_calendar(seconds)]


def _case_times(seconds: np.ndarray) -> list[np.ndarray]:
    return [seconds, *_calendar(seconds)]


def _log_seconds(seconds: np.ndarray) -> np.ndarray:
    return np.sign(seconds) * np.log1p(np.abs(seconds))


def _calendar(seconds: np.ndarray) -> list[np.ndarray]:
    days = np.floor(seconds / _DAY)
    return [seconds - days * _DAY, (days + _THURSDAY) % _WEEK]


def _knots(label: str, present: np.ndarray) -> np.ndarray:
    """Return ascending knots: each distinct value where they are few, else quantiles, which are values that occur."""
    if not len(present):
        return np.zeros(1)
    distinct = np.unique(present)
    n = int(np.clip(len(present) // _EVENTS_PER_KNOT, 2, MAX_KNOTS))
    if len(distinct) > n:
        distinct = np.unique(np.quantile(present, np.linspace(0, 1, n), method="nearest"))
    return distinct.astype(np.float64)


def _places(values: np.ndarray, knots: np.ndarray, flagged: bool) -> np.ndarray:
    missing = np.isnan(values)
    # halves, so that the distance between two huge values stays finite
    places = np.interp(np.where(missing, 0.0, values) / 2, knots / 2, np.arange(len(knots))).astype(np.float32)
    places[missing] = MISSING_PLACE if flagged else (len(knots) - 1) / 2
    return places


def _beside(columns: list[np.ndarray], n_rows: int, dtype: Any) -> np.ndarray:
    return np.stack(columns, axis=1).astype(dtype) if columns else np.empty((n_rows, 0), dtype=dtype)
