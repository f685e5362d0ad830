"""Anomalies: NeighborAnomalyDetector beside PyOD's KNN, Mahalanobis distance and scikit-learn's detectors.

    python benchmarks/anomaly.py > benchmarks/results/anomaly.txt

Defects among images. Data: ../shared/data/anomaly/*.npz, 512 components of a ResNet-18 for each image of one product,
y = 1 for a defect. The detectors see 7 of 10 good images and are tested on the other good ones and on all defects;
means over 10 splits. "skembed" is NeighborAnomalyDetector as it is by default, "plain" the same with whiten=False,
"Mahalanobis" the distance to the mean by the same covariance. "no labels" has none at all: every image is scored among
all others, defects among them. Alarms are the shares of rows below `offset_`, of good images that were held out and of
defects, by the default and by contamination=0.05, which is learned from the 7 of 10 good images alone.

Rows of categories. Data: ../shared/data/tabular/adult.data.gz, its 8 categorical columns; in 1 % of the rows each value
is drawn from its column anew, so that only their combination is unusual. Nobody tells which; means over 3 draws.

PyOD is left out where it is not installed; time is processor time of one thread, medians over splits, in turns: of
several threads it would hold what they wait for each other.
"""

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import sklearn
from sklearn.covariance import LedoitWolf
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import LocalOutlierFactor, NearestNeighbors
from sklearn.preprocessing import OrdinalEncoder, StandardScaler
from sklearn.svm import OneClassSVM
from threadpoolctl import threadpool_limits

from skembed import CooccurrenceEncoder, NeighborAnomalyDetector

try:
    import pyod
    from pyod.models.knn import KNN
except ImportError:
    pyod = None

SHARED = Path(__file__).resolve().parents[2] / "shared"
DATA = SHARED / "data" / "anomaly"
N_NEIGHBORS = 5


def skembed_default(train: np.ndarray, test: np.ndarray, seed: int) -> np.ndarray:
    return -NeighborAnomalyDetector(novelty=True).fit(train).score_samples(test)


def plain(train: np.ndarray, test: np.ndarray, seed: int) -> np.ndarray:
    return -NeighborAnomalyDetector(novelty=True, whiten=False).fit(train).score_samples(test)


def mahalanobis(train: np.ndarray, test: np.ndarray, seed: int) -> np.ndarray:
    return LedoitWolf().fit(train).mahalanobis(test)


def pyod_knn(train: np.ndarray, test: np.ndarray, seed: int) -> np.ndarray:
    return KNN(n_neighbors=N_NEIGHBORS, method="mean").fit(train).decision_function(test)


def neighbor_distance(train: np.ndarray, test: np.ndarray) -> np.ndarray:
    return NearestNeighbors(n_neighbors=N_NEIGHBORS).fit(train).kneighbors(test)[0].mean(axis=1)


def standardized(train: np.ndarray, test: np.ndarray, seed: int) -> np.ndarray:
    scaler = StandardScaler().fit(train)
    return neighbor_distance(scaler.transform(train), scaler.transform(test))


def local_outlier_factor(train: np.ndarray, test: np.ndarray, seed: int) -> np.ndarray:
    return -LocalOutlierFactor(novelty=True).fit(train).score_samples(test)


def isolation_forest(train: np.ndarray, test: np.ndarray, seed: int) -> np.ndarray:
    return -IsolationForest(random_state=seed).fit(train).score_samples(test)


def one_class_svm(train: np.ndarray, test: np.ndarray, seed: int) -> np.ndarray:
    return -OneClassSVM().fit(train).score_samples(test)


DETECTORS: dict[str, Callable] = {
    "skembed": skembed_default,
    "plain": plain,
    "Mahalanobis": mahalanobis,
    **({"PyOD KNN": pyod_knn} if pyod else {}),
    "standardized": standardized,
    "LOF": local_outlier_factor,
    "forest": isolation_forest,
    "SVM": one_class_svm,
}


