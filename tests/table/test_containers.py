"""Keys, vectors and queries of a table from every container that holds them."""

from decimal import Decimal
from functools import partial

import numpy as np
import pytest
from scipy import sparse

from skembed import EmbeddingTable, SubwordTable
from skembed.table.subwords import Subwords

TRIGRAMS = {"min_n": 3, "max_n": 3, "n_buckets": 2}
NUMBERS = np.array([[1.0, 2.0], [3.0, -4.0]], dtype=np.float32)


def of_rows(kind):
    """The numbers in one column of lists."""
    package = pytest.importorskip(kind)
    return {"pandas": "Series", "polars": "Series", "pyarrow": "array"}[kind], package


@pytest.mark.parametrize("kind", ["pandas", "polars", "pyarrow"])
def test_keys_and_lists_of_columns(kind):
    name, package = of_rows(kind)
    column = getattr(package, name)
    table = EmbeddingTable(column(["Ulm", "Bern"]), column(NUMBERS.tolist()))
    assert table.keys.tolist() == ["Ulm", "Bern"]
    assert {type(key) for key in table.keys} == {str}
    np.testing.assert_array_equal(table.vectors, NUMBERS)
    np.testing.assert_array_equal(table.lookup(column(["Bern", "Ulm"])), NUMBERS[::-1])
    assert table.nearest(column(["Ulm"]), k=1) == [table.nearest("Ulm", k=1)]


@pytest.mark.parametrize("make", ["chunks", "dictionary", "times", "scalars"])
def test_keys_of_pyarrow_are_python_values(make):
    pa = pytest.importorskip("pyarrow")
    keys = {
        "chunks": pa.chunked_array([["Ulm"], ["Bern", None]]),
        "dictionary": pa.array(["Ulm", "Bern", None]).dictionary_encode(),
        "times": pa.array(np.array(["2024-01-01", "2024-01-02", "NaT"], dtype="M8[us]")),
        "scalars": list(pa.array(["Ulm", "Bern", None])),
    }[make]
    table = EmbeddingTable(keys, np.eye(3))
    assert table.keys.tolist() == [value.as_py() for value in keys]
    assert None in table
    assert keys[1] in table


def test_vectors_of_python_objects():
    pd = pytest.importorskip("pandas")
    words = {"Ulm": [1.0, 2.0], "Bern": [3.0, -4.0]}
    for vectors in (
        words.values(),
        iter(words.values()),
        [np.array(vector) for vector in words.values()],
        np.array([[1, Decimal(2)], [np.float32(3), -4.0]], dtype=object),
        pd.DataFrame(NUMBERS).astype("Float64"),
        pd.Series(list(NUMBERS)),
    ):
        np.testing.assert_array_equal(EmbeddingTable(words, vectors).vectors, NUMBERS)
    assert EmbeddingTable(["Ulm"], [[2**70, 1]])["Ulm"][0] == np.float32(2.0**70)


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
def test_tensors_as_a_model_gives_them(dtype):
    torch = pytest.importorskip("torch")
    tensor = torch.tensor(NUMBERS.tolist(), dtype=getattr(torch, dtype), requires_grad=True)
    table = EmbeddingTable(["Ulm", "Bern"], tensor * 1)
    np.testing.assert_array_equal(table.vectors, NUMBERS)
    assert table.nearest(tensor, k=1) == table.nearest(NUMBERS, k=1)
    assert table.nearest(tensor[0], k=1) == [("Ulm", 1.0)]
    assert table.kneighbors(tensor, k=1).rows.tolist() == [[0], [1]]
    assert table.analogy([tensor[0]], k=1) == table.analogy(NUMBERS[:1], k=1) == table.analogy(tensor[:1], k=1)
    assert table.similarity(tensor[0], "Ulm") == table.similarity("Ulm", "Ulm")
    tensor.data[0, 0] = 7
    assert table["Ulm"][0] == 1


