"""Small fitted estimators of every kind, what they are applied to, and how further rows are given to them."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

import skembed

RNG = np.random.default_rng(0)
FRAME = pd.DataFrame(
    {
        "city": RNG.choice(["Ulm", "Graz", "Köln", None], 400),
        "size": RNG.choice(["s", "m", "l"], 400),
        "code": RNG.integers(30, size=400),
    }
)
NUMBER = RNG.normal(size=400) + 2.0 * (FRAME["size"] == "m") * (FRAME["city"] == "Graz") - (FRAME["size"] == "l")
WORDS = ["the", "cat", "sat", "on", "a", "mat", "and", "the", "new", "york", "dog", "ran", "after", "one", "bird"]
TEXTS = [" ".join(RNG.choice(WORDS, 12)) for _ in range(120)]
MATRIX = RNG.normal(size=(60, 5))


class Example(NamedTuple):
    """How an estimator is made and used.

    Attributes
    ----------
    fit : callable
        Returns a new fitted one.
    X : object
        For `method`.
    method : str
    further : tuple
        Arguments of `partial_fit`; empty where there is none.
    """

    fit: Callable[[], Any]
    X: Any
    method: str = "transform"
    further: tuple = ()

    def output(self, estimator: Any) -> np.ndarray:
        return np.asarray(getattr(estimator, self.method)(self.X))


def words(cls: Any, **options: Any) -> Any:
    return cls(embedding_dim=4, min_count=1, max_iter=1, random_state=0, **options)


def table() -> skembed.EmbeddingTable:
    return skembed.EmbeddingTable([*WORDS[:5], None], np.arange(24.0).reshape(6, 4) / 7)


EXAMPLES: dict[str, Example] = {
    "EntityEmbeddingEncoder": Example(
        lambda: skembed.EntityEmbeddingEncoder(random_state=0).fit(FRAME, NUMBER), FRAME[:50], further=(FRAME, -NUMBER)
    ),
    "EntityEmbeddingEncoder-classes": Example(
        lambda: skembed.EntityEmbeddingEncoder(2, random_state=0).fit(FRAME, FRAME["size"]), FRAME[:50],
        further=(FRAME, FRAME["size"]),
    ),
    "EntityEmbeddingEncoder-net": Example(
        lambda: skembed.EntityEmbeddingEncoder(hidden_layer_sizes=(4,), max_iter=1, random_state=0).fit(FRAME, NUMBER),
        FRAME[:50], further=(FRAME, -NUMBER),
    ),
    "CooccurrenceEncoder": Example(lambda: skembed.CooccurrenceEncoder(random_state=0).fit(FRAME), FRAME[:50]),
    "CooccurrenceEncoder-skip-gram": Example(
        lambda: skembed.CooccurrenceEncoder(method="skip-gram", max_iter=1, random_state=0).fit(FRAME), FRAME[:50],
        further=(FRAME[::-1],),
    ),
    "Word2VecVectorizer": Example(
        lambda: words(skembed.Word2VecVectorizer, pooling=["tfidf", "sif"], phrases=1, phrase_threshold=1.0).fit(TEXTS),
        TEXTS[:20], further=(TEXTS[60:],),
    ),
    "GloVeVectorizer": Example(lambda: words(skembed.GloVeVectorizer).fit(TEXTS), TEXTS[:20]),
    "FastTextVectorizer": Example(
        lambda: words(skembed.FastTextVectorizer, n_buckets=50, stop_words=["one"]).fit(TEXTS), [*TEXTS[:20], "birds"],
        further=(TEXTS[60:],),
    ),
    "NNLMVectorizer": Example(lambda: words(skembed.NNLMVectorizer, hidden_layer_sizes=(3,)).fit(TEXTS), TEXTS[:20]),
    "PretrainedVectorizer": Example(lambda: skembed.PretrainedVectorizer(table()).fit(TEXTS), TEXTS[:20]),
    "PretrainedVectorizer-columns": Example(
        lambda: skembed.PretrainedVectorizer(table()).fit(pd.DataFrame({"a": WORDS, "b": WORDS[::-1]})),
        pd.DataFrame({"a": WORDS[:4], "b": [*WORDS[:3], None]}),
    ),
    "FastTextClassifier": Example(
        lambda: words(skembed.FastTextClassifier, max_n=3, n_buckets=40).fit(TEXTS, ["x", "y", "z"] * 40), TEXTS[:20],
        "predict_proba",
    ),
    "FastTextClassifier-tree": Example(
        lambda: words(skembed.FastTextClassifier, loss="hierarchical-softmax").fit(TEXTS, [1, 2, 3] * 40), TEXTS[:20],
        "predict_proba",
    ),
    "ProjectionEmbedder": Example(
        lambda: skembed.ProjectionEmbedder(embedding_dim=2).fit(MATRIX), MATRIX[:9], further=(MATRIX[::-1],)
    ),
    "ProjectionEmbedder-increments": Example(
        lambda: skembed.ProjectionEmbedder(embedding_dim=2).partial_fit(MATRIX[:30]), MATRIX[:9],
        further=(MATRIX[30:],),
    ),
    "ProjectionEmbedder-lda": Example(
        lambda: skembed.ProjectionEmbedder(method="lda", embedding_dim=1).fit(MATRIX, [0, 1] * 30), MATRIX[:9]
    ),
    "ProjectionEmbedder-autoencoder": Example(
        lambda: skembed.ProjectionEmbedder(
            method="autoencoder", embedding_dim=2, hidden_layer_sizes=(4,), max_iter=1, random_state=0
        ).fit(FRAME),
        FRAME[:50],
    ),
}  # fmt: skip
