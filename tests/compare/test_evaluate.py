"""The comparison itself: same folds, same scores as the pipelines, and failures that do not end it."""

import dataclasses

import numpy as np
import pytest
import sklearn
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.metrics import r2_score
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder
from threadpoolctl import threadpool_info, threadpool_limits

from skembed.compare import ComparisonProblem, InputError, _evaluate, evaluate, pipeline
from skembed.compare._evaluate import Encoding, Row

FAST = ("onehot", "target")


@pytest.fixture(autouse=True)
def one_thread():
    """Trees on a hundred rows spend their time on waiting for threads, those of pipelines that tests fit themselves."""
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
    monkeypatch.setattr("skembed.compare._evaluate._KNN_MAX_ROWS", 120)  # as many as there are
    assert not any(row.skipped for row in evaluate(problem_of("regression"), encoders=["onehot"], cv=2))


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


@pytest.mark.parametrize(("most", "n_threads"), [(None, {1}), (0, {2})])
def test_small_trees_grow_on_one_thread(most, n_threads, monkeypatch):
    """On a hundred rows they spend their time on waiting for threads."""
    fit, seen = HistGradientBoostingRegressor.fit, []

    def watched(*args):
        seen.append(max(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "openmp"))
        return fit(*args)

    monkeypatch.setattr(HistGradientBoostingRegressor, "fit", watched)
    if most is not None:
        monkeypatch.setattr(_evaluate, "_HGB_SMALL", most)
    with threadpool_limits(2, user_api="openmp"):
        evaluate(problem_of("regression"), encoders=["onehot"], learners=["hgb"], cv=2)
    assert set(seen) == n_threads


def test_too_few_rows():
    for n, cv, message in [
        (19, 5, "19 rows are too few for 5 folds: at least 20 are needed, or a smaller --cv."),
        (7, 2, "7 rows are too few for 2 folds: at least 8 are needed, or a smaller --cv."),
    ]:
        with pytest.raises(InputError, match=f"^{message}$"):
            evaluate(problem_of("regression", n=n), cv=cv)
    assert evaluate(problem_of("regression", n=8), encoders=["onehot"], learners=["linear"], cv=2)[0].scores


def test_too_few_rows_of_a_class():
    problem = problem_of("binary")
    problem = dataclasses.replace(problem, y=np.where(np.arange(len(problem.y)) < 7, "rare", "frequent"))
    with pytest.raises(InputError, match=r'^class "rare" has 7 rows, too few for 8 folds: read the problem with cv=8,'):
        evaluate(problem, encoders=["onehot"], learners=["linear"], cv=8)
    assert evaluate(problem, encoders=["onehot"], learners=["linear"], cv=7)[0].scores


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


def test_trees_are_given_onehot_columns_that_are_sparse_as_they_would_be_dense():
    problem = problem_of("regression", n=300, n_levels=60)
    rows = evaluate(problem, encoders=["onehot"], learners=["linear", "hgb"], cv=2, random_state=3)
    assert [row.skipped for row in rows] == ["", ""]
    train, test = next(KFold(2, shuffle=True, random_state=3).split(problem.X))
    model = pipeline("onehot", "hgb", problem, random_state=3).fit(problem.X[train], problem.y[train])
    assert rows[1].scores[0] == r2_score(problem.y[test], model.predict(problem.X[test]))


def test_a_learner_that_fails_is_told_and_the_others_go_on(monkeypatch):
    calls = []

    def fit(self, X, y):
        calls.append(len(y))
        raise MemoryError

    monkeypatch.setattr(KNeighborsRegressor, "fit", fit)
    rows = evaluate(problem_of("regression"), encoders=["onehot"], learners=["knn", "linear"], cv=3)
    assert (rows[0].skipped, rows[0].scores, rows[0].learn_seconds) == ("knn failed: MemoryError", [], [])
    assert len(rows[1].scores) == 3
    assert calls == [80]  # what has failed in a fold is not tried in the next


def test_scores_of_a_learner_that_fails_in_a_later_fold_are_not_kept(monkeypatch):
    fit, calls = KNeighborsRegressor.fit, []

    def fail_later(self, X, y):
        calls.append(len(y))
        if len(calls) == 2:
            raise ValueError("too far")
        return fit(self, X, y)

    monkeypatch.setattr(KNeighborsRegressor, "fit", fail_later)
    knn, linear = evaluate(problem_of("regression"), encoders=["onehot"], learners=["knn", "linear"], cv=3)
    assert (knn.skipped, knn.scores, knn.learn_seconds) == ("knn failed: too far", [], [])
    assert (len(linear.scores), len(linear.learn_seconds), linear.skipped) == (3, 3, "")


