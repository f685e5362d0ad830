"""An ELMo of one's own texts: a small language model of both directions, written as the files that AllenNLP reads."""

import json
import os
from array import array
from collections.abc import Callable, Iterable
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions, validate_params

from skembed.apply.characters import BEGIN, END, character_ids
from skembed.apply.contextual_model import split_words
from skembed.apply.elmo_directory import (
    ElmoOptions,
    read_elmo_directory,
    read_elmo_weights,
    read_output_weights,
    require_h5py,
    write_elmo_weights,
)
from skembed.atomic import check_new_directory, new_directory
from skembed.data.documents import read_documents
from skembed.text._model_training import TrainingReport, hold_out, is_line, read_vocabulary, steps_of, write_vocabulary
from skembed.training.callbacks import PassObserver
from skembed.training.language_model import LanguageModelSettings, Sentences, cut_sentences
from skembed.training.run import Run, draw_seed

__all__ = ["ElmoPerplexity", "elmo_perplexity", "train_elmo"]

OPTIONS_FILE, WEIGHTS_FILE = "options.json", "weights.hdf5"
VOCABULARY_FILE = "vocabulary.txt"  # a word a line, as bilm-tf reads it
_MARKS = BEGIN, END, "<UNK>"
_BEGIN_ROW, _END_ROW, _UNKNOWN_ROW = range(3)
_FILTERS = ((1, 16), (2, 16), (3, 32), (4, 64), (5, 64))
_CHARACTER_DIM, _N_HIGHWAY, _MAX_CHARACTERS = 16, 1, 50
_CELLS = 2  # times as many as a direction has components of a vector
_AUTO_SAMPLES = 500, 4000
_PASSES = 5  # of many texts


class ElmoPerplexity(NamedTuple):
    """How many words one is drawn from, as far as each direction of a language model can tell.

    Attributes
    ----------
    forward, backward : float
    """

    forward: float
    backward: float


