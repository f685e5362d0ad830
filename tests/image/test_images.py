"""Images in every container and of every mode, and what cannot be read."""

import io
import os
import pathlib
import sys
import threading
import zlib

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from PIL import Image

from skembed import ImageDescriptors
from skembed.data.images import UnreadableImage, open_image, pillow, read_images

RNG = np.random.default_rng(0)
COLOURS = RNG.integers(256, size=(6, 8, 3), dtype=np.uint8)


def encoded(image, kind="PNG", **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def with_clear_grey(png, grey):
    """Put a tRNS chunk behind the header of a PNG, which older versions of Pillow write of no image of 16 bits."""
    chunk = b"tRNS" + grey.to_bytes(2, "big")
    end = png.index(b"IHDR") + 4 + 13 + 4
    return png[:end] + (2).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big") + png[end:]


@pytest.fixture
def path(tmp_path):
    place = tmp_path / "a.png"
    place.write_bytes(encoded(Image.fromarray(COLOURS)))
    return place


def test_without_pillow_the_error_names_the_extra(monkeypatch, path):
    monkeypatch.setitem(sys.modules, "PIL", None)
    pillow.cache_clear()
    with pytest.raises(ImportError, match=r"reading images needs Pillow: pip install \"skembed\[image\]\""):
        open_image(path)


def test_every_container_gives_the_same_images(path):
    paths = [str(path)] * 2
    objects = np.empty((2, 1), dtype=object)
    objects[:, 0] = paths
    containers = [
        paths, tuple(paths), iter(paths), np.array(paths), np.array(paths, dtype=object), objects, pd.Series(paths),
        pd.DataFrame({"photo": paths}), pl.Series(paths), pl.DataFrame({"photo": paths}), pa.array(paths),
        pa.chunked_array([paths]), pa.table({"photo": paths}), [pathlib.Path(path)] * 2, np.array([path] * 2),
    ]  # fmt: skip
    for container in containers:
        assert [os.fspath(one) for one in read_images(container)] == paths


def test_every_form_of_an_image_is_the_same_picture(path):
    data = path.read_bytes()
    lying = np.repeat(COLOURS[None], 2, axis=0)
    cells = [
        str(path), path, data, bytearray(data), memoryview(data), Image.open(path), Image.fromarray(COLOURS), COLOURS,
        {"bytes": data, "path": None}, {"bytes": memoryview(data)}, {"bytes": bytearray(data)},
        {"bytes": None, "path": str(path)}, COLOURS / 255.0,
        COLOURS.astype(np.int64), COLOURS.astype(np.uint16) * 257, (COLOURS.astype(np.uint16) * 257).astype(">u2"),
    ]  # fmt: skip
    for images in (cells, lying, pl.Series([data]), pa.array([data]), pa.array([{"bytes": data, "path": None}])):
        for image in read_images(images):
            np.testing.assert_array_equal(np.asarray(open_image(image)), COLOURS)


def test_dark_pictures_of_sixteen_bits_are_dark_in_either_order_of_bytes():
    dark = np.full((2, 2, 3), 255, dtype=np.uint16)
    for order in "<>":
        (image,) = read_images([dark.astype(f"{order}u2")])
        assert np.asarray(open_image(image)).max() == 1


def test_what_turns_into_an_array_is_an_image():
    class Tensor:
        def __array__(self, dtype=None, copy=None):
            return COLOURS

    (image,) = read_images([Tensor()])
    np.testing.assert_array_equal(np.asarray(open_image(image)), COLOURS)
    assert isinstance(image, np.ndarray)


def test_missing_cells_are_kept():
    for missing in (None, np.nan, pd.NA, pd.NaT, float("nan")):
        assert read_images(["a.png", missing]) == ["a.png", None]
    assert read_images(pa.array(["a.png", None])) == ["a.png", None]
    with pytest.raises(UnreadableImage, match="missing"):
        open_image(None)
    with pytest.raises(UnreadableImage, match="its dict holds 5, expected bytes or a path"):
        open_image({"bytes": None, "path": 5})


GREY = RNG.integers(256, size=(5, 6), dtype=np.uint8)


@pytest.mark.parametrize(
    "image",
    [
        Image.fromarray(GREY),
        Image.fromarray(GREY.astype(np.uint16) * 257),
        Image.fromarray(GREY.astype(np.int32) * 257),
        Image.fromarray((GREY / 255.0).astype(np.float32)),
        GREY,
        GREY[..., None],
        GREY / 255.0,
    ],
    ids=["L", "I;16", "I", "F", "array", "channel", "floats"],
)
def test_grey_images_have_three_equal_channels(image):
    np.testing.assert_array_equal(np.asarray(open_image(image)), np.repeat(GREY[..., None], 3, axis=2))


def test_what_is_transparent_is_white():
    colours = np.dstack([COLOURS, np.zeros((6, 8), np.uint8)])
    colours[0, :, 3] = 255
    expected = np.full((6, 8, 3), 255, np.uint8)
    expected[0] = COLOURS[0]
    clear = encoded(Image.fromarray(GREY).convert("P"), transparency=int(GREY[0, 0]))
    for image in (colours, Image.fromarray(colours), encoded(Image.fromarray(colours))):
        np.testing.assert_array_equal(np.asarray(open_image(image)), expected)
    assert open_image(clear).getpixel((0, 0)) == (255, 255, 255)
    fine = GREY.astype(np.uint16) * 257
    sixteen = with_clear_grey(encoded(Image.fromarray(fine)), int(fine[0, 0]))
    assert Image.open(io.BytesIO(sixteen)).mode.startswith("I")
    grey = np.where(GREY[0, 0] == GREY, 255, GREY)
    np.testing.assert_array_equal(np.asarray(open_image(sixteen)), np.repeat(grey[..., None], 3, axis=2))
    half = Image.fromarray(np.dstack([GREY, np.full_like(GREY, 128)]))
    np.testing.assert_allclose(open_image(half.convert("La")), open_image(half), atol=1)


def test_palettes_bits_and_cmyk_are_colours():
    few = Image.fromarray(COLOURS).quantize(4)
    np.testing.assert_array_equal(np.asarray(open_image(encoded(few))), np.asarray(few.convert("RGB")))
    bits = GREY > 127
    for image in (bits, Image.fromarray(bits)):
        np.testing.assert_array_equal(np.asarray(open_image(image))[..., 0], bits * np.uint8(255))
    assert open_image(encoded(Image.new("CMYK", (3, 2)), "TIFF")).getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_images_are_upright(orientation):
    upright = Image.fromarray(COLOURS)
    back = {
        2: [Image.Transpose.FLIP_LEFT_RIGHT], 3: [Image.Transpose.ROTATE_180], 4: [Image.Transpose.FLIP_TOP_BOTTOM],
        5: [Image.Transpose.TRANSPOSE], 6: [Image.Transpose.ROTATE_90], 7: [Image.Transpose.TRANSVERSE],
        8: [Image.Transpose.ROTATE_270],
    }  # fmt: skip
    stored = upright
    for turn in back.get(orientation, []):
        stored = stored.transpose(turn)
    exif = Image.Exif()
    exif[0x0112] = orientation
    np.testing.assert_array_equal(np.asarray(open_image(encoded(stored, exif=exif))), COLOURS)


def test_the_first_picture_of_an_animation():
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert open_image(data).getpixel((1, 1)) == (255, 0, 0)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF|Tag data")
def test_damaged_exif_data_leave_a_picture():
    exif = b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\x12\x01\x03\0\xff\xff\xff\xff\0\0\0\0" * 3
    assert open_image(encoded(Image.fromarray(COLOURS), "JPEG", exif=exif)).size == (8, 6)


def test_images_of_the_caller_are_left_alone(path):
    image, array = Image.open(path), COLOURS.copy()
    out = np.array(open_image(image))
    np.asarray(open_image(array))
    assert (image.mode, image.size) == ("RGB", (8, 6))
    np.testing.assert_array_equal(array, COLOURS)
    open_image(image).putpixel((0, 0), (1, 2, 3))
    np.testing.assert_array_equal(np.asarray(image), out)


def test_one_lazy_image_in_many_threads(path):
    for _ in range(20):
        image, found, barrier = Image.open(path), [], threading.Barrier(8)

        def work(image=image, found=found, barrier=barrier):
            barrier.wait()
            found.append(np.array(open_image(image)))

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(found) == 8
        for one in found:
            np.testing.assert_array_equal(one, COLOURS)


# ---------------------------------------------------------------------------------------------------------- faults


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        ("a.png", TypeError, r"got the single 'a.png'; pass \[X\]"),
        (pathlib.Path("a.png"), TypeError, r"got the single 'a.png'"),
        (b"123", TypeError, "got the single 3 bytes"),
        (Image.new("RGB", (2, 2)), TypeError, "got the single a PIL image"),
        (7, TypeError, "X must be a list of images, got 7, a int"),
        (["a.png", 7], TypeError, r"X\[1\] must be an image: a path.*got 7"),
        ([["a.png"]], TypeError, r"X\[0\] must be an image.*got \['a.png'\]"),
        (np.zeros((4, 3)), ValueError, r"shape \(4, 3\).*X.reshape\(-1, height, width, 3\)"),
        (np.zeros(4), ValueError, r"shape \(4,\)"),
        (np.zeros((9, 9, 3)), ValueError, r"pass X\[None\] if it is one image"),
        (np.zeros((2, 3, 9, 8)), ValueError, r"channels come last: pass X.transpose\(0, 2, 3, 1\)"),
        (np.zeros((2, 9, 9, 5)), ValueError, "expected images of shape"),
        (pd.DataFrame({"a": ["x"], "b": ["y"]}), ValueError, "X has 2 columns, expected one column of images"),
        (np.array([["a", "b"]], dtype=object), ValueError, "X has 2 columns"),
        (pd.DataFrame({"a": [1.5]}), TypeError, r"X\[0\] must be an image.*1.5"),
    ],
)
def test_what_is_no_container_of_images_is_refused(X, error, message):
    with pytest.raises(error, match=message):
        read_images(X)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.full((3, 3), 2.0), "values are from 2 to 2, expected 0 to 1 of float64"),
        (np.full((3, 3), -0.1), "expected 0 to 1"),
        (np.full((3, 3), np.nan), "expected 0 to 1"),
        (np.full((3, 3), 256), "expected 0 to 255 of int64"),
        (np.zeros((3, 3, 2)), r"shape is \(3, 3, 2\)"),
        (np.zeros((0, 3, 3)), r"shape is \(0, 3, 3\)"),
        (np.zeros(3), r"shape is \(3,\)"),
        (np.zeros((2, 2), complex), "dtype is complex128"),
        (Image.fromarray(np.full((2, 2), 70_000, np.int32)), "expected 0 to 65,535"),
    ],
)
def test_arrays_with_other_values_say_which(array, message):
    with pytest.raises(UnreadableImage, match=message):
        open_image(array)


