"""The comparison itself: same folds, same scores as the pipelines, and failures that do not end it."""

import dataclasses

import numpy as np
import pytest
import sklearn
from sklearn.metrics import r2_score
from sklearn.model_selection import KFold
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from threadpoolctl import threadpool_limits

from skembed.compare import ComparisonProblem, InputError, evaluate, pipeline

FAST = ("onehot", "target")


@pytest.fixture(autouse=True)
def one_thread():
    """Trees on a hundred rows spend their time on waiting for threads."""
    with threadpool_limits(1):
        yield


def problem_of(task, n=120, n_levels=6):
    rng = np.random.default_rng(0)
    levels = rng.integers(0, n_levels, n)
    X = np.empty((n, 2), dtype=object)
    X[:, 0] = [f"level {k}" for k in levels]
    X[:, 1] = rng.normal(size=n)
    X[::10, 1] = np.nan
    signal = levels + 0.1 * rng.normal(size=n)
    y = {
        "regression": signal,
        "binary": np.where(signal > n_levels / 2, "high", "low"),
        "multiclass": np.array(["low", "middle", "high"])[np.clip(signal * 3 / n_levels, 0, 2).astype(int)],
    }[task]
    return ComparisonProblem(X, y, task, [0], [1], "levels", "y", ["level", "size"])


@pytest.mark.parametrize("task", ["regression", "binary", "multiclass"])
@pytest.mark.parametrize("encoder", ["onehot", "target", "ordinal"])
def test_every_task_encoder_and_learner(task, encoder):
    problem = problem_of(task)
    rows = evaluate(problem, encoders=[encoder], cv=3)
    assert [row.learner for row in rows] == ["linear", "knn", "hgb"]
    for row in rows:
        assert len(row.scores) == 3, row.skipped
        assert row.fit_seconds > 0
        assert row.encoding.n_bytes > 0
    if encoder != "ordinal":
        assert rows[0].mean > 0.9


@pytest.mark.parametrize("encoder", FAST)
@pytest.mark.parametrize("learner", ["linear", "knn", "hgb"])
def test_scores_are_those_of_the_pipeline(encoder, learner):
    problem = problem_of("regression")
    (row,) = evaluate(problem, encoders=[encoder], learners=[learner], cv=3, random_state=1)
    folds = KFold(3, shuffle=True, random_state=1).split(problem.X)
    scores = []
    for train, test in folds:
        model = pipeline(encoder, learner, problem, random_state=1).fit(problem.X[train], problem.y[train])
        scores.append(r2_score(problem.y[test], model.predict(problem.X[test])))
    np.testing.assert_allclose(row.scores, scores, rtol=1e-9)


def test_entity_vectors_are_compared():
    (row,) = evaluate(problem_of("regression"), encoders=["entity"], learners=["linear"], cv=2)
    assert row.skipped == ""
    assert row.mean > 0.8


def test_wide_onehot_is_not_given_to_trees():
    rows = evaluate(
        problem_of("regression", n=3000, n_levels=400), encoders=["onehot"], learners=["hgb", "linear"], cv=2
    )
    assert rows[0].skipped == "more than 255 one-hot columns are too many for trees"
    assert np.isnan(rows[0].mean)
    assert len(rows[1].scores) == 2


def test_an_encoder_that_fails_is_told_and_the_others_go_on(monkeypatch):
    from sklearn.preprocessing import TargetEncoder

    def fail(self, X, y):
        raise ValueError("no such luck\nsecond line")

    monkeypatch.setattr(TargetEncoder, "fit_transform", fail)
    rows = evaluate(problem_of("regression"), encoders=FAST, learners=["linear"], cv=2)
    assert [bool(row.scores) for row in rows] == [True, False]
    assert rows[1].skipped == "target failed: no such luck"
    with pytest.raises(InputError, match="nothing could run: target failed"):
        evaluate(problem_of("regression"), encoders=["target"], learners=["linear"], cv=2)


def test_nearest_neighbours_are_left_out_of_large_tables(monkeypatch):
    monkeypatch.setattr("skembed.compare._evaluate._KNN_MAX_ROWS", 100)
    rows = evaluate(problem_of("regression"), encoders=["onehot"], cv=2)
    assert [row.skipped for row in rows] == ["", "nearest neighbours are slow above 100 rows", ""]
    (asked_for,) = evaluate(problem_of("regression"), encoders=["onehot"], learners=["knn"], cv=2)
    assert len(asked_for.scores) == 2


@pytest.mark.parametrize(("task", "method"), [("regression", "predict"), ("binary", "predict_proba")])
def test_nearest_neighbours_take_little_memory(task, method, monkeypatch):
    learner = KNeighborsRegressor if task == "regression" else KNeighborsClassifier
    predict, megabytes = getattr(learner, method), []

    def watched(*args):
        megabytes.append(sklearn.get_config()["working_memory"])
        return predict(*args)

    monkeypatch.setattr(learner, method, watched)
    evaluate(problem_of(task), encoders=["onehot"], learners=["knn"], cv=2)
    assert len(megabytes) == 2
    assert max(megabytes) <= 128


def test_too_few_rows():
    with pytest.raises(InputError, match="15 rows are too few for 5 folds: at least 20"):
        evaluate(problem_of("regression", n=15))


def test_progress_counts_every_step():
    steps = []
    evaluate(problem_of("regression"), encoders=FAST, learners=["linear", "knn"], cv=2, progress=steps.append)
    assert len(steps) == 2 * 2 * (1 + 2)


def test_same_seed_same_scores():
    a, b = (evaluate(problem_of("binary"), encoders=FAST, learners=["linear"], cv=3) for _ in range(2))
    assert [row.scores for row in a] == [row.scores for row in b]


def test_unknown_names():
    problem = problem_of("regression")
    with pytest.raises(ValueError, match='encoder="hash": expected one of onehot'):
        pipeline("hash", "linear", problem)
    with pytest.raises(ValueError, match='learner="forest": expected one of linear'):
        pipeline("onehot", "forest", problem)


def test_a_problem_of_categories_alone():
    problem = dataclasses.replace(problem_of("binary"), numeric=[])
    (row,) = evaluate(problem, encoders=["onehot"], learners=["linear"], cv=2)
    assert row.encoding.n_columns == 6


@pytest.mark.parametrize("as_frame", [False, True])
def test_the_entity_encoder_knows_the_numbers(as_frame):
    """A level whose rows only differ by a number must not have that number's effect as its own."""
    rng = np.random.default_rng(0)
    level = rng.integers(0, 2, 400)
    X = np.empty((400, 2), dtype=object)
    X[:, 1] = np.where(level, "many", "few")
    X[:, 0] = rng.normal(3.0 * level, 0.5)  # the categories stand behind the numbers
    y = X[:, 0].astype(float)
    categorical, numeric = [1], [0]
    if as_frame:
        pd = pytest.importorskip("pandas")
        X = pd.DataFrame({"size": X[:, 0].astype(float), "level": X[:, 1]})
        categorical, numeric = ["level"], ["size"]
    problem = ComparisonProblem(X, y, "regression", categorical, numeric, "levels", "y", ["size", "level"])
    model = pipeline("entity", "linear", problem).fit(X, y)
    encoder = model.named_steps["columns"].named_transformers_["categorical"]
    effects = encoder.embeddings_["level" if as_frame else "x0"]
    gap = abs(effects["many"][0] - effects["few"][0])
    assert gap < 0.3  # the levels' means of y lie 1.9 standard deviations apart
    assert model.predict(X).shape == y.shape
