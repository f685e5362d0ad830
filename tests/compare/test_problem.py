"""Tables to problems: targets, tasks, what is left out, and the one-line errors."""

import os

import numpy as np
import pytest

pd = pytest.importorskip("pandas")

from skembed.compare import InputError, make_problem, read_problem, unicode_problem  # noqa: E402
from skembed.compare._read import read_table  # noqa: E402
from skembed.compare._text import describe  # noqa: E402
from skembed.data.target_type import infer_target_type  # noqa: E402


def table(n=60, **columns):
    rng = np.random.default_rng(0)
    base = {"colour": rng.choice(["red", "green", "blue"], n), "size": rng.normal(size=n), "y": rng.normal(size=n)}
    return pd.DataFrame({**base, **columns})


def test_kinds_and_task():
    problem = make_problem(table(), "y")
    assert (problem.categorical, problem.numeric, problem.task) == (["colour"], ["size"], "regression")
    assert problem.left_out == {}
    assert problem.X.shape == (60, 2)


@pytest.mark.parametrize(
    ("y", "task"),
    [
        (["a", "b"] * 30, "binary"),
        ([True, False] * 30, "binary"),
        ([0, 1] * 30, "binary"),
        (["a", "b", "c"] * 20, "multiclass"),
        ([1, 2, 3] * 20, "multiclass"),
        (range(60), "regression"),
        ([0.5, 1.5, 2.5] * 20, "regression"),
        ([0.5, 1.5] * 30, "regression"),
        ([*range(21), *[0] * 39], "regression"),  # more than a tenth of 60 rows
        ([*range(20), *[0] * 40], "multiclass"),
        ([f"${v:,}.00" for v in range(1000, 1060)], "regression"),
        (pd.Series(pd.date_range("2020-01-01", periods=60)), "regression"),
    ],
)
def test_task_by_target(y, task):
    assert make_problem(table(y=list(y)), "y", cv=1).task == task


@pytest.mark.parametrize("n_values", [2, 3, 20, 21, 50, 51])
@pytest.mark.parametrize("n_rows", [60, 300, 600])
def test_the_encoder_decides_alike(n_values, n_rows):
    frame = table(n=n_rows, y=np.arange(n_rows) % n_values)
    task, found = make_problem(frame, "y", cv=1).task, infer_target_type(frame["y"])
    assert task == {"continuous": "regression"}.get(found.kind, found.kind)


def test_whole_numbers_that_are_taken_for_amounts_are_noted():
    notes = make_problem(table(y=range(60)), "y").notes
    assert '"y" read as amounts: 60 distinct whole numbers (--task classification makes them classes)' in notes
    for y, task in ((range(60), "regression"), ([1, 2, 3] * 20, "auto"), (np.arange(60) + 0.5, "auto")):
        assert not make_problem(table(y=y), "y", task=task).notes


@pytest.mark.parametrize("task", ["regression", "classification"])
def test_codes_are_told_from_amounts_by_the_target(task):
    rng = np.random.default_rng(0)
    code, amount, effect = rng.integers(40, size=2000), rng.integers(40, size=2000), rng.normal(size=40)
    y = effect[code] + 0.1 * amount + 0.1 * rng.normal(size=2000)
    target = y if task == "regression" else np.where(y > np.median(y), "high", "low")
    made = make_problem(pd.DataFrame({"code": code, "amount": amount, "kind": ["a", "b"] * 1000, "y": target}), "y")
    assert (made.categorical, made.numeric) == (["code", "kind"], ["amount"])


def test_task_can_be_asked_for():
    frame = table(y=[1, 2, 3] * 20)
    assert make_problem(frame, "y", task="regression").task == "regression"
    with pytest.raises(InputError, match=r'"colour" does not hold numbers \(such as "'):
        make_problem(table(), "colour", task="regression")


def test_left_out_with_reasons():
    frame = table(
        number=range(60),
        name=[f"person {i}" for i in range(60)],
        nearly=[f"note {i}" for i in range(59)] + ["note 0"],
        text=[f"{i % 40} " + "many words " * 9 for i in range(60)],
        constant="x",
        empty=None,
        nested=[[i] for i in range(60)],
    )
    problem = make_problem(frame, "y", drop=["size"])
    assert problem.categorical == ["colour"]
    reasons = problem.left_out
    assert reasons["number"] == "different in every row, like a row number"
    assert reasons["name"] == "different in every row"
    assert reasons["nearly"] == "different in nearly every row"
    assert reasons["text"] == "free text"
    assert reasons["constant"] == "always x"
    assert reasons["empty"] == "empty"
    assert reasons["nested"] == "holds values of type list"
    assert reasons["size"] == "as asked"


def test_a_column_that_is_named_is_kept():
    frame = table(number=range(60), name=[f"person {i}" for i in range(60)])
    problem = make_problem(frame, "y", categorical=["name"], numeric=["number"])
    assert "name" in problem.categorical
    assert "number" in problem.numeric
    with pytest.raises(InputError, match=r'--numeric: column "colour" does not hold numbers'):
        make_problem(frame, "y", numeric=["colour"])


def test_missing_targets_and_rare_classes_are_told():
    frame = table(y=["a", "b"] * 28 + ["rare"] * 3 + [None])
    problem = make_problem(frame, "y")
    assert len(problem.y) == 56
    assert '1 row without a value of "y" left out' in problem.notes
    assert '1 class of fewer than 5 rows left out (3 rows): "rare"' in problem.notes


