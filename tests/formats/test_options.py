"""Options of `load_table` for every format: what they leave of a file is what a loop over its rows leaves."""

import contextlib
import io
import warnings

import numpy as np
import pytest
import samples
from bounds import file_in_memory
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skembed import EmbeddingTable, SubwordTable
from skembed.formats import (
    FormatError,
    _csv,
    _fasttext,
    _fasttext_write,
    _open,
    _parquet,
    _quantised,
    _rows,
    _text,
    _word2vec,
    _write_text,
    load_table,
)
from skembed.table.subwords import Subwords

NGRAMS = np.random.default_rng(3).integers(-8, 9, (30, 4)).astype(np.float32)
MAPPED = ("safetensors", "safetensors-ngrams", "fasttext", "fasttext-ngrams", "npy")
BLOCKS = [
    (_csv, "_ROWS_AT_ONCE", 2), (_fasttext, "_BLOCK", 16), (_fasttext, "_BLOCK_ROWS", 2), (_rows, "_BLOCK_ROWS", 2),
    (_fasttext_write, "_BLOCK_ROWS", 2), (_open, "_COMPRESSED_CHUNK", 9), (_parquet, "_BATCH_ROWS", 2),
    (_parquet, "_GROUP_ROWS", 3), (_quantised, "_BLOCK_ROWS", 2), (_text, "_BLOCK", 40), (_word2vec, "_BLOCK", 24),
    (_write_text, "_ROWS_AT_ONCE", 2), (_write_text, "_ROWS_OF_BINARY", 2),
]  # fmt: skip


@contextlib.contextmanager
def small_blocks(small):
    """Readers and writers that look at a few rows at a time, as they do of files that are large."""
    with pytest.MonkeyPatch.context() as patch:
        for module, name, size in BLOCKS if small else []:
            patch.setattr(module, name, size)
        yield


def write(path, kind, keys, vectors, counts):
    """A file of some rows, by the builders of `samples` where there is one."""
    if kind in ("safetensors", "safetensors-ngrams", "parquet"):
        table = EmbeddingTable(keys, vectors, counts=counts, unknown=[1, 2, 3, 4] if kind != "parquet" else None)
        if kind == "safetensors-ngrams":
            subwords = Subwords(NGRAMS, min_n=3, max_n=4, n_buckets=30)
            table = SubwordTable(keys, vectors, subwords, counts=counts, unknown=[1, 2, 3, 4])
        table.save(path, kind.partition("-")[0])
    elif kind in ("text", "glove"):
        path.write_bytes(samples.text(keys, vectors, header=kind == "text"))
    elif kind == "word2vec-binary":
        path.write_bytes(samples.word2vec_binary(keys, vectors))
    elif kind == "fasttext":
        path.write_bytes(samples.fasttext(keys, vectors, counts=counts))
    elif kind == "fasttext-ngrams":
        path.write_bytes(samples.fasttext(keys, vectors, NGRAMS, counts=counts))
    elif kind == "npz":
        path.write_bytes(samples.npz(keys, vectors, counts=counts))
    elif kind == "npy":
        file = io.BytesIO()
        np.save(file, vectors)
        path.write_bytes(file.getvalue())
        path.with_suffix(".keys.txt").write_text("\n".join(keys) + "\n", encoding="utf-8")
    else:
        rows = [
            f"{key},{count},{','.join(map(repr, row))}\n" for key, count, row in zip(keys, counts, vectors.tolist())
        ]
        path.write_text("key,count,0,1,2,3\n" + "".join(rows), encoding="utf-8")


def kept_rows(keys, limit, wanted):
    """Rows that are kept, and how many others of those looked at repeat a key that is kept."""
    first = {}
    n_repeated = 0
    for row, key in enumerate(keys[:limit]):
        if wanted is not None and key not in wanted:
            continue
        n_repeated += key in first
        first.setdefault(key, row)
        if wanted is not None and set(first) == set(wanted):
            break  # nothing that follows is looked at by those who read row by row
    return list(first.values()), n_repeated


WITH_COUNTS = ("safetensors", "safetensors-ngrams", "parquet", "fasttext", "fasttext-ngrams", "npz", "csv")


