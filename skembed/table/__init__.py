"""The noun of the library: keys beside vectors, and tables that compose keys they do not hold."""

from skembed.table.embedding_table import EmbeddingTable
from skembed.table.subword_table import SubwordTable

__all__ = ["EmbeddingTable", "SubwordTable"]
