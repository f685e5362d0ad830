"""What train_cove and train_elmo tell their trainers: sentences, counts, what is held out, settings."""

import numpy as np
import pytest

from skembed import EmbeddingTable
from skembed.text import _cove, _elmo, train_cove, train_elmo
from skembed.text._cove import _between_marks, _kept_words
from skembed.text._model_training import hold_out
from skembed.training.language_model import LanguageModelSettings
from skembed.training.run import Run, draw_seed
from skembed.training.translation import BEGIN_ROW, END_ROW, UNKNOWN_ROW, TranslationSettings

pytest.importorskip("torch")


class ToldError(Exception):
    """Ends a training where it begins."""


@pytest.fixture
def told(monkeypatch):
    from skembed.training.nets import language_model, translator

    calls = []

    def learn(*arguments):
        calls.append(arguments)
        raise ToldError

    monkeypatch.setattr(translator, "learn_translation", learn)
    monkeypatch.setattr(language_model, "learn_language_model", learn)
    return calls


def sentences_of(ragged):
    return [one.tolist() for one in np.split(ragged.indices, ragged.indptr[1:-1])]


SOURCE = ["the ring", "a Bell rings", "", "the bell", "zzz the", "ring ring", "a", "bell"]
TARGET = ["der Ring", "eine Glocke läutet", "x", "die Glocke", "der der", "Ring Ring läutet", "", "Glocke"]
TABLE = EmbeddingTable(["the", "ring", "a", "bell", "rings"], np.arange(10.0).reshape(5, 2), unknown=[7.0, 7])


def cove(told, **options):
    with pytest.raises(ToldError):
        train_cove(SOURCE, TARGET, TABLE, "nowhere", random_state=3, **options)
    return told[-1]


def test_a_translator_is_told_of_pairs_as_rows_and_of_how_often_each_word_is_written(told):
    pairs, held_out, counts, settings, run = cove(told, max_iter=2, n_layers=3, dropout=0.3, learning_rate=0.1,
                                                  batch_size=5, validation_fraction=0.4, verbose=2)  # fmt: skip
    assert sentences_of(pairs.source) == [[0, 1], [2, 3, 4], [0, 5], [6, 0], [1, 1], [5]]
    words = ["the", "ring", "a", "Bell", "rings", "bell", "zzz"]
    np.testing.assert_array_equal(pairs.vectors, [TABLE.lookup([w if w in TABLE else w.lower()])[0] for w in words])
    vocabulary = ["der", "Ring", "Glocke", "läutet", "eine", "die"]
    row = dict(zip(vocabulary, range(3, 9)))
    kept = [sentence.split() for sentence, source in zip(TARGET, SOURCE) if sentence and source]
    assert sentences_of(pairs.target) == [[BEGIN_ROW, *map(row.get, words), END_ROW] for words in kept]
    rng = np.random.RandomState(draw_seed(3))
    np.testing.assert_array_equal(held_out, hold_out(6, 0.4, rng))
    expected = np.zeros(9, int)
    for words, held in zip(kept, held_out):
        if not held:
            np.add.at(expected, [*map(row.get, words), END_ROW], 1)
    np.testing.assert_array_equal(counts, expected)
    assert settings == TranslationSettings(
        max_iter=2, validation_fraction=0.4, tol=1e-3, batch_size=5, learning_rate=0.1, device="auto", hidden_size=2,
        n_layers=3, n_samples=settings.n_samples, ns_exponent=0.75, dropout=0.3, weight_decay=0.0, max_norm=1.0,
    )  # fmt: skip
    assert run == Run(draw_seed(rng), None, 2, None, "train_cove")


def test_a_translator_may_hold_nothing_out_and_cut_sentences_and_rare_words(told):
    pairs, held_out, counts, settings, _ = cove(
        told, early_stopping=False, max_length=1, min_count=2, hidden_size=7, n_samples=4
    )
    assert not held_out.any()
    assert sentences_of(pairs.source) == [[0], [1], [0], [2], [3], [4]]
    # of first words alone: "der" twice, the others once
    assert sentences_of(pairs.target) == [[0, 3, 1], [0, 2, 1], [0, 2, 1], [0, 3, 1], [0, 2, 1], [0, 2, 1]]
    assert counts.tolist() == [0, 6, 4, 2]
    assert (settings.hidden_size, settings.n_samples) == (7, 4)
    assert cove(told, n_samples=None)[3].n_samples is None


@pytest.mark.parametrize("n", [1, 3, 50])
def test_the_most_frequent_words_that_can_be_lines_are_kept(n):
    words = ["<S>", "b", "a", "\x00", "c", "</S>", "<UNK>", "d"]
    counts = np.array([9, 2, 2, 9, 1, 9, 9, 5])
    row_of, vocabulary = _kept_words(words, counts, n, 2)
    expected = ["d", "b", "a"][:n]
    assert vocabulary == ["<S>", "</S>", "<UNK>", *expected]
    assert row_of.tolist() == [3 + expected.index(w) if w in expected else UNKNOWN_ROW for w in words]
    with pytest.raises(ValueError, match="target_texts hold no word that occurs min_count=6 times; lower min_count"):
        _kept_words(words, counts, None, 6)


