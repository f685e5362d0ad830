"""Settings of how images are prepared, and the numbers that come out of small ones."""

import re

import numpy as np
import pytest

pytest.importorskip("PIL.Image", reason="Pillow is not installed")

from skembed.data.images import UnreadableImage, describe_image, open_image, read_images
from skembed.data.preprocessing import Preprocessing, check_size

PLAIN = {"resize": None, "crop": None, "mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0), "interpolation": "nearest"}


def prepared(image, **options):
    return Preprocessing(**(PLAIN | options)).apply(image)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"resize": 0}, "resize must be a number of pixels, (height, width) or None, each from 1 to 4096, got 0"),
        ({"resize": 4097}, "resize must be a number of pixels, (height, width) or None, each from 1 to 4096, got 4097"),
        ({"resize": True}, "resize must be a number of pixels, (height, width) or None, each from 1 to 4096, got True"),
        ({"resize": (5,)}, "resize must be a number of pixels, (height, width) or None, each from 1 to 4096, got (5,)"),
        ({"resize": 5.0}, "resize must be a number of pixels, (height, width) or None, each from 1 to 4096, got 5.0"),
        ({"crop": 5}, "crop must be (height, width) or None, each from 1 to 4096, got 5"),
        ({"crop": (5, 0)}, "crop must be (height, width) or None, each from 1 to 4096, got (5, 0)"),
        ({"crop": (5, 5, 5)}, "crop must be (height, width) or None, each from 1 to 4096, got (5, 5, 5)"),
        ({"mean": (0.0, 1.0)}, "mean must be three finite numbers, those of std above 0, got (0.0, 1.0)"),
        ({"mean": (0.0, 1.0, np.nan)}, "mean must be three finite numbers, those of std above 0, got (0.0, 1.0, nan)"),
        ({"mean": 0.5}, "mean must be three finite numbers, those of std above 0, got 0.5"),
        ({"std": (0.0, 1.0, 1.0)}, "std must be three finite numbers, those of std above 0, got (0.0, 1.0, 1.0)"),
        ({"std": (np.inf, 1.0, 1.0)}, "std must be three finite numbers, those of std above 0, got (inf, 1.0, 1.0)"),
        ({"interpolation": "area"},
         "interpolation must be one of ('nearest', 'bilinear', 'bicubic', 'lanczos'), got 'area'"),
    ],
)  # fmt: skip
def test_settings_out_of_range(options, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Preprocessing(**(PLAIN | options)).check()


@pytest.mark.parametrize(
    "options", [{}, {"resize": 1}, {"resize": np.int64(4096)}, {"resize": (1, 4096)}, {"crop": (1, 1)}]
)
def test_settings_at_their_bounds(options):
    Preprocessing(**(PLAIN | options)).check()
    check_size("x", None)


def test_each_channel_has_its_mean_and_spread():
    image = np.array([[[0, 51, 255]]], np.uint8)
    found = prepared(image, mean=(0.5, 0.2, 0.0), std=(0.5, 0.1, 2.0))
    np.testing.assert_allclose(found, [[[-1.0, 0.0, 0.5]]], atol=1e-6)
    assert found.dtype == np.float32


def rows(height, width):
    """An image whose red is the number of the row, whose green that of the column, and whose blue is full."""
    image = np.full((height, width, 3), 255, np.uint8)
    image[..., 0], image[..., 1] = np.arange(height)[:, None], np.arange(width)
    return image


@pytest.mark.parametrize(
    ("size", "crop", "first", "last"),
    [
        ((6, 8), (2, 4), (2, 2), (3, 5)), ((7, 9), (3, 3), (2, 3), (4, 5)), ((5, 5), (2, 2), (2, 2), (3, 3)),
        ((5, 7), (4, 4), (0, 2), (3, 5)),
    ],
)  # fmt: skip
def test_the_middle_is_kept(size, crop, first, last):
    found = np.rint(prepared(rows(*size), crop=crop) * 255).astype(int)
    assert found.shape == (*crop, 3)
    assert found[0, 0, :2].tolist() == list(first)
    assert found[-1, -1, :2].tolist() == list(last)


def test_what_a_crop_lacks_is_black():
    found = np.rint(prepared(rows(3, 8), crop=(6, 4)) * 255).astype(int)
    assert (found[..., 2] > 0).all(axis=1).tolist() == [False, True, True, True, False, False]
    assert found[1, :, 1].tolist() == [2, 3, 4, 5]
    wide = np.rint(prepared(rows(4, 2), crop=(4, 5)) * 255).astype(int)
    assert (wide[..., 2] > 0).all(axis=0).tolist() == [False, True, True, False, False]


@pytest.mark.parametrize(
    ("size", "resize", "expected"),
    [((4, 9), 2, (2, 4)), ((9, 4), 2, (4, 2)), ((4, 4), 6, (6, 6)), ((4, 9), (5, 3), (5, 3)), ((3, 5), 3, (3, 5))],
)
def test_the_shorter_side_is_made_so_long(size, resize, expected):
    assert prepared(rows(*size), resize=resize).shape[:2] == expected


def test_how_images_are_called():
    from PIL import Image

    image = Image.new("RGB", (2, 2))
    for given, name in [
        ("a.jpg", "'a.jpg'"), (b"12", "2 bytes"), (bytearray(3), "3 bytes"), (memoryview(b"1"), "1 bytes"),
        ({"path": "b.jpg", "bytes": None}, "'b.jpg'"), ({"path": None, "bytes": b""}, "a dict"), ({}, "a dict"),
        (np.zeros((2, 3)), "an array of shape (2, 3)"), (None, "a missing value"), (image, "a PIL image"),
    ]:  # fmt: skip
        assert describe_image(given) == name
    image.filename = "c.png"
    assert describe_image(image) == "'c.png'"


def test_grey_images_in_an_array_and_frames_without_rows():
    pd = pytest.importorskip("pandas")
    assert [image.shape for image in read_images(np.zeros((2, 4, 5)))] == [(4, 5), (4, 5)]
    assert [image.shape for image in read_images(np.zeros((2, 4, 5, 4)))] == [(4, 5, 4)] * 2
    assert read_images(pd.DataFrame({"a": []})) == []
    assert read_images([]) == []


@pytest.mark.parametrize(
    ("shape", "hint"),
    [
        ((2, 3, 9, 8), "channels come last: pass X.transpose(0, 2, 3, 1)"),
        ((9, 9, 3), "pass X[None] if it is one image, X[..., None] if these are grey ones"),
        ((4, 3), "rows of pixels are reshaped before: X.reshape(-1, height, width, 3)"),
        ((2, 9, 9, 5), "rows of pixels are reshaped before: X.reshape(-1, height, width, 3)"),
    ],
)
def test_arrays_of_other_shapes(shape, hint):
    message = (
        f"X is an array of numbers of shape {shape}, expected images of shape (n, height, width, 3) or, grey ones, (n, "
        f"height, width); {hint}."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        read_images(np.zeros(shape))


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.array([[0.0, 0.5, 1.0]]), [0, 128, 255]), (np.array([[0.001, 0.0021, 0.999]]), [0, 1, 255]),
        (np.array([[0, 128, 257, 65535]], np.uint16), [0, 0, 1, 255]), (np.array([[129, 385]], np.uint16), [1, 1]),
        (np.array([[0, 7, 255]]), [0, 7, 255]), (np.array([[True, False]]), [255, 0]),
        (np.array([[-1e-9, 1 + 1e-9]]), [0, 255]), (np.array([[-1e-7, 1 + 1e-7]], np.float32), [0, 255]),
    ],
)  # fmt: skip
def test_values_of_arrays_in_eight_bits(array, expected):
    assert np.asarray(open_image(array))[0, :, 0].tolist() == expected


