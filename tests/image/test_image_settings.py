"""What is done to images before a net sees them, and what is said of those that cannot be read, in full."""

import re
import threading
import warnings
from types import SimpleNamespace

import numpy as np
import pytest

from skembed import ImageDescriptors, ImageEmbedder
from skembed.image._image_descriptors import _dominant, _names, _reduced

Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")


def chosen(input_size=None, architecture="onnx", **parameters):
    model = SimpleNamespace(architecture=architecture)
    if input_size is not None:
        model.input_size = input_size
    return ImageEmbedder(**parameters)._preprocessing(SimpleNamespace(model=model))


@pytest.mark.parametrize(
    ("input_size", "resize", "crop"),
    [((224, 224), 256, (224, 224)), ((56, 56), 64, (56, 56)), ((100, 200), (100, 200), (100, 200)),
     ((None, None), 256, (224, 224)), ((None, 64), 256, (224, 224)), (None, 256, (224, 224))],
)  # fmt: skip
def test_a_net_of_one_size_is_given_images_of_it(input_size, resize, crop):
    found = chosen(input_size)
    assert (found.resize, found.crop) == (resize, crop)


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"resize": 50}, {"resize": 50}), ({"resize": None}, {"resize": None}),
        ({"resize": [50, 60]}, {"resize": (50, 60)}),
        ({"crop": 40}, {"crop": (40, 40)}), ({"crop": [40, 50]}, {"crop": (40, 50)}), ({"crop": None}, {"crop": None}),
        ({"mean": [0, 0.5, 1]}, {"mean": (0.0, 0.5, 1.0)}), ({"std": np.array([1, 2, 3])}, {"std": (1.0, 2.0, 3.0)}),
        ({"interpolation": "lanczos"}, {"interpolation": "lanczos"}),
    ],
)  # fmt: skip
def test_each_setting_is_taken_where_it_is_given_and_else_that_of_the_net(parameters, expected):
    found, plain = chosen(**parameters), chosen()
    for name in ("resize", "crop", "mean", "std", "interpolation"):
        assert getattr(found, name) == expected.get(name, getattr(plain, name))
        if name in expected:
            assert type(getattr(found, name)) is type(expected[name])
    assert {type(value) for value in (*found.mean, *found.std)} == {float}


IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


@pytest.mark.parametrize(
    ("architecture", "interpolation", "numbers"),
    [
        ("squeezenet1_0", "bilinear", IMAGENET), ("squeezenet1_1", "bilinear", IMAGENET),
        ("onnx", "bilinear", IMAGENET),
        ("efficientnet-lite0", "bicubic", {"mean": (127 / 255,) * 3, "std": (128 / 255,) * 3}),
    ],
)  # fmt: skip
def test_each_net_is_given_what_it_was_trained_with(architecture, interpolation, numbers):
    found = chosen(architecture=architecture)
    assert (found.resize, found.crop, found.interpolation) == (256, (224, 224), interpolation)
    assert {"mean": found.mean, "std": found.std} == numbers


def test_a_net_may_have_one_column_and_any_layer_of_its_own():
    embedder = ImageEmbedder()
    fitted = {"architecture_": "onnx", "embedding_dim_": 1, "layer_": "last", "preprocessing_": chosen()}
    vars(embedder).update(fitted)
    embedder._check_fitted()
    for change, message in (
        ({"embedding_dim_": 0}, "expected one of ['efficientnet-lite0', 'onnx', 'squeezenet1_0', 'squeezenet1_1'] with "
         "columns, got 'onnx'"),
        ({"architecture_": "squeezenet1_0"}, "expected the layer 'pool' or 'logits', got 'last'"),
    ):  # fmt: skip
        vars(embedder).update(fitted | change)
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            embedder._check_fitted()


def test_memory_of_rows_is_predicted(monkeypatch):
    asked = []
    monkeypatch.setattr("skembed.image._image_transformer.check_memory", lambda *args: asked.append(args))
    ImageDescriptors(2).fit_transform([np.zeros((2, 2))] * 3)
    assert asked == [(4 * 3 * 17, "rows of 3 images", "transform fewer of them at a time")]


