"""The translator sentence by sentence in float64: what it writes, its steps, its schedule, and greedy words."""

from itertools import pairwise

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from slow_steps import watch  # noqa: E402

from skembed.data.ragged import Ragged  # noqa: E402
from skembed.training.nets import translator  # noqa: E402
from skembed.training.nets.row_tables import RowTable  # noqa: E402
from skembed.training.nets.sampled_softmax import SampledSoftmax  # noqa: E402
from skembed.training.nets.translator import TranslatorNet, learn_translation, translate_greedily  # noqa: E402
from skembed.training.run import Run  # noqa: E402
from skembed.training.translation import BEGIN_ROW, END_ROW, SentencePairs, TranslationSettings  # noqa: E402

WIDTH, HIDDEN, N_TARGETS = 4, 3, 7
SETTINGS = {
    "hidden_size": HIDDEN, "n_layers": 2, "n_samples": None, "ns_exponent": 1.0, "dropout": 0.0, "weight_decay": 0.05,
    "max_norm": 100.0, "max_iter": 2, "batch_size": 3, "learning_rate": 0.02, "device": "cpu",
}  # fmt: skip


def ragged(sequences):
    return Ragged.from_ends(np.concatenate(sequences).astype(np.int32), np.cumsum([len(s) for s in sequences]))


def sequence(of, row):
    return of.indices[of.indptr[row] : of.indptr[row + 1]].tolist()


def pairs_of(n=8, seed=0):
    rng = np.random.default_rng(seed)
    source = [rng.integers(6, size=length) for length in rng.integers(1, 6, n)]
    target = [np.r_[BEGIN_ROW, rng.integers(2, N_TARGETS, length), END_ROW] for length in rng.integers(1, 5, n)]
    return SentencePairs(ragged(source), ragged(target), rng.normal(size=(6, WIDTH)).astype(np.float32))


def slow_net(n_layers=2):
    """The same weights as those of `model_of`, as float64 that gradients are taken of."""
    net = TranslatorNet(WIDTH, HIDDEN, n_layers).draw(torch.Generator().manual_seed(0))
    return {name: value.double().requires_grad_(True) for name, value in net.state_dict().items()}


def lstm(p, name, x, *, reverse):
    """States of one sentence, and the last of them with its memory: Hochreiter & Schmidhuber 1997 with forget gates."""
    end = "_l0_reverse" if reverse else "_l0"
    h = c = torch.zeros(HIDDEN, dtype=torch.float64)
    states = []
    for v in reversed(x) if reverse else x:
        z = p[f"{name}.weight_ih{end}"] @ v + p[f"{name}.bias_ih{end}"]
        enter, keep, new, leave = (z + p[f"{name}.weight_hh{end}"] @ h + p[f"{name}.bias_hh{end}"]).chunk(4)
        c = torch.sigmoid(keep) * c + torch.sigmoid(enter) * torch.tanh(new)
        h = torch.sigmoid(leave) * torch.tanh(c)
        states.append(h)
    return states[::-1] if reverse else states, h, c


def begin(p, vectors):
    """States of the encoder, and the decoder's first state and memory."""
    x, k = list(vectors), 0
    while f"encoder.{k}.weight_ih_l0" in p:
        forth, h, c = lstm(p, f"encoder.{k}", x, reverse=False)
        back, h_back, c_back = lstm(p, f"encoder.{k}", x, reverse=True)
        x, k = [torch.cat(pair) for pair in zip(forth, back)], k + 1
    return torch.stack(x), torch.cat([h, h_back]), torch.cat([c, c_back])


def write(p, states, h, c, fed, of_word):
    """Luong, Pham & Manning 2015, equations 5, 7 and 8 with input feeding."""
    z = p["of_word.weight"] @ of_word + p["of_word.bias"] + p["of_state.weight"] @ torch.cat([fed, h])
    enter, keep, new, leave = z.chunk(4)
    c = torch.sigmoid(keep) * c + torch.sigmoid(enter) * torch.tanh(new)
    h = torch.sigmoid(leave) * torch.tanh(c)
    share = torch.softmax(states @ p["ask.weight"].T @ h, dim=0)
    fed = torch.tanh(p["answer.weight"] @ torch.cat([share @ states, h]) + p["answer.bias"])
    return h, c, fed


