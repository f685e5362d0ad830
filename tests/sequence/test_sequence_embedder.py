"""SequenceEmbedder: what it learns, what it takes, and what a person is told who gives it something else."""

import datetime
import os
import pickle
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from unchecked import save_unchecked

import skembed
from skembed import EmbeddingTable, SequenceEmbedder
from skembed.formats import FormatError
from skembed.sequence import to_sequences

pytest.importorskip("torch")

STEPS = ["open", "call", "check", "close"]


def embedder(dim=4, **options):
    return SequenceEmbedder(dim, **({"max_iter": 2, "random_state": 0} | options))


def words(n=60, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.choice(STEPS, rng.integers(0, 8)).tolist() for _ in range(n)]


def frame(n=60):
    rng = np.random.default_rng(1)
    begin = np.datetime64("2024-03-04T06:00:00")
    sequences = words(n)
    times = [begin + np.sort(rng.integers(0, 10**6, len(w))).astype("timedelta64[s]") for w in sequences]
    return pd.DataFrame(
        {
            "step": sequences,
            "when": times,
            "cost": [rng.normal(size=len(w)) for w in sequences],
            "kind": rng.choice(["new", "old", None], n),
            "age": np.where(rng.random(n) < 0.2, np.nan, rng.normal(40, 10, n)),
        }
    )


# ------------------------------------------------------------------------------------------------------------ learning


def test_what_came_long_before_is_remembered():
    """The first event decides y and the last; between them lie up to eight that say nothing."""
    rng = np.random.default_rng(0)
    X = [[first, *rng.choice(["x", "y"], rng.integers(3, 9)), first * 2] for first in rng.choice(["a", "b"], 400)]
    model = make_pipeline(embedder(8, max_iter=30), LogisticRegression())
    beginnings = [case[:-1] for case in X]
    y = [case[0] for case in X]
    assert model.fit(beginnings[:300], y[:300]).score(beginnings[300:], y[300:]) > 0.95
    fitted = embedder(8, max_iter=50, early_stopping=False).fit(X[:300])
    keys, probabilities = fitted.predict_next(beginnings[300:], k=9)
    likelier = [max(("aa", "bb"), key=dict(zip(*row)).get) for row in zip(keys.tolist(), probabilities.tolist())]
    assert np.mean([end == case[-1] for end, case in zip(likelier, X[300:])]) > 0.95


def test_a_hundred_cases_are_enough_to_count():
    """Which of two events is more frequent; with a few steps a pass early stopping came before anything was learned."""
    rng = np.random.default_rng(0)
    X = [rng.choice(list("abcd"), rng.integers(3, 20)).tolist() for _ in range(600)]
    y = [case.count("a") > case.count("b") for case in X]
    model = make_pipeline(SequenceEmbedder(random_state=0), LogisticRegression(max_iter=500)).fit(X[:100], y[:100])
    assert model.score(X[100:], y[100:]) > 0.88


def test_gaps_tell_what_comes_next():
    rng = np.random.default_rng(0)
    begin = datetime.datetime(2024, 1, 1)
    is_long = rng.random(300) < 0.5
    seconds = np.where(is_long, rng.uniform(5e4, 9e4, 300), rng.uniform(10, 600, 300))
    log = pd.DataFrame(
        {
            "case": np.repeat(np.arange(300), 3),
            "step": [s for long in is_long for s in ("ask", "wait", "late" if long else "soon")],
            "when": [begin + datetime.timedelta(seconds=s) for gap in seconds for s in (0.0, gap, gap + 5)],
        }
    )
    fitted = embedder(8, max_iter=20).fit(to_sequences(log[log["case"] < 200], by="case", order="when").X)
    cases = to_sequences(log[log["case"] >= 200], by="case", order="when", prefixes=2, next_of="step")
    assert (fitted.predict_next(cases.X)[0][:, 0] == cases.y).mean() > 0.95


