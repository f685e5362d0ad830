"""A grid search over `embedding_dim` of EntityEmbeddingEncoder with a cache: six dimensions beside one, and its parts.

    python benchmarks/entity_grid.py > benchmarks/results/entity_grid.txt
    python benchmarks/entity_grid.py amazon_access --repeats 5

Real tables beside the checkout, by the loaders of ``../shared/acceptance``, their categorical columns before a
standardised linear model, 5 folds, one job, each search with an empty cache: seconds of a processor, medians of
searches that took turns. The bound is what the ratio would be if further cuts cost nothing but splits, scaler, model
and score.
Target: six dimensions in 1.5 times the time of one; scores within .003 of those without a cache.
"""

import argparse
import platform
import statistics
import sys
import tempfile
import time
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.model_selection import GridSearchCV, KFold, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skembed
from skembed import EntityEmbeddingEncoder

SHARED = Path(__file__).resolve().parents[2] / "shared" / "acceptance"
ONE, SIX = [4], [1, 2, 3, 4, 6, 8]
TARGET_RATIO, TARGET_DIFFERENCE = 1.5, 0.003


class Timed(EntityEmbeddingEncoder):
    """The encoder, and the seconds that its calls take."""

    seconds = 0.0

    def fit_transform(self, X: Any, y: Any, **arguments: Any) -> Any:
        return self._timed(super().fit_transform, X, y, **arguments)

    def transform(self, X: Any) -> Any:
        return self._timed(super().transform, X)

    def _timed(self, call: Any, *arguments: Any, **named: Any) -> Any:
        start = time.process_time()
        out = call(*arguments, **named)
        Timed.seconds += time.process_time() - start
        return out


def search(
    X: Any, y: np.ndarray, task: str, dims: list[int], *, cached: bool = True
) -> tuple[float, float, np.ndarray]:
    """Return the seconds of all and of the encoder, and the mean score of each dimension."""
    model = RidgeCV(np.logspace(-1, 4, 11)) if task == "regression" else LogisticRegression(max_iter=300, C=0.1)
    splitter = KFold if task == "regression" else StratifiedKFold
    with tempfile.TemporaryDirectory() as folder:
        encoder = Timed(random_state=0, memory=folder if cached else None)
        found = GridSearchCV(
            make_pipeline(encoder, StandardScaler(with_mean=False), model),
            {"timed__embedding_dim": dims},
            cv=splitter(5, shuffle=True, random_state=0),
            scoring="r2" if task == "regression" else "roc_auc",
            refit=False,
            error_score="raise",
        )
        Timed.seconds, start = 0.0, time.process_time()
        found.fit(X, y)
        return time.process_time() - start, Timed.seconds, found.cv_results_["mean_test_score"]


def measure(name: str, load: Any, repeats: int) -> None:
    X, y, task, categorical, _ = load()
    X = X[categorical]
    search(X[:2000], y[:2000], task, ONE)  # imports, compiled kernels
    one, six = [], []
    for _ in range(repeats):
        one.append(search(X, y, task, ONE))
        six.append(search(X, y, task, SIX))
    bare, _, expected = search(X, y, task, SIX, cached=False)
    difference = float(np.abs(six[0][2] - expected).max())
    bounds = [(e1 + all6 - e6) / all1 for (all1, e1, _), (all6, e6, _) in zip(one, six)]
    medians = [statistics.median(run[0] for run in runs) for runs in (one, six)]
    encoders = [statistics.median(run[1] for run in runs) for runs in (one, six)]
    ratio, bound = medians[1] / medians[0], statistics.median(bounds)
    print(
        f"\n{name}: {len(X):,} rows, {len(categorical)} columns\n"
        f"  one dimension  {medians[0]:7.2f} s, {encoders[0]:6.2f} of it in the encoder\n"
        f"  six dimensions {medians[1]:7.2f} s, {encoders[1]:6.2f} of it in the encoder; without a cache {bare:.2f} s\n"
        f"  ratio {ratio:.2f}, bound {bound:.2f}, target {TARGET_RATIO}: "
        f"{'reached' if ratio <= TARGET_RATIO else 'not reached'}\n"
        f"  largest difference of a score {difference:.4f}, target {TARGET_DIFFERENCE}",
        flush=True,
    )


def main() -> None:
    sys.path.insert(0, str(SHARED))
    from tabular_sets import SETS

    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    of_few, of_many = ["employee_salaries", "avocado", "adult", "amazon_access"], ["flight_delays"]
    parser.add_argument("sets", nargs="*", default=[*of_few, *of_many])
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    versions = f"skembed {skembed.__version__}, Python {platform.python_version()}, numpy {np.__version__}"
    print(f"{versions}, {platform.machine()}; {arguments.repeats} searches each")
    for name in arguments.sets:
        load = partial(SETS[name], None) if name in of_many else SETS[name]  # all rows where the loader takes some
        measure(name, load, arguments.repeats)


if __name__ == "__main__":
    main()
