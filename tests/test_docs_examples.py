"""Code of the documentation pages that is about a reader's own data: it runs on made-up data of those names."""

import contextlib
import gzip
import io
import re
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skembed
from skembed import EmbeddingTable

HERE = Path(__file__).parent
CODE = re.compile(r"```python\n(.*?)```", re.DOTALL)
RNG = np.random.default_rng(0)
WORDS = ["king", "queen", "man", "woman", "cat", "dog", "Haus", "Häuser", "misspelled", "Donaudampfschifffahrt"]
TEXTS = [" ".join(RNG.choice(WORDS, 12)) for _ in range(60)]
LABELS = ["even", "odd"] * 30
CITIES = ["Rome", "Oslo", "Ulm", "Bern", "Graz", "Linz"]
TABLE = EmbeddingTable(sorted({word for text in TEXTS for word in text.lower().split()}), RNG.normal(size=(10, 6)))
COMMON = {
    "np": np, "pd": pd, "make_pipeline": make_pipeline, "GridSearchCV": GridSearchCV, "Ridge": Ridge,
    "LogisticRegression": LogisticRegression, "StandardScaler": StandardScaler,
    "ColumnTransformer": ColumnTransformer, "EmbeddingTable": EmbeddingTable,
    "Word2VecVectorizer": skembed.Word2VecVectorizer, "PretrainedVectorizer": skembed.PretrainedVectorizer,
}  # fmt: skip


def cities(n=200):
    X = pd.DataFrame({"city": RNG.choice(CITIES, n), "job": RNG.choice(list("abcdef"), n)})
    return X, X["city"].map(CITIES.index) + RNG.normal(size=n)


def files_of_vectors(folder):
    """Files by the names that the pages read, each of the format that it has in the world."""
    TABLE.save(folder / "glove.6B.100d.txt", format="glove")
    with zipfile.ZipFile(folder / "glove.6B.zip", "w") as archive:
        archive.write(folder / "glove.6B.100d.txt", "glove.6B.100d.txt")
        archive.writestr("glove.6B.50d.txt", "a 1 2\n")
    with zipfile.ZipFile(folder / "glove.840B.300d.zip", "w") as archive:
        archive.write(folder / "glove.6B.100d.txt", "glove.840B.300d.txt")
    TABLE.save(folder / "GoogleNews-vectors.bin.gz", format="word2vec-binary")
    TABLE.save(folder / "cc.en.300.vec.gz", format="fasttext-vec")
    TABLE.save(folder / "table.skembed")
    german = skembed.FastTextVectorizer(300, min_n=5, max_n=5, max_iter=1, min_count=1, n_buckets=300, random_state=0)
    german.fit(TEXTS).embedding_.save(folder / "cc.de.300.bin", format="fasttext-bin")


def sets_of_questions(folder):
    lines = {
        "EN-WS-353-ALL.txt.gz": "king queen 9\ncat dog 7\nman cat 2\n",
        "EN-MEN-TR-3k.txt.gz": "king queen 9\ncat dog 7\nman cat 2\n",
        "sicktest.tsv.gz": "king queen\tqueen king\t5\ncat dog\tdog\t4\nman\tcat\t1\n",
        "questions-words.txt.gz": ": family\nman woman king queen\n",
    }
    for name, text in lines.items():
        with gzip.open(folder / name, "wt") as file:
            file.write(text)
    (folder / "battig.csv").write_text("word,category\nking,ruler\nqueen,ruler\ncat,animal\ndog,animal\n")


