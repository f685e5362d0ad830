"""Tables learned again under a frozen head, against a direct solve where the head is linear."""

import numpy as np
import pytest
import torch

from skembed.training.gauss_newton import input_metric, relearn_tables
from skembed.training.losses import MultiLoss
from skembed.training.table_net import Block, TableNet

N, LEVELS, DIM = 300, 6, 3


def linear_net(*, kind="continuous", trainable=True, n_targets=1, seed=0):
    """A net of one column whose head is one linear layer, and the numbers it was made of."""
    rng = np.random.default_rng(seed)
    ids = rng.integers(1, LEVELS, N)  # row 0, the unknown level, has no rows
    start = rng.standard_normal((LEVELS + 1, DIM)).astype(np.float32)  # the last row has none either
    target = rng.standard_normal((N, n_targets))
    if kind == "binary":
        target = (target > 0).astype(float)
    weight = rng.uniform(0.5, 2.0, N)
    offset = rng.standard_normal((N, n_targets))
    head = torch.nn.Sequential(torch.nn.Linear(DIM, n_targets))
    with torch.no_grad():
        head[0].weight.copy_(torch.as_tensor(rng.standard_normal((n_targets, DIM))))
        head[0].bias.copy_(torch.as_tensor(rng.standard_normal(n_targets)))
    block = Block([0], torch.tensor([0]), torch.as_tensor(ids)[:, None], torch.as_tensor(start), trainable)
    net = TableNet(
        [block],
        np.empty((N, 0)),
        offset,
        target,
        weight,
        MultiLoss([(kind, i, i + 1) for i in range(n_targets)]),
        head,
        learning_rate=0.01,
        unknown_rate=0.0,
        generator=torch.Generator().manual_seed(0),
        validation=np.empty(0, dtype=np.int64),
        device=torch.device("cpu"),
    )
    return net, ids, start, target, weight, offset


def direct_solve(net, ids, start, target, weight, offset, rows, ratio):
    """The minimum of sum w (offset + b + A e - y)^2 / 2 + ratio/2 |e - start|^2 for each row of the table."""
    A = net.head[0].weight.detach().double().numpy()
    b = net.head[0].bias.detach().double().numpy()
    out = start.astype(np.float64)
    for level in np.unique(ids[rows]):
        mine = rows[ids[rows] == level]
        left = weight[mine].sum() * A.T @ A + ratio * np.eye(DIM)
        wanted = target[mine] - offset[mine] - b - start[level] @ A.T
        out[level] += np.linalg.solve(left, A.T @ (weight[mine] @ wanted))
    return out


@pytest.mark.parametrize("n_targets", [1, 2])
@pytest.mark.parametrize("ratio", [1.0, 50.0])
def test_a_linear_head_is_a_ridge(ratio, n_targets):
    net, *parts = linear_net(n_targets=n_targets)
    rows = np.arange(0, N, 2)
    (found,) = relearn_tables(net, torch.as_tensor(rows), ratio=ratio, n_iter=40, seed=0)
    np.testing.assert_allclose(found.numpy(), direct_solve(net, *parts, rows, ratio), rtol=1e-3, atol=1e-3)


def test_rows_without_samples_and_an_infinite_ratio_stay_at_the_start():
    net, ids, start, *_ = linear_net()
    (found,) = relearn_tables(net, torch.arange(N), ratio=5.0, n_iter=3, seed=0)
    untouched = np.setdiff1d(np.arange(len(start)), ids)
    np.testing.assert_array_equal(found.numpy()[untouched], start[untouched])
    assert not np.allclose(found.numpy()[ids], start[ids])
    (kept,) = relearn_tables(net, torch.arange(N), ratio=float("inf"), n_iter=3, seed=0)
    np.testing.assert_array_equal(kept.numpy(), start)


def test_frozen_blocks_stay_and_the_net_is_left_as_it_was():
    net, _, start, *_ = linear_net(trainable=False)
    before = [p.clone() for p in net.head.parameters()]
    (found,) = relearn_tables(net, torch.arange(N), ratio=5.0, n_iter=3, seed=0)
    np.testing.assert_array_equal(found.numpy(), start)
    assert all(torch.equal(a, b) for a, b in zip(before, net.head.parameters()))
    assert torch.equal(net.tables[0].weight, torch.as_tensor(start))


def test_row_ratio_counts_as_rows_seen_before():
    net, *parts = linear_net()
    rows = np.arange(N)
    seen = torch.full((LEVELS + 1,), 40.0)
    (found,) = relearn_tables(net, torch.as_tensor(rows), ratio=10.0, n_iter=40, seed=0, row_ratio=[seen])
    np.testing.assert_allclose(found.numpy(), direct_solve(net, *parts, rows, 50.0), rtol=1e-3, atol=1e-3)


def test_the_order_of_rows_changes_rounding_alone():
    net, *_ = linear_net(kind="binary")
    one = relearn_tables(net, torch.arange(N), ratio=5.0, n_iter=4, seed=0)[0]
    other = relearn_tables(net, torch.arange(N).flip(0), ratio=5.0, n_iter=4, seed=0)[0]
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_a_logistic_head_comes_to_a_stationary_point():
    net, _, start, *_ = linear_net(kind="binary")
    ratio = 5.0
    (found,) = relearn_tables(net, torch.arange(N), ratio=ratio, n_iter=60, seed=0)
    weights = found.clone().requires_grad_(True)
    scores = net.scores(net.gather(net.ids(torch.arange(N)), [weights]), torch.arange(N))
    loss = (net.loss(scores, net.target) * net.weight).sum()
    objective = loss + ratio / 2 * ((weights - torch.as_tensor(start)) ** 2).sum()
    (gradient,) = torch.autograd.grad(objective, weights)
    assert gradient.abs().max() < 1e-2


def test_the_diagonal_takes_over_where_the_systems_are_too_large(monkeypatch):
    net, *parts = linear_net()
    monkeypatch.setattr("skembed.training.gauss_newton.MAX_CURVATURE_VALUES", 1)
    rows = np.arange(N)
    (found,) = relearn_tables(net, torch.as_tensor(rows), ratio=50.0, n_iter=400, seed=0)
    np.testing.assert_allclose(found.numpy(), direct_solve(net, *parts, rows, 50.0), rtol=1e-2, atol=1e-2)


def test_the_metric_of_a_linear_head_is_its_gram_matrix():
    net, *_ = linear_net(n_targets=2)
    A = net.head[0].weight.detach().numpy()
    (metric,) = input_metric(net, [net.blocks[0].start], torch.arange(N), seed=0)
    np.testing.assert_allclose(metric[0].numpy(), A.T @ A, rtol=1e-4, atol=1e-5)
