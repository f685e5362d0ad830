"""All vectorizers of documents: poolings, limits, pipelines, and the faults of text (13 to 17)."""

import re
import warnings
from collections.abc import Mapping

import numpy as np
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator

from skembed.testing._text_checks import documents as made_up_documents
from skembed.text import FastTextVectorizer, GloVeVectorizer, NNLMVectorizer, Word2VecVectorizer

TEXTS = made_up_documents()
POOLINGS = ["mean", "tfidf", "sif", "max", "min"]
VECTORIZERS = {
    "Word2VecVectorizer": (Word2VecVectorizer, {"subsample": 0}),
    "GloVeVectorizer": (GloVeVectorizer, {}),
    "FastTextVectorizer": (FastTextVectorizer, {"subsample": 0}),
    "NNLMVectorizer": (NNLMVectorizer, {"hidden_layer_sizes": 8, "device": "cpu"}),
}


@pytest.fixture(scope="module", params=VECTORIZERS)
def small(request):
    """Make a small vectorizer of each kind."""
    class_, defaults = VECTORIZERS[request.param]
    return lambda **parameters: class_(
        **{"embedding_dim": 8, "max_iter": 2, "random_state": 0, **defaults, **parameters}
    )


@pytest.fixture(scope="module")
def fitted(small):
    return small(pooling=POOLINGS).fit(TEXTS)


# ----------------------------------------------------------------------------------------------- behaviour


def test_scikit_learns_own_checks(small):
    check_estimator(type(small())())
    tags = small().__sklearn_tags__()
    assert tags.input_tags.string
    assert tags.input_tags.one_d_array
    assert not tags.input_tags.two_d_array


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"embedding_dim": 0}, "embedding_dim"),
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
        ({"random_state": "0"}, "random_state"),
    ],
)
def test_parameters_out_of_range_are_named(small, parameters, message):
    with pytest.raises(ValueError, match=message):
        small(**parameters).fit(TEXTS)


def test_poolings_stand_side_by_side(small, fitted):
    rows = fitted.transform(TEXTS[:9])
    assert rows.shape == (9, 40)
    assert rows.dtype == np.float32
    assert rows.flags.c_contiguous
    for position, pooling in enumerate(POOLINGS):
        one = small(pooling=pooling).fit(TEXTS)
        np.testing.assert_array_equal(one.transform(TEXTS[:9]), rows[:, 8 * position : 8 * position + 8])
    names = fitted.get_feature_names_out()
    assert names.tolist() == [f"{type(fitted).__name__.lower()}{i}" for i in range(40)]


def test_fit_transform_is_fit_and_transform_to_the_bit(small):
    texts = [f"{text} rare{row} the" for row, text in enumerate(TEXTS)]
    vectorizer = small(pooling=POOLINGS, phrases=1, phrase_threshold=1.0, stop_words=["the"])
    rows = vectorizer.fit_transform(text for text in texts)
    np.testing.assert_array_equal(rows, vectorizer.transform(texts))
    assert "rare0" not in vectorizer.embedding_


def test_parameters_set_after_fit_change_no_row(small):
    fitted = small(pooling=["mean", "tfidf"]).fit(TEXTS)
    expected = fitted.transform(TEXTS)
    fitted.set_params(pooling="max", stop_words=[TEXTS[0].split()[0]], embedding_dim=3, lowercase=False)
    np.testing.assert_array_equal(fitted.transform(TEXTS), expected)


def test_a_document_of_one_word_is_its_vector(fitted):
    word = fitted.embedding_.keys[3]
    np.testing.assert_array_equal(fitted.transform([word.upper()])[0, :8], fitted.embedding_[word])
    np.testing.assert_array_equal(fitted.transform([[word]])[0, :8], fitted.embedding_[word])


def test_words_come_by_count_and_the_limits_hold(small):
    texts = ["aa aa aa bb bb bb cc cc dd dd ee"] * 2
    assert small(min_count=1).fit(texts).embedding_.keys.tolist() == ["aa", "bb", "cc", "dd", "ee"]
    assert small(min_count=4).fit(texts).embedding_.keys.tolist() == ["aa", "bb", "cc", "dd"]
    assert small(min_count=1, max_features=3).fit(texts).embedding_.keys.tolist() == ["aa", "bb", "cc"]
    stopped = small(min_count=1, stop_words=["aa", "dd"]).fit(texts)
    assert stopped.vocabulary_.keys.tolist() == ["bb", "cc", "ee"]
    assert stopped.vocabulary_.counts.tolist() == [6, 4, 2]
    assert "the" not in small(min_count=1, stop_words="english").fit(["the cat sat"] * 3).embedding_