def split(y: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of 7 of 10 good images, and rows of the other good ones and of all defects."""
    good = np.random.default_rng(seed).permutation(np.flatnonzero(y == 0))
    train, held_out = np.split(good, [7 * len(good) // 10])
    return train, np.concatenate([held_out, np.flatnonzero(y == 1)])


def alarms(train: np.ndarray, test: np.ndarray, good: np.ndarray) -> list[float]:
    """Shares of good images and of defects that are called outliers, by default and at 5 %."""
    shares = []
    for contamination in ("auto", 0.05):
        found = NeighborAnomalyDetector(novelty=True, contamination=contamination).fit(train).predict(test) < 0
        shares += [found[good].mean(), found[~good].mean()]
    return shares


def defects(n_splits: int) -> None:
    print(f"{'':10s} {'good':>5s} {'bad':>4s}" + "".join(f"{name:>13s}" for name in [*DETECTORS, "no labels"]))
    rows, spreads, shares = [], [], []
    seconds: dict[str, list[float]] = {name: [] for name in DETECTORS}
    for path in sorted(DATA.glob("*.npz")):
        with np.load(path, allow_pickle=False) as file:
            X, y = file["X"].astype(np.float64), file["y"]
        areas: dict[str, list[float]] = {name: [] for name in DETECTORS}
        for seed in range(n_splits):
            train, test = split(y, seed)
            for name, detector in DETECTORS.items():
                start = time.process_time()
                scores = detector(X[train], X[test], seed)
                seconds[name].append(time.process_time() - start)
                areas[name].append(roc_auc_score(y[test], scores))
            shares.append(alarms(X[train], X[test], y[test] == 0))
        detector = NeighborAnomalyDetector()
        detector.fit_predict(X)
        rows.append([*(np.mean(area) for area in areas.values()), roc_auc_score(y, -detector.training_scores_)])
        spreads.append([np.std(area) for area in areas.values()])
        print(f"{path.stem.split('_')[-1]:10s} {(y == 0).sum():5d} {(y == 1).sum():4d}", end="")
        print("".join(f"{area:13.3f}" for area in rows[-1]))
    print(f"{'mean':21s}" + "".join(f"{area:13.3f}" for area in np.mean(rows, axis=0)))
    print(f"{'spread over splits':21s}" + "".join(f"{spread:13.3f}" for spread in np.mean(spreads, axis=0)))
    print(f"{'ms to fit and score':21s}" + "".join(f"{1e3 * np.median(times):13.1f}" for times in seconds.values()))
    good, bad, good_5, bad_5 = np.mean(shares, axis=0)
    print(f"\nalarms by default: {good:.1%} of good images, {bad:.1%} of defects", end="; ")
    print(f"with contamination=0.05: {good_5:.1%} and {bad_5:.1%}\n")


def categories(n_draws: int) -> None:
    sys.path.insert(0, str(SHARED / "acceptance"))
    import tabular_sets

    X, _, _, columns, _ = tabular_sets.adult()
    X = X[columns]
    areas: dict[str, list[float]] = {}
    for seed in range(n_draws):
        rng = np.random.default_rng(seed)
        rows = rng.permutation(len(X))[: len(X) // 100]
        shuffled = X.copy()
        for place, column in enumerate(columns):
            shuffled.iloc[rows, place] = X[column].to_numpy()[rng.integers(len(X), size=len(rows))]
        truth = np.isin(np.arange(len(X)), rows)
        vectors = CooccurrenceEncoder(random_state=0).fit_transform(shuffled)
        ordinals = OrdinalEncoder().fit_transform(shuffled)
        for name, scores in (
            ("CooccurrenceEncoder, skembed", NeighborAnomalyDetector().fit(vectors).training_scores_),
            ("CooccurrenceEncoder, plain", NeighborAnomalyDetector(whiten=False).fit(vectors).training_scores_),
            ("CooccurrenceEncoder, forest", IsolationForest(random_state=0).fit(vectors).score_samples(vectors)),
            ("ordinal codes, forest", IsolationForest(random_state=0).fit(ordinals).score_samples(ordinals)),
        ):
            areas.setdefault(name, []).append(roc_auc_score(truth, -scores))
    print(f"adult, {len(X)} rows of {len(columns)} categories, {len(rows)} of them drawn anew")
    for name, values in areas.items():
        print(f"{name:30s} {np.mean(values):.3f}")


def large() -> None:
    """Time beside PyOD as rows become more."""
    if not pyod:
        return
    print("\nms of CPU to fit and score 1,000 new rows, median of 3, in turns")
    for n, width in ((2_000, 64), (8_000, 24), (8_000, 128)):
        rng = np.random.default_rng(0)
        train, test = rng.normal(size=(n, width)), rng.normal(size=(1_000, width))
        times: dict[str, list[float]] = {}
        for _ in range(3):
            for name in ("skembed", "plain", "PyOD KNN"):
                start = time.process_time()
                DETECTORS[name](train, test, 0)
                times.setdefault(name, []).append(1e3 * (time.process_time() - start))
        print(f"{n:6d} rows of {width:4d}: " + ", ".join(f"{name} {np.median(ms):.0f}" for name, ms in times.items()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--splits", type=int, default=10)
    parser.add_argument("--draws", type=int, default=3)
    options = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    print(f"{platform.machine()}, {cores} core{'s' * (cores > 1)}; Python {platform.python_version()}, ", end="")
    print(f"numpy {np.__version__}, scikit-learn {sklearn.__version__}, ", end="")
    print(f"PyOD {pyod.__version__ if pyod else 'not installed'}; area under the ROC curve\n")
    with threadpool_limits(1):
        defects(options.splits)
        categories(options.draws)
        large()


if __name__ == "__main__":
    main()
