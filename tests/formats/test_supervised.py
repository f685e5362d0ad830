"""Supervised models of fastText: every part is read, and written byte by byte as the format has it."""

import dataclasses
import gzip
import struct

import numpy as np
import pytest
import samples

from skembed.formats import FormatError
from skembed.formats.supervised import SupervisedModel, read_supervised, write_supervised

RNG = np.random.default_rng(4)
LABELS = ["__label__Ulm", "__label__Köln"]
OUTPUT = RNG.standard_normal((2, 4)).astype(np.float32)
INPUT = np.concatenate([samples.VECTORS, samples.NGRAMS])
SETTINGS = {
    "dim": 4,
    "ws": 5,
    "epoch": 5,
    "min_count": 1,
    "neg": 5,
    "word_ngrams": 1,
    "loss": 2,
    "model": 3,
    "bucket": 20,
    "minn": 3,
    "maxn": 6,
    "lr_update_rate": 100,
    "t": 1e-4,
}


def content(ngrams=samples.NGRAMS, labels=LABELS, **parts):
    parts = {"counts": [9, 7, 5, 3, 1], "output": samples.matrix(OUTPUT), "model": 3} | parts
    return samples.fasttext(ngrams=ngrams, labels=labels, **parts)


def model(**changes):
    counts, label_counts = np.array([9, 7, 5, 3, 1]), np.array([1, 1])
    made = SupervisedModel(SETTINGS, samples.WORDS, counts, LABELS, label_counts, INPUT, OUTPUT)
    return dataclasses.replace(made, **changes)


@pytest.fixture
def read(tmp_path):
    def read(content, **options):
        (tmp_path / "model").write_bytes(content)
        return read_supervised(tmp_path / "model", **options)

    return read


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_each_part_is_read(read, compress):
    found = read(compress(content()))
    assert found.settings == SETTINGS
    assert (found.words, found.labels) == (samples.WORDS, LABELS)
    assert found.counts.tolist() == [9, 7, 5, 3, 1]
    assert found.label_counts.tolist() == [1, 1]
    assert found.counts.dtype == found.label_counts.dtype == np.int64
    assert found.input.tolist() == INPUT.tolist()
    assert found.output.tolist() == OUTPUT.tolist()
    assert found.buckets is None
    assert not found.pruned


def test_counts_below_zero_are_none(read):
    raw = content(counts=[9, -7, 5, -3, 1]).replace(
        LABELS[0].encode() + b"\0" + struct.pack("<q", 1), LABELS[0].encode() + b"\0" + struct.pack("<q", -4)
    )
    found = read(raw)
    assert found.counts.tolist() == [9, 0, 5, 0, 1]
    assert found.label_counts.tolist() == [0, 1]


def test_pruned_rows_stand_by_rising_buckets(read):
    rows = samples.NGRAMS[:3]
    raw = content(rows, bucket=50, pruned=[(7, 2), (3, 0), (31, 1)])
    found = read(raw)
    assert found.pruned
    assert found.buckets.tolist() == [3, 7, 31]
    assert found.input.tolist() == [*samples.VECTORS.tolist(), *rows[[0, 2, 1]].tolist()]
    assert found.output.tolist() == OUTPUT.tolist()
    with pytest.raises(ValueError, match=r"this model passes over n-grams that have none; keep it by skembed.save"):
        write_supervised(found, "never written")


def test_each_byte_is_as_the_format_has_it(tmp_path):
    write_supervised(model(), tmp_path / "model")
    assert (tmp_path / "model").read_bytes() == content()
    used = np.array([2, 3, 19])
    zeros = np.zeros_like(samples.NGRAMS)
    zeros[used] = samples.NGRAMS[used]
    write_supervised(model(input=np.concatenate([samples.VECTORS, samples.NGRAMS[used]]), buckets=used), tmp_path / "m")
    assert (tmp_path / "m").read_bytes() == content(zeros)


def test_settings_that_a_model_leaves_out_are_those_of_the_program(tmp_path):
    left = {
        name: value for name, value in SETTINGS.items() if name not in ("ws", "lr_update_rate", "t", "model", "dim")
    }
    write_supervised(model(settings=left), tmp_path / "model")
    assert (tmp_path / "model").read_bytes() == content()


