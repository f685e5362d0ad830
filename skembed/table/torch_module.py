"""A torch.nn.Embedding of a table, and which row each key has in it; torch is imported when one is made."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from skembed.table.keys import find_rows, key_list, unseen_message

__all__ = ["TorchEmbedding", "torch_embedding"]


@dataclass(frozen=True)
class TorchEmbedding:
    """What `EmbeddingTable.to_torch` returns.

    Attributes
    ----------
    module : torch.nn.Embedding
        Row i is the vector of key i of the table; behind them stand the row of unknown keys, if there is one, and that
        of padding.
    index : dict
        The row of each key.
    unknown_row : int or None
        The row of keys that are not in `index`.
    padding_row : int
        `padding_idx` of the module: zeros, which training leaves as they are.
    """

    module: Any
    index: dict[Any, int]
    unknown_row: int | None
    padding_row: int

    def encode(self, sequences: Iterable[Iterable]) -> Any:
        """Rows of keys as the module takes them, each sequence padded to the longest.

        Parameters
        ----------
        sequences : iterable of n sequences of keys

        Returns
        -------
        torch.Tensor of shape (n, length of the longest), int64

        Raises
        ------
        KeyError
            For keys without a row if there is none for unknown ones.
        """
        import torch

        found = [self._rows(key_list(keys, "sequences")) for keys in sequences]
        padded = np.full((len(found), max(map(len, found), default=0)), self.padding_row, dtype=np.int64)
        for place, rows in zip(padded, found):
            place[: len(rows)] = rows
        return torch.from_numpy(padded)

    def _rows(self, keys: list) -> np.ndarray:
        rows = find_rows(keys, self.index)
        if self.unknown_row is None and (rows < 0).any():
            raise KeyError(f"{unseen_message(keys, rows)}. Pass default= a vector, a number or 'mean' to to_torch.")
        return np.where(rows < 0, self.padding_row if self.unknown_row is None else self.unknown_row, rows)


def torch_embedding(
    vectors: np.ndarray, index: dict[Any, int], unknown: np.ndarray | None, freeze: bool
) -> TorchEmbedding:
    """Vectors of keys, the one of unknown keys if there is one, and zeros for padding, as rows of a module."""
    import torch

    n_keys, padding_row = len(vectors), len(vectors) + (unknown is not None)
    weights = np.zeros((padding_row + 1, vectors.shape[1]), dtype=np.float32)
    weights[:n_keys] = vectors
    if unknown is not None:
        weights[n_keys] = unknown
    module = torch.nn.Embedding.from_pretrained(torch.from_numpy(weights), freeze=freeze, padding_idx=padding_row)
    return TorchEmbedding(module, dict(index), None if unknown is None else n_keys, padding_row)
