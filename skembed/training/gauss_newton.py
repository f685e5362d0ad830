"""Tables learned again under a frozen head: damped Gauss-Newton steps, each row shrunk towards where it began.

With the head h fixed, the loss of a row's vector e is near ``sum_i l(h(e)_i) + ratio/2 |e - start|^2``; one step solves
its quadratic model exactly, a small system for each row (Levenberg-Marquardt; Nocedal & Wright 2006, section 10.3). A
row that n samples touch moves by n/(n + ratio) of what they ask for, where their curvature is 1. There is no learning
rate and no order of samples, so the outcome is a function of the rows given and of nothing else.
"""

from collections.abc import Sequence

import torch

from skembed.training.table_net import TableNet

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
    begin: Sequence[torch.Tensor] | None = None,
    row_ratio: Sequence[torch.Tensor] | None = None,
) -> list[torch.Tensor]:
    """Learn the tables of `net` from some of its rows with the head as it is.

    Parameters
    ----------
    net : TableNet
        Only its head, offsets, targets and starts are used; it is left as it was.
    rows : LongTensor of shape (n_rows,)
    ratio : float
        Strength of the pull towards the start, in samples of curvature 1. Infinity returns the start.
    n_iter : int
    seed : int
        Decides which occurrences are made unknown, so that the unknown row is learned too.
    begin : sequence of Tensor, optional
        Where to begin and shrink to; the blocks' own starts by default.
    row_ratio : sequence of Tensor of shape (n_table_rows,), optional
        Added to `ratio`, a value for each table row.

    Returns
    -------
    list of Tensor of shape (n_table_rows, dim)
        One for each block. Untouched rows have the unknown row's vector if they are levels that `rows` never shows.
    """
    starts = [block.start for block in net.blocks] if begin is None else list(begin)
    weights = [start.clone() for start in starts]
    if ratio == float("inf"):
        return weights
    ratios = [torch.full((len(w), 1), ratio, dtype=w.dtype, device=w.device) for w in weights]
    if row_ratio is not None:
        ratios = [a + b.to(a.device)[:, None] for a, b in zip(ratios, row_ratio)]
    for _ in range(n_iter):
        systems = _accumulate(net, rows, weights, seed)
        for weight, start, pull, (curvature, force) in zip(weights, starts, ratios, systems):
            force = force - pull * (weight - start)
            if curvature.ndim == 2:
                # the diagonal ignores how the dimensions lean on each other: share the step among them
                weight += DAMPING * force / (weight.shape[1] ** 0.5 * curvature + pull)
            else:
                curvature.diagonal(dim1=1, dim2=2).add_(pull)
                weight += DAMPING * torch.linalg.solve(curvature, force)
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
        full = n * dim * dim <= MAX_CURVATURE_VALUES
        curvature = torch.zeros((n, dim * dim if full else dim), dtype=weight.dtype, device=weight.device)
        systems.append((curvature, torch.zeros_like(weight)))
    for start in range(0, len(rows), BATCH_SIZE):
        part = rows[start : start + BATCH_SIZE]
        ids = net.ids(part, generator)
        force, roots = _derivatives(net, ids, weights, part, generator)
        for k, block_ids in enumerate(ids):
            curvature, total = systems[k]
            dim = total.shape[1]
            for c in range(block_ids.shape[1]):
                where = block_ids[:, c]
                total.index_add_(0, where, force[k][:, c])
                for root in roots:
                    j = root[k][:, c]
                    product = (j[:, :, None] * j[:, None, :]).flatten(1) if curvature.shape[1] != dim else j * j
                    curvature.index_add_(0, where, product)
    return [
        (c.view(len(c), f.shape[1], f.shape[1]) if c.shape[1] == f.shape[1] ** 2 and f.shape[1] > 1 else c, f)
        for c, f in systems
    ]


def _derivatives(net: TableNet, ids, weights, rows, generator):
    """Return minus the gradient of each sample's weighted loss, and its curvature's roots, for every gathered row."""
    gathered = [part.requires_grad_(True) for part in net.gather(ids, weights)]
    scores = net.scores(gathered, rows)
    detached, sample_weight = scores.detach(), net.weight[rows][:, None]
    residual = net.loss.residual(detached, net.target[rows]) * sample_weight
    vectors = [root * sample_weight.sqrt() for root in net.loss.curvature_roots(detached, generator)]
    force = torch.autograd.grad(scores, gathered, residual, retain_graph=True)
    roots = [torch.autograd.grad(scores, gathered, v, retain_graph=i < len(vectors) - 1) for i, v in enumerate(vectors)]
    return force, roots


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
        _, roots = _derivatives(net, net.ids(part), weights, part, generator)
        for root in roots:
            for total, j in zip(totals, root):
                total += torch.einsum("ncd,nce->cde", j, j)
        mass += float(net.weight[part].sum())
    return [total / max(mass, 1e-300) for total in totals]
