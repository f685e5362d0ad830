"""Classes of texts: FastTextClassifier beside TF-IDF with logistic regression: accuracy, log-loss and seconds.

    python benchmarks/text_classifier.py > benchmarks/results/text_classifier.txt

20 newsgroups (the split by date, whole messages with their headers), the Stanford Sentiment Treebank with two classes,
and the questions of TREC with six. Everything is learned from the training texts with fixed settings, none tuned on
the test texts: "20 passes, rate 1" is best on a fifth of the training messages of 20 newsgroups. Medians over seeds.
Seconds are those of fit and of predict, whatever else the machine did.
"""

import argparse
import gzip
import os
import platform
import statistics
import time

import numba
import numpy as np
import sklearn
from document_classification import DATA, Documents, newsgroups, sentiments
from sklearn.base import clone
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.pipeline import make_pipeline

from skembed.text import FastTextClassifier

WORDS = r"\S+"  # the sentences are tokenized already, and short: every sign counts


def questions(part: str) -> Documents:
    with gzip.open(DATA / f"raw_TREC.{part}.gz", "rt", encoding="latin-1") as file:
        rows = [line.rstrip("\n").split(None, 1) for line in file]
    return [row[1] for row in rows], [row[0].split(":")[0] for row in rows]


def models(pattern: str) -> dict:
    fast = {"token_pattern": pattern}
    tfidf = {"token_pattern": pattern, "sublinear_tf": True}
    return {
        "FastTextClassifier": FastTextClassifier(**fast),
        "FastTextClassifier, not calibrated": FastTextClassifier(calibrate=False, **fast),
        "FastTextClassifier, 20 passes, rate 1": FastTextClassifier(max_iter=20, learning_rate=1.0, **fast),
        "FastTextClassifier, pairs of words": FastTextClassifier(word_ngrams=2, **fast),
        "FastTextClassifier, pairs, characters 3-6": FastTextClassifier(word_ngrams=2, min_n=3, max_n=6, **fast),
        "FastTextClassifier, one-vs-all": FastTextClassifier(loss="one-vs-all", **fast),
        "FastTextClassifier, hierarchical softmax": FastTextClassifier(loss="hierarchical-softmax", **fast),
        "FastTextClassifier, negative sampling": FastTextClassifier(loss="negative-sampling", **fast),
        "TF-IDF + LogisticRegression(C=10)": make_pipeline(
            TfidfVectorizer(**tfidf), LogisticRegression(C=10, max_iter=300)
        ),
        "TF-IDF of pairs + LogisticRegression(C=10)": make_pipeline(
            TfidfVectorizer(ngram_range=(1, 2), **tfidf), LogisticRegression(C=10, max_iter=300)
        ),
    }


def compare(title: str, load, pattern: str, n_seeds: int, only: str) -> None:
    (train, y_train), (test, y_test) = load("train"), load("test")
    print(f"\n{title}: {len(train)} and {len(test)} texts, {len(set(y_train))} classes")
    print(f"  {'':43s} accuracy  [lowest, highest]  log-loss      fit  predict (s)")
    for name, model in models(pattern).items():
        if only not in name:
            continue
        scores, losses, fits, predictions = [], [], [], []
        for seed in range(n_seeds if isinstance(model, FastTextClassifier) else 1):
            model = clone(model)
            if isinstance(model, FastTextClassifier):
                model.set_params(random_state=seed, n_jobs=len(os.sched_getaffinity(0)))
            start = time.perf_counter()
            model.fit(train, y_train)
            fits.append(time.perf_counter() - start)
            start = time.perf_counter()
            found = model.predict(test)
            predictions.append(time.perf_counter() - start)
            losses.append(log_loss(y_test, model.predict_proba(test), labels=model.classes_))
            scores.append(float(np.mean(found == np.array(y_test))))
        spread = f"[{min(scores):.3f}, {max(scores):.3f}]"
        print(
            f"  {name:43s}    {statistics.median(scores):.3f}  {spread:17s} {statistics.median(losses):8.3f} "
            f"{statistics.median(fits):8.2f} "
            f"{statistics.median(predictions):8.2f}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--data", nargs="*", default=["sentiments", "questions", "newsgroups"])
    parser.add_argument("--only", default="", help="models whose names hold this")
    arguments = parser.parse_args()
    if not DATA.exists():
        raise SystemExit(f"The data are not there: {DATA}")
    print(f"Python {platform.python_version()}, numpy {np.__version__}, numba {numba.__version__}")
    print(f"scikit-learn {sklearn.__version__}, {platform.machine()}, {len(os.sched_getaffinity(0))} cores")
    FastTextClassifier(max_iter=1).fit(["warm up"] * 2, [0, 1])  # compiles, or loads what was compiled
    sets = {
        "sentiments": ("Stanford Sentiment Treebank", sentiments, WORDS),
        "questions": ("TREC questions", questions, WORDS),
        "newsgroups": ("20 newsgroups", newsgroups, r"(?u)\b\w\w+\b"),
    }
    for name in arguments.data:
        compare(*sets[name], arguments.seeds, arguments.only)


if __name__ == "__main__":
    main()
