"""FastTextVectorizer: word vectors made of character n-grams, so that words never seen have a vector too."""

from collections.abc import Iterable, Iterator
from numbers import Integral, Real

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from skembed.apply.pooling import Pooling, pool_chunks
from skembed.data.corpus import EncodedCorpus
from skembed.data.keys import Keys
from skembed.data.ragged import Ragged
from skembed.data.vocabulary import Vocabulary
from skembed.state import stored
from skembed.table import EmbeddingTable, SubwordTable
from skembed.table.subwords import Subwords
from skembed.text._phrases import PhraseRounds
from skembed.text._strangers import warn_unknown_documents
from skembed.text._subword_rows import NgramRule, buckets_of, ngram_rule, rows_of_words, starting_rows
from skembed.text._subwords import Chunk, SubwordEncoder, read_chunks, with_composed
from skembed.text._tokens import TOKEN_PATTERN, Tokenizer
from skembed.text._vectorizer import DocumentVectorizer, PartialFitMixin
from skembed.text._word_training import (
    LearnedWords,
    WordTraining,
    check_init,
    check_shares_words,
    known_output,
    next_seed,
    passes_to_learn,
    subsample_of,
    warn_of_no_pairs,
)
from skembed.text._words import check_table_memory, read_stop_words
from skembed.training.run import Run, draw_seed, settings_of

__all__ = ["FastTextVectorizer"]


