"""FastTextClassifier and the files of the fastText program: both predict alike, whoever has learned.

``fasttext_models/predictions.json`` holds models that the program has learned, with what it predicts; where it is
installed (the wheel fasttext-numpy2-wheel), it reads what is written here, too.
"""

import base64
import json
from pathlib import Path

import numpy as np
import pytest

from skembed.formats import FormatError
from skembed.formats.supervised import read_supervised
from skembed.text import FastTextClassifier

GIVEN = json.loads((Path(__file__).parent / "fasttext_models" / "predictions.json").read_text(encoding="utf-8"))
PANG_LEE = Path(__file__).parents[3] / "shared" / "data" / "vectors" / "pang_lee_polarity_fasttext.bin.gz"
LOSSES = ["softmax", "hierarchical-softmax", "one-vs-all"]
WORDS = [f"word{letter}" for letter in "abcdefgh"]


@pytest.fixture
def model_file(tmp_path):
    """Write a model that fastText has learned to a file."""

    def write(name):
        path = tmp_path / f"{name}.bin"
        path.write_bytes(base64.b64decode(GIVEN["models"][name]["model"]))
        return path

    return write


def shares(predictions, classes):
    """Predictions of fastText as rows that sum to 1."""
    rows = np.array([[prediction.get(label, 0) for label in classes] for prediction in predictions])
    return rows / rows.sum(axis=1, keepdims=True)


def learned(**parameters):
    generator = np.random.default_rng(0)
    y = generator.choice(["few", "many", "most"], p=[0.1, 0.3, 0.6], size=200)
    texts = [" ".join(f"{word}{label[1]}" for word in generator.choice(WORDS, 5)) for label in y]
    y[::5] = generator.permutation(y[::5])  # what nobody can learn, so that probabilities want calibration
    settings = {"n_buckets": 50, "lowercase": False, "token_pattern": r"\S+", "random_state": 0}
    return FastTextClassifier(4, max_iter=20, **settings, **parameters).fit(texts, y), texts


@pytest.mark.parametrize("name", GIVEN["models"])
def test_predicts_as_fasttext_does(name, model_file):
    classifier = FastTextClassifier.from_fasttext(model_file(name))
    expected = shares(GIVEN["models"][name]["predictions"], classifier.classes_)
    # the program adds 1e-5 to each probability; its logistic function is a table of 512 numbers
    tolerance = 1e-4 if name in LOSSES[:2] else 0.02
    np.testing.assert_allclose(classifier.predict_proba(GIVEN["documents"]), expected, atol=tolerance)
    assert np.ptp(expected, axis=1).max() > 0.2
    assert classifier.get_params()["loss"] == name


@pytest.mark.parametrize("name", GIVEN["models"])
def test_what_is_read_and_written_is_the_same_model(name, model_file, tmp_path):
    classifier = FastTextClassifier.from_fasttext(model_file(name))
    classifier.to_fasttext(tmp_path / "again.bin")
    before, after = read_supervised(model_file(name)), read_supervised(tmp_path / "again.bin")
    assert (before.words, before.labels) == (after.words, after.labels)
    for part in ("counts", "label_counts", "input"):
        np.testing.assert_array_equal(getattr(before, part), getattr(after, part))
    used = len(before.labels) - (name == "hierarchical-softmax")
    np.testing.assert_array_equal(before.output[:used], after.output[:used])
    kept = ("dim", "epoch", "min_count", "neg", "word_ngrams", "loss", "model", "minn", "maxn", "bucket")
    n_grams = before.settings["maxn"] > 0 or before.settings["word_ngrams"] > 1
    assert {k: before.settings[k] for k in kept[: 9 + n_grams]} == {k: after.settings[k] for k in kept[: 9 + n_grams]}


@pytest.mark.parametrize("ngrams", [{}, {"word_ngrams": 2}, {"word_ngrams": 3, "min_n": 2, "max_n": 3}])
@pytest.mark.parametrize("loss", LOSSES)
def test_what_was_learned_comes_back_with_its_calibration(loss, ngrams, tmp_path):
    classifier, texts = learned(loss=loss, **ngrams)
    classifier.to_fasttext(tmp_path / "model.bin")
    back = FastTextClassifier.from_fasttext(tmp_path / "model.bin")
    unseen = [*texts[:20], "wordae wordqa wordbo", "wordao never wordbi"]
    np.testing.assert_allclose(back.predict_proba(unseen), classifier.predict_proba(unseen), atol=1e-6)
    assert ngrams or classifier.temperature_ > 1.1
    assert back.classes_.tolist() == classifier.classes_.tolist()
    fasttext = pytest.importorskip("fasttext", reason="the fastText program predicts from the file, too")
    program = fasttext.load_model(str(tmp_path / "model.bin"))
    predictions = [
        {label.removeprefix("__label__"): float(p) for label, p in zip(*program.predict(text, k=-1))} for text in unseen
    ]
    tolerance = 1e-4 if loss in LOSSES[:2] else 0.02
    np.testing.assert_allclose(
        classifier.predict_proba(unseen), shares(predictions, classifier.classes_), atol=tolerance
    )


