"""Values of every kind as nodes of JSON and named arrays: as the table in `_tree` says, and back as they were."""

import copy
import datetime as dt
import hashlib
import json
import math
import re
import subprocess
import sys
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.base import BaseEstimator

import skembed
from skembed import CooccurrenceEncoder, EmbeddingTable, EntityEmbeddingEncoder
from skembed.formats import FormatError
from skembed.persistence._tree import DTYPES, Reader, Writer

ARRAY = np.arange(6.0).reshape(2, 3)
MATRIX = sparse.csr_matrix(([1.5, -2.0], [2, 0], [0, 1, 2]), shape=(2, 4))


def through(value):
    """A value written, its nodes made text and read again, and every tensor used."""
    writer = Writer()
    node = json.loads(json.dumps(writer.encode(value, "value"), allow_nan=False))
    assert {name: DTYPES[writer.dtypes[name]] for name in writer.tensors} == {
        n: a.dtype for n, a in writer.tensors.items()
    }
    assert all(array.flags.c_contiguous for array in writer.tensors.values())
    reader = Reader({name: array.copy() for name, array in writer.tensors.items()})
    again = reader.decode(node)
    assert not reader.unused
    return again, node, writer.tensors


def same(left, right):
    """Whether two values are equal, of one type, all the way down, and arrays of one layout."""
    if type(left) is not type(right):
        return False
    if sparse.issparse(left):
        return left.shape == right.shape and all(
            same(getattr(left, n), getattr(right, n)) for n in ("data", "indices", "indptr")
        )
    if isinstance(left, np.ndarray):
        layout = (
            left.flags.f_contiguous == right.flags.f_contiguous and left.flags.c_contiguous == right.flags.c_contiguous
        )
        return layout and left.dtype == right.dtype and same(left.tolist(), right.tolist())
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return all(map(same, left, right)) and all(map(same, left.values(), right.values())) and len(left) == len(right)
    if isinstance(left, float):
        return left.hex() == right.hex()
    return left == right


PLAIN = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=5)
HASHED = st.recursive(
    PLAIN.filter(lambda v: v == v),
    lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=3),
    max_leaves=4,
)
SHAPES = st.lists(st.integers(0, 3), max_size=3).map(tuple)


@st.composite
def arrays(draw):
    kind = draw(
        st.sampled_from(
            [*DTYPES.values(), np.dtype(">f4"), np.dtype(">i8"), np.dtype("<U5"), np.dtype("S3"), np.dtype(object)]
        )
    )
    shape = draw(SHAPES)
    numbers = np.random.default_rng(draw(st.integers(0, 99))).integers(0, 2 if kind.kind == "b" else 100, shape)
    array = np.asarray(numbers).astype(kind if kind.kind != "O" else "U3").astype(kind)
    return np.asfortranarray(array) if draw(st.booleans()) else array


VALUES = st.recursive(
    PLAIN
    | arrays()
    | st.builds(Path, st.sampled_from(["a", "a/b", "/a"]))
    | st.builds(np.dtype, st.sampled_from(list(DTYPES.values())))
    | st.sampled_from(
        [np.float32(1.5), np.int8(-3), np.bool_(True), np.uint64(2**63), np.float64("nan"), np.float16, np.int64]
    ),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(HASHED, inner, max_size=3)
        | st.sets(HASHED, max_size=3)
        | st.frozensets(HASHED, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(value=VALUES)
def test_values_come_back_as_they_were(value):
    again = through(value)[0]
    native = copy.deepcopy(value)
    assert same(again, native) or repr_of(again) == repr_of(native)


def test_values_of_arrays_of_objects_are_no_keys():
    """They come back as they are; keys in one form."""
    times = [np.datetime64("2020-01-01", "ns"), np.datetime64("NaT", "us"), np.timedelta64(3, "h")]
    zoned = dt.datetime(2020, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=1)))
    values = [1.0, float("nan"), -0.0, 1, True, None, "a", zoned, *times]
    array = np.empty(len(values), dtype=object)
    array[:] = values
    assert list(map(repr, through(array)[0])) == list(map(repr, values))


def test_strings_of_numpy_are_strings():
    again, node, _ = through([np.str_("svd"), {"method": np.str_("ä")}])
    assert node == ["svd", {"dict": [["method", "ä"]]}]
    assert same(again, ["svd", {"method": "ä"}])


