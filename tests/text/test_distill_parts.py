"""Parts of a distillation: passages drawn from a stream, shares of words, and means that are fitted, by slow twins."""

import warnings

import numpy as np
import pytest
from scipy import sparse

from skembed.data.corpus import EncodedCorpus
from skembed.text import _distill
from skembed.text._distill import PassageSample, _shares, fit_means
from skembed.text._tokens import Tokenizer

TOKENIZER = Tokenizer(True, None, r"(?u)\b\w+\b")


def sample_of(texts, size, seed=0):
    sample = PassageSample(size, np.random.RandomState(seed))
    assert list(sample.read(iter(texts))) == list(texts)
    return sample.passages


def test_of_no_more_texts_than_asked_for_all_are_kept_in_order_and_equal_ones_once():
    texts = ["a", "b", "a", "", ["c", "d"], [], "b", "e"]
    assert sample_of(texts, 9) == ["a", "b", ["c", "d"], "e"]
    assert sample_of(texts, 4) == ["a", "b", ["c", "d"], "e"]
    assert sample_of(texts, 0) == []


def test_of_more_each_is_kept_as_likely():
    texts = [f"text {n}" for n in range(10)]
    kept = np.zeros(10)
    for seed in range(3000):
        found = sample_of(texts, 3, seed)
        assert len(set(found)) == 3
        kept[[texts.index(text) for text in found]] += 1
    np.testing.assert_allclose(kept / 3000, 0.3, atol=0.04)


def test_a_draw_is_algorithm_r():
    texts = [f"text {n}" for n in range(30)]
    rng, expected = np.random.RandomState(5), []
    for n, text in enumerate(texts, start=1):
        place = n - 1 if n <= 4 else rng.randint(n)
        if place < 4:
            expected[place : place + 1] = [text]
    assert sample_of(texts, 4, 5) == expected


def test_of_a_long_text_some_words_in_a_row_are_kept():
    words = [f"w{n}" for n in range(40)]
    starts = set()
    for seed in range(200):
        (passage,) = sample_of([" ".join(words)], 3, seed)
        kept = passage.split()
        assert len(kept) == 32
        start = words.index(kept[0])
        assert kept == words[start : start + 32]
        starts.add(start)
    assert starts == set(range(9))
    for n in (31, 32):
        assert sample_of(["  ".join(words[:n])], 3) == ["  ".join(words[:n])]
    spaced = [f"{word} {word}" for word in words]
    for seed in range(9):
        (passage,) = sample_of([spaced], 3, seed)
        start = spaced.index(passage[0])
        assert passage == spaced[start : start + 32]


def test_shares_are_of_known_words_and_texts_without_any_are_left_out():
    passages = ["A b b zzz", "zzz", "", "c"]
    found, kept = _shares(passages, TOKENIZER, {"a": 0, "b": 1, "c": 2, "d": 3})
    assert kept == ["A b b zzz", "c"]
    np.testing.assert_allclose(found.toarray(), [[1 / 3, 2 / 3, 0, 0], [0, 0, 1, 0]])
    assert found.nnz == 3
    found, kept = _shares([["a", "don't"], ["don", "t"], "don't"], TOKENIZER, {"a": 0, "don't": 1})
    assert kept == [["a", "don't"]]
    np.testing.assert_allclose(found.toarray(), [[0.5, 0.5]])
    nothing, none = _shares(["zzz"], TOKENIZER, {"a": 0})
    assert (nothing.shape, none) == ((0, 1), [])


