"""What vectorizers of words tell their trainers, parameter by parameter, and what they keep of what comes back."""

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from skembed import (
    Doc2VecVectorizer,
    EmbeddingTable,
    FastTextVectorizer,
    GloVeVectorizer,
    NNLMVectorizer,
    Word2VecVectorizer,
)
from skembed.kernels.local_ids import keep_thresholds
from skembed.text import _glove, _nnlm, _vectorizer
from skembed.text._word_training import passes_to_learn
from skembed.training import cooccurrence, glove, sequences
from skembed.training.cooccurrence import CountSettings
from skembed.training.glove import GloVeSettings, GloVeTables, glove_vectors
from skembed.training.run import draw_seed
from skembed.training.sequences import SequenceSettings, SequenceTables, uniform_vectors

TEXTS = ["aa bb aa cc", "bb aa", "aa dd", "cc"]
WORDS = ["aa", "bb", "cc", "dd"]  # by their counts, 4, 2, 2, 1
SHARED = {"embedding_dim": 3, "min_count": 1, "random_state": 5, "verbose": 0}
OPTIONS = {"window": 4, "shrink_window": False, "subsample": 0.25, "negative": 7, "ns_exponent": 0.5}


def documents_of(chunks):
    return [one.tolist() for chunk in chunks for one in np.split(chunk.indices, chunk.indptr[1:-1])]


@pytest.fixture
def told(monkeypatch):
    """Calls of `train_sequences`, which returns numbers of its own."""
    calls = []

    def train(chunks, counts, settings, run, **others):
        calls.append((documents_of(chunks), np.asarray(counts).tolist(), settings, run, others))
        rows = others.get("subword_rows")
        n_rows = len(counts) + others.get("n_documents", 0) if rows is None else int(rows.indices.max()) + 1
        rng = np.random.default_rng(len(calls))
        n_outputs = len(counts) - (settings.loss == "hierarchical-softmax")
        tables = rng.normal(size=(n_rows, 3)), rng.normal(size=(n_outputs, 3))
        return SequenceTables(*(table.astype(np.float32) for table in tables), [0.5] * settings.max_iter)

    monkeypatch.setattr(sequences, "train_sequences", train)
    return calls


def test_word2vec(told):
    vectorizer = Word2VecVectorizer(**SHARED, **OPTIONS, max_iter=2, n_jobs=3, loss="hierarchical-softmax")
    vectorizer.fit(TEXTS)
    documents, counts, settings, run, others = told[0]
    assert documents == [[0, 1, 0, 2], [1, 0], [0, 3], [2]]
    assert counts == [4, 2, 2, 1]
    assert settings == SequenceSettings(3, loss="hierarchical-softmax", **OPTIONS, learning_rate=0.025, max_iter=2)
    assert (run.seed, run.n_jobs, run.verbose, run.label) == (draw_seed(5), 3, 0, "words")
    assert others == {"start": None, "frozen": None, "pass_size": 9}
    assert vectorizer.embedding_.keys.tolist() == WORDS
    np.testing.assert_array_equal(
        vectorizer.embedding_.vectors, np.random.default_rng(1).normal(size=(4, 3)).astype(np.float32)
    )
    assert (vectorizer.n_iter_, vectorizer.loss_curve_) == (2, [0.5, 0.5])
    for architecture, given, rate in (("cbow", "auto", 0.05), ("skip-gram", "auto", 0.025), ("cbow", 0.5, 0.5)):
        Word2VecVectorizer(**SHARED, architecture=architecture, learning_rate=given, max_iter=1).fit(TEXTS)
        assert (told[-1][2].architecture, told[-1][2].learning_rate) == (architecture, rate)


def test_passes_that_are_auto_go_by_the_words(told):
    for n_words, passes in ((9, 30), (2 * 10**6, 15), (4 * 10**6, 7), (10**7, 5)):
        vectorizer = Word2VecVectorizer(**SHARED)
        vectorizer._auto_words = Word2VecVectorizer._auto_words * 9 / n_words
        vectorizer._auto_growth = 0.0
        vectorizer.fit(TEXTS)
        assert told[-1][2].max_iter == passes


WIDE = {"window": 4, "shrink_window": False, "subsample": 0}