def of_the_guide(folder):
    """What each block of the guide is given, by how it begins, and what is smaller here."""
    X, y = cities()
    encoder = skembed.EntityEmbeddingEncoder(random_state=0).fit(X, X["city"])
    city = encoder.embeddings_["city"]
    staff = pd.DataFrame({"title": RNG.choice(["Police Officer III", "Nurse"], 90), "unit": RNG.choice(list("ab"), 90)})
    other = EmbeddingTable([*CITIES[:5], "Ghent"], RNG.normal(size=(6, city.embedding_dim)), metric="euclidean")
    vectors = RNG.normal(size=(60, 8))
    texts = {"texts": TEXTS, "labels": LABELS, "documents": TEXTS, "new_texts": TEXTS[:9]}
    map_of = {"table": TABLE, "kind_of_key": list("ab") * 5, "count_of_key": range(10)}
    return {
        "from skembed import EntityEmbeddingEncoder": {"X_train": X[:150], "y_train": y[:150], "X_test": X[150:]},
        "GridSearchCV(make_pipeline(EntityEmb": {"EntityEmbeddingEncoder": skembed.EntityEmbeddingEncoder},
        "from skembed import CooccurrenceEncoder": {"X_all": staff, "X": staff},
        "tables = Cooc": {"X_all": staff, "X_labelled": staff[:50], "y_labelled": np.arange(50) % 7},
        'table = encoder.embeddings_["city"]': {"encoder": encoder, "other": other},
        "from skembed import EmbeddingTable\n\nglove": {"vocabulary": WORDS},
        "from skembed.testing": {"MyVectorizer": skembed.Word2VecVectorizer},
        "ColumnTransformer([": {"table": TABLE},
        "from skembed import EmbeddingDisplay": map_of,
        "from skembed.inspection import eval": {"vectorizer": skembed.PretrainedVectorizer(TABLE).fit(TEXTS)},
        "from skembed.inspection import sim": {"X": TEXTS},
        "index = ": {"table": EmbeddingTable(["king", *range(99)], RNG.normal(size=(100, 6)))},
        "from skembed import CCA": dict.fromkeys(["image_vectors", "name_vectors", "new_images", "new_names"], vectors),
        "from skembed import Neigh": {"usual_rows": vectors, "new_rows": vectors[:3]},
        "": texts,
    }


def of_graphs(_):
    nodes = ["Ulm", *CITIES, *(f"n{i}" for i in range(20))]
    nodes = list(dict.fromkeys(nodes))
    pairs = [(a, b) for i, a in enumerate(nodes) for b in nodes[i + 1 :] if RNG.random() < 0.3]
    frame = pd.DataFrame([(*pair, 2.0) for pair in pairs], columns=["from", "to", "minutes"])
    known, _ = skembed.graph.read_edges(pairs)
    n = known.shape[0]
    return {
        "from skembed import NodeEmbedder": {"frame": frame},
        "from sklearn.linear_model": {"labels": np.arange(n) % 3, "train": np.arange(n - 5)},
        "embedder.transform(rows)": {
            "rows": np.eye(n)[:2],
            "new_graph": pytest.importorskip("networkx").Graph([("new", "Ulm")]),
        },
        "from skembed.inspection": {"train": sparse.csr_matrix(known), "held_out": pairs[:5], "train_edges": pairs[5:]},
    }


def of_sequences(_):
    rows = [(case, time, RNG.choice(["open", "check", "close"])) for case in range(40) for time in range(case % 5 + 1)]
    log = pd.DataFrame(rows, columns=["case", "time", "step"])
    return {"": {"log": log, "new_log": log[:20], "test_log": log[20:], "has_failed": np.arange(40) % 2}}


PAGES = {
    "guide.md": of_the_guide,
    "graphs.md": of_graphs,
    "sequences.md": of_sequences,
    "formats.md": lambda _: {"": {"vocabulary": WORDS}},
}
SMALLER = {  # what would take long, or lies elsewhere
    "path/to/all-MiniLM-L6-v2": str(HERE / "text" / "tiny_bert"),
    "FastTextVectorizer(100, ": "FastTextVectorizer(100, n_buckets=100, min_count=1, ",
    "embedding_dim=100": "embedding_dim=8",
    "[50, 100, 200]": "[8]",
    'ProjectionEmbedder("autoencoder", 2, ': 'ProjectionEmbedder("autoencoder", 2, max_iter=2, ',
    "cv=3": "cv=2",
}
ELSEWHERE = ("ImageEmbedder()", "gensim.models")  # weights of a package, and a library, that need not be there


@pytest.mark.slow
@pytest.mark.parametrize("name", PAGES)
@pytest.mark.filterwarnings("ignore")
def test_code_about_data_of_ones_own_runs(name, tmp_path, monkeypatch):
    for package in ("transformers", "matplotlib", "usearch", "networkx"):
        pytest.importorskip(package)
    import matplotlib

    matplotlib.use("agg")
    files_of_vectors(tmp_path)
    sets_of_questions(tmp_path)
    monkeypatch.chdir(tmp_path)
    given, names = PAGES[name](tmp_path), dict(COMMON)
    text = (HERE.parent / "docs" / name).read_text(encoding="utf-8")
    blocks = CODE.findall(text)
    assert len(blocks) > 2
    for block in blocks:
        if any(what in block for what in ELSEWHERE):
            continue
        for begin, values in given.items():
            if block.startswith(begin):
                names |= values
        for long, short in SMALLER.items():
            block = block.replace(long, short)
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(block, f"{name}: {block[:60]!r}", "exec"), names)  # the page is ours
