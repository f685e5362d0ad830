"""The autoencoder's net beside the same in float64: what it reconstructs, its steps, its score, and its rates."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from slow_steps import watch  # noqa: E402

from skembed.training.autoencoder import AutoencoderRows, AutoencoderSettings  # noqa: E402
from skembed.training.nets import autoencoder  # noqa: E402
from skembed.training.nets.autoencoder import AutoencoderNet, train_autoencoder  # noqa: E402
from skembed.training.nets.device import seeded_generator  # noqa: E402
from skembed.training.run import Run  # noqa: E402

N, N_NUMBERS, N_FLAGS, DIM = 40, 3, 1, 2
LEVELS = [3, 4]
LEVEL_WEIGHTS = [0.25, 1.0]


def rows_of(*, holes=True, categories=True):
    rng = np.random.default_rng(0)
    present = rng.random((N, N_NUMBERS)) < 0.8
    numbers = rng.normal(size=(N, N_NUMBERS)) * (present if holes else 1)
    inputs = np.column_stack([numbers, ~present[:, :1]]).astype(np.float32)
    ids = np.column_stack([rng.integers(3, size=N), 3 + rng.integers(4, size=N)])
    return AutoencoderRows(
        inputs,
        present if holes else None,
        ids if categories else np.empty((N, 0), np.int64),
        LEVELS if categories else [],
        N_NUMBERS,
        LEVEL_WEIGHTS if categories else [],
    )


def start_of(rows, seed=1):
    rng, n_levels = np.random.default_rng(seed), sum(rows.n_levels)
    return {
        "encode": rng.normal(size=(N_NUMBERS + N_FLAGS + n_levels, DIM)),
        "encode_bias": rng.normal(size=DIM),
        "decode": rng.normal(size=(DIM, N_NUMBERS + n_levels)),
        "decode_bias": rng.normal(size=N_NUMBERS + n_levels),
    }


def settings_of(**changes):
    chosen = {"hidden_layer_sizes": (5, 4), "max_iter": 3, "batch_size": 8, "learning_rate": 0.02, "device": "cpu"}
    return AutoencoderSettings(**chosen | changes)


def trainer_of(rows, *, validation=(0, 1, 2, 3), **options):
    settings = settings_of(**options)
    sizes, start, generator = settings.hidden_layer_sizes, start_of(rows), seeded_generator(0)
    net = AutoencoderNet(N_NUMBERS + N_FLAGS, rows.n_levels, N_NUMBERS, rows.level_weights, sizes, start, generator)
    return autoencoder._Trainer(net, rows, np.array(validation, np.int64), settings, torch.device("cpu"))


def slow_losses(p, rows, which):
    """Of each row the mean over columns of half a squared error, or a cross-entropy, as a sum of plain products."""
    n_in, losses = N_NUMBERS + N_FLAGS, []
    for row in which:
        x = torch.as_tensor(rows.inputs[row]).double()
        read = x @ p["encode_in"][:n_in] + p["encode_bias"]
        for level in rows.ids[row]:
            read = read + p["encode_in"][n_in + int(level)]
        width = len(read) - DIM
        hidden, code, k = read[:width], read[width:], 0
        while f"encoder.{k}.weight" in p:
            hidden = p[f"encoder.{k}.weight"] @ torch.relu(hidden) + p[f"encoder.{k}.bias"]
            k += 1
        code = code + hidden if k else code
        hidden, k = code, 0
        while f"decoder.{k}.weight" in p:
            hidden = torch.relu(p[f"decoder.{k}.weight"] @ hidden + p[f"decoder.{k}.bias"])
            k += 1
        out = (torch.cat([hidden, code]) if k else code) @ p["decode_out"] + p["decode_bias"]
        loss, begin, first = 0.0, N_NUMBERS, 0
        for j in range(N_NUMBERS):
            if rows.present is None or rows.present[row, j]:
                loss = loss + 0.5 * (out[j] - x[j]) ** 2
        for level, n, weight in zip(rows.ids[row], rows.n_levels, rows.level_weights):
            logits = out[begin : begin + n]
            loss = loss + weight * (logits.logsumexp(0) - logits[int(level) - first])
            begin, first = begin + n, first + n
        losses.append(loss / (N_NUMBERS + len(rows.n_levels)))
    return torch.stack(losses)


@pytest.mark.parametrize("sizes", [(), (5,), (5, 4)])
@pytest.mark.parametrize(("holes", "categories"), [(True, True), (False, False)])
def test_steps_are_those_of_the_mean_loss(sizes, holes, categories):
    rows = rows_of(holes=holes, categories=categories)
    trainer = trainer_of(rows, hidden_layer_sizes=sizes)
    p = {name: value.detach().double().requires_grad_(True) for name, value in trainer.net.named_parameters()}
    reference = torch.optim.AdamW(p.values(), lr=0.02, weight_decay=1e-4)
    gradients = watch(trainer.optimizer, "step", lambda: trainer.optimizer.gradient.clone())
    for which in ([4, 5, 6, 7], [20, 8], [9, 9, 30]):
        losses = slow_losses(p, rows, which)
        reference.zero_grad()
        losses.mean().backward()
        grads = torch.cat([torch.zeros_like(q).flatten() if q.grad is None else q.grad.flatten() for q in p.values()])
        assert float(trainer.step(torch.tensor(which))) == pytest.approx(float(losses.detach().sum()), rel=1e-4)
        torch.testing.assert_close(gradients[-1].double(), grads, rtol=1e-3, atol=1e-5)
        reference.step()
    moved = torch.cat([q.detach().flatten() for q in p.values()])
    torch.testing.assert_close(trainer.optimizer.weight.double(), moved, rtol=1e-3, atol=1e-3)


def test_weights_decay_by_a_ten_thousandth_of_the_rate():
    trainer = trainer_of(rows_of())
    trainer.optimizer.zero_grad()
    before, trainer.optimizer.learning_rate = trainer.optimizer.weight.clone(), 100.0
    trainer.optimizer.step()
    torch.testing.assert_close(trainer.optimizer.weight, 0.99 * before)


@pytest.mark.parametrize("at_once", [3, 16_384])
def test_the_score_is_what_is_left_of_the_loss_of_means_and_shares(at_once, monkeypatch):
    monkeypatch.setattr(autoencoder, "EVALUATION_ROWS", at_once)
    rows = rows_of()
    trainer = trainer_of(rows, validation=range(2, 12))
    p = {name: value.detach().double() for name, value in trainer.net.named_parameters()}
    with torch.no_grad():
        losses = slow_losses(p, rows, range(2, 12))
    np.testing.assert_allclose(trainer.validation_losses(), losses, rtol=1e-4)
    np.testing.assert_allclose(trainer.first_losses, losses, rtol=1e-4)
    shares = start_of(rows)["decode_bias"][N_NUMBERS:]
    null = []
    for row in range(2, 12):
        loss, begin = 0.5 * ((rows.inputs[row, :N_NUMBERS] * rows.present[row]) ** 2).sum(), 0
        for level, n, weight in zip(rows.ids[row], LEVELS, LEVEL_WEIGHTS):
            logits = shares[begin : begin + n]
            loss += weight * (np.log(np.exp(logits).sum()) - logits[level - begin])
            begin += n
        null.append(loss / 5)
    assert trainer.null_loss == pytest.approx(np.mean(null), rel=1e-5)
    assert trainer.validation_score() == pytest.approx(1 - float(losses.mean()) / np.mean(null), rel=1e-4)
    assert trainer_of(rows, validation=[], hidden_layer_sizes=()).null_loss == 1.0
    assert trainer.best_score == trainer.validation_score()
    assert trainer.stale == 1  # it takes note: as good is no rise


def test_what_is_the_same_in_each_row_has_a_null_loss_above_nothing():
    rows = rows_of(holes=False, categories=False)
    rows.inputs[:] = 0.0
    assert trainer_of(rows).null_loss == 1e-12


@pytest.mark.parametrize(("patience", "rates"), [(4, [1, 1, 1, 0.5, 0.5, 0.25]), (1, [1, 1, 0.5, 0.25, 0.125, 0.0625])])
def test_the_rate_is_halved_after_half_the_patience_without_a_rise(patience, rates):
    trainer = trainer_of(rows_of(), learning_rate=1.0, n_iter_no_change=patience, tol=0.1)
    found = []
    for score in [0.0, 0.5, 0.55, 0.55, 0.58, 0.6]:  # but the second, none rises by more than a tenth above the best
        trainer._slow_down(score)
        found.append(trainer.optimizer.learning_rate)
    assert found == rates
    trainer._slow_down(0.71)
    assert trainer.stale == 0
    assert trainer.best_score == 0.71
    assert trainer.optimizer.learning_rate == rates[-1]


def test_it_is_better_than_its_start_where_the_gain_is_beyond_one_and_a_half_standard_errors():
    trainer = trainer_of(rows_of())
    spread = torch.tensor([1.0, -1.0] * 50, dtype=torch.float64)
    error = float(spread.std()) / 10
    for gain, is_better in ((1.45 * error, False), (1.55 * error, True), (-1.55 * error, False)):
        trainer.first_losses = spread + gain
        trainer.validation_losses = lambda: torch.zeros(100, dtype=torch.float64)
        assert trainer.is_better_than_start() == is_better
    for n, is_better in ((9, False), (10, True)):
        trainer.first_losses = torch.linspace(0.9, 1.1, n)
        trainer.validation_losses = lambda n=n: torch.zeros(n)
        assert trainer.is_better_than_start() == is_better


def test_layers_begin_uniform_in_one_by_the_root_of_their_inputs_and_add_nothing():
    rows = rows_of()
    start = start_of(rows)
    net = AutoencoderNet(N_NUMBERS + N_FLAGS, LEVELS, N_NUMBERS, LEVEL_WEIGHTS, (100, 64), start, seeded_generator(0))
    n_read = N_NUMBERS + N_FLAGS + 2  # of a column one level
    for part in (net.encode_in[:, :100], net.encode_bias[:100]):
        assert 0.9 * n_read**-0.5 < float(part.max()) <= n_read**-0.5
        assert -(n_read**-0.5) <= float(part.min()) < -0.9 * n_read**-0.5
    np.testing.assert_allclose(net.encode_in[:, 100:].detach(), start["encode"], rtol=1e-6)
    np.testing.assert_allclose(net.encode_bias[100:].detach(), start["encode_bias"], rtol=1e-6)
    first, last = net.encoder
    assert 0.095 < float(first.weight.max()) <= 0.1
    assert not last.weight.any()
    assert not last.bias.any()
    assert [layer.weight.shape for layer in net.encoder] == [(64, 100), (DIM, 64)]
    assert [layer.weight.shape for layer in net.decoder] == [(64, DIM), (100, 64)]
    assert 0.95 * DIM**-0.5 < float(net.decoder[0].weight.max()) <= DIM**-0.5
    assert 0.12 < float(net.decoder[1].weight.max()) <= 0.125
    assert not net.decode_out[:100].any()
    np.testing.assert_allclose(net.decode_out[100:].detach(), start["decode"], rtol=1e-6)
    np.testing.assert_allclose(net.decode_bias.detach(), start["decode_bias"], rtol=1e-6)


def test_a_pass_goes_over_what_is_not_held_out_and_tells_the_loss_of_a_row():
    rows = rows_of()
    start, validation = start_of(rows), np.arange(0, N, 4)
    weights, history = train_autoencoder(rows, start, validation, settings_of(max_iter=1, learning_rate=0.0), Run(0))
    net = AutoencoderNet(N_NUMBERS + N_FLAGS, LEVELS, N_NUMBERS, LEVEL_WEIGHTS, (5, 4), start, seeded_generator(0))
    p = {name: value.detach().double() for name, value in net.named_parameters()}
    learned = np.setdiff1d(np.arange(N), validation)
    assert history.loss_curve == [pytest.approx(float(slow_losses(p, rows, learned).mean()), rel=1e-5)]
    assert history.best_iter == 0
    for name in ("encode_in", "encode_bias", "decode_out", "decode_bias"):
        np.testing.assert_allclose(weights[name], p[name], rtol=1e-6)
    for part in ("encoder", "decoder"):
        for k, (weight, bias) in enumerate(weights[part]):
            np.testing.assert_allclose(weight, p[f"{part}.{k}.weight"].T, rtol=1e-6)
            np.testing.assert_allclose(bias, p[f"{part}.{k}.bias"], rtol=1e-6)
            assert weight.flags.c_contiguous
    assert (weights["encode_in"].shape[1], len(weights["encoder"])) == (5 + DIM, 2)


def test_without_rows_held_out_all_passes_are_taken_and_kept():
    rows = rows_of()
    weights, history = train_autoencoder(rows, start_of(rows), np.empty(0, np.int64), settings_of(), Run(0))
    assert history.n_iter == history.best_iter == 3
    assert history.validation_scores == []
    assert history.loss_curve[2] < history.loss_curve[0]
    assert not np.allclose(weights["encode_in"][:, 5:], start_of(rows)["encode"])


@pytest.mark.parametrize(("n_rows", "expected"), [(100, 32), (40_000, 100), (10**6, 1024)])
def test_a_batch_that_is_auto_is_a_four_hundredth_of_the_rows(n_rows, expected):
    class Estimator:
        hidden_layer_sizes, batch_size = [7, 3], "auto"

        def get_params(self, deep):
            return {"hidden_layer_sizes": [7, 3], "batch_size": self.batch_size, "max_iter": 9, "tol": 0.25}

    estimator = Estimator()
    settings = AutoencoderSettings.of(estimator, n_rows)
    assert (settings.batch_size, settings.hidden_layer_sizes) == (expected, (7, 3))
    assert (settings.max_iter, settings.tol) == (9, 0.25)
    estimator.batch_size = 5
    assert AutoencoderSettings.of(estimator, n_rows).batch_size == 5
