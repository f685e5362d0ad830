"""ImageEmbedder beside a plain loop of torch and onnxruntime; what its vectors are good for.

    python benchmarks/image.py [--images 32] [--repeats 5]

Speed is of one thread, in processor time, of images that are decoded already. The torch loop is the network written out
with torch.nn, in batches of 32; onnxruntime (with the package onnx, which writes the model) has the same weights.
Quality: ants and bees with a logistic regression, whose penalty is chosen by ten folds of the training pictures, and so
is the power to which the vectors are raised before (Perronnin et al. 2010, "Improving the Fisher kernel for large-scale
image classification", section 3.2); classes of ImageNet from the logits; whether the nearest of 205 pictures is of the
same kind.
"""

import argparse
import gzip
import importlib.util
import statistics
import tarfile
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from runs import describe
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, RepeatedStratifiedKFold, train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, Normalizer
from torch import nn

from skembed import EmbeddingTable, ImageEmbedder
from skembed.apply.image_models import default_weights, load_model

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "image"
SQUEEZENET = DATA / "squeezenet1_1_torchvision_fp16.npz"
SOURCES = {"SqueezeNet 1.1": SQUEEZENET, "EfficientNet-Lite0": None}
POWERS, PENALTIES = (1.0, 0.5, 0.25), (1, 10, 100, 1000)
DIVISIONS = 20
# where a kind of ImageNet's classes begins: they are in the order of WordNet
KINDS = [(0, "animal"), (7, "bird"), (25, "animal"), (80, "bird"), (101, "animal"), (127, "bird"), (147, "animal"),
         (151, "dog"), (269, "animal"), (398, "thing"), (924, "food"), (970, "thing")]  # fmt: skip


class Fire(nn.Module):
    def __init__(self, channels: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, expanded, 1)
        self.expand3x3 = nn.Conv2d(squeezed, expanded, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.squeeze(x).relu()
        return torch.cat([self.expand1x1(x).relu(), self.expand3x3(x).relu()], dim=1)


def squeezenet(weights: dict[str, np.ndarray]) -> nn.Module:
    """SqueezeNet 1.1 as torchvision has it, up to the features."""
    sizes = [(64, 16, 64), (128, 16, 64), None, (128, 32, 128), (256, 32, 128), None]
    sizes += [(256, 48, 192), (384, 48, 192), (384, 64, 256), (512, 64, 256)]
    layers = [nn.Conv2d(3, 64, 3, 2), nn.ReLU(), nn.MaxPool2d(3, 2, ceil_mode=True)]
    layers += [Fire(*size) if size else nn.MaxPool2d(3, 2, ceil_mode=True) for size in sizes]
    net = nn.Sequential(*layers).eval()
    named = {name.removeprefix("features."): torch.from_numpy(value) for name, value in weights.items()}
    net.load_state_dict({name: value for name, value in named.items() if not name.startswith("classifier")})
    return net


def onnx_squeezenet(weights: dict[str, np.ndarray], path: Path) -> None:
    """Write the same network as an ONNX model with any number of images."""
    import onnx
    from onnx import helper, numpy_helper

    nodes, current = [], "image"

    def conv(name: str, given: str, **options: list[int]) -> str:
        nodes.append(helper.make_node("Conv", [given, f"{name}.weight", f"{name}.bias"], [f"{name}.out"], **options))
        nodes.append(helper.make_node("Relu", [f"{name}.out"], [f"{name}.relu"]))
        return f"{name}.relu"

    for place in range(13):
        name = f"features.{place}"
        if place == 0:
            current = conv(name, current, strides=[2, 2])
        elif place in (2, 5, 8):
            options = {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1}
            nodes.append(helper.make_node("MaxPool", [current], [name], **options))
            current = name
        elif place > 2:
            squeezed = conv(f"{name}.squeeze", current)
            parts = [conv(f"{name}.expand1x1", squeezed), conv(f"{name}.expand3x3", squeezed, pads=[1, 1, 1, 1])]
            nodes.append(helper.make_node("Concat", parts, [name], axis=1))
            current = name
    nodes.append(helper.make_node("GlobalAveragePool", [current], ["pooled"]))
    nodes.append(helper.make_node("Flatten", ["pooled"], ["features"]))
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes, "squeezenet", [value("image", 1, ["n", 3, 224, 224])], [value("features", 1, ["n", 512])],
        [numpy_helper.from_array(array, name) for name, array in weights.items() if "classifier" not in name],
    )  # fmt: skip
    onnx.save(helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 13)]), path)


def in_turns(runs: dict[str, Callable[[], np.ndarray]], n_images: int, repeats: int) -> dict[str, np.ndarray]:
    """Print milliseconds of processor time an image, median and least of runs in turns; return what they gave."""
    given = {name: run() for name, run in runs.items()}
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            started = time.process_time()
            run()
            seconds[name].append(time.process_time() - started)
    for name, times in seconds.items():
        median, least = (1e3 * figure / n_images for figure in (statistics.median(times), min(times)))
        print(f"  {name:34} {median:6.1f} ms an image (least {least:.1f})")
    return given


