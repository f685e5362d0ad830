"""A pass of the recurrent net beside the same with torch's own optimizer; its start, its rates, and what it drops."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from slow_steps import watch  # noqa: E402
from test_recurrent_net import N, cases_of, problem_of, settings_of  # noqa: E402

from skembed.training.nets import recurrent_net  # noqa: E402
from skembed.training.nets.device import seeded_generator  # noqa: E402
from skembed.training.nets.recurrent_net import (  # noqa: E402
    MAX_BATCH_EVENTS,
    RecurrentNet,
    learn_recurrent,
    length_batches,
)
from skembed.training.run import Run  # noqa: E402

CODED = [("continuous", 0, 1), ("binary", 1, 2), ("multiclass", 2, 5)]


def coded_target(n=N):
    rng = np.random.default_rng(2)
    return np.column_stack([rng.normal(size=n), rng.integers(2, size=n), np.eye(3)[rng.integers(3, size=n)]]).astype(
        np.float32
    )


def net_of(*, target=None, parts=(), weighted=True, **options):
    reader, cases = cases_of()
    problem = problem_of(reader, cases, target, parts)
    if weighted:
        problem.weight = np.random.default_rng(3).uniform(0.5, 3.0, N).astype(np.float32)
    return RecurrentNet(problem, settings_of(**options), seeded_generator(0), torch.device("cpu"))


@pytest.fixture
def all_known(monkeypatch):
    monkeypatch.setattr(recurrent_net, "_UNKNOWN_RATE", 0.0)


@pytest.mark.parametrize("coded", [False, True])
@pytest.mark.parametrize("scale", [0.05, 20.0])  # of the loss: below and above the gradient that is shortened
def test_a_pass_is_that_of_adamw_on_clipped_gradients(coded, scale, all_known):
    options = {"target": coded_target() * scale, "parts": [("continuous", 0, 5)]} if coded else {}
    net, twin = (net_of(dropout=0.0, learning_rate=0.02, **options) for _ in range(2))
    batches, gradients, step, optimizer_step = [], [], net.step, net.optimizer.step
    net.step = lambda batch, per_batch: batches.append((batch, per_batch)) or step(batch, per_batch)
    net.optimizer.step = lambda: gradients.append(net.optimizer.gradient.clone()) or optimizer_step()
    loss = net.one_pass()

    held_out = set(net.problem.held_out.tolist())
    met = torch.cat([batch.cases for batch, _ in batches]).tolist()
    assert sorted(met) == sorted(set(range(len(net.problem.cases))) - held_out)
    is_learned = ~np.isin(net.problem.read_case, net.problem.held_out)
    total_weight = float(net.problem.weight[is_learned].sum(dtype=float))
    module, total, average = twin.net, 0.0, None
    reference = torch.optim.AdamW(module.parameters(), lr=0.02, weight_decay=0.01)
    average = [p.detach().clone() for p in module.parameters()]
    assert len(batches) > 3
    for n, ((batch, per_batch), gradient) in enumerate(zip(batches, gradients), start=1):
        assert per_batch == pytest.approx(total_weight / len(batches))
        scores = module.output(twin.vectors(batch))
        target = twin.target[batch.reads]
        losses = (
            0.5 * (scores - target).square().sum(dim=1)
            if coded
            else torch.nn.functional.cross_entropy(scores, target, reduction="none")
        )
        summed = (losses * torch.as_tensor(twin.problem.weight)[batch.reads]).sum()
        reference.zero_grad()
        (summed / per_batch).backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        expected = torch.cat([p.grad.flatten() for p in module.parameters()])
        torch.testing.assert_close(gradient, expected, rtol=2e-3, atol=1e-5)
        reference.step()
        total += float(summed)
        rate = 1 - min(0.99, n / (n + 10))
        average = [a + rate * (p.detach() - a) for a, p in zip(average, module.parameters())]
    assert loss == pytest.approx(total / total_weight, rel=1e-4)
    for found, expected in ((net.optimizer.weight, module.parameters()), (net.average, average)):
        torch.testing.assert_close(found, torch.cat([p.detach().flatten() for p in expected]), rtol=1e-3, atol=1e-4)


def test_the_running_mean_forgets_a_hundredth_a_step_at_last():
    net = net_of()
    net.n_averaged = 10_000
    before, batch = net.average.clone(), net._batches(net.learned, None)[0]
    net.step(batch, 1.0)
    torch.testing.assert_close(net.average, 0.99 * before + 0.01 * net.optimizer.weight)


def test_passes_meet_batches_in_any_order_and_mix_cases_of_like_lengths_anew():
    net = net_of(batch_size=4)
    net.batch_size = 4  # of few cases, too
    passes, seen = [], watch(net, "step", lambda batch, per_batch: batch.cases.tolist())
    for _ in range(2):
        n_before = len(seen)
        net.one_pass()
        passes.append(seen[n_before:])
    lengths = [net.lengths[batch[0]] for batch in passes[0]]
    assert lengths != sorted(lengths, reverse=True)
    assert {frozenset(batch) for batch in passes[0]} != {frozenset(batch) for batch in passes[1]}


def test_a_pass_over_few_cases_takes_steps_enough(monkeypatch):
    net = net_of(batch_size=4)
    assert (len(net.learned), net.batch_size) == (29, 1)
    n_steps = watch(net, "step", lambda batch, per_batch: len(batch.cases))
    net.one_pass()
    assert n_steps == [1] * 29
    for least, expected in ((7, 4), (8, 3), (1, 4), (1000, 1)):
        monkeypatch.setattr(recurrent_net, "MIN_STEPS", least)
        assert net_of(batch_size=4).batch_size == expected


def test_no_case_to_learn_from_is_a_pass_without_a_loss():
    net = net_of()
    net.learned, net.learned_weight = np.empty(0, np.int64), 0.0
    assert net.one_pass() == 0.0


def test_the_score_is_minus_the_weighted_mean_loss_of_the_mean_weights_on_what_is_held_out():
    net = net_of(batch_size=3)
    net.one_pass()
    score = net.validation_score()
    net.restore(net.snapshot())
    total = weight = 0.0
    with torch.no_grad():
        for case in net.problem.held_out:
            (batch,) = net._batches(np.array([case]), None)
            losses = torch.nn.functional.cross_entropy(
                net.net.output(net.vectors(batch)), net.target[batch.reads], reduction="none"
            )
            weights = net.problem.weight[batch.reads]
            total, weight = total + float((losses * torch.as_tensor(weights)).sum()), weight + float(weights.sum())
    assert score == pytest.approx(-total / weight, rel=1e-5)


def test_the_rate_is_halved_where_the_best_score_has_not_risen():
    net = net_of(learning_rate=0.01)
    net.validation_score()
    assert net.optimizer.learning_rate == 0.01
    net.validation_score()  # as good as before
    assert net.optimizer.learning_rate == 0.005
    best, net.best_score = net.best_score, np.inf
    net.validation_score()
    assert net.optimizer.learning_rate == 0.0025
    assert net.best_score == np.inf
    net.best_score = best - 1.0
    net.validation_score()
    assert net.optimizer.learning_rate == 0.0025
    assert net.best_score == best


def test_the_rate_waits_for_half_of_the_passes_that_training_waits():
    """Halved after each pass, it is next to nothing before the net has learned anything of few cases."""
    net = net_of(learning_rate=0.016, n_iter_no_change=6)
    rates = []
    for _ in range(8):
        net.validation_score()
        rates.append(net.optimizer.learning_rate)
    assert rates == [0.016] * 3 + [0.008] * 3 + [0.004] * 2
    net.best_score -= 1.0
    for expected in (0.004, 0.004, 0.004, 0.002):
        net.validation_score()
        assert net.optimizer.learning_rate == expected


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_weights_begin_uniform_forget_gates_open_and_the_output_at_the_mean(cell):
    target = coded_target()
    target[:, 1] = 0.0  # never true: the logit stays finite
    net = net_of(target=target, parts=CODED, cell=cell, embedding_dim=16)
    parameters = dict(net.net.named_parameters())
    if cell == "lstm":
        assert (parameters["cell.bias_ih_l0"][16:32] == 1.0).all()
        assert (parameters["cell.bias_hh_l0"][16:32] == 0.0).all()
    for name, parameter in parameters.items():
        if "tables" in name or name == "output.bias":
            continue
        drawn = parameter.detach().numpy().copy()
        if cell == "lstm" and "cell.bias" in name:
            drawn = np.delete(drawn, np.arange(16, 32))
        assert np.abs(drawn).max() <= 0.25
        assert drawn.max() > 0.19
        assert drawn.min() < -0.19
    mean = np.average(target.astype(float), axis=0, weights=net.problem.weight.astype(float))
    expected = [mean[0], np.log(1e-6 / (1 - 1e-6)), *np.log(mean[2:])]
    np.testing.assert_allclose(parameters["output.bias"].detach(), expected, rtol=1e-5)


def test_scores_of_classes_begin_at_their_weighted_shares_of_which_none_is_nothing():
    net = net_of(target=np.array([0, 1] * (N // 2)))  # of three classes
    counts = np.bincount(net.problem.target, net.problem.weight.astype(float), minlength=3) + 1
    np.testing.assert_allclose(net.net.output.bias.detach(), np.log(counts / counts.sum()), rtol=1e-5)


def test_inputs_are_dropped_at_half_the_rate_of_states_and_what_stays_is_scaled():
    net = net_of(dropout=0.4)
    rates, drop = [], net._drop
    net._drop = lambda values, rate, training: rates.append((rate, training)) or drop(values, rate, training)
    batch = net._batches(net.learned, None)[0]
    net._losses(batch, training=True)
    net._losses(batch, training=False)
    assert rates == [(0.2, True), (0.4, True), (0.2, False), (0.4, False)]
    ones = torch.ones((400, 100))
    dropped = drop(ones, 0.2, True)
    assert sorted(dropped.unique().tolist()) == pytest.approx([0.0, 1.25])
    assert float(dropped.mean()) == pytest.approx(1.0, abs=0.02)
    assert drop(ones, 0.2, False) is ones
    assert drop(ones, 0.0, True) is ones


def test_a_hundredth_of_levels_are_made_unknown_in_training_alone():
    net = net_of()
    ids, rows = torch.full((50_000, 2), 3), torch.arange(50_000)
    found = net._ids(ids, rows, True)
    assert set(found.unique().tolist()) == {0, 3}
    assert float((found == 0).double().mean()) == pytest.approx(0.01, abs=0.002)
    assert (net._ids(ids, rows, False) == 3).all()


def test_batches_of_long_cases_hold_a_bounded_number_of_events():
    half = MAX_BATCH_EVENTS // 2
    lengths = np.array([half, half, half, 3 * half, 1, 0])
    assert [batch.tolist() for batch in length_batches(lengths, 4)] == [[3], [0, 1], [2, 4], [5]]
    assert [len(batch) for batch in length_batches(np.zeros(5, int), 2)] == [2, 2, 1]
    assert length_batches(np.empty(0, int), 4) == []


def test_jitter_moves_a_case_by_less_than_a_sixth_of_its_length_and_one():
    lengths = np.full(1000, 100)
    lengths[::2] = 120
    jitter = np.random.default_rng(0).random(1000)
    first = np.concatenate(length_batches(lengths, 1, jitter))
    moved = (lengths + 1) * (1 + 0.15 * jitter) + jitter
    np.testing.assert_array_equal(first, np.argsort(-moved, kind="stable"))


def test_reads_of_a_case_are_those_that_name_it_wherever_they_stand():
    reads = recurrent_net._reads_of_cases(np.array([2, 0, 2, 4, 0]), 6)
    assert [part.tolist() for part in np.split(reads.indices, reads.indptr[1:-1])] == [[1, 4], [], [0, 2], [], [3], []]


def test_without_cases_held_out_all_passes_are_taken_and_the_last_is_kept():
    reader, cases = cases_of()
    problem = problem_of(reader, cases)
    problem.held_out = np.empty(0, np.int64)
    weights, tables, history, _ = learn_recurrent(problem, settings_of(max_iter=4), Run(0))
    assert history.n_iter == history.best_iter == len(history.loss_curve) == 4
    assert history.validation_scores == []
    assert [t.shape for t in tables] == [t.shape for t in problem.tables]
    net = RecurrentNet(problem, settings_of(), seeded_generator(0), torch.device("cpu"))
    assert [net.one_pass() for _ in range(4)] == history.loss_curve
    net.restore(net.snapshot())
    np.testing.assert_array_equal(net.weights().recurrent, weights.recurrent)
    for found, expected in zip(tables, net.tables()):
        np.testing.assert_array_equal(found, expected)


def test_what_is_returned_does_not_change_with_the_net():
    net = net_of()
    tables, weights, kept = net.tables(), net.weights(), net.snapshot()
    before = [*(t.copy() for t in tables), weights.bias.copy(), weights.start.copy(), kept.clone()]
    net.one_pass()
    for found, expected in zip([*tables, weights.bias, weights.start, kept], before):
        np.testing.assert_array_equal(found, expected)
