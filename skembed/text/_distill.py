"""Distillation of a sentence model into a table of the words of some texts."""

import os
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils import check_random_state

from skembed.apply.contextual_model import ModelOptions, open_contextual_model
from skembed.apply.contextual_states import vectors_of
from skembed.apply.postprocessing import frequency_weights
from skembed.data.corpus import EncodedCorpus
from skembed.data.documents import plain_strings, read_documents
from skembed.data.vocabulary import Vocabulary
from skembed.memory import check_memory
from skembed.table import EmbeddingTable
from skembed.table.queries import positive_int
from skembed.text._contextual_settings import settings_for
from skembed.text._scripts import warned_of_scripts
from skembed.text._tokens import INVISIBLE, Tokenizer, word_pattern
from skembed.warning import warn

__all__ = ["distill", "fit_means"]

_PASSAGE = 32  # words of a text that the model reads; most sentences are shorter
_SQUARES = 6  # matrices of passages times passages that an eigendecomposition holds at a time
_UNREAD_SHARE = 1 / 3  # of the running words: more of them unknown to the model, and it is none for these texts
_SHOWN = 5  # words that a message names
_SHARE_OF_MOVES = 0.5  # texts to come are other ones than those of the sample
_PENALTIES = np.logspace(-5, 2, 22)  # of the regression, beside the mean squared length of a text's shares of words


def distill(
    model_dir: str | os.PathLike,
    texts: Iterable,
    *,
    words: Iterable[str] = (),
    min_count: int = 1,
    n_passages: int = 1000,
    token_pattern: str | None = None,
    device: str = "auto",
    random_state: Any = None,
) -> EmbeddingTable:
    """Make a table for the words of texts, whose means come close to the vectors that a sentence model gives.

    The model runs once for each word, alone, and for a sample of the texts; afterwards a text costs no more than
    looking its words up. Needs transformers (``pip install "skembed[transformers]"``); nothing is downloaded, no pickle
    is opened, and no code of the directory is run.

    Parameters
    ----------
    model_dir : str or os.PathLike
        A directory of sentence-transformers on this disk: ``modules.json``, ``config.json``, ``model.safetensors``
        and a tokenizer. Its pooling, dense layers and default prompt are those that it names.
    texts : iterable of str or of token lists
        Whose words get a vector, and whose frequencies tell their weights; read once. Labels are not needed, so these
        may be all texts that there are. Texts of scripts without spaces between words are to be lists of words.
    words : iterable of str, default=()
        Further words that get a vector, as those of texts to come.
    min_count : int, default=1
        Words of `texts` that occur less often get none.
    n_passages : int, default=1000
        How many texts the model reads, at most; of a longer one 32 words in a row. 0: words alone.
    token_pattern : str, default=None
        What a word is. None: a run of letters, digits and underscores, with the marks of the letters, as
        `PretrainedVectorizer` finds them.
    device : str, default="auto"
        "auto" is the first CUDA device if there is one, else the CPU.
    random_state : int, RandomState instance or None, default=None
        Draws the texts that the model reads.

    Returns
    -------
    EmbeddingTable
        The most frequent words first, in lower case where the model does not see case. Their lengths hold their
        weights: pool them by the mean.

    Raises
    ------
    FileNotFoundError, ValueError
        If the directory is none that can be read: the message names the file. Or if no word is left.
    TypeError
        If `texts` is one string or holds what is no text, or `words` what is no string.
    ImportError
        Without transformers.
    MemoryError
        If `n_passages` texts would need more memory than there is.

    Warns
    -----
    UserWarning
        If the model cannot tell more than a third of the running words from each other, since its vocabulary lacks
        their characters. Or if `token_pattern` does not find words, as of scripts without spaces.

    Notes
    -----
    Words alone, less the mean over all running text, and weighted by a / (a + p) for a word of the relative frequency
    p, as in SIF (Arora, Liang & Ma 2017), where a is the mean p of a running word: model2vec (Tulkens & van Dongen
    2024) does so for the vocabulary of the tokenizer. A ridge regression then finds how words have to move, as little
    as possible, so that their means come close to the model's vectors of the sampled texts. Its penalty is the one with
    the least error on texts that are left out, one by one (Allen 1974, PRESS). Words go half of the way: they are to
    serve other texts, too.

    Examples
    --------
    >>> from skembed.text import PretrainedVectorizer, distill
    >>> table = distill("all-MiniLM-L6-v2", texts)  # doctest: +SKIP
    >>> vectors = PretrainedVectorizer(table).fit_transform(texts)  # doctest: +SKIP
    """
    positive_int(min_count, "min_count")
    if isinstance(words, str | bytes):
        raise TypeError(
            f"words must be a list of words, got the single {type(words).__name__} {words[:40]!r}; pass [words]."
        )
    if n_passages != 0:
        positive_int(n_passages, "n_passages", "or 0")
    model = _SentenceModel(model_dir, device)
    tokenizer = Tokenizer(model.lowercase, None, word_pattern(INVISIBLE) if token_pattern is None else token_pattern)
    further = _further(words, lowercase=model.lowercase)
    sample = PassageSample(n_passages, check_random_state(random_state))
    documents = warned_of_scripts(
        read_documents(texts, missing=None, lowercase=model.lowercase), tokenizer, name="texts"
    )
    with EncodedCorpus.read(sample.read(documents), tokenizer) as corpus:
        vocabulary = _vocabulary(corpus, min_count)
    keys = list(dict.fromkeys([*vocabulary.keys.tolist(), *further]))
    if not keys:
        raise ValueError(
            f"texts hold no word that occurs min_count={min_count} times; pass texts, or a token_pattern that finds "
            "words. A generator that was read before is empty."
        )
    n_read = len(sample.passages)
    check_memory(
        _SQUARES * n_read**2 * np.dtype(np.float64).itemsize, f"a regression on {n_read} passages", "lower n_passages"
    )
    counts = np.zeros(len(keys))
    counts[: len(vocabulary)] = vocabulary.counts
    _warn_unread(keys, counts, model.unread(keys))
    alone = model.encode(keys, lengths=True)
    p = counts / max(counts.sum(), 1)
    vectors = (alone - p @ alone) * frequency_weights(counts, float(p @ p) or 1.0)[:, None]
    shares, passages = _shares(sample.passages, tokenizer, dict(zip(keys, range(len(keys)))))
    if len(passages) > 1:  # a single one does not differ from the mean of all
        texts_read = [passage if isinstance(passage, str) else " ".join(passage) for passage in passages]
        vectors = fit_means(vectors, shares, model.encode(texts_read))
    return EmbeddingTable(keys, vectors.astype(np.float32))