@pytest.mark.parametrize(
    ("vectors", "error", "message"),
    [
        (sparse.csr_array(NUMBERS), TypeError, r"vectors must be dense, got a csr_array; pass vectors.toarray\(\)"),
        (np.ma.array(NUMBERS, mask=[[0, 1], [0, 0]]), ValueError, "vectors holds 1 masked numbers"),
        ([[1.0, 2.0], [3.0]], ValueError, r"rows of one length, got \(1,\) in row 1 beside \(2,\) in row 0"),
        (np.array([[1.0, "x"], [2.0, 3.0]], dtype=object), TypeError, "real numbers, got 'x' of type str"),
        (np.array([[1.0, None], [2.0, 3.0]], dtype=object), ValueError, "got nan for the key 'Ulm'"),
        ([[10**400, 1], [1, 1]], ValueError, "finite float32"),
        ({"Ulm": 1, "Bern": 2}, TypeError, "real numbers"),
        (
            np.array([None, [1.0, 2.0]], dtype=object),
            ValueError,
            "vectors has no vector in row 0, got None; leave such",
        ),
        (np.array(["[1, 2]", "[3, 4]"], dtype=object), TypeError, r"lists in text are read by json: map\(json.loads\)"),
    ],
)
def test_vectors_refused(vectors, error, message):
    with pytest.raises(error, match=message):
        EmbeddingTable(["Ulm", "Bern"], vectors)


def test_read_only_views_of_what_others_write_to_are_copied():
    base, counts = NUMBERS.copy(), np.array([5, 7])
    view, view_of_counts = base.view(), counts.view()
    view.flags.writeable = view_of_counts.flags.writeable = False
    table = EmbeddingTable(["Ulm", "Bern"], view, counts=view_of_counts)
    base[0] = counts[0] = 9
    np.testing.assert_array_equal(table.vectors, NUMBERS)
    assert table.counts.tolist() == [5, 7]


@pytest.mark.parametrize("make", [set, frozenset])
def test_sets_have_no_order_in_which_vectors_stand(make):
    message = f"keys is a {make.__name__}, which has no order"
    with pytest.raises(TypeError, match=message):
        EmbeddingTable(make(["Ulm", "Bern"]), NUMBERS)
    with pytest.raises(TypeError, match=message):
        SubwordTable.from_rows(make(["Ulm", "Bern"]), NUMBERS, Subwords(NUMBERS, **TRIGRAMS))
    cities = {"Ulm": NUMBERS[0], "Bern": NUMBERS[1]}
    np.testing.assert_array_equal(EmbeddingTable(cities.keys(), cities.values()).vectors, NUMBERS)


def test_an_index_in_another_order_than_the_keys_is_refused():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(NUMBERS, index=["Ulm", "Bern"])
    for make in (EmbeddingTable, partial(SubwordTable.from_rows, subwords=Subwords(NUMBERS, **TRIGRAMS))):
        with pytest.raises(
            ValueError, match="keys has 'Bern' at position 0, where the index of vectors has 'Ulm'; pass"
        ):
            make(["Bern", "Ulm"], frame)
        for keys in (frame.index, ["Ulm", "Bern"], ["Bern", "Graz"]):
            assert make(keys, frame).keys.tolist() == list(keys)
        assert make(["0", "1"], pd.DataFrame(NUMBERS)).keys.tolist() == ["0", "1"]
    assert EmbeddingTable([1, 0], pd.DataFrame(NUMBERS)).keys.tolist() == [1, 0]
    missing = pd.Index(["Ulm", pd.NA])
    assert EmbeddingTable(missing, pd.DataFrame(NUMBERS, index=missing)).keys.tolist() == ["Ulm", None]
    with pytest.raises(ValueError, match="same length"):
        EmbeddingTable(["Bern"], frame)


def test_masked_numbers_are_no_query():
    table = EmbeddingTable(["Ulm", "Bern"], NUMBERS)
    query = np.ma.array([1.0, 9.0], mask=[False, True])
    with pytest.raises(ValueError, match="query holds 1 masked numbers"):
        table.nearest(query)
    assert table.nearest(np.ma.array([1.0, 2.0]), k=1)[0][0] == "Ulm"


@pytest.mark.parametrize("kind", ["pandas", "polars", "pyarrow"])
def test_frames_are_matrices_of_queries(kind):
    package = pytest.importorskip(kind)
    make = package.table if kind == "pyarrow" else package.DataFrame
    keys = [0, 1] if kind == "pandas" else ["0", "1"]
    table = EmbeddingTable(keys, NUMBERS)  # the names of the columns are keys
    frame = make(dict(zip(keys, NUMBERS.T[:, ::-1].tolist())))
    assert [answer[0][0] for answer in table.nearest(frame, k=1)] == keys[::-1]
    with pytest.raises(ValueError, match=r"keys must be one-dimensional, got an? \w+ of shape \(2, 2\)"):
        table.lookup(frame)
