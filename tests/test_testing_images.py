"""The image checks: pass on sound transformers, fail on broken ones."""

from pathlib import Path

import numpy as np
import pytest
from estimators import ONNX

from skembed import ImageDescriptors, ImageEmbedder
from skembed.testing import check_image_estimator, parametrize_with_image_checks

pytest.importorskip("PIL.Image", reason="Pillow is not installed")


@parametrize_with_image_checks([ImageDescriptors(), ImageEmbedder(ONNX, layer="features")])
def test_sound_transformers_pass(estimator, check):
    check(estimator)


class Changed(ImageDescriptors):
    """Rows with something done to them, or to the images, by a function."""

    def transform(self, X):
        images = list(X) if not isinstance(X, str | np.ndarray) else X
        return self.change(images, super().transform)

    def fit_transform(self, X, y=None):
        images = list(X)
        return self.fit(images).transform(images)


def changed(function):
    return type(function.__name__, (Changed,), {"change": staticmethod(function)})


# order ------------------------------------------------------------------------------------------------------------


@changed
def Sorted(X, transform):
    rows = transform(X)
    return rows[np.argsort(rows[:, 6], kind="stable")]


@changed
def WithPlaces(X, transform):
    rows = transform(X)
    return rows + np.arange(len(rows))[:, None]


@changed
def OfTheOneBefore(X, transform):
    return np.roll(transform(X), 1, axis=0)


# batches ----------------------------------------------------------------------------------------------------------


@changed
def Centred(X, transform):
    rows = transform(X)
    return rows - rows.mean(axis=0) if len(rows) > 1 else rows


@changed
def ScaledByTheLargest(X, transform):
    rows = transform(X)
    return rows / np.abs(rows).max() if len(rows) else rows


@changed
def OfOneSize(X, transform):
    """Crops all images to the smallest of the batch, as stacking does."""
    if not all(isinstance(image, np.ndarray) for image in X):
        return transform(X)
    height, width = min(image.shape[0] for image in X), min(image.shape[1] for image in X)
    return transform([image[:height, :width] for image in X])


# bad files --------------------------------------------------------------------------------------------------------


class Lenient(ImageDescriptors):
    """Zeros for what cannot be read, whatever was asked for."""

    def transform(self, X):
        asked, self.on_error = self.on_error, "zero"
        try:
            return super().transform(X)
        finally:
            self.on_error = asked


class Nameless(ImageDescriptors):
    def transform(self, X):
        try:
            return super().transform(X)
        except ValueError:
            raise ValueError("an image cannot be read") from None


@changed
def OfTheFirst(X, transform):
    """Puts the first image in the place of what is no file."""
    if isinstance(X, np.ndarray):
        return transform(X)
    return transform([X[0] if isinstance(x, str) and Path(x).read_bytes()[:4] != b"\x89PNG" else x for x in X])


# rows of bad files ------------------------------------------------------------------------------------------------


class Dropping(ImageDescriptors):
    def transform(self, X):
        rows = super().transform(X)
        return rows if self.on_error == "raise" else rows[np.isfinite(rows).all(axis=1) & rows.any(axis=1)]


class Silent(ImageDescriptors):
    def transform(self, X):
        import warnings

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return super().transform(X)


class AlwaysNaN(ImageDescriptors):
    def transform(self, X):
        rows = super().transform(X)
        rows[~rows.any(axis=1)] = np.nan
        return rows


# others -----------------------------------------------------------------------------------------------------------


@changed
def TakingNumbers(X, transform):
    return transform(X[:, :, None, None].repeat(3, axis=3)) if getattr(X, "ndim", 0) == 2 else transform(X)


@changed
def AllAlike(X, transform):
    return transform(X) * 0


@changed
def ChangingInput(X, transform):
    rows = transform(X)
    for image in X:
        if isinstance(image, np.ndarray):
            image[0, 0] = 0
    return rows


class SameNames(ImageDescriptors):
    def get_feature_names_out(self, input_features=None):
        return np.array(["x"] * len(super().get_feature_names_out()), dtype=object)


BROKEN = {
    Sorted: "check_order", WithPlaces: "check_order", OfTheOneBefore: "check_order",
    Centred: "check_batches", ScaledByTheLargest: "check_batches", OfOneSize: "check_batches",
    Lenient: "check_bad_files", Nameless: "check_bad_files", OfTheFirst: "check_bad_files",
    Dropping: "check_rows_of_bad_files", Silent: "check_rows_of_bad_files", AlwaysNaN: "check_rows_of_bad_files",
    TakingNumbers: "check_what_is_no_image", AllAlike: "check_one_row_an_image", ChangingInput: "check_input_unchanged",
    SameNames: "check_feature_names",
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*images cannot be read")
@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.__name__)
def test_broken_transformers_fail(broken):
    (check,) = [
        case.values[1]
        for case in parametrize_with_image_checks([broken()]).args[1]
        if case.values[1].__name__ == BROKEN[broken]
    ]
    with pytest.raises(AssertionError):
        check(broken())
    with pytest.raises((AssertionError, ValueError, TypeError, AttributeError)):
        check_image_estimator(broken())


def test_expected_failures_are_marked_and_classes_refused():
    decorator = parametrize_with_image_checks(
        [ImageDescriptors()], expected_failed_checks=lambda _: {"check_upright": "x"}
    )
    assert [case.id for case in decorator.args[1] if case.marks] == ["ImageDescriptors()-check_upright"]
    with pytest.raises(TypeError, match="ImageDescriptors"):
        parametrize_with_image_checks([ImageDescriptors])
