"""scikit-learn's own checks of transformers of images: those that need no matrix of numbers, and what one meets."""

import numpy as np
import pytest
from estimators import ONNX
from sklearn.utils.estimator_checks import check_param_validation, check_set_params, parametrize_with_checks

from skembed import ImageDescriptors, ImageEmbedder

pytestmark = pytest.mark.filterwarnings("ignore:Can't test estimator")
ESTIMATORS = [ImageDescriptors(), ImageEmbedder(ONNX)]


# their tags say that they take no two-dimensional arrays, and scikit-learn leaves out all that would fit on one
@parametrize_with_checks(ESTIMATORS)
def test_check_estimator(estimator, check):
    check(estimator)


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda estimator: type(estimator).__name__)
def test_further_checks(estimator):
    for check in (check_param_validation, check_set_params):
        check(type(estimator).__name__, estimator)


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda estimator: type(estimator).__name__)
def test_a_matrix_of_numbers_is_no_images_and_the_error_says_what_is(estimator):
    message = r"array of numbers of shape \(20, 64\), expected images of shape.*X.reshape\(-1, height, width, 3\)"
    with pytest.raises(ValueError, match=message):
        estimator.fit(np.zeros((20, 64)))
