"""GloVe: seconds a pass and what the vectors are worth, beside the authors' program and Word2VecVectorizer.

    python benchmarks/glove.py                            everything but the authors' program
    python benchmarks/glove.py --program build/glove      with it
    python benchmarks/glove.py --share 0.1 --dims 50      a tenth of the corpus

Data: wikipedia_en_100MB.txt.gz (16.9 million words, an article a line) and the similarity sets beside the checkout, in
../shared/data/text. Settings are those of the demonstration that comes with the authors' program: words seen 5 times or
more, window 15 on both sides, x_max 10, 15 passes; 50 and 100 dimensions. Word2VecVectorizer: skip-gram, window 5,
5 negatives, subsampling at 1e-4, its own number of passes.

A cell is an ordered pair of words that stand near each other at least once, as in the authors' program. Each fit runs
in a process of its own, compiled before, with so many threads and no more. "count" is from encoded documents to
shuffled cells, "pass" the median of the passes, "fit" from strings to vectors. Scores are those of
`skembed.inspection`: Spearman correlation with WordSim-353 and MEN, and Google's analogies among the 30,000 most
frequent words: the share answered right of all, of the semantic and of the syntactic ones.

The authors' program is `glove` of github.com/stanfordnlp/GloVe, built by whoever runs this. It learns from the very
cells that were counted here, shuffled as a whole, in the 16 bytes it takes each; a pass of it is from one of its
reports to the next. With fewer threads than the most it makes 3 passes, for their time alone.
"""

import argparse
import gzip
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from runs import describe, in_process, medians
from word_vectors import ANALOGY_WORDS, CORPUS, MIN_COUNT, TEXT, read_corpus

WINDOW, X_MAX, PASSES = 15, 10, 15
ALPHA, RATE = 0.75, 0.05
AUTHORS, GLOVE, WORD2VEC = "authors'", "GloVe", "word2vec"
RECORD = np.dtype([("word", "<i4"), ("context", "<i4"), ("count", "<f8")])  # words counted from 1


def read_documents(share: float) -> list[str]:
    with gzip.open(CORPUS, "rt") as lines:
        articles = [line.rstrip("\n") for line in lines]
    return articles[: round(len(articles) * share)]


def compile_kernels(n_threads: int) -> None:
    from skembed import GloVeVectorizer, Word2VecVectorizer

    few = [" ".join(str(i * i % 83) for i in range(5000))]
    for vectorizer in (GloVeVectorizer, Word2VecVectorizer):
        vectorizer(8, max_iter=1, n_jobs=n_threads).fit(few)


def fit_glove(documents: list[str], dim: int, n_threads: int, seed: int) -> tuple[dict, object]:
    from skembed import GloVeVectorizer
    from skembed.training import cooccurrence, glove
    from skembed.training.run import Run

    times: dict[str, float] = {}
    ends: list[float] = []

    def timed_count(*arguments, **options):
        begin = time.perf_counter()
        result = count(*arguments, **options)
        times["count"] = time.perf_counter() - begin
        return result

    class TimedRun(Run):
        """Notes when each pass ends."""

        def passes(self, train, max_iter, *, total):
            def timed(on_pass, progress):
                return train(lambda *a: (ends.append(time.perf_counter()), on_pass(*a))[1], progress)

            return super().passes(timed, max_iter, total=total)

    def timed_training(cells, settings, run, **options):
        ends.append(time.perf_counter())
        return train(cells, settings, TimedRun(**vars(run)), **options)

    count, train = cooccurrence.count_cooccurrences, glove.train_glove
    cooccurrence.count_cooccurrences, glove.train_glove = timed_count, timed_training
    vectorizer = GloVeVectorizer(
        dim, window=WINDOW, x_max=X_MAX, alpha=ALPHA, learning_rate=RATE, min_count=MIN_COUNT, max_iter=PASSES,
        token_pattern=r"\S+", n_jobs=n_threads, random_state=seed,
    )  # fmt: skip
    begin = time.perf_counter()
    vectorizer.fit(documents)
    times["fit"] = time.perf_counter() - begin
    times["pass"] = statistics.median(np.diff(ends))
    times["cells"] = vectorizer.n_cooccurrences_
    return times, vectorizer.embedding_


def fit_word2vec(documents: list[str], dim: int, n_threads: int, seed: int) -> tuple[dict, object]:
    from skembed import Word2VecVectorizer

    vectorizer = Word2VecVectorizer(
        dim, subsample=1e-4, min_count=MIN_COUNT, token_pattern=r"\S+", n_jobs=n_threads, random_state=seed
    )
    begin = time.perf_counter()
    vectorizer.fit(documents)
    return {"fit": time.perf_counter() - begin}, vectorizer.embedding_


def write_cells(share: float, folder: Path) -> None:
    """The files that the authors' program reads: words with their counts, and the shuffled cells."""
    from skembed.data.ragged import Ragged
    from skembed.training.cooccurrence import CountSettings, count_cooccurrences
    from skembed.training.run import Run

    words, counts, ids, ends = read_corpus(share)
    lines = "".join(f"{word} {count}\n" for word, count in zip(words, counts))
    (folder / "vocabulary.txt").write_text(lines)
    settings = CountSettings(WINDOW, x_max=X_MAX, alpha=ALPHA, memory_limit=1 << 34)
    with count_cooccurrences([Ragged.from_ends(ids, ends)], counts, settings, Run(seed=0)) as cooccurrences:
        rows, columns, values = cooccurrences.triplets()
    places = np.random.default_rng(0).permutation(len(rows))
    cells = np.empty(len(rows), RECORD)
    cells["word"][places], cells["context"][places], cells["count"][places] = rows + 1, columns + 1, values
    cells.tofile(folder / "cells.bin")


