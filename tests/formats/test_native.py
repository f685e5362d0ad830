"""The library's own file: what is saved comes back, and nothing else is believed."""

import datetime
import errno
import hashlib
import json
import os
import pickle
import resource
import signal
import subprocess
import sys
import time
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import skembed.formats.hashed_file
from skembed import EmbeddingTable, SubwordTable
from skembed.data import keycodes
from skembed.data.keycodes import decode_keys, encode_keys
from skembed.formats import FormatError
from skembed.formats._native import load_native as load_table
from skembed.formats._native import save_native as save_table
from skembed.table.neighbors import METRICS
from skembed.table.subwords import Subwords

KEYS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=()), max_size=8),  # lone surrogates too
    st.binary(max_size=8),
    st.datetimes(timezones=st.sampled_from([None, datetime.UTC])),
    st.timedeltas(),
    st.decimals(allow_nan=False),
    st.uuids(),
    st.builds(np.datetime64, st.integers(-(2**60), 2**60), st.sampled_from(["ns", "ps"])),
    st.builds(np.timedelta64, st.integers(-(2**60), 2**60), st.sampled_from(["ns", "fs", "Y"])),
)


def table_of(keys, dim=3, unknown=None):
    vectors = np.random.default_rng(0).standard_normal((len(keys), dim))
    return EmbeddingTable(keys, vectors, unknown=unknown)


@pytest.fixture
def saved(tmp_path):
    """A small file, its table and its bytes."""
    table = table_of(["Köln", None, 7, 2.5, True, "", datetime.datetime(2024, 2, 29)], unknown=[1, 2, 3])
    path = tmp_path / "table.safetensors"
    table.save(path)
    return path, table, path.read_bytes()


def header_of(raw):
    length = int.from_bytes(raw[:8], "little")
    return json.loads(raw[8 : 8 + length]), raw[8 + length :]


def with_header(header, payload, *, rehash=True):
    """The bytes of a file with this header; with its right hash, as a forger would make it."""
    if rehash:
        manifest = json.loads(header["__metadata__"]["skembed"])
        manifest["sha256"] = "0" * 64
        header["__metadata__"]["skembed"] = json.dumps(manifest)
    text = json.dumps(header).encode()
    raw = len(text).to_bytes(8, "little") + text + payload
    return raw.replace(b"0" * 64, hashlib.sha256(raw).hexdigest().encode()) if rehash else raw


