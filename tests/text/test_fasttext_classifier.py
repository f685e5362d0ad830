"""FastTextClassifier: what it learns, what decides its bits, its probabilities, and bad input."""

import pickle
import re
import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MultiLabelBinarizer
from sklearn.utils.estimator_checks import check_estimator

from skembed.data.keys import Keys
from skembed.data.ragged import NO_ROW, Ragged
from skembed.table import EmbeddingTable, SubwordTable
from skembed.testing._text_checks import documents as made_up_documents
from skembed.text import FastTextClassifier
from skembed.text._bags import END_ROW, BagReader, hash_word_ngrams, hash_words
from skembed.text._calibration import enough_of, held_out_folds
from skembed.text._class_learning import NARROW
from skembed.text._class_model import ClassModel
from skembed.training import documents

LOSSES = ["softmax", "hierarchical-softmax", "negative-sampling", "one-vs-all"]
TEXTS = made_up_documents()
LABELS = np.array(["sara" if "sara" in t else "long" if len(t.split()) > 9 else "other" for t in TEXTS])


def small(**parameters):
    return FastTextClassifier(**{"embedding_dim": 8, "n_buckets": 5000, "random_state": 0, **parameters})


@pytest.fixture(scope="module")
def fitted():
    return small().fit(TEXTS, LABELS)


def themes(n_documents=300, seed=0):
    """Texts of four themes, each with words of its own among common ones."""
    generator = np.random.default_rng(seed)
    themes = generator.integers(4, size=n_documents)
    texts = [
        " ".join(f"{w}{t if i % 3 == 0 else ''}" for i, w in enumerate(generator.choice(COMMON, 9))) for t in themes
    ]
    return texts, themes


COMMON = [f"word{letter}" for letter in "abcdefgh"]


def topical(n_documents, n_classes, n_words, share, seed=0):
    """Texts of frequent and rare words, of which a share are those of a class."""
    generator = np.random.default_rng(seed)
    of_classes = np.random.default_rng(99).integers(3000, size=(n_classes, 30))
    odds = 1 / np.arange(1, 3001)
    y = np.arange(n_documents) % n_classes
    texts = []
    for label in y:
        words = generator.choice(3000, n_words, p=odds / odds.sum())
        told = generator.random(n_words) < share
        words[told] = generator.choice(of_classes[label], told.sum())
        texts.append(" ".join(f"w{word}" for word in words))
    return texts, y


@pytest.mark.parametrize(
    ("n_documents", "n_classes", "n_words", "share"),
    [(40, 2, 300, 0.1), (200, 5, 1000, 0.02), (900, 90, 15, 0.4), (400, 20, 100, 0.1), (60, 3, 20, 0.3)],
)
def test_defaults_learn_from_few_long_and_short_documents_of_few_and_many_classes(
    n_documents, n_classes, n_words, share
):
    """As well as a plain linear model of TF-IDF: less the spread of a few seeds."""
    texts, y = topical(n_documents, n_classes, n_words, share)
    unseen, y_unseen = topical(400, n_classes, n_words, share, seed=1)
    plain = make_pipeline(TfidfVectorizer(sublinear_tf=True), LogisticRegression(C=10)).fit(texts, y)
    ours = FastTextClassifier(random_state=0).fit(texts, y)
    assert ours.score(unseen, y_unseen) > plain.score(unseen, y_unseen) - 0.05
    assert log_loss(y_unseen, ours.predict_proba(unseen)) < log_loss(y_unseen, plain.predict_proba(unseen)) + 0.05


@pytest.mark.parametrize(("ngrams", "power"), [({}, 2), ({"word_ngrams": 2}, 2), ({"min_n": 3, "max_n": 4}, 1)])
def test_rarity_counts_once_of_ngrams_of_characters(ngrams, power, monkeypatch):
    seen, train = [], documents.train_classes

    def noted(data, rows, settings, run, **parameters):
        seen.append(settings.idf_power)
        return train(data, rows, settings, run, **parameters)

    monkeypatch.setattr(documents, "train_classes", noted)
    classifier = small(max_iter=1, **ngrams).fit(TEXTS[:40], LABELS[:40])
    classifier.set_params(max_n=0, min_n=0).partial_fit(TEXTS[:40], LABELS[:40])  # goes on with the n-grams it knows
    assert set(seen) == {power}


def test_scikit_learns_own_checks():
    check_estimator(FastTextClassifier())
    tags = FastTextClassifier().__sklearn_tags__()
    assert tags.input_tags.string
    assert tags.estimator_type == "classifier"


@pytest.mark.parametrize("loss", LOSSES)
def test_themes_are_told_apart(loss):
    texts, y = themes()
    classifier = small(loss=loss, max_iter=15).fit(texts, y)
    unseen, y_unseen = themes(seed=1)
    assert classifier.score(unseen, y_unseen) > 0.95
    assert classifier.loss_curve_[-1] < 0.5 * classifier.loss_curve_[0]
    probabilities = classifier.predict_proba(unseen)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert (classifier.classes_[probabilities.argmax(axis=1)] == classifier.predict(unseen)).all()


@pytest.mark.parametrize("loss", LOSSES)
def test_probabilities_are_the_shares_of_classes(loss):
    """Documents that all look alike: what is left to learn is how frequent the classes are."""
    y = np.random.default_rng(0).choice(3, size=4000, p=[0.6, 0.3, 0.1])
    classifier = small(loss=loss, learning_rate=0.05, max_iter=10).fit(["same"] * 4000, y)
    share = np.bincount(y) / len(y)
    tolerance = 0.06 if loss == "negative-sampling" else 0.03
    np.testing.assert_allclose(classifier.predict_proba(["same"])[0], share, atol=tolerance)


