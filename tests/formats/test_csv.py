"""Comma-separated values: what is written comes back, what others write is read, what is wrong is named by its line."""

import numpy as np
import pytest

from skembed import EmbeddingTable
from skembed.formats import FormatError, load_table

KEYS = ["Ulm", "a,b", 'say "no"', "two\nlines", "7", "", " edge ", "Zürich", "\udcff", "key"]


@pytest.fixture
def load(tmp_path):
    def load(content, **options):
        (tmp_path / "file").write_bytes(content if isinstance(content, bytes) else content.encode())
        return load_table(tmp_path / "file", **options)

    return load


@pytest.mark.parametrize("name", ["v.csv", "v.csv.gz", "V.CSV", "v.csv.xz"])
@pytest.mark.parametrize("counts", [None, np.arange(len(KEYS))])
def test_round_trip_by_the_end_of_the_name(tmp_path, name, counts):
    vectors = np.random.default_rng(0).standard_normal((len(KEYS), 3)) * [1e-42, 1, 1e38]
    table = EmbeddingTable(KEYS, vectors, counts=counts)
    table.save(tmp_path / name)
    assert EmbeddingTable.load(tmp_path / name, errors="surrogateescape") == table
    names = (tmp_path / name).read_bytes()[:9]
    assert names.startswith(b"key,") == (name.lower() == "v.csv")


def test_many_rows_one_by_one_and_as_a_part(tmp_path):
    keys = [f"k{i}" for i in range(1_300)]
    table = EmbeddingTable(keys, np.random.default_rng(0).standard_normal((1_300, 2)), counts=np.arange(1_300))
    table.save(tmp_path / "v.csv")
    assert EmbeddingTable.load(tmp_path / "v.csv") == table
    assert EmbeddingTable.load(tmp_path / "v.csv", limit=700) == table.subset(keys[:700])
    assert EmbeddingTable.load(tmp_path / "v.csv", keys=["k1250", "k3", "no"]) == table.subset(["k3", "k1250"])


@pytest.mark.parametrize(
    "content",
    [
        "Ulm,1,2.5\nBern,-3,4e1\n",
        "Ulm;1;2.5\nBern;-3;4e1",
        "\ufeffkey,0,1\r\nUlm,1,2.5\r\n\r\nBern,-3,4e1\r\n",
        ",0,1\nUlm,1,2.5\nBern,-3,4e1\n",
        "x,y,name\n1,2.5,Ulm\n-3,4e1,Bern\n",
        '"word","dim 1","dim 2"\n"Ulm","1","2.5"\n"Bern","-3","4e1"\n',
        "1,word,2\n1,Ulm,2.5\n-3,Bern,4e1\n",
        "word\tx\ty\nUlm\t1\t2.5\nBern\t-3\t4e1\n",
        "word, x, y\nUlm, 1, 2.5\nBern, -3, 4e1\n",
    ],
)
def test_what_others_write(load, content):
    assert load(content) == EmbeddingTable(["Ulm", "Bern"], [[1, 2.5], [-3, 40]])


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("names", ["city 0 1 2", "city 1 2 3", "word 0 1 2"])
def test_numbered_columns_have_names_whatever_the_keys_are_called(load, separator, names):
    rows = [names, "Ulm 0.5 2.0 -1e-05", "Bern 1 2 3"]
    table = load("\n".join(rows).replace(" ", separator))
    assert table == EmbeddingTable(["Ulm", "Bern"], [[0.5, 2, -1e-5], [1, 2, 3]])


def test_a_map_of_pandas_keeps_its_keys(tmp_path):
    pandas = pytest.importorskip("pandas")
    vectors = np.random.default_rng(0).standard_normal((3, 2)).astype(np.float32)
    frame = pandas.DataFrame(vectors, index=pandas.Index(["Ulm", "Bern", "Graz"], name="city"))
    for name, options in {"v.csv": {}, "v.tsv": {"sep": "\t"}}.items():
        frame.to_csv(tmp_path / name, **options)
        assert load_table(tmp_path / name) == EmbeddingTable(frame.index, vectors)


@pytest.mark.parametrize(
    "content", ["Ulm,0,1\nBern,1,0\n", "Ulm,0,1\nBern,0.5,1\n", "Ulm,1\nBern,0.5\n", "Ulm,1,2.0\nBern,0.5,0.1\n"]
)
def test_whole_numbers_in_a_first_row_are_no_names_of_themselves(load, content):
    assert load(content).keys.tolist() == ["Ulm", "Bern"]
    assert load(content.split("\n")[0]).keys.tolist() == ["Ulm"]


def test_numbers_are_keys_below_a_name_of_their_own(load):
    assert load("node,0,1\n7,0.5,0.25\n8,1.5,3.0\n") == EmbeddingTable(["7", "8"], [[0.5, 0.25], [1.5, 3]])


def test_a_key_that_is_a_name_of_keys_is_a_key(load):
    assert load("word,0.5,1\nid,2,3\n").keys.tolist() == ["word", "id"]