def check_what_is_kept(kind):
    """Rows that are kept are those that a loop keeps."""

    @settings(max_examples=25, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(
        keys=st.lists(st.sampled_from(["Ulm", "Köln", "a", "日本", "x1", "naïve"]), min_size=1, max_size=12),
        seed=st.integers(0, 2**32 - 1),
        limit=st.none() | st.integers(1, 9),
        wanted=st.none() | st.sets(st.sampled_from(["Ulm", "a", "日本", "absent"]), min_size=1),
        half=st.booleans(),
        mmap=st.booleans(),
        verify=st.booleans(),
        codec=st.sampled_from([None, None, *samples.COMPRESSIONS]),
        small=st.booleans(),
    )
    def check(keys, seed, limit, wanted, half, mmap, verify, codec, small):
        if kind.startswith("safetensors") or kind == "parquet":
            keys = list(dict.fromkeys(keys))
        rng = np.random.default_rng(seed)
        vectors = rng.standard_normal((len(keys), 4)).astype(np.float32)
        counts = rng.integers(0, 1000, len(keys)).tolist()
        mmap &= kind in MAPPED and not (kind == "npy" and codec)
        options = {"limit": limit, "keys": wanted, "mmap": mmap, "verify": verify}
        if kind == "word2vec-binary":  # a few bytes of numbers may look like text
            options["format"] = kind
        with file_in_memory() as path, small_blocks(small), warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            write(path, kind, keys, vectors, counts)
            if codec and not kind.startswith("safetensors") and kind != "npz":
                path.write_bytes(samples.COMPRESSIONS[codec](path.read_bytes()))
            table = load_table(path, **options, dtype="float16" if half else "float32")
            rows, n_repeated = kept_rows(keys, limit, wanted)
            with_ngrams = "ngrams" in kind
            assert isinstance(table, SubwordTable) == (with_ngrams and wanted is None)
            assert table.keys.tolist() == [keys[row] for row in rows]
            if kind == "fasttext-ngrams":
                own = Subwords(NGRAMS, min_n=3, max_n=6, n_buckets=30)
                vectors = own.compose(keys, vectors)[0]
            expected = vectors[rows].astype(np.float16 if half else np.float32).astype(np.float32)
            if kind == "fasttext-ngrams" and half:  # of rows that are halves themselves, composed and rounded again
                np.testing.assert_allclose(table.vectors, expected, rtol=2e-3, atol=2e-3)
            else:
                assert table.vectors.tolist() == expected.tolist()
            assert table.vectors.dtype == np.float32
            assert table.vectors.shape == (len(rows), 4)
            assert not table.vectors.flags.writeable
            if kind in WITH_COUNTS:
                assert table.counts.tolist() == [counts[row] for row in rows]
                assert table.counts.dtype == np.int64
                assert not table.counts.flags.writeable
            else:
                assert table.counts is None
            assert table.metric == "cosine"
            unknown = [1, 2, 3, 4] if kind.startswith("safetensors") else None
            assert (None if table.unknown is None else table.unknown.tolist()) == unknown
            said = [str(one.message) for one in caught if one.category is UserWarning]
            if n_repeated:
                assert len(said) == 1
                assert said[0].startswith(f"{path}:")
            if wanted is None:  # else reading ends where all are found, to the next block
                assert len(said) == bool(n_repeated)
                assert all(f": {n_repeated} rows repeat the key of an earlier one" in one for one in said)

    check()


@pytest.mark.parametrize("kind", ["text", "glove", "csv", "word2vec-binary"])
def test_what_is_kept_of_texts(kind):
    check_what_is_kept(kind)


@pytest.mark.parametrize("kind", ["npy", "npz", "parquet"])
def test_what_is_kept_of_arrays(kind):
    check_what_is_kept(kind)


@pytest.mark.parametrize("kind", ["fasttext", "fasttext-ngrams"])
def test_what_is_kept_of_models(kind):
    check_what_is_kept(kind)


@pytest.mark.parametrize("kind", ["safetensors", "safetensors-ngrams"])
def test_what_is_kept_of_the_librarys_own(kind):
    check_what_is_kept(kind)


@pytest.mark.parametrize("kind", ["safetensors", "safetensors-ngrams", "fasttext", "fasttext-ngrams", "npy"])
def test_only_vectors_that_are_asked_for_stay_in_the_file(tmp_path, kind):
    path = tmp_path / "file"
    write(path, kind, samples.WORDS, samples.VECTORS, [5, 4, 3, 2, 1])
    plain, mapped = load_table(path), load_table(path, mmap=True)
    assert mapped == plain
    assert not isinstance(plain.vectors, np.memmap)
    assert isinstance(mapped.vectors, np.memmap) == (kind != "fasttext-ngrams")  # those are composed
    if "ngrams" in kind:
        assert isinstance(mapped.subwords.vectors, np.memmap)
        assert not isinstance(plain.subwords.vectors, np.memmap)
        for table in (plain, mapped):
            assert not table.subwords.vectors.flags.writeable
    chosen = load_table(path, mmap=True, keys=samples.WORDS[1:3])
    assert chosen.vectors.tolist() == plain.vectors[1:3].tolist()


@pytest.mark.parametrize("kind", ["safetensors", "safetensors-ngrams", "fasttext", "fasttext-ngrams", "npy"])
def test_what_is_rounded_is_no_longer_in_the_file(tmp_path, kind):
    path = tmp_path / "file"
    write(path, kind, samples.WORDS, samples.VECTORS, [5, 4, 3, 2, 1])
    raw = path.read_bytes()
    table = load_table(path, mmap=True, dtype="float16")
    assert not isinstance(table.vectors, np.memmap)
    assert table.vectors.tolist() == table.vectors.astype(np.float16).tolist()
    assert table.vectors.tolist() == load_table(path, dtype="float16").vectors.tolist()
    assert not table.vectors.flags.writeable
    assert path.read_bytes() == raw


@pytest.mark.parametrize("kind", ["safetensors-ngrams", "fasttext-ngrams"])
@pytest.mark.parametrize("subwords", [None, True, False])
@pytest.mark.parametrize("keys", [None, samples.WORDS[:2]])
def test_ngrams_are_kept_unless_keys_are_chosen_or_it_is_said(tmp_path, kind, subwords, keys):
    write(tmp_path / "file", kind, samples.WORDS, samples.VECTORS, [5, 4, 3, 2, 1])
    whole = load_table(tmp_path / "file")
    table = load_table(tmp_path / "file", subwords=subwords, keys=keys)
    kept = keys is None if subwords is None else subwords
    assert type(table) is (SubwordTable if kept else EmbeddingTable)
    assert table.vectors.tolist() == whole.vectors[: len(table)].tolist()
    assert table.counts.tolist() == [5, 4, 3, 2, 1][: len(table)]
    if kept:
        assert table.subwords == whole.subwords


@pytest.mark.parametrize("kind", ["text", "glove", "word2vec-binary", "fasttext", "npz", "npy", "csv"])
@pytest.mark.parametrize("half", [False, True])
def test_numbers_that_are_not_finite_are_refused_or_taken(tmp_path, kind, half):
    vectors = samples.VECTORS.copy()
    vectors[3, 2] = 70_000 if half else np.inf  # beyond float16
    write(tmp_path / "file", kind, samples.WORDS, vectors, [1] * 5)
    options = {"dtype": "float16" if half else "float32"}
    with pytest.raises(FormatError, match="float16, got one beyond 65504" if half else "expected finite numbers that"):
        load_table(tmp_path / "file", **options)
    table = load_table(tmp_path / "file", allow_nonfinite=True, **options)
    assert not np.isfinite(table.vectors[3, 2])
    assert np.isfinite(np.delete(table.vectors, 3, axis=0)).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"format": "excel"}, "format must be one of 'auto', 'text', .*'safetensors', got 'excel'"),
        ({"dtype": "no type"}, "dtype must be one of 'float32', 'float16', got \"'no type'\""),
        ({"dtype": "float64"}, "dtype must be one of 'float32', 'float16', got 'float64'"),
        ({"errors": "never heard of"}, r"errors must be 'strict' or another .*got 'never heard of'"),
        ({"errors": None}, r"errors must be 'strict' or another .*got None"),
        ({"limit": 0}, "limit must be a positive int, got 0"),
        ({"keys": []}, "keys must name at least one key to read, got none; leave keys out"),
        ({"member": "a"}, "member names a file in a zip archive, and .*vectors is none; got member='a'"),
        ({"mmap": True}, r"mmap=True cannot be had of .*vectors: numbers in text are no array.*table\.save"),
    ],
)
def test_values_of_options_that_are_refused(tmp_path, options, message):
    (tmp_path / "vectors").write_bytes(samples.text())
    with pytest.raises(ValueError, match=message) as caught:
        load_table(tmp_path / "vectors", **options)
    assert not isinstance(caught.value, FormatError)
    with pytest.raises(TypeError, match="keys must be a list of keys, got the single str 'the'"):
        load_table(tmp_path / "vectors", keys="the")


@pytest.mark.parametrize("kind", ["glove", "csv", "npz", "native"])
def test_a_file_that_has_none_of_the_keys_is_told_of(tmp_path, kind):
    table = EmbeddingTable(["1", "2"], [[1.5, 2.0], [0.5, 1.0]])
    path = tmp_path / {"glove": "v", "csv": "v.csv", "npz": "v.npz", "native": "v.safetensors"}[kind]
    table.save(path, "glove" if kind == "glove" else None)
    with pytest.warns(
        UserWarning, match="none of the 2 keys asked for is in it, such as 1; the table is empty"
    ) as seen:
        assert load_table(path, keys=[1, 2]).shape == (0, 2)
    assert seen[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load_table(path, keys=["1", 2]).keys.tolist() == ["1"]
