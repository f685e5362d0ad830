"""The prediction that a net of sequences learns: y of the whole case, its next event, or its next numbers."""

from collections.abc import Hashable
from numbers import Integral
from typing import Any

import numpy as np

from skembed.data.canonical import canonical_key
from skembed.data.cases import CaseReader, Cases
from skembed.data.target import Target
from skembed.sequence._problem import Reads, from_next_events, from_next_numbers, from_target, target_and_weight

__all__ = ["next_events", "reads_of_y"]


def reads_of_y(
    reader: CaseReader, cases: Cases, y: np.ndarray, weight: np.ndarray, target_type: str, class_weight: Any
) -> tuple[Reads, Target]:
    """Return a read at the end of each case, of which y is the target.

    Raises
    ------
    ValueError
        If y does not fit, or no column tells cases apart.
    """
    target, coded, weight = target_and_weight(y, target_type, class_weight, weight)
    if not reader.category_names and not reader.inputs:
        raise ValueError(
            f"X holds {len(cases)} cases of {len(cases.ids)} events, and no column of numbers or times that varies or "
            f"of categories ({reader.names!r:.80}); nothing can be learned. If lengths of cases are to tell, name a "
            "column of sequences in categorical_features."
        )
    rows = np.flatnonzero(weight > 0)  # a class may weigh nothing
    parts = [(o.kind, o.start, o.stop) for o in target.outputs]
    return from_target(cases.take(rows), coded[rows], parts, weight[rows]), target


def next_events(reader: CaseReader, cases: Cases, weight: np.ndarray, event: Any, end: Any) -> tuple[Reads, str | None]:
    """Return a read before each event, of which the event is the target, and the name of its column.

    Parameters
    ----------
    reader : CaseReader
    cases : Cases
    weight : ndarray of shape (n_cases,)
    event : str, int or None
        The column of the events, or the number of it; None for the first of categories. Without any the next numbers
        are predicted, and there is no name.
    end : object or None
        The key that stands for the end of a case; None if it is not to be predicted.

    Raises
    ------
    ValueError
        If there is no such column or nothing to predict, or `end` is an event.
    """
    if not len(cases.ids):
        raise ValueError(f"X holds {len(cases)} cases and none has an event; nothing can be learned.")
    names = reader.category_names[: reader.n_sequence_categories]
    name = column_of_events(reader, names, event)
    if name is None:
        if not reader.n_sequence_numbers:
            raise ValueError("X holds no sequence that varies, so that there is no next event to predict; pass y.")
        return from_next_numbers(cases, [len(k) for k in reader.knots[: cases.places.shape[1]]], weight), None
    place = names.index(name)
    vocabulary = reader.vocabularies[place]
    if not isinstance(end, Hashable):
        raise TypeError(f"end={end!r} cannot be a key; expected a value that can be hashed, such as a str.")
    if end is not None and canonical_key(end) in vocabulary:
        raise ValueError(
            f"end={end!r} is a value of column {name!r}; expected another key, which tells ends from events."
        )
    if not len(vocabulary):
        raise ValueError(f"column {name!r} has no level left by min_frequency and max_categories; lower them.")
    return from_next_events(cases, place, len(vocabulary), has_end=end is not None, weight=weight), name


def column_of_events(reader: CaseReader, names: list[str], event: Any) -> str | None:
    """Return the name of the column whose events are predicted, one of `names`; None where there is none."""
    if event is None:
        return names[0] if names else None
    name = event
    if isinstance(name, Integral) and not isinstance(name, bool) and int(name) in range(len(reader.names)):
        name = reader.names[int(name)]
    if name not in names:
        raise ValueError(
            f"event={event!r} is no column of sequences of categories in X; they are {names!r}. Name it in "
            "categorical_features if its values are numbers."
        )
    return str(name)