def speed(n_images: int, repeats: int) -> None:
    torch.set_num_threads(1)
    with np.load(SQUEEZENET) as file:
        weights = {name: file[name].astype(np.float32) for name in file}
    pixels = np.random.default_rng(0).normal(size=(n_images, 224, 224, 3)).astype(np.float32)
    stacked = torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)))
    model, default = load_model(SQUEEZENET).model, load_model(default_weights()).model
    net = squeezenet(weights)

    def loop() -> np.ndarray:
        with torch.inference_mode():
            return np.concatenate([net(batch).mean(dim=(2, 3)).numpy() for batch in stacked.split(32)])

    runs: dict[str, Callable[[], np.ndarray]] = {
        "skembed, SqueezeNet 1.1, pool": lambda: np.stack([model.run(image, "pool") for image in pixels]),
        "skembed, SqueezeNet 1.1, logits": lambda: np.stack([model.run(image, "logits") for image in pixels]),
        "torch loop, SqueezeNet 1.1, pool": loop,
    }
    if importlib.util.find_spec("onnx") and importlib.util.find_spec("onnxruntime"):
        import onnxruntime

        with tempfile.TemporaryDirectory() as folder:
            onnx_squeezenet(weights, Path(folder) / "a.onnx")
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = 1
            session = onnxruntime.InferenceSession(Path(folder) / "a.onnx", options)
        feed = {"image": stacked.numpy()}
        runs["onnxruntime, SqueezeNet 1.1, pool"] = lambda: session.run(None, feed)[0]
    runs["skembed, EfficientNet-Lite0, pool"] = lambda: np.stack([default.run(image, "pool") for image in pixels])
    product = torch.ones(1024, 1024)
    given = in_turns(runs, n_images, repeats)
    started = time.process_time()
    for _ in range(10):
        product @ product
    print(f"  meanwhile a product of matrices ran at {20 * 1.024**3 / (time.process_time() - started):.0f} GFLOP/s")
    for name in given:
        if "pool" in name and "Squeeze" in name:
            off = np.abs(given[name] - given["torch loop, SqueezeNet 1.1, pool"]).max()
            print(f"  {name}: off the torch loop by at most {off:.1e}, of values up to {np.abs(given[name]).max():.0f}")


def pictures(name: str) -> dict[str, bytes]:
    with tarfile.open(DATA / name) as archive:
        members = sorted((member for member in archive if member.isfile()), key=lambda member: member.name)
        return {member.name: archive.extractfile(member).read() for member in members}  # type: ignore[union-attr]


def root(rows: np.ndarray, power: float) -> np.ndarray:
    return rows**power


def classifier(n_repeats: int) -> GridSearchCV:
    """Logistic regression, whose penalty and the power before it are chosen by folds of what it is given."""
    steps = [
        ("power", FunctionTransformer(root)),
        ("length", Normalizer()),
        ("model", LogisticRegression(max_iter=5_000)),
    ]
    grid = {"power__kw_args": [{"power": power} for power in POWERS], "model__C": PENALTIES}
    folds = RepeatedStratifiedKFold(n_splits=10, n_repeats=n_repeats, random_state=0)
    return GridSearchCV(Pipeline(steps), grid, scoring="neg_log_loss", cv=folds)


def ants_and_bees() -> None:
    found = pictures("hymenoptera_256.tar.gz")
    names = [name for name in found if "/train/" in name or "/val/" in name]
    is_train = np.array(["/train/" in name for name in names])
    y = np.array([name.split("/")[-2] for name in names])
    for name, source in SOURCES.items():
        X = ImageEmbedder(source).fit_transform([found[path] for path in names])
        search = classifier(n_repeats=2).fit(X[is_train], y[is_train])
        right = search.predict(X[~is_train]) == y[~is_train]
        chosen = search.best_params_["power__kw_args"]["power"], search.best_params_["model__C"]
        print(f"  {name}: {right.mean():.3f} ({right.sum()} of {len(right)}); power {chosen[0]:g}, C {chosen[1]:g}")
        others = []
        for seed in range(DIVISIONS):
            A, B, a, b = train_test_split(X, y, test_size=len(right), stratify=y, random_state=seed)
            others.append((classifier(n_repeats=1).fit(A, a).predict(B) == b).mean())
        error = np.std(others) / np.sqrt(DIVISIONS)
        print(
            f"    mean of {DIVISIONS} random divisions of the same sizes: {np.mean(others):.3f}, error {error:.3f}",
            flush=True,
        )


def imagenet() -> None:
    with gzip.open(DATA / "synset_words.txt.gz", "rt") as lines:
        number = {line.split()[0]: row for row, line in enumerate(lines)}
    found = pictures("imagenet_sample_206_256.tar.gz")
    truth = np.array([number[Path(name).name.split("_")[0]] for name in found])
    starts, labels = zip(*KINDS)
    kinds = np.array(labels)[np.searchsorted(starts, truth, side="right") - 1]
    print(f"  chance of the same kind: {np.mean([(kinds == kind).mean() for kind in kinds]):.3f}")
    for name, source in SOURCES.items():
        order = np.argsort(-ImageEmbedder(source, layer="logits").fit_transform(list(found.values())), axis=1)
        top1, top5 = ((order[:, :k] == truth[:, None]).any(axis=1).mean() for k in (1, 5))
        table = EmbeddingTable(range(len(truth)), ImageEmbedder(source).fit_transform(list(found.values())))
        nearest = [table.nearest(row, k=1)[0][0] for row in range(len(truth))]
        same = (kinds[nearest] == kinds).mean()
        print(f"  {name}: top-1 {top1:.3f}, top-5 {top5:.3f}; nearest of the same kind {same:.3f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", FutureWarning)
    print(describe("torch", "pillow", "onnxruntime", "scikit-learn"))
    print(f"processor time of one thread, {arguments.images} images of 224 x 224:")
    speed(arguments.images, arguments.repeats)
    print("ants and bees, 243 training and 153 validation pictures:")
    ants_and_bees()
    print("205 pictures of ImageNet, a class each:")
    imagenet()
