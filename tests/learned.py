"""What fits of small examples learn, number by number, as it was when these numbers were last looked at.

    PYTHONPATH=tests:. python tests/learned.py   # after a change that is meant to be one; see in git what has changed

A fit gives the same bits on machines of a kind. What it gives on others differs by rounding, for which `ROUNDING`
leaves room; whoever changes a number of an algorithm, an order of draws or a default changes more. That an algorithm
is the right one is for the other tests of its package to say; here nothing changes by accident. Beside the examples of
all estimators stand others, larger or with other parameters, in which something is chosen, cut or left out.
"""

import json
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
import pandas as pd
import pytest
from estimators import BASKETS, CASES, CLASSES, EXAMPLES, FRAME, MATRIX, NUMBER, TEXTS, Example, subwords, table, tables

import skembed
from skembed import memory
from skembed.text import train_cove, train_elmo
from skembed.training import documents, sequences
from skembed.training.run import Run

KEPT = Path(__file__).with_suffix(".json")
N_ROWS, N_COLUMNS = 4, 6  # of each array, as they are; of the others the lengths of columns
ROUNDING = 2e-3

RNG = np.random.default_rng(7)
TASTE, KIND = RNG.integers(4, size=300), RNG.integers(4, size=50)
MANY_BASKETS = [
    [f"i{item}" for item in np.flatnonzero(RNG.random(50) < np.where(taste == KIND, 0.4, 0.04))] for taste in TASTE
]
BLOCK = RNG.integers(5, size=150)
MANY_LINKS = np.triu(RNG.random((150, 150)) < np.where(BLOCK[:, None] == BLOCK, 0.3, 0.02), 1) * RNG.integers(1, 4, 150)
MANY_LINKS = (MANY_LINKS + MANY_LINKS.T).astype(np.float64)
WIDE = RNG.normal(size=(40, 90)) @ np.diag(np.linspace(2, 0.1, 90))
TALL = RNG.normal(size=(900, 6)) @ RNG.normal(size=(6, 12)) + 0.3 * RNG.normal(size=(900, 12))
TALL_CLASS = (TALL[:, 0] > 0).astype(int) + (TALL[:, 1] > 1)
HOLES = pd.DataFrame(np.where(RNG.random((300, 4)) < 0.1, np.nan, TALL[:300, :4]), columns=list("abcd"))
HOLES["kind"] = RNG.choice(["x", "y", "z", None], 300)
LEVELS = pd.DataFrame(
    {
        "store": [f"s{n}" for n in RNG.zipf(1.5, 1500) % 90],
        "day": RNG.integers(7, size=1500),
        "promo": RNG.integers(2, size=1500),
        "area": RNG.normal(size=1500),
    }
)
SALES = RNG.normal(size=7)[LEVELS["day"]] + LEVELS["promo"] * (LEVELS["day"] > 4) * 2.0 + 0.5 * LEVELS["area"]
SALES += np.sin(LEVELS["store"].str[1:].astype(int)) + 0.5 * RNG.normal(size=1500)
ZIPF = [f"w{n}" for n in range(300)]
SENTENCES = [" ".join(ZIPF[n] for n in RNG.zipf(1.4, RNG.integers(3, 15)) % 300) for _ in range(400)]
GIVEN = skembed.EmbeddingTable(ZIPF[:200], RNG.normal(size=(200, 6)))
TOPICS = ["early" if sum(map(len, s.split())) % 3 else "late" for s in SENTENCES]


class _Sharded(Example):
    """An example that learns in several shards side by side, as data do that are large."""

    def fit(self, **parameters: Any) -> Any:
        def cut(train: Callable, **changes: Any) -> Callable:
            def train_changed(*arguments: Any, **options: Any) -> Any:
                *data, settings, run = arguments
                return train(*data, replace(settings, n_shards=3, **changes), run, **options)

            return train_changed

        with (
            mock.patch.object(sequences, "train_sequences", cut(sequences.train_sequences, tokens_per_shard=300)),
            mock.patch.object(documents, "train_classes", cut(documents.train_classes, rows_per_shard=200)),
        ):
            return super().fit(**parameters)


