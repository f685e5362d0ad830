"""The language model of both directions: pieces of sentences, its steps, and likelihoods, by hand."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from slow_steps import watch  # noqa: E402

from skembed.training.language_model import LanguageModelSettings, Sentences, cut_sentences  # noqa: E402
from skembed.training.nets import language_model  # noqa: E402
from skembed.training.nets.language_model import learn_language_model, log_likelihoods  # noqa: E402
from skembed.training.nets.row_tables import RowTable  # noqa: E402
from skembed.training.nets.sampled_softmax import SampledSoftmax  # noqa: E402
from skembed.training.run import Run  # noqa: E402

DIM, N_WORDS, N_TARGETS = 3, 9, 5
SETTINGS = {
    "max_length": 4, "n_samples": None, "ns_exponent": 1.0, "dropout": 0.0, "weight_decay": 0.05, "max_norm": 100.0,
    "max_iter": 2, "batch_size": 3, "learning_rate": 0.02, "device": "cpu",
}  # fmt: skip


class Sums(torch.nn.Module):
    """A net of both directions: a state is the tanh of a mixed sum of all tokens of its side, its own included."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(3)
        self.of_character = torch.nn.Parameter(torch.randn((7, DIM), generator=generator))
        self.mix = torch.nn.Parameter(torch.randn((2, DIM, DIM), generator=generator))

    def tokens(self, characters):
        return self.of_character[characters].sum(dim=1)

    def layers(self, x, lengths, *, drop=None):
        assert (lengths.diff() <= 0).all()
        x = x if drop is None else drop(x)
        known = torch.arange(x.shape[1])[None, :, None] < lengths[:, None, None]
        x = torch.where(known, x, 0.0)
        left = torch.tanh(x.cumsum(1) @ self.mix[0])
        right = torch.tanh(x.flip(1).cumsum(1).flip(1) @ self.mix[1])
        return [None, torch.cat([left, right], dim=2)], None


def sentences_of(seed=0, lengths=(5, 2, 9, 3, 4, 1, 6)):
    rng = np.random.default_rng(seed)
    ids = rng.integers(N_WORDS, size=sum(lengths)).astype(np.int32)
    characters = rng.integers(7, size=(N_WORDS, 2)).astype(np.int16)
    targets = rng.integers(N_TARGETS, size=N_WORDS).astype(np.int32)
    return Sentences.of(ids, np.cumsum(lengths), characters, targets)


def events_of(net, sentences, start, stop):
    """Of each direction (state, target) of one piece, token by token, in float64; a piece of one token has none."""
    ids = sentences.ids[start:stop]
    x = [net.of_character[sentences.characters[i].tolist()].double().sum(dim=0) for i in ids]
    mix = net.mix.double()
    left = [(torch.tanh(sum(x[: t + 1]) @ mix[0]), sentences.targets[ids[t + 1]]) for t in range(len(ids) - 1)]
    right = [(torch.tanh(sum(x[t:]) @ mix[1]), sentences.targets[ids[t - 1]]) for t in range(1, len(ids))]
    return left, right


def slow_losses(net, sentences, pieces, weight):
    """Summed cross-entropies of left to right and of right to left, and how many events each direction has."""
    sums, n = [0.0, 0.0], 0
    for start, stop in pieces:
        directions = events_of(net, sentences, start, stop)
        n += len(directions[0])
        for d, events in enumerate(directions):
            for state, target in events:
                scores = weight[:, :-1].double() @ state + weight[:, -1].double()
                sums[d] = sums[d] + scores.logsumexp(0) - scores[int(target)]
    return sums, n


def model_of(sentences, **options):
    settings = LanguageModelSettings(**SETTINGS | options)
    generator = torch.Generator().manual_seed(1)
    table = RowTable(torch.randn((N_TARGETS, DIM + 1), generator=generator), settings.learning_rate)
    softmax = SampledSoftmax(table, np.arange(1, N_TARGETS + 1), None, 1.0, generator)
    reader = language_model._Reader(Sums(), sentences, torch.device("cpu"))
    is_held = np.arange(len(sentences)) % 3 == 2
    pieces, held = (cut_sentences(sentences.indptr, which, settings.max_length) for which in (~is_held, is_held))
    return language_model._LanguageModel(reader, softmax, settings, pieces, held, generator)