@pytest.mark.parametrize("missing", [None, np.nan])
@pytest.mark.parametrize("container", [list, lambda y: np.array(y, dtype=object)])
def test_documents_without_a_class_are_named(missing, container):
    """Of a list with strings numpy makes "nan" of it, which would be a class."""
    labels = [*LABELS[:7].tolist(), missing, *LABELS[8:].tolist()]
    for learn in (small().fit, small().partial_fit):
        with pytest.raises(ValueError, match=r"y has no class for document 7, got (None|nan); drop such documents"):
            learn(TEXTS, container(labels))


def test_masked_labels_and_weights_are_missing():
    masked = np.ma.array(np.arange(len(TEXTS)) % 2, mask=np.arange(len(TEXTS)) == 7)
    for learn in (small().fit, small().partial_fit):
        with pytest.raises(ValueError, match="y has no class for document 7, got None"):
            learn(TEXTS, masked)
        with pytest.raises(ValueError, match=r"sample_weight must be .* finite numbers"):
            learn(TEXTS, LABELS, sample_weight=masked.astype(float))


def test_a_list_of_numbers_and_strings_is_no_list_of_strings():
    labels = [1, *LABELS[1:].tolist()]
    for y in (labels, tuple(labels), np.array(labels, dtype=object)):
        with pytest.raises(TypeError, match="y holds strings beside 1 of type int, expected classes of one type"):
            small().fit(TEXTS, y)


@pytest.mark.parametrize("labels", [["sara", "long"], ("sara", "long"), [], {"sara"}, frozenset()], ids=repr)
@pytest.mark.parametrize("in_array", [False, True])
def test_documents_of_several_labels_are_named(labels, in_array):
    y = [[label] for label in LABELS.tolist()] if isinstance(labels, list) else LABELS.tolist()
    y[7] = labels
    if in_array:
        y = np.fromiter(y, dtype=object, count=len(y))
    message = f"y has the labels {labels!r} for document 7, expected one class. Documents of several are for"
    with pytest.raises(ValueError, match=re.escape(message)):
        small().fit(TEXTS, y)


def test_several_labels_by_a_classifier_of_each():
    y = MultiLabelBinarizer().fit_transform([[label, "text"] for label in LABELS])
    classifier = OneVsRestClassifier(small()).fit(TEXTS, y[:, :3])
    assert (classifier.predict(TEXTS) == y[:, :3]).mean() > 0.9


def test_labels_may_be_strings_or_numbers(fitted):
    assert fitted.classes_.tolist() == ["long", "other", "sara"]
    assert fitted.predict(TEXTS[:3]).dtype == LABELS.dtype
    numbers = small().fit(TEXTS, np.searchsorted(fitted.classes_, LABELS) * 10)
    assert numbers.classes_.tolist() == [0, 10, 20]
    np.testing.assert_array_equal(numbers.predict_proba(TEXTS), fitted.predict_proba(TEXTS))


def test_order_of_words_counts_with_word_ngrams_only():
    texts = ["good not bad", "bad not good"] * 40
    y = [1, 0] * 40
    assert small(max_iter=20).fit(texts, y).score(texts, y) == 0.5
    assert small(max_iter=20, word_ngrams=2).fit(texts, y).score(texts, y) == 1.0


def test_character_ngrams_find_the_stems_of_unseen_words():
    generator = np.random.default_rng(0)
    endings = ["", "s", "ed", "ing", "er"]
    texts = [
        f"{stem}{e} {generator.choice(COMMON)}" for _ in range(20) for stem in ("kindle", "freeze") for e in endings
    ]
    y = ["fire" if "kindle" in text else "ice" for text in texts]
    unseen = ["kindlement", "unfreezeable", "kindleless", "freezeful"]
    with_characters = small(min_n=3, max_n=5, max_iter=20).fit(texts, y)
    assert with_characters.predict(unseen).tolist() == ["fire", "ice", "fire", "ice"]
    assert isinstance(with_characters.embedding_, SubwordTable)
    assert "kindles" in with_characters.embedding_
    without = small(max_iter=20).fit(texts, y).predict_proba(unseen)
    assert (without == without[0]).all()


def test_weights_move_the_decision():
    texts, y = ["same text"] * 300, [0] * 200 + [1] * 100
    assert small().fit(texts, y).predict(["same text"]) == 0
    balanced = small(class_weight="balanced").fit(texts, y).predict_proba(["same text"])[0]
    np.testing.assert_allclose(balanced, 0.5, atol=0.1)
    assert small(class_weight={0: 1, 1: 9}).fit(texts, y).predict(["same text"]) == 1
    weights = np.where(np.array(y) == 1, 9.0, 1.0)
    by_sample = small().fit(texts, y, sample_weight=weights)
    np.testing.assert_array_equal(
        by_sample.predict_proba(["text"]), small(class_weight={0: 1, 1: 9}).fit(texts, y).predict_proba(["text"])
    )
    np.testing.assert_array_equal(
        by_sample.predict_proba(["text"]), small().fit(texts, y, sample_weight=weights * 4).predict_proba(["text"])
    )


@pytest.mark.parametrize("loss", LOSSES)
def test_documents_of_no_known_word_get_the_frequencies_of_classes(loss):
    weights = np.where(LABELS == "long", 3.0, 1.0)
    classifier = small(loss=loss, max_iter=3).fit(TEXTS, LABELS, sample_weight=weights)
    share = np.array([weights[label == LABELS].sum() for label in classifier.classes_]) / weights.sum()
    for probabilities in classifier.predict_proba(["", "zzzz yyyy", [], "!?"]):
        np.testing.assert_allclose(probabilities, share, rtol=1e-6)
    assert classifier.predict_proba([]).shape == (0, 3)


