"""Two kinds of things in one space, learned from pairs."""

from skembed.pairs._cca_embedder import CCAEmbedder

__all__ = ["CCAEmbedder"]
