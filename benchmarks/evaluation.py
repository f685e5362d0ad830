"""Evaluations beside the reference implementations: agreement, and seconds of both, from one run.

    python benchmarks/evaluation.py > benchmarks/results/evaluation.txt

Word vectors are trained on a share of wikipedia_en_100MB.txt.gz; test sets are those in ../shared/data/text/similarity.
References: gensim's evaluate_word_pairs and evaluate_word_analogies, scikit-learn's trustworthiness and ndcg_score,
scipy's procrustes. What has no reference is timed alone.
"""

import argparse
import gzip
import importlib.metadata
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy import spatial
from sklearn import manifold
from sklearn.decomposition import PCA
from sklearn.metrics import ndcg_score

from skembed import EmbeddingTable, Word2VecVectorizer
from skembed.inspection import (
    compare_tables,
    evaluate_analogies,
    evaluate_categorization,
    evaluate_similarity,
    ndcg_at_k,
    neighborhood_preservation,
    recall_at_k,
    trustworthiness,
)

TEXT = Path(__file__).resolve().parents[2] / "shared" / "data" / "text"
SETS = TEXT / "similarity"


def timed(runs: dict[str, Callable[[], Any]], repeats: int) -> tuple[dict[str, Any], dict[str, float]]:
    """Results and median seconds of each run; they take turns."""
    results: dict[str, Any] = {}
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            start = time.perf_counter()
            results[name] = run()
            seconds[name].append(time.perf_counter() - start)
    return results, {name: statistics.median(times) for name, times in seconds.items()}


def compared(title: str, ours: Callable, reference: Callable, numbers: Callable, repeats: int) -> None:
    """Print what both find, how far apart they are at the most, and their seconds."""
    results, seconds = timed({"skembed": ours, "reference": reference}, repeats)
    left, right = (np.atleast_1d(numbers(results[name])) for name in ("skembed", "reference"))
    print(
        f"{title:47s} {left[0]:8.5f} {right[0]:9.5f} {np.abs(left - right).max():10.1e} "
        f"{seconds['skembed']:9.3f} {seconds['reference']:9.3f}"
    )


def alone(title: str, run: Callable, repeats: int) -> None:
    results, seconds = timed({"skembed": run}, repeats)
    print(f"{title:47s} {results['skembed']:8.5f} {'':9s} {'':10s} {seconds['skembed']:9.3f}")


def train(share: float) -> EmbeddingTable:
    with gzip.open(TEXT / "wikipedia_en_100MB.txt.gz", "rt") as lines:
        articles = lines.readlines()
    articles = articles[:: max(1, round(1 / share))]
    start = time.perf_counter()
    table = Word2VecVectorizer(embedding_dim=100, max_iter=3, random_state=0).fit(articles).embedding_
    print(f"{table} of {len(articles)} articles, trained in {time.perf_counter() - start:.0f} s")
    return table


def words(table: EmbeddingTable, repeats: int) -> None:
    from gensim.models import KeyedVectors

    vectors = KeyedVectors(table.embedding_dim)
    vectors.add_vectors(table.keys.tolist(), table.vectors)

    def pair_numbers(result: Any) -> list[float]:
        if isinstance(result, tuple):
            pearson, spearman, oov = result
            return [spearman[0], pearson[0], oov / 100]
        return [result.spearman, result.pearson, result.oov_share]

    for name in ("EN-WS-353-ALL.txt.gz", "EN-MEN-TR-3k.txt.gz"):
        path = str(SETS / name)
        for unknown in ("skip", "zero"):
            compared(
                f"{name[:11]}, unknown={unknown!r}",
                lambda path=path, unknown=unknown: evaluate_similarity(table, path, unknown=unknown),
                lambda path=path, unknown=unknown: vectors.evaluate_word_pairs(path, dummy4unknown=unknown == "zero"),
                pair_numbers,
                repeats,
            )

    def analogy_numbers(result: Any) -> list[float]:
        if isinstance(result, tuple):
            accuracy, sections = result
            return [accuracy, *(len(part[kind]) for part in sections[:-1] for kind in ("correct", "incorrect"))]
        counts = ((part.n_correct, part.n_questions - part.n_correct) for part in result.sections)
        return [result.accuracy, *(count for both in counts for count in both)]

    questions = str(SETS / "questions-words.txt.gz")
    for case_insensitive, restrict_vocab in ((True, 300_000), (False, 10_000)):
        options = {"case_insensitive": case_insensitive, "restrict_vocab": restrict_vocab}
        compared(
            f"analogies of {min(restrict_vocab, len(table))} words, by section",
            lambda options=options: evaluate_analogies(table, questions, **options),
            lambda options=options: vectors.evaluate_word_analogies(questions, **options),
            analogy_numbers,
            1,
        )
    alone("analogies, 3CosMul", lambda: evaluate_analogies(table, questions, method="3cosmul").accuracy, 1)
    # every question answerable: 30,000 x 100 in which all words of the test set are
    with gzip.open(questions, "rt") as lines:
        asked = list(dict.fromkeys(word for line in lines if not line.startswith(":") for word in line.split()))
    rng = np.random.default_rng(0)
    whole = EmbeddingTable([*asked, *range(30_000 - len(asked))], rng.standard_normal((30_000, 100)))
    for method in ("3cosadd", "3cosmul"):
        alone(
            f"all 19,544 questions, 30,000 x 100, {method}",
            lambda method=method: evaluate_analogies(whole, questions, method=method, case_insensitive=False).accuracy,
            repeats,
        )
    for method in ("kmeans", "agglomerative"):
        alone(
            f"purity, Battig's norms, {method}",
            lambda method=method: (
                evaluate_categorization(table, SETS / "battig.csv.gz", method=method, random_state=0).purity
            ),
            1,
        )


