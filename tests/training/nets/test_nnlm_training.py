"""The net of the language model: its gradients, its sampled softmax, and which rows a step touches."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from skembed.training.nets.nnlm import NextWordNet  # noqa: E402
from skembed.training.nets.sampled_softmax import Chosen  # noqa: E402
from skembed.training.next_words import NextWordSettings  # noqa: E402


def net_of(counts, *, seed=0, **changes):
    settings = {
        "embedding_dim": 3,
        "n_previous": 2,
        "hidden_layer_sizes": (4,),
        "direct": True,
        "n_samples": None,
        "ns_exponent": 1.0,
        "dropout": 0.0,
        "weight_decay": 0.0,
        "learning_rate": 1e-3,
        "batch_size": 8,
        "max_iter": 1,
        "early_stopping": False,
        "n_iter_no_change": 1,
        "tol": 0.0,
        "device": "cpu",
    }
    counts = np.asarray(counts)
    n = len(counts)
    tokens = np.concatenate([[n, n], np.random.default_rng(0).integers(0, n, 30)]).astype(np.int32)
    generator = torch.Generator().manual_seed(seed)
    validation = torch.arange(2, 12)
    return NextWordNet(
        tokens, counts, n + 1, NextWordSettings(**settings | changes), generator, validation, torch.device("cpu")
    )


def test_a_sample_of_all_words_is_the_full_softmax():
    net = net_of(np.full(6, 10))
    features = torch.randn(5, net.output.weight.shape[1] - 1, generator=torch.Generator().manual_seed(1))
    targets = torch.tensor([0, 1, 2, 5, 5])
    full = net.softmax.loss(features, targets, net.softmax.choose(targets))
    torch.testing.assert_close(full, net.softmax.full_loss(features, targets))
    net.softmax.takes_all, net.softmax._log_expected = False, torch.zeros(6)  # each word is there for certain
    ids = torch.cat([torch.arange(6), targets])
    sampled = net.softmax.loss(features, targets, Chosen(torch.arange(6), ids, net.output.weight[ids]))
    torch.testing.assert_close(sampled, full)


def test_expected_counts_are_those_of_the_sample():
    net = net_of([100, 50, 20, 5, 1], n_samples=4)
    found = np.zeros(5)
    n_draws = 20_000
    for _ in range(n_draws):
        words = net.softmax._draw().numpy()
        assert len(set(words)) == len(words)
        found[words] += 1
    np.testing.assert_allclose(found / n_draws, np.exp(net.softmax._log_expected.numpy()), atol=0.015)


def test_the_correction_makes_the_sampled_sum_right_on_average():
    # without the logarithm of the expected counts the sum over the sample would be far from that over all words
    counts = np.array([400, 100, 50, 20, 10, 5, 5, 5, 5, 5])
    net = net_of(counts, n_samples=6)
    scores = torch.linspace(-1, 1, 10)
    sums = []
    for _ in range(20_000):
        words = net.softmax._draw()
        sums.append(float((scores[words] - net.softmax._log_expected[words]).exp().sum()))
    assert abs(np.mean(sums) / float(scores.exp().sum()) - 1) < 0.02


def test_a_step_touches_the_rows_of_its_batch_and_sample_alone():
    net = net_of(np.arange(200, 0, -1), n_samples=3, weight_decay=0.1)
    before_in, before_out = net.embedding.weight.clone(), net.output.weight.clone()
    rows = torch.tensor([4, 9])
    chosen = []
    original = net.softmax._draw
    net.softmax._draw = lambda: chosen.append(original()) or chosen[-1]
    net.step(rows)
    moved_in = (net.embedding.weight != before_in).any(dim=1).nonzero().flatten()
    moved_out = (net.output.weight != before_out).any(dim=1).nonzero().flatten()
    assert set(moved_in.tolist()) <= set(net.contexts(rows).flatten().tolist())
    assert set(moved_out.tolist()) <= {*chosen[0].tolist(), *net.tokens[rows].tolist()}
    assert len(moved_in)
    assert len(moved_out)


def test_the_gradient_is_that_of_the_loss():
    net = net_of(np.full(6, 10), learning_rate=0.0)
    rows = torch.arange(2, 10)
    gradients = {}
    for name, table in (("embedding", net.embedding), ("output", net.output)):
        table.update = lambda ids, gradient, name=name: gradients.update({name: (ids, gradient.clone())})
    loss = net.step(rows)
    for name, table in (("embedding", net.embedding), ("output", net.output)):
        ids, gradient = gradients[name]
        row = int(ids[0])
        total = gradient[ids == row].sum(dim=0)
        for column in (0, 1):
            shift = 1e-2
            table.weight[row, column] += shift
            moved = net.step(rows)
            table.weight[row, column] -= shift
            slope = float(moved - loss) / shift / len(rows)
            assert abs(slope - float(total[column])) < 5e-3


def test_the_rate_falls_where_a_pass_was_no_better():
    net = net_of(np.full(6, 10))
    net.validation_score()
    assert net.embedding.learning_rate == 1e-3
    net.validation_score()
    assert net.embedding.learning_rate == net.output.learning_rate == net.optimizer.learning_rate == 5e-4


def test_snapshots_do_not_change_with_the_net():
    net = net_of(np.full(6, 10), learning_rate=0.1)
    score, state = net.validation_score(), net.snapshot()
    net.step(torch.arange(2, 30))
    assert net.validation_score() != score
    net.restore(state)
    assert net.validation_score() == score
