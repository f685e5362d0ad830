"""The net over tables: its start, its inputs, steps beside the same in float64, and the level unknown."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from slow_steps import SlowAdam, watch  # noqa: E402

from skembed.training.nets.device import resolve_device, seeded_generator  # noqa: E402
from skembed.training.nets.losses import MultiLoss  # noqa: E402
from skembed.training.nets.row_tables import RowTable  # noqa: E402
from skembed.training.nets.table_net import Block, TableNet, build_head  # noqa: E402

PARTS = [("continuous", 0, 1), ("binary", 1, 2), ("multiclass", 2, 5)]
N = 30


def net_of(*, hidden=(6,), unknown_rate=0.0, frozen=False, seed=0, validation=(0, 1, 2)):
    rng = np.random.default_rng(seed)
    blocks = []
    for dim, sizes in ((2, [4, 5]), (3, [6])):
        starts = np.cumsum([0, *sizes])[:-1]
        ids = np.stack([rng.integers(size, size=N) for size in sizes], axis=1) + starts
        start = torch.as_tensor(rng.normal(size=(sum(sizes), dim)), dtype=torch.float32)
        columns = list(range(len(sizes)))
        trainable = not (frozen and dim == 3)
        blocks.append(Block(columns, torch.as_tensor(starts), torch.as_tensor(ids), start, trainable))
    target = np.column_stack([rng.normal(size=N), rng.integers(2, size=N), np.eye(3)[rng.integers(3, size=N)]])
    return TableNet(
        blocks, rng.normal(size=(N, 2)), rng.normal(size=(N, 5)), target, rng.uniform(0.5, 3, N), MultiLoss(PARTS),
        build_head(9, hidden, 5, seeded_generator(seed)), learning_rate=0.02, unknown_rate=unknown_rate,
        generator=seeded_generator(seed), validation=np.array(validation, dtype=np.int64), device=torch.device("cpu"),
    )  # fmt: skip


def slow_losses(net, tables, head, rows):
    """Of each row the sum of its outputs' losses, in float64 from tables that gradients are taken of."""
    losses = []
    for row in rows:
        parts = [table[net.blocks[k].ids[row]].flatten() for k, table in enumerate(tables)]
        x = torch.cat([*parts, net.numeric[row].double()])
        for k in range(0, len(head), 2):
            x = head[k] @ (torch.relu(x) if k else x) + head[k + 1]
        scores, target = x + net.offset[row].double(), net.target[row].double()
        p = torch.sigmoid(scores[1])
        logs = scores[2:] - scores[2:].logsumexp(0)
        loss = 0.5 * (scores[0] - target[0]) ** 2 - (target[2:] * logs).sum()
        losses.append(loss - target[1] * p.log() - (1 - target[1]) * (1 - p).log())
    return torch.stack(losses)


@pytest.mark.parametrize("hidden", [(), (6,), (5, 4)])
@pytest.mark.parametrize("frozen", [False, True])
def test_steps_are_those_of_the_weighted_mean_loss(hidden, frozen):
    net = net_of(hidden=hidden, frozen=frozen)
    tables = [SlowAdam(block.start) for block in net.blocks]
    head = [SlowAdam(p.detach(), 1e-4) for p in net.head.parameters()]
    gradients = watch(net.optimizer, "step", lambda: net.optimizer.gradient.clone())
    for rows in ([3, 7, 8, 20], [4, 5, 6], [7, 7, 29]):
        twins = [torch.tensor(t.weight, requires_grad=True) for t in tables]
        layers = [torch.tensor(p.weight, requires_grad=True) for p in head]
        losses = slow_losses(net, twins, layers, rows) * net.weight[rows].double()
        (losses.sum() / net.weight[rows].double().sum()).backward()
        assert float(net.step(torch.tensor(rows))) == pytest.approx(float(losses.sum()), rel=1e-4)
        expected = torch.cat([p.grad.flatten() for p in layers])
        torch.testing.assert_close(gradients[-1].double(), expected, rtol=1e-3, atol=1e-5)
        for p, layer in zip(head, layers):
            p.step(layer.grad, 0.02)
        for k, (table, twin) in enumerate(zip(tables, twins)):
            if net.blocks[k].trainable:
                table.step(twin.grad, 0.02, np.unique(net.blocks[k].ids[rows]))
    for found, expected in zip(net.tables, tables):
        np.testing.assert_allclose(found.weight, expected.weight, rtol=1e-3, atol=1e-3)
    for found, expected in zip(net.head.parameters(), head):
        np.testing.assert_allclose(found.detach(), expected.weight, rtol=1e-3, atol=1e-4)
    assert (net.tables[1].weight == net.blocks[1].start).all() == frozen