def test_token_lists_and_stop_words_have_the_case_of_texts(small):
    texts = ["The Cat sat on A mat", "the dog SAT", "THE cat"] * 4
    settings = {"min_count": 1, "stop_words": ["The"], "tokenizer": str.split, "token_pattern": None}
    lower = small(**settings).fit([text.split() for text in texts])
    assert "cat" in lower.vocabulary_
    assert not {"The", "the", "THE", "Cat", "SAT"} & set(lower.vocabulary_)
    np.testing.assert_array_equal(lower.transform([["CAT", "Sat", "The"]]), lower.transform(["cat sat"]))
    assert lower.transform([["CAT"]]).any()
    np.testing.assert_array_equal(lower.transform(texts), small(**settings).fit(texts).transform(texts))
    kept = small(**settings, lowercase=False).fit([text.split() for text in texts])
    assert {"the", "THE", "Cat", "SAT"} <= set(kept.vocabulary_)
    assert "The" not in kept.vocabulary_


@pytest.mark.parametrize("returned", ["a text", None, b"bytes", 3])
def test_what_a_tokenizer_returns_is_a_list_of_words(small, returned):
    """A text, as of str.lower, would be taken for its letters."""
    with pytest.raises(TypeError, match=f"returned {returned!r} of type {type(returned).__name__}, expected a list of"):
        small(tokenizer=lambda text: returned, token_pattern=None).fit(TEXTS)


def test_stop_words_that_are_no_strings(small):
    for lowercase in (True, False):
        with pytest.raises(TypeError, match="stop_words holds 3 of type int, expected strings alone"):
            small(stop_words=["the", 3], lowercase=lowercase).fit(TEXTS)


def test_a_pattern_is_needed_without_a_tokenizer_only(small):
    small(tokenizer=str.split, token_pattern=None).fit(TEXTS)
    with pytest.raises(ValueError, match="token_pattern=None needs a tokenizer"):
        small(token_pattern=None).fit(TEXTS)


def test_missing_documents_are_errors_or_empty(small):
    texts = [*TEXTS[:60], None, *TEXTS[60:], float("nan")]
    for method in ("fit", "fit_transform"):
        with pytest.raises(TypeError, match=r"document 60 .*missing='empty'"):
            getattr(small(), method)(texts)
    fitted = small(missing="empty").fit(texts)
    filled = small().fit([*TEXTS[:60], "", *TEXTS[60:], ""])
    np.testing.assert_array_equal(fitted.transform(texts), filled.transform([*TEXTS[:60], "", *TEXTS[60:], ""]))
    assert not fitted.transform([None, float("nan")]).any()
    fitted.set_params(missing="error")  # transform does as fit has done
    assert fitted.transform([None]).shape[0] == 1
    with pytest.raises(ValueError, match="missing"):
        small(missing="drop").fit(TEXTS)


def test_the_vocabulary_is_a_mapping_of_words_to_rows(fitted):
    vocabulary = fitted.vocabulary_
    assert isinstance(vocabulary, Mapping)
    rows = dict(vocabulary)
    assert rows == dict(vocabulary.items()) == {word: row for row, word in enumerate(fitted.embedding_.keys)}
    assert list(vocabulary) == list(vocabulary.keys()) == vocabulary.keys.tolist()
    word = TEXTS[0].split()[0]
    np.testing.assert_array_equal(fitted.embedding_.vectors[vocabulary[word]], fitted.embedding_[word])
    assert vocabulary.get("never seen") is None
    with pytest.raises(KeyError):
        vocabulary["never seen"]
    counts = CountVectorizer(vocabulary=vocabulary).transform([f"{word} {word}"]).toarray()
    assert counts.sum() == counts[0, vocabulary[word]] == 2
    assert f"{len(vocabulary)} keys" in repr(vocabulary)


def test_transform_imports_neither_torch_nor_numba(heavy_imports, fitted):
    assert heavy_imports(fitted, "transform") == []


def test_grid_search_over_a_text_column_with_two_jobs(small):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"text": TEXTS, "n": np.arange(len(TEXTS))})
    target = ["badi" in text or "ka" in text for text in TEXTS]
    columns = ColumnTransformer([("words", small(max_iter=1), "text"), ("rest", "passthrough", ["n"])])
    search = GridSearchCV(
        make_pipeline(columns, LogisticRegression()),
        {
            "columntransformer__words__embedding_dim": [4, 8],
            "columntransformer__words__pooling": ["mean", ["sif", "max"]],
        },
        cv=2,
        n_jobs=2,
        error_score="raise",
    ).fit(frame, target)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    out = columns.set_output(transform="pandas").fit_transform(frame)
    assert out.columns[0] == f"words__{type(small()).__name__.lower()}0"


def test_progress_bar(small, capsys):
    small(verbose=1).fit(TEXTS)
    assert "loss=" in capsys.readouterr().err
    small().fit(TEXTS)
    assert not capsys.readouterr().err
    if hasattr(vectorizer := small(verbose=2), "partial_fit"):
        for documents in (TEXTS, TEXTS[:3]):
            vectorizer.partial_fit(documents)
            assert re.search(r"\d+%", capsys.readouterr().err.split("\r")[-1])[0] == "100%"


