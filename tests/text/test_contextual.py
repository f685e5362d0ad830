"""ContextualVectorizer: equal to transformers' own on tiny models, tokens, windows, what it refuses, and no network."""

import contextlib
import importlib.util
import io
import json
import os
import pickle
import re
import shutil
import socket
import sys
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import contextual_models
import numpy as np
import pandas as pd
import pytest
from contextual_models import TEXTS, TINY_BERT, modules, write
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

import skembed
from skembed import ContextualVectorizer, EmbeddingTable, memory
from skembed.apply.contextual_model import ModelDefaults, ScalarMix, TokenSequence, split_words
from skembed.apply.contextual_states import Reading, read_states, scalar_mix, vectors_of
from skembed.apply.model_directory import read_model_directory
from skembed.testing import parametrize_with_text_checks
from skembed.text._contextual import TokenVectors

needs_transformers = pytest.mark.skipif(
    importlib.util.find_spec("transformers") is None, reason="transformers is not installed"
)
FAMILIES = ["bert", "distilbert", "roberta", "gpt2"]
LONG = " ".join(["the bell rang in my ring,"] * 30)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Directories of tiny models, each made once."""
    made = {}

    def get(name):
        if name not in made:
            made[name] = getattr(contextual_models, name)(tmp_path_factory.mktemp(name))
        return made[name]

    return get


@pytest.fixture
def changed(tmp_path):
    """A copy of the tiny BERT to be changed."""
    return Path(shutil.copytree(TINY_BERT, tmp_path / "model"))


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    tried = []

    def refuse(*args, **kwargs):
        tried.append(args)
        raise OSError("there is no network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    yield
    assert not tried  # also where somebody has caught the error


def hidden(folder, text, **options):
    """States of each layer by transformers itself, of one text by itself, (n_layers, n_tokens, dim)."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokens = AutoTokenizer.from_pretrained(folder)(text, return_tensors="pt", return_token_type_ids=False, **options)
    with torch.inference_mode():
        found = AutoModel.from_pretrained(folder).eval()(**tokens, output_hidden_states=True).hidden_states
    return np.stack([states[0].numpy() for states in found])


# ------------------------------------------------------------------------------------------ equal to transformers' own


