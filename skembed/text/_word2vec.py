"""Word2VecVectorizer: word vectors learned from raw documents, and documents as pooled word vectors."""

from numbers import Integral, Real

from sklearn.utils._param_validation import Interval, StrOptions

from skembed.data.vocabulary import Vocabulary
from skembed.state import stored
from skembed.table import EmbeddingTable
from skembed.text._tokens import TOKEN_PATTERN
from skembed.text._vectorizer import DocumentVectorizer, PartialFitMixin
from skembed.text._word_training import (
    LearnedWords,
    WordTraining,
    check_init,
    check_shares_words,
    known_output,
    next_seed,
    passes_to_learn,
    starting_tables,
    subsample_of,
    warn_of_no_pairs,
)
from skembed.training.run import Run, draw_seed, settings_of

__all__ = ["Word2VecVectorizer"]


@stored
class Word2VecVectorizer(PartialFitMixin, DocumentVectorizer):
    """Learn word vectors from documents, and turn documents into the pooled vectors of their words.

    Stands where CountVectorizer or TfidfVectorizer would stand in a Pipeline: raw strings in, one dense float32 row a
    document out. The models are those of word2vec [1]_ [2]_.

    Parameters
    ----------
    embedding_dim : int, default=100
        Components of a word vector.
    architecture : {"skip-gram", "cbow"}, default="skip-gram"
        Predict the words around a word from it, or the word from the mean of those around it. Skip-gram is better for
        rare words and small corpora, CBOW faster.
    loss : {"negative-sampling", "hierarchical-softmax"}, default="negative-sampling"
    window : int, default=5
        How many words before and after a word are its context. Wider windows learn topics (10 classifies newsgroups
        better than 5), narrower ones what can stand in a word's place.
    shrink_window : bool, default=True
        Draw the window of each word from 1 to `window`, so that near words weigh more.
    subsample : float or "auto", default="auto"
        Words that make up more than this share of the corpus are skipped at random, the more the more frequent they
        are; 0 keeps all. "auto" is 1e-4, which is faster and better as long as documents then still have a window on
        both sides, in the mean, and 1e-3 for shorter ones.
    negative : int, default=5
        Noise words drawn for a word, with negative sampling.
    ns_exponent : float, default=0.75
        Noise words are drawn in proportion to their count to this power.
    learning_rate : float or "auto", default="auto"
        At the start; it falls linearly to 1e-4 over all passes. "auto" is 0.025 for skip-gram and 0.05 for CBOW.
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
        Words that are left out, of texts and of token lists.
    missing : {"error", "empty"}, default="error"
        Whether a missing document (None, NaN, NA, null) is an error or an empty one.
    max_features : int, default=None
        Learn the most frequent words only.
    min_count : int or "auto", default="auto"
        Leave out words that occur less often in the corpus. "auto" is 5, and 2 where there are less than 30,000 words
        and no `phrases`.
    phrases : int, default=0
        Rounds of joining words that stand side by side more often than chance: after one round "new_york" is a word,
        after two "new_york_times".
    phrase_threshold : float, default=100.0
        Higher finds fewer phrases.
    pooling : {"mean", "tfidf", "sif", "max", "min"} or list of these, default="mean"
        How word vectors become a document's. "tfidf" weighs words by their inverse document frequency; "sif" [3]_ by
        ``a / (a + p)`` for a word with the share p of the corpus, over the mean of that for running words, and takes
        out the component that documents have in common, where they have others; "max" and "min" go component by
        component, and suit short documents only. Of a list, the results stand side by side.
    sif_smoothing : float, default=1e-3
        The a of "sif".
    init : EmbeddingTable, default=None
        Vectors to begin with, for the words that it holds. Words it does not hold begin at random.
    init_frozen : bool, default=False
        Keep the vectors of `init` as they are.
    n_jobs : int, default=None
        Threads or processes of training, as joblib's; the result does not depend on it.
    random_state : int, RandomState instance or None, default=None
        An int makes the result reproducible to the bit.
    verbose : int, default=0
        A progress bar when positive.

    Attributes
    ----------
    embedding_ : EmbeddingTable
        A vector for each word, the most frequent word first.
    vocabulary_ : Vocabulary
        The same words with their counts.
    phrases_ : list of str
        The phrases that are words.
    loss_curve_ : list of float
        Mean loss of each pass; does not depend on `n_jobs`.
    n_iter_ : int
        Passes that were finished.

    Notes
    -----
    A document that is empty, or none of whose words is known, becomes zeros.

    The documents may be strings or lists of tokens, in a list, a Series, an array, a data frame with one column, or
    anything that can be iterated over. They are read once, so that a generator will do, and held as four bytes a word,
    beyond 64 million words in a temporary file: with a `LineCorpus` memory is what the words and the tables need.

    `transform` uses what `fit` has learned and nothing else: a document's vector does not depend on the documents
    around it, nor on the order of its own words.

    References
    ----------
    .. [1] Mikolov, Chen, Corrado & Dean (2013), "Efficient Estimation of Word Representations in Vector Space".
    .. [2] Mikolov, Sutskever, Chen, Corrado & Dean (2013), "Distributed Representations of Words and Phrases and their
       Compositionality".
    .. [3] Arora, Liang & Ma (2017), "A Simple but Tough-to-Beat Baseline for Sentence Embeddings".

    Examples
    --------
    >>> from skembed.text import Word2VecVectorizer
    >>> documents = ["the king rules the land", "the queen rules the land", "the cat eats fish"] * 20
    >>> vectorizer = Word2VecVectorizer(embedding_dim=8, subsample=0, random_state=0).fit(documents)
    >>> vectorizer.transform(["the king eats fish", "the cat rules"]).shape
    (2, 8)
    >>> "queen" in vectorizer.embedding_
    True
    """

    _parameter_constraints: dict = DocumentVectorizer._parameter_constraints | {
        "architecture": [StrOptions({"skip-gram", "cbow"})],
        "loss": [StrOptions({"negative-sampling", "hierarchical-softmax"})],
        "window": [Interval(Integral, 1, None, closed="left")],
        "shrink_window": ["boolean"],
        "subsample": [Interval(Real, 0, 1, closed="both"), StrOptions({"auto"})],
        "negative": [Interval(Integral, 1, None, closed="left")],
        "ns_exponent": [Interval(Real, None, None, closed="neither")],
        "learning_rate": [Interval(Real, 0, None, closed="neither"), StrOptions({"auto"})],
        "max_iter": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "min_count": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "init": [EmbeddingTable, None],
        "init_frozen": ["boolean"],
        "n_jobs": [Integral, None],
    }

    def __init__(
        self,
        embedding_dim=100,
        *,
        architecture="skip-gram",
        loss="negative-sampling",
        window=5,
        shrink_window=True,
        subsample="auto",
        negative=5,
        ns_exponent=0.75,
        learning_rate="auto",
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
        init_frozen=False,
        n_jobs=None,
        random_state=None,
        verbose=0,
    ):
        self.embedding_dim = embedding_dim
        self.architecture = architecture
        self.loss = loss
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
        self.init_frozen = init_frozen
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def _check_parameters(self) -> None:
        check_init(self.init, self.embedding_dim)
        if self.init_frozen and self.init is None:
            raise ValueError(
                "init_frozen=True keeps the vectors of init, but init is None; pass a table or init_frozen=False."
            )

    def _check_earlier(self, table: EmbeddingTable) -> None:
        check_init(self.init, self.embedding_dim, table)

    def _fit_tables(self, training: WordTraining) -> LearnedWords:
        from skembed.training.sequences import SequenceSettings, SequenceTables, train_sequences  # numba: to fit only

        vocabulary, earlier = training.vocabulary, training.earlier
        seed = next_seed(draw_seed(self.random_state), earlier)
        start = frozen = None
        if earlier is not None or self.init is not None:
            known = None
            if earlier is None:
                check_shares_words(self.init, vocabulary.keys)
            else:
                known = earlier.words.table, known_output(earlier.words, len(vocabulary), self.loss)
            tables, given = starting_tables(vocabulary.keys, self.embedding_dim, known, self.init, seed)
            start = SequenceTables(*tables, [])  # type: ignore[arg-type]
            frozen = given if self.init_frozen else None
        words_per_document = training.n_words / training.n_documents
        subsample = subsample_of(self.subsample, vocabulary.counts, words_per_document, self.window)
        settings = settings_of(
            SequenceSettings, self, learning_rate=self._learning_rate(), max_iter=training.max_iter, subsample=subsample
        )
        run = Run(seed, self.n_jobs, self.verbose, training.callbacks, "words")
        learned = train_sequences(
            training.sequences, vocabulary.counts, settings, run, start=start, frozen=frozen, pass_size=training.n_words
        )
        warn_of_no_pairs(learned.loss_curve, subsample)
        return LearnedWords.of_rows(vocabulary, *learned)

    def _least_passes(self, vocabulary: Vocabulary, n_documents: int) -> float:
        if self.init is not None:
            return 0.0  # more of them would forget more of it
        counts = vocabulary.counts
        return passes_to_learn(
            counts, n_documents, growth=self._auto_growth, learning_rate=self._learning_rate(), window=self.window,
            subsample=subsample_of(self.subsample, counts, counts.sum() / n_documents, self.window),
            shrink_window=self.shrink_window,
        )  # fmt: skip

    def _learning_rate(self) -> float:
        if self.learning_rate != "auto":
            return self.learning_rate
        return 0.025 if self.architecture == "skip-gram" else 0.05