class _Directory(NamedTuple):
    """A model that is trained into a directory, as an example: how its training went, and rows that come of it."""

    train: Callable
    data: tuple
    options: dict
    further: tuple = ()

    def fit(self) -> SimpleNamespace:
        with TemporaryDirectory() as folder:
            report = self.train(*self.data, Path(folder) / "model", random_state=1, **self.options)
            vectorizer = skembed.ContextualVectorizer(report.directory, layer=[0, -1])
            return SimpleNamespace(
                rows=vectorizer.transform(SENTENCES[:9]),
                loss_curve_=report.loss_curve,
                validation_scores_=report.validation_scores,
            )

    def output(self, trained: SimpleNamespace) -> np.ndarray:
        return trained.rows


def _words(cls: Any, X: Any = SENTENCES[:30], **options: Any) -> Example:
    return Example(cls(embedding_dim=6, max_iter=2, random_state=1, **options), (SENTENCES,), X)


def _classes(**options: Any) -> Example:
    estimator = skembed.FastTextClassifier(embedding_dim=6, random_state=1, **options)
    return Example(estimator, (SENTENCES, TOPICS), SENTENCES[:30], "predict_proba")


def _levels(*y: Any, X: Any = LEVELS, **options: Any) -> Example:
    options = {"categorical_features": ["store", "day", "promo"], "remainder": "passthrough"} | options
    return Example(skembed.EntityEmbeddingEncoder(random_state=1, **options), (X, *y), X[:50])


def _keys(**options: Any) -> Example:
    return Example(skembed.CooccurrenceEncoder(random_state=1, **options), (LEVELS,), LEVELS[:50])


def _projection(method: str, X: Any, *y: Any, **options: Any) -> Example:
    return Example(skembed.ProjectionEmbedder(method, random_state=1, **options), (X, *y), X[:20])


def _baskets(method: str, X: Any = MANY_BASKETS, **options: Any) -> Example:
    return Example(skembed.InteractionEmbedder(method=method, random_state=1, **options), (X,), X[:20])


def _nodes(method: str, **options: Any) -> Example:
    options = {"embedding_dim": 8} | options
    return Example(skembed.NodeEmbedder(method=method, random_state=1, **options), (MANY_LINKS,), MANY_LINKS[:20])


def _cases(*y: Any, **options: Any) -> Example:
    options = {"embedding_dim": 5, "max_iter": 3} | options
    return Example(skembed.SequenceEmbedder(random_state=1, **options), (CASES, *y), CASES[:20])


