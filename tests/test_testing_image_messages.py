"""What the checks of images say of an estimator that is broken in one place."""

import warnings
from collections.abc import Iterator
from pathlib import Path

import broken
import numpy as np
import pytest

from skembed import ImageDescriptors
from skembed.testing import check_image_estimator
from skembed.testing._image_checks import checks_for

Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")


NUMBER = 7  # that a check puts among images


class Batches(ImageDescriptors):
    """Sound; the batch is a parameter of no meaning, and the scale one of the broken ones below."""

    scale_ = 1.0

    def __init__(self, *, on_error="raise", n_jobs=None, batch_size=8):
        super().__init__(on_error=on_error, n_jobs=n_jobs)
        self.batch_size = batch_size

    def transform(self, X):
        return self.scale_ * super().transform(X)


class ForgetsInAPickle(Batches):
    def __getstate__(self):
        return super().__getstate__() | {"scale_": 2.0}


class TwiceAtOnce(Batches):
    def fit_transform(self, X, y=None):
        return 2 * super().fit_transform(X)


class GrowingByFits(Batches):
    def fit(self, X, y=None):
        self.n_ = self.scale_ = getattr(self, "n_", 0) + 1
        return super().fit(X)


def changed(method, change):
    return broken.changed(Batches, method, change)


def rows_that(change):
    """Rows with something done to them; images that came in an iterator are a list."""

    def transform(plain, self, X):
        X = X if isinstance(X, str | np.ndarray) else list(X)
        return change(plain(self, X), X, self)

    return changed("transform", transform)


def fit_that(change):
    return changed("fit", lambda fit, self, X, y=None: [change(self, X), fit(self, X)][1])


def containers_that(are_broken):
    """Rows of another scale of some containers, alone in `transform`."""
    return changed("transform", lambda plain, self, X: (1 + bool(are_broken(X))) * plain(self, X))


def of_arrays(kind, ndim):
    return containers_that(lambda X: isinstance(X, np.ndarray) and (X.dtype.kind, X.ndim) == (kind, ndim))


def kinds(*types):
    return lambda rows, X, self: rows * (1 + any(isinstance(image, types) for image in X))


def is_lying(image):
    return isinstance(image, bytes) and b"eXIf" in image


def bad(X):
    return [isinstance(path, str) and not Path(path).name.startswith("picture") for path in X]


def nameless(plain, self, X):
    try:
        return plain(self, X)
    except ValueError:
        raise ValueError("no name") from None


def silent(plain, self, X):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return plain(self, X)


def takes(name):
    """Takes a bad file for a picture without light."""

    def transform(plain, self, X):
        return plain(self, [np.zeros((9, 9), np.uint8) if str(x).endswith(name) else x for x in X])

    return changed("transform", transform)