class TestRoundTrip:
    @settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @example(keys=["\ud800", "\ud83d\ude00", "\U0001f600", "\0", "?"], unknown=False, mmap=False, verify=True)
    @given(
        keys=st.lists(KEYS, unique=True, max_size=12), unknown=st.booleans(), mmap=st.booleans(), verify=st.booleans()
    )
    def test_keys_of_every_type(self, tmp_path, keys, unknown, mmap, verify):
        table = table_of(list(dict.fromkeys(keys)), unknown=[1, 2, 3] if unknown else None)
        table.save(tmp_path / "table")
        loaded = EmbeddingTable.load(tmp_path / "table", mmap=mmap, verify=verify)
        assert loaded == table
        assert [type(key) for key in loaded] == [type(key) for key in table]
        assert not loaded.vectors.flags.writeable
        assert isinstance(loaded.vectors, np.memmap) == (mmap and len(table) > 0)

    def test_the_same_table_gives_the_same_bytes(self, saved, tmp_path):
        load_table(saved[0]).save(tmp_path / "again")
        assert (tmp_path / "again").read_bytes() == saved[2]

    @pytest.mark.parametrize("metric", METRICS)
    def test_the_metric_comes_back_whatever_is_read(self, tmp_path, metric):
        table = EmbeddingTable(["Ulm", "Bern", 7], [[1, 2], [3, 4], [5, 6]], unknown=[1, 2], metric=metric)
        subwords = Subwords(np.ones((5, 2)), min_n=3, max_n=6, n_buckets=5)
        words = SubwordTable(["Ulm", "Bern"], [[1, 2], [3, 4]], subwords, counts=[2, 1], metric=metric)
        for saved in (table, words):
            saved.save(tmp_path / "table")
            assert EmbeddingTable.load(tmp_path / "table") == saved
            for options in (
                {"mmap": True},
                {"limit": 1},
                {"keys": ["Bern"]},
                {"dtype": "float16"},
                {"subwords": False},
            ):
                assert EmbeddingTable.load(tmp_path / "table", **options).metric == metric

    def test_files_of_the_default_metric_are_as_they_were_before_there_was_one(self, tmp_path):
        table = EmbeddingTable(["Ulm", None, 7], [[1.0, 2.0], [0.5, 0.0], [0.0, -1.0]], unknown=[1, 2], metric="cosine")
        table.save(tmp_path / "table")
        header, _ = header_of((tmp_path / "table").read_bytes())
        assert json.loads(header["__metadata__"]["skembed"]) == {
            "format": "skembed.EmbeddingTable",
            "version": 1,
            "sha256": "6f2e50a788eb92b08939bd7143dc5cce5edfe100a41a7e6edf838d682dcfcf56",
        }

    @pytest.mark.parametrize("format", ["word2vec-text", "numpy"])
    def test_other_formats_lose_the_metric(self, tmp_path, format):
        EmbeddingTable(["a", "b"], [[1, 2], [3, 4]], metric="dot").save(tmp_path / "table", format=format)
        assert EmbeddingTable.load(tmp_path / "table").metric == "cosine"

    def test_safetensors_reads_it(self, saved):
        safetensors_numpy = pytest.importorskip("safetensors.numpy")
        tensors = safetensors_numpy.load_file(saved[0])
        assert tensors["vectors"].tobytes() == saved[1].vectors.tobytes()
        assert tensors["unknown"].tolist() == [1, 2, 3]

    def test_a_mapped_table_saves_and_searches_and_outlives_its_name(self, saved, tmp_path):
        path, table, raw = saved
        mapped = EmbeddingTable.load(path, mmap=True)
        mapped.save(path)  # onto the very file it reads
        assert path.read_bytes() == raw
        path.unlink()
        assert mapped == table
        assert mapped.nearest(7) == table.nearest(7)

    def test_verify_false_does_not_read_the_vectors(self, saved):
        path, table, raw = saved
        at = raw.index(table.vectors.tobytes())
        path.write_bytes(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :])
        assert load_table(path, mmap=True, verify=False) != table
        with pytest.raises(FormatError, match="hash does not fit"):
            load_table(path, mmap=True)

    @pytest.mark.parametrize("key", [("a", "b"), frozenset("a"), 3j, datetime.time(3)])
    def test_other_keys_are_refused_by_name(self, tmp_path, key):
        with pytest.raises(TypeError, match=r"of type \w+ \(row 1\).*EmbeddingTable\(\[str\(key\)") as caught:
            table_of(["a", key]).save(tmp_path / "table")
        assert repr(key) in str(caught.value)
        assert list(tmp_path.iterdir()) == []


