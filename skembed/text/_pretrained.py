"""PretrainedVectorizer: documents, and columns of short texts, as the pooled vectors of a table learned elsewhere."""

import os
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted

from skembed.apply.pooling import POOLINGS, Pooling, check_poolings, learn_poolings, pooling_names
from skembed.data.documents import read_documents
from skembed.data.ragged import NO_ROW
from skembed.data.vocabulary import Vocabulary
from skembed.state import stored
from skembed.table import EmbeddingTable
from skembed.text._inputs import Chunks, ColumnInputs, TextInputs, has_columns, levels_of
from skembed.text._lookup import (
    given_vectors,
    held_table,
    pooled_chunks,
    pooled_column,
    unknown_words,
    vocabulary_of,
    warn_unknown,
)
from skembed.text._normalized_encoder import NormalizedEncoder
from skembed.text._normalizer import DIGITS, PUNCTUATION, TextNormalizer, find_normalizer
from skembed.text._tokens import Tokenizer
from skembed.text._vectorizer import DocumentPooler
from skembed.text._word_training import starting_tables, warn_of_no_pairs
from skembed.text._words import check_table_memory, read_stop_words, vocabulary_rows
from skembed.training.callbacks import CallbackSupportMixin, PassCallbacks, with_callbacks
from skembed.training.run import Run, draw_seed, settings_of

__all__ = ["PretrainedVectorizer"]

_INSPECTED = 50_000  # keys that tell the normalization


