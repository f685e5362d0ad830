"""The layout of the library's own file: every entry of the header is held against the bytes, whatever the table has."""

import copy
import json

import numpy as np
import pytest
from test_native import header_of, with_header

from skembed import EmbeddingTable, SubwordTable
from skembed.formats import FormatError, load_table
from skembed.formats.hashed_file import HashedFile, open_regular
from skembed.table.subwords import Subwords

NGRAMS = Subwords(np.arange(6.0).reshape(3, 2), min_n=2, max_n=4, n_buckets=9, buckets=[1, 4, 8], absent="zero")
TABLES = {
    "plain": EmbeddingTable(["Ulm", "Bern", "Oslo"], [[1, 2], [3, 4], [5, 6]]),
    "unknown and counts": EmbeddingTable(["Ulm", 7], [[1, 2], [3, 4]], unknown=[5, 6], counts=[9, 0], metric="dot"),
    "n-grams": SubwordTable(["Ulm", "Bern"], [[1, 2], [3, 4]], NGRAMS, counts=[9, 0], unknown=[5, 6]),
}
SIZES = {"I64": 8, "F32": 4, "U8": 1}
EXPECTED = {  # by name: dtype, and shape of 3 keys in 7 bytes, 2 components, 4 n-grams
    "key_offsets": ("I64", lambda n, b: [n + 1]),
    "counts": ("I64", lambda n, b: [n]),
    "buckets": ("I64", lambda n, b: [3]),
    "vectors": ("F32", lambda n, b: [n, 2]),
    "ngrams": ("F32", lambda n, b: [3, 2]),
    "unknown": ("F32", lambda n, b: [2]),
    "key_types": ("U8", lambda n, b: [n]),
    "key_bytes": ("U8", lambda n, b: [b]),
}


@pytest.fixture(params=TABLES)
def saved(request, tmp_path):
    """A file, its table and its bytes."""
    TABLES[request.param].save(tmp_path / "table")
    return tmp_path / "table", TABLES[request.param], (tmp_path / "table").read_bytes()


def test_the_layout_is_as_documented(saved):
    _, table, raw = saved
    header, payload = header_of(raw)
    assert int.from_bytes(raw[:8], "little") % 64 == 56  # so that tensors start at a multiple of 64
    manifest = json.loads(header.pop("__metadata__")["skembed"])
    n_bytes = sum(len(str(key)) for key in table)
    start = 0
    for name, entry in header.items():
        dtype, shape = EXPECTED[name]
        assert entry["dtype"] == dtype
        assert entry["shape"] == shape(len(table), n_bytes)
        size = SIZES[dtype] * int(np.prod(entry["shape"]))
        assert entry["data_offsets"] == [start, start + size]
        start += size
    assert start == len(payload)
    assert list(header) == [name for name in EXPECTED if name in header]
    with_ngrams = isinstance(table, SubwordTable)
    optional = {"counts": table.counts is not None, "unknown": table.unknown is not None}
    optional |= {"buckets": with_ngrams, "ngrams": with_ngrams}
    assert set(header) == set(EXPECTED) - {name for name, there in optional.items() if not there}
    manifest.pop("sha256")
    expected = {"format": "skembed.EmbeddingTable", "version": 1 if table.counts is None else 2}
    expected |= {} if table.metric == "cosine" else {"metric": "dot"}
    expected |= {"subwords": {"min_n": 2, "max_n": 4, "n_buckets": 9, "absent": "zero"}} if with_ngrams else {}
    assert manifest == expected