def repr_of(value):
    """Of arrays whose bytes are swapped, and of empty ones, whose layout says nothing."""
    if isinstance(value, np.ndarray):
        dtype = value.dtype.newbyteorder("=")
        return f"{dtype} {value.shape} {value.tolist()!r}"
    if isinstance(value, dict):
        return f"{[(repr_of(k), repr_of(v)) for k, v in value.items()]}"
    if isinstance(value, set | frozenset):
        return f"{type(value)} {sorted(map(repr_of, value))}"
    if isinstance(value, list | tuple):
        return f"{type(value)} {list(map(repr_of, value))}"
    return f"{type(value)} {value!r}"


@pytest.mark.parametrize(
    ("value", "node"),
    [
        (None, None),
        (True, True),
        (7, 7),
        ("a", "a"),
        (1.5, 1.5),
        ([1, "a", [None]], [1, "a", [None]]),
        (math.inf, {"float": "inf"}),
        (-math.inf, {"float": "-inf"}),
        (math.nan, {"float": "nan"}),
        ((1, (2,)), {"tuple": [1, {"tuple": [2]}]}),
        ({3, 1}, {"set": [1, 3]}),
        (frozenset("ba"), {"frozenset": ["a", "b"]}),
        ({"b": 1, 2: [3]}, {"dict": [["b", 1], [2, [3]]]}),
        (Path("a/b"), {"path": "a/b"}),
        (PurePosixPath("a/b"), {"path": "a/b"}),
        (np.int16(3), {"scalar": 3, "dtype": "int16"}),
        (np.float32("nan"), {"scalar": {"float": "nan"}, "dtype": "float32"}),
        (np.dtype("<f4"), {"dtype": "float32"}),
        (np.float16, {"type": "float16"}),
        (ARRAY, {"array": "0000.value"}),
        (ARRAY.T, {"array": "0000.value", "order": "F"}),
        (ARRAY[:, ::2], {"array": "0000.value"}),
        (ARRAY.T[::2], {"array": "0000.value", "order": "F"}),
        (MATRIX, {"sparse": [{"array": f"000{i}.value"} for i in range(3)], "shape": [2, 4], "class": "csr_matrix"}),
        (
            sparse.csc_array(MATRIX),
            {"sparse": [{"array": f"000{i}.value"} for i in range(3)], "shape": [2, 4], "class": "csc_array"},
        ),
        (
            np.array(["a", "bc"]),
            {
                "values": [{"array": f"000{i}.{n}"} for i, n in enumerate(("types", "lengths", "text"))],
                "dtype": "<U2",
                "shape": [2],
            },
        ),
    ],
)
def test_each_kind_of_node(value, node):
    again, found, _ = through(value)
    assert found == node
    if isinstance(value, np.dtype):
        assert again == value.newbyteorder("=")
    elif isinstance(value, PurePosixPath):
        assert again == Path("a/b")
    elif isinstance(value, np.generic) and value != value:
        assert type(again) is np.float32
        assert np.isnan(again)
    elif isinstance(value, np.ndarray) and not value.flags.forc:
        np.testing.assert_array_equal(again, value)
    else:
        assert same(again, value)


def test_an_array_is_written_once_where_it_is_one_and_twice_where_it_is_not():
    table = EmbeddingTable(["a", "b"], ARRAY)
    again, _, tensors = through({"one": ARRAY, "two": ARRAY, "row": ARRAY[0], "copy": ARRAY.copy(), "turned": ARRAY.T})
    assert len(tensors) == 4
    assert again["one"] is again["two"]
    assert again["turned"].tolist() == ARRAY.T.tolist()
    again, _, _ = through([table, table, EmbeddingTable(["a", "b"], ARRAY)])
    assert again[0] is again[1]
    assert again[0] is not again[2]
    assert again[0] == again[2] == table
    same_again, _, _ = through([MATRIX, MATRIX])
    assert same_again[0] is same_again[1]
    again = through(sparse.csr_matrix(([1.0, 2.0], [1, 0], [0, 2]), shape=(1, 2)))[0]
    again.sort_indices()  # in place, of arrays of its own
    numbers = through(np.random.RandomState(5))[0]
    assert numbers.randint(1 << 30, size=5).tolist() == np.random.RandomState(5).randint(1 << 30, size=5).tolist()