def test_a_word_is_known_by_its_ngrams():
    classifier = small(min_n=2, max_n=3).fit(TEXTS, LABELS)
    share = np.unique(LABELS, return_counts=True)[1] / len(LABELS)
    without, with_one = classifier.predict_proba(["日本", "sarah"])
    np.testing.assert_allclose(without, share, rtol=1e-6)
    assert not np.allclose(with_one, share, rtol=1e-3)


def noisy(n_documents, seed, noise=0.3):
    """Texts whose classes their words tell, but for a share of them, and too many words to learn any of them well."""
    generator = np.random.default_rng(seed)
    y = generator.integers(2, size=n_documents)
    told = np.where(generator.random(n_documents) < noise, 1 - y, y)
    texts = [" ".join(f"word{word}{'ab'[label]}" for word in generator.integers(300, size=6)) for label in told]
    return texts, y


@pytest.mark.parametrize("loss", LOSSES)
def test_probabilities_are_calibrated_on_held_out_documents(loss):
    settings = {"loss": loss, "max_iter": 15, "learning_rate": 0.5}
    (texts, y), (unseen, y_unseen) = noisy(700, 0), noisy(1000, 1)
    raw, calibrated = small(calibrate=False, **settings).fit(texts, y), small(**settings).fit(texts, y)
    assert raw.temperature_ == 1 < 1.3 < calibrated.temperature_
    before, after = (log_loss(y_unseen, found.predict_proba(unseen)) for found in (raw, calibrated))
    assert after < before - 0.05
    factors = 2.0 ** np.arange(-2, 2.1, 0.25)  # no other factor would have been much better
    model = calibrated._model
    best = []
    for factor in factors:
        calibrated._model = model.scaled(factor)
        best.append(log_loss(y_unseen, calibrated.predict_proba(unseen)))
    assert after < min(best) + 0.02
    if loss in ("softmax", "one-vs-all"):
        np.testing.assert_array_equal(raw.predict(unseen), calibrated.predict(unseen))


def test_learning_goes_on_from_what_calibration_had_not_yet_scaled():
    texts, y = noisy(300, 0)
    classifier = small(max_iter=10, learning_rate=0.5).partial_fit(texts, y)
    scores = classifier._model.output * np.float32(classifier.temperature_)
    assert classifier.temperature_ > 1.3
    classifier.set_params(learning_rate=1e-9).partial_fit(texts, y)
    np.testing.assert_allclose(classifier._model.output * np.float32(classifier.temperature_), scores, rtol=1e-4)


def test_a_classifier_that_is_hardly_too_sure_is_left_as_it_is():
    assert small(max_iter=5, learning_rate=0.4).fit(*noisy(700, 0)).temperature_ == 1


@pytest.mark.parametrize("n_documents", [2, 3, 9, 40])
def test_few_documents_and_one_of_each_class_are_calibrated_carefully(n_documents):
    texts = [f"a{i} b{i}" for i in range(n_documents)]
    for y in (np.arange(n_documents), np.arange(n_documents) % 2):
        classifier = small().fit(texts, y)
        assert 0.2 < classifier.temperature_ < 5
        assert np.isfinite(classifier.predict_proba(texts)).all()


def test_folds_hold_out_each_document_once_at_most_and_leave_one_of_each_class():
    for n, rare in ((30, 1), (400, 3), (30_000, 2)):
        labels = np.array([0] * (n - rare) + list(range(1, rare + 1)))
        folds = list(held_out_folds(labels, 0))
        assert sum(folds).max() == 1
        for held in folds:
            assert set(labels[~held]) == set(labels)
        assert sum(held.sum() for held in folds) >= min(0.4 * n, 500)
        assert max(held.sum() for held in folds) <= 2000


def test_ctrl_c_while_documents_are_held_out_leaves_the_classifier_as_it_was(monkeypatch):
    classifier = small().fit(TEXTS, LABELS)
    before, losses, calls = vars(classifier).copy(), ClassModel.losses, []

    def interrupted(self, *arguments):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return losses(self, *arguments)

    monkeypatch.setattr(ClassModel, "losses", interrupted)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nothing was kept that a warning could speak of
        with pytest.raises(KeyboardInterrupt):
            classifier.fit(TEXTS, LABELS)
    assert vars(classifier) == before


def mislabelled(n_documents, n_classes, n_words, share, wrong, seed=0):
    """As `topical`, with a share of labels drawn at random."""
    texts, y = topical(n_documents, n_classes, n_words, share, seed)
    generator = np.random.default_rng(seed)
    return texts, np.where(generator.random(n_documents) < wrong, generator.integers(n_classes, size=n_documents), y)


@pytest.mark.parametrize(
    ("n_documents", "n_classes", "n_words", "share", "wrong"),
    [(400, 2, 30, 0.2, 0.4), (1500, 6, 30, 0.2, 0.3), (1500, 6, 30, 0.2, 0.6), (3000, 3, 5, 0.5, 0.5)],
)
def test_wrong_labels_are_not_learned_by_heart(n_documents, n_classes, n_words, share, wrong):
    texts, y = mislabelled(n_documents, n_classes, n_words, share, wrong)
    unseen, y_unseen = topical(600, n_classes, n_words, share, seed=1)
    ours = FastTextClassifier(random_state=0).fit(texts, y)
    rates = [small(embedding_dim=100, learning_rate=rate).fit(texts, y) for rate in (0.05, 0.1, 0.2, 0.5)]
    *lower, highest = (found.score(unseen, y_unseen) for found in rates)
    assert max(lower) - 0.03 < ours.score(unseen, y_unseen)
    assert highest + 0.05 < ours.score(unseen, y_unseen)
    assert ours.learning_rate_ < 0.3


