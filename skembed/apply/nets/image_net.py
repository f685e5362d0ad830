"""Image nets from files of weights: which architecture it is is told by names and shapes, and all are checked.

Files of torch (.pth, .pt) are read as weights only, which runs no code of theirs; beside them safetensors and npz.
"""

import os
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from safetensors import SafetensorError, safe_open

from skembed.apply.nets.efficientnet_lite import EfficientNetLite0
from skembed.apply.nets.squeezenet import SQUEEZENETS, SqueezeNet
from skembed.apply.nets.threads import on_one_thread, on_one_thread_in_forks
from skembed.data.images import UnreadableImage

__all__ = ["ImageNet"]

Shape = tuple[int | None, ...]


class _Net(Protocol):
    embedding_dim: int
    n_classes: int

    def __call__(self, x: torch.Tensor, layer: str) -> torch.Tensor: ...


class _Architecture(NamedTuple):
    shapes: dict[str, Shape]
    make: Callable[[dict[str, torch.Tensor]], _Net]


def _architectures() -> dict[str, _Architecture]:
    known = {v: _Architecture(SqueezeNet.shapes(v), partial(SqueezeNet, v)) for v in SQUEEZENETS}
    return known | {"efficientnet-lite0": _Architecture(EfficientNetLite0.shapes(), EfficientNetLite0)}


class ImageNet:
    """A net on the processor, read from a file of weights.

    Parameters
    ----------
    path : str or os.PathLike

    Attributes
    ----------
    architecture : {"squeezenet1_0", "squeezenet1_1", "efficientnet-lite0"}
    n_beside : int
        How many images are to be run beside each other, in threads: as many as torch has, for each is on one.

    Raises
    ------
    ValueError
        If the file is none of weights, or they are of no known architecture, lack one or have another shape; the
        message names file, weight, what was found and expected.
    """

    @on_one_thread_in_forks
    def __init__(self, path: str | os.PathLike) -> None:
        with _opened(Path(path)) as file:
            self.architecture, chosen = _recognised(path, file.shapes)
            weights = {name: file.read(name).to(torch.float32) for name in chosen.shapes}
        for name, value in weights.items():
            if not torch.isfinite(value).all():
                raise ValueError(f"{os.fspath(path)}: the weight {name!r} holds NaN or infinity, expected numbers.")
        self._net = chosen.make(weights)

    @property
    def n_beside(self) -> int:
        return torch.get_num_threads()

    def width(self, layer: str) -> int:
        """Return how many columns a layer has, "pool" or "logits"."""
        return self._net.n_classes if layer == "logits" else self._net.embedding_dim

    @on_one_thread_in_forks
    @on_one_thread
    def run(self, pixels: np.ndarray, layer: str) -> np.ndarray:
        """Return the row of one image: by itself and on one thread, so that what is beside it changes no bit.

        Parameters
        ----------
        pixels : ndarray of shape (height, width, 3), float32
        layer : {"pool", "logits"}

        Returns
        -------
        ndarray of shape (width,), float32

        Raises
        ------
        UnreadableImage
            If the image is too small for the net.
        """
        with torch.inference_mode():
            x = torch.from_numpy(pixels).permute(2, 0, 1)[None]
            try:
                return self._net(x, layer)[0].numpy()
            except RuntimeError as error:
                raise UnreadableImage(
                    f"{self.architecture} cannot run on an image of {pixels.shape[0]} x {pixels.shape[1]} pixels: "
                    f"{_first_line(error)}"
                ) from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


# --------------------------------------------------------------------------------------------------------- weights


class _Weights(NamedTuple):
    """Shapes of all weights of a file, and a function that reads one."""

    shapes: dict[str, tuple[int, ...]]
    read: Callable[[str], torch.Tensor]


@contextmanager
def _opened(path: Path) -> Iterator[_Weights]:
    readers: dict[str, Callable[[Path], Any]] = {".safetensors": _safetensors, ".npz": _npz}
    reader = readers.get(path.suffix.lower(), _of_torch)
    with reader(path) as weights:
        yield weights


@contextmanager
def _safetensors(path: Path) -> Iterator[_Weights]:
    try:
        with safe_open(path, framework="pt") as file:
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
            yield _Weights(shapes, file.get_tensor)
    except SafetensorError as error:
        raise ValueError(f"{path} is no file of safetensors: {error}.") from error


