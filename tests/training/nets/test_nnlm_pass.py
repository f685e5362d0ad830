"""Steps of the language model beside the same by hand, in float64; its rates, its start, and passes over positions."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from slow_steps import SlowAdam, watch  # noqa: E402
from test_nnlm_training import net_of  # noqa: E402

from skembed.training.nets.nnlm import build_hidden, learn_next_words  # noqa: E402
from skembed.training.nets.sampled_softmax import SampledSoftmax, initial_output  # noqa: E402
from skembed.training.next_words import NextWordSettings  # noqa: E402
from skembed.training.run import Run  # noqa: E402

N_WORDS = 6
SETTINGS = {
    "embedding_dim": 3, "n_previous": 2, "hidden_layer_sizes": (4,), "direct": True, "n_samples": None,
    "ns_exponent": 1.0, "dropout": 0.0, "weight_decay": 0.0, "learning_rate": 0.01, "batch_size": 8, "max_iter": 2,
    "device": "cpu",
}  # fmt: skip


class SlowModel:
    """Bengio et al. 2003, equations 1: gradients by the chain rule, word by word."""

    def __init__(self, net, weight_decay):
        self.embedding = SlowAdam(net.embedding.weight, weight_decay)
        self.output = SlowAdam(net.output.weight, weight_decay)
        self.hidden = [SlowAdam(p.detach(), weight_decay) for p in net.hidden.parameters()]
        self.tokens, self.settings = net.tokens.numpy(), net.settings

    def step(self, positions, rate):
        s = self.settings
        embedding, output = self.embedding.weight, self.output.weight
        layers = [p.weight for p in self.hidden]
        to_embedding, to_output = np.zeros_like(embedding), np.zeros_like(output)
        to_layers = [np.zeros_like(p) for p in layers]
        loss, touched = 0.0, set()
        for position in positions:
            context = self.tokens[position - s.n_previous : position]
            touched |= set(context.tolist())
            x = embedding[context].ravel()
            states = [x]
            for weight, bias in zip(layers[::2], layers[1::2]):
                states.append(np.tanh(weight @ states[-1] + bias))
            parts = [states[-1]] if layers else []
            features = np.concatenate([*parts, x] if s.direct else parts)
            scores = output[:, :-1] @ features + output[:, -1]
            p = np.exp(scores - scores.max())
            p /= p.sum()
            loss -= np.log(p[self.tokens[position]])
            error = p.copy()
            error[self.tokens[position]] -= 1
            error /= len(positions)
            to_output += np.outer(error, np.append(features, 1.0))
            back = output[:, :-1].T @ error
            to_x = back[-len(x) :].copy() if s.direct else np.zeros_like(x)
            if layers:
                of_state = back[: len(states[-1])]
                for k in range(len(states) - 1, 0, -1):
                    of_sum = of_state * (1 - states[k] ** 2)
                    to_layers[2 * k - 2] += np.outer(of_sum, states[k - 1])
                    to_layers[2 * k - 1] += of_sum
                    of_state = layers[2 * k - 2].T @ of_sum
                to_x += of_state
            np.add.at(to_embedding, context, to_x.reshape(s.n_previous, -1))
        self.gradients = to_embedding, to_output, to_layers
        self.embedding.step(to_embedding, rate, sorted(touched))
        self.output.step(to_output, rate)
        for parameter, gradient in zip(self.hidden, to_layers):
            parameter.step(gradient, rate)
        return loss


@pytest.mark.parametrize(("sizes", "direct"), [((4,), True), ((4, 5), False), ((), True), ((4,), False)])
def test_steps_are_those_of_the_formulas(sizes, direct):
    net = net_of(
        np.arange(N_WORDS, 0, -1), hidden_layer_sizes=sizes, direct=direct, learning_rate=0.02, weight_decay=0.1
    )
    slow = SlowModel(net, 0.1)
    to_output = watch(net.output, "update", lambda ids, gradient: gradient.clone())
    to_embedding = watch(net.embedding, "update", lambda ids, gradient: (ids.clone(), gradient.clone()))
    to_hidden = watch(net.optimizer, "step", lambda: net.optimizer.gradient.clone()) if sizes else []
    for positions in (np.arange(2, 10), np.arange(20, 25), np.array([30, 7, 7])):
        expected = slow.step(positions, 0.02)
        assert float(net.step(torch.as_tensor(positions))) == pytest.approx(expected, rel=1e-4)
        ids, gradient = to_embedding[-1]
        summed = np.zeros_like(slow.gradients[0])
        np.add.at(summed, ids.numpy(), gradient.numpy())
        np.testing.assert_allclose(summed, slow.gradients[0], rtol=1e-3, atol=1e-5)
        np.testing.assert_allclose(to_output[-1], slow.gradients[1], rtol=1e-3, atol=1e-5)
        if sizes:
            of_layers = np.concatenate([g.ravel() for g in slow.gradients[2]])
            np.testing.assert_allclose(to_hidden[-1], of_layers, rtol=1e-3, atol=1e-5)
    weights = net.weights()
    np.testing.assert_allclose(weights.embedding, slow.embedding.weight, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(weights.output, slow.output.weight, rtol=1e-3, atol=1e-4)
    assert len(weights.hidden) == len(sizes)
    for found, expected in zip([a for pair in weights.hidden for a in pair], slow.hidden):
        np.testing.assert_allclose(found, expected.weight, rtol=1e-3, atol=1e-4)
    assert weights.direct is direct


def test_the_score_is_the_mean_log_probability_of_what_is_held_out(monkeypatch):
    net = net_of(np.arange(N_WORDS, 0, -1))
    expected = -SlowModel(net, 0.0).step(net.validation.numpy(), 0.0) / len(net.validation)
    assert net.validation_score() == pytest.approx(expected, rel=1e-5)
    monkeypatch.setattr("skembed.training.nets.nnlm._CONTEXT_ROWS", 3)
    assert net.validation_score() == pytest.approx(expected, rel=1e-5)


def test_rates_are_halved_where_a_pass_gains_little_once_one_has_gained():
    net = net_of(np.full(N_WORDS, 10), learning_rate=0.08)
    scores, rates = [-5.0, -4.99, -4.9, -4.875, -4.8, -4.8, -4.81, -4.0], []
    given = iter(scores)
    net.softmax.full_loss = lambda features, targets: torch.tensor(-next(given) * len(targets))
    for _ in scores:
        net.validation_score()
        rates.append(net.output.learning_rate)
        assert net.embedding.learning_rate == net.optimizer.learning_rate == rates[-1]
    # hardly a gain at the start, then a first one of a tenth; of the others three were below three hundredths
    np.testing.assert_allclose(rates, [0.08, 0.08, 0.08, 0.04, 0.04, 0.02, 0.01, 0.01])
    assert net.best_score == pytest.approx(-4.0)


def test_a_loss_in_rates_before_any_gain_halves_them():
    net = net_of(np.full(N_WORDS, 10), learning_rate=0.08, hidden_layer_sizes=())
    given = iter([-5.0, -5.1])
    net.softmax.full_loss = lambda features, targets: torch.tensor(-next(given) * len(targets))
    net.validation_score()
    net.validation_score()
    assert net.embedding.learning_rate == net.output.learning_rate == 0.04


def test_tables_begin_uniform_and_biases_at_the_frequencies_of_words():
    counts = np.array([500, 20, 1, 0] * 50)
    net = net_of(counts, embedding_dim=8)
    for table in (net.embedding.weight, net.output.weight[:, :-1]):
        assert float(table.abs().max()) <= 0.1
        assert float(table.max()) > 0.09
        assert float(table.min()) < -0.09
    expected = np.log((counts + 1) / (counts + 1).sum())
    np.testing.assert_allclose(net.output.weight[:, -1], expected, rtol=1e-5)
    assert net.embedding.weight.shape == (201, 8)
    assert net.output.weight.shape == (200, 4 + 16 + 1)
    start = initial_output(counts, 3, 0.25, torch.Generator().manual_seed(0))
    assert 0.24 < float(start[:, :-1].abs().max()) <= 0.25


def test_hidden_layers_begin_uniform_in_one_by_the_root_of_their_inputs():
    first, act, second, _ = build_hidden(25, (100, 9), torch.Generator().manual_seed(0))
    assert isinstance(act, torch.nn.Tanh)
    for layer, bound in ((first, 0.2), (second, 0.1)):
        for parameter in layer.parameters():
            assert float(parameter.abs().max()) <= bound
        assert float(layer.weight.max()) > 0.95 * bound
        assert float(layer.weight.min()) < -0.95 * bound


def test_contexts_and_states_are_dropped_in_training_and_what_stays_is_scaled():
    net = net_of(np.full(N_WORDS, 10), dropout=0.25, embedding_dim=40, hidden_layer_sizes=(30,))
    dropped = watch(net, "_drop", lambda values: values.shape)
    x = torch.ones((200, 80))
    features = net.features(x, training=True)
    assert dropped == [(200, 80), (200, 30)]
    assert sorted(features[:, 30:].unique().tolist()) == pytest.approx([0, 4 / 3])
    assert float((features[:, 30:] == 0).double().mean()) == pytest.approx(0.25, abs=0.02)
    assert float((features[:, :30] == 0).double().mean()) == pytest.approx(0.25, abs=0.03)
    assert torch.equal(net.features(x)[:, 30:], x)
    assert len(dropped) == 2
    net.step(torch.arange(2, 10))
    assert len(dropped) == 4


def test_a_sampled_loss_is_the_softmax_over_the_sample_and_the_target_with_scores_corrected():
    counts = np.array([40, 20, 10, 5, 5, 0])
    generator = torch.Generator().manual_seed(0)
    net = net_of(counts, n_samples=4, ns_exponent=0.5)
    softmax = SampledSoftmax(net.output, counts, 4, 0.5, generator)
    features = torch.randn((7, net.output.weight.shape[1] - 1), generator=generator)
    targets = torch.tensor([0, 1, 2, 3, 4, 5, 0])
    chosen = softmax.choose(targets)
    sample = chosen.sample.tolist()
    assert chosen.ids.tolist() == sample + targets.tolist()
    share = np.maximum(counts, 1.0) ** 0.5
    share /= share.sum()
    expected_count = 1 - (1 - share) ** 4
    weight = net.output.weight.double().numpy()
    total = 0.0
    for f, target in zip(features.double().numpy(), targets.tolist()):
        words = sorted({*sample, target})
        scores = {w: weight[w, :-1] @ f + weight[w, -1] - np.log(expected_count[w]) for w in words}
        total += np.log(sum(np.exp(s) for s in scores.values())) - scores[target]
    loss = softmax.loss(features, targets, chosen)
    assert loss.dtype == torch.float32
    assert float(loss) == pytest.approx(total, rel=1e-5)


@pytest.mark.parametrize(("n_samples", "all_words"), [(None, True), (6, True), (5, False), (7, True)])
def test_as_many_samples_as_words_are_all_words(n_samples, all_words):
    net = net_of(np.full(N_WORDS, 10), n_samples=n_samples)
    assert net.softmax.takes_all == all_words
    if all_words:
        assert net.softmax.choose(torch.tensor([2])).ids.tolist() == list(range(N_WORDS))


def test_passes_go_over_positions_and_early_stopping_over_those_held_out():
    tokens = np.concatenate([[6, 6], np.random.default_rng(0).integers(6, size=40)]).astype(np.int32)
    positions, held_out = np.arange(2, 30), np.arange(30, 42)
    weights, history = learn_next_words(tokens, positions, held_out, 6, NextWordSettings(**SETTINGS), Run(0))
    assert len(history.loss_curve) == len(history.validation_scores) == 2
    assert weights.embedding.shape == (7, 3)
    counts = np.bincount(tokens[positions], minlength=6)
    still = NextWordSettings(**SETTINGS | {"learning_rate": 0.0, "max_iter": 1})
    start, history = learn_next_words(tokens, positions, held_out[:0], 6, still, Run(0))
    assert history.validation_scores == []
    np.testing.assert_allclose(start.output[:, -1], np.log((counts + 1) / (counts + 1).sum()), rtol=1e-5)
    total = 0.0
    for position in positions:  # the mean loss of a position, from weights that do not move
        x = start.embedding[tokens[position - 2 : position]].ravel()
        features = np.concatenate([np.tanh(start.hidden[0][0] @ x + start.hidden[0][1]), x])
        scores = (start.output[:, :-1] @ features + start.output[:, -1]).astype(float)
        total += np.log(np.exp(scores).sum()) - scores[tokens[position]]
    assert history.loss_curve == [pytest.approx(total / len(positions), rel=1e-5)]
