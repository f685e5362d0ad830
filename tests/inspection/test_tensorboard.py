"""The projector's files, read back as TensorBoard reads them."""

import io
import re

import numpy as np
import pytest

from skembed import EmbeddingTable
from skembed.inspection import EmbeddingDisplay
from skembed.inspection._palette import Field

NASTY = ["tab\there", "line\nend", "back\\slash", "\r", "", "  ", None, "é\ud800", "<b>", 7]


def display(keys=NASTY, dim=5, **kwargs):
    vectors = np.random.default_rng(0).normal(size=(len(keys), dim)).astype(np.float32) * 1e-3
    return EmbeddingDisplay.from_table(EmbeddingTable(keys, vectors), random_state=0, **kwargs)


def read_lines(path):
    """Return the lines that the projector takes: those that are not blank."""
    return [line for line in path.read_bytes().decode("utf-8").split("\n") if line.strip()]


def read_metadata(path):
    """A first line with a tab names the columns; else there is one column without a name."""
    rows = [line.split("\t") for line in read_lines(path)]
    return (rows[0], rows[1:]) if len(rows[0]) > 1 else (["label"], rows)


def read_config(path):
    return dict(re.findall(r"^\s*(\w+): (.*)$", path.read_text("ascii"), re.MULTILINE))


def test_every_vector_and_every_key_has_its_line(tmp_path):
    shown = display()
    shown.to_tensorboard(tmp_path / "logs" / "run")
    folder = tmp_path / "logs" / "run"
    vectors = np.array(
        [[float(x) for x in line.split("\t")] for line in read_lines(folder / "tensors.tsv")], np.float32
    )
    np.testing.assert_array_equal(vectors, shown.table.vectors)
    names, rows = read_metadata(folder / "metadata.tsv")
    assert names == ["label"]
    assert [row[0] for row in rows] == [
        "tab\\there", "line\\nend", "back\\\\slash", "\\r", "''", "'  '", "missing", "é\\ud800", "<b>", "7",
    ]  # fmt: skip
    config = read_config(folder / "projector_config.pbtxt")
    assert config["tensor_path"] == '"tensors.tsv"'
    assert config["metadata_path"] == '"metadata.tsv"'
    assert re.findall(r"tensor_shape: (\d+)", (folder / "projector_config.pbtxt").read_text()) == ["10", "5"]
    assert sorted(p.name for p in folder.iterdir()) == ["metadata.tsv", "projector_config.pbtxt", "tensors.tsv"]


def test_fields_are_columns_with_names(tmp_path):
    fields = {"kind\tof": ["a", "b\n"] * 5, "weight": [0.5, np.nan, *range(8)]}
    display(fields=fields).to_tensorboard(tmp_path)
    names, rows = read_metadata(tmp_path / "metadata.tsv")
    assert names == ["key", "kind\\tof", "weight"]
    assert len(rows) == 10
    assert [row[1] for row in rows[:2]] == ["a", "b\\n"]
    assert [row[2] for row in rows[:3]] == ["0.5", "", "0.0"]


def test_bytes_are_float32_of_the_shape_that_the_configuration_names(tmp_path):
    shown = display()
    shown.to_tensorboard(tmp_path, tensors="bytes", name='a "name"\n')
    read = np.frombuffer((tmp_path / "tensors.bytes").read_bytes(), dtype="<f4").reshape(10, 5)
    np.testing.assert_array_equal(read, shown.table.vectors)
    config = read_config(tmp_path / "projector_config.pbtxt")
    assert config["tensor_path"] == '"tensors.bytes"'
    assert config["tensor_name"] == r'"a \042name\042\012"'


def test_the_sprite_holds_the_images_row_by_row(tmp_path):
    image = pytest.importorskip("PIL.Image", reason="Pillow reads the sprite back")
    images = np.random.default_rng(0).integers(0, 256, (10, 3, 2, 4), dtype=np.uint8)
    display().to_tensorboard(tmp_path, images=images)
    sprite = np.asarray(image.open(io.BytesIO((tmp_path / "sprite.png").read_bytes())))
    assert sprite.shape == (4 * 3, 4 * 2, 4)  # ten images: four by four places
    for i in range(10):
        row, column = divmod(i, 4)
        np.testing.assert_array_equal(sprite[3 * row : 3 * row + 3, 2 * column : 2 * column + 2], images[i])
    assert "single_image_dim: 2 single_image_dim: 3" in (tmp_path / "projector_config.pbtxt").read_text()
    display().to_tensorboard(tmp_path, images=np.linspace(0, 1, 10 * 6).reshape(10, 3, 2))
    assert np.asarray(image.open(tmp_path / "sprite.png")).max() == 255


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"tensors": "csv"}, "tensors must be 'tsv' or 'bytes', got 'csv'"),
        ({"images": np.zeros((9, 2, 2))}, r"images must have shape \(10, height, width\).*got \(9, 2, 2, 3\)"),
        ({"images": np.zeros((10, 4))}, "images must have shape"),
        ({"images": np.full((10, 2, 2), 7.0)}, "uint8, or floats between 0 and 1, got float64"),
        ({"images": np.zeros((10, 3000, 2), dtype=np.uint8)}, "12000 x 8, and TensorBoard opens 8192 x 8192"),
    ],
)
def test_what_cannot_be_written_is_refused_before_anything_is(tmp_path, kwargs, message):
    with pytest.raises(ValueError, match=message):
        display().to_tensorboard(tmp_path / "new", **kwargs)
    assert not (tmp_path / "new").exists()


