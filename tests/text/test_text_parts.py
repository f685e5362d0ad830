"""Parts of what learns from texts at their edges: columns of cells, calibration, vocabularies, files and warnings."""

import re
import unicodedata
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

import skembed.text
from skembed import (
    EmbeddingTable,
    FastTextClassifier,
    FastTextVectorizer,
    GloVeVectorizer,
    PretrainedVectorizer,
    Word2VecVectorizer,
)
from skembed.data.columns import read_columns
from skembed.data.ragged import NO_ROW, Ragged
from skembed.text import _column_inputs, _retraining
from skembed.text._calibration import (
    FACTORS,
    HeldOutLosses,
    RatePath,
    held_out_folds,
    learned_share,
    without_unseen,
)
from skembed.text._class_learning import ClassesSeen
from skembed.text._column_inputs import ColumnInputs, missing_vector
from skembed.text._model_training import hold_out, is_line, read_vocabulary, write_vocabulary
from skembed.text._normalizer import TextNormalizer
from skembed.text._subword_rows import NgramRule, ngram_rule, rows_of_words, starting_rows
from skembed.text._tokens import Tokenizer, word_pattern
from skembed.text._word_training import check_init, known_output, next_seed, starting_tables, warn_of_no_pairs
from skembed.training.sequences import uniform_vectors

# --------------------------------------------------------------------------------------------------------- columns

CELLS = np.array([["New York", "film maker"], ["ulm", None], ["New York", "film"], [None, ""]], dtype=object)
TOKENIZER = Tokenizer(False, None, r"(?u)\b\w+\b")


@pytest.fixture
def inputs():
    return ColumnInputs(read_columns(CELLS), TOKENIZER)


def normalized(inputs, known):
    normalizer = TextNormalizer(True, "keep", "drop")
    candidates = inputs.candidates(normalizer)
    inputs.normalize(normalizer, known)
    return candidates


def test_each_cell_of_a_column_is_read_once_and_counts_in_each_row(inputs):
    assert inputs.tokens == ["New", "York", "ulm", "film", "maker"]
    assert inputs.size == "4 rows with 5 different cells"
    candidates = normalized(inputs, {"new_york": 0, "film": 1, "maker": 2})
    assert {"new_york", "New_York", "new york", "ulm", "new", "york", "film", "maker", "film_maker"} <= candidates
    assert inputs.words == ["new_york", "ulm", "film", "maker"]
    assert inputs.counts.tolist() == [2, 1, 2, 1]
    assert inputs.counts.dtype == np.int64


@pytest.mark.parametrize("at_once", [1, 3, 100])
def test_rows_are_sequences_and_columns_are_documents(inputs, at_once, monkeypatch):
    monkeypatch.setattr(_column_inputs, "_ROWS", at_once)
    normalized(inputs, {"new_york": 0, "film": 1, "maker": 2})
    row_of = np.array([5, NO_ROW, 7, 8], np.int32)
    sequences = inputs.sequences(row_of)
    for _ in range(2):  # over and over
        rows = [one.tolist() for chunk in sequences for one in np.split(chunk.indices, chunk.indptr[1:-1])]
        assert rows == [[5, 7, 8], [], [5, 7], []]
    columns = [
        [one.tolist() for chunk in column for one in np.split(chunk.indices, chunk.indptr[1:-1])]
        for column in inputs.documents(row_of)
    ]
    assert columns == [[[5], [], [5], []], [[7, 8], [], [7], []]]


def test_cells_that_are_no_text_are_named():
    with pytest.raises(TypeError, match="column 'x1' of X holds 3 of type int, expected strings; leave the column out"):
        ColumnInputs(read_columns(np.array([["a", "b"], ["c", 3]], dtype=object)), TOKENIZER)


def test_missing_cells_have_the_vector_of_none():
    with_none = EmbeddingTable(["a", None], [[1.0], [2.0]])
    np.testing.assert_array_equal(missing_vector(with_none), [2.0])
    none = missing_vector(EmbeddingTable(["a"], [[1.0, 3.0]]))
    np.testing.assert_array_equal(none, [0, 0])
    assert none.dtype == np.float32


