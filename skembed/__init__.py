"""scikit-learn transformers that learn and reuse embeddings.

The public names load on first use: importing the package imports neither torch nor numba.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from skembed.anomaly import NeighborAnomalyDetector as NeighborAnomalyDetector
    from skembed.categorical import CooccurrenceEncoder as CooccurrenceEncoder
    from skembed.categorical import EntityEmbeddingEncoder as EntityEmbeddingEncoder
    from skembed.graph import NodeEmbedder as NodeEmbedder
    from skembed.image import ImageDescriptors as ImageDescriptors
    from skembed.image import ImageEmbedder as ImageEmbedder
    from skembed.inspection import EmbeddingDisplay as EmbeddingDisplay
    from skembed.interactions import InteractionEmbedder as InteractionEmbedder
    from skembed.pairs import CCAEmbedder as CCAEmbedder
    from skembed.persistence import load as load
    from skembed.persistence import save as save
    from skembed.persistence import trusted_types as trusted_types
    from skembed.projection import ProjectionEmbedder as ProjectionEmbedder
    from skembed.sequence import SequenceEmbedder as SequenceEmbedder
    from skembed.table import EmbeddingTable as EmbeddingTable
    from skembed.table import SubwordTable as SubwordTable
    from skembed.text import ContextualVectorizer as ContextualVectorizer
    from skembed.text import Doc2VecVectorizer as Doc2VecVectorizer
    from skembed.text import FastTextClassifier as FastTextClassifier
    from skembed.text import FastTextVectorizer as FastTextVectorizer
    from skembed.text import GloVeVectorizer as GloVeVectorizer
    from skembed.text import LineCorpus as LineCorpus
    from skembed.text import NNLMVectorizer as NNLMVectorizer
    from skembed.text import PretrainedVectorizer as PretrainedVectorizer
    from skembed.text import Word2VecVectorizer as Word2VecVectorizer

__version__ = "0.1.0"

# public name -> the module that holds it
_HOMES = {
    "CCAEmbedder": "skembed.pairs",
    "ContextualVectorizer": "skembed.text",
    "CooccurrenceEncoder": "skembed.categorical",
    "Doc2VecVectorizer": "skembed.text",
    "EmbeddingDisplay": "skembed.inspection",
    "EmbeddingTable": "skembed.table",
    "EntityEmbeddingEncoder": "skembed.categorical",
    "FastTextClassifier": "skembed.text",
    "FastTextVectorizer": "skembed.text",
    "GloVeVectorizer": "skembed.text",
    "ImageDescriptors": "skembed.image",
    "ImageEmbedder": "skembed.image",
    "InteractionEmbedder": "skembed.interactions",
    "LineCorpus": "skembed.text",
    "NNLMVectorizer": "skembed.text",
    "NeighborAnomalyDetector": "skembed.anomaly",
    "NodeEmbedder": "skembed.graph",
    "PretrainedVectorizer": "skembed.text",
    "ProjectionEmbedder": "skembed.projection",
    "SequenceEmbedder": "skembed.sequence",
    "SubwordTable": "skembed.table",
    "Word2VecVectorizer": "skembed.text",
    "load": "skembed.persistence",
    "save": "skembed.persistence",
    "trusted_types": "skembed.persistence",
}
_SUBMODULES = {
    "anomaly",
    "categorical",
    "compare",
    "datasets",
    "formats",
    "graph",
    "image",
    "inspection",
    "interactions",
    "pairs",
    "projection",
    "sequence",
    "testing",
    "text",
}

__all__ = sorted([*_HOMES, *_SUBMODULES, "__version__"])


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(import_module(_HOMES[name]), name)
    elif name in _SUBMODULES:
        value = import_module(f"skembed.{name}")
    else:
        raise AttributeError(f"module 'skembed' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
