"""Tables of keys beside vectors, and tables that compose vectors of keys they do not hold."""

from skembed.table.embedding_table import EmbeddingTable
from skembed.table.subword_table import SubwordTable

__all__ = ["EmbeddingTable", "SubwordTable"]
