"""Words and their numbers: the fast paths beside CountVectorizer's analyzer, and streams beside plain lists."""

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sklearn.feature_extraction.text import CountVectorizer

from skembed.data import corpus as corpus_module
from skembed.data.corpus import EncodedCorpus, as_sequences, encode_documents
from skembed.data.keys import Keys
from skembed.data.ragged import NO_ROW
from skembed.text import _tokens
from skembed.text._encoder import WordEncoder
from skembed.text._tokens import TOKEN_PATTERN, Tokenizer

ANY_TEXT = st.text() | st.text(alphabet="aB_9 .'\n\t\x00İßΣé\u0301\u200f\udce9")
DOCUMENTS = st.lists(ANY_TEXT | st.lists(st.sampled_from("abcdef")))


def words_of(text, tokenizer):
    return list(itertools.chain.from_iterable(tokenizer.token_chunks(text)))


@given(ANY_TEXT, st.booleans(), st.sampled_from([TOKEN_PATTERN, r"\w+", r"(\w)\w*", r"[^ ]+ [^ ]+"]))
@example("ΑΣ ΑΣ", True, TOKEN_PATTERN)
@example("İstanbul", True, TOKEN_PATTERN)
def test_words_are_those_of_count_vectorizer(text, lowercase, token_pattern):
    expected = CountVectorizer(lowercase=lowercase, token_pattern=token_pattern).build_analyzer()(text)
    assert words_of(text, Tokenizer(lowercase, None, token_pattern)) == expected


@given(ANY_TEXT, st.integers(1, 10), st.sampled_from([TOKEN_PATTERN, r"(\w)\w*"]))
def test_a_long_text_has_the_same_words_piece_by_piece(text, longest, token_pattern):
    expected = CountVectorizer(token_pattern=token_pattern).build_analyzer()(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_tokens, "_LONG_TEXT", longest)
        patch.setattr(_tokens, "_PIECE_TOKENS", 2)
        assert words_of(text, Tokenizer(True, None, token_pattern)) == expected


def test_a_tokenizer_replaces_the_pattern():
    assert words_of("A-b c", Tokenizer(True, lambda text: iter(text.split()), TOKEN_PATTERN)) == ["a-b", "c"]
    assert words_of("A-b c", Tokenizer(False, str.split, TOKEN_PATTERN)) == ["A-b", "c"]


@pytest.mark.parametrize(("pattern", "message"), [("(", "no regular expression"), (r"(\w)(\w)", "2 groups")])
def test_a_token_pattern_that_cannot_work_is_refused(pattern, message):
    with pytest.raises(ValueError, match=message):
        Tokenizer(True, None, pattern)


def tokens_of(document):
    return words_of(document, Tokenizer(True, None, TOKEN_PATTERN)) if isinstance(document, str) else document


def as_lists(chunks):
    """Documents as lists of ids."""
    return [part.tolist() for chunk in chunks for part in np.split(chunk.indices, chunk.ends)[:-1]]


@given(DOCUMENTS, st.integers(1, 7), st.integers(1, 7), st.sampled_from([8, 2**20]))
def test_an_encoded_corpus_holds_the_documents(documents, block, chunk, held_bytes):
    tokens = [tokens_of(document) for document in documents]
    counts = Counter(itertools.chain.from_iterable(tokens))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(corpus_module, "_BLOCK_TOKENS", block)
        patch.setattr(corpus_module, "_CHUNK_TOKENS", chunk)
        patch.setattr(corpus_module, "_HELD_BYTES", held_bytes)
        with EncodedCorpus.read(iter(documents), Tokenizer(True, None, TOKEN_PATTERN)) as corpus:
            assert corpus.words == list(counts)
            assert corpus.counts.tolist() == list(counts.values())
            assert corpus.n_documents == len(documents)
            row_of = np.arange(len(corpus.words))
            for _ in range(2):
                rows = as_lists(corpus.documents(row_of))
                assert [[corpus.words[row] for row in document] for document in rows] == tokens
            # Every second word has no row.
            row_of = np.where(row_of % 2, NO_ROW, row_of)
            kept = [[word for word in document if corpus.words.index(word) % 2 == 0] for document in tokens]
            rows = as_lists(corpus.documents(row_of))
            assert [[corpus.words[row] for row in document] for document in rows] == kept
            # Sequences are bounded, and together the same words in the same order.
            chunks = list(corpus.sequences(row_of))
            assert all(len(each.indices) <= 2 * chunk for each in chunks)
            flat = [corpus.words[row] for each in chunks for row in each.indices]
            assert flat == list(itertools.chain.from_iterable(kept))


def test_a_corpus_that_is_rewritten_closes_the_file_that_it_had():
    with EncodedCorpus.read([["a", "b"], ["b"]], Tokenizer(True, None, TOKEN_PATTERN)) as corpus:
        before = corpus._file
        corpus.rewrite(lambda stream: stream[stream != 0], ["a", "b"])
        assert before.closed
        assert as_lists(corpus.documents(np.arange(2))) == [[1], [1]]


@given(DOCUMENTS, st.integers(1, 7))
def test_a_word_encoder_numbers_known_words(documents, block):
    encoder = WordEncoder(Keys.of(["aa", "b", "c"]), [], Tokenizer(True, None, TOKEN_PATTERN))
    expected = [[["aa", "b", "c"].index(t) for t in tokens_of(d) if t in ("aa", "b", "c")] for d in documents]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(corpus_module, "_BLOCK_TOKENS", block)
        assert as_lists(encoder.encode(documents)) == expected


@pytest.mark.parametrize(
    ("documents", "message"),
    [
        ([["a", 1]], "1 of type int.*str"),
        ([["a"], ["b", None]], "None of type NoneType"),
        ([["a", float("nan")]], "nan of type float"),
        ([["a", ["b"]]], r"\['b'\] of type list"),
    ],
)
def test_tokens_that_are_no_strings_are_named(documents, message):
    with pytest.raises(TypeError, match=message):
        EncodedCorpus.read(documents, Tokenizer(True, None, TOKEN_PATTERN))


def test_words_without_a_row_are_left_out_or_kept_as_such():
    encoder = WordEncoder(Keys.of(["aa", "b"]), [[("b", "b")]], Tokenizer(True, None, TOKEN_PATTERN))
    documents = [["aa", "new", "b"], [], ["b", "b", "aa"]]  # "b b" is a phrase that has no row
    assert as_lists(encoder.encode(documents)) == [[0, 1], [], [0]]
    assert as_lists(encoder.encode(documents, keep_unknown=True)) == [[0, NO_ROW, 1], [], [NO_ROW, 0]]


def test_an_error_of_whoever_numbers_tokens_is_not_taken_for_one_of_a_token():
    def number(tokens):
        raise TypeError("of its own")

    with pytest.raises(TypeError, match=r"^of its own$"):
        list(encode_documents([["a"]], None, number))


def test_a_rewritten_corpus_has_the_new_words_their_counts_and_its_documents():
    with EncodedCorpus.read([["a", "b", "a"], ["c"], []], Tokenizer(True, None, TOKEN_PATTERN)) as corpus:
        corpus.rewrite(lambda stream: stream[stream != 1], ["A", "none", "C"])  # b is left out
        assert corpus.words == ["A", "none", "C"]
        assert corpus.counts.tolist() == [2, 0, 1]
        assert corpus.n_documents == 3
        assert as_lists([as_sequences(np.concatenate(list(corpus.blocks())))]) == [[0, 0], [2], []]
