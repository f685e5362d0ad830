"""The base of vectorizers of documents: words of raw documents, a vocabulary, and pooling of the vectors learned."""

import itertools
from abc import abstractmethod
from collections.abc import Callable, Iterable
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from skembed.apply.pooling import (
    POOLINGS,
    DocumentCounts,
    Pooling,
    check_poolings,
    learn_poolings,
    pool_chunks,
    pooling_names,
)
from skembed.base import EmbeddingTransformer
from skembed.data.corpus import EncodedCorpus
from skembed.data.documents import MISSING
from skembed.data.keys import Keys
from skembed.data.ragged import NO_ROW, Ragged
from skembed.data.vocabulary import Vocabulary
from skembed.table import EmbeddingTable
from skembed.text._encoder import WordEncoder
from skembed.text._phrases import PhraseRounds, phrase_of
from skembed.text._scripts import warned_of_scripts
from skembed.text._strangers import warn_cut_stop_words, warn_rare_documents, warned_of_unknown
from skembed.text._tokens import Tokenizer
from skembed.text._word_training import EarlierFit, LearnedWords, WordTraining
from skembed.text._words import check_table_memory, first_vocabulary, grown_vocabulary, read_stop_words, vocabulary_rows
from skembed.training.callbacks import CallbackSupportMixin, PassCallbacks, with_callbacks

__all__ = ["DocumentTransformer", "DocumentVectorizer", "PartialFitMixin", "WordVectorizer"]


# "auto": of a few sentences most words are rare, and what these say is much of all that is said; of more sentences it
# is little, and takes time and memory
_MIN_COUNT, _MIN_COUNT_OF_FEW, _FEW_WORDS = 5, 2, 30_000