def test_training_further_warns_where_there_is_nothing_to_learn_from(monkeypatch):
    table = EmbeddingTable(["a", "b"], np.eye(2, dtype=np.float32))
    vectorizer = PretrainedVectorizer(table, trainable=True, subsample=0.5, max_iter=2, random_state=0)
    with pytest.warns(ConvergenceWarning, match=r"nothing to learn from in pass 1: subsample=0.5 leaves out"):
        vectorizer.fit(["a", "b"])
    vectorizer.set_params(subsample=0)
    with pytest.warns(
        ConvergenceWarning, match="in pass 1: no document has two known words. Pass longer documents, or"
    ):
        vectorizer.fit(["a", "b"])
    vectorizer.set_params(subsample=0.5)
    told = []
    monkeypatch.setattr(_retraining, "warn_of_no_pairs", lambda *given: told.append(given))
    vectorizer.fit(["a b", "b a"])
    assert told == [(vectorizer.loss_curve_, 0.5)]


# ----------------------------------------------------------------------------------------------------- calibration


def losses_of(totals, n=1000.0):
    return HeldOutLosses(np.asarray(totals, dtype=float), n)


def test_the_factor_is_the_lowest_point_of_a_parabola_and_one_where_it_gains_next_to_nothing():
    logs = np.log(FACTORS)
    for center in (-1.3, 0.7, 2.0):
        found = losses_of(300 * (logs - center) ** 2).best_factor()
        assert found == pytest.approx(np.exp(300 * center / (300 + 0.5)), rel=1e-6)  # a little nearer to 1
    assert losses_of(np.zeros(len(FACTORS)), 0.0).best_factor() == 1.0
    for n, is_one in ((501, True), (499, False)):  # a hundredth of a document's loss, of 5 in all
        totals = 5.0 * (np.arange(len(FACTORS)) != 20) - 0.5 * logs**2  # the prior is no part of this
        assert (losses_of(totals, n).best_factor() == 1.0) == is_one


@pytest.mark.parametrize("best", [0, -1])
def test_a_factor_at_either_end_is_the_last_there_is(best):
    totals = np.full(len(FACTORS), 1e4)
    totals[best] = 0.0
    assert losses_of(totals).best_factor() == FACTORS[best]


def test_factors_are_quarters_of_powers_of_two():
    assert FACTORS[0] == 2.0**-8
    assert FACTORS[-1] == 16.0
    np.testing.assert_allclose(np.diff(np.log2(FACTORS)), 0.25)
    assert (FACTORS == 1.0).sum() == 1


@pytest.mark.parametrize(
    ("seen", "added", "kept"), [(0, 10, 1.0), (1000, 500, 1.0), (2000, 500, 0.75), (1000, 2500, 0.0)]
)
def test_older_documents_count_less_where_there_are_many(seen, added, kept):
    class Model:
        def losses(self, bags, labels, weights, factors):
            assert weights.dtype == np.float64
            np.testing.assert_array_equal(factors, FACTORS / 2.0)
            return np.full((len(FACTORS), 2), 3.5)

    data = SimpleNamespace(bags=None, labels=np.zeros(added), weights=np.ones(added, np.float32))
    found = losses_of(np.full(len(FACTORS), 3.0), float(seen)).add(Model(), data, 2.0)
    assert found.n_documents == pytest.approx(kept * seen + added)
    np.testing.assert_allclose(found.sums, kept * 3 + 7)


def test_losses_that_are_none_are_refused():
    good = HeldOutLosses.none()
    good.check()
    assert (good.sums.shape, good.n_documents) == (FACTORS.shape, 0.0)
    for changes in (
        {"sums": np.zeros(3)},
        {"sums": np.full(len(FACTORS), np.nan)},
        {"n_documents": -1.0},
        {"n_documents": np.nan},
    ):
        with pytest.raises(ValueError, match=f"expected finite losses of {len(FACTORS)} factors, got shape"):
            replace(good, **changes).check()
    seen = ClassesSeen(np.array([3, 1]), np.array([3, 1]), np.array([3.0, 1.0]), good)
    seen.check(2)
    np.testing.assert_allclose(seen.frequencies, [0.75, 0.25])
    for name in ("counts", "tree_counts", "weights"):
        with pytest.raises(ValueError, match=r"expected a count of each of 2 classes, got shape \(3,\)"):
            replace(seen, **{name: np.ones(3)}).check(2)


