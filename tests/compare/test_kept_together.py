"""Rows that belong together: one column names groups, and no fold parts one."""

import numpy as np
import pytest
import sklearn
from sklearn.model_selection import GroupKFold
from sklearn.preprocessing import TargetEncoder
from sklearn.utils.fixes import parse_version

pd = pytest.importorskip("pandas")

from skembed import EntityEmbeddingEncoder  # noqa: E402
from skembed.__main__ import main  # noqa: E402
from skembed.compare import InputError, evaluate, make_problem, pipeline  # noqa: E402
from skembed.compare._evaluate import _folds, _score, takes_groups  # noqa: E402
from skembed.compare._map import map_levels  # noqa: E402

NEW = parse_version(sklearn.__version__) >= parse_version("1.9")


def visits(n_patients=40, n_each=6, seed=0):
    """Visits of patients, who have a ward, a doctor and something of their own in common."""
    rng = np.random.default_rng(seed)
    patient = np.repeat(np.arange(n_patients), n_each)
    ward, doctor = (rng.integers(size, size=n_patients)[patient] for size in (4, 12))
    drug = rng.integers(6, size=len(patient))
    y = 2 * rng.standard_normal(n_patients)[patient] + drug + rng.standard_normal(len(patient))
    return pd.DataFrame(
        {
            "patient": [f"p{i}" for i in patient],
            "ward": [f"w{i}" for i in ward],
            "doctor": [f"d{i}" for i in doctor],
            "drug": [f"x{i}" for i in drug],
            "y": y,
        }
    )


def test_the_column_of_groups_is_no_input_and_tells_which_rows_belong_together():
    table = visits()
    problem = make_problem(table, "y", group="patient")
    assert problem.categorical == ["ward", "doctor", "drug"]
    assert problem.left_out == {"patient": "its rows are kept together"}
    assert problem.notes == ['rows of one "patient" kept together by the folds: 40 groups']
    np.testing.assert_array_equal(problem.groups, np.repeat(np.arange(40), 6))
    assert make_problem(table, "y").groups is None
    assert make_problem(table, "y", group="patient", drop=["patient"]).groups is not None


def test_rows_without_a_group_are_alone():
    table = visits()
    table.loc[[3, 17], "patient"] = None
    problem = make_problem(table, "y", group="patient")
    assert problem.notes == [
        '2 rows without a value of "patient", each a group of its own',
        'rows of one "patient" kept together by the folds: 42 groups',
    ]
    assert np.bincount(problem.groups).tolist() == [5 if i in (0, 2) else 6 for i in range(40)] + [1, 1]


def test_groups_follow_their_rows():
    table = visits()
    table.loc[::7, "y"] = np.nan
    problem = make_problem(table, "y", group="patient", max_rows=100)
    known = table[table["y"].notna()].set_index("y")
    patients = known.loc[problem.y, "patient"].to_numpy()
    assert len(problem.y) == len(problem.groups) == 100
    for group in np.unique(problem.groups):
        assert len(set(patients[problem.groups == group])) == 1
    assert len(set(patients)) == len(np.unique(problem.groups))


def test_classes_need_groups_for_the_folds():
    table = visits()
    # fifteen rows of a class, of three patients
    table["y"] = np.where(table["patient"].isin(["p1", "p2", "p3"]) & (table["drug"] != "x0"), "rare", table["drug"])
    problem = make_problem(table, "y", group="patient")
    assert "rare" not in problem.y
    assert problem.notes[0].startswith("1 class of fewer than 5 groups left out (1")
    assert len(problem.groups) == len(problem.y)
    with pytest.raises(
        InputError, match="has 7 classes, none in 50 groups, one for each fold: name another --group, or"
    ):
        make_problem(table, "y", group="patient", cv=50)
    assert "rare" in make_problem(table, "y").y
    assert "rare" in make_problem(table, "y", group="patient", cv=3).y


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"group": "patent"}, '--group: the table has no column "patent". Is it "patient"?'),
        ({"group": "y"}, '--group: "y" is the target.'),
        (
            {"group": "ward", "categorical": ["ward"]},
            '"ward" is asked to be both --group and --categorical: choose one.',
        ),
        ({"group": "ward", "numeric": ["ward"]}, '"ward" is asked to be both --group and --numeric: choose one.'),
        ({"group": "list"}, '--group: column "list" holds values of type list: turn them into text or numbers first.'),
    ],
)
def test_messages_name_the_option(options, message):
    table = visits()
    table["list"] = [[i] for i in range(len(table))]
    with pytest.raises(InputError) as caught:
        make_problem(table, "y", **options)
    assert str(caught.value) == message


@pytest.mark.parametrize(("n_groups", "cv", "least"), [(4, 5, 5), (3, 3, 4), (3, 2, 4)])
def test_too_few_groups(n_groups, cv, least):
    table = visits(n_patients=n_groups, n_each=20)
    problem = make_problem(table, "y", group="patient")
    with pytest.raises(
        InputError, match=rf"^{n_groups} groups are too few for {cv} folds: at least {least} are needed"
    ):
        evaluate(problem, encoders=["onehot"], learners=["linear"], cv=cv)