EACH = {
    "one_row_an_image": [
        (rows_that(lambda rows, X, self: rows[1:]), r"8 images give rows of shape \(7, \d+\), expected one for each"),
        (rows_that(lambda rows, X, self: rows[:, 0]), r"8 images give rows of shape \(8,\)"),
        (rows_that(lambda rows, X, self: np.where(rows == rows.max(), np.inf, rows)), "a row that is not finite"),
        (rows_that(lambda rows, X, self: rows[[0, *range(len(rows) - 1)]]), "different images have the same row"),
    ],
    "order": [
        (rows_that(lambda rows, X, self: rows + np.arange(len(X))[:, None]), "in another order images have other rows"),
        (rows_that(lambda rows, X, self: rows + len(X) // 12), "the same images have other rows"),
        (rows_that(lambda rows, X, self: rows[:6]), r"the same images have other rows: shape \(6, .*expected \(12, "),
    ],
    "batches": [
        (rows_that(lambda rows, X, self: rows + (len(X) == 1)), "images one by one have other rows than together"),
        (rows_that(lambda rows, X, self: rows + (self.batch_size == 1)), "batch_size=1 changes rows"),
        (rows_that(lambda rows, X, self: rows + (self.batch_size == 4)), "batch_size=4 changes rows"),
    ],
    "forms": [
        (rows_that(kinds(str)), "a str differs from an array"),
        (rows_that(kinds(Path)), "a PosixPath differs|a WindowsPath differs"),
        (rows_that(kinds(bytes)), "a bytes differs from an array"),
        (rows_that(kinds(Image.Image)), "a Image differs from an array"),
    ],
    "containers": [
        (changed("transform", lambda plain, self, X: plain(self, X) * (1 + isinstance(X, tuple))), "a tuple of shape"),
        (fit_that(lambda self, X: setattr(self, "scale_", 1 + isinstance(X, tuple))), "a tuple of shape"),
        (rows_that(lambda rows, X, self: rows * getattr(X, "ndim", 1)), r"a ndarray of shape \(6, 1\) differs"),
        (TwiceAtOnce, "fit_transform of a generator differs"),
        *((of_arrays(kind, ndim), rf"a ndarray of shape \(6,{' 1' * (ndim > 1)}\) differs")
          for kind, ndim in (("U", 1), ("O", 1), ("O", 2))),
        (containers_that(lambda X: isinstance(X, Iterator)), r"a list_iterator of shape \(\) differs"),
    ],
    "upright": [(rows_that(lambda rows, X, self: rows + any(map(is_lying, X))), "EXIF data are not heeded")],
    "bad_files": [
        *((takes(name), f"transform takes {name}, which is no") for name in ("cut.png", "text.png", "empty.png")),
        (takes("absent.png"), "transform takes absent.png, which is no readable image"),
        (changed("transform", lambda plain, self, X: nameless(plain, self, X)), "the error does not name cut.png: no"),
    ],
    "rows_of_bad_files": [
        (rows_that(lambda rows, X, self: rows[~np.array(bad(X))]), "6 images, some bad, became 2 rows"),
        (rows_that(lambda rows, X, self: rows + any(bad(X))), "bad files change the rows beside them"),
        (rows_that(lambda rows, X, self: np.nan_to_num(rows)), "on_error='nan'"),
        (rows_that(lambda rows, X, self: np.where(rows.any(axis=1, keepdims=True), rows, np.nan)), "on_error='zero'"),
        (changed("transform", lambda plain, self, X: silent(plain, self, X)), "no warning names .*absent.png"),
    ],
    "what_is_no_image": [
        (changed("fit", lambda fit, self, X, y=None: self if isinstance(X, np.ndarray) else fit(self, X)),
         "fit takes a matrix of numbers for images"),
        (changed("transform", lambda plain, self, X: None if isinstance(X, str) else plain(self, X)),
         "transform takes a single path for images"),
        (changed("transform", lambda plain, self, X: None if any(x is NUMBER for x in X) else plain(self, X)),
         "transform takes a number for images"),
    ],
    "input_unchanged": [
        (rows_that(lambda rows, X, self: [rows, X[0].fill(0)][0]), "changes the images that it is given"),
        (fit_that(lambda self, X: X.append(X[0])), "changes the images that it is given"),
    ],
    "fit_and_pickle": [
        (rows_that(lambda rows, X, self: [rows, setattr(self, "scale_", len(X))][0]), "after other images"),
        (ForgetsInAPickle, "the pickled estimator differs"),
        (TwiceAtOnce, "fit_transform differs from fit, then transform"),
        (GrowingByFits, "fitting a second time changes rows"),
    ],
    "feature_names": [
        (changed("get_feature_names_out", lambda names, self: names(self)[1:]), r"\d+ columns have \d+ names, \d"),
        (changed("get_feature_names_out", lambda names, self: ["x"] * len(names(self))), "names, 1 of them different"),
    ],
    "n_jobs": [(rows_that(lambda rows, X, self: rows * (self.n_jobs or 1)), "n_jobs=1 and n_jobs=2 differ")],
}  # fmt: skip


def test_the_one_that_the_broken_ones_break_is_sound():
    check_image_estimator(Batches())


@pytest.mark.filterwarnings("ignore:.*images? cannot be read")
@pytest.mark.parametrize(
    ("check", "kind", "message"), [(check, *case) for check, cases in EACH.items() for case in cases]
)
def test_each_check_says_what_is_broken(check, kind, message):
    (one,) = (one for one in checks_for(Batches()) if one.__name__ == f"check_{check}")
    with pytest.raises(AssertionError, match=message):
        one(kind())


def test_there_is_a_broken_one_for_each_check():
    assert {one.__name__ for one in checks_for(Batches())} == {f"check_{check}" for check in EACH}
