"""Forward passes of recurrent cells beside their twins in numpy."""

import numpy as np
import pytest

from skembed.kernels.recurrent import fold_rows, recurrent_states, sum_rows

DIM = 5


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def twin(is_lstm, pooling, events, base, begin, recurrent, recurrent_bias):
    """The pooled states of one sequence, after each of its events and before the first."""
    hidden, memory = np.tanh(begin[:DIM]), begin[DIM:]
    states, found = [], [hidden]
    for event in events:
        if is_lstm:
            i, f, g, o = np.split(base + event + hidden @ recurrent, 4)
            memory = sigmoid(f) * memory + sigmoid(i) * np.tanh(g)
            hidden = sigmoid(o) * np.tanh(memory)
        else:
            (r, z, n), (pr, pz, pn) = np.split(base + event, 3), np.split(recurrent_bias + hidden @ recurrent, 3)
            new = np.tanh(n + sigmoid(r + pr) * pn)
            update = sigmoid(z + pz)
            hidden = (1 - update) * new + update * hidden
        states.append(hidden)
        found.append([hidden, np.mean(states, axis=0), np.max(states, axis=0)][pooling])
    return np.array(found)


@pytest.mark.parametrize("pooling", [0, 1, 2])
@pytest.mark.parametrize("is_lstm", [True, False])
def test_states_are_those_of_the_twin(is_lstm, pooling):
    rng = np.random.default_rng(0)
    lengths = np.array([3, 0, 6])
    indptr = np.append(0, np.cumsum(lengths))
    n_gates = (4 if is_lstm else 3) * DIM

    def draw(*shape):
        return rng.normal(size=shape).astype(np.float32)

    table, base, begin = draw(7, n_gates), draw(3, n_gates), draw(3, (2 if is_lstm else 1) * DIM)
    recurrent, recurrent_bias = draw(DIM, n_gates), np.zeros(n_gates, np.float32) if is_lstm else draw(n_gates)
    rows, shares = rng.integers(7, size=(9, 2)), draw(9, 2)
    events = (shares[:, :, None] * table[rows]).sum(axis=1)
    read_indptr, read_length = np.array([0, 4, 5, 7]), np.array([0, 1, 3, 3, 0, 2, 6])
    out = np.empty((7, DIM), np.float32)
    recurrent_states(
        is_lstm, pooling, indptr, rows, shares, table, base, begin, recurrent, recurrent_bias, read_indptr, read_length,
        out,
    )  # fmt: skip
    expected = [
        twin(is_lstm, pooling, events[indptr[i] : indptr[i + 1]], base[i], begin[i], recurrent, recurrent_bias)[
            read_length[read_indptr[i] : read_indptr[i + 1]]
        ]
        for i in range(3)
    ]
    np.testing.assert_allclose(out, np.concatenate(expected), rtol=1e-4, atol=1e-5)


def test_products_and_sums_of_rows():
    rng = np.random.default_rng(0)
    vectors, weights = rng.normal(size=(6, 3)).astype(np.float32), rng.normal(size=(3, 9)).astype(np.float32)
    out = np.empty((6, 9), np.float32)
    fold_rows(vectors, weights, out)
    np.testing.assert_allclose(out, vectors @ weights, rtol=1e-5, atol=1e-6)
    alone = np.empty((1, 9), np.float32)
    fold_rows(vectors[4:5], weights, alone)
    np.testing.assert_array_equal(alone[0], out[4])
    rows, shares = rng.integers(6, size=(2, 4)), rng.normal(size=(2, 4)).astype(np.float32)
    total = np.ones((2, 9), np.float32)
    sum_rows(rows, shares, out, total)
    np.testing.assert_allclose(total, 1 + (shares[:, :, None] * out[rows]).sum(axis=1), rtol=1e-4, atol=1e-5)
