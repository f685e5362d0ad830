"""The training loop of torch models: passes over rows by index, in an order that a generator decides."""

from typing import Protocol

import torch

from skembed.training.nets.threads import threads_for
from skembed.training.passes import BatchSettings, History, Resumable, repeat_passes
from skembed.training.run import Run

__all__ = ["Trainable", "run_passes"]


class Trainable(Resumable, Protocol):
    """What the loop trains.

    Attributes
    ----------
    n_products : float
        Multiplications of a forward pass for a row, about: whether a step is work for several threads.
    """

    n_products: float

    def step(self, rows: torch.Tensor) -> torch.Tensor:
        """Learn from these rows once; return their summed loss, a scalar tensor without gradient."""


def run_passes(
    model: Trainable,
    rows: torch.Tensor,
    total_weight: float,
    generator: torch.Generator,
    settings: BatchSettings,
    run: Run,
) -> History:
    """Train `model` for at most `max_iter` passes over `rows`.

    Parameters
    ----------
    model : Trainable
    rows : LongTensor of shape (n_rows,)
        Row numbers that the model understands.
    total_weight : float
        Sum of the sample weights of `rows`: the loss is reported for one unit of it.
    generator : torch.Generator
        Decides the order of the rows; on the CPU. It is the model's, too: the seed of `run` is not looked at.
    settings : BatchSettings
    run : Run

    Returns
    -------
    History
        What ends training early is told in `skembed.training.passes.repeat_passes`.
    """

    def one_pass() -> float:
        return _one_pass(model, rows, settings.batch_size, generator) / max(total_weight, 1e-300)

    with threads_for(settings.batch_size * model.n_products):
        return repeat_passes(model, one_pass, settings, run)


def _one_pass(model: Trainable, rows: torch.Tensor, batch_size: int, generator: torch.Generator) -> float:
    order = rows[torch.randperm(len(rows), generator=generator, device="cpu")]
    total = None
    for start in range(0, len(order), batch_size):
        loss = model.step(order[start : start + batch_size])
        total = loss.double() if total is None else total + loss
    return float(total) if total is not None else 0.0
