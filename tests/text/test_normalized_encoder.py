"""Documents as rows of given words, beside a loop that normalizes one token after the other."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skembed.data import corpus
from skembed.data.keys import Keys
from skembed.text._normalized_encoder import NormalizedEncoder
from skembed.text._normalizer import TextNormalizer
from skembed.text._tokens import Tokenizer

WORDS = ["one", "two", "well", "known", "do", "n't", "ring"]
NORMALIZER = TextNormalizer(lowercase=True, digits="spelled", punctuation="keep")
TOKENS = st.sampled_from([*WORDS, "12", "well-known", "don't", "Ring", "unseen", "never-2", "-", "the"])
DOCUMENTS = st.lists(st.lists(TOKENS) | st.lists(TOKENS).map(" ".join), max_size=8)


def encoder(added=()):
    tokenizer = Tokenizer(False, None, NORMALIZER.token_pattern)
    return NormalizedEncoder(Keys.of(WORDS), NORMALIZER, tokenizer, ["the"], np.array(added, dtype=np.int32))


def one_by_one(documents, further, added):
    """Return the rows of each document, and number words that have none in the order in which they come."""
    tokenizer, rows = Tokenizer(False, None, NORMALIZER.token_pattern), []
    row_of = {**{word: row for row, word in enumerate(WORDS)}, "the": -1}
    known = {word: row for word, row in row_of.items() if row not in added}
    for document in documents:
        tokens = document if isinstance(document, list) else [t for c in tokenizer.token_chunks(document) for t in c]
        found = []
        for token in tokens:
            for word in (token,) if token in known else NORMALIZER.normalize(token, known):
                if word in row_of:
                    found.append(row_of[word])
                elif further is not None:
                    found.append(len(WORDS) + further.setdefault(word, len(further)))
        rows.append([row for row in found if row >= 0])
    return rows


@given(DOCUMENTS, st.integers(1, 6), st.booleans(), st.sets(st.integers(0, len(WORDS) - 1)))
def test_rows_are_those_of_one_token_after_the_other(documents, block, numbered, added):
    further, expected_further = ({}, {}) if numbered else (None, None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(corpus, "_BLOCK_TOKENS", block)
        chunks = encoder(sorted(added)).encode(documents, further)
        found = [one.tolist() for chunk in chunks if len(chunk) for one in np.split(chunk.indices, chunk.ends[:-1])]
    assert found == one_by_one(documents, expected_further, added)
    assert further == expected_further


def test_a_token_that_cannot_be_hashed_is_named():
    with pytest.raises(TypeError, match=r"holds \[\] of type list"):
        list(encoder().encode([["one", []]]))


@pytest.mark.parametrize("added", [np.int32([-1]), np.int32([7]), np.array([0.0]), np.zeros((1, 1), np.int32)])
def test_rows_that_are_none_are_refused(added):
    state = encoder().__getstate__()
    opened = NormalizedEncoder.__new__(NormalizedEncoder)
    with pytest.raises(ValueError, match="expected 'added' to be rows of 7 words"):
        opened.__setstate__(state | {"added": added})
    opened.__setstate__({name: value for name, value in state.items() if name != "added"})  # as it was written once
    assert opened.known["ring"] == 6
