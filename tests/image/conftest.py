"""Pictures, and a SqueezeNet and an EfficientNet-Lite0 of random weights, small inputs of which keep tests short."""

import socket

import numpy as np
import pytest
from random_weights import random_weights

pytest.importorskip("PIL.Image", reason="Pillow is not installed")


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    """Nothing of this folder may speak to a network."""

    def refuse(*args, **kwargs):
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)


@pytest.fixture
def pictures():
    """Five small pictures of different sizes, as arrays."""
    rng = np.random.default_rng(1)
    return [rng.integers(256, size=(40 + 5 * row, 61 - 4 * row, 3), dtype=np.uint8) for row in range(5)]


@pytest.fixture(scope="session")
def squeezenet(tmp_path_factory):
    """A file of SqueezeNet 1.1 with five classes."""
    pytest.importorskip("torch")
    from safetensors.numpy import save_file

    from skembed.apply.nets.squeezenet import SqueezeNet

    path = tmp_path_factory.mktemp("weights") / "squeezenet1_1.safetensors"
    save_file(random_weights(SqueezeNet.shapes("squeezenet1_1")), path)
    return path


@pytest.fixture
def embedder(squeezenet):
    """An embedder of small pictures by that net, not fitted."""
    from skembed import ImageEmbedder

    return ImageEmbedder(squeezenet, resize=40, crop=33)
