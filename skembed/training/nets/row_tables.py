"""Tables of rows as torch parameters whose updates touch the rows of a batch alone."""

import numpy as np
import torch

from skembed.kernels.adam import adam_rows

__all__ = ["RowTable"]


class RowTable:
    """One matrix of rows under Adam (Kingma & Ba 2015), updated where a batch touched it.

    A row's moments decay when the row is met, not at every step, as in torch's SparseAdam; so a step costs what its
    batch holds, however many rows there are.

    Parameters
    ----------
    weight : Tensor of shape (n_rows, dim), float32
    learning_rate : float
    weight_decay : float, default=0.0
        As in AdamW, of the rows of a batch.
    """

    beta1, beta2, epsilon = 0.9, 0.999, 1e-8

    def __init__(self, weight: torch.Tensor, learning_rate: float, weight_decay: float = 0.0) -> None:
        self.weight = weight.clone(memory_format=torch.contiguous_format)
        self.learning_rate, self.weight_decay = learning_rate, weight_decay
        self.first = torch.zeros_like(self.weight)
        self.second = torch.zeros_like(self.weight)
        self.n_steps = 0
        self._slots = np.zeros(len(weight) if weight.device.type == "cpu" else 0, dtype=np.int32)

    def update(self, ids: torch.Tensor, gradient: torch.Tensor) -> None:
        """Take one step.

        Parameters
        ----------
        ids : LongTensor of shape (n,)
            Rows, repeated where a batch holds them more than once.
        gradient : Tensor of shape (n, dim)
            Of the loss with respect to each of those occurrences; occurrences of a row are summed.
        """
        if self.weight_decay:
            self.weight[torch.unique(ids)] *= 1 - self.learning_rate * self.weight_decay
        self.n_steps += 1
        rate = self.learning_rate * (1 - self.beta2**self.n_steps) ** 0.5 / (1 - self.beta1**self.n_steps)
        if self.weight.device.type == "cpu":
            arrays = [t.contiguous().numpy() for t in (self.weight, self.first, self.second, ids, gradient)]
            adam_rows(*arrays, self._slots, *map(np.float32, (rate, self.beta1, self.beta2, self.epsilon)))
            return
        touched, inverse = torch.unique(ids, return_inverse=True)
        total = torch.zeros((len(touched), gradient.shape[1]), dtype=gradient.dtype, device=gradient.device)
        total.index_add_(0, inverse, gradient)
        first = self.first[touched].lerp_(total, 1 - self.beta1)
        second = self.second[touched].lerp_(total * total, 1 - self.beta2)
        self.first[touched] = first
        self.second[touched] = second
        self.weight.index_add_(0, touched, first / (second.sqrt_() + self.epsilon), alpha=-rate)