@pytest.mark.parametrize(
    ("estimator", "parameters", "growth", "expected"),
    [
        (Word2VecVectorizer, WIDE, 10, 4 / (0.025 * 9 * 9 / 4)),  # documents are shorter than the window
        (Word2VecVectorizer, WIDE, 2, 30 / 2),
        (Word2VecVectorizer, WIDE | {"window": 1, "shrink_window": True}, 10, 4 / (0.025 * 9 * 2)),
        (Word2VecVectorizer, WIDE | {"window": 1}, 10, 4 / (0.025 * 9 * 2)),
        (Word2VecVectorizer, WIDE | {"architecture": "cbow"}, 10, 4 / (0.05 * 9 * 9 / 4)),
        (Word2VecVectorizer, WIDE, 1000, 1),
        (FastTextVectorizer, WIDE, 15, 4 / (0.05 * 9 * 9 / 4)),
        (Doc2VecVectorizer, {"subsample": 0}, 10, 4 / (0.025 * 9)),
        (Doc2VecVectorizer, {"subsample": 0, "method": "pv-dm"}, 20, 4 / (0.05 * 9)),
        (Doc2VecVectorizer, {"subsample": 0, "learning_rate": 0.1}, 20, 4 / (0.1 * 9)),
        (Doc2VecVectorizer, {"subsample": 0}, 1, 40),
    ],
)
def test_passes_that_are_auto_are_more_where_words_have_few_pairs(told, estimator, parameters, growth, expected):
    vectorizer = estimator(**SHARED, **parameters)
    vectorizer._auto_growth = growth
    vectorizer.fit(TEXTS)
    assert told[-1][2].max_iter == int(growth * expected)


@pytest.mark.parametrize("estimator", [Word2VecVectorizer, FastTextVectorizer, Doc2VecVectorizer])
def test_words_of_small_corpora_may_be_rarer(told, estimator, monkeypatch):
    texts = ["aa bb cc dd", "aa bb cc", "aa bb", "aa", "aa"]
    found = {}
    for few in (15, 10, 11, 13):
        monkeypatch.setattr(_vectorizer, "_FEW_WORDS", few)
        vectorizer = estimator(3, random_state=5).fit(texts)
        found[few] = vectorizer.vocabulary_.keys.tolist()
    assert found == {10: ["aa"], 11: ["aa"], 13: ["aa", "bb", "cc"], 15: ["aa", "bb", "cc"]}  # there are eleven
    assert estimator(3, random_state=5, phrases=1).fit(texts).vocabulary_.keys.tolist() == ["aa"]
    assert estimator(3, random_state=5, min_count=1).fit(texts).vocabulary_.keys.tolist() == ["aa", "bb", "cc", "dd"]


def test_passes_that_are_auto_count_the_words_that_are_kept(told):
    kept = (np.array([4, 2, 2, 1]) * keep_thresholds([4, 2, 2, 1], 0.05) / 2.0**32).sum()
    vectorizer = Word2VecVectorizer(**SHARED, window=1, subsample=0.05)
    vectorizer._auto_growth = 5
    vectorizer.fit(TEXTS)
    assert told[-1][2].max_iter == int(5 * 4 / (0.025 * kept * min(2, kept / 4))) > 30


@pytest.mark.parametrize("estimator", [Word2VecVectorizer, FastTextVectorizer])
def test_passes_that_are_auto_are_no_more_where_vectors_were_learned_before(told, estimator):
    init = EmbeddingTable(["cc", "aa", "ee"], np.arange(9.0).reshape(3, 3))
    estimator(**SHARED, init=init).fit(TEXTS)
    vectorizer = estimator(**SHARED).partial_fit(TEXTS).partial_fit(["aa bb cc"] * 2)
    vectorizer.fit(TEXTS)
    assert [call[2].max_iter for call in told] == [30, 1000, 30, 1000]


@pytest.mark.parametrize("estimator", [Word2VecVectorizer, FastTextVectorizer])
def test_frequent_words_are_skipped_more_where_documents_still_fill_windows(told, estimator):
    """Of 200 words that are all as frequent, 1e-4 keeps 16 %."""
    texts = [" ".join(f"w{(5 * i + j) % 200}" for j in range(100)) for i in range(40)]
    for window, expected in ((7, 1e-4), (8, 1e-3)):  # 16 words of 100 are a window of 7 on both sides, none of 8
        vectorizer = estimator(**SHARED, window=window).fit(texts)
        assert told[-1][2].subsample == expected
        vectorizer.partial_fit([" ".join(texts)])  # by the documents of the call
        assert told[-1][2].subsample == 1e-4
        vectorizer.partial_fit(texts[0].split())
        assert told[-1][2].subsample == 1e-3
    estimator(**SHARED, subsample=0.5).fit(texts)
    assert told[-1][2].subsample == 0.5