@pytest.mark.parametrize("loss", LOSSES)
def test_a_rate_stands_where_documents_do_not_speak_against_it(loss):
    texts, y = topical(600, 4, 30, 0.3)
    assert small(loss=loss).fit(texts, y).learning_rate_ == 0.5
    settings = {"loss": loss, "calibrate": False}
    assert small(**settings).fit(*mislabelled(600, 4, 30, 0.3, 0.6)).learning_rate_ == 0.5  # none are held out
    assert small(loss=loss, learning_rate=0.8).fit(*mislabelled(600, 4, 30, 0.3, 0.6)).learning_rate_ == 0.8


@pytest.mark.parametrize(("n_words", "share"), [(300, 0.03), (300, 0.02)])
def test_the_rate_is_higher_where_few_documents_ask_for_it(n_words, share, monkeypatch):
    texts, y = topical(200, 20, n_words, share)
    unseen, y_unseen = topical(600, 20, n_words, share, seed=1)
    automatic, fixed = FastTextClassifier(random_state=0), FastTextClassifier(learning_rate=0.5, random_state=0)
    found, plain = automatic.fit(texts, y), fixed.fit(texts, y)
    assert found.score(unseen, y_unseen) > plain.score(unseen, y_unseen) + 0.02
    losses = [log_loss(y_unseen, classifier.predict_proba(unseen)) for classifier in (found, plain)]
    assert losses[0] < losses[1] - 0.1
    assert 0.5 < found.learning_rate_ <= 2
    monkeypatch.setattr("skembed.text._class_learning.FEW_DOCUMENTS", 199)
    assert automatic.fit(texts, y).learning_rate_ == 0.5


def test_later_calls_go_on_at_the_rate_of_the_first():
    texts, y = mislabelled(600, 4, 30, 0.3, 0.6)
    automatic, given = small().partial_fit(texts, y), small()
    rate = automatic.learning_rate_
    assert rate < 0.3
    given.set_params(learning_rate=rate).partial_fit(texts, y)
    automatic.partial_fit(texts[:50], y[:50])
    assert automatic.learning_rate_ == rate
    np.testing.assert_array_equal(automatic._model.input, given.partial_fit(texts[:50], y[:50])._model.input)


def test_held_out_documents_of_a_training_that_diverges_lower_the_rate(monkeypatch):
    fit = documents._FitDocuments.__call__

    def diverging(self, tables, shard, seed):
        learned, (loss, finite) = fit(self, tables, shard, seed)
        (_, rate, _), (*_, pass_, _) = shard, seed
        return learned, (loss, finite and not (pass_ == 2 and rate > 0.2))

    monkeypatch.setattr(documents._FitDocuments, "__call__", diverging)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        assert small().fit(*themes()).learning_rate_ < 0.2


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("ngrams", [{}, {"word_ngrams": 2, "min_n": 2, "max_n": 3}])
def test_partial_fit_goes_on_with_new_words_and_announced_classes(loss, ngrams):
    texts, y = themes(300)
    classifier = small(loss=loss, max_iter=20, **ngrams)
    first = np.flatnonzero(y[:150] < 3)
    classifier.partial_fit([texts[i] for i in first], y[first], classes=[0, 1, 2, 3])
    known = classifier.vocabulary_.keys.tolist()
    assert "worda3" not in known
    assert classifier.classes_.tolist() == [0, 1, 2, 3]
    classifier.partial_fit(texts[150:], y[150:])
    assert classifier.vocabulary_.keys[: len(known)].tolist() == known
    assert "worda3" in classifier.vocabulary_
    assert classifier.n_iter_ == len(classifier.loss_curve_) == 40
    unseen, y_unseen = themes(seed=1)
    assert classifier.score(unseen, y_unseen) > 0.8
    share = np.bincount(np.concatenate([y[first], y[150:]])) / (len(first) + 150)
    np.testing.assert_allclose(classifier.predict_proba([""])[0], share, rtol=1e-6)


def test_partial_fit_begins_as_fit_does_and_keeps_how_texts_are_read():
    fitted, partial = small().fit(TEXTS, LABELS), small().partial_fit(TEXTS, LABELS)
    np.testing.assert_array_equal(fitted.predict_proba(TEXTS), partial.predict_proba(TEXTS))
    partial.set_params(lowercase=False, stop_words=["sara"], word_ngrams=2, loss="one-vs-all", max_iter=1)
    partial.partial_fit(["SARA said"] * 20, ["other"] * 20)
    assert "SARA" not in partial.vocabulary_
    assert partial._model.loss == "softmax"
    assert len(partial._bag_reader.buckets) == 0


def test_many_small_batches_learn_nearly_as_well_as_all_documents():
    texts, y = noisy(1200, 0, noise=0.1)
    unseen, y_unseen = noisy(1000, 1, noise=0.1)
    whole, parts = small(embedding_dim=4).fit(texts, y), small(embedding_dim=4)
    for batch in np.array_split(np.arange(len(y)), 20):
        parts.partial_fit([texts[i] for i in batch], y[batch], classes=[0, 1])
    assert parts.score(unseen, y_unseen) > whole.score(unseen, y_unseen) - 0.03
    assert log_loss(y_unseen, parts.predict_proba(unseen)) < log_loss(y_unseen, whole.predict_proba(unseen)) + 0.05


@pytest.mark.parametrize("calibrate", [True, False])
def test_later_calls_calibrate_by_no_more_documents_than_decide_it(monkeypatch, calibrate):
    seen, losses = [], ClassModel.losses

    def counted(self, bags, *arguments):
        seen.append(len(bags))
        return losses(self, bags, *arguments)

    texts, y = noisy(500, 0, noise=0.1)
    classifier = small(max_iter=1, calibrate=calibrate).partial_fit(texts, y)
    monkeypatch.setattr(ClassModel, "losses", counted)
    monkeypatch.setattr("skembed.text._calibration.FOLD_SIZE", 100)
    classifier.partial_fit(texts[:90], y[:90]).partial_fit(texts, y)
    assert seen == ([90, 100] if calibrate else [])
    spread = documents.LabelledBags(Ragged.from_ends(np.arange(7), np.arange(1, 8)), np.arange(7), np.ones(7), y)
    monkeypatch.setattr("skembed.text._calibration.FOLD_SIZE", 3)
    assert enough_of(spread).labels.tolist() == [0, 2, 4]