def test_callbacks_are_told_of_each_pass(small):
    pytest.importorskip("sklearn.callback", reason="scikit-learn 1.9 or newer has callbacks")

    class Listener:
        def __init__(self, stop_after=99):
            self.losses, self.begun = [], []
            self.stop_after = stop_after

        def setup(self, estimator, context):
            pass

        def on_fit_task_begin(self, estimator, context):
            self.begun.append(context.task_name)

        def on_fit_task_end(self, estimator, context, *, metadata):
            self.begun.remove(context.task_name)
            self.losses += [metadata["loss"]] if metadata else []
            return len(self.losses) == self.stop_after

        def teardown(self, estimator, context):
            pass

    listener = Listener()
    vectorizer = small(max_iter=3).set_callbacks(listener).fit(TEXTS)
    assert listener.losses == vectorizer.loss_curve_
    assert len(listener.losses) == 3
    assert not listener.begun  # each task has ended, the fit too
    stopping = Listener(stop_after=2)
    assert small(max_iter=3).set_callbacks(stopping).fit(TEXTS).loss_curve_ == vectorizer.loss_curve_[:2]


# --------------------------------------------------------------------------------- faults of text (13 to 17)


def test_a_string_is_no_list_of_documents(small, fitted):
    vectorizer = small()
    methods = [vectorizer.fit, vectorizer.fit_transform, fitted.transform]
    for method in [*methods, *([vectorizer.partial_fit] if hasattr(vectorizer, "partial_fit") else [])]:
        with pytest.raises(TypeError, match=r"list of documents, got the single str 'the cat'; pass \[X\]"):
            method("the cat")
        for documents in ({"the cat", "a dog"}, frozenset({("the", "cat")})):
            with pytest.raises(TypeError, match=r"X is a (frozen)?set, which has no order.*sorted\(X\)"):
                method(documents)


@pytest.mark.parametrize(
    ("documents", "message"),
    [
        ([], "0 documents with 0 words; expected at least one. A generator"),
        (["", "!"], "2 documents with 0 words"),
        ([[], []], "2 documents with 0 words"),
        (["the cat"] * 4, r"4 documents with 8 words, 2 .*min_count=5 times \(the most frequent, 'the', 4 times\)"),
    ],
)
def test_nothing_to_learn_from_is_an_error_with_the_counts(small, documents, message):
    with pytest.raises(ValueError, match=f"empty vocabulary: X has {message}"):
        small(min_count=5).fit(documents)
    with pytest.raises(ValueError, match="all of them in stop_words"):
        small(stop_words=["the", "cat"]).fit(["the cat"] * 9)


def test_documents_without_known_words_are_zeros(fitted):
    rows = fitted.transform(["", "zzzz", [], ["zzzz"], TEXTS[0], "  "])
    assert not rows[[0, 1, 2, 3, 5]].any()
    assert rows[4].any()
    assert fitted.transform([]).shape == (0, 40)
    assert fitted.transform(iter([])).dtype == np.float32


def test_a_document_of_a_million_words_is_used_to_its_end(small, fitted):
    words = fitted.embedding_.keys[:2].tolist()
    text = f"{words[0]} " * 10**6 + f"{words[1]} " * 10**6
    both = fitted.embedding_.lookup(words).mean(axis=0)
    np.testing.assert_allclose(fitted.transform([text])[0, :8], both, rtol=1e-4)
    np.testing.assert_allclose(fitted.transform([text.split()])[0, :8], both, rtol=1e-4)
    if isinstance(fitted, NNLMVectorizer):
        return  # a pass over it takes a minute
    sampled = {} if isinstance(fitted, GloVeVectorizer) else {"subsample": 1e-4}
    learned = small(embedding_dim=2, max_iter=1, pooling="tfidf", **sampled).fit([text, "zz " * 5])
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
def test_strange_texts_are_texts(small, text):
    vectorizer = small(min_count=1).fit([text, "plain words"] * 3)
    assert np.isfinite(vectorizer.transform([text, text * 2])).all()


def test_a_generator_is_read_once_and_is_enough(small):
    expected = small().fit(TEXTS)
    generator = (text for text in TEXTS)
    vectorizer = small().fit(generator)
    assert vectorizer.embedding_ == expected.embedding_
    with pytest.raises(ValueError, match="A generator that was read before is empty"):
        small().fit(generator)


@pytest.mark.parametrize("documents", [[["aa", None]], [None], [float("nan")], [b"bytes"], ["aa", 3]])
def test_what_is_no_text_is_named(small, fitted, documents):
    for method in (small().fit, fitted.transform):
        with pytest.raises(TypeError, match="document"):
            method(documents)


@pytest.mark.parametrize(
    "documents",
    [["word"] * 5, ["word word word word word"], ["aa bb aa bb aa bb aa bb aa bb"], ["aa", "bb"] * 5],
    ids=["one word a document", "one document", "two words", "no contexts"],
)
def test_tiny_corpora_give_finite_vectors(small, documents):
    longer = {} if isinstance(small(), NNLMVectorizer) else {"window": 50}  # than any document
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        rows = small(pooling=POOLINGS, **longer).fit(documents).transform(documents)
    assert np.isfinite(rows).all()
    assert rows.shape == (len(documents), 40)
