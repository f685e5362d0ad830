"""The public side of the image checks: all of them on one estimator, or as the cases of a pytest test."""

from collections.abc import Callable
from typing import Any

from skembed.testing._image_checks import checks_for
from skembed.testing._parametrize import parametrized

__all__ = ["check_image_estimator", "parametrize_with_image_checks"]


def parametrize_with_image_checks(
    estimators: list[Any], *, expected_failed_checks: Callable[[Any], dict[str, str]] | None = None
) -> Any:
    """Return a pytest decorator that runs a test once for every check of every transformer of images.

    For estimators whose `fit` and `transform` take a list of images: paths, encoded bytes, PIL images, arrays of
    different sizes. scikit-learn's own checks take numbers in two dimensions, which are no images. Needs Pillow.

    Parameters
    ----------
    estimators : list of estimator instances
    expected_failed_checks : callable, default=None
        Takes an estimator and returns a dict from the names of checks that it is known to fail to the reasons; they
        are marked as expected failures.

    Returns
    -------
    pytest.MarkDecorator
        Of a test with the arguments ``estimator`` and ``check``.

    Raises
    ------
    TypeError
        If a class is passed in place of an instance.

    Examples
    --------
    >>> from skembed import ImageDescriptors
    >>> @parametrize_with_image_checks([ImageDescriptors()])
    ... def test_images(estimator, check):
    ...     check(estimator)
    """
    return parametrized(estimators, checks_for, expected_failed_checks)


def check_image_estimator(estimator: Any) -> None:
    """Run all checks of one transformer of images; raises the error of the first that fails.

    Examples
    --------
    >>> from skembed import ImageDescriptors
    >>> check_image_estimator(ImageDescriptors())
    """
    for check in checks_for(estimator):
        check(estimator)
