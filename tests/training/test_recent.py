"""Recent results in memory: which are forgotten, and how large they are taken to be."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from skembed.data.columns import factorize
from skembed.data.vocabulary import Vocabulary
from skembed.training.recent import Recent, size_in_bytes


def test_what_was_not_asked_for_longest_is_forgotten():
    recent = Recent(limit=100)
    for key in "abc":
        recent.put(key, key.upper(), 30)
    assert recent.get("a") == "A"
    recent.put("d", "D", 40)
    assert [recent.get(key) for key in "abcd"] == ["A", None, "C", "D"]
    recent.put("a", "new", 10)
    assert (recent.get("a"), len(recent)) == ("new", 3)
    recent.drop("a")
    recent.drop("a")
    assert (recent.get("a"), len(recent)) == (None, 2)


def test_what_is_larger_than_the_limit_is_not_held():
    recent = Recent(limit=100)
    recent.put("a", 1, 100)
    recent.put("b", 2, 101)
    assert (recent.get("a"), recent.get("b")) == (1, None)
    recent.put("a", 3, 101)  # nor what was there under its key
    assert len(recent) == 0


def test_threads_may_share_one():
    recent = Recent(limit=50)

    def use(seed):
        rng = np.random.default_rng(seed)
        for key in rng.integers(20, size=2000).tolist():
            found = recent.get(key)
            assert found is None or found == key
            recent.put(key, key, 10)
            recent.drop(int(rng.integers(20)))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(use, range(4)))
    assert len(recent) <= 5


@dataclass
class Part:
    arrays: list
    more: dict


def test_sizes_are_those_of_the_arrays_within():
    part = Part(
        [np.zeros(1000), np.zeros((10, 10), dtype=np.float32)], {"a": np.zeros(50, dtype=np.uint8), "b": "text"}
    )
    assert 8450 <= size_in_bytes(part) < 9000
    assert size_in_bytes([part, (part,)]) == 2 * size_in_bytes(part)
    vocabulary = Vocabulary.from_factor(factorize([f"level {i}" for i in range(1000)]))
    assert 100_000 < size_in_bytes(vocabulary) < 400_000  # what strings and their index take
