"""The net of levels: which shrinkage of its tables is chosen."""

from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from skembed.training.nets import level_net  # noqa: E402
from skembed.training.nets.level_net import DEFAULT_SHRINKAGE, SHRINKAGES, choose_shrinkage  # noqa: E402

WEAK, MIDDLE, STRONG = sorted(SHRINKAGES)[0], sorted(SHRINKAGES)[1], sorted(SHRINKAGES)[2]


@pytest.fixture
def choose(monkeypatch):
    """Choose by given losses of validation rows; all other shrinkages are bad."""
    monkeypatch.setattr(level_net, "relearn_tables", lambda net, training, *, ratio, n_iter, seed: ratio)

    def choose(losses, weight):
        rows = torch.arange(len(weight))
        net = SimpleNamespace(
            validation=rows,
            weight=torch.tensor(weight, dtype=torch.float32),
            row_losses=lambda rows, ratio: torch.tensor(losses.get(ratio, np.full(len(rows), 99.0))),
        )
        return choose_shrinkage(net, rows, 0)

    return choose


def test_it_is_the_strongest_within_a_standard_error(choose):
    noise = np.random.default_rng(0).normal(size=400)
    flat, weight = np.ones(400), np.ones(400)
    assert choose({WEAK: flat, MIDDLE: flat + noise - noise.mean() + 0.04, STRONG: flat + 0.1}, weight) == MIDDLE
    assert choose({WEAK: flat, MIDDLE: flat + noise - noise.mean() + 0.06}, weight) == WEAK
    assert choose({WEAK: flat, STRONG: flat - 0.1}, weight) == STRONG


def test_rows_count_by_their_weight(choose):
    weight, is_light = np.ones(400), np.arange(400) < 200
    weight[is_light] = 1e-6
    losses = np.where(is_light, 0.0, 1.0)
    noise = np.random.default_rng(0).normal(size=400)
    assert (
        choose({WEAK: np.ones(400), STRONG: np.where(is_light, 5.0, 1 + 1e-3 * noise - 1e-3 * noise.max())}, weight)
        == STRONG
    )
    assert choose({WEAK: np.ones(400), STRONG: np.where(is_light, -5.0, 2.0)}, weight) == WEAK
    assert choose({WEAK: losses, STRONG: losses}, weight) == STRONG


def test_losses_that_are_not_finite_and_no_rows(choose):
    assert choose({WEAK: np.array([1.0, 1.0]), STRONG: np.array([np.nan, 0.0])}, [1.0, 1.0]) == WEAK
    bad = {ratio: np.array([np.inf]) for ratio in SHRINKAGES}
    assert choose(bad, [1.0]) == np.inf
    assert choose({}, []) == DEFAULT_SHRINKAGE