def test_sampling_is_told_and_reproducible():
    frame = table(n=300)
    a, b = (make_problem(frame, "y", max_rows=100, random_state=3) for _ in range(2))
    np.testing.assert_array_equal(a.y, b.y)
    assert len(a.y) == 100
    assert "100 of 300 rows drawn at random (--max-rows 0 takes all)" in a.notes


def test_infinities_are_missing():
    size = np.arange(60.0) % 7 + 0.5
    size[0] = np.inf
    problem = make_problem(table(size=size), "y")
    assert np.isnan(problem.X["size"].iloc[0])


@pytest.mark.parametrize(
    ("target", "columns", "message"),
    [
        ("Y", {}, r'no column "Y"\. Is it "y"\?'),
        ("colours", {}, r'Is it "colour"\?'),
        ("price", {}, r'It has "colour", "size", "y"\.'),
        (None, {}, r'which column is to be predicted\? Give --target COLUMN: the table has "colour"'),
        ("y", {"y": 1.5}, r"one value only \(1.5\)"),
        ("y", {"y": "a"}, r'one class only \("a"\)'),
        ("y", {"y": None}, "has no values"),
        ("y", {"y": [f"id {i}" for i in range(60)]}, "60 classes, none with 5 rows"),
        ("y", {"colour": 1.5}, "no column of categories left"),
    ],
)
def test_errors_name_the_way_out(target, columns, message):
    with pytest.raises(InputError, match=message) as caught:
        make_problem(table(**columns), target)
    assert "\n" not in str(caught.value)


def test_too_many_classes():
    with pytest.raises(InputError, match="101 classes, at most 100"):
        make_problem(table(n=606, y=[f"c{i % 101}" for i in range(606)]), "y")


@pytest.mark.parametrize("option", ["drop", "categorical", "numeric"])
def test_options_name_columns_that_exist(option):
    with pytest.raises(InputError, match=rf'--{option}: the table has no column "colr"\. Is it "colour"\?'):
        make_problem(table(), "y", **{option: ["colr"]})
    with pytest.raises(InputError, match='"y" is the target'):
        make_problem(table(), "y", **{option: ["y"]})


def test_one_column_cannot_be_both_kinds():
    with pytest.raises(InputError, match='"size" is asked to be both'):
        make_problem(table(), "y", categorical=["size"], numeric=["size"])


def test_rows_of_a_file_are_sampled(tmp_path):
    path = tmp_path / "people.csv"
    path.write_text("age,name,y\n" + "".join(f"{i}.5,{'ab'[i % 2]},{i}.25\n" for i in range(300)))
    assert len(read_problem(path, "y", max_rows=100).y) == 100
    assert len(read_problem(path, "y", max_rows=None).y) == 300


@pytest.mark.parametrize(
    ("option", "changes"),
    [
        ({"task": "regression"}, "task"),
        ({"drop": ["name"]}, "categorical"),
        ({"categorical": ["code"]}, "categorical"),
        ({"numeric": ["id"]}, "numeric"),
        ({"max_rows": 60}, "y"),
        ({"max_rows": 60, "random_state": 1}, "y"),
        ({"cv": 15}, "y"),
    ],
)
def test_options_of_files_are_those_of_tables(tmp_path, option, changes):
    n = np.arange(120)
    frame = pd.DataFrame({"id": n, "code": n % 6, "name": list("abcd") * 30, "size": list("sml") * 40, "y": n**2 % 11})
    frame.to_csv(tmp_path / "people.csv", index=False)
    found = read_problem(tmp_path / "people.csv", "y", **option)
    expected = make_problem(read_table(tmp_path / "people.csv"), "y", **option, source="people.csv")
    for name in ("task", "categorical", "numeric", "source", "notes"):
        assert getattr(found, name) == getattr(expected, name)
    np.testing.assert_array_equal(found.y, expected.y)
    others = read_problem(tmp_path / "people.csv", "y", **{"max_rows": 60} if "random_state" in option else {})
    assert not np.array_equal(getattr(found, changes), getattr(others, changes))


def test_file_without_a_header(tmp_path):
    path = tmp_path / "people.data"
    path.write_text("".join(f"{i % 7}.5, {'ab'[i % 2]}, {'yn'[i % 3 > 0]}, {i % 5}.25\n" for i in range(60)))
    with pytest.raises(InputError, match=r"first line looks like data .* target from column_1 to column_4"):
        read_problem(path, "income")
    for target in ("3", "column_3"):
        assert read_problem(path, target, header_rows=0).target == "column_3"


def test_unicode_problem_with_and_without_pandas(monkeypatch):
    a = unicode_problem(max_rows=500)
    monkeypatch.setattr("skembed.datasets._unicode.find_spec", lambda name: None)
    b = unicode_problem(max_rows=500)
    assert isinstance(b.X, np.ndarray)
    np.testing.assert_array_equal(a.y, b.y)
    assert [a.name_of(c) for c in a.categorical] == [b.name_of(c) for c in b.categorical]


@pytest.mark.parametrize(("terminal", "width"), [(300, 110), (80, 80), (10, 40)])
def test_columns_are_told_in_lines_as_wide_as_the_terminal_within_reason(terminal, width, monkeypatch):
    monkeypatch.setattr("shutil.get_terminal_size", lambda fallback: os.terminal_size((terminal, 24)))
    X = pd.DataFrame({f"column {i}": ["a", "b"] * 20 for i in range(40)} | {"y": [1.5, 2.5, 3.5, 4.5] * 10})
    lines = describe(make_problem(X, "y")).splitlines()
    assert width - 12 < max(map(len, lines[1:])) <= width
    assert lines[1].startswith("  treated as categorical: column 0,")
    assert lines[2].startswith("    ")
