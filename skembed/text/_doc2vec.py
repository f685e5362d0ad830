"""Doc2VecVectorizer: document vectors trained with the words of their documents, and inferred for any document."""

from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions

from skembed.apply.document_vectors import DocumentInference, infer_documents, learn_inference
from skembed.data.corpus import EncodedCorpus
from skembed.data.ragged import Ragged
from skembed.data.vocabulary import Vocabulary
from skembed.state import stored
from skembed.text._tokens import TOKEN_PATTERN
from skembed.text._vectorizer import WordVectorizer
from skembed.text._word_training import (
    EarlierFit,
    LearnedWords,
    WordTraining,
    passes_to_learn,
    subsample_of,
    warn_of_no_pairs,
)
from skembed.text._words import check_table_memory
from skembed.training.run import Run, draw_seed, settings_of

__all__ = ["Doc2VecVectorizer"]


@stored
class Doc2VecVectorizer(WordVectorizer):
    """Learn vectors of documents by letting them predict their words: the paragraph vectors of PV-DBOW and PV-DM.

    A document's vector is trained, not averaged: with it a logistic regression tells the words of the document from
    words drawn at random [1]_. For long documents and their topics this is better than the mean of word vectors; for
    short texts, and where speed counts, the mean that `Word2VecVectorizer` gives is enough.

    Parameters
    ----------
    embedding_dim : int, default=100
        Components of a vector.
    method : {"pv-dbow", "pv-dm"}, default="pv-dbow"
        "pv-dbow": the document alone predicts each of its words, whatever their order. "pv-dm": the mean of the
        document and the words around a word predicts it. PV-DBOW is faster, and better at topics.
    dbow_words : bool, default=False
        With "pv-dbow", learn skip-gram vectors of words as well, in the same space; slower by the size of the window.
    window : int, default=5
        How many words before and after a word are its context, for "pv-dm" and `dbow_words`.
    shrink_window : bool, default=True
        Draw the window of each word from 1 to `window`, so that near words weigh more.
    subsample : float or "auto", default="auto"
        Words that make up more than this share of the corpus are skipped at random, the more the more frequent they
        are; 0 keeps all. `transform` weighs them accordingly. "auto" as in `Word2VecVectorizer`, whatever the method.
    negative : int, default=5
        Words drawn at random for each word, to tell it from.
    ns_exponent : float, default=0.75
        They are drawn in proportion to their frequency to this power.
    learning_rate : float or "auto", default="auto"
        Falls to 1e-4 in the course of training. "auto": 0.025, or 0.05 for "pv-dm".
    max_iter : int or "auto", default="auto"
        Passes over the documents. "auto": those that make 75 million words, at least 10 and at most 40; and up to 1000
        where documents are short or few, whose vectors meet few words a pass.
    lowercase : bool, default=True
        Of texts and of token lists.
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
        Rounds of joining words that stand side by side more often than chance, as in `Word2VecVectorizer`.
    phrase_threshold : float, default=100.0
        Higher finds fewer phrases.
    n_jobs : int, default=None
        Threads or processes of training, as joblib's; the result does not depend on it.
    random_state : int, RandomState instance or None, default=None
        An int makes the result reproducible to the bit.
    verbose : int, default=0
        A progress bar when positive.

    Attributes
    ----------
    embedding_ : EmbeddingTable
        A vector for each word, the most frequent word first: as a context, as those of `Word2VecVectorizer`, or of
        plain "pv-dbow", whose words are never contexts, as what documents predict. There a document's vector lies near
        those of its words, too.
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
    `transform` gives each document one vector, that which its words alone decide, whether `fit` saw it or not: it
    solves the regression of which training is a rough form, with the words frozen, the noise words fixed and the
    spread of the trained vectors as their prior. Nothing is drawn; the documents beside it change rounding alone, some
    millionths of its length. `fit_transform` is ``fit(X).transform(X)``.

    Of "pv-dbow" the order of the words of a document does not matter; of "pv-dm" it does. A document that is empty, or
    none of whose words is known, becomes zeros. The documents may be what they may be for `Word2VecVectorizer`.

    Training needs a vector for each document, ``4 * embedding_dim`` bytes; what is fitted does not keep them. There is
    no `partial_fit`: `transform` already gives vectors to new documents.

    References
    ----------
    .. [1] Le & Mikolov (2014), "Distributed Representations of Sentences and Documents".

    Examples
    --------
    >>> from skembed.text import Doc2VecVectorizer
    >>> documents = ["the king rules the land", "the queen rules the land", "the cat eats fish"] * 20
    >>> vectorizer = Doc2VecVectorizer(embedding_dim=8, subsample=0, random_state=0).fit(documents)
    >>> vectorizer.transform(["the king eats fish", "the cat rules"]).shape
    (2, 8)
    """

    _parameter_constraints: dict = WordVectorizer._parameter_constraints | {
        "method": [StrOptions({"pv-dbow", "pv-dm"})],
        "dbow_words": ["boolean"],
        "window": [Interval(Integral, 1, None, closed="left")],
        "shrink_window": ["boolean"],
        "subsample": [Interval(Real, 0, 1, closed="both"), StrOptions({"auto"})],
        "negative": [Interval(Integral, 1, None, closed="left")],
        "ns_exponent": [Interval(Real, None, None, closed="neither")],
        "learning_rate": [Interval(Real, 0, None, closed="neither"), StrOptions({"auto"})],
        "max_iter": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "min_count": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "n_jobs": [Integral, None],
    }

    _state = {"_output": np.ndarray, "_inference": DocumentInference}

    # a document meets each of its words once a pass, not once a neighbour: it takes more passes than words do
    _auto_words = 75_000_000
    _auto_passes = (10, 40)
    _auto_growth = 50.0
    _output: np.ndarray  # vectors of words as targets; without rows where they are `embedding_`
    _inference: DocumentInference

    def __init__(
        self,
        embedding_dim=100,
        *,
        method="pv-dbow",
        dbow_words=False,
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
        n_jobs=None,
        random_state=None,
        verbose=0,
    ):
        self.embedding_dim = embedding_dim
        self.method = method
        self.dbow_words = dbow_words
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
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def _check_parameters(self) -> None:
        if self.dbow_words and self.method != "pv-dbow":
            raise ValueError(
                f"dbow_words=True goes with method='pv-dbow', got method={self.method!r}, which learns vectors of "
                "words anyway; pass dbow_words=False."
            )

    def _sequences(self, corpus: EncodedCorpus, vocabulary: Vocabulary, row_of: np.ndarray) -> Iterable:
        return corpus.sequences(row_of, whole=True)  # each document has one vector, however long it is

    def _fit_tables(self, training: WordTraining) -> LearnedWords:
        from skembed.kernels.local_ids import keep_thresholds  # numba: to fit only
        from skembed.training.sequences import SequenceSettings, train_sequences

        vocabulary, n_documents = training.vocabulary, training.sequences.n_documents  # type: ignore[attr-defined]
        check_table_memory(len(vocabulary) + n_documents, self.embedding_dim)
        is_dm = self.method == "pv-dm"
        subsample = self._subsample(vocabulary, n_documents)
        if not keep_thresholds(vocabulary.counts, subsample).any():
            raise ValueError(
                f"subsample={subsample} skips all words of X, expected 0, which keeps all, or more, such as 1e-3."
            )
        settings = settings_of(
            SequenceSettings,
            self,
            architecture="cbow" if is_dm else "skip-gram",
            window=0 if self._predicts_alone else self.window,
            learning_rate=self._learning_rate(),
            max_iter=training.max_iter,
            subsample=subsample,
        )
        run = Run(draw_seed(self.random_state), self.n_jobs, self.verbose, training.callbacks, "words")
        learned = train_sequences(training.sequences, vocabulary.counts, settings, run, n_documents=n_documents)
        warn_of_no_pairs(learned.loss_curve, subsample)
        words, documents = np.split(learned.input, [len(vocabulary)])
        rows = words.copy() if settings.window else learned.output
        return LearnedWords.of_rows(vocabulary, rows, learned.output, learned.loss_curve, documents=documents)

    def _learning_rate(self) -> float:
        if self.learning_rate != "auto":
            return self.learning_rate
        return 0.05 if self.method == "pv-dm" else 0.025

    def _subsample(self, vocabulary: Vocabulary, n_documents: int) -> float:
        return subsample_of(self.subsample, vocabulary.counts, vocabulary.counts.sum() / n_documents, self.window)

    def _least_passes(self, vocabulary: Vocabulary, n_documents: int) -> float:
        return passes_to_learn(
            vocabulary.counts, n_documents, growth=self._auto_growth, learning_rate=self._learning_rate(),
            subsample=self._subsample(vocabulary, n_documents),
        )  # fmt: skip

    def _learn_documents(
        self, documents: Iterable[Ragged], vocabulary: Vocabulary, learned: LearnedWords, earlier: EarlierFit | None
    ) -> dict[str, Any]:
        from skembed.kernels.local_ids import keep_thresholds  # numba: to fit only

        subsample = self._subsample(vocabulary, len(learned.documents))  # type: ignore[arg-type]
        inference = learn_inference(
            learned.output,
            vocabulary.counts,
            keep_thresholds(vocabulary.counts, subsample) / 2.0**32,
            learned.documents,  # type: ignore[arg-type]
            window=self.window if self.method == "pv-dm" else 0,
            negative=self.negative,
            ns_exponent=self.ns_exponent,
        )
        return {"_inference": inference, "_output": learned.output[:0] if self._predicts_alone else learned.output}

    @property
    def _predicts_alone(self) -> bool:
        """Whether documents alone predict words, which then have no vectors but those of targets."""
        return self.method == "pv-dbow" and not self.dbow_words

    def _pool(self, documents: Iterable[Ragged]) -> np.ndarray:
        vectors = self.embedding_.vectors
        return infer_documents(documents, vectors, self._output if len(self._output) else vectors, self._inference)

    def _check_fitted(self) -> None:
        super()._check_fitted()
        shape = self.embedding_.shape
        self._inference.check(*shape)
        if self._output.shape not in (shape, (0, shape[1])) or self._output.dtype != np.float32:
            raise ValueError(f"expected output vectors of shape {shape}, got {self._output.shape}")