@pytest.mark.parametrize("loss", LOSSES)
def test_how_many_scores_are_in_memory_changes_rounding_alone(monkeypatch, loss):
    classifier = small(loss=loss, max_iter=2).fit(TEXTS, LABELS)
    texts = [*TEXTS, "", "unknown"]
    expected, predicted = classifier.predict_proba(texts), classifier.predict(texts)
    for cells in (1, 17):
        monkeypatch.setattr("skembed.text._class_model._CELLS", cells)
        np.testing.assert_allclose(classifier.predict_proba(texts), expected, rtol=1e-5)
        np.testing.assert_array_equal(classifier.predict(texts), predicted)
    assert classifier.predict([]).shape == (0,)


def test_nothing_to_learn_from_is_named():
    for learn in (small().fit, small().partial_fit, small().fit(TEXTS, LABELS).partial_fit):
        with pytest.raises(ValueError, match="X and y are empty; expected documents and the class of each"):
            learn([], [])
    with pytest.raises(ValueError, match=r"class_weight={'sara': 0, .*} gives no document a weight"):
        small(class_weight=dict.fromkeys(LABELS.tolist(), 0)).fit(TEXTS, LABELS)


@pytest.mark.parametrize(
    ("parameters", "y", "classes", "message"),
    [
        ({}, ["new"] * 240, None, "y holds the class 'new', expected one of 'long', 'other', 'sara'"),
        ({}, LABELS, ["long", "other"], "classes must be those of the first call, 'long', 'other', 'sara'"),
        ({"embedding_dim": 5}, LABELS, None, "learned so far have 8 components"),
        ({"class_weight": "balanced"}, LABELS, None, "class_weight='balanced' needs all documents"),
    ],
)
def test_errors_of_partial_fit(parameters, y, classes, message):
    classifier = small(max_iter=1).partial_fit(TEXTS, LABELS)
    before = classifier.predict_proba(TEXTS)
    with pytest.raises(ValueError, match=message):
        classifier.set_params(**parameters).partial_fit(TEXTS, y, classes)
    np.testing.assert_array_equal(classifier.predict_proba(TEXTS), before)


def test_weights_of_classes_may_name_those_that_a_part_of_the_documents_lacks():
    weights = {"long": 3.0, "sara": 1.0}  # of "other" it is 1
    here = LABELS != "long"
    texts, y = [text for text, is_here in zip(TEXTS, here) if is_here], LABELS[here]
    plain, weighted = small(max_iter=2), small(max_iter=2, class_weight=weights)
    for classifier in (plain, weighted):
        classifier.partial_fit(texts, y, classes=np.unique(LABELS))
    np.testing.assert_array_equal(weighted.predict_proba(TEXTS), plain.predict_proba(TEXTS))
    with pytest.raises(ValueError, match=r"class_weight is .* and weighs classes that y lacks; y holds 'long', "):
        small(class_weight={"new": 2}).fit(TEXTS, LABELS)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"sara": -1}, "class_weight is -1 for the class 'sara'; expected a number of at least 0"),
        ({"sara": np.nan}, "class_weight is nan for the class 'sara'"),
        ({"sara": "much"}, "class_weight is 'much' for the class 'sara'"),
    ],
)
def test_weights_of_classes_that_are_none_are_named(weights, message):
    with pytest.raises(ValueError, match=message):
        small(class_weight=weights).fit(TEXTS, LABELS)


@pytest.mark.parametrize(
    ("classes", "error", "message"),
    [
        (["long", "other", "sara", np.nan], ValueError, "classes holds nan, which is no class; leave it out"),
        (["long", "other", "sara", None], ValueError, "classes holds None, which is no class"),
        ("long", ValueError, "classes must be a list of all classes, got 'long'"),
        ([], ValueError, r"classes must be a list of all classes, got \[\]"),
        (3, ValueError, "classes must be a list of all classes, got 3"),
        (["long", 3], TypeError, "classes holds strings beside other values"),
        (["long"], ValueError, "at least 2 classes, got 1 class: 'long'"),
    ],
)
def test_announced_classes_that_are_none_are_named(classes, error, message):
    with pytest.raises(error, match=message):
        small().partial_fit(TEXTS, LABELS, classes)


def test_classes_may_be_announced_in_a_set():
    classifier = small(max_iter=1).partial_fit(TEXTS, LABELS, {"sara", "other", "long", "more"})
    assert classifier.classes_.tolist() == ["long", "more", "other", "sara"]


def test_given_vectors_tell_of_words_that_few_documents_have():
    """Eight documents tell of a few words what they mean; vectors from elsewhere, which others mean the same."""
    generator = np.random.default_rng(0)
    good, bad = [f"good{i}" for i in range(30)], [f"bad{i}" for i in range(30)]
    vectors = np.concatenate([np.ones((30, 8)), -np.ones((30, 8))]) + 0.3 * generator.standard_normal((60, 8))
    table = EmbeddingTable([*good, *bad], vectors)
    texts = [" ".join([*words[i : i + 2], "rare"]) for i in range(0, 8, 2) for words in (good, bad)]
    every = [*texts, "rare", " ".join(good), " ".join(bad)]  # most words are in one document, and that misleads
    y = [1, 0] * 4 + [1, 0, 1]
    with_given = small(init=table, max_iter=3).fit(every, y)
    assert with_given.score(good[10:] + bad[10:], [1] * 20 + [0] * 20) > 0.95
    assert small(max_iter=3).fit(every, y).score(good[10:] + bad[10:], [1] * 20 + [0] * 20) < 0.7
    with pytest.raises(ValueError, match="embedding_dim=9, but the vectors of init have 8"):
        small(init=table, embedding_dim=9).fit(every, y)
    rows = small(init=table, max_iter=1, learning_rate=1e-9, calibrate=False).fit(every, y).embedding_
    np.testing.assert_allclose(rows.lookup(good), table.lookup(good), atol=1e-5)
    assert np.abs(rows["rare"]).max() <= 1 / 8


