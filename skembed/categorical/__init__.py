"""Categorical columns as vectors: learned against a target, or from the categories beside them."""

from skembed.categorical._cooccurrence import CooccurrenceEncoder
from skembed.categorical._entity import EntityEmbeddingEncoder

__all__ = ["CooccurrenceEncoder", "EntityEmbeddingEncoder"]
