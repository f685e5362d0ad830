"""Warnings of words that look known and are not: documents without a known word, and stop words that are cut."""

import enum
import warnings

import numpy as np
import pytest

from skembed import (
    Doc2VecVectorizer,
    EmbeddingTable,
    FastTextClassifier,
    FastTextVectorizer,
    GloVeVectorizer,
    NNLMVectorizer,
    PretrainedVectorizer,
    Word2VecVectorizer,
)

DOCS = ["the cat doesn't sit", "the dog isn't there", "a cat and a dog"] * 3
SMALL = {"embedding_dim": 2, "min_count": 1, "max_iter": 1, "random_state": 0}


def vectorizers(**options):
    table = EmbeddingTable(["cat", "dog", "the", "doesn't", "isn", "there"], np.eye(6))
    return [
        Word2VecVectorizer(**SMALL, subsample=0, **options),
        FastTextVectorizer(**SMALL, subsample=0, max_n=0, **options),
        Doc2VecVectorizer(**SMALL, subsample=0, **options),
        FastTextClassifier(**SMALL, calibrate=False, **options),
        PretrainedVectorizer(table, punctuation="drop", **options),
    ]


def fitted(model):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(DOCS, [0, 1, 0] * 3)


@pytest.mark.parametrize("model", vectorizers(), ids=lambda model: type(model).__name__)
def test_documents_of_which_no_word_is_known(model):
    fitted(model)
    apply, outcome = model.transform if hasattr(model, "transform") else model.predict_proba, "all rows are zeros"
    if isinstance(model, FastTextClassifier):
        outcome = "all get the frequencies of the classes"
    for strange in (["der Hund", "die Katze"], [["CATS."], ["DOGS."]]):
        with pytest.warns(
            UserWarning, match=f"none of the 2 documents of X has a word that has a vector, and {outcome}"
        ):
            apply(strange)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for usual in (["der Hund"], [], ["der Hund", "the"], (text for text in ["cat", ""])):
            apply(usual)


def test_a_word_that_is_composed_is_no_stranger():
    vectorizer = fitted(FastTextVectorizer(**SMALL, subsample=0, min_n=2, max_n=3))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert vectorizer.transform(["catty", "doggy"]).any()


class Color(enum.StrEnum):
    RED = "red"
    BLUE = "blue"


@pytest.mark.parametrize("make", [np.str_, Color, type("Word", (str,), {})], ids=["numpy", "enum", "subclass"])
@pytest.mark.parametrize("by", ["tokenizer", "lists"])
def test_tokens_are_plain_strings(make, by, tmp_path):
    documents = ["red blue red", "blue red"] * 3
    vectorizer = Word2VecVectorizer(**SMALL, subsample=0, lowercase=False)
    if by == "tokenizer":
        vectorizer.set_params(tokenizer=lambda text: [make(word) for word in text.split()]).fit(documents)
    else:
        vectorizer.fit([[make(word) for word in text.split()] for text in documents])
    assert {type(key) for key in vectorizer.embedding_} == {str}
    vectorizer.embedding_.save(tmp_path / "words.npz")
    np.testing.assert_array_equal(
        vectorizer.transform([[make("red")], ["blue"]]), vectorizer.embedding_[["red", "blue"]]
    )


@pytest.mark.parametrize("stop_words", [["doesn't", "Isn't", "the"], {"isn't", "doesn't", "don't"}])
def test_stop_words_that_the_tokenizer_cuts(stop_words):
    for model in vectorizers(stop_words=stop_words):
        parts = "'isn'" if isinstance(model, PretrainedVectorizer) else "'doesn, isn'"
        with pytest.warns(
            UserWarning, match=f"stop_words holds words that no text has, such as .* of their parts {parts}"
        ):
            model.fit(DOCS, [0, 1, 0] * 3)


def test_stop_words_that_are_found_or_leave_nothing(recwarn):
    tokens = [text.split() for text in DOCS]
    for stop_words, X in (
        (["doesn't", "isn't"], tokens),
        (["doesn't", "doesn", "isn"], DOCS),
        (["won't", "the"], DOCS),
        ("english", DOCS),
        (["The", "a"], DOCS),
    ):
        for model in vectorizers(stop_words=stop_words)[: -1 if X is tokens else None]:  # the last one cuts tokens, too
            model.fit(X, [0, 1, 0] * 3)
    assert not [str(warning.message) for warning in recwarn if "stop_words" in str(warning.message)]


@pytest.mark.filterwarnings("ignore:there was nothing to learn from")
@pytest.mark.parametrize(
    "estimator", [Word2VecVectorizer, Doc2VecVectorizer, GloVeVectorizer, NNLMVectorizer, FastTextVectorizer]
)
def test_documents_of_which_all_words_are_rare(estimator):
    usual, rare = ["the cat sat", "the cat ran"] * 9, ["a mouse ate", "two birds flew", "", "the the"]
    options = {"embedding_dim": 2, "max_iter": 1, "random_state": 0}

    def said(X, **parameters):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            made = estimator(**{"min_count": 5, "stop_words": ["the"], **options, **parameters})
            rows = made.fit_transform(X)
            if hasattr(made, "partial_fit"):
                assert made.partial_fit(usual) is made
        told = [str(one.message) for one in caught if "frequent enough" in str(one.message)]
        return told, int((~rows.any(axis=1)).sum())

    several = usual + ["a mouse ate", "birds flew"] * 2
    told, zeros = said([*several, *rare, "the"])
    if estimator is FastTextVectorizer:
        assert told == []  # which composes words of their n-grams
        return
    end = "their rows are zeros. Lower min_count, or pass more documents."
    assert told == [f"6 of 24 documents of X have no word that is frequent enough for a vector, by min_count=5; {end}"]
    assert zeros == 9  # those without words, and of stop words, are not told of
    (message,), _ = said(several, max_features=1)
    assert message.endswith(f"by min_count=5 and max_features=1; {end}")
    assert said(usual + rare[:2])[0] == said(several, min_count=1)[0] == []