def test_sentences_stand_between_marks():
    from skembed.data.ragged import Ragged

    sentences = Ragged.from_ends(np.array([1, 0, 2], np.int32), np.array([0, 2, 3, 3]))
    laid = _between_marks(sentences, np.array([5, 6, 7]))
    assert sentences_of(laid) == [[0, 1], [0, 6, 5, 1], [0, 7, 1], [0, 1]]
    assert laid.indices.dtype == np.int32


DOCS = ["the bell rings", "", "the ring", "The", "the bell the bell"]


def elmo(told, docs=DOCS, **options):
    pytest.importorskip("h5py")
    with pytest.raises(ToldError):
        train_elmo(docs, "nowhere", **{"random_state": 3, "min_count": 1, "embedding_dim": 8} | options)
    return told[-1]


def test_a_language_model_is_told_of_sentences_and_of_words_from_both_sides(told):
    net, sentences, held_out, counts, settings, run = elmo(
        told, max_iter=2, n_layers=1, dropout=0.3, learning_rate=0.1, batch_size=5, validation_fraction=0.3, verbose=2,
        max_length=9,
    )  # fmt: skip
    words = ["<S>", "</S>", "the", "bell", "rings", "ring", "The"]
    laid = [[0, *map(words.index, doc.split()), 1] for doc in DOCS if doc]
    assert [sentences.ids[a:b].tolist() for a, b in zip(sentences.indptr, sentences.indptr[1:])] == laid
    vocabulary = ["<S>", "</S>", "<UNK>", "the", "bell", "rings", "ring", "The"]
    assert [vocabulary[row] for row in sentences.targets] == words
    rng = np.random.RandomState(draw_seed(3))
    np.testing.assert_array_equal(held_out, hold_out(4, 0.3, rng))
    expected = np.zeros(8, int)
    for one, held in zip(laid, held_out):
        if not held:
            forth, back = one[1:], one[:-1]
            np.add.at(expected, [vocabulary.index(words[i]) for i in (*forth, *back)], 1)
    np.testing.assert_array_equal(counts, expected)
    assert settings == LanguageModelSettings(
        max_iter=2, validation_fraction=0.3, tol=1e-3, batch_size=5, learning_rate=0.1, device="auto", max_length=9,
        dropout=0.3, ns_exponent=0.75, n_samples=settings.n_samples, max_norm=1.0, weight_decay=0.0,
    )  # fmt: skip
    draw_seed(rng)  # of the net's weights
    assert run == Run(draw_seed(rng), None, 2, None, "train_elmo")
    options = net.options
    assert (options.projection_dim, options.n_layers, options.max_characters) == (4, 1, 50)
    assert sum(n for _, n in options.filters) > options.projection_dim
    assert not elmo(told, early_stopping=False)[2].any()


def test_a_language_model_predicts_as_unknown_what_is_rare_or_beyond_a_number(told):
    for options, known in (({"min_count": 2}, ["the", "bell"]), ({"max_features": 1}, ["the"])):
        sentences = elmo(told, **options)[1]
        vocabulary = ["<S>", "</S>", "<UNK>", *known]
        words = ["<S>", "</S>", "the", "bell", "rings", "ring", "The"]
        assert [vocabulary[row] for row in sentences.targets] == [w if w in vocabulary else "<UNK>" for w in words]
    for docs, message in (
        (["", []], "docs hold no word, so there is nothing"),
        (DOCS, "no word that occurs min_count=99"),
    ):
        with pytest.raises(ValueError, match=message):
            train_elmo(docs, "nowhere", min_count=99)
    with pytest.raises(ValueError, match="embedding_dim=7, expected an even number: half of it for each direction"):
        train_elmo(DOCS, "nowhere", embedding_dim=7)


@pytest.mark.parametrize(("n_words", "expected"), [(3, 4), (57, 6), (200, 9)])
def test_samples_of_a_softmax_are_a_tenth_of_the_words_within_bounds(n_words, expected, told, monkeypatch):
    assert _elmo._AUTO_SAMPLES == _cove._AUTO_SAMPLES == (500, 4000)
    for module in (_elmo, _cove):
        monkeypatch.setattr(module, "_AUTO_SAMPLES", (4, 9))
    docs = [[f"w{n}" for n in range(n_words)]]
    assert elmo(told, docs)[4].n_samples == expected
    with pytest.raises(ToldError):
        train_cove(docs, docs, EmbeddingTable(["w0"], [[1.0]]), "nowhere", max_length=999)
    assert told[-1][3].n_samples == expected
    assert elmo(told, docs, n_samples=2)[4].n_samples == 2


@pytest.mark.parametrize("projection_dim", [4, 100, 512])
def test_other_readers_expect_more_filters_than_components(projection_dim):
    options = _elmo._architecture(projection_dim, 2)
    assert sum(n for _, n in options.filters) > projection_dim
    smallest = sum(n for _, n in _elmo._FILTERS)
    assert sum(n for _, n in options.filters) <= projection_dim + smallest
    assert [width for width, _ in options.filters] == [width for width, _ in _elmo._FILTERS]