@pytest.mark.parametrize(("n", "n_folds", "size"), [(100, 5, 10), (5000, 2, 500), (40, 5, 4), (30_000, 1, 2000)])
def test_a_share_of_documents_is_held_out_and_one_of_each_class_never(n, n_folds, size):
    labels = np.random.default_rng(0).integers(3, size=n)
    labels[7] = 3  # alone in its class
    folds = list(held_out_folds(labels, 5))
    assert len(folds) == n_folds
    assert all(held.dtype == bool and held.sum() == size for held in folds)
    assert np.sum(folds, axis=0).max() == 1
    for held in folds:
        assert set(labels[~held]) == {0, 1, 2, 3}
    assert not any(held[7] for held in folds)
    other = list(held_out_folds(labels, 6))
    assert any((a != b).any() for a, b in zip(folds, other))
    assert list(held_out_folds(np.arange(4), 0)) == []


def test_bags_without_what_was_not_seen_lose_words_and_keep_places_of_ngrams():
    bags = Ragged.from_ends(np.array([0, 1, 3, 4, 0, 2, 5], np.int32), np.array([4, 7]))
    seen = np.array([True, True, False, True, False, False])
    found = without_unseen(bags, seen, 3)  # rows 1 to 3 are words, 4 and 5 n-grams
    assert [one.tolist() for one in np.split(found.indices, found.indptr[1:-1])] == [[0, 1, 3, NO_ROW], [0, NO_ROW]]


# --------------------------------------------------------------------------------------------------- learning rates


def path_of(losses, rates=(0.1, 0.2, 0.3, 0.4, 0.5)):
    """Losses of documents at each rate, under the best factor; others are worse."""
    losses = np.asarray(losses, dtype=float)
    worse = np.abs(np.arange(len(FACTORS)) - 20)[:, None]
    return RatePath(np.array(rates), losses[:, None] + worse)


def test_the_lowest_rate_is_chosen_that_is_as_good_as_the_best_where_the_highest_is_not():
    noise = np.random.default_rng(0).standard_normal((5, 400))
    flat = 1 + 0.1 * noise
    assert path_of(flat).best() == 4
    assert path_of(flat + np.array([0, 0, 0, 0, 0.1])[:, None]).best() == 0
    assert path_of(flat + np.array([0.1, 0, 0, 0, 0.1])[:, None]).best() == 1
    assert path_of(flat + np.array([0.5, 0.4, 0.3, 0.1, 0])[:, None]).best() == 4


def test_a_handful_of_documents_decides_no_rate():
    for n_documents, best in ((0, 4), (1, 4), (3, 4), (40, 0)):
        assert path_of(np.repeat([[0.5], [0.7], [0.8], [0.9], [1.0]], n_documents, axis=1)).best() == best


def test_a_path_is_unfinished_where_half_of_its_rate_loses_much_or_all_rates_alike():
    rates = np.array([0.1, 0.26, 0.4, 0.5])
    for losses, unfinished in (
        ([2, 1.06, 1.02, 1], True),
        ([2, 1.04, 1.02, 1], False),
        ([1.04, 1.04, 1.02, 1], True),
        ([1, 1, 1, 1], True),
        ([0.04, 0.04, 0.04, 0.04], False),  # there is nothing left to gain
        ([0.8, 0.8, 0.9, 1], False),  # a lower rate is better
    ):
        assert path_of(np.array(losses)[:, None] * np.ones(50), rates).is_unfinished() == unfinished


def test_a_higher_rate_is_better_where_most_documents_gain_a_hundredth_and_more_than_their_spread():
    path = path_of(np.ones((2, 400)), (0.25, 0.5))
    spread = np.resize([-1.0, 1.0], 400)
    for gain, wide, better in ((0.03, 0.0, True), (0.009, 0.0, False), (0.03, 1.0, False), (0.1, 0.5, True)):
        higher = path_of(np.array([np.ones(400), 1 - gain - wide * spread]), (0.5, 1.0))
        assert higher.is_better_than(path) == better
    few = path_of(np.ones((2, 2)), (0.25, 0.5))
    assert not path_of(np.full((2, 2), 0.8), (0.5, 1.0)).is_better_than(few)