@pytest.mark.parametrize("parameters", [{}, {"method": "pv-dm"}, {"dbow_words": True}])
def test_frequent_words_are_skipped_and_weighed_alike_for_long_documents(told, parameters):
    texts = [" ".join(f"w{(5 * i + j) % 200}" for j in range(100)) for i in range(40)]
    for window, expected in ((7, 1e-4), (8, 1e-3)):
        vectorizer = Doc2VecVectorizer(**SHARED, **parameters, window=window).fit(texts)
        assert told[-1][2].subsample == expected
        keep = keep_thresholds(vectorizer.vocabulary_.counts, expected) / 2.0**32
        np.testing.assert_allclose(vectorizer._inference.keep, keep, rtol=1e-6)


def test_passes_that_are_auto_make_no_more_words_than_take_minutes():
    few = passes_to_learn(np.full(1000, 1000), 10**6, growth=50, learning_rate=0.025, subsample=0)
    assert few == pytest.approx(50 * np.sqrt(1e9) / (0.025 * 1e6))
    many = passes_to_learn(np.full(1000, 30_000), 10**7, growth=1e5, learning_rate=0.025, subsample=0)
    assert many == pytest.approx(10)


def test_word2vec_begins_where_init_says_and_goes_on_from_earlier_calls(told):
    init = EmbeddingTable(["cc", "aa", "ee"], np.arange(9.0).reshape(3, 3))
    for frozen, expected in ((True, [True, False, True, False]), (False, None)):
        vectorizer = Word2VecVectorizer(**SHARED, init=init, init_frozen=frozen, max_iter=2).fit(TEXTS)
        start, kept = told[-1][4]["start"], told[-1][4]["frozen"]
        assert start.output is None
        fresh = uniform_vectors(4, 3, draw_seed(5))
        np.testing.assert_array_equal(start.input, [init["aa"], fresh[1], init["cc"], fresh[3]])
        assert (None if kept is None else kept.tolist()) == expected
    before, output = vectorizer.embedding_.vectors, vectorizer._output
    vectorizer.partial_fit(["ee bb", "ee aa ff"])
    documents, counts, _, run, others = told[-1]
    assert documents == [[4, 1], [4, 0, 5]]
    assert others["pass_size"] == 5
    assert counts == [5, 3, 2, 1, 2, 1]
    assert run.seed == draw_seed(5) + 2
    fresh = uniform_vectors(6, 3, run.seed)
    np.testing.assert_array_equal(others["start"].input, [*before, init["ee"], fresh[5]])
    np.testing.assert_array_equal(others["start"].output, [*output, [0] * 3, [0] * 3])
    assert vectorizer.loss_curve_ == [0.5] * 4
    assert vectorizer.embedding_.keys.tolist() == [*WORDS, "ee", "ff"]


def test_fasttext(told):
    vectorizer = FastTextVectorizer(
        **SHARED, **OPTIONS, min_n=2, max_n=3, n_buckets=40, learning_rate=0.2, max_iter=2, n_jobs=3
    )
    vectorizer.fit(TEXTS)
    documents, counts, settings, run, others = told[0]
    assert documents == [[0, 1, 0, 2], [1, 0], [0, 3], [2]]
    assert counts == [4, 2, 2, 1]
    assert settings == SequenceSettings(3, **OPTIONS, learning_rate=0.2, max_iter=2)
    assert (run.seed, run.n_jobs, run.label) == (draw_seed(5), 3, "words")
    assert others["start"] is None
    rows = others["subword_rows"]
    assert len(rows) == 4
    learned = np.random.default_rng(1).normal(size=(rows.indices.max() + 1, 3)).astype(np.float32)
    for number, word in enumerate(WORDS):
        mean = learned[rows.indices[rows.indptr[number] : rows.indptr[number + 1]]].mean(axis=0)
        np.testing.assert_allclose(vectorizer.embedding_[word], mean, rtol=1e-5, atol=1e-6)
    subwords = vectorizer.embedding_.subwords
    assert (subwords.min_n, subwords.max_n, subwords.n_buckets) == (2, 3, 40)
    np.testing.assert_array_equal(subwords.vectors, learned[4:])
    vectorizer.partial_fit(["aa gg"])
    _, counts, _, run, others = told[1]
    assert counts == [5, 2, 2, 1, 1]
    assert others["pass_size"] == 2
    assert run.seed == draw_seed(5) + 2
    np.testing.assert_allclose(others["start"].input[:4], learned[:4], rtol=1e-5, atol=1e-6)
    assert others["start"].output.shape == (5, 3)
    assert not others["start"].output[4].any()


