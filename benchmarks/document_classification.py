"""Topics of newsgroups and sentiments of sentences from document vectors of 100 dimensions a pooling.

    python benchmarks/document_classification.py > benchmarks/results/document_classification.txt

20 newsgroups (the split by date, whole messages with their headers) and the Stanford Sentiment Treebank with two
classes. Every row learns its vectors from the training documents alone, without their labels, and logistic regression
on standardised vectors classifies the test documents. Beside the poolings of Word2VecVectorizer: the TF-IDF of
scikit-learn brought to the same width by TruncatedSVD; gensim, where it is installed, with the mean of its word vectors
after as many passes; and, for scale, the whole TF-IDF. Medians over seeds. Seconds are those of fit and transform,
whatever else the machine did: benchmarks/word_vectors.py measures speed.
"""

import argparse
import gzip
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numba
import numpy as np
import sklearn
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skembed.text import Word2VecVectorizer

try:
    import gensim
except ImportError:
    gensim = None

DATA = Path(__file__).parents[2] / "shared" / "data" / "text"
DIM = 100
POOLINGS = ["mean", "tfidf", "sif", "max", "min"]
COMBINATIONS = {pooling: [pooling] for pooling in POOLINGS} | {"mean + max + min": ["mean", "max", "min"]}

Documents = tuple[list[str], list[str]]  # texts and classes
Vectors = tuple[np.ndarray, np.ndarray]  # of the training and the test documents


def newsgroups(part: str) -> Documents:
    with gzip.open(DATA / f"20news_bydate_{part}.jsonl.gz", "rt", encoding="utf-8") as file:
        messages = [json.loads(line) for line in file]
    return [message["text"] for message in messages], [message["group"] for message in messages]


def sentiments(part: str) -> Documents:
    with gzip.open(DATA / f"stsa.binary.{part}.gz", "rt", encoding="latin-1") as file:
        sentences = [line.rstrip("\n").split(" ", 1) for line in file]
    return [text for _, text in sentences], [label for label, _ in sentences]


def accuracy(train: np.ndarray, test: np.ndarray, y_train: list[str], y_test: list[str]) -> float:
    classifier = make_pipeline(
        StandardScaler(with_mean=isinstance(train, np.ndarray)), LogisticRegression(max_iter=300)
    )
    return classifier.fit(train, y_train).score(test, y_test)


def columns(vectors: Vectors, poolings: list[str]) -> Vectors:
    chosen = np.concatenate([np.arange(DIM) + DIM * POOLINGS.index(pooling) for pooling in poolings])
    return vectors[0][:, chosen], vectors[1][:, chosen]


def ours(train: list[str], test: list[str], seed: int, **parameters) -> tuple[Vectors, Word2VecVectorizer]:
    vectorizer = Word2VecVectorizer(DIM, pooling=POOLINGS, random_state=seed, **parameters)
    return (vectorizer.fit_transform(train), vectorizer.transform(test)), vectorizer


def tfidf_svd(train: list[str], test: list[str], seed: int) -> Vectors:
    vectorizer = make_pipeline(TfidfVectorizer(min_df=2), TruncatedSVD(DIM, random_state=seed))
    return vectorizer.fit_transform(train), vectorizer.transform(test)


def gensim_mean(train: list[str], test: list[str], seed: int, epochs: int) -> Vectors:
    analyze = CountVectorizer().build_analyzer()
    tokens = [analyze(text) for text in train]
    n_workers = len(os.sched_getaffinity(0))
    model = gensim.models.Word2Vec(
        tokens, vector_size=DIM, sg=1, negative=5, min_count=5, epochs=epochs, seed=seed, workers=n_workers
    )

    def pool(words: list[str]) -> np.ndarray:
        known = [word for word in words if word in model.wv]
        return model.wv[known].mean(axis=0) if known else np.zeros(DIM, dtype=np.float32)

    return np.array([pool(words) for words in tokens]), np.array([pool(analyze(text)) for text in test])


