"""The cell in numpy beside twins that take one sequence and one event at a time, in float64."""

import numpy as np
import pytest

from skembed import EmbeddingTable
from skembed.data.cases import Cases
from skembed.sequence import _states
from skembed.sequence._states import product, run_cell, states_after
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


def input_weights(draw, dims, n_knots, n_outputs):
    return InputWeights([draw(dim, n_outputs) for dim in dims], [draw(1 + n, n_outputs) for n in n_knots])


def slow_sum(ids, places, inputs, tables, start):
    """What the columns of one event, or of one case, add up to."""
    total = start.astype(np.float64)
    for row, table, weight in zip(ids, tables, inputs.categories):
        total = total + (table.unknown if row == 0 else table.vectors[row - 1]).astype(np.float64) @ weight
    for place, knots in zip(places, inputs.numbers):
        if place == -1:
            total = total + knots[0]
        else:
            whole = int(place)
            upper = knots[min(2 + whole, len(knots) - 1)].astype(np.float64)
            total = total + (1 - (place - whole)) * knots[1 + whole] + (place - whole) * upper
    return total


@pytest.mark.parametrize("at_once", [(1 << 15, 1 << 14), (20, 3)])
@pytest.mark.parametrize("pooling", ["last", "mean", "max"])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_states_of_cases_are_those_of_one_case_and_one_event_at_a_time(cell, pooling, at_once, monkeypatch):
    monkeypatch.setattr(_states, "_CACHED", at_once[0])
    monkeypatch.setattr(_states, "_EVENTS_AT_ONCE", at_once[1])
    rng = np.random.default_rng(1)
    n_gates, n_states = (4 * DIM, 2 * DIM) if cell == "lstm" else (3 * DIM, DIM)

    def draw(*shape):
        return rng.normal(size=shape).astype(np.float32)

    weights = RecurrentWeights(
        cell, input_weights(draw, [2], [3, 1], n_gates), input_weights(draw, [3], [2], n_gates + n_states),
        draw(DIM, n_gates), draw(n_gates), np.zeros(n_gates, np.float32) if cell == "lstm" else draw(n_gates),
        draw(n_states), draw(DIM + 1, 2),
    )  # fmt: skip
    tables = [
        EmbeddingTable(["a", "b", "c"], draw(3, 2), unknown=draw(2)),
        EmbeddingTable(["u", "v"], draw(2, 3), unknown=draw(3)),
    ]  # fmt: skip
    long = [[0, 1, 2, 3, 1], [3, 3], [2], [1, 1, 1]]  # levels; beginnings and equal cases lie on one another
    of_case = [0, 1, 2, 1]
    lists = [(row[:n], which) for row, which in zip(long, of_case) for n in range(len(row) + 1)] + [(long[0], 0)]
    order = rng.permutation(len(lists))
    lists = [lists[i] for i in order]
    place_of = {0: (0.0, 0.0), 1: (1.25, 0.0), 2: (2.0, -1.0), 3: (-1.0, 0.0)}
    events = [level for row, _ in lists for level in row]
    cases = Cases(
        np.cumsum([0, *(len(row) for row, _ in lists)]), np.array(events, np.int32)[:, None],
        np.array([place_of[level] for level in events], np.float32),
        np.array([[which] for _, which in lists], np.int32),
        np.array([[[0.5, -1.0, 1.0][which]] for _, which in lists], np.float32),
    )  # fmt: skip
    found = states_after(cases, weights, tables, pooling)
    assert (found.shape, found.dtype) == ((len(lists), DIM), np.float32)
    for (row, which), state in zip(lists, found):
        both = slow_sum(
            [which], [[0.5, -1.0, 1.0][which]], weights.cases, tables[1:], np.concatenate([weights.bias, weights.start])
        )
        if not row:
            np.testing.assert_allclose(state, np.tanh(both[n_gates:][:DIM]), rtol=1e-4, atol=1e-5)
            continue
        gates = np.array(
            [slow_sum([level], place_of[level], weights.events, tables[:1], both[:n_gates]) for level in row]
        )
        np.testing.assert_allclose(state, twin(gates, both[n_gates:], weights, pooling)[-1], rtol=1e-4, atol=1e-4)
