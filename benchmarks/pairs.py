"""Pairs: images to names they were never trained on, and words of two tables, by CCAEmbedder beside its peers.

    python benchmarks/pairs.py --wordllama DIRECTORY > benchmarks/results/pairs.txt

Images to names. Data: ../shared/data/image, a picture of each of 205 classes of ImageNet through EfficientNet-Lite0 and
SqueezeNet 1.1 (`skembed.ImageEmbedder`), and the names of the classes, each the mean of the vectors of its words in the
table of the wheel wordllama 0.4.0.post1, unpacked in --wordllama. Five folds of classes: what is learned from four of
them finds the names of the pictures of the fifth among its 41 names, and folds are drawn ten times. Chance is 1 / 41
and 5 / 41. What stands for a picture (of either net the pooled features or logits, of either and of both, their logits
at unit spread and added, the root of the softmax at a few temperatures) and for a name (its first synonym, all words,
the mean of all synonyms) is chosen by what the training folds find of each other. Both sides are at unit length.

Words of two tables. Data: ../shared/data/text/wikipedia_en_100MB.txt.gz, its even and its odd articles, a
Word2VecVectorizer (100 dimensions, 5 passes) on each, kept in --tables where that is given: as it is by default, and
with word2vec's own subsample=1e-3, which leaves more for an alignment to mend. The 5,000 most frequent
words that both have are the dictionary; precision@1 is over every tenth of the other shared words, among all words of
the second table. Nothing is chosen on these.

Peers: orthogonal Procrustes, scikit-learn's PLSSVD and CCA, ridge regression (penalty by cross-validation).
"""

import argparse
import gzip
import io
import tarfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from runs import describe
from scipy.linalg import orthogonal_procrustes
from sklearn.cross_decomposition import CCA, PLSSVD
from sklearn.linear_model import RidgeCV

import skembed
from skembed import CCAEmbedder, EmbeddingTable, Word2VecVectorizer
from skembed.inspection import hubness
from skembed.pairs import translate

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
DICTIONARY, TAKEN = 5_000, 10
DRAWS = 10  # of the five folds: 205 pictures are few, and one draw moves hit@1 by .02
NETS = {"EfficientNet": None, "SqueezeNet": DATA / "image" / "squeezenet1_1_torchvision_fp16.npz"}
TEMPERATURES = 0.5, 1.0, 2.0  # of logits at unit spread
DIM = 30  # of scikit-learn's, which take a number: as many as its iterations settle for

Mapped = tuple[Callable[[np.ndarray], np.ndarray], Callable[[np.ndarray], np.ndarray]]


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


# ---------------------------------------------------------------------------------------------------------- methods


def canonical(X: np.ndarray, Y: np.ndarray) -> Mapped:
    embedder = CCAEmbedder().fit(X, Y)
    return embedder.transform, lambda rows: embedder.transform(None, rows)


def procrustes(X: np.ndarray, Y: np.ndarray) -> Mapped:
    width = max(X.shape[1], Y.shape[1])

    def wide(rows: np.ndarray) -> np.ndarray:
        return np.pad(rows, ((0, 0), (0, width - rows.shape[1])))

    x_mean, y_mean = X.mean(axis=0), Y.mean(axis=0)
    turn = orthogonal_procrustes(wide(X - x_mean), wide(Y - y_mean))[0]
    return lambda rows: wide(rows - x_mean) @ turn, lambda rows: wide(rows - y_mean)


def procrustes_of_unit_length(X: np.ndarray, Y: np.ndarray) -> Mapped:
    """As in the paper of CSLS: rows of length 1, not centred."""
    if X.shape[1] != Y.shape[1]:
        return procrustes(X, Y)
    turn = orthogonal_procrustes(unit(X), unit(Y))[0]
    return lambda rows: unit(rows) @ turn, unit


def ridge(X: np.ndarray, Y: np.ndarray) -> Mapped:
    x_mean, y_mean = X.mean(axis=0), Y.mean(axis=0)
    model = RidgeCV(np.logspace(-4, 4, 17)).fit(X - x_mean, Y - y_mean)
    return lambda rows: model.predict(rows - x_mean), lambda rows: rows - y_mean


def of_scikit_learn(cls: type) -> Callable[[np.ndarray, np.ndarray], Mapped]:
    def learn(X: np.ndarray, Y: np.ndarray) -> Mapped:
        model = cls(min(DIM, *X.shape, Y.shape[1]))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # CCA says that it has not converged
            model.fit(X, Y)
        blank_x, blank_y = X[:1], Y[:1]

        def both(rows: np.ndarray, others: np.ndarray) -> tuple:
            n = max(len(rows), len(others))
            return model.transform(np.resize(rows, (n, rows.shape[1])), np.resize(others, (n, others.shape[1])))

        return lambda rows: both(rows, blank_y)[0], lambda rows: both(blank_x, rows)[1]

    return learn