@needs_transformers
class TestEqualToTransformers:
    @pytest.mark.parametrize("name", FAMILIES)
    def test_every_layer_and_pooling(self, model, name):
        vectorizer = ContextualVectorizer(model(name), layer=[0, 1, -1], pooling=["mean", "max", "cls", "last"])
        rows = vectorizer.fit_transform(TEXTS)
        assert rows.shape == (len(TEXTS), 4 * 3 * 16)
        for text, row in zip(TEXTS, rows):
            if name == "gpt2" and not text:
                assert not row.any()
                continue
            states = np.concatenate(hidden(model(name), text), axis=1)
            poolings = states.mean(axis=0), states.max(axis=0), states[0], states[-1]
            np.testing.assert_allclose(row, np.concatenate(poolings), rtol=1e-5, atol=1e-5)

    @pytest.mark.parametrize("name", FAMILIES)
    def test_pieces(self, model, name):
        found = ContextualVectorizer(model(name)).embed_tokens(TEXTS, by="piece")
        for text, one in zip(TEXTS, found):
            if not text:
                assert len(one) == 0
                assert one.vectors.shape == (0, 16)
                continue
            states = hidden(model(name), text)[-1]
            around = 0 if name == "gpt2" else 1
            np.testing.assert_allclose(one.vectors, states[around : len(states) - around], rtol=1e-5, atol=1e-5)
            assert all(text[start:end].strip() == text[start:end] for start, end in one.spans)
            covered = {i for start, end in one.spans for i in range(start, end)}
            assert covered == {i for i, character in enumerate(text) if not character.isspace()}

    @pytest.mark.parametrize("name", FAMILIES)
    def test_cut(self, model, name):
        row = ContextualVectorizer(model(name)).transform([LONG])[0]
        states = hidden(model(name), LONG, truncation=True, max_length=64)[-1]
        np.testing.assert_allclose(row, states.mean(axis=0), rtol=1e-5, atol=1e-5)

    def test_rows_do_not_depend_on_their_batch(self, model):
        for name in FAMILIES:
            rows = ContextualVectorizer(model(name), batch_size=1).transform([*TEXTS, LONG])
            together = ContextualVectorizer(model(name)).transform([LONG, *TEXTS, *TEXTS])
            np.testing.assert_allclose(together, rows[[-1, *range(6), *range(6)]], rtol=1e-5, atol=1e-5)

    def test_rows_do_not_depend_on_their_batch_where_a_model_sees_the_padding(self, model):
        rows = ContextualVectorizer(model("fnet"), batch_size=1).transform([*TEXTS, LONG])
        together = ContextualVectorizer(model("fnet")).fit_transform([LONG, *TEXTS, *TEXTS])
        np.testing.assert_allclose(together, rows[[-1, *range(6), *range(6)]], rtol=1e-5, atol=1e-5)
        for text, row in zip(TEXTS, rows):
            np.testing.assert_allclose(row, hidden(model("fnet"), text)[-1].mean(axis=0), rtol=1e-5, atol=1e-5)

    def test_equal_lengths_alone_are_run_at_once_where_a_model_sees_the_padding(self, model, monkeypatch):
        from skembed.apply.nets.transformer_model import TransformerModel

        ContextualVectorizer(model("bert")).fit()  # which runs before
        shapes = []
        run = TransformerModel._run
        monkeypatch.setattr(
            TransformerModel, "_run", lambda *given: shapes.append(sorted(map(len, given[1]))) or run(*given)
        )
        for name, expected in [("bert", [[1, 1, 2]]), ("fnet", [[1, 1], [2]])]:
            vectorizer = ContextualVectorizer(model(name)).fit()
            shapes.clear()
            vectorizer.transform(["ring", "bell", "the ring"])
            assert shapes == expected

    def test_the_last_layer_is_the_same_alone_and_beside_others(self, model):
        alone = ContextualVectorizer(model("clip_text")).fit_transform(TEXTS)
        beside = ContextualVectorizer(model("clip_text"), layer=[1, -1]).fit_transform(TEXTS)
        np.testing.assert_allclose(beside[:, 16:], alone, rtol=1e-5, atol=1e-5)

    def test_a_configuration_need_not_know_padding(self, model):
        for text, row in zip(TEXTS[:2], ContextualVectorizer(model("codegen")).fit_transform(TEXTS[:2])):
            np.testing.assert_allclose(row, hidden(model("codegen"), text)[-1].mean(axis=0), rtol=1e-5, atol=1e-5)

    def test_encoders_of_translators(self, tmp_path):
        from transformers import T5Config

        tokenizer = contextual_models.wordpieces(tmp_path)
        config = T5Config(vocab_size=len(tokenizer), d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=2)
        folder = contextual_models.save(config, tokenizer, tmp_path)
        import torch
        from transformers import AutoModel, AutoTokenizer

        ids = AutoTokenizer.from_pretrained(folder)(TEXTS[0], return_tensors="pt").input_ids
        with torch.inference_mode():
            states = AutoModel.from_pretrained(folder).eval().encoder(input_ids=ids).last_hidden_state[0].numpy()
        row = ContextualVectorizer(folder).transform([LONG, TEXTS[0]])[1]
        np.testing.assert_allclose(row, states.mean(axis=0), rtol=1e-4, atol=1e-5)

    def test_an_encoder_alone_is_enough(self, tmp_path):
        import transformers

        tokenizer = contextual_models.wordpieces(tmp_path)
        sizes = {"vocab_size": len(tokenizer), "d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 2}
        whole = contextual_models.save(transformers.T5Config(**sizes), tokenizer, tmp_path)
        rows = ContextualVectorizer(whole).transform(TEXTS)
        transformers.T5EncoderModel.from_pretrained(whole).save_pretrained(whole)
        np.testing.assert_allclose(ContextualVectorizer(whole).transform(TEXTS), rows, rtol=1e-5, atol=1e-6)

    def test_half_precision_is_close(self):
        full, half = (
            ContextualVectorizer(TINY_BERT, dtype=dtype).transform(TEXTS) for dtype in ("float32", "bfloat16")
        )
        assert half.dtype == np.float32
        np.testing.assert_allclose(half, full, atol=0.1)
        assert np.abs(half - full).max() > 1e-5

    @pytest.mark.parametrize(("name", "cls"), [("bert", "BertForMaskedLM"), ("gpt2", "GPT2LMHeadModel")])
    def test_models_with_a_head(self, tmp_path, name, cls):
        import torch
        import transformers

        folder = getattr(contextual_models, name)(tmp_path)
        with torch.random.fork_rng():
            torch.manual_seed(1)
            headed = getattr(transformers, cls)(transformers.AutoConfig.from_pretrained(folder))
        headed.save_pretrained(folder)
        ids = transformers.AutoTokenizer.from_pretrained(folder)(TEXTS[0], return_tensors="pt").input_ids
        with torch.inference_mode():
            states = headed.eval().base_model(input_ids=ids).last_hidden_state[0].numpy()
        row = ContextualVectorizer(folder).transform([TEXTS[0]])[0]
        np.testing.assert_allclose(row, states.mean(axis=0), rtol=1e-5, atol=1e-5)

    @pytest.mark.slow
    def test_minilm(self):
        folder = minilm()
        texts = ["The cat sits outside", "a man plays the guitar", "", "The new movie is awesome " * 80]
        rows = ContextualVectorizer(folder).transform(texts)
        for text, row in zip(texts, rows):
            mean = hidden(folder, text, truncation=True, max_length=256)[-1].mean(axis=0)
            np.testing.assert_allclose(row, mean / np.linalg.norm(mean), atol=1e-5)


@needs_transformers
@pytest.mark.slow
def test_the_page_prints_what_it_says(tmp_path, monkeypatch):
    page = (Path(__file__).parents[2] / "docs" / "contextual.md").read_text(encoding="utf-8")
    (tmp_path / "all-MiniLM-L6-v2").symlink_to(minilm())
    monkeypatch.chdir(tmp_path)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile("".join(re.findall(r"```python\n(.*?)```", page, re.DOTALL)), "contextual.md", "exec"), {})
    assert printed.getvalue() == "".join(re.findall(r"```text\n(.*?)```", page, re.DOTALL))


def minilm():
    """A directory of all-MiniLM-L6-v2, which is not downloaded; skips where there is none."""
    if folder := os.environ.get("SKEMBED_MINILM"):
        return folder
    spec = importlib.util.find_spec("all_minilm_l6_v2")
    places = spec.submodule_search_locations if spec else []
    found = [path.parent for place in places for path in Path(place).rglob("modules.json")]
    if not found:
        pytest.skip("SKEMBED_MINILM names no directory of all-MiniLM-L6-v2")
    return found[0]