def slow_fit(vectors, shares, targets):
    """Ridge regression of the moves for each penalty, texts left out one by one."""
    targets = targets / np.maximum(np.linalg.norm(targets, axis=1, keepdims=True), 1e-12)
    targets = targets - targets.mean(axis=0)
    means = shares @ vectors
    scale = max((means * targets).sum() / (means * means).sum(), 0.0)
    residuals = targets - scale * means
    gram = shares @ shares.T
    errors = []
    penalties = np.logspace(-5, 2, 22) * np.trace(gram) / len(gram)
    for penalty in penalties:
        error = 0.0
        for i in range(len(targets)):
            rest = np.delete(np.arange(len(targets)), i)
            A = shares[rest]
            moves = A.T @ np.linalg.solve(A @ A.T + penalty * np.eye(len(rest)), residuals[rest])
            error += ((residuals[i] - shares[i] @ moves) ** 2).sum()
        errors.append(error)
    penalty = penalties[int(np.argmin(errors))]
    moves = shares.T @ np.linalg.solve(gram + penalty * np.eye(len(gram)), residuals)
    return scale * vectors + 0.5 * moves


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("noise", [0.01, 1.0, 30.0])
def test_words_move_half_of_the_way_under_the_penalty_that_serves_texts_left_out(sign, noise):
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(8, 3))
    shares = rng.dirichlet(np.ones(8) * 0.3, size=12)
    targets = sign * shares @ (vectors + 0.5 * rng.normal(size=(8, 3))) + noise * rng.normal(size=(12, 3))
    targets[3] = 0.0  # a text that the model says nothing of
    found = fit_means(vectors, sparse.csr_array(shares), targets)
    np.testing.assert_allclose(found, slow_fit(vectors, shares, targets), rtol=1e-6, atol=1e-9)


class Model:
    """A model of sentences whose vectors are sums of those of their words."""

    lowercase = True

    def __init__(self, *given):
        self.given, self.read = given, []

    def encode(self, texts, *, lengths=False):
        self.read.append((list(texts), lengths))
        rng = {
            word: np.random.default_rng(sum(map(ord, word))).normal(size=4)
            for text in texts
            for word in text.lower().split()
        }
        vectors = np.array([np.sum([rng[word] for word in text.lower().split()], axis=0) for text in texts])
        return vectors if lengths else vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def unread(self, texts):
        return np.array([text.startswith("q") for text in texts])


@pytest.mark.parametrize("n_passages", [0, 3, 1000])
def test_a_table_has_the_words_of_texts_and_further_ones(n_passages, monkeypatch):
    made = []
    monkeypatch.setattr(_distill, "_SentenceModel", lambda *given: made.append(Model(*given)) or made[-1])
    texts = ["The bell rings", "a bell", "the the bell"]
    found = _distill.distill(
        "folder", texts, words=["Ring", "bell", "ring"], min_count=2, n_passages=n_passages, random_state=0
    )
    (model,) = made
    assert model.given == ("folder", "auto")
    assert found.keys.tolist() == ["the", "bell", "ring"]
    assert found.vectors.dtype == np.float32
    counts = np.array([3.0, 3.0, 0.0])
    (words, of_words), *rest = model.read
    assert (words, of_words) == (["the", "bell", "ring"], True)
    alone = Model().encode(words, lengths=True)
    p = counts / 6
    a = p @ p
    expected = (alone - p @ alone) * (a / (a + p))[:, None]
    if n_passages:
        ((passages, of_passages),) = rest
        assert (sorted(passages), of_passages) == (sorted(texts), False)
        shares, _ = _shares(passages, TOKENIZER, dict(zip(words, range(3))))
        expected = slow_fit(expected, shares.toarray(), Model().encode(passages))
    else:
        assert rest == []
    np.testing.assert_allclose(found.vectors, expected, rtol=1e-4, atol=1e-6)
    alone = _distill.distill("folder", [], words=["ring"], random_state=0)
    np.testing.assert_allclose(alone.vectors, Model().encode(["ring"], lengths=True), rtol=1e-5)


@pytest.mark.parametrize(("texts", "n_passages"), [(["the bell"], 9), (["the bell"] * 3, 9), (["the bell", "bell"], 1)])
def test_of_a_single_passage_words_stay_as_they_are_alone(texts, n_passages, monkeypatch):
    """It is its own mean, so that there is nothing to come closer to."""
    monkeypatch.setattr(_distill, "_SentenceModel", Model)
    found = _distill.distill("folder", texts, n_passages=n_passages, random_state=0)
    np.testing.assert_array_equal(found.vectors, _distill.distill("folder", texts, n_passages=0).vectors)
    assert np.abs(found.vectors).min() > 0


def test_words_of_token_lists_have_the_case_of_those_of_texts(monkeypatch):
    monkeypatch.setattr(_distill, "_SentenceModel", Model)
    found = _distill.distill("folder", [["The", "bell"], ["the", "Ring"]], random_state=0)
    assert found.keys.tolist() == ["the", "bell", "ring"]
    expected = _distill.distill("folder", ["The bell", "the Ring"], random_state=0)
    np.testing.assert_allclose(found.vectors, expected.vectors, rtol=1e-5)
    monkeypatch.setattr(Model, "lowercase", False)
    assert "The" in _distill.distill("folder", [["The", "bell"], ["the", "Ring"]], random_state=0)