class TestDamage:
    def test_cut_at_every_byte(self, saved):
        path, _, raw = saved
        for length in range(len(raw)):
            path.write_bytes(raw[:length])
            for options in ({}, {"mmap": True, "verify": False}):
                with pytest.raises(FormatError, match=r"table\.safetensors: at byte \d+: expected"):
                    load_table(path, **options)

    def test_trailing_bytes(self, saved):
        path, _, raw = saved
        path.write_bytes(raw + b"\0")
        with pytest.raises(FormatError, match=f"at byte {len(raw)}: expected a file of {len(raw)} bytes.*follow"):
            load_table(path, verify=False)

    def test_every_byte_changed(self, saved):
        path, _, raw = saved
        for at in range(len(raw)):
            for change in (1, 0x20):
                path.write_bytes(raw[:at] + bytes([raw[at] ^ change]) + raw[at + 1 :])
                with pytest.raises(FormatError):
                    load_table(path)

    @settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(data=st.data())
    def test_random_surgery(self, saved, data):
        path, table, raw = saved
        start, stop = sorted((data.draw(st.integers(0, len(raw))), data.draw(st.integers(0, len(raw)))))
        path.write_bytes(raw[:start] + data.draw(st.binary(max_size=20)) + raw[stop:])
        for options in ({}, {"verify": False}, {"mmap": True, "verify": False}):
            try:
                loaded = load_table(path, **options)
            except FormatError:
                continue
            assert not options.get("verify", True) or loaded == table  # nothing was changed after all

    @pytest.mark.parametrize(
        ("name", "field", "value"),
        [
            ("vectors", "shape", [10**12, 10**12]),
            ("vectors", "shape", [-1, 3]),
            ("vectors", "shape", [7.0, 3]),
            ("vectors", "shape", [True, 3]),
            ("vectors", "shape", [21]),
            ("vectors", "shape", [0, 0]),
            ("vectors", "shape", "7x3"),
            ("vectors", "dtype", "F64"),
            ("vectors", "dtype", ["F32"]),
            ("vectors", "data_offsets", [0, 10**18]),
            ("vectors", "data_offsets", None),
            ("key_types", "shape", [8]),
            ("key_types", "shape", []),
            ("key_bytes", "shape", [2**62]),
            ("key_bytes", "shape", [0]),
            ("key_offsets", "shape", [2, 4]),
            ("unknown", "shape", [4]),
            ("unknown", "extra", 1),
        ],
    )
    def test_lying_headers(self, saved, name, field, value):
        path, _, raw = saved
        header, payload = header_of(raw)
        header[name][field] = value
        path.write_bytes(with_header(header, payload))
        for options in ({}, {"mmap": True, "verify": False}):
            with pytest.raises(FormatError, match=f"tensor '({name}|vectors|key_offsets)'"):
                load_table(path, **options)

    @pytest.mark.parametrize(
        "text",
        [b"[" * 60_000, b"{}", b"[]", b'{"__metadata__":{"skembed":"[1]"}}', b'{"__metadata__":{"skembed":"{"}}',
         b'{"a":1,"a":2}', b'{"a":NaN}', b'{"a":' + b"9" * 5000 + b"}", b"\xff\xfe", b'{"__metadata__":[]}'],
    )  # fmt: skip
    def test_headers_of_other_json(self, tmp_path, text):
        (tmp_path / "table").write_bytes(len(text).to_bytes(8, "little") + text)
        with pytest.raises(FormatError, match="at byte 8: expected"):
            load_table(tmp_path / "table")

    @pytest.mark.parametrize("length", [0, 1, 2**16 + 1, 2**63, 2**64 - 1])
    def test_header_lengths(self, tmp_path, length):
        (tmp_path / "table").write_bytes(length.to_bytes(8, "little") + b" " * 70_000)
        with pytest.raises(FormatError, match=f"at byte 0: expected the length of a header.*got {length}"):
            load_table(tmp_path / "table")

    @pytest.mark.parametrize(
        ("tensor", "at", "value", "message"),
        [
            ("key_types", 0, 200, "type code 200"),
            ("key_types", 2, 1, "type code 1"),
            ("key_offsets", 0, 1, "key_offsets"),
            ("key_offsets", 3, -5, "key_offsets"),
            (
                "vectors",
                4,
                np.nan,
                r"expected finite numbers that fit float32, got nan \(key None\); pass allow_nonfinite",
            ),
            ("unknown", 0, np.inf, "unknown must be finite"),
            ("key_bytes", 0, 0xFF, "key_bytes.*row 0"),
            ("key_bytes", 7, ord("X"), "another spelling of the same key"),  # 0X1.4p+1
        ],
    )
    def test_forged_tensors_with_a_right_hash(self, saved, tensor, at, value, message):
        path, _, raw = saved
        header, payload = header_of(raw)
        payload = bytearray(payload)
        start, stop = header[tensor]["data_offsets"]
        dtype = {"I64": "<i8", "F32": "<f4", "U8": "u1"}[header[tensor]["dtype"]]
        np.frombuffer(payload, dtype=dtype, offset=start, count=(stop - start) // np.dtype(dtype).itemsize)[at] = value
        path.write_bytes(with_header(header, bytes(payload)))
        with pytest.raises(FormatError, match=message):
            load_table(path)

    def test_keys_that_occur_twice(self, tmp_path):
        table_of(["aa", "ab"]).save(tmp_path / "table")
        header, payload = header_of((tmp_path / "table").read_bytes())
        (tmp_path / "table").write_bytes(with_header(header, payload.replace(b"ab", b"aa")))
        with pytest.raises(FormatError, match="'aa' and 'aa' at 0 and 1"):
            load_table(tmp_path / "table")

    @pytest.mark.parametrize("metric", ["manhattan", None, 1, ["dot"], {"dot": 1}, "x" * 1000])
    def test_a_metric_that_is_none(self, saved, metric):
        path, _, raw = saved
        header, payload = header_of(raw)
        manifest = json.loads(header["__metadata__"]["skembed"]) | {"metric": metric}
        header["__metadata__"]["skembed"] = json.dumps(manifest)
        path.write_bytes(with_header(header, payload))
        with pytest.raises(
            FormatError, match=r"at byte 8: expected 'metric' to be one of 'cosine', .*, got "
        ) as caught:
            load_table(path)
        assert repr(metric)[:60] in str(caught.value)
        assert len(str(caught.value)) < len(str(path)) + 200

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            (None, "'subwords' in the manifest and the tensor 'ngrams', or none of both"),
            ([], "'subwords' to be .*'min_n'.*got \\[\\]"),
            ({"min_n": 3}, "'subwords' to be .*'min_n'"),
            ({"min_n": 3, "max_n": 6, "n_buckets": 5, "absent": "zero", "more": 1}, "'subwords' to be .*'min_n'"),
            ({"min_n": 3, "max_n": 6, "n_buckets": True, "absent": "zero"}, "'subwords' to be .*'min_n'"),
            ({"min_n": 3, "max_n": 6, "n_buckets": 5, "absent": 0}, "'subwords' to be .*'min_n'"),
        ],
    )
    def test_parameters_of_ngrams_that_are_none(self, tmp_path, settings, message):
        subwords = Subwords(np.ones((5, 2)), min_n=3, max_n=6, n_buckets=5)
        SubwordTable(["Ulm"], [[1, 2]], subwords, counts=[2]).save(tmp_path / "table")
        header, payload = header_of((tmp_path / "table").read_bytes())
        manifest = json.loads(header["__metadata__"]["skembed"]) | {"subwords": settings}
        header["__metadata__"]["skembed"] = json.dumps(manifest)
        (tmp_path / "table").write_bytes(with_header(header, payload))
        with pytest.raises(FormatError, match=f"at byte 8: expected {message}"):
            load_table(tmp_path / "table", verify=False)

    def test_a_newer_version_says_so(self, saved):
        path, _, raw = saved
        header, payload = header_of(raw)
        manifest = json.loads(header["__metadata__"]["skembed"]) | {"version": 3}
        header["__metadata__"]["skembed"] = json.dumps(manifest)
        header["something_new"] = {"sparse": True}
        path.write_bytes(with_header(header, payload))
        with pytest.raises(FormatError, match=r"version 3 of the format by a newer skembed.*up to version 2.*Upgrade"):
            load_table(path)


