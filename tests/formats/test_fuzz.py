"""Every reader on mutated files: each case ends in a table or in FormatError, in bounded time and memory.

Hypothesis draws a seed, and each seed is a batch of mutations, so that 100,000 cases take well under a minute.
`SKEMBED_FUZZ_CASES=1000000 pytest tests/formats/test_fuzz.py` runs a million.
"""

import gzip
import os
import signal
import time
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import samples
from bounds import file_in_memory, little_memory
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from skembed import EmbeddingTable
from skembed.formats import FormatError, _text, load_table

REAL = Path(__file__).parents[3] / "shared" / "data" / "vectors"
REAL_FILES = ["toy-model.bin.gz", "high_precision.kv.bin", "high_precision.kv.txt", "fake_embeddings.5d.txt"]
BATCH = 500
CASES = int(os.environ.get("SKEMBED_FUZZ_CASES", "100000"))
SECONDS_A_CASE = 5.0
NUMBERS = [0, 1, -1, 2, 3, 11, 12, 13, 255, 256, 2**15, 2**31 - 1, -(2**31), 2**32, 2**62, 2**63 - 1, -(2**63)]
TOKENS = [b"0", b"-1", b"nan", b"inf", b"1e999", b"1_0", b"99999999999999999999", b"\r", b"\n\n", b" ", b"\0", b"\xff",
          b"\xc3", b"2.5.1", b"5 4\n", b"1e", b"\xef\xbb\xbf", b"<<", b"0x1p3"]  # fmt: skip

FORMATS = {
    "text": samples.text,
    "crlf": lambda: samples.text(end="\r\n", separator="\t"),
    "glove": lambda: samples.text(["a b", *samples.WORDS[1:]], header=False),
    "word2vec-binary": samples.word2vec_binary,
    "word2vec-newlines": lambda: samples.word2vec_binary(newline=b"\n"),
    "fasttext-12": lambda: samples.fasttext(ngrams=samples.NGRAMS),
    "fasttext-11": lambda: samples.fasttext(version=11, model=3, labels=["__label__x"]),
    "fasttext-oldest": lambda: samples.fasttext(version=0, ngrams=samples.NGRAMS, counts=[5, 4, 3, 2, 1]),
    "ftz": samples.ftz,
    "npz": samples.npz,
    "npz-compressed": lambda: samples.npz(compressed=True),
    "npz-counts": lambda: samples.npz(counts=[5, 4, 3, 2, 1]),
    "parquet": samples.parquet,
    "csv": samples.csv,
    "csv-counts": lambda: samples.csv(counts=[5, 4, 3, 2, 1]),
}
# half of the cases are mutated before they are compressed: later, a checksum tells most of them
COMPRESSED = {
    "gzip": samples.text,
    "bz2": samples.text,
    "xz": lambda: samples.fasttext(ngrams=samples.NGRAMS),
    "zip": samples.word2vec_binary,
}


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    """Bytes by format, and of the small real files where they are there."""
    found = {name: make() for name, make in FORMATS.items()}
    found |= {name: samples.COMPRESSIONS[name](make()) for name, make in COMPRESSED.items()}
    found["native"] = samples.native(tmp_path_factory.mktemp("native"))
    for name in REAL_FILES:
        if (REAL / name).exists():
            raw = (REAL / name).read_bytes()
            found[name] = gzip.decompress(raw) if name.endswith(".gz") else raw
    return found


@pytest.fixture
def path():
    with file_in_memory() as made:
        yield made


@pytest.fixture(autouse=True)
def bounds():
    with little_memory():
        yield