def test_further_words_are_no_text_and_strings(monkeypatch):
    with pytest.raises(TypeError, match="words must be a list of words, got the single str 'ring'"):
        _distill.distill("folder", ["a bell"], words="ring")
    monkeypatch.setattr(_distill, "_SentenceModel", Model)
    for other in (1, None, float("nan"), b"ring"):
        with pytest.raises(TypeError, match=f"words holds {other!r} of type {type(other).__name__}, expected strings"):
            _distill.distill("folder", ["a bell"], words=["ring", other])


def test_tokens_that_hold_marks_are_taught_as_others_are(monkeypatch):
    """What texts teach a token must not depend on whether a pattern of words would find it."""
    monkeypatch.setattr(_distill, "_SentenceModel", Model)
    plain = [["the", "bell", "rings"], ["a", "bell"], ["the", "ring"]]
    marked = [[f"{token}'" for token in tokens] for tokens in plain]
    monkeypatch.setattr(Model, "encode", lambda model, texts, lengths=False, encode=Model.encode: encode(
        model, [text.replace("'", "") for text in texts], lengths=lengths
    ))  # fmt: skip
    found = _distill.distill("folder", marked, random_state=0)
    expected = _distill.distill("folder", plain, random_state=0)
    assert found.keys.tolist() == [f"{key}'" for key in expected.keys]
    np.testing.assert_allclose(found.vectors, expected.vectors, rtol=1e-5)


def test_words_hold_what_is_not_seen(monkeypatch):
    """As they do for `PretrainedVectorizer`, which is to find them."""
    monkeypatch.setattr(_distill, "_SentenceModel", Model)
    found = _distill.distill("folder", ["co\xadoperate \u0645\u06cc\u200c\u062e\u0648"], random_state=0)
    assert found.keys.tolist() == ["co\xadoperate", "\u0645\u06cc\u200c\u062e\u0648"]


def test_words_that_the_model_cannot_read_are_told_of(monkeypatch):
    monkeypatch.setattr(_distill, "_SentenceModel", Model)
    message = "60% of the running words of texts are nothing but unknown tokens to the model, such as 'qb', 'qa'"
    with pytest.warns(UserWarning, match=message):
        _distill.distill("folder", ["the qa qb", "bell qb"], token_pattern=r"\S+", random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _distill.distill("folder", ["the bell qb"], words=["qa", "qb"], token_pattern=r"\S+", random_state=0)
        _distill.distill("folder", [], words=["qa"], random_state=0)


def test_texts_of_scripts_without_spaces_are_told_of(monkeypatch):
    monkeypatch.setattr(_distill, "_SentenceModel", Model)
    with pytest.warns(UserWarning, match="words of texts, such as .* Pass lists of words as documents"):
        _distill.distill("folder", ["\u6211\u4eec\u627e\u5230\u673a\u573a"], random_state=0)


def test_memory_of_passages_is_predicted(monkeypatch):
    monkeypatch.setattr(_distill, "_SentenceModel", Model)
    asked = []

    def check(needed, what, advice):
        asked.append((needed, what, advice))

    monkeypatch.setattr(_distill, "check_memory", check)
    _distill.distill("folder", ["the bell", "a bell", "the ring"], random_state=0)
    assert asked == [(6 * 9 * 8, "a regression on 3 passages", "lower n_passages")]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"min_count": 0}, "min_count"),
        ({"n_passages": -1}, "n_passages"),
        ({"texts": iter([]), "min_count": 3}, "texts hold no word that occurs min_count=3 times"),
    ],
)
def test_what_cannot_be_distilled_is_named(parameters, message, monkeypatch):
    monkeypatch.setattr(_distill, "_SentenceModel", Model)
    given = {"texts": ["a b"]} | parameters
    with pytest.raises(ValueError, match=message):
        _distill.distill("folder", given.pop("texts"), **given)


def test_only_words_that_are_text_count_in_a_vocabulary():
    with EncodedCorpus.read(iter(["b a b", "c"]), TOKENIZER) as corpus:
        assert _distill._vocabulary(corpus, 1).keys.tolist() == ["b", "a", "c"]
        assert _distill._vocabulary(corpus, 2).keys.tolist() == ["b"]
