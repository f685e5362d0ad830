"""Sequences as vectors: cases of events, with a recurrent net, also to predict what comes next."""

from skembed.data.case_table import CaseTable, to_sequences
from skembed.sequence._sequence_embedder import SequenceEmbedder

__all__ = ["CaseTable", "SequenceEmbedder", "to_sequences"]