def test_a_pickle_leaves_out_what_follows_from_the_model():
    classifier = small().fit(TEXTS, LABELS)
    before = len(pickle.dumps(classifier))
    assert len(classifier.embedding_)
    assert len(pickle.dumps(classifier)) == before
    assert pickle.loads(pickle.dumps(small())).get_params() == small().get_params()
    assert vars(pickle.loads(pickle.dumps(small()))) == vars(small())


def test_embedding_and_pickle(fitted):
    assert fitted.embedding_.shape == (len(fitted.vocabulary_), 8)
    copy = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(copy.predict_proba(TEXTS), fitted.predict_proba(TEXTS))
    with pytest.raises(NotFittedError):
        clone(fitted).predict(TEXTS)


@pytest.mark.parametrize("loss", LOSSES)
def test_parameters_set_after_fit_change_no_prediction(loss):
    classifier = small(loss=loss, max_iter=2).fit(TEXTS, LABELS)
    expected = classifier.predict_proba(TEXTS)
    word = TEXTS[0].split()[0]
    classifier.set_params(loss=LOSSES[LOSSES.index(loss) - 1], negative=1, stop_words=[word], min_n=2, max_n=3)
    np.testing.assert_array_equal(classifier.predict_proba(TEXTS), expected)


@pytest.mark.parametrize("loss", LOSSES)
def test_bits_do_not_depend_on_jobs(loss, train_with):
    train_with(n_shards=4, rows_per_shard=200)
    settings = {"loss": loss, "word_ngrams": 2, "max_iter": 3}
    expected = small(**settings).fit(TEXTS, LABELS).predict_proba(TEXTS)
    for n_jobs in (2, 3):
        found = small(**settings, n_jobs=n_jobs).fit((text.split() for text in TEXTS), LABELS)
        np.testing.assert_array_equal(found.predict_proba(TEXTS), expected)
    assert not np.array_equal(small(**settings, random_state=1).fit(TEXTS, LABELS).predict_proba(TEXTS), expected)


def test_each_shard_has_the_seed_of_its_place_and_the_rate_falls_to_zero(train_with, monkeypatch):
    train_with(n_shards=4, rows_per_shard=100)
    learn, seeds, rates, n_learned = documents._FitDocuments.__call__, [], [], []

    def learn_and_tell(self, tables, shard, seed):
        seeds.append((seed[1:], shard[2]))
        rates.append(shard[1])
        n_learned.append(len(shard[0]))
        return learn(self, tables, shard, seed)

    monkeypatch.setattr(documents._FitDocuments, "__call__", learn_and_tell)
    small(max_iter=2, learning_rate=0.4, calibrate=False).fit(*themes())
    assert rates[0] == 0.4
    share_left = 1 - (np.cumsum(n_learned) - n_learned) / (2 * 300)  # when a shard begins; a round has the first one's
    assert (np.diff(rates) <= 0).all()
    assert all(0.4 * left <= rate <= 0.4 * (left + 0.3) for rate, left in zip(rates, share_left))
    n_shards = len(seeds) // 2
    assert n_shards > 8
    assert seeds == [((documents.TRAINING, p, i), i % 4) for p in range(2) for i in range(n_shards)]


def test_rounds_learn_as_one_shard_after_another(train_with):
    train_with(n_shards=4, rows_per_shard=200)
    texts, y = themes()
    unseen, y_unseen = themes(seed=1)
    assert small(max_iter=15).fit(texts, y).score(unseen, y_unseen) > 0.95


def test_grid_search_with_two_jobs_and_pipelines():
    texts, y = themes(120)
    pipeline = Pipeline([("classes", small(max_iter=5))])
    search = GridSearchCV(
        pipeline, {"classes__word_ngrams": [1, 2], "classes__loss": LOSSES[:2]}, cv=2, n_jobs=2, error_score="raise"
    ).fit(texts, y)
    assert search.best_score_ > 0.4
    assert np.isfinite(cross_val_score(small(max_iter=2), texts, y, cv=2, scoring="neg_log_loss")).all()


@pytest.mark.parametrize(
    ("parameters", "y", "message"),
    [
        ({"loss": "hinge"}, LABELS, "loss"),
        ({"word_ngrams": 0}, LABELS, "word_ngrams"),
        ({"min_n": 5, "max_n": 3}, LABELS, "min_n=5 is above max_n=3"),
        ({"learning_rate": 0}, LABELS, "learning_rate"),
        ({}, LABELS[:-1], "240 documents and y has 239 labels"),
        ({}, ["one"] * 240, "at least 2 classes, got 1 class"),
        ({}, np.linspace(0, 1, 240), "Unknown label type"),
        ({"min_count": 10**6}, LABELS, "empty vocabulary"),
        ({"class_weight": "even"}, LABELS, "class_weight"),
    ],
)
def test_errors_name_what_is_wrong(parameters, y, message):
    with pytest.raises(ValueError, match=message):
        small(**parameters).fit(TEXTS, y)


