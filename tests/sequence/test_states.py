"""The cell in numpy beside twins that take one sequence and one event at a time, in float64."""

import numpy as np
import pytest

from skembed.sequence._states import product, run_cell
from skembed.training.recurrent import InputWeights, RecurrentWeights

DIM = 5


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def twin(events, start, weights, pooling):
    """The pooled states of one sequence, after each of its events."""
    hidden, memory, states, found = np.tanh(start[:DIM]), start[DIM:], [], []
    for event in events.astype(np.float64):
        if weights.cell == "lstm":
            i, f, g, o = np.split(event + hidden @ weights.recurrent, 4)
            memory = sigmoid(f) * memory + sigmoid(i) * np.tanh(g)
            hidden = sigmoid(o) * np.tanh(memory)
        else:
            (r, z, n), (pr, pz, pn) = (
                np.split(event, 3),
                np.split(weights.recurrent_bias + hidden @ weights.recurrent, 3),
            )
            new = np.tanh(n + sigmoid(r + pr) * pn)
            update = sigmoid(z + pz)
            hidden = (1 - update) * new + update * hidden
        states.append(hidden)
        found.append({"last": hidden, "mean": np.mean(states, axis=0), "max": np.max(states, axis=0)}[pooling])
    return np.array(found)


@pytest.mark.parametrize("pooling", ["last", "mean", "max"])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_states_are_those_of_the_twin(cell, pooling):
    rng = np.random.default_rng(0)
    n_gates, n_states = (4, 2) if cell == "lstm" else (3, 1)

    def draw(*shape):
        return rng.normal(size=shape).astype(np.float32)

    nothing = InputWeights([], [])
    bias = np.zeros(n_gates * DIM, np.float32)
    weights = RecurrentWeights(
        cell, nothing, nothing, draw(DIM, n_gates * DIM), bias, bias if cell == "lstm" else draw(n_gates * DIM),
        np.zeros(n_states * DIM, np.float32), draw(DIM + 1, 2),
    )  # fmt: skip
    lengths, sizes = [4, 2, 0], np.array([2, 2, 1, 1])
    gates, start = draw(6, n_gates * DIM), draw(3, n_states * DIM)
    found = run_cell(gates, sizes, start, weights, pooling)
    np.testing.assert_allclose(found[:3], np.tanh(start[:, :DIM]), rtol=1e-6)
    places = [[0, 2, 4, 5], [1, 3], []]
    for i, of_sequence in enumerate(places):
        assert len(of_sequence) == lengths[i]
        if of_sequence:
            expected = twin(gates[of_sequence], start[i], weights, pooling)
            np.testing.assert_allclose(found[3 + np.array(of_sequence)], expected, rtol=1e-4, atol=1e-5)


def test_products_do_not_depend_on_the_rows_beside():
    rng = np.random.default_rng(0)
    vectors, weights = rng.normal(size=(700, 9)).astype(np.float32), rng.normal(size=(9, 99)).astype(np.float32)
    found = product(vectors, weights)
    np.testing.assert_allclose(found, vectors @ weights, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(product(vectors[600:601], weights)[0], found[600])