METHODS = {
    "CCAEmbedder": canonical,
    "Procrustes": procrustes,
    "Procrustes, unit": procrustes_of_unit_length,
    "ridge": ridge,
    "PLSSVD": of_scikit_learn(PLSSVD),
    "CCA": of_scikit_learn(CCA),
}


def as_table(keys: list, rows: np.ndarray) -> EmbeddingTable:
    return EmbeddingTable(keys, rows.astype(np.float32))


# ------------------------------------------------------------------------------------------------- images to names


def pictures() -> tuple[dict[str, np.ndarray], list[str]]:
    """Vectors of the pictures, and what their classes are called."""
    from PIL import Image

    with gzip.open(DATA / "image" / "synset_words.txt.gz", "rt") as lines:
        names = dict(line.strip().split(" ", 1) for line in lines)
    images, found = [], []
    with tarfile.open(DATA / "image" / "imagenet_sample_206_256.tar.gz") as archive:
        for member in sorted(archive.getmembers(), key=lambda member: member.name):
            if member.isfile():
                images.append(Image.open(io.BytesIO(archive.extractfile(member).read())).convert("RGB"))
                found.append(names[Path(member.name).name.split("_")[0]])
    sides: dict[str, np.ndarray] = {}
    logits = {}
    for name, source in NETS.items():
        sides[f"{name} pool"] = skembed.ImageEmbedder(source).fit_transform(images)
        sides[f"{name} logits"] = skembed.ImageEmbedder(source, layer="logits").fit_transform(images)
        logits[name] = sides[f"{name} logits"] / sides[f"{name} logits"].std()
    logits["both"] = logits["EfficientNet"] + logits["SqueezeNet"]
    for name, rows in logits.items():
        for temperature in TEMPERATURES:
            raised = np.exp((rows - rows.max(axis=1, keepdims=True)) / temperature)
            sides[f"{name} softmax({temperature})"] = (raised / raised.sum(axis=1, keepdims=True)) ** 0.5
    return sides, found


def name_vectors(names: list[str], folder: Path) -> dict[str, np.ndarray]:
    """Vectors of the names: of the first synonym, of all words, and the mean of those of the synonyms."""
    from sentences import wordllama

    table, pieces = wordllama(folder)

    def mean(text: str) -> np.ndarray:
        return table.lookup(pieces(text)).mean(axis=0)

    return {
        "first name": np.array([mean(name.split(",")[0]) for name in names]),
        "all words": np.array([mean(name) for name in names]),
        "synonyms": np.array([unit(np.array([mean(one) for one in name.split(",")])).mean(axis=0) for name in names]),
    }


def hits(method: Callable, X: np.ndarray, Y: np.ndarray, train: np.ndarray, test: np.ndarray) -> list[float]:
    """hit@1 and hit@5 among the test names, by cosine and by CSLS."""
    to_x, to_y = method(X[train], Y[train])
    images, names = as_table(test.tolist(), to_x(X[test])), as_table(test.tolist(), to_y(Y[test]))
    found = []
    for metric in ("cosine", "csls"):
        ranked = translate(images, names, k=5, metric=metric)
        places = [[key for key, _ in one] for one in ranked]
        found += [np.mean([one[0] == key for key, one in zip(test, places)])]
        found += [np.mean([key in one for key, one in zip(test, places)])]
    return found


def images_to_names(folder: Path) -> None:
    sides, names = pictures()
    choices = {
        f"{layer}, {kind}": (unit(X), unit(Y))
        for layer, X in sides.items()
        for kind, Y in name_vectors(names, folder).items()
    }
    n = len(names)
    draws = [folds_of(n, draw) for draw in range(DRAWS)]
    inner = [inner_scores(choices, folds) for folds in draws]
    chosen = [[max(scores, key=lambda choice: scores[choice][f]) for f in range(5)] for scores in inner]
    print(f"images to names, {n} classes in 5 folds; chance is {1 / 41:.3f} and {5 / 41:.3f}")
    print("mean reciprocal rank within the training folds of the first draw of folds:")
    for choice, scores in inner[0].items():
        print(f"  {choice:40s} {np.mean(scores):.3f}, chosen in {chosen[0].count(choice)} folds")
    print(f"\n{'':44s}{'cosine':>16s}{'CSLS':>16s}\n{'':44s}" + f"{'hit@1':>8s}{'hit@5':>8s}" * 2)
    for name, method in METHODS.items():
        found = np.array(
            [
                [hits(method, *choices[choice], train, fold) for choice, (train, fold) in zip(of_draw, folds)]
                for of_draw, folds in zip(chosen, draws)
            ]
        )  # (draws, folds, 4)
        print(line(f"{name}, as the training folds chose", found[0].mean(axis=0)))
        print(line(f"  mean of {DRAWS} draws of folds", found.mean(axis=(0, 1))))
        if method is canonical:
            print("  hit@1 by CSLS of each:", " ".join(f"{value:.3f}" for value in found[:, :, 2].mean(axis=1)))
    for choice, (X, Y) in choices.items():
        found = [hits(canonical, X, Y, train, fold) for train, fold in draws[0]]
        print(line(f"CCAEmbedder, {choice}", np.mean(found, axis=0)))
    for choice, (X, Y) in choices.items():
        found = [hits(canonical, X, Y, np.arange(n), fold) for _, fold in draws[0]]
        print(line(f"with the true pairs, {choice}", np.mean(found, axis=0)))


