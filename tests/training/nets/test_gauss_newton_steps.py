"""One damped Gauss-Newton step of each table, solved row by row in numpy; its sizes, penalties and frozen tables."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from test_gauss_newton import make_net  # noqa: E402

from skembed.training.nets import gauss_newton  # noqa: E402
from skembed.training.nets.gauss_newton import input_metric, relearn_tables  # noqa: E402


def derivatives(net, weights, row):
    """Of one row: minus the gradient of its weighted loss in each gathered vector, and its curvature there."""
    tables = [w.clone().double().requires_grad_(True) for w in weights]
    head, net.head = net.head, torch.nn.Sequential(*net.head).double()
    rows = torch.tensor([row])
    ids = net.ids(rows)
    gathered = [t[i] for t, i in zip(tables, ids)]
    scores = net.head(torch.cat([part.flatten(1) for part in gathered], dim=1)).double()
    jacobian = [
        torch.stack([torch.autograd.grad(scores[0, k], part, retain_graph=True)[0][0] for k in range(scores.shape[1])])
        for part in gathered
    ]
    hessian = torch.autograd.functional.hessian(lambda s: net.loss(s, net.target[rows].double()).sum(), scores.detach())
    hessian = hessian[0, :, 0, :]
    residual = net.loss.residual(scores.detach(), net.target[rows].double())[0]
    net.head = head.float()
    weight = float(net.weight[row])
    found = []
    for block, (i, J) in enumerate(zip(ids, jacobian)):
        for c in range(i.shape[1]):
            j = J[:, c].numpy()
            found.append((block, c, int(i[0, c]), weight * residual.numpy() @ j, weight * j.T @ hessian.numpy() @ j))
    return found


@pytest.mark.parametrize("kinds", [[("continuous", 1)], [("continuous", 1), ("binary", 1)]])
@pytest.mark.parametrize("diagonal", [False, True])
@pytest.mark.parametrize("row_ratio", [False, True])
def test_a_step_solves_the_quadratic_model_of_each_row_and_is_halved(kinds, diagonal, row_ratio, monkeypatch):
    if diagonal:
        monkeypatch.setattr(gauss_newton, "MAX_CURVATURE_VALUES", 0)
    net = make_net(kinds, n=40)
    net.unknown_rate = 0.0
    rows = torch.arange(5, 40)
    starts = [b.start + 0.1 for b in net.blocks]
    own = [torch.arange(1.0, 1 + len(s)) for s in starts] if row_ratio else None
    found = relearn_tables(net, rows, ratio=2.0, n_iter=1, seed=0, initial=starts, row_ratio=own)
    weights = [s.clone() for s in starts]
    force = [np.zeros(s.shape) for s in starts]
    curvature = [np.zeros((*s.shape, s.shape[1])) for s in starts]
    for row in rows.tolist():
        for block, _, i, f, h in derivatives(net, weights, row):
            force[block][i] += f
            curvature[block][i] += h
    for block, start in enumerate(starts):
        for i in range(len(start)):
            penalty = 2.0 + (1.0 + i if row_ratio else 0.0)
            if diagonal:
                step = force[block][i] / (start.shape[1] ** 0.5 * np.diagonal(curvature[block][i]) + penalty)
            else:
                step = np.linalg.solve(curvature[block][i] + penalty * np.eye(start.shape[1]), force[block][i])
            np.testing.assert_allclose(found[block][i], start[i] + 0.5 * torch.tensor(step), rtol=1e-3, atol=1e-4)


def test_a_second_step_is_drawn_back_to_where_the_first_began():
    """With no rows all that is left is the penalty: nothing moves from the start, and half of the way back to it."""
    net = make_net([("continuous", 1)], n=40)
    (first, second) = relearn_tables(net, torch.arange(0), ratio=2.0, n_iter=3, seed=0)
    assert torch.equal(first, net.blocks[0].start)
    assert torch.equal(second, net.blocks[1].start)
    weight, start = torch.ones((1, 2)), torch.zeros((1, 2))
    gauss_newton._step(weight, start, torch.zeros((1, 2, 2)), torch.zeros((1, 2)), torch.tensor([[3.0]]))
    torch.testing.assert_close(weight, torch.full((1, 2), 0.5))


@pytest.mark.parametrize("limit", [12 * 9, 12 * 9 - 1])
def test_curvature_is_whole_up_to_a_bound_of_its_values(limit, monkeypatch):
    monkeypatch.setattr(gauss_newton, "MAX_CURVATURE_VALUES", limit)
    net = make_net([("continuous", 1)], n=40)
    systems = gauss_newton._accumulate(net, torch.arange(40), [b.start for b in net.blocks], 0)
    assert systems[1][0].shape == ((12, 3, 3) if limit == 12 * 9 else (12, 3))
    assert systems[1][1].shape == (12, 3)


def test_tables_that_are_frozen_keep_their_start_and_infinite_penalties_all():
    net = make_net([("continuous", 1)], n=40)
    net.blocks[0].trainable = False
    found = relearn_tables(net, torch.arange(40), ratio=2.0, n_iter=2, seed=0)
    assert torch.equal(found[0], net.blocks[0].start)
    assert not torch.equal(found[1], net.blocks[1].start)
    held = relearn_tables(net, torch.arange(40), ratio=float("inf"), n_iter=2, seed=0)
    for table, block in zip(held, net.blocks):
        assert torch.equal(table, block.start)
        assert table is not block.start


def test_levels_that_are_made_unknown_are_the_seeds():
    net = make_net([("continuous", 1)])
    one, same, other = (relearn_tables(net, torch.arange(400), ratio=2.0, n_iter=2, seed=s) for s in (0, 0, 1))
    assert all(torch.equal(a, b) for a, b in zip(one, same))
    assert not all(torch.equal(a, b) for a, b in zip(one, other))


@pytest.mark.parametrize("kinds", [[("continuous", 1)], [("binary", 1)], [("continuous", 1), ("binary", 1)]])
@pytest.mark.parametrize("at_once", [7, 8192])
def test_the_metric_is_the_weighted_mean_of_curvatures(kinds, at_once, monkeypatch):
    monkeypatch.setattr(gauss_newton, "BATCH_SIZE", at_once)
    net = make_net(kinds, n=40)
    weights = [b.start for b in net.blocks]
    rows = torch.arange(3, 40)
    expected = [np.zeros((b.ids.shape[1], b.dim, b.dim)) for b in net.blocks]
    for row in rows.tolist():
        for block, c, _, _, h in derivatives(net, weights, row):
            expected[block][c] += h
    total = float(net.weight[rows].sum())
    for found, sums in zip(input_metric(net, weights, rows, 0), expected):
        np.testing.assert_allclose(found, sums / total, rtol=1e-3, atol=1e-6)


def test_the_metric_of_no_rows_is_nothing():
    net = make_net([("continuous", 1)], n=40)
    for block in net.blocks:
        block.columns = list(range(block.ids.shape[1]))
    for found, block in zip(input_metric(net, [b.start for b in net.blocks], torch.arange(0), 0), net.blocks):
        assert found.shape == (block.ids.shape[1], block.dim, block.dim)
        assert not found.any()


def test_a_metric_of_classes_is_the_same_for_a_seed_and_near_to_the_curvature():
    net = make_net([("multiclass", 3)], n=400)
    weights, rows = [b.start for b in net.blocks], torch.arange(400)
    one, same = (input_metric(net, weights, rows, 5) for _ in range(2))
    other = input_metric(net, weights, rows, 6)
    assert all(torch.equal(a, b) for a, b in zip(one, same))
    assert not torch.equal(one[0], other[0])
    expected = [np.zeros((b.ids.shape[1], b.dim, b.dim)) for b in net.blocks]
    for row in range(0, 400, 4):
        for block, c, _, _, h in derivatives(net, weights, row):
            expected[block][c] += h
    total = float(net.weight[::4].sum())
    for found, sums in zip(one, expected):
        np.testing.assert_allclose(found, sums / total, rtol=0.35, atol=0.2 * np.abs(sums / total).max())