@pytest.mark.parametrize(
    ("max_iter", "passes"), [(1, [1]), (2, [1, 2]), (3, [1, 2, 3]), (10, [1, 2, 3, 5, 10]), (1000, None)]
)
def test_a_path_is_looked_at_where_rates_differ_by_about_a_root_of_two(max_iter, passes):
    found = RatePath.passes(max_iter)
    assert found[-1] == max_iter
    assert passes is None or found.tolist() == passes
    shares = learned_share(found, max_iter)
    assert shares[-1] == 1
    if max_iter == 1000:
        np.testing.assert_allclose(shares[1:] / shares[:-1], np.sqrt(2), rtol=0.2)


def test_losses_are_those_of_the_nearest_rate():
    path = path_of(np.arange(5)[:, None] * np.ones((1, 3)))
    for rate, point in ((0.01, 0), (0.1, 0), (0.24, 1), (0.25, 2), (0.5, 4), (9.0, 4)):
        found = path.losses_at(rate)
        assert found.n_documents == 3
        assert found.sums.min() == 3 * point


# ---------------------------------------------------------------------------------------------------- vocabularies


@pytest.mark.parametrize(
    ("n", "fraction", "expected"), [(0, 0.5, 0), (1, 0.5, 0), (2, 0.01, 1), (10, 0.25, 2), (3, 0.99, 2), (100, 0.1, 10)]
)
def test_texts_to_hold_out_are_drawn_and_one_is_left(n, fraction, expected):
    held = hold_out(n, fraction, np.random.RandomState(3))
    assert held.dtype == bool
    assert held.sum() == expected
    chosen = np.random.RandomState(3).permutation(n)[:expected]
    assert set(np.flatnonzero(held)) == set(chosen)


@pytest.mark.parametrize(
    ("word", "fits"),
    [
        ("a", True),
        ("", False),
        (" a", False),
        ("a ", False),
        ("a b", True),
        ("a\nb", False),
        ("\x00", False),
        ("é", True),
    ],
)
def test_words_that_can_be_a_line(word, fits):
    assert is_line(word) == fits


def test_vocabularies_are_read_as_they_were_written(tmp_path):
    path = tmp_path / "vocabulary.txt"
    words = ["<S>", "</S>", "é", "a b"]
    write_vocabulary(path, words)
    assert path.read_bytes() == "<S>\n</S>\né\na b\n".encode()
    assert read_vocabulary(path, ["<S>", "</S>"]) == words
    with pytest.raises(ValueError, match=re.escape("begins with ['<S>'], expected ['</S>'].")):
        read_vocabulary(path, ["</S>"])
    path.write_bytes(b"<S>\n\xff\n")
    with pytest.raises(ValueError, match=r"vocabulary\.txt is no text in UTF-8"):
        read_vocabulary(path, ["<S>"])
    with pytest.raises(FileNotFoundError, match=r"none\.txt is missing; expected a directory as it was written"):
        read_vocabulary(tmp_path / "none.txt", [])


# ---------------------------------------------------------------------------------------------------- word vectors


def test_words_begin_where_they_are_known_or_given_or_at_random():
    words = np.array(["a", "b", "c", "d"], dtype=object)
    init = EmbeddingTable(["d", "a", "b"], [[1.0, 1], [2, 2], [3, 3]])
    fresh = uniform_vectors(4, 2, 5)
    (vectors, output), given = starting_tables(words, 2, None, None, 5)
    np.testing.assert_array_equal(vectors, fresh)
    assert (output, given.tolist()) == (None, [False] * 4)
    (vectors, output), given = starting_tables(words, 2, None, init, 5)
    np.testing.assert_array_equal(vectors, [[2, 2], [3, 3], fresh[2], [1, 1]])
    assert (output, given.tolist()) == (None, [True, True, False, True])
    known = EmbeddingTable(["a", "b"], [[7.0, 7], [8, 8]])
    (vectors, output), given = starting_tables(words, 2, (known, "output"), init, 5)
    np.testing.assert_array_equal(vectors, [[7, 7], [8, 8], fresh[2], [1, 1]])
    assert (output, given.tolist()) == ("output", [True, True, False, True])
    assert vectors.dtype == np.float32


