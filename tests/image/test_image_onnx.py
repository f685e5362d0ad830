"""ONNX models through onnxruntime: outputs, sizes, layouts, and files that are none."""

import numpy as np
import pytest
from onnx_file import TINY, model, node, small_net

from skembed import ImageEmbedder
from skembed.apply.onnx_model import OnnxModel

pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

RNG = np.random.default_rng(0)


def written_out(pixels, layer):
    """The small net with numpy, on (height, width, 3)."""
    rng = np.random.default_rng(0)
    kernel, bias, head = rng.normal(size=(4, 3, 3, 3)), rng.normal(size=4), rng.normal(size=(4, 2))
    kernel, bias, head = (array.astype(np.float32) for array in (kernel, bias, head))
    windows = np.lib.stride_tricks.sliding_window_view(pixels, (3, 3), axis=(0, 1))
    maps = np.maximum(np.einsum("yxcij,ocij->oyx", windows, kernel) + bias[:, None, None], 0)
    features = maps.mean((1, 2))
    return features if layer in ("features", "maps") else features @ head


@pytest.mark.parametrize(("layer", "output"), [("pool", "scores"), ("features", "features"), ("maps", "maps")])
def test_rows_are_those_of_the_model(layer, output, pictures):
    embedder = ImageEmbedder(TINY, layer=layer).fit(pictures)
    assert (embedder.architecture_, embedder.layer_) == ("onnx", output)
    assert (embedder.preprocessing_.resize, embedder.preprocessing_.crop) == (9, (8, 8))
    rows = embedder.transform(pictures)
    expected = [written_out(embedder.preprocessing_.apply(picture), output) for picture in pictures]
    np.testing.assert_allclose(rows, expected, rtol=1e-4, atol=1e-5)


def test_the_file_of_the_example_is_what_its_script_writes():
    assert TINY.read_bytes() == small_net()


@pytest.mark.parametrize("options", [{"n": 4}, {"n": 1}, {"side": "s"}, {"dtype": "f2"}, {"features": False}])
def test_fixed_batches_sizes_and_halves(options, pictures, tmp_path):
    (tmp_path / "a.onnx").write_bytes(small_net(**options))
    embedder = ImageEmbedder(tmp_path / "a.onnx", resize=9, crop=8)
    expected = ImageEmbedder(TINY, resize=9, crop=8).fit_transform(pictures)
    close = 2e-2 if "dtype" in options else 1e-5
    np.testing.assert_allclose(embedder.fit_transform(pictures), expected, rtol=close, atol=close)
    if "side" in options:
        assert ImageEmbedder(tmp_path / "a.onnx", resize=None, crop=None).fit_transform(pictures).shape == (5, 2)


def test_rows_are_means_over_tokens(pictures, tmp_path):
    nodes = [node("ReduceMean", ["image"], "means", axes=[1]), node("Squeeze", ["means", "axis"], "tokens")]
    path = tmp_path / "a.onnx"  # a token for each row of pixels
    path.write_bytes(model(nodes, {"image": ("n", 3, 6, 7)}, {"tokens": ("n", 6, 7)}, {"axis": np.array([1])}))
    embedder = ImageEmbedder(path).fit(pictures)
    rows = embedder.transform(pictures)
    expected = [embedder.preprocessing_.apply(picture).mean(axis=(0, 2)) for picture in pictures]
    np.testing.assert_allclose(rows, expected, rtol=1e-4, atol=1e-5)
    assert rows.shape == (5, 7)


def test_channels_may_come_last(pictures, tmp_path):
    nodes = [node("ReduceMean", ["image"], "means", axes=[1, 2], keepdims=[0])]
    nodes[0] = node("ReduceMean", ["image"], "kept", axes=[1, 2])
    nodes.append(node("Flatten", ["kept"], "means"))
    (tmp_path / "a.onnx").write_bytes(model(nodes, {"image": ("n", 6, 7, 3)}, {"means": ("n", 3)}, {}))
    embedder = ImageEmbedder(tmp_path / "a.onnx", resize=(6, 7), mean=(0, 0, 0), std=(1 / 255,) * 3).fit(pictures)
    assert embedder.preprocessing_.crop == (6, 7)
    expected = [embedder.preprocessing_.apply(picture).mean((0, 1)) for picture in pictures]
    np.testing.assert_allclose(embedder.transform(pictures), expected, rtol=1e-5)
    assert np.max(expected) > 100


def test_what_cannot_be_run_says_why(pictures, tmp_path):
    (tmp_path / "no.onnx").write_bytes(b"no model")
    with pytest.raises(ValueError, match=r"no.onnx is no ONNX model that can be run"):
        OnnxModel(tmp_path / "no.onnx")
    (tmp_path / "text.onnx").write_bytes(model([node("Relu", ["a"], "b")], {"a": ("n", 5)}, {"b": ("n", 5)}, {}))
    with pytest.raises(
        ValueError, match=r"text.onnx takes a: tensor\(float\) \['n', 5\]; expected one input of images"
    ):
        OnnxModel(tmp_path / "text.onnx")
    with pytest.raises(ValueError, match=r"layer='last' is no output of .*one of 'scores', 'features', 'maps'"):
        ImageEmbedder(TINY, layer="last").fit(pictures)
    with pytest.raises(ValueError, match="cannot run on an image of 5 x 5 pixels"):
        ImageEmbedder(TINY, crop=5).fit(pictures)
    flat = model([node("Relu", ["a"], "b")], {"a": ("n", 3, 4, 4)}, {"b": ("n", 3, 4, 4)}, {})
    (tmp_path / "flat.onnx").write_bytes(flat)
    with pytest.raises(ValueError, match=r"layer='logits', and the first output of .* has the shape"):
        ImageEmbedder(tmp_path / "flat.onnx", layer="logits").fit(pictures)
    assert ImageEmbedder(tmp_path / "flat.onnx").fit_transform(pictures).shape == (5, 3)


def test_cuts_of_a_model_are_refused(tmp_path):
    whole = small_net()
    for end in range(0, len(whole), 23):
        (tmp_path / "a.onnx").write_bytes(whole[:end])
        with pytest.raises(ValueError, match=r"a.onnx (is no ONNX model|takes)"):
            OnnxModel(tmp_path / "a.onnx")
