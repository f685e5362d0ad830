"""Value of the net of EntityEmbeddingEncoder: the default beside max_iter=0, in scores and in seconds.

    python benchmarks/net_value.py > benchmarks/results/net_value.txt
    python benchmarks/net_value.py avocado adult

Real tables beside the checkout, by the loaders of ``../shared/acceptance``, with a standardised linear model, 15
nearest neighbours and gradient boosting behind the encoder, 3 folds: mean scores (R², or ROC AUC one-vs-rest), their
differences, and the median seconds of `fit_transform`. Two tables are made: one without interactions and one with.
Targets: no difference below -.002; where no pair of columns was taken up, at most twice the time.
"""

import platform
import statistics
import sys
import time
import warnings
from pathlib import Path

import numpy as np

SHARED = Path(__file__).resolve().parents[2] / "shared" / "acceptance"
LEAST, MOST = -0.002, 2.0


def made(interacting: bool):
    """Three columns of 12, 60 and 300 levels and a number; the first two interact, or not."""
    import pandas as pd

    rng = np.random.default_rng(0)
    ids = [(k * rng.random(8_000) ** 2).astype(int) for k in (12, 60, 300)]
    y = sum(0.5 * rng.standard_normal(k)[i] for k, i in zip((12, 60, 300), ids)) + rng.standard_normal(8_000)
    if interacting:
        y += (rng.standard_normal((12, 3)) @ rng.standard_normal((3, 60)))[ids[0], ids[1]]
    X = pd.DataFrame({f"column {c}": i.astype(str) for c, i in enumerate(ids)})
    return X.assign(number=rng.standard_normal(8_000)), y, "regression", list(X.columns), ["number"]


def compare(name: str, load, learners, score) -> None:
    from sklearn.model_selection import KFold, StratifiedKFold
    from sklearn.preprocessing import StandardScaler

    from skembed import EntityEmbeddingEncoder

    X, y, task, categorical, numeric = load()
    splitter = KFold if task == "regression" else StratifiedKFold
    scores: dict[tuple[str, str], list[float]] = {}
    seconds: dict[str, list[float]] = {"default": [], "max_iter=0": []}
    pairs, width = set(), 0
    for train, test in splitter(3, shuffle=True, random_state=0).split(X, y):
        for which, options in (("default", {}), ("max_iter=0", {"max_iter": 0})):
            encoder = EntityEmbeddingEncoder(random_state=0, **options)
            start = time.perf_counter()
            A = encoder.fit_transform(X.iloc[train][categorical], y[train])
            seconds[which].append(time.perf_counter() - start)
            B = encoder.transform(X.iloc[test][categorical])
            pairs |= set(encoder.interactions_)
            width = max(width, A.shape[1])
            if numeric:
                scaler = StandardScaler().fit(X.iloc[train][numeric])
                A, B = (
                    np.hstack([E, np.nan_to_num(scaler.transform(X.iloc[rows][numeric]))])
                    for E, rows in ((A, train), (B, test))
                )
            for learner, model in learners(task).items():
                found = score(model.fit(A, y[train]), B, y[test], task)
                scores.setdefault((learner, which), []).append(found)
    ratio = statistics.median(seconds["default"]) / statistics.median(seconds["max_iter=0"])
    print(f"\n{name}: {len(y):,} rows, {len(categorical)} columns; {len(pairs)} pairs taken up, {width} dimensions")
    for learner in ("linear", "knn", "hgb"):
        with_net, without = (float(np.mean(scores[learner, which])) for which in seconds)
        verdict = "" if with_net - without >= LEAST else "  BELOW"
        print(f"  {learner:7} {with_net:.4f}, max_iter=0 {without:.4f}: {with_net - without:+.4f}{verdict}")
    verdict = "" if pairs or ratio <= MOST else "  MORE THAN TWICE"
    print(f"  seconds {statistics.median(seconds['default']):.3f}, {ratio:.2f} times max_iter=0{verdict}", flush=True)


def main() -> None:
    import sklearn

    import skembed

    warnings.filterwarnings("ignore")
    if not SHARED.is_dir():
        sys.exit(
            f"the tables are looked for by the loaders in {SHARED.name}/ of the folder shared/ beside the checkout"
        )
    sys.path.insert(0, str(SHARED))
    from encoder_quality import learners, score
    from tabular_sets import SETS

    sets = {**SETS, "made, additive": lambda: made(False), "made, interacting": lambda: made(True)}
    print(f"skembed {skembed.__version__}, scikit-learn {sklearn.__version__}, Python {platform.python_version()}")
    compiled = made(True)
    skembed.EntityEmbeddingEncoder(random_state=0).fit(compiled[0][compiled[3]], compiled[1])
    for name in sys.argv[1:] or sets:
        compare(name, sets[name], learners, score)


if __name__ == "__main__":
    main()
