"""Torch: the loop, row tables, losses, and one file a model."""
