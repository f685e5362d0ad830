"""ELMo: equal to AllenNLP's own numbers and to a slow twin; its files, whole, wrong and hostile; no network."""

import gzip
import json
import shutil
from dataclasses import replace
from pathlib import Path

import elmo_twin
import numpy as np
import pytest

from skembed.apply.characters import character_ids
from skembed.apply.contextual_model import ModelOptions, open_contextual_model
from skembed.apply.elmo_directory import ElmoOptions, read_elmo_directory, read_elmo_weights, write_elmo_weights

h5py = pytest.importorskip("h5py")
torch = pytest.importorskip("torch")
lstms = pytest.importorskip("skembed.apply.nets.projected_lstm")
nets = pytest.importorskip("skembed.apply.nets.elmo")

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "elmo"
CPU = ModelOptions(torch.device("cpu"))
SMALL = ElmoOptions(
    projection_dim=4, dim=6, n_layers=2, cell_clip=0.5, proj_clip=0.3, character_dim=3,
    filters=((1, 3), (2, 2), (3, 4)), n_highway=2, activation="tanh", max_characters=9,
)  # fmt: skip
SENTENCES = [
    ["a", "cat"],
    [],
    ["ünicode", "and", "extraordinarily", "long", "words", ""],
    ["a"],
    ["cat", "</S>", "cat"],
]


def random_weights(options, seed=0):
    rng = np.random.default_rng(seed)
    return {name: rng.normal(scale=0.6, size=shape).astype(np.float32) for name, shape in options.shapes().items()}


def model_of(options, weights):
    return nets.ElmoModel(nets.ElmoNet.of_arrays(options, weights), CPU)


def write_model(folder, options=SMALL, weights=None, **changes):
    """Write a directory; changes of options.json by dotted names."""
    folder.mkdir(exist_ok=True)
    said = options.as_json()
    for name, value in changes.items():
        group, entry = name.split("__")
        said[group][entry] = value
    (folder / "options.json").write_text(json.dumps(said))
    output = np.zeros((2, options.projection_dim)), np.zeros(2)
    write_elmo_weights(folder / "weights.hdf5", random_weights(options) if weights is None else weights, output)
    return folder


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a socket was opened")

    monkeypatch.setattr("socket.socket", refuse)
    monkeypatch.setattr("socket.create_connection", refuse)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"activation": "relu", "n_highway": 0},
        {"projection_dim": 6},  # no projection of states
        {"projection_dim": 6, "filters": ((1, 2), (2, 4))},  # nor of tokens
        {"cell_clip": None, "proj_clip": None, "n_layers": 3},
        {"skip_connections": False},
        {"n_layers": 1, "filters": ((9, 5),)},  # as wide as a word can be
    ],
)
def test_the_net_is_the_twins(changes):
    options = replace(SMALL, **changes)
    weights = random_weights(options)
    model = model_of(options, weights)
    layers = list(range(options.n_layers + 1))
    found = model.states([one.inputs for one in model.read(SENTENCES)], layers)
    assert model.dims == (2 * options.projection_dim,) * len(layers)
    for words, states in zip(SENTENCES, found):
        expected = elmo_twin.layers(options, weights, words) if words else np.zeros((len(layers), 0, model.dims[0]))
        for state, one in zip(states, expected):
            assert state.dtype == np.float32
            np.testing.assert_allclose(state, one, atol=2e-6)


def test_states_go_on_where_the_batch_before_ended_and_only_where_asked():
    weights = random_weights(SMALL)
    model, memory = model_of(SMALL, weights), nets.StateMemory()
    batches = [SENTENCES[:2], SENTENCES[2:5], SENTENCES[:1], SENTENCES[1:4]]  # more rows, fewer, more again
    twins = [{} for _ in range(3)]
    for batch in batches:
        inputs = [one.inputs for one in model.read(batch)]
        found, alone = model.states(inputs, [2], memory), model.states(inputs, [2])
        for words, state, independent, twin in zip(batch, found, alone, twins):
            expected = elmo_twin.layers(SMALL, weights, words, twin)[2]
            np.testing.assert_allclose(state[0], expected, atol=2e-6)
            if words:
                np.testing.assert_allclose(independent[0], elmo_twin.layers(SMALL, weights, words)[2], atol=2e-6)
    assert np.abs(found[2][0] - alone[2][0]).max() > 1e-3


@pytest.mark.parametrize("projected", [True, False])
@pytest.mark.parametrize("clips", [(None, None), (0.4, 0.25)])
def test_gradients_are_those_of_finite_differences(projected, clips):
    generator = torch.Generator().manual_seed(0)
    dim, width, n_rows = 4, 3 if projected else 4, 3

    def draw(*shape):
        return torch.randn(shape, generator=generator, dtype=torch.double).requires_grad_(True)

    state = None if clips[0] is None else (0.1 * draw(2, n_rows, width).detach(), 0.1 * draw(2, n_rows, dim).detach())

    def run(x, of_input, of_state, bias, *projection):
        layer = lstms.ProjectedLSTM(of_input, of_state, bias, *(projection or [None]), lstms.Clips(*clips))
        return layer.run(x, [3, 3, 2, 1, 1], state)[0]

    gates = 4 * dim
    inputs = [draw(2, 5, n_rows, width), draw(2, width, gates), draw(2, width, gates), draw(2, 1, gates)]
    assert torch.autograd.gradcheck(run, [*inputs, *([draw(2, dim, width)] if projected else [])])