OTHERS = {
    "EntityEmbeddingEncoder: many levels": _levels(SALES),
    "EntityEmbeddingEncoder: rare levels": _levels(SALES, min_frequency=5, max_categories=12, embedding_dim=3),
    "EntityEmbeddingEncoder: two classes": _levels(SALES > 1, class_weight="balanced"),
    "EntityEmbeddingEncoder: three classes": _levels(np.digitize(SALES, [0, 1.5]), embedding_dim=4),
    "EntityEmbeddingEncoder: two targets": _levels(np.column_stack([SALES, -(SALES**2)])),
    "EntityEmbeddingEncoder: a net": _levels(SALES, hidden_layer_sizes=(8, 4), max_iter=3),
    "EntityEmbeddingEncoder: a net of classes": _levels(
        TALL_CLASS, X=LEVELS[:900], hidden_layer_sizes=(6,), max_iter=2
    ),
    "CooccurrenceEncoder: bins": _keys(n_bins=4, embedding_dim=5),
    "CooccurrenceEncoder: skip-gram": _keys(method="skip-gram", embedding_dim=5, max_iter=2),
    "CooccurrenceEncoder: rare": _keys(method="glove", min_frequency=10, max_iter=2),
    "Word2VecVectorizer: cbow": _words(skembed.Word2VecVectorizer, architecture="cbow", window=3, negative=2),
    "Word2VecVectorizer: pooled": _words(skembed.Word2VecVectorizer, pooling=["max", "tfidf", "sif"], subsample=0.01),
    "Word2VecVectorizer: tree": _words(skembed.Word2VecVectorizer, loss="hierarchical-softmax", shrink_window=False),
    "Word2VecVectorizer: start": Example(
        skembed.Word2VecVectorizer(4, min_count=1, max_iter=1, init=table(), random_state=0), (TEXTS,), TEXTS[:20]
    ),
    "GloVeVectorizer: one side": _words(skembed.GloVeVectorizer, symmetric=False, combine="word", window=4),
    "GloVeVectorizer: counts": _words(skembed.GloVeVectorizer, distance_weighting=False, x_max=20.0, alpha=0.5),
    "Doc2VecVectorizer: many": _words(skembed.Doc2VecVectorizer),
    "Doc2VecVectorizer: dm": _words(skembed.Doc2VecVectorizer, method="pv-dm", window=2, negative=3),
    "FastTextVectorizer: many": _words(
        skembed.FastTextVectorizer, [*SENTENCES[:30], "w1w2 unheard"], n_buckets=500, min_n=2, max_n=4
    ),
    "NNLMVectorizer: direct": Example(
        skembed.NNLMVectorizer(4, min_count=1, max_iter=1, direct=True, dropout=0.1, random_state=1),
        (TEXTS,), TEXTS[:9],
    ),
    "NNLMVectorizer: sampled": Example(
        skembed.NNLMVectorizer(4, max_iter=1, n_samples=20, n_previous=2, random_state=1), (SENTENCES[:80],), TEXTS[:9]
    ),
    "PretrainedVectorizer: sif": Example(
        skembed.PretrainedVectorizer(table(), pooling="sif", postprocess="all-but-the-top"), (TEXTS,), TEXTS[:20]
    ),
    "PretrainedVectorizer: pooled": Example(
        skembed.PretrainedVectorizer(subwords(), pooling=["mean", "max", "min", "tfidf"]), (TEXTS,), TEXTS[:20]
    ),
    "FastTextClassifier: calibrated": _classes(max_iter=8),
    "FastTextClassifier: weights": _classes(class_weight="balanced", word_ngrams=2, n_buckets=300),
    "FastTextClassifier: subwords": _classes(min_n=2, max_n=3, n_buckets=300, loss="one-vs-all"),
    "FastTextClassifier: noise": _classes(loss="negative-sampling", calibrate=False),
    "ProjectionEmbedder: whitened": _projection("pca", TALL, embedding_dim=0.9, whiten=True),
    "ProjectionEmbedder: more columns than rows": _projection("pca", WIDE, embedding_dim=5),
    "ProjectionEmbedder: auto": _projection("svd", TALL),
    "ProjectionEmbedder: lda": _projection("lda", TALL, TALL_CLASS),
    "ProjectionEmbedder: random": _projection("random", WIDE, embedding_dim=7),
    "ProjectionEmbedder: nca": _projection("nca", TALL[:100], TALL_CLASS[:100], embedding_dim=2, max_iter=5),
    "ProjectionEmbedder: autoencoder": _projection(
        "autoencoder", HOLES[:150], embedding_dim=3, hidden_layer_sizes=(8, 4), max_iter=4, n_iter_no_change=2
    ),
    # of all baskets two penalties are a tie, which rounding decides
    "InteractionEmbedder: ease": _baskets("ease", MANY_BASKETS[:280], embedding_dim=10),
    "InteractionEmbedder: ease without a choice": _baskets("ease", embedding_dim=4, penalty=20.0, dropout=0.3),
    "InteractionEmbedder: ials": _baskets("ials", embedding_dim=8, max_iter=4),
    "InteractionEmbedder: svd": _baskets("svd", embedding_dim=6),
    "InteractionEmbedder: item2vec": _baskets("item2vec", embedding_dim=5, max_iter=2),
    "InteractionEmbedder: one dimension": _baskets("item2vec", BASKETS, embedding_dim=1, max_iter=2),
    "NodeEmbedder: filtered": _nodes("prone"),
    "NodeEmbedder: window": _nodes("prone", window=3),
    "NodeEmbedder: netmf": _nodes("netmf", window=4, negative=1),
    "NodeEmbedder: walks": _nodes("node2vec", p=2.0, q=0.5, n_walks=3, walk_length=20),
    "NodeEmbedder: spectral": _nodes("spectral"),
    "NodeEmbedder: random": _nodes("random-projection"),
    "SequenceEmbedder: numbers": _cases(np.arange(70.0) % 7),
    "SequenceEmbedder: two targets": _cases(np.column_stack([np.arange(70) % 2, np.arange(70) % 3]), pooling="max"),
    "SequenceEmbedder: next events": _cases(cell="gru", dropout=0.4, level_dim=3, max_length=5),
    "SequenceEmbedder: balanced": _cases([*(CLASSES * 24)[:69], "z"], class_weight="balanced"),
    "CCAEmbedder: more columns than rows": Example(
        skembed.CCAEmbedder(embedding_dim=4), (WIDE, WIDE[:, :3] ** 2 + MATRIX[:40, :3]), WIDE[:9]
    ),
    "CCAEmbedder: many": Example(skembed.CCAEmbedder(), (TALL[:, :7], TALL[:, 7:]), TALL[:9, :7]),
    "NeighborAnomalyDetector: many": Example(
        skembed.NeighborAnomalyDetector(novelty=True, contamination=0.1), (TALL,), TALL[:9] + 1, "score_samples"
    ),
    "NeighborAnomalyDetector: more columns than rows": Example(
        skembed.NeighborAnomalyDetector(novelty=True), (WIDE,), WIDE[:9] + 1, "score_samples"
    ),
    "EntityEmbeddingEncoder: classes of few rows": Example(
        skembed.EntityEmbeddingEncoder(random_state=1, cv=3), (FRAME[:60], NUMBER[:60] > 0), FRAME[:50]
    ),
    "Word2VecVectorizer: shards": _Sharded(*_words(skembed.Word2VecVectorizer)),
    "Word2VecVectorizer: shards of a tree": _Sharded(
        *_words(skembed.Word2VecVectorizer, architecture="cbow", loss="hierarchical-softmax")
    ),
    "FastTextVectorizer: shards": _Sharded(*_words(skembed.FastTextVectorizer, n_buckets=500, min_n=2, max_n=4)),
    "Doc2VecVectorizer: shards": _Sharded(*_words(skembed.Doc2VecVectorizer)),
    "FastTextClassifier: shards": _Sharded(*_classes(word_ngrams=2, n_buckets=300)),
    "FastTextClassifier: shards of noise": _Sharded(*_classes(loss="negative-sampling", learning_rate=0.5)),
    "train_elmo": _Directory(
        train_elmo, (SENTENCES[:90],), {"embedding_dim": 6, "max_iter": 3, "batch_size": 16, "learning_rate": 0.02}
    ),
    "train_cove": _Directory(
        train_cove,
        (SENTENCES[:90], [f"the {' '.join(reversed(s.split()))}" for s in SENTENCES[:90]], GIVEN),
        {"hidden_size": 4, "max_iter": 3, "batch_size": 16, "learning_rate": 0.02},
    ),
}  # fmt: skip
KINDS = EXAMPLES | OTHERS