@pytest.mark.parametrize("max_norm", [100.0, 0.05])
def test_steps_are_those_of_the_summed_losses_with_gradients_shortened(max_norm):
    sentences = sentences_of()
    model = model_of(sentences, max_norm=max_norm)
    net = Sums()
    parameters = list(net.parameters())
    reference = torch.optim.AdamW(parameters, lr=0.02, weight_decay=0.05)
    output = torch.nn.Parameter(model.softmax.table.weight.clone())
    of_output = torch.optim.Adam([output], lr=0.02)
    n_pieces = len(model.starts)
    total = 2 * -(-n_pieces // 3)
    gradients = watch(model.optimizer, "step", lambda: model.optimizer.gradient.clone())
    to_output = watch(model.softmax, "update", lambda chosen: chosen.weights.grad.clone())
    for n, rows in enumerate([[0, 1, 2], [3, 4], [2, 0, 5], [1], [0, 3]]):
        rate = 0.02 * max(1 - n / total, 0.05)
        for optimizer in (reference, of_output):
            optimizer.param_groups[0]["lr"] = rate
            optimizer.zero_grad()
        pieces = [(int(model.starts[row]), int(model.stops[row])) for row in rows]
        (left, right), n_events = slow_losses(net, sentences, pieces, output)
        summed = left + right
        (summed / (2 * n_events)).backward()
        norm = torch.nn.utils.clip_grad_norm_(parameters, max_norm)
        assert (norm > max_norm) == (max_norm < 1)
        expected = torch.cat([p.grad.flatten() for p in parameters])
        output_gradient = output.grad.clone()
        reference.step()
        of_output.step()
        assert float(model.step(torch.tensor(rows))) == pytest.approx(float(summed), rel=1e-4)
        assert model.optimizer.learning_rate == model.softmax.table.learning_rate == pytest.approx(rate)
        torch.testing.assert_close(gradients[-1], expected, rtol=1e-3, atol=1e-5)
        torch.testing.assert_close(to_output[-1], output_gradient, rtol=1e-3, atol=1e-5)
    for found, expected in zip(model.reader.net.parameters(), parameters):
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(model.softmax.table.weight, output.detach(), rtol=1e-3, atol=1e-4)


def test_the_rate_falls_no_lower_than_a_twentieth():
    model = model_of(sentences_of())
    model._n_steps = 10_000
    model.step(torch.tensor([0]))
    assert model.optimizer.learning_rate == model.softmax.table.learning_rate == pytest.approx(0.001)


def test_rows_of_a_batch_come_in_falling_lengths_each_with_its_own_targets():
    sentences = sentences_of()
    reader = language_model._Reader(Sums(), sentences, torch.device("cpu"))
    starts, stops = torch.as_tensor(sentences.indptr[:-1]), torch.as_tensor(sentences.indptr[1:])
    features, targets = reader.read(starts, stops)
    order = np.argsort(-np.diff(sentences.indptr), kind="stable")
    pieces = [events_of(reader.net, sentences, int(starts[i]), int(stops[i])) for i in order]
    events = [event for direction in (0, 1) for piece in pieces for event in piece[direction]]
    assert targets.tolist() == [int(target) for _, target in events]
    torch.testing.assert_close(features.double(), torch.stack([state for state, _ in events]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("in_small_parts", [False, True])
def test_likelihoods_are_those_of_whole_sentences_one_direction_after_the_other(in_small_parts, monkeypatch):
    if in_small_parts:
        monkeypatch.setattr(language_model, "_SCORED_TOKENS", 7)
        monkeypatch.setattr(language_model, "_SCORES", 2 * N_TARGETS)
    sentences, net = sentences_of(), Sums()
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(N_TARGETS, DIM)).astype(np.float32)
    bias = rng.normal(size=N_TARGETS).astype(np.float32)
    with torch.no_grad():
        pieces = list(zip(sentences.indptr[:-1], sentences.indptr[1:]))
        sums, n = slow_losses(net, sentences, pieces, torch.as_tensor(np.column_stack([weight, bias])))
        found, n_found = log_likelihoods(net, sentences, (weight, bias), torch.device("cpu"))
    np.testing.assert_allclose(found, [-float(part) for part in sums], rtol=1e-5)
    assert n_found == n == len(sentences.ids) - len(sentences)


def test_parts_of_like_length_hold_each_sentence_once_and_few_tokens(monkeypatch):
    monkeypatch.setattr(language_model, "_SCORED_TOKENS", 20)
    lengths = np.array([3, 9, 5, 30, 5, 4, 1, 10, 2])
    parts = [part.tolist() for part in language_model._of_like_length(lengths)]
    assert parts == [[3], [7, 1], [2, 4, 5, 0], [8, 6]]


def test_the_score_is_the_mean_log_probability_of_both_directions_and_the_state_comes_back():
    sentences = sentences_of()
    model = model_of(sentences)
    with torch.no_grad():
        pieces = list(zip(*model.held))
        sums, n = slow_losses(model.reader.net, sentences, pieces, model.softmax.table.weight)
    score = model.validation_score()
    assert score == pytest.approx(-float(sums[0] + sums[1]) / (2 * n), rel=1e-5)
    state = model.snapshot()
    model.step(torch.arange(5))
    moved = model.snapshot()
    assert all(not torch.equal(a, b) for a, b in zip(state, moved))
    model.restore(state)
    assert model.validation_score() == score
    assert all(torch.equal(a, b) for a, b in zip(state, model.snapshot()))


def test_what_is_dropped_is_scaled_and_in_training_alone():
    model = model_of(sentences_of(), dropout=0.2)
    ones = torch.ones((300, 100))
    dropped = model._drop(ones)
    assert sorted(dropped.unique().tolist()) == pytest.approx([0.0, 1.25])
    assert float((dropped == 0).double().mean()) == pytest.approx(0.2, abs=0.02)
    seen = watch(model, "_drop", lambda values: tuple(values.shape))
    model.step(torch.tensor([0]))
    n_events = 2 * int(model.stops[0] - model.starts[0] - 1)
    assert seen == [(1, int(model.stops[0] - model.starts[0]), DIM), (n_events, DIM)]
    model.validation_score()
    assert len(seen) == 2


def test_learning_goes_over_pieces_and_returns_the_softmax_that_it_scored_with():
    sentences = sentences_of(lengths=[6, 3, 8, 2, 7, 5, 4, 9])
    held_out = np.arange(8) >= 6
    counts = np.array([50, 20, 10, 5, 0])
    settings = LanguageModelSettings(**SETTINGS | {"max_iter": 3, "n_iter_no_change": 9})
    net = Sums()
    (weight, bias), history = learn_language_model(net, sentences, held_out, counts, settings, Run(0))
    assert len(history.loss_curve) == 3
    output = torch.as_tensor(np.column_stack([weight, bias]))
    starts, stops = cut_sentences(sentences.indptr, held_out, 4)
    with torch.no_grad():
        sums, n = slow_losses(net, sentences, zip(starts, stops), output)
    kept = history.validation_scores[history.best_iter - 1]
    assert kept == pytest.approx(-float(sum(sums)) / (2 * n), rel=1e-5)
    assert not torch.equal(net.mix, Sums().mix)

    still = LanguageModelSettings(**SETTINGS | {"max_iter": 1, "learning_rate": 0.0})
    net = Sums()
    (weight, bias), history = learn_language_model(net, sentences, held_out & False, counts, still, Run(0))
    assert history.validation_scores == []
    assert 0.03 < np.abs(weight).max() <= 0.05
    np.testing.assert_allclose(bias, np.log((counts + 1) / (counts + 1).sum()), rtol=1e-5)
    starts, stops = cut_sentences(sentences.indptr, np.ones(8, bool), 4)
    with torch.no_grad():
        output = torch.as_tensor(np.column_stack([weight, bias]))
        sums, n = slow_losses(net, sentences, zip(starts, stops), output)
    assert history.loss_curve == [pytest.approx(float(sum(sums)) / (2 * n), rel=1e-5)]


@pytest.mark.parametrize("max_length", [2, 3, 4, 20])
def test_pieces_hold_each_pair_of_neighbours_once(max_length):
    lengths = np.array([1, 2, 3, 4, 5, 7, 8, 20, 0, 6])
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    which = np.arange(10) != 4
    starts, stops = cut_sentences(indptr, which, max_length)
    assert ((stops - starts >= 2) & (stops - starts <= max_length)).all()
    pairs = [(t, t + 1) for start, stop in zip(starts, stops) for t in range(start, stop - 1)]
    expected = [(t, t + 1) for a, b, w in zip(indptr, indptr[1:], which) if w for t in range(a, b - 1)]
    assert pairs == expected