def test_other_counts_of_labels_and_bytes_that_are_not_utf8(tmp_path, read):
    words = ["the", "K\udcf6ln", "of", "a", "b"]
    write_supervised(model(words=words, label_counts=np.array([30, 20])), tmp_path / "other")
    raw = (tmp_path / "other").read_bytes()
    with pytest.raises(FormatError, match=r"at byte 105: expected a key in UTF-8, got b'K.xf6ln'"):
        read(raw)
    found = read(raw, errors="surrogateescape")
    assert found.words == words
    assert found.label_counts.tolist() == [30, 20]
    assert read(raw, errors="replace").words[1] == "K\ufffdln"


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (
            content(model=2),
            "expected a supervised model of fastText, this one learned vectors without labels; EmbeddingTab",
        ),
        (
            content().replace(struct.pack("<2i", 2, 3), struct.pack("<2i", 5, 3), 1),
            "at byte 0: expected a loss from 1 to 4, got 5",
        ),
        (
            content().replace(struct.pack("<2i", 2, 3), struct.pack("<2i", 0, 3), 1),
            "at byte 0: expected a loss from 1 to 4, got 0",
        ),
        (
            content(labels=LABELS[:1], output=samples.matrix(OUTPUT[:1])),
            "expected two labels or more and as many output rows, got 1 and 1",
        ),
        (
            content(output=samples.matrix(samples.VECTORS[:3])),
            "expected two labels or more and as many output rows, got 2 and 3",
        ),
        (
            content(labels=["a", "b", "a"], output=samples.matrix(samples.VECTORS[:3])),
            r"at byte \d+: expected each entry once, got 'a' again",
        ),
        (
            samples.fasttext(["x", "y", "x", "z", "u"], model=3, labels=LABELS),
            r"at byte 114: expected each entry once, got 'x' again",
        ),
        (content(labels=["a", b"\xff"]), r"at byte \d+: expected a key in UTF-8, got b'.xff'"),
        (content(output=samples.matrix(OUTPUT * [1, 1, np.nan, 1])), r"expected finite.*got nan \(row 0, number 3\)"),
        (
            content(np.where(np.arange(20)[:, None] == 7, np.inf, samples.NGRAMS)),
            r"expected finite.*got inf \(row 12, number 1\)",
        ),
        (samples.npz(), "expected a model of fastText, the file is an .npz of numpy"),
    ],
)
def test_files_that_are_refused(read, raw, message):
    with pytest.raises(FormatError, match=message):
        read(raw)


def test_quantised_matrices_that_stand_for_far_more_than_their_bytes(read, monkeypatch):
    monkeypatch.setattr("skembed.data.compression.FREE_BYTES", 1 << 10)
    rows, head = [f"w{i}" for i in range(40_000)], np.zeros((1, 400))
    packed = samples.quantised(np.zeros((40_000, 1)), 400, 400, np.ones(256 * 400))
    raw = samples.fasttext(rows, head, model=3, labels=LABELS, quantised_input=packed, minn=0, maxn=0)
    assert read(raw).input.shape == (40_000, 400)
    monkeypatch.setattr("skembed.formats._options.MAX_EXPANSION", 10)
    monkeypatch.setattr("skembed.formats.supervised.ReadOptions", lambda: _options(max_expansion=10))
    with pytest.raises(FormatError, match="stands for 64000000, more than 10 times as many: refused"):
        read(raw)


def _options(**options):
    from skembed.formats._options import ReadOptions

    return ReadOptions(**options)


@pytest.mark.parametrize("space", [" ", "\n", "\r", "\t", "\v", "\f", "\0"])
@pytest.mark.parametrize("name", ["words", "labels"])
def test_names_that_fasttext_would_split_are_refused(tmp_path, space, name):
    changed = [f"a{space}b", *getattr(model(), name)[1:]]
    with pytest.raises(ValueError, match="splits texts at white space, and cannot know the word or label 'a") as caught:
        write_supervised(model(**{name: changed}), tmp_path / "model")
    assert repr(changed[0]) in str(caught.value)
    with pytest.raises(ValueError, match=r"the word or label ''; keep the classifier by skembed.save"):
        write_supervised(model(**{name: ["", *changed[1:]]}), tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "labels", "twice"),
    [(["a", "b", "a"], ["x", "y"], "a"), (["a", "b"], ["x", "x"], "x"), (["a", "x"], ["y", "x"], "x")],
)
def test_names_that_occur_twice_are_refused(tmp_path, words, labels, twice):
    with pytest.raises(ValueError, match=f"needs different words and labels, got '{twice}' twice"):
        write_supervised(model(words=words, labels=labels), tmp_path / "model")
