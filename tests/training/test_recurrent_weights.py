"""Weights of a recurrent net as they come from a file: each part that does not fit is told; sizes of recent values."""

import re
from dataclasses import dataclass, fields

import numpy as np
import pytest

from skembed.training.recent import OBJECT_BYTES, Recent, size_in_bytes
from skembed.training.recurrent import InputWeights, RecurrentWeights

DIM = 3


def state_of(cell="lstm", **changes):
    n_gates, n_states = (4, 2) if cell == "lstm" else (3, 1)

    def zeros(*shape):
        return np.zeros(shape, np.float32)

    n = n_gates * DIM
    state = {
        "cell": cell, "events": InputWeights([zeros(2, n)], [zeros(4, n)]), "cases": InputWeights([], []),
        "recurrent": zeros(DIM, n), "bias": zeros(n), "recurrent_bias": zeros(n), "start": zeros(n_states * DIM),
        "output": zeros(DIM + 1, 5),
    }  # fmt: skip
    return state | changes


def made_of(state):
    weights = RecurrentWeights.__new__(RecurrentWeights)
    weights.__setstate__(state)
    return weights


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_weights_that_fit_are_taken_as_they_are(cell):
    state = state_of(cell)
    weights = made_of(state)
    assert weights.dim == DIM
    for field in fields(RecurrentWeights):
        assert getattr(weights, field.name) is state[field.name]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cell": "rnn"}, "expected one of the cells ['lstm', 'gru'], got 'rnn'"),
        ({"bias": np.zeros(12)}, "expected finite weights of float32"),
        ({"start": np.full(6, np.nan, np.float32)}, "expected finite weights of float32"),
        ({"events": InputWeights([np.full((2, 12), np.inf, np.float32)], [])}, "expected finite weights of float32"),
        ({"cases": InputWeights([], [np.zeros((2, 12))])}, "expected finite weights of float32"),
        ({"recurrent": np.zeros(12, np.float32)}, "expected matrices of recurrent and output weights"),
        ({"output": np.zeros(4, np.float32)}, "expected matrices of recurrent and output weights"),
        ({"recurrent": np.zeros((0, 0), np.float32)}, "expected weights of one dimension, 0"),
        ({"recurrent": np.zeros((DIM, 9), np.float32)}, "expected weights of one dimension, 3"),
        ({"bias": np.zeros(9, np.float32)}, "expected weights of one dimension, 3"),
        ({"recurrent_bias": np.zeros(9, np.float32)}, "expected weights of one dimension, 3"),
        ({"start": np.zeros(3, np.float32)}, "expected weights of one dimension, 3"),
        ({"output": np.zeros((3, 5), np.float32)}, "expected weights of one dimension, 3"),
    ],
)
def test_weights_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(ValueError, match=re.escape(f"RecurrentWeights: {message}")):
        made_of(state_of(**changes))


def test_a_gru_begins_in_one_state_and_an_lstm_in_two():
    for cell, n in (("gru", 6), ("lstm", 3)):
        with pytest.raises(ValueError, match="expected weights of one dimension"):
            made_of(state_of(cell, start=np.zeros(n, np.float32)))


@pytest.mark.parametrize(
    ("dims", "n_knots", "n_outputs", "fits"),
    [([2], [3], 12, True), ([3], [3], 12, False), ([2], [4], 12, False), ([2], [3], 9, False), ([2, 2], [3], 12, False),
     ([2], [], 12, False)],
)  # fmt: skip
def test_inputs_fit_vectors_knots_and_gates(dims, n_knots, n_outputs, fits):
    assert state_of()["events"].fit_together(dims, n_knots, n_outputs) == fits


@dataclass
class Pair:
    one: object
    other: object


class Slots:
    __slots__ = ("_hidden", "array")

    def __init__(self):
        self.array, self._hidden = np.zeros(10), np.zeros(99)


class Plain:
    def __init__(self):
        self.array = np.zeros(5)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.zeros(7), 56),
        (np.zeros((2, 3), np.float32), 24),
        (np.array(["a", None], dtype=object), 16 + 2 * OBJECT_BYTES),
        (Pair(np.zeros(2), [np.zeros(1), (np.zeros(3),)]), 48),
        ({"a": np.zeros(4), "b": {"c": np.zeros(1)}}, 40),
        ({1, 2}, 2 * OBJECT_BYTES),
        ([], 0),
        (3, OBJECT_BYTES),
        ("text", OBJECT_BYTES),
        (None, OBJECT_BYTES),
        (Plain(), 40),
        (Slots(), 80),
    ],
    ids=lambda value: type(value).__name__,
)
def test_sizes_are_those_of_arrays_and_a_guess_for_objects(value, expected):
    assert size_in_bytes(value) == expected


def test_as_much_as_the_limit_is_held_and_what_is_put_again_is_new():
    recent = Recent(10)
    for key in "ab":
        recent.put(key, key, 5)
    assert (recent.get("a"), recent.get("b"), len(recent)) == ("a", "b", 2)
    recent.put("a", "A", 5)  # now b is the older one
    recent.put("c", "c", 5)
    assert (recent.get("a"), recent.get("b"), recent.get("c")) == ("A", None, "c")
    recent.put("d", "d", 10)
    assert (len(recent), recent.get("d")) == (1, "d")
    recent.put("e", "e", 11)
    assert (len(recent), recent.get("d")) == (1, "d")
