"""A CoVe of one's own sentence pairs: a translator is learned, and its encoder gives words their vectors in context."""

import os
from array import array
from collections.abc import Iterable, Iterator
from itertools import zip_longest
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions, validate_params

from skembed.apply.contextual_model import split_words
from skembed.apply.word_rows import WordRows
from skembed.atomic import check_new_directory, new_directory
from skembed.data.documents import read_documents
from skembed.data.ragged import Ragged
from skembed.table import EmbeddingTable
from skembed.text._model_training import TrainingReport, hold_out, is_line, read_vocabulary, steps_of, write_vocabulary
from skembed.training.callbacks import PassObserver
from skembed.training.run import Run, draw_seed
from skembed.training.translation import BEGIN_ROW, END_ROW, N_MARKS, UNKNOWN_ROW, SentencePairs, TranslationSettings

__all__ = ["cove_translate", "train_cove"]

ENCODER_FILE, DECODER_FILE = "encoder.safetensors", "decoder.safetensors"
VECTORS_FILE, VOCABULARY_FILE = "vectors.safetensors", "target_vocabulary.txt"
_MARKS = ("<S>", "</S>", "<UNK>")  # rows 0 to 2 of the target
_ENCODER = "encoder."
_AUTO_SAMPLES = 500, 4000
_PASSES = 10  # over many pairs
_MISSING = object()  # a sentence without its other half