def test_rows_without_weight_teach_nothing_and_only_the_head_decays():
    net = net_of()
    net.weight[:] = 0.0
    net.optimizer.learning_rate = 100.0
    before, tables = [p.detach().clone() for p in net.head.parameters()], [t.weight.clone() for t in net.tables]
    assert float(net.step(torch.arange(10))) == 0.0
    for found, expected in zip(net.head.parameters(), before):
        torch.testing.assert_close(found.detach(), 0.99 * expected)
    for found, expected in zip(net.tables, tables):
        torch.testing.assert_close(found.weight, expected)
    assert net.mean_loss(torch.arange(10), tables) == 0.0


def test_mean_losses_are_weighted_and_batches_change_nothing():
    net = net_of()
    weights, rows = [t.weight for t in net.tables], torch.arange(5, 29)
    doubles, head = [w.double() for w in weights], [p.detach().double() for p in net.head.parameters()]
    expected = slow_losses(net, doubles, head, rows.tolist())
    for size in (1, 7, 65_536):
        np.testing.assert_allclose(net.row_losses(rows, weights, size), expected, rtol=1e-4)
    weight = net.weight[rows].double()
    assert net.mean_loss(rows, weights) == pytest.approx(float((expected * weight).sum() / weight.sum()), rel=1e-5)


def test_the_score_is_what_is_left_of_the_null_loss_on_what_is_held_out():
    net = net_of(validation=range(12))
    mean = np.average(net.target.double(), axis=0, weights=net.weight.double())
    scores = np.array([mean[0], np.log(mean[1] / (1 - mean[1])), *np.log(mean[2:])])
    losses = net.loss(torch.tensor(scores).expand(12, -1), net.target[:12].double())
    null = np.average(losses, weights=net.weight[:12].double())
    assert net.null_loss == pytest.approx(null, rel=1e-5)
    left = net.mean_loss(torch.arange(12), [t.weight for t in net.tables])
    assert net.validation_score() == pytest.approx(1 - left / null, rel=1e-5)
    assert net_of(validation=()).null_loss == 1.0


def test_an_output_that_is_always_or_never_true_has_a_finite_null_loss():
    net = net_of(validation=range(12))
    net.target[:, 1] = 1.0
    net.target[:, 2:] = torch.tensor([1.0, 0.0, 0.0])
    net.target[:, 0] = net.target[0, 0]
    assert 0 < net._null_loss() < 1e-5
    net.loss = MultiLoss([("continuous", 0, 1)])
    assert net._null_loss() == 1e-12


def test_a_share_of_levels_is_made_unknown_in_training_alone():
    net = net_of(unknown_rate=0.2)
    rows = torch.arange(N).repeat(400)
    plain, drawn = net.ids(rows), net.ids(rows, seeded_generator(1))
    for block, before, after in zip(net.blocks, plain, drawn):
        assert torch.equal(before, block.ids[rows])
        for c in range(before.shape[1]):
            is_known = before[:, c] != block.starts[c]
            made = after[is_known, c] == block.starts[c]
            assert float(made.double().mean()) == pytest.approx(0.2, abs=0.02)
            assert torch.equal(after[is_known, c][~made], before[is_known, c][~made])
    net.unknown_rate = 0.0
    state = net.generator.get_state()
    for before, after in zip(plain, net.ids(rows, net.generator)):
        assert torch.equal(before, after)
    assert torch.equal(state, net.generator.get_state())


def test_gathered_rows_are_those_of_their_columns():
    net = net_of()
    ids = net.ids(torch.arange(4))
    for k, part in enumerate(net.gather(ids, [t.weight for t in net.tables])):
        assert part.shape == (4, len(net.blocks[k].columns), net.blocks[k].dim)
        for row in range(4):
            for c in range(part.shape[1]):
                assert torch.equal(part[row, c], net.tables[k].weight[ids[k][row, c]])


