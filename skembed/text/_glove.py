"""GloVeVectorizer: word vectors from a counted table of co-occurrences, and documents as pooled word vectors."""

from numbers import Integral, Real

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils._param_validation import Interval, StrOptions

from skembed.data.vocabulary import Vocabulary
from skembed.state import stored
from skembed.table import EmbeddingTable
from skembed.text._tokens import TOKEN_PATTERN
from skembed.text._vectorizer import DocumentVectorizer
from skembed.text._word_training import LearnedWords, WordTraining, check_init, check_shares_words
from skembed.training.run import Run, draw_seed, settings_of
from skembed.warning import warn

__all__ = ["GloVeVectorizer"]

# x_max="auto": what the authors take for a corpus of 17 million words, and for those of billions
_SMALL_X_MAX, _LARGE_X_MAX, _LARGE_CORPUS = 10.0, 100.0, 10**9
_SMALLEST_MEMORY = 1 << 20  # as in skembed.training.cooccurrence, which takes numba


@stored
class GloVeVectorizer(DocumentVectorizer):
    """Learn GloVe vectors from documents, and turn documents into the pooled vectors of their words.

    Stands where CountVectorizer or TfidfVectorizer would stand in a Pipeline: raw strings in, one dense float32 row a
    document out. It counts once how often words stand near each other, and learns vectors whose products are the
    logarithms of these counts [1]_. After counting, a pass takes as long as there are different pairs of words, however
    long the corpus is.

    Parameters
    ----------
    embedding_dim : int, default=100
        Components of a word vector.
    window : int, default=15
        How many words before and after a word are its context.
    symmetric : bool, default=True
        Count words on both sides of a word; else those before it only.
    distance_weighting : bool, default=True
        A word at distance d counts 1 / d; else 1.
    x_max : float or "auto", default="auto"
        Pairs that were counted less often weigh less. "auto" is 10, for a corpus of a thousand million words or more
        100: the authors' settings for corpora of 17 million words and of thousands of millions.
    alpha : float, default=0.75
        A pair with the count x weighs ``min(1, (x / x_max) ** alpha)``.
    learning_rate : float, default=0.05
        Of AdaGrad [2]_.
    max_iter : int or "auto", default="auto"
        Passes over the counts. "auto" goes by the corpus, with 15 at least and 50 at most.
    combine : {"sum", "word"}, default="sum"
        Each word is learned twice, as a word and as a context. Its vector is the sum of both, as in the authors'
        program and files, or that of the word alone.
    memory_limit : int, default=2147483648
        Bytes that counting, and later the counts, may take beside what there is of each word; counts beyond it lie in
        temporary files, in the folder that `tempfile` chooses. The result does not depend on it.
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
    min_count : int, default=5
        Leave out words that occur less often in the corpus.
    phrases : int, default=0
        Rounds of joining words that stand side by side more often than chance: after one round "new_york" is a word,
        after two "new_york_times".
    phrase_threshold : float, default=100.0
        Higher finds fewer phrases.
    pooling : {"mean", "tfidf", "sif", "max", "min"} or list of these, default="mean"
        How word vectors become a document's, as in `Word2VecVectorizer`. Of a list, the results stand side by side.
    sif_smoothing : float, default=1e-3
        The a of "sif".
    init : EmbeddingTable, default=None
        Vectors to begin with, for the words that it holds: half of each for the word, half for the context, or the
        whole for the word with ``combine="word"``. Words it does not hold begin at random.
    n_jobs : int, default=None
        Threads of counting, threads or processes of training, as joblib's; the result does not depend on it.
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
    n_cooccurrences_ : int
        Pairs of words that were counted, each order by itself.
    loss_curve_ : list of float
        Of each pass, half the weighted squared error of a pair's logarithm, a mean over the pairs, as the authors'
        program prints it; does not depend on `n_jobs`.
    n_iter_ : int
        Passes that were finished.

    See Also
    --------
    Word2VecVectorizer : Learns from each window as it is met, and can go on with further documents.

    Notes
    -----
    A document that is empty, or none of whose words is known, becomes zeros. Documents are read once, as in
    `Word2VecVectorizer`.

    A step of one component is never longer than 0.5, which no sensible learning rate comes near.

    References
    ----------
    .. [1] Pennington, Socher & Manning (2014), "GloVe: Global Vectors for Word Representation".
    .. [2] Duchi, Hazan & Singer (2011), "Adaptive Subgradient Methods for Online Learning and Stochastic Optimization".

    Examples
    --------
    >>> from skembed.text import GloVeVectorizer
    >>> documents = ["the king rules the land", "the queen rules the land", "the cat eats fish"] * 20
    >>> vectorizer = GloVeVectorizer(embedding_dim=8, random_state=0).fit(documents)
    >>> vectorizer.transform(["the king eats fish", "the cat rules"]).shape
    (2, 8)
    >>> "queen" in vectorizer.embedding_
    True
    """

    _state = {"n_cooccurrences_": int}
    _parameter_constraints: dict = DocumentVectorizer._parameter_constraints | {
        "window": [Interval(Integral, 1, None, closed="left")],
        "symmetric": ["boolean"],
        "distance_weighting": ["boolean"],
        "x_max": [Interval(Real, 0, None, closed="neither"), StrOptions({"auto"})],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "max_iter": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "combine": [StrOptions({"sum", "word"})],
        "memory_limit": [Interval(Integral, _SMALLEST_MEMORY, None, closed="left")],
        "init": [EmbeddingTable, None],
        "n_jobs": [Integral, None],
    }
    # the authors' 15 passes at 17 million words, and more of them where they cost little
    _auto_words = 250_000_000
    _auto_passes = (15, 50)

    def __init__(
        self,
        embedding_dim=100,
        *,
        window=15,
        symmetric=True,
        distance_weighting=True,
        x_max="auto",
        alpha=0.75,
        learning_rate=0.05,
        max_iter="auto",
        combine="sum",
        memory_limit=2**31,
        lowercase=True,
        tokenizer=None,
        token_pattern=TOKEN_PATTERN,
        stop_words=None,
        missing="error",
        max_features=None,
        min_count=5,
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
        self.window = window
        self.symmetric = symmetric
        self.distance_weighting = distance_weighting
        self.x_max = x_max
        self.alpha = alpha
        self.learning_rate = learning_rate
        self.max_iter = max_iter
        self.combine = combine
        self.memory_limit = memory_limit
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

    def _check_parameters(self) -> None:
        check_init(self.init, self.embedding_dim)

    def _fit_tables(self, training: WordTraining) -> LearnedWords:
        from skembed.training.cooccurrence import CountSettings, count_cooccurrences  # numba: to fit, not to transform
        from skembed.training.glove import GloVeSettings, train_glove

        vocabulary = training.vocabulary
        run = Run(draw_seed(self.random_state), self.n_jobs, self.verbose, training.callbacks, "pairs")
        counting = settings_of(CountSettings, self, x_max=self._x_max(vocabulary))
        with count_cooccurrences(training.sequences, vocabulary.counts, counting, run) as cooccurrences:
            if not cooccurrences.n_cells:
                warn(
                    "there was nothing to learn from: no document has two known words. Pass longer documents, or lower "
                    f"min_count={self.min_count}.",
                    ConvergenceWarning,
                )
            settings = settings_of(GloVeSettings, self, max_iter=training.max_iter)
            tables = train_glove(cooccurrences, settings, run, start=self._starting_vectors(vocabulary, run.seed))
        self.n_cooccurrences_ = cooccurrences.n_cells
        vectors = tables.words + tables.contexts if self.combine == "sum" else tables.words.copy()
        return LearnedWords.of_rows(vocabulary, vectors, tables.contexts.copy(), tables.loss_curve)

    def _x_max(self, vocabulary: Vocabulary) -> float:
        if self.x_max != "auto":
            return self.x_max
        return _LARGE_X_MAX if vocabulary.counts.sum() >= _LARGE_CORPUS else _SMALL_X_MAX

    def _starting_vectors(self, vocabulary: Vocabulary, seed: int) -> tuple[np.ndarray, np.ndarray] | None:
        """Vectors of words and contexts to begin with where `init` has some."""
        if self.init is None:
            return None
        from skembed.training.glove import glove_vectors

        check_shares_words(self.init, vocabulary.keys)
        words, contexts = glove_vectors(len(vocabulary), self.embedding_dim, seed)
        given = np.array([word in self.init for word in vocabulary.keys], dtype=bool)
        vectors = self.init.lookup(vocabulary.keys[given])
        if self.combine == "sum":
            words[given] = contexts[given] = vectors / 2
        else:
            words[given] = vectors
        return words, contexts