def lies(entry):
    """The entry with another shape, dtype or place, in every way that is near to what it was."""
    for axis in range(len(entry["shape"])):
        for change in (-1, 1):
            shape = [*entry["shape"]]
            shape[axis] += change
            yield {**entry, "shape": shape}
            n_bytes = SIZES[entry["dtype"]] * int(np.prod(shape))
            start = entry["data_offsets"][0]
            yield {**entry, "shape": shape, "data_offsets": [start, start + n_bytes]}
        yield {**entry, "shape": [*entry["shape"][:axis], 0, *entry["shape"][axis + 1 :]]}
    yield {**entry, "shape": [*entry["shape"], 1]}
    yield {**entry, "shape": [1, *entry["shape"]]}
    yield {**entry, "shape": entry["shape"][:-1]}
    yield {**entry, "shape": [int(np.prod(entry["shape"]))] if len(entry["shape"]) > 1 else [1, *entry["shape"]]}
    for change in (-1, 1):
        for place in (0, 1):
            bounds = [*entry["data_offsets"]]
            bounds[place] += change
            yield {**entry, "data_offsets": bounds}
    yield from ({**entry, "dtype": dtype} for dtype in ("F16", "I32", "BOOL", *SIZES) if dtype != entry["dtype"])
    yield {name: entry[name] for name in entry if name != "dtype"}
    yield {**entry, "more": 1}
    yield [entry]


def test_each_lie_of_a_header_is_found(saved):
    path, _, raw = saved
    header, payload = header_of(raw)
    for name in list(header):
        if name == "__metadata__":
            continue
        for entry in lies(header[name]):
            path.write_bytes(with_header(copy.deepcopy(header) | {name: entry}, payload))
            for options in ({}, {"verify": False}, {"mmap": True, "verify": False}):
                with pytest.raises(FormatError, match=r"table: at byte \d+: (tensor '\w+'|expected)"):
                    load_table(path, **options)
        missing = {other: copy.deepcopy(header[other]) for other in header if other != name}
        path.write_bytes(with_header(missing, payload))
        with pytest.raises(FormatError, match=r"at byte \d+: (expected|tensor)"):
            load_table(path)
    path.write_bytes(with_header(copy.deepcopy(header) | {"other": copy.deepcopy(header["vectors"])}, payload))
    with pytest.raises(FormatError, match=r"expected the tensors \['key_offsets', .*\], got \["):
        load_table(path)


@pytest.mark.parametrize("parts", [{"buckets": None}, {"ngrams": None}, {"ngrams": None, "buckets": None}])
def test_ngrams_are_whole_or_absent(tmp_path, parts):
    TABLES["n-grams"].save(tmp_path / "t")
    header, payload = header_of((tmp_path / "t").read_bytes())
    cut, start = bytearray(), 0
    for name in [name for name in header if name != "__metadata__"]:
        first, last = header[name]["data_offsets"]
        if name in parts:
            del header[name]
            continue
        cut += payload[first:last]
        header[name]["data_offsets"] = [start, start + last - first]
        start += last - first
    (tmp_path / "t").write_bytes(with_header(header, bytes(cut)))
    with pytest.raises(
        FormatError, match=r"'subwords' in the manifest and the tensor 'ngrams'|a row for each of 9|does not fit"
    ):
        load_table(tmp_path / "t")
    manifest = json.loads(header["__metadata__"]["skembed"])
    del manifest["subwords"]
    header["__metadata__"]["skembed"] = json.dumps(manifest)
    (tmp_path / "t").write_bytes(with_header(header, bytes(cut)))
    if set(parts) == {"ngrams", "buckets"}:
        assert type(load_table(tmp_path / "t")) is EmbeddingTable
    else:
        with pytest.raises(
            FormatError, match=r"at byte 8: (expected 'subwords' in the manifest|tensor 'buckets': the shape)"
        ):
            load_table(tmp_path / "t")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 0}, "manifest of format 'skembed.EmbeddingTable' and version 1 or more, got {'format'"),
        ({"version": -1}, "version 1 or more"),
        ({"version": "1"}, "version 1 or more"),
        ({"version": True}, "version 1 or more"),
        ({"version": None}, "version 1 or more"),
        ({"format": "other"}, "manifest of format 'skembed.EmbeddingTable' and"),
        ({"format": None}, "manifest of format"),
        ({"version": 3}, r"written in version 3 of the format by a newer skembed; this one reads up to version 2\. Up"),
        ({"sha256": "0" * 63}, "expected 'sha256' to be 64 hexadecimal digits, got '0"),
        ({"sha256": "0" * 65}, "expected 'sha256' to be 64 hexadecimal digits"),
        ({"sha256": "G" * 64}, "expected 'sha256' to be 64 hexadecimal digits"),
        ({"sha256": 7}, "expected 'sha256' to be 64 hexadecimal digits, got 7"),
        ({"sha256": "0" * 64}, r"the hash does not fit: expected 0{64}, got [0-9a-f]{64}\. The file was damaged or ch"),
        ({"subwords": {"min_n": 2, "max_n": 4, "n_buckets": 9, "absent": "zero"}}, "'subwords' in the manifest and"),
    ],
)
def test_manifests_that_do_not_fit(tmp_path, changes, message):
    TABLES["plain"].save(tmp_path / "t")
    header, payload = header_of((tmp_path / "t").read_bytes())
    manifest = json.loads(header["__metadata__"]["skembed"]) | changes
    header["__metadata__"]["skembed"] = json.dumps(manifest)
    (tmp_path / "t").write_bytes(with_header(header, payload, rehash=False))
    with pytest.raises(FormatError, match=message):
        load_table(tmp_path / "t")


