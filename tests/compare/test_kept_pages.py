"""The text for the terminal and the page, character by character, as they were when they were last looked at.

PYTHONPATH=tests:. python tests/compare/test_kept_pages.py   # after a change that is meant to be one
"""

import os
from pathlib import Path

import numpy as np
import pytest

from skembed.compare import ComparisonProblem, pipeline
from skembed.compare._evaluate import ENCODERS, LEARNERS, Encoding, Row
from skembed.compare._map import LevelMap
from skembed.compare._report import make_report
from skembed.compare._text import conclude, describe, make_snippet

KEPT = Path(__file__).parent / "kept"
KINDS = ("regression", "binary", "multiclass")


def problem_of(task):
    rng = np.random.default_rng(3)
    n = {"regression": 4321, "binary": 25, "multiclass": 260}[task]
    names = [f"column with a name of some length {j}" for j in range(9)]
    y = {
        "regression": rng.normal(size=n),
        "binary": np.array(["no", "yes"])[np.arange(n) % 2],
        "multiclass": np.array([f"class {j}" for j in range(13)])[np.arange(n) % 13],
    }[task]
    return ComparisonProblem(
        np.zeros((n, 9)), y, task, list(range(7)), [7, 8] if task != "binary" else [], "houses.csv", "price", names,
        {} if task == "binary" else {"id": "different in every row", "note": "free text"},
        ["2 rows without a value of \"price\" left out"] if task == "regression" else [],
    )  # fmt: skip


def row(encoder, learner, scores, seconds, n_columns, n_bytes, skipped=""):
    encoding = Encoding([seconds] * 3, [seconds / 7] * 3, n_columns, n_bytes)
    return Row(encoder, learner, encoding, list(scores), [seconds * 2] * len(scores), skipped)


def rows_of(task):
    if task == "regression":  # a clear gain, one that failed, one far off the axis
        return [
            row("onehot", "linear", [0.7012, 0.7105, 0.6998], 0.0123, 1234, 98_765_432),
            row("target", "linear", [-5.5, -6.25, -7.0], 0.5, 9, 9_999),
            row("entity", "linear", [0.8012, 0.8105, 0.7999], 2.5, 31, 1_234_567),
            row("onehot", "hgb", [], 0.01, 1234, 2_500_000_000, "more than 255 one-hot columns are too many for trees"),
            row("entity", "hgb", [0.8101, 0.8152, 0.8021], 12.5, 31, 1_234_567),
            row("target", "hgb", [0.8103, 0.8149, 0.8020], 1.5, 9, 999),
        ]
    if task == "binary":  # too close to call; vectors gain with one learner
        return [
            row("onehot", "linear", [0.80, 0.82, 0.81], 0.1, 40, 12_345),
            row("entity", "linear", [0.84, 0.86, 0.85], 0.2, 12, 99_950),
            row("onehot", "knn", [0.85, 0.87, 0.86], 0.1, 40, 12_345),
            row("entity", "knn", [0.89, 0.83, 0.87], 0.2, 12, 99_950),
        ]
    return [  # equal scores throughout, which are worse than simple ones
        row("ordinal", "linear", [0.9] * 3, 123.4, 9, 500),
        row("entity", "linear", [0.5] * 3, 0.099, 12, 999_999),
    ]


def map_of(task):
    rng = np.random.default_rng(5)
    n = {"regression": 60, "binary": 7, "multiclass": 40}[task]
    xy = rng.normal(size=(n, 2)) * {"regression": [2.0, 1.5], "binary": [5.0, 0.01], "multiclass": [1.0, 3.0]}[task]
    classes = {"regression": [], "binary": ["no", "yes"], "multiclass": [f"class {j}" for j in range(13)]}[task]
    values = rng.integers(13, size=n).astype(float) if task == "multiclass" else 3000 ** rng.random(n) - 1
    values = values / 3000 if task == "binary" else values
    keys = [None, *(f"level {j}" + " that goes on for long" * (j % 5 == 0) for j in range(n - 1))]
    counts = np.sort(rng.zipf(1.4, n).clip(max=5000))[::-1]
    return LevelMap("street", keys, xy, counts, values, classes, task, 1234 if task == "binary" else 0, 0.837)


def pages_of(task):
    problem, rows = problem_of(task), rows_of(task)
    options = {"drop": ["id", "another column"], "max_rows": 1000, "header_rows": 2} if task == "regression" else {}
    path, seed = {"regression": ("data/houses.csv", 3), "binary": ("h.csv", 0), "multiclass": (None, 0)}[task]
    snippet = make_snippet(problem, rows, path, options, seed)
    steps = []
    for encoder in ENCODERS:
        for learner in LEARNERS:
            model = pipeline(encoder, learner, problem, random_state=seed)
            parts = [part for _, part, _ in model["columns"].transformers]
            # scikit-learn's own changes its parameters from version to version
            shown = [*parts[encoder == "target" :], model["learner"]]
            steps.append(f"{encoder}, {learner}: " + "; ".join(" ".join(repr(part).split()) for part in shown))
    report = make_report(problem, rows, cv=3, level_map=map_of(task), snippet=snippet)
    plain = make_report(problem, rows)
    style = plain[plain.index("<style>") : plain.index("</style>")]
    assert style in report
    return {
        "style.txt": style + "\n",  # of all pages
        f"{task}.txt": "\n".join([describe(problem), conclude(problem, rows, snippet), ""]),
        f"{task}.html": report.replace(style, ""),
        f"{task}-plain.html": plain.replace(style, ""),
        f"{task}-pipelines.txt": "\n".join([*steps, ""]),
    }


@pytest.mark.parametrize("task", KINDS)
def test_pages_are_as_they_were(task, monkeypatch):
    monkeypatch.setattr("shutil.get_terminal_size", lambda fallback: os.terminal_size(fallback))
    for name, page in pages_of(task).items():
        assert page == (KEPT / name).read_text(encoding="utf-8"), name


if __name__ == "__main__":
    for kind in KINDS:
        for name, page in pages_of(kind).items():
            (KEPT / name).write_text(page, encoding="utf-8")