@pytest.mark.filterwarnings("ignore:Initializing zero-element")
def test_layers_begin_uniform_in_one_by_the_root_of_their_inputs_and_the_last_in_a_tenth():
    head = build_head(25, (100, 64), 40, seeded_generator(0))
    assert [type(layer).__name__ for layer in head] == ["Linear", "ReLU", "Linear", "ReLU", "Linear"]
    for layer, bound in zip(head[::2], (0.2, 0.1, 0.0125)):
        for parameter in layer.parameters():
            assert float(parameter.abs().max()) <= bound
        assert float(layer.weight.max()) > 0.95 * bound
        assert float(layer.weight.min()) < -0.95 * bound
    (only,) = build_head(4, (), 2, seeded_generator(0))
    assert float(only.weight.abs().max()) <= 0.05
    (none,) = build_head(0, (), 50, seeded_generator(0))
    assert 0.09 < float(none.bias.max()) <= 0.1


def test_a_state_is_a_copy_that_comes_back():
    net = net_of()
    score, state = net.validation_score(), net.snapshot()
    net.step(torch.arange(3, 20))
    assert net.validation_score() != score
    net.restore(state)
    assert net.validation_score() == score
    for table, weight in zip(net.tables, state[0]):
        assert torch.equal(table.weight, weight)
    for parameter, value in zip(net.head.parameters(), state[1]):
        assert torch.equal(parameter, value)
    assert not torch.equal(net.blocks[0].start, net.tables[0].weight + 1)


def test_weight_decay_of_a_table_is_that_of_adamw_on_the_rows_of_a_batch():
    generator = seeded_generator(0)
    start = torch.randn((8, 3), generator=generator)
    table, slow = RowTable(start, 0.05, weight_decay=0.3), SlowAdam(start, 0.3)
    for ids in ([1, 1, 4], [4, 5], [1, 7, 7, 7]):
        gradient = torch.randn((len(ids), 3), generator=generator)
        table.update(torch.tensor(ids), gradient)
        summed = np.zeros((8, 3))
        np.add.at(summed, ids, gradient.numpy())
        slow.step(summed, 0.05, sorted(set(ids)))
    np.testing.assert_allclose(table.weight, slow.weight, rtol=1e-4, atol=1e-6)


def test_tables_of_other_devices_take_the_same_steps(monkeypatch):
    """Their steps are torch's operations; here on the CPU, which says that it is another device."""

    class Elsewhere(torch.Tensor):
        @property
        def device(self):
            return Device()

    class Device:
        type = "elsewhere"

    generator = seeded_generator(0)
    start = torch.randn((9, 3), generator=generator)
    table, slow = RowTable(start, 0.05, weight_decay=0.1), SlowAdam(start, 0.1)
    table.weight = table.weight.as_subclass(Elsewhere)
    for ids in ([2, 2, 3], [3, 8], [0, 2, 2, 8]):
        gradient = torch.randn((len(ids), 3), generator=generator)
        table.update(torch.tensor(ids), gradient)
        summed = np.zeros((9, 3))
        np.add.at(summed, ids, gradient.numpy())
        slow.step(summed, 0.05, sorted(set(ids)))
    np.testing.assert_allclose(table.weight.as_subclass(torch.Tensor), slow.weight, rtol=1e-4, atol=1e-6)
    # of a gradient as small as epsilon, which is added to its length, the step is a shorter one
    before = table.weight.as_subclass(torch.Tensor)[5].clone()
    table.n_steps = 0
    table.update(torch.tensor([5]), torch.full((1, 3), 1e-8))
    step = before - table.weight.as_subclass(torch.Tensor)[5]
    decayed = before * 0.05 * 0.1
    expected = 0.05 * 0.001**0.5 / 0.1 * 1e-9 / (1e-8 * 0.001**0.5 + 1e-8)
    np.testing.assert_allclose(step - decayed, expected, rtol=1e-2)


def test_devices_by_their_names(monkeypatch):
    assert resolve_device("cpu") == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert resolve_device("auto") == torch.device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert resolve_device("auto") == torch.device("cpu")
    for device in ("nowhere", "cuda:9999"):
        with pytest.raises(ValueError, match=rf"device is '{device}' and cannot be used here \(.*expected 'auto'"):
            resolve_device(device)