def timed(function: Callable, *arguments, **parameters) -> tuple:
    start = time.perf_counter()
    return function(*arguments, **parameters), time.perf_counter() - start


def rows(train: list[str], test: list[str], seed: int) -> Iterator[tuple[str, Vectors, float]]:
    """Yield (name, vectors, seconds) of each way to turn the documents into vectors."""
    for window in (5, 10):
        (vectors, vectorizer), seconds = timed(ours, train, test, seed, window=window)
        for name, poolings in COMBINATIONS.items():
            yield f"Word2VecVectorizer, window {window}, {name}", columns(vectors, poolings), seconds
    yield "TfidfVectorizer + TruncatedSVD", *timed(tfidf_svd, train, test, seed)
    if gensim is not None:
        yield "gensim, mean", *timed(gensim_mean, train, test, seed, vectorizer.n_iter_)


def one_document(texts: list[str]) -> None:
    """Print what `transform` of a single document takes, which a service pays for each request."""
    vectorizer = Word2VecVectorizer(DIM, max_iter=1, random_state=0).fit(texts)
    print("\nOne document, transform, median of 200")
    for text in sorted(texts, key=len)[len(texts) // 2 :: len(texts) // 4][:2]:
        milliseconds = [1e3 * timed(vectorizer.transform, [text])[1] for _ in range(200)]
        print(f"  {len(text):6d} characters: {statistics.median(milliseconds):.3f} ms")


def compare(title: str, load: Callable[[str], Documents], n_seeds: int) -> None:
    (train, y_train), (test, y_test) = load("train"), load("test")
    n_words = sum(map(len, map(CountVectorizer().build_analyzer(), train)))
    print(
        f"\n{title}: {len(train)} and {len(test)} documents, {n_words} words to learn from, {len(set(y_train))} classes"
    )
    print(f"  {'':49s} width  accuracy  [lowest, highest]  seconds")
    scores: dict[str, list[float]] = {}
    seconds: dict[str, list[float]] = {}
    widths: dict[str, int] = {}
    for seed in range(n_seeds):
        for name, (a, b), elapsed in rows(train, test, seed):
            scores.setdefault(name, []).append(accuracy(a, b, y_train, y_test))
            seconds.setdefault(name, []).append(elapsed)
            widths[name] = a.shape[1]
    for name, values in scores.items():
        spread = f"[{min(values):.3f}, {max(values):.3f}]"
        pace = statistics.median(seconds[name])
        print(
            f"  {name:49s} {widths[name]:5d}     {statistics.median(values):.3f}  {spread:17s}  {pace:7.1f}", flush=True
        )
    whole = TfidfVectorizer(min_df=2)
    a, b = whole.fit_transform(train), whole.transform(test)
    score = LogisticRegression(C=10, max_iter=300).fit(a, y_train).score(b, y_test)
    print(f"  {'TfidfVectorizer alone, sparse':49s} {a.shape[1]:5d}     {score:.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=3, help="seeds for the sentiments; newsgroups take one")
    arguments = parser.parse_args()
    if not DATA.exists():
        raise SystemExit(f"The data are not there: {DATA}")
    peers = f"gensim {gensim.__version__}" if gensim is not None else "gensim is not installed"
    print(f"Python {platform.python_version()}, numpy {np.__version__}, numba {numba.__version__}, {peers}")
    print(f"scikit-learn {sklearn.__version__}, {platform.machine()}, {len(os.sched_getaffinity(0))} cores")
    ours(["warm up the compiled code " * 5] * 9, ["it"], 0, max_iter=1, subsample=0)
    compare("Stanford Sentiment Treebank", sentiments, arguments.seeds)
    compare("20 newsgroups", newsgroups, 1)
    one_document(newsgroups("train")[0])


if __name__ == "__main__":
    main()
