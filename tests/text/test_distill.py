"""distill: a table from a sentence model on disk, made here from a configuration; what it refuses, and no network."""

import json
import shutil
import socket

import numpy as np
import pytest
from scipy import sparse

from skembed.apply.model_directory import read_model_directory
from skembed.text import PretrainedVectorizer, distill
from skembed.text._distill import fit_means

TEXTS = [
    "a cat sleeps on the mat", "the dog sleeps", "a cat and a dog play", "the man plays a guitar",
    "a woman plays the flute", "the cat plays", "a man sleeps", "the woman and the man play",
]  # fmt: skip
WORDS = sorted({word for text in TEXTS for word in text.split()})


def write(path, value):
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(value))


def modules(*kinds):
    folders = {"Transformer": "", "Pooling": "1_Pooling", "Dense": "2_Dense"}
    return [{"path": folders.get(kind, kind), "type": f"sentence_transformers.models.{kind}"} for kind in kinds]


def pooling(*names):
    return {f"pooling_mode_{name}": True for name in names} | {"word_embedding_dimension": 16}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A BERT of two layers with random weights, as sentence-transformers saves one."""
    transformers = pytest.importorskip("transformers")
    torch = pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("tiny")
    pieces = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        *WORDS,
        *"abcdefghijklmnopqrstuvwxyz",
        *(f"##{c}" for c in "aeinorsty"),
    ]
    (folder / "vocab.txt").write_text("\n".join(pieces))
    transformers.BertTokenizer(str(folder / "vocab.txt")).save_pretrained(folder)
    config = transformers.BertConfig(
        vocab_size=len(pieces), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=64, initializer_range=0.3,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        transformers.BertModel(config).save_pretrained(folder)
    write(folder / "modules.json", modules("Transformer", "Pooling", "Normalize"))
    write(folder / "1_Pooling" / "config.json", pooling("mean_tokens"))
    write(folder / "sentence_bert_config.json", {"max_seq_length": 32, "do_lower_case": False})
    return folder


@pytest.fixture
def changed(tiny, tmp_path):
    return shutil.copytree(tiny, tmp_path / "model")


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def states(folder, text):
    """Hidden states of a text, from transformers itself."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokens = AutoTokenizer.from_pretrained(folder)(text, return_tensors="pt")
    with torch.inference_mode():
        return AutoModel.from_pretrained(folder)(**tokens).last_hidden_state[0].numpy()


def encoded(folder, texts, **options):
    from skembed.text._distill import _SentenceModel

    return _SentenceModel(folder, "cpu").encode(texts, **options)


def test_words_alone_are_the_models_less_their_mean_and_weighted(tiny):
    table = distill(tiny, TEXTS, words=["guitarist"], n_passages=0)
    words = [word for text in TEXTS for word in text.split()]
    assert sorted(table.keys) == sorted([*WORDS, "guitarist"])
    assert table.keys[0] in ("the", "a")
    assert table.keys[-1] == "guitarist"
    alone = {word: states(tiny, word).mean(axis=0) for word in (*WORDS, "guitarist")}
    mean = np.mean([alone[word] for word in words], axis=0)
    p = {word: words.count(word) / len(words) for word in alone}
    a = sum(share**2 for share in p.values())
    for word, vector in alone.items():
        np.testing.assert_allclose(table[word], (vector - mean) * a / (a + p[word]), rtol=1e-3, atol=1e-4)


def test_texts_without_a_character_that_the_model_knows(tiny):
    from skembed.text._distill import _SentenceModel

    unread = _SentenceModel(tiny, "cpu").unread(["cat", "\u65e5\u672c", "cat \u65e5", "", "\u0440"])
    assert unread.tolist() == [False, True, False, False, True]
    with pytest.warns(UserWarning, match="75% of the running words of texts are nothing but unknown tokens"):
        distill(tiny, ["\u0440 \u0430", "\u0441 cat"], random_state=0)


def test_passages_bring_means_closer_to_the_model(tiny):
    generator = np.random.default_rng(0)
    texts = [" ".join(generator.choice(WORDS, generator.integers(2, 5))) for _ in range(150)]
    model = encoded(tiny, texts)
    model = model - model.mean(axis=0)

    def closeness(table):
        rows = PretrainedVectorizer(table).fit_transform(texts)
        return np.corrcoef((rows @ rows.T).ravel(), (model @ model.T).ravel())[0, 1]

    alone, taught = (distill(tiny, texts, n_passages=n, random_state=0) for n in (0, 100))
    assert closeness(taught) > closeness(alone) + 0.05
    again = distill(tiny, iter(texts), n_passages=100, random_state=0)
    np.testing.assert_allclose(taught.vectors, again.vectors, rtol=1e-5, atol=1e-6)


