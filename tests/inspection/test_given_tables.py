"""Tables and rows that are given to what looks at them: what is taken, and the way out of what is not."""

from types import SimpleNamespace

import numpy as np
import pytest

from skembed import EmbeddingTable
from skembed.inspection._words import check_table, rows_given


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            SimpleNamespace(embedding_=1),
            r"^words must be an EmbeddingTable, got SimpleNamespace; pass its embedding_\.$",
        ),
        (SimpleNamespace(embeddings_={}), r"got SimpleNamespace; pass one of its embeddings_\.$"),
        ({"a": [1.0]}, r"got dict\.$"),
    ],
)
def test_what_is_no_table(given, message):
    with pytest.raises(TypeError, match=message):
        check_table(given, "words")
    check_table(EmbeddingTable(["a"], [[1.0]]))


def test_rows_of_a_test_set():
    pd, pl, pa = (pytest.importorskip(name) for name in ("pandas", "polars", "pyarrow"))
    expected = [("a", "b"), ("c", "d")]
    columns = {"from": ["a", "c"], "to": ["b", "d"]}  # as many rows as columns, so that either could be a pair
    frames = pd.DataFrame(columns), pl.DataFrame(columns), pa.table(columns)
    for rows in (expected, np.array(expected), iter(expected), [["a", "b"], ("c", "d")], *frames):
        assert rows_given(rows, 2, "pairs") == expected
    with pytest.raises(TypeError, match=r"pairs must hold rows of 2 values, got 'ab' at position 1\."):
        rows_given([("a", "b"), "ab"], 2, "pairs")
    with pytest.raises(TypeError, match=r"got 3 at position 0\."):
        rows_given([3], 2, "pairs")
    with pytest.raises(ValueError, match=r"got \('a', 'b', 'c'\) at position 0\."):
        rows_given([("a", "b", "c")], 2, "pairs")
