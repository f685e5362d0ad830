"""Categorical columns as vectors."""

from skembed.categorical._entity import EntityEmbeddingEncoder

__all__ = ["EntityEmbeddingEncoder"]
