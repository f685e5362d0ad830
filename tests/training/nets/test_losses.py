"""Residuals and curvature of the losses, against autograd."""

import pytest

torch = pytest.importorskip("torch")

from skembed.training.nets.losses import MultiLoss  # noqa: E402

PARTS = {
    "continuous": [("continuous", 0, 1)],
    "binary": [("binary", 0, 1)],
    "multiclass": [("multiclass", 0, 4)],
    "several": [("continuous", 0, 1), ("binary", 1, 2), ("multiclass", 2, 5)],
    "many": [("binary", i, i + 1) for i in range(6)],
}


def draw(parts, n=5):
    generator = torch.Generator().manual_seed(1)
    width = parts[-1][2]
    scores = torch.randn((n, width), generator=generator)
    target = torch.randn((n, width), generator=generator)
    for kind, start, stop in parts:
        if kind == "binary":
            target[:, start] = (target[:, start] > 0).float()
        elif kind == "multiclass":
            target[:, start:stop] = torch.eye(stop - start)[torch.randint(stop - start, (n,), generator=generator)]
    return scores, target


@pytest.mark.parametrize("name", PARTS)
def test_residual_is_minus_the_gradient(name):
    loss = MultiLoss(PARTS[name])
    scores, target = draw(PARTS[name])
    scores.requires_grad_(True)
    (gradient,) = torch.autograd.grad(loss(scores, target).sum(), scores)
    torch.testing.assert_close(loss.residual(scores.detach(), target), -gradient)


@pytest.mark.parametrize("name", PARTS)
def test_curvature_roots_give_the_hessian(name):
    loss = MultiLoss(PARTS[name])
    scores, target = draw(PARTS[name], n=1)
    hessian = torch.autograd.functional.hessian(lambda s: loss(s, target).sum(), scores)[0, :, 0, :]
    generator = torch.Generator().manual_seed(0)
    if loss.is_diagonal:
        roots = loss.curvature_roots(scores, generator)
        found = sum(v.T @ v for v in roots)
        torch.testing.assert_close(found, hessian, rtol=1e-5, atol=1e-6)
    else:  # in the mean over draws
        repeated = scores.expand(20_000, -1)
        roots = loss.curvature_roots(repeated, generator)
        found = sum(v.T @ v for v in roots) / len(repeated)
        torch.testing.assert_close(found, hessian, rtol=0, atol=0.03)


@pytest.mark.parametrize("name", PARTS)
@pytest.mark.parametrize("confidence", [0.01, 0.5, 20.0])
def test_shrunk_scores_are_drawn_to_the_average_as_far_as_does_them_good(name, confidence):
    parts = PARTS[name]
    scores, target = draw(parts, n=60)
    weight = torch.rand(60, generator=torch.Generator().manual_seed(2))
    mean = torch.linspace(-0.5, 0.5, parts[-1][2])
    helpful = torch.where(target.abs() > 1, target, 2 * target - 1)
    scores = mean + confidence * (helpful + 2 * scores)
    expected = 0.0
    for kind, start, stop in parts:
        of_part = slice(start, stop)
        alone = MultiLoss([(kind, 0, stop - start)])
        shares = torch.linspace(0, 1, 2001, dtype=torch.float64)
        tried = [
            float((alone(mean[of_part] + a * (scores - mean)[:, of_part], target[:, of_part]) * weight).sum())
            for a in shares
        ]
        expected += min(tried) / float(weight.sum())
    found = MultiLoss(parts).shrunk(scores, target, weight, mean)
    assert found == pytest.approx(expected, rel=1e-4)


def test_what_is_wrong_throughout_is_worth_what_the_average_is():
    parts = PARTS["multiclass"]
    loss, target = MultiLoss(parts), draw(parts, n=60)[1]
    mean = torch.zeros(4)
    found = loss.shrunk(-5 * target, target, torch.ones(60), mean)
    assert found == pytest.approx(float(loss(mean.expand(60, -1), target).mean()), rel=1e-3)


def test_losses_add_up_over_outputs():
    scores, target = draw(PARTS["several"])
    total = MultiLoss(PARTS["several"])(scores, target)
    single = 0.5 * (scores[:, 0] - target[:, 0]) ** 2
    single = single + torch.nn.functional.binary_cross_entropy_with_logits(scores[:, 1], target[:, 1], reduction="none")
    single = single + torch.nn.functional.cross_entropy(scores[:, 2:], target[:, 2:].argmax(1), reduction="none")
    torch.testing.assert_close(total, single)


def test_logits_of_any_size_have_a_finite_loss():
    loss = MultiLoss([("binary", 0, 1), ("multiclass", 1, 3)])
    scores = torch.tensor([[1e4, -1e4, 1e4], [-1e4, 1e4, -1e4]])
    target = torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 1.0]])
    assert torch.isfinite(loss(scores, target)).all()
    assert torch.isfinite(loss.residual(scores, target)).all()
