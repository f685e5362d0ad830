"""Tables to problems: targets, tasks, what is left out, and the one-line errors."""

import os

import numpy as np
import pytest

pd = pytest.importorskip("pandas")

from skembed.compare import InputError, evaluate, make_problem, read_problem, unicode_problem  # noqa: E402
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


def test_columns_whose_names_are_no_text():
    """scikit-learn takes an int for a place, whatever the name there."""
    frame = table()[["y", "size", "colour"]].set_axis([2, 0, 1], axis=1)  # 0 is the second column of three
    problem = make_problem(frame, 2)
    assert (problem.target, problem.categorical, problem.numeric) == ("2", ["1"], ["0"])
    assert describe(problem).splitlines()[1:] == ["  treated as categorical: 1", "  treated as numeric: 0"]
    (row,) = evaluate(problem, encoders=["onehot"], learners=["linear"])
    assert row.encoding.n_columns == 4
    assert make_problem(frame, 2, numeric=[0], drop=[]).numeric == ["0"]
    of_levels = table().set_axis(pd.MultiIndex.from_tuples([("a", 1), ("a", 2), ("b", 1)]), axis=1)
    assert make_problem(of_levels, ("b", 1)).categorical == ["a: 1"]


@pytest.mark.parametrize("module", ["polars", "pyarrow"])
def test_tables_of_others(module):
    columns = table().to_dict(orient="list")
    kind = pytest.importorskip(module)
    problem = make_problem(kind.table(columns) if module == "pyarrow" else kind.DataFrame(columns), "y")
    assert (problem.categorical, problem.numeric, problem.task) == (["colour"], ["size"], "regression")


def test_what_is_no_table():
    with pytest.raises(InputError, match="the table is of type str, expected a DataFrame; read_problem reads files"):
        make_problem("houses.csv", "y")


def test_columns_of_one_name_are_refused():
    frame = table().set_axis(["size", "size", "y"], axis=1)
    with pytest.raises(InputError, match='the table has 2 columns named "size": rename all but one'):
        make_problem(frame, "y")


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


def test_numbers_whose_squares_are_none_are_left_out_or_told():
    far = np.arange(60.0) % 7 + 0.5
    far[3] = -1.7e308  # such as some programs write for missing
    problem = make_problem(table(far=far), "y")
    assert problem.left_out == {"far": "holds numbers beyond 1e+100"}
    with pytest.raises(InputError, match=r'^target "far" holds numbers beyond 1e\+100, of which no score can be comp'):
        make_problem(table(far=far), "far")
    assert make_problem(table(far=far), "far", task="classification").task == "multiclass"
    assert make_problem(table(far=far), "y", categorical=["far"]).categorical == ["colour", "far"]
    far[3] = 1e100
    assert make_problem(table(far=far), "y").left_out == {}


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
        ("y", {"y": ["a"] + [None] * 59}, r'"y" has 1 row, fewer than the 5 that each class needs'),
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
        ({"group": "name", "cv": 4}, "categorical"),
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
    assert unicode_problem().notes[0].startswith("8,000 of ")


@pytest.mark.parametrize(("cv", "n_min"), [(5, 20), (50, 50)])
def test_each_class_of_characters_is_in_every_fold(cv, n_min):
    problem = unicode_problem(max_rows=3000, cv=cv)
    assert np.unique(problem.y, return_counts=True)[1].min() >= n_min
    assert f"classes of fewer than {n_min} rows left out" in problem.notes[1]


@pytest.mark.parametrize(("terminal", "width"), [(300, 110), (80, 80), (10, 40)])
def test_columns_are_told_in_lines_as_wide_as_the_terminal_within_reason(terminal, width, monkeypatch):
    monkeypatch.setattr("shutil.get_terminal_size", lambda fallback: os.terminal_size((terminal, 24)))
    X = pd.DataFrame({f"column {i}": ["a", "b"] * 20 for i in range(40)} | {"y": [1.5, 2.5, 3.5, 4.5] * 10})
    lines = describe(make_problem(X, "y")).splitlines()
    assert width - 12 < max(map(len, lines[1:])) <= width
    assert lines[1].startswith("  treated as categorical: column 0,")
    assert lines[2].startswith("    ")


