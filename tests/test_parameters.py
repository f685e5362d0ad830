"""Parameters of every public estimator: numbers of numpy are numbers, True is none, and what is refused is named."""

import numpy as np
import pytest
from estimators import EXAMPLES
from sklearn.utils._param_validation import Interval

from skembed.base import EmbeddingEstimator, check_layers, class_weights

pytestmark = pytest.mark.filterwarnings("ignore:column|more than a third|the vocabulary|60% of the running words")


def constraints(example, name):
    return example.estimator._parameter_constraints[name]


def is_ours(estimator):
    return isinstance(estimator, EmbeddingEstimator)


def numbers(example):
    """The parameters of an example that are whole numbers."""
    return {
        name: value
        for name, value in example.estimator.get_params(deep=False).items()
        if type(value) is int and name not in ("verbose", "random_state")
    }


@pytest.mark.parametrize("name", EXAMPLES)
def test_whole_numbers_of_numpy_are_taken_for_those_of_python(name):
    example = EXAMPLES[name]
    given = {p: np.int8(v) if abs(v) < 100 else np.int64(v) for p, v in numbers(example).items()}
    if not given:
        pytest.skip("no parameter is a whole number")
    found, expected = example.fit(**given), example.fit()
    np.testing.assert_array_equal(example.output(found), example.output(expected))


@pytest.mark.parametrize("name", [n for n, e in EXAMPLES.items() if "-" not in n and is_ours(e.estimator)])
def test_true_is_no_number(name):
    example = EXAMPLES[name]
    for parameter in example.estimator.get_params(deep=False):
        allowed = constraints(example, parameter)
        if allowed == "no_validation" or "boolean" in allowed or not any(isinstance(c, Interval) for c in allowed):
            continue
        with pytest.raises(ValueError, match=rf"'{parameter}' parameter of {name} must be .*Got True instead"):
            example.fit(**{parameter: True})


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        *(
            ("EntityEmbeddingEncoder", {"cv": cv}, r"^cv=.* does not give splits of 400 rows")
            for cv in (np.array(2), b"x", {"a": 1}, ["a"], [[1]])
        ),
        *(
            ("EntityEmbeddingEncoder", {"hidden_layer_sizes": sizes}, "hidden_layer_sizes is .*expected")
            for sizes in (np.array(2), {1}, {1: 2}, [True], ("a", [1]))
        ),
        *(
            (
                "EntityEmbeddingEncoder-classes",
                {"class_weight": {"s": weight}},
                f"class_weight is {weight!r} for .* 's'",
            )
            for weight in (np.nan, -1, "1", None, np.inf, True)
        ),
        (
            "EntityEmbeddingEncoder",
            {"class_weight": {"a": 1}},
            r"class_weight is \{'a': 1\} .* y holds (-\d\.\d+, ){5}",
        ),
        ("SequenceEmbedder-gru", {"class_weight": {"x": -1}}, "class_weight is -1 for the class 'x'"),
        ("CooccurrenceEncoder", {"categorical_features": np.array(2)}, r"categorical_features is array\(2\); expected"),
        ("CooccurrenceEncoder", {"embedding_dim": 10**12}, r"PPMI and SVD of 40 keys with embedding_dim=1\d+ needs"),
        ("CooccurrenceEncoder", {"embedding_dim": 10**30}, "lower embedding_dim or max_categories"),
        ("InteractionEmbedder", {"penalty": 1e308}, "'penalty' parameter"),
        ("InteractionEmbedder", {"prior": 1e308}, "'prior' parameter"),
        ("InteractionEmbedder-ials", {"penalty": 1e30}, r"method='ials' left float32 with penalty=1e\+30, "),
        ("InteractionEmbedder-ials", {"unobserved_weight": 1e30}, r"unobserved_weight=1e\+30 and values of X up to 1;"),
        ("SequenceEmbedder", {"learning_rate": 1e308}, "'learning_rate' parameter"),
        ("SequenceEmbedder", {"end": ["end"]}, r"end=\['end'\] cannot be a key"),
        *(
            ("SequenceEmbedder", {"level_dim": {"x0": dim}}, f"level_dim is {dim!r} for column 'x0'; expected")
            for dim in (0, -1, np.nan, True, "much", None)
        ),
        *(
            ("ImageEmbedder", {side: True}, f"{side} must be a number of pixels.*got True")
            for side in ("crop", "resize")
        ),
        *(("ImageEmbedder", {"mean": mean}, "mean must be three finite numbers") for mean in ({}, ["a"] * 3)),
    ],
    ids=str,
)
def test_what_is_refused_is_named(name, parameters, message):
    with pytest.raises((ValueError, TypeError, MemoryError), match=message):
        EXAMPLES[name].fit(**parameters)


@pytest.mark.parametrize(
    ("size", "plain"), [(np.int64(8), 8), (np.array(8), 8), ([8, 8], (8, 8)), (np.array([8, 8]), (8, 8))]
)
@pytest.mark.parametrize("side", ["crop", "resize"])
def test_sides_of_images_are_any_whole_numbers(side, size, plain):
    example = EXAMPLES["ImageEmbedder"]
    expected = example.output(example.fit(**{side: plain}))
    np.testing.assert_array_equal(example.output(example.fit(**{side: size})), expected)


def test_more_workers_than_there_are_items():
    example = EXAMPLES["InteractionEmbedder"]
    found = example.fit(n_jobs=10**30)
    np.testing.assert_array_equal(example.output(found), example.output(example.fit()))


def test_layers():
    for sizes in ((), [3], (3, np.int8(2)), np.array([3, 2])):
        found = check_layers(sizes)
        assert found == tuple(int(size) for size in sizes)
        assert all(type(size) is int for size in found)


def test_weights_of_classes():
    y = np.array(["a", "b", "b"])
    assert class_weights({"a": 0, "b": 2.5}, y).tolist() == [0, 2.5, 2.5]
    assert class_weights({"a": 3}, y).tolist() == [3, 1, 1]  # as in scikit-learn: the others have 1
    assert class_weights("balanced", y).tolist() == [1.5, 0.75, 0.75]
    with pytest.raises(
        ValueError, match=r"^class_weight is \{'c': 1\} and weighs classes that y lacks; y holds 'a', 'b'\.$"
    ):
        class_weights({"c": 1}, y)
    with pytest.raises(ValueError, match=r"y holds 0, 1, 2, 3, 4, \.\.\.\.$"):
        class_weights({9: 1}, np.arange(6))
