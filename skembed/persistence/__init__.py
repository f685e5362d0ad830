"""Files of whole estimators: `save` and `load`, without pickle; and what skops has to trust to do the same."""

from skembed.persistence._files import load, save
from skembed.persistence._registry import trusted_types

__all__ = ["load", "save", "trusted_types"]
