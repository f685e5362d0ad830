"""PretrainedVectorizer: documents, and columns of short texts, as the pooled vectors of a table learned elsewhere."""

import os
import sys
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted

from skembed.apply.pooling import POOLINGS, check_poolings, pooling_names
from skembed.apply.postprocessing import POSTPROCESSES
from skembed.data.documents import MISSING
from skembed.data.vocabulary import Vocabulary
from skembed.state import stored
from skembed.table import EmbeddingTable
from skembed.text._column_inputs import ColumnInputs, missing_vector, pool_columns
from skembed.text._document_inputs import TextInputs
from skembed.text._given_vectors import (
    KnownWords,
    given_vectors,
    held_table,
    postprocessed,
    unknown_words,
    vocabulary_of,
    warn_unknown,
)
from skembed.text._inputs import Inputs, has_columns
from skembed.text._lookup import TextPooler, learn_poolers
from skembed.text._normalized_encoder import NormalizedEncoder
from skembed.text._normalizer import DIGITS, PUNCTUATION
from skembed.text._retraining import train_further
from skembed.text._source import VectorSource, normalizer_of
from skembed.text._strangers import warn_cut_stop_words
from skembed.text._tokens import Tokenizer
from skembed.text._vectorizer import DocumentTransformer
from skembed.text._words import read_stop_words
from skembed.training.callbacks import CallbackSupportMixin, PassCallbacks, with_callbacks

__all__ = ["PretrainedVectorizer"]


