"""Trained document vectors of 20 newsgroups beside gensim's Doc2Vec and the mean of word vectors.

    python benchmarks/document_vectors.py > benchmarks/results/document_vectors.txt

The split by date, whole messages. Every row learns its vectors from the training messages alone, without their labels:
100 dimensions, the same passes, window 5, 5 negatives, min_count 5. Logistic regression on standardised vectors then
classifies the test messages; its C is chosen on a fifth of the training messages. The training messages of gensim have
either the vectors of its training or inferred ones, as its test messages have; infer_vector takes as many passes.
Seconds are those of one processor, of one process each with one thread: fit, and transform of the test messages.
"""

import argparse
import gzip
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from runs import describe, in_process
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

DATA = Path(__file__).parents[2] / "shared" / "data" / "text"
DIM, WINDOW, NEGATIVE, MIN_COUNT, SUBSAMPLE = 100, 5, 5, 5, 1e-3
PENALTIES = (0.01, 0.1, 1.0)  # C
SHARED = {
    "embedding_dim": DIM, "window": WINDOW, "negative": NEGATIVE, "min_count": MIN_COUNT, "subsample": SUBSAMPLE,
    "n_jobs": 1, "random_state": 0,
}  # fmt: skip
OURS = {
    "Doc2VecVectorizer, PV-DBOW": ("Doc2VecVectorizer", {}),
    "Doc2VecVectorizer, PV-DBOW with words": ("Doc2VecVectorizer", {"dbow_words": True}),
    "Doc2VecVectorizer, PV-DM": ("Doc2VecVectorizer", {"method": "pv-dm"}),
    "Word2VecVectorizer, mean": ("Word2VecVectorizer", {}),
}
GENSIM = {"gensim Doc2Vec, dbow": {"dm": 0}, "gensim Doc2Vec, dm": {"dm": 1}}


def newsgroups(part: str, share: float) -> tuple[list[str], list[str]]:
    with gzip.open(DATA / f"20news_bydate_{part}.jsonl.gz", "rt", encoding="utf-8") as file:
        messages = [json.loads(line) for line in file]
    if share < 1:
        chosen = np.random.default_rng(0).permutation(len(messages))[: int(share * len(messages))]
        messages = [messages[i] for i in np.sort(chosen)]
    return [message["text"] for message in messages], [message["group"] for message in messages]


def accuracy(train: np.ndarray, y_train: list[str], test: np.ndarray, y_test: list[str]) -> tuple[float, float]:
    """Of the test messages, and the C that was best for a fifth of the training messages."""

    def fitted(C: float, X: np.ndarray, y: list[str]):
        return make_pipeline(StandardScaler(), LogisticRegression(C=C, max_iter=200)).fit(X, y)

    a, b, y_a, y_b = train_test_split(train, y_train, test_size=0.2, stratify=y_train, random_state=0)
    C = max(PENALTIES, key=lambda C: fitted(C, a, y_a).score(b, y_b))
    return fitted(C, train, y_train).score(test, y_test), C


def processor_time(function: Callable, *arguments):
    start = time.process_time()
    return function(*arguments), time.process_time() - start


def ours(name: str, passes: int | str, train: list[str], test: list[str]) -> dict:
    import skembed

    class_, options = OURS[name]
    make = getattr(skembed, class_)
    make(**SHARED | options | {"max_iter": 1, "min_count": 1, "subsample": 0}).fit(["compiles the kernels"] * 3)
    vectorizer = make(**SHARED | options | {"max_iter": passes})
    _, fit_seconds = processor_time(vectorizer.fit, train)
    vectors, seconds = processor_time(vectorizer.transform, test)
    return {"train": {"": vectorizer.transform(train)}, "test": vectors, "fit": fit_seconds, "transform": seconds}


def gensim(name: str, passes: int, train: list[str], test: list[str]) -> dict:
    from gensim.models.doc2vec import Doc2Vec, TaggedDocument

    analyze = CountVectorizer().build_analyzer()

    def fit():
        documents = [TaggedDocument(analyze(text), [i]) for i, text in enumerate(train)]
        return Doc2Vec(
            documents, vector_size=DIM, negative=NEGATIVE, window=WINDOW, min_count=MIN_COUNT, sample=SUBSAMPLE,
            epochs=passes, seed=0, workers=1, **GENSIM[name],
        )  # fmt: skip

    def infer(texts: list[str]) -> np.ndarray:
        return np.array([model.infer_vector(analyze(text)) for text in texts])

    model, fit_seconds = processor_time(fit)
    vectors, seconds = processor_time(infer, test)
    trained = {", trained vectors": model.dv.vectors, ", inferred vectors": infer(train)}
    return {"train": trained, "test": vectors, "fit": fit_seconds, "transform": seconds}


def one(name: str, passes: int | str, share: float) -> dict:
    (train, y_train), (test, y_test) = newsgroups("train", share), newsgroups("test", share)
    made = (gensim if name in GENSIM else ours)(name, passes, train, test)
    scores = {kind: accuracy(vectors, y_train, made["test"], y_test) for kind, vectors in made["train"].items()}
    return {"scores": scores, "fit": made["fit"], "transform": made["transform"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--passes", type=int, default=10, help="gensim's default is 10")
    parser.add_argument("--share", type=float, default=1.0, help="of the messages, drawn at random")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if not DATA.exists():
        raise SystemExit(f"The data are not there: {DATA}")
    if arguments.one:
        print(json.dumps(one(*json.loads(arguments.one))))
        return
    (train, _), (test, _) = newsgroups("train", arguments.share), newsgroups("test", arguments.share)
    print(describe("gensim", "numpy", "numba", "scikit-learn"))
    print(f"{len(train)} and {len(test)} messages, {arguments.passes} passes, seconds of one processor\n")
    print(f"{'':56s} accuracy      C  fit, s  transform, s")
    rows = [(name, arguments.passes) for name in (*OURS, *GENSIM)] + [("Doc2VecVectorizer, PV-DBOW", "auto")]
    for name, passes in rows:
        found = in_process(__file__, [name, passes, arguments.share], 1, NUMBA_NUM_THREADS="1")
        for kind, (score, C) in found["scores"].items():
            label = name + kind + (", passes by itself" if passes == "auto" else "")
            times = f"{found['fit']:6.1f}  {found['transform']:12.2f}"
            print(f"{label:56s}    {score:.3f}  {C:5g}  {times}", flush=True)


if __name__ == "__main__":
    main()