class _SentenceModel:
    """The model of a directory, with its own pooling, dense layers and prompt."""

    def __init__(self, model_dir: str | os.PathLike, device: str) -> None:
        from skembed.training.nets.device import resolve_device  # torch: when it is used

        self._device = resolve_device(device)
        self._model = open_contextual_model(model_dir, ModelOptions(self._device), parameter="model_dir")

    @property
    def lowercase(self) -> bool:
        """Whether the case of letters makes no difference."""
        capitals, small = self._model.read(["Aa Bb", "aa bb"])
        return np.array_equal(capitals.inputs, small.inputs)

    def unread(self, texts: list[str]) -> np.ndarray:
        """Return of which texts the model knows no character, so that it takes them for the same; (n_texts,), bool."""
        unknown = getattr(self._model, "unknown_id", None)
        return np.array([len(s.inputs) > 0 and bool((s.inputs == unknown).all()) for s in self._model.read(texts)])

    def encode(self, texts: list[str], *, lengths: bool = False) -> np.ndarray:
        """Return the vectors of texts; with `lengths`, they keep theirs where the directory brings them to 1."""
        settings = settings_for(self._model, normalize=False if lengths else "auto")
        reading = settings.reading("auto", self._device)
        return settings.finish(vectors_of(self._model, texts, reading, settings.pool), self._model)


class PassageSample:
    """A sample of different texts, drawn while they are read.

    Parameters
    ----------
    size : int
    generator : RandomState

    Attributes
    ----------
    passages : list of str or of token lists
        At most `size`; of a text of more than 32 words so many in a row.
    """

    def __init__(self, size: int, generator: np.random.RandomState) -> None:
        self._size, self._generator = size, generator
        self.passages: list[str | list[str]] = []
        self._hashes: set[int] = set()

    def read(self, documents: Iterable[str | list]) -> Iterator[str | list]:
        """Yield the documents as they are, and draw (Vitter 1985, "Random sampling with a reservoir", algorithm R)."""
        for document in documents:
            if self._size and any(document):
                self._draw(document)
            yield document

    def _draw(self, document: str | list) -> None:
        if (hashed := hash(document if isinstance(document, str) else tuple(document))) in self._hashes:
            return
        self._hashes.add(hashed)
        n_seen = len(self._hashes)
        place = n_seen - 1 if n_seen <= self._size else self._generator.randint(n_seen)
        if place >= self._size:
            return
        words = document.split() if isinstance(document, str) else document
        if len(words) > _PASSAGE:
            start = self._generator.randint(len(words) - _PASSAGE + 1)
            words = words[start : start + _PASSAGE]
            document = " ".join(words) if isinstance(document, str) else words
        self.passages[place : place + 1] = [document]


