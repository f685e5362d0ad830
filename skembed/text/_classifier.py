"""FastTextClassifier: classes of documents from the mean of learned vectors of their words and n-grams."""

import math
from collections.abc import Iterator
from dataclasses import replace
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from skembed.base import EmbeddingEstimator
from skembed.data.corpus import EncodedCorpus
from skembed.data.documents import MISSING
from skembed.data.keys import Keys
from skembed.data.vocabulary import Vocabulary
from skembed.state import stored
from skembed.table import EmbeddingTable, SubwordTable
from skembed.table.subwords import Subwords
from skembed.text._bags import END_ROW, BagReader
from skembed.text._calibration import enough_of
from skembed.text._class_labels import all_classes, class_numbers, read_labels
from skembed.text._class_learning import (
    FIRST_RATE,
    ClassesSeen,
    ClassLearning,
    LearnedClasses,
    StartingRows,
    class_task,
)
from skembed.text._class_model import ClassModel
from skembed.text._class_reading import all_bags, document_weights, warn_of_marked_classes, without_stop_words
from skembed.text._scripts import warned_of_scripts
from skembed.text._strangers import warn_cut_stop_words, warn_unknown_documents
from skembed.text._tokens import TOKEN_PATTERN, Tokenizer
from skembed.text._word_training import check_init, check_shares_words
from skembed.text._words import check_table_memory, first_vocabulary, grown_vocabulary, read_stop_words
from skembed.training.callbacks import CallbackSupportMixin, PassCallbacks, with_callbacks
from skembed.training.run import Run, draw_seed

__all__ = ["FastTextClassifier"]

_WORDS_OF_FASTTEXT = r"[^ \n\r\t\v\f\0]+"  # what stands between its white space
_LOSSES = {"softmax", "hierarchical-softmax", "negative-sampling", "one-vs-all"}


