"""States of tokens in their documents: layers chosen, long documents in windows, batches of about the same length.

Which model it is makes no difference here. Each sequence is run once, with others of its length; what stands beside it
changes rounding alone. numpy.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from skembed.apply.contextual_model import ContextualModel, ScalarMix, TokenSequence

__all__ = ["DocumentStates", "Reading", "combined_dim", "pool_states", "read_states", "scalar_mix", "vectors_of"]

_OVERLAP = 4  # neighbouring windows share one token in so many


@dataclass(frozen=True, eq=False)
class Reading:
    """How documents are read, and what of a model's layers is kept.

    Attributes
    ----------
    layers : tuple of int
        From 0, the first layer, on.
    mix : ScalarMix or None
        Adds them up; None puts them side by side.
    max_length : int or None
        Tokens of a sequence, with those that the model puts around.
    windows : bool
        Whether longer documents are read in windows that overlap; else they are cut.
    prompt : str
        Stands before each document.
    batch_size : int or None
        Sequences that are run at once, at most.
    batch_tokens : int
        Tokens that are run at once, padding among them.
    """

    layers: tuple[int, ...]
    mix: ScalarMix | None = None
    max_length: int | None = None
    windows: bool = False
    prompt: str = ""
    batch_size: int | None = None
    batch_tokens: int = 2**12


class DocumentStates(NamedTuple):
    """The states of one document.

    Attributes
    ----------
    tokens : TokenSequence
        Without the prompt, and without what was cut off.
    head : ndarray of shape (n_before, dim), float32
        Of what the model puts before the document; the mean over windows.
    prompt : ndarray of shape (n_prompt, dim), float32
        Likewise.
    body : ndarray of shape (n_tokens, dim), float32
        Of the tokens. In windows, each has its state from the one in which it stands farthest from an edge.
    tail : ndarray of shape (n_after, dim), float32
        Of what the model puts behind, in the last window.
    """

    tokens: TokenSequence
    head: np.ndarray
    prompt: np.ndarray
    body: np.ndarray
    tail: np.ndarray


class _Document(NamedTuple):
    """A document that is read, and the runs of its tokens that the model sees at once."""

    position: int
    tokens: TokenSequence
    prompt: np.ndarray  # inputs
    windows: list[tuple[int, int]]

    @property
    def longest(self) -> int:
        return len(self.prompt) + max(stop - start for start, stop in self.windows)


def combined_dim(model: ContextualModel, reading: Reading) -> int:
    """Return the number of columns that the layers have, added up or side by side."""
    dims = [model.dims[layer] for layer in reading.layers]
    return sum(dims) if reading.mix is None else dims[0]


def read_states(
    model: ContextualModel, documents: Sequence[str | list[str]], reading: Reading
) -> Iterator[tuple[int, DocumentStates]]:
    """Run the model on documents; yield the position of each and its states, the shortest documents first.

    Parameters
    ----------
    model : ContextualModel
    documents : sequence of str or list of str
    reading : Reading

    Yields
    ------
    int
    DocumentStates
    """
    read = [
        _windowed(i, tokens, document, model, reading)
        for i, (tokens, document) in enumerate(zip(_tokens(model, documents, reading.prompt), documents))
    ]
    read.sort(key=lambda document: document.longest)
    waiting: dict[int, list[np.ndarray]] = {}
    for batch in _batches(read, model.n_before + model.n_after, reading):
        inputs = [_inputs(document, window) for document, window in batch]
        states = _run(model, inputs, reading)
        for (document, _), found in zip(batch, states):
            runs = waiting.setdefault(document.position, [])
            runs.append(found)
            if len(runs) == len(document.windows):
                yield document.position, _joined(document, waiting.pop(document.position), model.n_before)


def _tokens(model: ContextualModel, documents: Sequence[str | list[str]], prompt: str) -> list[TokenSequence]:
    return model.read([_prompted(document, prompt) for document in documents] if prompt else documents)


def _prompted(document: str | list[str], prompt: str) -> str | list[str]:
    return prompt + document if isinstance(document, str) else [*prompt.split(), *document]


def _windowed(
    position: int, tokens: TokenSequence, document: str | list[str], model: ContextualModel, reading: Reading
) -> _Document:
    """Take the prompt out of the tokens, and find the windows that the rest is read in."""
    length = len(reading.prompt) if isinstance(document, str) else len(reading.prompt.split())
    n_prompt = int((tokens.spans[:, 0] < length).sum()) if length else 0
    inputs, texts, spans = tokens.inputs[n_prompt:], tokens.texts[n_prompt:], tokens.spans[n_prompt:] - length
    n_tokens, prompt = len(inputs), tokens.inputs[:n_prompt]
    if reading.max_length is None:
        return _Document(position, TokenSequence(inputs, texts, spans), prompt, [(0, n_tokens)])
    most = reading.max_length - model.n_before - model.n_after - n_prompt
    if most < 1:
        raise ValueError(
            f"max_length={reading.max_length} leaves no token of a document, since the model adds "
            f"{model.n_before + model.n_after} and the prompt has {n_prompt}; expected at least "
            f"{reading.max_length + 1 - most}."
        )
    if n_tokens > most and not reading.windows:
        inputs, texts, spans, n_tokens = inputs[:most], texts[:most], spans[:most], most
    return _Document(position, TokenSequence(inputs, texts, spans), prompt, windows_of(n_tokens, most))


def windows_of(n_tokens: int, length: int) -> list[tuple[int, int]]:
    """Return the first and one past the last token of each window; neighbours share a quarter.

    Examples
    --------
    >>> windows_of(10, 4), windows_of(3, 4)
    ([(0, 4), (3, 7), (6, 10)], [(0, 3)])
    """
    if n_tokens <= length:
        return [(0, n_tokens)]
    step = max(length - length // _OVERLAP, 1)
    starts = [*range(0, n_tokens - length, step), n_tokens - length]
    return [(start, start + length) for start in starts]


def _inputs(document: _Document, window: tuple[int, int]) -> np.ndarray:
    inputs = document.tokens.inputs[slice(*window)]
    return np.concatenate([document.prompt, inputs]) if len(document.prompt) else inputs


def _batches(
    documents: list[_Document], n_around: int, reading: Reading
) -> Iterator[list[tuple[_Document, tuple[int, int]]]]:
    """Yield windows of documents that are sorted by length, those of one document in a row."""
    batch: list[tuple[_Document, tuple[int, int]]] = []
    width = 0
    for document in documents:
        for window in document.windows:
            width = max(width, document.longest + n_around)
            full = (len(batch) + 1) * width > reading.batch_tokens or len(batch) == reading.batch_size
            if batch and full:
                yield batch
                batch, width = [], document.longest + n_around
            batch.append((document, window))
    if batch:
        yield batch


def _run(model: ContextualModel, inputs: list[np.ndarray], reading: Reading) -> list[np.ndarray]:
    """Return for each sequence (n_tokens, dim) of its layers combined."""
    if model.n_before + model.n_after + max(map(len, inputs)) == 0:  # nothing to run on
        return [np.zeros((0, combined_dim(model, reading)), dtype=np.float32)] * len(inputs)
    states = model.states(inputs, reading.layers)
    if reading.mix is None:
        return [found[0] if len(found) == 1 else np.concatenate(found, axis=1) for found in states]
    return [scalar_mix(found, reading.mix) for found in states]


def scalar_mix(layers: Sequence[np.ndarray], mix: ScalarMix) -> np.ndarray:
    """Return layers (n_tokens, dim) added up as the mix says; (n_tokens, dim), float32."""
    weights = np.exp(mix.weights - mix.weights.max())
    weights *= mix.gamma / weights.sum()
    total = np.zeros(layers[0].shape, dtype=np.float32)
    for weight, layer in zip(weights, layers):
        if mix.layer_norm and layer.size:
            layer = (layer - layer.mean()) / np.sqrt(layer.var() + 1e-12)
        total += np.float32(weight) * layer
    return total


def _joined(document: _Document, runs: list[np.ndarray], n_before: int) -> DocumentStates:
    """Put the states of the windows of a document together."""
    start = n_before + len(document.prompt)
    if len(runs) == 1:
        (states,) = runs
        stop = start + len(document.tokens.texts)
        return DocumentStates(
            document.tokens, states[:n_before], states[n_before:start], states[start:stop], states[stop:]
        )
    around = np.mean([states[:start] for states in runs], axis=0)
    body = np.empty((len(document.tokens.texts), runs[0].shape[1]), dtype=np.float32)
    begin = 0
    for number, (states, (first, last)) in enumerate(zip(runs, document.windows)):
        following = document.windows[number + 1][0] if number + 1 < len(runs) else last
        end = (following + last + 1) // 2  # the middle of what two windows share
        body[begin:end] = states[start + begin - first : start + end - first]
        begin = end
    first, last = document.windows[-1]
    return DocumentStates(document.tokens, around[:n_before], around[n_before:], body, runs[-1][start + last - first :])


def pool_states(states: DocumentStates, poolings: Sequence[str], *, include_prompt: bool = True) -> np.ndarray:
    """Return the vector of a document, one pooling after the other.

    Parameters
    ----------
    states : DocumentStates
    poolings : sequence of str
        Of `skembed.apply.model_directory.MODEL_POOLINGS`. As sentence-transformers does, they take in what the model
        puts around a document.
    include_prompt : bool, default=True
        Whether they take in the states of a prompt, and of what stands before it.

    Returns
    -------
    ndarray of shape (len(poolings) * dim,), float32
        Zeros where there are no states.
    """
    all_rows = np.concatenate([states.head, states.prompt, states.body, states.tail])
    skipped = 0 if include_prompt or not len(states.prompt) else len(states.head) + len(states.prompt)
    rows = all_rows[skipped:]
    if not len(rows):
        return np.zeros(len(poolings) * all_rows.shape[1], dtype=np.float32)
    pooled = {
        "cls": lambda: all_rows[0],
        "lasttoken": lambda: rows[-1],
        "max": lambda: rows.max(axis=0),
        "mean": lambda: rows.mean(axis=0),
        "mean_sqrt_len_tokens": lambda: rows.sum(axis=0) / np.sqrt(np.float32(len(rows))),
    }
    return np.concatenate([pooled[name]() for name in poolings])


def vectors_of(
    model: ContextualModel,
    documents: Sequence[str | list[str]],
    reading: Reading,
    pool: Callable[[DocumentStates], np.ndarray],
    progress: Callable[[int], Any] = lambda n_documents: None,
) -> np.ndarray:
    """Return the pooled vectors of documents in their order; equal documents are run once.

    Parameters
    ----------
    model : ContextualModel
    documents : sequence of str or list of str
    reading : Reading
    pool : callable
        `DocumentStates` -> vector.
    progress : callable
        Told how many more documents are done.

    Returns
    -------
    ndarray of shape (n_documents, n_columns), float32
        (0, 0) of no documents.
    """
    number_of: dict[Any, int] = {}
    numbers = [
        number_of.setdefault(document if isinstance(document, str) else tuple(document), len(number_of))
        for document in documents
    ]
    distinct = [document if isinstance(document, str) else list(document) for document in number_of]
    counts = np.bincount(numbers, minlength=1)
    rows: np.ndarray | None = None
    for position, states in read_states(model, distinct, reading):
        vector = pool(states)
        if rows is None:
            rows = np.empty((len(distinct), len(vector)), dtype=np.float32)
        rows[position] = vector
        progress(int(counts[position]))
    return np.empty((0, 0), dtype=np.float32) if rows is None else rows[numbers]
