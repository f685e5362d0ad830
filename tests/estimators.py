"""Examples of every public estimator: one for each method or loss that has a fitted state of its own.

Tests that concern all estimators go through `EXAMPLES`; tests/test_running.py fails where a public one is missing.
"""

import hashlib
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.base import clone

import skembed
from skembed.table.subwords import Subwords

RNG = np.random.default_rng(0)
FRAME = pd.DataFrame(
    {
        "city": RNG.choice(["Ulm", "Graz", "Köln", None], 400),
        "size": RNG.choice(["s", "m", "l"], 400),
        "code": RNG.integers(30, size=400),
    }
)
NUMBER = RNG.normal(size=400) + 6.0 * (FRAME["size"] == "m") * (FRAME["city"] == "Graz") - (FRAME["size"] == "l")
WORDS = ["the", "cat", "sat", "on", "a", "mat", "and", "the", "new", "york", "dog", "ran", "after", "one", "bird"]
TEXTS = [" ".join(RNG.choice(WORDS, 12)) for _ in range(120)]
MATRIX = RNG.normal(size=(60, 5))
BASKETS = [[str(item) for item in sorted(set((RNG.integers(6, size=5) + 3 * (row % 2)).tolist()))] for row in range(80)]
CLASSES = ["x", "y", "z"]
LINKS = np.triu(RNG.random((40, 40)) < 0.15, 1).astype(np.float64)
LINKS += LINKS.T
PICTURES = [RNG.integers(256, size=(9 + row, 14 - row, 3), dtype=np.uint8) for row in range(6)]
# from where tests run, so that files of fitted examples name no place of one machine
ONNX = os.path.relpath(Path(__file__).parent / "image" / "tiny.onnx")
EVENTS_RNG = np.random.default_rng(1)  # one of its own: what stands above may change
CASES = np.empty((70, 3), dtype=object)  # steps and their costs, and what kind the case is of
for case in range(len(CASES)):
    length = int(EVENTS_RNG.integers(9)) if case else 0
    CASES[case, 0] = EVENTS_RNG.choice(["open", "call", "check", "close"], length).tolist()
    CASES[case, 1] = np.where(EVENTS_RNG.random(length) < 0.2, np.nan, EVENTS_RNG.normal(size=length))
    CASES[case, 2] = ["new", "old", None][case % 3]
TRANSFORMERS = importlib.util.find_spec("transformers") is not None  # some models need that package


class Example(NamedTuple):
    """How an estimator is made and used.

    Attributes
    ----------
    estimator : estimator
        Not fitted.
    data : tuple
        Arguments of `fit`.
    X : object
        What `method` is called with.
    method : str
    further : tuple
        Arguments of `partial_fit`; empty where there is none.
    passes : bool
        Whether `fit` goes over the data more than once.
    begins : str
        The method that fits it.
    runs_model : bool
        Whether a model of torch makes the rows.
    """

    estimator: Any
    data: tuple
    X: Any
    method: str = "transform"
    further: tuple = ()
    passes: bool = True
    begins: str = "fit"
    runs_model: bool = False

    def new(self, **parameters: Any) -> Any:
        """A new one that is not fitted."""
        return clone(self.estimator).set_params(**parameters)

    def fit(self, **parameters: Any) -> Any:
        """A new fitted one."""
        return getattr(self.new(**parameters), self.begins)(*self.data)

    def output(self, estimator: Any) -> np.ndarray:
        """What the fitted estimator makes of `X`."""
        return np.asarray(getattr(estimator, self.method)(self.X))

    def answers(self, estimator: Any) -> str:
        """A hash of all that the fitted estimator says, bit by bit: outputs, their inverse, names, neighbours."""
        said = [self.output(estimator)]
        if hasattr(estimator, "inverse_transform"):
            said.append(np.asarray(estimator.inverse_transform(said[0])))
        if getattr(estimator, "event_", None) is not None:
            said += estimator.predict_next(self.X, 2)
        for method in ("predict", "perplexity"):
            if hasattr(estimator, method):
                said.append(np.asarray(getattr(estimator, method)(self.X)))
        if hasattr(estimator, "get_feature_names_out"):
            said.append(estimator.get_feature_names_out())
        said += [found.nearest(found.vectors[0], 2) for found in tables(estimator)]
        digest = hashlib.sha256()
        for value in said:
            exact = isinstance(value, np.ndarray) and value.dtype.kind in "fiub"
            digest.update(value.dtype.str.encode() + value.tobytes() if exact else repr(_plain(value)).encode())
        return digest.hexdigest()


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray) else value