@stored
class PretrainedVectorizer(CallbackSupportMixin, DocumentPooler):
    """Turn documents, or columns of short texts, into the pooled vectors of their words, learned elsewhere.

    Documents are an iterable of strings or token lists, as for `CountVectorizer`: one row a document comes out. A
    two-dimensional `X` (a frame, even of one column, or a 2-D array) is columns of short texts, such as categories
    whose levels are words: each cell is pooled by itself, and the columns stand side by side. In a `ColumnTransformer`
    the selection says which: ``(vectorizer, "text")`` hands over documents, ``(vectorizer, ["city", "job"])`` columns.

    Vectors fit texts only that are written as those were that they were learned from. How that was, `fit` finds from
    the keys, and the parameters `lowercase`, `digits` and `punctuation` say otherwise where it errs.

    Parameters
    ----------
    source : str, os.PathLike or EmbeddingTable
        Words beside vectors: a table, or a file of any format that `EmbeddingTable.load` reads (word2vec, GloVe,
        fastText, ...), which is opened in `fit` and not after. Tables with subwords (fastText's .bin) give vectors to
        unknown words too.
    pooling : {"mean", "tfidf", "sif", "max", "min"} or list of these, default="mean"
        As in `Word2VecVectorizer`. What "tfidf" and "sif" count they count in `fit`, for each column by itself.
    sif_smoothing : float, default=1e-3
        The a of "sif".
    keep : {"auto", "all", "corpus"}, default="auto"
        Which words have a vector at transform: "all" of the source, or those of the "corpus" that `fit` sees, for which
        alone a large file takes memory. "auto" keeps all of a table, and of a file the words of the corpus with the
        subwords, if it has them.
    trainable : bool, default=False
        Go on learning from the corpus, beginning with the given vectors, as ``Word2VecVectorizer(init=...)`` does.
        Words that the source does not hold are added. Of columns, the cells of a row are one text. The parameters from
        `architecture` to `random_state` concern this alone.
    lowercase : bool or "auto", default="auto"
        Whether the vectors are of words in lower case.
    digits : {"auto", "keep", "#", "0", "spelled"}, default="auto"
        How numbers are written in the keys: "1984" as it is, as "####", as "0000", or as "one nine eight four". A word
        that is a key as it stands is taken as it stands.
    punctuation : {"auto", "drop", "keep"}, default="auto"
        "drop": words are runs of letters and digits. "keep": words may hold apostrophes, hyphens and full stops, and
        marks are words, where they are keys; where they are none, words are split at them ("do" and "n't", or parts).
    tokenizer : callable, default=None
        Text -> iterable of tokens, in place of `token_pattern`.
    token_pattern : str, default=None
        Of the tokens that are then normalized to words. None: one that suits `punctuation`.
    stop_words : "english", list of str or None, default=None
        Words that are left out.
    format : str, default="auto"
        Of the file, as for `EmbeddingTable.load`.
    limit : int, default=None
        Look at the first so many rows of the file.
    architecture, window, negative, subsample, learning_rate, max_iter
    min_count : int, default=5
        Words that the source does not hold are added if they occur so often.
    n_jobs, random_state, verbose
        The training's, as in `Word2VecVectorizer`.

    Attributes
    ----------
    embedding_ : EmbeddingTable
        What `transform` uses.
    vocabulary_ : Vocabulary
        The words of the corpus that have a vector, with their counts, the most frequent first.
    lowercase_ : bool
    digits_ : {"keep", "#", "0", "spelled"}
    punctuation_ : {"drop", "keep"}
        What was found, or given.
    unknown_share_ : float
        Share of the running words that had no vector in the source.
    unknown_words_ : list of str
        These words, the most frequent first.
    loss_curve_ : list of float
    n_iter_ : int
        Of the training; empty and 0 without.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Of columns only.

    Notes
    -----
    `fit` warns if more than a third of the running words has no vector, and names the most frequent ones.

    Documents without a known word are zeros. So are missing cells, unless the table has the key None; cells without a
    known word get the table's `unknown` vector where it has one. A cell that is a key as a whole ("New York", also as
    "New_York") has that vector; else its words are pooled.

    The normalization is found from at most 50,000 keys, of a file from the first: more than one in a hundred with a
    capital says that case was kept; "##" more often than numbers, that digits became "#"; no digit, and all of "zero"
    to "nine", that they were spelled out; two marks among the keys, or marks within one key in a hundred, that
    punctuation was kept.

    Examples
    --------
    >>> from skembed import EmbeddingTable
    >>> from skembed.text import PretrainedVectorizer
    >>> table = EmbeddingTable(["good", "bad", "film"], [[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]])
    >>> vectorizer = PretrainedVectorizer(table).fit(["Good film!", "bad film"])
    >>> vectorizer.transform(["A good FILM"])
    array([[0.5, 0.5]], dtype=float32)
    >>> X = np.array([["good", "film"], ["bad", None]], dtype=object)
    >>> vectorizer.fit_transform(X)
    array([[ 1.,  0.,  0.,  1.],
           [-1.,  0.,  0.,  0.]], dtype=float32)
    """

    _state = {
        "embedding_": EmbeddingTable, "vocabulary_": Vocabulary,
        "lowercase_": bool, "digits_": str, "punctuation_": str,
        "unknown_share_": float, "unknown_words_": list[str], "loss_curve_": list[float], "n_iter_": int,
        "_encoder": NormalizedEncoder, "_missing": np.ndarray, "_has_columns": bool, "_n_documents": list[int],
        "_poolings": list[Pooling], "_poolings_of": list[list[Pooling]],
    }  # fmt: skip
    _parameter_constraints: dict = {
        "source": [str, os.PathLike, EmbeddingTable],
        "pooling": [StrOptions(set(POOLINGS)), list, tuple],
        "sif_smoothing": [Interval(Real, 0, None, closed="neither")],
        "keep": [StrOptions({"auto", "all", "corpus"})],
        "trainable": ["boolean"],
        "lowercase": ["boolean", StrOptions({"auto"})],
        "digits": [StrOptions({"auto", *DIGITS})],
        "punctuation": [StrOptions({"auto", *PUNCTUATION})],
        "tokenizer": [callable, None],
        "token_pattern": [str, None],
        "stop_words": [StrOptions({"english"}), "array-like", set, frozenset, None],
        "format": [str],
        "limit": [Interval(Integral, 1, None, closed="left"), None],
        "architecture": [StrOptions({"skip-gram", "cbow"})],
        "window": [Interval(Integral, 1, None, closed="left")],
        "negative": [Interval(Integral, 1, None, closed="left")],
        "subsample": [Interval(Real, 0, 1, closed="both")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "min_count": [Interval(Integral, 1, None, closed="left")],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    _poolings_of: list[list[Pooling]]  # of each column; of documents there is one
    _has_columns: bool

    def __init__(
        self,
        source,
        *,
        pooling="mean",
        sif_smoothing=1e-3,
        keep="auto",
        trainable=False,
        lowercase="auto",
        digits="auto",
        punctuation="auto",
        tokenizer=None,
        token_pattern=None,
        stop_words=None,
        format="auto",
        limit=None,
        architecture="skip-gram",
        window=5,
        negative=5,
        subsample=1e-3,
        learning_rate=0.025,
        max_iter=5,
        min_count=5,
        n_jobs=None,
        random_state=None,
        verbose=0,
    ):
        self.source = source
        self.pooling = pooling
        self.sif_smoothing = sif_smoothing
        self.keep = keep
        self.trainable = trainable
        self.lowercase = lowercase
        self.digits = digits
        self.punctuation = punctuation
        self.tokenizer = tokenizer
        self.token_pattern = token_pattern
        self.stop_words = stop_words
        self.format = format
        self.limit = limit
        self.architecture = architecture
        self.window = window
        self.negative = negative
        self.subsample = subsample
        self.learning_rate = learning_rate
        self.max_iter = max_iter
        self.min_count = min_count
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    # ------------------------------------------------------------------------------------------------ learning

    @with_callbacks
    def fit(self, X, y=None):
        """Find the words of the corpus in the source, and learn what pooling needs.

        Parameters
        ----------
        X : iterable of str or of token lists, or two-dimensional, of strings
            Documents, read once; or columns of short texts, in which cells may be missing.
        y : ignored

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If no word has a vector, the file is no table, or a parameter is out of its range.
        TypeError
            If `X` is one string, a document is missing or no text, or a cell of a column is no string.
        """
        self._learn(X)
        return self

    @with_callbacks
    def fit_transform(self, X, y=None):
        """Fit, and return the vectors of `X`: the same as `fit` and `transform`, with documents read only once.

        Returns
        -------
        ndarray of shape (n_documents, n_columns * n_poolings * embedding_dim), float32
            Documents count as one column.
        """
        if has_columns(X):
            self._learn(X)
            return self.transform(X)
        return self._learn(X, transform=True)

    def _learn(self, X: Any, *, transform: bool = False) -> np.ndarray | None:
        self._validate_params()
        names = pooling_names(self.pooling)
        normalizer, table = self._find_normalizer()
        tokenizer = Tokenizer(normalizer.lowercase, self.tokenizer, self.token_pattern or normalizer.token_pattern)
        stop_words = read_stop_words(self.stop_words)
        with self._inputs(X, tokenizer) as inputs:
            callbacks = PassCallbacks(self, self.max_iter if self.trainable else 1, X)
            if table is None:
                keys = inputs.candidates(normalizer) | {None}
                table = self._load(limit=self.limit, keys=keys, subwords=self.keep != "corpus")
            inputs.normalize(normalizer, table)
            given = given_vectors(inputs.words, table)
            unknown, self.unknown_share_ = unknown_words(inputs.words, inputs.counts, given, stop_words)
            self.unknown_words_ = list(unknown)
            least = self.min_count if self.trainable else None
            self.vocabulary_ = vocabulary_of(inputs, given, stop_words, least)
            warn_unknown(unknown, self.unknown_share_, normalizer)
            self.loss_curve_: list[float] = []
            known = given.subset(word for word in self.vocabulary_.keys if word in given)
            learned = self._fit_tables(inputs, known, callbacks) if self.trainable else known
            self.n_iter_ = len(self.loss_curve_)
            keep_all = self.keep == "all" or (self.keep == "auto" and isinstance(self.source, EmbeddingTable))
            self.embedding_ = held_table(learned, table, keep_all=keep_all, with_subwords=self.keep != "corpus")
            self._missing = table.lookup([None])[0] if None in table else np.zeros(table.embedding_dim, np.float32)
            self._encoder = NormalizedEncoder(self.embedding_.shared_keys, normalizer, tokenizer, stop_words)
            documents = self._learn_poolings(names, inputs, self._encoder)
            callbacks.end()
            return self._pool(documents) if transform else None

    def _check_fitted(self) -> None:
        n_words, dim = self.embedding_.shape
        if self._encoder.keys is not self.embedding_.shared_keys or self._missing.shape != (dim,):
            raise ValueError("expected an encoder of the words of the table, and a vector of missing cells")
        n_columns = self.n_features_in_ if self._has_columns else 1
        if len(self._poolings_of) != n_columns or len(self._n_documents) != n_columns:
            raise ValueError(f"expected poolings of {n_columns} column(s)")
        for poolings in self._poolings_of:
            check_poolings(poolings, n_words, dim)

    def _find_normalizer(self) -> tuple[TextNormalizer, EmbeddingTable | None]:
        """The normalizer of the source's words, and the source itself unless it is a file of which a part will do."""
        table = head = self.source
        if not isinstance(self.source, EmbeddingTable):
            table = self._load(limit=self.limit) if self.keep == "all" else None
            head = (
                table
                if table is not None
                else self._load(limit=min(self.limit or _INSPECTED, _INSPECTED), subwords=False)
            )
        step = -(-len(head) // _INSPECTED) or 1
        found = find_normalizer([key for key in head.keys[::step].tolist() if isinstance(key, str)], head)
        self.lowercase_, self.digits_, self.punctuation_ = (
            getattr(found, name) if getattr(self, name) == "auto" else getattr(self, name)
            for name in ("lowercase", "digits", "punctuation")
        )
        return TextNormalizer(self.lowercase_, self.digits_, self.punctuation_), table

    def _load(self, **options: Any) -> EmbeddingTable:
        return EmbeddingTable.load(self.source, format=self.format, **options)

    def _inputs(self, X: Any, tokenizer: Tokenizer) -> TextInputs | ColumnInputs:
        self._has_columns = has_columns(X)
        if self._has_columns:
            return ColumnInputs(self._read_columns(X, reset=True), tokenizer)
        for name in ("n_features_in_", "feature_names_in_"):  # of an earlier fit
            self.__dict__.pop(name, None)
        return TextInputs(X, tokenizer)

    def _fit_tables(
        self, inputs: TextInputs | ColumnInputs, given: EmbeddingTable, callbacks: PassCallbacks
    ) -> EmbeddingTable:
        vocabulary, dim = self.vocabulary_, given.embedding_dim
        check_table_memory(len(vocabulary), dim)
        from skembed.training.sequences import SequenceSettings, SequenceTables, train_sequences  # numba: to fit only

        seed = draw_seed(self.random_state)
        start, _ = starting_tables(vocabulary.keys, dim, None, given, seed)
        tables = train_sequences(
            inputs.sequences(vocabulary_rows(vocabulary, inputs.words)),
            vocabulary.counts,
            settings_of(SequenceSettings, self, embedding_dim=dim),
            Run(seed, self.n_jobs, self.verbose, callbacks, "words"),
            start=SequenceTables(*start, []),  # type: ignore[arg-type]
        )
        warn_of_no_pairs(tables.loss_curve, self.subsample)
        self.loss_curve_ = tables.loss_curve
        return EmbeddingTable(vocabulary.keys, tables.input)

    def _learn_poolings(
        self, names: list[str], inputs: TextInputs | ColumnInputs, encoder: NormalizedEncoder
    ) -> Chunks:
        """Set the poolings of each column; return the documents anew."""
        row_of = encoder.encode_words(inputs.words)
        counts = np.zeros(len(self.embedding_), dtype=np.int64)
        counts[row_of[row_of != NO_ROW]] = inputs.counts[row_of != NO_ROW]
        options = {"vectors": self.embedding_.vectors, "counts": counts, "sif_smoothing": self.sif_smoothing}
        learned = [learn_poolings(names, documents, **options) for documents in inputs.documents(row_of)]
        self._poolings_of = [poolings for poolings, _ in learned]
        self._poolings = self._poolings_of[0]
        self._n_documents = [counted.n_documents for _, counted in learned]
        return inputs.documents(row_of)[0]

    # ------------------------------------------------------------------------------------------------- applying

    def transform(self, X):
        """Return the vectors of documents, or of the cells of columns side by side.

        Parameters
        ----------
        X : as in `fit`

        Returns
        -------
        ndarray of shape (n_documents, n_columns * n_poolings * embedding_dim), float32
            Documents count as one column.
        """
        check_is_fitted(self)
        if has_columns(X) != self._has_columns:
            seen, got = ("columns", "documents") if self._has_columns else ("documents", "columns")
            raise ValueError(
                f"X holds {got}, but fit has seen {seen}; a frame or 2-D array is columns, a Series, list or 1-D array "
                "is documents."
            )
        shared = self._encoder, self.embedding_
        learned = zip(self._poolings_of, self._n_documents)
        if not self._has_columns:
            parts = pooled_chunks(read_documents(X), *shared, *next(learned))
            return np.concatenate([np.empty((0, self._n_features_out), np.float32), *(part for part, _ in parts)])
        columns = self._read_columns(X, reset=False)
        factors = [levels_of(columns, position) for position in range(len(columns.values))]
        return np.hstack([pooled_column(f, self._missing, *shared, *part) for f, part in zip(factors, learned)])

    @property
    def _n_features_out(self) -> int:
        return sum(map(len, self._poolings_of)) * self.embedding_.embedding_dim

    def get_feature_names_out(self, input_features=None):
        """Return the names of the columns of `transform`: of columns ``{column}_{i}``, else ``{classname}{i}``.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the columns where `fit` has seen none.
        """
        check_is_fitted(self)
        if not self._has_columns:
            return super().get_feature_names_out(input_features)
        columns = _check_feature_names_in(self, input_features)
        width = self._n_features_out // len(columns)
        digits = len(str(width - 1))
        return np.array([f"{column}_{i:0{digits}d}" for column in columns for i in range(width)], dtype=object)
