"""The net over tables of levels: what its validation score says."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from skembed.training.nets.device import seeded_generator  # noqa: E402
from skembed.training.nets.losses import MultiLoss  # noqa: E402
from skembed.training.nets.table_net import TableNet  # noqa: E402

PARTS = [("continuous", 0, 1), ("binary", 1, 2), ("multiclass", 2, 5)]


@pytest.fixture
def net():
    """A net without tables, whose scores are offsets as they are given."""
    rng = np.random.default_rng(0)
    n = 40
    target = np.column_stack([rng.normal(size=n), rng.integers(2, size=n), np.eye(3)[rng.integers(3, size=n)]])
    head = torch.nn.Sequential(torch.nn.Linear(1, 5))
    torch.nn.init.zeros_(head[0].weight)
    torch.nn.init.zeros_(head[0].bias)
    weight = rng.integers(1, 4, n).astype(float)
    options = {"learning_rate": 0.1, "unknown_rate": 0.0, "generator": seeded_generator(0)}
    return TableNet(
        [], np.ones((n, 1)), np.zeros((n, 5)), target, weight, MultiLoss(PARTS), head,
        validation=np.arange(10), device=torch.device("cpu"), **options,
    )  # fmt: skip


def test_the_score_is_the_share_of_what_the_mean_leaves(net):
    mean = (net.target * net.weight[:, None]).sum(0) / net.weight.sum()
    net.offset = torch.cat([mean[:1], (mean[1:2] / (1 - mean[1:2])).log(), mean[2:].log()]).expand(40, -1)
    assert net.validation_score() == pytest.approx(0, abs=1e-5)
    net.offset = torch.cat([net.target[:, :1], 60 * net.target[:, 1:] - 30], dim=1)
    assert net.validation_score() == pytest.approx(1, abs=1e-5)
    net.offset = torch.cat([net.target[:, :1], 30 - 60 * net.target[:, 1:]], dim=1)
    assert net.validation_score() < 0