def mutated(rng, raw, others):
    """One file more or less like `raw`: flipped, cut, inserted, deleted, repeated, spliced, or with another number."""
    content = bytearray(raw)
    for _ in range(int(rng.choice([1, 1, 1, 2, 4]))):
        at = int(rng.integers(0, (len(content) if rng.random() < 0.5 else min(len(content), 128)) + 1))
        kind = rng.integers(0, 8)
        if kind == 0 and at < len(content):
            content[at] ^= 1 << int(rng.integers(0, 8))
        elif kind == 1:
            del content[at:]
        elif kind == 2:
            content[at:at] = rng.bytes(int(rng.integers(1, 20)))
        elif kind == 3:
            del content[at : at + int(rng.integers(1, 20))]
        elif kind == 4:
            size = int(rng.choice([4, 8]))
            number = NUMBERS[rng.integers(0, len(NUMBERS))]
            content[at : at + size] = (number % (1 << 8 * size)).to_bytes(size, "little")
        elif kind == 5:
            token = TOKENS[rng.integers(0, len(TOKENS))]
            content[at : at + int(rng.integers(0, 4))] = token
        elif kind == 6:
            other = others[rng.integers(0, len(others))]
            start = int(rng.integers(0, len(other) + 1))
            content[at:] = other[start:]
        else:
            content[at:at] = content[at // 2 : at]
    return bytes(content)


OPTIONS = [
    {}, {}, {}, {"keys": ["the", "of", "Köln", 7]}, {"limit": 2}, {"mmap": True}, {"errors": "replace"},
    {"allow_nonfinite": True}, {"keys": ["the"], "subwords": True, "mmap": True}, {"verify": False},
    {"dtype": "float16"},
]  # fmt: skip


def outcome(path, options):
    """What became of one case: "table", "refused", or "no map"; anything else is raised."""
    started = time.perf_counter()
    try:
        table = load_table(path, **options)
        assert isinstance(table, EmbeddingTable)
        assert len(set(table.keys.tolist())) == len(table) == len(table.vectors)
        if not options.get("allow_nonfinite") and options.get("verify", True):
            assert np.isfinite(table.vectors).all()
        result = "table"
    except FormatError as error:
        assert str(path) in str(error)  # noqa: PT017 (tables pass, too)
        result = "refused"
    except ValueError as error:
        assert str(error).startswith("mmap=True"), error  # noqa: PT017
        result = "no map"
    assert time.perf_counter() - started < SECONDS_A_CASE
    return result


def run_batch(originals, name, batch_seed, path, size=BATCH):
    rng = np.random.default_rng(batch_seed)
    raw, others = originals[name], list(originals.values())
    inner = COMPRESSED[name]() if name in COMPRESSED else b""
    results = Counter()
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.alarm(120)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # keys that repeat
            for _ in range(size):
                if inner and rng.random() < 0.5:
                    content = samples.COMPRESSIONS[name](mutated(rng, inner, others))
                else:
                    content = mutated(rng, raw, others)
                path.write_bytes(content)
                options = OPTIONS[rng.integers(0, len(OPTIONS))]
                try:
                    results[outcome(path, options)] += 1
                except BaseException as error:
                    raise AssertionError(f"{name}, seed {batch_seed}: {options} {content!r}: {error!r}") from error
    finally:
        signal.alarm(0)
    return results


def run(originals, name, path, cases, first_seed):
    total = Counter()

    @seed(first_seed)
    @settings(
        max_examples=cases // BATCH, deadline=None, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(st.integers(0, 2**64 - 1))
    def batches(batch_seed):
        total.update(run_batch(originals, name, batch_seed, path))

    batches()
    return total


SHARE = {"parquet": 0.3}  # of the cases that other formats get: pyarrow takes ten times as long
NAMES = [*FORMATS, *COMPRESSED, "native", *REAL_FILES]


def share_of(name):
    weights = [SHARE.get(other, 1.0) for other in NAMES]
    return -(-int(SHARE.get(name, 1.0) / sum(weights) * CASES) // BATCH) * BATCH


@pytest.mark.parametrize("name", NAMES)
def test_mutated_files(originals, path, name):
    if name not in originals:
        pytest.skip(f"{name} is not in {REAL}")
    total = run(originals, name, path, share_of(name), 5)
    assert sum(total.values()) >= share_of(name)
    assert total["refused"]


def test_the_cases_are_as_many_as_said():
    assert sum(map(share_of, NAMES)) >= CASES


@pytest.mark.parametrize("name", ["text", "crlf", "glove"])
def test_the_compiled_parser_and_its_twin_agree_on_every_case(originals, path, name, monkeypatch):
    rng, raw = np.random.default_rng(1), originals[name]

    def load(compiled):
        monkeypatch.setattr(_text, "_COMPILED_FROM", 0 if compiled else 1 << 40)
        try:
            return load_table(path, format="text", errors="surrogateescape", allow_nonfinite=True)
        except FormatError as error:
            return str(error)

    tables = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        for _ in range(2_000):
            path.write_bytes(mutated(rng, raw, list(originals.values())[:3]))
            slow, fast = load(False), load(True)
            assert slow == fast, path.read_bytes()
            tables += isinstance(slow, EmbeddingTable)
    assert tables > 100
