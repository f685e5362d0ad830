"""Nets beside the same written out with torch.nn, and files of weights that are none."""

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from random_weights import random_weights

torch = pytest.importorskip("torch")
from safetensors.numpy import save_file  # noqa: E402
from torch import nn  # noqa: E402

from skembed.apply.nets.efficientnet_lite import EfficientNetLite0  # noqa: E402
from skembed.apply.nets.image_net import ImageNet  # noqa: E402
from skembed.apply.nets.squeezenet import SqueezeNet  # noqa: E402

RNG = np.random.default_rng(0)
OLD = tuple(map(int, torch.__version__.split(".")[:2])) < (2, 6)
reads_pth = pytest.mark.skipif(OLD, reason="torch before 2.6 cannot read .pth files safely, and none are read")


class Fire(nn.Module):
    def __init__(self, channels, squeezed, expanded):
        super().__init__()
        self.squeeze = nn.Conv2d(channels, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, expanded, 1)
        self.expand3x3 = nn.Conv2d(squeezed, expanded, 3, padding=1)

    def forward(self, x):
        x = self.squeeze(x).relu()
        return torch.cat([self.expand1x1(x).relu(), self.expand3x3(x).relu()], 1)


def written_out(version):
    """torchvision's network, layer for layer, with pools in ceil mode."""
    pool = lambda: nn.MaxPool2d(3, 2, ceil_mode=True)  # noqa: E731
    if version == "squeezenet1_0":
        features = [
            nn.Conv2d(3, 96, 7, 2), nn.ReLU(), pool(), Fire(96, 16, 64), Fire(128, 16, 64), Fire(128, 32, 128), pool(),
            Fire(256, 32, 128), Fire(256, 48, 192), Fire(384, 48, 192), Fire(384, 64, 256), pool(), Fire(512, 64, 256),
        ]  # fmt: skip
    else:
        features = [
            nn.Conv2d(3, 64, 3, 2), nn.ReLU(), pool(), Fire(64, 16, 64), Fire(128, 16, 64), pool(), Fire(128, 32, 128),
            Fire(256, 32, 128), pool(), Fire(256, 48, 192), Fire(384, 48, 192), Fire(384, 64, 256), Fire(512, 64, 256),
        ]  # fmt: skip
    head = nn.Sequential(nn.Dropout(), nn.Conv2d(512, 5, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1))
    return nn.ModuleDict({"features": nn.Sequential(*features), "classifier": head}).eval()


