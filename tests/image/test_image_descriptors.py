"""ImageDescriptors beside the same figures computed with numpy."""

import numpy as np
import pytest
from PIL import Image, ImageFilter
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from skembed import ImageDescriptors


def described(*images, **parameters):
    """One dict of figures an image."""
    descriptors = ImageDescriptors(**parameters)
    rows = descriptors.fit_transform(list(images))
    return [dict(zip(descriptors.get_feature_names_out(), map(float, row))) for row in rows]


def test_figures_are_those_of_the_pixels(pictures):
    for picture, found in zip(pictures, described(*pictures)):
        height, width, _ = picture.shape
        assert (found["width"], found["height"]) == (width, height)
        assert found["aspect"] == pytest.approx(width / height)
        for name, mean in zip(("mean_red", "mean_green", "mean_blue"), picture.mean((0, 1))):
            assert found[name] == pytest.approx(mean, rel=1e-5)
        luma = np.asarray(Image.fromarray(picture).convert("L"), dtype=np.float64)
        assert found["brightness"] == pytest.approx(luma.mean(), rel=1e-5)
        assert found["contrast"] == pytest.approx(luma.std(), rel=1e-5)
        laplacian = [
            luma[y - 1, x] + luma[y + 1, x] + luma[y, x - 1] + luma[y, x + 1] - 4 * luma[y, x]
            for y in range(1, height - 1)
            for x in range(1, width - 1)
        ]
        assert found["sharpness"] == pytest.approx(np.var(laplacian), rel=1e-5)


def test_dominant_colours_and_their_shares():
    picture = np.zeros((10, 10, 3), np.uint8)
    picture[:6] = (250, 10, 20)
    picture[6:9] = (5, 6, 200)
    picture[0, 0] = (240, 20, 20)  # in the same box as the first
    (found,) = described(picture, n_colors=4)
    first = [found[f"color1_{name}"] for name in ("red", "green", "blue", "share")]
    assert first == pytest.approx([250 - 10 / 60, 10 + 10 / 60, 20, 0.6], rel=1e-5)
    assert [found[f"color2_{name}"] for name in ("red", "green", "blue", "share")] == pytest.approx([5, 6, 200, 0.3])
    assert found["color3_share"] == pytest.approx(0.1)
    assert [found[f"color4_{name}"] for name in ("red", "green", "blue", "share")] == [0] * 4


def test_blur_is_less_sharp_and_size_matters_little(pictures):
    sharp = Image.fromarray(pictures[0]).resize((600, 500))
    blurred = sharp.filter(ImageFilter.GaussianBlur(6))
    first, second = described(sharp, blurred)
    assert second["sharpness"] < 0.5 * first["sharpness"]
    small, line = described(np.zeros((2, 2)), np.zeros((1, 90_000)))
    assert small["sharpness"] == line["sharpness"] == 0
    assert line["aspect"] == 90_000


def test_names_frames_and_faults(pictures):
    descriptors = ImageDescriptors(1)
    with pytest.raises(NotFittedError):
        descriptors.get_feature_names_out()
    frame = descriptors.set_output(transform="pandas").fit_transform(pictures)
    assert list(frame.columns[-4:]) == ["color1_red", "color1_green", "color1_blue", "color1_share"]
    assert len(set(frame.columns)) == frame.shape[1] == 13
    with pytest.raises(ValueError, match="n_colors"):
        ImageDescriptors(65).fit(pictures)
    with pytest.raises(ValueError, match="X holds no image"):
        ImageDescriptors().fit([])
    with pytest.raises(ValueError, match=r"X\[0\], a missing value, cannot be read"):
        ImageDescriptors().fit_transform([None])
    with pytest.warns(UserWarning, match="1 of 2 images"):
        rows = ImageDescriptors(on_error="zero").fit_transform([None, pictures[0]])
    assert not rows[0].any()
    assert rows[1].any()


def test_jobs_and_neighbours_change_no_bit(pictures):
    expected = ImageDescriptors().fit_transform(pictures)
    other = clone(ImageDescriptors(n_jobs=3, batch_size=1)).fit(pictures)
    np.testing.assert_array_equal(other.transform(pictures[::-1]), expected[::-1])