def tables(estimator: Any) -> list[skembed.EmbeddingTable]:
    """The tables that a fitted estimator shows."""
    found = list(getattr(estimator, "embeddings_", {}).values())
    return found if found or not hasattr(estimator, "embedding_") else [estimator.embedding_]


def table() -> skembed.EmbeddingTable:
    return skembed.EmbeddingTable([*WORDS[:5], None], np.arange(24.0).reshape(6, 4) / 7)


def subwords() -> skembed.SubwordTable:
    buckets = Subwords(np.arange(200.0).reshape(50, 4) % 7, min_n=3, max_n=5, n_buckets=50)
    return skembed.SubwordTable.from_rows(WORDS[:5], np.arange(20.0).reshape(5, 4) / 7, buckets)


def encoder(*data: Any, further: tuple = (), passes: bool = True, **options: Any) -> Example:
    estimator = skembed.EntityEmbeddingEncoder(random_state=0).set_params(**options)
    return Example(estimator, data, data[0][:50], further=further, passes=passes)


def cooccurrences(method: str, further: tuple = ()) -> Example:
    estimator = skembed.CooccurrenceEncoder(method=method, max_iter=2, random_state=0)
    return Example(estimator, (FRAME,), FRAME[:50], further=further, passes=method != "ppmi-svd")


def words(cls: Any, *, X: Any = TEXTS[:20], further: tuple = (), **options: Any) -> Example:
    return Example(
        cls(embedding_dim=4, min_count=1, max_iter=2, random_state=0).set_params(**options),
        (TEXTS,),
        X,
        further=further,
    )


def classifier(labels: list, **options: Any) -> Example:
    estimator = skembed.FastTextClassifier(embedding_dim=4, max_iter=2, random_state=0).set_params(**options)
    further = (TEXTS[60:], labels[60:])
    return Example(estimator, (TEXTS, labels), TEXTS[:20], "predict_proba", further)


def pretrained(source: Any, data: Any, X: Any, **options: Any) -> Example:
    estimator = skembed.PretrainedVectorizer(source, max_iter=2, random_state=0, **options)
    return Example(estimator, (data,), X, passes=estimator.trainable)


def projection(method: str, *y: Any, embedding_dim: int = 2, begins: str = "fit", **options: Any) -> Example:
    estimator = skembed.ProjectionEmbedder(method, embedding_dim, random_state=0).set_params(**options)
    first = MATRIX[:30] if begins == "partial_fit" else MATRIX
    further = {"fit": (MATRIX[::-1],), "partial_fit": (MATRIX[30:],)}[begins] if method == "pca" else ()
    return Example(estimator, (first, *y), MATRIX[:9], further=further, passes=False, begins=begins)


def interactions(method: str) -> Example:
    estimator = skembed.InteractionEmbedder(3, method=method, random_state=0)
    return Example(estimator, (BASKETS,), [*BASKETS[:9], [], ["no item"]], passes=method in ("ials", "item2vec"))


def contextual(**options: Any) -> Example:
    source = Path(__file__).parent / "text" / "tiny_bert"
    return Example(
        skembed.ContextualVectorizer(str(source), **options), (TEXTS,), TEXTS[:20], passes=False, runs_model=True
    )


