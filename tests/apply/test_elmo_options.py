"""Options of an ELMo: what they say, what they may leave out, and each entry that is none, by its name."""

import json
import re

import numpy as np
import pytest

from skembed.apply import elmo_directory
from skembed.apply.elmo_directory import ElmoOptions, read_elmo_directory

OPTIONS = {
    "lstm": {"projection_dim": 4, "dim": 6, "n_layers": 2, "cell_clip": 3, "proj_clip": 0.5,
             "use_skip_connections": True},
    "char_cnn": {"n_characters": 262, "activation": "relu", "embedding": {"dim": 3}, "filters": [[1, 3], [2, 5]],
                 "n_highway": 2, "max_characters_per_token": 9},
}  # fmt: skip


def options_of(tmp_path, **changes):
    """Read options with changes by dotted names, an entry left out where it is ``...``."""
    said = json.loads(json.dumps(OPTIONS))
    for name, value in changes.items():
        *groups, entry = name.split("__")
        place = said
        for group in groups:
            place = place[group]
        if value is ...:
            del place[entry]
        else:
            place[entry] = value
    (tmp_path / "options.json").write_text(json.dumps(said))
    (tmp_path / "weights.hdf5").write_bytes(b"")
    return read_elmo_directory(tmp_path)


def test_all_entries_are_read(tmp_path):
    found = options_of(tmp_path)
    assert found.weights == tmp_path / "weights.hdf5"
    assert found.options == ElmoOptions(
        projection_dim=4, dim=6, n_layers=2, cell_clip=3.0, proj_clip=0.5, skip_connections=True, character_dim=3,
        filters=((1, 3), (2, 5)), n_highway=2, activation="relu", max_characters=9,
    )  # fmt: skip
    assert isinstance(found.options.cell_clip, float)
    assert options_of(tmp_path, **{"char_cnn__n_characters": 261}).options == found.options


def test_entries_that_may_be_left_out_have_defaults(tmp_path):
    left_out = ("lstm__n_layers", "lstm__cell_clip", "lstm__use_skip_connections", "char_cnn__n_highway",
                "char_cnn__activation", "char_cnn__max_characters_per_token", "char_cnn__n_characters")  # fmt: skip
    found = options_of(tmp_path, **dict.fromkeys(left_out, ...), lstm__proj_clip=None).options
    assert (found.n_layers, found.cell_clip, found.proj_clip, found.skip_connections) == (1, None, None, False)
    assert (found.n_highway, found.activation, found.max_characters) == (0, "tanh", 50)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("char_cnn", ..., "has no char_cnn: its tokens are rows of a vocabulary, and such models cannot be read"),
        ("char_cnn", None, "has no char_cnn"),
        ("lstm", ..., "has no lstm.projection_dim; expected the options of an ELMo."),
        ("lstm", 3, "has no lstm.projection_dim"),
        ("lstm__dim", ..., "has no lstm.dim; expected"),
        ("char_cnn__embedding", {}, "has no char_cnn.embedding.dim"),
        ("char_cnn__filters", ..., "has no char_cnn.filters"),
        ("char_cnn__n_characters", 260, "char_cnn.n_characters=260, expected 261 or 262"),
        ("char_cnn__n_characters", 263, "char_cnn.n_characters=263, expected 261 or 262"),
        ("char_cnn__activation", "gelu", "char_cnn.activation='gelu', expected one of "),
        ("lstm__projection_dim", 0, "lstm.projection_dim=0, expected an int from 1 to "),
        ("lstm__projection_dim", True, "lstm.projection_dim=True, expected an int"),
        ("lstm__projection_dim", 4.0, "lstm.projection_dim=4.0, expected an int"),
        ("lstm__projection_dim", 7, "lstm.projection_dim=7 is more than lstm.dim=6, expected at most as many."),
        ("lstm__n_layers", elmo_directory._MOST_LAYERS + 1, f"from 1 to {elmo_directory._MOST_LAYERS}."),
        ("lstm__dim", elmo_directory._MOST_DIM + 1, f"from 1 to {elmo_directory._MOST_DIM}."),
        ("lstm__cell_clip", 0, "lstm.cell_clip=0, expected a number above 0 or null."),
        ("lstm__cell_clip", True, "lstm.cell_clip=True, expected a number"),
        ("lstm__proj_clip", "3", "lstm.proj_clip='3', expected a number"),
        ("char_cnn__n_highway", -1, "char_cnn.n_highway=-1, expected an int from 0 to "),
        ("char_cnn__max_characters_per_token", 2, "max_characters_per_token=2, expected an int from 3 to "),
        ("char_cnn__max_characters_per_token", 3, None),
        ("char_cnn__filters", [], "char_cnn.filters=[], expected pairs of a width and a number of filters."),
        ("char_cnn__filters", {}, "char_cnn.filters={}, expected pairs"),
        ("char_cnn__filters", [[1, 3], [2]], "expected pairs"),
        ("char_cnn__filters", [[1, 3], [2, 0]], "expected pairs"),
        ("char_cnn__filters", [[1, True]], "expected pairs"),
        ("char_cnn__filters", [(1, elmo_directory._MOST_DIM + 1)], "expected pairs"),
        ("char_cnn__filters", [[1, 1]] * (elmo_directory._MOST_FILTERS + 1), "expected pairs"),
        ("char_cnn__filters", [[1, 1]] * elmo_directory._MOST_FILTERS, None),
        ("char_cnn__filters", [[10, 1]], "one of width 10, expected none wider than max_characters_per_token=9."),
        ("char_cnn__filters", [[9, 1]], None),
        ("lstm__projection_dim", 6, None),
        ("lstm__n_layers", elmo_directory._MOST_LAYERS, None),
    ],
)  # fmt: skip
def test_entries_that_are_none_are_named(tmp_path, name, value, message):
    if message is None:
        options_of(tmp_path, **{name: value})
        return
    with pytest.raises(ValueError, match=re.escape(message)):
        options_of(tmp_path, **{name: value})