def test_alpha_is_laid_on_white():
    pixels = np.array([[[100, 200, 0, 0], [100, 200, 0, 255], [100, 200, 0, 51]]], np.uint8)
    found = np.asarray(open_image(pixels))[0]
    assert found.tolist() == [[255, 255, 255], [100, 200, 0], [224, 244, 204]]


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (None, "it is missing"), ({"bytes": None}, "it is missing"), ({}, "it is missing"),
        ("http://a.org/b.png", "it is an address; nothing is downloaded"),
        ("none/at/all.png", "No such file or directory"), (b"", "it is in no format that Pillow knows"),
        (np.zeros((2, 2), complex), "its dtype is complex128, expected numbers"),
        (np.array([["a"]]), "its dtype is <U1, expected numbers"),
        (np.full((1, 1), -1), "its values are from -1 to -1, expected 0 to 255 of int64; divide them before"),
        (np.full((1, 1), 1.01), "its values are from 1.01 to 1.01, expected 0 to 1 of float64; divide them before"),
        (np.zeros((2, 2, 2)),
         "its shape is (2, 2, 2), expected (height, width), (height, width, 3) or (height, width, 4)"),
    ],
)  # fmt: skip
def test_images_that_cannot_be_read(image, message):
    with pytest.raises(UnreadableImage, match=f"^{re.escape(message)}$"):
        open_image(image)


def test_exif_data_that_cannot_be_read_leave_the_picture_as_it_lies(monkeypatch):
    from PIL import Image, ImageOps

    errors = [SyntaxError("not a TIFF file"), MemoryError()]

    def fail(image):
        raise errors[0]

    monkeypatch.setattr(ImageOps, "exif_transpose", fail)
    image = Image.new("RGB", (3, 2), (1, 2, 3))
    assert np.asarray(open_image(image)).tolist() == [[[1, 2, 3]] * 3] * 2
    errors.pop(0)
    with pytest.raises(MemoryError):  # of memory the picture may ask for more
        open_image(image)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize(
    ("size", "resize", "crop"), [((40, 90), 32, (24, 30)), ((90, 40), 32, (32, 20)), ((60, 60), (30, 50), (30, 50))]
)
def test_of_large_pictures_the_part_that_is_kept_is_resized_alone(size, resize, crop, interpolation, monkeypatch):
    """As the whole would be, but for how the edges of pixels are rounded."""
    from skembed.data import preprocessing

    image = rows(*size)
    image[..., 2] = np.random.default_rng(0).integers(256, size=size)
    whole = prepared(image, resize=resize, crop=crop, interpolation=interpolation)
    monkeypatch.setattr(preprocessing, "_WHOLE", 1)
    part = prepared(image, resize=resize, crop=crop, interpolation=interpolation)
    assert part.shape == whole.shape
    assert np.abs(part - whole)[1:-1, 1:-1, :2].max() < 0.012  # of a slope, three steps of 255
    assert np.abs(part - whole)[..., 2].mean() < 0.02


@pytest.mark.parametrize(
    ("error", "reason"),
    [(OSError("no such tile"), "no such tile"), (ValueError(), "ValueError"), (EOFError(""), "EOFError")],
)
def test_what_a_decoder_says_is_the_reason_and_else_what_it_raised(error, reason, monkeypatch, tmp_path):
    from PIL import Image

    def fail(*arguments, **options):
        raise error

    path = tmp_path / "a.png"
    Image.new("RGB", (2, 2)).save(path)
    monkeypatch.setattr(Image.Image, "load", fail)
    with pytest.raises(UnreadableImage, match=f"^{reason}$"):
        open_image(path)
