"""Preprocessing beside torchvision's steps, written out with Pillow."""

import numpy as np
import pytest
from PIL import Image

from skembed.data.images import UnreadableImage
from skembed.data.preprocessing import Preprocessing

RNG = np.random.default_rng(0)
MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)


def written_out(image, resize, crop, method):
    """Resize of the shorter side, centre crop with black where the image is smaller, normalization."""
    width, height = image.size
    if resize is not None:
        short, long = sorted((width, height))
        size = int(resize * long / short)
        image = image.resize((resize, size) if width <= height else (size, resize), method)
    width, height = image.size
    left, top = max(crop - width, 0) // 2, max(crop - height, 0) // 2
    padded = Image.new("RGB", (max(width, crop), max(height, crop)))
    padded.paste(image, (left, top))
    top, left = round((padded.height - crop) / 2), round((padded.width - crop) / 2)
    pixels = np.asarray(padded.crop((left, top, left + crop, top + crop)), dtype=np.float64) / 255
    return (pixels - MEAN) / STD


@pytest.mark.parametrize("size", [(30, 47), (47, 30), (33, 33), (8, 9), (200, 31)])
@pytest.mark.parametrize(("resize", "crop"), [(24, 20), (24, 21), (None, 19), (20, 26), (None, 60)])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_it_is_as_torchvision_has_it(size, resize, crop, interpolation):
    array = RNG.integers(256, size=(*size, 3), dtype=np.uint8)
    expected = written_out(Image.fromarray(array), resize, crop, Image.Resampling[interpolation.upper()])
    found = Preprocessing(resize, (crop, crop), MEAN, STD, interpolation).apply(array)
    assert found.dtype == np.float32
    assert found.shape == (crop, crop, 3)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_sides_and_no_crop():
    image = RNG.integers(256, size=(30, 40, 3), dtype=np.uint8)
    assert Preprocessing((8, 12), None, MEAN, STD, "bilinear").apply(image).shape == (8, 12, 3)
    assert Preprocessing(None, None, MEAN, STD, "bilinear").apply(image).shape == (30, 40, 3)
    assert Preprocessing(15, None, MEAN, STD, "lanczos").apply(image).shape == (15, 20, 3)


def test_long_and_thin_images_take_no_more_memory(monkeypatch):
    line = np.zeros((1, 80_000, 3), np.uint8)
    line[:, 40_000:] = 255
    found = Preprocessing(256, (224, 224), MEAN, STD, "nearest").apply(line)
    assert found.shape == (224, 224, 3)
    assert (found[:, :112] < 0).all()
    assert (found[:, 112:] > 0).all()
    line = line[:, :60_000]
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10**7)
    with pytest.raises(UnreadableImage, match="60000 and 1 pixels would become 15360000 and 256"):
        Preprocessing(256, None, MEAN, STD, "bilinear").apply(line)