@pytest.mark.parametrize("values", [[b"a", b"b"] * 30, [{"a"}, {"b"}] * 30, [{"k": 1}] * 60, [None] * 30 + [[1]] * 30])
def test_values_that_are_no_levels_are_left_out(values):
    problem = make_problem(table(odd=values), "y")
    assert problem.left_out == {"odd": f"holds values of type {type(values[-1]).__name__}"}


@pytest.mark.parametrize("values", [[[1], [2]] * 30, [{"k": 1}] * 60, [None] * 59 + [{"a"}]])
def test_values_that_are_no_levels_are_told_where_they_are_asked_for(values):
    kind = type(values[-1]).__name__
    with pytest.raises(InputError, match=rf'^target "odd" holds values of type {kind}: turn them into text or numbers'):
        make_problem(table(odd=values), "odd")
    for option in ("categorical", "numeric"):
        with pytest.raises(InputError, match=rf'^--{option}: column "odd" holds values of type {kind}: turn them'):
            make_problem(table(odd=values), "y", **{option: ["odd"]})


def test_a_column_that_is_empty_where_rows_remain():
    size = np.full(62, np.nan)
    size[60:] = [1.5, 2.5]
    frame = table(62, y=["a", "b"] * 30 + ["rare"] * 2, other=size)
    problem = make_problem(frame, "y")
    assert problem.left_out == {"other": "empty in the rows that remain"}
    assert (problem.numeric, list(problem.X.columns)) == (["size"], ["colour", "size"])


@pytest.mark.parametrize(
    ("n_rows", "n_levels", "length", "reason"),
    [
        (19, 19, 9, None),  # too few rows to tell a name from a category
        (20, 20, 9, "different in every row"),
        (100, 96, 9, "different in nearly every row"),
        (100, 95, 9, None),
        (100, 51, 61, "free text"),
        (100, 51, 60, None),
        (100, 50, 61, None),
    ],
)
def test_what_is_a_name_or_a_text_and_what_is_a_category(n_rows, n_levels, length, reason):
    texts = [f"{j % n_levels:03}" + "x" * (length - 3) for j in range(n_rows)]
    left_out = make_problem(table(n_rows, what=texts), "y").left_out
    assert left_out == ({} if reason is None else {"what": reason})


def test_a_constant_beside_missing_values_is_a_column_and_long_values_are_shortened():
    frame = table(half=["x"] * 30 + [None] * 30, long="a" * 31, short="b" * 30)
    problem = make_problem(frame, "y")
    assert problem.left_out == {"long": "always " + "a" * 29 + "\u2026", "short": "always " + "b" * 30}
    assert "half" in problem.categorical


def test_every_step_is_noted_in_words():
    days = [f"2024-01-{1 + i % 28:02}" for i in range(60)]
    prices = [f"${i % 7}.50" for i in range(60)]
    cost = [f"{i % 9}%" for i in range(60)]
    problem = make_problem(table(day=days, price=prices, cost=cost), "y")
    assert problem.notes == ['read as days since 1970: "day"', 'read as numbers: "price", "cost"']
    assert problem.X["price"].tolist()[:2] == [0.5, 1.5]
    labels = [f"c{i}" for i in range(6)]
    frame = table(1060, y=["a", "b"] * 524 + [label for label in labels for _ in range(2)])
    assert make_problem(frame, "y").notes == [
        '6 classes of fewer than 5 rows left out (12 rows): "c0", "c1", "c2", "c3", "c4" ...'
    ]
    sampled = make_problem(table(1060), "y", max_rows=1000)
    assert sampled.notes == ["1,000 of 1,060 rows drawn at random (--max-rows 0 takes all)"]
    assert make_problem(table(100), "y", max_rows=100).notes == []