def test_types_have_the_names_of_safetensors():
    names = {
        "BOOL": "?",
        "U8": "u1",
        "I8": "i1",
        "U16": "u2",
        "I16": "i2",
        "U32": "u4",
        "I32": "i4",
        "U64": "u8",
        "I64": "i8",
        "F16": "f2",
        "F32": "f4",
        "F64": "f8",
    }
    for name, kind in names.items():
        for order in "<>":
            writer = Writer()
            writer.encode(np.ones(2, order + kind), "value")
            assert list(writer.dtypes.values()) == [name]
            assert next(iter(writer.tensors.values())).dtype == np.dtype("<" + kind)
    assert set(DTYPES) == set(names)


def test_what_was_written_is_not_taken_for_what_comes_to_lie_in_its_place():
    writer = Writer()
    nodes = [writer.encode(np.full((10, 6), float(i))[:, ::2], "value") for i in range(30)]  # copied, then let go
    assert len({node["array"] for node in nodes}) == 30
    assert [writer.tensors[node["array"]][0, 0] for node in nodes] == list(range(30))
    nodes = [writer.encode(EmbeddingTable([i], [[float(i)]]), "value") for i in range(30)]
    assert all("object" in node for node in nodes)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (1j, r"here cannot be written: 1j is a builtins.complex\. Files of skembed hold plain values, arrays and"),
        ([0, {"a": len}], r"here\[1\] cannot be written: <built-in function len> is a builtins\.builtin_function"),
        (np.array([1j]), "here cannot be written: an array of complex128; expected numbers or booleans"),
        (np.array(["2024-01-01"], "M8[D]"), r"here cannot be written: an array of datetime64\[D\]; expected numbers"),
        (np.array([1j, "a"], object), r"here cannot be written: keys in this format|here cannot be written: .*complex"),
        (np.ma.array([1]), r"(?s)here cannot be written: masked_array.* is a numpy\.ma\.\w*\.?MaskedArray"),
        (sparse.coo_matrix(MATRIX), r"(?s)here cannot be written: <.* is a scipy\.sparse\._coo\.coo_matrix"),
        (np.complex64, r"here cannot be written: <class 'numpy.complex64'> is a builtins\.type"),
        (np.random.default_rng(0), r"is a numpy\.random\._generator\.Generator"),
        (range(3), r"here cannot be written: range\(0, 3\) is a builtins\.range"),
    ],
)
def test_what_cannot_be_written_is_named_with_its_place(value, message):
    with pytest.raises(TypeError, match=message):
        Writer().encode(value, "here")