def test_bad_documents_and_weights():
    with pytest.raises(TypeError, match="single str"):
        small().fit("one text", ["a"])
    with pytest.raises(TypeError, match="document 0"):
        small().fit([None, "b"], [0, 1])
    for weights in ([1.0], np.full(240, -1.0), np.zeros(240), np.full(240, np.nan)):
        with pytest.raises(ValueError, match="sample_weight must be 240 finite"):
            small().fit(TEXTS, LABELS, sample_weight=weights)
    for what in (["1.5"] * 239 + ["x"], np.ones(240, complex), [[1], 2]):
        with pytest.raises((ValueError, TypeError), match="sample_weight holds what is no number"):
            small().fit(TEXTS, LABELS, sample_weight=what)
    with pytest.warns(ConvergenceWarning, match="no longer finite"):
        classifier = small(learning_rate=1e38).fit(TEXTS, LABELS)
    assert np.isfinite(classifier.predict_proba(TEXTS)).all()


def test_token_lists_stop_words_and_missing_documents_are_read_as_texts_are():
    texts = ["The cat", None, "the DOG", ["DOG", "The"], float("nan"), ["Cat"]] * 4
    y = [0, 0, 1, 1, 1, 0] * 4
    with pytest.raises(TypeError, match=r"document 1 .*missing='empty'"):
        small().fit(texts, y)
    classifier = small(missing="empty", stop_words=["THE"], tokenizer=str.split, token_pattern=None).fit(texts, y)
    assert dict(classifier.vocabulary_).keys() == {"cat", "dog"}
    assert classifier.predict([["CAT"], "Dog"]).tolist() == [0, 1]
    np.testing.assert_allclose(classifier.predict_proba([None, ""]), 0.5)
    with pytest.raises(ValueError, match="token_pattern=None needs a tokenizer"):
        small(token_pattern=None).fit(texts, y)


def test_stop_words_and_limits():
    classifier = small(stop_words=["the"], min_count=2, max_features=2).fit(
        ["the cat", "the dog dog cat owl"] * 3, [0, 1] * 3
    )
    assert set(classifier.vocabulary_.keys) == {"cat", "dog"}
    np.testing.assert_array_equal(*classifier.predict_proba(["cat", "the cat the"]))


def fnv(text):
    state = 2166136261
    for byte in text.encode():
        state = ((state ^ (byte - 256 if byte > 127 else byte) & 0xFFFFFFFF) * 16777619) & 0xFFFFFFFF
    return state


def test_word_ngrams_are_hashed_as_fasttext_does():
    words = ["good", "naïve", "", "日本", "x"]
    hashes = hash_words(words)
    assert hashes.tolist() == [fnv(word) for word in words]

    def signed(value):
        return value - 2**32 if value >= 2**31 else value

    ends = np.array([2, 2, 5])
    found = [list(zip(*(part.tolist() for part in pair))) for pair in hash_word_ngrams(hashes, ends, 3)]
    h = [signed(fnv(word)) for word in words]
    pair = lambda a, b: (h[a] * 116049371 + h[b]) % 2**64  # noqa: E731
    assert found[0] == [(pair(0, 1), 0), (pair(2, 3), 2), (pair(3, 4), 3)]
    assert found[1] == [((pair(2, 3) * 116049371 + h[4]) % 2**64, 2)]


def test_words_of_many_lengths_and_pages_are_hashed_alike():
    words = ["é" * n for n in range(40)] + ["long word é"] * 30 + ["é" * 20_000, "x" * 30_001]
    assert hash_words(words).tolist() == [fnv(word) for word in words]


def test_word_ngrams_longer_than_any_document_cost_nothing():
    hashes = hash_words(["good", "naïve", "x"])
    found, expected = (list(hash_word_ngrams(hashes, np.array([2, 3]), longest)) for longest in (2**62, 2))
    assert len(found) == len(expected) == 1
    np.testing.assert_array_equal(found[0], expected[0])


def test_bags_hold_what_their_docstring_says():
    settings = {"word_ngrams": 2, "min_n": 0, "max_n": 0, "n_buckets": 1000}
    words, ids, ends = ["aa", "bb", "cc"], np.array([0, 1, 0, 2]), np.array([2, 2, 4])
    empty = BagReader(Keys.of(["aa", "bb"]), **settings, buckets=np.zeros(0, np.int64))
    buckets = empty.buckets_of(words, iter([Ragged.from_ends(ids, ends)]))
    reader = BagReader(Keys.of(["aa", "bb"]), **settings, buckets=buckets)
    (read,) = reader.read(words, iter([Ragged.from_ends(ids, ends)]))
    bags = [sorted(rows.tolist()) for rows in np.split(read.indices, read.indptr[1:-1])]
    assert len(buckets) == 4  # of "aa bb", "bb </s>", "aa cc" and "cc </s>"
    assert bags[1] == [END_ROW]
    assert bags[0][:3] == [END_ROW, 1, 2]
    assert bags[2][:2] == [END_ROW, 1]
    assert {*bags[0][3:], *bags[2][2:]} == {3, 4, 5, 6}
    fewer = BagReader(Keys.of(["aa", "bb"]), **settings, buckets=np.sort(buckets)[:1])
    (read,) = fewer.read(words, iter([Ragged.from_ends(ids, ends)]))
    assert read.lengths.tolist() == [5, 1, 4]  # n-grams of no row count in the mean
    assert (read.indices == NO_ROW).sum() == 3
    skipping = BagReader(Keys.of(["aa", "bb"]), **settings, buckets=np.sort(buckets)[:1], absent="skip")
    (read,) = skipping.read(words, iter([Ragged.from_ends(ids, ends)]))
    assert read.lengths.sum() == 7
    assert (read.indices != NO_ROW).all()


