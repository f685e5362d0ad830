"""Tables of levels under hidden layers: the joint training, and the tables learned again below a frozen head."""

from dataclasses import replace

import numpy as np
import torch

from skembed.training.level_net import DEFAULT_SHRINKAGE, DIRECTION_FLOOR, LevelProblem, NetPart, NetSettings
from skembed.training.nets.device import resolve_device, seeded_generator
from skembed.training.nets.gauss_newton import input_metric, relearn_tables
from skembed.training.nets.loop import run_passes
from skembed.training.nets.losses import MultiLoss
from skembed.training.nets.table_net import Block, TableNet, build_head
from skembed.training.nets.threads import one_thread_in_forks
from skembed.training.run import Run

__all__ = ["learn_net"]

SHRINKAGES = (10.0, 50.0, 250.0, float("inf"))  # tried on the validation rows
N_RELEARN_ITER = 6
UNKNOWN_RATE = 0.02


@one_thread_in_forks()
@torch.inference_mode(False)
@torch.enable_grad()
def learn_net(
    problem: LevelProblem, validation: np.ndarray, settings: NetSettings, run: Run, relearn_seed: int
) -> NetPart:
    """Train the net, freeze its head, and learn the tables again.

    Parameters
    ----------
    problem : LevelProblem
    validation : ndarray of int
        Rows held out; empty for none, and no early stopping.
    settings : NetSettings
    run : Run
        Of the joint training.
    relearn_seed : int
        As in `relearn_tables`, the same each time: tables of different rows differ by their rows alone.

    Returns
    -------
    NetPart
    """
    net, generator = build_net(problem, validation, settings, run.seed)
    n, seed = len(problem.ids), relearn_seed
    training = np.setdiff1d(np.arange(n), net.validation.cpu().numpy())
    settings = replace(settings, early_stopping=len(net.validation) > 0)
    learned_from = torch.as_tensor(training, device="cpu")
    history = run_passes(net, learned_from, float(net.weight[training].sum()), generator, settings, run)
    for parameter in net.head.parameters():
        parameter.requires_grad_(False)
    shrinkage = choose_shrinkage(net, torch.as_tensor(training, device=net.device), seed)

    def tables(rows: np.ndarray) -> tuple[list[torch.Tensor], list[np.ndarray]]:
        found = relearn_tables(
            net, torch.as_tensor(rows, device=net.device), ratio=shrinkage, n_iter=N_RELEARN_ITER, seed=seed
        )
        return found, split_blocks(net.blocks, found, problem.initial)

    weights, raw = tables(np.arange(n))
    helped = np.isfinite(shrinkage)
    return NetPart(
        initial=problem.initial,
        raw=raw,
        fold_raw=[tables(train)[1] for train, _ in problem.folds] if problem.holds_out and helped else [],
        scalings=scalings(problem, net, weights, seed, helped),
        head=[p.detach().cpu().numpy() for p in net.head.parameters()],
        shrinkage=shrinkage,
        history=history,
    )


@one_thread_in_forks()
@torch.inference_mode(False)
@torch.enable_grad()
def continue_net(
    problem: LevelProblem,
    seen: list[np.ndarray],
    shrinkage: float,
    settings: NetSettings,
    run: Run,
    relearn_seed: int,
) -> tuple[list[np.ndarray], list[np.ndarray], list[float]]:
    """Take the net through further rows once, and move the tables by steps that count the rows seen before.

    Parameters
    ----------
    problem : LevelProblem
        Of the new rows; `initial` and `head` are those so far.
    seen : list of ndarray of shape (n_table_rows,)
        Weighted rows of each level before.
    shrinkage : float
    settings : NetSettings
        Of which the pass is one, whatever `max_iter`, without early stopping.
    run : Run
    relearn_seed : int
        As in `learn_net`.

    Returns
    -------
    raw : list of ndarray
        The tables.
    head : list of ndarray
    loss_curve : list of float
    """
    net, generator = build_net(problem, np.empty(0, dtype=np.int64), settings, run.seed)
    rows = torch.arange(len(problem.ids), device="cpu")
    one_pass = replace(settings, max_iter=1, early_stopping=False)
    history = run_passes(net, rows, float(net.weight.sum()), generator, one_pass, run)
    unit = problem.weight.mean()  # the net's weights have mean 1
    stacked = [
        torch.as_tensor(np.concatenate([seen[c] for c in b.columns]) / unit, dtype=torch.float32, device=net.device)
        for b in net.blocks
    ]
    weights = relearn_tables(
        net, rows.to(net.device), ratio=shrinkage, n_iter=N_RELEARN_ITER, seed=relearn_seed, row_ratio=stacked
    )
    head = [p.detach().cpu().numpy() for p in net.head.parameters()]
    return split_blocks(net.blocks, weights, problem.initial), head, history.loss_curve


