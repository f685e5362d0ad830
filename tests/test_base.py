"""What all estimators share: how they read frames, and weights."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skembed.base import EmbeddingEstimator, EmbeddingTransformer, check_weights

pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")
pa = pytest.importorskip("pyarrow")


@given(st.lists(st.integers(0, 5), min_size=1, max_size=8).filter(any))
def test_whole_weights_are_counts(weights):
    found = check_weights(weights, len(weights))
    assert found.dtype == np.float64
    assert found.tolist() == weights


@given(st.lists(st.one_of(st.just(0.0), st.floats(1e-3, 1e3)), min_size=1, max_size=8).filter(any))
def test_other_weights_have_a_mean_of_one_where_they_are_positive(weights):
    found = check_weights(weights, len(weights))
    if all(float(weight).is_integer() for weight in weights):
        assert found.tolist() == weights
        return
    positive = [weight for weight in weights if weight > 0]
    np.testing.assert_allclose(found, np.array(weights) / np.mean(positive))
    assert found[found > 0].mean() == pytest.approx(1)


def test_weights_that_are_too_large_for_counts():
    assert check_weights([2.0**31, 1.0], 2).tolist() == [2.0**31, 1.0]
    np.testing.assert_allclose(check_weights([2.0**32, 2.0**32, 0.0], 3), [1, 1, 0])
    np.testing.assert_allclose(check_weights([1.7e308, 1.7e308, 0.85e308], 3), [1.2, 1.2, 0.6])
    given_weights = np.array([1.5, 0.5])
    check_weights(given_weights, 2)
    assert given_weights.tolist() == [1.5, 0.5]
    assert check_weights(None, 3).tolist() == [1, 1, 1]
    with pytest.raises(ValueError, match="sample_weight contains NaN"):
        check_weights(np.ma.array([1.0, 2.0], mask=[False, True]), 2)


def test_what_is_no_weight():
    message = "sample_weight is negative in row 1 (-2.0); expected weights of at least 0."
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        check_weights([1.0, -2.0, -3.0], 3)
    with pytest.raises(ValueError, match=r"zero in every row|at least one non-zero number"):  # as scikit-learn 1.9 says
        check_weights([0.0, 0.0, 0.0], 3)
    for wrong in ([1.0, np.nan, 1.0], [1.0, np.inf, 1.0], [1.0, 1.0]):
        with pytest.raises(ValueError, match=r"NaN|infinity|shape|size"):
            check_weights(wrong, 3)


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame, pa.table, pa.RecordBatch.from_pydict])
def test_names_of_columns_are_kept_and_checked(make):
    frame = make({"a": [1, 2], "b": ["x", "y"]})
    estimator = EmbeddingEstimator()
    columns = estimator._read_columns(frame, reset=True)
    assert (columns.names, columns.n_rows) == (["a", "b"], 2)
    assert (estimator.n_features_in_, list(estimator.feature_names_in_)) == (2, ["a", "b"])
    estimator._read_columns(frame, reset=False)
    with pytest.raises(ValueError, match="feature names"):
        estimator._read_columns(make({"a": [1, 2], "c": ["x", "y"]}), reset=False)


def test_names_of_frames_that_scikit_learn_does_not_know(monkeypatch):
    """As versions that are older than a frame's package: it is told the names."""
    monkeypatch.setattr("skembed.base._get_feature_names", lambda X: None)
    told = []
    monkeypatch.setattr("skembed.base.validate_data", lambda estimator, X, **options: told.append((X, options)))
    frame = pl.DataFrame({"a": [1, 2], "b": ["x", "y"]})
    EmbeddingEstimator()._read_columns(frame, reset=True, y=[0, 1])
    ((X, options),) = told
    assert (X.shape, X.__dataframe__().column_names()) == ((2, 2), ["a", "b"])
    assert options == {"skip_check_array": True, "reset": True, "y": [0, 1]}
    array = np.zeros((2, 2))
    EmbeddingEstimator()._read_columns(array, reset=False)
    assert told[1] == (array, {"skip_check_array": True, "reset": False})


def test_arrays_have_no_names_and_their_width_is_checked():
    estimator = EmbeddingTransformer()
    assert estimator._read_columns(np.zeros((3, 2)), reset=True).names is None
    assert estimator.n_features_in_ == 2
    assert not hasattr(estimator, "feature_names_in_")
    with pytest.raises(ValueError, match="minimum of 1 is required by EmbeddingTransformer"):
        estimator._read_columns(np.zeros((0, 2)), reset=True)
    with pytest.raises(ValueError, match="X has 1 features, but EmbeddingTransformer is expecting 2 features"):
        estimator._read_columns(np.zeros((3, 1)), reset=False)


def test_where_the_documentation_is():
    from skembed import EntityEmbeddingEncoder

    link = EntityEmbeddingEncoder()._get_doc_link()
    assert link.startswith("https://skembed.readthedocs.io/en/latest/api/skembed")
    assert link.endswith(".EntityEmbeddingEncoder.html")
