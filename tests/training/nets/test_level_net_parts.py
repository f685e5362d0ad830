"""Nets under hidden layers: a problem laid out, tables that are learned again, and directions that are read."""

from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from skembed.training.level_net import DEFAULT_SHRINKAGE, DIRECTION_FLOOR, NetSettings  # noqa: E402
from skembed.training.nets import level_net  # noqa: E402
from skembed.training.nets.gauss_newton import input_metric, relearn_tables  # noqa: E402
from skembed.training.nets.level_net import (  # noqa: E402
    N_RELEARN_ITER,
    build_net,
    continue_net,
    learn_net,
    scalings,
    split_blocks,
    stack_blocks,
)
from skembed.training.run import Run  # noqa: E402

N = 60
SIZES, DIMS = [4, 5, 3, 6], [2, 3, 2, 0]


def problem_of(**changes):
    rng = np.random.default_rng(0)
    ids = np.stack([rng.integers(size, size=N) for size in SIZES], axis=1).astype(np.int32)
    effect = rng.normal(size=(2, 5))
    y = effect[0][ids[:, 0]] * effect[1][ids[:, 1]] + 0.1 * rng.normal(size=N)
    fields = {
        "ids": ids, "numeric": rng.normal(size=(N, 2)), "coded": (y[:, None] - y.mean()) / y.std(),
        "weight": rng.uniform(0.5, 3, N), "offset": None, "warm_start": [], "head": [], "from_init": set(),
        "frozen": set(), "folds": [(np.arange(20, N), np.arange(20)), (np.arange(40), np.arange(40, N))],
        "holds_out": True, "initial": [rng.normal(size=(n, d)).astype(np.float32) for n, d in zip(SIZES, DIMS)],
        "target": SimpleNamespace(n_targets=1, outputs=[SimpleNamespace(kind="continuous", start=0, stop=1)]),
    }  # fmt: skip
    return SimpleNamespace(**fields | changes)


def settings_of(**changes):
    chosen = {"hidden_layer_sizes": (6,), "batch_size": 16, "max_iter": 3, "learning_rate": 0.01, "device": "cpu"}
    return NetSettings(**chosen | changes)


def test_columns_of_one_dimension_are_stacked_and_split_again():
    problem = problem_of(frozen={2})
    blocks = stack_blocks(problem)
    assert [(block.columns, block.dim, block.trainable) for block in blocks] == [
        ([0], 2, True), ([2], 2, False), ([1], 3, True),
    ]  # fmt: skip
    together = stack_blocks(problem_of())
    assert [(block.columns, block.starts.tolist()) for block in together] == [([0, 2], [0, 4]), ([1], [0])]
    for block in together:
        for k, c in enumerate(block.columns):
            start = int(block.starts[k])
            np.testing.assert_array_equal(block.start[start : start + SIZES[c]], problem.initial[c])
            np.testing.assert_array_equal(block.ids[:, k] - start, problem.ids[:, c])
    for blocks_ in (blocks, together):
        tables = split_blocks(blocks_, [block.start + 1 for block in blocks_], problem.initial)
        for c, (found, initial) in enumerate(zip(tables, problem.initial)):
            np.testing.assert_allclose(found, initial + (1 if DIMS[c] else 0))
            assert found.shape == initial.shape


def test_a_net_has_the_problems_numbers_and_weights_of_mean_one():
    problem = problem_of()
    net, generator = build_net(problem, np.array([3, 5]), settings_of(), 7)
    assert [p.shape for p in net.head.parameters()] == [(6, 9), (6,), (1, 6), (1,)]
    np.testing.assert_allclose(net.weight, problem.weight / problem.weight.mean(), rtol=1e-6)
    np.testing.assert_allclose(net.target, problem.coded, rtol=1e-6)
    np.testing.assert_allclose(net.numeric, problem.numeric, rtol=1e-6)
    assert not net.offset.any()
    assert net.offset.shape == (N, 1)
    assert net.validation.tolist() == [3, 5]
    assert net.generator is generator
    assert net.unknown_rate == level_net.UNKNOWN_RATE
    assert net.optimizer.learning_rate == net.tables[0].learning_rate == 0.01
    again, _ = build_net(problem, np.array([3, 5]), settings_of(), 7)
    other, _ = build_net(problem, np.array([3, 5]), settings_of(), 8)
    assert torch.equal(net.head[0].weight, again.head[0].weight)
    assert not torch.equal(net.head[0].weight, other.head[0].weight)
    offset = np.arange(N)[:, None] / N
    with_offset, _ = build_net(problem_of(offset=offset), np.array([3]), settings_of(), 7)
    np.testing.assert_allclose(with_offset.offset, offset, rtol=1e-6)


