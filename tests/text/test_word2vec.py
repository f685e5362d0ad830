"""Word2VecVectorizer as an estimator: checks, pipelines, growth, bad input, interrupts, threads."""

import pickle
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator

from skembed import memory
from skembed.table import EmbeddingTable
from skembed.testing import parametrize_with_text_checks
from skembed.testing._text_checks import documents as made_up_documents
from skembed.text import LineCorpus, Word2VecVectorizer
from skembed.training import sequences

TEXTS = made_up_documents()
POOLINGS = ["mean", "tfidf", "sif", "max", "min"]


def small(**parameters):
    return Word2VecVectorizer(**{"embedding_dim": 8, "max_iter": 2, "subsample": 0, "random_state": 0, **parameters})


@pytest.fixture(scope="module")
def fitted():
    return small(pooling=POOLINGS).fit(TEXTS)


# -------------------------------------------------------------------------------------------- common checks


@parametrize_with_text_checks(
    [
        Word2VecVectorizer(8),
        Word2VecVectorizer(4, pooling=POOLINGS, phrases=1, phrase_threshold=1.0, stop_words=["badi"], subsample=0),
    ]
)
def test_text_checks(estimator, check):
    check(estimator)


def test_scikit_learns_own_checks():
    check_estimator(Word2VecVectorizer())
    tags = Word2VecVectorizer().__sklearn_tags__()
    assert tags.input_tags.string
    assert tags.input_tags.one_d_array
    assert not tags.input_tags.two_d_array


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"embedding_dim": 0}, "embedding_dim"),
        ({"architecture": "skipgram"}, "architecture"),
        ({"loss": "softmax"}, "loss"),
        ({"window": 0}, "window"),
        ({"subsample": -1}, "subsample"),
        ({"negative": 0}, "negative"),
        ({"learning_rate": 0}, "learning_rate"),
        ({"max_iter": 0}, "max_iter"),
        ({"min_count": 0}, "min_count"),
        ({"max_features": 0}, "max_features"),
        ({"phrases": -1}, "phrases"),
        ({"sif_smoothing": 0}, "sif_smoothing"),
        ({"stop_words": "german"}, "stop_words"),
        ({"pooling": "sum"}, "pooling"),
        ({"pooling": ["mean", "sum"]}, r"pooling=\['mean', 'sum'\], expected one of 'mean', 'tfidf'"),
        ({"pooling": []}, r"pooling=\[\]"),
        ({"init": {"a": [1.0]}}, "init"),
        ({"init": EmbeddingTable(["a"], [[1.0]])}, "embedding_dim=8.*pass embedding_dim=1"),
        ({"init_frozen": True}, "init_frozen=True.*init is None"),
        ({"random_state": "0"}, "random_state"),
    ],
)
def test_parameters_out_of_range_are_named(parameters, message):
    with pytest.raises(ValueError, match=message):
        small(**parameters).fit(TEXTS)


# ----------------------------------------------------------------------------------------------- behaviour


def test_poolings_stand_side_by_side(fitted):
    rows = fitted.transform(TEXTS[:9])
    assert rows.shape == (9, 40)
    assert rows.dtype == np.float32
    assert rows.flags.c_contiguous
    for position, pooling in enumerate(POOLINGS):
        one = small(pooling=pooling).fit(TEXTS)
        np.testing.assert_array_equal(one.transform(TEXTS[:9]), rows[:, 8 * position : 8 * position + 8])
    names = fitted.get_feature_names_out()
    assert names.tolist() == [f"word2vecvectorizer{i}" for i in range(40)]


def test_fit_transform_is_fit_and_transform_to_the_bit():
    texts = [f"{text} rare{row} the" for row, text in enumerate(TEXTS)]
    vectorizer = small(pooling=POOLINGS, phrases=1, phrase_threshold=1.0, stop_words=["the"])
    rows = vectorizer.fit_transform(text for text in texts)
    np.testing.assert_array_equal(rows, vectorizer.transform(texts))
    assert "rare0" not in vectorizer.embedding_


