"""Mutated files of estimators: each ends in an estimator or in FormatError, and using one ends in numbers or an error.

Half of the cases change the tree of values or its arrays and hash the file anew, so that all checks behind the hash
are reached; the others change bytes. A million of them:

    SKEMBED_FUZZ_CASES=1000000 pytest tests/persistence/test_mutated_files.py
"""

import json
import os
import signal
import time
import warnings
from collections import Counter

import numpy as np
import pytest
from bounds import file_in_memory, little_memory
from estimators import EXAMPLES

import skembed
from skembed.formats import FormatError
from skembed.formats.hashed_file import write_hashed
from skembed.persistence._tree import DTYPES

CASES = int(os.environ.get("SKEMBED_FUZZ_CASES", "4200"))
SECONDS_A_CASE = 5.0
VALUES = [
    None, True, False, 0, 1, -1, 2, 7, 255, 2**31, -(2**63), 2**64, 0.5, -1.5, 1e308, "", "a", "nan", "Keys",
    "__class__",
    "os.system", "../../etc/passwd", "\ud800", [], {}, [[]], {"tuple": []}, {"dict": []}, {"float": "nan"}, {"same": 0},
    {"object": "Keys", "state": {}}, {"object": "EmbeddingTable", "state": {}}, {"array": "0000.keys"},
    {"type": "int8"},
    {"dtype": "float64"}, {"path": "/dev/zero"}, {"scalar": 1, "dtype": "float32"},
    {"values": [], "dtype": "O", "shape": [0]},
]  # fmt: skip
WRONG = (ValueError, TypeError, IndexError, KeyError, AttributeError, OverflowError, RecursionError, MemoryError)


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    """By name: manifest, tensors, dtypes and bytes of a file, and the example."""
    found = {}
    folder = tmp_path_factory.mktemp("originals")
    for name, example in EXAMPLES.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            skembed.save(example.fit(), folder / name)
        raw = (folder / name).read_bytes()
        length = int.from_bytes(raw[:8], "little")
        entries = json.loads(raw[8 : 8 + length])
        manifest = json.loads(entries.pop("__metadata__")["skembed"])
        tensors, dtypes = {}, {}
        for tensor, entry in entries.items():
            begin, end = entry["data_offsets"]
            data = np.frombuffer(raw[8 + length + begin : 8 + length + end], DTYPES[entry["dtype"]])
            tensors[tensor], dtypes[tensor] = data.reshape(entry["shape"]), entry["dtype"]
        found[name] = manifest, tensors, dtypes, raw, example
    return found


@pytest.fixture
def path():
    with file_in_memory() as made:
        yield made


@pytest.fixture(autouse=True)
def bounds():
    with little_memory():
        yield


def places(node, found):
    """Every container of the tree and each of its items, as (container, key)."""
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        found.append((node, key))
        places(value, found)
    return found


def mutate_tree(rng, tree):
    """Change one value somewhere in the tree: another value, another number, another place's value, or none."""
    found = places(tree, [])
    node, key = found[rng.integers(len(found))]
    value, kind = node[key], rng.integers(6)
    if kind == 0:
        del node[key]
    elif kind == 1 and isinstance(value, int | float) and not isinstance(value, bool):
        node[key] = [value + 1, value - 1, -value, value * 2, value * 1000][rng.integers(5)]
    elif kind == 2:
        other, place = found[rng.integers(len(found))]
        node[key] = json.loads(json.dumps(other[place]))
    elif kind == 3 and isinstance(node, list):
        node.insert(int(rng.integers(len(node) + 1)), value)
    elif kind == 4 and isinstance(node, dict):
        node[str(VALUES[rng.integers(len(VALUES))])] = node.pop(key)
    else:
        node[key] = json.loads(json.dumps(VALUES[rng.integers(len(VALUES))]))