@stored
class FastTextClassifier(CallbackSupportMixin, ClassifierMixin, EmbeddingEstimator):
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
    learning_rate : float or "auto", default="auto"
        How far a step moves the score of a document, times what it lacks, at the start; it falls linearly to 0. The
        higher, the more of the training documents is learned by heart, wrong labels among them. "auto" is 0.5, or less,
        or of up to 2,000 documents more, where documents that are held out for `calibrate` are then predicted better.
    max_iter : int, default=10
        Passes over the documents, each in another order. What they learn does not depend on how long documents are and
        how many there are; twice as many are much like twice the rate.
    lowercase, tokenizer, token_pattern, stop_words, max_features
        As in CountVectorizer; `lowercase` is for token lists and stop words, too.
    missing : {"error", "empty"}, default="error"
        Whether a missing document (None, NaN, NA, null) is an error or an empty one.
    min_count : int, default=1
        Words that occur less often have no vector.
    init : EmbeddingTable, default=None
        Vectors to begin with, for the words that it holds; for tasks with few documents. Others begin at random.
    calibrate : bool, default=True
        Divide scores by a temperature, so that probabilities are those of documents to come: learned by heart, those of
        the training are too sure. It is chosen on documents held out of a second, narrower training, and changes no
        ranking of classes where they have scores of their own ("softmax", "one-vs-all"). False saves up to half of the
        time, and "auto" is 0.5.
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
    learning_rate_ : float
        Of `fit`, or the first call of `partial_fit`.
    temperature_ : float
        What scores were divided by; above 1, the training was too sure. 1 without `calibrate`.
    loss_curve_ : list of float
        Mean loss of a document, one value a pass, before calibration.
    n_iter_ : int
        Passes that were finished.

    Notes
    -----
    The model is that of the fastText program, whose files it reads and writes. Steps are not: in the program each word
    of a document moves by its share of the step, from classes that begin at zero, and long, few or many classes of
    documents need other rates and more passes. Here steps are normalised, rare words take a larger part of them, and
    classes begin apart, so that the defaults fit a hundred documents as well as a hundred thousand.

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
        "n_iter_": int, "learning_rate_": float, "temperature_": float, "_tokenizer": Tokenizer,
        "_stop_words": list[str], "_bag_reader": BagReader, "_model": ClassModel, "_seen": ClassesSeen,
    }  # fmt: skip
    _parameter_constraints: dict = {
        "embedding_dim": [Interval(Integral, 1, None, closed="left")],
        "loss": [StrOptions(_LOSSES)],
        "word_ngrams": [Interval(Integral, 1, None, closed="left")],
        "min_n": [Interval(Integral, 0, None, closed="left")],
        "max_n": [Interval(Integral, 0, 100, closed="both")],
        "n_buckets": [Interval(Integral, 1, 2**31 - 1, closed="both")],
        "negative": [Interval(Integral, 1, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither"), StrOptions({"auto"})],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "lowercase": ["boolean"],
        "tokenizer": [callable, None],
        "token_pattern": [str, None],
        "missing": [StrOptions(set(MISSING))],
        "stop_words": [StrOptions({"english"}), "array-like", set, frozenset, None],
        "max_features": [Interval(Integral, 1, None, closed="left"), None],
        "min_count": [Interval(Integral, 1, None, closed="left")],
        "init": [EmbeddingTable, None],
        "calibrate": ["boolean"],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    classes_: np.ndarray
    vocabulary_: Vocabulary
    loss_curve_: list[float]
    learning_rate_: float
    temperature_: float
    _composed: EmbeddingTable | None
    _tokenizer: Tokenizer
    _stop_words: list[str]
    _bag_reader: BagReader
    _model: ClassModel
    _seen: ClassesSeen

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
        learning_rate="auto",
        max_iter=10,
        lowercase=True,
        tokenizer=None,
        token_pattern=TOKEN_PATTERN,
        stop_words=None,
        missing="error",
        max_features=None,
        min_count=1,
        init=None,
        calibrate=True,
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
        self.missing = missing
        self.max_features = max_features
        self.min_count = min_count
        self.init = init
        self.calibrate = calibrate
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
            On Ctrl-C after the first pass: what was learned so far is kept. Before, KeyboardInterrupt goes on. Or if
            `token_pattern` does not find the words of a tenth of the texts, as of Chinese and Hindi.
        ConvergenceWarning
            If vectors were no longer finite; the last finite ones are kept.
        """
        from skembed.training.documents import train_classes  # numba: not to predict

        read, learning, callbacks = self._read(X, y, sample_weight, classes=None, earlier=False)
        for training in learning:
            training.tables = train_classes(*training.arguments, **training.options)
        self._keep(read, learning.learned, earlier=False)
        callbacks.end()
        return self

    @with_callbacks
    def partial_fit(self, X, y, classes=None, sample_weight=None):
        """Go on learning from further documents; the first call is `fit`.

        New words and n-grams get vectors, words once they have occurred `min_count` times over all calls. Training
        takes `max_iter` passes over these documents and starts from what was learned, at a learning rate times the
        square root of their share of all documents so far. How documents are read, and the loss, stay as of the first
        call. Later calls calibrate by how the documents were predicted before they were learned. Few large calls learn
        better than many small ones.

        Parameters
        ----------
        X : iterable of n_documents str or token lists
        y : array-like of shape (n_documents,)
        classes : array-like of shape (n_classes,), default=None
            In the first call, all classes that later calls may bring; None: those of `y`.
        sample_weight : array-like of shape (n_documents,), default=None
            As of `fit`.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            As of `fit`; and if `y` holds a class that was not announced, or `class_weight` is "balanced": no call knows
            how frequent classes will be.

        Warns
        -----
        UserWarning, ConvergenceWarning
            As of `fit`.
        """
        if isinstance(self.class_weight, str):
            raise ValueError(
                "class_weight='balanced' needs all documents, and partial_fit has a part of them; pass a dict of "
                "weights: sklearn.utils.compute_class_weight finds those of a sample."
            )
        from skembed.training.documents import train_classes  # numba: not to predict

        earlier = hasattr(self, "_model")
        read, learning, callbacks = self._read(X, y, sample_weight, classes=classes, earlier=earlier)
        for training in learning:
            training.tables = train_classes(*training.arguments, **training.options)
        self._keep(read, learning.learned, earlier=earlier)
        callbacks.end()
        return self

    def _read(
        self, X: Any, y: Any, sample_weight: Any, *, classes: Any, earlier: bool
    ) -> tuple[dict[str, Any], ClassLearning, PassCallbacks]:
        """What was read, as attributes, and the learning of it."""
        from skembed.training.documents import ClassSettings, LabelledBags  # numba: not to predict

        self._validate_params()
        self._check_parameters(earlier)
        y = read_labels(y)
        classes = all_classes(y, classes, self.classes_ if earlier else None)
        tokenizer = self._tokenizer if earlier else self._new_tokenizer()
        stop_words = (
            frozenset(self._stop_words) if earlier else read_stop_words(self.stop_words, lowercase=self.lowercase)
        )
        with EncodedCorpus.read(warned_of_scripts(tokenizer.documents(X), tokenizer), tokenizer) as corpus:
            warn_cut_stop_words(stop_words, tokenizer.words, corpus.words)
            warn_of_marked_classes(corpus.words)
            labels = class_numbers(corpus.n_documents, y, classes)
            weights = document_weights(y, sample_weight, self.class_weight, classes)
            counts = np.zeros(len(classes), dtype=np.int64)
            seen_before = None
            if earlier:
                vocabulary, _ = grown_vocabulary(self.vocabulary_, [], corpus, stop_words)
                seen_before = self._seen
                if self.calibrate:
                    known = LabelledBags(all_bags(self._bag_reader, corpus, stop_words), labels, weights, counts)
                    losses = self._seen.losses.add(self._model, enough_of(known), 1 / self.temperature_)
                    seen_before = replace(self._seen, losses=losses)
            else:
                vocabulary, _ = first_vocabulary(
                    corpus, stop_words, min_count=self.min_count, max_features=self.max_features,
                    n_rounds=0, threshold=0.0,
                )  # fmt: skip
            before = self._bag_reader if earlier else self._new_bag_reader()
            reader = before.grown(vocabulary.shared_keys, corpus.words, without_stop_words(corpus, stop_words))
            check_table_memory(reader.n_rows, self.embedding_dim)
            data = LabelledBags(all_bags(reader, corpus, stop_words), labels, weights, counts)

        callbacks = PassCallbacks(self, self.max_iter, X, y)
        n_before = len(self.loss_curve_) if earlier else 0
        seed = (draw_seed(self.random_state) + n_before) % 2**31  # no call repeats the draws of another
        run = Run(seed, self.n_jobs, self.verbose, callbacks, "documents")
        loss = self._model.loss if earlier else self.loss
        learning_rate, idf_power = self._learning_rate(len(y), earlier), 1.0 if reader.max_n else 2.0
        settings = ClassSettings(loss, int(self.negative), learning_rate, int(self.max_iter), idf_power=idf_power)
        task = class_task(
            data, self._start(reader, seed, earlier), settings, run, calibrate=self.calibrate,
            choose_rate=self.learning_rate == "auto", earlier=seen_before,
        )  # fmt: skip
        read = {
            "classes_": classes, "vocabulary_": vocabulary, "_tokenizer": tokenizer, "_stop_words": sorted(stop_words),
            "_bag_reader": reader,
        }  # fmt: skip
        return read, ClassLearning(task), callbacks

    def _keep(self, read: dict[str, Any], learned: LearnedClasses, *, earlier: bool) -> None:
        """Set the attributes of a finished training."""
        before = self.loss_curve_ if earlier else []
        for name, value in read.items():
            setattr(self, name, value)
        self._composed = None
        self.loss_curve_ = [*before, *learned.loss_curve]
        self.n_iter_ = len(self.loss_curve_)
        self.temperature_ = 1 / learned.factor
        if not earlier:
            self.learning_rate_ = learned.learning_rate
        self._model, self._seen = learned.model, learned.seen

    def _new_tokenizer(self) -> Tokenizer:
        return Tokenizer(self.lowercase, self.tokenizer, self.token_pattern, self.missing)

    def _new_bag_reader(self) -> BagReader:
        """One that knows no words yet."""
        settings = {name: getattr(self, name) for name in ("word_ngrams", "min_n", "max_n", "n_buckets")}
        return BagReader(
            Keys(np.empty(0, dtype=object)), **settings, absent="zeros", buckets=np.zeros(0, dtype=np.int64)
        )

    def _learning_rate(self, n_documents: int, earlier: bool) -> float:
        """The rate of this call: lower for a small part of all documents, which must not outweigh the others."""
        n_before = int(self._seen.counts.sum()) if earlier else 0
        rate = self.learning_rate
        if rate == "auto":  # classifiers of older files were not told of theirs
            rate = getattr(self, "learning_rate_", FIRST_RATE) if earlier else FIRST_RATE
        return rate * math.sqrt(n_documents / max(n_before + n_documents, 1))

    def _check_parameters(self, earlier: bool) -> None:
        if self.max_n and self.min_n > self.max_n:
            raise ValueError(f"min_n={self.min_n} is above max_n={self.max_n}; pass min_n of at most {self.max_n}.")
        check_init(self.init, self.embedding_dim)
        if earlier and self._model.input.shape[1] != self.embedding_dim:
            raise ValueError(
                f"embedding_dim={self.embedding_dim}, but the vectors learned so far have "
                f"{self._model.input.shape[1]} components; partial_fit cannot change it, fit can."
            )

    def _start(self, reader: BagReader, seed: int, earlier: bool) -> StartingRows:
        """What training begins with: what was learned, vectors of `init`, and numbers drawn at random."""
        from skembed.training.documents import random_rows  # numba: not to predict

        n_words = len(reader.keys)
        rows = random_rows(reader.n_rows, self.embedding_dim, seed)
        if self.init is not None:
            words = reader.keys.array
            if not earlier:
                check_shares_words(self.init, words)
            given = np.array([word in self.init for word in words])
            rows[1 : 1 + n_words][given] = self.init.lookup(words[given])
        if not earlier:
            return StartingRows(reader.n_rows, n_words, rows, self.init is not None)
        old, n_old = self._bag_reader, len(self._bag_reader.keys)
        rows[: 1 + n_old] = self._model.input[: 1 + n_old]  # words keep their rows
        places = np.searchsorted(reader.buckets, old.buckets)
        rows[1 + n_words + places] = self._model.input[1 + n_old :]
        output = self._model.output * np.float32(self.temperature_)
        return StartingRows(reader.n_rows, n_words, rows, False, output)

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
        self._seen.check(len(self.classes_))
        if not 0 < self.temperature_ < np.inf:
            raise ValueError(f"expected a positive temperature, got {self.temperature_}")
        if not 0 < getattr(self, "learning_rate_", FIRST_RATE) < np.inf:
            raise ValueError(f"expected a positive learning rate, got {self.learning_rate_}")

    def predict_proba(self, X):
        """Return the probabilities of classes.

        Parameters
        ----------
        X : iterable of str or of token lists

        Returns
        -------
        ndarray of shape (n_documents, n_classes), float64
            In the order of `classes_`; those of a document without a known word or n-gram are the frequencies of the
            classes among the documents learned, by weight.
        """
        check_is_fitted(self)
        return np.concatenate([np.empty((0, len(self.classes_))), *self._probabilities(X)])

    def _probabilities(self, X: Any) -> Iterator[np.ndarray]:
        """Yield the probabilities of some documents at a time."""
        with EncodedCorpus.read(self._tokenizer.documents(X), self._tokenizer) as corpus:
            documents = without_stop_words(corpus, self._stop_words)
            n_known = 0
            for bags in self._bag_reader.read(corpus.words, documents):
                n_known += int((bags.indices > END_ROW).sum())
                yield from self._model.probabilities(bags)
            warn_unknown_documents(corpus.n_documents, n_known, "all get the frequencies of the classes")

    def to_fasttext(self, path, *, label_prefix="__label__"):
        """Write the model as a file, .bin, that the fastText program and its wrappers read; it predicts alike there.

        Not quite alike: fastText splits texts at white space, keeps case and knows no stop words, so that its documents
        are to be ``" ".join(tokens)``; to a document without a known word it gives what the end of the line has
        learned; with "one-vs-all" its scores do not sum to 1.

        Parameters
        ----------
        path : str or os.PathLike
            Replaced, when all of it is written. With n-grams, it has a row for each of `n_buckets`.
        label_prefix : str, default="__label__"
            Is put before the classes.

        Raises
        ------
        ValueError
            If the format has no place for the model: words or classes with white space, or negative sampling.
        OSError
            If the file cannot be written.
        """
        from skembed.formats.supervised import write_supervised
        from skembed.text._class_files import ClassifierParts, supervised_model

        check_is_fitted(self)
        parts = ClassifierParts(self.classes_, self.vocabulary_, self._bag_reader, self._model, self._seen)
        settings = {"epoch": self.max_iter, "min_count": self.min_count, "neg": self.negative}
        write_supervised(supervised_model(parts, settings, label_prefix), path)

    @classmethod
    def from_fasttext(cls, path, *, label_prefix="__label__", errors="strict"):
        """Return a fitted classifier that predicts as a supervised model of fastText does, .bin or .ftz.

        It reads texts as fastText does: words are what stands between white space, in their case. `partial_fit` goes on
        from it.

        Parameters
        ----------
        path : str or os.PathLike
            Plain or compressed.
        label_prefix : str, default="__label__"
            Is taken off the labels.
        errors : str, default="strict"
            What to do with words that are not UTF-8, as in ``bytes.decode``: "surrogateescape" keeps every byte.

        Returns
        -------
        FastTextClassifier

        Raises
        ------
        FormatError
            If the file is no supervised model; the message names the offset, and what was expected there.
        ValueError
            If the model does not know the end of a line, which all that fastText has learned do.
        OSError
            If the file cannot be opened.
        """
        from skembed.formats.supervised import read_supervised
        from skembed.text._class_files import parts_of

        model = read_supervised(path, errors)
        parts, settings = parts_of(model, label_prefix), model.settings
        reader = parts.reader
        classifier = cls(
            model.input.shape[1], loss=parts.model.loss, word_ngrams=reader.word_ngrams, min_n=reader.min_n,
            max_n=reader.max_n, n_buckets=reader.n_buckets, negative=max(settings["neg"], 1),
            max_iter=max(settings["epoch"], 1), min_count=max(settings["min_count"], 1), lowercase=False,
            token_pattern=_WORDS_OF_FASTTEXT,
        )  # fmt: skip
        classifier.classes_, classifier.vocabulary_ = parts.classes, parts.vocabulary
        classifier._composed = None
        classifier.loss_curve_, classifier.n_iter_ = [], 0
        classifier.learning_rate_, classifier.temperature_ = FIRST_RATE, 1.0
        classifier._model, classifier._seen, classifier._bag_reader = parts.model, parts.seen, reader
        classifier._tokenizer, classifier._stop_words = Tokenizer(False, None, _WORDS_OF_FASTTEXT), []
        return classifier

    def predict(self, X):
        """Return the most probable class of each document, of shape (n_documents,)."""
        check_is_fitted(self)
        numbers = [part.argmax(axis=1) for part in self._probabilities(X)]
        return self.classes_[np.concatenate([np.empty(0, np.int64), *numbers])]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        return tags


def _table_of(vocabulary: Vocabulary, reader: BagReader, rows: np.ndarray) -> EmbeddingTable:
    """The words and n-grams of characters among the rows of bags."""
    end = 1 + len(vocabulary)
    if not reader.max_n:
        return EmbeddingTable.of_keys(vocabulary.shared_keys, rows[1:end], counts=vocabulary.counts)
    subwords = Subwords(
        rows[end:], min_n=reader.min_n, max_n=reader.max_n, n_buckets=reader.n_buckets, buckets=reader.buckets,
        absent="skip",
    )  # fmt: skip
    return SubwordTable.from_rows(vocabulary.shared_keys.array, rows[1:end], subwords, counts=vocabulary.counts)