def examples_of(*estimators: str) -> list[str]:
    """The names of the examples of some classes, by the names of these."""
    return [name for name in KINDS if name.replace(":", "-").split("-")[0] in estimators]


class _Machine(int):
    """Bytes of a machine that has enough, and notes what it is asked for."""

    def __new__(cls, asked: list[int]) -> "_Machine":
        machine = super().__new__(cls, 1 << 62)
        machine.asked = asked
        return machine

    def __lt__(self, needed: int) -> bool:
        self.asked.append(int(needed))
        return False


class _Bar:
    """A progress bar that notes what it counts, of how many, and how far it came."""

    def __init__(self, run: Run, total: int) -> None:
        self.label, self.total, self.n = run.label, total, 0

    def __enter__(self) -> "_Bar":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def update(self, n: int = 1) -> None:
        self.n += n

    def set_postfix(self, **_: object) -> None:
        pass


@contextmanager
def watched() -> Iterator[dict[str, Any]]:
    """Note what memory is asked for, and what progress bars show."""
    asked: list[int] = []
    bars: list[_Bar] = []
    told: dict[str, Any] = {}

    def machine() -> _Machine:
        return _Machine(asked)

    def bar(run: Run, total: int, **_: object) -> _Bar:
        bars.append(_Bar(run, total))
        return bars[-1]

    with (
        mock.patch.object(memory, "memory_of_machine", machine),
        mock.patch.object(Run, "bar", bar),
    ):
        yield told
    told |= {"memory": asked, "bars": [[bar.total, bar.n] for bar in bars], "bars count": [b.label for b in bars]}