class TestForeignFiles:
    @pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
    def test_pickles_are_refused_and_never_run(self, tmp_path, protocol):
        class Trap:
            def __reduce__(self):
                return os.mkdir, (str(tmp_path / "run"),)

        (tmp_path / "table").write_bytes(pickle.dumps({"trap": Trap(), "padding": "x" * 100}, protocol=protocol))
        with pytest.raises(FormatError, match=r"looks like a pickle.*pass its keys and vectors to EmbeddingTable"):
            load_table(tmp_path / "table")
        assert not (tmp_path / "run").exists()

    def test_pt_joblib_npy_and_zip(self, tmp_path):
        path = tmp_path / "table"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("../../data.pkl", "x" * 1000)
        with pytest.raises(FormatError, match=r"zip archive, as \.pt and \.npz files are"):
            load_table(path)
        np.save(tmp_path / "a.npy", np.ones(9))
        with pytest.raises(FormatError, match=r"a \.npy array"):
            load_table(tmp_path / "a.npy")
        joblib = pytest.importorskip("joblib")
        joblib.dump(np.ones(1000), path, compress=3)
        with pytest.raises(FormatError, match="zlib, as joblib files may be"):
            load_table(path)
        joblib.dump(np.ones(1000), path)
        with pytest.raises(FormatError, match="a pickle"):
            load_table(path)

    def test_another_safetensors_file(self, tmp_path):
        safetensors_numpy = pytest.importorskip("safetensors.numpy")
        safetensors_numpy.save_file({"vectors": np.ones((2, 2), np.float32)}, tmp_path / "table")
        with pytest.raises(
            FormatError, match=r"was not saved by skembed. Put the keys of its vectors beside them: Embed"
        ):
            load_table(tmp_path / "table")

    def test_no_file(self, tmp_path):
        with pytest.raises(FileNotFoundError):
            load_table(tmp_path / "absent")
        with pytest.raises(FormatError, match="folder, a pipe or a device"):
            load_table(tmp_path)
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(FormatError, match="pipe"):
            load_table(tmp_path / "pipe")