@stored
class PretrainedVectorizer(CallbackSupportMixin, DocumentTransformer):
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
    postprocess : {"pca", "all-but-the-top"} or None, default=None
        What is made of the vectors before they are pooled, by the words of the corpus and their frequencies. "pca" is
        for tables whose means stand for sentences, as those of WordLlama and model2vec do: principal axes weighted by
        what they tell apart, saturated lengths, and words weighted by a / (a + p). "all-but-the-top" is for the
        vectors of word2vec, GloVe and fastText: less their mean and their few largest components. Words of the source
        that the corpus lacks are mapped in the same way. See Notes.
    keep : {"auto", "all", "corpus"}, default="auto"
        Which words have a vector at transform: "all" of the source, or those of the "corpus" that `fit` sees, for which
        alone a large file takes memory. "auto" keeps all of a table, and of a file whose bytes, times four, are at most
        a quarter of the machine's memory; of a larger one the words of the corpus, with the subwords if it has them.
        `kept_` says which it was.
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
        Short words may end in a mark, as keys such as "u.s.", "mr." and "c++" do.
    tokenizer : callable, default=None
        Text -> iterable of tokens, in place of `token_pattern`.
    token_pattern : str, default=None
        Of the tokens that are then normalized to words. None: one that suits `punctuation`.
    stop_words : "english", list of str or None, default=None
        Words that are left out, in whatever case where the vectors are of words in lower case.
    missing : {"error", "empty"}, default="error"
        Whether a missing document (None, NaN, NA, null) is an error or an empty one. Cells of columns may be missing in
        any case.
    format : str, default="auto"
        Of the file, as for `EmbeddingTable.load`.
    limit : int, default=None
        Look at the first so many rows of the file.
    architecture, window, negative, subsample, learning_rate, max_iter
    min_count : int, default=5
        Words that the source does not hold are added if they occur so often.
    n_jobs, random_state, verbose
        The training's, as in `Word2VecVectorizer`; with `verbose`, `fit` also says which words it has kept.

    Attributes
    ----------
    embedding_ : EmbeddingTable
        What `transform` uses.
    kept_ : {"all", "corpus"}
        Which words of the source have a vector.
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

    Emoji are words where two of them are keys, those of several characters too, such as flags; with and without the
    selector that shows a symbol as a picture they are the same, and one in a skin tone that is no key is that without.

    Accents and vowel signs belong to their letters, also where they are characters of their own; a word that is no key
    is looked up with both as one character (NFC), too, and without ligatures and wide letters (NFKC), soft hyphens and
    joiners, the points and vowels of Hebrew and Arabic, and the dot that Python leaves of "İ" in lower case.

    The normalization is found from at most 50,000 keys, of a file from the first: more than one in a hundred with a
    capital says that case was kept; "##" more often than numbers, that digits became "#"; no digit, and all of "zero"
    to "nine", that they were spelled out; two marks or emoji among the keys, or marks within one key in a hundred, that
    punctuation was kept.

    "pca" turns the vectors to the principal axes of the words of the corpus, each counted by the square root of its
    frequency, multiplies axis i by the fourth root of its eigenvalue, makes v of length l into v / (m + l) with the
    median m, weighs words by .1 / (.1 + p) with their share p of the running text, and takes out half of the mean
    document; running words keep their root mean square length. "all-but-the-top" takes out the mean of running text and
    its largest component for each 100 dimensions, where there are others, after Mu & Viswanath 2018 (arXiv:1702.01417),
    who count each word once. `embedding_` holds the outcome. Both change no number of columns. Subwords are mapped
    along; lengths are then not saturated.

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
        "kept_": str, "lowercase_": bool, "digits_": str, "punctuation_": str,
        "unknown_share_": float, "unknown_words_": list[str], "loss_curve_": list[float], "n_iter_": int,
        "_poolers": list[TextPooler], "_missing": np.ndarray, "_has_columns": bool,
    }  # fmt: skip
    _parameter_constraints: dict = {
        "source": [str, os.PathLike, EmbeddingTable],
        "pooling": [StrOptions(set(POOLINGS)), list, tuple],
        "sif_smoothing": [Interval(Real, 0, None, closed="neither")],
        "postprocess": [StrOptions(set(POSTPROCESSES)), None],
        "keep": [StrOptions({"auto", "all", "corpus"})],
        "trainable": ["boolean"],
        "lowercase": ["boolean", StrOptions({"auto"})],
        "digits": [StrOptions({"auto", *DIGITS})],
        "punctuation": [StrOptions({"auto", *PUNCTUATION})],
        "tokenizer": [callable, None],
        "token_pattern": [str, None],
        "missing": [StrOptions(set(MISSING))],
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

    _poolers: list[TextPooler]  # one a column; of documents there is one
    _has_columns: bool

    def __init__(
        self,
        source,
        *,
        pooling="mean",
        sif_smoothing=1e-3,
        postprocess=None,
        keep="auto",
        trainable=False,
        lowercase="auto",
        digits="auto",
        punctuation="auto",
        tokenizer=None,
        token_pattern=None,
        stop_words=None,
        missing="error",
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
        self.postprocess = postprocess
        self.keep = keep
        self.trainable = trainable
        self.lowercase = lowercase
        self.digits = digits
        self.punctuation = punctuation
        self.tokenizer = tokenizer
        self.token_pattern = token_pattern
        self.stop_words = stop_words
        self.missing = missing
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
        """Fit, and with `transform` pool the same documents, which a generator would not give a second time."""
        self._validate_params()
        names = pooling_names(self.pooling)
        source = VectorSource(self.source, format=self.format, limit=self.limit, keep=self.keep)
        style = {"lowercase": self.lowercase, "digits": self.digits, "punctuation": self.punctuation}
        normalizer = normalizer_of(source.head(), **style)
        pattern = self.token_pattern or normalizer.token_pattern
        tokenizer = Tokenizer(normalizer.lowercase, self.tokenizer, pattern, self.missing)
        stop_words = read_stop_words(self.stop_words, lowercase=normalizer.lowercase)
        with self._read(X, tokenizer) as inputs:
            callbacks = PassCallbacks(self, self.max_iter if self.trainable else 1, X)
            table = source.table(lambda: inputs.candidates(normalizer))
            known = KnownWords(table, stop_words)
            inputs.normalize(normalizer, known)
            given = given_vectors(inputs.words, table)
            warn_cut_stop_words(
                stop_words,
                lambda word: [part for token in tokenizer.words(word) for part in normalizer.normalize(token, known)],
                inputs.words if self.trainable else given,
            )
            unknown, unknown_share = unknown_words(inputs.words, inputs.counts, given, stop_words)
            vocabulary = vocabulary_of(inputs, given, stop_words, self.min_count if self.trainable else None)
            warn_unknown(unknown, unknown_share, normalizer)
            learned = given.subset(word for word in vocabulary.keys if word in given)
            loss_curve: list[float] = []
            if self.trainable:
                learned, loss_curve = train_further(learned, inputs, vocabulary, self, callbacks)
            held = held_table(learned, table, keep_all=source.keeps_all, with_subwords=source.with_subwords)
            held, missing = postprocessed(held, missing_vector(table), vocabulary, inputs, self.postprocess)
            row_of = held.shared_keys.index
            added = np.array([row_of[word] for word in vocabulary.keys if word not in table], dtype=np.int32)
            encoder = NormalizedEncoder(held.shared_keys, normalizer, tokenizer, stop_words, added)
            poolers = learn_poolers(names, inputs, encoder, held, self.sif_smoothing)

            self.embedding_, self.vocabulary_ = held, vocabulary
            self.lowercase_, self.digits_, self.punctuation_ = (getattr(normalizer, name) for name in style)
            self.unknown_share_, self.unknown_words_ = unknown_share, list(unknown)
            self.loss_curve_, self.n_iter_ = loss_curve, len(loss_curve)
            self._poolers, self._missing, self._has_columns = poolers, missing, has_columns(X)
            self.kept_ = "all" if source.keeps_all else "corpus"
            if self.verbose:
                self._say_what_was_kept()
            callbacks.end()
            if not transform:
                return None
            (documents,) = inputs.documents(encoder.encode_words(inputs.words))
            return poolers[0].pool_encoded(documents)

    def _say_what_was_kept(self) -> None:
        why = "all words of source" if self.kept_ == "all" else "the words of X alone; keep='all' keeps all of source"
        print(f"PretrainedVectorizer: {len(self.embedding_)} words have a vector, {why}.", file=sys.stderr)

    def _check_fitted(self) -> None:
        if self.kept_ not in ("all", "corpus"):
            raise ValueError(f"expected kept_ to be 'all' or 'corpus', got {self.kept_!r}")
        n_words, dim = self.embedding_.shape
        n_columns = self.n_features_in_ if self._has_columns else 1
        if len(self._poolers) != n_columns or self._missing.shape != (dim,):
            raise ValueError(f"expected poolers of {n_columns} column(s), and a vector of missing cells")
        for pooler in self._poolers:
            if pooler.table is not self.embedding_ or pooler.encoder.keys is not self.embedding_.shared_keys:
                raise ValueError("expected poolers over the table, and encoders of its words")
            check_poolings(pooler.poolings, n_words, dim)

    def _read(self, X: Any, tokenizer: Tokenizer) -> Inputs:
        if has_columns(X):
            return ColumnInputs(self._read_columns(X, reset=True), tokenizer)
        for name in ("n_features_in_", "feature_names_in_"):  # of an earlier fit
            self.__dict__.pop(name, None)
        return TextInputs(X, tokenizer)

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
        if self._has_columns:
            return pool_columns(self._read_columns(X, reset=False), self._poolers, self._missing)
        return self._poolers[0].pool(self._poolers[0].encoder.tokenizer.documents(X))

    @property
    def _n_features_out(self) -> int:
        return sum(pooler.n_columns for pooler in self._poolers)

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
