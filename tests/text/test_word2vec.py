"""Word2VecVectorizer as an estimator: checks, pipelines, growth, bad input, interrupts, threads."""

import pickle
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skembed.data.vocabulary import Vocabulary
from skembed.table import EmbeddingTable
from skembed.testing import parametrize_with_text_checks
from skembed.testing._text_checks import documents as made_up_documents
from skembed.text import FastTextVectorizer, Word2VecVectorizer
from skembed.text._words import grown_vocabulary
from skembed.training import sequences

TEXTS = made_up_documents()
POOLINGS = ["mean", "tfidf", "sif", "max", "min"]


def small(**parameters):
    return Word2VecVectorizer(**{"embedding_dim": 8, "max_iter": 2, "subsample": 0, "random_state": 0, **parameters})


# -------------------------------------------------------------------------------------------- common checks


@parametrize_with_text_checks(
    [
        Word2VecVectorizer(8),
        Word2VecVectorizer(4, pooling=POOLINGS, phrases=1, phrase_threshold=1.0, stop_words=["badi"], subsample=0),
    ]
)
def test_text_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"architecture": "skipgram"}, "architecture"),
        ({"loss": "softmax"}, "loss"),
        ({"window": 0}, "window"),
        ({"subsample": -1}, "subsample"),
        ({"negative": 0}, "negative"),
        ({"init": {"a": [1.0]}}, "init"),
        ({"init": EmbeddingTable(["a"], [[1.0]])}, "embedding_dim=8.*pass embedding_dim=1"),
        ({"init_frozen": True}, "init_frozen=True.*init is None"),
    ],
)
def test_parameters_out_of_range_are_named(parameters, message):
    with pytest.raises(ValueError, match=message):
        small(**parameters).fit(TEXTS)


# ----------------------------------------------------------------------------------------------- behaviour


def test_words_that_keep_the_same_company_are_close():
    generator = np.random.default_rng(0)
    themes = [[f"{theme}{i}" for i in range(30)] for theme in ("sea", "sky")]
    texts = [" ".join(generator.choice(themes[row % 2], 10)) for row in range(600)]
    for architecture in ("skip-gram", "cbow"):
        for loss in ("negative-sampling", "hierarchical-softmax"):
            vectorizer = small(architecture=architecture, loss=loss, max_iter=10).fit(texts)
            nearest = vectorizer.embedding_.nearest("sea0", k=5)
            assert all(key.startswith("sea") for key, _ in nearest), (architecture, loss)
            assert vectorizer.loss_curve_[-1] < vectorizer.loss_curve_[0]
            assert vectorizer.n_iter_ == len(vectorizer.loss_curve_) == 10


@pytest.mark.parametrize("estimator", [Word2VecVectorizer, FastTextVectorizer])
@pytest.mark.parametrize(("n_sentences", "n_words"), [(100, 20), (200, 30)])
def test_few_sentences_are_enough_to_tell_themes_apart(estimator, n_sentences, n_words):
    """Sentences of six words, made-up ones of one of four themes: the five words nearest to one are of its theme."""
    generator = np.random.default_rng(0)
    themes = [["".join(letters) for letters in generator.choice(list("abcdefghij"), (n_words, 5))] for _ in range(4)]
    texts = [" ".join(generator.choice(themes[i % 4], 6)) for i in range(n_sentences)]
    table = estimator(random_state=0).fit(texts).embedding_
    theme_of = {word: i for i, words in enumerate(themes) for word in words}
    found = [theme_of[near] == theme_of[word] for word in table.keys.tolist() for near, _ in table.nearest(word, k=5)]
    assert np.mean(found) > 0.95


