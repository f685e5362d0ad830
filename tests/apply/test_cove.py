"""CoVe: the published names and shapes, equal to torch's own LSTM; word vectors, unknown words, and files that lie."""

import pickle
import zipfile

import numpy as np
import pytest

from skembed import EmbeddingTable, SubwordTable
from skembed.apply.contextual_model import ModelOptions, open_contextual_model
from skembed.apply.word_rows import WordRows
from skembed.table.subwords import Subwords

torch = pytest.importorskip("torch")
safetensors = pytest.importorskip("safetensors.torch")

OLD = tuple(map(int, torch.__version__.split(".")[:2])) < (2, 6)
reads_pth = pytest.mark.skipif(OLD, reason="torch before 2.6 cannot read .pth files safely, and none are read")

DIM, HIDDEN = 5, 3
WORDS = ["the", "ring", "Anna", "bell"]
TABLE = EmbeddingTable(WORDS, np.random.default_rng(0).normal(size=(len(WORDS), DIM)).astype(np.float32))


def options(vectors=TABLE):
    return ModelOptions(torch.device("cpu"), vectors=vectors)


def lstm(n_layers=2, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return torch.nn.LSTM(DIM, HIDDEN, num_layers=n_layers, bidirectional=True)


def expected(net, documents):
    """What torch's own LSTM makes of each document alone, None of an empty one."""
    rows = [[TABLE.lookup([w if w in TABLE else w.lower()], default=0)[0] for w in words] for words in documents]
    with torch.inference_mode():
        return [net(torch.from_numpy(np.array(one))[:, None])[0][:, 0].numpy() if one else None for one in rows]


DOCUMENTS = [["the", "ring"], [], ["THE", "bell", "Anna", "nobody"], ["anna"]]


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a socket was opened")

    monkeypatch.setattr("socket.socket", refuse)
    monkeypatch.setattr("socket.create_connection", refuse)


@pytest.mark.parametrize(
    "kind",
    [
        "safetensors",
        *(pytest.param(kind, marks=reads_pth) for kind in ("pth", "legacy pth", "with a prefix", "in a directory")),
    ],
)
@pytest.mark.parametrize("n_layers", [1, 2, 3])
def test_states_are_those_of_torchs_lstm(tmp_path, kind, n_layers):
    net = lstm(n_layers)
    state, path = net.state_dict(), tmp_path / "wmtlstm-8f474287.pth"
    if kind == "safetensors":
        path = tmp_path / "encoder.safetensors"
        safetensors.save_file(state, path)
        path = tmp_path
    elif kind == "with a prefix":
        rest = {"vectors.weight": torch.zeros(2, DIM), "n_batches": torch.tensor(3)}
        torch.save({f"rnn1.{name}": weight for name, weight in state.items()} | rest, path)
    else:
        torch.save(state, path, _use_new_zipfile_serialization=kind != "legacy pth")
        path = tmp_path if kind == "in a directory" else path
    before = torch.get_rng_state()
    model = open_contextual_model(path, options())
    assert torch.equal(before, torch.get_rng_state())
    assert model.dims == (DIM, *[2 * HIDDEN] * n_layers)
    inputs = [one.inputs for one in model.read(DOCUMENTS)]
    found = model.states(inputs, [0, n_layers])
    for words, (vectors, states), one in zip(DOCUMENTS, found, expected(net, DOCUMENTS)):
        assert states.shape == (len(words), 2 * HIDDEN)
        assert states.dtype == np.float32
        if one is not None:
            np.testing.assert_allclose(states, one, atol=1e-6)
        assert vectors.shape == (len(words), DIM)
    if n_layers > 1:  # the layers below are those of a net that ends there
        lower = lstm(1)
        lower.load_state_dict({name: weight for name, weight in state.items() if "_l0" in name})
        for (states,), one in zip(model.states(inputs, [1]), expected(lower, DOCUMENTS)):
            np.testing.assert_allclose(states, np.zeros((0, 2 * HIDDEN)) if one is None else one, atol=1e-6)


def test_words_without_a_vector():
    unknown = EmbeddingTable(["a"], [[1.0, 2.0]], unknown=[7.0, 8.0])
    rows = WordRows(unknown)
    assert rows.rows(["A", "a", "b"]).tolist() == [0, 0, -1]
    assert rows.vectors(rows.rows(["a", "b"])).tolist() == [[1, 2], [7, 8]]
    assert WordRows(EmbeddingTable(["a"], [[1.0, 2.0]])).vectors(np.array([-1])).tolist() == [[0, 0]]


def test_words_that_subwords_know():
    subwords = Subwords(np.random.default_rng(0).normal(size=(3, 2)), min_n=3, max_n=3, n_buckets=3)
    table = SubwordTable(["bells"], [[1.0, 2.0]], subwords)
    rows = WordRows(table)
    found = rows.rows(["rings", "Bells", "rang", "rings"])
    assert found.tolist() == [1, 0, 2, 1]
    np.testing.assert_allclose(rows.vectors(found), table.lookup(["rings", "bells", "rang", "rings"]), atol=1e-6)


def save(path, state):
    torch.save(state, path)
    return path


@reads_pth
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("weight_hh_l1_reverse"), r"w.pth lacks the weight weight_hh_l1_reverse of shape \(12, 3\)"),
        (lambda s: s.update(bias_ih_l0=torch.zeros(11)), r"weight bias_ih_l0 has shape \(11,\), expected \(12,\)"),
        (lambda s: s.update(weight_ih_l1=torch.zeros(12, 5)), r"weight_ih_l1 has shape \(12, 5\), expected \(12, 6\)"),
        (lambda s: s["bias_hh_l1"].fill_(torch.nan), "weight bias_hh_l1 has numbers that are not finite"),
        (lambda s: s.pop("weight_ih_l0"), "lacks weight_ih_l0 or weight_hh_l0, expected the LSTM of a CoVe; it holds"),
        (lambda s: s.update(weight_ih_l0=torch.zeros(12)), r"have shapes \(12,\) and \(12, 3\), expected matrices"),
        (lambda s: s.update(weight_ih_l99999=torch.zeros(1, 1)), "names a layer 99999, but has 17 weights"),
    ],
)
def test_weights_that_do_not_fit_are_named(tmp_path, change, message):
    state = {name: weight.clone() for name, weight in lstm().state_dict().items()}
    change(state)
    with pytest.raises(ValueError, match=message):
        open_contextual_model(save(tmp_path / "w.pth", state), options())


