"""Phrases: joining beside a plain loop, and which pairs are found."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skembed.data import corpus as corpus_module
from skembed.data.corpus import EncodedCorpus
from skembed.data.keys import Keys
from skembed.text import Word2VecVectorizer, _phrases
from skembed.text._encoder import WordEncoder
from skembed.text._phrases import Phrases, join_phrases, learn_phrases, phrase_of
from skembed.text._tokens import TOKEN_PATTERN, Tokenizer

TOKENIZER = Tokenizer(True, None, TOKEN_PATTERN)
WORD = st.sampled_from("abcd")
CORPUS = st.lists(st.lists(WORD, max_size=12), min_size=1, max_size=8)


def slow_join(tokens, pairs):
    """The twin: from left to right, each word at most once."""
    joined, position = [], 0
    while position < len(tokens):
        if tuple(tokens[position : position + 2]) in pairs:
            joined.append(phrase_of(*tokens[position : position + 2]))
            position += 2
        else:
            joined.append(tokens[position])
            position += 1
    return joined


def documents_of(corpus):
    chunks = corpus.documents(np.arange(len(corpus.words)))
    return [[corpus.words[i] for i in part] for chunk in chunks for part in np.split(chunk.indices, chunk.ends)[:-1]]


@given(CORPUS, st.sets(st.tuples(WORD, WORD)), st.sets(st.tuples(st.sampled_from(["a", "a_b", "c_c"]), WORD)))
def test_joining_is_left_to_right_and_round_by_round(documents, first, second):
    rounds = [sorted(first), sorted(second)]
    expected = [slow_join(slow_join(document, first), second) for document in documents]
    with EncodedCorpus.read(documents, TOKENIZER) as corpus:
        # a phrase can be joined only if both its words occur
        join_phrases(corpus, rounds)
        assert documents_of(corpus) == expected
        assert corpus.counts.sum() == sum(map(len, expected))
        assert corpus.n_documents == len(documents)


@given(CORPUS, st.integers(1, 5), st.integers(1, 40), st.floats(0, 5))
def test_pairs_are_those_whose_score_exceeds_the_threshold(documents, chunk, held, threshold):
    counts, pair_counts = {}, {}
    for document in documents:
        for word in document:
            counts[word] = counts.get(word, 0) + 1
        for pair in itertools.pairwise(document):
            pair_counts[pair] = pair_counts.get(pair, 0) + 1
    total = sum(counts.values())
    expected = {
        (a, b) for (a, b), n in pair_counts.items() if n > 1 and (n - 1) * total > threshold * counts[a] * counts[b]
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(corpus_module, "_CHUNK_TOKENS", chunk)
        patch.setattr(_phrases, "_HELD_PAIRS", held)
        with EncodedCorpus.read(documents, TOKENIZER) as corpus:
            rounds = learn_phrases(corpus, n_rounds=1, threshold=threshold, min_count=1)
            assert {pair for pairs in rounds for pair in pairs} == expected
            assert documents_of(corpus) == [slow_join(document, expected) for document in documents]


def test_words_that_are_barred_or_unknown_are_in_no_phrase():
    documents = [["new", "york", "the", "end"], ["new", "york", "the"], ["the", "end"]] * 5
    with EncodedCorpus.read(documents, TOKENIZER) as corpus:
        rounds = learn_phrases(corpus, n_rounds=3, threshold=0.1, min_count=2, barred={"the"})
        assert rounds == [[("new", "york")]]
    encoder = WordEncoder(Keys.of(["new_york"]), rounds, TOKENIZER)
    streams = [encoder.encode([["new", "york"], ["new", "zzz", "york"], ["new"], ["york", "new", "york"]])]
    (chunk,) = streams[0]
    assert chunk.indices.tolist() == [0, 0]
    assert chunk.indptr.tolist() == [0, 1, 1, 1, 2]


def test_no_phrase_reaches_over_the_end_of_a_document():
    phrases = Phrases([[("a", "b")]], {"a": 0, "b": 1, "a_b": 2})
    assert phrases.join(np.array([0, 1, -1, 0, -1, 1, -1], dtype=np.int32)).tolist() == [2, -1, 0, -1, 1, -1]


def test_phrases_become_words_of_the_vectorizer():
    generator = np.random.default_rng(0)
    noise = [f"word{i}" for i in range(50)]
    documents = [
        " ".join([*generator.choice(noise, 5), "New York Times", *generator.choice(noise, 5)]) for _ in range(200)
    ]
    vectorizer = Word2VecVectorizer(8, phrases=2, phrase_threshold=5, max_iter=1, random_state=0).fit(documents)
    assert vectorizer.phrases_ == ["new_york_times"] or vectorizer.phrases_ == ["new_york", "new_york_times"]
    assert "new_york_times" in vectorizer.embedding_
    assert "york" not in vectorizer.embedding_
    row = vectorizer.transform(["the new york times"])[0]
    np.testing.assert_array_equal(row, vectorizer.embedding_["new_york_times"])
    assert not vectorizer.transform(["new times york"]).any()
    more = vectorizer.partial_fit(documents[:50])
    assert "york" not in more.embedding_
    assert more.vocabulary_.counts[more.vocabulary_.keys.tolist().index("new_york_times")] == 250