@pytest.mark.parametrize("version", ["squeezenet1_0", "squeezenet1_1"])
@pytest.mark.parametrize("size", [(64, 64), (51, 70)])
def test_squeezenets_are_torchvisions(version, size, tmp_path):
    weights = random_weights(SqueezeNet.shapes(version))
    net = written_out(version)
    net.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})
    np.savez(tmp_path / "a.npz", **weights)
    model = ImageNet(tmp_path / "a.npz")
    assert model.architecture == version
    pixels = RNG.normal(size=(*size, 3)).astype(np.float32)
    with torch.no_grad():
        features = net["features"](torch.from_numpy(pixels).permute(2, 0, 1)[None])
        logits = net["classifier"](features).flatten(1)
    np.testing.assert_allclose(model.run(pixels, "pool"), features.mean((2, 3))[0], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(model.run(pixels, "logits"), logits[0], rtol=1e-4, atol=1e-5)
    assert (model.width("pool"), model.width("logits")) == (512, 5)


class SameConv(nn.Conv2d):
    """A convolution padded as TensorFlow does."""

    def forward(self, x):
        total = [max((-(-n // s) - 1) * s + k - n, 0) for n, s, k in zip(x.shape[2:], self.stride, self.kernel_size)]
        (top, left) = (t // 2 for t in total)
        x = nn.functional.pad(x, (left, total[1] - left, top, total[0] - top))
        return nn.functional.conv2d(x, self.weight, None, self.stride, 0, 1, self.groups)


class Bottleneck(nn.Module):
    def __init__(self, before, after, expansion, kernel, stride):
        super().__init__()
        inner = before * expansion
        if expansion > 1:
            self._expand_conv, self._bn0 = SameConv(before, inner, 1, bias=False), nn.BatchNorm2d(inner, 1e-3)
        self._depthwise_conv = SameConv(inner, inner, kernel, stride, groups=inner, bias=False)
        self._bn1 = nn.BatchNorm2d(inner, 1e-3)
        self._project_conv, self._bn2 = SameConv(inner, after, 1, bias=False), nn.BatchNorm2d(after, 1e-3)
        self.same = stride == 1 and before == after

    def forward(self, x):
        out = x
        if hasattr(self, "_bn0"):
            out = nn.functional.relu6(self._bn0(self._expand_conv(out)))
        out = nn.functional.relu6(self._bn1(self._depthwise_conv(out)))
        out = self._bn2(self._project_conv(out))
        return out + x if self.same else out


class Lite0(nn.Module):
    def __init__(self):
        super().__init__()
        self._conv_stem, self._bn0 = SameConv(3, 32, 3, 2, bias=False), nn.BatchNorm2d(32, 1e-3)
        sizes = [(32, 16, 1, 3, 1), (16, 24, 6, 3, 2), (24, 24, 6, 3, 1), (24, 40, 6, 5, 2), (40, 40, 6, 5, 1)]
        sizes += [(40, 80, 6, 3, 2), (80, 80, 6, 3, 1), (80, 80, 6, 3, 1), (80, 112, 6, 5, 1), (112, 112, 6, 5, 1)]
        sizes += [(112, 112, 6, 5, 1), (112, 192, 6, 5, 2), *[(192, 192, 6, 5, 1)] * 3, (192, 320, 6, 3, 1)]
        self._blocks = nn.ModuleList(Bottleneck(*size) for size in sizes)
        self._conv_head, self._bn1 = SameConv(320, 1280, 1, bias=False), nn.BatchNorm2d(1280, 1e-3)
        self._fc = nn.Linear(1280, 5)

    def forward(self, x):
        x = nn.functional.relu6(self._bn0(self._conv_stem(x)))
        for block in self._blocks:
            x = block(x)
        pooled = nn.functional.relu6(self._bn1(self._conv_head(x))).mean((2, 3))
        return pooled, self._fc(pooled)


@reads_pth
def test_efficientnet_lite0_is_the_one_of_tensorflow(tmp_path):
    weights = random_weights(EfficientNetLite0.shapes())
    net = Lite0().eval()
    net.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()}, strict=False)
    torch.save(
        {"state_dict": {f"module.{name}": value for name, value in net.state_dict().items()}}, tmp_path / "a.pth"
    )
    model = ImageNet(tmp_path / "a.pth")
    assert model.architecture == "efficientnet-lite0"
    for size in [(64, 64), (45, 70)]:
        pixels = RNG.normal(size=(*size, 3)).astype(np.float32)
        with torch.no_grad():
            pooled, logits = net(torch.from_numpy(pixels).permute(2, 0, 1)[None])
        np.testing.assert_allclose(model.run(pixels, "pool"), pooled[0], rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(model.run(pixels, "logits"), logits[0], rtol=1e-4, atol=1e-4)
    assert (model.width("pool"), model.width("logits")) == (1280, 5)


def test_an_image_is_on_one_thread_and_others_keep_theirs(tmp_path):
    save_file(random_weights(EfficientNetLite0.shapes()), tmp_path / "a.safetensors")
    model = ImageNet(tmp_path / "a.safetensors")
    pixels, threads, inside = RNG.normal(size=(224, 224, 3)).astype(np.float32), torch.get_num_threads(), []
    net = model._net
    model._net = lambda x, layer: inside.append(torch.get_num_threads()) or net(x, layer)
    try:
        rows = []
        for n_threads in (1, 2, 3):
            torch.set_num_threads(n_threads)
            rows.append(model.run(pixels, "logits"))
            assert torch.get_num_threads() == n_threads
            with ThreadPoolExecutor(2) as pool:  # new threads, which have their own number
                rows += pool.map(lambda _: model.run(pixels, "logits"), range(2))
    finally:
        torch.set_num_threads(threads)
    assert inside == [1] * 9
    np.testing.assert_allclose(rows, rows[:1] * 9, rtol=1e-4, atol=1e-5)


# --------------------------------------------------------------------------------------------------------- weights


@pytest.fixture(scope="module")
def weights():
    return random_weights(SqueezeNet.shapes("squeezenet1_1"))


@reads_pth
@pytest.mark.parametrize("half", [False, True])
def test_every_kind_of_file_is_the_same_net(weights, tmp_path, half):
    saved = {name: value.astype(np.float16 if half else np.float32) for name, value in weights.items()}
    tensors = {name: torch.from_numpy(value) for name, value in saved.items()}
    np.savez(tmp_path / "a.npz", **saved)
    np.savez_compressed(tmp_path / "b.npz", **saved)
    save_file(saved, tmp_path / "a.safetensors")
    torch.save(tensors, tmp_path / "a.pth")
    torch.save(tensors, tmp_path / "b.pt", _use_new_zipfile_serialization=False)
    torch.save({"model": tensors, "epoch": 3}, tmp_path / "c.pth")
    pixels = RNG.normal(size=(40, 40, 3)).astype(np.float32)
    rows = [ImageNet(file).run(pixels, "pool") for file in sorted(tmp_path.iterdir())]
    assert len(rows) == 6
    for row in rows:
        np.testing.assert_array_equal(row, rows[0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.pop("features.3.squeeze.bias"), r"'features.3.squeeze.bias' of squeezenet1_1 is missing.*\(16,\)"),
        (
            lambda w: w.update({"features.0.weight": np.zeros((64, 1, 3, 3), "f4")}),
            r"'features.0.weight' of squeezenet1_1 has the shape \(64, 1, 3, 3\), expected \(64, 3, 3, 3\)",
        ),
        (lambda w: w.update({"fc.weight": np.zeros(3, "f4")}), "squeezenet1_1 has no weight 'fc.weight'"),
        (lambda w: w.update({"classifier.1.bias": np.zeros(6, "f4")}), r"of \[5, 6\] classes, expected one number"),
        (
            lambda w: w.update(
                {"classifier.1.bias": np.zeros(0, "f4"), "classifier.1.weight": np.zeros((0, 512, 1, 1))}
            ),
            r"has the shape \(0, .*expected \(n_classes",
        ),
        (lambda w: w["features.0.bias"].fill(np.nan), "the weight 'features.0.bias' holds NaN or infinity"),
        (lambda w: w.clear(), r"no known architecture \(none, ...\); expected those of squeezenet1_0, squeezenet1_1"),
        (
            lambda w: [w.clear(), w.update({"layer1.0.conv1.weight": np.zeros(3, "f4")})],
            r"no known architecture \(layer1.0.conv1.weight, ...\).*Export another model to .onnx",
        ),
    ],
)
@pytest.mark.parametrize("kind", ["npz", pytest.param("pth", marks=reads_pth)])
def test_other_weights_are_refused_by_name(weights, change, message, kind, tmp_path):
    changed = {name: value.copy() for name, value in weights.items()}
    change(changed)
    path = tmp_path / f"some.{kind}"
    if kind == "npz":
        np.savez(path, **changed)
    else:
        torch.save({name: torch.from_numpy(value) for name, value in changed.items()}, path)
    with pytest.raises(ValueError, match=rf"some.{kind}.*{message}"):
        ImageNet(path)


class Harm:
    def __reduce__(self):
        return (exec, ("import builtins; builtins.harmed = True",))


def test_files_run_no_code(tmp_path):
    import builtins

    torch.save({"features.0.weight": Harm()}, tmp_path / "a.pth")
    torch.save(nn.Linear(2, 2), tmp_path / "b.pth")
    (tmp_path / "c.pth").write_bytes(pickle.dumps(Harm()))
    np.savez(tmp_path / "d.npz", a=np.array([Harm()], dtype=object))
    for name in "abcd":
        of_torch = rf"{name}.pth (holds no weights|is a file of torch)"  # which torch before 2.6 does not read
        with pytest.raises(ValueError, match=rf"{of_torch}|d.npz holds weights of no known"):
            ImageNet(next(tmp_path.glob(f"{name}.*")))
    assert not hasattr(builtins, "harmed")


@pytest.mark.parametrize("name", ["a.npz", "a.pth", "a.safetensors"])
def test_what_is_no_file_of_weights_is_refused(weights, name, tmp_path):
    np.savez(tmp_path / "whole", **{"features.0.bias": weights["features.0.bias"]})
    whole = (tmp_path / "whole.npz").read_bytes()
    for content in (b"", b"no weights", b"PK\x03\x04" + bytes(50), whole[: len(whole) // 2]):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=name):
            ImageNet(tmp_path / name)


@pytest.mark.parametrize(("content", "kind"), [(torch.zeros(3), "Tensor"), ([torch.zeros(3)], "list")])
def test_a_file_of_torch_that_holds_no_names_is_refused(content, kind, tmp_path):
    torch.save(content, tmp_path / "a.pth")
    with pytest.raises(ValueError, match=f"a.pth holds a {kind}, expected a state_dict: names and tensors"):
        ImageNet(tmp_path / "a.pth")


def test_a_bomb_is_not_expanded(weights, tmp_path):
    """Names are right, and one array is of a hundred megabytes: its shape is read, and no more."""
    import tracemalloc

    changed = {**weights, "features.0.bias": np.zeros(3 * 10**7, np.float32)}
    np.savez_compressed(tmp_path / "a.npz", **changed)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"'features.0.bias' .*\(30000000,\), expected \(64,\)"):
            ImageNet(tmp_path / "a.npz")
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


def test_images_that_are_too_small_say_so(weights, tmp_path):
    np.savez(tmp_path / "a.npz", **weights)
    with pytest.raises(ValueError, match="squeezenet1_1 cannot run on an image of 2 x 2 pixels"):
        ImageNet(tmp_path / "a.npz").run(np.zeros((2, 2, 3), np.float32), "pool")