D, IDS, P = {"array": "d"}, {"array": "i"}, {"array": "p"}
TENSORS = {
    "d": np.ones(2),
    "i": np.zeros(2, np.int32),
    "p": np.array([0, 1, 2], np.int32),
    "codes": np.uint8([4, 4]),
    "text": np.frombuffer(b"ab", np.uint8).copy(),
    "lengths": np.array([1, 1]),
}
STRINGS = [{"array": "codes"}, {"array": "lengths"}, {"array": "text"}]


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ({}, r"expected a value, got an object of \[\]"),
        ({"other": 1}, r"expected a value, got an object of \['other'\]"),
        ({"float": "nan", "more": 1}, r"expected a value, got an object of \['float', 'more'\]"),
        ({"more": 1, "float": "nan"}, r"expected a value, got an object of \['float', 'more'\]"),
        ({"float": "1.5"}, "expected 'nan', 'inf' or '-inf', got '1.5'"),
        ({"tuple": 3}, "expected the items of a tuple as a list"),
        ({"frozenset": {"dict": []}}, "expected the items of a frozenset as a list"),
        ({"dict": 3}, "expected a dict as a list of keys and values"),
        ({"dict": [[1, 2, 3]]}, "expected a dict as a list of keys and values"),
        ({"dict": [[1, 2], [1, 3]]}, "a key of a dict occurs twice"),
        ({"array": 3}, "expected the name of a tensor, got 3"),
        ({"array": "none"}, "expected the name of a tensor, got 'none'"),
        ({"array": "d", "order": "C"}, "expected the name of a tensor, got 'd'"),
        ({"values": STRINGS[:2], "dtype": "<U1", "shape": [2]}, "expected the types, lengths and bytes of strings"),
        (
            {"values": [D, *STRINGS[1:]], "dtype": "<U1", "shape": [2]},
            "expected the types, lengths and bytes of strings",
        ),
        (
            {"values": [1, *STRINGS[1:]], "dtype": "<U1", "shape": [2]},
            "expected the types, lengths and bytes of strings",
        ),
        ({"values": STRINGS, "dtype": "<f4", "shape": [2]}, "expected an array of strings or objects"),
        ({"values": [P, *STRINGS[1:]], "dtype": "<U1", "shape": [2]}, "expected an array of strings or objects"),
        (
            {"values": [STRINGS[0], {"array": "below"}, STRINGS[2]], "dtype": "O", "shape": [2]},
            "array of strings or objects",
        ),
        ({"values": STRINGS, "dtype": "<U99999999", "shape": [2]}, "2 strings of 2 bytes as <U99999999"),
        ({"scalar": 1, "dtype": "complex64"}, "expected the name of a numeric type, got 'complex64'"),
        ({"dtype": "<f4"}, "expected the name of a numeric type, got '<f4'"),
        ({"type": "object"}, "expected the name of a numeric type, got 'object'"),
        (
            {"sparse": [D, IDS, P], "shape": [2, 2], "class": "coo_matrix"},
            "expected a class of sparse matrices, got 'coo_matrix'",
        ),
        ({"sparse": [IDS, IDS, P], "shape": [2, 2], "class": "csr_matrix"}, "expected the numbers, indices and starts"),
        ({"sparse": [D, D, P], "shape": [2, 2], "class": "csr_matrix"}, "expected the numbers, indices and starts"),
        ({"sparse": [D, IDS, D], "shape": [2, 2], "class": "csr_matrix"}, "expected the numbers, indices and starts"),
        (
            {"sparse": [D, IDS, IDS], "shape": [1, 2], "class": "csr_matrix"},
            "expected starts of a sparse matrix that rise from 0",
        ),
        ({"random_state": ["MT19937", 0]}, "expected the state of a RandomState"),
        ({"random_state": ["PCG64", 0, 0, 0, 0]}, "expected the state of a RandomState"),
        ({"random_state": ["MT19937", 0, 625, 0, 0]}, "expected the state of a RandomState"),
        ({"random_state": ["MT19937", 0, -1, 0, 0]}, "expected the state of a RandomState"),
        ({"same": 0}, "expected the number of one of 0 objects, got 0"),
        ({"same": -1}, "expected the number of one of 0 objects, got -1"),
        ({"same": True}, "expected the number of one of 0 objects, got True"),
        ({"object": "os.system", "state": {}}, "there is no class 'os.system' in this version of skembed"),
        ({"object": 3, "state": {}}, "there is no class 3 in this version of skembed"),
        ({"object": "Keys"}, "Keys: expected its state"),
        ({"object": "Keys", "state": []}, "Keys: expected its state"),
        (
            {"object": "Keys", "state": {}, "params": {}},
            r"Keys: expected its state alone, got \['object', 'params', 'state'\]",
        ),
        ({"object": "VarianceRatios", "state": {"crossed": D}}, "VarianceRatios: 'marginal' is missing"),
        (
            {"object": "VarianceRatios", "state": {"crossed": D, "marginal": 3}},
            "VarianceRatios: expected 'marginal' to be",
        ),
        (
            {"object": "CooccurrenceEncoder", "state": {}},
            r"CooccurrenceEncoder: expected the parameters \['categorical_f.*, got \[\]",
        ),
        (
            {"object": "CooccurrenceEncoder", "state": {}, "params": {"dim": 3}},
            r"expected the parameters .*, got \['dim'\]",
        ),
        (
            {"object": "CooccurrenceEncoder", "state": {}, "params": {"n_bins": 1}},
            "The 'n_bins' parameter of CooccurrenceEncoder",
        ),
        ({"object": "CooccurrenceEncoder", "state": {"other": 1}, "params": {}}, "CooccurrenceEncoder: .*'other'"),
        (
            {"object": "CooccurrenceEncoder", "state": {}, "params": {}, "output": 3},
            "container that transform returns, got 3",
        ),
        (
            {"object": "CooccurrenceEncoder", "state": {}, "params": {}, "output": {"dict": [["fit", "pandas"]]}},
            "container that transform",
        ),
        (
            {"object": "CooccurrenceEncoder", "state": {}, "params": {}, "requests": 3},
            "expected requests of metadata, got 3",
        ),
        (
            {
                "object": "CooccurrenceEncoder",
                "state": {},
                "params": {},
                "requests": {"dict": [["other", {"dict": []}]]},
            },
            "expected requests",
        ),
        (
            {
                "object": "EntityEmbeddingEncoder",
                "state": {},
                "params": {},
                "requests": {"dict": [["fit", {"dict": [["groups", 3]]}]]},
            },
            "expected a request of metadata, got 'groups': 3",
        ),
        (
            {
                "object": "EntityEmbeddingEncoder",
                "state": {},
                "params": {},
                "requests": {"dict": [["fit", {"dict": [[3, True]]}]]},
            },
            "expected a request of metadata, got 3: True",
        ),
    ],
)
def test_nodes_that_are_none(node, message):
    reader = Reader(TENSORS | {"below": np.array([3, -1])})
    with pytest.raises(ValueError, match=message):
        reader.decode(node)


