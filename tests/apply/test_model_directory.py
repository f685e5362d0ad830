"""Directories of sentence-transformers: all that their files say, defaults of what they leave out, and refusals."""

import json
import re

import numpy as np
import pytest
from safetensors.numpy import save_file

from skembed.apply import model_directory
from skembed.apply.model_directory import MODEL_POOLINGS, Dense, ModelDirectory, read_model_directory

KIND = "sentence_transformers.models."


def write(path, value):
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_text(value if isinstance(value, str) else json.dumps(value))


def steps(*kinds):
    folders = {"Transformer": "", "Pooling": "1_Pooling", "Dense": "2_Dense"}
    return [{"type": KIND + kind, "path": folders.get(kind, kind)} for kind in kinds]


@pytest.fixture
def root(tmp_path):
    """A transformer alone."""
    write(tmp_path / "config.json", {})
    (tmp_path / "model.safetensors").write_bytes(b"")
    return tmp_path


@pytest.fixture
def whole(root):
    """All steps there are."""
    write(root / "modules.json", steps("Transformer", "Pooling", "Dense", "Dropout", "Normalize"))
    write(root / "1_Pooling" / "config.json", {"pooling_mode_max_tokens": True, "word_embedding_dimension": 3})
    write(root / "2_Dense" / "config.json", {"activation_function": "torch.nn.modules.activation.Tanh"})
    save_file(
        {"linear.weight": np.arange(6.0).reshape(2, 3), "linear.bias": np.ones(2)},
        root / "2_Dense" / "model.safetensors",
    )
    return root


def test_a_transformer_alone_is_pooled_by_the_mean(root):
    assert read_model_directory(root) == ModelDirectory(
        root, ("mean",), (), False, None, False, {}, "", True
    )  # fmt: skip


def test_all_steps_are_read(whole):
    write(whole / "sentence_bert_config.json", {"max_seq_length": 12, "do_lower_case": True})
    prompts = {"query": "ask: ", "passage": ""}
    write(whole / "config_sentence_transformers.json", {"prompts": prompts, "default_prompt_name": "query"})
    found = read_model_directory(str(whole))
    assert found.transformer == whole
    assert (found.poolings, found.normalize, found.include_prompt) == (("max",), True, True)
    assert (found.max_length, found.lowercase, found.prompts, found.prompt) == (12, True, prompts, "ask: ")
    (dense,) = found.dense
    assert dense.weight.dtype == dense.bias.dtype == np.float32
    np.testing.assert_array_equal(dense.weight, np.arange(6.0).reshape(2, 3))
    np.testing.assert_array_equal(dense.bias, [1, 1])
    vectors = np.array([[0.1, -0.2, 0.05]])
    np.testing.assert_allclose(dense(vectors), np.tanh(vectors @ dense.weight.T + 1))


@pytest.mark.parametrize(
    ("activation", "expected"), [("Identity", [-2, 3]), ("ReLU", [0, 3]), ("Tanh", np.tanh([-2, 3]))]
)
def test_activations_of_dense_layers(activation, expected):
    layer = Dense(np.array([[1.0, 0], [0, 1]]), np.array([1.0, 0]), activation)
    np.testing.assert_allclose(layer(np.array([[-3.0, 3.0]])), [expected])


def test_a_dense_layer_may_leave_out_activation_and_bias(whole):
    write(whole / "2_Dense" / "config.json", {})
    save_file({"linear.weight": np.eye(2)}, whole / "2_Dense" / "model.safetensors")
    (dense,) = read_model_directory(whole).dense
    assert dense.activation == "Identity"
    np.testing.assert_array_equal(dense.bias, [0, 0])


def test_the_transformer_may_lie_in_a_folder_of_its_own(root):
    folder = root / "0_Transformer"
    write(root / "modules.json", [{"type": KIND + "Transformer", "path": "0_Transformer"}])
    with pytest.raises(FileNotFoundError, match=re.escape(f"{folder} has no config.json")):
        read_model_directory(root)
    write(folder / "config.json", {})
    write(folder / "sentence_bert_config.json", {"max_seq_length": None})
    with pytest.raises(FileNotFoundError, match=r"no weights in model\.safetensors.*safe_serialization=True"):
        read_model_directory(root)
    (folder / "model-00001-of-00002.safetensors").write_bytes(b"")
    found = read_model_directory(root)
    assert (found.transformer, found.max_length, found.lowercase) == (folder, None, False)


