"""Word vectors with subwords beside gensim's FastText: words a second, and scores of quality, from one run.

    python benchmarks/fasttext.py > benchmarks/results/fasttext.txt      everything; gensim takes most of the time
    python benchmarks/fasttext.py --share 0.1 --threads 1 --repeat 1

Data, corpus, settings and the way of measuring are those of benchmarks/word_vectors.py: lists of words, 100 dimensions,
window 5 and shrinking, 5 negatives, subsampling at 1e-4, words seen 5 times or more, 3 passes. N-grams of 3 to 6
characters in two million buckets. Each learning rate in --rates is a comparison of its own: gensim's default is 0.025,
that of the fastText program 0.05. "no n-grams" is the same training with a row a word, Word2VecVectorizer's.

Scores, with the most threads: Spearman correlation with WordSim-353 and with MEN, and Google's analogies, semantic and
syntactic apart (3CosAdd over the 30,000 most frequent words).
"""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from runs import describe, in_process, medians
from word_vectors import (
    CORPUS,
    DIM,
    GENSIM_SENTENCE,
    MIN_COUNT,
    NEGATIVE,
    PASSES,
    SUBSAMPLE,
    TEXT,
    WINDOW,
    read_corpus,
)

MIN_N, MAX_N, BUCKETS = 3, 6, 2_000_000
ANALOGY_WORDS = 30_000
LIBRARIES = ("skembed", "gensim", "no n-grams")


def train_ours(words, counts, ids, ends, architecture, rate, n_threads, seed, ngrams=True):
    from skembed.data.ragged import Ragged
    from skembed.table import EmbeddingTable, SubwordTable
    from skembed.table.subwords import Subwords
    from skembed.text._subword_rows import NgramRule, rows_of_words
    from skembed.training.run import Run
    from skembed.training.sequences import SequenceSettings, train_sequences

    settings = {
        "embedding_dim": DIM, "architecture": architecture, "window": WINDOW, "subsample": SUBSAMPLE,
        "negative": NEGATIVE, "learning_rate": rate,
    }  # fmt: skip
    run, passes = Run(seed, n_threads), SequenceSettings(max_iter=PASSES, **settings)
    few = ids[:20_000] % 100  # compiles, or loads what was compiled
    alone = Ragged(np.arange(101), np.arange(100, dtype=np.int32)) if ngrams else None
    train_sequences(
        [Ragged(np.array([0, len(few)]), few)],
        np.bincount(few, minlength=100),
        SequenceSettings(max_iter=1, **settings),
        run,
        subword_rows=alone,
    )
    begin = time.perf_counter()
    if not ngrams:
        tables = train_sequences([Ragged.from_ends(ids, ends)], counts, passes, run)
        return time.perf_counter() - begin, EmbeddingTable(words, tables.input)
    rows, buckets = rows_of_words(words, NgramRule(MIN_N, MAX_N, BUCKETS))
    tables = train_sequences([Ragged.from_ends(ids, ends)], counts, passes, run, subword_rows=rows)
    seconds = time.perf_counter() - begin
    own, ngram_rows = np.split(tables.input, [len(words)])
    subwords = Subwords(ngram_rows, min_n=MIN_N, max_n=MAX_N, n_buckets=BUCKETS, buckets=buckets, absent="zero")
    return seconds, SubwordTable.from_rows(words, own, subwords)


def train_gensim(words, counts, ids, ends, architecture, rate, n_threads, seed):
    from gensim.models import FastText

    from skembed.table import EmbeddingTable

    sentences = [
        [words[i] for i in ids[a : min(b, a + GENSIM_SENTENCE)]]
        for begin, b in zip([0, *ends[:-1]], ends)
        for a in range(begin, b, GENSIM_SENTENCE)
    ]
    model = FastText(
        vector_size=DIM, window=WINDOW, negative=NEGATIVE, sg=int(architecture == "skip-gram"), sample=SUBSAMPLE,
        min_count=1, alpha=rate, workers=n_threads, seed=seed, min_n=MIN_N, max_n=MAX_N, bucket=BUCKETS,
    )  # fmt: skip
    model.build_vocab(sentences)
    begin = time.perf_counter()
    model.train(sentences, total_examples=len(sentences), epochs=PASSES)
    seconds = time.perf_counter() - begin
    return seconds, EmbeddingTable(words, model.wv[words])


