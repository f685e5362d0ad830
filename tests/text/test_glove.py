"""GloVeVectorizer as an estimator: checks, pipelines, growth, bad input, interrupts, threads."""

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from skembed.table import EmbeddingTable
from skembed.testing import parametrize_with_text_checks
from skembed.testing._text_checks import documents as made_up_documents
from skembed.text import GloVeVectorizer

TEXTS = made_up_documents()
POOLINGS = ["mean", "tfidf", "sif", "max", "min"]


def small(**parameters):
    return GloVeVectorizer(**{"embedding_dim": 8, "max_iter": 2, "random_state": 0, **parameters})


# -------------------------------------------------------------------------------------------- common checks


@parametrize_with_text_checks(
    [
        GloVeVectorizer(8),
        GloVeVectorizer(4, pooling=POOLINGS, phrases=1, phrase_threshold=1.0, stop_words=["badi"]),
    ]
)
def test_text_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"x_max": 0}, "x_max"),
        ({"x_max": "all"}, "x_max"),
        ({"alpha": -1}, "alpha"),
        ({"symmetric": "left"}, "symmetric"),
        ({"distance_weighting": None}, "distance_weighting"),
        ({"combine": "concatenate"}, "combine"),
        ({"memory_limit": 1000}, "memory_limit"),
        ({"window": 0}, "window"),
        ({"init": {"a": [1.0]}}, "init"),
        ({"init": EmbeddingTable(["a"], [[1.0]])}, "embedding_dim=8.*pass embedding_dim=1"),
    ],
)
def test_parameters_out_of_range_are_named(parameters, message):
    with pytest.raises(ValueError, match=message):
        small(**parameters).fit(TEXTS)


# ----------------------------------------------------------------------------------------------- behaviour


def test_words_that_keep_the_same_company_are_close():
    """With a few words of the other theme: GloVe learns from counts, and pairs that never meet have none."""
    generator = np.random.default_rng(0)
    themes = [[f"{theme}{i}" for i in range(30)] for theme in ("sea", "sky")]
    texts = [" ".join(generator.choice(themes[(row + (place > 8)) % 2]) for place in range(10)) for row in range(600)]
    for symmetric in (True, False):
        for combine in ("sum", "word"):
            vectorizer = small(symmetric=symmetric, combine=combine, max_iter=80).fit(texts)
            nearest = vectorizer.embedding_.nearest("sea0", k=5)
            assert all(key.startswith("sea") for key, _ in nearest), (symmetric, combine)
            assert vectorizer.loss_curve_[-1] < vectorizer.loss_curve_[0]
            assert vectorizer.n_iter_ == len(vectorizer.loss_curve_) == 80


def test_a_vector_is_the_sum_of_word_and_context(monkeypatch):
    fit_tables, learned = GloVeVectorizer._fit_tables, []
    monkeypatch.setattr(
        GloVeVectorizer, "_fit_tables", lambda *given: learned.append(fit_tables(*given)) or learned[-1]
    )
    summed, word = small().fit(TEXTS), small(combine="word").fit(TEXTS)
    contexts = learned[-1].output  # which no estimator keeps
    assert summed.loss_curve_ == word.loss_curve_
    np.testing.assert_array_equal(summed.embedding_.vectors, word.embedding_.vectors + contexts)
    assert np.abs(contexts).max() > 0


def test_counts_are_those_of_the_corpus():
    one = small(min_count=1, window=2, max_iter=1).fit(["aa bb cc", "aa dd"])
    assert one.n_cooccurrences_ == 2 * 4  # aa-bb, bb-cc, aa-cc, aa-dd, in both orders
    left = small(min_count=1, window=1, symmetric=False, max_iter=1).fit(["aa bb cc", "aa dd"])
    assert left.n_cooccurrences_ == 3


@pytest.mark.parametrize("combine", ["sum", "word"])
def test_init_begins(combine):
    words = small(min_count=1).fit(TEXTS).embedding_.keys
    init = EmbeddingTable([*words[:10], "elsewhere"], np.full((11, 8), 0.25, dtype=np.float32))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        tuned = small(init=init, learning_rate=1e-4, combine=combine).fit(TEXTS).embedding_
    assert "elsewhere" not in tuned
    assert 0 < np.abs(tuned.lookup(words[:10]) - 0.25).max() < 0.05
    assert np.abs(tuned[words[12]]).max() < 0.2


def test_auto_goes_by_the_size_of_the_corpus():
    class Words:
        def __init__(self, n):
            self.counts = np.array([n])

    auto = GloVeVectorizer()
    assert [auto._n_passes(Words(n), 1, begins=True) for n in (10**5, 10**7, 10**8, 10**10)] == [50, 25, 15, 15]
    assert [auto._x_max(Words(n)) for n in (10**5, 17 * 10**6, 10**9)] == [10, 10, 100]
    assert GloVeVectorizer(max_iter=7)._n_passes(Words(1), 1, begins=True) == 7
    assert GloVeVectorizer(x_max=3)._x_max(Words(1)) == 3


# --------------------------------------------------------------------------------- faults of text (13 to 17)


def test_documents_of_one_word_leave_nothing_to_learn_from():
    with pytest.warns(ConvergenceWarning, match="no document has two known words.*min_count=5"):
        assert small().fit(["aa", "bb"] * 5).n_cooccurrences_ == 0


# --------------------------------------------------------------------------------------------------- running


def test_vectors_stay_finite_whatever_the_learning_rate():
    """AdaGrad divides by what the learning rate multiplies, and steps are limited."""
    vectorizer = small(learning_rate=1e300).fit(TEXTS * 40)
    assert np.isfinite(vectorizer.embedding_.vectors).all()
    assert np.isfinite(vectorizer.loss_curve_).all()


def test_bits_do_not_depend_on_the_memory_limit():
    assert small(memory_limit=2**20).fit(TEXTS * 40).embedding_ == small().fit(TEXTS * 40).embedding_