def test_counts_stand_in_a_column_of_their_name(load):
    table = load("word,Count,0\nUlm,3,0.5\nBern,0,2\n")
    assert table == EmbeddingTable(["Ulm", "Bern"], [[0.5], [2]], counts=[3, 0])


def test_spaces_around_numbers_where_the_format_is_named(load):
    assert load("a, 1, 2\nb , 3, 4\n", format="csv") == EmbeddingTable(["a", "b "], [[1, 2], [3, 4]])


@pytest.mark.parametrize(
    "content", [", 0.1 0.2\n. 0.3 0.4\n", "a,b 1 2\nc,d 3 4\n", "2 2\na, 1 2\nb 3 4\n", "Ulm,D 1 2\nBern,CH 3 4\n"]
)
def test_texts_of_vectors_stay_texts(load, content):
    assert load(content).embedding_dim == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,1,2\nb,3\n", "line 2: expected 3 fields, found 2"),
        ("a,1,2\nb,3,x\n", "line 2: expected a number, got 'x'"),
        ("key,0,1\na,1,2\nb,3,nan\n", "line 3: expected finite numbers.*nan"),
        ("a,1,1e39\n", "line 1: expected finite numbers"),
        ("a,1,2\nb,1,1_0\n", "line 2: expected a number"),
        ("key,count,0\na,-1,2\n", "line 2: expected a count of 0 or more, got '-1'"),
        ("key\na\n", "at least one number"),
        ("key,0,1\n", "below the names, there is none"),
        ("x,y\n1,2\n", "expected a column of keys"),
        ('a,1\n"b,2\n', "line 2: expected comma-separated values"),
        (b"a,1\n\xff,2\n", "expected UTF-8"),
        ("", "empty"),
    ],
)
def test_what_is_wrong_is_named(load, content, message):
    with pytest.raises(FormatError, match=message):
        load(content, format="csv")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("word,x,y\na,1,2\nb,,4\n", "line 3: expected a number, got ''"),
        ("word;x;y\na;1,5;2,5\nb;3,1;4,1\n", "line 2: expected a number, got '1,5'"),
        ("word,kind,x\na,noun,1\nb,verb,2\n", "line 2: expected a number, got 'noun'"),
        ('word,vector\na,"[1, 2]"\nb,"[3, 4]"\n', r"got '\[1, 2\]'; read cells of lists by pandas and json"),
        ("word,vector\na,[1. 2.]\nb,[3. 4.]\n", r"got '\[1. 2.\]'; read cells of lists by pandas and json"),
    ],
)
def test_what_is_wrong_below_names_is_named_without_the_format(load, content, message):
    with pytest.raises(FormatError, match=message):
        load(content)


def test_what_the_format_cannot_hold(tmp_path):
    with pytest.raises(TypeError, match="got 7 of type int"):
        EmbeddingTable([7], [[1, 2]]).save(tmp_path / "v.csv")
    with pytest.raises(ValueError, match="UTF-8"):
        EmbeddingTable(["\ud800"], [[1, 2]]).save(tmp_path / "v.csv")
    with pytest.raises(ValueError, match=r"ends in '.csv'.*format='glove'"):
        EmbeddingTable(["a"], [[1, 2]]).save(tmp_path / "v.csv", "glove")
    assert list(tmp_path.iterdir()) == []
    EmbeddingTable(["a"], [[1, 2]]).save(tmp_path / "v.csv")
    with pytest.raises(ValueError, match="mmap=True cannot be had"):
        EmbeddingTable.load(tmp_path / "v.csv", mmap=True)


@pytest.mark.parametrize(
    ("content", "keys"),
    [
        (",d0,d1,word\n0,1,2,a\n1,3,4,b\n", ["a", "b"]),
        (",word,0,1\n0,a,1,2\n1,b,3,4\n", ["a", "b"]),
        (",id,0,1\n0,70,1,2\n1,80,3,4\n", ["70", "80"]),
        ("index,id,word,0,1\n0,70,a,1,2\n1,80,b,3,4\n", ["a", "b"]),
        ("word,0,1\n7,1,2\n8,3,4\n", ["7", "8"]),
        (",0,1\n7,1,2\n8,3,4\n", ["7", "8"]),
    ],
)
def test_an_index_of_pandas_is_no_component(load, content, keys):
    table = load(content)
    assert (table.keys.tolist(), table.vectors.tolist()) == (keys, [[1, 2], [3, 4]])


@pytest.mark.parametrize("content", [",0,1,club\n0,1,2,a\n1,3,4,a\n", "key,word,0\na,b,1\nc,d,2\n"])
def test_a_second_column_of_text_is_an_error(load, content):
    for options in ({}, {"format": "csv"}):
        with pytest.raises(
            FormatError, match=r"in line 2: expected a number, got '[ab]'|expected lines of a key and num"
        ):
            load(content, **options)