@pytest.mark.parametrize("score", [np.nan, -np.inf])
def test_a_score_that_is_no_number_is_told_and_the_others_go_on(score, monkeypatch):
    scores = iter([0.5, score])
    monkeypatch.setattr(_evaluate, "_score", lambda *_: next(scores, 0.25))
    first, second = evaluate(problem_of("regression"), encoders=["onehot", "ordinal"], learners=["linear"], cv=3)
    assert (first.scores, first.skipped) == ([0.5, 0.25, 0.25], "")
    assert (second.scores, second.skipped) == ([], f"linear failed: the score of a fold is {score}")


@pytest.mark.parametrize(("n_classes", "n_of_each", "cv"), [(20, 7, 5), (6, 4, 2), (3, 10, 3)])
def test_trees_stop_early_only_where_rows_of_each_class_can_be_held_out(n_classes, n_of_each, cv):
    y = np.repeat(np.arange(n_classes), n_of_each)
    problem = ComparisonProblem(np.c_[y % 3, y].astype(object), y, "multiclass", [0], [1], "levels", "y", ["a", "b"])
    assert not pipeline("ordinal", "hgb", problem)["learner"].early_stopping
    (row,) = evaluate(problem, encoders=["ordinal"], learners=["hgb"], cv=cv)
    assert len(row.scores) == cv, row.skipped


@pytest.mark.parametrize(("counts", "stops"), [([11, 11], True), ([11, 10], False), ([36, 4], True), ([37, 3], False)])
def test_when_trees_stop_early(counts, stops):
    y = np.repeat([0, 1], counts)
    problem = ComparisonProblem(y[:, None].astype(object), y, "binary", [0], [], "levels", "y", ["a"])
    assert pipeline("ordinal", "hgb", problem)["learner"].early_stopping is stops


def test_a_pipeline_takes_any_encoder():
    encoder = OneHotEncoder(handle_unknown="ignore")
    problem = problem_of("binary")
    model = pipeline(encoder, "knn", problem).fit(problem.X, problem.y)
    assert isinstance(model["learner"], Pipeline)  # its columns are scaled, of which nothing is known
    assert isinstance(model["columns"].named_transformers_["categorical"], OneHotEncoder)
    assert model.score(problem.X, problem.y) > 0.9
    assert isinstance(pipeline("onehot", "knn", problem)["learner"], KNeighborsClassifier)


@pytest.mark.parametrize(("task", "splitter"), [("regression", KFold), ("binary", StratifiedKFold)])
def test_folds_of_target_means_are_drawn_alike_by_every_version_of_scikit_learn(task, splitter, monkeypatch):
    problem = problem_of(task)
    monkeypatch.setattr(sklearn, "__version__", "1.9.1")
    encoder = pipeline("target", "linear", problem, random_state=3)["columns"].transformers[0][1]
    assert type(encoder.cv) is splitter
    assert (encoder.cv.n_splits, encoder.cv.shuffle, encoder.cv.random_state) == (5, True, 3)
    monkeypatch.setattr(sklearn, "__version__", "1.9.0")
    assert type(pipeline("target", "linear", problem)["columns"].transformers[0][1].cv) is splitter
    monkeypatch.setattr(sklearn, "__version__", "1.8.2")
    before = pipeline("target", "linear", problem, random_state=3)["columns"].transformers[0][1]
    assert (before.cv, before.random_state) == (5, 3)
    assert before.target_type == encoder.target_type == {"regression": "continuous"}.get(task, task)


@pytest.mark.parametrize(("task", "n_rows", "k"), [("regression", 120, 15), ("binary", 40, 10), ("binary", 3, 1)])
def test_few_rows_have_few_neighbours(task, n_rows, k):
    problem = problem_of(task)
    problem = dataclasses.replace(problem, X=problem.X[:n_rows], y=problem.y[:n_rows])
    assert pipeline("onehot", "knn", problem)["learner"].n_neighbors == k


def test_a_mean_over_folds_its_spread_and_its_times():
    row = Row("onehot", "linear", Encoding([1.0, 3.0], [0.5, 1.5]), [0.5, 0.7], [2.0, 4.0])
    assert (row.mean, row.spread) == (pytest.approx(0.6), pytest.approx(0.1 * np.sqrt(2)))
    assert (row.fit_seconds, row.transform_seconds) == (5.0, 1.0)
    assert Row("onehot", "linear", Encoding(), [0.5], [1.0]).spread == 0.0
    empty = Row("onehot", "linear", Encoding())
    assert np.isnan([empty.mean, empty.fit_seconds, empty.transform_seconds]).all()
    assert (empty.spread, empty.skipped, empty.scores, empty.learn_seconds) == (0.0, "", [], [])
    assert empty.encoding == Encoding([], [], n_columns=0, n_bytes=0)


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_scores_of_classes_are_areas_under_the_curve(task):
    problem = problem_of(task)
    (row,) = evaluate(problem, encoders=["onehot"], learners=["linear"], cv=3, random_state=1)
    folds = StratifiedKFold(3, shuffle=True, random_state=1).split(problem.X, problem.y)
    expected = []
    for train, test in folds:
        model = pipeline("onehot", "linear", problem, random_state=1).fit(problem.X[train], problem.y[train])
        shares, truth = model.predict_proba(problem.X[test]), problem.y[test]
        areas = []
        for j, label in enumerate(model.classes_) if task == "multiclass" else [(1, model.classes_[1])]:
            yes, no = shares[truth == label, j], shares[truth != label, j]
            areas.append(np.mean((yes[:, None] > no) + 0.5 * (yes[:, None] == no)))
        expected.append(np.mean(areas))
    np.testing.assert_allclose(row.scores, expected)


