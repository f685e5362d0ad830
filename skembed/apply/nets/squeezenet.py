"""SqueezeNet 1.0 and 1.1 on torch, by the names that torchvision gives their weights: one image -> pooled or logits.

Iandola et al. 2016, "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and <0.5MB model size"
(arXiv:1602.07360). Pools are of torchvision's kind: windows of three at steps of two, the last one may reach beyond.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F

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
        self._weights = {
            name: value.contiguous(memory_format=torch.channels_last) if value.ndim == 4 else value
            for name, value in weights.items()
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
        """
        x = self._convolved(x, "features.0", stride=2)
        for place in range(2, 13):
            if place in self._layout.pools:
                x = F.max_pool2d(x, 3, 2, ceil_mode=True)
            if place == 2:
                x = x.relu_()  # behind the pool, which gives the same of a quarter of the values
            if place in self._layout.fires:
                x = self._fire(x, f"features.{place}")
        if layer == "logits":
            x = self._convolved(x, "classifier.1").relu_()
        return x.mean(dim=(2, 3))

    def _fire(self, x: torch.Tensor, name: str) -> torch.Tensor:
        x = self._convolved(x, f"{name}.squeeze").relu_()
        small = self._convolved(x, f"{name}.expand1x1")
        large = self._convolved(x, f"{name}.expand3x3", padding=1)
        return torch.cat([small, large], dim=1).relu_()

    def _convolved(self, x: torch.Tensor, name: str, *, stride: int = 1, padding: int = 0) -> torch.Tensor:
        return F.conv2d(x, self._weights[f"{name}.weight"], self._weights[f"{name}.bias"], stride, padding)
