"""Data that comes with the library: no file, no download."""

from skembed.datasets._unicode import load_unicode

__all__ = ["load_unicode"]