@stored
class FastTextVectorizer(PartialFitMixin, DocumentVectorizer):
    """Learn word vectors with subwords from documents, and turn documents into the pooled vectors of their words.

    The vector of a word is the mean of a vector of its own and those of its character n-grams [1]_. Words that share
    stems and endings share what is learned, and a word that the corpus does not hold, a rare form or a misspelling, has
    the mean of its n-grams' vectors. Stands where CountVectorizer or TfidfVectorizer would stand in a Pipeline: raw
    strings in, one dense float32 row a document out.

    Parameters
    ----------
    embedding_dim : int, default=100
        Components of a word vector.
    architecture : {"skip-gram", "cbow"}, default="skip-gram"
        Predict the words around a word from it, or the word from the mean of those around it.
    loss : {"negative-sampling", "hierarchical-softmax", "softmax"}, default="negative-sampling"
        "softmax" takes time in proportion to the number of words: for small vocabularies.
    min_n, max_n : int, default=3, 6
        Shortest and longest n-gram in characters; `<` and `>` at the ends of a word count. ``max_n=0`` takes none.
    n_buckets : int, default=2_000_000
        N-grams are hashed to so many numbers, and those of one number share a vector. Only numbers that a word of the
        vocabulary has take memory; `save` in fastText's format writes all of them.
    window : int, default=5
        How many words before and after a word are its context.
    shrink_window : bool, default=True
        Draw the window of each word from 1 to `window`, so that near words weigh more.
    subsample : float or "auto", default="auto"
        Words that make up more than this share of the corpus are skipped at random, the more the more frequent they
        are; 0 keeps all. "auto" as in `Word2VecVectorizer`.
    negative : int, default=5
        Noise words drawn for each pair of words (CBOW: for each word), with negative sampling.
    ns_exponent : float, default=0.75
        Noise words are drawn in proportion to their count to this power.
    learning_rate : float, default=0.05
        At the start; it falls linearly to 1e-4 over all passes.
    max_iter : int or "auto", default="auto"
        Passes over the corpus. "auto" takes as many as make 30 million words, but 5 at least and 30 at most; and up to
        1000 of small corpora, until a word has had some thousand pairs in the mean.
    lowercase : bool, default=True
        Of texts, token lists and stop words.
    tokenizer : callable, default=None
        Text -> iterable of words, in place of `token_pattern`, which may then be None.
    token_pattern : str, default=r"(?u)\\b\\w\\w+\\b"
        As in CountVectorizer: words of two characters or more. With one group, the group is the word.
    stop_words : "english", list of str or None, default=None
        Words that are left out, of texts and of token lists, in `fit` and `transform`.
    missing : {"error", "empty"}, default="error"
        Whether a missing document (None, NaN, NA, null) is an error or an empty one.
    max_features : int, default=None
        The most frequent words only get a vector of their own.
    min_count : int or "auto", default="auto"
        Words that occur less often in the corpus get none of their own. "auto" is 5, and 2 where there are less than
        30,000 words and no `phrases`.
    phrases : int, default=0
        Rounds of joining words that stand side by side more often than chance, as in Word2VecVectorizer.
    phrase_threshold : float, default=100.0
        Higher finds fewer phrases.
    pooling : {"mean", "tfidf", "sif", "max", "min"} or list of these, default="mean"
        How word vectors become a document's, as in Word2VecVectorizer. Words outside the vocabulary weigh as words that
        no document holds.
    sif_smoothing : float, default=1e-3
        The a of "sif".
    init : EmbeddingTable, default=None
        What to begin with. Of a SubwordTable, a fastText `.bin` for example: the rows of words and n-grams; n-grams
        that no word of the corpus has are kept as they are. Its `min_n`, `max_n` and `n_buckets` take the place of
        those of these parameters that have their default values; others must be the same. Of another table: its
        vectors as the own rows of words.
    n_jobs : int, default=None
        Threads or processes of training, as joblib's; the result does not depend on it.
    random_state : int, RandomState instance or None, default=None
        An int makes the result reproducible to the bit.
    verbose : int, default=0
        A progress bar when positive.

    Attributes
    ----------
    embedding_ : SubwordTable
        A vector for each word, the most frequent word first, and those of the n-grams: ``embedding_["unseenword"]``
        composes one. ``embedding_.save(path, format="fasttext-bin")`` is read by fastText and gensim.
    vocabulary_ : Vocabulary
        The words of the corpus with their counts.
    phrases_ : list of str
        The phrases that are words.
    loss_curve_ : list of float
        Mean loss of each pass; does not depend on `n_jobs`.
    n_iter_ : int
        Passes that were finished.

    Notes
    -----
    A document that is empty, or has only words without an n-gram that the vocabulary has, becomes zeros.

    As in Word2VecVectorizer the documents may come from any iterable and a document's vector depends neither on the
    documents around it nor on the order of its own words.

    References
    ----------
    .. [1] Bojanowski, Grave, Joulin & Mikolov (2017), "Enriching Word Vectors with Subword Information".

    Examples
    --------
    >>> from skembed.text import FastTextVectorizer
    >>> documents = ["the king rules the land", "the queen rules the land", "the cat eats fish"] * 20
    >>> vectorizer = FastTextVectorizer(embedding_dim=8, subsample=0, random_state=0).fit(documents)
    >>> vectorizer.transform(["the kings ruled", "cats eat fishes"]).shape
    (2, 8)
    >>> "queens" in vectorizer.embedding_, vectorizer.embedding_["queens"].shape
    (False, (8,))
    """

    _parameter_constraints: dict = DocumentVectorizer._parameter_constraints | {
        "architecture": [StrOptions({"skip-gram", "cbow"})],
        "loss": [StrOptions({"negative-sampling", "hierarchical-softmax", "softmax"})],
        "min_n": [Interval(Integral, 1, None, closed="left")],
        "max_n": [Interval(Integral, 0, 100, closed="both")],
        "n_buckets": [Interval(Integral, 1, 2**31 - 1, closed="both")],
        "window": [Interval(Integral, 1, None, closed="left")],
        "shrink_window": ["boolean"],
        "subsample": [Interval(Real, 0, 1, closed="both"), StrOptions({"auto"})],
        "negative": [Interval(Integral, 1, None, closed="left")],
        "ns_exponent": [Interval(Real, None, None, closed="neither")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "max_iter": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "min_count": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "init": [EmbeddingTable, None],
        "n_jobs": [Integral, None],
    }

    _composes = True
    embedding_: SubwordTable
    _encoder: SubwordEncoder

    def __init__(
        self,
        embedding_dim=100,
        *,
        architecture="skip-gram",
        loss="negative-sampling",
        min_n=3,
        max_n=6,
        n_buckets=2_000_000,
        window=5,
        shrink_window=True,
        subsample="auto",
        negative=5,
        ns_exponent=0.75,
        learning_rate=0.05,
        max_iter="auto",
        lowercase=True,
        tokenizer=None,
        token_pattern=TOKEN_PATTERN,
        stop_words=None,
        missing="error",
        max_features=None,
        min_count="auto",
        phrases=0,
        phrase_threshold=100.0,
        pooling="mean",
        sif_smoothing=1e-3,
        init=None,
        n_jobs=None,
        random_state=None,
        verbose=0,
    ):
        self.embedding_dim = embedding_dim
        self.architecture = architecture
        self.loss = loss
        self.min_n = min_n
        self.max_n = max_n
        self.n_buckets = n_buckets
        self.window = window
        self.shrink_window = shrink_window
        self.subsample = subsample
        self.negative = negative
        self.ns_exponent = ns_exponent
        self.learning_rate = learning_rate
        self.max_iter = max_iter
        self.lowercase = lowercase
        self.tokenizer = tokenizer
        self.token_pattern = token_pattern
        self.stop_words = stop_words
        self.missing = missing
        self.max_features = max_features
        self.min_count = min_count
        self.phrases = phrases
        self.phrase_threshold = phrase_threshold
        self.pooling = pooling
        self.sif_smoothing = sif_smoothing
        self.init = init
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def transform(self, X):
        """Return the vectors of documents, those of words outside the vocabulary composed of their n-grams.

        Parameters
        ----------
        X : iterable of str or of token lists
            A `LineCorpus` or generator is read chunk by chunk.

        Returns
        -------
        ndarray of shape (n_documents, n_poolings * embedding_dim), float32
            Zeros for a document without a word that has a vector.
        """
        check_is_fitted(self)
        return self._pool_chunks(self._encoder.encode_all(self._encoder.tokenizer.documents(X)), told=True)

    def _pool_corpus(self, corpus: EncodedCorpus, row_of: np.ndarray) -> np.ndarray:
        return self._pool_chunks(
            read_chunks(
                corpus, row_of, len(self.embedding_), read_stop_words(self.stop_words, lowercase=self.lowercase)
            )
        )

    def _pool_chunks(self, chunks: Iterable[Chunk], *, told: bool = False) -> np.ndarray:
        """Pool chunks; `told` is whether documents without a word that has a vector are warned of."""
        shared, n_documents, n_words = (self.embedding_, self._poolings, self._document_counts.n_documents), 0, 0

        def composed() -> Iterator[tuple[Ragged, np.ndarray, list[Pooling]]]:
            nonlocal n_documents, n_words
            for chunk in chunks:
                documents, vectors, poolings = with_composed(chunk, *shared)
                n_documents, n_words = n_documents + len(documents), n_words + len(documents.indices)
                yield documents, vectors, poolings

        pooled = pool_chunks(composed(), self._n_features_out)
        if told:
            warn_unknown_documents(n_documents, n_words)
        return pooled

    def _make_encoder(self, keys: Keys, rounds: PhraseRounds, tokenizer: Tokenizer) -> SubwordEncoder:
        return SubwordEncoder(keys, rounds, tokenizer, read_stop_words(self.stop_words, lowercase=self.lowercase))

    def _least_passes(self, vocabulary: Vocabulary, n_documents: int) -> float:
        if self.init is not None:
            return 0.0  # more of them would forget more of it
        counts = vocabulary.counts
        return passes_to_learn(
            counts, n_documents, growth=self._auto_growth, learning_rate=self.learning_rate, window=self.window,
            subsample=subsample_of(self.subsample, counts, counts.sum() / n_documents, self.window),
            shrink_window=self.shrink_window,
        )  # fmt: skip

    def _check_parameters(self) -> None:
        check_init(self.init, self.embedding_dim)
        min_n, max_n, _ = self._rule(self.init, "init")
        if max_n and min_n > max_n:
            raise ValueError(
                f"min_n={min_n} is above max_n={max_n}; pass min_n of at most {max_n}, or max_n=0 for no n-grams."
            )

    def _check_earlier(self, table: EmbeddingTable) -> None:
        check_init(self.init, self.embedding_dim, table)
        self._rule(table, "the earlier calls")

    def _rule(self, table: EmbeddingTable | None, name: str) -> NgramRule:
        return ngram_rule(NgramRule(self.min_n, self.max_n, self.n_buckets), table, name)

    def _fit_tables(self, training: WordTraining) -> LearnedWords:
        from skembed.training.sequences import (  # numba: to fit, not to transform
            SequenceSettings,
            SequenceTables,
            train_sequences,
            uniform_vectors,
        )

        vocabulary, earlier = training.vocabulary, training.earlier
        seed = next_seed(draw_seed(self.random_state), earlier)
        known = self.init if earlier is None else earlier.words.table
        held = buckets_of(known.subwords) if isinstance(known, SubwordTable) else None
        words, rule = vocabulary.keys.tolist(), self._rule(known, "what training goes on from")
        rows, buckets = rows_of_words(words, rule, held)
        n_rows = len(words) + len(buckets)
        check_table_memory(n_rows, self.embedding_dim)
        if earlier is None and held is None:
            check_shares_words(self.init, vocabulary.keys)
        start = None
        if known is not None:
            first = uniform_vectors(n_rows, self.embedding_dim, seed)
            output = None if earlier is None else known_output(earlier.words, len(words), self.loss)
            start = SequenceTables(starting_rows(first, words, buckets, known), output, [])  # type: ignore[arg-type]
        words_per_document = training.n_words / training.n_documents
        subsample = subsample_of(self.subsample, vocabulary.counts, words_per_document, self.window)
        settings = settings_of(SequenceSettings, self, max_iter=training.max_iter, subsample=subsample)
        run = Run(seed, self.n_jobs, self.verbose, training.callbacks, "words")
        learned = train_sequences(
            training.sequences, vocabulary.counts, settings, run, start=start, subword_rows=rows,
            pass_size=training.n_words,
        )  # fmt: skip
        warn_of_no_pairs(learned.loss_curve, subsample)
        own, ngrams = np.split(learned.input, [len(words)])
        subwords = Subwords(
            ngrams,
            min_n=rule.min_n,
            max_n=rule.max_n,
            n_buckets=rule.n_buckets if rule.max_n else 0,
            buckets=buckets,
            absent="zero",
        )
        table = SubwordTable.from_rows(vocabulary.shared_keys.array, own, subwords, counts=vocabulary.counts)
        return LearnedWords(table, learned.output, learned.loss_curve)
