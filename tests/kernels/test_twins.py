"""Kernels that numpy stands in for, to the last bit, until they are worth compiling."""

import importlib
import pkgutil
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import skembed.kernels
from skembed.kernels import compile, local_ids, merge, noise
from skembed.kernels.compile import LateKernel
from skembed.kernels.random import new_state


def _floats(generator, *shape):
    numbers = generator.normal(size=shape).astype(np.float32)
    numbers[generator.random(shape) < 0.02] = generator.choice([np.nan, np.inf, -np.inf, -0.0, 3e38])
    return numbers


def _slots(generator, n_keys, n_rows):
    """Slots and rows of which some are taken."""
    slot, rows = np.full(n_keys, -1, np.int32), np.zeros(n_keys + n_rows, np.int32)
    rows[:n_rows] = generator.permutation(n_keys)[:n_rows]
    slot[rows[:n_rows]] = np.arange(n_rows)
    return slot, rows


def _columns(generator):
    n = int(generator.integers(1, 30))
    weights = generator.random(n) * (generator.random(n) < 0.8) + 1e-9
    scaled = weights * (n / weights.sum())
    return scaled, int(np.argmax(scaled)), np.ones(n), np.arange(n, dtype=np.int32), np.empty(2 * n, np.int64)


def _noise(generator):
    table = noise.alias_table(generator.random(int(generator.integers(1, 30))))
    return *table, np.zeros(int(generator.integers(0, 60)), np.int32), new_state(int(generator.integers(99)))


def _sequences(generator):
    n_tokens, n_keys = (int(generator.integers(1, 60)) for _ in range(2))
    tokens = generator.integers(-1, n_keys, n_tokens).astype(np.int32)
    ends = np.append(np.sort(generator.integers(0, n_tokens, int(generator.integers(0, 9)))), n_tokens)
    keep = generator.integers(0, 2**32, n_keys).astype(np.uint32)
    slot, rows = _slots(generator, n_keys, 0)
    out = np.zeros(n_tokens, np.int32), np.zeros(len(ends), np.int64), np.zeros(len(ends), np.int32)
    return tokens, ends, keep, int(generator.integers(1, 3)), slot, rows, *out, new_state(int(generator.integers(99)))


def _more_tokens(generator):
    n_keys = int(generator.integers(1, 40))
    n_rows = int(generator.integers(0, n_keys + 1))
    tokens = generator.integers(0, n_keys, int(generator.integers(0, 60))).astype(np.int32)
    return tokens, *_slots(generator, n_keys, n_rows), n_rows


def _rows(generator):
    n_rows, dim = (int(generator.integers(1, 40)) for _ in range(2))
    rows = generator.permutation(n_rows)[: int(generator.integers(0, n_rows + 1))].astype(np.int32)
    return _floats(generator, n_rows, dim), rows, _floats(generator, len(rows) + 2, -(-dim // 16) * 16)


# the arguments of each kernel, and which of them hold nothing afterwards
CASES = {
    "noise._fill": (noise._fill, _columns, {0, 4}),
    "noise.draw_many": (noise.draw_many, _noise, set()),
    "local_ids.to_local_ids": (local_ids.to_local_ids, _sequences, set()),
    "local_ids.add_rows": (local_ids.add_rows, _more_tokens, set()),
    "local_ids.gather_rows": (local_ids.gather_rows, _rows, set()),
    "local_ids.subtract_rows": (local_ids.subtract_rows, _rows, set()),
    "merge.add_to_rows": (merge.add_to_rows, _rows, set()),
}


@pytest.mark.parametrize("name", CASES)
@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 10**6))
@pytest.mark.filterwarnings("ignore:(overflow|invalid value)")
def test_twin_and_kernel_give_the_same_bits(name, seed):
    late, make, unused = CASES[name]
    arguments = make(np.random.default_rng(seed))
    others = [argument.copy() if isinstance(argument, np.ndarray) else argument for argument in arguments]
    with np.errstate(all="ignore"):
        result = late.kernel(*arguments)
        assert late.twin(*others) == result
    if late is local_ids.to_local_ids:  # behind what was kept may be what was dropped
        arguments[6][result[0] :] = others[6][result[0] :] = 0
    for i, (one, other) in enumerate(zip(arguments, others)):
        if isinstance(one, np.ndarray) and i not in unused:
            np.testing.assert_array_equal(np.signbit(one), np.signbit(other))
            np.testing.assert_array_equal(one, other)


def test_all_kernels_that_have_a_twin_are_compared():
    modules = [importlib.import_module(f"skembed.kernels.{module.name}") for module in pkgutil.iter_modules(
        skembed.kernels.__path__)]  # fmt: skip
    found = {id(value) for module in modules for value in vars(module).values() if isinstance(value, LateKernel)}
    assert found == {id(late) for late, _, _ in CASES.values()}


def test_python_pairs_the_columns_of_no_large_table(monkeypatch):
    def twin(*arguments):
        raise AssertionError("a loop in Python")

    monkeypatch.setattr(noise, "_fill", LateKernel(noise._fill.kernel, twin))
    monkeypatch.setattr(compile, "PATIENCE_SECONDS", 9.0)
    monkeypatch.setattr(compile, "_is_kept", lambda kernel: False)
    monkeypatch.setattr(noise, "_FEW_COLUMNS", 3)
    noise.alias_table(np.ones(4))
    with pytest.raises(AssertionError, match="a loop in Python"):
        noise.alias_table(np.ones(3))


class TestPatience:
    def test_the_kernel_takes_over_when_it_would_have_been_compiled(self, monkeypatch):
        monkeypatch.setattr(compile, "PATIENCE_SECONDS", 0.01)

        def work(n):
            ends = time.thread_time() + 0.004
            while time.thread_time() < ends:
                pass
            return n

        late = LateKernel(lambda n: -n, work)
        results = [late(n) for n in range(1, 7)]
        assert results == [1, 2, 3, -4, -5, -6]

    def test_a_kernel_that_lies_on_disk_is_used_at_once(self, tmp_path):
        class Kernel:
            """As far as numba's is looked at."""

            class _cache:
                class _cache:
                    class _cache_file:
                        _index_path = str(tmp_path / "kernel.nbi")

            def __call__(self):
                return "kernel"

        assert LateKernel(Kernel(), lambda: "twin")() == "twin"
        (tmp_path / "kernel.nbi").touch()
        assert LateKernel(Kernel(), lambda: "twin")() == "kernel"