class Harm:
    def __reduce__(self):
        return (exec, ("raise SystemExit('code of a file was run')",))


@reads_pth
@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_files_that_are_none_are_named_and_no_code_is_run(tmp_path):
    path = tmp_path / "w.pth"
    for content in (b"", b"no file of torch", pickle.dumps(Harm()), b"PK\x03\x04" + bytes(99)):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"w\.pth holds no tensors that can be read without running code"):
            open_contextual_model(path, options())
    with pytest.raises(ValueError, match="holds no tensors"):
        open_contextual_model(save(path, {"weight_ih_l0": Harm()}), options())
    with pytest.raises(ValueError, match="holds a list, expected a dict"):
        open_contextual_model(save(path, [torch.zeros(3)]), options())
    (tmp_path / "encoder.safetensors").write_bytes(b"{}")
    path.unlink()
    with pytest.raises(ValueError, match=r"encoder\.safetensors is no file of safetensors"):
        open_contextual_model(tmp_path, options())


@reads_pth
def test_an_archive_that_unpacks_to_more_than_it_is_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "w.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("w/data/0", bytes(10**7))
    with pytest.raises(ValueError, match="says to hold 10000000"):
        open_contextual_model(tmp_path / "w.pth", options())


@reads_pth
@pytest.mark.parametrize(("n_bytes", "message"), [(2**20 - 1000, "no tensors"), (2**20 + 1000, "says to hold")])
def test_an_archive_may_unpack_to_a_mebibyte_more_than_it_is(n_bytes, message, tmp_path):
    with zipfile.ZipFile(tmp_path / "w.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("w/data/0", bytes(n_bytes + 1200))  # which are some 1,200 in the file
    n_more = n_bytes + 1200 - (tmp_path / "w.pth").stat().st_size
    assert (n_more > 2**20) == (message == "says to hold")
    with pytest.raises(ValueError, match=message):
        open_contextual_model(tmp_path / "w.pth", options())


@reads_pth
def test_vectors_have_to_be_there_and_of_the_encoders_width(tmp_path):
    path = save(tmp_path / "w.pth", lstm().state_dict())
    with pytest.raises(ValueError, match="is an encoder over word vectors and holds none; pass vectors="):
        open_contextual_model(path, options(None))
    with pytest.raises(ValueError, match="reads word vectors of 5 components, got vectors of 2"):
        open_contextual_model(path, options(EmbeddingTable(["a"], [[1.0, 2.0]])))
    TABLE.save(tmp_path / "words.txt", format="glove")
    model = open_contextual_model(path, options(tmp_path / "words.txt"))
    assert model.dims == (5, 6, 6)
    save(tmp_path / "second.pth", {})
    with pytest.raises(ValueError, match=r"expected one file encoder.safetensors or \*\.pth, got second.pth, w.pth"):
        open_contextual_model(tmp_path, options())


@pytest.mark.parametrize(("names", "shown"), [([], "nothing"), (["b", "a"], "a, b"), ([*"gfedcba"], "a, b, c, d, e")])
def test_what_an_encoder_holds_is_told_by_some_of_its_names(tmp_path, names, shown):
    from skembed.apply.nets.cove import read_encoder

    safetensors.save_file({name: torch.zeros(2) for name in names}, tmp_path / "encoder.safetensors")
    with pytest.raises(ValueError, match=rf"lacks weight_ih_l0 or weight_hh_l0, .*; it holds {shown}\.$"):
        read_encoder(tmp_path / "encoder.safetensors")