def learned(name: str) -> dict[str, Any]:
    """What is kept of an example: rows, attributes, tables, where it would go on, memory and progress of its fit."""
    example = KINDS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with watched() as told:
            estimator = example.fit()
        told |= {"rows": example.output(estimator)}
        told |= {name: getattr(estimator, name) for name in sorted(dir(estimator)) if _is_fitted(name)}
        told |= {f"vectors of {i}": found.vectors for i, found in enumerate(tables(estimator))}
        if hasattr(estimator, "inverse_transform"):
            told["back"] = estimator.inverse_transform(told["rows"])
        if type(estimator) is skembed.EntityEmbeddingEncoder:  # each row by others
            told["crossed"] = example.new().fit_transform(*example.data)
        if example.further:
            told["further"] = example.output(estimator.partial_fit(*example.further))
            told["still further"] = example.output(estimator.partial_fit(*example.further))
    return {what: found for what, value in told.items() if (found := _summary(value)) is not None}


def _is_fitted(name: str) -> bool:
    return name.endswith("_") and not name.startswith("_") and name not in ("feature_names_in_", "weights_sha256_")


def _summary(value: Any) -> Any:
    """Numbers of an array, or words; None of what is neither."""
    if isinstance(value, str) or (isinstance(value, list | tuple) and value and isinstance(value[0], str)):
        return list(value)[:20] if not isinstance(value, str) else value
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        return None
    if not array.size:
        return None
    array = array.reshape(len(array) if array.ndim else 1, -1)
    parts = [array.shape, array[:N_ROWS, :N_COLUMNS].ravel(), np.sqrt((array**2).sum(axis=0))[:30]]
    return [[None if np.isnan(x) else float(f"{x:.6g}") for x in part] for part in parts]


def check_learned(name: str) -> None:
    """Fit an example and see whether it learns what is kept of it, where that is asked for."""
    if "SKEMBED_LONG_TESTS" not in os.environ:
        pytest.skip("two minutes in all, and nets learn other numbers on other machines; SKEMBED_LONG_TESTS=1 runs it")
    kept, found = json.loads(KEPT.read_text())[name], learned(name)
    assert found.keys() == kept.keys()
    for what, expected in kept.items():
        if not (isinstance(expected, list) and isinstance(expected[0], list)):
            assert found[what] == expected, what
            continue
        assert found[what][0] == expected[0], what
        numbers, these = (np.array([*of[what][1], *of[what][2]], dtype=float) for of in (kept, found))
        np.testing.assert_allclose(
            these, numbers, rtol=ROUNDING, atol=ROUNDING * np.nanmax(np.abs(numbers), initial=1e-6),
            err_msg=f"{what} of {name}; after a change that is meant to be one run tests/learned.py",
        )  # fmt: skip


if __name__ == "__main__":
    lines = [f"{json.dumps(name)}: {json.dumps(learned(name))}" for name in KINDS]
    KEPT.write_text("{\n" + ",\n".join(lines) + "\n}\n")