def test_poolings_dense_layers_prompts_and_lengths_are_those_of_the_directory(changed):
    from safetensors.numpy import save_file

    text = "the cat plays a guitar"
    hidden = states(changed, text)
    tokens = len(hidden)
    expected = {
        "cls_token": hidden[0], "mean_tokens": hidden.mean(axis=0), "max_tokens": hidden.max(axis=0),
        "mean_sqrt_len_tokens": hidden.sum(axis=0) / np.sqrt(tokens), "lasttoken": hidden[-1],
    }  # fmt: skip
    write(changed / "modules.json", modules("Transformer", "Pooling"))
    for name, vector in expected.items():
        write(changed / "1_Pooling" / "config.json", pooling(name))
        np.testing.assert_allclose(encoded(changed, ["a", text])[1], vector, rtol=1e-4, atol=1e-5)
    write(changed / "1_Pooling" / "config.json", pooling("mean_tokens", "cls_token"))
    both = np.concatenate([expected["cls_token"], expected["mean_tokens"]])
    np.testing.assert_allclose(encoded(changed, [text])[0], both, rtol=1e-4, atol=1e-5)

    weight = np.random.default_rng(0).standard_normal((3, 32)).astype(np.float32)
    (changed / "2_Dense").mkdir()
    save_file(
        {"linear.weight": weight, "linear.bias": np.ones(3, np.float32)}, changed / "2_Dense" / "model.safetensors"
    )
    write(changed / "2_Dense" / "config.json", {"activation_function": "torch.nn.modules.activation.Tanh"})
    write(changed / "modules.json", modules("Transformer", "Pooling", "Dense", "Normalize"))
    dense = np.tanh(weight @ both + 1)
    np.testing.assert_allclose(encoded(changed, [text], lengths=True)[0], dense, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(encoded(changed, [text])[0], dense / np.linalg.norm(dense), rtol=1e-3, atol=1e-4)

    write(changed / "modules.json", modules("Transformer", "Pooling"))
    prompts = {"prompts": {"query": "the dog "}, "default_prompt_name": "query"}
    write(changed / "config_sentence_transformers.json", prompts)
    write(changed / "1_Pooling" / "config.json", pooling("mean_tokens"))
    hidden = states(changed, "the dog " + text)
    np.testing.assert_allclose(encoded(changed, [text])[0], hidden.mean(axis=0), rtol=1e-4, atol=1e-5)
    write(changed / "1_Pooling" / "config.json", pooling("mean_tokens") | {"include_prompt": False})
    np.testing.assert_allclose(encoded(changed, [text])[0], hidden[3:].mean(axis=0), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (
            "modules.json",
            [{"type": "sentence_transformers.models.Transformer", "path": "../.."}],
            "within the directory",
        ),
        ("modules.json", modules("Transformer", "CNN"), "CNN"),
        ("modules.json", modules("Pooling"), "first step"),
        ("modules.json", [3], "a type and a path"),
        ("modules.json", {}, "expected a list"),
        ("1_Pooling/config.json", pooling("weightedmean_tokens"), "weightedmean_tokens"),
        ("1_Pooling/config.json", {}, "poolings"),
        ("sentence_bert_config.json", {"max_seq_length": "many"}, "max_seq_length"),
        ("config_sentence_transformers.json", {"default_prompt_name": "query", "prompts": {}}, "query"),
        ("config.json", {"model_type": "no such"}, "no transformer"),
    ],
)
def test_directories_that_cannot_be_read(changed, name, value, message):
    write(changed / name, value)
    with pytest.raises(ValueError, match=message):
        distill(changed, TEXTS)


def test_no_directory_no_weights_and_no_words(changed, tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing is downloaded"):
        distill("sentence-transformers/all-MiniLM-L6-v2", TEXTS)
    with pytest.raises(ValueError, match="no word that occurs"):
        distill(changed, [""])
    (changed / "modules.json").write_bytes(b"\xff{")
    with pytest.raises(ValueError, match="no JSON"):
        distill(changed, TEXTS)
    (changed / "modules.json").unlink()
    assert read_model_directory(changed).poolings == ("mean",)
    (changed / "model.safetensors").rename(changed / "pytorch_model.bin")
    with pytest.raises(FileNotFoundError, match="Pickles"):
        distill(changed, TEXTS)


@pytest.mark.parametrize("model_dir", [None, 5, {"a": "model"}])
def test_a_directory_is_named_by_its_path(model_dir):
    with pytest.raises(
        TypeError, match=f"^model_dir must be the path of a directory, got {type(model_dir).__name__}; a"
    ):
        distill(model_dir, TEXTS)


def test_weights_that_are_not_there_are_not_made_up(changed):
    from safetensors.numpy import load_file, save_file

    arrays = load_file(changed / "model.safetensors")
    del arrays["encoder.layer.1.output.dense.weight"]
    save_file(arrays, changed / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ValueError, match=r"encoder\.layer\.1\.output\.dense\.weight"):
        distill(changed, TEXTS)
    (changed / "model.safetensors").write_bytes(b"\x80\x04 pickle")
    with pytest.raises(ValueError, match="no transformer"):
        distill(changed, TEXTS)


def test_without_transformers(tiny, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ImportError, match=r"skembed\[transformers\]"):
        distill(tiny, TEXTS)


def test_fit_means_moves_half_of_the_way_to_what_fits_best():
    generator = np.random.default_rng(0)
    shares = generator.dirichlet(np.full(6, 0.5), size=200)
    truth = generator.standard_normal((6, 3))
    targets = shares @ truth + 5 * np.ones(3)
    targets /= np.linalg.norm(targets, axis=1, keepdims=True)
    got = fit_means(np.zeros((6, 3)), sparse.csr_array(shares), targets)
    best = np.linalg.lstsq(shares, targets - targets.mean(axis=0), rcond=None)[0]
    np.testing.assert_allclose(2 * got, best, rtol=0.05, atol=0.01)


def test_fit_means_takes_the_penalty_that_serves_texts_left_out_best():
    generator = np.random.default_rng(1)
    shares = generator.dirichlet(np.full(30, 0.5), size=20)
    noise = generator.standard_normal((20, 4))
    moved = fit_means(np.zeros((30, 4)), sparse.csr_array(shares), noise)
    assert np.linalg.norm(shares @ moved) < 0.3 * np.linalg.norm(noise / np.linalg.norm(noise, axis=1, keepdims=True))
