"""Exact neighbours in a table of 400,000 x 300 float32, beside the matrix product that they cannot do without.

    python benchmarks/nearest.py > benchmarks/results/nearest.txt

Targets: one query in at most 1.3 times the time of ``vectors @ query``, a thousand in at most 1.5 times that of
``queries @ vectors.T`` (into memory that is already there), both with bounded memory. Quality: the rows are compared
with those of a full sort of float64 scores. Peers, where installed: gensim's KeyedVectors, scikit-learn's brute force.
"""

import argparse
import itertools
import os
import platform
import statistics
import tempfile
import time
import tracemalloc

import numpy as np

from skembed import EmbeddingTable
from skembed.table.neighbors import METRICS


def seconds(runs: dict, repeats: int) -> dict[str, list[float]]:
    """Times of each run; they take turns, so that a change of the machine's pace meets all of them."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for repeat in range(repeats + 1):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            if repeat:  # the first warms caches
                times[name].append(time.perf_counter() - start)
    return times


def report(title: str, times: dict[str, list[float]]) -> None:
    print(f"\n{title}: median ms [quartiles], ratio of medians to the first")
    first = statistics.median(next(iter(times.values())))
    for name, values in times.items():
        low, median, high = (1e3 * value for value in statistics.quantiles(values, n=4))
        print(f"  {name:31s} {median:9.2f} [{low:.2f}, {high:.2f}]  {median / 1e3 / first:5.2f}")


def gensim_peer(vectors: np.ndarray, query: np.ndarray) -> dict:
    try:
        import gensim
    except ImportError:
        return {}
    peer = gensim.models.KeyedVectors(vectors.shape[1])
    peer.index_to_key, peer.vectors = list(range(len(vectors))), vectors
    peer.fill_norms()
    return {f"gensim {gensim.__version__}, cosine": lambda: peer.similar_by_vector(query, topn=10)}


def sklearn_peer(vectors: np.ndarray, queries: np.ndarray) -> dict:
    import sklearn
    from sklearn.neighbors import NearestNeighbors

    peer = NearestNeighbors(n_neighbors=10, algorithm="brute").fit(vectors)
    return {f"scikit-learn {sklearn.__version__}, euclidean": lambda: peer.kneighbors(queries)}


def full_sort(vectors: np.ndarray, query: np.ndarray, k: int, metric: str) -> set[int]:
    vectors, query = vectors.astype(np.float64), query.astype(np.float64)
    if metric == "euclidean":
        scores = -((vectors - query) ** 2).sum(axis=1)
    else:
        scores = vectors @ query / (np.linalg.norm(vectors, axis=1) if metric == "cosine" else 1.0)
    return set(np.argsort(-scores, kind="stable")[:k].tolist())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=400_000)
    parser.add_argument("--dim", type=int, default=300)
    parser.add_argument("--queries", type=int, default=1_000)
    parser.add_argument("--repeats", type=int, default=15)
    options = parser.parse_args()

    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((options.rows, options.dim), dtype=np.float32)
    vectors *= rng.lognormal(0, 0.4, size=(options.rows, 1)).astype(np.float32)  # lengths differ, as of word vectors
    vectors += rng.standard_normal((1, options.dim), dtype=np.float32) / 2  # and share a direction
    vectors.flags.writeable = False
    queries = vectors[rng.integers(0, options.rows, options.queries)]
    queries = queries + rng.standard_normal(queries.shape, dtype=np.float32)
    products = np.zeros((options.queries, options.rows), dtype=np.float32)

    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    print(f"{options.rows:,} x {options.dim} float32, k = 10; {platform.machine()}, {os.cpu_count()} cores")
    print(f"Python {platform.python_version()}, numpy {np.__version__}, {blas['name']} {blas['version']}")

    start = time.perf_counter()
    table = EmbeddingTable(range(options.rows), vectors)
    built = time.perf_counter()
    table.nearest(queries[0])
    print(f"\ntable built in {1e3 * (built - start):.0f} ms, first query {1e3 * (time.perf_counter() - built):.0f} ms")

    one = {"vectors @ query": lambda: vectors @ queries[0]}
    many = {"queries @ vectors.T": lambda: np.matmul(queries, vectors.T, out=products)}
    for metric in METRICS:
        one[f"nearest, {metric}"] = lambda metric=metric: table.nearest(queries[0], 10, metric=metric)
        many[f"kneighbors, {metric}"] = lambda metric=metric: table.kneighbors(queries, 10, metric=metric)
    one |= gensim_peer(vectors, queries[0])
    many |= sklearn_peer(vectors, queries)
    report("one query", seconds(one, options.repeats))
    report(f"{options.queries:,} queries", seconds(many, max(3, options.repeats // 3)))

    some = [int(row) for row in rng.permutation(options.rows)[:10_000]]
    part, other = table.subset(some), some[::-1]
    turn = itertools.cycle([some, other])
    restricted = {
        "nearest in subset(10,000 keys)": lambda: part.nearest(queries[0]),
        "restrict_to, the same keys": lambda: table.nearest(queries[0], restrict_to=some),
        "restrict_to, other keys": lambda: table.nearest(queries[0], restrict_to=next(turn)),
    }
    report("one query among 10,000 keys", seconds(restricted, options.repeats))

    tracemalloc.start()
    table.kneighbors(queries, 10)
    print(f"\nmemory of {options.queries:,} queries: {tracemalloc.get_traced_memory()[1] / 1e6:.0f} MB at the most")
    tracemalloc.stop()
    for metric in METRICS:
        rows = table.kneighbors(queries[:10], 10, metric=metric).rows
        same = sum(set(found.tolist()) == full_sort(vectors, query, 10, metric) for found, query in zip(rows, queries))
        print(f"equal to a full sort, {metric}: {same} of {len(rows)} queries")

    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/table.safetensors"
        files = {
            "save": lambda: table.save(path),
            "load": lambda: EmbeddingTable.load(path),
            "load, mmap": lambda: EmbeddingTable.load(path, mmap=True),
            "load, mmap, verify=False": lambda: EmbeddingTable.load(path, mmap=True, verify=False),
        }
        report(f"files of {vectors.nbytes / 1e6:.0f} MB", seconds(files, 3))


if __name__ == "__main__":
    main()
