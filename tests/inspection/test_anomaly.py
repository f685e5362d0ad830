"""Anomalies by the distance to neighbours: the documented code runs, and finds as many defects as it says."""

import contextlib
import io
import re
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors

from skembed import EmbeddingTable

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "anomaly.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```(?:\s+```text\n(.*?)```)?", PAGE, re.DOTALL)
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
DATA = ROOT.parent / "shared" / "data" / "anomaly"

pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(not DATA.exists(), reason="needs ../shared/data/anomaly"),
]


def test_the_page_prints_what_it_says(monkeypatch):
    monkeypatch.chdir(DATA)
    names = {}
    assert len(BLOCKS) == PAGE.count("```python") >= 4
    for code, expected in BLOCKS:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, "docs/anomaly.md", "exec"), names)  # the page is ours
        found, wanted = printed.getvalue(), expected
        assert NUMBER.sub("#", found).split() == NUMBER.sub("#", wanted).split()
        for number, target in zip(NUMBER.findall(found), NUMBER.findall(wanted)):
            assert float(number) == pytest.approx(float(target), abs=0.02 if float(target) < 1 else 1.0)


def test_mean_area_over_all_products():
    areas = []
    for path in sorted(DATA.glob("*.npz")):
        with np.load(path) as file:
            X, y = file["X"], file["y"]
        good = np.random.default_rng(0).permutation(np.flatnonzero(y == 0))
        train, held_out = np.split(good, [7 * len(good) // 10])
        test = np.concatenate([held_out, np.flatnonzero(y == 1)])
        table = EmbeddingTable(train, X[train])
        scores = table.kneighbors(X[test], 5, metric="euclidean").scores
        expected = NearestNeighbors(n_neighbors=5).fit(X[train].astype(float)).kneighbors(X[test].astype(float))[0]
        np.testing.assert_allclose(scores, expected, rtol=1e-5)
        areas.append(roc_auc_score(y[test], scores.mean(axis=1)))
    assert len(areas) == 7
    assert 0.79 < np.mean(areas) < 0.87
    assert min(areas) > 0.6