# ------------------------------------------------------------------------------------------------- tokens and windows


class Letters:
    """A model on letters: the first layer has codes of letters, the second those of the letters before and behind."""

    dims, n_before, n_after = (1, 2), 1, 1
    defaults = ModelDefaults()
    max_length = None

    def __init__(self):
        self.batches = []

    def read(self, documents):
        read = []
        for text in documents:
            spans = np.array([[i, i + 1] for i in range(len(text))], dtype=np.int64).reshape(-1, 2)
            read.append(TokenSequence(np.array([ord(x) for x in text], dtype=np.int64), list(text), spans))
        return read

    def states(self, batch, layers):
        self.batches.append([len(ids) for ids in batch])
        found = []
        for ids in batch:
            padded = np.array([-1, -2, *ids, -3, -4], dtype=np.float32)
            both = {0: padded[1:-1, None], 1: np.stack([padded[:-2], padded[2:]], axis=1)}
            found.append([both[layer] for layer in layers])
        return found


def read(documents, **options):
    states = dict(read_states(Letters(), documents, Reading(**{"layers": (1,)} | options)))
    return [states[i] for i in range(len(documents))]


def test_batches_are_of_about_the_same_length_and_equal_documents_are_run_once():
    model = Letters()
    documents = ["abc", "a", "abcd" * 10, "b", "abc", "ab", "a"]
    rows = vectors_of(model, documents, Reading((0,), batch_tokens=12), lambda states: states.body.sum(axis=0))
    assert model.batches == [[1, 1, 2], [3], [40]]
    np.testing.assert_array_equal(rows[:, 0], [sum(map(ord, text)) for text in documents])
    model = Letters()
    vectors_of(model, documents, Reading((0,), batch_size=2), lambda states: states.body.sum(axis=0))
    assert model.batches == [[1, 1], [2, 3], [40]]


def test_windows_give_each_token_the_state_with_the_most_context():
    text = "abcdefghijklmnopqrstuvwxyz"
    (whole,), (windows,) = read([text]), read([text], max_length=10, windows=True)
    np.testing.assert_array_equal(windows.body, whole.body)  # letters beside one are always in its window
    begins = np.mean([0, 6, 12, 18])
    np.testing.assert_array_equal(windows.head, [[-1, ord("a") + begins]])
    np.testing.assert_array_equal(windows.tail, whole.tail)
    assert windows.tokens.texts == list(text)
    for length in range(10, 30):
        (found,) = read([text], max_length=length, windows=True)
        np.testing.assert_array_equal(found.body, whole.body)
    for length in range(3, 10):  # windows that share one token, or none
        (found,) = read([text], max_length=length, windows=True)
        assert found.body.shape == whole.body.shape
        assert (found.body == whole.body).mean() >= (0.7 if length > 4 else 0)


def test_cut_documents_and_prompts():
    (found,) = read(["abcdef"], max_length=5, prompt="xy")
    assert found.tokens.texts == ["a"]
    assert found.tokens.spans.tolist() == [[0, 1]]
    np.testing.assert_array_equal(found.prompt, [[-2, ord("y")], [ord("x"), ord("a")]])
    np.testing.assert_array_equal(found.body, [[ord("y"), -3]])
    (windows,) = read(["abcdef"], max_length=5, windows=True, prompt="xy")
    np.testing.assert_array_equal(windows.prompt, [[-2, ord("y")], [ord("x"), np.mean([*map(ord, "abcdef")])]])
    with pytest.raises(ValueError, match=r"max_length=4 leaves no token.*at least 5"):
        read(["abcdef"], max_length=4, prompt="xy")


def test_words_of_texts_and_of_lists():
    words, spans = split_words("Don't ring the 2 well-known bells… at Zoe\u0308's, हिन्दी!")
    assert words == ["Don't", "ring", "the", "2", "well-known", "bells", "…", "at", "Zoe\u0308's", ",", "हिन्दी", "!"]
    assert spans[1].tolist() == [6, 10]
    words, spans = split_words(["New York", "!"])
    assert words == ["New York", "!"]
    assert spans.tolist() == [[0, 1], [1, 2]]


