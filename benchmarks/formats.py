"""Reading word vectors beside gensim: seconds, megabytes a second, and peak memory beside the table.

    python benchmarks/formats.py > benchmarks/results/formats.txt

A file of 200,000 x 100 normal numbers is written as text with six decimals, as word2vec's binary and as the library's
own, and read in turns, each reading in a process of its own so that the peak of its memory can be told, beside what the
table takes: vectors, keys, index, n-grams. Before each reading the file is read once, so that all come from the disk
cache. "cat" is that: the file read and thrown away, a piece at a time in the same place; "fromfile" is
`numpy.fromfile`, its bytes as one array.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

READERS = {
    "text": ["skembed", "gensim"],
    "binary": ["skembed", "gensim", "fromfile", "cat"],
    "own": ["skembed", "skembed mmap", "fromfile", "cat"],
    "text keys=": ["skembed keys"],
    "fastText .bin": ["skembed", "gensim"],
}
_CHILD = """
import sys, time
path, reader, kind = sys.argv[1:]
def size(keys, index, *arrays):
    return sum(map(sys.getsizeof, [*keys, index])) + 8 * len(keys) + sum(array.nbytes for array in arrays)
if reader.startswith("skembed"):
    from skembed import EmbeddingTable
    import scipy.sparse  # that and compiled code are loaded once, and no part of the table
    from skembed.formats import _text
    if kind.startswith("text"):
        _text._COMPILED_FROM, usual = 0, _text._COMPILED_FROM
        EmbeddingTable.load(path, limit=1)
        _text._COMPILED_FROM = usual
    some = [f"w{i}" for i in range(0, 200_000, 100)]
    options = {"skembed mmap": {"mmap": True, "verify": False}, "skembed keys": {"keys": some}}
    load = lambda: EmbeddingTable.load(path, **options.get(reader, {}))
    def n_bytes(table):
        subwords = [table.subwords.vectors] if kind == "fastText .bin" else []
        return size(table.keys.tolist(), table._index, table.vectors, *subwords)
elif reader == "gensim":
    import gensim
    if kind == "fastText .bin":
        load = lambda: gensim.models.fasttext.load_facebook_vectors(path)
    else:
        load = lambda: gensim.models.KeyedVectors.load_word2vec_format(path, binary=kind == "binary")
    def n_bytes(table):
        ngrams = [table.vectors_vocab, table.vectors_ngrams] if kind == "fastText .bin" else []
        return size(table.index_to_key, table.key_to_index, table.vectors, *ngrams)
elif reader == "fromfile":
    import numpy as np
    load = lambda: np.fromfile(path, np.uint8)
    n_bytes = lambda table: 0
else:
    def load():
        buffer = bytearray(1 << 20)
        with open(path, "rb", buffering=0) as file:
            while file.readinto(buffer):
                pass
    n_bytes = lambda table: 0

def high_water():  # of this program alone; getrusage begins with that of the one that started it
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
before = high_water()
with open(path, "rb") as file:
    while file.read(1 << 20):
        pass
started = time.perf_counter()
table = load()
seconds = time.perf_counter() - started
peak = high_water() - before
print(seconds, peak * 1024, n_bytes(table))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--dim", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--kinds", nargs="+", default=list(READERS), choices=list(READERS))
    options = parser.parse_args()
    import gensim

    print(
        f"Python {platform.python_version()}, numpy {np.__version__}, gensim {gensim.__version__}, "
        f"{os.cpu_count()} CPUs; {options.rows:,} x {options.dim}; medians of {options.repeats}; "
        "peak = growth of the process over vectors, keys and index"
    )
    with tempfile.TemporaryDirectory() as folder:
        for kind in options.kinds:
            path = write(Path(folder), kind, options.rows, options.dim)
            compare(path, kind, options.repeats)
            path.unlink()


def write(folder: Path, kind: str, n_rows: int, dim: int) -> Path:
    from skembed import EmbeddingTable
    from skembed.table import SubwordTable
    from skembed.table.subwords import Subwords

    rng = np.random.default_rng(0)
    vectors, words = rng.standard_normal((n_rows, dim), dtype=np.float32), [f"w{i}" for i in range(n_rows)]
    path = folder / kind.split()[0]
    if kind.startswith("text"):
        pattern = " ".join(["%s"] + ["%.6f"] * dim) + "\n"
        with open(path, "w") as file:
            file.write(f"{n_rows} {dim}\n")
            file.writelines(pattern % (word, *row.tolist()) for word, row in zip(words, vectors))
    elif kind == "fastText .bin":
        ngrams = Subwords(vectors[: n_rows // 2], min_n=3, max_n=6, n_buckets=n_rows // 2)
        SubwordTable(words, vectors, ngrams).save(path, "fasttext-bin")
    else:
        EmbeddingTable(words, vectors).save(path, {"binary": "word2vec-binary", "own": "safetensors"}[kind])
    return path


def compare(path: Path, kind: str, repeats: int) -> None:
    n_bytes, runs = path.stat().st_size, {reader: [] for reader in READERS[kind]}
    for _ in range(repeats):
        for reader, results in runs.items():
            time.sleep(0.1)
            done = subprocess.run(
                [sys.executable, "-c", _CHILD, path, reader, kind], capture_output=True, text=True, check=True
            )
            results.append([float(word) for word in done.stdout.split()[-3:]])
    print(f"\n{kind}: {n_bytes / 1e6:.0f} MB")
    first = statistics.median(seconds for seconds, _, _ in runs[READERS[kind][0]])
    for reader, results in runs.items():
        seconds, peak, size = (statistics.median(column) for column in zip(*results))
        memory = f", peak {peak / size:.2f} x table" if size else ""
        print(
            f"  {reader:14} {seconds:7.3f} s  {n_bytes / 1e6 / seconds:7.0f} MB/s  x{seconds / first:5.2f}{memory}",
            flush=True,
        )


if __name__ == "__main__":
    main()