def test_rows_do_not_depend_on_their_batch():
    rng = np.random.default_rng(0)
    words = [f"w{i}" * int(rng.integers(1, 4)) for i in range(40)]
    documents = [list(rng.choice(words, rng.integers(0, 30))) for _ in range(25)]
    model = model_of(SMALL, random_weights(SMALL))
    inputs = [one.inputs for one in model.read(documents)]
    together = model.states(inputs, [0, 1, 2])
    for one, states in zip(inputs, together):
        (alone,) = model.states([one], [0, 1, 2])
        assert [s.shape for s in states] == [(len(one), 8)] * 3
        for a, b in zip(alone, states):
            np.testing.assert_allclose(a, b, atol=1e-5)


def test_batches_too_large_for_memory_are_cut(monkeypatch):
    model = model_of(SMALL, random_weights(SMALL))
    inputs = [one.inputs for one in model.read(SENTENCES * 3)]
    whole = model.states(inputs, [2])
    monkeypatch.setattr(nets, "_GATES", 8 * SMALL.dim * 10)
    monkeypatch.setattr(nets, "_CNN_CELLS", 1)
    for a, b in zip(whole, model.states(inputs, [2])):
        np.testing.assert_allclose(a[0], b[0], atol=1e-6)


def test_characters_are_bytes_between_marks():
    assert character_ids(["é"], 5).tolist() == [[258, 0xC3, 0xA9, 259, 260]]
    assert character_ids(["abcdef", ""], 5).tolist() == [[258, 97, 98, 99, 259], [258, 259, 260, 260, 260]]
    assert character_ids(["<S>", "\ud800"], 4).tolist() == [[258, 256, 259, 260], [258, 259, 260, 260]]


def test_marks_in_texts_are_no_marks_of_sentences():
    (sequence,) = model_of(SMALL, random_weights(SMALL)).read(["a <S>, b"])
    assert sequence.texts == ["a", "<", "S", ">", ",", "b"]
    assert [("a <S>, b")[start:stop] for start, stop in sequence.spans] == sequence.texts


@pytest.mark.real_data
@pytest.mark.skipif(not DATA.exists(), reason="data absent")
def test_the_numbers_of_allennlp():
    model, memory = open_contextual_model(DATA, CPU), nets.StateMemory()
    sentences = json.loads(gzip.decompress((DATA / "sentences.json.gz").read_bytes()))
    files = [h5py.File(DATA / f"lm_embeddings_{k}.hdf5") for k in range(3)]
    worst_alone = 0.0
    for i in range(10):
        inputs = [one.inputs for one in model.read([sentences[k][i].split() for k in range(3)])]
        alone = model.states(inputs, [2])
        for k, (states,) in enumerate(model.states(inputs, [2], memory)):
            expected = np.concatenate(list(files[k][str(i)][...]), axis=1)
            np.testing.assert_allclose(states, expected, rtol=1e-6, atol=1e-6)
            worst_alone = max(worst_alone, float(np.abs(alone[k][0] - expected).max()))
    assert worst_alone > 0.1  # so that the test would see states that are not carried on


@pytest.mark.real_data
@pytest.mark.skipif(not DATA.exists(), reason="data absent")
def test_the_token_vectors_of_allennlp():
    model = open_contextual_model(DATA, CPU)
    words = gzip.decompress((DATA / "vocab_test.txt.gz").read_bytes()).decode().split("\n")
    expected = h5py.File(DATA / "elmo_token_embeddings.hdf5")["embedding"][...]
    (states,) = model.states([model.read([words])[0].inputs], [0])
    np.testing.assert_allclose(states[0], np.hstack([expected, expected]), rtol=1e-6, atol=1e-6)


def test_a_directory_under_published_names_is_found(tmp_path):
    folder = write_model(tmp_path / "elmo", char_cnn__n_characters=261, lstm__n_layers=2)
    for name in ("options.json", "weights.hdf5"):
        (folder / name).rename(folder / f"elmo_2x4096_{name}")
    assert read_elmo_directory(folder).options == SMALL
    assert open_contextual_model(folder, CPU).dims == (8, 8, 8)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lstm__dim": 7}, r"weights.hdf5: weight 'RNN_0/.*/W_0' has shape \(8, 24\), expected \(8, 28\)"),
        ({"lstm__n_layers": 3}, r"weight 'RNN_0/RNN/MultiRNNCell/Cell2/LSTMCell/W_0' of shape \(8, 24\) is not there"),
        ({"lstm__projection_dim": 9}, "projection_dim=9 is more than lstm.dim=6"),
        ({"lstm__dim": "6"}, "lstm.dim='6', expected an int from 1 to 65536"),
        ({"lstm__dim": 10**9}, "lstm.dim=1000000000, expected an int"),
        ({"lstm__cell_clip": -1}, "lstm.cell_clip=-1, expected a number above 0 or null"),
        ({"char_cnn__activation": "gelu"}, "activation='gelu', expected one of tanh, relu"),
        ({"char_cnn__filters": [[1, 0]]}, "char_cnn.filters=.*expected pairs of a width"),
        ({"char_cnn__filters": [[10, 9]]}, "width 10, expected none wider than max_characters_per_token=9"),
        ({"char_cnn__n_characters": 300}, "n_characters=300, expected 261 or 262"),
        ({"char_cnn__embedding": {}}, "options.json has no char_cnn.embedding.dim"),
        ({"lstm__dim": 65536, "lstm__projection_dim": 65536}, "expected weights that need"),
    ],
)
def test_options_that_do_not_fit_are_named(tmp_path, changes, message):
    folder = write_model(tmp_path / "elmo", **changes)
    with pytest.raises(ValueError, match=message):
        open_contextual_model(folder, CPU)


