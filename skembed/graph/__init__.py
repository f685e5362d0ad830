"""Nodes of a graph as vectors."""

from skembed.data.graph import read_edges
from skembed.graph._node_embedder import NodeEmbedder

__all__ = ["NodeEmbedder", "read_edges"]
