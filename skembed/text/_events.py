"""Documents as the events of a language model: each word, and the end of each document, after the words before it."""

from collections.abc import Iterable, Iterator

import numpy as np

from skembed.data.ragged import NO_ROW, Ragged
from skembed.training.next_words import NextWordWeights

__all__ = ["Events", "held_out_events", "log_probabilities", "read_events"]

_CELLS = 2**22  # probabilities over all words that are in memory at a time


class Events:
    """Tokens with the positions at which one is to be predicted.

    Words have the numbers of their rows, ``n_words`` is the row of all words without one of their own, ``n_words + 1``
    the end of a document and ``n_words + 2`` what stands before its first word, `n_previous` times.

    Attributes
    ----------
    tokens : ndarray of shape (n,), int32
    positions : ndarray of shape (n_events,), int64
    documents : ndarray of shape (n_documents,), int64
        Where the events of each document end in `positions`.
    """

    def __init__(self, tokens: np.ndarray, positions: np.ndarray, documents: np.ndarray) -> None:
        self.tokens, self.positions, self.documents = tokens, positions, documents


def read_events(chunks: Iterable[Ragged], n_words: int, n_previous: int) -> Events:
    """Lay documents out one after the other; empty ones are left out, and `NO_ROW` becomes the unknown word's row."""
    tokens, begin = [np.empty(0, dtype=np.int32)], np.full(n_previous, n_words + 2, dtype=np.int32)
    ends_of: list[int] = []
    for chunk in chunks:
        start, words = 0, np.where(chunk.indices == NO_ROW, np.int32(n_words), chunk.indices)
        for end in chunk.ends.tolist():
            if end > start:
                tokens += (begin, words[start:end], np.array([n_words + 1], dtype=np.int32))
                ends_of.append(end - start + 1)
            start = end
    laid = np.concatenate(tokens)
    return Events(laid, np.flatnonzero(laid != n_words + 2), np.cumsum(ends_of, dtype=np.int64))


def held_out_events(events: Events, fraction: float, rng: np.random.RandomState) -> np.ndarray:
    """Return which events to hold out: those of whole documents drawn at random, or the end of the only document."""
    n_events = len(events.positions)
    held = np.zeros(n_events, dtype=bool)
    lengths = np.diff(events.documents, prepend=0)
    if len(lengths) < 2:
        held[n_events - int(fraction * n_events) :] = True
        return held
    order = rng.permutation(len(lengths))
    n_held = int(np.searchsorted(np.cumsum(lengths[order]), fraction * n_events, side="right"))
    which = np.zeros(len(lengths), dtype=bool)
    which[order[: min(max(n_held, 1), len(lengths) - 1)]] = True
    return np.repeat(which, lengths)


def log_probabilities(weights: NextWordWeights, events: Events, n_previous: int) -> Iterator[np.ndarray]:
    """Yield the log-probability of each event among all words, in blocks; plain numpy, float64.

    Parameters
    ----------
    weights : NextWordWeights
    events : Events
    n_previous : int

    Yields
    ------
    ndarray of shape (n,), float64
    """
    offsets = np.arange(n_previous, 0, -1)
    n_rows = max(1, _CELLS // len(weights.output))
    for start in range(0, len(events.positions), n_rows):
        positions = events.positions[start : start + n_rows]
        x = weights.embedding[events.tokens[positions[:, None] - offsets]].reshape(len(positions), -1)
        hidden = x
        for matrix, bias in weights.hidden:
            hidden = np.tanh(hidden @ matrix.T + bias)
        parts = ([hidden] if weights.hidden else []) + ([x] if weights.direct else [])
        scores = (np.hstack(parts) @ weights.output[:, :-1].T + weights.output[:, -1]).astype(np.float64)
        scores -= scores.max(axis=1, keepdims=True)
        of_targets = scores[np.arange(len(positions)), events.tokens[positions]]
        yield of_targets - np.log(np.exp(scores).sum(axis=1))
