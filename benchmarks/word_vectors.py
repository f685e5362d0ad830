"""Word vectors beside gensim: words a second, and three scores of quality, from one run.

    python benchmarks/word_vectors.py                     everything, about 45 minutes on two cores
    python benchmarks/word_vectors.py --share 0.33 --repeat 3 --models skip-gram/negative-sampling

Data: wikipedia_en_100MB.txt.gz (16.9 million words, an article a line) and the similarity sets beside the checkout, in
../shared/data/text. Both sides train on the same lists of words with the same settings: 100 dimensions, window 5 and
shrinking, 5 negatives, subsampling at 1e-4, words seen 5 times or more, 3 passes, a learning rate of 0.025.

Words a second count every word of the corpus that has a row, before subsampling, once a pass. Vocabulary and reading
are not in the time. Each training runs in a process of its own, compiled before, with so many threads and no more;
medians over --repeat, each with a seed of its own. Scores, with the most threads, are medians too: Spearman correlation
with WordSim-353 and MEN, and the share of Google's analogies answered right (3CosAdd by cosine over the 30,000 most
frequent words).

The last lines are whole fits from the compressed file: reading, counting, training. `Word2VecVectorizer` reads it with
its own `LineCorpus`, gensim with LineSentence. "lock-free" is skip-gram by the same kernel without its rounds: threads
that write to the same two tables at will, as gensim's do.
"""

import argparse
import gzip
import json
import os
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from threading import Thread

import numpy as np
from runs import describe, in_process, medians

TEXT = Path(__file__).resolve().parents[2] / "shared" / "data" / "text"
CORPUS = TEXT / "wikipedia_en_100MB.txt.gz"
MODELS = [
    ("skip-gram", "negative-sampling"),
    ("skip-gram", "hierarchical-softmax"),
    ("cbow", "negative-sampling"),
    ("cbow", "hierarchical-softmax"),
]
DIM, WINDOW, NEGATIVE, SUBSAMPLE, MIN_COUNT, PASSES, RATE = 100, 5, 5, 1e-4, 5, 3, 0.025
ANALOGY_WORDS = 30_000
GENSIM_SENTENCE = 10_000  # gensim leaves out what is beyond


def read_corpus(share: float) -> tuple[list[str], np.ndarray, np.ndarray, np.ndarray]:
    """Words by descending count, how often each occurs, the corpus as their numbers, and where its articles end."""
    with gzip.open(CORPUS, "rt") as lines:
        articles = [line.split() for line in lines]
    articles = articles[: round(len(articles) * share)]
    counter: Counter[str] = Counter()
    for article in articles:
        counter.update(article)
    words = [word for word, count in counter.most_common() if count >= MIN_COUNT]
    number = {word: i for i, word in enumerate(words)}
    coded = [np.array([number[w] for w in article if w in number], np.int32) for article in articles]
    return words, np.array([counter[w] for w in words]), np.concatenate(coded), np.cumsum([len(a) for a in coded])


def train_ours(words, counts, ids, ends, architecture, loss, n_threads, seed):
    from skembed.data.ragged import Ragged
    from skembed.training.run import Run
    from skembed.training.sequences import SequenceSettings, train_sequences

    settings = {
        "embedding_dim": DIM, "architecture": architecture, "loss": loss, "window": WINDOW, "subsample": SUBSAMPLE,
        "negative": NEGATIVE, "learning_rate": RATE,
    }  # fmt: skip
    run = Run(seed, n_threads)
    few = ids[:20_000] % 100  # compiles, or loads what was compiled
    counts_of_few = np.bincount(few, minlength=100)
    train_sequences(
        [Ragged(np.array([0, len(few)]), few)], counts_of_few, SequenceSettings(max_iter=1, **settings), run
    )
    begin = time.perf_counter()
    tables = train_sequences([Ragged.from_ends(ids, ends)], counts, SequenceSettings(max_iter=PASSES, **settings), run)
    return time.perf_counter() - begin, tables.input


def train_gensim(words, counts, ids, ends, architecture, loss, n_threads, seed):
    from gensim.models import Word2Vec

    sentences = [
        [words[i] for i in ids[a : min(b, a + GENSIM_SENTENCE)]]
        for begin, b in zip([0, *ends[:-1]], ends)
        for a in range(begin, b, GENSIM_SENTENCE)
    ]
    hierarchical = loss == "hierarchical-softmax"
    model = Word2Vec(
        vector_size=DIM, window=WINDOW, negative=0 if hierarchical else NEGATIVE, hs=int(hierarchical),
        sg=int(architecture == "skip-gram"), sample=SUBSAMPLE, min_count=1, alpha=RATE, workers=n_threads, seed=seed,
    )  # fmt: skip
    model.build_vocab(sentences)
    begin = time.perf_counter()
    model.train(sentences, total_examples=len(sentences), epochs=PASSES)
    seconds = time.perf_counter() - begin
    return seconds, model.wv[words]