def test_the_first_and_last_number_that_fit_are_taken():
    reader = Reader({"key": np.arange(624, dtype=np.uint32)})
    state = ["MT19937", {"array": "key"}, 624, 0, 0.0]
    for position in (0, 624):
        state[2] = position
        assert reader.decode({"random_state": state}).get_state()[2] == position
    wide = {"values": STRINGS, "dtype": f"<U{(1 << 26) // 8}", "shape": [2]}
    with pytest.raises(ValueError, match="2 strings of 2 bytes"):
        Reader(TENSORS).decode(wide | {"dtype": f"<U{(1 << 26) // 8 + 1}"})


class TestEstimators:
    def test_requests_and_outputs_are_kept_where_they_were_set(self, tmp_path):
        import sklearn

        with sklearn.config_context(enable_metadata_routing=True):
            encoder = EntityEmbeddingEncoder().set_fit_request(sample_weight="weights", groups=False)
            encoder.set_output(transform="polars")
            skembed.save(encoder, tmp_path / "e")
            again = skembed.load(tmp_path / "e")
            asked = again.get_metadata_routing().fit.requests
            assert asked == encoder.get_metadata_routing().fit.requests
            assert asked == {"sample_weight": "weights", "groups": False}
            assert again._sklearn_output_config == {"transform": "polars"}
            assert again.get_params() == encoder.get_params()
            plain = through(EntityEmbeddingEncoder())[1]
            assert set(plain) == {"object", "params", "state"}

    def test_callbacks_are_to_be_taken_off(self):
        encoder = EntityEmbeddingEncoder()
        encoder._skl_callbacks = [object()]
        with pytest.raises(
            TypeError, match=r"EntityEmbeddingEncoder: callbacks cannot be written; take them off .*set_callb"
        ):
            Writer().encode(encoder, "e")
        encoder._skl_callbacks = []
        assert Writer().encode(encoder, "e")["state"] == {}

    def test_what_is_no_estimator_is_named(self, tmp_path):
        class Other(BaseEstimator):
            pass

        for value, message in (
            (Other(), "Other. A Pipeline or a"),
            (3, "got a builtins.int. A"),
            (Other, "got the class <class"),
        ):
            with pytest.raises(
                TypeError,
                match=r"must be one of skembed's, fitted or not, or an EmbeddingTable, " + message
                if value is Other
                else message,
            ):
                skembed.save(value, tmp_path / "e")
        assert not list(tmp_path.iterdir())


