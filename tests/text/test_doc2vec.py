"""Doc2VecVectorizer: what documents of a topic share, what decides a vector, limits, faults and files."""

import pickle

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator
from unchecked import save_unchecked

import skembed
from skembed import memory
from skembed.testing._text_checks import documents as made_up_documents
from skembed.text import Doc2VecVectorizer, LineCorpus

TEXTS = made_up_documents()
MODES = {"alone": {}, "words": {"dbow_words": True}, "dm": {"method": "pv-dm"}}


def vectorizer(**parameters):
    return Doc2VecVectorizer(
        **{"embedding_dim": 8, "max_iter": 2, "subsample": 0, "random_state": 0, "min_count": 1} | parameters
    )


@pytest.fixture(params=MODES)
def mode(request):
    return MODES[request.param]


def topics(n_documents=240, n_topics=3, n_words=30, seed=0, n_known=10):
    """Documents of 30 words, most of them of the `n_known` words of the topic of the document, and the topics."""
    generator = np.random.default_rng(seed)
    topic = generator.integers(n_topics, size=n_documents)
    words = generator.integers(n_known, size=(n_documents, n_words)) + n_known * np.where(
        generator.random((n_documents, n_words)) < 0.6, topic[:, None], n_topics
    )
    return [" ".join(f"w{word:02d}" for word in row) for row in words], topic


def test_scikit_learns_own_checks():
    check_estimator(Doc2VecVectorizer())


def test_documents_of_a_topic_lie_together_also_those_that_come_later(mode):
    texts, topic = topics()
    fitted = vectorizer(max_iter=30, learning_rate=0.05, **mode).fit(texts[:200])
    later = fitted.transform(texts[200:])
    classifier = LogisticRegression().fit(fitted.transform(texts[:200]), topic[:200])
    assert classifier.score(later, topic[200:]) > 0.9
    assert fitted.loss_curve_[-1] < fitted.loss_curve_[0]
    assert fitted.n_iter_ == 30


@pytest.mark.parametrize(("n_documents", "n_words", "n_known"), [(600, 5, 50), (3000, 5, 100), (2000, 8, 100)])
def test_documents_of_a_few_words_are_told_apart_by_topic(n_documents, n_words, n_known):
    texts, y = topics(n_documents, 5, n_words, n_known=n_known)
    unseen, y_unseen = topics(500, 5, n_words, seed=1, n_known=n_known)
    fitted = Doc2VecVectorizer(random_state=0).fit(texts)
    assert LogisticRegression().fit(fitted.transform(texts), y).score(fitted.transform(unseen), y_unseen) > 0.9


def test_a_vector_is_decided_by_the_words_alone(mode):
    fitted = vectorizer(phrases=1, phrase_threshold=1.0, **mode)
    rows = fitted.fit_transform(text for text in TEXTS)
    assert rows.shape == (len(TEXTS), 8)
    assert rows.dtype == np.float32
    np.testing.assert_array_equal(rows, fitted.transform(TEXTS))
    for chosen in ([3], [7, 3, 9], range(50)):
        np.testing.assert_allclose(fitted.transform([TEXTS[i] for i in chosen]), rows[list(chosen)], atol=1e-5)
    twice = fitted.transform([TEXTS[0], TEXTS[1], TEXTS[0]])
    np.testing.assert_allclose(twice[0], twice[2], atol=1e-6)
    fitted.set_params(embedding_dim=3, negative=1, subsample=0.5, window=1, method="pv-dbow", dbow_words=False)
    np.testing.assert_array_equal(rows, fitted.transform(TEXTS))


def test_the_order_of_words_matters_to_pv_dm_alone(mode):
    fitted = vectorizer(**mode).fit(TEXTS)
    turned = [" ".join(text.split()[::-1]) for text in TEXTS[:5]]
    same = np.allclose(fitted.transform(TEXTS[:5]), fitted.transform(turned), rtol=1e-3, atol=1e-6)
    assert same == (mode.get("method") != "pv-dm")


def test_words_have_vectors(mode):
    fitted = vectorizer(**mode).fit(TEXTS)
    assert fitted.embedding_.keys.tolist() == list(fitted.vocabulary_)
    assert fitted.embedding_.vectors.any(axis=1).all()
    assert fitted.get_feature_names_out().tolist() == [f"doc2vecvectorizer{i}" for i in range(8)]
    if mode == {}:  # what documents predict, kept once
        assert fitted._output.shape == (0, 8)
    else:
        assert fitted._output.shape == fitted.embedding_.shape


def test_bits_do_not_depend_on_jobs_or_containers(mode, tmp_path):
    path = tmp_path / "corpus"
    path.write_text("\n".join(TEXTS), encoding="utf-8")
    expected = vectorizer(**mode).fit(TEXTS)
    for changes, X in (({"n_jobs": 2}, TEXTS), ({}, [text.split() for text in TEXTS]), ({}, LineCorpus(path))):
        found = vectorizer(**mode | changes).fit(X)
        assert found.embedding_ == expected.embedding_
        np.testing.assert_array_equal(found.transform(TEXTS), expected.transform(TEXTS))