def test_dimensions_of_what_is_gone_on_from_have_to_agree():
    init = EmbeddingTable(["a"], [[1.0, 2.0]])
    check_init(None, 5)
    check_init(init, 2, init)
    with pytest.raises(
        ValueError, match="embedding_dim=3, but the vectors of init have 2 components; pass embedding_dim=2"
    ):
        check_init(init, 3)
    with pytest.raises(
        ValueError, match="embedding_dim=3, but the vectors learned so far have 2 components; partial_fit"
    ):
        check_init(None, 3, init)


def test_further_calls_draw_other_numbers_and_go_on_from_outputs_but_those_of_a_tree():
    assert next_seed(7, None) == 7
    earlier = SimpleNamespace(words=SimpleNamespace(loss_curve=[0.1] * 3))
    assert next_seed(7, earlier) == 10
    assert next_seed(2**31 - 1, earlier) == 2
    words = SimpleNamespace(output=np.ones((2, 3), np.float32), table=[0, 1])
    np.testing.assert_array_equal(known_output(words, 4, "negative-sampling"), [[1] * 3] * 2 + [[0] * 3] * 2)
    assert known_output(words, 4, "hierarchical-softmax") is None
    assert known_output(SimpleNamespace(output=np.ones((1, 3)), table=[0, 1]), 4, "negative-sampling") is None


def test_passes_without_a_pair_are_warned_of_by_their_number():
    warn_of_no_pairs([0.5, 0.25], 0.1)
    with pytest.warns(ConvergenceWarning, match=r"nothing to learn from in pass 2: subsample=0.1 leaves out"):
        warn_of_no_pairs([0.5, 0.0, 0.0], 0.1)


@pytest.mark.parametrize("held", [None, np.array([3, 49, 7])])
def test_words_and_the_buckets_of_their_ngrams_have_rows(held):
    words, rule = ["Ulm", "Bern"], NgramRule(3, 4, n_buckets=50)
    rows, buckets = rows_of_words(words, rule, held)
    assert (np.diff(buckets) > 0).all()
    if held is not None:
        assert set(held) <= set(buckets)
    alone = [rows_of_words([word], rule) for word in words]
    for number, one in enumerate(alone):
        own = rows.indices[rows.indptr[number] : rows.indptr[number + 1]]
        assert own[0] == number
        np.testing.assert_array_equal(buckets[own[1:] - 2], one.buckets[one.rows.indices[1:] - 1])


def test_the_rule_of_ngrams_is_that_of_the_table_unless_a_parameter_says_otherwise():
    table = EmbeddingTable(["a"], [[1.0]])
    asked = NgramRule(3, 6, 100)
    assert ngram_rule(asked, None, "init") is asked
    assert ngram_rule(asked, table, "init") is asked
    vectors = starting_rows(np.zeros((4, 1), np.float32), ["b", "a"], np.array([3, 9]), table)
    np.testing.assert_array_equal(vectors, [[0], [1], [0], [0]])


# ----------------------------------------------------------------------------------------------------------- names


def test_names_of_the_package_are_those_that_it_lists():
    assert dir(skembed.text) == skembed.text.__all__ == sorted(skembed.text.__all__)
    with pytest.raises(AttributeError, match=r"module 'skembed.text' has no attribute 'nothing'"):
        _ = skembed.text.nothing
    for name in skembed.text.__all__:
        assert getattr(skembed.text, name).__name__ == name
        assert name in vars(skembed.text)


