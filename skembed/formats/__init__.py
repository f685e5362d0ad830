"""Files that hold tables: written whole or not at all, read without trusting a byte."""

from skembed.formats._errors import FormatError
from skembed.formats._native import load_table, save_table

__all__ = ["FormatError", "load_table", "save_table"]
