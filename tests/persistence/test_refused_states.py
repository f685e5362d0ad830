"""What is refused of states that do not fit together: each array and value is made a wrong one; what is said is kept.

PYTHONPATH=tests:. python tests/persistence/test_refused_states.py   # after a change that is meant to be one
"""

import copy
import json
import os
import traceback
import warnings
from pathlib import Path

import numpy as np
import pytest
from estimators import EXAMPLES

from skembed.persistence._tree import Reader, Writer

pytestmark = pytest.mark.skipif(
    "SKEMBED_LONG_TESTS" not in os.environ, reason="other versions say it in other words; SKEMBED_LONG_TESTS=1 runs it"
)
KEPT = Path(__file__).with_name("refused.json")
WRONG = (ValueError, TypeError, IndexError, KeyError, AttributeError, OverflowError)
VALUES = (None, -1, "?", {"tuple": []}, {"dict": []}, [])


def wrong_arrays(array):
    """The array with a row less, with one more axis, of another type, with a number that cannot be."""
    yield array[:-1]
    yield array[..., None]
    if array.ndim > 1:
        yield array[:, 1:]
        yield array.ravel()
    yield array.astype(np.float64 if array.dtype != np.float64 else np.float32)
    for number in (np.nan, -2, 1e9):
        if array.size and (array.dtype.kind == "f" or np.isfinite(number)):
            changed = array.copy()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                changed.flat[0] = np.float64(number).astype(array.dtype)
            yield changed
    if array.dtype.kind in "iu" and len(array) > 1:
        yield array[::-1].copy()


def nodes(node):
    """Each state of an object in the tree, and of lists what is first."""
    if isinstance(node, list):
        for item in node[:1]:
            yield from nodes(item)
    if isinstance(node, dict):
        for key, value in node.items():
            yield from nodes(value)
            if key == "state":
                yield from ((value, name) for name in list(value))


def refused(example):
    """What is said of each wrong state of an example, once each, and how many of them there were."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        writer = Writer()
        tree = writer.encode(example.fit(), "estimator")
    tensors, said = writer.tensors, set()

    def read(tensors, tree):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                Reader(tensors).decode(tree)
        except WRONG as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            ours = "skembed" in Path(last.filename).parts and isinstance(error, ValueError | TypeError)
            text = str(error).split("\n")[0]
            if ours and last.name not in ("check_state", "conforms"):
                said.add(text[:160])

    for name, array in tensors.items():
        for wrong in wrong_arrays(array):
            read(tensors | {name: wrong}, tree)
    tree = copy.deepcopy(tree)
    for container, key in nodes(tree):
        kept = container[key]
        for value in VALUES:
            container[key] = value
            read(tensors, tree)
        container[key] = kept
    return sorted(said)


def one_of_each():
    """The first example of each class, and those whose states have other parts."""
    more = ("FastTextClassifier-tree", "FastTextClassifier-negative-sampling", "ProjectionEmbedder-autoencoder",
            "SequenceEmbedder-counts", "SequenceEmbedder-gru", "NeighborAnomalyDetector-plain",
            "NeighborAnomalyDetector-wide", "PretrainedVectorizer-pca")  # fmt: skip
    return [n for n, example in EXAMPLES.items() if ("-" not in n or n in more) and not example.runs_model]


@pytest.mark.parametrize("name", one_of_each())
def test_what_does_not_fit_is_refused_as_it_was(name):
    assert refused(EXAMPLES[name]) == json.loads(KEPT.read_text())[name]


if __name__ == "__main__":
    KEPT.write_text(json.dumps({name: refused(EXAMPLES[name]) for name in one_of_each()}, indent=0) + "\n")