def slow_loss(p, words, output, pairs, rows):
    """Summed cross-entropy of the words of some translations and of their ends, and how many these are."""
    total, n = 0.0, 0
    vectors = torch.as_tensor(pairs.vectors).double()
    for row in rows:
        states, h, c = begin(p, vectors[sequence(pairs.source, row)])
        fed, said = torch.zeros_like(h), sequence(pairs.target, row)
        for before, after in pairwise(said):
            h, c, fed = write(p, states, h, c, fed, words[before])
            scores = output[:, :-1] @ fed + output[:, -1]
            total, n = total + scores.logsumexp(0) - scores[after], n + 1
    return total, n


def model_of(pairs, *, held=(), total=10, n_layers=2, **options):
    settings = TranslationSettings(**SETTINGS | options)
    net = TranslatorNet(WIDTH, HIDDEN, n_layers).draw(torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(1)
    table = RowTable(torch.randn((N_TARGETS, 2 * HIDDEN + 1), generator=generator), settings.learning_rate)
    softmax = SampledSoftmax(table, np.arange(1, N_TARGETS + 1), None, 1.0, generator)
    words = RowTable(torch.randn((N_TARGETS, WIDTH), generator=generator), settings.learning_rate)
    schedule = np.asarray(held, dtype=np.int64), total
    return translator._Translation(net, pairs, softmax, words, settings, schedule, generator)


@pytest.mark.parametrize(("max_norm", "n_layers"), [(100.0, 2), (0.05, 1)])
def test_steps_are_those_of_the_formulas_with_gradients_shortened(max_norm, n_layers):
    pairs = pairs_of()
    model = model_of(pairs, max_norm=max_norm, n_layers=n_layers, total=4)
    p = slow_net(n_layers)
    parameters = [p[name] for name, _ in model.net.named_parameters()]
    words, output = (table.weight.double().clone().requires_grad_(True) for table in (model.words, model.softmax.table))
    optimizers = [torch.optim.AdamW(parameters, weight_decay=0.05), torch.optim.Adam([output])]
    gradients = watch(model.optimizer, "step", lambda: model.optimizer.gradient.clone())
    to_output = watch(model.softmax, "update", lambda chosen: chosen.weights.grad.clone())
    to_words = watch(model.words, "update", lambda ids, gradient: (ids.clone(), gradient.clone()))
    for n, rows in enumerate([[0, 1, 2], [5, 3], [7, 0, 6, 4]]):
        rate = 0.02 * (1 - n / 4)
        with torch.no_grad():
            words.copy_(model.words.weight)  # rows that no batch holds do not move: compared by their gradients
        for optimizer in optimizers:
            optimizer.param_groups[0]["lr"] = rate
            optimizer.zero_grad()
        words.grad = None
        loss, n_events = slow_loss(p, words, output, pairs, rows)
        (loss / n_events).backward()
        torch.nn.utils.clip_grad_norm_(parameters, max_norm)
        expected = torch.cat([q.grad.flatten() for q in parameters])
        of_output = output.grad.clone()
        for optimizer in optimizers:
            optimizer.step()
        assert float(model.step(torch.tensor(rows))) == pytest.approx(float(loss), rel=1e-4)
        for part in (model.optimizer, model.words, model.softmax.table):
            assert part.learning_rate == pytest.approx(rate)
        torch.testing.assert_close(gradients[-1].double(), expected, rtol=1e-3, atol=1e-5)
        torch.testing.assert_close(to_output[-1].double(), of_output, rtol=1e-3, atol=1e-5)
        summed = torch.zeros_like(words).index_add_(0, to_words[-1][0], to_words[-1][1].double())
        torch.testing.assert_close(summed, words.grad, rtol=1e-3, atol=1e-5)
    moved = torch.cat([q.detach().flatten() for q in parameters])
    torch.testing.assert_close(model.optimizer.weight.double(), moved, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(model.softmax.table.weight.double(), output.detach(), rtol=1e-3, atol=1e-4)


def test_the_rate_falls_no_lower_than_a_twentieth():
    model = model_of(pairs_of())
    model._n_steps = 10_000
    model.step(torch.tensor([0]))
    assert model.optimizer.learning_rate == model.words.learning_rate == pytest.approx(0.001)


@pytest.mark.parametrize("in_small_parts", [False, True])
def test_the_score_is_the_mean_log_probability_of_a_word_of_what_is_held_out(in_small_parts, monkeypatch):
    if in_small_parts:
        monkeypatch.setattr(translator, "_SCORED_PAIRS", 2)
        monkeypatch.setattr(translator, "_SCORES", 3 * N_TARGETS)
    pairs, held = pairs_of(), [1, 2, 5, 6, 7]
    model = model_of(pairs, held=held, dropout=0.5)
    with torch.no_grad():
        weights = model.words.weight.double(), model.softmax.table.weight.double()
        loss, n_events = slow_loss(slow_net(), *weights, pairs, held)
    score = model.validation_score()
    assert score == pytest.approx(-float(loss) / n_events, rel=1e-5)
    state = model.snapshot()
    model.step(torch.arange(4))
    assert all(not torch.equal(a, b) for a, b in zip(state, model.snapshot()))
    model.restore(state)
    assert model.validation_score() == score


def test_words_layers_and_states_are_dropped_in_training_alone():
    model = model_of(pairs_of(), dropout=0.2)
    dropped = model._drop(torch.ones((300, 100)))
    assert sorted(dropped.unique().tolist()) == pytest.approx([0.0, 1.25])
    assert float((dropped == 0).double().mean()) == pytest.approx(0.2, abs=0.02)
    widths = watch(model, "_drop", lambda values: values.shape[-1])
    model.step(torch.tensor([0, 1]))
    assert widths == [WIDTH, 2 * HIDDEN, WIDTH, 2 * HIDDEN]  # two layers, the words before, and what is predicted from
    model._read(torch.tensor([0, 1]))
    assert len(widths) == 4


def test_weights_begin_uniform_in_one_by_the_root_of_what_they_read_with_forget_gates_open():
    net = TranslatorNet(16, 25, 2).draw(torch.Generator().manual_seed(0))
    bounds = {"encoder": 0.2, "of_word": 0.25, "of_state": 0.1, "ask": 50**-0.5, "answer": 0.1}
    for name, value in net.state_dict().items():
        value = value.clone()
        if name == "of_word.bias":
            value.view(4, -1)[1] -= 1
        bound = bounds[name.partition(".")[0]]
        assert float(value.abs().max()) <= bound * (1 + 1e-6)
        if value.numel() >= 100:
            assert float(value.max()) > 0.9 * bound
            assert float(value.min()) < -0.9 * bound


def test_padding_repeats_the_first_id():
    sequences = translator._Sequences(ragged([[4, 5], [6], [7, 8, 9]]), torch.device("cpu"))
    ids, lengths = sequences.padded(torch.tensor([2, 1, 0]))
    assert ids.tolist() == [[7, 8, 9], [6, 6, 6], [4, 5, 4]]
    assert lengths.tolist() == [3, 1, 2]


@pytest.mark.parametrize("n_layers", [1, 3])
def test_arrays_have_the_names_of_one_lstm_of_both_directions(n_layers):
    arrays = model_of(pairs_of(), n_layers=n_layers).arrays()
    whole = torch.nn.LSTM(WIDTH, HIDDEN, n_layers, bidirectional=True)
    encoder = {n.removeprefix("encoder."): torch.as_tensor(a) for n, a in arrays.items() if n.startswith("encoder.")}
    whole.load_state_dict(encoder)
    p, vectors = slow_net(n_layers), torch.as_tensor(pairs_of().vectors)[[3, 1, 0]]
    states, _, _ = begin(p, vectors.double())
    torch.testing.assert_close(whole(vectors[:, None])[0][:, 0].double(), states, rtol=1e-4, atol=1e-5)
    for name in arrays:
        assert translator._module_name(name) in {*p, "words", "output"}


@pytest.mark.parametrize("n_layers", [1, 2])
@pytest.mark.parametrize("at_once", [2, 64])
def test_greedy_words_are_the_likeliest_until_the_end(n_layers, at_once, monkeypatch):
    monkeypatch.setattr(translator, "_SCORED_PAIRS", at_once)
    pairs = pairs_of(12, seed=4)
    model = model_of(pairs, n_layers=n_layers)
    model.softmax.table.weight[END_ROW, -1] -= 1.0  # some sentences end, others do not
    sources = [[], *(sequence(pairs.source, row) for row in range(12)), []]
    sentences = Ragged.from_ends(np.concatenate(sources).astype(np.int32), np.cumsum([len(s) for s in sources]))
    found = translate_greedily(model.arrays(), sentences, pairs.vectors, 11, torch.device("cpu"))
    p, words, output = slow_net(n_layers), model.words.weight.double(), model.softmax.table.weight.double()
    expected = []
    with torch.no_grad():
        for source in sources:
            expected.append([])
            if not source:
                continue
            states, h, c = begin(p, torch.as_tensor(pairs.vectors)[source].double())
            fed, word = torch.zeros_like(h), BEGIN_ROW
            for _ in range(11):
                h, c, fed = write(p, states, h, c, fed, words[word])
                word = int((output[:, :-1] @ fed + output[:, -1]).argmax())
                if word == END_ROW:
                    break
                expected[-1].append(word)
    assert found == expected
    assert {len(line) for line in expected} >= {0, 11}


def test_learning_leaves_out_what_is_held_out_and_begins_uniform():
    pairs = pairs_of(10)
    held_out = np.arange(10) % 4 == 1
    counts = np.array([0, 10, 3, 8, 2, 1, 0])
    still = TranslationSettings(**SETTINGS | {"max_iter": 1, "learning_rate": 0.0, "n_layers": 1, "hidden_size": 8})
    arrays, history = learn_translation(pairs, held_out & False, counts, still, Run(0))
    assert history.validation_scores == []
    for part in (arrays["words"], arrays["output"][:, :-1]):
        assert 0.08 < np.abs(part).max() <= 0.1
        assert part.min() < -0.08
    assert arrays["words"].shape == (N_TARGETS, WIDTH)
    np.testing.assert_allclose(arrays["output"][:, -1], np.log((counts + 1) / (counts + 1).sum()), rtol=1e-5)

    settings = TranslationSettings(**SETTINGS | {"n_layers": 1})
    seen = []
    whole = translator._Translation.step

    def step(self, rows):
        seen.append((rows.tolist(), self._total))
        return whole(self, rows)

    translator._Translation.step = step
    try:
        arrays, history = learn_translation(pairs, held_out, counts, settings, Run(0))
    finally:
        translator._Translation.step = whole
    learned = sorted(np.flatnonzero(~held_out).tolist())
    assert sorted(row for rows, _ in seen[:3] for row in rows) == learned  # 7 pairs in batches of 3
    assert {total for _, total in seen} == {2 * 3}
    assert len(history.loss_curve) == len(history.validation_scores) == 2
    p = {translator._module_name(name): torch.as_tensor(a).double() for name, a in arrays.items()}
    loss, n = slow_loss(p, p["words"], p["output"], pairs, np.flatnonzero(held_out))
    assert history.validation_scores[history.best_iter - 1] == pytest.approx(-float(loss) / n, rel=1e-5)


def test_the_loss_of_a_pass_is_that_of_a_word():
    pairs = pairs_of(10)
    held_out = np.arange(10) % 4 == 1
    still = TranslationSettings(**SETTINGS | {"max_iter": 1, "learning_rate": 0.0, "n_layers": 1})
    arrays, history = learn_translation(pairs, held_out, np.ones(N_TARGETS), still, Run(0))
    p = {translator._module_name(name): torch.as_tensor(a).double() for name, a in arrays.items()}
    loss, n = slow_loss(p, p["words"], p["output"], pairs, np.flatnonzero(~held_out))
    assert history.loss_curve == [pytest.approx(float(loss) / n, rel=1e-5)]