def folds_of(n: int, draw: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Training and test rows of five folds."""
    folds = np.array_split(np.random.default_rng(draw).permutation(n), 5)
    return [(np.setdiff1d(np.arange(n), fold), fold) for fold in folds]


def inner_scores(choices: dict, folds: list) -> dict[str, list[float]]:
    """Of each choice and fold, how well partners are found within the training rows."""
    return {
        choice: [max(score for *_, score in CCAEmbedder().fit(X[train], Y[train]).trials_) for train, _ in folds]
        for choice, (X, Y) in choices.items()
    }


def line(name: str, values: np.ndarray) -> str:
    return f"{name:44s}" + "".join(f"{value:8.3f}" for value in values)


# --------------------------------------------------------------------------------------------- words of two tables


def two_tables(folder: Path | None, subsample: float | str) -> list[EmbeddingTable]:
    paths = [None, None] if folder is None else [folder / f"half{half}-{subsample}" for half in range(2)]
    tables = []
    for half, path in enumerate(paths):
        if path is not None and path.exists():
            tables.append(EmbeddingTable.load(path))
            continue
        with gzip.open(DATA / "text" / "wikipedia_en_100MB.txt.gz", "rt") as lines:
            texts = list(lines)[half::2]
        tables.append(Word2VecVectorizer(100, max_iter=5, subsample=subsample, random_state=half).fit(texts).embedding_)
        if path is not None:
            tables[-1].save(path)
    return tables


def words(folder: Path | None, subsample: float | str) -> None:
    source, target = two_tables(folder, subsample)
    shared = [word for word in source.keys.tolist() if word in target]
    dictionary, rest = shared[:DICTIONARY], shared[DICTIONARY::TAKEN]
    X, Y = source.lookup(dictionary).astype(np.float64), target.lookup(dictionary).astype(np.float64)
    sizes = f"{len(source)} and {len(target)} words, subsample={subsample}"
    print(f"\nwords of two tables of {sizes}; {len(dictionary)} pairs, {len(rest)} sought")
    print(f"\n{'precision@1':20s}{'cosine':>8s}{'CSLS':>8s}{'s to learn':>12s}{'hubness, cosine':>17s}")
    for name, method in METHODS.items():
        started = time.process_time()
        to_x, to_y = method(X, Y)
        seconds = time.process_time() - started
        left = as_table(source.keys.tolist(), to_x(source.vectors.astype(np.float64)))
        right = as_table(target.keys.tolist(), to_y(target.vectors.astype(np.float64)))
        found = []
        for metric in ("cosine", "csls"):
            best = translate(left, right, rest, metric=metric)
            found.append(np.mean([one[0][0] == word for word, one in zip(rest, best)]))
        hubs = hubness(right, left.subset(rest), metric="cosine")
        print(f"{name:20s}{found[0]:8.4f}{found[1]:8.4f}{seconds:12.1f}{hubs:17.1f}", flush=True)
    embedder = CCAEmbedder().fit(X, Y)
    print(f"chosen shrinkage {embedder.shrinkage_:g}; held out within the dictionary: ", end="")
    print(", ".join(f"{s:g}^{power:g} {score:.3f}" for s, power, score in embedder.trials_))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wordllama", type=Path, help="leaves images to names out where it is not given")
    parser.add_argument("--tables", type=Path, help="folder where the two word tables are kept")
    arguments = parser.parse_args()
    print(describe("numpy", "scipy", "scikit-learn"))
    if arguments.wordllama is None:
        print("images to names: left out, --wordllama is not given")
    elif not hasattr(skembed, "ImageEmbedder"):
        print("images to names: left out, there is no ImageEmbedder")
    else:
        images_to_names(arguments.wordllama)
    for subsample in ("auto", 1e-3):
        words(arguments.tables, subsample)


if __name__ == "__main__":
    main()