def test_a_net_begins_from_an_earlier_head_of_its_shape_and_from_warm_tables():
    problem = problem_of()
    head = [np.full(p.shape, 0.25, np.float32) for p in build_net(problem, [], settings_of(), 0)[0].head.parameters()]
    warm = [table + 5 for table in problem.initial]
    net, _ = build_net(problem_of(head=head, warm_start=warm), [], settings_of(), 0)
    assert all((parameter == 0.25).all() for parameter in net.head.parameters())
    tables = split_blocks(net.blocks, [table.weight for table in net.tables], problem.initial)
    for found, expected in zip(tables, warm):
        np.testing.assert_allclose(found, expected)
    for block, expected in zip(net.blocks, stack_blocks(problem)):
        np.testing.assert_array_equal(block.start, expected.start)
    other = settings_of(hidden_layer_sizes=(5,))
    of_another_shape, _ = build_net(problem_of(head=head), [], other, 0)
    without, _ = build_net(problem, [], other, 0)
    for found, expected in zip(of_another_shape.head.parameters(), without.head.parameters()):
        assert torch.equal(found, expected)


def test_directions_along_which_the_prediction_hardly_changes_are_not_read():
    problem = problem_of(from_init={1})
    net, _ = build_net(problem, [], settings_of(), 0)
    weights = [block.start for block in net.blocks]
    with torch.no_grad():
        net.head[0].weight *= 3
        net.head[2].weight *= 20
    maps = scalings(problem, net, weights, 0, True)
    np.testing.assert_array_equal(maps[1], np.eye(3))
    assert maps[3].shape == (0, 0)
    metrics = input_metric(net, weights, torch.arange(N), 0)
    n_read = []
    for k, block in enumerate(net.blocks):
        for c, metric in zip(block.columns, metrics[k].double().numpy()):
            if c == 1:
                continue
            values, vectors = np.linalg.eigh(metric)
            kept = [(v, vectors[:, i]) for i, v in enumerate(values) if v**0.5 > DIRECTION_FLOOR][::-1]
            assert maps[c].shape == (DIMS[c], len(kept))
            n_read.append(len(kept))
            for column, (value, vector) in zip(maps[c].T, kept):  # the most read first
                np.testing.assert_allclose(np.abs(column), np.abs(vector) * value**0.5, rtol=1e-6)
    assert 0 < sum(n_read) < 4
    for c, nothing in enumerate(scalings(problem, net, weights, 0, False)):
        np.testing.assert_array_equal(nothing, np.eye(3) if c == 1 else np.empty((DIMS[c], 0)))


@pytest.mark.parametrize("shrinkage", [10.0, float("inf")])
@pytest.mark.parametrize("holds_out", [True, False])
def test_tables_are_learned_again_by_the_shrinkage_that_was_chosen_from_the_rows_of_each_fold(
    shrinkage, holds_out, monkeypatch
):
    asked = []
    monkeypatch.setattr(
        level_net, "choose_shrinkage", lambda net, training, seed: asked.append((net, training, seed)) or shrinkage
    )
    problem, validation = problem_of(holds_out=holds_out), np.arange(0, N, 6)
    part = learn_net(problem, validation, settings_of(), Run(3), 11)
    ((net, training, seed),) = asked
    assert seed == 11
    assert training.tolist() == sorted(set(range(N)) - set(validation.tolist()))
    for found, parameter in zip(part.head, net.head.parameters()):
        np.testing.assert_array_equal(found, parameter.detach())

    def again(rows):
        options = {"ratio": shrinkage, "n_iter": N_RELEARN_ITER, "seed": 11}
        return relearn_tables(net, torch.as_tensor(rows), **options)

    whole = again(np.arange(N))
    for found, expected in zip(part.raw, split_blocks(net.blocks, whole, problem.initial)):
        np.testing.assert_array_equal(found, expected)
    helped = np.isfinite(shrinkage)
    assert len(part.fold_raw) == (2 if holds_out and helped else 0)
    for tables, (train, _) in zip(part.fold_raw, problem.folds):
        for found, expected in zip(tables, split_blocks(net.blocks, again(train), problem.initial)):
            np.testing.assert_array_equal(found, expected)
    for found, expected in zip(part.scalings, scalings(problem, net, whole, 11, helped)):
        np.testing.assert_array_equal(found, expected)
    assert part.shrinkage == shrinkage
    assert part.initial is problem.initial
    assert len(part.history.loss_curve) == len(part.history.validation_scores) == 3