def test_numbers_and_plain_columns_tell_of_y():
    rng = np.random.default_rng(0)
    kind = rng.choice(["up", "down"], 300)
    numbers = [rng.normal(size=rng.integers(2, 6)) for _ in range(300)]
    y = np.array([n[-1] if k == "up" else -n[-1] for n, k in zip(numbers, kind)])
    X = pd.DataFrame({"n": numbers, "kind": kind})
    Z = embedder(16, max_iter=60, dropout=0.0).fit(X[:200], y[:200]).transform(X)
    coefficients = np.linalg.lstsq(np.c_[Z[:200], np.ones(200)], y[:200], rcond=None)[0]
    assert np.corrcoef(np.c_[Z[200:], np.ones(100)] @ coefficients, y[200:])[0, 1] > 0.9


def test_without_categories_the_next_numbers_are_learned():
    waves = [np.sin(np.arange(n) * 0.7 + n) for n in range(5, 45)]
    fitted = embedder(max_iter=10).fit(waves)
    assert fitted.event_ is None
    assert fitted.loss_curve_[-1] < fitted.loss_curve_[0]
    with pytest.raises(ValueError, match="this one learned the next numbers"):
        fitted.predict_next(waves)


def test_classes_have_weights():
    X, y = words(90), np.array([0] * 80 + [1] * 10)
    plain, weighted = (embedder(class_weight=w).fit(X, y) for w in (None, "balanced"))
    assert not np.array_equal(plain.transform(X), weighted.transform(X))
    repeated = embedder(class_weight={0: 1, 1: 1}).fit(X, y)
    np.testing.assert_array_equal(repeated.transform(X), plain.transform(X))
    with pytest.raises(ValueError, match="class_weight='balanced' needs y"):
        embedder(class_weight="balanced").fit(X)
    with pytest.raises(ValueError, match="the target is continuous"):
        embedder(class_weight="balanced").fit(X, np.linspace(0, 1, 90))


@pytest.mark.parametrize("container", ["pandas", "polars", "pyarrow"])
def test_rows_of_weight_zero_are_as_if_they_were_not_there(container):
    X, y, weight = frame(), np.array([*["yes", "no"] * 20, *["never"] * 20]), np.repeat([1.0, 0.0], [40, 20])
    for c, value in (("step", "rare"), ("kind", "odd"), ("cost", 1e9), ("age", 1e9)):
        X[c] = [cell if w else value if c in ("kind", "age") else [value] * len(cell) for cell, w in zip(X[c], weight)]
    new = frame(80)[60:]
    as_container = {
        "pandas": lambda X: X,
        "polars": pytest.importorskip("polars").from_pandas,
        "pyarrow": pytest.importorskip("pyarrow").Table.from_pandas,
    }[container]
    for target in (y, None):
        fitted = embedder().fit(as_container(X[:40]), None if target is None else y[:40])
        other = embedder().fit(as_container(X), target, sample_weight=weight)
        np.testing.assert_array_equal(other.transform(new), fitted.transform(new))
        assert list(other.embeddings_["step"].keys) == list(fitted.embeddings_["step"].keys)
        assert target is None or other.classes_.tolist() == ["no", "yes"]
    with pytest.raises(ValueError, match="sample_weight is negative in row 0"):
        embedder().fit(X, sample_weight=-weight)


def test_cases_of_a_class_of_weight_zero_are_not_learned_from():
    X, y = words(), [*np.arange(40) % 2, *[2] * 20]
    first, second = (
        embedder(class_weight={0: 1, 1: 1, 2: 0}).fit([*X[:40], *last], y)
        for last in (X[40:], [x[::-1] for x in X[40:]])
    )
    np.testing.assert_array_equal(first.transform(X), second.transform(X))