def spaces(table: EmbeddingTable, repeats: int) -> None:
    for n, metric in ((2_000, "euclidean"), (2_000, "cosine"), (6_000, "euclidean")):
        X = table.vectors[:n].astype(np.float64)
        plane = PCA(2, random_state=0).fit_transform(X)
        compared(
            f"trustworthiness, {n} x 100, {metric}",
            lambda X=X, plane=plane, metric=metric: trustworthiness(X, plane, metric=metric),
            lambda X=X, plane=plane, metric=metric: manifold.trustworthiness(X, plane, metric=metric),
            lambda value: value,
            repeats,
        )
    rng = np.random.default_rng(0)
    large = rng.standard_normal((100_000, 50), dtype=np.float32) * np.linspace(3, 0.1, 50, dtype=np.float32)
    sample = {"sample_size": 1_000, "random_state": 0}
    alone("trustworthiness, 100,000 x 50, sample of 1,000", lambda: trustworthiness(large, large[:, :2], **sample), 1)
    alone(
        "preservation, 100,000 x 50, sample of 1,000",
        lambda: neighborhood_preservation(large, large[:, :2], **sample),
        1,
    )

    relevance = rng.integers(0, 6, (943, 1_682)) * (rng.random((943, 1_682)) < 0.06)
    relevance[:, 0] = 1
    for kind, scores in (
        ("scores all different", rng.standard_normal((943, 1_682))),
        ("scores that tie", rng.integers(0, 50, (943, 1_682)).astype(float)),
    ):
        compared(
            f"ndcg at 10, 943 x 1,682, {kind}",
            lambda scores=scores: ndcg_at_k(relevance, scores),
            lambda scores=scores: ndcg_score(relevance, scores, k=10),
            lambda value: value,
            repeats,
        )
    alone("recall at 10, 943 x 1,682", lambda: recall_at_k(relevance, rng.standard_normal((943, 1_682))), repeats)

    turned = table.vectors @ np.linalg.qr(rng.standard_normal((100, 100)))[0]
    other = EmbeddingTable(table.keys, turned + turned.std() * rng.standard_normal(turned.shape))
    compared(
        f"compare_tables, {len(table)} x 100: residual",
        lambda: compare_tables(table, other, random_state=0).procrustes_residual,
        lambda: spatial.procrustes(table.vectors, other.vectors)[2],
        lambda value: value,
        1,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--share", type=float, default=0.2, help="of the corpus")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    packages = ("numpy", "scipy", "scikit-learn", "gensim")
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)
    print(
        f"{platform.machine()}, {len(os.sched_getaffinity(0))} core(s); Python {platform.python_version()}, {versions}"
    )
    table = train(options.share)
    print(f"\n{'':47s} {'skembed':>8s} {'reference':>9s} {'difference':>10s} {'seconds':>9s} {'reference':>9s}")
    words(table, options.repeats)
    spaces(table, options.repeats)
    print("\ndifference: the largest of all numbers compared; of analogies also the counts of each section")


if __name__ == "__main__":
    main()