def test_empty_missing_and_unknown_documents(mode):
    with pytest.raises(TypeError, match=r"document 2 .*missing='empty'"):
        vectorizer(**mode).fit([*TEXTS[:2], None])
    texts = ["", *TEXTS[:50], None, "", *TEXTS[50:], float("nan")]
    fitted = vectorizer(missing="empty", **mode)
    rows = fitted.fit_transform(texts)
    is_empty = np.array([not isinstance(text, str) or not text for text in texts])
    assert not rows[is_empty].any()
    assert rows[~is_empty].any(axis=1).all()
    assert not fitted.transform(["zzzz", "", [], "!"]).any()
    assert fitted.transform([]).shape == (0, 8)


def test_documents_of_one_word_teach_documents_alone():
    """A document predicts its only word, which has no other word around it."""
    texts = ["aa", "bb"] * 20
    rows = vectorizer(max_iter=50, learning_rate=0.5).fit_transform(texts)
    assert rows[0] @ rows[2] > 0 > rows[0] @ rows[1]
    for mode in MODES.values():
        assert np.isfinite(vectorizer(window=50, **mode).fit_transform(["aa bb aa", *texts])).all()


def test_frequent_words_weigh_less_where_training_skips_them():
    texts = [f"the the the the the w{i % 9} w{i % 7}x" for i in range(200)]
    kept, skipped = (vectorizer(subsample=subsample).fit(texts)._inference.keep for subsample in (0, 1e-2))
    assert (kept == 1).all()
    assert skipped[0] < 0.2 < skipped[1]


@pytest.mark.filterwarnings("error")
def test_nothing_to_learn_from_warns():
    with pytest.warns(ConvergenceWarning, match="there was nothing to learn from"):
        rows = vectorizer(subsample=1e-9).fit_transform(["aa bb"] * 9)
    assert np.isfinite(rows).all()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"method": "dbow"}, "method"),
        ({"window": 0}, "window"),
        ({"negative": 0}, "negative"),
        ({"max_iter": 0}, "max_iter"),
        ({"subsample": 2}, "subsample"),
        ({"subsample": 1e-30}, "subsample=1e-30 skips all words of X, expected 0, which keeps all, or more"),
        ({"learning_rate": "fast"}, "learning_rate"),
        ({"method": "pv-dm", "dbow_words": True}, "dbow_words=True goes with method='pv-dbow', got method='pv-dm'"),
    ],
)
def test_parameters_out_of_range_are_named(parameters, message):
    with pytest.raises(ValueError, match=message):
        vectorizer(**parameters).fit(TEXTS)


def test_wrong_inputs_are_named():
    with pytest.raises(NotFittedError):
        vectorizer().transform(TEXTS)
    with pytest.raises(TypeError, match="list of documents, got the single str"):
        vectorizer().fit("the cat")
    with pytest.raises(ValueError, match="empty vocabulary: X has 0 documents"):
        vectorizer().fit([])


def test_documents_count_in_the_memory_that_is_predicted(monkeypatch):
    monkeypatch.setattr(memory, "memory_of_machine", lambda: 3 * 4 * 100 * 150)
    with pytest.raises(MemoryError, match="embedding_dim=100 needs at least"):
        vectorizer(embedding_dim=100).fit(["aa bb cc"] * 200)


def test_ctrl_c_keeps_what_was_learned(interrupt_training):
    whole = vectorizer(max_iter=4).fit(TEXTS)
    interrupt_training(3)
    with pytest.warns(UserWarning, match="interrupted in pass 4 of 4; kept"):
        cut = vectorizer(max_iter=4).fit(TEXTS)
    assert cut.loss_curve_ == whole.loss_curve_[:3]
    assert cut.transform(TEXTS).any()


def test_files_that_do_not_fit_are_refused(mode, tmp_path):
    fitted = vectorizer(**mode).fit(TEXTS)
    path = tmp_path / "v.safetensors"
    skembed.save(fitted, path)
    for copy in (skembed.load(path), pickle.loads(pickle.dumps(fitted))):
        np.testing.assert_array_equal(copy.transform(TEXTS), fitted.transform(TEXTS))
    fitted._output = np.zeros((3, 8), np.float32)
    save_unchecked(fitted, path)
    with pytest.raises(ValueError, match="expected output vectors"):
        skembed.load(path)


def test_in_a_grid_search():
    texts, topic = topics(90)
    search = GridSearchCV(
        make_pipeline(vectorizer(max_iter=5), LogisticRegression()),
        {"doc2vecvectorizer__method": ["pv-dbow", "pv-dm"]},
        cv=2,
        error_score="raise",
    ).fit(texts, topic)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_a_long_document_is_one(mode):
    words = ["aa", "bb", "cc", "dd"]
    text = " ".join(words[:2] * 2**14 + words[2:] * 2**14)
    fitted = vectorizer(embedding_dim=2, max_iter=1, subsample=1e-4, **mode).fit([text, *words])
    rows = fitted.transform([text, text[: len(text) // 2]])
    assert np.isfinite(rows).all()
    assert np.abs(rows[0] - rows[1]).max() > 1e-4