class DocumentTransformer(ClassNamePrefixFeaturesOutMixin, EmbeddingTransformer):
    """Base of the transformers of documents."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        tags.transformer_tags.preserves_dtype = []
        return tags


class WordVectorizer(CallbackSupportMixin, DocumentTransformer):
    """Base of the estimators that learn vectors of words from documents.

    A subclass has the parameters declared here, `embedding_dim` and what its trainer needs. It says how tables come
    from sequences of word numbers (`_fit_tables`), what else its parameters must fulfil (`_check_parameters`), and how
    vectors of documents are made (`_learn_documents`, `_pool`).
    """

    _parameter_constraints: dict = {
        "embedding_dim": [Interval(Integral, 1, None, closed="left")],
        "lowercase": ["boolean"],
        "tokenizer": [callable, None],
        "token_pattern": [str, None],
        "missing": [StrOptions(set(MISSING))],
        "stop_words": [StrOptions({"english"}), "array-like", set, frozenset, None],
        "max_features": [Interval(Integral, 1, None, closed="left"), None],
        "min_count": [Interval(Integral, 1, None, closed="left")],
        "phrases": [Interval(Integral, 0, None, closed="left")],
        "phrase_threshold": [Interval(Real, 0, None, closed="left")],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    _state = {
        "embedding_": EmbeddingTable, "vocabulary_": Vocabulary, "phrases_": list[str], "loss_curve_": list[float],
        "n_iter_": int, "_encoder": WordEncoder,
    }  # fmt: skip

    # measured on the document classification benchmark and, for large corpora, what the field takes
    _auto_words = 30_000_000
    _auto_passes = (5, 30)
    _auto_growth = 60.0  # at a rate of .025 2,400 pairs of a word in the mean
    _composes = False  # whether words without a row have vectors, too
    max_iter: Any
    embedding_: EmbeddingTable
    _encoder: WordEncoder

    def _check_fitted(self) -> None:
        n_words = len(self.vocabulary_)
        if self.embedding_.keys.tolist() != self.vocabulary_.keys.tolist() or len(self._encoder.keys) != n_words:
            raise ValueError("expected a vocabulary, a table and an encoder of the same words")
        if not n_words:
            raise ValueError("expected words, there are none")

    # ------------------------------------------------------------------------------------------------ learning

    @with_callbacks
    def fit(self, X, y=None):
        """Learn word vectors.

        Parameters
        ----------
        X : iterable of str or of token lists
            Documents; read once.
        y : ignored

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If no word occurs `min_count` times, a parameter is out of its range, or a table `init` has none of the
            words.
        TypeError
            If `X` is one string, or a document is missing or no text.
        MemoryError
            If the tables would not fit into memory.

        Warns
        -----
        UserWarning
            On Ctrl-C after the first pass: what was learned so far is kept. Before, KeyboardInterrupt goes on. Or if
            `token_pattern` does not find the words of a tenth of the texts: cuts them at their vowel signs, as of
            Hindi, or nowhere, as of Chinese, or leaves out those of one ideograph; or if it cuts stop words, of which
            the parts stay; or if a tenth of the documents have no word that is frequent enough for a vector.
        ConvergenceWarning
            If `subsample` leaves nothing to learn from, as happens with a handful of documents.
        """
        self._learn(X)
        return self

    @with_callbacks
    def fit_transform(self, X, y=None):
        """Learn word vectors and return the documents': the same as `fit` and `transform`, with `X` read only once.

        Returns
        -------
        ndarray of shape (n_documents, n_columns), float32
            As of `transform`.
        """
        return self._learn(X, transform=True)

    def _learn(self, X: Any, earlier: EarlierFit | None = None, *, transform: bool = False) -> np.ndarray | None:
        """Fit, and with `transform` return the same documents, which a generator would not give a second time."""
        self._validate_params()
        self._check_parameters()
        tokenizer = Tokenizer(self.lowercase, self.tokenizer, self.token_pattern, self.missing)
        with EncodedCorpus.read(warned_of_scripts(tokenizer.documents(X), tokenizer), tokenizer) as corpus:
            vocabulary, rounds = self._vocabulary_of(corpus, earlier, tokenizer)
            check_table_memory(len(vocabulary), self.embedding_dim)
            row_of = vocabulary_rows(vocabulary, corpus.words)
            if not self._composes:
                stop_words = read_stop_words(self.stop_words, lowercase=self.lowercase)
                limits = {"min_count": self.min_count, "max_features": self.max_features}
                warn_rare_documents(corpus, row_of, stop_words, limits)
            max_iter = self._n_passes(vocabulary, corpus.n_documents, begins=earlier is None)
            sequences = self._sequences(corpus, vocabulary, row_of)
            callbacks = PassCallbacks(self, max_iter, X)
            n_words = int(corpus.counts[row_of != NO_ROW].sum())
            learned = self._fit_tables(
                WordTraining(sequences, n_words, corpus.n_documents, vocabulary, max_iter, callbacks, earlier)
            )
            attributes = self._learn_documents(corpus.documents(row_of), vocabulary, learned, earlier)
            phrases = itertools.starmap(phrase_of, itertools.chain.from_iterable(rounds))
            self.vocabulary_, self.embedding_ = vocabulary, learned.table
            self.phrases_ = [phrase for phrase in dict.fromkeys(phrases) if phrase in vocabulary]
            self.loss_curve_ = [*([] if earlier is None else earlier.words.loss_curve), *learned.loss_curve]
            self.n_iter_ = len(self.loss_curve_)
            self._encoder = self._make_encoder(vocabulary.shared_keys, rounds, tokenizer)
            self.__dict__.update(attributes)
            callbacks.end()
            return self._pool_corpus(corpus, row_of) if transform else None

    def _vocabulary_of(
        self, corpus: EncodedCorpus, earlier: EarlierFit | None, tokenizer: Tokenizer
    ) -> tuple[Vocabulary, PhraseRounds]:
        stop_words = read_stop_words(self.stop_words, lowercase=self.lowercase)
        warn_cut_stop_words(stop_words, tokenizer.words, corpus.words)
        if earlier is not None:
            return grown_vocabulary(earlier.vocabulary, earlier.rounds, corpus, stop_words)
        min_count = self.min_count
        if min_count == "auto":
            is_small = corpus.counts.sum() < _FEW_WORDS and not self.phrases  # of few pairs any would be a phrase
            min_count = _MIN_COUNT_OF_FEW if is_small else _MIN_COUNT
        limits = {"min_count": min_count, "max_features": self.max_features}
        phrases = {"n_rounds": self.phrases, "threshold": self.phrase_threshold}
        return first_vocabulary(corpus, stop_words, **limits, **phrases)

    def _n_passes(self, vocabulary: Vocabulary, n_documents: int, *, begins: bool) -> int:
        """How many passes training takes.

        "auto": those that make `_auto_words` words, within `_auto_passes`, or those that `_least_passes` asks for if
        they are more and no earlier call has learned.
        """
        if self.max_iter != "auto":
            return self.max_iter
        passes = np.clip(self._auto_words / vocabulary.counts.sum(), *self._auto_passes)
        return int(max(passes, self._least_passes(vocabulary, n_documents) if begins else 0))

    def _least_passes(self, vocabulary: Vocabulary, n_documents: int) -> float:
        """How many passes leave a random beginning behind."""
        return 0.0

    def _sequences(self, corpus: EncodedCorpus, vocabulary: Vocabulary, row_of: np.ndarray) -> Iterable:
        """What `_fit_tables` learns from: documents without the words that have no row."""
        return corpus.sequences(row_of)

    def _make_encoder(self, keys: Keys, rounds: PhraseRounds, tokenizer: Tokenizer) -> WordEncoder:
        return WordEncoder(keys, rounds, tokenizer)

    @abstractmethod
    def _check_parameters(self) -> None:
        """Raise ValueError if parameters do not fit together."""

    @abstractmethod
    def _fit_tables(self, training: WordTraining) -> LearnedWords:
        """Learn a vector for each word of the vocabulary."""

    @abstractmethod
    def _learn_documents(
        self, documents: Iterable[Ragged], vocabulary: Vocabulary, learned: LearnedWords, earlier: EarlierFit | None
    ) -> dict[str, Any]:
        """Learn what vectors of documents need beside those of words; returns it as attributes of the estimator."""

    # ------------------------------------------------------------------------------------------------- applying

    def transform(self, X):
        """Return the vectors of documents.

        Parameters
        ----------
        X : iterable of str or of token lists
            A `LineCorpus` or generator is read chunk by chunk.

        Returns
        -------
        ndarray of shape (n_documents, n_columns), float32
            `embedding_dim` columns, of a vectorizer that pools for each pooling. Zeros for a document without a known
            word.

        Warns
        -----
        UserWarning
            If none of several documents has a known word.
        """
        check_is_fitted(self)
        return self._pool(warned_of_unknown(self._encoder.encode(self._encoder.tokenizer.documents(X))))

    def _pool_corpus(self, corpus: EncodedCorpus, row_of: np.ndarray) -> np.ndarray:
        """What `transform` makes of the documents of a corpus; `row_of[i]` is the row of its word i, or `NO_ROW`."""
        return self._pool(corpus.documents(row_of))

    @abstractmethod
    def _pool(self, documents: Iterable[Ragged]) -> np.ndarray:
        """Return the vectors of documents of rows of words."""

    @property
    def _n_features_out(self) -> int:
        return self.embedding_.embedding_dim


class DocumentVectorizer(WordVectorizer):
    """Base of the estimators that learn word vectors from documents and pool them."""

    _parameter_constraints: dict = WordVectorizer._parameter_constraints | {
        "pooling": [StrOptions(set(POOLINGS)), list, tuple],
        "sif_smoothing": [Interval(Real, 0, None, closed="neither")],
    }

    _state = {"_poolings": list[Pooling], "_document_counts": DocumentCounts}

    _poolings: list[Pooling]
    _document_counts: DocumentCounts

    def _validate_params(self) -> None:
        super()._validate_params()
        pooling_names(self.pooling)

    def _check_fitted(self) -> None:
        super()._check_fitted()
        n_words, dim = self.embedding_.shape
        check_poolings(self._poolings, n_words, dim)
        if self._document_counts.frequency.shape != (n_words,):
            raise ValueError(f"expected the document frequency of each of {n_words} words")

    def _learn_documents(
        self, documents: Iterable[Ragged], vocabulary: Vocabulary, learned: LearnedWords, earlier: EarlierFit | None
    ) -> dict[str, Any]:
        poolings, document_counts = learn_poolings(
            pooling_names(self.pooling),
            documents,
            learned.table.vectors,
            vocabulary.counts,
            sif_smoothing=self.sif_smoothing,
            seen=None if earlier is None else earlier.document_counts,
        )

        output = {"_output": learned.output} if isinstance(self, PartialFitMixin) else {}
        return {"_poolings": poolings, "_document_counts": document_counts, **output}

    def _pool(self, documents: Iterable[Ragged]) -> np.ndarray:
        shared = self.embedding_.vectors, self._poolings
        return pool_chunks(((chunk, *shared) for chunk in documents), self._n_features_out)

    @property
    def _n_features_out(self) -> int:
        return len(self._poolings) * self.embedding_.embedding_dim


class PartialFitMixin:
    """`partial_fit` of the estimators whose `_fit_tables` can start from earlier tables."""

    vocabulary_: Vocabulary
    embedding_: EmbeddingTable
    loss_curve_: list[float]
    pooling: Any
    _output: np.ndarray  # what further documents begin from, beside the table
    _encoder: Any
    _state = {"_output": np.ndarray}
    _document_counts: DocumentCounts
    _validate_params: Callable[[], None]
    _learn: Callable[..., Any]

    @with_callbacks
    def partial_fit(self, X, y=None):
        """Go on learning from further documents; the first call is `fit`.

        New words get rows behind the known ones once they have occurred `min_count` times, over all calls. Training
        takes `max_iter` passes over these documents and starts from the tables as they are. Phrases stay those of the
        first call. The weights of "tfidf" and "sif" take all documents seen into account, where words that had no row
        count as if they had never stood twice in one; the component that "sif" takes out those of the last call, since
        it belongs to the vectors as they now are.

        Few large calls learn better than many small ones. What stood around a word before it had a row is lost, and
        passes over a small part repeat what is in it alone: of 70 calls with 100 sentences each, linear models of
        their vectors classified the Stanford Sentiment Treebank with an accuracy of .67, of one call .73; with
        ``min_count=1`` .70 and .73.

        Parameters
        ----------
        X : iterable of str or of token lists
        y : ignored

        Returns
        -------
        self
        """
        earlier = None
        if hasattr(self, "embedding_"):
            words = LearnedWords(self.embedding_, self._output, self.loss_curve_)
            earlier = EarlierFit(self.vocabulary_, self._encoder.rounds, words, self._document_counts)
            self._validate_params()
            self._check_earlier(self.embedding_)
            if "tfidf" in pooling_names(self.pooling) and not self._document_counts.n_documents:
                raise ValueError(
                    f"pooling={self.pooling!r} needs the documents of all calls, and earlier ones, with another "
                    "pooling, counted none; keep that pooling, or fit again."
                )
        self._learn(X, earlier)
        return self

    def _check_fitted(self) -> None:
        super()._check_fitted()  # type: ignore[misc]
        if self._output.ndim != 2 or self._output.shape[1] != self.embedding_.embedding_dim:
            raise ValueError(f"expected output vectors as wide as the table's, got shape {self._output.shape}")

    @abstractmethod
    def _check_earlier(self, table: EmbeddingTable) -> None:
        """Raise ValueError if parameters do not fit the table of earlier calls."""