def test_what_an_encoding_costs_is_that_of_the_largest_fold():
    problem = problem_of("regression", n=300, n_levels=60)
    row, ordinal = evaluate(problem, encoders=["onehot", "ordinal"], learners=["linear"], cv=4)
    assert len(row.encoding.fit_seconds) == len(row.encoding.transform_seconds) == 4
    widths, sizes = [], []
    for train, _ in KFold(4, shuffle=True, random_state=0).split(problem.X):
        A = pipeline("onehot", "linear", problem)["columns"].fit_transform(problem.X[train], problem.y[train])
        widths.append(A.shape[1])
        sizes.append(A.data.nbytes + A.indices.nbytes + A.indptr.nbytes)
    assert (row.encoding.n_columns, row.encoding.n_bytes) == (max(widths), max(sizes))
    assert (ordinal.encoding.n_columns, ordinal.encoding.n_bytes) == (3, 225 * 3 * 8)


def test_as_many_onehot_columns_as_trees_take(monkeypatch):
    problem = dataclasses.replace(problem_of("regression", n=600, n_levels=40), numeric=[])
    monkeypatch.setattr(_evaluate, "_HGB_MAX_ONEHOT", 40)
    (row,) = evaluate(problem, encoders=["onehot"], learners=["hgb"], cv=2)
    assert (row.skipped, row.encoding.n_columns) == ("", 40)
    monkeypatch.setattr(_evaluate, "_HGB_MAX_ONEHOT", 39)
    with pytest.raises(InputError, match=r"^nothing could run: more than 39 one-hot columns are too many for trees$"):
        evaluate(problem, encoders=["onehot"], learners=["hgb"], cv=2)


def test_steps_of_a_pipeline_have_the_settings_that_scores_are_made_with():
    problem = problem_of("multiclass")
    onehot = pipeline("onehot", "linear", problem)["columns"].transformers[0]
    assert (onehot[0], onehot[2]) == ("categorical", [0])
    assert (onehot[1].handle_unknown, onehot[1].min_frequency) == ("infrequent_if_exist", 2)
    assert onehot[1].sparse_output is True
    assert pipeline("onehot", "hgb", problem)["columns"].transformers[0][1].sparse_output is False
    numeric = pipeline("onehot", "linear", problem)["columns"].transformers[1]
    assert (numeric[0], numeric[2]) == ("numeric", [1])
    entity = pipeline("entity", "hgb", problem, random_state=3)
    assert entity["columns"].transformers[0][2] == [0, 1]  # it sees the numbers, too
    encoder = entity["columns"].transformers[0][1]
    assert (encoder.categorical_features, encoder.target_type) == ([0], "multiclass")
    assert (encoder.cv, encoder.random_state) == (5, 3)
    assert entity["learner"].random_state == 3
    assert (entity["learner"].early_stopping, entity["learner"].l2_regularization) == (True, 1.0)
    linear = pipeline("ordinal", "linear", problem_of("regression"), random_state=4)["learner"]
    assert linear[0].with_mean is False
    assert (linear[1].cv.n_splits, linear[1].cv.shuffle, linear[1].cv.random_state) == (3, True, 4)
    np.testing.assert_allclose(linear[1].alphas, [0.1, 1, 10, 100, 1000, 10_000])
    logistic = pipeline("ordinal", "linear", problem)["learner"][1]
    assert (logistic.max_iter, logistic.C) == (300, 0.1)
    ordinal = pipeline("ordinal", "linear", problem)["columns"].transformers[0][1]
    assert (ordinal.unknown_value, ordinal.encoded_missing_value) == (-1, -2)


def test_a_value_that_is_missing_says_something_itself():
    problem = problem_of("regression")
    Z = pipeline("ordinal", "linear", problem)["columns"].fit_transform(problem.X, problem.y)
    assert Z.shape == (120, 3)
    np.testing.assert_allclose(Z[:, 1:].mean(axis=0), 0, atol=1e-9)
    assert len(set(Z[:, 2])) == 2
    assert len(set(Z[::10, 1])) == 1  # the median in its place
    problem.X[:, 1] = np.nan
    assert np.isfinite(pipeline("ordinal", "linear", problem)["columns"].fit_transform(problem.X, problem.y)).all()