def build_net(
    problem: LevelProblem, validation: np.ndarray, settings: NetSettings, seed: int
) -> tuple[TableNet, torch.Generator]:
    """Lay the problem out as a `TableNet`; return it and its generator."""
    device, generator = resolve_device(settings.device), seeded_generator(seed)
    blocks = stack_blocks(problem)
    n_inputs = sum(len(b.columns) * b.dim for b in blocks) + problem.numeric.shape[1]
    head = build_head(n_inputs, settings.hidden_layer_sizes, problem.target.n_targets, generator)
    if problem.head and [p.shape for p in head.parameters()] == [torch.Size(a.shape) for a in problem.head]:
        with torch.no_grad():
            for parameter, value in zip(head.parameters(), problem.head):
                parameter.copy_(torch.as_tensor(value, device="cpu"))
    net = TableNet(
        blocks,
        problem.numeric,
        np.zeros_like(problem.coded) if problem.offset is None else problem.offset,
        problem.coded,
        problem.weight / problem.weight.mean(),
        MultiLoss([(o.kind, o.start, o.stop) for o in problem.target.outputs]),
        head,
        learning_rate=settings.learning_rate,
        unknown_rate=UNKNOWN_RATE,
        generator=generator,
        validation=validation,
        device=device,
    )
    if problem.warm_start:
        for block, table in zip(net.blocks, net.tables):
            warm_start = np.concatenate([problem.warm_start[c] for c in block.columns])
            table.weight.copy_(torch.as_tensor(warm_start, dtype=torch.float32, device=net.device))
    return net, generator


def stack_blocks(problem: LevelProblem) -> list[Block]:
    """Stack the tables of columns with equal dimension: one gather and one update for all of them."""
    initial = problem.initial
    groups: dict[tuple[int, bool], list[int]] = {}
    for c, table in enumerate(initial):
        if table.shape[1]:
            groups.setdefault((table.shape[1], c in problem.frozen), []).append(c)
    blocks = []
    for (_, frozen), columns in sorted(groups.items()):
        starts = np.concatenate([[0], np.cumsum([len(initial[c]) for c in columns])])[:-1]
        blocks.append(
            Block(
                columns=columns,
                starts=torch.as_tensor(starts, device="cpu"),
                ids=torch.as_tensor(problem.ids[:, columns].astype(np.int64) + starts, device="cpu"),
                start=torch.as_tensor(np.concatenate([initial[c] for c in columns]), dtype=torch.float32, device="cpu"),
                trainable=not frozen,
            )
        )
    return blocks


def split_blocks(blocks: list[Block], weights: list[torch.Tensor], initial: list[np.ndarray]) -> list[np.ndarray]:
    """Return the table of each column from the stacks; columns without dimensions keep their empty one."""
    out = list(initial)
    for block, weight in zip(blocks, weights):
        array = weight.cpu().numpy()
        for c, start in zip(block.columns, block.starts.tolist()):
            out[c] = array[start : start + len(initial[c])].copy()
    return out


def choose_shrinkage(net: TableNet, training: torch.Tensor, seed: int) -> float:
    """Return the strongest shrinkage whose tables, learned from the training rows, predict the validation rows well.

    Well is within one standard error of the best, the error being that of the paired differences (Breiman et al. 1984,
    section 3.4.3): what the net learned has to be worth the noise that it brings.
    """
    if not len(net.validation):
        return DEFAULT_SHRINKAGE
    weight = net.weight[net.validation].cpu().double().numpy()
    losses = {}
    for ratio in SHRINKAGES:
        weights = relearn_tables(net, training, ratio=ratio, n_iter=N_RELEARN_ITER, seed=seed)
        losses[ratio] = net.row_losses(net.validation, weights).cpu().double().numpy()
    finite = [ratio for ratio in SHRINKAGES if np.isfinite(losses[ratio]).all()]
    if not finite:
        return float("inf")
    best = min(finite, key=lambda ratio: float(np.average(losses[ratio], weights=weight)))

    def is_close(ratio: float) -> bool:
        excess = losses[ratio] - losses[best]
        mean = np.average(excess, weights=weight)
        error = np.sqrt((weight**2 * (excess - mean) ** 2).sum()) / weight.sum()
        return bool(mean <= error)

    return max(ratio for ratio in finite if is_close(ratio))


def scalings(
    problem: LevelProblem, net: TableNet, weights: list[torch.Tensor], seed: int, helped: bool
) -> list[np.ndarray]:
    """Return for each column the map from its rows to the directions that the net reads, (dim, n_read).

    Along each of them a distance is about the change of the prediction. A direction that moves the prediction less than
    a floor is one the net does not read: learning has moved rows along it by chance alone. Tables that were given keep
    their own space; of a net that did not help nothing is read.
    """
    maps = [
        np.eye(table.shape[1]) if c in problem.from_init else np.empty((table.shape[1], 0))
        for c, table in enumerate(problem.initial)
    ]
    if not helped:
        return maps
    rows = torch.arange(len(problem.ids), device=net.device)
    for block, found in zip(net.blocks, input_metric(net, weights, rows, seed)):
        for c, metric in zip(block.columns, found.cpu().double().numpy()):
            if c not in problem.from_init:
                values, vectors = np.linalg.eigh(metric)
                read = values > DIRECTION_FLOOR**2
                maps[c] = (vectors[:, read] * np.sqrt(values[read]))[:, ::-1]
    return maps
