"""EmbeddingTable: construction, lookup, immutability, and the verbs that give new tables."""

import copy
import pickle

import numpy as np
import pytest

from skembed.table import EmbeddingTable


def small_table(**kwargs):
    return EmbeddingTable(["Ulm", "Graz", "Bern"], [[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]], **kwargs)


def test_lookup_and_getitem():
    table = small_table(unknown=[7, 8])
    assert table["Graz"].tolist() == np.float32([0.8, 0.6]).tolist()
    assert table[["Bern", "Ulm", "Bern"]].tolist() == [[0, 1], [1, 0], [0, 1]]
    assert table.lookup(["Oslo", "Ulm"]).tolist() == [[7, 8], [1, 0]]


def test_pickle_and_copy():
    table = small_table(unknown=[7, 8])
    for twin in (pickle.loads(pickle.dumps(table)), copy.copy(table), copy.deepcopy(table)):
        assert twin == table
        assert twin["Bern"].tolist() == [0, 1]
        assert not twin.vectors.flags.writeable
        assert not twin.keys.flags.writeable


def test_duplicates_are_named():
    with pytest.raises(ValueError, match="'a' and 'a' at 0 and 2"):
        EmbeddingTable(["a", "b", "a"], np.ones((3, 1)))