@pytest.mark.parametrize(
    ("method", "dbow_words", "architecture", "window", "rate"),
    [
        ("pv-dm", False, "cbow", 4, 0.05),
        ("pv-dbow", True, "skip-gram", 4, 0.025),
        ("pv-dbow", False, "skip-gram", 0, 0.025),
    ],
)
def test_doc2vec(method, dbow_words, architecture, window, rate, told):
    vectorizer = Doc2VecVectorizer(**SHARED, **OPTIONS, method=method, dbow_words=dbow_words, max_iter=2, n_jobs=3)
    vectorizer.fit(TEXTS)
    documents, counts, settings, run, others = told[0]
    assert documents == [[0, 1, 0, 2], [1, 0], [0, 3], [2]]
    expected = SequenceSettings(3, architecture, **OPTIONS | {"window": window}, learning_rate=rate, max_iter=2)
    assert settings == expected
    assert others == {"n_documents": 4}
    assert (run.seed, run.n_jobs, run.label) == (draw_seed(5), 3, "words")
    rng = np.random.default_rng(1)
    learned, output = rng.normal(size=(8, 3)).astype(np.float32), rng.normal(size=(4, 3)).astype(np.float32)
    np.testing.assert_array_equal(vectorizer.embedding_.vectors, learned[:4] if window else output)
    inference = vectorizer._inference
    assert (inference.window, inference.negative) == (4 if method == "pv-dm" else 0, 7)
    np.testing.assert_allclose(inference.keep, keep_thresholds(np.array(counts), 0.25) / 2.0**32, rtol=1e-6)
    np.testing.assert_allclose(inference.penalty * np.mean(learned[4:] ** 2), inference_weight(), rtol=1e-5)
    assert vectorizer._output.shape == ((4, 3) if window else (0, 3))
    assert Doc2VecVectorizer(**SHARED, method=method, learning_rate=0.3, max_iter=1).fit(TEXTS) is not None
    assert told[-1][2].learning_rate == 0.3


def inference_weight():
    from skembed.apply.document_vectors import PRIOR_WEIGHT

    return PRIOR_WEIGHT


@pytest.fixture
def counted(monkeypatch):
    """Calls of `count_cooccurrences` and of `train_glove`, which returns numbers of its own."""
    calls, count = [], cooccurrence.count_cooccurrences

    def noted(chunks, counts, settings, run):
        calls.append((documents_of(chunks), np.asarray(counts).tolist(), settings, run))
        return count(chunks, counts, settings, run)

    def train(cells, settings, run, *, start=None):
        calls.append((cells.n_cells, settings, run, start))
        rng = np.random.default_rng(1)
        n = int(cells.block_starts[-1])
        return GloVeTables(*rng.normal(size=(2, n, 3)).astype(np.float32), *np.zeros((2, n)), [0.5])

    monkeypatch.setattr(cooccurrence, "count_cooccurrences", noted)
    monkeypatch.setattr(glove, "train_glove", train)
    return calls


@pytest.mark.parametrize("combine", ["sum", "word"])
def test_glove(combine, counted):
    counting = {"window": 4, "symmetric": False, "distance_weighting": False, "alpha": 0.5, "memory_limit": 1 << 21}
    vectorizer = GloVeVectorizer(
        **SHARED, **counting, x_max=9.0, learning_rate=0.2, max_iter=2, n_jobs=3, combine=combine
    )
    vectorizer.fit(TEXTS)
    (documents, counts, settings, run), (n_cells, of_training, same_run, start) = counted
    assert documents == [[0, 1, 0, 2], [1, 0], [0, 3], [2]]
    assert counts == [4, 2, 2, 1]
    assert settings == CountSettings(**counting, x_max=9.0)
    assert of_training == GloVeSettings(3, 2, 0.2)
    assert run is same_run
    assert (run.seed, run.n_jobs, run.label) == (draw_seed(5), 3, "pairs")
    assert start is None
    assert vectorizer.n_cooccurrences_ == n_cells > 0
    words, contexts = np.random.default_rng(1).normal(size=(2, 4, 3)).astype(np.float32)
    np.testing.assert_array_equal(vectorizer.embedding_.vectors, words + contexts if combine == "sum" else words)
    init = EmbeddingTable(["cc", "ee"], np.arange(6.0).reshape(2, 3))
    GloVeVectorizer(**SHARED, init=init, combine=combine, max_iter=1).fit(TEXTS)
    fresh = glove_vectors(4, 3, draw_seed(5))
    begin = counted[-1][3]
    for number, (found, drawn) in enumerate(zip(begin, fresh)):
        np.testing.assert_array_equal(found[[0, 1, 3]], drawn[[0, 1, 3]])
        given = init["cc"] / 2 if combine == "sum" else init["cc"] if number == 0 else drawn[2]
        np.testing.assert_array_equal(found[2], given)


