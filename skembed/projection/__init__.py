"""Rows of numbers, or of mixed columns, as vectors of another space."""

from skembed.projection._projection import ProjectionEmbedder

__all__ = ["ProjectionEmbedder"]
