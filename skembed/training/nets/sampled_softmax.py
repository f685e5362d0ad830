"""Softmax over many words of which a step sees a sample, its scores corrected by the logarithm of the expected counts.

Bengio & Senécal 2008; Jean et al. 2015 (arXiv:1412.2007): a step costs what its batch and its sample hold, however many
words there are.
"""

from typing import NamedTuple

import numpy as np
import torch

from skembed.training.nets.row_tables import RowTable

__all__ = ["Chosen", "SampledSoftmax", "initial_output"]


class Chosen(NamedTuple):
    """The words that a step sees.

    Attributes
    ----------
    sample : LongTensor of shape (n_sampled,)
        Each once.
    ids : LongTensor of shape (n,)
        Those of the sample and, unless that is all words, the targets behind them.
    weights : Tensor of shape (n, width + 1)
        Their rows, which take a gradient.
    """

    sample: torch.Tensor
    ids: torch.Tensor
    weights: torch.Tensor


class SampledSoftmax:
    """Scores of words: a table whose rows are weights of the features, and the bias.

    Parameters
    ----------
    table : RowTable
        Of shape (n_words, width + 1).
    counts : ndarray of shape (n_words,)
        The proposal draws words in proportion to ``counts ** ns_exponent``.
    n_samples : int or None
        Words drawn for a batch; None: all.
    ns_exponent : float
    generator : torch.Generator
        On the CPU.

    Attributes
    ----------
    takes_all : bool
        Whether each step sees all words.
    n_products : int
        Multiplications for the scores of a row.
    """

    def __init__(
        self, table: RowTable, counts: np.ndarray, n_samples: int | None, ns_exponent: float, generator: torch.Generator
    ) -> None:
        self.table, self._generator = table, generator
        self._device = table.weight.device
        self._n_samples = n_samples or 1
        self.takes_all = n_samples is None or n_samples >= len(counts)
        self.n_products = table.weight.shape[1] * (len(counts) if self.takes_all else self._n_samples)
        share = np.maximum(counts, 1).astype(np.float64) ** ns_exponent
        share /= share.sum()
        self._cumulated = torch.as_tensor(np.cumsum(share), device="cpu")
        # The sample holds each word once: it is there with the probability that so many draws find it.
        expected = -np.expm1(self._n_samples * np.log1p(-np.minimum(share, 1 - 1e-12)))
        self._log_expected = torch.as_tensor(np.log(expected), dtype=torch.float32, device=self._device)

    def choose(self, targets: torch.Tensor) -> Chosen:
        """Draw the words of a step."""
        if self.takes_all:
            sample = ids = torch.arange(len(self.table.weight), device=self._device)
        else:
            sample = self._draw()
            ids = torch.cat([sample, targets])
        return Chosen(sample, ids, self.table.weight.index_select(0, ids).requires_grad_(True))

    def _draw(self) -> torch.Tensor:
        draws = torch.rand(self._n_samples, generator=self._generator, dtype=torch.float64, device="cpu")
        words = torch.searchsorted(self._cumulated, draws).clamp(max=len(self._cumulated) - 1)
        return torch.unique(words).to(self._device)

    def loss(self, features: torch.Tensor, targets: torch.Tensor, chosen: Chosen) -> torch.Tensor:
        """Return the summed cross-entropy of the targets beside the words that were chosen.

        Parameters
        ----------
        features : Tensor of shape (n_rows, width)
        targets : LongTensor of shape (n_rows,)
            Those that `choose` was given.
        chosen : Chosen

        Returns
        -------
        Tensor, a scalar
        """
        sample, weights = chosen.sample, chosen.weights
        scores = features @ weights[: len(sample), :-1].T + weights[: len(sample), -1]
        if self.takes_all:
            return torch.nn.functional.cross_entropy(scores, targets, reduction="sum")
        of_targets = (features * weights[len(sample) :, :-1]).sum(dim=1) + weights[len(sample) :, -1]
        scores = scores - self._log_expected[sample]
        scores = scores.masked_fill(sample[None, :] == targets[:, None], -torch.inf)  # the target stands for itself
        of_targets = of_targets - self._log_expected[targets]
        return (torch.logaddexp(scores.logsumexp(dim=1), of_targets) - of_targets).sum()

    def update(self, chosen: Chosen) -> None:
        """Take a step along the gradient of what was chosen."""
        self.table.update(chosen.ids, chosen.weights.grad)  # type: ignore[arg-type]

    def full_loss(self, features: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return the summed cross-entropy of the targets among all words."""
        scores = features @ self.table.weight[:, :-1].T + self.table.weight[:, -1]
        return torch.nn.functional.cross_entropy(scores, targets, reduction="sum")


def initial_output(counts: np.ndarray, width: int, reach: float, generator: torch.Generator) -> torch.Tensor:
    """Return rows that a table begins from: weights uniform in ±reach, biases that give words their own frequencies.

    Returns
    -------
    Tensor of shape (n_words, width + 1), float32, on the CPU
    """
    start = torch.empty((len(counts), width + 1), dtype=torch.float32, device="cpu")
    start.uniform_(-reach, reach, generator=generator)
    start[:, -1] = torch.as_tensor(np.log((counts + 1.0) / (counts + 1.0).sum()), device="cpu")
    return start
