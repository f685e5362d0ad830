"""SequenceEmbedder with y: questions about short cases, from few of them, beside bags of events.

    python benchmarks/sequence_questions.py > benchmarks/results/sequence_questions.txt

Seven made-up questions about cases of 3 to 19 events: does an event occur, is the last (the first) one of five, which
of two comes first, which is more frequent, does one follow another at once, are there more than ten. A tenth of the
answers to the first three is wrong. Share of right answers about 1,000 further cases, mean of three draws; behind the
vectors logistic regression. Beside it logistic regression and gradient boosting on counts of events, and logistic
regression on counts of events and of pairs that follow each other. Last, the kinds of questions in TREC (500 to test)
by their words. Seconds are of one thread.
"""

import gzip
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from runs import describe
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skembed import SequenceEmbedder

TREC = Path(__file__).resolve().parents[2] / "shared" / "data" / "text"
SIZES = 60, 100, 200, 400
TREC_SIZES = 500, 1000, 5000
SEEDS = 3
FIRST, SECOND = 0, 1  # events that questions are about

QUESTIONS: dict[str, tuple[int, float, Callable[[list[int]], bool]]] = {  # kinds of events, wrong answers, the answer
    "occurs": (10, 0.1, lambda case: FIRST in case),
    "last": (10, 0.1, lambda case: case[-1] < 5),
    "first": (10, 0.1, lambda case: case[0] < 5),
    "order": (6, 0.0, lambda case: [*case, FIRST].index(FIRST) < [*case, SECOND].index(SECOND)),
    "frequent": (4, 0.0, lambda case: case.count(FIRST) > case.count(SECOND)),
    "follows": (6, 0.0, lambda case: (FIRST, SECOND) in pairwise(case)),
    "length": (10, 0.0, lambda case: len(case) > 10),
}


def cases_of(question: str, n: int, rng: np.random.Generator) -> tuple[list[list[int]], np.ndarray]:
    """Return cases and answers."""
    n_kinds, n_wrong, answer = QUESTIONS[question]
    cases = [rng.integers(0, n_kinds, rng.integers(3, 20)).tolist() for _ in range(n)]
    return cases, np.array([answer(case) for case in cases]) ^ (rng.random(n) < n_wrong)


def trec(part: str) -> tuple[list[list[str]], np.ndarray]:
    """Return words and kinds of questions."""
    with gzip.open(TREC / f"raw_TREC.{part}.gz", "rt", encoding="latin1") as file:
        lines = [line.split() for line in file]
    return [[word.lower() for word in line[1:]] for line in lines], np.array([line[0].split(":")[0] for line in lines])


def counts(longest: int = 1) -> CountVectorizer:
    """Return a bag of events, or of runs of events up to so many."""
    return CountVectorizer(analyzer=lambda case: [tuple(case[i : i + n]) for n in range(1, longest + 1) for i in
                                                  range(len(case) - n + 1)])  # fmt: skip


def models(seed: int) -> dict[str, Any]:
    """Return what is compared."""
    linear = LogisticRegression(max_iter=500)
    return {
        "counts": make_pipeline(counts(), linear),
        "and pairs": make_pipeline(counts(2), linear),
        "boosting": make_pipeline(counts(), Dense(), HistGradientBoostingClassifier(random_state=seed)),
        "SequenceEmbedder": make_pipeline(SequenceEmbedder(categorical_features=[0], random_state=seed), linear),
    }


class Dense:
    """Sparse to dense, for trees."""

    def fit(self, X: Any, y: Any = None) -> "Dense":
        return self

    def transform(self, X: Any) -> np.ndarray:
        return X.toarray()


def compare(name: str, learned: list[tuple[Any, Any]], tests: list[tuple[Any, Any]], leave_out: tuple = ()) -> dict:
    """Print a line of mean scores; return them."""
    scores: dict[str, list[float]] = {}
    seconds = []
    for seed, ((X, y), (X_test, y_test)) in enumerate(zip(learned, tests)):
        for model, pipeline in models(seed).items():
            if model in leave_out:
                continue
            begin = time.process_time()
            scores.setdefault(model, []).append(pipeline.fit(X, y).score(X_test, y_test))
            if model == "SequenceEmbedder":
                seconds.append(time.process_time() - begin)
    means = {model: float(np.mean(found)) for model, found in scores.items()}
    shown = "".join(f"{means[m]:18.3f}" if m in means else f"{'':18}" for m in models(0))
    print(f"{name:24}{shown}{np.mean(seconds):8.1f} s", flush=True)
    return means


def main() -> None:
    print(describe("numpy", "scikit-learn", "torch"), flush=True)
    print(f"{'':24}" + "".join(f"{model:>18}" for model in models(0)))
    for n in SIZES:
        of_all = []
        for question in QUESTIONS:
            draws = [np.random.default_rng(seed) for seed in range(SEEDS)]
            learned = [cases_of(question, n, rng) for rng in draws]
            tests = [cases_of(question, 1000, rng) for rng in draws]
            of_all.append(compare(f"{n} cases, {question}", learned, tests))
        print(f"{n:3} cases, mean".ljust(24) + "".join(f"{np.mean([s[m] for s in of_all]):18.3f}" for m in models(0)))
    if TREC.exists():
        X, y = trec("train")
        rows = [np.random.default_rng(seed).permutation(len(X)) for seed in range(SEEDS)]
        for n in TREC_SIZES:
            learned = [([X[i] for i in r[:n]], y[r[:n]]) for r in rows]
            compare(f"TREC, {n} questions", learned, [trec("test")] * SEEDS, leave_out=("boosting",))


if __name__ == "__main__":
    main()