def test_a_document_of_one_word_is_its_vector(fitted):
    word = fitted.embedding_.keys[3]
    np.testing.assert_array_equal(fitted.transform([word.upper()])[0, :8], fitted.embedding_[word])
    np.testing.assert_array_equal(fitted.transform([[word]])[0, :8], fitted.embedding_[word])


def test_words_come_by_count_and_the_limits_hold():
    texts = ["aa aa aa bb bb bb cc cc dd dd ee"] * 2
    assert small(min_count=1).fit(texts).embedding_.keys.tolist() == ["aa", "bb", "cc", "dd", "ee"]
    assert small(min_count=4).fit(texts).embedding_.keys.tolist() == ["aa", "bb", "cc", "dd"]
    assert small(min_count=1, max_features=3).fit(texts).embedding_.keys.tolist() == ["aa", "bb", "cc"]
    stopped = small(min_count=1, stop_words=["aa", "dd"]).fit(texts)
    assert stopped.vocabulary_.keys.tolist() == ["bb", "cc", "ee"]
    assert stopped.vocabulary_.counts.tolist() == [6, 4, 2]
    assert "the" not in small(min_count=1, stop_words="english").fit(["the cat sat"] * 3).embedding_


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


def test_partial_fit_draws_anew_in_each_call(monkeypatch):
    seeds = []

    def train(*arguments, seed, **options):
        seeds.append(seed)
        return original(*arguments, seed=seed, **options)

    original = sequences.train_sequences
    monkeypatch.setattr(sequences, "train_sequences", train)
    small().partial_fit(TEXTS).partial_fit(TEXTS).partial_fit(TEXTS)
    assert len(set(seeds)) == 3


@pytest.mark.parametrize("loss", ["negative-sampling", "hierarchical-softmax"])
def test_partial_fit_after_pickling_goes_on_alike(loss):
    vectorizer = small(loss=loss).fit(TEXTS[:120])
    copy = pickle.loads(pickle.dumps(vectorizer))
    rows = [each.partial_fit(TEXTS[120:]).transform(TEXTS) for each in (vectorizer, copy)]
    np.testing.assert_array_equal(*rows)