@pytest.mark.parametrize("kind", ["classes", "numbers", "labels", "sparse labels", "two numbers"])
def test_targets_of_every_kind(kind):
    rng = np.random.default_rng(0)
    y = {
        "classes": rng.choice(["p", "q", "r"], 60),
        "numbers": rng.normal(size=60),
        "labels": rng.integers(2, size=(60, 3)),
        "sparse labels": sparse.csr_matrix(rng.integers(2, size=(60, 3))),
        "two numbers": rng.normal(size=(60, 2)),
    }[kind]
    fitted = embedder().fit(words(), y)
    assert fitted.transform(words()).shape == (60, 4)
    if kind == "classes":
        assert fitted.classes_.tolist() == ["p", "q", "r"]
        assert fitted.target_type_ == "multiclass"
    with pytest.raises(ValueError, match="this one learned y"):
        fitted.predict_next(words())


# --------------------------------------------------------------------------------------------------------- next events


def test_probabilities_of_all_keys_sum_to_one_and_the_end_can_be_left_out():
    fitted = embedder(end="over").fit(words())
    keys, probabilities = fitted.predict_next(words(), k=99)
    assert set(keys[0]) == {*STEPS, "over"}
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    assert (np.diff(probabilities, axis=1) <= 0).all()
    short, without = fitted.predict_next(words(), k=2), fitted.predict_next(words(), k=99, end=False)
    np.testing.assert_array_equal(short[0], keys[:, :2])
    assert set(without[0][0]) == set(STEPS)
    np.testing.assert_allclose(without[1].sum(axis=1), 1, rtol=1e-5)
    never = embedder(end=None).fit(words())
    assert set(never.predict_next(words(), k=99)[0][0]) == set(STEPS)


def test_the_column_that_is_predicted():
    X = frame()
    X["who"] = [[name[0] for name in case] for case in X["step"]]
    assert embedder().fit(X).event_ == "step"
    assert embedder(event="who").fit(X).event_ == embedder(event=5).fit(X).event_ == "who"
    assert set(embedder(event="who", end=None).fit(X).predict_next(X, 9)[0][0]) == {"o", "c"}
    for wrong in ("cost", "kind", "nothing"):
        with pytest.raises(ValueError, match=f"event='{wrong}' is no column of sequences of categories"):
            embedder(event=wrong).fit(X)


def test_rare_levels_are_not_predicted():
    X = [*words(), ["open", "rare"]]
    fitted = embedder(min_frequency=2).fit(X)
    assert "rare" not in fitted.predict_next(X, 99)[0][0]
    np.testing.assert_array_equal(fitted.transform([["open", "rare"]]), fitted.transform([["open", "never met"]]))


@pytest.mark.parametrize("k", [0, 1.5, "2", True])
def test_k_is_a_whole_number(k):
    with pytest.raises(ValueError, match="k="):
        embedder().fit(words()).predict_next(words(), k)


# ---------------------------------------------------------------------------------------------------------------- rows


def test_beginnings_cost_nothing_and_change_nothing():
    fitted = embedder().fit(frame())
    X = frame()
    log = pd.DataFrame(
        {
            "case": np.repeat(np.arange(60), X["step"].map(len)),
            **{c: np.concatenate(X[c].tolist()) for c in ["step", "when", "cost"]},
        }
    )
    log["kind"], log["age"] = X["kind"].to_numpy()[log["case"]], X["age"].to_numpy()[log["case"]]
    cases = to_sequences(log, by="case", order="when", case_columns=["kind", "age"], prefixes=1)
    together = fitted.transform(cases.X)
    alone = np.concatenate([fitted.transform(cases.X.iloc[i : i + 1]) for i in range(0, len(together), 7)])
    np.testing.assert_array_equal(together[::7], alone)


def test_empty_cases_and_unknown_levels():
    fitted = embedder().fit(frame(), np.arange(60) % 2)
    X = frame()[:4]
    X["step"], X["when"], X["cost"] = [[[]] * 4] * 3
    assert np.isfinite(fitted.transform(X)).all()
    X["step"] = [["new"], [None], ["newer"], ["open"]]
    X["when"], X["cost"] = [[np.datetime64("2024-03-04", "s")]] * 4, [[0.0]] * 4
    X["kind"], X["age"] = "new", 40.0
    Z = fitted.transform(X)
    np.testing.assert_array_equal(Z[0], Z[1])
    np.testing.assert_array_equal(Z[0], Z[2])
    assert not np.array_equal(Z[0], Z[3])