def test_ngrams_that_are_not_finite_are_refused_where_they_are_read(tmp_path):
    TABLES["n-grams"].save(tmp_path / "t")
    header, payload = header_of((tmp_path / "t").read_bytes())
    at = header["ngrams"]["data_offsets"][0] + 12
    payload = payload[:at] + np.float32(np.nan).tobytes() + payload[at + 4 :]
    (tmp_path / "t").write_bytes(with_header(header, payload))
    with pytest.raises(FormatError, match=r"t: ngrams must be finite float32, they are not\.$"):
        load_table(tmp_path / "t")
    assert np.isnan(load_table(tmp_path / "t", verify=False).subwords.vectors[1, 1])


def test_version_one_and_two_are_both_read(tmp_path):
    TABLES["plain"].save(tmp_path / "t")
    header, payload = header_of((tmp_path / "t").read_bytes())
    for version in (1, 2):
        manifest = json.loads(header["__metadata__"]["skembed"]) | {"version": version}
        header["__metadata__"]["skembed"] = json.dumps(manifest)
        (tmp_path / "t").write_bytes(with_header(header, payload))
        assert load_table(tmp_path / "t") == TABLES["plain"]


@pytest.mark.parametrize("mapped", [False, True])
def test_what_is_written_to_a_tensor_never_reaches_the_file(tmp_path, mapped):
    (tmp_path / "t").write_bytes(np.arange(6, dtype="<f4").tobytes())
    with open_regular(tmp_path / "t") as file:
        held = HashedFile(file, "t", max_header=10)
        assert held.n_bytes == 24
        tensor = held.tensor(8, np.dtype("<f4"), (2, 2), mapped)
        assert isinstance(tensor, np.memmap) == mapped
        assert not tensor.flags.writeable
        assert held.tensor(24, np.dtype("<f4"), (0, 2), mapped).shape == (0, 2)
        own = held.tensor(8, np.dtype("<f4"), (2, 2), mapped, writable=True)
        own[:] = 7
    assert tensor.tolist() == [[2, 3], [4, 5]]
    assert own.tolist() == [[7, 7], [7, 7]]
    assert (tmp_path / "t").read_bytes() == np.arange(6, dtype="<f4").tobytes()


def test_large_tensors_are_hashed_in_parts(tmp_path, monkeypatch):
    table = TABLES["n-grams"]
    table.save(tmp_path / "whole")
    monkeypatch.setattr("skembed.formats.hashed_file._HASHED_AT_ONCE", 5)
    table.save(tmp_path / "parts")
    assert (tmp_path / "parts").read_bytes() == (tmp_path / "whole").read_bytes()
    assert load_table(tmp_path / "whole") == table
