"""EfficientNet-Lite0 on torch, by the names of efficientnet_pytorch's weights: one image -> pooled or logits.

Tan & Le 2019, "EfficientNet" (arXiv:1905.11946), in the variant without squeeze-and-excitation and with ReLU6 of which
TensorFlow published the weights. Convolutions are padded as TensorFlow does ("SAME"): what is odd goes to the end.
Batch normalization is multiplied into the kernel before it.
"""

from collections.abc import Mapping
from typing import NamedTuple

import torch
import torch.nn.functional as F

__all__ = ["EfficientNetLite0"]

Shape = tuple[int | None, ...]  # None is the number of classes

_EPSILON = 1e-3  # of batch normalization, as TensorFlow trained it


class Block(NamedTuple):
    """An inverted bottleneck: channels in and out, how many times they are expanded, kernel and stride."""

    before: int
    after: int
    expansion: int
    kernel: int
    stride: int


def _blocks() -> list[Block]:
    blocks, before = [], 32
    # repeats, kernel, stride of the first, expansion, channels
    stages = [(1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112)]
    stages += [(4, 5, 2, 6, 192), (1, 3, 1, 6, 320)]
    for repeats, kernel, stride, expansion, after in stages:
        for repeat in range(repeats):
            blocks.append(Block(before, after, expansion, kernel, 1 if repeat else stride))
            before = after
    return blocks


class EfficientNetLite0:
    """An EfficientNet-Lite0 of given weights.

    Parameters
    ----------
    weights : mapping of str to Tensor
        By name, checked.
    """

    embedding_dim = 1280

    def __init__(self, weights: Mapping[str, torch.Tensor]) -> None:
        self._blocks = _blocks()
        self._kernels = {
            kernel: _folded(weights, kernel, norm) for kernel, norm, _ in _convolutions(self._blocks)
        }  # name -> kernel, bias
        self._head = weights["_fc.weight"], weights["_fc.bias"]
        self.n_classes = len(self._head[1])

    @staticmethod
    def shapes() -> dict[str, Shape]:
        """Return the shape of each weight, by name; None stands for the number of classes."""
        shapes: dict[str, Shape] = {}
        for kernel, norm, shape in _convolutions(_blocks()):
            shapes[f"{kernel}.weight"] = shape
            for part in ("weight", "bias", "running_mean", "running_var"):
                shapes[f"{norm}.{part}"] = shape[:1]
        return shapes | {"_fc.weight": (None, EfficientNetLite0.embedding_dim), "_fc.bias": (None,)}

    def __call__(self, x: torch.Tensor, layer: str) -> torch.Tensor:
        """Return the rows of images.

        Parameters
        ----------
        x : Tensor of shape (n, 3, height, width), float32
            Fastest where the memory is of channels last.
        layer : {"pool", "logits"}

        Returns
        -------
        Tensor of shape (n, 1280) or (n, n_classes)
        """
        x = self._convolved(_padded(x, 3, 2), "_conv_stem", stride=2)
        for place, block in enumerate(self._blocks):
            x = self._bottleneck(x, f"_blocks.{place}", block)
        x = self._convolved(x, "_conv_head").mean(dim=(2, 3))
        return F.linear(x, *self._head) if layer == "logits" else x

    def _bottleneck(self, x: torch.Tensor, name: str, block: Block) -> torch.Tensor:
        shortcut = x
        if block.expansion > 1:
            x = self._convolved(x, f"{name}._expand_conv")
        if block.stride > 1:
            x, padding = _padded(x, block.kernel, block.stride), 0
        else:
            padding = block.kernel // 2
        depthwise = {"stride": block.stride, "padding": padding, "groups": x.shape[1]}
        x = self._convolved(x, f"{name}._depthwise_conv", **depthwise)
        x = F.conv2d(x, *self._kernels[f"{name}._project_conv"])
        return x.add_(shortcut) if block.stride == 1 and block.before == block.after else x

    def _convolved(self, x: torch.Tensor, name: str, **options: int) -> torch.Tensor:
        kernel, bias = self._kernels[name]
        return F.conv2d(x, kernel, bias, **options).clamp_(0, 6)


def _convolutions(blocks: list[Block]) -> list[tuple[str, str, tuple[int, ...]]]:
    """Return the names of each kernel and of the normalization behind it, and the kernel's shape."""
    found: list[tuple[str, str, tuple[int, ...]]] = [("_conv_stem", "_bn0", (32, 3, 3, 3))]
    for place, block in enumerate(blocks):
        name, inner = f"_blocks.{place}", block.before * block.expansion
        if block.expansion > 1:
            found.append((f"{name}._expand_conv", f"{name}._bn0", (inner, block.before, 1, 1)))
        found.append((f"{name}._depthwise_conv", f"{name}._bn1", (inner, 1, block.kernel, block.kernel)))
        found.append((f"{name}._project_conv", f"{name}._bn2", (block.after, inner, 1, 1)))
    found.append(("_conv_head", "_bn1", (EfficientNetLite0.embedding_dim, blocks[-1].after, 1, 1)))
    return found


def _folded(weights: Mapping[str, torch.Tensor], kernel: str, norm: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Return kernel and bias of a convolution and the normalization behind it as one convolution."""
    mean, variance = weights[f"{norm}.running_mean"], weights[f"{norm}.running_var"]
    scale = weights[f"{norm}.weight"] / (variance + _EPSILON).sqrt()
    folded = weights[f"{kernel}.weight"] * scale[:, None, None, None]
    return folded.contiguous(memory_format=torch.channels_last), weights[f"{norm}.bias"] - mean * scale


def _padded(x: torch.Tensor, kernel: int, stride: int) -> torch.Tensor:
    """Pad as TensorFlow's "SAME": as many windows as strides begin within the image."""
    padding: list[int] = []
    for size in (x.shape[3], x.shape[2]):
        missing = max((-(-size // stride) - 1) * stride + kernel - size, 0)
        padding += [missing // 2, missing - missing // 2]
    return F.pad(x, padding)