def test_fitted_vectorizers_whose_parts_do_not_fit_are_refused():
    vectorizer = Word2VecVectorizer(4, min_count=1, max_iter=1, subsample=0, random_state=0).fit(["aa bb aa bb"])
    vectorizer._check_fitted()
    kept = vectorizer.embedding_
    vectorizer.embedding_ = EmbeddingTable(["aa", "cc"], kept.vectors)
    with pytest.raises(ValueError, match="expected a vocabulary, a table and an encoder of the same words"):
        vectorizer._check_fitted()
    table = EmbeddingTable(["a", "b"], np.eye(2, dtype=np.float32))
    pretrained = PretrainedVectorizer(table).fit(["a b"])
    pretrained._check_fitted()
    (pooler,) = pretrained._poolers
    for changes, message in (
        ({"kept_": "some"}, "expected kept_ to be 'all' or 'corpus', got 'some'"),
        ({"_poolers": []}, "expected poolers of 1 column(s), and a vector of missing cells"),
        ({"_missing": np.zeros(3, np.float32)}, "and a vector of missing cells"),
        ({"_poolers": [replace(pooler, table=table)]}, "expected poolers over the table, and encoders of its words"),
    ):
        before = {name: getattr(pretrained, name) for name in changes}
        for name, value in changes.items():
            setattr(pretrained, name, value)
        if changes.get("_poolers") and pretrained.embedding_ is table:
            pretrained._check_fitted()
        else:
            with pytest.raises(ValueError, match=re.escape(message)):
                pretrained._check_fitted()
        for name, value in before.items():
            setattr(pretrained, name, value)


def test_each_parameter_of_an_estimator_has_a_constraint():
    seen = []
    for name in skembed.text.__all__:
        cls = getattr(skembed.text, name)
        if hasattr(cls, "_parameter_constraints"):
            given = {"source": None} if name in ("ContextualVectorizer", "PretrainedVectorizer") else {}
            assert set(cls._parameter_constraints) == set(cls(**given).get_params(deep=False)), name
            seen.append(name)
    assert len(seen) == 8


def test_words_are_letters_with_their_marks():
    marks = [
        chr(code) for code in range(0x110000)
        if unicodedata.category(chr(code)) in ("Mn", "Mc") and not unicodedata.name(chr(code)).startswith("VARIATION")
    ]  # fmt: skip
    found = re.compile(word_pattern()).findall(" ".join(f"a{mark}b" for mark in marks))
    assert found == [f"a{mark}b" for mark in marks]
    assert re.findall(word_pattern(), "\u0301a_1 1\ufe0f\u20e3 don't 日本語") == ["a_1", "1", "don", "t", "日本語"]
    text = "A cat's mat, x_1\n\tand more"
    with_marks, plain = (Tokenizer(True, None, pattern) for pattern in (word_pattern(), r"(?u)\b\w+\b"))
    assert list(with_marks.token_chunks(text)) == list(plain.token_chunks(text))
    assert list(with_marks.token_chunks(f"{text} é")) == list(plain.token_chunks(f"{text} é"))


@pytest.mark.filterwarnings("ignore:there was nothing to learn from")
@pytest.mark.parametrize("estimator", [Word2VecVectorizer, GloVeVectorizer, FastTextVectorizer, FastTextClassifier])
def test_init_without_a_word_of_the_texts_is_refused(estimator):
    """As of words in another case: all would begin at random, as if no table had been given."""
    texts, y = ["the cat sat on the mat", "a dog ate the cat"] * 10, [0, 1] * 10
    made = estimator(4, min_count=1, max_iter=2, random_state=0, init=EmbeddingTable(["CAT", "DOG"], np.eye(2, 4)))
    message = (
        r"^init has none of the \d+ words of X: its keys are such as \['CAT', 'DOG'\], the words such as \['the', .*\]"
        ". Give a table whose keys are written as the words are; lowercase=False keeps the case of the texts.$"
    )
    with pytest.raises(ValueError, match=message):
        made.fit(texts, y)
    one = EmbeddingTable(["CAT", "dog"], np.eye(2, 4))
    first, further = (texts, y), (["quite other words here", "and further ones"], [0, 1])
    made.set_params(init=one).fit(*first)
    if hasattr(made, "partial_fit"):
        made.partial_fit(*further)  # whose words need not be in the table


@pytest.mark.filterwarnings("ignore:there was nothing to learn from")
def test_ngrams_of_init_are_shared_where_no_word_is():
    given = FastTextVectorizer(4, min_count=1, max_iter=1, random_state=0).fit(["cats dogs"] * 5).embedding_
    learned = FastTextVectorizer(4, min_count=1, max_iter=1, random_state=0, init=given).fit(["cat dog"] * 5)
    assert learned.vocabulary_.keys.tolist() == ["cat", "dog"]