def spoil(folder, kind):
    path = folder / "weights.hdf5"
    if kind == "no file":
        path.unlink()
    elif kind == "two files":
        shutil.copy(path, folder / "other_weights.hdf5")
    elif kind == "cut short":
        path.write_bytes(path.read_bytes()[:3000])
    elif kind == "no hdf5":
        path.write_bytes(b"PK\x03\x04" * 1000)
    elif kind == "options":
        (folder / "options.json").write_text("{" * 100_000)
    elif kind == "options are a list":
        (folder / "options.json").write_text("[1]")
    else:
        with h5py.File(path, "r+") as file:
            array = file["char_embed"][...]
            del file["char_embed"]
            if kind == "nan":
                array[0, 0] = np.nan
                file["char_embed"] = array
            elif kind == "integers":
                file["char_embed"] = array.astype(np.int64)
            elif kind == "external link":
                file["char_embed"] = h5py.ExternalLink("other.hdf5", "/char_embed")
            elif kind == "soft link":
                file["char_embed"] = h5py.SoftLink("/CNN/W_cnn_0")
            elif kind == "external storage":
                file.create_dataset("char_embed", array.shape, "f4", external=[("/etc/passwd", 0, array.nbytes)])
            elif kind == "group":
                file.create_group("char_embed")
            elif kind == "virtual":
                layout = h5py.VirtualLayout(array.shape, "f4")
                layout[:] = h5py.VirtualSource(str(folder / "other.hdf5"), "char_embed", array.shape)
                file.create_virtual_dataset("char_embed", layout)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("no file", r"has no file \*weights.hdf5, expected the files of an ELMo; it holds options.json"),
        ("two files", r"several files \*weights.hdf5: other_weights.hdf5, weights.hdf5"),
        ("cut short", "weights.hdf5 is no hdf5 that can be read"),
        ("no hdf5", "weights.hdf5 is no hdf5 that can be read"),
        ("options", "options.json is no JSON"),
        ("options are a list", "options.json has no char_cnn"),
        ("nan", "weight 'char_embed' has numbers that are not finite"),
        ("integers", "weight 'char_embed' holds int64, expected floating-point"),
        ("external link", "weight 'char_embed' .* is a link out of the file"),
        ("soft link", "weight 'char_embed' .* is not there"),
        ("external storage", "'char_embed' is no array within the file"),
        ("group", "'char_embed' is no array within the file"),
        ("virtual", "'char_embed' is no array within the file"),
    ],
)
def test_files_that_are_damaged_or_hostile_are_named(tmp_path, kind, message):
    folder = write_model(tmp_path / "elmo")
    spoil(folder, kind)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        open_contextual_model(folder, CPU)


def test_no_byte_that_is_changed_does_harm(tmp_path):
    """Any byte of the structure may be another; the weights are read as they are, or the file is named."""
    folder = write_model(tmp_path / "elmo")
    path, rng = folder / "weights.hdf5", np.random.default_rng(0)
    sound = path.read_bytes()
    n_refused = 0
    for _ in range(60):
        data = bytearray(sound)
        for place in rng.integers(0, len(data), 3):
            data[place] = int(rng.integers(256))
        path.write_bytes(data)
        try:
            weights = read_elmo_weights(read_elmo_directory(folder))
            assert {name: array.shape for name, array in weights.items()} == SMALL.shapes()
        except ValueError as error:
            assert str(path) in str(error)  # noqa: PT017 (most changes are none that can be seen)
            n_refused += 1
    assert n_refused > 5


def test_weights_of_other_precision_and_compressed_are_read(tmp_path):
    folder, weights = write_model(tmp_path / "elmo"), random_weights(SMALL)
    (folder / "weights.hdf5").unlink()
    with h5py.File(folder / "weights.hdf5", "w") as file:
        for name, array in weights.items():
            file.create_dataset(name, data=array.astype(np.float64), compression="gzip")
    found = read_elmo_weights(read_elmo_directory(folder))
    assert all(
        np.array_equal(found[name], array) and found[name].dtype == np.float32 for name, array in weights.items()
    )
