"""Targets that cannot be learned, in words; what is told of others; and extreme numbers."""

import re
import warnings

import numpy as np
import pytest

from skembed.data.target import Target, as_columns

pd = pytest.importorskip("pandas")


def learn(y, kind="auto", **options):
    return Target.learn(y, kind, np.ones(len(y)), **options)


@pytest.mark.parametrize(
    ("y", "kind", "options", "message"),
    [
        ([1, 2, 3], "binary", {},
         "target_type is 'binary' and y has 3 distinct values; expected two. Use target_type='multiclass' or "
         "'continuous'."),
        (["a", "a"], "auto", {},
         "y has one class only, 'a'; a target needs two or more classes to learn from. Give more rows, or "
         "target_type='continuous' if y is a number."),
        (np.array([3, 3]), "multiclass", {},
         "y has one class only, 3; a target needs two or more classes to learn from. Give more rows, or "
         "target_type='continuous' if y is a number."),
        (["a", "b"], "continuous", {}, "target_type is 'continuous' and y holds 'a', which is not a number."),
        (np.ones((2, 1, 3)), "continuous", {},
         "y has shape (2, 1, 3), expected (n_samples,) or (n_samples, n_outputs)."),
        ([0.5, 1.5], "auto", {"classes": [1, 2]},
         "classes is given and y is continuous with 1 output(s); expected one output of classes. Leave classes out."),
        ([["a", "b"], ["b", "a"]], "multiclass", {"classes": ["a", "b"]},
         "classes is given and y is multiclass with 2 output(s); expected one output of classes. Leave classes out."),
        (["a", None], "auto", {}, "y contains NaN or None in row 1; remove or fill these rows."),
        (["a", "b"], "auto", {"classes": ["a", "b", None]},
         "classes contains NaN or None in row 2; remove or fill these rows."),
        (["a", "b"], "auto", {"classes": ["a", 1]},
         "classes mixes values of type int, str; expected all strings or all numbers."),
        (np.array([["a", "b"], ["a", None]], dtype=object), "auto", {},
         "y contains NaN or None in row 1; remove or fill these rows."),
        ([0.5, 1.0, np.inf], "auto", {}, "y contains NaN or infinity: [inf] in row 2; remove or fill these rows."),
        (np.array([[0.5, 1.0], [np.nan, 2.0]]), "auto", {},
         "y contains NaN or infinity: [nan, 2.0] in row 1; remove or fill these rows."),
        (["b", "a", float("nan")], "auto", {}, "y contains NaN or None in row 2; remove or fill these rows."),
        ([("b", "a"), (np.nan, "b")], "auto", {}, "y contains NaN or None in row 1; remove or fill these rows."),
        (np.ma.array([0, 1, 1], mask=[0, 0, 1]), "auto", {},
         "y contains NaN or None in row 2; remove or fill these rows."),
        (np.array(["a", 1], dtype=object), "auto", {},
         "y mixes values of type int, str; expected all strings or all numbers."),
        (["a", 1], "auto", {}, "y mixes values of type int, str; expected all strings or all numbers."),
    ],
)  # fmt: skip
def test_what_cannot_be_learned(y, kind, options, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        learn(y, kind, **options)


@pytest.mark.parametrize(
    ("classes", "values", "message"),
    [
        ([1, 2, 3], [1, 4],
         "y holds 4; expected one of the classes [1, 2, 3]. If y is a number, begin again with "
         "target_type='continuous'."),
        (["a", "b"], ["b", "c"], "y holds 'c'; expected one of the classes ['a', 'b']."),
        (["a", "b"], [1, 2], "y holds 1; expected one of the classes ['a', 'b']."),
        ([1, 2], ["1", "2"],
         "y holds '1'; expected one of the classes [1, 2]. If y is a number, begin again with "
         "target_type='continuous'."),
        ([True, False], [True, 7], "y holds 7; expected one of the classes [False, True]."),
    ],
)  # fmt: skip
def test_classes_that_were_not_there(classes, values, message):
    target = learn(classes, "multiclass" if len(classes) > 2 else "binary")
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        target.code(values)


def test_amounts_are_told_of_once():
    y = np.arange(60)
    with pytest.warns(UserWarning, match=re.escape(
        "target_type='auto' takes y for continuous: it holds 60 distinct whole numbers. Set target_type='multiclass' "
        "if they are classes, or 'continuous' to learn numbers without this warning."
    )):  # fmt: skip
        assert learn(y).type_ == "continuous"
    with pytest.warns(UserWarning, match="it holds 60, 30 distinct whole numbers"):
        assert learn(np.column_stack([y, y // 2])).type_ == "continuous-multioutput"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for kind in ("continuous", "multiclass"):
            assert learn(y, kind).type_ == kind
        assert learn(y[:20].repeat(3)).type_ == "multiclass"
        assert learn(y, classes=range(70)).n_targets == 70


def test_weights_stand_for_rows_where_amounts_are_told_from_classes():
    y = np.arange(25)
    with pytest.warns(UserWarning, match="25 distinct whole numbers"):
        assert learn(y).type_ == "continuous"
    assert Target.learn(y, "auto", np.full(25, 10.0)).type_ == "multiclass"  # a tenth of 250 rows


@pytest.mark.parametrize("scale", [1e-200, 1e-140, 1.0, 1e140, 1e200, 1e308])
def test_numbers_that_cannot_be_squared_are_divided_before(scale):
    y = np.array([0.1, 0.5, 1.0]) * scale
    target = learn(y, "continuous")
    extreme = not 1e-140 < scale < 1e140
    assert target.unit.tolist() == ([scale] if extreme else [1.0])
    np.testing.assert_allclose(target.code(y)[:, 0], (y / scale - 1.6 / 3) / np.std([0.1, 0.5, 1.0]), rtol=1e-9)
    assert learn(np.zeros(3), "continuous").unit.tolist() == [1.0]


def test_memory_is_predicted_before_classes_have_their_columns(monkeypatch):
    asked = []
    monkeypatch.setattr("skembed.data.target.check_memory", lambda *args: asked.append(args))
    y = ["a", "b", "c", "c", "a"]
    target = learn(y)
    assert not asked  # how often each class occurs is all that is needed
    target.code(y)
    assert asked == [(
        8 * 5 * 3, "a target of 5 rows and 3 columns, one for each class,",
        "join rare classes, or set target_type='continuous' if y is a number",
    )]  # fmt: skip


def test_a_spread_that_is_rounding_does_not_vary():
    for difference, varies in ((1e-13, False), (1e-11, True)):
        y = np.array([1.0, 1.0 + 4 * difference])
        target = learn(y, "continuous")
        assert target.varies == varies
        assert (target.scale[0] == 1.0) == (not varies)


def test_outputs_beside_each_other():
    y = np.array([["a", "x"], ["b", "y"], ["c", "x"]], dtype=object)
    target = learn(y, "multiclass")
    kinds = [(output.kind, output.start, output.stop) for output in target.outputs]
    assert kinds == [("multiclass", 0, 3), ("binary", 3, 4)]
    assert target.code(y).tolist() == [[1, 0, 0, 0], [0, 1, 0, 1], [0, 0, 1, 0]]
    assert (target.n_targets, target.type_, target.one_column) == (4, "multiclass-multioutput", False)
    np.testing.assert_allclose(target.mean, [1 / 3] * 4)
    np.testing.assert_allclose(target.scale, [np.sqrt(2) / 3] * 4)


@pytest.mark.parametrize(
    ("y", "expected"),
    [
        ([1, 2], [[1], [2]]), ([[1, 2], [3, 4]], [[1, 2], [3, 4]]), ([(1, 2)], [[1, 2]]), (("a", "b"), [["a"], ["b"]]),
        (pd.Series([1, 2]), [[1], [2]]), (pd.DataFrame({"a": [1], "b": [2]}), [[1, 2]]),
        (np.array([[1], [2]]), [[1], [2]]),
        (np.array([1, 2.5], dtype=object), [[1.0], [2.5]]), (np.array([True, False], dtype=object), [[True], [False]]),
    ],
)  # fmt: skip
def test_y_as_columns(y, expected):
    found = as_columns(y)
    assert found.tolist() == expected
    assert found.dtype.kind != "O"


@pytest.mark.parametrize(("dtype", "values"), [("boolean", [True, False]), ("Int64", [2**60, 2**60 + 1])])
def test_nullable_columns_of_a_frame_keep_their_values(dtype, values):
    for y in (pd.DataFrame({"a": pd.array(values, dtype)}), pd.DataFrame({c: pd.array(values, dtype) for c in "ab"})):
        (classes,) = {tuple(output.classes.tolist()) for output in learn(y, "multiclass").outputs}
        assert list(classes) == sorted(values)
        assert set(map(type, classes)) == {type(values[0])}