@needs_transformers
class TestTokens:
    def test_words_are_the_means_of_their_pieces(self, model):
        text = "Somebody's wedding-ring rang: \u200b İx"
        for name in FAMILIES:
            vectorizer = ContextualVectorizer(model(name))
            (pieces,), (words,) = vectorizer.embed_tokens([text], by="piece"), vectorizer.embed_tokens([text])
            assert words.tokens[:4] == ["Somebody's", "wedding-ring", "rang", ":"]
            assert [text[start:end] for start, end in words.spans] == words.tokens
            for span, vector in zip(words.spans, words.vectors):
                inside = (
                    (pieces.spans[:, 0] >= span[0])
                    & (pieces.spans[:, 1] <= span[1])
                    & (pieces.spans[:, 0] < pieces.spans[:, 1])
                )
                np.testing.assert_allclose(vector, pieces.vectors[inside].mean(axis=0), rtol=1e-4, atol=1e-5)

    def test_words_in_one_piece_share_its_vector(self, model):
        text = "my \U0001f600\U0001f469\u200d\U0001f4bb... [CLS]"  # pictures are one unknown piece
        vectorizer = ContextualVectorizer(model("bert"))
        (pieces,), (words,) = vectorizer.embed_tokens([text], by="piece"), vectorizer.embed_tokens([text])
        assert pieces.tokens == ["my", "[UNK]", ".", ".", ".", "[CLS]"]
        assert words.tokens == ["my", *text[3:7], *"...", "[", "CLS", "]"]
        assert [text[start:end] for start, end in words.spans] == words.tokens
        np.testing.assert_allclose(words.vectors, pieces.vectors[[0, 1, 1, 1, 1, 2, 3, 4, 5, 5, 5]], rtol=1e-6)

    def test_lone_surrogates_are_characters_that_nobody_knows(self, model):
        """As files read with errors="surrogateescape" have them."""
        for name in FAMILIES:
            vectorizer = ContextualVectorizer(model(name))
            text, known = "my \ud800 ring \udce9x", "my \ufffd ring \ufffdx"
            np.testing.assert_allclose(*vectorizer.transform([text, known]), rtol=1e-4, atol=1e-5)
            np.testing.assert_allclose(*vectorizer.transform([text.split(), known.split()]), rtol=1e-4, atol=1e-5)
            found, expected = vectorizer.embed_tokens([text, known])
            assert found.spans.tolist() == expected.spans.tolist()

    def test_tokens_of_lists_are_words(self, model):
        tokens = ["my", "wedding ring", "", "rang"]
        for name in FAMILIES:
            vectorizer = ContextualVectorizer(model(name))
            (listed,), (written,) = vectorizer.embed_tokens([tokens]), vectorizer.embed_tokens([" ".join(tokens)])
            assert listed.tokens == ["my", "wedding ring", "rang"]
            assert listed.spans.tolist() == [[0, 1], [1, 2], [3, 4]]
            np.testing.assert_array_equal(listed.of("rang"), written.of("RANG"))
            np.testing.assert_array_equal(vectorizer.transform([tokens]), vectorizer.transform([" ".join(tokens)]))

    def test_tokens_are_found_whether_their_accents_are_composed_or_not(self):
        for form, asked in (("NFC", "NFD"), ("NFD", "NFC")):
            tokens = [unicodedata.normalize(form, token) for token in ("Café", "cafe", "CAFÉ")]
            found = TokenVectors(tokens, np.arange(3.0)[:, None], np.zeros((3, 2), np.int64))
            assert found.of(unicodedata.normalize(asked, "café")).ravel().tolist() == [0, 2]

    def test_one_word_in_two_contexts(self):
        mine, boxers = ContextualVectorizer(TINY_BERT).embed_tokens(["my wedding ring", "boxers in the Ring ring"])
        assert mine.of("ring").shape == (1, 16)
        assert boxers.of("ring").shape == (2, 16)
        assert np.abs(mine.of("ring") - boxers.of("ring")).max(axis=1).min() > 1e-3
        assert mine.of("bell").shape == (0, 16)
        assert repr(mine) == "TokenVectors(['my', 'wedding', 'ring'], 3 x 16)"
        with pytest.raises(ValueError, match="by='letter'"):
            ContextualVectorizer(TINY_BERT).embed_tokens(TEXTS, by="letter")

    def test_windows_of_a_model(self):
        vectorizer = ContextualVectorizer(TINY_BERT, long_documents="windows")
        (cut,), (whole,) = ContextualVectorizer(TINY_BERT).embed_tokens([LONG]), vectorizer.embed_tokens([LONG])
        assert len(whole) == 30 * 7 > len(cut)
        assert np.isfinite(vectorizer.transform([LONG])).all()
        np.testing.assert_allclose(vectorizer.transform(TEXTS), ContextualVectorizer(TINY_BERT).transform(TEXTS))

    def test_case_is_lowered_where_the_directory_says_so(self, changed):
        write(changed / "sentence_bert_config.json", {"max_seq_length": 48, "do_lower_case": True})
        vectorizer = ContextualVectorizer(changed)
        (found,) = vectorizer.embed_tokens(["İİ My Ring"])  # the first letters become two each
        assert found.tokens == ["İİ", "My", "Ring"]
        np.testing.assert_array_equal(vectorizer.transform(["MY RING"]), vectorizer.transform(["my ring"]))


# -------------------------------------------------------------------------------------------------------------- layers


def test_scalar_mix():
    layers = [np.array([[1.0, 2.0]], np.float32), np.array([[5.0, 8.0]], np.float32)]
    np.testing.assert_allclose(scalar_mix(layers, ScalarMix(np.zeros(2))), [[3.0, 5.0]])
    np.testing.assert_allclose(scalar_mix(layers, ScalarMix(np.log([1.0, 3.0]), 2.0)), [[8.0, 13.0]])
    np.testing.assert_allclose(scalar_mix(layers, ScalarMix(np.array([-np.inf, 7.0]))), layers[1])
    np.testing.assert_allclose(scalar_mix(layers, ScalarMix(np.zeros(2), layer_norm=True)), [[-1.0, 1.0]], rtol=1e-6)