@contextmanager
def _npz(path: Path) -> Iterator[_Weights]:
    """Read shapes alone at first, so that a file that expands to more than a net's weights is not expanded."""
    try:
        with zipfile.ZipFile(path) as archive:
            shapes = {}
            for member in archive.namelist():
                with archive.open(member) as file:
                    shape = _npy_shape(file)
                if shape is not None:
                    shapes[member.removesuffix(".npy")] = shape
        with np.load(path, allow_pickle=False) as arrays:
            yield _Weights(shapes, lambda name: _tensor(path, name, arrays[name]))
    except (zipfile.BadZipFile, EOFError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise ValueError(f"{path} is no file of arrays, as numpy.savez writes them: {error}") from error


def _npy_shape(file: Any) -> tuple[int, ...] | None:
    try:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(file)
    except ValueError:
        return None
    return None if dtype.hasobject else shape


def _tensor(path: Path, name: str, array: np.ndarray) -> torch.Tensor:
    if array.dtype.kind not in "fiu":
        raise ValueError(f"{path}: the weight {name!r} is of {array.dtype}, expected numbers.")
    return torch.from_numpy(array.astype(np.float32))


@contextmanager
def _of_torch(path: Path) -> Iterator[_Weights]:
    if tuple(map(int, torch.__version__.split(".")[:2])) < (2, 6):
        raise ValueError(
            f"{path} is a file of torch, which torch {torch.__version__} cannot read safely; install torch 2.6 or "
            "newer, or save the weights as safetensors."
        )
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # whatever the bytes lead its readers to
        raise ValueError(
            f"{path} holds no weights that torch reads without running code ({_first_line(error):.120}); "
            "expected a state_dict as .pth, .safetensors or .npz, or a model as .onnx."
        ) from error
    for name in ("state_dict", "model"):  # as checkpoints wrap it
        if isinstance(loaded, Mapping) and isinstance(loaded.get(name), Mapping):
            loaded = loaded[name]
    if not isinstance(loaded, Mapping):
        raise ValueError(f"{path} holds a {type(loaded).__name__}, expected a state_dict: names and tensors.")
    tensors = {str(name).removeprefix("module."): v for name, v in loaded.items() if isinstance(v, torch.Tensor)}
    yield _Weights({name: tuple(value.shape) for name, value in tensors.items()}, tensors.__getitem__)


def _recognised(path: Any, found: dict[str, tuple[int, ...]]) -> tuple[str, _Architecture]:
    """Return the architecture that shares most names with what was found, each shape compared."""
    place, known = os.fspath(path), _architectures()
    found = {name: shape for name, shape in found.items() if not name.endswith("num_batches_tracked")}
    shared = {architecture: len(found.keys() & one.shapes.keys()) for architecture, one in known.items()}
    best = max(shared, key=lambda one: (_fitting(found, known[one].shapes), shared[one]))
    expected = known[best].shapes
    if 2 * shared[best] < len(expected):
        raise ValueError(
            f"{place} holds weights of no known architecture ({', '.join(sorted(found)[:3]) or 'none'}, ...); expected "
            f"those of {', '.join(known)}. Export another model to .onnx."
        )
    for name, shape in expected.items():
        if name not in found:
            raise ValueError(f"{place}: the weight {name!r} of {best} is missing, expected one of {_shown(shape)}.")
        fits = len(found[name]) == len(shape) and all(want in (None, have) for have, want in zip(found[name], shape))
        if not fits or 0 in found[name]:
            raise ValueError(
                f"{place}: the weight {name!r} of {best} has the shape {found[name]}, expected {_shown(shape)}."
            )
    if others := sorted(found.keys() - expected.keys()):
        raise ValueError(f"{place}: {best} has no weight {others[0]!r}, one of {len(others)} that are not its own.")
    classes = {found[name][0] for name, shape in expected.items() if shape[0] is None}
    if len(classes) > 1:
        raise ValueError(f"{place}: weights of {best} are of {sorted(classes)} classes, expected one number of them.")
    return best, known[best]


def _fitting(found: dict[str, tuple[int, ...]], expected: dict[str, Shape]) -> int:
    return sum(name in found and found[name][1:] == shape[1:] for name, shape in expected.items())


def _shown(shape: Shape) -> str:
    return f"({', '.join('n_classes' if side is None else str(side) for side in shape)}{',' * (len(shape) == 1)})"