@validate_params(
    {
        "directory": [str, os.PathLike],
        "embedding_dim": [Interval(Integral, 2, None, closed="left")],
        "n_layers": [Interval(Integral, 1, 64, closed="both")],
        "max_features": [Interval(Integral, 1, None, closed="left"), None],
        "min_count": [Interval(Integral, 1, None, closed="left")],
        "max_length": [Interval(Integral, 2, None, closed="left")],
        "n_samples": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"}), None],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "batch_size": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "max_iter": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "device": [str],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    },
    prefer_skip_nested_validation=True,
)
def train_elmo(
    docs: Iterable,
    directory: str | os.PathLike,
    *,
    embedding_dim: int = 128,
    n_layers: int = 2,
    max_features: int | None = 20_000,
    min_count: int = 2,
    max_length: int = 48,
    n_samples: int | str | None = "auto",
    dropout: float = 0.1,
    learning_rate: float = 4e-3,
    batch_size: int | str = "auto",
    max_iter: int | str = "auto",
    early_stopping: bool = True,
    validation_fraction: float = 0.05,
    device: str = "auto",
    random_state: Any = None,
    verbose: int = 0,
    callbacks: PassObserver | None = None,
) -> TrainingReport:
    """Learn an ELMo from texts alone, for `ContextualVectorizer` and whatever else reads AllenNLP's files.

    Characters in, the next and the previous word out [1]_: convolutions over the characters of a word, LSTMs with
    projections in both directions, and one sampled softmax for the words of both.

    Parameters
    ----------
    docs : iterable of str or of token lists
        Sentences, or longer texts; read once. Texts are cut into words as `ContextualVectorizer` cuts them, their case
        and marks stay.
    directory : str or os.PathLike
        Is made, with ``options.json``, ``weights.hdf5`` and ``vocabulary.txt``, whole or not at all. It must not be
        there yet, unless empty.
    embedding_dim : int, default=128
        Components of a word's vector, half of them from left to right; even.
    n_layers : int, default=2
        Of LSTMs, in each direction.
    max_features : int or None, default=20000
        Words that are predicted one by one, the most frequent ones; all others are predicted as one, the unknown. They
        are read by their characters like any other.
    min_count : int, default=2
        Words that occur less often are predicted as the unknown one.
    max_length : int, default=48
        Words that are learned from at a time; longer texts are cut, for training alone.
    n_samples : int, "auto" or None, default="auto"
        Words drawn for the softmax of a batch. "auto": a tenth of them, but 500 at least and 4000 at most. None: all.
    dropout : float, default=0.1
        Of the inputs of the layers, and of what words are predicted from.
    learning_rate : float, default=4e-3
        Of Adam, at the start; it falls to a twentieth of it in a straight line.
    batch_size : int or "auto", default="auto"
        Pieces of texts of at most `max_length` words. "auto" is the 25th part of them, between 4 and 32.
    max_iter : int or "auto", default="auto"
        Passes over the texts, at most. "auto" is 5, or as many as take 500 steps, but 50 at most.
    early_stopping : bool, default=True
        Hold out texts, stop when they have not become more likely for 3 passes, and keep the best state.
    validation_fraction : float, default=0.05
        Share of the texts that is held out.
    device : str, default="auto"
        "auto" is the first GPU if there is one.
    random_state : int, RandomState instance or None, default=None
        An int makes the files the same to the bit, on the same device.
    verbose : int, default=0
        A progress bar when positive.
    callbacks : object, default=None
        With ``begin_pass()`` and ``end_pass(loss, score)``, which returns True to stop.

    Returns
    -------
    TrainingReport

    Raises
    ------
    ImportError
        Without h5py.
    FileExistsError
        If `directory` holds anything.
    ValueError
        If there is nothing to learn from, or a parameter is out of range.

    Warns
    -----
    UserWarning
        On Ctrl-C after the first pass: what was learned is kept and written. Before, nothing is written.
    ConvergenceWarning
        If a loss is not finite: the last finite state is written.

    References
    ----------
    .. [1] Peters et al. (2018), "Deep contextualized word representations", NAACL (arXiv:1802.05365).

    Examples
    --------
    >>> from skembed.text import train_elmo
    >>> report = train_elmo(docs, "elmo", random_state=0)  # doctest: +SKIP
    >>> vectors = ContextualVectorizer("elmo", layer="mean").fit_transform(docs)  # doctest: +SKIP
    """
    if embedding_dim % 2:
        raise ValueError(f"embedding_dim={embedding_dim!r}, expected an even number: half of it for each direction.")
    require_h5py()
    target = check_new_directory(directory)
    sentences, vocabulary = _read_sentences(docs, max_features, min_count)
    rng = check_random_state(draw_seed(random_state))
    held_out = hold_out(len(sentences), validation_fraction, rng) if early_stopping else np.zeros(len(sentences), bool)
    n_words = len(vocabulary)
    n_drawn = int(np.clip(n_words // 10, *_AUTO_SAMPLES)) if isinstance(n_samples, str) else n_samples
    n_pieces = len(cut_sentences(sentences.indptr, ~held_out, max_length)[0])
    batch_size, max_iter = steps_of(n_pieces, batch_size, max_iter, _PASSES)
    settings = LanguageModelSettings(
        max_iter=max_iter, validation_fraction=validation_fraction, tol=1e-3, batch_size=batch_size,
        learning_rate=learning_rate, device=device, max_length=max_length, dropout=dropout, ns_exponent=0.75,
        n_samples=n_drawn, max_norm=1.0,
        weight_decay=0.0,
    )  # fmt: skip
    from skembed.apply.nets.elmo import ElmoNet  # torch: here only
    from skembed.training.nets.device import seeded_generator
    from skembed.training.nets.language_model import learn_language_model

    net = ElmoNet.random(_architecture(embedding_dim // 2, n_layers), seeded_generator(draw_seed(rng)))
    learned_from = sentences.targets[sentences.ids[np.repeat(~held_out, np.diff(sentences.indptr))]]
    counts = 2 * np.bincount(learned_from, minlength=n_words)  # each word is predicted from both sides
    counts[[_BEGIN_ROW, _END_ROW]] //= 2
    run = Run(draw_seed(rng), None, verbose, callbacks, "train_elmo")
    output, history = learn_language_model(net, sentences, held_out, counts, settings, run)
    with new_directory(target) as folder:
        (folder / OPTIONS_FILE).write_text(json.dumps(net.options.as_json(), indent=2), encoding="utf-8")
        write_vocabulary(folder / VOCABULARY_FILE, vocabulary)
        write_elmo_weights(folder / WEIGHTS_FILE, net.arrays(), output)
    return TrainingReport(target, history.loss_curve, history.validation_scores, history.n_iter)


def _architecture(projection_dim: int, n_layers: int) -> ElmoOptions:
    # other readers expect more filters than components
    times = projection_dim // sum(n for _, n in _FILTERS) + 1
    return ElmoOptions(
        projection_dim=projection_dim, dim=_CELLS * projection_dim, n_layers=n_layers, character_dim=_CHARACTER_DIM,
        filters=tuple((width, times * n) for width, n in _FILTERS), n_highway=_N_HIGHWAY,
        max_characters=_MAX_CHARACTERS,
    )  # fmt: skip


def _read_sentences(docs: Any, max_features: int | None, min_count: int) -> tuple[Sentences, list[str]]:
    """Return documents as sentences, and the words that are predicted one by one, the marks and the unknown first."""
    row_of: dict[str, int] = {BEGIN: 0, END: 1}
    ids, ends = _encode(docs, lambda word: row_of.setdefault(word, len(row_of)))
    if not len(ends):
        raise ValueError("docs hold no word, so there is nothing to learn; a generator that was read before is empty.")
    words = list(row_of)
    counts = np.bincount(ids, minlength=len(words))
    frequent = [i for i in np.argsort(-counts, kind="stable").tolist() if counts[i] >= min_count]
    kept = [i for i in frequent if words[i] not in _MARKS and is_line(words[i])][:max_features]
    if not kept:
        raise ValueError(f"docs hold no word that occurs min_count={min_count} times, expected some; lower min_count.")
    targets = np.full(len(words), _UNKNOWN_ROW, dtype=np.int32)
    targets[kept] = np.arange(len(_MARKS), len(_MARKS) + len(kept))
    targets[[0, 1]] = _BEGIN_ROW, _END_ROW
    return Sentences.of(ids, ends, character_ids(words, _MAX_CHARACTERS), targets), [*_MARKS, *(words[i] for i in kept)]


def _encode(docs: Any, row: Callable[[str], int]) -> tuple[np.ndarray, np.ndarray]:
    """Return ids of the words of documents that have any, between begin and end, and where each document ends."""
    ids, ends = array("i"), array("q")
    for document in read_documents(docs, missing=None):
        words, _ = split_words(document)
        if words:
            ids.append(row(BEGIN))
            ids.extend(map(row, words))
            ids.append(row(END))
            ends.append(len(ids))
    return np.frombuffer(ids, dtype=np.int32), np.frombuffer(ends, dtype=np.int64)


def elmo_perplexity(directory: str | os.PathLike, docs: Iterable, *, device: str = "auto") -> ElmoPerplexity:
    """Return how many words the next one, or the one before, is drawn from, as far as a model can tell.

    ``exp(-mean log p)`` over every word and the end of every text, or its begin, p among all words of the vocabulary,
    the unknown one and the end. Forward is what `NNLMVectorizer.perplexity` is of the same words.

    Parameters
    ----------
    directory : str or os.PathLike
        Of `train_elmo`; published models lack the weights of their softmax.
    docs : iterable of str or of token lists
        Empty ones are left out.
    device : str, default="auto"

    Returns
    -------
    ElmoPerplexity
        Lower is better.

    Raises
    ------
    FileNotFoundError, ValueError
        If the directory cannot be read, or there is no word.
    """
    found = read_elmo_directory(directory)
    vocabulary = read_vocabulary(found.weights.parent / VOCABULARY_FILE, _MARKS)
    output = read_output_weights(found, len(vocabulary))
    weights = read_elmo_weights(found)
    row_of: dict[str, int] = {BEGIN: 0, END: 1}
    ids, ends = _encode(docs, lambda word: row_of.setdefault(word, len(row_of)))
    if not len(ends):
        raise ValueError("docs hold no word, so they have no perplexity; pass texts with words.")
    target_of = dict(zip(vocabulary, range(len(vocabulary))))
    targets = np.array([target_of.get(word, _UNKNOWN_ROW) for word in row_of], dtype=np.int32)
    sentences = Sentences.of(ids, ends, character_ids(list(row_of), found.options.max_characters), targets)
    from skembed.apply.nets.elmo import ElmoNet  # torch: here only
    from skembed.training.nets.device import resolve_device
    from skembed.training.nets.language_model import log_likelihoods

    where = resolve_device(device)
    net = ElmoNet.of_arrays(found.options, weights).to(where)
    total, n_events = log_likelihoods(net, sentences, output, where)
    return ElmoPerplexity(*np.exp(-total / n_events).tolist())
