"""Losses of one column or many at a time: expectations, targets that are drawn, and which curvature is exact."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from skembed.training.nets.losses import MultiLoss  # noqa: E402

PARTS = [("continuous", 0, 2), ("binary", 2, 4), ("multiclass", 4, 7)]


def test_outputs_of_several_columns_add_up():
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn((6, 7), generator=generator, dtype=torch.float64)
    target = torch.rand((6, 7), generator=generator, dtype=torch.float64)
    target[:, 4:] /= target[:, 4:].sum(dim=1, keepdim=True)
    p = torch.sigmoid(scores[:, 2:4])
    expected = 0.5 * ((scores[:, :2] - target[:, :2]) ** 2).sum(1)
    expected -= (target[:, 2:4] * p.log() + (1 - target[:, 2:4]) * (1 - p).log()).sum(1)
    expected -= (target[:, 4:] * (scores[:, 4:] - scores[:, 4:].logsumexp(1, keepdim=True))).sum(1)
    torch.testing.assert_close(MultiLoss(PARTS)(scores, target), expected)
    assert MultiLoss(PARTS).n_targets == 7


@pytest.mark.parametrize(
    ("parts", "is_diagonal"),
    [
        ([("continuous", 0, 1)], True),
        ([("binary", i, i + 1) for i in range(4)], True),
        ([("binary", i, i + 1) for i in range(5)], False),
        ([("binary", 0, 1), ("multiclass", 1, 3)], False),
    ],
)
def test_curvature_is_exact_of_few_outputs_that_do_not_mix(parts, is_diagonal):
    loss = MultiLoss(parts)
    assert loss.is_diagonal == is_diagonal
    scores = torch.zeros((3, loss.n_targets))
    roots = loss.curvature_roots(scores, torch.Generator().manual_seed(0), n_draws=5)
    assert len(roots) == (len(parts) if is_diagonal else 5)
    if is_diagonal:
        for (kind, start, _), v in zip(parts, roots):
            expected = torch.zeros((3, loss.n_targets))
            expected[:, start] = 1.0 if kind == "continuous" else 0.5
            torch.testing.assert_close(v, expected)
    assert len(loss.curvature_roots(scores, torch.Generator().manual_seed(0))) == (len(parts) if is_diagonal else 3)


def test_draws_are_of_the_model_itself_less_what_it_expects():
    loss, n = MultiLoss(PARTS), 60_000
    scores = torch.tensor([[5.0, -3.0, 1.0, -2.0, 0.0, 1.0, -1.0]]).expand(n, -1)
    expected = loss._expected(scores)
    torch.testing.assert_close(expected[0, :2], scores[0, :2])
    torch.testing.assert_close(expected[0, 2:4], torch.sigmoid(scores[0, 2:4]))
    torch.testing.assert_close(expected[0, 4:], torch.softmax(scores[0, 4:], 0))
    drawn = loss._draw(expected, torch.Generator().manual_seed(0))
    np.testing.assert_allclose(drawn.mean(dim=0), 0, atol=0.02)
    np.testing.assert_allclose(drawn[:, :2].var(dim=0), 1, rtol=0.03)
    for k in (2, 3, 4, 5, 6):
        p = expected[0, k]
        values = drawn[:, k].unique()
        np.testing.assert_allclose(values, [-p, 1 - p], atol=1e-6)
    assert ((drawn[:, 4:] > 0).sum(dim=1) == 1).all()
    covariance = np.cov(drawn.numpy().T)
    np.testing.assert_allclose(covariance[4, 5], -float(expected[0, 4] * expected[0, 5]), atol=0.01)
    np.testing.assert_allclose(covariance[:4, 4:], 0, atol=0.02)


def test_roots_of_drawn_curvature_are_scaled_by_how_many_there_are():
    loss = MultiLoss(PARTS)
    scores = torch.zeros((4, 7))
    one, many = (loss.curvature_roots(scores, torch.Generator().manual_seed(0), n_draws=n) for n in (1, 4))
    torch.testing.assert_close(many[0], one[0] / 2)


def test_the_residual_is_what_the_target_is_beyond_the_expectation():
    loss = MultiLoss(PARTS)
    scores, target = torch.randn((4, 7)), torch.rand((4, 7))
    torch.testing.assert_close(loss.residual(scores, target), target - loss._expected(scores))