def test_counts_weigh_fully_from_more_on_in_large_corpora(counted, monkeypatch):
    for large, expected in ((10, _glove._SMALL_X_MAX), (9, _glove._LARGE_X_MAX)):
        monkeypatch.setattr(_glove, "_LARGE_CORPUS", large)
        GloVeVectorizer(**SHARED, max_iter=1).fit(TEXTS)
        assert counted[-2][2].x_max == expected
    assert (_glove._SMALL_X_MAX, _glove._LARGE_X_MAX) == (10.0, 100.0)


def test_glove_warns_where_no_document_has_two_known_words(counted):
    with pytest.warns(ConvergenceWarning, match=r"no document has two known words.*lower min_count=1"):
        GloVeVectorizer(**SHARED, max_iter=1).fit(["aa", "bb"])


@pytest.mark.parametrize("early_stopping", [True, False])
def test_nnlm(early_stopping, monkeypatch):
    pytest.importorskip("torch")
    from skembed.training.next_words import NextWordSettings, NextWordWeights
    from skembed.training.passes import History

    calls = []

    def learn(tokens, positions, held_out, n_targets, settings, run):
        calls.append((tokens, positions, held_out, n_targets, settings, run))
        rng = np.random.default_rng(1)
        width = 5 + 2 * 3 + 1
        weights = NextWordWeights(
            rng.normal(size=(n_targets + 1, 3)).astype(np.float32),
            [(rng.normal(size=(5, 6)).astype(np.float32), np.zeros(5, np.float32))],
            rng.normal(size=(n_targets, width)).astype(np.float32), True,
        )  # fmt: skip
        return weights, History([0.5], [-1.0], 1, 1)

    monkeypatch.setattr("skembed.training.nets.nnlm.learn_next_words", learn)
    options = {"n_previous": 2, "hidden_layer_sizes": 5, "direct": True, "ns_exponent": 0.5, "dropout": 0.25,
               "weight_decay": 0.125, "learning_rate": 0.2, "batch_size": 9, "n_iter_no_change": 4, "tol": 0.01,
               "validation_fraction": 0.3, "device": "cpu", "max_iter": 2}  # fmt: skip
    options["early_stopping"] = early_stopping
    for min_count, n_words, n_samples in ((1, 4, None), (2, 3, "auto")):
        given = {**SHARED, **options, "min_count": min_count, "n_samples": n_samples}
        vectorizer = NNLMVectorizer(**given).fit(TEXTS)
        tokens, positions, held_out, n_targets, settings, run = calls[-1]
        assert n_targets == n_words + 2
        expected = options | {"hidden_layer_sizes": (5,)}
        drawn = None if n_samples is None else _nnlm._AUTO_SAMPLES[0]
        assert settings == NextWordSettings(embedding_dim=3, n_samples=drawn, **expected)
        assert (run.verbose, run.label) == (0, "NNLMVectorizer")
        every = np.sort(np.concatenate([positions, held_out]))
        assert len(every) == 9 + 4  # each word and each end
        assert bool(len(held_out)) == early_stopping
        padding, unknown, end = n_targets, n_words, n_words + 1
        said = [[min(WORDS.index(word), unknown) for word in text.split()] for text in TEXTS]
        assert tokens[every].tolist() == [t for one in said for t in [*one, end]]
        assert tokens[every[0] - 2 : every[0]].tolist() == [padding, padding]
        rng = np.random.default_rng(1)
        rows = rng.normal(size=(n_targets + 1, 3)).astype(np.float32)
        np.testing.assert_array_equal(vectorizer.embedding_.vectors, rows[:n_words])
        if min_count == 1:
            assert vectorizer.embedding_.unknown is None
        else:
            np.testing.assert_array_equal(vectorizer.embedding_.unknown, rows[n_words])
        assert vectorizer.validation_scores_ == [-1.0]
        vectorizer._check_fitted()
