"""Files that hold tables: written whole or not at all, read without trusting a byte."""

from skembed.formats._errors import FormatError
from skembed.formats._load import READ_FORMATS, load_table
from skembed.formats._save import WRITTEN_FORMATS, save_table

__all__ = ["READ_FORMATS", "WRITTEN_FORMATS", "FormatError", "load_table", "save_table"]
