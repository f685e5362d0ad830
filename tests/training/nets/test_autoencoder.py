"""The autoencoder's net: its linear start, its loss, and when the start is kept."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from skembed.training.autoencoder import AutoencoderRows, AutoencoderSettings  # noqa: E402
from skembed.training.nets.autoencoder import AutoencoderNet, train_autoencoder  # noqa: E402
from skembed.training.run import Run  # noqa: E402


def linear_start(X, dim, n_levels=0):
    """Principal components of centered X, and no say of levels."""
    components = np.linalg.svd(X, full_matrices=False)[2][:dim]
    return {
        "encode": np.vstack([components.T, np.zeros((n_levels, dim))]),
        "encode_bias": np.zeros(dim),
        "decode": np.hstack([components, np.zeros((dim, n_levels))]),
        "decode_bias": np.zeros(X.shape[1] + n_levels),
    }


def curve(n=600):
    t = np.linspace(-1, 1, n)
    X = np.stack([t, t**2, t**3], axis=1)
    return ((X - X.mean(axis=0)) / X.std(axis=0)).astype(np.float32)


def train(X, dim=1, ids=None, n_levels=(), validation=None, seed=0, **options):
    n = len(X)
    ids = np.empty((n, 0), dtype=np.int64) if ids is None else ids
    validation = np.arange(0, n, 5) if validation is None else validation
    defaults = {
        "hidden_layer_sizes": (32, 16),
        "max_iter": 30,
        "batch_size": 32,
        "learning_rate": 0.003,
        "n_iter_no_change": 30,
        "tol": 0.0,
        "device": "cpu",
    }
    rows = AutoencoderRows(X, None, ids, n_levels, X.shape[1], [1.0] * len(n_levels))
    start, settings = linear_start(X, dim, sum(n_levels)), AutoencoderSettings(**defaults | options)
    return train_autoencoder(rows, start, validation, settings, Run(seed))


def reconstructed(weights, X):
    width = weights["encoder"][0][0].shape[0]
    read = X @ weights["encode_in"][: X.shape[1]] + weights["encode_bias"]
    hidden, code = read[:, :width], read[:, width:]
    for weight, bias in weights["encoder"]:
        hidden = np.maximum(hidden, 0) @ weight + bias
    code = hidden = code + hidden
    for weight, bias in weights["decoder"]:
        hidden = np.maximum(hidden @ weight + bias, 0)
    return np.hstack([hidden, code]) @ weights["decode_out"] + weights["decode_bias"]


def test_the_first_state_is_the_start():
    X = curve()
    start = linear_start(X, 2)
    net = AutoencoderNet(3, [], 3, [], (8, 4), start, torch.Generator().manual_seed(0))
    codes = net.encode(torch.as_tensor(X), torch.empty((600, 0), dtype=torch.int64))
    np.testing.assert_allclose(codes.detach().numpy(), X @ start["encode"], atol=1e-5)
    np.testing.assert_allclose(net.decode(codes).detach().numpy(), X @ start["encode"] @ start["decode"], atol=1e-5)


def test_learns_a_curve():
    X = curve()
    weights, history = train(X)
    start = linear_start(X, 1)
    linear = np.mean((X @ start["encode"] @ start["decode"] - X) ** 2)
    assert np.mean((reconstructed(weights, X) - X) ** 2) < 0.1 * linear
    assert history.best_iter > 0
    assert history.validation_scores[-1] > 0.9


def test_the_start_is_kept_where_nothing_is_gained():
    X = np.random.default_rng(0).standard_normal((300, 4)).astype(np.float32)
    weights, history = train(X, dim=2, max_iter=5, learning_rate=0.1)
    assert history.best_iter == 0
    start = linear_start(X, 2)
    np.testing.assert_allclose(reconstructed(weights, X), X @ start["encode"] @ start["decode"], atol=1e-5)


def test_the_start_is_kept_where_few_rows_are_held_out():
    X = curve()
    assert train(X, validation=np.arange(9))[1].best_iter == 0
    assert train(X, validation=np.arange(0, 600, 40))[1].best_iter > 0


def test_missing_numbers_do_not_count():
    X = curve()
    present = np.random.default_rng(0).random(X.shape) < 0.7
    holes = np.where(present, X, 0)
    poisoned = np.where(present, X, 1e6).astype(np.float32)
    net = AutoencoderNet(3, [], 3, [], (8,), linear_start(X, 1), torch.Generator().manual_seed(0))
    out, no_ids = torch.as_tensor(X), torch.empty((600, 0), dtype=torch.int64)
    mask = torch.as_tensor(present, dtype=torch.float32)
    losses = [net.losses(out + 1, torch.as_tensor(t.astype(np.float32)), mask, no_ids) for t in (holes, poisoned)]
    expected = 0.5 * present.sum(axis=1) / 3
    for loss in losses:
        np.testing.assert_allclose(loss.numpy(), expected, rtol=1e-4)


def test_levels_are_cross_entropy_of_their_own_columns():
    start = linear_start(curve()[:, :1], 1, 5)
    net = AutoencoderNet(1, [2, 3], 1, [1.0, 0.5], (4,), start, torch.Generator().manual_seed(0))
    out = torch.zeros((2, 6))
    out[1, 5] = 100.0  # the last level of the second column
    ids = torch.tensor([[0, 2], [1, 4]])
    losses = net.losses(out, torch.zeros((2, 1)), None, ids)
    expected = np.array([np.log(2) + 0.5 * np.log(3), np.log(2)]) / 3
    np.testing.assert_allclose(losses.numpy(), expected, rtol=1e-5)


def test_levels_are_learned():
    rng = np.random.default_rng(0)
    level = rng.integers(0, 4, 600)
    X = (np.cos(level)[:, None] + 0.01 * rng.standard_normal((600, 1))).astype(np.float32)
    _, history = train(X - X.mean(), dim=1, ids=level[:, None], n_levels=(4,))
    assert history.validation_scores[-1] > 0.9


def test_the_seed_decides():
    X = curve(200)
    first, second = (train(X, max_iter=3)[0] for _ in range(2))
    np.testing.assert_array_equal(first["encode_in"], second["encode_in"])
    other = train(X, max_iter=3, seed=1, validation=np.empty(0, int))[0]
    assert not np.array_equal(first["encode_in"], other["encode_in"])


def test_a_device_that_is_not_there():
    with pytest.raises(ValueError, match="device is 'nowhere'"):
        train(curve(100), device="nowhere")
