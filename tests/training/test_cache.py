"""The cache of learned results: what is learned anew, and what is not kept."""

from dataclasses import replace

import joblib
import numpy as np
import pytest

from skembed.training import cache
from skembed.training.cache import learn_once
from skembed.training.run import Run

CALLS = []


def double(values, run=None):
    CALLS.append(1)
    if run is not None:
        run.begin_pass()
        run.end_pass(1.0)
    return {"doubled": 2 * values}


@pytest.fixture(autouse=True)
def _no_calls():
    CALLS.clear()


@pytest.fixture
def memory(tmp_path):
    return joblib.Memory(tmp_path, verbose=0)


def doubled(memory, values, run=None):
    call = learn_once(memory, double, values, run=run)
    np.testing.assert_array_equal(call.result["doubled"], 2 * values)
    return call


def test_equal_arguments_are_learned_from_once(memory):
    values = np.arange(1000.0)
    for run in (None, Run(3), Run(3, n_jobs=2, verbose=1, label="x")):
        assert doubled(memory, values.copy(), run).is_kept()
    assert len(CALLS) == 2
    for other in (values + 1, values[::-1], values.astype(np.float32), values[:-1]):
        doubled(memory, other)
    doubled(memory, values, Run(4))
    assert len(CALLS) == 7


def test_other_versions_of_a_library_learn_anew(memory, monkeypatch):
    values = np.arange(10.0)
    doubled(memory, values)
    found = cache.versions()
    assert len(found) == len(cache.LIBRARIES)
    assert found[1] == np.__version__
    for place in range(len(found)):
        monkeypatch.setattr(cache, "versions", lambda place=place: (*found[:place], "another", *found[place + 1 :]))
        doubled(memory, values)
    assert len(CALLS) == 1 + len(found)
    monkeypatch.undo()
    doubled(memory, values)
    assert len(CALLS) == 1 + len(found)


@pytest.mark.parametrize("options", [{}, {"compress": True}, {"mmap_mode": "r"}], ids=str)
@pytest.mark.parametrize("damage", ["a bit", "cut", "empty", "another file"])
def test_a_damaged_file_is_learned_anew(tmp_path, damage, options):
    memory, values = joblib.Memory(tmp_path, verbose=0, **options), np.arange(1000.0)
    doubled(memory, values)
    (path,) = tmp_path.rglob("output.pkl")
    whole = path.read_bytes()
    broken = bytearray(whole)
    broken[len(whole) // 2] ^= 4  # within the numbers, where no pickle is looked at
    path.write_bytes({"a bit": bytes(broken), "cut": whole[:-300], "empty": b"", "another file": b"text"}[damage])
    for _ in range(2):
        doubled(memory, values)
    assert len(CALLS) == 2


def test_what_is_gone_is_no_longer_said_to_be_kept(memory):
    values = np.arange(10.0)
    call = doubled(memory, values)
    assert call.is_kept()
    memory.clear(warn=False)
    assert not call.is_kept()
    assert not replace(call, kept=None).is_kept()
    doubled(memory, values)
    assert call.is_kept()
    assert len(CALLS) == 2


class Uncached:
    """What has the interface of joblib.Memory, and keeps nothing."""

    def cache(self, func, ignore=None):
        return func


def test_a_cache_that_cannot_say_what_it_has():
    for _ in range(2):
        assert not doubled(Uncached(), np.arange(3.0)).is_kept()
    assert len(CALLS) == 2
