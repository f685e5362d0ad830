"""Checks of transformers of images, each a function of an estimator that raises where it fails."""

import io
import pickle
import tempfile
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import clone

from skembed.testing._assertions import assert_equal, assert_raises, assert_same, dense

__all__ = ["checks_for", "pictures"]

_assert_same = partial(assert_same, atol=1e-5)
_ERRORS = (ValueError, TypeError, OSError)


def checks_for(estimator: Any) -> Iterator[Callable]:
    """Yield the checks that apply to an estimator."""
    yield from _CHECKS
    if "on_error" in estimator.get_params():
        yield check_rows_of_bad_files
    if "n_jobs" in estimator.get_params():
        yield check_n_jobs


def pictures() -> list[np.ndarray]:
    """Made-up pictures of different sizes: patches of two colours with some noise."""
    rng = np.random.default_rng(0)
    found = []
    for row in range(6):
        height, width = 48 + 5 * row, 70 - 4 * row
        patches = rng.integers(2, size=(-(-height // 16), -(-width // 16)))
        colours = rng.integers(40, 216, size=(2, 3))
        image = np.kron(patches, np.ones((16, 16), np.int64))[:height, :width]
        found.append((colours[image] + rng.integers(-30, 30, (height, width, 3))).astype(np.uint8))
    return found


def _encoded(picture: np.ndarray, **options: Any) -> bytes:
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(picture).save(out, "PNG", **options)
    return out.getvalue()


# ------------------------------------------------------------------------------------------------------- the checks


def check_one_row_an_image(estimator: Any) -> None:
    """Images of any size, grey ones and such with alpha give finite rows, one each, and rows differ."""
    X = pictures()
    X += [X[0][..., 0], np.dstack([X[1], np.full(X[1].shape[:2], 128, np.uint8)])]
    rows = dense(clone(estimator).fit(X).transform(X))
    if rows.ndim != 2 or len(rows) != len(X):
        raise AssertionError(f"{len(X)} images give rows of shape {rows.shape}, expected one for each.")
    if not np.isfinite(rows).all():
        raise AssertionError("an image has a row that is not finite.")
    if len(np.unique(rows, axis=0)) < len(X):
        raise AssertionError("different images have the same row.")


def check_order(estimator: Any) -> None:
    """An image's row does not depend on where it stands."""
    X = pictures()
    fitted = clone(estimator).fit(X)
    expected = dense(fitted.transform(X))
    order = np.random.default_rng(0).permutation(len(X))
    _assert_same(fitted.transform([X[i] for i in order]), expected[order], "in another order images have other rows")
    _assert_same(fitted.transform([*X, *X]), np.tile(expected, (2, 1)), "the same images have other rows")


def check_batches(estimator: Any) -> None:
    """An image's row does not depend on the images beside it."""
    X = pictures()
    fitted = clone(estimator).fit(X)
    expected = dense(fitted.transform(X))
    alone = np.concatenate([dense(fitted.transform([image])) for image in X])
    _assert_same(alone, expected, "images one by one have other rows than together")
    if "batch_size" in estimator.get_params():
        for batch_size in (1, 4):
            other = clone(estimator).set_params(batch_size=batch_size).fit(X)
            _assert_same(other.transform(X), expected, f"batch_size={batch_size} changes rows")


def check_forms(estimator: Any) -> None:
    """Paths, bytes, PIL images and arrays of one picture have the same row."""
    from PIL import Image

    X = pictures()
    fitted = clone(estimator).fit(X)
    expected = fitted.transform(X[:1])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture.png"
        path.write_bytes(_encoded(X[0]))
        forms = [str(path), path, path.read_bytes(), Image.fromarray(X[0])]
        for form in forms:
            _assert_same(fitted.transform([form]), expected, f"a {type(form).__name__} differs from an array")


def check_containers(estimator: Any) -> None:
    """Lists, tuples, arrays of objects and generators of the same images are the same, in `fit` and `transform`."""
    with tempfile.TemporaryDirectory() as folder:
        paths = _files(folder)
        expected = clone(estimator).fit(paths).transform(paths)
        column = np.array(paths, dtype=object)
        makers: list[Callable] = [tuple, np.array, iter, lambda paths: column, lambda paths: column[:, None]]
        for make in makers:
            container = make(paths)
            name = f"{type(container).__name__} of shape {np.shape(container)}"
            _assert_same(clone(estimator).fit(make(paths)).transform(make(paths)), expected, f"a {name} differs")
        _assert_same(clone(estimator).fit_transform(iter(paths)), expected, "fit_transform of a generator differs")


def check_upright(estimator: Any) -> None:
    """A picture that lies on its side, and whose EXIF data say so, has the row of the upright one."""
    from PIL import Image

    X = pictures()
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees, clockwise
    lying = _encoded(np.rot90(X[0]).copy(), exif=exif)
    fitted = clone(estimator).fit(X)
    _assert_same(fitted.transform([lying]), fitted.transform(X[:1]), "EXIF data are not heeded")


def check_bad_files(estimator: Any) -> None:
    """A file that is cut, is no image, or is not there is an error that names it, unless the estimator keeps rows."""
    with tempfile.TemporaryDirectory() as folder:
        paths, bad = _files(folder), _bad_files(folder)
        new = clone(estimator)
        if "on_error" in new.get_params():
            new.set_params(on_error="raise")
        fitted = new.fit(paths)
        for path in bad:
            name = Path(path).name
            taken = f"transform takes {name}, which is no readable image."
            message = assert_raises(_ERRORS, fitted.transform, [paths[0], path], message=taken)
            if name not in message:
                raise AssertionError(f"the error does not name {name}: {message}")


def check_rows_of_bad_files(estimator: Any) -> None:
    """With on_error "nan" and "zero" bad files keep their rows, change no other, and are named by a warning."""
    with tempfile.TemporaryDirectory() as folder:
        paths, bad = _files(folder), _bad_files(folder)
        expected = clone(estimator).fit(paths).transform(paths[:2])
        for on_error, value in (("nan", np.nan), ("zero", 0.0)):
            fitted = clone(estimator).set_params(on_error=on_error).fit(paths)
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                rows = dense(fitted.transform([paths[0], *bad, paths[1]])).astype(np.float64)
            if len(rows) != len(bad) + 2:
                raise AssertionError(f"{len(bad) + 2} images, some bad, became {len(rows)} rows.")
            _assert_same(rows[[0, -1]], expected, "bad files change the rows beside them")
            np.testing.assert_array_equal(rows[1:-1], np.full_like(rows[1:-1], value), f"on_error={on_error!r}")
            said = " ".join(str(warning.message) for warning in caught)
            unnamed = [Path(path).name for path in bad if Path(path).name not in said]
            if unnamed:
                raise AssertionError(f"no warning names {', '.join(unnamed)} with on_error={on_error!r}.")


def check_what_is_no_image(estimator: Any) -> None:
    """Numbers in two dimensions, a single path and a number among images are errors."""
    X = pictures()
    fitted = clone(estimator).fit(X)
    for value, name in ((np.zeros((5, 4)), "a matrix of numbers"), ("a.png", "a single path"), ([X[0], 7], "a number")):
        for method in (fitted.transform, clone(estimator).fit):
            assert_raises(_ERRORS, method, value, message=f"{method.__name__} takes {name} for images.")


def check_input_unchanged(estimator: Any) -> None:
    """`fit` and `transform` leave arrays and lists as they are."""
    X = pictures()
    clone(estimator).fit(X).transform(X)
    if len(X) != len(pictures()) or not all(map(np.array_equal, X, pictures())):
        raise AssertionError("fit or transform changes the images that it is given.")


def check_fit_and_pickle(estimator: Any) -> None:
    """fit_transform is fit and transform, a second fit changes nothing, nor does pickle."""
    X = pictures()
    fitted = clone(estimator).fit(X)
    expected = fitted.transform(X)
    fitted.transform(X[3:])
    _assert_same(fitted.transform(X), expected, "rows change after other images were transformed")
    _assert_same(pickle.loads(pickle.dumps(fitted)).transform(X), expected, "the pickled estimator differs")
    _assert_same(clone(estimator).fit_transform(X), expected, "fit_transform differs from fit, then transform")
    _assert_same(fitted.fit(X).transform(X), expected, "fitting a second time changes rows")


def check_feature_names(estimator: Any) -> None:
    """One name a column, all different."""
    X = pictures()
    fitted = clone(estimator).fit(X)
    names, width = fitted.get_feature_names_out(), dense(fitted.transform(X[:1])).shape[1]
    if len(names) != width or len(set(names)) != width:
        raise AssertionError(f"{width} columns have {len(names)} names, {len(set(names))} of them different.")


def check_n_jobs(estimator: Any) -> None:
    """The number of jobs changes no bit."""
    X = pictures()
    outputs = (clone(estimator).set_params(n_jobs=n).fit(X).transform(X) for n in (1, 2))
    assert_equal(outputs, "n_jobs=1 and n_jobs=2 differ")


def _files(folder: str) -> list[str]:
    paths = []
    for row, picture in enumerate(pictures()):
        path = Path(folder) / f"picture{row}.png"
        path.write_bytes(_encoded(picture))
        paths.append(str(path))
    return paths


def _bad_files(folder: str) -> list[str]:
    whole = _encoded(pictures()[0])
    contents = {"cut.png": whole[: len(whole) // 2], "text.png": b"no image", "empty.png": b""}
    for name, content in contents.items():
        (Path(folder) / name).write_bytes(content)
    return [str(Path(folder) / name) for name in (*contents, "absent.png")]


_CHECKS = [
    check_one_row_an_image,
    check_order,
    check_batches,
    check_forms,
    check_containers,
    check_upright,
    check_bad_files,
    check_what_is_no_image,
    check_input_unchanged,
    check_fit_and_pickle,
    check_feature_names,
]
