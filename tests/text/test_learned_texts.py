"""Texts: what is learned of them, beside the numbers that are kept."""

import pytest
from learned import check_learned, examples_of


@pytest.mark.parametrize(
    "name",
    examples_of(
        "Word2VecVectorizer",
        "GloVeVectorizer",
        "Doc2VecVectorizer",
        "FastTextVectorizer",
        "NNLMVectorizer",
        "PretrainedVectorizer",
        "FastTextClassifier",
        "ContextualVectorizer",
        "train_elmo",
        "train_cove",
    ),
)
def test_it_learns_what_it_did(name):
    check_learned(name)