def test_what_is_no_file_of_an_image_says_why(tmp_path, path):
    text = tmp_path / "a.txt"
    text.write_text("no image")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    cases = {
        tmp_path / "none.png": "No such file", tmp_path: "a folder", pipe: "a pipe", text: "no format",
        "https://a.org/b.png": "nothing is downloaded", "a\0b": "null",
    }  # fmt: skip
    for place, message in cases.items():
        with pytest.raises(UnreadableImage, match=message):
            open_image(place)
    with pytest.raises(UnreadableImage, match="no format"):
        open_image(b"")


@pytest.mark.filterwarnings("ignore:Corrupt EXIF|Truncated File")
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"])
def test_every_cut_is_refused_or_a_picture(kind):
    data = encoded(Image.fromarray(COLOURS), kind)
    refused = 0
    for end in range(len(data)):
        try:
            assert open_image(data[:end]).size == (8, 6)
        except UnreadableImage as error:
            assert str(error)  # noqa: PT017 (pictures pass, too)
            refused += 1
    assert refused > len(data) // 4


@pytest.mark.parametrize("box", [(3, 2, 3, 9), (2, 5, 9, 5), (4, 4, 4, 4)])
def test_a_cut_without_pixels_is_refused(box, path):
    with Image.open(path) as whole:
        cut = whole.crop(box)
    with pytest.raises(UnreadableImage, match=f"^it has {cut.width} x {cut.height} pixels$"):
        open_image(cut)
    found = ImageDescriptors(on_error="zero")
    with pytest.warns(UserWarning, match=r"1 of 2 images cannot be read"):
        rows = found.fit_transform([path, cut])
    assert rows[0].any()
    assert not rows[1].any()


def test_bombs_are_refused_by_name(monkeypatch):
    data = encoded(Image.new("1", (400, 300)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100_000)
    with (
        pytest.raises(UnreadableImage, match=r"400 x 300 pixels, more than PIL.Image.MAX_IMAGE_PIXELS \(100000\)"),
        pytest.warns(Image.DecompressionBombWarning),
    ):
        open_image(data)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10_000)
    with pytest.raises(UnreadableImage, match=r"decompression bomb.*MAX_IMAGE_PIXELS"):
        open_image(data)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert open_image(data).size == (400, 300)
