"""CooccurrenceEncoder beside other encoders that need no target, beside a supervised one, and with few labels.

    python benchmarks/cooccurrence.py > benchmarks/results/cooccurrence.txt
    python benchmarks/cooccurrence.py --part quality amazon_access

Real tables beside the checkout, by the loaders of ``../shared/acceptance``; learners and folds as there.

quality   mean scores over 3 folds of a standardised linear model, 15 neighbours and gradient boosting behind each
          encoder; one-hot + TruncatedSVD has as many columns as CooccurrenceEncoder. "both": supervised columns
          beside unsupervised ones, and by how much they are below the better of the two alone.
labels    1 % of the labels, 20 draws, logistic regression; unlabelled rows are seen by CooccurrenceEncoder alone.
time      10^6 rows of 10 columns with about 10^5, and with 800,000 levels, 2 threads, one run each.
"""

import argparse
import importlib.metadata
import sys
import time
import warnings
from pathlib import Path

import numpy as np

sys.path[:0] = [
    str(Path(__file__).resolve().parent),
    str(Path(__file__).resolve().parents[2] / "shared" / "acceptance"),
]
warnings.filterwarnings("ignore")


def unsupervised(width: int) -> dict:
    """Encoders by name; skrub's learn column by column from the strings of the levels."""
    from sklearn.decomposition import TruncatedSVD
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    from skembed import CooccurrenceEncoder

    onehot = OneHotEncoder(handle_unknown="ignore")
    out = {
        "cooccurrence": CooccurrenceEncoder(random_state=0),
        "one-hot + SVD": make_pipeline(onehot, TruncatedSVD(width, random_state=0)),
    }
    try:
        import skrub
    except ImportError:
        return out
    for name in ("StringEncoder", "MinHashEncoder", "GapEncoder"):
        options = {} if name == "MinHashEncoder" else {"random_state": 0}
        out[name] = skrub.ApplyToCols(getattr(skrub, name)(n_components=16, **options))
    return out


def scores_of(A, B, y, train, test, numbers, task) -> dict[str, float]:
    from encoder_quality import learners, score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    A, B = (np.hstack([np.asarray(part, dtype=float), number]) for part, number in zip((A, B), numbers))
    found = {}
    for name, learner in learners(task).items():
        if name == "knn":
            learner = make_pipeline(StandardScaler(), learner)
        found[name] = score(learner.fit(A, y[train]), B, y[test], task)
    return found


def quality(names: list[str]) -> None:
    import pandas as pd
    from sklearn.model_selection import KFold, StratifiedKFold
    from sklearn.preprocessing import StandardScaler
    from tabular_sets import SETS

    from skembed import EntityEmbeddingEncoder

    rows = []
    for name in names or SETS:
        X, y, task, categorical, numeric = SETS[name]()
        splitter = KFold if task == "regression" else StratifiedKFold
        for train, test in splitter(3, shuffle=True, random_state=0).split(X, y):
            numbers = [np.empty((len(part), 0)) for part in (train, test)]
            if numeric:
                scaler = StandardScaler().fit(X.iloc[train][numeric])
                numbers = [np.nan_to_num(scaler.transform(X.iloc[part][numeric])) for part in (train, test)]
            parts, width = {}, None
            for encoder_name in unsupervised(2):
                n_onehot = int(X.iloc[train][categorical].nunique().sum())
                encoder = unsupervised(min(width or 2, n_onehot - 1))[encoder_name]
                start = time.perf_counter()
                try:
                    A = encoder.fit_transform(X.iloc[train][categorical])
                    B = encoder.transform(X.iloc[test][categorical])
                except Exception as error:  # skrub's GapEncoder knows no text of one character
                    print(f"{name}: {encoder_name} failed: {str(error).splitlines()[0]}", file=sys.stderr)
                    continue
                seconds = time.perf_counter() - start
                width = width or A.shape[1]
                parts[encoder_name] = A, B, seconds
            start = time.perf_counter()
            encoder = EntityEmbeddingEncoder(random_state=0)
            A = encoder.fit_transform(X.iloc[train][categorical], y[train])
            parts["supervised"] = A, encoder.transform(X.iloc[test][categorical]), time.perf_counter() - start
            both = [np.hstack(pair) for pair in zip(parts["supervised"][:2], parts["cooccurrence"][:2])]
            parts["both"] = *both, sum(parts[part][2] for part in ("supervised", "cooccurrence"))
            for encoder_name, (A, B, seconds) in parts.items():
                for learner, value in scores_of(A, B, y, train, test, numbers, task).items():
                    rows.append((name, encoder_name, learner, value, seconds, A.shape[1]))
        table = pd.DataFrame(rows, columns=["set", "encoder", "learner", "score", "seconds", "width"])
        of_set = table[table["set"] == name]
        wide = of_set.pivot_table(index="encoder", columns="learner", values="score", sort=False).round(4)
        wide[["seconds", "width"]] = of_set.groupby("encoder")[["seconds", "width"]].mean().round(1)
        print(f"\n## {name}\n{wide.to_string()}", flush=True)
    means = table.groupby(["set", "learner", "encoder"])["score"].mean().unstack()
    blind = means.drop(columns=["supervised", "both"])
    places = (blind.rank(axis=1, ascending=False) - 1).div(blind.count(axis=1) - 1, axis=0)
    by_learner = places.groupby("learner").mean().T
    by_learner["all"] = places.mean()
    print(f"\n## mean place among those without a target (0 is first)\n{by_learner.round(2).to_string()}")
    behind = means["both"] - means[["supervised", "cooccurrence"]].max(axis=1)
    print(f"\n## both, against the better of the two\n{behind.unstack().round(4).to_string()}", flush=True)