def train_lock_free(words, counts, ids, ends, architecture, loss, n_threads, seed):
    """Threads share the tables and write to them at will: no copies, no merging, not reproducible."""
    from skembed.kernels import local_ids
    from skembed.kernels.noise import alias_table, draw_many
    from skembed.kernels.random import new_state
    from skembed.kernels.shard import Shard, Targets, new_workspace
    from skembed.kernels.simd import SIMD_WIDTH, aligned_zeros
    from skembed.kernels.windows import train_skip_gram

    n_keys, width, shard_size = len(counts), -(-DIM // SIMD_WIDTH) * SIMD_WIDTH, 8192
    inputs, outputs = aligned_zeros(n_keys + 1, width), aligned_zeros(n_keys + 1, width)
    generator = np.random.default_rng(seed)
    inputs[:-1, :DIM] = (2 * generator.random((n_keys, DIM), dtype=np.float32) - 1) * np.float32(2 / DIM)
    keep, noise = local_ids.keep_thresholds(counts, SUBSAMPLE), alias_table(counts**0.75)
    frozen, empty = np.zeros(n_keys, bool), (np.zeros(1, np.int64), np.zeros(1, np.int32), np.zeros(1, np.uint8))

    def work(thread: int, n_passes: int) -> None:
        state, workspace = new_state(seed, thread), new_workspace(WINDOW, NEGATIVE + 1, width)
        pairs, slot = [np.zeros(n_keys + 1, np.int32) for _ in range(2)], np.full(n_keys, -1, np.int32)
        rows, kept, pool = (np.empty(shard_size, np.int32) for _ in range(3))
        kept_ends, kept_numbers = np.empty(shard_size, np.int64), np.empty(shard_size, np.int32)
        begins = range(thread * shard_size, len(ids), n_threads * shard_size)
        for pass_ in range(n_passes):
            for begin in begins:
                part = ids[begin : begin + shard_size]
                first, last = np.searchsorted(ends, (begin, begin + len(part)), side="right")
                stops = np.append(ends[first:last] - begin, len(part))
                n, n_ends, n_rows = local_ids.to_local_ids(
                    part, stops, keep, 2, slot, rows, kept, kept_ends, kept_numbers, state
                )
                local_ids.release(slot, rows[:n_rows])
                draw_many(noise.threshold, noise.alias, pool, state)
                rate = max(1e-4, RATE * (1 - (pass_ + begin / len(ids)) / PASSES))
                tokens = rows[kept[:n]]
                data = Shard(
                    tokens, kept_ends[:n_ends], kept_ends[:0], inputs.ravel(), outputs.ravel(), width, frozen, *pairs
                )
                train_skip_gram(data, Targets(False, NEGATIVE, pool, *empty), WINDOW, True, rate, state, workspace)

    def run(n_passes: int) -> None:
        threads = [Thread(target=work, args=(thread, n_passes)) for thread in range(n_threads)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    all_ids, ids = ids, ids[:20_000]
    run(1)  # compiles, or loads what was compiled
    inputs[:-1, :DIM] = (2 * generator.random((n_keys, DIM), dtype=np.float32) - 1) * np.float32(2 / DIM)
    outputs[:], ids = 0, all_ids
    begin = time.perf_counter()
    run(PASSES)
    return time.perf_counter() - begin, inputs[:-1, :DIM]


def fit_ours(n_threads, seed):
    from skembed import LineCorpus, Word2VecVectorizer

    settings = {
        "embedding_dim": DIM, "window": WINDOW, "subsample": SUBSAMPLE, "negative": NEGATIVE, "min_count": MIN_COUNT,
        "learning_rate": RATE, "max_iter": PASSES, "n_jobs": n_threads, "random_state": seed, "token_pattern": r"\S+",
    }  # fmt: skip
    Word2VecVectorizer(**settings).fit([" ".join(str(i % 50) for i in range(5000))])  # compiles
    begin = time.perf_counter()
    table = Word2VecVectorizer(**settings).fit(LineCorpus(CORPUS)).embedding_
    return time.perf_counter() - begin, table


def fit_gensim(n_threads, seed):
    from gensim.models import Word2Vec
    from gensim.models.word2vec import LineSentence

    begin = time.perf_counter()
    model = Word2Vec(
        LineSentence(str(CORPUS)), vector_size=DIM, window=WINDOW, negative=NEGATIVE, sg=1, sample=SUBSAMPLE,
        min_count=MIN_COUNT, alpha=RATE, workers=n_threads, seed=seed, epochs=PASSES,
    )  # fmt: skip
    return time.perf_counter() - begin, model.wv


TRAINERS = {"skembed": train_ours, "gensim": train_gensim, "lock-free": train_lock_free}
FITS = {"skembed": fit_ours, "gensim": fit_gensim}


def scores(words: list[str], vectors: np.ndarray) -> dict[str, float]:
    from scipy.stats import spearmanr

    number = {word: i for i, word in enumerate(words)}
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def rank_correlation(name: str) -> float:
        with gzip.open(TEXT / "similarity" / name, "rt") as lines:
            rows = [line.lower().split() for line in lines]
        rows = [row for row in rows if row[0] in number and row[1] in number]
        left, right = ([number[row[i]] for row in rows] for i in (0, 1))
        return float(spearmanr((unit[left] * unit[right]).sum(axis=1), [float(row[2]) for row in rows]).statistic)

    with gzip.open(TEXT / "similarity" / "questions-words.txt.gz", "rt") as lines:
        questions = [line.lower().split() for line in lines if not line.startswith(":")]
    frequent = unit[:ANALOGY_WORDS]
    asked = np.array([[number.get(w, ANALOGY_WORDS) for w in question] for question in questions])
    asked = asked[(asked < len(frequent)).all(axis=1)]
    right = 0
    for a, b, c, d in np.array_split(asked.T, max(1, len(asked) // 500), axis=1):
        similar = (frequent[b] - frequent[a] + frequent[c]) @ frequent.T
        for given in (a, b, c):
            similar[np.arange(len(a)), given] = -np.inf
        right += int((similar.argmax(axis=1) == d).sum())
    return {
        "WordSim": rank_correlation("EN-WS-353-ALL.txt.gz"),
        "MEN": rank_correlation("EN-MEN-TR-3k.txt.gz"),
        "analogy": right / max(1, len(asked)),
    }


def one(specification: str) -> None:
    library, architecture, loss, n_threads, seed, with_scores = json.loads(specification)
    if architecture == "whole fit":
        seconds, _ = FITS[library](n_threads, seed)
        print(json.dumps({"seconds": seconds}))
        return
    folder = Path(os.environ["CORPUS_FOLDER"])
    words = json.loads((folder / "words.json").read_text())
    counts, ids, ends = (np.load(folder / f"{name}.npy") for name in ("counts", "ids", "ends"))
    seconds, vectors = TRAINERS[library](words, counts, ids, ends, architecture, loss, n_threads, seed)
    result = {"words_per_second": len(ids) * PASSES / seconds}
    print(json.dumps(result | (scores(words, vectors) if with_scores else {})))


def compare_fits(n_threads: int, repeat: int) -> None:
    """Print the median seconds of whole fits from the file."""
    seconds: dict[str, list[float]] = {library: [] for library in FITS}
    for seed in range(repeat):
        for library, results in seconds.items():
            specification = library, "whole fit", "", n_threads, seed, False
            results.append(in_process(__file__, specification, n_threads)["seconds"])
    ours, theirs = (statistics.median(results) for results in seconds.values())
    print(f"{'whole fit from the file':32} {n_threads:7}  skembed {ours:7.1f} s, gensim {theirs:7.1f} s", end="")
    print(f" {theirs / ours:5.1f}x", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--share", type=float, default=1.0, help="of the articles, from the first on")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--threads", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--models", nargs="*", default=["/".join(model) for model in MODELS])
    parser.add_argument("--fits", type=int, default=1, help="repetitions of the whole fits")
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
        f"{len(ends)} articles, {len(ids)} words, {len(words)} types; {PASSES} passes, medians of {arguments.repeat}\n"
    )
    print(
        f"{'model':32} {'threads':>7} {'library':>8} {'M words/s':>10} {'ratio':>6}   WordSim   MEN  analogy",
        flush=True,
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "words.json").write_text(json.dumps(words))
        for array_name, array in {"counts": counts, "ids": ids, "ends": ends}.items():
            np.save(folder / f"{array_name}.npy", array)
        for model in arguments.models:
            for n_threads in arguments.threads:
                compare(model, n_threads, arguments.repeat, folder, n_threads == max(arguments.threads))
        for n_threads in arguments.threads if arguments.fits else []:
            compare_fits(n_threads, arguments.fits)


def compare(model: str, n_threads: int, repeat: int, folder: Path, with_scores: bool) -> None:
    """Print a line for each library; they take turns, so that both see the same noise."""
    libraries = ["skembed", "gensim"]
    if model == "skip-gram/negative-sampling" and n_threads > 1:
        libraries.append("lock-free")
    runs: dict[str, list[dict]] = {library: [] for library in libraries}
    for seed in range(repeat):
        for library, results in runs.items():
            specification = library, *model.split("/"), n_threads, seed, with_scores
            results.append(in_process(__file__, specification, n_threads, CORPUS_FOLDER=str(folder)))
    found_by = {library: medians(results) for library, results in runs.items()}
    for library, median in found_by.items():
        speed = median["words_per_second"]
        ratio = f"{speed / found_by['gensim']['words_per_second']:5.1f}x" if library != "gensim" else ""
        found = "   ".join(f"{median[name]:.3f}" for name in ("WordSim", "MEN", "analogy") if name in median)
        print(f"{model:32} {n_threads:7} {library:>8} {speed / 1e6:10.3f} {ratio:>6}   {found}", flush=True)


if __name__ == "__main__":
    main()
