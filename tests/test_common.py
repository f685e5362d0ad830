"""scikit-learn's own checks, those that `check_estimator` leaves out among them."""

import importlib.util
import os
from functools import partial

import pytest
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks

from skembed import (
    CCAEmbedder,
    CooccurrenceEncoder,
    EntityEmbeddingEncoder,
    InteractionEmbedder,
    NeighborAnomalyDetector,
    NodeEmbedder,
    ProjectionEmbedder,
    SequenceEmbedder,
)
from skembed.graph._node_embedder import METHODS

ESTIMATORS = [EntityEmbeddingEncoder(), EntityEmbeddingEncoder(cv=None), CooccurrenceEncoder()]
ESTIMATORS += [ProjectionEmbedder(method) for method in ("pca", "lda", "random", "nca", "svd", "autoencoder")]
# methods that read and apply as another one does are tried where long tests are asked for
FURTHER = "SKEMBED_LONG_TESTS" in os.environ
ESTIMATORS += [InteractionEmbedder(method=m) for m in ("ease", "ials", *(("svd", "item2vec", "popularity") * FURTHER))]
ESTIMATORS += [
    NodeEmbedder(method=method, walk_length=10) for method in (sorted(METHODS) if FURTHER else ("prone", "node2vec"))
]
ESTIMATORS += [CCAEmbedder(), NeighborAnomalyDetector(), NeighborAnomalyDetector(novelty=True, whiten=False)]
# tables of numbers are plain columns, which hold for a case without events
ESTIMATORS += [SequenceEmbedder(4, max_iter=2)]
pytestmark = pytest.mark.filterwarnings("ignore:no column of X holds sequences")


def known_failures(estimator):
    if getattr(estimator, "method", None) in ("netmf", "node2vec", "deepwalk"):
        reason = "vectors of known nodes are free parameters, those of transform are made of their neighbours'"
        return {"check_transformer_general": reason, "check_transformer_data_not_an_array": reason}
    if isinstance(estimator, CCAEmbedder):
        reason = "fit_transform returns both sides; scikit-learn knows its own that do by their names"
        return {"check_transformer_general": reason, "check_transformer_data_not_an_array": reason}
    if isinstance(estimator, NeighborAnomalyDetector) and not estimator.whiten:
        return {"check_outliers_train": "a row of fit is its own nearest one, and of these none is beyond the whiskers"}
    if isinstance(estimator, SequenceEmbedder):
        reason = "a row of weight 2 is one loss that counts twice, two rows are in two batches, held out or not"
        return {"check_sample_weight_equivalence_on_dense_data": reason}
    return {}


# called with (name, estimator), as check_estimator calls its own
LEFT_OUT = [
    "check_column_or_1d",
    "check_dataframe_column_names_consistency",
    "check_estimator_get_tags_default_keys",
    "check_get_feature_names_out_error",
    "check_global_output_transform_pandas",
    "check_global_set_output_transform_polars",
    "check_n_features_in",
    "check_n_features_in_after_fitting",
    "check_param_validation",
    "check_set_output_transform",
    "check_set_output_transform_pandas",
    "check_set_output_transform_polars",
    "check_transformer_get_feature_names_out",
    "check_transformer_get_feature_names_out_pandas",
]


@parametrize_with_checks(ESTIMATORS, expected_failed_checks=known_failures)
def test_check_estimator(estimator, check):
    check(estimator)


@pytest.mark.parametrize("name", ["check_transformer_general", "check_transformer_data_not_an_array"])
def test_both_sides(name):
    getattr(estimator_checks, name)("CCA", CCAEmbedder())


@pytest.mark.parametrize("name", LEFT_OUT)
@pytest.mark.parametrize("estimator", [e for e in ESTIMATORS if hasattr(e, "transform")], ids=str)
def test_checks_left_out(name, estimator):
    check = getattr(estimator_checks, name, None)
    if check is None:
        pytest.skip(f"this scikit-learn has no {name}")
    for package in ("pandas", "polars"):
        if package in name and importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    both_sides = isinstance(estimator, CCAEmbedder) and "output" in name  # the check knows such by their names
    name = "CCA" if both_sides else type(estimator).__name__
    partial(check, name)(estimator)