@pytest.mark.parametrize(
    ("config", "poolings"),
    [
        *(({name: True}, (pooling,)) for name, pooling in MODEL_POOLINGS.items()),
        ({"pooling_mode": "mean"}, ("mean",)),
        ({"pooling_mode": ["max", "cls"]}, ("cls", "max")),
        ({"pooling_mode": ["mean"], "pooling_mode_mean_tokens": True}, ("mean",)),
        (
            {"pooling_mode_max_tokens": True, "pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False},
            ("cls", "max"),
        ),
        (
            {"pooling_mode_lasttoken": True, "pooling_mode_mean_sqrt_len_tokens": True},
            ("mean_sqrt_len_tokens", "lasttoken"),
        ),
    ],
    ids=str,
)
def test_poolings_stand_side_by_side_in_the_order_of_sentence_transformers(whole, config, poolings):
    for asked, include in (({}, True), ({"include_prompt": False}, False), ({"include_prompt": None}, True)):
        write(whole / "1_Pooling" / "config.json", config | asked)
        found = read_model_directory(whole)
        assert (found.poolings, found.include_prompt) == (poolings, include)


@pytest.mark.parametrize(
    ("file", "value", "message"),
    [
        ("modules.json", {}, "modules.json: expected a list, got dict."),
        ("modules.json", "[{", "modules.json is no JSON: "),
        ("modules.json", "[" * 100_000, "modules.json is no JSON: "),
        ("modules.json", [], "modules.json: expected a first step of the type Transformer, got None."),
        ("modules.json", steps("Pooling"), "expected a first step of the type Transformer, got 'Pooling'."),
        ("modules.json", steps("StaticEmbedding"), "got 'StaticEmbedding'; its vectors of tokens, without a context"),
        ("modules.json", ["Transformer"], "expected steps with a type and a path, got 'Transformer'."),
        ("modules.json", [{"type": "Transformer"}], "expected steps with a type and a path, got {'type'"),
        ("modules.json", [{"type": 3, "path": ""}], "expected steps with a type and a path, got {'type': 3"),
        ("modules.json", [{"type": "Transformer", "path": ".."}], "expected paths within the directory, got '..'."),
        ("modules.json", [{"type": "Transformer", "path": "/"}], "expected paths within the directory, got '/'."),
        ("modules.json", steps("Transformer", "Asym"), "modules.json has a step 'Asym', expected Transformer, Pooling"),
        ("modules.json", steps("Transformer", "Pooling", "Normalize", "Dense"),
         "modules.json has the steps Transformer, Pooling, Normalize, Dense, expected them in the order Transformer, "),
        ("modules.json", steps("Transformer", "Dense", "Dropout", "Pooling"), "the steps Transformer, Dense, Pooling"),
        ("modules.json", steps("Transformer", "Pooling", "Pooling"), "has the steps Transformer, Pooling, Pooling, "),
        ("1_Pooling/config.json", {}, "config.json: expected one or several poolings of cls, mean, max, "),
        ("1_Pooling/config.json", {"pooling_mode": "attention"}, "lasttoken, got ['attention']."),
        ("1_Pooling/config.json", {"pooling_mode_weightedmean_tokens": True}, "got ['weightedmean_tokens']."),
        ("1_Pooling/config.json", [], "config.json: expected a dict, got list."),
        ("2_Dense/config.json", {"activation_function": "torch.nn.GELU"}, "of Identity, Tanh, ReLU, got 'GELU'."),
        ("2_Dense/model.safetensors", "nothing", "model.safetensors is no file of safetensors: "),
        ("sentence_bert_config.json", {"max_seq_length": 0}, "to be a number of tokens or null, got 0."),
        ("sentence_bert_config.json", {"max_seq_length": "9"}, "to be a number of tokens or null, got '9'."),
        ("config_sentence_transformers.json", {"prompts": ["x"]}, "expected prompts to be texts by name, got ['x']."),
        ("config_sentence_transformers.json", {"prompts": {"a": 1}}, "texts by name, got {'a': 1}."),
        ("config_sentence_transformers.json", {"default_prompt_name": "a"}, "expected a prompt 'a', which default_pro"),
        ("config_sentence_transformers.json", [], "config_sentence_transformers.json: expected a dict, got list."),
    ],
)  # fmt: skip
def test_files_that_are_none_are_named(whole, file, value, message):
    read_model_directory(whole)
    write(whole / file, value)
    with pytest.raises(ValueError, match=re.escape(message)):
        read_model_directory(whole)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"weight": np.eye(2)}, "expected a matrix linear.weight, got ['weight']."),
        ({"linear.weight": np.ones(3)}, "expected a matrix linear.weight, got ['linear.weight']."),
        ({"linear.weight": np.eye(2), "linear.bias": np.ones(3)}, "expected linear.bias of shape (2,), got (3,)."),
    ],
)
def test_dense_layers_that_do_not_fit_are_named(whole, arrays, message):
    save_file(arrays, whole / "2_Dense" / "model.safetensors")
    with pytest.raises(ValueError, match=re.escape(message)):
        read_model_directory(whole)


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("1_Pooling/config.json", "config.json is missing; expected a directory of sentence-transformers."),
        ("2_Dense/config.json", "config.json is missing"),
        (
            "2_Dense/model.safetensors",
            "2_Dense has no weights in model.safetensors. Pickles (pytorch_model.bin) are not",
        ),
        ("model.safetensors", "has no weights in model.safetensors"),
        ("config.json", "has no config.json; expected a directory of sentence-transformers."),
    ],
)
def test_files_that_are_missing_are_named(whole, file, message):
    (whole / file).unlink()
    with pytest.raises(FileNotFoundError, match=re.escape(message)):
        read_model_directory(whole)


def test_what_is_no_directory_and_files_that_are_too_large_are_not_read(root, tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match=r"'.*nowhere' is no directory.*Nothing is downloaded"):
        read_model_directory(tmp_path / "nowhere")
    write(root / "modules.json", steps("Transformer"))
    size = (root / "modules.json").stat().st_size
    monkeypatch.setattr(model_directory, "_MOST_JSON", size)
    read_model_directory(root)
    monkeypatch.setattr(model_directory, "_MOST_JSON", size - 1)
    with pytest.raises(ValueError, match=f"has {size} bytes, expected a configuration of at most {size - 1}"):
        read_model_directory(root)


def test_prompts_may_have_no_default(root):
    write(root / "config_sentence_transformers.json", {"prompts": {"a": "x"}, "default_prompt_name": None})
    found = read_model_directory(root)
    assert (found.prompts, found.prompt) == ({"a": "x"}, "")
    write(root / "config_sentence_transformers.json", {"prompts": None})
    assert read_model_directory(root).prompts == {}