def nodes(method: str = "prone", **options: Any) -> Example:
    estimator = skembed.NodeEmbedder(4, method=method, random_state=0).set_params(**options)
    return Example(estimator, (LINKS,), LINKS[:9], passes="max_iter" in options)


def anomalies(X: np.ndarray = MATRIX, **options: Any) -> Example:
    estimator = skembed.NeighborAnomalyDetector(3, novelty=True, **options)
    return Example(estimator, (X,), X[:9] + 0.5, "score_samples", passes=False)


def pairs(**options: Any) -> Example:
    return Example(
        skembed.CCAEmbedder(**options), (MATRIX, MATRIX[:, :3] ** 2 + MATRIX[:, 1:4]), MATRIX[:9], passes=False
    )


def sequences(*y: Any, **options: Any) -> Example:
    estimator = skembed.SequenceEmbedder(4, max_iter=2, random_state=0).set_params(**options)
    return Example(estimator, (CASES, *y), CASES[:9])


EXAMPLES: dict[str, Example] = {
    "EntityEmbeddingEncoder": encoder(FRAME, NUMBER, further=(FRAME, -NUMBER)),
    "EntityEmbeddingEncoder-effects": encoder(
        FRAME[["city", "code"]], NUMBER, categorical_features=[0], remainder="passthrough", max_iter=0,
        further=(FRAME[["city", "code"]], -NUMBER), passes=False,
    ),
    "EntityEmbeddingEncoder-classes": encoder(
        FRAME, FRAME["size"], embedding_dim=2, further=(FRAME, FRAME["size"]), passes=False
    ),
    "EntityEmbeddingEncoder-net": encoder(
        FRAME, NUMBER, hidden_layer_sizes=(4,), max_iter=2, further=(FRAME, -NUMBER)
    ),
    "CooccurrenceEncoder": cooccurrences("ppmi-svd"),
    "CooccurrenceEncoder-skip-gram": cooccurrences("skip-gram", further=(FRAME[::-1],)),
    "CooccurrenceEncoder-glove": cooccurrences("glove"),
    "Word2VecVectorizer": words(
        skembed.Word2VecVectorizer, pooling=["tfidf", "sif"], phrases=1, phrase_threshold=1.0, further=(TEXTS[60:],)
    ),
    "Word2VecVectorizer-tree": words(
        skembed.Word2VecVectorizer, architecture="cbow", loss="hierarchical-softmax", further=(TEXTS[60:],)
    ),
    "GloVeVectorizer": words(skembed.GloVeVectorizer),
    "Doc2VecVectorizer": words(skembed.Doc2VecVectorizer, phrases=1, phrase_threshold=1.0),
    "Doc2VecVectorizer-words": words(skembed.Doc2VecVectorizer, dbow_words=True),
    "Doc2VecVectorizer-dm": words(skembed.Doc2VecVectorizer, method="pv-dm"),
    "FastTextVectorizer": words(
        skembed.FastTextVectorizer, n_buckets=50, stop_words=["one"], X=[*TEXTS[:20], "birds"], further=(TEXTS[60:],)
    ),
    "FastTextVectorizer-tree": words(
        skembed.FastTextVectorizer, architecture="cbow", loss="hierarchical-softmax", n_buckets=50,
        further=(TEXTS[60:],),
    ),
    "FastTextVectorizer-softmax": words(
        skembed.FastTextVectorizer, loss="softmax", n_buckets=50, further=(TEXTS[60:],)
    ),
    "NNLMVectorizer": words(skembed.NNLMVectorizer, hidden_layer_sizes=(3,)),
    "PretrainedVectorizer": pretrained(table(), TEXTS, TEXTS[:20]),
    "PretrainedVectorizer-columns": pretrained(
        table(), pd.DataFrame({"a": WORDS, "b": WORDS[::-1]}), pd.DataFrame({"a": WORDS[:4], "b": [*WORDS[:3], None]})
    ),
    "PretrainedVectorizer-subwords": pretrained(subwords(), TEXTS, [*TEXTS[:20], "birds"]),
    "PretrainedVectorizer-pca": pretrained(
        subwords(), pd.DataFrame({"a": WORDS}), pd.DataFrame({"a": [*WORDS[:4], "birds", None]}), postprocess="pca"
    ),
    "PretrainedVectorizer-trainable": pretrained(table(), TEXTS, TEXTS[:20], trainable=True, architecture="cbow"),
    "FastTextClassifier": classifier(CLASSES * 40, max_n=3, n_buckets=40),
    "FastTextClassifier-tree": classifier([1, 2, 3] * 40, loss="hierarchical-softmax"),
    "FastTextClassifier-negative-sampling": classifier(
        CLASSES * 40, loss="negative-sampling", word_ngrams=2, n_buckets=40
    ),
    "FastTextClassifier-one-vs-all": classifier(CLASSES * 40, loss="one-vs-all"),
    "ProjectionEmbedder": projection("pca"),
    "ProjectionEmbedder-increments": projection("pca", begins="partial_fit"),
    "ProjectionEmbedder-lda": projection("lda", [0, 1] * 30, embedding_dim=1),
    "ProjectionEmbedder-random": projection("random", method_params={"density": 0.5}),
    "ProjectionEmbedder-nca": projection("nca", [0, 1] * 30, max_iter=3),
    "ProjectionEmbedder-svd": projection("svd"),
    "ProjectionEmbedder-autoencoder": Example(
        skembed.ProjectionEmbedder("autoencoder", 2, hidden_layer_sizes=(4,), max_iter=2, random_state=0),
        (FRAME,), FRAME[:50],
    ),
    "InteractionEmbedder": interactions("ease"),
    "InteractionEmbedder-ials": interactions("ials"),
    "InteractionEmbedder-svd": interactions("svd"),
    "InteractionEmbedder-item2vec": interactions("item2vec"),
    "InteractionEmbedder-popularity": interactions("popularity"),
    **({"ContextualVectorizer": contextual(layer="mix", pooling=["mean", "last"])} if TRANSFORMERS else {}),
    "NodeEmbedder": nodes(),
    "NodeEmbedder-netmf": nodes("netmf"),
    "NodeEmbedder-node2vec": nodes("node2vec", p=0.5, q=2.0, max_iter=2),
    "NodeEmbedder-deepwalk": nodes("deepwalk", max_iter=2),
    "NodeEmbedder-spectral": nodes("spectral"),
    "NodeEmbedder-random-projection": nodes("random-projection"),
    "ImageEmbedder": Example(skembed.ImageEmbedder(ONNX), (PICTURES,), PICTURES, passes=False),
    "ImageDescriptors": Example(skembed.ImageDescriptors(2), (PICTURES,), PICTURES, passes=False),
    "CCAEmbedder": pairs(),
    "CCAEmbedder-given": pairs(embedding_dim=2, shrinkage=0.5),
    "NeighborAnomalyDetector": anomalies(),
    "NeighborAnomalyDetector-plain": anomalies(whiten=False),
    "NeighborAnomalyDetector-wide": anomalies(MATRIX.reshape(6, 50)),
    "NeighborAnomalyDetector-square": anomalies(MATRIX[:5]),
    "SequenceEmbedder": sequences(),
    "SequenceEmbedder-counts": sequences(early_stopping=False, n_previous=2),
    "SequenceEmbedder-gru": sequences((CLASSES * 24)[:70], cell="gru", pooling="mean"),
}  # fmt: skip


def in_new_process(code: str, **environment: str) -> Any:
    """Run code in a new process in which `estimators` can be imported; return what it prints, as JSON has it."""
    here = Path(__file__).parent
    path = os.pathsep.join([str(here), str(Path(skembed.__file__).parents[1])])
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", f"import json, sys\n{code}"],
        capture_output=True, text=True, check=False, timeout=600, env=os.environ | {"PYTHONPATH": path} | environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])
