"""FastTextClassifier: classes of documents from the mean of learned vectors of their words and n-grams."""

from collections.abc import Iterator
from numbers import Integral, Real

import numpy as np
from scipy.sparse import csr_matrix
from scipy.special import expit, softmax
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
        "embedding_": EmbeddingTable, "vocabulary_": Vocabulary, "classes_": np.ndarray, "loss_curve_": list[float],
        "n_iter_": int, "_tokenizer": Tokenizer, "_bag_reader": BagReader, "_input": np.ndarray, "_output": np.ndarray,
        "_noise": np.ndarray, "_paths": list[tuple[np.ndarray, np.ndarray]] | None,
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
        from skembed.training.documents import (  # numba: not to predict
            NOISE_EXPONENT,
            ClassSettings,
            train_classes,
        )

        self._validate_params()
        if self.max_n and self.min_n > self.max_n:
            raise ValueError(f"min_n={self.min_n} is above max_n={self.max_n}; pass min_n of at most {self.max_n}.")
        y = column_or_1d(y, warn=True)
        check_classification_targets(y)
        classes, labels = np.unique(y, return_inverse=True)
        counts = np.bincount(labels)
        tokenizer = Tokenizer(self.lowercase, self.tokenizer, self.token_pattern)
        with EncodedCorpus.read(read_documents(X), tokenizer) as corpus:
            self._check_labels(corpus.n_documents, classes, len(y))
            weights = self._weights(y, sample_weight)
            vocabulary, _ = first_vocabulary(
                corpus, read_stop_words(self.stop_words), min_count=self.min_count, max_features=self.max_features,
                n_rounds=0, threshold=0.0,
            )  # fmt: skip
            reader = self._reader(vocabulary.shared_keys, corpus)
            check_table_memory(reader.n_rows, self.embedding_dim)
            parts = list(reader.read(corpus.words, self._documents(corpus)))
        sizes = np.concatenate([part.lengths for part in parts])
        bags = Ragged.from_ends(np.concatenate([part.indices for part in parts]), np.cumsum(sizes))

        callbacks = PassCallbacks(self, self.max_iter, X, y)
        run = Run(draw_seed(self.random_state), self.n_jobs, self.verbose, callbacks, "documents")
        settings = ClassSettings(self.embedding_dim, self.loss, self.negative, self.learning_rate, self.max_iter)
        tables = train_classes(bags, labels.astype(np.int32), weights, reader.n_rows, counts, settings, run)
        self.classes_, self.vocabulary_ = classes, vocabulary
        self._tokenizer, self._bag_reader = tokenizer, reader
        self._input, self._output = tables.input, tables.output
        noise = counts**NOISE_EXPONENT
        self._noise = noise / noise.sum()
        self._paths = _paths(counts) if self.loss == "hierarchical-softmax" else None
        self.loss_curve_, self.n_iter_ = tables.loss_curve, len(tables.loss_curve)
        self.embedding_ = self._table()
        callbacks.end()
        return self

    def _check_fitted(self) -> None:
        n_rows, n_classes = self._bag_reader.n_rows, len(self.classes_)
        n_outputs = n_classes - 1 if self.loss == "hierarchical-softmax" else n_classes
        if self._input.ndim != 2 or len(self._input) != n_rows or len(self._bag_reader.keys) != len(self.vocabulary_):
            raise ValueError(f"expected input vectors of {n_rows} words and buckets, got shape {self._input.shape}")
        if self.classes_.ndim != 1 or n_classes < 2 or self._output.shape[:1] < (n_outputs,):
            raise ValueError(f"expected output vectors of {n_classes} classes, got shape {self._output.shape}")
        if self._output.shape[1:] != self._input.shape[1:] or self._noise.shape != (n_classes,):
            raise ValueError("expected input and output vectors of one embedding_dim")
        if (self._paths is not None) != (self.loss == "hierarchical-softmax"):
            raise ValueError(f"expected paths to classes if and only if loss is 'hierarchical-softmax': {self.loss!r}")
        for nodes, codes in self._paths or ():
            if nodes.shape != codes.shape or nodes.min(initial=0) < 0 or nodes.max(initial=0) >= len(self._output):
                raise ValueError(f"expected paths over {len(self._output)} nodes")

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
            chunks = self._documents(corpus)
            for bags in self._bag_reader.read(corpus.words, chunks):
                ones = np.ones(len(bags.indices), dtype=np.float32)
                shape = len(bags), len(self._input)
                sums = csr_matrix((ones, bags.indices, bags.indptr), shape=shape) @ self._input
                hidden = sums / bags.lengths[:, None].astype(np.float32)
                parts.append(self._probabilities((hidden @ self._output.T).astype(np.float64)))
        return np.concatenate(parts)

    def predict(self, X):
        """Return the most probable class of each document, of shape (n_documents,)."""
        probabilities = self.predict_proba(X)
        return self.classes_[probabilities.argmax(axis=1)]

    def _probabilities(self, logits: np.ndarray) -> np.ndarray:
        if self.loss == "softmax":
            return softmax(logits, axis=1)
        if self._paths is not None:
            reached = np.ones((len(logits), len(self.classes_)))
            for position, (nodes, codes) in enumerate(self._paths):
                reached[:, position] = expit(np.where(codes == 1, -1.0, 1.0) * logits[:, nodes]).prod(axis=1)
            return reached / reached.sum(axis=1, keepdims=True)
        if self.loss == "negative-sampling":  # what the logit is at the optimum, given how often a class is drawn
            logits = logits + np.log(self.negative * self._noise)
        odds = np.maximum(expit(logits), 1e-300)
        return odds / odds.sum(axis=1, keepdims=True)

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

    def _documents(self, corpus: EncodedCorpus) -> Iterator[Ragged]:
        """Documents as numbers of words, without stop words."""
        return corpus.documents(corpus.numbers(read_stop_words(self.stop_words)))

    def _reader(self, keys: Keys, corpus: EncodedCorpus) -> BagReader:
        settings = {
            "word_ngrams": self.word_ngrams, "min_n": self.min_n, "max_n": self.max_n, "n_buckets": self.n_buckets,
        }  # fmt: skip
        empty = BagReader(keys, **settings, buckets=np.zeros(0, dtype=np.int64))
        if not self.max_n and self.word_ngrams == 1:
            return empty
        found = empty.buckets_of(corpus.words, self._documents(corpus))
        return BagReader(keys, **settings, buckets=found)

    def _table(self) -> EmbeddingTable:
        n_words = len(self.vocabulary_)
        own = self._input[1 : 1 + n_words]
        if not self.max_n:
            return EmbeddingTable.of_keys(self.vocabulary_.shared_keys, own)
        subwords = Subwords(
            self._input[1 + n_words :], min_n=self.min_n, max_n=self.max_n, n_buckets=self.n_buckets,
            buckets=self._bag_reader.buckets, absent="skip",
        )  # fmt: skip
        return SubwordTable.from_rows(self.vocabulary_.keys, own, subwords, counts=self.vocabulary_.counts)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        return tags


def _paths(counts: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Inner nodes and turns on the way to each class."""
    from skembed.kernels.huffman import huffman_tree

    tree = huffman_tree(counts)
    ways = [slice(first, last) for first, last in zip(tree.starts[:-1], tree.starts[1:])]
    return [(tree.nodes[way], tree.codes[way]) for way in ways]
