"""SqueezeNet 1.0 and 1.1 by the names that torchvision gives their weights: one image -> pooled or logits.

Iandola et al. 2016, "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and <0.5MB model size"
(arXiv:1602.07360). Pools are of torchvision's kind: windows of three at steps of two, the last one may reach beyond.

All of its kernels are small, and torch spends nearly as much on what is between convolutions as on them. Those of
`skembed.kernels.convolution` write both halves of a fire module's map in place, bias and ReLU included.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from skembed.kernels.convolution import AT_ONCE, convolve, max_pool
from skembed.kernels.simd import SIMD_WIDTH, aligned_zeros

__all__ = ["SQUEEZENETS", "SqueezeNet"]

Shape = tuple[int | None, ...]  # None is the number of classes


@dataclass(frozen=True)
class Layout:
    """Where the layers of a version stand in torchvision's ``features``.

    Attributes
    ----------
    stem : tuple of int
        Channels and kernel of the first convolution.
    pools : tuple of int
        Places of max pools.
    fires : dict of int to tuple of int
        Place of each fire module: channels in, squeezed, and out of each of both expansions.
    """

    stem: tuple[int, int]
    pools: tuple[int, ...]
    fires: dict[int, tuple[int, int, int]]


_SIZES = [(16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256)]


def _fires(places: tuple[int, ...], channels: int) -> dict[int, tuple[int, int, int]]:
    fires = {}
    for place, (squeezed, expanded) in zip(places, _SIZES):
        fires[place] = channels, squeezed, expanded
        channels = 2 * expanded
    return fires


SQUEEZENETS = {
    "squeezenet1_0": Layout((96, 7), (2, 6, 11), _fires((3, 4, 5, 7, 8, 9, 10, 12), 96)),
    "squeezenet1_1": Layout((64, 3), (2, 5, 8), _fires((3, 4, 6, 7, 9, 10, 11, 12), 64)),
}


class _Kernel(NamedTuple):
    """A convolution: weights as `convolve` takes them, channels out, and rows and numbers of a row of what it sees."""

    weights: np.ndarray
    bias: np.ndarray
    n_rows: int
    length: int

    @classmethod
    def of(cls, weights: np.ndarray, bias: np.ndarray) -> "_Kernel":
        n, channels, height, width = weights.shape
        blocks = -(-n // SIMD_WIDTH)
        packed = aligned_zeros(blocks, height * width * channels, SIMD_WIDTH)
        rows = weights.transpose(2, 3, 1, 0).reshape(-1, n)
        for block in range(blocks):
            part = rows[:, block * SIMD_WIDTH : (block + 1) * SIMD_WIDTH]
            packed[block, :, : part.shape[1]] = part
        return cls(packed, np.pad(bias, (0, blocks * SIMD_WIDTH - n)), height, width * channels)


class _Map(NamedTuple):
    """Channels of places: a row has `width` of them and `beside` ones, which hold whatever there is."""

    values: np.ndarray  # (height * (width + beside) + a few, channels)
    height: int
    width: int
    beside: int

    @classmethod
    def empty(cls, height: int, width: int, channels: int, beside: int = 2) -> "_Map":
        return cls(np.empty((height * (width + beside) + AT_ONCE, channels), np.float32), height, width, beside)

    @property
    def row(self) -> int:
        return self.width + self.beside

    @property
    def places(self) -> np.ndarray:
        """All places and those beside, (height, width + beside, channels)."""
        return self.values[: self.height * self.row].reshape(self.height, self.row, -1)

    def mean(self) -> np.ndarray:
        return self.places[:, : self.width].mean(axis=(0, 1))


class SqueezeNet:
    """A SqueezeNet of given weights.

    Parameters
    ----------
    version : {"squeezenet1_0", "squeezenet1_1"}
    weights : mapping of str to Tensor
        By torchvision's names, checked.
    """

    embedding_dim = 512

    def __init__(self, version: str, weights: Mapping[str, torch.Tensor]) -> None:
        self._layout = SQUEEZENETS[version]
        names = [name.removesuffix(".weight") for name in weights if name.endswith(".weight")]
        self._kernels = {
            name: _Kernel.of(weights[f"{name}.weight"].numpy(), weights[f"{name}.bias"].numpy()) for name in names
        }
        self.n_classes = len(weights["classifier.1.bias"])

    @staticmethod
    def shapes(version: str) -> dict[str, Shape]:
        """Return the shape of each weight, by name; None stands for the number of classes."""
        layout = SQUEEZENETS[version]
        channels, kernel = layout.stem
        kernels: dict[str, Shape] = {"features.0": (channels, 3, kernel, kernel)}
        for place, (before, squeezed, expanded) in layout.fires.items():
            kernels[f"features.{place}.squeeze"] = (squeezed, before, 1, 1)
            kernels[f"features.{place}.expand1x1"] = (expanded, squeezed, 1, 1)
            kernels[f"features.{place}.expand3x3"] = (expanded, squeezed, 3, 3)
        kernels["classifier.1"] = (None, SqueezeNet.embedding_dim, 1, 1)
        return {
            f"{name}.{part}": shape if part == "weight" else shape[:1]
            for name, shape in kernels.items()
            for part in ("weight", "bias")
        }

    def __call__(self, x: torch.Tensor, layer: str) -> torch.Tensor:
        """Return the rows of images.

        Parameters
        ----------
        x : Tensor of shape (n, 3, height, width), float32
            Fastest where the memory is of channels last.
        layer : {"pool", "logits"}

        Returns
        -------
        Tensor of shape (n, 512) or (n, n_classes)

        Raises
        ------
        RuntimeError
            If nothing is left of an image behind its pools.
        """
        return torch.from_numpy(np.stack([self._row(image, layer) for image in x.permute(0, 2, 3, 1).numpy()]))

    def _row(self, pixels: np.ndarray, layer: str) -> np.ndarray:
        seen = self._stem(pixels)
        for place in range(2, 13):
            if place in self._layout.pools:
                seen = _pooled(seen)
            if place in self._layout.fires:
                seen = self._fire(seen, f"features.{place}")
        if layer == "logits":
            kernel = self._kernels["classifier.1"]
            classes = _Map.empty(seen.height, seen.width, len(kernel.bias))
            _write(kernel, seen, np.zeros(1, np.int64), classes.values, 0)
            return classes.mean()[: self.n_classes]
        return seen.mean()

    def _stem(self, pixels: np.ndarray) -> _Map:
        """Convolve at steps of two pixels."""
        kernel = self._kernels["features.0"]
        height, width, channels = pixels.shape
        if min(height, width) < kernel.n_rows:
            raise RuntimeError(f"its first kernel sees {kernel.n_rows} x {kernel.n_rows} pixels")
        row, beyond = width * channels, 2 * AT_ONCE * channels + kernel.length
        image = np.empty(height * row + beyond, np.float32)
        image[: height * row] = pixels.ravel()
        image[height * row :] = 0
        runs, n = np.arange(kernel.n_rows) * row, len(kernel.bias)
        out = _Map.empty((height - kernel.n_rows) // 2 + 1, (width - kernel.n_rows) // 2 + 1, n, beside=0)
        outputs = 0, out.row * n, n
        convolve(image, runs, kernel.length, kernel.weights, kernel.bias, out.values, (out.height, out.width),
                 (2 * row, 2 * channels), outputs)  # fmt: skip
        return out

    def _fire(self, seen: _Map, name: str) -> _Map:
        """Squeeze, and expand by kernels of one place and of three by three, which see zeros around the map."""
        squeeze, small, large = (self._kernels[f"{name}.{part}"] for part in ("squeeze", "expand1x1", "expand3x3"))
        row, channels = seen.row, len(squeeze.bias)
        squeezed = np.zeros(((seen.height + 2) * row + 2 * AT_ONCE, channels), np.float32)
        _write(squeeze, seen, np.zeros(1, np.int64), squeezed[row + 1 :], 0)
        around = squeezed[: (seen.height + 2) * row].reshape(seen.height + 2, row, channels)
        around[:, 0] = around[:, -1] = around[-1] = 0
        out = _Map.empty(seen.height, seen.width, len(small.bias) + len(large.bias))
        padded = seen._replace(values=squeezed)
        _write(small, padded, np.array([(row + 1) * channels]), out.values, 0)
        _write(large, padded, np.arange(3) * row * channels, out.values, len(small.bias))
        return out


def _write(kernel: _Kernel, seen: _Map, runs: np.ndarray, out: np.ndarray, first: int) -> None:
    """Convolve all places, and those beside, into the channels of `out` that begin with `first`."""
    step, wide = seen.values.shape[1], out.shape[1]
    rows = 1, seen.height * seen.row
    convolve(seen.values, runs, kernel.length, kernel.weights, kernel.bias, out, rows, (0, step), (first, 0, wide))


def _pooled(seen: _Map) -> _Map:
    sides = [-(-(side - 3) // 2) + 1 for side in (seen.height, seen.width)]
    if min(sides) < 1:
        raise RuntimeError(f"its maps have become {seen.height} x {seen.width} places before a pool of 3 x 3")
    channels = seen.values.shape[1]
    out = _Map.empty(sides[0], sides[1], channels)
    out.places[:, out.width :] = out.values[out.height * out.row :] = 0
    max_pool(seen.values, (seen.height, seen.width, seen.row * channels, channels), out.values,
             (out.height, out.width, out.row * channels))  # fmt: skip
    return out
