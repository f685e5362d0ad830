"""Two kinds of things in one space, learned from pairs."""

from skembed.pairs._cca_embedder import CCAEmbedder
from skembed.pairs._translation import translate

__all__ = ["CCAEmbedder", "translate"]
