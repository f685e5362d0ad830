"""ProjectionEmbedder beside the bare scikit-learn solvers: time of fit and transform; the autoencoder beside PCA.

    python benchmarks/projection.py pca > benchmarks/results/projection.txt
    python benchmarks/projection.py svd lda random sparse nca autoencoder >> benchmarks/results/projection.txt

Target: on 200,000 x 500 float32 no more than 5 % slower than the solver itself. Both run in turns; medians of one run.
"sparse" is svd and pca of a CSR matrix of 200,000 x 20,000. NCA compares all pairs of rows, and is timed on 1,000 x 50.
"autoencoder" is quality: digits, 30 % held out, standardised, five splits: the share of the held-out variance that is
reconstructed, and the accuracy of ten neighbours in the embedding.
"""

import argparse
import os
import platform
import statistics
import time

import numpy as np
import sklearn
from scipy import sparse
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier, NeighborhoodComponentsAnalysis
from sklearn.preprocessing import StandardScaler
from sklearn.random_projection import GaussianRandomProjection

from skembed import ProjectionEmbedder

PAUSE = 0.2  # seconds between two runs, so that the memory of one is given back


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("method", nargs="+", choices=["pca", "svd", "lda", "random", "sparse", "nca", "autoencoder"])
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--columns", type=int, default=500)
    parser.add_argument("--dim", type=int, default=50)
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    print(
        f"Python {platform.python_version()}, scikit-learn {sklearn.__version__}, numpy {np.__version__}, "
        f"{os.cpu_count()} CPUs, OMP_NUM_THREADS={os.environ.get('OMP_NUM_THREADS', 'unset')}"
    )
    for method in options.method:
        if method == "autoencoder":
            quality()
        elif method == "sparse":
            time_sparse(options)
        elif method == "nca":
            time_nca(options)
        else:
            time_dense(method, options)


def time_dense(method: str, options: argparse.Namespace) -> None:
    rng = np.random.default_rng(0)
    X, y = make_rows(rng, options.rows, options.columns)
    dim = 9 if method == "lda" else options.dim
    peers = {
        "pca": lambda: PCA(dim, random_state=0),
        "svd": lambda: TruncatedSVD(dim, random_state=0),
        "lda": lambda: LinearDiscriminantAnalysis(n_components=dim),
        "random": lambda: GaussianRandomProjection(dim, random_state=0),
    }
    title = f"{method}, {X.shape[0]:,} x {X.shape[1]} {X.dtype} to {dim}"
    beside(title, peers[method], lambda: ProjectionEmbedder(method, dim, random_state=0), X, y, options.repeats)


def make_rows(rng: np.random.Generator, n_rows: int, n_columns: int) -> tuple[np.ndarray, np.ndarray]:
    """Ten classes, and columns that share a hundred directions of falling variance."""
    y = rng.integers(0, 10, n_rows)
    spread = np.linspace(3, 0.3, 100, dtype=np.float32)
    X = (rng.standard_normal((n_rows, 100), dtype=np.float32) * spread) @ rng.standard_normal(
        (100, n_columns), dtype=np.float32
    )
    X += rng.standard_normal((10, n_columns), dtype=np.float32)[y]
    for start in range(0, n_rows, 10_000):
        part = X[start : start + 10_000]
        part += rng.standard_normal(part.shape, dtype=np.float32)
    return X, y


def time_sparse(options: argparse.Namespace) -> None:
    X = sparse.random(options.rows, 20_000, density=0.002, format="csr", dtype=np.float32, random_state=0)
    for method, peer in (
        ("svd", lambda: TruncatedSVD(20, random_state=0)),
        ("pca", lambda: PCA(20, random_state=0)),
    ):
        title = f"{method}, CSR {X.shape[0]:,} x {X.shape[1]:,} with {X.nnz:,} values to 20"
        beside(title, peer, lambda m=method: ProjectionEmbedder(m, 20, random_state=0), X, None, 3)


def time_nca(options: argparse.Namespace) -> None:
    X, y = make_rows(np.random.default_rng(0), 1_000, 50)
    peer = lambda: NeighborhoodComponentsAnalysis(9, max_iter=10, random_state=0)  # noqa: E731
    ours = lambda: ProjectionEmbedder("nca", 9, max_iter=10, random_state=0)  # noqa: E731
    beside("nca, 1,000 x 50 float32 to 9, 10 steps", peer, ours, X, y, options.repeats)


def beside(title: str, peer, ours, X, y, repeats: int) -> None:
    """Time fit and transform of both in turns, and compare what comes out."""
    times: dict[tuple[str, str], list[float]] = {}
    vectors = {}
    for repeat in range(repeats + 1):
        # who goes first changes, so that neither always finds the memory as the other left it
        for name, make in [("scikit-learn", peer), ("skembed", ours)][:: 1 if repeat % 2 else -1]:
            estimator = make()
            for what in ("fit", "transform"):
                time.sleep(PAUSE)
                start = time.perf_counter()
                result = estimator.fit(X, y) if what == "fit" else estimator.transform(X)
                if repeat:  # the first run of each is warm-up
                    times.setdefault((name, what), []).append(time.perf_counter() - start)
            vectors[name] = np.array(result[:1000])
            del result, estimator
    sign = np.sign((vectors["scikit-learn"] * vectors["skembed"]).sum(axis=0))
    shift = (vectors["scikit-learn"] * sign - vectors["skembed"]).mean(axis=0)
    difference = np.abs(vectors["scikit-learn"] * sign - vectors["skembed"] - shift).max()
    print(f"\n{title}: medians of {repeats}")
    for what in ("fit", "transform"):
        theirs, mine = (statistics.median(times[name, what]) for name in ("scikit-learn", "skembed"))
        fastest = min(times["skembed", what]) / min(times["scikit-learn", what])
        print(
            f"  {what:9}  scikit-learn {theirs:8.3f} s   skembed {mine:8.3f} s   ratio {mine / theirs:.3f}, "
            f"of the fastest runs {fastest:.3f}"
        )
    largest = np.abs(vectors["skembed"]).max()
    print(f"  largest difference of 1,000 vectors, up to signs: {difference:.2g} of {largest:.3g}")


def quality() -> None:
    X, y = load_digits(return_X_y=True)
    print("\nautoencoder beside PCA, digits standardised, 30 % held out: mean of five splits")
    print("  dims  method        variance reconstructed   accuracy of 10 neighbours   seconds of fit")
    for dim in (2, 8):
        for method in ("pca", "autoencoder"):
            rows = []
            for seed in range(5):
                train, test, y_train, y_test = train_test_split(X, y, test_size=0.3, random_state=seed, stratify=y)
                scaler = StandardScaler().fit(train)
                train, test = scaler.transform(train), scaler.transform(test)
                embedder = ProjectionEmbedder(method, dim, random_state=seed)
                start = time.perf_counter()
                Z = embedder.fit_transform(train)
                seconds = time.perf_counter() - start
                codes = embedder.transform(test)
                error = ((embedder.inverse_transform(codes) - test) ** 2).sum() / (test**2).sum()
                accuracy = KNeighborsClassifier(10).fit(Z, y_train).score(codes, y_test)
                rows.append((1 - error, accuracy, seconds))
            share, accuracy, seconds = np.mean(rows, axis=0)
            print(f"  {dim:4}  {method:12}  {share:22.3f}   {accuracy:25.3f}   {seconds:14.2f}")


if __name__ == "__main__":
    main()