def run_authors(program: str, folder: Path, dim: int, n_threads: int, n_passes: int) -> tuple[dict, object]:
    """Train by the authors' program, which begins where it always does."""
    from skembed.table import EmbeddingTable

    cells = folder / "cells.bin"
    cells.read_bytes()  # into the disk cache
    options = {
        "input-file": cells, "vocab-file": folder / "vocabulary.txt", "save-file": folder / "vectors", "eta": RATE,
        "vector-size": dim, "threads": n_threads, "iter": n_passes, "x-max": X_MAX, "alpha": ALPHA, "binary": 0,
        "model": 2, "verbose": 2,
    }  # fmt: skip
    command = [program, *(part for name, value in options.items() for part in (f"-{name}", str(value)))]
    ends = []
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        for line in process.stderr or []:
            if line.rstrip().endswith("done.") or "iter:" in line:
                ends.append(time.perf_counter())
    if process.returncode or len(ends) != n_passes + 1:
        raise RuntimeError(f"{command} ended with {process.returncode} after {len(ends) - 1} passes")
    table = EmbeddingTable.load(folder / "vectors.txt", format="glove")
    times = {"pass": statistics.median(np.diff(ends)), "cells": cells.stat().st_size // RECORD.itemsize}
    return times, table


def scores(table) -> dict[str, float]:
    from skembed.inspection import evaluate_analogies, evaluate_similarity

    folder = TEXT / "similarity"
    analogies = evaluate_analogies(table, folder / "questions-words.txt.gz", restrict_vocab=ANALOGY_WORDS)
    return {
        "WordSim": evaluate_similarity(table, folder / "EN-WS-353-ALL.txt.gz").spearman,
        "MEN": evaluate_similarity(table, folder / "EN-MEN-TR-3k.txt.gz").spearman,
        "analogy": analogies.accuracy,
        "semantic": analogies.semantic.accuracy,
        "syntactic": analogies.syntactic.accuracy,
    }


def one(specification: str) -> None:
    model, dim, n_threads, seed, share, program, n_passes = json.loads(specification)
    if model == AUTHORS:
        result, table = run_authors(program, Path(os.environ["CELLS_FOLDER"]), dim, n_threads, n_passes)
    else:
        documents = read_documents(share)
        compile_kernels(n_threads)
        fit = fit_glove if model == GLOVE else fit_word2vec
        result, table = fit(documents, dim, n_threads, seed)
    print(json.dumps(result | (scores(table) if n_passes == PASSES else {})))


def show(model: str, dim: int, n_threads: int, median: dict) -> None:
    def field(name: str, width: int, form: str, scale: float = 1.0) -> str:
        return f"{median[name] * scale:{width}{form}}" if name in median else " " * width

    speed = f"{median['cells'] / median['pass'] / 1e6:9.2f}" if "pass" in median else " " * 9
    found = " ".join(field(name, 9, ".3f") for name in ("WordSim", "MEN", "analogy", "semantic", "syntactic"))
    print(
        f"{model:>10} {dim:4} {n_threads:7} {field('cells', 8, '.2f', 1e-6)} {field('count', 7, '.1f')} "
        f"{field('pass', 7, '.2f')} {speed} {field('fit', 7, '.1f')} {found}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--share", type=float, default=1.0, help="of the articles, from the first on")
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--threads", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--dims", type=int, nargs="*", default=[50, 100])
    parser.add_argument("--models", nargs="*", default=[GLOVE, WORD2VEC], choices=[GLOVE, WORD2VEC])
    parser.add_argument("--program", help="the authors' `glove`, built by you")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        one(arguments.one)
        return
    if not CORPUS.exists():
        sys.exit(f"{CORPUS} is not there; this benchmark needs the real data beside the checkout.")
    models = arguments.models + ([AUTHORS] if arguments.program else [])
    print(describe("numba", "numpy"))
    documents = read_documents(arguments.share)
    n_words = sum(len(document.split()) for document in documents)
    print(f"{len(documents)} articles, {n_words} words; {PASSES} passes of GloVe, medians of {arguments.repeat}\n")
    print(
        f"{'model':>10} {'dim':>4} {'threads':>7} {'M cells':>8} {'count s':>7} {'pass s':>7} {'M cells/s':>9}", end=""
    )
    print(f" {'fit s':>7} {'WordSim':>9} {'MEN':>9} {'analogy':>9} {'semantic':>9} {'syntactic':>9}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        if arguments.program:
            write_cells(arguments.share, Path(folder))
        for dim in arguments.dims:
            for n_threads in arguments.threads:
                whole = n_threads == max(arguments.threads)
                runs: dict[str, list[dict]] = {model: [] for model in models}
                for seed in range(arguments.repeat):
                    for model, found in runs.items():
                        n_passes = PASSES if whole or model != AUTHORS else 3
                        specification = model, dim, n_threads, seed, arguments.share, arguments.program, n_passes
                        found.append(in_process(__file__, specification, n_threads, CELLS_FOLDER=folder))
                for model, found in runs.items():
                    show(model, dim, n_threads, medians(found))


if __name__ == "__main__":
    main()