def labels(names: list[str]) -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler, TargetEncoder
    from tabular_sets import SETS

    from skembed import CooccurrenceEncoder, EntityEmbeddingEncoder

    for name in names or ("amazon_access", "adult"):
        X, y, _, categorical, _ = SETS[name]()
        X, y = X[categorical], np.unique(y, return_inverse=True)[1]
        tables = CooccurrenceEncoder(random_state=0).fit(X).embeddings_
        found: dict[str, list[float]] = {}
        for draw in range(20):
            rng = np.random.default_rng(draw)
            order = rng.permutation(len(X))
            few = order[: len(X) // 100]
            test = order[len(X) // 100 :]
            encoders = {
                "TargetEncoder": TargetEncoder(target_type="binary", random_state=0),
                "one-hot": OneHotEncoder(handle_unknown="ignore", sparse_output=False),
                "EntityEmbeddingEncoder": EntityEmbeddingEncoder(random_state=0),
                "init, frozen": EntityEmbeddingEncoder(init=tables, init_frozen=True, random_state=0),
                "init": EntityEmbeddingEncoder(init=tables, random_state=0),
                "init of 4 dimensions, frozen": EntityEmbeddingEncoder(
                    init={c: t.truncate(min(4, t.embedding_dim)) for c, t in tables.items()},
                    init_frozen=True,
                    random_state=0,
                ),
            }
            for encoder_name, encoder in encoders.items():
                A = encoder.fit_transform(X.iloc[few], y[few])
                model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000, C=0.1)).fit(A, y[few])
                value = roc_auc_score(y[test], model.predict_proba(encoder.transform(X.iloc[test]))[:, 1])
                found.setdefault(encoder_name, []).append(value)
        print(f"\n## {name}: {len(few)} labels of {len(X)} rows, ROC AUC, mean and spread of 20 draws")
        for encoder_name, values in found.items():
            print(f"{encoder_name:30} {np.mean(values):.4f} +- {np.std(values):.4f}", flush=True)


def made(largest: int, n_rows: int = 1_000_000) -> np.ndarray:
    """Ten columns with uneven levels that go by a hidden group of fifty."""
    rng = np.random.default_rng(0)
    group = rng.integers(0, 50, size=n_rows)
    sizes = [10, 50, 200, 1000, 3000, 5000, 10_000, 20_000, 30_000, 30_000]
    columns = [(rng.pareto(1.1, n_rows) * size * 0.02).astype(np.int64) + group * (size // 50) for size in sizes]
    columns = [column % size for column, size in zip(columns, sizes)]
    if largest:
        columns[-1] = rng.integers(0, largest, size=n_rows)
    return np.stack(columns, axis=1)


def timing() -> None:
    from skembed import CooccurrenceEncoder

    CooccurrenceEncoder(n_jobs=2, random_state=0).fit(made(0, 1000))
    for largest in (0, 1_500_000):
        X = made(largest)
        n_levels = sum(len(np.unique(column)) for column in X.T)
        start = time.perf_counter()
        encoder = CooccurrenceEncoder(n_jobs=2, random_state=0).fit(X)
        fitted = time.perf_counter()
        encoder.transform(X)
        print(
            f"{n_levels:8} levels: fit {fitted - start:.1f} s, transform {time.perf_counter() - fitted:.1f} s",
            flush=True,
        )


if __name__ == "__main__":
    from runs import describe

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="*")
    parser.add_argument("--part", choices=["quality", "labels", "time"], action="append")
    arguments = parser.parse_args()
    try:
        extra = ["skrub"] if importlib.metadata.version("skrub") else []
    except importlib.metadata.PackageNotFoundError:
        extra = []
    print(describe("skembed", "scikit-learn", "numpy", *extra))
    parts = arguments.part or ["quality", "labels", "time"]
    if "quality" in parts:
        quality(arguments.sets)
    if "labels" in parts:
        labels(arguments.sets)
    if "time" in parts:
        timing()