def test_without_validation_rows_all_passes_are_taken_and_the_loss_is_that_of_a_unit_of_weight():
    problem = problem_of()
    part = learn_net(problem, np.empty(0, np.int64), settings_of(max_iter=2, early_stopping=True), Run(3), 11)
    assert part.shrinkage == DEFAULT_SHRINKAGE
    assert part.history.validation_scores == []
    assert part.history.n_iter == part.history.best_iter == 2
    still = learn_net(problem, np.arange(5), settings_of(max_iter=1, learning_rate=0.0), Run(3), 11)
    net, _ = build_net(problem, np.arange(5), settings_of(), 3)
    net.unknown_rate = 0.0
    expected = net.mean_loss(torch.arange(5, N), [block.start for block in net.blocks])
    assert still.history.loss_curve[0] == pytest.approx(expected, rel=0.05)  # but for levels made unknown


def test_going_on_is_one_pass_and_steps_that_count_the_rows_seen_before(monkeypatch):
    monkeypatch.setattr(level_net, "UNKNOWN_RATE", 0.0)
    problem = problem_of()
    seen = [np.arange(1.0, 1 + n) for n in SIZES]
    options = settings_of(max_iter=9, early_stopping=True, learning_rate=0.0)
    raw, head, loss_curve = continue_net(problem, seen, 5.0, options, Run(3), 11)
    net, _ = build_net(problem, [], options, 3)
    ratios = [
        torch.as_tensor(np.concatenate([seen[c] for c in block.columns]) / problem.weight.mean(), dtype=torch.float32)
        for block in net.blocks
    ]
    expected = relearn_tables(net, torch.arange(N), ratio=5.0, n_iter=N_RELEARN_ITER, seed=11, row_ratio=ratios)
    for found, table in zip(raw, split_blocks(net.blocks, expected, problem.initial)):
        np.testing.assert_allclose(found, table, rtol=1e-5, atol=1e-6)
    for found, parameter in zip(head, net.head.parameters()):
        np.testing.assert_array_equal(found, parameter.detach())
    assert loss_curve == [pytest.approx(net.mean_loss(torch.arange(N), [b.start for b in net.blocks]), rel=1e-5)]


def test_tables_that_are_frozen_stay_where_they_began():
    problem = problem_of(frozen={0, 1})
    part = learn_net(problem, np.empty(0, np.int64), settings_of(), Run(3), 11)
    for c in (0, 1):
        np.testing.assert_array_equal(part.raw[c], problem.initial[c])
    assert not np.allclose(part.raw[2], problem.initial[2])


@pytest.mark.parametrize(
    ("asked", "init", "is_frozen", "expected"),
    [
        ("auto", {}, False, ()),
        ("auto", {"a": 1}, False, (128, 64)),
        ("auto", {"a": 1}, True, ()),
        ([7], {"a": 1}, True, (7,)),
    ],
)
@pytest.mark.parametrize(("n_rows", "batch"), [(100, 64), (40_000, 100), (10**6, 1024)])
def test_settings_that_are_auto_go_by_tables_and_rows(asked, init, is_frozen, expected, n_rows, batch):
    class Estimator:
        hidden_layer_sizes, batch_size = asked, "auto"
        max_iter, learning_rate = 4, 0.5

        def get_params(self, deep):
            return {"hidden_layer_sizes": asked, "batch_size": "auto", "max_iter": 4, "learning_rate": 0.5}

    Estimator.init, Estimator.init_frozen = init, is_frozen
    settings = NetSettings.of(Estimator(), n_rows)
    assert settings.hidden_layer_sizes == expected
    assert settings.batch_size == batch
    assert (settings.max_iter, settings.learning_rate) == (4, 0.5)