def mutate_tensors(rng, tensors, dtypes):
    """Change one array: its numbers, its length, its shape or its type."""
    name = list(tensors)[rng.integers(len(tensors))]
    array, kind = tensors[name].copy(), rng.integers(6)
    if kind == 0 and array.size:
        flat = array.reshape(-1).view(np.uint8)
        flat[rng.integers(len(flat), size=1 + rng.integers(4))] = rng.integers(256, size=1)
    elif kind == 1 and array.size and array.dtype.kind != "b":
        limits = np.finfo(array.dtype) if array.dtype.kind == "f" else np.iinfo(array.dtype)
        value = (
            [limits.max, limits.min, 0, 1][rng.integers(4)] if rng.random() < 0.8 or array.dtype.kind != "f" else np.nan
        )
        array.reshape(-1)[rng.integers(array.size)] = value
    elif kind == 2 and array.ndim:
        array = array[: rng.integers(len(array) + 1)] if rng.random() < 0.5 else np.repeat(array, 2, axis=0)
    elif kind == 3:
        array = array.reshape(-1) if rng.random() < 0.5 else array[..., None]
    elif kind == 4:
        other = list(DTYPES)[rng.integers(len(DTYPES))]
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            array, dtypes[name] = array.astype(DTYPES[other]), other
    else:
        other = list(tensors)[rng.integers(len(tensors))]
        array, dtypes[name] = tensors[other].copy(), dtypes[other]
    tensors[name] = np.ascontiguousarray(array).reshape(array.shape)


def mutated_file(rng, original, path):
    manifest, tensors, dtypes, raw, _ = original
    if rng.random() < 0.2:
        content = bytearray(raw)
        for _ in range(int(rng.choice([1, 1, 2, 8]))):
            at = int(rng.integers(len(content) if rng.random() < 0.5 else min(len(content), 200)))
            kind = rng.integers(4)
            if kind == 0:
                content[at] ^= 1 << int(rng.integers(8))
            elif kind == 1:
                del content[at : at + int(rng.integers(1, 20))]
            elif kind == 2:
                content[at:at] = rng.bytes(int(rng.integers(1, 20)))
            else:
                del content[at:]
            if not content:
                break
        path.write_bytes(bytes(content))
        return
    manifest, tensors, dtypes = json.loads(json.dumps(manifest)), dict(tensors), dict(dtypes)
    for _ in range(int(rng.choice([1, 1, 1, 2, 3]))):
        if rng.random() < 0.5 or not tensors:
            mutate_tree(rng, manifest["estimator"])
        else:
            mutate_tensors(rng, tensors, dtypes)
    path.unlink(missing_ok=True)
    write_hashed(path, dict(sorted(tensors.items(), key=lambda item: -item[1].itemsize)), dtypes, manifest)


def outcome(path, example, mmap):
    """What became of one case; anything but an estimator, its output, or an ordinary error is raised."""
    started = time.process_time()  # of this process: others may be busy
    try:
        estimator = skembed.load(path, mmap=mmap)
    except FormatError as error:
        assert str(path) in str(error)  # noqa: PT017 (estimators pass, too)
        return "refused"
    finally:
        assert time.process_time() - started < SECONDS_A_CASE
    if not hasattr(estimator, example.method):
        return "another"
    try:
        getattr(estimator, example.method)(example.X)
        result = "used"
    except (
        *WRONG,
        FileNotFoundError,
        ImportError,
    ) as error:  # a parameter may name a place or package that is not there
        result = f"failed: {type(error).__name__}"
    assert time.process_time() - started < SECONDS_A_CASE
    return result


def further(path, example):
    """Go on learning; whatever comes of it must come as an ordinary error."""
    try:
        skembed.load(path).partial_fit(*example.further)
    except WRONG:
        return


@pytest.mark.parametrize("name", EXAMPLES)
def test_mutated_files(originals, path, name):
    original = originals[name]
    example = original[-1]
    results = Counter()
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.alarm(3600)
    cases = -(-CASES // len(EXAMPLES))
    for case in range(cases):
        rng = np.random.default_rng([len(name), case])
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                mutated_file(rng, original, path)
                found = outcome(path, example, mmap=case % 7 == 0)
                if found == "used" and example.further and "net" not in name and case % 5 == 0:
                    further(path, example)
        except BaseException as error:
            raise AssertionError(f"{name}, case {case}: {error!r}") from error
        results[found] += 1
    signal.alarm(0)
    print(name, dict(results))
    assert sum(results.values()) >= cases
    assert results["refused"] > 0.5 * cases