@pytest.mark.parametrize(
    ("name", "names", "message"),
    [
        ("prise", ["price", "prize", "a", "b"], ' Is it "prize" or "price"?'),
        ("PRICE", ["Price", "price"], ' Is it "Price" or "price"?'),
        ("age", ["x", "language", "page", "mileage", "usage"], ' Is it "page" or "usage" or "mileage"?'),
        ("x", ["1", "2.5", "a"], ' Its first line looks like data ("1", "2.5" ...): for a file without names, give '
         "--no-header and a target from column_1 to column_3."),
        ("x", ["1", "b", "a"], ' It has "1", "b", "a".'),
        ("x", [f"c{i}" for i in range(12)], " It has " + ", ".join(f'"c{i}"' for i in range(12)) + "."),
        ("x", [f"c{i}" for i in range(14)], " It has " + ", ".join(f'"c{i}"' for i in range(12)) + " and 2 more."),
    ],
)  # fmt: skip
def test_hints_at_what_may_have_been_meant(name, names, message):
    frame = pd.DataFrame([["v"] * len(names)], columns=names)
    with pytest.raises(InputError) as caught:
        make_problem(frame, name, source="t.csv")
    assert str(caught.value) == f't.csv has no column "{name}".{message}'


def test_whole_messages():
    def message_of(frame, target, **options):
        with pytest.raises(InputError) as caught:
            make_problem(frame, target, source="t.csv", **options)
        return str(caught.value)

    assert message_of(table(), "colour", task="regression") == (
        f'target "colour" does not hold numbers (such as "{table()["colour"][0]}"): give --task classification.'
    )
    assert message_of(table(y=[f"id {i}" for i in range(60)]), "y") == (
        'target "y" has 60 classes, none with 5 rows: it looks like a name of the row. Give another --target, or '
        "--task regression if it holds numbers."
    )
    assert message_of(table(y=1.5), "y") == 'target "y" has one value only (1.5): nothing to predict.'
    assert message_of(table(y="a"), "y") == 'target "y" has one class only ("a"): nothing to predict.'
    assert message_of(table(y=["a"] * 4 + ["b"] * 56), "y") == (
        'target "y" has one class of 5 rows or more ("b"), and "a" of fewer: a class needs a row for each fold. Give '
        "more rows, or a smaller --cv."
    )
    assert make_problem(table(y=["a"] * 4 + ["b"] * 56), "y", cv=4).task == "binary"
    assert message_of(table(n=606, y=[f"c{i % 101}" for i in range(606)]), "y") == (
        'target "y" has 101 classes, at most 100 are compared: give another --target, or --task regression if it holds '
        "numbers."
    )
    assert make_problem(table(n=600, y=[f"c{i % 100}" for i in range(600)]), "y").task == "multiclass"
    assert message_of(table()[["size", "y"]], "y") == (
        't.csv has no column of categories left: numbers in "size"; name those that are codes with --categorical '
        "COLUMN."
    )
    assert message_of(table(), "y", drop=["size", "colour"]) == (
        "t.csv has no column of categories left: name one with --categorical COLUMN."
    )
    assert message_of(table(), "y", numeric=["colour"]) == (
        f'--numeric: column "colour" does not hold numbers (such as "{table()["colour"][0]}").'
    )


def test_labels_are_stripped_and_blank_ones_are_missing():
    problem = make_problem(table(y=[" a", "a ", "b", "  "] * 15), "y")
    assert sorted(set(problem.y)) == ["a", "b"]
    assert problem.notes == ['15 rows without a value of "y" left out']


def test_an_infinite_target_is_missing_and_rows_keep_their_order():
    y = np.arange(60.0) + 0.5
    y[[0, 7]] = [np.inf, np.nan]
    problem = make_problem(table(y=y), "y", max_rows=20, random_state=2)
    assert problem.notes == [
        '2 rows without a value of "y" left out', "20 of 58 rows drawn at random (--max-rows 0 takes all)"
    ]  # fmt: skip
    rows = np.sort(np.random.default_rng(2).permutation(58)[:20])
    known = np.flatnonzero(np.isfinite(y))
    assert problem.y.tolist() == y[known][rows].tolist()
    assert problem.X["colour"].tolist() == table()["colour"].to_numpy()[known][rows].tolist()
    assert problem.X.index.tolist() == list(range(20))