class TestFiles:
    """Each entry of a header is held against the bytes."""

    @pytest.fixture
    def saved(self, tmp_path):
        X = [["beech", "leaf"], ["oak", "leaf"], ["pine", "needle"], ["fir", "needle"]] * 5
        encoder = CooccurrenceEncoder(embedding_dim=1, random_state=0).fit(X)
        skembed.save(encoder, tmp_path / "e")
        return tmp_path / "e", encoder

    @staticmethod
    def parts(path):
        raw = path.read_bytes()
        length = int.from_bytes(raw[:8], "little")
        return json.loads(raw[8 : 8 + length]), raw[8 + length :]

    @staticmethod
    def write(path, header, payload):
        """With its right hash, as a forger would make it."""
        manifest = json.loads(header["__metadata__"]["skembed"])
        header["__metadata__"]["skembed"] = json.dumps(manifest | {"sha256": "0" * 64})
        text = json.dumps(header).encode()
        raw = len(text).to_bytes(8, "little") + text + payload
        path.write_bytes(raw.replace(b"0" * 64, hashlib.sha256(raw).hexdigest().encode()))

    def test_the_layout_is_as_documented(self, saved):
        path, _ = saved
        header, payload = self.parts(path)
        manifest = json.loads(header.pop("__metadata__")["skembed"])
        assert set(manifest) == {"format", "version", "sha256", "estimator"}
        assert (manifest["format"], manifest["version"]) == ("skembed.Estimator", 1)
        assert manifest["estimator"]["object"] == "CooccurrenceEncoder"
        start, sizes = 0, []
        for entry in header.values():
            size = DTYPES[entry["dtype"]].itemsize
            n_bytes = size * math.prod(entry["shape"])
            assert entry["data_offsets"] == [start, start + n_bytes]
            start += n_bytes
            sizes.append(size)
        assert start == len(payload)
        assert sizes == sorted(sizes, reverse=True)  # so that each is aligned
        assert path.read_bytes()[8 + int.from_bytes(path.read_bytes()[:8], "little") :] == payload
        assert int.from_bytes(path.read_bytes()[:8], "little") % 64 == 56

    def test_each_lie_of_a_header_is_found(self, saved):
        path, _ = saved
        header, payload = self.parts(path)
        for name in [name for name in header if name != "__metadata__"][:8]:
            entry = header[name]
            first, last = entry["data_offsets"]
            lies = [
                {**entry, "shape": [*entry["shape"], 2]},
                {**entry, "shape": [1] * 9},
                {**entry, "shape": "2"},
                {**entry, "shape": [-1]},
                {**entry, "shape": [True]},
                {**entry, "shape": [1 << 60]},
                {**entry, "dtype": "F8"},
                {**entry, "dtype": ["F32"]},
                {**entry, "data_offsets": [first, last + 1]},
                {**entry, "data_offsets": [first + 1, last]},
                {**entry, "data_offsets": None},
                {**entry, "more": 1},
                {"shape": entry["shape"], "dtype": entry["dtype"]},
                3,
            ]
            for lie in lies:
                self.write(path, copy.deepcopy(header) | {name: lie}, payload)
                with pytest.raises(
                    FormatError, match=rf"e: at byte \d+: (tensor '{re.escape(name)}'|expected a file of)"
                ):
                    skembed.load(path)
        for more, message in ((b"x", "bytes follow the last tensor"), (b"", None)):
            self.write(path, copy.deepcopy(header), payload + more if message else payload[:-1])
            with pytest.raises(FormatError, match=f"expected a file of .*{message or 'the file is cut short'}"):
                skembed.load(path, verify=False)

    def test_trees_that_do_not_fit_their_tensors(self, saved):
        path, _ = saved
        header, payload = self.parts(path)
        manifest = json.loads(header["__metadata__"]["skembed"])
        cases = [
            (
                {"object": "CooccurrenceEncoder", "params": {}, "state": {}},
                r"no part of the estimator uses the tensors \['0000",
            ),
            ({"object": "Keys", "state": {}}, "expected an estimator of skembed, got 'Keys'"),
            ({"object": "os.system"}, "expected an estimator of skembed, got 'os.system'"),
            ([], "expected an estimator of skembed, got 'None'"),
            (None, "expected an estimator of skembed, got 'None'"),
            (manifest["estimator"] | {"more": 1}, r"e: expected a value, got an object of \['more'|expected a value"),
        ]
        for tree, message in cases:
            changed = copy.deepcopy(header)
            changed["__metadata__"]["skembed"] = json.dumps(manifest | {"estimator": tree})
            self.write(path, changed, payload)
            with pytest.raises(FormatError, match=message):
                skembed.load(path)

    def test_it_may_be_opened_without_a_look_at_its_hash(self, saved):
        path, encoder = saved
        header, _ = self.parts(path)
        raw = path.read_bytes()
        path.write_bytes(raw.replace(json.loads(header["__metadata__"]["skembed"])["sha256"].encode(), b"0" * 64))
        with pytest.raises(FormatError, match="the hash does not fit"):
            skembed.load(path)
        for mmap in (False, True):
            again = skembed.load(path, verify=False, mmap=mmap)
            assert again.embeddings_ == encoder.embeddings_


def test_names_of_types_for_skops_are_those_of_a_process_that_imported_nothing_else():
    code = "import skembed; print(*skembed.trusted_types())"
    command = [sys.executable, "-W", "ignore", "-c", code]
    names = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert names == sorted(set(names))
    here = skembed.trusted_types()  # where all that other tests have imported is known
    assert set(names) == {name for name in here if name.startswith(("skembed.", "scipy."))}


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.int64, np.uint64])
def test_lengths_of_strings_are_numbers_of_any_size(dtype):
    node = {"values": STRINGS, "dtype": "<U2", "shape": [2, 1]}
    found = Reader(TENSORS | {"lengths": np.array([1, 1], dtype)}).decode(node)
    assert found.tolist() == [["a"], ["b"]]
    assert found.dtype == np.dtype("<U2")