@needs_transformers
def test_layers_side_by_side_their_mean_and_their_mix():
    states = hidden(TINY_BERT, TEXTS[0])

    def row(**options):
        return ContextualVectorizer(TINY_BERT, pooling="mean", **options).transform(TEXTS[:1])[0]

    means = states.mean(axis=1)
    np.testing.assert_allclose(row(layer=[0, -1]), np.concatenate([means[0], means[2]]), atol=1e-5)
    np.testing.assert_allclose(row(layer="mean"), means.mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(row(layer="mix"), means.mean(axis=0), atol=1e-5)
    mix = {"weights": np.log([1.0, 1.0, 2.0]), "gamma": 3.0}
    np.testing.assert_allclose(row(layer="mix", mix_params=mix), 3 * np.array([1, 1, 2]) @ means / 4, atol=1e-5)
    normed = [(layer - layer.mean()) / layer.std() for layer in states]
    expected = np.mean(normed, axis=0).mean(axis=0)
    np.testing.assert_allclose(row(layer="mix", mix_params={"layer_norm": True}), expected, atol=1e-5)


# --------------------------------------------------------------------------------- directories of sentence-transformers


@needs_transformers
class TestSentenceTransformers:
    def test_steps_of_the_directory_and_other_ones(self, changed):
        from safetensors.numpy import save_file

        mean = np.array([hidden(changed, text)[-1].mean(axis=0) for text in TEXTS])
        unit = mean / np.linalg.norm(mean, axis=1, keepdims=True)
        np.testing.assert_allclose(ContextualVectorizer(changed).transform(TEXTS), unit, atol=1e-5)
        np.testing.assert_allclose(ContextualVectorizer(changed, normalize=False).transform(TEXTS), mean, atol=1e-5)
        np.testing.assert_allclose(ContextualVectorizer(changed, pooling="mean").transform(TEXTS), mean, atol=1e-5)
        both = ContextualVectorizer(changed, pooling="mean", normalize=True).transform(TEXTS)
        np.testing.assert_allclose(both, unit, atol=1e-5)

        weight = np.random.default_rng(0).standard_normal((3, 16)).astype(np.float32)
        write(changed / "2_Dense" / "config.json", {"activation_function": "torch.nn.modules.activation.Tanh"})
        save_file({"linear.weight": weight}, changed / "2_Dense" / "model.safetensors")
        write(changed / "modules.json", modules("Transformer", "Pooling", "Dense"))
        rows = ContextualVectorizer(changed).fit_transform(TEXTS)
        np.testing.assert_allclose(rows, np.tanh(mean @ weight.T), rtol=1e-4, atol=1e-5)
        with pytest.raises(ValueError, match="layer=0 does not fit pooling='auto'"):
            ContextualVectorizer(changed, layer=0).fit()
        assert ContextualVectorizer(changed, layer=0, pooling="mean").transform(TEXTS).shape == (6, 16)

    def test_prompts(self, changed):
        plain = ContextualVectorizer(changed).transform(["ring the bell: a", "a"])
        named = ContextualVectorizer(changed, prompt="query").fit()
        assert named.prompt_ == "ring the bell: "
        np.testing.assert_allclose(named.transform(["a"])[0], plain[0], atol=1e-6)
        np.testing.assert_allclose(named.transform([["a"]])[0], plain[0], atol=1e-6)
        given = ContextualVectorizer(changed, prompt="ring the bell: ")
        np.testing.assert_allclose(given.transform(["a"])[0], plain[0], atol=1e-6)
        assert given.embed_tokens(["a ring"])[0].tokens == ["a", "ring"]
        write(changed / "config_sentence_transformers.json", {"prompts": {"q": "my "}, "default_prompt_name": "q"})
        assert ContextualVectorizer(changed).fit().prompt_ == "my "
        np.testing.assert_allclose(ContextualVectorizer(changed, prompt="").transform(["a"])[0], plain[1], atol=1e-6)
        pooling = {"pooling_mode_mean_tokens": True, "include_prompt": False}
        write(changed / "1_Pooling" / "config.json", pooling)
        states = hidden(changed, "my a")[-1][2:].mean(axis=0)
        np.testing.assert_allclose(
            ContextualVectorizer(changed).transform(["a"])[0], states / np.linalg.norm(states), atol=1e-5
        )

    def test_what_a_fitted_one_shows(self):
        vectorizer = ContextualVectorizer(TINY_BERT, layer=-2, pooling=["mean-sqrt", "last"])
        with pytest.raises(AttributeError, match="not fitted"):
            vectorizer.layers_  # noqa: B018
        vectorizer.fit()
        assert (vectorizer.n_layers_, vectorizer.layers_, vectorizer.max_length_) == (3, [1], 48)
        assert vectorizer.pooling_ == ["mean-sqrt", "last"]
        assert len(vectorizer.get_feature_names_out()) == 32


# ------------------------------------------------------------------------------------------------------------- errors


@needs_transformers
class TestErrors:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"layer": 3}, r"layer=3 names 3, but the model has 3 layers: expected 0.* to 2"),
            ({"layer": [0, -4]}, r"names -4"),
            ({"layer": []}, "layer is an empty list"),
            ({"layer": "top"}, "'layer' parameter"),
            ({"layer": ["mean"]}, "names 'mean'"),
            ({"layer": "mix", "mix_params": {"weights": [1.0, 2.0]}}, r"mix_params\['weights'\].*expected 3 numbers"),
            ({"layer": "mix", "mix_params": {"weights": [-np.inf] * 3}}, r"mix_params\['weights'\]"),
            ({"layer": "mix", "mix_params": {"scale": 1.0}}, r"mix_params has \['scale'\]"),
            ({"pooling": ["mean", "mean"]}, "list of different ones"),
            ({"pooling": ["median"]}, "'mean-sqrt'"),
            ({"pooling": []}, "expected 'auto'"),
            ({"max_length": 65}, r"max_length=65, but the model has positions for 64.*windows"),
            ({"max_length": 2}, r"max_length=2 leaves no token.*at least 3"),
            ({"device": "abacus"}, "device is 'abacus'"),
            ({"dtype": "int8"}, "'dtype' parameter"),
        ],
    )
    def test_parameters(self, options, message):
        for method in ("fit", "transform"):
            with pytest.raises(ValueError, match=message):
                getattr(ContextualVectorizer(TINY_BERT, **options), method)(TEXTS)

    def test_documents(self):
        vectorizer = ContextualVectorizer(TINY_BERT)
        for X, message in (
            ("one text", r"pass \[X\]"),
            (["a", None], "document 1 of X"),
            (["a", 3], "document 1 of X"),
            ([["a", 3]], "token list"),
            (3, "iterable"),
            (csr_array([[1.0], [0.0]]), "iterable"),
        ):
            with pytest.raises(TypeError, match=message):
                vectorizer.transform(X)
        with pytest.raises(TypeError, match=r"pass \[X\]"):
            vectorizer.fit("one text")
        with pytest.raises(ValueError, match="one column"):
            vectorizer.transform(pd.DataFrame({"a": ["x"], "b": ["y"]}))
        rows = vectorizer.set_params(missing="empty").transform(["a", None, np.nan, ""])
        np.testing.assert_array_equal(rows[1:], rows[[3, 3, 3]])
        assert vectorizer.transform([]).shape == (0, 16)
        assert vectorizer.embed_tokens([]) == []

    @pytest.mark.parametrize("source", ["bert-base-uncased", "sentence-transformers/all-MiniLM-L6-v2"])
    def test_names_of_a_hub(self, source):
        with pytest.raises(FileNotFoundError, match=r"nothing is downloaded.*save_pretrained\(folder\)"):
            ContextualVectorizer(source).fit()

    def test_weights_of_a_transformer_are_no_source_without_their_folder(self):
        with pytest.raises(ValueError, match=r"is a file; expected the files of a model, of transformers: config.json"):
            ContextualVectorizer(TINY_BERT / "model.safetensors").fit()

    def test_files_that_are_not_there(self, changed, tmp_path):
        with pytest.raises(FileNotFoundError, match=r"no/such/place' is no directory on this disk"):
            ContextualVectorizer("/no/such/place").transform(TEXTS)
        (tmp_path / "empty").mkdir()
        with pytest.raises(ValueError, match="holds nothing; expected the files of a model"):
            ContextualVectorizer(tmp_path / "empty").fit()
        with pytest.raises(ValueError, match="is a file"):
            ContextualVectorizer(changed / "config.json").fit()
        for name, message in (
            ("1_Pooling/config.json", "1_Pooling/config.json is missing"),
            ("tokenizer.json", "has no tokenizer"),
            ("model.safetensors", "no weights in model.safetensors"),
            ("config.json", "no config.json"),
        ):
            folder = Path(shutil.copytree(TINY_BERT, tmp_path / name.replace("/", "-")))
            (folder / name).unlink()
            for vocabulary in folder.glob("vocab.txt"):
                vocabulary.unlink()
            with pytest.raises(FileNotFoundError, match=message):
                ContextualVectorizer(folder).fit()

    def test_pickles_are_not_opened(self, changed):
        class Bomb:
            def __reduce__(self):
                return (os._exit, (1,))

        (changed / "model.safetensors").unlink()
        (changed / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb()))
        with pytest.raises(FileNotFoundError, match=r"Pickles .* are not opened.*safe_serialization"):
            ContextualVectorizer(changed).fit()

    def test_code_of_a_directory_is_not_run(self, changed):
        config = json.loads((changed / "config.json").read_text())
        own = {"AutoModel": "modeling.Own", "AutoConfig": "modeling.Config"}
        write(changed / "config.json", config | {"auto_map": own, "model_type": "its own"})
        (changed / "modeling.py").write_text("raise SystemExit('it ran')")
        with pytest.raises(ValueError, match="no transformer that can be loaded"):
            ContextualVectorizer(changed).fit()

    def test_a_weight_of_another_shape(self, changed):
        from safetensors.numpy import load_file, save_file

        arrays = load_file(changed / "model.safetensors")
        arrays["encoder.layer.1.output.dense.weight"] = np.zeros((16, 5), np.float32)
        save_file(arrays, changed / "model.safetensors", metadata={"format": "pt"})
        message = r"model has a weight encoder\.layer\.1\.output\.dense\.weight of shape \(16, 5\), but .* \(16, 32\)"
        with pytest.raises(ValueError, match=message):
            ContextualVectorizer(changed).fit()

    def test_models_of_something_else_than_texts_are_named(self, tmp_path):
        from transformers import CanineConfig, XmodConfig

        tokenizer = contextual_models.wordpieces(tmp_path)
        options = {"vocab_size": len(tokenizer), "languages": ["en_XX", "de_DE"], "max_position_embeddings": 64}
        small = {"num_hidden_layers": 2, "num_attention_heads": 2, "hidden_size": 16, "intermediate_size": 32}
        contextual_models.save(CanineConfig(**small, num_hash_buckets=16), tokenizer, tmp_path / "canine")
        with pytest.raises(ValueError, match="canine holds a model, CanineModel, that has no vectors of the pieces"):
            ContextualVectorizer(tmp_path / "canine").fit()
        contextual_models.save(XmodConfig(**small, **options), tokenizer, tmp_path / "xmod")
        with pytest.raises(ValueError, match="XmodModel, that cannot be run on texts: Input language unknown"):
            ContextualVectorizer(tmp_path / "xmod").fit()

    def test_a_tokenizer_of_another_model(self, changed):
        config = json.loads((changed / "config.json").read_text())
        write(changed / "config.json", config | {"vocab_size": 80})
        from safetensors.numpy import load_file, save_file

        arrays = load_file(changed / "model.safetensors")
        arrays["embeddings.word_embeddings.weight"] = arrays["embeddings.word_embeddings.weight"][:80]
        save_file(arrays, changed / "model.safetensors", metadata={"format": "pt"})
        with pytest.raises(ValueError, match=r"tokenizer with the id \d+, but its model has vectors for 80 pieces"):
            ContextualVectorizer(changed).fit()

    def test_without_transformers(self, monkeypatch, tmp_path):
        source = shutil.copytree(TINY_BERT, tmp_path / "model")  # one that is in memory would do without
        monkeypatch.setitem(sys.modules, "transformers", None)
        with pytest.raises(ImportError, match=r'pip install "skembed\[transformers\]"'):
            ContextualVectorizer(source).fit()


