"""Documents that a `PretrainedVectorizer` is fitted on."""

from typing import Any

import numpy as np

from skembed.data.corpus import EncodedCorpus
from skembed.text._inputs import Chunks
from skembed.text._normalized_encoder import normalize_corpus
from skembed.text._normalizer import TextNormalizer
from skembed.text._tokens import Tokenizer

__all__ = ["TextInputs"]


class TextInputs:
    """Documents, read once; see `Inputs`."""

    def __init__(self, X: Any, tokenizer: Tokenizer) -> None:
        self._corpus = EncodedCorpus.read(tokenizer.documents(X), tokenizer)
        self.tokens = self._corpus.words
        self.size = f"{self._corpus.n_documents} documents with {int(self._corpus.counts.sum())} words"

    def candidates(self, normalizer: TextNormalizer) -> set[str]:
        return {word for token in self.tokens for form in normalizer.normalized_forms(token) for word in form}

    def normalize(self, normalizer: TextNormalizer, known: Any) -> None:
        normalize_corpus(self._corpus, [normalizer.normalize(token, known) for token in self.tokens])
        self.words, self.counts = self._corpus.words, self._corpus.counts
        self.column_counts = [self.counts]

    def sequences(self, row_of: np.ndarray) -> Chunks:
        return self._corpus.sequences(row_of)

    def documents(self, row_of: np.ndarray) -> list[Chunks]:
        """Return the documents as chunks, those of the only column."""
        return [self._corpus.documents(row_of)]

    def __enter__(self) -> "TextInputs":
        return self

    def __exit__(self, *error: object) -> None:
        self._corpus.__exit__(*error)