@pytest.mark.parametrize("estimator", [Word2VecVectorizer, FastTextVectorizer])
def test_topics_are_found_among_frequent_words(estimator):
    """Classes that a tenth of the words tell, among others as frequent as in a language."""
    of_classes = np.random.default_rng(99).integers(1500, size=(8, 60))
    odds = 1 / np.arange(1, 1501)

    def documents(seed, n_documents):
        generator, y = np.random.default_rng(seed), np.arange(n_documents) % 8
        texts = []
        for label in y:
            words = generator.choice(1500, 60, p=odds / odds.sum())
            told = generator.random(60) < 0.1
            words[told] = generator.choice(of_classes[label], told.sum())
            texts.append(" ".join(f"w{word}" for word in words))
        return texts, y

    (texts, y), (unseen, y_unseen) = documents(0, 800), documents(1, 400)
    scores = []
    for subsample in ("auto", 1e-3):
        vectorizer = estimator(50, subsample=subsample, random_state=0, **NO_NGRAMS.get(estimator, {}))
        classifier = make_pipeline(vectorizer, StandardScaler(), LogisticRegression(C=0.1)).fit(texts, y)
        scores.append(classifier.score(unseen, y_unseen))
    assert scores[0] > scores[1] + 0.05


NO_NGRAMS = {FastTextVectorizer: {"max_n": 0}}  # of numbers they tell nothing


def test_init_begins_and_frozen_vectors_stay():
    words = small(min_count=1).fit(TEXTS).embedding_.keys
    init = EmbeddingTable([*words[:10], "elsewhere"], np.full((11, 8), 0.25, dtype=np.float32))
    frozen = small(init=init, init_frozen=True).fit(TEXTS).embedding_
    np.testing.assert_array_equal(frozen.lookup(words[:10]), init.lookup(words[:10]))
    assert np.abs(frozen[words[12]]).sum() > 0
    assert "elsewhere" not in frozen
    tuned = small(init=init, learning_rate=1e-3).fit(TEXTS).embedding_.lookup(words[:10])
    assert 0 < np.abs(tuned - 0.25).max() < 0.1


def test_partial_fit_grows_the_vocabulary_and_goes_on():
    vectorizer = small(pooling=["mean", "tfidf", "sif"]).partial_fit(TEXTS[:120])
    np.testing.assert_array_equal(
        vectorizer.transform(TEXTS), small(pooling=["mean", "tfidf", "sif"]).fit(TEXTS[:120]).transform(TEXTS)
    )
    before = vectorizer.embedding_
    vectorizer.partial_fit([f"{text} brandnew" for text in TEXTS[120:]])
    assert vectorizer.embedding_.keys.tolist()[: len(before)] == before.keys.tolist()
    assert "brandnew" in vectorizer.embedding_
    assert vectorizer.n_iter_ == 4
    moved = np.abs(vectorizer.embedding_.vectors[: len(before)] - before.vectors).max()
    assert 0 < moved < 1
    assert vectorizer._document_counts.n_documents == len(TEXTS)
    # Words that were too rare in each call count together.
    rare = small(min_count=5).partial_fit(["aa bb cc"] * 5 + ["dd"] * 3)
    assert "dd" not in rare.embedding_
    assert "dd" in rare.partial_fit(["aa dd"] * 2).embedding_
    # The same calls, the same bits.
    again = small(pooling=["mean", "tfidf", "sif"]).partial_fit(TEXTS[:120])
    again.partial_fit([f"{text} brandnew" for text in TEXTS[120:]])
    np.testing.assert_array_equal(again.transform(TEXTS), vectorizer.transform(TEXTS))
    with pytest.raises(ValueError, match="partial_fit cannot change it"):
        again.set_params(embedding_dim=9).partial_fit(TEXTS)


def test_weights_of_words_that_get_a_row_later_take_in_earlier_documents():
    parts = [["aa bb", "aa bb", "aa cc", "dd"], ["bb dd", "aa dd", ""], ["aa", "cc dd", "cc bb"]]
    vectorizer = small(pooling="tfidf", min_count=2)
    for part in parts:
        vectorizer.partial_fit(part)
    whole = small(pooling="tfidf", min_count=2).fit([*parts[0], *parts[1], *parts[2]])
    weights = [
        dict(zip(one.embedding_.keys.tolist(), one._poolings[0].weights.tolist())) for one in (vectorizer, whole)
    ]
    assert weights[0] == weights[1]