@pytest.mark.parametrize("name", GIVEN["models"])
def test_partial_fit_goes_on_from_a_model_of_fasttext(name, model_file):
    classifier = FastTextClassifier.from_fasttext(model_file(name)).set_params(max_iter=20, random_state=0)
    before = classifier.predict_proba(["worda1 Köln1"])[0]
    texts = ["newword worda1", "otherword worda2"] * 30
    classifier.partial_fit(texts, ["theme1", "theme2"] * 30)
    assert classifier.predict(["newword", "otherword"]).tolist() == ["theme1", "theme2"]
    assert not np.array_equal(classifier.predict_proba(["worda1 Köln1"])[0], before)


def test_files_that_are_no_supervised_models_are_refused(tmp_path, model_file):
    from skembed.table import SubwordTable
    from skembed.table.subwords import Subwords

    table = SubwordTable.from_rows(["a", "b"], np.eye(2), Subwords(np.ones((3, 2)), min_n=1, max_n=2, n_buckets=3))
    table.save(tmp_path / "words.bin", format="fasttext-bin")
    with pytest.raises(FormatError, match=r"words\.bin: expected a supervised model"):
        FastTextClassifier.from_fasttext(tmp_path / "words.bin")
    np.savez(tmp_path / "arrays.npz", keys=["a"], vectors=np.eye(1))
    with pytest.raises(FormatError, match=r"arrays\.npz: expected a model of fastText, the file is an \.npz of numpy"):
        FastTextClassifier.from_fasttext(tmp_path / "arrays.npz")
    content = model_file("softmax").read_bytes()
    for size in range(0, len(content), 97):
        (tmp_path / "cut.bin").write_bytes(content[:size])
        with pytest.raises(FormatError):
            FastTextClassifier.from_fasttext(tmp_path / "cut.bin")
    (tmp_path / "other.bin").write_bytes(content.replace(b"</s>", b"<xs>"))
    with pytest.raises(ValueError, match="end of a line"):
        FastTextClassifier.from_fasttext(tmp_path / "other.bin")
    (tmp_path / "latin.bin").write_bytes(content.replace("ö".encode(), b"\xf6x"))
    with pytest.raises(FormatError, match="UTF-8"):
        FastTextClassifier.from_fasttext(tmp_path / "latin.bin")
    kept = FastTextClassifier.from_fasttext(tmp_path / "latin.bin", errors="surrogateescape")
    kept.to_fasttext(tmp_path / "latin_again.bin")
    assert b"K\xf6xln" in (tmp_path / "latin_again.bin").read_bytes()


def test_what_the_format_has_no_place_for_is_refused(tmp_path):
    sampled, _ = learned(loss="negative-sampling")
    with pytest.raises(ValueError, match="negative-sampling"):
        sampled.to_fasttext(tmp_path / "model.bin")
    texts = ["new york", "old town"] * 20
    with pytest.raises(ValueError, match="white space, and cannot know the word or label '__label__big apple'"):
        FastTextClassifier(2).fit(texts, ["big apple", "other"] * 20).to_fasttext(tmp_path / "model.bin")
    lines = FastTextClassifier(2, tokenizer=lambda text: [text]).fit(texts, [0, 1] * 20)
    with pytest.raises(ValueError, match="'new york'"):
        lines.to_fasttext(tmp_path / "model.bin")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not PANG_LEE.exists(), reason="the data are not there")
def test_a_model_of_gensims_tests():
    classifier = FastTextClassifier.from_fasttext(PANG_LEE, errors="surrogateescape")
    assert classifier.classes_.tolist() == ["neg", "pos"]
    # what fastText 0.9.2 says, less the 1e-5 that it adds
    found = classifier.predict_proba(["a wonderful , moving film", "the worst film i have seen in years ."])[:, 0]
    np.testing.assert_allclose(found, [0.50013492, 0.50019434], atol=2e-7)