def test_only_the_last_events_count_where_asked():
    fitted = embedder(max_length=2).fit(words())
    np.testing.assert_array_equal(
        fitted.transform([["open", "call", "check"], ["close", "call", "check"]]),
        fitted.transform([["call", "check"]] * 2),
    )
    # what only earlier events are is unknown, and learns nothing
    longer = embedder(max_length=2).fit([["begin", *case, "call", "check"] for case in words()])
    cut = embedder(max_length=2).fit([["open", "call", "check"] for _ in words()])
    assert "begin" not in longer.embeddings_["x0"]
    assert longer.embeddings_ == cut.embeddings_


def test_what_is_left_of_a_case_is_no_beginning():
    X = [["open", "call"], ["open", "call", "check", "close"]] * 30
    fitted = embedder(8, max_length=2, max_iter=30, batch_size=10, learning_rate=0.02).fit(X)
    keys, probabilities = fitted.predict_next([[]], 9)
    assert keys[0, 0] == "open"
    assert probabilities[0, 0] > 0.9


def test_one_row_one_event_and_no_varying_column():
    fitted = embedder().fit([["open"]])
    assert fitted.predict_next([["open"], []], 9)[1].shape == (2, 2)
    assert embedder().fit([["open"], ["open"]], [0, 1]).transform([["open"]]).shape == (1, 4)


def test_long_cases():
    X = [["open", "call"] * 500, ["call"] * 700, ["open"]]
    assert np.isfinite(embedder(max_iter=1).fit(X).transform(X)).all()


# -------------------------------------------------------------------------------------------------------- scikit-learn


def test_grid_search_in_a_pipeline():
    model = make_pipeline(embedder(), LogisticRegression())
    search = GridSearchCV(model, {"sequenceembedder__cell": ["lstm", "gru"]}, cv=2).fit(frame(), np.arange(60) % 2)
    assert len(search.predict(frame())) == 60


def test_a_column_transformer_names_its_columns():
    X = frame()
    model = ColumnTransformer([("case", embedder(), ["step", "kind"]), ("age", "passthrough", ["age"])])
    assert model.fit(X).get_feature_names_out().tolist() == [
        *(f"case__sequenceembedder{i}" for i in range(4)),
        "age__age",
    ]
    frame_out = embedder().set_output(transform="pandas").fit(X).transform(X)
    assert frame_out.columns.tolist() == [f"sequenceembedder{i}" for i in range(4)]


def test_vectors_of_levels_begin_from_tables():
    rng = np.random.default_rng(0)
    table = EmbeddingTable([*STEPS, "other"], rng.normal(size=(5, 6)), metric="cosine")
    fitted = embedder(init={"step": table}, learning_rate=1e-9).fit(frame())
    found = fitted.embeddings_["step"]
    assert found.metric == "cosine"
    assert set(found.keys) == set(STEPS)
    np.testing.assert_allclose(found.lookup(STEPS), table.lookup(STEPS), atol=1e-4)
    assert fitted.embeddings_["kind"].embedding_dim == 8
    assert None in fitted.embeddings_["kind"]
    assert embedder(level_dim={"kind": 3}).fit(frame()).embeddings_["kind"].embedding_dim == 3
    with pytest.raises(ValueError, match="init names 'cost'"):
        embedder(init={"cost": table}).fit(frame())
    with pytest.raises(ValueError, match=r"level_dim names \['cost'\]"):
        embedder(level_dim={"cost": 3}).fit(frame())