@pytest.mark.parametrize("poolings", [["mean"], ["tfidf", "mean"], ["max", "sif"]])
def test_weights_that_some_documents_were_not_counted_for_are_refused(poolings):
    vectorizer = small()
    for pooling in poolings:
        vectorizer.set_params(pooling=pooling).partial_fit(TEXTS[:120])
    rows = vectorizer.transform(TEXTS)
    with pytest.raises(ValueError, match=r"pooling=\['tfidf'\] needs the documents of all calls, and earlier ones"):
        vectorizer.set_params(pooling=["tfidf"]).partial_fit(TEXTS[120:])
    np.testing.assert_array_equal(vectorizer.transform(TEXTS), rows)
    vectorizer.set_params(pooling="sif").partial_fit(TEXTS[120:])  # by counts of words, which are always there


def test_partial_fit_draws_anew_in_each_call(monkeypatch):
    seeds = []

    def train(chunks, counts, settings, run, **options):
        seeds.append(run.seed)
        return original(chunks, counts, settings, run, **options)

    original = sequences.train_sequences
    monkeypatch.setattr(sequences, "train_sequences", train)
    small().partial_fit(TEXTS).partial_fit(TEXTS).partial_fit(TEXTS)
    assert len(set(seeds)) == 3


def test_further_words_are_counted_without_a_copy_of_each_occurrence():
    """A corpus of more words than memory holds, as its counts."""
    corpus = SimpleNamespace(words=["often", "once"], counts=np.array([10**12, 1]))
    vocabulary, _ = grown_vocabulary(Vocabulary.from_counts(["often"], [5], min_frequency=2), [], corpus, ())
    assert vocabulary.counts.tolist() == [10**12 + 5]
    assert vocabulary.infrequent.tolist() == ["once"]


@pytest.mark.parametrize("loss", ["negative-sampling", "hierarchical-softmax"])
def test_partial_fit_after_pickling_goes_on_alike(loss):
    vectorizer = small(loss=loss).fit(TEXTS[:120])
    copy = pickle.loads(pickle.dumps(vectorizer))
    rows = [each.partial_fit(TEXTS[120:]).transform(TEXTS) for each in (vectorizer, copy)]
    np.testing.assert_array_equal(*rows)


# --------------------------------------------------------------------------------- faults of text (13 to 17)


@pytest.mark.parametrize("loss", ["negative-sampling", "hierarchical-softmax"])
@pytest.mark.parametrize("architecture", ["skip-gram", "cbow"])
@pytest.mark.parametrize(
    "documents",
    [["word"] * 5, ["word word word word word"], ["aa bb aa bb aa bb aa bb aa bb"], ["aa", "bb"] * 5],
    ids=["one word a document", "one document", "two words", "no contexts"],
)
def test_tiny_corpora_give_finite_vectors(documents, architecture, loss):
    vectorizer = small(architecture=architecture, loss=loss, window=50, negative=20, pooling=POOLINGS)
    if loss == "hierarchical-softmax" and "word" in documents[0]:  # a tree of one word tells nothing apart
        with pytest.raises(ValueError, match="needs at least 2 keys, got 1"):
            vectorizer.fit(documents)
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        rows = vectorizer.fit(documents).transform(documents)
    assert np.isfinite(rows).all()
    assert rows.shape == (len(documents), 40)


def test_a_corpus_that_subsampling_leaves_nothing_of_is_warned_about():
    with pytest.warns(ConvergenceWarning, match="subsample=1e-09.*Raise subsample"):
        small(subsample=1e-9).fit(["aa bb"] * 5)


# --------------------------------------------------------------------------------- running (27 to 29, 31, 32)


def test_vectors_that_are_not_finite_never_reach_the_table():
    texts = TEXTS * 40
    with pytest.warns(ConvergenceWarning, match=r"no longer finite.*Lower learning_rate=1e\+30"):
        vectorizer = small(learning_rate=1e30).fit(texts)
    assert np.isfinite(vectorizer.embedding_.vectors).all()
