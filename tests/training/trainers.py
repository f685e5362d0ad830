"""Trainers by keyword, and a run that tests can watch: most tests change one setting of many."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

from skembed.data.ragged import Ragged
from skembed.training import cooccurrence, glove, sequences
from skembed.training.run import Run

__all__ = ["count_cooccurrences", "train_glove", "train_sequences"]


@dataclass(frozen=True)
class WatchedRun(Run):
    """Calls back after each pass with the live tables; Ctrl-C comes through."""

    on_pass: Callable[[int, Any], Any] = lambda pass_, tables: False
    progress: Callable[[int], Any] = lambda n: None

    def passes(self, train, max_iter, *, total):
        return train(self.on_pass, self.progress)


def as_ragged(chunks):
    """Chunks of (ids, ends) as sequences, each time that they are iterated over."""
    if isinstance(chunks, list):
        return [Ragged.from_ends(*chunk) for chunk in chunks]
    return Again(chunks)


class Again:
    def __init__(self, chunks) -> None:
        self.chunks = chunks

    def __iter__(self):
        return (Ragged.from_ends(*chunk) for chunk in self.chunks)


def split(options: dict, *classes: type) -> list:
    """Return the settings and the run that the options make, and what is left of them."""
    made = []
    for cls in (*classes, WatchedRun):
        names = [field.name for field in fields(cls) if field.name in options]
        made.append(cls(**{name: options.pop(name) for name in names}))
    return [*made, options]


def train_sequences(chunks, counts, **options):
    settings, run, others = split(options, sequences.SequenceSettings)
    return sequences.train_sequences(as_ragged(chunks), counts, settings, run, **others)


def count_cooccurrences(chunks, counts, **options):
    settings, run, _ = split(options, cooccurrence.CountSettings)
    return cooccurrence.count_cooccurrences(as_ragged(chunks), counts, settings, run)


def train_glove(cooccurrences, **options):
    settings, run, others = split(options, glove.GloVeSettings)
    return glove.train_glove(cooccurrences, settings, run, **others)