def test_levels_that_few_cases_have_are_learned_from():
    """The last of 400 codes, most of them rare, decides; vectors that begin far apart are learned too slowly."""
    kind = np.random.default_rng(4).integers(0, 2, 400)
    frequency = 1 / (np.arange(400) + 20)

    def draw(n, rng):
        cases = [rng.choice(400, rng.integers(3, 9), p=frequency / frequency.sum()).tolist() for _ in range(n)]
        return cases, kind[[case[-1] for case in cases]]

    right = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        (X, y), (X_test, y_test) = draw(600, rng), draw(1000, rng)
        model = make_pipeline(SequenceEmbedder(categorical_features=[0], random_state=0), LogisticRegression())
        right.append(model.fit(X, y).score(X_test, y_test))
    assert np.mean(right) > 0.88


def test_vectors_of_levels_begin_the_nearer_to_the_unknown_one_the_rarer_they_are():
    X = [["often", f"thing {i}"] for i in range(300)] + [["sometimes"]] * 100
    learned = SequenceEmbedder(4, level_dim=500, max_iter=1, learning_rate=1e-9, random_state=0).fit(X)
    table = learned.embeddings_["x0"]
    lengths = {key: np.square(table.lookup([key])).mean() for key in ["often", "sometimes", "thing 0"]}
    assert lengths == pytest.approx({"often": 3 / 4, "sometimes": 1 / 2, "thing 0": 1 / 101}, rel=0.25)
    np.testing.assert_allclose(table.unknown, 0, atol=1e-6)


def test_a_plain_table_is_taken_with_a_warning_and_y_alone():
    X, y = np.random.default_rng(0).normal(size=(60, 2)), np.arange(60) % 2
    with pytest.warns(UserWarning, match=r"no column of X holds sequences \('x0', 'x1'\).*pass list\(X\)") as caught:
        embedder().fit(X, y)
    assert caught[0].filename == __file__
    with pytest.raises(ValueError, match=r"so no next event can be predicted; .* pass list\(X\)"):
        embedder().fit(X)
    assert embedder().fit(list(X)).n_features_in_ == 1


def test_amounts_as_y_are_told_of_where_fit_was_called():
    with pytest.warns(UserWarning, match="takes y for continuous") as caught:
        embedder().fit(words(), np.arange(1000, 1060))
    assert caught[0].filename == __file__