@pytest.mark.parametrize(("n_groups", "cv"), [(4, 2), (4, 4), (5, 5)])
def test_as_few_groups_as_can_be(n_groups, cv):
    problem = make_problem(visits(n_patients=n_groups, n_each=20), "y", group="patient")
    for row in evaluate(problem, cv=cv, learners=["linear"]):
        assert len(row.scores) == cv, row.skipped


@pytest.mark.parametrize("task", ["regression", "binary", "multiclass"])
def test_no_fold_parts_a_group(task):
    table = visits()
    cuts = {"regression": None, "binary": [2.5], "multiclass": [1.5, 3.5]}[task]
    if cuts:
        table["y"] = np.array(["low", "mid", "high"])[np.digitize(table["y"], cuts)]
    problem = make_problem(table, "y", group="patient")
    assert problem.task == task
    folds = list(_folds(problem, 5, 0))
    assert sorted(np.concatenate([test for _, test in folds])) == list(range(len(problem.y)))
    for train, test in folds:
        assert not set(problem.groups[train]) & set(problem.groups[test])
    other = list(_folds(problem, 5, 1))
    assert any(not np.array_equal(a[1], b[1]) for a, b in zip(folds, other))  # they are drawn
    for row in evaluate(problem, encoders=["target", "entity"], learners=["linear", "knn"]):
        assert len(row.scores) == 5, row.skipped


@pytest.mark.parametrize("encoder", ["onehot", "target", "entity"])
@pytest.mark.parametrize("learner", ["linear", "hgb"])
def test_scores_are_those_of_the_pipeline_that_is_told_of_groups(encoder, learner):
    problem = make_problem(visits(), "y", group="patient")
    (row,) = evaluate(problem, encoders=[encoder], learners=[learner], cv=3)
    expected = []
    for train, test in _folds(problem, 3, 0):
        model = pipeline(encoder, learner, problem)
        X, y, groups = problem.X.iloc[train], problem.y[train], problem.groups[train]
        with sklearn.config_context(enable_metadata_routing=True):
            told = takes_groups(problem, encoder=encoder, learner=learner)
            assert told == (encoder == "entity" or (encoder == "target" and NEW) or learner == "linear")
            model.fit(X, y, **({"groups": groups} if told else {}))
        expected.append(_score(model, problem.X.iloc[test], problem.y[test], "regression"))
    np.testing.assert_allclose(row.scores, expected, rtol=1e-9)
    assert not sklearn.get_config()["enable_metadata_routing"]


def test_encoders_hold_groups_out_within_training_rows(monkeypatch):
    seen = {}
    for encoder in (EntityEmbeddingEncoder, TargetEncoder):

        def noted(self, X, y, learn=encoder.fit_transform, **given):
            seen[type(self)] = (self.cv, given.get("groups"))
            return learn(self, X, y, **given)

        monkeypatch.setattr(encoder, "fit_transform", noted)
    problem = make_problem(visits(), "y", group="patient")
    evaluate(problem, encoders=["entity", "target"] if NEW else ["entity"], learners=["knn"], cv=2)
    _, (test, _) = _folds(problem, 2, 0)
    for cv, groups in seen.values():
        assert isinstance(cv, GroupKFold)
        assert cv.n_splits == 5
        np.testing.assert_array_equal(groups, problem.groups[test])
    assert len(seen) == (2 if NEW else 1)


def test_the_map_is_that_of_an_encoder_which_is_told_of_groups():
    problem = make_problem(visits(), "y", group="patient")
    assert map_levels(problem).column == "drug"  # doctors and wards tell patients apart, and nothing of others


def test_random_folds_promise_what_new_groups_do_not_keep(tmp_path, capsys):
    visits(n_patients=60).to_csv(tmp_path / "visits.csv", index=False)
    scores = {}
    for name, options in {"parted": [], "together": ["--group", "patient"]}.items():
        learner = ["--learner", "linear", "--quiet"]
        assert main(["compare", str(tmp_path / "visits.csv"), "--target", "y", *options, *learner]) == 0
        out = capsys.readouterr().out
        (line,) = (line for line in out.splitlines() if " entity  " in line)
        scores[name] = float(line.split("entity")[1].split()[0])
    assert scores["parted"] > scores["together"] + 0.1
    # the last run's advice can be followed as it is printed
    snippet = out[out.index("To take the best pipeline:") :].split("\n", 2)[2]
    assert "group='patient'" in snippet
    names = {}
    code = "\n".join(line.removeprefix("    ") for line in snippet.splitlines())
    with sklearn.config_context():
        exec(code, names)
    assert names["model"].predict(names["problem"].X).shape == (360,)
