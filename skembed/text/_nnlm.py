"""NNLMVectorizer: a neural language model of raw documents, and documents as the pooled vectors of its words."""

from collections.abc import Iterable, Iterator
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from skembed.data.corpus import EncodedCorpus
from skembed.data.keys import Keys
from skembed.data.ragged import Ragged
from skembed.data.vocabulary import Vocabulary
from skembed.state import stored
from skembed.text._encoder import WordEncoder
from skembed.text._events import held_out_events, log_probabilities, read_events
from skembed.text._tokens import TOKEN_PATTERN
from skembed.text._vectorizer import DocumentVectorizer
from skembed.text._word_training import LearnedWords, WordTraining
from skembed.text._words import read_stop_words
from skembed.training.next_words import NextWordSettings, NextWordWeights
from skembed.training.run import Run, draw_seed, settings_of

__all__ = ["NNLMVectorizer"]

_AUTO_SAMPLES = 200, 1000  # fewer words drawn save no time, more gain nothing
_AUTO_STEPS = 100  # of a pass, at least, where batches are large enough to be worth their time
_AUTO_BATCH = 32, 512  # words: smaller ones take longer and gain nothing, larger ones gain no time


@stored
class NNLMVectorizer(DocumentVectorizer):
    """Learn to predict each word from the words before it, and turn documents into the pooled vectors of their words.

    The feed-forward language model of Bengio et al. [1]_: the vectors of the `n_previous` words side by side go through
    tanh layers, and with `direct` past them, to the scores of all words. Word vectors of a language model tell what may
    stand in a word's place; for documents by topic, `Word2VecVectorizer` is faster and better. What this model has
    beside them is `perplexity`.

    Parameters
    ----------
    embedding_dim : int, default=60
        Components of a word vector.
    n_previous : int, default=3
        Words that the next one is predicted from: the n - 1 of an n-gram model.
    hidden_layer_sizes : tuple of int, default=(100,)
        Of tanh layers; () with ``direct=True`` is a log-bilinear model.
    direct : bool, default=False
        Connect the vectors of the context to the scores directly too.
    n_samples : int, "auto" or None, default="auto"
        Words drawn for a batch, in place of all, to train the softmax [2]_. "auto": a tenth of the words, but 200 at
        least and 1000 at most. None, or as many as there are words: all. `perplexity` and early stopping always take
        all.
    ns_exponent : float, default=0.75
        Words are drawn in proportion to their count to this power.
    dropout : float, default=0.3
        Share of the components of contexts and of the last hidden layer that a step leaves out.
    weight_decay : float, default=1e-4
        As in AdamW.
    learning_rate : float, default=5e-3
        Of Adam, at the start; it is halved after each pass that lowered the perplexity of the held-out documents by
        less than 3 %.
    batch_size : int or "auto", default="auto"
        Words of a step. "auto" is the 100th part of those of a pass, between 32 and 512: passes over a few thousand
        words of 512 each end before anything is learned.
    max_iter : int, default=20
        Passes over the corpus, at most.
    early_stopping : bool, default=True
        Hold out documents, stop when their perplexity has not fallen for `n_iter_no_change` passes, and keep the best
        state.
    validation_fraction : float, default=0.1
        Share of the words that is held out, in whole documents; of a single document, its end.
    n_iter_no_change : int, default=3
    tol : float, default=1e-3
        Least gain in mean log-probability.
    lowercase, tokenizer, token_pattern, stop_words, missing, max_features, min_count, phrases, phrase_threshold
        As in `Word2VecVectorizer`. Words without a row are predicted as one word, the unknown, and may stand in
        contexts; stop words are left out altogether.
    pooling, sif_smoothing
        As in `Word2VecVectorizer`.
    device : str, default="auto"
        Of training: "auto" is the first GPU if there is one.
    random_state : int, RandomState instance or None, default=None
        An int makes the result reproducible to the bit, on the same device.
    verbose : int, default=0
        A progress bar when positive.

    Attributes
    ----------
    embedding_ : EmbeddingTable
        A vector for each word, the most frequent first; `unknown` is that of words without a row.
    vocabulary_ : Vocabulary
        The same words with their counts.
    phrases_ : list of str
    loss_curve_ : list of float
        Mean loss of each pass, among the words drawn.
    validation_scores_ : list of float
        Mean log-probability of a held-out word after each pass, among all words: ``exp(-score)`` is the perplexity.
    n_iter_ : int
        Passes that were finished.

    Notes
    -----
    Training holds the corpus in memory, about 20 bytes a word. `transform` and `perplexity` need no torch.

    References
    ----------
    .. [1] Bengio, Ducharme, Vincent & Jauvin (2003), "A Neural Probabilistic Language Model", JMLR 3.
    .. [2] Bengio & Senécal (2008), "Adaptive Importance Sampling to Accelerate Training of a Neural Probabilistic
       Language Model".

    Examples
    --------
    >>> from skembed.text import NNLMVectorizer
    >>> documents = ["the king rules the land", "the queen rules the land", "the cat eats fish"] * 20
    >>> vectorizer = NNLMVectorizer(embedding_dim=8, max_iter=5, random_state=0).fit(documents)
    >>> vectorizer.transform(["the king eats fish", "the cat rules"]).shape
    (2, 8)
    >>> vectorizer.perplexity(["the king rules the land"]) < vectorizer.perplexity(["land the rules king the"])
    True
    """

    _state = {
        "_weights": NextWordWeights, "_n_previous": int, "_stop_words": list[str],
        "validation_scores_": list[float],
    }  # fmt: skip
    _parameter_constraints: dict = DocumentVectorizer._parameter_constraints | {
        "n_previous": [Interval(Integral, 1, None, closed="left")],
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "direct": ["boolean"],
        "n_samples": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"}), None],
        "ns_exponent": [Interval(Real, None, None, closed="neither")],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "batch_size": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "device": [str],
    }

    def __init__(
        self,
        embedding_dim=60,
        *,
        n_previous=3,
        hidden_layer_sizes=(100,),
        direct=False,
        n_samples="auto",
        ns_exponent=0.75,
        dropout=0.3,
        weight_decay=1e-4,
        learning_rate=5e-3,
        batch_size="auto",
        max_iter=20,
        early_stopping=True,
        validation_fraction=0.1,
        n_iter_no_change=3,
        tol=1e-3,
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
        device="auto",
        random_state=None,
        verbose=0,
    ):
        self.embedding_dim = embedding_dim
        self.n_previous = n_previous
        self.hidden_layer_sizes = hidden_layer_sizes
        self.direct = direct
        self.n_samples = n_samples
        self.ns_exponent = ns_exponent
        self.dropout = dropout
        self.weight_decay = weight_decay
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
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
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    def _check_parameters(self) -> None:
        sizes = self._layer_sizes()
        if any(not isinstance(size, Integral) or isinstance(size, bool) or size < 1 for size in sizes):
            raise ValueError(f"hidden_layer_sizes={self.hidden_layer_sizes!r}, expected ints of at least 1.")
        if not sizes and not self.direct:
            raise ValueError("hidden_layer_sizes=() leaves no path to the scores; pass direct=True or a hidden layer.")

    def _layer_sizes(self) -> tuple[int, ...]:
        sizes = self.hidden_layer_sizes
        return tuple(sizes) if np.iterable(sizes) else (sizes,)

    def _sequences(self, corpus: EncodedCorpus, vocabulary: Vocabulary, row_of: np.ndarray) -> Iterable:
        # words without a row stay, unlike stop words: they are events, too
        kept = corpus.sequences(corpus.numbers(read_stop_words(self.stop_words, lowercase=self.lowercase)))
        return (Ragged(chunk.indptr, row_of[chunk.indices]) for chunk in kept)

    def _fit_tables(self, training: WordTraining) -> LearnedWords:
        from skembed.training.nets.nnlm import learn_next_words  # torch: to fit, not to transform

        rng = check_random_state(draw_seed(self.random_state))
        vocabulary, n_words = training.vocabulary, len(training.vocabulary)
        events = read_events(training.sequences, n_words, self.n_previous)
        held = np.zeros(len(events.positions), dtype=bool)
        if self.early_stopping:
            held = held_out_events(events, self.validation_fraction, rng)
        n_samples = int(np.clip(n_words // 10, *_AUTO_SAMPLES)) if self.n_samples == "auto" else self.n_samples
        positions, batch_size = events.positions[~held], self.batch_size
        if batch_size == "auto":
            batch_size = int(np.clip(len(positions) // _AUTO_STEPS, *_AUTO_BATCH))
        settings = settings_of(
            NextWordSettings, self, hidden_layer_sizes=self._layer_sizes(), n_samples=n_samples, batch_size=batch_size
        )
        run = Run(draw_seed(rng), None, self.verbose, training.callbacks, "NNLMVectorizer")
        weights, history = learn_next_words(
            events.tokens, positions, events.positions[held], n_words + 2, settings, run
        )
        self._weights = weights
        self._n_previous, self._stop_words = (
            self.n_previous,
            sorted(read_stop_words(self.stop_words, lowercase=self.lowercase)),
        )
        self.validation_scores_ = history.validation_scores
        # else training has never met the unknown word
        unknown = weights.embedding[n_words] if len(vocabulary.infrequent) else None
        rows = weights.embedding[:n_words].copy()
        return LearnedWords.of_rows(vocabulary, rows, weights.output, history.loss_curve, unknown=unknown)

    def _check_fitted(self) -> None:
        super()._check_fitted()
        weights, n_words = self._weights, len(self.vocabulary_)
        widths = [self._n_previous * weights.embedding.shape[-1]]
        for weight, bias in weights.hidden:
            if weight.ndim != 2 or weight.shape[1] != widths[-1] or bias.shape != (len(weight),):
                raise ValueError("expected hidden layers that follow each other")
            widths.append(len(weight))
        width = (widths[-1] if weights.hidden else 0) + (widths[0] if weights.direct else 0) + 1
        if weights.embedding.ndim != 2 or len(weights.embedding) != n_words + 3 or self._n_previous < 1:
            raise ValueError(f"expected vectors of {n_words + 3} tokens")
        if weights.output.shape != (n_words + 2, width):
            raise ValueError(f"expected output weights of shape {(n_words + 2, width)}, got {weights.output.shape}")

    def perplexity(self, X):
        """Return how many words the next one is drawn from, as far as the model can tell: lower is better.

        ``exp(-mean log p)`` over every word and every end of a document, p among all words of the vocabulary, the
        unknown one (all words without a row) and the end.

        Parameters
        ----------
        X : iterable of str or of token lists
            Documents; empty ones are left out.

        Returns
        -------
        float

        Raises
        ------
        ValueError
            If there is no word.
        """
        parts = list(self._log_probabilities(X))
        if not parts:
            raise ValueError("X holds no word, so it has no perplexity; pass documents with words.")
        return float(np.exp(-np.concatenate(parts).mean()))

    def _log_probabilities(self, X: Any) -> Iterator[np.ndarray]:
        """Yield the log-probabilities of the words and ends of documents, in blocks."""
        check_is_fitted(self)
        events = read_events(self._without_stop_words(X), len(self.vocabulary_), self._n_previous)
        return log_probabilities(self._weights, events, self._n_previous)

    def _without_stop_words(self, X: Any) -> Iterator[Ragged]:
        """Yield documents in which words without a row are `NO_ROW`, and stop words are left out."""
        n_words, stop_words = len(self.vocabulary_), self._stop_words
        encoder = self._encoder
        if stop_words:
            encoder = WordEncoder(Keys.of([*encoder.keys.array, *stop_words]), encoder.rounds, encoder.tokenizer)
        for chunk in encoder.encode(encoder.tokenizer.documents(X), keep_unknown=True):
            yield chunk.keep(chunk.indices < n_words)
