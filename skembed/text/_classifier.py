"""FastTextClassifier: classes of documents from the mean of learned vectors of their words and n-grams."""

from collections.abc import Collection, Iterator
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import compute_sample_weight
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d

from skembed.data.corpus import EncodedCorpus
from skembed.data.documents import read_documents
from skembed.data.keys import Keys
from skembed.data.ragged import Ragged
from skembed.data.vocabulary import Vocabulary
from skembed.state import stored
from skembed.table import EmbeddingTable, SubwordTable
from skembed.table.subwords import Subwords
from skembed.text._bags import BagReader
from skembed.text._class_model import ClassModel
from skembed.text._tokens import TOKEN_PATTERN, Tokenizer
from skembed.text._words import check_table_memory, first_vocabulary, read_stop_words
from skembed.training.callbacks import CallbackSupportMixin, PassCallbacks, with_callbacks
from skembed.training.run import Run, draw_seed

__all__ = ["FastTextClassifier"]

_LOSSES = {"softmax", "hierarchical-softmax", "negative-sampling", "one-vs-all"}


@stored
class FastTextClassifier(CallbackSupportMixin, ClassifierMixin, BaseEstimator):
    """Classify documents by the mean of vectors of their words and n-grams, learned for that [1]_.

    Raw strings and labels in: stands where a Pipeline of TfidfVectorizer and LogisticRegression would stand. It is
    strong where there are many documents, many classes (with ``loss="hierarchical-softmax"``) or strange spellings
    (with character n-grams).

    Parameters
    ----------
    embedding_dim : int, default=100
    loss : {"softmax", "hierarchical-softmax", "negative-sampling", "one-vs-all"}, default="softmax"
        "hierarchical-softmax" takes time in proportion to the logarithm of the number of classes.
    word_ngrams : int, default=1
        Longest n-gram of words; 2 adds pairs of neighbours.
    min_n, max_n : int, default=0
        Shortest and longest n-gram of characters; ``max_n=0`` takes none.
    n_buckets : int, default=2_000_000
        N-grams are hashed to so many numbers; only those in use take memory.
    negative : int, default=5
        Classes drawn for each document, with negative sampling.
    learning_rate : float, default=0.5
        At the start; it falls linearly to 0.
    max_iter : int, default=10
        Passes over the documents, each in another order.
    lowercase, tokenizer, token_pattern, stop_words, max_features
        As in CountVectorizer.
    min_count : int, default=1
        Words that occur less often have no vector.
    class_weight : dict, "balanced" or None, default=None
        As in LogisticRegression; weights are factors of the learning rate, 1 in the mean.
    n_jobs : int, default=None
        Threads or processes of training, as joblib's; the result does not depend on it. Below a million words it is
        one.
    random_state : int, RandomState instance or None, default=None
        An int makes the result reproducible to the bit.
    verbose : int, default=0
        A progress bar when positive.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    embedding_ : EmbeddingTable
        The vectors of words; a SubwordTable, their character n-grams in it, with ``max_n > 0``.
    vocabulary_ : Vocabulary
        The words with their counts.
    loss_curve_ : list of float
        Mean loss of a document, one value a pass.
    n_iter_ : int
        Passes that were finished.

    Notes
    -----
    All words and n-grams of the training documents are held as four bytes each.

    References
    ----------
    .. [1] Joulin, Grave, Bojanowski & Mikolov (2017), "Bag of Tricks for Efficient Text Classification".

    Examples
    --------
    >>> from skembed.text import FastTextClassifier
    >>> documents = ["the king rules", "a queen rules", "the cat eats fish", "a dog eats meat"] * 10
    >>> classifier = FastTextClassifier(10, random_state=0).fit(documents, ["court", "court", "pets", "pets"] * 10)
    >>> classifier.predict(["the queen", "the dog eats"]).tolist()
    ['court', 'pets']
    """

    _state = {
        "_composed": None, "vocabulary_": Vocabulary, "classes_": np.ndarray, "loss_curve_": list[float],
        "n_iter_": int, "_tokenizer": Tokenizer, "_stop_words": list[str], "_bag_reader": BagReader,
        "_model": ClassModel,
    }  # fmt: skip
    _parameter_constraints: dict = {
        "embedding_dim": [Interval(Integral, 1, None, closed="left")],
        "loss": [StrOptions(_LOSSES)],
        "word_ngrams": [Interval(Integral, 1, None, closed="left")],
        "min_n": [Interval(Integral, 0, None, closed="left")],
        "max_n": [Interval(Integral, 0, 100, closed="both")],
        "n_buckets": [Interval(Integral, 1, 2**31 - 1, closed="both")],
        "negative": [Interval(Integral, 1, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "lowercase": ["boolean"],
        "tokenizer": [callable, None],
        "token_pattern": [str],
        "stop_words": [StrOptions({"english"}), "array-like", set, frozenset, None],
        "max_features": [Interval(Integral, 1, None, closed="left"), None],
        "min_count": [Interval(Integral, 1, None, closed="left")],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        embedding_dim=100,
        *,
        loss="softmax",
        word_ngrams=1,
        min_n=0,
        max_n=0,
        n_buckets=2_000_000,
        negative=5,
        learning_rate=0.5,
        max_iter=10,
        lowercase=True,
        tokenizer=None,
        token_pattern=TOKEN_PATTERN,
        stop_words=None,
        max_features=None,
        min_count=1,
        class_weight=None,
        n_jobs=None,
        random_state=None,
        verbose=0,
    ):
        self.embedding_dim = embedding_dim
        self.loss = loss
        self.word_ngrams = word_ngrams
        self.min_n = min_n
        self.max_n = max_n
        self.n_buckets = n_buckets
        self.negative = negative
        self.learning_rate = learning_rate
        self.max_iter = max_iter
        self.lowercase = lowercase
        self.tokenizer = tokenizer
        self.token_pattern = token_pattern
        self.stop_words = stop_words
        self.max_features = max_features
        self.min_count = min_count
        self.class_weight = class_weight
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    @with_callbacks
    def fit(self, X, y, sample_weight=None):
        """Learn from documents and their classes.

        Parameters
        ----------
        X : iterable of n_documents str or token lists
        y : array-like of shape (n_documents,)
            Strings or integers.
        sample_weight : array-like of shape (n_documents,), default=None
            Factors of the learning rate; they are divided by their mean.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a parameter is out of its range, there are fewer than two classes, `X` and `y` differ in length, or no
            word occurs `min_count` times.
        TypeError
            If `X` is one string, or a document is missing or no text.

        Warns
        -----
        UserWarning
            On Ctrl-C after the first pass: what was learned so far is kept. Before, KeyboardInterrupt goes on.
        ConvergenceWarning
            If vectors were no longer finite; the last finite ones are kept.
        """
        from skembed.training.documents import ClassSettings, train_classes  # numba: not to predict

        self._validate_params()
        if self.max_n and self.min_n > self.max_n:
            raise ValueError(f"min_n={self.min_n} is above max_n={self.max_n}; pass min_n of at most {self.max_n}.")
        y = column_or_1d(y, warn=True)
        check_classification_targets(y)
        classes, labels = np.unique(y, return_inverse=True)
        counts = np.bincount(labels)
        tokenizer = Tokenizer(self.lowercase, self.tokenizer, self.token_pattern)
        stop_words = read_stop_words(self.stop_words)
        with EncodedCorpus.read(read_documents(X), tokenizer) as corpus:
            self._check_labels(corpus.n_documents, classes, len(y))
            weights = self._weights(y, sample_weight)
            vocabulary, _ = first_vocabulary(
                corpus, stop_words, min_count=self.min_count, max_features=self.max_features,
                n_rounds=0, threshold=0.0,
            )  # fmt: skip
            reader = self._reader(vocabulary.shared_keys, corpus, stop_words)
            check_table_memory(reader.n_rows, self.embedding_dim)
            parts = list(reader.read(corpus.words, _without(corpus, stop_words)))
        sizes = np.concatenate([part.lengths for part in parts])
        bags = Ragged.from_ends(np.concatenate([part.indices for part in parts]), np.cumsum(sizes))

        callbacks = PassCallbacks(self, self.max_iter, X, y)
        run = Run(draw_seed(self.random_state), self.n_jobs, self.verbose, callbacks, "documents")
        settings = ClassSettings(self.embedding_dim, self.loss, self.negative, self.learning_rate, self.max_iter)
        tables = train_classes(bags, labels.astype(np.int32), weights, reader.n_rows, counts, settings, run)
        self.classes_, self.vocabulary_ = classes, vocabulary
        self._composed: EmbeddingTable | None = None
        self.loss_curve_, self.n_iter_ = tables.loss_curve, len(tables.loss_curve)
        self._model = ClassModel.of(tables, counts, settings)
        self._tokenizer, self._stop_words, self._bag_reader = tokenizer, sorted(stop_words), reader
        callbacks.end()
        return self

    @property
    def embedding_(self) -> EmbeddingTable:
        """The words and their vectors, composed of the model's rows where it is first asked for."""
        check_is_fitted(self)
        if self._composed is None:  # two threads may both compose it: they compose the same
            self._composed = _table_of(self.vocabulary_, self._bag_reader, self._model.input)
        return self._composed

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        # it follows from the model; its name stays, for threads look through names while others ask for the table
        return state | {"_composed": None} if "_composed" in state else state

    def _check_fitted(self) -> None:
        if self.classes_.ndim != 1 or len(self.classes_) < 2 or len(self._bag_reader.keys) != len(self.vocabulary_):
            raise ValueError("expected two classes or more, and a reader of the words of the vocabulary")
        self._model.check(self._bag_reader.n_rows, len(self.classes_))

    def predict_proba(self, X):
        """Return the probabilities of classes.

        Parameters
        ----------
        X : iterable of str or of token lists

        Returns
        -------
        ndarray of shape (n_documents, n_classes), float64
            In the order of `classes_`; those of a document without a known word are what the frequencies of classes
            have taught.
        """
        check_is_fitted(self)
        parts = [np.empty((0, len(self.classes_)))]
        with EncodedCorpus.read(read_documents(X), self._tokenizer) as corpus:
            documents = _without(corpus, self._stop_words)
            parts += map(self._model.probabilities, self._bag_reader.read(corpus.words, documents))
        return np.concatenate(parts)

    def predict(self, X):
        """Return the most probable class of each document, of shape (n_documents,)."""
        probabilities = self.predict_proba(X)
        return self.classes_[probabilities.argmax(axis=1)]

    def _check_labels(self, n_documents: int, classes: np.ndarray, n_labels: int) -> None:
        if n_documents != n_labels:
            raise ValueError(f"X has {n_documents} documents and y has {n_labels} labels; expected one for each.")
        if n_documents and len(classes) < 2:
            raise ValueError(f"y must hold at least 2 classes, got 1 class: {classes[0]!r}.")

    def _weights(self, y: np.ndarray, sample_weight) -> np.ndarray:
        weights = np.ones(len(y)) if sample_weight is None else np.array(sample_weight, dtype=np.float64)
        if weights.shape != (len(y),) or not np.isfinite(weights).all() or (weights < 0).any() or not weights.any():
            raise ValueError(
                f"sample_weight must be {len(y)} finite numbers of 0 or more, not all 0, got shape {weights.shape}."
            )
        if self.class_weight is not None:
            weights = weights * compute_sample_weight(self.class_weight, y)
        return (weights / weights.mean()).astype(np.float32)

    def _reader(self, keys: Keys, corpus: EncodedCorpus, stop_words: Collection[str]) -> BagReader:
        settings = {
            "word_ngrams": self.word_ngrams, "min_n": self.min_n, "max_n": self.max_n, "n_buckets": self.n_buckets,
        }  # fmt: skip
        empty = BagReader(keys, **settings, buckets=np.zeros(0, dtype=np.int64))
        if not self.max_n and self.word_ngrams == 1:
            return empty
        found = empty.buckets_of(corpus.words, _without(corpus, stop_words))
        return BagReader(keys, **settings, buckets=found)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        return tags


def _without(corpus: EncodedCorpus, stop_words: Collection[str]) -> Iterator[Ragged]:
    """Documents as numbers of words, without stop words."""
    return corpus.documents(corpus.numbers(stop_words))


def _table_of(vocabulary: Vocabulary, reader: BagReader, rows: np.ndarray) -> EmbeddingTable:
    """The words and n-grams of characters among the rows of bags."""
    end = 1 + len(vocabulary)
    if not reader.max_n:
        return EmbeddingTable.of_keys(vocabulary.shared_keys, rows[1:end], counts=vocabulary.counts)
    subwords = Subwords(
        rows[end:], min_n=reader.min_n, max_n=reader.max_n, n_buckets=reader.n_buckets, buckets=reader.buckets,
        absent="skip",
    )  # fmt: skip
    return SubwordTable.from_rows(vocabulary.keys, rows[1:end], subwords, counts=vocabulary.counts)
