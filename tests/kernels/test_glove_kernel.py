"""The AdaGrad pass of GloVe beside a twin in float64 that keeps sums of squares."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skembed.kernels.glove import LONGEST_STEP, new_records, train_buckets


def make_cells(generator, n, n_rows, n_columns):
    cells = np.zeros((n, 3), np.uint32)
    cells[:, 0] = generator.integers(n_rows, size=n) | generator.integers(n_columns, size=n) << 16
    cells.view(np.float32)[:, 1] = generator.normal(0, 2, size=n)
    cells.view(np.float32)[:, 2] = generator.random(n)
    return cells


def run(records, cells, row_start, column_start, both, rate, far=False, cuts=()):
    begins, ends = np.array([0, *cuts]), np.array([*cuts, len(cells)])
    losses, n = np.zeros(len(begins)), len(begins)
    train_buckets(
        records, cells, begins, ends, np.full(n, row_start), np.full(n, column_start), np.full(n, far), both, rate,
        losses,
    )  # fmt: skip
    return losses


def twin(words, contexts, cells, row_start, column_start, both, rate):
    """Bias of the word as the component before the last, of the context as the last, squares summed from 1."""
    n_keys = len(words)
    w = np.hstack([words, np.zeros((n_keys, 1)), np.ones((n_keys, 1))]).astype(np.float64)
    c = np.hstack([contexts, np.ones((n_keys, 1)), np.zeros((n_keys, 1))]).astype(np.float64)
    sums_w, sums_c = np.ones_like(w), np.ones_like(c)
    free_w, free_c = np.ones(w.shape[1]), np.ones(w.shape[1])
    free_w[-1] = free_c[-2] = 0
    loss = 0.0
    for number, (_, log_count, weight) in zip(cells[:, 0], cells.view(np.float32)):
        row, column = row_start + int(number & 0xFFFF), column_start + int(number >> 16)
        ways = [(row, column), (column, row)] if both and row != column else [(row, column)]
        errors = [w[i] @ c[j] - log_count for i, j in ways]
        for (i, j), error in zip(ways, errors):
            loss += 0.5 * weight * error**2
            steps = rate * weight * error * np.stack([c[j] * free_w, w[i] * free_c])
            for row_of, sums, k, step in ((w, sums_w, i, steps[0]), (c, sums_c, j, steps[1])):
                taken = np.clip(step / np.sqrt(sums[k]), -LONGEST_STEP, LONGEST_STEP)
                row_of[k] -= taken
                sums[k] *= 1 + taken**2  # what was cut off is not summed
    return w, c, sums_w, sums_c, loss


@settings(deadline=None, max_examples=80)
@given(
    seed=st.integers(0, 10_000),
    n=st.integers(0, 60),
    dim=st.sampled_from([1, 3, 13, 14, 15, 30, 50]),
    both=st.booleans(),
    same_block=st.booleans(),
    rate=st.sampled_from([0.01, 0.05, 0.1]),
    far=st.booleans(),
)
def test_a_pass_does_what_its_twin_does(seed, n, dim, both, same_block, rate, far):
    generator = np.random.default_rng(seed)
    words, contexts = generator.normal(0, 0.3, size=(2, 9, dim)).astype(np.float32)
    column_start = 0 if same_block else 5
    cells = make_cells(generator, n, 5, 4)
    expected_w, expected_c, sums_w, sums_c, loss = twin(words, contexts, cells, 0, column_start, both, rate)
    records = new_records(words, contexts)
    losses = run(records, cells, 0, column_start, both, rate, far, cuts=[n // 2])
    np.testing.assert_allclose(records[:, 0, : dim + 2], expected_w, atol=2e-4, rtol=1e-3)
    np.testing.assert_allclose(records[:, 2, : dim + 2], expected_c, atol=2e-4, rtol=1e-3)
    np.testing.assert_allclose(records[:, 1, : dim + 1] ** -2.0, sums_w[:, : dim + 1], rtol=2e-3)
    np.testing.assert_allclose(records[:, 3, :dim] ** -2.0, sums_c[:, :dim], rtol=2e-3)
    assert losses.sum() == pytest.approx(loss, rel=1e-3, abs=1e-5)


def test_ones_and_padding_never_move():
    generator = np.random.default_rng(0)
    records = new_records(*generator.normal(size=(2, 9, 20)).astype(np.float32))
    run(records, make_cells(generator, 500, 9, 9), 0, 0, True, 0.05)
    assert records.shape == (9, 4, 32)
    assert (records[:, 0, 21] == 1).all()
    assert (records[:, 2, 20] == 1).all()
    assert not records[:, 1, 21:].any()
    assert not records[:, 3, [20, *range(22, 32)]].any()
    assert not records[:, [0, 2], 22:].any()


def test_sums_of_squares_stay_exact_over_many_steps():
    """y = 1 / sqrt(sum) is carried along as a product; a hundred thousand factors must not wear it out."""
    generator = np.random.default_rng(0)
    words, contexts = generator.normal(0, 0.3, size=(2, 4, 6)).astype(np.float32)
    cells = make_cells(generator, 20_000, 4, 4)
    _, _, sums_w, _, _ = twin(words, contexts, cells, 0, 0, True, 0.05)
    records = new_records(words, contexts)
    run(records, cells, 0, 0, True, 0.05)
    np.testing.assert_allclose(records[:, 1, :7] ** -2.0, sums_w[:, :7], rtol=1e-2)


@pytest.mark.parametrize("rate", [1e3, 1e30])
def test_rates_far_too_large_stay_finite(rate):
    generator = np.random.default_rng(0)
    records = new_records(*generator.normal(size=(2, 9, 20)).astype(np.float32))
    for _ in range(20):
        losses = run(records, make_cells(generator, 500, 9, 9), 0, 0, True, rate)
    assert np.isfinite(records).all()
    assert np.isfinite(losses).all()


def test_the_loss_falls():
    generator = np.random.default_rng(0)
    records = new_records(*generator.normal(0, 0.1, size=(2, 9, 20)).astype(np.float32))
    cells = make_cells(generator, 40, 9, 9)
    losses = [run(records, cells, 0, 0, False, 0.05).sum() for _ in range(100)]
    assert losses[-1] < 0.3 * losses[0]