class TestSaving:
    @pytest.mark.parametrize("failing", ["write", "fsync", "replace", "interrupt"])
    def test_a_failure_leaves_the_old_file_and_no_litter(self, saved, monkeypatch, failing):
        path, _, raw = saved

        def fail(*_):
            raise KeyboardInterrupt if failing == "interrupt" else OSError(errno.ENOSPC, "No space left on device")

        name = {"write": "_header", "interrupt": "_header"}.get(failing)
        if name:
            monkeypatch.setattr(skembed.formats.hashed_file, name, fail)
        else:
            monkeypatch.setattr(os, failing, fail)
        with pytest.raises(KeyboardInterrupt if failing == "interrupt" else OSError):
            table_of(["new"]).save(path)
        assert path.read_bytes() == raw
        assert os.listdir(path.parent) == [path.name]

    def test_disk_full(self, saved):
        path, _, raw = saved
        program = (
            "import resource, signal, sys, numpy as np\n"
            "from skembed import EmbeddingTable\n"
            "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
            "EmbeddingTable(range(10_000), np.ones((10_000, 10))).save(sys.argv[1])\n"
        )
        finished = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, timeout=60)
        assert "OSError" in finished.stderr
        assert path.read_bytes() == raw
        assert os.listdir(path.parent) == [path.name]

    def test_killed_while_saving(self, tmp_path):
        path = tmp_path / "table"
        program = (
            "import sys, numpy as np\n"
            "from skembed import EmbeddingTable\n"
            "tables = [EmbeddingTable(range(20_000), np.full((20_000, 20), i)) for i in range(2)]\n"
            "tables[0].save(sys.argv[1]); print('saving', flush=True)\n"
            "while True:\n"
            "    for table in tables: table.save(sys.argv[1])\n"
        )
        random, unfinished = np.random.default_rng(0), 0
        for _ in range(40):
            process = subprocess.Popen([sys.executable, "-c", program, path], stdout=subprocess.PIPE)
            assert process.stdout.readline() == b"saving\n"
            time.sleep(random.uniform(0.001, 0.15))
            process.send_signal(signal.SIGKILL)
            process.communicate()
            assert load_table(path).shape == (20_000, 20)
            leftovers = list(tmp_path.glob(".*.unfinished"))
            for leftover in leftovers:
                leftover.unlink()
            unfinished += bool(leftovers)
            if unfinished == 3:
                return
        raise AssertionError("forty kills, and not three of them in the middle of a save")

    def test_links_devices_and_rights(self, saved, tmp_path):
        path, table, _ = saved
        (tmp_path / "link").symlink_to(path)
        table_of(["new"]).save(tmp_path / "link")
        assert (tmp_path / "link").is_symlink()
        assert list(load_table(path)) == ["new"]
        with pytest.raises(OSError, match="must name a file"):
            table.save(tmp_path)
        with pytest.raises(OSError, match="must name a file"):
            table.save("/dev/null")
        mask = os.umask(0o027)
        try:
            table.save(tmp_path / "private")
        finally:
            os.umask(mask)
        assert (tmp_path / "private").stat().st_mode & 0o777 == 0o640

    def test_saving_needs_little_memory_beside_the_table(self, tmp_path):
        tracemalloc = pytest.importorskip("tracemalloc")
        table = EmbeddingTable(range(1000), np.ones((1000, 5000)))  # 20 MB
        tracemalloc.start()
        save_table(table, tmp_path / "table")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 2e6