def fit_means(vectors: np.ndarray, shares: sparse.csr_array, targets: np.ndarray) -> np.ndarray:
    """Move word vectors, by as little as possible, so that the means over texts come close to the vectors of these.

    Parameters
    ----------
    vectors : ndarray of shape (n_words, embedding_dim)
        Less their mean over running text.
    shares : sparse array of shape (n_texts, n_words)
        The share of each word in a text; rows add up to 1.
    targets : ndarray of shape (n_texts, embedding_dim)
        Of which the direction counts.

    Returns
    -------
    ndarray of shape (n_words, embedding_dim)
        Half of the way to those whose means fit best.
    """
    targets = targets / np.maximum(np.linalg.norm(targets, axis=1, keepdims=True), 1e-12)
    targets = targets - targets.mean(axis=0)
    means = shares @ vectors
    scale = (means * targets).sum() / max((means * means).sum(), 1e-300)
    if scale <= 0:  # words alone say nothing of texts
        scale = 0.0
    residuals = targets - scale * means
    # Dual ridge regression: the moves are shares.T @ coefficients. One decomposition serves all penalties, and
    # residual i of a fit without text i is coefficient i over the i-th diagonal element of the inverse.
    eigenvalues, basis = np.linalg.eigh((shares @ shares.T).toarray())
    eigenvalues = np.maximum(eigenvalues, 0)
    rotated, squares = basis.T @ residuals, basis**2
    errors = []
    for penalty in (penalties := _PENALTIES * eigenvalues.mean()):
        inverse = 1 / (eigenvalues + penalty)
        left_out = (basis @ (rotated * inverse[:, None])) / (squares @ inverse)[:, None]
        errors.append((left_out**2).sum())
    inverse = 1 / (eigenvalues + penalties[int(np.argmin(errors))])
    moves = shares.T @ (basis @ (rotated * inverse[:, None]))
    return scale * vectors + _SHARE_OF_MOVES * moves


def _vocabulary(corpus: EncodedCorpus, min_count: int) -> Vocabulary:
    return Vocabulary.from_counts(corpus.words, corpus.counts.tolist(), min_frequency=min_count)


def _further(words: Iterable[str], *, lowercase: bool) -> list[str]:
    further = list(words)
    for word in further:
        if not isinstance(word, str):
            raise TypeError(f"words holds {word!r:.60} of type {type(word).__name__}, expected strings alone.")
    return [word.lower() if lowercase else word for word in plain_strings(further)]


def _warn_unread(words: list[str], counts: np.ndarray, unread: np.ndarray) -> None:
    """Warn if a model takes more than a third of the running words for the same."""
    share = counts[unread].sum() / max(counts.sum(), 1)
    if share > _UNREAD_SHARE:
        shown = ", ".join(repr(words[row][:40]) for row in np.flatnonzero(unread)[:_SHOWN])
        warn(
            f"{share:.0%} of the running words of texts are nothing but unknown tokens to the model, such as {shown}: "
            "they get the same vector. Pass the directory of a model that was trained on this language."
        )


def _shares(
    passages: list[str | list[str]], tokenizer: Tokenizer, row_of: dict[str, int]
) -> tuple[sparse.csr_array, list[str | list[str]]]:
    """Return the share of each word in each passage with a known word, and these passages."""
    words = [tokenizer.words(passage) if isinstance(passage, str) else passage for passage in passages]
    rows = [[row_of[word] for word in found if word in row_of] for found in words]
    kept = [(one, passage) for one, passage in zip(rows, passages) if one]
    lengths = np.array([len(one) for one, _ in kept], dtype=np.int64)
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    indices = np.fromiter(chain.from_iterable(one for one, _ in kept), dtype=np.int64, count=int(indptr[-1]))
    shares = sparse.csr_array((np.repeat(1 / lengths, lengths), indices, indptr), shape=(len(kept), len(row_of)))
    shares.sum_duplicates()
    return shares, [passage for _, passage in kept]