# ----------------------------------------------------------------------------------- one model, its files, and its life


@needs_transformers
class TestItsModel:
    def test_clones_and_equal_sources_share_it(self, monkeypatch, tmp_path):
        source = shutil.copytree(TINY_BERT, tmp_path / "model")  # others may hold that of all tests
        from skembed.apply.nets import transformer_model

        opened = []
        original = transformer_model.open_transformer
        monkeypatch.setattr(transformer_model, "open_transformer", lambda *args: opened.append(1) or original(*args))
        vectorizer = ContextualVectorizer(source)
        assert not opened
        copies = [clone(vectorizer) for _ in range(3)]
        with ThreadPoolExecutor(4) as pool:
            rows = list(pool.map(lambda one: one.transform(TEXTS), [vectorizer, *copies] * 2))
        assert len(opened) == 1
        for row in rows[1:]:
            np.testing.assert_array_equal(row, rows[0])
        other = ContextualVectorizer(str(source), pooling="max").fit()
        assert len(opened) == 1
        assert pickle.loads(pickle.dumps(other)).transform(TEXTS).shape == (6, 16)
        assert len(opened) == 1
        del vectorizer, copies, other
        ContextualVectorizer(source).fit()
        assert len(opened) == 2  # nobody used it any more

    def test_a_search_opens_it_once(self, monkeypatch, tmp_path):
        source = shutil.copytree(TINY_BERT, tmp_path / "model")
        from skembed.apply.nets import transformer_model

        opened = []
        original = transformer_model.open_transformer
        monkeypatch.setattr(transformer_model, "open_transformer", lambda *args: opened.append(1) or original(*args))
        texts = ["my ring", "the bell"] * 12
        model = make_pipeline(ContextualVectorizer(source), LogisticRegression())
        search = GridSearchCV(model, {"contextualvectorizer__layer": [0, 1, -1]}, cv=2).fit(texts, [0, 1] * 12)
        assert search.best_score_ == 1
        assert len(opened) == 1

    def test_pickles_and_files_hold_no_weights_and_follow_a_directory_that_moves(self, tmp_path):
        first = shutil.copytree(TINY_BERT, tmp_path / "first")
        vectorizer = ContextualVectorizer(str(first)).fit()
        rows = vectorizer.transform(TEXTS)
        written = pickle.dumps(vectorizer)
        assert len(written) < 4000
        skembed.save(vectorizer, tmp_path / "file")
        shutil.move(first, tmp_path / "second")
        for again in (pickle.loads(written), skembed.load(tmp_path / "file")):
            with pytest.raises(FileNotFoundError, match="is no directory"):
                again.transform(TEXTS)
            again.set_params(source=tmp_path / "second")
            np.testing.assert_array_equal(again.transform(TEXTS), rows)
            assert again.get_feature_names_out().tolist() == vectorizer.get_feature_names_out().tolist()

    def test_a_fitted_one_refuses_another_model(self, model, changed, tmp_path):
        other = contextual_models.bert(tmp_path / "model", num_hidden_layers=2)
        from safetensors.numpy import load_file, save_file

        vectorizer = ContextualVectorizer(TINY_BERT).fit()
        again = pickle.loads(pickle.dumps(vectorizer)).set_params(source=changed)
        again.transform(TEXTS)
        arrays = load_file(other / "model.safetensors")
        name = "encoder.layer.1.output.dense.weight"
        save_file(arrays | {name: arrays[name][::-1].copy()}, other / "model.safetensors", metadata={"format": "pt"})
        again = pickle.loads(pickle.dumps(vectorizer)).set_params(source=other)
        with pytest.raises(ValueError, match=r"another model than that of fit: the vector .* differs by \d+%"):
            again.transform(TEXTS)
        assert np.isfinite(again.fit().transform(TEXTS)).all()
        deeper = contextual_models.bert(tmp_path / "model", num_hidden_layers=3)
        with pytest.raises(ValueError, match="with 4 layers in place of 3; fit again"):
            pickle.loads(pickle.dumps(vectorizer)).set_params(source=deeper).transform(TEXTS)
        wider = contextual_models.bert(tmp_path / "model", hidden_size=32)
        (tmp_path / "model" / "modules.json").unlink()
        with pytest.raises(ValueError, match="with 32 columns in place of 16; fit again"):
            pickle.loads(pickle.dumps(vectorizer)).set_params(source=wider).transform(TEXTS)

    def test_given_vectors_of_words_that_no_english_sentence_has_are_told_apart(self, tmp_path):
        import torch
        from safetensors.torch import save_file

        save_file(torch.nn.LSTM(4, 3, bidirectional=True).state_dict(), tmp_path / "encoder.safetensors")
        tables = [
            EmbeddingTable(["eins", "zwei"], np.random.default_rng(i).normal(size=(2, 4)).astype(np.float32))
            for i in range(2)
        ]
        vectorizer = ContextualVectorizer(tmp_path / "encoder.safetensors", vectors=tables[0]).fit()
        rows = vectorizer.transform(["eins zwei"])
        same = EmbeddingTable(tables[0].keys.tolist(), tables[0].vectors.copy())
        np.testing.assert_array_equal(vectorizer.set_params(vectors=same).transform(["eins zwei"]), rows)
        with pytest.raises(ValueError, match="another model than that of fit: the vector of a sentence differs"):
            vectorizer.set_params(vectors=tables[1]).transform(["eins zwei"])

    def test_vectors_that_are_not_finite_are_refused(self, changed):
        from safetensors.numpy import load_file, save_file

        weights = load_file(changed / "model.safetensors")
        name = next(name for name in weights if name.endswith("word_embeddings.weight"))
        weights[name] = weights[name] * np.float32(np.nan)
        save_file(weights, changed / "model.safetensors", metadata={"format": "pt"})
        with pytest.raises(ValueError, match="a vector that is not finite to a sentence with dtype='float32'; its"):
            ContextualVectorizer(changed).fit()

    def test_fit_sees_files_that_were_written_anew(self, changed):
        vectorizer = ContextualVectorizer(changed).fit()
        before = vectorizer.transform(TEXTS)
        write(changed / "1_Pooling" / "config.json", {"pooling_mode_max_tokens": True})
        np.testing.assert_array_equal(vectorizer.transform(TEXTS), before)
        assert vectorizer.fit().pooling_ == ["max"]

    def test_a_model_larger_than_memory(self, monkeypatch):
        monkeypatch.setattr(memory, "memory_of_machine", lambda: 1000)
        with pytest.raises(MemoryError, match=r"needs at least \d+ bytes .* pass the directory of a smaller"):
            ContextualVectorizer(TINY_BERT).transform(TEXTS)

    def test_in_a_column_transformer(self):
        frame = pd.DataFrame({"text": TEXTS, "n": range(6)})
        columns = make_column_transformer((ContextualVectorizer(TINY_BERT), "text"), remainder="passthrough")
        columns.set_output(transform="pandas")
        assert columns.fit_transform(frame).shape == (6, 17)

    def test_a_progress_bar(self, capsys):
        vectorizer = ContextualVectorizer(TINY_BERT, verbose=2)
        vectorizer.transform(TEXTS * 2)
        vectorizer.embed_tokens(iter(TEXTS))
        said = capsys.readouterr().err
        assert "documents" in said
        assert "12/12" in said
        ContextualVectorizer(TINY_BERT).transform(TEXTS)
        assert capsys.readouterr().err == ""

    @pytest.mark.parametrize("shown", [True, False])
    def test_what_transformers_shows_is_as_it_was(self, shown, tmp_path):
        from transformers.utils import logging

        before = logging.is_progress_bar_enabled(), logging.get_verbosity()
        switch = {True: logging.enable_progress_bar, False: logging.disable_progress_bar}
        try:
            switch[shown]()
            logging.set_verbosity_info()
            model = shutil.copytree(TINY_BERT, tmp_path / "model")  # one that was not loaded before
            ContextualVectorizer(model).transform(TEXTS)
            assert (logging.is_progress_bar_enabled(), logging.get_verbosity()) == (shown, logging.INFO)
        finally:
            switch[before[0]]()
            logging.set_verbosity(before[1])

    def test_ctrl_c_goes_on(self, monkeypatch):
        vectorizer = ContextualVectorizer(TINY_BERT).fit()

        def interrupted(*args):
            raise KeyboardInterrupt

        monkeypatch.setattr(type(vectorizer._model()), "states", interrupted)
        with pytest.raises(KeyboardInterrupt):
            vectorizer.transform(TEXTS)
        monkeypatch.undo()
        assert np.isfinite(vectorizer.transform(TEXTS)).all()


def test_loading_a_directory_says_what_prompts_must_be(changed):
    write(changed / "config_sentence_transformers.json", {"prompts": {"query": 3}})
    with pytest.raises(ValueError, match="prompts to be texts by name"):
        read_model_directory(changed)


@needs_transformers
@parametrize_with_text_checks([ContextualVectorizer(TINY_BERT, layer="mix", pooling=["mean", "last"])])
def test_text_checks(estimator, check):
    check(estimator)