@validate_params(
    {
        "vectors": [EmbeddingTable, str, os.PathLike],
        "directory": [str, os.PathLike],
        "hidden_size": [Interval(Integral, 1, None, closed="left"), None],
        "n_layers": [Interval(Integral, 1, 64, closed="both")],
        "max_features": [Interval(Integral, 1, None, closed="left"), None],
        "min_count": [Interval(Integral, 1, None, closed="left")],
        "max_length": [Interval(Integral, 1, None, closed="left")],
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
def train_cove(
    source_texts: Iterable,
    target_texts: Iterable,
    vectors: EmbeddingTable | str | os.PathLike,
    directory: str | os.PathLike,
    *,
    hidden_size: int | None = None,
    n_layers: int = 2,
    max_features: int | None = 20_000,
    min_count: int = 1,
    max_length: int = 60,
    n_samples: int | str | None = "auto",
    dropout: float = 0.2,
    learning_rate: float = 2e-3,
    batch_size: int | str = "auto",
    max_iter: int | str = "auto",
    early_stopping: bool = True,
    validation_fraction: float = 0.05,
    device: str = "auto",
    random_state: Any = None,
    verbose: int = 0,
    callbacks: PassObserver | None = None,
) -> TrainingReport:
    """Learn to translate, and keep the encoder: a CoVe for `ContextualVectorizer`.

    LSTMs in both directions read given word vectors, and an LSTM with attention over their states writes the
    translation [1]_ [2]_. A word that is translated in two ways has two kinds of states.

    Parameters
    ----------
    source_texts, target_texts : iterable of str or of token lists
        Sentences and their translations, in the same order; read once, side by side. Pairs of which a half is empty are
        left out.
    vectors : EmbeddingTable, str or os.PathLike
        Of the words of `source_texts`, or a file of them. They stay as they are; words that have none, in lower case
        neither, have the table's vector for unknown words, or zeros.
    directory : str or os.PathLike
        Is made, whole or not at all, with the encoder by the names of the published one, the decoder, the word vectors
        and the words of the translations. It must not be there yet, unless empty.
    hidden_size : int or None, default=None
        Components of a state from left to right, and of one from right to left. None: as many as a word vector has.
    n_layers : int, default=2
        Of the encoder.
    max_features : int or None, default=20000
        Words of translations, the most frequent ones; all others are one, the unknown.
    min_count : int, default=1
        Words of translations that occur less often are the unknown one.
    max_length : int, default=60
        Words of a sentence; what comes behind is not read.
    n_samples : int, "auto" or None, default="auto"
        Words drawn for the softmax of a batch. "auto": a tenth of them, but 500 at least and 4000 at most. None: all.
    dropout : float, default=0.2
        Of the inputs of the layers, and of what words are predicted from.
    learning_rate : float, default=2e-3
        Of Adam, at the start; it falls to a twentieth of it in a straight line.
    batch_size : int or "auto", default="auto"
        Pairs. "auto" is the 25th part of them, between 4 and 32.
    max_iter : int or "auto", default="auto"
        Passes over the pairs, at most. "auto" is 10, or as many as take 1000 steps, but 50 at most.
    early_stopping : bool, default=True
        Hold out pairs, stop when they have not become more likely for 3 passes, and keep the best state.
    validation_fraction : float, default=0.05
        Share of the pairs that is held out.
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
    FileExistsError
        If `directory` holds anything.
    ValueError
        If one of the texts has more sentences than the other, there is nothing to learn from, or a parameter is out of
        range.

    Warns
    -----
    UserWarning
        On Ctrl-C after the first pass: what was learned is kept and written. Before, nothing is written.
    ConvergenceWarning
        If a loss is not finite: the last finite state is written.

    References
    ----------
    .. [1] McCann, Bradbury, Xiong & Socher (2017), "Learned in Translation: Contextualized Word Vectors", NIPS
       (arXiv:1708.00107).
    .. [2] Luong, Pham & Manning (2015), "Effective Approaches to Attention-based Neural Machine Translation", EMNLP
       (arXiv:1508.04025).

    Examples
    --------
    >>> from skembed.text import train_cove
    >>> report = train_cove(english, german, "glove.txt", "cove", random_state=0)  # doctest: +SKIP
    >>> vectors = ContextualVectorizer("cove", layer=[0, -1]).fit_transform(english)  # doctest: +SKIP
    """
    target = check_new_directory(directory)
    table = vectors if isinstance(vectors, EmbeddingTable) else EmbeddingTable.load(vectors)
    pairs, vocabulary = _read_pairs(source_texts, target_texts, table, max_length, (max_features, min_count))
    rng = check_random_state(draw_seed(random_state))
    n_pairs, n_words = len(pairs.source), len(vocabulary)
    held_out = hold_out(n_pairs, validation_fraction, rng) if early_stopping else np.zeros(n_pairs, bool)
    n_drawn = int(np.clip(n_words // 10, *_AUTO_SAMPLES)) if isinstance(n_samples, str) else n_samples
    batch_size, max_iter = steps_of(n_pairs - int(held_out.sum()), batch_size, max_iter, _PASSES)
    settings = TranslationSettings(
        max_iter=max_iter, validation_fraction=validation_fraction, tol=1e-3, batch_size=batch_size,
        learning_rate=learning_rate, device=device, hidden_size=hidden_size or table.embedding_dim, n_layers=n_layers,
        n_samples=n_drawn, ns_exponent=0.75, dropout=dropout, weight_decay=0.0, max_norm=1.0,
    )  # fmt: skip
    from skembed.training.nets.translator import learn_translation  # torch: here only

    learned_from = pairs.target.take(np.flatnonzero(~held_out)).indices
    counts = np.bincount(learned_from, minlength=n_words)
    counts[BEGIN_ROW] = 0  # it is never written
    run = Run(draw_seed(rng), None, verbose, callbacks, "train_cove")
    arrays, history = learn_translation(pairs, held_out, counts, settings, run)
    encoder = {name.removeprefix(_ENCODER): a for name, a in arrays.items() if name.startswith(_ENCODER)}
    decoder = {name: a for name, a in arrays.items() if not name.startswith(_ENCODER)}
    with new_directory(target) as folder:
        save_file(encoder, folder / ENCODER_FILE)
        save_file(decoder, folder / DECODER_FILE)
        table.save(folder / VECTORS_FILE)
        write_vocabulary(folder / VOCABULARY_FILE, vocabulary)
    return TrainingReport(target, history.loss_curve, history.validation_scores, history.n_iter)


def _read_pairs(
    source_texts: Any, target_texts: Any, table: EmbeddingTable, max_length: int, limits: tuple[int | None, int]
) -> tuple[SentencePairs, list[str]]:
    """Return pairs of sentences as ids, and the words of translations, within `limits` of `_kept_words`."""
    source_rows: dict[str, int] = {}
    target_rows: dict[str, int] = {}
    ids, ends = (array("i"), array("i")), (array("q"), array("q"))
    for source, target in _side_by_side(source_texts, target_texts):
        if source and target:
            for words, rows, of, end in zip((source, target), (source_rows, target_rows), ids, ends):
                of.extend(rows.setdefault(word, len(rows)) for word in words[:max_length])
                end.append(len(of))
    if not len(ends[0]):
        raise ValueError(
            "source_texts and target_texts hold no pair with words on both sides, so there is nothing to learn; a "
            "generator that was read before is empty."
        )
    read, written = (Ragged.from_ends(np.array(i, dtype=np.int32), np.array(e)) for i, e in zip(ids, ends))
    word_rows = WordRows(table)
    found = word_rows.rows(list(source_rows))
    if not (found >= 0).any():
        shown = ", ".join(repr(word[:40]) for word in list(source_rows)[:5])
        raise ValueError(
            f"vectors hold none of the words of source_texts, such as {shown}; pass those of their language."
        )
    row_of, vocabulary = _kept_words(list(target_rows), np.bincount(written.indices), *limits)
    return SentencePairs(read, _between_marks(written, row_of), word_rows.vectors(found)), vocabulary


def _side_by_side(source_texts: Any, target_texts: Any) -> Iterator[tuple[list[str], list[str]]]:
    """Yield the words of both halves of pairs."""
    both: Iterable[Any] = zip_longest(
        *(read_documents(texts, missing=None) for texts in (source_texts, target_texts)), fillvalue=_MISSING
    )
    for number, pair in enumerate(both):
        if _MISSING in pair:
            longer, shorter = ("source", "target") if pair[1] is _MISSING else ("target", "source")
            raise ValueError(
                f"{longer}_texts has more sentences than {shorter}_texts, which ends after {number}; expected a "
                "translation for each sentence."
            )
        yield split_words(pair[0])[0], split_words(pair[1])[0]


def _kept_words(
    words: list[str], counts: np.ndarray, max_features: int | None, min_count: int
) -> tuple[np.ndarray, list[str]]:
    """Return the row of each word in the vocabulary, and the vocabulary."""
    frequent = [i for i in np.argsort(-counts, kind="stable").tolist() if counts[i] >= min_count]
    kept = [i for i in frequent if words[i] not in _MARKS and is_line(words[i])][:max_features]
    if not kept:
        raise ValueError(f"target_texts hold no word that occurs min_count={min_count} times; lower min_count.")
    row_of = np.full(len(words), UNKNOWN_ROW, dtype=np.int32)
    row_of[kept] = np.arange(N_MARKS, N_MARKS + len(kept))
    return row_of, [*_MARKS, *(words[i] for i in kept)]


def _between_marks(sentences: Ragged, row_of: np.ndarray) -> Ragged:
    """Return sentences of rows, each between its begin and its end."""
    n = len(sentences)
    indptr = sentences.indptr + 2 * np.arange(n + 1)
    laid = np.empty(int(indptr[-1]), dtype=np.int32)
    laid[indptr[:-1]], laid[indptr[1:] - 1] = BEGIN_ROW, END_ROW
    places = np.arange(len(sentences.indices)) + 2 * np.repeat(np.arange(n), sentences.lengths) + 1
    laid[places] = row_of[sentences.indices]
    return Ragged(indptr, laid)


def cove_translate(
    directory: str | os.PathLike, texts: Iterable, *, max_length: int = 60, device: str = "auto"
) -> list[list[str]]:
    """Translate texts by a translator of `train_cove`, each word the likeliest one after those before it.

    Parameters
    ----------
    directory : str or os.PathLike
    texts : iterable of str or of token lists
    max_length : int, default=60
        Words of a text that are read, and of a translation.
    device : str, default="auto"

    Returns
    -------
    list of list of str
        Words; none for a text without any.

    Raises
    ------
    FileNotFoundError, ValueError
        If a file is missing, or is none of `train_cove`: the message names it.
    """
    root = Path(directory)
    vocabulary = read_vocabulary(root / VOCABULARY_FILE, _MARKS)
    from skembed.apply.nets.cove import read_encoder  # torch: here only
    from skembed.training.nets.device import resolve_device
    from skembed.training.nets.translator import translate_greedily

    arrays = {f"{_ENCODER}{name}": weight.numpy() for name, weight in read_encoder(root / ENCODER_FILE).items()}
    rows = WordRows(EmbeddingTable.load(root / VECTORS_FILE))
    words = [split_words(text)[0][:max_length] for text in read_documents(texts, missing=None)]
    found = [rows.rows(one) for one in words]
    laid = np.concatenate([np.empty(0, np.int32), *found])
    used, places = np.unique(laid, return_inverse=True)
    sentences = Ragged.from_ends(places.astype(np.int32), np.cumsum([len(one) for one in found], dtype=np.int64))
    arrays |= load_file(root / DECODER_FILE)
    translated = translate_greedily(arrays, sentences, rows.vectors(used), max_length, resolve_device(device))
    return [[vocabulary[row] for row in one] for one in translated]