def test_transform_imports_neither_torch_nor_numba(tmp_path, fitted):
    path = tmp_path / "vectorizer.pickle"
    path.write_bytes(pickle.dumps(fitted))
    code = (
        "import pickle, sys; v = pickle.load(open(sys.argv[1], 'rb')); v.transform(['a document']);"
        "print([name for name in ('torch', 'numba', 'polars') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_grid_search_over_a_text_column_with_two_jobs():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"text": TEXTS, "n": np.arange(len(TEXTS))})
    target = ["badi" in text or "ka" in text for text in TEXTS]
    columns = ColumnTransformer([("words", small(max_iter=1), "text"), ("rest", "passthrough", ["n"])])
    search = GridSearchCV(
        make_pipeline(columns, LogisticRegression()),
        {
            "columntransformer__words__embedding_dim": [4, 8],
            "columntransformer__words__window": [2, 5],
            "columntransformer__words__pooling": ["mean", ["sif", "max"]],
        },
        cv=2,
        n_jobs=2,
        error_score="raise",
    ).fit(frame, target)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    out = columns.set_output(transform="pandas").fit_transform(frame)
    assert out.columns[0] == "words__word2vecvectorizer0"


def test_progress_bar(capsys):
    small(verbose=1).fit(TEXTS)
    assert "loss=" in capsys.readouterr().err
    small().fit(TEXTS)
    assert not capsys.readouterr().err


def test_callbacks_are_told_of_each_pass():
    pytest.importorskip("sklearn.callback", reason="scikit-learn 1.9 or newer has callbacks")

    class Listener:
        def __init__(self, stop_after=99):
            self.losses = []
            self.stop_after = stop_after

        def setup(self, estimator, context):
            pass

        def on_fit_task_begin(self, estimator, context):
            pass

        def on_fit_task_end(self, estimator, context, *, metadata):
            self.losses += [metadata["loss"]] if metadata else []
            return len(self.losses) == self.stop_after

        def teardown(self, estimator, context):
            pass

    listener = Listener()
    vectorizer = small(max_iter=3).set_callbacks(listener).fit(TEXTS)
    assert listener.losses == vectorizer.loss_curve_
    assert len(listener.losses) == 3
    stopping = Listener(stop_after=2)
    assert small(max_iter=3).set_callbacks(stopping).fit(TEXTS).loss_curve_ == vectorizer.loss_curve_[:2]


# --------------------------------------------------------------------------------- faults of text (13 to 17)


def test_a_string_is_no_list_of_documents(fitted):
    for method in (small().fit, small().fit_transform, small().partial_fit, fitted.transform):
        with pytest.raises(TypeError, match=r"list of documents, got the single str 'the cat'; pass \[X\]"):
            method("the cat")


@pytest.mark.parametrize(
    ("documents", "message"),
    [
        ([], "0 documents with 0 words; expected at least one. A generator"),
        (["", "!"], "2 documents with 0 words"),
        ([[], []], "2 documents with 0 words"),
        (["the cat"] * 4, r"4 documents with 8 words, 2 .*min_count=5 times \(the most frequent, 'the', 4 times\)"),
    ],
)
def test_nothing_to_learn_from_is_an_error_with_the_counts(documents, message):
    with pytest.raises(ValueError, match=f"empty vocabulary: X has {message}"):
        small().fit(documents)
    with pytest.raises(ValueError, match="all of them in stop_words"):
        small(stop_words=["the", "cat"]).fit(["the cat"] * 9)


def test_documents_without_known_words_are_zeros(fitted):
    rows = fitted.transform(["", "zzzz", [], ["zzzz"], TEXTS[0], "  "])
    assert not rows[[0, 1, 2, 3, 5]].any()
    assert rows[4].any()
    assert fitted.transform([]).shape == (0, 40)
    assert fitted.transform(iter([])).dtype == np.float32


def test_a_document_of_a_million_words_is_used_to_its_end(fitted):
    words = fitted.embedding_.keys[:2].tolist()
    text = f"{words[0]} " * 10**6 + f"{words[1]} " * 10**6
    both = fitted.embedding_.lookup(words).mean(axis=0)
    np.testing.assert_allclose(fitted.transform([text])[0, :8], both, rtol=1e-4)
    np.testing.assert_allclose(fitted.transform([text.split()])[0, :8], both, rtol=1e-4)
    learned = small(embedding_dim=2, max_iter=1, pooling="tfidf", subsample=1e-4).fit([text, "zz " * 5])
    assert learned.vocabulary_.counts.tolist() == [10**6, 10**6, 5]
    idf = {word: learned._poolings[0].weights[row] for row, word in enumerate(learned.vocabulary_.keys)}
    assert idf[words[0]] == idf[words[1]] == idf["zz"]  # in one document each, however long


@pytest.mark.parametrize(
    "text",
    [
        "no end\x00of \x00 line",
        "lone \udce9\ud800 surrogates",
        "שלום עולם مرحبا",
        "e\u0301a\u0308o\u0302 \u200d\u200f",
        "x" * 10**6,
        "\u2028\u2029\x85\x1c",
    ],
)
def test_strange_texts_are_texts(text):
    vectorizer = small(min_count=1).fit([text, "plain words"] * 3)
    assert np.isfinite(vectorizer.transform([text, text * 2])).all()


def test_a_generator_is_read_once_and_is_enough():
    expected = small().fit(TEXTS)
    generator = (text for text in TEXTS)
    vectorizer = small().fit(generator)
    assert vectorizer.embedding_ == expected.embedding_
    with pytest.raises(ValueError, match="A generator that was read before is empty"):
        small().fit(generator)


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


def interrupting(after):
    """A stand-in for training's progress that is interrupted after so many passes."""

    def train(*arguments, on_pass, **options):
        def on_pass_then_interrupt(number, tables):
            on_pass(number, tables)
            if len(tables.loss_curve) == after:
                raise KeyboardInterrupt

        if not after:
            raise KeyboardInterrupt
        return original(*arguments, on_pass=on_pass_then_interrupt, **options)

    original = sequences.train_sequences
    return train


def test_ctrl_c_keeps_what_was_learned(monkeypatch):
    whole = small(max_iter=4).fit(TEXTS)
    monkeypatch.setattr(sequences, "train_sequences", interrupting(after=3))
    with pytest.warns(UserWarning, match="interrupted in pass 4 of 4; kept"):
        vectorizer = small(max_iter=4).fit(TEXTS)
    assert vectorizer.loss_curve_ == whole.loss_curve_[:3]
    assert vectorizer.transform(TEXTS).shape == (len(TEXTS), 8)


def test_ctrl_c_before_the_first_pass_ends_goes_on(monkeypatch):
    monkeypatch.setattr(sequences, "train_sequences", interrupting(after=0))
    vectorizer = small()
    with pytest.raises(KeyboardInterrupt):
        vectorizer.fit(TEXTS)
    with pytest.raises(NotFittedError):
        vectorizer.transform(TEXTS)


def test_vectors_that_are_not_finite_never_reach_the_table():
    texts = TEXTS * 40
    with pytest.warns(ConvergenceWarning, match=r"no longer finite.*Lower learning_rate=1e\+30"):
        vectorizer = small(learning_rate=1e30).fit(texts)
    assert np.isfinite(vectorizer.embedding_.vectors).all()


def test_eight_threads_transform_as_one(fitted):
    fresh = pickle.loads(pickle.dumps(fitted))
    expected = fitted.transform(TEXTS)
    with ThreadPoolExecutor(8) as pool:
        for rows in pool.map(fresh.transform, [TEXTS] * 32):
            np.testing.assert_array_equal(rows, expected)


def test_bits_do_not_depend_on_jobs_containers_or_files(tmp_path):
    path = tmp_path / "corpus"
    path.write_text("\n".join(TEXTS), encoding="utf-8")
    expected = joblib.hash(small(pooling=POOLINGS).fit(TEXTS).transform(TEXTS))
    sources = {
        "two jobs": (small(pooling=POOLINGS, n_jobs=2), TEXTS),
        "array": (small(pooling=POOLINGS), np.array(TEXTS)),
        "tokens": (small(pooling=POOLINGS), [text.split() for text in TEXTS]),
        "file": (small(pooling=POOLINGS), LineCorpus(path)),
    }
    for name, (vectorizer, source) in sources.items():
        assert joblib.hash(vectorizer.fit(source).transform(source)) == expected, name


def test_bits_do_not_depend_on_the_hash_seed():
    code = (
        "import joblib; from skembed.testing._text_checks import documents;"
        "from skembed.text import Word2VecVectorizer as W;"
        "v = W(4, max_iter=1, phrases=1, phrase_threshold=1, stop_words={'badi', 'kuta'}, pooling='sif',"
        "random_state=0); print(joblib.hash(v.fit_transform(documents())))"
    )
    hashes = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("0", "1")
    }
    assert len(hashes) == 1


def test_no_random_state_is_fresh_and_leaves_numpys_alone():
    np.random.seed(0)  # noqa: NPY002
    one = small(random_state=None).fit(TEXTS)
    np.random.seed(0)  # noqa: NPY002
    two = small(random_state=None).fit(TEXTS)
    assert one.embedding_ != two.embedding_
    assert np.random.random() == np.random.RandomState(0).random()  # noqa: NPY002


def test_more_memory_than_there_is_is_predicted(monkeypatch):
    monkeypatch.setattr(memory, "memory_of_machine", lambda: 10**4)
    message = r"words with embedding_dim=100 needs at least \d+ bytes and this machine has 10000; lower embedding_dim"
    with pytest.raises(MemoryError, match=message):
        small(embedding_dim=100).fit(TEXTS)


def test_a_clone_knows_nothing(fitted):
    with pytest.raises(NotFittedError):
        clone(fitted).transform(TEXTS)