@pytest.mark.parametrize("absent", ["zeros", "skip"])
def test_bags_are_the_same_however_buckets_are_looked_up(monkeypatch, absent):
    generator = np.random.default_rng(0)
    words = [f"w{i}" for i in range(30)]
    ends = np.sort(generator.integers(0, 200, 40))
    chunk = Ragged.from_ends(generator.integers(0, 30, ends[-1]).astype(np.int32), ends)
    settings = {"word_ngrams": 3, "min_n": 2, "max_n": 3, "n_buckets": 500}
    read = []
    for marked in (2**24, 499):
        monkeypatch.setattr("skembed.text._bags._MARKED_BUCKETS", marked)
        reader = BagReader(Keys.of(words[:20]), **settings, buckets=np.zeros(0, np.int64), absent=absent)
        for buckets in (reader.buckets_of(words, iter([chunk])), np.arange(0, 500, 3), np.zeros(0, np.int64)):
            reader = BagReader(Keys.of(words[:20]), **settings, buckets=buckets, absent=absent)
            (bags,) = reader.read(words, iter([chunk]))
            rows = np.split(bags.indices, bags.indptr[1:-1])
            assert all((np.diff(one) >= 0).all() for one in rows)
            assert bags.indices.max() < reader.n_rows
            read.append((buckets.tolist(), bags.indptr.tolist(), bags.indices.tolist()))
    assert read[:3] == read[3:]


@pytest.mark.parametrize("word_ngrams", [2, 10**9])
def test_how_many_rows_are_read_at_a_time_changes_no_bag(monkeypatch, word_ngrams):
    generator = np.random.default_rng(0)
    words = [f"w{i}" for i in range(30)]
    ends = np.sort(generator.integers(0, 200, 40))
    chunks = [Ragged.from_ends(generator.integers(0, 30, ends[-1]).astype(np.int32), ends)] * 2
    settings = {"word_ngrams": word_ngrams, "min_n": 2, "max_n": 3, "n_buckets": 500}
    reader = BagReader(Keys.of(words[:20]), **settings, buckets=np.arange(0, 500, 3))
    expected = list(reader.read(words, iter(chunks)))
    assert len(expected) == 2
    for rows in (1, 100):
        monkeypatch.setattr("skembed.text._bags._ROWS_AT_ONCE", rows)
        parts = list(reader.read(words, iter(chunks)))
        assert len(parts) > 4
        assert (rows > 1) == (len(parts) < 80)
        for name in ("lengths", "indices"):
            found, whole = (np.concatenate([getattr(bags, name) for bags in read]) for read in (parts, expected))
            np.testing.assert_array_equal(found, whole)
    assert list(reader.read(words, iter([Ragged.from_ends(np.zeros(0, np.int32), np.zeros(0, np.int64))]))) == []


def test_predicting_imports_no_numba(heavy_imports, fitted):
    assert heavy_imports(fitted, "predict") == []


@pytest.mark.parametrize("calibrate", [False, True])
def test_ctrl_c_keeps_what_was_learned_and_before_the_first_pass_goes_on(interrupt_training, calibrate):
    whole = small(max_iter=4, learning_rate=0.5, calibrate=calibrate).fit(TEXTS, LABELS)
    interrupt_training(3)
    with pytest.warns(UserWarning, match="interrupted in pass 4 of 4; kept"):
        classifier = small(max_iter=4, learning_rate=0.5, calibrate=calibrate).fit(TEXTS, LABELS)
    assert classifier.loss_curve_ == whole.loss_curve_[:3]
    assert classifier.n_iter_ == 3
    assert classifier.temperature_ == pytest.approx(whole.temperature_, rel=0.3)
    assert (classifier.temperature_ == 1) == (not calibrate)
    assert classifier.predict_proba(TEXTS).shape == (len(TEXTS), 3)
    interrupt_training(0)
    classifier = small()
    with pytest.raises(KeyboardInterrupt):
        classifier.fit(TEXTS, LABELS)
    with pytest.raises(NotFittedError):
        classifier.predict(TEXTS)


def test_verbose_shows_documents_and_a_callback_stops(capfd):
    small(max_iter=2, verbose=2).fit(TEXTS, LABELS)
    assert f"{2 * len(TEXTS)}/{2 * len(TEXTS)}" in capfd.readouterr().err
    small().fit(TEXTS, LABELS)
    assert capfd.readouterr().err == ""
    pytest.importorskip("sklearn.callback", reason="scikit-learn 1.9 or newer has callbacks")

    class Listener:
        losses: tuple = ()

        def setup(self, estimator, context):
            pass

        teardown = on_fit_task_begin = setup

        def on_fit_task_end(self, estimator, context, *, metadata):
            self.losses += (metadata["loss"],) if metadata else ()
            return len(self.losses) == 2

    listener = Listener()
    classifier = small(max_iter=3).set_callbacks(listener).fit(TEXTS, LABELS)
    assert classifier.loss_curve_ == small(max_iter=3).fit(TEXTS, LABELS).loss_curve_[:2] == list(listener.losses)


@pytest.mark.parametrize("given", [False, True])
def test_held_out_documents_are_left_out_of_a_narrow_model_unless_vectors_are_given(given, monkeypatch):
    widths = []
    train = documents.train_classes

    def train_and_note(data, rows, *others, **more):
        widths.append(rows.shape[1])
        return train(data, rows, *others, **more)

    monkeypatch.setattr(documents, "train_classes", train_and_note)
    init = EmbeddingTable(["sara"], np.ones((1, NARROW + 4))) if given else None
    small(embedding_dim=NARROW + 4, init=init, max_iter=1).fit(TEXTS[:40], LABELS[:40])
    assert widths[-1] == NARROW + 4  # the model itself
    assert set(widths[:-1]) == {NARROW + 4 if given else NARROW}


def test_classes_of_several_types_are_refused():
    with pytest.raises(
        TypeError, match="y holds strings beside 1 of type int, expected classes of one type; turn them"
    ):
        small().fit(["a b", "c d"], np.array(["one", 1], dtype=object))


def test_lines_of_fasttexts_files_hold_their_classes():
    with pytest.warns(UserWarning, match="X holds words such as '__label__b', by which the files of fastText name"):
        small().fit(["the cat", "__label__b the dog"] * 3, [0, 1] * 3)