def test_a_lying_file_never_takes_memory(saved):
    path, _, raw = saved
    header, payload = header_of(raw)
    header["key_bytes"] |= {"shape": [2**50], "data_offsets": [header["key_types"]["data_offsets"][1], 2**50]}
    path.write_bytes(with_header(header, payload))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(FormatError, match="cannot hold shape"):
        load_table(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 10_000  # kB


def test_keys_cut_within_a_character_are_refused():
    codes, offsets, blob = encode_keys(np.array(["aä", "ö"], dtype=object))
    assert decode_keys(codes, offsets, blob) == ["aä", "ö"]
    for inside in (2, 4):
        with pytest.raises(ValueError, match="key_bytes: no key of type code 4"):
            decode_keys(codes, np.array([0, inside, 5]), blob)


@pytest.mark.parametrize("spare", [None, "\0", "every"])
def test_many_keys_are_those_of_a_loop(monkeypatch, spare):
    """Decoded in blocks with a byte between them, whatever bytes the keys have."""
    monkeypatch.setattr(keycodes, "KEYS_AT_ONCE", 3)
    keys = ["", "Köln", "日本", "\U0001f600", "\ud83d", "a b", "x", "", "y"]
    keys += [] if spare is None else ["\0"] if spare == "\0" else ["".join(map(chr, range(128)))]
    codes, offsets, blob = encode_keys(np.array(keys, dtype=object))
    assert decode_keys(codes, offsets, blob) == keys


def test_keys_of_a_forged_file_are_canonical():
    spelled = [float.hex(2.0), "nan", float.hex(0.5)]
    offsets = np.cumsum([0, *map(len, spelled)])
    keys = decode_keys(np.full(3, 3, np.uint8), offsets, "".join(spelled).encode())
    assert keys == [2, None, 0.5]
    assert type(keys[0]) is int


@pytest.mark.parametrize(
    ("code", "spelled"),
    [
        (8, "NaN"), (8, "sNaN"), (8, "one"), (8, " 1"), (8, "1_0"), (9, "{12345678-1234-5678-1234-567812345678}"),
        (9, "12"), (10, "us 3"), (10, "ns 3000"), (10, "ns 03"), (10, "ns"), (10, "generic 1"), (10, "ns 1e3"),
        (10, f"ns {2**63}"), (10, f"ns {-(2**63)}"), (11, "ps 5000000"), (11, "D 3"), (11, ""),
    ],
)  # fmt: skip
def test_other_spellings_of_decimals_ids_and_times_are_refused(code, spelled):
    with pytest.raises(ValueError, match=f"no key of type code {code}"):
        decode_keys(np.uint8([code]), np.array([0, len(spelled)]), spelled.encode())