def scores(table) -> dict[str, float]:
    from skembed.inspection import evaluate_analogies, evaluate_similarity

    sets = TEXT / "similarity"
    analogies = evaluate_analogies(table, sets / "questions-words.txt.gz", restrict_vocab=ANALOGY_WORDS)
    return {
        "WordSim": evaluate_similarity(table, sets / "EN-WS-353-ALL.txt.gz").spearman,
        "MEN": evaluate_similarity(table, sets / "EN-MEN-TR-3k.txt.gz").spearman,
        "semantic": analogies.semantic.accuracy,
        "syntactic": analogies.syntactic.accuracy,
    }


def one(specification: str) -> None:
    library, architecture, rate, n_threads, seed, with_scores = json.loads(specification)
    folder = Path(os.environ["CORPUS_FOLDER"])
    words = json.loads((folder / "words.json").read_text())
    corpus = words, *(np.load(folder / f"{name}.npy") for name in ("counts", "ids", "ends"))
    if library == "gensim":
        seconds, table = train_gensim(*corpus, architecture, rate, n_threads, seed)
    else:
        seconds, table = train_ours(*corpus, architecture, rate, n_threads, seed, ngrams=library == "skembed")
    result = {"words_per_second": len(corpus[2]) * PASSES / seconds}
    print(json.dumps(result | (scores(table) if with_scores else {})))


def compare(architecture: str, rate: float, n_threads: int, repeat: int, folder: Path, with_scores: bool) -> None:
    """Print a line for each library; they take turns, so that all see the same noise."""
    runs: dict[str, list[dict]] = {library: [] for library in LIBRARIES}
    for seed in range(repeat):
        for library, results in runs.items():
            specification = library, architecture, rate, n_threads, seed, with_scores
            results.append(in_process(__file__, specification, n_threads, CORPUS_FOLDER=str(folder)))
    found_by = {library: medians(results) for library, results in runs.items()}
    for library, median in found_by.items():
        speed = median["words_per_second"]
        ratio = f"{speed / found_by['gensim']['words_per_second']:5.1f}x" if library != "gensim" else ""
        found = "   ".join(
            f"{median[name]:8.3f}" for name in ("WordSim", "MEN", "semantic", "syntactic") if name in median
        )
        print(
            f"{architecture:10} {rate:6} {n_threads:7} {library:>11} {speed / 1e6:10.3f} {ratio:>6}   {found}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--share", type=float, default=1.0, help="of the articles, from the first on")
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--threads", type=int, nargs="*", default=[2])
    parser.add_argument("--architectures", nargs="*", default=["skip-gram", "cbow"])
    parser.add_argument("--rates", type=float, nargs="*", default=[0.025, 0.05])
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        one(arguments.one)
        return
    if not CORPUS.exists():
        sys.exit(f"{CORPUS} is not there; this benchmark needs the real data beside the checkout.")

    words, counts, ids, ends = read_corpus(arguments.share)
    print(describe("numba", "numpy", "gensim"))
    print(
        f"{len(ends)} articles, {len(ids)} words, {len(words)} types of {MIN_COUNT} or more; {PASSES} passes, "
        f"medians of {arguments.repeat}\n"
    )
    heads = "   ".join(f"{head:>8}" for head in ("WordSim", "MEN", "semantic", "syntactic"))
    print(f"{'model':10} {'rate':>6} {'threads':>7} {'library':>11} {'M words/s':>10} {'ratio':>6}   {heads}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "words.json").write_text(json.dumps(words))
        for array_name, array in {"counts": counts, "ids": ids, "ends": ends}.items():
            np.save(folder / f"{array_name}.npy", array)
        for architecture in arguments.architectures:
            for rate in arguments.rates:
                for n_threads in arguments.threads:
                    with_scores = n_threads == max(arguments.threads)
                    compare(architecture, rate, n_threads, arguments.repeat, folder, with_scores)


if __name__ == "__main__":
    main()
