"""Texts -> vectors: word vectors learned from raw documents, pooled to one vector a document."""

from skembed.data.documents import LineCorpus
from skembed.text._classifier import FastTextClassifier
from skembed.text._contextual import ContextualVectorizer, TokenVectors
from skembed.text._cove import cove_translate, train_cove
from skembed.text._distill import distill
from skembed.text._doc2vec import Doc2VecVectorizer
from skembed.text._elmo import elmo_perplexity, train_elmo
from skembed.text._fasttext import FastTextVectorizer
from skembed.text._glove import GloVeVectorizer
from skembed.text._nnlm import NNLMVectorizer
from skembed.text._pretrained import PretrainedVectorizer
from skembed.text._word2vec import Word2VecVectorizer

__all__ = [
    "ContextualVectorizer",
    "Doc2VecVectorizer",
    "FastTextClassifier",
    "FastTextVectorizer",
    "GloVeVectorizer",
    "LineCorpus",
    "NNLMVectorizer",
    "PretrainedVectorizer",
    "TokenVectors",
    "Word2VecVectorizer",
    "cove_translate",
    "distill",
    "elmo_perplexity",
    "train_cove",
    "train_elmo",
]