def test_one_component_is_refused(tmp_path):
    with pytest.raises(ValueError, match="two components or more, these have 1"):
        display(dim=1).to_tensorboard(tmp_path)


def test_files_in_full(tmp_path):
    table = EmbeddingTable(["a\tb", None, 7], np.array([[0.5, 1.0], [0.1, -2.0], [1e-8, 3.0]], np.float32))
    fields = {"kind": Field("kind", codes=np.array([1, -1, 0]), categories=["x\n", " "]),
              "w": Field("w", numbers=np.array([0.25, np.nan, 3.0]))}  # fmt: skip
    EmbeddingDisplay(table, np.zeros((3, 2)), fields=fields).to_tensorboard(tmp_path, name='n"é')
    assert (tmp_path / "tensors.tsv").read_text() == "0.5\t1.0\n0.1\t-2.0\n1e-08\t3.0\n"
    assert (tmp_path / "metadata.tsv").read_text() == "key\tkind\tw\na\\tb\t' '\t0.25\nmissing\t\t\n7\tx\\n\t3.0\n"
    assert (tmp_path / "projector_config.pbtxt").read_text() == (
        'embeddings {\n  tensor_name: "n\\042\\303\\251"\n  tensor_shape: 3\n  tensor_shape: 2\n'
        '  tensor_path: "tensors.tsv"\n  metadata_path: "metadata.tsv"\n}\n'
    )
    images = np.zeros((3, 2, 4, 4))
    images[0], images[1, 0, 1], images[2] = 1.0, 0.5, 0.2
    EmbeddingDisplay(table, np.zeros((3, 2))).to_tensorboard(tmp_path, images=images, tensors="bytes")
    assert (tmp_path / "metadata.tsv").read_text() == "a\\tb\nmissing\n7\n"
    np.testing.assert_array_equal(np.fromfile(tmp_path / "tensors.bytes", "<f4").reshape(3, 2), table.vectors)
    config = (tmp_path / "projector_config.pbtxt").read_text()
    assert '  tensor_name: "embedding"\n' in config
    assert '  tensor_path: "tensors.bytes"\n' in config
    sprite = '  sprite { image_path: "sprite.png" single_image_dim: 4 single_image_dim: 2 }\n'
    assert config.endswith('  metadata_path: "metadata.tsv"\n' + sprite + "}\n")
    Image = pytest.importorskip("PIL.Image", reason="Pillow reads the sprite")
    pixels = np.asarray(Image.open(tmp_path / "sprite.png"))
    assert pixels.shape == (4, 8, 4)
    assert (pixels[:2, :4] == 255).all()
    assert pixels[0, 5].tolist() == [128] * 4
    assert (pixels[2:, :4] == 51).all()
    assert not pixels[2:, 4:].any()
    assert pixels.sum() == 2 * 4 * 4 * (255 + 51) + 4 * 128


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((2, 2, 4)), "images must have shape (3, height, width), or with 3 or 4 channels at the end, got "
         "(2, 2, 4, 3)."),
        (np.zeros((3, 2, 4, 2)), "images must have shape (3, height, width), or with 3 or 4 channels at the end, got "
         "(3, 2, 4, 2)."),
        (np.zeros((3, 0, 4)), "images must have shape (3, height, width), or with 3 or 4 channels at the end, got "
         "(3, 0, 4, 3)."),
        (np.zeros((3, 4)), "images must have shape (3, height, width), or with 3 or 4 channels at the end, got "
         "(3, 4)."),
        (np.full((3, 2, 4), 1.5), "images must be uint8, or floats between 0 and 1, got float64."),
        (np.full((3, 2, 4), -0.1), "images must be uint8, or floats between 0 and 1, got float64."),
        (np.zeros((3, 2, 4), int), "images must be uint8, or floats between 0 and 1, got int64."),
        (np.zeros((3, 4097, 1), np.uint8),
         "images: 3 of 4097 x 1 pixels need a sprite of 8194 x 2, and TensorBoard opens 8192 x 8192 at most; pass "
         "smaller images, or fewer points."),
    ],
)  # fmt: skip
def test_what_are_no_images(images, message, tmp_path):
    shown = EmbeddingDisplay(EmbeddingTable(["a", "b", "c"], np.eye(3)), np.zeros((3, 2)))
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        shown.to_tensorboard(tmp_path / "logs", images=images)
    assert not (tmp_path / "logs").exists()
    shown.to_tensorboard(tmp_path / "logs", images=np.zeros((3, 4096, 1), np.uint8))


def test_forms_of_tensors(tmp_path):
    shown = EmbeddingDisplay(EmbeddingTable(["a"], [[1.0]]), np.zeros((1, 2)))
    with pytest.raises(ValueError, match=r"^TensorBoard reads vectors of two components or more, these have 1\.$"):
        shown.to_tensorboard(tmp_path)
    with pytest.raises(ValueError, match=r"^tensors must be 'tsv' or 'bytes', got 'npy'\.$"):
        shown.to_tensorboard(tmp_path, tensors="npy")
