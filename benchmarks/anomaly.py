"""Defects among images by their vectors: distance to the 5 nearest good ones beside scikit-learn's detectors.

    python benchmarks/anomaly.py > benchmarks/results/anomaly.txt

Data: ../shared/data/anomaly/*.npz, 512 components of a ResNet-18 for each image of one product, y = 1 for a defect. The
detectors see 7 of 10 good images and are tested on the other good ones and on all defects; means over 10 splits. The
last column has no labels at all: every image is scored by its distance to the 5 nearest others, defects among them.
"""

import argparse
import os
import platform
import time
from pathlib import Path

import numpy as np
import sklearn
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import LocalOutlierFactor, NearestNeighbors
from sklearn.preprocessing import StandardScaler
from sklearn.svm import OneClassSVM

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "anomaly"
N_NEIGHBORS = 5


def neighbor_distance(train: np.ndarray, test: np.ndarray, seed: int) -> np.ndarray:
    return NearestNeighbors(n_neighbors=N_NEIGHBORS).fit(train).kneighbors(test)[0].mean(axis=1)


def standardized(train: np.ndarray, test: np.ndarray, seed: int) -> np.ndarray:
    scaler = StandardScaler().fit(train)
    return neighbor_distance(scaler.transform(train), scaler.transform(test), seed)


def local_outlier_factor(train: np.ndarray, test: np.ndarray, seed: int) -> np.ndarray:
    return -LocalOutlierFactor(novelty=True).fit(train).score_samples(test)


def isolation_forest(train: np.ndarray, test: np.ndarray, seed: int) -> np.ndarray:
    return -IsolationForest(random_state=seed).fit(train).score_samples(test)


def one_class_svm(train: np.ndarray, test: np.ndarray, seed: int) -> np.ndarray:
    return -OneClassSVM().fit(train).score_samples(test)


DETECTORS = {
    "5 neighbours": neighbor_distance,
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--splits", type=int, default=10)
    options = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    print(f"{platform.machine()}, {cores} core{'s' * (cores > 1)}; Python {platform.python_version()}, ", end="")
    print(f"numpy {np.__version__}, scikit-learn {sklearn.__version__}; area under the ROC curve\n")
    print(f"{'':10s} {'good':>5s} {'bad':>4s}" + "".join(f"{name:>14s}" for name in [*DETECTORS, "no labels"]))
    rows, spreads, seconds = [], [], dict.fromkeys(DETECTORS, 0.0)
    for path in sorted(DATA.glob("*.npz")):
        with np.load(path, allow_pickle=False) as file:
            X, y = file["X"].astype(np.float64), file["y"]
        areas: dict[str, list[float]] = {name: [] for name in DETECTORS}
        for seed in range(options.splits):
            train, test = split(y, seed)
            for name, detector in DETECTORS.items():
                start = time.perf_counter()
                scores = detector(X[train], X[test], seed)
                seconds[name] += time.perf_counter() - start
                areas[name].append(roc_auc_score(y[test], scores))
        alone = NearestNeighbors(n_neighbors=N_NEIGHBORS).fit(X).kneighbors()[0].mean(axis=1)
        rows.append([*(np.mean(area) for area in areas.values()), roc_auc_score(y, alone)])
        spreads.append([np.std(area) for area in areas.values()])
        print(f"{path.stem.split('_')[-1]:10s} {(y == 0).sum():5d} {(y == 1).sum():4d}", end="")
        print("".join(f"{area:14.3f}" for area in rows[-1]))
    print(f"{'mean':21s}" + "".join(f"{area:14.3f}" for area in np.mean(rows, axis=0)))
    print(f"{'spread over splits':21s}" + "".join(f"{spread:14.3f}" for spread in np.mean(spreads, axis=0)))
    n_runs = len(rows) * options.splits
    print(f"{'ms to fit and score':21s}" + "".join(f"{1e3 * total / n_runs:14.1f}" for total in seconds.values()))


if __name__ == "__main__":
    main()