@pytest.mark.parametrize(("n_bad", "tail"), [(1, ""), (5, ""), (6, " and 1 more")])
@pytest.mark.parametrize(("on_error", "name"), [("nan", "NaN"), ("zero", "zeros")])
def test_images_that_cannot_be_read_are_named(n_bad, tail, on_error, name):
    descriptors = ImageDescriptors(on_error=on_error).fit([None])
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        rows = descriptors.transform([np.zeros((2, 2)), *[None] * n_bad])
        descriptors.fit_transform([np.zeros((2, 2)), *[None] * n_bad])
    warning, again = found
    assert str(warning.message) == str(again.message)
    assert warning.filename == again.filename == __file__
    named = "; ".join(f"X[{row}], a missing value (it is missing)" for row in range(1, min(n_bad, 5) + 1))
    assert str(warning.message) == (
        f"{n_bad} of {n_bad + 1} images cannot be read, and their rows are {name}: {named}{tail}."
    )
    assert np.isfinite(rows[0]).all()
    np.testing.assert_array_equal(rows[1:], np.full_like(rows[1:], np.nan if on_error == "nan" else 0.0))


def test_an_image_that_cannot_be_read_is_an_error_in_full():
    message = (
        "X[1], 4 bytes, cannot be read as an image: it is in no format that Pillow knows. on_error='nan' or 'zero' "
        "keeps its row, and names it in a warning."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        ImageDescriptors().fit_transform([np.zeros((2, 2)), b"none"])


def test_what_estimators_of_images_take():
    for on_error, allowed in (("raise", False), ("nan", True), ("zero", True)):
        tags = ImageDescriptors(on_error=on_error).__sklearn_tags__()
        assert (tags.input_tags.one_d_array, tags.input_tags.two_d_array, tags.input_tags.string) == (True, False, True)
        assert tags.input_tags.allow_nan == allowed
        assert tags.transformer_tags.preserves_dtype == []


# --------------------------------------------------------------------------------------------------------- descriptors


@pytest.mark.parametrize("n_colors", [0, 1, 4])
def test_names_of_descriptors(n_colors):
    plain = ["width", "height", "aspect", "mean_red", "mean_green", "mean_blue", "brightness", "contrast", "sharpness"]
    colours = [f"color{rank}_{part}" for rank in range(1, n_colors + 1) for part in ("red", "green", "blue", "share")]
    assert _names(n_colors) == plain + colours


@pytest.mark.parametrize("seed", range(5))
def test_dominant_colours_are_those_of_a_loop(seed):
    """Boxes of 64 values a side; the fullest first, of equal ones the darkest in red, green and blue."""
    rng = np.random.default_rng(seed)
    pixels = rng.choice([0, 63, 64, 127, 200, 255], (5, 6, 3)).astype(np.uint8)
    boxes = {}
    for pixel in pixels.reshape(-1, 3).tolist():
        boxes.setdefault(tuple(value // 64 for value in pixel), []).append(pixel)
    ordered = sorted(boxes, key=lambda box: (-len(boxes[box]), box))
    expected = [[*np.mean(boxes[box], axis=0), len(boxes[box]) / 30] for box in ordered]
    expected = (expected + [[0.0] * 4] * 64)[:40]
    np.testing.assert_allclose(_dominant(Image.fromarray(pixels), 40), np.ravel(expected))


@pytest.mark.parametrize(
    ("size", "reduced"),
    [((256, 256), (256, 256)), ((257, 100), (256, 100)), ((512, 256), (256, 128)), ((100, 51_200), (1, 256)),
     ((1000, 600), (256, 154))],
)  # fmt: skip
def test_large_pictures_are_made_smaller_for_colours_and_sharpness(size, reduced):
    picture = Image.new("RGB", size)
    found = _reduced(picture)
    assert found.size == reduced
    assert (found is picture) == (size == reduced)


def test_sharpness_needs_three_pixels_on_each_side():
    corner = np.zeros((3, 4), np.uint8)
    corner[1, 1] = 100
    names = ImageDescriptors().fit([None]).get_feature_names_out().tolist()
    found = ImageDescriptors().fit_transform([corner, corner[:2], corner[:, :2], corner[:3, :3]])
    assert found[:, names.index("sharpness")].tolist() == [62_500.0, 0, 0, 0]  # of -400 and 100; of one value


def test_pictures_are_decoded_by_threads_of_a_name():
    """By which whoever looks for what a process does finds them."""
    names = []

    def decode(image):
        names.append(threading.current_thread().name)
        return image

    transformer = ImageDescriptors(n_jobs=2)
    rows = transformer._rows([1.0, 2.0, 3.0], decode, lambda value: np.full(4, value), 4)
    assert rows.tolist() == [[1.0] * 4, [2.0] * 4, [3.0] * 4]
    assert set(names) <= {"skembed_0", "skembed_1"}


def test_no_thread_goes_on_after_an_error():
    """Also while the error is held, whose traceback holds what was being worked on."""
    with pytest.raises(ValueError, match="cannot be read") as caught:
        ImageDescriptors(n_jobs=3, batch_size=2).fit_transform([np.zeros((2, 2)), b"none", *[np.zeros((9, 9))] * 20])
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("skembed")]
    assert caught.traceback