@pytest.mark.parametrize(
    ("options", "X", "error", "message"),
    [
        ({}, [[], []], ValueError, "X holds 2 cases and none has an event"),
        ({"end": "open"}, words(), ValueError, "end='open' is a value of column 'x0'"),
        ({"min_frequency": 999}, words(), ValueError, "column 'x0' has no level left by min_frequency"),
        ({}, [np.array([1.5, 1.5])] * 9, ValueError,
         "X holds no sequence that varies, so that there is no next event to predict; pass y."),
        ({}, [np.array([n + 0.5]) for n in range(9)], ValueError,
         "there is nothing to learn from: no event has another one before it."),
        ({"cell": "rnn"}, words(), ValueError, "'cell' parameter"),
        ({"device": "no such"}, words(), ValueError, "device is 'no such'"),
        ({"categorical_features": ["a"]}, words(), ValueError, "categorical_features names 'a'"),
        ({}, "open", TypeError, "single str 'open'"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(options, X, error, message):
    with pytest.raises(error, match=message):
        embedder(**options).fit(X)


def test_of_constants_lengths_tell_as_categories():
    X, y = [[1.5] * (1 + n % 3) for n in range(60)], [n % 3 for n in range(60)]
    with pytest.raises(ValueError, match=r"no column of numbers or times that varies.*in categorical_features\."):
        embedder().fit(X, y)
    Z = embedder(categorical_features=[0]).fit(X, y).transform(X[:3])
    assert len(np.unique(Z, axis=0)) == 3


def test_y_must_fit():
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        embedder().fit(words(), [0, 1])
    with pytest.raises(ValueError, match="y has one class only"):
        embedder().fit(words(), ["p"] * 60)
    fitted = embedder().fit(frame())
    with pytest.raises(ValueError, match="feature"):
        fitted.transform(frame()[["step"]])


@pytest.mark.parametrize(
    ("column", "n_events"),
    [
        ([[]] * 60, 0), ([None, []] * 30, 0), ([[2.5, 2.5], [2.5]] * 30, 90), ([[np.nan, None]] * 60, 120),
        ([[datetime.datetime(2024, 3, 4)]] * 60, 60),
    ],
    ids=["empty", "missing", "constant", "no values", "one time"],
)  # fmt: skip
def test_sequences_that_tell_nothing_are_named_where_there_is_nothing_else(column, n_events):
    y, X = np.arange(60) % 2, pd.DataFrame({"log": column})
    with pytest.raises(ValueError, match=f"^X holds 60 cases of {n_events} events, and no column of numbers or ti"):
        embedder().fit(X, y)
    assert np.isfinite(embedder().fit_transform(X.assign(age=y * 2.5), y)).all()


def test_transform_and_predictions_import_no_torch(tmp_path):
    path = tmp_path / "embedder.pickle"
    path.write_bytes(pickle.dumps((embedder().fit(words()), words())))
    code = (
        "import pickle, sys\nfitted, X = pickle.load(open(sys.argv[1], 'rb'))\n"
        "fitted.transform(X), fitted.predict_next(X)\nprint('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    assert done.stdout.strip() == "False"


@pytest.fixture(scope="module")
def of_frame():
    return embedder().fit(frame())


def not_finite(fitted, of_unknown):
    table = fitted.embeddings_["step"]
    vectors, unknown = table.vectors.copy(), table.unknown.copy()
    (unknown if of_unknown else vectors[1])[-1] = np.inf
    changed = EmbeddingTable(table.keys, np.zeros_like(vectors), unknown=np.zeros_like(unknown))
    changed._vectors, changed._unknown = vectors, unknown
    return changed


def without_unknown(fitted):
    table = fitted.embeddings_["step"]
    return {"embeddings_": fitted.embeddings_ | {"step": EmbeddingTable(table.keys, table.vectors)}}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (lambda f: {"n_features_in_": 4}, "a reader of 4 columns"),
        (lambda f: {"_pooling": "sum"}, "a pooling that is known"),
        (lambda f: {"embeddings_": {"step": f.embeddings_["step"]}}, "tables of the columns"),
        (without_unknown, "a vector for each level, and an unknown one"),
        (lambda f: {"embeddings_": f.embeddings_ | {"step": not_finite(f, of_unknown=False)}}, "finite"),
        (lambda f: {"embeddings_": f.embeddings_ | {"step": not_finite(f, of_unknown=True)}}, "finite"),
        (lambda f: {"event_": "kind"}, "an event among"),
        (lambda f: {"_has_end": False}, "output weights of 4 keys"),
        (lambda f: {"_weights": replace(f._weights, output=f._weights.output[:, :1].copy())}, "output weights of 5"),
        (lambda f: {"_weights": replace(f._weights, events=f._weights.cases)}, "weights of the columns of events"),
        (lambda f: {"_weights": replace(f._weights, cases=f._weights.events)}, "weights of the plain columns"),
    ],
)
def test_a_file_whose_parts_do_not_fit_is_refused(of_frame, changes, message, tmp_path):
    changed = pickle.loads(pickle.dumps(of_frame))
    vars(changed).update(changes(changed))
    save_unchecked(changed, tmp_path / "kept")
    with pytest.raises(FormatError, match=message):
        skembed.load(tmp_path / "kept")


def test_callbacks_are_told_of_each_pass_and_of_the_end():
    pytest.importorskip("sklearn.callback", reason="scikit-learn 1.9 or newer has callbacks")
    told = []

    class Listener:
        def setup(self, estimator, context):
            pass

        def on_fit_task_begin(self, estimator, context):
            told.append(f"{context.task_name} begins")

        def on_fit_task_end(self, estimator, context):
            told.append(f"{context.task_name} ends")

        def teardown(self, estimator, context):
            pass

    embedder(early_stopping=False).set_callbacks(Listener()).fit(words())
    assert told == ["fit begins", *["pass begins", "pass ends"] * 2, "fit ends"]
