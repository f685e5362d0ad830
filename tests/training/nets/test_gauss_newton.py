"""Tables learned again: the compiled path beside the one of torch, and what a step solves."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from skembed.training.nets import gauss_newton  # noqa: E402
from skembed.training.nets.gauss_newton import input_metric, relearn_tables  # noqa: E402
from skembed.training.nets.losses import MultiLoss  # noqa: E402
from skembed.training.nets.table_net import Block, TableNet, build_head  # noqa: E402


def make_net(kinds, seed=0, n=400, hidden=(8,)):
    rng = np.random.default_rng(seed)
    generator = torch.Generator().manual_seed(seed)
    n_targets = sum(width for _, width in kinds)
    parts, start = [], 0
    for kind, width in kinds:
        parts.append((kind, start, start + width))
        start += width
    blocks = []
    for dim, sizes in ((2, [5, 30]), (3, [12])):
        starts = np.cumsum([0, *sizes])[:-1]
        ids = np.stack([rng.integers(size - 1, size=n) for size in sizes], 1) + starts  # the last row is never met
        code = 0.3 * rng.standard_normal((sum(sizes), dim))
        blocks.append(
            Block([0] * len(sizes), torch.tensor(starts), torch.tensor(ids), torch.tensor(code, dtype=torch.float32))
        )
    target = rng.standard_normal((n, n_targets))
    for kind, begin, stop in parts:
        if kind == "binary":
            target[:, begin:stop] = target[:, begin:stop] > 0
        elif kind == "multiclass":
            target[:, begin:stop] = np.eye(stop - begin)[rng.integers(stop - begin, size=n)]
    net = TableNet(
        blocks,
        np.zeros((n, 0)),
        np.zeros((n, n_targets)),
        target,
        rng.uniform(0.5, 2, n),
        MultiLoss(parts),
        build_head(7, hidden, n_targets, generator),
        learning_rate=0.01,
        unknown_rate=0.1,
        generator=generator,
        validation=np.empty(0, dtype=np.int64),
        device=torch.device("cpu"),
    )
    for parameter in net.head.parameters():
        parameter.requires_grad_(False)
    return net


def slow_add_vectors(total, ids, vectors, scale):
    np.add.at(total, ids, scale[:, None, None] * vectors)


KINDS = [[("continuous", 1)], [("binary", 1)], [("continuous", 1), ("binary", 1)], [("multiclass", 3)]]


@pytest.mark.parametrize("kinds", KINDS)
def test_force_is_minus_the_gradient_of_the_loss(kinds):
    net = make_net(kinds)
    rows = torch.arange(100, 300)
    weights = [b.start.clone() for b in net.blocks]
    ids = net.ids(rows)
    totals = [np.zeros(w.shape, np.float32) for w in weights]
    for vectors, force, _ in gauss_newton._derivatives(net, ids, weights, rows, torch.Generator()):
        if force is not None:
            for total, i, v in zip(totals, ids, vectors):
                slow_add_vectors(total, i.numpy(), v.numpy(), force.numpy())
    tables = [w.clone().requires_grad_(True) for w in weights]
    losses = net.loss(net.scores(net.gather(ids, tables), rows), net.target[rows]) * net.weight[rows]
    gradients = torch.autograd.grad(losses.sum(), tables)
    for total, gradient in zip(totals, gradients):
        np.testing.assert_allclose(total, -gradient.numpy(), atol=1e-4)


def test_a_linear_head_is_solved_exactly():
    """With a linear head and squared error, and one column, the steps converge to the ridge solution."""
    net = make_net([("continuous", 1)], hidden=())
    net.unknown_rate = 0.0
    net.blocks = [net.blocks[1]]
    net.head[0] = torch.nn.Linear(3, 1)
    net.head.requires_grad_(False)
    (found,) = relearn_tables(net, torch.arange(400), ratio=3.0, n_iter=60, seed=0)
    slope, bias = net.head[0].weight[0].numpy().astype(float), float(net.head[0].bias)
    start, ids = net.blocks[0].start.numpy(), net.blocks[0].ids.numpy()[:, 0]
    weight, y = net.weight.numpy(), net.target.numpy()[:, 0]
    for row in range(len(start)):
        w = weight[ids == row]
        residual = (w * (y[ids == row] - bias - start[row] @ slope)).sum()
        expected = start[row] + np.linalg.solve(w.sum() * np.outer(slope, slope) + 3.0 * np.eye(3), residual * slope)
        np.testing.assert_allclose(found[row], expected, atol=1e-4)


@pytest.mark.parametrize("kinds", KINDS)
@pytest.mark.parametrize("limit", [1 << 26, 0])
def test_the_torch_path_gives_the_same(kinds, limit, monkeypatch):
    """What other devices do with torch's own operations, here on the CPU."""
    net = make_net(kinds)
    monkeypatch.setattr(gauss_newton, "MAX_CURVATURE_VALUES", limit)
    rows = torch.arange(400)
    compiled = relearn_tables(net, rows, ratio=5.0, n_iter=2, seed=3)
    monkeypatch.setattr(gauss_newton, "_on_cpu", lambda tensor: False)
    for a, b, block in zip(compiled, relearn_tables(net, rows, ratio=5.0, n_iter=2, seed=3), net.blocks):
        np.testing.assert_allclose(a, b, atol=1e-4)
        assert not torch.equal(a, block.start)


def test_the_size_of_batches_changes_nothing(monkeypatch):
    net = make_net([("continuous", 1)])
    net.unknown_rate = 0.0
    whole = relearn_tables(net, torch.arange(400), ratio=5.0, n_iter=2, seed=0)
    monkeypatch.setattr(gauss_newton, "BATCH_SIZE", 70)
    for a, b in zip(whole, relearn_tables(net, torch.arange(400), ratio=5.0, n_iter=2, seed=0)):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-4)


def test_a_ratio_of_each_row_is_added_to_the_one_of_all():
    net = make_net([("continuous", 1)])
    halves = [torch.full((len(block.start),), 2.5) for block in net.blocks]
    whole = relearn_tables(net, torch.arange(400), ratio=5.0, n_iter=2, seed=0)
    for a, b in zip(whole, relearn_tables(net, torch.arange(400), ratio=2.5, n_iter=2, seed=0, row_ratio=halves)):
        torch.testing.assert_close(a, b)


def test_what_no_row_shows_stays_at_its_start():
    net = make_net([("continuous", 1)])
    for table, block in zip(relearn_tables(net, torch.arange(400), ratio=5.0, n_iter=3, seed=0), net.blocks):
        assert torch.equal(table[-1], block.start[-1])


def test_input_metric_is_the_mean_of_squared_slopes():
    net = make_net([("continuous", 1)], hidden=())
    weights = [b.start for b in net.blocks]
    slope = net.head[0].weight[0]
    first, second = input_metric(net, weights, torch.arange(400), 0)
    np.testing.assert_allclose(first[1], torch.outer(slope[2:4], slope[2:4]), rtol=1e-4)
    np.testing.assert_allclose(second[0], torch.outer(slope[4:], slope[4:]), rtol=1e-4)
