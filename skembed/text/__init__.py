"""Texts -> vectors: word vectors learned from raw documents, pooled to one vector a document.

The public names load on first use: who learns word vectors waits for no model that reads sentences.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from skembed.data.documents import LineCorpus as LineCorpus
    from skembed.text._classifier import FastTextClassifier as FastTextClassifier
    from skembed.text._contextual import ContextualVectorizer as ContextualVectorizer
    from skembed.text._contextual import TokenVectors as TokenVectors
    from skembed.text._cove import cove_translate as cove_translate
    from skembed.text._cove import train_cove as train_cove
    from skembed.text._distill import distill as distill
    from skembed.text._doc2vec import Doc2VecVectorizer as Doc2VecVectorizer
    from skembed.text._elmo import elmo_perplexity as elmo_perplexity
    from skembed.text._elmo import train_elmo as train_elmo
    from skembed.text._fasttext import FastTextVectorizer as FastTextVectorizer
    from skembed.text._glove import GloVeVectorizer as GloVeVectorizer
    from skembed.text._nnlm import NNLMVectorizer as NNLMVectorizer
    from skembed.text._pretrained import PretrainedVectorizer as PretrainedVectorizer
    from skembed.text._word2vec import Word2VecVectorizer as Word2VecVectorizer

# public name -> the module that holds it
_HOMES = {
    "ContextualVectorizer": "skembed.text._contextual",
    "Doc2VecVectorizer": "skembed.text._doc2vec",
    "FastTextClassifier": "skembed.text._classifier",
    "FastTextVectorizer": "skembed.text._fasttext",
    "GloVeVectorizer": "skembed.text._glove",
    "LineCorpus": "skembed.data.documents",
    "NNLMVectorizer": "skembed.text._nnlm",
    "PretrainedVectorizer": "skembed.text._pretrained",
    "TokenVectors": "skembed.text._contextual",
    "Word2VecVectorizer": "skembed.text._word2vec",
    "cove_translate": "skembed.text._cove",
    "distill": "skembed.text._distill",
    "elmo_perplexity": "skembed.text._elmo",
    "train_cove": "skembed.text._cove",
    "train_elmo": "skembed.text._elmo",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'skembed.text' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
