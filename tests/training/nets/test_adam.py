"""Adam over the parameters of a net, against torch's own."""

import copy

import pytest

torch = pytest.importorskip("torch")

from skembed.training.nets.adam import FlatAdamW  # noqa: E402
from skembed.training.nets.table_net import build_head  # noqa: E402


def test_equals_adamw():
    generator = torch.Generator().manual_seed(0)
    head = build_head(5, (7, 3), 2, generator)
    twin = copy.deepcopy(head)
    optimizer = FlatAdamW(head, learning_rate=0.01, weight_decay=0.1)
    reference = torch.optim.AdamW(twin.parameters(), lr=0.01, weight_decay=0.1)
    for a, b in zip(head.parameters(), twin.parameters()):
        assert torch.equal(a, b)
    for _ in range(50):
        inputs = torch.randn((16, 5), generator=generator)
        for net, steps in ((head, optimizer), (twin, reference)):
            steps.zero_grad()
            net(inputs).square().sum().backward()
            steps.step()
    for a, b in zip(head.parameters(), twin.parameters()):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)
