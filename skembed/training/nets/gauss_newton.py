"""Tables learned again under a frozen head: damped Gauss-Newton steps, each row shrunk towards where it began.

With the head h fixed, the loss of a row's vector e is near ``sum_i l(h(e)_i) + ratio/2 |e - start|^2``; one step solves
its quadratic model exactly, a small system for each row (Levenberg-Marquardt; Nocedal & Wright 2006, section 10.3). A
row that n samples touch moves by n/(n + ratio) of what they ask for, where their curvature is 1. There is no learning
rate and no order of samples, so the outcome is a function of the rows given and of nothing else.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from skembed.kernels import row_systems
from skembed.training.nets.table_net import TableNet
from skembed.training.nets.threads import threads_for

__all__ = ["input_metric", "relearn_tables"]

BATCH_SIZE = 8_192
DAMPING = 0.5  # all columns move at once, and share what one of them would move alone
MAX_CURVATURE_VALUES = 1 << 26  # 256 MiB of float32; beyond, only the diagonal is kept


def relearn_tables(
    net: TableNet,
    rows: torch.Tensor,
    *,
    ratio: float,
    n_iter: int,
    seed: int,
    initial: Sequence[torch.Tensor] | None = None,
    row_ratio: Sequence[torch.Tensor] | None = None,
) -> list[torch.Tensor]:
    """Learn the tables of `net` from some of its rows with the head as it is.

    Parameters
    ----------
    net : TableNet
        Only its head, offsets, targets and starts are used; it is left as it was.
    rows : LongTensor of shape (n_rows,)
    ratio : float
        Penalty on the distance from the start, in samples of curvature 1. Infinity returns the start.
    n_iter : int
    seed : int
        Decides which occurrences are made unknown, so that the unknown row is learned too.
    initial : sequence of Tensor, optional
        Where to begin and shrink to; the blocks' own starts by default.
    row_ratio : sequence of Tensor of shape (n_table_rows,), optional
        Added to `ratio`, a value for each table row.

    Returns
    -------
    list of Tensor of shape (n_table_rows, dim)
        One for each block. Untouched rows have the unknown row's vector if they are levels that `rows` never shows.
    """
    starts = [block.start for block in net.blocks] if initial is None else list(initial)
    weights = [start.clone() for start in starts]
    if ratio == float("inf"):
        return weights
    ratios = [torch.full((len(w), 1), ratio, dtype=w.dtype, device=w.device) for w in weights]
    if row_ratio is not None:
        ratios = [a + b.to(a.device)[:, None] for a, b in zip(ratios, row_ratio)]
    with threads_for(min(len(rows), BATCH_SIZE) * net.n_products):
        for _ in range(n_iter):
            systems = _accumulate(net, rows, weights, seed)
            for weight, start, penalty, (curvature, force) in zip(weights, starts, ratios, systems):
                _step(weight, start, curvature, force, penalty)
    for block, weight, start in zip(net.blocks, weights, starts):
        if not block.trainable:
            weight.copy_(start)
    return weights


def _accumulate(net: TableNet, rows: torch.Tensor, weights: Sequence[torch.Tensor], seed: int):
    """Sum curvature, (n, dim, dim) or its diagonal (n, dim), and force (n, dim) over the samples of each table row."""
    generator = torch.Generator(device="cpu").manual_seed(seed)
    systems = []
    for weight in weights:
        n, dim = weight.shape
        shape = (n, dim, dim) if n * dim * dim <= MAX_CURVATURE_VALUES else (n, dim)
        systems.append((torch.zeros(shape, dtype=weight.dtype, device=weight.device), torch.zeros_like(weight)))
    for start in range(0, len(rows), BATCH_SIZE):
        part = rows[start : start + BATCH_SIZE]
        ids = net.ids(part, generator)
        for vectors, force, curvature in _derivatives(net, ids, weights, part, generator):
            for (matrices, total), block_ids, v in zip(systems, ids, vectors):
                if force is not None:
                    _add_vectors(total, block_ids, v, force)
                if curvature is not None:
                    _add_outer_products(matrices, block_ids, v, curvature)
    return systems


def _derivatives(
    net: TableNet, ids, weights, rows, generator
) -> list[tuple[Sequence[torch.Tensor], torch.Tensor | None, torch.Tensor | None]]:
    """Return vectors for every gathered row, and by how much each sample's count as force and as curvature.

    Minus the gradient of a sample's weighted loss is the sum of ``force * vector`` over them, its curvature the sum of
    ``curvature * vector vector'``. Where the outputs do not mix, the derivatives of the scores serve as both.
    """
    gathered = [part.requires_grad_(True) for part in net.gather(ids, weights)]
    scores = net.scores(gathered, rows)
    detached, sample_weight = scores.detach(), net.weight[rows]
    residual = net.loss.residual(detached, net.target[rows])
    roots = net.loss.curvature_roots(detached, generator)
    factors: list[tuple[torch.Tensor | None, torch.Tensor | None]]
    if net.loss.is_diagonal:
        seeds = [row.expand_as(scores) for row in torch.eye(scores.shape[1], dtype=scores.dtype, device=scores.device)]
        factors = [(residual[:, k] * sample_weight, v[:, k] ** 2 * sample_weight) for k, v in enumerate(roots)]
    else:
        seeds = [residual, *roots]
        factors = [(sample_weight, None), *((None, sample_weight) for _ in roots)]
    last = len(seeds) - 1
    vectors = [torch.autograd.grad(scores, gathered, v, retain_graph=i < last) for i, v in enumerate(seeds)]
    return [(v, *factor) for v, factor in zip(vectors, factors)]


def _add_vectors(total: torch.Tensor, ids: torch.Tensor, vectors: torch.Tensor, scale: torch.Tensor) -> None:
    """Add ``scale[i] * vectors[i, c]`` to ``total[ids[i, c]]``."""
    if _on_cpu(total):
        row_systems.add_vectors(*_arrays(total, ids, vectors, scale))
    else:
        total.index_add_(0, ids.flatten(), (scale[:, None, None] * vectors).flatten(0, 1))


def _add_outer_products(matrices: torch.Tensor, ids: torch.Tensor, vectors: torch.Tensor, scale: torch.Tensor) -> None:
    """Add ``scale[i] * outer(vectors[i, c], vectors[i, c])``, or its diagonal, to ``matrices[ids[i, c]]``."""
    if _on_cpu(matrices):
        add: Any = row_systems.add_squares if matrices.ndim == 2 else row_systems.add_outer_products
        add(*_arrays(matrices, ids, vectors, scale))
        return
    scaled = scale[:, None, None] * vectors
    for c in range(ids.shape[1]):  # one column at a time: the products are dim times the size of the vectors
        v, w = scaled[:, c], vectors[:, c]
        matrices.index_add_(0, ids[:, c], v * w if matrices.ndim == 2 else v[:, :, None] * w[:, None, :])


def _on_cpu(tensor: torch.Tensor) -> bool:
    return tensor.device.type == "cpu"


def _arrays(*tensors: torch.Tensor) -> list[np.ndarray]:
    """Return numpy views; of tensors that are not contiguous, copies."""
    return [tensor.contiguous().numpy() for tensor in tensors]


def _step(
    weight: torch.Tensor, start: torch.Tensor, curvature: torch.Tensor, force: torch.Tensor, penalty: torch.Tensor
):
    """Move every row towards the minimum of its quadratic model, in place."""
    if curvature.ndim == 3 and _on_cpu(weight):
        step: Any = row_systems.step_rows
        step(*_arrays(weight, start, curvature, force, penalty[:, 0]), DAMPING)
        return
    force = force - penalty * (weight - start)
    if curvature.ndim == 2:
        # the diagonal ignores how the dimensions lean on each other: share the step among them
        weight += DAMPING * force / (weight.shape[1] ** 0.5 * curvature + penalty)
    else:
        curvature.diagonal(dim1=1, dim2=2).add_(penalty)
        weight += DAMPING * torch.linalg.solve(curvature, force)


def input_metric(net: TableNet, weights: Sequence[torch.Tensor], rows: torch.Tensor, seed: int) -> list[torch.Tensor]:
    """Return how much a column's vector matters: the mean over `rows` of J' H J, (n_columns, dim, dim) of each block.

    J is the derivative of the scores with respect to the column's vector, H the loss's curvature in the scores. For two
    levels ``(e - f)' M (e - f)`` is then about the mean squared change, in units of the target's own spread, when one
    is put for the other.
    """
    generator = torch.Generator(device="cpu").manual_seed(seed)
    totals = [torch.zeros((len(b.columns), b.dim, b.dim), dtype=torch.float32, device=net.device) for b in net.blocks]
    mass = 0.0
    for start in range(0, len(rows), BATCH_SIZE):
        part = rows[start : start + BATCH_SIZE]
        for vectors, _, curvature in _derivatives(net, net.ids(part), weights, part, generator):
            if curvature is not None:
                for total, v in zip(totals, vectors):
                    total += torch.einsum("n,ncd,nce->cde", curvature, v, v)
        mass += float(net.weight[part].sum())
    return [total / max(mass, 1e-30) for total in totals]  # of float32
