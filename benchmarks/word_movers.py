"""Word mover's distances beside gensim's, which are solved by POT: agreement, seconds of CPU, and what pruning saves.

    python benchmarks/word_movers.py > benchmarks/results/word_movers.txt

Word vectors are trained on the training documents of 20 newsgroups; pairs are the sentences of SICK's test set, and
documents of 20 newsgroups cut after so many words. Quality: Pearson with SICK's judgements beside the cosine of mean
vectors, and accuracy of the nearest document's group. Peers, where installed: gensim with POT.
"""

import argparse
import gzip
import importlib.metadata
import json
import os
import platform
import re
import statistics
import time
from pathlib import Path

import numpy as np

from skembed import EmbeddingTable, Word2VecVectorizer
from skembed.inspection import nearest_documents, pairwise_word_movers_distances, word_movers_distance

TEXT = Path(__file__).resolve().parents[2] / "shared" / "data" / "text"


def newsgroups(part: str) -> tuple[list[str], list[str]]:
    with gzip.open(TEXT / f"20news_bydate_{part}.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    bodies = [row["text"].partition("\n\n")[2] for row in rows]
    return bodies, [row["group"] for row in rows]


def sick() -> tuple[list[list[str]], list[list[str]], np.ndarray]:
    with gzip.open(TEXT / "similarity" / "sicktest.tsv.gz", "rt", encoding="utf-8") as file:
        rows = [line.rstrip("\n").split("\t") for line in file]
    return [row[0].split() for row in rows], [row[1].split() for row in rows], np.array([float(row[2]) for row in rows])


def gensim_peer(table: EmbeddingTable):
    try:
        import gensim
        import ot  # noqa: F401 - what gensim solves by
    except ImportError:
        return None
    peer = gensim.models.KeyedVectors(table.embedding_dim)
    peer.add_vectors(table.keys.tolist(), table.vectors)
    return peer


def in_turns(pairs: list, ours, theirs, repeats: int) -> tuple[list[float], list[float]]:
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeats):
        for times, run in zip(seconds, (ours, theirs)):
            if run is not None:
                start = time.process_time()  # both run on one core, and a machine may have more to do
                for a, b in pairs:
                    run(a, b)
                times.append((time.process_time() - start) / len(pairs))
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--documents", type=int, default=300)
    options = parser.parse_args()

    packages = [*("numpy", "scipy"), *(("gensim", "POT") if gensim_peer(EmbeddingTable(["a"], [[1]])) else ())]
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}", end="")
    print("".join(f", {name} {importlib.metadata.version(name)}" for name in packages))
    train, groups = newsgroups("train")
    start = time.perf_counter()
    table = Word2VecVectorizer(100, max_iter=5, n_jobs=2, random_state=0).fit(train).embedding_
    print(f"{len(table):,} words x {table.embedding_dim}, trained in {time.perf_counter() - start:.0f} s")
    peer = gensim_peer(table)
    theirs = None if peer is None else lambda a, b: peer.wmdistance(a, b, norm=False)

    def ours(a: list[str], b: list[str]) -> float:
        return word_movers_distance(table, a, b)

    left, right, judged = sick()
    rng = np.random.default_rng(0)
    words = [re.findall(r"\w\w+", text.lower()) for text in train]
    print("\nms of CPU a pair, median of runs in turns; largest difference of distances")
    for name, length in (("SICK", None), ("20 newsgroups", 25), ("20 newsgroups", 100)):
        if length is None:
            pairs = [(left[i], right[i]) for i in rng.permutation(len(left))[: options.pairs]]
        else:
            long = [document[:length] for document in words if len(document) >= length]
            chosen = rng.integers(0, len(long), (max(10, options.pairs // (length // 10)), 2))
            pairs = [(long[i], long[j]) for i, j in chosen]
        mine, other = in_turns(pairs, ours, theirs, options.repeats)
        line = f"  {name + (f', {length} words' if length else ''):28s} skembed {1e3 * statistics.median(mine):8.2f}"
        if theirs is not None:
            ratio = statistics.median(b / a for a, b in zip(mine, other))
            apart = max(abs(ours(a, b) - theirs(a, b)) for a, b in pairs)
            line += f"  gensim {1e3 * statistics.median(other):8.2f}  ratio {ratio:.2f}  difference {apart:.1e}"
        print(line)

    distances = np.array([ours(a, b) for a, b in zip(left, right)])
    means = [np.array([table.lookup(side, default=0).mean(axis=0) for side in sides]) for sides in (left, right)]
    cosines = table.similarity(*means)
    print(f"\nSICK test, Pearson x 100: negative distance {100 * np.corrcoef(-distances, judged)[0, 1]:.1f}", end="")
    print(f", cosine of means {100 * np.corrcoef(cosines, judged)[0, 1]:.1f}")

    rows = rng.permutation(len(train))[: options.documents + 50]
    documents, labels = [words[row][:60] for row in rows], np.array([groups[row] for row in rows])
    held, queries = documents[:-50], documents[-50:]
    print(f"\n50 documents of at most 60 words among {len(held)}, k = 5")
    start = time.process_time()
    found = nearest_documents(table, queries, held, 5)
    pruned = time.process_time() - start
    start = time.process_time()
    whole = pairwise_word_movers_distances(table, queries[:10], held)
    every = (time.process_time() - start) * 5
    same = (np.argsort(whole, axis=1, kind="stable")[:, :5] == found.rows[:10]).all()
    print(
        f"  nearest_documents {pruned:.1f} s of CPU, {found.n_solved:,} of {50 * len(held):,} distances solved", end=""
    )
    print(f"; all of them about {every:.0f} s; the same rows: {same}")
    print(f"  group of the nearest: {(labels[:-50][found.rows[:, 0]] == labels[-50:]).mean():.2f} accuracy")


if __name__ == "__main__":
    main()
