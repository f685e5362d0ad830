"""Sparse Adam on rows, against torch's own."""

import pytest

torch = pytest.importorskip("torch")

from skembed.training.nets.row_tables import RowTable  # noqa: E402


@pytest.mark.parametrize("dim", [1, 4])
def test_equals_sparse_adam(dim):
    generator = torch.Generator().manual_seed(0)
    start = torch.randn((20, dim), generator=generator)
    table = RowTable(start, learning_rate=0.01)
    twin = torch.nn.Parameter(start.clone())
    optimizer = torch.optim.SparseAdam([twin], lr=0.01)
    for _ in range(50):
        ids = torch.randint(20, (7,), generator=generator)
        gradient = torch.randn((7, dim), generator=generator)
        table.update(ids, gradient)
        twin.grad = torch.sparse_coo_tensor(ids[None], gradient, (20, dim)).coalesce()
        optimizer.step()
    torch.testing.assert_close(table.weight, twin.detach(), rtol=1e-5, atol=1e-6)


def test_rows_that_are_not_met_stay_and_start_is_not_changed():
    start = torch.ones((5, 2))
    table = RowTable(start, learning_rate=0.1)
    table.update(torch.tensor([1, 1, 3]), torch.ones((3, 2)))
    assert torch.equal(start, torch.ones((5, 2)))
    assert torch.equal(table.weight[[0, 2, 4]], torch.ones((3, 2)))
    assert (table.weight[[1, 3]] < 1).all()


def test_occurrences_of_a_row_are_summed():
    once, twice = RowTable(torch.zeros((2, 1)), 0.1), RowTable(torch.zeros((2, 1)), 0.1)
    for gradient in (1.0, -0.25, 2.0):
        once.update(torch.tensor([1]), torch.tensor([[gradient]]))
        twice.update(torch.tensor([1, 1]), torch.tensor([[gradient / 2]] * 2))
    torch.testing.assert_close(once.weight, twice.weight)