def test_files_have_to_be_there_once_and_small(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match=r"'.*nowhere' is no directory.*options.json and weights.hdf5"):
        read_elmo_directory(tmp_path / "nowhere")
    with pytest.raises(
        FileNotFoundError, match=r"has no file \*options.json, expected the files of an ELMo; it holds nothing"
    ):
        read_elmo_directory(tmp_path)
    options_of(tmp_path)
    (tmp_path / "weights.hdf5").unlink()
    for n in range(9):
        (tmp_path / f"file{n}").write_text("")
    with pytest.raises(FileNotFoundError, match=r"no file \*weights.hdf5.*it holds file0, file1, .*file7\.$"):
        read_elmo_directory(tmp_path)
    for name in "abcdefg":
        (tmp_path / f"{name}_weights.hdf5").write_bytes(b"")
    with pytest.raises(ValueError, match=r"several files \*weights.hdf5: a_weights.hdf5, .*e_weights.hdf5; expected"):
        read_elmo_directory(tmp_path)
    for name in "bcdefg":
        (tmp_path / f"{name}_weights.hdf5").unlink()
    assert read_elmo_directory(tmp_path).weights.name == "a_weights.hdf5"
    size = (tmp_path / "options.json").stat().st_size
    monkeypatch.setattr(elmo_directory, "_MOST_JSON", size)
    read_elmo_directory(str(tmp_path))
    monkeypatch.setattr(elmo_directory, "_MOST_JSON", size - 1)
    with pytest.raises(ValueError, match=f"has {size} bytes, expected options of at most {size - 1}"):
        read_elmo_directory(tmp_path)
    monkeypatch.undo()
    for text in ("{", "[" * 100_000):
        (tmp_path / "options.json").write_text(text)
        with pytest.raises(ValueError, match=r"options\.json is no JSON: "):
            read_elmo_directory(tmp_path)


def test_weights_that_are_none_are_named(tmp_path):
    h5py = pytest.importorskip("h5py")
    from skembed.apply.elmo_directory import read_elmo_weights, read_output_weights, write_elmo_weights

    directory = options_of(tmp_path)
    shapes = directory.options.shapes()
    rng = np.random.default_rng(0)
    weights = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    output = rng.normal(size=(7, 4)), rng.normal(size=7)
    directory.weights.unlink()
    write_elmo_weights(directory.weights, weights, output)
    found = read_elmo_weights(directory)
    assert list(found) == list(shapes)
    for name, array in found.items():
        assert array.dtype == np.float32
        np.testing.assert_allclose(array, weights[name], rtol=1e-6)
    for one, expected in zip(read_output_weights(directory, 7), output):
        np.testing.assert_allclose(one, expected, rtol=1e-6)
    with pytest.raises(ValueError, match=r"'softmax/W' has shape \(7, 4\), expected \(8, 4\), as options.json says"):
        read_output_weights(directory, 8)
    with pytest.raises(FileExistsError):
        write_elmo_weights(directory.weights, weights, output)
    name = next(iter(shapes))
    for replaced, message in (
        (np.ones(shapes[name], np.int32), "holds int32, expected floating-point numbers"),
        (np.full(shapes[name], np.nan), "has numbers that are not finite"),
        (np.ones((1, *shapes[name])), "has shape"),
        (None, "is not there; are options.json another model's?"),
        (h5py.SoftLink("/softmax/W"), "is not there"),
        (h5py.ExternalLink("other.hdf5", "/x"), "is a link out of the file"),
    ):
        with h5py.File(directory.weights, "r+") as file:
            if name in file or file.get(name, getlink=True) is not None:
                del file[name]
            if replaced is not None:
                file[name] = replaced
        with pytest.raises(ValueError, match=re.escape(message)):
            read_elmo_weights(directory)
    directory.weights.write_bytes(b"no hdf5")
    with pytest.raises(ValueError, match=r"weights.hdf5 is no hdf5 that can be read"):
        read_elmo_weights(directory)


def test_weights_that_cannot_be_in_so_small_a_file_are_not_made_room_for(tmp_path, monkeypatch):
    pytest.importorskip("h5py")
    from skembed.apply.elmo_directory import read_output_weights, write_elmo_weights

    directory = options_of(tmp_path)
    directory.weights.unlink()
    write_elmo_weights(directory.weights, {}, (np.zeros((7, 4)), np.zeros(7)))
    monkeypatch.setattr(elmo_directory, "_FREE_BYTES", 0)
    size = directory.weights.stat().st_size
    monkeypatch.setattr(elmo_directory, "_MOST_EXPANSION", 140 / size)  # 28 numbers and 7 are 140 bytes
    read_output_weights(directory, 7)
    monkeypatch.setattr(elmo_directory, "_MOST_EXPANSION", 139 / size)
    with pytest.raises(ValueError, match=f"has {size} bytes, expected weights that need 140; it is cut short"):
        read_output_weights(directory, 7)
