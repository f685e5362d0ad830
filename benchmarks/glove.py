"""GloVe: seconds a pass, cells a second, and what the vectors are worth, beside Word2VecVectorizer in the same run.

    python benchmarks/glove.py                            everything
    python benchmarks/glove.py --share 0.1 --dims 50      a tenth of the corpus

Data: wikipedia_en_100MB.txt.gz (16.9 million words, an article a line) and the similarity sets beside the checkout, in
../shared/data/text. Settings are those of the demonstration that comes with the authors' program: words seen 5 times or
more, window 15 on both sides, x_max 10, 15 passes; 50 and 100 dimensions. Word2VecVectorizer: skip-gram, window 5,
5 negatives, subsampling at 1e-4, its own number of passes.

A cell is an ordered pair of words that stand near each other at least once, as in the authors' program. Each fit runs
in a process of its own, compiled before, with so many threads and no more. "count" is from encoded documents to
shuffled cells, "pass" the median of the passes. Scores are those of `skembed.inspection`: Spearman correlation with
WordSim-353 and MEN, and the share of Google's analogies answered right among the 30,000 most frequent words.

The authors' C program is in no package index, and the sources of glove-python on PyPI no longer compile, so there is no
other implementation beside it.
"""

import argparse
import gzip
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

TEXT = Path(__file__).resolve().parents[2] / "shared" / "data" / "text"
CORPUS = TEXT / "wikipedia_en_100MB.txt.gz"
WINDOW, X_MAX, MIN_COUNT, PASSES = 15, 10, 5, 15
ANALOGY_WORDS = 30_000
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def read_corpus(share: float) -> list[str]:
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

    times: dict[str, float] = {}
    ends: list[float] = []

    def timed_count(*arguments, **options):
        begin = time.perf_counter()
        result = count(*arguments, **options)
        times["count"] = time.perf_counter() - begin
        return result

    def timed_training(*arguments, on_pass, **options):
        ends.append(time.perf_counter())
        return train(*arguments, on_pass=lambda *a: (ends.append(time.perf_counter()), on_pass(*a))[1], **options)

    count, train = cooccurrence.count_cooccurrences, glove.train_glove
    cooccurrence.count_cooccurrences, glove.train_glove = timed_count, timed_training
    vectorizer = GloVeVectorizer(
        dim, window=WINDOW, x_max=X_MAX, min_count=MIN_COUNT, max_iter=PASSES, token_pattern=r"\S+",
        n_jobs=n_threads, random_state=seed,
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
    return {"fit": time.perf_counter() - begin, "passes": vectorizer.n_iter_}, vectorizer.embedding_


def scores(table) -> dict[str, float]:
    from skembed.inspection import evaluate_analogies, evaluate_similarity

    folder = TEXT / "similarity"
    return {
        "WordSim": evaluate_similarity(table, folder / "EN-WS-353-ALL.txt.gz").spearman,
        "MEN": evaluate_similarity(table, folder / "EN-MEN-TR-3k.txt.gz").spearman,
        "analogy": evaluate_analogies(table, folder / "questions-words.txt.gz", restrict_vocab=ANALOGY_WORDS).accuracy,
    }


def one(specification: str) -> None:
    model, dim, n_threads, seed, share = json.loads(specification)
    documents = read_corpus(share)
    compile_kernels(n_threads)
    fit = fit_glove if model == "GloVe" else fit_word2vec
    result, table = fit(documents, dim, n_threads, seed)
    print(json.dumps(result | scores(table)))


def run_once(*specification) -> dict:
    """One fit in a process of its own."""
    n_threads = specification[2]
    path = os.pathsep.join([str(Path(__file__).resolve().parents[1]), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {name: str(n_threads) for name in THREADS} | {"PYTHONPATH": path}
    command = [sys.executable, __file__, "--one", json.dumps(specification)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{specification} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def show(model: str, dim: int, n_threads: int, runs: list[dict]) -> None:
    median = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
    line = f"{model:>10} {dim:4} {n_threads:7}"
    if "pass" in median:
        speed = median["cells"] / median["pass"] / 1e6
        line += f" {median['cells'] / 1e6:8.2f} {median['count']:8.2f} {median['pass']:8.3f} {speed:10.2f}"
    else:
        line += " " * 38
    fit = f"{median['fit']:8.1f}" if "fit" in median else " " * 8
    print(f"{line} {fit}   {median['WordSim']:.3f}   {median['MEN']:.3f}   {median['analogy']:.3f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--share", type=float, default=1.0, help="of the articles, from the first on")
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--threads", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--dims", type=int, nargs="*", default=[50, 100])
    parser.add_argument("--models", nargs="*", default=["GloVe", "word2vec"], choices=["GloVe", "word2vec"])
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        one(arguments.one)
        return
    if not CORPUS.exists():
        sys.exit(f"{CORPUS} is not there; this benchmark needs the real data beside the checkout.")
    versions = {name: importlib.metadata.version(name) for name in ("numba", "numpy")}
    print(f"{processor()}, {os.cpu_count()} cores; Python {platform.python_version()}, {versions}")
    documents = read_corpus(arguments.share)
    n_words = sum(len(document.split()) for document in documents)
    print(f"{len(documents)} articles, {n_words} words; {PASSES} passes of GloVe, medians of {arguments.repeat}")
    print(f"load average before: {', '.join(f'{load:.1f}' for load in os.getloadavg())}")
    columns = ("M cells", "count s", "pass s")
    print(f"\n{'model':>10} {'dim':>4} {'threads':>7} {' '.join(f'{name:>8}' for name in columns)}", end="")
    print(f" {'M cells/s':>10} {'fit s':>8} WordSim     MEN analogy", flush=True)
    for dim in arguments.dims:
        for n_threads in arguments.threads:
            runs: dict[str, list[dict]] = {model: [] for model in arguments.models}
            for seed in range(arguments.repeat):
                for model, found in runs.items():
                    found.append(run_once(model, dim, n_threads, seed, arguments.share))
            for model, found in runs.items():
                show(model, dim, n_threads, found)


if __name__ == "__main__":
    main()
